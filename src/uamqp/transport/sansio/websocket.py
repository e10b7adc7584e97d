"""AMQP over WebSocket (the OASIS binding, and Azure's older one), without I/O, based on the `websockets` library.

The binary frames of the WebSocket carry a stream of AMQP bytes; where the frames begin and end has no meaning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from ...codec.text import shortened
from .endpoint import Endpoint, address_text

SUBPROTOCOLS = (Subprotocol("AMQPWSB10"), Subprotocol("amqp"))
"""The subprotocol's name in Azure's services, and in the OASIS binding."""

MAX_MESSAGE = 16 * 1024 * 1024
"""Maximum bytes in a WebSocket message from the peer: more than it has reason to send at once."""

MESSAGE_SIZE = 32 * 1024
"""Maximum bytes in a WebSocket message of ours. By default, servers on Netty or Jetty accept 64 KiB in a frame."""

MAX_ANSWERS = 1024 * 1024
"""Bytes of answers to pings that may wait for a peer that doesn't read them, before reading from it stops."""

_PIECE = 4096
_FRAMES = 1024
"""Approximate number of frames read at a time, which takes a few milliseconds."""


_SILENT = logging.Logger("uamqp.transport.websocket", logging.CRITICAL + 1)  # noqa: LOG001 (nobody can turn it on)
"""A logger for the library, which would log each frame's bytes, and with them the password of SASL PLAIN."""


class WebSocketError(OSError):
    """The WebSocket couldn't be opened, or the peer broke its rules."""


class WebSocket:
    """One end of a WebSocket. After each call write what `data_to_send` returns.

    Attributes:
        is_open: whether the upgrade is done and nothing has ended the WebSocket.
        ended: whether the peer has finished sending.
        has_more: whether something has arrived that isn't read yet; see `receive`.
    """

    def __init__(self, protocol: ClientProtocol | ServerProtocol) -> None:
        self.is_open = False
        self.ended = False
        self.has_more = False
        self._protocol = protocol
        self._unread = b""
        self._position = 0  # where the unread part begins
        self._stream_ended = False
        self._arrived: list[bytes] = []

    @classmethod
    def client(cls, host: str, port: int, path: str, *, secure: bool) -> WebSocket:
        """Return the client's end, with its request ready to send.

        Args:
            host: of the server, as the request names it.
            port: of the server.
            path: of the server's resource.
            secure: whether it goes over TLS.

        Raises:
            OSError: no server can have such a name.
        """
        try:
            uri = parse_uri(f"{'wss' if secure else 'ws'}://{address_text(host, port)}/{path.removeprefix('/')}")
        except ValueError as error:
            raise OSError(f"{host!r} is no name of a host: {error}") from error
        protocol = ClientProtocol(uri, subprotocols=SUBPROTOCOLS, max_size=MAX_MESSAGE, logger=_SILENT)
        protocol.send_request(protocol.connect())
        return cls(protocol)

    @classmethod
    def to(cls, endpoint: Endpoint, path: str) -> WebSocket:
        """Return the client's end for an endpoint and its `websocket_path`; see `client`."""
        return cls.client(endpoint.host, endpoint.port, path, secure=endpoint.tls is not None)

    @classmethod
    def server(cls, path: str | None = None) -> WebSocket:
        """Return the server's end.

        Args:
            path: the only path to accept; None accepts any.
        """
        socket = cls(ServerProtocol(subprotocols=SUBPROTOCOLS, max_size=MAX_MESSAGE, logger=_SILENT))
        socket._path = path
        return socket

    _path: str | None = None

    def receive(self, data: bytes) -> bytes:
        """Accept input, b"" for the end of the stream, and return the AMQP bytes in it.

        A chunk can contain a hundred thousand frames, though no honest peer has a reason for that. They aren't all
        read at once: while `has_more` is true, call `receive_more`, and let others have their turn in between.

        Raises:
            WebSocketError: the upgrade was refused, or the peer broke the rules. The pending output tells the peer so.
        """
        if not data:
            self._stream_ended = True
        elif self.has_more:
            self._unread = self._unread[self._position :] + data
            self._position = 0
        else:
            self._unread = data
        return self.receive_more()

    def receive_more(self) -> bytes:
        """Continue to read what has arrived; otherwise like `receive`."""
        protocol = self._protocol
        frames = 0
        while self._position < len(self._unread) and frames < _FRAMES:
            piece = self._unread[self._position : self._position + _PIECE]
            self._position += len(piece)
            frames += self._feed(piece)
        self.has_more = self._position < len(self._unread)
        if not self.has_more:
            self._unread = b""
            self._position = 0
            if self._stream_ended:
                self._feed(b"")
        problem = protocol.handshake_exc or protocol.parser_exc
        if not self.is_open and isinstance(protocol, ClientProtocol) and problem is not None:
            raise self._broken(_reason(problem))
        if protocol.state is State.CLOSED or protocol.close_expected():
            if self.is_open and protocol.close_sent is not None and protocol.close_rcvd is None and problem is not None:
                self.is_open = False
                raise self._broken(f"the peer broke the rules of WebSocket: {problem}")
            self.ended = True
            self.has_more = False  # what follows doesn't matter
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            return b"".join(arrived)
        return b""

    def _feed(self, data: bytes) -> int:
        """Read bytes, b"" for the end of the stream, and return the number of frames in them."""
        protocol = self._protocol
        try:
            if data:
                protocol.receive_data(data)
            else:
                protocol.receive_eof()
            events = protocol.events_received()
            for event in events:
                self._on_event(event)
        except WebSocketError:
            raise
        except Exception as error:
            raise self._broken(f"what the peer sent can't be read: {type(error).__name__}: {error}") from error
        return len(events)

    def _broken(self, text: str) -> WebSocketError:
        self.has_more = False
        return WebSocketError(shortened(text))

    def send(self, buffers: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send AMQP bytes in messages of up to `MESSAGE_SIZE`; send nothing once the WebSocket is closing."""
        for data in buffers:
            view = memoryview(data)
            for start in range(0, len(view), MESSAGE_SIZE):
                if self._protocol.state is State.OPEN:
                    self._protocol.send_binary(view[start : start + MESSAGE_SIZE])

    def close(self) -> None:
        """Begin to close the WebSocket in good order."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)

    def data_to_send(self) -> list[bytes]:
        """Return pending output, and forget it."""
        return [data for data in self._protocol.data_to_send() if data]

    @property
    def why_closed(self) -> str:
        """The reason that the peer gave for closing; empty if it gave none."""
        close = self._protocol.close_rcvd
        if close is None or close.code in (CloseCode.NORMAL_CLOSURE, CloseCode.NO_STATUS_RCVD):
            return ""
        reason = f": {shortened(close.reason)}" if close.reason else ""
        return f"the peer closed the WebSocket with code {int(close.code)}{reason}"

    def _on_event(self, event: Request | Response | Frame) -> None:
        if isinstance(event, Request):
            self._answer(event)
        elif isinstance(event, Response):
            self.is_open = self._protocol.state is State.OPEN
        elif event.opcode is Opcode.BINARY or event.opcode is Opcode.CONT:
            self._arrived.append(bytes(event.data))
        elif event.opcode is Opcode.TEXT:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "AMQP goes in binary frames")
            self.is_open = False
            raise self._broken("the peer sent a text frame, where AMQP goes in binary frames")

    def _answer(self, request: Request) -> None:
        protocol = self._protocol
        if not isinstance(protocol, ServerProtocol):
            return
        if self._path is not None and request.path != self._path:
            response = Response(404, "Not Found", Headers(), b"there is no AMQP at this path\n")
        else:
            response = protocol.accept(request)
        protocol.send_response(response)
        self.is_open = protocol.state is State.OPEN


def _reason(problem: Exception) -> str:
    """Return why an upgrade failed."""
    if isinstance(problem, InvalidStatus):
        response = problem.response
        return f"the server answered {response.status_code} {response.reason_phrase}, not 101 Switching Protocols"
    cause = problem.__cause__
    text = f"{problem}: {cause}" if cause is not None and not isinstance(problem, WebSocketException) else str(problem)
    if cause is not None and str(cause) not in text:
        text = f"{text}: {cause}"
    return text or type(problem).__name__
