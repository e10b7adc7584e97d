"""Kinds of nodes that clients ask for by capabilities, and the lives of dynamic nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import Client, connect, message, story, symbols, until
from uamqp.codec import (
    ACCEPTED,
    Composite,
    DeleteOnClose,
    DeleteOnNoLinks,
    DeleteOnNoLinksOrMessages,
    DeleteOnNoMessages,
    Described,
    Source,
    Symbol,
    Target,
    ULong,
)
from uamqp.engine import Receiver, Sender
from uamqp.testing import Broker


def lifetime(policy: type[Composite], symbolic: bool = False) -> dict[Any, Any]:
    descriptor = Symbol(policy.NAME) if symbolic else ULong(policy.DESCRIPTOR)
    return {Symbol("lifetime-policy"): Described(descriptor, []), Symbol("supported-dist-modes"): Symbol("move")}


async def dynamic(client: Client, terminus: Source | Target, credit: int = 10) -> tuple[Receiver | Sender, Any]:
    """A link to a dynamic node, and the terminus that the broker answers with."""
    terminus.dynamic = True
    if isinstance(terminus, Source):
        receiver = await client.attach_receiver(terminus, credit=credit)
        return receiver, receiver.remote_source
    sender = await client.attach_sender(terminus)
    return sender, sender.remote_target


@pytest.mark.parametrize("capability", ["topic", "temporary-topic"])
@story
async def test_a_dynamic_topic(broker: Broker, capability: str) -> None:
    """Each subscriber gets a copy, whether it names the capability or only the address."""
    async with await connect(broker) as client, await connect(broker) as other:
        first, source = await dynamic(client, Source(capabilities=symbols(capability)))
        assert source.capabilities == (capability,)
        assert source.address.startswith("topic://")
        assert isinstance(first, Receiver)
        second = await other.attach_receiver(source.address, credit=5)
        third = await other.attach_receiver(Source(address=source.address, capabilities=symbols(capability)), credit=5)
        sender = await other.attach_sender(Target(address=source.address, capabilities=symbols(capability)))
        assert isinstance(sender.remote_target, Target)
        assert sender.remote_target.capabilities == (capability,)
        for number in range(2):
            assert await other.send(sender, message(b"%d" % number)) == ACCEPTED
        for receiver, who in ((first, client), (second, other), (third, other)):
            assert [(await who.receive(receiver)).payload[-1:] for _ in range(2)] == [b"0", b"1"]
        await client.close()
        assert await other.refusal(second) == "amqp:resource-deleted"
        assert await other.refusal(await other.attach_sender(source.address)) == "amqp:not-found"


@story
async def test_a_dynamic_topic_to_send_to(broker: Broker) -> None:
    async with await connect(broker) as client:
        sender, target = await dynamic(client, Target(capabilities=symbols("temporary-topic")))
        receivers = [await client.attach_receiver(target.address, credit=1) for _ in range(2)]
        assert isinstance(sender, Sender)
        assert await client.send(sender, message(b"x")) == ACCEPTED
        for receiver in receivers:
            client.settle(await client.receive(receiver))


@pytest.mark.parametrize("asked", [("queue",), ("temporary-queue",), ("temporary-queue", "queue"), ()])
@story
async def test_a_dynamic_queue(broker: Broker, asked: tuple[str, ...]) -> None:
    async with await connect(broker) as client:
        receiver, source = await dynamic(client, Source(capabilities=symbols(*asked)))
        assert set(source.capabilities) == set(asked)
        assert not source.address.startswith("topic://")
        again = await client.attach_sender(Target(address=source.address, capabilities=symbols(*asked)))
        assert again.is_open
        assert await client.send(again, message(b"x")) == ACCEPTED
        assert isinstance(receiver, Receiver)
        client.settle(await client.receive(receiver))


REFUSED = [
    ({"capabilities": symbols("topic", "queue"), "dynamic": True}, "amqp:invalid-field"),
    ({"capabilities": symbols("temporary-topic", "temporary-queue"), "dynamic": True}, "amqp:invalid-field"),
    ({"capabilities": symbols("temporary-topic", "shared"), "dynamic": True}, "amqp:not-implemented"),
    (
        {"dynamic_node_properties": {Symbol("lifetime-policy"): Symbol("for-ever")}, "dynamic": True},
        "amqp:not-implemented",
    ),
    ({"address": "x", "capabilities": symbols("queue", "topic")}, "amqp:invalid-field"),
    ({"address": "x", "capabilities": symbols("topic", "shared")}, "amqp:not-implemented"),
    ({"address": "topic://x", "capabilities": symbols("global")}, "amqp:not-implemented"),
    ({"address": "topic://x", "capabilities": symbols("queue")}, "amqp:invalid-field"),
    ({"address": "topic://x", "capabilities": symbols("temporary-queue")}, "amqp:invalid-field"),
    ({"address": "queue://x", "capabilities": symbols("topic")}, "amqp:invalid-field"),
    ({"address": "x/$dead", "capabilities": symbols("topic")}, "amqp:invalid-field"),
    ({"address": "topic://x/$dead", "capabilities": symbols("topic")}, "amqp:invalid-field"),
    ({"address": "x", "capabilities": symbols("temporary-queue")}, "amqp:not-found"),
    ({"address": "x", "capabilities": symbols("temporary-topic")}, "amqp:not-found"),
]


@pytest.mark.parametrize(("fields", "condition"), REFUSED)
@story
async def test_what_there_cannot_be_is_refused(broker: Broker, fields: dict[str, Any], condition: str) -> None:
    async with await connect(broker) as client:
        receiver = await client.attach_receiver(Source(**fields))
        assert await client.refusal(receiver) == condition
        sender = await client.attach_sender(Target(**fields))
        assert await client.refusal(sender) == condition
    assert broker.queue("x").counters == broker.queue("y").counters


@story
async def test_capabilities_that_hold(broker: Broker) -> None:
    """The answer has those that are true of the node; what the broker doesn't know isn't among them."""
    async with await connect(broker) as client:
        for asked, address, held in (
            (("queue", "shared", "example:new"), "q", ("queue",)),
            (("topic", "example:new"), "t", ("topic",)),
            (("topic",), "topic://t", ("topic",)),
            (("queue",), "topic://t/$dead", ("queue",)),
            (("queue",), "queue://q", ("queue",)),
        ):
            receiver = await client.attach_receiver(Source(address=address, capabilities=symbols(*asked)))
            assert isinstance(receiver.remote_source, Source)
            assert receiver.remote_source.capabilities == held


# -- how long dynamic nodes live


async def exists(client: Client, address: str) -> bool:
    link = await client.attach_sender(address)
    return not link.is_refused or await client.refusal(link) != "amqp:not-found"


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("terminus", [Source, Target])
@story
async def test_a_node_that_lives_as_long_as_its_link(broker: Broker, terminus: Any, symbolic: bool) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        asked = lifetime(DeleteOnClose, symbolic)
        link, answer = await dynamic(client, terminus(dynamic_node_properties=asked))
        assert answer.dynamic_node_properties == {
            Symbol("lifetime-policy"): DeleteOnClose()
        }  # of the properties that were asked for
        sender = await other.attach_sender(answer.address)
        assert await other.send(sender, message(b"x")) == ACCEPTED
        client.detach(link)
        assert await other.refusal(sender) == "amqp:resource-deleted"
        assert not await exists(client, answer.address)
        kept, _ = await dynamic(client, terminus(dynamic_node_properties=asked))
        assert kept.is_open


@story
async def test_a_node_that_lives_as_long_as_it_has_links(broker: Broker) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        source = Source(dynamic_node_properties=lifetime(DeleteOnNoLinks))
        receiver, answer = await dynamic(client, source, credit=0)
        sender = await other.attach_sender(answer.address)
        client.detach(receiver)
        await until(broker, lambda: broker.queue(answer.address).consumers == 0)
        assert await other.send(sender, message(b"x")) == ACCEPTED
        assert broker.queue(answer.address).depth == 1
        other.detach(sender)
        await until(broker, lambda: broker.queue(answer.address).depth == 0)
        assert not await exists(client, answer.address)


@pytest.mark.parametrize("policy", [DeleteOnNoMessages, DeleteOnNoLinksOrMessages])
@story
async def test_a_node_that_lives_as_long_as_it_has_messages(broker: Broker, policy: type[Composite]) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        maker, answer = await dynamic(client, Target(dynamic_node_properties=lifetime(policy)))
        queue = broker.queue(answer.address)
        assert isinstance(maker, Sender)
        assert await client.send(maker, message(b"x")) == ACCEPTED
        client.detach(maker)
        await until(broker, lambda: queue.producers == 0)
        receiver = await other.attach_receiver(answer.address, credit=1)
        delivery = await other.receive(receiver)
        other.settle(delivery)
        if policy is DeleteOnNoMessages:
            assert await other.refusal(receiver) == "amqp:resource-deleted"
        else:
            await until(broker, lambda: queue.unsettled == 0)
            assert queue.consumers == 1
            other.detach(receiver)
            await until(broker, lambda: queue.consumers == 0)
        assert not await exists(client, answer.address)


@story
async def test_a_node_without_a_policy_lives_as_long_as_its_connection(broker: Broker) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        receiver, answer = await dynamic(client, Source())
        assert answer.dynamic_node_properties is None
        client.detach(receiver)
        await until(broker, lambda: broker.queue(answer.address).consumers == 0)
        sender = await other.attach_sender(answer.address)
        assert await other.send(sender, message(b"x")) == ACCEPTED
        await client.close()
        assert await other.refusal(sender) == "amqp:resource-deleted"
