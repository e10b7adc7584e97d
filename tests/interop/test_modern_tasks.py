"""The tasks of tests/support/tasks.py on each broker, and on a server made of python-qpid-proton."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.faces import Blocking
from tests.support.tasks import Invalid, Jobs, Place, Rows, Tries, Unavailable, run
from uamqp.brokers import rabbitmq
from uamqp.messaging import Message, Outcome, Plain, Released

from .brokerfacts import RealBroker
from .modern import PATIENCE, connected, left, place, send, trusting, url

pytestmark = pytest.mark.parametrize("form", ["aio", "sync"])


def fill(broker: RealBroker, queue: str, messages: list[Any]) -> None:
    face = Blocking()
    with connected(face, broker) as connection:
        send(face, connection, broker.address(queue), messages)


def stored(broker: RealBroker, queue: str, count: int) -> list[Message]:
    """Messages of a queue, which are gone then."""
    messages: list[Message] = []
    with (
        connected(Blocking(), broker) as connection,
        connection.open_receiver(broker.address(queue), prefetch=1000) as receiver,
    ):
        while len(messages) < count and (some := receiver.receive_many(count - len(messages), timeout=PATIENCE)):
            receiver.accept(some)
            messages += some
    return messages


def nothing_left(broker: RealBroker, queue: str) -> bool:
    face = Blocking()
    with connected(face, broker) as connection:
        return left(face, broker, connection, broker.address(queue)) == []


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_one_message_is_sent_safely(broker: RealBroker, queue: str, ca: Path, form: str) -> None:
    """Over TLS, to the second of two hosts, with a password that is asked for, and the default virtual host."""

    async def password() -> str:
        return broker.password

    options: dict[str, Any] = {
        "credentials": Plain(broker.user, password if form == "aio" else lambda: broker.password),
        "tls": trusting(ca),
    }
    if broker.name.startswith("rabbitmq"):
        options["hostname"] = rabbitmq.vhost("/")
    hosts = f"amqps://localhost:{unused_port()},localhost:{broker.tls_port}"
    run("send_one", form, Place(hosts, broker.address(queue), options))
    (message,) = stored(broker, queue, 1)
    assert (message.text(), message.subject, message.durable) == ("hello", "greeting", True)


def test_many_messages_are_sent_fast(broker: RealBroker, queue: str, form: str) -> None:
    """Not durable ones, since disks take their time."""
    rows = [b"row %d" % number for number in range(10_000)]
    report = run("send_rows", form, place(broker, queue), rows, False)
    assert (report.taken, report.accepted, report.failures) == (10_000, 10_000, ())
    assert [message.body for message in stored(broker, queue, 10_000)] == rows


def test_messages_are_submitted_now_and_looked_at_later(broker: RealBroker, queue: str, form: str) -> None:
    parked: dict[str, Outcome | None] = {}
    orders = {f"order-{number}": b"x" for number in range(100)}
    accepted = run("look_later", form, place(broker, queue), orders, parked.__setitem__)
    assert (accepted, parked) == (100, {})
    assert [message.message_id for message in stored(broker, queue, 100)] == list(orders)


@pytest.mark.brokers("releases_unroutable")
def test_what_no_queue_is_bound_for_is_known_later(broker: RealBroker, form: str) -> None:
    parked: dict[str, Outcome | None] = {}
    orders = {f"order-{number}": b"x" for number in range(100)}
    nowhere = Place(url(broker), rabbitmq.exchange("amq.topic", "nobody"))
    accepted = run("look_later", form, nowhere, orders, parked.__setitem__)
    assert (accepted, parked) == (0, dict.fromkeys(orders, Released()))


def test_ten_workers_consume(broker: RealBroker, queue: str, form: str) -> None:
    fill(broker, queue, Jobs.messages(200))
    jobs = Jobs(200, flaky=range(0, 200, 20))
    run("ten_workers", form, place(broker, queue), jobs)
    assert sorted(jobs.handled) == list(range(200))
    assert sorted(map(str, jobs.errors)) == sorted(f"job {number}" for number in range(0, 200, 20))
    assert nothing_left(broker, queue)


def test_batches_are_taken_as_they_are_there(broker: RealBroker, queue: str, form: str) -> None:
    bodies = [f"row {number}" for number in range(1200)]
    fill(broker, queue, bodies)
    rows = Rows(1200)
    run("take_batches", form, place(broker, queue), rows)
    assert rows.found == bodies
    assert nothing_left(broker, queue)


def plan(broker: RealBroker) -> dict[str, list[type[Exception] | None]]:
    """What becomes of messages, with regard to how the broker counts and rejects."""
    tries: dict[str, list[type[Exception] | None]] = {
        "good": [None],
        "bad": [Invalid],
        "flaky": [Unavailable, Unavailable, None],
        "hopeless": [Unavailable] * 6,
    }
    if not broker.counts_failures:  # then it is never too often
        tries["hopeless"].append(None)
    if broker.rejects_to_itself:
        tries["bad"].append(None)
        tries["hopeless"].append(None)
    return tries


@pytest.mark.brokers("not refuses_modified")
def test_messages_are_retried_or_rejected(broker: RealBroker, queue: str, form: str) -> None:
    tries = Tries(plan(broker))
    fill(broker, queue, list(tries.plan))
    run("retry_or_reject", form, place(broker, queue), tries)
    for text, counts in tries.counts.items():
        assert counts == (list(range(len(counts))) if broker.counts_failures else [0] * len(counts)), text
    assert nothing_left(broker, queue)
