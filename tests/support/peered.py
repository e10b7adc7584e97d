"""An engine and a scripted peer wired to each other, for the test_peer_*.py modules.

What the peer sends goes into the engine at once, in pieces of `split` bytes; what the peer expects it fetches
from the engine. Time stands still unless the test moves it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from tests.peer.codec import Composite
from tests.peer.frames import Frame, data_message
from tests.peer.script import ANY, RECEIVER, SENDER, MemoryPeer
from uamqp.codec import Source, Symbol, Target
from uamqp.engine import (
    Cause,
    CauseKind,
    Engine,
    EngineConfig,
    LocalProtocolError,
    Receiver,
    Role,
    Sender,
    Session,
)
from uamqp.engine.events import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectionOpening,
    LinkDetached,
    LinkOpened,
    LinkOpening,
    SessionEnded,
    SessionOpened,
    SessionOpening,
)

E = TypeVar("E")

MESSAGE = data_message(b"hello")


class Rig:
    """One engine, its peer, a clock, and the events that the test hasn't looked at."""

    def __init__(self, split: int | None = None) -> None:
        self.split = split
        self.now = 1000.0
        self.events: list[Any] = []
        self.engine = Engine(EngineConfig("me"), self.now)
        self.peer = MemoryPeer(self._pull, self._push)
        self.peer.split = split

    def _pull(self) -> list[bytes]:
        pieces: list[bytes] = []
        while more := self.engine.data_to_send():
            pieces += [bytes(piece) for piece in more]
        return pieces

    def _push(self, data: bytes) -> None:
        self.engine.receive_data(data, self.now)

    # ------------------------------------------------ events and time

    def event(self, kind: type[E]) -> E:
        """The next event, which must be of this class."""
        self._fetch()
        assert self.events, f"no event; expected {kind.__name__}"
        event = self.events.pop(0)
        assert type(event) is kind, f"expected {kind.__name__}, got {event!r} and then {self.events!r}"
        return event

    def no_event(self) -> None:
        self._fetch()
        assert self.events == []

    def drop_events(self) -> list[Any]:
        self._fetch()
        events, self.events = self.events, []
        return events

    def _fetch(self) -> None:
        self.events += self.engine.events()

    def wait(self, seconds: float) -> None:
        """Time goes by, as a transport would have it: a tick at each deadline that passes."""
        end = self.now + seconds
        while (deadline := self.engine.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.engine.tick(self.now)
            self.peer.memory.inbox += b"".join(self._pull())
        self.now = end
        self.engine.tick(end)

    def done(self) -> None:
        """Nothing is left: no frame that wasn't expected, no event that wasn't looked at."""
        self.peer.finish()
        self.no_event()

    # ------------------------------------------------ so far, and no further

    def start(self, **config: Any) -> None:
        """A client engine that has started."""
        self.engine = Engine(EngineConfig(**{"container_id": "me", **config}), self.now)
        self.engine.open(self.now)

    def open(self, answer: dict[str, Any] | None = None, **config: Any) -> Frame:
        """An open connection, without SASL."""
        self.start(**config)
        came = self.peer.accept_open(**(answer or {}))
        self.event(ConnectionOpened)
        return came

    def serve(self, **config: Any) -> None:
        """A server engine that has started."""
        self.engine = Engine(EngineConfig(**{"container_id": "me", "role": Role.SERVER, **config}), self.now)

    def open_server(self, fields: dict[str, Any] | None = None, **config: Any) -> None:
        """An open connection, as its server, without SASL."""
        self.serve(**config)
        self.peer.send_header("AMQP")
        self.peer.send("open", **{"container_id": "peer", **(fields or {})})
        self.event(ConnectionOpening)
        self.engine.open(self.now)
        self.event(ConnectionOpened)
        self.peer.expect_header("AMQP")
        self.peer.expect("open")

    def begin(self, begin: dict[str, Any] | None = None, **answer: Any) -> Session:
        """A session of ours; `begin` are arguments of Engine.begin, `answer` fields of the peer's begin."""
        session = self.engine.begin(self.now, **(begin or {}))
        self.peer.accept_begin(**answer)
        assert self.event(SessionOpened).session is session
        return session

    def begun(self, accept: dict[str, Any] | None = None, **fields: Any) -> Session:
        """A session that the peer began; `fields` of its begin, `accept` arguments of Session.accept."""
        self.peer.send("begin", **fields)
        session = self.event(SessionOpening).session
        session.accept(self.now, **(accept or {}))
        self.event(SessionOpened)
        self.peer.expect("begin", remote_channel=fields.get("channel", 0))
        return session

    def sender(
        self,
        credit: int = 0,
        answer: dict[str, Any] | None = None,
        session: Session | None = None,
        **attach: Any,
    ) -> Sender:
        """A sender that is attached, with credit; in a session of its own if none is given."""
        session = session or self.begin()
        given = {"name": "out", "source": Source("here"), "target": Target("queue"), **attach}
        link = session.attach_sender(self.now, given.pop("name"), **given)
        came = self.peer.accept_attach(SENDER, **(answer or {}))
        assert self.event(LinkOpened).link is link
        if credit:
            self.peer.grant(credit, channel=came.channel, handle=came["handle"])
            self.drop_events()
        return link

    def receiver(
        self,
        credit: int = 0,
        answer: dict[str, Any] | None = None,
        session: Session | None = None,
        **attach: Any,
    ) -> Receiver:
        """A receiver that is attached, with credit; in a session of its own if none is given."""
        session = session or self.begin()
        given = {"name": "in", "source": Source("queue"), "target": Target("here"), **attach}
        link = session.attach_receiver(self.now, given.pop("name"), **given)
        self.peer.accept_attach(RECEIVER, **(answer or {}))
        assert self.event(LinkOpened).link is link
        if credit:
            link.set_credit(credit)
            self.peer.expect("flow", link_credit=credit)
        return link

    # ------------------------------------------------ the ends

    def connection_fails(self, condition: str, *, kind: CauseKind = CauseKind.PROTOCOL) -> Cause:
        """The engine closes with this condition, and ConnectionClosed, the last event, carries the cause."""
        self.peer.expect("close", error={"condition": condition, "description": ANY})
        return self.ends_with(condition, kind)

    def ends_with(self, condition: str | None, kind: CauseKind) -> Cause:
        """The events end with one ConnectionClosed of this cause; nothing more goes out."""
        self.peer.finish()
        events = self.drop_events()
        assert [type(event) for event in events].count(ConnectionClosed) == 1, events
        assert type(events[-1]) is ConnectionClosed
        cause = events[-1].cause
        assert cause is not None
        assert (cause.kind, cause.condition) == (kind, condition), cause
        for event in events:
            if type(event) in (SessionEnded, LinkDetached):
                assert event.cause == cause
        assert self.engine.is_closed
        assert self.engine.cause == cause
        assert self.engine.next_deadline() is None
        self._push(b"\x00" * 8)
        self.engine.tick(self.now + 1e6)
        self.done()
        return cause

    def session_fails(self, session: Session, condition: str) -> Cause:
        """The engine ends the session with this condition; the rest of the connection stays."""
        came = self.peer.expect("end", error={"condition": condition, "description": ANY})
        self.peer.send("end", channel=self.peer.tracker.our_channel(came.channel))
        events = self.drop_events()
        assert type(events[-1]) is SessionEnded, events
        assert events[-1].session is session
        cause = events[-1].cause
        assert cause is not None
        assert (cause.kind, cause.condition) == (CauseKind.PROTOCOL, condition)
        assert all(event.cause == cause for event in events if type(event) is LinkDetached)
        assert not self.engine.is_closed
        self.done()
        return cause

    def link_fails(self, link: Sender | Receiver, condition: str) -> Cause:
        """The engine detaches the link with this condition; the session stays."""
        self.peer.accept_detach(closed=True, error={"condition": condition, "description": ANY})
        event = self.event(LinkDetached)
        assert event.link is link
        assert event.cause is not None
        assert (event.cause.kind, event.cause.condition) == (CauseKind.PROTOCOL, condition)
        self.done()
        return event.cause

    def misuse(self, text: str) -> Any:
        """The engine refuses what its user asks."""
        return pytest.raises(LocalProtocolError, match=text)


@pytest.fixture(params=[None, 1], ids=["whole", "bytes"])
def rig(request: pytest.FixtureRequest) -> Rig:
    """A rig; each test runs twice: the peer's bytes come as they are sent, and one by one."""
    return Rig(request.param)


def symbols(*names: str) -> tuple[Symbol, ...]:
    return tuple(Symbol(name) for name in names)


def error(condition: str, description: str | None = None, info: dict[Any, Any] | None = None) -> Composite:
    return Composite("error", {"condition": condition, "description": description, "info": info})


__all__ = [
    "MESSAGE",
    "ConnectionClosed",
    "ConnectionOpened",
    "ConnectionOpening",
    "LinkDetached",
    "LinkOpened",
    "LinkOpening",
    "Rig",
    "SessionEnded",
    "SessionOpened",
    "SessionOpening",
    "error",
    "rig",
    "symbols",
]
