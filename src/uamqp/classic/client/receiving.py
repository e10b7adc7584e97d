"""The messages that a client holds until somebody asks for them: the core's inbox with the methods of 1.6."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from ...codec import ACCEPTED
from ...core.incoming import Inbox
from ...engine import IncomingDelivery
from ..endpoints.receiving import Taker
from ..message.message import Message
from ..vocabulary import constants, errors
from ..vocabulary.compat import queue

_logger = logging.getLogger("uamqp.receiver")  # as in 1.6

_ACCEPTANCE = errors.MessageAccepted()
_SETTLED = constants.MessageState.ReceivedSettled


class Batch(list[Message]):
    """Messages on their way to the caller of `receive_message_batch`.

    Attributes:
        sends: the driver's `sends` before they were accepted.
    """

    sends = 0

    def forget_accepted(self) -> None:
        """Forget that they were accepted: the connection ended before that was written, so the peer redelivers them."""
        self[:] = [message for message in self if message._response not in (None, _ACCEPTANCE)]


class MessageQueue(Inbox):
    """A queue of received messages, with the methods of `queue.Queue` that callers of 1.6 use; it never blocks.

    Any number of threads may use these without a lock. Methods that use the engine (see `Inbox`) are called with the
    connection's lock held.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_logger)

    def get(self, block: bool = True, timeout: float | None = None) -> Message:
        """Return the oldest message.

        Raises:
            queue.Empty: there is none, regardless of `block`.
        """
        try:
            message: Message = self._popleft()
        except IndexError:
            raise queue.Empty from None
        return message

    get_nowait = get

    def put_nowait(self, message: Message) -> None:
        """Append a message."""
        self.put(message)

    def empty(self) -> bool:
        """Return whether there are no messages."""
        return not self._items

    def qsize(self) -> int:
        """Return the number of messages."""
        return len(self._items)

    def task_done(self) -> None:
        """Do nothing; programs written for 1.6 call it."""

    # -- what the inbox asks of its items

    def delivery_of(self, item: Any) -> IncomingDelivery | None:
        """Return a message's delivery, or None if the application put it here instead of a link."""
        message: Any = item
        found: IncomingDelivery | None = message._delivery
        return found

    def is_settled(self, item: Any) -> bool:
        """Return whether a message's fate is decided."""
        message: Any = item
        return message._response is not None

    def accept(self, item: Any) -> bool:
        """Do what `complete` does for one of many messages, and leave the writing to the caller."""
        message: Any = item
        if message._delivery is None:
            return complete(message)
        if not self._settle(message._delivery, ACCEPTED, "accepted"):
            return False
        message._response = _ACCEPTANCE
        message.state = _SETTLED
        return True

    def release(self, item: Any) -> bool:
        """Release a message; return False if its link has gone, so that the peer has it."""
        try:
            item.release()
        except RuntimeError as error:
            _logger.info("%s", error)
            return False
        return True


class Arrivals(Taker):
    """Takes in the messages of a receiving client; called while the connection works, with its lock held.

    Attributes:
        active: whether a message has arrived since somebody set this to False.
        arrived: messages for the callback, which runs later and without the lock, so that it may take its time.
        callback: called with each message; None if there is none.
        streaming: whether messages go only to the callback.
        messages: the messages that wait to be handed out.
    """

    __slots__ = ("active", "arrived", "callback", "messages", "streaming")

    def __init__(self) -> None:
        self.active = False
        self.arrived: deque[Message] = deque()
        self.callback: Callable[[Message], Any] | None = None
        self.streaming = False
        self.messages = MessageQueue()

    def take_in(self, message: Message) -> None:
        """See `Taker`."""
        self.active = True
        self.messages.hold(message)
        if self.callback is not None or self.streaming:
            self.arrived.append(message)
        else:
            self.messages.put(message)


def complete(message: Message) -> bool:
    """Accept a message that isn't settled; return False if its link has gone, so that the peer delivers it again."""
    try:
        if message._response is None:
            message.accept()
    except RuntimeError as error:
        delivery: Any = message._delivery
        _logger.info("Link %r: %s", delivery.link.name if delivery is not None else None, error)
        return False
    return True
