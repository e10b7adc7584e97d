"""What is cancelled leaves nothing behind: no message, no link, no connection; and loses nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.faces import Face, only_aio
from tests.support.links import becomes, bodies, connected, fill, opened, stored, url_of
from tests.support.scripts import RECEIVER, SENDER, accept_leaving, accept_sender, accept_session
from uamqp import aio
from uamqp.messaging import Accepted, ClosedError, NotSent
from uamqp.testing import Broker

pytestmark = only_aio


def submitted(face: Face, sender: Any, *bodies: Any, **options: Any) -> list[Any]:
    return [face.go(lambda body=body: sender.submit_nowait(body, **options)) for body in bodies]  # type: ignore[misc]


# -- sending


def test_what_is_cancelled_before_it_was_sent_is_withdrawn(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with opened(face, broker, "open_sender") as s:
        sending = face.spawn(lambda: s.send("x"))
        becomes(face, lambda: s.pending == 1)
        sending.cancel()
        assert (s.pending, s.stats().not_sent) == (0, 1)
        broker.faults.withhold_credit = False
        face.go(lambda: s.send("y"))
    assert stored(broker) == ["y"]


def test_what_is_cancelled_on_its_way_goes_on(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender") as s:
        sending = face.spawn(lambda: s.send("x"))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        sending.cancel()
        assert s.pending == 1
        broker.faults.withhold_outcomes = False
        face.go(s.flush)
        assert s.stats().accepted == 1
    assert stored(broker) == ["x"]


def test_a_submit_cancelled_while_it_waits_for_room_takes_nothing_in(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", max_pending=1) as s:
        submitted(face, s, "x")
        waiting = face.spawn(lambda: s.submit("y"))
        another = face.spawn(lambda: s.submit("z"))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        waiting.cancel()
        assert s.stats().taken == 1
        broker.faults.withhold_outcomes = False
        assert face.wait(another.result()) == Accepted()
    assert stored(broker) == ["x", "z"]


def test_many_of_which_some_are_sent(face: Face) -> None:
    with Broker(link_credit=3, max_queue_messages=3) as broker:
        broker.faults.withhold_outcomes = True
        with opened(face, broker, "open_sender") as s:
            sending = face.spawn(lambda: s.send_many(range(10), window=6))
            broker.wait_for(lambda: broker.queue("q").depth == 3)
            becomes(face, lambda: s.pending == 6)
            sending.cancel()
            assert (s.pending, s.stats().not_sent) == (3, 3)  # the rest goes on
            broker.faults.withhold_outcomes = False
            face.go(s.flush)
            assert s.stats().accepted == 3
        assert stored(broker) == [0, 1, 2]


# -- receiving


def test_a_receive_that_is_cancelled_takes_nothing(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver") as r:
        first, second = face.spawn(r.receive), face.spawn(r.receive)
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        first.cancel()
        fill(broker, 2)
        assert second.result().body == 0
        assert face.go(r.receive).body == 1


def test_what_a_cancelled_call_has_taken_goes_back_to_the_front(face: Face, broker: Broker) -> None:
    fill(broker, 5)
    with opened(face, broker, "open_receiver") as r:
        becomes(face, lambda: r.buffered == 5)
        receiving = face.spawn(lambda: r.receive_many(10, minimum=10))
        becomes(face, lambda: r.buffered == 0)
        assert r.unsettled == 5
        receiving.cancel()
        assert (r.buffered, r.unsettled) == (5, 0)
        found = face.go(lambda: r.receive_many(10))
        assert bodies(found) == list(range(5))
        assert not any(message.settled for message in found)
        face.go(lambda: r.accept(found))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 5)


def test_what_a_cancelled_call_has_taken_is_not_accepted(face: Face, broker: Broker) -> None:
    fill(broker, 3)
    with opened(face, broker, "open_receiver", settle="on_receive") as r:
        becomes(face, lambda: r.buffered == 3)
        receiving = face.spawn(lambda: r.receive_many(10, minimum=10))
        becomes(face, lambda: r.buffered == 0)
        receiving.cancel()
        assert r.buffered == 3
    broker.wait_for(lambda: broker.queue("q").consumers == 0)
    assert broker.queue("q").depth == 3


def test_others_get_what_a_cancelled_call_gives_back(face: Face, broker: Broker) -> None:
    fill(broker, 3)
    with opened(face, broker, "open_receiver") as r:
        becomes(face, lambda: r.buffered == 3)
        receiving = face.spawn(lambda: r.receive_many(10, minimum=10))
        becomes(face, lambda: r.buffered == 0)
        others = [face.spawn(r.receive) for _ in range(3)]
        receiving.cancel()
        assert sorted(each.result().body for each in others) == [0, 1, 2]


def test_no_message_is_lost_however_receives_are_cancelled(face: Face, broker: Broker) -> None:
    async def receive_and_cancel(receiver: Any) -> list[Any]:
        found: list[Any] = []
        for turns in range(60):
            task = asyncio.create_task(receiver.receive() if turns % 2 else receiver.receive_many(2))
            await asyncio.to_thread(fill, broker, 1, turns)
            for _ in range(turns % 7):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got = await task
            except asyncio.CancelledError:
                continue
            found += got if isinstance(got, list) else [got]
        while len(found) < 60:
            found.append(await receiver.receive())
        return found

    with opened(face, broker, "open_receiver") as r:
        assert bodies(face.go(lambda: receive_and_cancel(r))) == list(range(60))
        assert (r.unsettled, r.buffered) == (60, 0)


def test_a_cancelled_pull_asks_for_no_more(face: Face, broker: Broker) -> None:
    queue = broker.queue("q")
    with opened(face, broker, "open_receiver", prefetch=0) as r:
        receiving = face.spawn(lambda: r.receive_many(5, minimum=5))
        becomes(face, lambda: r.credit == 5)
        fill(broker, 2)
        broker.wait_for(lambda: queue.unsettled == 2)
        receiving.cancel()
        becomes(face, lambda: r.credit == 0)
        fill(broker, 1, 2)
        assert (queue.counters.sent, queue.depth) == (2, 1)
        assert bodies(face.go(lambda: r.receive_many(3, minimum=3))) == [0, 1, 2]


def test_a_pull_that_is_cancelled_while_credit_comes_back_loses_nothing(face: Face, broker: Broker) -> None:
    fill(broker, 1)
    broker.faults.silent = {"flow"}  # it never does
    with opened(face, broker, "open_receiver", prefetch=0) as r:
        receiving = face.spawn(lambda: r.receive_many(5))
        becomes(face, lambda: r.unsettled == 1)
        receiving.cancel()
        assert (r.unsettled, r.buffered) == (0, 1)
        assert face.go(r.receive_nowait).body == 0


def test_an_iteration_that_is_cancelled_goes_on(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        iterator = aiter(r)
        fill(broker, 1)
        assert face.go(lambda: anext_of(iterator)).body == 0
        waiting = face.spawn(lambda: anext_of(iterator))
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 1)
        waiting.cancel()
        fill(broker, 1, 1)
        assert face.go(lambda: anext_of(iterator)).body == 1
        assert (r.unsettled, broker.queue("q").counters.accepted) == (1, 1)


async def anext_of(iterator: Any) -> Any:
    return await anext(iterator)


# -- opening


@pytest.mark.parametrize(("method", "role"), [("open_sender", SENDER), ("open_receiver", RECEIVER)])
def test_a_link_that_was_not_open_yet_is_closed(face: Face, method: str, role: bool) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.expect("attach", role=role)
        peer.tell("attaching")
        peer.expect("detach", handle=came["handle"], closed=True)
        peer.ignore("flow")
        peer.tell("closed")
        answer: dict[str, Any] = {name: came[name] for name in ("name", "handle", "source", "target")}
        start: dict[str, Any] = {} if role == SENDER else {"initial_delivery_count": 0}
        peer.send("attach", role=not role, **answer, **start)
        peer.send("detach", handle=came["handle"], closed=True)
        peer.accept_end()
        peer.accept_begin()
        peer.accept_attach(SENDER)
        accept_leaving(peer)

    with ScriptedServer(script) as server, connected(face, server) as connection:
        opening = face.spawn(lambda: getattr(connection, method)("q"))
        server.wait("attaching")
        opening.cancel()
        server.wait("closed")
        becomes(face, lambda: (connection.stats().senders, connection.stats().receivers) == (0, 0))
        with face.open(lambda: connection.open_sender("q")) as s:
            assert s.state == "open"


def test_links_of_a_session_that_were_not_open_yet(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        first = peer.expect("attach")
        peer.tell("attaching")
        peer.expect("detach", handle=first["handle"], closed=True)
        answer: dict[str, Any] = {name: first[name] for name in ("name", "handle", "source", "target")}
        peer.send("attach", role=RECEIVER, **answer)
        peer.send("detach", handle=first["handle"], closed=True)
        accept_sender(peer, 0, session=False)
        accept_leaving(peer)

    with (
        ScriptedServer(script) as server,
        connected(face, server) as connection,
        face.open(connection.open_session) as session,
    ):
        first = face.spawn(lambda: session.open_sender("q"))
        server.wait("attaching")
        second = face.spawn(lambda: session.open_sender("q2"))  # waits for the first
        third = face.spawn(lambda: session.open_sender("q3"))
        second.cancel()
        first.cancel()
        assert third.result().address == "q3"
        assert connection.stats().senders == 1


def test_a_session_that_was_not_open_yet_is_ended(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        came = peer.expect("begin")
        peer.tell("beginning")
        peer.wait("cancelled")
        peer.send("begin", remote_channel=came.channel)
        peer.accept_end()
        peer.tell("ended")
        peer.accept_close()

    with ScriptedServer(script) as server, connected(face, server) as connection:
        opening = face.spawn(connection.open_session)
        server.wait("beginning")
        opening.cancel()
        server.tell("cancelled")
        server.wait("ended")
        assert connection.state == "open"


@pytest.mark.parametrize("until", ["header", "sasl", "open"])
def test_a_connection_that_was_not_open_yet_is_cut(face: Face, until: str) -> None:
    def script(peer: SocketPeer) -> None:
        if until == "header":
            peer.expect_header("SASL")
        else:
            peer.accept_sasl()
            peer.expect_header("AMQP")
            if until == "open":
                peer.send_header("AMQP")
            peer.expect("open")
        peer.tell("connecting")
        peer.expect_eof()

    events: list[Any] = []
    with ScriptedServer(script) as server:
        opening = face.spawn(lambda: aio.connect(url_of(server), on_event=events.append))
        server.wait("connecting")
        opening.cancel()
    becomes(face, lambda: [event.kind for event in events] == ["failed"])


# -- closing


def test_a_close_that_is_cancelled_ends_the_connection_at_once(face: Face, broker: Broker) -> None:
    broker.faults.silent = {"close"}
    connection = face.go(lambda: aio.connect(url_of(broker)))
    sender = face.go(lambda: connection.open_sender("q"))
    closing = face.spawn(connection.close)
    becomes(face, lambda: sender.state == "closed")
    closing.cancel()
    assert connection.state == "closed"
    broker.wait_for(lambda: broker.call(lambda server: len(server.connections)) == 0)
    face.go(connection.close)


def test_a_close_that_is_cancelled_while_it_flushes_says_what_is_known(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    connection = face.go(lambda: aio.connect(url_of(broker)))
    sender = face.go(lambda: connection.open_sender("q"))
    (delivery,) = submitted(face, sender, "x")
    closing = face.spawn(connection.close)
    becomes(face, lambda: connection.state == "closing")
    closing.cancel()
    with pytest.raises(NotSent):
        face.wait(delivery)
    assert connection.state == "closed"


def test_closing_a_sender_that_is_cancelled_detaches_it(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        (delivery,) = submitted(face, sender, "x")
        closing = face.spawn(lambda: sender.close(timeout=None))
        with pytest.raises(ClosedError):
            becomes(face, lambda: face.go(lambda: sender.submit_nowait("y").cancel()) is None)
        closing.cancel()
        broker.wait_for(lambda: broker.queue("q").producers == 0)
        with pytest.raises(NotSent):
            face.wait(delivery)
        assert connection.state == "open"
