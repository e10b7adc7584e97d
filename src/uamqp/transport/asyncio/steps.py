"""`LoopSteps`: the steps of a connection that an event loop drives."""

from __future__ import annotations

import threading
from asyncio import Future
from asyncio.events import AbstractEventLoop, _get_running_loop
from typing import TYPE_CHECKING, Any

from ..signals import SoleSignal
from ..steps import Steps

if TYPE_CHECKING:
    from .pump import AsyncPump

_this_thread = threading.get_ident
running_loop = _get_running_loop
"""Return the loop that runs in this thread; None if none does."""


class LoopSteps(Steps):
    """See `Steps`.

    Args:
        pump: the connection's.
    """

    __slots__ = ("_asleep", "_loop", "_owner", "_thread")

    def __init__(self, pump: AsyncPump) -> None:
        super().__init__(pump)
        self.has_loop = True
        self._owner = pump
        self._asleep = 0  # tasks between `begin_sleep` and `end_sleep`
        self._loop: AbstractEventLoop | None = None
        self._thread = 0

    def check_caller(self) -> None:
        """See `Steps`."""
        if self._loop is None or running_loop() is not self._loop:
            self._look_at_loop()

    def _look_at_loop(self) -> None:
        if self._owner.foreign:  # the connection is the parent's: whatever waits here fails
            self.sending(_nothing)
        self._owner.check_loop()
        self._loop = self._owner.loop
        self._thread = _this_thread()

    def begin_sleep(self) -> Future[None]:
        """See `Steps`."""
        self.check_caller()
        loop = self._loop or running_loop()
        if loop is None:
            raise RuntimeError("no event loop runs")
        self._asleep += 1
        if self._asleep == 1:
            self._owner.keep_for_sleepers(True)
        return loop.create_future()

    def end_sleep(self) -> None:
        """See `Steps`."""
        self._asleep -= 1
        if not self._asleep:
            self._owner.keep_for_sleepers(False)

    def wake(self, waiter: Any) -> None:
        """See `Steps`."""
        if type(waiter) is SoleSignal:
            waiter.fire()
            return
        try:
            if _this_thread() == self._thread:
                set_future(waiter)
            else:
                waiter.get_loop().call_soon_threadsafe(set_future, waiter)
        except RuntimeError:
            pass  # the loop is closed: nobody waits there any longer


def set_future(future: Future[None]) -> None:
    """Set a future unless it is done."""
    if not future.done():
        future.set_result(None)


def _nothing() -> None:
    """Do nothing, as a step, which finds out whether the connection may be used."""
