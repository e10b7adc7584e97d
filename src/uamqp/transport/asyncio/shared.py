"""Operations that several tasks wait for and one task does; see `transport.shared`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..shared import Operation, SharedAmongThreads
from .protocol import within


class _Attempt:
    """An operation under way, and the tasks that wait for it, of which there may be thousands."""

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
        """Whether it is too late to wait for it."""
        return self.task.done() or self.task.get_loop().is_closed()


class SharedAmongTasks(SharedAmongThreads):
    """An operation that is done once for all tasks that want it at the time; without a loop, once for all threads.

    It runs in a task of its own, so it continues when a task that waits for it is cancelled. With the last of them it
    is cancelled itself.

    Args:
        cancel: cancels it; None uses `Task.cancel`.
    """

    def __init__(self, cancel: Callable[[asyncio.Task[None]], Any] | None = None) -> None:
        super().__init__()
        self._cancel: Callable[[asyncio.Task[None]], Any] = cancel or asyncio.Task.cancel
        self._attempt: _Attempt | None = None

    async def run(self, operation: Operation) -> None:
        """Wait for the operation that is under way, or begin it. Everybody who waits gets its exception.

        Raises:
            RuntimeError: tasks of another event loop are doing it.
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
        """Wait for an attempt; return False if it was cancelled by somebody other than those who wait."""
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
                    await asyncio.wait([task])  # leaves nothing half done behind
            raise
        del attempt.waiters[waiter]
        if task.cancelled():
            return False
        task.result()
        return True

    async def join(self) -> None:
        """Wait for the operation that is under way in this loop, if there is one."""
        attempt = self._attempt
        if attempt is not None and not attempt.is_over and attempt.task.get_loop() is asyncio.get_running_loop():
            await self._is_done(attempt)

    def forget(self) -> None:
        """Let later callers begin anew. What is under way continues for those who already wait for it."""
        self._attempt = None

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if self._attempt is not None and self._attempt.task is task:
            self._attempt = None
        if not task.cancelled():
            task.exception()  # retrieved, since nobody may be waiting for it


class Mutex:
    """A lock between the tasks of a loop; each loop has its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: asyncio.Lock | None = None

    async def acquire(self, timeout: float) -> None:
        """Take the lock.

        Raises:
            asyncio.TimeoutError: it wasn't free within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        if self._lock is None or self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        try:
            await within(self._lock.acquire(), timeout)
        except TimeoutError:
            raise asyncio.TimeoutError(f"the lock wasn't free within {timeout:g} seconds") from None

    def release(self) -> None:
        """Release the lock if it is held."""
        if self._lock is not None and self._lock.locked():
            self._lock.release()
