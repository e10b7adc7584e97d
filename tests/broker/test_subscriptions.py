"""Durable subscriptions to the embedded broker's topics, with the modern API and on the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.client import Client, connect, message, story, symbols, until
from tests.support.faces import Face, both_faces, face  # noqa: F401 (a fixture)
from uamqp.codec import DeleteOnNoLinks, Described, Modified, Source, Symbol, Target
from uamqp.engine import Receiver, events
from uamqp.messaging import LinkRefused, LinkStolen
from uamqp.testing import Broker, SubscriptionView

TOPIC = "topic://prices"
NEVER = Symbol("never")
SELECTOR = Symbol("apache.org:selector-filter:string")


def subscriptions(broker: Broker, topic: str = TOPIC) -> list[tuple[str, str, bool, int]]:
    """The subscriptions as the broker's view has them: whose, attached or not, and how many messages wait."""
    found = broker.queue(topic).subscriptions
    return [(view.container_id, view.name, view.attached, view.depth) for view in found]


def bodies(broker: Broker, topic: str = TOPIC) -> list[Any]:
    return [view.body for view in broker.queue(topic).messages]


# -- with the modern API


@both_faces
def test_a_subscription_collects_while_nobody_receives(face: Face, broker: Broker) -> None:  # noqa: F811
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        with face.open(lambda: connection.open_receiver(TOPIC, subscription="s")) as receiver:
            assert (receiver.remote.source.durable, receiver.remote.source.expiry) == (2, "never")
        broker.put(TOPIC, "1")
    broker.put(TOPIC, "2")
    assert subscriptions(broker) == [("me", "s", False, 2)]
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        broker.put(TOPIC, "3")
        with face.open(lambda: connection.open_receiver(TOPIC, subscription="s")) as receiver:
            found = face.take(receiver, 3)
            assert [each.body for each in found] == ["1", "2", "3"]
            face.wait(found[0].accept())
    broker.wait_for(lambda: subscriptions(broker) == [("me", "s", False, 2)])


@both_faces
def test_unsubscribing_ends_a_subscription(face: Face, broker: Broker) -> None:  # noqa: F811
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        receiver = face.go(lambda: connection.open_receiver(TOPIC, subscription="s", credit="manual"))
        broker.put(TOPIC, "1")
        assert broker.queue(TOPIC).subscriptions == (SubscriptionView("me", "s", True, 1, 0),)
        face.go(receiver.unsubscribe)
        assert broker.queue(TOPIC).subscriptions == ()
        broker.put(TOPIC, "2")
    counters = broker.queue(TOPIC).counters
    assert (broker.queue(TOPIC).depth, counters.received, counters.dropped) == (0, 2, 2)


@both_faces
def test_a_lost_connection_leaves_the_subscription(face: Face, broker: Broker) -> None:  # noqa: F811
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        receiver = face.go(lambda: connection.open_receiver(TOPIC, subscription="s"))
        broker.put(TOPIC, "1")
        face.take(receiver, 1)
        broker.drop_connections()
        broker.wait_for(lambda: subscriptions(broker) == [("me", "s", False, 1)])
        broker.put(TOPIC, "2")
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        with face.open(lambda: connection.open_receiver(TOPIC, subscription="s")) as receiver:
            found = face.take(receiver, 2)
            assert [(each.body, each.delivery_count) for each in found] == [("1", 1), ("2", 0)]


@both_faces
def test_a_second_receiver_takes_the_subscription_over(face: Face, broker: Broker) -> None:  # noqa: F811
    with (
        face.open(lambda: face.connect(broker.url, container_id="me")) as first,
        face.open(lambda: face.connect(broker.url, container_id="me")) as second,
    ):
        stolen = face.go(lambda: first.open_receiver(TOPIC, subscription="s"))
        with face.open(lambda: second.open_receiver(TOPIC, subscription="s")) as receiver:
            broker.put(TOPIC, "1")
            assert [each.body for each in face.take(receiver, 1)] == ["1"]
            with pytest.raises(LinkStolen):
                face.go(stolen.receive)
            assert len(subscriptions(broker)) == 1


@both_faces
def test_a_source_that_ends_with_its_session_is_not_durable(face: Face, broker: Broker) -> None:  # noqa: F811
    with face.open(lambda: face.connect(broker.url, container_id="me")) as connection:
        with pytest.raises(LinkRefused, match="keeps nothing"):
            face.go(lambda: connection.open_receiver(TOPIC, durable=True, expiry="session-end", name="s"))
        assert subscriptions(broker) == []
        with face.open(lambda: connection.open_receiver(TOPIC, durable=True, name="s")):
            assert subscriptions(broker) == [("me", "s", True, 0)]


# -- on the wire


async def subscribe(client: Client, topic: str = TOPIC, credit: int = 0, name: str = "s", **fields: Any) -> Receiver:
    """A link with a durable subscription; `fields` are the source's."""
    source = Source(**{"address": topic, "durable": 2, "expiry_policy": NEVER, **fields})
    return await client.attach_receiver(source, name=name, credit=credit)


def answered(receiver: Receiver) -> tuple[int, str]:
    source = receiver.remote_source
    assert isinstance(source, Source)
    return source.durable, source.expiry_policy


async def left(client: Client, receiver: Receiver, how: str) -> None:
    """The link after its end of one kind, by the client's doing."""
    now = client.now()
    if how == "end":
        receiver.session.end(now)
    elif how == "close":
        await client.close()
        return
    else:
        receiver.detach(now, closed=how == "closed")
    client.protocol.wake()
    await client.next(events.LinkDetached, lambda event: event.link is receiver)


@pytest.mark.parametrize("durable", [1, 2])
@story
async def test_the_answer_says_that_the_source_is_durable(broker: Broker, durable: int) -> None:
    async with await connect(broker) as client:
        receiver = await subscribe(client, durable=durable)
        assert answered(receiver) == (durable, "never")


@pytest.mark.parametrize(
    ("how", "stays"), [("suspended", True), ("end", True), ("close", True), ("closed", False)]
)  # fmt: skip
@story
async def test_only_a_closed_link_ends_the_subscription(broker: Broker, how: str, stays: bool) -> None:
    async with await connect(broker) as client:
        receiver = await subscribe(client, credit=1)
        broker.put(TOPIC, "1")
        broker.put(TOPIC, "2")
        await client.receive(receiver)
        await left(client, receiver, how)
        await until(broker, lambda: subscriptions(broker) == ([("client", "s", False, 2)] if stays else []))
        assert bodies(broker) == (["1", "2"] if stays else [])


@story
async def test_what_the_broker_ends_stays(broker: Broker) -> None:
    client = await connect(broker)
    receiver = await subscribe(client)
    broker.detach_links(TOPIC)
    assert await client.refusal(receiver) == "amqp:link:detach-forced"
    assert subscriptions(broker) == [("client", "s", False, 0)]
    await subscribe(client)
    await asyncio.to_thread(broker.stop)
    await client.close()
    broker.start()
    broker.put(TOPIC, "1")
    async with await connect(broker) as again:
        assert (await again.receive(await subscribe(again, credit=1))).payload.endswith(b"1")


@story
async def test_a_subscription_is_found_by_container_and_name(broker: Broker) -> None:
    async with await connect(broker) as client, await connect(broker, container_id="other") as other:
        await left(client, await subscribe(client), "suspended")
        await left(client, await subscribe(client, name="t"), "suspended")
        await left(other, await subscribe(other), "suspended")
        broker.put(TOPIC, "1")
        assert subscriptions(broker) == [("client", "s", False, 1), ("client", "t", False, 1), ("other", "s", False, 1)]
        await client.receive(await subscribe(client, credit=1))
        assert [view.unsettled for view in broker.queue(TOPIC).subscriptions] == [1, 0, 0]


@pytest.mark.parametrize("is_attached", [True, False])
@story
async def test_another_topic_begins_anew(broker: Broker, is_attached: bool) -> None:
    async with await connect(broker) as client:
        old = await subscribe(client)
        broker.put(TOPIC, "1")
        if not is_attached:
            await left(client, old, "suspended")
        new = await subscribe(client, "topic://news")
        if is_attached:
            assert await client.refusal(old) == "amqp:link:stolen"
        assert (subscriptions(broker), broker.queue(TOPIC).depth) == ([], 0)
        assert subscriptions(broker, "topic://news") == [("client", "s", True, 0)]
        assert answered(new) == (2, "never")


@story
async def test_another_filter_begins_anew(broker: Broker) -> None:
    async with await connect(broker) as client:
        for filters, depth in (("a = 1", 1), ("a = 1", 2), ("a = 2", 1), (None, 1), (None, 2)):
            wanted = None if filters is None else {SELECTOR: Described(SELECTOR, filters)}
            receiver = await subscribe(client, filter=wanted)
            broker.put(TOPIC, "x")
            await left(client, receiver, "suspended")
            assert subscriptions(broker) == [("client", "s", False, depth)]


@pytest.mark.parametrize("where", ["session", "connection", "other"])
@story
async def test_one_link_at_a_time(broker: Broker, where: str) -> None:
    """The new link gets what the old one hasn't settled, although `steal_links` isn't set."""
    async with await connect(broker) as client, await connect(broker) as other:
        old = await subscribe(client, credit=5)
        broker.put(TOPIC, "1")
        await client.receive(old)
        source = Source(address=TOPIC, durable=2, expiry_policy=NEVER)
        who, session = (other, None) if where == "other" else (client, old.session if where == "session" else None)
        old.session._names.clear()  # our engine wouldn't attach a second link of this name in one session
        new = await who.attach_receiver(source, session, name="s", credit=5)
        assert await client.refusal(old) == "amqp:link:stolen"
        got = await who.receive(new)
        assert got.payload.endswith(b"1")
        broker.put(TOPIC, "2")
        assert (await who.receive(new)).payload.endswith(b"2")
        assert subscriptions(broker) == [("client", "s", True, 0)]
        await left(who, new, "closed")
        assert subscriptions(broker) == []


@pytest.mark.parametrize("topic", [TOPIC, "topic://news"])
@story
async def test_a_link_that_was_replaced_ends_nothing(broker: Broker, topic: str) -> None:
    """Its detach arrives together with the attach that comes before."""
    async with await connect(broker) as client:
        old = await subscribe(client)
        session = await client.session()
        source = Source(address=topic, durable=2, expiry_policy=NEVER)
        new = session.attach_receiver(client.now(), "s", source=source, target=Target(address="here"))
        old.detach(client.now())
        client.protocol.wake()
        await client.next(events.LinkDetached, lambda event: event.link is old)
        assert subscriptions(broker, topic) == [("client", "s", True, 0)]
        assert new.is_open


@story
async def test_undeliverable_here_waits_for_the_next_link(broker: Broker) -> None:
    async with await connect(broker) as client:
        receiver = await subscribe(client, credit=5)
        broker.put(TOPIC, "1")
        client.settle(await client.receive(receiver), Modified(undeliverable_here=True))
        await until(broker, lambda: subscriptions(broker) == [("client", "s", True, 1)])
        await left(client, receiver, "suspended")
        assert (await client.receive(await subscribe(client, credit=1))).payload.endswith(b"1")


@pytest.mark.parametrize("fields", [{"durable": 0}, {"expiry_policy": Symbol("connection-close")}])
@story
async def test_other_sources_of_a_topic_are_not_durable(broker: Broker, fields: dict[str, Any]) -> None:
    async with await connect(broker) as client:
        receiver = await subscribe(client, **fields)
        assert answered(receiver) == (0, "session-end")
        await left(client, receiver, "suspended")
        broker.put(TOPIC, "1")
        assert (subscriptions(broker), broker.queue(TOPIC).depth) == ([], 0)


@story
async def test_dynamic_topics_have_none(broker: Broker) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        policy = {Symbol("lifetime-policy"): DeleteOnNoLinks()}
        wanted: dict[str, Any] = {"dynamic": True, "dynamic_node_properties": policy, "capabilities": symbols("topic")}
        maker = await subscribe(client, address=None, **wanted)
        assert answered(maker) == (0, "session-end")
        assert isinstance(maker.remote_source, Source)
        address = str(maker.remote_source.address)
        assert answered(await subscribe(other, address)) == (0, "session-end")
        assert subscriptions(broker, address) == []


@story
async def test_a_durable_source_of_a_queue(broker: Broker) -> None:
    async with await connect(broker) as client:
        policy = Symbol("link-detach")
        receiver = await subscribe(client, "q", durable=1, expiry_policy=policy, timeout=60)
        assert answered(receiver) == (1, "link-detach")
        assert isinstance(receiver.remote_source, Source)
        assert receiver.remote_source.timeout == 60
        assert broker.queue("q").subscriptions == ()


@story
async def test_subscriptions_count_as_nodes() -> None:
    with Broker(max_nodes=3) as broker:
        async with await connect(broker) as client:
            first = await subscribe(client)
            await left(client, await subscribe(client, name="t"), "suspended")
            refused = await subscribe(client, name="u")
            assert await client.refusal(refused) == "amqp:resource-limit-exceeded"
            assert await client.refusal(await client.attach_sender("q")) == "amqp:resource-limit-exceeded"
            await subscribe(client, name="t")  # one that is there already is no more
            await left(client, first, "closed")
            assert (await client.attach_sender("q")).is_open
        async with await connect(broker, container_id="c" * 2048) as client:
            refused = await subscribe(client)
            assert await client.refusal(refused) == "amqp:invalid-field"


@story
async def test_a_full_subscription_holds_the_senders_back() -> None:
    with Broker(max_queue_messages=2) as broker:
        async with await connect(broker) as client:
            await left(client, await subscribe(client), "suspended")
            sender = await client.attach_sender(TOPIC)
            await client.next(events.CreditChanged)
            for number in range(2):
                await client.send(sender, message(b"%d" % number))
            assert (sender.credit, broker.queue(TOPIC).depth) == (0, 2)
            receiver = await subscribe(client, credit=2)
            client.settle(await client.receive(receiver))
            await client.next(events.CreditChanged)
            assert sender.credit == 1
