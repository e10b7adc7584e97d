"""Forked processes: what a child inherits of the modern API raises `ForkedError`, and the parent's goes on."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.faces import Face, both_faces, only_aio, only_sync
from tests.support.forks import in_child, living_child
from tests.support.links import becomes, connected, stored, url_of
from tests.support.threads import Call
from tests.support.waiting import bounded
from uamqp import aio, sync
from uamqp.messaging import Accepted, ForkedError
from uamqp.testing import Broker

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    # Python 3.12 warns of what is tested here: a process with threads is forked.
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]
FORKED = f"ForkedError: the connection belongs to process {os.getpid()}, of which this one is a fork"


def once(function: Callable[[], Any], seconds: float = 20) -> Any:
    """What a child does with something of either face: what is to be awaited is awaited in a loop of its own."""
    found = function()
    if not inspect.isawaitable(found):
        return found

    async def wait() -> Any:
        return await found

    return asyncio.new_event_loop().run_until_complete(asyncio.wait_for(wait(), seconds))


class Parent:
    """What a parent has: a connection, and something of everything that comes of one."""

    def __init__(self, face: Face, broker: Broker, connection: Any) -> None:
        self.face, self.broker, self.connection = face, broker, connection
        self.session = face.go(connection.open_session)
        self.sender = face.go(lambda: self.session.open_sender("q"))
        self.receiver = face.go(lambda: connection.open_receiver("r", confirm=True))
        self.iterated = face.go(lambda: connection.open_receiver("i", settle="on_next"))
        for name in ("r", "r", "r", "i", "i", "i"):
            broker.put(name, name)
        self.message, message = face.go(lambda: self.receiver.receive_many(2, minimum=2))
        self.iterator = iter(self.iterated) if face.name == "sync" else aiter(self.iterated)
        self.first = face.go(self.following)
        broker.faults.withhold_settlement = True
        self.settlement = face.go(message.accept)
        broker.faults.withhold_outcomes = True
        self.delivery = face.go(lambda: self.sender.submit("first"))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        self.events = connection.events()
        becomes(face, lambda: (self.receiver.buffered, self.iterated.buffered) == (1, 2))

    def following(self) -> Any:
        """The next message of the iteration."""
        return next(self.iterator) if self.face.name == "sync" else take_next(self.iterator)

    def check(self) -> None:
        """Whatever a child did, all of it is as it was."""
        face, broker = self.face, self.broker
        assert (self.connection.state, self.sender.pending) == ("open", 1)
        broker.faults.withhold_outcomes = broker.faults.withhold_settlement = False
        assert face.wait(self.delivery) == Accepted()
        face.go(lambda: self.sender.send("last"))
        assert stored(broker) == ["first", "last"]
        face.wait(face.go(self.message.accept))
        face.wait(face.go(face.go(self.receiver.receive).accept))
        assert face.go(self.following).body == "i"
        broker.wait_for(lambda: broker.queue("r").counters.accepted == 3)
        broker.wait_for(lambda: broker.queue("i").counters.accepted == 1)
        assert len(broker.connections) == 1


async def take_next(iterator: Any) -> Any:
    return await anext(iterator)


@pytest.fixture
def parent(face: Face) -> Iterator[Parent]:
    with Broker(allow_second=True) as broker, connected(face, broker) as connection:
        made = Parent(face, broker, connection)
        yield made
        made.check()


USES: dict[str, Callable[[Parent], Any]] = {
    "open_sender": lambda parent: parent.connection.open_sender("q"),
    "open_receiver": lambda parent: parent.connection.open_receiver("q"),
    "open_session": lambda parent: parent.connection.open_session(),
    "open_sender of a session": lambda parent: parent.session.open_sender("q"),
    "send": lambda parent: parent.sender.send("x"),
    "submit": lambda parent: parent.sender.submit("x"),
    "submit_nowait": lambda parent: parent.sender.submit_nowait("x"),
    "send_many": lambda parent: parent.sender.send_many(["x", "y"]),
    "receive": lambda parent: parent.receiver.receive(timeout=10),
    "receive_many": lambda parent: parent.receiver.receive_many(5, minimum=5, timeout=10),
    "receive_nowait": lambda parent: parent.receiver.receive_nowait(),
    "iterating": lambda parent: parent.following(),
    "drain": lambda parent: parent.receiver.drain(),
}


def tried(parent: Parent, name: str) -> str:
    try:
        return f"returned {once(lambda: USES[name](parent))!r}"
    except BaseException as error:  # noqa: BLE001 (the parent looks at it)
        return f"{type(error).__name__}: {error}"


@both_faces
def test_a_use_in_the_child_is_an_error_at_once(parent: Parent) -> None:
    """Each is the first in its child."""
    with bounded(20):
        answers = {name: in_child(lambda name=name: tried(parent, name)) for name in USES}  # type: ignore[misc]
    assert {name: answer for name, answer in answers.items() if FORKED not in answer} == {}


@both_faces
def test_all_uses_in_one_child_are_errors(parent: Parent) -> None:
    """Also those behind the first, which has found out."""
    with bounded(20):
        answers = in_child(lambda: [name for name in USES if not tried(parent, name).startswith(FORKED)])
    assert answers == "[]"


@both_faces
@pytest.mark.parametrize("first", [False, True], ids=["later", "at first"])
def test_settling_in_the_child_is_lost(parent: Parent, first: bool) -> None:
    """It never raises for a link that isn't there any more, but whoever waits for it hears why."""

    def settle() -> Any:
        if not first:
            tried(parent, "send")
        settlement = parent.message.accept()
        return once(lambda: settlement.wait() if parent.face.name == "sync" else settlement)

    answer = in_child(settle)
    assert "belongs to process" in answer, answer
    assert answer.startswith(("ForkedError", "SettlementLost")), answer


def wait_in_child(parent: Parent, name: str) -> str:
    """Wait for something that the parent has."""
    thing = getattr(parent, name)
    answer = in_child(lambda: once(lambda: thing.wait() if parent.face.name == "sync" else thing, 1.0))
    assert "belongs to process" in answer, answer
    return answer


@only_sync
@pytest.mark.parametrize(("name", "error"), [("delivery", "OutcomeUnknown"), ("settlement", "SettlementLost")])
def test_waiting_in_the_child_is_an_error_at_once(parent: Parent, name: str, error: str) -> None:
    assert wait_in_child(parent, name).startswith(error)


@only_aio
@pytest.mark.parametrize("name", ["delivery", "settlement"])
def test_awaiting_in_the_child_is_an_error_at_once(parent: Parent, name: str) -> None:
    wait_in_child(parent, name)


@both_faces
def test_waiting_for_the_connection_in_the_child_is_an_error(parent: Parent) -> None:
    assert FORKED in in_child(lambda: once(parent.connection.wait_open))


@both_faces
def test_events_end_in_the_child(parent: Parent) -> None:
    async def listen() -> list[str]:
        return [event.kind async for event in parent.events]

    def kinds() -> Any:
        return [event.kind for event in parent.events] if parent.face.name == "sync" else once(listen)

    with bounded(10):
        assert "failed" in in_child(kinds)


GIVING_UP: dict[str, Callable[[Parent], Any]] = {
    "sender.close": lambda parent: parent.sender.close(),
    "receiver.close": lambda parent: parent.receiver.close(),
    "receiver.stop": lambda parent: parent.receiver.stop(),
    "session.close": lambda parent: parent.session.close(),
    "connection.close": lambda parent: parent.connection.close(),
    "connection.abort": lambda parent: parent.connection.abort(),
    "flush": lambda parent: parent.sender.flush(),
    "delivery.cancel": lambda parent: parent.delivery.cancel(),
    "pause": lambda parent: parent.receiver.pause(),
    "stats": lambda parent: parent.connection.stats(),
}


@both_faces
def test_giving_up_in_the_child_is_none_of_the_parents_business(parent: Parent) -> None:
    """It returns, or raises `ForkedError`, at once."""

    def give_up(name: str) -> str:
        try:
            once(lambda: GIVING_UP[name](parent))
        except ForkedError as error:
            return f"ForkedError: {error}"
        return "returned"

    with bounded(20):
        answers = {name: in_child(lambda name=name: give_up(name)) for name in GIVING_UP}  # type: ignore[misc]
    wrong = {name: answer for name, answer in answers.items() if answer != "'returned'" and FORKED not in answer}
    assert wrong == {}


@both_faces
def test_what_can_be_read_can_be_read_in_the_child(parent: Parent) -> None:
    def look() -> Any:
        return parent.message.body, parent.sender.address, repr(parent.connection) != "", parent.delivery.done

    assert in_child(look) == "('r', 'q', True, False)"


def send_in_child(face: Face, url: str) -> str:
    async def send() -> None:
        async with aio.connect(url) as connection, connection.open_sender("child", presettled=True) as sender:
            await sender.send("x")

    if face.name == "aio":
        return repr(asyncio.new_event_loop().run_until_complete(send()))
    with sync.connect(url) as connection, connection.open_sender("child", presettled=True) as sender:
        keepers = [thread.name for thread in threading.enumerate() if thread.name == "uamqp-keeper"]
        sender.send("x")
    return repr(keepers)


@both_faces
def test_a_child_connects_for_itself(parent: Parent) -> None:
    """With a keeper of its own, and none of its parent's."""
    answer = in_child(lambda: send_in_child(parent.face, url_of(parent.broker)))
    assert "Error" not in answer, answer
    assert answer.count("uamqp-keeper") == (1 if parent.face.name == "sync" else 0)
    parent.broker.wait_for(lambda: parent.broker.queue("child").depth == 1)
    parent.broker.wait_for(lambda: len(parent.broker.connections) == 1)


@both_faces
def test_a_child_of_multiprocessing(parent: Parent) -> None:
    """It ends as such children do, with the functions registered for the end."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=send_in_child, args=[parent.face, url_of(parent.broker)])
    child.start()
    child.join(30)
    assert child.exitcode == 0
    parent.broker.wait_for(lambda: parent.broker.queue("child").depth == 1)


# -- threads of the parent's


@only_sync
def test_a_fork_while_threads_use_the_connection(face: Face, broker: Broker) -> None:
    """Whatever locks they hold, the child waits for none of them."""
    with connected(face, broker) as connection:
        sender, receiver = connection.open_sender("q"), connection.open_receiver("q")
        ends = threading.Event()

        def send() -> int:
            count = 0
            while not ends.is_set():
                sender.send(count)
                receiver.receive().accept()
                count += 1
            return count

        calls = [Call(send) for _ in range(3)]
        waiting = Call(connection.open_receiver("empty").receive)

        def use() -> list[str]:
            told = []
            for way in (lambda: sender.send("x"), receiver.receive, receiver.close, connection.close):
                try:
                    told.append(repr(way()))
                except ForkedError as error:
                    told.append(type(error).__name__)
            return told

        try:
            for _ in range(5):
                assert in_child(use) == "['ForkedError', 'ForkedError', 'None', 'None']"
        finally:
            ends.set()
        sent = sum(call.result() for call in calls)
        broker.wait_for(lambda: broker.queue("q").counters.accepted == sent)
        broker.put("empty", "x")
        assert waiting.result().body == "x"


@only_sync
def test_a_fork_in_a_callback(face: Face, broker: Broker) -> None:
    """The child goes on within the library, in the middle of what the parent was doing."""
    answers: list[str] = []

    with connected(face, broker) as connection:
        sender = connection.open_sender("q")

        def callback(_: Any) -> None:
            answers.append(in_child(lambda: tried_in(sender)))

        sender.submit("x").add_done_callback(callback)
        sender.flush()
        becomes(face, lambda: answers)
        assert FORKED in answers[0]
        sender.send("last")
    assert stored(broker) == ["x", "last"]


def tried_in(sender: Any) -> str:
    try:
        return repr(sender.send("the child's"))
    except ForkedError as error:
        return f"ForkedError: {error}"


@both_faces
def test_the_parents_end_is_seen_while_the_child_lives(face: Face, broker: Broker) -> None:
    with connected(face, broker) as connection:
        with living_child():
            face.go(connection.abort)
            broker.wait_for(lambda: not broker.connections)


def test_a_fork_within_a_task(broker: Broker) -> None:
    """The parent's loop and its other tasks go on; the child has a loop of its own."""

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_sender("q") as sender:
            async with connection.open_receiver("r") as receiver:
                waiting = asyncio.create_task(receiver.receive())
                await sender.send("first")
                answer = in_child(lambda: on_its_own(lambda: sender.send("x")))
                assert FORKED in answer, answer
                broker.put("r", "x")
                assert (await waiting).body == "x"
                await sender.send("last")

    asyncio.run(asyncio.wait_for(main(), 30))
    assert stored(broker) == ["first", "last"]


def on_its_own(function: Callable[[], Any]) -> Any:
    """The result of a coroutine in a child that was forked within a loop."""
    asyncio.events._set_running_loop(None)
    return once(function)


# -- the child's end

CHILD = """
    import os, sys, warnings
    from uamqp.sync import connect
    warnings.filterwarnings('ignore', '.*multi-threaded')
    connection = connect(sys.argv[1])
    sender = connection.open_sender('q')
    receiver = connection.open_receiver('r')
    message = receiver.receive()
    sender.send('first')
    if os.fork() == 0:
        sys.exit(0)
    assert os.wait()[1] == 0
    sender.send('last')
    message.accept()
    connection.close()
    """


def test_a_child_that_ends_takes_nothing_with_it(broker: Broker) -> None:
    """By the interpreter's end, with all finalizers, in silence."""
    broker.put("r", "x")
    broker.put("r", "y")
    program = [sys.executable, "-W", "always::ResourceWarning", "-c", textwrap.dedent(CHILD), broker.url]
    child = subprocess.run(program, timeout=60, capture_output=True, text=True, check=False)
    assert (child.stderr, child.returncode) == ("", 0)
    assert stored(broker) == ["first", "last"]
    broker.wait_for(lambda: not broker.connections)
    assert (broker.queue("r").counters.accepted, broker.queue("r").depth) == (1, 1)
