"""azure-eventhub, unchanged, on this library: the blocking and the asyncio clients.

Its own transport doesn't run here: that of 5.15.1 can't read performatives without their trailing nulls.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumer
from azure.eventhub.aio import EventHubProducerClient as AsyncProducer
from azure.eventhub.exceptions import EventHubError

from tests.downstream.service import HUB, PARTITIONS, Service, running


def settings_of(service: Service, **settings: Any) -> dict[str, Any]:
    return {
        "conn_str": service.connection_string,
        "eventhub_name": HUB,
        "custom_endpoint_address": service.endpoint,
        "connection_verify": service.ca,
        "uamqp_transport": True,
        "transport_type": TransportType.Amqp,
        "retry_total": 0,
        **settings,
    }


def producer_of(service: Service, **settings: Any) -> EventHubProducerClient:
    """With 1.6.11 these can't be opened: it takes no list of capabilities."""
    return EventHubProducerClient.from_connection_string(**settings_of(service, **settings))


def consumer_of(service: Service) -> EventHubConsumerClient:
    return EventHubConsumerClient.from_connection_string(consumer_group="$default", **settings_of(service))


def depth(service: Service, partition: str = "0") -> int:
    return service.broker.queue(f"{HUB}/Partitions/{partition}").depth


def test_properties(service: Service) -> None:
    with producer_of(service) as producer:
        assert producer.get_eventhub_properties()["partition_ids"] == list(PARTITIONS)
        assert producer.get_partition_ids() == list(PARTITIONS)
        found = producer.get_partition_properties("1")
        assert (found["id"], found["is_empty"]) == ("1", True)


def test_send(service: Service) -> None:
    with producer_of(service) as producer:
        batch = producer.create_batch(partition_id="1")
        for number in range(5):
            event = EventData(f"event {number}")
            event.properties = {"number": number}
            batch.add(event)
        producer.send_batch(batch)
        producer.send_event(EventData("alone"))
    assert (depth(service, "0"), depth(service, "1")) == (1, 5)


def test_send_a_batch_of_events(service: Service) -> None:
    with producer_of(service) as producer:
        producer.send_batch([EventData("a"), EventData("b")], partition_key="key")
    assert depth(service) == 2


def test_receive(service: Service) -> None:
    with producer_of(service) as producer:
        producer.send_batch([EventData(f"{number}") for number in range(4)])
    seen: list[Any] = []
    consumer = consumer_of(service)

    def take(context: Any, event: Any) -> None:
        seen.append(event)
        if len(seen) == 4:
            threading.Thread(target=consumer.close).start()

    consumer.receive(take, partition_id="0", starting_position="-1")
    assert [event.body_as_str() for event in seen] == ["0", "1", "2", "3"]
    assert [event.sequence_number for event in seen] == [1, 2, 3, 4]
    assert seen[0].offset == "1"
    assert seen[0].enqueued_time is not None


def test_a_token_that_is_refused(service: Service) -> None:
    service.broker.tokens.refuse = (401, "Unauthorized: not you")
    with producer_of(service) as producer, pytest.raises(EventHubError):
        producer.send_event(EventData("x"))


def test_over_websocket(certificates: Any) -> None:
    with running(certificates, websocket=True) as service:
        with producer_of(service, transport_type=TransportType.AmqpOverWebsocket) as producer:
            producer.send_event(EventData("x"))
        assert depth(service) == 1


def test_asyncio(service: Service) -> None:
    async def main() -> list[str]:
        settings = settings_of(service)
        async with AsyncProducer.from_connection_string(**settings) as producer:
            assert await producer.get_partition_ids() == list(PARTITIONS)
            batch = await producer.create_batch(partition_id="0")
            for number in range(4):
                batch.add(EventData(f"{number}"))
            await producer.send_batch(batch)
            await producer.send_event(EventData("4"), partition_id="0")
        seen: list[str] = []
        done = asyncio.Event()

        async def take(context: Any, event: Any) -> None:
            seen.append(event.body_as_str())
            if len(seen) == 5:
                done.set()

        async with AsyncConsumer.from_connection_string(consumer_group="$default", **settings) as consumer:
            task = asyncio.create_task(consumer.receive(take, partition_id="0", starting_position="-1"))
            await done.wait()
            await consumer.close()
            await task
        return seen

    assert asyncio.run(asyncio.wait_for(main(), 60)) == ["0", "1", "2", "3", "4"]
