"""What goes wrong at a broker becomes a clear error, soon; and nothing that was acknowledged is lost."""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from uamqp import Message, ReceiveClient, SendClient, Source, Target
from uamqp.authentication import SASLPlain
from uamqp.constants import ErrorCodes, MessageSendResult, MessageState
from uamqp.errors import AMQPConnectionError, AMQPError
from uamqp.message import MessageHeader

from .brokerfacts import RealBroker
from .clients import PATIENCE, bodies, login, receiver, sender


@contextmanager
def soon(seconds: float = 20) -> Iterator[None]:
    """Check that the block ends within a number of seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_a_wrong_password_when_sending(broker: RealBroker, queue: str) -> None:
    with soon(), sender(broker, broker.address(queue), auth=login(broker, password="a wrong one")) as client:
        with pytest.raises(AMQPError, match=r"(?i)unauthori|authentication|password|credentials|SASL") as caught:
            client.send_message(Message("never"))
    assert "a wrong one" not in str(caught.value)


def test_a_wrong_password_when_receiving(broker: RealBroker, queue: str, ca: Path) -> None:
    source = Source(f"amqps://{broker.host}", node=broker.address(queue))
    with soon(), ReceiveClient(source, auth=login(broker, ca, password="a wrong one")) as client:
        with pytest.raises(AMQPError, match=r"(?i)unauthori|authentication|password|credentials|SASL"):
            client.receive_message_batch(timeout=PATIENCE)


def test_an_unknown_queue(broker: RealBroker) -> None:
    address = broker.address(f"there-is-no-such-queue-{uuid.uuid4().hex[:12]}")
    if not broker.refuses_unknown:  # it is made
        with receiver(broker, address) as client:
            assert client.receive_message_batch(timeout=500) == []
        return
    with soon(), sender(broker, address) as client, pytest.raises(AMQPConnectionError, match=r"(?i)not.?found"):
        client.send_message(Message("never"))
    with soon(), receiver(broker, address) as client, pytest.raises(AMQPConnectionError, match=r"(?i)not.?found"):
        client.receive_message_batch(timeout=PATIENCE)


def use(client: SendClient | ReceiveClient) -> None:
    if isinstance(client, SendClient):
        client.send_message(Message("never"))
    else:
        client.receive_message_batch(timeout=PATIENCE)


@pytest.mark.brokers("bad_addresses")
def test_a_bad_address(broker: RealBroker) -> None:
    """RabbitMQ's own words, and what to write instead; the words alone of the others."""
    for address in broker.bad_addresses:
        for client in (sender(broker, address), receiver(broker, address)):
            with soon(), client, pytest.raises(AMQPConnectionError) as caught:
                use(client)
            assert str(caught.value.description, "utf-8") in str(caught.value)  # type: ignore[attr-defined]
            assert bool(caught.value.hint) is bool(broker.address_hint)
            assert broker.address_hint in str(caught.value)


@pytest.mark.brokers("strict_port")
def test_a_refused_open(broker: RealBroker, queue: str) -> None:
    """The broker's reason comes out, whatever else is in its answer."""
    for host, refused in (("nosuch.example", True), ("default", False)):
        auth = SASLPlain(broker.host, broker.user, broker.password, port=broker.strict_port, use_tls=False)
        target = Target(f"amqp://{host}", node=broker.address(queue))
        with soon(), SendClient(target, auth=auth) as client:
            if refused:
                with pytest.raises(AMQPConnectionError, match=host) as caught:
                    client.send_message(Message("never"))
                assert caught.value.condition == ErrorCodes.NotFound  # type: ignore[attr-defined]
            else:
                client.send_message(Message("x"))


@pytest.mark.brokers("address_hint", "relays")
def test_no_address(broker: RealBroker) -> None:
    with sender(broker, "") as client, pytest.raises(AMQPError, match=re.escape(broker.address_hint)):
        client.send_message(Message("never"))


def test_a_port_that_nothing_listens_on() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    auth = SASLPlain("localhost", "amqp", "secret", port=port, use_tls=False)
    with soon(), pytest.raises(AMQPConnectionError, match=str(port)):
        with SendClient(Target("amqp://localhost", node="q"), auth=auth) as client:
            client.send_message(Message("never"))


def test_a_certificate_that_is_not_trusted(broker: RealBroker, queue: str, ca: Path) -> None:
    """The broker's CA is none of the system's."""
    auth = SASLPlain(broker.host, broker.user, broker.password, port=broker.tls_port)
    with soon(), sender(broker, broker.address(queue), auth=auth) as client:
        with pytest.raises(AMQPConnectionError, match=r"(?i)certificate"):
            client.send_message(Message("never"))


def test_tls_to_a_port_without_it(broker: RealBroker, queue: str, ca: Path) -> None:
    auth = SASLPlain(broker.host, broker.user, broker.password, port=broker.port, verify=str(ca))
    with soon(40), sender(broker, broker.address(queue), auth=auth) as client:
        with pytest.raises(AMQPConnectionError, match=r"(?i)TLS|SSL"):
            client.send_message(Message("never"))


def test_plain_tcp_to_a_tls_port(broker: RealBroker, queue: str, ca: Path) -> None:
    auth = SASLPlain(broker.host, broker.user, broker.password, port=broker.tls_port, use_tls=False)
    with soon(60), sender(broker, broker.address(queue), auth=auth) as client, pytest.raises(AMQPConnectionError):
        client.send_message(Message("never"))


def durable(text: str) -> Message:
    header = MessageHeader()
    header.durable = True
    return Message(text, header=header)


class Crash:
    """Kills a broker in mid-stream: when so many messages are through."""

    def __init__(self, broker: RealBroker, after: int) -> None:
        self.broker, self.after = broker, after
        self.through: list[str] = []

    def count(self, text: str) -> None:
        self.through.append(text)
        if len(self.through) == self.after:
            self.broker.kill()


def send_until_it_ends(broker: RealBroker, address: str, crash: Crash) -> list[str]:
    """Sends in a stream that the crash ends; returns what the broker had acknowledged."""
    acknowledged: list[str] = []

    def sent(text: str) -> Any:
        def on_send_complete(result: MessageSendResult, error: Exception | None) -> None:
            if result == MessageSendResult.Ok:
                acknowledged.append(text)
                crash.count(text)

        return on_send_complete

    messages: list[Message] = []

    def send_for_ever() -> None:
        while True:
            batch = [durable(f"m{len(messages) + number}") for number in range(150)]
            for message in batch:
                message.on_send_complete = sent(str(message))
            messages.extend(batch)
            client.queue_message(*batch)
            client.send_all_messages(close_on_done=False)

    client = sender(broker, address)
    with soon(60):
        try:
            with pytest.raises(AMQPConnectionError):
                send_for_ever()
        finally:
            client.close()
    assert crash.after <= len(acknowledged) < len(messages)
    complete = [str(message) for message in messages if message.state == MessageState.SendComplete]
    assert sorted(complete) == sorted(acknowledged)
    return acknowledged


def receive_again(broker: RealBroker, address: str, awaited: set[str]) -> set[str]:
    """What a restarted broker has; ActiveMQ may take some seconds to find its messages again."""
    got: set[str] = set()
    with receiver(broker, address) as client:
        while not awaited <= got:
            batch = client.receive_message_batch(max_batch_size=300, timeout=PATIENCE)
            if not batch:
                break
            got.update(bodies(batch))
    return got


@pytest.mark.brokers("not durable_queue")
def test_the_broker_crashes_while_we_send(restarted: RealBroker, queue: str) -> None:
    send_until_it_ends(restarted, restarted.address(queue), Crash(restarted, 200))


@pytest.mark.brokers("durable_queue")
def test_nothing_acknowledged_is_lost_when_the_broker_crashes(restarted: RealBroker, durable_queue: str) -> None:
    acknowledged = send_until_it_ends(restarted, durable_queue, Crash(restarted, 200))
    restarted.start()
    assert set(acknowledged) <= receive_again(restarted, durable_queue, set(acknowledged))


@pytest.mark.brokers("durable_queue")
def test_nothing_unaccepted_is_lost_when_the_broker_crashes(restarted: RealBroker, durable_queue: str) -> None:
    with sender(restarted, durable_queue) as client:
        client.queue_message(*[durable(f"m{number}") for number in range(300)])
        assert client.send_all_messages() == [MessageState.SendComplete] * 300
    crash = Crash(restarted, 100)

    def on_message_received(message: Message) -> None:
        if len(crash.through) < crash.after:
            message.accept()
            crash.count(str(message))

    receiving = receiver(restarted, durable_queue, auto_complete=False)
    with soon(60):
        try:
            with pytest.raises(AMQPConnectionError):
                receiving.receive_messages(on_message_received)
        finally:
            receiving.close()
    restarted.start()
    unaccepted = {f"m{number}" for number in range(300)} - set(crash.through)
    assert len(unaccepted) == 200
    assert unaccepted <= receive_again(restarted, durable_queue, unaccepted)


def test_a_broker_that_stops_properly(restarted: RealBroker, queue: str) -> None:
    """It closes the connection, or drops it: a waiting receiver hears of it at once, not by a time-out."""
    with receiver(restarted, restarted.address(queue)) as client:
        while not client.client_ready():
            pass
        restarted.stop()
        with soon(), pytest.raises(AMQPConnectionError):
            client.receive_message_batch(timeout=60_000)
