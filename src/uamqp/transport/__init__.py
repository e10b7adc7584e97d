"""Internal: the only place with I/O, threads and clocks.

`tcp` and `tls` make connected sockets, `blocking` drives an engine over one, `aio` does the same for asyncio; `heap`
has a word with the memory allocator. Imports `uamqp.core`, `uamqp.engine` and the standard library.
"""
