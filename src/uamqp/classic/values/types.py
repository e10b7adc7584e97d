"""Wrappers that determine the AMQP type a Python value is sent as.

A custom subclass of `AMQPType` overrides `_c_wrapper` to return an AMQP value (from one of the factories in `c_uamqp`,
or any object with ``__amqp_encode__``); encoding uses `c_data`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from . import convert, native
from .arguments import encoding_of, shown
from .portable import unreadable

__all__ = [
    "AMQPArray",
    "AMQPByte",
    "AMQPChar",
    "AMQPDescribed",
    "AMQPInt",
    "AMQPLong",
    "AMQPShort",
    "AMQPSymbol",
    "AMQPType",
    "AMQPuByte",
    "AMQPuInt",
    "AMQPuLong",
    "AMQPuShort",
]


class AMQPType:
    """Base class. `value` is the Python value, `c_data` the value in its typed form, as it goes on the wire."""

    __module__ = "uamqp.types"

    def __init__(self, value: Any) -> None:
        self._c_value = self._c_wrapper(value)

    @property
    def value(self) -> Any:
        """The Python value; text as bytes."""
        return self._c_value.value

    @property
    def c_data(self) -> Any:
        """The value as an object that knows its AMQP type, compares by type and value, and encodes itself."""
        return self._c_value

    def __amqp_encode__(self) -> bytes:
        encoded: bytes = self.c_data.__amqp_encode__()
        return encoded

    def _c_wrapper(self, value: Any) -> Any:
        raise NotImplementedError("A subclass of AMQPType has to say in _c_wrapper what a value becomes.")

    def __repr__(self) -> str:
        try:
            return f"{type(self).__name__}({self.value!r})"
        except Exception as error:  # noqa: BLE001 (a log line is no place to raise it)
            return unreadable(self, error)


class AMQPSymbol(AMQPType):
    """A symbol (section 1.6.21), from text or bytes.

    Raises:
        TypeError: the value is anything else.
    """

    __module__ = "uamqp.types"

    def __init__(self, value: str | bytes, encoding: str = "UTF-8") -> None:
        self._c_value = self._c_wrapper(value, encoding)

    def _c_wrapper(self, value: Any, encoding: str = "UTF-8") -> native.SymbolValue:
        encoding = encoding_of(encoding)
        if isinstance(value, str):
            value = value.encode(encoding)
        if not isinstance(value, bytes):
            raise TypeError(f"A symbol is made of str or bytes, not {type(value).__name__}.")
        return native.symbol_value(value)


class AMQPChar(AMQPType):
    """A Unicode character (section 1.6.16), from text of one character, encoded or not.

    Raises:
        TypeError: the value isn't text.
        ValueError: it isn't one character.
    """

    __module__ = "uamqp.types"

    def __init__(self, value: str | bytes, encoding: str = "UTF-8") -> None:
        self._c_value = self._c_wrapper(value, encoding)

    def _c_wrapper(self, value: Any, encoding: str = "UTF-8") -> native.CharValue:
        encoding = encoding_of(encoding)
        if isinstance(value, bytes):
            value = value.decode(encoding)
        if not isinstance(value, str):
            raise TypeError(f"A char is made of str or bytes, not {type(value).__name__}.")
        if len(value) != 1:
            raise ValueError(f"A char is one character, not {len(value)}.")
        return native.char_value(ord(value))


class _AMQPInteger(AMQPType):
    """An integer, from anything that `int()` accepts.

    Raises:
        ValueError: the value is None or out of range.
    """

    _factory: ClassVar[Any]
    _minimum: ClassVar[int]
    _maximum: ClassVar[int]
    _name: ClassVar[str]

    def __init__(self, value: Any) -> None:
        self._c_value = self._c_wrapper(value)

    def _c_wrapper(self, value: Any) -> Any:
        if value is None:
            raise ValueError("Value must be an integer")
        try:
            number = int(value)
        except (TypeError, OverflowError):
            raise TypeError(f"{type(self).__name__} takes an integer, not {shown(value)}.") from None
        if not self._minimum <= number <= self._maximum:
            raise ValueError(
                f"Value {number if number.bit_length() < 1000 else 'given'} is too large for {self._name} value."
            )
        return type(self)._factory(number)


class AMQPLong(_AMQPInteger):
    """A 64-bit signed integer: long (section 1.6.10)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.LongValue, -(2**63), 2**63 - 1, "a Long"


class AMQPuLong(_AMQPInteger):
    """A 64-bit unsigned integer: ulong (section 1.6.6)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.ULongValue, 0, 2**64 - 1, "an unsigned Long"


class AMQPInt(_AMQPInteger):
    """A 32-bit signed integer: int (section 1.6.9)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.IntValue, -(2**31), 2**31 - 1, "an Int"


class AMQPuInt(_AMQPInteger):
    """A 32-bit unsigned integer: uint (section 1.6.5)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.UIntValue, 0, 2**32 - 1, "an unsigned int"


class AMQPShort(_AMQPInteger):
    """A 16-bit signed integer: short (section 1.6.8)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.ShortValue, -(2**15), 2**15 - 1, "a short"


class AMQPuShort(_AMQPInteger):
    """A 16-bit unsigned integer: ushort (section 1.6.4)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.UShortValue, 0, 2**16 - 1, "an unsigned short"


class AMQPByte(_AMQPInteger):
    """An 8-bit signed integer: byte (section 1.6.7)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.ByteValue, -(2**7), 2**7 - 1, "a Byte"


class AMQPuByte(_AMQPInteger):
    """An 8-bit unsigned integer: ubyte (section 1.6.3)."""

    __module__ = "uamqp.types"

    _factory, _minimum, _maximum, _name = native.UByteValue, 0, 2**8 - 1, "an unsigned Byte"


class AMQPArray(AMQPType):
    """An array (section 1.6.24): values of one type.

    Raises:
        TypeError: the values aren't iterable.
        ValueError: they have different types, in Python or in AMQP (``[1, 2**40]`` is an int and a long).
    """

    __module__ = "uamqp.types"

    def __init__(self, value: Iterable[Any]) -> None:
        self._c_value = self._c_wrapper(value)

    def _c_wrapper(self, value: Any) -> native.ArrayValue:
        if not isinstance(value, Iterable):
            raise TypeError(f"{type(self).__name__} takes the values of an array, not {type(value).__name__}.")
        items = list(value)
        if items and not all(isinstance(item, type(items[0])) for item in items):
            raise ValueError("All Array values must be the same type.")
        array = native.array_value()
        for item in items:
            array.append(convert.data_factory(item))
        return array


class AMQPDescribed(AMQPType):
    """A described value (section 1.2). `value` is just the value; `c_data` has both as `description` and `data`."""

    __module__ = "uamqp.types"

    def __init__(self, descriptor: Any, described: Any) -> None:
        self._c_value = self._c_wrapper(descriptor, described)

    def _c_wrapper(self, descriptor: Any, described: Any = None) -> native.DescribedValue:
        return native.described_value(convert.data_factory(descriptor), convert.data_factory(described))
