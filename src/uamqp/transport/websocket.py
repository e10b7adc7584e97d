"""AMQP over WebSocket (the OASIS binding, and Azure's older one), without I/O. On the `websockets` library.

The binary frames of the WebSocket carry a stream of AMQP bytes; where they begin and end means nothing.
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

from .endpoint import Endpoint, address_text

SUBPROTOCOLS = (Subprotocol("AMQPWSB10"), Subprotocol("amqp"))
"""What Azure's services call it, and what the OASIS binding does."""

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes in a message of the WebSocket: more than a peer has reason to send at once."""


# The library would log the bytes of each frame, and with them the password of SASL PLAIN. Nobody can turn this one on.
_SILENT = logging.Logger("uamqp.transport.websocket", logging.CRITICAL + 1)  # noqa: LOG001


class WebSocketError(OSError):
    """The WebSocket couldn't be opened, or the peer broke its rules."""


class WebSocket:
    """One end of a WebSocket. After each call write what `data_to_send` returns.

    Attributes:
        is_open: the upgrade is done, and nothing has ended it.
        ended: the peer sends no more.
    """

    def __init__(self, protocol: ClientProtocol | ServerProtocol) -> None:
        self.is_open = False
        self.ended = False
        self._protocol = protocol
        self._arrived: list[bytes] = []

    @classmethod
    def client(cls, host: str, port: int, path: str, *, secure: bool) -> WebSocket:
        """Return the client's end; its request is ready to be sent.

        Args:
            host, port: of the server, as its request names them.
            path: of the server's resource.
            secure: it goes over TLS.

        Raises:
            OSError: no server has such a name.
        """
        try:
            uri = parse_uri(f"{'wss' if secure else 'ws'}://{address_text(host, port)}/{path.removeprefix('/')}")
        except ValueError as error:
            raise OSError(f"{host!r} is no name of a host: {error}") from error
        protocol = ClientProtocol(uri, subprotocols=SUBPROTOCOLS, max_size=MAX_MESSAGE, logger=_SILENT)
        protocol.send_request(protocol.connect())
        return cls(protocol)

    @classmethod
    def to(cls, endpoint: Endpoint) -> WebSocket | None:
        """Return the client's end for an endpoint; None if AMQP goes without a WebSocket there."""
        path = endpoint.websocket_path
        if path is None:
            return None
        return cls.client(endpoint.host, endpoint.port, path, secure=endpoint.tls is not None)

    @classmethod
    def server(cls, path: str | None = None) -> WebSocket:
        """Return the server's end.

        Args:
            path: the only one that there is; None: any will do.
        """
        socket = cls(ServerProtocol(subprotocols=SUBPROTOCOLS, max_size=MAX_MESSAGE, logger=_SILENT))
        socket._path = path
        return socket

    _path: str | None = None

    def receive(self, data: bytes) -> bytes:
        """Take what arrived, b"" for the end of the stream; return the AMQP bytes in it.

        Raises:
            WebSocketError: the upgrade was refused, or the peer broke the rules. What there is to send says so to it.
        """
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            self._on_event(event)
        problem = protocol.handshake_exc or protocol.parser_exc
        if not self.is_open and isinstance(protocol, ClientProtocol) and problem is not None:
            raise WebSocketError(_reason(problem))
        if protocol.state is State.CLOSED or protocol.close_expected():
            if self.is_open and protocol.close_sent is not None and protocol.close_rcvd is None and problem is not None:
                self.is_open = False
                raise WebSocketError(f"the peer broke the rules of WebSocket: {problem}")
            self.ended = True
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            return b"".join(arrived)
        return b""

    def send(self, buffers: Iterable[bytes | bytearray]) -> None:
        """Send AMQP bytes; nothing once the WebSocket is closing."""
        for data in buffers:
            if self._protocol.state is State.OPEN:
                self._protocol.send_binary(bytes(data))

    def close(self) -> None:
        """Say goodbye."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)

    def data_to_send(self) -> list[bytes]:
        """Return what is to be written, and forget it."""
        return [data for data in self._protocol.data_to_send() if data]

    @property
    def why_closed(self) -> str:
        """What the peer said when it closed; empty if nothing."""
        close = self._protocol.close_rcvd
        if close is None or close.code in (CloseCode.NORMAL_CLOSURE, CloseCode.NO_STATUS_RCVD):
            return ""
        return f"the peer closed the WebSocket with code {int(close.code)}{f': {close.reason}' if close.reason else ''}"

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
            raise WebSocketError("the peer sent a text frame, where AMQP goes in binary frames")

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
