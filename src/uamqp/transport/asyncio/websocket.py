"""A WebSocket between an asyncio transport and a protocol that is unaware of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..sansio.websocket import MAX_ANSWERS, WebSocket, WebSocketError
from .protocol import close, stream_of
from .reading import Reading


class WebSocketProtocol(Reading):
    """The protocol on the socket's side. `inner` is connected once the upgrade is done, and gets the AMQP bytes.

    Args:
        websocket: our end.
        inner: the protocol that speaks AMQP.
        timeout: seconds that the upgrade may take.

    Attributes:
        opened: a future that is done when the upgrade is, with the error if that failed.
    """

    def __init__(self, websocket: WebSocket, inner: asyncio.Protocol | Reading, timeout: float) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self.websocket = websocket
        self.transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = loop.create_future()
        self._inner = inner
        if isinstance(inner, Reading):
            inner.reading = self
        self._is_connected = False  # whether the inner protocol is
        self._error: Exception | None = None
        self._at_end = False  # whether the peer has finished sending
        self._reading = True
        self._inner_reads = True
        self._goes_on = False  # whether reading what has arrived continues soon
        self._clogged = False
        self._answers = 0  # bytes of answers written while the socket accepted no more
        self._timer = loop.call_later(timeout, self._give_up, timeout)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = stream_of(transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._read(lambda: self.websocket.receive(data))

    def on_interrupted(self) -> None:
        """See `Reading`."""
        self._error = WebSocketError("the connection was interrupted while reading")
        if self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        self._at_end = True
        self._read(lambda: self.websocket.receive(b""))
        while self.websocket.has_more:  # the transport is about to close itself
            self._read(self.websocket.receive_more)
        return None

    def _go_on(self) -> None:
        """Read what was left for later so that other connections got their turn."""
        self._goes_on = False
        transport = self.transport
        if transport is not None and not transport.is_closing() and self._inner_reads and self.websocket.has_more:
            self._read(self.websocket.receive_more)

    def _read(self, receive: Callable[[], bytes]) -> None:
        websocket = self.websocket
        try:
            arrived = receive()
        except WebSocketError as error:
            self._fail(error)
            return
        self._answer()
        # It may have ended in the same read, right after its first bytes.
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
            elif self._is_connected and not self._at_end:
                self._inner.eof_received()
            if self.transport is not None:
                close(self.transport, self._loop)
        self._steer()

    def _steer(self) -> None:
        """Resume or pause reading: what has arrived comes first, and unread answers to pings are limited."""
        if self.websocket.has_more and self._inner_reads and not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._go_on)
        reading = self._inner_reads and not self.websocket.has_more and self._answers <= MAX_ANSWERS
        transport = self.transport
        if reading is self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def read_on(self, inner_reads: bool) -> None:
        """Resume or pause the delivery of input to the inner protocol."""
        self._inner_reads = inner_reads
        self._steer()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._clogged = True
        if self._is_connected:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._clogged = False
        self._answers = 0
        self._steer()
        if self._is_connected:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._timer.cancel()
        self.transport = None
        error = exc or self._error
        if self._is_connected:
            self._is_connected = False
            self._inner.connection_lost(error)
        elif not self.opened.done():
            self.opened.set_exception(error or WebSocketError("the peer ended the connection before the upgrade"))
            self.opened.exception()  # retrieved, since nobody may be waiting for it on the server's side

    def flush(self) -> None:
        """Write what the WebSocket has to send."""
        self._write(self.websocket.data_to_send())

    def _answer(self) -> None:
        """Write the answers to what has arrived."""
        answers = self.websocket.data_to_send()
        if self._clogged:
            self._answers += sum(map(len, answers))
        self._write(answers)

    def _write(self, buffers: list[bytes]) -> None:
        if buffers and self.transport is not None and not self.transport.is_closing():
            self.transport.writelines(buffers)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self.flush()
        if self.transport is not None:
            close(self.transport, self._loop)

    def _give_up(self, timeout: float) -> None:
        self._error = WebSocketError(f"there was no upgrade within {timeout:g} seconds")
        if self.transport is not None:
            self.transport.abort()


class WebSocketTransport(asyncio.Transport):
    """The transport that the inner protocol sees.

    Attributes:
        transport: the transport beneath.
    """

    def __init__(self, protocol: WebSocketProtocol, transport: asyncio.Transport) -> None:
        super().__init__()
        self._protocol = protocol
        self.transport = transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`."""
        self._protocol.websocket.send((data,))
        self._protocol.flush()

    def close(self) -> None:
        """Close the WebSocket in good order, and its socket once everything is written."""
        self._protocol.websocket.close()
        self._protocol.flush()
        close(self.transport, self._protocol._loop)

    def abort(self) -> None:
        """Close the socket at once."""
        self.transport.abort()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self.transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `asyncio.BaseTransport`."""
        return self.transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See `asyncio.WriteTransport`."""
        self.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return self.transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._protocol.read_on(False)

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._protocol.read_on(True)
