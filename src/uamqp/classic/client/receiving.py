"""The messages that a client holds until somebody asks for them: 1.6's faces of the core's inbox."""

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
        sends: the driver's, before they were accepted.
    """

    sends = 0

    def forget_accepted(self) -> None:
        """The connection was given up before it was written that they are accepted: the peer delivers them again."""
        self[:] = [message for message in self if message._response not in (None, _ACCEPTANCE)]


class MessageQueue(Inbox):
    """A queue of received messages, with the methods of `queue.Queue` that callers of 1.6 use; it never blocks.

    Any number of threads may use these, without a lock. What uses the engine (see `Inbox`) is called with the
    connection's lock held.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_logger)

    def get(self, block: bool = True, timeout: float | None = None) -> Message:
        """Return the oldest message.

        Raises:
            queue.Empty: there is none, whatever `block` says.
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
        """There are no messages."""
        return not self._items

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._items)

    def task_done(self) -> None:
        """Nothing; callers of 1.6 call it."""

    # -- what the inbox asks of its items

    def delivery_of(self, item: Any) -> IncomingDelivery | None:
        """Return a message's delivery; None if the application has put it here, and no link."""
        message: Any = item
        found: IncomingDelivery | None = message._delivery
        return found

    def is_settled(self, item: Any) -> bool:
        """Return whether it is known what became of a message."""
        message: Any = item
        return message._response is not None

    def accept(self, item: Any) -> bool:
        """Do what `complete` does, for one of many: with the writing left to the caller."""
        message: Any = item
        if message._delivery is None:
            return complete(message)
        if not self._settle(message._delivery, ACCEPTED, "accepted"):
            return False
        message._response = _ACCEPTANCE
        message.state = _SETTLED
        return True

    def release(self, item: Any) -> bool:
        """Release a message; False if its link has gone, and the peer has it."""
        try:
            item.release()
        except RuntimeError as error:
            _logger.info("%s", error)
            return False
        return True


class Arrivals(Taker):
    """Where the messages of a receiving client arrive; called while the connection works, with its lock held.

    Attributes:
        active: a message has arrived since somebody set this to False.
        arrived: messages for the callback, which runs later, without the lock, so that it may take its time.
        callback: what is to be called with each message; None: nothing.
        streaming: messages go to the callback alone.
        messages: those that wait to be handed out.
    """

    __slots__ = ("active", "arrived", "callback", "messages", "streaming")

    def __init__(self) -> None:
        self.active = False
        self.arrived: deque[Message] = deque()
        self.callback: Callable[[Message], Any] | None = None
        self.streaming = False
        self.messages = MessageQueue()

    def take_in(self, message: Message) -> None:
        """A message arrived."""
        self.active = True
        self.messages.hold(message)
        if self.callback is not None or self.streaming:
            self.arrived.append(message)
        else:
            self.messages.put(message)


def complete(message: Message) -> bool:
    """Accept a message that wasn't settled otherwise; False if its link has gone, and the peer delivers it again."""
    try:
        if message._response is None:
            message.accept()
    except RuntimeError as error:
        delivery: Any = message._delivery
        _logger.info("Link %r: %s", delivery.link.name if delivery is not None else None, error)
        return False
    return True
