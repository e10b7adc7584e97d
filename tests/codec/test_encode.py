"""Encoding: which Python types go out as what, objects that encode themselves, and what is refused."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import uuid
from typing import Any, NamedTuple

import pytest

from uamqp.codec import (
    Array,
    Described,
    EncodeError,
    Float,
    Symbol,
    UByte,
    UInt,
    ULong,
    append_bare,
    append_value,
    decode_value,
    encode,
    encode_value,
)
from uamqp.codec.limits import MAX_DEPTH


class Hooked:
    def __init__(self, encoded: Any) -> None:
        self.encoded = encoded

    def __amqp_encode__(self) -> Any:
        return self.encoded


class HookedInt(int):
    def __amqp_encode__(self) -> bytes:
        return b"\x43"


class Colour(enum.IntEnum):
    RED = 3


class Level(enum.Enum):
    LOW = 1


class Name(str, enum.Enum):
    BOB = "bob"


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()


class Blob(bytes):
    __slots__ = ()


class MyDecimal(decimal.Decimal):
    pass


class MyUUID(uuid.UUID):
    pass


class MyUInt(UInt):
    pass


UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("value", "hexed"),
    [
        (Colour.RED, "5403"),
        (Name.BOB, "a103626f62"),
        (Point(1, 2), "c0050254015402"),
        (Text("a"), "a10161"),
        (collections.OrderedDict(a=1), "c10602a101615401"),
        (MyDecimal(1), "9430400000000000000000000000000001"),
        (MyUUID(int=1), "98" + "00" * 15 + "01"),
        (MyUInt(1), "5201"),
        (bytearray(b"a"), "a00161"),
        (memoryview(b"abcd")[::2], "a0026163"),
        (datetime.datetime(1970, 1, 1, 0, 0, 1, 999999), "8300000000000007cf"),  # noqa: DTZ001 (naive is UTC)
        (datetime.datetime(1970, 1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))), "83" + "00" * 8),
        (datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), "83" + "ff" * 8),
        (2**31, "810000000080000000"),
        (-(2**31) - 1, "81ffffffff7fffffff"),
        (2**63 - 1, "817fffffffffffffff"),
        (-(2**63), "818000000000000000"),
        (True, "41"),
    ],
)
def test_python_types_in_both_mappings(value: Any, hexed: str) -> None:
    assert encode_value(value).hex() == hexed
    assert encode_value(value, bare=True).hex() == hexed


def test_subclass_of_bytes_follows_the_mapping() -> None:
    assert encode_value(Blob(b"a")).hex() == "a00161"
    assert encode_value(Blob(b"a"), bare=True).hex() == "a10161"


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (1j, "complex"),
        (datetime.date(2020, 1, 1), "date"),
        (range(3), "range"),
        (Level.LOW, "Level"),
        (int, "type"),
        (Hooked, "type"),
    ],
)
def test_unsupported_types_are_named(value: Any, name: str, bare: bool) -> None:
    for nested in (value, [value], {"k": value}, {value: 1}, Described(ULong(1), value), Array([value])):
        with pytest.raises(EncodeError, match=f"{name} has no AMQP encoding"):
            encode_value(nested, bare=bare)


def test_sets_are_lists_in_the_bare_mapping_only() -> None:
    for value in ({1}, frozenset((1,))):
        with pytest.raises(EncodeError, match="has no AMQP encoding"):
            encode_value(value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64])
def test_integers_beyond_long(value: int) -> None:
    for bare in (False, True):
        with pytest.raises(EncodeError, match=f"takes -9223372036854775808 to 9223372036854775807 .*got {value}"):
            encode_value(value, bare=bare)


def test_text_without_utf8() -> None:
    for value in ("a\ud800", Symbol("a\ud800")):
        with pytest.raises(EncodeError, match="surrogates not allowed at index 1"):
            encode_value(value)


def test_buffer_is_left_as_it_was_on_an_error() -> None:
    for append in (append_value, append_bare):
        out = bytearray(b"before")
        with pytest.raises(EncodeError):
            append(out, {"a": [1, Array([object()])]})
        assert out == b"before"


class TestHook:
    def test_at_any_depth(self) -> None:
        hooked = Hooked(b"\x53\x07")
        assert decode_value(encode_value({"k": [hooked]})) == {"k": [ULong(7)]}
        assert decode_value(encode_value(Described(hooked, hooked), bare=True)) == Described(ULong(7), ULong(7))
        assert decode_value(encode_value(Array([hooked, Hooked(b"\x44")]))) == Array([ULong(7), ULong(0)], "ulong")
        assert encode_value(Hooked(bytearray(b"\x41"))) == b"\x41"

    def test_wins_over_the_base_class(self) -> None:
        assert encode_value(HookedInt(5)) == b"\x43"

    def test_array_of_described_hooks(self) -> None:
        hooked = Hooked(b"\x00\x53\x24\x45")
        assert decode_value(encode_value(Array([hooked, hooked]))) == Array([[], []], "list", [ULong(0x24)])

    @pytest.mark.parametrize("encoded", [b"", None, "text"])
    def test_must_give_bytes(self, encoded: Any) -> None:
        for value in (Hooked(encoded), Array([Hooked(encoded)])):
            with pytest.raises(EncodeError, match=r"Hooked\.__amqp_encode__ must return"):
                encode_value(value)

    def test_that_contains_itself(self) -> None:
        class Endless:
            def __amqp_encode__(self) -> bytes:
                return encode_value([self])

        with pytest.raises(EncodeError, match="nested too deep"):
            encode_value(Endless())


class TestArrays:
    def test_element_type_is_found(self) -> None:
        for items, element in (
            ([1, 2], "int"),
            ([2**40], "long"),
            (["a"], "string"),
            ([Symbol("a")], "symbol"),
            ([True], "boolean"),
            ([1.5], "double"),
            ([Float(1)], "float"),
            ([b"a", bytearray(b"b")], "binary"),
            ([None], "null"),
            ([{}], "map"),
            ([(1,), []], "list"),
            ([decimal.Decimal(1)], "decimal128"),
            ([datetime.datetime(2020, 1, 1, tzinfo=UTC)], "timestamp"),
            ([Array([1])], "array"),
            ([], "null"),
        ):
            assert decode_value(encode_value(Array(items))).element == element

    def test_bytes_are_strings_in_the_bare_mapping(self) -> None:
        assert decode_value(encode_value(Array([b"a"]), bare=True)) == Array(["a"], "string")
        assert decode_value(encode_value(Array([{1}]), bare=True)) == Array([[1]], "list")
        assert decode_value(encode_value(Array([[b"a"]]), bare=True)) == Array([["a"]], "list")

    @pytest.mark.parametrize("items", [[1, 2**40], [1, True], [1, "a"], ["a", Symbol("a")], [1, None], [UInt(1), 1]])
    def test_elements_of_different_types(self, items: list[Any]) -> None:
        with pytest.raises(EncodeError, match="must all be of one AMQP type, got"):
            encode_value(Array(items))

    @pytest.mark.parametrize("element", ["ubyte", "ushort", "uint", "ulong", "byte", "short", "int", "long"])
    def test_named_integer_types_take_ints(self, element: str) -> None:
        array = decode_value(encode_value(Array([1, UByte(2)], element)))
        assert array == [1, 2] or list(array) == [1, 2]
        assert array.element == element
        with pytest.raises(EncodeError, match=f"array of {element} can't hold a bool"):
            encode_value(Array([True], element))
        with pytest.raises(EncodeError, match=f"array of {element} can't hold {2**64}: out of range"):
            encode_value(Array([2**64], element))

    def test_named_symbol_type_takes_str(self) -> None:
        assert decode_value(encode_value(Array(["a"], "symbol"))) == Array([Symbol("a")], "symbol")
        with pytest.raises(EncodeError, match="array of string can't hold a int"):
            encode_value(Array([1], "string"))

    def test_described_elements(self) -> None:
        items = [Described(Symbol("d"), 1), Described(Symbol("d"), 2)]
        assert decode_value(encode_value(Array(items))) == Array([1, 2], "int", [Symbol("d")])
        twice = [Described(ULong(1), item) for item in items]
        assert decode_value(encode_value(Array(twice))) == Array([1, 2], "int", [ULong(1), Symbol("d")])
        for other in (Described(Symbol("e"), 1), 1):
            with pytest.raises(EncodeError, match="must all have the descriptor"):
                encode_value(Array([items[0], other]))

    @pytest.mark.parametrize("count", [255, 256])
    def test_size_of_the_count(self, count: int) -> None:
        encoded = encode_value(Array([None] * count))
        assert encoded[0] == (0xE0 if count == 255 else 0xF0)
        assert decode_value(encoded) == Array([None] * count, "null")

    def test_big_compounds_within_arrays(self) -> None:
        for item in ([1] * 300, {i: i for i in range(300)}, Array([1] * 300, "int"), [], Array([], "uint")):
            assert list(decode_value(encode_value(Array([item, item])))) == [item, item]


class TestCompounds:
    @pytest.mark.parametrize("count", [254, 255, 256, 65536])
    def test_list_sizes(self, count: int) -> None:
        encoded = encode_value([None] * count)
        assert encoded[0] == (0xC0 if count == 254 else 0xD0)
        assert decode_value(encoded) == [None] * count

    @pytest.mark.parametrize("size", [246, 247, 248, 65536])
    def test_map_sizes(self, size: int) -> None:
        value = {"key": b"x" * size}
        encoded = encode_value(value)
        assert encoded[0] == (0xC1 if size <= 247 else 0xD1)
        assert decode_value(encoded) == value

    def test_growing_within_each_other(self) -> None:
        value: Any = [b"x" * 200]
        for _ in range(40):
            value = [value, {"k": value}]
            value = value[:1]
        value = {"a": value, "b": [value, b"y" * 100]}
        assert decode_value(encode_value(value)) == value


def nested(depth: int, kind: str) -> Any:
    # An empty list has no depth of its own, except as an element of an array, where it isn't list0.
    value: Any = None if kind == "array" else []
    for _ in range(depth):
        if kind == "list":
            value = [value]
        elif kind == "map":
            value = {1: value}
        elif kind == "array":
            value = Array([value])
        else:
            value = Described(ULong(1), value)
    return value


@pytest.mark.parametrize("kind", ["list", "map", "array", "described"])
def test_depth(kind: str) -> None:
    value = nested(MAX_DEPTH, kind)
    assert encode_value(decode_value(encode_value(value))) == encode_value(value)
    with pytest.raises(EncodeError, match=f"nested deeper than {MAX_DEPTH}"):
        encode_value(nested(MAX_DEPTH + 1, kind))


def test_values_that_contain_themselves() -> None:
    endless: list[Any] = []
    endless.append(endless)
    turning: dict[str, Any] = {}
    turning["k"] = [turning]
    array = Array([])
    array.append(array)
    described = Described(ULong(1), None)
    described.value = described
    for value in (endless, turning, array, described):
        for bare in (False, True):
            with pytest.raises(EncodeError, match="nested deeper"):
                encode_value(value, bare=bare)


@pytest.mark.parametrize(
    ("append", "low", "high"),
    [
        (encode.append_ubyte, 0, 2**8 - 1),
        (encode.append_ushort, 0, 2**16 - 1),
        (encode.append_uint, 0, 2**32 - 1),
        (encode.append_ulong, 0, 2**64 - 1),
        (encode.append_timestamp, -(2**63), 2**63 - 1),
    ],
)
def test_appending_integers_of_one_type(append: Any, low: int, high: int) -> None:
    for value in (low, high):
        out = bytearray()
        append(out, value)
        assert decode_value(out) == value
    for value in (low - 1, high + 1):
        out = bytearray(b"x")
        with pytest.raises(EncodeError, match=f"takes {low} to {high}, got {value}"):
            append(out, value)
        assert out == b"x"
