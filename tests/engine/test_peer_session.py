"""The engine's sessions against a peer with a codec of its own: begin, end, channels, windows' bookkeeping."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import uint
from tests.peer.frames import frame, performative
from tests.peer.script import ABSENT, ANY, RECEIVER, SENDER
from tests.support.peered import (
    ConnectionClosed,
    ConnectionOpening,
    LinkDetached,
    LinkOpening,
    Rig,
    SessionEnded,
    SessionOpened,
    SessionOpening,
    error,
)
from uamqp.codec import Error, Source, Symbol, Target
from uamqp.engine import CauseKind, Limits, Sender

QUEUE = codec.source(address="queue")


def test_begin_says_what_it_was_given(rig: Rig) -> None:
    rig.open()
    session = rig.engine.begin(
        rig.now,
        incoming_window=7,
        outgoing_window=8,
        handle_max=9,
        initial_id=10,
        properties={Symbol("k"): "v"},
    )
    came = rig.peer.accept_begin(properties={"p": uint(1)}, handle_max=3)
    assert came.fields == {
        "remote_channel": None,
        "next_outgoing_id": 10,
        "incoming_window": 7,
        "outgoing_window": 8,
        "handle_max": 9,
        "offered_capabilities": None,
        "desired_capabilities": None,
        "properties": {"k": "v"},
    }
    assert rig.event(SessionOpened).session is session
    assert session.remote_properties == {Symbol("p"): 1}
    rig.done()


def test_the_peer_may_use_other_channels_than_ours(rig: Rig) -> None:
    rig.open()
    first = rig.begin(channel=9)
    second = rig.begin(channel=0)
    assert (first.channel, second.channel) == (0, 1)
    rig.peer.send("end", channel=9)
    rig.peer.expect("end", channel=0)
    assert rig.event(SessionEnded).session is first
    rig.peer.send("end", channel=0)
    rig.peer.expect("end", channel=1)
    assert rig.event(SessionEnded).session is second
    rig.done()


def test_our_end(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = rig.sender(session=session)
    session.end(rig.now)
    rig.peer.expect("end", error=ABSENT)
    detached = rig.event(LinkDetached)
    assert detached.link is link
    assert detached.cause is None
    rig.no_event()
    with rig.misuse("not open"):
        session.end(rig.now)
    rig.peer.send("end")
    ended = rig.event(SessionEnded)
    assert (ended.session, ended.cause) == (session, None)
    rig.done()


def test_our_end_with_an_error(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    session.end(rig.now, Error(Symbol("amqp:internal-error"), "a slip", {Symbol("k"): 1.5}))
    rig.peer.accept_end(error=error("amqp:internal-error", "a slip", {"k": 1.5}))
    rig.event(SessionEnded)
    rig.done()


def test_the_peers_end_with_an_error_reaches_the_links(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = rig.receiver(session=session)
    rig.peer.send("end", error=error("amqp:resource-limit-exceeded", "too much", {"k": uint(7)}))
    rig.peer.expect("end", error=ABSENT)
    detached = rig.event(LinkDetached)
    ended = rig.event(SessionEnded)
    assert detached.link is link
    assert detached.cause == ended.cause
    assert ended.cause is not None
    assert (ended.cause.kind, ended.cause.condition) == (CauseKind.PEER, "amqp:resource-limit-exceeded")
    assert ended.cause.error is not None
    assert ended.cause.error.info == {Symbol("k"): 7}
    rig.done()
    assert rig.begin().channel == 0


def test_ends_that_cross(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    session.end(rig.now)
    rig.peer.send("end", error=error("amqp:internal-error"))
    rig.peer.expect("end")
    rig.event(SessionEnded)
    rig.done()
    assert rig.begin().channel == 0


def test_a_channel_is_not_used_again_before_the_peers_end(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    session.end(rig.now)
    rig.peer.expect("end")
    assert rig.begin().channel == 1
    rig.peer.send("end", channel=0)
    rig.drop_events()
    assert rig.begin().channel == 0


def test_what_crosses_our_end_is_dropped(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=5, session=session)
    session.end(rig.now)
    rig.drop_events()
    rig.peer.expect("end")
    rig.peer.send_delivery(b"late")
    rig.peer.send("flow", echo=True)
    rig.peer.send("flow", handle=77)
    rig.peer.send("attach", name="late", handle=0, role=True)
    rig.peer.send("disposition", role=False, first=0)
    rig.peer.send("detach", handle=0)
    rig.peer.expect_nothing()
    rig.no_event()
    rig.peer.send("end")
    rig.event(SessionEnded)
    rig.done()


# ---------------------------------------------------------------- sessions that the peer begins


def test_a_session_of_the_peer(rig: Rig) -> None:
    rig.open()
    rig.peer.send("begin", channel=5, next_outgoing_id=3, properties={"k": "v"})
    session = rig.event(SessionOpening).session
    assert session.remote_properties == {Symbol("k"): "v"}
    rig.peer.expect_nothing()
    session.accept(rig.now, incoming_window=11, handle_max=12, initial_id=13)
    assert rig.event(SessionOpened).session is session
    rig.peer.expect("begin", channel=0, remote_channel=5, next_outgoing_id=13, incoming_window=11, handle_max=12)
    with rig.misuse("no begin"):
        session.accept(rig.now)
    rig.done()


def test_a_session_of_the_peer_is_refused(rig: Rig) -> None:
    rig.open()
    rig.peer.send("begin", channel=5)
    session = rig.event(SessionOpening).session
    session.refuse(rig.now, Error(Symbol("amqp:not-allowed"), "not here"))
    rig.peer.expect("begin", remote_channel=5)
    rig.peer.expect("end", error=error("amqp:not-allowed", "not here"))
    rig.drop_events()
    rig.peer.send("end", channel=5)
    assert rig.event(SessionEnded).session is session
    rig.done()


def test_a_refused_session_is_never_reported_open(rig: Rig) -> None:
    rig.open()
    rig.peer.send("begin")
    session = rig.event(SessionOpening).session
    session.refuse(rig.now, Error(Symbol("amqp:not-allowed"), "not here"))
    rig.no_event()


def test_begin_and_end_before_we_answered(rig: Rig) -> None:
    rig.open()
    rig.peer.send("begin", channel=3)
    rig.peer.send("end", channel=3)
    session = rig.event(SessionOpening).session
    session.accept(rig.now)
    rig.peer.expect("begin", channel=0, remote_channel=3)
    rig.peer.expect("end", channel=0)
    rig.event(SessionOpened)
    assert rig.event(SessionEnded).session is session
    with rig.misuse("no begin"):
        session.accept(rig.now)
    rig.done()


def serve_everything(rig: Rig) -> list[Any]:
    """As a server that lets everyone in: answers what asks for an answer, until nothing more comes."""
    seen: list[Any] = []
    while events := rig.drop_events():
        for event in events:
            seen.append(event)
            if rig.engine.is_closed:
                continue
            if type(event) is ConnectionOpening:
                rig.engine.open(rig.now)
            elif type(event) is SessionOpening:
                event.session.accept(rig.now)
            elif type(event) is LinkOpening and event.link.session.local_state == 1:
                if event.link.remote_state == 1:
                    event.link.accept(rig.now)
    return seen


def test_a_client_may_send_everything_at_once(rig: Rig) -> None:
    """Open, begin, attach and flow in one go, before anything was answered (section 2.4.4 allows pipelining)."""
    rig.serve()
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="client")
    rig.peer.send("begin")
    rig.peer.send("attach", name="l", handle=0, role=RECEIVER, source=QUEUE)
    rig.peer.send("flow", handle=0, delivery_count=ABSENT, link_credit=3)
    events = serve_everything(rig)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.expect("begin")
    rig.peer.expect("attach")
    links = [event.link for event in events if type(event) is LinkOpening]
    assert isinstance(links[0], Sender)
    assert links[0].credit == 3
    rig.done()


@pytest.mark.parametrize(
    "rest", [["detach"], ["detach", "end"], ["end"], ["detach", "end", "close"], ["end", "close"], ["close"]]
)
def test_a_client_may_end_everything_at_once_too(rig: Rig, rest: list[str]) -> None:
    rig.serve()
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="client")
    rig.peer.send("begin")
    rig.peer.send("attach", name="l", handle=0, role=SENDER, initial_delivery_count=0, source=QUEUE)
    for name in rest:
        fields: dict[str, Any] = {"handle": 0, "closed": True} if name == "detach" else {}
        rig.peer.send(name, **fields)
    serve_everything(rig)
    names = []
    rig.peer.expect_header("AMQP")
    while (came := rig.peer._next(0.0, "anything")) is not None:
        names.append(came.name)
        if came.name in ("detach", "end", "close"):
            assert came["error"] is None
    assert names[:2] == ["open", "begin"]
    assert names[-len(rest) :] == rest


@pytest.mark.parametrize("broken", ["begin twice", "attach twice", "flow"])
def test_a_fault_before_we_opened_is_answered_in_order(rig: Rig, broken: str) -> None:
    rig.serve()
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="client")
    rig.peer.send("begin")
    if broken == "begin twice":
        rig.peer.send("begin")
    elif broken == "attach twice":
        rig.peer.send("attach", name="a", handle=0, role=RECEIVER)
        rig.peer.send("attach", name="b", handle=0, role=RECEIVER)
    else:
        rig.peer.send("flow", handle=6)
    serve_everything(rig)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.expect("begin")
    if broken == "begin twice":
        rig.peer.expect("close", error={"condition": "amqp:not-allowed", "description": ANY})
    else:
        rig.peer.expect("end", error={"condition": ANY, "description": ANY})
    rig.peer.finish()


def test_what_comes_ahead_of_our_answer_is_bounded(rig: Rig) -> None:
    """Until we answer, the peer's frames wait; as many bytes as one frame may have, and no more."""
    for extra, passes in ((0, True), (1, False)):
        rig = Rig(rig.split)
        rig.serve(limits=Limits(frame_size=1000, sasl_frame_size=512))
        rig.peer.send_header("AMQP")
        rig.peer.send("open", container_id="client")
        rig.event(ConnectionOpening)
        for _ in range(188):
            rig.peer.send_empty_frame()
        rig.peer.send_raw(b"\0" * (8 + extra))
        if passes:
            rig.no_event()
            rig.engine.open(rig.now)
            rig.drop_events()
        else:
            cause = rig.drop_events()[-1].cause
            assert (cause.kind, cause.condition) == (CauseKind.PROTOCOL, "amqp:resource-limit-exceeded")


# ---------------------------------------------------------------- violations


def test_begin_on_a_channel_in_use(rig: Rig) -> None:
    rig.open()
    rig.begin()
    rig.peer.send("begin")
    rig.connection_fails("amqp:not-allowed")


def test_begin_on_a_channel_whose_end_is_pending(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    session.end(rig.now)
    rig.peer.expect("end")
    rig.peer.send("begin")
    rig.connection_fails("amqp:not-allowed")


def test_begin_that_answers_nothing(rig: Rig) -> None:
    rig.open()
    rig.peer.send("begin", remote_channel=7)
    rig.connection_fails("amqp:not-allowed")


def test_begin_that_answers_twice(rig: Rig) -> None:
    rig.open()
    rig.begin()
    rig.peer.send("begin", channel=1, remote_channel=0)
    rig.connection_fails("amqp:not-allowed")


def test_begin_above_our_channel_max(rig: Rig) -> None:
    for channel, passes in ((3, True), (4, False)):
        rig = Rig(rig.split)
        rig.open(channel_max=3)
        rig.peer.send("begin", channel=channel)
        if passes:
            rig.event(SessionOpening)
        else:
            rig.connection_fails("amqp:connection:framing-error")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("attach", {"name": "x", "handle": 0, "role": True}),
        ("flow", {"next_incoming_id": 0, "incoming_window": 1, "next_outgoing_id": 0, "outgoing_window": 1}),
        ("transfer", {"handle": 0, "delivery_id": 0, "delivery_tag": b""}),
        ("disposition", {"role": True, "first": 0}),
        ("detach", {"handle": 0}),
        ("end", {}),
    ],
)
def test_a_frame_on_a_channel_without_a_session(rig: Rig, name: str, fields: dict[str, Any]) -> None:
    rig.open()
    rig.begin()
    rig.peer.send(name, channel=1, **fields)
    rig.connection_fails("amqp:not-allowed")


def test_a_frame_after_the_peers_end(rig: Rig) -> None:
    rig.open()
    rig.begin()
    rig.peer.send("end")
    rig.peer.expect("end")
    rig.event(SessionEnded)
    rig.peer.send("flow")
    rig.connection_fails("amqp:not-allowed")


@pytest.mark.parametrize("name", ["flow", "detach", "transfer"])
def test_a_handle_that_is_not_attached(rig: Rig, name: str) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(session=session)
    fields: dict[str, Any] = {"delivery_id": 0, "delivery_tag": b"t"} if name == "transfer" else {}
    rig.peer.send(name, handle=1, **fields)
    rig.session_fails(session, "amqp:session:unattached-handle")


def test_a_session_that_failed_does_not_take_the_others_along(rig: Rig) -> None:
    rig.open()
    first, second = rig.begin(), rig.begin()
    link = rig.receiver(session=second, credit=1)
    rig.peer.send("flow", channel=0, handle=9)
    rig.session_fails(first, "amqp:session:unattached-handle")
    rig.peer.send_delivery(b"x", channel=1)
    assert rig.drop_events()[0].link is link


def test_what_comes_after_a_fault_in_the_same_read_is_dropped(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(session=session, credit=3)
    flow = performative("flow", next_incoming_id=0, incoming_window=1, next_outgoing_id=0, outgoing_window=1, handle=8)
    transfer = performative("transfer", handle=0, delivery_id=0, delivery_tag=b"t")
    rig.peer.send_raw(frame(flow) + frame(transfer, b"x") + frame(flow))
    rig.session_fails(session, "amqp:session:unattached-handle")


def test_a_fault_whose_end_is_never_answered(rig: Rig) -> None:
    rig.open(link_timeout=4.0)
    session = rig.begin()
    rig.receiver(session=session)
    rig.peer.send("flow", handle=9)
    rig.peer.expect("end")
    rig.drop_events()
    rig.wait(4.1)
    ended = rig.event(SessionEnded)
    assert ended.cause is not None
    assert (ended.cause.kind, ended.cause.condition) == (CauseKind.PROTOCOL, "amqp:session:unattached-handle")
    rig.done()


def test_sessions_are_bounded(rig: Rig) -> None:
    rig.open(limits=Limits(sessions=3))
    for channel in range(3):
        rig.begun(channel=channel)
    with rig.misuse("3 sessions"):
        rig.engine.begin(rig.now)
    rig.peer.send("begin", channel=3)
    rig.connection_fails("amqp:resource-limit-exceeded")


def test_a_session_that_the_peers_channel_max_leaves_no_channel_for(rig: Rig) -> None:
    """The peer begins more sessions than it lets us answer: its fault, and no exception of ours."""
    rig.open({"channel_max": 0})
    rig.begun(channel=0)
    rig.peer.send("begin", channel=1)
    rig.peer.send("end", channel=1)
    assert rig.engine.is_closed
    assert type(rig.drop_events()[-1]) is ConnectionClosed


# ---------------------------------------------------------------- time, and late answers


def test_our_begin_unanswered(rig: Rig) -> None:
    rig.open(link_timeout=4.0)
    session = rig.engine.begin(rig.now)
    rig.peer.expect("begin")
    rig.wait(3.9)
    rig.no_event()
    rig.wait(0.2)
    ended = rig.event(SessionEnded)
    assert ended.session is session
    assert ended.cause is not None
    assert ended.cause.kind is CauseKind.TIMEOUT
    rig.peer.expect("end", error=ANY)
    rig.done()
    # The answer comes late: no fault, no event.
    rig.peer.send("begin", channel=3, remote_channel=0)
    rig.peer.send("flow", channel=3, echo=True)
    rig.peer.send("end", channel=3)
    rig.done()
    assert rig.begin().channel == 0


def test_a_begin_that_we_gave_up_on_is_refused_late(rig: Rig) -> None:
    rig.open()
    session = rig.engine.begin(rig.now)
    session.end(rig.now)
    rig.peer.expect("begin")
    rig.peer.expect("end")
    rig.peer.send("begin", channel=3, remote_channel=0)
    rig.peer.send("end", channel=3, error=error("amqp:not-allowed"))
    assert [type(event) for event in rig.drop_events()] == [SessionEnded]
    rig.done()


def test_our_end_unanswered(rig: Rig) -> None:
    rig.open(link_timeout=4.0)
    session = rig.begin()
    session.end(rig.now)
    rig.peer.expect("end")
    rig.wait(3.9)
    rig.no_event()
    rig.wait(0.2)
    ended = rig.event(SessionEnded)
    assert ended.cause is not None
    assert ended.cause.kind is CauseKind.TIMEOUT
    rig.peer.send("end")
    rig.done()
    assert rig.begin().channel == 0


def test_the_connection_goes_while_a_session_is_awaited(rig: Rig) -> None:
    rig.open()
    session = rig.engine.begin(rig.now)
    rig.peer.expect("begin")
    rig.peer.close_socket()
    assert rig.event(SessionEnded).session is session
    assert rig.event(ConnectionClosed).cause is not None


# ---------------------------------------------------------------- session flow


def test_a_session_flow_with_echo_is_answered(rig: Rig) -> None:
    rig.open()
    rig.begin({"incoming_window": 5, "outgoing_window": 6, "initial_id": 8}, next_outgoing_id=20)
    rig.peer.send("flow", echo=True)
    rig.peer.expect(
        "flow",
        next_incoming_id=20,
        incoming_window=5,
        next_outgoing_id=8,
        outgoing_window=6,
        handle=ABSENT,
        echo=False,
    )
    rig.done()


def test_a_session_flow_without_echo_is_not(rig: Rig) -> None:
    rig.open()
    rig.begin()
    rig.peer.send("flow")
    rig.done()


def test_misuse_of_sessions_is_refused_and_changes_nothing(rig: Rig) -> None:
    rig.open()
    for window in (0, -1, 2**32):
        with rig.misuse("incoming_window"):
            rig.engine.begin(rig.now, incoming_window=window)
    with rig.misuse("handle_max"):
        rig.engine.begin(rig.now, handle_max=2**32)
    session = rig.engine.begin(rig.now)
    rig.peer.expect("begin", channel=0)
    rig.peer.send("begin", channel=0, remote_channel=0)
    rig.event(SessionOpened)
    rig.peer.send("end")
    rig.peer.expect("end")
    rig.drop_events()
    with rig.misuse("not open"):
        session.attach_sender(rig.now, "x", source=Source(), target=Target())
    rig.done()


def test_the_events_of_several_sessions_come_in_order() -> None:
    for _ in range(5):
        rig = Rig()
        rig.open()
        sessions = [rig.begin() for _ in range(20)]
        rig.peer.send("close")
        events = rig.drop_events()
        assert [event.session for event in events[:-1]] == sessions
