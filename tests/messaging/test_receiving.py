"""The rules of receiving: what is handed out when, what becomes of it, and how much the peer is asked for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.peer.frames import data_message
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, bodies, connected, fill, opened
from tests.support.scripts import accept_leaving, accept_receiver, with_credit
from uamqp.messaging import (
    AlreadySettled,
    ClosedError,
    ConfigurationError,
    LinkDetached,
    Message,
    NodeDeleted,
    OperationTimeout,
    SettlementLost,
    Timeouts,
    UsageError,
)
from uamqp.testing import Broker

pytestmark = both_faces

FIRST, SETTLED = 0, 1


def send(peer: SocketPeer, *numbers: int, **fields: Any) -> None:
    """As a sender: messages with these numbers."""
    for number in numbers:
        peer.send_delivery(data_message(b"%d" % number), **fields)


# -- handing out


def test_each_message_is_handed_out_once(face: Face, broker: Broker) -> None:
    fill(broker, 100)
    with opened(face, broker, "open_receiver", prefetch=7) as r:
        taking = [face.spawn(lambda: r.receive_many(25, minimum=25)) for _ in range(4)]
        found = [message for each in taking for message in each.result()]
        assert sorted(bodies(found)) == list(range(100))
        assert (r.unsettled, r.stats().received) == (100, 100)
        face.go(lambda: r.accept(found))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 100)


def test_messages_come_in_order_and_when_they_are_there(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver") as r:
        waiting = face.spawn(r.receive)
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        fill(broker, 3)
        assert waiting.result().body == 0
        assert bodies(face.go(lambda: r.receive_many(10, minimum=2))) == [1, 2]


def test_many_who_wait_share_what_may_be_out(face: Face, broker: Broker) -> None:
    fill(broker, 60)
    found: list[int] = []
    with opened(face, broker, "open_receiver", max_unsettled=3) as r:
        working = [face.spawn(lambda: accept_all(face, r, found)) for _ in range(10)]
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 60)
        face.go(r.stop)
        for each in working:
            each.result()
    assert sorted(found) == list(range(60))


def accept_all(face: Face, receiver: Any, found: list[int]) -> Any:
    """Accept each message as it comes, until the receiver ends."""

    async def asynchronously() -> None:
        async for message in receiver:
            found.append(message.body)
            await asyncio.sleep(0)
            await message.accept()

    if face.name == "aio":
        return asynchronously()
    for message in receiver:
        found.append(message.body)
        message.accept()
    return None


def test_many_who_pull_get_a_message_each(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver", prefetch=0) as r:
        for start in (0, 5):
            waiting = [face.spawn(r.receive) for _ in range(5)]
            becomes(face, lambda: r.credit == 5)
            fill(broker, 5, start)
            assert sorted(each.result().body for each in waiting) == list(range(start, start + 5))
            assert (r.credit, r.buffered) == (0, 0)


def test_a_message_is_settled_by_another_thread(face: Face, broker: Broker) -> None:
    fill(broker, 5)
    with opened(face, broker, "open_receiver", max_unsettled=5) as r:
        messages = face.go(lambda: r.receive_many(5, minimum=5))
        fill(broker, 1, 5)
        waiting = face.spawn(r.receive)
        for message in messages:
            settling = threading.Thread(target=message.accept)
            settling.start()
            settling.join(10)
        assert waiting.result().body == 5
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 5)
        assert r.unsettled == 1


def test_a_minimum_above_the_window(face: Face, broker: Broker) -> None:
    fill(broker, 10)
    with opened(face, broker, "open_receiver", prefetch=2) as r:
        assert bodies(face.go(lambda: r.receive_many(8, minimum=8))) == list(range(8))


def test_a_minimum_that_can_never_come(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver", max_unsettled=2) as r:
        with pytest.raises(UsageError, match="minimum=3 messages never come with max_unsettled=2"):
            face.go(lambda: r.receive_many(5, minimum=3))
        with pytest.raises(ConfigurationError, match="minimum"):
            face.go(lambda: r.receive_many(2, minimum=3))


def test_fewer_than_wanted_when_the_time_is_over(face: Face, broker: Broker, clock: Clock) -> None:
    fill(broker, 3)
    with opened(face, broker, "open_receiver") as r:
        waiting = face.spawn(lambda: r.receive_many(10, minimum=5, timeout=30))
        broker.wait_for(lambda: broker.queue("q").unsettled == 3)
        becomes(face, lambda: r.buffered == 0)
        clock.move(31)
        assert bodies(waiting.result()) == [0, 1, 2]


# -- credit


def test_credit_is_given_for_what_was_taken_and_not_for_what_was_settled(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 4)
        send(peer, 1, 2, 3, 4)
        peer.wait("none is taken")
        peer.expect_nothing(0.05)
        peer.tell("take")
        peer.expect("flow", link_credit=2, delivery_count=4)
        peer.tell("done")
        peer.ignore("disposition", "flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver", prefetch=4) as r:
        becomes(face, lambda: r.buffered == 4)
        server.tell("none is taken")
        server.wait("take")
        assert len(face.take(r, 2)) == 2
        assert r.unsettled == 2
        server.wait("done")


def test_no_credit_is_given_while_as_many_are_out_as_may_be(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 2)
        send(peer, 1, 2)
        peer.wait("both are taken")
        peer.expect_nothing(0.05)
        peer.tell("settle one")
        peer.expect("disposition", first=0)
        peer.expect("flow", delivery_count=2)
        peer.ignore("disposition", "flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver", prefetch=2, max_unsettled=2) as r:
        becomes(face, lambda: r.buffered == 2)
        first, _ = face.go(lambda: r.receive_many(2))
        server.tell("both are taken")
        server.wait("settle one")
        face.go(first.accept)


def test_a_paused_receiver_asks_for_no_more(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 4)
        send(peer, 1, 2, 3, 4)
        peer.wait("all are taken")
        peer.expect_nothing(0.05)
        peer.tell("resume")
        peer.expect("flow", link_credit=4, delivery_count=4)
        send(peer, 5)
        peer.ignore("disposition", "flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver", prefetch=4) as r:
        face.go(r.pause)
        assert len(face.go(lambda: r.receive_many(4, minimum=4))) == 4
        server.tell("all are taken")
        server.wait("resume")
        waiting = face.spawn(r.receive)
        face.go(r.resume)
        assert waiting.result().text() == "5"


def test_credit_by_hand_adds_up(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.expect("flow", link_credit=3)
        peer.expect("flow", link_credit=5)
        peer.wait("looked")
        send(peer, 1, 2)
        peer.expect("flow", link_credit=4, delivery_count=2)
        peer.ignore("disposition", "flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver", credit="manual") as r:
        face.go(lambda: r.add_credit(3))
        face.go(lambda: r.add_credit(2))
        assert r.credit == 5
        server.tell("looked")
        assert len(face.go(lambda: r.receive_many(2, minimum=2))) == 2
        face.go(lambda: r.add_credit(1))
        for wrong in (0, -1, 2**32):
            with pytest.raises(ConfigurationError, match="count"):
                face.go(lambda wrong=wrong: r.add_credit(wrong))  # type: ignore[misc]


def test_a_drain_that_is_not_answered_is_bounded(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.silent = {"flow"}
    with opened(face, broker, "open_receiver", credit="manual") as r:
        face.go(lambda: r.add_credit(5))
        draining = face.spawn(lambda: r.drain(10))
        clock.stand_until(lambda: r._core.receiver.drain, 11)
        with pytest.raises(OperationTimeout, match="hasn't given its credit back within 10 seconds"):
            draining.result()


def test_nobody_waits_for_an_answer_longer_than_for_a_message(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.silent = {"flow"}  # it gives no credit back
    with (
        connected(face, broker, timeouts=Timeouts(link=1000)) as connection,
        face.open(lambda: connection.open_receiver("q", prefetch=0)) as r,
    ):
        receiving = face.spawn(lambda: r.receive(10))
        clock.stand_until(lambda: r.credit == 1, 11)
        becomes(face, lambda: receiving.done)
        with pytest.raises(OperationTimeout, match="no message came within 10 seconds"):
            receiving.result()


# -- settling


def test_messages_that_follow_one_another_are_settled_as_a_range(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 100)
        send(peer, *range(10))
        peer.ignore("flow")
        peer.expect("disposition", first=0, last=4, settled=True, state="accepted")
        peer.expect("disposition", first=5, last=6, settled=True, state="released")
        peer.expect("disposition", first=7, last=8, settled=True, state="rejected")
        peer.expect("disposition", first=9, settled=True, state="modified")
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver") as r:
        found = face.go(lambda: r.receive_many(10, minimum=10))
        face.go(lambda: r.accept(found[:5]))
        face.go(lambda: r.release(found[5:7]))
        face.go(lambda: r.reject(iter(found[7:9]), "app:bad", "no"))
        face.go(lambda: r.modify(found[9:], delivery_failed=True, annotations={"x-why": "no"}))
        assert (r.unsettled, r.stats().settled) == (0, 10)
        assert all(message.settled for message in found)


def test_messages_that_cannot_be_settled_together(face: Face, broker: Broker) -> None:
    fill(broker, 4)
    with connected(face, broker) as connection:
        receiver, other = (face.go(lambda: connection.open_receiver("q", prefetch=2)) for _ in range(2))
        broker.wait_for(lambda: broker.queue("q").unsettled == 4)
        mine, foreign = (face.go(lambda each=each: each.receive_many(2, minimum=2)) for each in (receiver, other))  # type: ignore[misc]
        with pytest.raises(UsageError, match="wasn't received by this receiver"):
            face.go(lambda: receiver.accept([*mine, foreign[0]]))
        with pytest.raises(UsageError, match="wasn't received by this receiver"):
            face.go(lambda: receiver.accept([*mine, Message("mine")]))
        with pytest.raises(TypeError, match="must be a received Message, not str"):
            face.go(lambda: receiver.accept([*mine, "text"]))
        assert (receiver.unsettled, other.unsettled) == (2, 2)
        face.go(mine[0].reject)
        face.go(lambda: receiver.accept(mine))  # the first keeps its outcome
        face.go(lambda: other.accept(foreign))
        with pytest.raises(AlreadySettled):
            face.go(mine[1].release)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)
    assert broker.queue("q").counters.rejected == 1


def test_settling_is_over_when_the_peer_says_so(face: Face, broker: Broker) -> None:
    fill(broker, 3)
    broker.faults.withhold_settlement = True
    with opened(face, broker, "open_receiver", confirm=True) as r:
        first, second, third = face.take(r, 3)
        one = face.go(first.accept)
        many = face.go(lambda: r.accept([second, third]))
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)
        assert not one.done
        assert not many.done
        if face.name == "sync":
            with pytest.raises(OperationTimeout):
                many.wait(0.01)
        broker.detach_links("q", "amqp:resource-deleted", "gone")
        for settlement in (one, many):
            with pytest.raises(SettlementLost, match="gone"):
                face.wait(settlement)
        assert r.stats().settlements_lost == 3


def test_many_are_confirmed_together(face: Face, broker: Broker) -> None:
    fill(broker, 3)
    with opened(face, broker, "open_receiver", confirm=True) as r:
        messages = face.take(r, 3)
        assert face.wait(face.go(lambda: r.accept(messages))) is None
        assert broker.queue("q").counters.accepted == 3


# -- the end of the link


def test_what_a_lost_link_leaves(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 100)
        send(peer, 1, 2)
        send(peer, 3, settled=True)
        send(peer, 4)
        send(peer, 5, settled=True)
        peer.ignore("flow")
        peer.wait("two are taken")
        peer.reset_socket()

    with ScriptedServer(script) as server, connected(face, server) as connection:
        r = face.go(lambda: connection.open_receiver("q"))
        first, second = face.go(lambda: r.receive_many(2, minimum=2))
        becomes(face, lambda: r.buffered == 3)
        server.tell("two are taken")
        becomes(face, lambda: r.state == "failed")
        settled = face.go(lambda: r.receive_many(5, minimum=5))
        assert [message.text() for message in settled] == ["3", "5"]  # 4 comes again
        assert all(message.settled for message in settled)
        with pytest.raises(Exception, match="connection"):
            face.go(r.receive)
        lost = face.go(first.accept)  # it isn't to blame
        with pytest.raises(SettlementLost, match="comes again"):
            face.wait(lost)
        with pytest.raises(SettlementLost):
            face.wait(face.go(lambda: r.release([second])))
        assert r.stats().settlements_lost == 2
        face.go(settled[0].accept)


def test_the_error_of_a_lost_link(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver") as r:
        waiting = face.spawn(r.receive)
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        broker.detach_links("q", "amqp:resource-deleted", "gone")
        with pytest.raises(NodeDeleted, match="gone"):
            waiting.result()
        for way in (r.receive, r.receive_nowait, r.drain, lambda: r.receive_many(5)):
            with pytest.raises(LinkDetached, match="gone"):
                face.go(way)
        with pytest.raises(LinkDetached, match="gone"):
            face.take(r, 1)


def test_a_block_does_not_mind_that_the_link_has_gone(face: Face, broker: Broker) -> None:
    fill(broker, 2)
    with opened(face, broker, "open_receiver", confirm=True) as r:
        first, second = face.take(r, 2)
        broker.detach_links("q")
        becomes(face, lambda: r.state == "failed")
        face.block(lambda: r.process(first), None)
        face.block(lambda: r.process(second), ValueError("no"))
        assert r.stats().settlements_lost == 2
    broker.wait_for(lambda: broker.queue("q").depth == 2)


# -- stopping


def test_what_was_on_its_way_to_a_stopped_receiver_is_given_back(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 100)
        send(peer, 1, 2)
        peer.ignore("flow")
        peer.expect("disposition", first=1, state="released")
        send(peer, 3)
        send(peer, 4, settled=True)
        peer.expect("disposition", first=2, state="released")
        assert [flow["link_credit"] for flow in peer.ignored] == [0]
        peer.tell("all came")
        peer.expect("disposition", first=0, state="accepted")
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver") as r:
        first = face.go(r.receive)
        becomes(face, lambda: r.buffered == 1)
        face.go(r.stop)
        server.wait("all came")
        becomes(face, lambda: r.buffered == 1)
        assert face.go(r.receive).text() == "4"  # it doesn't come again
        for way in (r.receive, r.receive_nowait, lambda: r.receive_many(5)):
            with pytest.raises(ClosedError, match="was stopped"):
                face.go(way)
        assert r.state == "open"
        face.go(first.accept)
        face.go(r.stop)


def test_iterations_end_when_a_receiver_is_stopped(face: Face, broker: Broker) -> None:
    fill(broker, 1)
    with opened(face, broker, "open_receiver") as r:
        waiting = [face.spawn(lambda: rest_of(face, r)), face.spawn(lambda: rest_of(face, r.batches()))]
        broker.wait_for(lambda: broker.queue("q").unsettled == 1)
        face.go(r.stop)
        assert sum(len(each.result()) for each in waiting) <= 1


def rest_of(face: Face, iterable: Any) -> Any:
    """All that an iteration has."""

    async def all_of_it() -> list[Any]:
        return [each async for each in iterable]

    return list(iterable) if face.name == "sync" else all_of_it()
