"""Batches: one message that holds several."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from uamqp import codec, errors
from uamqp.classic.message.message import received_message
from uamqp.constants import MessageState
from uamqp.message import BatchMessage, Message, MessageHeader, MessageProperties

FORMAT = 0x80013700


class Small(BatchMessage):
    """Each of ten bytes takes 20: 5 for the outer section, 5 for the inner one."""

    max_message_length = 60


def inner(message: Message) -> list[Message]:
    """The messages in a gathered one."""
    read = Message.decode_from_bytes(message.encode_message())
    return [Message.decode_from_bytes(part) for part in read.data]


def bodies(message: Message) -> list[bytes]:
    return [b"".join(part.data) for part in inner(message)]


class TestOne:
    def test_bytes_are_those_of_1_6(self) -> None:
        (message,) = BatchMessage([b"a", "b", Message("c"), 5]).gather()
        assert message.encode_message().hex() == (
            "005375a006005375a00161" "005375a006005375a00162" "005375a006005375a00163" "005375a0050053775405"
        )  # fmt: skip
        assert message.message_format == message._message.message_format == FORMAT
        assert message.state is MessageState.WaitingToBeSent

    def test_sections(self) -> None:
        batch = BatchMessage(
            [b"a", Message("c"), Message("d", application_properties={"own": 1})],
            properties=MessageProperties(subject="s"),
            application_properties={"k": 1},
            annotations={"x": 1},
            header=MessageHeader(),
        )
        (message,) = batch.gather()
        read = Message.decode_from_bytes(message.encode_message())
        assert (read.properties.subject, read.annotations, read.header.delivery_count) == (b"s", {b"x": 1}, 0)
        assert read.application_properties is None
        assert [part.application_properties for part in inner(message)] == [{b"k": 1}, {b"k": 1}, {b"own": 1}]
        # As in 1.6 the batch's application properties are set on the messages given.
        assert batch.data[1].application_properties == {"k": 1}

    def test_kinds_of_items(self) -> None:
        class Wrapper:
            message = Message("w")

        (message,) = BatchMessage([Wrapper(), [b"x", b"y"], {"a": 1}, None, Message("m")]).gather()
        read = inner(message)
        assert [list(part.data) if part.data else part.value for part in read] == [
            [b"w"], [b"x", b"y"], {b"a": 1}, None, [b"m"],
        ]  # fmt: skip

    def test_message_in_a_batch_is_whole(self) -> None:
        part = Message([[1]], header=MessageHeader(), footer={"f": 1}, properties=MessageProperties(message_id=1))
        (message,) = BatchMessage([part]).gather()
        assert inner(message)[0].encode_message() == part.encode_message()

    def test_gathering_again(self) -> None:
        batch = BatchMessage([b"a"])
        first = batch.gather()[0].encode_message()
        batch._body_gen.append(Message("b"))
        assert bodies(batch.gather()[0]) == [b"a", b"b"]
        assert len(first) < len(batch.gather()[0].encode_message())

    def test_empty(self) -> None:
        # Applications measure a batch right after they made it.
        assert BatchMessage([]).gather()[0].get_message_encoded_size() == 5
        batch = BatchMessage([], properties=MessageProperties(subject="s"))
        assert batch.gather()[0].get_message_encoded_size() == 17

    def test_generator(self) -> None:
        (message,) = BatchMessage(body for body in ("a", "b")).gather()
        assert bodies(message) == [b"a", b"b"]

    def test_encoding(self) -> None:
        (message,) = BatchMessage(["é"], annotations={"a": "é"}, encoding="latin-1").gather()
        assert bodies(message) == [b"\xe9"]
        assert Message.decode_from_bytes(message.encode_message()).annotations == {b"a": b"\xe9"}

    @pytest.mark.parametrize("data", [None, 5])
    def test_no_iterable(self, data: Any) -> None:
        with pytest.raises(TypeError):
            BatchMessage(data).gather()

    def test_largest(self) -> None:
        assert len(Small([b"a" * 10] * 3).gather()[0].encode_message()) == 60

    @pytest.mark.parametrize(
        ("items", "fits"),
        [
            ([b"a" * 10] * 3, True),
            # 1.6 didn't count what each section takes besides its content.
            ([b"a" * 10, b"a" * 10, b"a" * 11], False),
            ([b"a" * 50], True),
            ([b"a" * 51], False),
        ],
    )
    def test_limit_is_that_of_the_encoded_message(self, items: list[bytes], fits: bool) -> None:
        if fits:
            assert Small(items).gather()[0].get_message_encoded_size() <= 60
        else:
            with pytest.raises(errors.MessageContentTooLarge, match="Data set too large for a single message"):
                Small(items).gather()

    def test_large_sections_are_counted_as_such(self) -> None:
        class Batch(BatchMessage):
            max_message_length = 300 + 8 + 8

        assert Batch([b"a" * 300]).gather()[0].get_message_encoded_size() == 316
        with pytest.raises(errors.MessageContentTooLarge):
            Batch([b"a" * 301]).gather()

    def test_sections_and_offset_count(self) -> None:
        properties = MessageProperties(subject="s")
        assert len(Small([b"a" * 38], properties=properties).gather()[0].encode_message()) == 60
        with pytest.raises(errors.MessageContentTooLarge):
            Small([b"a" * 39], properties=properties).gather()

        class Reserved(Small):
            size_offset = 1

        with pytest.raises(errors.MessageContentTooLarge):
            Reserved([b"a" * 50]).gather()
        assert Reserved([b"a" * 49]).gather()

    def test_defaults(self) -> None:
        assert (BatchMessage.batch_format, BatchMessage.max_message_length, BatchMessage.size_offset) == (
            FORMAT, 1048576, 0,
        )  # fmt: skip


class TestSeveral:
    @pytest.mark.parametrize("once", [False, True], ids=["list", "generator"])
    def test_splits(self, once: bool) -> None:
        items = [bytes([65 + index]) * 10 for index in range(8)]
        batch = Small(iter(items) if once else items, multi_messages=True)
        # With a list 1.6 began again from the first item, forever.
        messages = list(batch.gather())
        assert [bodies(message) for message in messages] == [items[0:3], items[3:6], items[6:8]]
        assert all(message.get_message_encoded_size() <= 60 for message in messages)
        assert {message.message_format for message in messages} == {FORMAT}

    def test_is_an_iterator(self) -> None:
        gathered = BatchMessage([b"a"], multi_messages=True).gather()
        assert isinstance(gathered, Iterator)
        assert len(list(gathered)) == 1

    def test_takes_no_more_than_is_asked_for(self) -> None:
        taken = []

        def items() -> Iterator[bytes]:
            for index in range(100):
                taken.append(index)
                yield b"x" * 10

        gathered = Small(items(), multi_messages=True).gather()
        assert taken == []
        next(gathered)
        assert len(taken) == 4

    def test_item_that_is_too_large(self) -> None:
        # 1.6 sent it anyhow, after an empty message.
        with pytest.raises(errors.MessageContentTooLarge):
            list(Small([b"a" * 51], multi_messages=True).gather())
        gathered = Small([b"a", b"b" * 51], multi_messages=True).gather()
        assert bodies(next(gathered)) == [b"a"]
        with pytest.raises(errors.MessageContentTooLarge):
            next(gathered)

    def test_nothing(self) -> None:
        assert list(BatchMessage([], multi_messages=True).gather()) == []

    def test_sections_are_in_every_message(self) -> None:
        batch = Small([b"a" * 20] * 2, multi_messages=True, properties=MessageProperties(subject="s"))
        messages = list(batch.gather())
        assert len(messages) == 2
        for message in messages:
            assert Message.decode_from_bytes(message.encode_message()).properties.subject == b"s"

    def test_has_no_one_encoding(self) -> None:
        with pytest.raises(TypeError, match="encode what gather"):
            BatchMessage([b"a"], multi_messages=True).encode_message()


class TestAsAMessage:
    """In 1.6 most attributes raised AttributeError."""

    def test_attributes(self) -> None:
        data = [b"a"]
        batch = BatchMessage(data)
        assert batch.data is batch.get_data() is data
        assert batch.state is MessageState.WaitingToBeSent
        assert batch.settled is False
        names = ("value", "sequence", "footer", "delivery_annotations", "properties", "on_send_complete")
        assert [getattr(batch, name) for name in names] == [None] * len(names)
        assert str(batch) == "[b'a']"

    def test_encoding(self) -> None:
        batch = BatchMessage([b"a"])
        assert batch.encode_message() == batch.gather()[0].encode_message()
        assert batch.get_message_encoded_size() == 11

    def test_sections_are_checked(self) -> None:
        batch = BatchMessage([b"a"])
        with pytest.raises(TypeError, match="Properties must be a MessageProperties"):
            batch.properties = 5
        batch.annotations = {"a": 1}
        assert Message.decode_from_bytes(batch.encode_message()).annotations == {b"a": 1}

    def test_callback_goes_to_every_message(self) -> None:
        batch = Small([b"a" * 30] * 2, multi_messages=True)
        batch.on_send_complete = lambda result, error: None
        assert [message.on_send_complete for message in batch.gather()] == [batch.on_send_complete] * 2

    def test_cannot_be_settled(self) -> None:
        with pytest.raises(TypeError, match="Only received messages can be settled"):
            BatchMessage([b"a"]).accept()

    def test_copies(self) -> None:
        batch = BatchMessage(
            [b"a", Message("c")],
            properties=MessageProperties(subject="s"),
            application_properties={"k": 1},
            annotations={"x": 1},
            header=MessageHeader(),
        )
        encoded = batch.encode_message()
        for duplicate in (copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
            assert type(duplicate) is BatchMessage
            assert duplicate.data is not batch.data
            assert duplicate.data[1] is not batch.data[1]
            assert duplicate.encode_message() == encoded
            duplicate.data.append(b"more")
            duplicate.application_properties["k"] = 2
        assert batch.encode_message() == encoded
        assert copy.copy(batch).data is batch.data

    def test_received_batch(self) -> None:
        class Delivery:
            delivery_id, tag, message_format, settled = 1, b"t", FORMAT, False
            payload = BatchMessage([b"a", b"b"]).encode_message()

        message = received_message(Delivery(), lambda response, delivery: None)
        assert message.message_format == FORMAT
        assert [list(Message.decode_from_bytes(part).data) for part in message.data] == [[b"a"], [b"b"]]
        assert [code for code, _, _ in codec.scan_sections(Delivery.payload)] == [codec.DATA] * 2
