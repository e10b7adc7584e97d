"""Counters that wrap: transfer-ids, delivery-ids and delivery-counts from near 2^31 and 2^32 (RFC 1982, section 2.6.7).

Imports pytest, the pair, and the public names of uamqp.codec and uamqp.engine.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pair import Pair
from uamqp.codec import ACCEPTED, RELEASED
from uamqp.engine import IncomingDelivery, Limits, OutgoingDelivery, Receiver, Sender
from uamqp.engine.events import IncomingSettled, ReceiverDrained

WRAP = 2**32
STARTS = [0, 2**31 - 3, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1]


def connected(ids: int, count: int, *, window: int = 3, mode: int = 0, **config: Any) -> tuple[Pair, Sender, Receiver]:
    """A link from the client whose transfer-ids and delivery-count start where they are told."""
    pair = Pair({}, {"max_frame_size": 512, **config}).open()
    pair.server.session_options = {"incoming_window": window, "initial_id": ids}
    session, _ = pair.begin(initial_id=ids)
    sender, receiver = pair.link(session, initial_delivery_count=count, rcv_settle_mode=mode)
    return pair, sender, receiver


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("count", STARTS)
@pytest.mark.parametrize("ids", STARTS)
def test_deliveries_over_the_edge(ids: int, count: int, mode: int) -> None:
    """Messages of one frame and of several; all settled in one go, in ranges that wrap."""
    pair, sender, receiver = connected(ids, count, mode=mode)
    receiver.auto_credit(4)
    sent = [sender.send(b"%d" % number * (1 + 700 * (number % 3 == 0))) for number in range(12)]
    while len(pair.server.all(IncomingDelivery)) < len(sent):
        pair.pump()
        fresh = [event for event in pair.server.drop() if type(event) is IncomingDelivery]
        assert fresh
        receiver.taken(len(fresh))
    arrived = pair.server.all(IncomingDelivery)
    assert [one.delivery_id for one in arrived] == [(ids + number) % WRAP for number in range(12)]
    assert [one.delivery_id for one in sent] == [one.delivery_id for one in arrived]
    assert sender.delivery_count == receiver.delivery_count == (count + 12) % WRAP
    assert (
        set(sender.session.unsettled.outgoing)
        == set(receiver.session.unsettled.incoming)
        == {one.delivery_id for one in arrived}
    )
    for one in arrived[:7]:
        one.settle(ACCEPTED)
    for one in reversed(arrived[7:]):
        one.settle(RELEASED)
    pair.pump()
    assert [type(one.remote_state) for one in sent] == [type(ACCEPTED)] * 7 + [type(RELEASED)] * 5
    assert all(one.settled for one in sent)
    assert len(pair.client.all(OutgoingDelivery)) == 12
    assert len(pair.server.all(IncomingSettled)) == 12 * mode
    assert not sender.session.unsettled.outgoing
    assert not receiver.session.unsettled.incoming
    pair.close()


@pytest.mark.parametrize("count", STARTS)
def test_drain_over_the_edge(count: int) -> None:
    """The credit that is given back takes the delivery-count across."""
    pair, sender, receiver = connected(0, count)
    for rounds in range(1, 4):
        sender.send(b"x")
        receiver.set_credit(5, drain=True)
        pair.pump()
        sender.drained()
        pair.pump()
        assert len(pair.server.all(ReceiverDrained)) == rounds
        assert sender.delivery_count == receiver.delivery_count == (count + 5 * rounds) % WRAP
        assert sender.credit == receiver.credit == 0
    pair.close()


@pytest.mark.parametrize("count", STARTS)
def test_credit_over_the_edge(count: int) -> None:
    """A flow of the receiver that crosses deliveries counts from where the receiver was."""
    pair, sender, receiver = connected(0, count, window=100)
    receiver.set_credit(4)
    pair.pump()
    for _ in range(10):
        sender.send(b"x")
    pair.write(pair.client)
    receiver.set_credit(6)  # while 4 are on their way: 2 more
    pair.write(pair.server)
    pair.read(pair.client)
    pair.write(pair.client)
    assert sender.queued == 4
    pair.pump()
    assert receiver.credit == 0
    assert len(pair.server.all(IncomingDelivery)) == 6
    pair.close()


@pytest.mark.parametrize("count", STARTS)
def test_the_limit_of_credit_over_the_edge(count: int) -> None:
    """Credit that was taken back may still be used up by what crosses, and not one more."""
    pair, sender, receiver = connected(0, count, window=100, limits=Limits(overrun=0))
    receiver.set_credit(3)
    pair.pump()
    for _ in range(3):
        sender.send(b"x")
    pair.write(pair.client)
    receiver.set_credit(0)
    pair.pump()
    assert len(pair.server.all(IncomingDelivery)) == 3
    assert receiver.is_open
    sender._link_credit = 1  # a sender that can't count
    sender.send(b"x")
    pair.pump()
    assert len(pair.server.all(IncomingDelivery)) == 3
    assert not receiver.is_open
    assert pair.server.sent("detach")[0]["error"]["condition"] == "amqp:link:transfer-limit-exceeded"


@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("ids", STARTS)
def test_windows_over_the_edge(ids: int, window: int) -> None:
    """Transfers of one large message: every one has its transfer-id, and the window is renewed as it goes."""
    pair, sender, receiver = connected(ids, 0, window=window)
    receiver.set_credit(1)
    sender.send(b"x" * 20_000)
    pair.pump()
    assert len(pair.server.last(IncomingDelivery).payload) == 20_000
    frames = len(pair.client.sent("transfer"))
    assert frames > 40
    pair.client.engine.data_to_send()
    receiver.set_credit(1)
    pair.pump()
    flow = pair.server.sent("flow")[-1]
    assert flow["next_incoming_id"] == (ids + frames) % WRAP
    pair.close()


@pytest.mark.parametrize("ids", STARTS)
def test_a_window_that_crosses_transfers(ids: int) -> None:
    """The peer's flow names a window from what it had seen; what is on its way since has used some of it."""
    pair, sender, receiver = connected(ids, 0, window=4)
    receiver.set_credit(100)
    pair.pump()
    for _ in range(20):
        sender.send(b"x", settled=True)
    pair.write(pair.client)
    assert sender.session.remote_incoming_window == 0
    receiver.set_credit(50)
    pair.write(pair.server)
    pair.read(pair.client)
    assert sender.session.remote_incoming_window == 0
    pair.pump()
    assert len(pair.server.all(IncomingDelivery)) == 20
    pair.close()


@pytest.mark.parametrize("ids", STARTS)
def test_both_directions_over_the_edge(ids: int) -> None:
    """Delivery-ids count per direction: both sides use the same ones at the same time."""
    pair, sender, receiver = connected(ids, 0, window=10)
    back, mine = pair.link(sender.session, "back", receive=True)
    receiver.auto_credit(10)
    mine.auto_credit(10)
    outs = [sender.send(b"out") for _ in range(6)]
    backs = [back.send(b"back") for _ in range(6)]
    pair.pump()
    assert [one.delivery_id for one in outs] == [one.delivery_id for one in backs]
    for side, outcome in ((pair.server, ACCEPTED), (pair.client, RELEASED)):
        for delivery in side.all(IncomingDelivery):
            delivery.settle(outcome)
    pair.pump()
    assert {type(one.remote_state) for one in outs} == {type(ACCEPTED)}
    assert {type(one.remote_state) for one in backs} == {type(RELEASED)}
    pair.close()
