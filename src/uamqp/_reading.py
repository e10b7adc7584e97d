"""Which receiving calls of a client are under way, and which may be at the same time. Imports nothing of ours."""

from __future__ import annotations

import contextlib
import enum
import weakref


class Busy(RuntimeError):
    """A receiving call can't be served while another one is under way."""


class Kind(enum.Enum):
    """What a receiving call wants."""

    STEP = "step"
    """A single step of the client's work, which disturbs nobody."""
    PULL = "pull"
    """Messages as they come: a batch, or the next of an iteration. Any number of such calls share what comes."""
    STREAM = "stream"
    """Every message, for its callback."""

    def goes_with(self, other: Kind) -> bool:
        """Tell whether two calls may be under way at the same time."""
        return Kind.STREAM not in (self, other) or Kind.STEP in (self, other)


class Call:
    """A receiving call. Whoever makes it holds it: what it has taken is free when it is gone, however it went."""

    __slots__ = ("__weakref__", "kind")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind


class Place:
    """A place for one call at a time."""

    __slots__ = ("_call",)

    def __init__(self) -> None:
        self._call: weakref.ref[Call] | None = None

    def __bool__(self) -> bool:
        """Somebody has it."""
        return self._call is not None and self._call() is not None

    def take(self, call: Call) -> None:
        """The call has it now."""
        self._call = weakref.ref(call)

    def leave(self) -> None:
        """It is free again."""
        self._call = None


class ReceivingCalls:
    """The receiving calls of one client, in the order in which they came; from any threads, without a lock."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[weakref.ref[Call]] = []

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, kind: Kind) -> Call:
        """Begin a call.

        Raises:
            Busy: it can't be served beside one that came before.
        """
        call = Call(kind)
        mine = weakref.ref(call, self._forget)
        self._calls.append(mine)
        for reference in tuple(self._calls):
            if reference is mine:
                break
            other = reference()
            if other is not None and not kind.goes_with(other.kind):
                self._forget(mine)
                raise Busy(_REASONS[kind])
        return call

    def end(self, call: Call) -> None:
        """The call is over."""
        for reference in tuple(self._calls):
            if reference() is call:
                self._forget(reference)

    def _forget(self, reference: weakref.ref[Call]) -> None:
        with contextlib.suppress(ValueError):
            self._calls.remove(reference)


_WHAT_TO_DO = "wait until it has returned, or receive with another client."
_REASONS = {
    Kind.PULL: f"receive_messages is under way on this client, and its callback gets every message: {_WHAT_TO_DO}",
    Kind.STREAM: f"receive_messages needs the client to itself, and another call is receiving: {_WHAT_TO_DO}",
}
