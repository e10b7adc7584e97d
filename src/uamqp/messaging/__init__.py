"""The modern API's values: messages, outcomes, sources and targets, filters, credentials, options, errors.

They are the same for `uamqp.aio` and `uamqp.sync`, and do no I/O.
"""

from __future__ import annotations

from typing import TypeAlias

from ..codec import Accepted, Modified, Rejected, Released
from ..codec.signatures import present
from ..transport.sansio.endpoint import Proxy
from . import filters
from .credentials import Anonymous, Cbs, Credentials, CredentialsFactory, External, Plain
from .delivery import Delivery
from .errors import (
    AccessDenied,
    AlreadySettled,
    AMQPError,
    AnonymousRelayUnsupported,
    AuthenticationFailed,
    BufferFull,
    ClosedError,
    ConfigurationError,
    ConnectFailed,
    ConnectionClosed,
    ConnectionFailure,
    ConnectionForced,
    ConnectionLost,
    ConnectionRedirected,
    DetachForced,
    FilterRefused,
    ForkedError,
    LinkDetached,
    LinkFailure,
    LinkRedirected,
    LinkRefused,
    LinkStolen,
    MessageModified,
    MessageRejected,
    MessageReleased,
    MessageTooLarge,
    NodeDeleted,
    NodeNotFound,
    NotAccepted,
    NotSent,
    OperationTimeout,
    OutcomeTimeout,
    OutcomeUnknown,
    ReadOnlyMessage,
    ResourceLimitExceeded,
    SendCancelled,
    SendError,
    SendManyFailed,
    SendTimeout,
    SessionEnded,
    SettlementLost,
    TLSFailed,
    UsageError,
    WrongLoopError,
)
from .events import ConnectionEvent
from .fields import Body, MessageId
from .filters import Filter
from .many import SendReport
from .message import Message
from .options import (
    DEFAULT,
    ConnectionState,
    Default,
    LinkState,
    MessageFields,
    ReceiverOptions,
    SenderOptions,
    Timeouts,
)
from .remote import RemoteLink, RemotePeer
from .settlement import Settlement
from .stats import ConnectionStats, ReceiverStats, SenderStats
from .termini import Expiry, Node, RemoteTerminus, Source, Target

Outcome: TypeAlias = "Accepted | Rejected | Released | Modified"
"""What a receiver makes of a message (section 3.4)."""

__all__ = [
    "DEFAULT",
    "AMQPError",
    "Accepted",
    "AccessDenied",
    "AlreadySettled",
    "Anonymous",
    "AnonymousRelayUnsupported",
    "AuthenticationFailed",
    "Body",
    "BufferFull",
    "Cbs",
    "ClosedError",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionClosed",
    "ConnectionEvent",
    "ConnectionFailure",
    "ConnectionForced",
    "ConnectionLost",
    "ConnectionRedirected",
    "ConnectionState",
    "ConnectionStats",
    "Credentials",
    "CredentialsFactory",
    "Default",
    "Delivery",
    "DetachForced",
    "Expiry",
    "External",
    "Filter",
    "FilterRefused",
    "ForkedError",
    "LinkDetached",
    "LinkFailure",
    "LinkRedirected",
    "LinkRefused",
    "LinkState",
    "LinkStolen",
    "Message",
    "MessageFields",
    "MessageId",
    "MessageModified",
    "MessageRejected",
    "MessageReleased",
    "MessageTooLarge",
    "Modified",
    "Node",
    "NodeDeleted",
    "NodeNotFound",
    "NotAccepted",
    "NotSent",
    "OperationTimeout",
    "Outcome",
    "OutcomeTimeout",
    "OutcomeUnknown",
    "Plain",
    "Proxy",
    "ReadOnlyMessage",
    "ReceiverOptions",
    "ReceiverStats",
    "Rejected",
    "Released",
    "RemoteLink",
    "RemotePeer",
    "RemoteTerminus",
    "ResourceLimitExceeded",
    "SendCancelled",
    "SendError",
    "SendManyFailed",
    "SendReport",
    "SendTimeout",
    "SenderOptions",
    "SenderStats",
    "SessionEnded",
    "Settlement",
    "SettlementLost",
    "Source",
    "TLSFailed",
    "Target",
    "Timeouts",
    "UsageError",
    "WrongLoopError",
    "filters",
]

present(globals())
