"""What an end or a refusal means: whether another try is worthwhile, whose fault it is, where to go instead.

An AMQP error condition says what happened, to endpoints and messages alike. What to do about it is decided here, once
for all fronts:

* *Permanent* means that another try has the same result. Something has to change first: the address, the credentials,
  the size of a message, the request. The conditions are `NOT_WORTH_RETRYING`; unknown ones, which brokers make up, and
  an end without one count as temporary.
* A broken transport and a silent peer say nothing about the request: they are always temporary, whatever condition the
  peer was sent.
* A link, session or connection may have ended because of one of the messages under way over it, unless its condition
  names another reason: `NO_MESSAGES_FAULT`.

What follows from that, exceptions, retries, log lines, is the front's business.
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
"""The conditions that another try would meet again."""

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
"""The conditions with which a peer ends a link, a session or a connection whatever was sent over it."""

_GONE = frozenset((conditions.NOT_FOUND, conditions.RESOURCE_DELETED))

_REDIRECTS = frozenset((conditions.CONNECTION_REDIRECT, conditions.LINK_REDIRECT))

_PEERS_FAULT = NO_MESSAGES_FAULT | {conditions.INTERNAL_ERROR, conditions.RESOURCE_LOCKED}
"""Conditions whose reason is on the peer's side: its operator, its other clients, itself."""

_OUR_FAULT = (
    NOT_WORTH_RETRYING
    | {
        conditions.TRANSFER_LIMIT_EXCEEDED,
        TransactionError.TRANSACTION_ROLLBACK,
        TransactionError.TRANSACTION_TIMEOUT,
    }
) - _PEERS_FAULT
"""Conditions caused by something that we did or asked for, even if another try may succeed."""


class Fault(enum.Enum):
    """The side that has caused a failure, and can fix it."""

    OURS = "ours"
    """Ours: the application asked for something that doesn't exist or isn't allowed, or this library has a bug."""
    PEER = "peer"
    """The peer's: its operator, another of its clients or a bug, or nobody knows."""
    NETWORK = "network"
    """The network's: the transport broke, or the peer fell silent."""


@dataclass(slots=True, frozen=True)
class Redirect:
    """The place where a peer says that a connection or a node is instead (sections 2.8.16 and 2.8.18).

    Attributes:
        host: the host to connect to (network-host); None if the peer names none.
        port: its port; None if the peer names none.
        hostname: what to put into the open there; None if the peer names none.
        address: of the node there; None if the peer names none.
    """

    host: str | None = None
    port: int | None = None
    hostname: str | None = None
    address: str | None = None

    @classmethod
    def of(cls, info: Mapping[Any, Any] | None) -> Redirect:
        """Return the redirect in an error's info map; values of the wrong type count as missing."""
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
    """The meaning of an end or a refusal.

    Attributes:
        condition: the AMQP error condition; None if there is none. For a silent peer it is amqp:internal-error.
        description: the peer's own words, or ours if it said nothing; None if it gave only a condition.
        info: what the peer added; None if nothing.
        fault: the side that caused it.
        is_permanent: whether another try would have the same result.
        may_be_a_messages: whether the peer may have ended it because of one of the messages under way.
    """

    condition: Symbol | None
    description: str | None
    info: Mapping[Any, Any] | None
    fault: Fault
    is_permanent: bool = False
    may_be_a_messages: bool = False

    @classmethod
    def of(cls, cause: Cause) -> Failure:
        """Return the meaning of the end of a connection, a session or a link."""
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
        """Return the meaning of an error in the peer's close, end or detach, or in its rejection of a message.

        Args:
            error: the error; None if the peer gave none.
            otherwise: the description to use without an error.
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
        """Whether our identity or our rights were refused, so that other credentials or more rights may help."""
        return self.condition == conditions.UNAUTHORIZED_ACCESS

    @property
    def is_gone(self) -> bool:
        """Whether what was asked for doesn't exist, or no longer does."""
        return self.condition in _GONE

    @property
    def redirect(self) -> Redirect | None:
        """Where to go instead; None if the peer doesn't say so."""
        return Redirect.of(self.info) if self.condition in _REDIRECTS else None
