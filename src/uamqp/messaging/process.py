"""`ProcessScope`: what `Receiver.process` returns, a block that settles a message by how it ends."""

from __future__ import annotations

from types import TracebackType

from ..codec import AmqpError
from ..transport.driver import Driver
from .errors import SettlementLost, UsageError
from .message import Message
from .settlement import SETTLED, Settlement


class ProcessScope:
    """Settles a message at the end of a block, unless the block has done so.

    It is accepted; after an exception given back as failed, or rejected if it isn't to be queued again; and after a
    cancellation, or another exception that isn't an error, released. Where the peer can't count failures, it is
    released instead of given back as failed. Exceptions propagate. That the link has gone isn't one here: the message
    comes again then.
    """

    __slots__ = ("_driver", "_message", "_modifies", "_requeue")

    def __init__(self, driver: Driver, message: Message, *, requeue: bool, modifies: bool) -> None:
        self._modifies = modifies
        self._driver = driver
        self._message = message
        self._requeue = requeue

    def _settle(self, error: BaseException | None) -> Settlement:
        message = self._message
        if message.settled:
            return SETTLED
        if error is None:
            return message.accept()
        if not isinstance(error, Exception) or (self._requeue and not self._modifies):
            return message.release()
        if self._requeue:
            return message.modify(delivery_failed=True)
        return message.reject(AmqpError.INTERNAL_ERROR, type(error).__name__)

    def __enter__(self) -> Message:
        if self._driver.has_loop:
            raise UsageError("an event loop drives the connection: write `async with`")
        return self._message

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        settlement = self._settle(error)
        if error is None:
            try:
                settlement.wait()
            except SettlementLost:
                pass  # the message comes again

    async def __aenter__(self) -> Message:
        if not self._driver.has_loop:
            raise UsageError("no event loop drives the connection: write `with`")
        return self._message

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        settlement = self._settle(error)
        if error is None:
            try:
                await settlement
            except SettlementLost:
                pass  # the message comes again
