"""What a front drives a connection by: one interface, for threads and for event loops.

A front's operations are coroutines, and all that they wait for is awaited here. A `BlockingDriver` waits by itself, so
that they never suspend (`drive.run`); an `AsyncDriver` leaves that to the event loop. They are in `blocking` and
`asyncio`, so that neither front loads the other's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..core import ConnectionCore
from ..engine import CauseKind, EngineConfig, Trace
from .background import Alarm
from .guard import Guard
from .sansio import clock
from .sansio.endpoint import Endpoint
from .shared import Own
from .signals import Signal, Waiter

T = TypeVar("T")


class Pump(Protocol):
    """What the pumps of both worlds do without waiting. Each method may be called from any thread.

    Attributes:
        lock: guards the core and its engine; reentrant. Hold it for every command to them, briefly, and never across
            an `await`.
        guard: tells what is half done; whoever gives a command does so in a step of it.
        progress: grows with every turn in which anything happened.
        sends: how often the socket was given something to send; it may have taken it.
        foreign: why this process can't use the connection, if it is a fork of the one that can; else empty.
    """

    lock: Any
    guard: Guard
    progress: int
    foreign: str

    @property
    def failure(self) -> Exception | None:
        """What broke the transport, if anything did."""

    @property
    def sends(self) -> int:
        """See the class."""

    @property
    def is_connected(self) -> bool:
        """There is a socket."""

    @property
    def has_unsent(self) -> bool:
        """The socket takes no more for now."""

    @property
    def flush_is_due(self) -> bool:
        """What `flush_soon` was asked for is still to be written."""

    @property
    def is_due(self) -> bool:
        """A deadline of the engine has come that nobody else keeps. Look with the lock held."""

    def flush(self) -> None:
        """Write what is due."""

    def flush_now(self) -> None:
        """Write what is due, and leave the events to the next turn."""

    def flush_soon(self) -> None:
        """Write what is due within a few milliseconds."""

    def interrupt(self) -> None:
        """Wake everybody who waits, to look again at what they wait for."""

    def caller(self) -> object:
        """Return what tells the caller from others that may call meanwhile."""

    def defer(self, function: Callable[[], None]) -> bool:
        """See `Guard.defer`."""

    def abort(self, message: str, *, kind: CauseKind = CauseKind.LOCAL) -> None:
        """Give the connection up at once, without a word to the peer."""

    def stop_closing(self) -> None:
        """Who wanted the connection closed was interrupted: give it up, unless others wait for its end."""

    def part(self, parting: Callable[[], None]) -> None:
        """Call a function that uses the engine, when nobody works on the connection. For finalizers."""

    def abandon(self, message: str) -> None:
        """Nobody has the connection any more: give it up. For finalizers."""

    def set_alarm(self, alarm: Alarm, latest: float) -> None:
        """Set the alarm for the connection's next deadline, or for `latest`. Call it with the lock held."""


class Driver(ABC):
    """Drives one connection, and is all that a front sees of locks, clocks and input and output.

    Waiting comes with a question, `done`, which is asked with the lock held: between a look and a wait that are two
    steps, another thread may take what is waited for. Deadlines are those of `deadline`.
    """

    @property
    @abstractmethod
    def pump(self) -> Pump:
        """What it drives it with; another one after `renew`, and where an asyncio connection is made without a loop."""

    @abstractmethod
    def renew(self, core: ConnectionCore) -> None:
        """Drive another connection from now on, with the same lock."""

    @abstractmethod
    async def prepare(self, make_endpoint: Callable[[], Endpoint], *, is_quick: bool) -> Endpoint:
        """Return the endpoint to connect to, which may have to read certificates unless `is_quick`."""

    @abstractmethod
    async def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        """Connect, and have the engine start, unless that was done.

        Raises:
            OSError: the host is unknown, or doesn't answer, or the connection was closed meanwhile.
        """

    @abstractmethod
    async def turn(self, timeout: float, seen: int | None = None) -> bool:
        """Do what is due, and wait up to `timeout` seconds when there is nothing to do; tell whether anything happened.

        Args:
            seen: `mark` when the caller last looked: if anything has happened since, there is no waiting.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connection, and wait for the peer's answer, for the engine's `close_timeout` at most."""

    @abstractmethod
    async def wait(self, signal: Signal, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Wait until `done()`, and look whenever the signal says so; tell whether it is.

        `done` is asked before waiting, too. One of those that `Signal.fire_one` has woken, and that is cancelled, or
        whose time is over, leaves what it was woken for to the next.

        Args:
            deadline: see `deadline`; None: as long as the connection lasts.

        Returns:
            False when the deadline has passed, or the connection is over, and it isn't done.
        """

    @abstractmethod
    async def wait_for(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Wait until `done()`, and look whenever anything happens on the connection; otherwise as `wait`."""

    @abstractmethod
    def waiter(self, busy: int) -> Waiter | None:
        """Return what to wait with while thread `busy` takes the steps; None: the caller has to take them itself."""

    async def follow(self, waiter: Waiter, timeout: float) -> None:
        """Wait with what `waiter` has returned, `timeout` seconds at most; it may end before."""
        waited = waiter.wait(timeout)
        if not isinstance(waited, bool):  # a thread's waits by itself
            await waited

    def command(self, what: str, function: Callable[[float], T]) -> T:
        """Do something with the core, which no thread and no signal handler finds half done; have it written.

        It is a call, and no context manager: plain Python can't enter and leave one of those without a line at which an
        exception of a signal handler would keep the lock taken.

        Args:
            what: a gerund, for the error if an exception leaves it half done: the connection is given up then.
            function: is given the time.

        Returns:
            What the function returns.

        Raises:
            ConnectionBusy: a signal handler calls in the middle of another command.
            Else, what the function raises. The connection goes on after a `LocalProtocolError`, which changes nothing.
        """
        result = self.change(what, function)
        self.pump.flush()
        return result

    def change(self, what: str, function: Callable[[float], T], guard: Guard | None = None) -> T:
        """Do something with the core as `command` does; what that leads to is written with the next turn or command.

        Args:
            what, function: see `command`.
            guard: of what the caller has beside the connection, which isn't given up then; None: the connection's.
        """
        pump = self.pump
        with pump.lock, (guard or pump.guard).step(what):
            return function(clock.now())

    def settling(self, function: Callable[..., T], *arguments: Any) -> T:
        """As `change`, for one message, of which there are many: it costs less."""
        pump = self.pump
        with pump.lock, pump.guard.settling:
            return function(*arguments)

    def settled(self, is_last: bool) -> None:
        """Write what was settled: now if it `is_last`, and nothing else is to be settled, else soon, with the rest."""
        pump = self.pump
        if is_last:
            pump.flush()
        elif not pump.flush_is_due:
            pump.flush_soon()

    def call_out(self, function: Callable[[], T]) -> T:
        """Call something of the application's in the middle of a command, or of what the core calls.

        It may use the connection. An exception that comes out of it is one in the midst of the command.
        """
        pump = self.pump
        with pump.lock, pump.guard.pause():  # with the lock: the command isn't another thread's
            return function()

    def flush(self) -> None:
        """Write what is due; with asyncio in the next turn of the loop."""
        self.pump.flush()

    def flush_now(self) -> None:
        """Write what is due, and leave the events to the next turn: no handler runs in here, and none can raise."""
        self.pump.flush_now()

    def flush_soon(self) -> None:
        """Write what is due within a few milliseconds."""
        self.pump.flush_soon()

    @property
    def has_unsent(self) -> bool:
        """The socket takes no more for now."""
        return self.pump.has_unsent

    @property
    def sends(self) -> int:
        """How often the socket was given something to send; it may have taken it."""
        return self.pump.sends

    @property
    def is_given_up(self) -> bool:
        """The connection was given up in the middle of a command."""
        return self.pump.guard.is_over

    def share_lock(self, own: Own) -> None:
        """Have the same lock as something that outlives the connection: before anything is done with it."""
        self.pump.lock = own.lock

    def part(self, parting: Callable[[], None]) -> None:
        """Call a function that uses the engine, when nobody works on the connection. For finalizers."""
        self.pump.part(parting)

    def abandon(self, message: str) -> None:
        """Nobody has the connection any more: give it up. For finalizers."""
        self.pump.abandon(message)

    def attend(self, alarm: Alarm, latest: float, work: Callable[[], None]) -> bool | None:
        """Do what a thread has to do that keeps the connection alive, and set its alarm for the next time.

        Args:
            alarm: what the thread sleeps on.
            latest: when there is work, although nothing is due; see `deadline`.
            work: called if there is.

        Returns:
            Whether there was; None: the thread is to end.
        """
        pump = self.pump
        if not alarm.acquire(pump.lock):
            return None
        try:
            is_time = clock.now() >= latest or pump.is_due
            if is_time:
                work()
            pump.set_alarm(alarm, latest)
        finally:
            pump.lock.release()
        return is_time

    def interrupt(self) -> None:
        """Wake everybody who waits, to look again at what they wait for."""
        self.pump.interrupt()

    def caller(self) -> object:
        """Return what tells the caller from others that may call meanwhile: the thread, or the task."""
        return self.pump.caller()

    def defer(self, function: Callable[[], None]) -> bool:
        """Call a function when the command is done that the caller interrupts, a signal handler mostly.

        Returns False, and does nothing, if there is no such command.
        """
        return self.pump.defer(function)

    def stop_closing(self) -> None:
        """Somebody who wanted the connection closed was interrupted: give it up, unless others wait for its end."""
        self.pump.stop_closing()

    @property
    def is_connected(self) -> bool:
        """There is a socket."""
        return self.pump.is_connected

    @property
    def foreign(self) -> str:
        """Why this process can't use the connection, if it is a fork of the one that can; else empty."""
        return self.pump.foreign

    @property
    def mark(self) -> int:
        """How far the connection has come; it is another one when anything has happened."""
        return self.pump.progress

    def deadline(self, timeout: float | None) -> float | None:
        """Return when so many seconds from now are over; None, for no deadline, for None."""
        return None if timeout is None else clock.now() + timeout

    @property
    def failure(self) -> Exception | None:
        """What broke the transport, if anything did."""
        return self.pump.failure

    def abort(self, message: str) -> None:
        """Give the connection up at once, without a word to the peer. `message` says why."""
        self.pump.abort(message)
