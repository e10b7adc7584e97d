"""One of the six workloads of `make bench-guard`, so many rounds of it:

    workloads.py NAME ROUNDS BATCH [PORT]

It is run by interpreters that have one or the other commit installed, so it uses the public API alone, and imports
nothing that is beside it. A round is BATCH messages; PORT is the far end's, for `send` and `receive`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from uamqp import Message, ReceiveClient, ReceiveClientAsync, SendClient, SendClientAsync
from uamqp.constants import MessageState
from uamqp.message import MessageProperties
from uamqp.testing import Broker

BODY = b"x" * 100
PATIENCE = 300_000
"""Milliseconds without a message. A program that is counted is fifty times as slow."""


@dataclass(frozen=True)
class Plan:
    """How much to do, and where the far end is."""

    rounds: int
    batch: int
    port: int

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}/queue"

    def repeat(self, work: Callable[[], None]) -> None:
        work()
        settle_down()
        for _ in range(self.rounds):
            work()

    async def repeat_async(self, work: Callable[[], Awaitable[None]]) -> None:
        await work()
        settle_down()
        for _ in range(self.rounds):
            await work()


def settle_down() -> None:
    """Have the collector leave alone what is there now: whether it goes through it doesn't hang on the messages."""
    gc.collect()
    gc.freeze()


def check(holds: bool, text: str) -> None:
    if not holds:
        raise SystemExit(text)


# -- the codec


def encoded() -> bytes:
    message = Message(
        BODY,
        properties=MessageProperties(message_id="message-1", to=b"queue", subject=b"subject"),
        application_properties={"a": "b", "n": 1},
    )
    message.annotations = {b"x-opt-sequence": 5}
    return bytes(message.encode_message())


def encode(plan: Plan) -> None:
    def work() -> None:
        for _ in range(plan.batch):
            encoded()

    plan.repeat(work)


def decode(plan: Plan) -> None:
    data = encoded()

    def work() -> None:
        for _ in range(plan.batch):
            message = Message.decode_from_bytes(data)
            read = b"".join(message.get_data()), message.properties.message_id, message.application_properties
            check(read == (BODY, b"message-1", {b"a": b"b", b"n": 1}), "what was decoded isn't what was encoded")

    plan.repeat(work)


# -- the blocking clients


def send_batch(sender: SendClient, count: int) -> None:
    messages = [Message(BODY) for _ in range(count)]
    sender.queue_message(*messages)
    sender.wait()
    check_sent(messages)


def receive_batch(receiver: ReceiveClient, count: int) -> None:
    while count:
        batch = receiver.receive_message_batch(count)
        check_received(batch)
        count -= len(batch)


def check_sent(messages: list[Message]) -> None:
    check(all(message.state == MessageState.SendComplete for message in messages), "a message wasn't sent")


def check_received(messages: list[Message]) -> None:
    check(bool(messages), "no message came")
    check(all(b"".join(message.get_data()) == BODY for message in messages), "a message isn't what was sent")


def send(plan: Plan) -> None:
    with SendClient(plan.url) as sender:
        plan.repeat(lambda: send_batch(sender, plan.batch))


def receive(plan: Plan) -> None:
    with ReceiveClient(plan.url, prefetch=plan.batch, timeout=PATIENCE) as receiver:
        plan.repeat(lambda: receive_batch(receiver, plan.batch))


# -- the embedded broker: `with Broker()` and the blocking clients, `async with Broker()` and those of asyncio


def broker(plan: Plan) -> None:
    sys.setswitchinterval(3600)  # a thread goes on until it waits: how far it gets doesn't hang on the clock
    with Broker() as running:
        url = f"{running.url}/queue"
        with SendClient(url) as sender, ReceiveClient(url, prefetch=plan.batch, timeout=PATIENCE) as receiver:

            def work() -> None:
                send_batch(sender, plan.batch)
                receive_batch(receiver, plan.batch)

            plan.repeat(work)


def broker_async(plan: Plan) -> None:
    asyncio.run(in_one_loop(plan))


async def in_one_loop(plan: Plan) -> None:
    async with Broker() as running:
        url = f"{running.url}/queue"
        receiving = ReceiveClientAsync(url, prefetch=plan.batch, timeout=PATIENCE)
        async with SendClientAsync(url) as sender, receiving as receiver:

            async def work() -> None:
                messages = [Message(BODY) for _ in range(plan.batch)]
                sender.queue_message(*messages)
                await sender.wait_async()
                check_sent(messages)
                count = plan.batch
                while count:
                    batch = await receiver.receive_message_batch_async(count)
                    check_received(batch)
                    count -= len(batch)

            await plan.repeat_async(work)


WORKLOADS = {
    "encode": encode,
    "decode": decode,
    "send": send,
    "receive": receive,
    "broker": broker,
    "broker-async": broker_async,
}

if __name__ == "__main__":
    name, rounds, batch, port = [*sys.argv[1:], "0"][:4]
    WORKLOADS[name](Plan(int(rounds), int(batch), int(port)))
