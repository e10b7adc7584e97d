"""A client and a server engine wired to each other in memory, with a clock that the test moves.

Each side's frames are decoded by the codec of tests.peer, which is independent of the library, and held against the
specification by a `Tracker`; `Pair.check` tells what was wrong. Bytes can be kept on their way and delivered in any
pieces, so that frames cross. Imports pytest, tests.peer, and the public names of uamqp.codec and uamqp.engine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tests.peer.frames import Frame, decode_frame
from tests.peer.track import WRAP, LinkState, Tracker
from uamqp.codec import Source, Target
from uamqp.engine import Engine, EngineConfig, Receiver, Role, Sender, Session
from uamqp.engine.events import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectionOpening,
    LinkOpening,
    SaslInit,
    SaslResponse,
    SessionOpening,
)
from uamqp.engine.states import EndpointState

E = TypeVar("E")

START = 1000.0
HEADERS = (b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00")

Pieces = Callable[[bytes], Iterable[bytes]]
"""How bytes are cut on their way."""


class Sight(Tracker):
    """A tracker that lets a sender give credit back and go on with newer credit in one and the same flow."""

    def _came_link_flow(self, frame: Frame, link: LinkState) -> list[str]:
        count = frame["delivery_count"]
        if link.they_send and frame["drain"] and count is not None and link.current is None:
            given_back = (count - link.delivery_count) % WRAP
            if given_back <= link.credit:
                link.delivery_count = count
                link.credit -= given_back
        return super()._came_link_flow(frame, link)


class Side:
    """One engine of a pair, and what it does to the wire.

    Attributes:
        events: all events so far, in order.
        fresh: events that nobody has taken yet.
        inbox: bytes on their way to this side.
        frames: what this side has put on the wire; headers as bytes.
        wrong: what this side did that the specification forbids, as the other side sees it.
        answers: whether `answer` answers openings.
    """

    def __init__(self, name: str, config: EngineConfig, now: float) -> None:
        self.name = name
        self.engine = Engine(config, now)
        self.events: list[Any] = []
        self.fresh: list[Any] = []
        self.inbox = bytearray()
        self.received = bytearray()
        self.frames: list[Frame | bytes] = []
        self.wrong: list[str] = []
        self.answers = True
        self.session_options: dict[str, Any] = {}
        self.link_options: dict[str, Any] = {}
        self.sees = Sight()  # the connection as this side sees it
        self.eof = False  # the end of the stream was delivered to this side
        self._sent = bytearray()
        self._came = bytearray()

    # -- bytes

    def put(self, data: bytes, other: Side) -> None:
        """Take note of bytes that this side has written, and send them on their way."""
        other.inbox += data
        self._sent += data
        for frame in _cut(self._sent):
            self.frames.append(frame)
            if isinstance(frame, Frame):
                self.sees.goes(frame)

    def take(self, data: bytes, now: float, other: Side) -> None:
        """Hand bytes to the engine that have arrived."""
        self.received += data
        self._came += data
        for frame in _cut(self._came):
            if isinstance(frame, Frame):
                other.wrong += [f"{other.name}: {finding}: {frame!r}" for finding in self.sees.came(frame)]
        self.engine.receive_data(data, now)

    # -- events

    def collect(self) -> list[Any]:
        """Fetch events; returns the new ones."""
        events = self.engine.events()
        self.events += events
        self.fresh += events
        return events

    def all(self, kind: type[E]) -> list[E]:
        """All events of this class so far."""
        self.collect()
        return [event for event in self.events if type(event) is kind]

    def drop(self) -> list[Any]:
        """The events since the last drop."""
        self.collect()
        fresh, self.fresh = self.fresh, []
        return fresh

    def last(self, kind: type[E]) -> E:
        """The newest event of this class."""
        found = self.all(kind)
        assert found, f"{self.name} had no {kind.__name__}: {self.events!r}"
        return found[-1]

    def answer(self, event: Any, now: float) -> None:
        """Answer an opening of the peer, if it still wants an answer."""
        engine = self.engine
        if type(event) is ConnectionOpening and engine.local_state is EndpointState.IDLE:
            engine.open(now)
        elif type(event) in (SaslInit, SaslResponse) and not engine.is_closed:
            engine.sasl_outcome(now, 0)
        elif type(event) is SessionOpening and unanswered(event.session):
            event.session.accept(now, **self.session_options)
        elif type(event) is LinkOpening and unanswered(event.link):
            event.link.accept(now, **self.link_options)

    # -- looking

    def sent(self, name: str) -> list[Frame]:
        """The frames of this name that this side has sent."""
        return [frame for frame in self.frames if isinstance(frame, Frame) and frame.name == name]


def unanswered(endpoint: Any) -> bool:
    """Whether the peer has opened it and waits for an answer."""
    return endpoint.local_state is EndpointState.IDLE and endpoint.remote_state is EndpointState.ACTIVE


def _cut(data: bytearray) -> list[Frame | bytes]:
    """Remove whole headers and frames from the front, decoded."""
    found: list[Frame | bytes] = []
    while len(data) >= 8:
        if data[:4] == b"AMQP":
            found.append(bytes(data[:8]))
            del data[:8]
            continue
        size = int.from_bytes(data[:4], "big")
        if len(data) < size:
            break
        found.append(decode_frame(bytes(data[:size])))
        del data[:size]
    return found


class Pair:
    """Two engines, the wire between them, and the time.

    Args:
        client, server: arguments of the engines' configurations, beside the container-id and role.
        pieces: how bytes are cut when they are pumped; None: as they come.
    """

    def __init__(
        self,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        *,
        pieces: Pieces | None = None,
    ) -> None:
        self.now = START
        self.pieces = pieces
        self.client = Side("client", EngineConfig("client", **(client or {})), self.now)
        self.server = Side("server", EngineConfig("server", role=Role.SERVER, **(server or {})), self.now)
        self.sides = (self.client, self.server)

    def other(self, side: Side) -> Side:
        return self.server if side is self.client else self.client

    # -- one step

    def write(self, side: Side) -> bool:
        """Put what the engine wants to send now on its way; tells whether there was anything."""
        data = b"".join(bytes(buffer) for buffer in side.engine.data_to_send())
        if data:
            side.put(data, self.other(side))
        return bool(data)

    def read(self, side: Side, size: int | None = None) -> bool:
        """Deliver up to `size` bytes that are on their way; tells whether there were any."""
        data = bytes(side.inbox[:size])
        if not data:
            return False
        del side.inbox[: len(data)]
        for piece in self.pieces(data) if self.pieces is not None else (data,):
            side.take(piece, self.now, self.other(side))
        return True

    def handle(self, side: Side) -> bool:
        """Fetch events and answer openings; tells whether there were any."""
        events = side.collect()
        for event in events:
            if side.answers:
                side.answer(event, self.now)
        return bool(events)

    # -- until nothing happens any more

    def pump(self) -> None:
        """Write, deliver and answer until all is quiet."""
        for _ in range(100_000):
            moved = False
            for side in self.sides:
                moved |= self.write(side)
                moved |= self.handle(side)
                moved |= self.read(side)
                moved |= self.handle(side)
                moved |= self._hang_up(side)
            if not moved:
                return
        raise AssertionError("the pair doesn't come to rest")

    def _hang_up(self, side: Side) -> bool:
        """A transport ends the stream when its engine is done and everything is written."""
        other = self.other(side)
        if not side.engine.is_closed or self.write(side) or other.inbox or other.eof:
            return False
        other.eof = True
        other.engine.receive_data(b"", self.now)
        return True

    def wait(self, seconds: float) -> None:
        """Time goes by; each engine gets its tick at each of its deadlines, and all is pumped in between."""
        end = self.now + seconds
        while True:
            deadlines = [due for side in self.sides if (due := side.engine.next_deadline()) is not None]
            if not deadlines or min(deadlines) > end:
                break
            self.now = max(self.now, min(deadlines))
            for side in self.sides:
                self.tick(side)
            self.pump()
        self.now = end

    def tick(self, side: Side) -> None:
        """A tick, which must have moved the deadline: a transport that sleeps until it must not spin."""
        engine = side.engine
        engine.tick(self.now)
        self.write(side)
        due = engine.next_deadline()
        assert due is None or due > self.now, f"{side.name}: still due at {due} after the tick at {self.now}"

    # -- so far

    def open(self) -> Pair:
        """Both sides open, and no events left."""
        self.client.engine.open(self.now)
        self.pump()
        for side in self.sides:
            side.last(ConnectionOpened)
            side.drop()
        return self

    def begin(self, side: Side | None = None, **options: Any) -> tuple[Session, Session]:
        """A session that `side` (the client) begins; its ends on that side and on the other."""
        side = side or self.client
        session = side.engine.begin(self.now, **options)
        self.pump()
        theirs = self.other(side).last(SessionOpening).session
        self._drop()
        return session, theirs

    def link(
        self, session: Session, name: str = "link", *, receive: bool = False, **options: Any
    ) -> tuple[Sender, Receiver]:
        """A link attached in `session` from that side: its sending and its receiving end."""
        given: dict[str, Any] = {"source": Source("here"), "target": Target("there"), **options}
        attach = session.attach_receiver if receive else session.attach_sender
        ours: Any = attach(self.now, name, **given)
        side = self.client if session.engine is self.client.engine else self.server
        self.pump()
        theirs: Any = self.other(side).last(LinkOpening).link
        self._drop()
        return (theirs, ours) if receive else (ours, theirs)

    def _drop(self) -> None:
        for side in self.sides:
            side.drop()

    def both(self, **options: Any) -> tuple[Sender, Receiver]:
        """An open connection with a session and a link over which the client sends."""
        self.open()
        session, _ = self.begin()
        return self.link(session, **options)

    # -- the end

    @property
    def wrong(self) -> list[str]:
        return self.client.wrong + self.server.wrong

    def check(self) -> None:
        """Neither side has put anything on the wire that the specification forbids."""
        assert self.wrong == [], "\n".join(self.wrong)

    def close(self) -> None:
        """The client closes; both come to an end without a fault, and nothing was wrong on the wire."""
        self.client.engine.close(self.now)
        self.pump()
        for side in self.sides:
            self.ended(side)
        self.check()

    def ended(self, side: Side) -> ConnectionClosed:
        """The side's terminal event, which must be the last and the only one."""
        side.collect()
        assert [type(event) for event in side.events].count(ConnectionClosed) == 1, side.events
        last = side.events[-1]
        assert type(last) is ConnectionClosed, side.events
        assert side.engine.is_closed
        assert side.engine.next_deadline() is None
        return last


def each_byte(data: bytes) -> Iterable[bytes]:
    """Cut into single bytes."""
    return (data[index : index + 1] for index in range(len(data)))


def cut_at(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """The data cut at these positions, without empty pieces."""
    edges = [0, *sorted(positions), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges) if start < stop]
