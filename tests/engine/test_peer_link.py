"""The engine's links against a peer with a codec of its own: attach, detach, refusals, late answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import Described as PeerDescribed
from tests.peer.codec import sym, uint, ulong
from tests.peer.frames import frame, performative
from tests.peer.script import ABSENT, ANY, RECEIVER, SENDER
from tests.support.peered import (
    LinkDetached,
    LinkOpened,
    LinkOpening,
    Rig,
    SessionEnded,
    error,
    symbols,
)
from uamqp.codec import Accepted, Coordinator, Described, Error, Source, Symbol, Target
from uamqp.engine import CauseKind, EndpointState, IncomingDelivery, Limits, Receiver, Sender
from uamqp.engine.events import CreditChanged, FlowProperties

QUEUE = codec.source(address="queue")


def test_a_senders_attach_says_what_it_was_given(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = session.attach_sender(
        rig.now,
        "the name",
        source=Source("here", timeout=7, outcomes=symbols("amqp:accepted:list")),
        target=Target("queue", durable=2, dynamic_node_properties={Symbol("p"): True}, capabilities=symbols("queue")),
        snd_settle_mode=0,
        rcv_settle_mode=1,
        max_message_size=100,
        initial_delivery_count=5,
        properties={Symbol("k"): "v"},
        offered_capabilities=symbols("o"),
        desired_capabilities=symbols("d", "e"),
    )
    came = rig.peer.accept_attach()
    assert came.fields == {
        "name": "the name",
        "handle": 0,
        "role": SENDER,
        "snd_settle_mode": 0,
        "rcv_settle_mode": 1,
        "source": codec.source(address="here", timeout=7, outcomes=["amqp:accepted:list"]),
        "target": codec.target(address="queue", durable=2, dynamic_node_properties={"p": True}, capabilities=["queue"]),
        "unsettled": None,
        "incomplete_unsettled": None,
        "initial_delivery_count": 5,
        "max_message_size": 100,
        "offered_capabilities": ["o"],
        "desired_capabilities": ["d", "e"],
        "properties": {"k": "v"},
    }
    assert rig.event(LinkOpened).link is link
    assert link.is_open
    rig.done()


def test_a_receivers_attach_says_what_it_was_given(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    selector = Described(Symbol("apache.org:selector-filter:string"), "colour = 'red'")
    link = session.attach_receiver(
        rig.now,
        "in",
        source=Source("queue", filter={Symbol("s"): selector}, default_outcome=Accepted()),
        target=Target(None, dynamic=True),
        snd_settle_mode=1,
        max_message_size=2**63,
    )
    came = rig.peer.accept_attach()
    described = PeerDescribed(sym("apache.org:selector-filter:string"), codec.string("colour = 'red'"))
    assert came["source"] == codec.source(address="queue", filter={"s": described}, default_outcome=codec.accepted())
    assert came["target"] == codec.target(dynamic=True)
    assert came["role"] is RECEIVER
    assert came["initial_delivery_count"] is None
    assert came["max_message_size"] == 2**63
    assert came.get("snd_settle_mode") == 1
    assert rig.event(LinkOpened).link is link
    rig.done()


def test_a_link_to_a_coordinator(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    session.attach_sender(rig.now, "txn", source=Source(), target=Coordinator(symbols("amqp:local-transactions")))
    came = rig.peer.accept_attach()
    assert came["target"] == codec.coordinator(capabilities=["amqp:local-transactions"])
    assert isinstance(rig.event(LinkOpened).link.remote_target, Coordinator)
    rig.done()


def test_what_the_peers_attach_says_is_at_hand(rig: Rig) -> None:
    rig.open()
    link = rig.sender(
        answer={
            "source": codec.source(address="theirs"),
            "target": codec.target(address="dynamic-7", dynamic=True),
            "max_message_size": 1000,
            "properties": {"k": ulong(2**40)},
            "offered_capabilities": ["x"],
            "desired_capabilities": ["y"],
        }
    )
    assert isinstance(link.remote_target, Target)
    assert link.remote_target.address == "dynamic-7"
    assert link.remote_max_message_size == 1000
    assert link.remote_properties == {Symbol("k"): 2**40}
    attach = link.remote_attach
    assert attach is not None
    assert attach.offered_capabilities == symbols("x")
    assert attach.desired_capabilities == symbols("y")


def test_the_peer_may_use_other_handles_than_ours(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    first = rig.receiver(session=session, name="a", answer={"handle": 2**32 - 1})
    second = rig.receiver(session=session, name="b", answer={"handle": 0})
    for link in (first, second):
        link.set_credit(2)
    rig.peer.expect("flow", handle=0)
    rig.peer.expect("flow", handle=1)
    rig.peer.send_delivery(b"1", handle=2**32 - 1)
    rig.peer.send_delivery(b"2", handle=0)
    deliveries = rig.drop_events()
    assert [(d.link, d.payload) for d in deliveries] == [(first, b"1"), (second, b"2")]
    rig.peer.send("detach", handle=2**32 - 1, closed=True)
    rig.peer.expect("detach", handle=0)
    rig.peer.send("detach", handle=0, closed=True)
    rig.peer.expect("detach", handle=1)
    assert [event.link for event in rig.drop_events()] == [first, second]
    rig.done()


@pytest.mark.parametrize(
    ("asked", "answered", "sender", "in_force"),
    [
        ((2, 0), (2, 0), True, (2, 0)),
        ((1, 0), (2, 0), True, (1, 0)),
        ((0, 1), (0, 0), True, (0, 0)),
        ((0, 0), (0, 1), True, (0, 1)),
        ((2, 0), (1, 0), False, (1, 0)),
        ((1, 1), (0, 1), False, (0, 1)),
        ((2, 1), (2, 0), False, (2, 0)),
        ((2, 0), (2, 1), False, (2, 0)),
    ],
)
def test_each_sides_own_settle_mode_is_in_force(
    rig: Rig, asked: tuple[int, int], answered: tuple[int, int], sender: bool, in_force: tuple[int, int]
) -> None:
    rig.open()
    make: Any = rig.sender if sender else rig.receiver
    link = make(
        snd_settle_mode=asked[0],
        rcv_settle_mode=asked[1],
        answer={"snd_settle_mode": answered[0], "rcv_settle_mode": answered[1]},
    )
    assert (link.snd_settle_mode, link.rcv_settle_mode) == in_force


@pytest.mark.parametrize("field", ["snd_settle_mode", "rcv_settle_mode"])
def test_a_settle_mode_that_does_not_exist_counts_as_none(rig: Rig, field: str) -> None:
    rig.open()
    answer: dict[str, Any] = {field: 3}
    sender = rig.sender(answer=answer, snd_settle_mode=0, rcv_settle_mode=1)
    receiver = rig.receiver(answer=answer, session=sender.session, snd_settle_mode=0, rcv_settle_mode=1)
    if field == "snd_settle_mode":
        assert (sender.snd_settle_mode, sender.rcv_settle_mode) == (0, 1)
        assert (receiver.snd_settle_mode, receiver.rcv_settle_mode) == (2, 1)
    else:
        assert (sender.snd_settle_mode, sender.rcv_settle_mode) == (0, 0)
        assert (receiver.snd_settle_mode, receiver.rcv_settle_mode) == (0, 0)
    rig.done()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_a_link_that_the_peer_refuses(rig: Rig, role: bool) -> None:
    rig.open()
    session = rig.begin()
    attach: Any = session.attach_sender if role == SENDER else session.attach_receiver
    link = attach(rig.now, "x", source=Source("a"), target=Target("b"))
    rig.peer.refuse_attach(error("amqp:not-found", "no such queue", {"k": "v"}))
    opened = rig.event(LinkOpened)
    assert opened.link is link
    assert link.remote_source is None
    assert link.remote_target is None
    rig.peer.expect("detach", closed=True, error=ABSENT)
    detached = rig.event(LinkDetached)
    assert detached.link is link
    assert detached.closed
    assert detached.cause is not None
    assert (detached.cause.kind, detached.cause.condition) == (CauseKind.PEER, "amqp:not-found")
    assert detached.cause.error is not None
    assert detached.cause.error.info == {Symbol("k"): "v"}
    rig.done()
    # The name is free again.
    assert rig.sender(session=session, name="x").handle == 0


def test_a_redirect_reaches_the_caller(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    session.attach_receiver(rig.now, "x", source=Source("a"), target=Target("b"))
    info = {"hostname": "h", "network-host": "1.2.3.4", "port": uint(5671), "address": "amqps://h/a"}
    rig.peer.refuse_attach(error("amqp:link:redirect", "elsewhere", info))
    rig.event(LinkOpened)
    cause = rig.event(LinkDetached).cause
    assert cause is not None
    assert cause.condition == "amqp:link:redirect"
    assert cause.error is not None
    assert {str(key): value for key, value in (cause.error.info or {}).items()} == info


def test_an_error_condition_that_nobody_has_heard_of(rig: Rig) -> None:
    rig.open()
    link = rig.sender()
    rig.peer.send("detach", handle=0, closed=True, error=error("com.example:odd"))
    rig.peer.expect("detach")
    detached = rig.event(LinkDetached)
    assert detached.link is link
    assert detached.cause is not None
    assert detached.cause.condition == "com.example:odd"


# ---------------------------------------------------------------- detach


@pytest.mark.parametrize("closed", [True, False])
def test_our_detach(rig: Rig, closed: bool) -> None:
    rig.open()
    link = rig.sender()
    link.detach(rig.now, Error(Symbol("amqp:internal-error"), "a slip"), closed=closed)
    rig.no_event()
    rig.peer.accept_detach(closed=closed, error=error("amqp:internal-error", "a slip"))
    detached = rig.event(LinkDetached)
    assert (detached.link, detached.cause, detached.closed) == (link, None, closed)
    assert link.local_state is link.remote_state is EndpointState.CLOSED
    with rig.misuse("not attached"):
        link.detach(rig.now)
    with rig.misuse("not open"):
        link.send(b"x")
    rig.done()


@pytest.mark.parametrize("closed", [True, False])
def test_the_peers_detach_is_answered_in_kind(rig: Rig, closed: bool) -> None:
    rig.open()
    link = rig.receiver()
    rig.peer.send("detach", handle=0, closed=closed, error=error("amqp:resource-deleted"))
    rig.peer.expect("detach", handle=0, closed=closed, error=ABSENT)
    detached = rig.event(LinkDetached)
    assert (detached.link, detached.closed) == (link, closed)
    assert detached.cause is not None
    assert detached.cause.condition == "amqp:resource-deleted"
    rig.done()


def test_detaches_that_cross(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = rig.sender(session=session)
    link.detach(rig.now)
    rig.peer.send("detach", handle=0, closed=True, error=error("amqp:link:detach-forced"))
    rig.peer.expect("detach")
    assert [type(event) for event in rig.drop_events()] == [LinkDetached]
    rig.done()
    assert rig.sender(session=session).handle == 0


def test_what_crosses_our_detach_is_dropped(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = rig.receiver(credit=5, session=session)
    link.detach(rig.now)
    rig.peer.expect("detach")
    rig.peer.send_delivery(b"late")
    rig.peer.send("flow", handle=0, delivery_count=1, link_credit=4, echo=True)
    rig.peer.send("disposition", role=SENDER, first=0, settled=True)
    rig.no_event()
    rig.peer.expect_nothing()
    rig.peer.send("detach", handle=0, closed=True)
    rig.event(LinkDetached)
    rig.done()


def test_a_name_and_a_handle_are_free_after_detach(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    for _ in range(3):
        link = rig.sender(session=session)
        assert link.handle == 0
        with rig.misuse("attached already"):
            session.attach_sender(rig.now, "out", source=Source(), target=Target())
        link.detach(rig.now)
        rig.peer.accept_detach()
        rig.event(LinkDetached)
    rig.done()


def test_a_sender_and_a_receiver_may_share_a_name(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    sender = rig.sender(session=session, name="both")
    receiver = rig.receiver(session=session, name="both")
    assert (sender.handle, receiver.handle) == (0, 1)
    rig.peer.send("detach", handle=1)
    rig.peer.expect("detach", handle=1)
    assert rig.event(LinkDetached).link is receiver
    rig.done()


# ---------------------------------------------------------------- links that the peer attaches


def attached_by_peer(rig: Rig, role: bool, **fields: Any) -> Any:
    """The peer attaches in a session of its own; the link, of its LinkOpening."""
    if role == SENDER:
        fields.setdefault("initial_delivery_count", 0)
    given = {"name": "theirs", "handle": 4, "source": QUEUE, "target": codec.target(address="t"), **fields}
    rig.peer.send("attach", role=role, **given)
    link = rig.event(LinkOpening).link
    assert isinstance(link, Receiver if role == SENDER else Sender)
    return link


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_a_link_of_the_peer(rig: Rig, role: bool) -> None:
    rig.open()
    rig.begun()
    link = attached_by_peer(rig, role, snd_settle_mode=1, rcv_settle_mode=0, max_message_size=7, properties={"k": "v"})
    assert link.name == "theirs"
    assert link.remote_properties == {Symbol("k"): "v"}
    rig.peer.expect_nothing()
    link.accept(rig.now, properties={Symbol("p"): 1.5}, offered_capabilities=symbols("o"), max_message_size=9)
    rig.peer.expect(
        "attach",
        name="theirs",
        handle=0,
        role=not role,
        source=QUEUE,
        target=codec.target(address="t"),
        snd_settle_mode=1,
        rcv_settle_mode=0,
        initial_delivery_count=ABSENT if role == SENDER else 0,
        max_message_size=9,
        properties={"p": 1.5},
        offered_capabilities=["o"],
    )
    assert rig.event(LinkOpened).link is link
    with rig.misuse("no attach"):
        link.accept(rig.now)
    rig.done()


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_the_properties_of_a_flow(rig: Rig, role: bool) -> None:
    """They are reported as they come; those that come before our answer, when the flow is applied."""
    rig.open()
    session = rig.begun()
    link = attached_by_peer(rig, role)
    flow: dict[str, Any] = {"handle": 4, "delivery_count": 0, "link_credit": 3}
    rig.peer.send("flow", **flow, properties={sym("early"): uint(1)})
    rig.no_event()
    link.accept(rig.now)
    rig.peer.expect("attach")
    assert rig.event(LinkOpened).link is link
    for number in (1, 2):
        if number == 2:
            rig.peer.send("flow", **flow, properties={sym("late"): uint(2)})
        if isinstance(link, Sender):
            assert rig.event(CreditChanged).sender is link
        reported = rig.event(FlowProperties)
        assert (reported.session, reported.link) == (session, link)
        assert reported.properties == {Symbol("early" if number == 1 else "late"): number}
    rig.peer.send("flow", **flow, properties={})
    rig.drop_events() if isinstance(link, Sender) else rig.no_event()
    rig.peer.send("flow", properties={sym("session"): sym("x" * 1000)})
    reported = rig.event(FlowProperties)
    assert (reported.session, reported.link) == (session, None)
    assert reported.properties == {Symbol("session"): Symbol("x" * 1000)}
    assert len(repr(reported)) < 600  # of what a peer says, as much as somebody reads
    rig.done()


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_a_link_of_the_peer_is_refused(rig: Rig, role: bool) -> None:
    rig.open()
    session = rig.begun()
    link = attached_by_peer(rig, role)
    link.refuse(rig.now, Error(Symbol("amqp:not-found"), "no such queue"))
    terminus: dict[str, Any] = {"target": ABSENT} if role == SENDER else {"source": ABSENT}
    rig.peer.expect("attach", name="theirs", **terminus)
    rig.peer.expect("detach", closed=True, error=error("amqp:not-found", "no such queue"))
    rig.no_event()
    rig.peer.send("detach", handle=4, closed=True)
    assert rig.event(LinkDetached).link is link
    rig.done()
    assert session.links == ()


def test_attach_and_detach_before_we_answered(rig: Rig) -> None:
    rig.open()
    rig.begun()
    link = attached_by_peer(rig, SENDER)
    rig.peer.send("detach", handle=4, closed=True)
    rig.peer.expect("attach", name="theirs")
    rig.peer.expect("detach", closed=True)
    assert rig.event(LinkDetached).link is link
    with rig.misuse("no attach"):
        link.accept(rig.now)
    rig.done()


def test_a_link_attached_anew_is_stolen(rig: Rig) -> None:
    rig.open()
    rig.begun()
    old = attached_by_peer(rig, SENDER)
    old.accept(rig.now)
    rig.peer.expect("attach")
    rig.event(LinkOpened)
    rig.peer.send("attach", name="theirs", handle=5, role=SENDER, initial_delivery_count=0, source=QUEUE)
    rig.peer.expect("detach", handle=0, error={"condition": "amqp:link:stolen", "description": ANY})
    new = rig.event(LinkOpening).link
    assert new is not old
    rig.peer.send("detach", handle=4, closed=True)
    detached = rig.event(LinkDetached)
    assert detached.link is old
    assert detached.cause is not None
    assert detached.cause.condition == "amqp:link:stolen"
    new.accept(rig.now)
    rig.peer.expect("attach", name="theirs")
    rig.event(LinkOpened)
    rig.done()


def test_a_handle_in_use(rig: Rig) -> None:
    rig.open()
    session = rig.begun()
    attached_by_peer(rig, SENDER)
    rig.peer.send("attach", name="other", handle=4, role=RECEIVER)
    rig.drop_events()
    rig.session_fails(session, "amqp:session:handle-in-use")


def test_a_handle_above_our_handle_max(rig: Rig) -> None:
    for handle, passes in ((7, True), (8, False)):
        rig = Rig(rig.split)
        rig.open()
        session = rig.begun({"handle_max": 7})
        rig.peer.send("attach", name="x", handle=handle, role=RECEIVER)
        if passes:
            rig.event(LinkOpening)
        else:
            rig.connection_fails("amqp:connection:framing-error")
        assert session is not None


def test_a_senders_attach_without_its_count_starts_at_0(rig: Rig) -> None:
    rig.open()
    session = rig.begun()
    rig.peer.send("attach", name="x", handle=0, role=SENDER, source=QUEUE)
    link = rig.event(LinkOpening).link
    link.accept(rig.now)
    rig.event(LinkOpened)
    rig.peer.expect("attach")
    assert isinstance(link, Receiver)
    link.set_credit(2)
    rig.peer.expect("flow", delivery_count=0, link_credit=2)
    for number in range(2):
        rig.peer.send_raw(
            frame(performative("transfer", handle=0, delivery_id=number, delivery_tag=b"t"), b"x", channel=0)
        )
        rig.event(IncomingDelivery)
    assert (link.delivery_count, link.credit) == (2, 0)
    assert session.links == (link,)
    rig.done()


def test_our_handles_keep_to_the_peers_handle_max(rig: Rig) -> None:
    rig.open()
    session = rig.begin(handle_max=1)
    rig.sender(session=session, name="a")
    rig.sender(session=session, name="b")
    with rig.misuse("only 2 links"):
        session.attach_sender(rig.now, "c", source=Source(), target=Target())
    rig.done()


def test_a_link_that_the_peers_handle_max_leaves_no_handle_for(rig: Rig) -> None:
    """The peer attaches more links than it lets us answer: its fault, and no exception of ours."""
    rig.open()
    session = rig.begun(handle_max=0)
    attached_by_peer(rig, SENDER)
    rig.peer.send("attach", name="second", handle=5, role=RECEIVER)
    rig.peer.expect("end", error=ANY)
    rig.peer.send("end")
    ended = rig.drop_events()[-1]
    assert type(ended) is SessionEnded
    assert ended.session is session


def test_links_are_bounded(rig: Rig) -> None:
    rig.open(limits=Limits(links=2))
    session = rig.begun()
    attached_by_peer(rig, SENDER, name="a", handle=0)
    attached_by_peer(rig, SENDER, name="b", handle=1)
    with rig.misuse("2 links"):
        session.attach_sender(rig.now, "c", source=Source(), target=Target())
    rig.peer.send("attach", name="c", handle=2, role=SENDER, initial_delivery_count=0)
    rig.session_fails(session, "amqp:resource-limit-exceeded")


# ---------------------------------------------------------------- time, and late answers


@pytest.mark.parametrize("role", [SENDER, RECEIVER])
def test_our_attach_unanswered(rig: Rig, role: bool) -> None:
    rig.open(link_timeout=4.0)
    session = rig.begin()
    attach: Any = session.attach_sender if role == SENDER else session.attach_receiver
    link = attach(rig.now, "x", source=Source("a"), target=Target("b"))
    rig.peer.expect("attach")
    rig.wait(3.9)
    rig.no_event()
    rig.wait(0.2)
    detached = rig.event(LinkDetached)
    assert detached.link is link
    assert detached.cause is not None
    assert detached.cause.kind is CauseKind.TIMEOUT
    rig.peer.expect("detach", handle=0, closed=True)
    rig.done()
    # The answer comes late: no fault, no event; then everything is free again.
    count: dict[str, Any] = {"initial_delivery_count": 0} if role == RECEIVER else {}
    rig.peer.send("attach", name="x", handle=3, role=not role, source=QUEUE, **count)
    rig.peer.send("flow", handle=3, delivery_count=0, link_credit=9, echo=True)
    rig.peer.send("detach", handle=3, closed=True)
    rig.done()
    make: Any = rig.sender if role == SENDER else rig.receiver
    assert make(session=session, name="x").handle == 0


def test_an_attach_that_we_gave_up_on_is_refused_late(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = session.attach_sender(rig.now, "x", source=Source("a"), target=Target("b"))
    link.detach(rig.now)
    rig.peer.expect("attach")
    rig.peer.expect("detach")
    rig.peer.send("attach", name="x", handle=0, role=RECEIVER, source=QUEUE)
    rig.peer.send("detach", handle=0, closed=True, error=error("amqp:not-found"))
    assert [type(event) for event in rig.drop_events()] == [LinkDetached]
    rig.done()
    assert rig.sender(session=session, name="x").handle == 0


def test_our_detach_unanswered(rig: Rig) -> None:
    rig.open(link_timeout=4.0)
    link = rig.sender()
    link.detach(rig.now)
    rig.peer.expect("detach")
    rig.wait(3.9)
    rig.no_event()
    rig.wait(0.2)
    detached = rig.event(LinkDetached)
    assert detached.cause is not None
    assert detached.cause.kind is CauseKind.TIMEOUT
    rig.peer.send("detach", handle=0, closed=True)
    rig.done()


def test_an_answer_stops_the_clock(rig: Rig) -> None:
    rig.open(link_timeout=4.0)
    link = rig.sender()
    assert rig.engine.next_deadline() is None
    link.detach(rig.now)
    assert rig.engine.next_deadline() == rig.now + 4.0
    rig.peer.accept_detach()
    rig.event(LinkDetached)
    assert rig.engine.next_deadline() is None


def test_each_unanswered_attach_has_a_time_of_its_own(rig: Rig) -> None:
    rig.open(link_timeout=4.0)
    session = rig.begin()
    links = []
    for name in ("a", "b", "c"):
        links.append(session.attach_sender(rig.now, name, source=Source(), target=Target()))
        rig.peer.expect("attach")
        rig.wait(1.0)
    rig.peer.send("attach", name="b", handle=0, role=RECEIVER)
    rig.event(LinkOpened)
    rig.wait(1.05)
    assert rig.event(LinkDetached).link is links[0]
    rig.peer.expect("detach", handle=0)
    rig.wait(1.0)
    rig.done()
    rig.wait(1.0)
    assert rig.event(LinkDetached).link is links[2]
    rig.peer.expect("detach", handle=2)


# ---------------------------------------------------------------- misuse


def test_an_attach_that_the_peer_cannot_take_changes_nothing(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    session = rig.begin()
    with rig.misuse("frame of"):
        session.attach_sender(rig.now, "x", source=Source(), target=Target("q" * 600))
    with rig.misuse("frame of"):
        session.attach_receiver(rig.now, "x", source=Source("q" * 600), target=Target())
    rig.done()
    assert session.links == ()
    assert rig.sender(session=session, name="x").handle == 0
    assert rig.receiver(session=session, name="x").handle == 1
    rig.done()


def test_a_detach_that_the_peer_cannot_take_changes_nothing(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    link = rig.sender()
    with rig.misuse("frame of"):
        link.detach(rig.now, Error(Symbol("c"), "d" * 600))
    rig.done()
    link.detach(rig.now)
    rig.peer.accept_detach(error=ABSENT)
    rig.event(LinkDetached)
    rig.done()


def test_a_long_name_in_an_error_of_ours_does_not_break_the_peers_frame_size(rig: Rig) -> None:
    """What the peer calls its link must not make our answer too long to send."""
    rig.open({"max_frame_size": 512})
    rig.begun()
    name = "n" * 450
    rig.peer.send("attach", name=name, handle=0, role=SENDER, initial_delivery_count=0)
    link = rig.event(LinkOpening).link
    link.accept(rig.now)
    rig.event(LinkOpened)
    rig.peer.expect("attach", name=name)
    rig.peer.send_delivery(b"without credit")
    rig.peer.accept_detach(error={"condition": "amqp:link:transfer-limit-exceeded"})
    assert rig.event(LinkDetached).link is link


@pytest.mark.parametrize(("snd", "rcv"), [(3, 0), (-1, 0), (0, 2), (0, -1)])
def test_settle_modes_are_checked(rig: Rig, snd: int, rcv: int) -> None:
    rig.open()
    session = rig.begin()
    with rig.misuse("settle_mode"):
        session.attach_sender(rig.now, "x", source=Source(), target=Target(), snd_settle_mode=snd, rcv_settle_mode=rcv)
    rig.done()
