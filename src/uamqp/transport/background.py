"""The helper threads of the blocking front, which keep nothing alive, and what is done where none can be started.

While the interpreter ends no thread can be started, and those that are daemons stand still forever, with the locks
that they hold. So nothing here waits for them then. Imports the standard library.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import queue
import sys
import threading
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .sansio.endpoint import Endpoint

_logger = logging.getLogger(__name__)

_FLUSH_DELAY = 0.005
_LOOK = 0.1
"""Seconds after which a thread that waits for a lock looks whether it is to end."""

_LONGEST_SLEEP = 3600.0

_EXIT_PATIENCE = 1.0
"""Seconds that the interpreter's end waits for a pump's lock, to write what is due."""


def started(thread: threading.Thread) -> bool:
    """Start a thread; tell whether that was possible: not while the interpreter ends, or if there are too many."""
    if sys.is_finalizing():
        return False  # before Python 3.12 it would be waited for, and never run
    try:
        thread.start()
    except RuntimeError as error:
        _logger.debug("The thread %s can't be started: %s", thread.name, error)
        return False
    except KeyError as error:
        # The thread runs and has taken itself off the list of those that are being started, and so does `start` for
        # what a signal handler has raised meanwhile.
        if error.__context__ is None:
            raise
        raise error.__context__ from None
    return True


class Flushable(Protocol):
    """What a `Flusher` flushes: a pump."""

    flush_is_due: bool
    _endpoint: Endpoint | None

    def flush(self) -> None:
        """Write what is due."""


class Flusher:
    """A thread that writes what a pump was asked for, and otherwise sleeps. It doesn't keep the pump alive.

    Args:
        pump: what it flushes.
    """

    def __init__(self, pump: Flushable) -> None:
        # Unlike an event's, `put` may be called by a finalizer that interrupts another call of it.
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._armed = False
        calls = self._calls
        self._pump = weakref.ref(pump, lambda _: calls.put(False))
        self._thread = threading.Thread(target=self._run, name="uamqp-flush", daemon=True)

    def start(self) -> bool:
        """Start the thread; tell whether that was possible."""
        return started(self._thread)

    def wake(self) -> None:
        """Flush within a few milliseconds."""
        if not self._armed:
            self._armed = True
            self._calls.put(True)

    def stop(self) -> None:
        """End the thread, without waiting for it."""
        self._calls.put(False)

    def _run(self) -> None:
        while self._calls.get():
            time.sleep(_FLUSH_DELAY)  # what comes in the meantime goes out in the same write
            self._flush()

    def _flush(self) -> None:
        pump = self._pump()
        if pump is None:
            return
        self._armed = pump.flush_is_due = False
        try:
            pump.flush()
        except Exception:  # a callback's fault must not end the thread
            _logger.exception("Writing in the background to %s raised an exception.", pump._endpoint)


class Alarm:
    """What a thread sleeps on that follows a connection's deadlines. One thread may `sleep`, any may do the rest.

    Attributes:
        stopped: `stop` was called.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()  # see `Flusher`
        self._due = -math.inf

    def set(self, due: float) -> None:
        """The thread is going to sleep until `due`, in monotonic seconds. Call it before the engine is left alone."""
        self._due = due

    def follow(self, deadline: float | None) -> None:
        """The connection's deadline is this one now: wake the thread if it would sleep beyond it."""
        if deadline is not None and deadline < self._due and not self.stopped:
            self._due = deadline
            self._calls.put(None)

    def stop(self) -> None:
        """Wake the thread, for the last time."""
        self.stopped = True
        self._calls.put(None)

    def sleep(self) -> None:
        """Sleep until the time that was set, or until somebody wakes the thread: it may be time for another look."""
        if not self.stopped:
            try:
                self._calls.get(timeout=min(_LONGEST_SLEEP, max(0.0, self._due - time.monotonic())))
            except queue.Empty:
                pass

    def acquire(self, lock: Any) -> bool:
        """Take a lock; False if the thread is to end, which whoever holds the lock may wait for."""
        while not self.stopped:
            if lock.acquire(timeout=_LOOK):
                return True
        return False


# -- the interpreter's end


class Pump(Protocol):
    """What the interpreter's end has to know of a pump."""

    lock: Any

    def flush_now(self) -> None:
        """Write what is due."""


class ExitLock:
    """A pump's lock from the interpreter's end on. Who can't have it then is told so: it won't become free any more.

    Args:
        lock: the pump's reentrant lock, which is still the one that counts.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.release = lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; see `threading.RLock`."""
        if sys.is_finalizing():
            return bool(self._lock.acquire(blocking=False))
        return bool(self._lock.acquire(blocking, timeout))

    def __enter__(self) -> bool:
        if not self.acquire():
            raise RuntimeError("The interpreter ends, and a thread that stands still forever holds the connection.")
        return True

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class _Exit:
    """What is done when the interpreter ends, before threads stand still."""

    def __init__(self) -> None:
        self.begun = False
        self._pumps: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # with the process

    def watch(self, pump: Pump) -> None:
        """The pump is to be prepared for the end."""
        if is_ending():
            pump.lock = ExitLock(pump.lock)
        else:
            self._pumps[pump] = os.getpid()

    def run(self) -> None:
        """From now on there is no background: what is due is written at once."""
        self.begun = True
        for pump, process in self._all():
            lock = pump.lock
            pump.lock = ExitLock(lock)
            if process == os.getpid() and lock.acquire(timeout=_EXIT_PATIENCE):
                try:
                    pump.flush_now()
                finally:
                    lock.release()

    def _all(self) -> list[tuple[Pump, int]]:
        while True:
            try:
                return list(self._pumps.items())
            except RuntimeError:
                pass  # another thread has made a pump meanwhile


_exit = _Exit()
watch = _exit.watch
atexit.register(_exit.run)


def is_ending() -> bool:
    """Tell whether the interpreter ends: what is put off is never done."""
    return _exit.begun or sys.is_finalizing()
