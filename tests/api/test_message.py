"""Messages: bodies, maps, decoding, settling. Encoded messages in hexadecimal are those of uamqp 1.6.11."""

from __future__ import annotations

import datetime
import decimal
import uuid
import weakref
from typing import Any

import pytest

from uamqp import codec, types
from uamqp.classic.message.message import received_message
from uamqp.constants import ErrorCodes, MessageBodyType, MessageState
from uamqp.errors import (
    MessageAccepted,
    MessageAlreadySettled,
    MessageModified,
    MessageRejected,
    MessageReleased,
)
from uamqp.message import (
    DataBody,
    Message,
    MessageBody,
    MessageHeader,
    MessageProperties,
    SequenceBody,
    ValueBody,
    c_uamqp,
)

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


def test_a_new_message_has_nothing_of_one_that_is_gone() -> None:
    """The compiled build uses the memory of messages again."""
    for _ in range(3):
        old = Message(
            "old", properties=MessageProperties(subject="old"), footer={"old": 1}, delivery_annotations={"o": 1}
        )
        old.note = "old"  # type: ignore[attr-defined]
        old.state, old.idle_time, old.retries = MessageState.SendFailed, 5, 7
        gone = weakref.ref(old)
        del old
        assert gone() is None
        for new in (Message("new"), received(Message("new").encode_message())):
            assert vars(new) == {}
            assert (new.properties, new.footer, new.delivery_annotations) == (None, None, None)
            assert (new.idle_time, new.retries, listed(new.get_data())) == (0, 0, [b"new"])


class TestAutomaticBody:
    @pytest.mark.parametrize(
        ("body", "encoded", "data"),
        [
            ("s", "005375a00173", [b"s"]),
            (b"b", "005375a00162", [b"b"]),
            (["a", b"b"], "005375a00161005375a00162", [b"a", b"b"]),
            ("", "005375a000", [b""]),
            ([b""], "005375a000", [b""]),
            ("é", "005375a002c3a9", [b"\xc3\xa9"]),
            (b"x" * 256, "005375b000000100" + "78" * 256, [b"x" * 256]),
        ],
    )
    def test_data(self, body: Any, encoded: str, data: list[bytes]) -> None:
        message = Message(body)
        assert message.encode_message().hex() == encoded
        assert message.get_message_encoded_size() == len(encoded) // 2
        assert isinstance(message._body, DataBody)
        assert message._body.type is c_uamqp.MessageBodyType.DataType
        assert list(message.get_data()) == list(message.data) == data
        assert message.value is message.sequence is None
        assert str(message) == b"".join(data).decode()
        assert bytes(message._body) == b"".join(data)
        assert len(message._body) == len(data)

    @pytest.mark.parametrize(
        ("body", "encoded", "value", "text"),
        [
            (None, "00537740", None, ""),
            ((1,), "005377c003015401", [1], "[1]"),
            ({"a": 1}, "005377c10602a101615401", {b"a": 1}, "{b'a': 1}"),
            (5, "0053775405", 5, "5"),
            (bytearray(b"x"), "005377a00178", b"x", "x"),
            (["a", 1], "005377c00602a101615401", [b"a", 1], "[b'a', 1]"),
            ([[1], [2]], "005377c00b02c003015401c003015402", [[1], [2]], "[[1], [2]]"),
            (0, "0053775400", 0, ""),
            (False, "00537742", False, ""),
            (types.AMQPSymbol("x"), "005377a30178", b"x", "x"),
            ([[]], "005377c0020145", [[]], "[[]]"),
            # 1.6 read these as None.
            ({}, "005377c10100", {}, ""),
            ((), "00537745", [], ""),
            (bytearray(), "005377a000", b"", ""),
        ],
    )
    def test_value(self, body: Any, encoded: str, value: Any, text: str) -> None:
        message = Message(body)
        assert message.encode_message().hex() == encoded
        assert isinstance(message._body, ValueBody)
        assert message._body.type is c_uamqp.MessageBodyType.ValueType
        for read in (message, Message.decode_from_bytes(message.encode_message())):
            assert read.get_data() == read.value == value
            assert type(read.value) is type(value)
            assert read.data is read.sequence is None
            assert str(read) == text

    def test_empty_list_is_an_empty_data_section(self) -> None:
        # 1.6 made a message that could neither be read nor sent.
        message = Message([])
        assert message.encode_message().hex() == "005375a000"
        assert list(message.data) == []
        assert str(message) == ""

    @pytest.mark.parametrize(
        ("body", "error", "text"),
        [
            (object(), TypeError, "type object has no AMQP type"),
            ({"a": [1j]}, TypeError, "type complex has no AMQP type"),
            (2**63, ValueError, "beyond AMQP's 64-bit long"),
            ("\ud800", UnicodeEncodeError, "surrogates"),
        ],
    )
    def test_what_cannot_be_encoded_is_refused_at_once(self, body: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            Message(body)

    def test_value_is_taken_when_it_is_given(self) -> None:
        body = {"a": 1}
        message = Message(body)
        body["b"] = 2
        assert message.value == {b"a": 1}

    def test_list_that_contains_itself(self) -> None:
        body: list[Any] = [1]
        body.append(body)
        with pytest.raises((ValueError, RecursionError)):
            Message(body)


class TestBodyType:
    @pytest.mark.parametrize(
        ("body", "encoded", "lists"),
        [
            ([[1, 2], ["a"]], "005376c00502540154020053" + "76c00401a10161", [[1, 2], [b"a"]]),
            ([1, "a"], "005376c0060254" + "01a10161", [[1, b"a"]]),
            ([[]], "00537645", [[]]),
            ([(1,)], "005376c00601c003015401", [[[1]]]),
        ],
    )
    def test_sequence(self, body: Any, encoded: str, lists: list[Any]) -> None:
        message = Message(body, body_type=MessageBodyType.Sequence)
        assert message.encode_message().hex() == encoded
        assert isinstance(message._body, SequenceBody)
        assert message._body.type is c_uamqp.MessageBodyType.SequenceType
        # 1.6's decode_from_bytes dropped sequences.
        for read in (message, Message.decode_from_bytes(message.encode_message())):
            assert list(read.get_data()) == list(read.sequence) == lists
            assert read.data is read.value is None
            assert len(read._body) == len(lists)
            assert read._body[0] == lists[0]

    def test_sequence_text(self) -> None:
        assert str(Message([[1, 2], ["a"]], body_type=MessageBodyType.Sequence)) == "12a"

    def test_empty_sequence(self) -> None:
        message = Message([], body_type=MessageBodyType.Sequence)
        assert message.encode_message().hex() == "00537645"
        assert listed(message.sequence) == []

    @pytest.mark.parametrize("body", ["x", (1,), {}, None])
    def test_no_sequence(self, body: Any) -> None:
        with pytest.raises(TypeError, match=r"^For MessageBodyType.Sequence, the body must be list or list of lists.$"):
            Message(body, body_type=MessageBodyType.Sequence)

    @pytest.mark.parametrize("body", ["a", b"a", ["a", b"b"], []])
    def test_data(self, body: Any) -> None:
        message = Message(body, body_type=MessageBodyType.Data)
        assert message.encode_message() == Message(body).encode_message()

    @pytest.mark.parametrize("body", [("a",), 5, [1], bytearray(b"x"), None])
    def test_no_data(self, body: Any) -> None:
        with pytest.raises(
            TypeError,
            match=r"^For MessageBodyType.Data, the body must be str or bytes or list of str or bytes.$",
        ):
            Message(body, body_type=MessageBodyType.Data)

    @pytest.mark.parametrize(
        ("body", "encoded", "value"),
        [
            ("a", "005377a10161", b"a"),
            (b"a", "005377a10161", b"a"),
            (["a", b"b"], "005377c00702a10161a10162", [b"a", b"b"]),
            ("", "005377a100", b""),
            (None, "00537740", None),
            ({"key": "value"}, "005377c10d02a1036b6579a10576616c7565", {b"key": b"value"}),
        ],
    )
    def test_value(self, body: Any, encoded: str, value: Any) -> None:
        message = Message(body, body_type=MessageBodyType.Value)
        assert message.encode_message().hex() == encoded
        assert message.value == value

    @pytest.mark.parametrize("kind", [c_uamqp.MessageBodyType.DataType, 5, object()])
    def test_unsupported(self, kind: Any) -> None:
        with pytest.raises(ValueError, match="^Unsupported MessageBodyType: "):  # noqa: RUF043
            Message("a", body_type=kind)

    def test_falsy_is_automatic(self) -> None:
        for kind in (0, None, ""):
            assert isinstance(Message("a", body_type=kind)._body, DataBody)


class TestBodyClasses:
    def test_data(self) -> None:
        body = DataBody(c_uamqp.create_message())
        body.append("a")
        body.append(b"b")
        # In 1.6 a valid index raised AttributeError.
        assert (body[0], body[1], len(body), bytes(body), str(body)) == (b"a", b"b", 2, b"ab", "ab")
        with pytest.raises(IndexError):
            body[2]
        with pytest.raises(TypeError, match="A data section holds str or bytes, not int"):
            body.append(5)  # type: ignore[arg-type]

    def test_from_a_native_message(self) -> None:
        native = c_uamqp.create_message()
        native.add_body_data(b"hi")
        assert list(DataBody(native).data) == [b"hi"]
        assert ValueBody(native).data is None

    def test_value(self) -> None:
        body = ValueBody()
        body.set({"a": 1})
        assert body.data == {b"a": 1}
        assert (str(body), bytes(body)) == ("{b'a': 1}", b"{b'a': 1}")
        body.set("x")
        assert (body.data, str(body), bytes(body)) == (b"x", "x", b"x")

    def test_sequence(self) -> None:
        body = SequenceBody()
        body.append([1, "a"])
        assert (len(body), body[0], list(body.data), str(body), bytes(body)) == (
            1, [1, b"a"], [[1, b"a"]], "1a", b"1a",
        )  # fmt: skip
        with pytest.raises(TypeError, match="A sequence section holds a list, not str"):
            body.append("x")

    def test_base(self) -> None:
        body = MessageBody()
        assert body.type is c_uamqp.MessageBodyType.NoneType
        with pytest.raises(NotImplementedError, match="Only MessageBody subclasses have data"):
            body.data  # noqa: B018

    def test_every_reading_starts_anew(self) -> None:
        message = Message(["a", "b"])
        first, second = message.data, message.data
        assert next(first) == next(second) == b"a"
        assert message.data
        assert message.data is not message.data


class TestSections:
    def full(self) -> Message:
        return Message(
            "x",
            properties=MessageProperties(message_id="m"),
            header=MessageHeader(),
            application_properties={"a": 1},
            annotations={b"x": 2},
            footer={"f": 3},
            delivery_annotations={"d": 4},
        )

    def test_order_is_that_of_the_specification(self) -> None:
        # 1.6 put the footer and the delivery annotations before the body.
        codes = [code for code, _, _ in codec.scan_sections(self.full().encode_message())]
        assert codes == [0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x78]

    def test_bytes(self) -> None:
        assert self.full().encode_message().hex() == (
            "005370c006054040404043" "005371c10602a301645404" "005372c10602a301785402" "005373c00401a1016d"
            "005374c10602a101615401" "005375a00178" "005378c10602a301665403"
        )  # fmt: skip

    def test_what_is_read_back_is_in_bytes(self) -> None:
        message = Message.decode_from_bytes(self.full().encode_message())
        assert message.properties.message_id == b"m"
        assert message.header.delivery_count == 0
        assert message.application_properties == {b"a": 1}
        assert message.annotations == message.message_annotations == {b"x": 2}
        assert message.footer == {b"f": 3}
        assert message.delivery_annotations == {b"d": 4}

    def test_what_is_given_stays_what_it_was(self) -> None:
        message = self.full()
        assert message.application_properties == {"a": 1}
        message.application_properties.setdefault("b", 2)
        assert Message.decode_from_bytes(message.encode_message()).application_properties == {b"a": 1, b"b": 2}

    def test_absent(self) -> None:
        message = Message.decode_from_bytes(Message("x").encode_message())
        for name in ("properties", "header", "footer", "application_properties", "annotations"):
            assert getattr(message, name) is None
        assert message.delivery_annotations is message.message_annotations is None

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("properties", "Properties must be a MessageProperties."),
            ("header", "Header must be a MessageHeader."),
            ("footer", "Footer must be a dictionary"),
            ("application_properties", "Application properties must be a dictionary."),
            ("annotations", "Message annotations must be a dictionary."),
        ],
    )
    def test_setting(self, name: str, text: str) -> None:
        message = Message("x")
        wrong: Any
        for wrong in (5, "x", [1]):
            with pytest.raises(TypeError, match=f"^{text}$"):
                setattr(message, name, wrong)
            assert getattr(message, name) is None
            # Given to the constructor it shows when the message is encoded.
            with pytest.raises(TypeError, match=f"^{text}$"):
                Message("x", **{name: wrong}).encode_message()
        empty: Any
        for empty in ({}, None, 0, ""):
            setattr(message, name, empty)
            assert getattr(message, name) == empty
            assert message.encode_message() == Message("x").encode_message()

    def test_what_is_changed_behind_its_back_is_checked_when_encoded(self) -> None:
        message = Message("x")
        message._delivery_annotations = 5
        with pytest.raises(TypeError, match=r"^Delivery annotations must be a dictionary.$"):
            message.encode_message()

    def test_message_annotations_are_read_only(self) -> None:
        with pytest.raises(AttributeError):
            Message("x").message_annotations = {}  # type: ignore[misc]

    def test_keys_of_annotations_are_symbols(self) -> None:
        # Section 3.2.10; 1.6 sent strings. A key out of `types` stays what it is.
        keys = {"a": 1, b"b": 2, types.AMQPSymbol("c"): 3, 5: 4, types.AMQPuLong(6): 5}
        for name, code in (("annotations", 0x72), ("delivery_annotations", 0x71), ("footer", 0x78)):
            encoded = Message("x", **{name: keys}).encode_message()  # type: ignore[arg-type]
            (bounds,) = [found for found in codec.scan_sections(encoded) if found[0] == code]
            decoded = codec.Decoder(encoded, bounds[1], bounds[2]).value()
            assert list(decoded) == ["a", "b", "c", 5, 6]
            assert [type(key) for key in decoded] == [codec.Symbol] * 3 + [codec.ULong] * 2

    def test_keys_of_application_properties_are_strings(self) -> None:
        encoded = Message("x", application_properties={"a": "b", b"c": bytearray(b"d")}).encode_message()
        _, start, end = codec.scan_sections(encoded)[0]
        decoded = codec.Decoder(encoded, start, end).value()
        assert decoded == {"a": "b", "c": b"d"}
        assert {type(key) for key in decoded} == {str}

    @pytest.mark.parametrize(
        ("value", "read"),
        [
            ("é", b"\xc3\xa9"), (b"\xff", b"\xff"), (bytearray(b"b"), b"b"), (5, 5), (2**40, 2**40), (1.5, 1.5),
            (True, True), (None, None), (UUID, UUID), ([1, ["a"]], [1, [b"a"]]), ({1: {}}, {1: {}}),
            (types.AMQPuLong(2**64 - 1), 2**64 - 1), (types.AMQPChar("é"), "é"), (types.AMQPArray([1, 2]), [1, 2]),
            (types.AMQPDescribed("d", 5), 5), (decimal.Decimal("1.10"), decimal.Decimal("1.10")),
            (datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.timezone.utc), 1000), ("a\0b", b"a\0b"),
            (codec.Decimal32.from_decimal("2.5"), decimal.Decimal("2.5")),
        ],
    )  # fmt: skip
    def test_values_of_every_type(self, value: Any, read: Any) -> None:
        message = Message(
            value, application_properties={"v": value}, annotations={"v": value}, body_type=MessageBodyType.Value
        )
        again = Message.decode_from_bytes(message.encode_message())
        assert again.application_properties == again.annotations == {b"v": read}
        assert again.value == message.value == read
        assert type(again.value) is type(read)

    def test_object_with_c_data(self) -> None:
        class Foreign:
            c_data = c_uamqp.timestamp_value(5)

        message = Message("x", application_properties={"t": Foreign()})
        assert message.encode_message().hex() == "005374c10d02a10174830000000000000005005375a00178"

    def test_encoding(self) -> None:
        message = Message(
            ["é", b"\xff"],
            application_properties={"ü": "é"},
            annotations={"ü": "é"},
            properties=MessageProperties(subject="é", encoding="latin-1"),
            encoding="latin-1",
        )
        again = Message.decode_from_bytes(message.encode_message())
        assert again.application_properties == again.annotations == {b"\xfc": b"\xe9"}
        assert again.properties.subject == b"\xe9"
        # 1.6 encoded bodies as UTF-8 whatever the encoding was.
        assert list(again.data) == [b"\xe9", b"\xff"]
        assert str(message) == "éÿ"
        assert Message({"é": 1}, encoding="latin-1").value == {b"\xe9": 1}

    def test_message_format(self) -> None:
        message = Message("x", msg_format=0x80013700)
        assert message.message_format == message._message.message_format == 0x80013700
        assert Message("x").message_format == 0
        for wrong in (2**32, -5):
            with pytest.raises(OverflowError, match="message-format has 32 bits"):
                Message("x", msg_format=wrong)


class TestDecoding:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_kinds_of_bytes(self, kind: Any) -> None:
        message = Message.decode_from_bytes(kind(b"\x00\x53\x75\xa0\x01x"))
        assert listed(message.data) == [b"x"]
        assert message.state is MessageState.ReceivedSettled
        assert message.settled
        assert message.accept() is False
        assert (message.delivery_no, message.delivery_tag) == (None, None)
        text = r"^Only new messages can be gathered. To send on what was received make a new Message of its parts"
        with pytest.raises(TypeError, match=text):
            message.gather()

    @pytest.mark.parametrize("data", ["x", None, 5, [1]])
    def test_no_bytes(self, data: Any) -> None:
        with pytest.raises(TypeError, match="A message is decoded from bytes"):
            Message.decode_from_bytes(data)

    GOOD = (
        section(0x70, [True, codec.UByte(4), codec.UInt(5)])
        + section(0x72, {codec.Symbol("x"): codec.UInt(1), codec.ULong(2): codec.Symbol("s")})
        + section(0x73, [b"bin", b"user\0id", "to", None, None, UUID, codec.Symbol("t")])
        + section(0x74, {"u": codec.UInt(1), "b": b"raw", "l": codec.Long(5), "c": codec.Char("c")})
        + section(0x77, {"k": [codec.UByte(1), codec.Described(codec.Symbol("d"), "v")]})
        + section(0x78, {codec.Symbol("f"): codec.Array([codec.UInt(1)], "uint")})
    )

    def test_truncated_anywhere(self) -> None:
        # 1.6 took most of these for messages without a body.
        ends = {0, *(end for _, _, end in codec.scan_sections(self.GOOD))}
        for length in range(len(self.GOOD)):
            if length and length in ends:
                Message.decode_from_bytes(self.GOOD[:length])
                continue
            with pytest.raises(ValueError, match="^Cannot decode bytes: "):  # noqa: RUF043
                Message.decode_from_bytes(self.GOOD[:length])

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"\x00",
            b"abc",
            b"\x40",
            section(0x79, None),
            section(0x77, None) * 2,
            section(0x77, None) + section(0x75, b""),
            section(0x75, b"") + section(0x76, []),
            section(0x74, {}) * 2,
            section(0x75, "text"),
            section(0x74, []),
            b"\x00\x53\x74\xc1\x02\x01\x40",
            b"\x00\x53\x74\xc1\x05\x02\xa1\x09ab",
            b"\x00\x53\x77\xc0\x03\x01\xc0\x09\x01",
            b"\x00\x53\x76\xc0\x02\x05\x40",
            b"\x00\x53\x77\xff",
        ],
    )
    def test_what_is_no_message(self, payload: bytes) -> None:
        with pytest.raises(ValueError, match="^Cannot decode bytes: "):  # noqa: RUF043
            Message.decode_from_bytes(payload)

    def test_message_of_a_link_is_decoded_when_it_is_looked_at(self) -> None:
        message = received(section(0x74, {"a": 1}) + b"\x00\x53\x73\xc0\x02\x05\x40" + section(0x75, b"x"))
        assert message.application_properties == {b"a": 1}
        assert listed(message.data) == [b"x"]
        for _ in range(2):
            with pytest.raises(ValueError, match="list"):
                message.properties  # noqa: B018
        assert message.accept() is True

    def test_every_flipped_byte_decodes_or_raises(self) -> None:
        texts = set()
        for index in range(len(self.GOOD)):
            for flip in (0x01, 0x80, 0xFF):
                data = bytearray(self.GOOD)
                data[index] ^= flip
                try:
                    assert Message.decode_from_bytes(data).encode_message() == data
                except ValueError as error:
                    texts.add(str(error)[:21])
        assert texts == {"Cannot decode bytes: "}


class TestSettling:
    def make(self, settler: Any = None) -> tuple[Message, list[Any]]:
        seen: list[Any] = []
        native = c_uamqp.create_message()
        native.add_body_data(b"hi")
        return Message(message=native, settler=settler or seen.append, delivery_no=7), seen

    @pytest.mark.parametrize(
        ("method", "arguments", "kind"),
        [
            ("accept", (), MessageAccepted),
            ("reject", (), MessageRejected),
            ("release", (), MessageReleased),
            ("modify", (True, False), MessageModified),
        ],
    )
    def test_settles_once(self, method: str, arguments: tuple[Any, ...], kind: type) -> None:
        message, seen = self.make()
        assert (message.state, message.settled, message.delivery_no) == (MessageState.ReceivedUnsettled, False, 7)
        assert getattr(message, method)(*arguments) is True
        assert (message.state, message.settled) == (MessageState.ReceivedSettled, True)
        assert [type(response) for response in seen] == [kind]
        assert type(message._response) is kind
        for again in (message.accept, message.reject, message.release):
            assert again() is False
        assert message.modify(True, True) is False
        assert len(seen) == 1

    def test_a_link_gets_the_delivery_as_well(self) -> None:
        seen: list[Any] = []
        delivery = Delivery(Message("x").encode_message(), message_format=5)
        message = received_message(delivery, lambda response, of: seen.append((response, of)))
        assert (message.delivery_no, message.delivery_tag, message.message_format) == (7, b"tag", 5)
        assert message.state is MessageState.ReceivedUnsettled
        assert message.accept() is True
        assert isinstance(seen[0][0], MessageAccepted)
        assert seen[0][1] is delivery

    @pytest.mark.parametrize(("settled", "settler"), [(True, print), (False, None), (True, None)])
    def test_settled_by_the_sender(self, settled: bool, settler: Any) -> None:
        # 1.6 took no notice of the transfer's settled flag.
        message = received_message(Delivery(b"", settled=settled), settler)
        assert (message.state, message.settled) == (MessageState.ReceivedSettled, True)
        assert message.accept() is False
        assert isinstance(message._response, MessageAlreadySettled)

    def test_reject(self) -> None:
        message, seen = self.make()
        message.reject("c", "d", {"a": 1})
        assert (seen[0].error_condition, seen[0].error_description) == (b"c", b"d")
        assert seen[0].error_info.value == {b"a": 1}
        message, seen = self.make()
        message.reject(ErrorCodes.NotFound)
        assert seen[0].error_condition is ErrorCodes.NotFound

    def test_modify_takes_undeliverable_here(self) -> None:
        message, seen = self.make()
        message.modify(True, False, {"a": 1})
        assert (seen[0].failed, seen[0].undeliverable, seen[0].annotations.value) == (True, False, {b"a": 1})
        message, seen = self.make()
        message.modify(failed=False, deliverable=True)
        assert (seen[0].failed, seen[0].undeliverable, seen[0].annotations) == (False, True, None)

    def test_wrong_arguments_leave_it_unsettled(self) -> None:
        message, seen = self.make()
        with pytest.raises(TypeError, match=r"^Disposition error info must be a dictionary.$"):
            message.reject(info=5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^Disposition annotations must be a dictionary.$"):
            message.modify(True, False, 5)  # type: ignore[arg-type]
        assert (message.settled, message.state, seen) == (False, MessageState.ReceivedUnsettled, [])

    @pytest.mark.parametrize(
        ("method", "arguments"), [("accept", ()), ("reject", ()), ("release", ()), ("modify", (True, False))]
    )
    def test_what_fails_to_settle_stays_unsettled(self, method: str, arguments: tuple[Any, ...]) -> None:
        # In 1.6 it counted as settled, and a second attempt did nothing.
        attempts = []

        def settler(response: Any) -> None:
            attempts.append(response)
            if len(attempts) == 1:
                raise RuntimeError("Unable to send message dispostition 'accepted' for message number 7")

        message, _ = self.make(settler)
        with pytest.raises(RuntimeError, match="Unable to send"):
            getattr(message, method)(*arguments)
        assert (message.settled, message.state) == (False, MessageState.ReceivedUnsettled)
        assert getattr(message, method)(*arguments) is True
        assert (message.settled, message.state, len(attempts)) == (True, MessageState.ReceivedSettled, 2)

    def test_only_received_messages(self) -> None:
        message = Message("x")
        for settle in (message.accept, message.reject, message.release, lambda: message.modify(True, False)):
            with pytest.raises(TypeError, match=r"^Only received messages can be settled.$"):
                settle()
        assert not message.settled


@pytest.mark.parametrize("size", [65535, 65536, 65537, 1_000_000])
def test_large_bodies_are_encoded_as_small_ones_are(size: int) -> None:
    """They go another way, which spares a copy."""
    body = b"x" * size
    more: dict[str, Any] = {"footer": {"f": 1}, "application_properties": {"a": 1}}
    encoded = Message(body, **more).encode_message()
    assert encoded == Message([body], **more).encode_message()
    assert b"".join(Message.decode_from_bytes(encoded).get_data()) == body


class TestSending:
    def test_new(self) -> None:
        message = Message("x")
        assert message.state is MessageState.WaitingToBeSent
        assert (message.settled, message.retries, message.idle_time) == (False, 0, 0)
        assert [message.on_send_complete, message.delivery_no, message.delivery_tag] == [None] * 3
        assert message.gather() == [message]

    def test_sent_once(self) -> None:
        message = Message("x")
        message.state = MessageState.SendComplete
        message._response = MessageAlreadySettled()
        with pytest.raises(MessageAlreadySettled):
            message.gather()
        assert message.settled

    def test_attributes_of_ones_own(self) -> None:
        class Own(Message):
            kind = "own"

            def __init__(self, body: Any, tag: str) -> None:
                super().__init__(body)
                self.tag = tag

        message = Own("x", "t")
        message.anything = 5  # type: ignore[attr-defined]
        message.retries += 1
        assert (message.tag, message.retries, Message("y").retries) == ("t", 1, 0)
        assert isinstance(Own.decode_from_bytes(message.encode_message()), Own)

    def test_incoming_ignores_sections(self) -> None:
        native = c_uamqp.create_message()
        native.set_body_value(c_uamqp.string_value(b"v"))
        message = Message("ignored", application_properties={"a": 1}, message=native)
        assert message.value == b"v"
        assert message.application_properties is None
        assert (message.state, message.settled) == (MessageState.ReceivedSettled, True)
