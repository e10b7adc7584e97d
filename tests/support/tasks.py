"""Six tasks of the modern API's users, as programs: each for asyncio, and below it the same for threads.

They are run on the embedded broker (tests/messaging/test_tasks.py) and on others (tests/interop/test_modern_tasks.py).
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from uamqp import aio, sync
from uamqp.messaging import Message, NotAccepted, Outcome, OutcomeUnknown
from uamqp.messaging.many import SendReport

PATIENCE = 60.0


@dataclass(frozen=True)
class Place:
    """Where a program works: a broker's URL, the address of a node, and what else `connect` is given."""

    url: str
    address: str
    options: Mapping[str, Any] = field(default_factory=dict)


def run(program: str, face: str, *arguments: Any) -> Any:
    """Run a program of this module in one of its forms, and return its result."""
    result = globals()[f"{program}_{face}"](*arguments)
    return asyncio.run(asyncio.wait_for(result, PATIENCE)) if inspect.iscoroutine(result) else result


# -- 1. send one message safely


async def send_one_aio(place: Place) -> None:
    async with aio.connect(place.url, **place.options) as c:
        async with c.open_sender(place.address) as sender:
            await sender.send(Message("hello", subject="greeting"))


def send_one_sync(place: Place) -> None:
    with sync.connect(place.url, **place.options) as c:
        with c.open_sender(place.address) as sender:
            sender.send(Message("hello", subject="greeting"))


# -- 2. send many messages fast, and know of each


async def send_rows_aio(place: Place, rows: Iterable[bytes], durable: bool = True) -> SendReport:
    async with aio.connect(place.url, **place.options) as c, c.open_sender(place.address, durable=durable) as sender:
        return await sender.send_many((Message(row) for row in rows), window=2000, on_failure="collect")


def send_rows_sync(place: Place, rows: Iterable[bytes], durable: bool = True) -> SendReport:
    with sync.connect(place.url, **place.options) as c, c.open_sender(place.address, durable=durable) as sender:
        return sender.send_many((Message(row) for row in rows), window=2000, on_failure="collect")


# -- 3. submit now, look later

Park = Callable[[str, "Outcome | None"], None]


async def look_later_aio(place: Place, orders: Mapping[str, bytes], park: Park) -> int:
    """Returns how many orders were accepted; the others are parked with their outcomes, None if unknown."""
    accepted = 0
    async with aio.connect(place.url, **place.options) as c, c.open_sender(place.address) as sender:
        deliveries = {
            order_id: await sender.submit(Message(payload, message_id=order_id)) for order_id, payload in orders.items()
        }
        for order_id, delivery in deliveries.items():
            try:
                await delivery
            except OutcomeUnknown:
                park(order_id, None)
            except NotAccepted as error:
                park(order_id, error.outcome)
            else:
                accepted += 1
    return accepted


def look_later_sync(place: Place, orders: Mapping[str, bytes], park: Park) -> int:
    """Likewise."""
    accepted = 0
    with sync.connect(place.url, **place.options) as c, c.open_sender(place.address) as sender:
        deliveries = {
            order_id: sender.submit(Message(payload, message_id=order_id)) for order_id, payload in orders.items()
        }
        for order_id, delivery in deliveries.items():
            try:
                delivery.wait()
            except OutcomeUnknown:
                park(order_id, None)
            except NotAccepted as error:
                park(order_id, error.outcome)
            else:
                accepted += 1
    return accepted


# -- 4. consume with ten workers


class Work(Protocol):
    """What the workers of a program do, in both forms."""

    @property
    def done(self) -> bool:
        """Whether the program shall end: in a real one, a signal says so."""

    def handle(self, job: Any) -> None:
        """Do a job, in a thread."""

    def handle_async(self, job: Any) -> Awaitable[None]:
        """Do a job, in a task."""

    def failed(self, error: Exception) -> None:
        """Note what a job raised."""


async def ten_workers_aio(place: Place, work: Work) -> None:
    async with (
        aio.connect(place.url, **place.options) as c,
        c.open_receiver(place.address, prefetch=50) as r,
    ):

        async def worker() -> None:
            async for message in r:
                try:
                    async with r.process(message):
                        await work.handle_async(message.json())
                except Exception as error:  # noqa: BLE001 (one bad message doesn't end a worker)
                    work.failed(error)
                if work.done:
                    r.stop()

        await asyncio.gather(*(worker() for _ in range(10)))


def ten_workers_sync(place: Place, work: Work) -> None:
    with (
        sync.connect(place.url, **place.options) as c,
        c.open_receiver(place.address, prefetch=50, max_unsettled=20) as r,
        ThreadPoolExecutor(10) as pool,
    ):

        def job(message: Message) -> None:
            try:
                with r.process(message):
                    work.handle(message.json())
            except Exception as error:  # noqa: BLE001 (likewise)
                work.failed(error)
            if work.done:
                r.stop()

        for message in r:
            pool.submit(job, message)


# -- 5. take what is there, in batches


class Store(Protocol):
    """Where a program puts what it takes."""

    @property
    def patience(self) -> float:
        """How many seconds it waits for more."""

    def put(self, rows: list[Any]) -> None:
        """Keep rows."""


async def take_batches_aio(place: Place, store: Store) -> None:
    async with aio.connect(place.url, **place.options) as c:
        async with c.open_receiver(place.address, prefetch=0) as r:
            while batch := await r.receive_many(500, timeout=store.patience):
                store.put([m.body for m in batch])
                r.accept(batch)


def take_batches_sync(place: Place, store: Store) -> None:
    with sync.connect(place.url, **place.options) as c:
        with c.open_receiver(place.address, prefetch=0) as r:
            while batch := r.receive_many(500, timeout=store.patience):
                store.put([m.body for m in batch])
                r.accept(batch)


# -- 6. retry later, reject for good


class Invalid(Exception):
    """It never works."""


class Unavailable(Exception):
    """It may work later."""


class Handling(Protocol):
    """What is done with each message."""

    @property
    def done(self) -> bool:
        """Whether the program shall end."""

    def handle(self, message: Message) -> None:
        """Do it, or raise one of the two."""


async def retry_or_reject_aio(place: Place, handling: Handling) -> None:
    async with aio.connect(place.url, **place.options) as c, c.open_receiver(place.address) as r:
        async for message in r:
            try:
                handling.handle(message)
            except Invalid as error:
                message.reject("app:invalid", str(error))
            except Unavailable:
                if message.delivery_count < 5:
                    message.modify(delivery_failed=True)
                else:
                    message.reject("app:too-many-tries")
            else:
                await message.accept()
            if handling.done:
                r.stop()


def retry_or_reject_sync(place: Place, handling: Handling) -> None:
    with sync.connect(place.url, **place.options) as c, c.open_receiver(place.address) as r:
        for message in r:
            try:
                handling.handle(message)
            except Invalid as error:
                message.reject("app:invalid", str(error))
            except Unavailable:
                if message.delivery_count < 5:
                    message.modify(delivery_failed=True)
                else:
                    message.reject("app:too-many-tries")
            else:
                message.accept().wait()
            if handling.done:
                r.stop()


# -- what the tests give to the programs


class Jobs:
    """`Work`: jobs with numbers. The first ten wait for one another, and flaky ones fail at first."""

    def __init__(self, total: int, flaky: Iterable[int] = ()) -> None:
        self.total = total
        self.flaky = set(flaky)
        self.handled: list[int] = []
        self.errors: list[Exception] = []
        self._started = 0
        self._ten_tasks = asyncio.Event()
        self._ten_threads = threading.Barrier(10)
        self._lock = threading.Lock()

    @property
    def done(self) -> bool:
        return len(self.handled) >= self.total

    def handle(self, job: Any) -> None:
        if self._start() <= 10:
            self._ten_threads.wait(PATIENCE)
        self._do(job)

    async def handle_async(self, job: Any) -> None:
        started = self._start()
        if started == 10:
            self._ten_tasks.set()
        elif started < 10:
            await self._ten_tasks.wait()
        self._do(job)

    def failed(self, error: Exception) -> None:
        self.errors.append(error)

    def _start(self) -> int:
        with self._lock:
            self._started += 1
            return self._started

    def _do(self, job: Any) -> None:
        number = job["number"]
        with self._lock:
            if number in self.flaky:
                self.flaky.remove(number)
                raise Unavailable(f"job {number}")
            self.handled.append(number)

    @staticmethod
    def messages(total: int) -> list[Message]:
        """The messages for them."""
        return [Message.of_json({"number": number}) for number in range(total)]


class Rows:
    """`Store`: waits for so many rows, and then for no more."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.batches: list[list[Any]] = []

    @property
    def found(self) -> list[Any]:
        return [row for batch in self.batches for row in batch]

    @property
    def patience(self) -> float:
        return PATIENCE if len(self.found) < self.total else 0.1

    def put(self, rows: list[Any]) -> None:
        self.batches.append(rows)


class Tries:
    """`Handling`: what each try of each message raises, by the message's text; None if it works.

    Attributes:
        counts: for each text, the delivery-counts of its tries.
    """

    def __init__(self, plan: Mapping[str, Sequence[type[Exception] | None]]) -> None:
        self.plan = plan
        self.counts: dict[str, list[int]] = {text: [] for text in plan}

    @property
    def done(self) -> bool:
        return all(len(self.counts[text]) == len(tries) for text, tries in self.plan.items())

    def handle(self, message: Message) -> None:
        text = message.text()
        counts = self.counts[text]
        counts.append(message.delivery_count)
        reason = self.plan[text][len(counts) - 1]
        if reason is not None:
            raise reason(f"{text} fails")
