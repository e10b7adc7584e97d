"""An AMQP client for these tests: the engine on `EngineProtocol`, with events that can be waited for."""

from __future__ import annotations

import asyncio
import functools
import itertools
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

from uamqp.codec import (
    ACCEPTED,
    APPLICATION_PROPERTIES,
    VALUE,
    Composite,
    Properties,
    Source,
    Symbol,
    Target,
    append_section_header,
    append_value,
)
from uamqp.engine import (
    Engine,
    EngineConfig,
    IncomingDelivery,
    OutgoingDelivery,
    Receiver,
    Sender,
    Session,
    events,
    sasl,
)
from uamqp.testing import Broker
from uamqp.transport.asyncio.protocol import EngineProtocol

E = TypeVar("E")
PATIENCE = 20.0


def story(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Makes a test of a coroutine function."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(function(*args, **kwargs), 600))  # by a clock that a test may have moved

    return run


async def until(broker: Broker, predicate: Callable[[], object]) -> None:
    """Waits for a broker that runs in a thread of its own."""
    await asyncio.to_thread(broker.wait_for, predicate, PATIENCE)


def message(body: bytes, **properties: Any) -> bytes:
    """An encoded message with one data section of up to 255 bytes."""
    head = Properties(**properties).encode() if properties else b""
    return head + b"\x00\x53\x75\xa0" + bytes([len(body)]) + body


def request(body: Any, application: dict[str, Any] | None = None, **properties: Any) -> bytes:
    """An encoded message with application properties and an amqp-value section."""
    out = bytearray(Properties(**properties).encode())
    append_section_header(out, APPLICATION_PROPERTIES)
    append_value(out, application or {})
    append_section_header(out, VALUE)
    append_value(out, body)
    return bytes(out)


def big_message(size: int) -> bytes:
    """An encoded message with a body of so many bytes."""
    return b"\x00\x53\x75\xb0" + size.to_bytes(4, "big") + bytes(itertools.islice(itertools.cycle(range(251)), size))


class Client:
    """One connection; an asynchronous context manager that closes it."""

    def __init__(self, *, open_now: bool = True, **config: Any) -> None:
        self.config: dict[str, Any] = {"container_id": "client", "mechanisms": (sasl.Anonymous(),), **config}
        self.open_now = open_now
        self.events: list[Any] = []
        self.lost = asyncio.Event()
        self._changed = asyncio.Event()
        self._names = itertools.count(1)
        self.protocol: EngineProtocol

    async def connect(self, broker: Broker, tls: ssl.SSLContext | None = None) -> Client:
        """Connects the socket; the connection is not open yet."""
        loop = asyncio.get_running_loop()

        def make() -> EngineProtocol:
            return EngineProtocol(self._engine, self._on_events, on_lost=self.lost.set)

        _, self.protocol = await loop.create_connection(
            make, broker.host, broker.port, ssl=tls, server_hostname="localhost" if tls else None
        )
        return self

    def _engine(self, transport: asyncio.Transport) -> Engine:
        now = asyncio.get_running_loop().time()
        engine = Engine(EngineConfig(**self.config), now)
        if self.open_now:
            engine.open(now)
        return engine

    @property
    def engine(self) -> Engine:
        return self.protocol.engine

    def now(self) -> float:
        return self.protocol.loop.time()

    async def __aenter__(self) -> Client:  # noqa: PYI034 (Self came with Python 3.11)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection, if it is still there, and its socket."""
        self.engine.close(self.now())
        self.protocol.wake()
        try:
            await asyncio.wait_for(self.lost.wait(), 1 if self.engine.is_closed else PATIENCE)
        except asyncio.TimeoutError:
            self.protocol.abort()
            await self.lost.wait()

    def _on_events(self, events: list[Any]) -> None:
        self.events += events
        self._changed.set()

    async def next(self, kind: type[E], where: Callable[[E], object] = lambda _: True) -> E:
        """The first event of this class that nobody has asked for yet."""
        return await asyncio.wait_for(self._next(kind, where), PATIENCE)

    async def _next(self, kind: type[E], where: Callable[[E], object]) -> E:
        while True:
            for event in self.events:
                if type(event) is kind and where(event):
                    self.events.remove(event)
                    return event
            self._changed.clear()
            await self._changed.wait()

    def seen(self, kind: type[E]) -> list[E]:
        """The events of this class that nobody has asked for yet."""
        return [event for event in self.events if type(event) is kind]

    # -- opening

    async def session(self, **options: Any) -> Session:
        """An open session."""
        if self.engine.local_state != 1 or self.engine.remote_state != 1:
            await self.next(events.ConnectionOpened)
        session = self.engine.begin(self.now(), **options)
        self.protocol.wake()
        return (await self.next(events.SessionOpened, lambda event: event.session is session)).session

    async def attach_sender(
        self, target: str | Target | None, session: Session | None = None, **options: Any
    ) -> Sender:
        """A sender, attached or refused."""
        session = session or await self.session()
        link = session.attach_sender(
            self.now(),
            options.pop("name", None) or f"sender-{next(self._names)}",
            source=options.pop("source", Source(address="here")),
            target=Target(address=target) if isinstance(target, str) else target,
            **options,
        )
        self.protocol.wake()
        await self.next(events.LinkOpened, lambda event: event.link is link)
        return link

    async def attach_receiver(
        self, source: str | Source, session: Session | None = None, *, credit: int = 0, window: int = 0, **options: Any
    ) -> Receiver:
        """A receiver, attached or refused."""
        session = session or await self.session()
        link = session.attach_receiver(
            self.now(),
            options.pop("name", None) or f"receiver-{next(self._names)}",
            source=Source(address=source) if isinstance(source, str) else source,
            target=options.pop("target", Target(address="here")),
            **options,
        )
        if credit:
            link.set_credit(credit)
        if window:
            link.auto_credit(window)
        self.protocol.wake()
        await self.next(events.LinkOpened, lambda event: event.link is link)
        return link

    async def refusal(self, link: Sender | Receiver) -> str:
        """The condition with which a link was refused or detached."""
        event = await self.next(events.LinkDetached, lambda event: event.link is link)
        assert event.cause is not None
        return str(event.cause.condition)

    # -- messages

    def submit(self, sender: Sender, payload: bytes, **options: Any) -> OutgoingDelivery:
        """Sends without waiting."""
        delivery = sender.send(payload, **options)
        self.protocol.wake()
        return delivery

    async def outcome(self, delivery: OutgoingDelivery) -> Any:
        """The outcome of a delivery, once it is settled."""
        if not delivery.settled:
            await self.next(OutgoingDelivery, lambda event: event is delivery and event.settled)
        return delivery.remote_state

    async def send(self, sender: Sender, payload: bytes, **options: Any) -> Any:
        """Sends and waits for the outcome."""
        return await self.outcome(self.submit(sender, payload, **options))

    async def receive(self, receiver: Receiver) -> IncomingDelivery:
        """The next message of a link."""
        return await self.next(IncomingDelivery, lambda event: event.link is receiver)

    def settle(self, delivery: IncomingDelivery, outcome: Composite | None = ACCEPTED) -> None:
        """Settles a message."""
        delivery.settle(outcome)  # type: ignore[arg-type]
        delivery.link.taken()
        self.protocol.wake()

    def detach(self, link: Sender | Receiver) -> None:
        """Closes a link."""
        link.detach(self.now())
        self.protocol.wake()

    def give_credit(self, receiver: Receiver, credit: int, **options: Any) -> None:
        """Gives credit."""
        receiver.set_credit(credit, **options)
        self.protocol.wake()


async def connect(broker: Broker, tls: ssl.SSLContext | None = None, **config: Any) -> Client:
    """A client that is connected and about to open."""
    return await Client(**config).connect(broker, tls)


def symbols(*names: str) -> tuple[Symbol, ...]:
    return tuple(Symbol(name) for name in names)


async def closed(client: Any) -> Any:
    """The cause of a connection's end, once its socket is closed."""
    event = await client.next(events.ConnectionClosed)
    await client.lost.wait()
    return event.cause
