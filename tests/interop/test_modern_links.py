"""What links of the modern API ask of their nodes, in both faces: filters, browsing, dynamic nodes, subscriptions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.faces import Face, both_faces
from uamqp.messaging import FilterRefused, LinkRefused, Message, Node, NodeDeleted, filters

from .brokerfacts import RealBroker
from .modern import PATIENCE, SILENCE, bodies, connected, left, numbers, send, take

pytestmark = both_faces


# -- filters


def coloured() -> list[Message]:
    """Six messages, every other one of which is green."""
    return [
        Message(f"m{number}", application_properties={"colour": "green" if number % 2 else "red", "n": number})
        for number in range(6)
    ]


@pytest.mark.brokers("selects")
def test_a_selector(face: Face, broker: RealBroker, queue: str) -> None:
    address, text = broker.address(queue), "colour = 'green'"
    expected = ["m1", "m3", "m5"]
    if broker.selects_sql:
        text, expected = "colour = 'green' AND n > 2", ["m3", "m5"]
    with connected(face, broker) as connection:
        send(face, connection, address, coloured())
        with face.open(lambda: connection.open_receiver(address, filters=[filters.selector(text)])) as receiver:
            messages = take(face, receiver, len(expected))
            assert bodies(messages) == expected
            assert face.go(lambda: receiver.receive_many(5, timeout=SILENCE)) == []
            face.go(lambda: receiver.accept(messages))
        rest = [f"m{number}" for number in range(6) if f"m{number}" not in expected]
        assert left(face, broker, connection, address, len(rest)) == rest


@pytest.mark.brokers("not selects")
def test_a_selector_that_is_not_applied(
    face: Face, broker: RealBroker, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RabbitMQ before 4.3 says that it applies it, and doesn't."""
    address = broker.address(queue)
    wanted = [filters.selector("colour = 'green'")]
    with connected(face, broker) as connection:
        send(face, connection, address, coloured())
        with pytest.raises(FilterRefused, match="jms-selector"):
            face.go(lambda: connection.open_receiver(address, filters=wanted))
        receiver = face.go(lambda: connection.open_receiver(address, filters=wanted, filters_required=False))
        assert "doesn't apply the filter 'jms-selector'" in caplog.text
        messages = take(face, receiver, 6)
        assert bodies(messages) == numbers(6)
        face.go(lambda: receiver.accept(messages))


# -- browsing


def test_browsing(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(6))
        if not broker.browses:
            with pytest.raises(LinkRefused, match="browse"):
                face.go(lambda: connection.open_receiver(address, browse=True))
        else:
            for _ in range(2):
                with face.open(lambda: connection.open_receiver(address, browse=True)) as receiver:
                    messages = take(face, receiver, 6)
                    assert bodies(messages) == numbers(6)
                    face.go(messages[0].accept)
        assert left(face, broker, connection, address, 6) == numbers(6)


# -- dynamic nodes


def test_a_node_of_the_brokers_making(face: Face, broker: RealBroker) -> None:
    """It gets replies: whoever knows its name may send to it."""
    with connected(face, broker) as connection:
        if not broker.dynamic:
            with pytest.raises(LinkRefused) as caught:
                face.go(lambda: connection.open_receiver(dynamic=True))
            assert caught.value.condition == "amqp:not-implemented"
            return
        with (
            face.open(lambda: connection.open_receiver(dynamic=True)) as replies,
            connected(face, broker) as other,
        ):
            assert replies.address
            send(face, other, replies.address, numbers(5))
            messages = take(face, replies, 5)
            assert bodies(messages) == numbers(5)
            face.go(lambda: replies.accept(messages))


# -- topics


@pytest.mark.brokers("topics")
def test_two_subscribers_of_a_topic(face: Face, broker: RealBroker, queue: str) -> None:
    topic = broker.topic(queue)
    with (
        connected(face, broker) as connection,
        face.open(lambda: connection.open_receiver(topic)) as one,
        face.open(lambda: connection.open_receiver(topic)) as two,
    ):
        send(face, connection, topic, numbers(3))
        for receiver in (one, two):
            messages = take(face, receiver, 3)
            assert bodies(messages) == numbers(3)
            face.go(lambda: receiver.accept(messages))  # noqa: B023 (at once)


@pytest.mark.brokers("topics_by_default")
def test_a_queue_where_an_address_is_a_topic_by_default(face: Face, broker: RealBroker, queue: str) -> None:
    node = Node((broker.topics_by_default or "").format(queue), capabilities=["queue"])
    with connected(face, broker) as connection:
        with face.open(lambda: connection.open_sender(node)) as sender:
            face.go(lambda: sender.send("kept"))
        with face.open(lambda: connection.open_receiver(node)) as receiver:
            message = face.go(lambda: receiver.receive(PATIENCE))
            assert message.text() == "kept"
            face.wait(face.go(message.accept))


@pytest.mark.brokers("durable_topics")
def test_a_durable_subscription(face: Face, broker: RealBroker, queue: str) -> None:
    """It holds what comes while nobody is attached, whether its receiver detached or was closed, until it ends."""
    topic = broker.topic(queue)

    def subscriber(connection: Any) -> Any:
        node = Node(topic, capabilities=["topic"])
        return face.go(lambda: connection.open_receiver(node, subscription="morning"))

    def office() -> Any:
        return connected(face, broker, container_id=f"office-{queue}")

    with connected(face, broker) as other:
        with office() as connection:
            face.go(subscriber(connection).detach)
        send(face, other, topic, ["m0", "m1"])
        with office() as connection:
            receiver = subscriber(connection)
            messages = take(face, receiver, 2)
            assert bodies(messages) == ["m0", "m1"]
            face.go(lambda: receiver.accept(messages))
            face.go(receiver.close)
            send(face, other, topic, ["m2"])
        with office() as connection:
            receiver = subscriber(connection)
            messages = take(face, receiver, 1)
            assert bodies(messages) == ["m2"]
            face.go(lambda: receiver.accept(messages))
            face.go(receiver.unsubscribe)
            send(face, other, topic, ["m3"])
        with office() as connection:
            receiver = subscriber(connection)
            assert face.go(lambda: receiver.receive_many(1, timeout=SILENCE)) == []
            face.go(receiver.unsubscribe)


@pytest.mark.brokers("durable_topics")
def test_a_durable_subscription_with_a_selector(face: Face, broker: RealBroker, queue: str) -> None:
    node = Node(broker.topic(queue), capabilities=["topic"])
    options: dict[str, Any] = {"subscription": "green", "filters": [filters.selector("colour = 'green'")]}
    with connected(face, broker) as other, connected(face, broker, container_id=f"lab-{queue}") as connection:
        receiver = face.go(lambda: connection.open_receiver(node, **options))
        face.go(receiver.detach)
        send(face, other, broker.topic(queue), coloured())
        receiver = face.go(lambda: connection.open_receiver(node, **options))
        messages = take(face, receiver, 3)
        assert bodies(messages) == ["m1", "m3", "m5"]
        face.go(lambda: receiver.accept(messages))
        face.go(receiver.unsubscribe)


# -- what goes


def delete(face: Face, connection: Any, queue: str) -> None:
    """Have RabbitMQ delete a queue: by a request on a pair of links with one name, in one session."""
    pair = {"name": f"pair-{uuid.uuid4()}", "presettled": True, "properties": {"paired": True}}
    request = Message.of_value(None, message_id="1", subject="DELETE", to=f"/queues/{queue}", reply_to="$me")
    with (
        face.open(connection.open_session) as session,
        face.open(lambda: session.open_sender("/management", **pair)) as requests,
        face.open(lambda: session.open_receiver("/management", **pair)) as answers,
    ):
        face.go(lambda: requests.send(request))
        answer = face.go(lambda: answers.receive(PATIENCE))
    assert answer.subject == "200", answer.body


@pytest.mark.brokers("refuses_unknown")
def test_a_queue_that_is_deleted(face: Face, broker: RealBroker, queue: str, proton: None) -> None:
    """Who receives from it is told so, and other links go on."""
    from .protonclient import declare

    address, other_name = broker.address(queue), f"other-{queue}"
    declare(broker, other_name)
    with connected(face, broker) as connection:
        receiver = face.go(lambda: connection.open_receiver(address))
        waiting = face.spawn(lambda: receiver.receive(PATIENCE))
        with face.open(lambda: connection.open_sender(broker.address(other_name))) as sender:
            delete(face, connection, queue)
            with pytest.raises(NodeDeleted):
                waiting.result()
            assert receiver.state == "failed"
            face.go(receiver.close)
            face.go(lambda: sender.send("still here"))
        assert left(face, broker, connection, broker.address(other_name), 1) == ["still here"]
        delete(face, connection, other_name)
