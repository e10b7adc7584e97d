"""Waits of a thread within a wait or a command of its own, as in a signal handler or a callback, beside other threads.

Each would end only when the time is over, if a thread were counted on that can't go on before this one has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.driving import Connection, Counted
from tests.support.interrupts import handling, posix
from tests.support.waiting import bounded, until
from uamqp.core import SessionCore
from uamqp.transport.blocking.driver import BlockingDriver
from uamqp.transport.drive import run
from uamqp.transport.driver import Driver
from uamqp.transport.signals import Signal

pytestmark = pytest.mark.usefixtures("patient")


def accept_a_session(peer: SocketPeer) -> None:
    peer.accept_open()
    peer.accept_begin()
    peer.accept_close()


class Reader:
    """A thread that waits, and so reads for all who wait after it."""

    def __init__(self, driver: Driver) -> None:
        self.thing = Counted()
        self._driver = driver
        self._thread = threading.Thread(
            target=run, args=(driver.wait(self.thing.signal, self.thing.look),), daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        until(lambda: self._driver.pump._waiting, lambda: time.sleep(0.001))  # type: ignore[attr-defined]

    def leave(self) -> None:
        self._driver.command("deciding", self.thing.come)
        self._thread.join(20)
        assert not self._thread.is_alive()


def open_session(connection: Connection) -> Callable[[], bool]:
    session = SessionCore(connection.core, incoming_window=10)
    connection.driver.command("beginning a session", session.open)
    return lambda: session.is_open


def test_who_holds_the_lock_reads_himself() -> None:
    """The other thread that waits for input can't handle any before it has the lock."""
    connection = Connection(BlockingDriver)
    driver = connection.driver
    with ScriptedServer(accept_a_session) as server, bounded(20):
        run(connection.open(server))
        reader = Reader(driver)
        reader.start()
        with driver.pump.lock:
            assert run(driver.wait_for(open_session(connection), driver.deadline(60)))
        reader.leave()
        run(driver.close())


@posix
def test_the_innermost_wait_of_a_thread_reads_next() -> None:
    """The one around it can't, before the signal handler that has interrupted it has returned."""
    connection = Connection(BlockingDriver)
    driver = connection.driver
    outer = Counted()
    inner = Signal()
    answers: list[bool] = []

    def wait_within() -> None:
        answers.append(run(driver.wait(inner, open_session(connection), driver.deadline(60))))
        driver.change("deciding", outer.come)

    with ScriptedServer(accept_a_session) as server, bounded(20), handling(wait_within) as kill:
        run(connection.open(server))
        reader = Reader(driver)
        reader.start()

        def interrupt() -> None:
            until(lambda: len(outer.signal), lambda: time.sleep(0.001))
            kill()
            until(lambda: len(inner), lambda: time.sleep(0.001))
            reader.leave()  # the next to read looks, whether or not the answer has come; nobody fires `inner`

        other = threading.Thread(target=interrupt, daemon=True)
        other.start()
        assert run(driver.wait(outer.signal, outer.look))
        other.join(20)
        assert answers == [True]
        run(driver.close())
