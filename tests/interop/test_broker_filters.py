"""Filters, browsing, dynamic sources, anonymous relay, topics and subscriptions, at the brokers that have them."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from uamqp import Message, ReceiveClient, SendClient, Source, Target
from uamqp.errors import AMQPConnectionError, ClientMessageError
from uamqp.message import MessageProperties

from .brokerfacts import RealBroker
from .clients import PATIENCE, bodies, login, none_left, receiver, sender, source, take

SELECTOR = {"name": b"apache.org:selector-filter:string", "descriptor": b"apache.org:selector-filter:string"}


def fill(broker: RealBroker, queue: str) -> None:
    with sender(broker, broker.address(queue)) as client:
        for number in range(6):
            colour = "green" if number % 2 else "red"
            client.queue_message(Message(f"m{number}", application_properties={"colour": colour, "n": number}))
        client.send_all_messages()


def test_a_selector(broker: RealBroker, queue: str) -> None:
    """A broker that doesn't apply it gives all there is."""
    fill(broker, queue)
    green = source(broker, broker.address(queue))
    green.set_filter("colour = 'green'", **SELECTOR)
    with receiver(broker, green) as client:
        if not broker.selects:
            assert len(take(client, 6)) == 6
            return
        assert bodies(take(client, 3)) == ["m1", "m3", "m5"]
        assert client.receive_message_batch(timeout=500) == []
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 3)) == ["m0", "m2", "m4"]


@pytest.mark.brokers("selects_sql")
def test_a_selector_with_more_than_one_condition(broker: RealBroker, queue: str) -> None:
    fill(broker, queue)
    some = source(broker, broker.address(queue))
    some.set_filter("colour = 'green' AND n > 2", **SELECTOR)
    with receiver(broker, some) as client:
        assert bodies(take(client, 2)) == ["m3", "m5"]
        assert client.receive_message_batch(timeout=500) == []


def test_browsing(broker: RealBroker, queue: str) -> None:
    """A broker that doesn't know it has the messages consumed."""
    fill(broker, queue)
    for _ in range(2 if broker.browses else 1):
        copy = source(broker, broker.address(queue))
        copy.distribution_mode = "copy"
        with receiver(broker, copy) as client:
            assert bodies(take(client, 6)) == [f"m{number}" for number in range(6)]
    if broker.browses:
        with receiver(broker, broker.address(queue)) as client:
            assert len(take(client, 6)) == 6
    assert none_left(broker, broker.address(queue))


def test_a_dynamic_source(broker: RealBroker) -> None:
    """The broker names the node; its name comes with the attach."""
    named: list[str] = []
    node = Source(f"amqp://{broker.host}", node="ignored")
    node.dynamic = True

    def on_attach(source: Source, target: Target, properties: object, error: object) -> None:
        named.append(str(source))

    with receiver(broker, node, on_attach=on_attach) as client:
        if not broker.dynamic:
            with pytest.raises(AMQPConnectionError, match=r"(?i)not.?implemented"):
                client.receive_message_batch(timeout=PATIENCE)
            return
        while not client.client_ready():
            pass
        assert named
        assert named[0]
        with sender(broker, named[0]) as other:
            other.send_message(Message("to the new node"))
        assert bodies(take(client, 1)) == ["to the new node"]


def test_the_anonymous_relay(broker: RealBroker, queue: str) -> None:
    """A sender without a target address: each message says where it goes to."""
    target = Target(f"amqp://{broker.host}", node="")
    with SendClient(target, auth=login(broker)) as client:
        message = Message("relayed", properties=MessageProperties(to=broker.address(queue)))
        if not broker.relays:
            with pytest.raises(AMQPConnectionError, match=r"(?i)invalid.?field"):
                client.send_message(message)
            return
        client.send_message(message)
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["relayed"]


@pytest.mark.brokers("relays")
def test_what_the_relay_cannot_deliver_is_an_outcome(broker: RealBroker, queue: str) -> None:
    """The link names the outcomes that it knows; without, Broker-J ends it over such a message."""
    with SendClient(Target(f"amqp://{broker.host}", node=""), auth=login(broker)) as client:
        lost = Message("lost", properties=MessageProperties(to=broker.address(f"nosuch/{uuid.uuid4().hex[:12]}/x")))
        with contextlib.suppress(ClientMessageError):  # some make a node for it
            client.send_message(lost)
        client.send_message(Message("relayed", properties=MessageProperties(to=broker.address(queue))))
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["relayed"]


@pytest.mark.brokers("topics")
def test_two_subscribers_of_a_topic(broker: RealBroker, queue: str) -> None:
    topic = broker.topic(queue)
    with receiver(broker, topic) as one, receiver(broker, topic) as two:
        while not (one.client_ready() and two.client_ready()):
            pass
        with sender(broker, topic) as client:
            client.queue_message(*[Message(f"m{number}") for number in range(3)])
            client.send_all_messages()
        assert bodies(take(one, 3)) == ["m0", "m1", "m2"]
        assert bodies(take(two, 3)) == ["m0", "m1", "m2"]


def publish(broker: RealBroker, topic: str, *texts: str) -> None:
    with sender(broker, topic) as client:
        client.queue_message(*map(Message, texts))
        client.send_all_messages()


@pytest.mark.brokers("durable_topics")
def test_a_durable_subscription(broker: RealBroker, queue: str) -> None:
    """It holds what comes while nobody is attached, until it is closed."""
    topic = broker.topic(queue)

    def subscriber() -> ReceiveClient:
        node = Source(f"amqp://{broker.host}", node=topic, capabilities="topic")
        node.durable = 2
        node.expiry_policy = "never"
        return receiver(broker, node, client_name=f"office-{queue}", link_name="morning")

    first = subscriber()
    assert first.receive_message_batch(timeout=500) == []
    first.close(detach=True)
    publish(broker, topic, "m0", "m1")
    with subscriber() as second:  # which ends it
        assert bodies(take(second, 2)) == ["m0", "m1"]
    publish(broker, topic, "m2")
    with subscriber() as third:
        assert third.receive_message_batch(timeout=1000) == []


@pytest.mark.brokers("topics_by_default")
@pytest.mark.parametrize("capability", [None, "queue"])
def test_what_an_address_is_by_default(broker: RealBroker, queue: str, capability: str | None) -> None:
    """A message to a new topic is accepted, and lost."""
    address = (broker.topics_by_default or "").format(queue)
    target = Target(f"amqp://{broker.host}", node=address, capabilities=capability)
    with SendClient(target, auth=login(broker)) as client:
        client.send_message(Message("kept"))
    node = Source(f"amqp://{broker.host}", node=address, capabilities=capability)
    with receiver(broker, node) as client:
        if capability:
            assert bodies(take(client, 1)) == ["kept"]
        else:
            assert client.receive_message_batch(timeout=1000) == []
