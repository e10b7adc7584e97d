"""What one thread, or one task, waits for until another sets it."""

from __future__ import annotations

import asyncio
import threading

from .sansio.clock import FOREVER

this_thread = threading.get_ident

MAX_WAIT = 1.0
"""Seconds that a thread waits at a stretch, at most: a bound for what nobody sets."""


class ThreadSignal:
    """What one thread waits for. `set` may be called from anywhere, from a signal handler within `set` as well.

    It is a bare lock: a `threading.Event` has one of its own, which an interrupted `set` would hold for ever.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Have the thread go on; or not wait at all, if it doesn't wait yet."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it was set already

    def wait(self, timeout: float) -> None:
        """Wait until it was set since the last wait, at most `timeout` seconds, and `MAX_WAIT` at a stretch."""
        self._lock.acquire(timeout=max(0.0, min(timeout, MAX_WAIT)))


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


Signal = ThreadSignal | LoopSignal
