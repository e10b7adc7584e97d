"""AMQP values to bytes, in the smallest encodings.

Functions append to a buffer. `append_value` is the typed mapping, `append_bare` the bare one (docs/design.md); the
others encode a value of one AMQP type, for composites. All may raise EncodeError, and then leave the buffer unchanged.
"""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
from collections.abc import Callable
from typing import Any

from .decode import Decoder, decode_value
from .errors import DecodeError, EncodeError, NestingError
from .limits import MAX_DEPTH, MAX_ELEMENTS, MAX_SIZE
from .values import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Long,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

_pack_u16 = struct.Struct(">H").pack
_pack_i16 = struct.Struct(">h").pack
_pack_u32 = struct.Struct(">I").pack
_pack_i32 = struct.Struct(">i").pack
_pack_u64 = struct.Struct(">Q").pack
_pack_i64 = struct.Struct(">q").pack
_pack_f32 = struct.Struct(">f").pack
_pack_f64 = struct.Struct(">d").pack
_pack_u32_pair = struct.Struct(">II").pack


def append_boolean(out: bytearray, value: bool) -> None:
    """Append a boolean."""
    out.append(0x41 if value else 0x42)


def append_ubyte(out: bytearray, value: int) -> None:
    """Append a ubyte."""
    if not 0 <= value <= 0xFF:
        raise _out_of_range("ubyte", value, UByte)
    out.append(0x50)
    out.append(value)


def append_ushort(out: bytearray, value: int) -> None:
    """Append a ushort."""
    if not 0 <= value <= 0xFFFF:
        raise _out_of_range("ushort", value, UShort)
    out.append(0x60)
    out += _pack_u16(value)


def append_uint(out: bytearray, value: int) -> None:
    """Append a uint."""
    if not 0 <= value <= 0xFFFFFFFF:
        raise _out_of_range("uint", value, UInt)
    if value == 0:
        out.append(0x43)
    elif value <= 0xFF:
        out.append(0x52)
        out.append(value)
    else:
        out.append(0x70)
        out += _pack_u32(value)


def append_ulong(out: bytearray, value: int) -> None:
    """Append a ulong."""
    if not 0 <= value <= 0xFFFFFFFFFFFFFFFF:
        raise _out_of_range("ulong", value, ULong)
    if value == 0:
        out.append(0x44)
    elif value <= 0xFF:
        out.append(0x53)
        out.append(value)
    else:
        out.append(0x80)
        out += _pack_u64(value)


def append_timestamp(out: bytearray, value: int) -> None:
    """Append a timestamp: milliseconds since 1970-01-01 UTC."""
    if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        raise _out_of_range("timestamp", value, Timestamp)
    out.append(0x83)
    out += _pack_i64(value)


def append_binary(out: bytearray, value: bytes | bytearray) -> None:
    """Append a binary."""
    size = len(value)
    if size <= 0xFF:
        out.append(0xA0)
        out.append(size)
    else:
        append_wide_size(out, 0xB0, size)
    out += value


def append_string(out: bytearray, value: str | bytes) -> None:
    """Append a string; bytes are taken as UTF-8."""
    append_text(out, 0xA1, value if isinstance(value, bytes) else _utf8(value))


def append_symbol(out: bytearray, value: str | bytes) -> None:
    """Append a symbol; bytes are taken as ASCII."""
    append_text(out, 0xA3, value if isinstance(value, bytes) else _utf8(value))


def append_text(out: bytearray, code: int, data: bytes) -> None:
    """Append bytes as a string, binary or symbol; `code` is the constructor with a one-byte size."""
    size = len(data)
    if size <= 0xFF:
        out.append(code)
        out.append(size)
    else:
        append_wide_size(out, code + 0x10, size)
    out += data


def append_wide_size(out: bytearray, code: int, size: int) -> None:
    """Append a constructor with a four-byte size; `size` bytes have to follow."""
    if size > MAX_SIZE:
        raise EncodeError(f"{size} bytes are more than the {MAX_SIZE} that AMQP can encode in one value")
    out.append(code)
    out += _pack_u32(size)


def _utf8(value: str) -> bytes:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodeError(f"text has no UTF-8 encoding: {error.reason} at index {error.start}") from None


def _out_of_range(name: str, value: int, bounds: Any) -> EncodeError:
    return EncodeError(f"{name} takes {bounds.MIN} to {bounds.MAX}, got {int(value)}")


def _append_int(out: bytearray, value: int) -> None:
    if -128 <= value <= 127:
        out.append(0x54)
        out.append(value & 0xFF)
    elif -0x80000000 <= value <= 0x7FFFFFFF:
        out.append(0x71)
        out += _pack_i32(value)
    elif -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        out.append(0x81)
        out += _pack_i64(value)
    else:
        raise EncodeError(f"an int takes {Long.MIN} to {Long.MAX} (AMQP long), got {int(value)}")


def _append_long(out: bytearray, value: Long) -> None:
    if -128 <= value <= 127:
        out.append(0x55)
        out.append(value & 0xFF)
    else:
        out.append(0x81)
        out += _pack_i64(value)


def _append_byte(out: bytearray, value: Byte) -> None:
    out.append(0x51)
    out.append(value & 0xFF)


def _append_short(out: bytearray, value: Short) -> None:
    out.append(0x61)
    out += _pack_i16(value)


def _append_float(out: bytearray, value: Float) -> None:
    out.append(0x72)
    out += _pack_f32(value)


def _append_double(out: bytearray, value: float) -> None:
    out.append(0x82)
    out += _pack_f64(value)


def _append_char(out: bytearray, value: Char) -> None:
    out.append(0x73)
    out += _pack_u32(ord(value))


def _append_uuid(out: bytearray, value: uuid.UUID) -> None:
    out.append(0x98)
    out += value.bytes


def _append_decimal32(out: bytearray, value: Decimal32) -> None:
    out.append(0x74)
    out += value.raw


def _append_decimal64(out: bytearray, value: Decimal64) -> None:
    out.append(0x84)
    out += value.raw


def _append_decimal128(out: bytearray, value: Decimal128) -> None:
    out.append(0x94)
    out += value.raw


def _append_decimal(out: bytearray, value: decimal.Decimal) -> None:
    out.append(0x94)
    out += Decimal128.from_decimal(value).raw


def _append_datetime(out: bytearray, value: datetime.datetime) -> None:
    out.append(0x83)
    out += _pack_i64(Timestamp.from_datetime(value))


def _append_view(out: bytearray, value: memoryview) -> None:
    append_binary(out, value.tobytes())


def _append_bytes_bare(out: bytearray, value: bytes) -> None:
    append_text(out, 0xA1, bytes(value))


# Scalars by Python type, in both mappings. The order matters for subclasses, which are found by isinstance.
_SCALARS: dict[type, Callable[[bytearray, Any], None]] = {
    bool: append_boolean,
    UByte: append_ubyte,
    UShort: append_ushort,
    UInt: append_uint,
    ULong: append_ulong,
    Byte: _append_byte,
    Short: _append_short,
    Long: _append_long,
    Timestamp: append_timestamp,
    int: _append_int,
    Float: _append_float,
    float: _append_double,
    Symbol: append_symbol,
    Char: _append_char,
    str: append_string,
    bytes: append_binary,
    bytearray: append_binary,
    memoryview: _append_view,
    uuid.UUID: _append_uuid,
    datetime.datetime: _append_datetime,
    Decimal32: _append_decimal32,
    Decimal64: _append_decimal64,
    Decimal128: _append_decimal128,
    decimal.Decimal: _append_decimal,
}


def _append(out: bytearray, value: Any, bare: bool, depth: int) -> None:
    kind = type(value)
    if kind is str:
        append_text(out, 0xA1, _utf8(value))
    elif kind is bytes:
        append_text(out, 0xA1 if bare else 0xA0, value)
    elif kind is int:
        _append_int(out, value)
    elif value is None:
        out.append(0x40)
    elif kind is dict:
        _append_map(out, value, bare, depth)
    elif kind is list:
        _append_list(out, value, bare, depth)
    elif kind in _SCALARS:
        _SCALARS[kind](out, value)
    else:
        _append_other(out, value, bare, depth)


def _append_other(out: bytearray, value: Any, bare: bool, depth: int) -> None:
    """Append an object that encodes itself, a described value, an array, or an instance of a subclass."""
    hook = getattr(type(value), "__amqp_encode__", None)
    if hook is not None:
        out += _self_encoded(value, hook, depth)
    elif isinstance(value, Described):
        _check_depth(depth)
        out.append(0x00)
        _append(out, value.descriptor, bare, depth + 1)
        _append(out, value.value, bare, depth + 1)
    elif isinstance(value, Array):
        _append_array(out, value, bare, depth)
    elif isinstance(value, dict):
        _append_map(out, value, bare, depth)
    elif isinstance(value, (list, tuple)) or (bare and isinstance(value, (set, frozenset))):
        _append_list(out, list(value), bare, depth)
    elif bare and isinstance(value, bytes):
        _append_bytes_bare(out, value)
    else:
        for kind, append in _SCALARS.items():
            if isinstance(value, kind):
                append(out, value)
                return
        raise EncodeError(f"{type(value).__qualname__} has no AMQP encoding")


def _self_encoded(value: Any, hook: Callable[[Any], Any], depth: int) -> bytes:
    encoded = hook(value)
    if not isinstance(encoded, (bytes, bytearray)) or not encoded:
        raise EncodeError(f"{type(value).__qualname__}.__amqp_encode__ must return an encoded value as bytes")
    encoded = bytes(encoded)
    if encoded[0] >= 0xC0 or encoded[0] == 0x00:
        check_nesting(encoded, depth, type(value).__qualname__)
    return encoded


def check_nesting(encoded: bytes, depth: int, name: str) -> None:
    """Check the nesting of an encoding that was made elsewhere.

    Args:
        encoded: the encoding.
        depth: nesting depth of the place where it goes.
        name: the name of its origin, for error texts.

    Raises:
        NestingError: it would be nested too deep.
        EncodeError: it is malformed.
    """
    decoder = Decoder(encoded)
    decoder.depth = depth
    try:
        decoder.check()
    except DecodeError as error:
        if "nested deeper" in str(error):
            raise nesting_error() from None
        raise EncodeError(f"{name}.__amqp_encode__ must return an encoded value: {error}") from None


def nesting_error(found: Exception | None = None) -> NestingError:
    """Return the error for nesting that is too deep to be read; `found` is its cause."""
    if isinstance(found, RecursionError):
        return NestingError(f"values are nested too deep (more than {MAX_DEPTH}), or contain themselves")
    return NestingError(str(found) if found is not None else f"values are nested deeper than {MAX_DEPTH}")


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise nesting_error()


def _append_list(out: bytearray, items: list[Any], bare: bool, depth: int) -> None:
    if not items:
        out.append(0x45)
        return
    _check_depth(depth)
    start = len(out)
    out += b"\xc0\x00\x00"
    for item in items:
        _append(out, item, bare, depth + 1)
    close_compound(out, start, len(items))


def _append_map(out: bytearray, items: dict[Any, Any], bare: bool, depth: int) -> None:
    _check_depth(depth)
    start = len(out)
    out += b"\xc1\x00\x00"
    for key, value in items.items():
        _append(out, key, bare, depth + 1)
        _append(out, value, bare, depth + 1)
    close_compound(out, start, 2 * len(items))


def begin_map(out: bytearray) -> int:
    """Begin a map whose keys and values are appended one by one. Pass the result to `close_compound`."""
    start = len(out)
    out += b"\xc1\x00\x00"
    return start


def close_compound(out: bytearray, start: int, count: int) -> None:
    """Fill in the size and count of a compound or array, which begins at `start` with its small code and two bytes.

    If it has grown too big for a one-byte size and count, it is converted to the four-byte form.
    """
    size = len(out) - start - 2
    if size <= 0xFF and count <= 0xFF:
        out[start + 1] = size
        out[start + 2] = count
        return
    if size + 3 > MAX_SIZE:
        raise EncodeError(f"{size} bytes are more than the {MAX_SIZE} that AMQP can encode in one value")
    out[start] += 0x10
    out[start + 1 : start + 3] = _pack_u32_pair(size + 3, count)


# Arrays: all elements share the wide constructor of their type.
_ARRAY_CODES = {
    "null": 0x40, "boolean": 0x56,
    "ubyte": 0x50, "ushort": 0x60, "uint": 0x70, "ulong": 0x80,
    "byte": 0x51, "short": 0x61, "int": 0x71, "long": 0x81,
    "float": 0x72, "double": 0x82, "decimal32": 0x74, "decimal64": 0x84, "decimal128": 0x94,
    "char": 0x73, "timestamp": 0x83, "uuid": 0x98,
    "binary": 0xB0, "string": 0xB1, "symbol": 0xB3,
    "list": 0xD0, "map": 0xD1, "array": 0xF0,
}  # fmt: skip

_TYPE_NAMES: dict[type, str] = {
    bool: "boolean",
    UByte: "ubyte",
    UShort: "ushort",
    UInt: "uint",
    ULong: "ulong",
    Byte: "byte",
    Short: "short",
    Long: "long",
    Timestamp: "timestamp",
    int: "int",
    Float: "float",
    float: "double",
    Symbol: "symbol",
    Char: "char",
    str: "string",
    bytes: "binary",
    bytearray: "binary",
    memoryview: "binary",
    uuid.UUID: "uuid",
    datetime.datetime: "timestamp",
    Decimal32: "decimal32",
    Decimal64: "decimal64",
    Decimal128: "decimal128",
    decimal.Decimal: "decimal128",
    Array: "array",
    dict: "map",
    list: "list",
    tuple: "list",
}

# Fixed-width integers in arrays: how to pack them, and their bounds.
_ARRAY_INTEGERS: dict[str, tuple[Callable[[int], bytes], Any]] = {
    "ubyte": (struct.Struct(">B").pack, UByte),
    "ushort": (_pack_u16, UShort),
    "uint": (_pack_u32, UInt),
    "ulong": (_pack_u64, ULong),
    "byte": (struct.Struct(">b").pack, Byte),
    "short": (_pack_i16, Short),
    "long": (_pack_i64, Long),
    "int": (_pack_i32, None),
}


def _is_int32(value: Any) -> bool:
    return bool(-0x80000000 <= value <= 0x7FFFFFFF)


def _type_name(value: Any, bare: bool) -> str:
    """Return the name of the AMQP type as which a value is encoded."""
    if value is None:
        return "null"
    if bare and isinstance(value, bytes):
        return "string"
    if bare and isinstance(value, (set, frozenset)):
        return "list"
    for kind, name in _TYPE_NAMES.items():
        if isinstance(value, kind):
            return "long" if name == "int" and not _is_int32(value) else name
    raise EncodeError(f"{type(value).__qualname__} has no AMQP encoding")


def _append_array(out: bytearray, array: Array, bare: bool, depth: int) -> None:
    _check_depth(depth)
    start = len(out)
    out += b"\xe0\x00\x00"
    descriptors, element, items = _array_parts(array, bare, depth)
    if descriptors:
        _check_depth(depth + len(descriptors))
    if element == "null" and len(items) > MAX_ELEMENTS:
        raise EncodeError(f"an array of null takes {MAX_ELEMENTS} elements, got {len(items)}")
    for descriptor in descriptors:
        out.append(0x00)
        _append(out, descriptor, bare, depth + 1)
    out.append(_ARRAY_CODES[element])
    for item in items:
        _append_element(out, item, element, bare, depth + 1)
    close_compound(out, start, len(items))


def _array_parts(array: Array, bare: bool, depth: int) -> tuple[list[Any], str, list[Any]]:
    """Return descriptors, element type and elements, derived from the elements if the array doesn't name them."""
    items = list(array)
    for index, item in enumerate(items):
        hook = getattr(type(item), "__amqp_encode__", None)
        if hook is not None:
            items[index] = _decoded(_self_encoded(item, hook, depth + 1))
    descriptors = list(array.descriptors)
    if not descriptors:
        while len(descriptors) < MAX_DEPTH and items and isinstance(items[0], Described):
            descriptor = items[0].descriptor
            for index, item in enumerate(items):
                if not isinstance(item, Described) or item.descriptor != descriptor:
                    raise EncodeError(f"array elements must all have the descriptor {descriptor!r}")
                items[index] = item.value
            descriptors.append(descriptor)
    element = array.element
    if element is None:
        element = _type_name(items[0], bare) if items else "null"
        for item in items:
            name = _type_name(item, bare)
            if name != element:
                raise EncodeError(f"array elements must all be of one AMQP type, got {element} and {name}")
    return descriptors, element, items


def _decoded(encoded: bytes) -> Any:
    try:
        return decode_value(encoded)
    except DecodeError as error:
        raise EncodeError(f"an array can't hold what encodes itself as {encoded[:20]!r}: {error}") from None


def _append_element(out: bytearray, value: Any, element: str, bare: bool, depth: int) -> None:
    """Append a value without its wide constructor, which an array has once, before the first element."""
    integer = _ARRAY_INTEGERS.get(element)
    if integer is not None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_element(element, value)
        try:
            out += integer[0](value)
        except struct.error:
            raise EncodeError(f"array of {element} can't hold {int(value)}: out of range") from None
        return
    name = _type_name(value, bare)
    if name != element and not (element == "symbol" and name == "string"):
        raise _wrong_element(element, value)
    if element == "boolean":
        out.append(1 if value else 0)
    elif element in ("binary", "string", "symbol"):
        data = _utf8(value) if isinstance(value, str) else bytes(value)
        if len(data) > MAX_SIZE:
            raise EncodeError(f"{len(data)} bytes are more than AMQP can encode in one value")
        out += _pack_u32(len(data))
        out += data
    elif element in ("list", "map", "array"):
        _append_wide_element(out, value, bare, depth)
    elif element != "null":
        start = len(out)
        _append(out, value, bare, depth)
        del out[start]


def _append_wide_element(out: bytearray, value: Any, bare: bool, depth: int) -> None:
    start = len(out)
    _append(out, value, bare, depth)
    code = out[start]
    if code == 0x45:
        _check_depth(depth)
        out[start:] = _pack_u32_pair(4, 0)
    elif code in (0xC0, 0xC1, 0xE0):
        out[start : start + 3] = _pack_u32_pair(out[start + 1] + 3, out[start + 2])
    else:
        del out[start]


def _wrong_element(element: str, value: Any) -> EncodeError:
    return EncodeError(f"array of {element} can't hold a {type(value).__qualname__}")


def _append_safely(out: bytearray, value: Any, bare: bool, depth: int) -> None:
    start = len(out)
    try:
        _append(out, value, bare, depth)
    except (NestingError, RecursionError) as error:  # the latter from objects that encode themselves
        del out[start:]
        raise nesting_error(error) from None  # without a traceback of a hundred lines
    except BaseException:
        del out[start:]
        raise


def append_value(out: bytearray, value: Any, depth: int = 0) -> None:
    """Append a value in the typed mapping, in which the Python type alone determines the AMQP type.

    Args:
        out: the buffer.
        value: the value.
        depth: nesting depth of the place where it goes.

    Raises:
        EncodeError: the value has no encoding.
        NestingError: it would be nested deeper than `limits.MAX_DEPTH`, and so couldn't be read.
    """
    _append_safely(out, value, False, depth)


def append_bare(out: bytearray, value: Any, depth: int = 0) -> None:
    """Append a value in the bare mapping, which is the typed one except that bytes are a string and a set is a list."""
    _append_safely(out, value, True, depth)


def append_keyed_map(out: bytearray, items: dict[Any, Any], symbols: bool, bare: bool = True) -> None:
    """Append a map that is a section of a message (sections 3.2.5 and 3.2.10 of the specification).

    Args:
        out: the buffer, unchanged after an error.
        items: the map. A key may also be an object that encodes itself as a valid key.
        symbols: whether the keys are text or bytes in ASCII (symbols), or integers (ulong), as in annotations and
            footers. Otherwise, they are text or bytes in UTF-8 (strings), as in application properties.
        bare: whether the values are in the bare mapping instead of the typed one.

    Raises:
        EncodeError: a key is invalid, or a value has no encoding.
        NestingError: a value is nested too deep.
    """
    start = len(out)
    out += b"\xc1\x00\x00"
    try:
        for key, value in items.items():
            kind = type(key)
            if kind is str:
                data = _utf8(key)
                if symbols and len(data) != len(key):
                    raise _wrong_key(key, symbols)
                append_text(out, 0xA3 if symbols else 0xA1, data)
            elif kind is bytes:
                _append_key_bytes(out, key, symbols, key)
            else:
                _append_other_key(out, key, symbols)
            _append(out, value, bare, 1)
        close_compound(out, start, 2 * len(items))
    except (NestingError, RecursionError) as error:
        del out[start:]
        raise nesting_error(error) from None
    except BaseException:
        del out[start:]
        raise


def _append_key_bytes(out: bytearray, data: bytes, symbols: bool, key: Any) -> None:
    if not data.isascii() and (symbols or not is_utf8(data)):
        raise _wrong_key(key, symbols)
    append_text(out, 0xA3 if symbols else 0xA1, data)


def _append_other_key(out: bytearray, key: Any, symbols: bool) -> None:
    hook = getattr(type(key), "__amqp_encode__", None)
    if hook is not None:
        encoded = _self_encoded(key, hook, 1)
        if encoded[0] in (b"\xa3\xb3" if symbols else b"\xa1\xb1"):
            _append_key_bytes(out, encoded[2:] if encoded[0] < 0xB0 else encoded[5:], symbols, key)
        elif symbols and encoded[0] in b"\x44\x53\x80":
            out += encoded
        else:
            raise _wrong_key(key, symbols)
    elif isinstance(key, str):
        _append_key_bytes(out, _utf8(str.__str__(key)), symbols, key)
    elif isinstance(key, bytes):
        _append_key_bytes(out, bytes(key), symbols, key)
    elif symbols and isinstance(key, int) and not isinstance(key, bool) and 0 <= key <= ULong.MAX:
        append_ulong(out, int(key))
    else:
        raise _wrong_key(key, symbols)


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are text in UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _wrong_key(key: Any, symbols: bool) -> EncodeError:
    wanted = "text of ASCII, or integers from 0 to 2**64-1" if symbols else "text of UTF-8"
    return EncodeError(f"keys must be {wanted}, not {key!r:.100}")


def encode_value(value: Any, bare: bool = False, depth: int = 0) -> bytes:
    """Return the encoding of a value, in the typed or the bare mapping; `depth` as for `append_value`."""
    out = bytearray()
    _append_safely(out, value, bare, depth)
    return bytes(out)
