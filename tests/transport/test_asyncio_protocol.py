"""`EngineProtocol` by itself: both sides in one loop, over a socket pair of TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.client import big_message, story
from tests.support.clock import Clock
from uamqp.codec import ROLE_RECEIVER, Attach, Begin, Detach, Open, Source, Target
from uamqp.engine import CauseKind, EndpointState, Engine, EngineConfig, IncomingDelivery, Role, events
from uamqp.engine.frames import append_frame
from uamqp.transport.asyncio import protocol
from uamqp.transport.asyncio.protocol import EngineProtocol


class Side:
    """One end: records events, and answers as a server where it is one."""

    def __init__(self, role: Role, **config: Any) -> None:
        self.config = EngineConfig("side", role=role, **config)
        self.events: list[Any] = []
        self.news = asyncio.Event()
        self.lost = 0
        self.writable_again = 0
        self.turns = 0
        self.fails = False
        self.answers = True
        self.protocol = EngineProtocol(
            self.make_engine,
            self.handle_all,
            on_turn=self.turned,
            on_writable=self.writable,
            on_lost=self.gone,
            max_unsent=100_000,
            buffer_size=10_000,
        )

    def make_engine(self, transport: asyncio.Transport) -> Engine:
        # small buffers in the kernel, so that it takes little to fill them
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
        now = self.now()
        engine = Engine(self.config, now)
        if self.config.role is Role.CLIENT:
            engine.open(now)
        return engine

    def now(self) -> float:
        return self.protocol.loop.time()

    @property
    def engine(self) -> Engine:
        return self.protocol.engine

    def handle_all(self, happened: list[Any]) -> None:
        for event in happened:
            self.handle(event)

    def handle(self, event: Any) -> None:
        if self.fails:
            raise LookupError("a mistake in the handler")
        now = self.now()
        if not self.answers:
            pass
        elif type(event) is events.ConnectionOpening:
            self.engine.open(now)
        elif type(event) is events.SessionOpening:
            event.session.accept(now)
        elif type(event) is events.LinkOpening and event.link.local_state is EndpointState.IDLE:
            event.link.accept(now)
        self.events.append(event)
        self.news.set()

    def turned(self) -> None:
        self.turns += 1

    def writable(self) -> None:
        self.writable_again += 1
        self.news.set()

    def gone(self) -> None:
        self.lost += 1
        self.news.set()

    async def until(self, predicate: Any) -> Any:
        while not (found := predicate()):
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 20)
        return found

    async def event(self, kind: type) -> Any:
        return await self.until(lambda: next((event for event in self.events if type(event) is kind), None))


@asynccontextmanager
async def listening(**config: Any) -> AsyncIterator[tuple[Side, int]]:
    """A server for one client, and its port."""
    server = Side(Role.SERVER, **config)
    listener = await asyncio.get_running_loop().create_server(lambda: server.protocol, "127.0.0.1", 0)
    try:
        yield server, listener.sockets[0].getsockname()[1]
    finally:
        server.protocol.abort()
        await server.until(lambda: server.lost)
        listener.close()
        await listener.wait_closed()


@asynccontextmanager
async def pair(**config: Any) -> AsyncIterator[tuple[Side, Side]]:
    """A client and a server, connected; both are gone afterwards."""
    async with listening(**config) as (server, port):
        client = Side(Role.CLIENT, **config)
        await asyncio.get_running_loop().create_connection(lambda: client.protocol, "127.0.0.1", port)
        try:
            yield client, server
        finally:
            client.protocol.abort()
            await client.until(lambda: client.lost)


@story
async def test_open_and_close() -> None:
    async with pair() as (client, server):
        await client.event(events.ConnectionOpened)
        assert client.protocol.peer_certificate() is None
        assert client.turns > 0
        client.engine.close(client.now())
        client.protocol.wake()
        client.protocol.wake()
        await client.until(lambda: client.lost)
        await server.until(lambda: server.lost)
        assert type(client.events[-1]) is events.ConnectionClosed
        assert client.events[-1].cause is None
        assert client.protocol.transport is None
        client.protocol.abort()
        client.protocol.wake()
        await asyncio.sleep(0)
    assert client.lost == server.lost == 1


@story
async def test_the_end_of_the_stream_is_an_event() -> None:
    async with pair() as (client, server):
        await client.event(events.ConnectionOpened)
        server.protocol.abort()
        closed = await client.event(events.ConnectionClosed)
        assert closed.cause.kind is CauseKind.TRANSPORT
        await client.until(lambda: client.lost)


@story
async def test_who_gives_up_does_not_blame_the_peer() -> None:
    async with pair() as (client, _):
        await client.event(events.ConnectionOpened)
        client.protocol.abort()
        closed = await client.event(events.ConnectionClosed)
        assert (closed.cause.kind, closed.cause.message) == (CauseKind.LOCAL, "the connection was given up")


@story
async def test_deadlines_are_kept(clock: Clock) -> None:
    """Heartbeats in both directions keep a connection alive; without them it ends."""
    async with pair(idle_timeout=40) as (client, server):
        await client.event(events.ConnectionOpened)
        beats: list[int] = []

        def count(direction: str, channel: int, performative: object, size: int) -> None:
            if direction == "<-" and performative is None:
                beats.append(1)
                client.news.set()

        client.engine.trace = count
        for _ in range(5):
            before = len(beats)
            clock.move(21)  # half of it, after which a heartbeat is due
            await client.until(lambda: len(beats) > before)  # noqa: B023
        assert not client.engine.is_closed
        server.protocol._disarm()
        server.protocol._arm = lambda: None  # type: ignore[method-assign]  # no heartbeats any more
        clock.move(100)
        closed = await client.event(events.ConnectionClosed)
        assert closed.cause.kind is CauseKind.TIMEOUT


@story
async def test_what_arrived_in_time_is_read_before_a_deadline_is_kept(clock: Clock) -> None:
    """The process may stand still after its loop has looked at the sockets, and before it looks at the clock."""
    async with pair(idle_timeout=40) as (client, server):
        await client.event(events.ConnectionOpened)
        server.protocol._disarm()
        server.protocol._arm = lambda: None  # type: ignore[method-assign]  # it neither sends nor misses anything
        transport = server.protocol.transport
        assert transport is not None
        there = transport.get_extra_info("socket").dup()
        selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        select = selector.select
        frames: list[object] = []

        def note(direction: str, channel: int, performative: object, size: int) -> None:
            if direction == "<-":
                frames.append(performative)
                client.news.set()

        def stand_still(timeout: float | None) -> list[Any]:
            selector.select = select
            there.sendall(bytes.fromhex("0000000802000000"))  # an empty frame
            clock.move(100)
            return []

        client.engine.trace = note
        selector.select = stand_still
        await asyncio.sleep(0)
        await client.until(lambda: frames or client.engine.is_closed)
        assert frames == [None]
        assert not client.engine.is_closed
        clock.move(100)  # nothing arrives now
        closed = await client.event(events.ConnectionClosed)
        assert closed.cause.kind is CauseKind.TIMEOUT
        there.close()


@story
async def test_an_early_deadline_replaces_a_late_one(clock: Clock) -> None:
    async with pair(handshake_timeout=5000.0, link_timeout=500.0) as (client, server):
        await client.event(events.ConnectionOpened)
        server.answers = False
        client.engine.begin(client.now())
        client.protocol.wake()
        await asyncio.sleep(0)
        clock.move(501)
        ended = await client.event(events.SessionEnded)
        assert ended.cause.kind is CauseKind.TIMEOUT


@story
async def test_a_handler_that_fails_ends_the_connection() -> None:
    caught: list[Any] = []
    async with pair() as (client, server):
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: caught.append(context["exception"]))
        await client.event(events.ConnectionOpened)
        server.fails = True
        client.engine.begin(client.now())
        client.protocol.wake()
        await client.until(lambda: client.lost)
        server.fails = False
        await server.until(lambda: server.lost)
    assert isinstance(caught[0], LookupError)


@story
async def test_a_reader_that_pauses_clogs_the_writer_and_not_the_memory() -> None:
    async with pair() as (client, server):
        await client.event(events.ConnectionOpened)
        session = client.engine.begin(client.now(), incoming_window=1_000_000)
        receiver = session.attach_receiver(client.now(), "r", source=Source(address="a"), target=Target(address="b"))
        receiver.set_credit(200)
        client.protocol.wake()
        await server.event(events.CreditChanged)
        link = (await server.event(events.LinkOpened)).link
        assert client.protocol.transport is not None
        client.protocol.transport.pause_reading()
        for _ in range(200):
            link.send(big_message(20_000))
        server.protocol.turn()
        assert not server.protocol.writable
        assert link.queued > 0
        assert len(server.engine.output) < 2_000_000
        client.protocol.transport.resume_reading()
        await client.until(lambda: sum(type(event) is IncomingDelivery for event in client.events) == 200)
        assert server.writable_again >= 1


@story
async def test_a_peer_that_asks_and_does_not_read_is_not_read_from() -> None:
    """Links attached and detached forever: the answers may not pile up."""
    async with listening() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        transport = writer.transport
        frames = bytearray(b"AMQP\x00\x01\x00\x00")
        append_frame(frames, 0, Open("raw"))
        writer.write(bytes(frames))
        await server.event(events.ConnectionOpened)
        transport.pause_reading()  # type: ignore[attr-defined]
        frames.clear()
        append_frame(frames, 0, Begin(None, 0, 1, 1))
        writer.write(bytes(frames))
        frames.clear()
        append_frame(frames, 0, Attach("x", 0, ROLE_RECEIVER, source=Source(address="x" * 200)))
        append_frame(frames, 0, Detach(0, True))
        stopped = server.protocol
        for _ in range(1000):
            writer.write(bytes(frames) * 100)
            await asyncio.sleep(0)
            if not stopped._reading:
                break
        assert not stopped._reading
        assert len(server.engine.output) < 1_000_000
        transport.resume_reading()  # type: ignore[attr-defined]
        while not stopped._reading:
            await reader.read(1_000_000)
        writer.transport.abort()
        await server.until(lambda: server.lost)


@story
async def test_the_last_bytes_have_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER", 0.05)
    async with pair(close_timeout=0.05) as (client, server):
        await client.event(events.ConnectionOpened)
        await server.event(events.ConnectionOpened)
        assert client.protocol.transport is not None
        client.protocol.transport.pause_reading()
        server.protocol.write(bytes(50_000_000))
        server.engine.close(server.now())
        server.protocol.wake()
        await server.until(lambda: server.lost)
        assert type(server.events[-1]) is events.ConnectionClosed


@story
async def test_it_takes_streams_only() -> None:
    side = Side(Role.CLIENT)
    with pytest.raises(TypeError, match="needs a stream"):
        side.protocol.connection_made(asyncio.DatagramTransport())
