"""What a test may have a say in, so that the embedded broker can stand in for a service of its own kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..codec import Error


@dataclass(slots=True)
class AttachRequest:
    """A client's attach, before it is answered.

    Fields:
        name: of the link.
        address: of the node, as the client gave it; None: it gave none.
        sends: the client wants to send.
        properties: of the link, by name.
        filters: of the source, by name: the values, without their descriptors.
        desired_capabilities: extensions that the client asks for.
        container_id: of the client's open.
    """

    name: str
    address: str | None
    sends: bool
    properties: dict[str, Any]
    filters: dict[str, Any]
    desired_capabilities: tuple[str, ...]
    container_id: str


@dataclass(slots=True)
class AttachAnswer:
    """How a client's attach is answered.

    Fields:
        node: the queue or topic that the link is for; None: what the client's address means.
        properties: of the answer.
        filters: that are granted, by name: what the answer's source says.
        offered_capabilities: extensions that are granted.
        max_message_size: bytes; None: the broker's.
        steals: detach other links to this node of the same direction first (amqp:link:stolen).
    """

    node: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, Any] = field(default_factory=dict)
    offered_capabilities: tuple[str, ...] = ()
    max_message_size: int | None = None
    steals: bool = False


@dataclass(slots=True)
class Hooks:
    """Functions of a test's. They run in the broker's thread and must not wait for anything.

    Fields:
        on_attach: called with each attach to a queue or topic. It returns an error to refuse it, an `AttachAnswer`, or
            None for the usual course.
        on_store: called with the name of the node and each encoded message that comes in; it returns the message to
            keep, or several, or None for the message as it is.
        on_tag: called with the name of the node and each encoded message that goes out; it returns the delivery-tag, or
            None for the usual one.
    """

    on_attach: Callable[[AttachRequest], AttachAnswer | Error | None] | None = None
    on_store: Callable[[str, bytes], bytes | list[bytes] | None] | None = None
    on_tag: Callable[[str, bytes], bytes | None] | None = None
