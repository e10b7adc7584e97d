"""What type checkers make of the modern API, where that isn't plain. Nothing here runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from uamqp import aio, sync
from uamqp.codec import Accepted, Modified, Rejected, Released
from uamqp.messaging import (
    AMQPError,
    ConnectFailed,
    ConnectionEvent,
    ConnectionState,
    ConnectionStats,
    Delivery,
    Filter,
    LinkState,
    Message,
    MessageFields,
    MessageRejected,
    NotAccepted,
    OperationTimeout,
    Outcome,
    ReceiverOptions,
    RemotePeer,
    SenderOptions,
    SendError,
    SendManyFailed,
    SendReport,
    SendTimeout,
    Settlement,
    filters,
)

if TYPE_CHECKING:  # with nothing installed for it: type checkers bring what they know of it
    from typing_extensions import assert_type  # pyright: ignore[reportMissingModuleSource]


class Order(Message):
    """A class of an application's own."""


async def of_aio(sending: SenderOptions, receiving: ReceiverOptions) -> None:
    assert_type(aio.connect("amqp://localhost"), aio.Opening[aio.Connection])
    assert_type(await aio.connect("amqp://localhost"), aio.Connection)
    async with aio.connect("amqp://localhost") as connection:
        assert_type(connection, aio.Connection)
        assert_type(connection.open_sender("q", **sending), aio.Opening[aio.Sender])
        assert_type(await connection.open_receiver("q", **receiving), aio.Receiver)
        async with connection as same, same.open_sender("q", presettled="mixed") as sender:
            assert_type(same, aio.Connection)
            assert_type(sender, aio.Sender)
            await of_senders(sender)
        async with connection.open_receiver("q", filters=[filters.sql("a"), [filters.no_local()]]) as receiver:
            assert_type(receiver, aio.Receiver)
            await of_receivers(receiver)
        async for event in connection.events():
            assert_type(event, ConnectionEvent)
            assert_type(event.kind, Literal["opened", "failed", "closed", "link_lost"])
        async with connection.open_session() as session:
            assert_type(session, aio.Session)
            assert_type(session.open_sender("q", **sending), aio.Opening[aio.Sender])


async def of_senders(sender: aio.Sender) -> None:
    assert_type(await sender.submit("text"), Delivery)
    assert_type(await (await sender.submit("text")), Accepted | None)
    assert_type(sender.submit_nowait({"a": ["map"]}), Delivery)
    report = await sender.send_many(["text", b"bytes", Message(5)], on_failure="collect")
    assert_type(report, SendReport)
    assert_type(report.failures, tuple[Delivery, ...])
    assert_type(report.failures[0].error, SendError | None)
    assert_type(report.failures[0].outcome, Outcome | None)
    assert_type(sender.state, LinkState)
    async with sender as same:
        assert_type(same, aio.Sender)


async def of_receivers(receiver: aio.Receiver) -> None:
    assert_type(await receiver.receive(), Message)
    assert_type(receiver.receive_nowait(), Message | None)
    assert_type(await receiver.receive_many(5), list[Message])
    async for message in receiver:
        assert_type(message, Message)
        async with receiver.process(message) as processed:
            assert_type(processed, Message)
        assert_type(message.accept(), Settlement)
        assert_type(await message.release(), None)
    async for batch in receiver.batches():
        assert_type(batch, list[Message])
        assert_type(receiver.accept(batch), Settlement)


def of_sync(sending: SenderOptions, receiving: ReceiverOptions) -> None:
    assert_type(sync.connect("amqp://localhost"), sync.Connection)
    with sync.connect("amqp://localhost") as connection:
        assert_type(connection.state, ConnectionState)
        assert_type(connection.remote, RemotePeer | None)
        assert_type(connection.stats(), ConnectionStats)
        for event in connection.events():
            assert_type(event, ConnectionEvent)
        with connection.open_session() as session, session.open_receiver("q") as in_session:
            assert_type(in_session, sync.Receiver)
        with connection.open_sender("q", **sending) as sender:
            assert_type(sender, sync.Sender)
            assert_type(sender.submit("text"), Delivery)
            assert_type(sender.submit("text").wait(timeout=5), Accepted | None)
            assert_type(sender.send_many(["text"]).accepted, int)
        with connection.open_receiver("q", **receiving) as receiver:
            assert_type(receiver, sync.Receiver)
            assert_type(receiver.receive(), Message)
            assert_type(receiver.receive_many(5), list[Message])
            for message in receiver:
                assert_type(message, Message)
                with receiver.process(message) as processed:
                    assert_type(processed, Message)
                assert_type(message.reject("app:bad").wait(), None)
            for batch in receiver.batches():
                assert_type(batch, list[Message])


def of_messages(message: Message, order: Order, fields: MessageFields) -> None:
    assert_type(message.body, Any)
    assert_type(message.body_kind, Literal["data", "value", "sequence"] | None)
    assert_type(message.text(), str)
    assert_type(message.json(), Any)
    assert_type(message.message_id, str | int | UUID | bytes | None)
    assert_type(message.ttl, timedelta | None)
    message.ttl = 5
    assert_type(message.durable, bool | None)
    assert_type(message.application_properties, dict[str, Any])
    message.annotations["x-opt-a"] = 1
    message.footer = None
    assert_type(message.delivery_tag, bytes | None)
    assert_type(Message.of_json({"a": 1}, **fields), Message)
    assert_type(Order.of_data(b"a", b"b", subject="s"), Order)
    assert_type(order.copy(body=b"c", ttl=None), Order)
    assert_type(Order.decode(b""), Order)


def of_errors(error: AMQPError, failed: NotAccepted, many: SendManyFailed, nobody: ConnectFailed) -> None:
    assert_type(error.condition, str | None)
    assert_type(error.is_temporary, bool)
    assert_type(failed.delivery, Delivery | None)
    assert_type(failed.outcome, Rejected | Released | Modified | None)
    assert_type(nobody.attempts, tuple[tuple[str, AMQPError], ...])
    if many.report is not None:
        assert_type(many.report.taken, int)
    if isinstance(error, MessageRejected):
        assert_type(error.queue, str | None)
    late: list[TimeoutError] = [OperationTimeout("late"), SendTimeout("late")]
    print(late)


def of_callbacks(delivery: Delivery, connection: sync.Connection) -> None:
    told: Callable[[Delivery], None] = print
    delivery.add_done_callback(told)
    assert_type(delivery.cancel(), bool)
    assert_type(filters.properties(subject="s"), Filter)
    connection.open_receiver("q", on_flow_properties=lambda properties: print(assert_type(properties["a"], Any)))
