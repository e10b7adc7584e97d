"""The interface that a front drives a connection with, the same for threads and for event loops.

A front's operations are coroutines, and everything they wait for is awaited here. A `BlockingDriver` waits in the
calling thread, so they never suspend (`drive.run`); an `AsyncDriver` leaves the waiting to the event loop. The two live
in `blocking` and `asyncio`, so that neither front loads the other's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ..core import ConnectionCore
from ..engine import CauseKind, EngineConfig, Trace
from .background import Alarm
from .guard import Guard
from .sansio import clock
from .sansio.endpoint import Endpoint
from .shared import Own, is_held
from .signals import Awaited
from .steps import Stepping, Steps

T = TypeVar("T")


class Pump(Stepping, Protocol):
    """What both pumps can do without waiting. Any thread may call any method.

    Attributes:
        lock: guards the core and its engine; reentrant. Hold it briefly for every command to them, and never across
            an `await`.
        guard: records what is half done; every command runs in one of its steps.
        progress: grows with every turn in which anything happened.
        sends: how many times the socket was given something to send, which it may have taken.
        foreign: in a fork, why this process can't use its parent's connection; otherwise empty.
    """

    progress: int
    foreign: str

    @property
    def failure(self) -> Exception | None:
        """The exception that broke the transport, if one did."""

    @property
    def sends(self) -> int:
        """See the attributes above."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a socket."""

    @property
    def has_unsent(self) -> bool:
        """Whether the socket accepts no more data for now; a turn that waits ends once it does."""

    @property
    def is_due(self) -> bool:
        """Whether a deadline of the engine that nobody else watches has passed. Hold the lock to read it."""

    def flush_now(self) -> None:
        """Write pending output, and leave events to the next turn: no handler runs in here, so none can raise."""

    def interrupt(self) -> None:
        """Wake everybody who is waiting, so that they check again what they wait for."""

    def caller(self) -> object:
        """Return an object that identifies the caller: its thread, or its task."""

    def defer(self, function: Callable[[], None]) -> bool:
        """See `Guard.defer`."""

    def abort(self, message: str, *, kind: CauseKind = CauseKind.LOCAL) -> None:
        """End the connection at once, without telling the peer."""

    def stop_closing(self) -> None:
        """Abort the connection because closing it was interrupted, unless others are waiting for it to close."""

    def part(self, parting: Callable[[float], None]) -> None:
        """Call a function that uses the engine, with the time, as soon as nobody is working on the connection.

        For finalizers, which may interrupt anything, in any thread.
        """

    def abandon(self, message: str) -> None:
        """Write pending output and end a connection that nobody refers to any longer. For finalizers."""

    def set_alarm(self, alarm: Alarm, latest: float) -> None:
        """Set the alarm for the connection's next deadline, or for `latest` if that is earlier.

        Call it with the lock held.

        Args:
            alarm: the alarm.
            latest: in monotonic seconds.
        """


class Driver(clock.Deadlines, ABC):
    """Drives one connection: all that a front sees of locks, clocks, input and output.

    Every wait takes a question, `done`, which is asked with the lock held: if checking and waiting were two steps,
    another thread could take what is waited for in between. Deadlines are those that `deadline` returns.
    """

    @property
    @abstractmethod
    def pump(self) -> Pump:
        """The pump at work. `renew` replaces it, as does connecting an asyncio connection without a loop."""

    @property
    @abstractmethod
    def steps(self) -> Steps:
        """The steps of the pump at work; replaced with it."""

    @abstractmethod
    def renew(self, core: ConnectionCore) -> None:
        """Switch to another connection, and keep the same lock."""

    @property
    def has_loop(self) -> bool:
        """Whether an event loop drives the connection."""
        return False

    @property
    def off_loop(self) -> Callable[[Callable[[], Any]], Awaitable[Any]] | None:
        """What calls a function that may take its time, and is awaited; None if it may simply be called."""
        return None

    @abstractmethod
    def later(self, function: Callable[[], object]) -> None:
        """Call a function of the application's as soon as the lock is free: in the loop, or in the thread that drives.

        Call it with the lock held.
        """

    @abstractmethod
    def spawn(self, operation: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run an operation that nobody waits for and that may take its time: in a task, or in a thread of its own.

        Without a keeper, it is the thread that drives which runs it. Call it with the lock held. What the operation
        raises is logged.
        """

    def keep(self) -> None:
        """Drive the connection while nobody waits on it, which an event loop does anyway."""

    def read_now(self) -> None:
        """Read what has arrived, without waiting, where no event loop does so by itself."""

    @abstractmethod
    async def prepare(self, make_endpoint: Callable[[], Endpoint], *, is_quick: bool) -> Endpoint:
        """Return the endpoint to connect to; making it may mean reading certificates unless `is_quick`."""

    @abstractmethod
    async def start(self, endpoint: Endpoint, config: EngineConfig, trace: Trace | None) -> None:
        """Connect and start the engine, unless that has been done.

        Raises:
            OSError: the host is unknown or doesn't answer, or the connection was closed meanwhile.
        """

    @abstractmethod
    async def turn(self, timeout: float | None, seen: int | None = None) -> bool:
        """Do what is due, or wait up to `timeout` seconds if nothing is; return whether anything happened.

        Args:
            timeout: in seconds; None waits until anything happens.
            seen: `mark` when the caller last checked; if anything has happened since, return without waiting.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connection, and wait up to the engine's `close_timeout` for the peer's answer."""

    @abstractmethod
    async def wait(
        self, signal: Awaited, done: Callable[[], bool], deadline: float | None = None, *others: Awaited
    ) -> bool:
        """Write what is due, and wait until `done()` is true; ask at first, and then each time the signal fires.

        A waiter that `Signal.fire_one` woke and that is then cancelled or times out passes the wake-up on to the next.

        Args:
            signal: fires when the answer may have changed.
            done: the question, asked with the lock held.
            deadline: see `deadline`; None waits as long as the connection lasts.
            others: signals of things that one of the waiters has to do for all (`Chore`), whatever each waits for. A
                waiter that leaves passes them on to the next, which checks whether they are done.

        Returns:
            True once done; False if the deadline passes or the connection ends first.
        """

    @abstractmethod
    async def wait_for(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Wait until `done()` is true, as `wait` does, but ask whenever anything happens on the connection."""

    def command(self, what: str, function: Callable[[float], T]) -> T:
        """Run a command on the core that no thread or signal handler sees half done, and write its output.

        This is a call rather than a context manager: in plain Python, entering or leaving one has a line at which an
        exception from a signal handler would leave the lock held.

        Args:
            what: a gerund, for the error if an exception leaves the command half done, which ends the connection.
            function: the command; called with the current time.

        Returns:
            What the function returns.

        Raises:
            ConnectionBusy: a signal handler made the call in the middle of another command.
            Exception: whatever the function raises. A `LocalProtocolError` changes nothing, so the connection lives on.
        """
        result = self.change(what, function)
        self.pump.flush()
        return result

    def change(self, what: str, function: Callable[[float], T], guard: Guard | None = None) -> T:
        """Run a command on the core as `command` does, but leave its output to the next turn or command.

        Args:
            what: see `command`.
            function: see `command`.
            guard: guards something of the caller's that, left half done, doesn't end the connection; None uses the
                connection's own.
        """
        pump = self.pump
        with pump.lock, (guard or pump.guard).step(what):
            return function(clock.now())

    def call_out(self, function: Callable[[], T]) -> T:
        """Call a function of the application's in the middle of a command or of a callback from the core.

        The function may use the connection. An exception that it raises counts as raised by the command.
        """
        pump = self.pump
        with pump.lock, pump.guard.pause():  # with the lock held, the command isn't another thread's
            return function()

    def flush(self) -> None:
        """See `Pump`."""
        self.pump.flush()

    def flush_now(self) -> None:
        """See `Pump`."""
        self.pump.flush_now()

    def flush_soon(self) -> None:
        """See `Pump`."""
        self.pump.flush_soon()

    @property
    def has_unsent(self) -> bool:
        """See `Pump`."""
        return self.pump.has_unsent

    @property
    def sends(self) -> int:
        """See `Pump`."""
        return self.pump.sends

    @property
    def is_given_up(self) -> bool:
        """Whether the connection was ended because a command was left half done."""
        return self.pump.guard.is_over

    def share_lock(self, own: Own) -> None:
        """Use the lock of something that outlives the connection; call it before anything else."""
        self.pump.lock = own.lock

    def part(self, parting: Callable[[float], None]) -> None:
        """See `Pump`."""
        self.pump.part(parting)

    def abandon(self, message: str) -> None:
        """See `Pump`."""
        self.pump.abandon(message)

    def attend(self, alarm: Alarm, latest: float, work: Callable[[], None]) -> bool | None:
        """Do the work of a keep-alive thread, and set its alarm for the next time.

        Args:
            alarm: what the thread sleeps on.
            latest: when there is work even if nothing is due; see `deadline`.
            work: called if there is work.

        Returns:
            Whether there was work, or None if the thread should end.
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
        """See `Pump`."""
        self.pump.interrupt()

    def caller(self) -> object:
        """See `Pump`."""
        return self.pump.caller()

    def defer(self, function: Callable[[], None]) -> bool:
        """Call a function once the command that the caller interrupted is done, typically from a signal handler.

        Returns:
            Whether there is such a command; if not, the function isn't called.
        """
        return self.pump.defer(function)

    def stop_closing(self) -> None:
        """See `Pump`."""
        self.pump.stop_closing()

    @property
    def is_connected(self) -> bool:
        """See `Pump`."""
        return self.pump.is_connected

    @property
    def foreign(self) -> str:
        """See `Pump`."""
        return self.pump.foreign

    @property
    def is_nested(self) -> bool:
        """Whether the caller is called by a command, in a callback: other threads can't finish what they are doing."""
        return is_held(self.pump.lock)

    @property
    def mark(self) -> int:
        """A number that changes whenever anything happens on the connection."""
        return self.pump.progress

    @property
    def failure(self) -> Exception | None:
        """The exception that broke the transport, if one did."""
        return self.pump.failure

    def abort(self, message: str) -> None:
        """End the connection at once, without telling the peer. `message` says why."""
        self.pump.abort(message)
