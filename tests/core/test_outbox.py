"""`Outbox`: messages on their way out, without any I/O or clock."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lines import growth, interrupted, plain
from uamqp.core import Entry, Group, Outbox

DELIVERY: Any = object()
FILES = ("outbox.py", "fifo.py")


def filled(*items: str, deadline: float | None = None) -> Outbox:
    outbox: Outbox = Outbox()
    for item in items:
        outbox.add(item, deadline)
    return outbox


def hand_over(outbox: Outbox, now: float = 0.0) -> Entry | None:
    entry = outbox.next_ready(now)
    if entry is not None:
        outbox.handed_over(entry, DELIVERY)
    return entry


def taken(outbox: Outbox, now: float = 0.0) -> list[str]:
    """All that can be handed over now, in order."""
    found = []
    while (entry := hand_over(outbox, now)) is not None:
        found.append(entry.item)
    return found


def test_messages_leave_in_their_order() -> None:
    outbox = filled("a", "b", "c")
    assert (len(outbox), outbox.waiting, outbox.in_flight) == (3, 3, 0)
    assert taken(outbox) == ["a", "b", "c"]
    assert (len(outbox), outbox.waiting, outbox.in_flight) == (3, 0, 3)
    assert hand_over(outbox) is None
    for entry in outbox.entries():
        outbox.finish(entry)
        assert entry.done
        assert entry.delivery is None
    assert len(outbox) == 0
    assert outbox.next_deadline() is None


def test_messages_in_flight_leave_in_any_order() -> None:
    """The others stay in theirs, however many have left between them."""
    outbox = filled(*map(str, range(6000)))
    entries = [hand_over(outbox) for _ in range(5000)]
    assert all(entries)
    left = [str(number) for number in range(5000)]
    for number, entry in enumerate(Random(1).sample(entries, 4990)):
        assert entry is not None
        outbox.finish(entry)
        left.remove(entry.item)
        if number % 500 == 0:
            assert outbox.items()[: len(left)] == left
    assert taken(outbox) == [str(number) for number in range(5000, 6000)]
    assert outbox.items() == [*left, *(str(number) for number in range(5000, 6000))]
    for entry in outbox.entries():
        outbox.finish(entry)
    assert (len(outbox), outbox.in_flight, outbox.is_awaiting()) == (0, 0, False)


def lost(outbox: Outbox, now: float, patience: float = 8.0) -> list[str]:
    """What `overtaken` finds; it leaves."""
    found = outbox.overtaken(now, patience)
    for entry in found:
        outbox.finish(entry)
    return [entry.item for entry in found]


def test_a_message_whose_outcome_is_lost_is_found_while_others_leave() -> None:
    outbox = filled("a", "b", *(f"{number}" for number in range(20)))
    entries = outbox.entries()
    for now, entry in enumerate(entries):  # one a second: handed over, and gone; except for the second
        hand_over(outbox)
        found = lost(outbox, float(now))
        assert found == (["b"] if now == 9 else []), now
        if entry.item != "b":
            outbox.finish(entry)
    assert len(outbox) == 0


def test_messages_whose_turn_has_not_come_are_not_lost() -> None:
    """The peer gives its outcomes in order, and takes its time: one every five seconds."""
    outbox = filled(*"abcdefgh")
    taken(outbox)
    for number, entry in enumerate(outbox.entries()):
        for now in range(5):
            assert lost(outbox, 5.0 * number + now) == []
        outbox.finish(entry)


def test_all_that_are_lost_are_found_in_their_own_time() -> None:
    """That one of them is given up is no sign of life for the next."""
    outbox = filled(*"abcdefgh")
    taken(outbox)
    entries = {entry.item: entry for entry in outbox.entries()}
    gone = {0: "a", 2: "d", 3: "f", 4: "h"}  # b, c, e and g have no outcome
    found: dict[int, list[str]] = {}
    for now in range(20):
        if now in gone:
            outbox.finish(entries[gone[now]])
        if lost_now := lost(outbox, float(now)):
            found[now] = lost_now
    assert found == {8: ["b", "c"], 10: ["e"], 11: ["g"]}


def test_deadlines_of_their_own_and_other_tries() -> None:
    outbox = filled("own", deadline=100.0)
    for item in ("again", "last"):
        outbox.add(item)
    taken(outbox)
    own, again, last = outbox.entries()
    assert lost(outbox, 0.0) == []
    outbox.put_back(again)  # refused: it goes out again, behind the other
    assert taken(outbox) == ["again"]
    assert lost(outbox, 5.0) == []
    assert lost(outbox, 12.9) == []
    assert lost(outbox, 13.0) == ["last", "again"]
    assert outbox.items() == ["own"]
    outbox.finish(own)
    assert last.done


def test_what_is_put_back_goes_first() -> None:
    outbox = filled("a", "b", "c")
    first, second = hand_over(outbox), hand_over(outbox)
    assert first is not None
    assert second is not None
    outbox.put_back(first)
    outbox.put_back(second)
    assert outbox.items() == ["a", "b", "c"]
    assert taken(outbox) == ["a", "b", "c"]


def test_a_back_off_holds_everything() -> None:
    outbox = filled("a", "b")
    entry = hand_over(outbox)
    assert entry is not None
    outbox.put_back(entry, hold_until=5.0)
    assert outbox.next_deadline() == 5.0
    assert taken(outbox, now=4.9) == []
    assert taken(outbox, now=5.0) == ["a", "b"]
    assert outbox.next_deadline() is None


def test_the_longer_back_off_counts() -> None:
    outbox = filled("a", "b")
    entries = [hand_over(outbox), hand_over(outbox)]
    for entry, hold in zip(entries, (5.0, 3.0), strict=True):
        assert entry is not None
        outbox.put_back(entry, hold_until=hold)
    assert taken(outbox, now=4.0) == []
    assert taken(outbox, now=5.0) == ["a", "b"]


def test_deadlines() -> None:
    outbox: Outbox = Outbox()
    outbox.add("late", 9.0)
    outbox.add("never")
    early = outbox.add("early", 2.0)
    assert outbox.next_deadline() == 2.0
    assert outbox.expired(1.9) == []
    assert outbox.expired(2.0) == [early]
    assert outbox.expired(2.0) == []  # once
    outbox.finish(early)
    assert outbox.next_deadline() == 9.0
    assert outbox.items() == ["late", "never"]


def test_deadlines_hold_wherever_the_message_is() -> None:
    outbox = filled("in flight", "again", "waiting", deadline=5.0)
    first, second = hand_over(outbox), hand_over(outbox)
    assert first is not None
    assert second is not None
    outbox.put_back(second, hold_until=50.0)
    expired = outbox.expired(5.0)
    assert sorted(entry.item for entry in expired) == ["again", "in flight", "waiting"]
    for entry in expired:
        outbox.finish(entry)
    assert len(outbox) == 0


def test_what_has_left_does_not_expire() -> None:
    outbox = filled("a", deadline=1.0)
    entry = hand_over(outbox)
    assert entry is not None
    outbox.finish(entry)
    assert outbox.next_deadline() is None
    assert outbox.expired(2.0) == []


def test_a_back_off_of_nothing_is_no_deadline() -> None:
    outbox = filled("a")
    entry = hand_over(outbox)
    assert entry is not None
    outbox.put_back(entry, hold_until=5.0)
    outbox.finish(entry)
    assert outbox.next_deadline() is None


def test_clearing() -> None:
    outbox = filled("a", "b", "c", deadline=1.0)
    entries = outbox.entries()
    hand_over(outbox)
    assert outbox.clear() == ["a", "b", "c"]
    assert len(outbox) == 0
    assert all(entry.done for entry in entries)
    assert outbox.expired(2.0) == []
    outbox.add("d")
    assert taken(outbox) == ["d"]


def test_clearing_ends_a_back_off() -> None:
    outbox = filled("a", "b")
    entry = hand_over(outbox)
    assert entry is not None
    outbox.put_back(entry, hold_until=50.0)
    assert sorted(outbox.clear()) == ["a", "b"]
    outbox.add("c")
    assert outbox.next_deadline() is None
    assert taken(outbox, now=1.0) == ["c"]


def test_an_entry_knows_its_deadline_and_delivery() -> None:
    outbox: Outbox = Outbox()
    entry = outbox.add("a", 5.0)
    assert (entry.deadline, entry.delivery, entry.done) == (5.0, None, False)
    assert hand_over(outbox) is entry
    assert entry.delivery is DELIVERY
    outbox.put_back(entry, 7.0)
    assert entry.delivery is None
    assert outbox.next_deadline() == 5.0  # the deadline comes before the back-off's end
    outbox.add("b")
    assert outbox.entries()[0] is entry


@given(st.lists(st.sampled_from(["add", "hand over", "finish", "put back", "expire"]), max_size=60))
def test_nothing_is_lost_or_handed_out_twice(steps: list[str]) -> None:
    outbox: Outbox = Outbox()
    model_waiting: set[int] = set()
    in_flight: dict[int, Entry] = {}
    number = 0
    for now, step in enumerate(steps):
        if step == "add":
            outbox.add(number, now + 7.0 if number % 2 else None)
            model_waiting.add(number)
            number += 1
        elif step == "hand over":
            entry = outbox.next_ready(float(now))
            if entry is not None:
                outbox.handed_over(entry, DELIVERY)
                model_waiting.remove(entry.item)
                assert entry.item not in in_flight
                in_flight[entry.item] = entry
        elif in_flight and step in ("finish", "put back"):
            item, entry = in_flight.popitem()
            if step == "finish":
                outbox.finish(entry)
            else:
                outbox.put_back(entry, now + 3.0 if item % 3 == 0 else None)
                model_waiting.add(item)
        elif step == "expire":
            for entry in outbox.expired(float(now)):
                outbox.finish(entry)
                model_waiting.discard(entry.item)
                in_flight.pop(entry.item, None)
        assert sorted(outbox.items()) == sorted([*model_waiting, *in_flight])
        assert (outbox.waiting, outbox.in_flight) == (len(model_waiting), len(in_flight))


class Told(Group):
    """A group that notes when it was told that all have left."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def on_left(self) -> None:
        self.told.append(self.left)


def test_a_group_is_told_when_its_last_has_left() -> None:
    outbox: Outbox = Outbox()
    group, other = Told(), Told()
    first = outbox.add("a", None, group)
    second = outbox.add("b", 5.0, group)
    third = outbox.add("c", None, other)
    assert (group.left, other.left) == (2, 1)
    hand_over(outbox)
    outbox.put_back(first)
    assert group.left == 2
    outbox.finish(second)
    outbox.finish(second)
    assert (group.left, group.told) == (1, [])
    outbox.finish(first)
    assert (group.told, other.told) == ([0], [])
    assert outbox.clear() == ["c"]
    assert other.told == [0]
    assert third.done


def test_what_has_left_while_it_waited_is_let_go() -> None:
    """It isn't looked for in its queue; but no more of it stays there than half of the queue."""
    outbox: Outbox = Outbox()
    entries = [outbox.add(str(number)) for number in range(1000)]
    for entry in entries[1:]:
        outbox.finish(entry)
        assert len(outbox._waiting) <= 2 * outbox.waiting + 65
    assert (len(outbox), outbox.items()) == (1, ["0"])
    assert taken(outbox) == ["0"]
    outbox.finish(entries[0])
    assert len(outbox) == outbox.waiting == 0
    later = outbox.add("later")
    outbox.finish(later)
    assert hand_over(outbox) is None
    assert len(outbox._waiting) == 0


def test_deadlines_of_what_has_left_are_let_go() -> None:
    """One that is far off, and whose message stays, doesn't hold those of all that have left since."""
    outbox: Outbox = Outbox()
    outbox.add("stays", 1.0)
    hand_over(outbox)
    for number in range(1000):
        outbox.add(number, 2.0 + number)
        entry = hand_over(outbox)
        assert entry is not None
        outbox.finish(entry)
        assert len(outbox._deadlines) < 200
    assert outbox.next_deadline() == 1.0


def test_who_may_have_ended_the_link_goes_alone() -> None:
    outbox = filled("a", "b", "c", "d")
    first, second, third = (hand_over(outbox) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    for entry in (first, second):
        entry.ends = 1
    outbox.put_back(first)
    outbox.put_back(second)
    assert hand_over(outbox) is None  # the third is on its way
    outbox.finish(third)
    assert hand_over(outbox) is first
    assert hand_over(outbox) is None
    outbox.put_back(first)
    assert hand_over(outbox) is second  # whoever was put back waits behind it
    assert hand_over(outbox) is None
    outbox.finish(second)
    outbox.trust()
    assert taken(outbox) == ["a", "d"]


@pytest.mark.parametrize("order", ["as they came", "the other way round", "every other"])
@pytest.mark.parametrize("put_back", [False, True])
def test_leaving_is_no_walk_through_the_queue(order: str, put_back: bool) -> None:
    """When many leave at once, each costs what it would alone."""

    def work(count: int) -> Callable[[], None]:
        outbox: Outbox = Outbox()
        entries = [outbox.add(number, 1.0) for number in range(count)]
        if put_back:
            while hand_over(outbox) is not None:
                pass
            for entry in entries:
                outbox.put_back(entry)

        def leave() -> None:
            leaving = outbox.expired(1.0)
            if order == "the other way round":
                leaving.reverse()
            elif order == "every other":
                leaving = leaving[::2] + leaving[1::2]
            for entry in leaving:
                outbox.finish(entry)
            assert len(outbox) == 0

        return leave

    assert growth(work, 2000, 8) < 24


@plain
def test_a_change_that_was_broken_off_is_put_right() -> None:
    """An interrupt may come between any two lines; with the next change the outbox is whole again."""
    for change in ("add", "add in flight", "hand over", "finish", "finish in flight", "put back"):
        at = 0
        more = True
        while more:
            outbox = filled("a", "b", "c")
            flying = hand_over(outbox)
            assert flying is not None
            waiting = outbox.next_ready(0.0)
            assert waiting is not None
            new = Entry("new", 9.0, None, outbox)
            changes: dict[str, Callable[[], Any]] = {
                "add": lambda new=new, outbox=outbox: outbox.add_entry(new),  # type: ignore[misc]
                "add in flight": lambda new=new, outbox=outbox: outbox.add_in_flight(new, DELIVERY),  # type: ignore[misc]
                "hand over": lambda entry=waiting, outbox=outbox: outbox.handed_over(entry, DELIVERY),  # type: ignore[misc]
                "finish": lambda entry=waiting, outbox=outbox: outbox.finish(entry),  # type: ignore[misc]
                "finish in flight": lambda entry=flying, outbox=outbox: outbox.finish(entry),  # type: ignore[misc]
                "put back": lambda entry=flying, outbox=outbox: outbox.put_back(entry),  # type: ignore[misc]
            }
            more = interrupted(changes[change], at, *FILES)
            if more and change == "hand over":
                outbox.not_handed_over(waiting)
            outbox.finish(new)
            outbox.finish(flying)
            outbox.finish(waiting)
            assert (len(outbox), outbox.waiting, outbox.in_flight, outbox.items()) == (1, 1, 0, ["c"]), (change, at)
            assert taken(outbox) == ["c"], (change, at)
            at += 1
        assert at > 3


@plain
def test_letting_go_of_those_that_have_left_may_be_broken_off() -> None:
    """Most of what was in flight has left: an interrupt while the rest is moved together loses none of it."""
    at = 0
    more = True
    while more:
        outbox = filled(*map(str, range(1100)))
        entries = [entry for _ in range(1100) if (entry := hand_over(outbox)) is not None]
        for entry in entries[38:]:
            outbox.finish(entry)
        more = interrupted(lambda outbox=outbox, entry=entries[0]: outbox.finish(entry), at, *FILES)  # type: ignore[misc]
        outbox.put_back(entries[1])
        outbox.finish(entries[0])
        assert outbox.items() == [*(str(number) for number in range(2, 38)), "1"], at
        for entry in entries[:38]:
            outbox.finish(entry)
        assert (len(outbox), outbox.waiting, outbox.in_flight) == (0, 0, 0), at
        at += 7
    assert at > 100


def test_what_has_left_is_let_go_of() -> None:
    """Whoever waits for nothing any more doesn't ask for deadlines."""

    class Item:
        """Can be referred to weakly."""

    box, items = Outbox(), [Item() for _ in range(100)]
    for item in items:
        box.add(item, 3600.0)
    references = [weakref.ref(item) for item in items]
    while (entry := hand_over(box)) is not None:
        pass
    for entry in box.entries():
        box.finish(entry)
    del entry, item, items
    gc.collect()
    assert [reference() for reference in references] == [None] * 100
