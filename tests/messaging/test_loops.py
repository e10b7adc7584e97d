"""Event loops and the end of programs: objects of another loop, loops that end with open connections, and uvloop."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.support.links import fill, stored, url_of
from tests.support.loops import LIMIT, Main, run_uvloop
from tests.support.waiting import bounded
from uamqp import aio
from uamqp.messaging import Accepted, AMQPError, Delivery, UsageError, WrongLoopError
from uamqp.testing import Broker


def run_asyncio(main: Main) -> Any:
    return asyncio.run(asyncio.wait_for(main(), LIMIT))


on_both = pytest.mark.parametrize("run", [run_asyncio, run_uvloop], ids=["asyncio", "uvloop"])


# -- the usual course, on each loop


@on_both
def test_sending_and_receiving(broker: Broker, run: Callable[[Main], Any]) -> None:
    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_sender("q") as sender:
            await sender.send("x")
            delivery = await sender.submit("y")
            assert await delivery == Accepted()
            assert (await sender.send_many(range(500), window=50)).accepted == 500
            async with connection.open_receiver("q") as receiver:
                found = await receiver.receive_many(502, minimum=502)
                receiver.accept(found)
                waiting = asyncio.create_task(receiver.receive())
                await sender.send("last")
                await (await waiting).accept()

    run(main)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 503 and not broker.connections)


@on_both
def test_many_tasks(broker: Broker, run: Callable[[Main], Any]) -> None:
    found: list[int] = []

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_sender("q", max_pending=7) as sender:
            async with connection.open_receiver("q", prefetch=3) as receiver:

                async def work(number: int) -> None:
                    await sender.send(number)
                    async with receiver.process(await receiver.receive()) as message:
                        found.append(message.body)

                await asyncio.gather(*(work(number) for number in range(100)))

    run(main)
    assert sorted(found) == list(range(100))


@on_both
def test_settling_in_threads(broker: Broker, run: Callable[[Main], Any]) -> None:
    fill(broker, 40)

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_receiver("q") as receiver:
            messages = await receiver.receive_many(40, minimum=40)
            await asyncio.gather(*(asyncio.to_thread(message.accept) for message in messages))
            await asyncio.to_thread(broker.wait_for, lambda: broker.queue("q").counters.accepted == 40)

    run(main)


@on_both
def test_cancelling(broker: Broker, run: Callable[[Main], Any]) -> None:
    """What is cancelled after some turns of the loop leaves all as it was."""

    async def main() -> None:
        async with aio.connect(url_of(broker)) as connection, connection.open_sender("q") as sender:
            async with connection.open_receiver("q") as receiver:
                for turns in range(12):
                    tasks = [asyncio.create_task(each) for each in (sender.send(turns), receiver.receive_many(2))]
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
                await sender.flush()
            await sender.send("last")

    run(main)
    assert stored(broker)[-1] == "last"
    assert not broker.queue("q").unsettled


# -- another loop

USES: dict[str, Callable[[Any], Any]] = {
    "open_sender": lambda it: it.connection.open_sender("q"),
    "open_receiver": lambda it: it.connection.open_receiver("q"),
    "open_session": lambda it: it.connection.open_session(),
    "open_sender of a session": lambda it: it.session.open_sender("q"),
    "wait_open": lambda it: it.connection.wait_open(),
    "send": lambda it: it.sender.send("x"),
    "submit": lambda it: it.sender.submit("x"),
    "send_many": lambda it: it.sender.send_many(["x"]),
    "flush": lambda it: it.sender.flush(),
    "delivery": lambda it: it.delivery,
    "receive": lambda it: it.receiver.receive(),
    "receive_many": lambda it: it.receiver.receive_many(2),
    "iterating": lambda it: anext(aiter(it.receiver)),
    "batches": lambda it: anext(it.receiver.batches()),
    "drain": lambda it: it.receiver.drain(),
    "detach": lambda it: it.receiver.detach(),
    "sender.close": lambda it: it.sender.close(),
    "receiver.close": lambda it: it.receiver.close(),
    "session.close": lambda it: it.session.close(),
    "connection.close": lambda it: it.connection.close(),
}


class Opened:
    """A connection, and what it has opened."""

    connection: aio.Connection
    session: aio.Session
    sender: aio.Sender
    receiver: aio.Receiver
    delivery: Delivery

    async def open(self, broker: Broker) -> None:
        self.connection = await aio.connect(url_of(broker))
        self.session = await self.connection.open_session()
        self.sender = await self.session.open_sender("q")
        self.receiver = await self.connection.open_receiver("r")
        broker.faults.withhold_outcomes = True
        self.delivery = self.sender.submit_nowait("first")


def test_what_belongs_to_another_loop(broker: Broker) -> None:
    """While that one runs, in another thread: it goes on."""
    opened = Opened()

    async def awaited(use: Callable[[Any], Any]) -> Any:
        return await use(opened)

    def elsewhere() -> dict[str, str]:
        found = {}
        for name, use in USES.items():
            try:
                found[name] = repr(asyncio.run(asyncio.wait_for(awaited(use), 2.0)))
            except WrongLoopError:
                continue
            except BaseException as error:  # noqa: BLE001 (the test looks at it)
                found[name] = repr(error)
        return found

    async def main() -> dict[str, str]:
        await opened.open(broker)
        found = await asyncio.to_thread(elsewhere)
        broker.faults.withhold_outcomes = False
        assert await opened.delivery == Accepted()
        await opened.sender.send("last")
        await opened.connection.close()
        return found

    assert run_asyncio(main) == {}
    assert stored(broker) == ["first", "last"]


def test_the_blocking_form_is_refused_in_a_loop(broker: Broker) -> None:
    async def main() -> None:
        opened = Opened()
        await opened.open(broker)
        with pytest.raises(UsageError, match="await the delivery"):
            opened.delivery.wait()
        broker.faults.withhold_outcomes = False
        await opened.connection.close()

    run_asyncio(main)


# -- loops that end before their connections


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@on_both
def test_a_loop_that_ends_with_an_open_connection(broker: Broker, run: Callable[[Main], Any]) -> None:
    """No thread is left, and what is used afterwards is an error at once."""
    before = set(threading.enumerate())
    kept: list[Opened] = []

    async def main() -> None:
        opened = Opened()
        await opened.open(broker)
        kept.append(opened)
        broker.faults.withhold_outcomes = False

    with bounded(20):
        run(main)
    assert {thread for thread in threading.enumerate() if not thread.daemon} <= before

    async def use(name: str) -> Any:
        return await USES[name](kept[0])

    for name in ("send", "receive", "open_sender"):
        with bounded(10), pytest.raises(AMQPError):
            run_asyncio(partial(use, name))
    kept.clear()
    gc.collect()
    broker.wait_for(lambda: not broker.connections)


ENDS = {
    "sync": """
        from uamqp.sync import connect
        connection = connect(URL)
        sender, receiver = connection.open_sender('q'), connection.open_receiver('r')
        sender.submit('x')
        message = receiver.receive()
        message.accept()
        """,
    "sync, with a thread that waits": """
        import threading
        from uamqp.sync import connect
        connection = connect(URL)
        sender, receiver = connection.open_sender('q'), connection.open_receiver('r')
        receiver.receive().accept()
        threading.Thread(target=receiver.receive, daemon=True).start()
        sender.send('x')
        """,
    "sync, without a keeper": """
        from uamqp.sync import connect
        connection = connect(URL, keeper=False)
        connection.open_sender('q').send('x')
        receiver = connection.open_receiver('r')
        receiver.receive().accept()
        """,
    "aio": """
        import asyncio
        from uamqp.aio import connect
        async def main():
            global connection, sender, receiver
            connection = await connect(URL)
            sender, receiver = await connection.open_sender('q'), await connection.open_receiver('r')
            await sender.send('x')
            await (await receiver.receive()).accept()
        asyncio.run(main())
        """,
    "aio, with tasks that wait": """
        import asyncio
        from uamqp.aio import connect
        async def main():
            global connection, sender, receiver, waiting
            connection = await connect(URL)
            sender, receiver = await connection.open_sender('q'), await connection.open_receiver('r')
            await sender.send('x')
            (await receiver.receive()).accept()
            waiting = [asyncio.create_task(receiver.receive()), asyncio.create_task(receiver.drain())]
            await asyncio.sleep(0)
        asyncio.run(main())
        """,
    "aio, whose loop is never closed": """
        import asyncio, threading
        from uamqp.aio import connect
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        async def main():
            global connection, sender
            connection = await connect(URL)
            sender = await connection.open_sender('q')
            await sender.send('x')
            receiver = await connection.open_receiver('r')
            (await receiver.receive()).accept()
        asyncio.run_coroutine_threadsafe(main(), loop).result()
        """,
}


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_the_end_of_a_program_with_open_connections(broker: Broker, program: str) -> None:
    """It is silent, as far as it isn't asked for ResourceWarnings, and nothing that was settled is lost."""
    broker.put("r", "x")
    code = f"URL = {broker.url!r}\n" + textwrap.dedent(program)
    child = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True, check=False)
    assert (child.stdout, child.stderr, child.returncode) == ("", "", 0)
    broker.wait_for(lambda: not broker.connections)
    assert stored(broker) == ["x"]
    assert broker.queue("r").counters.accepted == 1


CLOSED = {
    "sync": """
        from uamqp.sync import connect
        with connect(URL) as connection, connection.open_sender('q') as sender:
            with connection.open_receiver('r') as receiver:
                sender.send('x')
                receiver.receive().accept()
        """,
    "aio": """
        import asyncio
        from uamqp.aio import connect
        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60
            async with connect(URL) as connection, connection.open_sender('q') as sender:
                async with connection.open_receiver('r') as receiver:
                    await sender.send('x')
                    (await receiver.receive()).accept()
        asyncio.run(main())
        """,
}


@pytest.mark.parametrize("program", CLOSED.values(), ids=CLOSED)
def test_closed_connections_are_no_noise(broker: Broker, program: str) -> None:
    broker.put("r", "x")
    code = f"URL = {broker.url!r}\n" + textwrap.dedent(program)
    options = ["-X", "dev", "-W", "error", "-c", code]
    child = subprocess.run([sys.executable, *options], timeout=60, capture_output=True, text=True, check=False)
    assert (child.stdout, child.stderr, child.returncode) == ("", "", 0)
