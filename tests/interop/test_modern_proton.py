"""The modern API, in both faces, against a server made of python-qpid-proton: the tasks, outcomes and settle modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.faces import Face, both_faces
from tests.support.tasks import Invalid, Jobs, Place, Rows, Tries, Unavailable, run
from uamqp.messaging import (
    AMQPError,
    Anonymous,
    ConnectionClosed,
    Message,
    MessageModified,
    MessageRejected,
    MessageReleased,
    NodeDeleted,
    NotAccepted,
    Outcome,
    Released,
)

from .modern import PATIENCE, bodies, numbers, take

if TYPE_CHECKING:
    from .protonserver import ProtonServer

pytestmark = [pytest.mark.usefixtures("proton"), both_faces]


@pytest.fixture
def server(proton: None) -> Iterator[ProtonServer]:
    from .protonserver import ProtonServer

    with ProtonServer() as running:
        yield running


@pytest.fixture
def place(server: ProtonServer) -> Place:
    return Place(f"amqp://localhost:{server.port}", "q", {"credentials": Anonymous()})


def seen(server: ProtonServer, count: int) -> list[str]:
    """The outcomes that it was told."""
    return [server.seen.get(timeout=PATIENCE) for _ in range(count)]


# -- the tasks


def test_one_message_is_sent_safely(face: Face, server: ProtonServer, place: Place) -> None:
    run("send_one", face.name, place)
    (message,) = server.queues["q"]
    assert (message.body, message.subject, message.durable) == ("hello", "greeting", True)


def test_many_messages_are_sent_fast(face: Face, server: ProtonServer, place: Place) -> None:
    rows = [b"row %d" % number for number in range(2000)]
    report = run("send_rows", face.name, place, rows)
    assert (report.taken, report.accepted, report.failures) == (2000, 2000, ())
    assert [bytes(message.body) for message in server.queues["q"]] == rows


def test_messages_are_submitted_now_and_looked_at_later(face: Face, server: ProtonServer, place: Place) -> None:
    from proton import Delivery

    parked: dict[str, Outcome | None] = {}
    orders = {f"order-{number}": b"x" for number in range(100)}
    assert run("look_later", face.name, place, orders, parked.__setitem__) == 100
    assert [message.id for message in server.queues["q"]] == list(orders)
    server.answer = int(Delivery.RELEASED)
    assert run("look_later", face.name, place, orders, parked.__setitem__) == 0
    assert parked == dict.fromkeys(orders, Released())


def test_ten_workers_consume(face: Face, server: ProtonServer, place: Place) -> None:
    server.put("q", *(message.body.decode() for message in Jobs.messages(200)))
    jobs = Jobs(200, flaky=range(0, 200, 20))
    run("ten_workers", face.name, place, jobs)
    assert sorted(jobs.handled) == list(range(200))
    outcomes = seen(server, 210)
    assert (outcomes.count("accepted settled"), outcomes.count("modified settled")) == (200, 10)


def test_batches_are_taken_as_they_are_there(face: Face, server: ProtonServer, place: Place) -> None:
    server.put("q", *numbers(1200))
    rows = Rows(1200)
    run("take_batches", face.name, place, rows)
    assert rows.found == numbers(1200)
    assert set(seen(server, 1200)) == {"accepted settled"}


def test_messages_are_retried_or_rejected(face: Face, server: ProtonServer, place: Place) -> None:
    """It counts no deliveries."""
    tries = Tries({"good": [None], "bad": [Invalid], "flaky": [Unavailable, Unavailable, None]})
    server.put("q", *tries.plan)
    run("retry_or_reject", face.name, place, tries)
    assert tries.counts == {"good": [0], "bad": [0], "flaky": [0, 0, 0]}
    outcomes = seen(server, 5)
    assert sorted(outcomes) == ["accepted settled"] * 2 + ["modified settled"] * 2 + ["rejected settled"]


# -- outcomes


@pytest.mark.parametrize(
    ("outcome", "kind"), [("RELEASED", MessageReleased), ("REJECTED", MessageRejected), ("MODIFIED", MessageModified)]
)
def test_a_message_that_is_not_accepted(
    face: Face, server: ProtonServer, place: Place, outcome: str, kind: type[NotAccepted]
) -> None:
    from proton import Delivery

    server.answer = int(getattr(Delivery, outcome))
    with (
        face.open(lambda: face.connect(place.url, **place.options)) as connection,
        face.open(lambda: connection.open_sender("q")) as sender,
    ):
        with pytest.raises(kind) as caught:
            face.go(lambda: sender.send("no"))
        assert caught.value.delivery is not None
        assert caught.value.delivery.message.body == "no"
        assert caught.value.delivery.outcome == caught.value.outcome


@pytest.mark.parametrize(
    ("settle", "name"),
    [
        (lambda message: message.accept(), "accepted"),
        (lambda message: message.reject("example:no", "no"), "rejected"),
        (lambda message: message.release(), "released"),
        (lambda message: message.modify(delivery_failed=True), "modified"),
    ],
    ids=["accepted", "rejected", "released", "modified"],
)
@pytest.mark.parametrize("confirm", [False, True])
def test_our_outcomes(
    face: Face, server: ProtonServer, place: Place, settle: Callable[[Message], Any], name: str, confirm: bool
) -> None:
    """With `confirm` the outcome goes out unsettled, and the server settles first."""
    server.put("q", "one")
    with (
        face.open(lambda: face.connect(place.url, **place.options)) as connection,
        face.open(lambda: connection.open_receiver("q", prefetch=1, confirm=confirm)) as receiver,
    ):
        (message,) = take(face, receiver, 1)
        settlement = face.go(lambda: settle(message))
        face.wait(settlement)
        assert settlement.done
        assert seen(server, 1) == [f"{name} {'unsettled' if confirm else 'settled'}"]


def test_presettled_both_ways(face: Face, server: ProtonServer, place: Place) -> None:
    with face.open(lambda: face.connect(place.url, **place.options)) as connection:
        with face.open(lambda: connection.open_sender("q", presettled=True)) as sender:
            for body in numbers(50):
                face.go(lambda body=body: sender.send(body))  # type: ignore[misc]
        with face.open(lambda: connection.open_receiver("q", presettled=True)) as receiver:
            messages = take(face, receiver, 50)
            assert bodies(messages) == numbers(50)
            assert all(message.settled for message in messages)
    assert server.seen.empty()


def test_a_large_message(face: Face, server: ProtonServer, place: Place) -> None:
    body = bytes(range(256)) * 4096 * 4
    with face.open(lambda: face.connect(place.url, **place.options)) as connection:
        with face.open(lambda: connection.open_sender("q")) as sender:
            face.go(lambda: sender.send(body))
        with face.open(lambda: connection.open_receiver("q")) as receiver:
            (message,) = take(face, receiver, 1)
            face.wait(face.go(message.accept))
    assert message.body == body


# -- the end


@pytest.mark.parametrize(
    ("endpoint", "kind"), [("connection", ConnectionClosed), ("session", NodeDeleted), ("link", NodeDeleted)]
)
def test_the_server_ends_it_with_an_error(
    face: Face, server: ProtonServer, place: Place, endpoint: str, kind: type[AMQPError]
) -> None:
    """The error's condition and description reach whoever waits; the end of the link's own session is the link's."""
    from proton import Condition

    def end() -> None:
        link = server.links["q"][0]
        closed = {"connection": link.connection, "session": link.session, "link": link}[endpoint]
        closed.condition = Condition("amqp:resource-deleted", "the queue has been deleted")
        closed.close()

    with face.open(lambda: face.connect(place.url, **place.options)) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        waiting = face.spawn(receiver.receive)
        server.do(end)
        with pytest.raises(kind, match="the queue has been deleted") as caught:
            waiting.result()
        assert caught.value.condition == "amqp:resource-deleted"
        assert connection.state == ("failed" if endpoint == "connection" else "open")
