"""`keep_alive_interval`: the thread that does a connection's work while nobody calls. With both fronts."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_leaving, accept_sender, url
from tests.support.waiting import bounded, until
from uamqp import Connection, Message, ReceiveClient, SendClient, SendClientAsync, errors
from uamqp.authentication import SASLAnonymous
from uamqp.constants import MessageState
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

WAIT = 20.0

THREAD = pytest.mark.blocking("the loop keeps the connection alive, without a thread")


def test_keep_alive_does_the_connections_work(clock: Clock) -> None:
    """Between calls a thread answers the peer's idle time-out, and reads what comes."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(idle_time_out=25_000)
        peer.accept_begin()
        accept_sender(peer, session=False)
        peer.tell("open")
        peer.stay_silent(20)
        peer.expect_empty_frame()
        peer.tell("a heartbeat")
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server:
        client = SendClient(url(server), keep_alive_interval=1)
        client.open()
        until(client.client_ready, lambda: None)
        server.wait("open")
        server.wait("a heartbeat")  # nobody calls the client meanwhile
        client.close()
    assert not [thread for thread in threading.enumerate() if "keep-alive" in thread.name]


def heartbeats(peer: SocketPeer) -> None:
    """As the server: wait for heartbeats of a client that sends."""
    peer.accept_sasl()
    peer.accept_open(idle_time_out=400_000)
    peer.accept_begin()
    accept_sender(peer, session=False)
    peer.tell("open")
    for _ in range(4):
        peer.stay_silent(210)
        peer.expect_empty_frame()
    peer.tell("heartbeats")
    peer.ignore("empty")
    accept_leaving(peer)


@pytest.mark.parametrize("interval", [1, 3600])
def test_keep_alive_keeps_to_what_the_peer_wants(interval: int, clock: Clock) -> None:
    """Whatever its own interval is: it sleeps no longer than until the next frame is due, which it hears of when the
    connection is opened. Nobody calls the client meanwhile."""
    with ScriptedServer(heartbeats, clock=clock) as server:
        client = SendClient(url(server), keep_alive_interval=interval)
        client.open()
        until(client.client_ready, lambda: None)
        server.wait("open")
        server.wait("heartbeats")
        client.close()


@THREAD
def test_an_asyncio_client_without_a_loop_has_a_thread(clock: Clock) -> None:
    with ScriptedServer(heartbeats, clock=clock) as server:
        client = SendClientAsync(url(server), keep_alive_interval=3600)
        client.open()
        until(client.client_ready, lambda: None)
        server.wait("open")
        server.wait("heartbeats")
        client.close()


@THREAD
def test_keep_alive_gives_a_silent_peer_up(clock: Clock) -> None:
    """Our own time-outs are deadlines, too."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.tell("open")
        peer.wait_out(45)
        peer.expect("close", error={"condition": "amqp:resource-limit-exceeded"})
        peer.wait_out(45)
        peer.expect_eof()
        peer.tell("given up")

    with ScriptedServer(script, clock=clock) as server:
        client = SendClient(url(server), keep_alive_interval=3600, idle_timeout=30_000)
        client.open()
        until(client.client_ready, lambda: None)
        server.wait("open")
        server.wait("given up")
        with pytest.raises(errors.ConnectionClose, match="twice the idle time-out"):
            client.send_message(Message(b"x"))
        client.close()


@THREAD
def test_clients_of_one_connection_have_a_thread_each(broker: Broker) -> None:
    """And none of them outlives its client."""
    with Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)) as connection:
        for _ in range(3):
            clients = [SendClient(broker.url + "/q", keep_alive_interval=3600) for _ in range(2)]
            for client in clients:
                client.open(connection=connection)
                client.send_message(Message(b"x"))
            threads = [thread for thread in threading.enumerate() if "keep-alive" in thread.name]
            assert len(threads) == 2
            for client in clients:
                client.close()
            assert not any(thread.is_alive() for thread in threads)


@THREAD
def test_a_thread_of_ones_own_making(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with 1.6 a stand-in needs `start` and `join`, without arguments."""
    calls: list[str] = []

    class Thread:
        def __init__(self, target: Any, name: str, daemon: bool, args: Any = ()) -> None:
            calls.append("made")

        def start(self) -> None:
            calls.append("started")

        def join(self) -> None:
            calls.append("joined")

    client = SendClient(broker.url + "/q", keep_alive_interval=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", Thread)
        client.open()
        client.close()
    assert calls == ["made", "started", "joined"]
    assert client._keep_alive_thread is None


@THREAD
@pytest.mark.parametrize("problem", [RuntimeError, None])
def test_a_thread_that_cannot_be_joined(problem: type[Exception] | None) -> None:
    """What a program of 1.6 put in its place may not have been started."""

    class Thread:
        def join(self) -> None:
            if problem is not None:
                raise problem("Fail to join")

    client = SendClient("amqp://fake/fake", keep_alive_interval=10)
    client._keep_alive_thread = Thread()  # type: ignore[assignment]
    client.close()
    assert client._keep_alive_thread is None


@THREAD
def test_where_no_thread_can_be_started(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be put off is done at once; the client has no keep-alive, but works."""
    for _ in range(3):
        broker.put("q", Message(b"x"))
    client = ReceiveClient(broker.url + "/q", auto_complete=False, prefetch=3, keep_alive_interval=1)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    got: list[Message] = []
    while len(got) < 3:
        got += client.receive_message_batch(timeout=5000)
    for message in got:
        message.accept()
    monkeypatch.undo()
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)  # nobody has called the client since
    client.close()


@THREAD
def test_closing_within_a_callback_of_the_connections(broker: Broker) -> None:
    """It is called with the connection's lock held, for which the keep-alive thread waits: that gives way."""
    client = SendClient(broker.url + "/q", keep_alive_interval=1)
    client.open()
    until(client.client_ready, lambda: None)
    message = Message(b"x")
    alarm = client._keep_alive_alarm
    assert alarm is not None

    def close(result: Any, error: Any) -> None:
        alarm.follow(-1.0)  # the thread wakes, and wants the lock
        client.close()

    message.on_send_complete = close
    client.queue_message(message)
    with bounded(30):
        until(lambda: message.state is MessageState.SendComplete, client.do_work)
    client.close()
    assert not [thread for thread in threading.enumerate() if "keep-alive" in thread.name]


@THREAD
def test_keep_alive_ends_with_the_client(broker: Broker) -> None:
    client = ReceiveClient(broker.url + "/q", keep_alive_interval=300)
    client.open()
    (thread,) = [thread for thread in threading.enumerate() if "keep-alive" in thread.name]
    assert thread.daemon
    with bounded(20):
        client.close()
        thread.join(WAIT)
    assert not thread.is_alive()


@THREAD
def test_an_error_that_keep_alive_met_is_raised_by_the_next_call(broker: Broker, clock: Clock) -> None:
    client = ReceiveClient(broker.url + "/q", keep_alive_interval=1)
    client.open()
    until(client.client_ready, lambda: None)
    broker.close_connections("amqp:connection:forced", "bye")
    (thread,) = [thread for thread in threading.enumerate() if "keep-alive" in thread.name]
    clock.move(1.1)
    thread.join(WAIT)
    assert not thread.is_alive()
    with pytest.raises(errors.ConnectionClose, match="bye"):
        client.receive_message_batch(timeout=100)
    client.close()
