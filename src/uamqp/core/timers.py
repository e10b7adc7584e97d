"""What becomes due on a connection by itself, beside the engine's own deadlines: messages whose time is over."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Protocol


class Timed(Protocol):
    """Something that has deadlines, in monotonic seconds."""

    def next_deadline(self) -> float | None:
        """Return when `expire` is to be called next; None: not at all, as things are."""

    def expire(self, now: float) -> None:
        """Do what is due."""


class Timers:
    """Calls each `Timed` at its deadlines.

    Most deadlines move into the future, as what they are for is done in time. So each `Timed` has one timer, which may
    go off early: then it is asked when the next one is due. That takes no time as long as nothing is.

    Attributes:
        on_earlier: called when something is due earlier than anything was; None: nobody wants to know.
    """

    __slots__ = ("_due", "_number", "_queue", "_timed", "on_earlier")

    def __init__(self) -> None:
        self.on_earlier: Callable[[], None] | None = None
        self._queue: list[tuple[float, int]] = []  # by number; what was forgotten isn't held on to
        self._timed: dict[int, Timed] = {}
        self._due: dict[Timed, tuple[float, int]] = {}
        self._number = count()

    def __len__(self) -> int:
        """How many timers there are, those included that an earlier one has taken the place of."""
        return len(self._queue)

    def watch(self, timed: Timed) -> None:
        """Call something at its deadlines: once more whenever it has one that is earlier than those before."""
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
        """Don't call it any more."""
        due = self._due.pop(timed, None)
        if due is not None:
            self._timed.pop(due[1], None)

    def next_deadline(self) -> float | None:
        """Return when `expire` is to be called; None: not at all, as things are."""
        queue = self._queue
        while queue and queue[0][1] not in self._timed:
            heapq.heappop(queue)  # forgotten, or an earlier one has taken its place
        return queue[0][0] if queue else None

    def expire(self, now: float) -> bool:
        """Do what is due; tell whether anything was."""
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
