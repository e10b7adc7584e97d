"""Clients, connections and credentials that are dropped without being closed: all is released, and it is said."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.support.waiting import until
from uamqp import (
    Connection,
    ConnectionAsync,
    Message,
    MessageSender,
    MessageSenderAsync,
    ReceiveClient,
    ReceiveClientAsync,
    SendClient,
    SendClientAsync,
    Session,
    SessionAsync,
    Target,
    TransportType,
    errors,
)
from uamqp.authentication import JWTTokenAsync, JWTTokenAuth, SASLAnonymous
from uamqp.mgmt_operation import MgmtOperation
from uamqp.testing import Broker, ServiceResponse

LIMIT = 60.0
DESCRIPTORS = Path("/proc/self/fd")


def descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0


def no_more_than(before: int) -> None:
    """Wait until there are no more descriptors than before: the broker closes its own when it comes to it."""
    until(lambda: descriptors() <= before, lambda: time.sleep(0.001))


def helpers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith(("uamqp-flush", "uamqp-keep-alive"))}


@contextlib.contextmanager
def released(broker: Broker, match: str = "unclosed client") -> Iterator[None]:
    """What is dropped in the block is gone at its end: threads, sockets, connections; and there was one warning."""
    gc.collect()
    threads, before = helpers(), descriptors()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        # More than once: a helper thread may be at it just now.
        until(lambda: not broker.connections, gc.collect)
    for thread in helpers() - threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), thread
    no_more_than(before)
    assert [str(warning.message).partition(" <")[0] for warning in caught] == [match]
    assert caught[0].category is ResourceWarning


def fill(broker: Broker, count: int = 3) -> None:
    for number in range(count):
        broker.put("q", Message(f"{number}"))


def plain(broker: Broker, **settings: Any) -> SASLAnonymous:
    return SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False, **settings)


def token() -> Any:
    return SimpleNamespace(token="token", expires_on=time.time() + 3600)


# -- blocking clients


@pytest.mark.parametrize("settings", [{}, {"keep_alive_interval": 3600}], ids=["", "keep-alive"])
def test_a_client_that_sends(broker: Broker, settings: dict[str, Any]) -> None:
    def use() -> None:
        client = SendClient(broker.url + "/out", **settings)
        client.send_message(Message(b"x"))

    with released(broker):
        use()


@pytest.mark.parametrize("front", [SendClient, SendClientAsync])
def test_what_is_queued_with_a_client(broker: Broker, front: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody will send it: that is said, without the messages. Once they have an outcome there is nothing to say."""

    def use(count: int) -> None:
        client = front(broker.url + "/out", client_name="sender")
        client.queue_message(*[Message(b"secret") for _ in range(count)])

    use(0)
    with SendClient(broker.url + "/out") as client:
        client.send_message(Message(b"x"))
    del client
    gc.collect()
    assert not caplog.records
    use(2)
    gc.collect()
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "uamqp.client")
    assert "'sender'" in record.getMessage()
    assert "2 messages" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize("settled", range(4))
@pytest.mark.parametrize("settings", [{}, {"keep_alive_interval": 3600}], ids=["", "keep-alive"])
def test_a_client_that_receives(broker: Broker, settled: int, settings: dict[str, Any]) -> None:
    """What it has settled, and is put off for a moment, is told to the peer; the rest is delivered again."""
    fill(broker)

    def use() -> None:
        client = ReceiveClient(broker.url + "/q", auto_complete=False, prefetch=3, **settings)
        messages: list[Message] = []
        while len(messages) < 3:
            messages += client.receive_message_batch(timeout=5000)
        for message in messages[:settled]:
            message.accept()

    with released(broker):
        use()
    broker.wait_for(lambda: broker.queue("q").depth == 3 - settled)
    assert broker.queue("q").counters.accepted == settled


def test_an_iterator_and_its_client(broker: Broker) -> None:
    fill(broker)

    def use() -> None:
        client = ReceiveClient(broker.url + "/q", shutdown_after_timeout=False)
        messages = client.receive_messages_iter()
        next(messages)

    with released(broker):
        use()


@pytest.mark.parametrize("websocket", [False, True], ids=["tls", "websocket"])
def test_a_client_over_tls(certificates: Certificates, websocket: bool) -> None:
    with Broker("localhost", tls=certificates.server_context(), websocket=websocket) as broker:

        def use() -> None:
            auth = SASLAnonymous("localhost", port=broker.port, verify=certificates.ca, use_websocket=websocket)
            client = SendClient("amqps://localhost/q", auth=auth)
            client.send_message(Message(b"x"))

        with released(broker):
            use()


def test_credentials_that_live_longer() -> None:
    """They are free again."""
    with Broker(cbs=True) as broker:
        url = broker.url + "/q"
        auth = JWTTokenAuth(url, url, token, port=broker.port, use_tls=False)

        def use() -> None:
            client = SendClient(url, auth=auth)
            client.send_message(Message(b"x"))

        for _ in range(2):
            with released(broker):
                use()


def test_it_takes_no_collector(broker: Broker) -> None:
    """A client isn't part of a cycle: it goes with the last reference to it, and its socket with it."""
    fill(broker)

    def use() -> None:
        sender, receiver = SendClient(broker.url + "/out"), ReceiveClient(broker.url + "/q", keep_alive_interval=3600)
        sender.send_message(Message(b"x"))
        receiver.receive_message_batch(timeout=5000)

    gc.collect()
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="unclosed client"):
            use()
        broker.wait_for(lambda: not broker.connections)
    finally:
        gc.enable()


def test_messages_that_live_longer(broker: Broker) -> None:
    """Those that are settled hold nothing up."""
    fill(broker)
    kept: list[Message] = []

    def use() -> None:
        client = ReceiveClient(broker.url + "/q")
        kept.extend(client.receive_message_batch(timeout=5000))

    with released(broker):
        use()
    assert all(message.settled for message in kept)


def test_messages_can_be_settled_without_their_client(broker: Broker) -> None:
    """The connection goes with the last of them."""
    fill(broker)
    kept: list[Message] = []

    def use() -> None:
        client = ReceiveClient(broker.url + "/q", auto_complete=False, prefetch=3)
        while len(kept) < 3:
            kept.extend(client.receive_message_batch(timeout=5000))

    with released(broker):
        use()
        gc.collect()
        assert kept[0].accept()
        assert kept[1].accept()
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 2)
        kept.clear()
    broker.wait_for(lambda: broker.queue("q").depth == 1)


def test_a_client_on_a_connection_of_others(broker: Broker) -> None:
    """Its link goes, with what it holds, when the connection is worked on; the connection and the others stay."""
    fill(broker)
    with Connection("127.0.0.1", plain(broker)) as connection:
        other = SendClient(broker.url + "/out")
        other.open(connection=connection)
        other.send_message(Message(b"x"))

        def use() -> None:
            client = ReceiveClient(broker.url + "/q", auto_complete=False)
            client.open(connection=connection)
            client.receive_message_batch(timeout=5000)

        with pytest.warns(ResourceWarning, match="unclosed client"):
            use()
        connection.work()
        broker.wait_for(lambda: broker.queue("q").consumers == 0 and broker.queue("q").depth == 3)
        other.send_message(Message(b"y"))
        (view,) = broker.connections
        assert (view.senders, view.receivers) == (1, 0)
        other.close()


def test_a_connection_with_all_that_is_on_it(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(200, "fine", None))

    def use() -> None:
        connection = Connection("127.0.0.1", plain(broker))
        session = Session(connection)
        sender = MessageSender(session, b"here", Target(broker.url + "/q"))
        sender.open()
        while sender.get_state().name != "Open":
            connection.work()
        MgmtOperation(session).execute(b"READ", None, Message(b"x"), timeout=5000)

    with released(broker, "unclosed connection"):
        use()


def test_what_was_dropped_in_the_middle_is_released_too(broker: Broker) -> None:
    """The collector may come while another thread works on the connection, and in that thread."""
    fill(broker, 500)
    threshold = gc.get_threshold()

    def use() -> None:
        client = ReceiveClient(broker.url + "/q", auto_complete=False, keep_alive_interval=3600, prefetch=50)
        client.on_cycle = client  # type: ignore[attr-defined]  # only the collector frees it
        for message in client.receive_message_batch(timeout=5000):
            message.accept()

    gc.set_threshold(100)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            for _ in range(5):
                use()
            until(lambda: not broker.connections, gc.collect)
    finally:
        gc.set_threshold(*threshold)


def test_a_client_that_a_thread_uses_is_not_dropped(broker: Broker) -> None:
    got: list[Message] = []

    def receive() -> None:
        with ReceiveClient(broker.url + "/q") as client:
            got.extend(client.receive_message_batch())

    thread = threading.Thread(target=receive)
    thread.start()
    broker.wait_for(lambda: broker.queue("q").consumers == 1)
    gc.collect()
    fill(broker, 1)
    thread.join(LIMIT)
    assert len(got) == 1


def test_what_holds_nothing_is_dropped_in_silence(broker: Broker) -> None:
    """One that never connected, one that was closed, and one whose connection has failed. Warnings are errors here."""
    SendClient(broker.url + "/q").open()
    Connection("127.0.0.1", plain(broker))
    for interval in (None, 3600):
        with SendClient(broker.url + "/q", keep_alive_interval=interval) as client:
            client.send_message(Message(b"x"))
    del client
    lost = SendClient(broker.url + "/q")
    lost.send_message(Message(b"x"))
    broker.drop_connections()
    with pytest.raises(errors.AMQPConnectionError):
        until(lambda: False, lost.do_work)
    del lost
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert caught == []


def test_a_constructor_that_raises_leaves_nothing_to_finalize() -> None:
    for make in (lambda: SendClient("no url"), lambda: Connection("host", "no auth")):  # type: ignore[arg-type]
        with pytest.raises((TypeError, ValueError)):
            make()
    gc.collect()


# -- asyncio


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), LIMIT))


async def dropped(broker: Broker, use: Coroutine[Any, Any, None]) -> None:
    """Use something, and collect it."""
    await use
    while broker.connections:
        gc.collect()
        await asyncio.sleep(0)


async def use_sender(broker: Broker, **settings: Any) -> None:
    client = SendClientAsync(broker.url + "/out", **settings)
    await client.send_message_async(Message(b"x"))


async def use_receiver(broker: Broker) -> None:
    broker.put("q", Message(b"x"))
    client = ReceiveClientAsync(broker.url + "/q", auto_complete=False)
    (message,) = await client.receive_message_batch_async(timeout=5000)
    message.accept()


async def use_iterator(broker: Broker) -> None:
    broker.put("q", Message(b"x"))
    client = ReceiveClientAsync(broker.url + "/q")
    async for _ in client.receive_messages_iter_async():
        break


async def use_heartbeats(broker: Broker) -> None:
    """The loop has timers for it."""
    client = SendClientAsync(broker.url + "/out", idle_timeout=60_000)
    await client.send_message_async(Message(b"x"))


@pytest.mark.parametrize("use", [use_sender, use_receiver, use_iterator, use_heartbeats], ids=lambda use: use.__name__)
def test_an_asyncio_client(use: Callable[[Broker], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with Broker(idle_timeout=60) as broker:
            with pytest.warns(ResourceWarning, match="unclosed client"):
                await dropped(broker, use(broker))

    gc.collect()
    before = descriptors()
    run(main)
    no_more_than(before)


@pytest.mark.parametrize("websocket", [False, True], ids=["tls", "websocket"])
def test_an_asyncio_client_over_tls(certificates: Certificates, websocket: bool) -> None:
    async def use(broker: Broker) -> None:
        kind = TransportType.AmqpOverWebsocket if websocket else TransportType.Amqp
        context = certificates.client_context()
        auth = SASLAnonymous("localhost", port=broker.port, ssl_context=context, transport_type=kind)
        client = SendClientAsync("amqps://localhost/q", auth=auth)
        await client.send_message_async(Message(b"x"))

    async def main() -> None:
        with Broker("localhost", tls=certificates.server_context(), websocket=websocket) as broker:
            with pytest.warns(ResourceWarning, match="unclosed client"):
                await dropped(broker, use(broker))

    run(main)


def test_credentials_of_an_asyncio_client_that_live_longer() -> None:
    async def give() -> Any:
        return token()

    async def use(broker: Broker, auth: JWTTokenAsync) -> None:
        client = SendClientAsync(broker.url + "/q", auth=auth)
        await client.send_message_async(Message(b"x"))

    async def main() -> None:
        with Broker(cbs=True) as broker:
            url = broker.url + "/q"
            auth = JWTTokenAsync(url, url, give, port=broker.port, use_tls=False)
            for _ in range(2):
                with pytest.warns(ResourceWarning, match="unclosed client"):
                    await dropped(broker, use(broker, auth))

    run(main)


def test_an_asyncio_connection_with_all_that_is_on_it(broker: Broker) -> None:
    async def use() -> None:
        connection = ConnectionAsync("127.0.0.1", plain(broker))
        sender = MessageSenderAsync(SessionAsync(connection), b"here", Target(broker.url + "/q"))
        await sender.open_async()
        while sender.get_state().name != "Open":
            await connection.work_async()

    async def main() -> None:
        with pytest.warns(ResourceWarning, match="unclosed connection"):
            await dropped(broker, use())

    run(main)


def test_an_asyncio_client_on_a_connection_of_others(broker: Broker) -> None:
    async def use(connection: ConnectionAsync) -> None:
        client = SendClientAsync(broker.url + "/q")
        await client.open_async(connection=connection)
        await client.send_message_async(Message(b"x"))

    async def main() -> None:
        connection = ConnectionAsync("127.0.0.1", plain(broker))
        with pytest.warns(ResourceWarning, match="unclosed client"):
            await use(connection)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, broker.wait_for, lambda: broker.connections[0].senders == 0)
        await use_again(connection)
        await connection.destroy_async()

    async def use_again(connection: ConnectionAsync) -> None:
        client = SendClientAsync(broker.url + "/q")
        await client.open_async(connection=connection)
        await client.send_message_async(Message(b"x"))
        await client.close_async()

    run(main)


def test_a_client_that_a_task_waits_for_is_not_dropped(broker: Broker) -> None:
    """asyncio itself holds on to no task: what it waits for does."""
    got: list[Message] = []
    done = asyncio.Event()

    async def receive() -> None:
        async with ReceiveClientAsync(broker.url + "/q") as client:
            got.extend(await client.receive_message_batch_async())
        done.set()

    async def main() -> None:
        asyncio.get_running_loop().create_task(receive())
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, broker.wait_for, lambda: broker.queue("q").consumers == 1)
        for _ in range(3):
            gc.collect()
            await asyncio.sleep(0)
        broker.put("q", Message(b"x"))
        await done.wait()

    run(main)
    assert len(got) == 1


def test_dropped_in_another_thread(broker: Broker) -> None:
    """The loop's thread closes the socket."""
    kept: list[Any] = []

    async def use() -> None:
        client = SendClientAsync(broker.url + "/q")
        await client.send_message_async(Message(b"x"))
        kept.append(client)

    async def main() -> None:
        await use()
        with pytest.warns(ResourceWarning, match="unclosed client"):
            await dropped(broker, asyncio.to_thread(kept.clear))

    run(main)


def test_dropped_after_its_loop(broker: Broker) -> None:
    kept: list[Any] = []

    async def use() -> None:
        kept.append(SendClientAsync(broker.url + "/q"))
        await kept[0].send_message_async(Message(b"x"))

    gc.collect()
    before = descriptors()
    run(use)
    with warnings.catch_warnings():  # asyncio warns, too
        warnings.simplefilter("ignore", ResourceWarning)
        kept.clear()
        until(lambda: not broker.connections, gc.collect)
    no_more_than(before)


# -- a loop that was closed before its client


@pytest.mark.parametrize("way", ["tcp", "tls", "websocket"])
@pytest.mark.parametrize("kind", [SendClientAsync, ReceiveClientAsync])
def test_closing_a_client_whose_loop_was_closed(certificates: Certificates, way: str, kind: Any) -> None:
    """In another loop, or in none. It can be opened again."""
    tls = certificates.server_context() if way == "tls" else None
    with Broker("localhost", tls=tls, websocket=way == "websocket") as broker:
        url = f"{'amqp' if tls is None else 'amqps'}://localhost:{broker.port}/q"

        def auth() -> SASLAnonymous:
            context = None if tls is None else certificates.client_context()
            websocket = way == "websocket"
            port = broker.port
            return SASLAnonymous(
                "localhost", port=port, use_tls=tls is not None, ssl_context=context, use_websocket=websocket
            )

        async def use(client: Any) -> None:
            if isinstance(client, SendClientAsync):
                await client.send_message_async(Message(b"x"))
            else:
                await client.receive_message_batch_async(timeout=1)

        async def close_twice(client: Any) -> None:
            await client.close_async()
            await client.close_async()

        gc.collect()
        before = descriptors()
        for close in (lambda client: asyncio.run(close_twice(client)), lambda client: client.close()):
            client = kind(url, auth=auth())
            asyncio.run(use(client))
            close(client)
            broker.wait_for(lambda: not broker.connections)
            asyncio.run(use_and_close(use, client))
            broker.wait_for(lambda: not broker.connections)
        del client
        gc.collect()
        no_more_than(before)


async def use_and_close(use: Callable[[Any], Coroutine[Any, Any, None]], client: Any) -> None:
    await use(client)
    await client.close_async()


def test_using_a_client_whose_loop_was_closed_says_so(broker: Broker) -> None:
    client = SendClientAsync(broker.url + "/q")
    receiver = ReceiveClientAsync(broker.url + "/other", auto_complete=False)
    broker.put("other", Message(b"x"))
    asyncio.run(client.send_message_async(Message(b"x")))
    (message,) = asyncio.run(receiver.receive_message_batch_async(timeout=5000))
    with pytest.raises(errors.AMQPConnectionError, match="the event loop that drove the connection was closed"):
        asyncio.run(client.send_message_async(Message(b"y")))
    with pytest.raises(errors.AMQPConnectionError, match="the event loop that drove the connection was closed"):
        asyncio.run(receiver.receive_message_batch_async(timeout=5000))
    with pytest.raises(RuntimeError):
        message.accept()
    for each in (client, receiver):
        asyncio.run(each.close_async())
    broker.wait_for(lambda: not broker.connections)


# -- a fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_what_a_fork_drops_is_its_parents(certificates: Certificates, way: str) -> None:
    """The collector and the end of the child touch nothing that the parent has, and complain of nothing."""
    program = """
        import gc, os, sys, warnings
        from uamqp import *
        from uamqp.authentication import SASLAnonymous
        port, ca, url = sys.argv[1:]
        settings = {'verify': ca} if ca else {'use_tls': False}
        client = ReceiveClient(url, auth=SASLAnonymous('localhost', port=port, **settings), auto_complete=False)
        messages = client.receive_message_batch(timeout=5000)
        messages.pop().accept()
        child = os.fork()
        if not child:
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                del client, messages
                gc.collect()
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        for message in messages:
            message.accept()
        client.close()
        """
    tls = certificates.server_context() if way == "tls" else None
    with Broker("localhost", tls=tls) as broker:
        fill(broker)
        url = f"{'amqp' if tls is None else 'amqps'}://localhost:{broker.port}/q"
        ca = "" if tls is None else certificates.ca
        command = [sys.executable, "-c", textwrap.dedent(program), str(broker.port), ca, url]
        done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr, done.returncode) == ("7\n", "", 0)
        broker.wait_for(lambda: not broker.connections)
        assert broker.queue("q").counters.accepted >= 1
