"""The blocking pump: drives a connection's engine over a socket, from whatever threads call it.

One lock guards the engine. It isn't held while a thread waits for the socket, so others can send and settle meanwhile.
What an exception out of a signal handler must not leave half done is done in a step of `guard`.
"""

from __future__ import annotations

import atexit
import socket
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from ...core import ConnectionCore
from ...engine import CauseKind, EngineConfig, Trace
from .. import background
from ..forks import INHERITED, tell
from ..guard import Guard
from ..sansio import clock
from ..sansio.endpoint import Endpoint
from ..sansio.exposed import warn_of_exposed
from ..sansio.heap import keep_freed_memory
from ..shared import TOGETHER
from ..signals import MAX_WAIT, Signal, ThreadWaiter
from .stream import Stream, Waker, connect, is_from_outside

if TYPE_CHECKING:
    from .websocket import WebSocketStream

_GRACE = 1.0
"""Seconds after the end of a wait for the socket until it counts as one that an exception has ended unnoticed."""

_READS = 4

_MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes that the engine may have to write before nothing more is read from a peer that doesn't read."""

# What may be half done, for `Guard`.
_READING = "reading"
_WRITING = "writing"
_HANDLING = "handling what arrived"

_Stream: TypeAlias = "Stream | WebSocketStream"

_open: set[tuple[_Stream, Waker]] = set()
"""The sockets of all pumps. Those of a pump that nobody has any more aren't collected with it: it closes them."""


@atexit.register
def _leave_to_the_system() -> None:
    for stream, waker in tuple(_open):
        stream.keep_to_the_end()
        waker.keep_to_the_end()


class BlockingPump:
    """Drives one connection. Every method may be called from any thread.

    Args:
        core: the connection.

    Attributes:
        lock: guards the core and its engine; reentrant. Hold it for every command to them, and briefly.
        guard: tells what is half done; whoever gives a command does so in a step of it.
        failure: the OSError that broke the transport, if one did.
        progress: grows with every turn, of whatever thread, in which anything happened.
        flush_is_due: what `flush_soon` was asked for is still to be written.
        foreign: why this process can't use the connection, if it is a fork of the one that can; else empty.
    """

    def __init__(self, core: ConnectionCore) -> None:
        self.flush_is_due = False
        self.failure: OSError | None = None
        self.progress = 0
        self.foreign = ""
        self._core = core
        self._stream: _Stream | None = None
        self._sends = 0  # of a stream that is gone
        self._endpoint: Endpoint | None = None
        self._waker: Waker | None = None
        self._broken_since = 0.0  # when a write failed, if `failure` says so
        self._flusher: background.Flusher | None = None
        self._alarms: list[background.Alarm] = []
        self._partings: deque[Callable[[], None]] = deque()
        self._init_locks()
        core.timers.on_earlier = self._on_earlier
        background.watch(self)
        tell(self)

    def __del__(self) -> None:
        """Nobody has the connection any more, and nobody works on it: write what is due, and close the socket."""
        if self.__dict__.get("_stream") is None:
            return
        with self.guard.step(_WRITING):
            if sys.is_finalizing():  # other finalizers may use it yet: the system closes it
                self._write()
            else:
                self._abandon("nobody had the connection any more")

    def _init_locks(self) -> None:
        self.lock = threading.RLock()
        self.guard = Guard(self._give_up)
        self._starting = threading.RLock()
        self._connecting = Guard()
        self._followers: list[ThreadWaiter] = []  # they are set when somebody has read something
        self._successors: OrderedDict[ThreadWaiter, None] = OrderedDict()  # who may have to read, in order
        self._waiting = 0  # the thread that waits for the socket
        self._waits_until = 0.0
        self._reader: ThreadWaiter | None = None  # what that thread waits with, if it waits for a signal

    now = staticmethod(clock.now)
    """Returns the time that the engine is given."""

    @property
    def is_connected(self) -> bool:
        """There is a socket."""
        return self._stream is not None

    @property
    def sends(self) -> int:
        """How often the socket was given something to send; it may have taken it."""
        return self._stream.sends if self._stream is not None else self._sends

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
        warn_of_exposed(endpoint, config.mechanisms)
        with self._starting, self._connecting.step("connecting"):
            if self._core.engine is None:
                self._start(endpoint, config, trace)

    def _start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        sockets: list[socket.socket] = []
        stream: _Stream | None = None
        waker: Waker | None = None
        try:
            stream = _stream(connect(endpoint, sockets), endpoint)
            waker = Waker()
            with self.lock, self.guard.step("connecting"):
                if not self._core.closed:
                    keep_freed_memory()
                    self._endpoint = endpoint
                    self._core.start(config, self.now(), trace)
                    self._stream, self._waker = stream, waker
                    _open.add((stream, waker))
                    self._advance()
                    return
            raise ConnectionAbortedError("the connection was closed before it was made")
        except BaseException:
            if stream is not None:
                if self._stream is stream:
                    self.abort("it was interrupted while connecting: close the client, and its next use connects anew")
                stream.close()
            if waker is not None:
                waker.close()
            for sock in sockets:
                sock.close()
            raise

    def turn(self, timeout: float = 0.0, seen: int | None = None, waiter: ThreadWaiter | None = None) -> bool:
        """Write what is due, wait for input at most `timeout` seconds, deal with it; tell whether anything happened.

        Args:
            seen: `progress` when the caller last looked at what it waits for. If another thread has dealt with anything
                since, there is no waiting: it may be there.
            waiter: waits while another thread waits for input; None: one that is woken by whatever is read.

        Handlers of the core's owners run in the calling thread, with the lock held.
        """
        me = threading.get_ident()
        follower: ThreadWaiter | None = None
        with self.lock, self.guard.step(_HANDLING):
            stream = self._stream
            if stream is None:
                happened = self._core.handle_events(self.now())
            else:
                happened = self._advance()
                if self._stream is not stream:
                    return happened
            if happened or (seen is not None and seen != self.progress):
                timeout = 0.0
            if stream is None or self._somebody_waits(me):  # that thread does the reading
                if timeout <= 0:
                    return happened
                follower = waiter
                if follower is None:
                    follower = ThreadWaiter()
                    self._followers.append(follower)
            wait = self._wait_time(timeout)
            waker = self._waker
            for_reading = not self._is_clogged()
            if follower is None:
                self._waits_until = self.now() + wait
                self._reader = waiter
                self._waiting = me  # last: from here on this frame closes the waker
        if follower is not None or stream is None or waker is None:
            return happened or (follower is not None and follower.wait(timeout))
        try:
            stream.wait(wait, waker, for_reading=for_reading)
            with self.lock, self.guard.step(_READING):
                self._stop_waiting(waker, me)
                return self._receive() or happened
        finally:
            with self.lock, self.guard.step("waiting"):
                self._stop_waiting(waker, me)
                if self._stream is not stream:  # whoever dropped it left the rest to us
                    stream.close()
                if self._waker is not waker:
                    waker.close()
                self._release_followers()
                if waiter is None:  # this thread may not come again
                    self._wake_successor()

    def _somebody_waits(self, me: int) -> bool:
        """Tell whether a thread waits for the socket and will read it.

        If it is the caller's own, a signal handler has called, and the frame that waits can't go on before the handler
        returns. Then the caller waits in its place, with a waker of its own. The frame may also have been left by an
        exception that came before that was noted.
        """
        waiting = 0 if sys.is_finalizing() else self._waiting  # then the thread that waits stands still
        is_own = waiting == me
        if waiting and (is_own or self.now() > self._waits_until + _GRACE):
            if not is_own or _is_under_way(self.turn):
                self._wake()  # what it waits for may have happened by the time when it goes on
                self._waker = Waker()
            self._waiting = waiting = 0
        return waiting != 0

    def _stop_waiting(self, waker: Waker, me: int) -> None:
        if self._waiting == me and self._waker is waker:  # nobody has taken over
            self._waiting = 0

    def _on_set(self, waiter: ThreadWaiter) -> None:
        """Somebody was woken: if that is who waits for input, by its signal and not by input."""
        if self._waiting and self._reader is waiter:
            self._wake()

    def _release_followers(self) -> None:
        followers, self._followers = self._followers, []
        for follower in followers:
            follower.set()

    def _release_all(self) -> None:
        """Wake everybody who waits, to look again."""
        self._release_followers()
        for successor in self._successors:
            successor.set()

    def _wake_successor(self) -> None:
        """Wake one of those who wait for something that isn't read yet, to take the place of the one who has read."""
        if not self._waiting and self._successors:
            next(iter(self._successors)).set()

    def _wait_time(self, timeout: float) -> float:
        timeout = min(timeout, MAX_WAIT)
        deadline = self._core.next_deadline()
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
        self.guard.half_done = _READING
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
            if is_from_outside(error):
                raise
            self._fail(self.failure or error)
        unforeseen = engine.unforeseen
        if unforeseen is not None:
            engine.unforeseen = None
            if is_from_outside(unforeseen):
                raise unforeseen  # the engine has taken it for what the peer's bytes have led to
        return True

    def _advance(self) -> bool:
        """Timers, events and output, until there is nothing more to do."""
        engine = self._core.engine
        if engine is None:
            return False
        if self._partings:
            self._part()
        now = self.now()
        deadline = self._core.next_deadline()
        if deadline is not None and now >= deadline:
            for _ in range(_READS):  # what arrived while nobody called isn't late
                if not self._read():
                    break
            self._blame_handshake(now)
        self.guard.half_done = _HANDLING
        self._core.tick(now)
        happened = self._core.handle_events(now)
        happened = self._core.expire(now) or happened
        self._write()
        self.guard.half_done = _HANDLING
        while self._core.handle_events(self.now()):
            happened = True
            self._write()
            self.guard.half_done = _HANDLING
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
            alarm.follow(self._core.next_deadline())
        return happened

    def _blame_handshake(self, now: float) -> None:
        """A deadline has passed. If that was in a TLS handshake, the engine can't know it."""
        stream, engine = self._stream, self._core.engine
        deadline = engine.next_deadline() if engine is not None else None
        if isinstance(stream, Stream) and stream.is_handshaking and deadline is not None and now >= deadline:
            self._fail(TimeoutError("the peer didn't answer in time"))

    def _wake_for_unsent(self) -> None:
        """Make the thread that waits for input wait for the socket to take more, too."""
        if self._waiting and self.has_unsent:
            self._wake()

    def _on_earlier(self) -> None:
        """Something is due earlier than anything was: who waits for input is to wake for it."""
        if self._waiting and self._waiting != threading.get_ident():
            self._wake()

    def _wake(self) -> None:
        """Wake the thread that waits, to look again."""
        if self._waker is not None:
            self._waker.wake()

    def _write(self) -> None:
        stream = self._stream
        engine = self._core.engine
        if stream is None or engine is None or not stream.is_writable:
            return
        self.guard.half_done = _WRITING
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
            if is_from_outside(error):
                raise
            if stream.is_handshaking:
                self._fail(error)
            elif self.failure is None:
                # The peer may have said why before it went: that is still to be read.
                self.failure = error
                self._broken_since = self.now()
                stream.give_up_writing()

    def flush(self) -> None:
        """Write what is due now; does nothing on a connection that is gone."""
        with self.lock, self.guard.step(_HANDLING):
            if self._stream is not None:
                self._advance()

    def flush_now(self) -> None:
        """Write what is due, and leave the events to the next turn: no handler runs in here, and none can raise."""
        with self.lock, self.guard.step(_WRITING):
            self._write()
            self._wake_for_unsent()

    def interrupt(self) -> None:
        """Wake everybody who waits, to look again at what they wait for."""
        with self.lock, self.guard.pause():
            self.progress += 1
            self._wake()
            self._release_all()

    def caller(self) -> object:
        """Return what tells the caller from others that may call meanwhile: the thread."""
        return threading.get_ident()

    def defer(self, function: Callable[[], None]) -> bool:
        """See `Guard.defer`."""
        with self.lock, self.guard.pause() as half_done:  # with the lock: it isn't another thread's
            return bool(half_done) and self.guard.defer(function)

    def flush_soon(self) -> None:
        """Write what is due within a few milliseconds, whether or not anybody calls `turn`.

        For things that come in quick succession, such as settling one message after the other.
        """
        flusher = self._flusher
        if flusher is None:
            with self.lock, self.guard.pause():
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
        flusher = self._flusher = background.Flusher(self)  # before it runs: an exception may come in between
        if not flusher.start():
            self._flusher = None
        return self._flusher

    @property
    def is_due(self) -> bool:
        """A deadline of the connection has come. Look with the lock held."""
        deadline = self._core.next_deadline()
        return deadline is not None and deadline <= self.now()

    def set_alarm(self, alarm: background.Alarm, latest: float) -> None:
        """Set the alarm for the connection's next deadline, whichever that will be, or for `latest`.

        Call it with the lock held.

        Args:
            latest: in monotonic seconds.
        """
        if alarm not in self._alarms:
            self._alarms = [other for other in self._alarms if not other.stopped] + [alarm]
        deadline = self._core.next_deadline()
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
        with self.lock, self.guard.step("giving the connection up"):
            self._core.closed = True
            engine = self._core.engine
            if engine is not None:
                engine.abort(self.now(), message, kind=kind)
                self._core.handle_events(self.now())
            self._drop_stream()
            self._release_all()

    def _give_up(self, why: str) -> None:
        """Something is half done, and nobody knows what of it took place: the connection is over, whatever it was."""
        stream = self._stream
        if stream is not None:
            stream.give_up_writing()  # what it has left to write may have been written
        self._core.give_up(why, self.now())
        self._drop_stream()
        self._release_all()

    def part(self, parting: Callable[[], None]) -> None:
        """Call a function that uses the engine: now, or when whoever works on the connection is done.

        For finalizers, which may interrupt anything, in any thread.
        """
        if not self.is_connected:
            return
        self._partings.append(parting)
        if self.lock.acquire(blocking=False):
            try:
                if not self.guard.half_done:  # else it is a step of this thread that was interrupted
                    with self.guard.step("parting"):
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
        try:
            self._close()
        except BaseException:
            self.stop_closing()
            raise

    def stop_closing(self) -> None:
        """Closing was interrupted: give the connection up."""
        self.abort("closing was interrupted")

    def _close(self) -> None:
        with self.lock, self.guard.step("closing"):
            self._core.close(self.now())
            self._release_all()
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
        with self.lock, self.guard.step("closing"):
            self._advance()
            self._drop_stream()

    def wait_for(self, done: Callable[[], bool], deadline: float | None) -> bool:
        """See `Driver.wait_for`."""
        while True:
            with self.lock, TOGETHER:
                if done():
                    return True
                seen, is_over = self.progress, self._core.is_over
            remaining = clock.FOREVER if deadline is None else deadline - self.now()
            if is_over or remaining <= 0:
                return False
            self.turn(remaining, seen)

    def wait(self, signal: Signal, done: Callable[[], bool], deadline: float | None) -> bool:
        """See `Driver.wait`.

        One of the threads that wait reads for all. The others sleep until their signal wakes them, or the place of the
        one who reads is free.
        """
        waiter = ThreadWaiter(self._on_set)
        try:
            while True:
                with self.lock, TOGETHER:
                    if done():
                        signal.take(waiter)
                        return True
                    remaining = clock.FOREVER if deadline is None else deadline - self.now()
                    if self._core.is_over or remaining <= 0:
                        return False
                    signal.add(waiter)
                    self._successors[waiter] = None
                self.turn(remaining, None, waiter)
        finally:
            with self.lock, TOGETHER:
                self._successors.pop(waiter, None)
                signal.leave(waiter)
                self._wake_successor()

    def after_fork(self, parent: int) -> None:
        """This is the child of a fork: see `forks`. The connection is the parent's, if there is one."""
        self._init_locks()
        if self._stream is not None and self._waker is not None:
            _open.discard((self._stream, self._waker))
        self._stream = self._waker = self._flusher = None
        self._alarms = []
        engine = self._core.engine
        if engine is not None and not engine.is_closed:
            self.foreign = INHERITED.format(parent)
            self.guard = Guard(self._give_up, self.foreign)

    def _drop_stream(self) -> None:
        """Close the socket. What is interrupted in here is done again, so each thing goes when it is over."""
        stream, waker = self._stream, self._waker
        if stream is None or waker is None:
            return
        self._sends = stream.sends
        _open.discard((stream, waker))
        if self._flusher is not None:
            self._flusher.stop()
            self._flusher = None
        if self._waiting and self._waiting != threading.get_ident():
            waker.wake()  # its number may be used anew as soon as a socket is closed: that thread closes it
        else:
            stream.close()
            if self._waiting and _is_under_way(self.turn):  # in a frame that is to look at it, and closes it
                waker.wake()
            else:
                waker.close()
        self._stream = self._waker = None


def _is_under_way(method: Callable[..., object]) -> bool:
    """Tell whether a method, which has called the caller, is also being called in an outer frame of this thread."""
    function, owner = method.__func__, method.__self__  # type: ignore[attr-defined]  # it is bound
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and (frame := frame.f_back) is not None:
        if frame.f_code is function.__code__ and frame.f_locals.get("self") is owner:
            return True
    return False


def _stream(sock: socket.socket, endpoint: Endpoint) -> _Stream:
    """Return the stream of AMQP bytes over a connected socket."""
    if endpoint.websocket_path is None:
        return Stream(sock, endpoint.tls, endpoint.tls_hostname)
    from ..sansio.websocket import WebSocket  # noqa: PLC0415 (who uses none does without the library)
    from .websocket import WebSocketStream  # noqa: PLC0415

    websocket = WebSocket.to(endpoint, endpoint.websocket_path)
    return WebSocketStream(Stream(sock, endpoint.tls, endpoint.tls_hostname), websocket)
