"""Operations that several threads wait for and one does: connecting, opening, closing."""

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
"""Follows a lock in a `with` statement, so that no line is left between the end of the block and the lock's release."""

Operation = Callable[[], Coroutine[Any, Any, None]]


def is_held(lock: Any) -> bool:
    """Return whether the calling thread holds a reentrant lock, such as in a callback from a command."""
    return bool(lock._is_owned())  # there is no public way; `threading.Condition` asks it as well


class Own(clock.Deadlines):
    """Guards what one thread at a time may change and what outlives its connections; those are changed by a `Driver`.

    A forked child begins anew.

    Attributes:
        lock: reentrant; connections may share it (`Driver.share_lock`).
    """

    def __init__(self) -> None:
        self._begin()
        tell(self)

    def _begin(self) -> None:
        self.lock = threading.RLock()
        self._guard = Guard()

    def after_fork(self, parent: int) -> None:
        """Begin anew: this process is a fork. See `forks`."""
        self._begin()

    def forget(self) -> None:
        """Forget what was under way, which will never continue, and who has the lock."""
        self._begin()

    def change(self, what: str, function: Callable[[float], T], guard: Guard | None = None) -> T:
        """See `Driver.change`."""
        with self.lock, (guard or self._guard).step(what):
            return function(clock.now())

    def call_out(self, function: Callable[[], T]) -> T:
        """See `Driver.call_out`."""
        with self.lock, TOGETHER:
            return function()


class SharedAmongThreads:
    """An operation that one thread does while others wait; each of those then checks whether it still has to be done.

    So if one thread is interrupted, another does it. The thread at work may begin it once more, for instance in a
    signal handler: the operation has to notice that.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        tell(self)

    def after_fork(self, parent: int) -> None:
        """Begin anew: this process is a fork, in which nobody is doing the operation. See `forks`."""
        self._lock = threading.RLock()
        self.forget()

    async def run(self, operation: Operation) -> None:
        """Do the operation once nobody else is doing it."""
        with self._lock, TOGETHER:
            await operation()

    def forget(self) -> None:
        """Let later callers begin anew; among threads there is nothing to do."""
