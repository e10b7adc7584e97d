"""Tasks of users, as whole programs in both forms, on the embedded broker."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.tasks import Invalid, Jobs, Place, Rows, Tries, Unavailable, run
from uamqp.brokers import rabbitmq
from uamqp.messaging import (
    AuthenticationFailed,
    Message,
    MessageRejected,
    MessageReleased,
    Outcome,
    Plain,
    Rejected,
    Released,
)
from uamqp.testing import Broker, error

pytestmark = pytest.mark.parametrize("face", ["aio", "sync"])


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Broker, ssl.SSLContext]]:
    """A broker with TLS and a user, and a context that trusts it."""
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Broker(users={"app": "new"}, tls_cert=certificate) as broker:
        yield broker, context


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def put(broker: Broker, *bodies: Any) -> None:
    for body in bodies:
        message = body if isinstance(body, Message) else Message(body)
        broker.put("orders", message.encode())


def test_one_message_is_sent_safely(face: str, secure: tuple[Broker, ssl.SSLContext]) -> None:
    """The first host doesn't answer, and the password has changed meanwhile."""
    broker, context = secure
    vault = ["old", "new"]

    async def password_later() -> str:
        return vault.pop(0)

    place = Place(
        f"amqps://localhost:{unused_port()},localhost:{broker.port}",
        "orders",
        {
            "credentials": Plain("app", password_later if face == "aio" else lambda: vault.pop(0)),
            "tls": context,
            "hostname": rabbitmq.vhost("prod"),
        },
    )
    vault.insert(0, "for the host that isn't there")
    with pytest.raises(AuthenticationFailed):
        run("send_one", face, place)
    vault.insert(0, "for the host that isn't there")
    run("send_one", face, place)
    (view,) = broker.queue("orders").messages
    message = Message.decode(view.payload)
    assert (message.text(), message.subject, message.durable) == ("hello", "greeting", True)


def test_many_messages_are_sent_fast(face: str, broker: Broker) -> None:
    rows = [b"row %d" % number for number in range(5000)]
    report = run("send_rows", face, Place(broker.url, "orders"), rows)
    assert (report.taken, report.accepted, report.failures) == (5000, 5000, ())
    assert [view.body for view in broker.queue("orders").messages] == rows


def refuse(broker: Broker, outcomes: Mapping[bytes, Any]) -> None:
    """Have messages with certain bodies refused."""
    broker.faults.outcome = lambda address, payload: outcomes.get(Message.decode(payload).body)


def test_of_many_messages_each_is_known(face: str, broker: Broker) -> None:
    refuse(broker, {b"row 7": Released(), b"row 90": Rejected(error("app:no"))})
    rows = [b"row %d" % number for number in range(100)]
    report = run("send_rows", face, Place(broker.url, "orders"), rows)
    assert (report.taken, report.accepted) == (100, 98)
    first, second = report.failures
    assert (first.message.body, type(first.error)) == (b"row 7", MessageReleased)
    assert (second.message.body, type(second.error)) == (b"row 90", MessageRejected)


def test_messages_are_submitted_now_and_looked_at_later(face: str, broker: Broker) -> None:
    refuse(broker, {b"released": Released(), b"rejected": Rejected(error("app:no"))})
    parked: dict[str, Outcome | None] = {}
    orders = {f"order-{number}": b"taken" for number in range(98)}
    orders |= {"order-98": b"released", "order-99": b"rejected"}
    accepted = run("look_later", face, Place(broker.url, "orders"), orders, parked.__setitem__)
    assert accepted == 98
    assert parked == {"order-98": Released(), "order-99": Rejected(error("app:no"))}
    stored = [Message.decode(view.payload).message_id for view in broker.queue("orders").messages]
    assert stored == [f"order-{number}" for number in range(98)]


def test_what_has_no_outcome_is_known_as_well(face: str, broker: Broker) -> None:
    """The connection goes before the broker has said what becomes of the orders."""
    broker.faults.withhold_outcomes = True
    parked: dict[str, Outcome | None] = {}
    orders = {f"order-{number}": b"x" for number in range(3)}
    with ThreadPoolExecutor() as pool:
        place = Place(broker.url, "orders")
        accepted = pool.submit(run, "look_later", face, place, orders, parked.__setitem__)
        broker.wait_for(lambda: broker.queue("orders").depth == 3)
        broker.drop_connections()
        assert accepted.result() == 0
    assert parked == dict.fromkeys(orders)


def test_ten_workers_consume(face: str, broker: Broker) -> None:
    put(broker, *Jobs.messages(200))
    jobs = Jobs(200, flaky=range(0, 200, 20))
    run("ten_workers", face, Place(broker.url, "orders"), jobs)
    assert sorted(jobs.handled) == list(range(200))
    assert sorted(map(str, jobs.errors)) == sorted(f"job {number}" for number in range(0, 200, 20))
    broker.wait_for(lambda: broker.queue("orders").depth == 0)
    counters = broker.queue("orders").counters
    assert (counters.accepted, counters.modified) == (200, 10)


def test_batches_are_taken_as_they_are_there(face: str, broker: Broker) -> None:
    put(broker, *(f"row {number}" for number in range(1200)))
    rows = Rows(1200)
    run("take_batches", face, Place(broker.url, "orders"), rows)
    assert rows.found == [f"row {number}" for number in range(1200)]
    assert max(map(len, rows.batches)) <= 500
    broker.wait_for(lambda: broker.queue("orders").depth == 0)
    assert broker.queue("orders").counters.accepted == 1200


def test_messages_are_retried_or_rejected(face: str, broker: Broker) -> None:
    tries = Tries(
        {
            "good": [None],
            "bad": [Invalid],
            "flaky": [Unavailable, Unavailable, None],
            "hopeless": [Unavailable] * 6,
        }
    )
    put(broker, *tries.plan)
    run("retry_or_reject", face, Place(broker.url, "orders"), tries)
    assert tries.counts == {"good": [0], "bad": [0], "flaky": [0, 1, 2], "hopeless": [0, 1, 2, 3, 4, 5]}
    broker.wait_for(lambda: broker.queue("orders").depth == 0)
    letters = [Message.decode(view.payload) for view in broker.dead_letters("orders").messages]
    assert {letter.text(): letter.annotations["x-opt-dead-letter-reason"] for letter in letters} == {
        "bad": "app:invalid",
        "hopeless": "app:too-many-tries",
    }
