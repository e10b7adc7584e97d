"""What an exception out of a signal handler leaves behind in the asyncio front: at every line of a loop's callbacks.

`KeyboardInterrupt` leaves the loop wherever it comes. The loop is used again afterwards, as `asyncio.run` does itself.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.support.interrupts import PARTS, Run, everywhere, run_to
from tests.support.waiting import bounded, cancel_the_others
from uamqp import Message, ReceiveClient, ReceiveClientAsync, SendClientAsync, errors
from uamqp.authentication import SASLAnonymous
from uamqp.constants import MessageState, TransportType
from uamqp.testing import Broker

# A task that was left by an exception may not have begun.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
COUNT = 6
every_part = pytest.mark.parametrize("part", range(PARTS))


def raising() -> None:
    raise KeyboardInterrupt


def body(message: Message) -> bytes:
    return b"".join(message.get_data())


class Loop:
    """An event loop in this thread, which a KeyboardInterrupt may leave at any time."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, operation: Coroutine[Any, Any, Any]) -> Any:
        while True:
            task = self._loop.create_task(operation)
            try:
                return self._loop.run_until_complete(task)
            except RuntimeError as error:  # the loop was to stop when it was left
                if "stopped before" not in str(error):
                    raise
                while not task.done():
                    with contextlib.suppress(RuntimeError):
                        self._loop.run_until_complete(task)
                return task.result()

    def close(self) -> None:
        """As `asyncio.run` does it: what is left is cancelled."""
        self.run(cancel_the_others())

    def end(self) -> None:
        self._loop.close()


@pytest.fixture(params=["tcp", "tls", "websocket"])
def broker(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Broker]:
    pair = certificates.server
    settings: dict[str, dict[str, Any]] = {
        "tcp": {},
        "tls": {"tls_cert": pair.cert, "tls_key": pair.key},
        "websocket": {"websocket": True},
    }
    with Broker(**settings[request.param]) as running:
        yield running


@pytest.fixture
def make(broker: Broker, certificates: Certificates, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes clients for the broker, however it is reached."""
    how = request.node.callspec.params["broker"]

    def make(kind: type[Any], queue: str, **settings: Any) -> Any:
        auth = SASLAnonymous(
            "localhost",
            port=broker.port,
            use_tls=how == "tls",
            verify=certificates.ca if how == "tls" else None,
            transport_type=TransportType.AmqpOverWebsocket if how == "websocket" else TransportType.Amqp,
        )
        scheme = "amqps" if how == "tls" else "amqp"
        return kind(f"{scheme}://localhost:{broker.port}/{queue}", auth=auth, **settings)

    return make


def check_nothing_left(broker: Broker, run: Run) -> None:
    try:
        broker.wait_for(lambda: not broker.connections)
    except TimeoutError as error:
        raise AssertionError(f"{run}: a connection is left") from error


def check_says_so(error: errors.AMQPConnectionError, run: Run) -> None:
    assert "was interrupted" in str(error), f"{run}: {error}"


@every_part
def test_sending(broker: Broker, make: Callable[..., Any], part: int) -> None:
    def attempt(number: int) -> Run:
        queue = f"sent{number}"
        loop = Loop()
        client = make(SendClientAsync, queue)
        loop.run(client.send_message_async(Message(b"first")))
        messages = [Message(b"%d" % index) for index in range(3)]
        run = run_to(number, lambda: loop.run(client.send_message_async(messages)), raising)
        with bounded(10):
            loop.close()
            try:
                loop.run(client.send_message_async(Message(b"last")))
            except errors.AMQPConnectionError as error:
                check_says_so(error, run)
            loop.run(client.close_async())
            loop.close()
        check_nothing_left(broker, run)
        loop.end()
        arrived = collections.Counter(view.body for view in broker.queue(queue).messages)
        assert all(count == 1 for count in arrived.values()), f"{run}: {arrived}"
        for message in messages:
            assert message.state is not MessageState.SendComplete or arrived[body(message)] == 1, run
        return run

    list(everywhere(61, attempt, part))


@every_part
def test_receiving(broker: Broker, make: Callable[..., Any], part: int) -> None:
    def attempt(number: int) -> Run:
        queue = f"received{number}"
        loop = Loop()
        client = make(ReceiveClientAsync, queue, prefetch=10)
        got: list[Message] = []

        async def receive() -> None:
            while len(got) < COUNT:
                got.extend(await client.receive_message_batch_async(max_batch_size=3, timeout=10_000))

        async def open_client() -> None:
            await client.open_async()
            while not await client.client_ready_async():
                pass

        loop.run(open_client())
        for index in range(COUNT):
            broker.put(queue, Message(b"%d" % index))
        run = run_to(number, lambda: loop.run(receive()), raising)
        with bounded(10):
            loop.close()
            with contextlib.suppress(errors.AMQPConnectionError):
                got.extend(loop.run(client.receive_message_batch_async(timeout=1)))
            loop.run(client.close_async())
            loop.close()
        check_nothing_left(broker, run)
        loop.end()
        view = broker.queue(queue)
        broker.wait_for(lambda: view.unsettled == 0)
        seen = {body(message) for message in got}
        accepted = view.counters.accepted
        assert accepted + view.depth == COUNT, f"{run}: {accepted} accepted, {view.depth} left"
        assert accepted <= len(seen), f"{run}: {accepted} accepted, {seen} seen"
        with make(ReceiveClient, queue) as rest:
            while view.depth:
                seen |= {body(message) for message in rest.receive_message_batch(timeout=10_000)}
        assert len(seen) == COUNT, f"{run}: {seen}"
        return run

    list(everywhere(61, attempt, part))


def test_between_the_system_call_and_the_protocol(broker: Broker, make: Callable[..., Any]) -> None:
    """It shows when something was read that was never handed over: nobody waits for it."""
    loop = Loop()
    client = make(ReceiveClientAsync, "q", prefetch=10)

    async def open_client() -> None:
        await client.open_async()
        while not await client.client_ready_async():
            pass

    loop.run(open_client())
    broker.put("q", Message(b"x"))
    reading = client._connection._pump._link.reading or client._connection._pump._link
    reading.data_received = lambda data: raising()  # as if it came before the first line
    with pytest.raises(KeyboardInterrupt):
        loop.run(client.receive_message_batch_async(timeout=10_000))
    del reading.data_received
    loop.close()
    with bounded(10), pytest.raises(errors.AMQPConnectionError, match="was interrupted while reading"):
        loop.run(client.receive_message_batch_async(timeout=60_000))
    loop.run(client.close_async())
    loop.close()
    loop.end()
    check_nothing_left(broker, Run(where="reading"))
    broker.wait_for(lambda: broker.queue("q").depth == 1)
