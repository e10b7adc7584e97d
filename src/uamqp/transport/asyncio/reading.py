"""Reading in an event loop that notices when an exception from a signal handler has lost what was read.

`KeyboardInterrupt` and `SystemExit` leave the loop from whatever line of a callback they occur in. If that is between
the system call and the protocol's `data_received`, what was read is gone, and nobody hears of it. So the transport is
given a buffer: one that was written to and never given back shows the loss.
"""

from __future__ import annotations

import asyncio
import os

from ..blocking.stream import READ_SIZE

_UNTOUCHED = os.urandom(16)
"""What the buffer begins with until something is read into it."""


class Reading(asyncio.BufferedProtocol):
    """A protocol that notices lost input. It has `data_received`, as `asyncio.Protocol` does.

    The buffer is made when the first bytes arrive.

    Attributes:
        reading: the protocol that the transport reads for, if this one is behind it; otherwise None.
    """

    reading: Reading | None = None
    _buffer: bytearray | None = None
    _is_lent = False

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        self.check()
        if self._buffer is None:
            self._buffer = bytearray(READ_SIZE)
        self._buffer[: len(_UNTOUCHED)] = _UNTOUCHED
        self._is_lent = True
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        if self._buffer is not None:
            self.data_received(bytes(memoryview(self._buffer)[:nbytes]))
        self._is_lent = False  # last: after an exception before this line, nobody knows what became of the bytes

    def check(self) -> None:
        """Check whether anything was read and never handled. Don't call it from within `data_received`."""
        if self._is_lent:
            self._is_lent = False
            if self._buffer is not None and not self._buffer.startswith(_UNTOUCHED):
                self.on_interrupted()
        if self.reading is not None:
            self.reading.check()

    def data_received(self, data: bytes) -> None:
        """Handle input."""
        raise NotImplementedError

    def on_interrupted(self) -> None:
        """Handle the loss of something that was read."""
        raise NotImplementedError
