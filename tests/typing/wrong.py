"""Mistakes in the use of the modern API: each is an error, whose text has what follows `E:`. Nothing here runs."""

from __future__ import annotations

from uamqp import aio, sync
from uamqp.aio import Cbs, Delivery, Message, NotAccepted, Plain, ReceiverOptions, SenderOptions, Source, Timeouts
from uamqp.brokers import rabbitmq
from uamqp.messaging import filters

URL = "amqp://localhost"


async def connecting() -> None:
    aio.connect(URL, idle_timout=5)  # E: idle_timout
    aio.connect(URL, Plain("me", "secret"), None)  # E: positional
    aio.connect(URL, credentials="me")  # E: credentials
    aio.connect(URL, credentials=Plain)  # E: credentials
    aio.connect(URL, tls=True)  # E: tls
    sync.connect(URL, idle_timout=5)  # E: idle_timout
    sync.connect(URL, timeouts=5)  # E: timeouts
    Plain("me")  # E: password
    Plain("me", password=5)  # E: password
    Cbs(lambda: "token", "audience")  # E: str
    Timeouts(sned=5)  # E: sned
    with aio.connect(URL):  # E: Opening[Connection]
        pass
    async with sync.connect(URL):  # E: __aenter__
        pass
    (await aio.connect(URL)).opensender("q")  # E: opensender
    raise aio.AMQPErorr("an error")  # E: AMQPErorr


async def options(one: aio.Connection, other: sync.Connection) -> None:
    one.open_sender("q", presetled=True)  # E: presetled
    one.open_sender("q", presettled="no")  # E: presettled
    one.open_sender("q", prefetch=5)  # E: prefetch
    one.open_sender()  # E: target
    one.open_sender(Source("q"))  # E: Source
    one.open_receiver("q", filters=filters.selector("a = 1"))  # E: filters
    one.open_receiver("q", settle="at once")  # E: settle
    other.open_sender("q", max_pendig=5)  # E: max_pendig
    other.open_receiver("q", prefetch="all")  # E: prefetch
    other.open_receiver("q", expiry="tomorrow")  # E: expiry
    sending: SenderOptions = {"durabel": True}  # E: durabel
    receiving: ReceiverOptions = {"prefetch": None}  # E: int
    print(sending, receiving)


async def sending(one: aio.Sender, other: sync.Sender) -> None:
    await one.send({"a", "set"})  # E: set[str]
    await one.send("text", timeot=5)  # E: timeot
    await one.send_many(["text"], on_failure="ignore")  # E: on_failure
    await one.send_many(5)  # E: send_many
    await other.send("text")  # E: None
    print(other.submit("text").bdoy)  # E: bdoy
    one.credit = 5  # E: credit


async def messages(message: Message) -> None:
    Message("text", subjekt="s")  # E: subjekt
    Message("text", "subject")  # E: positional
    Message("text", ttl="soon")  # E: ttl
    Message(object())  # E: object
    Message.of_json({}, subjekt="s")  # E: subjekt
    message.copy(priority="high")  # E: priority
    message.reject(delivery_failed=True)  # E: delivery_failed
    message.modify(True)  # E: positional
    message.delivery_count = 5  # E: delivery_count
    filters.properties(subjekt="s")  # E: subjekt
    rabbitmq.exchange(5)  # E: exchange


async def receiving(one: aio.Receiver, other: sync.Receiver, message: Message) -> None:
    for _ in one:  # E: __iter__
        pass
    async for _ in other.batches():  # E: __aiter__
        pass
    await one.receive_many()  # E: maximum
    other.receive(time_out=5)  # E: time_out
    other.accept(message)  # E: accept
    other.process(message, requeue="yes")  # E: requeue


def errors(error: NotAccepted, delivery: Delivery) -> bytes:
    print(error.delivery.message)  # E: message
    print(error.reason)  # E: reason
    return delivery.tag  # E: bytes | None
