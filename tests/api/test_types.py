"""Wrappers that say which AMQP type a value goes out as."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from uamqp import c_uamqp, types, utils

INTEGERS: list[tuple[Any, Any, int, int, str]] = [
    (types.AMQPLong, c_uamqp.AMQPType.LongValue, -(2**63), 2**63 - 1, "a Long"),
    (types.AMQPuLong, c_uamqp.AMQPType.ULongValue, 0, 2**64 - 1, "an unsigned Long"),
    (types.AMQPInt, c_uamqp.AMQPType.IntValue, -(2**31), 2**31 - 1, "an Int"),
    (types.AMQPuInt, c_uamqp.AMQPType.UIntValue, 0, 2**32 - 1, "an unsigned int"),
    (types.AMQPShort, c_uamqp.AMQPType.ShortValue, -(2**15), 2**15 - 1, "a short"),
    (types.AMQPuShort, c_uamqp.AMQPType.UShortValue, 0, 2**16 - 1, "an unsigned short"),
    (types.AMQPByte, c_uamqp.AMQPType.ByteValue, -(2**7), 2**7 - 1, "a Byte"),
    (types.AMQPuByte, c_uamqp.AMQPType.UByteValue, 0, 2**8 - 1, "an unsigned Byte"),
]


@pytest.mark.parametrize(("kind", "amqp", "least", "most", "name"), INTEGERS, ids=[row[0].__name__ for row in INTEGERS])
class TestIntegers:
    def test_range(self, kind: Any, amqp: Any, least: int, most: int, name: str) -> None:
        for number in (least, 0, 1, most):
            wrapped = kind(number)
            assert wrapped.value == number
            assert wrapped.c_data.type is amqp
            assert wrapped.c_data.value == number
        for number in (least - 1, most + 1):
            with pytest.raises(ValueError, match=f"^Value {number} is too large for {name} value.$"):
                kind(number)

    def test_takes_what_int_takes(self, kind: Any, amqp: Any, least: int, most: int, name: str) -> None:
        assert kind("12").value == 12
        assert kind(1.9).value == 1
        with pytest.raises(ValueError, match=r"^Value must be an integer$"):
            kind(None)
        with pytest.raises(ValueError, match="invalid literal"):
            kind("x")


@pytest.mark.parametrize(
    ("wrapped", "encoded"),
    [
        (types.AMQPLong(1), "5501"),
        (types.AMQPLong(2**40), "810000010000000000"),
        (types.AMQPuLong(0), "44"),
        (types.AMQPuLong(200), "53c8"),
        (types.AMQPInt(-128), "5480"),
        (types.AMQPInt(300), "710000012c"),
        (types.AMQPuInt(0), "43"),
        (types.AMQPuInt(256), "7000000100"),
        (types.AMQPShort(-2), "61fffe"),
        (types.AMQPuShort(2), "600002"),
        (types.AMQPByte(-1), "51ff"),
        (types.AMQPuByte(255), "50ff"),
        (types.AMQPSymbol("ab"), "a3026162"),
        (types.AMQPSymbol(b"x" * 256), "b300000100" + "78" * 256),
        (types.AMQPChar("x"), "7300000078"),
        (types.AMQPArray([1, 2, 3]), "e00e0371000000010000000200000003"),
        (types.AMQPArray([types.AMQPSymbol("a"), types.AMQPSymbol(b"b")]), "e00c02b3000000016100000001" + "62"),
        (types.AMQPDescribed(types.AMQPSymbol("d"), "v"), "00a30164a10176"),
    ],
)
def test_encoding_is_that_of_1_6(wrapped: types.AMQPType, encoded: str) -> None:
    assert utils.data_factory(wrapped) is wrapped.c_data
    assert wrapped.c_data.__amqp_encode__().hex() == encoded
    assert wrapped.c_data.get_encoded_size() == len(encoded) // 2
    assert copy.deepcopy(wrapped).c_data == wrapped.c_data
    assert pickle.loads(pickle.dumps(wrapped)).c_data == wrapped.c_data


class TestSymbol:
    @pytest.mark.parametrize(
        ("given", "value", "text"),
        [("hello", b"hello", "hello"), (b"x", b"x", "x"), ("né", b"n\xc3\xa9", "né"), ("", b"", "")],
    )
    def test_value(self, given: Any, value: bytes, text: str) -> None:
        symbol = types.AMQPSymbol(given)
        assert symbol.value == symbol.c_data.value == bytes(symbol.c_data) == value
        assert str(symbol.c_data) == text

    def test_bytes_that_are_no_text(self) -> None:
        symbol = types.AMQPSymbol(b"\xff\xfe")
        assert bytes(symbol.c_data) == symbol.value == b"\xff\xfe"
        assert str(symbol.c_data) == "\ufffd\ufffd"
        assert symbol.c_data.__amqp_encode__() == b"\xa3\x02\xff\xfe"

    def test_encoding(self) -> None:
        assert types.AMQPSymbol("é", encoding="latin-1").value == b"\xe9"

    def test_nul_survives(self) -> None:
        # 1.6 cut symbols and strings at the first NUL.
        assert types.AMQPSymbol("a\0b").c_data.__amqp_encode__() == b"\xa3\x03a\0b"

    @pytest.mark.parametrize("value", [None, 5, ["a"]])
    def test_other_types(self, value: Any) -> None:
        with pytest.raises(TypeError, match="made of str or bytes"):
            types.AMQPSymbol(value)


class TestChar:
    # In 1.6 every call raised an exception.
    def test_value(self) -> None:
        assert types.AMQPChar("é").value == "é"
        assert types.AMQPChar("\U0001f600").c_data.__amqp_encode__().hex() == "730001f600"
        assert types.AMQPChar("é".encode()).value == "é"
        assert types.AMQPChar(b"\xe9", encoding="latin-1").value == "é"
        assert types.AMQPChar("x").c_data.type is c_uamqp.AMQPType.CharValue

    @pytest.mark.parametrize("value", ["xy", "", b"xy"])
    def test_one_character(self, value: Any) -> None:
        with pytest.raises(ValueError, match="one character"):
            types.AMQPChar(value)

    def test_surrogate(self) -> None:
        with pytest.raises(ValueError, match="surrogate"):
            types.AMQPChar("\ud800")

    def test_other_types(self) -> None:
        with pytest.raises(TypeError, match="made of str or bytes"):
            types.AMQPChar(5)  # type: ignore[arg-type]


class TestArray:
    def test_of_the_specification(self) -> None:
        assert types.AMQPArray([1, 2, 3, 4, 5]).value == [1, 2, 3, 4, 5]

    def test_values_are_read_as_they_are_received(self) -> None:
        assert types.AMQPArray(["a", "b"]).value == [b"a", b"b"]
        assert types.AMQPArray([[1], [2]]).value == [[1], [2]]
        assert types.AMQPArray(({"a": 1}, {})).value == [{b"a": 1}, {}]
        assert str(types.AMQPArray([[1], [2]]).c_data) == "{{1},{2}}"

    def test_empty_array_has_an_element_constructor(self) -> None:
        # 1.6 left it out, which is no AMQP.
        assert types.AMQPArray([]).c_data.__amqp_encode__().hex() == "e0020040"

    @pytest.mark.parametrize("items", [[1, "a"], ["a", b"b"], [None, 1]])
    def test_one_python_type(self, items: list[Any]) -> None:
        with pytest.raises(ValueError, match=r"^All Array values must be the same type.$"):
            types.AMQPArray(items)

    @pytest.mark.parametrize("items", [[1, 2**40], [1, True]])
    def test_one_amqp_type(self, items: list[Any]) -> None:
        with pytest.raises(ValueError, match="of one AMQP type, here IntValue"):
            types.AMQPArray(items)

    def test_not_iterable(self) -> None:
        with pytest.raises(TypeError):
            types.AMQPArray(None)  # type: ignore[arg-type]


def test_described() -> None:
    described = types.AMQPDescribed(b"name", {"a": 1})
    assert described.value == {b"a": 1}
    assert described.c_data.description.value == b"name"
    assert described.c_data.data.value == {b"a": 1}


class TestOwnSubclass:
    """azure-servicebus has one like this."""

    class Timestamp(types.AMQPType):
        def _c_wrapper(self, value: Any) -> Any:
            return c_uamqp.timestamp_value(int(value))

    def test_is_encoded_wherever_a_value_is(self) -> None:
        wrapped = self.Timestamp(1)
        assert wrapped.value == 1
        assert (
            utils.data_factory({"t": [wrapped]}).__amqp_encode__().hex().endswith("a101" + "74c00a01830000000000000001")
        )

    def test_base_class_is_abstract(self) -> None:
        with pytest.raises(NotImplementedError):
            types.AMQPType(5)


def test_identity_semantics() -> None:
    first, second = types.AMQPSymbol("a"), types.AMQPSymbol("a")
    assert first != second
    # Two keys in a dict, one on the wire: the last wins.
    assert utils.data_factory({first: 1, second: 2}).__amqp_encode__().hex() == "c10602a301615402"
