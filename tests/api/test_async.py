"""What is the asyncio front's alone. What both have in common is tested with both; marked `both_fronts`."""

from __future__ import annotations

import asyncio
import functools
import select
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.loops import LIMIT, Main, run_uvloop
from tests.support.scripts import accept_leaving, data_message, url, with_credit
from tests.support.waiting import bounded, eventually
from uamqp import (
    AMQPClientAsync,
    AsyncMessageIter,
    Connection,
    ConnectionAsync,
    Message,
    MessageReceiverAsync,
    MessageSenderAsync,
    ReceiveClient,
    ReceiveClientAsync,
    SendClientAsync,
    SessionAsync,
    Source,
    Target,
    errors,
)
from uamqp.async_ops import MgmtOperationAsync
from uamqp.authentication import JWTTokenAsync, JWTTokenAuth, SASLAnonymous, SASTokenAsync, SASTokenAuth
from uamqp.constants import MessageState
from uamqp.testing import Broker, ServiceResponse


def run_asyncio(main: Main) -> Any:
    return asyncio.run(asyncio.wait_for(main(), LIMIT), debug=True)


@pytest.fixture(params=[run_asyncio, run_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Main], Any]:
    runner: Callable[[Main], Any] = request.param
    return runner


def bodies(messages: Any) -> list[str]:
    return [str(message) for message in messages]


# -- the usual course, on each loop


def test_send_and_receive(run: Callable[[Main], Any], broker: Broker, clock: Clock) -> None:
    url = broker.url + "/q"

    async def main() -> None:
        async with SendClientAsync(url) as sender:
            await sender.send_message_async([Message(f"{number}") for number in range(5)])
            sender.queue_message(Message("5"), Message("6"))
            states = await sender.send_all_messages_async(close_on_done=False)
            assert states == [MessageState.SendComplete] * 2
            sender.queue_message(Message("7"))
            assert await sender.wait_async() is True
        clock.stand_until(lambda: broker.queue("q").counters.accepted == 8, then=0.2)
        async with ReceiveClientAsync(url, timeout=200) as receiver:
            first = await receiver.receive_message_batch_async(max_batch_size=3)
            rest = [message async for message in receiver.receive_messages_iter_async()]
            assert bodies(first + rest) == [str(number) for number in range(8)]

    run(main)
    broker.wait_for(lambda: broker.connections == ())
    assert broker.queue("q").counters.accepted == 8


def test_tls_websocket_and_large_messages(run: Callable[[Main], Any], certificates: Certificates, clock: Clock) -> None:
    pair = certificates.server
    body = "x" * 3_000_000

    async def main(broker: Broker, kind: bool) -> None:
        auth = functools.partial(
            SASLAnonymous, "localhost", port=broker.port, verify=certificates.ca, use_websocket=kind
        )
        url = f"amqps://localhost:{broker.port}/q"
        async with SendClientAsync(url, auth=auth()) as sender:
            await sender.send_message_async([Message(body), Message("y")])
        clock.stand_until(lambda: broker.queue("q").counters.accepted == 2, then=0.2)
        async with ReceiveClientAsync(url, auth=auth(), timeout=200) as receiver:
            sizes = [len(str(message)) async for message in receiver.receive_messages_iter_async()]
            assert sizes == [len(body), 1]

    for kind in (False, True):
        with Broker(tls_cert=pair.cert, tls_key=pair.key, websocket=kind) as broker:
            run(functools.partial(main, broker, kind))


def test_callbacks(run: Callable[[Main], Any], broker: Broker, clock: Clock) -> None:
    for number in range(3):
        broker.put("q", Message(f"{number}"))
    seen: list[str] = []

    async def main() -> None:
        clock.stand_until(lambda: len(seen) == 3, then=0.2)
        client = ReceiveClientAsync(broker.url + "/q", timeout=200)
        await client.receive_messages_async(lambda message: seen.append(str(message)))

    run(main)
    assert seen == ["0", "1", "2"]
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_many_tasks_on_one_connection(run: Callable[[Main], Any], broker: Broker) -> None:
    async def main() -> None:
        connection = ConnectionAsync("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))

        async def talk(number: int) -> list[str]:
            url = f"{broker.url}/q{number}"
            sender, receiver = SendClientAsync(url), ReceiveClientAsync(url, timeout=5000)
            await sender.open_async(connection=connection)
            await receiver.open_async(connection=connection)
            await asyncio.gather(*(sender.send_message_async(Message(f"{each}")) for each in range(10)))
            got: list[str] = []
            while len(got) < 10:
                got += bodies(await receiver.receive_message_batch_async())
            await sender.close_async()
            await receiver.close_async()
            return got

        results = await asyncio.gather(*(talk(number) for number in range(10)))
        assert [sorted(result, key=int) for result in results] == [[str(each) for each in range(10)]] * 10
        assert len(broker.connections) == 1
        await connection.destroy_async()

    run(main)


def test_the_parts_by_themselves(run: Callable[[Main], Any], broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(200, "OK", "yes"))

    async def main() -> None:
        auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
        results: list[Any] = []
        async with ConnectionAsync("127.0.0.1", auth) as connection, SessionAsync(connection) as session:
            async with MessageSenderAsync(session, "here", Target("q")) as sender:
                while sender.get_state().name != "Open":
                    await connection.work_async()
                await sender.send_async(Message("x"), lambda message, result, delivery_state: results.append(result))
                while not results:
                    await sender.work_async()
            arrived: list[Message] = []
            async with MessageReceiverAsync(session, Source("q"), "here", arrived.append, prefetch=0) as receiver:
                while receiver.get_state().name != "Open":
                    await receiver.work_async()
                await receiver.reset_link_credit_async(5)
                while not arrived:
                    await connection.work_async()
                assert arrived[0].accept() is True
            operation = MgmtOperationAsync(session)
            assert (await operation.execute_async("READ", b"thing", Message(1)))[0] == 200
            await operation.destroy_async()
            assert (await session.mgmt_request_async(Message(1), b"READ")).get_data() == b"yes"
            await connection.sleep_async(0.01)
            await connection.lock_async()
            with pytest.raises(asyncio.TimeoutError):
                await connection.lock_async(timeout=0.01)
            await connection.release_async()
            await connection.release_async()
            await connection.lock_async(timeout=0.01)

    run(main)
    assert broker.queue("q").counters.accepted == 1


def test_messages_are_settled_from_another_thread(run: Callable[[Main], Any], broker: Broker) -> None:
    """As azure-servicebus does it."""
    for number in range(20):
        broker.put("q", Message(f"{number}"))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with ReceiveClientAsync(broker.url + "/q", auto_complete=False, timeout=5000) as client:
            got: list[Message] = []
            while len(got) < 20:
                got += await client.receive_message_batch_async()
            done = await asyncio.gather(*(loop.run_in_executor(None, message.accept) for message in got))
            assert done == [True] * 20
            await loop.run_in_executor(None, broker.wait_for, lambda: broker.queue("q").counters.accepted == 20)

    run(main)


# -- nothing polls, nothing blocks


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts its turns."""

    turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()  # type: ignore[misc]  # asyncio's own


def test_an_idle_client_does_nothing(broker: Broker) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        client = ReceiveClientAsync(broker.url + "/q", keep_alive_interval=1)
        task = asyncio.ensure_future(client.receive_message_batch_async())
        await loop.run_in_executor(None, broker.wait_for, lambda: broker.queue("q").consumers == 1)
        timer = asyncio.Event()
        for _ in range(10):  # what is under way is done at some time; what polls never is
            timer.clear()
            loop.call_later(0.5, timer.set)
            before = loop.turns
            await timer.wait()
            turns = loop.turns - before
            if turns <= 3:
                break
        assert turns <= 3
        ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("uamqp")]
        assert ours == ["uamqp-testing-broker"]
        broker.put("q", Message("x"))
        assert bodies(await task) == ["x"]
        await client.close_async()

    loop = CountingLoop()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), LIMIT))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


@pytest.mark.parametrize("kind", ["wait", "send"])
def test_a_client_whose_loop_was_closed_while_tasks_waited(broker: Broker, kind: str) -> None:
    broker.faults.withhold_outcomes = True
    client = SendClientAsync(broker.url + "/q")
    message = Message(b"x")
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[Any]:
        if kind == "wait":
            client.queue_message(message)
        task = asyncio.ensure_future(client.wait_async() if kind == "wait" else client.send_message_async(message))
        while message.state is not MessageState.WaitingForSendAck:  # noqa: ASYNC110 (it is sent by and by)
            await asyncio.sleep(0)
        return task

    task = loop.run_until_complete(begin())
    loop.close()
    broker.faults.withhold_outcomes = False

    async def go_on() -> None:
        await client.close_async()
        await client.send_message_async(Message(b"y"))
        await client.close_async()

    asyncio.run(asyncio.wait_for(go_on(), LIMIT))
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_certificates_are_read_off_the_loop(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    made: list[int] = []
    create = ssl.create_default_context

    def noting(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        made.append(threading.get_ident())
        return create(*args, **kwargs)

    monkeypatch.setattr(ssl, "create_default_context", noting)
    pair = certificates.server

    async def main(port: int) -> None:
        auth = SASLAnonymous("localhost", port=port, verify=certificates.ca)
        async with SendClientAsync("amqps://localhost/q", auth=auth) as client:
            await client.send_message_async(Message("x"))

    with Broker(tls_cert=pair.cert, tls_key=pair.key) as broker:
        run_asyncio(functools.partial(main, broker.port))
    assert made
    assert threading.get_ident() not in made


# -- cancelling


@pytest.mark.parametrize("step", range(0, 60, 2))
def test_cancelling_at_any_moment_leaves_what_can_be_closed(broker: Broker, step: int) -> None:
    async def main() -> None:
        sender, receiver = SendClientAsync(broker.url + "/q"), ReceiveClientAsync(broker.url + "/q")

        async def work() -> None:
            await sender.open_async()
            while not await sender.client_ready_async():
                pass
            await sender.send_message_async(Message("x"))
            await receiver.receive_message_batch_async()

        task = asyncio.ensure_future(work())
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await sender.close_async()
        await receiver.close_async()
        await sender.close_async()

    with bounded(10):
        run_asyncio(main)
        broker.wait_for(lambda: broker.connections == ())


def test_cancelling_again_and_again_is_never_forgotten(broker: Broker) -> None:
    """`asyncio.wait_for` before Python 3.12 may swallow a cancellation; nothing of ours may."""

    async def main() -> None:
        for number in range(200):
            client = ReceiveClientAsync(broker.url + "/q")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.receive_message_batch_async(), 0.0005 * (number % 7))
            await client.close_async()

    run_asyncio(main)
    broker.wait_for(lambda: broker.connections == ())


def test_the_peer_hears_of_a_batch_before_the_application_works_on_it() -> None:
    """With asyncio's own loop; uvloop writes at the end of its turn, whatever one asks for."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, 4)
        for number in range(3):
            peer.send_delivery(data_message(b"%d" % number))
        peer.expect("disposition", first=0, last=2, settled=True, state="accepted")
        peer.expect("flow", delivery_count=3, link_credit=4)
        peer.tell("the peer has heard")
        accept_leaving(peer)

    async def main(server: ScriptedServer) -> None:
        async with ReceiveClientAsync(url(server), prefetch=4) as client:
            while client._received_messages.qsize() < 3:
                await client.do_work_async()
            assert len(await client.receive_message_batch_async()) == 3
            server.wait("the peer has heard")  # the loop has no turn meanwhile

    with ScriptedServer(script) as server:
        run_asyncio(functools.partial(main, server))


def test_a_batch_takes_what_has_arrived_meanwhile(run: Callable[[Main], Any]) -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer, 10)
        peer.send_delivery(data_message(b"held"))
        peer.wait("the client holds it")
        peer.send_delivery(data_message(b"in the socket"))
        peer.ignore("disposition", "flow")
        accept_leaving(peer)

    async def main(server: ScriptedServer) -> None:
        async with ReceiveClientAsync(url(server), prefetch=10) as client:
            while client._received_messages.empty():
                await client.do_work_async()
            server.tell("the client holds it")
            connection: Any = client._connection
            await_input(connection._pump._protocol.transport.get_extra_info("socket"))
            assert bodies(await client.receive_message_batch_async()) == ["held", "in the socket"]

    with ScriptedServer(script) as server:
        run(functools.partial(main, server))


def await_input(sock: Any) -> None:
    """Block, loop and all, until there is something to read."""
    ready, _, _ = select.select([sock.fileno()], [], [], LIMIT)
    assert ready


def test_a_cancelled_wait_loses_no_message(broker: Broker) -> None:
    async def main() -> None:
        got: list[str] = []
        async with ReceiveClientAsync(broker.url + "/q", shutdown_after_timeout=False) as client:
            while not await client.client_ready_async():
                pass
            messages = client.receive_messages_iter_async()
            sent = 0
            while len(got) < 20:
                if sent < 20:
                    broker.put("q", Message(f"{sent}"))
                    sent += 1
                try:
                    got.append(str(await asyncio.wait_for(messages.__anext__(), 0.001)))
                except asyncio.TimeoutError:
                    pass
        assert got == [str(number) for number in range(20)]

    run_asyncio(main)


@pytest.mark.parametrize("turns", range(12))
def test_a_cancelled_batch_accepts_nothing_that_is_not_handed_out(broker: Broker, turns: int, clock: Clock) -> None:
    for number in range(20):
        broker.put("q", Message(f"{number}"))
    received: list[str] = []

    async def main() -> None:
        clock.stand_until(lambda: len(received) == 20, then=0.3)
        async with ReceiveClientAsync(broker.url + "/q", prefetch=20, timeout=300) as client:
            received.extend(bodies(await client.receive_message_batch_async(max_batch_size=1)))
            task = asyncio.ensure_future(client.receive_message_batch_async(max_batch_size=20))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                received.extend(bodies(await task))
            except asyncio.CancelledError:
                pass
            while batch := await client.receive_message_batch_async():
                received.extend(bodies(batch))

    run_asyncio(main)
    assert received == [str(number) for number in range(20)]
    assert broker.queue("q").depth == 0


def test_sending_tells_that_the_client_was_closed_meanwhile(broker: Broker) -> None:
    broker.faults.withhold_outcomes = True

    async def main() -> None:
        client = SendClientAsync(broker.url + "/q")
        await client.open_async()
        messages = [Message("x"), Message("y")]
        task = asyncio.ensure_future(client.send_message_async(messages))
        await eventually(lambda: all(message.state is MessageState.WaitingForSendAck for message in messages))
        await client.close_async()
        with pytest.raises(errors.ClientMessageError, match="closed before 2 of 2 messages had an outcome") as caught:
            await task
        assert client.pending_messages == []
        assert caught.value.message_fates == dict.fromkeys(messages, "unknown")

    run_asyncio(main)


def test_a_link_is_attached_though_nobody_drives_the_connection(broker: Broker) -> None:
    async def main() -> None:
        auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
        connection = ConnectionAsync("127.0.0.1", auth)
        session = SessionAsync(connection)
        for number in range(2):  # the first waits for the session, the second doesn't
            sender = MessageSenderAsync(session, b"here", Target(f"{broker.url}/{number}"))
            await sender.open_async()
            await eventually(lambda: sender.get_state().name == "Open")  # noqa: B023 (awaited at once)
        await connection.destroy_async()

    run_asyncio(main)


def test_a_cancelled_close_is_done_at_once(broker: Broker) -> None:
    broker.faults.silent = {"detach", "close"}

    async def main() -> None:
        client = SendClientAsync(broker.url + "/q", close_timeout=300)
        await client.send_message_async(Message("x"))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.close_async(), 0.1)
        await client.close_async()

    with bounded(20):
        run_asyncio(main)


def test_closing_takes_no_longer_than_its_limit(broker: Broker) -> None:
    async def main() -> None:
        client = SendClientAsync(broker.url + "/q", close_timeout=0.2)
        await client.send_message_async(Message("x"))
        broker.faults.silent = {"detach", "close"}
        await client.close_async()

    with bounded(3):
        run_asyncio(main)


def test_closing_ends_what_waits(broker: Broker) -> None:
    async def main() -> None:
        client = ReceiveClientAsync(broker.url + "/q")
        task = asyncio.ensure_future(client.receive_message_batch_async())
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, broker.wait_for, lambda: broker.queue("q").consumers == 1)
        await client.close_async()
        assert await task == []

    with bounded(5):
        run_asyncio(main)


# -- the two fronts


def test_the_loop_argument() -> None:
    """Refused before anything else is looked at, as in 1.6."""
    makers: list[Callable[..., Any]] = [
        lambda wrong, loop: ConnectionAsync(wrong, wrong, loop=loop),
        lambda wrong, loop: SessionAsync(wrong, loop=loop),
        lambda wrong, loop: MessageSenderAsync(wrong, wrong, wrong, loop=loop),
        lambda wrong, loop: MessageReceiverAsync(wrong, wrong, wrong, wrong, loop=loop),
        lambda wrong, loop: MgmtOperationAsync(wrong, loop=loop),
        lambda wrong, loop: AMQPClientAsync(wrong, loop=loop),
        lambda wrong, loop: SendClientAsync(wrong, loop=loop),
        lambda wrong, loop: ReceiveClientAsync(wrong, loop=loop),
    ]
    for make in makers:
        with pytest.raises(ValueError, match=r"Starting Python 3\.10, asyncio no longer supports loop as a parameter"):
            make(5, loop="anything")
    assert SendClientAsync("amqp://h/q").loop is None


def test_an_async_client_without_a_loop(broker: Broker) -> None:
    """1.6's asyncio clients had the blocking methods, too."""
    with SendClientAsync(broker.url + "/q") as sender:
        sender.send_message(Message("x"))
    with ReceiveClientAsync(broker.url + "/q", timeout=5000) as receiver:
        assert bodies(receiver.receive_message_batch()) == ["x"]


def test_blocking_methods_in_a_loop_say_so(broker: Broker) -> None:
    async def main() -> None:
        async with SendClientAsync(broker.url + "/q") as client:
            await client.send_message_async(Message("x"))
            with pytest.raises(RuntimeError, match="Await the method of the same name"):
                client.send_message(Message("y"))

    run_asyncio(main)


def test_a_shared_connection_must_be_of_the_same_front(broker: Broker) -> None:
    connection = Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))

    async def main() -> None:
        with pytest.raises(TypeError, match="shares a ConnectionAsync, not a Connection"):
            await SendClientAsync(broker.url + "/q").open_async(connection=connection)  # type: ignore[arg-type]

    run_asyncio(main)


def test_iterating(broker: Broker, clock: Clock) -> None:
    for number in range(4):
        broker.put("q", Message(f"{number}"))

    async def main() -> None:
        clock.stand_until(lambda: broker.queue("q").counters.accepted == 4, then=0.2)
        client = ReceiveClientAsync(broker.url + "/q", timeout=200)
        messages = client.receive_messages_iter_async()
        assert isinstance(messages, AsyncMessageIter)
        assert client.auto_complete is False
        first = await messages.__anext__()
        assert messages.current_message is first
        assert not first.settled
        await messages.__anext__()
        assert first.settled
        assert messages.receiving
        rest = [message async for message in messages]
        assert len(rest) == 2
        assert not messages.receiving
        assert client.auto_complete is True
        with pytest.raises(StopAsyncIteration):
            await messages.__anext__()

    run_asyncio(main)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 4)


# -- tokens


def url_of(broker: Broker) -> str:
    return f"amqp://127.0.0.1:{broker.port}/q"


def test_tokens_are_of_one_front() -> None:
    async def get() -> Any:
        return None

    url = "amqp://h/q"
    blocking = [
        SASTokenAuth.from_shared_access_key(url, "name", "key", use_tls=False),
        JWTTokenAuth(url, url, lambda: None, use_tls=False),
    ]
    for auth in blocking:
        with pytest.raises(TypeError, match="use SASTokenAsync or JWTTokenAsync"):
            SendClientAsync(url, auth=auth)
    asynchronous: list[Any] = [
        SASTokenAsync.from_shared_access_key(url, "name", "key", use_tls=False),
        JWTTokenAsync(url, url, functools.partial(get), use_tls=False),
    ]
    for auth in asynchronous:
        with pytest.raises(TypeError, match="use SASTokenAuth or JWTTokenAuth"):
            ReceiveClient(url, auth=auth)
    with pytest.raises(ValueError, match="get_token must be a coroutine function"):
        JWTTokenAsync(url, url, lambda: None)
    with pytest.raises(ValueError, match="get_token must be a callable object"):
        JWTTokenAuth(url, url, "token")  # type: ignore[arg-type]


def test_a_callback_that_hangs() -> None:
    async def get() -> Any:
        await asyncio.Event().wait()

    async def main(broker: Broker) -> None:
        auth = JWTTokenAsync(url_of(broker), url_of(broker), get, port=broker.port, use_tls=False, timeout=0.2)
        client = SendClientAsync(url_of(broker), auth=auth)
        with pytest.raises(TimeoutError, match=r"Authorization timeout\."):
            await client.open_async()
        await client.close_async()

    with Broker(cbs=True) as broker, bounded(5):
        run_asyncio(functools.partial(main, broker))


def test_messages_flow_while_a_token_is_renewed(clock: Clock) -> None:
    renewing = asyncio.Event
    calls: list[float] = []

    async def main(broker: Broker) -> None:
        begun, go_on = renewing(), renewing()

        async def get() -> Any:
            calls.append(time.time())
            if len(calls) > 1:
                begun.set()
                await go_on.wait()
            return SimpleNamespace(token=f"token {len(calls)}", expires_on=clock.wall() + 20)

        auth = JWTTokenAsync(url_of(broker), url_of(broker), get, port=broker.port, use_tls=False, refresh_window=19)
        async with SendClientAsync(url_of(broker), auth=auth) as client:
            while not begun.is_set():
                await client.send_message_async(Message("before"))
                clock.move(1)
            sent = broker.queue("q").counters.received
            for _ in range(5):
                await client.send_message_async(Message("meanwhile"))
            assert broker.queue("q").counters.received == sent + 5
            assert len(broker.tokens.put) == 1
            go_on.set()
            while len(broker.tokens.put) < 2:
                await client.send_message_async(Message("after"))

    with Broker(cbs=True) as broker:
        run_asyncio(functools.partial(main, broker))


def test_the_authenticator_by_itself() -> None:
    async def main(broker: Broker) -> None:
        auth = SASTokenAsync.from_shared_access_key(url_of(broker), "name", "key", port=broker.port, use_tls=False)
        with pytest.raises(AttributeError):
            _ = auth.loop
        async with ConnectionAsync("127.0.0.1", auth) as connection:
            await auth.create_authenticator_async(connection)
            assert auth.loop is None
            while (await auth.handle_token_async())[1]:
                await connection.work_async()
            assert len(broker.tokens.put) == 1
            await auth.close_authenticator_async()
            with pytest.raises(errors.AuthenticationException, match="There is no authenticator"):
                await auth.handle_token_async()

    with Broker(cbs=True) as broker:
        run_asyncio(functools.partial(main, broker))


def test_a_host_that_is_not_there() -> None:
    async def main() -> None:
        client = SendClientAsync("amqp://127.0.0.1:1/q")
        with pytest.raises(errors.AMQPConnectionError, match=r"Unable to connect to 127\.0\.0\.1:1"):
            await client.send_message_async(Message("x"))
        await client.close_async()

    run_asyncio(main)
