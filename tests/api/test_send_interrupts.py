"""`SendClient`: an interrupt at any line of a send leaves the message to the caller, and the client to others."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from tests.support.effort import stride
from tests.support.lines import Interrupt, interrupted, plain
from tests.support.waiting import bounded, until
from uamqp import Message, SendClient, errors
from uamqp.constants import MessageState
from uamqp.testing import Broker

FILES = ("client/send.py", "client/sending.py", "core/outgoing.py", "core/outbox.py", "engine/fifo.py")


def copies(broker: Broker, queue: str) -> int:
    return [view.body for view in broker.queue(queue).messages].count(b"x")


@plain
@pytest.mark.parametrize("start", range(4))
def test_an_interrupt_at_any_line(start: int, broker: Broker) -> None:
    """Whatever the message says of itself is so, and any client can send it unless it has arrived."""
    apart = stride(3)
    line, came = start * apart, True
    seen: set[Any] = set()
    while came:
        queue = f"q{line}"
        message, queued = Message(b"x"), Message(b"queued")
        client = SendClient(f"{broker.url}/{queue}", close_timeout=300)
        client.queue_message(queued)
        came = interrupted(lambda client=client, message=message: client.send_message(message), line, *FILES)  # type: ignore[misc]
        assert message not in client.pending_messages, line
        assert queued in client.pending_messages or queued.state is MessageState.SendComplete, line
        seen.add((message.state, message.fate))
        if not came:
            assert message.state is MessageState.SendComplete
        with bounded(20):
            client.close()
        broker.wait_for(lambda: broker.connections == ())
        there = copies(broker, queue)
        if message.state is MessageState.SendComplete:
            assert (message.fate, there) == (None, 1), line
        else:
            assert (message.state, message.settled, message.retries) == (MessageState.WaitingToBeSent, False, 0), line
            assert there == 0 or message.fate == "unknown", line
            with SendClient(f"{broker.url}/{queue}") as again:
                again.send_message(message)
            assert copies(broker, queue) == there + 1, line
        if queued.state is not MessageState.SendComplete:
            assert client.pending_messages == [queued], line
            assert client.wait()  # what was queued is sent by the client that has it
            client.close()
        line += 4 * apart
    assert {fate for _, fate in seen} >= {"not sent", "unknown", None}


@plain
def test_an_interrupt_while_messages_are_queued(broker: Broker) -> None:
    """Each is pending, or it isn't and can be queued again; none is lost, or there twice."""
    line, came = 0, True
    while came:
        client = SendClient(f"{broker.url}/q{line}")
        messages = [Message(b"x") for _ in range(3)]
        came = interrupted(lambda client=client, messages=messages: client.queue_message(*messages), line, *FILES)  # type: ignore[misc]
        pending = client.pending_messages
        client.queue_message(*[message for message in messages if message not in pending])
        assert client.wait()
        client.close()
        assert copies(broker, f"q{line}") == 3, line
        line += 1
    assert line > 20


class Alarm(Exception):
    """As a handler of SIGALRM raises it."""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs signals of POSIX")
@pytest.mark.parametrize("kind", [Alarm, Interrupt])
def test_an_interrupt_of_the_thread_that_leads(kind: type[BaseException], broker: Broker) -> None:
    """It waits for its outcome, and for those of others, who go on without it."""

    def handler(number: int, frame: Any) -> None:
        raise kind

    before = signal.signal(signal.SIGUSR1, handler)
    client = SendClient(broker.url + "/q")
    try:
        client.open()
        until(client.client_ready, lambda: None)
        broker.faults.withhold_outcomes = True
        mine, others = Message(b"x"), [Message(b"%d" % number) for number in range(3)]
        main = threading.get_ident()
        threads: list[threading.Thread] = []

        def watch() -> None:
            broker.wait_for(lambda: broker.queue("q").depth == 1)
            threads.extend(threading.Thread(target=client.send_message, args=[message]) for message in others)
            for thread in threads:
                thread.start()
            broker.wait_for(lambda: broker.queue("q").depth == 4)
            signal.pthread_kill(main, signal.SIGUSR1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        with pytest.raises(kind):
            client.send_message(mine)
        watcher.join()
        assert (mine.fate, mine.state) == ("unknown", MessageState.WaitingToBeSent)
        assert mine not in client.pending_messages
        broker.faults.withhold_outcomes = False
        with bounded(10):
            for thread in threads:
                thread.join()
        assert all(message.state is MessageState.SendComplete for message in others)
        with pytest.raises(errors.MessageAlreadySettled):
            client.send_message(others)
    finally:
        signal.signal(signal.SIGUSR1, before)
        client.close()
