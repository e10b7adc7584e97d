"""Several threads on one connection: settling, sending, closing; and that waiting costs nothing."""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_leaving,
    accept_receiver,
    accept_sender,
    body_of,
    data_message,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import Connection, Message, ReceiveClient, SendClient, Source, Target, errors
from uamqp.authentication import SASLAnonymous
from uamqp.classic.client.receiving import MessageQueue
from uamqp.constants import MessageState
from uamqp.core.incoming import move_one
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

WAIT = 20.0


def shared(broker: Broker, **settings: Any) -> Connection:
    return Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False), **settings)


class Running(threading.Thread):
    """A thread whose exception comes out of `result`, and whose end is awaited within a bound."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 (it comes out of result())
            self._error = error

    def result(self, seconds: float = WAIT) -> Any:
        self.join(seconds)
        assert not self.is_alive(), f"the thread didn't end within {seconds} s"
        if self._error is not None:
            raise self._error
        return self._result


def test_settling_from_other_threads_while_a_receive_waits(broker: Broker) -> None:
    """Contract 22: azure-servicebus settles from an executor. The dispositions go out without waiting for input."""
    for number in range(50):
        broker.put("q", Message(b"%d" % number))
    client = ReceiveClient(broker.url + "/q", auto_complete=False)
    got: list[Message] = []
    client.open()
    until(lambda: len(got) == 50, lambda: got.extend(client.receive_message_batch(timeout=5000)))
    waiting = Running(lambda: client.receive_message_batch(timeout=30_000))
    with ThreadPoolExecutor(5) as pool:
        assert all(pool.map(lambda message: message.accept(), got))
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 50)
    assert waiting.is_alive()
    broker.put("q", Message(b"last"))
    assert [b"".join(message.get_data()) for message in waiting.result()] == [b"last"]
    client.close()


def test_a_message_is_settled_once_whoever_does_it(broker: Broker) -> None:
    broker.put("q", Message(b"x"))
    with ReceiveClient(broker.url + "/q", auto_complete=False) as client:
        (message,) = client.receive_message_batch(timeout=5000)
        barrier = threading.Barrier(8)

        def settle(number: int) -> bool:
            barrier.wait(WAIT)
            try:
                return message.accept() if number % 2 else message.release()
            except RuntimeError:
                return False  # another was faster by a hair

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(settle, range(8))) == 1
        broker.wait_for(lambda: broker.queue("q").unsettled == 0 or broker.queue("q").depth == 1)
        counters = broker.queue("q").counters
        assert counters.accepted + counters.released == 1


def test_clients_that_share_a_connection_send_from_their_threads(broker: Broker) -> None:
    with shared(broker) as connection:

        def send(number: int) -> None:
            client = SendClient(f"{broker.url}/q{number}")
            client.open(connection=connection)
            for part in range(10):
                client.send_message([Message(b"%d" % (10 * part + n)) for n in range(10)])
            client.close()

        senders = [Running(lambda number=number: send(number)) for number in range(4)]  # type: ignore[misc]
        for sender in senders:
            sender.result()
        for number in range(4):
            assert [int(view.body) for view in broker.queue(f"q{number}").messages] == list(range(100))


def test_one_client_is_used_by_several_threads(broker: Broker) -> None:
    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"first"))

        def send(number: int) -> None:
            for part in range(10):
                client.send_message(Message(b"%d" % (10 * number + part)))

        for sender in [Running(lambda number=number: send(number)) for number in range(4)]:  # type: ignore[misc]
            sender.result()
    assert {view.body for view in broker.queue("q").messages} == {b"first", *(b"%d" % n for n in range(40))}


def test_sending_and_receiving_at_the_same_time(broker: Broker) -> None:
    """A receive that waits doesn't hold up another client's sends on the same connection."""
    with shared(broker) as connection:
        receiver, sender = ReceiveClient(broker.url + "/q"), SendClient(broker.url + "/q")
        receiver.open(connection=connection)
        sender.open(connection=connection)
        until(receiver.client_ready, lambda: None)
        got: list[Message] = []

        def receive() -> None:
            while len(got) < 200:
                got.extend(receiver.receive_message_batch(timeout=int(WAIT * 1000)))

        receiving = Running(receive)
        with bounded(10):
            for number in range(20):
                sender.send_message([Message(b"%d" % (10 * number + n)) for n in range(10)])
            receiving.result()
        sender.close()
        receiver.close()
    assert sorted(int(b"".join(message.get_data())) for message in got) == list(range(200))


@pytest.mark.usefixtures("patient")
def test_a_send_does_not_wait_for_anothers_receive(broker: Broker) -> None:
    """Not even for one turn: it writes at once, and hears of the outcome when it comes."""
    with shared(broker) as connection:
        receiver, sender = ReceiveClient(broker.url + "/other"), SendClient(broker.url + "/q")
        receiver.open(connection=connection)
        sender.open(connection=connection)
        sender.send_message(Message(b"warm"))
        waiting = Running(lambda: receiver.receive_message_batch(timeout=300_000))
        with bounded(20):
            for _ in range(10):
                sender.send_message(Message(b"x"))
        broker.put("other", Message(b"end"))
        assert len(waiting.result()) == 1
        sender.close()
        receiver.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.blocking("threads share a blocking client")
def test_what_another_thread_has_dealt_with_is_not_waited_for(broker: Broker) -> None:
    """An outcome that another thread reads before a call waits ends the wait."""
    client, message = SendClient(broker.url + "/q"), Message(b"x")
    client.send_message(Message(b"warm"))
    connection: Any = client._connection
    driver = connection._driver
    wait = driver.wait

    async def overtaken(*arguments: Any) -> bool:
        broker.faults.withhold_outcomes = False
        Running(lambda: until(lambda: message.state.name == "SendComplete", connection.work)).result()
        return bool(await wait(*arguments))

    driver.wait = overtaken
    broker.faults.withhold_outcomes = True
    with bounded(20):
        client.send_message(message)
    client.close()


@pytest.mark.blocking("threads share a blocking client")
def test_what_is_queued_while_a_thread_waits_goes_out_at_once() -> None:
    """The thread waits for another message, of which the peer says nothing before it has all."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = [peer.expect("transfer") for _ in range(2)]
        assert [body_of(each) for each in came] == [b"first", b"queued"]
        for each in came:
            settle(peer, each)
        accept_leaving(peer)

    with ScriptedServer(script) as server, bounded(20):
        client = SendClient(url(server))
        first, queued = Message(b"first"), Message(b"queued")
        sending = Running(lambda: client.send_message(first))
        until(lambda: first.state.name == "WaitingForSendAck", lambda: time.sleep(0.001))
        client.queue_message(queued)
        sending.result()
        client.wait()
        assert queued.state.name == "SendComplete"
        client.close()


# -- closing from another thread


Wait = Callable[[ReceiveClient], Any]
WAITS: dict[str, Wait] = {
    "batch": lambda client: client.receive_message_batch(),
    "callback": lambda client: client.receive_messages(lambda message: None),
    "iterator": lambda client: list(client.receive_messages_iter()),
}


@pytest.mark.parametrize("how", WAITS)
def test_closing_the_client_ends_a_receive_that_waits(broker: Broker, how: str) -> None:
    client = ReceiveClient(broker.url + "/q")
    client.open()
    until(client.client_ready, lambda: None)
    waiting = Running(lambda: WAITS[how](client))
    with bounded(5):
        client.close()
        assert not waiting.result()
    broker.wait_for(lambda: broker.connections == ())


def test_closing_the_client_ends_a_send_that_waits(broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    client = SendClient(broker.url + "/q")
    message = Message(b"x")
    client.open()
    until(client.client_ready, lambda: None)
    client.queue_message(message)
    waiting = Running(client.wait)
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    with bounded(5):
        client.close()
        assert waiting.result() is False
    assert client.pending_messages == [message]


def test_closing_while_the_link_opens() -> None:
    """Close from another thread while the peer hasn't answered anything."""

    def script(peer: SocketPeer) -> None:
        peer.expect_header("SASL")
        peer.tell("it has connected")
        peer.expect_eof()

    with ScriptedServer(script) as server, bounded(8):
        client = ReceiveClient(url(server))
        waiting = Running(client.receive_message_batch)
        server.wait("it has connected")
        client.close()
        try:
            assert waiting.result() == []
        except errors.AMQPConnectionError:
            pass  # as good


def test_destroying_the_connection_ends_the_waits_of_its_clients(broker: Broker) -> None:
    connection = shared(broker)
    clients = [ReceiveClient(f"{broker.url}/q{number}") for number in range(2)]
    for client in clients:
        client.open(connection=connection)
        until(client.client_ready, lambda: None)
    waits = [Running(client.receive_message_batch) for client in clients]
    with bounded(5):
        connection.destroy()
        for waiting in waits:
            with pytest.raises(errors.AMQPConnectionError):
                waiting.result()
    for client in clients:
        client.close()


def test_both_threads_may_close(broker: Broker) -> None:
    for _ in range(5):
        client = SendClient(broker.url + "/q")
        client.send_message(Message(b"x"))
        with bounded(5):
            for closing in [Running(client.close) for _ in range(3)]:
                closing.result()
    broker.wait_for(lambda: broker.connections == ())


@pytest.mark.blocking("they are threads")
def test_a_redirect_sends_nothing_again_that_others_have_sent(broker: Broker) -> None:
    """It has arrived, and its outcome is on its way; whoever waits for that is told that it won't come."""
    address = f"{broker.url}/other".encode()
    redirect = errors.LinkRedirect(b"amqp:link:redirect", None, {b"hostname": b"127.0.0.1", b"address": address})
    for _ in range(20):
        broker.faults.withhold_outcomes = True
        client = SendClient(broker.url + "/q")
        messages = [Message(b"%d" % number) for number in range(4)]
        sending = [Running(functools.partial(client.send_message, message)) for message in messages]
        broker.wait_for(lambda: len(broker.queue("q").messages) == 4)
        client.redirect(redirect, SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))
        broker.faults.withhold_outcomes = False
        for thread in sending:
            with pytest.raises(errors.AMQPError):  # that it was dropped, or that the link isn't open any more
                thread.result()
        assert {message.fate for message in messages} == {"unknown"}
        client.close()
        assert broker.queue("q").purge() == 4
    assert not broker.queue("other").messages


# -- callbacks


@pytest.mark.blocking("they are threads")
def test_closing_while_others_send(broker: Broker) -> None:
    """Each message is given once, so it is there once at most; what was sent is there. Who is late opens the client."""
    client = SendClient(broker.url + "/q")
    sent: list[bytes] = []
    faults: list[BaseException] = []
    closed = threading.Event()

    def send(name: str) -> None:
        for number in itertools.count():
            if closed.is_set():
                return
            body = f"{name}{number}".encode()
            try:
                client.send_message(Message(body))
                sent.append(body)
            except errors.AMQPError as error:
                if "interrupted" in str(error):
                    faults.append(error)
            except BaseException as error:  # noqa: BLE001 (it is looked at below)
                faults.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=send, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for count in range(60):
            until(lambda: len(sent) > 5 * count, lambda: time.sleep(0.001))  # noqa: B023
            client.close()
        closed.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    client.close()
    assert not faults
    broker.wait_for(lambda: not broker.connections)
    counts = collections.Counter(view.body for view in broker.queue("q").messages)
    assert max(counts.values()) == 1
    assert set(sent) <= set(counts)


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_use_other_clients_of_the_connection(broker: Broker) -> None:
    """No deadlock: a callback sends, and waits for the outcome, on the connection that it is called from."""
    for number in range(5):
        broker.put("in", Message(b"%d" % number))
    with shared(broker) as connection:
        sender, receiver = SendClient(broker.url + "/out"), ReceiveClient(broker.url + "/in", timeout=150)
        sender.open(connection=connection)
        receiver.open(connection=connection)

        def forward(message: Message) -> None:
            sender.send_message(Message(b"".join(message.get_data())))
            message.accept()

        with bounded(8):
            receiver.receive_messages(forward)
        sender.close()
    assert [view.body for view in broker.queue("out").messages] == [b"0", b"1", b"2", b"3", b"4"]
    assert broker.queue("in").counters.accepted == 5


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_that_waits_for_another_thread_does_not_hold_the_lock(broker: Broker) -> None:
    """The callback takes its time; another thread sends meanwhile."""
    broker.put("in", Message(b"x"))
    with shared(broker) as connection:
        sender, receiver = SendClient(broker.url + "/out"), ReceiveClient(broker.url + "/in", timeout=100)
        sender.open(connection=connection)
        receiver.open(connection=connection)

        def take(message: Message) -> None:
            Running(lambda: sender.send_message(Message(b"meanwhile"))).result()

        with bounded(10):
            receiver.receive_messages(take)
        sender.close()
    assert broker.queue("out").depth == 1


def test_a_send_callback_may_send_and_settle(broker: Broker) -> None:
    """on_send_complete settles what was forwarded: the usual way to pass messages on without loss."""
    for number in range(3):
        broker.put("in", Message(b"%d" % number))
    with shared(broker) as connection:
        sender, receiver = SendClient(broker.url + "/out"), ReceiveClient(broker.url + "/in", auto_complete=False)
        sender.open(connection=connection)
        receiver.open(connection=connection)
        got: list[Message] = []
        until(lambda: len(got) == 3, lambda: got.extend(receiver.receive_message_batch(timeout=5000)))
        for message in got:
            copy = Message(b"".join(message.get_data()))
            copy.on_send_complete = lambda result, error, message=message: message.accept()
            sender.queue_message(copy)
        with bounded(8):
            assert sender.wait()
        broker.wait_for(lambda: broker.queue("in").counters.accepted == 3)
        sender.close()
        receiver.close()
    assert broker.queue("out").depth == 3


# -- threads of the library's own


def test_no_threads_are_left_behind(broker: Broker) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        with SendClient(broker.url + "/q", keep_alive_interval=1) as sender:
            sender.send_message(Message(b"x"))
        with ReceiveClient(broker.url + "/q", auto_complete=False) as receiver:
            (message,) = receiver.receive_message_batch(timeout=5000)
            message.accept()
    for thread in set(threading.enumerate()) - before:
        if "uamqp" in thread.name and "broker" not in thread.name:
            thread.join(WAIT)
            assert not thread.is_alive(), thread


# -- the price of waiting


def cpu_of(wait: Callable[[], Any]) -> float:
    """Seconds of this thread's CPU time."""
    before = time.thread_time()
    wait()
    return time.thread_time() - before


def test_waiting_costs_no_cpu() -> None:
    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.ignore("flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client:
        until(client.client_ready, lambda: None)
        assert cpu_of(lambda: client.receive_message_batch(timeout=500)) < 0.1


def test_polling_costs_little_cpu() -> None:
    """`while client.do_work()`, the loop of 1.6's programs, naps while nothing happens."""
    turns = 0

    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.ignore("flow")
        accept_leaving(peer)

    def poll() -> None:
        nonlocal turns
        turns, end = 0, time.monotonic() + 0.4
        while time.monotonic() < end:
            client.do_work()
            turns += 1

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client:
        until(client.client_ready, lambda: None)
        for _ in range(10):  # the machine may be busy for a while
            assert cpu_of(poll) < 0.1
            assert turns <= 40
            if turns >= 2:
                break
    assert turns >= 2


def test_waiting_for_credit_costs_no_cpu() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=0)
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server), msg_timeout=400) as client:
        until(client.client_ready, lambda: None)
        message = Message(b"x")
        client.queue_message(message)
        assert cpu_of(client.wait) < 0.1
        assert message.state is MessageState.SendFailed


def test_waiting_behind_another_thread_costs_no_cpu(broker: Broker) -> None:
    """Two clients of one connection wait at the same time."""
    with shared(broker) as connection:
        clients = [ReceiveClient(f"{broker.url}/q{number}") for number in range(2)]
        for client in clients:
            client.open(connection=connection)
            until(client.client_ready, lambda: None)
        costs = [
            Running(lambda client=client: cpu_of(lambda: client.receive_message_batch(timeout=400)))  # type: ignore[misc]
            for client in clients
        ]
        assert max(cost.result() for cost in costs) < 0.15
        for client in clients:
            client.close()


def test_connecting_costs_little_cpu() -> None:
    def script(peer: SocketPeer) -> None:
        peer.expect_header("SASL")
        peer.expect_eof()

    with ScriptedServer(script) as server:
        client = ReceiveClient(url(server))
        client.open()
        assert cpu_of(lambda: client.receive_message_batch(timeout=400)) < 0.1
        client.close()


@pytest.mark.usefixtures("patient")
def test_a_message_is_handed_out_at_once_when_it_comes() -> None:
    """No polling interval stands between the arrival and the return."""

    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.ignore("flow")
        for number in range(5):
            peer.wait(f"waiting {number}")
            peer.expect_nothing(0.02)
            peer.send_delivery(data_message(b"x"))
            peer.expect("disposition")
        accept_leaving(peer)

    with ScriptedServer(script) as server, bounded(20), ReceiveClient(url(server)) as client:
        until(client.client_ready, lambda: None)
        for number in range(5):
            server.tell(f"waiting {number}")
            assert len(client.receive_message_batch(timeout=300_000)) == 1


# -- everything at once


def test_each_received_message_goes_to_one_thread() -> None:
    waiting = MessageQueue()
    given = [Message(str(number)) for number in range(10_000)]
    for message in given:
        waiting.put(message)
    started = threading.Barrier(4, timeout=WAIT)

    def get() -> list[Message]:
        taken: list[Message] = []
        started.wait()
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(waiting.get())
        return taken

    def hand_out() -> list[Message]:
        taken: list[Message] = []
        started.wait()
        while batch := waiting.hand_out(3, False, []):
            taken += batch
        return taken

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        taking = [Running(function) for function in (get, get, hand_out, hand_out)]
        taken = [message for thread in taking for message in thread.result()]
    finally:
        sys.setswitchinterval(interval)
    assert sorted(map(id, taken)) == sorted(map(id, given))


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_many_threads_send_receive_and_settle(certificates: Certificates, tls: bool) -> None:
    """Over one connection; each message is accepted once, whatever was released or modified on the way."""
    context = certificates.server_context() if tls else None
    total, per_sender = 300, 100
    with Broker("localhost", tls=context) as broker:
        settings: dict[str, Any] = {"verify": certificates.ca} if tls else {"use_tls": False}
        connection = Connection("localhost", SASLAnonymous("localhost", port=broker.port, **settings))
        accepted: list[bytes] = []
        done = threading.Event()

        def send(number: int) -> None:
            client = SendClient(Target(broker.url, node="q"))
            client.open(connection=connection)
            for part in range(0, per_sender, 5):
                client.send_message([Message(b"%d" % (per_sender * number + part + n)) for n in range(5)])
            client.close()

        def receive(number: int) -> None:
            client = ReceiveClient(Source(broker.url, node="q"), prefetch=20, auto_complete=False)
            client.open(connection=connection)
            turn = number
            while not done.is_set():
                for message in client.receive_message_batch(timeout=50):
                    turn += 1
                    if turn % 10 == 0:
                        message.release()
                    elif turn % 10 == 5:
                        message.modify(True, False)
                    else:
                        message.accept()
                        accepted.append(b"".join(message.get_data()))
            client.close()

        receivers = [Running(lambda number=number: receive(number)) for number in range(3)]  # type: ignore[misc]
        for sender in [Running(lambda number=number: send(number)) for number in range(3)]:  # type: ignore[misc]
            sender.result()
        broker.wait_for(lambda: broker.queue("q").counters.accepted == total, timeout=WAIT)
        done.set()
        for receiver in receivers:
            receiver.result()
        with bounded(5):
            connection.destroy()
    assert sorted(int(body) for body in accepted) == list(range(total))


class Overtaken(deque[Message]):
    """There was a message when somebody looked, and another thread has taken it since."""

    def __len__(self) -> int:
        return super().__len__() + 1


def test_a_message_that_another_thread_takes_first() -> None:
    taken: list[Message] = []
    assert not move_one(Overtaken(), taken)
    assert move_one(Overtaken([Message("x")]), taken)
    assert [str(message) for message in taken] == ["x"]
