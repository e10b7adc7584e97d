"""Tests of scripts on a socket, plain and TLS: no failure is lost, no wait is endless."""

from __future__ import annotations

import ast
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.peer.frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    frame,
    performative,
)
from tests.peer.script import ScriptFailure
from tests.peer.server import ScriptedServer, SocketPeer, run_client

from .helpers import (
    OPEN,
)


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def serve(script: Any, client: Callable[[socket.socket], Any], **options: Any) -> Any:
    with ScriptedServer(script, **options) as server:
        return run_client(server.port, client)


def test_a_script_on_a_socket() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open({"container_id": "me"})
        peer.accept_close()
        peer.expect_eof()

    with ScriptedServer(script) as server:

        def client(sock: socket.socket) -> bytes:
            for byte in AMQP_HEADER + OPEN + frame(performative("close")):
                sock.sendall(bytes([byte]))
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

        answer = run_client(server.port, client)
    assert answer == AMQP_HEADER + frame(performative("open", container_id="peer")) + frame(performative("close"))


def test_a_script_writes_in_pieces_and_ends_the_stream() -> None:
    def script(peer: SocketPeer) -> None:
        peer.split = 1
        peer.send_header("AMQP")

    with ScriptedServer(script) as server:
        assert run_client(server.port, read_all) == AMQP_HEADER


def test_a_failing_script_fails_the_test() -> None:
    def script(peer: SocketPeer) -> None:
        peer.expect_header("SASL")

    with pytest.raises(ScriptFailure, match="expected the SASL header"), ScriptedServer(script) as server:
        run_client(server.port, lambda sock: sock.sendall(AMQP_HEADER))


def test_the_scripts_failure_comes_before_what_came_of_it() -> None:
    def client(sock: socket.socket) -> None:
        sock.sendall(AMQP_HEADER)
        if not read_all(sock):
            raise ConnectionError("lost")

    with pytest.raises(ScriptFailure, match="SASL") as caught:
        serve(lambda peer: peer.expect_header("SASL"), client)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_failing_test_stops_the_script_at_once() -> None:
    def client(sock: socket.socket) -> None:
        raise KeyError("the test's own")

    begun = time.monotonic()
    with pytest.raises(KeyError):
        serve(lambda peer: peer.expect_header("SASL"), client)
    assert time.monotonic() - begun < 5.0


def test_any_exception_of_a_script_is_raised_in_the_test() -> None:
    def script(peer: SocketPeer) -> None:
        raise ZeroDivisionError("a slip")

    with pytest.raises(ZeroDivisionError), ScriptedServer(script) as server:
        run_client(server.port, read_all)


def test_unread_frames_at_the_end_of_a_script_fail() -> None:
    def client(sock: socket.socket) -> None:
        read_all(sock)  # the script has ended
        sock.sendall(EMPTY_FRAME)

    with pytest.raises(ScriptFailure, match="expected nothing more"):
        serve(lambda _: None, client)


def test_a_client_that_does_not_close_fails() -> None:
    server = ScriptedServer(lambda _: None, timeout=0.3)
    client = socket.create_connection(("127.0.0.1", server.port))
    with client, pytest.raises(ScriptFailure, match="the client to close"):
        server.check()


def test_a_wait_is_bounded() -> None:
    def script(peer: SocketPeer) -> None:
        peer.expect_header("AMQP")

    with pytest.raises(ScriptFailure, match="came     nothing"), ScriptedServer(script, timeout=0.2) as server:
        run_client(server.port, read_all)


def test_a_connection_that_does_not_come_fails_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(ScriptFailure, match="1 connections were to come, 0 came"), ScriptedServer(lambda _: None):
        pass
    assert time.monotonic() - begun < 5.0


def test_a_connection_too_many_fails() -> None:
    server = ScriptedServer(lambda _: None)
    run_client(server.port, read_all)
    run_client(server.port, read_all)
    with pytest.raises(ScriptFailure, match="another came"):
        server.check()


def test_further_connections_can_be_refused() -> None:
    with ScriptedServer(lambda _: None, refuse_more=True) as server:
        run_client(server.port, read_all)
        with pytest.raises(ConnectionRefusedError):
            run_client(server.port, read_all)


def test_one_script_for_each_connection_and_at_the_same_time() -> None:
    def first(peer: SocketPeer) -> None:
        peer.wait("second")
        peer.send_raw(b"1")

    def second(peer: SocketPeer) -> None:
        peer.send_raw(b"2")
        peer.tell("second")

    with ScriptedServer([first, second]) as server, socket.create_connection(("127.0.0.1", server.port)) as one:
        assert run_client(server.port, read_all) == b"2"
        assert read_all(one) == b"1"


def test_the_test_and_the_script_wait_for_each_other() -> None:
    def script(peer: SocketPeer) -> None:
        peer.tell("ready")
        peer.wait("go")

    with ScriptedServer(script) as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        server.wait("ready")
        server.tell("go")
        assert read_all(sock) == b""
    with pytest.raises(ScriptFailure, match="nobody said 'x'"), ScriptedServer(script, timeout=0.2) as server:
        server.wait("x")


def test_cutting_the_connection() -> None:
    with ScriptedServer([lambda peer: peer.reset_socket(), lambda peer: peer.close_socket()]) as server:
        with pytest.raises(ConnectionResetError):
            run_client(server.port, read_all)
        assert run_client(server.port, read_all) == b""


def test_frames_left_unread_by_a_script_that_closes_fail() -> None:
    def script(peer: SocketPeer) -> None:
        peer.expect_header("AMQP")
        peer.close_socket()

    with pytest.raises(ScriptFailure, match="nothing more"), ScriptedServer(script) as server:
        run_client(server.port, lambda sock: sock.sendall(AMQP_HEADER + EMPTY_FRAME))


# ---------------------------------------------------------------- TLS


def tls_client(port: int, context: ssl.SSLContext, do: Callable[[ssl.SSLSocket], Any]) -> Any:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10.0)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as sock:
        return do(sock)


def test_a_script_over_tls(certificates: Certificates) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.accept_close()

    def client(sock: ssl.SSLSocket) -> bytes:
        sock.sendall(AMQP_HEADER + OPEN + frame(performative("close")))
        return read_all(sock)

    with ScriptedServer(script, tls=certificates.server_context()) as server:
        answer = tls_client(server.port, certificates.client_context(), client)
    assert answer.endswith(frame(performative("close")))


def test_unread_frames_fail_over_tls_too(certificates: Certificates) -> None:
    def client(sock: ssl.SSLSocket) -> None:
        assert read_all(sock) == b""
        sock.sendall(EMPTY_FRAME)

    server = ScriptedServer(lambda _: None, tls=certificates.server_context())
    tls_client(server.port, certificates.client_context(), client)
    with pytest.raises(ScriptFailure, match="nothing more"):
        server.check()


def test_client_certificates(certificates: Certificates) -> None:
    subjects: list[Any] = []

    def script(peer: SocketPeer) -> None:
        subjects.append(peer.client_certificate)

    with ScriptedServer(script, tls=certificates.server_context(ask_client=True)) as server:
        tls_client(server.port, certificates.client_context(certificates.client), read_all)
    assert ("commonName", "amqp") in [pair[0] for pair in subjects[0]["subject"]]

    tls = certificates.server_context(ask_client=True)
    for context in (certificates.client_context(), certificates.client_context(certificates.other_ca_client)):
        server = ScriptedServer(lambda _: None, tls=tls, handshake_fails=True)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            tls_client(server.port, context, read_all)
        server.check()
        assert server.tls_errors


@pytest.mark.parametrize("which", ["expired", "other_host", "other_ca_server"])
def test_bad_server_certificates_are_bad(certificates: Certificates, which: str) -> None:
    tls = certificates.server_context(getattr(certificates, which))
    server = ScriptedServer(lambda _: None, tls=tls, handshake_fails=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        tls_client(server.port, certificates.client_context(), read_all)
    server.check()
    assert server.tls_errors


def test_a_failed_handshake_fails_the_test_unless_it_is_expected(certificates: Certificates) -> None:
    tls = certificates.server_context()
    with pytest.raises(ssl.SSLError):
        serve(lambda _: None, lambda sock: sock.sendall(AMQP_HEADER * 4), tls=tls)
    server = ScriptedServer(lambda _: None, tls=tls, handshake_fails=True)
    tls_client(server.port, certificates.client_context(), lambda sock: sock.sendall(b"x"))
    with pytest.raises(ScriptFailure, match="it succeeded"):
        server.check()


def test_the_server_leaves_no_threads() -> None:
    with ScriptedServer(lambda _: None) as server:
        run_client(server.port, read_all)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("script")]


def test_the_peer_imports_nothing_of_the_library() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not [name for name in names if name.split(".")[0] == "uamqp"], path
