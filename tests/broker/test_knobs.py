"""Every knob of the broker, over TCP."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.support.client import closed, connect, message, story, until
from tests.support.clock import Clock
from uamqp.codec import ACCEPTED, RELEASED, Accepted, Modified, Rejected, Released, Source
from uamqp.engine import CauseKind, IncomingDelivery, events
from uamqp.testing import Broker, connection_redirect, error, link_redirect


@story
async def test_refuse_connections(broker: Broker) -> None:
    broker.faults.refuse_connections = True
    client = await connect(broker)
    assert (await closed(client)).kind is CauseKind.TRANSPORT
    broker.faults.clear()
    async with await connect(broker) as client:
        await client.session()


@pytest.mark.parametrize("code", [1, 2, 3, 4])
@story
async def test_refuse_sasl(broker: Broker, code: int) -> None:
    broker.faults.refuse_sasl = code
    client = await connect(broker)
    cause = await closed(client)
    assert cause.kind is CauseKind.SASL
    assert f"outcome {code}" in cause.message


@story
async def test_refuse_open_with_a_redirect(broker: Broker) -> None:
    broker.faults.refuse_open = connection_redirect("there.example", 5671)
    client = await connect(broker)
    cause = await closed(client)
    assert cause.condition == "amqp:connection:redirect"
    assert cause.error.info["network-host"] == "there.example"


@story
async def test_refuse_begin(broker: Broker) -> None:
    broker.faults.refuse_begin = error("amqp:not-allowed", "no sessions today")
    async with await connect(broker) as client:
        session = await client.session()
        event = await client.next(events.SessionEnded)
        assert event.session is session
        assert event.cause is not None
        assert event.cause.condition == "amqp:not-allowed"


@story
async def test_refuse_attach(broker: Broker) -> None:
    async with await connect(broker) as client:
        session = await client.session()
        broker.faults.refuse_attach = link_redirect("there.example", 5671, "q")
        assert await client.refusal(await client.attach_sender("q", session)) == "amqp:link:redirect"
        seen: list[tuple[str | None, bool]] = []

        def rule(address: str | None, sends: bool) -> Any:
            seen.append((address, sends))
            return error("amqp:unauthorized-access") if address == "secret" else None

        broker.faults.refuse_attach = rule
        assert await client.refusal(await client.attach_receiver("secret", session)) == "amqp:unauthorized-access"
        assert (await client.attach_sender("open", session)).is_open
        assert (await client.attach_receiver(Source(dynamic=True), session)).is_open
        assert (await client.attach_sender(None, session)).is_open
        assert seen == [("secret", False), ("open", True), (None, False), (None, True)]


@story
async def test_withheld_credit(broker: Broker) -> None:
    broker.faults.withhold_credit = True
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        delivery = client.submit(sender, message(b"x"))
        relay = await client.attach_sender(None)
        assert (sender.credit, relay.credit) == (0, 0)
        broker.faults.withhold_credit = False
        assert await client.outcome(delivery) == ACCEPTED
        await client.next(events.CreditChanged, lambda event: event.sender is relay)


@story
async def test_withheld_outcomes(broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        first, second = client.submit(sender, message(b"1")), client.submit(sender, message(b"2"))
        await until(broker, lambda: broker.queue("q").depth == 2)
        await client.session()  # whatever was to come has come
        assert not first.settled
        broker.faults.withhold_outcomes = False
        assert await client.outcome(first) == ACCEPTED
        assert await client.outcome(second) == ACCEPTED
        broker.faults.withhold_outcomes = True
        third = client.submit(sender, message(b"3"))
        await until(broker, lambda: broker.queue("q").depth == 3)
        client.detach(sender)
        await client.next(events.LinkDetached)
        broker.faults.clear()
        await client.session()
        assert third.remote_state is None


@story
async def test_withheld_settlement(broker: Broker) -> None:
    broker.faults.withhold_settlement = True
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        # an engine settles as soon as it knows the outcome; before that it saw the disposition unsettled
        came: list[Any] = []
        client.engine.trace = lambda direction, channel, performative, size: came.append((direction, performative))
        assert await client.send(sender, message(b"x")) == ACCEPTED
        dispositions = [p for direction, p in came if direction == "<-" and type(p).__name__ == "Disposition"]
        assert [p.settled for p in dispositions] == [False]
        receiver = await client.attach_receiver("q", credit=1, rcv_settle_mode=1)
        client.settle(await client.receive(receiver))
        await until(broker, lambda: broker.counters.accepted == 1)
        await client.session()
        assert client.seen(events.IncomingSettled) == []


@pytest.mark.parametrize("outcome", [Rejected(error("a:b")), RELEASED, Modified(delivery_failed=True), ACCEPTED])
@story
async def test_outcomes_that_the_test_chooses(broker: Broker, outcome: Any) -> None:
    broker.faults.outcome = outcome
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        assert await client.send(sender, message(b"x")) == outcome
        assert broker.queue("q").depth == 0


@story
async def test_outcomes_by_a_rule(broker: Broker) -> None:
    seen: list[str] = []

    def rule(address: str, payload: bytes) -> Any:
        seen.append(address)
        return Released() if payload.endswith(b"no") else None

    broker.faults.outcome = rule
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        assert isinstance(await client.send(sender, message(b"no")), Released)
        assert isinstance(await client.send(sender, message(b"yes")), Accepted)
        relay = await client.attach_sender(None)
        assert isinstance(await client.send(relay, message(b"no", to="other")), Released)
        assert isinstance(await client.send(relay, message(b"no")), Released)
        assert seen == ["q", "q", "other", ""]
        assert broker.queue("q").depth == 1


@story
async def test_a_rule_that_fails_cuts_the_connection(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    def rule(address: str, payload: bytes) -> Any:
        raise LookupError("a mistake in the test")

    broker.faults.outcome = rule
    client = await connect(broker)
    sender = await client.attach_sender("q")
    with caplog.at_level(logging.CRITICAL, "asyncio"):
        client.submit(sender, message(b"x"))
        assert (await closed(client)).kind is CauseKind.TRANSPORT


@story
async def test_delay(broker: Broker) -> None:
    broker.faults.delay = 0.05
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        elapsed = loop.time() - start
        assert elapsed >= 0.05 * 4  # SASL mechanisms, SASL outcome, open, begin, attach: some come together
        broker.faults.delay = 0
        for _ in range(50):
            client.submit(sender, message(b"x"))
        await until(broker, lambda: broker.queue("q").depth == 50)


@story
async def test_what_is_held_back_goes_with_its_connection(broker: Broker) -> None:
    client = await connect(broker)
    await client.session()
    broker.faults.delay = 3600
    client.engine.begin(client.now())
    client.protocol.wake()
    broker.drop_connections()
    await closed(client)


@pytest.mark.parametrize("size", [1, 3, 100])
@story
async def test_writes_in_pieces(broker: Broker, size: int) -> None:
    broker.faults.write_size = size
    for number in range(20):
        broker.put("q", message(b"%d" % number))
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", credit=20)
        for number in range(20):
            assert (await client.receive(receiver)).payload == message(b"%d" % number)


@story
async def test_output_that_is_held_back_is_bounded(broker: Broker) -> None:
    for _ in range(800):
        broker.put("q", message(b"x" * 200) * 100)
    broker.faults.delay = 0.05
    broker.faults.write_size = 1_000_000
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", await client.session(incoming_window=100_000), credit=800)
        await client.receive(receiver)
        assert broker.queue("q").depth > 0
        broker.faults.delay = 0
        for _ in range(799):
            client.settle(await client.receive(receiver))


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("frames", range(9))
@story
async def test_cut_after_frames(broker: Broker, direction: str, frames: int) -> None:
    """Wherever the connection is cut, the client hears of it, and the next one works."""
    setattr(broker.faults, f"cut_after_frames_{direction}", frames)
    broker.faults.cut_times = 1
    await use_until_closed(broker)
    assert broker.faults.cut_times == 0
    async with await connect(broker) as client:
        await use(client)


async def use_until_closed(broker: Broker) -> None:
    client = await connect(broker)
    task = asyncio.ensure_future(use(client))
    assert (await closed(client)).kind is CauseKind.TRANSPORT
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def use(client: Any) -> None:
    """Causes at least ten frames in each direction."""
    for _ in range(3):
        session = await client.session()
        sender = await client.attach_sender("q", session)
        await client.send(sender, message(b"x"))
        receiver = await client.attach_receiver("q", session, credit=1)
        client.settle(await client.receive(receiver))
        client.detach(receiver)
        await client.next(events.LinkDetached)


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("size", [0, 1, 8, 20, 100, 300])
@story
async def test_cut_after_bytes(broker: Broker, direction: str, size: int) -> None:
    setattr(broker.faults, f"cut_after_bytes_{direction}", size)
    await use_until_closed(broker)


@pytest.mark.parametrize("size", [0, 1, 8, 20])
@story
async def test_what_was_to_be_written_before_the_cut_is_written(broker: Broker, size: int) -> None:
    broker.faults.cut_after_bytes_out = size
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    writer.write(b"AMQP\x03\x01\x00\x00")
    assert len(await reader.read()) == size
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("what", ["header", "sasl", "open"])
@story
async def test_silence_before_the_connection_is_open(broker: Broker, what: str, clock: Clock) -> None:
    broker.faults.silent = what
    client = await connect(broker, handshake_timeout=10)  # the broker has more patience
    clock.move(15)
    cause = await closed(client)
    assert cause.kind is CauseKind.TIMEOUT


@story
async def test_silence_to_a_begin(broker: Broker, clock: Clock) -> None:
    broker.faults.silent = "begin"
    async with await connect(broker) as client:
        await client.next(events.ConnectionOpened)
        client.engine.begin(client.now())
        client.protocol.wake()
        clock.move(45)
        event = await client.next(events.SessionEnded)
        assert event.cause is not None
        assert event.cause.kind is CauseKind.TIMEOUT


@story
async def test_silence_to_an_attach_and_a_detach(broker: Broker, clock: Clock) -> None:
    async with await connect(broker) as client:
        sender = await client.attach_sender("q")
        broker.faults.silent = ["detach", "attach"]
        client.detach(sender)
        clock.move(45)
        event = await client.next(events.LinkDetached)
        assert event.cause is not None
        assert event.cause.kind is CauseKind.TIMEOUT
        receiver = sender.session.attach_receiver(client.now(), "r", source=Source(address="q"), target=None)
        client.protocol.wake()
        clock.move(45)
        event = await client.next(events.LinkDetached)
        assert event.link is receiver
        assert event.cause is not None
        assert event.cause.kind is CauseKind.TIMEOUT


@story
async def test_silence_to_an_end(broker: Broker, clock: Clock) -> None:
    async with await connect(broker) as client:
        session = await client.session()
        broker.faults.silent = "end"
        session.end(client.now())
        client.protocol.wake()
        clock.move(45)
        event = await client.next(events.SessionEnded)
        assert event.cause is not None
        assert event.cause.kind is CauseKind.TIMEOUT


@story
async def test_silence_to_a_close(broker: Broker, clock: Clock) -> None:
    client = await connect(broker)
    await client.session()
    broker.faults.silent = "close"
    client.engine.close(client.now())
    client.protocol.wake()
    clock.move(45)
    cause = await closed(client)
    assert cause.kind is CauseKind.TIMEOUT
    await until(broker, lambda: not broker.connections)


@story
async def test_silence_instead_of_heartbeats(broker: Broker, clock: Clock) -> None:
    broker.faults.silent = "heartbeat"
    client = await connect(broker, idle_timeout=30)
    await client.session()
    clock.move(90)
    cause = await closed(client)
    assert cause.kind is CauseKind.TIMEOUT
    assert "idle" in cause.message


@story
async def test_silence_for_a_client_that_nobody_hears(broker: Broker) -> None:
    """A broker that stops doesn't wait for a client that waits for its close."""
    broker.faults.silent = "close"
    client = await connect(broker)
    await client.session()
    client.engine.close(client.now())
    client.protocol.wake()
    await asyncio.to_thread(broker.stop)
    await closed(client)


@story
async def test_a_client_that_is_silent_is_given_up(clock: Clock) -> None:
    with Broker(idle_timeout=30) as broker:
        client = await connect(broker)
        opened = (await client.next(events.ConnectionOpened)).open
        assert opened.idle_time_out == 30_000
        client.engine._timers._remote_idle = None  # no heartbeats
        clock.move(90)
        cause = await closed(client)
        assert cause.condition == "amqp:resource-limit-exceeded"


@story
async def test_drop_connections(broker: Broker) -> None:
    clients = [await connect(broker) for _ in range(3)]
    for client in clients:
        await client.session()
    assert broker.drop_connections() == 3
    for client in clients:
        assert (await closed(client)).kind is CauseKind.TRANSPORT
    assert broker.connections == ()


@story
async def test_close_connections(broker: Broker) -> None:
    client = await connect(broker)
    await client.session()
    assert broker.close_connections("amqp:connection:redirect", "go away", {"network-host": "there"}) == 1
    cause = await closed(client)
    assert (cause.condition, cause.error.description) == ("amqp:connection:redirect", "go away")
    assert cause.error.info == {"network-host": "there"}


@story
async def test_end_sessions(broker: Broker) -> None:
    async with await connect(broker) as client:
        await client.attach_sender("q")
        assert broker.end_sessions("amqp:session:window-violation", "why not") == 1
        event = await client.next(events.SessionEnded)
        assert event.cause is not None
        assert event.cause.condition == "amqp:session:window-violation"


@story
async def test_detach_links(broker: Broker) -> None:
    broker.put("q", message(b"x"))
    async with await connect(broker) as client:
        session = await client.session()
        receiver = await client.attach_receiver("q", session, credit=1)
        sender = await client.attach_sender("q", session)
        other = await client.attach_sender("other", session)
        relay = await client.attach_sender(None, session)
        await client.receive(receiver)
        assert broker.detach_links("q", "amqp:resource-deleted", "gone") == 2
        assert await client.refusal(receiver) == "amqp:resource-deleted"
        assert await client.refusal(sender) == "amqp:resource-deleted"
        await until(broker, lambda: broker.queue("q").depth == 1)
        assert broker.queue("q").messages[0].delivery_count == 1
        assert other.is_open
        assert broker.detach_links() == 2
        assert await client.refusal(relay) == "amqp:link:detach-forced"
        assert await client.refusal(other) == "amqp:link:detach-forced"
        assert (broker.queue("q").consumers, broker.queue("q").producers) == (0, 0)


@story
async def test_messages_of_connections_that_the_broker_closes_come_back(broker: Broker) -> None:
    broker.put("q", message(b"x"))
    client = await connect(broker)
    receiver = await client.attach_receiver("q", credit=1)
    await client.next(IncomingDelivery, lambda event: event.link is receiver)
    broker.close_connections()
    await closed(client)
    await until(broker, lambda: broker.queue("q").depth == 1)
    assert broker.queue("q").messages[0].delivery_count == 1
