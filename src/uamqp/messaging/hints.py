"""What to write instead, for errors whose own text doesn't tell."""

from __future__ import annotations

from ..core.complaints import Complaint, complaint_of, is_version_3

CREDENTIALS = "Pass credentials= that the server takes, such as Plain(user, password), or a URL with user and password."
CERTIFICATE = (
    "Pass tls= with an ssl.SSLContext that trusts the certificate, or server_hostname= if it is for another name."
)
UNROUTABLE = "RabbitMQ releases a message if no queue is bound for it: look at the exchange, its bindings and the key."

_QUEUE = 'a queue is rabbitmq.queue("NAME"), which is "/queues/NAME", percent-encoded'
_EXCHANGE = 'an exchange is rabbitmq.exchange("NAME", "KEY")'

_RABBITMQ_4 = {
    Complaint.BAD_ADDRESS: f"RabbitMQ 4 has addresses of its own: {_QUEUE}, and {_EXCHANGE}.",
    Complaint.NO_QUEUE: "Declare it first: RabbitMQ 4 makes no queue for its address.",
    Complaint.NO_EXCHANGE: "Declare it first.",
    Complaint.NO_TO: f"Without an address for the link, each message needs its `to`: {_QUEUE}, and {_EXCHANGE}.",
    Complaint.BAD_TO: f"It is the `to` of a message that is wrong: {_QUEUE}, and {_EXCHANGE}.",
}
_RABBITMQ_3 = {
    Complaint.BAD_ADDRESS: (
        "RabbitMQ 3 has addresses of its own: a queue is /queue/NAME, and an exchange is /exchange/NAME/KEY."
    ),
    Complaint.NO_QUEUE: "A queue that is made with its first use is /queue/NAME.",
    Complaint.NO_EXCHANGE: "Declare it first.",
}


def address_hint(description: str | None, product: str = "", version: str = "") -> str:
    """Return what to write instead if the description is RabbitMQ's for a bad address; otherwise "".

    Args:
        description: the error's.
        product: what the peer says that it is; empty if it doesn't say.
        version: the peer's version, likewise.
    """
    complaint = complaint_of(description, product, version)
    return "" if complaint is None else (_RABBITMQ_3 if is_version_3(version) else _RABBITMQ_4)[complaint]


LOST = "It isn't restored: connect again."
"""What to do about a lost connection."""
