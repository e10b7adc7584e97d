"""A non-blocking byte stream within a WebSocket, as `stream.Stream` is over a socket, for the blocking pump."""

from __future__ import annotations

from collections.abc import Iterable

from ..sansio.websocket import MAX_ANSWERS, WebSocket
from .stream import Stream, Waker


class WebSocketStream:
    """A stream of AMQP bytes in a WebSocket over another stream. See `Stream` for what isn't said here.

    Args:
        stream: the stream beneath; this one owns it.
        websocket: the client's end.
    """

    __slots__ = ("_answers", "_arrived", "_socket", "_stream")

    def __init__(self, stream: Stream, websocket: WebSocket) -> None:
        self._stream = stream
        self._socket = websocket
        self._arrived = b""  # bytes that came together with the answer to the upgrade
        self._answers = 0  # bytes of answers written while the socket accepted no more

    @property
    def sends(self) -> int:
        """See `Stream`."""
        return self._stream.sends

    @property
    def is_writable(self) -> bool:
        """See `Stream`."""
        return self._stream.is_writable

    @property
    def is_handshaking(self) -> bool:
        """Whether TLS or the upgrade is unfinished."""
        return not self._socket.is_open and not self._socket.ended

    @property
    def stage(self) -> str:
        """See `Stream`."""
        return self._stream.stage or ("WebSocket upgrade" if self.is_handshaking else "")

    @property
    def unsent(self) -> bool:
        """See `Stream`."""
        return self._stream.unsent

    def handshake(self) -> bool:
        """Continue TLS and the upgrade as far as possible; return whether they are finished.

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
        """See `Stream`."""
        self._socket.send(buffers)
        self._flush()

    def give_up_writing(self) -> None:
        """See `Stream`."""
        self._stream.give_up_writing()

    def read(self) -> bytes | None:
        """See `Stream`.

        Raises:
            OSError: the connection is broken, or the peer broke the WebSocket's rules.
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
        """Return b"" if the peer has ended the WebSocket in good order, or None if it hasn't ended it."""
        if not self._socket.ended:
            return None
        why = self._socket.why_closed
        if why:
            raise OSError(why)
        return b""

    def _received(self, chunk: bytes | None) -> bytes:
        """Return the AMQP bytes in a chunk, or for None those in what is left of the previous one."""
        try:
            return self._socket.receive_more() if chunk is None else self._socket.receive(chunk)
        finally:
            answers = self._socket.data_to_send()  # to pings, and a close frame that says what was wrong
            if not self._stream.unsent:
                self._answers = 0
            self._answers += sum(map(len, answers))
            self._stream.write(answers)

    @property
    def _is_clogged(self) -> bool:
        """Whether the peer leaves too many answers to its pings unread."""
        return self._stream.unsent and self._answers > MAX_ANSWERS

    def _flush(self) -> None:
        self._stream.write(self._socket.data_to_send())

    def wait(self, timeout: float, waker: Waker | None = None, *, for_reading: bool = True) -> None:
        """See `Stream`."""
        if self._arrived or self._socket.has_more:
            timeout = 0.0
        self._stream.wait(timeout, waker, for_reading=for_reading and not self._is_clogged)

    def keep_to_the_end(self) -> None:
        """See `Stream`."""
        self._stream.keep_to_the_end()

    def close(self) -> None:
        """Close the WebSocket in good order, but without waiting for an answer, and close the stream."""
        try:
            self._socket.close()
            self._flush()
        except OSError:
            pass  # the peer may be gone
        finally:
            self._stream.close()
