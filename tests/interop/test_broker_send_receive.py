"""Our blocking clients against each broker: sending and receiving over TCP and TLS."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import uamqp
from uamqp import Message, ReceiveClient, SendClient
from uamqp.authentication import SASLAnonymous, SASLExternal
from uamqp.constants import MessageBodyType, MessageSendResult, MessageState
from uamqp.errors import AMQPConnectionError
from uamqp.message import MessageHeader, MessageProperties

from .brokerfacts import STATE, RealBroker
from .clients import PATIENCE, bodies, none_left, receiver, sender, take


@pytest.fixture(params=["tcp", "tls"])
def ca_or_none(request: pytest.FixtureRequest, broker: RealBroker) -> Path | None:
    if request.param == "tcp":
        return None
    ca: Path = request.getfixturevalue("ca")
    return ca


def test_in_order(broker: RealBroker, queue: str, ca_or_none: Path | None) -> None:
    outcomes: list[tuple[Any, Any]] = []
    messages = [Message(f"m{number}") for number in range(200)]
    for message in messages:
        message.on_send_complete = lambda result, error: outcomes.append((result, error))
    with sender(broker, broker.address(queue), ca_or_none) as client:
        client.queue_message(*messages)
        states = client.send_all_messages()
    assert states == [MessageState.SendComplete] * 200
    assert outcomes == [(MessageSendResult.Ok, None)] * 200
    with receiver(broker, broker.address(queue), ca_or_none) as client:
        got = take(client, 200)
    assert bodies(got) == [f"m{number}" for number in range(200)]
    assert all(message.settled for message in got)
    assert none_left(broker, broker.address(queue))


def test_by_url(broker: RealBroker, queue: str) -> None:
    url = broker.url(queue)
    with SendClient(url) as client:
        client.send_message(Message("by URL"))
    with ReceiveClient(url) as client:
        assert bodies(take(client, 1)) == ["by URL"]


def test_the_functions(broker: RealBroker, queue: str) -> None:
    url = broker.url(queue)
    assert uamqp.send_message(url, "one") == [MessageState.SendComplete]
    assert uamqp.send_message(url, Message("two")) == [MessageState.SendComplete]
    first = uamqp.receive_message(url, timeout=PATIENCE)
    assert first is not None
    assert str(first) == "one"
    assert bodies(uamqp.receive_messages(url, max_batch_size=1, timeout=PATIENCE)) == ["two"]


def test_iterating(broker: RealBroker, queue: str) -> None:
    with sender(broker, broker.address(queue)) as client:
        client.queue_message(*[Message(f"m{number}") for number in range(20)])
        client.send_all_messages()
    with receiver(broker, broker.address(queue), timeout=1500) as client:
        got = [str(message) for message in client.receive_messages_iter()]
    assert got == [f"m{number}" for number in range(20)]
    assert none_left(broker, broker.address(queue))


def test_a_callback(broker: RealBroker, queue: str) -> None:
    with sender(broker, broker.address(queue)) as client:
        client.queue_message(*[Message(f"m{number}") for number in range(20)])
        client.send_all_messages()
    got: list[str] = []
    with contextlib.closing(receiver(broker, broker.address(queue), timeout=1500)) as receiving:
        receiving.receive_messages(lambda message: got.append(str(message)))
    assert got == [f"m{number}" for number in range(20)]
    assert none_left(broker, broker.address(queue))


def test_credit_is_given_again(broker: RealBroker, queue: str) -> None:
    """More messages than the prefetch, in batches."""
    with sender(broker, broker.address(queue)) as client:
        client.queue_message(*[Message(f"m{number}") for number in range(100)])
        client.send_all_messages()
    got: list[str] = []
    with receiver(broker, broker.address(queue), prefetch=7) as client:
        while len(got) < 100:
            batch = client.receive_message_batch(max_batch_size=7, timeout=PATIENCE)
            assert batch
            got += bodies(batch)
    assert got == [f"m{number}" for number in range(100)]


def test_sections(broker: RealBroker, queue: str) -> None:
    """The message's other sections arrive as they were sent."""
    properties = MessageProperties(
        message_id="id-1",
        user_id=broker.user,
        to="somewhere",
        subject="subject",
        reply_to="queue://reply",  # ActiveMQ puts the scheme before a name
        correlation_id="corr",
        content_type="text/plain",
        content_encoding="gzip",
        absolute_expiry_time=4_000_000_000_000,
        creation_time=1_700_000_000_000,
        group_id="group",
        group_sequence=3,
        reply_to_group_id="reply-group",
    )
    header = MessageHeader()
    header.durable = True
    header.priority = 7
    header.time_to_live = 600_000
    message = Message(
        "body",
        properties=properties,
        header=header,
        application_properties={"text": "t", "number": 5, "flag": True},
        annotations={uamqp.types.AMQPSymbol("x-opt-ours"): "kept"},
        body_type=MessageBodyType.Value,
    )
    with sender(broker, broker.address(queue)) as client:
        client.send_message(message)
    with receiver(broker, broker.address(queue)) as client:
        (got,) = take(client, 1)
    assert got.get_data() == b"body"
    assert got.application_properties == {b"text": b"t", b"number": 5, b"flag": True}
    assert got.annotations[b"x-opt-ours"] == b"kept"
    assert (got.header.durable, got.header.priority) == (True, 7)
    for name, value in {
        "message_id": b"id-1",
        "user_id": broker.user.encode(),
        "subject": b"subject",
        "reply_to": b"queue://reply",
        "correlation_id": b"corr",
        "content_type": b"text/plain",
        "content_encoding": b"gzip",
        "absolute_expiry_time": 4_000_000_000_000,
        "creation_time": 1_700_000_000_000,
        "group_id": b"group",
        "group_sequence": 3,
        "reply_to_group_id": b"reply-group",
    }.items():
        assert getattr(got.properties, name) == value, name


def test_ten_mebibytes(broker: RealBroker, queue: str, ca_or_none: Path | None) -> None:
    body = bytes(range(256)) * (10 * 1024 * 4)
    size = len(body) + 1024
    with sender(broker, broker.address(queue), ca_or_none, max_message_size=size) as client:
        client.send_message(Message(body))
    with receiver(broker, broker.address(queue), ca_or_none, max_message_size=size, prefetch=1) as client:
        (got,) = take(client, 1)
    assert b"".join(got.get_data()) == body


def test_small_frames(broker: RealBroker, queue: str) -> None:
    """Our max-frame-size of 512 bytes cuts what the broker sends into many frames."""
    body = bytes(range(256)) * 1024
    with sender(broker, broker.address(queue), max_frame_size=512) as client:
        client.send_message(Message(body))
    with receiver(broker, broker.address(queue), max_frame_size=512, prefetch=1) as client:
        (got,) = take(client, 1)
    assert b"".join(got.get_data()) == body


def test_anonymous(broker: RealBroker, queue: str) -> None:
    auth = SASLAnonymous(broker.host, port=broker.anonymous_port or broker.port, use_tls=False)
    with sender(broker, broker.address(queue), auth=auth) as client:
        client.send_message(Message("from nobody"))
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["from nobody"]


def test_a_client_certificate(broker: RealBroker, queue: str, ca: Path) -> None:
    certificates = STATE / "certs"
    auth = SASLExternal(
        broker.host,
        port=broker.tls_port,
        verify=str(ca),
        certificate=str(certificates / "client.pem"),
        key=str(certificates / "client.key"),
    )
    with sender(broker, broker.address(queue), auth=auth) as client:
        if not broker.external:
            with pytest.raises(AMQPConnectionError, match=r"(?i)EXTERNAL"):
                client.send_message(Message("by certificate"))
            return
        client.send_message(Message("by certificate"))
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["by certificate"]


def test_several_clients_share_a_connection(broker: RealBroker, queue: str) -> None:
    from .clients import login

    with uamqp.Connection(broker.host, login(broker)) as connection:
        sending = sender(broker, broker.address(queue), auth=connection.auth)
        receiving = ReceiveClient(
            uamqp.Source(f"amqp://{broker.host}", node=broker.address(queue)), auth=connection.auth
        )
        sending.open(connection=connection)
        receiving.open(connection=connection)
        sending.queue_message(Message("shared"))
        assert sending.send_all_messages(close_on_done=False) == [MessageState.SendComplete]
        assert bodies(take(receiving, 1)) == ["shared"]
        sending.close()
        receiving.close()


def test_a_quiet_connection_stays(broker: RealBroker, queue: str) -> None:
    """Our heartbeats and the broker's: the idle time-out is short, and passes three times."""
    with receiver(broker, broker.address(queue), idle_timeout=2000) as client:
        assert client.receive_message_batch(timeout=6000) == []
        with sender(broker, broker.address(queue)) as other:
            other.send_message(Message("late"))
        assert bodies(take(client, 1)) == ["late"]
