"""Internal: the only place with I/O, threads and clocks.

`blocking` drives an engine over a socket, `asyncio` does the same in an event loop, and `sansio` holds what both need
without I/O.
"""
