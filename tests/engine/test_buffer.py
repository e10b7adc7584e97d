"""What arrives in any pieces, and may have to wait: nothing is lost, and nothing is copied again and again."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from tests.peer.frames import frame, performative
from tests.support.peered import Rig, SessionOpening
from uamqp.engine.buffer import InputBuffer
from uamqp.engine.pieces import SMALL, Pieces

SIZES = [1, 7, SMALL - 1, SMALL, SMALL + 1, 50_000]


def pieces_of(data: bytes, rng: random.Random, sizes: list[int]) -> list[bytes]:
    pieces = []
    at = 0
    while at < len(data):
        size = rng.choice(sizes)
        pieces.append(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("seed", range(20))
def test_pieces(seed: int) -> None:
    rng = random.Random(seed)
    pieces = Pieces()
    for _ in range(3):
        data = rng.randbytes(rng.choice([0, 1, 100, 100_000]))
        given = pieces_of(data, rng, rng.sample(SIZES, rng.randint(1, 3)))
        for piece in given:
            pieces.add(piece)
        assert len(pieces) <= len(given)
        assert pieces.take() == data
        assert len(pieces) == 0


@pytest.mark.parametrize("seed", range(30))
def test_a_buffer_gives_what_it_was_given(seed: int) -> None:
    rng = random.Random(seed)
    data = rng.randbytes(100_000)
    buffer = InputBuffer(rng.choice([1, 8]))
    given = pieces_of(data, rng, rng.sample(SIZES, rng.randint(1, 4)))
    given.reverse()
    out = bytearray()
    while given or buffer.size:
        if given and rng.random() < 0.5:
            buffer.hold(given.pop())
        if not given:
            buffer.need = min(buffer.need, buffer.size)
        left = buffer.size
        assert buffer.peek(20) == data[len(out) : len(out) + min(20, left)]
        taken = buffer.take()
        if taken is None:
            assert left < buffer.need or not left
            continue
        chunk, pos = taken
        assert len(chunk) - pos >= min(buffer.need, left)
        read = rng.randint(1, len(chunk) - pos)
        out += chunk[pos : pos + read]
        if pos + read < len(chunk):
            buffer.put_back(chunk, pos + read)
        buffer.need = rng.choice([1, 4, 100, 5000])
    assert out == data


def test_a_buffer_forgets() -> None:
    buffer = InputBuffer(1)
    buffer.hold(b"x" * SMALL)
    buffer.hold(b"y")
    buffer.clear()
    assert buffer.size == 0
    assert buffer.take() is None
    assert buffer.peek(8) == b""


def test_what_is_put_back_is_not_copied_each_time() -> None:
    buffer = InputBuffer(1)
    buffer.hold(bytes(1_000_000))
    copies: list[bytes] = []
    while (taken := buffer.take()) is not None:
        data, pos = taken
        if not copies or copies[-1] is not data:
            copies.append(data)
        if pos + 50 < len(data):
            buffer.put_back(data, pos + 50)
    assert sum(map(len, copies)) <= 2_000_000


def test_a_frame_that_comes_in_two_chunks_copies_no_more_than_itself() -> None:
    buffer = InputBuffer(1000)
    rest = bytes(200_000)
    buffer.hold(b"x" * 100)
    buffer.hold(rest)
    assert buffer.take() == (b"x" * 100 + rest[:900], 0)
    assert buffer.take() == (rest, 900)


def test_small_frames_behind_a_large_part_of_a_delivery() -> None:
    """What has arrived isn't joined again for them: that would take twice the memory, and the time for it each time."""
    rig = Rig()
    rig.peer.strict = False  # it doesn't count what is sent raw
    rig.open()
    link = rig.receiver(credit=1, session=rig.begin({"incoming_window": 100_000}))
    large = frame(performative("transfer", handle=0, more=True), b"x" * 60_000)
    small = frame(performative("transfer", handle=0, more=True), b"y")
    rig.peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"t", more=True)
    for _ in range(400):
        rig.peer.send_raw(large)
    tracemalloc.start()
    try:
        for _ in range(200):
            rig.peer.send_raw(small * 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    assert len(link._parts) < 420
    rig.peer.ignore("flow")
    rig.peer.send_raw(frame(performative("transfer", handle=0), b"z"))
    (delivery,) = rig.drop_events()
    assert delivery.payload == b"x" * 24_000_000 + b"y" * 20_000 + b"z"


def test_a_frame_that_comes_byte_by_byte_takes_the_memory_of_its_bytes() -> None:
    rig = Rig()
    rig.open(max_frame_size=1_000_000)
    rig.receiver(credit=1)
    whole = frame(performative("transfer", handle=0, delivery_id=0, delivery_tag=b"t"), b"x" * 200_000)
    tracemalloc.start()
    try:
        for at in range(len(whole) - 1):
            rig.engine.receive_data(whole[at : at + 1], rig.now)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 400_000
    rig.engine.receive_data(whole[-1:], rig.now)
    (delivery,) = rig.drop_events()
    assert delivery.payload == b"x" * 200_000


def test_many_sessions_of_the_peer_that_each_wait_for_their_answer(rig: Rig) -> None:
    """Each begin holds back what is behind it."""
    rig.open()
    rig.peer.strict = False  # it doesn't see what is sent raw
    begin = performative("begin", next_outgoing_id=0, incoming_window=1, outgoing_window=1)
    frames = frame(begin, channel=3) + frame(performative("end"), channel=3)
    rig.peer.send_raw(frames * 500)
    begun = 0
    while events := rig.drop_events():
        for event in events:
            if type(event) is SessionOpening:
                begun += 1
                event.session.accept(rig.now)
    assert begun == 500
    assert rig.engine.sessions == ()
    rig.peer.ignore("begin", "end")
    rig.done()
