"""`SessionCore`: begins and ends, and the fall-back of settle modes; against a scripted peer, no I/O."""

from __future__ import annotations

import pytest

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.support.core import Client
from uamqp.codec import Source, Target
from uamqp.core import (
    LinkSettings,
    LinkState,
    SenderCore,
    SessionCore,
)
from uamqp.engine import CauseKind, LocalProtocolError


def test_a_session_after_the_connection_is_open() -> None:
    client = Client()
    client.peer.accept_open()
    client.receiver().open(client.now)
    client.peer.accept_begin({"incoming_window": 100})
    client.peer.accept_attach(RECEIVER)


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
