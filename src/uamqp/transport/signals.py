"""Signals that threads and tasks wait for. A signal keeps them in order, and wakes all of them or the first.

The object that a thread waits on is here, too; a task's is in `asyncio.signals`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

this_thread = threading.get_ident

MAX_WAIT = 1.0
"""Maximum seconds that a thread waits at a stretch, in case nobody sets what it waits on."""


class Waiter(Protocol):
    """What one thread or one task waits on. `set` may be called from anywhere."""

    def set(self) -> None:
        """Wake the thread or task."""

    def wait(self, timeout: float) -> Awaitable[None] | bool:
        """Wait up to `timeout` seconds until it is set; a task has to await the result."""


class Awaited(Protocol):
    """What `Driver.wait` waits for. Called with the connection's lock held."""

    def add(self, waiter: Waiter) -> None:
        """Add a waiter."""

    def take(self, waiter: Waiter) -> None:
        """Remove a waiter that has found what it waited for."""

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter that leaves without it."""


class SoleSignal:
    """A signal that one caller waits for, such as for the end of its own call. Thousands cost little.

    Fire it with the connection's lock held, as a `Signal`.
    """

    __slots__ = ("_waiter",)

    def __init__(self) -> None:
        self._waiter: Waiter | None = None

    def fire(self) -> None:
        """Wake the waiter, if there is one."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set()

    def add(self, waiter: Waiter) -> None:
        """See `Awaited`."""
        self._waiter = waiter

    def take(self, waiter: Waiter) -> None:
        """See `Awaited`."""
        self._waiter = None

    leave = take


class Signal:
    """Something that several waiters may wait for, in the order in which they came: see `Driver.wait`.

    Fire it with the connection's lock held: in a command, or in a callback from the core. Firing wakes those that are
    waiting at that moment; later ones first check whether there is anything to wait for.
    """

    __slots__ = ("_waiters", "_woken")

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._woken: set[Waiter] = set()  # woken by `fire_one` for something that they haven't taken yet

    def __len__(self) -> int:
        """Return the number of waiters."""
        return len(self._waiters)

    def fire(self) -> None:
        """Wake all waiters: something is decided, or has changed its state."""
        waiters, self._waiters = self._waiters, OrderedDict()
        for waiter in waiters:
            waiter.set()

    def fire_one(self) -> None:
        """Wake the first waiter: there is something for one of them, such as room or a message."""
        if self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            self._woken.add(waiter)
            waiter.set()

    def add(self, waiter: Waiter) -> None:
        """Add a waiter, after the others, or before them if it was woken and somebody else was faster."""
        self._waiters[waiter] = None
        if waiter in self._woken:
            self._woken.discard(waiter)
            self._waiters.move_to_end(waiter, last=False)

    def take(self, waiter: Waiter) -> None:
        """Remove a waiter that has found what it waited for."""
        self._waiters.pop(waiter, None)
        self._woken.discard(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter that leaves without it, for instance when cancelled, and wake the next in its place."""
        self._waiters.pop(waiter, None)
        if waiter in self._woken:
            self._woken.discard(waiter)
            self.fire_one()


class Chore:
    """A task that one caller at a time does for all who wait, such as opening what they wait for.

    Use it within commands, or in the function that `Driver.wait` calls.

    Attributes:
        signal: wakes the first of those who wait when nobody does the task any more; see `Driver.wait`.
    """

    __slots__ = ("_who", "signal")

    def __init__(self) -> None:
        self.signal = Signal()
        self._who: object | None = None

    def is_free(self, who: object) -> bool:
        """Return whether nobody else is doing it.

        Args:
            who: see `Driver.caller`.
        """
        return self._who is None or self._who == who

    def begin(self, who: object) -> bool:
        """Take the task on unless somebody else is doing it, and return whether that worked."""
        is_free = self.is_free(who)
        if is_free:
            self._who = who
        return is_free

    def end(self, who: object) -> None:
        """Stop doing the task, if this caller is doing it: the first of those who wait looks what is left to do."""
        if self._who is not None and self._who == who:
            self._who = None
            self.signal.fire_one()


class ThreadWaiter:
    """What one thread waits on. `set` may be called from anywhere, even from a signal handler that interrupts `set`.

    It is a bare lock: a `threading.Event` has a lock of its own, which an interrupted `set` would hold forever.

    Args:
        on_set: called with the waiter when it is set, as the thread may be waiting for something else, such as input.

    Attributes:
        outer: what the same thread waits on in a frame further out, which a signal handler has interrupted.
    """

    __slots__ = ("_lock", "_on_set", "outer")

    def __init__(self, on_set: Callable[[ThreadWaiter], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._on_set = on_set
        self.outer: ThreadWaiter | None = None

    def set(self) -> None:
        """Wake the thread, or let its next wait return at once."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it was set already
        if self._on_set is not None:
            self._on_set(self)

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, but no longer than `timeout` or `MAX_WAIT` seconds.

        Returns:
            Whether it was set, now or since the last wait.
        """
        return self._lock.acquire(timeout=max(0.0, min(timeout, MAX_WAIT)))
