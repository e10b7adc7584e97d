"""A small front of its own, on `uamqp.core` and a driver: it shows what they offer to any front, in either world, for
its operations are coroutines: an event loop runs them, or `uamqp.transport.drive.run` with a `BlockingDriver`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from uamqp import codec, core
from uamqp.engine import Cause, EngineConfig, IncomingDelivery, LocalProtocolError, sasl
from uamqp.transport.driver import Driver
from uamqp.transport.sansio.endpoint import Endpoint
from uamqp.transport.signals import Signal

OPENING = 20.0
OVER = (core.LinkState.CLOSED, core.LinkState.LOST)


def lost(cause: Cause | None) -> ConnectionError:
    return ConnectionError("it was closed" if cause is None else core.Failure.of(cause).description)


class Connection:
    """A connection, with one session, and what opens and waits for its links."""

    def __init__(self, url: str, make_driver: Callable[[core.ConnectionCore], Driver]) -> None:
        self.host = core.address.parse(url).host
        self.core = core.ConnectionCore(self)
        self.driver = make_driver(self.core)
        self.session = core.SessionCore(self.core, incoming_window=1000)
        self.changed = Signal()

    async def open(self) -> Connection:
        config = EngineConfig("second-front", hostname=self.host.name, mechanisms=[sasl.Anonymous()])
        endpoint = await self.driver.prepare(lambda: Endpoint.of(self.host.name, self.host.port, None), is_quick=True)
        await self.driver.start(endpoint, config, None)
        await self.wait(self.changed, lambda: self.core.is_open, OPENING)
        return self

    def on_connection_opened(self) -> None:
        self.changed.fire()

    def on_connection_closed(self, cause: Cause | None) -> None:
        self.changed.fire()

    def on_attach(self, link: core.LinkCore) -> None: ...

    def on_link_state(self, previous: core.LinkState, state: core.LinkState) -> None:
        self.changed.fire()

    async def wait(self, signal: Signal, done: Callable[[], bool], timeout: float | None) -> None:
        if not await self.driver.wait(signal, done, self.driver.deadline(timeout)):
            if self.core.ended or timeout is None:
                raise lost(self.core.cause)
            raise TimeoutError(f"not done within {timeout:g} seconds")

    async def attach(self, link: core.LinkCore) -> None:
        self.driver.command("attaching a link", link.open)
        await self.wait(self.changed, lambda: link.state in (core.LinkState.OPEN, *OVER), OPENING)
        if link.state in OVER:
            raise lost(link.cause)


class Delivery:
    """A message that was sent: await it for its outcome."""

    def __init__(self, connection: Connection, body: bytes) -> None:
        self.connection = connection
        self.body = body
        self.outcome: core.Outcome | None = None
        self.decided = Signal()

    def __await__(self) -> Generator[Any, Any, core.Outcome | None]:
        yield from self.connection.wait(self.decided, lambda: self.outcome is not None, None).__await__()
        return self.outcome


class Sender(core.Outgoing):
    """Sends to a node."""

    def __init__(self, connection: Connection, node: str) -> None:
        super().__init__(None, 60.0)
        self.connection = connection
        settings = core.LinkSettings(f"to-{node}", codec.Source(), codec.Target(node))
        self.core = core.SenderCore(connection.session, settings, connection)

    async def open(self) -> Sender:
        await self.connection.attach(self.core)
        self.connection.driver.command("beginning to send", lambda now: self.begin_link(self.core, now))
        return self

    def send(self, body: bytes, timeout: float | None = None) -> Delivery:
        delivery = Delivery(self.connection, body)

        def submit(now: float) -> Delivery:
            self.add(delivery, now, timeout)
            self.hand_over(now)
            self.connection.core.timers.watch(self)
            return delivery

        return self.connection.driver.command("sending", submit)

    def encode(self, entry: core.Entry) -> bytes:
        return codec.encode_data(entry.item.body)

    def finished(self, entry: core.Entry, outcome: core.Outcome) -> None:
        entry.item.outcome = outcome
        entry.item.decided.fire()


class Receiver(core.Incoming):
    """Receives from a node, by iteration: a message is accepted when the next one is asked for."""

    def __init__(self, connection: Connection, node: str, credit: int = 10) -> None:
        self.messages = core.Inbox()
        super().__init__(self.messages)
        self.connection = connection
        self.arrived = Signal()
        settings = core.LinkSettings(f"from-{node}", codec.Source(node), codec.Target())
        self.core = core.ReceiverCore(connection.session, settings, self, credit_window=credit)
        self.serve(self.core)

    async def open(self) -> Receiver:
        await self.connection.attach(self.core)
        return self

    def on_link_state(self, previous: core.LinkState, state: core.LinkState) -> None:
        self.arrived.fire()
        self.connection.changed.fire()

    def take_in(self, delivery: IncomingDelivery, data_start: int) -> None:
        super().take_in(delivery, data_start)
        self.arrived.fire_one()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        inbox, link, driver = self.messages, self.core, self.connection.driver
        while link.state not in OVER:
            await self.connection.wait(self.arrived, lambda: len(inbox) > 0 or link.state in OVER, None)
            for delivery in driver.command("handing a message out", lambda now: inbox.hand_out(1, False, [])):
                yield b"".join(codec.body_parts(delivery.payload, codec.scan_sections(delivery.payload)))
                try:
                    driver.command("accepting", lambda now: core.settle(delivery, codec.ACCEPTED))  # noqa: B023 (at once)
                except LocalProtocolError:
                    raise lost(link.cause) from None
        raise lost(link.cause)
