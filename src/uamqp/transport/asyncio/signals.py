"""What one task waits for until another, or a thread, sets it; see `transport.signals`."""

from __future__ import annotations

import asyncio
import threading

from ..sansio.clock import FOREVER


class LoopSignal:
    """What one task waits for. `set` may be called from anywhere."""

    __slots__ = ("_future", "_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._future: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Have the task go on, if it waits."""
        if threading.get_ident() == self._thread:
            self._set()
            return
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:
            pass  # the loop is closed: nobody waits there any more

    def _set(self) -> None:
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)

    async def wait(self, timeout: float) -> None:
        """Wait until it is set, at most `timeout` seconds."""
        future = self._future = self._loop.create_future()
        timer = self._loop.call_later(timeout, self._set) if timeout < FOREVER else None
        try:
            await future
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()
