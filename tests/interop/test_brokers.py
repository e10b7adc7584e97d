"""That the brokers run and do what brokerfacts.py says, seen by python-qpid-proton alone."""

from __future__ import annotations

import contextlib
import socket
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


def refusal(broker: RealBroker) -> Any:
    """What proton raises for a link that the broker refuses."""
    from proton import ConnectionException
    from proton.utils import LinkDetached

    return ConnectionException if broker.ends_sessions else LinkDetached


def test_settle_mode_second(broker: RealBroker, queue: str) -> None:
    from proton import Link

    from .protonclient import SettleModes

    second = SettleModes(rcv=Link.RCV_SECOND)
    with connect(broker) as client:
        if broker.refuses_second:
            with pytest.raises(refusal(broker), match="amqp:not-implemented"):
                client.receiver(broker.address(queue), credit=0, options=second)
        else:
            receiver = client.receiver(broker.address(queue), credit=0, options=second)
            granted = Link.RCV_SECOND if broker.confirms else Link.RCV_FIRST
            assert receiver.link.remote_rcv_settle_mode == granted


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


def test_rejected(broker: RealBroker, queue: str) -> None:
    from proton import Delivery, Message, Timeout

    with connect(broker) as client:
        client.sender(broker.address(queue)).send(Message(body="no"))
        receiver = client.receiver(broker.address(queue), credit=2)
        assert receiver.receive().body == "no"
        receiver.settle(Delivery.REJECTED)
        if broker.rejects_to_itself:
            again = receiver.receive()
            assert (again.body, again.delivery_count) == ("no", 1)
            receiver.accept()
        else:
            with pytest.raises(Timeout):
                receiver.receive(timeout=1)


def test_unknown_queue(broker: RealBroker) -> None:
    with connect(broker) as client:
        address = broker.address(f"unknown-{uuid.uuid4()}")
        if broker.refuses_unknown:
            with pytest.raises(refusal(broker), match="amqp:not-found"):
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


def test_selector(broker: RealBroker, queue: str) -> None:
    """A broker that doesn't apply it gives all there is."""
    from proton import Message, Timeout
    from proton.reactor import Selector

    with connect(broker) as client:
        sender = client.sender(broker.address(queue))
        for number in range(4):
            sender.send(Message(body=number, properties={"colour": "green" if number % 2 else "red", "n": number}))
    for text, expected in (("colour = 'green'", [1, 3]), ("colour = 'red' AND n > 1", [2])):
        applied = broker.selects_sql or (broker.selects and "AND" not in text)
        with connect(broker) as client:  # what it isn't settling comes again
            receiver = client.receiver(broker.address(queue), credit=10, options=Selector(text))
            got = []
            with contextlib.suppress(Timeout):
                while True:
                    got.append(receiver.receive(timeout=1).body)
        assert sorted(got) == (expected if applied else [0, 1, 2, 3])


def test_dynamic_source(broker: RealBroker) -> None:
    with connect(broker) as client:
        if broker.dynamic:
            assert client.receiver(None, dynamic=True).link.remote_source.address
        else:
            with pytest.raises(refusal(broker), match="amqp:not-implemented"):
                client.receiver(None, dynamic=True)


def test_anonymous_relay(broker: RealBroker, queue: str) -> None:
    from proton import Message

    with connect(broker) as client:
        if broker.relays:
            client.sender(None).send(Message(address=broker.address(queue), body="relayed"))
            assert client.receiver(broker.address(queue), credit=1).receive().body == "relayed"
        else:
            with pytest.raises(refusal(broker), match="amqp:invalid-field"):
                client.sender(None)


@pytest.mark.brokers("releases_unroutable")
def test_what_no_queue_is_bound_for(broker: RealBroker) -> None:
    from proton import Delivery, Message
    from proton.utils import SendException

    with connect(broker) as client:
        sender = client.sender("/exchanges/amq.topic/nobody")
        with pytest.raises(SendException) as caught:
            sender.send(Message(body="x"))
        assert caught.value.state == Delivery.RELEASED


@pytest.mark.brokers("internal_exchange")
def test_an_address_that_nobody_may_send_to(broker: RealBroker) -> None:
    with connect(broker) as client, pytest.raises(refusal(broker), match="amqp:unauthorized-access"):
        client.sender(broker.internal_exchange)


@pytest.mark.brokers("message_limit")
def test_the_largest_message(broker: RealBroker, queue: str) -> None:
    with connect(broker) as client:
        link = client.sender(broker.address(queue)).link
        assert link.remote_max_message_size == broker.message_limit


@pytest.mark.brokers("sessions")
def test_how_many_sessions_there_may_be(broker: RealBroker) -> None:
    with connect(broker) as client:
        assert client.conn.transport.remote_channel_max == broker.sessions - 1


def test_delivery_annotations(broker: RealBroker, queue: str) -> None:
    from proton import ConnectionException, Message, symbol

    with connect(broker) as client:
        sender = client.sender(broker.address(queue))
        message = Message(body="x", instructions={symbol("x-opt-hop"): "ours"})
        if broker.takes_delivery_annotations:
            sender.send(message)
        else:
            with pytest.raises(ConnectionException):
                sender.send(message)


def test_draining(broker: RealBroker, queue: str) -> None:
    """The credit that is left is given back; where it isn't, the broker ends the session."""
    from proton import ConnectionException

    with connect(broker) as client:
        link = client.receiver(broker.address(queue), credit=0).link
        link.drain(10)
        if broker.answers_drain:
            client.wait(lambda: not link.credit and not link.draining(), timeout=10)
        else:
            with pytest.raises(ConnectionException):
                client.wait(lambda: not link.credit, timeout=10)


def test_a_protocol_header_without_sasl(broker: RealBroker) -> None:
    header = b"AMQP\x00\x01\x00\x00"
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as client:
        client.sendall(header)
        assert (client.recv(8, socket.MSG_WAITALL) == header) is broker.no_sasl


def test_sasl_external(broker: RealBroker, ca: Path) -> None:
    from proton import ConnectionException

    def log_in() -> None:
        with connect(broker, ca=ca, certificate=ca.with_name("client.pem"), key=ca.with_name("client.key")):
            pass

    if broker.external:
        log_in()
    else:
        with pytest.raises(ConnectionException, match=r"amqp:unauthorized-access|mechanism"):
            log_in()


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
