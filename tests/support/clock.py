"""The library's clock, which a test moves on: what waits for a time has waited, and nobody has to.

    def test_something(clock: Clock) -> None:
        ...
        clock.move(60)

In such a test the library has the real time and whatever the test adds to it: connections of both fronts, event loops
of asyncio, the embedded broker, tokens. So time-outs can be as long as anybody's, and no test has to be quick to be
right. To move the clock too early costs at most what is waited for then, in real time.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from uamqp import SendClient, SendClientAsync
from uamqp.transport.sansio import clock as library

PATIENCE = 20.0
"""Seconds that the clock stands still for what doesn't happen."""

FRONTS = SendClient, SendClientAsync
"""Both are to be loaded before anything is replaced in their modules."""


class Clock:
    """Real time, and what was added to it. Any thread may move it on."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._stood = 0.0  # for the library; loops ran on meanwhile
        self._standing: tuple[Callable[[], bool], float] | None = None  # until when, and since when
        self._resuming = threading.Lock()
        self._movers: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._sleepers: dict[weakref.ref[Any], Callable[[Any], None]] = {}  # with what wakes them

    def now(self) -> float:
        """In the place of `time.monotonic`."""
        real = time.monotonic()
        standing = self._standing
        if standing is not None:
            until, since = standing
            if until() or real > since + PATIENCE:
                self._resume(standing, real)
            else:
                real = since
        return real + self._ahead - self._stood

    def _resume(self, standing: tuple[Callable[[], bool], float], real: float) -> None:
        """Time goes on, once, whichever thread has seen that it may."""
        with self._resuming:
            if self._standing is standing:
                self._stood += real - standing[1]
                self._standing = None

    def of_loop(self) -> float:
        """In the place of an event loop's `time`."""
        return time.monotonic() + self._ahead

    def wall(self) -> float:
        """In the place of `time.time`."""
        return time.time() + self._ahead

    def stand_until(self, happened: Callable[[], bool], then: float = 0.0) -> None:
        """Time stands still for the library until something has happened: what it waits for until then isn't late.

        Event loops run on, and so does the embedded broker. It is for a short while, not for time-outs of connections.

        Args:
            then: Seconds that pass as soon as it has happened, and some times more, for whoever begins to wait late.
        """
        standing = happened, time.monotonic()
        with self._resuming:
            self._standing = standing
        if then:
            mover = threading.Thread(target=self._move_when, args=(standing, then), name="clock", daemon=True)
            self._movers.append(mover)
            mover.start()

    def _move_when(self, standing: tuple[Callable[[], bool], float], seconds: float) -> None:
        happened, since = standing
        while not happened() and time.monotonic() < since + PATIENCE:
            if self._is_over.wait(0.002):
                return
        self._resume(standing, time.monotonic())
        for _ in range(3):
            with self._resuming:
                if self._standing is not None:
                    return  # again, for something else
                self._ahead += seconds
            self._wake()
            if self._is_over.wait(0.01):
                return

    def end(self) -> None:
        """The test is over: nothing moves the clock any more."""
        self._is_over.set()
        for mover in self._movers:
            mover.join()

    def move(self, seconds: float) -> None:
        """So much time passes, at once, and whoever waits for it is woken."""
        self._ahead += seconds
        self._wake()

    def _wake(self) -> None:
        for reference, wake in list(self._sleepers.items()):
            sleeper = reference()
            if sleeper is not None:
                wake(sleeper)

    def wakes(self, sleeper: Any, wake: Callable[[Any], None]) -> None:
        """This one may sleep until some time: it is woken when the clock is moved."""
        self._sleepers[weakref.ref(sleeper)] = wake

    def leave_to_loops(self) -> None:
        """Nobody moves this clock any more. Event loops that run on keep it, for time must not go back."""
        for reference in list(self._sleepers):
            loop = reference()
            if isinstance(loop, asyncio.BaseEventLoop):
                loop.time = self.of_loop  # type: ignore[method-assign]


def _wake_pump(pump: Any) -> None:
    pump.interrupt()
    for alarm in pump._alarms:  # of keep-alive threads
        alarm.follow(-1.0)


def _wake_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.call_soon_threadsafe(lambda: None)
    except RuntimeError:
        pass  # it is closed


@contextmanager
def moving_clock() -> Iterator[Clock]:
    """Make the library use a clock that can be advanced, wherever it reads one."""
    clock = Clock()
    replaced: dict[Any, Any] = {library.now: clock.now, library.wall: clock.wall}
    pumps = [
        (value, method)
        for module in _modules()
        for value in list(vars(module).values())
        if isinstance(value, type) and isinstance(method := vars(value).get("now"), staticmethod)
    ]
    loops_time = asyncio.BaseEventLoop.time
    drivers_time = vars(library.Deadlines)["time"]

    def time_of_pump(pump: Any) -> float:
        clock.wakes(pump, _wake_pump)
        return clock.now()

    def time_of_loop(loop: asyncio.BaseEventLoop) -> float:
        clock.wakes(loop, _wake_loop)
        return clock.of_loop()

    _replace(replaced)
    for kind, _ in pumps:
        kind.now = time_of_pump  # type: ignore[attr-defined]
    asyncio.BaseEventLoop.time = time_of_loop  # type: ignore[assignment, method-assign]
    library.Deadlines.time = staticmethod(clock.now)
    try:
        yield clock
    finally:
        clock.end()
        clock.leave_to_loops()
        asyncio.BaseEventLoop.time = loops_time  # type: ignore[method-assign]
        library.Deadlines.time = drivers_time
        for kind, method in pumps:
            kind.now = method  # type: ignore[attr-defined]
        _replace({new: old for old, new in replaced.items()})


def _modules() -> list[Any]:
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "uamqp"]


def _replace(functions: dict[Any, Any]) -> None:
    """Put functions in the place of others in the library's modules, whatever they are called there."""
    for module in _modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, (BuiltinFunctionType, FunctionType, MethodType)) and value in functions:
                setattr(module, name, functions[value])
