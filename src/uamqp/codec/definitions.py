"""Shared definitions: roles, settle modes, error conditions, the error composite.

See sections 2.8 and 4.5.8 of the AMQP 1.0 specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from .composites import Composite, Field, register
from .values import Symbol

ROLE_SENDER = False
ROLE_RECEIVER = True


class SenderSettleMode(IntEnum):
    """snd-settle-mode (section 2.8.2)."""

    UNSETTLED = 0
    SETTLED = 1
    MIXED = 2


class ReceiverSettleMode(IntEnum):
    """rcv-settle-mode (section 2.8.3)."""

    FIRST = 0
    SECOND = 1


class AmqpError:
    """Conditions of any endpoint (section 2.8.15)."""

    INTERNAL_ERROR = Symbol("amqp:internal-error")
    NOT_FOUND = Symbol("amqp:not-found")
    UNAUTHORIZED_ACCESS = Symbol("amqp:unauthorized-access")
    DECODE_ERROR = Symbol("amqp:decode-error")
    RESOURCE_LIMIT_EXCEEDED = Symbol("amqp:resource-limit-exceeded")
    NOT_ALLOWED = Symbol("amqp:not-allowed")
    INVALID_FIELD = Symbol("amqp:invalid-field")
    NOT_IMPLEMENTED = Symbol("amqp:not-implemented")
    RESOURCE_LOCKED = Symbol("amqp:resource-locked")
    PRECONDITION_FAILED = Symbol("amqp:precondition-failed")
    RESOURCE_DELETED = Symbol("amqp:resource-deleted")
    ILLEGAL_STATE = Symbol("amqp:illegal-state")
    FRAME_SIZE_TOO_SMALL = Symbol("amqp:frame-size-too-small")


class ConnectionError:  # noqa: A001 (the name that the specification gives it)
    """Conditions of a connection (section 2.8.16)."""

    CONNECTION_FORCED = Symbol("amqp:connection:forced")
    FRAMING_ERROR = Symbol("amqp:connection:framing-error")
    REDIRECT = Symbol("amqp:connection:redirect")


class SessionError:
    """Conditions of a session (section 2.8.17)."""

    WINDOW_VIOLATION = Symbol("amqp:session:window-violation")
    ERRANT_LINK = Symbol("amqp:session:errant-link")
    HANDLE_IN_USE = Symbol("amqp:session:handle-in-use")
    UNATTACHED_HANDLE = Symbol("amqp:session:unattached-handle")


class LinkError:
    """Conditions of a link (section 2.8.18)."""

    DETACH_FORCED = Symbol("amqp:link:detach-forced")
    TRANSFER_LIMIT_EXCEEDED = Symbol("amqp:link:transfer-limit-exceeded")
    MESSAGE_SIZE_EXCEEDED = Symbol("amqp:link:message-size-exceeded")
    REDIRECT = Symbol("amqp:link:redirect")
    STOLEN = Symbol("amqp:link:stolen")


class TransactionError:
    """Conditions of a transaction (section 4.5.8)."""

    UNKNOWN_ID = Symbol("amqp:transaction:unknown-id")
    TRANSACTION_ROLLBACK = Symbol("amqp:transaction:rollback")
    TRANSACTION_TIMEOUT = Symbol("amqp:transaction:timeout")


@register
@dataclass(slots=True)
class Error(Composite):
    """Details of an error (section 2.8.14)."""

    DESCRIPTOR: ClassVar[int] = 0x1D
    NAME: ClassVar[str] = "amqp:error:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("error",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("condition", "symbol", mandatory=True, requires="error-condition"),
        Field("description", "string"),
        Field("info", "fields"),
    )

    condition: Symbol
    description: str | None = None
    info: dict[Any, Any] | None = None
