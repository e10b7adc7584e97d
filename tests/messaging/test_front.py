"""Connections, senders and receivers of the modern API, with both faces, on the embedded broker."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.faces import Face, both_faces
from uamqp import aio, sync
from uamqp.messaging import (
    Accepted,
    AlreadySettled,
    BufferFull,
    ClosedError,
    ConfigurationError,
    ConnectFailed,
    ConnectionForced,
    FilterRefused,
    Message,
    MessageRejected,
    MessageReleased,
    NodeNotFound,
    NotSent,
    OperationTimeout,
    OutcomeTimeout,
    OutcomeUnknown,
    Plain,
    ReadOnlyMessage,
    Rejected,
    Released,
    SendCancelled,
    SendManyFailed,
    SendTimeout,
    UsageError,
    filters,
)
from uamqp.testing import Broker, error

pytestmark = both_faces


@contextmanager
def opened(face: Face, broker: Broker, method: str, **options: Any) -> Iterator[Any]:
    """A sender or receiver for the queue q."""
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: getattr(connection, method)("q", **options)) as link,
    ):
        yield link


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# -- connections


def test_a_connection(face: Face, broker: Broker) -> None:
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        assert (connection.state, connection.container_id) == ("open", "me")
        assert connection.endpoint == f"127.0.0.1:{broker.port}"
        (view,) = broker.connections
        assert view.container_id == "me"
    assert connection.state == "closed"
    broker.wait_for(lambda: not broker.connections)
    face.go(connection.close)
    with pytest.raises(ClosedError):
        face.go(lambda: connection.open_sender("q"))


def test_the_next_host_is_tried(face: Face, broker: Broker) -> None:
    url = f"amqp://127.0.0.1:{closed_port()},127.0.0.1:{broker.port}"
    with face.open(lambda: face.connect(url)) as connection:
        assert connection.endpoint == f"127.0.0.1:{broker.port}"


def test_nobody_is_there(face: Face) -> None:
    first, second = closed_port(), closed_port()
    with pytest.raises(ConnectFailed, match=f":{first} .*:{second} ") as caught:
        face.go(lambda: face.connect(f"amqp://127.0.0.1:{first},127.0.0.1:{second}"))
    assert [endpoint for endpoint, _ in caught.value.attempts] == [f"127.0.0.1:{first}", f"127.0.0.1:{second}"]
    assert caught.value.is_temporary


def test_wrong_arguments_are_refused_at_once(face: Face) -> None:
    for options, kind in (({"idle_timeout": -1}, ConfigurationError), ({"bogus": 1}, TypeError)):
        with pytest.raises(kind):
            face.connect("amqp://localhost", **options)
    with pytest.raises(ConfigurationError, match="credentials= is given"):
        face.connect("amqp://me:pw@localhost", credentials=Plain("me", "pw"))


# -- sending


def test_send_returns_once_it_is_accepted(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_sender") as s:
        assert face.go(lambda: s.send("text")) is None
        assert [view.body for view in broker.queue("q").messages] == ["text"]
        assert (s.address, s.state, s.pending) == ("q", "open", 0)
    assert s.state == "closed"
    with pytest.raises(ClosedError):
        face.go(lambda: s.send("text"))


def test_messages_are_durable_unless_they_say_otherwise(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_sender") as s:
        face.go(lambda: s.send("a"))
        face.go(lambda: s.send(Message("b", durable=False)))
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: connection.open_sender("q", durable=False)) as s,
    ):
        face.go(lambda: s.send("c"))
    found = [Message.decode(view.payload) for view in broker.queue("q").messages]
    assert [message.durable for message in found] == [True, False, None]


def test_an_outcome_later(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_sender") as s:
        deliveries = [face.go(lambda: s.submit_nowait(str(number))) for number in range(100)]  # noqa: B023 (at once)
        results = [face.wait(delivery) for delivery in deliveries]
        assert results[-1] == Accepted()
    assert all(delivery.done and delivery.sent and delivery.error is None for delivery in deliveries)
    assert broker.queue("q").depth == 100


@pytest.mark.parametrize(
    ("state", "kind", "text"),
    [
        (Rejected(error("app:bad", "not like this")), MessageRejected, r"not like this \(app:bad\)"),
        (Released(), MessageReleased, "released"),
    ],
)
def test_an_outcome_that_is_no_acceptance(face: Face, broker: Broker, state: Any, kind: Any, text: str) -> None:
    broker.faults.outcome = state
    with opened(face, broker, "open_sender") as s:
        with pytest.raises(kind, match=text) as caught:
            face.go(lambda: s.send("x"))
        assert caught.value.outcome == state
        assert caught.value.delivery.message.body == "x"


def test_the_loss_of_a_connection_says_what_is_known(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with face.open(lambda: face.connect(broker.url)) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        delivery = face.go(lambda: sender.submit_nowait("x"))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        broker.close_connections("amqp:connection:forced", "bye")
        with pytest.raises(OutcomeUnknown, match="bye") as caught:
            face.wait(delivery)
        assert isinstance(caught.value.__cause__, ConnectionForced)
        with pytest.raises(ConnectionForced, match="bye"):
            face.go(lambda: sender.send("y"))
        assert (connection.state, sender.state) == ("failed", "failed")


def test_time_outs_of_messages(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with face.open(lambda: face.connect(broker.url)) as connection:
        sender = face.go(lambda: connection.open_sender("q", max_pending=1))
        delivery = face.go(lambda: sender.submit_nowait("x", timeout=0.2))
        with pytest.raises(BufferFull, match="1 messages with 13 bytes are under way"):
            face.go(lambda: sender.submit_nowait("y"))
        with pytest.raises(OutcomeTimeout):
            face.wait(delivery)
        assert delivery.sent
        face.go(lambda: sender.submit_nowait("z"))
        with pytest.raises(SendTimeout, match="no room"):
            face.go(lambda: sender.send("y", timeout=0.05))
        broker.faults.withhold_outcomes = False


def test_taking_a_message_back(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with face.open(lambda: face.connect(broker.url)) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        delivery = face.go(lambda: sender.submit_nowait("x"))
        assert face.go(delivery.cancel) is True
        with pytest.raises(SendCancelled):
            face.wait(delivery)
        assert isinstance(delivery.error, NotSent)
        assert face.go(delivery.cancel) is False


def test_callbacks(face: Face, broker: Broker) -> None:
    seen: list[Any] = []
    with opened(face, broker, "open_sender") as s:
        delivery = face.go(lambda: s.submit_nowait("x"))
        face.go(lambda: delivery.add_done_callback(seen.append))
        face.wait(delivery)
        face.go(lambda: delivery.add_done_callback(seen.append))
        face.go(lambda: s.send("another"))
    assert seen == [delivery, delivery]


def test_a_refused_sender(face: Face, broker: Broker) -> None:
    broker.faults.refuse_attach = lambda address, sends: error("amqp:not-found", "no such queue")
    with face.open(lambda: face.connect(broker.url)) as connection:
        with pytest.raises(NodeNotFound, match="the sender to 'q' couldn't be opened: no such queue"):
            face.go(lambda: connection.open_sender("q"))
        assert connection.state == "open"


# -- many


def test_many(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_sender") as s:
        report = face.go(lambda: s.send_many((str(number) for number in range(500)), window=50))
        assert (report.taken, report.accepted, report.failures) == (500, 500, ())
        assert [view.body for view in broker.queue("q").messages] == [str(number) for number in range(500)]
        for wrong in ("text", b"bytes", Message("x"), {"a": 1}):
            with pytest.raises(TypeError, match="an iterable of messages or bodies"):
                face.go(lambda wrong=wrong: s.send_many(wrong))  # type: ignore[misc]
        with pytest.raises(ConfigurationError, match="window must be from 1"):
            face.go(lambda: s.send_many(["x"], window=0))


def test_many_of_which_some_fail(face: Face, broker: Broker) -> None:
    broker.faults.outcome = Released()
    with opened(face, broker, "open_sender") as s:
        report = face.go(lambda: s.send_many(["a", "b", "c"], on_failure="collect"))
        assert (report.taken, report.accepted) == (3, 0)
        assert [delivery.message.body for delivery in report.failures] == ["a", "b", "c"]
        assert all(isinstance(delivery.error, MessageReleased) for delivery in report.failures)
        with pytest.raises(SendManyFailed, match="released") as caught:
            face.go(lambda: s.send_many((str(number) for number in range(100)), window=10))
        assert caught.value.report is not None
        assert 1 <= caught.value.report.taken < 100


# -- receiving


def test_iteration(face: Face, broker: Broker) -> None:
    for number in range(10):
        broker.put("q", Message(number).encode())
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: connection.open_receiver("q")) as r,
    ):
        messages = face.take(r, 10)
        assert [message.body for message in messages] == list(range(10))
        assert r.unsettled == 10
        for message in messages:
            assert face.wait(face.go(message.accept)) is None
        assert r.unsettled == 0
        with pytest.raises(AlreadySettled):
            face.go(messages[0].accept)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 10)


def test_what_becomes_of_messages(face: Face, broker: Broker) -> None:
    for number in range(4):
        broker.put("q", Message(number).encode())
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: connection.open_receiver("q")) as r,
    ):
        first, second, third, fourth = face.take(r, 4)
        face.go(first.accept)
        face.go(lambda: second.reject("app:bad", "no"))
        face.go(third.release)
        face.go(lambda: fourth.modify(delivery_failed=True))
        again = sorted(face.take(r, 2), key=lambda message: message.body)
        assert [(message.body, message.delivery_count) for message in again] == [(2, 0), (3, 1)]
        assert again[1].redelivered
        face.go(lambda: r.accept(again))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_receiving_with_a_bound(face: Face, broker: Broker) -> None:
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: connection.open_receiver("q")) as r,
    ):
        with pytest.raises(OperationTimeout, match=r"no message came within 0\.05 seconds"):
            face.go(lambda: r.receive(0.05))
        with pytest.raises(TimeoutError):
            face.go(lambda: r.receive(timeout=0))
        assert face.go(r.receive_nowait) is None
        assert face.go(lambda: r.receive_many(10, timeout=0.05)) == []
        for number in range(5):
            broker.put("q", Message(number).encode())
        assert [message.body for message in face.go(lambda: r.receive_many(10, minimum=5))] == list(range(5))


def test_credit_by_hand(face: Face, broker: Broker) -> None:
    for number in range(5):
        broker.put("q", Message(number).encode())
    with opened(face, broker, "open_receiver", credit="manual") as r:
        assert face.go(lambda: r.receive_many(5, timeout=0.05)) == []
        face.go(lambda: r.add_credit(2))
        assert len(face.go(lambda: r.receive_many(5, minimum=2))) == 2
        assert face.go(lambda: r.receive_many(5, timeout=0.05)) == []
        face.go(lambda: r.add_credit(100))
        face.go(r.drain)
        assert len(face.go(lambda: r.receive_many(5, minimum=3))) == 3
        broker.put("q", Message("too late").encode())
        assert face.go(lambda: r.receive_many(5, timeout=0.05)) == []
    with opened(face, broker, "open_receiver") as r, pytest.raises(UsageError, match="credit='manual'"):
        face.go(lambda: r.add_credit(1))


def test_batches(face: Face, broker: Broker) -> None:
    for number in range(10):
        broker.put("q", Message(number).encode())
    with opened(face, broker, "open_receiver") as r:
        broker.wait_for(lambda: broker.queue("q").unsettled == 10)
        found = face.take(r.batches(4), 3)
        assert [message.body for batch in found for message in batch] == list(range(sum(map(len, found))))
        assert max(map(len, found)) <= 4


def test_a_block_settles_by_how_it_ends(face: Face, broker: Broker) -> None:
    for number in range(6):
        broker.put("q", Message(number).encode())
    queue = broker.queue("q")
    with opened(face, broker, "open_receiver") as r:
        good, bad, worse, stopped, done, other = face.take(r, 6)
        face.block(lambda: r.process(good), None)
        broker.wait_for(lambda: queue.counters.accepted == 1)
        face.block(lambda: r.process(bad), ValueError("no"))
        broker.wait_for(lambda: queue.counters.modified == 1)
        face.block(lambda: r.process(worse, requeue=False), ValueError("no"))
        broker.wait_for(lambda: queue.counters.rejected == 1)
        face.block(lambda: r.process(stopped), asyncio.CancelledError())
        broker.wait_for(lambda: queue.counters.released == 1)
        face.go(done.accept)
        face.block(lambda: r.process(done), ValueError("no"))
        broker.wait_for(lambda: queue.counters.accepted == 2)
        wrong = r.process(other)
        with pytest.raises(UsageError, match="with"):
            face.go(wrong.__enter__ if face.name == "aio" else lambda: wrong.__aenter__().send(None))
        assert (queue.counters.modified, queue.counters.rejected) == (1, 1)


def test_a_receiver_that_is_stopped(face: Face, broker: Broker) -> None:
    for number in range(5):
        broker.put("q", Message(number).encode())
    with opened(face, broker, "open_receiver") as r:
        (message,) = face.take(r, 1)
        waiting = face.spawn(lambda: r.receive_many(10, minimum=10))
        broker.wait_for(lambda: broker.queue("q").unsettled == 5)
        face.go(r.stop)
        assert 0 <= len(waiting.result()) <= 4
        with pytest.raises(ClosedError, match="was stopped"):
            face.go(r.receive)
        face.go(message.accept)
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 1)


def test_a_filter_that_is_not_applied(face: Face, broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    wanted = [filters.selector("amount > 100")]
    with face.open(lambda: face.connect(broker.url)) as connection:
        with pytest.raises(FilterRefused, match="doesn't apply the filter 'jms-selector'"):
            face.go(lambda: connection.open_receiver("q", filters=wanted))
        receiver = face.go(lambda: connection.open_receiver("q", filters=wanted, filters_required=False))
        assert receiver.address == "q"
    assert "doesn't apply the filter 'jms-selector'" in caplog.text


def test_a_receiver_that_is_closed_ends_its_iterations(face: Face, broker: Broker) -> None:
    with face.open(lambda: face.connect(broker.url)) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        waiting = face.spawn(receiver.receive)
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        face.go(receiver.close)
        with pytest.raises(ClosedError):
            waiting.result()


def test_what_was_not_handed_out_is_given_back(face: Face, broker: Broker) -> None:
    for number in range(5):
        broker.put("q", Message(number).encode())
    with face.open(lambda: face.connect(broker.url)) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        broker.wait_for(lambda: broker.queue("q").unsettled == 5)
        face.take(receiver, 1)
        face.go(receiver.close)
        broker.wait_for(lambda: broker.queue("q").unsettled == 0)


def test_confirmed_settlements(face: Face, broker: Broker) -> None:
    broker.put("q", Message(1).encode())
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: connection.open_receiver("q", confirm=True)) as r,
    ):
        (message,) = face.take(r, 1)
        assert face.wait(face.go(message.accept)) is None
        assert broker.queue("q").counters.accepted == 1


def test_a_received_message_is_copied_to_be_sent(face: Face, broker: Broker) -> None:
    broker.put("q", Message("x").encode())
    with face.open(lambda: face.connect(broker.url)) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        sender = face.go(lambda: connection.open_sender("q2"))
        (message,) = face.take(receiver, 1)
        with pytest.raises(ReadOnlyMessage):
            face.go(lambda: sender.send(message))
        face.go(lambda: sender.send(message.copy(subject="s")))
    assert [Message.decode(view.payload).subject for view in broker.queue("q2").messages] == ["s"]


# -- the two faces


def test_the_form_of_the_other_face_is_refused(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with face.open(lambda: face.connect(broker.url)) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        delivery = face.go(lambda: sender.submit_nowait("x"))
        wrong = delivery.wait if face.name == "aio" else lambda: next(delivery.__await__())
        with pytest.raises(UsageError, match="wait"):
            face.go(wrong)
        broker.faults.withhold_outcomes = False


@pytest.mark.parametrize("name", ["Connection", "Sender", "Receiver"])
def test_the_faces_have_the_same_names_and_signatures(face: Face, name: str) -> None:
    one, other = getattr(sync, name), getattr(aio, name)
    names = {each for each in vars(one) if not each.startswith("_")}
    assert names == {each for each in vars(other) if not each.startswith("_")}
    for each in names:
        first, second = inspect.signature(getattr(one, each)), inspect.signature(getattr(other, each))
        assert first.parameters == second.parameters
        assert inspect.getdoc(getattr(one, each)) == inspect.getdoc(getattr(other, each))


# -- kinds of links


def test_presettled_messages(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_sender", presettled=True) as s:
        delivery = face.go(lambda: s.submit_nowait("x"))
        assert face.wait(delivery) is None
        assert (delivery.outcome, delivery.error) == (None, None)
        face.go(lambda: s.send("y"))
    broker.wait_for(lambda: broker.queue("q").depth == 2)
    with opened(face, broker, "open_receiver", presettled=True) as r:
        first, second = face.take(r, 2)
        assert first.settled
        assert second.settled
        face.go(first.accept)  # there is nothing to settle, and that is no mistake
    broker.wait_for(lambda: broker.queue("q").depth == 0)


def test_a_node_of_the_peers_making(face: Face, broker: Broker) -> None:
    with face.open(lambda: face.connect(broker.url)) as connection:
        receiver = face.go(lambda: connection.open_receiver(dynamic=True))
        assert receiver.address
        with face.open(lambda: connection.open_sender(receiver.address)) as s:
            face.go(lambda: s.send("x"))
        (message,) = face.take(receiver, 1)
        assert message.text() == "x"


def test_browsing(face: Face, broker: Broker) -> None:
    broker.put("q", Message("x").encode())
    with opened(face, broker, "open_receiver", browse=True) as r:
        (message,) = face.take(r, 1)
        face.go(message.accept)
    assert broker.queue("q").depth == 1


def test_the_anonymous_relay(face: Face, broker: Broker) -> None:
    with (
        face.open(lambda: face.connect(broker.url)) as connection,
        face.open(lambda: connection.open_sender(None)) as s,
    ):
        assert s.address is None
        face.go(lambda: s.send(Message("a", to="q1")))
        face.go(lambda: s.send(Message("b", to="q2")))
        with pytest.raises(UsageError, match="needs `to`"):
            face.go(lambda: s.send("c"))
    assert [broker.queue(name).depth for name in ("q1", "q2")] == [1, 1]


def test_no_more_are_out_than_may_be(face: Face, broker: Broker) -> None:
    for number in range(5):
        broker.put("q", Message(number).encode())
    with opened(face, broker, "open_receiver", max_unsettled=2) as r:
        first, second = face.take(r, 2)
        broker.wait_for(lambda: broker.queue("q").unsettled == 5)
        assert face.go(r.receive_nowait) is None
        with pytest.raises(OperationTimeout):
            face.go(lambda: r.receive(0.05))
        waiting = face.spawn(r.receive)
        face.go(first.accept)
        assert waiting.result().body == 2
        assert (r.unsettled, face.go(r.receive_nowait)) == (2, None)
        face.go(second.release)


def test_nothing_is_asked_for_that_nobody_waits_for(face: Face, broker: Broker) -> None:
    for number in range(5):
        broker.put("q", Message(number).encode())
    queue = broker.queue("q")
    with opened(face, broker, "open_receiver", prefetch=0) as r:
        assert face.go(r.receive_nowait) is None
        assert [message.body for message in face.go(lambda: r.receive_many(2, minimum=2))] == [0, 1]
        assert (queue.counters.sent, r.buffered) == (2, 0)
        assert [message.body for message in face.go(lambda: r.receive_many(10, minimum=3))] == [2, 3, 4]
        broker.put("q", Message("later").encode())
        assert [message.body for message in face.go(lambda: r.receive_many(10, timeout=0))] == ["later"]
        assert face.go(lambda: r.receive_many(10, timeout=0.01)) == []
        broker.put("q", Message("for another").encode())
        assert (queue.counters.sent, r.buffered) == (6, 0)
