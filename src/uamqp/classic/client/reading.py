"""The receiving calls of a client: which are under way, and which may be at the same time."""

from __future__ import annotations

import enum
import sys
import weakref
from types import FrameType

from ...transport.signals import this_thread


class Busy(RuntimeError):
    """A receiving call can't be served while another one is under way."""


class Kind(enum.Enum):
    """The kinds of receiving calls."""

    STEP = "step"
    """A single step of the client's work, which goes with every other call."""
    PULL = "pull"
    """Messages as they arrive: a batch, or the next of an iteration. Any number of such calls share the messages."""
    STREAM = "stream"
    """Every message, for its callback."""

    def goes_with(self, other: Kind) -> bool:
        """Return whether two calls may be under way at the same time."""
        return Kind.STREAM not in (self, other) or Kind.STEP in (self, other)


class Call:
    """A receiving call. Its caller holds this object, whose end frees what the call has taken, however it ended."""

    __slots__ = ("__weakref__", "kind", "reference", "thread")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.reference = weakref.ref(self)
        self.thread = this_thread()

    def was_left(self) -> bool:
        """Return whether an exception has left the call, perhaps before it could end.

        Its frames are then kept by the exception's traceback alone. This doesn't work for tasks, whose frames rest.
        """
        if self.thread != this_thread():
            return False
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_globals is not globals() and any(value is self for value in frame.f_locals.values()):
                return False
            frame = frame.f_back
        return True


class Place:
    """A place for one call at a time."""

    __slots__ = ("_call",)

    def __init__(self) -> None:
        self._call: weakref.ref[Call] | None = None

    def __bool__(self) -> bool:
        """Return whether the place is taken."""
        return self._call is not None and self._call() is not None

    def take(self, call: Call) -> None:
        """Give the place to a call."""
        self._call = call.reference

    def leave(self) -> None:
        """Free the place."""
        self._call = None


class ReceivingCalls:
    """The receiving calls of one client, in order, from any threads and without a lock.

    Args:
        of_tasks: whether tasks may make the calls.
    """

    __slots__ = ("_calls", "_of_tasks")

    def __init__(self, *, of_tasks: bool = False) -> None:
        self._calls: list[weakref.ref[Call]] = []
        self._of_tasks = of_tasks

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, kind: Kind) -> Call:
        """Begin a call.

        Raises:
            Busy: it can't be served together with an earlier one.
        """
        call = Call(kind)
        calls = self._calls
        try:
            calls.append(call.reference)
            if len(calls) > 1:
                self._check(call)
            return call
        except BaseException:
            self._forget(call.reference)
            raise

    def _check(self, call: Call) -> None:
        for reference in tuple(self._calls):
            if reference is call.reference:
                break
            other = reference()
            if other is None:
                self._forget(reference)
            elif call.kind.goes_with(other.kind):
                continue
            elif not self._of_tasks and other.was_left():
                self._forget(reference)
            else:
                self.end(call)
                raise Busy(_REASONS[call.kind])

    def end(self, call: Call) -> bool:
        """End a call; return whether it was the last."""
        self._forget(call.reference)
        calls = self._calls
        if calls:
            for reference in tuple(calls):
                if reference() is None:
                    self._forget(reference)
        return not calls

    def _forget(self, reference: weakref.ref[Call]) -> None:
        try:
            self._calls.remove(reference)
        except ValueError:
            pass  # it was forgotten earlier


_WHAT_TO_DO = "wait until it has returned, or receive with another client."
_REASONS = {
    Kind.PULL: f"receive_messages is under way on this client, and its callback gets every message: {_WHAT_TO_DO}",
    Kind.STREAM: f"receive_messages needs the client to itself, and another call is receiving: {_WHAT_TO_DO}",
}
