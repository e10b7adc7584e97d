"""`uamqp.aio`: a task that is cancelled after any number of turns of the loop; nothing is lost, twice, or left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tests.support.effort import stride
from tests.support.links import stored, url_of
from tests.support.threads import counts_in
from uamqp import aio
from uamqp.messaging import AMQPError, ClosedError
from uamqp.testing import Broker

LIMIT = 30.0
MOST = 20_000
"""Turns after which something is done for sure."""


async def cancel_after(turns: int, operation: Coroutine[Any, Any, Any]) -> tuple[bool, Any]:
    """Run a task for so many turns of the loop, and cancel it; return whether it had ended, and its result."""
    task = asyncio.create_task(operation)
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    was_done = task.done()
    task.cancel()
    await asyncio.wait([task])
    return was_done, None if task.cancelled() else task.result()


async def at_each_turn(attempt: Callable[[int], Coroutine[Any, Any, bool]]) -> None:
    """Make attempts, each cancelled a turn later than the one before, until two have come to their ends."""
    ended = turns = 0
    while ended < 2:
        assert turns < MOST
        ended += await attempt(turns)
        turns += stride(2) if turns < 30 else turns // 2


def run(main: Callable[[], Coroutine[Any, Any, None]], broker: Broker) -> None:
    """Run it, after which there are no more tasks than before, and no connection."""

    async def whole() -> None:
        before = asyncio.all_tasks()
        await main()
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 (nothing announces it)
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(whole(), LIMIT))
    broker.wait_for(lambda: not broker.connections)


async def bodies(numbers: range) -> AsyncIterator[int]:
    for number in numbers:
        await asyncio.sleep(0)
        yield number


async def submit_and_flush(sender: aio.Sender, body: int) -> None:
    sender.submit_nowait(body)
    await sender.flush()


SENDS: dict[str, Callable[[aio.Sender, int], Coroutine[Any, Any, Any]]] = {
    "send": lambda sender, first: sender.send(first),
    "submit": lambda sender, first: sender.submit(first),
    "send_many": lambda sender, first: sender.send_many(range(first, first + 5), window=2),
    "send_many of what comes": lambda sender, first: sender.send_many(bodies(range(first, first + 5)), window=2),
    "flush": submit_and_flush,
}


@pytest.mark.parametrize("way", SENDS)
def test_sending(broker: Broker, way: str) -> None:
    """What had returned is there; each is there once at most; and the next is sent."""
    returned: list[int] = []

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_sender("q", max_pending=3) as sender:

            async def attempt(turns: int) -> bool:
                first = 10 * turns
                was_done, _ = await cancel_after(turns, SENDS[way](sender, first))
                await sender.flush()
                if was_done:
                    returned.append(first)
                await sender.send(first + 9)
                returned.append(first + 9)
                assert sender.pending == 0
                return was_done

            await at_each_turn(attempt)

    run(main, broker)
    arrived = counts_in(broker)
    assert set(arrived.values()) == {1}
    assert set(returned) <= set(arrived)


async def process(receiver: aio.Receiver) -> Any:
    async with receiver.process(await receiver.receive()) as message:
        await asyncio.sleep(0)
    return message


RECEIVES: dict[str, tuple[Callable[[aio.Receiver], Coroutine[Any, Any, Any]], dict[str, Any]]] = {
    "receive": (lambda receiver: receiver.receive(), {}),
    "receive_many": (lambda receiver: receiver.receive_many(3, minimum=2), {}),
    "pulled": (lambda receiver: receiver.receive_many(3, minimum=2), {"prefetch": 0}),
    "iterating": (lambda receiver: one_of(aiter(receiver)), {}),
    "batches": (lambda receiver: one_of(receiver.batches(3)), {"max_unsettled": 4}),
    "processed": (process, {"prefetch": 1}),
}


async def one_of(iterator: AsyncIterator[Any]) -> Any:
    return await anext(iterator)


@pytest.mark.parametrize("way", RECEIVES)
def test_receiving(broker: Broker, way: str) -> None:
    """Each message is got once, or is there in the end."""
    receive, options = RECEIVES[way]
    put: list[int] = []
    got: list[int] = []

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_receiver("q", **options) as receiver:

            async def attempt(turns: int) -> bool:
                for _ in range(3):
                    put.append(len(put))
                    broker.put("q", put[-1])
                was_done, found = await cancel_after(turns, receive(receiver))
                messages = found if isinstance(found, list) else [] if found is None else [found]
                assert receiver.unsettled == sum(not message.settled for message in messages)
                got.extend(message.body for message in messages)
                receiver.accept(messages)
                if turns % 3 == 0:
                    message = await receiver.receive()
                    got.append(message.body)
                    message.accept()
                return was_done

            await at_each_turn(attempt)

    run(main, broker)
    queue = broker.queue("q")
    broker.wait_for(lambda: queue.unsettled == 0)
    assert len(set(got)) == len(got)
    assert sorted([*got, *stored(broker)]) == put
    assert queue.counters.accepted == len(got)


@pytest.mark.parametrize("wait", [True, False], ids=["awaited", "not awaited"])
def test_settling(wait: bool) -> None:
    with Broker(allow_second=True) as broker:
        total = 0

        async def main() -> None:
            async with aio.connect(url_of(broker)) as connection:
                async with connection.open_receiver("q", confirm=True) as receiver:

                    async def attempt(turns: int) -> bool:
                        nonlocal total
                        broker.put("q", turns)
                        total += 1
                        message = await receiver.receive()
                        settlement = message.accept()

                        async def confirmed() -> None:
                            if wait:
                                await settlement

                        was_done, _ = await cancel_after(turns, confirmed())
                        await settlement
                        return was_done

                    await at_each_turn(attempt)

        run(main, broker)
        assert (broker.queue("q").counters.accepted, broker.queue("q").depth) == (total, 0)


OPENINGS: dict[str, Callable[[aio.Connection], Any]] = {
    "open_sender": lambda connection: connection.open_sender("q"),
    "open_receiver": lambda connection: connection.open_receiver("q"),
    "open_session": lambda connection: connection.open_session(),
}


async def opened(way: Callable[[], Any]) -> Any:
    return await way()


@pytest.mark.parametrize("way", OPENINGS)
def test_opening(broker: Broker, way: str) -> None:
    """No link is left that nobody has."""
    broker.put("q", "x")

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection:

            async def attempt(turns: int) -> bool:
                was_done, link = await cancel_after(turns, opened(lambda: OPENINGS[way](connection)))
                if link is not None:
                    await link.close()
                while connection.stats().senders + connection.stats().receivers:  # noqa: ASYNC110 (nor this)
                    await asyncio.sleep(0.001)
                async with connection.open_sender("q2") as sender:
                    await sender.send(turns)
                return was_done

            await at_each_turn(attempt)

    run(main, broker)
    assert stored(broker) == ["x"]


def test_connecting(broker: Broker) -> None:
    async def main() -> None:
        async def attempt(turns: int) -> bool:
            was_done, connection = await cancel_after(turns, opened(lambda: aio.connect(url_of(broker))))
            if connection is not None:
                await connection.close()
            return was_done

        await at_each_turn(attempt)

    run(main, broker)


CLOSINGS: dict[str, Callable[[Any, Any, Any, Any], Coroutine[Any, Any, None]]] = {
    "sender": lambda connection, session, sender, receiver: sender.close(),
    "receiver": lambda connection, session, sender, receiver: receiver.close(),
    "detach": lambda connection, session, sender, receiver: receiver.detach(),
    "session": lambda connection, session, sender, receiver: session.close(),
    "connection": lambda connection, session, sender, receiver: connection.close(),
}


@pytest.mark.parametrize("way", CLOSINGS)
def test_closing(broker: Broker, way: str) -> None:
    """It is closed all the same, and the delivery that was under way is told what became of it."""
    told: list[tuple[int, bool]] = []
    for number in range(3):
        broker.put("r", number)

    async def attempt(turns: int) -> bool:
        connection = await aio.connect(url_of(broker))
        session = await connection.open_session()
        sender, receiver = await session.open_sender("q"), await session.open_receiver("r")
        await receiver.receive()
        delivery = sender.submit_nowait(turns)
        was_done, _ = await cancel_after(turns, CLOSINGS[way](connection, session, sender, receiver))
        if way != "connection":
            assert connection.state == "open"
            await (await connection.open_sender("other")).send(turns)
        elif turns:
            assert connection.state == "closed"
        if way == "sender" and turns:
            with pytest.raises(ClosedError):
                await sender.send("too late")
        await connection.close()
        try:
            await delivery
        except AMQPError:
            told.append((turns, False))
        else:
            told.append((turns, True))
        return was_done

    run(lambda: at_each_turn(attempt), broker)
    arrived = counts_in(broker)
    assert set(arrived.values()) <= {1}
    assert {turns for turns, accepted in told if accepted} <= set(arrived)
    broker.wait_for(lambda: broker.queue("r").depth == 3)
