"""The blocking pump: drives a connection's engine over a socket, from whatever threads call it.

One lock guards the engine. It isn't held while a thread waits for the socket, so others can send and settle meanwhile.
Whatever an exception from a signal handler must not leave half done runs in a step of `guard`.
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
from ..shared import TOGETHER, is_held
from ..signals import MAX_WAIT, Awaited, ThreadWaiter
from .keeper import Keeper, Watch
from .stream import Stream, Waker, connect, is_from_outside

if TYPE_CHECKING:
    from .websocket import WebSocketStream

_GRACE = 1.0
"""Seconds after a wait for the socket should have ended until an exception is taken to have ended it unnoticed."""

_READS = 4
"""How often the socket is read before a deadline that has passed counts as missed."""

_MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes of pending output beyond which nothing more is read from a peer that doesn't read."""

# What may be half done, for `Guard`.
_READING = "reading"
_WRITING = "writing"
_HANDLING = "handling what arrived"

_Stream: TypeAlias = "Stream | WebSocketStream"

_open: set[tuple[_Stream, Waker]] = set()
"""The sockets of all pumps. They outlive a pump that is garbage-collected, which closes them itself."""


@atexit.register
def _leave_to_the_system() -> None:
    for stream, waker in tuple(_open):
        stream.keep_to_the_end()
        waker.keep_to_the_end()


class BlockingPump:
    """Drives one connection from any thread. See `Pump` for its attributes and for what isn't said here.

    Args:
        core: the connection.

    Attributes:
        turns: how often a thread of the application's has read, or waited.
        flushes: how often one has written.
    """

    def __init__(self, core: ConnectionCore) -> None:
        self.turns = self.flushes = 0
        self.flush_is_due = False
        self.failure: OSError | None = None
        self.progress = 0
        self.foreign = ""
        self._core = core
        self._stream: _Stream | None = None
        self._sends = 0  # counted by a stream that is gone
        self._endpoint: Endpoint | None = None
        self._waker: Waker | None = None
        self._broken_since = 0.0  # when a write failed, if `failure` says so
        self._flusher: background.Flusher | None = None
        self._keeper: Keeper | None = None
        self._alarms: list[background.Alarm] = []
        self._partings: deque[Callable[[float], None]] = deque()
        self._later: deque[Callable[[], object]] = deque()  # to be called once the lock is free
        self._init_locks()
        core.timers.on_earlier = self._on_earlier
        background.watch(self)
        tell(self)

    def __del__(self) -> None:
        """Write pending output and close the socket: nobody refers to the connection any longer."""
        if self.__dict__.get("_stream") is None:
            return
        with self.guard.step(_WRITING):
            if sys.is_finalizing():  # other finalizers may still use it; the system closes it
                self._write()
            else:
                self._abandon("nobody had the connection any more", self.now())

    def _init_locks(self) -> None:
        self.lock = threading.RLock()
        self.guard = Guard(self._give_up)
        self._starting = threading.RLock()
        self._connecting = Guard()
        self._followers: list[ThreadWaiter] = []  # set whenever a thread has read something
        self._successors: OrderedDict[int, ThreadWaiter] = OrderedDict()  # by thread: those that may have to read
        self._waiting = 0  # the thread that waits for the socket
        self._waits_until = 0.0
        self._reader: ThreadWaiter | None = None  # what that thread waits with, if it waits for a signal

    now = staticmethod(clock.now)
    """Return the time that the engine is given."""

    @property
    def is_connected(self) -> bool:
        """See `Pump`."""
        return self._stream is not None

    @property
    def sends(self) -> int:
        """See `Pump`."""
        return self._stream.sends if self._stream is not None else self._sends

    @property
    def has_unsent(self) -> bool:
        """See `Pump`."""
        stream = self._stream
        return stream is not None and stream.unsent

    def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None = None) -> None:
        """Connect the socket and start the engine on it, unless that has been done. TLS and AMQP follow with `turn`.

        The lock isn't held while the socket connects; if several threads call, one connects and the others wait for it.

        Raises:
            OSError: the host is unknown or doesn't answer, or the connection was closed meanwhile.
        """
        warn_of_exposed(endpoint, config.mechanisms)
        if is_held(self.lock):  # another thread that is connecting couldn't finish as long as this one waits for it
            self._start(endpoint, config, trace)
            return
        with self._starting, self._connecting.step("connecting"):
            self._start(endpoint, config, trace)

    def _start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        if self._core.engine is not None:
            return
        sockets: list[socket.socket] = []
        stream: _Stream | None = None
        waker: Waker | None = None
        try:
            stream = _stream(connect(endpoint, sockets), endpoint)
            waker = Waker()
            with self.lock, self.guard.step("connecting"):
                is_late = self._core.engine is not None  # a callback in another thread was faster
                if not self._core.closed and not is_late:
                    keep_freed_memory()
                    self._endpoint = endpoint
                    self._core.start(config, self.now(), trace)
                    self._stream, self._waker = stream, waker
                    _open.add((stream, waker))
                    self._advance()
                    return
            if is_late:
                stream.close()
                waker.close()
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
        """Write pending output, wait up to `timeout` seconds for input and handle it; return whether anything happened.

        Handlers of the core's owners run in the calling thread, with the lock held.

        Args:
            timeout: in seconds.
            seen: `progress` when the caller last checked what it waits for. If anything has happened since, return
                without waiting: it may be there.
            waiter: what to wait on while another thread waits for input; None uses one that any input wakes.
        """
        me = threading.get_ident()
        follower: ThreadWaiter | None = None
        is_nested = is_held(self.lock)
        self.turns += 1
        with self.lock, self.guard.step(_HANDLING):
            stream = self._stream
            if stream is None:
                happened = self._core.handle_events(self.now())
            else:
                happened = self._advance()
                if self._stream is not stream:
                    return happened
            if happened or (seen is not None and seen != self.progress) or (waiter is not None and waiter.wait(0.0)):
                timeout = 0.0
            if stream is None and self._core.is_over:  # nothing comes any more
                timeout = 0.0
            if stream is None or self._somebody_waits(me, is_nested):  # that thread does the reading
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
            if self._later:
                self._call_later()
            if self._keeper is not None and self._keeper.sleeps:
                self._keeper.poke()

    # -- for the keeper

    def keep(self) -> None:
        """Start a thread that drives the connection while nobody else does."""
        with self.lock:
            if self._keeper is None and self._stream is not None:
                self._keeper = keeper = Keeper(self)
                if not keeper.start():
                    self._keeper = None

    @property
    def is_kept(self) -> bool:
        """Whether there is such a thread."""
        return self._keeper is not None

    @property
    def is_watched(self) -> bool:
        """Whether a thread is waiting for the socket."""
        return self._waiting != 0

    def begin_watch(self) -> Watch | None:
        """Begin to wait for the socket in the place of a thread of the application's; None if one does, or it's gone.

        The first half of `turn`, so that the thread that waits in between has no reference to the pump.
        """
        me = threading.get_ident()
        with self.lock, self.guard.step(_HANDLING):
            self._advance()
            stream, waker = self._stream, self._waker
            if stream is None or waker is None or self._somebody_waits(me, is_nested=False):
                return None
            watch = Watch(stream, waker, self._wait_time(MAX_WAIT), not self._is_clogged())
            self._waits_until = self.now() + watch.seconds
            self._reader = None
            self._waiting = me
        return watch

    def end_watch(self, watch: Watch) -> bool:
        """Handle what has arrived, as the second half of `turn`; return whether others want to wait for the rest."""
        me = threading.get_ident()
        try:
            with self.lock, self.guard.step(_READING):
                self._stop_waiting(watch.waker, me)
                self._receive()
        finally:
            with self.lock, self.guard.step("waiting"):
                self._stop_waiting(watch.waker, me)
                if self._stream is not watch.stream:
                    watch.stream.close()
                if self._waker is not watch.waker:
                    watch.waker.close()
                is_wanted = bool(self._followers or self._successors)
                self._release_followers()
                self._wake_successor()
            if self._later:
                self._call_later()
        return is_wanted

    def _somebody_waits(self, me: int, is_nested: bool) -> bool:
        """Return whether a thread is waiting for the socket and will read it.

        If that is the caller's own thread, a signal handler has called, and the waiting frame can't continue before the
        handler returns. Nor can another thread, if an outer frame of the caller's (`is_nested`) has the lock. In both
        cases the caller waits in its place, with a waker of its own. An exception may also have left the frame before
        that could be recorded.
        """
        waiting = 0 if sys.is_finalizing() else self._waiting  # at the interpreter's end that thread is frozen
        is_own = waiting == me
        if waiting and (is_own or is_nested or self.now() > self._waits_until + _GRACE):
            if not is_own or _is_under_way(self.turn):
                self._wake()  # by the time it continues, what it waits for may have happened
                self._waker = Waker()
            self._waiting = waiting = 0
        return waiting != 0

    def _stop_waiting(self, waker: Waker, me: int) -> None:
        if self._waiting == me and self._waker is waker:  # nobody has taken over
            self._waiting = 0

    def _on_set(self, waiter: ThreadWaiter) -> None:
        """Wake the thread that waits for input, if it is its waiter that the signal has set."""
        if self._waiting and self._reader is waiter:
            self._wake()

    def _release_followers(self) -> None:
        followers, self._followers = self._followers, []
        for follower in followers:
            follower.set()

    def _release_all(self) -> None:
        """Wake every waiting thread, so that it checks again."""
        self._release_followers()
        for successor in self._successors.values():
            waiter: ThreadWaiter | None = successor
            while waiter is not None:
                waiter.set()
                waiter = waiter.outer

    def _wake_successor(self) -> None:
        """Wake one of the threads still waiting, to take over reading: the first, in its innermost wait."""
        if not self._waiting and self._successors:
            next(iter(self._successors.values())).set()

    def _wait_time(self, timeout: float) -> float:
        timeout = min(timeout, MAX_WAIT)
        deadline = self._core.next_deadline()
        return timeout if deadline is None else max(0.0, min(timeout, deadline - self.now()))

    def _is_clogged(self) -> bool:
        """Return whether the peer leaves our answers unread; nothing more is read from it until it reads them."""
        stream, engine = self._stream, self._core.engine
        return stream is not None and engine is not None and stream.unsent and len(engine.output) > _MAX_OUTPUT

    def _receive(self) -> bool:
        happened = self._read()
        return self._advance() or happened

    def _read(self) -> bool:
        """Pass input to the engine; return whether there was any."""
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
                raise unforeseen  # the engine took it for a result of the peer's bytes
        return True

    def _advance(self) -> bool:
        """Work on timers, events and output until nothing is left to do; return whether anything happened."""
        engine = self._core.engine
        if engine is None:
            return False
        if self._partings:
            self._part()
        now = self.now()
        deadline = self._core.next_deadline()
        if deadline is not None and now >= deadline:
            for _ in range(_READS):  # input that arrived while nobody called isn't late
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
        """Fail if the deadline passed during a TLS handshake, which the engine knows nothing of."""
        stream, engine = self._stream, self._core.engine
        deadline = engine.next_deadline() if engine is not None else None
        if isinstance(stream, Stream) and stream.is_handshaking and deadline is not None and now >= deadline:
            self._fail(TimeoutError("the peer didn't answer in time"))

    def _wake_for_unsent(self) -> None:
        """Make the thread that waits for input wait for the socket to accept more output as well."""
        if self._waiting and self.has_unsent:
            self._wake()

    def _on_earlier(self) -> None:
        """Wake the thread that waits for input, because something is due earlier than it knew."""
        if self._waiting and self._waiting != threading.get_ident():
            self._wake()

    def _wake(self) -> None:
        """Wake the thread that waits for the socket, so that it checks again."""
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
                # The peer may have said why before it left, and that is still to be read.
                self.failure = error
                self._broken_since = self.now()
                stream.give_up_writing()

    def flush(self) -> None:
        """See `Pump`."""
        self.flushes += 1
        with self.lock, self.guard.step(_HANDLING):
            if self._stream is not None:
                self._advance()
        if self._later:
            self._call_later()

    def later(self, function: Callable[[], object]) -> None:
        """See `Driver.later`."""
        self._later.append(function)

    def _call_later(self) -> None:
        if is_held(self.lock):
            return  # by an outer frame, which does it
        while self._later:
            try:
                function = self._later.popleft()
            except IndexError:
                return  # another thread was faster
            function()

    def flush_now(self) -> None:
        """See `Pump`."""
        with self.lock, self.guard.step(_WRITING):
            self._write()
            self._wake_for_unsent()

    def interrupt(self) -> None:
        """See `Pump`."""
        with self.lock, self.guard.pause():
            self.progress += 1
            self._wake()
            self._release_all()

    def caller(self) -> object:
        """See `Pump`."""
        return threading.get_ident()

    def defer(self, function: Callable[[], None]) -> bool:
        """See `Guard.defer`."""
        with self.lock, self.guard.pause() as half_done:  # with the lock held, the command isn't another thread's
            return bool(half_done) and self.guard.defer(function)

    def flush_soon(self) -> None:
        """See `Pump`."""
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
        """Return a flusher, or None where no thread can be started."""
        flusher = self._flusher = background.Flusher(self)  # set before it runs: an exception may come in between
        if not flusher.start():
            self._flusher = None
        return self._flusher

    @property
    def is_due(self) -> bool:
        """See `Pump`."""
        deadline = self._core.next_deadline()
        return deadline is not None and deadline <= self.now()

    def set_alarm(self, alarm: background.Alarm, latest: float) -> None:
        """See `Pump`. The alarm follows the deadline as it changes."""
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
        """See `Pump`."""
        with self.lock, self.guard.step("giving the connection up"):
            self._core.closed = True
            engine = self._core.engine
            if engine is not None:
                engine.abort(self.now(), message, kind=kind)
                self._core.handle_events(self.now())
            self._drop_stream()
            self._release_all()
        if self._later:
            self._call_later()

    def _give_up(self, why: str) -> None:
        """End the connection, because something is half done and nobody knows how far it got."""
        stream = self._stream
        if stream is not None:
            stream.give_up_writing()  # its unsent output may in fact have been written
        self._core.give_up(why, self.now())
        self._drop_stream()
        self._release_all()

    def part(self, parting: Callable[[float], None]) -> None:
        """See `Pump`."""
        if not self.is_connected:
            return
        self._partings.append(parting)
        if self.lock.acquire(blocking=False):
            try:
                if not self.guard.half_done:  # otherwise a step of this very thread was interrupted
                    with self.guard.step("parting"):
                        self._part()
            finally:
                self.lock.release()

    def _part(self) -> None:
        while self._partings:
            self._partings.popleft()(self.now())
        self._write()
        self._wake_for_unsent()

    def abandon(self, message: str) -> None:
        """See `Pump`."""
        self.part(lambda now: self._abandon(message, now))

    def _abandon(self, message: str, now: float) -> None:
        try:
            self._write()
        finally:
            engine = self._core.engine
            if engine is not None:
                engine.abort(now, message, kind=CauseKind.LOCAL)
            self._drop_stream()

    def close(self) -> None:
        """See `Driver`."""
        try:
            self._close()
        except BaseException:
            self.stop_closing()
            raise

    def stop_closing(self) -> None:
        """See `Pump`."""
        self.abort("closing was interrupted")

    def _close(self) -> None:
        with self.lock, self.guard.step("closing"):
            self._core.close(self.now())
            self._write()  # there may be no time to wait
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

    def wait(self, signal: Awaited, done: Callable[[], bool], deadline: float | None, *others: Awaited) -> bool:
        """See `Driver.wait`.

        One of the waiting threads reads for all of them. The others sleep until their signal wakes them, or until the
        reader stops and one of them has to take over.
        """
        me = threading.get_ident()
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
                    for other in others:
                        other.add(waiter)
                    if self._successors.get(me) is not waiter:
                        waiter.outer = self._successors.get(me)  # one that a signal handler has interrupted
                        self._successors[me] = waiter
                self.turn(remaining, None, waiter)
        finally:
            with self.lock, TOGETHER:
                self._leave_successors(waiter, me)
                signal.leave(waiter)
                for other in others:
                    other.leave(waiter)
                self._wake_successor()

    def _leave_successors(self, waiter: ThreadWaiter, me: int) -> None:
        if self._successors.get(me) is waiter:
            if waiter.outer is not None:
                self._successors[me] = waiter.outer
            else:
                del self._successors[me]

    def after_fork(self, parent: int) -> None:
        """Leave the connection, if there is one, to the parent: this process is a fork. See `forks`."""
        self._init_locks()
        if self._stream is not None and self._waker is not None:
            _open.discard((self._stream, self._waker))
        self._stream = self._waker = self._flusher = self._keeper = None
        self._alarms = []
        engine = self._core.engine
        if engine is not None and not engine.is_closed:
            self.foreign = INHERITED.format(parent)
            self.guard = Guard(self._give_up, self.foreign)

    def _drop_stream(self) -> None:
        """Close the socket. If interrupted, this runs again, so each thing is forgotten only once it is closed."""
        stream, waker = self._stream, self._waker
        if stream is None or waker is None:
            return
        self._sends = stream.sends
        _open.discard((stream, waker))
        if self._flusher is not None:
            self._flusher.stop()
            self._flusher = None
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
        if self._waiting and self._waiting != threading.get_ident():
            waker.wake()  # a closed socket's number may be reused at once: that thread closes it
        else:
            stream.close()
            if self._waiting and _is_under_way(self.turn):  # in an outer frame, which checks it and closes it
                waker.wake()
            else:
                waker.close()
        self._stream = self._waker = None


def _is_under_way(method: Callable[..., object]) -> bool:
    """Return whether a method that called the caller is also running in an outer frame of this thread."""
    function, owner = method.__func__, method.__self__  # type: ignore[attr-defined]  # a bound method
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
