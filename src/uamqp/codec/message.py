"""A message as bytes (section 3.2 of the specification): its sections found, passed on as they came, and encoded.

For whoever has a class for messages. What was received stays the payload and its bounds, `scan_sections(payload)`; a
section is decoded when somebody looks at it, and what nobody looks at goes out as it came. These are functions and no
base class, because objects of a compiled class that has a base aren't used again (`RECYCLING` in setup.py).
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
"""What `scan_sections` returns: the code of each section, and where its value starts and ends."""

_NAMES = ("header", "properties")
_FIELDS = (Header.FIELDS, Properties.FIELDS)

# What bytes are in each field of the properties, in the bare and in the typed mapping. 0: the field takes none.
_BYTES_BARE = bytes.fromhex("a1 a0 a1 a1 a1 a1 a3 a3 00 00 a1 00 a1")
_BYTES_TYPED = bytes.fromhex("a0 a0 00 00 00 a0 00 00 00 00 00 00 00")

# By the type of a field and that of its value: what is usual, and needs no further look.
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


# What was received


def section_decoder(payload: bytes, bounds: Bounds, code: int, bare: bool = False) -> Decoder | None:
    """Return a cursor at the value of a section, which reads that value and no further.

    Args:
        payload: the encoded message.
        bounds: its sections, as `scan_sections` finds them.
        code: which section; of several data or sequence sections it is the first.
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
    """Return the five fields of the header at a cursor (section 3.2.1), those that were left out as None.

    They are durable, priority, ttl (milliseconds), first-acquirer and delivery-count. Their types are the sender's:
    nothing is checked. The cursor is behind the header then.

    Raises:
        DecodeError: what is there is no list, or has more fields.
    """
    fields = decoder.fields()
    count = len(fields)
    if count > 5:
        raise DecodeError(f"A message header has 5 fields, this one has {count}.")
    if count < 5:
        fields += [None] * (5 - count)
    return fields


def read_properties(decoder: Decoder) -> list[Any]:
    """Return the fields of the properties at a cursor (section 3.2.4), in their order; those at the end may be missing.

    Their types are the sender's: nothing is checked. The cursor is behind the properties then.

    Raises:
        DecodeError: what is there is no list, or has more than 13 fields.
    """
    fields = decoder.fields()
    if len(fields) > 13:
        raise DecodeError(f"Message properties have 13 fields, these have {len(fields)}.")
    return fields


def encoded_since(decoder: Decoder, start: int) -> bytes:
    """Return the bytes that a cursor has read since it was at `start`.

    Raises:
        DecodeError: it has never been there.
    """
    stop = decoder.pos
    if not 0 <= start <= stop <= len(decoder.data):
        raise DecodeError(f"nothing was read from offset {start} up to {stop}")
    chars = decoder.data  # char *: `stop` is within the data, as was checked above
    return chars[start:stop]


def body_code(bounds: Bounds) -> int:
    """Return the code of the sections that the body is made of: `DATA`, `SEQUENCE` or `VALUE`; 0 without a body."""
    for code, _, _ in bounds:
        if DATA <= code <= VALUE:
            return code
    return 0


def body_parts(payload: bytes, bounds: Bounds) -> list[bytes]:
    """Return what is in each section of the body, as bytes: of data the content, of other sections the encoded value.

    Args:
        payload: the encoded message.
        bounds: its sections, as `scan_sections` finds them.

    Raises:
        DecodeError: the bounds aren't within the payload, or those of a data section are no binary's.
    """
    parts = []
    size = len(payload)
    chars = payload  # char *: each section is checked below to be within the payload
    for code, start, end in bounds:
        if not DATA <= code <= VALUE:
            continue
        if not 0 <= start < end <= size:
            raise DecodeError(f"a section from {start} to {end} isn't within the {size} bytes of the message")
        if code == DATA:
            start += 2 if payload[start] == 0xA0 else 5
            if start > end:
                raise DecodeError(f"a data section that ends at {end} has no room for its size")
        parts.append(chars[start:end])
    return parts


def body_size(payload: bytes, bounds: Bounds) -> int:
    """Return how many bytes `body_parts` would have in all, without making them.

    Raises:
        DecodeError: the bounds of a data section are no binary's.
    """
    size = 0
    for code, start, end in bounds:
        if DATA <= code <= VALUE:
            first, last = binary_bounds(payload, start, end) if code == DATA else (start, end)
            size += last - first
    return size


# What goes out


def append_section(out: bytearray, code: int, value: bytes) -> None:
    """Append a section whose value is encoded already."""
    append_section_header(out, code)
    out += value


def append_sections(out: bytearray, payload: bytes, bounds: Bounds, first: int, last: int) -> None:
    """Append sections as they came, byte for byte: those with the codes from `first` to `last`.

    Their descriptors go out in the usual form, which is the shortest.

    Args:
        out: what to append to.
        payload: the encoded message that they came in.
        bounds: its sections, as `scan_sections` finds them.
    """
    for code, start, end in bounds:
        if first <= code <= last:
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
    """Return a message whose body is one data section; its content is copied once, however large it is.

    Args:
        content: what is in the section.
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
        out: what to append to; it is as it was if this raises.
        fields: up to five: durable (bool), priority (0 to 255), ttl (milliseconds), first-acquirer (bool) and
            delivery-count. None is null, and left out at the end.
        original: the value of a header that was received.
        changed: with `original`, the fields that differ from it, a bit for each (1 for durable). The others go out as
            they came; with 0 the whole original does.

    Raises:
        EncodeError: a field is of the wrong type, or out of range. The text names it.
    """
    _append_fields(out, fields, False, False, original, changed)


def append_properties(
    out: bytearray, fields: list[Any], bare: bool = False, original: bytes | None = None, changed: int = -1
) -> None:
    """Append the value of properties (section 3.2.4); its descriptor is `append_section_header`'s.

    Args:
        out: what to append to; it is as it was if this raises.
        fields: up to 13, in their order. None is null, and left out at the end. Text is str, and in the bare mapping
            also bytes. Times are milliseconds since 1970-01-01 UTC. Ids are text, integers (ulong), `uuid.UUID` or
            binary, which is bytes in the typed mapping and bytearray in either.
        bare: use the bare mapping, in which bytes are text wherever text is allowed.
        original: the value of properties that were received.
        changed: with `original`, the fields that differ from it, a bit for each (1 for message-id). The others go out
            as they came; with 0 the whole original does.

    Raises:
        EncodeError: a field is of the wrong type, or out of range. The text names it, unless it is text that has no
            UTF-8 encoding or 4 GiB.
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
            else:
                _append_other(out, index, value, properties, bare)
        close_compound(out, start, count)
    except BaseException:
        del out[start:]
        raise


def _append_other(out: bytearray, index: int, value: Any, properties: bool, bare: bool) -> None:
    """A field of the header, or one of the properties that isn't bytes."""
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


# Maps


def append_map(out: bytearray, code: int, items: dict[Any, Any], bare: bool = False) -> None:
    """Append the value of a section that is a map; its descriptor is `append_section_header`'s.

    Args:
        out: what to append to; it is as it was if this raises.
        code: the section's. Application properties (section 3.2.5) have text as keys; annotations and the footer
            (3.2.10) have text of ASCII, which goes out as symbols, or integers from 0 to 2**64-1. Text is str or bytes.
        items: the map.
        bare: whether its values are in the bare mapping.

    Raises:
        EncodeError: a key is another one, or a value has no encoding.
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
    """Append a map, in which what was received and is the same now goes out byte for byte as it came.

    Args:
        out: what to append to.
        items: the map as it is now, in the bare mapping.
        append_key: appends a key that wasn't received. It raises for what can't be one.
        append_item: appends a value that wasn't received: it takes the key as well, for what its errors say.
        original: the payload that the map came in, and where it starts and ends; None: nothing was received.

    Raises:
        DecodeError: the original is no map.
        Exception: what the two functions raise.
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
    """The encoded items of a map by its keys as they were read."""
    items = [(payload[start:middle], payload[middle:end]) for start, middle, end in spans]
    if len(items) == len(came):
        return dict(zip(came, items, strict=True))
    # Keys that differ in their type alone fall together: then the first key counts, and the last value.
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
    """The key that is this one; one with a NaN in it isn't equal to itself. `_NOWHERE` if there is none."""
    if key in known:
        return key
    if isinstance(key, (str, bytes, int)):
        return _NOWHERE
    return next((other for other in known if unchanged(key, other)), _NOWHERE)


def unchanged(value: Any, came: Any) -> bool:
    """Tell whether a value is what was decoded, down to the types: True isn't 1 here, and NaN is NaN."""
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
