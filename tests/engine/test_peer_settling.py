"""Settlement against a peer with a codec of its own: outcomes, both settle modes, ranges, on both sides of a link."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import uint
from tests.peer.frames import frame, performative
from tests.peer.script import ABSENT, RECEIVER, SENDER
from tests.support.peered import Rig, error
from uamqp.codec import (
    ACCEPTED,
    RELEASED,
    Accepted,
    Error,
    Modified,
    Received,
    Rejected,
    Released,
    Symbol,
    TransactionalState,
)
from uamqp.engine import IncomingDelivery, OutgoingDelivery
from uamqp.engine.events import IncomingSettled

LAST = 2**32 - 1


def settled_by(rig: Rig, delivery: OutgoingDelivery) -> OutgoingDelivery:
    """The next event is this delivery's, and it is settled."""
    got = rig.event(OutgoingDelivery)
    assert got is delivery
    assert got.settled
    return got


def delivery_of(rig: Rig, payload: bytes) -> IncomingDelivery:
    got = rig.event(IncomingDelivery)
    assert got.payload == payload
    return got


# ---------------------------------------------------------------- as the sender

THEIRS: list[tuple[Any, Any]] = [
    (codec.accepted(), Accepted()),
    (codec.rejected(), Rejected()),
    (codec.released(), Released()),
    (codec.modified(), Modified()),
    (
        codec.modified(delivery_failed=True, undeliverable_here=True, message_annotations={"k": uint(1)}),
        Modified(True, True, {Symbol("k"): 1}),
    ),
]


@pytest.mark.parametrize(("theirs", "ours"), THEIRS)
def test_outcomes_of_the_receiver(rig: Rig, theirs: Any, ours: Any) -> None:
    rig.open()
    link = rig.sender(credit=1)
    delivery = link.send(b"x")
    rig.peer.expect("transfer")
    rig.peer.send("disposition", role=RECEIVER, first=0, settled=True, state=theirs)
    settled_by(rig, delivery)
    assert delivery.remote_state == ours
    rig.done()


def test_a_rejection_says_why(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=1)
    delivery = link.send(b"x")
    rig.peer.expect("transfer")
    why = error("amqp:precondition-failed", "too late", {"k": "v"})
    rig.peer.send("disposition", role=RECEIVER, first=0, settled=True, state=codec.rejected(error=why))
    settled_by(rig, delivery)
    assert isinstance(delivery.remote_state, Rejected)
    got = delivery.remote_state.error
    assert got is not None
    assert (got.condition, got.description, got.info) == (
        "amqp:precondition-failed",
        "too late",
        {Symbol("k"): "v"},
    )


def test_settled_without_an_outcome(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=1)
    delivery = link.send(b"x")
    rig.peer.expect("transfer")
    rig.peer.send("disposition", role=RECEIVER, first=0, settled=True)
    settled_by(rig, delivery)
    assert delivery.remote_state is None
    rig.done()


def test_an_unsettled_outcome_is_confirmed(rig: Rig) -> None:
    """rcv-settle-mode second: the receiver waits for the sender to settle."""
    rig.open()
    link = rig.sender(credit=3, rcv_settle_mode=1)
    deliveries = [link.send(b"x") for _ in range(3)]
    for _ in range(3):
        rig.peer.expect("transfer")
    rig.peer.send("disposition", role=RECEIVER, first=0, last=2, state=codec.accepted())
    assert rig.drop_events() == deliveries
    rig.peer.expect("disposition", role=SENDER, first=0, last=2, settled=True)
    rig.done()


def test_an_unsettled_outcome_that_came_before_the_last_frame_is_confirmed_after_it(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender(credit=1, session=rig.begin(incoming_window=1), rcv_settle_mode=1)
    delivery = link.send(b"x" * 600)
    rig.peer.expect("transfer", more=True)
    rig.peer.send("disposition", role=RECEIVER, first=0, state=codec.rejected())
    rig.peer.send("flow", incoming_window=5)
    rig.peer.expect("transfer", more=False)
    rig.peer.expect("disposition", role=SENDER, first=0, settled=True)
    assert delivery in rig.drop_events()
    assert delivery.settled


def test_a_received_state_is_no_outcome(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=1)
    delivery = link.send(b"x")
    rig.peer.expect("transfer")
    state = codec.received(section_number=0, section_offset=1)
    rig.peer.send("disposition", role=RECEIVER, first=0, state=state)
    assert not delivery.settled
    assert isinstance(delivery.remote_state, Received)
    rig.drop_events()
    rig.peer.send("disposition", role=RECEIVER, first=0, settled=True, state=codec.accepted())
    settled_by(rig, delivery)
    rig.done()


def test_dispositions_in_ranges_with_gaps_and_unknown_ids(rig: Rig) -> None:
    rig.open()
    session = rig.begin({"initial_id": 100})
    one = rig.sender(credit=10, session=session, name="one")
    two = rig.sender(credit=10, session=session, name="two")
    deliveries = []
    for index in range(8):
        link = (one, two)[index % 2]
        deliveries.append(link.send(b"x", settled=index == 4))
        rig.peer.expect("transfer", delivery_id=100 + index)
    rig.drop_events()
    say = rig.peer.send
    say("disposition", role=RECEIVER, first=102, last=102, settled=True, state=codec.released())
    assert rig.drop_events() == [deliveries[2]]
    # A gap (102 is settled, 104 was sent settled), and ids that never were, before and behind.
    say("disposition", role=RECEIVER, first=50, last=105, settled=True, state=codec.accepted())
    assert rig.drop_events() == [deliveries[index] for index in (0, 1, 3, 5)]
    say("disposition", role=RECEIVER, first=107, last=5000, settled=True, state=codec.rejected())
    assert rig.drop_events() == [deliveries[7]]
    assert isinstance(deliveries[2].remote_state, Released)
    # All over again, unknown ones alone, and a sender's disposition of what it never sent.
    say("disposition", role=RECEIVER, first=100, last=105, settled=True, state=codec.rejected())
    say("disposition", role=RECEIVER, first=7, settled=True)
    say("disposition", role=SENDER, first=106, settled=True)
    assert rig.drop_events() == []
    assert isinstance(deliveries[0].remote_state, Accepted)
    assert not deliveries[6].settled
    say("disposition", role=RECEIVER, first=0, last=2**31 - 1, settled=True, state=codec.accepted())
    assert rig.drop_events() == [deliveries[6]]
    rig.done()


@pytest.mark.parametrize(("first", "last"), [(5, 4), (0, LAST), (0, 2**31)])
def test_a_range_that_runs_backwards(rig: Rig, first: int, last: int) -> None:
    rig.open()
    session = rig.begin()
    rig.sender(session=session)
    rig.peer.send("disposition", role=RECEIVER, first=first, last=last, settled=True)
    rig.session_fails(session, "amqp:invalid-field")


@pytest.mark.parametrize("variant", [{"padded": True}, {"symbolic": True}])
def test_dispositions_in_other_encodings(rig: Rig, variant: dict[str, Any]) -> None:
    rig.open()
    link = rig.sender(credit=300)
    deliveries = [link.send(b"x") for _ in range(300)]
    for _ in range(300):
        rig.peer.expect("transfer")
    states = [codec.accepted(), codec.Composite("accepted", symbolic=True), codec.Composite("accepted", wide=True)]
    ranges = [(0, None), (1, 1), (2, 255), (256, 257), (258, 299)]
    for index, (first, last) in enumerate(ranges):
        rig.peer.send(
            "disposition", role=RECEIVER, first=first, last=last, settled=True, state=states[index % 3], **variant
        )
    assert rig.drop_events() == deliveries
    assert all(isinstance(delivery.remote_state, Accepted) for delivery in deliveries)


def test_settling_on_our_own(rig: Rig) -> None:
    rig.open()
    link = rig.sender(credit=5)
    deliveries = [link.send(b"x") for _ in range(3)]
    with rig.misuse("hasn't gone out"):
        deliveries[0].settle()
    for _ in range(3):
        rig.peer.expect("transfer")
    for delivery in deliveries:
        delivery.settle()
    rig.peer.expect("disposition", role=SENDER, first=0, last=2, settled=True, state=ABSENT)
    with rig.misuse("settled"):
        deliveries[0].settle()
    deliveries.append(link.send(b"x"))
    rig.peer.expect("transfer")
    deliveries[3].settle(ACCEPTED)
    rig.peer.expect("disposition", role=SENDER, first=3, settled=True, state="accepted")
    rig.peer.send("disposition", role=RECEIVER, first=0, last=3, settled=True, state=codec.accepted())
    rig.done()


# ---------------------------------------------------------------- as the receiver

OURS: list[tuple[Any, Any]] = [
    (ACCEPTED, codec.accepted()),
    (RELEASED, codec.released()),
    (Rejected(), codec.rejected()),
    (
        Rejected(Error(Symbol("amqp:decode-error"), "broken", {Symbol("k"): "v"})),
        codec.rejected(error=codec.error("amqp:decode-error", "broken", {"k": "v"})),
    ),
    (
        Modified(True, False, {Symbol("k"): "v"}),
        codec.modified(delivery_failed=True, undeliverable_here=False, message_annotations={"k": "v"}),
    ),
    (
        TransactionalState(b"t", Accepted()),
        codec.transactional_state(txn_id=codec.binary(b"t"), outcome=codec.accepted()),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), OURS)
def test_our_outcomes(rig: Rig, ours: Any, theirs: Any) -> None:
    rig.open()
    rig.receiver(credit=1)
    rig.peer.send_delivery(b"x")
    delivery = delivery_of(rig, b"x")
    delivery.settle(ours)
    assert delivery.settled
    rig.peer.expect("disposition", role=RECEIVER, first=0, settled=True, state=theirs)
    with rig.misuse("can't be settled"):
        delivery.settle(ours)
    rig.done()


def test_settling_without_an_outcome(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=1)
    rig.peer.send_delivery(b"x")
    delivery_of(rig, b"x").settle(None)
    rig.peer.expect("disposition", role=RECEIVER, first=0, settled=True, state=ABSENT)
    rig.done()


def test_a_delivery_that_came_settled_cannot_be_settled(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=1)
    rig.peer.send_delivery(b"x", settled=True)
    with rig.misuse("can't be settled"):
        delivery_of(rig, b"x").settle(ACCEPTED)
    rig.done()


def test_settlements_leave_as_ranges(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=1000)
    for _ in range(1000):
        rig.peer.send_delivery(b"x")
    deliveries = rig.drop_events()
    for index, delivery in enumerate(deliveries):
        if index in (300, 301, 700):
            continue
        delivery.settle(RELEASED if index >= 900 else ACCEPTED)
    expect = rig.peer.expect
    expect("disposition", first=0, last=299, settled=True, state="accepted")
    expect("disposition", first=302, last=699, settled=True, state="accepted")
    expect("disposition", first=701, last=899, settled=True, state="accepted")
    expect("disposition", first=900, last=999, settled=True, state="released")
    for index in (700, 301, 300):
        deliveries[index].settle(ACCEPTED)
    for index in (700, 301, 300):
        expect("disposition", first=index, last=lambda last, index=index: last in (None, index))
    rig.done()


def test_settlements_of_several_links_share_a_range(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    for name in ("one", "two"):
        rig.receiver(session=session, name=name, credit=2)
    for handle in (0, 1, 0, 1):
        rig.peer.send_delivery(b"x", handle=handle)
    for delivery in rig.drop_events():
        delivery.settle(ACCEPTED)
    rig.peer.expect("disposition", first=0, last=3, state="accepted")
    rig.done()


def test_second_waits_for_the_sender_to_settle(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(credit=3, rcv_settle_mode=1)
    for _ in range(3):
        rig.peer.send_delivery(b"x")
    deliveries = rig.drop_events()
    for delivery in deliveries:
        delivery.settle(ACCEPTED)
        assert not delivery.settled
        with rig.misuse("can't be settled"):
            delivery.settle(RELEASED)
    rig.peer.expect("disposition", role=RECEIVER, first=0, last=2, settled=False, state="accepted")
    rig.no_event()
    rig.peer.send("disposition", role=SENDER, first=0, last=LAST // 2, settled=True, state=codec.accepted())
    assert [rig.event(IncomingSettled).delivery for _ in range(3)] == deliveries
    assert all(delivery.settled for delivery in deliveries)
    assert link.session.unsettled.incoming == {}
    rig.done()


def test_a_sender_that_settles_before_we_do(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=2)
    rig.peer.send_delivery(b"x")
    delivery = delivery_of(rig, b"x")
    rig.peer.send("disposition", role=SENDER, first=0, settled=True)
    assert rig.event(IncomingSettled).delivery is delivery
    with rig.misuse("can't be settled"):
        delivery.settle(ACCEPTED)
    rig.done()


def test_a_senders_dispositions_with_gaps_and_unknown_ids(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=5)
    for _ in range(4):
        rig.peer.send_delivery(b"x")
    deliveries = rig.drop_events()
    deliveries[1].settle(ACCEPTED)
    rig.peer.expect("disposition", first=1)
    rig.peer.send("disposition", role=SENDER, first=77, settled=True)
    rig.peer.send("disposition", role=RECEIVER, first=0, last=3, settled=True)  # ours they are not
    rig.no_event()
    rig.peer.send("disposition", role=SENDER, first=LAST - 5, last=2, settled=True)
    assert [rig.event(IncomingSettled).delivery for _ in range(2)] == [deliveries[0], deliveries[2]]
    rig.peer.send("disposition", role=SENDER, first=3, state=codec.received(section_number=0, section_offset=0))
    assert isinstance(deliveries[3].remote_state, Received)
    assert not deliveries[3].settled
    rig.done()


@pytest.mark.parametrize("how", ["detach", "end", "close"])
def test_deliveries_of_a_lost_link_cannot_be_settled(rig: Rig, how: str) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=2, session=session)
    rig.peer.send_delivery(b"x")
    delivery = delivery_of(rig, b"x")
    fields: dict[str, Any] = {"handle": 0, "closed": True} if how == "detach" else {}
    rig.peer.send(how, **fields)
    rig.drop_events()
    rig.peer.expect(how)
    with rig.misuse("can't be settled|is closed"):
        delivery.settle(ACCEPTED)
    assert not delivery.settled
    assert session.unsettled.incoming == {}
    rig.done()


def test_settling_before_our_detach_still_goes_out(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(credit=2)
    rig.peer.send_delivery(b"x")
    delivery_of(rig, b"x").settle(ACCEPTED)
    link.detach(rig.now)
    rig.peer.expect("disposition", first=0, settled=True, state="accepted")
    rig.peer.accept_detach()


def test_a_long_reason_does_not_break_the_peers_frame_size(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    rig.receiver(credit=1)
    rig.peer.send_delivery(b"x")
    delivery = delivery_of(rig, b"x")
    with rig.misuse("frame"):
        delivery.settle(Rejected(Error(Symbol("amqp:internal-error"), "d" * 600)))
    assert not delivery.settled
    rig.done()
    delivery.settle(Rejected(Error(Symbol("amqp:internal-error"), "d" * 300)))
    rig.peer.expect("disposition", state={"error": {"description": "d" * 300}})


@pytest.mark.parametrize("ours", [True, False], ids=["sent", "received"])
@pytest.mark.parametrize("first", [2**31, 5000], ids=["far away", "next to them"])
def test_dispositions_of_deliveries_that_do_not_exist_have_a_bound(ours: bool, first: int) -> None:
    """Each may cost a look at all that are unsettled."""
    rig = Rig()
    rig.peer.strict = False  # it doesn't see what is sent raw
    rig.open()
    session = rig.begin({"incoming_window": 100_000}, incoming_window=100_000)
    if ours:
        sender = rig.sender(session=session, credit=5000)
        for _ in range(5000):
            sender.send(b"")
        while rig.engine.data_to_send():
            pass
    else:
        rig.receiver(session=session, credit=5000)
        for number in range(5000):
            tag = number.to_bytes(4, "big")
            rig.peer.send_raw(frame(performative("transfer", handle=0, delivery_id=number, delivery_tag=tag)))
    rig.drop_events()
    disposition = performative("disposition", role=ours, first=first, last=first + 2**30, settled=True)
    rig.peer.send_raw(frame(disposition) * 1000)
    rig.peer.ignore("flow")
    rig.peer.finish()
    rig.peer.send_raw(frame(disposition) * 2000)
    rig.session_fails(session, "amqp:resource-limit-exceeded")


def test_dispositions_that_settle_what_is_settled_again_are_fine() -> None:
    """Some receivers name all deliveries so far each time."""
    rig = Rig()
    rig.peer.strict = False
    rig.open()
    session = rig.begin(incoming_window=100_000)
    sender = rig.sender(session=session, credit=10_000)
    for _ in range(10_000):
        sender.send(b"")
    while rig.engine.data_to_send():
        pass
    for number in range(0, 10_000, 10):
        rig.peer.send_raw(frame(performative("disposition", role=True, first=0, last=number + 9, settled=True)))
    assert len([event for event in rig.drop_events() if event.settled]) == 10_000
    rig.done()
