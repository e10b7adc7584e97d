"""`Settlement`: what `accept` and its kin return, to wait for the peer's confirmation."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..transport.drive import run
from ..transport.driver import Driver
from ..transport.signals import SoleSignal
from . import checks
from .errors import OperationTimeout, SettlementLost, UsageError


class Settlement:
    """The settlement of one message or many. Await it, or call `wait`, for the peer's confirmation (`confirm=True`).

    Otherwise there is nothing to wait for, and both return at once.
    """

    __slots__ = ("_driver", "_error", "_left", "_waiters")

    def __init__(self, driver: Driver | None) -> None:
        self._left = 0  # messages that the peer has yet to confirm
        self._driver = driver
        self._error: SettlementLost | None = None
        self._waiters: list[Any] = []

    @property
    def done(self) -> bool:
        """Whether nothing is left to wait for."""
        return self._left == 0

    @property
    def _is_lost(self) -> bool:
        """Whether the link went before the peer had settled."""
        return self._error is not None

    def __repr__(self) -> str:
        try:
            state = "lost" if self._is_lost else "done" if self.done else f"{self._left} to be confirmed"
        except AttributeError:  # it is being made
            return "<Settlement>"
        return f"<Settlement {state}>"

    def _confirm(self) -> None:
        """Note that the peer has settled one of the messages."""
        self._left -= 1
        if self._left == 0:
            for waiter in self._waiters:
                if self._driver is not None:
                    self._driver.steps.wake(waiter)

    def _lose(self, error: BaseException, *, was_sent: bool = False) -> None:
        """Note that the link has gone before the peer has settled one of the messages.

        Args:
            error: why.
            was_sent: whether its outcome was on its way, and is one of those left.
        """
        if self._error is None:
            text = f"the link has gone before the peer has settled, so that the message comes again: {error}"
            self._error = SettlementLost(text)
            self._error.__cause__ = error
        if was_sent:
            self._confirm()

    def __await__(self) -> Generator[Any, None, None]:
        """Wait for the peer's settlement.

        Raises:
            SettlementLost: the link has gone before, so that the message comes again.
            UsageError: the receiver is a blocking one: call `wait`.
        """
        driver = self._driver
        if not self.done and driver is not None:
            if not driver.has_loop:
                raise UsageError("no event loop drives the connection: call wait() instead of awaiting the settlement")
            future = driver.steps.begin_sleep()
            self._waiters.append(future)
            try:
                if not self.done:
                    yield from future
            finally:
                driver.steps.end_sleep()
                self._waiters.remove(future)
        self._check()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the peer's settlement, as awaiting it does with asyncio.

        Args:
            timeout: seconds to wait; None for as long as it takes.

        Raises:
            SettlementLost: the link has gone before, so that the message comes again.
            OperationTimeout: the peer hasn't settled within `timeout` seconds.
            UsageError: an event loop drives the connection: await it.
        """
        seconds = checks.optional_seconds("timeout", timeout)
        driver = self._driver
        if not self.done and driver is not None:
            if driver.has_loop:
                raise UsageError("an event loop drives the connection: await the settlement instead of calling wait()")
            deadline = driver.deadline(seconds)
            if not run(self._wait_for(driver, deadline)) and driver.remaining(deadline) == 0:
                raise OperationTimeout(f"the peer hasn't settled the message after {seconds:g} seconds")
        self._check()

    async def _wait_for(self, driver: Driver, deadline: float | None) -> bool:
        signal = SoleSignal()
        self._waiters.append(signal)
        try:
            return await driver.wait(signal, lambda: self.done, deadline)
        finally:
            self._waiters.remove(signal)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if not self.done:
            raise SettlementLost("the connection has ended, and the peer hasn't settled: the message comes again")


SETTLED = Settlement(None)
"""What there is nothing to wait for."""
