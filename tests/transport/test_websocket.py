"""WebSockets: the size of what is sent, and floods of frames."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.peer.raw import BINARY, CLOSE, PING, PONG, RawServer, upgrade, ws_frame
from uamqp.transport.asyncio.websocket import WebSocketProtocol
from uamqp.transport.sansio.websocket import MESSAGE_SIZE, WebSocket, WebSocketError


def pair() -> tuple[WebSocket, WebSocket]:
    """A client and a server, with the upgrade done."""
    client, server = WebSocket.client("127.0.0.1", 80, "/", secure=False), WebSocket.server()
    assert server.receive(b"".join(client.data_to_send())) == b""
    assert client.receive(b"".join(server.data_to_send())) == b""
    assert client.is_open
    assert server.is_open
    return client, server


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames in what was sent: opcode and payload."""
    pos = 0
    while pos < len(data):
        first, second = data[pos : pos + 2]
        assert first & 0x80, "a fragment"
        size, pos = second & 0x7F, pos + 2
        if size == 126:
            (size,) = struct.unpack_from(">H", data, pos)
            pos += 2
        elif size == 127:
            (size,) = struct.unpack_from(">Q", data, pos)
            pos += 8
        mask = b"\0\0\0\0"
        if second & 0x80:
            mask = data[pos : pos + 4]
            pos += 4
        payload = data[pos : pos + size]
        pos += size
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        yield first & 0x0F, (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 1, MESSAGE_SIZE - 1, MESSAGE_SIZE, MESSAGE_SIZE + 1, 65537, 1_000_000])
def test_messages_are_of_32_kib_at_most(size: int, kind: type[bytes], side: str) -> None:
    """Netty and Jetty take 64 KiB."""
    client, server = pair()
    ours, theirs = (client, server) if side == "client" else (server, client)
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    ours.send([kind(data), kind(b"last")])
    sent = b"".join(ours.data_to_send())
    found = list(frames(sent))
    assert {opcode for opcode, _ in found} == {BINARY}
    assert max(len(payload) for _, payload in found) <= MESSAGE_SIZE == 32768
    assert len(found) == -(-size // MESSAGE_SIZE) + 1
    assert b"".join(payload for _, payload in found) == data + b"last"
    assert theirs.receive(sent) == data + b"last"
    assert not theirs.has_more


FLOODS = {
    "empty frames": ws_frame(BINARY),
    "empty fragments": ws_frame(0, fin=False),
    "frames of a byte": ws_frame(BINARY, b"x"),
    "pings": ws_frame(PING),
    "long pings": ws_frame(PING, b"y" * 125),
    "pongs": ws_frame(PONG),
}


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_frames_is_read_in_parts(frame: bytes) -> None:
    client, _ = pair()
    count = 20_000
    flood = frame * count
    if frame[0] == 0:
        flood = ws_frame(BINARY, fin=False) + flood + ws_frame(0)
    arrived = client.receive(flood + ws_frame(BINARY, b"AMQP"))
    answers = b"".join(client.data_to_send())
    steps = 1
    while client.has_more:
        before = len(arrived)
        arrived += client.receive_more()
        step = b"".join(client.data_to_send())
        assert max(len(arrived) - before, len(step) // (len(frame) + 4)) < 4000
        answers += step
        steps += 1
    assert steps >= min(count, len(flood) // 2) // 3072
    assert arrived == (b"x" * count if frame == ws_frame(BINARY, b"x") else b"") + b"AMQP"
    pings = frame[0] & 0x0F == PING
    assert [opcode for opcode, _ in frames(answers)] == [PONG] * (count if pings else 0)


def test_what_arrives_while_something_is_held_back_comes_behind_it() -> None:
    client, _ = pair()
    assert client.receive(ws_frame(BINARY) * 10_000 + ws_frame(BINARY, b"one")) == b""
    assert client.has_more
    arrived = client.receive(ws_frame(BINARY, b"two"))
    assert client.receive(b"") == b""
    while client.has_more:
        assert not client.ended
        arrived += client.receive_more()
    assert arrived == b"onetwo"
    assert client.ended


@pytest.mark.parametrize("last", [ws_frame(CLOSE, b"\x03\xe8"), ws_frame(3)], ids=["a close", "nonsense"])
def test_nothing_is_held_back_behind_the_end(last: bytes) -> None:
    client, _ = pair()
    try:
        client.receive(last + ws_frame(BINARY) * 10_000)
    except WebSocketError:
        pass
    else:
        assert client.ended
    assert not client.has_more


def test_what_comes_after_the_end_of_the_stream_is_an_error() -> None:
    client, _ = pair()
    client.receive(b"")
    with pytest.raises(WebSocketError, match="can't be read"):
        client.receive(b"more")


def test_a_request_that_is_no_upgrade_with_frames_behind_it() -> None:
    """It is refused, and what follows doesn't come out as an exception of the library that reads it."""
    server = WebSocket.server()
    with pytest.raises(WebSocketError):
        server.receive(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: et\r\n\r\n" + ws_frame(3, masked=True))
    assert not server.has_more
    assert not server.is_open


def test_a_long_reason_is_cut() -> None:
    client, _ = pair()
    client.receive(ws_frame(CLOSE, b"\x03\xf3" + b"x" * 123))
    assert client.why_closed.endswith("code 1011: " + "x" * 123)
    refused = WebSocket.client("127.0.0.1", 80, "/", secure=False)
    with pytest.raises(WebSocketError) as raised:
        refused.receive(b"HTTP/1.1 500 " + b"e" * 7000 + b"\r\nContent-Length: 0\r\n\r\n")
    assert len(str(raised.value)) < 700


class Inner(asyncio.Protocol):
    """Notes what it gets."""

    def __init__(self) -> None:
        self.arrived = b""
        self.done = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.arrived += data
        if self.arrived.endswith(b"end"):
            self.done.set()


@pytest.mark.parametrize("paused", [False, True])
def test_others_have_their_turn_in_a_flood(paused: bool) -> None:
    """With asyncio, where all connections share a thread; also if the inner protocol wants nothing for a while."""

    def serve(sock: socket.socket) -> None:
        upgrade(sock)
        sock.sendall(ws_frame(BINARY, b"begin") + ws_frame(BINARY) * 100_000 + ws_frame(BINARY, b"end"))
        sock.recv(1)

    async def main(port: int) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        inner = Inner()
        websocket = WebSocket.client("127.0.0.1", port, "/", secure=False)
        protocol = WebSocketProtocol(websocket, inner, 10)
        transport, _ = await loop.create_connection(lambda: protocol, "127.0.0.1", port)
        await protocol.opened
        turns = 0
        while not inner.done.is_set():
            turns += 1
            if paused and turns == 5:
                inner.transport.pause_reading()
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not inner.done.is_set()
                inner.transport.resume_reading()
            await asyncio.sleep(0)
        transport.close()
        return turns, inner.arrived

    with RawServer(serve) as server:
        turns, arrived = asyncio.run(main(server.port))
    assert arrived == b"beginend"
    assert turns > 30
