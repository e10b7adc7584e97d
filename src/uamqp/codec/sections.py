"""Message sections (section 3.2 of the AMQP 1.0 specification): where they lie; header and properties.

Imports the codec's composites, decode, errors and values.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from .composites import Composite, Field, register
from .decode import Decoder
from .errors import DecodeError
from .values import Described, Symbol, Timestamp, ULong

HEADER = 0x70
DELIVERY_ANNOTATIONS = 0x71
MESSAGE_ANNOTATIONS = 0x72
PROPERTIES = 0x73
APPLICATION_PROPERTIES = 0x74
DATA = 0x75
SEQUENCE = 0x76
VALUE = 0x77
FOOTER = 0x78

SECTION_NAMES: dict[int, str] = {
    HEADER: "amqp:header:list",
    DELIVERY_ANNOTATIONS: "amqp:delivery-annotations:map",
    MESSAGE_ANNOTATIONS: "amqp:message-annotations:map",
    PROPERTIES: "amqp:properties:list",
    APPLICATION_PROPERTIES: "amqp:application-properties:map",
    DATA: "amqp:data:binary",
    SEQUENCE: "amqp:amqp-sequence:list",
    VALUE: "amqp:amqp-value:*",
    FOOTER: "amqp:footer:map",
}
_CODES_BY_NAME: dict[str, int] = {name: code for code, name in SECTION_NAMES.items()}

_LIST = (0x45, 0xC0, 0xD0)
_MAP = (0xC1, 0xD1)
_BINARY = (0xA0, 0xB0)

# Constructors that a section's value may have; none listed means any.
_ALLOWED: dict[int, tuple[int, ...]] = {
    HEADER: _LIST,
    DELIVERY_ANNOTATIONS: _MAP,
    MESSAGE_ANNOTATIONS: _MAP,
    PROPERTIES: _LIST,
    APPLICATION_PROPERTIES: _MAP,
    DATA: _BINARY,
    SEQUENCE: _LIST,
    FOOTER: _MAP,
}


@register
@dataclass(slots=True)
class Header(Composite):
    """Transport header of a message (section 3.2.1). `ttl` is in milliseconds. None: not given."""

    DESCRIPTOR: ClassVar[int] = HEADER
    NAME: ClassVar[str] = "amqp:header:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("section",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("durable", "boolean"),
        Field("priority", "ubyte"),
        Field("ttl", "milliseconds"),
        Field("first-acquirer", "boolean"),
        Field("delivery-count", "uint"),
    )

    durable: bool | None = None
    priority: int | None = None
    ttl: int | None = None
    first_acquirer: bool | None = None
    delivery_count: int | None = None


@register
@dataclass(slots=True)
class Properties(Composite):
    """Immutable properties of a message (section 3.2.4). Times are milliseconds since 1970-01-01 UTC."""

    DESCRIPTOR: ClassVar[int] = PROPERTIES
    NAME: ClassVar[str] = "amqp:properties:list"
    PROVIDES: ClassVar[tuple[str, ...]] = ("section",)
    FIELDS: ClassVar[tuple[Field, ...]] = (
        Field("message-id", "*", requires="message-id"),
        Field("user-id", "binary"),
        Field("to", "*", requires="address"),
        Field("subject", "string"),
        Field("reply-to", "*", requires="address"),
        Field("correlation-id", "*", requires="message-id"),
        Field("content-type", "symbol"),
        Field("content-encoding", "symbol"),
        Field("absolute-expiry-time", "timestamp"),
        Field("creation-time", "timestamp"),
        Field("group-id", "string"),
        Field("group-sequence", "sequence-no"),
        Field("reply-to-group-id", "string"),
    )

    message_id: ULong | int | uuid.UUID | bytes | str | None = None
    user_id: bytes | None = None
    to: str | Described | None = None
    subject: str | None = None
    reply_to: str | Described | None = None
    correlation_id: ULong | int | uuid.UUID | bytes | str | None = None
    content_type: Symbol | None = None
    content_encoding: Symbol | None = None
    absolute_expiry_time: Timestamp | None = None
    creation_time: Timestamp | None = None
    group_id: str | None = None
    group_sequence: int | None = None
    reply_to_group_id: str | None = None


def scan_sections(payload: bytes) -> list[tuple[int, int, int]]:
    """The sections of an encoded message, in order: (code, start, end).

    `start` and `end` bound the section's value, its constructor included and the descriptor not. Values
    aren't looked into, so the time taken depends on the number of sections alone. Sections may come in any
    order. Raises DecodeError for what isn't a section, a value of the wrong type, a second section of a kind
    that may come once, and bodies that mix.
    """
    sections: list[tuple[int, int, int]] = []
    seen = 0
    pos = 0
    size = len(payload)
    decoder = Decoder(payload)
    while pos < size:
        code, start = _section_code(decoder, payload, pos, size)
        if start >= size:
            raise DecodeError(f"section at offset {pos} has no value")
        allowed = _ALLOWED.get(code)
        if allowed is not None and payload[start] not in allowed:
            raise DecodeError(f"{SECTION_NAMES[code]} at offset {pos} has the wrong type (0x{payload[start]:02x})")
        decoder.pos = start
        decoder.skip()
        seen = _seen(seen, code, pos)
        sections.append((code, start, decoder.pos))
        pos = decoder.pos
    return sections


def _section_code(decoder: Decoder, payload: bytes, pos: int, size: int) -> tuple[int, int]:
    """Code of the section at `pos`, and where its value starts."""
    if payload[pos] != 0x00:
        raise DecodeError(f"expected a section at offset {pos}, got constructor 0x{payload[pos]:02x}")
    decoder.pos = pos + 1
    descriptor: Any = decoder.value()
    code: int | None = None
    if type(descriptor) is ULong:
        code = int(descriptor) if descriptor in SECTION_NAMES else None
    elif type(descriptor) is Symbol:
        code = _CODES_BY_NAME.get(descriptor)
    if code is None:
        raise DecodeError(f"no section has the descriptor {descriptor!r} (offset {pos})")
    return code, decoder.pos


def _seen(seen: int, code: int, pos: int) -> int:
    """Checks that a section may come after those in the bit set `seen`; returns the set with it."""
    bit = 1 << (code - HEADER)
    if bit & 0xE0:
        if seen & 0xE0 & ~bit or (code == VALUE and seen & bit):
            raise DecodeError(f"{SECTION_NAMES[code]} at offset {pos} can't follow the body sections before it")
    elif seen & bit:
        raise DecodeError(f"{SECTION_NAMES[code]} at offset {pos} comes a second time")
    return seen | bit


def binary_bounds(payload: bytes, start: int, end: int) -> tuple[int, int]:
    """Bounds of the content of the binary value from `start` to `end`: what a data section holds."""
    if end - start >= 2 and payload[start] == 0xA0:
        return start + 2, end
    if end - start >= 5 and payload[start] == 0xB0:
        return start + 5, end
    raise DecodeError(f"expected binary at offset {start}")


def append_section_header(out: bytearray, code: int) -> None:
    """Appends the descriptor of a section; its value is to follow."""
    out += b"\x00\x53"
    out.append(code)
