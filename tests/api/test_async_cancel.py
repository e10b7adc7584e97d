"""Tasks that are cancelled while others wait for the same: connecting, TLS, WebSocket, a token, a link, the end.

The broker runs in the loop of the tasks, so that each of its turns takes both sides on, and each stage is met.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer.certs import Certificates
from uamqp import ConnectionAsync, Message, ReceiveClientAsync, SendClientAsync, TransportType, errors
from uamqp.authentication import JWTTokenAsync, SASLAnonymous
from uamqp.testing import Broker, ServiceResponse

LIMIT = 110.0
MOST_TURNS = 1000

WAYS = ["tcp", "tls", "websocket", "tls and websocket", "tokens"]


class Way:
    """A broker in the running loop, and how clients come to it."""

    def __init__(self, broker: Broker, certificates: Certificates, way: str) -> None:
        self.broker = broker
        self.tasks = asyncio.all_tasks()
        secure = "tls" in way
        self.url = f"{'amqps' if secure else 'amqp'}://localhost:{broker.port}/q"
        self._settings: dict[str, Any] = {"port": broker.port, "use_tls": secure}
        if secure:
            self._settings["ssl_context"] = certificates.client_context()
        if "websocket" in way:
            self._settings["transport_type"] = TransportType.AmqpOverWebsocket
        self._has_tokens = way == "tokens"

    def auth(self) -> Any:
        if self._has_tokens:
            return JWTTokenAsync(self.url, self.url, self._token, **self._settings)
        return SASLAnonymous("localhost", **self._settings)

    @staticmethod
    async def _token() -> Any:
        await turns(3)
        return SimpleNamespace(token="token", expires_on=time.time() + 3600)

    def sender(self, **settings: Any) -> SendClientAsync:
        return SendClientAsync(self.url, auth=self.auth(), **settings)

    def receiver(self) -> ReceiveClientAsync:
        return ReceiveClientAsync(self.url, auth=self.auth(), shutdown_after_timeout=False)

    def connection(self) -> ConnectionAsync:
        return ConnectionAsync("localhost", self.auth())

    async def nothing_is_left(self, connections: int = 0) -> None:
        """No connection at the broker, or so many, and no task of ours."""
        await self.broker.wait_for_async(lambda: len(self.broker.connections) == connections)
        while asyncio.all_tasks() - self.tasks:  # noqa: ASYNC110 (nothing announces it; the test has a limit)
            await asyncio.sleep(0)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def opened(way: str, certificates: Certificates) -> AsyncIterator[Way]:
    settings: dict[str, Any] = {"cbs": way == "tokens", "websocket": "websocket" in way}
    if "tls" in way:
        settings["tls"] = certificates.server_context()
    async with Broker("localhost", **settings) as broker:
        broker.serve("$management", lambda request: ServiceResponse(200, "fine", None))
        yield Way(broker, certificates, way)


def at_each_turn(
    way: str, certificates: Certificates, story: Callable[[Way, int], Coroutine[Any, Any, bool]], stride: int = 1
) -> None:
    """Tell a story for 0, 1, 2... turns until a cancelling, until it came too late three times."""

    async def main() -> None:
        async with opened(way, certificates) as place:
            late = 0
            for count in itertools.count(0, stride):
                assert count < MOST_TURNS
                try:
                    late += await story(place, count)
                except Exception as error:
                    raise AssertionError(f"cancelled after {count} turns: {error!r}") from error
                if late == 3:
                    break

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def spawned(*operations: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(operation) for operation in operations]


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


# -- opening


@pytest.mark.parametrize("way", WAYS)
def test_the_other_task_goes_on(certificates: Certificates, way: str) -> None:
    """The one that connects, or puts the token, is cancelled; the one that waits for it isn't, and has its message
    sent."""

    async def story(place: Way, count: int) -> bool:
        client = place.sender()
        first, second = spawned(*(client.send_message_async(Message(text)) for text in (b"first", b"second")))
        await turns(count)
        late = first.done()
        await cancelled(first)
        await second
        await client.close_async()
        await place.nothing_is_left()
        return late

    at_each_turn(way, certificates, story)


@pytest.mark.parametrize("way", WAYS)
def test_the_last_of_many_goes_on(certificates: Certificates, way: str) -> None:
    async def story(place: Way, count: int) -> bool:
        client = place.receiver()
        *most, last = spawned(*(client.receive_message_batch_async(max_batch_size=1) for _ in range(2)))
        most += spawned(client.open_async(), client.client_ready_async())
        await turns(count)
        late = most[1].done() and most[2].done() and client.message_handler is not None
        await cancelled(*most)
        place.broker.put("q", Message(b"x"))
        assert len(await last) == 1
        await client.close_async()
        await place.nothing_is_left()
        return late

    at_each_turn(way, certificates, story, stride=3)


@pytest.mark.parametrize("way", WAYS)
def test_when_all_are_cancelled_nothing_half_open_is_left(certificates: Certificates, way: str) -> None:
    """And the client can be used as if nothing had been."""

    async def story(place: Way, count: int) -> bool:
        client = place.sender()
        tasks = spawned(*(client.send_message_async(Message(b"x")) for _ in range(3)))
        await turns(count)
        late = all(task.done() for task in tasks)
        await cancelled(*tasks)
        connection: Any = client._connection
        stands = connection is not None and connection._pump.is_connected
        await place.nothing_is_left(int(stands))
        await client.send_message_async(Message(b"y"))
        await client.close_async()
        await place.nothing_is_left()
        return late

    at_each_turn(way, certificates, story, stride=2)


@pytest.mark.parametrize("way", ["tcp", "tls", "tokens"])
def test_clients_of_one_connection(certificates: Certificates, way: str) -> None:
    """They share the connecting, and the token."""

    async def story(place: Way, count: int) -> bool:
        connection = place.connection()
        clients = [place.sender() for _ in range(3)]

        async def send(client: SendClientAsync) -> None:
            await client.open_async(connection=connection)
            await client.send_message_async(Message(b"x"))

        first, *others = spawned(*map(send, clients))
        await turns(count)
        late = first.done()
        await cancelled(first)
        await asyncio.gather(*others)
        await clients[0].open_async(connection=connection)
        await clients[0].send_message_async(Message(b"x"))
        for client in clients:
            await client.close_async()
        await connection.destroy_async()
        await place.nothing_is_left()
        return late

    at_each_turn(way, certificates, story, stride=2)


@pytest.mark.parametrize("way", ["tcp", "tokens"])
def test_requests_to_one_node(certificates: Certificates, way: str) -> None:
    """They share its pair of links."""

    async def story(place: Way, count: int) -> bool:
        client = place.sender()
        await client.open_async()
        first, *others = spawned(*(client.mgmt_request_async(Message(b"x"), b"READ") for _ in range(3)))
        await turns(count)
        late = first.done()
        await cancelled(first)
        for answer in await asyncio.gather(*others):
            assert answer.application_properties[b"statusCode"] == 200
        await client.close_async()
        await place.nothing_is_left()
        return late

    at_each_turn(way, certificates, story)


@pytest.mark.parametrize("way", WAYS)
def test_wait_for(certificates: Certificates, way: str) -> None:
    async def main() -> None:
        async with opened(way, certificates) as place:
            for number in range(40):
                client = place.sender()

                async def limited(client: SendClientAsync = client, seconds: float = number * 0.0005) -> None:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(client.send_message_async(Message(b"first")), seconds)

                await asyncio.gather(limited(), client.send_message_async(Message(b"second")))
                await client.close_async()
                await place.nothing_is_left()

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_who_gets_no_token_is_told_why_with_the_others(certificates: Certificates) -> None:
    """What `get_token` raises comes out in each task that waits for it."""

    async def refuse() -> Any:
        await turns(3)
        raise LookupError("no token today")

    async def main() -> None:
        async with opened("tokens", certificates) as place:
            auth = JWTTokenAsync(place.url, place.url, refuse, port=place.broker.port, use_tls=False)
            client = SendClientAsync(place.url, auth=auth)
            tasks = spawned(*(client.send_message_async(Message(b"x")) for _ in range(3)))
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(result, LookupError)
            await client.close_async()
            await place.nothing_is_left()

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_closing_a_client_that_is_being_opened(certificates: Certificates) -> None:
    """The task that opens it gets the error, and a task that opens it anew isn't affected."""

    async def story(place: Way, count: int) -> bool:
        client = place.sender()
        first = asyncio.ensure_future(client.send_message_async(Message(b"first")))
        await turns(count)
        late = first.done()
        closing = asyncio.ensure_future(client.close_async())
        await turns(1)
        second = asyncio.ensure_future(client.send_message_async(Message(b"second")))
        await asyncio.wait([first, closing])
        with contextlib.suppress(errors.ClientMessageError, errors.AMQPConnectionError):
            await first
        await second
        await client.close_async()
        await place.nothing_is_left()
        return late

    at_each_turn("tokens", certificates, story)


# -- the end


@pytest.mark.parametrize("way", ["tcp", "tls", "websocket"])
def test_the_other_task_closes_on(certificates: Certificates, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """The client is closed in good order, which ends with the peer's own close, and only then the other goes on."""
    caplog.set_level(logging.INFO, "uamqp.c_uamqp")

    async def story(place: Way, count: int) -> bool:
        client = place.sender(debug=True)
        await client.send_message_async(Message(b"x"))
        caplog.clear()
        first, second = spawned(client.close_async(), client.close_async())
        await turns(count)
        late = first.done()
        await cancelled(first)
        await second
        assert any(message.startswith("<- [CLOSE]") for message in caplog.messages)
        await place.nothing_is_left()
        return late

    at_each_turn(way, certificates, story)


def test_two_tasks_destroy_a_connection(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uamqp.c_uamqp")

    async def story(place: Way, count: int) -> bool:
        connection = ConnectionAsync("localhost", place.auth(), debug=True)
        client = place.sender()
        await client.open_async(connection=connection)
        await client.send_message_async(Message(b"x"))
        await client.close_async()
        caplog.clear()
        first, second = spawned(connection.destroy_async(), connection.destroy_async())
        await turns(count)
        late = first.done()
        await cancelled(first)
        await second
        assert any(message.startswith("<- [CLOSE]") for message in caplog.messages)
        await place.nothing_is_left()
        return late

    at_each_turn("tcp", certificates, story)


def test_closing_that_all_have_left_is_done_at_once(certificates: Certificates) -> None:
    async def main() -> None:
        async with opened("tcp", certificates) as place:
            client = place.sender(close_timeout=60)
            await client.send_message_async(Message(b"x"))
            place.broker.faults.silent = {"detach", "close"}
            tasks = spawned(client.close_async(), client.close_async())
            await turns(5)
            await cancelled(*tasks)
            await place.nothing_is_left()
            place.broker.faults.clear()
            await client.send_message_async(Message(b"x"))
            await client.close_async()

    asyncio.run(asyncio.wait_for(main(), 30))
