"""Puts a message together out of its sections (section 3.2): those that were received go out byte for byte."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..codec import (
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    VALUE,
    EncodeError,
)
from ..codec.message import (
    Bounds,
    append_header,
    append_map,
    append_properties,
    append_sections,
    encode_data,
    read_header,
    read_properties,
    section_decoder,
    unchanged,
)
from ..codec.sections import append_section_header
from .bodies import append_body, decoded_body
from .checks import shown, with_zone

UNREAD: Any = type("Unread", (), {"__doc__": "Stands for a section that nobody has looked at yet."})()

# Bits of `changed`: those of the properties, above them those of the header, and one for the body.
OF_HEADER = 13
_OF_PROPERTIES = (1 << OF_HEADER) - 1
_OF_HEADER_ALONE = 0x1F
BODY = 1 << OF_HEADER + 5

DURABLE_HEADER = bytes.fromhex("00 53 70 c0 02 01 41")
"""A header that says durable, and nothing else."""


def section_value(payload: bytes, bounds: Bounds, code: int) -> Any:
    """Return a decoded section that isn't the body: fields as a list, or a map; None if there is none.

    Raises:
        DecodeError: it can't be decoded.
    """
    decoder = section_decoder(payload, bounds, code)
    if decoder is None:
        return None
    if code == PROPERTIES:
        return read_properties(decoder)
    return read_header(decoder) if code == HEADER else decoder.map()


def assembled(
    payload: bytes | None,
    bounds: Bounds,
    is_durable: bool,
    changed: int,
    header: Any,
    delivery_annotations: Any,
    annotations: Any,
    properties: Any,
    application_properties: Any,
    code: int,
    content: Any,
    footer: Any,
) -> bytes:
    """Return an encoded message. Each section is `UNREAD`, None if there is none, or decoded.

    Args:
        payload: the message that it was made from, if there is one.
        bounds: the sections of the payload.
        is_durable: what the header says if it doesn't say itself.
        changed: which fields of header and properties aren't the payload's any more.
        header: its five fields.
        delivery_annotations: a map.
        annotations: a map.
        properties: their fields.
        application_properties: a map.
        code: the section code of the body.
        content: the body: see `bodies`.
        footer: a map.

    Raises:
        EncodeError: a value has no encoding, or a key of a map isn't text.
        DecodeError: the received header isn't one.
    """
    out = bytearray()
    _append_header(out, payload, bounds, is_durable, header, changed >> OF_HEADER & _OF_HEADER_ALONE)
    _append_map(out, payload, bounds, DELIVERY_ANNOTATIONS, delivery_annotations)
    _append_map(out, payload, bounds, MESSAGE_ANNOTATIONS, annotations)
    _append_fields(out, payload, bounds, PROPERTIES, properties, changed & _OF_PROPERTIES)
    _append_map(out, payload, bounds, APPLICATION_PROPERTIES, application_properties)
    if payload is not None and not changed & BODY and not _is_new(payload, bounds, content):
        content = UNREAD
    if type(content) is bytes and code == DATA:
        if footer is None:
            return encode_data(content, out)
        tail = bytearray()
        _append_map(tail, payload, bounds, FOOTER, footer)
        return encode_data(content, out, tail)
    if content is not UNREAD:
        append_body(out, code, content)
    elif payload is not None:
        append_sections(out, payload, bounds, DATA, VALUE)
    _append_map(out, payload, bounds, FOOTER, footer)
    return bytes(out)


def _is_new(payload: bytes, bounds: Bounds, content: Any) -> bool:
    """Return whether a received body was changed in place."""
    return isinstance(content, (list, dict, tuple)) and not unchanged(content, decoded_body(payload, bounds))


def _append_header(
    out: bytearray,
    payload: bytes | None,
    bounds: Bounds,
    is_durable: bool,
    header: Any,
    changed: int,
) -> None:
    if is_durable:
        if header is UNREAD:
            header = None if payload is None else section_value(payload, bounds, HEADER)
        if header is None:
            out += DURABLE_HEADER
            return
        if header[0] is None:
            header = [True, *header[1:]]
            changed |= 1
    _append_fields(out, payload, bounds, HEADER, header, changed)


def _append_fields(out: bytearray, payload: bytes | None, bounds: Bounds, code: int, found: Any, changed: int) -> None:
    """Append header or properties; fields that haven't changed go out as they came."""
    if found is None:
        return
    original: bytes | None = None
    if payload is not None:
        if not changed:
            append_sections(out, payload, bounds, code, code)
            return
        for section, start, end in bounds:
            if section == code:
                original = payload[start:end]
    append_section_header(out, code)
    if code == HEADER:
        append_header(out, found, original, changed)
    else:
        append_properties(out, found, False, original, changed)


def _append_map(out: bytearray, payload: bytes | None, bounds: Bounds, code: int, items: Any) -> None:
    if items is None:
        return
    if payload is not None:
        if type(items) is not dict or unchanged(items, section_value(payload, bounds, code)):
            append_sections(out, payload, bounds, code, code)
            return
    if items:
        if code == APPLICATION_PROPERTIES:
            _check_simple(items)
        append_section_header(out, code)
        append_map(out, code, items)


def _check_simple(items: dict[Any, Any]) -> None:
    """Check that application properties have simple values (section 3.2.5)."""
    for key, value in items.items():
        if isinstance(value, (list, dict, tuple)):
            name = f"application_properties[{shown(key)}]"
            raise EncodeError(f"{name} must be a simple value, not {type(value).__name__}: {shown(value)}")
        if isinstance(value, datetime):
            with_zone(f"application_properties[{shown(key)}]", value, EncodeError)
