"""The value objects, messages and counters of `c_uamqp`."""

from __future__ import annotations

import copy
import math
import pickle
import uuid
from typing import Any

import pytest

from uamqp import c_uamqp, codec, utils
from uamqp.c_uamqp import AMQPType, MessageBodyType
from uamqp.message import Message, MessageHeader, MessageProperties

UUID = uuid.UUID("37f9db00-fbb1-11e0-9f96-0800200c9a66")

SCALARS: list[tuple[Any, AMQPType, Any, str, str]] = [
    (c_uamqp.null_value(), AMQPType.NullValue, None, "NULL", "40"),
    (c_uamqp.bool_value(True), AMQPType.BoolValue, True, "true", "41"),
    (c_uamqp.bool_value(0), AMQPType.BoolValue, False, "false", "42"),
    (c_uamqp.ubyte_value(255), AMQPType.UByteValue, 255, "255", "50ff"),
    (c_uamqp.ushort_value(10), AMQPType.UShortValue, 10, "10", "60000a"),
    (c_uamqp.uint_value(5), AMQPType.UIntValue, 5, "5", "5205"),
    (c_uamqp.ulong_value(5), AMQPType.ULongValue, 5, "5", "5305"),
    (c_uamqp.byte_value(-1), AMQPType.ByteValue, -1, "-1", "51ff"),
    (c_uamqp.short_value(-5), AMQPType.ShortValue, -5, "-5", "61fffb"),
    (c_uamqp.int_value(7), AMQPType.IntValue, 7, "7", "5407"),
    (c_uamqp.long_value(5), AMQPType.LongValue, 5, "5", "5505"),
    (c_uamqp.float_value(4.5), AMQPType.FloatValue, 4.5, "4.50", "7240900000"),
    (c_uamqp.double_value(5.0), AMQPType.DoubleValue, 5.0, "5.00", "824014000000000000"),
    (c_uamqp.char_value(120), AMQPType.CharValue, "x", "U00000078", "7300000078"),
    (c_uamqp.timestamp_value(1510000), AMQPType.TimestampValue, 1510000, "1510000", "8300000000" + "00170a70"),
    (c_uamqp.uuid_value(UUID), AMQPType.UUIDValue, UUID, str(UUID), "98" + UUID.hex),
    (c_uamqp.binary_value(b"Test"), AMQPType.BinaryValue, b"Test", "<54 65 73 74>", "a00454657374"),
    (c_uamqp.string_value(b"Test"), AMQPType.StringValue, b"Test", "Test", "a10454657374"),
    (c_uamqp.symbol_value(b"Test"), AMQPType.SymbolValue, b"Test", "Test", "a30454657374"),
]


@pytest.mark.parametrize(("value", "kind", "read", "text", "encoded"), SCALARS, ids=[row[1].name for row in SCALARS])
class TestScalars:
    def test_reads(self, value: Any, kind: AMQPType, read: Any, text: str, encoded: str) -> None:
        assert value.type is kind
        assert value.value == read
        assert type(value.value) is type(read)
        assert str(value) == text
        assert bytes(value) == text.encode()
        assert repr(value) == f"<{type(value).__name__} {text}>"

    def test_encodes(self, value: Any, kind: AMQPType, read: Any, text: str, encoded: str) -> None:
        assert value.__amqp_encode__().hex() == encoded
        assert value.get_encoded_size() == len(encoded) // 2
        assert codec.decode_value(value.__amqp_encode__(), bare=True) == read
        assert codec.encode_value(value) == codec.encode_value(value, bare=True) == value.__amqp_encode__()
        assert c_uamqp.value_of(codec.decode_value(value.__amqp_encode__())) == value

    def test_copies(self, value: Any, kind: AMQPType, read: Any, text: str, encoded: str) -> None:
        for duplicate in (value.clone(), copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert duplicate is not value
            assert type(duplicate) is type(value)
            assert duplicate == value
        value.destroy()
        assert value.value == read

    def test_compares(self, value: Any, kind: AMQPType, read: Any, text: str, encoded: str) -> None:
        for other, other_kind, *_ in SCALARS:
            assert (value == other) is (value is other)
            assert (value != other) is (value is not other)
            assert other_kind is not None
        assert value != None  # noqa: E711
        for foreign in (read if read is not None else 5, object()):
            with pytest.raises(TypeError, match="compares with other AMQP values only"):
                bool(value == foreign)
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)

    def test_is_true_unless_empty(self, value: Any, kind: AMQPType, read: Any, text: str, encoded: str) -> None:
        assert value


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("ubyte", 0, 2**8 - 1),
        ("ushort", 0, 2**16 - 1),
        ("uint", 0, 2**32 - 1),
        ("ulong", 0, 2**64 - 1),
        ("byte", -(2**7), 2**7 - 1),
        ("short", -(2**15), 2**15 - 1),
        ("int", -(2**31), 2**31 - 1),
        ("long", -(2**63), 2**63 - 1),
        ("timestamp", -(2**63), 2**63 - 1),
    ],
)
def test_integer_range(name: str, least: int, most: int) -> None:
    factory = getattr(c_uamqp, f"{name}_value")
    for number in (least, most):
        assert factory(number).value == number
        assert codec.decode_value(factory(number).__amqp_encode__()) == number
    for number in (least - 1, most + 1):
        with pytest.raises(OverflowError, match=f"takes {least} to {most}, not {number}"):
            factory(number)
    for wrong in ("1", None, 1.5):
        with pytest.raises(TypeError, match="An integer is required"):
            factory(wrong)


def test_floats() -> None:
    assert c_uamqp.float_value(0.1).value == pytest.approx(0.1, abs=1e-7)
    assert c_uamqp.float_value(0.1).value != 0.1
    assert str(c_uamqp.double_value(1 / 3)) == "0.33"
    assert str(c_uamqp.double_value(-0.0)) == "-0.00"
    assert math.isnan(c_uamqp.double_value(math.nan).value)
    for factory in (c_uamqp.float_value, c_uamqp.double_value):
        assert factory(1).value == 1.0
        with pytest.raises(TypeError, match="A number is required"):
            factory("1")  # type: ignore[arg-type]


@pytest.mark.parametrize("point", [0x110000, -1, 2**32, 0xD800])
def test_char_is_a_code_point(point: int) -> None:
    with pytest.raises(ValueError, match=r"code point|surrogate"):
        c_uamqp.char_value(point)


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="Input value must be type UUID"):
        c_uamqp.uuid_value("x")  # type: ignore[arg-type]
    for factory in (c_uamqp.binary_value, c_uamqp.string_value, c_uamqp.symbol_value):
        with pytest.raises(TypeError, match="bytes are required, not str"):
            factory("x")  # type: ignore[arg-type]
        assert factory(bytearray(b"x")).value == b"x"
    with pytest.raises(TypeError, match="integer"):
        c_uamqp.char_value("x")  # type: ignore[arg-type]


def test_text_that_is_no_text() -> None:
    assert str(c_uamqp.string_value(b"a\xff")) == "a\ufffd"
    assert bytes(c_uamqp.string_value(b"a\xff")) == b"a\xff"
    assert c_uamqp.string_value(b"a\0b").__amqp_encode__() == b"\xa1\x03a\0b"
    assert c_uamqp.symbol_value(b"\xff" * 300).__amqp_encode__() == b"\xb3\x00\x00\x01\x2c" + b"\xff" * 300


def test_binary_has_a_length() -> None:
    assert len(c_uamqp.binary_value(b"Test")) == 4
    assert not c_uamqp.binary_value(b"")
    assert str(c_uamqp.binary_value(b"\xab\x00")) == "<AB 00>"


class TestList:
    def filled(self) -> c_uamqp.ListValue:
        value = c_uamqp.list_value()
        value.size = 2
        value[0] = c_uamqp.bool_value(True)
        value[1] = c_uamqp.ubyte_value(125)
        return value

    def test_empty(self) -> None:
        value = c_uamqp.list_value()
        assert (value.type, value.value, len(value), value.size, str(value)) == (AMQPType.ListValue, [], 0, 0, "{}")
        assert not value
        assert value.__amqp_encode__() == b"\x45"

    def test_size_makes_room(self) -> None:
        value = c_uamqp.list_value()
        value.size = 2
        assert value.value == [None, None]
        assert str(value) == "{NULL,NULL}"
        value.size = 1
        assert len(value) == 1
        with pytest.raises(OverflowError):
            value.size = -1

    def test_items(self) -> None:
        value = self.filled()
        assert value.value == [True, 125]
        assert str(value) == "{true,125}"
        assert bytes(value) == b"{true,125}"
        assert value[1].value == 125
        assert [item.type for item in value] == [AMQPType.BoolValue, AMQPType.UByteValue]
        assert value.__amqp_encode__().hex() == "c0040241507d"

    def test_wrong_index_or_item(self) -> None:
        value = self.filled()
        for index in (2, -1):
            with pytest.raises(IndexError, match="out of range"):
                value[index]
            with pytest.raises(IndexError, match="out of range"):
                value[index] = c_uamqp.null_value()
        with pytest.raises(TypeError, match="An AMQP value is required, not int"):
            value[0] = 5  # type: ignore[assignment]
        with pytest.raises(TypeError, match="must be an integer"):
            value["a"]  # type: ignore[index]

    def test_holds_copies(self) -> None:
        outer, inner = c_uamqp.list_value(), self.filled()
        outer.size = 1
        outer[0] = inner
        inner.size = 0
        assert outer.value == [[True, 125]]
        assert outer.clone() == outer
        assert outer.clone() != inner
        duplicate = outer.clone()
        duplicate.size = 0
        assert len(outer) == 1


class TestMap:
    def filled(self) -> c_uamqp.DictValue:
        value = c_uamqp.dict_value()
        value[c_uamqp.string_value(b"One")] = c_uamqp.int_value(1)
        value[c_uamqp.string_value(b"Two")] = c_uamqp.int_value(2)
        return value

    def test_empty(self) -> None:
        value = c_uamqp.dict_value()
        assert (value.type, value.value, len(value), str(value)) == (AMQPType.DictValue, {}, 0, "{}")
        assert not value
        assert value.__amqp_encode__().hex() == "c10100"

    def test_items(self) -> None:
        value = self.filled()
        assert value.value == {b"One": 1, b"Two": 2}
        assert value.size == len(value) == 2
        assert str(value) == "{[One:1],[Two:2]}"
        assert value[c_uamqp.string_value(b"Two")].value == 2
        key, item = value.get(1)
        assert (key.value, item.value) == (b"Two", 2)
        value[c_uamqp.string_value(b"One")] = c_uamqp.int_value(10)
        assert value.value == {b"One": 10, b"Two": 2}
        assert value.__amqp_encode__().hex() == "c10f04a1034f6e65540aa10354776f5402"

    def test_keys_are_told_by_type_and_value(self) -> None:
        value = self.filled()
        value[c_uamqp.symbol_value(b"One")] = c_uamqp.int_value(3)
        assert len(value) == 3

    def test_wrong_key(self) -> None:
        value = self.filled()
        with pytest.raises(KeyError, match="No value found for key: b'Nope'"):
            value[c_uamqp.string_value(b"Nope")]
        with pytest.raises(IndexError, match="out of range"):
            value.get(2)
        with pytest.raises(TypeError, match="An AMQP value is required, not str"):
            value["One"]  # type: ignore[index]
        with pytest.raises(TypeError, match="An AMQP value is required, not str"):
            value["One"] = c_uamqp.null_value()  # type: ignore[index]
        with pytest.raises(TypeError, match="isn't iterable"):
            list(value)

    def test_equality_and_copies(self) -> None:
        value = self.filled()
        for duplicate in (value.clone(), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert duplicate == value
            duplicate[c_uamqp.string_value(b"Three")] = c_uamqp.null_value()
            assert duplicate != value
        turned = c_uamqp.dict_value()
        turned[c_uamqp.string_value(b"Two")] = c_uamqp.int_value(2)
        turned[c_uamqp.string_value(b"One")] = c_uamqp.int_value(1)
        assert turned != value

    def test_large(self) -> None:
        value = utils.data_factory({f"key{number}": "x" * 10 for number in range(200)})
        assert value.__amqp_encode__()[0] == 0xD1
        assert codec.decode_value(value.__amqp_encode__(), bare=True) == value.value


class TestArray:
    def test_items(self) -> None:
        value = c_uamqp.array_value()
        assert (value.type, value.value, len(value), str(value)) == (AMQPType.ArrayValue, [], 0, "{}")
        value.append(c_uamqp.int_value(1))
        value.append(c_uamqp.int_value(2))
        assert value.value == [1, 2]
        assert value.size == len(value) == 2
        assert value[0].value == 1
        assert bytes(value) == b"{1,2}"
        assert value.__amqp_encode__().hex() == "e00a02710000000100000002"
        assert c_uamqp.value_of(codec.decode_value(value.__amqp_encode__())) == value

    def test_one_type(self) -> None:
        value = c_uamqp.array_value()
        value.append(c_uamqp.int_value(1))
        with pytest.raises(ValueError, match="here IntValue, not StringValue"):
            value.append(c_uamqp.string_value(b"x"))
        with pytest.raises(IndexError):
            value[9]


class TestDescribed:
    def test_parts(self) -> None:
        value = c_uamqp.described_value(c_uamqp.symbol_value(b"d"), c_uamqp.string_value(b"v"))
        assert value.type is AMQPType.DescribedType
        assert value.value == b"v"
        assert value.description == c_uamqp.symbol_value(b"d")
        assert value.data == c_uamqp.string_value(b"v")
        assert str(value) == "* v"
        assert value.__amqp_encode__().hex() == "00a30164a10176"
        assert c_uamqp.value_of(codec.decode_value(value.__amqp_encode__())) == value

    def test_equality_looks_at_both(self) -> None:
        # In 1.6 no described value was equal to another.
        def build(name: bytes, text: bytes) -> c_uamqp.DescribedValue:
            return c_uamqp.described_value(c_uamqp.symbol_value(name), c_uamqp.string_value(text))

        assert build(b"d", b"v") == build(b"d", b"v") == build(b"d", b"v").clone()
        assert build(b"d", b"v") != build(b"e", b"v")
        assert build(b"d", b"v") != build(b"d", b"w")


def test_value_of_nested() -> None:
    decoded = [
        codec.Symbol("s"),
        "t",
        b"b",
        {codec.ULong(1): codec.Char("c")},
        codec.Described(codec.Symbol("d"), [None]),
        codec.Array([codec.UInt(1)], "uint"),
        codec.Array([1], "int", [codec.Symbol("d")]),
        codec.Decimal32.from_decimal("1.5"),
    ]
    value = c_uamqp.value_of(decoded)
    assert codec.decode_value(value.__amqp_encode__()) == decoded
    assert copy.deepcopy(value).clone().__amqp_encode__() == value.__amqp_encode__()


def test_tick_counter() -> None:
    counter = c_uamqp.TickCounter()
    assert counter.get_current_ms() == 0
    seen = counter.get_current_ms()
    while seen == 0:
        seen = counter.get_current_ms()
    assert 0 < seen < 10_000
    counter.destroy()


class TestMessage:
    def test_empty(self) -> None:
        message = c_uamqp.create_message()
        assert message.message_format == 0
        assert message.body_type is MessageBodyType.NoneType
        assert message.delivery_tag is None
        sections = [message.header, message.properties, message.footer, message.application_properties]
        assert sections == [None] * 4
        assert message.count_body_data() == message.count_body_sequence() == 0
        assert message.get_body_value() is None

    def test_data(self) -> None:
        message = c_uamqp.create_message()
        message.add_body_data(b"hi")
        message.add_body_data(b"ho")
        assert message.body_type is MessageBodyType.DataType
        assert [message.get_body_data(index) for index in range(message.count_body_data())] == [b"hi", b"ho"]
        for index in (-1, 2):
            with pytest.raises(IndexError):
                message.get_body_data(index)
        with pytest.raises(ValueError, match="body of another kind"):
            message.set_body_value(c_uamqp.null_value())
        with pytest.raises(TypeError, match="bytes are required"):
            message.add_body_data("x")  # type: ignore[arg-type]
        message.clone().add_body_data(b"!")
        assert message.count_body_data() == 2

    def test_value(self) -> None:
        message = c_uamqp.create_message()
        message.set_body_value(c_uamqp.string_value(b"x"))
        message.set_body_value(c_uamqp.string_value(b"y"))
        body = message.clone().get_body_value()
        assert body is not None
        assert body.value == b"y"
        assert message.body_type is MessageBodyType.ValueType

    def test_sequence(self) -> None:
        message = c_uamqp.create_message()
        message.add_body_sequence(utils.data_factory([1]))
        assert message.count_body_sequence() == 1
        assert message.get_body_sequence(0).value == [1]
        with pytest.raises(TypeError, match="holds a ListValue"):
            message.add_body_sequence(c_uamqp.null_value())

    def test_properties(self) -> None:
        properties = c_uamqp.create_properties()
        assert properties.user_id is properties.message_id is properties.group_sequence is None
        properties.user_id = c_uamqp.binary_value(b"x\0y")
        properties.message_id = c_uamqp.ulong_value(5)
        properties.subject = b"s"
        properties.creation_time = 6
        assert properties.user_id == b"x\0y"
        assert properties.message_id == c_uamqp.ulong_value(5)
        duplicate = properties.clone()
        properties.destroy()
        assert (duplicate.subject, duplicate.creation_time) == (b"s", 6)
        with pytest.raises(TypeError, match="AMQP value is required"):
            properties.to = b"x"
        with pytest.raises(TypeError, match="bytes are required"):
            properties.subject = "x"
        read = MessageProperties(properties=properties)
        assert (read.message_id, read.user_id, read.subject, read.creation_time) == (5, b"x\0y", b"s", 6)

    def test_header(self) -> None:
        header = c_uamqp.create_header()
        # 1.6 read them from memory that nobody had set.
        assert header.durable is header.first_acquirer is header.priority is None
        header.durable = True
        header.time_to_live = 5
        read = MessageHeader(header=header)
        assert (read.durable, read.ttl, read.first_acquirer, read.priority, read.delivery_count) == (
            True, 5, None, None, 0,
        )  # fmt: skip

    def test_round_trip(self) -> None:
        message = Message(
            ["a", b"b"],
            properties=MessageProperties(message_id=1, user_id="u", content_type="c"),
            header=MessageHeader(),
            application_properties={"a": 1},
            annotations={"x": 2},
            delivery_annotations={"d": 3},
            footer={"f": 4},
            msg_format=9,
        )
        native = message.get_message()
        assert native.message_format == message._message.message_format == 9
        assert native.properties.message_id.value == 1
        assert native.properties.user_id == b"u"
        assert native.header.delivery_count == 0
        assert native.application_properties.value == {b"a": 1}
        assert native.footer.value == {b"f": 4}
        assert native.clone()._encode_payload() == native._encode_payload()
        again = Message(message=native)
        assert again.message_format == 9
        assert again.annotations == {b"x": 2}
        assert again.delivery_annotations == {b"d": 3}
        assert list(again.data) == [b"a", b"b"]
        assert again.properties.content_type == b"c"

    @pytest.mark.parametrize("payload", [b"\x00", b"\x00\x53\x75\x40", b"\x40"])
    def test_decode_error(self, payload: bytes) -> None:
        with pytest.raises(ValueError, match="offset"):
            c_uamqp.decode_message(payload)
