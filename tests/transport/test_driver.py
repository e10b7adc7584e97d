"""`Driver`, of threads and of event loops: commands, and waiting in order. What is marked `BOTH` runs with both."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.driving import BOTH, Connection, Counted, accept_and_leave
from tests.support.waiting import bounded, until
from uamqp.core import SessionCore
from uamqp.engine import LocalProtocolError
from uamqp.transport import signals
from uamqp.transport.asyncio.driver import AsyncDriver
from uamqp.transport.blocking import pump
from uamqp.transport.blocking.driver import BlockingDriver
from uamqp.transport.drive import run
from uamqp.transport.driver import Driver
from uamqp.transport.signals import Signal, Waiter


def accept_and_read(peer: SocketPeer) -> None:
    peer.accept_open()
    peer.expect_eof()


def accept_begins(count: int) -> Callable[[SocketPeer], None]:
    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        for _ in range(count):
            peer.accept_begin()
        peer.accept_close()

    return script


# -- commands


@BOTH
def test_a_command_is_given_the_time_and_is_written(kind: Any) -> None:
    connection = Connection(kind)
    session = SessionCore(connection.core, incoming_window=10)

    def begin(now: float) -> float:
        session.open(now)
        return now

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        before = driver.deadline(0)
        assert driver.command("beginning a session", begin) >= (before or 0)
        assert await driver.wait_for(lambda: session.is_open, driver.deadline(20))
        await driver.close()

    with ScriptedServer(accept_begins(1)) as server:
        connection.run(use(server))
    assert connection.causes == [None]


@BOTH
def test_a_command_that_is_refused_changes_nothing(kind: Any) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        session = SessionCore(connection.core, incoming_window=10)
        with pytest.raises(LocalProtocolError, match="not open"):
            connection.driver.command("asking for the session", lambda now: session.require_open())
        assert connection.core.is_open
        await connection.driver.close()

    with ScriptedServer(accept_and_leave) as server:
        connection.run(use(server))
    assert connection.causes == [None]


@BOTH
def test_a_command_that_an_exception_leaves_half_done_is_the_end(kind: Any) -> None:
    connection = Connection(kind)

    def stop(now: float) -> None:
        raise KeyError("x")

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        with pytest.raises(KeyError):
            connection.driver.command("counting sheep", stop)
        assert not await connection.driver.wait_for(lambda: False, connection.driver.deadline(20))

    with ScriptedServer(accept_and_read) as server, bounded(20):
        connection.run(use(server))
    (cause,) = connection.causes
    assert "KeyError while counting sheep" in str(cause)


@BOTH
def test_giving_up(kind: Any) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        assert connection.driver.failure is None
        connection.driver.abort("the cat is on the keyboard")
        assert not await connection.driver.wait(Signal(), lambda: False)

    with ScriptedServer(accept_and_read) as server, bounded(20):
        connection.run(use(server))
    assert "the cat is on the keyboard" in str(connection.causes[0])


# -- what is due by itself


class Slow:
    """Something that has a deadline, and what it does then."""

    def __init__(self, deadline: float) -> None:
        self.deadline: float | None = deadline
        self.over = Signal()
        self.expired: list[float] = []

    def next_deadline(self) -> float | None:
        return self.deadline

    def expire(self, now: float) -> None:
        self.expired.append(now)
        self.deadline = None
        self.over.fire()


@BOTH
def test_what_has_a_deadline_is_called_when_it_has_come(kind: Any, clock: Clock) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        driver, timers = connection.driver, connection.core.timers
        await connection.open(server)
        slow = Slow(driver.deadline(3600) or 0)
        driver.command("setting a timer", lambda now: timers.watch(slow))
        early = Slow(driver.deadline(1800) or 0)
        driver.command("setting a timer", lambda now: timers.watch(early))
        for each, other, seconds in (early, slow, 1800), (slow, early, 1800):
            before = list(other.expired)
            threading.Timer(0, clock.move, [seconds]).start()
            assert await driver.wait(each.over, lambda each=each: bool(each.expired), driver.deadline(36000))  # type: ignore[misc]
            assert other.expired == before
        assert len(slow.expired) == len(early.expired) == 1
        await driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


@BOTH
def test_what_raises_at_its_deadline_ends_the_connection(kind: Any, clock: Clock) -> None:
    """Nobody knows what it has left undone."""
    connection = Connection(kind)

    def fail(now: float) -> None:
        slow.deadline = None
        raise KeyError("x")

    slow = Slow(0)
    slow.expire = fail  # type: ignore[method-assign]

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        slow.deadline = driver.deadline(3600)
        driver.command("setting a timer", lambda now: connection.core.timers.watch(slow))
        threading.Timer(0, clock.move, [3600]).start()
        try:
            assert not await driver.wait(Signal(), lambda: False, driver.deadline(36000))
        except KeyError:
            assert kind is BlockingDriver  # it comes out where it is raised

    with ScriptedServer(accept_and_read) as server, bounded(20):
        connection.run(use(server))
    assert "KeyError" in str(connection.causes[0])


# -- how waiting ends


@BOTH
def test_what_is_done_is_not_waited_for(kind: Any) -> None:
    connection = Connection(kind)
    assert connection.run(connection.driver.wait(Signal(), lambda: True))
    assert connection.run(connection.driver.wait_for(lambda: True))


@BOTH
@pytest.mark.parametrize("name", ["wait", "wait_for"])
def test_a_deadline(kind: Any, name: str, clock: Clock) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        deadline = driver.deadline(3600)
        assert driver.deadline(None) is None
        signal = Signal()

        def done() -> bool:
            threading.Timer(0, clock.move, [4000]).start()
            return False

        assert not await (driver.wait(signal, done, deadline) if name == "wait" else driver.wait_for(done, deadline))
        assert len(signal) == 0
        driver.abort("enough")

    with ScriptedServer(accept_and_read) as server, bounded(20):
        connection.run(use(server))


@BOTH
@pytest.mark.parametrize("end", ["the peer closes", "the peer is gone", "we close"])
def test_the_end_of_the_connection_ends_waiting(kind: Any, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, for those that wait for a signal that nobody fires, too."""
    monkeypatch.setattr(pump, "MAX_WAIT", 60.0)
    monkeypatch.setattr(signals, "MAX_WAIT", 60.0)
    connection = Connection(kind)
    count = 3

    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        if end == "we close":
            peer.accept_close()
            return
        peer.expect("begin")  # then all of them wait
        if end == "the peer closes":
            peer.send("close")
            peer.expect("close")

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        signal = Signal()
        ends: list[bool] = []

        async def leave() -> None:
            if end == "we close":
                await driver.close()
            else:
                session = SessionCore(connection.core, incoming_window=10)
                driver.command("beginning a session", session.open)

        async def stay() -> None:
            ends.append(await driver.wait(signal, lambda: False))

        if kind is AsyncDriver:
            tasks = [asyncio.ensure_future(stay()) for _ in range(count)]
            await asyncio.sleep(0)
            assert len(signal) == count
            await leave()
            await asyncio.gather(*tasks)
        else:
            threads = [threading.Thread(target=run, args=(stay(),)) for _ in range(count)]
            for thread in threads:
                thread.start()
            until(lambda: len(signal) == count, lambda: time.sleep(0.001))
            await leave()
            for thread in threads:
                thread.join(20)
        assert ends == [False] * count
        assert len(signal) == 0
        driver.abort("it is over anyway")

    with ScriptedServer(script) as server, bounded(20):
        connection.run(use(server))


@BOTH
@pytest.mark.parametrize("name", ["wait", "wait_for"])
def test_what_is_waited_for_is_asked_with_the_lock_held(kind: Any, name: str) -> None:
    connection = Connection(kind)
    driver = connection.driver
    taken: list[bool] = []

    def done() -> bool:
        def take() -> None:
            if free := driver.pump.lock.acquire(blocking=False):
                driver.pump.lock.release()
            taken.append(free)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join(20)
        return len(taken) == 2

    signal = Signal()

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        deadline = driver.deadline(20)
        waiting = driver.wait(signal, done, deadline) if name == "wait" else driver.wait_for(done, deadline)

        def look_again() -> None:
            driver.change("firing", lambda now: signal.fire())
            driver.interrupt()

        threading.Timer(0.01, look_again).start()
        assert await waiting
        await driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))
    assert taken == [False, False]


@BOTH
@pytest.mark.parametrize("name", ["close", "abort"])
def test_waiting_ends_with_a_connection_that_is_never_made(kind: Any, name: str) -> None:
    connection = Connection(kind)
    driver = connection.driver
    signal = Signal()

    async def end() -> None:
        if name == "close":
            await driver.close()
        else:
            driver.abort("enough")

    async def use() -> None:
        waiting = asyncio.ensure_future(driver.wait(signal, lambda: False))
        await asyncio.sleep(0)
        await end()
        assert not await asyncio.wait_for(waiting, 20)

    with bounded(20):
        if kind is AsyncDriver:
            asyncio.run(use())
        else:
            thread = threading.Thread(target=run, args=(driver.wait(signal, lambda: False),), daemon=True)
            thread.start()
            until(lambda: len(signal) == 1, lambda: time.sleep(0.001))
            run(end())
            thread.join(20)
            assert not thread.is_alive()


def test_tasks_do_not_wait_for_the_peers_close() -> None:
    connection = Connection(AsyncDriver)
    go_on = threading.Event()

    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        peer.expect("close")
        assert go_on.wait(20)
        peer.send("close")

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        waiting = asyncio.ensure_future(connection.driver.wait(Signal(), lambda: False))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(connection.driver.close())
        assert not await asyncio.wait_for(waiting, 20)
        assert not closing.done()
        go_on.set()
        await closing

    with ScriptedServer(script) as server, bounded(20):
        connection.run(use(server))


# -- who is woken


def test_a_task_is_woken_for_its_own_signal_and_no_other() -> None:
    connection = Connection(AsyncDriver)

    async def use(server: ScriptedServer) -> None:
        driver = connection.driver
        await connection.open(server)
        things = [Counted() for _ in range(100)]
        tasks = [asyncio.ensure_future(driver.wait(thing.signal, thing.look)) for thing in things]
        await asyncio.sleep(0)
        before = [thing.looks for thing in things]
        for number in (57, 3):
            driver.command("deciding", things[number].come)
            assert await tasks[number]
        await driver.turn(0)
        assert [n for n, thing in enumerate(things) if thing.looks != before[n]] == [3, 57]
        await driver.close()  # which all hear of
        assert [task.result() for n, task in enumerate(tasks) if n not in {3, 57}] == [False] * 98

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


@pytest.mark.usefixtures("patient")
def test_a_thread_is_woken_for_its_own_signal_and_no_other() -> None:
    """All except the one that reads, which wakes the next to read in its place when it goes."""
    connection = Connection(BlockingDriver)
    count = 8

    def script(peer: SocketPeer) -> None:
        peer.accept_open()
        for _ in range(count):
            peer.accept_begin()
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(60):
        run(connection.open(server))
        driver = connection.driver
        things = [Counted() for _ in range(count)]
        threads = [
            threading.Thread(target=run, args=(driver.wait(thing.signal, thing.look),), daemon=True) for thing in things
        ]
        for thing, thread in zip(things, threads, strict=True):
            thread.start()
            until(lambda thing=thing: len(thing.signal) == 1, lambda: time.sleep(0.001))  # type: ignore[misc]
        order = [*range(4, count), *range(4)]  # the first reads
        for number in order:
            before = [thing.looks for thing in things]
            session = SessionCore(connection.core, incoming_window=10)
            driver.command("beginning a session", session.open)
            # Whoever reads it now finds that nothing of it concerns him; the others sleep.
            driver.command("deciding", things[number].come)
            threads[number].join(20)
            assert not threads[number].is_alive()
            woken = {n for n, thing in enumerate(things) if thing.looks != before[n]}
            alive = [n for n in range(count) if threads[n].is_alive()]
            assert woken <= {number, *alive[:2], 0}, (number, woken)
        run(driver.close())


@pytest.mark.usefixtures("patient")
def test_the_thread_that_reads_is_woken_by_its_signal_as_well() -> None:
    """It waits for input then; the peer says nothing."""
    connection = Connection(BlockingDriver)
    with ScriptedServer(accept_and_leave) as server, bounded(20):
        run(connection.open(server))
        thing = Counted()
        reader = threading.Thread(target=run, args=(connection.driver.wait(thing.signal, thing.look),), daemon=True)
        reader.start()
        until(lambda: thing.looks == 1, lambda: time.sleep(0.001))
        connection.driver.change("deciding", thing.come)
        reader.join(20)
        assert not reader.is_alive()
        run(connection.driver.close())


class Hasty(Signal):
    """Fires as soon as somebody has begun to wait, when nobody waits for input yet."""

    def __init__(self) -> None:
        super().__init__()
        self.is_there = False

    def add(self, waiter: Waiter) -> None:
        super().add(waiter)
        self.is_there = True
        self.fire()


@BOTH
@pytest.mark.usefixtures("patient")
def test_what_comes_between_a_look_and_a_wait_is_not_waited_for(kind: Any) -> None:
    connection = Connection(kind)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        signal = Hasty()
        assert await connection.driver.wait(signal, lambda: signal.is_there)
        await connection.driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


@BOTH
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("name", ["change", "command"])
def test_a_deadline_that_is_set_while_others_wait_is_kept(kind: Any, name: str) -> None:
    """The thread that waits for input, or the loop, wakes earlier when something is due earlier."""
    connection = Connection(kind)
    driver, timers = connection.driver, connection.core.timers

    def watch(now: float) -> None:
        slow.deadline = now + 0.05
        timers.watch(slow)

    slow = Slow(0)
    slow.deadline = None

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)
        timer = threading.Timer(0.05, lambda: getattr(driver, name)("setting a timer", watch))
        timer.start()
        assert await driver.wait(slow.over, lambda: bool(slow.expired), driver.deadline(3600))
        await driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


@pytest.mark.usefixtures("patient")
def test_a_thread_that_reads_and_goes_has_another_read() -> None:
    """Each of those that wait needs an answer of the peer; whichever reads first, none is left alone with its own."""
    connection = Connection(BlockingDriver)
    count = 6
    with ScriptedServer(accept_begins(count)) as server, bounded(60):
        run(connection.open(server))
        driver = connection.driver
        opened: list[int] = []

        def begin(number: int) -> None:
            session = SessionCore(connection.core, incoming_window=10)
            driver.command("beginning a session", session.open)
            if run(driver.wait(Signal(), lambda: session.is_open)):
                opened.append(number)

        signal = Signal()
        is_over: list[bool] = []
        reader = threading.Thread(target=lambda: run(driver.wait(signal, lambda: bool(is_over))), daemon=True)
        reader.start()
        until(lambda: len(signal) == 1, lambda: time.sleep(0.001))
        threads = [threading.Thread(target=begin, args=(number,), daemon=True) for number in range(count)]
        for thread in threads:
            thread.start()

        def end(now: float) -> None:
            is_over.append(True)
            signal.fire()

        driver.command("ending it", end)
        # Nobody fires their signals: only who reads looks, and goes, and has the next one read, who looks as well.
        for thread in [reader, *threads]:
            thread.join(20)
            assert not thread.is_alive()
        assert sorted(opened) == list(range(count))
        run(driver.close())


@pytest.mark.usefixtures("patient")
def test_a_thread_that_takes_one_turn_has_another_read_after_it() -> None:
    connection = Connection(BlockingDriver)
    with ScriptedServer(accept_begins(2)) as server, bounded(60):
        run(connection.open(server))
        driver = connection.driver
        sessions = [SessionCore(connection.core, incoming_window=10) for _ in range(2)]
        turn = threading.Thread(target=lambda: run(driver.turn(60)), daemon=True)
        turn.start()
        signal = Signal()
        waiting = threading.Thread(target=run, args=(driver.wait(signal, lambda: sessions[1].is_open),), daemon=True)
        waiting.start()
        until(lambda: len(signal) == 1, lambda: time.sleep(0.001))
        driver.command("beginning a session", sessions[0].open)
        turn.join(20)
        assert not turn.is_alive()
        driver.command("beginning a session", sessions[1].open)
        waiting.join(20)
        assert not waiting.is_alive()
        run(driver.close())


# -- cancelling


class Store:
    """Things that are taken one by one, by those who wait for one."""

    def __init__(self) -> None:
        self.signal = Signal()
        self.things = 0
        self.taken: list[int] = []

    def put(self, now: float) -> None:
        self.things += 1
        self.signal.fire_one()

    async def take(self, driver: Driver, name: int) -> None:
        assert await driver.wait(self.signal, lambda: self.things > 0)
        self.things -= 1
        self.taken.append(name)


@pytest.mark.parametrize("turns_after", range(4))
@pytest.mark.parametrize("turns_between", range(4))
@pytest.mark.parametrize("cancelled", range(3))
def test_a_task_that_is_cancelled_leaves_nothing_lying(cancelled: int, turns_between: int, turns_after: int) -> None:
    """Whenever that is: before it is woken, as it is woken, when it has taken what it was woken for."""
    connection = Connection(AsyncDriver)

    async def use() -> None:
        store, driver = Store(), connection.driver
        tasks = [asyncio.ensure_future(store.take(driver, name)) for name in range(3)]
        for _ in range(turns_between):
            await asyncio.sleep(0)
        driver.command("putting", store.put)
        for _ in range(turns_after):
            await asyncio.sleep(0)
        tasks[cancelled].cancel()
        for _ in range(6):
            await asyncio.sleep(0)
        assert store.things == 0
        assert len(store.taken) == 1
        rest = [n for n in range(3) if n not in store.taken and n != cancelled]
        assert [n for n in range(3) if not tasks[n].done()] == rest
        for count, name in enumerate(rest, 2):
            driver.command("putting", store.put)
            await asyncio.wait_for(tasks[name], 20)  # in order
            assert len(store.taken) == count
        assert len(store.signal) == 0
        assert store.taken == sorted(store.taken)

    with bounded(20):
        connection.run(use())


@pytest.mark.parametrize("turns", range(5))
def test_one_that_is_woken_and_finds_it_gone_stays_the_first(turns: int) -> None:
    connection = Connection(AsyncDriver)

    async def use() -> None:
        store, driver = Store(), connection.driver
        tasks = [asyncio.ensure_future(store.take(driver, name)) for name in range(2)]
        await asyncio.sleep(0)
        driver.command("putting", store.put)
        assert await driver.wait(store.signal, lambda: store.things > 0)  # doesn't wait
        store.things -= 1
        for _ in range(turns):
            await asyncio.sleep(0)
        driver.command("putting", store.put)
        driver.command("putting", store.put)
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
        assert store.taken == [0, 1]

    with bounded(20):
        connection.run(use())


def test_a_deadline_that_comes_with_the_thing_loses_nothing(clock: Clock) -> None:
    connection = Connection(AsyncDriver)

    async def use() -> None:
        store, driver = Store(), connection.driver
        late = asyncio.ensure_future(driver.wait(store.signal, lambda: False, driver.deadline(60)))
        await asyncio.sleep(0)
        task = asyncio.ensure_future(store.take(driver, 1))
        await asyncio.sleep(0)
        driver.command("putting", store.put)  # wakes the one that doesn't want it
        clock.move(100)
        assert not await late
        await asyncio.wait_for(task, 20)
        assert store.taken == [1]

    with bounded(20):
        connection.run(use())


def test_another_loop() -> None:
    connection = Connection(AsyncDriver)

    async def use(server: ScriptedServer) -> None:
        await connection.open(server)

        async def foreign() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                await connection.driver.wait(Signal(), lambda: False)

        await asyncio.to_thread(asyncio.run, foreign())
        await connection.driver.close()

    with ScriptedServer(accept_and_leave) as server, bounded(20):
        connection.run(use(server))


def test_threads_that_take_in_order_take_everything() -> None:
    """Eight threads, and a thousand things that come in any number at a time."""
    connection = Connection(BlockingDriver)
    store, driver = Store(), connection.driver
    total = 1000
    lock = threading.Lock()
    taken = 0

    def take() -> None:
        nonlocal taken

        def grab() -> bool:
            nonlocal taken
            if store.things > 0:
                store.things -= 1
                taken += 1
                return True
            return taken >= total

        while True:
            run(driver.wait(store.signal, grab))
            with lock:
                if taken >= total:
                    return

    with bounded(60):
        threads = [threading.Thread(target=take, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(total):
            driver.command("putting", store.put)
        until(lambda: taken >= total, lambda: time.sleep(0.001))
        driver.command("ending", lambda now: store.signal.fire())
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert (taken, store.things) == (total, 0)
