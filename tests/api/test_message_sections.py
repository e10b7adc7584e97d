"""Header and properties of messages, and that what was received goes out again as it came."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from uamqp import c_uamqp, codec, types
from uamqp.classic.message.message import received_message
from uamqp.message import BatchMessage, Message, MessageHeader, MessageProperties

UUID = uuid.UUID("37f9db00-fbb1-11e0-9f96-0800200c9a66")


class Delivery:
    """A delivery as the engine hands it over."""

    def __init__(self, payload: bytes, settled: bool = False, message_format: int = 0) -> None:
        self.payload = payload
        self.settled = settled
        self.message_format = message_format
        self.delivery_id = 7
        self.tag = b"tag"


def received(payload: bytes, settler: Any = lambda response, delivery: None) -> Message:
    return received_message(Delivery(payload), settler)


def section(code: int, value: Any) -> bytes:
    return b"\x00\x53" + bytes([code]) + codec.encode_value(value)


def listed(iterable: Any) -> Any:
    return None if iterable is None else list(iterable)


def built(**fields: Any) -> MessageProperties:
    return MessageProperties(**fields)


WRONG = [
    ("priority", 256, OverflowError),
    ("priority", "1", TypeError),
    ("time_to_live", "x", TypeError),
    ("time_to_live", -1, OverflowError),
    ("time_to_live", 2**32, OverflowError),
    ("delivery_count", 2**32, OverflowError),
    ("delivery_count", "2", TypeError),
    ("durable", "no", TypeError),
    ("first_acquirer", b"false", TypeError),
]


class TestHeader:
    @pytest.mark.parametrize(
        ("fields", "encoded"),
        [
            ({}, "c006054040404043"),
            ({"durable": True}, "c006054140404043"),
            ({"durable": 0, "priority": 0, "time_to_live": 0}, "c0070542500043" + "4043"),
            ({"first_acquirer": 1, "delivery_count": 3}, "c00705404040415203"),
            ({"time_to_live": 1000, "priority": 9}, "c00b05" + "40" + "5009" + "70000003e8" + "40" + "43"),
            ({"time_to_live": 1.5, "delivery_count": None}, "c00705404052014043"),
        ],
    )
    def test_encoding(self, fields: dict[str, Any], encoded: str) -> None:
        header = MessageHeader()
        for name, value in fields.items():
            setattr(header, name, value)
        assert Message("", header=header).encode_message().hex() == "005370" + encoded + "005375a000"

    @pytest.mark.parametrize(("name", "value", "error"), WRONG)
    def test_wrong_values_show_when_encoded(self, name: str, value: Any, error: type[Exception]) -> None:
        message = Message("", header=MessageHeader())
        setattr(message.header, name, value)
        with pytest.raises(error, match=name):
            message.encode_message()

    @pytest.mark.parametrize(("name", "value", "error"), WRONG)
    def test_wrong_values_show_when_a_message_is_given_the_header(
        self, name: str, value: Any, error: type[Exception]
    ) -> None:
        header = MessageHeader()
        setattr(header, name, value)
        with pytest.raises(error, match=name):
            Message("", header=header)
        with pytest.raises(error, match=name):
            BatchMessage(["x"], header=header)
        message = Message("")
        with pytest.raises(error, match=name):
            message.header = header
        assert message.header is None

    def test_what_came_is_not_checked(self) -> None:
        """It goes on as it came, in another message too."""
        odd = section(0x70, ["yes", "p", float("nan"), b"no"])
        received = Message.decode_from_bytes(odd + b"\x00\x53\x75\xa0\x00")
        assert Message("", header=received.header).encode_message().startswith(odd)
        received.header.durable = "no"
        with pytest.raises(TypeError, match="durable must be True, False or None, not str"):
            Message("", header=received.header)

    @pytest.mark.parametrize(
        ("sent", "read"),
        [
            # 1.6 read false and zero as None, absent booleans sometimes as True, and an absent priority as 4.
            ([], (None, None, None, None, 0)),
            ([None, None, codec.UInt(5)], (None, None, 5, None, 0)),
            ([False, codec.UByte(0), codec.UInt(0), False, codec.UInt(0)], (False, 0, 0, False, 0)),
            ([True, codec.UByte(4), None, True, codec.UInt(3)], (True, 4, None, True, 3)),
        ],
    )
    def test_decoding(self, sent: list[Any], read: tuple[Any, ...]) -> None:
        message = Message.decode_from_bytes(section(0x70, sent) + b"\x00\x53\x75\xa0\x00")
        header = message.header
        assert (
            header.durable, header.priority, header.time_to_live, header.first_acquirer, header.delivery_count,
        ) == read  # fmt: skip
        assert header.ttl == header.time_to_live

    def test_text(self) -> None:
        assert str(MessageHeader()) == (
            "{'delivery_count': 0, 'time_to_live': None, 'first_acquirer': None, 'durable': None, 'priority': None}"
        )
        with pytest.raises(AttributeError):
            MessageHeader().ttl = 5  # type: ignore[misc]

    def test_too_many_fields(self) -> None:
        with pytest.raises(ValueError, match="Cannot decode bytes: A message header has 5 fields, this one has 6"):
            Message.decode_from_bytes(section(0x70, [None] * 6))

    def test_native(self) -> None:
        header = MessageHeader()
        header.durable = True
        assert header.get_header_obj().durable is True
        assert header.get_header_obj().delivery_count == 0


class TestProperties:
    TEXT = ("to", "subject", "reply_to", "content_type", "content_encoding", "group_id", "reply_to_group_id")

    def encoded(self, properties: MessageProperties) -> list[Any]:
        payload = Message("", properties=properties).encode_message()
        _, start, end = codec.scan_sections(payload)[0]
        fields: list[Any] = codec.Decoder(payload, start, end).value()
        return fields

    @pytest.mark.parametrize("name", [*TEXT, "user_id", "message_id", "correlation_id"])
    @pytest.mark.parametrize(
        ("value", "read"), [("s", b"s"), (b"b", b"b"), ("", b""), ("é", b"\xc3\xa9"), ("a\0b", b"a\0b")]
    )
    def test_text(self, name: str, value: Any, read: bytes) -> None:
        properties = built(**{name: value})
        assert getattr(properties, name) == read
        message = Message.decode_from_bytes(Message("", properties=properties).encode_message())
        assert getattr(message.properties, name) == read
        sent = self.encoded(properties)[-1]
        wire: dict[str, type] = {"user_id": bytes, "content_type": codec.Symbol, "content_encoding": codec.Symbol}
        assert type(sent) is wire.get(name, str)

    @pytest.mark.parametrize("name", ["user_id", "subject", "content_type", "content_encoding", "group_id"])
    @pytest.mark.parametrize("value", [0, 5, 1.5, bytearray(b"x"), UUID, [1], object()])
    def test_no_text(self, name: str, value: Any) -> None:
        with pytest.raises(TypeError, match=f"^{name} must be bytes or str.$"):
            built(**{name: value})
        properties = MessageProperties()
        with pytest.raises(TypeError, match=f"^{name} must be bytes or str.$"):
            setattr(properties, name, value)

    @pytest.mark.parametrize("name", ["message_id", "correlation_id"])
    @pytest.mark.parametrize(
        ("value", "read", "wire"),
        [
            (0, 0, codec.ULong(0)),
            (5, 5, codec.ULong(5)),
            (2**64 - 1, 2**64 - 1, codec.ULong(2**64 - 1)),
            (types.AMQPuLong(7), 7, codec.ULong(7)),
            (types.AMQPInt(7), 7, codec.ULong(7)),
            (UUID, UUID, UUID),
            (bytearray(b"x"), b"x", b"x"),
            (bytearray(), b"", b""),
            (types.AMQPSymbol("y"), b"y", "y"),
            (codec.Symbol("y"), b"y", "y"),
            (c_uamqp.binary_value(b"z"), b"z", b"z"),
        ],
    )
    def test_ids(self, name: str, value: Any, read: Any, wire: Any) -> None:
        properties = built(**{name: value})
        assert getattr(properties, name) == read
        assert type(getattr(properties, name)) is type(read)
        sent = self.encoded(properties)[-1]
        assert sent == wire
        assert type(sent) is type(wire)

    @pytest.mark.parametrize("name", ["message_id", "correlation_id"])
    def test_what_is_no_id(self, name: str) -> None:
        for value in (-1, 2**64, types.AMQPInt(-1)):
            with pytest.raises(ValueError, match=f"{name} is 0 to|beyond AMQP's 64-bit"):
                built(**{name: value})
        for wrong in (1.5, True, [1], datetime.datetime(2020, 1, 1)):  # noqa: DTZ001
            with pytest.raises(TypeError, match=f"{name} must be str, bytes, bytearray, int or uuid.UUID"):
                built(**{name: wrong})
        # 1.6 silently stored None.
        with pytest.raises(TypeError, match="type object has no AMQP type"):
            built(**{name: object()})

    @pytest.mark.parametrize("name", ["to", "reply_to"])
    def test_addresses_of_other_types(self, name: str) -> None:
        properties = built(**{name: types.AMQPSymbol("a")})
        assert getattr(properties, name) == b"a"
        assert type(self.encoded(properties)[-1]) is codec.Symbol
        with pytest.raises(TypeError, match="type object has no AMQP type"):
            built(**{name: object()})

    @pytest.mark.parametrize("name", ["absolute_expiry_time", "creation_time", "group_sequence"])
    def test_integers(self, name: str) -> None:
        for value in (0, 5, True, 2**32 - 1):
            properties = built(**{name: value})
            assert getattr(properties, name) == value
            message = Message.decode_from_bytes(Message("", properties=properties).encode_message())
            # 1.6 read a received zero as None.
            assert getattr(message.properties, name) == value
        unit = "" if name == "group_sequence" else " It is milliseconds since 1970-01-01 UTC."
        for wrong in ("5", b"5", 1.5, UUID):
            with pytest.raises(TypeError, match=f"^{name} must be an integer.{unit}$"):
                built(**{name: wrong})
        beyond = built(**{name: 2**63})
        with pytest.raises(OverflowError, match=name):
            Message("", properties=beyond).encode_message()

    def test_times_are_timestamps(self) -> None:
        fields = self.encoded(MessageProperties(absolute_expiry_time=-1, creation_time=1, group_sequence=2))
        assert fields[8:12] == [-1, 1, None, 2]
        assert [type(field) for field in fields[8:12]] == [codec.Timestamp, codec.Timestamp, type(None), codec.UInt]

    def test_typed_values(self) -> None:
        properties = MessageProperties(message_id=types.AMQPSymbol("msg-12345"), group_sequence=types.AMQPuInt(1))
        assert (properties.message_id, properties.group_sequence) == (b"msg-12345", 1)
        assert MessageProperties(content_type=types.AMQPSymbol("text/plain")).content_type == b"text/plain"

    def test_none_unsets(self) -> None:
        properties = MessageProperties(message_id="a", subject="s", creation_time=1)
        properties.subject = properties.creation_time = None
        assert self.encoded(properties) == ["a"]

    def test_list_ends_with_the_last_field_set(self) -> None:
        assert Message("", properties=MessageProperties()).encode_message().hex() == "00537345005375a000"
        properties = MessageProperties(message_id="s", to="t")
        assert Message("", properties=properties).encode_message().hex() == "005373c00803a1017340a10174005375a000"
        assert len(self.encoded(MessageProperties(reply_to_group_id="g"))) == 13

    def test_long_values(self) -> None:
        properties = MessageProperties(message_id="m" * 300, user_id=b"\0" * 300, content_type="c" * 300)
        fields = self.encoded(properties)
        assert (fields[0], fields[1], fields[6]) == ("m" * 300, b"\0" * 300, "c" * 300)

    def test_as_text_and_native(self) -> None:
        properties = MessageProperties(message_id="a", user_id="u")
        assert str(properties) == str(
            {
                "message_id": b"a", "user_id": b"u", "to": None, "subject": None, "reply_to": None,
                "correlation_id": None, "content_type": None, "content_encoding": None, "absolute_expiry_time": None,
                "creation_time": None, "group_id": None, "group_sequence": None, "reply_to_group_id": None,
            }
        )  # fmt: skip
        native = properties.get_properties_obj()
        assert (native.message_id.value, native.user_id) == (b"a", b"u")

    def test_too_many_fields(self) -> None:
        with pytest.raises(ValueError, match="Message properties have 13 fields, these have 14"):
            Message.decode_from_bytes(section(0x73, [None] * 14))


class TestReencoding:
    """What was received goes out again with the types it had, unless it was changed."""

    PAYLOAD = (
        section(0x70, [True, codec.UByte(4), codec.UInt(5)])
        + section(0x71, {codec.Symbol("d"): codec.Short(1)})
        + section(0x72, {codec.Symbol("x"): codec.UInt(1), codec.ULong(2): codec.Symbol("s")})
        + section(0x73, [b"bin", b"user\0id", "to", None, None, UUID, codec.Symbol("t")])
        + section(
            0x74, {"u": codec.UInt(1), "b": b"raw", "l": codec.Long(5), "c": codec.Char("c"), "f": codec.Float(1)}
        )
        + section(0x77, {"k": [codec.UByte(1), codec.Described(codec.Symbol("d"), "v")]})
        + section(0x78, {codec.Symbol("f"): codec.Array([codec.UInt(1)], "uint")})
    )

    def typed(self, message: Message) -> dict[int, Any]:
        payload = message.encode_message()
        return {code: codec.Decoder(payload, start, end).value() for code, start, end in codec.scan_sections(payload)}

    def test_untouched(self) -> None:
        assert received(self.PAYLOAD).encode_message() == self.PAYLOAD
        assert received(self.PAYLOAD)._encode_payload() is received(self.PAYLOAD)._encode_payload()
        turned = section(0x77, None) + section(0x74, {"a": codec.UInt(1)})
        assert received(turned).encode_message() == turned

    def test_looked_at(self) -> None:
        message = Message.decode_from_bytes(self.PAYLOAD)
        for name in ("header", "properties", "application_properties", "annotations", "footer", "value"):
            assert getattr(message, name)
        assert message.encode_message() == self.PAYLOAD

    def test_changed_maps_keep_the_types_of_the_rest(self) -> None:
        message = received(self.PAYLOAD)
        message.application_properties[b"new"] = "n"
        message.application_properties[b"l"] = 6
        del message.application_properties[b"c"]
        message.annotations["added"] = 1
        typed = self.typed(message)
        properties = typed[0x74]
        assert properties == {"u": 1, "b": b"raw", "l": 6, "f": 1.0, "new": "n"}
        assert [type(value) for value in properties.values()] == [codec.UInt, bytes, int, codec.Float, str]
        assert typed[0x72] == {"x": 1, 2: "s", "added": 1}
        assert [type(key) for key in typed[0x72]] == [codec.Symbol, codec.ULong, codec.Symbol]
        assert type(typed[0x72][2]) is codec.Symbol
        for code in (0x70, 0x71, 0x73, 0x77, 0x78):
            assert typed[code] == self.typed(received(self.PAYLOAD))[code]

    def test_a_change_of_type_alone_is_a_change(self) -> None:
        message = received(section(0x74, {"a": codec.UInt(1), "b": [True]}))
        message.application_properties[b"a"] = True
        message.application_properties[b"b"][0] = 1
        assert self.typed(message)[0x74] == {"a": True, "b": [1]}
        assert type(self.typed(message)[0x74]["b"][0]) is int

    def test_changed_properties_keep_the_types_of_the_rest(self) -> None:
        # 1.6 raised TypeError for a received message with a user-id.
        message = received(self.PAYLOAD)
        message.properties.subject = "new"
        message.properties.to = None
        fields = self.typed(message)[0x73]
        assert fields == [b"bin", b"user\0id", None, "new", None, UUID, "t"]
        assert type(fields[6]) is codec.Symbol

    def test_changed_header(self) -> None:
        message = received(self.PAYLOAD)
        message.header.delivery_count += 1
        assert self.typed(message)[0x70] == [True, 4, 5, None, 1]
        message.header.delivery_count -= 1
        assert self.typed(message)[0x70] == [True, 4, 5]

    def test_replaced_sections(self) -> None:
        message = received(self.PAYLOAD)
        message.application_properties = None
        message.annotations = {"a": 1}
        message.header = MessageHeader()
        message.properties = MessageProperties(subject="s")
        typed = self.typed(message)
        assert 0x74 not in typed
        assert typed[0x72] == {"a": 1}
        assert typed[0x73] == [None, None, None, "s"]
        assert typed[0x70] == [None, None, None, None, 0]

    def test_text_that_is_not_utf_8(self) -> None:
        payload = b"\x00\x53\x74\xc1\x07\x02\xa1\x01a\xa1\x01\xff" + section(0x77, None)
        message = received(payload)
        assert message.application_properties == {b"a": b"\xff"}
        assert message.encode_message() == payload
        message.application_properties[b"b"] = 1
        again = Message.decode_from_bytes(message.encode_message())
        assert again.application_properties == {b"a": b"\xff", b"b": 1}

    def test_symbolic_descriptors(self) -> None:
        # 1.6 didn't know them.
        payload = b"\x00" + codec.encode_value(codec.Symbol("amqp:data:binary")) + b"\xa0\x01x"
        message = Message.decode_from_bytes(payload)
        assert listed(message.data) == [b"x"]
        message.annotations = {"a": 1}
        assert Message.decode_from_bytes(message.encode_message()).annotations == {b"a": 1}

    def test_without_a_body(self) -> None:
        for payload in (b"", section(0x74, {"a": 1})):
            message = received(payload)
            assert message.get_data() is message.data is message.value is message.sequence is None
            assert str(message) == "None"
            assert message.encode_message() == payload
