"""`Message`: what it takes, what goes out, what is read. The tests' own codec reads and writes the other side."""

from __future__ import annotations

import copy
import decimal
import inspect
import json
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import codec
from tests.peer.frames import decode_sections, section
from uamqp.codec import ACCEPTED, DecodeError, Described, EncodeError, Float, Long, Symbol, Timestamp, UInt
from uamqp.messaging import Message, MessageFields
from uamqp.messaging.errors import ReadOnlyMessage
from uamqp.messaging.message import received_message

UTC = timezone.utc
NOON = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
FIVE = uuid.UUID(int=5)

FIELDS: dict[str, Any] = {
    "message_id": "id",
    "user_id": b"me",
    "to": "there",
    "subject": "greeting",
    "reply_to": "here",
    "correlation_id": 7,
    "content_type": "text/plain",
    "content_encoding": "gzip",
    "expiry_time": NOON + timedelta(days=1),
    "creation_time": NOON,
    "group_id": "g",
    "group_sequence": 3,
    "reply_to_group_id": "r",
    "durable": True,
    "priority": 9,
    "ttl": timedelta(seconds=90),
}
MAPS: dict[str, Any] = {
    "application_properties": {"n": 1, "t": "text"},
    "annotations": {"x-opt-a": "b"},
    "delivery_annotations": {"x-opt-c": 2.5},
    "footer": {"x-opt-crc": 99},
}


@dataclass
class Delivery:
    """What `received_message` asks of a delivery."""

    payload: bytes
    settled: bool = False
    state: Any = None
    message_format: int = 0
    tag: bytes = b"tag"


def received(payload: bytes, **facts: Any) -> Message:
    delivery: Any = Delivery(payload, **facts)
    return received_message(delivery)


def sections(*parts: tuple[str, Any]) -> bytes:
    """A message in the bytes of the tests' own codec."""
    return b"".join(section(name, value) for name, value in parts)


def sent(message: Message) -> dict[str, Any]:
    """The sections that a message is encoded to."""
    return dict(decode_sections(message.encode()))


# -- what is read is what was given


def test_every_field_is_what_was_given() -> None:
    message = Message(b"body", **FIELDS, **MAPS, format=5)
    for each in (message, Message.decode(message.encode()), message.copy(), copy.deepcopy(message), copy.copy(message)):
        for name, value in FIELDS.items():
            assert getattr(each, name) == value, name
        for name, value in MAPS.items():
            assert getattr(each, name) == value, name
        assert each.body == b"body"
    assert message.format == 5
    assert copy.copy(message).format == 5
    assert pickle.loads(pickle.dumps(message)).subject == "greeting"


def test_nothing_is_there_that_was_not_given() -> None:
    for message in (Message(b"x"), Message.decode(Message(b"x").encode()), received(Message(b"x").encode())):
        assert {name: getattr(message, name) for name in FIELDS} == dict.fromkeys(FIELDS)
        assert [getattr(message, name) for name in MAPS] == [{}] * 4
        assert (message.delivery_count, message.redelivered, message.format) == (0, False, 0)


def test_what_goes_out() -> None:
    """Read by the tests' own codec."""
    out = sent(Message(b"body", **FIELDS, **MAPS))
    assert (out["header"]["durable"], out["header"]["priority"], out["header"]["ttl"]) == (True, 9, 90_000)
    properties = out["properties"]
    assert properties["message_id"] == codec.string("id")
    assert properties["correlation_id"] == codec.ulong(7)
    assert properties["user_id"] == b"me"
    assert (properties["to"], properties["subject"], properties["reply_to"]) == ("there", "greeting", "here")
    assert (properties["content_type"], properties["content_encoding"]) == ("text/plain", "gzip")
    assert properties["creation_time"] == int(NOON.timestamp() * 1000)
    assert (properties["group_id"], properties["group_sequence"], properties["reply_to_group_id"]) == ("g", 3, "r")
    assert out["message_annotations"] == {codec.sym("x-opt-a"): codec.string("b")}
    assert out["delivery_annotations"] == {codec.sym("x-opt-c"): codec.double(2.5)}
    assert out["application_properties"] == {codec.string("n"): codec.int_(1), codec.string("t"): codec.string("text")}
    assert out["footer"] == {codec.sym("x-opt-crc"): codec.int_(99)}


@pytest.mark.parametrize("identifier", ["id", "", 0, 2**64 - 1, FIVE, b"\x00\xff", "ü"])
def test_identifiers_keep_their_type(identifier: Any) -> None:
    message = Message.decode(Message("x", message_id=identifier, correlation_id=identifier).encode())
    for found in (message.message_id, message.correlation_id):
        assert found == identifier
        assert isinstance(found, type(identifier))


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [
        (0, 0),
        (1, 1000),
        (0.0001, 1),
        (1.5, 1500),
        (timedelta(microseconds=1), 1),
        (timedelta(minutes=1), 60_000),
        (4294967.295, 2**32 - 1),
    ],
)
def test_a_time_to_live(ttl: Any, milliseconds: int) -> None:
    message = Message("x", ttl=ttl)
    assert message.ttl == timedelta(milliseconds=milliseconds)
    assert sent(message)["header"]["ttl"] == milliseconds


def test_times_of_other_zones_and_beyond_the_calendar() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    assert Message("x", creation_time=NOON.astimezone(there)).creation_time == NOON
    far = Message("x", expiry_time=Timestamp(2**62))  # type: ignore[arg-type]
    assert sent(far)["properties"]["absolute_expiry_time"] == 2**62
    with pytest.raises(OverflowError):
        _ = Message.decode(far.encode()).expiry_time


# -- bodies

BODIES: list[tuple[Any, str, Any]] = [
    (b"bytes", "data", b"bytes"),
    (bytearray(b"bytes"), "data", b"bytes"),
    (memoryview(b"bytes"), "data", b"bytes"),
    (memoryview(bytes(range(9)))[::2], "data", bytes([0, 2, 4, 6, 8])),
    (b"", "data", b""),
    ("täxt", "value", "täxt"),
    ("", "value", ""),
    (None, "value", None),
    (True, "value", True),
    (0, "value", 0),
    (-(2**31), "value", -(2**31)),
    (2**63 - 1, "value", Long(2**63 - 1)),
    (2.5, "value", 2.5),
    ([1, "a", None], "value", [1, "a", None]),
    ((1, 2), "value", [1, 2]),
    ({"a": [b"b"]}, "value", {"a": [b"b"]}),
    (FIVE, "value", FIVE),
    (NOON, "value", Timestamp.from_datetime(NOON)),
    (Symbol("s"), "value", Symbol("s")),
    (UInt(7), "value", UInt(7)),
    (Described(Symbol("d"), 1), "value", Described(Symbol("d"), 1)),
]


@pytest.mark.parametrize(("body", "kind", "came"), BODIES, ids=[type(body).__name__ for body, _, _ in BODIES])
def test_bodies(body: Any, kind: str, came: Any) -> None:
    message = Message(body)
    assert message.body_kind == kind
    for again in (Message.decode(message.encode()), received(message.encode())):
        assert again.body_kind == kind
        assert again.body == came
        assert type(again.body) is type(came)
        assert again.chunks() == [came]
    assert Message.of_value(1).copy(body=body).encode() == message.encode()


def test_a_decimal_and_a_float_body() -> None:
    assert Message.decode(Message(decimal.Decimal("1.25")).encode()).body.value == decimal.Decimal("1.25")
    assert Message.decode(Message(Float(1.5)).encode()).body == 1.5


def test_a_binary_value_is_taken_as_it_is_then() -> None:
    data = bytearray(b"before")
    message = Message.of_value(data)
    data[:] = b"after!"
    assert (message.body, message.body_kind) == (b"before", "value")


def test_bytes_are_taken_as_they_are_then() -> None:
    data = bytearray(b"before")
    message = Message(data)
    data[:] = b"after!"
    assert message.body == b"before"


def test_data_in_sections() -> None:
    message = Message.of_data(b"one", bytearray(b"two"), subject="s")
    assert [value for name, value in decode_sections(message.encode()) if name == "data"] == [
        b"one",
        b"two",
    ]
    for each in (message, Message.decode(message.encode()), received(message.encode())):
        assert (each.body, each.chunks(), each.body_kind, each.subject) == (b"onetwo", [b"one", b"two"], "data", "s")
    assert Message.of_data().encode() == Message(b"").encode()
    assert Message.of_data(b"x").encode() == Message(b"x").encode()


def test_sequences() -> None:
    message = Message.of_sequence([1, "a"], (2,))
    for each in (message, Message.decode(message.encode()), received(message.encode())):
        assert (each.body, each.chunks(), each.body_kind) == ([1, "a", 2], [[1, "a"], [2]], "sequence")
    assert sent(Message.of_sequence())["amqp_sequence"] == []


def test_a_binary_value() -> None:
    message = Message.decode(Message.of_value(b"x").encode())
    assert (message.body, message.body_kind, message.text()) == (b"x", "value", "x")


def test_a_message_without_a_body() -> None:
    for message in (Message.decode(b""), received(sections(("header", {"durable": True})))):
        assert (message.body, message.body_kind, message.chunks()) == (None, None, [])


# -- text and JSON


@pytest.mark.parametrize("body", ["täxt", "täxt".encode(), Symbol("t")])
def test_text_however_it_was_sent(body: Any) -> None:
    message = received(Message(body).encode())
    assert message.text() == (body.decode() if isinstance(body, bytes) else body)
    assert Message.of_data("tä".encode()[:2], "tä".encode()[2:]).text() == "tä"


def test_text_in_another_encoding() -> None:
    assert Message("ü".encode("latin-1")).text("latin-1") == "ü"
    with pytest.raises(UnicodeDecodeError):
        Message(b"\xff").text()


@pytest.mark.parametrize("body", [None, 1, [1], {"a": 1}, 2.5])
def test_what_is_no_text(body: Any) -> None:
    with pytest.raises(TypeError, match="the body isn't text, but a value"):
        Message(body).text()


def test_json() -> None:
    value = {"a": [1, "ü", None]}
    message = Message.of_json(value, subject="s")
    assert (message.body, message.content_type) == ('{"a":[1,"ü",null]}'.encode(), "application/json")
    assert received(message.encode()).json() == value
    assert Message.of_json(1, content_type="text/json").content_type == "text/json"
    assert Message('{"a":1}').json() == {"a": 1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        Message.of_json(float("nan"))
    with pytest.raises(TypeError, match="not JSON serializable"):
        Message.of_json(object())
    with pytest.raises(ValueError, match="Expecting"):
        Message("{").json()


# -- wrong arguments

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"body": object()}, TypeError, "body must be bytes, a str or another AMQP value .*, not object"),
    ({"body": {1}}, TypeError, "body must be .*, not set"),
    ({"message_id": 1.5}, TypeError, "message_id must be a str, an int, a UUID or bytes, not float: 1.5"),
    ({"message_id": True}, TypeError, "message_id must be .*, not bool"),
    ({"correlation_id": -1}, EncodeError, "correlation_id as a number must be from 0 to 2.*, not -1"),
    ({"correlation_id": 2**64}, EncodeError, "correlation_id as a number"),
    ({"user_id": "me"}, TypeError, r"user_id must be bytes, not str: 'me' \(encode it"),
    ({"to": b"x"}, TypeError, "to must be a str, not bytes: b'x'"),
    ({"subject": 1}, TypeError, "subject must be a str, not int: 1"),
    ({"content_type": "ü"}, EncodeError, "content_type takes ASCII text only, not 'ü'"),
    ({"creation_time": 5}, TypeError, "creation_time must be a datetime, not int: 5"),
    ({"expiry_time": NOON.replace(tzinfo=None)}, EncodeError, "expiry_time must have a time zone"),
    ({"group_sequence": 2**32}, EncodeError, "group_sequence must be from 0 to 4294967295, not 4294967296"),
    ({"group_sequence": "1"}, TypeError, "group_sequence must be an int, not str: '1'"),
    ({"durable": 1}, TypeError, "durable must be True or False, not int: 1"),
    ({"priority": 256}, EncodeError, "priority must be from 0 to 255, not 256"),
    ({"priority": -1}, EncodeError, "priority must be from 0 to 255, not -1"),
    ({"ttl": -1}, EncodeError, "ttl must be from 0 to 2.*, not -1"),
    ({"ttl": 4294967.296}, EncodeError, "ttl must be"),
    ({"ttl": float("nan")}, EncodeError, "ttl must be .*, not nan"),
    ({"ttl": float("inf")}, EncodeError, "ttl must be .*, not inf"),
    ({"ttl": timedelta(days=50)}, EncodeError, "ttl must be"),
    ({"ttl": timedelta.max}, EncodeError, "ttl must be"),
    ({"ttl": timedelta.min}, EncodeError, "ttl must be"),
    ({"body": NOON.replace(tzinfo=None)}, EncodeError, "body must have a time zone"),
    ({"ttl": "1"}, TypeError, "ttl must be a timedelta or a number of seconds, not str: '1'"),
    ({"application_properties": [1]}, TypeError, "application_properties must be a mapping, not list"),
    ({"annotations": "x"}, TypeError, "annotations must be a mapping, not str: 'x'"),
    ({"delivery_annotations": 1}, TypeError, "delivery_annotations must be a mapping"),
    ({"footer": 1}, TypeError, "footer must be a mapping"),
    ({"format": -1}, EncodeError, "format must be from 0 to 4294967295, not -1"),
    ({"format": "1"}, TypeError, "format must be an int"),
]


@pytest.mark.parametrize(("given", "error", "text"), WRONG, ids=[text[:40] for _, _, text in WRONG])
def test_wrong_arguments(given: dict[str, Any], error: type[Exception], text: str) -> None:
    """In the constructor, in `copy`, and when an attribute is set, which then stays what it was."""
    with pytest.raises(error, match=text):
        Message(**given)
    message = Message("x")
    with pytest.raises(error, match=text):
        message.copy(**given)
    ((name, value),) = given.items()
    before = getattr(message, name)
    with pytest.raises(error, match=text):
        setattr(message, name, value)
    assert getattr(message, name) == before
    assert message.encode() == Message("x").encode()


def test_type_checkers_know_all_arguments() -> None:
    assert {"body", *MessageFields.__optional_keys__} == {*inspect.signature(Message).parameters}


def test_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="bdy"):
        Message(bdy=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="body"):
        Message.of_data(b"x", body=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'delivery_count' is no argument of Message"):
        Message("x").copy(delivery_count=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        Message("x").sbject = "y"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (lambda: Message([object()]), "object"),
        (lambda: Message({"a": {1, 2}}), "set"),
        (lambda: Message("x", application_properties={1: 2}), "key"),  # type: ignore[dict-item]
        (lambda: Message("x", annotations={"ü": 2}), "key"),
        (lambda: Message("x", application_properties={"a": object()}), "object"),
        (lambda: Message("x", application_properties={"a": [1]}), r"application_properties\['a'\] must be a simple"),
        (lambda: Message("x", application_properties={"a": {}}), r"application_properties\['a'\] must be a simple"),
        (lambda: Message("\ud800"), "UTF-8|surrogate"),
        (lambda: Message("x", subject="\ud800"), "UTF-8|surrogate"),
    ],
)
def test_what_has_no_encoding_is_refused_when_it_is_encoded(message: Callable[[], Message], text: str) -> None:
    with pytest.raises(EncodeError, match=text):
        message().encode()


# -- what was received


def test_a_received_message_is_read_only() -> None:
    message = received(Message(b"x", **FIELDS, **MAPS).encode())
    for name, value in {**FIELDS, **MAPS, "body": b"y", "format": 1}.items():
        with pytest.raises(ReadOnlyMessage, match=r"message\.copy"):
            setattr(message, name, value)
    for name in MAPS:
        found = getattr(message, name)
        for change in (
            lambda found=found: found.__setitem__("new", 1),
            lambda found=found: found.update(new=1),
            lambda found=found: found.pop("n", None),
            lambda found=found: found.clear(),
            lambda found=found: found.setdefault("new", 1),
        ):
            with pytest.raises(ReadOnlyMessage, match=r"message\.copy"):
                change()
        assert json.loads(json.dumps(found)) == found
        for duplicate in (copy.deepcopy(found), copy.copy(found), pickle.loads(pickle.dumps(found))):
            duplicate["new"] = 1
        assert "new" not in found
    assert message.copy(subject="new").subject == "new"
    assert message.subject == "greeting"


def test_the_facts_of_a_delivery() -> None:
    payload = sections(("header", {"first_acquirer": True, "delivery_count": 3}), ("data", b"x"))
    message = received(payload, tag=b"\x01", message_format=9)
    assert (message.delivery_count, message.redelivered, message.delivery_tag) == (3, True, b"\x01")
    assert (message.settled, message.format) == (False, 9)
    assert received(payload, settled=True).settled
    assert received(payload, state=ACCEPTED).settled
    new = Message("x")
    assert (new.delivery_tag, new.settled, new.delivery_count) == (None, True, 0)


def test_a_copy_leaves_the_last_hop_behind_and_passes_the_rest_on_byte_for_byte() -> None:
    """In encodings that ours wouldn't choose: what isn't decoded stays as it came."""
    rest = sections(
        ("message_annotations", {codec.sym("x-opt-a"): codec.wide(codec.string("b"))}),
        ("properties", {"message_id": codec.wide(codec.string("id"))}),
        ("application_properties", {codec.string("n"): codec.wide(codec.ulong(1))}),
        ("data", codec.wide(codec.binary(b"one"))),
        ("data", b"two"),
        ("footer", {}),
    )
    head = sections(
        ("header", {"durable": True, "first_acquirer": True, "delivery_count": 3}),
        ("delivery_annotations", {codec.sym("x-opt-d"): codec.uint(1)}),
    )
    message = received(head + rest)
    message.subject, message.application_properties, message.body  # noqa: B018 (looking changes nothing)
    again = message.copy()
    assert (again.delivery_count, again.redelivered, again.delivery_annotations) == (0, False, {})
    assert again.encode() == sections(("header", {"durable": True})) + rest
    assert again.copy().encode() == again.encode()
    changed = message.copy(subject="new", body="text", annotations={"x-opt-z": 1})
    out = dict(decode_sections(changed.encode()))
    assert out["properties"]["message_id"] == codec.string("id")
    assert out["properties"]["subject"] == "new"
    assert out["amqp_value"] == codec.string("text")
    assert out["message_annotations"] == {codec.sym("x-opt-z"): codec.int_(1)}
    assert sections(("application_properties", {codec.string("n"): codec.wide(codec.ulong(1))})) in changed.encode()


ODD_BODIES = {
    "a map with keys that are one in Python": bytes.fromhex("005377c10a045401a1016141a10162"),
    "a wide boolean": bytes.fromhex("0053775601"),
    "wide data": bytes.fromhex("005375b00000000161"),
    "a wide list": bytes.fromhex("005377d00000000700000001a10161"),
    "a wide sequence": bytes.fromhex("005376d00000000700000001a10161"),
}


@pytest.mark.parametrize("payload", ODD_BODIES.values(), ids=ODD_BODIES)
@pytest.mark.parametrize("made", [Message.decode, lambda payload: received(payload).copy()], ids=["decoded", "copy"])
def test_looking_at_a_body_changes_nothing(made: Callable[[bytes], Message], payload: bytes) -> None:
    message = made(payload)
    repr(message), message.body, message.chunks()
    assert message.encode() == payload
    message.subject = "new"
    assert message.encode().endswith(payload)


def test_a_body_that_is_changed_in_place() -> None:
    message = Message.decode(Message({"a": [1]}).encode())
    message.body["a"].append(2)
    assert Message.decode(message.encode()).body == {"a": [1, 2]}
    new = Message([1])
    new.body.append(2)
    assert Message.decode(new.encode()).body == [1, 2]


@pytest.mark.parametrize(
    "message",
    [
        Message([1, [2]], annotations={"x-opt-a": [1]}),
        Message.of_sequence([1, [2]]),
        Message.decode(Message([1, [2]], annotations={"x-opt-a": [1]}).encode()),
    ],
)
def test_a_copy_shares_nothing(message: Message) -> None:
    before = message.encode()
    _ = message.body, message.annotations.get("x-opt-a")
    duplicate = message.copy()
    duplicate.chunks()[0].append(9)
    duplicate.body[1].append(9)
    if duplicate.annotations:
        duplicate.annotations["x-opt-a"].append(9)
    assert message.encode() == before


def test_what_a_received_message_returns_is_the_callers() -> None:
    payload = Message({"a": 1}, annotations={"x-opt-a": [1]}).encode()
    message = received(payload)
    message.body["b"] = 2
    message.annotations["x-opt-a"].append(2)
    assert message.encode() == message.copy().encode() == payload


def test_a_copy_of_a_message_with_odd_fields_for_the_last_hop() -> None:
    header = {"first_acquirer": codec.string("x"), "delivery_count": codec.string("y")}
    message = received(sections(("header", header), ("amqp_value", None))).copy()
    assert (message.delivery_count, message.body) == (0, None)


def test_changes_in_place_of_a_decoded_message() -> None:
    message = Message.decode(Message(b"x", **FIELDS, **MAPS).encode())
    before = message.encode()
    assert dict(message.application_properties) == MAPS["application_properties"]
    assert message.encode() == before  # it was only looked at
    message.application_properties["n"] = 2
    message.annotations["x-opt-new"] = "a"
    message.priority = 1
    message.subject = None
    again = Message.decode(message.encode())
    assert again.application_properties == {"n": 2, "t": "text"}
    assert again.annotations == {"x-opt-a": "b", "x-opt-new": "a"}
    assert (again.priority, again.durable, again.subject, again.message_id) == (1, True, None, "id")
    message.application_properties = None
    assert Message.decode(message.encode()).application_properties == {}


def test_changes_in_place_of_a_message_to_send() -> None:
    message = Message("x")
    message.application_properties["a"] = 1
    message.footer["x-opt-f"] = 2
    message.ttl = 5
    duplicate = message.copy()
    duplicate.application_properties["b"] = 2
    assert message.application_properties == {"a": 1}
    assert Message.decode(message.encode()).footer == {"x-opt-f": 2}
    assert Message.decode(duplicate.encode()).application_properties == {"a": 1, "b": 2}


@pytest.mark.parametrize("made", [Message, Message.decode], ids=["new", "decoded"])
def test_what_the_sender_says_of_durability(made: Callable[[Any], Message]) -> None:
    def durable_of(message: Message) -> Any:
        payload = message._encoded(True)
        return dict(decode_sections(payload))["header"]["durable"], Message.decode(payload).priority

    def of(**fields: Any) -> Message:
        message = Message(b"x", **fields)
        return message if made is Message else Message.decode(message.encode())

    assert durable_of(of()) == (True, None)
    assert durable_of(of(durable=False)) == (False, None)
    assert durable_of(of(durable=True)) == (True, None)
    assert durable_of(of(priority=3)) == (True, 3)
    assert of()._encoded(False) == Message(b"x").encode()


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        (sections(("properties", {"subject": codec.uint(1)})), "subject"),
        (sections(("properties", {"user_id": codec.string("me")})), "user_id"),
        (sections(("properties", {"creation_time": codec.uint(1)})), "creation_time"),
        (sections(("properties", {"group_sequence": codec.string("1")})), "group_sequence"),
        (sections(("header", {"priority": codec.string("high")})), "priority"),
        (sections(("header", {"priority": codec.long(-5)})), "priority"),
        (sections(("header", {"priority": True})), "priority"),
        (sections(("header", {"durable": codec.uint(1)})), "durable"),
        (sections(("header", {"ttl": codec.ulong(2**64 - 1)})), "ttl"),
        (sections(("header", {"delivery_count": codec.long(-1)})), "delivery_count"),
        (sections(("properties", {"message_id": True})), "message_id"),
        (sections(("properties", {"message_id": codec.double(1.5)})), "message_id"),
        (sections(("properties", {"correlation_id": codec.timestamp(1)})), "correlation_id"),
    ],
)
def test_fields_of_the_wrong_type(payload: bytes, read: str) -> None:
    """A peer may send anything; what is read has the type that it says, and the rest can be read."""
    message = received(payload + sections(("data", b"x")))
    with pytest.raises(DecodeError, match=f"{read} of a received message has the wrong type"):
        getattr(message, read)
    assert message.body == b"x"


def test_what_is_no_message() -> None:
    with pytest.raises(DecodeError):
        Message.decode(b"nonsense")
    with pytest.raises(TypeError, match="data must be bytes"):
        Message.decode("text")  # type: ignore[arg-type]
    with pytest.raises(DecodeError):
        _ = received(b"nonsense").body
    broken = received(sections(("properties", {})) + bytes.fromhex("005377a105ff"))
    assert "can't be decoded" in repr(broken)


# -- subclasses, representation


class Order(Message):
    """One of a program's own."""

    def total(self) -> int:
        return len(self.text())


def test_subclasses_to_send() -> None:
    order = Order("abc", subject="s")
    order.note = "an attribute of its own"  # type: ignore[attr-defined]
    assert (order.total(), order.encode()) == (3, Message("abc", subject="s").encode())
    copies: list[Any] = [pickle.loads(pickle.dumps(order)), copy.copy(order), copy.deepcopy(order)]
    for again in copies:
        assert (type(again), again.total(), again.note) == (Order, 3, "an attribute of its own")
    assert type(order.copy(subject="t")) is Order
    assert type(Order.of_json(1)) is type(Order.decode(order.encode())) is Order


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Message(b"secret"), "<Message 6 bytes of data>"),
        (
            Message("secret", message_id=1, subject="s", to="t"),
            "<Message a value (str), message_id=1, subject='s', to='t'>",
        ),
        (Message.of_data(b"a", b"b"), "<Message 2 bytes of data>"),
        (Message.of_sequence([1]), "<Message a sequence>"),
        (Message.decode(b""), "<Message no body>"),
        (Order(b""), "<Order 0 bytes of data>"),
    ],
)
def test_representation(message: Message, text: str) -> None:
    """It doesn't show the body, which may be a secret, or long."""
    assert repr(message) == text
    assert repr(received(message.encode())) == text.replace("Order", "Message")


# -- any message

texts = st.text(max_size=40)
simple = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts | st.binary()
values = st.recursive(simple, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=10)
ascii_texts = st.text(st.characters(max_codepoint=127, min_codepoint=32), max_size=40)
fields = st.fixed_dictionaries(
    {},
    optional={
        "message_id": texts | st.integers(0, 2**64 - 1) | st.uuids() | st.binary(),
        "subject": texts,
        "content_type": ascii_texts,
        "user_id": st.binary(),
        "group_sequence": st.integers(0, 2**32 - 1),
        "creation_time": st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0)),
        "durable": st.booleans(),
        "priority": st.integers(0, 255),
        "ttl": st.timedeltas(timedelta(0), timedelta(days=49)).map(lambda time: timedelta(seconds=time.days)),
        "application_properties": st.dictionaries(texts, simple, max_size=5),
        "annotations": st.dictionaries(ascii_texts, values, max_size=5),
    },
)


@given(values, fields)
def test_any_message(body: Any, given: dict[str, Any]) -> None:
    """Comes back as it was, is read by another codec, and is passed on byte for byte."""
    message = Message(body, **given)
    payload = message.encode()
    decode_sections(payload)
    again = received(payload)
    assert again.body == body
    for name, value in given.items():
        assert getattr(again, name) == value
    assert again.copy().encode() == payload
    assert Message(again.body, **{name: getattr(again, name) for name in given}).encode() == payload
