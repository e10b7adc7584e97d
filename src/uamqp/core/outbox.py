"""Messages on their way out: what waits to be sent, what waits for an outcome, what is due to be given up."""

from __future__ import annotations

import heapq
from typing import Any

from ..engine import OutgoingDelivery
from ..engine.fifo import Fifo


class Entry:
    """One message in an `Outbox`.

    Attributes:
        item: the message, whatever the front calls one.
        deadline: when it is given up, in monotonic seconds; None: never.
        delivery: its delivery while an outcome is awaited, else None.
        done: it has left the outbox.
    """

    __slots__ = ("deadline", "delivery", "done", "item")

    def __init__(self, item: Any, deadline: float | None) -> None:
        self.item = item
        self.deadline = deadline
        self.delivery: OutgoingDelivery | None = None
        self.done = False


class Outbox:
    """The messages of one sending client, in the order in which they were given.

    A message waits, is handed over (`next_ready`, then `handed_over`), and leaves with an outcome (`finish`), or goes
    back to wait (`put_back`). While a back-off lasts, nothing is handed over. Messages past their deadline come out of
    `expired`, wherever they are.
    """

    __slots__ = ("_again", "_deadlines", "_held_until", "_in_flight", "_sequence", "_waiting")

    def __init__(self) -> None:
        self._again = Fifo()  # entries that were put back
        self._waiting = Fifo()  # entries that were never handed over
        self._in_flight: dict[Entry, None] = {}
        self._deadlines: list[tuple[float, int, Entry]] = []
        self._sequence = 0
        self._held_until: float | None = None

    def __len__(self) -> int:
        return len(self._again) + len(self._waiting) + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        """Messages that wait for an outcome."""
        return len(self._in_flight)

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return len(self._again) + len(self._waiting)

    def entries(self) -> list[Entry]:
        """Return an entry for every message that hasn't left, those in flight first."""
        return [*self._in_flight, *self._again, *self._waiting]

    def items(self) -> list[Any]:
        """Return every message that hasn't left, those in flight first."""
        return [entry.item for entry in self.entries()]

    def add(self, item: Any, deadline: float | None = None) -> Entry:
        """Take a message in."""
        entry = Entry(item, deadline)
        self._waiting.append(entry)
        if deadline is not None:
            self._sequence += 1
            heapq.heappush(self._deadlines, (deadline, self._sequence, entry))
        return entry

    def next_ready(self, now: float) -> Entry | None:
        """Return the message that goes next and take it off the queue; None: there is none, or a back-off lasts."""
        if self._held_until is not None:
            if now < self._held_until:
                return None
            self._held_until = None
        entry: Entry | None = self._again.pop()
        if entry is None:
            entry = self._waiting.pop()
        return entry

    def handed_over(self, entry: Entry, delivery: OutgoingDelivery) -> None:
        """The message is with the link; its outcome is awaited."""
        entry.delivery = delivery
        self._in_flight[entry] = None

    def finish(self, entry: Entry) -> None:
        """The message leaves."""
        entry.done = True
        entry.delivery = None
        if self._in_flight.pop(entry, entry) is None:  # it was there
            return
        if entry in self._again:
            self._again.remove(entry)
        elif entry in self._waiting:
            self._waiting.remove(entry)

    def put_back(self, entry: Entry, hold_until: float | None = None) -> None:
        """The message waits again, in front of those that were never sent.

        Args:
            hold_until: hand nothing over before then.
        """
        self._in_flight.pop(entry, None)
        entry.delivery = None
        self._again.append(entry)
        if hold_until is not None and (self._held_until is None or hold_until > self._held_until):
            self._held_until = hold_until

    def expired(self, now: float) -> list[Entry]:
        """Return the messages whose deadline has passed; each is returned once, and has not left yet."""
        due = []
        while self._deadlines and self._deadlines[0][0] <= now:
            entry = heapq.heappop(self._deadlines)[2]
            if not entry.done:
                due.append(entry)
        return due

    def next_deadline(self) -> float | None:
        """Return when a message expires or a back-off ends, whichever is first; None: nothing of the kind."""
        while self._deadlines and self._deadlines[0][2].done:
            heapq.heappop(self._deadlines)
        deadline = self._deadlines[0][0] if self._deadlines else None
        if self._held_until is not None and self.waiting and (deadline is None or self._held_until < deadline):
            deadline = self._held_until
        return deadline

    def clear(self) -> list[Any]:
        """Drop everything; return what was dropped."""
        items = self.items()
        for entry in self.entries():
            entry.done = True
        self._in_flight.clear()
        self._again.clear()
        self._waiting.clear()
        self._deadlines.clear()
        self._held_until = None
        return items
