"""What it means that something ended or was refused: is another try worth it, whose fault is it, where to go instead.

An AMQP error condition says what happened, for endpoints and messages alike. What to do about it is decided here, once
for every front:

* *permanent*: the same again meets with the same. Somebody has to change something first: the address, the credentials,
  the size of a message, what is asked for. The conditions are `NOT_WORTH_RETRYING`; those that nobody knows, which
  brokers make up, and an end without any count as temporary.
* A transport that broke and a peer that fell silent say nothing of what was asked for: always temporary, whatever
  condition went out to the peer over it.
* A link, session or connection may have ended because of one of the messages that were under way over it, unless its
  condition says that it was for another reason: `NO_MESSAGES_FAULT`.

What becomes of all this, exceptions, retries, log lines, is the front's business.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..codec import Error, Symbol
from ..codec.definitions import TransactionError
from ..engine import Cause, CauseKind, conditions

NOT_WORTH_RETRYING = frozenset(
    (
        conditions.NOT_FOUND,
        conditions.UNAUTHORIZED_ACCESS,
        conditions.DECODE_ERROR,
        conditions.RESOURCE_LIMIT_EXCEEDED,
        conditions.NOT_ALLOWED,
        conditions.INVALID_FIELD,
        conditions.NOT_IMPLEMENTED,
        conditions.PRECONDITION_FAILED,
        conditions.RESOURCE_DELETED,
        conditions.ILLEGAL_STATE,
        conditions.FRAME_SIZE_TOO_SMALL,
        conditions.FRAMING_ERROR,
        conditions.CONNECTION_REDIRECT,
        conditions.WINDOW_VIOLATION,
        conditions.ERRANT_LINK,
        conditions.HANDLE_IN_USE,
        conditions.UNATTACHED_HANDLE,
        conditions.MESSAGE_SIZE_EXCEEDED,
        conditions.LINK_REDIRECT,
        conditions.STOLEN,
        TransactionError.UNKNOWN_ID,
    )
)
"""Conditions that the same again meets with, too."""

NO_MESSAGES_FAULT = frozenset(
    (
        conditions.RESOURCE_DELETED,
        conditions.CONNECTION_FORCED,
        conditions.CONNECTION_REDIRECT,
        conditions.DETACH_FORCED,
        conditions.LINK_REDIRECT,
        conditions.STOLEN,
    )
)
"""Conditions with which a peer ends a link, a session or a connection, whatever is sent over it."""

_GONE = frozenset((conditions.NOT_FOUND, conditions.RESOURCE_DELETED))

_REDIRECTS = frozenset((conditions.CONNECTION_REDIRECT, conditions.LINK_REDIRECT))

# What has its reason on the peer's side: its operator, its other clients, itself.
_PEERS_FAULT = NO_MESSAGES_FAULT | {conditions.INTERNAL_ERROR, conditions.RESOURCE_LOCKED}

# What the peer does over something that we did or asked for, also where another try may go well.
_OUR_FAULT = (
    NOT_WORTH_RETRYING
    | {
        conditions.TRANSFER_LIMIT_EXCEEDED,
        TransactionError.TRANSACTION_ROLLBACK,
        TransactionError.TRANSACTION_TIMEOUT,
    }
) - _PEERS_FAULT


class Fault(enum.Enum):
    """On which side the reason is, and so who can mend it."""

    OURS = "ours"
    """On this side: the application asked for what there isn't or what it may not have, or this library did wrong."""
    PEER = "peer"
    """On the other side: its operator, another of its clients, a fault of its own, or nobody knows."""
    NETWORK = "network"
    """Between the two: the transport broke, or nothing was heard any more."""


@dataclass(slots=True, frozen=True)
class Redirect:
    """Where a peer says that a connection or a node is instead (sections 2.8.16 and 2.8.18).

    Attributes:
        host: the host to connect to (network-host); None: the peer names none.
        port: its port; None: the peer names none.
        hostname: what goes into the open there; None: the peer names none.
        address: of the node there; None: the peer names none.
    """

    host: str | None = None
    port: int | None = None
    hostname: str | None = None
    address: str | None = None

    @classmethod
    def of(cls, info: Mapping[Any, Any] | None) -> Redirect:
        """Return what an error's info map says; what is of another type than it should be counts as missing."""
        fields = info or {}
        return cls(
            _text(fields.get("network-host")),
            _port(fields.get("port")),
            _text(fields.get("hostname")),
            _text(fields.get("address")),
        )


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str) and value else None


def _port(value: object) -> int | None:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535 else None


@dataclass(slots=True, frozen=True)
class Failure:
    """What an end or a refusal means.

    Attributes:
        condition: the AMQP error condition that tells; None: there is none. For a peer that fell silent it is
            amqp:internal-error.
        description: the peer's own words, or ours where it said nothing; None: the peer gave a condition alone.
        info: what the peer added to it; None: nothing.
        fault: on which side the reason is.
        is_permanent: the same again meets with the same.
        may_be_a_messages: it may be one of the messages that were under way for which the peer ended it.
    """

    condition: Symbol | None
    description: str | None
    info: Mapping[Any, Any] | None
    fault: Fault
    is_permanent: bool = False
    may_be_a_messages: bool = False

    @classmethod
    def of(cls, cause: Cause) -> Failure:
        """Return what the end of a connection, a session or a link means."""
        kind, condition, text = cause.kind, cause.condition, cause.message
        if kind is CauseKind.PEER:
            return cls.of_error(cause.error, text)
        if kind is CauseKind.TRANSPORT:
            return cls(None, text, None, Fault.NETWORK)
        if kind is CauseKind.TIMEOUT:
            return cls(conditions.INTERNAL_ERROR, text, None, Fault.NETWORK)
        if kind is CauseKind.SASL:
            fault = Fault.OURS if condition == conditions.UNAUTHORIZED_ACCESS else Fault.PEER
        else:
            fault = Fault.PEER if kind is CauseKind.PROTOCOL else Fault.OURS
        return cls(condition, text, None, fault, condition in NOT_WORTH_RETRYING)

    @classmethod
    def of_error(cls, error: Error | None, otherwise: str) -> Failure:
        """Return what an error of the peer means: of a close, end or detach, or of a message that it rejected.

        Args:
            error: the error; None: the peer gave none.
            otherwise: the description where there is no error.
        """
        if error is None:
            return cls(None, otherwise, None, Fault.PEER)
        condition = error.condition
        return cls(
            condition,
            error.description,
            error.info,
            Fault.OURS if condition in _OUR_FAULT else Fault.PEER,
            condition in NOT_WORTH_RETRYING,
            condition not in NO_MESSAGES_FAULT,
        )

    @property
    def is_unauthorized(self) -> bool:
        """Who we are, or what we may do, was refused: other credentials may help, or a grant."""
        return self.condition == conditions.UNAUTHORIZED_ACCESS

    @property
    def is_gone(self) -> bool:
        """What was asked for isn't there, or isn't there any more."""
        return self.condition in _GONE

    @property
    def redirect(self) -> Redirect | None:
        """Where to go instead; None: the peer didn't say that it is elsewhere."""
        return Redirect.of(self.info) if self.condition in _REDIRECTS else None
