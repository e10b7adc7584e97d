"""Python values that know their AMQP type (the typed mapping).

Plain Python types represent null, boolean, int, double, uuid, binary, string, list and map (section 1.6 of the AMQP 1.0
specification); the classes here represent the rest. They behave like the Python type that they extend, and compare
equal to it.
"""

from __future__ import annotations

import datetime
import decimal
import struct
from collections.abc import Iterable
from typing import Any, ClassVar, SupportsFloat, SupportsInt, TypeVar

from .errors import EncodeError

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MILLISECOND = datetime.timedelta(milliseconds=1)

_IntT = TypeVar("_IntT", bound="_Integer")
_DecimalT = TypeVar("_DecimalT", bound="_Decimal")


class Symbol(str):
    """symbol (section 1.6.21): a name from a constrained domain; ASCII by the specification."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Symbol({str.__repr__(self)})"


class Char(str):
    """char (section 1.6.16): one Unicode character that isn't a surrogate."""

    __slots__ = ()

    def __new__(cls, value: str) -> Char:  # noqa: D102, PYI034 (Self needs Python 3.11)
        if len(value) != 1:
            raise EncodeError(f"char takes a str of length 1, got {value!r}")
        if "\ud800" <= value <= "\udfff":
            raise EncodeError(f"char can't be a surrogate, got {value!r}")
        return str.__new__(cls, value)

    def __repr__(self) -> str:
        return f"Char({str.__repr__(self)})"


class _Integer(int):
    """An int with bounds; a value outside them raises EncodeError."""

    __slots__ = ()
    MIN: ClassVar[int] = 0
    MAX: ClassVar[int] = 0

    def __new__(cls: type[_IntT], value: SupportsInt | str = 0) -> _IntT:  # noqa: PYI019 (Self needs Python 3.11)
        number = int.__new__(cls, value)
        if not cls.MIN <= number <= cls.MAX:
            raise EncodeError(f"{cls.__name__.lower()} takes {cls.MIN} to {cls.MAX}, got {int.__repr__(number)}")
        return number

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int.__repr__(self)})"

    # int doesn't define __str__: without this, str() and f-strings would show the repr.
    def __str__(self) -> str:
        return int.__repr__(self)


class UByte(_Integer):
    """ubyte (section 1.6.3): 0 to 2^8-1."""

    __slots__ = ()
    MAX = 0xFF


class UShort(_Integer):
    """ushort (section 1.6.4): 0 to 2^16-1."""

    __slots__ = ()
    MAX = 0xFFFF


class UInt(_Integer):
    """uint (section 1.6.5): 0 to 2^32-1."""

    __slots__ = ()
    MAX = 0xFFFFFFFF


class ULong(_Integer):
    """ulong (section 1.6.6): 0 to 2^64-1."""

    __slots__ = ()
    MAX = 0xFFFFFFFFFFFFFFFF


class Byte(_Integer):
    """byte (section 1.6.7): -2^7 to 2^7-1."""

    __slots__ = ()
    MIN = -0x80
    MAX = 0x7F


class Short(_Integer):
    """short (section 1.6.8): -2^15 to 2^15-1."""

    __slots__ = ()
    MIN = -0x8000
    MAX = 0x7FFF


class Long(_Integer):
    """long (section 1.6.10): -2^63 to 2^63-1."""

    __slots__ = ()
    MIN = -0x8000000000000000
    MAX = 0x7FFFFFFFFFFFFFFF


class Timestamp(_Integer):
    """timestamp (section 1.6.17): milliseconds since 1970-01-01 UTC. Its range exceeds that of datetime."""

    __slots__ = ()
    MIN = -0x8000000000000000
    MAX = 0x7FFFFFFFFFFFFFFF

    @classmethod
    def from_datetime(cls, value: datetime.datetime) -> Timestamp:
        """Return the timestamp of a datetime, rounded down to milliseconds. A naive datetime is taken as UTC."""
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return cls((value - _EPOCH) // _MILLISECOND)

    def to_datetime(self) -> datetime.datetime:
        """Return the datetime, in UTC.

        Raises:
            OverflowError: it is before year 1 or after year 9999.
        """
        return _EPOCH + self * _MILLISECOND


class Float(float):
    """float (section 1.6.11): rounded to IEEE 754 binary32; a value that is too large raises EncodeError."""

    __slots__ = ()

    def __new__(cls, value: SupportsFloat | str = 0.0) -> Float:  # noqa: D102, PYI034 (as for Char)
        number = float(value)
        try:
            rounded = struct.unpack(">f", struct.pack(">f", number))[0]
        except OverflowError:
            raise EncodeError(f"float takes up to about 3.4e38 (binary32), got {number!r}") from None
        return float.__new__(cls, rounded)

    def __repr__(self) -> str:
        return f"Float({float.__repr__(self)})"

    def __str__(self) -> str:
        return float.__repr__(self)


class _Decimal:
    """A decimal floating-point number as its raw bytes: big-endian, IEEE 754-2008, binary integer decimal."""

    __slots__ = ("raw",)
    SIZE: ClassVar[int]
    DIGITS: ClassVar[int]
    BIAS: ClassVar[int]
    EXPONENT_BITS: ClassVar[int]

    raw: bytes

    def __init__(self, raw: bytes) -> None:
        if len(raw) != self.SIZE:
            raise EncodeError(f"{type(self).__name__.lower()} takes {self.SIZE} bytes, got {raw!r}")
        self.raw = bytes(raw)

    @property
    def value(self) -> decimal.Decimal:
        """The number. A coefficient with more digits than the format allows is zero, as in IEEE 754."""
        bits = int.from_bytes(self.raw, "big")
        width = self.SIZE * 8
        sign = "-" if bits >> (width - 1) else ""
        special = bits >> (width - 6) & 0x1F
        if special == 0x1E:
            return decimal.Decimal(sign + "Infinity")
        if special == 0x1F:
            return self._nan(bits, sign)
        low = width - 1 - self.EXPONENT_BITS
        if special >> 3 == 3:
            low -= 2
            coefficient = 4 << low | bits & (1 << low) - 1
        else:
            coefficient = bits & (1 << low) - 1
        exponent = (bits >> low & (1 << self.EXPONENT_BITS) - 1) - self.BIAS
        if coefficient >= 10**self.DIGITS:
            coefficient = 0
        return decimal.Decimal(f"{sign}{coefficient}E{exponent}")

    def _nan(self, bits: int, sign: str) -> decimal.Decimal:
        width = self.SIZE * 8
        payload = bits & (1 << (width - 4 - self.EXPONENT_BITS)) - 1
        if payload >= 10 ** (self.DIGITS - 1):
            payload = 0
        kind = "sNaN" if bits >> (width - 7) & 1 else "NaN"
        return decimal.Decimal(f"{sign}{kind}{payload or ''}")

    @classmethod
    def from_decimal(  # noqa: PYI019 (Self needs Python 3.11)
        cls: type[_DecimalT], value: decimal.Decimal | int | str
    ) -> _DecimalT:
        """Return the exact encoding of a number.

        Raises:
            EncodeError: its digits or exponent don't fit.
        """
        try:
            number = decimal.Decimal(value)
        except decimal.InvalidOperation:
            raise EncodeError(f"{value!r} is no number") from None
        sign, digits, exponent = number.as_tuple()
        width = cls.SIZE * 8
        bits = sign << (width - 1)
        if exponent == "F":
            bits |= 0x1E << (width - 6)
        elif isinstance(exponent, str):
            payload = int("".join(map(str, digits)) or "0")
            if payload >= 10 ** (cls.DIGITS - 1):
                raise EncodeError(f"{number} has too long a payload for {cls.__name__.lower()}")
            bits |= 0x1F << (width - 6) | (exponent == "N") << (width - 7) | payload
        else:
            bits |= cls._finite(number, digits, exponent)
        return cls(bits.to_bytes(cls.SIZE, "big"))

    @classmethod
    def _finite(cls, number: decimal.Decimal, digits: tuple[int, ...], exponent: int) -> int:
        lowest, highest = -cls.BIAS, 3 * (1 << cls.EXPONENT_BITS - 2) - 1 - cls.BIAS
        text = "".join(map(str, digits)).lstrip("0")
        if not text:
            exponent = min(max(exponent, lowest), highest)
        while text and text[-1] == "0" and (len(text) > cls.DIGITS or exponent < lowest):
            text = text[:-1]
            exponent += 1
        if text and highest < exponent <= highest + cls.DIGITS:
            text += "0" * (exponent - highest)
            exponent = highest
        if len(text) > cls.DIGITS or not lowest <= exponent <= highest:
            raise EncodeError(
                f"{number} doesn't fit {cls.__name__.lower()}: it holds {cls.DIGITS} digits "
                f"and exponents {lowest} to {highest}"
            )
        coefficient = int(text or "0")
        low = cls.SIZE * 8 - 1 - cls.EXPONENT_BITS
        if coefficient < 1 << low:
            return (exponent + cls.BIAS) << low | coefficient
        return 3 << (cls.SIZE * 8 - 3) | (exponent + cls.BIAS) << (low - 2) | coefficient & (1 << low - 2) - 1

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.raw == other.raw

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.raw))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.raw!r})"

    def __str__(self) -> str:
        return str(self.value)


class Decimal32(_Decimal):
    """decimal32 (section 1.6.13): 7 digits. Equal by raw bytes; `.value` is the number."""

    __slots__ = ()
    SIZE = 4
    DIGITS = 7
    BIAS = 101
    EXPONENT_BITS = 8


class Decimal64(_Decimal):
    """decimal64 (section 1.6.14): 16 digits. Equal by raw bytes; `.value` is the number."""

    __slots__ = ()
    SIZE = 8
    DIGITS = 16
    BIAS = 398
    EXPONENT_BITS = 10


class Decimal128(_Decimal):
    """decimal128 (section 1.6.15): 34 digits. Equal by raw bytes; `.value` is the number."""

    __slots__ = ()
    SIZE = 16
    DIGITS = 34
    BIAS = 6176
    EXPONENT_BITS = 14


class Array(list[Any]):
    """array (section 1.6.24): elements of one AMQP type.

    Attributes:
        element: the name of the elements' type ("uint", "symbol", "map", ...). If it is None, the encoder derives it
            from the elements, and an empty array goes out as an array of null.
        descriptors: the descriptors that all elements share, outermost first, usually none or one. The elements are
            then the values without them.
    """

    __slots__ = ("descriptors", "element")

    element: str | None
    descriptors: tuple[Any, ...]

    def __init__(self, items: Iterable[Any] = (), element: str | None = None, descriptors: Iterable[Any] = ()) -> None:
        super().__init__(items)
        if element is not None and element not in ELEMENT_TYPES:
            raise EncodeError(f"array has no element type {element!r}; it takes {', '.join(ELEMENT_TYPES)}")
        self.element = element
        self.descriptors = tuple(descriptors)

    @property
    def descriptor(self) -> Any:
        """The outermost descriptor of the elements, or None."""
        return self.descriptors[0] if self.descriptors else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Array):
            return False
        return self.element == other.element and self.descriptors == other.descriptors and list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        described = f", descriptors={self.descriptors!r}" if self.descriptors else ""
        return f"Array({list.__repr__(self)}, {self.element!r}{described})"


ELEMENT_TYPES = (
    "null", "boolean", "ubyte", "ushort", "uint", "ulong", "byte", "short", "int", "long", "float", "double",
    "decimal32", "decimal64", "decimal128", "char", "timestamp", "uuid", "binary", "string", "symbol", "list",
    "map", "array",
)  # fmt: skip


class Described:
    """A described value (section 1.2): `descriptor`, usually a ULong or Symbol, and `value`."""

    __slots__ = ("descriptor", "value")

    def __init__(self, descriptor: Any, value: Any) -> None:
        self.descriptor = descriptor
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Described):
            return NotImplemented
        return bool(
            type(self.descriptor) is type(other.descriptor)
            and self.descriptor == other.descriptor
            and type(self.value) is type(other.value)
            and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash((self.descriptor, self.value))

    def __repr__(self) -> str:
        return f"Described({self.descriptor!r}, {self.value!r})"
