"""`LinkCore`: attaching, being refused, deliveries and credit; against a scripted peer, no I/O."""

from __future__ import annotations

import pytest

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.support.core import Client, opened_sender
from uamqp.codec import Source
from uamqp.core import (
    ConnectionCore,
    LinkHandler,
    LinkSettings,
    LinkState,
    SenderCore,
)
from uamqp.engine import CauseKind, EngineConfig, LocalProtocolError


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


# -- deliveries


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
