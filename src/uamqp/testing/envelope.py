"""The parts of an encoded message that the embedded broker reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from ..codec import (
    DATA,
    DELIVERY_ANNOTATIONS,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    VALUE,
    DecodeError,
    Decoder,
    EncodeError,
    Header,
    Properties,
    Symbol,
    append_section_header,
    append_value,
    binary_bounds,
    decode_composite,
    scan_sections,
    section_decoder,
)

_HEADER_START = b"\x00\x53\x70"


class HeaderInfo:
    """The header section of an encoded message.

    Attributes:
        encoded: the section as it is at the start of the message; empty if there is none.
        header: its fields.
    """

    __slots__ = ("encoded", "header")

    def __init__(self, encoded: bytes, header: Header) -> None:
        self.encoded = encoded
        self.header = header


NO_HEADER = HeaderInfo(b"", Header())


@runtime_checkable
class Encodes(Protocol):
    """A message that encodes itself, as those of the modern API do."""

    @property
    def format(self) -> int:
        """The message-format."""

    def encode(self) -> bytes:
        """Return the encoded sections."""


@runtime_checkable
class EncodesMessage(Protocol):
    """A message that encodes itself, as those of the classic API do."""

    def encode_message(self) -> bytes | bytearray:
        """Return the encoded sections."""


def encoded(message: Any) -> tuple[bytes, int]:
    """Return the encoded sections of a message, and its message-format.

    Args:
        message: bytes are the sections already. What doesn't encode itself is the body, an AMQP value.

    Raises:
        EncodeError: a value has no encoding.
    """
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message), 0
    if not isinstance(message, str):  # text has methods of these names, which do something else
        if isinstance(message, EncodesMessage):
            return bytes(message.encode_message()), 0
        if isinstance(message, Encodes):
            return message.encode(), message.format
    section = bytearray()
    append_section_header(section, VALUE)
    append_value(section, message)
    return bytes(section), 0


def read_header(payload: bytes) -> HeaderInfo:
    """Read the header section.

    Raises:
        DecodeError: there is one, and it is malformed.
    """
    if payload[:3] != _HEADER_START:
        if payload[:2] == b"\x00\x53" or payload[:1] != b"\x00":
            return NO_HEADER
        # A descriptor in another form: a wide number, or the symbol.
        descriptor = Decoder(payload, 1).value()
        if descriptor != HEADER and descriptor != Header.NAME:
            return NO_HEADER
    header, end = decode_composite(payload)
    return HeaderInfo(payload[:end], header) if isinstance(header, Header) else NO_HEADER


def with_header(payload: bytes, delivery_count: int, ttl: int | None) -> bytes:
    """Return the message with another delivery-count and, if it isn't None, another ttl (milliseconds).

    Only the header section changes. Once a delivery has failed, first-acquirer is false.
    """
    info = read_header(payload)
    header = info.header
    changed = Header(header.durable, header.priority, header.ttl, header.first_acquirer, delivery_count or None)
    if ttl is not None:
        changed.ttl = ttl
    if delivery_count and changed.first_acquirer:
        changed.first_acquirer = False
    return changed.encode() + payload[len(info.encoded) :]


def with_annotations(payload: bytes, notes: Mapping[str, Any]) -> bytes:
    """Return the message with more message-annotations; if it can't be read or written again, it stays the same.

    Args:
        payload: the encoded message.
        notes: the annotations by name, with values of the codec's typed mapping.
    """
    try:
        start = 0  # where the annotations' section goes, and
        end = 0  # where what it replaces ends
        annotations: dict[Any, Any] = {}
        found = False
        previous = 0
        for code, value_start, value_end in scan_sections(payload):
            if code == MESSAGE_ANNOTATIONS:
                start, end = previous, value_end
                annotations = Decoder(payload, value_start, value_end).value()
                found = True
            elif code in {HEADER, DELIVERY_ANNOTATIONS} and not found:
                start = end = value_end
            previous = value_end
    except DecodeError:
        return payload
    for key, value in notes.items():
        annotations[Symbol(key)] = value
    section = bytearray()
    append_section_header(section, MESSAGE_ANNOTATIONS)
    try:
        append_value(section, annotations)
    except EncodeError:
        return payload
    return payload[:start] + bytes(section) + payload[end:]


def read_to(payload: bytes) -> str | None:
    """Return the address in the message's property `to`, or None if there is none.

    Raises:
        DecodeError: the message is malformed.
    """
    decoder = section_decoder(payload, scan_sections(payload), PROPERTIES)
    to = None if decoder is None else Properties.from_fields(decoder.fields()).to
    return to if isinstance(to, str) else None


def batch_parts(payload: bytes) -> list[bytes]:
    """Return the messages in a batch; one that can't be read stays as it is."""
    try:
        found = [binary_bounds(payload, start, end) for code, start, end in scan_sections(payload) if code == DATA]
    except DecodeError:
        return [payload]
    return [payload[start:end] for start, end in found]
