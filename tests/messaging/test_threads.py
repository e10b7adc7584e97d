"""Many threads on one connection of `uamqp.sync`: each call comes to an end, and each message arrives once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.interrupts import everywhere, run_to
from tests.support.lines import plain
from tests.support.links import fill, stored, url_of
from tests.support.threads import Call, Notes, counts_in, in_threads, together
from uamqp import sync
from uamqp.messaging import (
    Accepted,
    AlreadySettled,
    BufferFull,
    ClosedError,
    Message,
    SendCancelled,
)
from uamqp.testing import Broker

THREADS = 8


@pytest.fixture
def connection(broker: Broker) -> Iterator[sync.Connection]:
    with sync.connect(url_of(broker)) as connected:
        yield connected


# -- sending


def test_threads_send_on_one_sender(broker: Broker, connection: sync.Connection) -> None:
    with connection.open_sender("q") as sender:

        def send(thread: int) -> None:
            for number in range(20):
                sender.send(f"{thread}.{number}")

        in_threads(THREADS, send)
        assert (sender.pending, sender.stats().accepted) == (0, 20 * THREADS)
    arrived = stored(broker)
    for thread in range(THREADS):
        mine = [body for body in arrived if body.startswith(f"{thread}.")]
        assert mine == [f"{thread}.{number}" for number in range(20)]  # in the order of its calls
    assert len(arrived) == 20 * THREADS


def submit_and_wait(sender: sync.Sender, body: Any) -> None:
    assert sender.submit(body).wait() == Accepted()


def submit_as_soon_as_there_is_room(sender: sync.Sender, body: Any) -> None:
    while True:
        try:
            delivery = sender.submit_nowait(body)
        except BufferFull:
            sender.submit(body).wait()
            return
        else:
            delivery.wait()
            return


def send_many(sender: sync.Sender, body: Any) -> None:
    report = sender.send_many([body], window=1)
    assert (report.taken, report.accepted) == (1, 1)


WAYS: list[Callable[[sync.Sender, Any], Any]] = [
    sync.Sender.send,
    submit_and_wait,
    submit_as_soon_as_there_is_room,
    send_many,
]


@pytest.mark.parametrize("limits", [{}, {"max_pending": 2}, {"max_pending_bytes": 100}], ids=["wide", "few", "small"])
def test_threads_send_in_all_ways(limits: dict[str, int]) -> None:
    """With little credit, too, and little room, of which each thread gets some."""
    with Broker(link_credit=3) as broker, sync.connect(url_of(broker)) as connection:
        sender = connection.open_sender("q", **limits)  # type: ignore[arg-type]

        def send(thread: int) -> None:
            for number in range(10):
                WAYS[thread % len(WAYS)](sender, thread * 10 + number)

        in_threads(THREADS, send)
        assert counts_in(broker) == dict.fromkeys(range(10 * THREADS), 1)
        assert (sender.pending, sender.stats().accepted) == (0, 10 * THREADS)


@pytest.mark.parametrize("channel_max", [1023, 3], ids=["sessions of their own", "shared sessions"])
def test_threads_open_use_and_close_senders(channel_max: int) -> None:
    with Broker(channel_max=channel_max) as broker, sync.connect(url_of(broker)) as connection:

        def work(thread: int) -> None:
            for _ in range(3):
                with connection.open_sender(f"q{thread}") as sender:
                    sender.send_many(range(5))
                    sender.send("last")

        in_threads(THREADS, work)
        for thread in range(THREADS):
            assert stored(broker, f"q{thread}") == [*range(5), "last"] * 3
        stats = connection.stats()
        assert (stats.senders, stats.sent.accepted) == (0, 18 * THREADS)


def test_threads_wait_for_one_delivery(broker: Broker, connection: sync.Connection) -> None:
    broker.faults.withhold_outcomes = True
    delivery = connection.open_sender("q").submit("x")
    calls = together([delivery.wait] * THREADS)
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    assert all(call.is_alive() for call in calls)
    broker.faults.withhold_outcomes = False
    assert [call.result() for call in calls] == [Accepted()] * THREADS


def test_one_of_many_threads_takes_a_message_back(broker: Broker, connection: sync.Connection) -> None:
    broker.faults.withhold_credit = True
    sender = connection.open_sender("q")
    sending = [Call(lambda number=number: sender.send(number)) for number in range(3)]  # type: ignore[misc]
    delivery = sender.submit("x")
    assert sorted(in_threads(THREADS, lambda _: delivery.cancel())) == [False] * (THREADS - 1) + [True]
    with pytest.raises(SendCancelled):
        delivery.wait()
    broker.faults.withhold_credit = False
    for each in sending:
        each.result()
    assert counts_in(broker) == dict.fromkeys(range(3), 1)


def test_cancelling_races_with_sending(broker: Broker, connection: sync.Connection) -> None:
    """Whichever is first: what was taken back isn't there, and all else is."""
    sender = connection.open_sender("q")
    taken_back = Notes()

    def work(thread: int) -> None:
        for number in range(20):
            body = thread * 20 + number
            delivery = sender.submit(body)
            if Call(delivery.cancel).result() if number % 5 else delivery.cancel():
                taken_back.add(body)
            else:
                delivery.wait()

    in_threads(THREADS, work)
    wanted = set(range(20 * THREADS)) - set(taken_back.items)
    assert counts_in(broker) == dict.fromkeys(wanted, 1)
    assert sender.stats().not_sent == len(taken_back)


@plain
def test_a_flush_ends_while_others_send(connection: sync.Connection) -> None:
    """Another thread submits a message at each line of its own."""
    sender = connection.open_sender("q")

    def submit() -> None:
        Call(lambda: sender.submit("another's")).result()

    runs = list(everywhere(1, lambda number: run_to(number, sender.flush, submit, within={"_flush"}, of="messaging")))
    assert runs
    assert [run.raised for run in runs] == [None] * len(runs)


# -- receiving


def receive_nowait(receiver: sync.Receiver) -> list[Message]:
    message = receiver.receive_nowait()
    return [receiver.receive()] if message is None else [message]


def batch(receiver: sync.Receiver) -> list[Message]:
    return next(receiver.batches(3), [])


def iterate(receiver: sync.Receiver) -> list[Message]:
    return list(itertools.islice(iter(receiver), 1))


TAKES: list[Callable[[sync.Receiver], list[Message]]] = [
    lambda receiver: [receiver.receive()],
    lambda receiver: receiver.receive_many(3),
    lambda receiver: receiver.receive_many(4, minimum=2, timeout=0.01),
    receive_nowait,
    batch,
    iterate,
]


def take_all(receiver: sync.Receiver, total: int, handle: Callable[[Message], Any]) -> Notes:
    """Take messages in many threads and in all ways, until so many were taken."""
    found = Notes()

    def work(thread: int) -> None:
        while len(found) < total:
            try:
                messages = TAKES[thread % len(TAKES)](receiver)
            except ClosedError:
                return
            for message in messages:
                found.add(message.body)
                handle(message)
            if len(found) >= total:
                receiver.stop()  # the others wait for more

    in_threads(len(TAKES) * 2, work)
    return found


@pytest.mark.parametrize(
    "options",
    [{}, {"prefetch": 2}, {"prefetch": 0}, {"max_unsettled": 5}, {"confirm": True}],
    ids=["ahead", "few ahead", "pulled", "few at a time", "confirmed"],
)
def test_each_message_is_received_once(options: dict[str, Any]) -> None:
    with Broker(allow_second=True) as broker, sync.connect(url_of(broker)) as connection:
        fill(broker, 120)
        with connection.open_receiver("q", **options) as receiver:
            found = take_all(receiver, 120, lambda message: message.accept().wait())
            assert found.counts == dict.fromkeys(range(120), 1)
            assert (receiver.unsettled, receiver.stats().settled) == (0, 120)
        queue = broker.queue("q")
        broker.wait_for(lambda: queue.counters.accepted == 120)
        assert (queue.depth, queue.unsettled) == (0, 0)


def test_each_message_is_accepted_as_it_is_received(broker: Broker, connection: sync.Connection) -> None:
    fill(broker, 120)
    with connection.open_receiver("q", settle="on_receive") as receiver:
        found = take_all(receiver, 120, lambda message: None)
    assert found.counts == dict.fromkeys(range(120), 1)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 120)


def test_each_iteration_accepts_what_it_had(broker: Broker, connection: sync.Connection) -> None:
    fill(broker, 100)
    found = Notes()
    with connection.open_receiver("q", settle="on_next") as receiver:

        def work(_: int) -> None:
            for message in receiver:
                found.add(message.body)
                if len(found) == 100:
                    receiver.stop()

        in_threads(THREADS, work)
        assert receiver.unsettled == 0
    assert found.counts == dict.fromkeys(range(100), 1)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 100)


def test_threads_settle_what_another_has_received(broker: Broker, connection: sync.Connection) -> None:
    """While that one waits for more, which isn't needed for it."""
    fill(broker, 60)
    queue = broker.queue("q")
    with connection.open_receiver("q") as receiver:
        messages = receiver.receive_many(60, minimum=60)
        waiting = Call(receiver.receive)
        ways = [Message.accept, Message.reject, lambda message: receiver.accept([message])]

        def settle(thread: int) -> None:
            for message in messages[thread::THREADS]:
                ways[thread % 3](message)

        in_threads(THREADS, settle)
        broker.wait_for(lambda: queue.unsettled == 0)
        assert waiting.is_alive()
        rejected = sum(len(messages[thread::THREADS]) for thread in range(1, THREADS, 3))
        assert (queue.counters.accepted, queue.counters.rejected) == (60 - rejected, rejected)
        fill(broker, 1, 60)
        assert waiting.result().body == 60


def test_a_message_is_settled_once_whoever_does_it(broker: Broker, connection: sync.Connection) -> None:
    fill(broker, 20)
    queue = broker.queue("q")
    with connection.open_receiver("q") as receiver:
        for message in receiver.receive_many(20, minimum=20):
            ways = [message.accept, message.reject] * 3
            errors = [call.error() for call in together(ways)]
            assert errors.count(None) == 1
            assert all(error is None or isinstance(error, AlreadySettled) for error in errors)
        assert receiver.unsettled == 0
        broker.wait_for(lambda: queue.unsettled == 0)
        assert queue.counters.accepted + queue.counters.rejected == 20


def test_threads_send_and_receive_on_one_connection(broker: Broker, connection: sync.Connection) -> None:
    sender, receiver = connection.open_sender("q"), connection.open_receiver("q", prefetch=3)
    found = Notes()

    def receive(thread: int) -> None:
        for _ in range(20):
            with receiver.process(receiver.receive()) as message:
                found.add(message.body)

    def work(thread: int) -> None:
        if thread % 2:
            receive(thread)
        else:
            sender.send_many(range(10 * thread, 10 * thread + 20), window=3)

    in_threads(THREADS, work)
    assert found.counts == dict.fromkeys(range(10 * THREADS), 1)


# -- callbacks


def test_a_callback_submits(broker: Broker, connection: sync.Connection) -> None:
    sender = connection.open_sender("q")

    def next_of(delivery: sync.Delivery) -> None:
        if (number := delivery.message.body) < 100:
            sender.submit_nowait(number + 10).add_done_callback(next_of)

    def work(thread: int) -> None:
        sender.submit(thread).add_done_callback(next_of)

    in_threads(10, work)
    broker.wait_for(lambda: broker.queue("q").depth == 110)
    assert counts_in(broker) == dict.fromkeys(range(110), 1)


def test_callbacks_of_many_threads_are_called_once_each(broker: Broker, connection: sync.Connection) -> None:
    called = Notes()
    sender = connection.open_sender("q")

    def work(thread: int) -> None:
        for number in range(20):
            name = (thread, number)
            delivery = sender.submit("x")
            delivery.add_done_callback(lambda _, name=name: called.add(name))  # type: ignore[misc]
        delivery.wait()

    in_threads(THREADS, work)
    connection.close()
    broker.wait_for(lambda: len(called) == 20 * THREADS)
    assert set(called.counts.values()) == {1}
