"""Forked processes: a child's use of an inherited client is an error at once, and never reaches the parent's."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.support.forks import in_child, living_child
from tests.support.waiting import bounded
from uamqp import Message, ReceiveClient, ReceiveClientAsync, SendClient, SendClientAsync
from uamqp.authentication import SASLAnonymous
from uamqp.constants import TransportType
from uamqp.testing import Broker

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    # Python 3.12 warns of what is tested here: a process with threads is forked.
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]
WORDS = f"belongs to process {os.getpid()}, of which this one is a fork"


@pytest.fixture
def sender(broker: Broker) -> Iterator[SendClient]:
    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"first"))
        yield client
        # Whatever the child did, the parent's connection is as it was.
        client.send_message(Message(b"last"))
        assert [view.body for view in broker.queue("q").messages] == [b"first", b"last"]
        assert len(broker.connections) == 1


@pytest.fixture
def receiver(broker: Broker) -> Iterator[ReceiveClient]:
    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        broker.put("q", Message(b"first"))
        (client.held,) = client.receive_message_batch(timeout=10_000)  # type: ignore[attr-defined]
        yield client
        broker.put("q", Message(b"last"))
        (message,) = client.receive_message_batch(timeout=10_000)
        assert message.accept()
        assert client.held.accept()  # type: ignore[attr-defined]
        broker.wait_for(lambda: not broker.queue("q").unsettled and not broker.queue("q").depth)
        assert len(broker.connections) == 1


USES: dict[str, Callable[[SendClient], Any]] = {
    "send_message": lambda client: client.send_message(Message(b"x")),
    "queue_message": lambda client: client.queue_message(Message(b"x")),
    "send_all_messages": lambda client: client.send_all_messages(),
    "wait": lambda client: client.wait(),
    "do_work": lambda client: client.do_work(),
    "client_ready": lambda client: client.client_ready(),
    "auth_complete": lambda client: client.auth_complete(),
    "open": lambda client: client.open(),
    "mgmt_request": lambda client: client.mgmt_request(Message(b"x"), b"read"),
}


@pytest.mark.parametrize("use", USES)
def test_a_use_in_the_child_is_an_error_at_once(sender: SendClient, use: str) -> None:
    with bounded(10):
        assert WORDS in in_child(lambda: USES[use](sender))


RECEIVING: dict[str, Callable[[ReceiveClient], Any]] = {
    "receive_message_batch": lambda client: client.receive_message_batch(timeout=60_000),
    "receive_messages": lambda client: client.receive_messages(print),
    "receive_messages_iter": lambda client: next(client.receive_messages_iter()),
}


@pytest.mark.parametrize("use", RECEIVING)
def test_receiving_in_the_child_is_an_error_at_once(receiver: ReceiveClient, use: str) -> None:
    with bounded(10):
        assert WORDS in in_child(lambda: RECEIVING[use](receiver))


def test_settling_in_the_child_is_an_error_at_once(receiver: ReceiveClient) -> None:
    assert WORDS in in_child(receiver.held.accept)  # type: ignore[attr-defined]


def test_the_end_of_the_child_does_nothing_to_the_parents(sender: SendClient) -> None:
    def close() -> None:
        sender.close()
        del globals()["in_child"]  # as what the interpreter's end does

    assert in_child(close) == "None"
    assert in_child(lambda: sender.__exit__(None, None, None)) == "None"


def test_the_child_opens_the_client_anew(broker: Broker) -> None:
    """It sends nothing that the parent has queued."""
    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"first"))
        client.queue_message(Message(b"queued"))

        def send() -> None:
            client.close()
            client.send_message(Message(b"the child's"))
            client.close()

        assert in_child(send) == "None"
        client.wait()
    assert [view.body for view in broker.queue("q").messages] == [b"first", b"the child's", b"queued"]


def test_a_client_that_was_not_open_is_the_childs_as_well(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")

    def send() -> None:
        client.send_message(Message(b"the child's"))
        client.close()

    assert in_child(send) == "None"
    client.send_message(Message(b"the parent's"))
    client.close()
    assert [view.body for view in broker.queue("q").messages] == [b"the child's", b"the parent's"]


def test_locks_that_another_thread_holds(sender: SendClient) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        connection = sender._connection
        assert connection is not None
        connection.lock()
        held.set()
        done.wait(60)
        connection.release()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        assert WORDS in in_child(lambda: sender.send_message(Message(b"x")))
        assert in_child(sender.close) == "None"
    finally:
        done.set()
        thread.join()


def test_a_thread_that_waits(broker: Broker, receiver: ReceiveClient) -> None:
    """Its own thread doesn't exist in the child, which waits for nobody."""
    got: list[Message] = []
    thread = threading.Thread(target=lambda: got.extend(receiver.receive_message_batch(timeout=60_000)))
    thread.start()
    while not receiver._connection._pump._waiting:  # type: ignore[union-attr]
        pass
    with bounded(10):
        assert WORDS in in_child(lambda: receiver.receive_message_batch(timeout=60_000))
        assert in_child(receiver.close) == "None"
    broker.put("q", Message(b"middle"))
    thread.join(30)
    assert len(got) == 1
    assert got[0].accept()


@pytest.mark.parametrize("keep_alive", [None, 60])
def test_another_thread_that_sends(broker: Broker, keep_alive: int | None) -> None:
    """It takes the steps for all who wait; in the child nobody waits for it."""
    with SendClient(broker.url + "/q", keep_alive_interval=keep_alive) as client:
        client.send_message(Message(b"first"))
        broker.faults.withhold_outcomes = True
        thread = threading.Thread(target=lambda: client.send_message(Message(b"the parent's")))
        thread.start()
        try:
            broker.wait_for(lambda: broker.queue("q").depth == 2)
            while not client._queue.waiting or not client._connection._pump._waiting:  # type: ignore[union-attr]
                pass
            broker.faults.withhold_outcomes = False

            def send() -> None:
                client.close()
                client.open()
                client.send_message(Message(b"the child's"))
                client.close()

            with bounded(10):
                assert WORDS in in_child(lambda: client.send_message(Message(b"x")))
                assert in_child(send) == "None"
        finally:
            client.close()
            thread.join(10)


@pytest.mark.parametrize("other", ["receive_messages", "receive_message_batch"])
def test_another_thread_that_receives(broker: Broker, other: str) -> None:
    """In the child nobody is at it."""
    with ReceiveClient(broker.url + "/q") as client:
        receive: dict[str, Callable[[], Any]] = {
            "receive_messages": lambda: client.receive_messages(print),
            "receive_message_batch": lambda: client.receive_message_batch(timeout=60_000),
        }
        thread = threading.Thread(target=receive[other])
        thread.start()
        try:
            while not client._calls or not client._connection._pump._waiting:  # type: ignore[union-attr]
                pass

            def receive_anew() -> list[Message]:
                client.close()
                client._timeout = 100  # the broker gives what it has to the parent's receiver
                client.receive_messages(print)
                return client.receive_message_batch()

            with bounded(10):
                for function in receive.values():
                    assert WORDS in in_child(function)
                assert in_child(receive_anew) == "[]"
        finally:
            client.close()
            thread.join(10)


def test_another_thread_that_connects(broker: Broker) -> None:
    """The message that it is going to send is the parent's."""
    client = SendClient(broker.url + "/q")
    waits, goes_on = threading.Event(), threading.Event()
    client.open()
    pump: Any = client._connection._pump  # type: ignore[union-attr]
    start = pump.start

    def slow(*args: Any) -> None:
        if threading.current_thread() is thread:
            waits.set()
            goes_on.wait(30)
        start(*args)

    pump.start = slow
    thread = threading.Thread(target=lambda: client.send_message(Message(b"the parent's")))
    thread.start()
    assert waits.wait(10)

    def send() -> None:
        client.send_message(Message(b"the child's"))
        client.close()

    with bounded(10):
        assert in_child(send) == "None"
    goes_on.set()
    thread.join(10)
    client.close()
    assert [view.body for view in broker.queue("q").messages] == [b"the child's", b"the parent's"]


def test_a_fork_within_a_callback(broker: Broker) -> None:
    """The child returns into the library's frames, in the middle of its work."""
    answers: list[str] = []

    def callback(result: object, error: object) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            answers.append(f"child {writer}")
            return
        os.close(writer)
        with open(reader, "rb") as pipe:
            answers.append(pipe.read().decode())
        os.waitpid(child, 0)

    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"first"))
        message = Message(b"second")
        message.on_send_complete = callback
        try:
            client.send_message(message)
            if answers[0].startswith("child"):
                client.send_message(Message(b"the child's"))
        except BaseException as error:
            if not answers or not answers[0].startswith("child"):
                raise
            os.write(int(answers[0].split()[1]), str(error).encode())
        if answers[0].startswith("child"):
            os._exit(0)
        assert WORDS in answers[0]
        client.send_message(Message(b"last"))
    assert [view.body for view in broker.queue("q").messages] == [b"first", b"second", b"last"]


def test_the_parents_end_is_seen_while_the_child_lives(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    client.send_message(Message(b"x"))
    with living_child():
        client._connection._pump.abort("no more")  # type: ignore[union-attr]
        broker.wait_for(lambda: not broker.connections)
        client.close()


def test_tls(certificates: Certificates) -> None:
    """No end of TLS is written on the parent's socket."""
    pair = certificates.server
    with Broker(tls_cert=pair.cert, tls_key=pair.key) as broker:
        auth = SASLAnonymous("localhost", port=broker.port, verify=certificates.ca)
        with SendClient(f"amqps://localhost:{broker.port}/q", auth=auth) as client:
            client.send_message(Message(b"first"))
            assert in_child(client.close) == "None"
            assert WORDS in in_child(lambda: client.send_message(Message(b"x")))
            client.send_message(Message(b"last"))
        assert [view.body for view in broker.queue("q").messages] == [b"first", b"last"]


def test_websocket() -> None:
    with Broker(websocket=True) as broker:
        auth = SASLAnonymous(
            "127.0.0.1", port=broker.port, use_tls=False, transport_type=TransportType.AmqpOverWebsocket
        )
        with SendClient(broker.url + "/q", auth=auth) as client:
            client.send_message(Message(b"first"))
            assert in_child(client.close) == "None"
            client.send_message(Message(b"last"))
        assert [view.body for view in broker.queue("q").messages] == [b"first", b"last"]


def run_anew(operation: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in a loop of its own, in a child that was forked within a loop."""
    return asyncio.new_event_loop().run_until_complete(operation())


def test_asyncio(broker: Broker) -> None:
    async def main() -> None:
        sender = SendClientAsync(broker.url + "/q")
        receiver = ReceiveClientAsync(broker.url + "/r", auto_complete=False)
        await sender.send_message_async(Message(b"first"))
        broker.put("r", Message(b"x"))
        (message,) = await receiver.receive_message_batch_async(timeout=10_000)
        assert WORDS in in_child(lambda: run_anew(lambda: sender.send_message_async(Message(b"x"))))
        assert WORDS in in_child(lambda: run_anew(lambda: receiver.receive_message_batch_async(timeout=60_000)))
        assert WORDS in in_child(message.accept)
        assert in_child(lambda: run_anew(sender.close_async)) == "None"
        assert in_child(lambda: run_anew(receiver.close_async)) == "None"
        await sender.send_message_async(Message(b"last"))
        assert message.accept()
        await sender.close_async()
        await receiver.close_async()

    with bounded(30):
        asyncio.run(main())
    assert [view.body for view in broker.queue("q").messages] == [b"first", b"last"]
    assert broker.queue("r").counters.accepted == 1


def test_multiprocessing(sender: SendClient) -> None:
    context = multiprocessing.get_context("fork")

    def use() -> None:
        with contextlib.suppress(Exception):
            sender.send_message(Message(b"x"))
        sender.close()

    for target in (use, sys.exit, sender.close):
        process = context.Process(target=target)
        process.start()
        process.join(30)
        assert process.exitcode == 0


def test_the_parents_broker(broker: Broker) -> None:
    words = f"RuntimeError: the broker runs in process {os.getpid()}, of which this one is a fork"
    assert in_child(lambda: broker.put("q", Message(b"x"))) == words
    assert in_child(lambda: broker.wait_for(lambda: True)) == words
    assert in_child(broker.stop) == "None"
    assert broker.queue("q").depth == 0


def own_broker() -> int:
    with Broker() as broker:
        broker.put("q", Message(b"x"))
        return broker.queue("q").depth


def test_a_broker_of_the_childs_own() -> None:
    assert in_child(own_broker) == "1"
