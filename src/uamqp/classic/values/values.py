"""AMQP values as objects that know their type: what ``c_data`` and `convert.data_factory` return.

Programs find all of these in `uamqp.c_uamqp`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Any, ClassVar, NoReturn, TypeVar

from ... import codec
from ...codec.encode import append_symbol, begin_map, close_compound
from .portable import unreadable

_ValueT = TypeVar("_ValueT", bound="AMQPValue")


class AMQPType(Enum):
    """The types of AMQP values."""

    NullValue = 1
    BoolValue = 2
    UByteValue = 3
    UShortValue = 4
    UIntValue = 5
    ULongValue = 6
    ByteValue = 7
    ShortValue = 8
    IntValue = 9
    LongValue = 10
    FloatValue = 11
    DoubleValue = 12
    CharValue = 13
    TimestampValue = 14
    UUIDValue = 15
    BinaryValue = 16
    StringValue = 17
    SymbolValue = 18
    ListValue = 19
    DictValue = 20
    ArrayValue = 21
    DescribedType = 22
    CompositeType = 23
    UnknownType = 24
    ErrorType = 999


class AMQPValue:
    """A value of one AMQP type; an instance of this very class is null.

    `value` is the Python value, `type` the AMQP type, ``str()`` a readable form, and ``bytes()`` that in UTF-8. Values
    compare by type and value with other AMQP values and None (anything else raises `TypeError`), and aren't hashable.
    """

    __slots__ = ("_value",)

    _type: ClassVar[AMQPType] = AMQPType.NullValue
    _value: Any

    def __init__(self) -> None:
        self._value = None

    @property
    def value(self) -> Any:
        """The Python value, in the bare mapping: text as bytes."""
        return self._value

    @property
    def type(self) -> AMQPType:
        """The AMQP type."""
        return self._type

    def clone(self: _ValueT) -> _ValueT:  # noqa: PYI019 (Self needs Python 3.11)
        """Return a copy that shares nothing with this value."""
        copy = type(self).__new__(type(self))
        copy._value = self._value
        return copy

    def get_encoded_size(self) -> int:
        """Return the size of the encoding in bytes."""
        return len(self.__amqp_encode__())

    def destroy(self) -> None:
        """Do nothing; there is no native object to free."""

    def __amqp_encode__(self) -> bytes:
        """Return the encoding: constructor and value."""
        return codec.encode_value(self._wire(), bare=True)

    def _wire(self) -> Any:
        """Return the value as the codec encodes it to this type."""
        return self._value

    def _same(self, other: Any) -> bool:
        return bool(self._value == other._value)

    def __eq__(self, other: object) -> bool:
        if other is None:
            return False
        if not isinstance(other, AMQPValue):
            raise TypeError(f"An AMQP value compares with other AMQP values only, not with {type(other).__name__}.")
        return self._type is other._type and self._same(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def _shown(self) -> str:
        return "NULL"

    def __str__(self) -> str:
        try:
            return self._shown()
        except Exception as error:  # noqa: BLE001 (a log line isn't the place for it)
            return unreadable(self, error)

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class BoolValue(AMQPValue):
    """A boolean."""

    __slots__ = ()
    _type = AMQPType.BoolValue

    def __init__(self, value: Any) -> None:
        self._value = bool(value)

    def _shown(self) -> str:
        return "true" if self._value else "false"


class _IntegerValue(AMQPValue):
    __slots__ = ()
    _minimum: ClassVar[int]
    _maximum: ClassVar[int]
    _codec: ClassVar[Any]

    def __init__(self, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError(f"An integer is required, not {type(value).__name__}.")
        if not self._minimum <= value <= self._maximum:
            name = type(self).__name__
            raise OverflowError(f"{name} takes {self._minimum} to {self._maximum}, not {int(value)}.")
        self._value = int(value)

    def _wire(self) -> Any:
        return self._codec(self._value)

    def _shown(self) -> str:
        return str(self._value)


class UByteValue(_IntegerValue):
    """An unsigned 8-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.UByteValue, codec.UByte, 0, 2**8 - 1


class UShortValue(_IntegerValue):
    """An unsigned 16-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.UShortValue, codec.UShort, 0, 2**16 - 1


class UIntValue(_IntegerValue):
    """An unsigned 32-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.UIntValue, codec.UInt, 0, 2**32 - 1


class ULongValue(_IntegerValue):
    """An unsigned 64-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.ULongValue, codec.ULong, 0, 2**64 - 1


class ByteValue(_IntegerValue):
    """A signed 8-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.ByteValue, codec.Byte, -(2**7), 2**7 - 1


class ShortValue(_IntegerValue):
    """A signed 16-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.ShortValue, codec.Short, -(2**15), 2**15 - 1


class IntValue(_IntegerValue):
    """A signed 32-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.IntValue, int, -(2**31), 2**31 - 1


class LongValue(_IntegerValue):
    """A signed 64-bit integer."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.LongValue, codec.Long, -(2**63), 2**63 - 1


class TimestampValue(_IntegerValue):
    """A point in time, in milliseconds since 1970-01-01 UTC."""

    __slots__ = ()
    _type, _codec, _minimum, _maximum = AMQPType.TimestampValue, codec.Timestamp, -(2**63), 2**63 - 1


class DoubleValue(AMQPValue):
    """A 64-bit floating-point number."""

    __slots__ = ()
    _type = AMQPType.DoubleValue

    def __init__(self, value: float) -> None:
        self._value = float(_real(value))

    def _shown(self) -> str:
        return f"{self._value:.2f}"


class FloatValue(DoubleValue):
    """A 32-bit floating-point number; `value` is rounded to 32 bits."""

    __slots__ = ()
    _type = AMQPType.FloatValue

    def __init__(self, value: float) -> None:
        self._value = float(codec.Float(_real(value)))

    def _wire(self) -> Any:
        return codec.Float(self._value)


def _real(value: Any) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"A number is required, not {type(value).__name__}.")
    return float(value)


class CharValue(AMQPValue):
    """A Unicode character."""

    __slots__ = ()
    _type = AMQPType.CharValue

    def __init__(self, value: str) -> None:
        self._value = str(codec.Char(value))

    def _wire(self) -> Any:
        return codec.Char(self._value)

    def _shown(self) -> str:
        return f"U{ord(self._value):08X}"


class UUIDValue(AMQPValue):
    """A UUID."""

    __slots__ = ()
    _type = AMQPType.UUIDValue

    def __init__(self, value: uuid.UUID) -> None:
        if not isinstance(value, uuid.UUID):
            raise TypeError("Input value must be type UUID.")
        self._value = value

    def _shown(self) -> str:
        return str(self._value)


class DecimalValue(AMQPValue):
    """A decimal floating-point number of 32, 64 or 128 bits; 1.6 had none."""

    __slots__ = ("_raw",)
    _type = AMQPType.UnknownType
    _raw: Any

    def __init__(self, value: Any) -> None:
        self._raw = value
        self._value = value.value

    def clone(self) -> DecimalValue:
        """Return a copy."""
        return DecimalValue(self._raw)

    def _wire(self) -> Any:
        return self._raw

    def _shown(self) -> str:
        return str(self._value)


class BinaryValue(AMQPValue):
    """Bytes."""

    __slots__ = ()
    _type = AMQPType.BinaryValue

    def __init__(self, value: bytes | bytearray) -> None:
        self._value = _octets(value)

    def _wire(self) -> Any:
        return bytearray(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def _shown(self) -> str:
        return f"<{self._value.hex(' ').upper()}>"


class StringValue(AMQPValue):
    """Text, held as bytes; UTF-8 unless the caller encoded it otherwise."""

    __slots__ = ()
    _type = AMQPType.StringValue

    def __init__(self, value: bytes | bytearray) -> None:
        self._value = _octets(value)

    def _shown(self) -> str:
        text: str = self._value.decode("utf-8", "replace")
        return text

    def __bytes__(self) -> bytes:
        octets: bytes = self._value
        return octets


class SymbolValue(StringValue):
    """A name from a constrained domain, held as bytes; ASCII by the specification."""

    __slots__ = ()
    _type = AMQPType.SymbolValue

    def __amqp_encode__(self) -> bytes:
        # Without codec.Symbol, which is text: the bytes needn't be UTF-8.
        out = bytearray()
        append_symbol(out, bytes(self._value))
        return bytes(out)


def _octets(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"bytes are required, not {type(value).__name__}.")
    return bytes(value)


def _amqp(value: Any) -> AMQPValue:
    if not isinstance(value, AMQPValue):
        raise TypeError(f"An AMQP value is required, not {type(value).__name__}.")
    return value


class _Sequence(AMQPValue):
    """A list or array of AMQP values."""

    __slots__ = ()

    def __init__(self, items: list[AMQPValue] | None = None) -> None:
        self._value = [] if items is None else items

    @property
    def value(self) -> list[Any]:
        """The elements as Python values."""
        return [item.value for item in self._value]

    @property
    def size(self) -> int:
        """The number of elements."""
        return len(self._value)

    def clone(self: _ValueT) -> _ValueT:  # noqa: PYI019 (Self needs Python 3.11)
        """Return a copy that shares nothing with this value."""
        copy = type(self).__new__(type(self))
        copy._value = [item.clone() for item in self._value]
        return copy

    def _index(self, index: Any) -> int:
        if not isinstance(index, int):
            raise TypeError(f"An index must be an integer, not {type(index).__name__}.")
        if not 0 <= index < len(self._value):
            raise IndexError("Index is out of range.")
        return index

    def __getitem__(self, index: int) -> AMQPValue:
        item: AMQPValue = self._value[self._index(index)]
        return item

    def __iter__(self) -> Iterator[AMQPValue]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def _shown(self) -> str:
        return "{" + ",".join(str(item) for item in self._value) + "}"


class ListValue(_Sequence):
    """A list. Set `size` to extend it with nulls or to cut it off, and set items by index."""

    __slots__ = ()
    _type = AMQPType.ListValue

    @property
    def size(self) -> int:
        """The number of elements; settable."""
        return len(self._value)

    @size.setter
    def size(self, size: int) -> None:
        if size < 0:
            raise OverflowError("A list's size can't be negative.")
        del self._value[size:]
        self._value += [AMQPValue() for _ in range(size - len(self._value))]

    def __setitem__(self, index: int, value: AMQPValue) -> None:
        self._value[self._index(index)] = _amqp(value).clone()


class ArrayValue(_Sequence):
    """An array: elements of one AMQP type. An empty one is sent as an array of null."""

    __slots__ = ()
    _type = AMQPType.ArrayValue

    def append(self, value: AMQPValue) -> None:
        """Append an element.

        Raises:
            ValueError: its type isn't that of the first.
        """
        _amqp(value)
        if self._value and self._value[0].type is not value.type:
            raise ValueError(
                f"An array's elements are of one AMQP type, here {self._value[0].type.name}, not {value.type.name}."
            )
        self._value.append(value.clone())

    def _wire(self) -> Any:
        return codec.Array(self._value)


def _hashable(key: Any) -> Any:
    return tuple([_hashable(item) for item in key]) if isinstance(key, list) else key


class DictValue(AMQPValue):
    """A map. Its keys are AMQP values, and its items keep their order."""

    __slots__ = ()
    _type = AMQPType.DictValue
    # By the encoded key: AMQP values aren't hashable, and keys are equal if their encodings are.
    _value: dict[bytes, tuple[AMQPValue, AMQPValue]]

    def __init__(self) -> None:
        self._value = {}

    @property
    def value(self) -> dict[Any, Any]:
        """The map as a dict of Python values, with tuples in place of lists among the keys."""
        return {_hashable(key.value): value.value for key, value in self._value.values()}

    def clone(self) -> DictValue:
        """Return a copy that shares nothing with this value."""
        copy = type(self)()
        copy._value = {code: (key.clone(), value.clone()) for code, (key, value) in self._value.items()}
        return copy

    @property
    def size(self) -> int:
        """The number of items."""
        return len(self._value)

    def get(self, index: int) -> tuple[AMQPValue, AMQPValue]:
        """Return the key and value at a position, from 0.

        Raises:
            IndexError: there is no such item.
        """
        if not 0 <= index < len(self._value):
            raise IndexError("Index is out of range.")
        return next(islice(self._value.values(), index, None))

    def _put(self, key: AMQPValue, value: AMQPValue) -> None:
        self._value[key.__amqp_encode__()] = key, value

    def __getitem__(self, key: AMQPValue) -> AMQPValue:
        item = self._value.get(_amqp(key).__amqp_encode__())
        if item is None:
            raise KeyError(f"No value found for key: {key.value!r}")
        return item[1]

    def __setitem__(self, key: AMQPValue, value: AMQPValue) -> None:
        self._put(_amqp(key).clone(), _amqp(value).clone())

    def __iter__(self) -> NoReturn:
        raise TypeError("A DictValue isn't iterable; use `value`, or `get(index)`.")

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def _same(self, other: Any) -> bool:
        return list(self._value) == list(other._value) and all(
            value == there for (_, value), (_, there) in zip(self._value.values(), other._value.values(), strict=True)
        )

    def __amqp_encode__(self) -> bytes:
        out = bytearray()
        start = begin_map(out)
        for key, (_, value) in self._value.items():
            out += key
            out += value.__amqp_encode__()
        close_compound(out, start, 2 * len(self._value))
        return bytes(out)

    def _shown(self) -> str:
        return "{" + ",".join([f"[{key}:{value}]" for key, value in self._value.values()]) + "}"


class DescribedValue(AMQPValue):
    """A described value: `description` and `data`. Its `value` is that of `data`."""

    __slots__ = ("_description",)
    _type = AMQPType.DescribedType
    _value: AMQPValue
    _description: AMQPValue

    def __init__(self, description: AMQPValue, data: AMQPValue) -> None:
        self._description = _amqp(description).clone()
        self._value = _amqp(data).clone()

    @property
    def value(self) -> Any:
        """The value that is described."""
        return self._value.value

    @property
    def description(self) -> AMQPValue:
        """The descriptor."""
        return self._description

    @property
    def data(self) -> AMQPValue:
        """The value that is described, as an AMQP value."""
        return self._value

    def clone(self) -> DescribedValue:
        """Return a copy that shares nothing with this value."""
        return DescribedValue(self._description, self._value)

    def _same(self, other: Any) -> bool:
        return bool(self._description == other._description and self._value == other._value)

    def __amqp_encode__(self) -> bytes:
        return b"\x00" + self._description.__amqp_encode__() + self._value.__amqp_encode__()

    def _shown(self) -> str:
        return f"* {self._value}"


_FROM_CODEC: dict[type, type[Any]] = {
    bool: BoolValue,
    codec.UByte: UByteValue,
    codec.UShort: UShortValue,
    codec.UInt: UIntValue,
    codec.ULong: ULongValue,
    codec.Byte: ByteValue,
    codec.Short: ShortValue,
    int: IntValue,
    codec.Long: LongValue,
    codec.Timestamp: TimestampValue,
    codec.Float: FloatValue,
    float: DoubleValue,
    codec.Char: CharValue,
    uuid.UUID: UUIDValue,
    bytes: BinaryValue,
    codec.Decimal32: DecimalValue,
    codec.Decimal64: DecimalValue,
    codec.Decimal128: DecimalValue,
}


def value_of(decoded: Any) -> AMQPValue:
    """Return the AMQP value of what the codec decoded in its typed mapping."""
    if decoded is None:
        return AMQPValue()
    if isinstance(decoded, codec.Symbol):
        return SymbolValue(decoded.encode("utf-8"))
    if isinstance(decoded, str) and not isinstance(decoded, codec.Char):
        return StringValue(decoded.encode("utf-8"))
    if isinstance(decoded, codec.Described):
        return DescribedValue(value_of(decoded.descriptor), value_of(decoded.value))
    if isinstance(decoded, codec.Array):
        descriptors = [value_of(descriptor) for descriptor in reversed(decoded.descriptors)]
        items = []
        for element in decoded:
            item = value_of(element)
            for descriptor in descriptors:
                item = DescribedValue(descriptor, item)
            items.append(item)
        return ArrayValue(items)
    if isinstance(decoded, (list, tuple)):
        return ListValue([value_of(item) for item in decoded])
    if isinstance(decoded, dict):
        result = DictValue()
        for key, item in decoded.items():
            result._put(value_of(key), value_of(item))
        return result
    return _FROM_CODEC[type(decoded)](decoded)  # type: ignore[no-any-return]


def null_value() -> AMQPValue:
    """Return null."""
    return AMQPValue()


def bool_value(value: Any) -> BoolValue:
    """Return a boolean: the truth value of anything."""
    return BoolValue(value)


def ubyte_value(value: int) -> UByteValue:
    """Return an unsigned 8-bit integer.

    Raises:
        OverflowError: the value doesn't fit; the other integers raise it, too.
    """
    return UByteValue(value)


def ushort_value(value: int) -> UShortValue:
    """Return an unsigned 16-bit integer."""
    return UShortValue(value)


def uint_value(value: int) -> UIntValue:
    """Return an unsigned 32-bit integer."""
    return UIntValue(value)


def ulong_value(value: int) -> ULongValue:
    """Return an unsigned 64-bit integer."""
    return ULongValue(value)


def byte_value(value: int) -> ByteValue:
    """Return a signed 8-bit integer."""
    return ByteValue(value)


def short_value(value: int) -> ShortValue:
    """Return a signed 16-bit integer."""
    return ShortValue(value)


def int_value(value: int) -> IntValue:
    """Return a signed 32-bit integer."""
    return IntValue(value)


def long_value(value: int) -> LongValue:
    """Return a signed 64-bit integer."""
    return LongValue(value)


def timestamp_value(value: int) -> TimestampValue:
    """Return a point in time, in milliseconds since 1970-01-01 UTC."""
    return TimestampValue(value)


def float_value(value: float) -> FloatValue:
    """Return a 32-bit floating-point number."""
    return FloatValue(value)


def double_value(value: float) -> DoubleValue:
    """Return a 64-bit floating-point number."""
    return DoubleValue(value)


def char_value(value: int) -> CharValue:
    """Return a Unicode character, from its code point.

    Raises:
        ValueError: there is no such character.
    """
    if not isinstance(value, int):
        raise TypeError(f"A code point is an integer, not {type(value).__name__}.")
    if not 0 <= value <= 0x10FFFF:
        raise ValueError(f"A code point is 0 to 0x10ffff, not {int(value)}.")
    return CharValue(chr(value))


def uuid_value(value: uuid.UUID) -> UUIDValue:
    """Return a UUID."""
    return UUIDValue(value)


def binary_value(value: bytes | bytearray) -> BinaryValue:
    """Return bytes."""
    return BinaryValue(value)


def string_value(value: bytes | bytearray) -> StringValue:
    """Return text, from its encoded form."""
    return StringValue(value)


def symbol_value(value: bytes | bytearray) -> SymbolValue:
    """Return a symbol, from its encoded form."""
    return SymbolValue(value)


def list_value() -> ListValue:
    """Return an empty list."""
    return ListValue()


def dict_value() -> DictValue:
    """Return an empty map."""
    return DictValue()


def array_value() -> ArrayValue:
    """Return an empty array."""
    return ArrayValue()


def described_value(descriptor: AMQPValue, value: AMQPValue) -> DescribedValue:
    """Return a described value, made of its descriptor and a value."""
    return DescribedValue(descriptor, value)
