"""What several threads wait for, and one of them does: connecting, opening, closing. Imports no AMQP."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from .forks import tell

TOGETHER = contextlib.nullcontext()
"""Stands behind a lock in a `with` statement: then no line is left between the end of what is inside and the lock's."""

Operation = Callable[[], Coroutine[Any, Any, None]]


class OwnLock:
    """A lock of something that outlives its connections; a child of a fork has one of its own.

    Attributes:
        lock: reentrant.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        tell(self)

    def after_fork(self, parent: int) -> None:
        """This is the child of a fork: see `forks`."""
        self.lock = threading.RLock()


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
