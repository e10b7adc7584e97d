"""The knobs, and what those for bytes do to a stream of frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.codec import (
    ACCEPTED,
    ROLE_RECEIVER,
    ROLE_SENDER,
    Attach,
    Begin,
    Close,
    Composite,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Open,
    Symbol,
    decode_composite,
)
from uamqp.engine.frames import append_frame
from uamqp.testing import connection_redirect, error, link_redirect
from uamqp.testing.faults import Faults, FrameCounter, WireFaults, split_frames

HEADER = b"AMQP\x00\x01\x00\x00"
EMPTY = b"\x00\x00\x00\x08\x02\x00\x00\x00"


def frame(performative: Composite, frame_type: int = 0, channel: int = 0) -> bytes:
    out = bytearray()
    append_frame(out, channel, performative, frame_type=frame_type)
    return bytes(out)


OPEN, CLOSE = frame(Open("me")), frame(Close())
STREAM = HEADER + OPEN + EMPTY + CLOSE


def test_knobs_tell_of_a_turn_and_go_back() -> None:
    turns: list[int] = []
    faults = Faults(lambda: turns.append(1))
    faults.delay = 1
    faults.refuse_open = "amqp:not-found"  # type: ignore[assignment]
    faults.silent = "close"
    assert faults.refuse_open == Error(Symbol("amqp:not-found"))
    assert "delay=1.0" in repr(faults)
    assert faults.on_output
    faults.clear()
    assert len(turns) == 4
    assert not faults.on_output
    assert not faults.on_input
    assert repr(faults) == "<Faults none>"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("delay", -1, "number of seconds"),
        ("delay", "1", "number of seconds"),
        ("write_size", 0, "at least 1"),
        ("cut_after_frames_in", -1, "at least 0"),
        ("cut_after_bytes_out", 1.5, "at least 0"),
        ("refuse_connections", 1, "True or False"),
        ("refuse_sasl", 9, "one of 1, 2, 3, 4"),
        ("refuse_open", 5, "None, an Error or the name"),
        ("refuse_attach", 5, "None, an Error or the name"),
        ("outcome", "rejected", "Accepted, Rejected"),
        ("silent", ["opne"], "not 'opne'"),
    ],
)
def test_knobs_do_not_take_everything(name: str, value: object, message: str) -> None:
    faults = Faults()
    before = getattr(faults, name)
    with pytest.raises((TypeError, ValueError), match=message):
        setattr(faults, name, value)
    assert getattr(faults, name) == before


def test_there_is_no_such_knob() -> None:
    with pytest.raises(AttributeError, match="there are: cut_after_bytes_in"):
        Faults().slow = True


def test_errors_and_redirects() -> None:
    assert error("a:b", "text") == Error(Symbol("a:b"), "text")
    redirect = connection_redirect("there", 5671)
    assert redirect.condition == "amqp:connection:redirect"
    assert redirect.info == {"hostname": "there", "network-host": "there", "port": 5671}
    assert link_redirect("10.0.0.1", 5671, "q", "there").info == {
        "hostname": "there",
        "network-host": "10.0.0.1",
        "port": 5671,
        "address": "q",
    }


@given(st.integers(1, 20), st.integers(0, 3))
def test_frames_are_counted_wherever_they_are_split(size: int, limit: int) -> None:
    counter = FrameCounter()
    kept = b""
    for start in range(0, len(STREAM), size):
        piece = STREAM[start : start + size]
        kept += piece[: counter.feed(piece, limit)]
    # neither the header nor the empty frame counts
    assert kept == [b"", HEADER + OPEN, STREAM, STREAM][limit]
    assert counter.frames == min(2, limit)


def test_frames_are_split() -> None:
    assert split_frames(STREAM) == [HEADER, OPEN, EMPTY, CLOSE]


def test_nothing_changes_without_a_knob() -> None:
    wire = WireFaults(Faults())
    assert wire.outgoing(STREAM) == (STREAM, False)
    assert wire.incoming(STREAM) is None


def test_cut_after_bytes() -> None:
    faults = Faults()
    wire = WireFaults(faults)
    faults.cut_after_bytes_out = 10
    assert wire.outgoing(STREAM[:6]) == (STREAM[:6], False)
    assert wire.outgoing(STREAM[6:12]) == (STREAM[6:10], True)
    faults.cut_after_bytes_in = 8
    assert wire.incoming(STREAM[:7]) is None
    assert wire.incoming(STREAM[7:]) == STREAM[7:8]


def test_cut_exactly_at_the_end() -> None:
    faults = Faults()
    faults.cut_after_bytes_in = 8
    assert WireFaults(faults).incoming(HEADER) == HEADER
    faults.cut_after_frames_out = 1
    assert WireFaults(faults).outgoing(HEADER + OPEN) == (HEADER + OPEN, True)


def test_cut_so_many_times() -> None:
    faults = Faults()
    faults.cut_after_frames_in = 1
    faults.cut_times = 1
    assert WireFaults(faults).incoming(STREAM) == HEADER + OPEN
    assert faults.cut_times == 0
    assert WireFaults(faults).incoming(STREAM) is None


def test_counting_starts_when_a_knob_is_turned() -> None:
    faults = Faults()
    wire = WireFaults(faults)
    faults.cut_after_frames_out = 3
    assert wire.outgoing(HEADER + OPEN) == (HEADER + OPEN, False)
    faults.cut_after_frames_out = 1
    assert wire.outgoing(CLOSE) == (CLOSE, True)


@pytest.mark.parametrize(
    ("silent", "kept"),
    [
        (["close"], HEADER + OPEN + EMPTY),
        (["heartbeat"], HEADER + OPEN + CLOSE),
        (["header"], b""),
        (["open"], HEADER),  # nothing can come after an open that wasn't sent
        (["detach", "sasl"], STREAM),
    ],
)
def test_silence(silent: list[str], kept: bytes) -> None:
    faults = Faults()
    faults.silent = silent
    assert WireFaults(faults).outgoing(STREAM) == (kept, False)


def test_what_needs_a_begin_that_was_not_sent_is_not_sent() -> None:
    faults = Faults()
    wire = WireFaults(faults)
    faults.silent = "begin"
    begin = frame(Begin(0, 0, 1, 1), channel=3)
    assert wire.outgoing(begin) == (b"", False)
    faults.clear()
    flow = frame(Flow(0, 1, 0, 1), channel=3)
    assert wire.outgoing(flow + frame(End(), channel=3)) == (b"", False)
    assert not wire.mute
    assert wire.outgoing(begin + flow + CLOSE) == (begin + flow + CLOSE, False)


def test_what_needs_an_attach_that_was_not_sent_is_not_sent() -> None:
    faults = Faults()
    wire = WireFaults(faults)
    faults.silent = "attach"
    attach = frame(Attach("name", 5, ROLE_RECEIVER))
    assert wire.outgoing(attach) == (b"", False)
    faults.silent = ()
    session_flow = frame(Flow(0, 1, 0, 1))
    assert wire.outgoing(session_flow) == (session_flow, False)
    flow, other = frame(Flow(0, 1, 0, 1, 5)), frame(Flow(0, 1, 0, 1, 6))
    assert wire.outgoing(flow + other + frame(Detach(5, True))) == (other, False)
    assert wire.outgoing(attach + flow) == (attach + flow, False)


def test_silence_in_sasl() -> None:
    faults = Faults()
    faults.silent = "sasl"
    assert WireFaults(faults).outgoing(frame(Close(), 1) + CLOSE) == (CLOSE, False)


def test_settlement_is_taken_out_of_dispositions() -> None:
    faults = Faults()
    faults.withhold_settlement = True
    wire = WireFaults(faults)
    given = frame(Disposition(ROLE_RECEIVER, 1, 5, True, ACCEPTED))
    (kept, _) = wire.outgoing(given + CLOSE)
    first, second = split_frames(kept)
    assert decode_composite(first, 8)[0] == Disposition(ROLE_RECEIVER, 1, 5, False, ACCEPTED)
    assert second == CLOSE
    assert wire.outgoing(frame(Disposition(ROLE_SENDER, 1, None, True))) == (b"", False)
    unsettled = frame(Disposition(ROLE_RECEIVER, 1, None, False, ACCEPTED))
    assert wire.outgoing(unsettled) == (unsettled, False)
