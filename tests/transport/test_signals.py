"""Signals: who is woken, in which order, and what becomes of a wake-up that nobody takes."""

from __future__ import annotations

import asyncio
import threading

import pytest

from uamqp.transport.asyncio.signals import LoopWaiter
from uamqp.transport.signals import Signal, ThreadWaiter


class Note:
    """A waiter that notes that it was set."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def set(self) -> None:
        self.log.append(self.name)

    def wait(self, timeout: float) -> bool:
        raise NotImplementedError


def waiting(names: str) -> tuple[Signal, list[Note], list[str]]:
    signal, log = Signal(), list[str]()
    waiters = [Note(name, log) for name in names]
    for waiter in waiters:
        signal.add(waiter)
    return signal, waiters, log


def test_all_are_woken_in_order() -> None:
    signal, _, log = waiting("abc")
    assert len(signal) == 3
    signal.fire()
    assert log == ["a", "b", "c"]
    assert len(signal) == 0
    signal.fire()
    assert log == ["a", "b", "c"]


def test_one_at_a_time_is_woken_in_order() -> None:
    signal, _, log = waiting("abc")
    for woken in ("a", "ab", "abc", "abc"):
        signal.fire_one()
        assert "".join(log) == woken


def test_one_that_has_gone_is_not_woken() -> None:
    signal, waiters, log = waiting("abc")
    signal.leave(waiters[0])
    signal.fire_one()
    signal.fire()
    assert log == ["b", "c"]


def test_one_that_was_woken_and_goes_passes_it_on() -> None:
    signal, waiters, log = waiting("abc")
    signal.fire_one()
    signal.leave(waiters[0])
    signal.leave(waiters[0])  # that was all
    assert log == ["a", "b"]
    signal.leave(waiters[1])
    signal.leave(waiters[2])
    assert log == ["a", "b", "c"]


def test_one_that_has_taken_it_passes_nothing_on() -> None:
    signal, waiters, log = waiting("ab")
    signal.fire_one()
    signal.take(waiters[0])
    signal.leave(waiters[0])
    assert log == ["a"]


def test_one_that_found_nothing_is_the_first_again() -> None:
    signal, waiters, log = waiting("ab")
    signal.fire_one()
    signal.add(waiters[0])  # somebody has come in between
    signal.leave(waiters[0])  # and what it was woken for is nobody's any more
    assert log == ["a"]
    signal.add(waiters[0])
    signal.fire_one()
    assert log == ["a", "b"]
    signal.add(waiters[1])
    signal.fire_one()
    assert log == ["a", "b", "b"]


def test_those_that_all_are_woken_pass_nothing_on() -> None:
    signal, waiters, log = waiting("ab")
    signal.fire()
    signal.add(waiters[1])
    signal.leave(waiters[0])
    assert log == ["a", "b"]


# -- what waits


def test_a_thread_that_is_woken_before_it_waits_does_not_wait() -> None:
    waiter = ThreadWaiter()
    waiter.set()
    waiter.set()
    assert waiter.wait(60)
    assert not waiter.wait(0)


async def woken(here: bool, turns: int) -> None:
    waiter = LoopWaiter()
    task = asyncio.ensure_future(waiter.wait(60))
    for _ in range(turns):
        await asyncio.sleep(0)
    if here:
        waiter.set()
    else:
        thread = threading.Thread(target=waiter.set)
        thread.start()
        await asyncio.to_thread(thread.join)
    await asyncio.wait_for(task, 20)
    again = asyncio.ensure_future(waiter.wait(60))
    await asyncio.sleep(0)
    assert not again.done()  # it was set once
    again.cancel()


@pytest.mark.parametrize("here", [True, False], ids=["in the loop", "from a thread"])
@pytest.mark.parametrize("turns", range(3))
def test_a_task_is_woken_whenever_it_begins_to_wait(here: bool, turns: int) -> None:
    asyncio.run(woken(here, turns))


def test_a_task_waits_no_longer_than_its_time() -> None:
    async def wait() -> None:
        await LoopWaiter().wait(0)

    asyncio.run(wait())


def test_a_loop_that_is_closed_is_no_reason_to_fail() -> None:
    async def make() -> LoopWaiter:
        return LoopWaiter()

    waiter = asyncio.run(make())
    thread = threading.Thread(target=waiter.set)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_task_whose_loop_was_closed_is_not_woken() -> None:
    loop = asyncio.new_event_loop()
    waiters: list[LoopWaiter] = []

    async def wait() -> None:
        waiters.append(LoopWaiter())
        await waiters[0].wait(60)

    task = loop.create_task(wait())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    waiters[0].set()  # in the loop's own thread
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
