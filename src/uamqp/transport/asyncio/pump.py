"""The asyncio pump: drives a connection's engine in an event loop, as `blocking.pump.BlockingPump` does in threads.

The loop drives the connection by itself: an `EngineProtocol` reads, writes and keeps the deadlines whether or not
anybody is waiting. Waiting means waiting for the next progress; there is no polling and there are no threads.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ...core import ConnectionCore
from ...engine import CauseKind, Engine, EngineConfig, Trace
from ...engine.events import Event
from .. import background
from ..forks import INHERITED, tell
from ..guard import Guard
from ..sansio import clock
from ..sansio.endpoint import Endpoint
from ..sansio.exposed import warn_of_exposed
from ..shared import TOGETHER
from ..signals import Awaited
from .connect import bury, open_connection
from .protocol import EngineProtocol, stream_of
from .reading import Reading
from .shared import SharedAmongTasks
from .signals import LoopWaiter
from .steps import running_loop, set_future

_logger = logging.getLogger(__name__)

_READING = "reading"
_WRITING = "writing"
_HANDLING = "handling what arrived"

T = TypeVar("T")

_OTHER_LOOP = "the connection belongs to another event loop"

_LOOP_CLOSED = (
    "the event loop that drove the connection was closed: close the client, and open it again in another loop"
)


def is_in_loop() -> bool:
    """Return whether an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def spawn(operation: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task in the running loop."""
    return asyncio.get_running_loop().create_task(operation)


async def off_loop(function: Callable[[], T]) -> T:
    """Call a blocking function in a thread of the loop's, if it still has any, and return its result."""
    try:
        result = asyncio.get_running_loop().run_in_executor(None, function)
    except RuntimeError:
        return function()  # the interpreter is shutting down
    return await result


class AsyncPump:
    """Drives one connection in an event loop. See `Pump` for its attributes and for what isn't said here.

    Coroutines belong to that loop. The other methods may be called from any thread: messages may be settled in others.

    Args:
        core: the connection.
        wrong_loop: the exception to raise where another loop than its own waits for it.
    """

    def __init__(self, core: ConnectionCore, wrong_loop: type[Exception] = RuntimeError) -> None:
        self.lock = threading.RLock()
        self.guard = Guard(self._give_up)
        self._wrong_loop = wrong_loop
        self.foreign = ""
        self.sends = 0
        self.failure: Exception | None = None
        self.progress = 0
        self._core = core
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._protocol: _ClientProtocol | None = None
        self._socket: socket.socket | None = None
        self._link: _Link | None = None  # between the transport and the protocol
        self._endpoint: Endpoint | None = None
        self._starting = SharedAmongTasks(self._cancel_start)
        self._waiters: dict[asyncio.Future[None], None] = {}  # for anything that happens; in order
        self._sleepers: dict[LoopWaiter, None] = {}  # for a signal
        self._are_sleepers = False  # see `keep_for_sleepers`
        self._closers = 0  # tasks that wait for the end
        self._work: set[asyncio.Task[None]] = set()  # a loop doesn't keep its tasks alive
        self._alarms: list[background.Alarm] = []
        core.timers.on_earlier = self._on_earlier
        background.watch(self)
        tell(self)

    def __del__(self) -> None:
        """Close the socket: nobody refers to the connection any longer, or waits for it."""
        if self.__dict__.get("_protocol") is None:
            return
        protocol, loop, engine = self._protocol, self._loop, self._core.engine
        if protocol is None or loop is None or engine is None or not self.is_connected or sys.is_finalizing():
            return
        engine.abort(clock.now(), "nobody had the connection any more", kind=CauseKind.LOCAL)
        try:
            loop.call_soon_threadsafe(protocol.abort)
        except RuntimeError:  # the loop was closed
            bury(protocol.transport, self._socket)

    # -- for the connection

    async def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None = None) -> None:
        """Connect, including TLS, and start the engine, unless that has been done.

        This is done once for all waiting tasks, and continues until the last of them is cancelled.

        Raises:
            OSError: the host is unknown or doesn't answer, TLS fails, or the connection was closed meanwhile.
            RuntimeError: another loop is connecting it.
        """
        warn_of_exposed(endpoint, config.mechanisms)
        await self._starting.run(lambda: self._start(endpoint, config, trace))

    async def _start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        if self._core.engine is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._endpoint = endpoint

        def make_protocol(sock: socket.socket) -> _Link:
            self._socket = sock
            protocol = _ClientProtocol(self, lambda: self._core.start(config, clock.now(), trace))
            self._link = _Link(protocol)
            return self._link

        if not self._core.closed:
            await open_connection(endpoint, make_protocol, handshake_timeout=config.handshake_timeout)
        if self._core.closed:
            self.abort("the connection was closed before it was made")
            raise ConnectionAbortedError("the connection was closed before it was made")

    def _cancel_start(self, task: asyncio.Task[None]) -> None:
        """Stop connecting, because nobody waits any longer. A connection already made stays, and goes on opening."""
        if self._protocol is None:
            if self._link is not None:
                self._link.cut()
            task.cancel()

    @property
    def is_connected(self) -> bool:
        """See `Pump`."""
        return self._protocol is not None

    @property
    def has_unsent(self) -> bool:
        """See `Pump`."""
        return self._protocol is not None and not self._protocol.writable

    async def turn(self, timeout: float = 0.0, seen: int | None = None) -> bool:
        """Write pending output, and wait up to `timeout` seconds until anything happens; return whether it did.

        Args:
            timeout: in seconds; 0 reads what has arrived without waiting.
            seen: `progress` when the caller last checked what it waits for. If anything has happened since, return
                without waiting: it may be there. The loop gets its turn all the same.

        Raises:
            RuntimeError: another loop drives the connection.
        """
        self._look_at_loop()
        start = self.progress
        if not self._begin():
            return start != self.progress
        if timeout <= 0 or start != self.progress or (seen is not None and seen != start):
            await asyncio.sleep(0)
            if timeout <= 0 and start == self.progress:
                await asyncio.sleep(0)  # the loop has looked at its sockets before this, and reads them after us
        else:
            await self._wait(timeout)
        return start != self.progress

    def _begin(self) -> bool:
        """Do what is due before anybody waits here; False: there is nothing to wait for, the loop was closed.

        Raises:
            RuntimeError: another loop drives the connection.
        """
        if self.guard.half_done or (self._loop is None and self._core.engine is not None):
            with self.lock, self.guard.step(_HANDLING):
                self._handle_rest()
            if self._loop is None:
                return False
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise self._wrong_loop(_OTHER_LOOP)
        if self._link is not None:
            self._link.check()
        if self._protocol is not None:
            self._protocol.wake()
        else:
            with self.lock, self.guard.step(_HANDLING):
                self._handle_rest()
        return True

    async def _wait(self, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout, set_future, future) if timeout < clock.FOREVER else None
        self._waiters[future] = None
        self._hold_on(True)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            self._waiters.pop(future, None)
            self._hold_on(False)

    async def wait_for(self, done: Callable[[], bool], deadline: float | None) -> bool:
        """See `Driver.wait_for`."""
        self._look_at_loop()
        while True:
            with self.lock, TOGETHER:
                if done():
                    return True
                seen = self.progress
            remaining = clock.FOREVER if deadline is None else deadline - clock.now()
            if self._core.is_over or remaining <= 0:
                return False
            await self.turn(remaining, seen)

    async def wait(self, signal: Awaited, done: Callable[[], bool], deadline: float | None, *others: Awaited) -> bool:
        """See `Driver.wait`.

        Raises:
            RuntimeError: another loop drives the connection.
        """
        self._look_at_loop()
        self._begin()
        waiter = LoopWaiter()
        try:
            while True:
                with self.lock, TOGETHER:
                    if done():
                        signal.take(waiter)
                        return True
                    remaining = clock.FOREVER if deadline is None else deadline - clock.now()
                    if self._core.is_over or remaining <= 0:
                        return False
                    signal.add(waiter)
                    for other in others:
                        other.add(waiter)
                    self._sleepers[waiter] = None
                self._hold_on(True)
                await waiter.wait(remaining)
        finally:
            with self.lock, TOGETHER:
                self._sleepers.pop(waiter, None)
                signal.leave(waiter)
                for other in others:
                    other.leave(waiter)
            self._hold_on(False)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that drives the connection; None before it is started, and once the loop is closed."""
        return self._loop

    def keep_for_sleepers(self, are_there: bool) -> None:
        """See `_hold_on`.

        Args:
            are_there: whether tasks wait for something that happens by the connection's end at the latest.
        """
        self._are_sleepers = are_there
        self._hold_on(are_there)

    def later(self, function: Callable[[], object]) -> None:
        """See `Driver.later`."""
        loop = self._loop
        if loop is None or loop.is_closed():
            function()
        elif threading.get_ident() == self._thread:
            loop.call_soon(function)
        else:
            loop.call_soon_threadsafe(function)

    def spawn(self, operation: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """See `Driver.spawn`."""

        def begin() -> None:
            task = spawn(operation())
            self._work.add(task)
            task.add_done_callback(self._end_work)

        self.later(begin)

    def _end_work(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("Working for a connection in the background raised an exception.", exc_info=error)

    def check_loop(self) -> None:
        """Check that the running loop is the one that drives the connection, if one does already.

        Raises:
            RuntimeError: it is another one; or what `wrong_loop` says.
        """
        self._look_at_loop()
        if self._loop is not None and self._loop is not running_loop():
            raise self._wrong_loop(_OTHER_LOOP)

    def _hold_on(self, is_awaited: bool) -> None:
        """Keep this pump referenced by the loop while anybody waits: asyncio keeps no waiting task alive."""
        link = self._link
        if link is not None and (is_awaited or not (self._waiters or self._sleepers or self._are_sleepers)):
            link.pump = self if is_awaited else None

    async def close(self) -> None:
        """Close the connection, and wait up to the engine's `close_timeout` for the peer's answer and the socket's end.

        Cancelling the last of the tasks that wait for it ends the connection at once, without telling the peer.
        """
        self._look_at_loop()
        with self.lock, self.guard.step("closing"):
            self._core.close(clock.now())
            engine = self._core.engine
        self.flush_now()  # there may be no time to wait
        self._wake_sleepers()
        if engine is None or self._loop is None:
            return
        deadline = clock.now() + engine.config.close_timeout
        self._closers += 1
        try:
            while not engine.is_closed or self._protocol is not None:
                remaining = deadline - clock.now()
                if remaining <= 0:
                    self.abort("the peer didn't answer our close")
                    break
                await self.turn(remaining)
        except BaseException:
            self._closers -= 1
            self.stop_closing()
            raise
        self._closers -= 1
        await asyncio.sleep(0)  # the transport closes its socket in a turn of its own

    def stop_closing(self) -> None:
        """See `Pump`."""
        if not self._closers:
            self.abort("closing was interrupted")

    def abort(self, message: str, *, kind: CauseKind = CauseKind.LOCAL) -> None:
        """See `Pump`. Call it in the loop's thread."""
        self._look_at_loop()
        with self.lock, self.guard.step("giving the connection up"):
            self._core.closed = True
            engine = self._core.engine
            if engine is not None:
                engine.abort(clock.now(), message, kind=kind)
            protocol = self._protocol
            if protocol is not None:
                protocol.abort()
            self._handle_rest()
        self._wake_waiters()

    def _give_up(self, why: str) -> None:
        """End the connection, because something is half done and nobody knows how far it got."""
        protocol = self._protocol
        self._core.give_up(why, clock.now())
        if protocol is not None:
            self._in_loop(protocol.abort)
        self._in_loop(self.on_progress)

    def caller(self) -> object:
        """See `Pump`."""
        return asyncio.current_task() if is_in_loop() else None

    def defer(self, function: Callable[[], None]) -> bool:
        """See `Guard.defer`."""
        with self.lock, self.guard.pause() as half_done:
            return bool(half_done) and self.guard.defer(function)

    def after_fork(self, parent: int) -> None:
        """Leave the connection, if there is one, to the parent: this process is a fork. See `forks`."""
        self.lock = threading.RLock()
        self.guard = Guard(self._give_up)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.forget()
        self._loop = self._link = self._socket = None
        self._waiters, self._sleepers = {}, {}
        engine = self._core.engine
        if engine is not None and not engine.is_closed:
            self.foreign = INHERITED.format(parent)
            self.guard = Guard(self._give_up, self.foreign)

    def flush(self) -> None:
        """See `Pump`."""
        protocol = self._protocol
        if protocol is not None:
            self._in_loop(protocol.wake)

    flush_soon = flush

    def flush_now(self) -> None:
        """Write pending output before returning to a caller that may keep the loop for long; from another thread, soon.

        Handlers run in the loop's next turn, not in here.
        """
        protocol = self._protocol
        if protocol is not None:
            self._in_loop(protocol.flush)

    @property
    def flush_is_due(self) -> bool:
        """See `Pump`."""
        return self._protocol is not None and self._protocol.woken

    def interrupt(self) -> None:
        """See `Pump`."""
        self._in_loop(self._wake_all)

    def part(self, parting: Callable[[float], None]) -> None:
        """See `Pump`. The function runs in the loop's thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed() and self.is_connected:
            loop.call_soon_threadsafe(self._part, parting)

    def _part(self, parting: Callable[[float], None]) -> None:
        with self.lock, self.guard.step("parting"):
            parting(clock.now())
        self.flush()

    def abandon(self, message: str) -> None:
        """See `Pump`."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.abort, message)

    def _in_loop(self, function: Callable[[], None]) -> None:
        """Call a function in the loop's thread: at once if this is it, otherwise soon."""
        loop = self._loop
        if loop is None:
            return
        if loop.is_closed():
            self._look_at_loop()
        elif threading.get_ident() == self._thread:
            function()
        elif sys.is_finalizing() and self._protocol is not None:
            self._protocol.flush()  # the loop's thread is frozen
        else:
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:
                _logger.debug("The event loop of the connection to %s is closed.", self._endpoint)

    def _look_at_loop(self) -> None:
        """If the loop was closed, end the connection that it drove, and close the socket."""
        loop = self._loop
        if loop is None or not loop.is_closed():
            return
        self._loop = None
        self._waiters.clear()
        self._sleepers.clear()
        with self.lock, self.guard.step("giving the connection up"):
            protocol, self._protocol = self._protocol, None
            engine = self._core.engine
            if engine is not None:
                engine.abort(clock.now(), _LOOP_CLOSED, kind=CauseKind.LOCAL)
            if protocol is not None:
                bury(protocol.transport, self._socket)
                protocol.transport = None
            self._handle_rest()

    # -- for a keep-alive thread, of a client that turns out to be used without a loop

    is_due = False
    """Always False: the loop keeps the deadlines by itself."""

    def set_alarm(self, alarm: background.Alarm, latest: float) -> None:
        """Set the alarm for `latest`; `retire` brings it forward."""
        if alarm not in self._alarms:
            self._alarms.append(alarm)
        alarm.set(latest)

    def retire(self) -> None:
        """Set off the alarms, because another pump replaces this one: its deadlines are the ones to watch."""
        with self.lock:
            for alarm in self._alarms:
                alarm.follow(-math.inf)

    # -- for the protocol; in the loop's thread

    def on_made(self, protocol: _ClientProtocol) -> None:
        """Record the protocol of a socket that is connected."""
        self._protocol = protocol

    def on_events(self, events: list[Event]) -> None:
        """Handle events. An exception from a handler ends the connection: nobody knows what it left undone."""
        while events or self._core.has_backlog:
            try:
                self._core.handle_all(events, clock.now())
            except Exception as error:  # noqa: BLE001 (it becomes the connection's failure)
                self._end(error)
            events = []

    def _end(self, error: Exception) -> None:
        """End the connection with an exception that a handler raised."""
        _logger.info("A handler raised an exception; the connection to %s is given up.", self._endpoint)
        self.failure = error  # becomes the cause of the connection's error
        engine = self._core.engine
        if engine is not None:
            engine.abort(clock.now(), f"a handler raised {error!r}", kind=CauseKind.LOCAL)

    def _on_earlier(self) -> None:
        """Wake the loop, because something is due earlier than it knew."""
        protocol = self._protocol
        if protocol is not None:
            self._in_loop(protocol.wake)

    def next_deadline(self) -> float | None:
        """Return the next deadline of the connection, if it has one."""
        return self._core.next_deadline()

    def on_time(self, now: float) -> None:
        """Do what is due, after the events of this turn of the loop that aren't handled yet."""
        self._core.tick(now)
        events = self._core.require_engine().events()
        happened = bool(events)
        self.on_events(events)
        try:
            happened = self._core.expire(now) or happened
        except Exception as error:  # noqa: BLE001 (it becomes the connection's failure)
            self._end(error)
        if happened:
            self.on_progress()

    def on_progress(self) -> None:
        """Wake those that wait for anything to happen."""
        self.progress += 1
        self._wake_waiters()

    def on_lost(self) -> None:
        """Forget the protocol of a socket that was closed."""
        self._protocol = None
        self.on_progress()

    def describe(self, error: Exception) -> str:
        """Return a description of the error that broke the transport."""
        return self._endpoint.describe(error, "") if self._endpoint is not None else str(error)

    def _handle_rest(self) -> None:
        """Handle events while there is no socket (any longer). Call it within a step."""
        if self._core.handle_events(clock.now()):
            self.progress += 1
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for future in waiters:
            set_future(future)
        if self._sleepers and self._core.is_over:
            self._wake_sleepers()

    def _wake_sleepers(self) -> None:
        for waiter in tuple(self._sleepers):
            waiter.set()

    def _wake_all(self) -> None:
        self.on_progress()
        self._wake_sleepers()


class _Link(Reading):
    """What the transport, and so the loop, refers to: it leads to a pump's protocol for as long as the pump lives.

    Args:
        protocol: the protocol, referred to here until the socket is connected, and by the pump from then on.

    Attributes:
        pump: a pump that somebody waits for; otherwise None.
    """

    def __init__(self, protocol: _ClientProtocol) -> None:
        self.pump: AsyncPump | None = None
        self._new: _ClientProtocol | None = protocol
        self._reference: Callable[[], _ClientProtocol | None] = weakref.ref(protocol)

    def cut(self) -> None:
        """Make sure that the connection is closed as soon as it is made, because nobody wants it any longer."""
        self._new = None
        self._reference = _nobody

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        protocol, self._new = self._new, None
        if protocol is None:
            stream_of(transport).abort()
        else:
            protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        protocol = self._reference()
        if protocol is not None:
            protocol.data_received(data)

    def on_interrupted(self) -> None:
        """Deal with an exception that has lost what was read."""
        protocol = self._reference()
        if protocol is not None:
            protocol.on_interrupted()

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        protocol = self._reference()
        return None if protocol is None else protocol.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        protocol = self._reference()
        if protocol is not None:
            protocol.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        protocol = self._reference()
        if protocol is not None:
            protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.pump = None
        protocol = self._reference()
        if protocol is not None:
            protocol.connection_lost(exc)


def _nobody() -> None:
    """Stand in for a weak reference to something that is gone."""


class _ClientProtocol(EngineProtocol):
    """The protocol of a client's connection: `EngineProtocol` under the pump's lock."""

    def __init__(self, pump: AsyncPump, start: Callable[[], Engine]) -> None:
        super().__init__(
            lambda transport: start(),
            pump.on_events,
            on_turn=pump.on_progress,
            on_writable=pump.on_progress,
            on_lost=pump.on_lost,
        )
        self._pump = pump

    def forget(self) -> None:
        """Let go of the transport, which is the parent's: this process is a fork."""
        self.transport = None

    def on_interrupted(self) -> None:
        """Deal with an exception that has lost what was read."""
        guard = self._pump.guard
        with self._pump.lock, guard.pause():
            guard.half_done = guard.half_done or _READING
            guard.broken("")

    def now(self) -> float:
        """See `EngineProtocol`."""
        return clock.now()

    def next_deadline(self) -> float | None:
        """See `EngineProtocol`."""
        return self._pump.next_deadline()

    def tick(self, now: float) -> None:
        """See `EngineProtocol`."""
        self._pump.on_time(now)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        pump = self._pump
        with pump.lock, pump.guard.step("connecting"):
            pump.on_made(self)
            super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        pump = self._pump
        with pump.lock, pump.guard.step(_READING):
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        pump = self._pump
        with pump.lock, pump.guard.step(_READING):
            return super().eof_received()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        pump = self._pump
        with pump.lock, pump.guard.step(_WRITING):
            super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        pump = self._pump
        with pump.lock, pump.guard.step("closing"):
            if exc is not None and not self.engine.is_closed:
                pump.failure = exc if isinstance(exc, OSError) else OSError(str(exc))
                self.engine.abort(self.now(), pump.describe(exc))
            super().connection_lost(exc)

    def write(self, data: bytes | bytearray) -> None:
        """See `EngineProtocol`."""
        self._pump.sends += 1
        super().write(data)

    def flush(self) -> None:
        """See `EngineProtocol`."""
        pump = self._pump
        with pump.lock, pump.guard.step(_WRITING):
            super().flush()

    def _awake(self) -> None:
        pump = self._pump
        with pump.lock, pump.guard.step(_WRITING):
            super()._awake()

    def _tick(self) -> None:
        pump = self._pump
        with pump.lock, pump.guard.step(_WRITING):
            super()._tick()
