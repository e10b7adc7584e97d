"""Fuzzes the engine: any bytes, at any point of a conversation, end in an orderly way or go on; nothing else.

python -m fuzz.fuzz_engine --seconds 600
python -m fuzz.fuzz_engine --record    writes the recorded conversation to fuzz/corpus/engine/talk.hex

An input's first byte says where in the conversation of tests.support.talk its bytes come in (`stages`). The second says
how they are cut (`SIZES`), whether the application has its say after each piece (EAGER), and what they are: frames as
they stand, frames whose sizes are to be put right (REPAIR), or decisions on what frames to make (GRAMMAR). The
engine's own output is read by the codec of tests.peer, which is independent of the library.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Hashable
from typing import Any

from tests.peer.codec import WireError
from tests.peer.frames import AMQP_HEADER, EMPTY_FRAME, SASL_HEADER, Frame, decode_frame
from tests.support.talk import ROLES, START, Talk, record, replay, talk_config, turn
from uamqp.engine import CauseKind, Engine, IncomingDelivery, OutgoingDelivery
from uamqp.engine.events import (
    ConnectionClosed,
    LinkDetached,
    LinkOpened,
    LinkOpening,
    SessionEnded,
    SessionOpened,
    SessionOpening,
)

from . import grammar, mutate

REPAIR = 0x80
EAGER = 0x40
GRAMMAR = 0x20
SIZES = (0, 1, 2, 3, 7, 8, 13, 100)  # of pieces; 0: all at once

_STATES = ("0053234500", "00532445", "005325c00100", "00532645", "005327c00100", "005334c00100")
TOKENS: list[bytes] = [
    AMQP_HEADER,
    SASL_HEADER,
    EMPTY_FRAME,
    *[bytes((0x00, 0x53, code)) for code in (*range(0x10, 0x19), *range(0x40, 0x45), 0x1D, 0x28, 0x29)],
    *[bytes((0x52, number)) for number in (0, 1, 2, 3, 4, 255)],
    *[b"\x70" + number.to_bytes(4, "big") for number in (0, 1, 511, 512, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)],
    *[bytes.fromhex(state) for state in _STATES],
    *[bytes([code]) for code in (0x40, 0x41, 0x42, 0x43, 0x45)],
    *[bytes((0, 0, 0, size, 2, 0, 0, channel)) for size in (8, 16, 32) for channel in (0, 1, 2)],
    b"\xa1\x03out",
    b"\xa1\x02in",
    b"\xa0\x05tag 0",
]


class Broken(Exception):
    """An invariant doesn't hold."""


@functools.cache
def stages() -> list[tuple[str, list[bytes], bytes]]:
    """Where the bytes can come in: the role of the engine, what it has heard before, what it would hear next."""
    heard = record()
    return [
        (role, heard[role][:count], heard[role][count] if count < len(heard[role]) else b"")
        for role in ROLES
        for count in range(len(heard[role]) + 1)
    ]


def repaired(data: bytes) -> bytes:
    """The data with every frame's size made to fit where it is too small, or goes beyond the end."""
    out = bytearray(data)
    pos = 0
    while len(out) - pos >= 8:
        if out[pos : pos + 4] == b"AMQP":
            pos += 8
            continue
        size = int.from_bytes(out[pos : pos + 4], "big")
        if not 8 <= size <= len(out) - pos:
            size = len(out) - pos
            out[pos : pos + 4] = size.to_bytes(4, "big")
            out[pos + 4] = 2
        pos += size
    return bytes(out)


def cut(data: bytes, size: int) -> list[bytes]:
    """The data in pieces of this size; 0: in one."""
    return [data[start : start + size] for start in range(0, len(data), size)] if size else [data] * bool(data)


class Run:
    """One engine, its application, and all that came of it."""

    def __init__(self, role: str, before: list[bytes]) -> None:
        self.role = role
        self.engine = Engine(talk_config(role), START)
        self.talk = Talk(self.engine, role)
        self.events: list[Any] = []
        self.output = bytearray()
        self.talk.start()
        self.output += turn(self.engine, self.talk, self.events, [])
        self.feed(before)

    def feed(self, pieces: list[bytes], *, eager: bool = True) -> None:
        """Give these pieces to the engine, in one turn or (eager) in one each."""
        turns = [[piece] for piece in pieces] if eager and pieces else [pieces]
        replay(
            self.role, turns, eager=eager, engine=self.engine, talk=self.talk, events=self.events, output=self.output
        )

    def finish(self) -> None:
        """Let the time go by, and then end the stream; nothing may go on after that."""
        engine = self.engine
        for _ in range(12):
            due = engine.next_deadline()
            if due is None:
                break
            if due < engine.now:
                raise Broken(f"the deadline {due} is past at {engine.now}")
            engine.tick(due)
            self.feed([])
            following = engine.next_deadline()
            if following is not None and following <= due:
                raise Broken(f"still due at {following} after the tick at {due}")
        engine.receive_data(b"", engine.now)
        self.feed([])
        closed = (len(self.events), len(self.output))
        engine.receive_data(EMPTY_FRAME, engine.now)
        engine.tick(engine.now + 1e6)
        self.feed([])
        if not engine.is_closed or engine.next_deadline() is not None or closed != (len(self.events), len(self.output)):
            raise Broken("it isn't over after the end of the stream")

    def check(self) -> None:
        """What must hold of every run that is over."""
        self.check_events()
        frames = self.frames()
        names = [frame.name for frame in frames if frame.type == 0]
        if names and names[0] != "open":
            raise Broken(f"the first frame is {names[0]}")
        if "close" in names and names.index("close") != len(names) - 1:
            raise Broken(f"{names[-1]} after close")
        cause = self.engine.cause
        if cause is not None and cause.kind is CauseKind.PROTOCOL and self.stands and names[-1:] != ["close"]:
            raise Broken(f"no close for {cause}")
        if self.engine._held_bytes != 0:
            raise Broken("bytes of unfinished deliveries are still counted")

    @property
    def stands(self) -> bool:
        """Both headers are exchanged: a fault of the peer is told to it."""
        return self.engine._header_sent and self.engine._input.header_received

    def check_events(self) -> None:
        kinds = [type(event) for event in self.events]
        if kinds.count(ConnectionClosed) != 1 or kinds[-1] is not ConnectionClosed:
            raise Broken(f"ConnectionClosed isn't the last and only one: {kinds}")
        for event in self.events:
            repr(event)
        for opening, ends, name in (
            ((SessionOpening, SessionOpened), SessionEnded, "session"),
            ((LinkOpening, LinkOpened), LinkDetached, "link"),
        ):
            begun = {getattr(event, name) for event in self.events if type(event) in opening}
            ended = Counter(getattr(event, name) for event in self.events if type(event) is ends)
            if any(ended[one] != 1 for one in begun) or any(count != 1 for count in ended.values()):
                raise Broken(f"not every {name} has ended once")
        finals = Counter(event for event in self.events if type(event) is OutgoingDelivery)
        if any(not one.settled or finals[one] != 1 for one in self.talk.sent):
            raise Broken("not every delivery that was sent has come to one end")
        arrived = [event for event in self.events if type(event) is IncomingDelivery]
        if len(set(arrived)) != len(arrived):
            raise Broken("a delivery was reported twice")

    def frames(self) -> list[Frame]:
        """The engine's output, read by another codec."""
        data, pos = bytes(self.output), 0
        frames = []
        most = max(512, self.engine.remote_max_frame_size)
        while pos < len(data):
            if data[pos : pos + 8] in (AMQP_HEADER, SASL_HEADER):
                pos += 8
                continue
            size = int.from_bytes(data[pos : pos + 4], "big")
            try:
                frame = decode_frame(data[pos : pos + size])
            except (WireError, IndexError, ValueError) as error:
                raise Broken(f"the engine sent {data[pos : pos + size].hex()}: {error}") from error
            if size > most and frame.name != "open":
                raise Broken(f"a frame of {size} bytes, the peer takes {most}")
            frames.append(frame)
            pos += size
        return frames

    def outcome(self) -> Hashable:
        """Roughly what happened."""
        engine = self.engine
        cause = engine.cause
        text = "".join(letter for letter in cause.message if not letter.isdigit())[:40] if cause is not None else ""
        kinds = set()
        for event in self.events:
            why = getattr(event, "cause", None)
            kinds.add((type(event).__name__, str(why.kind) if why else "", str(why.condition) if why else ""))
        return self.role, text, tuple(sorted(kinds)), min(len(self.events), 30)


def target(data: bytes) -> Hashable:
    """What happens when these bytes come in; raises Broken where an invariant doesn't hold."""
    if len(data) < 2:
        return len(data)
    role, before, _ = stages()[data[0] % len(stages())]
    how = data[1]
    run = Run(role, before)
    rest = data[2:]
    if how & GRAMMAR:
        rest = b"".join(grammar.frames(rest))
    elif how & REPAIR:
        rest = repaired(rest)
    run.feed(cut(rest, SIZES[how % len(SIZES)]), eager=bool(how & EAGER))
    run.finish()
    run.check()
    return data[0], run.outcome()


def recording() -> str:
    """The corpus that the recorded conversation makes."""
    lines = ["# Written by `python -m fuzz.fuzz_engine --record`: what each side hears next, at each of its turns."]
    for number, (role, before, following) in enumerate(stages()):
        for how in (0, REPAIR | EAGER):
            data = bytes((number, how)) + following
            lines.append(f"{data.hex()}  # {role}, turn {len(before)}")
        for start in range(0, 250, 50):
            data = bytes((number, GRAMMAR | EAGER * (start % 100 == 0), *range(start, start + 30)))
            lines.append(f"{data.hex()}  # {role}, turn {len(before)}: made up")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        folder = mutate.HERE / "corpus" / "engine"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "talk.hex").write_text(recording(), encoding="utf-8")
        sys.exit(0)
    sys.exit(mutate.main("engine", target, TOKENS))
