"""What becomes due on a connection beside the engine's own deadlines: messages that time out."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Protocol


class Timed(Protocol):
    """Something that has deadlines, in monotonic seconds."""

    def next_deadline(self) -> float | None:
        """Return when to call `expire` next; None if there is no need for now."""

    def expire(self, now: float) -> None:
        """Do what is due."""


class Timers:
    """Calls each `Timed` at its deadlines.

    Most deadlines move into the future, because what they guard is done in time. So each `Timed` has one timer, which
    may go off early, and asks for the next deadline then. As long as nothing is due, that takes no time.

    Attributes:
        on_earlier: called when something becomes due before everything else; None for no call.
    """

    __slots__ = ("_due", "_number", "_queue", "_timed", "on_earlier")

    def __init__(self) -> None:
        self.on_earlier: Callable[[], None] | None = None
        self._queue: list[tuple[float, int]] = []  # by number, so that forgotten objects aren't kept alive
        self._timed: dict[int, Timed] = {}
        self._due: dict[Timed, tuple[float, int]] = {}
        self._number = count()

    def __len__(self) -> int:
        """Return the number of timers, including those replaced by an earlier one."""
        return len(self._queue)

    def __contains__(self, timed: Timed) -> bool:
        """Return whether something is called at a deadline."""
        return timed in self._due

    def watch(self, timed: Timed) -> None:
        """Call an object at its deadlines. Repeat this whenever it has an earlier deadline than before."""
        deadline = timed.next_deadline()
        if deadline is None:
            return
        due = self._due.get(timed)
        if due is None or deadline < due[0]:
            first = self.next_deadline()
            self.forget(timed)
            number = next(self._number)
            self._due[timed] = deadline, number
            self._timed[number] = timed
            heapq.heappush(self._queue, (deadline, number))
            if self.on_earlier is not None and (first is None or deadline < first):
                self.on_earlier()

    def forget(self, timed: Timed) -> None:
        """Stop calling an object."""
        due = self._due.pop(timed, None)
        if due is not None:
            self._timed.pop(due[1], None)

    def next_deadline(self) -> float | None:
        """Return when to call `expire`; None if there is no need for now."""
        queue = self._queue
        while queue and queue[0][1] not in self._timed:
            heapq.heappop(queue)  # forgotten, or replaced by an earlier one
        return queue[0][0] if queue else None

    def expire(self, now: float) -> bool:
        """Do what is due, and return whether anything was."""
        over: list[Timed] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            over.append(self._timed[self._queue[0][1]])
            self.forget(over[-1])
        happened = False
        try:
            for timed in over:
                deadline = timed.next_deadline()
                if deadline is not None and deadline <= now:
                    happened = True
                    timed.expire(now)
        finally:
            for timed in over:
                self.watch(timed)
        return happened
