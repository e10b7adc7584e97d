"""Chores: what one of those who wait for something does for all of them."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.peer.server import ScriptedServer
from tests.support.driving import BOTH, Connection, Counted, accept_and_leave
from tests.support.waiting import bounded, until
from uamqp.transport.asyncio.driver import AsyncDriver
from uamqp.transport.drive import run
from uamqp.transport.driver import Driver
from uamqp.transport.signals import Chore


class Shared:
    """A chore of those who each wait for something of their own."""

    def __init__(self) -> None:
        self.chore = Chore()
        self.is_due = False
        self.done_by: list[int] = []

    def come_due(self, now: float) -> None:
        self.is_due = True
        self.chore.signal.fire_one()

    async def wait(self, driver: Driver, thing: Counted, name: int) -> None:
        """As the operations of a front do."""
        caller = driver.caller()

        def begin(now: float) -> bool:
            return self.is_due and self.chore.begin(caller)

        def is_over() -> bool:
            return thing.look() or (self.is_due and self.chore.is_free(caller))

        try:
            while not thing.is_there:
                if driver.change("looking", begin):
                    await driver.turn(0)
                    self.is_due = False
                    self.done_by.append(name)
                    driver.change("being done", lambda now: self.chore.end(caller))
                else:
                    assert await driver.wait(thing.signal, is_over, None, self.chore.signal)
        finally:
            driver.change("leaving", lambda now: self.chore.end(caller))


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("cancelled", range(3))
def test_a_chore_is_done_by_one_of_those_who_wait_whoever_is_cancelled(cancelled: int, turns: int) -> None:
    connection = Connection(AsyncDriver)

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        shared, things = Shared(), [Counted() for _ in range(3)]
        tasks = [asyncio.ensure_future(shared.wait(driver, thing, n)) for n, thing in enumerate(things)]
        for _ in range(3):
            await asyncio.sleep(0)
        driver.command("coming due", shared.come_due)
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[cancelled].cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(shared.done_by) == 1
        for number, thing in enumerate(things):
            if number != cancelled:
                driver.command("deciding", thing.come)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(shared.done_by) == 1
        assert len(shared.chore.signal) == 0
        await driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


@BOTH
def test_who_is_done_leaves_the_chore_to_the_next(kind: Any) -> None:
    """It was woken for the chore, and finds what it has waited for as well."""
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        shared, things = Shared(), [Counted() for _ in range(2)]
        waits = [shared.wait(driver, thing, n) for n, thing in enumerate(things)]
        if kind is AsyncDriver:
            tasks = [asyncio.ensure_future(wait) for wait in waits]
            await asyncio.sleep(0)
        else:
            threads = [threading.Thread(target=run, args=(wait,), daemon=True) for wait in waits]
            for number, thread in enumerate(threads):
                thread.start()
                until(lambda number=number: len(shared.chore.signal) == number + 1, lambda: time.sleep(0.001))  # type: ignore[misc]

        def both(now: float) -> None:
            things[0].come(now)
            shared.come_due(now)

        driver.command("both", both)
        if kind is AsyncDriver:
            await tasks[0]
            for _ in range(6):
                await asyncio.sleep(0)
        else:
            threads[0].join(20)
            until(lambda: bool(shared.done_by), lambda: time.sleep(0.001))
        assert shared.done_by == [1]
        driver.command("deciding", things[1].come)
        await (tasks[1] if kind is AsyncDriver else joined(threads[1]))
        await driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


async def joined(thread: threading.Thread) -> None:
    thread.join(20)
    assert not thread.is_alive()
