"""Addresses, and which nodes there are."""

from __future__ import annotations

import pytest

from tests.support.nodes import Eater
from uamqp.testing.directory import Directory, DirectoryLimits, NoNode, node_name, subscribe, unsubscribe
from uamqp.testing.nodes import NodeLimits, Queue, StoredMessage, Topic

HOSTS = {"localhost", "example.org", "::1"}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("q", "q"),
        ("/q", "/q"),
        ("a/b c", "a/b c"),
        ("queue://q", "q"),
        ("topic://t", "topic://t"),
        ("q/$dead", "q/$dead"),
        ("amqp://localhost/q", "q"),
        ("amqps://localhost/q", "q"),
        ("AMQPS://LocalHost:5671/q", "q"),
        ("amqps://user:secret@example.org/hub/Partitions/0", "hub/Partitions/0"),
        ("amqps://[::1]:5671/q", "q"),
        ("amqp://localhost/q%201", "q 1"),
        ("amqp://localhost/topic://t", "topic://t"),
        ("amqp://localhost/queue://q", "q"),
        ("q%201", "q%201"),
        ("http://localhost/q", "http://localhost/q"),
    ],
)  # fmt: skip
def test_what_an_address_means(address: str, name: str) -> None:
    assert node_name(address, HOSTS) == name


@pytest.mark.parametrize(
    ("address", "condition"),
    [
        ("", "amqp:invalid-field"),
        ("topic://", "amqp:invalid-field"),
        ("queue://", "amqp:invalid-field"),
        ("amqp://localhost", "amqp:invalid-field"),
        ("amqp://localhost/", "amqp:invalid-field"),
        ("amqp://[/q", "amqp:invalid-field"),
        ("amqps://elsewhere.example/q", "amqp:not-found"),
        ("amqp:///q", "amqp:not-found"),
        ("$cbs", "amqp:not-found"),
        ("$management", "amqp:not-found"),
        ("amqps://localhost/$management", "amqp:not-found"),
    ],
)
def test_addresses_that_name_nothing(address: str, condition: str) -> None:
    with pytest.raises(NoNode) as caught:
        node_name(address, HOSTS)
    assert caught.value.condition == condition


def directory(**limits: int | bool) -> Directory:
    return Directory(DirectoryLimits(**limits), NodeLimits(max_messages=3))  # type: ignore[arg-type]


def test_nodes_are_made_when_they_are_first_used() -> None:
    nodes = directory()
    queue, topic = nodes.node("q"), nodes.node("topic://t")
    assert isinstance(queue, Queue)
    assert isinstance(topic, Topic)
    assert nodes.node("q") is queue
    assert nodes.node("t", topic=True) is topic
    assert isinstance(nodes.node("topic://t/$dead"), Queue)


def test_a_broker_may_make_none() -> None:
    nodes = directory(make_nodes=False)
    with pytest.raises(NoNode, match="there is no node 'q'"):
        nodes.node("q")
    queue = nodes.ensure("q")
    assert nodes.node("q") is queue


def test_there_is_a_limit_to_nodes_and_to_names() -> None:
    nodes = directory(max_nodes=2, max_address=5)
    nodes.node("one")
    nodes.node("12345")
    with pytest.raises(NoNode, match="at most 5 characters") as long:
        nodes.node("123456")
    assert long.value.condition == "amqp:invalid-field"
    with pytest.raises(NoNode, match="there are 2 nodes already") as many:
        nodes.node("three")
    assert many.value.condition == "amqp:resource-limit-exceeded"


def test_dynamic_nodes_have_names_of_their_own_and_an_end() -> None:
    nodes = directory()
    first, second = nodes.make_dynamic(), nodes.make_dynamic()
    assert first.name != second.name
    assert nodes.node(first.name) is first
    first.put(StoredMessage(b"x"))
    nodes.delete(first)
    nodes.delete(first)
    with pytest.raises(NoNode, match="its connection is gone"):
        nodes.node(first.name)
    assert nodes.totals().received == 1  # its counts are kept
    assert not nodes.queues(first.name)


def test_dead_letters_go_to_a_queue_of_their_own() -> None:
    nodes = directory()
    queue = nodes.node("q")
    assert isinstance(queue, Queue)
    eater = Eater(1, 9)
    subscribe(queue, eater)
    queue.put(StoredMessage(b"\x00\x53\x75\xa0\x01x", delivery_count=2))
    nodes.run(0)
    assert not nodes.busy
    queue.reject(eater.got[0], "amqp:decode-error", "bad")
    (dead,) = nodes.queues("q/$dead")
    (letter,) = dead.waiting()
    assert letter.delivery_count == 2
    assert b"x-opt-dead-letter-reason" in letter.payload
    totals = nodes.totals()
    assert (totals.received, totals.rejected, totals.dead_lettered) == (1, 1, 1)
    unsubscribe(queue, eater)
    assert not queue.consumers


def reject_all(nodes: Directory, name: str, count: int) -> None:
    queue = nodes.ensure(name)
    assert isinstance(queue, Queue)
    eater = Eater(1, count)
    subscribe(queue, eater)
    for number in range(count):
        queue.put(StoredMessage(b"\x00\x53\x75\xa0\x01%d" % number))
    nodes.run(0)
    for message in eater.got:
        queue.reject(message, "x", "")
    unsubscribe(queue, eater)


def test_a_full_queue_of_dead_letters_loses_the_oldest() -> None:
    nodes = directory()
    reject_all(nodes, "q", 5)
    (dead,) = nodes.queues("q/$dead")
    assert [message.payload[-1:] for message in dead.waiting()] == [b"2", b"3", b"4"]
    assert dead.counters.dropped == 2


def test_dead_letters_that_are_rejected_and_those_of_dynamic_nodes_are_dropped() -> None:
    nodes = directory()
    reject_all(nodes, "q", 1)
    reject_all(nodes, "q/$dead", 1)
    assert nodes.queues("q/$dead/$dead") == []
    dynamic = nodes.make_dynamic().name
    reject_all(nodes, dynamic, 1)
    assert nodes.queues(f"{dynamic}/$dead") == []
    assert nodes.totals().dropped == 2


def test_without_room_for_their_queue_dead_letters_are_dropped() -> None:
    nodes = directory(max_nodes=1)
    reject_all(nodes, "q", 1)
    assert nodes.totals().dropped == 1


def test_topics_have_dead_letters_too() -> None:
    nodes = directory()
    topic = nodes.node("topic://t")
    eater = Eater(1, 9)
    queue = subscribe(topic, eater)
    topic.put(StoredMessage(b"\x00\x53\x75\xa0\x01x"))
    nodes.run(0)
    queue.reject(eater.got[0], "x", "")
    assert [each.depth for each in nodes.queues("topic://t/$dead")] == [1]
    assert nodes.counters("topic://t").sent == 1
    unsubscribe(queue, eater)
    assert nodes.queues("topic://t") == []


def test_it_knows_when_the_next_message_expires() -> None:
    nodes = directory()
    assert nodes.next_expiry() is None
    nodes.ensure("q").put(StoredMessage(b"x", expires=5.0))
    nodes.ensure("r").put(StoredMessage(b"x", expires=4.0))
    nodes.run(0)
    assert nodes.next_expiry() == 4.0
    nodes.tick(4.5)
    nodes.run(4.5)
    assert nodes.next_expiry() == 5.0
    nodes.tick(5.0)
    nodes.run(5.0)
    assert nodes.next_expiry() is None
    assert nodes.totals().expired == 2
    assert nodes.producers("q") == nodes.producers("nothing") == 0
