"""Receivers that nobody reads: between calls the peer is given no new credit, in both fronts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.queues import bodies, fill
from tests.support.scripts import data_message, url, with_credit
from tests.support.waiting import bounded, eventually, until
from uamqp import (
    Connection,
    ConnectionAsync,
    Message,
    MessageReceiverAsync,
    ReceiveClient,
    ReceiveClientAsync,
    SendClient,
    SendClientAsync,
    SessionAsync,
    Source,
)
from uamqp.authentication import SASLAnonymous
from uamqp.testing import Broker


def release(message: Message) -> None:
    """As azure-servicebus does with what comes between calls."""
    message.release()


def fail(message: Message) -> None:
    raise ValueError("not now")


def returned(broker: Broker) -> int:
    """How often a message came back."""
    counters = broker.queue("q").counters
    return counters.released + counters.modified


def shared(broker: Broker, kind: type[Connection] = Connection) -> Any:
    return kind("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))


async def traffic(broker: Broker, connection: ConnectionAsync | None = None) -> None:
    """Turns of the loop, and of the broker, enough for a message to go to and fro some hundred times."""
    async with SendClientAsync(broker.url + "/other") as client:
        if connection is not None:
            await client.close_async()
            await client.open_async(connection=connection)
        for _ in range(200):
            await client.send_message_async(Message("x"))


async def ready(client: ReceiveClientAsync) -> ReceiveClientAsync:
    await client.open_async()
    while not await client.client_ready_async():
        pass
    return client


class Method(ReceiveClientAsync):
    def _message_received(self, message: Message) -> None:  # as programs for 1.6 do
        message.release()


class Property(ReceiveClientAsync):
    @property  # type: ignore[misc]
    def _message_received(self) -> Callable[[Message], Any]:
        return release


async def before(client: ReceiveClientAsync) -> None:
    client._message_received = release


async def nothing(client: ReceiveClientAsync) -> None:
    pass


async def of_the_link(client: ReceiveClientAsync) -> None:
    client.message_handler.on_message_received = release  # type: ignore[union-attr]


async def that_fails(client: ReceiveClientAsync) -> None:
    client._message_received = fail


WAYS: dict[str, tuple[type[ReceiveClientAsync], Callable[[Any], Awaitable[None]], Callable[[Any], Awaitable[None]]]] = {
    "set before": (ReceiveClientAsync, before, nothing),
    "set later": (ReceiveClientAsync, nothing, before),
    "set on the link": (ReceiveClientAsync, nothing, of_the_link),
    "a method": (Method, nothing, nothing),
    "a property": (Property, nothing, nothing),
    "one that fails": (ReceiveClientAsync, that_fails, nothing),
}


@pytest.mark.parametrize("prefetch", [1, 2, 10])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_given_back_between_calls_isnt_asked_for_again(broker: Broker, way: str, prefetch: int) -> None:
    kind, first, later = WAYS[way]

    async def main() -> None:
        client = kind(broker.url + "/q", prefetch=prefetch, auto_complete=False)
        await first(client)
        await ready(client)
        await later(client)
        fill(broker, 1)
        await traffic(broker)
        assert returned(broker) <= prefetch
        await client.close_async()

    with bounded(20):
        asyncio.run(main())
    broker.wait_for(lambda: broker.queue("q").depth == 1)


class Contextual:
    """What azure-servicebus has in place of `_message_received`: it keeps what comes while a call receives."""

    def __init__(self, client: ReceiveClient) -> None:
        self.receiving = False
        self._client = client
        client._message_received = self

    def __call__(self, message: Message) -> None:
        self._client._was_message_received = True
        if self.receiving:
            self._client._received_messages.put(message)
        else:
            message.release()

    async def during(self, call: Awaitable[Any]) -> Any:
        self.receiving = True
        try:
            return await call
        finally:
            self.receiving = False


def test_between_the_messages_of_an_iteration(broker: Broker) -> None:
    fill(broker, 3)

    async def main() -> None:
        client = ReceiveClientAsync(broker.url + "/q", prefetch=1, auto_complete=False)
        context = Contextual(client)
        messages = client.receive_messages_iter_async()
        for number in range(3):
            message = await context.during(messages.__anext__())
            assert bodies([message]) == [number]
            before = returned(broker)
            await traffic(broker)
            assert returned(broker) <= before + 1
            message.accept()
        await client.close_async()

    with bounded(20):
        asyncio.run(main())
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_between_steps_and_batches(broker: Broker) -> None:
    fill(broker, 4)

    async def main() -> None:
        client = ReceiveClientAsync(broker.url + "/q", prefetch=1, auto_complete=False)
        context = Contextual(client)
        await client.open_async()

        async def work() -> None:
            while client._received_messages.empty():
                await client.do_work_async()

        for turn in range(4):
            if turn % 2:
                (message,) = await context.during(client.receive_message_batch_async())
            else:
                await context.during(work())
                message = client._received_messages.get()
            assert bodies([message]) == [turn]
            before = returned(broker)
            await traffic(broker)
            assert returned(broker) <= before + 1
            message.accept()
        await client.close_async()

    with bounded(20):
        asyncio.run(main())


def test_credit_by_hand_is_given_though_nobody_receives(broker: Broker) -> None:
    """azure-servicebus asks for so many messages, and then receives."""

    async def main() -> None:
        client = ReceiveClientAsync(broker.url + "/q", prefetch=1, auto_complete=False)
        context = Contextual(client)
        await ready(client)
        context.receiving = True
        handler: Any = client.message_handler
        await handler.reset_link_credit_async(5)
        fill(broker, 6)
        await eventually(lambda: client._received_messages.qsize() >= 5)
        await traffic(broker)
        assert client._received_messages.qsize() == 5
        assert await client.do_work_async()
        while client._received_messages.qsize() < 6:
            await client.do_work_async()
        await client.close_async()

    with bounded(20):
        asyncio.run(main())


def test_a_link_without_a_client(broker: Broker) -> None:
    """It is given credit when it opens, and when somebody works the link or the connection."""
    fill(broker, 1)

    async def main() -> None:
        async with shared(broker, ConnectionAsync) as connection, SessionAsync(connection) as session:
            receiver = MessageReceiverAsync(session, Source("q"), "me", release, prefetch=1)
            await receiver.open_async()
            await eventually(lambda: returned(broker) >= 1)
            await traffic(broker, connection)
            assert returned(broker) == 1
            for work in (receiver.work_async, connection.work_async, lambda: connection.sleep_async(0.001)):
                count = returned(broker)
                while returned(broker) == count:
                    await work()

    with bounded(20):
        asyncio.run(main())


# -- the blocking front: others drive the connection


def test_clients_of_one_connection_do_not_read_for_each_other(broker: Broker) -> None:
    connection = shared(broker)
    client = ReceiveClient(broker.url + "/q", prefetch=1, auto_complete=False)
    client._message_received = release
    client.open(connection=connection)
    until(client.client_ready, lambda: None)
    fill(broker, 1)
    other, reader = SendClient(broker.url + "/other"), ReceiveClient(broker.url + "/other")
    with bounded(20):
        for one in (other, reader):
            one.open(connection=connection)
        for _ in range(50):
            other.send_message(Message("x"))
            assert len(reader.receive_message_batch(timeout=5000)) == 1
        assert returned(broker) <= 1
        for one in (other, reader, client):
            one.close()
        connection.destroy()


def test_the_keep_alive_thread_reads_for_nobody(broker: Broker, clock: Clock) -> None:
    came = threading.Semaphore(0)

    def take(message: Message) -> None:
        message.release()
        came.release()

    client = ReceiveClient(broker.url + "/q", prefetch=1, auto_complete=False, keep_alive_interval=1)
    client._message_received = take
    client.open()
    until(client.client_ready, lambda: None)
    fill(broker, 1)
    until(lambda: came.acquire(timeout=0.05), lambda: clock.move(1.1))  # by that thread
    for _ in range(2):
        clock.move(1.1)
        assert not came.acquire(timeout=0.2)  # it has worked again
    client.close()


# -- but what calls ask for is still asked for


@pytest.mark.parametrize("kind", ["batch", "iteration", "callback", "override"])
@pytest.mark.parametrize("front", ["blocking", "asyncio"])
def test_credit_never_lapses_while_calls_follow_one_another(front: str, kind: str) -> None:
    """The peer has always had credit for half of the prefetch, or the client holds as much."""
    count, prefetch = 60, 4

    def script(peer: SocketPeer) -> None:
        with_credit(peer, prefetch)
        sent, limit = 0, prefetch
        peer.ignore("disposition")
        while sent < count:
            while sent < min(limit, count):
                peer.send_delivery(data_message(b"%d" % sent))
                sent += 1
            if sent < count:
                flow = peer.expect("flow")
                limit = flow["delivery_count"] + flow["link_credit"]
                assert limit <= sent + prefetch
        peer.ignore("flow")
        peer.accept_detach(closed=True)
        peer.accept_end()
        peer.accept_close()

    got: list[Message] = []
    with ScriptedServer(script) as server, bounded(20):
        if front == "asyncio":
            asyncio.run(receive_async(ReceiveClientAsync(url(server), prefetch=prefetch), kind, count, got))
        else:
            receive(ReceiveClient(url(server), prefetch=prefetch), kind, count, got)
    assert bodies(got) == list(range(count))


def receive(client: ReceiveClient, kind: str, count: int, got: list[Message]) -> None:
    def take(message: Message) -> None:
        got.append(message)
        if len(got) == count:
            client._shutdown = True

    if kind == "batch":
        while len(got) < count:
            got += client.receive_message_batch(max_batch_size=1)
    elif kind == "iteration":
        for message in client.receive_messages_iter():
            take(message)
    else:
        if kind == "override":
            client._message_received = take
        client.receive_messages(take)
    client.close()


async def receive_async(client: ReceiveClientAsync, kind: str, count: int, got: list[Message]) -> None:
    def take(message: Message) -> None:
        got.append(message)
        if len(got) == count:
            client._shutdown = True

    if kind == "batch":
        while len(got) < count:
            got += await client.receive_message_batch_async(max_batch_size=1)
    elif kind == "iteration":
        async for message in client.receive_messages_iter_async():
            take(message)
    else:
        if kind == "override":
            client._message_received = take
        await client.receive_messages_async(take)
    await client.close_async()
