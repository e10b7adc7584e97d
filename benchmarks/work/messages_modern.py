"""Messages per second through the modern API; prints JSON.

    messages_modern.py MODE PORT COUNT BODY_BYTES

send-many: `send_many` with a window of 1000. tasks: `await send()` in 1000 tasks. submit: `submit`, and the outcomes
awaited later. batches: iterate over `batches()`, read each body, accept each batch. one-by-one: `async for`, read and
accept each message. futures: nothing but asyncio, a future for each message, in 1000 tasks: what `tasks` compares with.
sync-...: the same, blocking; sync-send: one `send()` after the other; sync-threads: that in 16 threads.
Printed are messages per second, and the microseconds of CPU that one takes.
"""

import argparse
import asyncio
import json
import resource
import threading
import time
from collections import deque

from uamqp import aio, sync

MODES = ["send-many", "tasks", "submit", "batches", "one-by-one", "futures"]
SYNC_MODES = ["sync-send-many", "sync-send", "sync-threads", "sync-batches", "sync-one-by-one"]
TASKS = 1000
THREADS = 16

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=[*MODES, *SYNC_MODES])
parser.add_argument("port", type=int)
parser.add_argument("count", type=int)
parser.add_argument("size", type=int)
options = parser.parse_args()

BODY = b"x" * options.size
URL = f"amqp://localhost:{options.port}"


def check(message):
    if len(message.body) != options.size:
        raise SystemExit("a body of the wrong size")


async def send_many(sender):
    report = await sender.send_many(aio.Message(BODY) for _ in range(options.count))
    return report.accepted


async def tasks(sender):
    async def work():
        for _ in range(options.count // TASKS):
            await sender.send(aio.Message(BODY))

    await asyncio.gather(*(work() for _ in range(TASKS)))
    return options.count // TASKS * TASKS


async def submit(sender):
    under_way = deque()
    for _ in range(options.count):
        under_way.append(await sender.submit(aio.Message(BODY)))
        if len(under_way) == TASKS:
            await under_way.popleft()
    for delivery in under_way:
        await delivery
    return options.count


async def batches(receiver):
    done = 0
    async for batch in receiver.batches(500):
        for message in batch:
            check(message)
        receiver.accept(batch)
        done += len(batch)
        if done >= options.count:
            break
    return done


async def one_by_one(receiver):
    done = 0
    async for message in receiver:
        check(message)
        message.accept()
        done += 1
        if done >= options.count:
            break
    return done


async def futures():
    waiting = deque()
    loop = asyncio.get_running_loop()

    async def work():
        for _ in range(options.count // TASKS):
            future = loop.create_future()
            waiting.append(future)
            await future

    async def answer():
        while True:
            while waiting:
                waiting.popleft().set_result(None)
            await asyncio.sleep(0)

    answering = asyncio.create_task(answer())
    await asyncio.gather(*(work() for _ in range(TASKS)))
    answering.cancel()
    return options.count // TASKS * TASKS


async def asynchronous(mode):
    if mode == "futures":
        return await measured(futures())
    async with aio.connect(URL) as connection:
        if mode in ("batches", "one-by-one"):
            async with connection.open_receiver("q0", prefetch=1000) as receiver:
                return await measured((batches if mode == "batches" else one_by_one)(receiver))
        work = {"send-many": send_many, "tasks": tasks, "submit": submit}[mode]
        async with connection.open_sender("q0") as sender:
            return await measured(work(sender))


async def measured(operation):
    start, cpu = time.perf_counter(), time.process_time()
    done = await operation
    return done, time.perf_counter() - start, time.process_time() - cpu


def sync_send_many(sender):
    return sender.send_many(sync.Message(BODY) for _ in range(options.count)).accepted


def sync_send(sender):
    for _ in range(options.count):
        sender.send(sync.Message(BODY))
    return options.count


def sync_threads(sender):
    def work():
        for _ in range(options.count // THREADS):
            sender.send(sync.Message(BODY))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return options.count // THREADS * THREADS


def sync_batches(receiver):
    done = 0
    for batch in receiver.batches(500):
        for message in batch:
            check(message)
        receiver.accept(batch)
        done += len(batch)
        if done >= options.count:
            break
    return done


def sync_one_by_one(receiver):
    done = 0
    for message in receiver:
        check(message)
        message.accept()
        done += 1
        if done >= options.count:
            break
    return done


def blocking(mode):
    with sync.connect(URL) as connection:
        if mode in ("sync-batches", "sync-one-by-one"):
            link = connection.open_receiver("q0", prefetch=1000)
            work = sync_batches if mode == "sync-batches" else sync_one_by_one
        else:
            link = connection.open_sender("q0")
            work = {"sync-send-many": sync_send_many, "sync-send": sync_send, "sync-threads": sync_threads}[mode]
        with link:
            start, cpu = time.perf_counter(), time.process_time()
            done = work(link)
            return done, time.perf_counter() - start, time.process_time() - cpu


if options.mode in MODES:
    done, seconds, cpu = asyncio.run(asynchronous(options.mode))
else:
    done, seconds, cpu = blocking(options.mode)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rate": done / seconds, "cpu": cpu / done * 1e6, "memory": memory}))
