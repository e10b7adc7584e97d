"""Reading in an event loop, so that it shows when an exception of a signal handler came between the system call and us.

`KeyboardInterrupt` and `SystemExit` leave the loop from whatever line of a callback they come in. Where that is between
the system call and the protocol's `data_received`, what was read is gone, and nobody hears of it. So the transport is
given a buffer: one that was written to, and never given back, tells. Imports asyncio.
"""

from __future__ import annotations

import asyncio
import os

from ..blocking.stream import READ_SIZE

_UNTOUCHED = os.urandom(16)
"""What stands at the buffer's beginning while nothing was read into it."""


class Reading(asyncio.BufferedProtocol):
    """A protocol that a transport reads for. It has `data_received`, as `asyncio.Protocol` does.

    The buffer is made when the first bytes come.

    Attributes:
        reading: the protocol that the transport reads for, where this one is behind it; else None.
    """

    reading: Reading | None = None
    _buffer: bytearray | None = None
    _is_lent = False

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the transport may read to."""
        self.check()
        if self._buffer is None:
            self._buffer = bytearray(READ_SIZE)
        self._buffer[: len(_UNTOUCHED)] = _UNTOUCHED
        self._is_lent = True
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were read."""
        if self._buffer is not None:
            self.data_received(bytes(memoryview(self._buffer)[:nbytes]))
        self._is_lent = False  # last: where an exception comes in between, nobody knows what became of the bytes

    def check(self) -> None:
        """Look whether anything was read, and never dealt with. Not for the time that `data_received` takes."""
        if self._is_lent:
            self._is_lent = False
            if self._buffer is not None and not self._buffer.startswith(_UNTOUCHED):
                self.on_interrupted()
        if self.reading is not None:
            self.reading.check()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        raise NotImplementedError

    def on_interrupted(self) -> None:
        """Something was read, and is lost."""
        raise NotImplementedError
