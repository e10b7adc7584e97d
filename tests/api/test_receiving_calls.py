"""Receiving calls of one client at the same time, in both fronts: nothing is accepted that nobody was given."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from tests.support.queues import bodies, fill
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, ReceiveClientAsync, errors
from uamqp.testing import Broker

COUNT = 40
SETTINGS: dict[str, Any] = {"shutdown_after_timeout": False, "prefetch": 7}

CALLS = ("batch", "batch with callback", "callback", "iteration", "iteration with callback", "steps")
PAIRS = [pair for pair in itertools.product(CALLS, CALLS) if pair != ("steps", "steps")]


def goes_with(one: str, other: str) -> bool:
    """Whether two calls are served at the same time."""
    return "callback" not in (one, other) or "steps" in (one, other)


class Given:
    """What the calls were given, and what they raised."""

    def __init__(self, pair: tuple[str, str]) -> None:
        self.messages: list[Message] = []
        self.refused: list[str] = []
        self.seen: set[int] = set()  # by callbacks that come before the message is handed out
        self.done = threading.Event()  # it is complete
        self._pair = pair

    @property
    def complete(self) -> bool:
        """Everything was given to somebody, and what isn't served was refused."""
        return len(self.messages) == COUNT and (goes_with(*self._pair) or bool(self.refused))

    def see(self, message: Message) -> None:
        self.seen.add(id(message))

    async def see_later(self, message: Message) -> None:
        await asyncio.sleep(0)
        self.see(message)

    def take(self, message: Message, seen: bool) -> None:
        assert not seen or id(message) in self.seen
        self.messages.append(message)
        self.note()

    def refuse(self, how: str, error: RuntimeError) -> None:
        assert "receive_messages" in str(error)
        self.refused.append(how)
        self.note()

    def note(self) -> None:
        if self.complete:
            self.done.set()

    def check(self, broker: Broker) -> None:
        broker.wait_for(lambda: broker.queue("q").unsettled == 0)
        assert sorted(bodies(self.messages)) == list(range(COUNT))
        assert broker.queue("q").counters.accepted == COUNT
        assert self.refused == ([] if goes_with(*self._pair) else [self._pair[1]])  # the one that came later


def receive(client: ReceiveClient, how: str, given: Given) -> None:
    """Receive until there was everything, or the client is closed."""
    seen = given.see if how.endswith("with callback") else None
    if how == "callback":
        client.receive_messages(lambda message: given.take(message, False))
    elif how == "steps":
        while not given.complete and client.do_work():
            pass
    elif how.startswith("iteration"):
        for message in client.receive_messages_iter(seen):
            given.take(message, seen is not None)
            if given.complete:
                message.accept()
                break
    else:
        while not given.complete:
            for message in client.receive_message_batch(3, seen):
                given.take(message, seen is not None)


async def receive_async(client: ReceiveClientAsync, how: str, given: Given) -> None:
    seen = given.see_later if how.endswith("with callback") else None
    if how == "callback":

        async def take(message: Message) -> None:
            await asyncio.sleep(0)
            given.take(message, False)

        await client.receive_messages_async(take)
    elif how == "steps":
        while not given.complete and await client.do_work_async():
            pass
    elif how.startswith("iteration"):
        async for message in client.receive_messages_iter_async(seen):
            given.take(message, seen is not None)
            if given.complete:
                message.accept()
                break
    else:
        while not given.complete:
            for message in await client.receive_message_batch_async(3, seen):
                given.take(message, seen is not None)


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_calls_of_two_threads(broker: Broker, pair: tuple[str, str]) -> None:
    given = Given(pair)

    def run(how: str) -> None:
        try:
            receive(client, how, given)
        except RuntimeError as error:
            given.refuse(how, error)

    with ReceiveClient(broker.url + "/q", **SETTINGS) as client, bounded(20):
        threads = [threading.Thread(target=run, args=(how,), daemon=True) for how in pair]
        threads[0].start()
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        threads[1].start()
        fill(broker, COUNT)
        assert given.done.wait(15)
        broker.wait_for(lambda: broker.queue("q").counters.accepted == COUNT)
        for thread in threads:
            while thread.is_alive():
                client.close()  # a call that begins only now opens it again
                thread.join(0.1)
    given.check(broker)


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_calls_of_two_tasks(broker: Broker, pair: tuple[str, str]) -> None:
    given = Given(pair)

    async def run(client: ReceiveClientAsync, how: str) -> None:
        try:
            await receive_async(client, how, given)
        except RuntimeError as error:
            given.refuse(how, error)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        client = ReceiveClientAsync(broker.url + "/q", **SETTINGS)
        await client.open_async()
        first = asyncio.ensure_future(run(client, pair[0]))
        await loop.run_in_executor(None, broker.wait_for, lambda: broker.queue("q").consumers == 1)
        second = asyncio.ensure_future(run(client, pair[1]))
        fill(broker, COUNT)
        assert await loop.run_in_executor(None, given.done.wait, 15)
        await loop.run_in_executor(None, broker.wait_for, lambda: broker.queue("q").counters.accepted == COUNT)
        await client.close_async()
        await asyncio.gather(first, second)

    with bounded(20):
        asyncio.run(main())
    given.check(broker)


def test_many_tasks_get_batches(broker: Broker) -> None:
    fill(broker, 200)
    got: list[int] = []

    async def work(client: ReceiveClientAsync) -> None:
        while batch := await client.receive_message_batch_async(max_batch_size=5, timeout=1000):
            got.extend(bodies(batch))

    async def main() -> None:
        async with ReceiveClientAsync(broker.url + "/q", **SETTINGS) as client:
            await asyncio.gather(*(work(client) for _ in range(20)))

    with bounded(20):
        asyncio.run(main())
    assert sorted(got) == list(range(200))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 200)


def test_a_batch_waits_for_its_time_though_another_took_the_message(broker: Broker) -> None:
    """It returns nothing only when its own time is over."""

    async def main() -> None:
        async with ReceiveClientAsync(broker.url + "/q") as client:
            calls = [asyncio.ensure_future(client.receive_message_batch_async(timeout=20_000)) for _ in range(3)]
            await asyncio.get_running_loop().run_in_executor(
                None, broker.wait_for, lambda: broker.queue("q").consumers == 1
            )
            got = []
            for number in range(3):
                fill(broker, 1, start=number)
                done, rest = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                assert len(done) == 1
                got += bodies(done.pop().result())
                calls = list(rest)
            assert got == [0, 1, 2]

    with bounded(15):
        asyncio.run(main())


def test_the_time_of_all_calls_is_over_at_once(broker: Broker) -> None:
    """The client's time-out: as long as no message has come, however many calls wait for one."""

    async def main() -> None:
        async with ReceiveClientAsync(broker.url + "/q", timeout=1000, shutdown_after_timeout=False) as client:
            with bounded(5):
                assert await asyncio.gather(*(client.receive_message_batch_async() for _ in range(12))) == [[]] * 12

    asyncio.run(main())


# -- a call within a callback


NESTED: dict[str, Callable[[ReceiveClient], Any]] = {
    "batch": lambda client: client.receive_message_batch(timeout=100),
    "callback": lambda client: client.receive_messages(print),
    "iteration": lambda client: next(client.receive_messages_iter()),
}


@pytest.mark.parametrize("how", NESTED)
def test_a_call_within_a_callback_is_refused(broker: Broker, how: str) -> None:
    """What it raises ends the outer call, and says why; nothing is accepted."""
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q", timeout=5000)
    with bounded(5), pytest.raises(errors.LinkDetach, match="receive_messages"):
        client.receive_messages(lambda message: NESTED[how](client))
    broker.wait_for(lambda: broker.queue("q").depth == 3)
    assert broker.queue("q").counters.accepted == 0


@pytest.mark.parametrize("how", NESTED)
def test_a_call_within_a_coroutine_is_refused(broker: Broker, how: str) -> None:
    nested: dict[str, Callable[[ReceiveClientAsync], Coroutine[Any, Any, Any]]] = {
        "batch": lambda client: client.receive_message_batch_async(timeout=100),
        "callback": lambda client: client.receive_messages_async(print),
        "iteration": lambda client: client.receive_messages_iter_async().__anext__(),
    }
    fill(broker, 3)

    async def main() -> None:
        client = ReceiveClientAsync(broker.url + "/q", timeout=5000)
        with pytest.raises(errors.LinkDetach, match="receive_messages"):
            await client.receive_messages_async(lambda message: nested[how](client))
        await client.close_async()

    with bounded(5):
        asyncio.run(main())
    broker.wait_for(lambda: broker.queue("q").depth == 3)
    assert broker.queue("q").counters.accepted == 0


def test_a_refused_call_can_be_caught_in_the_callback(broker: Broker) -> None:
    fill(broker, 3)
    seen: list[int] = []
    client = ReceiveClient(broker.url + "/q", timeout=150)

    def take(message: Message) -> None:
        with pytest.raises(RuntimeError, match="its callback gets every message"):
            client.receive_message_batch(timeout=100)
        assert client.do_work() is True  # a step receives, but calls nobody
        seen.extend(bodies([message]))

    with bounded(10):
        client.receive_messages(take)
    assert seen == [0, 1, 2]
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_a_batch_within_the_callback_of_a_batch(broker: Broker) -> None:
    fill(broker, 6)
    inner: list[Message] = []

    def take(message: Message) -> None:
        if not inner:
            inner.extend(client.receive_message_batch(max_batch_size=1, timeout=5000))

    outer: list[Message] = []
    with ReceiveClient(broker.url + "/q") as client, bounded(10):
        until(
            lambda: len(outer) + len(inner) == 6,
            lambda: outer.extend(client.receive_message_batch(on_message_received=take, timeout=5000)),
        )
    assert sorted(bodies(inner + outer)) == list(range(6))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 6)


def test_calls_in_the_loop_over_an_iteration(broker: Broker) -> None:
    """Nobody waits for the iteration's next then: any call is served."""
    fill(broker, 6)
    seen: list[Message] = []
    client = ReceiveClient(broker.url + "/q", timeout=150, shutdown_after_timeout=False)
    for message in client.receive_messages_iter():
        if not seen:
            seen += client.receive_message_batch(max_batch_size=1)
            client.receive_messages(seen.append)
        seen.append(message)
    client.close()
    assert sorted(bodies(seen)) == list(range(6))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 6)


# -- what a refused call leaves


def test_a_refused_iteration_leaves_the_other_call_alone(broker: Broker) -> None:
    """It doesn't close the client, though it is one that shuts down at the end."""
    fill(broker, 4)
    seen: list[int] = []
    held: list[Message] = []
    client = ReceiveClient(broker.url + "/q", timeout=150)

    def take(message: Message) -> None:
        seen.extend(bodies([message]))
        with contextlib.suppress(RuntimeError):
            held.extend(itertools.islice(messages, 1))

    messages: Iterator[Message] = client.receive_messages_iter()
    first = next(messages)
    with bounded(10):
        client.receive_messages(take)
    assert (bodies([first]), seen, held) == ([0], [1, 2, 3], [])
    broker.wait_for(lambda: broker.queue("q").unsettled == 0)
    assert broker.queue("q").counters.accepted == 3
    assert [int(view.body) for view in broker.queue("q").messages] == [0]


def test_two_tasks_do_not_wait_for_the_same_iteration(broker: Broker) -> None:
    async def main() -> None:
        async with ReceiveClientAsync(broker.url + "/q") as client:
            messages = client.receive_messages_iter_async()
            waiting = asyncio.ensure_future(messages.__anext__())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="waited for already"):
                await messages.__anext__()
            fill(broker, 1)
            assert bodies([await waiting]) == [0]
            assert messages.receiving

    with bounded(10):
        asyncio.run(main())


def test_messages_that_go_to_a_callback_by_hand_are_for_nobody_else(broker: Broker) -> None:
    """azure-eventhub sets `_streaming_receive`."""
    fill(broker, 3)
    seen: list[Message] = []
    with ReceiveClient(broker.url + "/q") as client:
        client._streaming_receive = True
        client._message_received_callback = seen.append
        with pytest.raises(RuntimeError, match="_streaming_receive is set"):
            client.receive_message_batch(timeout=100)
        with pytest.raises(RuntimeError, match="_streaming_receive is set"):
            next(client.receive_messages_iter())
        until(lambda: len(seen) == 3, client.do_work)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


def test_streaming_to_no_callback_accepts_nothing(broker: Broker) -> None:
    fill(broker, 3)
    with ReceiveClient(broker.url + "/q") as client:
        client._streaming_receive = True
        until(lambda: client._received_messages.qsize() == 3, client.do_work)
        assert broker.queue("q").counters.accepted == 0
        got: list[Message] = []
        until(lambda: len(got) == 3, lambda: got.extend(client.receive_message_batch(timeout=5000)))
    assert bodies(got) == [0, 1, 2]
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)


@pytest.mark.parametrize("how", ["batch", "callback", "iteration"])
def test_a_cancelled_callback_leaves_its_message_to_the_next_call(broker: Broker, how: str) -> None:
    fill(broker, 3)
    begun = asyncio.Event

    async def main() -> None:
        started = begun()

        async def take(message: Message) -> None:
            started.set()
            await asyncio.Event().wait()

        async with ReceiveClientAsync(broker.url + "/q", **SETTINGS) as client:
            calls: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
                "batch": lambda: client.receive_message_batch_async(on_message_received=take),
                "callback": lambda: client.receive_messages_async(take),
                "iteration": lambda: client.receive_messages_iter_async(take).__anext__(),
            }
            task = asyncio.ensure_future(calls[how]())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            got: list[Message] = []
            while len(got) < 3:
                got += await client.receive_message_batch_async(timeout=5000)
            assert bodies(got) == [0, 1, 2]

    with bounded(10):
        asyncio.run(main())
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)
    assert broker.queue("q").counters.modified == 0
