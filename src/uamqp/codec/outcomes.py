"""Delivery states and outcomes (section 3.4 of the AMQP 1.0 specification)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .composites import Composite, Field, register
from .definitions import Error

_STATE = ("delivery-state",)
_OUTCOME = ("delivery-state", "outcome")


@register
@dataclass(slots=True)
class Received(Composite):
    """The receiver's progress in a partial delivery (section 3.4.1)."""

    DESCRIPTOR: ClassVar[int] = 0x23
    NAME: ClassVar[str] = "amqp:received:list"
    PROVIDES: ClassVar[tuple[str, ...]] = _STATE
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("section-number", "uint", mandatory=True),
        Field("section-offset", "ulong", mandatory=True),
    )

    section_number: int
    section_offset: int


@register
@dataclass(slots=True)
class Accepted(Composite):
    """The message was processed (section 3.4.2)."""

    DESCRIPTOR: ClassVar[int] = 0x24
    NAME: ClassVar[str] = "amqp:accepted:list"
    PROVIDES: ClassVar[tuple[str, ...]] = _OUTCOME
    FIELDS: ClassVar[tuple[Field, ...]] = ()


@register
@dataclass(slots=True)
class Rejected(Composite):
    """The message is invalid and can't be processed (section 3.4.3)."""

    DESCRIPTOR: ClassVar[int] = 0x25
    NAME: ClassVar[str] = "amqp:rejected:list"
    PROVIDES: ClassVar[tuple[str, ...]] = _OUTCOME
    FIELDS: ClassVar[tuple[Field, ...]] = (Field("error", "error"),)

    error: Error | None = None


@register
@dataclass(slots=True)
class Released(Composite):
    """The message was not, and will not be, processed here (section 3.4.4)."""

    DESCRIPTOR: ClassVar[int] = 0x26
    NAME: ClassVar[str] = "amqp:released:list"
    PROVIDES: ClassVar[tuple[str, ...]] = _OUTCOME
    FIELDS: ClassVar[tuple[Field, ...]] = ()


@register
@dataclass(slots=True)
class Modified(Composite):
    """The message is released with changes: as failed, undeliverable here, or annotated (section 3.4.5)."""

    DESCRIPTOR: ClassVar[int] = 0x27
    NAME: ClassVar[str] = "amqp:modified:list"
    PROVIDES: ClassVar[tuple[str, ...]] = _OUTCOME
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("delivery-failed", "boolean"),
        Field("undeliverable-here", "boolean"),
        Field("message-annotations", "fields"),
    )

    delivery_failed: bool | None = None
    undeliverable_here: bool | None = None
    message_annotations: dict[Any, Any] | None = None


# Prepared objects for the outcomes without fields, and their encodings.
ACCEPTED = Accepted()
RELEASED = Released()
ACCEPTED_BYTES = b"\x00\x53\x24\x45"
RELEASED_BYTES = b"\x00\x53\x26\x45"
