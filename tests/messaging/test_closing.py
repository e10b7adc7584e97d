"""Closing: in what order, for how long at most, and what becomes of what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.peer.frames import data_message
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, fill, opened, stored, url_of
from tests.support.scripts import RECEIVER, accept_leaving, accept_sender, settle
from uamqp.messaging import (
    Accepted,
    ClosedError,
    LinkDetached,
    NotSent,
    OutcomeUnknown,
    SettlementLost,
    Timeouts,
)
from uamqp.testing import Broker

pytestmark = both_faces


def submitted(face: Face, sender: Any, *bodies: Any) -> list[Any]:
    return [face.go(lambda body=body: sender.submit_nowait(body)) for body in bodies]  # type: ignore[misc]


def connection_of(face: Face, place: Any, **options: Any) -> Any:
    """A connection that the test itself closes."""
    return face.go(lambda: face.connect(url_of(place), **options))


# -- connections


def test_a_connection_is_closed_in_order(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        channel = peer.accept_begin().channel
        peer.accept_attach(RECEIVER)
        peer.expect("flow", channel=channel, link_credit=100)
        peer.send_delivery(data_message(b"prefetched"), channel=channel)
        sent = peer.expect("transfer")
        peer.tell("both have come")
        peer.expect_nothing(0.05)  # the outcome is waited for
        settle(peer, sent)
        frames = [peer.read_frame()]
        while [frame.name for frame in frames].count("detach") < 2:
            frames.append(peer.read_frame())
        *before, last = (frame for frame in frames if frame.channel == channel)
        came = {frame.name: frame for frame in before}
        assert (sorted(came), last.name) == (["disposition", "flow"], "detach")
        assert (came["flow"]["link_credit"], came["disposition"]["state"].name) == (0, "released")
        for each in (sent.channel, channel):
            peer.send("detach", channel=each, handle=0, closed=True)
        peer.accept_end()
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server:
        connection = connection_of(face, server)
        sender = face.go(lambda: connection.open_sender("q"))
        receiver = face.go(lambda: connection.open_receiver("q"))
        (delivery,) = submitted(face, sender, "x")
        server.wait("both have come")
        becomes(face, lambda: receiver.buffered == 1)
        face.go(connection.close)
        assert face.wait(delivery) == Accepted()
    assert [each.state for each in (connection, sender, receiver)] == ["closed"] * 3


def test_nothing_is_begun_while_a_connection_closes(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    connection = connection_of(face, broker)
    sender, other = (face.go(lambda: connection.open_sender("q")) for _ in range(2))
    receiver = face.go(lambda: connection.open_receiver("q2"))
    waiting = face.spawn(receiver.receive)
    (delivery,) = submitted(face, sender, "x")
    closing = face.spawn(connection.close)
    becomes(face, lambda: connection.state == "closing")
    for way in (
        lambda: connection.open_sender("q"),
        lambda: connection.open_receiver("q"),
        connection.open_session,
        lambda: other.send("y"),
        lambda: sender.submit("y"),
        lambda: sender.submit_nowait("y"),
    ):
        with pytest.raises(ClosedError):
            face.go(way)
    broker.faults.withhold_outcomes = False
    closing.result()
    assert face.wait(delivery) == Accepted()
    with pytest.raises(ClosedError):
        waiting.result()
    assert stored(broker) == ["x"]


def test_closing_waits_for_an_outcome_for_so_long_alone(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_outcomes = True
    with connected(face, broker, timeouts=Timeouts(close=20)) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        (sent,) = submitted(face, sender, "x")
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        closing = face.spawn(connection.close)
        clock.stand_until(lambda: connection.state == "closing", 21)
        closing.result()
        with pytest.raises(OutcomeUnknown):
            face.wait(sent)
        assert connection.state == "closed"
    broker.wait_for(lambda: not broker.connections)


def test_what_was_not_sent_when_a_connection_closed(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        (delivery,) = submitted(face, sender, "x")
        face.go(lambda: connection.close(timeout=0))
        with pytest.raises(NotSent, match="was closed"):
            face.wait(delivery)


@pytest.mark.parametrize("silent", [{"detach"}, {"detach", "end"}, {"close"}, {"detach", "end", "close"}])
def test_each_step_of_closing_is_bounded(face: Face, broker: Broker, clock: Clock, silent: set[str]) -> None:
    connection = connection_of(face, broker, timeouts=Timeouts(close=20))
    receiver = face.go(lambda: connection.open_receiver("q"))
    broker.faults.silent = silent
    closing = face.spawn(connection.close)
    for _ in range(3):
        clock.stand_until(lambda: connection.state != "open", 21)
        becomes(face, lambda: True)
    closing.result()
    assert (connection.state, receiver.state == "open") == ("closed", False)


def test_a_second_caller_waits_for_the_first(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_outcomes = True
    connection = connection_of(face, broker)
    sender = face.go(lambda: connection.open_sender("q"))
    submitted(face, sender, "x")
    first = face.spawn(lambda: connection.close(timeout=None))
    becomes(face, lambda: connection.state == "closing")
    others = [face.spawn(connection.close) for _ in range(2)]
    clock.move(3)
    assert not any(each.done for each in (first, *others))
    broker.faults.withhold_outcomes = False
    for each in (first, *others):
        assert each.result() is None
    assert connection.state == "closed"
    face.go(connection.close)


def test_a_second_caller_returns_when_the_connection_is_closed(face: Face, broker: Broker, clock: Clock) -> None:
    connection = connection_of(face, broker)
    face.go(lambda: connection.open_receiver("q"))
    broker.faults.silent = {"detach", "close"}
    first = face.spawn(connection.close)  # each of two answers is waited for
    becomes(face, lambda: connection.state == "closing")
    second = face.spawn(connection.close)
    states: list[str] = []
    clock.stand_until(lambda: False)
    clock.stand_until(lambda: True, 6)
    second.result()
    states.append(connection.state)
    clock.stand_until(lambda: True, 6)
    first.result()
    assert states == ["closed"]


def test_no_time_to_close_is_time_to_say_so(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("detach")  # no answer: the client may be gone already
        peer.ignore("end")
        peer.expect("close")
        peer.close_socket()

    with ScriptedServer(script) as server:
        connection = connection_of(face, server, timeouts=Timeouts(close=0))
        face.go(lambda: connection.open_sender("q"))
        face.go(connection.close)
        assert connection.state == "closed"


def test_a_lost_connection_is_closed_without_a_word(face: Face, broker: Broker) -> None:
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        broker.drop_connections()
        becomes(face, lambda: connection.state == "failed")
        face.go(sender.close)
        face.go(connection.close)
        assert (connection.state, sender.state) == ("failed", "failed")


def test_an_error_in_the_block_comes_out_and_the_connection_is_closed(face: Face, broker: Broker) -> None:
    with (
        pytest.raises(LookupError, match="of the program's"),
        connected(face, broker) as connection,
        face.open(lambda: connection.open_sender("q")) as sender,
    ):
        raise LookupError("of the program's")
    assert (connection.state, sender.state) == ("closed", "closed")
    broker.wait_for(lambda: not broker.connections)


def test_a_connection_that_is_aborted(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    seen: list[Any] = []
    events: list[Any] = []
    connection = connection_of(face, broker, on_event=events.append)
    sender = face.go(lambda: connection.open_sender("q"))
    receiver = face.go(lambda: connection.open_receiver("q2"))
    waiting = face.spawn(receiver.receive)
    broker.wait_for(lambda: broker.queue("q2").consumers == 1)
    (delivery,) = submitted(face, sender, "x")
    face.go(lambda: delivery.add_done_callback(seen.append))
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    face.go(connection.abort)
    with pytest.raises(ClosedError):
        waiting.result()
    with pytest.raises(OutcomeUnknown):
        face.wait(delivery)
    for way in (lambda: connection.open_sender("q"), lambda: sender.send("y"), receiver.receive, connection.wait_open):
        with pytest.raises(ClosedError):
            face.go(way)
    face.go(connection.abort)
    face.go(connection.close)
    assert connection.state == "closed"
    broker.wait_for(lambda: not broker.connections)
    becomes(face, lambda: seen == [delivery])
    becomes(face, lambda: [event.kind for event in events] == ["opened", "closed"])


# -- senders


def test_closing_a_sender_sends_the_rest(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        deliveries = submitted(face, sender, *range(5))
        closing = face.spawn(sender.close)
        becomes(face, lambda: closed_for_more(face, sender))
        broker.faults.withhold_credit = False
        closing.result()
        assert [face.wait(delivery) for delivery in deliveries] == [Accepted()] * 5
        assert (sender.state, connection.state) == ("closed", "open")
        face.go(sender.close)
    assert stored(broker) == list(range(5))


def closed_for_more(face: Face, sender: Any) -> bool:
    """Whether the sender takes no more messages in."""
    try:
        face.go(lambda: sender.submit_nowait("too much").cancel())
    except ClosedError:
        return True
    return False


def test_closing_a_sender_lasts_for_so_long_alone(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_outcomes = True
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        (sent,) = submitted(face, sender, "x")
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        closing = face.spawn(lambda: sender.close(timeout=20))
        clock.stand_until(lambda: sender.pending == 1, 21)
        closing.result()
        with pytest.raises(OutcomeUnknown):
            face.wait(sent)
        assert (sender.pending, sender.stats().unknown) == (0, 1)
    broker.wait_for(lambda: broker.queue("q").producers == 0)


def test_whoever_waits_for_room_is_told_that_the_sender_closes(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", max_pending=1) as s:
        submitted(face, s, "x")
        waiting = face.spawn(lambda: s.submit("y"))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        face.go(lambda: s.close(timeout=0))
        with pytest.raises(ClosedError):
            waiting.result()
    assert stored(broker) == ["x"]


@pytest.mark.parametrize("way", ["close", "detach"])
def test_a_sender_that_has_ended_ends_nothing_else(face: Face, broker: Broker, way: str) -> None:
    with connected(face, broker) as connection:
        sender, other = (face.go(lambda name=name: connection.open_sender(name)) for name in ("q", "q2"))  # type: ignore[misc]
        if way == "close":
            face.go(sender.close)
        else:
            broker.detach_links("q")
            becomes(face, lambda: sender.state == "failed")
        for attempt in (sender.send, sender.submit, sender.submit_nowait, lambda body: sender.send_many([body])):
            with pytest.raises((ClosedError, LinkDetached)):
                face.go(lambda attempt=attempt: attempt("x"))  # type: ignore[misc]
        assert connection.state == "open"
        face.go(lambda: other.send("y"))
    assert stored(broker, "q2") == ["y"]


# -- receivers


def test_a_peer_that_does_not_answer_a_detach(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.silent = {"detach"}
    with connected(face, broker, timeouts=Timeouts(close=0)) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        closing = face.spawn(lambda: receiver.close(timeout=20))
        clock.stand_until(lambda: receiver.state == "closing", 21)
        closing.result()
        with pytest.raises(ClosedError):
            face.go(receiver.receive)


def test_closing_gives_back_what_was_not_handed_out(face: Face, broker: Broker) -> None:
    fill(broker, 5)
    with connected(face, broker) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        becomes(face, lambda: receiver.buffered == 5)
        message = face.go(receiver.receive)
        face.go(connection.close)
        assert receiver.buffered == 0
        assert broker.queue("q").counters.released >= 4
        lost = face.go(message.accept)  # in the program's hands when the link went
        with pytest.raises(SettlementLost, match="comes again"):
            face.wait(lost)
    broker.wait_for(lambda: broker.queue("q").depth == 5)


# -- sessions


@contextmanager
def with_a_session(face: Face, broker: Broker) -> Iterator[tuple[Any, Any]]:
    with connected(face, broker) as connection, face.open(connection.open_session) as session:
        yield connection, session


def test_closing_a_session_closes_its_links_in_order(face: Face, broker: Broker) -> None:
    fill(broker, 3)
    broker.faults.withhold_outcomes = True
    with with_a_session(face, broker) as (connection, session):
        receiver = face.go(lambda: session.open_receiver("q"))
        sender = face.go(lambda: session.open_sender("q2"))
        other = face.go(lambda: connection.open_sender("q3"))
        becomes(face, lambda: receiver.buffered == 3)
        (delivery,) = submitted(face, sender, "x")
        closing = face.spawn(session.close)
        becomes(face, lambda: closed_for_more(face, sender))
        assert session.is_open
        broker.faults.withhold_outcomes = False
        closing.result()
        assert face.wait(delivery) == Accepted()
        assert not session.is_open
        assert [each.state for each in (sender, receiver, other)] == ["closed", "closed", "open"]
        face.go(session.close)
        with pytest.raises(ClosedError):
            face.go(lambda: session.open_sender("q"))
        face.go(lambda: other.send("y"))
    assert broker.queue("q").depth == 3


def test_links_that_nobody_closes_are_closed_with_the_connection(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        accept_leaving(peer)

    with ScriptedServer(script) as server, connected(face, server) as connection:
        face.go(lambda: connection.open_sender("q"))
