"""What happens to a connection: `ConnectionEvent`, and who is told of it."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..transport.signals import Signal
from .errors import AMQPError
from .options import ConnectionState

if TYPE_CHECKING:
    from ..transport.driver import Driver

__all__ = ["ConnectionEvent", "EventKind"]

_logger = logging.getLogger("uamqp.connection")

EventKind: TypeAlias = Literal["opened", "failed", "closed", "link_lost"]

_TURN = 1.0
"""Seconds to wait at a time for the end of a connection that is being closed."""

MAX_WAITING = 1000
"""Events that wait for one iteration; beyond, the oldest are dropped, and that is logged."""


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """Something that has happened to a connection.

    Attributes:
        kind: what: it was "opened", has "failed", was "closed", or one of its senders and receivers was lost
            ("link_lost").
        state: the connection's state from then on.
        previous: its state before.
        endpoint: host and port that it is or was connected to.
        error: why; None if nothing is wrong.
        subject: the sender or receiver that it is about; None if it is about the connection.
    """

    kind: EventKind
    state: ConnectionState
    previous: ConnectionState
    endpoint: str | None = None
    error: AMQPError | None = None
    subject: Any = None


class EventsBase:
    """The events of a connection from now on, for one who iterates. They end with the connection."""

    def __init__(self, driver: Driver, events: Events) -> None:
        self._driver = driver
        self._waiting: deque[ConnectionEvent] = deque()
        self._arrived = Signal()
        self._is_over = False
        events.add(self)

    def put(self, event: ConnectionEvent) -> None:
        """Add an event. The lock is held."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            _logger.warning("Events of a connection are dropped: %d wait for whoever iterates.", MAX_WAITING)
        self._waiting.append(event)
        self._arrived.fire_one()

    def end(self) -> None:
        """Add no more. The lock is held."""
        self._is_over = True
        self._arrived.fire()

    async def _next(self) -> ConnectionEvent | None:
        """Wait for the next event, and return it; None if there will be none."""
        while True:
            if not await self._driver.wait(self._arrived, lambda: bool(self._waiting) or self._is_over):
                await self._driver.turn(_TURN)  # it is being closed: the last event is to come
            try:
                return self._waiting.popleft()
            except IndexError:  # it is over, or another caller was faster
                if self._is_over:
                    return None


class Events:
    """Tells everybody concerned what happens to a connection. Its methods are called with the lock held.

    Args:
        on_event: called with each event, once the lock is free; what it raises is logged.
    """

    def __init__(self, on_event: Callable[[ConnectionEvent], None] | None) -> None:
        self._on_event = on_event
        self._iterations: list[weakref.ref[EventsBase]] = []  # which nobody may hold any more
        self._is_over = False

    def add(self, iteration: EventsBase) -> None:
        """Tell this one from now on."""
        if self._is_over:
            iteration.end()
        else:
            self._iterations = [each for each in self._iterations if each() is not None]
            self._iterations.append(weakref.ref(iteration))

    def tell(self, driver: Driver, event: ConnectionEvent) -> None:
        """Tell of an event."""
        for iteration in self._there():
            iteration.put(event)
        if self._on_event is not None:
            driver.later(partial(_call, self._on_event, event))

    def end(self) -> None:
        """End the iterations: nothing else happens."""
        self._is_over = True
        iterations, self._iterations = self._there(), []
        for iteration in iterations:
            iteration.end()

    def _there(self) -> list[EventsBase]:
        return [iteration for each in self._iterations if (iteration := each()) is not None]


def _call(on_event: Callable[[ConnectionEvent], None], event: ConnectionEvent) -> None:
    try:
        on_event(event)
    except Exception:
        _logger.exception("on_event raised an exception for %r.", event.kind)
