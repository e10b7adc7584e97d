"""What threads and tasks wait for: a signal keeps them in order, and wakes them all or the first.

What one thread waits with is here, too; a task's is in `asyncio.signals`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

this_thread = threading.get_ident

MAX_WAIT = 1.0
"""Seconds that a thread waits at a stretch, at most: a bound for what nobody sets."""


class Waiter(Protocol):
    """What one thread, or one task, waits with. `set` may be called from anywhere."""

    def set(self) -> None:
        """Wake who waits."""

    def wait(self, timeout: float) -> Awaitable[None] | bool:
        """Wait until it is set, at most `timeout` seconds; a task's is to be awaited."""


class Signal:
    """Something that several may wait for, in the order in which they came: see `Driver.wait`.

    Fire it with the connection's lock held: in a command, or in what the core calls. Firing wakes those that wait at
    that moment; who comes later looks first whether there is anything to wait for.
    """

    __slots__ = ("_waiters", "_woken")

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._woken: set[Waiter] = set()  # by `fire_one`, for something that they haven't taken yet

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiters)

    def fire(self) -> None:
        """Wake all: something is decided, or has another state."""
        waiters, self._waiters = self._waiters, OrderedDict()
        for waiter in waiters:
            waiter.set()

    def fire_one(self) -> None:
        """Wake the first: there is something for one of them, such as room, or a message at hand."""
        if self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            self._woken.add(waiter)
            waiter.set()

    def add(self, waiter: Waiter) -> None:
        """Let a waiter wait: behind the others, or before them if it was woken and somebody else was faster."""
        self._waiters[waiter] = None
        if waiter in self._woken:
            self._woken.discard(waiter)
            self._waiters.move_to_end(waiter, last=False)

    def take(self, waiter: Waiter) -> None:
        """The waiter has found what it waited for."""
        self._waiters.pop(waiter, None)
        self._woken.discard(waiter)

    def leave(self, waiter: Waiter) -> None:
        """The waiter goes without it, cancelled for instance: what it was woken for is the next one's."""
        self._waiters.pop(waiter, None)
        if waiter in self._woken:
            self._woken.discard(waiter)
            self.fire_one()


class ThreadWaiter:
    """What one thread waits with. `set` may be called from anywhere, from a signal handler within `set` as well.

    It is a bare lock: a `threading.Event` has one of its own, which an interrupted `set` would hold forever.

    Args:
        on_set: called with it when it is set: the thread may wait for something else meanwhile, such as input.
    """

    __slots__ = ("_lock", "_on_set")

    def __init__(self, on_set: Callable[[ThreadWaiter], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._on_set = on_set

    def set(self) -> None:
        """Wake the thread; or let it not wait at all, if it doesn't wait yet."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it was set already
        if self._on_set is not None:
            self._on_set(self)

    def wait(self, timeout: float) -> bool:
        """Wait until it was set since the last wait, at most `timeout` seconds, and `MAX_WAIT` at a stretch.

        Returns:
            Whether it was.
        """
        return self._lock.acquire(timeout=max(0.0, min(timeout, MAX_WAIT)))
