"""Answers with something odd about them are answers all the same: to our attach by the link's name, to our begin."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import uint
from tests.peer.frames import frame, performative
from tests.peer.script import ABSENT, RECEIVER, SENDER
from tests.support.peered import MESSAGE, LinkDetached, LinkOpened, LinkOpening, Rig, SessionEnded, error
from uamqp.codec import Source, Target
from uamqp.engine import CauseKind, IncomingDelivery, Receiver, Sender, Session

REDIRECT = error("amqp:link:redirect", "elsewhere", {"hostname": "there", "port": uint(5671)})
ROLES = [SENDER, RECEIVER]
NOTHING = {"source": None, "target": None}

ODD: dict[str, dict[str, Any]] = {
    "our own role": {"role": "ours"},
    "our own role, no termini": {"role": "ours", **NOTHING},
    "no termini": NOTHING,
    "no source": {"source": None},
    "no target": {"target": None},
    "another handle": {"handle": 4_000_000_000},
    "an unknown snd-settle-mode": {"snd_settle_mode": 7},
    "an unknown rcv-settle-mode": {"rcv_settle_mode": 255},
    "no initial-delivery-count": {"initial_delivery_count": None},
    "unknown durabilities": {
        "source": codec.source(address="queue", durable=9),
        "target": codec.target(address="queue", durable=3),
    },
    "termini of another address": {"source": codec.source(address="x"), "target": codec.target(address="y")},
}


def attach(session: Session, rig: Rig, role: bool, name: str = "link") -> Sender | Receiver:
    make: Any = session.attach_sender if role == SENDER else session.attach_receiver
    link: Sender | Receiver = make(rig.now, name, source=Source("queue"), target=Target("queue"))
    return link


def send_raw(rig: Rig, name: str, /, **fields: Any) -> None:
    rig.peer.send_raw(frame(performative(name, **fields)))


def answer(rig: Rig, role: bool, odd: dict[str, Any]) -> int:
    """Answer an attach of ours, in this role, oddly; returns the peer's handle."""
    came = rig.peer.expect("attach", role=role)
    usual = {
        "name": came["name"],
        "handle": came["handle"],
        "role": not role,
        "source": came["source"],
        "target": came["target"],
        "initial_delivery_count": 0 if role == RECEIVER else None,
    }
    fields = {**usual, **odd}
    if fields["role"] == "ours":
        fields["role"] = role
    send_raw(rig, "attach", **fields)
    handle: int = fields["handle"]
    return handle


def refused(rig: Rig, link: Sender | Receiver) -> None:
    """The link has ended for the peer's reason, and we have answered."""
    ends = [event for event in rig.drop_events() if type(event) is LinkDetached]
    for end in ends[:-1]:  # what the peer's attach in our role would have been
        assert end.link is not link
        assert end.cause is None
    cause: Any = ends[-1].cause
    assert (ends[-1].link, cause.kind, cause.condition) == (link, CauseKind.PEER, "amqp:link:redirect")
    assert link.session.links == () or link not in link.session.links
    assert cause.error.info["hostname"] == "there"
    rig.peer.expect("detach", handle=link.handle, closed=True, error=ABSENT)
    rig.done()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_refusal_that_is_odd(rig: Rig, odd: dict[str, Any], role: bool) -> None:
    rig.open()
    session = rig.begin()
    link = attach(session, rig, role)
    handle = answer(rig, role, odd)
    send_raw(rig, "detach", handle=handle, closed=True, error=REDIRECT)
    refused(rig, link)
    again = attach(session, rig, role)  # the name is free again
    assert answer(rig, role, {}) == again.handle
    rig.event(LinkOpened)
    assert again.is_open
    rig.done()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", [kind for kind in ODD if not kind.endswith(("no termini", "no source", "no target"))])
def test_a_link_that_was_answered_oddly_works(rig: Rig, kind: str, role: bool) -> None:
    odd = ODD[kind]
    rig.peer.strict = False  # it doesn't see what is sent raw
    rig.open()
    link = attach(rig.begin(), rig, role)
    handle = answer(rig, role, odd)
    if "role" in odd:
        theirs = rig.event(LinkOpening).link
        assert theirs.take_as_answer()
        assert not theirs.take_as_answer()
        assert rig.event(LinkDetached).link is theirs
    assert rig.event(LinkOpened).link is link
    assert link.is_open
    assert not link.is_refused
    if isinstance(link, Receiver):
        link.set_credit(1)
        rig.peer.expect("flow", handle=link.handle, delivery_count=0, link_credit=1)
        rig.peer.send_raw(
            frame(performative("transfer", handle=handle, delivery_id=0, delivery_tag=b"t", settled=True), MESSAGE)
        )
        assert rig.event(IncomingDelivery).payload == MESSAGE
    else:
        windows = {"next_incoming_id": 0, "incoming_window": 10, "next_outgoing_id": 0, "outgoing_window": 10}
        send_raw(rig, "flow", handle=handle, delivery_count=0, link_credit=1, **windows)
        rig.drop_events()
        assert link.credit == 1
        delivery = link.send(MESSAGE)
        rig.peer.expect("transfer", handle=link.handle, payload=MESSAGE)
        send_raw(rig, "disposition", role=RECEIVER, first=0, settled=True, state=codec.accepted())
        rig.drop_events()
        assert delivery.settled
    rig.done()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("handle", [0, 5])
def test_a_refusal_without_an_attach(rig: Rig, role: bool, handle: int) -> None:
    """By our own handle, or by any if one link only waits for an answer."""
    rig.open()
    session = rig.begin()
    link = attach(session, rig, role)
    rig.peer.expect("attach")
    send_raw(rig, "detach", handle=handle, closed=True, error=REDIRECT)
    refused(rig, link)
    assert session.links == ()


def test_refusals_without_an_attach_of_two_links(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    first, second = attach(session, rig, SENDER, "first"), attach(session, rig, RECEIVER, "second")
    rig.peer.expect("attach")
    rig.peer.expect("attach")
    for link in (second, first):
        send_raw(rig, "detach", handle=link.handle, closed=True, error=REDIRECT)
        refused(rig, link)


def test_a_detach_that_no_link_waits_for(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.sender(session=session)
    send_raw(rig, "detach", handle=3, closed=True, error=REDIRECT)
    rig.session_fails(session, "amqp:session:unattached-handle")


def test_a_detach_that_may_be_for_either_of_two_links(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    attach(session, rig, SENDER, "first")
    attach(session, rig, SENDER, "second")
    rig.peer.expect("attach")
    rig.peer.expect("attach")
    send_raw(rig, "detach", handle=9, closed=True, error=REDIRECT)
    rig.session_fails(session, "amqp:session:unattached-handle")


def test_links_of_one_name_in_both_directions_are_told_apart_by_their_role(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    out, into = attach(session, rig, SENDER), attach(session, rig, RECEIVER)
    for _ in range(2):
        rig.peer.expect("attach")
    for link, role in ((into, RECEIVER), (out, SENDER)):
        send_raw(
            rig,
            "attach",
            name="link",
            handle=link.handle,
            role=not role,
            source=codec.source(address="queue"),
            target=codec.target(address="queue"),
        )
        assert rig.event(LinkOpened).link is link
    rig.done()


def test_a_handle_that_is_used_again_instead_of_an_answer_to_our_detach(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    old = rig.sender(session=session, name="old")
    old.detach(rig.now)
    rig.peer.expect("detach", handle=0)
    new = attach(session, rig, SENDER, "new")
    assert new.handle == 1
    answer(rig, SENDER, {"handle": 0})
    detached = rig.event(LinkDetached)
    assert (detached.link, detached.cause) == (old, None)
    assert rig.event(LinkOpened).link is new
    assert session.links == (new,)
    rig.done()


@pytest.mark.parametrize("channel", [0, 3])
def test_a_session_that_is_refused_without_a_begin(rig: Rig, channel: int) -> None:
    """On our own channel, or on any if one session only waits for an answer."""
    rig.peer.strict = False  # it doesn't see what is sent raw
    rig.open()
    session = rig.engine.begin(rig.now)
    rig.peer.expect("begin")
    rig.peer.send_raw(frame(performative("end", error=error("amqp:not-allowed", "no sessions")), channel=channel))
    ended = rig.event(SessionEnded)
    assert ended.session is session
    assert ended.cause is not None
    assert (ended.cause.kind, ended.cause.condition) == (CauseKind.PEER, "amqp:not-allowed")
    rig.peer.expect("end", error=ABSENT)
    assert rig.engine.sessions == ()
    again = rig.begin()
    assert again.channel == 0
    rig.done()


def test_an_end_that_no_session_waits_for(rig: Rig) -> None:
    rig.open()
    rig.begin()
    rig.peer.send_raw(frame(performative("end", error=error("amqp:not-allowed", "no")), channel=3))
    rig.connection_fails("amqp:not-allowed")


def test_a_session_that_was_answered_is_ended_on_its_own_channel_only(rig: Rig) -> None:
    rig.open()
    first = rig.begin()
    second = rig.engine.begin(rig.now)
    rig.peer.expect("begin")
    rig.peer.send_raw(frame(performative("end", error=error("amqp:not-allowed", "one only")), channel=second.channel))
    assert rig.event(SessionEnded).session is second
    rig.peer.expect("end")
    assert rig.engine.sessions == (first,)
    rig.done()


def test_an_attach_in_the_role_of_a_link_that_was_answered_is_a_link_of_the_peers(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    ours = rig.sender(session=session, name="out")
    rig.peer.send("attach", name="out", handle=1, role=SENDER, source=codec.source(address="queue"))
    theirs = rig.event(LinkOpening).link
    assert isinstance(theirs, Receiver)
    assert not theirs.take_as_answer()
    assert session.links == (ours, theirs)
    rig.done()


def test_links_of_one_name_that_both_sides_attach_at_the_same_moment(rig: Rig) -> None:
    """The peer's may be taken for what it is, and the answer to ours is still to come."""
    rig.open()
    session = rig.begin()
    ours = attach(session, rig, SENDER)
    rig.peer.expect("attach")
    rig.peer.send("attach", name="link", handle=1, role=SENDER, source=codec.source(address="queue"))
    theirs = rig.event(LinkOpening).link
    theirs.accept(rig.now)
    assert rig.event(LinkOpened).link is theirs
    rig.peer.expect("attach", role=RECEIVER)
    send_raw(rig, "detach", handle=1, closed=True, error=REDIRECT)
    assert rig.event(LinkDetached).link is theirs
    rig.peer.expect("detach", handle=theirs.handle)
    rig.peer.send("attach", name="link", handle=0, role=RECEIVER, target=codec.target(address="queue"))
    assert rig.event(LinkOpened).link is ours
    rig.done()


def noted(rig: Rig, shown: list[str]) -> list[Any]:
    """The events, after their representation was noted."""
    events = rig.drop_events()
    shown += map(repr, events)
    return events


def test_what_the_peer_says_at_length_is_shown_in_short(rig: Rig) -> None:
    long = "0123456789" * 5000
    rig.serve(max_frame_size=1_000_000)
    shown = [repr(rig.engine)]
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id=long)
    rig.engine.open(rig.now)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send("begin")
    session = noted(rig, shown)[-1].session
    session.accept(rig.now)
    rig.peer.expect("begin")
    rig.peer.send("attach", name=long, handle=0, role=SENDER, source=codec.source(address="queue"))
    link = noted(rig, shown)[-1].link
    link.accept(rig.now)
    rig.peer.expect("attach")
    link.set_credit(1)
    rig.peer.expect("flow")
    rig.peer.send_delivery(MESSAGE)
    rig.peer.send("detach", handle=0, closed=True, error=error("x" * 1000, long, {"k": long}))
    rig.peer.expect("detach")
    rig.peer.send("close", error=error("amqp:internal-error", long, {"k": long}))
    rig.peer.expect("close")
    events = noted(rig, shown)
    causes = [event.cause for event in events if getattr(event, "cause", None) is not None]
    shown += [repr(cause) for cause in causes] + [cause.message for cause in causes]
    assert len(causes) == 3
    assert causes[-1].error.description == long
    assert causes[-1].message.startswith("the peer sent close: amqp:internal-error: 0123456789")
    assert max(map(len, shown)) < 1000
