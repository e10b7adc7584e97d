"""Nothing waits forever: each step that a peer leaves unanswered ends in a clear error, within a bound."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.script import ANY
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import (
    RECEIVER,
    SENDER,
    accept_leaving,
    accept_receiver,
    accept_sender,
    accept_session,
    connect,
    data_message,
    settle,
    url,
    with_credit,
)
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, SendClient, Session, errors
from uamqp.constants import ErrorCodes, MessageState

pytestmark = pytest.mark.both_fronts

Script = Callable[[SocketPeer], None]

LONG = 45.0
"""Seconds: longer than a peer may take to answer; a message may take longer."""


def nothing_at_all(peer: SocketPeer) -> None:
    peer.expect_header("SASL")
    peer.stay_silent(LONG)
    peer.expect_eof()


def nothing_ever(peer: SocketPeer) -> None:
    peer.expect_header("SASL")
    peer.expect_eof()


def no_mechanisms(peer: SocketPeer) -> None:
    peer.expect_header("SASL")
    peer.send_header("SASL")
    peer.stay_silent(LONG)
    peer.expect_eof()


def no_outcome(peer: SocketPeer) -> None:
    peer.expect_header("SASL")
    peer.send_header("SASL")
    peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
    peer.expect("sasl_init")
    peer.stay_silent(LONG)
    peer.expect_eof()


def no_header_after_sasl(peer: SocketPeer) -> None:
    peer.accept_sasl()
    peer.expect_header("AMQP")
    peer.stay_silent(LONG)
    peer.ignore("open", "close")
    peer.expect_eof()


def no_open(peer: SocketPeer) -> None:
    peer.accept_sasl()
    peer.expect_header("AMQP")
    peer.send_header("AMQP")
    peer.stay_silent(LONG)
    peer.ignore("open", "close")
    peer.expect_eof()


def no_begin(peer: SocketPeer) -> None:
    peer.accept_sasl()
    peer.accept_open()
    peer.expect("begin")
    peer.stay_silent(LONG)
    peer.ignore("end")
    peer.accept_close()
    peer.expect_eof()


def no_attach(peer: SocketPeer) -> None:
    accept_session(peer)
    peer.expect("attach")
    peer.stay_silent(LONG)
    peer.ignore("detach")
    peer.accept_end()
    peer.accept_close()
    peer.expect_eof()


def no_attach_and_no_detach(peer: SocketPeer) -> None:
    accept_session(peer)
    peer.expect("attach")
    peer.stay_silent(LONG)
    peer.expect("detach")
    peer.wait_out(LONG)
    peer.accept_end()
    peer.accept_close()
    peer.expect_eof()


SILENCES = [nothing_at_all, no_mechanisms, no_outcome, no_header_after_sasl, no_open, no_begin, no_attach]
QUIET = pytest.mark.parametrize("script", SILENCES, ids=lambda script: script.__name__)


def raises_what_is_missing() -> Any:
    return pytest.raises(errors.AMQPConnectionError, match=r"(?i)time|answer|within|seconds")


@pytest.mark.parametrize("script", [nothing_at_all, no_begin, no_attach])
def test_polling_a_send_client_ends_in_an_error(script: Script, clock: Clock) -> None:
    """Defects 1 and 6: 1.6.11 polled forever when the peer left SASL, open, begin or attach unanswered."""
    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = SendClient(url(server))
        client.open()
        with raises_what_is_missing():
            until(client.client_ready, lambda: None)
        client.close()


@QUIET
def test_sending_ends_in_an_error_and_gives_the_message_back(script: Script, clock: Clock) -> None:
    """Defect 6: send_message returned never."""
    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = SendClient(url(server))
        message = Message(b"x")
        with raises_what_is_missing() as caught:
            client.send_message(message)
        assert client.pending_messages == []
        assert message.state is MessageState.WaitingToBeSent
        assert caught.value.message_fates == {message: "not sent"}
        client.close()


@QUIET
def test_receiving_ends_in_an_error(script: Script, clock: Clock) -> None:
    """Defect 6: receive_message_batch returned never."""
    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = ReceiveClient(url(server))
        with raises_what_is_missing():
            client.receive_message_batch()
        client.close()


def test_iterating_ends_in_an_error(clock: Clock) -> None:
    with ScriptedServer(no_attach, clock=clock) as server, bounded(5):
        client = ReceiveClient(url(server))
        with raises_what_is_missing():
            list(client.receive_messages_iter())
        client.close()


@pytest.mark.parametrize("script", [nothing_at_all, no_open, no_attach_and_no_detach])
def test_a_batch_with_a_timeout_comes_back_in_time(script: Script, clock: Clock) -> None:
    """The time-out of the call counts from its beginning, while the link opens too."""
    bounds: dict[str, Any] = {"handshake_timeout": 2 * LONG, "link_timeout": 2 * LONG}
    if script is not no_attach_and_no_detach:
        bounds["close_timeout"] = 0.05  # closing is never answered
    with ScriptedServer(script, clock=clock) as server, bounded(10):
        client = ReceiveClient(url(server), **bounds)
        assert client.receive_message_batch(timeout=900 * LONG) == []
        client.close()


def test_a_bare_connection_ends_in_an_error(clock: Clock) -> None:
    """Defect 6, without a client."""
    with ScriptedServer(no_open, clock=clock) as server, bounded(5):
        connection = connect(server)
        connection.start()
        with raises_what_is_missing():
            until(lambda: False, lambda: connection.sleep(0.05))
        with raises_what_is_missing():
            connection.work()
        connection.destroy()


def test_the_default_bounds_are_there() -> None:
    """The defaults have bounds, too."""
    settings = SendClient("amqp://localhost/q")._build_connection()._config()
    assert 0 < settings.handshake_timeout <= 60
    assert 0 < settings.link_timeout <= 60
    assert 0 < settings.close_timeout <= 10


# -- closing


def open_sender(server: ScriptedServer, **settings: Any) -> SendClient:
    client = SendClient(url(server), **settings)
    client.open()
    until(client.client_ready, lambda: None)
    return client


@pytest.mark.parametrize("silent_about", ["detach", "end", "close"])
def test_closing_is_bounded_when_the_peer_is_silent(silent_about: str, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        steps: dict[str, Callable[[], Any]] = {
            "detach": peer.accept_detach,
            "end": peer.accept_end,
            "close": peer.accept_close,
        }
        for name, step in steps.items():
            if name == silent_about:
                peer.expect(name)
                peer.wait_out(LONG)
            else:
                step()
        peer.expect_eof()

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = open_sender(server)
        client.close()


def test_closing_waits_for_the_peers_answer() -> None:
    """Defect 47: the socket was closed without waiting for the peer's close."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.accept_detach()
        peer.accept_end()
        peer.expect("close")
        peer.expect_nothing(0.1)
        assert not peer._eof
        peer.send("close")
        peer.expect_eof()

    with ScriptedServer(script) as server:
        client = SendClient(url(server))
        client.open()
        until(client.client_ready, lambda: None)
        client.close()


def test_closing_a_client_whose_peer_never_answers_anything() -> None:
    with ScriptedServer(nothing_ever) as server, bounded(5):
        client = ReceiveClient(url(server), close_timeout=0.05)
        client.open()
        client.client_ready()
        client.close()
        client.close()


def test_the_peer_stops_reading() -> None:
    """A peer that takes no more bytes holds up neither a time-out nor close."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=100)
        peer.wait("the client is gone")
        peer.close_socket()

    with ScriptedServer(script) as server, bounded(10):
        client = open_sender(server, close_timeout=0.05)
        client._msg_timeout = 200
        big = [Message(b"x" * 4_000_000) for _ in range(10)]
        with pytest.raises(errors.ClientMessageError, match="timed out"):
            client.send_message(big)
        client.close()
        server.tell("the client is gone")


# -- sending


def test_no_credit_is_bounded_by_the_messages_timeout(clock: Clock) -> None:
    """Defect 3: the time-out of a message holds before it is handed over."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=0)
        peer.stay_silent(LONG)
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = SendClient(url(server), msg_timeout=900 * LONG)
        results: list[Any] = []
        message = Message(b"x")
        message.on_send_complete = lambda result, error: results.append((result.name, error))
        with pytest.raises(errors.ClientMessageError, match="Message send timed out") as caught:
            client.send_message(message)
        client.close()
    assert caught.value.condition == ErrorCodes.ClientError
    assert message.state is MessageState.SendFailed
    assert [(name, type(error)) for name, error in results] == [("Timeout", TimeoutError)]
    assert caught.value.info["failed_messages"][message] is results[0][1]


def test_no_outcome_is_bounded_by_the_messages_timeout(clock: Clock) -> None:
    """Time-out after the hand-over; an outcome that comes later changes nothing."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        late = peer.expect("transfer")
        peer.stay_silent(LONG)
        peer.wait("it has timed out")
        settle(peer, late)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = SendClient(url(server), msg_timeout=900 * LONG)
        lost, fine = Message(b"1"), Message(b"2")
        with pytest.raises(errors.ClientMessageError, match="timed out"):
            client.send_message(lost)
        server.tell("it has timed out")
        client._msg_timeout = 5000
        client.send_message(fine)
        assert (lost.state, lost.retries) == (MessageState.SendFailed, 0)
        assert fine.state is MessageState.SendComplete
        client.close()


# -- receiving


@pytest.mark.parametrize("kind", [SENDER, RECEIVER], ids=["send", "receive"])
def test_silence_ends_in_an_error(kind: bool, clock: Clock) -> None:
    """Defect 2: at its own idle time-out a receiving client sent close after close forever, and never raised."""

    def script(peer: SocketPeer) -> None:
        if kind == SENDER:
            accept_sender(peer)
        else:
            with_credit(peer)
        peer.wait_out(LONG)
        peer.expect("close", error={"condition": ANY})
        peer.expect_nothing(0.1)  # one close, not thousands
        peer.stay_silent(LONG)
        peer.expect_eof()

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = (SendClient if kind == SENDER else ReceiveClient)(url(server), idle_timeout=1000 * LONG)
        client.open()
        with pytest.raises(errors.ConnectionClose, match=r"(?i)idle|nothing") as caught:
            until(lambda: False, client.do_work)
        assert caught.value.condition == ErrorCodes.InternalServerError
        assert caught.value.action is not None
        assert caught.value.action.retry
        with pytest.raises(errors.ConnectionClose):
            client.do_work()
        client.close()


def test_silence_ends_a_bare_connection(clock: Clock) -> None:
    """Defect 2, on a bare connection."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.wait_out(LONG)
        peer.expect("close")
        peer.stay_silent(LONG)
        peer.expect_eof()

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        connection = connect(server, idle_timeout=1000 * LONG)
        session = Session(connection)
        connection.start()
        session._core.open(clock.now())
        with pytest.raises(errors.ConnectionClose, match=r"(?i)idle|nothing"):
            until(lambda: False, lambda: connection.sleep(0.05))
        connection.destroy()


def test_the_peers_frames_keep_the_connection_alive(clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.ignore("flow")
        for _ in range(8):
            peer.send_empty_frame()
            peer.expect_nothing(0.02)
            peer.stay_silent(LONG / 3)
        peer.send_delivery(data_message(b"at last"))
        peer.expect("disposition")
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server:
        client = ReceiveClient(url(server), idle_timeout=1000 * LONG)
        client.receive_message_batch()
        client.close()


def test_what_came_while_nobody_called_is_no_silence(clock: Clock) -> None:
    """Programs of 1.6 call in when they like; only what the peer didn't send is held against it."""

    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.ignore("flow")
        peer.tell("open")
        for _ in range(6):
            peer.stay_silent(LONG / 3)
            peer.send_empty_frame()
            peer.expect_nothing(0.02)
        peer.tell("enough")
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = ReceiveClient(url(server), idle_timeout=1000 * LONG)
        client.open()
        until(client.client_ready, lambda: None)
        server.wait("open")
        server.wait("enough")
        assert client.receive_message_batch(timeout=20) == []
        client.close()


def test_heartbeats_go_out_as_often_as_the_peer_wants(clock: Clock) -> None:
    """Defect 16: the ratio was refused. It is the part of the peer's idle time-out after which an empty frame goes."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(idle_time_out=400_000)
        peer.accept_begin()
        accept_receiver(peer, session=False)
        peer.expect("flow")
        for _ in range(3):
            peer.stay_silent(101)  # a quarter; the usual half would be too late for the next line
            peer.expect_empty_frame()
        peer.tell("enough")
        peer.ignore("empty")
        peer.stay_silent(400)
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = ReceiveClient(url(server), remote_idle_timeout_empty_frame_send_ratio=0.25)
        client.receive_message_batch(timeout=450_000)
        server.wait("enough")
        client.close()


# -- connecting


def test_a_refused_port_says_so_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with bounded(5), pytest.raises(errors.AMQPConnectionError, match=rf"127\.0\.0\.1:{port}.*refused"):
        SendClient(f"amqp://127.0.0.1:{port}/q").send_message(Message(b"x"))


def test_an_unknown_host_says_so() -> None:
    with pytest.raises(errors.AMQPConnectionError, match=r"no-such-host\.invalid"):
        ReceiveClient("amqp://no-such-host.invalid/q").receive_message_batch()


def test_a_peer_that_closes_at_once_says_so() -> None:
    with ScriptedServer(lambda peer: peer.reset_socket()) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.AMQPConnectionError, match=r"(?i)closed|broke|reset"):
            client.send_message(Message(b"x"))
        client.close()


def test_a_peer_that_speaks_something_else_says_so() -> None:
    def script(peer: SocketPeer) -> None:
        peer.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.expect_header("SASL")
        peer.ignore("close")

    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.AMQPConnectionError, match="HTTP"):
            client.send_message(Message(b"x"))
        client.close()
