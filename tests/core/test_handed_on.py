"""What the engine reports besides messages, outcomes and states is handed on; against a scripted peer, no I/O."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import RECEIVER, SENDER
from tests.support.core import Client
from uamqp.codec import RELEASED, Symbol
from uamqp.core import LinkCore, LinkHandler, LinkState, ReceiverCore
from uamqp.engine import IncomingDelivery

PROPERTIES = {codec.sym("vendor:available"): codec.uint(7)}
READ = {Symbol("vendor:available"): 7}


class Handler(LinkHandler):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Any, ...]] = []
        self.deliveries: list[IncomingDelivery] = []

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        self.deliveries.append(delivery)

    def on_settled(self, delivery: IncomingDelivery, now: float) -> None:
        self.heard.append(("settled", delivery, now))

    def on_drained(self, now: float) -> None:
        self.heard.append(("drained", now))

    def on_flow_properties(self, properties: dict[Symbol, Any], now: float) -> None:
        self.heard.append(("properties", properties, now))


def opened(client: Client, link: LinkCore, role: bool) -> None:
    link.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(role)
    client.now = 5.0


def receiving(handler: LinkHandler | None, **settings: Any) -> tuple[Client, ReceiverCore]:
    client = Client()
    core = client.receiver(**settings)
    core.handler = handler
    opened(client, core, RECEIVER)
    return client, core


@pytest.mark.parametrize("deliveries", [0, 2, 3])
def test_a_drain_that_is_done(deliveries: int) -> None:
    """The sender has given the credit back, or has used it up: then it needn't say a word."""
    handler = Handler()
    client, core = receiving(handler)
    core.receiver.set_credit(3, drain=True)
    client.peer.expect("flow", link_credit=3, drain=True)
    for _ in range(deliveries):
        client.peer.send_delivery(data_message(b"x"), settled=True)
    if deliveries < 3:
        assert handler.heard == []
        client.peer.send("flow", handle=0, delivery_count=3, link_credit=0, drain=True)
    assert handler.heard == [("drained", 5.0)]
    assert len(handler.deliveries) == deliveries
    assert core.receiver.credit == 0


@pytest.mark.parametrize("settled", [True, False])
def test_the_sender_settles_a_delivery(settled: bool) -> None:
    """With rcv-settle-mode second that is how an outcome is confirmed."""
    handler = Handler()
    client, core = receiving(handler, rcv_settle_mode=1)
    core.receiver.set_credit(2)
    client.peer.expect("flow")
    for _ in range(2):
        client.peer.send_delivery(data_message(b"x"))
    first, second = handler.deliveries
    second.settle(RELEASED)
    client.peer.expect("disposition", first=1, settled=False, state="released")
    assert not second.settled
    client.peer.send("disposition", role=SENDER, first=1, settled=settled, state=codec.accepted())
    assert handler.heard == ([("settled", second, 5.0)] if settled else [])
    assert (first.settled, second.settled) == (False, settled)


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_the_properties_of_a_flow(role: bool) -> None:
    handler = Handler()
    client = Client()
    link = client.sender() if role == SENDER else client.receiver()
    link.handler = handler
    opened(client, link, role)
    client.peer.send("flow", handle=0, delivery_count=0, link_credit=4, properties=PROPERTIES)
    client.peer.send("flow", handle=0, delivery_count=0, link_credit=4)
    client.peer.send("flow", handle=0, delivery_count=0, link_credit=4, properties={})
    assert handler.heard == [("properties", READ, 5.0)]
    assert client.session.flow_properties == {}


def test_what_else_the_flow_says_is_known_before() -> None:
    client = Client()
    sender = client.sender()
    credit: list[int] = []

    class Reads(Handler):
        def on_flow_properties(self, properties: dict[Symbol, Any], now: float) -> None:
            credit.append(sender.credit)

    sender.handler = Reads()
    opened(client, sender, SENDER)
    client.peer.grant(4, properties=PROPERTIES)
    assert credit == [4]


def test_the_properties_of_a_flow_for_the_session() -> None:
    handler = Handler()
    client, _ = receiving(handler)
    assert client.session.flow_properties == {}
    client.peer.send("flow", properties=PROPERTIES)
    client.peer.send("flow")
    assert client.session.flow_properties == READ
    assert handler.heard == []


def test_nobody_has_to_listen() -> None:
    """A handler that says nothing of these hears of its deliveries all the same; and a link may have none."""

    class Simple(LinkHandler):
        def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
            delivery.settle(RELEASED)

    for handler in (None, Simple()):
        client, core = receiving(handler, rcv_settle_mode=1)
        core.receiver.set_credit(1, drain=True)
        client.peer.expect("flow")
        client.peer.send_delivery(data_message(b"x"))
        client.peer.send("flow", handle=0, properties=PROPERTIES)
        if handler is not None:
            client.peer.expect("disposition")
            client.peer.send("disposition", role=SENDER, first=0, settled=True)
        client.peer.send("flow", handle=0, properties=PROPERTIES)
        assert core.state is LinkState.OPEN


@pytest.mark.parametrize("closed", [True, False])
def test_a_link_that_was_detached_is_not_closed(closed: bool) -> None:
    """Its terminus may live on; the owner knows which it is when it hears of the end."""
    client, core = receiving(None)
    seen: list[bool] = []
    client.owner.on_link_state = lambda previous, state: seen.append(core.remote_closed)  # type: ignore[method-assign]
    assert not core.remote_closed
    client.peer.send("detach", handle=0, closed=closed)
    client.peer.expect("detach", closed=closed)
    assert core.state is LinkState.LOST
    assert seen == [closed]


@pytest.mark.parametrize("closed", [True, False])
def test_a_link_that_we_detach_is_closed_if_the_peer_says_so(closed: bool) -> None:
    client, core = receiving(None)
    core.close(client.now, closed=False)
    client.peer.expect("detach", closed=False)
    client.peer.send("detach", handle=0, closed=closed)
    assert (core.state, core.remote_closed) == (LinkState.CLOSED, closed)


@pytest.mark.parametrize("what", ["end", "close"])
def test_a_link_that_goes_with_its_session_or_connection_is_not_closed(what: str) -> None:
    client, core = receiving(None)
    client.peer.send(what, error=codec.error("amqp:internal-error"))
    client.peer.expect(what)
    assert (core.state, core.remote_closed) == (LinkState.LOST, False)


def test_a_link_that_is_attached_again_is_not_closed() -> None:
    """It was refused for rcv-settle-mode second, and is open with first."""
    client = Client()
    core = client.receiver(rcv_settle_mode=1)
    core.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.refuse_attach(codec.error("amqp:not-implemented", "no mode second"))
    client.peer.expect("detach")
    client.peer.accept_attach(RECEIVER)
    assert (core.state, core.remote_closed) == (LinkState.OPEN, False)
