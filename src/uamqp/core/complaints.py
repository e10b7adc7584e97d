"""What RabbitMQ's complaints about addresses mean.

It has its own form of addresses, and says of any other no more than that it is bad, in its program's terms
("{amqp_address_v1_not_permitted,{utf8,<<"q1">>}}"), which distinguish the error from another broker's.
"""

from __future__ import annotations

import enum
import re


class Complaint(enum.Enum):
    """What is wrong."""

    BAD_ADDRESS = "bad address"
    """The address doesn't have the form that this version knows."""
    NO_QUEUE = "no queue"
    """There is no such queue, and none is made for its address."""
    NO_EXCHANGE = "no exchange"
    """There is no such exchange."""
    NO_TO = "no to"
    """A link without an address needs one in each message."""
    BAD_TO = "bad to"
    """The address in a message doesn't have the form that this version knows."""


_VERSION_4 = (
    (
        r"amqp_address_v1_not_permitted|unknown_destination|\{bad_address|rabbit_amqp_session,ensure_terminus",
        Complaint.BAD_ADDRESS,
    ),
    (r"^no queue '.*' in vhost '", Complaint.NO_QUEUE),
    (r"^no exchange '.*' in vhost '", Complaint.NO_EXCHANGE),
    (r"^anonymous terminus requires 'to' address", Complaint.NO_TO),
    (r"^bad 'to' address string", Complaint.BAD_TO),
)
_VERSION_3 = (
    (r"unknown_destination|\{invalid_destination|\{address_not_utf8_string", Complaint.BAD_ADDRESS),
    (r"^NOT_FOUND - no queue '.*' in vhost '", Complaint.NO_QUEUE),
    (r"^NOT_FOUND - no exchange '.*' in vhost '", Complaint.NO_EXCHANGE),
)


def is_version_3(version: str) -> bool:
    """Return whether a version of RabbitMQ has the addresses of version 3; without one, it counts as version 4."""
    return version.startswith("3.")


def complaint_of(description: str | None, product: str, version: str) -> Complaint | None:
    """Return what the description of an error complains of.

    Args:
        description: the error's.
        product: what the peer says that it is in its open; empty if it doesn't say, and so may be RabbitMQ.
        version: the peer's version; empty if it doesn't say.

    Returns:
        None if it isn't one of RabbitMQ's about an address.
    """
    if not description or (product and "RabbitMQ" not in product):
        return None
    for pattern, complaint in _VERSION_3 if is_version_3(version) else _VERSION_4:
        if re.search(pattern, description, re.DOTALL):
            return complaint
    return None
