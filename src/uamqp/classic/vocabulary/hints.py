"""Hints on what to write instead, for errors whose own text doesn't tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.complaints import Complaint, complaint_of, is_version_3

if TYPE_CHECKING:
    from ...engine import Engine

_QUEUE_4 = 'write //queues/NAME behind the host of an amqp:// URL, or node="/queues/NAME"'
_QUEUE_3 = 'write //queue/NAME behind the host of an amqp:// URL, or node="/queue/NAME"'
_EXCHANGE_4 = "/exchanges/NAME or /exchanges/NAME/KEY"

_HINTS_4 = {
    Complaint.BAD_ADDRESS: (
        f"RabbitMQ 4 knows a queue as /queues/NAME, percent-encoded: {_QUEUE_4}. To send to an exchange: {_EXCHANGE_4}."
    ),
    Complaint.NO_QUEUE: (f"RabbitMQ 4 makes no queue for its address: declare it first. For another one {_QUEUE_4}."),
    Complaint.NO_EXCHANGE: f"Declare it first. For a queue {_QUEUE_4}.",
    Complaint.NO_TO: (f"There was no address. For a queue {_QUEUE_4}; or set `to` in the properties of each message."),
    Complaint.BAD_TO: (
        f"The `to` of a message must be /queues/NAME, {_EXCHANGE_4}, percent-encoded. For one queue {_QUEUE_4}."
    ),
}
_HINTS_3 = {
    Complaint.BAD_ADDRESS: (
        f"RabbitMQ 3 knows a queue as /queue/NAME: {_QUEUE_3}. To send to an exchange: /exchange/NAME/KEY."
    ),
    Complaint.NO_QUEUE: f"For a queue that is made with its first use {_QUEUE_3}.",
    Complaint.NO_EXCHANGE: f"Declare it first. For a queue {_QUEUE_3}.",
}


def address_hint(engine: Engine | None, description: str | None) -> str:
    """Return what to write instead if the description is RabbitMQ's for a bad address; otherwise "".

    Args:
        engine: the connection's, whose peer may have said that it isn't RabbitMQ, or which version it is.
        description: the error's.
    """
    product, version = _peer(engine)
    complaint = complaint_of(description, product, version)
    return "" if complaint is None else (_HINTS_3 if is_version_3(version) else _HINTS_4)[complaint]


def _peer(engine: Engine | None) -> tuple[str, str]:
    """Return the product and version in the peer's open, empty if missing."""
    remote = engine.remote_open if engine is not None else None
    properties: Any = (remote.properties if remote is not None else None) or {}
    return str(properties.get("product", "")), str(properties.get("version", ""))
