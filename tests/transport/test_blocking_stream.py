"""`transport.tcp`: byte streams that never block."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from tests.peer.certs import Certificates, certificates  # noqa: F401 (a fixture)
from uamqp.transport.blocking.stream import READ_SIZE, Stream, Waker, connect
from uamqp.transport.sansio.endpoint import Endpoint


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    stream = Stream(ours)
    yield stream, theirs
    stream.close()
    theirs.close()


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = sock.recv(count - len(data))
        assert part, f"{len(data)} of {count} bytes"
        data += part
    return bytes(data)


# -- connecting


def test_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = connect(Endpoint("127.0.0.1", server.getsockname()[1], connect_timeout=5.0))
        assert sock.gettimeout() == 0.0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()


def test_each_address_of_a_host_is_tried() -> None:
    """localhost may be ::1 and 127.0.0.1; the server may listen on one alone."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((address, 0), family=family) as server:
            try:
                sock = connect(Endpoint("localhost", server.getsockname()[1], connect_timeout=5.0))
            except ConnectionRefusedError:
                # A machine on which localhost has one address only.
                assert len({info[0] for info in socket.getaddrinfo("localhost", 1)}) == 1
            else:
                sock.close()


def test_refused_and_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect(Endpoint("127.0.0.1", port, connect_timeout=5.0))
    with pytest.raises(OSError, match=r"(?i)name|address|known"):
        connect(Endpoint("no-such-host.invalid", 5671, connect_timeout=5.0))


def test_a_host_that_does_not_answer_is_given_up() -> None:
    """A listener whose queue is full lets further connections wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting: list[socket.socket] = []
        begun = time.monotonic()

        def connect_many() -> None:
            for _ in range(64):
                waiting.append(connect(Endpoint("127.0.0.1", server.getsockname()[1], connect_timeout=0.2)))  # noqa: PERF401

        with pytest.raises(TimeoutError):
            connect_many()
        assert time.monotonic() - begun < 5.0
        for sock in waiting:
            sock.close()


# -- reading


def test_reading(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    assert stream.read() is None
    theirs.sendall(b"hello")
    stream.wait(5.0)
    assert stream.read() == b"hello"
    assert stream.read() is None
    theirs.close()
    stream.wait(5.0)
    assert stream.read() == b""
    assert stream.read() == b""


def test_a_read_is_bounded(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    payload = bytes(3 * READ_SIZE)
    writer = threading.Thread(target=theirs.sendall, args=(payload,), daemon=True)
    writer.start()
    got = 0
    while got < len(payload):
        stream.wait(5.0)
        part = stream.read()
        if part is not None:
            assert 0 < len(part) <= READ_SIZE
            got += len(part)
    writer.join(10)


def test_a_reset_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = Stream(connect(Endpoint("127.0.0.1", server.getsockname()[1], connect_timeout=5.0)))
        theirs, _ = server.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()
        stream.wait(5.0)
        with pytest.raises(ConnectionResetError):
            stream.read()
        stream.close()


# -- writing


def test_writing(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    stream.write([b"one ", bytearray(b"two "), b"three"])
    assert not stream.unsent
    assert read_exactly(theirs, 13) == b"one two three"


def test_what_the_socket_does_not_take_is_kept(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    chunks = [bytes([number]) * 100_000 for number in range(50)]
    stream.write(chunks[:25])
    assert stream.unsent
    stream.write(chunks[25:])
    received = bytearray()

    def read() -> None:
        received.extend(read_exactly(theirs, 5_000_000))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + 20
    while stream.unsent:
        assert time.monotonic() < deadline
        stream.wait(1.0)
        stream.write(())
    reader.join(10)
    assert bytes(received) == b"".join(chunks)


def test_writing_to_a_closed_peer_is_an_error(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.close()
    with pytest.raises(BrokenPipeError):
        stream.write([b"x" * 1000])


# -- waiting


def test_waiting_ends_with_the_time(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    for seconds in (0.0, -1.0, 0.05):
        begun = time.monotonic()
        stream.wait(seconds)
        assert time.monotonic() - begun < 2.0


def test_waiting_ends_with_input(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    timer = threading.Timer(0.05, theirs.sendall, (b"x",))
    timer.start()
    begun = time.monotonic()
    stream.wait(20.0)
    assert time.monotonic() - begun < 10.0
    assert stream.read() == b"x"
    timer.join()


def test_a_waker_ends_the_wait(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    waker = Waker()
    timer = threading.Timer(0.05, waker.wake)
    timer.start()
    begun = time.monotonic()
    stream.wait(20.0, waker)
    assert time.monotonic() - begun < 10.0
    timer.join()
    begun = time.monotonic()
    stream.wait(0.05, waker)  # it wakes once
    assert time.monotonic() - begun >= 0.04
    waker.close()


def test_a_waker_is_never_full(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    waker = Waker()
    for _ in range(100_000):
        waker.wake()
    stream.wait(20.0, waker)
    waker.close()
    waker.wake()  # says nothing once it is closed


def test_after_a_failed_write_the_rest_can_be_read(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.sendall(b"why")
    stream.give_up_writing()
    stream.write([b"lost"])
    assert not stream.unsent
    assert stream.read() == b"why"


def test_high_file_descriptors_will_do() -> None:
    """select() stops at 1024; a busy server has more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("this machine allows fewer than 1200 open files")
    if soft < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1200, hard))
    try:
        ours, theirs = socket.socketpair()
        number = os.dup2(ours.fileno(), 1100)
        ours.close()
        high = socket.socket(fileno=number)
        high.setblocking(False)
        stream = Stream(high)
        theirs.sendall(b"x")
        stream.wait(5.0)
        assert stream.read() == b"x"
        stream.close()
        theirs.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- TLS


def tls_server(listener: socket.socket, context: ssl.SSLContext, payload: bytes, echo: bytearray) -> None:
    plain, _ = listener.accept()
    with context.wrap_socket(plain, server_side=True) as sock:
        sock.sendall(payload)
        while part := sock.recv(65536):
            echo += part


def test_tls(certificates: Certificates) -> None:  # noqa: F811
    payload = bytes(range(256)) * 4000
    echo = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(
            target=tls_server, args=(listener, certificates.server_context(), payload, echo), daemon=True
        )
        server.start()
        sock = connect(Endpoint("127.0.0.1", listener.getsockname()[1], connect_timeout=5.0))
        stream = Stream(sock, certificates.client_context(), "localhost")
        assert stream.is_handshaking
        stream.write([payload])  # waits for the handshake
        deadline = time.monotonic() + 20
        while not stream.handshake():
            assert time.monotonic() < deadline
            stream.wait(1.0)
        assert not stream.is_handshaking
        got = bytearray()
        while len(got) < len(payload) or stream.unsent:
            assert time.monotonic() < deadline
            stream.write(())
            part = stream.read()
            if part is None:
                stream.wait(1.0)
            else:
                got += part
        assert bytes(got) == payload
        stream.close()
        server.join(10)
    assert bytes(echo) == payload


def test_a_wrong_name_leaves_no_socket(certificates: Certificates) -> None:  # noqa: F811
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with pytest.raises(ValueError, match=r"(?i)hostname|name"):
        Stream(ours, certificates.client_context(), "")
    assert ours.fileno() == -1
    theirs.close()
