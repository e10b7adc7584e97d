"""What several tasks wait for, and one of them does; see `transport.shared`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..shared import Operation, SharedAmongThreads
from .protocol import within


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


class Mutex:
    """A lock that the tasks of a loop agree on. With another loop it is another one."""

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
        """Release the lock; does nothing if it is free."""
        if self._lock is not None and self._lock.locked():
            self._lock.release()
