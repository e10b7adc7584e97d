"""What an engine tells its user, in the order in which it happened.

Two classes of `uamqp.engine.delivery` are events as well, so that no message costs an object more:
`IncomingDelivery` (a whole message arrived) and `OutgoingDelivery` (its fate changed).
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

    def __repr__(self) -> str:  # the response may hold a password
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
    """The session is over. Each of its links has had its `LinkDetached` before. `cause` is None for an end of ours."""

    session: Session
    cause: Cause | None


@dataclass(slots=True, frozen=True)
class LinkOpening:
    """The peer attached a link. Answer with `Link.accept` or `Link.refuse`."""

    link: Link


@dataclass(slots=True, frozen=True)
class LinkOpened:
    """Both sides have attached. A link that the peer refuses comes without its terminus, and is detached next."""

    link: Link


@dataclass(slots=True, frozen=True)
class LinkDetached:
    """The link is gone. `cause` is None for a detach of ours that the peer has answered.

    `closed` tells whether the peer closed the link, rather than suspended it.
    """

    link: Link
    cause: Cause | None
    closed: bool


@dataclass(slots=True, frozen=True)
class CreditChanged:
    """The receiver gave credit, took it back, or asks to drain (`Sender.drain`); or deliveries have left the queue of
    a sender whose user has asked to hear of it (`Sender.ask_for_room`).
    """

    sender: Sender


@dataclass(slots=True, frozen=True)
class ReceiverDrained:
    """The sender answered our drain: no credit is left, and nothing more comes until some is given."""

    receiver: Receiver


@dataclass(slots=True, frozen=True)
class IncomingSettled:
    """The sender settled a delivery that we had given an outcome (rcv-settle-mode second)."""

    delivery: IncomingDelivery


@dataclass(slots=True, frozen=True)
class FlowProperties:
    """A flow of the peer carries properties (section 2.7.4). What else it says of the link has been applied before.

    `link` is None for a flow of the session alone.
    """

    session: Session
    link: Link | None
    properties: dict[Symbol, Any]

    def __repr__(self) -> str:
        return f"FlowProperties({self.link or self.session!r}, {shortened(repr(self.properties))})"


@dataclass(slots=True, frozen=True)
class ConnectionClosed:
    """The end, always the last event. `cause` is None for a close of ours that the peer has answered."""

    cause: Cause | None


Event: TypeAlias = (
    "IncomingDelivery | OutgoingDelivery | SaslInit | SaslResponse | ConnectionOpening | ConnectionOpened"
    " | SessionOpening | SessionOpened | SessionEnded | LinkOpening | LinkOpened | LinkDetached | CreditChanged"
    " | ReceiverDrained | IncomingSettled | FlowProperties | ConnectionClosed"
)
