"""A WebSocket between an asyncio transport and a protocol that knows nothing of it."""

from __future__ import annotations

import asyncio
from typing import Any

from .aio import stream_of
from .websocket import WebSocket, WebSocketError


class WebSocketProtocol(asyncio.Protocol):
    """The protocol towards the socket. `inner` is connected once the upgrade is done, and gets AMQP's bytes.

    Args:
        websocket: our end.
        inner: the protocol that speaks AMQP.
        timeout: seconds that the upgrade may take.

    Attributes:
        opened: done when the upgrade is, with the error if it failed.
    """

    def __init__(self, websocket: WebSocket, inner: asyncio.Protocol, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        self.websocket = websocket
        self.transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = loop.create_future()
        self._inner = inner
        self._is_connected = False  # the inner protocol
        self._error: Exception | None = None
        self._timer = loop.call_later(timeout, self._give_up, timeout)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected, and TLS is up."""
        self.transport = stream_of(transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        self._receive(data)

    def eof_received(self) -> bool | None:
        """The peer sends nothing more."""
        self._receive(b"")
        return None

    def _receive(self, data: bytes) -> None:
        websocket = self.websocket
        try:
            arrived = websocket.receive(data)
        except WebSocketError as error:
            self._fail(error)
            return
        self.flush()
        # It may have ended in the same breath, behind its first bytes.
        if (websocket.is_open or arrived) and not self._is_connected and self.transport is not None:
            self._is_connected = True
            self._timer.cancel()
            self._inner.connection_made(WebSocketTransport(self, self.transport))
            if not self.opened.done():
                self.opened.set_result(None)
        if arrived:
            self._inner.data_received(arrived)
        if websocket.ended:
            why = websocket.why_closed
            if why:
                self._error = OSError(why)
            elif self._is_connected and data:
                self._inner.eof_received()
            if self.transport is not None:
                self.transport.close()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        if self._is_connected:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The socket takes more again."""
        if self._is_connected:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._timer.cancel()
        self.transport = None
        error = exc or self._error
        if self._is_connected:
            self._is_connected = False
            self._inner.connection_lost(error)
        elif not self.opened.done():
            self.opened.set_exception(error or WebSocketError("the peer ended the connection before the upgrade"))
            self.opened.exception()  # nobody may be interested, on the server's side

    def flush(self) -> None:
        """Write what the WebSocket has to send."""
        for data in self.websocket.data_to_send():
            if self.transport is not None and not self.transport.is_closing():
                self.transport.write(data)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self.flush()
        if self.transport is not None:
            self.transport.close()

    def _give_up(self, timeout: float) -> None:
        self._error = WebSocketError(f"there was no upgrade within {timeout:g} seconds")
        if self.transport is not None:
            self.transport.abort()


class WebSocketTransport(asyncio.Transport):
    """What the inner protocol takes for its transport."""

    def __init__(self, protocol: WebSocketProtocol, transport: asyncio.Transport) -> None:
        super().__init__()
        self._protocol = protocol
        self._transport = transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write AMQP's bytes."""
        self._protocol.websocket.send([bytes(data)])
        self._protocol.flush()

    def close(self) -> None:
        """Say goodbye, and close the socket once all is written."""
        self._protocol.websocket.close()
        self._protocol.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the socket at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """It was closed, or is about to be."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `asyncio.BaseTransport`."""
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See `asyncio.WriteTransport`."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._transport.resume_reading()
