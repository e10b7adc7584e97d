"""Messages of the modern API through each broker: to ourselves, to python-qpid-proton, and from it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from uamqp import sync
from uamqp.codec import Decimal128, Symbol, Timestamp, UByte
from uamqp.messaging import Message

from .brokerfacts import RealBroker
from .modern import PATIENCE, url

UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
TEXT = "t\u00e9xt \U0001f600"
THEN = datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=timezone.utc)
LATER = datetime(2099, 1, 1, tzinfo=timezone.utc)

IDENTIFIERS = ["id-1", 2**64 - 1, UUID, b"\x01\xff"]

PROPERTIES: dict[str, Any] = {
    "to": "somewhere",
    "subject": TEXT,
    "reply_to": "queue://reply",  # ActiveMQ puts the scheme before a name
    "content_type": "text/plain",
    "content_encoding": "gzip",
    "expiry_time": LATER,
    "creation_time": THEN,
    "group_id": "group",
    "group_sequence": 2**32 - 1,
    "reply_to_group_id": "reply-group",
    "durable": True,
    "priority": 7,
    "footer": {"x-opt-sum": b"1234"},
}

SENT = {
    "text": TEXT,
    "number": 5,
    "large": 2**40,
    "negative": -1,
    "float": 1.5,
    "yes": True,
    "no": False,
    "none": None,
    "bytes": b"\x00\xff",
    "uuid": UUID,
    "time": THEN,
    "decimal": Decimal("1.5"),
    "symbol": Symbol("sym"),
    "ubyte": UByte(7),
}
"""Application properties as they are sent; and below, those that are something else when they are received."""

RECEIVED = SENT | {"time": Timestamp.from_datetime(THEN), "decimal": Decimal128.from_decimal(Decimal("1.5"))}

ANNOTATIONS = {"x-opt-ours": "kept", "x-opt-list": [1, "a"], "x-opt-map": {"k": 1}}


def full(broker: RealBroker, identifier: Any) -> Message:
    """A message with everything in it."""
    return Message(
        TEXT,
        message_id=identifier,
        correlation_id=identifier,
        user_id=broker.user.encode(),
        ttl=timedelta(hours=2),
        application_properties=SENT,
        annotations=ANNOTATIONS,
        delivery_annotations={"x-opt-hop": "ours"} if broker.takes_delivery_annotations else None,
        **PROPERTIES,
    )


def sent(broker: RealBroker, queue: str, *messages: Message) -> None:
    with sync.connect(url(broker)) as connection, connection.open_sender(broker.address(queue)) as sender:
        sender.send_many(messages)


def received(broker: RealBroker, queue: str, count: int) -> list[Message]:
    with sync.connect(url(broker)) as connection, connection.open_receiver(broker.address(queue)) as receiver:
        messages = receiver.receive_many(count, minimum=count, timeout=PATIENCE)
        receiver.accept(messages)
    return messages


def test_everything_that_a_message_has(broker: RealBroker, queue: str) -> None:
    sent(broker, queue, *(full(broker, identifier) for identifier in IDENTIFIERS))
    messages = received(broker, queue, len(IDENTIFIERS))
    for identifier, message in zip(IDENTIFIERS, messages, strict=True):
        assert (message.message_id, message.correlation_id) == (identifier, identifier)
        assert (message.body, message.body_kind, message.user_id) == (TEXT, "value", broker.user.encode())
        assert {name: getattr(message, name) for name in PROPERTIES} == PROPERTIES
        assert message.ttl is not None
        assert timedelta() < message.ttl <= timedelta(hours=2)
        assert message.application_properties == RECEIVED
        kept = {key: value for key, value in message.annotations.items() if key in ANNOTATIONS}
        assert kept == ANNOTATIONS
        assert (message.delivery_count, message.redelivered, message.settled) == (0, False, True)


def test_a_message_is_passed_on(broker: RealBroker, queue: str) -> None:
    """A copy of what was received is sent again, with a change; the rest is as it was."""
    sent(broker, queue, full(broker, "first"))
    (message,) = received(broker, queue, 1)
    sent(broker, queue, message.copy(message_id="second", subject="passed on"))
    (again,) = received(broker, queue, 1)
    assert (again.message_id, again.correlation_id, again.subject) == ("second", "first", "passed on")
    assert (again.body, again.application_properties) == (TEXT, RECEIVED)


JSON = {"k": [1, 2.5, None, "t\u00e9xt"]}
"""ActiveMQ makes text of it, and spoils characters of more than 16 bits."""

BODIES: dict[str, tuple[Message, str, Any]] = {
    "bytes": (Message(b"\x00\xff"), "data", b"\x00\xff"),
    "no bytes": (Message(b""), "data", b""),
    "text": (Message(TEXT), "value", TEXT),
    "no text": (Message(""), "value", ""),
    "long text": (Message("x" * 70_000), "value", "x" * 70_000),
    "number": (Message(12), "value", 12),
    "float": (Message(-0.25), "value", -0.25),
    "true": (Message(True), "value", True),
    "list of one": (Message(["a"]), "value", ["a"]),
    "map": (Message({"k": {"n": None}}), "value", {"k": {"n": None}}),
    "uuid": (Message(UUID), "value", UUID),
    "null": (Message(None), "value", None),
    "time": (Message(THEN), "value", Timestamp.from_datetime(THEN)),
    "binary": (Message.of_value(b"\x00\xff"), "value", b"\x00\xff"),
    "JSON": (Message.of_json(JSON), "data", None),
    "sequence": (Message.of_sequence([1, "a", None]), "sequence", [1, "a", None]),
}


def test_bodies(broker: RealBroker, queue: str) -> None:
    sent(broker, queue, *(message.copy(message_id=name) for name, (message, _, _) in BODIES.items()))
    found = {message.message_id: message for message in received(broker, queue, len(BODIES))}
    for name, (_, kind, body) in BODIES.items():
        message = found[name]
        if name == "JSON":
            assert message.json() == JSON
            assert message.content_type == "application/json"
        else:
            assert (name, message.body_kind, message.body) == (name, kind, body)


@pytest.mark.brokers("keeps_sections")
def test_bodies_of_several_sections(broker: RealBroker, queue: str) -> None:
    sent(broker, queue, Message.of_data(b"one", b"two"), Message.of_sequence([1, "a"], [2]))
    data, sequence = received(broker, queue, 2)
    assert (data.chunks(), data.body) == ([b"one", b"two"], b"onetwo")
    assert (sequence.chunks(), sequence.body) == ([[1, "a"], [2]], [1, "a", 2])


# -- python-qpid-proton at the other end


def test_to_proton(broker: RealBroker, queue: str, proton: None) -> None:
    import proton as qpid

    from .protonclient import connect_to

    sent(broker, queue, *(full(broker, identifier) for identifier in IDENTIFIERS))
    with connect_to(broker) as client:
        link = client.receiver(broker.address(queue), credit=len(IDENTIFIERS))
        for identifier in IDENTIFIERS:
            message = link.receive()
            link.accept()
            assert (message.id, message.correlation_id) == (identifier, identifier)
            assert (message.body, message.user_id) == (TEXT, broker.user.encode())
            assert (message.address, message.subject, message.reply_to) == ("somewhere", TEXT, "queue://reply")
            assert (message.content_type, message.content_encoding) == ("text/plain", "gzip")
            assert (message.expiry_time, message.creation_time) == (LATER.timestamp(), THEN.timestamp())
            assert (message.group_id, message.group_sequence) == ("group", 2**32 - 1)
            assert (message.reply_to_group_id, message.durable, message.priority) == ("reply-group", True, 7)
            assert 0 < message.ttl <= 7200
            properties = message.properties
            assert set(properties) == set(SENT)
            for name in ("text", "number", "large", "negative", "float", "yes", "no", "none", "uuid"):
                assert properties[name] == SENT[name], name
            assert bytes(properties["bytes"]) == SENT["bytes"]
            assert properties["time"] == qpid.timestamp(1_714_979_289_123)
            assert (properties["symbol"], properties["ubyte"]) == (qpid.symbol("sym"), qpid.ubyte(7))
            assert isinstance(properties["symbol"], qpid.symbol)
            assert isinstance(properties["ubyte"], qpid.ubyte)
            for key, value in ANNOTATIONS.items():
                assert message.annotations[qpid.symbol(key)] == value


def test_from_proton(broker: RealBroker, queue: str, proton: None) -> None:
    import proton as qpid

    from .protonclient import connect_to

    with connect_to(broker) as client:
        link = client.sender(broker.address(queue))
        for identifier in ("id-1", qpid.ulong(2**64 - 1), UUID, b"\x01\xff"):
            message = qpid.Message(
                TEXT,
                id=identifier,
                correlation_id=identifier,
                user_id=broker.user.encode(),
                address="somewhere",
                subject=TEXT,
                reply_to="queue://reply",
                content_type=qpid.symbol("text/plain"),
                content_encoding=qpid.symbol("gzip"),
                expiry_time=LATER.timestamp(),
                creation_time=THEN.timestamp(),
                group_id="group",
                group_sequence=2**32 - 1,
                reply_to_group_id="reply-group",
                durable=True,
                priority=7,
                ttl=7200,
            )
            message.properties = {
                name: value for name, value in SENT.items() if name not in {"time", "decimal", "symbol", "ubyte"}
            }
            message.properties |= {
                "time": qpid.timestamp(1_714_979_289_123),
                "symbol": qpid.symbol("sym"),
                "ubyte": qpid.ubyte(7),
            }
            message.annotations = {qpid.symbol(key): value for key, value in ANNOTATIONS.items()}
            link.send(message)
    expected = {name: value for name, value in RECEIVED.items() if name != "decimal"}
    fields = {name: value for name, value in PROPERTIES.items() if name != "footer"}
    for identifier, got in zip(IDENTIFIERS, received(broker, queue, len(IDENTIFIERS)), strict=True):
        assert (got.message_id, got.correlation_id) == (identifier, identifier)
        assert (got.body, got.body_kind, got.user_id) == (TEXT, "value", broker.user.encode())
        assert {name: getattr(got, name) for name in fields} == fields
        assert got.ttl is not None
        assert timedelta() < got.ttl <= timedelta(hours=2)
        assert got.application_properties == expected
        kept = {key: value for key, value in got.annotations.items() if key in ANNOTATIONS}
        assert kept == ANNOTATIONS
