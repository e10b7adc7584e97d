"""`Steps`: what happens for every single message, with both drivers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.driving import BOTH, Connection, accept_and_leave
from tests.support.waiting import bounded
from uamqp.engine import LocalProtocolError
from uamqp.transport.asyncio.driver import AsyncDriver
from uamqp.transport.blocking.driver import BlockingDriver
from uamqp.transport.signals import SoleSignal
from uamqp.transport.steps import Steps


class Fired:
    """A waiter that notes whether it is woken."""

    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    def wait(self, timeout: float) -> bool:
        return self.is_set


def accept_and_read(peer: SocketPeer) -> None:
    peer.accept_open()
    peer.expect_eof()


def both(steps: Steps) -> tuple[Any, ...]:
    return steps.sending, steps.settling


@BOTH
def test_a_step_returns_what_its_function_does(kind: Any) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        for step in both(connection.driver.steps):
            assert step(lambda *given: given) == ()
            assert step(lambda *given: given, 1, "two") == (1, "two")
        await connection.driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


@BOTH
def test_what_the_engine_refuses_changes_nothing_and_another_exception_ends_the_connection(kind: Any) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        steps = connection.driver.steps

        def fail(error: Exception) -> None:
            raise error

        for step in both(steps):
            with pytest.raises(LocalProtocolError, match="not now"):
                step(fail, LocalProtocolError("not now"))
        assert not connection.driver.is_given_up
        with pytest.raises(ValueError, match="a fault"):
            steps.sending(fail, ValueError("a fault"))
        assert connection.driver.is_given_up
        assert "sending a message" in str(connection.core.cause)

    with ScriptedServer(accept_and_read) as server, bounded(20):
        connection.run(use(server))


@BOTH
def test_the_lock_is_held_in_a_step(kind: Any) -> None:
    connection = Connection(kind)
    lock = connection.driver.pump.lock

    def is_taken() -> bool:
        found: list[bool] = []

        def look() -> None:
            is_free = lock.acquire(blocking=False)
            found.append(not is_free)
            if is_free:
                lock.release()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return found == [True]

    assert not is_taken()
    for step in both(connection.driver.steps):
        assert step(is_taken)


def test_a_thread_has_no_future_to_sleep_on() -> None:
    steps = Connection(BlockingDriver).driver.steps
    assert not steps.has_loop
    steps.check_caller()
    with pytest.raises(RuntimeError, match="no event loop"):
        steps.begin_sleep()


@BOTH
def test_a_thread_that_waits_is_woken_by_its_signal(kind: Any) -> None:
    steps = Connection(kind).driver.steps
    signal, waiter = SoleSignal(), Fired()
    signal.add(waiter)
    steps.wake(signal)
    assert waiter.is_set


def test_a_task_is_woken_in_its_loop_and_from_another_thread() -> None:
    connection = Connection(AsyncDriver)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        steps = connection.driver.steps
        for wake in (steps.wake, lambda future: threading.Thread(target=steps.wake, args=(future,)).start()):
            future = steps.begin_sleep()
            try:
                wake(future)
                wake(future)  # once more does nothing
                await future
            finally:
                steps.end_sleep()
        await connection.driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


def test_another_loop_may_not_wait() -> None:
    connection = Connection(AsyncDriver)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        connection.driver.steps.check_caller()

        async def foreign() -> None:
            for attempt in (connection.driver.steps.check_caller, connection.driver.steps.begin_sleep):
                with pytest.raises(RuntimeError, match="another event loop"):
                    attempt()

        await asyncio.to_thread(asyncio.run, foreign())
        connection.driver.steps.check_caller()
        await connection.driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


def test_a_loop_that_was_closed_ends_the_connection() -> None:
    connection = Connection(AsyncDriver)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        connection.driver.steps.check_caller()

    async def look() -> None:
        connection.driver.steps.check_caller()

    with ScriptedServer(accept_and_read) as server, bounded(20):
        asyncio.run(use(server))
        asyncio.run(look())
    assert connection.core.is_over


@BOTH
def test_they_are_those_of_the_pump_at_work(kind: Any) -> None:
    driver = Connection(kind).driver
    before = driver.steps
    driver.renew(Connection(kind).core)
    assert driver.steps is not before
    assert driver.steps.sending(lambda: driver.pump.guard.half_done) == "sending a message"
