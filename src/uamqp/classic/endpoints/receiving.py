"""Messages made from deliveries, and their settlement by the application. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...core.incoming import Incoming, is_settled_by_sender, settle
from ...engine import IncomingDelivery, LocalProtocolError
from ...transport.guard import ConnectionBusy
from ..message.message import Message, received_message
from ..vocabulary import errors

if TYPE_CHECKING:
    from .receiver import MessageReceiver

_logger = logging.getLogger("uamqp.receiver")  # as in 1.6


class Taker:
    """Takes in the messages of a link directly: it neither raises nor uses a connection meanwhile."""

    __slots__ = ()

    def __init__(self) -> None:
        """Make one; its class describes it."""

    def take_in(self, message: Message) -> None:
        """Handle a message that arrived."""
        raise NotImplementedError


class Intake(Incoming):
    """Makes messages of a receiver's deliveries, and settles them.

    Args:
        receiver: the link.
        callback: called with each message.
        encoding: of the text in the messages.

    Attributes:
        callback: see above.
    """

    __slots__ = ("_encoding", "_receiver", "_settler", "callback")

    def __init__(self, receiver: MessageReceiver, callback: Callable[[Message], Any], encoding: str) -> None:
        super().__init__(logger=_logger)
        self._receiver = receiver
        self._encoding = encoding
        self._settler = self.settle  # one callable for all messages of the link
        self.callback = callback

    def take_in(self, delivery: IncomingDelivery, data_start: int) -> None:
        """Make a message, and pass it to the callback."""
        settler = None if self.at_most_once else self._settler
        self.callback(received_message(delivery, settler, self._encoding, data_start))

    def settle(self, response: Any, delivery: IncomingDelivery) -> None:
        """Settle a message, which makes this call from any thread.

        Raises:
            RuntimeError: its link is gone.
            ValueError: the response isn't one of the errors module's.
        """
        if not response or isinstance(response, errors.MessageAlreadySettled):
            return
        if is_settled_by_sender(delivery):
            return  # already settled
        outcome = response._outcome() if isinstance(response, errors.MessageResponse) else None
        if outcome is None:
            raise ValueError(f"Invalid message response type: {response!r}")
        self._dispose(delivery, outcome)

    def _dispose(self, delivery: IncomingDelivery, outcome: Any) -> None:
        driver = self._receiver._connection._driver
        session = delivery.link.session
        try:
            driver.steps.settling(settle, delivery, outcome)
        except LocalProtocolError as error:
            name = type(outcome).__name__.lower()
            raise RuntimeError(
                f"Unable to send message dispostition {name!r} for message number {delivery.delivery_id}: "
                f"{driver.foreign or error}"
            ) from error
        except ConnectionBusy:  # called by a signal handler or finalizer
            if not driver.defer(partial(self._dispose, delivery, outcome)):
                raise
            return
        driver.steps.write(is_last=not session.unsettled.incoming)
