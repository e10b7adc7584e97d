"""The typed values: bounds, conversions, repr, comparing, copying and pickling."""

from __future__ import annotations

import copy
import datetime
import math
import pickle
from typing import Any

import pytest

from uamqp.codec import (
    Array,
    Byte,
    Char,
    CodecError,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    EncodeError,
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

BOUNDS: list[tuple[Any, int, int]] = [
    (UByte, 0, 2**8 - 1),
    (UShort, 0, 2**16 - 1),
    (UInt, 0, 2**32 - 1),
    (ULong, 0, 2**64 - 1),
    (Byte, -(2**7), 2**7 - 1),
    (Short, -(2**15), 2**15 - 1),
    (Long, -(2**63), 2**63 - 1),
    (Timestamp, -(2**63), 2**63 - 1),
]

EXAMPLES: list[tuple[Any, str]] = [
    *((kind(5), f"{kind.__name__}(5)") for kind, _, _ in BOUNDS),
    (Symbol("a:b"), "Symbol('a:b')"),
    (Char("x"), "Char('x')"),
    (Float(1.5), "Float(1.5)"),
    (Decimal32(b"\x32\x80\x00\x01"), "Decimal32(b'2\\x80\\x00\\x01')"),
    (Decimal64(bytes(8)), f"Decimal64({bytes(8)!r})"),
    (Decimal128(bytes(16)), f"Decimal128({bytes(16)!r})"),
    (Array([UInt(1)], "uint"), "Array([UInt(1)], 'uint')"),
    (Array([], None), "Array([], None)"),
    (Array([1], "int", [Symbol("d")]), "Array([1], 'int', descriptors=(Symbol('d'),))"),
    (Described(ULong(1), [Symbol("x")]), "Described(ULong(1), [Symbol('x')])"),
]


@pytest.mark.parametrize(("kind", "low", "high"), BOUNDS)
def test_integers_hold_their_bounds(kind: Any, low: int, high: int) -> None:
    assert kind(low) == low
    assert kind(high) == high
    assert isinstance(kind(high), int)
    for value in (low - 1, high + 1):
        with pytest.raises(EncodeError, match=f"takes {low} to {high}, got {value}"):
            kind(value)


@pytest.mark.parametrize(("value", "text"), EXAMPLES)
def test_repr_shows_the_type(value: Any, text: str) -> None:
    assert repr(value) == text


@pytest.mark.parametrize("value", [value for value, _ in EXAMPLES], ids=repr)
def test_copies_and_pickles_are_equal_in_type_and_value(value: Any) -> None:
    copies = [copy.copy(value), copy.deepcopy(value)]
    copies += [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    for each in copies:
        assert type(each) is type(value)
        assert each == value
        assert repr(each) == repr(value)


@pytest.mark.parametrize("value", [value for value, _ in EXAMPLES], ids=repr)
def test_values_carry_no_dict(value: Any) -> None:
    assert not hasattr(value, "__dict__")


def test_str_and_format_show_the_bare_value() -> None:
    assert str(UInt(5)) == f"{UInt(5)}" == "5"
    assert str(Timestamp(-1)) == "-1"
    assert str(Symbol("a")) == f"{Symbol('a')}" == "a"
    assert str(Char("c")) == "c"
    assert str(Float(1.5)) == f"{Float(1.5)}" == "1.5"
    assert str(Decimal32(b"\x32\x80\x00\x01")) == "1"


def test_values_equal_the_python_values_they_extend() -> None:
    assert UInt(5) == 5
    assert Symbol("a") == "a"
    assert Char("a") == "a"
    assert Float(1.5) == 1.5
    assert {Symbol("a"), "a"} == {"a"}


def test_errors_are_value_errors() -> None:
    assert issubclass(EncodeError, CodecError)
    assert issubclass(CodecError, ValueError)


def test_char_is_one_character() -> None:
    for value in ("", "ab", "\ud800", "\udfff"):
        with pytest.raises(EncodeError, match="char"):
            Char(value)


def test_float_is_rounded_to_what_the_wire_holds() -> None:
    assert Float(0.1) == 0.10000000149011612
    assert math.isnan(Float("nan"))
    assert Float(3.4028234663852886e38) == 3.4028234663852886e38
    with pytest.raises(EncodeError, match="binary32"):
        Float(3.5e38)


class TestTimestamp:
    def test_from_datetime(self) -> None:
        utc = datetime.timezone.utc
        aware = datetime.datetime(2023, 11, 14, 22, 13, 20, 999999, tzinfo=utc)
        assert Timestamp.from_datetime(aware) == 1700000000999
        assert Timestamp.from_datetime(aware.replace(tzinfo=None)) == 1700000000999
        east = datetime.timezone(datetime.timedelta(hours=2))
        assert Timestamp.from_datetime(aware.astimezone(east)) == 1700000000999
        assert Timestamp.from_datetime(datetime.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=utc)) == -1
        assert Timestamp.from_datetime(datetime.datetime.min.replace(tzinfo=utc)) == -62135596800000

    def test_to_datetime(self) -> None:
        utc = datetime.timezone.utc
        assert Timestamp(-1).to_datetime() == datetime.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=utc)
        last = datetime.datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=utc)
        assert Timestamp(253402300799999).to_datetime() == last
        for beyond in (253402300800000, -62135596800001, 2**63 - 1, -(2**63)):
            with pytest.raises(OverflowError):
                Timestamp(beyond).to_datetime()


class TestArray:
    def test_compares_by_element_type_too(self) -> None:
        assert Array([1], "int") == Array([1], "int")
        assert Array([1], "int") != Array([1], "long")
        assert Array([1], "int") != Array([1], "int", [Symbol("d")])
        assert Array([1], "int") != [1]
        assert Array([], "int") != Array([], "uint")

    def test_is_a_list(self) -> None:
        array = Array(["a"], "symbol")
        array.append("b")
        assert list(array) == ["a", "b"]
        assert array.descriptor is None
        assert Array([], "int", [Symbol("d")]).descriptor == "d"
        with pytest.raises(TypeError):
            hash(array)

    def test_element_type_must_exist(self) -> None:
        with pytest.raises(EncodeError, match="no element type 'integer'; it takes null, boolean"):
            Array([], "integer")


class TestDescribed:
    def test_compares_by_type_and_value(self) -> None:
        assert Described(ULong(1), 2) == Described(ULong(1), 2)
        assert Described(ULong(1), 2) != Described(UInt(1), 2)
        assert Described(ULong(1), 2) != Described(ULong(1), True)
        assert Described(ULong(1), 1) != Described(ULong(1), True)
        assert Described(ULong(1), 2) != 2

    def test_is_as_hashable_as_its_value(self) -> None:
        assert hash(Described(ULong(1), 2)) == hash(Described(ULong(1), 2))
        with pytest.raises(TypeError):
            hash(Described(ULong(1), []))


def test_decimals_compare_by_type_and_bytes() -> None:
    assert Decimal32(bytes(4)) == Decimal32(bytes(4))
    assert hash(Decimal32(bytes(4))) == hash(Decimal32(bytes(4)))
    assert Decimal32(bytes(4)) != Decimal32(b"\0\0\0\1")
    assert Decimal32(bytes(4)) != Decimal64(bytes(8))
    assert Decimal32(bytes(4)) != bytes(4)
    for kind, size in ((Decimal32, 4), (Decimal64, 8), (Decimal128, 16)):
        for wrong in (size - 1, size + 1):
            with pytest.raises(EncodeError, match=f"takes {size} bytes"):
                kind(bytes(wrong))
