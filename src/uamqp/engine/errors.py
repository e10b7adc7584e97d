"""The engine's errors: misuse by its caller, and the causes that end an endpoint."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..codec import Error, Symbol
from ..codec.text import shortened

if TYPE_CHECKING:
    from .link import Link


MAX_DESCRIPTION = 300
"""Maximum bytes of a description in an error of ours, which has to fit into the smallest frame (section 2.7.1)."""


def wire_error(condition: Symbol, text: str) -> Error:
    """Return an error for the wire. Texts quote the peer, which could make them any length, so they are cut."""
    return Error(condition, text.encode("utf-8", "replace")[:MAX_DESCRIPTION].decode("utf-8", "ignore"))


class LocalProtocolError(Exception):
    """The engine's user asked for something that AMQP doesn't allow at this point. Nothing was changed."""


class MessageTooLarge(LocalProtocolError):
    """A message exceeds the peer's max-message-size for the link (section 2.7.3). Nothing was sent."""


class PeerError(Exception):
    """An error of the peer's, on its way to the endpoint that it ends. It never leaves the engine.

    Args:
        condition: the error condition that goes out on the wire.
        description: what was wrong, in words.
    """

    def __init__(self, condition: Symbol, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


class SessionError(PeerError):
    """An error of the peer's that ends only the session."""


class LinkError(PeerError):
    """An error of the peer's that detaches only the link."""

    def __init__(self, link: Link, condition: Symbol, description: str) -> None:
        super().__init__(condition, description)
        self.link = link


class CauseKind(enum.Enum):
    """Who or what ended an endpoint."""

    PEER = "peer"
    """The peer asked for it, by a close, end or detach."""
    PROTOCOL = "protocol"
    """The peer broke the protocol; we ended it."""
    SASL = "sasl"
    """The SASL layer failed: no common mechanism, or refused credentials."""
    TIMEOUT = "timeout"
    """The peer didn't answer, or was silent, for longer than the configuration allows."""
    TRANSPORT = "transport"
    """The transport ended without a close."""
    LOCAL = "local"
    """Our own side ended it."""


@dataclass(slots=True, frozen=True)
class Cause:
    """Why an endpoint ended. The first cause is kept, and passed down from connection to session to link.

    Attributes:
        kind: who or what ended it.
        error: the AMQP error; None if the peer gave none.
        message: the same in words; very long texts of the peer's are cut. It never contains credentials.
        exception: the exception that our own code raised, if that is the cause. It shows a bug in this library, or in
            an object passed to it: code that handles `ConnectionClosed` should raise it or log it with its traceback.
    """

    kind: CauseKind
    error: Error | None
    message: str
    exception: BaseException | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shortened(self.message))

    def __repr__(self) -> str:  # the peer's error may have any length
        return f"Cause({self.kind.name}, {self.condition!r:.100}, {self.message!r})"

    @property
    def condition(self) -> Symbol | None:
        """The error condition, or None if there is none."""
        return self.error.condition if self.error is not None else None

    @classmethod
    def from_peer(cls, error: Error | None, performative: str) -> Cause:
        """Return the cause that a close, end or detach of the peer's stands for."""
        if error is None:
            return cls(CauseKind.PEER, None, f"the peer sent {performative} without an error")
        text = f"the peer sent {performative}: {error.condition:.100}"
        return cls(CauseKind.PEER, error, f"{text}: {error.description}" if error.description else text)

    @classmethod
    def make(
        cls, kind: CauseKind, condition: Symbol, description: str, exception: BaseException | None = None
    ) -> Cause:
        """Return a cause that was found on our side."""
        return cls(kind, wire_error(condition, description), description, exception)
