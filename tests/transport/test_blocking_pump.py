"""`BlockingPump`: one connection over a socket, driven by any thread."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.waiting import bounded
from uamqp.codec import Open
from uamqp.core import ConnectionCore, LinkCore
from uamqp.engine import Cause, CauseKind, EngineConfig
from uamqp.engine.events import ConnectionOpened
from uamqp.transport.blocking import pump as pump_module
from uamqp.transport.blocking import stream
from uamqp.transport.blocking.pump import BlockingPump
from uamqp.transport.sansio.endpoint import Endpoint


class Owner:
    """Hears of the connection."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.causes: list[Cause | None] = []
        self.threads: set[int] = set()

    def on_connection_opened(self) -> None:
        self.threads.add(threading.get_ident())
        self.opened.set()

    def on_connection_closed(self, cause: Cause | None) -> None:
        self.causes.append(cause)

    def on_attach(self, link: LinkCore) -> None:
        pass


def start(server: ScriptedServer, **settings: Any) -> tuple[BlockingPump, Owner]:
    owner = Owner()
    pump = BlockingPump(ConnectionCore(owner))
    pump.start(Endpoint("127.0.0.1", server.port), EngineConfig("me", **settings))
    return pump, owner


def turn_until(pump: BlockingPump, happened: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        pump.turn(0.5)


def accept_and_leave(peer: SocketPeer) -> None:
    peer.accept_open()
    peer.accept_close()


def tell_of_begin(peer: SocketPeer) -> None:
    peer.accept_open()
    peer.expect("begin")
    peer.tell("begun")
    peer.ignore("end")
    peer.accept_close()


def test_a_connection_from_start_to_end() -> None:
    with ScriptedServer(accept_and_leave) as server:
        pump, owner = start(server)
        assert pump.is_connected
        turn_until(pump, owner.opened.is_set)
        assert owner.threads == {threading.get_ident()}
        pump.close()
        pump.close()
    assert not pump.is_connected
    assert owner.causes == [None]
    assert pump.failure is None
    assert pump.turn(0.01) is False


def test_a_pump_that_was_never_started() -> None:
    owner = Owner()
    pump = BlockingPump(ConnectionCore(owner))
    assert not pump.is_connected
    assert pump.turn(0.0) is False
    pump.flush()
    pump.flush_soon()
    pump.abort("no")
    pump.close()
    assert owner.causes == []


def test_a_refused_connection_raises() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    pump = BlockingPump(ConnectionCore(Owner()))
    with pytest.raises(ConnectionRefusedError):
        pump.start(Endpoint("127.0.0.1", port), EngineConfig("me"))
    assert not pump.is_connected


@pytest.mark.usefixtures("patient")
def test_a_turn_is_bounded() -> None:
    with ScriptedServer(accept_and_leave) as server, bounded(20):
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        for seconds in (0.0, 0.05):
            pump.turn(seconds)
        pump.close()


def test_turns_keep_the_engines_time() -> None:
    """A turn that waits long ends when the engine's next deadline is due."""

    def script(peer: SocketPeer) -> None:
        peer.accept_open(idle_time_out=200)
        for _ in range(2):
            peer.expect_empty_frame()
        peer.tell("two heartbeats")
        peer.ignore("empty")
        peer.accept_close()

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        for _ in range(4):
            pump.turn(30.0)
        server.wait("two heartbeats")
        pump.close()


def test_a_reset_is_kept_with_its_cause() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.reset_socket()

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, lambda: owner.causes)
    (cause,) = owner.causes
    assert cause is not None
    assert cause.kind is CauseKind.TRANSPORT
    assert f"127.0.0.1:{server.port}" in cause.message
    assert isinstance(pump.failure, OSError)
    assert not pump.is_connected


def test_an_end_of_the_stream_is_a_cause_too() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.finish()

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, lambda: owner.causes)
    assert owner.causes[0] is not None
    assert owner.causes[0].kind is CauseKind.TRANSPORT


def test_aborting_closes_the_socket_at_once() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.expect_eof()

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        pump.abort("enough")
        assert owner.causes[0] is not None
        assert owner.causes[0].message == "enough"


def test_a_close_that_is_not_answered_is_bounded(clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.expect("close")
        peer.wait_out(61)
        peer.expect_eof()

    with ScriptedServer(script, clock=clock) as server, bounded(20):
        pump, owner = start(server, close_timeout=60)
        turn_until(pump, owner.opened.is_set)
        pump.close()
        assert not pump.is_connected


# -- several threads


@pytest.mark.usefixtures("patient")
def test_two_threads_may_wait_and_both_hear() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.wait("both wait")
        peer.expect_nothing(0.05)
        peer.send("close", error=codec.error("amqp:connection:forced"))
        peer.expect("close")

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)

        def wait() -> None:
            while not owner.causes:
                pump.turn(300.0)

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        server.tell("both wait")
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.usefixtures("patient")
def test_a_command_of_one_thread_goes_out_while_another_waits() -> None:
    with ScriptedServer(tell_of_begin) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        waiting = threading.Thread(target=pump.turn, args=(300.0,), daemon=True)
        waiting.start()
        with pump.lock:
            pump._core.require_engine().begin(pump.now(), incoming_window=10)
        pump.flush()
        server.wait("begun")
        pump.close()
        waiting.join(10)
        assert not waiting.is_alive()


def test_flush_now_writes_and_leaves_the_events_to_the_next_turn() -> None:
    with ScriptedServer(tell_of_begin) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        with pump.lock:
            engine = pump._core.require_engine()
            engine.begin(pump.now(), incoming_window=10)
            engine._emit(ConnectionOpened(Open("peer")))
            owner.opened.clear()
        pump.flush_now()
        server.wait("begun")
        assert not owner.opened.is_set()
        pump.turn()
        assert owner.opened.is_set()
        pump.close()


def test_flush_soon_needs_nobody_to_turn() -> None:
    with ScriptedServer(tell_of_begin) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        with pump.lock:
            pump._core.require_engine().begin(pump.now(), incoming_window=10)
        pump.flush_soon()
        server.wait("begun")
        pump.close()
    deadline = time.monotonic() + 10
    while any(thread.name == "uamqp-flush" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.mark.usefixtures("patient")
def test_closing_while_another_thread_waits() -> None:
    with ScriptedServer(accept_and_leave) as server, bounded(20):
        pump, owner = start(server, close_timeout=300)
        turn_until(pump, owner.opened.is_set)
        waiting = threading.Thread(target=pump.turn, args=(300.0,), daemon=True)
        waiting.start()
        pump.close()
        waiting.join(20)
        assert not waiting.is_alive()


def test_aborting_while_another_thread_waits() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.expect_eof()

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        waiting = threading.Thread(target=pump.turn, args=(30.0,), daemon=True)
        waiting.start()
        pump.abort("enough")
        waiting.join(10)
        assert not waiting.is_alive()


# -- a peer that doesn't read


def test_a_peer_that_does_not_read_costs_no_cpu() -> None:
    """Output that the socket doesn't take, and heartbeats that are due meanwhile, are no reason to spin."""

    def script(peer: SocketPeer) -> None:
        peer.accept_open(idle_time_out=100)
        peer.wait("over")
        peer.close_socket()

    with ScriptedServer(script) as server:
        pump, owner = start(server)
        turn_until(pump, owner.opened.is_set)
        assert pump._stream is not None
        pump._stream.write([bytes(20_000_000)])
        assert pump._stream.unsent
        before, deadline, turns = time.thread_time(), time.monotonic() + 0.5, 0
        while time.monotonic() < deadline:
            pump.turn(1.0)
            turns += 1
        assert time.thread_time() - before < 0.25
        assert turns < 100
        server.tell("over")
        pump.abort("over")


@pytest.mark.parametrize(("host", "text"), [("h", "h:5"), ("::1", "[::1]:5")])
def test_an_endpoint_as_text(host: str, text: str) -> None:
    assert str(Endpoint(host, 5)) == text


# -- connecting with the lock, in a callback


def test_a_callback_connects_although_another_thread_is_at_it() -> None:
    """The other can't finish before the callback returns, for that has the lock."""
    pump = BlockingPump(ConnectionCore(Owner()))
    is_connecting, stop = threading.Event(), threading.Event()

    def connecting() -> None:
        with pump._starting:
            is_connecting.set()
            stop.wait(20)

    thread = threading.Thread(target=connecting)
    thread.start()
    with ScriptedServer(accept_and_leave) as server, bounded(10):
        assert is_connecting.wait(20)
        with pump.lock:
            pump.start(Endpoint("127.0.0.1", server.port), EngineConfig("me"))
        stop.set()
        thread.join(20)
        pump.close()


def test_of_two_that_connect_at_a_time_the_first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner()
    pump = BlockingPump(ConnectionCore(owner))
    connect = stream.connect
    closed: list[bool] = []

    def overtaken(endpoint: Endpoint, sockets: list[socket.socket]) -> socket.socket:
        made = connect(endpoint, sockets)
        monkeypatch.setattr(pump_module, "connect", connect)
        with pump.lock:  # a callback
            pump.start(endpoint, EngineConfig("me"))
        return made

    def left_alone(peer: SocketPeer) -> None:
        closed.append(True)
        peer.expect_eof()

    monkeypatch.setattr(pump_module, "connect", overtaken)
    with ScriptedServer([left_alone, accept_and_leave]) as server, bounded(10):
        pump.start(Endpoint("127.0.0.1", server.port), EngineConfig("me"))
        turn_until(pump, owner.opened.is_set)
        pump.close()
    assert closed == [True]
    assert owner.causes == [None]
