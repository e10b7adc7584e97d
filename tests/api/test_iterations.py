"""Iterating over messages: what becomes of the message whose turn of the loop raises, or is left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.queues import bodies, fill, waiting
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, ReceiveClientAsync, errors
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

__all__ = ["ReceiveClient"]


def counters(broker: Broker) -> tuple[int, int, int]:
    """How many messages were accepted, modified and released."""
    counted = broker.queue("q").counters
    return counted.accepted, counted.modified, counted.released


def failures(broker: Broker) -> dict[int, int]:
    """The failed deliveries of each message that waits."""
    return {int(view.body): view.delivery_count for view in broker.queue("q").messages}


class Spoilt(Exception):
    """What the turn of a loop raises."""


def handle_until(messages: Iterator[Message], last: int) -> None:
    """Handle messages, and fail with one."""
    for message in messages:
        if bodies([message]) == [last]:
            raise Spoilt


def closed(broker: Broker) -> None:
    broker.wait_for(lambda: broker.connections == () and broker.queue("q").unsettled == 0)


def test_a_message_whose_turn_raises_is_given_back_at_once(broker: Broker) -> None:
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q")
    with pytest.raises(Spoilt):
        handle_until(client.receive_messages_iter(), 1)
    closed(broker)  # by the end of the iteration
    assert counters(broker)[:2] == (1, 1)
    assert failures(broker) == {1: 1, 2: 0}  # as a delivery that failed; what nobody has seen is as it was


def test_the_message_before_a_break_is_given_back(broker: Broker) -> None:
    fill(broker, 2)
    client = ReceiveClient(broker.url + "/q")
    for message in client.receive_messages_iter():
        assert not message.settled
        break
    closed(broker)
    assert counters(broker)[:2] == (0, 1)
    assert failures(broker) == {0: 1, 1: 0}


def test_what_was_accepted_before_a_break_is_done_with(broker: Broker) -> None:
    fill(broker, 2)
    client = ReceiveClient(broker.url + "/q")
    for message in client.receive_messages_iter():
        assert message.accept()
        break
    closed(broker)
    assert counters(broker)[:2] == (1, 0)
    assert failures(broker) == {1: 0}


def test_the_last_message_before_the_timeout_is_accepted(broker: Broker, clock: Clock) -> None:
    fill(broker, 1)
    clock.stand_until(lambda: counters(broker)[0] == 1, then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    assert bodies(list(client.receive_messages_iter())) == [0]
    closed(broker)
    assert counters(broker) == (1, 0, 0)


def test_a_client_that_stays_open_gives_back_what_was_left_when_it_is_closed(broker: Broker, clock: Clock) -> None:
    fill(broker, 4)
    clock.stand_until(lambda: counters(broker)[0] == 2, then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100, shutdown_after_timeout=False)
    for last in (0, 2):
        with pytest.raises(Spoilt):
            handle_until(client.receive_messages_iter(), last)
    assert bodies(list(client.receive_messages_iter())) == [3]
    broker.wait_for(lambda: counters(broker)[0] == 2)
    assert broker.queue("q").unsettled == 2  # they are the application's until then
    client.close()
    closed(broker)
    assert counters(broker)[:2] == (2, 2)
    assert failures(broker) == {0: 1, 2: 1}


def test_what_was_left_can_be_settled_until_the_client_is_closed(broker: Broker) -> None:
    fill(broker, 2)
    client = ReceiveClient(broker.url + "/q", shutdown_after_timeout=False)
    for message in client.receive_messages_iter():
        left = message
        break
    assert left.accept()
    client.close()
    closed(broker)
    assert counters(broker)[:2] == (1, 0)


def test_closing_in_the_loop_gives_the_message_back(broker: Broker) -> None:
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q")
    with bounded(5):
        for message in client.receive_messages_iter():
            if bodies([message]) == [1]:
                client.close()
    closed(broker)
    assert counters(broker)[:2] == (1, 1)
    assert failures(broker) == {1: 1, 2: 0}


def test_without_auto_complete_a_message_is_the_applications(broker: Broker) -> None:
    fill(broker, 2)
    client = ReceiveClient(broker.url + "/q", auto_complete=False)
    with pytest.raises(Spoilt):
        handle_until(client.receive_messages_iter(), 1)
    closed(broker)
    assert counters(broker)[:2] == (0, 0)
    assert failures(broker) == {0: 0, 1: 0}


def test_a_poison_message_gets_to_the_dead_letters() -> None:
    """It is given back as failed each time, so that a broker that counts notices."""
    with Broker(max_deliveries=3) as broker:
        fill(broker, 1)
        for _ in range(3):
            with pytest.raises(Spoilt):
                handle_until(ReceiveClient(broker.url + "/q", timeout=5000).receive_messages_iter(), 0)
        broker.wait_for(lambda: broker.dead_letters("q").depth == 1)


def test_batches_are_accepted_during_an_iteration(broker: Broker) -> None:
    """`auto_complete` reads False meanwhile, as in 1.6, but a batch is still accepted when it is handed out."""
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q", shutdown_after_timeout=False)
    messages = client.receive_messages_iter()
    first = next(messages)
    assert client.auto_complete is False
    batch: list[Message] = []
    until(lambda: len(batch) == 2, lambda: batch.extend(client.receive_message_batch(timeout=5000)))
    assert not first.settled
    assert all(message.settled for message in batch)
    client.auto_complete = False  # by hand: that lasts
    messages.close()
    assert client.auto_complete is False
    client.auto_complete = True
    assert client.auto_complete is True
    client.close()
    closed(broker)
    assert waiting(broker) == [0]


def test_two_iterations_side_by_side(broker: Broker) -> None:
    """Each accepts its own message when it is asked for the next."""
    fill(broker, 6)
    client = ReceiveClient(broker.url + "/q", shutdown_after_timeout=False)
    both: list[Any] = [client.receive_messages_iter(), client.receive_messages_iter()]
    got = [[next(messages)] for messages in both]
    assert not got[0][0].settled
    got[0].append(next(both[0]))
    assert got[0][0].settled
    assert not got[1][0].settled
    got[1].append(next(both[1]))
    assert got[1][0].settled
    assert sorted(bodies(got[0] + got[1])) == [0, 1, 2, 3]
    both[0].close()
    got[1].append(next(both[1]))  # the other goes on
    client.close()
    closed(broker)
    assert counters(broker)[:2] == (3, 2)
    assert sorted(waiting(broker)) == sorted([*bodies([got[0][-1], got[1][-1]]), 5])


def test_the_end_of_one_iteration_leaves_the_client_to_the_others(broker: Broker) -> None:
    fill(broker, 4)
    client = ReceiveClient(broker.url + "/q")
    both: list[Any] = [client.receive_messages_iter(), client.receive_messages_iter()]
    assert bodies([next(messages) for messages in both]) == [0, 1]
    both[0].close()
    assert bodies([next(both[1])]) == [2]
    assert len(broker.connections) == 1
    both[1].close()
    closed(broker)
    assert failures(broker) == {0: 1, 2: 1, 3: 0}


def test_the_time_without_a_message_ends_the_iterations_when_the_last_has_heard_of_it(
    broker: Broker, clock: Clock
) -> None:
    """One that is busy with its message meanwhile is asked for the next first, and so has it accepted."""
    fill(broker, 1)
    came: list[Message] = []
    clock.stand_until(lambda: bool(came), then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    busy, idle = client.receive_messages_iter(), client.receive_messages_iter()
    came.append(next(busy))
    assert bodies(came) == [0]
    assert list(idle) == []
    assert list(busy) == []
    closed(broker)
    assert counters(broker) == (1, 0, 0)


@pytest.mark.blocking("they are threads")
def test_threads_that_iterate_do_not_end_each_other(broker: Broker) -> None:
    """One that finds that another took the message for which it was woken waits for the next."""
    for opening in range(10):
        iterate_in_two_threads(broker, 3 * opening)
    assert counters(broker) == (30, 0, 0)


def iterate_in_two_threads(broker: Broker, done: int) -> None:
    fill(broker, 2, done)
    client = ReceiveClient(broker.url + "/q")
    threads = [threading.Thread(target=lambda: list(client.receive_messages_iter())) for _ in range(2)]
    for thread in threads:
        thread.start()
    broker.wait_for(lambda: counters(broker)[0] == done + 2)
    fill(broker, 1, done + 2)
    broker.wait_for(lambda: counters(broker)[0] == done + 3)
    for thread in threads:
        while thread.is_alive():
            client.close()  # again, if one was about to open it
            thread.join(0.1)


def iterate(client: ReceiveClient) -> Iterator[Message]:
    with contextlib.closing(client.receive_messages_iter()) as messages:
        yield from messages


def in_batches(client: ReceiveClient) -> Iterator[Message]:
    while True:
        yield from client.receive_message_batch(2)


@pytest.mark.parametrize("loss", ["connection", "link"])
@pytest.mark.parametrize("auto_complete", [True, False], ids=["auto-complete", "by hand"])
@pytest.mark.parametrize("receive", [iterate, in_batches])
def test_what_is_held_is_not_handed_out_when_its_link_has_gone(
    broker: Broker, receive: Any, auto_complete: bool, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer delivers it again. That is seen though nothing needs to be read, since enough is held."""
    monkeypatch.setattr("uamqp.classic.client.receive._LOOK_INTERVAL", 0.0)
    fill(broker, 20)
    client = ReceiveClient(broker.url + "/q", prefetch=20, auto_complete=auto_complete)
    client.open()
    until(lambda: client._received_messages.qsize() == 20, client.do_work)
    got: list[Message] = []

    def take(message: Message) -> None:
        got.append(message)
        if len(got) == 6 and loss == "connection":
            broker.drop_connections()
            broker.wait_for(lambda: not broker.connections)
        elif len(got) == 6:
            broker.detach_links("q")
            broker.wait_for(lambda: broker.queue("q").consumers == 0)

    def take_all() -> None:
        for message in receive(client):
            take(message)

    with bounded(10), pytest.raises(errors.AMQPConnectionError if loss == "connection" else errors.LinkDetach):
        take_all()
    client.close()
    assert bodies(got) == list(range(6))
    broker.wait_for(lambda: broker.queue("q").depth == 20 - broker.queue("q").counters.accepted)


# -- `async for`, which tells its iterator nothing when it is left


@pytest.mark.blocking("it is about the asyncio front's own loop")
@pytest.mark.parametrize("how", ["break", "raise"])
@pytest.mark.parametrize("kept", [True, False], ids=["iterator kept", "iterator dropped"])
def test_what_an_async_for_leaves_is_given_back_when_the_client_is_closed(broker: Broker, how: str, kept: bool) -> None:
    fill(broker, 3)

    async def leave(client: ReceiveClientAsync) -> Any:
        messages = client.receive_messages_iter_async()
        try:
            async for message in messages:
                if bodies([message]) == [1]:
                    if how == "raise":
                        raise Spoilt
                    break
        except Spoilt:
            pass
        return messages if kept else None

    async def main() -> None:
        async with ReceiveClientAsync(broker.url + "/q") as client:
            messages = await leave(client)
            assert client.auto_complete is not kept
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, broker.wait_for, lambda: counters(broker)[0] == 1)
            assert broker.queue("q").counters.modified == 0  # the client is still open
        assert messages is None or not messages.receiving

    with bounded(10):
        asyncio.run(main())
    closed(broker)
    assert counters(broker)[:2] == (1, 1)
    assert failures(broker) == {1: 1, 2: 0}


@pytest.mark.blocking("it is about the asyncio front's own loop")
def test_an_async_for_accepts_what_it_was_through_with(broker: Broker) -> None:
    fill(broker, 3)

    async def main() -> None:
        async with ReceiveClientAsync(broker.url + "/q", shutdown_after_timeout=False) as client:
            async for message in client.receive_messages_iter_async():
                if bodies([message]) == [1]:
                    assert message.accept()
                    break
            async for message in client.receive_messages_iter_async():
                assert bodies([message]) == [2]
                break
            assert message.accept()  # as long as the client is open

    with bounded(10):
        asyncio.run(main())
    closed(broker)
    assert counters(broker)[:2] == (3, 0)
