"""The engine's connection against a peer with a codec of its own: headers, open, close, time, frames."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.peer.codec import Composite, Raw, encode, encode_composite, uint
from tests.peer.frames import EMPTY_FRAME, SASL_HEADER, TLS_HEADER, frame, performative
from tests.peer.script import ABSENT, ANY
from tests.support.peered import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectionOpening,
    LinkDetached,
    Rig,
    SessionEnded,
    error,
    symbols,
)
from uamqp.codec import ACCEPTED, Error, Symbol
from uamqp.engine import CauseKind, IncomingDelivery, Limits, LocalProtocolError

FRAMING = "amqp:connection:framing-error"


# ---------------------------------------------------------------- open


def test_open_says_what_was_configured(rig: Rig) -> None:
    came = rig.open(
        {"container_id": "broker", "max_frame_size": 4096, "properties": {"product": "p"}},
        hostname="vhost",
        max_frame_size=1000,
        channel_max=7,
        idle_timeout=2.5,
        properties={Symbol("product"): "me"},
        offered_capabilities=symbols("a", "b"),
        desired_capabilities=symbols("c"),
    )
    expected = {
        "container_id": "me",
        "hostname": "vhost",
        "max_frame_size": 1000,
        "channel_max": 7,
        "idle_time_out": 2500,
        "outgoing_locales": None,
        "incoming_locales": None,
        "offered_capabilities": ["a", "b"],
        "desired_capabilities": ["c"],
        "properties": {"product": "me"},
    }
    assert came.fields == expected
    remote = rig.engine.remote_open
    assert remote is not None
    assert (remote.container_id, remote.max_frame_size) == ("broker", 4096)
    assert remote.properties == {Symbol("product"): "p"}
    assert rig.engine.remote_max_frame_size == 4096
    rig.done()


def test_a_bare_open_of_the_peer_has_the_defaults(rig: Rig) -> None:
    came = rig.open()
    assert came["idle_time_out"] is None
    assert came["hostname"] is None
    remote = rig.engine.remote_open
    assert remote is not None
    assert (remote.max_frame_size, remote.channel_max, remote.idle_time_out) == (2**32 - 1, 65535, None)
    rig.wait(1e6)
    rig.done()


@pytest.mark.parametrize("variant", [{"padded": True}, {"symbolic": True}, {"wide": True}])
def test_the_peers_encodings_may_be_others(rig: Rig, variant: dict[str, Any]) -> None:
    rig.start()
    body = Composite("open", {"container_id": "peer", "channel_max": 5}, **variant)
    rig.peer.send_header("AMQP")
    rig.peer.send_raw(frame(encode_composite(body), doff=4, extended_header=b"extended"))
    rig.event(ConnectionOpened)
    assert rig.engine.remote_open is not None
    assert rig.engine.remote_open.channel_max == 5
    rig.peer.accept_open()


def test_a_server_answers(rig: Rig) -> None:
    rig.serve()
    rig.peer.send_header("AMQP")
    rig.peer.expect_header("AMQP")
    rig.peer.send("open", container_id="client", hostname="vhost")
    assert rig.event(ConnectionOpening).open.hostname == "vhost"
    rig.peer.expect_nothing()
    rig.engine.open(rig.now)
    assert rig.event(ConnectionOpened).open.container_id == "client"
    rig.peer.expect("open", container_id="me")
    rig.done()


def test_a_server_refuses(rig: Rig) -> None:
    rig.serve()
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="client")
    rig.event(ConnectionOpening)
    rig.engine.close(rig.now, Error(Symbol("amqp:connection:forced"), "go away"))
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.expect("close", error=error("amqp:connection:forced", "go away"))
    rig.peer.send("close")
    cause = rig.event(ConnectionClosed).cause
    assert cause is not None
    assert (cause.kind, cause.condition) == (CauseKind.LOCAL, "amqp:connection:forced")
    rig.done()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (SASL_HEADER, "SASL"),
        (TLS_HEADER, "TLS"),
        (b"AMQP\x00\x00\x09\x01", "another AMQP version"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x0a\x00", "TLS"),
        (b"SSH-2.0-OpenSSH", "SSH"),
        (b"\x00" * 8, "not an AMQP header"),
    ],
)
def test_another_protocol(rig: Rig, data: bytes, text: str) -> None:
    rig.start()
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send_raw(data)
    cause = rig.ends_with("amqp:not-implemented", CauseKind.PROTOCOL)
    assert text in cause.message


@pytest.mark.parametrize("data", [SASL_HEADER, TLS_HEADER, b"AMQP\x00\x01\x00\x01", b"GET / HTTP/1.1\r\n"])
def test_a_server_answers_another_protocol_with_its_own_header(rig: Rig, data: bytes) -> None:
    rig.serve()
    rig.peer.send_raw(data)
    rig.peer.expect_header("AMQP")
    rig.ends_with("amqp:not-implemented", CauseKind.PROTOCOL)


@pytest.mark.parametrize("size", [0, 1, 511])
def test_an_open_with_too_small_a_frame_size_counts_as_512(rig: Rig, size: int) -> None:
    rig.start()
    rig.peer.accept_open(max_frame_size=size)
    rig.event(ConnectionOpened)
    rig.peer.max_frame_size = 512
    assert rig.engine.remote_max_frame_size == 512
    link = rig.sender(credit=1)
    link.send(b"x" * 600)
    assert len(rig.peer.expect("transfer", more=True).raw) == 512
    rig.peer.expect("transfer")
    rig.done()


@pytest.mark.parametrize("size", [0, 511])
def test_the_reason_that_follows_an_open_with_too_small_a_frame_size(rig: Rig, size: int) -> None:
    """Broker-J refuses a connection so."""
    rig.start()
    rig.peer.accept_open(max_frame_size=size)
    rig.peer.send("close", error=error("amqp:not-found", "no such host"))
    rig.peer.max_frame_size = 512
    rig.event(ConnectionOpened)
    rig.peer.expect("close", error=ABSENT)
    assert "no such host" in rig.ends_with("amqp:not-found", CauseKind.PEER).message


BAD_OPENS = {
    "no container-id": {"container_id": None},
    "a list for a string": {"container_id": "peer", "hostname": Raw(b"\x45")},
    "properties that are no map": {"container_id": "peer", "properties": Raw(b"\x45")},
    "a channel-max beyond its type": {"container_id": "peer", "channel_max": Raw(b"\x70\x00\x01\x00\x00")},
    "a string that is no UTF-8": {"container_id": Raw(b"\xa1\x01\xff")},
}


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("fields", BAD_OPENS.values(), ids=BAD_OPENS)
def test_the_reason_that_follows_an_open_that_is_wrong(rig: Rig, fields: dict[str, Any], symbolic: bool) -> None:
    rig.start()
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send_header("AMQP")
    opened = Composite("open", fields)
    opened.symbolic = symbolic
    rig.peer.send_raw(frame(encode_composite(opened)))
    rig.peer.send_raw(frame(performative("close", error=error("amqp:unauthorized-access", "no entry"))))
    rig.peer.expect("close", error={"condition": "amqp:decode-error", "description": ANY})
    assert "no entry" in rig.ends_with("amqp:unauthorized-access", CauseKind.PEER).message


@pytest.mark.parametrize("end", ["close", "end of stream", "time", "another fault"])
def test_an_open_that_is_wrong_and_no_reason(rig: Rig, end: str) -> None:
    rig.start(close_timeout=3.0)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send_header("AMQP")
    rig.peer.send_raw(frame(performative("open")))
    rig.peer.expect("close", error={"condition": "amqp:decode-error", "description": ANY})
    rig.no_event()
    assert rig.engine.next_deadline() == rig.now + 3.0
    if end == "close":
        rig.peer.send_raw(frame(performative("close")))
    elif end == "end of stream":
        rig.engine.receive_data(b"", rig.now)
    elif end == "time":
        rig.wait(3.0)
    else:
        rig.peer.send_raw(frame(performative("open")))
    assert "container-id is mandatory" in rig.ends_with("amqp:decode-error", CauseKind.PROTOCOL).message


def test_a_close_with_a_reason_before_open(rig: Rig) -> None:
    rig.start()
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send_header("AMQP")
    rig.peer.send("close", error=error("amqp:resource-limit-exceeded", "too many"))
    rig.peer.expect("close", error=ABSENT)
    assert "too many" in rig.ends_with("amqp:resource-limit-exceeded", CauseKind.PEER).message


def test_a_second_open(rig: Rig) -> None:
    rig.open()
    rig.peer.send("open", container_id="again")
    rig.connection_fails("amqp:not-allowed")


@pytest.mark.parametrize("name", ["begin", "attach", "flow", "transfer", "disposition", "detach", "end", "close"])
def test_a_performative_before_open(rig: Rig, name: str) -> None:
    fields: dict[str, dict[str, Any]] = {
        "attach": {"name": "x", "handle": 0, "role": True},
        "transfer": {"handle": 0, "delivery_id": 0, "delivery_tag": b""},
        "disposition": {"role": True, "first": 0},
        "detach": {"handle": 0},
        "flow": {"next_incoming_id": 0, "incoming_window": 1, "next_outgoing_id": 0, "outgoing_window": 1},
    }
    rig.start()
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send_header("AMQP")
    rig.peer.send(name, **fields.get(name, {}))
    rig.connection_fails("amqp:not-allowed")


# ---------------------------------------------------------------- close


def test_our_close(rig: Rig) -> None:
    rig.open()
    rig.engine.close(rig.now)
    rig.peer.expect("close", error=ABSENT)
    rig.no_event()
    with rig.misuse("closed"):
        rig.engine.begin(rig.now)
    rig.engine.close(rig.now)  # again does nothing
    rig.peer.send("close")
    assert rig.event(ConnectionClosed).cause is None
    assert rig.engine.next_deadline() is None
    rig.done()


def test_our_close_with_an_error(rig: Rig) -> None:
    rig.open()
    given = Error(Symbol("amqp:internal-error"), "a slip", {Symbol("k"): "v"})
    rig.engine.close(rig.now, given)
    rig.peer.expect("close", error=error("amqp:internal-error", "a slip", {"k": "v"}))
    rig.peer.send("close")
    cause = rig.event(ConnectionClosed).cause
    assert cause is not None
    assert (cause.kind, cause.error) == (CauseKind.LOCAL, given)
    rig.done()


def test_the_peers_close_is_answered_and_everything_goes_with_it(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = rig.sender(credit=1, session=session)
    sent = link.send(b"x" * 10)
    rig.peer.expect("transfer")
    kept = link.send(b"y")
    info = {"hostname": "other.example", "network-host": "10.0.0.1", "port": uint(5672)}
    rig.peer.send("close", error=error("amqp:connection:redirect", "over there", info))
    rig.peer.expect("close", error=ABSENT)
    assert rig.event(type(sent)) is sent
    assert (sent.sent, sent.settled, sent.remote_state) == (True, True, None)
    assert rig.event(type(kept)) is kept
    assert (kept.sent, kept.settled) == (False, True)
    detached = rig.event(LinkDetached)
    ended = rig.event(SessionEnded)
    cause = rig.event(ConnectionClosed).cause
    assert cause is not None
    assert detached.cause == ended.cause == cause == rig.engine.cause
    assert (cause.kind, cause.condition) == (CauseKind.PEER, "amqp:connection:redirect")
    assert cause.error is not None
    assert cause.error.description == "over there"
    assert {str(key): value for key, value in (cause.error.info or {}).items()} == {
        "hostname": "other.example",
        "network-host": "10.0.0.1",
        "port": 5672,
    }
    rig.done()


def test_the_peers_close_without_an_error_is_a_cause_too(rig: Rig) -> None:
    rig.open()
    rig.peer.send("close")
    rig.peer.expect("close", error=ABSENT)
    rig.ends_with(None, CauseKind.PEER)


def test_closes_that_cross(rig: Rig) -> None:
    rig.open()
    rig.engine.close(rig.now)
    rig.peer.send("close", error=error("amqp:connection:forced"))
    rig.peer.expect("close")
    assert [type(event) for event in rig.drop_events()] == [ConnectionClosed]
    rig.done()


def test_frames_that_cross_our_close_are_no_fault(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    rig.receiver(credit=5, session=session)
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    rig.peer.send_delivery(b"late")
    rig.peer.send("flow", echo=True)
    rig.peer.send("attach", name="late", handle=9, role=True)
    rig.peer.send("begin", channel=4)
    rig.peer.send("attach", channel=4, name="late", handle=9, role=True)
    rig.peer.expect_nothing()
    rig.peer.send("close")
    rig.peer.expect_nothing()
    closed = rig.drop_events()[-1]
    assert type(closed) is ConnectionClosed
    assert closed.cause is None


def test_a_window_that_is_used_up_after_our_close_is_not_renewed(rig: Rig) -> None:
    rig.open()
    rig.receiver(credit=10, session=rig.begin({"incoming_window": 2}))
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    rig.peer.send_delivery(b"late")
    rig.peer.send_delivery(b"later")
    rig.peer.expect_nothing()


@pytest.mark.parametrize("how", ["detach", "end"])
def test_what_the_user_still_does_after_close_writes_nothing(rig: Rig, how: str) -> None:
    rig.open()
    session = rig.begin()
    sender = rig.sender(session=session, credit=5)
    receiver = rig.receiver(session=session, credit=1)
    rig.peer.send_delivery(b"early", handle=1)
    delivery = rig.event(IncomingDelivery)
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    with contextlib.suppress(LocalProtocolError):
        sender.send(b"late")
    with contextlib.suppress(LocalProtocolError):
        delivery.settle(ACCEPTED)
    with contextlib.suppress(LocalProtocolError):
        receiver.set_credit(7)
    with contextlib.suppress(LocalProtocolError):
        if how == "end":
            session.end(rig.now)
        else:
            receiver.detach(rig.now)
    rig.peer.expect_nothing()
    rig.peer.send("close")
    assert type(rig.drop_events()[-1]) is ConnectionClosed


def test_our_close_unanswered(rig: Rig) -> None:
    rig.open(close_timeout=3.0)
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    rig.wait(2.9)
    rig.no_event()
    rig.wait(0.2)
    cause = rig.event(ConnectionClosed).cause
    assert cause is not None
    assert cause.kind is CauseKind.TIMEOUT
    rig.done()


def test_the_stream_ends_instead_of_an_answer_to_our_close(rig: Rig) -> None:
    rig.open()
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    rig.peer.close_socket()
    assert rig.event(ConnectionClosed).cause is None
    rig.done()


@pytest.mark.parametrize("so_far", ["nothing", "header", "open"])
def test_the_stream_ends(rig: Rig, so_far: str) -> None:
    rig.start()
    if so_far != "nothing":
        rig.peer.send_header("AMQP")
    if so_far == "open":
        rig.peer.send("open", container_id="peer")
        rig.event(ConnectionOpened)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.close_socket()
    rig.ends_with(None, CauseKind.TRANSPORT)


def test_closing_before_anything(rig: Rig) -> None:
    rig.start(mechanisms=())
    rig.serve()
    rig.engine.close(rig.now)
    assert rig.event(ConnectionClosed).cause is None
    rig.done()


def test_closing_before_the_peers_open(rig: Rig) -> None:
    rig.start()
    rig.engine.close(rig.now)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.expect("close")
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="peer")
    rig.peer.send("close")
    assert rig.event(ConnectionClosed).cause is None
    rig.done()


def test_a_frame_after_the_peers_close_is_not_looked_at(rig: Rig) -> None:
    rig.open()
    rig.peer.send("close")
    rig.peer.send_raw(b"\x00" * 100)
    rig.peer.expect("close")
    rig.ends_with(None, CauseKind.PEER)


def test_abort(rig: Rig) -> None:
    rig.open()
    rig.sender(credit=1)
    rig.engine.abort(rig.now, "the cable was pulled")
    cause = rig.ends_with(None, CauseKind.TRANSPORT)
    assert cause.message == "the cable was pulled"


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("idle", "ratio", "each"), [(10_000, 0.5, 5.0), (1000, 0.5, 0.5), (10_000, 0.3, 3.0), (1, 0.5, 0.01)]
)
def test_heartbeats_keep_the_peer_content(rig: Rig, idle: int, ratio: float, each: float) -> None:
    rig.open({"idle_time_out": idle}, heartbeat_ratio=ratio)
    for _ in range(5):
        rig.wait(each * 0.98)
        rig.peer.expect_nothing()
        rig.wait(each * 0.02 + 1e-9)
        rig.peer.expect_empty_frame()
    rig.done()


def test_other_frames_are_heartbeats_too(rig: Rig) -> None:
    rig.open({"idle_time_out": 10_000})
    rig.wait(4.0)
    session = rig.engine.begin(rig.now)
    rig.peer.accept_begin()
    rig.wait(4.9)
    rig.peer.expect_nothing()
    rig.wait(0.2)
    rig.peer.expect_empty_frame()
    assert session is not None


@pytest.mark.parametrize("fields", [{}, {"idle_time_out": 0}])
def test_no_heartbeats_for_who_wants_none(rig: Rig, fields: dict[str, Any]) -> None:
    rig.open(fields)
    assert rig.engine.next_deadline() is None
    rig.wait(1e7)
    rig.done()


def test_heartbeats_end_with_our_close(rig: Rig) -> None:
    rig.open({"idle_time_out": 1000}, close_timeout=10.0)
    rig.engine.close(rig.now)
    rig.peer.expect("close")
    rig.wait(5.0)
    rig.done()


def test_silence_ends_the_connection(rig: Rig) -> None:
    rig.open(idle_timeout=2.5)
    rig.wait(4.9)
    rig.no_event()
    rig.peer.send_empty_frame()
    rig.wait(4.9)
    rig.no_event()
    rig.peer.send_raw(EMPTY_FRAME[:3])  # any byte counts
    rig.wait(4.9)
    rig.no_event()
    rig.wait(0.2)
    rig.connection_fails("amqp:resource-limit-exceeded", kind=CauseKind.TIMEOUT)


def test_silence_before_the_open(rig: Rig) -> None:
    rig.start(handshake_timeout=7.0)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.wait(6.9)
    rig.no_event()
    rig.wait(0.2)
    rig.ends_with("amqp:internal-error", CauseKind.TIMEOUT)


def test_silence_between_header_and_open(rig: Rig) -> None:
    rig.start(handshake_timeout=7.0)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.peer.send_header("AMQP")
    rig.wait(7.1)
    rig.connection_fails("amqp:internal-error", kind=CauseKind.TIMEOUT)


def test_a_server_gives_a_silent_client_up(rig: Rig) -> None:
    rig.serve(handshake_timeout=7.0)
    rig.wait(7.1)
    rig.ends_with("amqp:internal-error", CauseKind.TIMEOUT)


def test_a_deadline_that_comes_late_is_kept(rig: Rig) -> None:
    """A tick before the deadline does nothing; one long after it does it once."""
    rig.open({"idle_time_out": 10_000}, idle_timeout=60.0)
    deadline = rig.engine.next_deadline()
    assert deadline == rig.now + 5.0
    rig.engine.tick(deadline - 0.001)
    rig.peer.expect_nothing()
    rig.engine.tick(deadline + 20)
    rig.peer.expect_empty_frame()
    rig.peer.expect_nothing()
    assert rig.engine.next_deadline() == deadline + 25
    rig.done()


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (frame(size=0), FRAMING),
        (frame(size=7), FRAMING),
        (frame(doff=0), FRAMING),
        (frame(doff=1), FRAMING),
        (frame(doff=3), FRAMING),
        (frame(type_=1), FRAMING),
        (frame(performative("close"), type_=1), FRAMING),
        (frame(performative("close"), type_=2), FRAMING),
        (frame(b"\x40"), "amqp:decode-error"),
        (frame(b"\x00"), "amqp:decode-error"),
        (frame(b"\x00\x53\x10"), "amqp:decode-error"),
        (frame(b"\x00\x53\x10\x45"), "amqp:decode-error"),
        (frame(encode("text")), "amqp:decode-error"),
        (frame(b"\x00\x53\x99\x45"), "amqp:decode-error"),
        (frame(b"\x00\xa3\x05hello\x45"), "amqp:decode-error"),
        (frame(b"\x00\x53\x18\xc0\xff\x01\x40"), "amqp:decode-error"),
        (frame(b"\x00\x53\x18\xc1\x01\x00"), "amqp:decode-error"),
        (frame(performative("begin", next_outgoing_id=0, incoming_window=1)), "amqp:decode-error"),
        (frame(performative("close", error="text")), "amqp:decode-error"),
        (frame(performative("sasl_outcome", code=0)), "amqp:not-allowed"),
        (frame(performative("source")), "amqp:not-allowed"),
        (frame(performative("accepted")), "amqp:not-allowed"),
    ],
    ids=lambda item: item.hex() if isinstance(item, bytes) else item,
)
def test_malformed_frames_end_the_connection(rig: Rig, data: bytes, condition: str) -> None:
    rig.open()
    rig.begin()
    rig.peer.send_raw(data)
    rig.connection_fails(condition)


def test_deep_nesting_ends_the_connection(rig: Rig) -> None:
    inner = b"\x45"
    for _ in range(5000):
        inner = b"\xd0" + (len(inner) + 4).to_bytes(4, "big") + b"\x00\x00\x00\x01" + inner
    rig.open()
    rig.peer.send_raw(frame(performative("close", error=Raw(inner))))
    rig.connection_fails("amqp:decode-error")


def test_the_largest_frame_passes_and_the_next_does_not(rig: Rig) -> None:
    bare = len(frame(performative("close", error=error("c" * 300))))
    for size, passes in ((1000, True), (1001, False)):
        rig = Rig(rig.split)
        rig.open(max_frame_size=1000)
        data = frame(performative("close", error=error("c" * (300 + size - bare))))
        assert len(data) == size
        rig.peer.send_raw(data)
        if passes:
            rig.peer.expect("close")
            rig.drop_events()
        else:
            rig.connection_fails(FRAMING)


def test_a_frame_size_over_the_limit_fails_before_the_frame_has_come(rig: Rig) -> None:
    rig.open()
    rig.peer.send_raw(b"\xff\xff\xff\xff")
    rig.connection_fails(FRAMING)


def test_the_limit_of_frames_bounds_what_was_asked_for(rig: Rig) -> None:
    came = rig.open(max_frame_size=2**32 - 1, limits=Limits(frame_size=5000))
    assert came["max_frame_size"] == 5000
    rig.peer.send_raw((5001).to_bytes(4, "big"))
    rig.connection_fails(FRAMING)


def test_empty_frames_are_welcome_anywhere(rig: Rig) -> None:
    rig.start()
    rig.peer.send_header("AMQP")
    rig.peer.send_empty_frame()
    rig.peer.send("open", container_id="peer")
    rig.peer.send_raw(frame(channel=9))
    rig.event(ConnectionOpened)
    rig.peer.accept_open()


def test_our_first_fault_is_the_one_reported(rig: Rig) -> None:
    """The peer breaks the protocol twice in one read: one close, one event, the first cause."""
    rig.open()
    rig.peer.send_raw(frame(performative("open", container_id="again")) + frame(size=3) + b"\xff" * 20)
    rig.connection_fails("amqp:not-allowed")


def test_a_fault_of_the_peer_reports_everything_that_was_lost(rig: Rig) -> None:
    rig.open()
    session = rig.begin()
    link = rig.sender(credit=5, session=session)
    delivery = link.send(b"x")
    rig.peer.expect("transfer")
    rig.peer.send_raw(frame(size=3))
    rig.peer.expect("close", error={"condition": FRAMING, "description": ANY})
    events = rig.drop_events()
    assert [type(event) for event in events] == [type(delivery), LinkDetached, SessionEnded, ConnectionClosed]
    assert events[1].cause == events[2].cause == events[3].cause
    assert events[3].cause.condition == FRAMING


# ---------------------------------------------------------------- the peer's limits


def test_our_frames_keep_to_the_peers_limit_from_the_first_on(rig: Rig) -> None:
    """MemoryPeer fails on any frame over its max-frame-size; here it is the least there may be."""
    rig.open({"max_frame_size": 512})
    sender = rig.sender(credit=3)
    payload = bytes(range(256)) * 20
    sender.send(payload, tag=b"t" * 32)
    got = b""
    more = True
    while more:
        came = rig.peer.expect("transfer")
        got += came.payload
        more = came.get("more")
        assert len(came.raw) == 512 or not more
    assert got == payload
    rig.done()


def test_a_frame_that_the_peer_cannot_take_is_refused_to_the_caller(rig: Rig) -> None:
    rig.open({"max_frame_size": 512})
    with rig.misuse("frame of"):
        rig.engine.begin(rig.now, properties={Symbol("k"): "v" * 600})
    rig.done()
    session = rig.begin(None)
    assert session.channel == 0
    with rig.misuse("frame of"):
        session.end(rig.now, Error(Symbol("c"), "d" * 600))
    rig.done()
    with rig.misuse("frame of"):
        rig.engine.close(rig.now, Error(Symbol("c"), "d" * 600))
    rig.done()
    session.end(rig.now)
    rig.peer.accept_end()
    rig.engine.close(rig.now)
    rig.peer.expect("close", error=ABSENT)


def test_channel_max_of_the_peer_is_obeyed(rig: Rig) -> None:
    rig.open({"channel_max": 1})
    rig.begin()
    session = rig.begin()
    with rig.misuse("only 2 sessions"):
        rig.engine.begin(rig.now)
    rig.done()
    session.end(rig.now)
    rig.peer.accept_end()
    rig.drop_events()
    assert rig.begin().channel == 1


def test_misuse_is_refused_and_changes_nothing(rig: Rig) -> None:
    rig.open()
    with rig.misuse("opened already"):
        rig.engine.open(rig.now)
    rig.done()
    rig.serve()
    with rig.misuse("no open of the client"):
        rig.engine.open(rig.now)
    with rig.misuse("not open"):
        rig.engine.begin(rig.now)
    rig.done()
