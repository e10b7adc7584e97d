"""The blocking front's helper threads, which keep nothing alive, and what to do where no thread can be started.

While the interpreter shuts down, no thread can be started, and daemon threads freeze for good together with the locks
that they hold. So nothing here waits for them then.
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
"""Seconds after which a thread that waits for a lock checks whether it should end."""

_LONGEST_SLEEP = 3600.0

_EXIT_PATIENCE = 1.0
"""Seconds to wait at the interpreter's exit for a pump's lock, in order to write its pending output."""


def started(thread: threading.Thread) -> bool:
    """Start a thread; return False if the interpreter is shutting down or has too many threads."""
    if sys.is_finalizing():
        return False  # before Python 3.12, the start would wait for a thread that never runs
    try:
        thread.start()
    except RuntimeError as error:
        _logger.debug("The thread %s can't be started: %s", thread.name, error)
        return False
    except KeyError as error:
        # A thread that runs takes itself off the list of threads being started, and `start` does so if a signal
        # handler raises meanwhile.
        if error.__context__ is None:
            raise
        raise error.__context__ from None
    return True


class Flushable(Protocol):
    """Something that a `Flusher` flushes: a pump."""

    flush_is_due: bool
    _endpoint: Endpoint | None

    def flush(self) -> None:
        """Write pending output."""


class Flusher:
    """A thread that flushes a pump when woken, and otherwise sleeps. It doesn't keep the pump alive.

    Args:
        pump: the pump to flush.
    """

    def __init__(self, pump: Flushable) -> None:
        # Unlike an event's `set`, `put` may be called by a finalizer that interrupts another call of it.
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._armed = False
        calls = self._calls
        self._pump = weakref.ref(pump, lambda _: calls.put(False))
        self._thread = threading.Thread(target=self._run, name="uamqp-flush", daemon=True)

    def start(self) -> bool:
        """Start the thread; return whether that was possible."""
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
            time.sleep(_FLUSH_DELAY)  # what is added meanwhile goes out in the same write
            self._flush()

    def _flush(self) -> None:
        pump = self._pump()
        if pump is None:
            return
        self._armed = pump.flush_is_due = False
        try:
            pump.flush()
        except Exception:  # an error in a callback must not end the thread
            _logger.exception("Writing in the background to %s raised an exception.", pump._endpoint)


class Alarm:
    """Wakes a thread at a connection's deadlines. One thread may `sleep` on it, any may call the rest.

    Attributes:
        stopped: whether `stop` was called.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()  # see `Flusher`
        self._due = -math.inf

    def set(self, due: float) -> None:
        """Let the next sleep last until `due`, in monotonic seconds. Call it before releasing the connection's lock."""
        self._due = due

    def follow(self, deadline: float | None) -> None:
        """Wake the thread if it would sleep beyond `deadline`, the connection's new one."""
        if deadline is not None and deadline < self._due and not self.stopped:
            self._due = deadline
            self._calls.put(None)

    def stop(self) -> None:
        """Wake the thread for the last time."""
        self.stopped = True
        self._calls.put(None)

    def sleep(self) -> None:
        """Sleep until the time that was set, or until somebody wakes the thread to check again."""
        if not self.stopped:
            try:
                self._calls.get(timeout=min(_LONGEST_SLEEP, max(0.0, self._due - time.monotonic())))
            except queue.Empty:
                pass

    def acquire(self, lock: Any) -> bool:
        """Take a lock; return False if the thread should end, since the lock's holder may be waiting for that."""
        while not self.stopped:
            if lock.acquire(timeout=_LOOK):
                return True
        return False


# -- the interpreter's exit


class Pump(Protocol):
    """What has to be known of a pump at the interpreter's exit."""

    lock: Any

    def flush_now(self) -> None:
        """Write pending output."""


class ExitLock:
    """A pump's lock once the interpreter is exiting: it raises instead of waiting for a lock that is never released.

    Args:
        lock: the pump's reentrant lock, which this one takes.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.release = lock.release
        self._is_owned = lock._is_owned  # see `shared.is_held`

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
    """What is done when the interpreter exits, before threads freeze."""

    def __init__(self) -> None:
        self.begun = False
        self._pumps: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # and the process of each

    def watch(self, pump: Pump) -> None:
        """Prepare a pump when the interpreter exits."""
        if is_ending():
            pump.lock = ExitLock(pump.lock)
        else:
            self._pumps[pump] = os.getpid()

    def run(self) -> None:
        """Write pending output, from now on without threads in the background."""
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
                pass  # another thread made a pump meanwhile


_exit = _Exit()
watch = _exit.watch
atexit.register(_exit.run)


def is_ending() -> bool:
    """Return whether the interpreter is exiting, so that whatever is put off is never done."""
    return _exit.begun or sys.is_finalizing()
