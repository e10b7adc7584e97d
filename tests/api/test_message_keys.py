"""Keys of annotations and application properties, and how deep values are nested: checked, unless they only go on."""

from __future__ import annotations

import datetime
import decimal
import enum
import struct
import uuid
from typing import Any

import pytest

from uamqp import BatchMessage, Message, c_uamqp, codec, types
from uamqp.classic.message.message import received_message
from uamqp.codec.limits import MAX_DEPTH
from uamqp.constants import MessageBodyType
from uamqp.message import MessageHeader

ANNOTATIONS = {"annotations": 0x72, "delivery_annotations": 0x71, "footer": 0x78}
SECTIONS = {**ANNOTATIONS, "application_properties": 0x74}


class Text(str):
    __slots__ = ()


class Octets(bytes):
    __slots__ = ()


class Name(str, enum.Enum):
    A = "name"


class Number(enum.IntEnum):
    A = 7


class Wrapped:
    """Has a c_data and nothing else, as a subclass of somebody's may."""

    def __init__(self, value: Any) -> None:
        self.c_data = value


def section(code: int, value: Any) -> bytes:
    return b"\x00\x53" + bytes((code,)) + (value if isinstance(value, bytes) else codec.encode_value(value))


def typed(message: Message, code: int) -> Any:
    """The section as it goes on the wire."""
    encoded = message.encode_message()
    (bounds,) = [found for found in codec.scan_sections(encoded) if found[0] == code]
    return codec.Decoder(encoded, bounds[1], bounds[2]).value()


def with_map(name: str, values: dict[Any, Any], **settings: Any) -> Message:
    given: dict[str, Any] = {name: values, **settings}
    return Message("x", **given)


def with_key(name: str, key: Any) -> Message:
    return with_map(name, {key: 1})


def str_of(key: Any) -> str:
    return type(key).__name__ if " at 0x" in str(key) else f"{type(key).__name__} {key}"


TEXTS: list[Any] = [
    "text", b"text", Text("text"), Octets(b"text"), codec.Symbol("text"), types.AMQPSymbol("text"),
    Wrapped(c_uamqp.symbol_value(b"text")), Wrapped(c_uamqp.string_value(b"text")),
]  # fmt: skip
NUMBERS: list[Any] = [
    7, Number.A, codec.ULong(7), codec.UInt(7), types.AMQPuLong(7), types.AMQPuInt(7), types.AMQPLong(7),
    types.AMQPInt(7), types.AMQPByte(7), Wrapped(c_uamqp.int_value(7)),
]  # fmt: skip


@pytest.mark.parametrize("key", TEXTS, ids=str_of)
@pytest.mark.parametrize("name", SECTIONS)
def test_text(name: str, key: Any) -> None:
    found = typed(with_key(name, key), SECTIONS[name])
    assert found == {"text": 1}
    assert [type(key) for key in found] == [codec.Symbol if name in ANNOTATIONS else str]


@pytest.mark.parametrize("name", SECTIONS)
def test_texts_of_all_kinds(name: str) -> None:
    keys = ["", "a\0b", "x" * 300, Name.A, b"y" * 300]
    found = typed(with_map(name, dict.fromkeys(keys, 1)), SECTIONS[name])
    assert list(found) == ["", "a\0b", "x" * 300, "name", "y" * 300]


@pytest.mark.parametrize("key", NUMBERS, ids=str_of)
@pytest.mark.parametrize("name", ANNOTATIONS)
def test_numbers(name: str, key: Any) -> None:
    found = typed(with_key(name, key), SECTIONS[name])
    assert found == {7: 1}
    assert [type(key) for key in found] == [codec.ULong]


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_the_range_of_numbers(name: str) -> None:
    numbers = [0, 255, 256, 2**64 - 1]
    assert list(typed(with_map(name, dict.fromkeys(numbers, 1)), SECTIONS[name])) == numbers


def test_application_properties_of_any_text() -> None:
    keys = ["ünï", "日本", "ü".encode(), types.AMQPSymbol("sü"), Text("ä")]
    found = typed(Message("x", application_properties=dict.fromkeys(keys, 1)), 0x74)
    assert list(found) == ["ünï", "日本", "ü", "sü", "ä"]
    assert {type(key) for key in found} == {str}


NEITHER: list[Any] = [
    True, False, None, 1.5, (1, 2), uuid.UUID(int=1), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    decimal.Decimal(1), types.AMQPChar("c"), types.AMQPArray([1]), types.AMQPDescribed("d", "x"), frozenset((1,)),
    Wrapped(c_uamqp.bool_value(True)), Wrapped(5), object(),
]  # fmt: skip


@pytest.mark.parametrize("key", NEITHER, ids=str_of)
@pytest.mark.parametrize("name", SECTIONS)
def test_keys_of_other_types(name: str, key: Any) -> None:
    with pytest.raises(TypeError) as raised:
        with_key(name, key).encode_message()
    where = "annotations and footers" if name in ANNOTATIONS else "application properties"
    assert str(raised.value).startswith(f"The keys of {where} are text")
    assert repr(key)[:100] in str(raised.value)


OUT_OF_RANGE: list[Any] = [-1, 2**64, -(2**63), codec.Byte(-1), types.AMQPLong(-3)]
NOT_ASCII: list[Any] = [
    "ünï",
    "日本",
    "ü".encode(),
    b"\xff",
    types.AMQPSymbol("ü"),
    types.AMQPSymbol(b"\xff"),
    Text("ü"),
]


@pytest.mark.parametrize("key", [*OUT_OF_RANGE, *NOT_ASCII, "\ud800"], ids=str_of)
@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotations_that_do_not_fit(name: str, key: Any) -> None:
    with pytest.raises(codec.EncodeError) as raised:
        with_key(name, key).encode_message()
    assert repr(key) in str(raised.value)


@pytest.mark.parametrize("key", [b"\xff", b"a\xc3", types.AMQPSymbol(b"\xff"), "\ud800"], ids=str_of)
def test_application_properties_that_are_no_utf_8(key: Any) -> None:
    with pytest.raises(codec.EncodeError) as raised:
        with_key("application_properties", key).encode_message()
    assert repr(key) in str(raised.value)


@pytest.mark.parametrize("key", [5, 0, Number.A, types.AMQPuLong(6)], ids=str_of)
def test_application_properties_with_numbers_as_keys(key: Any) -> None:
    with pytest.raises(TypeError, match="The keys of application properties are text"):
        with_key("application_properties", key).encode_message()


def test_a_wrong_key_among_others() -> None:
    for name in SECTIONS:
        with pytest.raises(TypeError, match=r"not 1\.5\."):
            with_map(name, {"a": 1, types.AMQPSymbol("b"): 2, 1.5: 3}).encode_message()


def test_another_encoding_is_the_callers() -> None:
    """As in 1.6."""
    message = Message("x", annotations={"ü": 1}, application_properties={"ü": 2}, encoding="latin-1")
    again = Message.decode_from_bytes(message.encode_message())
    assert (again.annotations, again.application_properties) == ({b"\xfc": 1}, {b"\xfc": 2})
    with pytest.raises(TypeError, match="The keys of annotations"):
        Message("x", annotations={1.5: 1}, encoding="latin-1").encode_message()
    with pytest.raises(codec.EncodeError, match="latin-1"):
        Message("x", annotations={"日": 1}, encoding="latin-1").encode_message()


def test_keys_within_values_are_free() -> None:
    values: dict[Any, Any] = {1: 2, "ü": {b"b": 1.5, 2.5: None}, (1, 2): []}
    message = Message("x", annotations={"a": values}, application_properties={"p": values})
    again = Message.decode_from_bytes(message.encode_message())
    assert again.annotations[b"a"] == again.application_properties[b"p"]
    assert again.annotations[b"a"][(1, 2)] == []


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", SECTIONS)
def test_nesting(name: str) -> None:
    deepest = with_map(name, {"k": nested(MAX_DEPTH - 1)})
    assert getattr(Message.decode_from_bytes(deepest.encode_message()), name)
    too_deep: list[Any] = [nested(MAX_DEPTH), c_uamqp.ListValue(), {"a": nested(MAX_DEPTH - 1)}]
    for _ in range(MAX_DEPTH):
        outer = c_uamqp.ListValue()
        outer.size = 1
        outer[0] = too_deep[1]
        too_deep[1] = outer
    endless: list[Any] = []
    endless.append(endless)
    for value in (*too_deep, endless):
        for encoding in ("UTF-8", "latin-1"):
            message = with_map(name, {"other": 1, "k": value}, encoding=encoding)
            with pytest.raises(codec.EncodeError, match=rf"'k'.*{MAX_DEPTH}"):
                message.encode_message()


def test_nesting_of_bodies() -> None:
    for encoding in ("UTF-8", "latin-1"):
        assert Message.decode_from_bytes(Message(nested(MAX_DEPTH), encoding=encoding).encode_message()).value
        for body in (nested(MAX_DEPTH + 1), {"n": nested(70)}):
            with pytest.raises(codec.EncodeError, match=str(MAX_DEPTH)):
                Message(body, encoding=encoding)
    with pytest.raises(codec.EncodeError, match=str(MAX_DEPTH)):
        Message([nested(MAX_DEPTH + 1)], body_type=MessageBodyType.Sequence)


# -- what is forwarded


def raw_map(*items: bytes) -> bytes:
    content = b"".join(items)
    return b"\xd1" + struct.pack(">II", len(content) + 4, len(items)) + content


def raw_nested(depth: int, value: bytes = b"\x40") -> bytes:
    for _ in range(depth):
        value = b"\xd0" + struct.pack(">II", len(value) + 4, 1) + value
    return value


NAN = b"\x72\x7f\xc0\x00\x00"
SIGNALING = b"\x84\x7e\x00\x00\x00\x00\x00\x00\x01"
ODD_ITEMS = {
    "no text as a key": b"\x40\x41",
    "a float as a key": b"\x82" + struct.pack(">d", 1.5) + b"\x40",
    "NaN as a key": NAN + b"\x40",
    "a list with NaN as a key": b"\xc0" + bytes((len(NAN) + 1, 1)) + NAN + b"\x40",
    "an array as a key": b"\xe0\x04\x02\x54\x01\x02\x40",
    "a string in wide form": b"\xb1\x00\x00\x00\x01a\x40",
    "bytes that are no text": b"\xa1\x01\xff\xa1\x01\xfe",
    "a number in wide form": b"\x71\x00\x00\x00\x01\x40",
    "NaN": b"\xa1\x01a" + NAN,
    "a signalling NaN": b"\xa1\x01a" + SIGNALING,
    "a negative zero": b"\xa1\x01a\x82" + struct.pack(">d", -0.0),
    "an array without a constructor": b"\xa1\x01a\xe0\x01\x00",
    "an array of empty lists, deep": b"\xa1\x01a" + raw_nested(62, b"\xe0\x02\x01\x45"),
    "binary for text": b"\xa0\x01a\xa0\x01b",
}  # fmt: skip


def raw_message(name: str, *items: bytes) -> bytes:
    """The section, and a body where it has to be."""
    parts = [part for item in items for part in item_parts(item)]
    body = section(0x77, None)
    found = section(SECTIONS[name], raw_map(*parts))
    return body + found if name == "footer" else found + body


@pytest.mark.parametrize("item", ODD_ITEMS.values(), ids=ODD_ITEMS)
@pytest.mark.parametrize("name", SECTIONS)
def test_what_came_goes_on_as_it_came(name: str, item: bytes) -> None:
    payload = raw_message(name, item, b"\xa1\x05other\xa3\x01o")
    untouched = Message.decode_from_bytes(payload)
    assert untouched.encode_message() == payload
    assert len(getattr(untouched, name)) == 2
    assert untouched.encode_message() == payload
    changed = Message.decode_from_bytes(payload)
    getattr(changed, name)[b"other"] = 5
    getattr(changed, name)["new"] = 6
    encoded = changed.encode_message()
    assert item in encoded
    (bounds,) = [found for found in codec.scan_sections(encoded) if found[0] == SECTIONS[name]]
    read = codec.Decoder(encoded, bounds[1], bounds[2], True).value()
    assert (read[b"other"], read[b"new"], len(read)) == (5, 6, 3)


def item_parts(item: bytes) -> tuple[bytes, bytes]:
    decoder = codec.Decoder(item)
    decoder.skip()
    return item[: decoder.pos], item[decoder.pos :]


@pytest.mark.parametrize("name", SECTIONS)
def test_an_empty_section_goes_on_as_it_came(name: str) -> None:
    for empty in (b"\xc1\x01\x00", b"\xd1\x00\x00\x00\x04\x00\x00\x00\x00"):
        body, found = section(0x77, None), section(SECTIONS[name], empty)
        payload = body + found if name == "footer" else found + body
        message = Message.decode_from_bytes(payload)
        assert getattr(message, name) == {}
        assert message.encode_message() == payload
        setattr(message, name, None)
        assert message.encode_message() == body


def test_keys_that_fall_together_when_they_are_read() -> None:
    """Of a string and a symbol, say. As in any dict the first key counts, and the last value."""
    twice = (b"\xa1\x01k\x71\x00\x00\x00\x01", b"\xa3\x01k\x71\x00\x00\x00\x02")
    message = Message.decode_from_bytes(raw_message("annotations", *twice))
    assert message.annotations == {b"k": 2}
    message.annotations["new"] = 3
    encoded = message.encode_message()
    assert b"\xa1\x01k\x71\x00\x00\x00\x02" in encoded
    assert Message.decode_from_bytes(encoded).annotations == {b"k": 2, b"new": 3}


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_too_deep_goes_on_as_it_came(name: str) -> None:
    payload = raw_message(name, b"\xa1\x01a" + raw_nested(100))
    message = received_message(Arrived(payload), None)
    assert message.encode_message() == payload
    with pytest.raises(codec.DecodeError, match="nested deeper"):
        getattr(message, name)
    assert message.encode_message() == payload
    message.header = MessageHeader()
    assert message.encode_message().endswith(payload)


def test_what_came_goes_on_in_a_batch_as_it_came() -> None:
    payload = raw_message("annotations", ODD_ITEMS["a float as a key"])
    batch = BatchMessage([received_message(Arrived(payload), None)])
    (part,) = Message.decode_from_bytes(batch.encode_message()).get_data()
    assert part == payload


class Arrived:
    """A delivery."""

    delivery_id = 1
    tag = b"t"
    message_format = 0
    settled = True

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


def test_properties_that_came_go_on_as_they_came() -> None:
    fields = [b"\xb1\x00\x00\x00\x02\xff\xfe", b"\x40", b"\xa1\x02to", b"\xa1\x01s", NAN, SIGNALING, raw_nested(30)]
    content = b"".join(fields)
    payload = section(0x73, b"\xd0" + struct.pack(">II", len(content) + 4, len(fields)) + content) + section(0x77, None)
    message = Message.decode_from_bytes(payload)
    message.properties.subject = "new"
    message.properties.group_id = "g"
    encoded = message.encode_message()
    for field in (fields[0], fields[2], *fields[4:]):
        assert field in encoded
    assert fields[3] not in encoded
    again = Message.decode_from_bytes(encoded).properties
    assert (again.message_id, again.to, again.subject, again.group_id) == (b"\xff\xfe", b"to", b"new", b"g")


def test_a_header_that_came_goes_on_as_it_came() -> None:
    fields = [b"\x56\x01", b"\xa1\x01p", b"\x72\x7f\xc0\x00\x00", b"\x56\x00"]
    content = b"".join(fields)
    payload = section(0x70, b"\xc0" + bytes((len(content) + 1, len(fields))) + content) + section(0x77, None)
    message = Message.decode_from_bytes(payload)
    message.header.delivery_count = 3
    encoded = message.encode_message()
    assert content in encoded
    assert Message.decode_from_bytes(encoded).header.delivery_count == 3


def test_maps_of_amqp_values_with_lists_as_keys() -> None:
    decoded = c_uamqp.decode_message(section(0x74, raw_map(b"\xc0\x03\x01\x54\x01", b"\x40")) + section(0x77, None))
    properties = decoded.application_properties
    assert properties is not None
    assert properties.value == {(1,): None}
