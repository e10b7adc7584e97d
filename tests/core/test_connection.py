"""`ConnectionCore`: the open sequence, who hears of what, handlers that raise; against a scripted peer, no I/O."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import ANY, RECEIVER, SENDER
from tests.support.core import Client, opened_sender
from uamqp.codec import ACCEPTED
from uamqp.core import (
    LinkHandler,
    LinkState,
)
from uamqp.engine import CauseKind, IncomingDelivery, LocalProtocolError


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
