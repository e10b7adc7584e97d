"""`ReceiveClient`: batches, callbacks, iteration, and what becomes of the messages."""

from __future__ import annotations

import queue
import threading
from functools import partial
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.queues import bodies, fill, waiting
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, errors
from uamqp.constants import ErrorCodes, MessageState
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


def receive_all(client: ReceiveClient, count: int, **settings: Any) -> list[Message]:
    """So many messages, from as many batches as it takes."""
    got: list[Message] = []
    until(lambda: len(got) >= count, lambda: got.extend(client.receive_message_batch(timeout=5000, **settings)))
    return got


# -- batches


def test_a_batch_is_what_is_there(broker: Broker) -> None:
    fill(broker, 5)
    with ReceiveClient(broker.url + "/q") as client:
        got = receive_all(client, 5)
        assert bodies(got) == [0, 1, 2, 3, 4]
        assert [message.settled for message in got] == [True] * 5
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 5)
        with bounded(2):
            assert client.receive_message_batch(timeout=50) == []
        fill(broker, 1, start=5)  # the client can still be used
        assert bodies(client.receive_message_batch(timeout=5000)) == [5]


def test_a_batch_has_no_more_than_was_asked_for(broker: Broker) -> None:
    fill(broker, 10)
    with ReceiveClient(broker.url + "/q", prefetch=10) as client:
        first = client.receive_message_batch(max_batch_size=3, timeout=5000)
        assert 1 <= len(first) <= 3
        got = first + receive_all(client, 10 - len(first), max_batch_size=3)
    assert bodies(got) == list(range(10))


def test_a_batch_is_no_larger_than_the_prefetch(broker: Broker) -> None:
    refusal = r"^Maximum batch size cannot be greater than the connection link credit: 5\. The client's prefetch= sets"
    with ReceiveClient(broker.url + "/q", prefetch=5) as client:
        with pytest.raises(ValueError, match=refusal):
            client.receive_message_batch(max_batch_size=6)
        fill(broker, 20)
        got: list[Message] = []
        while len(got) < 20:
            batch = client.receive_message_batch(timeout=5000)
            assert len(batch) <= 5
            got += batch
        assert bodies(got) == list(range(20))


def test_what_was_left_over_comes_first(broker: Broker) -> None:
    fill(broker, 6)
    with ReceiveClient(broker.url + "/q", prefetch=10) as client:
        until(client.client_ready, lambda: None)
        until(lambda: client._received_messages.qsize() == 6, client.do_work)
        assert bodies(client.receive_message_batch(max_batch_size=4)) == [0, 1, 2, 3]
        fill(broker, 1, start=6)
        with bounded(2):
            assert bodies(client.receive_message_batch(max_batch_size=1)) == [4]
        got = receive_all(client, 2)
        assert bodies(got) == [5, 6]


def test_a_batch_comes_as_soon_as_there_is_something(broker: Broker) -> None:
    fill(broker, 1)
    with ReceiveClient(broker.url + "/q") as client, bounded(3):
        assert len(client.receive_message_batch(timeout=30_000)) == 1


def test_messages_that_come_while_the_batch_waits(broker: Broker) -> None:
    with ReceiveClient(broker.url + "/q") as client, bounded(5):
        until(client.client_ready, lambda: None)
        timer = threading.Timer(0.1, fill, (broker, 1))
        timer.start()
        assert bodies(client.receive_message_batch(timeout=30_000)) == [0]
        timer.join()


@pytest.mark.blocking("a loop still receives what the credit allows, and hands out what has arrived")
def test_the_clients_own_timeout_shuts_it_down(broker: Broker, clock: Clock) -> None:
    """Contract 14.3: after the inactivity time-out every later call returns [] at once."""
    pause = threading.Event()

    def pass_by() -> None:
        while not client._shutdown:  # one may begin to wait late
            clock.move(101)
            pause.wait(0.02)

    client = ReceiveClient(broker.url + "/q", timeout=100_000)
    client.open()
    until(client.client_ready, lambda: None)
    with bounded(20):
        mover = threading.Thread(target=pass_by)
        mover.start()
        assert client.receive_message_batch() == []
        mover.join()
    fill(broker, 1)
    with bounded(20):
        assert client.receive_message_batch() == []
        assert client.do_work() is False
    client.close()
    assert waiting(broker) == [0]


def test_a_timeout_that_does_not_shut_down(broker: Broker) -> None:
    with ReceiveClient(broker.url + "/q", timeout=100, shutdown_after_timeout=False) as client, bounded(5):
        assert client.receive_message_batch() == []
        fill(broker, 1)
        assert bodies(receive_all(client, 1)) == [0]
        assert client.receive_message_batch() == []


def test_the_timeout_may_be_changed_on_a_running_link(broker: Broker) -> None:
    """azure-servicebus writes `_timeout` between calls, in milliseconds."""
    with ReceiveClient(broker.url + "/q", shutdown_after_timeout=False) as client, bounded(5):
        fill(broker, 1)
        assert len(receive_all(client, 1)) == 1
        client._timeout = 50
        assert client.receive_message_batch() == []
        client._timeout = 0


def test_activity_that_is_reported_by_hand_puts_the_timeout_off(broker: Broker, clock: Clock) -> None:
    """azure-servicebus sets `_was_message_received`."""
    with ReceiveClient(broker.url + "/q", timeout=15_000) as client:
        until(client.client_ready, lambda: None)
        for _ in range(6):
            client._was_message_received = True
            clock.move(5)
            assert client.do_work() is True
        until(lambda: not client.do_work(), lambda: clock.move(5))


def test_a_batch_with_a_callback(broker: Broker) -> None:
    fill(broker, 3)
    seen: list[Message] = []
    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        got: list[Message] = []
        until(
            lambda: len(got) == 3,
            lambda: got.extend(client.receive_message_batch(on_message_received=seen.append, timeout=5000)),
        )
    assert bodies(seen) == [0, 1, 2]
    assert seen == got


# -- settling


def test_without_auto_complete_messages_stay_unsettled(broker: Broker) -> None:
    fill(broker, 2)
    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        got = receive_all(client, 2)
        assert [message.settled for message in got] == [False, False]
        assert [message.state for message in got] == [MessageState.ReceivedUnsettled] * 2
        assert broker.queue("q").unsettled == 2
        assert got[0].accept() is True
        assert got[0].accept() is False
        assert got[0].state is MessageState.ReceivedSettled
        broker.wait_for(lambda: broker.queue("q").unsettled == 1)
    broker.wait_for(lambda: waiting(broker) == [1])


def test_each_way_to_settle(broker: Broker) -> None:
    fill(broker, 4)
    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        got = receive_all(client, 4)
        assert got[0].accept()
        assert got[1].reject(condition="com.vendor:bad", description="no good", info={"why": "x"})
        assert got[2].release()
        assert got[3].modify(True, True)
        broker.wait_for(lambda: broker.queue("q").counters.released == 1)
        assert bodies(receive_all(client, 1)) == [2]  # released: again, as if it had never gone out
    broker.wait_for(lambda: broker.queue("q").unsettled == 0)
    counters = broker.queue("q").counters
    assert (counters.accepted, counters.rejected, counters.modified) == (1, 1, 1)
    assert [int(view.body) for view in broker.dead_letters("q").messages] == [1]


def test_a_message_knows_its_delivery(broker: Broker) -> None:
    fill(broker, 2)
    with ReceiveClient(broker.url + "/q") as client:
        got = receive_all(client, 2)
    assert [message.delivery_no for message in got] == [0, 1]
    assert all(isinstance(message.delivery_tag, bytes) and message.delivery_tag for message in got)
    assert got[0].delivery_tag != got[1].delivery_tag


def test_settling_when_the_link_is_gone_fails_and_the_message_stays_unsettled(broker: Broker) -> None:
    """Defect 30: a failed settle left `settled` True."""
    fill(broker, 1)
    client = ReceiveClient(broker.url + "/q", auto_complete=False)
    (message,) = receive_all(client, 1)
    client.close()
    for settle in (message.accept, message.release, message.reject, partial(message.modify, True, False)):
        with pytest.raises(RuntimeError, match="Unable to send message dispos"):
            settle()
        assert not message.settled
        assert message.state is MessageState.ReceivedUnsettled
    broker.wait_for(lambda: waiting(broker) == [0])


def test_what_the_client_holds_at_close_goes_back(broker: Broker) -> None:
    """Prefetched messages that nobody has seen are another's to receive, at once and uncounted."""
    fill(broker, 10)
    with ReceiveClient(broker.url + "/q") as client:
        until(client.client_ready, lambda: None)
        until(lambda: client._received_messages.qsize() == 10, client.do_work)
        assert bodies(client.receive_message_batch(max_batch_size=2)) == [0, 1]
    broker.wait_for(lambda: broker.queue("q").depth == 8)
    assert waiting(broker) == list(range(2, 10))
    assert {view.delivery_count for view in broker.queue("q").messages} == {0}


def test_auto_complete_accepts_what_was_handed_out_alone(broker: Broker) -> None:
    fill(broker, 5)
    with ReceiveClient(broker.url + "/q") as client:
        until(client.client_ready, lambda: None)
        until(lambda: client._received_messages.qsize() == 5, client.do_work)
        got = client.receive_message_batch(max_batch_size=2)
        assert [message.settled for message in got] == [True, True]
    broker.wait_for(lambda: broker.queue("q").unsettled == 0)
    assert broker.queue("q").counters.accepted == 2
    assert waiting(broker) == [2, 3, 4]


# -- callbacks


def test_streaming_to_a_callback(broker: Broker, clock: Clock) -> None:
    fill(broker, 3)
    seen: list[Message] = []
    clock.stand_until(lambda: len(seen) == 3, then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    with bounded(5):
        client.receive_messages(seen.append)
    assert bodies(seen) == [0, 1, 2]
    assert [message.settled for message in seen] == [True] * 3
    broker.wait_for(lambda: broker.connections == ())  # it has closed itself
    assert broker.queue("q").counters.accepted == 3


def test_a_callback_may_settle(broker: Broker, clock: Clock) -> None:
    fill(broker, 2)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    clock.stand_until(lambda: broker.dead_letters("q").depth == 2, then=0.1)
    client.receive_messages(lambda message: message.reject())
    broker.wait_for(lambda: broker.dead_letters("q").depth == 2)
    assert broker.queue("q").counters.accepted == 0


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_close_the_client(broker: Broker) -> None:
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q", auto_complete=False)
    seen: list[int] = []

    def take(message: Message) -> None:
        seen.extend(bodies([message]))
        message.accept()
        client.close()

    with bounded(5):
        client.receive_messages(take)
    assert seen == [0]
    broker.wait_for(lambda: waiting(broker) == [1, 2])


def test_a_callback_that_raises_gives_the_message_back(
    broker: Broker, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    """Contract 12: modified(failed, undeliverable-here), a line in the log, and the link goes on."""
    fill(broker, 3)
    seen: list[int] = []

    def take(message: Message) -> None:
        if bodies([message]) == [1]:
            raise ValueError("this one I can't bear")
        seen.extend(bodies([message]))

    client = ReceiveClient(broker.url + "/q", timeout=150)
    clock.stand_until(lambda: len(seen) == 2, then=0.15)
    client.receive_messages(take)
    assert seen == [0, 2]
    assert "this one I can't bear" in caplog.text
    broker.wait_for(lambda: broker.queue("q").counters.modified == 1)
    assert broker.queue("q").counters.accepted == 2
    assert [(view.body, view.delivery_count) for view in broker.queue("q").messages] == [(b"1", 1)]


def test_callbacks_that_raise_do_not_use_up_the_credit(broker: Broker, clock: Clock) -> None:
    fill(broker, 10)
    seen: list[int] = []

    def take(message: Message) -> None:
        seen.extend(bodies([message]))
        raise ValueError("never")

    clock.stand_until(lambda: len(seen) == 10, then=0.15)
    client = ReceiveClient(broker.url + "/q", prefetch=2, timeout=150)
    with bounded(5):
        client.receive_messages(take)
    assert seen == list(range(10))


def test_a_batch_is_without_what_its_callback_could_not_bear(broker: Broker) -> None:
    fill(broker, 3)

    def take(message: Message) -> None:
        if bodies([message]) == [1]:
            raise ValueError("not this one")

    got: list[Message] = []
    with ReceiveClient(broker.url + "/q") as client:
        until(
            lambda: len(got) == 2,
            lambda: got.extend(client.receive_message_batch(on_message_received=take, timeout=5000)),
        )
    assert bodies(got) == [0, 2]
    broker.wait_for(lambda: broker.queue("q").counters.modified == 1)


def test_a_callback_that_raises_after_settling_settles_once(broker: Broker, clock: Clock) -> None:
    """Defect 31: a second disposition went out."""
    fill(broker, 1)

    def take(message: Message) -> None:
        message.accept()
        raise ValueError("too late")

    clock.stand_until(lambda: broker.queue("q").counters.accepted == 1, then=0.1)
    ReceiveClient(broker.url + "/q", timeout=100).receive_messages(take)
    broker.wait_for(lambda: broker.queue("q").unsettled == 0)
    counters = broker.queue("q").counters
    assert (counters.accepted, counters.modified) == (1, 0)


@pytest.mark.blocking("an interrupt ends the loop, and the thread that it has here")
def test_an_interrupt_in_a_callback_shuts_the_client_down(broker: Broker) -> None:
    """Contract 12: the message is given back, and AMQPClientShutdown comes out."""
    fill(broker, 1)

    def take(message: Message) -> None:
        raise KeyboardInterrupt

    client = ReceiveClient(broker.url + "/q")
    with bounded(5), pytest.raises(errors.AMQPClientShutdown):
        client.receive_messages(take)
    client.close()
    broker.wait_for(lambda: broker.queue("q").counters.modified == 1)


def test_streaming_that_leaves_messages_unsettled(broker: Broker, clock: Clock) -> None:
    fill(broker, 2)
    seen: list[Message] = []
    client = ReceiveClient(broker.url + "/q", timeout=100, auto_complete=False, shutdown_after_timeout=False)
    clock.stand_until(lambda: len(seen) == 2, then=0.1)
    client.receive_messages(seen.append)
    assert [message.settled for message in seen] == [False, False]
    assert broker.queue("q").unsettled == 2
    assert seen[0].accept()
    client.close()
    broker.wait_for(lambda: waiting(broker) == [1])


def test_streaming_by_hand_as_eventhub_does(broker: Broker) -> None:
    """azure-eventhub sets `_streaming_receive` and `_message_received_callback`, and calls do_work."""
    fill(broker, 3)
    seen: list[Message] = []
    client = ReceiveClient(broker.url + "/q", auto_complete=True)
    client._streaming_receive = True
    client._message_received_callback = seen.append
    client.open()
    until(client.client_ready, lambda: None)
    until(lambda: len(seen) == 3, partial(client.do_work, batch=3))
    assert client._received_messages.empty()
    client.close()
    assert broker.queue("q").counters.accepted == 3


def test_the_method_that_takes_messages_may_be_replaced(broker: Broker) -> None:
    """azure-servicebus replaces `_message_received` on the instance, before the link is there or later."""
    fill(broker, 2)
    seen: list[Message] = []
    client = ReceiveClient(broker.url + "/q", auto_complete=False)
    client._message_received = seen.append
    client.open()
    until(lambda: len(seen) == 2, client.do_work)
    assert client._received_messages.empty()
    later: list[Message] = []

    def put(into: list[Message], message: Message) -> None:
        into.append(message)

    client._message_received = partial(put, later)
    fill(broker, 1, start=2)
    until(lambda: len(later) == 1, client.do_work)
    seen[0].accept()
    client.close()
    broker.wait_for(lambda: waiting(broker) == [1, 2])


def test_the_received_messages_are_a_queue(broker: Broker) -> None:
    """azure-servicebus takes messages out of it, and puts some back."""
    fill(broker, 2)
    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        until(lambda: client._received_messages.qsize() == 2, client.do_work)
        held = client._received_messages
        assert not held.empty()
        message = held.get()
        held.task_done()
        held.put(message)
        assert bodies([held.get(), held.get()]) == [1, 0]
        assert held.empty()
        with pytest.raises(queue.Empty):
            held.get_nowait()


# -- iterating


def test_iterating(broker: Broker, clock: Clock) -> None:
    fill(broker, 4)
    clock.stand_until(lambda: broker.queue("q").counters.accepted == 4, then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    with bounded(5):
        assert bodies(list(client.receive_messages_iter())) == [0, 1, 2, 3]
    broker.wait_for(lambda: broker.connections == ())
    assert broker.queue("q").counters.accepted == 4
    assert client.auto_complete is True


def test_a_message_is_accepted_when_the_next_is_asked_for(broker: Broker) -> None:
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q")
    messages = client.receive_messages_iter()
    first = next(messages)
    assert not first.settled
    assert client.auto_complete is False
    second = next(messages)
    assert first.settled
    assert not second.settled
    messages.close()
    assert client.auto_complete is True
    broker.wait_for(lambda: broker.connections == ())
    assert broker.queue("q").counters.accepted == 1
    assert waiting(broker) == [1, 2]


def test_breaking_off_closes_the_client(broker: Broker) -> None:
    fill(broker, 3)
    client = ReceiveClient(broker.url + "/q")
    for message in client.receive_messages_iter():
        assert bodies([message]) == [0]
        break
    broker.wait_for(lambda: broker.connections == ())
    assert not client.do_work()


def test_iterating_without_auto_complete(broker: Broker, clock: Clock) -> None:
    fill(broker, 2)
    clock.stand_until(lambda: broker.queue("q").unsettled == 1 and broker.queue("q").counters.accepted == 1, then=0.1)
    client = ReceiveClient(broker.url + "/q", auto_complete=False, timeout=100)
    for message in client.receive_messages_iter():
        if bodies([message]) == [0]:
            message.accept()
    broker.wait_for(lambda: broker.connections == ())
    assert broker.queue("q").counters.accepted == 1
    assert waiting(broker) == [1]
    assert client.auto_complete is False


def test_what_was_settled_in_the_loop_stays_so(broker: Broker, clock: Clock) -> None:
    fill(broker, 2)
    clock.stand_until(lambda: broker.dead_letters("q").depth == 2, then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    for message in client.receive_messages_iter():
        assert message.reject()
    broker.wait_for(lambda: broker.dead_letters("q").depth == 2)
    assert broker.queue("q").counters.accepted == 0


def test_iterating_again_over_the_same_link(broker: Broker, clock: Clock) -> None:
    """shutdown_after_timeout=False: the end of an iteration leaves the client open."""
    fill(broker, 2)
    clock.stand_until(lambda: broker.queue("q").counters.accepted == 2, then=0.08)
    client = ReceiveClient(broker.url + "/q", timeout=80, shutdown_after_timeout=False)
    with bounded(5):
        assert bodies(list(client.receive_messages_iter())) == [0, 1]
        handler = client.message_handler
        fill(broker, 2, start=2)
        clock.stand_until(lambda: broker.queue("q").counters.accepted == 4, then=0.08)
        assert bodies(list(client.receive_messages_iter())) == [2, 3]
    assert handler is not None
    assert client.message_handler is handler
    client.close()


def test_iterating_with_a_callback(broker: Broker, clock: Clock) -> None:
    fill(broker, 2)
    seen: list[Message] = []
    clock.stand_until(lambda: len(seen) == 2, then=0.1)
    client = ReceiveClient(broker.url + "/q", timeout=100)
    got = list(client.receive_messages_iter(on_message_received=seen.append))
    assert bodies(seen) == bodies(got) == [0, 1]


def test_closing_ends_the_iteration(broker: Broker) -> None:
    fill(broker, 5)
    client = ReceiveClient(broker.url + "/q")
    got = []
    with bounded(5):
        for message in client.receive_messages_iter():
            got.append(message)
            if len(got) == 2:
                client.close()
    assert bodies(got) == [0, 1]


def test_a_runtime_error_in_a_callback_ends_the_link(broker: Broker) -> None:
    """Contract 12: RuntimeError becomes the link's error, UnknownError."""
    fill(broker, 1)

    def take(message: Message) -> None:
        raise RuntimeError("out of order")

    client = ReceiveClient(broker.url + "/q")
    with bounded(5), pytest.raises(errors.LinkDetach, match="out of order") as caught:
        client.receive_messages(take)
    assert caught.value.condition == ErrorCodes.UnknownError
    client.close()
    broker.wait_for(lambda: waiting(broker) == [0])  # nothing is lost


def test_what_else_a_callback_raises(broker: Broker, caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    """As the guide has it: logged, and given back as failed; or, if it is no `Exception`, raised by the call."""
    fill(broker, 3)
    raised: list[BaseException] = [ValueError("no such thing"), Unforeseen("enough")]
    seen: list[Message] = []

    def take(message: Message) -> None:
        seen.append(message)
        if len(seen) > 1 and raised:
            raise raised.pop(0)

    clock.stand_until(lambda: len(seen) == 4, then=0.2)
    client = ReceiveClient(broker.url + "/q", shutdown_after_timeout=False, timeout=200)
    with bounded(10):
        with pytest.raises(Unforeseen, match="enough"):
            client.receive_messages(take)
        client.receive_messages(take)
    assert bodies(seen) == [0, 1, 2, 2]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] != []
    client.close()
    broker.wait_for(lambda: waiting(broker) == [1])
    assert [view.delivery_count for view in broker.queue("q").messages] == [1]


class Unforeseen(BaseException):
    """As `SystemExit`, which asyncio treats as the end of the loop, too."""


# -- one way of receiving after the other


def test_what_a_batch_left_over_goes_to_the_callback(broker: Broker, clock: Clock) -> None:
    """The buffer is full of what the batch didn't take: it comes first, and makes room."""
    fill(broker, 12)
    seen: list[Message] = []
    clock.stand_until(lambda: len(seen) == 12, then=0.15)
    client = ReceiveClient(broker.url + "/q", prefetch=4, timeout=150)
    client.open()
    until(lambda: client._received_messages.qsize() == 4, client.do_work)
    seen += client.receive_message_batch(max_batch_size=1)
    with bounded(8):
        client.receive_messages(seen.append)
    assert bodies(seen) == list(range(12))


def test_a_batch_after_an_iteration(broker: Broker, clock: Clock) -> None:
    fill(broker, 10)
    got: list[Message] = []
    clock.stand_until(lambda: len(got) == 10)
    client = ReceiveClient(broker.url + "/q", timeout=150, shutdown_after_timeout=False)
    messages = client.receive_messages_iter()
    got += [next(messages), next(messages)]
    got[-1].accept()
    messages.close()
    until(lambda: len(got) == 10, lambda: got.extend(client.receive_message_batch(timeout=5000)))
    assert bodies(got) == list(range(10))
    assert all(message.settled for message in got)
    client.close()
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 10)


def test_a_prefetch_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"^prefetch must be from 0 to \d+ \(0 means the default, 300\), not -1\.$"):
        ReceiveClient("amqp://h/q", prefetch=-1)


def test_the_smallest_prefetch(broker: Broker) -> None:
    fill(broker, 20)
    with ReceiveClient(broker.url + "/q", prefetch=1) as client:
        assert bodies(receive_all(client, 20)) == list(range(20))


def test_each_settlement_reaches_the_peer_though_nobody_drives_the_connection(broker: Broker) -> None:
    """One after the other, so that each has to be written on its own account; the last with nothing left unsettled."""
    fill(broker, 4)

    def accepted(count: int) -> bool:
        return broker.queue("q").counters.accepted == count

    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        batch: list[Message] = []
        until(lambda: len(batch) == 4, lambda: batch.extend(client.receive_message_batch(max_batch_size=4)))
        for number, message in enumerate(batch, 1):
            message.accept()
            broker.wait_for(partial(accepted, number))
