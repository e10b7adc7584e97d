"""`SendClientAsync`: many tasks that send over one client, and cancelling them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_sender,
    body_of,
    noting,
    settle,
    url,
)
from tests.support.waiting import bounded
from uamqp import Message, SendClientAsync, Target, errors
from uamqp.authentication import JWTTokenAsync
from uamqp.constants import MessageState
from uamqp.testing import Broker

LIMIT = 30.0


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(main(), LIMIT), debug=True)


class Counted:
    """Awaits a coroutine, and counts how often it is gone on with."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self.turns = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.coroutine.__await__()
        value: Any = None
        raised: BaseException | None = None
        while True:
            self.turns += 1
            try:
                waits_for = steps.send(value) if raised is None else steps.throw(raised)
            except StopIteration as done:
                return done.value
            value, raised = None, None
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 (it is for the coroutine)
                raised = error


async def awaited(counted: Counted) -> Any:
    return await counted


def start(coroutine: Coroutine[Any, Any, Any]) -> tuple[Counted, asyncio.Task[Any]]:
    counted = Counted(coroutine)
    return counted, asyncio.get_running_loop().create_task(awaited(counted))


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def is_as_new(message: Message) -> bool:
    return (message.state, message.settled, message.retries) == (MessageState.WaitingToBeSent, False, 0)


async def opened(target: str) -> SendClientAsync:
    client = SendClientAsync(target)
    await client.open_async()
    while not await client.client_ready_async():
        pass
    return client


# -- many tasks


def one_by_one(count: int) -> Callable[[SocketPeer], None]:
    """Settle each of so many messages by itself, the next when the client has dealt with the last."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=count + 1)
        settle(peer, peer.expect("transfer"))
        came = [peer.expect("transfer") for _ in range(count)]
        peer.tell("all are here")
        for transfer in reversed(came):
            settle(peer, transfer)
            if transfer is not came[0]:  # with the last outcome the client is done, and closes
                peer.send("flow", echo=True, handle=None)
                peer.expect("flow")
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    return script


@pytest.mark.parametrize("how", ["send", "wait"])
def test_an_outcome_wakes_who_waits_for_it(how: str) -> None:
    """How often the tasks go on is a matter of how many they are, not of that times the outcomes."""
    count = 60

    async def main(server: ScriptedServer) -> None:
        client = await opened(url(server))
        await client.send_message_async(Message(b"the first"))
        if how == "send":
            started = [start(client.send_message_async(Message(b"%d" % number))) for number in range(count)]
        else:
            client.queue_message(*[Message(b"%d" % number) for number in range(count)])
            started = [start(client.wait_async()) for _ in range(count)]
        await in_thread(server.wait, "all are here")
        await asyncio.gather(*(task for _, task in started))
        await client.close_async()
        # A task goes on to start, for its outcome, and once to lead the others; the leader does for each turn of all.
        assert sum(counted.turns for counted, _ in started) <= 9 * count

    with ScriptedServer(one_by_one(count)) as server:
        run(lambda: main(server))


def test_many_tasks_over_one_client(broker: Broker) -> None:
    async def main() -> None:
        async with SendClientAsync(broker.url + "/q") as client:
            await asyncio.gather(*(client.send_message_async(Message(b"%d" % number)) for number in range(500)))
            assert client.pending_messages == []

    run(main)
    assert {view.body for view in broker.queue("q").messages} == {b"%d" % number for number in range(500)}


def test_tasks_that_come_while_another_waits(broker: Broker) -> None:
    """The one that takes the steps waits for its own outcome, which doesn't come; others come and go meanwhile."""

    async def main() -> None:
        async with SendClientAsync(broker.url + "/q") as client:
            await client.send_message_async(Message(b"the first"))
            broker.faults.withhold_outcomes = True
            stuck = asyncio.ensure_future(client.send_message_async(Message(b"stuck")))
            await turns(5)
            await in_thread(broker.wait_for, lambda: broker.queue("q").depth == 2)
            broker.faults.withhold_outcomes = False
            broker.faults.withhold_outcomes = True
            second = [asyncio.ensure_future(client.send_message_async(Message(b"%d" % number))) for number in range(50)]
            await in_thread(broker.wait_for, lambda: broker.queue("q").depth == 52)
            broker.faults.withhold_outcomes = False
            await asyncio.gather(stuck, *second)

    run(main)


def test_a_lost_link_is_told_to_all() -> None:
    count = 30

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=20)
        for _ in range(20):
            peer.expect("transfer")
        peer.tell("twenty are here")
        peer.wait("thirty wait")
        peer.send("detach", handle=0, closed=True, error=codec.error("amqp:internal-error", "the peer's reason"))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    async def main(server: ScriptedServer) -> None:
        client = await opened(url(server))
        messages = [Message(b"%d" % number) for number in range(count)]
        tasks = [asyncio.ensure_future(client.send_message_async(message)) for message in messages]
        await in_thread(server.wait, "twenty are here")
        server.tell("thirty wait")
        raised = await asyncio.gather(*tasks, return_exceptions=True)
        fates = []
        for error, message in zip(raised, messages, strict=True):
            assert isinstance(error, errors.LinkDetach)
            assert list(error.message_fates) == [message]
            fates.append(error.message_fates[message])
        assert fates == ["unknown"] * 20 + ["not sent"] * 10
        assert len({id(error.__cause__) for error in raised if error is not None}) == 1
        assert all(map(is_as_new, messages))
        assert client.pending_messages == []
        await client.close_async()

    with ScriptedServer(script) as server:
        run(lambda: main(server))


def test_who_reopens_the_client_at_once_sends_nothing_of_the_others() -> None:
    """One task that is told closes the client and sends again; what the others have sent isn't sent a second time."""

    def first(peer: SocketPeer) -> None:
        accept_sender(peer)
        for _ in range(3):
            peer.expect("transfer")
        peer.tell("three are here")
        peer.wait("three wait")
        peer.reset_socket()

    def second(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = peer.expect("transfer")
        assert body_of(came) == b"0"
        settle(peer, came)
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    async def main(server: ScriptedServer) -> None:
        client = await opened(url(server))
        messages = [Message(b"%d" % number) for number in range(3)]

        async def send_again(message: Message) -> None:
            try:
                await client.send_message_async(message)
            except errors.ConnectionClose:
                await client.close_async()
                await client.send_message_async(message)

        tasks = [asyncio.ensure_future(send_again(messages[0]))]
        tasks += [asyncio.ensure_future(client.send_message_async(message)) for message in messages[1:]]
        await in_thread(server.wait, "three are here")
        server.tell("three wait")
        raised = await asyncio.gather(*tasks, return_exceptions=True)
        assert raised[0] is None
        for error, message in zip(raised[1:], messages[1:], strict=True):
            assert isinstance(error, errors.AMQPError)
            assert dict(error.message_fates) == {message: "unknown"}
        await client.close_async()

    with ScriptedServer([first, second]) as server:
        run(lambda: main(server))


def test_closing_is_told_to_all(broker: Broker) -> None:
    broker.faults.withhold_outcomes = True

    async def main() -> None:
        client = await opened(broker.url + "/q")
        messages = [Message(b"%d" % number) for number in range(20)]
        tasks = [asyncio.ensure_future(client.send_message_async(message)) for message in messages]
        waiting = asyncio.ensure_future(client.wait_async())
        await in_thread(broker.wait_for, lambda: broker.queue("q").depth == 20)
        await client.close_async()
        assert await waiting is False
        raised = await asyncio.gather(*tasks, return_exceptions=True)
        for error, message in zip(raised, messages, strict=True):
            assert isinstance(error, errors.ClientMessageError)
            assert dict(error.message_fates) == {message: "unknown"}
        assert client.pending_messages == []

    run(main)


def test_a_time_out_is_noticed_though_the_leader_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a token, in place of one that has ended."""
    ahead = 0.0
    monkeypatch.setattr("uamqp.classic.cbs.tokens.wall", lambda: time.time() + ahead)

    async def main() -> None:
        nonlocal ahead
        release = asyncio.Event()
        release.set()

        async def get_token() -> Any:
            await release.wait()
            return SimpleNamespace(token="t", expires_on=time.time() + ahead + 60)

        address = f"amqp://127.0.0.1:{broker.port}/q"
        auth = JWTTokenAsync(address, address, get_token, port=broker.port, use_tls=False, timeout=60)
        client = SendClientAsync(Target(address), auth=auth, msg_timeout=200)
        await client.open_async()
        while not await client.client_ready_async():
            pass
        release.clear()
        ahead = 61
        tasks = [asyncio.ensure_future(client.send_message_async(Message(b"x"))) for _ in range(3)]
        raised = await asyncio.wait_for(asyncio.gather(*tasks[1:], return_exceptions=True), 30)
        assert all(isinstance(error, errors.ClientMessageError) for error in raised)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        release.set()
        await client.close_async()

    with Broker(cbs=True) as broker:
        run(main)


def test_what_is_queued_while_a_task_waits_goes_out_at_once() -> None:
    """The task waits for another message, of which the peer says nothing before it has all."""
    arrived = threading.Event()

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = [peer.expect("transfer")]
        arrived.set()
        came += [peer.expect("transfer") for _ in range(2)]
        assert [body_of(each) for each in came] == [b"first", b"queued", b"last"]
        for each in came:
            settle(peer, each)
        peer.expect_eof()

    async def main(port: int) -> None:
        client = SendClientAsync(f"amqp://127.0.0.1:{port}/q")
        first = asyncio.ensure_future(client.send_message_async(Message(b"first")))
        assert await asyncio.to_thread(arrived.wait, LIMIT)
        queued = Message(b"queued")
        client.queue_message(queued)
        await asyncio.gather(first, client.send_message_async(Message(b"last")))
        assert queued.state is MessageState.SendComplete
        client._connection._driver.abort("enough")  # type: ignore[union-attr]
        await client.close_async()

    with ScriptedServer(script) as server:
        run(lambda: main(server.port))


# -- cancelling


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("after", range(1, 14))
def test_a_task_that_is_cancelled_leaves_the_others_a_leader(which: int, after: int, broker: Broker) -> None:
    async def main() -> None:
        client = await opened(broker.url + "/q")
        await client.send_message_async(Message(b"the first"))
        messages = [Message(b"%d" % number) for number in range(3)]
        tasks = [asyncio.ensure_future(client.send_message_async(message)) for message in messages]
        await turns(after)
        tasks[which].cancel()
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert [error for number, error in enumerate(done) if number != which] == [None, None]
        if messages[which].state is MessageState.SendComplete:
            assert messages[which].fate is None
        else:
            assert isinstance(done[which], asyncio.CancelledError)
            assert is_as_new(messages[which])
            assert messages[which].fate in ("not sent", "unknown")
        assert client.pending_messages == []
        await client.close_async()
        copies = [view.body for view in broker.queue("q").messages].count(b"%d" % which)
        assert copies == (messages[which].state is MessageState.SendComplete) or messages[which].fate == "unknown"

    run(main)


@pytest.mark.parametrize("followers", [1, 3])
def test_a_task_that_was_to_lead_and_is_cancelled_hands_that_on(followers: int) -> None:
    """The leader's outcome comes; whoever is woken to take its place is cancelled before it goes on."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = [peer.expect("transfer") for _ in range(followers + 2)]
        peer.tell("all are here")
        settle(peer, came[0])
        peer.wait("the leader is done")
        settle(peer, came[-1])
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    async def main(server: ScriptedServer) -> None:
        client = await opened(url(server))
        messages = [Message(b"%d" % number) for number in range(followers + 2)]
        tasks = [asyncio.ensure_future(client.send_message_async(message)) for message in messages]
        await tasks[0]
        for task in tasks[1:-1]:
            task.cancel()
        await asyncio.wait(tasks[1:-1])
        server.tell("the leader is done")
        await asyncio.wait_for(tasks[-1], 10)
        assert [message.fate for message in messages] == [None, *["unknown"] * followers, None]
        await client.close_async()

    with ScriptedServer(script) as server:
        run(lambda: main(server))


def test_each_turn_of_the_loop_is_a_good_one_to_cancel_all_but_one(broker: Broker) -> None:
    async def main() -> None:
        for after in range(25):
            client = await opened(f"{broker.url}/q{after}")
            last = Message(b"last")
            tasks = [asyncio.ensure_future(client.send_message_async(Message(b"x"))) for _ in range(10)]
            tasks.append(asyncio.ensure_future(client.send_message_async(last)))
            await turns(after)
            for task in tasks[:-1]:
                task.cancel()
                await turns(1)
            await asyncio.wait_for(tasks[-1], 10)
            assert last.state is MessageState.SendComplete
            assert client.pending_messages == []
            await client.close_async()

    run(main)


def test_wait_for_and_a_retry_give_one_message() -> None:
    """Nobody listens who would answer; then somebody does."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Broker() as broker:
        port = silent.getsockname()[1]

        async def main() -> None:
            message = Message(b"x")
            client = SendClientAsync(f"amqp://127.0.0.1:{port}/q")
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.send_message_async(message), 0.05)
                assert message.fate == "not sent"
                assert is_as_new(message)
                assert client.pending_messages == []
            await client.close_async()
            async with SendClientAsync(broker.url + "/q") as another:
                await another.send_message_async(message)
                await another.wait_async()

        run(main)
        assert [view.body for view in broker.queue("q").messages] == [b"x"]


def test_a_late_outcome_concerns_the_message_no_more() -> None:
    """It was on its way when its task was cancelled, is sent over another client, and refused by the first peer."""

    def first(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = peer.expect("transfer")
        peer.tell("it is here")
        peer.wait("it is on its way again")
        settle(peer, came, codec.rejected(error=codec.error("amqp:not-allowed", "no")))
        settle(peer, peer.expect("transfer"))
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    def second(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = peer.expect("transfer")
        peer.tell("it is here again")
        peer.wait("the first has answered")
        settle(peer, came)
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    async def main(server: ScriptedServer, other: ScriptedServer) -> None:
        client, another = await opened(url(server)), await opened(url(other))
        message = Message(b"x")
        calls = noting(message)
        task = asyncio.ensure_future(client.send_message_async(message))
        await in_thread(server.wait, "it is here")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert message.fate == "unknown"
        assert is_as_new(message)
        again = asyncio.ensure_future(another.send_message_async(message))
        await in_thread(other.wait, "it is here again")
        server.tell("it is on its way again")
        await client.send_message_async(Message(b"y"))  # what was settled before it has come
        assert (message.state, message.settled, calls) == (MessageState.WaitingForSendAck, False, [])
        other.tell("the first has answered")
        await again
        assert message.state is MessageState.SendComplete
        assert (message.fate or "known", len(calls)) == ("known", 1)
        await client.close_async()
        await another.close_async()

    with ScriptedServer(first) as server, ScriptedServer(second) as other, bounded(10):
        run(lambda: main(server, other))


def test_a_cancelled_message_that_waits_for_credit_is_not_sent() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=0)
        peer.tell("the link is open")
        peer.wait("the first is cancelled")
        peer.grant(10)
        came = peer.expect("transfer")
        assert body_of(came) == b"second"
        settle(peer, came)
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    async def main(server: ScriptedServer) -> None:
        client = await opened(url(server))
        first, second = Message(b"first"), Message(b"second")
        tasks = [asyncio.ensure_future(client.send_message_async(message)) for message in (first, second)]
        await in_thread(server.wait, "the link is open")
        await turns(5)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        assert first.fate == "not sent"
        server.tell("the first is cancelled")
        await tasks[1]
        await client.close_async()

    with ScriptedServer(script) as server:
        run(lambda: main(server))


def test_an_outcome_that_came_before_the_cancelling_counts() -> None:
    """The message is accepted; whoever is cancelled in that moment finds it so, and it isn't sent again."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        settle(peer, peer.expect("transfer"))
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    async def main(server: ScriptedServer) -> None:
        client = await opened(url(server))
        message = Message(b"x")
        task = asyncio.ensure_future(client.send_message_async(message))
        message.on_send_complete = lambda result, error: task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (message.state, message.fate) == (MessageState.SendComplete, None)
        with pytest.raises(errors.MessageAlreadySettled):
            await client.send_message_async(message)
        await client.close_async()

    with ScriptedServer(script) as server:
        run(lambda: main(server))
