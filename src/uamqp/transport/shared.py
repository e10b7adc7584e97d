"""What several threads wait for, and one of them does: connecting, opening, closing. Imports no AMQP."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .forks import tell
from .guard import Guard
from .sansio import clock

T = TypeVar("T")

TOGETHER = contextlib.nullcontext()
"""Stands behind a lock in a `with` statement: then no line is left between the end of what is inside and the lock's."""

Operation = Callable[[], Coroutine[Any, Any, None]]


class Own:
    """What is changed by one thread at a time, and outlives its connections: while there is one, by its `Driver`.

    A child of a fork begins anew.

    Attributes:
        lock: reentrant; connections may have the same (`Driver.share_lock`).
    """

    def __init__(self) -> None:
        self._begin()
        tell(self)

    def _begin(self) -> None:
        self.lock = threading.RLock()
        self._guard = Guard()

    def after_fork(self, parent: int) -> None:
        """This is the child of a fork: see `forks`."""
        self._begin()

    def forget(self) -> None:
        """What was under way never goes on."""
        self._guard = Guard()

    def change(self, what: str, function: Callable[[float], T], guard: Guard | None = None) -> T:
        """See `Driver.change`."""
        with self.lock, (guard or self._guard).step(what):
            return function(clock.now())

    def call_out(self, function: Callable[[], T]) -> T:
        """See `Driver.call_out`."""
        with self.lock, TOGETHER:
            return function()


class SharedAmongThreads:
    """An operation that one thread does while the others wait, who look then whether it has to be done any more.

    So if the one is interrupted, another does it. A thread that has begun it may begin it again, in a signal handler
    for instance: the operation has to notice.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        tell(self)

    def after_fork(self, parent: int) -> None:
        """This is the child of a fork: see `forks`. Nobody is at it here."""
        self._lock = threading.RLock()
        self.forget()

    async def run(self, operation: Operation) -> None:
        """Do the operation, when nobody else is at it."""
        with self._lock, TOGETHER:
            await operation()

    def forget(self) -> None:
        """Who comes from now on doesn't wait for those who are at it: nothing, among threads."""
