"""The bridge between an engine and an asyncio transport, for clients and brokers alike.

Everything happens in the loop's thread.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ...engine import CauseKind, Engine
from ...engine.events import Event
from ..sansio.heap import keep_freed_memory

T = TypeVar("T")

EngineFactory = Callable[[asyncio.Transport], Engine]
EventHandler = Callable[[list[Event]], None]

ROUNDS = 8
"""How often events may lead to more events within a turn, before other connections get theirs."""

LINGER = 5.0
"""Seconds in which the last bytes have to be sent before the socket is closed without them."""


async def within(operation: Awaitable[T], seconds: float) -> T:
    """Await an operation for up to `seconds`; 0 means without a limit.

    Before Python 3.12, `asyncio.wait_for` forgets a cancellation that arrives together with the result.

    Raises:
        TimeoutError: it took longer, and was cancelled.
    """
    task = asyncio.current_task()
    if not seconds or task is None:
        return await operation
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, expire)
    try:
        return await operation
    except asyncio.CancelledError:
        if not expired or (sys.version_info >= (3, 11) and task.uncancel() > 0):
            raise
        raise TimeoutError(f"it took longer than {seconds:g} seconds") from None
    finally:
        timer.cancel()


def stream_of(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Return a transport as one for reading and writing; uvloop's don't derive from asyncio's classes.

    Raises:
        TypeError: the transport can't be both read and written.
    """
    if not hasattr(transport, "write") or not hasattr(transport, "pause_reading"):
        raise TypeError(f"AMQP needs a stream, not {transport!r}")
    return cast("asyncio.Transport", transport)


def close(transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
    """Close a transport once everything is written. A protocol may call it from its callbacks.

    asyncio's TLS fails if it is closed by what it calls in the middle of its own shutdown, so that is put off.
    """
    try:
        is_tls = transport.get_extra_info("sslcontext") is not None
    except AttributeError:
        return  # asyncio's TLS forgets everything once it is closed
    if is_tls:
        loop.call_soon(transport.close)
    else:
        transport.close()


class EngineProtocol(asyncio.Protocol):
    """Feeds input to an engine, hands out its events, writes its output and keeps its deadlines.

    Output is written once per turn: after input was handled, or once after any number of calls of `wake`. While the
    transport is clogged, nothing is taken from the engine and `writable` is False: a producer of messages should then
    wait for `on_writable`. When the peer makes the engine answer faster than it reads, reading from it stops.

    Args:
        make_engine: makes the connection's engine once the socket is connected (and TLS is up).
        handler: called with the engine's events, in order and many at a time.
        on_turn: called after the events of a turn, before output is written.
        on_writable: called when the transport accepts more after `writable` was False.
        on_lost: called once, when the socket is closed, after the engine's terminal event.
        max_unsent: bytes of output that the engine may hold while the transport is clogged before reading stops.
        buffer_size: bytes in the transport's own buffer above which it counts as clogged.

    Attributes:
        engine: the connection's engine, from `connection_made` on.
        transport: None before `connection_made`, and once the socket is closed.
        writable: whether the transport accepts data.
    """

    engine: Engine

    def __init__(
        self,
        make_engine: EngineFactory,
        handler: EventHandler,
        *,
        on_turn: Callable[[], None] | None = None,
        on_writable: Callable[[], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        max_unsent: int = 16 * 1024 * 1024,
        buffer_size: int = 512 * 1024,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.writable = True
        self._make_engine = make_engine
        self._handler = handler
        self._on_turn = on_turn
        self._on_writable = on_writable
        self._on_lost = on_lost
        self._max_unsent = max_unsent
        self._buffer_size = buffer_size
        self._reading = True
        self._in_turn = False
        self._wakes: list[bool] = []  # one item if a turn is to come
        self._finished = False
        self._aborted = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._passed: float | None = None  # the deadline that has passed, and is kept once the socket was read
        self._passed_at = 0.0  # when that was noticed

    # -- for the engine's user

    def now(self) -> float:
        """Return the time that the engine is given."""
        return self.loop.time()

    def next_deadline(self) -> float | None:
        """Return when to call `tick`, on the clock of `now`, or None if nothing will become due."""
        return self.engine.next_deadline()

    def tick(self, now: float) -> None:
        """Do what is due; a turn follows."""
        self.engine.tick(now)

    @property
    def woken(self) -> bool:
        """Whether a turn is to come because somebody called `wake`."""
        return bool(self._wakes)

    def wake(self) -> None:
        """Take a turn soon, because the engine was used outside its events."""
        if not self._wakes and not self._in_turn:
            # If an exception from a signal handler ends the turn before its first line, nobody must wait for it.
            self.loop.call_soon(self._wakes.clear)
            self.loop.call_soon(self._awake)
            self._wakes.append(True)

    def flush(self) -> None:
        """Write pending output at once, and take a turn soon: no handler runs in here."""
        if not self._in_turn:
            self._send()
            self.wake()

    def abort(self) -> None:
        """Close the socket at once, whatever is unsent."""
        if self.transport is not None:
            self._aborted = True
            self.transport.abort()

    def peer_certificate(self) -> dict[str, Any] | None:
        """Return the peer's verified TLS certificate in the form of `ssl.SSLSocket.getpeercert`, if it has one."""
        if self.transport is None:
            return None
        return self.transport.get_extra_info("peercert") or None

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        keep_freed_memory()
        self.transport = transport = stream_of(transport)
        transport.set_write_buffer_limits(high=self._buffer_size)
        self.engine = self._make_engine(transport)
        self.turn()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.engine.receive_data(data, self.now())
        self.turn()

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`. The transport closes itself once everything is written."""
        self.engine.receive_data(b"", self.now())
        self.turn()
        return None

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.writable = False

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.writable = True
        self.turn()
        if self.writable and self._on_writable is not None:
            self._on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.close()  # otherwise Python 3.10's TLS transport warns
        if self._aborted:  # it wasn't the peer
            self.engine.abort(self.now(), "the connection was given up", kind=CauseKind.LOCAL)
        self.engine.receive_data(b"", self.now())
        try:
            self.turn()
        finally:
            self._disarm()
            on_lost, self._on_lost = self._on_lost, None
            if on_lost is not None:
                on_lost()

    # -- a turn

    def turn(self) -> None:
        """Hand out the engine's events, write its output, and set the timer."""
        engine = self.engine
        self._in_turn = True
        try:
            events = engine.events()
            for _ in range(ROUNDS):
                self._hand_out(events)
                self._send()
                events = engine.events()  # caused by what was just answered or encoded
                if not events:
                    break
            else:
                self._hand_out(events)
        except BaseException:
            self.abort()  # after a handler failed, nobody knows how to continue
            raise
        finally:
            self._in_turn = False
        if events:
            self.wake()
        elif engine.is_closed:
            self._finish()
        else:
            self._throttle()
            self._arm()

    def write(self, data: bytes | bytearray) -> None:
        """Write bytes to the transport."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def finish(self) -> None:
        """Close the socket once everything is written, or after `LINGER` seconds: the engine is done."""
        transport = self.transport
        if transport is not None:
            close(transport, self.loop)
            self._timer = self.loop.call_later(LINGER, self.abort)

    def _awake(self) -> None:
        self.turn()

    def _hand_out(self, events: list[Event]) -> None:
        if events:
            self._handler(events)
            if self._on_turn is not None:
                self._on_turn()

    def _send(self) -> None:
        engine, transport = self.engine, self.transport
        if not self.writable and transport is not None and not transport.get_write_buffer_size():
            self.writable = True  # a call of `resume_writing` was interrupted before its first line
        while self.writable or engine.is_closed or self.transport is None:
            buffers = engine.data_to_send()
            if not buffers:
                break
            for data in buffers:
                self.write(data)

    def _throttle(self) -> None:
        transport = self.transport
        if transport is not None and self._reading != (self.writable or len(self.engine.output) <= self._max_unsent):
            self._reading = not self._reading
            if self._reading:
                transport.resume_reading()
            else:
                transport.pause_reading()

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._disarm()
            self.finish()

    # -- the timer: just one, which may go off early, since deadlines mostly move into the future

    def _arm(self) -> None:
        deadline = self.next_deadline()
        if self.transport is None or deadline is None:
            return
        # A timer that is overdue went off, and was interrupted before its first line.
        if self._timer is None or self._timer_due > deadline or self._timer_due < self.now():
            self._disarm()
            self._timer_due = deadline
            # The loop's timer must not keep the protocol alive.
            self._timer = self.loop.call_later(max(0.0, deadline - self.now()), _tick, weakref.ref(self))

    def _tick(self) -> None:
        deadline = self.next_deadline()
        if deadline is not None and deadline != self._passed and deadline <= self.now():
            # The loop may have been busy, and some loops call timers first: what has arrived meanwhile isn't late.
            self._passed, self._passed_at = deadline, self.now()
            self._timer = self.loop.call_later(0, _tick, weakref.ref(self))
            return
        now = self.now() if self._passed is None else self._passed_at  # for what is due since then, nothing was read
        self._timer = self._passed = None
        self.tick(now)
        self.turn()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _tick(reference: weakref.ref[EngineProtocol]) -> None:
    protocol = reference()
    if protocol is not None:
        protocol._tick()
