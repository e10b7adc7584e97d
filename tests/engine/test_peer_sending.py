"""The engine as a sender against a peer with a codec of its own: credit, windows, frames, outcomes, counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import ABSENT, RECEIVER
from tests.support.lines import growth
from tests.support.peered import MESSAGE, LinkDetached, Rig, error
from uamqp.codec import (
    Accepted,
    Rejected,
    Source,
    Target,
    TransactionalState,
)
from uamqp.engine import Limits, MessageTooLarge, OutgoingDelivery, Sender
from uamqp.engine.events import CreditChanged

LAST = 2**32 - 1


def settled_by(rig: Rig, delivery: OutgoingDelivery) -> OutgoingDelivery:
    """The next event is this delivery's, and it is settled."""
    got = rig.event(OutgoingDelivery)
    assert got is delivery
    assert got.settled
    return got


# ---------------------------------------------------------------- transfers


def test_a_transfer_says_what_it_was_given(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=2)
    delivery = link.send(MESSAGE, tag=b"tag", message_format=7, context="mine")
    assert (delivery.sent, delivery.delivery_id, delivery.context) == (False, None, "mine")
    rig.peer.expect(
        "transfer",
        payload=MESSAGE,
        handle=0,
        delivery_id=0,
        delivery_tag=b"tag",
        message_format=7,
        settled=False,
        more=False,
        state=ABSENT,
    )
    assert (delivery.sent, delivery.delivery_id) == (True, 0)
    rig.no_event()
    link.send(b"", settled=True)
    rig.peer.expect("transfer", payload=b"", delivery_id=1, message_format=0, settled=True)
    rig.event(OutgoingDelivery)
    rig.done()


def test_tags_are_made_and_differ(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=300)
    for _ in range(300):
        link.send(b"x")
    tags = {rig.peer.expect("transfer")["delivery_tag"] for _ in range(300)}
    assert len(tags) == 300
    assert all(0 < len(tag) <= 32 for tag in tags)


@pytest.mark.parametrize("tag", [b"", b"x" * 33])
def test_tags_are_checked(rig: Rig, tag: bytes) -> None:
    rig.open()
    link = rig.sender(credit=1)
    with rig.misuse("delivery-tag"):
        link.send(b"x", tag=tag)
    rig.done()


def test_a_settled_delivery_is_done_with_its_last_frame(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=1, answer={"snd_settle_mode": 2})
    delivery = link.send(b"x" * 1000, settled=True)
    for more in (True, True, False):
        came = rig.peer.expect("transfer", more=more)
    assert came is not None
    settled_by(rig, delivery)
    assert delivery.sent
    assert delivery.remote_state is None
    rig.done()


@pytest.mark.parametrize(("mode", "asked", "sent"), [(1, False, True), (0, True, False), (2, True, True)])
def test_the_links_mode_decides_over_settled(rig: Rig, mode: int, asked: bool, sent: bool) -> None:
    rig.open()
    link = rig.sender(credit=1, snd_settle_mode=mode)
    link.send(b"x", settled=asked)
    rig.peer.expect("transfer", settled=sent)


def test_a_delivery_with_a_state(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=2)
    link.send(b"x" * 1000, state=TransactionalState(b"txn-1"))
    expected = codec.transactional_state(txn_id=codec.binary(b"txn-1"))
    got = rig.peer.expect("transfer", more=True, state=expected).payload
    while True:
        came = rig.peer.expect("transfer")
        got += came.payload
        if not came.get("more"):
            break
    assert got == b"x" * 1000
    link.send(b"y", state=TransactionalState(b"txn-1"))
    rig.peer.expect("transfer", payload=b"y", state=expected, more=False)
    rig.done()


def test_a_state_too_large_for_a_frame_is_refused(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=1)
    with rig.misuse("frame"):
        link.send(b"x", state=TransactionalState(b"t" * 600))
    link.send(b"y")
    rig.peer.expect("transfer", payload=b"y")


@pytest.mark.parametrize("size", range(440, 520))
def test_messages_around_the_frame_size_arrive_whole(size: int) -> None:
    for tag in (b"t", b"t" * 32):
        rig = Rig()
        rig.open({"max_frame_size": 512})
        link = rig.sender(credit=1)
        payload = bytes(index % 251 for index in range(size))
        delivery = link.send(payload, tag=tag)
        got = b""
        frames = 0
        more = True
        while more:
            came = rig.peer.expect("transfer")
            assert came.payload
            got += came.payload
            frames += 1
            more = came.get("more")
        assert got == payload
        assert frames <= 2
        assert delivery.sent
        rig.done()


def test_a_large_message_on_a_high_channel_and_handle(rig: Rig) -> None:
    rig.open({"max_frame_size": 600})
    session = rig.begin({"initial_id": LAST - 3})
    for index in range(300):
        session.attach_sender(rig.now, str(index), source=Source(), target=Target())
    rig.drop_events()
    rig.peer.strict = False
    for _ in range(300):
        came = rig.peer.expect("attach")
    rig.peer.strict = True
    rig.peer.send("attach", name="299", handle=70000, role=RECEIVER)
    rig.drop_events()
    rig.peer.grant(2, handle=70000)
    rig.drop_events()
    link = list(session.links)[299]
    assert isinstance(link, Sender)
    link.send(b"z" * 5000, tag=b"t" * 32)
    assert came["handle"] == 299
    got = b""
    while len(got) < 5000:
        got += rig.peer.expect("transfer", handle=299).payload
    assert got == b"z" * 5000
    rig.done()


# ---------------------------------------------------------------- credit


def test_nothing_goes_out_without_credit(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    deliveries = [link.send(b"%d" % number) for number in range(5)]
    rig.peer.expect_nothing()
    assert (link.credit, link.queued) == (0, 5)
    rig.peer.grant(2)
    rig.event(CreditChanged)
    assert link.credit == 0
    rig.peer.expect("transfer", payload=b"0")
    rig.peer.expect("transfer", payload=b"1")
    rig.peer.expect_nothing()
    assert link.queued == 3
    rig.peer.grant(3)
    for number in range(2, 5):
        rig.peer.expect("transfer", payload=b"%d" % number)
    rig.event(CreditChanged)
    assert [delivery.sent for delivery in deliveries] == [True] * 5
    assert link.delivery_count == 5
    rig.done()


def test_credit_counts_deliveries_and_not_frames(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=2)
    for _ in range(3):
        link.send(b"x" * 2000)
    frames = 0
    while rig.peer._next(0.0, "transfer") is not None:
        frames += 1
    assert frames == 10
    assert (link.queued, link.credit) == (1, 0)


def test_credit_is_counted_from_the_receivers_delivery_count(rig: Rig) -> None:
    """What was under way when the receiver granted is subtracted (section 2.6.7)."""
    rig.open()
    link = rig.sender(credit=5)
    for _ in range(3):
        link.send(b"x")
        rig.peer.expect("transfer")
    rig.peer.send("flow", handle=0, delivery_count=1, link_credit=5)
    assert link.credit == 3
    rig.peer.send("flow", handle=0, delivery_count=3, link_credit=1)
    assert link.credit == 1
    rig.peer.send("flow", handle=0, delivery_count=0, link_credit=2)  # less than has gone
    assert link.credit == 0
    rig.peer.send("flow", handle=0, delivery_count=3, link_credit=0)
    assert link.credit == 0
    link.send(b"x")
    rig.peer.expect_nothing()


def test_credit_before_the_receiver_knows_our_count(rig: Rig) -> None:
    rig.open()
    link = rig.sender(initial_delivery_count=7)
    rig.peer.send("flow", handle=0, delivery_count=ABSENT, link_credit=2)
    assert link.credit == 2
    link.send(b"x")
    rig.peer.expect("transfer")
    rig.peer.send("flow", handle=0, delivery_count=ABSENT, link_credit=2)
    assert link.credit == 1


@pytest.mark.parametrize("credit", [2**31 - 1, 2**31, LAST])
@pytest.mark.parametrize("count", [0, 5, 2**31, LAST])
def test_the_largest_credits(rig: Rig, credit: int, count: int) -> None:
    rig.open()
    link = rig.sender(initial_delivery_count=count)
    rig.peer.send("flow", handle=0, delivery_count=count, link_credit=credit)
    assert link.credit == credit
    link.send(b"x")
    rig.peer.expect("transfer")
    rig.peer.send("flow", handle=0, delivery_count=count, link_credit=credit)
    assert link.credit == credit - 1
    link.send(b"y")
    rig.peer.expect("transfer")


def test_the_delivery_count_wraps(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=4, initial_delivery_count=LAST - 1)
    for payload in (b"1", b"2", b"3", b"4"):
        link.send(payload)
        rig.peer.expect("transfer", payload=payload)
    link.send(b"5")
    rig.peer.expect_nothing()
    assert link.delivery_count == 2
    rig.peer.send("flow", handle=0, delivery_count=2, link_credit=1, echo=True)
    rig.peer.expect("flow", delivery_count=2, link_credit=1, handle=0)
    rig.peer.expect("transfer", payload=b"5")


@pytest.mark.parametrize("start", [2**31 - 2, 2**32 - 2])
def test_delivery_ids_and_transfer_ids_wrap(rig: Rig, start: int) -> None:
    rig.open()
    link = rig.sender(credit=10, session=rig.begin({"initial_id": start}))
    deliveries = [link.send(b"x") for _ in range(4)]
    ids = [rig.peer.expect("transfer")["delivery_id"] for _ in range(4)]
    assert ids == [(start + index) % 2**32 for index in range(4)]
    rig.peer.send("flow", echo=True, next_incoming_id=(start + 4) % 2**32)
    rig.peer.expect("flow", next_outgoing_id=(start + 4) % 2**32)
    rig.peer.send("disposition", role=RECEIVER, first=ids[0], last=ids[3], settled=True, state=codec.accepted())
    assert rig.drop_events() == deliveries
    assert all(isinstance(delivery.remote_state, Accepted) for delivery in deliveries)
    rig.done()


def test_a_flow_of_the_session_alone_leaves_the_credit(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=2)
    rig.peer.send("flow")
    rig.peer.send("flow", handle=0, delivery_count=0)
    assert link.credit == 2


def test_echo_is_answered(rig: Rig) -> None:
    rig.open()
    rig.sender(credit=1)
    rig.peer.send("flow", handle=0, delivery_count=0, link_credit=3, echo=True)
    rig.peer.expect(
        "flow",
        handle=0,
        delivery_count=0,
        link_credit=3,
        available=lambda available: available in (None, 0),
        drain=False,
        echo=False,
        next_incoming_id=0,
        next_outgoing_id=0,
    )
    rig.event(CreditChanged)
    rig.done()


# ---------------------------------------------------------------- drain


def test_drain_with_nothing_to_send(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=5)
    rig.peer.grant(5, drain=True)
    rig.event(CreditChanged)
    assert link.drain
    link.drained()
    assert not link.drain
    rig.peer.expect("flow", handle=0, delivery_count=5, link_credit=0, drain=True)
    assert link.credit == 0
    link.drained()
    rig.done()


def test_drain_sends_what_there_is_first(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    link.send(b"1")
    link.send(b"2")
    rig.peer.grant(5, drain=True)
    rig.event(CreditChanged)
    rig.peer.expect("transfer", payload=b"1")
    rig.peer.expect("transfer", payload=b"2")
    link.drained()
    rig.peer.expect("flow", handle=0, delivery_count=5, link_credit=0)
    rig.done()


def test_drained_with_deliveries_that_the_credit_covers_sends_them_first(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    link.send(b"1")
    rig.peer.grant(3, drain=True)
    rig.event(CreditChanged)
    link.drained()
    rig.peer.expect("transfer", payload=b"1")
    link.drained()
    rig.peer.expect("flow", handle=0, delivery_count=3, link_credit=0)
    rig.done()


def test_drain_with_more_queued_than_the_credit_covers(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    for payload in (b"1", b"2", b"3"):
        link.send(payload)
    rig.peer.grant(2, drain=True)
    rig.event(CreditChanged)
    rig.peer.expect("transfer", payload=b"1")
    rig.peer.expect("transfer", payload=b"2")
    link.drained()
    rig.peer.expect("flow", handle=0, delivery_count=2, link_credit=0)
    rig.peer.grant(1)
    rig.peer.expect("transfer", payload=b"3")
    rig.event(CreditChanged)
    rig.done()


def test_a_drain_that_is_taken_back(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=5)
    rig.peer.grant(5, drain=True)
    rig.peer.grant(5, drain=False)
    rig.drop_events()
    assert not link.drain
    link.drained()
    assert link.credit == 5
    rig.done()


def test_drain_at_the_wrap(rig: Rig) -> None:
    rig.open()
    link = rig.sender(initial_delivery_count=LAST)
    rig.peer.send("flow", handle=0, delivery_count=LAST, link_credit=3, drain=True)
    rig.event(CreditChanged)
    link.drained()
    rig.peer.expect("flow", handle=0, delivery_count=2, link_credit=0)
    rig.done()


# ---------------------------------------------------------------- session windows


def test_the_peers_window_counts_frames(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=10, session=rig.begin(incoming_window=3))
    link.send(b"x" * 2000)
    for _ in range(3):
        rig.peer.expect("transfer", more=True)
    rig.peer.expect_nothing()
    rig.peer.send("flow", incoming_window=1)
    rig.peer.expect("transfer", more=True)
    rig.peer.expect_nothing()
    rig.peer.send("flow", incoming_window=5)
    rig.peer.expect("transfer", more=False)
    assert link.queued == 0
    rig.done()


def test_a_window_is_counted_from_what_the_peer_has_seen(rig: Rig) -> None:
    rig.open()
    session = rig.begin(incoming_window=5)
    link = rig.sender(credit=100, session=session)
    for _ in range(20):
        link.send(b"x")
    for _ in range(5):
        rig.peer.expect("transfer")
    rig.peer.expect_nothing()
    rig.peer.send("flow", next_incoming_id=3, incoming_window=5)  # two are still under way
    for _ in range(3):
        rig.peer.expect("transfer")
    rig.peer.expect_nothing()
    rig.peer.send("flow", next_incoming_id=8, incoming_window=0)
    rig.peer.expect_nothing()
    rig.peer.send("flow", next_incoming_id=ABSENT, incoming_window=10)  # counted from our first id
    for _ in range(2):
        rig.peer.expect("transfer")
    rig.done()


@pytest.mark.parametrize("window", [2**31 - 1, 2**31, LAST])
@pytest.mark.parametrize("start", [0, 2**31, LAST])
def test_the_largest_windows(rig: Rig, window: int, start: int) -> None:
    rig.open()
    link = rig.sender(credit=100, session=rig.begin({"initial_id": start}, incoming_window=window))
    for _ in range(2):
        link.send(b"x")
        rig.peer.expect("transfer")
    rig.peer.send("flow", next_incoming_id=(start + 2) % 2**32, incoming_window=window)
    link.send(b"x")
    rig.peer.expect("transfer")
    rig.peer.send("flow", next_incoming_id=(start + 2) % 2**32, incoming_window=window)
    link.send(b"x")
    rig.peer.expect("transfer")


def test_links_share_the_window(rig: Rig) -> None:
    rig.open()
    session = rig.begin(incoming_window=4)
    one = rig.sender(session=session, name="one", credit=10)
    two = rig.sender(session=session, name="two", credit=10)
    for link in (one, two):
        for _ in range(3):
            link.send(b"x")
    for _ in range(4):
        rig.peer.expect("transfer")
    rig.peer.expect_nothing()
    assert one.queued + two.queued == 2
    rig.peer.send("flow", incoming_window=10)
    rig.peer.expect("transfer")
    rig.peer.expect("transfer")
    rig.done()


def test_output_is_bounded_and_the_rest_waits(rig: Rig) -> None:
    rig.open(limits=Limits(output_bytes=1000))
    link = rig.sender(credit=100)
    deliveries = [link.send(b"x" * 300) for _ in range(20)]
    first = rig.engine.data_to_send()
    assert sum(map(len, first)) < 2000
    assert 0 < sum(delivery.sent for delivery in deliveries) < 20
    assert deliveries[-1].withdraw()
    rig.peer.memory.inbox += b"".join(bytes(piece) for piece in first)
    for _ in range(19):
        rig.peer.expect("transfer")
    rig.peer.expect_nothing()


# ---------------------------------------------------------------- taking back, giving up, losing


def test_withdraw(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(session=rig.begin(incoming_window=1))
    first, second, third = (link.send(payload) for payload in (b"1" * 1000, b"2", b"3"))
    rig.peer.grant(3)
    rig.peer.expect("transfer", more=True)
    assert not first.withdraw()
    assert second.withdraw()
    assert not second.withdraw()
    assert second.settled
    rig.peer.send("flow", incoming_window=10)
    rig.peer.expect("transfer", more=True)
    rig.peer.expect("transfer", more=False)
    rig.peer.expect("transfer", payload=b"3", delivery_id=1)
    rig.drop_events()
    assert not third.withdraw()
    rig.done()


def test_what_is_withdrawn_counts_no_more(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=10)
    deliveries = [link.send(b"%d" % number) for number in range(6)]
    for delivery in deliveries[1:5]:
        assert delivery.withdraw()
        assert delivery.payload == b""
    assert (link.queued, link.queued_whole, link.credit) == (2, 2, 8)
    rig.peer.send("flow", handle=0, delivery_count=0, link_credit=10, echo=True)
    rig.peer.expect("flow", available=2, link_credit=10, delivery_count=0)
    rig.peer.expect("transfer", payload=b"0", delivery_id=0)
    rig.peer.expect("transfer", payload=b"5", delivery_id=1)
    assert (link.queued, link.credit) == (0, 8)
    rig.drop_events()
    rig.done()


def test_what_is_withdrawn_is_not_lost(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    kept, withdrawn = link.send(b"1"), link.send(b"2")
    withdrawn.withdraw()
    rig.peer.send("detach", handle=0, closed=True)
    lost = [event for event in rig.drop_events() if isinstance(event, OutgoingDelivery)]
    assert lost == [kept]
    assert (kept.lost, withdrawn.lost) == (True, False)
    rig.peer.expect("detach")


def test_a_drain_behind_what_was_withdrawn(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=10)
    link.send(b"1").withdraw()
    rig.peer.grant(10, drain=True)
    link.drained()
    rig.peer.expect("flow", link_credit=0, delivery_count=10)
    rig.drop_events()
    rig.done()


@pytest.mark.parametrize("backwards", [False, True])
def test_withdrawing_is_no_search(rig: Rig, backwards: bool) -> None:
    rig.open()
    link = rig.sender()

    def work(count: int) -> Callable[[], None]:
        deliveries = [link.send(b"x") for _ in range(count)]
        if backwards:
            deliveries.reverse()

        def withdraw() -> None:
            for delivery in deliveries:
                delivery.withdraw()
            assert link.queued == 0

        return withdraw

    assert growth(work, 2000, 8) < 24


def test_the_last_can_be_taken_back_by_its_context(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    assert not link.withdraw_last("mine")
    link.send(b"1", context="mine")
    last = link.send(b"2", context="another")
    assert not link.withdraw_last("mine")
    assert link.withdraw_last("another")
    assert last.settled
    assert not link.withdraw_last("another")
    rig.peer.grant(5)
    rig.peer.expect("transfer", payload=b"1")
    rig.drop_events()
    rig.done()


def test_who_asks_for_room_is_told(rig: Rig) -> None:
    """The session's window opens by a flow that says nothing of the link."""
    rig.open()
    link = rig.sender(credit=10, session=rig.begin(incoming_window=1))
    for number in range(3):
        link.send(b"%d" % number)
    rig.peer.expect("transfer", payload=b"0")
    rig.no_event()
    link.ask_for_room()
    rig.peer.send("flow", incoming_window=0)
    rig.peer.expect_nothing()
    rig.no_event()
    rig.peer.send("flow", incoming_window=1)
    rig.peer.expect("transfer", payload=b"1")
    assert rig.event(CreditChanged).sender is link
    rig.peer.send("flow", incoming_window=1)
    rig.peer.expect("transfer", payload=b"2")
    rig.no_event()  # it has to be asked for each time
    rig.done()


def test_abort(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=5, session=rig.begin(incoming_window=1))
    delivery = link.send(b"1" * 1000)
    rest = link.send(b"2")
    with rig.misuse("partly"):
        delivery.abort()
    rig.peer.expect("transfer", more=True)
    with rig.misuse("partly"):
        rest.abort()
    rig.peer.send("flow", incoming_window=10)
    delivery.abort()
    rig.peer.expect("transfer", aborted=True, payload=b"")
    rig.peer.expect("transfer", payload=b"2", delivery_id=1)
    assert delivery.settled
    assert not delivery.sent
    with rig.misuse("partly"):
        delivery.abort()


def test_an_abort_keeps_to_the_window(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=5, session=rig.begin(incoming_window=1))
    delivery = link.send(b"1" * 1000)
    rig.peer.expect("transfer", more=True)
    delivery.abort()
    rig.peer.expect_nothing()
    rig.peer.send("flow", incoming_window=1)
    rig.peer.expect("transfer", aborted=True)


def test_a_receiver_that_does_not_want_the_rest(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=5, session=rig.begin(incoming_window=1))
    delivery = link.send(b"1" * 1000)
    rig.peer.expect("transfer", more=True)
    rig.peer.send("disposition", role=RECEIVER, first=0, settled=True, state=codec.rejected())
    settled_by(rig, delivery)
    assert isinstance(delivery.remote_state, Rejected)
    rig.peer.expect_nothing()
    rig.peer.send("flow", incoming_window=10)
    link.send(b"2")
    rig.peer.expect("transfer", aborted=True)
    rig.peer.expect("transfer", payload=b"2", delivery_id=1, more=False)
    rig.done()


def test_max_message_size_of_the_peer_is_obeyed(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=2, answer={"max_message_size": 100})
    with pytest.raises(MessageTooLarge, match="101 bytes"):
        link.send(b"x" * 101)
    assert link.queued == 0
    link.send(b"x" * 100)
    rig.peer.expect("transfer", payload=b"x" * 100)
    rig.done()


def test_a_max_message_size_of_zero_is_none(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=1, answer={"max_message_size": 0})
    link.send(b"x" * 1000)
    rig.peer.expect("transfer")


@pytest.mark.parametrize("how", ["detach", "end", "close", "eof"])
def test_deliveries_of_a_lost_link_are_reported_each_once(rig: Rig, how: str) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=2, session=rig.begin(incoming_window=3))
    unsettled, partial, queued = link.send(b"1"), link.send(b"2" * 2000), link.send(b"3")
    for _ in range(3):
        rig.peer.expect("transfer")
    if how == "eof":
        rig.peer.close_socket()
    else:
        fields: dict[str, Any] = {"handle": 0, "closed": True} if how == "detach" else {}
        rig.peer.send(how, **fields)
    events = rig.drop_events()
    reported = [event for event in events if isinstance(event, OutgoingDelivery)]
    assert sorted(reported, key=id) == sorted((unsettled, partial, queued), key=id)
    assert all(delivery.settled and delivery.remote_state is None for delivery in reported)
    assert [delivery.sent for delivery in (unsettled, partial, queued)] == [True, False, False]
    detached = [index for index, event in enumerate(events) if type(event) is LinkDetached]
    assert len(detached) == 1
    assert detached[0] > max(events.index(delivery) for delivery in reported)


def test_nothing_is_sent_on_a_link_that_the_peer_has_detached(rig: Rig) -> None:
    """Credit and detach in one read: the queue stays here, and can be sent elsewhere."""
    rig.open()
    link = rig.sender()
    delivery = link.send(b"x")
    rig.peer.grant(1)
    rig.peer.send("detach", handle=0, closed=True, error=error("amqp:link:detach-forced"))
    rig.peer.expect("detach")
    rig.drop_events()
    assert (delivery.settled, delivery.sent) == (True, False)


def test_nothing_is_sent_in_a_session_that_the_peer_has_ended(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    delivery = link.send(b"x")
    rig.peer.grant(1)
    rig.peer.send("end", error=error("amqp:internal-error"))
    rig.peer.expect("end")
    rig.drop_events()
    assert (delivery.settled, delivery.sent) == (True, False)


def test_what_is_queued_goes_out_before_our_detach_as_far_as_credit_allows(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=1)
    sent, kept = link.send(b"1"), link.send(b"2")
    link.detach(rig.now)
    rig.peer.expect("transfer", payload=b"1")
    rig.peer.accept_detach()
    rig.drop_events()
    assert (sent.sent, kept.sent) == (True, False)


def test_a_transfer_over_our_own_sender(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.sender(session=session)
    rig.peer.send_delivery(b"x", handle=0)
    rig.session_fails(session, "amqp:not-allowed")


def test_a_link_that_is_not_open_yet_does_not_send(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = session.attach_sender(rig.now, "x", source=Source(), target=Target("q"))
    with rig.misuse("not open"):
        link.send(b"x")
    rig.peer.accept_attach()
