"""azure-servicebus, unchanged, on this library: the asyncio clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage, ServiceBusSubQueue, TransportType
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusError

from tests.downstream.service import Service, running, soon

Test = Callable[[ServiceBusClient], Coroutine[Any, Any, None]]


def client_of(service: Service, uamqp_transport: bool, **settings: Any) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(
        service.connection_string,
        custom_endpoint_address=service.endpoint,
        connection_verify=service.ca,
        uamqp_transport=uamqp_transport,
        retry_total=0,
        **{"transport_type": TransportType.Amqp, **settings},
    )


def run(service: Service, uamqp_transport: bool, test: Test) -> None:
    async def main() -> None:
        async with client_of(service, uamqp_transport) as client:
            await test(client)

    asyncio.run(asyncio.wait_for(main(), 60))


async def send(client: ServiceBusClient, *bodies: str, queue: str = "q", **fields: Any) -> None:
    async with client.get_queue_sender(queue) as sender:
        await sender.send_messages([ServiceBusMessage(body, **fields) for body in bodies])


def test_send_and_settle_in_all_ways(service: Service, uamqp_transport: bool) -> None:
    async def test(client: ServiceBusClient) -> None:
        await send(client, "abandon", "defer", "bury", "complete")
        async with client.get_queue_receiver("q", max_wait_time=2) as receiver:
            held: dict[str, Any] = {}
            while len(held) < 4:
                for message in await receiver.receive_messages(max_message_count=4, max_wait_time=5):
                    held[str(message)] = message
            await receiver.complete_message(held["complete"])
            await receiver.defer_message(held["defer"])
            await receiver.dead_letter_message(held["bury"], reason="spoilt", error_description="smells")
            await receiver.abandon_message(held["abandon"])
            (again,) = await receiver.receive_messages(max_message_count=1, max_wait_time=5)
            assert str(again) == "abandon"
            await receiver.complete_message(again)
            (deferred,) = await receiver.receive_deferred_messages(held["defer"].sequence_number)
            await receiver.complete_message(deferred)
        async with client.get_queue_receiver(
            "q", sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=2
        ) as receiver:
            (dead,) = await receiver.receive_messages(max_wait_time=5)
            assert str(dead) == "bury"
            await receiver.complete_message(dead)

    run(service, uamqp_transport, test)
    service.broker.wait_for(lambda: service.broker.queue("q").depth == 0)


def test_an_idle_receiver_asks_for_nothing(service: Service, uamqp_transport: bool) -> None:
    """It releases what comes between its calls: without an end, if the peer had credit again each time."""

    async def test(client: ServiceBusClient) -> None:
        async with client.get_queue_receiver("q", max_wait_time=2) as receiver:
            await send(client, "x")
            for _ in range(3):
                await send(client, *"abcdefgh", queue="other")
            assert service.broker.queue("q").counters.released <= 1
            (message,) = await receiver.receive_messages(max_wait_time=5)
            await receiver.complete_message(message)

    run(service, uamqp_transport, test)


def test_batch_iterate_and_renew(service: Service, uamqp_transport: bool) -> None:
    async def test(client: ServiceBusClient) -> None:
        async with client.get_queue_sender("q") as sender:
            batch = await sender.create_message_batch()
            for number in range(10):
                batch.add_message(ServiceBusMessage(f"{number}"))
            await sender.send_messages(batch)
        seen = []
        renewer = AutoLockRenewer()
        async with client.get_queue_receiver("q", max_wait_time=1, auto_lock_renewer=renewer) as receiver:
            assert len(await receiver.peek_messages(max_message_count=20)) == 10
            async for message in receiver:
                seen.append(str(message))
                await receiver.renew_message_lock(message)
                await receiver.complete_message(message)
        await renewer.close()
        assert sorted(seen, key=int) == [str(number) for number in range(10)]

    run(service, uamqp_transport, test)


def test_schedule_and_cancel(service: Service, uamqp_transport: bool) -> None:
    async def test(client: ServiceBusClient) -> None:
        async with client.get_queue_sender("q") as sender:
            numbers = await sender.schedule_messages([ServiceBusMessage("later")], soon())
            assert len(numbers) == 1
            await sender.cancel_scheduled_messages(numbers)

    run(service, uamqp_transport, test)
    assert service.broker.queue("q/scheduled").depth == 0


def test_sessions(service: Service, uamqp_transport: bool) -> None:
    async def test(client: ServiceBusClient) -> None:
        await send(client, "a1", "a2", queue="sessions", session_id="A")
        assert [session async for session in client.list_queue_sessions("sessions")] == ["A"]
        async with client.get_queue_receiver(
            "sessions", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1
        ) as receiver:
            assert receiver.session.session_id == "A"
            await receiver.session.set_state(b"half done")
            assert await receiver.session.get_state() == b"half done"
            await receiver.session.renew_lock()
            seen = []
            async for message in receiver:
                seen.append(str(message))
                await receiver.complete_message(message)
        assert sorted(seen) == ["a1", "a2"]

    run(service, uamqp_transport, test)


def test_many_tasks(service: Service) -> None:
    async def test(client: ServiceBusClient) -> None:
        await asyncio.gather(*(send(client, f"{number}", queue=f"q{number}") for number in range(8)))

    run(service, True, test)
    assert [service.broker.queue(f"q{number}").depth for number in range(8)] == [1] * 8


def test_a_token_that_is_refused(service: Service, uamqp_transport: bool) -> None:
    service.broker.tokens.refuse = (401, "Unauthorized: not you")

    async def test(client: ServiceBusClient) -> None:
        with pytest.raises((ServiceBusAuthenticationError, ServiceBusError)):
            await send(client, "x")

    run(service, uamqp_transport, test)


def test_over_websocket(certificates: Any) -> None:
    async def main(service: Service) -> None:
        async with client_of(service, True, transport_type=TransportType.AmqpOverWebsocket) as client:
            await send(client, "x")

    with running(certificates, websocket=True) as service:
        asyncio.run(asyncio.wait_for(main(service), 60))
        assert service.broker.queue("q").depth == 1
