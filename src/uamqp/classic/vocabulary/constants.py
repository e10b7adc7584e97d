"""Names and numbers of the 1.6 API: states, results, settle modes, error conditions, defaults.

Every enumeration is an ``IntEnum`` whose members are true in a boolean context, even those with the value 0, so that
``state == MessageState.SendComplete``, ``state == 2`` and ``if state:`` all work. No member's number ever goes on the
wire: the wire values of settle modes are in `SENDER_SETTLE_MODE_WIRE` and `RECEIVER_SETTLE_MODE_WIRE`. Members that
come from outside are recognized by their name (`member_of`).

AMQP's own constants are repeated here by 1.6's names, without loading the codec; `tests/test_homes.py` compares them.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TypeVar

__all__ = [
    "AUTH_EXPIRATION_SECS",
    "AUTH_REFRESH_SECS",
    "BATCH_MESSAGE_FORMAT",
    "BODY_TYPE_C_PYTHON_MAP",
    "DEFAULT_AMQPS_PORT",
    "DEFAULT_AMQP_PORT",
    "DEFAULT_AMQP_WSS_PORT",
    "DONE_STATES",
    "ERROR_CONNECTION_REDIRECT",
    "ERROR_LINK_REDIRECT",
    "MAX_FRAME_SIZE_BYTES",
    "MAX_MESSAGE_LENGTH_BYTES",
    "MESSAGE_SEND_RETRIES",
    "MGMT_TARGET",
    "OPERATION",
    "PENDING_STATES",
    "READ_OPERATION",
    "RECEIVER_SETTLE_MODE_WIRE",
    "RECEIVE_STATES",
    "SENDER_SETTLE_MODE_WIRE",
    "STRING_FILTER",
    "CBSAuthStatus",
    "CBSOpenState",
    "CBSOperationResult",
    "ConnectionState",
    "Enum",
    "ErrorCodes",
    "ManagementLinkState",
    "ManagementOperationResult",
    "MessageBodyType",
    "MessageReceiverState",
    "MessageSendResult",
    "MessageSenderState",
    "MessageState",
    "MgmtExecuteResult",
    "MgmtOpenStatus",
    "ReceiverSettleMode",
    "Role",
    "SenderSettleMode",
    "TransportType",
    "member_of",
]

DEFAULT_AMQP_PORT = 5672
DEFAULT_AMQPS_PORT = 5671
DEFAULT_AMQP_WSS_PORT = 443

AUTH_EXPIRATION_SECS = 60 * 60
"""Seconds for which a shared access token is valid."""

AUTH_REFRESH_SECS = 60 * 10
"""Seconds before its end at which a shared access token is renewed."""

MAX_FRAME_SIZE_BYTES = 64 * 1024
"""The default for the largest frame that we accept, in bytes."""

MAX_MESSAGE_LENGTH_BYTES = 1024 * 1024
"""The largest batch that `BatchMessage` builds, in bytes."""

BATCH_MESSAGE_FORMAT = 0x80013700
"""The message-format of a batch: an outer message each of whose data sections contains a whole encoded message."""

STRING_FILTER = b"apache.org:selector-filter:string"
OPERATION = b"operation"
READ_OPERATION = b"READ"
MGMT_TARGET = b"$management"

# Deprecated since 1.6: retries are up to `errors.ErrorPolicy`, conditions are in `ErrorCodes`.
MESSAGE_SEND_RETRIES = 3
ERROR_CONNECTION_REDIRECT = b"amqp:connection:redirect"
ERROR_LINK_REDIRECT = b"amqp:link:redirect"


class _State(IntEnum):
    """An enumeration as in 1.6: members are true, and print as `Class.Member`."""

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)


class MessageState(_State):
    """The state of a message on its way out or in."""

    __module__ = "uamqp.constants"

    WaitingToBeSent = 0
    WaitingForSendAck = 1
    SendComplete = 2
    SendFailed = 3
    ReceivedUnsettled = 4
    ReceivedSettled = 5


DONE_STATES = (MessageState.SendComplete, MessageState.SendFailed)
RECEIVE_STATES = (MessageState.ReceivedSettled, MessageState.ReceivedUnsettled)
PENDING_STATES = (MessageState.WaitingForSendAck, MessageState.WaitingToBeSent)


class MessageSendResult(_State):
    """How sending a message ended; passed to `on_send_complete`."""

    __module__ = "uamqp.constants"

    Ok = 0
    Error = 1
    Timeout = 2
    Cancelled = 3


class MessageSenderState(_State):
    """State of a sending link."""

    __module__ = "uamqp.constants"

    Idle = 0
    Opening = 1
    Open = 2
    Closing = 3
    Error = 4


class MessageReceiverState(_State):
    """State of a receiving link."""

    __module__ = "uamqp.constants"

    Idle = 0
    Opening = 1
    Open = 2
    Closing = 3
    Error = 4


class ConnectionState(_State):
    """The connection states of the specification (section 2.4.6), with 1.6's numbers."""

    __module__ = "uamqp.constants"

    START = 0
    HDR_RCVD = 1
    HDR_SENT = 2
    HDR_EXCH = 3
    OPEN_PIPE = 4
    OC_PIPE = 5
    OPEN_RCVD = 6
    OPEN_SENT = 7
    CLOSE_PIPE = 8
    OPENED = 9
    CLOSE_RCVD = 10
    CLOSE_SENT = 11
    DISCARDING = 12
    END = 13
    ERROR = 14
    UNKNOWN = 999


class TransportType(_State):
    """What AMQP runs over: TCP, with or without TLS, or WebSocket."""

    __module__ = "uamqp.constants"

    Amqp = 0
    AmqpOverWebsocket = 1


class MessageBodyType(_State):
    """The kind of a message's body (section 3.2): data, amqp-value or amqp-sequence sections."""

    __module__ = "uamqp.constants"

    Data = 0
    Value = 1
    Sequence = 2


BODY_TYPE_C_PYTHON_MAP = {2: MessageBodyType.Data, 3: MessageBodyType.Sequence, 4: MessageBodyType.Value}
"""The kinds of body by the numbers of `c_uamqp.MessageBodyType`."""


class SenderSettleMode(_State):
    """snd-settle-mode (section 2.8.2): whether deliveries are sent unsettled, settled, or both."""

    __module__ = "uamqp.constants"

    Unsettled = 0
    Settled = 1
    Mixed = 2


class ReceiverSettleMode(_State):
    """When a received delivery is settled (section 2.8.3).

    `PeekLock`: by the application. `ReceiveAndDelete`: the sender is asked to send settled deliveries. The numbers are
    this library's, not AMQP's: see `RECEIVER_SETTLE_MODE_WIRE`.
    """

    __module__ = "uamqp.constants"

    PeekLock = 0
    ReceiveAndDelete = 1


SENDER_SETTLE_MODE_WIRE = {
    SenderSettleMode.Unsettled: 0,
    SenderSettleMode.Settled: 1,
    SenderSettleMode.Mixed: 2,
}
"""snd-settle-mode as it goes on the wire."""

RECEIVER_SETTLE_MODE_WIRE = {ReceiverSettleMode.PeekLock: 1, ReceiverSettleMode.ReceiveAndDelete: 0}
"""rcv-settle-mode as it goes on the wire: 0 first, 1 second."""


class Role(_State):
    """Our end of a link (section 2.8.1). On the wire, sender is false and receiver true."""

    __module__ = "uamqp.constants"

    Sender = 0
    Receiver = 1


class CBSOperationResult(_State):
    """The result of a put-token request."""

    __module__ = "uamqp.constants"

    Ok = 0
    Error = 1
    OperationFailed = 2
    Timeout = 3
    Closed = 4
    Failed = 2


class CBSOpenState(_State):
    """State of the pair of links to the token node."""

    __module__ = "uamqp.constants"

    Closed = 0
    Opening = 1
    Open = 2
    Error = 3
    Cancelled = 4
    Ok = 2


class CBSAuthStatus(_State):
    """State of the claims-based authentication of a connection."""

    __module__ = "uamqp.constants"

    Idle = 0
    InProgress = 1
    Complete = 2
    Expired = 3
    Error = 4
    RefreshRequired = 5
    Timeout = 6
    Failure = 7
    Ok = 2


class MgmtExecuteResult(_State):
    """Result of a management request."""

    __module__ = "uamqp.constants"

    Ok = 0
    Error = 1
    Timeout = 2
    Failed = 3
    Closed = 4


class MgmtOpenStatus(_State):
    """State of the pair of links to a management node."""

    __module__ = "uamqp.constants"

    Closed = 0
    Opening = 1
    Open = 2
    Error = 3
    Cancelled = 4
    Ok = 2


class ManagementLinkState(_State):
    """The state of a management link; kept for programs written for 1.6."""

    __module__ = "uamqp.constants"

    Ok = 1
    Error = 2
    Cancelled = 3


class ManagementOperationResult(_State):
    """The result of a management operation; kept for programs written for 1.6."""

    __module__ = "uamqp.constants"

    Ok = 1
    Error = 2
    BadStatus = 3
    Closed = 4


class ErrorCodes(str, Enum):
    """The error conditions of AMQP (section 2.8.15 and following), and three of this library's own.

    Members are strings. They can be looked up by `str` and `bytes`: ``ErrorCodes(b"amqp:not-found")``.

    Raises:
        ValueError: the condition is unknown.
    """

    __module__ = "uamqp.constants"

    InternalServerError = "amqp:internal-error"
    IllegalState = "amqp:illegal-state"
    DecodeError = "amqp:decode-error"
    NotFound = "amqp:not-found"
    NotImplemented = "amqp:not-implemented"
    NotAllowed = "amqp:not-allowed"
    InvalidField = "amqp:invalid-field"
    ResourceLocked = "amqp:resource-locked"
    ResourceDeleted = "amqp:resource-deleted"
    UnauthorizedAccess = "amqp:unauthorized-access"
    FrameSizeTooSmall = "amqp:frame-size-too-small"
    ResourceLimitExceeded = "amqp:resource-limit-exceeded"
    PreconditionFailed = "amqp:precondition-failed"

    ConnectionRedirect = "amqp:connection:redirect"
    ConnectionCloseForced = "amqp:connection:forced"
    ConnectionFramingError = "amqp:connection:framing-error"

    SessionWindowViolation = "amqp:session:window-violation"
    SessionErrantLink = "amqp:session:errant-link"
    SessionHandleInUse = "amqp:session:handle-in-use"
    SessionUnattachedHandle = "amqp:session:unattached-handle"

    LinkRedirect = "amqp:link:redirect"
    LinkStolen = "amqp:link:stolen"
    LinkDetachForced = "amqp:link:detach-forced"
    LinkTransferLimitExceeded = "amqp:link:transfer-limit-exceeded"
    LinkMessageSizeExceeded = "amqp:link:message-size-exceeded"

    ClientError = "amqp:client-error"
    UnknownError = "amqp:unknown-error"
    VendorError = "amqp:vendor-error"

    def __str__(self) -> str:
        return f"ErrorCodes.{self.name}"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)

    @classmethod
    def _missing_(cls, value: object) -> ErrorCodes | None:
        if isinstance(value, (bytes, bytearray)):
            return _ERROR_CODES_BY_BYTES.get(bytes(value))
        return None


_ERROR_CODES_BY_BYTES = {code.value.encode("ascii"): code for code in ErrorCodes}

_StateT = TypeVar("_StateT", bound=_State)


def member_of(enumeration: type[_StateT], value: object, argument: str) -> _StateT:
    """Return the member of an enumeration that a value stands for.

    Args:
        enumeration: the enumeration.
        value: a member of it, a member of another enumeration with the same name (the Azure packages have their own
            `TransportType`, with other numbers), the member's name or its number here.
        argument: the caller's name for the value, for errors.

    Raises:
        ValueError: nothing fits.
    """
    if isinstance(value, enumeration):
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        name: object = value
    else:
        name = getattr(value, "name", None)
    if isinstance(name, str) and name in enumeration.__members__:
        return enumeration[name]
    if isinstance(value, int) and not isinstance(value, (Enum, bool)):
        for member in enumeration:
            if int(member) == value:
                return member
    names = ", ".join(f"{enumeration.__name__}.{name}" for name in enumeration.__members__)
    raise ValueError(f"{argument} must be one of {names}, not {type(value).__name__}.")
