"""Pickling and copying of messages and what is in them."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from uamqp import Connection, ReceiveClient, SendClient, c_uamqp, errors, types
from uamqp.classic.message.message import received_message
from uamqp.constants import MessageBodyType, MessageState
from uamqp.message import DataBody, Message, MessageHeader, MessageProperties, SequenceBody, ValueBody

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def again(value: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(value, protocol))


def full(body: Any = "x", **more: Any) -> Message:
    header = MessageHeader()
    header.durable = True
    return Message(
        body,
        properties=MessageProperties(message_id="m", user_id=b"u\0", content_type="c", creation_time=5),
        header=header,
        application_properties={"a": 1, b"t": types.AMQPuLong(5)},
        annotations={types.AMQPSymbol("x"): types.AMQPSymbol("y")},
        footer={"f": 1},
        delivery_annotations={"d": 1},
        **more,
    )


class Delivery:
    delivery_id, tag, message_format, settled = 7, b"tag", 5, False

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __reduce__(self) -> Any:
        raise TypeError("a delivery belongs to its link")


def settler(response: Any, delivery: Any) -> None:
    raise AssertionError("not to be called")


class TestOutgoing:
    @pytest.mark.parametrize(
        ("body", "kind", "body_class"),
        [
            ("x", None, DataBody),
            (["a", b"\xff"], None, DataBody),
            ([], None, DataBody),
            ({"a": [1, None]}, None, ValueBody),
            # 1.6 gave back something that was no body for these.
            (0, None, ValueBody),
            ("", MessageBodyType.Value, ValueBody),
            (None, None, ValueBody),
            ([[1], ["a"]], MessageBodyType.Sequence, SequenceBody),
        ],
    )
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_every_body(self, body: Any, kind: Any, body_class: type, protocol: int) -> None:
        message = full(body, body_type=kind)
        for duplicate in (again(message, protocol), copy.deepcopy(message), copy.copy(message)):
            assert type(duplicate._body) is body_class
            assert duplicate.encode_message() == message.encode_message()
            assert str(duplicate.value) == str(message.value)
            assert duplicate.state is MessageState.WaitingToBeSent

    def test_sections(self) -> None:
        duplicate = again(full())
        assert duplicate.properties.message_id == b"m"
        assert duplicate.header.durable is True
        assert duplicate.application_properties["a"] == 1
        assert duplicate.footer == {"f": 1}

    def test_message_format(self) -> None:
        # 1.6 lost it.
        message = Message("x", msg_format=9)
        for duplicate in (again(message), copy.copy(message), copy.deepcopy(message)):
            assert duplicate.message_format == 9

    def test_encoding(self) -> None:
        duplicate = again(Message({"a": "é"}, application_properties={"é": 1}, encoding="latin-1"))
        assert duplicate.value == {b"a": b"\xe9"}
        assert Message.decode_from_bytes(duplicate.encode_message()).application_properties == {b"\xe9": 1}

    def test_deep_copy_shares_nothing_that_changes(self) -> None:
        message = full()
        duplicate = copy.deepcopy(message)
        duplicate.application_properties["b"] = 2
        duplicate.properties.subject = "s"
        duplicate.header.durable = False
        assert "b" not in message.application_properties
        assert message.properties.subject is None
        assert message.header.durable is True
        assert copy.copy(message).properties is message.properties

    def test_state_of_a_sent_message(self) -> None:
        message = Message("x")
        message.state = MessageState.SendFailed
        message._response = errors.MessageSendFailed(b"c", b"d")
        message.retries = 2
        duplicate = again(message)
        assert (duplicate.state, duplicate.settled, duplicate.retries) == (MessageState.SendFailed, True, 2)
        assert duplicate._response.condition == b"c"

    def test_callbacks(self) -> None:
        message = Message("x")
        message._on_message_sent = lambda: None
        assert again(message)._on_message_sent is None
        message.on_send_complete = lambda result, error: None
        # A deep copy doesn't copy what the callback belongs to.
        assert copy.deepcopy(message).on_send_complete is message.on_send_complete

    def test_attributes_of_ones_own(self) -> None:
        message: Any = Message("x")
        message.note = ["n"]
        assert again(message).note == ["n"]
        duplicate = copy.deepcopy(message)
        assert duplicate.note == ["n"]
        assert duplicate.note is not message.note


class TestReceived:
    def make(self) -> Message:
        return received_message(Delivery(full().encode_message()), settler)

    def test_sections_that_nobody_looked_at(self) -> None:
        # 1.6 lost them.
        duplicate = again(self.make())
        assert duplicate.properties.user_id == b"u\0"
        assert duplicate.application_properties == {b"a": 1, b"t": 5}
        assert duplicate.annotations == {b"x": b"y"}
        assert duplicate.header.durable is True
        assert (duplicate.footer, duplicate.delivery_annotations) == ({b"f": 1}, {b"d": 1})
        assert list(duplicate.data) == [b"x"]
        assert duplicate.encode_message() == self.make().encode_message()

    def test_sections_that_were_changed(self) -> None:
        message = self.make()
        message.application_properties[b"new"] = 1
        message.properties.subject = "s"
        for duplicate in (again(message), copy.copy(message), copy.deepcopy(message)):
            assert duplicate.encode_message() == message.encode_message()
            assert duplicate.properties.subject == b"s"

    def test_what_it_says_of_its_delivery(self) -> None:
        for duplicate in (again(self.make()), copy.copy(self.make()), copy.deepcopy(self.make())):
            assert (duplicate.delivery_no, duplicate.delivery_tag, duplicate.message_format) == (7, b"tag", 5)
            assert duplicate.state is MessageState.ReceivedUnsettled
            assert not duplicate.settled

    def test_pickle_has_no_link(self) -> None:
        duplicate = again(self.make())
        with pytest.raises(RuntimeError, match="a copy that has no link"):
            duplicate.accept()
        assert not duplicate.settled

    def test_copy_settles_the_delivery(self) -> None:
        seen: list[Any] = []
        delivery = Delivery(b"")
        message = received_message(delivery, lambda response, of: seen.append(of))
        for duplicate in (copy.copy(message), copy.deepcopy(message)):
            assert duplicate.accept() is True
        assert seen == [delivery, delivery]
        assert not message.settled

    def test_settled(self) -> None:
        message = received_message(Delivery(b""), lambda response, of: None)
        message.reject("c", "d", {"a": 1})
        duplicate = again(message)
        assert (duplicate.settled, duplicate.state) == (True, MessageState.ReceivedSettled)
        assert duplicate._response.error_info.value == {b"a": 1}
        assert duplicate.accept() is False

    def test_settler_that_can_be_pickled_goes_along(self) -> None:
        native = c_uamqp.create_message()
        native.add_body_data(b"hi")
        message = Message(message=native, settler=errors.MessageAlreadySettled, delivery_no=1)
        for duplicate in (again(message), copy.deepcopy(message)):
            assert duplicate._settler is errors.MessageAlreadySettled
            assert (duplicate.delivery_no, duplicate.state) == (1, MessageState.ReceivedUnsettled)
            assert list(duplicate.get_data()) == [b"hi"]

    def test_decoded(self) -> None:
        message = Message.decode_from_bytes(full().encode_message())
        duplicate = again(message)
        assert duplicate.encode_message() == message.encode_message()
        assert duplicate.settled


@pytest.mark.parametrize("value", [MessageProperties(message_id=5, to="t", user_id="u"), MessageHeader()])
def test_parts_alone(value: Any) -> None:
    for duplicate in (again(value), copy.copy(value), copy.deepcopy(value)):
        assert str(duplicate) == str(value)
        assert type(duplicate) is type(value)


def test_properties_keep_their_encoding() -> None:
    duplicate = again(MessageProperties(encoding="latin-1"))
    duplicate.subject = "é"
    assert duplicate.subject == b"\xe9"


def test_pickles_name_modules_that_stay() -> None:
    """What is written here can be read by later versions only as long as these modules have their names."""
    data = pickle.dumps([full(), full(5), full([[1]], body_type=MessageBodyType.Sequence)], 4)
    named = set(re.findall(rb"uamqp\.[a-z_]+", data))
    assert named == {b"uamqp.message", b"uamqp.constants", b"uamqp.types", b"uamqp.c_uamqp"}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_name_no_module_behind_a_door(protocol: int) -> None:
    unread = Message.decode_from_bytes(full().encode_message())
    things = [
        unread,
        errors.ConnectionClose(b"amqp:internal-error", b"why"),
        errors.NotAMessage("x"),
        types.AMQPLong(1),
    ]
    data = pickle.dumps(things, protocol)
    assert re.findall(rb"uamqp\.classic[a-z_.]*", data) == []
    assert [str(thing) for thing in pickle.loads(data)] == [str(thing) for thing in things]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_has_a_connection_is_not_copied(make: Callable[[Any], Any]) -> None:
    """A copy would close the original's connection when it goes."""
    client = SendClient("amqp://127.0.0.1:1/q")
    for thing in (client, ReceiveClient("amqp://127.0.0.1:1/q"), Connection("127.0.0.1", sasl=None)):
        with pytest.raises(TypeError, match=f"A {type(thing).__name__} can't be copied or pickled"):
            make(thing)
