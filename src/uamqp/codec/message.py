"""A message as bytes (section 3.2 of the specification): finding, passing on and encoding its sections.

For classes that represent messages. A received message remains a payload with its bounds, `scan_sections(payload)`; a
section is decoded when accessed, and otherwise goes out as received. These are functions instead of a base class,
because objects of a compiled class with a base aren't recycled (`RECYCLING` in setup.py).
"""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from .composites import append_field
from .decode import Decoder, decode_value, decoder_between, list_spans, map_spans
from .encode import (
    append_bare,
    append_binary,
    append_boolean,
    append_keyed_map,
    append_string,
    append_symbol,
    append_text,
    append_timestamp,
    append_ubyte,
    append_uint,
    append_ulong,
    begin_map,
    close_compound,
)
from .errors import DecodeError, EncodeError
from .sections import (
    APPLICATION_PROPERTIES,
    DATA,
    VALUE,
    Header,
    Properties,
    append_section_header,
    binary_bounds,
    data_head,
)
from .values import ULong

Bounds: TypeAlias = list[tuple[int, int, int]]
"""The result of `scan_sections`: the code of each section, and where its value starts and ends."""

_NAMES = ("header", "properties")
_FIELDS = (Header.FIELDS, Properties.FIELDS)

# The type of bytes in each field of the properties, in the bare and in the typed mapping; 0 if none are allowed.
_BYTES_BARE = bytes.fromhex("a1 a0 a1 a1 a1 a1 a3 a3 00 00 a1 00 a1")
_BYTES_TYPED = bytes.fromhex("a0 a0 00 00 00 a0 00 00 00 00 00 00 00")

# Usual combinations of the types of a field and of its value, which need no further checks.
_USUAL: dict[tuple[str, type], Callable[[bytearray, Any], None]] = {
    ("boolean", bool): append_boolean,
    ("ubyte", int): append_ubyte,
    ("uint", int): append_uint,
    ("timestamp", int): append_timestamp,
    ("string", str): append_string,
    ("symbol", str): append_symbol,
    ("address", str): append_string,
    ("message-id", str): append_string,
    ("message-id", int): append_ulong,
    ("message-id", ULong): append_ulong,
    ("message-id", uuid.UUID): append_bare,
    ("message-id", bytearray): append_binary,
}


# -- received messages


def section_decoder(payload: bytes, bounds: Bounds, code: int, bare: bool = False) -> Decoder | None:
    """Return a cursor for the value of a section.

    Args:
        payload: the encoded message.
        bounds: its sections, as `scan_sections` finds them.
        code: the section's code; among several data or sequence sections, the first is chosen.
        bare: as for `Decoder`.

    Returns:
        None if there is no such section.

    Raises:
        DecodeError: the bounds aren't within the payload.
    """
    for found, start, end in bounds:
        if found == code:
            return decoder_between(payload, start, end, bare)
    return None


def read_header(decoder: Decoder) -> list[Any]:
    """Return the five fields of the header at a cursor (section 3.2.1), and move past it. Omitted fields are None.

    They are durable, priority, ttl (milliseconds), first-acquirer and delivery-count. Their types are the sender's, and
    not checked.

    Raises:
        DecodeError: it isn't a list, or has more fields.
    """
    fields = decoder.fields()
    count = len(fields)
    if count > 5:
        raise DecodeError(f"A message header has 5 fields, this one has {count}.")
    if count < 5:
        fields += [None] * (5 - count)
    return fields


def read_properties(decoder: Decoder) -> list[Any]:
    """Return the fields of the properties at a cursor (section 3.2.4), and move past them.

    They are in the specification's order; the last ones may be missing. Their types are the sender's, and not checked.

    Raises:
        DecodeError: it isn't a list, or has more than 13 fields.
    """
    fields = decoder.fields()
    if len(fields) > 13:
        raise DecodeError(f"Message properties have 13 fields, these have {len(fields)}.")
    return fields


def encoded_since(decoder: Decoder, start: int) -> bytes:
    """Return the bytes that a cursor has read since it was at `start`.

    Raises:
        DecodeError: it can't have been there.
    """
    stop = decoder.pos
    if not 0 <= start <= stop <= len(decoder.data):
        raise DecodeError(f"nothing was read from offset {start} up to {stop}")
    chars = decoder.data  # char *: `stop` is within the data, as was checked above
    return chars[start:stop]


def body_code(bounds: Bounds) -> int:
    """Return the code of the body's sections: `DATA`, `SEQUENCE` or `VALUE`; 0 without a body."""
    for code, _, _ in bounds:
        if DATA <= code <= VALUE:
            return code
    return 0


def body_parts(payload: bytes, bounds: Bounds) -> list[bytes]:
    """Return the bytes in each section of the body: the content of data, the encoded value of other sections.

    Args:
        payload: the encoded message.
        bounds: its sections, as `scan_sections` finds them.

    Raises:
        DecodeError: the bounds aren't within the payload, or those of a data section aren't a binary's.
    """
    parts = []
    size = len(payload)
    chars = payload  # char *: each section is checked below to be within the payload
    for code, start, end in bounds:
        if not DATA <= code <= VALUE:
            continue
        if not 0 <= start < end <= size:
            raise _outside(payload, start, end)
        if code == DATA:
            start += 2 if payload[start] == 0xA0 else 5
            if start > end:
                raise DecodeError(f"a data section that ends at {end} has no room for its size")
        parts.append(chars[start:end])
    return parts


def body_size(payload: bytes, bounds: Bounds) -> int:
    """Return the total number of bytes of `body_parts`, without making them.

    Raises:
        DecodeError: the bounds of a data section aren't a binary's, or bounds are outside the payload.
    """
    size = 0
    for code, start, end in bounds:
        if DATA <= code <= VALUE:
            if not 0 <= start <= end <= len(payload):
                raise _outside(payload, start, end)
            first, last = binary_bounds(payload, start, end) if code == DATA else (start, end)
            size += last - first
    return size


def _outside(payload: bytes, start: int, end: int) -> DecodeError:
    return DecodeError(f"a section from {start} to {end} isn't within the {len(payload)} bytes of the message")


# -- outgoing messages


def append_section(out: bytearray, code: int, value: bytes) -> None:
    """Append a section whose value is already encoded."""
    append_section_header(out, code)
    out += value


def append_sections(out: bytearray, payload: bytes, bounds: Bounds, first: int, last: int) -> None:
    """Append the received sections with codes from `first` to `last`, byte for byte.

    Just their descriptors go out in the usual form, which is the shortest.

    Args:
        out: the buffer.
        payload: the encoded message in which they were received.
        bounds: its sections, as `scan_sections` finds them.

    Raises:
        DecodeError: bounds are outside the payload.
    """
    for code, start, end in bounds:
        if first <= code <= last:
            if not 0 <= start <= end <= len(payload):
                raise _outside(payload, start, end)
            append_section_header(out, code)
            out += payload[start:end]


def append_data(out: bytearray, content: bytes) -> None:
    """Append a data section (section 3.2.6).

    Raises:
        EncodeError: the content has 4 GiB or more.
    """
    out += data_head(len(content))
    out += content


def encode_data(
    content: bytes, before: bytes | bytearray | None = None, after: bytes | bytearray | None = None
) -> bytes:
    """Return a message whose body is a single data section; its content is copied only once.

    Args:
        content: the content of the section.
        before: the encoded sections before the body; None for none.
        after: the encoded footer; None for none.

    Raises:
        EncodeError: the content has 4 GiB or more.
    """
    head = data_head(len(content))
    if before is None and after is None:
        return head + content
    return b"".join((before or b"", head, content, after or b""))


def append_header(out: bytearray, fields: list[Any], original: bytes | None = None, changed: int = -1) -> None:
    """Append the value of a header (section 3.2.1); its descriptor is `append_section_header`'s.

    Args:
        out: the buffer, unchanged after an error.
        fields: up to five: durable (bool), priority (0 to 255), ttl (milliseconds), first-acquirer (bool) and
            delivery-count. None becomes null, and is omitted at the end.
        original: the value of a received header.
        changed: with `original`, the fields that differ from it, with a bit for each (1 for durable). The others go out
            as received; with 0, so does the whole original.

    Raises:
        EncodeError: a field has the wrong type, or is out of range. The text names it.
    """
    _append_fields(out, fields, False, False, original, changed)


def append_properties(
    out: bytearray, fields: list[Any], bare: bool = False, original: bytes | None = None, changed: int = -1
) -> None:
    """Append the value of properties (section 3.2.4); its descriptor is `append_section_header`'s.

    Args:
        out: the buffer, unchanged after an error.
        fields: up to 13, in the specification's order. None becomes null, and is omitted at the end. Text is str, or
            also bytes in the bare mapping. Times are milliseconds since 1970-01-01 UTC. Ids are text, integers (ulong),
            `uuid.UUID` or binary, which is bytes in the typed mapping and bytearray in either.
        bare: whether to use the bare mapping, in which bytes are text wherever text is allowed.
        original: the value of received properties.
        changed: with `original`, the fields that differ from it, with a bit for each (1 for message-id). The others go
            out as received; with 0, so does the whole original.

    Raises:
        EncodeError: a field has the wrong type, or is out of range. The text names it, unless it is text without a
            UTF-8 encoding, or of 4 GiB.
    """
    _append_fields(out, fields, True, bare, original, changed)


def _append_fields(
    out: bytearray, fields: list[Any], properties: bool, bare: bool, original: bytes | None, changed: int
) -> None:
    spans: list[tuple[int, int]] | None = None
    if original is not None:
        if not changed:
            out += original
            return
        spans = list_spans(original, 0, len(original))
    count = len(fields)
    while count and fields[count - 1] is None:
        count -= 1
    if not count:
        out.append(0x45)
        return
    if count > (13 if properties else 5):
        raise EncodeError(f"{_NAMES[properties]}: there are {13 if properties else 5} fields, not {count}")
    codes = _BYTES_BARE if bare else _BYTES_TYPED
    start = len(out)
    out.append(0xC0)
    out.append(0)
    out.append(0)
    try:
        for index in range(count):
            value = fields[index]
            if original is not None and spans is not None and not changed >> index & 1 and index < len(spans):
                first, stop = spans[index]
                out += original[first:stop]
            elif value is None:
                out.append(0x40)
            elif properties and type(value) is bytes and codes[index]:
                append_text(out, codes[index], value)
            elif properties and type(value) is str and _BYTES_BARE[index] == 0xA1 and value.isascii():
                append_text(out, 0xA1, value.encode())  # most text; `_append_other` has an error's text as well
            else:
                _append_other(out, index, value, properties, bare)
        close_compound(out, start, count)
    except BaseException:
        del out[start:]
        raise


def _append_other(out: bytearray, index: int, value: Any, properties: bool, bare: bool) -> None:
    """Append a field of the header, or one of the properties that isn't bytes."""
    field = _FIELDS[properties][index]
    append = _USUAL.get((field.requires or field.base, type(value)))
    try:
        if append is not None:
            append(out, value)
        elif bare and field.requires == "address":
            append_bare(out, value, 1)
        else:
            append_field(out, field, value, 1)
    except EncodeError as error:
        raise type(error)(f"{_NAMES[properties]}.{field.name}: {error}") from None


# -- maps


def append_map(out: bytearray, code: int, items: dict[Any, Any], bare: bool = False) -> None:
    """Append the value of a section that is a map; its descriptor is `append_section_header`'s.

    Args:
        out: the buffer, unchanged after an error.
        code: the section's code. Application properties (section 3.2.5) have text as keys; annotations and the footer
            (3.2.10) have ASCII text, which goes out as symbols, or integers from 0 to 2**64-1. Text is str or bytes.
        items: the map.
        bare: whether its values are in the bare mapping.

    Raises:
        EncodeError: a key is invalid, or a value has no encoding.
        NestingError: a value is nested too deep.
    """
    append_keyed_map(out, items, code != APPLICATION_PROPERTIES, bare)


def append_changed_map(
    out: bytearray,
    items: dict[Any, Any],
    append_key: Callable[[bytearray, Any], None],
    append_item: Callable[[bytearray, Any, Any], None],
    original: tuple[bytes, int, int] | None = None,
) -> None:
    """Append a map whose unchanged parts go out byte for byte as received.

    Args:
        out: the buffer.
        items: the current map, in the bare mapping.
        append_key: appends a key that wasn't received, or raises an error.
        append_item: appends a value that wasn't received; called with its key, too, for error texts.
        original: the payload in which the map was received, and where it starts and ends; None if there was none.

    Raises:
        DecodeError: the original isn't a map.
        Exception: the exceptions of both functions propagate.
    """
    known: dict[Any, tuple[bytes, bytes]] = {}
    came: dict[Any, Any] = {}
    if original is not None:
        payload, begin, end = original
        came = Decoder(payload, begin, end, True).map()
        if unchanged(items, came):
            out += payload[begin:end]
            return
        known = _items(payload, came, map_spans(payload, begin, end))
    start = begin_map(out)
    for key, value in items.items():
        there = _there(key, known)
        if there is _NOWHERE:
            append_key(out, key)
            append_item(out, key, value)
            continue
        encoded_key, encoded_value = known[there]
        out += encoded_key
        if unchanged(value, came[there]):
            out += encoded_value
        else:
            append_item(out, key, value)
    close_compound(out, start, 2 * len(items))


def _items(payload: bytes, came: dict[Any, Any], spans: Bounds) -> dict[Any, tuple[bytes, bytes]]:
    """Return the encoded items of a map by its decoded keys."""
    items = [(payload[start:middle], payload[middle:end]) for start, middle, end in spans]
    if len(items) == len(came):
        return dict(zip(came, items, strict=True))
    # Keys that differ just in type collide: then the first key counts, and the last value.
    found: dict[Any, tuple[bytes, bytes]] = {}
    for key, value in items:
        out = bytearray()
        start = begin_map(out)
        out += key
        out.append(0x40)
        close_compound(out, start, 2)
        (read,) = decode_value(out, True)
        found[read] = (found[read][0] if read in found else key, value)
    return found


_NOWHERE: Any = object()


def _there(key: Any, known: dict[Any, Any]) -> Any:
    """Return the known key that is the same, even with a NaN, which isn't equal to itself; else `_NOWHERE`."""
    if key in known:
        return key
    if isinstance(key, (str, bytes, int)):
        return _NOWHERE
    return next((other for other in known if unchanged(key, other)), _NOWHERE)


def unchanged(value: Any, came: Any) -> bool:
    """Return whether a value is the decoded one, including types: True isn't 1 here, and NaN is NaN."""
    if type(value) is not type(came):
        return False
    if isinstance(value, dict):
        return len(value) == len(came) and all(
            unchanged(key, there) and unchanged(item, came[there])
            for (key, item), there in zip(value.items(), came, strict=True)
        )
    if isinstance(value, (list, tuple)):
        return len(value) == len(came) and all(map(unchanged, value, came))
    if isinstance(value, (float, decimal.Decimal)):
        return repr(value) == repr(came)
    return bool(value == came)
