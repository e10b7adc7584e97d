"""`Outbox`: messages on their way out, without any I/O or clock."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from uamqp.core import Entry, Outbox

DELIVERY: Any = object()


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
