"""A front of 150 lines on `uamqp.core` and the driver: it works in both worlds, with what is a front's alone."""

from __future__ import annotations

import ast
import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.core import second_front
from tests.core.second_front import Connection, Receiver, Sender
from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.waiting import bounded
from uamqp import Message
from uamqp.core import ConnectionCore, Outcome, OutcomeKind
from uamqp.testing import Broker
from uamqp.transport.asyncio.driver import AsyncDriver
from uamqp.transport.blocking.driver import BlockingDriver
from uamqp.transport.drive import run
from uamqp.transport.driver import Driver

T = TypeVar("T")
Work = Callable[[Callable[[ConnectionCore], Driver]], Coroutine[Any, Any, T]]

SOURCE = Path(second_front.__file__)


@pytest.fixture(params=["blocking", "asyncio"])
def world(request: pytest.FixtureRequest) -> Callable[[Work[Any]], Any]:
    """Runs a coroutine of the front's user, which is given what makes drivers."""
    if request.param == "blocking":
        return lambda work: run(work(BlockingDriver))
    return lambda work: asyncio.run(work(AsyncDriver))


def body(text: str) -> bytes:
    return text.encode()


async def taken(messages: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await messages.__anext__() for _ in range(count)]


# -- what it may use


def test_it_is_short() -> None:
    assert len(SOURCE.read_text("utf-8").splitlines()) <= 150


def test_it_uses_faces_and_no_other_front() -> None:
    imports = [node for node in ast.walk(ast.parse(SOURCE.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    assert {name for name in names if name.startswith("uamqp.") and not name.startswith("uamqp.engine.")} == {
        "uamqp.codec",
        "uamqp.core",
        "uamqp.transport.driver.Driver",
        "uamqp.transport.sansio.endpoint.Endpoint",
        "uamqp.transport.signals.Signal",
    }
    assert {name.rpartition(".")[0] for name in names if "engine" in name} == {"uamqp.engine"}


def test_it_names_no_lock_no_clock_and_nothing_private() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names & {"lock", "clock", "monotonic", "time", "pump", "guard", "progress", "engine"} == set()
    assert not {name for name in names if name.startswith("_") and not name.startswith("__")} - {"_"}


# -- what it does


def test_messages_go_out_and_come_back(world: Any) -> None:
    async def work(make_driver: Any) -> None:
        connection = await Connection(f"amqp://127.0.0.1:{broker.port}", make_driver).open()
        sender = await Sender(connection, "q").open()
        deliveries = [sender.send(body(f"{number}")) for number in range(500)]
        outcomes = [await delivery for delivery in deliveries]
        assert {outcome.kind for outcome in outcomes if outcome is not None} == {OutcomeKind.TAKEN}
        receiver = await Receiver(connection, "q").open()
        messages = receiver.__aiter__()
        assert await taken(messages, 500) == [body(f"{number}") for number in range(500)]
        await connection.driver.close()
        with pytest.raises(ConnectionError, match="closed"):
            await messages.__anext__()

    with Broker() as broker, bounded(60):
        world(work)
        assert broker.queue("q").counters.accepted == 499  # the last one is accepted when the next is asked for


def test_a_refusal_is_an_outcome(world: Any) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin()
        peer.accept_attach(SENDER)
        peer.grant(2)
        peer.expect("transfer")
        peer.expect("transfer")
        error = codec.error("amqp:not-allowed", "no such thing")
        peer.send("disposition", role=RECEIVER, first=0, settled=True, state=codec.rejected(error=error))
        peer.send("disposition", role=RECEIVER, first=1, settled=True, state=codec.accepted())
        peer.accept_close()

    async def work(make_driver: Any) -> list[Outcome | None]:
        connection = await Connection(f"amqp://127.0.0.1:{server.port}", make_driver).open()
        sender = await Sender(connection, "q").open()
        outcomes = [await delivery for delivery in [sender.send(b"x"), sender.send(b"y")]]
        await connection.driver.close()
        return outcomes

    with ScriptedServer(script) as server, bounded(60):
        refused, accepted = world(work)
    assert (refused.kind, refused.condition) == (OutcomeKind.REFUSED, "amqp:not-allowed")
    assert accepted.kind is OutcomeKind.TAKEN


def test_what_has_no_credit_in_time_is_given_up(world: Any, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin()
        peer.accept_attach(SENDER)
        peer.accept_close()

    async def work(make_driver: Any) -> Outcome | None:
        connection = await Connection(f"amqp://127.0.0.1:{server.port}", make_driver).open()
        sender = await Sender(connection, "q").open()
        delivery = sender.send(b"x", timeout=30)
        threading.Timer(0, clock.move, [31]).start()
        outcome = await delivery
        await connection.driver.close()
        return outcome

    with ScriptedServer(script) as server, bounded(60):
        outcome = world(work)
    assert (outcome.kind, outcome.may_have_arrived) == (OutcomeKind.TIMED_OUT, False)


def test_the_end_of_the_link_is_told(world: Any) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin()
        peer.accept_attach(RECEIVER)
        peer.expect("flow")
        peer.send_delivery(data_message(b"first"))
        peer.expect("disposition")
        error = codec.error("amqp:resource-deleted", "the queue is gone")
        peer.send("detach", handle=0, closed=True, error=error)
        peer.expect("detach")
        peer.accept_close()

    async def work(make_driver: Any) -> None:
        connection = await Connection(f"amqp://127.0.0.1:{server.port}", make_driver).open()
        messages = (await Receiver(connection, "q").open()).__aiter__()
        assert await messages.__anext__() == b"first"
        with pytest.raises(ConnectionError, match="the queue is gone"):
            await messages.__anext__()
        await connection.driver.close()

    with ScriptedServer(script) as server, bounded(60):
        world(work)


def test_nobody_is_there(world: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    async def work(make_driver: Any) -> None:
        await Connection(f"amqp://127.0.0.1:{port}", make_driver).open()

    with pytest.raises(OSError, match="refused"):
        world(work)


def test_many_tasks_at_a_time() -> None:
    """Each waits for its own outcome; two iterate, and share what comes between them."""

    async def work() -> None:
        connection = await Connection(f"amqp://127.0.0.1:{broker.port}", AsyncDriver).open()
        sender = await Sender(connection, "q").open()

        async def send(number: int) -> Outcome | None:
            return await sender.send(body(f"{number}"))

        outcomes = await asyncio.gather(*[send(number) for number in range(2000)])
        assert {outcome.kind for outcome in outcomes if outcome is not None} == {OutcomeKind.TAKEN}
        receiver = await Receiver(connection, "q", credit=100).open()
        found: list[bytes] = []

        complete = asyncio.Event()

        async def receive() -> None:
            async for message in receiver:
                found.append(message)
                if len(found) == 2000:
                    complete.set()

        tasks = [asyncio.ensure_future(receive()) for _ in range(2)]
        await complete.wait()
        assert sorted(found) == sorted(body(f"{number}") for number in range(2000))
        await connection.driver.close()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [ConnectionError] * 2

    with Broker() as broker, bounded(100):
        asyncio.run(work())


def test_many_threads_at_a_time() -> None:
    connection: Connection
    found: list[bytes] = []

    def send(number: int) -> None:
        for each in range(50):
            delivery = sender.send(body(f"{number} {each}"))
            outcomes.append(run(waited(delivery)))

    async def waited(delivery: second_front.Delivery) -> Outcome | None:
        return await delivery

    def receive() -> None:
        async def all_of_them() -> None:
            async for message in receiver:
                found.append(message)
                if len(found) == 200:
                    complete.set()

        with pytest.raises(ConnectionError):
            run(all_of_them())

    outcomes: list[Outcome | None] = []
    complete = threading.Event()
    with Broker() as broker, bounded(100):
        connection = run(Connection(f"amqp://127.0.0.1:{broker.port}", BlockingDriver).open())
        sender = run(Sender(connection, "q").open())
        receiver = run(Receiver(connection, "q", credit=20).open())
        threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(4)]
        threads += [threading.Thread(target=receive, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert complete.wait(60)
        run(connection.driver.close())
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert sorted(found) == sorted(body(f"{number} {each}") for number in range(4) for each in range(50))
    assert [outcome.kind for outcome in outcomes if outcome is not None] == [OutcomeKind.TAKEN] * 200


def test_it_receives_what_another_client_has_sent(world: Any) -> None:
    async def work(make_driver: Any) -> list[bytes]:
        connection = await Connection(f"amqp://127.0.0.1:{broker.port}", make_driver).open()
        messages = (await Receiver(connection, "q").open()).__aiter__()
        found = await taken(messages, 2)
        await connection.driver.close()
        return found

    with Broker() as broker, bounded(60):
        broker.put("q", Message(b"one"))
        broker.put("q", Message(b"two"))
        assert world(work) == [b"one", b"two"]
