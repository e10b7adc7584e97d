"""That the brokers run and do what brokerfacts.py says, seen by python-qpid-proton alone."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .brokerfacts import RealBroker

if TYPE_CHECKING:
    from .protonclient import ProtonClient

pytestmark = pytest.mark.usefixtures("proton")


def connect(broker: RealBroker, **options: Any) -> ProtonClient:
    from .protonclient import connect_to

    return connect_to(broker, **options)


def test_send_and_receive(broker: RealBroker, queue: str) -> None:
    from proton import Message

    with connect(broker) as client:
        sender = client.sender(broker.address(queue))
        for number in range(10):
            sender.send(Message(body=f"m{number}", durable=True))
        receiver = client.receiver(broker.address(queue), credit=10)
        bodies = []
        for _ in range(10):
            bodies.append(receiver.receive().body)
            receiver.accept()
    assert bodies == [f"m{number}" for number in range(10)]


def test_send_and_receive_over_tls(broker: RealBroker, ca: Path, queue: str) -> None:
    from proton import Message

    with connect(broker, ca=ca) as client:
        client.sender(broker.address(queue)).send(Message(body="over TLS"))
        receiver = client.receiver(broker.address(queue), credit=1)
        assert receiver.receive().body == "over TLS"
        receiver.accept()


def test_wrong_password(broker: RealBroker) -> None:
    from proton import ConnectionException

    with pytest.raises(ConnectionException, match="amqp:unauthorized-access"):
        connect(broker, password="wrong")


def test_settle_mode_second(broker: RealBroker, queue: str) -> None:
    from proton import ConnectionException, Link

    from .protonclient import SettleModes

    second = SettleModes(rcv=Link.RCV_SECOND)
    with connect(broker) as client:
        if broker.refuses_second:
            with pytest.raises(ConnectionException, match="amqp:not-implemented"):
                client.receiver(broker.address(queue), credit=0, options=second)
        else:
            receiver = client.receiver(broker.address(queue), credit=0, options=second)
            assert receiver.link.remote_rcv_settle_mode == Link.RCV_FIRST


def test_modified(broker: RealBroker, queue: str) -> None:
    from proton import ConnectionException, Delivery, Message

    with connect(broker) as client:
        client.sender(broker.address(queue)).send(Message(body="again"))
        receiver = client.receiver(broker.address(queue), credit=1)
        receiver.receive()
        delivery = receiver.fetcher.unsettled[0]
        delivery.local.failed = True
        if broker.refuses_modified:
            receiver.settle(Delivery.MODIFIED)
            with pytest.raises(ConnectionException, match="amqp:invalid-field"):
                client.wait(lambda: False, timeout=5)
        else:
            receiver.settle(Delivery.MODIFIED)
            receiver.link.flow(1)
            assert receiver.receive().delivery_count == (1 if broker.counts_failures else 0)
            receiver.accept()


def test_unknown_queue(broker: RealBroker) -> None:
    from proton import ConnectionException

    with connect(broker) as client:
        address = broker.address(f"unknown-{uuid.uuid4()}")
        if broker.refuses_unknown:
            with pytest.raises(ConnectionException, match="amqp:not-found"):
                client.sender(address)
        else:
            client.sender(address)


def test_browsing(broker: RealBroker, queue: str) -> None:
    from proton import Message, Timeout
    from proton.reactor import Copy

    with connect(broker) as client:
        client.sender(broker.address(queue)).send(Message(body="here"))
        browser = client.receiver(broker.address(queue), credit=1, options=Copy())
        assert browser.receive().body == "here"
        browser.accept()
        receiver = client.receiver(broker.address(queue), credit=1)
        if broker.browses:
            assert receiver.receive().body == "here"
        else:
            with pytest.raises(Timeout):
                receiver.receive(timeout=1)


def test_dynamic_source(broker: RealBroker) -> None:
    from proton import ConnectionException

    with connect(broker) as client:
        if broker.dynamic:
            assert client.receiver(None, dynamic=True).link.remote_source.address
        else:
            with pytest.raises(ConnectionException, match="amqp:not-implemented"):
                client.receiver(None, dynamic=True)


@pytest.mark.brokers("durable_queue")
def test_a_durable_message_outlives_the_broker(broker: RealBroker, durable_queue: str) -> None:
    from proton import Message

    with connect(broker) as client:
        client.sender(durable_queue).send(Message(body="still here", durable=True))
    broker.kill()
    broker.start()
    with connect(broker) as client:
        receiver = client.receiver(durable_queue, credit=1)
        assert receiver.receive().body == "still here"
        receiver.accept()
