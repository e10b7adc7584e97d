"""Sending with the modern API, in both faces: what each broker makes of messages, senders and connections."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.faces import Face, both_faces
from uamqp import aio
from uamqp.brokers import rabbitmq
from uamqp.messaging import (
    Accepted,
    AccessDenied,
    ConnectionFailure,
    LinkRefused,
    Message,
    MessageReleased,
    MessageTooLarge,
    NodeNotFound,
    NotAccepted,
    NotSent,
    OutcomeUnknown,
    SendManyFailed,
)

from .brokerfacts import RealBroker
from .modern import PATIENCE, bodies, connected, left, numbers, send, take

pytestmark = both_faces


# -- outcomes


def test_outcomes_later(face: Face, broker: RealBroker, queue: str) -> None:
    seen: list[Any] = []
    address = broker.address(queue)
    with connected(face, broker) as connection, face.open(lambda: connection.open_sender(address)) as sender:
        deliveries = [face.go(lambda body=body: sender.submit(body)) for body in numbers(50)]  # type: ignore[misc]
        for delivery in deliveries:
            face.go(lambda delivery=delivery: delivery.add_done_callback(seen.append))  # type: ignore[misc]
        face.go(sender.flush)
        assert sender.pending == 0
        assert [face.wait(delivery) for delivery in deliveries] == [Accepted()] * 50
        assert all(delivery.done and delivery.sent and delivery.error is None for delivery in deliveries)
        assert left(face, broker, connection, address, 50) == numbers(50)
    assert sorted(map(id, seen)) == sorted(map(id, deliveries))


@pytest.mark.brokers("releases_unroutable")
def test_what_no_queue_is_bound_for_is_released(face: Face, broker: RealBroker, queue: str) -> None:
    nowhere = rabbitmq.exchange("amq.topic", "nobody")
    with connected(face, broker) as connection, face.open(lambda: connection.open_sender(nowhere)) as sender:
        with pytest.raises(MessageReleased, match="no queue is bound"):
            face.go(lambda: sender.send("x"))
        report = face.go(lambda: sender.send_many(numbers(100), on_failure="collect"))
        assert (report.taken, report.accepted, len(report.failures)) == (100, 0, 100)
        assert {type(delivery.error) for delivery in report.failures} == {MessageReleased}
        with pytest.raises(SendManyFailed, match="no queue is bound") as caught:
            face.go(lambda: sender.send_many(numbers(1000), window=10))
        assert caught.value.report is not None
        assert caught.value.report.taken < 1000
        assert sender.state == "open"


def test_presettled_messages(face: Face, broker: RealBroker, queue: str) -> None:
    """What is sent settled has no outcome, and arrives all the same here."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        with face.open(lambda: connection.open_sender(address, presettled=True)) as sender:
            deliveries = [face.go(lambda body=body: sender.submit(body)) for body in numbers(20)]  # type: ignore[misc]
            assert [face.wait(delivery) for delivery in deliveries] == [None] * 20
            face.go(lambda: sender.send("the last"))
        with face.open(lambda: connection.open_receiver(address)) as receiver:
            messages = take(face, receiver, 21)
            assert bodies(messages) == [*numbers(20), "the last"]
            face.go(lambda: receiver.accept(messages))


@pytest.mark.brokers("message_limit")
def test_a_message_that_is_larger_than_the_broker_takes(face: Face, broker: RealBroker, queue: str) -> None:
    """It isn't sent, and nothing else suffers."""
    address = broker.address(queue)
    with connected(face, broker) as connection, face.open(lambda: connection.open_sender(address)) as sender:
        assert sender.max_message_size == broker.message_limit
        with pytest.raises(MessageTooLarge, match=str(broker.message_limit)):
            face.go(lambda: sender.submit(bytes(broker.message_limit)))
        face.go(lambda: sender.send("small"))
        assert left(face, broker, connection, address, 1) == ["small"]


# -- many at a time


def test_many_send_at_once(face: Face, broker: RealBroker, queue: str) -> None:
    """Over one sender: a hundred tasks, or ten threads. Each one's messages keep their order."""
    address = broker.address(queue)
    with connected(face, broker) as connection, face.open(lambda: connection.open_sender(address)) as sender:
        if face.name == "aio":
            senders, count = 100, 5
            face.go(lambda: send_from_tasks(sender, senders, count))
        else:
            senders, count = 10, 50

            def run(who: int) -> None:
                for number in range(count):
                    sender.send(f"{who}.{number}")

            with ThreadPoolExecutor(senders) as pool:
                list(pool.map(run, range(senders)))
        got = left(face, broker, connection, address, senders * count)
    for who in range(senders):
        mine = [body for body in got if body.startswith(f"{who}.")]
        assert mine == [f"{who}.{number}" for number in range(count)]


async def send_from_tasks(sender: aio.Sender, senders: int, count: int) -> None:
    import asyncio

    async def run(who: int) -> None:
        for number in range(count):
            await sender.send(f"{who}.{number}")

    await asyncio.gather(*map(run, range(senders)))


@pytest.mark.brokers("sessions")
def test_more_links_than_a_connection_has_sessions(face: Face, broker: RealBroker, queue: str) -> None:
    """Links that are open share them."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        receivers = [
            face.go(lambda: connection.open_receiver(address, prefetch=0)) for _ in range(broker.sessions + 10)
        ]
        assert {receiver.state for receiver in receivers} == {"open"}
        send(face, connection, address, ["x"])
        message = face.go(lambda: receivers[-1].receive(PATIENCE))
        face.wait(face.go(message.accept))


@pytest.mark.brokers("sessions")
def test_many_links_one_after_the_other(face: Face, broker: RealBroker, queue: str) -> None:
    """Links that are closed leave their sessions. RabbitMQ 4.0 may lose the begin on a channel that was just ended."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        for _ in range(200):
            with face.open(lambda: connection.open_sender(address)) as sender:
                assert sender.state == "open"


# -- the anonymous relay


def test_the_anonymous_relay(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        if not broker.relays:
            with pytest.raises(LinkRefused):
                face.go(lambda: connection.open_sender(None))
            return
        with face.open(lambda: connection.open_sender(None)) as sender:
            for body in numbers(5):
                face.go(lambda body=body: sender.send(Message(body, to=address)))  # type: ignore[misc]
            nowhere = broker.address(f"nosuch/{uuid.uuid4().hex[:12]}/x")
            try:
                face.go(lambda: sender.send(Message("lost", to=nowhere)))
            except NotAccepted:
                assert broker.name in {"rabbitmq4", "rabbitmq43", "brokerj"}
            face.go(lambda: sender.send(Message("the last", to=address)))
        assert left(face, broker, connection, address, 6) == [*numbers(5), "the last"]


# -- refusals


@pytest.mark.brokers("refuses_unknown")
def test_an_unknown_queue(face: Face, broker: RealBroker, queue: str) -> None:
    """A link that can't be opened fails alone, although the broker may end its session for it."""
    address, unknown = broker.address(queue), broker.address(f"nosuch-{uuid.uuid4().hex[:12]}")
    with connected(face, broker) as connection:
        with face.open(lambda: connection.open_sender(address)) as sender:
            for open_link in (connection.open_sender, connection.open_receiver):
                with pytest.raises(NodeNotFound, match="no queue") as caught:
                    face.go(lambda open_link=open_link: open_link(unknown))  # type: ignore[misc]
                assert caught.value.condition == "amqp:not-found"
                assert not caught.value.is_temporary
                face.go(lambda: sender.send("busy"))
        assert left(face, broker, connection, address, 2) == ["busy", "busy"]


@pytest.mark.brokers("internal_exchange")
def test_access_is_denied(face: Face, broker: RealBroker) -> None:
    with connected(face, broker) as connection:
        with pytest.raises(AccessDenied, match="forbidden"):
            face.go(lambda: connection.open_sender(broker.internal_exchange))
        assert connection.state == "open"


@pytest.mark.brokers("bad_addresses")
def test_a_bad_address(face: Face, broker: RealBroker) -> None:
    with connected(face, broker) as connection:
        for address in broker.bad_addresses:
            with pytest.raises((LinkRefused, NodeNotFound)) as caught:
                face.go(lambda: connection.open_sender(address))  # noqa: B023 (at once)
            assert str(caught.value.description) in str(caught.value)
        assert connection.state == "open"


# -- what goes


@pytest.mark.brokers("not durable_queue")  # one that is soon there again
def test_the_broker_goes(face: Face, restarted: RealBroker) -> None:
    """What is known of each message, and whoever waits hears of it at once."""
    names = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    with connected(face, restarted) as connection:
        receiver = face.go(lambda: connection.open_receiver(names[0]))
        waiting = face.spawn(receiver.receive)
        sender = face.go(lambda: connection.open_sender(names[1]))
        deliveries = [face.go(lambda body=body: sender.submit(body)) for body in numbers(2000)]  # type: ignore[misc]
        face.wait(deliveries[0])
        restarted.kill()
        with pytest.raises(ConnectionFailure):
            waiting.result()
        errors = [delivery.error for delivery in deliveries]
        assert all(delivery.done for delivery in deliveries)
        assert {type(error) for error in errors} <= {type(None), OutcomeUnknown, NotSent}
        assert all(isinstance(error.__cause__, ConnectionFailure) for error in errors if error is not None)
        with pytest.raises(ConnectionFailure):
            face.go(lambda: sender.send("too late"))
        assert (connection.state, sender.state, receiver.state) == ("failed", "failed", "failed")
    restarted.start()
    with connected(face, restarted) as connection:
        send(face, connection, names[1], ["again"])
