"""A non-blocking byte stream within a WebSocket: `stream.Stream` for the blocking pump."""

from __future__ import annotations

from collections.abc import Iterable

from ..sansio.websocket import MAX_ANSWERS, WebSocket
from .stream import Stream, Waker


class WebSocketStream:
    """AMQP's bytes in a WebSocket over a stream; see `Stream`.

    Args:
        stream: what it goes over; this one owns it.
        websocket: the client's end.
    """

    __slots__ = ("_answers", "_arrived", "_socket", "_stream")

    def __init__(self, stream: Stream, websocket: WebSocket) -> None:
        self._stream = stream
        self._socket = websocket
        self._arrived = b""  # came together with the answer to the upgrade
        self._answers = 0  # bytes of them that were written while the socket took no more

    @property
    def sends(self) -> int:
        """How often the socket was given something to send; it may have taken it."""
        return self._stream.sends

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
            self._arrived += self._received(chunk)
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
        if self._socket.has_more:
            data = self._received(None)
        elif self._socket.ended or self._is_clogged:
            data = b""
        else:
            chunk = self._stream.read()
            data = b"" if chunk is None else self._received(chunk)
        return data or self._end()

    def _end(self) -> bytes | None:
        """Return b"" if the peer has ended the WebSocket in good order; None: it hasn't ended it."""
        if not self._socket.ended:
            return None
        why = self._socket.why_closed
        if why:
            raise OSError(why)
        return b""

    def _received(self, chunk: bytes | None) -> bytes:
        """Return the AMQP bytes in a chunk, or (None) in what is left of the one before."""
        try:
            return self._socket.receive_more() if chunk is None else self._socket.receive(chunk)
        finally:
            answers = self._socket.data_to_send()  # to pings, and what was wrong
            if not self._stream.unsent:
                self._answers = 0
            self._answers += sum(map(len, answers))
            self._stream.write(answers)

    @property
    def _is_clogged(self) -> bool:
        """The peer sends pings, and doesn't read the answers."""
        return self._stream.unsent and self._answers > MAX_ANSWERS

    def _flush(self) -> None:
        self._stream.write(self._socket.data_to_send())

    def wait(self, timeout: float, waker: Waker | None = None, *, for_reading: bool = True) -> None:
        """Wait until something can be read, what is unsent can be written, the waker wakes, or the time is over."""
        if self._arrived or self._socket.has_more:
            timeout = 0.0
        self._stream.wait(timeout, waker, for_reading=for_reading and not self._is_clogged)

    def keep_to_the_end(self) -> None:
        """See `Stream.keep_to_the_end`."""
        self._stream.keep_to_the_end()

    def close(self) -> None:
        """End the connection, with a goodbye but without waiting for an answer, and close the socket."""
        try:
            self._socket.close()
            self._flush()
        except OSError:
            pass  # the peer may be gone
        finally:
            self._stream.close()
