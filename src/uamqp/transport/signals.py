"""What one thread waits for until another sets it; a task's is in `asyncio.signals`."""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from typing import Protocol

this_thread = threading.get_ident

MAX_WAIT = 1.0
"""Seconds that a thread waits at a stretch, at most: a bound for what nobody sets."""


class Signal(Protocol):
    """What one thread, or one task, waits for. `set` may be called from anywhere."""

    def set(self) -> None:
        """Have who waits go on."""

    def wait(self, timeout: float) -> Awaitable[None] | None:
        """Wait until it is set, at most `timeout` seconds; a task's is to be awaited."""


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
