"""Servers of raw bytes, and WebSocket's framing by hand; imports nothing of the library."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

ServerT = TypeVar("ServerT", bound="RawServer")
Handler = Callable[[socket.socket], None]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class RawServer:
    """Listens, and runs a function with each client's socket in a thread of its own.

    What the function raises comes out of the `with`, except for an OSError: the client may go at any time.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def __enter__(self: ServerT) -> ServerT:  # noqa: PYI019 (Self needs Python 3.11)
        thread = threading.Thread(target=self._accept, daemon=True)
        self._threads.append(thread)
        thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(10)
        if self._failure is not None and value is None:
            raise self._failure

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(10)
            self._sockets.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            with sock:
                self._handler(sock)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 (it is raised in the test's thread)
            self._failure = error


def read_head(sock: socket.socket) -> str:
    """Read an HTTP request's head."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        part = sock.recv(1)
        if not part:
            raise ConnectionError("the client went away")
        data += part
    return data.decode()


def field(head: str, name: str) -> str | None:
    """A field of an HTTP head."""
    for line in head.split("\r\n"):
        key, colon, value = line.partition(":")
        if colon and key.lower() == name.lower():
            return value.strip()
    return None


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the client went away")
        data += part
    return data


def relay(here: socket.socket, there: socket.socket) -> None:
    """Copy bytes both ways until one side ends."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    back = threading.Thread(target=copy, args=(there, here), daemon=True)
    back.start()
    copy(here, there)
    back.join(10)


# -- WebSocket (RFC 6455)

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def upgrade(
    sock: socket.socket, *, subprotocol: str | None = "AMQPWSB10", accept: str | None = None, rest: bytes = b""
) -> str:
    """Answer a client's upgrade; returns its head."""
    head = read_head(sock)
    key = field(head, "Sec-WebSocket-Key") or ""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept or accept_key(key)}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode() + rest)
    return head


def ws_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = False) -> bytes:
    """A server's frame; `masked`, which a server's must not be."""
    first = (0x80 if fin else 0) | opcode
    bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + struct.pack(">H", size)
    else:
        head = bytes((first, bit | 127)) + struct.pack(">Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def read_ws_frame(sock: socket.socket) -> tuple[int, bytes]:
    """A client's frame: opcode and payload. It has to be masked."""
    first, second = read_exactly(sock, 2)
    if not second & 0x80:
        raise AssertionError("a client's frame that isn't masked")
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", read_exactly(sock, 2))
    elif size == 127:
        (size,) = struct.unpack(">Q", read_exactly(sock, 8))
    mask = read_exactly(sock, 4)
    payload = read_exactly(sock, size)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
