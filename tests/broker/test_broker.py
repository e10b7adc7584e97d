"""The broker over TCP, with the engine as its client: queues, topics, outcomes, back-pressure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.client import big_message, connect, message, story, symbols, until
from uamqp.codec import (
    ACCEPTED,
    RELEASED,
    Accepted,
    Begin,
    Close,
    Coordinator,
    Described,
    End,
    Error,
    Header,
    Modified,
    Open,
    Rejected,
    Released,
    Source,
    StdDistMode,
    Symbol,
    Target,
    TransactionalState,
)
from uamqp.engine import IncomingDelivery, events
from uamqp.engine.frames import append_frame
from uamqp.testing import Broker
from uamqp.testing.envelope import read_header


def body(delivery: IncomingDelivery) -> bytes:
    return delivery.payload[delivery.payload.rindex(b"\x00\x53\x75\xa0") + 5 :]


@story
async def test_a_message_goes_in_and_comes_out(broker: Broker) -> None:
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        payload = message(b"hello", message_id="1")
        assert await client.send(sender, payload, message_format=7) == ACCEPTED
        queue = broker.queue("q")
        assert (queue.depth, queue.consumers, queue.producers, queue.unsettled) == (1, 0, 1, 0)
        assert queue.size == len(payload)
        (view,) = queue.messages
        assert view.body == b"hello"
        assert view.properties is not None
        receiver = await client.attach_receiver("q", credit=1)
        delivery = await client.receive(receiver)
        assert (delivery.payload, delivery.message_format, delivery.settled) == (payload, 7, False)
        assert (queue.depth, queue.consumers, queue.unsettled) == (0, 1, 1)
        client.settle(delivery)
        await until(broker, lambda: queue.unsettled == 0)
    counters = broker.counters
    assert (counters.received, counters.sent, counters.accepted) == (1, 1, 1)
    assert queue.counters == counters
    assert "0 waiting" in repr(queue)


@story
async def test_consumers_on_connections_of_their_own_take_turns(broker: Broker) -> None:
    async with await connect(broker) as one, await connect(broker) as two, await connect(broker) as client:
        first = await one.attach_receiver("q", credit=10)
        second = await two.attach_receiver("q", credit=10)
        await until(broker, lambda: broker.queue("q").consumers == 2)
        sender = await client.attach_sender("q")
        for number in range(6):
            await client.send(sender, message(b"%d" % number))
        got = [[body(await one.receive(first)) for _ in range(3)], [body(await two.receive(second)) for _ in range(3)]]
        assert sorted(got[0] + got[1]) == [b"0", b"1", b"2", b"3", b"4", b"5"]
        assert got[0] == sorted(got[0])


@story
async def test_credit_is_obeyed(broker: Broker) -> None:
    for number in range(5):
        broker.put("q", message(b"%d" % number))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", credit=2)
        await until(broker, lambda: broker.queue("q").unsettled == 2)
        assert [body(await client.receive(receiver)) for _ in range(2)] == [b"0", b"1"]
        client.give_credit(receiver, 1)
        assert body(await client.receive(receiver)) == b"2"
        assert broker.queue("q").depth == 2


@story
async def test_drain_sends_what_there_is_and_gives_the_rest_back(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", message(b"%d" % number))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q")
        client.give_credit(receiver, 10, drain=True)
        await client.next(events.ReceiverDrained)
        assert receiver.credit == 0
        assert [body(event) for event in client.seen(IncomingDelivery)] == [b"0", b"1", b"2"]
        client.give_credit(receiver, 5, drain=True)
        await client.next(events.ReceiverDrained)


@story
async def test_drain_of_many_messages_with_a_small_window(broker: Broker) -> None:
    for _ in range(1500):
        broker.put("q", message(b"x"))
    async with await connect(broker) as client:
        session = await client.session(incoming_window=10)
        receiver = await client.attach_receiver("q", session)
        client.give_credit(receiver, 5000, drain=True)
        await client.next(events.ReceiverDrained)
        assert len(client.seen(IncomingDelivery)) == 1500


@story
async def test_a_released_message_comes_again_unchanged(broker: Broker) -> None:
    payload = Header(durable=True).encode() + message(b"x")
    broker.put("q", payload)
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", window=5)
        client.settle(await client.receive(receiver), RELEASED)
        assert (await client.receive(receiver)).payload == payload
        assert broker.counters.released == 1


@story
async def test_a_modified_message_counts_its_failure_and_keeps_notes(broker: Broker) -> None:
    broker.put("q", message(b"x"))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", window=5)
        client.settle(
            await client.receive(receiver), Modified(delivery_failed=True, message_annotations={Symbol("x-a"): 1})
        )
        again = await client.receive(receiver)
        assert read_header(again.payload).header.delivery_count == 1
        client.settle(again, Modified(delivery_failed=True))
        again = await client.receive(receiver)
        assert read_header(again.payload).header.delivery_count == 2
        client.settle(again, Modified(delivery_failed=False))
        client.give_credit(receiver, 0)
        client.detach(receiver)
        await until(broker, lambda: broker.queue("q").depth == 1)
        (view,) = broker.queue("q").messages
        assert view.annotations == {"x-a": 1}
        assert view.delivery_count == 2


@story
async def test_undeliverable_here_goes_to_somebody_else(broker: Broker) -> None:
    broker.put("q", message(b"x"))
    async with await connect(broker) as client:
        first = await client.attach_receiver("q", window=5)
        client.settle(await client.receive(first), Modified(undeliverable_here=True))
        await until(broker, lambda: broker.counters.modified == 1)
        second = await client.attach_receiver("q", window=5)
        client.settle(await client.receive(second))
        await until(broker, lambda: broker.counters.accepted == 1)
        assert client.seen(IncomingDelivery) == []


@story
async def test_a_rejected_message_becomes_a_dead_letter(broker: Broker) -> None:
    broker.put("q", message(b"x"))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", window=5)
        problem = Error(Symbol("amqp:decode-error"), "no good")
        client.settle(await client.receive(receiver), Rejected(problem))
        dead = broker.dead_letters("q")
        await until(broker, lambda: dead.depth == 1)
        (view,) = dead.messages
        assert view.body == b"x"
        assert view.annotations == {
            "x-opt-dead-letter-reason": "amqp:decode-error",
            "x-opt-dead-letter-description": "no good",
            "x-opt-dead-letter-source": "q",
        }
        letters = await client.attach_receiver("q/$dead", window=5)
        client.settle(await client.receive(letters))
        await until(broker, lambda: dead.unsettled == 0)
    assert broker.counters.received == 1


@story
async def test_rejected_without_an_error(broker: Broker) -> None:
    broker.put("q", message(b"x"))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", window=5)
        client.settle(await client.receive(receiver), Rejected())
        await until(broker, lambda: broker.dead_letters("q").depth == 1)
        assert broker.dead_letters("q").messages[0].annotations["x-opt-dead-letter-reason"] == "amqp:rejected"


@story
async def test_too_many_failures_make_a_dead_letter() -> None:
    with Broker(max_deliveries=2) as broker:
        broker.put("q", message(b"x"))
        async with await connect(broker) as client:
            receiver = await client.attach_receiver("q", window=5)
            for _ in range(2):
                client.settle(await client.receive(receiver), Modified(delivery_failed=True))
            await until(broker, lambda: broker.dead_letters("q").depth == 1)


@story
async def test_a_lost_connection_brings_messages_back(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", message(b"%d" % number))
    client = await connect(broker)
    receiver = await client.attach_receiver("q", credit=2)
    await client.receive(receiver)
    await client.receive(receiver)
    client.protocol.abort()
    await client.lost.wait()
    await until(broker, lambda: broker.queue("q").depth == 3)
    async with await connect(broker) as other:
        receiver = await other.attach_receiver("q", credit=3)
        got = [await other.receive(receiver) for _ in range(3)]
        assert [body(each) for each in got] == [b"0", b"1", b"2"]
        # those two may have been seen; the third was not sent
        assert [read_header(each.payload).header.delivery_count or 0 for each in got] == [1, 1, 0]


@pytest.mark.parametrize(("settled", "counts"), [(0, [1, 1, 0, 0, 0]), (1, [0, 0, 0])])
@story
async def test_what_was_not_sent_to_a_lost_connection_does_not_count(
    broker: Broker, settled: int, counts: list[int]
) -> None:
    for number in range(5):
        broker.put("q", message(b"%d" % number))
    client = await connect(broker)
    session = await client.session(incoming_window=2)
    receiver = await client.attach_receiver("q", session, snd_settle_mode=settled)
    assert client.protocol.transport is not None
    client.protocol.transport.pause_reading()  # nor does the window open again
    client.give_credit(receiver, 4)
    await until(broker, lambda: broker.queue("q").depth == 1)
    client.protocol.abort()
    await client.lost.wait()
    await until(broker, lambda: broker.queue("q").consumers == 0 and broker.queue("q").unsettled == 0)
    assert [view.delivery_count for view in broker.queue("q").messages] == counts


@pytest.mark.parametrize("end", ["detach", "end", "close"])
@pytest.mark.parametrize("default", [None, Modified(delivery_failed=True), Accepted(), Rejected()])
@story
async def test_an_orderly_end_brings_messages_back_uncounted(broker: Broker, end: str, default: Any) -> None:
    broker.put("q", message(b"0"))
    broker.put("q", message(b"1"))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver(Source(address="q", default_outcome=default), credit=2)
        client.settle(await client.receive(receiver), None)  # settled without an outcome: the default's turn too
        await client.receive(receiver)
        if end == "detach":
            client.detach(receiver)
        elif end == "end":
            receiver.session.end(client.now())
            client.protocol.wake()
        else:
            await client.close()
        await until(broker, lambda: broker.queue("q").consumers == 0 and broker.queue("q").unsettled == 0)
        if isinstance(default, Accepted):
            assert broker.counters.accepted == 2
        elif isinstance(default, Rejected):
            assert broker.dead_letters("q").depth == 2
        else:
            counts = [view.delivery_count for view in broker.queue("q").messages]
            assert counts == ([0, 0] if default is None else [1, 1])


@story
async def test_messages_expire(broker: Broker) -> None:
    broker.put("q", Header(ttl=30).encode() + message(b"x"))
    await until(broker, lambda: broker.dead_letters("q").depth == 1)
    (view,) = broker.dead_letters("q").messages
    assert view.annotations["x-opt-dead-letter-reason"] == "uamqp:expired"
    assert broker.counters.expired == 1


@story
async def test_ttl_shrinks_while_a_message_waits(broker: Broker) -> None:
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        await client.send(sender, Header(ttl=60_000, priority=3).encode() + message(b"x"))
        await client.send(sender, Header(ttl=60_000, priority=3).encode() + message(b"y"))
        await until(broker, lambda: broker.queue("q").depth == 2)
        broker.put("other", Header(ttl=20).encode() + message(b"x"))
        await until(broker, lambda: broker.counters.expired == 1)  # so much time has gone by
        receiver = await client.attach_receiver("q", credit=2)
        for _ in range(2):
            header = read_header((await client.receive(receiver)).payload).header
            assert header.ttl is not None
            assert 30_000 < header.ttl < 60_000
            assert header.priority == 3


@story
async def test_expired_messages_can_be_dropped() -> None:
    with Broker(dead_letter_expired=False) as broker:
        broker.put("q", Header(ttl=1).encode() + message(b"x"))
        await until(broker, lambda: broker.counters.dropped == 1)
        assert broker.dead_letters("q").depth == 0


@story
async def test_every_subscriber_of_a_topic_gets_a_copy(broker: Broker) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        first = await client.attach_receiver("topic://t", window=5)
        second = await other.attach_receiver(Source(address="t", capabilities=symbols("topic")), window=5)
        source = second.remote_source
        assert isinstance(source, Source)
        assert source.capabilities == ("topic",)
        sender = await client.attach_sender("topic://t")
        assert await client.send(sender, message(b"x")) == ACCEPTED
        one, two = await client.receive(first), await other.receive(second)
        assert body(one) == body(two) == b"x"
        client.settle(one)
        other.settle(two, RELEASED)
        other.settle(await other.receive(second))
        topic = broker.queue("topic://t")
        await until(broker, lambda: topic.unsettled == 0)
        assert (topic.consumers, topic.counters.received, topic.counters.accepted) == (2, 1, 2)
        other.detach(second)
        await until(broker, lambda: topic.consumers == 1)


@story
async def test_a_browser_takes_nothing(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", message(b"%d" % number))
    async with await connect(broker) as client:
        for _ in range(2):
            browser = await client.attach_receiver(Source(address="q", distribution_mode=StdDistMode.COPY), credit=9)
            source = browser.remote_source
            assert isinstance(source, Source)
            assert source.distribution_mode == StdDistMode.COPY
            assert [body(await client.receive(browser)) for _ in range(3)] == [b"0", b"1", b"2"]
            client.detach(browser)
        settling = await client.attach_receiver(
            Source(address="q", distribution_mode=StdDistMode.COPY), credit=9, snd_settle_mode=0
        )
        client.settle(await client.receive(settling), Rejected())
        broker.put("q", message(b"3"))
        assert [body(await client.receive(settling)) for _ in range(3)] == [b"1", b"2", b"3"]
    assert broker.queue("q").depth == 4


@story
async def test_settled_deliveries_are_gone_when_they_are_sent(broker: Broker) -> None:
    async with await connect(broker) as client:
        sender = await client.attach_sender("q", snd_settle_mode=1)
        for number in range(3):
            client.submit(sender, message(b"%d" % number))
        receiver = await client.attach_receiver("q", credit=5, snd_settle_mode=1)
        got = [await client.receive(receiver) for _ in range(3)]
        assert [(body(each), each.settled) for each in got] == [(b"0", True), (b"1", True), (b"2", True)]
        await until(broker, lambda: broker.counters.accepted == 3)


@story
async def test_second_settle_mode(broker: Broker) -> None:
    with Broker(allow_second=True) as other:
        async with await connect(other) as client:
            sender = await client.attach_sender("q", rcv_settle_mode=1)
            assert sender.rcv_settle_mode == 1
            assert await client.send(sender, message(b"x")) == ACCEPTED
    async with await connect(broker) as client:
        sender = await client.attach_sender("q", rcv_settle_mode=1)
        assert sender.rcv_settle_mode == 0
        assert await client.send(sender, message(b"x")) == ACCEPTED
        receiver = await client.attach_receiver("q", credit=1, rcv_settle_mode=1)
        delivery = await client.receive(receiver)
        client.settle(delivery)
        await client.next(events.IncomingSettled)
        await until(broker, lambda: broker.counters.accepted == 1)


@story
async def test_dynamic_nodes_live_as_long_as_their_connection(broker: Broker) -> None:
    async with await connect(broker) as client, await connect(broker) as other:
        receiver = await client.attach_receiver(Source(dynamic=True), window=5)
        source = receiver.remote_source
        assert isinstance(source, Source)
        assert source.dynamic
        assert isinstance(source.address, str)
        sender = await other.attach_sender(source.address)
        assert await other.send(sender, message(b"x")) == ACCEPTED
        client.settle(await client.receive(receiver))
        dynamic = await client.attach_sender(Target(dynamic=True))
        target = dynamic.remote_target
        assert isinstance(target, Target)
        assert isinstance(target.address, str)
        assert target.address != source.address
        await client.close()
        assert await other.refusal(sender) == "amqp:resource-deleted"
        late = await other.attach_sender(source.address)
        assert await other.refusal(late) == "amqp:not-found"


@story
async def test_the_anonymous_relay(broker: Broker) -> None:
    async with await connect(broker) as client:
        assert "ANONYMOUS-RELAY" in (await client.next(events.ConnectionOpened)).open.offered_capabilities
        for target in (None, Target()):
            relay = await client.attach_sender(target)
            assert relay.is_open
            assert await client.send(relay, message(b"x", to="a")) == ACCEPTED
            assert await client.send(relay, message(b"x", to="amqp://localhost/b")) == ACCEPTED
        assert (broker.queue("a").depth, broker.queue("b").depth) == (2, 2)


@story
async def test_the_relay_refuses_what_it_cannot_route() -> None:
    with Broker(make_nodes=False, queues=["q"], max_queue_messages=1) as broker:
        async with await connect(broker) as client:
            relay = await client.attach_sender(None)

            async def refused(payload: bytes) -> str:
                outcome = await client.send(relay, payload, tag=b"tag")
                assert isinstance(outcome, Rejected)
                assert outcome.error is not None
                assert outcome.error.info == {"delivery-tag": b"tag"}
                return str(outcome.error.condition)

            assert await refused(message(b"x", to="nothing")) == "amqp:not-found"
            assert await refused(message(b"x", to="amqps://elsewhere.example/q")) == "amqp:not-found"
            assert await refused(message(b"x")) == "amqp:precondition-failed"
            assert await refused(b"garbage") == "amqp:decode-error"
            assert await client.send(relay, message(b"x", to="q")) == ACCEPTED
            assert await refused(message(b"x", to="q")) == "amqp:resource-limit-exceeded"
            client.submit(relay, message(b"x", to="nothing"), settled=True)
            await until(broker, lambda: broker.counters.unroutable == 6)
            shy = Source(outcomes=symbols("amqp:accepted:list", "amqp:released:list"))
            relay = await client.attach_sender(None, source=shy)
            assert isinstance(await client.send(relay, message(b"x", to="nothing")), Released)


@story
async def test_the_address_of_the_old_azure_clients(broker: Broker) -> None:
    async with await connect(broker, hostname="Bus.example.org:5671") as client:
        sender = await client.attach_sender("amqps://localhost/q")
        target = sender.remote_target
        assert isinstance(target, Target)
        assert target.address == "amqps://localhost/q"  # as it was asked for
        await client.send(sender, message(b"x"))
        receiver = await client.attach_receiver("amqps://bus.example.org/q", credit=1)
        await client.receive(receiver)
        refused = await client.attach_receiver("amqps://elsewhere.example/q")
        assert await client.refusal(refused) == "amqp:not-found"


@pytest.mark.parametrize(
    ("source", "condition"),
    [
        (Source(address="$management"), "amqp:not-found"),
        (Source(), "amqp:invalid-field"),
        (Source(address="topic://"), "amqp:invalid-field"),
        (Source(address="x" * 3000), "amqp:invalid-field"),
        (Source(address=Described(Symbol("a"), "b")), "amqp:invalid-field"),
        (None, "amqp:invalid-field"),
    ],
)
@story
async def test_sources_that_are_refused(broker: Broker, source: Source | None, condition: str) -> None:
    async with await connect(broker) as client:
        link = await client.attach_receiver(source)  # type: ignore[arg-type]
        assert link.remote_source is None
        assert await client.refusal(link) == condition


@story
async def test_targets_that_are_refused(broker: Broker) -> None:
    async with await connect(broker) as client:
        link = await client.attach_sender(Coordinator())  # type: ignore[arg-type]
        assert await client.refusal(link) == "amqp:not-implemented"
        link = await client.attach_sender("$cbs")
        assert await client.refusal(link) == "amqp:not-found"


@story
async def test_a_transactional_message_is_refused(broker: Broker) -> None:
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        outcome = await client.send(sender, message(b"x"), state=TransactionalState(b"t"))
        assert isinstance(outcome, Rejected)
        assert broker.queue("q").depth == 0


@story
async def test_a_message_whose_header_is_broken_is_refused(broker: Broker) -> None:
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        outcome = await client.send(sender, b"\x00\x53\x70\xa1\x01x")
        assert isinstance(outcome, Rejected)
        assert outcome.error is not None
        assert outcome.error.condition == "amqp:decode-error"
        assert await client.send(sender, message(b"x")) == ACCEPTED


@story
async def test_filters_that_do_not_apply_are_not_echoed(broker: Broker) -> None:
    async with await connect(broker) as client:
        source = Source(address="q", filter={Symbol("f"): "color = 'green'"}, capabilities=symbols("queue", "shared"))
        receiver = await client.attach_receiver(source)
        answer = receiver.remote_source
        assert isinstance(answer, Source)
        assert answer.filter is None
        assert answer.capabilities == ("queue",)
        assert set(answer.outcomes) == {
            "amqp:accepted:list",
            "amqp:rejected:list",
            "amqp:released:list",
            "amqp:modified:list",
        }


@story
async def test_a_full_queue_gives_no_credit_until_it_is_drained() -> None:
    with Broker(max_queue_messages=8, link_credit=100) as broker:
        async with await connect(broker) as client:
            sender = await client.attach_sender("q")
            deliveries = [client.submit(sender, message(b"%d" % number)) for number in range(20)]
            await until(broker, lambda: broker.queue("q").depth == 8)
            assert sender.queued == 12
            receiver = await client.attach_receiver("q", credit=1)
            client.settle(await client.receive(receiver))
            await until(broker, lambda: broker.queue("q").unsettled == 0)
            assert broker.queue("q").depth == 7  # it waits until a fair part is free
            client.give_credit(receiver, 100)
            for number in range(1, 20):
                delivery = await client.receive(receiver)
                assert body(delivery) == b"%d" % number
                client.settle(delivery)
            for sent in deliveries:
                assert await client.outcome(sent) == ACCEPTED


@story
async def test_a_queue_is_full_by_bytes_too() -> None:
    with Broker(max_queue_bytes=10_000, link_credit=4) as broker:
        async with await connect(broker) as client:
            sender = await client.attach_sender("q")
            for _ in range(30):
                client.submit(sender, big_message(1000))
            await until(broker, lambda: broker.queue("q").size >= 9000)
            assert broker.queue("q").size < 15_000
            receiver = await client.attach_receiver("q", window=10)
            for _ in range(30):
                client.settle(await client.receive(receiver))


@story
async def test_a_slow_subscriber_holds_the_publisher() -> None:
    with Broker(max_queue_messages=4) as broker:
        async with await connect(broker) as client:
            slow = await client.attach_receiver("topic://t")
            fast = await client.attach_receiver("topic://t", window=100)
            sender = await client.attach_sender("topic://t")
            for number in range(10):
                client.submit(sender, message(b"%d" % number))
            for _ in range(4):
                client.settle(await client.receive(fast))
            await until(broker, lambda: broker.queue("topic://t").unsettled == 0)
            assert sender.queued == 6
            client.give_credit(slow, 100)
            for number in range(10):
                client.settle(await client.receive(slow))
                if number >= 4:
                    client.settle(await client.receive(fast))


@story
async def test_big_messages_in_small_frames(broker: Broker) -> None:
    payload = big_message(3_000_000)
    async with await connect(broker, max_frame_size=4096) as client:
        sender = await client.attach_sender("q")
        assert await client.send(sender, payload) == ACCEPTED
        receiver = await client.attach_receiver("q", await client.session(incoming_window=5), credit=1)
        assert (await client.receive(receiver)).payload == payload


@story
async def test_the_largest_message_is_announced_and_held() -> None:
    with Broker(max_message_size=1000) as broker:
        async with await connect(broker) as client:
            sender = await client.attach_sender("q")
            assert sender.remote_max_message_size == 1000
            # the engine obeys it; a peer that doesn't is detached
            sender._remote_max_message_size = 0
            client.submit(sender, big_message(5000))
            assert await client.refusal(sender) == "amqp:link:message-size-exceeded"


@story
async def test_a_message_too_large_for_its_receiver_waits_for_another(broker: Broker) -> None:
    broker.put("q", big_message(5000))
    broker.put("q", message(b"small"))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", window=5, max_message_size=1000)
        client.settle(await client.receive(receiver))
        await until(broker, lambda: broker.counters.accepted == 1)
        other = await client.attach_receiver("q", window=5)
        assert len((await client.receive(other)).payload) > 5000


@story
async def test_many_messages_to_a_reader_that_pauses(broker: Broker) -> None:
    """The output of a connection that doesn't read is bounded; the rest waits in its queue."""
    for _ in range(3000):
        broker.put("q", big_message(4000))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", await client.session(incoming_window=100_000))
        transport = client.protocol.transport
        assert transport is not None
        client.give_credit(receiver, 3000)
        await asyncio.sleep(0)
        transport.pause_reading()
        await until(broker, lambda: broker.queue("q").unsettled > 0)
        assert broker.queue("q").depth > 0
        transport.resume_reading()
        for _ in range(3000):
            client.settle(await client.receive(receiver))
        await until(broker, lambda: broker.counters.accepted == 3000)


@story
async def test_put_and_purge(broker: Broker) -> None:
    class Encodes:
        def encode_message(self) -> bytearray:
            return bytearray(message(b"x"))

    broker.put("amqp://localhost/q", Encodes())
    broker.put("q", bytearray(message(b"y")))
    broker.put("topic://t", message(b"z"))
    assert [view.body for view in broker.queue("q").messages] == [b"x", b"y"]
    assert broker.queue("q").purge() == 2
    assert broker.queue("q").depth == 0
    assert broker.queue("topic://t").counters.dropped == 1
    with pytest.raises(ValueError, match="header"):
        broker.put("q", b"\x00\x53\x70\xc0\x03\x01\x54\x01")
    with pytest.raises(ValueError, match="no name"):
        broker.put("", message(b"x"))


@story
async def test_what_is_asked_of_a_queue_that_is_not_there(broker: Broker) -> None:
    queue = broker.queue("nothing")
    assert (queue.depth, queue.consumers, queue.messages, queue.counters.received) == (0, 0, (), 0)
    assert queue.producers == 0


@story
async def test_connections_can_be_seen(broker: Broker) -> None:
    async with await connect(broker, hostname="h", properties={Symbol("product"): "x"}) as client:
        await client.attach_sender("q")
        await client.attach_receiver("q")
        (view,) = broker.connections
        assert (view.container_id, view.hostname, view.mechanism, view.user) == ("client", "h", "ANONYMOUS", None)
        assert view.properties == {"product": "x"}
        assert (view.senders, view.receivers) == (1, 1)
    await until(broker, lambda: not broker.connections)


@story
async def test_links_attached_and_detached_in_one_write(broker: Broker) -> None:
    """An attach that is over before it is answered is no harm."""
    async with await connect(broker) as client:
        session = await client.session()
        link = session.attach_sender(client.now(), "a", source=Source(), target=Target(address="q"))
        link.detach(client.now())
        client.protocol.wake()
        await client.next(events.LinkDetached)
        session.end(client.now())
        session = client.engine.begin(client.now())
        session.end(client.now())
        client.protocol.wake()
        await client.next(events.SessionEnded, lambda event: event.session is session)
        sender = await client.attach_sender("q")
        assert await client.send(sender, message(b"x")) == ACCEPTED


@pytest.mark.parametrize("frames", [[Open("a"), Close()], [Open("a"), Begin(None, 0, 9, 9), End(), Close()]])
@pytest.mark.parametrize("knob", [None, "refuse_open", "refuse_begin"])
@story
async def test_a_whole_conversation_in_one_write(broker: Broker, frames: list[Any], knob: str | None) -> None:
    if knob is not None:
        setattr(broker.faults, knob, "amqp:not-allowed")
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    data = bytearray(b"AMQP\x00\x01\x00\x00")
    for frame in frames:
        append_frame(data, 0, frame)
    writer.write(bytes(data))
    assert b"\x00\x53\x18" in await reader.read()  # a close comes, and then the end
    writer.close()
    await writer.wait_closed()
    await until(broker, lambda: not broker.connections)


@story
async def test_a_client_that_speaks_something_else(broker: Broker) -> None:
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await reader.read()).startswith(b"AMQP")
    writer.close()
    await writer.wait_closed()
    async with await connect(broker) as client:
        assert isinstance(await client.session(), object)


@story
async def test_many_links_on_many_connections(broker: Broker) -> None:
    clients = [await connect(broker) for _ in range(10)]
    receivers = [(client, await client.attach_receiver("q", credit=5)) for client in clients for _ in range(10)]
    assert broker.queue("q").consumers == 100
    sender = await clients[0].attach_sender("q")
    for number in range(200):
        clients[0].submit(sender, message(b"%d" % number))
    await until(broker, lambda: broker.queue("q").unsettled == 200)
    got = [body(await client.receive(link)) for client, link in receivers for _ in range(2)]
    assert sorted(got, key=int) == [b"%d" % number for number in range(200)]
    for client in clients:
        await client.close()
    assert broker.queue("q").depth == 200
