"""Fuzzes WebSockets, and the tunnel through a proxy: any bytes are AMQP's bytes, the end, or an OSError; nothing else.

python -m fuzz.fuzz_websocket --seconds 600
python -m fuzz.fuzz_websocket --record    writes fuzz/corpus/websocket/frames.hex

An input's first byte chooses one of `ENDS`, the second how the bytes are cut (`SIZES` of fuzz_engine).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import Any

from tests.peer.raw import BINARY, CLOSE, PING, PONG, TEXT, ws_frame
from uamqp.transport.sansio.endpoint import Proxy
from uamqp.transport.sansio.proxy import ProxyError, Tunnel
from uamqp.transport.sansio.websocket import MAX_MESSAGE, WebSocket, WebSocketError

from . import mutate
from .fuzz_engine import SIZES, Broken, cut

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
REQUEST = HEAD + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
)
REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
MASK = b"\x01\x02\x03\x04"


def masked(frame: bytes) -> bytes:
    """A client's frame, of what is short."""
    payload = frame[2:]
    return bytes((frame[0], frame[1] | 0x80)) + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


FRAMES = [
    ws_frame(BINARY, b"AMQP\x00\x01\x00\x00"),
    ws_frame(BINARY),
    ws_frame(BINARY, b"begin", fin=False) + ws_frame(PING, b"?") + ws_frame(0, b"end"),
    ws_frame(0, b"x", fin=False),
    ws_frame(PING, b"hello"),
    ws_frame(PING, b"p" * 125),
    ws_frame(PONG),
    ws_frame(TEXT, b"text"),
    ws_frame(TEXT, b"\xff\xfe"),
    ws_frame(CLOSE),
    ws_frame(CLOSE, b"\x03\xe8bye"),
    ws_frame(CLOSE, b"\x03"),
    ws_frame(CLOSE, b"\x00\x01\xff"),
    ws_frame(BINARY, b"x" * 130),
    b"\x82\x7f" + (2**40).to_bytes(8, "big"),
    b"\x82\x7e\x00\x01x",
    ws_frame(3),
]
TOKENS: list[bytes] = [
    *FRAMES,
    *[masked(frame) for frame in FRAMES if len(frame) < 120],
    *[bytes((first, second)) for first in (0x02, 0x82, 0x80, 0x88, 0x89, 0x8A, 0xC2) for second in (0, 1, 0x80, 0x81)],
    *[line + b"\r\n" for line in (*REQUEST.split(b"\r\n"), *ANSWER.split(b"\r\n"), *REFUSAL.split(b"\r\n"))],
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n\r\n",
]


def upgraded() -> tuple[WebSocket, WebSocket]:
    """A client and a server, with the upgrade done."""
    client, server = WebSocket.client("h", 80, "/", secure=False), WebSocket.server()
    server.receive(b"".join(client.data_to_send()))
    client.receive(b"".join(server.data_to_send()))
    return client, server


ENDS: list[tuple[str, Callable[[], WebSocket]]] = [
    ("client", lambda: WebSocket.client("h", 80, "/", secure=False)),
    ("server", WebSocket.server),
    ("upgraded client", lambda: upgraded()[0]),
    ("upgraded server", lambda: upgraded()[1]),
]


def run(end: WebSocket, pieces: list[bytes]) -> tuple[bytes, int, str]:
    """Give an end these pieces: what of AMQP arrived, what it said, and why it is over."""
    arrived, said = b"", 0
    try:
        for piece in pieces:
            arrived += end.receive(piece)
            said += len(b"".join(end.data_to_send()))
            for _ in range(len(piece)):
                if not end.has_more:
                    break
                arrived += end.receive_more()
                said += len(b"".join(end.data_to_send()))
            if end.has_more:
                raise Broken("it never comes to an end")
            if end.ended:
                return arrived, said, f"ended {end.why_closed[:40]}"
    except WebSocketError as error:
        if end.has_more or len(str(error)) > 1000:
            raise Broken(f"after an error: {error}") from error
        return arrived, said, "".join(letter for letter in str(error) if letter.isalpha())[:40]
    return arrived, said, "on"


def check_socket(number: int, pieces: list[bytes]) -> Hashable:
    name, make = ENDS[number]
    end = make()
    arrived, said, why = run(end, pieces)
    size = sum(map(len, pieces))
    if len(arrived) > min(size, MAX_MESSAGE):
        raise Broken(f"{len(arrived)} bytes of AMQP in {size}")
    if said > 40_000 + 8 * size:
        raise Broken(f"{said} bytes of answers to {size}")
    if why == "on":
        end.send([b"more"])
        run(end, [b""])
    end.send([b"nothing"])
    end.close()
    end.data_to_send()
    return name, why, min(len(arrived), 20), min(said // 20, 20)


def check_tunnel(pieces: list[bytes]) -> Hashable:
    tunnel: Any = Tunnel(Proxy("p", 8080), "h", 5671)
    try:
        for piece in [*pieces, b""]:
            if tunnel.receive(piece):
                return "tunnel", True
    except ProxyError as error:
        if len(str(error)) > 1000:
            raise Broken(f"a long error: {error}") from error
        return "tunnel", str(error)[:60]
    raise Broken("neither a tunnel nor an error at the end of the stream")


def target(data: bytes) -> Hashable:
    """What happens when these bytes come in; raises Broken where an invariant doesn't hold."""
    if len(data) < 2:
        return len(data)
    number = data[0] % (len(ENDS) + 1)
    pieces = cut(data[2:], SIZES[data[1] % len(SIZES)])
    return check_tunnel(pieces) if number == len(ENDS) else check_socket(number, pieces)


def recording() -> str:
    """The corpus: every frame, by itself and all together, at every end."""
    lines = ["# Written by `python -m fuzz.fuzz_websocket --record`."]
    starts = {0: ANSWER, 1: REQUEST}
    for number, (name, _) in enumerate(ENDS):
        frames = [masked(frame) if number & 1 else frame for frame in FRAMES]
        for how, frame in enumerate(
            [*frames, frames[0] + frames[4] + frames[2] + frames[10], frames[1] * 400, frames[4] * 200]
        ):
            said = starts.get(number, b"") + frame
            lines.append(f"{(bytes((number, how)) + said).hex()}  # {name}")
    lines += [
        f"{(bytes((len(ENDS), how)) + said).hex()}  # proxy" for how in range(2) for said in (TUNNEL, REFUSAL, ANSWER)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        folder = mutate.HERE / "corpus" / "websocket"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "frames.hex").write_text(recording(), encoding="utf-8")
        sys.exit(0)
    sys.exit(mutate.main("websocket", target, TOKENS))
