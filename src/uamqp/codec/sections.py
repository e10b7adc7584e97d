"""Message sections (section 3.2 of the AMQP 1.0 specification): their positions, header and properties."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from .composites import Composite, Field, register
from .decode import Decoder, u32
from .encode import append_wide_size
from .errors import DecodeError
from .limits import MAX_ELEMENTS
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

BATCH_FORMAT = 0x80013700
"""The message-format of a batch for Azure's services: each of its data sections is an encoded message."""

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

# The possible constructors of a section's value. VALUE may have any, so it isn't listed.
_CONSTRUCTORS: dict[int, tuple[int, ...]] = {
    HEADER: _LIST,
    DELIVERY_ANNOTATIONS: _MAP,
    MESSAGE_ANNOTATIONS: _MAP,
    PROPERTIES: _LIST,
    APPLICATION_PROPERTIES: _MAP,
    DATA: _BINARY,
    SEQUENCE: _LIST,
    FOOTER: _MAP,
}

# Sets of sections are ints with a bit for each: bit 0 for HEADER, bit 1 for DELIVERY_ANNOTATIONS, and so on.
_BODY = 1 << DATA - HEADER | 1 << SEQUENCE - HEADER | 1 << VALUE - HEADER


def _bit(code: int) -> int:
    return 1 << (code - HEADER)


def _excluded(code: int) -> int:
    """Return the sections that mustn't precede a section: itself if it is unique, and bodies of other kinds."""
    if code in (DATA, SEQUENCE):
        return _BODY & ~_bit(code)
    return _BODY if code == VALUE else _bit(code)


def _usual_widths() -> bytes:
    """Return the number of size bytes after each section's constructor, by code * 256 + constructor.

    5 stands for a constructor without a size, 0 for one that the section can't have, or rarely has.
    """
    widths = bytearray(256 * (FOOTER + 1))
    for code in SECTION_NAMES:
        for constructor in _CONSTRUCTORS.get(code, (0x45, 0xA0, 0xA1, 0xB0, 0xB1, 0xC0, 0xC1, 0xD0, 0xD1)):
            width = 5 if constructor == 0x45 else 4 if constructor in (0xB0, 0xB1, 0xD0, 0xD1) else 1
            widths[code * 256 + constructor] = width
    return bytes(widths)


_USUAL = _usual_widths()
# For every code, the sections that mustn't precede it: all bits if it isn't a section. `_NONE` is in every set.
_NONE = 1 << 15
_EXCLUDED = [_excluded(code) if code in SECTION_NAMES else -1 for code in range(256)]
_FIRST = HEADER
_DATA = DATA

_DATA_DESCRIPTOR = bytes((0x00, 0x53, DATA))
_SMALL_DATA_HEADS = [_DATA_DESCRIPTOR + bytes((0xA0, size)) for size in range(256)]


@register
@dataclass(slots=True)
class Header(Composite):
    """Transport header of a message (section 3.2.1). `ttl` is in milliseconds. Missing fields are None."""

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


class SectionReader(Decoder):
    """A cursor over the sections of an encoded message, in order.

    `next` moves to the next section: `pos` is then where its value, including the constructor, starts, and `end` where
    it ends. `value` or `fields` may read it, but don't have to. Sections may come in any order. `next` doesn't decode
    values, so the time it takes doesn't depend on their size. `read_sections` returns a reader.
    """

    __slots__ = ("_seen", "_size")

    _seen: int  # the set of sections so far
    _size: int

    def next(self) -> int:
        """Move to the next section and return its code; 0 after the last.

        Raises:
            DecodeError: the next bytes aren't a section, or it has a value of the wrong type, or is a repetition of a
                unique section, or another kind of body than the previous one.
        """
        size = self._size
        pos = self.end
        if pos >= size:
            return 0
        payload = self.data
        chars = payload  # char *: `pos` is less than `size`, and each further position is checked below
        start = pos + 3
        if start + 1 < size and not chars[pos] and chars[pos + 1] == 0x53:
            code = chars[pos + 2]
            seen = self._seen
            excluded = _EXCLUDED[code]
            if not seen & excluded:
                width = _USUAL[code << 8 | chars[start]]
                if width == 1:
                    stop = start + 2 + chars[start + 1]
                elif width == 4 and start + 5 <= size:
                    stop = start + 5 + u32(payload, start + 1)
                elif width == 5:
                    stop = start + 1
                else:
                    return self._any(pos)
                if stop <= size:
                    self._seen = seen | 1 << code - _FIRST
                    self.pos = start
                    self.end = stop
                    return code
        return self._any(pos)

    def _any(self, pos: int) -> int:
        """Return what `next` does for any section, with all checks: the slow path."""
        payload = self.data
        if payload[pos] != 0x00:
            raise DecodeError(f"expected a section at offset {pos}, got constructor 0x{payload[pos]:02x}")
        decoder = Decoder(payload, pos + 1)
        descriptor: Any = decoder.value()
        code: int | None = None
        if type(descriptor) is ULong:
            code = int(descriptor) if descriptor in SECTION_NAMES else None
        elif type(descriptor) is Symbol:
            code = _CODES_BY_NAME.get(descriptor)
        if code is None:
            raise DecodeError(f"no section has the descriptor {descriptor!r:.80} (offset {pos})")
        name = SECTION_NAMES[code]
        if self._seen & _excluded(code):
            again = "a second time" if self._seen & _bit(code) else "after a body of another kind"
            raise DecodeError(f"{name} at offset {pos} comes {again}")
        start = decoder.pos
        if start >= len(payload):
            raise DecodeError(f"{name} at offset {pos} has no value")
        if code != VALUE and payload[start] not in _CONSTRUCTORS[code]:
            raise DecodeError(f"{name} at offset {pos} has a value of the wrong type (0x{payload[start]:02x})")
        decoder.skip()
        self._seen |= _bit(code)
        self.pos = start
        self.end = decoder.pos
        return code


def read_sections(payload: bytes, bare: bool = False) -> SectionReader:
    """Return a reader of the sections of an encoded message (section 3.2), positioned before the first.

    Args:
        payload: the message.
        bare: as for `Decoder`.
    """
    reader = SectionReader.__new__(SectionReader)
    reader._size = len(payload)
    reader._seen = _NONE
    reader.data = payload
    reader.pos = reader.end = 0
    reader.bare = bare
    reader.count = reader.depth = 0
    reader.spare = MAX_ELEMENTS
    return reader


def scan_sections(payload: bytes) -> list[tuple[int, int, int]]:
    """Return the positions of the sections of an encoded message (section 3.2), in order: (code, start, end) of each.

    `start` and `end` bound the section's value, which includes its constructor but not the descriptor. Values aren't
    decoded, so the time that this takes doesn't depend on their size.

    Raises:
        DecodeError: see `SectionReader.next`.
    """
    reader = read_sections(payload)
    sections: list[tuple[int, int, int]] = []
    code = reader.next()
    while code:
        sections.append((code, reader.pos, reader.end))
        code = reader.next()
    return sections


def single_data(payload: bytes) -> int:
    """Return where the value starts if the body is a single data section; 0 for any other body.

    Most messages have such a body, and don't need a list of sections: `binary_at` reads it.

    Raises:
        DecodeError: see `SectionReader.next`.
    """
    size = len(payload)
    if size >= 5 and payload[0] == 0x00 and payload[1] == 0x53 and payload[2] == _DATA:
        # If there is nothing else in it, no reader is necessary.
        if payload[3] == 0xA0 and size == 5 + payload[4]:
            return 3
        if payload[3] == 0xB0 and size >= 8 and size == 8 + u32(payload, 4):
            return 3
    reader = read_sections(payload)
    found = count = 0
    code = reader.next()
    while code:
        if code == _DATA:
            found = reader.pos
            count += 1
        code = reader.next()
    return found if count == 1 else 0


def binary_bounds(payload: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the bounds of the content of the binary value from `start` to `end`, such as a data section's.

    Raises:
        DecodeError: there is no binary value.
    """
    if end - start >= 2 and payload[start] == 0xA0:
        return start + 2, end
    if end - start >= 5 and payload[start] == 0xB0:
        return start + 5, end
    raise DecodeError(f"expected binary at offset {start}")


def binary_at(payload: bytes, start: int) -> bytes:
    """Return the content of the binary value that starts at `start`.

    Raises:
        DecodeError: no binary value starts there, or it is cut off.
    """
    size = len(payload)
    first = stop = 0
    if 0 <= start < size - 1 and payload[start] == 0xA0:
        first = start + 2
        stop = first + payload[start + 1]
    elif 0 <= start < size - 4 and payload[start] == 0xB0:
        first = start + 5
        stop = first + u32(payload, start + 1)
    if not first or stop > size:
        raise DecodeError(f"expected binary at offset {start}")
    chars = payload  # char *: `stop` is within the payload, as was checked above
    return chars[first:stop]


def data_head(size: int) -> bytes:
    """Return the bytes before the content of a data section of `size` bytes.

    Raises:
        EncodeError: the size is too large.
    """
    if size <= 0xFF:
        return _SMALL_DATA_HEADS[size]
    head = bytearray(_DATA_DESCRIPTOR)
    append_wide_size(head, 0xB0, size)
    return bytes(head)


def append_section_header(out: bytearray, code: int) -> None:
    """Append the descriptor of a section, such as `HEADER`; its value has to follow."""
    out.append(0x00)
    out.append(0x53)
    out.append(code)
