"""What can go wrong in the engine: misuse by its caller, and the cause that ends an endpoint."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..codec import Error, Symbol
from ..codec.text import shortened

if TYPE_CHECKING:
    from .link import Link


MAX_DESCRIPTION = 300
"""Bytes of a description that go out in an error of ours: it has to fit into the smallest frame of section 2.7.1."""


def wire_error(condition: Symbol, text: str) -> Error:
    """Return an error for the wire. Texts quote what the peer sent, so their length is the peer's choice: it is cut."""
    return Error(condition, text.encode("utf-8", "replace")[:MAX_DESCRIPTION].decode("utf-8", "ignore"))


class LocalProtocolError(Exception):
    """The engine's user asked for something that AMQP doesn't allow now. Nothing was changed."""


class MessageTooLarge(LocalProtocolError):
    """The message is larger than the peer's max-message-size for the link (section 2.7.3). Nothing was sent."""


class PeerError(Exception):
    """A fault of the peer, on its way to the endpoint that it ends. Never leaves the engine.

    Args:
        condition: the error condition that goes out on the wire.
        description: what was wrong, for a person.
    """

    def __init__(self, condition: Symbol, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


class SessionError(PeerError):
    """A fault that ends the session only."""


class LinkError(PeerError):
    """A fault that detaches the link only."""

    def __init__(self, link: Link, condition: Symbol, description: str) -> None:
        super().__init__(condition, description)
        self.link = link


class CauseKind(enum.Enum):
    """Who or what ended an endpoint."""

    PEER = "peer"
    """The peer said so: a close, end or detach."""
    PROTOCOL = "protocol"
    """The peer broke the protocol; we ended it."""
    SASL = "sasl"
    """The SASL layer failed: no common mechanism, or refused credentials."""
    TIMEOUT = "timeout"
    """The peer didn't answer, or fell silent, for longer than the configuration allows."""
    TRANSPORT = "transport"
    """The transport ended without a close."""
    LOCAL = "local"
    """Our own side ended it."""


@dataclass(slots=True, frozen=True)
class Cause:
    """Why an endpoint ended. The first cause is kept, and handed down from connection to session to link.

    Attributes:
        kind: who or what ended it.
        error: the AMQP error; None when the peer gave none.
        message: the same for a person; a very long text of the peer is cut. Never holds credentials.
        exception: what our own code raised, where that is the cause. It is a fault of this library, or of an object
            that it was given: whoever handles `ConnectionClosed` should raise or log it with its traceback.
    """

    kind: CauseKind
    error: Error | None
    message: str
    exception: BaseException | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shortened(self.message))

    def __repr__(self) -> str:  # the error may be as long as the peer likes
        return f"Cause({self.kind.name}, {self.condition!r:.100}, {self.message!r})"

    @property
    def condition(self) -> Symbol | None:
        """The error condition, or None when there is none."""
        return self.error.condition if self.error is not None else None

    @classmethod
    def from_peer(cls, error: Error | None, performative: str) -> Cause:
        """The cause for a close, end or detach of the peer."""
        if error is None:
            return cls(CauseKind.PEER, None, f"the peer sent {performative} without an error")
        text = f"the peer sent {performative}: {error.condition:.100}"
        return cls(CauseKind.PEER, error, f"{text}: {error.description}" if error.description else text)

    @classmethod
    def make(
        cls, kind: CauseKind, condition: Symbol, description: str, exception: BaseException | None = None
    ) -> Cause:
        """A cause found on our side."""
        return cls(kind, wire_error(condition, description), description, exception)
