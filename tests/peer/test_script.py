"""Tests of scripts in memory: a checker with a hole is worse than none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import (
    Described,
    sym,
)
from tests.peer.frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_HEADER,
    frame,
    performative,
)
from tests.peer.script import ABSENT, ANY, RECEIVER, SENDER, MemoryPeer, matches

from .helpers import (
    BEGIN,
    OPEN,
    attach_frame,
    failing,
    opened,
    transfer_frame,
    with_session,
    with_their_receiver,
)


def test_a_whole_conversation_in_memory_byte_by_byte() -> None:
    def script(peer: MemoryPeer, feed: Callable[[bytes], None]) -> bytes:
        feed(SASL_HEADER)
        feed(frame(performative("sasl_init", mechanism="PLAIN", initial_response=b"\0u\0p"), type_=1))
        peer.accept_sasl(["PLAIN"], expect_mechanism="PLAIN", expect_response=b"\0u\0p")
        feed(AMQP_HEADER + OPEN)
        assert peer.accept_open({"container_id": "me", "hostname": ABSENT}, idle_time_out=1)["container_id"] == "me"
        feed(BEGIN)
        peer.accept_begin({"incoming_window": 10})
        feed(attach_frame(SENDER, target=codec.target(address="q")))
        came = peer.accept_attach(SENDER, {"target": {"address": "q"}, "source": ABSENT})
        assert came["target"]["address"] == "q"
        peer.grant(1)
        feed(transfer_frame(0, b"one", more=True) + transfer_frame(0, b"two"))
        peer.expect("transfer", payload=b"one", more=True)
        peer.expect("transfer", payload=b"two", more=False, delivery_id=0, delivery_tag=b"0")
        peer.expect_nothing()
        feed(EMPTY_FRAME)
        peer.expect_empty_frame()
        feed(frame(performative("detach", handle=0, closed=True)))
        peer.accept_detach(closed=True)
        feed(frame(performative("end")))
        peer.accept_end(error=ABSENT)
        feed(frame(performative("close", error=codec.error("amqp:not-found", "why"))))
        peer.accept_close(error={"condition": "amqp:not-found", "description": ANY})
        peer.feed_eof()
        peer.expect_eof()
        peer.finish()
        return peer.take()

    whole = MemoryPeer()
    sent = script(whole, whole.feed)

    # Again, from pieces: each read gives one byte.
    pieces: list[bytes] = []

    def pull() -> list[bytes]:
        return [pieces.pop(0)] if pieces else []

    split = MemoryPeer(pull)
    assert script(split, lambda data: pieces.extend(bytes([b]) for b in data)) == sent
    names = []
    peer = MemoryPeer()
    peer.feed(sent)
    peer.strict = False
    peer.max_frame_size = 1 << 20
    peer.expect_header("SASL")
    names += [peer.read_frame().name for _ in range(2)]
    peer.expect_header("AMQP")
    names += [peer.read_frame().name for _ in range(7)]
    peer.finish()
    expected = ["sasl_mechanisms", "sasl_outcome", "open", "begin", "attach", "flow", "detach", "end", "close"]
    assert names == expected


def test_what_the_peer_writes_can_be_split() -> None:
    pushed: list[bytes] = []
    peer = MemoryPeer(None, pushed.append)
    peer.split = 3
    peer.send_header("AMQP")
    assert pushed == [b"AMQ", b"P\0\1", b"\0\0"]
    peer.close_socket()
    assert pushed[-1] == b""


def test_a_mismatch_says_what_was_expected_what_came_and_what_went_before() -> None:
    peer = opened()
    peer.feed(BEGIN)
    failing(
        peer,
        lambda: peer.expect("begin", incoming_window=11, outgoing_window=10, handle_max=5),
        "expected begin(incoming_window=11, outgoing_window=10, handle_max=5)",
        "came     [0] begin(next_outgoing_id=0, incoming_window=10, outgoing_window=10)",
        "incoming_window: expected 11, came 10",
        "handle_max: expected 5, came None",
        "<- [0] open(container_id='me', max_frame_size=65536)",
        "-> [0] open(container_id='peer')",
    )


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"container_id": "me"}, True),
        ({"container_id": "you"}, False),
        ({"container_id": ANY}, True),
        ({"container_id": ABSENT}, False),
        ({"hostname": ABSENT}, True),
        ({"hostname": ANY}, False),
        ({"hostname": "h"}, False),
        ({"max_frame_size": 65536}, True),
        ({"max_frame_size": lambda size: size >= 512}, True),
        ({"max_frame_size": lambda size: size < 512}, False),
        ({"channel_max": 65535}, True),
        ({"channel_max": ANY}, False),
        ({"channel_max": ABSENT}, True),
        ({"channel_max": 7}, False),
        ({"channel": 0}, True),
        ({"channel": 1}, False),
        ({"payload": b""}, True),
        ({"payload": b"x"}, False),
        ({"offered_capabilities": ["a", "b"]}, True),
        ({"offered_capabilities": ["a"]}, False),
        ({"desired_capabilities": ["c"]}, True),
        ({"properties": {"p": "v"}}, True),
        ({"properties": {"p": "w"}}, False),
        ({"properties": {}}, False),
    ],
    ids=lambda item: str(item)[:40],
)
def test_matchers(fields: dict[str, Any], right: bool) -> None:
    peer = MemoryPeer()
    body = performative(
        "open",
        container_id="me",
        max_frame_size=65536,
        offered_capabilities=["a", "b"],
        desired_capabilities="c",
        properties={"p": "v"},
    )
    peer.feed(frame(body))
    if right:
        peer.expect("open", **fields)
        peer.finish()
    else:
        failing(peer, lambda: peer.expect("open", **fields), "expected open(" if "channel" not in fields else "[1]")


def test_matching_composites_booleans_and_defaults() -> None:
    state = codec.rejected(error=codec.error("c", "d"))
    assert matches("rejected", state)
    assert not matches("released", state)
    assert matches({"error": {"condition": "c"}}, state)
    assert not matches({"error": {"condition": "x"}}, state)
    assert matches(codec.rejected(error=codec.error("c", "d")), state)
    assert not matches(codec.rejected(error=codec.error("c")), state)
    assert matches(codec.source(), codec.source(durable=0, timeout=0))
    assert not matches(1, True)
    assert not matches(True, 1)
    assert not matches(False, None)
    assert matches(False, None, default=False)
    assert not matches(True, None, default=False)
    assert not matches(0, None)
    with pytest.raises(ValueError, match="no field colour"):
        matches({"colour": 1}, state)


def test_a_field_that_a_performative_does_not_have_is_an_error_of_the_script() -> None:
    peer = opened()
    peer.feed(BEGIN)
    with pytest.raises(ValueError, match="begin has no field handle"):
        peer.expect("begin", handle=0)


@pytest.mark.parametrize(
    ("data", "do", "text"),
    [
        (b"", lambda peer: peer.expect("begin"), "came     nothing"),
        (b"", lambda peer: peer.expect_eof(), "came     nothing"),
        (b"", lambda peer: peer.expect_empty_frame(), "came     nothing"),
        (BEGIN, lambda peer: peer.expect("end"), "came     [0] begin("),
        (BEGIN, lambda peer: peer.expect_nothing(), "came     [0] begin("),
        (BEGIN, lambda peer: peer.expect_eof(), "came     [0] begin("),
        (BEGIN, lambda peer: peer.expect_empty_frame(), "came     [0] begin("),
        (BEGIN, lambda peer: peer.finish(), "came     [0] begin("),
        (EMPTY_FRAME, lambda peer: peer.expect_nothing(), "came     [0] empty frame"),
        (EMPTY_FRAME, lambda peer: peer.finish(), "came     [0] empty frame"),
        (EMPTY_FRAME, lambda peer: peer.expect("begin"), "came     [0] empty frame"),
        (BEGIN[:-1], lambda peer: peer.expect("begin"), "bytes of a frame of"),
        (BEGIN[:5], lambda peer: peer.finish(), "nothing more"),
        (BEGIN[:-1], lambda peer: peer.finish(), "bytes of a frame of"),
        (b"\0", lambda peer: peer.expect_nothing(), "b'\\x00'"),
        (b"\0", lambda peer: peer.expect_eof(), "b'\\x00'"),
        (AMQP_HEADER, lambda peer: peer.expect("begin"), "b'AMQP"),
        (BEGIN, lambda peer: peer.expect_header("AMQP"), "expected the AMQP header"),
        (SASL_HEADER, lambda peer: peer.expect_header("AMQP"), "414d515003010000"),
        (frame(b"\x40"), lambda peer: peer.expect("begin"), "a bad frame"),
        (frame(size=7), lambda peer: peer.expect("begin"), "a frame of 7 bytes"),
    ],
)
def test_every_expectation_fails_on_something_else(data: bytes, do: Any, text: str) -> None:
    peer = opened()
    peer.feed(data)
    failing(peer, lambda: do(peer), text)


def test_the_end_of_the_stream_fails_what_expects_more() -> None:
    peer = opened()
    peer.feed_eof()
    failing(peer, lambda: peer.expect("begin"), "came     the end of the stream")
    failing(peer, lambda: peer.expect_header("AMQP"), "came     the end of the stream")
    peer.expect_eof()
    peer.expect_nothing()
    peer.finish()


def test_ignored_frames_are_skipped_but_where_they_are_expected() -> None:
    peer = opened()
    peer.ignore("empty", "begin")
    peer.feed(EMPTY_FRAME + EMPTY_FRAME)
    peer.expect_empty_frame()
    peer.expect_nothing()
    peer.feed(EMPTY_FRAME + BEGIN + frame(performative("close")))
    peer.expect("close")
    assert [came.name for came in peer.ignored] == ["empty", "empty", "begin"]
    peer.finish()
    peer = opened()
    peer.ignore("empty")
    peer.feed(EMPTY_FRAME + BEGIN)
    failing(peer, peer.finish, "begin(")


def test_frames_beyond_the_limit_fail() -> None:
    long = performative("open", container_id="x" * 500)
    peer = MemoryPeer()
    peer.feed(frame(long))
    failing(peer, lambda: peer.expect("open"), "a frame of 5", "the limit is 512")
    peer = MemoryPeer()
    peer.feed(frame(performative("open", container_id="me")))
    peer.expect("open")
    peer.send("open", container_id="peer", max_frame_size=600)
    peer.feed(frame(performative("close"), size=None) + frame(b"x" * 593))
    peer.expect("close")
    failing(peer, lambda: peer.expect("close"), "the limit is 600")


def test_answers_mirror() -> None:
    peer = opened()
    peer.feed(frame(performative("begin", next_outgoing_id=7, incoming_window=1, outgoing_window=1), channel=5))
    peer.accept_begin(channel=2)
    peer.feed(
        frame(
            performative(
                "attach",
                name="l",
                handle=9,
                role=RECEIVER,
                snd_settle_mode=1,
                rcv_settle_mode=1,
                source=codec.source(address="q", filter={"f": Described(sym("f"), "x")}),
                target=codec.target(address="t"),
            ),
            channel=5,
        )
    )
    peer.accept_attach(handle=3)
    peer.feed(frame(performative("detach", handle=9), channel=5))
    peer.accept_detach(closed=False)
    peer.feed(frame(performative("end"), channel=5))
    peer.accept_end()
    reader = MemoryPeer()
    reader.strict = False
    reader.feed(peer.take())
    reader.expect("begin", channel=2, remote_channel=5)
    reader.expect(
        "attach",
        channel=2,
        name="l",
        handle=3,
        role=SENDER,
        snd_settle_mode=1,
        rcv_settle_mode=1,
        initial_delivery_count=0,
        source=codec.source(address="q", filter={"f": Described(sym("f"), "x")}),
        target={"address": "t"},
    )
    reader.expect("detach", channel=2, handle=3, closed=False)
    reader.expect("end", channel=2)
    reader.finish()


def test_a_refused_attach_has_no_terminus_of_the_refusing_side() -> None:
    peer = with_session()
    peer.feed(attach_frame(RECEIVER, source=codec.source(address="q"), target=codec.target()))
    peer.refuse_attach(codec.error("amqp:not-found"))
    reader = MemoryPeer()
    reader.strict = False
    reader.feed(peer.take())
    reader.expect("attach", role=SENDER, source=ABSENT, initial_delivery_count=0)
    reader.expect("detach", closed=True, handle=0, error={"condition": "amqp:not-found"})


def test_flows_and_deliveries_are_numbered() -> None:
    peer = with_their_receiver()
    peer.feed(frame(performative("flow", next_incoming_id=0, incoming_window=9, next_outgoing_id=0, outgoing_window=9)))
    peer.expect("flow")
    assert peer.send_delivery(b"abcde", frame_payload=2) == 0
    assert peer.send_delivery(b"", settled=True) == 1
    peer.send("flow")
    peer.send("flow", next_incoming_id=ABSENT, incoming_window=0)
    reader = MemoryPeer()
    reader.strict = False
    reader.feed(peer.take())
    reader.expect("transfer", payload=b"ab", more=True, delivery_id=0, delivery_tag=b"0", message_format=0)
    reader.expect("transfer", payload=b"cd", more=True, delivery_id=ABSENT, delivery_tag=ABSENT)
    reader.expect("transfer", payload=b"e", more=ABSENT)
    reader.expect("transfer", payload=b"", delivery_id=1, settled=True)
    reader.expect("flow", next_incoming_id=0, incoming_window=2, next_outgoing_id=4, outgoing_window=2048)
    reader.expect("flow", next_incoming_id=ABSENT, incoming_window=0)
    reader.finish()
