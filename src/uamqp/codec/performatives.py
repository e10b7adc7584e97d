"""The nine performatives (section 2.7 of the AMQP 1.0 specification)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .composites import REQUIRED, Composite, Field, register
from .definitions import ROLE_RECEIVER, ROLE_SENDER, Error, ReceiverSettleMode, SenderSettleMode
from .outcomes import Accepted, Modified, Received, Rejected, Released
from .terminus import Source, Target
from .transactions import Coordinator, Declared, TransactionalState
from .values import Described, Symbol

DeliveryState = Accepted | Rejected | Released | Modified | Received | Declared | TransactionalState | Described


@register
@dataclass(slots=True)
class Open(Composite):
    """Negotiates connection parameters (section 2.7.1). `idle_time_out` is in milliseconds."""

    DESCRIPTOR: ClassVar[int] = 0x10
    NAME: ClassVar[str] = "amqp:open:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("container-id", "string", mandatory=True),
        Field("hostname", "string"),
        Field("max-frame-size", "uint", default=4294967295),
        Field("channel-max", "ushort", default=65535),
        Field("idle-time-out", "milliseconds"),
        Field("outgoing-locales", "ietf-language-tag", multiple=True),
        Field("incoming-locales", "ietf-language-tag", multiple=True),
        Field("offered-capabilities", "symbol", multiple=True),
        Field("desired-capabilities", "symbol", multiple=True),
        Field("properties", "fields"),
    )

    container_id: str
    hostname: str | None = None
    max_frame_size: int = 4294967295
    channel_max: int = 65535
    idle_time_out: int | None = None
    outgoing_locales: tuple[Symbol, ...] = ()
    incoming_locales: tuple[Symbol, ...] = ()
    offered_capabilities: tuple[Symbol, ...] = ()
    desired_capabilities: tuple[Symbol, ...] = ()
    properties: dict[Any, Any] | None = None


@register
@dataclass(slots=True)
class Begin(Composite):
    """Begins a session on a channel (section 2.7.2)."""

    DESCRIPTOR: ClassVar[int] = 0x11
    NAME: ClassVar[str] = "amqp:begin:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("remote-channel", "ushort"),
        Field("next-outgoing-id", "transfer-number", mandatory=True),
        Field("incoming-window", "uint", mandatory=True),
        Field("outgoing-window", "uint", mandatory=True),
        Field("handle-max", "handle", default=4294967295),
        Field("offered-capabilities", "symbol", multiple=True),
        Field("desired-capabilities", "symbol", multiple=True),
        Field("properties", "fields"),
    )

    remote_channel: int | None = None
    next_outgoing_id: int = REQUIRED
    incoming_window: int = REQUIRED
    outgoing_window: int = REQUIRED
    handle_max: int = 4294967295
    offered_capabilities: tuple[Symbol, ...] = ()
    desired_capabilities: tuple[Symbol, ...] = ()
    properties: dict[Any, Any] | None = None


@register
@dataclass(slots=True)
class Attach(Composite):
    """Attaches a link to a session (section 2.7.3). `role` is True for the receiving end."""

    DESCRIPTOR: ClassVar[int] = 0x12
    NAME: ClassVar[str] = "amqp:attach:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("name", "string", mandatory=True),
        Field("handle", "handle", mandatory=True),
        Field("role", "role", mandatory=True),
        Field("snd-settle-mode", "sender-settle-mode", default=2),
        Field("rcv-settle-mode", "receiver-settle-mode", default=0),
        Field("source", "*", requires="source"),
        Field("target", "*", requires="target"),
        Field("unsettled", "map"),
        Field("incomplete-unsettled", "boolean", default=False),
        Field("initial-delivery-count", "sequence-no"),
        Field("max-message-size", "ulong"),
        Field("offered-capabilities", "symbol", multiple=True),
        Field("desired-capabilities", "symbol", multiple=True),
        Field("properties", "fields"),
    )

    name: str
    handle: int
    role: bool
    snd_settle_mode: int = 2
    rcv_settle_mode: int = 0
    source: Source | Described | None = None
    target: Target | Coordinator | Described | None = None
    unsettled: dict[Any, Any] | None = None
    incomplete_unsettled: bool = False
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: tuple[Symbol, ...] = ()
    desired_capabilities: tuple[Symbol, ...] = ()
    properties: dict[Any, Any] | None = None


@register
@dataclass(slots=True)
class Flow(Composite):
    """Updates the windows of a session and, with a handle, the credit of a link (section 2.7.4)."""

    DESCRIPTOR: ClassVar[int] = 0x13
    NAME: ClassVar[str] = "amqp:flow:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("next-incoming-id", "transfer-number"),
        Field("incoming-window", "uint", mandatory=True),
        Field("next-outgoing-id", "transfer-number", mandatory=True),
        Field("outgoing-window", "uint", mandatory=True),
        Field("handle", "handle"),
        Field("delivery-count", "sequence-no"),
        Field("link-credit", "uint"),
        Field("available", "uint"),
        Field("drain", "boolean", default=False),
        Field("echo", "boolean", default=False),
        Field("properties", "fields"),
    )

    next_incoming_id: int | None = None
    incoming_window: int = REQUIRED
    next_outgoing_id: int = REQUIRED
    outgoing_window: int = REQUIRED
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool = False
    echo: bool = False
    properties: dict[Any, Any] | None = None


@register
@dataclass(slots=True)
class Transfer(Composite):
    """Carries (part of) a message; the payload follows it in the frame (section 2.7.5)."""

    DESCRIPTOR: ClassVar[int] = 0x14
    NAME: ClassVar[str] = "amqp:transfer:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("handle", "handle", mandatory=True),
        Field("delivery-id", "delivery-number"),
        Field("delivery-tag", "delivery-tag"),
        Field("message-format", "message-format"),
        Field("settled", "boolean"),
        Field("more", "boolean", default=False),
        Field("rcv-settle-mode", "receiver-settle-mode"),
        Field("state", "*", requires="delivery-state"),
        Field("resume", "boolean", default=False),
        Field("aborted", "boolean", default=False),
        Field("batchable", "boolean", default=False),
    )

    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool = False
    rcv_settle_mode: int | None = None
    state: DeliveryState | None = None
    resume: bool = False
    aborted: bool = False
    batchable: bool = False


@register
@dataclass(slots=True)
class Disposition(Composite):
    """Reports the state of deliveries `first` to `last` (section 2.7.6)."""

    DESCRIPTOR: ClassVar[int] = 0x15
    NAME: ClassVar[str] = "amqp:disposition:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("role", "role", mandatory=True),
        Field("first", "delivery-number", mandatory=True),
        Field("last", "delivery-number"),
        Field("settled", "boolean", default=False),
        Field("state", "*", requires="delivery-state"),
        Field("batchable", "boolean", default=False),
    )

    role: bool
    first: int
    last: int | None = None
    settled: bool = False
    state: DeliveryState | None = None
    batchable: bool = False


@register
@dataclass(slots=True)
class Detach(Composite):
    """Detaches a link from its session or, with `closed`, ends it (section 2.7.7)."""

    DESCRIPTOR: ClassVar[int] = 0x16
    NAME: ClassVar[str] = "amqp:detach:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("handle", "handle", mandatory=True),
        Field("closed", "boolean", default=False),
        Field("error", "error"),
    )

    handle: int
    closed: bool = False
    error: Error | None = None


@register
@dataclass(slots=True)
class End(Composite):
    """Ends a session (section 2.7.8)."""

    DESCRIPTOR: ClassVar[int] = 0x17
    NAME: ClassVar[str] = "amqp:end:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("error", "error"),)

    error: Error | None = None


@register
@dataclass(slots=True)
class Close(Composite):
    """Closes a connection (section 2.7.9)."""

    DESCRIPTOR: ClassVar[int] = 0x18
    NAME: ClassVar[str] = "amqp:close:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("frame",)
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("error", "error"),)

    error: Error | None = None


PERFORMATIVES: dict[int, type[Composite]] = {
    cls.DESCRIPTOR: cls for cls in (Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close)
}
"""The performatives by numeric descriptor."""

__all__ = [
    "PERFORMATIVES", "ROLE_RECEIVER", "ROLE_SENDER", "Attach", "Begin", "Close", "DeliveryState", "Detach",
    "Disposition", "End", "Error", "Flow", "Open", "ReceiverSettleMode", "SenderSettleMode", "Transfer",
]  # fmt: skip
