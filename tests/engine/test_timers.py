"""Heartbeats and time-outs, with a clock that the test moves; and that a transport which sleeps never spins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer.frames import AMQP_HEADER, frame, performative
from tests.support.pair import START, Pair, Side
from uamqp.codec import Error, Source, Symbol, Target
from uamqp.engine import CauseKind, Engine, EngineConfig, IncomingDelivery, LocalProtocolError, Role, sasl
from uamqp.engine.events import (
    ConnectionClosed,
    LinkDetached,
    LinkOpened,
    LinkOpening,
    SessionEnded,
    SessionOpened,
    SessionOpening,
)

TERMINI: dict[str, Any] = {"source": Source("here"), "target": Target("there")}


def heartbeats(side: Side) -> int:
    return len(side.sent("empty"))


def deaf(pair: Pair, side: Side, seconds: float) -> None:
    """Time goes by for one side, while nothing of the other arrives."""
    end = pair.now + seconds
    while (due := side.engine.next_deadline()) is not None and due <= end:
        pair.now = max(pair.now, due)
        pair.tick(side)
    pair.now = end


# -- heartbeats


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, 4), (0.25, 8), (0.9, 2)])
def test_heartbeats_go_out_at_the_ratio_of_the_peers_time_out(ratio: float, expected: int) -> None:
    pair = Pair({"heartbeat_ratio": ratio}, {"idle_timeout": 10.0}).open()
    assert pair.client.engine.next_deadline() == START + 10 * ratio
    pair.wait(20.0)
    assert heartbeats(pair.client) == expected
    assert heartbeats(pair.server) == 0
    pair.close()


def test_both_sides_keep_each_other_alive() -> None:
    pair = Pair({"idle_timeout": 3.0}, {"idle_timeout": 7.0}).open()
    pair.wait(1000.0)
    assert heartbeats(pair.server) == 1000 // 1.5
    assert heartbeats(pair.client) == 1000 // 3.5
    pair.close()


def test_any_frame_stands_for_a_heartbeat() -> None:
    pair = Pair({}, {"idle_timeout": 10.0})
    sender, receiver = pair.both()
    receiver.auto_credit(100)
    pair.pump()
    for _ in range(10):
        pair.wait(4.0)
        pair.tick(pair.client)  # tells the time
        sender.send(b"message")
        pair.pump()
    assert heartbeats(pair.client) == 0
    assert len(pair.server.all(IncomingDelivery)) == 10
    pair.wait(5.0)
    assert heartbeats(pair.client) == 1


def test_no_heartbeat_without_a_time_out_of_the_peer() -> None:
    pair = Pair({"idle_timeout": 5.0}).open()
    assert pair.server.sent("open")[0]["idle_time_out"] is None
    deaf(pair, pair.client, 4.9)
    assert heartbeats(pair.client) == 0


def test_no_heartbeat_behind_a_close() -> None:
    pair = Pair({"close_timeout": 60.0}, {"idle_timeout": 10.0}).open()
    pair.client.engine.close(pair.now)
    deaf(pair, pair.client, 59.0)
    assert heartbeats(pair.client) == 0
    pair.pump()
    pair.check()


def test_output_that_waits_is_sign_of_life_enough() -> None:
    """A transport that can't write doesn't fetch the output: it isn't woken up for heartbeats meanwhile."""
    pair = Pair({}, {"idle_timeout": 10.0}).open()
    engine = pair.client.engine
    engine.begin(pair.now)
    assert engine.next_deadline() == pair.now + engine.config.link_timeout
    engine.tick(pair.now + 20)
    pair.now += 20
    pair.write(pair.client)
    assert heartbeats(pair.client) == 0
    assert engine.next_deadline() == pair.now + 5


@pytest.mark.parametrize("milliseconds", [1, 500, 1001, 1009, 60_000, 4294967295])
def test_the_time_out_is_announced_as_it_was_given(milliseconds: int) -> None:
    """A number of milliseconds that is given in seconds comes out as that number, not as the one below it."""
    pair = Pair({"idle_timeout": milliseconds / 1000}).open()
    assert pair.client.sent("open")[0]["idle_time_out"] == milliseconds


def test_a_time_out_of_zero_means_none() -> None:
    """open.idle-time-out: 0 is as good as absent, by what brokers do; it mustn't make heartbeats without end."""
    engine = Engine(EngineConfig("me"), START)
    engine.open(START)
    engine.data_to_send()
    opening = frame(performative("open", container_id="peer", idle_time_out=0))
    engine.receive_data(AMQP_HEADER + opening, START)
    assert engine.remote_open is not None, engine.cause
    assert engine.remote_open.idle_time_out == 0
    assert engine.next_deadline() is None


# -- silence


def test_silence_ends_the_connection() -> None:
    """Not when the time that the peer was told is over, but after twice that (section 2.4.5)."""
    pair = Pair({"idle_timeout": 10.0}).open()
    assert pair.client.sent("open")[0]["idle_time_out"] == 10_000
    deaf(pair, pair.client, 19.9)
    assert not pair.client.engine.is_closed
    deaf(pair, pair.client, 0.2)
    cause = pair.ended(pair.client).cause
    assert cause is not None
    assert (cause.kind, str(cause.condition)) == (CauseKind.TIMEOUT, "amqp:resource-limit-exceeded")
    assert "20 seconds, twice the idle time-out" in cause.message
    (close,) = pair.client.sent("close")
    assert close["error"]["condition"] == "amqp:resource-limit-exceeded"
    pair.pump()
    peers = pair.ended(pair.server).cause
    assert peers is not None
    assert (peers.kind, peers.condition) == (CauseKind.PEER, "amqp:resource-limit-exceeded")
    pair.check()


@pytest.mark.parametrize("late", [0.0, 0.001, 5.0, 9.9])
def test_a_peer_that_keeps_to_the_time_out_is_not_cut_off(late: float) -> None:
    """It sends when the time is over that it was told, and what it sends takes its time."""
    pair = Pair({"idle_timeout": 10.0}).open()
    for _ in range(5):
        deaf(pair, pair.client, 10.0 + late)
        pair.client.engine.receive_data(b"\x00\x00\x00\x08\x02\x00\x00\x00", pair.now)
    assert not pair.client.engine.is_closed


def test_a_byte_is_no_silence() -> None:
    pair = Pair({"idle_timeout": 5.0}).open()
    frame = b"\x00\x00\x00\x08\x02\x00\x00\x00"
    for byte in frame * 2:
        deaf(pair, pair.client, 9.0)
        pair.client.engine.receive_data(bytes([byte]), pair.now)
    assert not pair.client.engine.is_closed


@pytest.mark.parametrize("idle", [2.0, 5.0, 9.0])
def test_silence_after_our_close_is_the_close_time_outs_business(idle: float) -> None:
    pair = Pair({"idle_timeout": idle, "close_timeout": 5.0}).open()
    pair.client.engine.close(pair.now)
    assert pair.client.engine.next_deadline() == START + 5
    deaf(pair, pair.client, 5.0)
    pair.ended(pair.client)


# -- the connection's own time-outs


@pytest.mark.parametrize(
    ("config", "hears", "waits_for"),
    [
        ({}, 0, "no AMQP header"),
        ({}, 8, "no open"),
        ({"mechanisms": [sasl.Anonymous()]}, 0, "no SASL header"),
        ({"mechanisms": [sasl.Anonymous()]}, 8, "the SASL exchange wasn't finished"),
    ],
)
def test_a_peer_that_does_not_open(config: dict[str, Any], hears: int, waits_for: str) -> None:
    server = {"server_mechanisms": ("ANONYMOUS",)} if config else {}
    pair = Pair({"handshake_timeout": 20.0, **config}, server)
    pair.client.engine.open(pair.now)
    pair.write(pair.client)
    pair.read(pair.server)
    pair.write(pair.server)
    pair.read(pair.client, hears)
    assert pair.client.engine.next_deadline() == START + 20
    deaf(pair, pair.client, 19.9)
    assert not pair.client.engine.is_closed
    deaf(pair, pair.client, 0.1)
    cause = pair.ended(pair.client).cause
    assert cause is not None
    assert cause.kind is CauseKind.TIMEOUT
    assert waits_for in cause.message
    assert "20 seconds" in cause.message


@pytest.mark.parametrize(
    ("came", "tls_port", "tls"),
    [
        (b"", False, False),
        (b"", True, True),
        (b"AMQP", True, False),
        (b"\x15\x03\x01\x00\x02\x02\x46", False, True),  # an alert
        (b"\x16\x03\x03\x00\x7a\x02\x00", False, True),  # a handshake
        (b"\x15", False, False),
        (b"\x15 bottles", False, False),
        (b"220 mail", False, False),
    ],
)
@pytest.mark.parametrize("ends", [False, True], ids=["silent", "ends"])
def test_tls_is_blamed_for_what_speaks_for_it(came: bytes, tls_port: bool, tls: bool, ends: bool) -> None:
    """For a TLS record, or silence at a port for TLS; not for silence alone, which may have any reason."""
    config = EngineConfig("me", mechanisms=[sasl.Anonymous()], handshake_timeout=20.0, tls_port=tls_port)
    engine = Engine(config, START)
    engine.open(START)
    if came:
        engine.receive_data(came, START)
    if ends:
        engine.receive_data(b"", START)
    else:
        engine.tick(START + 20)
    assert engine.cause is not None
    assert ("TLS" in engine.cause.message) is tls


def test_a_client_that_says_nothing_to_a_server() -> None:
    engine = Engine(EngineConfig("me", role=Role.SERVER, handshake_timeout=7.0), START)
    assert engine.next_deadline() == START + 7
    engine.tick(START + 7)
    (closed,) = engine.events()
    assert type(closed) is ConnectionClosed
    assert engine.data_to_send() == []


def test_the_handshakes_time_is_over_with_the_peers_open() -> None:
    pair = Pair({"handshake_timeout": 20.0}, {"handshake_timeout": 20.0}).open()
    assert [side.engine.next_deadline() for side in pair.sides] == [None, None]


@pytest.mark.parametrize("error", [None, Error(Symbol("test:error"), "because")])
def test_a_close_that_is_not_answered(error: Error | None) -> None:
    pair = Pair({"close_timeout": 3.0}).open()
    pair.begin()
    pair.client.engine.close(pair.now, error)
    deaf(pair, pair.client, 2.9)
    assert not pair.client.engine.is_closed
    deaf(pair, pair.client, 0.1)
    cause = pair.ended(pair.client).cause
    assert cause is not None
    assert cause.kind is (CauseKind.TIMEOUT if error is None else CauseKind.LOCAL)
    pair.pump()
    pair.ended(pair.server)


def test_the_time_of_a_link_runs_out_behind_a_close() -> None:
    """A tick between the two deadlines says nothing more to the peer."""
    pair = Pair({"link_timeout": 3.0, "close_timeout": 5.0})
    sender, _ = pair.both()
    engine = pair.client.engine
    waiting = engine.begin(pair.now)
    attaching = sender.session.attach_sender(pair.now, "waits", **TERMINI)
    sender.detach(pair.now)
    engine.close(pair.now)
    engine.tick(pair.now + 4.0)
    pair.now += 4.0
    pair.pump()
    pair.ended(pair.client)
    assert {event.link for event in pair.client.all(LinkDetached)} == {sender, attaching}
    assert waiting in [event.session for event in pair.client.all(SessionEnded)]
    pair.check()


# -- begin, attach, detach and end without an answer, and when it comes late


def test_a_begin_that_is_not_answered() -> None:
    pair = Pair({"link_timeout": 8.0}).open()
    session = pair.client.engine.begin(pair.now)
    deaf(pair, pair.client, 7.9)
    assert pair.client.drop() == []
    deaf(pair, pair.client, 0.1)
    (ended,) = pair.client.drop()
    assert type(ended) is SessionEnded
    assert ended.session is session
    assert ended.cause is not None
    assert ended.cause.kind is CauseKind.TIMEOUT
    assert "begin" in ended.cause.message
    pair.pump()  # the late answer, and the server's answer to our end
    assert pair.client.drop() == []
    assert [type(event) for event in pair.server.drop()] == [SessionOpening, SessionOpened, SessionEnded]
    assert pair.client.engine.sessions == pair.server.engine.sessions == ()
    pair.begin()
    pair.close()


def test_an_attach_that_is_not_answered() -> None:
    pair = Pair({"link_timeout": 8.0}).open()
    session, _ = pair.begin()
    link = session.attach_receiver(pair.now, "late", **TERMINI)
    link.set_credit(5)
    deaf(pair, pair.client, 8.0)
    (detached,) = pair.client.drop()
    assert type(detached) is LinkDetached
    assert detached.link is link
    assert detached.cause is not None
    assert detached.cause.kind is CauseKind.TIMEOUT
    assert "attach" in detached.cause.message
    pair.pump()
    assert pair.client.drop() == []
    assert [type(event) for event in pair.server.drop()] == [LinkOpening, LinkDetached]
    assert session.links == ()
    again, _ = pair.link(session, "late")  # the name is free again
    assert again.is_open
    pair.close()


def test_a_late_attach_with_a_delivery_behind_it() -> None:
    pair = Pair({"link_timeout": 8.0}).open()
    session, _ = pair.begin()
    link = session.attach_receiver(pair.now, "late", **TERMINI)
    link.set_credit(5)
    pair.write(pair.client)
    pair.read(pair.server)
    pair.handle(pair.server)
    theirs: Any = pair.server.last(LinkOpened).link
    delivery = theirs.send(b"late as well")
    pair.write(pair.server)
    deaf(pair, pair.client, 8.0)
    pair.pump()
    assert [type(event) for event in pair.client.drop()] == [LinkDetached]
    assert delivery.lost
    assert session.links == ()
    pair.close()


@pytest.mark.parametrize("what", ["detach", "end"])
def test_a_detach_or_end_that_is_not_answered(what: str) -> None:
    pair = Pair({"link_timeout": 8.0})
    sender, receiver = pair.both()
    session = sender.session
    if what == "detach":
        sender.detach(pair.now)
    else:
        session.end(pair.now)
    deaf(pair, pair.client, 8.0)
    events = pair.client.drop()
    assert [type(event) for event in events] == ([LinkDetached] if what == "detach" else [LinkDetached, SessionEnded])
    assert events[-1].cause is not None
    assert events[-1].cause.kind is CauseKind.TIMEOUT
    assert f"the {what} of" in events[-1].cause.message
    pair.pump()
    assert pair.client.drop() == []
    assert session.links == ()
    assert len(pair.client.engine.sessions) == (what == "detach")
    assert receiver.session.links == ()
    pair.close()


def test_an_answer_in_time_stops_the_clock() -> None:
    pair = Pair({"link_timeout": 8.0}).open()
    session, _ = pair.begin()
    sender, _ = pair.link(session)
    sender.detach(pair.now)
    pair.pump()
    session.end(pair.now)
    pair.pump()
    assert pair.client.engine.next_deadline() is None


def test_the_oldest_question_has_the_next_deadline() -> None:
    pair = Pair({"link_timeout": 8.0}).open()
    engine = pair.client.engine
    engine.begin(pair.now)
    pair.now += 1
    engine.begin(pair.now)
    assert engine.next_deadline() == START + 8
    pair.now = START + 8
    pair.tick(pair.client)
    assert engine.next_deadline() == START + 9


def test_many_time_outs_at_once() -> None:
    pair = Pair({"link_timeout": 8.0}).open()
    sessions = [pair.client.engine.begin(pair.now) for _ in range(20)]
    pair.now += 100
    pair.tick(pair.client)
    assert [event.session for event in pair.client.drop()] == sessions
    assert pair.client.engine.next_deadline() is None


# -- time itself


@given(
    idle=st.sampled_from([None, 0.001, 0.7, 10.0]),
    peers_idle=st.sampled_from([None, 0.001, 0.3, 8.0]),
    ratio=st.sampled_from([0.1, 0.5, 1 / 3, 0.999]),
    start=st.sampled_from([0.0, 1e-9, 12345.678, 1e9, 4e9]),
    link_timeout=st.sampled_from([0.0, 0.1, 5.0]),
    fetch=st.booleans(),
    closing=st.booleans(),
)
def test_a_tick_at_its_deadline_makes_progress(
    idle: float | None,
    peers_idle: float | None,
    ratio: float,
    start: float,
    link_timeout: float,
    fetch: bool,
    closing: bool,
) -> None:
    """After a tick at the deadline there is none, or a later one: whatever the configuration and the clock."""
    pair = Pair(
        {"idle_timeout": idle, "heartbeat_ratio": ratio, "link_timeout": link_timeout, "handshake_timeout": 1.0},
        {"idle_timeout": peers_idle},
    )
    pair.now = start
    for side in pair.sides:
        side.engine = Engine(side.engine.config, start)
    pair.open()
    engine = pair.client.engine
    for _ in range(2):
        engine.begin(pair.now)
    if closing:
        engine.close(pair.now)
    for _ in range(50):
        due = engine.next_deadline()
        if due is None:
            break
        assert due >= pair.now
        pair.now = due
        engine.tick(due)
        if fetch:
            engine.data_to_send()
        following = engine.next_deadline()
        assert following is None or following > due, (due, following)
        engine.events()


def test_ticks_too_early_or_too_often_do_nothing() -> None:
    pair = Pair({"idle_timeout": 30.0}, {"idle_timeout": 10.0})
    pair.both()
    for _ in range(100):
        pair.client.engine.tick(pair.now)
    assert pair.client.engine.data_to_send() == []
    assert pair.client.drop() == []


def test_ticks_after_the_end_do_nothing() -> None:
    pair = Pair({}, {"idle_timeout": 10.0}).open()
    pair.close()
    for side in pair.sides:
        side.drop()
        side.engine.tick(pair.now + 1e6)
        assert side.engine.data_to_send() == []
        assert side.drop() == []


@pytest.mark.parametrize("name", ["handshake_timeout", "link_timeout", "close_timeout"])
def test_a_time_out_may_be_endless_but_not_negative(name: str) -> None:
    pair = Pair({name: float("inf")}).open()
    pair.client.engine.begin(pair.now)
    pair.client.engine.close(pair.now)
    pair.client.engine.tick(pair.now + 1e12)
    for value in (-0.1, float("nan")):
        with pytest.raises(LocalProtocolError, match=name):
            Pair({name: value})
