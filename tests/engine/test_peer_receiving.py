"""The engine as a receiver against a peer with a codec of its own: credit, deliveries, dispositions, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import Composite, Value, encode_composite, wide
from tests.peer.frames import frame, performative
from tests.peer.script import ABSENT, ANY, RECEIVER, SENDER
from tests.support.peered import MESSAGE, Rig, symbols
from uamqp.codec import (
    ACCEPTED,
    Source,
    Target,
    TransactionalState,
)
from uamqp.engine import IncomingDelivery, Limits, Receiver
from uamqp.engine.events import LinkDetached, ReceiverDrained

LAST = 2**32 - 1


def payloads(events: list[Any]) -> list[bytes]:
    assert all(isinstance(event, IncomingDelivery) for event in events), events
    return [event.payload for event in events]


def delivery_of(rig: Rig, payload: bytes) -> IncomingDelivery:
    got = rig.event(IncomingDelivery)
    assert got.payload == payload
    return got


def with_auto_credit(rig: Rig, window: int) -> Receiver:
    """A link that keeps up its credit by itself, and has asked for it the first time."""
    rig.open()
    link = rig.receiver()
    link.auto_credit(window)
    rig.peer.expect("flow", link_credit=window, delivery_count=0)
    return link


# ---------------------------------------------------------------- transfers


def test_a_delivery_says_what_came(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(credit=3)
    rig.peer.send_delivery(MESSAGE, tag=b"tag", message_format=7, delivery_id=0)
    got = delivery_of(rig, MESSAGE)
    assert got.link is link
    assert (got.tag, got.delivery_id, got.message_format, got.settled) == (b"tag", 0, 7, False)
    rig.peer.send_delivery(b"", tag=b"", settled=True)
    got = delivery_of(rig, b"")
    assert (got.tag, got.delivery_id, got.message_format, got.settled) == (b"", 1, 0, True)
    rig.peer.send_delivery(b"x", message_format=None, state=codec.transactional_state(txn_id=codec.binary(b"t")))
    got = delivery_of(rig, b"x")
    assert got.message_format == 0
    assert got.remote_state == TransactionalState(b"t")
    assert link.credit == 0
    rig.done()


@pytest.mark.parametrize(
    "fields",
    [
        {"handle": wide(codec.uint(0)), "delivery_id": wide(codec.uint(0)), "message_format": wide(codec.uint(0))},
        {"handle": 0, "delivery_id": Value("uint", 0, 0x52), "message_format": Value("uint", 0, 0x52)},
        {"handle": 0, "delivery_id": 0, "message_format": None, "settled": None},
        {"handle": 0, "delivery_id": 0, "settled": wide(False), "more": wide(False)},
        {"handle": 0, "delivery_id": 0, "delivery_tag": wide(b"tag")},
        {"handle": 0, "delivery_id": 0, "batchable": True},
        {"handle": 0, "delivery_id": 0, "rcv_settle_mode": 1, "resume": False, "aborted": False},
        {"handle": 0, "delivery_id": 0, "message_format": 2**32 - 1},
        {"handle": 0, "delivery_id": 0, "message_format": 255, "more": False},
    ],
)
@pytest.mark.parametrize("variant", [{}, {"padded": True}, {"symbolic": True}, {"wide": True}])
def test_transfers_in_other_encodings(rig: Rig, fields: dict[str, Any], variant: dict[str, Any]) -> None:
    rig.open()
    rig.receiver(credit=2)
    body = Composite("transfer", {"delivery_tag": b"tag", **fields}, **variant)
    rig.peer.send_raw(frame(encode_composite(body), b"payload", doff=3, extended_header=b"\0\0\0\0"))
    got = delivery_of(rig, b"payload")
    form = fields.get("message_format")
    assert (got.delivery_id, got.tag, got.settled) == (0, b"tag", False)
    assert got.message_format == (form.value if isinstance(form, Value) else form or 0)
    rig.no_event()


def test_a_delivery_in_many_frames(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(credit=2)
    payload = bytes(range(256)) * 4
    rig.peer.send_delivery(payload, frame_payload=100)
    delivery_of(rig, payload)
    assert link.credit == 1
    rig.peer.send("transfer", handle=0, delivery_id=1, delivery_tag=b"t", more=True, payload=b"a")
    rig.no_event()
    # The continuation may repeat id and tag, may be empty, may settle.
    rig.peer.send("transfer", handle=0, delivery_id=1, delivery_tag=b"t", more=True, payload=b"b")
    rig.peer.send("transfer", handle=0, more=True)
    rig.peer.send("transfer", handle=0, more=True, payload=b"c", settled=True)
    rig.no_event()
    rig.peer.send("transfer", handle=0)
    got = delivery_of(rig, b"abc")
    assert (got.tag, got.settled) == (b"t", True)
    rig.done()


def test_deliveries_of_two_links_may_be_interleaved(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    one = rig.receiver(session=session, name="one", credit=1)
    two = rig.receiver(session=session, name="two", credit=1)
    send = rig.peer.send
    send("transfer", handle=0, delivery_id=0, delivery_tag=b"1", more=True, payload=b"a")
    send("transfer", handle=1, delivery_id=1, delivery_tag=b"2", more=True, payload=b"A")
    send("transfer", handle=0, more=True, payload=b"b")
    send("transfer", handle=1, payload=b"B")
    send("transfer", handle=0, payload=b"c")
    events = rig.drop_events()
    assert [(event.link, event.payload) for event in events] == [(two, b"AB"), (one, b"abc")]


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_an_aborted_delivery_never_reaches_the_application(rig: Rig, frames: int) -> None:
    rig.open()
    link = rig.receiver(credit=2)
    for index in range(frames - 1):
        first: dict[str, Any] = {"delivery_id": 0, "delivery_tag": b"t"} if index == 0 else {}
        rig.peer.send("transfer", handle=0, more=True, payload=b"x", **first)
    alone: dict[str, Any] = {"delivery_id": 0, "delivery_tag": b"t"} if frames == 1 else {}
    # `more` and a payload are meaningless beside `aborted`, and must not matter (section 2.7.5).
    rig.peer.send("transfer", handle=0, aborted=True, more=frames == 5, payload=b"y", **alone)
    rig.no_event()
    rig.peer.send_delivery(b"next", delivery_id=1)
    delivery_of(rig, b"next")
    assert link.credit == 0
    rig.done()


def test_the_credit_of_aborted_deliveries_is_renewed(rig: Rig) -> None:
    rig.open()
    link = rig.receiver()
    link.auto_credit(2)
    rig.peer.expect("flow", link_credit=2)
    for number in range(10):
        rig.peer.send("transfer", handle=0, delivery_id=number, delivery_tag=b"t", more=True, payload=b"x")
        rig.peer.send("transfer", handle=0, aborted=True)
        rig.peer.expect("flow", link_credit=2, delivery_count=number + 1)
    rig.done()


# ---------------------------------------------------------------- credit


def test_credit_goes_out_and_is_counted_down(rig: Rig) -> None:
    rig.open()
    link = rig.receiver()
    rig.peer.expect_nothing()
    link.set_credit(3)
    rig.peer.expect("flow", handle=0, delivery_count=0, link_credit=3, drain=False, echo=False, next_incoming_id=0)
    for left in (2, 1, 0):
        rig.peer.send_delivery(b"x")
        assert link.credit == left
    assert len(rig.drop_events()) == 3
    link.set_credit(5)
    rig.peer.expect("flow", delivery_count=3, link_credit=5)
    link.set_credit(1)
    rig.peer.expect("flow", delivery_count=3, link_credit=1)
    rig.done()


@pytest.mark.parametrize("start", [0, 5, 2**31 - 2, 2**32 - 2])
def test_the_senders_count_wraps(rig: Rig, start: int) -> None:
    rig.open(limits=Limits(overrun=0))
    link = rig.receiver(answer={"initial_delivery_count": start})
    link.set_credit(4)
    rig.peer.expect("flow", delivery_count=start, link_credit=4)
    for _ in range(4):
        rig.peer.send_delivery(b"x")
    assert len(rig.drop_events()) == 4
    link.set_credit(1)
    rig.peer.expect("flow", delivery_count=(start + 4) % 2**32, link_credit=1)
    rig.peer.send_delivery(b"last")
    delivery_of(rig, b"last")
    rig.peer.send_delivery(b"one too many")
    rig.link_fails(link, "amqp:link:transfer-limit-exceeded")


def test_credit_given_before_the_link_is_attached(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = session.attach_receiver(rig.now, "in", source=Source("queue"), target=Target())
    link.set_credit(3)
    rig.peer.accept_attach(initial_delivery_count=77)
    rig.drop_events()
    rig.peer.expect("flow", handle=0, delivery_count=77, link_credit=3)
    rig.peer.send_delivery(b"x")
    delivery_of(rig, b"x")
    rig.done()


def test_a_delivery_without_credit(rig: Rig) -> None:
    rig.open()
    link = rig.receiver()
    rig.peer.send_delivery(b"x")
    rig.link_fails(link, "amqp:link:transfer-limit-exceeded")


def test_a_delivery_over_the_credit(rig: Rig) -> None:
    rig.open(limits=Limits(overrun=0))
    session = rig.begin()
    link = rig.receiver(credit=2, session=session)
    for _ in range(2):
        rig.peer.send_delivery(b"x" * 100, frame_payload=10)
        rig.event(IncomingDelivery)
    rig.peer.send_delivery(b"x")
    rig.link_fails(link, "amqp:link:transfer-limit-exceeded")
    assert rig.receiver(credit=1, session=session).credit == 1


@pytest.mark.parametrize(("credit", "overrun", "tolerated"), [(2, 1000, 2), (10, 3, 3), (5, 0, 0)])
def test_a_little_over_the_credit_is_tolerated(rig: Rig, credit: int, overrun: int, tolerated: int) -> None:
    rig.open(limits=Limits(overrun=overrun))
    link = rig.receiver(credit=credit)
    for _ in range(credit + tolerated):
        rig.peer.send_delivery(b"x")
        rig.event(IncomingDelivery)
    assert link.credit == 0
    rig.peer.send_delivery(b"x")
    rig.link_fails(link, "amqp:link:transfer-limit-exceeded")


def test_deliveries_that_crossed_a_lowered_credit_still_arrive(rig: Rig) -> None:
    rig.open(limits=Limits(overrun=0))
    link = rig.receiver(credit=3)
    link.set_credit(0)
    rig.peer.expect("flow", link_credit=0)
    for _ in range(3):
        rig.peer.send_delivery(b"x")
    assert len(rig.drop_events()) == 3
    assert link.credit == 0
    rig.peer.send_delivery(b"x")
    rig.link_fails(link, "amqp:link:transfer-limit-exceeded")


def test_a_delivery_before_we_have_accepted_the_link(rig: Rig) -> None:
    """There was no credit: it must not be dropped as if it had never come."""
    rig.open()
    rig.begun()
    rig.peer.send("attach", name="l", handle=0, role=SENDER, initial_delivery_count=0, source=codec.source())
    link = rig.drop_events()[0].link
    rig.peer.send_delivery(b"x")
    if link.local_state == 0:
        rig.peer.expect_nothing()
        assert rig.engine.next_deadline() is None
        link.accept(rig.now)
    rig.peer.expect("attach")
    rig.peer.expect("detach", error={"condition": "amqp:link:transfer-limit-exceeded", "description": ANY})


@pytest.mark.parametrize("credit", [-1, 2**31, 2**32])
def test_credit_is_checked(rig: Rig, credit: int) -> None:
    rig.open()
    link = rig.receiver()
    with rig.misuse("from 0 to"):
        link.set_credit(credit)
    with rig.misuse("from 0 to"):
        link.auto_credit(credit)
    rig.done()


def test_the_most_credit(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(answer={"initial_delivery_count": LAST})
    link.set_credit(2**31 - 1)
    rig.peer.expect("flow", delivery_count=LAST, link_credit=2**31 - 1)
    rig.peer.send_delivery(b"x")
    delivery_of(rig, b"x")
    link.set_credit(2**31 - 1)
    rig.peer.expect("flow", delivery_count=0, link_credit=2**31 - 1)
    rig.peer.send_delivery(b"y")
    delivery_of(rig, b"y")
    rig.done()


def test_auto_credit_renews_at_half(rig: Rig) -> None:
    link = with_auto_credit(rig, 10)
    for _ in range(4):
        rig.peer.send_delivery(b"x")
        link.taken()
    rig.peer.expect_nothing()
    rig.peer.send_delivery(b"x")
    link.taken()
    rig.peer.expect("flow", delivery_count=5, link_credit=lambda credit: credit in (9, 10))
    rig.drop_events()
    rig.peer.finish()


def test_what_is_taken_while_the_connection_closes_asks_for_nothing(rig: Rig) -> None:
    link = with_auto_credit(rig, 2)
    rig.peer.send_delivery(b"x")
    rig.peer.send_delivery(b"y")
    rig.drop_events()
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    link.taken(2)
    assert link.buffered == 0
    rig.peer.expect_nothing()


def test_auto_credit_never_asks_for_more_than_the_window_with_what_is_buffered(rig: Rig) -> None:
    link = with_auto_credit(rig, 10)
    for number in range(10):
        rig.peer.send_delivery(b"x")
        assert link.credit + link.buffered <= 10
        assert link.buffered == number + 1
    rig.peer.ignore("flow")
    rig.peer.expect_nothing()
    assert link.credit == 0
    for _ in range(10):
        link.taken()
        assert link.credit + link.buffered <= 10
    rig.peer.expect_nothing()
    assert link.credit >= 5
    link.auto_credit(0)
    rig.peer.finish()


def test_auto_credit_asks_for_all_there_is_room_for_when_the_flow_goes_out(rig: Rig) -> None:
    """What is taken after the first step below half is in the same flow."""
    link = with_auto_credit(rig, 10)
    for _ in range(6):
        rig.peer.send_delivery(b"x")
    rig.peer.expect_nothing()
    for _ in range(6):
        link.taken()
    rig.peer.expect("flow", delivery_count=6, link_credit=10)
    assert link.credit == 10
    rig.drop_events()
    for _ in range(10):  # all of it may be used
        rig.peer.send_delivery(b"x")
    rig.peer.ignore("flow")
    assert len(rig.drop_events()) == 10
    rig.done()


def test_what_was_taken_may_wait_again(rig: Rig) -> None:
    """There is no room for others in its place until it is taken once more."""
    link = with_auto_credit(rig, 10)
    link.pause_credit()
    for _ in range(6):
        rig.peer.send_delivery(b"x")
    rig.drop_events()
    link.taken(6)
    link.untaken()
    link.untaken(2)
    assert link.buffered == 3
    link.resume_credit()
    rig.peer.expect("flow", delivery_count=6, link_credit=7)
    rig.done()


@pytest.mark.parametrize(("credit", "drain"), [(0, False), (3, False), (3, True)])
def test_credit_that_is_set_before_the_flow_goes_out_is_what_the_flow_says(rig: Rig, credit: int, drain: bool) -> None:
    link = with_auto_credit(rig, 10)
    for _ in range(6):
        rig.peer.send_delivery(b"x")
    link.taken(6)
    link.set_credit(credit, drain=drain)
    rig.peer.expect("flow", delivery_count=6, link_credit=credit, drain=drain)
    assert link.credit == credit
    rig.drop_events()
    rig.peer.finish()


def test_auto_credit_stops_short_of_the_limit_of_unsettled(rig: Rig) -> None:
    rig.open(limits=Limits(unsettled=5))
    link = rig.receiver()
    link.auto_credit(100)
    rig.peer.expect("flow", link_credit=5)
    rig.peer.ignore("flow")
    for _ in range(5):
        rig.peer.send_delivery(b"x")
        link.taken()
    deliveries = rig.drop_events()
    assert len(deliveries) == 5
    assert link.credit == 0
    rig.peer.finish()
    for delivery in deliveries:
        delivery.settle(ACCEPTED)
    rig.peer.expect("disposition", first=0, last=4)
    link.taken(0)
    assert link.credit == 5
    rig.peer.expect("flow", link_credit=5, delivery_count=5)


def test_settling_renews_the_credit_that_the_limit_of_unsettled_held_back(rig: Rig) -> None:
    """All was taken before, so nothing but the settling can bring the credit back."""
    rig.open(limits=Limits(unsettled=2))
    link = rig.receiver()
    link.auto_credit(100)
    rig.peer.expect("flow", link_credit=2)
    rig.peer.ignore("flow")
    for _ in range(2):
        rig.peer.send_delivery(b"x")
        link.taken()
    for delivery in rig.drop_events():
        delivery.settle(ACCEPTED)
    rig.peer.expect("disposition")
    rig.peer.expect("flow", link_credit=2, delivery_count=2)


def test_a_sender_that_asks_with_echo(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=4)
    rig.peer.send("flow", handle=0, delivery_count=0, link_credit=4, available=9, echo=True)
    rig.peer.expect("flow", handle=0, delivery_count=0, link_credit=4, echo=False)
    rig.done()


def test_we_ask_with_echo(rig: Rig) -> None:
    rig.open()
    link = rig.receiver()
    link.set_credit(4, echo=True)
    rig.peer.expect("flow", handle=0, link_credit=4, echo=True)
    link.set_credit(4)
    rig.peer.expect("flow", handle=0, link_credit=4, echo=False)
    rig.done()


# ---------------------------------------------------------------- drain


def test_drain_gives_the_rest_back(rig: Rig) -> None:
    rig.open()
    link = rig.receiver()
    link.set_credit(5, drain=True)
    rig.peer.expect("flow", link_credit=5, drain=True)
    rig.peer.send_delivery(b"1")
    delivery_of(rig, b"1")
    rig.peer.send("flow", handle=0, delivery_count=5, link_credit=0, drain=True)
    assert rig.event(ReceiverDrained).receiver is link
    assert (link.credit, link.drain, link.delivery_count) == (0, False, 5)
    link.set_credit(2)
    rig.peer.expect("flow", delivery_count=5, link_credit=2, drain=False)
    rig.peer.send_delivery(b"2")
    delivery_of(rig, b"2")
    rig.done()


def test_drain_used_up_by_deliveries_alone(rig: Rig) -> None:
    """A sender whose deliveries use up all the credit has nothing to give back, and many then send no flow."""
    rig.open()
    link = rig.receiver()
    link.set_credit(2, drain=True)
    rig.peer.expect("flow", drain=True)
    rig.peer.send_delivery(b"1")
    rig.peer.send_delivery(b"2")
    events = rig.drop_events()
    assert payloads(events[:2]) == [b"1", b"2"]
    assert [type(event) for event in events[2:]] == [ReceiverDrained]
    # The flow that some send all the same says nothing new.
    rig.peer.send("flow", handle=0, delivery_count=2, link_credit=0, drain=True)
    rig.done()
    link.set_credit(1)
    rig.peer.expect("flow", link_credit=1, drain=False)


def test_drain_at_the_wrap(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(answer={"initial_delivery_count": LAST - 1})
    link.set_credit(5, drain=True)
    rig.peer.expect("flow", delivery_count=LAST - 1, link_credit=5, drain=True)
    rig.peer.send("flow", handle=0, delivery_count=3, link_credit=0, drain=True)
    rig.event(ReceiverDrained)
    assert link.delivery_count == 3


def test_auto_credit_waits_for_the_drain(rig: Rig) -> None:
    link = with_auto_credit(rig, 4)
    link.set_credit(4, drain=True)
    rig.peer.expect("flow", link_credit=4, drain=True)
    for _ in range(3):
        rig.peer.send_delivery(b"x")
        link.taken()
    rig.peer.expect_nothing()
    rig.peer.send("flow", handle=0, delivery_count=4, link_credit=0, drain=True)
    assert type(rig.drop_events()[-1]) is ReceiverDrained


# ---------------------------------------------------------------- session window


def test_our_window_counts_frames_and_is_renewed_at_half(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=1, session=rig.begin({"incoming_window": 10}))
    for number in range(30):
        first: dict[str, Any] = {"delivery_id": 0, "delivery_tag": b"t"} if number == 0 else {}
        rig.peer.send("transfer", handle=0, more=True, payload=b"x", **first)
        if number % 5 == 4:
            rig.peer.expect("flow", incoming_window=10, next_incoming_id=number + 1, handle=ABSENT)
    rig.done()


def test_a_transfer_outside_our_window(rig: Rig) -> None:
    rig.open()
    session = rig.begin({"incoming_window": 2})
    rig.receiver(credit=100, session=session)
    one = performative("transfer", handle=0, delivery_id=0, delivery_tag=b"1")
    two = performative("transfer", handle=0, delivery_id=1, delivery_tag=b"2")
    three = performative("transfer", handle=0, delivery_id=2, delivery_tag=b"3")
    rig.peer.ignore("flow")
    rig.peer.strict = False
    # In one piece: the engine has no turn to renew the window.
    rig.engine.receive_data(frame(one) + frame(two) + frame(three), rig.now)
    assert len(rig.drop_events()) == 3  # two deliveries, and the link's end
    rig.peer.expect("end", error={"condition": "amqp:session:window-violation", "description": ANY})


@pytest.mark.parametrize("start", [2**31 - 2, 2**32 - 2])
def test_incoming_transfer_ids_and_delivery_ids_wrap(rig: Rig, start: int) -> None:
    rig.open()
    rig.receiver(credit=10, session=rig.begin(next_outgoing_id=start))
    for _ in range(4):
        rig.peer.send_delivery(b"x")
    deliveries = rig.drop_events()
    assert [delivery.delivery_id for delivery in deliveries] == [(start + index) % 2**32 for index in range(4)]
    for delivery in deliveries:
        delivery.settle(ACCEPTED)
    covered: list[int] = []
    while (came := rig.peer._next(0.0, "disposition")) is not None:
        last = came["first"] if came["last"] is None else came["last"]
        covered += [(came["first"] + index) % 2**32 for index in range((last - came["first"]) % 2**32 + 1)]
    assert covered == [delivery.delivery_id for delivery in deliveries]
    rig.peer.send("flow", echo=True)
    rig.peer.expect("flow", next_incoming_id=(start + 4) % 2**32)
    rig.done()


# ---------------------------------------------------------------- violations


@pytest.mark.parametrize("missing", ["delivery_id", "delivery_tag"])
def test_a_first_transfer_without_id_or_tag(rig: Rig, missing: str) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=1, session=session)
    fields: dict[str, Any] = {"delivery_id": 0, "delivery_tag": b"t", missing: None}
    rig.peer.send("transfer", handle=0, **fields)
    rig.session_fails(session, "amqp:invalid-field")


def test_a_delivery_amid_another(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=5, session=session)
    rig.peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"1", more=True)
    rig.peer.send("transfer", handle=0, delivery_id=1, delivery_tag=b"2")
    rig.session_fails(session, "amqp:not-allowed")


def test_a_delivery_id_in_use(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=5, session=session)
    rig.peer.send_delivery(b"x", delivery_id=4)
    rig.event(IncomingDelivery)
    rig.peer.send_delivery(b"x", delivery_id=4)
    rig.session_fails(session, "amqp:not-allowed")


@pytest.mark.parametrize("frames", [1, 3])
def test_our_max_message_size(rig: Rig, frames: int) -> None:
    for size, passes in ((100, True), (101, False)):
        rig = Rig(rig.split)
        rig.open()
        link = rig.receiver(credit=5, max_message_size=100)
        rig.peer.send_delivery(b"x" * size, frame_payload=-(-size // frames))
        if passes:
            delivery_of(rig, b"x" * size)
            rig.done()
        else:
            rig.link_fails(link, "amqp:link:message-size-exceeded")


def test_the_engines_own_limit_of_messages(rig: Rig) -> None:
    for size, passes in ((50, True), (51, False)):
        rig = Rig(rig.split)
        rig.open(limits=Limits(message_size=50))
        link = rig.receiver(credit=5, max_message_size=100)
        rig.peer.send_delivery(b"x" * size)
        if passes:
            delivery_of(rig, b"x" * size)
        else:
            rig.link_fails(link, "amqp:link:message-size-exceeded")


def test_unfinished_deliveries_are_bounded_over_all_links(rig: Rig) -> None:
    rig.open(limits=Limits(buffered_bytes=100))
    session = rig.begin()
    links = [rig.receiver(session=session, name=str(index), credit=9) for index in range(3)]
    send = rig.peer.send
    for handle in range(3):
        send("transfer", handle=handle, delivery_id=handle, delivery_tag=b"t", more=True, payload=b"x" * 33)
    rig.peer.expect_nothing()
    send("transfer", handle=1, more=True, payload=b"x")
    rig.peer.expect_nothing()
    send("transfer", handle=2, more=True, payload=b"x")
    rig.link_fails(links[2], "amqp:resource-limit-exceeded")
    # What the link held is free again; so is what a delivery held that is complete, or aborted.
    send("transfer", handle=0, more=True, payload=b"x" * 32)
    send("transfer", handle=0, payload=b"y")
    send("transfer", handle=1, aborted=True)
    assert [len(payload) for payload in payloads(rig.drop_events())] == [66]
    rig.peer.send_delivery(b"z" * 100, handle=1, delivery_id=3, frame_payload=50)
    delivery_of(rig, b"z" * 100)
    rig.done()


def test_empty_frames_of_a_delivery_take_no_memory(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(credit=1)
    rig.peer.ignore("flow")
    rig.peer.strict = False  # it doesn't count what is sent raw
    rig.peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"t", more=True)
    empty = frame(performative("transfer", handle=0, more=True))
    for _ in range(20):
        rig.peer.send_raw(empty * 100)
        rig.peer.expect_nothing()
    assert len(link._parts) < 10
    rig.peer.send("transfer", handle=0)
    delivery_of(rig, b"")


def test_a_link_that_failed_amid_a_delivery_drops_it(rig: Rig) -> None:
    rig.open()
    link = rig.receiver(credit=5, max_message_size=10)
    rig.peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"1", more=True, payload=b"x" * 8)
    rig.peer.send("transfer", handle=0, more=True, payload=b"x" * 8)
    rig.peer.send("transfer", handle=0, payload=b"x")
    rig.peer.send("transfer", handle=0, delivery_id=1, delivery_tag=b"2", payload=b"x")
    rig.link_fails(link, "amqp:link:message-size-exceeded")


def test_a_partial_delivery_goes_with_its_link(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=5, session=session)
    rig.peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"1", more=True, payload=b"x")
    rig.peer.send("detach", handle=0, closed=True)
    rig.peer.expect("detach")
    assert [type(event) for event in rig.drop_events()] == [LinkDetached]
    again = rig.receiver(credit=1, session=session)
    rig.peer.send_delivery(b"new", delivery_id=1)
    assert delivery_of(rig, b"new").link is again
    rig.done()


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x53\x14\xc0\x01\x00",
        b"\x00\x53\x14\x45",
        b"\x00\x53\x14\xc0\x03\x02\x43",
        b"\x00\x53\x14\xc0\xff\x05\x43\x43\xa0\x01t\x43\x42",
        b"\x00\x53\x14\xc0\x06\x03\x43\x43\xa0\xffx",
        b"\x00\x53\x14\xc0\x03\x01\x40\x40",
        b"\x00\x53\x14\xc0\x02\x01\x40",
        b"\x00\x53\x14\xc0\x05\x02\x43\xa1\x01x",
        b"\x00\x53\x14\xc0\x0d\x0c" + b"\x43" + b"\x40" * 11,
        b"\x00\x53\x14\xc0\x08\x05\x43\x43\xa0\x00\x43\x56\x02",
    ],
    ids=lambda body: body.hex(),
)
def test_malformed_transfers_end_the_connection(rig: Rig, body: bytes) -> None:
    rig.open()
    rig.receiver(credit=5)
    rig.peer.send_raw(frame(body, b"payload"))
    rig.connection_fails("amqp:decode-error")


def test_a_delivery_tag_longer_than_allowed(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=2)
    rig.peer.send_delivery(b"x", tag=b"t" * 32)
    assert len(rig.event(IncomingDelivery).tag) == 32


def test_a_server_receives(rig: Rig) -> None:
    """The same engine as a server: session and link of the client's making."""
    rig.open_server()
    rig.begun()
    rig.peer.send(
        "attach",
        name="l",
        handle=3,
        role=SENDER,
        initial_delivery_count=9,
        source=codec.source(),
        target=codec.target(address="q", capabilities=["queue"]),
    )
    link = rig.drop_events()[0].link
    assert isinstance(link, Receiver)
    assert isinstance(link.remote_target, Target)
    assert link.remote_target.capabilities == symbols("queue")
    link.accept(rig.now, max_message_size=1000)
    rig.drop_events()
    rig.peer.expect("attach", handle=0, role=RECEIVER, max_message_size=1000)
    link.set_credit(2)
    rig.peer.expect("flow", handle=0, delivery_count=9, link_credit=2)
    rig.peer.send_delivery(MESSAGE, handle=3)
    delivery_of(rig, MESSAGE).settle(ACCEPTED)
    rig.peer.expect("disposition", role=RECEIVER, first=0, settled=True, state="accepted")
    rig.done()
