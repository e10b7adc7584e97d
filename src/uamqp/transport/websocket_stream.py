"""A non-blocking byte stream within a WebSocket: `tcp.Stream` for the blocking pump."""

from __future__ import annotations

from collections.abc import Iterable

from .tcp import Stream, Waker
from .websocket import WebSocket


class WebSocketStream:
    """AMQP's bytes in a WebSocket over a stream; see `Stream`.

    Args:
        stream: what it goes over; this one owns it.
        websocket: the client's end.
    """

    __slots__ = ("_arrived", "_socket", "_stream")

    def __init__(self, stream: Stream, websocket: WebSocket) -> None:
        self._stream = stream
        self._socket = websocket
        self._arrived = b""  # came together with the answer to the upgrade

    @property
    def is_writable(self) -> bool:
        """Nothing was given up yet: what is written goes out, or is kept until it can."""
        return self._stream.is_writable

    @property
    def is_handshaking(self) -> bool:
        """TLS or the upgrade isn't finished."""
        return not self._socket.is_open and not self._socket.ended

    @property
    def stage(self) -> str:
        """What is under way before the stream can be used; empty: nothing."""
        return self._stream.stage or ("WebSocket upgrade" if self.is_handshaking else "")

    @property
    def unsent(self) -> bool:
        """Something waits until the socket takes it."""
        return self._stream.unsent

    def handshake(self) -> bool:
        """Go on with TLS and the upgrade as far as possible; tell whether they are finished.

        Raises:
            OSError: they failed.
        """
        if not self.is_handshaking:
            return True
        if not self._stream.handshake():
            return False
        self._flush()
        chunk = self._stream.read()
        if chunk is not None:
            self._arrived += self._receive(chunk)
        return not self.is_handshaking

    def write(self, buffers: Iterable[bytes | bytearray]) -> None:
        """Write the buffers after what is still unsent, as far as the socket takes them.

        Raises:
            OSError: the connection is broken.
        """
        self._socket.send(buffers)
        self._flush()

    def give_up_writing(self) -> None:
        """Write nothing more: a write has failed. What the peer has sent before can still be read."""
        self._stream.give_up_writing()

    def read(self) -> bytes | None:
        """Return what has arrived; None: nothing yet; b"": the peer will send no more.

        Raises:
            OSError: the connection is broken, or the peer breaks the rules.
        """
        if self._arrived:
            arrived, self._arrived = self._arrived, b""
            return arrived
        if not self._socket.ended:
            chunk = self._stream.read()
            data = None if chunk is None else self._receive(chunk)
            if data:
                return data
        return self._end()

    def _end(self) -> bytes | None:
        """Return b"" if the peer has ended the WebSocket in good order; None: it hasn't ended it."""
        if not self._socket.ended:
            return None
        why = self._socket.why_closed
        if why:
            raise OSError(why)
        return b""

    def _receive(self, chunk: bytes) -> bytes:
        try:
            return self._socket.receive(chunk)
        finally:
            self._flush()  # answers to pings, and what was wrong

    def _flush(self) -> None:
        self._stream.write(self._socket.data_to_send())

    def wait(self, timeout: float, waker: Waker | None = None, *, for_reading: bool = True) -> None:
        """Wait until something can be read, what is unsent can be written, the waker wakes, or the time is over."""
        self._stream.wait(0.0 if self._arrived else timeout, waker, for_reading=for_reading)

    def close(self) -> None:
        """End the connection, with a goodbye but without waiting for an answer, and close the socket."""
        self._socket.close()
        try:
            self._flush()
        except OSError:
            pass  # the peer may be gone
        self._stream.close()
