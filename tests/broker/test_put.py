"""What `Broker.put` takes, and how to read what is on a queue, as messages of either API."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

import uamqp
from uamqp.codec import BATCH_FORMAT, EncodeError, Symbol, UByte
from uamqp.messaging import Message
from uamqp.sync import connect
from uamqp.testing import Broker

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc)


def payloads(broker: Broker) -> list[bytes]:
    return [view.payload for view in broker.queue("q").messages]


def test_a_modern_message(broker: Broker) -> None:
    message = Message({"a": [1, None]}, message_id=5, subject="s", ttl=60, application_properties={"x": True})
    broker.put("q", message)
    (view,) = broker.queue("q").messages
    assert view.payload == message.encode()
    read = Message.decode(view.payload)
    assert (read.body, read.message_id, read.subject) == ({"a": [1, None]}, 5, "s")
    assert read.application_properties == {"x": True}
    with connect(broker.url) as connection, connection.open_receiver("q") as receiver:
        received = receiver.receive(timeout=60)
        assert (received.body, received.message_id, received.subject) == ({"a": [1, None]}, 5, "s")


def test_a_received_message_is_passed_on(broker: Broker) -> None:
    broker.put("other", Message(b"data", annotations={"note": 1}))
    with connect(broker.url) as connection, connection.open_receiver("other") as receiver:
        broker.put("q", receiver.receive(timeout=60))
    assert payloads(broker) == [Message(b"data", annotations={"note": 1}).encode()]


def test_a_classic_message(broker: Broker) -> None:
    message = uamqp.Message("text", properties=uamqp.message.MessageProperties(subject="s"))
    broker.put("q", message)
    (payload,) = payloads(broker)
    assert payload == message.encode_message()
    assert str(uamqp.Message.decode_from_bytes(payload)) == "text"
    assert Message.decode(payload).subject == "s"


BODIES: list[Any] = [
    *("text", "", "ünïcödé", Symbol("symbol"), None, True, 7, UByte(7), 1.5, Decimal("1.5")),
    *(NOW, uuid.UUID(int=7), ["a", b"b"], ("a", 1), {"key": {"of": "maps"}}, []),
]


@pytest.mark.parametrize("body", BODIES, ids=repr)
def test_a_body(body: Any, broker: Broker) -> None:
    broker.put("q", body)
    assert payloads(broker) == [Message(body).encode()]


def test_bytes_are_an_encoded_message_whatever_is_in_them(broker: Broker) -> None:
    encoded = Message(b"data").encode()
    for each in (encoded, bytearray(encoded), memoryview(encoded), b"no message"):
        broker.put("q", each)
    assert payloads(broker) == [encoded, encoded, encoded, b"no message"]


@pytest.mark.parametrize("body", [object(), {1, 2}, Message({"key": object()})], ids=["object", "set", "message"])
def test_what_has_no_encoding(body: Any, broker: Broker) -> None:
    with pytest.raises(EncodeError):
        broker.put("q", body)
    assert payloads(broker) == []


@pytest.mark.parametrize(
    ("message", "options", "message_format"),
    [
        (Message("x", format=7), {}, 7),
        (Message("x"), {}, 0),
        (Message("x", format=7), {"message_format": 0}, 0),
        (Message("x"), {"message_format": 8}, 8),
        (uamqp.Message("x"), {"message_format": 8}, 8),
        ("x", {"message_format": 8}, 8),
        ("x", {}, 0),
    ],
)
def test_the_message_format(message: Any, options: dict[str, int], message_format: int, broker: Broker) -> None:
    broker.put("q", message, **options)
    with connect(broker.url) as connection, connection.open_receiver("q") as receiver:
        assert receiver.receive(timeout=60).format == message_format


def test_a_batch_is_unpacked() -> None:
    parts = [Message(b"one").encode(), Message("two").encode()]
    with Broker(unpack_batches=True) as broker:
        broker.put("q", Message.of_data(*parts, format=BATCH_FORMAT))
        assert payloads(broker) == parts
