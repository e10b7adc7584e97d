"""Messages on their way out: those that wait to be sent, those that wait for an outcome, those that have expired."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from ..engine import OutgoingDelivery
from ..engine.fifo import Fifo

_FEW = 64
"""Number of entries up to which a simple loop is good enough."""

_SPARE = 1024
"""Slots of messages in flight that may be free before the outbox checks whether most are."""


class Group:
    """Messages of an outbox that somebody waits for together.

    Attributes:
        left: how many of them haven't left the outbox.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0

    def on_left(self) -> None:
        """Handle that the last of them has left."""


class Entry:
    """One message in an `Outbox`.

    Attributes:
        item: the message, an object of the front's.
        deadline: when it expires, in monotonic seconds; None for never.
        group: the messages that somebody waits for together with it; None if there is no such group.
        outbox: the outbox it belongs to.
        delivery: its delivery while an outcome is awaited, otherwise None.
        done: whether it has left the outbox.
        place: its number in the order in which messages were handed over.
        passed: how many of those before it had left when `overtaken` last checked; -1 if it hasn't checked yet.
        settled: whether to send it settled, over a link of mode mixed.
        seen: when `overtaken` last noticed that one of those before it had left.
        slot: its place among the messages in flight; -1 if it never was.
        ends: how often it was on its way when the peer ended the link, and may be the reason. From then on it is sent
            alone, so that no other message is suspected.
        waits: whether it is in a queue of the outbox.
        tag: the delivery-tag to send it with; None for the link's counter.
        message_format: the message-format to send it with.
        tries: how often it was put back to wait.
        may_have_arrived: whether some of it was on the wire of a link that is gone or whose outcome is no longer
            awaited.
    """

    __slots__ = (
        "deadline",
        "delivery",
        "done",
        "ends",
        "group",
        "item",
        "may_have_arrived",
        "message_format",
        "outbox",
        "passed",
        "place",
        "seen",
        "settled",
        "slot",
        "tag",
        "tries",
        "waits",
    )

    def __init__(
        self, item: Any, deadline: float | None, group: Group | None = None, outbox: Outbox | None = None
    ) -> None:
        self.item = item
        self.deadline = deadline
        self.group = group
        self.outbox = outbox
        self.delivery: OutgoingDelivery | None = None
        self.done = False
        self.ends = 0
        self.place = 0
        self.passed = -1
        self.seen = 0.0
        self.settled = False
        self.slot = -1
        self.waits = False
        self.tag: bytes | None = None
        self.message_format = 0
        self.tries = 0
        self.may_have_arrived = False


class InFlight:
    """Entries in the order in which they were handed over. Each knows its slot, so removing it takes no search.

    Attributes:
        count: number of entries.
    """

    __slots__ = ("_slots", "count")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._slots: list[Entry | None] = []
        self.count = 0
        for entry in entries:
            self.add(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter([entry for entry in self._slots if entry is not None])

    def add(self, entry: Entry) -> None:
        """Add an entry at the end."""
        slots = self._slots
        entry.slot = len(slots)
        slots.append(entry)
        self.count += 1

    def remove(self, entry: Entry) -> None:
        """Remove an entry if it is there."""
        slots = self._slots
        slot = entry.slot
        if not 0 <= slot < len(slots) or slots[slot] is not entry:
            return
        slots[slot] = None
        self.count -= 1
        if len(slots) > 2 * self.count + _SPARE:
            self._close_up()

    def _close_up(self) -> None:
        """Remove the free slots, because more than half of them are free."""
        left = list(self)
        for slot, entry in enumerate(left):
            entry.slot = slot
        self._slots = list(left)


class Outbox:
    """The messages of one sending client, in the order in which they were added.

    A message waits, is handed over (`next_ready`, then `handed_over`), and leaves with an outcome (`finish`) or goes
    back to wait (`put_back`). During a back-off, nothing is handed over. `expired` returns messages past their
    deadline, wherever they are.

    A message that leaves while it waits stays in its queue, marked as done, until its turn comes or half of the queue
    is done: removing each at once would mean walking through the queue.

    Attributes:
        owner: for the outbox's user to use freely.
    """

    __slots__ = (
        "_deadlines",
        "_done_count",
        "_held_until",
        "_in_flight",
        "_in_order",
        "_latest",
        "_places",
        "_returned",
        "_sent_alone",
        "_sequence",
        "_swept_at",
        "_waiting",
        "_whole",
        "owner",
    )

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner
        self._returned = Fifo()  # entries that were put back
        self._waiting = Fifo()  # entries that were never handed over
        self._done_count = 0  # entries in these two that are done
        self._swept_at = _FEW  # the count at which to check whether they are half
        self._whole = True  # False while a change is under way
        self._in_flight = InFlight()
        self._places = 0
        self._sent_alone: Entry | None = None  # the message in flight that is sent alone
        self._in_order = Fifo()  # entries with deadlines, as long as each has a later one than those before it
        self._latest = 0.0  # the last of these deadlines
        self._deadlines: list[tuple[float, int, Entry]] = []  # a heap of the others
        self._sequence = 0
        self._held_until: float | None = None

    def __len__(self) -> int:
        return self.waiting + self._in_flight.count

    @property
    def in_flight(self) -> int:
        """Number of messages that wait for an outcome."""
        return self._in_flight.count

    def is_awaiting(self) -> bool:
        """Return whether an outcome is awaited."""
        return self._in_flight.count > 0

    @property
    def waiting(self) -> int:
        """Number of messages that wait to be sent."""
        if not self._whole:
            self._repair()
        return len(self._returned) + len(self._waiting) - self._done_count

    def entries(self) -> list[Entry]:
        """Return an entry for every message that hasn't left, those in flight first."""
        return [entry for entry in (*self._in_flight, *self._returned, *self._waiting) if not entry.done]

    def items(self) -> list[Any]:
        """Return every message that hasn't left, those in flight first."""
        return [entry.item for entry in self.entries()]

    def add(self, item: Any, deadline: float | None = None, group: Group | None = None) -> Entry:
        """Add a message."""
        entry = self.new_entry(item, deadline, group)
        self.add_entry(entry)
        return entry

    def new_entry(self, item: Any, deadline: float | None, group: Group | None) -> Entry:
        """Return an entry for a message, to be passed to `add_entry`."""
        entry = Entry.__new__(Entry)  # without a constructor's calls
        entry.item = item
        entry.deadline = deadline
        entry.group = group
        entry.outbox = self
        entry.delivery = None
        entry.done = entry.waits = entry.may_have_arrived = entry.settled = False
        entry.ends = entry.tries = 0
        entry.slot = -1
        entry.tag = None
        entry.message_format = 0
        return entry

    def add_entry(self, entry: Entry) -> None:
        """Add a message that already has an entry."""
        if not self._whole:
            self._repair()
        self._whole = False
        self._waiting.append(entry)
        entry.waits = True
        if entry.group is not None:
            entry.group.left += 1
        if entry.deadline is not None:
            self._add_deadline(entry, entry.deadline)
        self._whole = True

    def add_in_flight(self, entry: Entry, delivery: OutgoingDelivery) -> None:
        """Add a message that the link already has and that never waited; await its outcome."""
        if not self._whole:
            self._repair()
        self._whole = False
        if entry.group is not None:
            entry.group.left += 1
        if entry.deadline is not None:
            self._add_deadline(entry, entry.deadline)
        self.handed_over(entry, delivery)

    def _add_deadline(self, entry: Entry, deadline: float) -> None:
        in_order = self._in_order
        self._drop_done(in_order)
        there = len(self._returned) + len(self._waiting) + self._in_flight.count
        if len(in_order) + len(self._deadlines) > 2 * (there + _FEW):
            # Most have left, but are stuck behind one that is far off.
            self._in_order = in_order = _undone(in_order)
            self._deadlines = [each for each in self._deadlines if not each[2].done]
            heapq.heapify(self._deadlines)
        if deadline >= self._latest or not len(in_order):
            self._latest = deadline
            in_order.append(entry)
        else:
            self._sequence += 1
            heapq.heappush(self._deadlines, (deadline, self._sequence, entry))

    def _drop_done(self, in_order: Fifo) -> Entry | None:
        """Return the first of the entries with deadlines that hasn't left, after removing those before it."""
        entry: Entry | None = in_order.first()
        while entry is not None and entry.done:
            in_order.pop()
            entry = in_order.first()
        return entry

    def next_ready(self, now: float) -> Entry | None:
        """Return the next message to send, which stays where it is until `handed_over`.

        Return None if there is none, during a back-off, and while another message has to be sent alone.
        """
        if self._held_until is not None:
            if now < self._held_until:
                return None
            self._held_until = None
        if not self._whole:
            self._repair()
        entry: Entry | None = self._returned.first()
        if entry is not None and entry.done:
            entry = self._first(self._returned)
        if entry is None:
            entry = self._waiting.first()
            if entry is not None and entry.done:
                entry = self._first(self._waiting)
        if entry is None or self._sent_alone is not None or (entry.ends > 0 and self._in_flight.count):
            return None
        return entry

    def _first(self, queue: Fifo) -> Entry | None:
        """Return the first message in a queue, after removing those that have left."""
        entry: Entry | None = queue.first()
        while entry is not None and entry.done:
            self._whole = False
            queue.pop()
            self._done_count -= 1
            self._whole = True
            entry = queue.first()
        return entry

    def handed_over(self, entry: Entry, delivery: OutgoingDelivery) -> None:
        """Record that the link has the message that `next_ready` returned; await its outcome."""
        self._whole = False
        entry.delivery = delivery
        entry.place = self._places
        entry.passed = -1
        self._places += 1
        self._in_flight.add(entry)
        if entry.ends > 0:
            self._sent_alone = entry
        if entry.waits:
            if not self._waiting.drop(entry):
                self._returned.drop(entry)
            entry.waits = False
        self._whole = True

    def not_handed_over(self, entry: Entry) -> None:
        """Let a message wait as before, because handing it over was interrupted and the link doesn't have it."""
        self._leave_flight(entry)
        if not entry.done and self._returned.first() is not entry and self._waiting.first() is not entry:
            self._returned.append(entry)
        self._repair()

    def finish(self, entry: Entry) -> None:
        """Let a message leave, if it hasn't left."""
        if entry.done:
            return
        if not self._whole:
            self._repair()
        self._whole = False
        entry.done = True
        if entry.delivery is not None:
            self._leave_flight(entry)
        elif entry.waits:
            self._done_count += 1
            if self._done_count > self._swept_at:
                self._sweep_if_due()
        self._whole = True
        if not self._in_flight.count and len(self._returned) + len(self._waiting) == self._done_count:
            self._forget_deadlines()  # nobody asks for them when nothing waits
        group = entry.group
        if group is not None:
            group.left -= 1
            if group.left <= 0:
                group.on_left()

    def _leave_flight(self, entry: Entry) -> None:
        """Record that a message is no longer in flight."""
        entry.delivery = None
        self._in_flight.remove(entry)
        if self._sent_alone is entry:
            self._sent_alone = None

    def _sweep_if_due(self) -> None:
        """Remove done messages if they are half of all; otherwise check again when they may be."""
        there = len(self._returned) + len(self._waiting)
        if 2 * self._done_count > there:
            self._sweep()
        else:
            self._swept_at = max(_FEW, there // 2)

    def _sweep(self) -> None:
        """Remove done messages, wherever they are."""
        self._returned = _undone(self._returned)
        self._waiting = _undone(self._waiting)
        self._done_count = 0
        self._swept_at = _FEW

    def _repair(self) -> None:
        """Repair what an interrupt in the middle of a change has left: whatever is in a queue waits."""
        self._sweep()
        self._in_flight = InFlight(self._in_flight)
        for entry in (*self._returned, *self._waiting, *[entry for entry in self._in_flight if entry.done]):
            self._leave_flight(entry)
            entry.waits = not entry.done
        self._whole = True

    def put_back(self, entry: Entry, hold_until: float | None = None) -> None:
        """Let a message wait again, in front of those that were never sent.

        Args:
            entry: the message.
            hold_until: the time before which nothing is handed over.
        """
        if not self._whole:
            self._repair()
        self._whole = False
        self._returned.append(entry)
        self._leave_flight(entry)
        entry.waits = True
        self._whole = True
        if hold_until is not None and (self._held_until is None or hold_until > self._held_until):
            self._held_until = hold_until

    def hold(self, until: float) -> None:
        """Hand nothing over before then, which is one of `next_deadline`, unless a back-off lasts longer."""
        if self._held_until is None:
            self._held_until = until

    def trust(self) -> None:
        """Let waiting messages be sent together again, because the suspected one was found."""
        for entry in self.entries():
            entry.ends = 0
        self._sent_alone = None

    def overtaken(self, now: float, patience: float) -> list[Entry]:
        """Return the messages without a deadline whose outcome seems to be lost although others arrive.

        For `patience` seconds, neither they nor any message handed over before them has left. The caller has to let
        them leave.

        This goes through all messages in flight, and compares with what it saw at the previous call: call it from time
        to time. It may take up to twice `patience` to notice.
        """
        found: list[Entry] = []
        for index, entry in enumerate(self._in_flight):
            passed = entry.place - index
            if passed != entry.passed:
                entry.seen = now
            elif entry.deadline is None and not entry.done and now - entry.seen >= patience:
                found.append(entry)
                continue
            entry.passed = passed + len(found)  # their leaving is no sign of life
        return found

    def expired(self, now: float) -> list[Entry]:
        """Return the messages whose deadline has passed; each is returned once, and hasn't left yet."""
        if self._held_until is not None and self._held_until <= now:
            self._held_until = None
        found: list[Entry] = []
        entry = self._drop_done(self._in_order)
        while entry is not None and entry.deadline is not None and entry.deadline <= now:
            found.append(entry)
            self._in_order.pop()
            entry = self._drop_done(self._in_order)
        deadlines = self._deadlines
        if not deadlines or deadlines[0][0] > now:
            return found
        over: list[tuple[float, int, Entry]] = []
        while deadlines and deadlines[0][0] <= now:
            over.append(heapq.heappop(deadlines))
            if len(over) == _FEW:  # for many, one by one would take longer
                over += sorted(each for each in deadlines if each[0] <= now)
                self._deadlines = [each for each in deadlines if each[0] > now]
                heapq.heapify(self._deadlines)
                break
        found += [entry for _, _, entry in over if not entry.done]
        found.sort(key=_deadline_of)
        return found

    def next_deadline(self) -> float | None:
        """Return when the next message expires or a back-off ends, or None if neither will happen.

        A time in the past is returned until `expired` is called.
        """
        while self._deadlines and self._deadlines[0][2].done:
            heapq.heappop(self._deadlines)
        deadline = self._deadlines[0][0] if self._deadlines else None
        entry = self._drop_done(self._in_order)
        earliest = None if entry is None else entry.deadline
        if earliest is not None and (deadline is None or earliest < deadline):
            deadline = earliest
        if self._held_until is not None and self.waiting and (deadline is None or self._held_until < deadline):
            deadline = self._held_until
        return deadline

    def clear(self) -> list[Any]:
        """Remove all messages, and return them."""
        items = self.items()
        for entry in self.entries():
            self.finish(entry)
        self._returned.clear()
        self._waiting.clear()
        self._done_count = 0
        self._forget_deadlines()
        self._held_until = None
        return items

    def _forget_deadlines(self) -> None:
        if self._deadlines:
            self._deadlines = []
        if len(self._in_order):
            self._in_order = Fifo()


def _undone(queue: Fifo) -> Fifo:
    kept = Fifo()
    for entry in queue:
        if not entry.done:
            kept.append(entry)
    return kept


def _deadline_of(entry: Entry) -> float:
    return 0.0 if entry.deadline is None else entry.deadline
