"""The events that an engine reports to its user, in the order in which they happened.

Two classes of `uamqp.engine.delivery` are events as well, which saves an object per message: `IncomingDelivery`
(all of a message has arrived) and `OutgoingDelivery` (its fate has changed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..codec import Open, Symbol
from ..codec.text import shortened
from .errors import Cause

if TYPE_CHECKING:
    from .delivery import IncomingDelivery, OutgoingDelivery
    from .link import Link
    from .receiver import Receiver
    from .sender import Sender
    from .session import Session


@dataclass(slots=True, frozen=True)
class SaslInit:
    """Server: the client chose a mechanism. Answer with `Engine.sasl_outcome` or `Engine.sasl_challenge`."""

    mechanism: str
    response: bytes | None
    hostname: str | None

    def __repr__(self) -> str:  # the response may contain a password
        return f"SaslInit(mechanism={self.mechanism!r:.100})"


@dataclass(slots=True, frozen=True)
class SaslResponse:
    """Server: the client answered a challenge."""

    response: bytes

    def __repr__(self) -> str:
        return "SaslResponse()"


@dataclass(slots=True, frozen=True)
class ConnectionOpening:
    """Server: the client's open arrived. Answer with `Engine.open`, or with `Engine.close` to refuse."""

    open: Open

    def __repr__(self) -> str:
        return f"ConnectionOpening({shortened(repr(self.open))})"


@dataclass(slots=True, frozen=True)
class ConnectionOpened:
    """Both sides have opened the connection."""

    open: Open

    def __repr__(self) -> str:
        return f"ConnectionOpened({shortened(repr(self.open))})"


@dataclass(slots=True, frozen=True)
class SessionOpening:
    """The peer began a session. Answer with `Session.accept` or `Session.refuse`."""

    session: Session


@dataclass(slots=True, frozen=True)
class SessionOpened:
    """Both sides have begun the session."""

    session: Session


@dataclass(slots=True, frozen=True)
class SessionEnded:
    """The session is over; a `LinkDetached` for each of its links came first. `cause` is None for an end of ours."""

    session: Session
    cause: Cause | None


@dataclass(slots=True, frozen=True)
class LinkOpening:
    """The peer attached a link. Answer with `Link.accept` or `Link.refuse`."""

    link: Link


@dataclass(slots=True, frozen=True)
class LinkOpened:
    """Both sides have attached. If the peer refuses the link, its terminus is missing and a detach follows."""

    link: Link


@dataclass(slots=True, frozen=True)
class LinkDetached:
    """The link is gone. `cause` is None for a detach of ours that the peer has answered.

    `closed` tells whether the peer closed the link instead of suspending it.
    """

    link: Link
    cause: Cause | None
    closed: bool


@dataclass(slots=True, frozen=True)
class CreditChanged:
    """The receiver gave credit, took it back, or asks to drain (`Sender.drain`).

    Deliveries that leave a sender's queue cause it as well if the user asked to hear of that (`Sender.ask_for_room`).
    """

    sender: Sender


@dataclass(slots=True, frozen=True)
class ReceiverDrained:
    """The sender answered our drain: no credit is left, and nothing more arrives until we give some."""

    receiver: Receiver


@dataclass(slots=True, frozen=True)
class IncomingSettled:
    """The sender settled a delivery to which we had given an outcome (rcv-settle-mode second)."""

    delivery: IncomingDelivery


@dataclass(slots=True, frozen=True)
class FlowProperties:
    """A flow of the peer's carries properties (section 2.7.4). The rest of it has already been applied.

    `link` is None for a flow of the session's.
    """

    session: Session
    link: Link | None
    properties: dict[Symbol, Any]

    def __repr__(self) -> str:
        return f"FlowProperties({self.link or self.session!r}, {shortened(repr(self.properties))})"


@dataclass(slots=True, frozen=True)
class ConnectionClosed:
    """The connection is over; always the last event. `cause` is None for a close of ours that the peer answered."""

    cause: Cause | None


Event: TypeAlias = (
    "IncomingDelivery | OutgoingDelivery | SaslInit | SaslResponse | ConnectionOpening | ConnectionOpened"
    " | SessionOpening | SessionOpened | SessionEnded | LinkOpening | LinkOpened | LinkDetached | CreditChanged"
    " | ReceiverDrained | IncomingSettled | FlowProperties | ConnectionClosed"
)
