"""What a test sees of the embedded broker: snapshots of its queues, messages and connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..codec import (
    APPLICATION_PROPERTIES,
    DATA,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    SEQUENCE,
    VALUE,
    Decoder,
    Properties,
    binary_bounds,
    scan_sections,
    section_decoder,
)
from .nodes import Counters, Queue, StoredMessage

if TYPE_CHECKING:
    from .broker import Broker


@dataclass(slots=True, frozen=True)
class MessageView:
    """A message as it was on a queue. Its decoded parts have the types of the codec's typed mapping.

    Attributes:
        payload: the encoded message.
        sequence: its place in the queue.
        delivery_count: failed deliveries so far.

    Raises:
        DecodeError: by each property, if the message is malformed.
    """

    payload: bytes
    sequence: int
    delivery_count: int

    @classmethod
    def of(cls, message: StoredMessage) -> MessageView:
        """Return the view of a stored message."""
        return cls(message.payload, message.sequence, message.delivery_count)

    @property
    def body(self) -> Any:
        """The body: the bytes of all data sections, the value, or a list of the sequences; None without one."""
        data: list[bytes] = []
        sequences: list[Any] = []
        for code, start, end in scan_sections(self.payload):
            if code == DATA:
                first, last = binary_bounds(self.payload, start, end)
                data.append(self.payload[first:last])
            elif code == SEQUENCE:
                sequences.append(Decoder(self.payload, start, end).value())
            elif code == VALUE:
                return Decoder(self.payload, start, end).value()
        return b"".join(data) if data else sequences or None

    @property
    def properties(self) -> Properties | None:
        """The properties section, if there is one."""
        values = self._section(PROPERTIES)
        return Properties.from_fields(values) if values is not None else None

    @property
    def annotations(self) -> dict[Any, Any]:
        """The message-annotations."""
        return self._section(MESSAGE_ANNOTATIONS) or {}

    @property
    def application_properties(self) -> dict[Any, Any]:
        """The application-properties."""
        return self._section(APPLICATION_PROPERTIES) or {}

    def _section(self, wanted: int) -> Any:
        decoder = section_decoder(self.payload, scan_sections(self.payload), wanted)
        return None if decoder is None else decoder.value()


@dataclass(slots=True, frozen=True)
class ConnectionView:
    """A connection as it was.

    Attributes:
        container_id, hostname, properties: from the client's open.
        mechanism: its SASL mechanism; None without SASL.
        user: the name that it authenticated with, or None.
        senders, receivers: number of links over which the client sends and receives.
    """

    container_id: str
    hostname: str | None
    properties: dict[Any, Any]
    mechanism: str | None
    user: str | None
    senders: int
    receivers: int


@dataclass(slots=True, frozen=True)
class SubscriptionView:
    """A durable subscription to a topic as it was.

    Attributes:
        container_id, name: what it is found by: the client's, and its link's.
        attached: whether there is a link.
        depth: number of messages that wait to be handed out.
        unsettled: number of messages that were handed out and aren't settled.
    """

    container_id: str
    name: str
    attached: bool
    depth: int
    unsettled: int


class QueueView:
    """A queue of the broker; one that doesn't exist yet is empty. Each attribute is current when it is read.

    A topic appears as the sum of its subscribers' queues.
    """

    def __init__(self, broker: Broker, name: str) -> None:
        self._broker = broker
        self.name = name

    def __repr__(self) -> str:
        return f"<QueueView {self.name!r}, {self.depth} waiting, {self.unsettled} unsettled>"

    @property
    def depth(self) -> int:
        """The number of messages that wait to be handed out."""
        return self._sum(lambda queue: queue.depth)

    @property
    def unsettled(self) -> int:
        """The number of messages that were handed out and aren't settled."""
        return self._sum(lambda queue: queue.unsettled)

    @property
    def size(self) -> int:
        """The size in bytes of all messages that it holds."""
        return self._sum(lambda queue: queue.byte_count)

    @property
    def consumers(self) -> int:
        """The number of links that receive from it, including browsers."""
        return self._sum(lambda queue: len(queue.consumers) + len(queue.browsers))

    @property
    def producers(self) -> int:
        """The number of links that send to it."""
        return self._broker.call(lambda server: server.directory.producers(server.name(self.name)))

    @property
    def messages(self) -> tuple[MessageView, ...]:
        """The messages that wait, in the order in which they would be handed out."""
        return self._broker.call(
            lambda server: tuple(
                MessageView.of(message)
                for queue in server.directory.queues(server.name(self.name))
                for message in queue.waiting()
            )
        )

    @property
    def subscriptions(self) -> tuple[SubscriptionView, ...]:
        """The durable subscriptions to a topic."""
        return self._broker.call(
            lambda server: tuple(
                SubscriptionView(found.container_id, found.name, bool(queue.consumers), queue.depth, queue.unsettled)
                for queue in server.directory.queues(server.name(self.name))
                if (found := queue.subscription) is not None
            )
        )

    @property
    def counters(self) -> Counters:
        """Counts of what has happened on it."""
        return self._broker.call(lambda server: server.directory.counters(server.name(self.name)))

    def purge(self) -> int:
        """Drop the messages that wait, and return how many there were."""
        return self._sum(lambda queue: queue.purge())

    def _sum(self, number: Callable[[Queue], int]) -> int:
        return self._broker.call(
            lambda server: sum(number(queue) for queue in server.directory.queues(server.name(self.name)))
        )
