"""`Timers`: each is called when its deadline has come, and not before; nothing waits, the time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.core.timers import Timers


class Item:
    """Has deadlines, one after the other."""

    def __init__(self, *deadlines: float) -> None:
        self.deadlines = sorted(deadlines)
        self.calls: list[float] = []
        self.asked = 0

    def next_deadline(self) -> float | None:
        self.asked += 1
        return self.deadlines[0] if self.deadlines else None

    def expire(self, now: float) -> None:
        self.calls.append(now)
        while self.deadlines and self.deadlines[0] <= now:
            self.deadlines.pop(0)


def test_nothing_is_due() -> None:
    timers = Timers()
    timers.watch(Item())
    assert timers.next_deadline() is None
    assert not timers.expire(1e9)


def test_each_is_called_at_its_deadlines() -> None:
    timers, first, second = Timers(), Item(10, 30), Item(20)
    timers.watch(first)
    timers.watch(second)
    assert timers.next_deadline() == 10
    assert not timers.expire(9.9)
    assert timers.expire(10)
    assert (first.calls, second.calls) == ([10], [])
    assert timers.next_deadline() == 20
    assert timers.expire(25)
    assert timers.expire(35)
    assert (first.calls, second.calls) == ([10, 35], [25])
    assert timers.next_deadline() is None


def test_one_that_has_an_earlier_deadline_says_so() -> None:
    timers, item = Timers(), Item(50)
    timers.watch(item)
    item.deadlines.insert(0, 5)
    timers.watch(item)
    assert timers.next_deadline() == 5
    assert timers.expire(5)
    assert timers.next_deadline() == 50
    assert timers.expire(50)
    assert item.calls == [5, 50]


def test_a_deadline_that_moves_on_is_looked_at_once() -> None:
    """Not each time it moves, as it does with each outcome."""
    timers, item = Timers(), Item(10)
    timers.watch(item)
    for deadline in range(11, 1000):
        item.deadlines = [deadline]
        timers.watch(item)
    asked = item.asked
    for now in range(10):
        assert not timers.expire(now)
    assert item.asked == asked
    assert not timers.expire(10)
    assert timers.next_deadline() == 999
    assert item.calls == []
    assert timers.expire(999)


def test_one_that_is_forgotten_is_not_called() -> None:
    timers, first, second = Timers(), Item(1), Item(2)
    timers.watch(first)
    timers.watch(second)
    timers.forget(first)
    timers.forget(first)
    assert timers.next_deadline() == 2
    assert timers.expire(5)
    assert (first.calls, second.calls) == ([], [5])
    timers.watch(first)
    assert timers.expire(5)
    assert first.calls == [5]


def test_one_that_stays_due_is_called_once_at_a_time() -> None:
    class Stubborn(Item):
        def expire(self, now: float) -> None:
            self.calls.append(now)

    timers, item = Timers(), Stubborn(1)
    timers.watch(item)
    assert timers.expire(2)
    assert timers.expire(3)
    assert item.calls == [2, 3]


def test_one_that_raises_leaves_the_others_for_the_next_time() -> None:
    class Failing(Item):
        def expire(self, now: float) -> None:
            super().expire(now)
            raise KeyError(now)

    timers, failing, other = Timers(), Failing(1, 7), Item(2)
    timers.watch(failing)
    timers.watch(other)
    with pytest.raises(KeyError):
        timers.expire(5)
    assert timers.expire(5)
    assert other.calls == [5]
    assert timers.next_deadline() == 7


@given(st.lists(st.lists(st.integers(0, 50), max_size=5), max_size=5), st.lists(st.integers(0, 60), max_size=20))
def test_any_deadlines(deadlines: list[list[int]], times: list[int]) -> None:
    timers, items = Timers(), [Item(*each) for each in deadlines]
    for item in items:
        timers.watch(item)
    for now in sorted(times):
        left = [[at for at in item.deadlines if at > now] for item in items]
        due = any(item.deadlines and item.deadlines[0] <= now for item in items)
        assert timers.expire(now) is due
        assert [item.deadlines for item in items] == left
        assert timers.next_deadline() == min((each[0] for each in left if each), default=None)
