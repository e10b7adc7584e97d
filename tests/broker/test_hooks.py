"""What a test has a say in: attaches, messages, delivery-tags; links that take another's place; batches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import Client, connect, message, request, story, symbols, until
from uamqp.codec import ACCEPTED, RELEASED, Described, Header, Modified, Rejected, Source, Symbol, Timestamp, ULong
from uamqp.engine import Receiver
from uamqp.testing import (
    AttachAnswer,
    AttachRequest,
    Broker,
    HookError,
    MessageView,
    ServiceRequest,
    ServiceResponse,
    Settlement,
    error,
    with_annotations,
)

SESSION = "com.example:session"
EPOCH = Symbol("com.microsoft:epoch")
BATCH = 0x80013700


# -- attaches


@story
async def test_what_the_hook_is_told(broker: Broker) -> None:
    told: list[AttachRequest] = []
    broker.hooks.on_attach = told.append
    async with await connect(broker, container_id="me") as client:
        await client.attach_sender("amqps://localhost/q", properties={Symbol("p"): 1}, name="one")
        source = Source(address="q", filter={Symbol("f"): Described(ULong(5), "x"), Symbol("g"): 2})
        await client.attach_receiver(source, desired_capabilities=symbols("a", "b"), name="two")
        await client.attach_sender(None, name="three")
    assert told == [
        AttachRequest("one", "amqps://localhost/q", True, {"p": 1}, {}, (), "me"),
        AttachRequest("two", "q", False, {}, {"f": "x", "g": 2}, ("a", "b"), "me"),
        AttachRequest("three", None, True, {}, {}, (), "me"),
    ]


@story
async def test_what_the_hook_answers(broker: Broker) -> None:
    """A session of the broker's choice, in the filter that the client asked for one with."""
    broker.hooks.on_attach = lambda asked: AttachAnswer(
        node="q/session/s1",
        properties={"locked-until": 5},
        filters={SESSION: "s1"},
        offered_capabilities=("c",),
        max_message_size=1234,
    )
    broker.put("q/session/s1", message(b"for s1"))
    async with await connect(broker) as client:
        for wanted, granted in (
            (Described(ULong(9), None), Described(ULong(9), "s1")),
            (None, "s1"),
        ):
            source = Source(address="q", filter={Symbol(SESSION): wanted})
            receiver = await client.attach_receiver(source, credit=1)
            answered = receiver.remote_source
            assert isinstance(answered, Source)
            assert answered.address == "q"
            assert answered.filter == {SESSION: granted}
            assert receiver.remote_properties == {"locked-until": 5}
            assert receiver.remote_attach is not None
            assert receiver.remote_attach.offered_capabilities == ("c",)
            assert receiver.remote_max_message_size == 1234
            delivery = await client.receive(receiver)
            assert delivery.payload == message(b"for s1")
            client.settle(delivery, RELEASED)
            client.detach(receiver)
        sender = await client.attach_sender("anything")
        await client.send(sender, message(b"x"))
    assert broker.queue("q/session/s1").depth == 2
    assert broker.queue("q").depth == 0


@story
async def test_the_hook_refuses(broker: Broker) -> None:
    refusal = error("com.microsoft:timeout", "no session is free")
    broker.hooks.on_attach = lambda asked: refusal if asked.address == "q" else None
    async with await connect(broker) as client:
        assert await client.refusal(await client.attach_receiver("q")) == "com.microsoft:timeout"
        assert (await client.attach_receiver("r")).is_open


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (True, "returns an AttachAnswer"),
        (AttachAnswer(properties={"p": object()}), "Error"),
        (AttachAnswer(filters={"f": object()}), "Error"),
        (AttachAnswer(epoch="one"), "an epoch is an integer"),  # type: ignore[arg-type]
        (LookupError("none left"), "LookupError: none left"),
    ],
)
@story
async def test_a_hook_for_attaches_that_fails(
    broker: Broker, caplog: pytest.LogCaptureFixture, answer: Any, reason: str
) -> None:
    def hook(asked: AttachRequest) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    broker.hooks.on_attach = hook
    async with await connect(broker) as client:
        link = await client.attach_receiver("q")
        assert await client.refusal(link) == "amqp:internal-error"
        broker.hooks.on_attach = None
        assert (await client.attach_receiver("q")).is_open
    assert "hooks.on_attach raised" in caplog.text
    assert reason in caplog.text


@story
async def test_a_node_that_cannot_be(broker: Broker) -> None:
    broker.hooks.on_attach = lambda asked: AttachAnswer(node="$x")
    async with await connect(broker) as client:
        assert await client.refusal(await client.attach_receiver("q")) == "amqp:not-found"


# -- links that take another's place


@story
async def test_another_connection_steals_a_link() -> None:
    with Broker(steal_links=True) as broker:
        broker.put("q", message(b"x"))
        async with await connect(broker) as first, await connect(broker) as second:
            old = await first.attach_receiver("q", credit=1, name="mine")
            await first.receive(old)
            new = await second.attach_receiver("q", credit=1, name="mine")
            assert await first.refusal(old) == "amqp:link:stolen"
            assert (await second.receive(new)).payload.endswith(b"x")  # what the old one had comes back
            assert (await first.attach_sender("q", name="mine")).is_open  # another direction
            assert (await first.attach_receiver("q", name="other")).is_open
            assert new.is_open
        async with await connect(broker, container_id="a") as first, await connect(broker, container_id="b") as second:
            theirs = await first.attach_sender("q", name="mine")
            assert (await second.attach_sender("q", name="mine")).is_open
            assert theirs.is_open


@story
async def test_another_session_steals_a_link() -> None:
    with Broker(steal_links=True) as broker:
        async with await connect(broker) as client:
            old = await client.attach_sender("q", name="mine")  # on a session of its own, as the next
            new = await client.attach_sender("r", name="mine")
            assert await client.refusal(old) == "amqp:link:stolen"
            assert await client.send(new, message(b"x")) == ACCEPTED


@story
async def test_links_of_one_name_live_together_by_default(broker: Broker) -> None:
    async with await connect(broker) as first, await connect(broker) as second:
        old = await first.attach_receiver("q", name="mine")
        assert (await second.attach_receiver("q", name="mine")).is_open
        assert old.is_open


@story
async def test_a_hook_has_links_stolen(broker: Broker) -> None:
    broker.hooks.on_attach = lambda asked: AttachAnswer(steals=not asked.sends)
    async with await connect(broker, container_id="a") as first, await connect(broker, container_id="b") as second:
        sender = await first.attach_sender("q")
        old = await first.attach_receiver("q")
        elsewhere = await first.attach_receiver("r")
        new = await second.attach_receiver("q")
        assert await first.refusal(old) == "amqp:link:stolen"
        assert new.is_open
        assert sender.is_open
        assert elsewhere.is_open


async def with_epoch(client: Client, epoch: int | None, address: str = "q") -> Receiver:
    properties = {EPOCH: epoch} if epoch is not None else None
    return await client.attach_receiver(address, properties=properties)


@story
async def test_epochs(broker: Broker) -> None:
    broker.hooks.on_attach = lambda asked: AttachAnswer(epoch=asked.properties.get(EPOCH))
    async with await connect(broker, container_id="a") as first, await connect(broker, container_id="b") as second:
        plain = [await with_epoch(first, None), await with_epoch(second, None)]
        elsewhere = await with_epoch(first, None, "r")
        zero = await with_epoch(first, 0)
        assert await first.refusal(plain[0]) == "amqp:link:stolen"
        assert await second.refusal(plain[1]) == "amqp:link:stolen"
        assert await second.refusal(await with_epoch(second, None)) == "amqp:link:stolen"
        seven = await with_epoch(second, 7)
        assert await first.refusal(zero) == "amqp:link:stolen"
        assert await first.refusal(await with_epoch(first, 6)) == "amqp:link:stolen"
        assert seven.is_open
        again = await with_epoch(first, 7)
        assert await second.refusal(seven) == "amqp:link:stolen"
        client_gone = again
        first.detach(client_gone)
        await first.session()  # the detach is through
        assert (await with_epoch(second, None)).is_open
        assert elsewhere.is_open


# -- messages


@story
async def test_annotations_for_what_is_stored(broker: Broker) -> None:
    numbers = iter(range(1, 100))

    def store(name: str, payload: bytes) -> bytes | None:
        if name != "q":
            return None
        notes = {"x-opt-sequence-number": next(numbers), "x-opt-enqueued-time": Timestamp(1_700_000_000_000)}
        return with_annotations(payload, notes)

    broker.hooks.on_store = store
    async with await connect(broker) as client:
        await client.send(await client.attach_sender("q"), message(b"linked"))
        await client.send(await client.attach_sender(None), message(b"relayed", to="q"))
        await client.send(await client.attach_sender("r"), message(b"r"))
        broker.put("q", message(b"put"))
        receiver = await client.attach_receiver("q", credit=3)
        got = [MessageView((await client.receive(receiver)).payload, 0, 0) for _ in range(3)]
    assert [(view.body, view.annotations["x-opt-sequence-number"]) for view in got] == [
        (b"linked", 1),
        (b"relayed", 2),
        (b"put", 3),
    ]
    assert broker.queue("r").messages[0].payload == message(b"r")


@story
async def test_a_message_becomes_several_or_none(broker: Broker) -> None:
    broker.hooks.on_store = lambda name, payload: [] if payload == message(b"0") else [payload, message(b"copy")]
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        for number in (b"0", b"1"):
            assert await client.send(sender, message(number)) == ACCEPTED
    assert [view.body for view in broker.queue("q").messages] == [b"1", b"copy"]


@story
async def test_messages_for_other_nodes(broker: Broker) -> None:
    """Partitions, sessions, the subscriptions of a topic."""
    calls: list[str] = []

    def store(name: str, payload: bytes) -> Any:
        calls.append(name)
        body = MessageView(payload, 0, 0).body
        if body == b"pair":
            return ("q/1", message(b"one"))
        return [("q/1", payload), ("q/2", message(b"other")), payload] if body == b"list" else None

    broker.hooks.on_store = store
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        for body in (b"pair", b"list", b"none"):
            assert await client.send(sender, message(body)) == ACCEPTED
    assert calls == ["q", "q", "q"]
    for node, bodies in (("q", [b"list", b"none"]), ("q/1", [b"one", b"list"]), ("q/2", [b"other"])):
        assert [view.body for view in broker.queue(node).messages] == bodies


@story
async def test_what_is_settled(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """A hook is told of outcomes, and may have another applied."""
    told: list[Settlement] = []
    deferred: list[bytes] = []

    def settle(given: Settlement) -> Any:
        told.append(given)
        if isinstance(given.outcome, Modified) and given.outcome.undeliverable_here:
            deferred.append(given.payload)
            return ACCEPTED
        return 1 if isinstance(given.outcome, Rejected) else None

    broker.hooks.on_settle = settle
    broker.hooks.on_tag = lambda name, payload: b"tag-" + payload[-1:]
    for body in (b"0", b"1", b"2"):
        broker.put("q", message(body))
    outcomes = [Modified(undeliverable_here=True), Rejected(), ACCEPTED]
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", credit=3)
        for outcome in outcomes:
            client.settle(await client.receive(receiver), outcome)
        await until(broker, lambda: broker.queue("q").unsettled == 0)
        browser = await client.attach_receiver(Source(address="q/$dead", distribution_mode=Symbol("copy")), credit=9)
        assert (await client.receive(browser)).settled
        client.detach(browser)
    assert [(each.node, each.payload, each.tag) for each in told] == [
        ("q", message(body), b"tag-" + body) for body in (b"0", b"1", b"2")
    ]
    assert [type(each.outcome) for each in told] == [type(outcome) for outcome in outcomes]
    assert deferred == [message(b"0")]
    assert broker.queue("q").depth == 0
    assert broker.dead_letters("q").depth == 1  # the client's outcome, where the hook fails
    assert "hooks.on_settle raised" in caplog.text


@story
async def test_hooks_and_services_use_the_broker(broker: Broker) -> None:
    seen: list[tuple[str, int]] = []

    def store(name: str, payload: bytes) -> None:
        if name == "q":
            broker.put("log", message(b"stored"))

    def tag(name: str, payload: bytes) -> None:
        if name == "q":
            seen.append((name, broker.queue("q").unsettled))
            broker.put("log", message(b"sent"))
            if len(seen) == 1:
                broker.put("q", message(b"more"))

    def settle(given: Settlement) -> None:
        if given.node == "q":
            broker.put("log", message(b"settled"))

    def serve(asked: ServiceRequest) -> ServiceResponse:
        broker.put("q", message(b"served"))
        return ServiceResponse(body=broker.expire_tokens() + len(broker.connections) + broker.detach_links("none"))

    broker.hooks.on_store, broker.hooks.on_tag, broker.hooks.on_settle = store, tag, settle
    broker.serve("$management", serve)
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", credit=3)
        session = await client.session()
        answers = await client.attach_receiver("$management", session, credit=1)
        await client.send(await client.attach_sender("$management", session), request(1))
        assert MessageView((await client.receive(answers)).payload, 0, 0).body == 1
        await client.send(await client.attach_sender("q"), message(b"sent"))
        bodies = []
        for _ in range(3):
            delivery = await client.receive(receiver)
            bodies.append(MessageView(delivery.payload, 0, 0).body)
            client.settle(delivery)
        assert sorted(bodies) == [b"more", b"sent", b"served"]
        await until(broker, lambda: broker.queue("log").depth == 9)
        client.give_credit(receiver, 0)
    assert broker.queue("q").counters.accepted == 3


@pytest.mark.parametrize("made", ["text", [b"", None], [("q", "x")], [(1, b"")], ("$x", b""), LookupError("full")])
@story
async def test_a_hook_for_storing_that_fails(broker: Broker, caplog: pytest.LogCaptureFixture, made: Any) -> None:
    def hook(name: str, payload: bytes) -> Any:
        if isinstance(made, Exception):
            raise made
        return made

    broker.hooks.on_store = hook
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        outcome = await client.send(sender, message(b"x"))
        assert isinstance(outcome, Rejected)
        assert outcome.error is not None
        if made == ("$x", b""):
            assert outcome.error.condition == "amqp:not-found"
        else:
            assert outcome.error.condition == "amqp:internal-error"
            assert "hooks.on_store raised" in caplog.text
        with pytest.raises((HookError, ValueError), match=r"hooks\.on_store raised|there is no node"):
            broker.put("q", message(b"x"))
        broker.hooks.on_store = None
        assert await client.send(sender, message(b"x")) == ACCEPTED
    assert broker.queue("q").depth == 1


@story
async def test_delivery_tags(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.hooks.on_tag = lambda name, payload: payload[-1:] * 16 if name == "q" else None
    async with await connect(broker) as client:
        for node, tag in (("q", b"x" * 16), ("r", None)):
            broker.put(node, message(b"x"))
            receiver = await client.attach_receiver(node, credit=1)
            delivery = await client.receive(receiver)
            assert tag is None or delivery.tag == tag
            client.settle(delivery)
        for bad in (b"", b"x" * 33, "text", 1):
            broker.hooks.on_tag = lambda name, payload, bad=bad: bad
            broker.put("s", message(b"x"))
            receiver = await client.attach_receiver("s", credit=1)
            client.settle(await client.receive(receiver))
            assert "a delivery-tag has 1 to 32 bytes" in caplog.text
            caplog.clear()


@story
async def test_the_messages_of_a_batch_have_headers_of_their_own() -> None:
    def batch(*parts: bytes) -> bytes:
        return b"".join(b"\x00\x53\x75\xa0" + bytes([len(part)]) + part for part in parts)

    parts = [Header(ttl=50).encode() + message(b"soon"), Header(delivery_count=3).encode() + message(b"late")]
    with Broker(unpack_batches=True) as broker:
        async with await connect(broker) as client:
            sender = await client.attach_sender("q")
            assert await client.send(sender, batch(*parts), message_format=BATCH) == ACCEPTED
            await until(broker, lambda: broker.dead_letters("q").depth == 1)
            assert [view.delivery_count for view in broker.queue("q").messages] == [3]
            outcome = await client.send(sender, batch(message(b"x"), b"\x00\x53\x70\x40"), message_format=BATCH)
            assert isinstance(outcome, Rejected)
            assert outcome.error is not None
            assert outcome.error.condition == "amqp:decode-error"
            assert broker.queue("q").depth == 1


@story
async def test_batches() -> None:
    parts = [message(b"one"), message(b"two", message_id="2")]
    batch = b"".join(b"\x00\x53\x75\xa0" + bytes([len(part)]) + part for part in parts)
    with Broker(unpack_batches=True) as broker, Broker() as plain:
        seen: list[bytes] = []
        broker.hooks.on_store = lambda name, payload: seen.append(payload)
        for each in (broker, plain):
            async with await connect(each) as client:
                sender = await client.attach_sender("q")
                assert await client.send(sender, batch, message_format=BATCH) == ACCEPTED
                assert await client.send(sender, batch) == ACCEPTED  # no batch by its format
        assert [view.payload for view in broker.queue("q").messages] == [*parts, batch] == seen
        assert [view.payload for view in plain.queue("q").messages] == [batch, batch]
        broker.put("p", batch, message_format=BATCH)
        assert [view.payload for view in broker.queue("p").messages] == parts
        async with await connect(broker) as client:
            sender = await client.attach_sender("odd")
            assert await client.send(sender, b"\x00\x53\x75\x40", message_format=BATCH) == ACCEPTED
        assert broker.queue("odd").messages[0].payload == b"\x00\x53\x75\x40"
