"""Hints on what to write instead, for errors whose own text doesn't tell.

RabbitMQ has its own form of addresses, and says of any other no more than that it is bad, in its program's terms
("{amqp_address_v1_not_permitted,{utf8,<<"q1">>}}"), which distinguish the error from another broker's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...engine import Engine

_QUEUE_4 = 'write //queues/NAME behind the host of an amqp:// URL, or node="/queues/NAME"'
_QUEUE_3 = 'write //queue/NAME behind the host of an amqp:// URL, or node="/queue/NAME"'
_EXCHANGE_4 = "/exchanges/NAME or /exchanges/NAME/KEY"

_HINTS_4 = (
    (
        r"amqp_address_v1_not_permitted|unknown_destination|\{bad_address|rabbit_amqp_session,ensure_terminus",
        f"RabbitMQ 4 knows a queue as /queues/NAME, percent-encoded: {_QUEUE_4}. To send to an exchange:"
        f" {_EXCHANGE_4}.",
    ),
    (
        r"^no queue '.*' in vhost '",
        f"RabbitMQ 4 makes no queue for its address: declare it first. For another one {_QUEUE_4}.",
    ),
    (r"^no exchange '.*' in vhost '", f"Declare it first. For a queue {_QUEUE_4}."),
    (
        r"^anonymous terminus requires 'to' address",
        f"There was no address. For a queue {_QUEUE_4}; or set `to` in the properties of each message.",
    ),
    (
        r"^bad 'to' address string",
        f"The `to` of a message must be /queues/NAME, {_EXCHANGE_4}, percent-encoded. For one queue {_QUEUE_4}.",
    ),
)
"""Patterns of the error's description, and the hint for each."""
_HINTS_3 = (
    (
        r"unknown_destination|\{invalid_destination|\{address_not_utf8_string",
        f"RabbitMQ 3 knows a queue as /queue/NAME: {_QUEUE_3}. To send to an exchange: /exchange/NAME/KEY.",
    ),
    (r"^NOT_FOUND - no queue '.*' in vhost '", f"For a queue that is made with its first use {_QUEUE_3}."),
    (r"^NOT_FOUND - no exchange '.*' in vhost '", f"Declare it first. For a queue {_QUEUE_3}."),
)


def address_hint(engine: Engine | None, description: str | None) -> str:
    """Return what to write instead if the description is RabbitMQ's for a bad address; otherwise "".

    Args:
        engine: the connection's, whose peer may have said that it isn't RabbitMQ, or which version it is.
        description: the error's.
    """
    if not description:
        return ""
    product, version = _peer(engine)
    if product and "RabbitMQ" not in product:
        return ""
    for pattern, hint in _HINTS_3 if version.startswith("3.") else _HINTS_4:
        if re.search(pattern, description, re.DOTALL):
            return hint
    return ""


def _peer(engine: Engine | None) -> tuple[str, str]:
    """Return the product and version in the peer's open, empty if missing."""
    remote = engine.remote_open if engine is not None else None
    properties: Any = (remote.properties if remote is not None else None) or {}
    return str(properties.get("product", "")), str(properties.get("version", ""))
