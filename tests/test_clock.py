"""The clock of the tests, which they move on: see `clock`."""

from __future__ import annotations

import asyncio
import threading
import time

from tests.support.clock import Clock, moving_clock
from uamqp import SendClient, c_uamqp
from uamqp.testing import Broker
from uamqp.transport.sansio import clock as library


def test_the_library_has_it_as_long_as_the_test_lasts() -> None:
    real = library.now, library.wall
    with moving_clock() as clock:
        counter = c_uamqp.TickCounter()
        assert counter.get_current_ms() == 0
        clock.move(1000)
        assert counter.get_current_ms() >= 1_000_000
        assert library.now() >= time.monotonic() + 999
        assert library.wall() >= time.time() + 999
    assert (library.now, library.wall) == real


def test_an_event_loop_that_runs_on_does_not_go_back() -> None:
    loop = asyncio.new_event_loop()
    real = time.monotonic()
    with moving_clock() as clock:
        loop.run_until_complete(asyncio.sleep(0))
        clock.move(1000)
        before = loop.time()
        assert before >= real + 1000
    assert loop.time() >= before
    loop.close()


def test_who_sleeps_is_woken(clock: Clock) -> None:
    async def sleep() -> None:
        task = asyncio.ensure_future(asyncio.sleep(1000))
        await asyncio.sleep(0)
        threading.Timer(0.01, clock.move, [1001]).start()
        await asyncio.wait_for(task, 2000)

    asyncio.run(sleep())
    with Broker() as broker, SendClient(f"{broker.url}/q") as client:
        client.open()
        while not client.client_ready():
            pass
        threading.Timer(0.01, clock.move, [1001]).start()
        client._connection.sleep(1000)  # type: ignore[union-attr]


def test_it_may_stand_still_for_the_library(clock: Clock) -> None:
    happened = False
    clock.stand_until(lambda: happened)
    before = clock.now()
    assert clock.now() == clock.now() == before
    happened = True
    while clock.now() == before:
        pass
    assert before < clock.now() < before + 10


def test_it_may_move_on_when_something_has_happened(clock: Clock) -> None:
    with Broker() as broker, SendClient(f"{broker.url}/q") as client:
        client.open()
        while not client.client_ready():
            pass
        happened = threading.Event()
        clock.stand_until(happened.is_set, then=1000)
        threading.Timer(0.01, happened.set).start()
        client._connection.sleep(1000)  # type: ignore[union-attr]


def test_it_is_moved_by_nobody_when_the_test_is_over() -> None:
    with moving_clock() as clock:
        clock.stand_until(lambda: False, then=1000)
        mover = next(thread for thread in threading.enumerate() if thread.name == "clock")
    assert not mover.is_alive()
