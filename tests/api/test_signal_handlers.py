"""Calls of a client within a signal handler, while its own thread is anywhere in another call of the same client.

What the handler wants takes place, is refused by an error that says so, or is done as soon as the interrupted frame can
do it. Nothing is sent twice or lost.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.interrupts import PARTS, Run, everywhere, handling, posix, run_to
from tests.support.waiting import bounded
from uamqp import Connection, Message, ReceiveClient, SendClient, errors
from uamqp.authentication import SASLAnonymous
from uamqp.constants import MessageState
from uamqp.testing import Broker

every_part = pytest.mark.parametrize("part", range(PARTS))
WORDS = "can't be used in there"


def waits(client: Any) -> None:
    """Wait until the main thread waits for the client's socket."""
    while not client._connection._pump._waiting:
        pass


@contextlib.contextmanager
def when_it_waits(client: Any, kill: Callable[[], None]) -> Iterator[None]:
    """Have the signal sent once the main thread waits within the block."""

    def run() -> None:
        waits(client)
        kill()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(10)


@posix
def test_a_receiver_that_waits_is_closed_at_once(broker: Broker) -> None:
    client = ReceiveClient(broker.url + "/q", timeout=60_000)
    client.open()
    while not client.client_ready():
        pass
    with handling(client.close) as kill, when_it_waits(client, kill), bounded(5):
        assert client.receive_message_batch() == []
    broker.wait_for(lambda: not broker.connections)


@posix
def test_a_connection_that_waits_is_closed_at_once(broker: Broker) -> None:
    connection = Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))
    client = ReceiveClient(broker.url + "/q")
    client.open(connection=connection)
    while not client.client_ready():
        pass
    with handling(connection.destroy) as kill, when_it_waits(client, kill), bounded(5):
        with pytest.raises(errors.AMQPConnectionError):
            client.receive_message_batch(timeout=60_000)
    client.close()
    broker.wait_for(lambda: not broker.connections)


@posix
def test_a_message_is_sent_while_another_waits_for_its_outcome(broker: Broker) -> None:
    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"first"))
        broker.faults.delay = 0.05
        inner = Message(b"inner")
        with handling(lambda: client.send_message(inner)) as kill, when_it_waits(client, kill), bounded(10):
            client.send_message(Message(b"outer"))
        assert inner.state is MessageState.SendComplete
    assert sorted(view.body for view in broker.queue("q").messages) == [b"first", b"inner", b"outer"]


@posix
def test_a_handler_that_closes_and_raises(broker: Broker) -> None:
    """`sys.exit` in a handler of SIGTERM, as programs have it."""
    client = ReceiveClient(broker.url + "/q")
    client.open()
    while not client.client_ready():
        pass

    def stop() -> None:
        client.close()
        sys.exit(3)

    with handling(stop) as kill, when_it_waits(client, kill), bounded(5), pytest.raises(SystemExit):
        client.receive_message_batch(timeout=60_000)
    broker.wait_for(lambda: not broker.connections)


@posix
def test_receiving_within_a_handler(broker: Broker) -> None:
    got: list[Message] = []
    with ReceiveClient(broker.url + "/q", prefetch=10) as client:
        while not client.client_ready():
            pass

        def receive() -> None:
            broker.put("q", Message(b"1"))
            got.extend(client.receive_message_batch(timeout=10_000))
            broker.put("q", Message(b"2"))

        with handling(receive) as kill, when_it_waits(client, kill), bounded(10):
            got += client.receive_message_batch(timeout=60_000)
    assert [b"".join(message.get_data()) for message in got] == [b"1", b"2"]
    assert broker.queue("q").counters.accepted == 2


# -- at every line


@every_part
def test_sending_within_a_send(broker: Broker, part: int) -> None:
    def attempt(number: int) -> Run:
        queue = f"q{number}"
        client = SendClient(f"{broker.url}/{queue}")
        client.send_message(Message(b"first"))
        outer, inner = [Message(b"%d" % index) for index in range(3)], Message(b"inner")
        run = run_to(number, lambda: client.send_message(outer), lambda: client.send_message(inner), passes_on=False)
        client.close()
        assert run.raised is None, run
        arrived = collections.Counter(view.body for view in broker.queue(queue).messages)
        wanted = [b"first", b"0", b"1", b"2"]
        if run.answered is not None:
            assert isinstance(run.answered, RuntimeError), f"{run}: {run.answered!r}"
            assert WORDS in str(run.answered)
        elif run.where is not None:
            wanted.append(b"inner")
            assert inner.state is MessageState.SendComplete, run
        assert arrived == collections.Counter(wanted), run
        return run

    runs = list(everywhere(13, attempt, part))
    assert any(run.answered is None for run in runs)
    assert any(run.answered is not None for run in runs)


def test_sending_while_states_are_told(broker: Broker) -> None:
    """No callback of the application's is there: it is refused, and doesn't wait for what the other frame has."""
    answered: list[BaseException | None] = []
    number = 0
    where: str | None = ""
    while where is not None:
        number += 1
        client = SendClient(f"{broker.url}/q{number}", stall_timeout=300)
        outer, inner = Message(b"outer"), Message(b"inner")
        with bounded(20):
            run = run_to(
                number,
                functools.partial(client.send_message, outer),
                functools.partial(client.send_message, inner),
                passes_on=False,
                within=("on_link_state", "on_state_changed", "_note_state", "_state_changed"),
            )
        where = run.where
        client.close()
        assert run.raised is None, f"{run}: {run.raised!r}"
        assert run.answered is None or WORDS in str(run.answered), f"{run}: {run.answered!r}"
        answered.append(run.answered)
    assert any(answered)


def test_a_message_that_sends_while_it_is_encoded(broker: Broker) -> None:
    class Sending(Message):
        def encode_message(self) -> bytes:
            client.send_message(Message(b"inner"))
            return super().encode_message()

    with SendClient(broker.url + "/q") as client:
        words = "a message's own encoding has interrupted: it can't be used in there"
        with pytest.raises(errors.ClientMessageError, match=words):
            client.send_message(Sending(b"x"))
        client.send_message(Message(b"y"))
    assert [view.body for view in broker.queue("q").messages] == [b"y"]


@pytest.mark.parametrize("kind", [SendClient, ReceiveClient])
@every_part
def test_closing_within_a_call(broker: Broker, kind: type[Any], part: int) -> None:
    """The client is closed when the call is over, at the latest."""

    def attempt(number: int) -> Run:
        queue = f"{kind.__name__}{number}"
        client = kind(f"{broker.url}/{queue}")
        client.open()
        while not client.client_ready():
            pass
        messages = [Message(b"%d" % index) for index in range(3)]
        connection = client._connection

        def send() -> None:
            client.send_message(messages)

        def receive() -> None:
            for message in messages:
                broker.put(queue, message)
            client.receive_message_batch(timeout=10_000)

        with bounded(10):
            run = run_to(number, send if kind is SendClient else receive, client.close, passes_on=False)
        assert run.answered is None, run
        assert run.where is None or client._connection is not connection, f"{run}: it isn't closed"
        client.close()
        assert run.raised is None or isinstance(run.raised, errors.AMQPError), f"{run}: {run.raised!r}"
        broker.wait_for(lambda: not broker.connections)
        counts = collections.Counter(view.body for view in broker.queue(queue).messages)
        assert all(count == 1 for count in counts.values()), run
        for message in messages:
            if message.state is MessageState.SendComplete and kind is SendClient:
                assert counts[b"".join(message.get_data())] == 1, run
        return run

    list(everywhere(37, attempt, part))


@every_part
def test_settling_within_a_call(broker: Broker, part: int) -> None:
    """It isn't refused: finalizers settle, too."""

    def attempt(number: int) -> Run:
        queue = f"q{number}"
        with ReceiveClient(f"{broker.url}/{queue}", auto_complete=False) as client:
            for index in range(4):
                broker.put(queue, Message(b"%d" % index))
            held = client.receive_message_batch(max_batch_size=1, timeout=10_000)[0]
            got: list[Message] = []

            def receive() -> None:
                while len(got) < 3:
                    got.extend(client.receive_message_batch(timeout=10_000))
                for message in got:
                    message.accept()

            run = run_to(number, receive, held.accept, passes_on=False)
            assert run.answered is None, run
            assert run.raised is None, run
            if run.where is None:
                held.accept()
            broker.wait_for(lambda: broker.queue(queue).counters.accepted == 4)
        return run

    list(everywhere(47, attempt, part))


@pytest.mark.parametrize("kind", [SendClient, ReceiveClient])
@every_part
def test_closing_while_it_is_opened(broker: Broker, kind: type[Any], part: int) -> None:
    """It is open afterwards, or closed, and not something in between: the next call works."""

    def attempt(number: int) -> Run:
        queue = f"opened{kind.__name__}{number}"
        client = kind(f"{broker.url}/{queue}")
        run = run_to(number, client.open, client.close, passes_on=False)
        assert run.answered is None, run
        assert run.raised is None or "closed while it was opened" in str(run.raised), f"{run}: {run.raised!r}"
        with bounded(10):
            if kind is SendClient:
                client.send_message(Message(b"x"))
            else:
                broker.put(queue, Message(b"x"))
                assert len(client.receive_message_batch(timeout=10_000)) == 1, run
        client.close()
        broker.wait_for(lambda: not broker.connections)
        return run

    assert len(list(everywhere(3, attempt, part))) > 10


@every_part
def test_sending_while_it_is_opened(broker: Broker, part: int) -> None:
    """The client is opened once, whoever does it, and sends for both."""

    def attempt(number: int) -> Run:
        queue = f"opened{number}"
        client = SendClient(f"{broker.url}/{queue}")
        run = run_to(number, client.open, lambda: client.send_message(Message(b"inner")), passes_on=False)
        assert run.answered is None or isinstance(run.answered, (RuntimeError, errors.AMQPConnectionError)), run
        assert run.raised is None, f"{run}: {run.raised!r}"
        with bounded(10):
            client.send_message(Message(b"outer"))
        client.close()
        broker.wait_for(lambda: not broker.connections)
        wanted = [b"outer"] if run.answered is not None or run.where is None else [b"inner", b"outer"]
        assert [view.body for view in broker.queue(queue).messages] == wanted, run
        return run

    runs = list(everywhere(3, attempt, part))
    assert any(run.answered is None for run in runs)
