"""AMQP over WebSocket, against a server with a framing of its own too. With both fronts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.peer.raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawServer,
    field,
    read_head,
    read_ws_frame,
    upgrade,
    ws_frame,
)
from tests.support.clock import Clock
from tests.support.waiting import bounded
from uamqp import Message, ReceiveClient, SendClient, errors
from uamqp.authentication import SASLAnonymous, SASLPlain
from uamqp.constants import TransportType
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


def auth(port: int, **settings: Any) -> SASLAnonymous:
    settings = {"use_tls": False, "transport_type": TransportType.AmqpOverWebsocket, **settings}
    return SASLAnonymous("127.0.0.1", port=port, **settings)


def send(port: int, handshake_timeout: float = 30.0, **settings: Any) -> None:
    """Send a message to a server that is expected to fail."""
    login = auth(port, **settings)
    with SendClient("amqp://127.0.0.1/q", auth=login, handshake_timeout=handshake_timeout) as client:
        client.send_message(Message(b"x"))


# -- the embedded broker


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 300_000])
def test_there_and_back(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with Broker(websocket=True) as broker:
        url = broker.url + "/q"
        with SendClient(url, auth=auth(broker.port)) as sender:
            sender.send_message([Message(body), Message(b"last")])
        with ReceiveClient(url, auth=auth(broker.port), timeout=5000) as receiver:
            messages = [b"".join(next(receiver.receive_messages_iter()).get_data())]
        assert messages == [body]
        broker.wait_for(lambda: broker.connections == ())


def test_over_tls(certificates: Certificates) -> None:
    with Broker(websocket=True, tls_cert=certificates.server.cert, tls_key=certificates.server.key) as broker:
        settings = {"use_tls": True, "verify": certificates.ca}
        with SendClient(f"amqps://127.0.0.1:{broker.port}/q", auth=auth(broker.port, **settings)) as client:
            client.send_message(Message(b"x"))
        assert broker.queue("q").depth == 1
        with pytest.raises(errors.AMQPConnectionError, match="certificate"):
            send(broker.port, use_tls=True)


def test_a_client_may_say_it_beside_its_auth() -> None:
    """The seed's example: transport_type is the client's argument."""
    with Broker(websocket=True, users={"me": "secret"}) as broker:
        login = SASLPlain("127.0.0.1", "me", "secret", port=broker.port, use_tls=False)
        settings: dict[str, Any] = {"transport_type": TransportType.AmqpOverWebsocket}
        with SendClient(broker.url + "/q", auth=login, **settings) as client:
            client.send_message(Message(b"x"))
        with SendClient(f"amqp://me:secret@127.0.0.1:{broker.port}/q", **settings) as client:
            client.send_message(Message(b"y"))
        assert broker.queue("q").depth == 2


def test_the_path() -> None:
    with Broker(websocket="/here") as broker:
        with SendClient(broker.url + "/q", auth=auth(broker.port, websocket_path="/here")) as client:
            client.send_message(Message(b"x"))
        with pytest.raises(errors.AMQPConnectionError, match="the server answered 404 Not Found"):
            send(broker.port)


@pytest.mark.parametrize("path", ["/a#b", "/a b", "/a\r\nX-Injected: y", "/a\0"])
def test_a_path_that_cannot_be_asked_for(path: str) -> None:
    with pytest.raises(ValueError, match="websocket_path"):
        auth(1, websocket_path=path)


def test_the_connection_is_cut_and_another_made() -> None:
    with Broker(websocket=True) as broker:
        client = SendClient(broker.url + "/q", auth=auth(broker.port))
        client.send_message(Message(b"x"))
        broker.drop_connections()
        with pytest.raises(errors.AMQPConnectionError), bounded(10):
            client.send_message(Message(b"y"))
        client.close()
        with SendClient(broker.url + "/q", auth=auth(broker.port)) as another:
            another.send_message(Message(b"z"))
        assert broker.queue("q").depth == 2


# -- a server by hand


def through(
    port: int, mangle: Callable[[bytes], list[bytes]], heads: list[str], sizes: list[int]
) -> Callable[[socket.socket], None]:
    """A server that hands AMQP on to a broker; `mangle` makes frames of what the broker sends.

    It notes the head of each upgrade, and the size of each message of the client.
    """

    def serve(sock: socket.socket) -> None:
        heads.append(upgrade(sock))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:

            def outward() -> None:
                try:
                    while data := plain.recv(65536):
                        for frame in mangle(data):
                            sock.sendall(frame)
                except OSError:
                    pass  # the client has gone

            thread = threading.Thread(target=outward, daemon=True)
            thread.start()
            try:
                while True:
                    opcode, payload = read_ws_frame(sock)
                    if opcode == CLOSE:
                        sock.sendall(ws_frame(CLOSE, payload))
                        break
                    if opcode == BINARY:
                        sizes.append(len(payload))
                        plain.sendall(payload)
            finally:
                plain.shutdown(socket.SHUT_RDWR)
                thread.join(10)

    return serve


def fragments(data: bytes) -> list[bytes]:
    """One message in many frames, with pings in between."""
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    frames = []
    for number, piece in enumerate(pieces):
        frames.append(ws_frame(BINARY if number == 0 else 0, piece, fin=number == len(pieces) - 1))
        frames.append(ws_frame(PING, b"there?"))
    return frames


@pytest.mark.parametrize("mangle", [lambda data: [ws_frame(BINARY, data)], fragments], ids=["whole", "fragments"])
def test_frames_of_all_kinds(broker: Broker, mangle: Callable[[bytes], list[bytes]]) -> None:
    heads: list[str] = []
    with RawServer(through(broker.port, mangle, heads, [])) as server:
        with SendClient("amqp://127.0.0.1/q", auth=auth(server.port)) as client:
            client.send_message([Message(b"x" * 1000), Message(b"y")])
    assert broker.queue("q").depth == 2
    (head,) = heads
    assert head.startswith("GET /$servicebus/websocket/ HTTP/1.1\r\n")
    assert field(head, "Host") == f"127.0.0.1:{server.port}"
    assert (field(head, "Upgrade") or "").lower() == "websocket"
    assert field(head, "Sec-WebSocket-Version") == "13"
    assert [name.strip() for name in (field(head, "Sec-WebSocket-Protocol") or "").split(",")] == ["AMQPWSB10", "amqp"]


def answer(text: str) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(text.encode())
        sock.recv(1)

    return serve


def wrong_key(sock: socket.socket) -> None:
    upgrade(sock, accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    sock.recv(1)


def wrong_subprotocol(sock: socket.socket) -> None:
    upgrade(sock, subprotocol="chat")
    sock.recv(1)


def closes_at_once(sock: socket.socket) -> None:
    read_head(sock)


def says_nothing(sock: socket.socket) -> None:
    read_head(sock)
    sock.recv(1)


def one_by_one(sock: socket.socket) -> None:
    """Answer byte by byte, so slowly that it never ends."""
    read_head(sock)
    sock.settimeout(0.01)
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"y" * 10_000:
        sock.sendall(bytes((byte,)))
        try:
            if not sock.recv(1):
                return
        except TimeoutError:
            pass


@pytest.mark.parametrize(
    ("serve", "text"),
    [
        (answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), "the server answered 401 Unauthorized"),
        (answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "the server answered 404 Not Found"),
        (answer("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), "the server answered 302 Found"),
        (answer("SSH-2.0-OpenSSH\r\n" * 9), "did not receive a valid HTTP response"),
        (wrong_key, "invalid Sec-WebSocket-Accept"),
        (wrong_subprotocol, "unsupported subprotocol: chat"),
        (closes_at_once, "connection closed while reading HTTP status line|ended the connection"),
        (says_nothing, "wasn't opened within|there was no upgrade within"),
        (one_by_one, "wasn't opened within|there was no upgrade within"),
    ],
)
def test_an_upgrade_that_fails(serve: Callable[[socket.socket], None], text: str) -> None:
    patience = 0.1 if serve in (says_nothing, one_by_one) else 30.0
    with RawServer(serve) as server, bounded(5), pytest.raises(errors.AMQPConnectionError, match=text):
        send(server.port, handshake_timeout=patience)


def after_upgrade(*frames: bytes) -> Callable[[socket.socket], None]:
    """Upgrade, and then send frames."""

    def serve(sock: socket.socket) -> None:
        upgrade(sock, rest=b"".join(frames))
        while True:
            if not sock.recv(65536):
                return

    return serve


SASL_HEADER = b"AMQP\x03\x01\x00\x00"


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([ws_frame(TEXT, b"hello")], "a text frame"),
        ([ws_frame(BINARY, SASL_HEADER), ws_frame(TEXT, b"hello")], "a text frame"),
        ([ws_frame(BINARY, SASL_HEADER, masked=True)], "mask"),
        ([ws_frame(BINARY, SASL_HEADER), ws_frame(CLOSE, b"\x03\xe8")], "ended the connection"),
        ([ws_frame(BINARY, SASL_HEADER), ws_frame(CLOSE, b"\x03\xf3going down")], "with code 1011: going down"),
        ([ws_frame(3, b"")], "opcode"),
        ([ws_frame(BINARY, b"x" * 10)], "expected the header of AMQP with SASL"),
        ([b"\x82\x7f" + (2**40).to_bytes(8, "big")], "too big|exceeds limit"),
    ],
)
def test_frames_that_are_wrong(frames: list[bytes], text: str) -> None:
    with RawServer(after_upgrade(*frames)) as server, bounded(5):
        with pytest.raises(errors.AMQPConnectionError, match=text):
            send(server.port)


def test_a_ping_is_answered() -> None:
    pongs: list[tuple[int, bytes]] = []

    def serve(sock: socket.socket) -> None:
        upgrade(sock, rest=ws_frame(PING, b"hello"))
        while not pongs:
            opcode, payload = read_ws_frame(sock)
            if opcode == PONG:
                pongs.append((opcode, payload))

    with RawServer(serve) as server, bounded(5), pytest.raises(errors.AMQPConnectionError):
        send(server.port)
    assert pongs == [(PONG, b"hello")]


# -- the size of what is sent, and floods


def test_messages_are_of_32_kib_at_most(broker: Broker) -> None:
    """Whatever waits: servers on Netty or Jetty take 64 KiB."""
    sizes: list[int] = []
    serve = through(broker.port, lambda data: [ws_frame(BINARY, data)], [], sizes)
    bodies = [b"x" * 70_000, *[b"%d" % number for number in range(3000)], b"y" * 1_000_000]
    with RawServer(serve) as server, SendClient("amqp://127.0.0.1/q", auth=auth(server.port)) as client:
        client.send_message([Message(body) for body in bodies])
    assert [view.body for view in broker.queue("q").messages] == bodies
    assert max(sizes) <= 32768
    assert sum(sizes) > 1_070_000


@pytest.mark.parametrize("frame", [ws_frame(BINARY), ws_frame(PONG), ws_frame(PING)], ids=["empty", "pongs", "pings"])
def test_a_flood_of_frames_puts_off_no_deadline(frame: bytes, clock: Clock) -> None:
    """The peer says nothing but this, for as long as it is read from."""
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        upgrade(sock)
        read_ws_frame(sock)  # the client's header: from now on it waits for ours
        flood = frame * 100_000
        sock.settimeout(0.05)
        times = 0
        try:
            while not done.is_set():
                try:
                    sock.send(flood)
                    times += 1
                    if times == 3:
                        clock.move(30)  # past the handshake's deadline, and before any other
                    sock.recv(1 << 20)
                except TimeoutError:
                    pass
        except OSError:
            pass

    try:
        with RawServer(serve) as server, bounded(20):
            with pytest.raises(errors.AMQPConnectionError, match="wasn't opened within"):
                send(server.port, handshake_timeout=25)
    finally:
        done.set()


def test_a_peer_that_sends_pings_and_reads_no_answers_is_not_read_from(broker: Broker) -> None:
    """Or the answers would fill the memory. Once it reads, all goes on."""
    accepted = 0
    stalled = threading.Event()
    head: list[str] = []

    def serve(sock: socket.socket) -> None:
        nonlocal accepted
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head.append(upgrade(sock))
        ping = ws_frame(PING, b"p" * 125)
        flood = memoryview(ping * 1000)
        sock.settimeout(2)
        rest = flood
        try:
            while accepted < 64_000_000:
                count = sock.send(rest)
                accepted += count
                rest = rest[count:] or flood
        except TimeoutError:
            stalled.set()
        left = len(rest) if len(rest) < len(flood) else 0
        finish = threading.Thread(target=lambda: sock.sendall(bytes(rest[:left])), daemon=True)
        finish.start()
        expected = (accepted + left) // len(ping) * (len(ping) + 4)  # the answers are masked
        while expected > 0:
            expected -= len(sock.recv(1 << 20))
        finish.join(10)
        sock.sendall(ws_frame(CLOSE, b"\x03\xf3that will do"))
        sock.recv(1)

    with RawServer(serve) as server, pytest.raises(errors.AMQPConnectionError, match="that will do"):
        with SendClient("amqp://127.0.0.1/q", auth=auth(server.port)) as client:
            client.send_message(Message(b"x"))
    assert stalled.is_set()
    assert accepted < 64_000_000
