"""What several tasks or threads wait for, and one of them does: connecting, opening, closing. Imports no AMQP."""

from __future__ import annotations

import asyncio
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


class _Attempt:
    """An operation under way, and those that wait for it, of which there may be thousands."""

    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.waiters: dict[asyncio.Future[None], None] = {}
        task.add_done_callback(self._wake)

    def _wake(self, task: asyncio.Task[None]) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def is_over(self) -> bool:
        """Nobody can wait for it any more."""
        return self.task.done() or self.task.get_loop().is_closed()


class SharedAmongTasks(SharedAmongThreads):
    """An operation that is done once for all the tasks that want it at a time. Where no loop runs it is one of threads.

    It runs in a task of its own. So it goes on when one of those that wait for it is cancelled; with the last of them
    it is cancelled itself.

    Args:
        cancel: does that; None: `Task.cancel`.
    """

    def __init__(self, cancel: Callable[[asyncio.Task[None]], Any] | None = None) -> None:
        super().__init__()
        self._cancel: Callable[[asyncio.Task[None]], Any] = cancel or asyncio.Task.cancel
        self._attempt: _Attempt | None = None

    async def run(self, operation: Operation) -> None:
        """Wait for the operation that is under way, or begin it. What it raises is raised to all who wait.

        Raises:
            RuntimeError: tasks of another event loop are at it.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            await super().run(operation)
            return
        while True:
            attempt = self._attempt
            if attempt is None or attempt.is_over:
                attempt = self._attempt = _Attempt(loop.create_task(operation()))
                attempt.task.add_done_callback(self._look_at)
            elif attempt.task.get_loop() is not loop:
                raise RuntimeError("the connection belongs to another event loop")
            if await self._is_done(attempt):
                return

    async def _is_done(self, attempt: _Attempt) -> bool:
        """Wait for an attempt; False if it was cancelled by somebody else than those who wait."""
        task = attempt.task
        waiter: asyncio.Future[None] = task.get_loop().create_future()
        attempt.waiters[waiter] = None
        try:
            if not task.done():
                await waiter
        except BaseException as error:
            del attempt.waiters[waiter]
            if not attempt.waiters and not attempt.is_over:
                if self._attempt is attempt:
                    self._attempt = None
                self._cancel(task)
                if isinstance(error, asyncio.CancelledError):
                    await asyncio.wait([task])  # nothing that is half done is left behind
            raise
        del attempt.waiters[waiter]
        if task.cancelled():
            return False
        task.result()
        return True

    async def join(self) -> None:
        """Wait for the operation that is under way, if one is; not for one of another loop."""
        attempt = self._attempt
        if attempt is not None and not attempt.is_over and attempt.task.get_loop() is asyncio.get_running_loop():
            await self._is_done(attempt)

    def forget(self) -> None:
        """Who comes from now on begins anew. What is under way goes on for those who wait for it."""
        self._attempt = None

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if self._attempt is not None and self._attempt.task is task:
            self._attempt = None
        if not task.cancelled():
            task.exception()  # nobody may wait any more: then it is none that was overlooked
