"""Bytes to AMQP values: `Decoder`, a cursor, and `decode_value`.

For any bytes, a call returns a value or raises DecodeError.
"""

from __future__ import annotations

import itertools
import struct
import uuid
from typing import Any

from .errors import DecodeError
from .limits import MAX_DEPTH, MAX_ELEMENTS, MAX_KEY_COLLISIONS
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

_unpack_u16 = struct.Struct(">H").unpack_from
_unpack_i16 = struct.Struct(">h").unpack_from
_unpack_i32 = struct.Struct(">i").unpack_from
_unpack_u64 = struct.Struct(">Q").unpack_from
_unpack_i64 = struct.Struct(">q").unpack_from
_unpack_f32 = struct.Struct(">f").unpack_from
_unpack_f64 = struct.Struct(">d").unpack_from

# What follows a constructor: a number of bytes, or one of these.
_DESCRIBED = -1
_SIZE8 = -2
_SIZE32 = -3
_UNKNOWN = -4

_AT_ONCE = 256
"""Number of elements for which memory is allocated before reading any of them."""

# Element type (as in Array.element) and width of every constructor, section 1.6 of the specification.
_CONSTRUCTORS = {
    0x40: ("null", 0), 0x41: ("boolean", 0), 0x42: ("boolean", 0), 0x56: ("boolean", 1),
    0x50: ("ubyte", 1), 0x60: ("ushort", 2),
    0x43: ("uint", 0), 0x52: ("uint", 1), 0x70: ("uint", 4),
    0x44: ("ulong", 0), 0x53: ("ulong", 1), 0x80: ("ulong", 8),
    0x51: ("byte", 1), 0x61: ("short", 2),
    0x54: ("int", 1), 0x71: ("int", 4), 0x55: ("long", 1), 0x81: ("long", 8),
    0x72: ("float", 4), 0x82: ("double", 8),
    0x74: ("decimal32", 4), 0x84: ("decimal64", 8), 0x94: ("decimal128", 16),
    0x73: ("char", 4), 0x83: ("timestamp", 8), 0x98: ("uuid", 16),
    0xA0: ("binary", _SIZE8), 0xB0: ("binary", _SIZE32),
    0xA1: ("string", _SIZE8), 0xB1: ("string", _SIZE32),
    0xA3: ("symbol", _SIZE8), 0xB3: ("symbol", _SIZE32),
    0x45: ("list", 0), 0xC0: ("list", _SIZE8), 0xD0: ("list", _SIZE32),
    0xC1: ("map", _SIZE8), 0xD1: ("map", _SIZE32),
    0xE0: ("array", _SIZE8), 0xF0: ("array", _SIZE32),
}  # fmt: skip

_WIDTHS = [_CONSTRUCTORS.get(code, ("", _UNKNOWN))[1] for code in range(256)]
_WIDTHS[0x00] = _DESCRIBED
_NAMES = [_CONSTRUCTORS.get(code, ("", 0))[0] for code in range(256)]


class Decoder:
    """A cursor over encoded values in `data` from `pos` up to `end`.

    Its attributes are read-only. After a DecodeError, the cursor's position is undefined.

    Attributes:
        data: the encoded bytes.
        pos: the current position.
        end: where the values end.
        bare: whether to use the bare mapping (see docs/design.md) instead of the typed one.
        count: number of elements in the compound or array that was entered last.
        depth: current nesting depth.
        spare: number of zero-width array elements that it will still build.
    """

    __slots__ = ("bare", "count", "data", "depth", "end", "pos", "spare")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None, bare: bool = False) -> None:
        size = len(data)
        if end is None:
            end = size
        if not 0 <= pos <= end <= size:
            raise _out_of_bounds(data, pos, end)
        self.data = data
        self.pos = pos
        self.end = end
        self.bare = bare
        self.count = 0
        self.depth = 0
        self.spare = MAX_ELEMENTS

    def value(self) -> Any:
        """Return the next value, and move past it."""
        pos = self.pos
        if pos >= self.end:
            raise DecodeError(f"expected a value at offset {pos}, but the data ends there")
        code = self.data[pos]
        if code == 0xC1:
            return self.map()
        if code == 0xC0:
            return self.fields()
        self.pos = pos + 1
        return self._coded(code)

    def fields(self) -> list[Any]:
        """Return the next value, which has to be a list, and move past it."""
        data = self.data
        pos = self.pos
        end = self.end
        if pos + 2 < end and data[pos] == 0xC0 and self.depth < MAX_DEPTH:
            start = pos + 3
            stop = pos + 2 + data[pos + 1]
            count = data[pos + 2]
            if count <= stop - start and stop <= end:
                items: list[Any] = [None] * count
                self._elements(start, stop, count, items, None)
                if self.pos != stop:
                    raise self._misfit(0xC0, stop)
                return items
        code = data[pos] if pos < end else 0
        if code != 0xC0 and code != 0xD0 and code != 0x45:
            raise DecodeError(f"expected a list at offset {pos}")
        self.pos = pos + 1
        return self._list(code) if code != 0x45 else []

    def map(self) -> dict[Any, Any]:
        """Return the next value, which has to be a map, and move past it."""
        data = self.data
        pos = self.pos
        end = self.end
        if pos + 2 < end and data[pos] == 0xC1 and self.depth < MAX_DEPTH:
            start = pos + 3
            stop = pos + 2 + data[pos + 1]
            count = data[pos + 2]
            if count <= stop - start and stop <= end and not count & 1:
                items: dict[Any, Any] = {}
                self._elements(start, stop, count, None, items)
                if self.pos != stop:
                    raise self._misfit(0xC1, stop)
                return items
        code = data[pos] if pos < end else 0
        if code != 0xC1 and code != 0xD1:
            raise DecodeError(f"expected a map at offset {pos}")
        self.pos = pos + 1
        return self._map(code)

    def _elements(self, pos: int, stop: int, count: int, items: list[Any] | None, pairs: dict[Any, Any] | None) -> None:
        """Read `count` values from `pos` to `stop`, into the front of `items` or as keys and values into `pairs`.

        Common types are read without another call, and everything else, including errors, by `value`.
        """
        chars = self.data  # char *: read up to `stop`, against which each position is checked below
        bare = self.bare
        collisions: dict[int, int] | None = None
        key: Any = None
        item: Any
        last = stop - 1
        for index in range(count):
            after = 0
            if pos < last:
                code = chars[pos]
                number = chars[pos + 1]
                start = pos + 2
                if code == 0xA1 or code == 0xA3:
                    after = start + number
                    if after > stop:
                        after = 0
                    elif bare:
                        item = chars[start:after]
                    else:
                        self.pos = after
                        item = self._text(chars[start:after], code)
                elif 0x52 <= code <= 0x54:
                    after = start
                    if code == 0x54:
                        item = number - 256 if number > 127 else number
                    else:
                        item = number if bare else int.__new__(UInt if code == 0x52 else ULong, number)
                elif 0x40 <= code <= 0x42:
                    after = pos + 1
                    item = None if code == 0x40 else code == 0x41
            if after:
                pos = after
            else:
                end = self.end
                self.pos = pos
                self.end = stop
                self.depth += 1
                item = self.value()
                self.depth -= 1
                self.end = end
                pos = self.pos
                if pairs is not None and not index & 1 and not isinstance(item, (bytes, str, int)):
                    if collisions is None:
                        collisions = {}
                    item = self._key(item, pairs, collisions)
            if items is not None:
                items[index] = item
            elif index & 1:
                pairs[key] = item  # type: ignore[index]  # one of the two isn't None
            else:
                key = item
        self.pos = pos

    def skip(self) -> None:
        """Move past the next value without building it. The inside of a sized value isn't checked."""
        data = self.data
        end = self.end
        pos = self.pos
        pending = 1
        while pending:
            if pos >= end:
                raise DecodeError(f"expected a value at offset {pos}, but the data ends there")
            code = data[pos]
            width = _WIDTHS[code]
            pos += 1
            if width >= 0:
                pos += width
            elif width == _DESCRIBED:
                pending += 2
            elif width == _SIZE8:
                if pos >= end:
                    raise self._truncated(code, pos)
                pos += 1 + data[pos]
            elif width == _SIZE32:
                if pos + 4 > end:
                    raise self._truncated(code, pos)
                pos += 4 + u32(data, pos)
            else:
                raise DecodeError(f"unknown constructor 0x{code:02x} at offset {pos - 1}")
            if pos > end:
                raise self._truncated(code, pos)
            pending -= 1
        self.pos = pos

    def element_stops(self) -> list[int]:
        """Return where the elements of the list or map at `pos`, already read, begin, and where the last one ends."""
        code = self.data[self.pos] if self.pos < self.end else 0
        if code == 0x45:
            return [self.pos + 1]
        if code != 0xC0 and code != 0xD0 and code != 0xC1 and code != 0xD1:
            raise DecodeError(f"expected a list or map at offset {self.pos}")
        self.pos += 1
        self.end = self._enter(code)
        stops = [self.pos]
        for _ in range(self.count):
            self.skip()
            stops.append(self.pos)
        return stops

    def check(self) -> None:
        """Move past the next value as `skip` does, but check bounds, counts and nesting inside as `value` does.

        Values that Python can't represent, or use as a key, pass.
        """
        pos = self.pos
        if pos >= self.end:
            raise DecodeError(f"expected a value at offset {pos}, but the data ends there")
        code = self.data[pos]
        if code >= 0xC0 and _WIDTHS[code] != _UNKNOWN:
            self.pos = pos + 1
            self._check_within(code)
        elif code == 0x00:
            self.pos = pos + 1
            if self.depth >= MAX_DEPTH:
                raise self._too_deep()
            self.depth += 1
            self.check()
            self.check()
            self.depth -= 1
        else:
            self.skip()

    def _check_within(self, code: int) -> None:
        stop = self._enter(code)
        count = self.count
        end = self.end
        self.end = stop
        self.depth += 1
        if code == 0xE0 or code == 0xF0:
            self._check_elements(stop, count)
        elif count > stop - self.pos:
            raise DecodeError(f"{_NAMES[code]} of {count} elements at offset {self.pos} has {stop - self.pos} bytes")
        elif count & 1 and (code == 0xC1 or code == 0xD1):
            raise DecodeError(f"map at offset {self.pos} has an odd number of elements ({count})")
        else:
            for _ in range(count):
                self.check()
        self.depth -= 1
        self.end = end
        if self.pos != stop:
            raise self._misfit(code, stop)

    def _check_elements(self, stop: int, count: int) -> None:
        """Check the elements of an array, after their common constructor."""
        if self.pos == stop and not count:
            return
        descriptors = 0
        element = self._constructor(stop)
        while element == 0x00:
            if self.depth + descriptors >= MAX_DEPTH:
                raise self._too_deep()
            self.check()
            descriptors += 1
            element = self._constructor(stop)
        width = _WIDTHS[element]
        if width == _UNKNOWN:
            raise self._unknown(element)
        if width >= 0:
            pos = self.pos + width * count
            if pos > stop:
                raise self._truncated(element, pos)
            self.pos = pos
            return
        if count > stop - self.pos:
            raise DecodeError(f"array of {count} elements at offset {self.pos} has {stop - self.pos} bytes")
        for _ in range(count):
            if element >= 0xC0:
                self._check_within(element)
            else:
                self._skip_content(element)

    def _skip_content(self, code: int) -> None:
        """Move past the size and content of a variable-width value."""
        pos = self.pos
        width = 1 if _WIDTHS[code] == _SIZE8 else 4
        if pos + width > self.end:
            raise self._truncated(code, pos + width)
        pos += width + (self.data[pos] if width == 1 else u32(self.data, pos))
        if pos > self.end:
            raise self._truncated(code, pos)
        self.pos = pos

    def _too_deep(self) -> DecodeError:
        return DecodeError(f"values are nested deeper than {MAX_DEPTH} at offset {self.pos}")

    def _truncated(self, code: int, pos: int) -> DecodeError:
        return DecodeError(
            f"{_NAMES[code] or 'value'} (0x{code:02x}) reaches offset {pos}, but the data ends at {self.end}"
        )

    def _coded(self, code: int) -> Any:
        """Return the value whose constructor `code` is just before `pos` (or before the elements of an array)."""
        if code == 0xC1 or code == 0xD1:
            return self._map(code)
        if code == 0xC0 or code == 0xD0:
            return self._list(code)
        kind = code >> 4
        if kind == 0xA or kind == 0xB:
            return self._variable(code)
        if kind == 0x5:
            return self._fixed1(code)
        if kind == 0x4:
            return self._fixed0(code)
        if kind == 0x7:
            return self._fixed4(code)
        if kind == 0x8:
            return self._fixed8(code)
        if code == 0x00:
            return self._described()
        if code == 0xE0 or code == 0xF0:
            return self._array(code)
        return self._fixed_rare(code)

    def _unknown(self, code: int) -> DecodeError:
        return DecodeError(f"unknown constructor 0x{code:02x} before offset {self.pos}")

    def _fixed0(self, code: int) -> Any:
        if code == 0x40:
            return None
        if code == 0x41:
            return True
        if code == 0x42:
            return False
        if code == 0x43:
            return 0 if self.bare else int.__new__(UInt, 0)
        if code == 0x44:
            return 0 if self.bare else int.__new__(ULong, 0)
        if code == 0x45:
            return []
        raise self._unknown(code)

    def _fixed1(self, code: int) -> Any:
        pos = self.pos
        if pos >= self.end:
            raise self._truncated(code, pos + 1)
        number = self.data[pos]
        self.pos = pos + 1
        if code == 0x54:
            return number - 256 if number > 127 else number
        if code == 0x56:
            if number > 1:
                raise DecodeError(f"boolean at offset {pos} is 0x{number:02x}; it takes 00 or 01")
            return number == 1
        if code == 0x55 or code == 0x51:
            if number > 127:
                number -= 256
            if self.bare:
                return number
            return int.__new__(Long if code == 0x55 else Byte, number)
        if code == 0x52:
            return number if self.bare else int.__new__(UInt, number)
        if code == 0x53:
            return number if self.bare else int.__new__(ULong, number)
        if code == 0x50:
            return number if self.bare else int.__new__(UByte, number)
        raise self._unknown(code)

    def _fixed4(self, code: int) -> Any:
        pos = self.pos
        stop = pos + 4
        if stop > self.end:
            raise self._truncated(code, stop)
        self.pos = stop
        if code == 0x71:
            return _unpack_i32(self.data, pos)[0]
        if code == 0x70:
            number = u32(self.data, pos)
            return number if self.bare else int.__new__(UInt, number)
        if code == 0x72:
            real = _unpack_f32(self.data, pos)[0]
            return real if self.bare else float.__new__(Float, real)
        if code == 0x73:
            number = u32(self.data, pos)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise DecodeError(f"char at offset {pos} is 0x{number:x}, which is no Unicode character")
            return chr(number) if self.bare else str.__new__(Char, chr(number))
        if code == 0x74:
            decimal = Decimal32(self.data[pos:stop])
            return decimal.value if self.bare else decimal
        raise self._unknown(code)

    def _fixed8(self, code: int) -> Any:
        pos = self.pos
        stop = pos + 8
        if stop > self.end:
            raise self._truncated(code, stop)
        self.pos = stop
        if code == 0x82:
            return _unpack_f64(self.data, pos)[0]
        if code == 0x84:
            decimal = Decimal64(self.data[pos:stop])
            return decimal.value if self.bare else decimal
        if code == 0x80:
            number = _unpack_u64(self.data, pos)[0]
            return number if self.bare else int.__new__(ULong, number)
        if code == 0x81 or code == 0x83:
            number = _unpack_i64(self.data, pos)[0]
            if self.bare:
                return number
            return int.__new__(Long if code == 0x81 else Timestamp, number)
        raise self._unknown(code)

    def _fixed_rare(self, code: int) -> Any:
        pos = self.pos
        stop = pos + _WIDTHS[code]
        if stop > self.end:
            raise self._truncated(code, stop)
        if code == 0x98:
            self.pos = stop
            return uuid.UUID(bytes=self.data[pos:stop])
        if code == 0x60:
            self.pos = stop
            number = _unpack_u16(self.data, pos)[0]
            return number if self.bare else int.__new__(UShort, number)
        if code == 0x61:
            self.pos = stop
            number = _unpack_i16(self.data, pos)[0]
            return number if self.bare else int.__new__(Short, number)
        if code == 0x94:
            self.pos = stop
            decimal = Decimal128(self.data[pos:stop])
            return decimal.value if self.bare else decimal
        raise self._unknown(code)

    def _variable(self, code: int) -> Any:
        data = self.data
        pos = self.pos
        if code < 0xB0:
            if pos >= self.end:
                raise self._truncated(code, pos + 1)
            size = data[pos]
            pos += 1
        else:
            if pos + 4 > self.end:
                raise self._truncated(code, pos + 4)
            size = u32(data, pos)
            pos += 4
        stop = pos + size
        if stop > self.end:
            raise self._truncated(code, stop)
        self.pos = stop
        chars = data  # char *: `stop` is within the data, as was checked above
        content = chars[pos:stop]
        form = code & 0x0F
        if form == 0x0 or (self.bare and (form == 0x1 or form == 0x3)):
            return content
        if form != 0x1 and form != 0x3:
            raise self._unknown(code)
        return self._text(content, code)

    def _text(self, content: bytes, code: int) -> str:
        """Return the content of a string or symbol that ends at `pos`."""
        try:
            return content.decode("utf-8") if code & 0x0F == 0x1 else Symbol(content, "utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError(
                f"{_NAMES[code]} isn't UTF-8 at offset {self.pos - len(content) + error.start}: {error.reason}"
            ) from None

    def _enter(self, code: int) -> int:
        """Read the size and count of a compound or array; return its end, and store its count in `count`."""
        pos = self.pos
        if code < 0xD0 or code == 0xE0:
            width = 1
            if pos + 2 > self.end:
                raise self._truncated(code, pos + 2)
            size = self.data[pos]
            count = self.data[pos + 1]
        else:
            width = 4
            if pos + 8 > self.end:
                raise self._truncated(code, pos + 8)
            size = u32(self.data, pos)
            count = u32(self.data, pos + 4)
        stop = pos + width + size
        if stop > self.end:
            raise self._truncated(code, stop)
        if size < width:
            raise DecodeError(f"{_NAMES[code]} at offset {pos} is too small ({size} bytes) to hold its own count")
        if self.depth >= MAX_DEPTH:
            raise self._too_deep()
        self.pos = pos + 2 * width
        self.count = count
        return stop

    def _misfit(self, code: int, stop: int) -> DecodeError:
        return DecodeError(f"{_NAMES[code]} should end at offset {stop}, but its elements end at {self.pos}")

    def _list(self, code: int) -> list[Any]:
        stop = self._enter(code)
        count = self.count
        pos = self.pos
        if count > stop - pos:
            raise DecodeError(f"list of {count} elements at offset {pos} has {stop - pos} bytes")
        items: list[Any]
        if count <= _AT_ONCE:
            items = [None] * count
            self._elements(pos, stop, count, items, None)
        else:
            items = self._many_elements(pos, stop, count)
        if self.pos != stop:
            raise self._misfit(code, stop)
        return items

    def _many_elements(self, pos: int, stop: int, count: int) -> list[Any]:
        """Read many elements in parts, so that nested lists can't claim memory for elements that they don't hold."""
        items: list[Any] = []
        while count > 0:
            part: list[Any] = [None] * min(count, _AT_ONCE)
            self._elements(pos, stop, len(part), part, None)
            items += part
            count -= _AT_ONCE
            pos = self.pos
        return items

    def _map(self, code: int) -> dict[Any, Any]:
        stop = self._enter(code)
        count = self.count
        pos = self.pos
        if count & 1:
            raise DecodeError(f"map at offset {pos} has an odd number of elements ({count})")
        if count > stop - pos:
            raise DecodeError(f"map of {count} elements at offset {pos} has {stop - pos} bytes")
        items: dict[Any, Any] = {}
        self._elements(pos, stop, count, None, items)
        if self.pos != stop:
            raise self._misfit(code, stop)
        return items

    def _key(self, key: Any, items: dict[Any, Any], collisions: dict[int, int]) -> Any:
        """Return a hashable key (lists as tuples). Refuse it if too many of the map's keys share its hash."""
        if isinstance(key, list):
            key = _frozen(key)
        try:
            hashed = hash(key)
        except TypeError:
            raise DecodeError(
                f"map key before offset {self.pos} is, or contains, a value that Python can't use as a key"
            ) from None
        seen = collisions.get(hashed, 0)
        if seen < MAX_KEY_COLLISIONS:
            collisions[hashed] = seen + 1
        elif key not in items:
            raise DecodeError(f"map before offset {self.pos} has more than {MAX_KEY_COLLISIONS} colliding keys")
        return key

    def _array(self, code: int) -> list[Any]:
        stop = self._enter(code)
        count = self.count
        end = self.end
        self.end = stop
        if self.pos == stop and not count:
            # uamqp 1.6, and others on the same C library, omit the constructor of an empty array.
            self.end = end
            return [] if self.bare else Array((), "null")
        self.depth += 1
        descriptors: list[Any] = []
        element = self._constructor(stop)
        while element == 0x00:
            if self.depth + len(descriptors) >= MAX_DEPTH:
                raise self._too_deep()
            descriptors.append(self.value())
            element = self._constructor(stop)
        width = _WIDTHS[element]
        if width == _UNKNOWN:
            raise self._unknown(element)
        if width == 0:
            self.spare -= count
            if self.spare < 0:
                raise DecodeError(f"more than {MAX_ELEMENTS} array elements without width at offset {self.pos}")
        elif count > stop - self.pos:
            raise DecodeError(f"array of {count} elements at offset {self.pos} has {stop - self.pos} bytes")
        items: list[Any] = [] if self.bare else Array((), _NAMES[element], descriptors)
        for _ in range(count):
            items.append(self._coded(element))  # noqa: PERF401 (a comprehension is a call before Python 3.12)
        if self.pos != stop:
            raise self._misfit(code, stop)
        self.depth -= 1
        self.end = end
        return items

    def _constructor(self, stop: int) -> int:
        pos = self.pos
        if pos >= stop:
            raise DecodeError(f"array without an element constructor at offset {pos}")
        self.pos = pos + 1
        return self.data[pos]

    def _described(self) -> Any:
        if self.depth >= MAX_DEPTH:
            raise self._too_deep()
        self.depth += 1
        descriptor = self.value()
        value = self.value()
        self.depth -= 1
        return value if self.bare else Described(descriptor, value)


def _frozen(value: list[Any]) -> tuple[Any, ...]:
    """Return a list or an array, and those within it, as tuples."""
    return tuple([_frozen(item) if isinstance(item, list) else item for item in value])


def _out_of_bounds(data: bytes, pos: int, end: int) -> DecodeError:
    return DecodeError(f"bounds {pos} to {end} aren't within the {len(data)} bytes given")


def u32(data: bytes, pos: int) -> int:
    """Return the unsigned number in the four bytes from `pos` on, which must exist."""
    number = data[pos]
    number = number << 8 | data[pos + 1]
    number = number << 8 | data[pos + 2]
    return number << 8 | data[pos + 3]


def decoder_between(data: bytes, pos: int, end: int, bare: bool) -> Decoder:
    """Return a cursor at `pos` for values up to `end`, like ``Decoder(...)``, which takes longer."""
    if not 0 <= pos <= end <= len(data):
        raise _out_of_bounds(data, pos, end)
    decoder = Decoder.__new__(Decoder)
    decoder.data = data
    decoder.pos = pos
    decoder.end = end
    decoder.bare = bare
    decoder.count = decoder.depth = 0
    decoder.spare = MAX_ELEMENTS
    return decoder


def map_spans(data: bytes, pos: int, end: int) -> list[tuple[int, int, int]]:
    """Return the start of the key, the start of the value, and the end of each item of the map from `pos` to `end`."""
    decoder = Decoder(data, pos, end)
    stops = decoder.element_stops()
    return [(stops[index], stops[index + 1], stops[index + 2]) for index in range(0, len(stops) - 2, 2)]


def list_spans(data: bytes, pos: int, end: int) -> list[tuple[int, int]]:
    """Return the start and end of each element of the list from `pos` to `end`."""
    stops = Decoder(data, pos, end).element_stops()
    return list(itertools.pairwise(stops))


def type_name(encoded: bytes) -> str:
    """Return the name of an encoded value's AMQP type, as in `Array.element`; "" for a described value or none."""
    return _NAMES[encoded[0]] if encoded else ""


def decode_value(data: bytes | bytearray | memoryview, bare: bool = False) -> Any:
    """Return the only value in `data`.

    Raises:
        DecodeError: the data is invalid, or has bytes after the value.
    """
    decoder = Decoder(data if type(data) is bytes else bytes(data), 0, None, bare)
    value = decoder.value()
    if decoder.pos != decoder.end:
        raise DecodeError(f"{decoder.end - decoder.pos} bytes left over after the value, from offset {decoder.pos}")
    return value
