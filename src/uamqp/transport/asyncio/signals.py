"""What a task waits on until another task or a thread sets it; see `transport.signals`."""

from __future__ import annotations

import asyncio
import threading

from ..sansio.clock import FOREVER


class LoopWaiter:
    """What one task waits on. `set` may be called from anywhere."""

    __slots__ = ("_future", "_is_set", "_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._future: asyncio.Future[None] | None = None
        self._is_set = False

    def set(self) -> None:
        """Wake the task, or let its next wait return at once."""
        if threading.get_ident() == self._thread:
            self._set()
            return
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:
            pass  # the loop is closed: nobody waits there any longer

    def _set(self) -> None:
        self._is_set = True
        self._wake()

    def _wake(self) -> None:
        future = self._future
        if future is not None and not future.done() and not self._loop.is_closed():  # else nobody waits there any more
            future.set_result(None)

    async def wait(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until it is set, or return at once if it was set since the last wait."""
        timer: asyncio.TimerHandle | None = None
        try:
            if not self._is_set:
                future = self._future = self._loop.create_future()
                if timeout < FOREVER:
                    timer = self._loop.call_later(timeout, self._wake)
                await future
        finally:
            self._future = None
            self._is_set = False
            if timer is not None:
                timer.cancel()
