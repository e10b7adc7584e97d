"""What to write instead, for errors whose own words don't tell. Imports nothing but the standard library and `engine`.

RabbitMQ has addresses of a form of its own, and says of any other one no more than that it is bad: in the terms of its
program ("{amqp_address_v1_not_permitted,{utf8,<<"q1">>}}"), by which such an error is told from another broker's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...engine import Engine

_QUEUE_4 = 'write //queues/NAME behind the host of an amqp:// URL, or node="/queues/NAME"'
_QUEUE_3 = 'write //queue/NAME behind the host of an amqp:// URL, or node="/queue/NAME"'
_EXCHANGE_4 = "/exchanges/NAME or /exchanges/NAME/KEY"

#: What the error says, and the hint for it.
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
_HINTS_3 = (
    (
        r"unknown_destination|\{invalid_destination|\{address_not_utf8_string",
        f"RabbitMQ 3 knows a queue as /queue/NAME: {_QUEUE_3}. To send to an exchange: /exchange/NAME/KEY.",
    ),
    (r"^NOT_FOUND - no queue '.*' in vhost '", f"For a queue that is made with its first use {_QUEUE_3}."),
    (r"^NOT_FOUND - no exchange '.*' in vhost '", f"Declare it first. For a queue {_QUEUE_3}."),
)


def address_hint(engine: Engine | None, description: str | None) -> str:
    """Return what to write instead, if the error's description is that of an address at RabbitMQ; else "".

    `engine` is that of the connection: its peer may have said that it isn't RabbitMQ, or which version it is.
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
    """Product and version in the peer's open, empty where it doesn't say."""
    remote = engine.remote_open if engine is not None else None
    properties: Any = (remote.properties if remote is not None else None) or {}
    return str(properties.get("product", "")), str(properties.get("version", ""))
