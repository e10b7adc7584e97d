"""`uamqp.sync`: what threads are doing when another closes what they use ends, with a result or an error that says why.

What was accepted is there, once; what certainly wasn't sent isn't; and what nobody has accepted is given back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.support.links import fill, stored, url_of
from tests.support.threads import Call, Notes, counts_in, in_threads, together
from uamqp import sync
from uamqp.messaging import (
    AMQPError,
    ClosedError,
    ConnectionFailure,
    Message,
    NotSent,
    OperationTimeout,
    OutcomeUnknown,
    SendError,
    SendManyFailed,
    Timeouts,
)
from uamqp.messaging.many import SendReport
from uamqp.testing import Broker

THREADS = 8


class Place:
    """A connection, with a session, and a sender and a receiver in it."""

    def __init__(self, broker: Broker, **options: Any) -> None:
        self.broker = broker
        self.connection = sync.connect(url_of(broker), timeouts=Timeouts(close=options.pop("close", 5.0)))
        self.session = self.connection.open_session()
        self.sender = self.session.open_sender("q", **options)
        self.receiver = self.session.open_receiver("r")

    def end(self, what: str) -> None:
        """Close one of them, or lose the connection."""
        if what == "lost":
            self.broker.drop_connections()
        elif what == "forced":
            self.broker.close_connections()
        elif what == "aborted":
            self.connection.abort()
        else:
            getattr(self, what).close()


@pytest.fixture
def place(broker: Broker) -> Iterator[Place]:
    made = Place(broker)
    yield made
    made.connection.close()
    broker.wait_for(lambda: not broker.connections)


LINKS_END = ["session", "connection", "aborted", "lost", "forced"]


# -- while others send


class Sending:
    """Threads that send until that fails, and note what becomes of each message."""

    def __init__(self, sender: sync.Sender) -> None:
        self.sender = sender
        self.accepted, self.not_sent, self.unknown = Notes(), Notes(), Notes()
        self.unreported = Notes()  # see test_many_messages_of_a_sender_that_is_closed_meanwhile
        self.begun = threading.Event()

    def until_it_fails(self, thread: int) -> AMQPError:
        send = [self._one, self._submitted, self._many][thread % 3]
        for number in range(1_000_000):
            try:
                send(f"{thread}.{number}")
            except AMQPError as error:
                return error
            if len(self.accepted) > 3 * THREADS:
                self.begun.set()
        raise AssertionError("it goes on and on")

    def _one(self, body: str) -> None:
        self._note({body: lambda: self.sender.send(body)})

    def _submitted(self, body: str) -> None:
        deliveries = {}
        try:
            for number in range(3):
                deliveries[f"{body}.{number}"] = self.sender.submit(f"{body}.{number}").wait
        finally:
            self._note(deliveries)

    def _many(self, body: str) -> None:
        bodies = [f"{body}.{number}" for number in range(5)]
        try:
            report = self.sender.send_many(bodies, window=3, on_failure="collect")
        except SendManyFailed as error:
            report = reported(error)
        except ClosedError:
            self.unreported.add(*bodies)
            raise
        failed = {delivery.message.body: delivery.wait for delivery in report.failures}
        self._note({each: failed.get(each, lambda: None) for each in bodies[: report.taken]})
        if report.taken < len(bodies):
            raise ClosedError("it takes no more")

    def _note(self, ways: Mapping[str, Callable[[], Any]]) -> None:
        """Note what became of messages, and raise the last of their errors."""
        failure: AMQPError | None = None
        for body, way in ways.items():
            try:
                way()
            except OutcomeUnknown as error:
                self.unknown.add(body)
                failure = error
            except AMQPError as error:
                self.not_sent.add(body)
                failure = error
            else:
                self.accepted.add(body)
        if failure is not None:
            raise failure

    def check(self, broker: Broker) -> None:
        """Each message is where its sender was told."""
        arrived = counts_in(broker)
        notes = (self.accepted, self.not_sent, self.unknown, self.unreported)
        accepted, not_sent, unknown, unreported = (set(each.items) for each in notes)
        assert set(arrived.values()) == {1}
        assert accepted <= set(arrived) <= accepted | unknown | unreported
        assert not not_sent & set(arrived)


@pytest.mark.parametrize("what", ["sender", *LINKS_END])
def test_closing_while_others_send(place: Place, what: str) -> None:
    sending = Sending(place.sender)
    calls = [Call(lambda number=number: sending.until_it_fails(number)) for number in range(THREADS)]  # type: ignore[misc]
    assert sending.begun.wait(30)
    place.end(what)
    errors = [call.result() for call in calls]
    place.connection.close()
    sending.check(place.broker)
    if what in ("sender", "session", "connection"):
        assert not sending.unknown.items  # the outcomes of what was on its way were waited for
        assert all(isinstance(error, (ClosedError, NotSent)) for error in errors)


def test_many_messages_of_a_sender_that_is_closed_meanwhile(broker: Broker, place: Place) -> None:
    broker.faults.withhold_outcomes = True
    sending = Call(lambda: place.sender.send_many(range(6), window=3))
    broker.wait_for(lambda: broker.queue("q").depth == 3)
    closing = Call(lambda: place.sender.close(timeout=None))
    while takes_more(place.sender):
        pass
    broker.faults.withhold_outcomes = False
    closing.result()
    with pytest.raises(SendManyFailed) as caught:
        sending.result()
    assert reported(caught.value).accepted == sum(body in range(6) for body in stored(broker))


def reported(error: SendManyFailed) -> SendReport:
    assert error.report is not None
    return error.report


def takes_more(sender: sync.Sender) -> bool:
    try:
        sender.submit_nowait("one more").cancel()
    except ClosedError:
        return False
    return True


WAITS: dict[str, Callable[[Place], Any]] = {
    "send": lambda place: place.sender.send("x"),
    "submit": lambda place: place.sender.submit("x"),
    "wait": lambda place: place.sender.submit_nowait("x", timeout=None).wait(),
    "send_many": lambda place: place.sender.send_many(["x"] * 9, window=2),
    "flush": lambda place: place.sender.flush(timeout=None),
}


@pytest.mark.parametrize("kept", ["credit", "outcomes"])
@pytest.mark.parametrize("what", ["sender", *LINKS_END])
def test_closing_while_others_wait_to_send(broker: Broker, what: str, kept: str) -> None:
    """None of them waits any longer, and none is told that its message was accepted."""
    setattr(broker.faults, f"withhold_{kept}", True)
    place = Place(broker, max_pending=6, close=0)
    first = place.sender.submit("first")
    broker.wait_for(lambda: kept == "credit" or broker.queue("q").depth == 1)
    waits = [WAITS[name] for name in ("send", "send", "send_many", "send_many", "submit", "submit")]
    calls = together([lambda wait=wait: wait(place) for wait in waits])  # type: ignore[misc]
    while place.sender.stats().taken < 6:
        pass
    place.end(what)
    errors = [call.error() for call in calls]
    with pytest.raises(NotSent if kept == "credit" and what != "forced" else SendError):
        first.wait()
    assert all(errors[:4])
    if kept == "credit":
        assert stored(broker) == []
    place.connection.close()
    assert place.sender.pending == 0


@pytest.mark.parametrize("what", LINKS_END)
def test_closing_while_others_flush(broker: Broker, what: str) -> None:
    broker.faults.withhold_outcomes = True
    place = Place(broker, close=0)
    place.sender.submit("x", timeout=None)
    calls = together([lambda: place.sender.flush(timeout=100)] * 4)
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    place.end(what)
    assert [call.error() for call in calls] == [None] * 4  # nothing is pending
    place.connection.close()


# -- while others receive


@pytest.mark.parametrize("what", ["receiver", "stopped", *LINKS_END])
def test_closing_while_others_wait_for_messages(place: Place, what: str) -> None:
    receiver = place.receiver
    waits: list[Callable[[], Any]] = [
        receiver.receive,
        lambda: receiver.receive(timeout=100),
        lambda: receiver.receive_many(3),
        lambda: receiver.receive_many(3, minimum=2, timeout=100),
        lambda: list(receiver),
        lambda: list(receiver.batches()),
        lambda: list(place.connection.events()) if what not in ("receiver", "stopped", "session") else None,
    ]
    calls = together(waits)
    place.broker.wait_for(lambda: place.broker.queue("r").consumers == 1)
    if what == "stopped":
        receiver.stop()
    else:
        place.end(what)
    errors = [call.error() for call in calls]
    assert all(errors[:4])
    if what in ("lost", "forced"):
        assert all(isinstance(error, ConnectionFailure) for error in errors[:6])
    else:
        assert all(isinstance(error, ClosedError) for error in errors[:4])
        assert errors[4:] == [None] * 3


@pytest.mark.parametrize("settle", ["manual", "on_receive", "on_next"])
@pytest.mark.parametrize("what", ["receiver", "stopped", *LINKS_END])
def test_closing_while_others_receive(broker: Broker, what: str, settle: str) -> None:
    """Each message is accepted by one, or comes again."""
    total = 400
    fill(broker, total)
    place = Place(broker)
    receiver = place.connection.open_receiver("q", settle=settle, prefetch=20)  # type: ignore[arg-type]
    found = Notes()
    begun = threading.Event()

    def receive(thread: int) -> None:
        iterator = iter(receiver)
        while True:
            try:
                message = next(iterator) if thread % 2 or settle == "on_next" else receiver.receive()
            except (StopIteration, AMQPError):
                return
            if settle == "manual":
                message.accept()
            found.add(message.body)
            if len(found) > 3 * THREADS:
                begun.set()

    calls = [Call(lambda number=number: receive(number)) for number in range(THREADS)]  # type: ignore[misc]
    assert begun.wait(30)
    if what in ("receiver", "stopped", "session"):
        receiver.stop() if what == "stopped" else receiver.close()
    else:
        place.end(what)
    for call in calls:
        call.result()
    place.connection.close()
    queue = broker.queue("q")
    broker.wait_for(lambda: not broker.connections and queue.unsettled == 0)
    accepted = queue.counters.accepted
    assert accepted + queue.depth == total
    assert set(found.counts.values()) == {1}
    assert accepted <= len(found)
    assert set(stored(broker)) | set(found.items) == set(range(total))


@pytest.mark.parametrize("what", ["receiver", *LINKS_END])
def test_closing_while_others_settle(broker: Broker, what: str) -> None:
    """Settling never raises for a link that has gone: its settlement says so."""
    fill(broker, 60)
    place = Place(broker)
    receiver = place.connection.open_receiver("q")
    messages = receiver.receive_many(60, minimum=60)
    barrier = threading.Barrier(THREADS + 1)

    def settle(thread: int) -> int:
        barrier.wait(30)
        mine = messages[thread::THREADS]
        for message in mine:
            message.accept() if thread % 2 else receiver.accept([message])
        return len(mine)

    calls = [Call(lambda number=number: settle(number)) for number in range(THREADS)]  # type: ignore[misc]
    barrier.wait(30)
    if what in ("receiver", "session"):
        receiver.close()
    else:
        place.end(what)
    assert sum(call.result() for call in calls) == 60
    place.connection.close()
    queue = broker.queue("q")
    broker.wait_for(lambda: not broker.connections and queue.unsettled == 0)
    stats = receiver.stats()
    assert stats.settled + stats.settlements_lost == 60
    assert queue.counters.accepted + queue.depth == 60
    assert queue.counters.accepted <= stats.settled


# -- closing by many, and while others open


@pytest.mark.parametrize("what", ["sender", "receiver", "session", "connection", "aborted"])
def test_closing_by_many_threads(place: Place, what: str) -> None:
    place.sender.submit("x")
    in_threads(THREADS, lambda _: place.end(what))
    if what != "aborted":
        assert stored(place.broker) == ["x"]
    if what in ("connection", "aborted"):
        assert place.connection.state == "closed"


@pytest.mark.parametrize("order", [["sender", "session", "connection"], ["connection", "aborted", "receiver", "lost"]])
def test_closing_all_at_once(broker: Broker, order: list[str]) -> None:
    place = Place(broker)
    fill(broker, 5)
    place.sender.submit("x")
    for call in together([lambda what=what: place.end(what) for what in order * 2]):  # type: ignore[misc]
        call.result()
    place.connection.close()
    broker.wait_for(lambda: not broker.connections)


@pytest.mark.parametrize("what", ["session", *LINKS_END])
def test_closing_while_others_open(place: Place, what: str) -> None:
    connection, session = place.connection, place.session
    ways: list[Callable[[], Any]] = [
        lambda: connection.open_sender("q2") if what != "session" else session.open_sender("q2"),
        lambda: session.open_sender("q2"),
        lambda: session.open_receiver("r2"),
        lambda: connection.open_session() if what != "session" else session.open_receiver("r2"),
    ]
    opened = Notes()
    begun = threading.Event()

    def open_and_close(thread: int) -> AMQPError:
        while True:
            try:
                link = ways[thread % len(ways)]()
                opened.add(thread)
                if len(opened) > THREADS:
                    begun.set()
                link.close()
            except AMQPError as error:
                return error

    calls = [Call(lambda number=number: open_and_close(number)) for number in range(THREADS)]  # type: ignore[misc]
    assert begun.wait(30)
    place.end(what)
    errors = [call.result() for call in calls]
    assert not any(isinstance(error, OperationTimeout) for error in errors), errors
    if what == "session":
        assert connection.open_sender("q").state == "open"


def test_closing_while_others_connect(broker: Broker) -> None:
    """Connections have nothing to do with one another."""

    def work(thread: int) -> None:
        with sync.connect(url_of(broker)) as connection:
            connection.open_sender("q").send(thread)

    for _ in range(3):
        in_threads(THREADS, work)
    assert counts_in(broker) == dict.fromkeys(range(THREADS), 3)
    broker.wait_for(lambda: not broker.connections)


# -- callbacks


@pytest.mark.parametrize("what", ["sender", "receiver", "session", "connection", "aborted"])
def test_a_callback_that_closes(place: Place, what: str) -> None:
    """It is told to do nothing that waits, and yet nobody hangs."""
    closed = threading.Event()

    def close(_: sync.Delivery) -> None:
        try:
            place.end(what)
        finally:
            closed.set()

    delivery = place.sender.submit("x")
    delivery.add_done_callback(close)
    calls = together([lambda: place.sender.send("y"), place.receiver.receive if what != "sender" else lambda: None])
    delivery.wait()
    assert closed.wait(30)
    for call in calls:
        call.error()
    assert stored(place.broker)[0] == "x"


def test_a_callback_that_waits_for_another_message(place: Place) -> None:
    """Likewise."""
    sent = threading.Event()

    def send(_: sync.Delivery) -> None:
        place.sender.send("from the callback")
        sent.set()

    delivery = place.sender.submit("x")
    delivery.add_done_callback(send)
    calls = together([lambda: place.sender.send("y")] * 3)
    delivery.wait()
    assert sent.wait(30)
    for call in calls:
        call.result()
    assert counts_in(place.broker) == {"x": 1, "y": 3, "from the callback": 1}


def test_an_event_handler_that_uses_the_connection(broker: Broker) -> None:
    """It is called for the end, when nothing is left to be used."""
    errors = Notes()
    told = threading.Event()

    def use(event: sync.ConnectionEvent) -> None:
        if event.kind == "failed":
            for way in (
                lambda: sender.submit_nowait("x"),
                sender.flush,
                sender.close,
                message.accept,
                connection.close,
            ):
                try:
                    way()
                except AMQPError as error:
                    errors.add(type(error).__name__)
            told.set()

    connection = sync.connect(url_of(broker), on_event=use)
    sender = connection.open_sender("q")
    fill(broker, 1)
    message: Message = connection.open_receiver("q").receive()
    broker.drop_connections()
    assert told.wait(30)
    assert errors.counts == {"ConnectionLost": 1}
    assert connection.state == "failed"
