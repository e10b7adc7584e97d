"""The core: the open sequence, who hears of what, the fall-back of settle modes; against a scripted peer, no I/O."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import ANY, RECEIVER, SENDER, MemoryPeer
from uamqp.codec import ACCEPTED, Source, Target
from uamqp.core import (
    ConnectionCore,
    LinkCore,
    LinkHandler,
    LinkSettings,
    LinkState,
    ReceiverCore,
    SenderCore,
    SessionCore,
)
from uamqp.engine import Cause, CauseKind, EngineConfig, IncomingDelivery, LocalProtocolError, OutgoingDelivery


class Owner:
    """Owns everything, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.causes: list[Cause | None] = []
        self.deliveries: list[IncomingDelivery] = []
        self.raises: Exception | None = None

    def note(self, what: str) -> None:
        self.heard.append(what)
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise error

    def on_connection_opened(self) -> None:
        self.note("connection open")

    def on_connection_closed(self, cause: Cause | None) -> None:
        self.causes.append(cause)
        self.note("connection closed")

    def on_attach(self, link: LinkCore) -> None:
        self.note("attach")

    def on_link_state(self, previous: LinkState, state: LinkState) -> None:
        self.note(f"{previous.value} to {state.value}")


class Handler(LinkHandler):
    """Handles links, and has the owner note what it hears."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        self.owner.deliveries.append(delivery)
        self.owner.note(f"delivery {delivery.delivery_id}")

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        self.owner.note(f"outcome of {delivery.context}")

    def on_credit(self, now: float) -> bool:
        self.owner.note("credit")
        return False


class Client:
    """A connection core with a scripted peer at the other end."""

    def __init__(self) -> None:
        self.now = 0.0
        self.owner = Owner()
        self.core = ConnectionCore(self.owner)
        self.engine = self.core.start(EngineConfig("me"), self.now)
        self.peer = MemoryPeer(lambda: map(bytes, self.engine.data_to_send()), self.receive)
        self.session = SessionCore(self.core, incoming_window=100)

    def receive(self, data: bytes) -> None:
        self.engine.receive_data(data, self.now)
        self.core.handle_events(self.now)

    def sender(self, **settings: Any) -> SenderCore:
        name = settings.pop("name", "s")
        core = SenderCore(self.session, LinkSettings(name, Source("me"), Target("q"), **settings), self.owner)
        core.handler = Handler(self.owner)
        return core

    def receiver(self, **settings: Any) -> ReceiverCore:
        name = settings.pop("name", "r")
        core = ReceiverCore(self.session, LinkSettings(name, Source("q"), Target("me"), **settings), self.owner)
        core.handler = Handler(self.owner)
        return core


def test_the_open_sequence() -> None:
    client = Client()
    sender = client.sender()
    sender.open(client.now)
    sender.open(client.now)  # does nothing
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    assert client.owner.heard == ["idle to opening", "connection open", "attach", "opening to open"]
    assert client.core.is_open
    assert client.session.is_open
    assert sender.credit == 0
    client.peer.grant(3)
    assert client.owner.heard[-1] == "credit"
    assert sender.credit == 3


def test_links_that_are_opened_later() -> None:
    client = Client()
    first, second = client.sender(name="1"), client.receiver(name="2")
    first.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    second.open(client.now)
    client.peer.accept_attach(SENDER, {"name": "1"})
    client.peer.accept_attach(RECEIVER, {"name": "2"})
    assert (first.state, second.state) == (LinkState.OPEN, LinkState.OPEN)
    third = client.sender(name="3")
    third.open(client.now)
    client.peer.accept_attach(SENDER, {"name": "3"})
    assert third.state is LinkState.OPEN


def test_a_session_after_the_connection_is_open() -> None:
    client = Client()
    client.peer.accept_open()
    client.receiver().open(client.now)
    client.peer.accept_begin({"incoming_window": 100})
    client.peer.accept_attach(RECEIVER)


def test_a_link_that_is_not_open_gives_nothing() -> None:
    client = Client()
    sender, receiver = client.sender(), client.receiver()
    assert sender.credit == 0
    assert sender.remote_max_message_size == 0
    for link in (lambda: sender.sender, lambda: receiver.receiver):
        with pytest.raises(LocalProtocolError, match="not open"):
            link()
    with pytest.raises(LocalProtocolError, match="not open"):
        client.session.require_open()
    with pytest.raises(LocalProtocolError, match="wasn't started"):
        ConnectionCore(client.owner).require_engine()
    with pytest.raises(LocalProtocolError, match="already"):
        client.core.start(EngineConfig("me"), 0.0)


def test_closing_before_it_is_open() -> None:
    """A link given up before its attach went out never attaches."""
    client = Client()
    sender = client.sender()
    sender.open(client.now)
    sender.close(client.now)
    assert sender.state is LinkState.CLOSED
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.expect_nothing()


def test_closing() -> None:
    client = Client()
    sender = client.sender()
    sender.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    sender.close(client.now)
    sender.close(client.now)
    assert sender.state is LinkState.CLOSING
    client.peer.accept_detach(closed=True)
    assert sender.state.name == "CLOSED"
    client.session.end(client.now)
    client.session.end(client.now)
    client.peer.accept_end()
    with pytest.raises(LocalProtocolError, match="ended"):
        client.sender(name="2").open(client.now)
    client.core.close(client.now)
    client.peer.accept_close()
    assert client.owner.causes == [None]
    assert client.core.cause is None


def test_ending_a_session_closes_its_links() -> None:
    client = Client()
    first, second = client.sender(name="1"), client.receiver(name="2")
    first.open(client.now)
    second.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    client.peer.accept_attach(RECEIVER)
    client.session.end(client.now)
    client.peer.ignore("detach")
    client.peer.accept_end()
    assert (first.state, second.state) == (LinkState.CLOSED, LinkState.CLOSED)
    assert (first.cause, second.cause) == (None, None)


@pytest.mark.parametrize("what", ["detach", "end", "close"])
def test_the_first_cause_is_kept(what: str) -> None:
    client = Client()
    sender = client.sender()
    sender.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    fields: dict[str, Any] = {"handle": 0, "closed": True} if what == "detach" else {}
    client.peer.send(what, error=codec.error("amqp:internal-error", "oh dear"), **fields)
    client.peer.expect(what)
    assert sender.state is LinkState.LOST
    assert sender.cause is not None
    assert sender.cause.kind is CauseKind.PEER
    assert "oh dear" in str(sender.cause.error) or "oh dear" in sender.cause.message
    assert client.session.ended is (what != "detach")


def test_a_refused_link_is_lost_with_the_detachs_reason() -> None:
    client = Client()
    receiver = client.receiver()
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.refuse_attach(codec.error("amqp:not-found", "no q"))
    assert client.owner.heard[-2:] == ["attach", "opening to lost"]
    assert receiver.cause is not None
    assert receiver.cause.condition == "amqp:not-found"


def test_the_anonymous_relay_is_no_refusal() -> None:
    """A null target is what was asked for."""
    client = Client()
    relay = SenderCore(client.session, LinkSettings("s", Source("me"), None), client.owner)
    relay.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER, {"target": None})
    assert relay.state is LinkState.OPEN


# -- the settle mode that some brokers don't know


def refuse_session(client: Client, condition: str = "amqp:not-implemented") -> None:
    client.peer.expect("attach", rcv_settle_mode=1)
    client.peer.send("end", error=codec.error(condition, "no mode second"))
    client.peer.expect("end")


def test_mode_second_is_given_up_where_the_broker_refuses_it() -> None:
    """Rule 9: the session is begun again, and the owner notices nothing."""
    client = Client()
    receiver = client.receiver(rcv_settle_mode=1)
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    refuse_session(client)
    client.peer.accept_begin()
    client.peer.accept_attach(RECEIVER, {"rcv_settle_mode": 0, "name": "r"})
    assert receiver.state is LinkState.OPEN
    assert client.owner.heard == ["idle to opening", "connection open", "attach", "opening to open"]
    assert receiver.cause is None
    assert not client.session.ended


@pytest.mark.parametrize(("channel_max", "channel"), [(65535, 1), (0, 0)], ids=["many channels", "one channel"])
def test_the_session_is_begun_again_on_another_channel(channel_max: int, channel: int) -> None:
    """RabbitMQ 4 loses some begins that come on the channel of a session right behind its end."""
    client = Client()
    sender = client.sender(rcv_settle_mode=1)
    sender.open(client.now)
    client.peer.accept_open(channel_max=channel_max)
    client.peer.accept_begin()
    refuse_session(client)
    client.peer.accept_begin()
    assert client.session.endpoint is not None
    assert client.session.endpoint.channel == channel
    client.peer.accept_attach(SENDER)
    client.peer.grant(1, channel=channel)
    assert sender.sender is not None
    sender.sender.send(b"x")
    transfer = client.peer.expect("transfer")
    assert (transfer.channel, transfer.payload) == (channel, b"x")


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_mode_second_is_given_up_where_the_broker_refuses_the_link(role: bool) -> None:
    """The session goes on, with what else is in it; the owner hears of the attach that counts."""
    client = Client()
    other = client.sender(name="other")
    other.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER, {"name": "other"})
    client.owner.heard.clear()
    link = (client.sender if role == SENDER else client.receiver)(name="l", rcv_settle_mode=1)
    link.open(client.now)
    client.peer.refuse_attach(codec.error("amqp:not-implemented", "no mode second"), {"role": role})
    client.peer.expect("detach")
    client.peer.accept_attach(role, {"rcv_settle_mode": 0, "name": "l"})
    assert (link.state, link.cause, other.state) == (LinkState.OPEN, None, LinkState.OPEN)
    assert client.owner.heard == ["idle to opening", "attach", "opening to open"]


@pytest.mark.parametrize(("mode", "condition"), [(1, "amqp:not-found"), (0, "amqp:not-implemented")])
def test_a_link_that_is_refused_for_something_else_is_not_attached_again(mode: int, condition: str) -> None:
    client = Client()
    receiver = client.receiver(rcv_settle_mode=mode)
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.refuse_attach(codec.error(condition, "no"))
    client.peer.expect("detach")
    client.peer.expect_nothing()
    assert receiver.cause is not None
    assert receiver.cause.condition == condition
    assert client.owner.heard == ["idle to opening", "connection open", "attach", "opening to lost"]


def test_a_broker_that_refuses_both_modes() -> None:
    client = Client()
    receiver = client.receiver(rcv_settle_mode=1)
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    for mode in (1, 0):
        client.peer.refuse_attach(codec.error("amqp:not-implemented", "no"), {"rcv_settle_mode": mode})
        client.peer.expect("detach")
    client.peer.expect_nothing()
    assert receiver.state is LinkState.LOST
    assert client.owner.heard.count("attach") == 1


def test_several_links_are_attached_again() -> None:
    client = Client()
    links = [client.receiver(name=name, rcv_settle_mode=mode) for name, mode in (("a", 1), ("b", 1), ("c", 0))]
    for link in links:
        link.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.expect("attach", name="a")
    client.peer.expect("attach", name="b")
    client.peer.expect("attach", name="c")
    client.peer.send("end", error=codec.error("amqp:not-implemented"))
    client.peer.expect("end")
    client.peer.accept_begin()
    for name in "abc":
        client.peer.accept_attach(RECEIVER, {"rcv_settle_mode": 0, "name": name})
    assert [link.state for link in links] == [LinkState.OPEN] * 3


@pytest.mark.parametrize("condition", ["amqp:not-allowed", "amqp:internal-error"])
def test_other_ends_are_the_end(condition: str) -> None:
    client = Client()
    receiver = client.receiver(rcv_settle_mode=1)
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    refuse_session(client, condition)
    client.peer.expect_nothing()
    assert receiver.state is LinkState.LOST


def test_a_link_that_was_open_is_not_opened_again() -> None:
    """Its unsettled messages are the old session's: whoever uses it must hear of the end."""
    client = Client()
    first = client.receiver(name="1", rcv_settle_mode=1)
    first.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(RECEIVER)
    client.peer.send("end", error=codec.error("amqp:not-implemented"))
    client.peer.expect("end")
    client.peer.expect_nothing()
    assert first.state is LinkState.LOST


def test_a_link_that_was_closed_meanwhile_is_not_opened_again() -> None:
    client = Client()
    receiver = client.receiver(rcv_settle_mode=1)
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.expect("attach")
    receiver.close(client.now)
    client.peer.ignore("detach")
    client.peer.send("end", error=codec.error("amqp:not-implemented"))
    client.peer.expect("end")
    client.peer.expect_nothing()
    assert receiver.state is LinkState.CLOSED


# -- handlers that raise


def test_what_a_handler_raises_comes_out_and_nothing_is_lost() -> None:
    client = Client()
    receiver = client.receiver()
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(RECEIVER)
    receiver.receiver.set_credit(10)
    client.peer.expect("flow")
    client.peer.byte_source.push = lambda data: client.engine.receive_data(data, client.now)  # type: ignore[attr-defined]
    for number in range(3):
        client.peer.send_delivery(data_message(b"%d" % number))
    client.owner.raises = KeyError("a handler's own fault")
    with pytest.raises(KeyError):
        client.core.handle_events(client.now)
    assert [delivery.delivery_id for delivery in client.owner.deliveries] == [0]
    assert client.core.handle_events(client.now)
    assert [delivery.delivery_id for delivery in client.owner.deliveries] == [0, 1, 2]
    assert not client.core.handle_events(client.now)


def test_a_handler_may_give_commands() -> None:
    """What comes of them is dealt with before handle_events returns."""
    client = Client()
    receiver = client.receiver()

    class Accepting(LinkHandler):
        def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
            delivery.settle(ACCEPTED)
            receiver.close(now)

    receiver.handler = Accepting()
    receiver.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(RECEIVER)
    receiver.receiver.set_credit(10)
    client.peer.expect("flow")
    client.peer.send_delivery(data_message(b"x"))
    client.peer.expect("disposition", first=0, settled=True)
    client.peer.accept_detach()
    assert receiver.state is LinkState.CLOSED


# -- what the peer begins


def test_the_peers_sessions_and_links_are_refused() -> None:
    client = Client()
    client.sender().open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    client.peer.send("begin", channel=7, next_outgoing_id=0, incoming_window=1, outgoing_window=1)
    began = client.peer.expect("begin", remote_channel=7)
    client.peer.expect("end", channel=began.channel, error={"condition": "amqp:not-allowed"})
    client.peer.send("end", channel=7)
    client.peer.send(
        "attach",
        name="theirs",
        handle=9,
        role=SENDER,
        source=codec.source(),
        target=codec.target(),
        initial_delivery_count=0,
    )
    client.peer.expect("attach", name="theirs", role=RECEIVER)
    client.peer.expect("detach", closed=True, error={"condition": "amqp:not-allowed", "description": ANY})
    client.peer.send("detach", handle=9, closed=True)
    client.peer.expect_nothing()
    assert client.core.is_open


@pytest.mark.parametrize("late", ["close", "end", "detach"])
def test_answers_and_ends_in_one_read(late: str) -> None:
    """The peer's frames may come together: an open and a close, a begin and an end, an attach and a detach."""
    client = Client()
    receiver = client.receiver()
    receiver.open(client.now)
    collected = bytearray()
    client.peer.memory.push = collected.extend
    client.peer.accept_open()
    error = codec.error("amqp:not-allowed", "go away")
    if late == "close":
        client.peer.send("close", error=error)
    else:
        client.receive(bytes(collected))
        collected.clear()
        client.peer.accept_begin()
        if late == "end":
            client.peer.send("end", error=error)
        else:
            client.receive(bytes(collected))
            collected.clear()
            client.peer.accept_attach(RECEIVER)
            client.peer.send("detach", handle=0, closed=True, error=error)
    client.receive(bytes(collected))
    client.peer.expect(late)
    assert receiver.state is LinkState.LOST
    assert receiver.cause is not None
    assert receiver.cause.condition == "amqp:not-allowed"


# -- deliveries


def opened_sender(client: Client, credit: int = 10) -> SenderCore:
    sender = client.sender()
    sender.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    if credit:
        client.peer.grant(credit)
    client.owner.heard.clear()
    return sender


def test_outcomes_are_reported() -> None:
    client = Client()
    sender = opened_sender(client)
    for name in ("first", "second"):
        sender.sender.send(b"\x00\x53\x75\xa0\x00", context=name)
    client.peer.expect("transfer")
    client.peer.expect("transfer")
    client.peer.send("disposition", role=RECEIVER, first=0, last=1, settled=True, state=codec.accepted())
    assert client.owner.heard == ["outcome of first", "outcome of second"]


def test_what_is_in_flight_is_reported_when_the_link_is_lost() -> None:
    client = Client()
    sender = opened_sender(client)
    delivery = sender.sender.send(b"\x00\x53\x75\xa0\x00", context="it")
    client.peer.expect("transfer")
    client.peer.send("detach", handle=0, closed=True)
    assert "outcome of it" in client.owner.heard
    assert "open to lost" in client.owner.heard
    assert delivery.lost


def test_a_drain_is_answered_when_nobody_sends() -> None:
    client = Client()
    opened_sender(client, credit=0)
    client.peer.grant(5, drain=True)
    assert client.owner.heard == ["credit"]
    client.peer.expect("flow", delivery_count=5, link_credit=0)


def test_a_drain_is_answered_after_what_is_sent_upon_it() -> None:
    client = Client()
    sender = opened_sender(client, credit=0)

    class Sending(LinkHandler):
        def on_credit(self, now: float) -> bool:
            sender.sender.send(b"\x00\x53\x75\xa0\x00")
            return False

    sender.handler = Sending()
    client.peer.grant(5, drain=True)
    client.peer.expect("transfer")
    client.peer.expect("flow", delivery_count=5, link_credit=0)


def test_a_drain_waits_for_who_has_more_to_send() -> None:
    client = Client()

    class Waiting(LinkHandler):
        def on_credit(self, now: float) -> bool:
            return True

    opened_sender(client, credit=0).handler = Waiting()
    client.peer.grant(5, drain=True)
    client.peer.expect_nothing()


# -- what the peer's limits don't allow


def test_a_session_that_the_peer_has_no_channel_for() -> None:
    client = Client()
    client.sender().open(client.now)
    second = SessionCore(client.core, incoming_window=100)
    link = SenderCore(second, LinkSettings("s2", Source("me"), Target("q")), client.owner)
    link.open(client.now)
    client.peer.accept_open(channel_max=0)
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER)
    client.peer.expect_nothing()
    assert link.state is LinkState.LOST
    assert link.cause is not None
    assert link.cause.kind is CauseKind.LOCAL
    assert second.ended
    assert second.cause is link.cause
    with pytest.raises(LocalProtocolError, match="ended"):
        SenderCore(second, LinkSettings("s3", Source("me"), Target("q")), client.owner).open(client.now)
    assert client.core.is_open


def test_a_link_that_the_peer_has_no_handle_for() -> None:
    client = Client()
    links = [client.sender(name=str(number)) for number in range(2)]
    for link in links:
        link.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin(handle_max=0)
    client.peer.accept_attach(SENDER)
    client.peer.expect_nothing()
    assert links[0].state is LinkState.OPEN
    assert links[1].state is LinkState.LOST
    assert links[1].cause is not None
    assert links[1].cause.kind is CauseKind.LOCAL
    links[0].close(client.now)
    client.peer.accept_detach()
    third = client.sender(name="3")
    third.open(client.now)
    client.peer.accept_attach(SENDER, {"name": "3"})
    assert third.state is LinkState.OPEN


def test_a_session_that_is_gone_is_forgotten() -> None:
    client = Client()
    client.peer.accept_open()
    for end_by_peer in (False, True):
        session = SessionCore(client.core, incoming_window=100)
        session.open(client.now)
        session.open(client.now)
        client.peer.accept_begin()
        assert client.core._sessions == [session]
        if end_by_peer:
            client.peer.send("end", channel=0, error=codec.error("amqp:not-allowed", "no"))
            client.peer.expect("end")
            assert session.cause is not None
        else:
            session.end(client.now)
            client.peer.accept_end()
            assert session.cause is None
        assert session.ended
        assert client.core._sessions == []


def test_ending_a_session_that_never_began() -> None:
    client = Client()
    link = client.sender()
    link.open(client.now)
    client.session.end(client.now)
    assert link.state is LinkState.CLOSED
    client.session.open(client.now)  # does nothing any more
    client.peer.accept_open()
    client.peer.expect_nothing()


def test_a_lost_connection_ends_everything() -> None:
    client = Client()
    sender = opened_sender(client)
    client.engine.abort(client.now, "the wire is cut")
    client.core.handle_events(client.now)
    assert sender.state is LinkState.LOST
    assert sender.cause is client.core.cause
    assert client.session.ended
    assert client.session.cause is client.core.cause
    assert client.owner.causes == [client.core.cause]
