"""The blocking pump: drives a connection's engine over a socket, from whatever threads call it.

One lock guards the engine. It isn't held while a thread waits for the socket, so others can send and settle meanwhile.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable

from ..core import ConnectionCore
from ..engine import CauseKind, EndpointState, EngineConfig, Trace
from . import background, clock
from .endpoint import Endpoint
from .heap import keep_freed_memory
from .tcp import Stream, Waker, connect
from .websocket import WebSocket
from .websocket_stream import WebSocketStream

MAX_WAIT = 1.0
"""Seconds that a thread waits at a stretch, at most: a bound for what no event announces."""

_READS = 4

_MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes that the engine may have to write before nothing more is read from a peer that doesn't read."""

_Stream = Stream | WebSocketStream

_open: set[tuple[_Stream, Waker]] = set()
"""The sockets of all pumps. Those of a pump that nobody has any more aren't collected with it: it closes them."""


class BlockingPump:
    """Drives one connection. Every method may be called from any thread.

    Args:
        core: the connection.

    Attributes:
        lock: guards the core and its engine; reentrant. Hold it for every command to them, and briefly.
        failure: the OSError that broke the transport, if one did.
        progress: grows with every turn, of whatever thread, in which anything happened.
        flush_is_due: what `flush_soon` was asked for is still to be written.
    """

    def __init__(self, core: ConnectionCore) -> None:
        self.flush_is_due = False
        self.lock = threading.RLock()
        self.failure: OSError | None = None
        self.progress = 0
        self._core = core
        self._stream: _Stream | None = None
        self._endpoint: Endpoint | None = None
        self._condition = threading.Condition(self.lock)
        self._is_waiting = False  # a thread waits for the socket
        self._waker: Waker | None = None
        self._starting = threading.Lock()
        self._closed = False
        self._broken_since = 0.0  # when a write failed, if `failure` says so
        self._flusher: background.Flusher | None = None
        self._alarms: list[background.Alarm] = []
        self._partings: deque[Callable[[], None]] = deque()
        self._process = os.getpid()
        background.watch(self)

    def __del__(self) -> None:
        """Nobody has the connection any more, and nobody works on it: write what is due, and close the socket."""
        if not self.is_connected:
            return
        if sys.is_finalizing():  # other finalizers may use it yet: the system closes it
            self._write()
        else:
            self._abandon("nobody had the connection any more")

    @staticmethod
    def now() -> float:
        """Return the time that the engine is given."""
        return clock.now()

    @property
    def is_connected(self) -> bool:
        """There is a socket, and it isn't that of a process of which this one is a fork."""
        return self._stream is not None and self._process == os.getpid()

    @property
    def has_unsent(self) -> bool:
        """The socket takes no more for now: a turn that waits ends when it does."""
        stream = self._stream
        return stream is not None and stream.unsent

    def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None = None) -> None:
        """Connect the socket, and have the engine start on it, unless that was done. TLS and AMQP follow with `turn`.

        The lock isn't held while the socket is connected; of several threads one connects, and the others wait for it.

        Raises:
            OSError: the host is unknown, or doesn't answer, or the connection was closed meanwhile.
        """
        with self._starting:
            if self._core.engine is None:
                self._start(connect(endpoint), endpoint, config, trace)

    def _start(self, sock: socket.socket, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        with self.lock:
            if self._closed:
                sock.close()
                raise ConnectionAbortedError("the connection was closed before it was made")
            keep_freed_memory()
            self._endpoint = endpoint
            self._stream = _stream(sock, endpoint)
            self._waker = Waker()
            _open.add((self._stream, self._waker))
            self._core.start(config, self.now(), trace)
            self._advance()

    def turn(self, timeout: float = 0.0, seen: int | None = None) -> bool:
        """Write what is due, wait for input at most `timeout` seconds, deal with it; tell whether anything happened.

        Args:
            seen: `progress` when the caller last looked at what it waits for. If another thread has dealt with anything
                since, there is no waiting: it may be there.

        Handlers of the core's owners run in the calling thread, with the lock held.
        """
        with self.lock:
            stream = self._stream
            waker = self._waker
            if stream is None or waker is None:
                return self._core.handle_events(self.now()) or self._follow(timeout)
            happened = self._advance()
            if self._stream is not stream:
                return happened
            if happened or (seen is not None and seen != self.progress):
                timeout = 0.0
            if self._is_waiting and not sys.is_finalizing():  # then the thread that waits stands still
                return self._follow(timeout) or happened
            self._is_waiting = True
            wait = self._wait_time(timeout)
            for_reading = not self._is_clogged()
        try:
            stream.wait(wait, waker, for_reading=for_reading)
        finally:
            with self.lock:
                self._is_waiting = False
                try:
                    happened = self._receive() or happened
                finally:
                    if self._stream is not stream:  # whoever dropped it left the rest to us
                        stream.close()
                        waker.close()
                    self._condition.notify_all()
        return happened

    def _follow(self, timeout: float) -> bool:
        """Let the thread that waits for the socket already do the reading."""
        return timeout > 0 and self._condition.wait(min(timeout, MAX_WAIT))

    def _wait_time(self, timeout: float) -> float:
        timeout = min(timeout, MAX_WAIT)
        engine = self._core.engine
        deadline = engine.next_deadline() if engine is not None else None
        return timeout if deadline is None else max(0.0, min(timeout, deadline - self.now()))

    def _is_clogged(self) -> bool:
        """The peer makes us answer and doesn't read the answers: nothing is read from it until it does."""
        stream, engine = self._stream, self._core.engine
        return stream is not None and engine is not None and stream.unsent and len(engine.output) > _MAX_OUTPUT

    def _receive(self) -> bool:
        happened = self._read()
        return self._advance() or happened

    def _read(self) -> bool:
        """Give the engine what has arrived; tell whether anything has."""
        stream = self._stream
        engine = self._core.engine
        if stream is None or engine is None:
            return False
        try:
            if not stream.handshake() or self._is_clogged():
                return False
            chunk = stream.read()
            if chunk is None:
                return False
            if not chunk and self.failure is not None:
                raise self.failure
            engine.receive_data(chunk, self.now())
        except OSError as error:
            self._fail(self.failure or error)
        return True

    def _advance(self) -> bool:
        """Timers, events and output, until there is nothing more to do."""
        engine = self._core.engine
        if engine is None:
            return False
        if self._partings:
            self._part()
        now = self.now()
        deadline = engine.next_deadline()
        if deadline is not None and now >= deadline:
            for _ in range(_READS):  # what arrived while nobody called isn't late
                if not self._read():
                    break
            self._blame_handshake(now)
        engine.tick(now)
        happened = self._core.handle_events(now)
        self._write()
        while self._core.handle_events(self.now()):
            happened = True
            self._write()
        if happened:
            self.progress += 1
        if self.failure is not None and now > self._broken_since + engine.config.close_timeout:
            self._fail(self.failure)
            self._core.handle_events(now)
        if engine.is_closed:
            self._drop_stream()
        else:
            self._wake_for_unsent()
        for alarm in self._alarms:
            alarm.follow(engine.next_deadline())
        return happened

    def _blame_handshake(self, now: float) -> None:
        """A deadline has passed. If that was in a TLS handshake, the engine can't know it."""
        stream, engine = self._stream, self._core.engine
        deadline = engine.next_deadline() if engine is not None else None
        if isinstance(stream, Stream) and stream.is_handshaking and deadline is not None and now >= deadline:
            self._fail(TimeoutError("the peer didn't answer in time"))

    def _wake_for_unsent(self) -> None:
        """Have the thread that waits for input wait for the socket to take more, too."""
        if self._is_waiting and self.has_unsent:
            self._wake()

    def _wake(self) -> None:
        """Have the thread that waits look again."""
        if self._waker is not None:
            self._waker.wake()

    def _write(self) -> None:
        stream = self._stream
        engine = self._core.engine
        if stream is None or engine is None or not stream.is_writable:
            return
        try:
            if stream.is_handshaking and not stream.handshake():
                return
            stream.write(())
            while not stream.unsent and stream.is_writable:
                buffers = engine.data_to_send()
                if not buffers:
                    return
                stream.write(buffers)
        except OSError as error:
            if stream.is_handshaking:
                self._fail(error)
            elif self.failure is None:
                # The peer may have said why before it went: that is still to be read.
                self.failure = error
                self._broken_since = self.now()
                stream.give_up_writing()

    def flush(self) -> None:
        """Write what is due now; does nothing on a connection that is gone."""
        with self.lock:
            if self._stream is not None:
                self._advance()

    def flush_now(self) -> None:
        """Write what is due, and leave the events to the next turn: no handler runs in here, and none can raise."""
        with self.lock:
            self._write()
            self._wake_for_unsent()

    def interrupt(self) -> None:
        """Have everybody who waits look again at what he waits for."""
        with self.lock:
            self.progress += 1
            self._wake()
            self._condition.notify_all()

    def flush_soon(self) -> None:
        """Have what is due written within a few milliseconds, whether or not anybody calls `turn`.

        For things that come in quick succession, such as settling one message after the other.
        """
        flusher = self._flusher
        if flusher is None:
            with self.lock:
                if self._stream is None:
                    return
                flusher = self._flusher = self._flusher or self._start_flusher()
        if flusher is None or background.is_ending():
            self.flush()
            return
        self.flush_is_due = True
        flusher.wake()

    def _start_flusher(self) -> background.Flusher | None:
        """Return a flusher; None where no thread can be started."""
        flusher = background.Flusher(self)
        return flusher if flusher.start() else None

    @property
    def is_due(self) -> bool:
        """A deadline of the engine has come. Look with the lock held."""
        engine = self._core.engine
        deadline = engine.next_deadline() if engine is not None else None
        return deadline is not None and deadline <= self.now()

    def set_alarm(self, alarm: background.Alarm, latest: float) -> None:
        """Have the alarm go off at the engine's next deadline, whichever that will be, or at `latest`.

        Call it with the lock held.

        Args:
            latest: in monotonic seconds.
        """
        if alarm not in self._alarms:
            self._alarms = [other for other in self._alarms if not other.stopped] + [alarm]
        engine = self._core.engine
        deadline = engine.next_deadline() if engine is not None else None
        alarm.set(latest if deadline is None else min(latest, deadline))

    def _fail(self, error: OSError) -> None:
        if self.failure is None:
            self.failure = error
        engine = self._core.engine
        if engine is not None:
            engine.abort(self.now(), self._describe(error))
        self._drop_stream()

    def _describe(self, error: OSError) -> str:
        stream = self._stream
        stage = stream.stage if stream is not None else ""
        return self._endpoint.describe(error, stage) if self._endpoint is not None else str(error)

    def abort(self, message: str, *, kind: CauseKind = CauseKind.LOCAL) -> None:
        """Give the connection up at once, without a word to the peer."""
        with self.lock:
            engine = self._core.engine
            if engine is not None:
                engine.abort(self.now(), message, kind=kind)
                self._core.handle_events(self.now())
            self._drop_stream()
            self._condition.notify_all()

    def part(self, parting: Callable[[], None]) -> None:
        """Call a function that uses the engine: now, or when whoever works on the connection is done.

        For finalizers, which may interrupt anything, in any thread.
        """
        if not self.is_connected:
            return
        self._partings.append(parting)
        try:
            self._condition.notify(0)
        except RuntimeError:  # this thread doesn't have the lock
            if self.lock.acquire(blocking=False):
                try:
                    self._part()
                finally:
                    self.lock.release()

    def _part(self) -> None:
        while self._partings:
            self._partings.popleft()()
        self._write()
        self._wake_for_unsent()

    def abandon(self, message: str) -> None:
        """Nobody has the connection any more: write what is due, and give it up. For finalizers; see `part`."""
        self.part(lambda: self._abandon(message))

    def _abandon(self, message: str) -> None:
        try:
            self._write()
        finally:
            engine = self._core.engine
            if engine is not None:
                engine.abort(self.now(), message, kind=CauseKind.LOCAL)
            self._drop_stream()

    def close(self) -> None:
        """Close the connection and wait for the peer's answer, as long as the engine's `close_timeout` at most."""
        with self.lock:
            self._closed = True
            self._core.close(self.now())
            engine = self._core.engine
        if engine is None:
            return
        deadline = self.now() + engine.config.close_timeout
        while not engine.is_closed:
            remaining = deadline - self.now()
            if remaining <= 0:
                self.abort("the peer didn't answer our close")
                break
            self.turn(remaining)
        with self.lock:
            self._advance()
            self._drop_stream()

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Turn until `done()`, or the connection is closed, for the engine's `close_timeout` at most."""
        engine = self._core.engine
        if engine is None:
            return
        deadline = self.now() + engine.config.close_timeout
        while True:
            seen = self.progress
            remaining = deadline - self.now()
            if done() or engine.local_state is EndpointState.CLOSED or engine.is_closed or remaining <= 0:
                return
            self.turn(remaining, seen)

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        waker, self._waker = self._waker, None
        if stream is None or waker is None:
            return
        _open.discard((stream, waker))
        if self._is_waiting:  # its number may be used anew as soon as a socket is closed: that thread closes it
            waker.wake()
        else:
            stream.close()
            waker.close()
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            flusher.stop()


def _stream(sock: socket.socket, endpoint: Endpoint) -> _Stream:
    """Return the stream of AMQP bytes over a connected socket."""
    websocket = WebSocket.to(endpoint)
    stream = Stream(sock, endpoint.tls, endpoint.tls_hostname)
    return stream if websocket is None else WebSocketStream(stream, websocket)
