"""azure-servicebus, unchanged, on this library: the blocking clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
    TransportType,
)
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    OperationTimeoutError,
    ServiceBusAuthenticationError,
    ServiceBusError,
)

from tests.downstream.service import Service, running, soon


def client_of(service: Service, uamqp_transport: bool, **settings: Any) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(
        service.connection_string,
        custom_endpoint_address=service.endpoint,
        connection_verify=service.ca,
        uamqp_transport=uamqp_transport,
        retry_total=0,
        **{"transport_type": TransportType.Amqp, **settings},
    )


@pytest.fixture
def client(service: Service, uamqp_transport: bool) -> Iterator[ServiceBusClient]:
    with client_of(service, uamqp_transport) as client:
        yield client


def send(client: ServiceBusClient, *bodies: str, queue: str = "q", **fields: Any) -> None:
    with client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(body, **fields) for body in bodies])


def texts(messages: Any) -> list[str]:
    return [str(message) for message in messages]


def test_send_and_complete(client: ServiceBusClient, service: Service) -> None:
    send(client, "one", "two", application_properties={"key": "value", "n": 5}, subject="about")
    with client.get_queue_receiver("q", max_wait_time=5) as receiver:
        messages = receiver.receive_messages(max_message_count=2, max_wait_time=5)
        messages += receiver.receive_messages(max_message_count=2, max_wait_time=5) if len(messages) < 2 else []
        assert sorted(texts(messages)) == ["one", "two"]
        first = messages[0]
        assert first.sequence_number in (1, 2)
        assert first.subject == "about"
        assert first.application_properties == {b"key": b"value", b"n": 5}
        assert first.lock_token is not None
        assert first.locked_until_utc is not None
        for message in messages:
            receiver.complete_message(message)
        with pytest.raises((MessageAlreadySettled, ValueError)):
            receiver.complete_message(first)
    service.broker.wait_for(lambda: service.broker.queue("q").counters.accepted == 2)


def test_send_a_batch(client: ServiceBusClient, service: Service) -> None:
    with client.get_queue_sender("q") as sender:
        batch = sender.create_message_batch()
        for number in range(10):
            batch.add_message(ServiceBusMessage(f"{number}"))
        sender.send_messages(batch)
    assert service.broker.queue("q").depth == 10


def test_iterate(client: ServiceBusClient) -> None:
    send(client, "a", "b", "c")
    with client.get_queue_receiver("q", max_wait_time=1) as receiver:
        seen = []
        for message in receiver:
            seen.append(str(message))
            receiver.complete_message(message)
    assert sorted(seen) == ["a", "b", "c"]


def test_settle_in_all_ways(client: ServiceBusClient, service: Service) -> None:
    send(client, "abandon", "defer", "bury", "complete")
    with client.get_queue_receiver("q", max_wait_time=2) as receiver:
        held: dict[str, Any] = {}
        while len(held) < 4:
            for message in receiver.receive_messages(max_message_count=4, max_wait_time=5):
                held[str(message)] = message
        receiver.complete_message(held["complete"])
        receiver.defer_message(held["defer"])
        receiver.dead_letter_message(held["bury"], reason="spoilt", error_description="smells")
        receiver.abandon_message(held["abandon"])
        (again,) = receiver.receive_messages(max_message_count=1, max_wait_time=5)
        assert str(again) == "abandon"
        assert again.delivery_count == 1
        receiver.complete_message(again)
        (deferred,) = receiver.receive_deferred_messages(held["defer"].sequence_number)
        assert str(deferred) == "defer"
        receiver.complete_message(deferred)
    with client.get_queue_receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=2) as receiver:
        (dead,) = receiver.receive_messages(max_wait_time=5)
        assert str(dead) == "bury"
        receiver.complete_message(dead)
    service.broker.wait_for(lambda: service.broker.queue("q").depth == 0)


def test_receive_and_delete(client: ServiceBusClient, service: Service) -> None:
    send(client, "x")
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with client.get_queue_receiver("q", receive_mode=mode, max_wait_time=2) as receiver:
        assert texts(receiver.receive_messages(max_wait_time=5)) == ["x"]
    assert service.broker.queue("q").depth == 0


def test_peek_and_renew(client: ServiceBusClient) -> None:
    send(client, "one", "two")
    with client.get_queue_receiver("q", max_wait_time=2) as receiver:
        assert texts(receiver.peek_messages(max_message_count=5)) == ["one", "two"]
        assert receiver.peek_messages(max_message_count=5, sequence_number=100) == []
        (message, *_) = receiver.receive_messages(max_wait_time=5)
        before = message.locked_until_utc
        assert receiver.renew_message_lock(message) > before


def test_schedule_and_cancel(client: ServiceBusClient, service: Service) -> None:
    with client.get_queue_sender("q") as sender:
        numbers = sender.schedule_messages([ServiceBusMessage("later"), ServiceBusMessage("too")], soon())
        assert len(numbers) == 2
        assert service.broker.queue("q/scheduled").depth == 2
        sender.cancel_scheduled_messages(numbers)
        assert service.broker.queue("q/scheduled").depth == 0


def test_sessions(client: ServiceBusClient) -> None:
    send(client, "a1", "a2", queue="sessions", session_id="A")
    send(client, "b1", queue="sessions", session_id="B")
    with client.get_queue_receiver("sessions", session_id="A", max_wait_time=2) as receiver:
        assert receiver.session.session_id == "A"
        receiver.session.set_state(b"half done")
        assert receiver.session.get_state() == b"half done"
        assert receiver.session.renew_lock() is not None
        seen = []
        for message in receiver:
            seen.append(str(message))
            receiver.complete_message(message)
        assert sorted(seen) == ["a1", "a2"]
    with client.get_queue_receiver("sessions", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=2) as receiver:
        assert receiver.session.session_id == "B"
        assert texts(receiver.receive_messages(max_wait_time=5)) == ["b1"]


def test_no_session_is_available(client: ServiceBusClient) -> None:
    with pytest.raises(OperationTimeoutError):
        with client.get_queue_receiver("sessions", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1):
            pass


def test_list_sessions(client: ServiceBusClient) -> None:
    """A management client for `amqps://host`: with 1.6.11 it can't even be made."""
    send(client, "a", queue="sessions", session_id="A")
    send(client, "b", queue="sessions", session_id="B")
    assert sorted(client.list_queue_sessions("sessions")) == ["A", "B"]


def test_a_token_that_is_refused(service: Service, uamqp_transport: bool) -> None:
    service.broker.tokens.refuse = (401, "Unauthorized: not you")
    with client_of(service, uamqp_transport) as client:
        with pytest.raises((ServiceBusAuthenticationError, ServiceBusError)):
            send(client, "x")


def test_over_websocket(certificates: Any) -> None:
    with running(certificates, websocket=True) as service:
        with client_of(service, True, transport_type=TransportType.AmqpOverWebsocket) as client:
            send(client, "x")
            with client.get_queue_receiver("q", max_wait_time=2) as receiver:
                assert texts(receiver.receive_messages(max_wait_time=5)) == ["x"]
