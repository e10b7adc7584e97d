"""The messages that a receiving client holds until somebody asks for them. No I/O."""

from __future__ import annotations

from collections import deque

from .compat import queue
from .message import Message


class MessageQueue:
    """A queue of received messages, with the methods of `queue.Queue` that callers of 1.6 use; it never blocks."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()

    def put(self, message: Message) -> None:
        """Append a message."""
        self._messages.append(message)

    def get(self, block: bool = True, timeout: float | None = None) -> Message:
        """Return the oldest message.

        Raises:
            queue.Empty: there is none, whatever `block` says.
        """
        try:
            return self._messages.popleft()
        except IndexError:
            raise queue.Empty from None

    get_nowait = get
    put_nowait = put

    def empty(self) -> bool:
        """There are no messages."""
        return not self._messages

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._messages)

    def task_done(self) -> None:
        """Nothing; callers of 1.6 call it."""


def hold(message: Message) -> None:
    """The client holds the message: the peer gets no credit for another in its place until it is taken."""
    delivery = message._delivery
    if delivery is not None:
        delivery.link.buffered += 1  # type: ignore[attr-defined]  # an IncomingDelivery


def take(message: Message) -> None:
    """The message leaves the client."""
    delivery = message._delivery
    if delivery is not None:
        delivery.link.taken()  # type: ignore[attr-defined]  # an IncomingDelivery
