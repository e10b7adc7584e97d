"""The keeper: a thread that drives a blocking connection while the application's threads do something else.

The connection belongs to whoever waits on it. As long as threads of the application do, the keeper sleeps until one of
them stops. While they only send and settle, it reads now and then what has arrived. When nobody has used the connection
for a moment, it waits for the socket itself, and makes way for the next thread that waits.
"""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..background import started

if TYPE_CHECKING:
    from .pump import BlockingPump
    from .stream import Stream, Waker
    from .websocket import WebSocketStream

_logger = logging.getLogger(__name__)

PATIENCE = 0.05
"""Seconds for which nobody may have used the connection before the keeper waits for the socket."""

_LONG = 10.0
"""Seconds until the keeper looks again although nobody has poked it, as an interrupted thread may not have."""


@dataclass(slots=True)
class Watch:
    """What the keeper waits with, in the place of a thread of the application's.

    Attributes:
        stream: what it waits for.
        waker: what ends the wait.
        seconds: how long it waits at most.
        for_reading: whether it waits for input.
    """

    stream: Stream | WebSocketStream
    waker: Waker
    seconds: float
    for_reading: bool

    def wait(self) -> None:
        """Wait for the socket."""
        self.stream.wait(self.seconds, self.waker, for_reading=self.for_reading)

    def close(self) -> None:
        """Close the socket: the connection has gone meanwhile, and left that to whoever was waiting."""
        self.stream.close()
        self.waker.close()


class Keeper:
    """See the module. It doesn't keep the connection alive, and ends with it.

    Args:
        pump: drives the connection.

    Attributes:
        sleeps: whether it sleeps until it is poked, because others wait for the socket.
    """

    def __init__(self, pump: BlockingPump) -> None:
        self.sleeps = False
        self._stopped = False
        self._pokes: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be used by a finalizer, unlike an event
        pokes = self._pokes
        self._pump = weakref.ref(pump, lambda _: pokes.put(None))
        self._used = (0, 0)
        self._thread = threading.Thread(target=self._run, name="uamqp-keeper", daemon=True)

    def start(self) -> bool:
        """Start the thread; return whether that was possible."""
        return started(self._thread)

    def poke(self) -> None:
        """Wake it, because somebody has stopped waiting."""
        self.sleeps = False
        self._pokes.put(None)

    def stop(self) -> None:
        """End the thread, without waiting for it."""
        self._stopped = True
        self._pokes.put(None)

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._keep()
            except BaseException:  # an error in a callback, even sys.exit(), must not end the thread
                _logger.exception("Keeping a connection alive in the background raised an exception.")
            if self._pump() is None:
                return
            try:
                self._pokes.get(timeout=_LONG if self.sleeps else PATIENCE)
            except queue.Empty:
                pass

    def _keep(self) -> None:
        """Drive the connection until somebody else uses it."""
        while not self._stopped:
            pump = self._pump()
            if pump is None or self._is_in_use(pump):
                return
            watch = pump.begin_watch()
            if watch is None:
                self.sleeps = pump.is_watched
                if self.sleeps and not pump.is_watched:
                    self.sleeps = False  # it stopped in between
                return
            del pump  # who waits must not keep the connection alive
            watch.wait()
            pump = self._pump()
            if pump is None:
                watch.close()
                return
            if pump.end_watch(watch):
                return

    def _is_in_use(self, pump: BlockingPump) -> bool:
        """Return whether the connection was used since the last look, and read it if nobody else did."""
        turns, flushes = self._used
        self._used = now = pump.turns, pump.flushes
        if now[0] != turns:
            return True
        if now[1] != flushes:
            pump.turn(0.0)
            self._used = pump.turns, now[1]
            return True
        return False
