"""Callbacks that can only be awaited: each is awaited, or refused when it is given; none is called for nothing."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from tests.support.clock import Clock
from tests.support.queues import bodies, fill
from tests.support.waiting import bounded
from uamqp import (
    AsyncMessageIter,
    BatchMessage,
    Connection,
    ConnectionAsync,
    Message,
    MessageReceiver,
    MessageReceiverAsync,
    MessageSender,
    MessageSenderAsync,
    ReceiveClient,
    ReceiveClientAsync,
    SendClient,
    SendClientAsync,
    Session,
    SessionAsync,
    Source,
    Target,
    errors,
)
from uamqp.async_ops.client_async import AMQPClientAsync
from uamqp.authentication import JWTTokenAsync, JWTTokenAuth, SASLAnonymous
from uamqp.client import AMQPClient
from uamqp.constants import MessageState
from uamqp.testing import Broker, ServiceResponse

URL = "amqp://h/q"


async def coroutine_function(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("it was called, where nobody awaits it")


class Holder:
    async def method(self, *args: Any) -> None:
        await coroutine_function()

    async def __call__(self, *args: Any) -> None:
        await coroutine_function()

    @staticmethod
    async def static(*args: Any) -> None:
        await coroutine_function()

    bound = functools.partialmethod(method, 1)


def generator_function(*args: Any) -> Any:
    yield args


async def asynchronous_generator_function(*args: Any) -> Any:
    yield args


ASYNCHRONOUS: dict[str, Any] = {
    "async def": coroutine_function,
    "method": Holder().method,
    "static method": Holder.static,
    "partial": functools.partial(coroutine_function, 1),
    "partial of a partial": functools.partial(functools.partial(coroutine_function), 2),
    "partial method": Holder().bound,
    "object": Holder(),
    "partial of an object": functools.partial(Holder(), 3),
    "mock": mock.AsyncMock(),
}
NEVER_RUN: dict[str, Any] = {
    "generator": generator_function,
    "asynchronous generator": asynchronous_generator_function,
}


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function that leaves its work to whoever awaits, or runs, its result."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


deferred = plain(coroutine_function)


def session() -> Session:
    return Session(Connection("h", SASLAnonymous("h", use_tls=False)))


def session_async() -> SessionAsync:
    return SessionAsync(ConnectionAsync("h", SASLAnonymous("h", use_tls=False)))


class OwnPolicy(errors.ErrorPolicy):
    pass


def policy_with(method: str, callback: Any) -> errors.ErrorPolicy:
    policy = OwnPolicy()
    setattr(policy, method, callback)
    return policy


def message_with(callback: Any) -> Message:
    message = Message("x")
    message.on_send_complete = callback
    return message


def batch_with(callback: Any) -> BatchMessage:
    message = BatchMessage(["x"])
    message.on_send_complete = callback
    return message


def replace(made: Any, name: str, callback: Any) -> None:
    setattr(made, name, callback)


async def send_async(message: Any) -> None:
    await SendClientAsync(URL).send_message_async(message)


Give = Callable[[Any], Any]

EVERYWHERE: dict[str, Give] = {
    "MessageReceiver": lambda f: MessageReceiver(session(), Source("q"), "me", f),
    "MessageReceiver.on_message_received": lambda f: replace(
        MessageReceiver(session(), Source("q"), "me", print), "on_message_received", f
    ),
    "MessageReceiverAsync": lambda f: MessageReceiverAsync(session_async(), Source("q"), "me", f),
    "ReceiveClient._message_received": lambda f: replace(ReceiveClient(URL), "_message_received", f),
    "ReceiveClientAsync._message_received": lambda f: replace(ReceiveClientAsync(URL), "_message_received", f),
    "Message.settler": lambda f: Message(message=Message("x").get_message(), settler=f),
    "Session.on_attach": lambda f: Session(Connection("h", None), on_attach=f),
    "SessionAsync.on_attach": lambda f: SessionAsync(ConnectionAsync("h", None), on_attach=f),
    "AMQPClient.on_attach": lambda f: AMQPClient(URL, on_attach=f),
    "SendClientAsync.on_attach": lambda f: SendClientAsync(URL, on_attach=f),
    "ErrorPolicy.on_error": lambda f: errors.ErrorPolicy(on_error=f),
    "error_policy of a client": lambda f: SendClient(URL, error_policy=policy_with("on_message_error", f)),
    "error_policy of an asyncio client": lambda f: ReceiveClientAsync(
        URL, error_policy=policy_with("on_link_error", f)
    ),
    "error_policy of a connection": lambda f: Connection("h", None, error_policy=policy_with("on_connection_error", f)),
    "error_policy of a link": lambda f: MessageSender(
        session(), "me", Target("q"), error_policy=policy_with("on_unrecognized_error", f)
    ),
    "queue_message": lambda f: SendClient(URL).queue_message(message_with(f)),
    "queue_message with a batch": lambda f: SendClient(URL).queue_message(batch_with(f)),
    "send_message": lambda f: SendClient(URL).send_message(message_with(f)),
    "send_message_async": lambda f: asyncio.run(send_async(message_with(f))),
    "send_message_async with a batch": lambda f: asyncio.run(send_async([Message("x"), batch_with(f)])),
    "MessageSender.send": lambda f: MessageSender(session(), "me", Target("q")).send(Message("x"), f),
    "MessageSender.send_async": lambda f: MessageSender(session(), "me", Target("q")).send_async(Message("x"), f),
    "JWTTokenAuth.get_token": lambda f: JWTTokenAuth(URL, URL, f),
}
"""Where a callback is never awaited, in whichever front."""

BLOCKING: dict[str, Give] = {
    "receive_messages": lambda f: ReceiveClient(URL).receive_messages(f),
    "receive_message_batch": lambda f: ReceiveClient(URL).receive_message_batch(on_message_received=f),
    "receive_messages_iter": lambda f: ReceiveClient(URL).receive_messages_iter(f),
    "receive_messages of an asyncio client": lambda f: ReceiveClientAsync(URL).receive_messages(f),
    "receive_message_batch of an asyncio client": lambda f: ReceiveClientAsync(URL).receive_message_batch(None, f),
    "receive_messages_iter of an asyncio client": lambda f: ReceiveClientAsync(URL).receive_messages_iter(f),
    "_message_received_callback": lambda f: replace(ReceiveClient(URL), "_message_received_callback", f),
    "AMQPClient.mgmt_request": lambda f: AMQPClient(URL).mgmt_request(Message(1), "READ", callback=f),
    "Session.mgmt_request": lambda f: session().mgmt_request(Message(1), "READ", callback=f),
}


@pytest.mark.parametrize("kind", [*ASYNCHRONOUS, *NEVER_RUN])
@pytest.mark.parametrize("place", [*EVERYWHERE, *BLOCKING])
def test_what_nobody_awaits_is_refused_when_it_is_given(place: str, kind: str) -> None:
    give = {**EVERYWHERE, **BLOCKING}[place]
    with pytest.raises(TypeError, match="must be a"):
        give({**ASYNCHRONOUS, **NEVER_RUN}[kind])


@pytest.mark.parametrize("place", [*EVERYWHERE, *BLOCKING])
def test_what_cannot_be_called_is_refused_when_it_is_given(place: str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"must be (a )?callable"):
        {**EVERYWHERE, **BLOCKING}[place]("callback")


@pytest.mark.parametrize("name", ["_state_changed", "_close_received"])
@pytest.mark.parametrize("base", [Connection, ConnectionAsync])
def test_an_override_of_a_connection_that_nobody_awaits_is_refused(base: type[Any], name: str) -> None:
    kind = type("Own", (base,), {name: Holder.method})
    with pytest.raises(TypeError, match=f"{name} must be a plain function"):
        kind("h", None)


@pytest.mark.parametrize("base", [MessageSender, MessageReceiver, MessageSenderAsync, MessageReceiverAsync])
def test_a_method_that_nobody_awaits_is_refused_with_its_object(base: type[Any]) -> None:
    class Link(base):  # type: ignore[misc]
        async def on_state_changed(self, previous_state: Any, new_state: Any) -> None:
            await coroutine_function()

    receives = issubclass(base, MessageReceiver)
    arguments = (Source("q"), "me", print) if receives else ("me", Target("q"))
    owner = session_async() if base in (MessageSenderAsync, MessageReceiverAsync) else session()
    with pytest.raises(TypeError, match="on_state_changed must be a plain function"):
        Link(owner, *arguments)


@pytest.mark.parametrize("base", [ReceiveClient, ReceiveClientAsync])
def test_a_client_that_takes_messages_in_with_a_coroutine_is_refused(base: type[Any], broker: Broker) -> None:
    class Client(base):  # type: ignore[misc]
        async def _message_received(self, message: Message) -> None:
            await coroutine_function()

    fill(broker, 1)

    async def receive_async() -> None:
        async with Client(broker.url + "/q") as client:
            await client.receive_message_batch_async(timeout=5000)

    def receive() -> None:
        with Client(broker.url + "/q") as client:
            client.receive_message_batch(timeout=5000)

    with bounded(5), pytest.raises(TypeError, match="on_message_received must be a plain function"):
        asyncio.run(receive_async()) if base is ReceiveClientAsync else receive()
    assert broker.queue("q").depth == 1


def test_tokens_come_from_coroutine_functions_of_every_kind() -> None:
    for kind, callback in ASYNCHRONOUS.items():
        assert JWTTokenAsync(URL, URL, callback).get_token is callback, kind
    with pytest.raises(ValueError, match="get_token must be a coroutine function"):
        JWTTokenAsync(URL, URL, asynchronous_generator_function)


# -- what a plain function returns, and nobody awaits


def future(*args: Any) -> Any:
    """An awaitable that is no coroutine."""

    class Awaitable:
        closed = False

        def __await__(self) -> Any:
            raise AssertionError("nobody awaits it")

        def close(self) -> None:
            self.closed = True

    return Awaitable()


LATER: dict[str, Callable[..., Any]] = {
    "coroutine": deferred,
    "awaitable": future,
    "generator": plain(generator_function),
    "asynchronous generator": plain(asynchronous_generator_function),
}


@pytest.mark.parametrize("kind", LATER)
def test_a_callback_that_returns_before_it_has_done_its_work_has_failed(
    broker: Broker, kind: str, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """Its message is given back, as that of any callback that fails. Nothing is left that was never awaited."""
    fill(broker, 2)
    clock.stand_until(lambda: broker.queue("q").counters.modified == 2, then=0.15)
    ReceiveClient(broker.url + "/q", timeout=150).receive_messages(LATER[kind])
    broker.wait_for(lambda: broker.queue("q").counters.modified == 2)
    assert broker.queue("q").counters.accepted == 0
    assert "which isn't awaited here" in caplog.text


@pytest.mark.parametrize("how", ["batch", "iteration", "link"])
def test_the_same_with_each_way_to_receive(
    broker: Broker, how: str, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    fill(broker, 1)
    if how == "link":
        with Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)) as connection:
            with MessageReceiver(Session(connection), Source("q"), "me", deferred):
                while broker.queue("q").counters.modified == 0:
                    connection.work()
    else:
        clock.stand_until(lambda: broker.queue("q").counters.modified == 1, then=0.15)
        client = ReceiveClient(broker.url + "/q", timeout=150)
        if how == "batch":
            assert client.receive_message_batch(on_message_received=deferred) == []
        else:
            assert list(client.receive_messages_iter(deferred)) == []
        client.close()
    broker.wait_for(lambda: broker.queue("q").counters.modified == 1)
    assert "which isn't awaited here" in caplog.text


def test_the_outcome_of_a_message_that_is_told_to_a_coroutine(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """The message was sent, whatever its callback does; the failure is in the log."""
    message = message_with(deferred)
    with SendClient(broker.url + "/q") as client:
        client.send_message(message)
    assert message.state is MessageState.SendComplete
    assert "on_send_complete returned 'coroutine'" in caplog.text


@pytest.mark.parametrize("kind", [SendClient, SendClientAsync])
@pytest.mark.parametrize("name", ["wait", "send_all_messages"])
def test_waiting_for_others_in_on_send_complete_is_refused(
    broker: Broker, name: str, kind: type[SendClient], caplog: pytest.LogCaptureFixture
) -> None:
    """Their outcomes are with the frame that has called it. One message can be sent there, and the client closed."""
    messages = [Message(b"%d" % index) for index in range(5)]
    raised: list[BaseException] = []
    with kind(broker.url + "/q", stall_timeout=5) as client, bounded(10):

        def wait(result: object, error: object) -> None:
            try:
                getattr(client, name)()
            except BaseException as refusal:
                raised.append(refusal)
                raise

        def send(result: object, error: object) -> None:
            client.do_work()
            client.send_message(Message(b"one more"))

        messages[0].on_send_complete = wait
        messages[1].on_send_complete = send
        client.send_message(messages)
        assert [message.state for message in messages] == [MessageState.SendComplete] * 5
        assert client.wait()
        messages = [Message(b"%d" % index) for index in range(2)]
        messages[1].on_send_complete = wait  # there is nothing to wait for
        client.send_message(messages)
    assert len(raised) == 1
    assert isinstance(raised[0], RuntimeError)
    assert "on_send_complete can't wait for other messages" in str(raised[0])
    assert caplog.text.count("raised an exception") == 1
    assert len(broker.queue("q").messages) == 8


def test_other_callbacks_that_return_coroutines(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.serve("$management", lambda request: ServiceResponse(200, "OK", "yes"))

    class Sender(MessageSender):
        def on_state_changed(self, previous_state: Any, new_state: Any) -> Any:
            return deferred()

    client = SendClient(broker.url + "/q", on_attach=deferred)
    client.sender_type = Sender
    with client:
        client.send_message(Message("x"))
        assert "on_attach returned 'coroutine'" in caplog.text
        assert "on_state_changed returned 'coroutine'" in caplog.text
        with pytest.raises(TypeError, match="callback returned 'coroutine'"):
            client.mgmt_request(Message(1), "READ", callback=deferred)
    with pytest.raises(TypeError, match="get_token returned 'coroutine'"):
        JWTTokenAuth(URL, URL, deferred).update_token()
    with pytest.raises(TypeError, match="on_error returned 'coroutine'"):
        errors.ErrorPolicy(on_error=deferred).on_unrecognized_error(errors.ErrorResponse())


class Renewing(JWTTokenAuth):
    async def update_token(self) -> None:
        await coroutine_function()


@pytest.mark.parametrize(("kind", "name"), [(JWTTokenAuth, "get_token"), (Renewing, "update_token")])
def test_a_token_that_nobody_awaits(kind: type[JWTTokenAuth], name: str) -> None:
    with Broker(cbs=True) as broker:
        url = f"amqp://127.0.0.1:{broker.port}/q"
        client = SendClient(url, auth=kind(url, url, deferred, port=broker.port, use_tls=False))
        with pytest.raises(TypeError, match=f"{name} returned 'coroutine'"):
            client.open()


# -- what the asyncio front awaits


async def slowly(seen: list[Any], *args: Any) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    seen.append(args[0])


class Slowly:
    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    async def __call__(self, message: Message) -> None:
        await slowly(self.seen, message)


AWAITED: dict[str, Callable[[list[Any]], Callable[[Message], Any]]] = {
    "partial of a coroutine function": lambda seen: functools.partial(slowly, seen),
    "method": lambda seen: Slowly(seen).__call__,
    "object": Slowly,
    "function that returns a coroutine": lambda seen: lambda message: slowly(seen, message),
    "function that returns a task": lambda seen: lambda message: asyncio.ensure_future(slowly(seen, message)),
    "mock": lambda seen: mock.AsyncMock(side_effect=seen.append),
    "plain function": lambda seen: seen.append,
    "function that returns something": lambda seen: lambda message: seen.__iadd__([message]),
}


async def by_callback(client: ReceiveClientAsync, callback: Any) -> None:
    await client.receive_messages_async(callback)


async def by_batch(client: ReceiveClientAsync, callback: Any) -> None:
    while await client.receive_message_batch_async(on_message_received=callback):
        pass


async def by_iteration(client: ReceiveClientAsync, callback: Any) -> None:
    async for _ in client.receive_messages_iter_async(callback):
        pass


async def by_iterator(client: ReceiveClientAsync, callback: Any) -> None:
    async for _ in AsyncMessageIter(client, True, callback):
        pass


async def by_hand(client: ReceiveClientAsync, callback: Any) -> None:
    client._message_received_callback = callback
    client._streaming_receive = True
    await client.open_async()
    while await client.do_work_async():
        pass
    await client.close_async()


WAYS = {"callback": by_callback, "batch": by_batch, "iteration": by_iteration, "iterator": by_iterator, "hand": by_hand}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", AWAITED)
def test_callbacks_of_asyncio_clients_are_awaited(broker: Broker, kind: str, way: str, clock: Clock) -> None:
    fill(broker, 3)
    seen: list[Message] = []

    async def main() -> None:
        clock.stand_until(lambda: len(seen) == 3, then=0.3)
        client = ReceiveClientAsync(broker.url + "/q", timeout=300)
        await WAYS[way](client, AWAITED[kind](seen))
        await client.close_async()

    with bounded(10):
        asyncio.run(main())
    assert bodies(seen) == [0, 1, 2]
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_a_message_is_accepted_when_its_coroutine_is_done(broker: Broker, clock: Clock) -> None:
    fill(broker, 3)

    async def main() -> None:
        client = ReceiveClientAsync(broker.url + "/q", timeout=300)
        number = 0

        async def take(message: Message) -> None:
            nonlocal number
            assert bodies([message]) == [number]  # one after the other
            for _ in range(20):
                await asyncio.sleep(0)
            assert not message.settled
            assert broker.queue("q").counters.accepted <= number
            number += 1

        clock.stand_until(lambda: number == 3, then=0.3)
        await client.receive_messages_async(take)
        assert number == 3

    with bounded(10):
        asyncio.run(main())
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_a_coroutine_that_raises_gives_the_message_back(broker: Broker, clock: Clock) -> None:
    fill(broker, 3)
    seen: list[int] = []

    async def take(message: Message) -> None:
        await asyncio.sleep(0)
        if bodies([message]) == [1]:
            raise ValueError("this one I can't bear")
        seen.extend(bodies([message]))

    async def main() -> None:
        clock.stand_until(lambda: len(seen) == 2, then=0.3)
        await ReceiveClientAsync(broker.url + "/q", timeout=300).receive_messages_async(take)

    with bounded(10):
        asyncio.run(main())
    assert seen == [0, 2]
    broker.wait_for(lambda: broker.queue("q").counters.modified == 1)
    assert broker.queue("q").counters.accepted == 2


@pytest.mark.parametrize("kind", NEVER_RUN)
@pytest.mark.parametrize("way", [way for way in WAYS if way != "hand"])
def test_a_callback_whose_body_nobody_runs_is_refused_by_asyncio_clients(kind: str, way: str) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="without `yield`"):
            await WAYS[way](ReceiveClientAsync(URL), NEVER_RUN[kind])

    asyncio.run(main())


def test_answers_of_management_are_awaited(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(202, "Fine", "yes"))

    async def judge(status: int, answer: Message, description: bytes) -> tuple[int, Any]:
        await asyncio.sleep(0)
        return status, answer.get_data()

    async def main() -> None:
        async with AMQPClientAsync(broker.url + "/q") as client:
            for callback in (judge, plain(judge), lambda status, answer, text: (status, b"yes")):
                assert await client.mgmt_request_async(Message(1), b"READ", callback=callback) == (202, b"yes")
        connection = ConnectionAsync("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))
        async with connection, SessionAsync(connection) as session:
            assert await session.mgmt_request_async(Message(1), b"READ", callback=judge) == (202, b"yes")

    with bounded(10):
        asyncio.run(main())


def test_asyncio_clients_without_a_loop_await_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    fill(broker, 1)
    with ReceiveClientAsync(broker.url + "/q", timeout=150) as client:
        clock.stand_until(lambda: broker.queue("q").counters.modified == 1, then=0.15)
        client.receive_messages(deferred)
    broker.wait_for(lambda: broker.queue("q").counters.modified == 1)
    assert "which isn't awaited here" in caplog.text
