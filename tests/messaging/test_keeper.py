"""A blocking connection while the program does something else: the keeper's thread drives it, unless there is none."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.faces import Face, only_sync
from tests.support.links import becomes, connected, fill, opened, url_of
from uamqp import sync
from uamqp.testing import Broker

pytestmark = only_sync

PATIENCE = 10.0


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "uamqp-keeper"]


def test_callbacks_come_while_nobody_waits(face: Face, broker: Broker) -> None:
    called, told = threading.Event(), threading.Event()
    threads: set[str] = set()

    def note(_: Any) -> None:
        threads.add(threading.current_thread().name)
        called.set()

    broker.faults.withhold_outcomes = True
    with connected(
        face, broker, on_event=lambda event: told.set() if event.kind == "link_lost" else None
    ) as connection:
        sender = connection.open_sender("q")
        sender.submit_nowait("x").add_done_callback(note)
        broker.faults.withhold_outcomes = False
        assert called.wait(PATIENCE)
        broker.detach_links("q")
        assert told.wait(PATIENCE)
    assert threads == {"uamqp-keeper"}


def test_messages_come_while_nobody_waits(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver", prefetch=5) as r:
        fill(broker, 10)
        broker.wait_for(lambda: broker.queue("q").unsettled == 5)
        becomes(face, lambda: r.buffered == 5)
        assert r.receive_nowait().body == 0


def test_heartbeats_go_out_while_nobody_waits(face: Face, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(idle_time_out=20000)
        peer.tell("open")
        for number in range(3):
            peer.expect_empty_frame()
            peer.tell(f"beat {number}")
        peer.ignore("empty")
        peer.accept_close()

    with ScriptedServer(script) as server, connected(face, server, idle_timeout=None):
        server.wait("open")
        for number in range(3):
            clock.move(11)
            server.wait(f"beat {number}")


def test_the_end_is_noticed_while_nobody_waits(face: Face, broker: Broker) -> None:
    failed = threading.Event()
    with connected(face, broker, on_event=lambda event: failed.set() if event.kind == "failed" else None) as connection:
        broker.drop_connections()
        assert failed.wait(PATIENCE)
        assert connection.state == "failed"


def test_without_a_keeper_things_happen_while_a_call_waits(face: Face, broker: Broker) -> None:
    called = threading.Event()
    before = keepers()
    with connected(face, broker, keeper=False) as connection:
        sender = connection.open_sender("q")
        sender.send("credit has come")
        delivery = sender.submit_nowait("x")
        delivery.add_done_callback(lambda _: called.set())
        broker.wait_for(lambda: broker.queue("q").depth == 2)
        assert set(keepers()) <= set(before)
        assert not called.is_set()
        sender.flush()
        assert called.wait(PATIENCE)  # in this thread, or one that waited in its place


def test_a_keeper_ends_with_its_connection(face: Face, broker: Broker) -> None:
    before = set(keepers())
    connection = sync.connect(url_of(broker))
    (keeper,) = set(keepers()) - before
    connection.close()
    keeper.join(PATIENCE)
    assert not keeper.is_alive()


def lose(connections: list[Any], then: Callable[[], None]) -> None:
    connections.clear()
    then()


def test_a_keeper_keeps_no_connection_alive(face: Face, broker: Broker) -> None:
    before = set(keepers())
    connections: list[Any] = [sync.connect(url_of(broker))]
    (keeper,) = set(keepers()) - before
    with pytest.warns(ResourceWarning, match="wasn't closed"):
        lose(connections, lambda: becomes(face, lambda: gc.collect() >= 0 and not broker.connections))
    keeper.join(PATIENCE)
    assert not keeper.is_alive()


def test_many_threads_and_the_keeper_share_a_connection(face: Face, broker: Broker) -> None:
    with connected(face, broker) as connection:
        sender = connection.open_sender("q")
        receiver = connection.open_receiver("q", prefetch=10)
        found: list[int] = []

        def work(number: int) -> None:
            sender.send(number)
            message = receiver.receive(PATIENCE)
            found.append(message.body)
            message.accept()

        for each in [face.spawn(lambda number=number: work(number)) for number in range(30)]:  # type: ignore[misc]
            each.result()
        assert sorted(found) == list(range(30))
    assert broker.queue("q").counters.accepted == 30
