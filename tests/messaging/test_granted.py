"""What a peer doesn't grant is never silently less: it is known from its attach, or by what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, opened
from tests.support.scripts import RECEIVER, SENDER, accept_leaving, accept_sender, settle
from uamqp.messaging import Accepted, FilterRefused, LinkRefused, UsageError, filters

pytestmark = both_faces

UNSETTLED, SETTLED, MIXED = 0, 1, 2
FIRST, SECOND = 0, 1
OUTCOMES = ["amqp:accepted:list", "amqp:rejected:list", "amqp:released:list"]


def rabbitmq(version: str) -> dict[str, Any]:
    """As RabbitMQ opens a connection."""
    product = {codec.sym("product"): "RabbitMQ", codec.sym("version"): version}
    return {"properties": product}


def accept(peer: SocketPeer, **opened: Any) -> None:
    peer.accept_sasl()
    peer.accept_open(**opened)
    peer.accept_begin()


def with_receiver(
    after: Callable[[SocketPeer], None] = accept_leaving,
    opened: dict[str, Any] | None = None,
    *,
    granted: bool = True,
    **answer: Any,
) -> Callable[[SocketPeer], None]:
    """The script of a peer over whose link the client receives; it answers the attach with these fields."""

    def script(peer: SocketPeer) -> None:
        accept(peer, **(opened or {}))
        peer.accept_attach(RECEIVER, **answer)
        if granted and after is not accept_leaving:
            peer.expect("flow")  # the first credit comes once the client has checked the answer
        peer.ignore("flow")
        after(peer)

    return script


def refused(face: Face, script: Callable[[SocketPeer], None], kind: type[Exception], text: str, **options: Any) -> None:
    """A receiver that isn't opened, while the connection lives on, and the link is closed."""
    with ScriptedServer(script) as server, connected(face, server) as connection:
        with pytest.raises(kind, match=text) as caught:
            face.go(lambda: connection.open_receiver("q", **options))
        error: Any = caught.value
        assert (error.is_temporary, connection.state) == (False, "open")
        becomes(face, lambda: connection.stats().receivers == 0)


# -- settling


def test_settlements_that_are_not_confirmed(face: Face) -> None:
    refused(face, with_receiver(rcv_settle_mode=FIRST), LinkRefused, "confirms no settlements", confirm=True)


def test_an_outcome_that_the_peer_does_not_know(face: Face) -> None:
    def take_back(peer: SocketPeer) -> None:
        for number in range(3):
            peer.send_delivery(data_message(b"%d" % number))
        peer.expect("disposition", first=0, state="released")
        peer.expect("disposition", first=1, state="rejected")
        peer.expect("disposition", first=2, state="released")
        accept_leaving(peer)

    source = codec.source(address="q", outcomes=codec.symbols(*OUTCOMES))
    script = with_receiver(take_back, source=source)
    with ScriptedServer(script) as server, opened(face, server, "open_receiver") as r:
        first, second, third = face.go(lambda: r.receive_many(3, minimum=3))
        with pytest.raises(UsageError, match="doesn't know the outcome modified"):
            face.go(lambda: first.modify(delivery_failed=True))
        with pytest.raises(UsageError, match="doesn't know the outcome modified"):
            face.go(lambda: r.modify([first]))
        assert r.unsettled == 3
        face.block(lambda: r.process(first), ValueError("no"))
        face.block(lambda: r.process(second, requeue=False), ValueError("no"))
        face.block(lambda: r.process(third), KeyboardInterrupt())


@pytest.mark.parametrize("answer", [UNSETTLED, MIXED])
def test_a_sender_that_was_asked_to_send_settled_and_does_not(face: Face, answer: int) -> None:
    def send_unsettled(peer: SocketPeer) -> None:
        peer.send_delivery(data_message(b"0"))
        peer.send_delivery(data_message(b"1"), settled=True)
        peer.expect("disposition", first=0, settled=True, state="accepted")
        accept_leaving(peer)

    script = with_receiver(send_unsettled, snd_settle_mode=answer)
    with ScriptedServer(script) as server, opened(face, server, "open_receiver", presettled=True) as r:
        found = face.go(lambda: r.receive_many(2, minimum=2))
        assert [message.text() for message in found] == ["0", "1"]
        assert all(message.settled for message in found)
        assert r.unsettled == 0
        for message in found:
            face.go(message.accept)  # which has nothing to do


def test_what_such_a_sender_sends_to_a_stopped_receiver_is_not_lost(face: Face) -> None:
    def send_late(peer: SocketPeer) -> None:
        peer.wait("stopped")
        peer.send_delivery(data_message(b"0"))
        settled = peer.expect("disposition", first=0, settled=True)
        peer.server.outcome = settled["state"].name  # type: ignore[attr-defined]
        peer.tell("settled")
        accept_leaving(peer)

    script = with_receiver(send_late, snd_settle_mode=MIXED)
    with ScriptedServer(script) as server, opened(face, server, "open_receiver", presettled=True) as r:
        face.go(r.stop)
        server.tell("stopped")
        server.wait("settled")
        outcome: str = server.outcome  # type: ignore[attr-defined]
        if outcome != "released":  # then it is handed out, as what was sent settled is
            assert face.go(r.receive).text() == "0"


def test_a_peer_that_wants_messages_unsettled_gets_them_settled_all_the_same(face: Face) -> None:
    # Which mode applies is the sender's to say (section 2.7.3); what was asked for is what is done.
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, snd_settle_mode=UNSETTLED)
        peer.expect("transfer", settled=True)
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_sender", presettled=True) as s:
        face.go(lambda: s.send("x"))


def test_a_peer_that_settles_nothing_by_itself(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, rcv_settle_mode=SECOND)
        settle(peer, peer.expect("transfer", settled=False), settled=False)
        peer.expect("disposition", role=SENDER, first=0, settled=True)
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_sender") as s:
        delivery = face.go(lambda: s.submit_nowait("x"))
        assert face.wait(delivery) == Accepted()


# -- what brokers say and don't do


def test_a_peer_that_does_not_browse(face: Face) -> None:
    source = codec.source(address="q")
    refused(face, with_receiver(source=source), LinkRefused, "doesn't browse", browse=True)


@pytest.mark.parametrize("version", ["3.10.0", "4.0.1", "4.3.0"])
def test_rabbitmq_says_that_it_browses_and_does_not(face: Face, version: str) -> None:
    refused(face, with_receiver(opened=rabbitmq(version)), LinkRefused, "doesn't browse", browse=True)


@pytest.mark.parametrize("version", ["3.10.0", "4.0.1"])
def test_rabbitmq_says_that_it_selects_and_does_not(face: Face, version: str) -> None:
    wanted = [filters.selector("amount > 100")]
    text = "doesn't apply the filter 'jms-selector'"
    refused(face, with_receiver(opened=rabbitmq(version)), FilterRefused, text, filters=wanted)


@pytest.mark.parametrize("product", [{}, {"properties": {codec.sym("product"): "another"}}])
def test_another_peer_is_believed(face: Face, product: dict[str, Any]) -> None:
    options = {"filters": [filters.selector("amount > 100")], "browse": True}
    with (
        ScriptedServer(with_receiver(opened=product)) as server,
        opened(face, server, "open_receiver", **options) as r,
    ):
        assert r.state == "open"


def test_rabbitmq_3_is_never_asked_to_drain(face: Face, clock: Clock) -> None:
    def answer(peer: SocketPeer) -> None:
        peer.wait("drain")
        assert all(not flow["drain"] for flow in peer.ignored)
        accept_leaving(peer)

    script = with_receiver(answer, rabbitmq("3.10.0"))
    with ScriptedServer(script) as server, opened(face, server, "open_receiver", credit="manual") as r:
        face.go(lambda: r.add_credit(5))
        draining = face.spawn(r.drain)
        clock.stand_until(lambda: r.credit == 0, 1)
        draining.result()
        server.tell("drain")


def test_a_receiver_that_is_refused_has_asked_for_nothing(face: Face) -> None:
    # What was sent settled by then would be lost.
    def look(peer: SocketPeer) -> None:
        peer.accept_detach()
        assert [flow for flow in peer.ignored if flow["link_credit"]] == []
        peer.accept_end()
        peer.accept_close()

    wanted = [filters.selector("amount > 100")]
    script = with_receiver(look, granted=False, source=codec.source(address="q"))
    refused(face, script, FilterRefused, "doesn't apply the filter", filters=wanted, presettled=True)


# -- what peers tell


def test_properties_of_flows(face: Face, caplog: pytest.LogCaptureFixture) -> None:
    def tell(peer: SocketPeer) -> None:
        for active in (True, False):
            told = {codec.sym("rabbitmq:active"): active}
            peer.send("flow", handle=0, delivery_count=0, link_credit=100, properties=told)
        accept_leaving(peer)

    def note(told: Mapping[str, Any]) -> None:
        seen.append(told)
        raise LookupError("of the program's")

    seen: list[Mapping[str, Any]] = []
    script = with_receiver(tell)
    with ScriptedServer(script) as server, opened(face, server, "open_receiver", on_flow_properties=note):
        becomes(face, lambda: len(seen) == 2)
    assert seen == [{"rabbitmq:active": True}, {"rabbitmq:active": False}]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [
        "on_flow_properties raised an exception."
    ] * 2


def test_what_the_peer_says_of_its_end(face: Face) -> None:
    answer: dict[str, Any] = {
        "max_message_size": 1000,
        "offered_capabilities": codec.symbols("queue"),
        "properties": {codec.sym("shard"): codec.uint(5)},
        "source": codec.source(address="elsewhere"),
    }
    with ScriptedServer(with_receiver(**answer)) as server, opened(face, server, "open_receiver") as r:
        remote = r.remote
        assert (remote.source.address, remote.max_message_size) == ("elsewhere", 1000)
        assert (remote.capabilities, remote.properties) == (("queue",), {"shard": 5})
        assert (remote.presettled, remote.confirms, r.address) == (False, False, "q")


# -- what outlives a link


@pytest.mark.parametrize(
    ("options", "way", "closed"),
    [
        ({}, "close", True),
        ({}, "detach", False),
        ({"subscription": "s"}, "close", False),
        ({"subscription": "s"}, "detach", False),
        ({"subscription": "s"}, "unsubscribe", True),
        ({"durable": True, "name": "s"}, "close", False),
        ({"durable": True, "name": "s"}, "unsubscribe", True),
    ],
)
@pytest.mark.parametrize("with_the_connection", [False, True])
def test_a_subscription_lives_on(
    face: Face, options: dict[str, Any], way: str, closed: bool, with_the_connection: bool
) -> None:
    def end(peer: SocketPeer) -> None:
        peer.accept_detach(closed=closed)
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(with_receiver(end)) as server, connected(face, server) as connection:
        receiver = face.go(lambda: connection.open_receiver("topic", **options))
        if with_the_connection and way == "close":
            return
        face.go(getattr(receiver, way))
        assert receiver.state == "closed"
