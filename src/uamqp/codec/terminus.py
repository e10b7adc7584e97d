"""Source and target of a link, and lifetime policies (section 3.5 of the AMQP 1.0 specification)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from .composites import Composite, Field, register
from .outcomes import Accepted, Modified, Rejected, Released
from .values import Described, Symbol

Outcome = Accepted | Rejected | Released | Modified | Described


class TerminusDurability(IntEnum):
    """The parts of a terminus that are stored durably (section 3.5.5)."""

    NONE = 0
    CONFIGURATION = 1
    UNSETTLED_STATE = 2


class TerminusExpiryPolicy:
    """When a terminus' expiry timer starts (section 3.5.6)."""

    LINK_DETACH = Symbol("link-detach")
    SESSION_END = Symbol("session-end")
    CONNECTION_CLOSE = Symbol("connection-close")
    NEVER = Symbol("never")


class StdDistMode:
    """Distribution modes (section 3.5.7)."""

    MOVE = Symbol("move")
    COPY = Symbol("copy")


@register
@dataclass(slots=True)
class Source(Composite):
    """Where a link's messages come from (section 3.5.3). `timeout` is in seconds."""

    DESCRIPTOR: ClassVar[int] = 0x28
    NAME: ClassVar[str] = "amqp:source:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("source",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("address", "*", requires="address"),
        Field("durable", "terminus-durability", default=0),
        Field("expiry-policy", "terminus-expiry-policy", default=Symbol("session-end")),
        Field("timeout", "seconds", default=0),
        Field("dynamic", "boolean", default=False),
        Field("dynamic-node-properties", "node-properties"),
        Field("distribution-mode", "symbol", requires="distribution-mode"),
        Field("filter", "filter-set"),
        Field("default-outcome", "*", requires="outcome"),
        Field("outcomes", "symbol", multiple=True),
        Field("capabilities", "symbol", multiple=True),
    )

    address: str | Described | None = None
    durable: int = 0
    expiry_policy: Symbol = TerminusExpiryPolicy.SESSION_END
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: dict[Any, Any] | None = None
    distribution_mode: Symbol | None = None
    filter: dict[Any, Any] | None = None
    default_outcome: Outcome | None = None
    outcomes: tuple[Symbol, ...] = ()
    capabilities: tuple[Symbol, ...] = ()


@register
@dataclass(slots=True)
class Target(Composite):
    """Where a link's messages go to (section 3.5.4). `timeout` is in seconds."""

    DESCRIPTOR: ClassVar[int] = 0x29
    NAME: ClassVar[str] = "amqp:target:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("target",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("address", "*", requires="address"),
        Field("durable", "terminus-durability", default=0),
        Field("expiry-policy", "terminus-expiry-policy", default=Symbol("session-end")),
        Field("timeout", "seconds", default=0),
        Field("dynamic", "boolean", default=False),
        Field("dynamic-node-properties", "node-properties"),
        Field("capabilities", "symbol", multiple=True),
    )

    address: str | Described | None = None
    durable: int = 0
    expiry_policy: Symbol = TerminusExpiryPolicy.SESSION_END
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: dict[Any, Any] | None = None
    capabilities: tuple[Symbol, ...] = ()


@register
@dataclass(slots=True)
class DeleteOnClose(Composite):
    """The dynamic node lives as long as the link that created it (section 3.5.10)."""

    DESCRIPTOR: ClassVar[int] = 0x2B
    NAME: ClassVar[str] = "amqp:delete-on-close:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("lifetime-policy",)
    FIELDS: ClassVar[tuple[Field, ...]] = ()


@register
@dataclass(slots=True)
class DeleteOnNoLinks(Composite):
    """The dynamic node lives as long as it has links (section 3.5.11)."""

    DESCRIPTOR: ClassVar[int] = 0x2C
    NAME: ClassVar[str] = "amqp:delete-on-no-links:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("lifetime-policy",)
    FIELDS: ClassVar[tuple[Field, ...]] = ()


@register
@dataclass(slots=True)
class DeleteOnNoMessages(Composite):
    """The dynamic node lives as long as its creator's link or any message (section 3.5.12)."""

    DESCRIPTOR: ClassVar[int] = 0x2D
    NAME: ClassVar[str] = "amqp:delete-on-no-messages:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("lifetime-policy",)
    FIELDS: ClassVar[tuple[Field, ...]] = ()


@register
@dataclass(slots=True)
class DeleteOnNoLinksOrMessages(Composite):
    """The dynamic node lives as long as it has links or messages (section 3.5.13)."""

    DESCRIPTOR: ClassVar[int] = 0x2E
    NAME: ClassVar[str] = "amqp:delete-on-no-links-or-messages:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("lifetime-policy",)
    FIELDS: ClassVar[tuple[Field, ...]] = ()
