"""The rules of sending: when a message counts as accepted, as not sent, or as unknown."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, fill, opened, stored, wait_until_readable
from tests.support.scripts import SENDER, accept_leaving, accept_sender, settle
from uamqp.codec import EncodeError
from uamqp.messaging import (
    Accepted,
    AccessDenied,
    AnonymousRelayUnsupported,
    BufferFull,
    LinkDetached,
    Message,
    MessageModified,
    MessageRejected,
    MessageReleased,
    MessageTooLarge,
    Modified,
    NodeDeleted,
    NotSent,
    OperationTimeout,
    OutcomeTimeout,
    OutcomeUnknown,
    ReadOnlyMessage,
    Released,
    SendManyFailed,
    SendTimeout,
    UsageError,
)
from uamqp.testing import Broker, error

pytestmark = both_faces

UNSETTLED = 0


def submitted(face: Face, sender: Any, *bodies: Any, **options: Any) -> list[Any]:
    return [face.go(lambda body=body: sender.submit_nowait(body, **options)) for body in bodies]  # type: ignore[misc]


def kinds(face: Face, deliveries: list[Any]) -> list[type[BaseException] | None]:
    """What becomes of deliveries."""
    found: list[type[BaseException] | None] = []
    for delivery in deliveries:
        try:
            face.wait(delivery)
            found.append(None)
        except Exception as error:  # noqa: BLE001 (it is looked at)
            found.append(type(error))
    return found


# -- accepted


def test_what_is_sent_unsettled_and_accepted_without_settlement_is_accepted(face: Face, broker: Broker) -> None:
    broker.faults.withhold_settlement = True
    with opened(face, broker, "open_sender") as s:
        face.go(lambda: s.send("x"))
    assert stored(broker) == ["x"]


def test_given_back_modified_is_not_accepted(face: Face, broker: Broker) -> None:
    broker.faults.outcome = Modified(delivery_failed=True)
    with (
        opened(face, broker, "open_sender") as s,
        pytest.raises(MessageModified, match="the delivery failed") as caught,
    ):
        face.go(lambda: s.send("x"))
    assert caught.value.outcome == Modified(delivery_failed=True)


def test_presettled_is_sent_once_it_may_go(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_credit = True
    with opened(face, broker, "open_sender", presettled=True, send_timeout=30) as s:
        sending = face.spawn(lambda: s.send("late"))
        becomes(face, lambda: s.pending == 1)
        clock.move(31)
        with pytest.raises(SendTimeout):
            sending.result()
        sending = face.spawn(lambda: s.send("in time"))
        becomes(face, lambda: s.pending == 1)
        broker.faults.withhold_credit = False
        assert sending.result() is None
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    assert stored(broker) == ["in time"]


def test_presettled_is_done_when_the_socket_has_all_of_it(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer", more=True)
        peer.tell("a part has come")
        peer.wait("the rest")
        while peer.read_frame()["more"]:
            pass
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_sender", presettled=True) as s:
        (delivery,) = submitted(face, s, bytes(32_000_000))  # more than sockets hold
        server.wait("a part has come")
        assert not delivery.done
        server.tell("the rest")
        assert face.wait(delivery) is None
        assert delivery.sent


def test_submit_waits_for_room_alone(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", max_pending=2) as s:
        first, second = (face.go(lambda: s.submit("x")) for _ in range(2))
        assert not first.done
        waiting = face.spawn(lambda: s.submit("y"))
        broker.wait_for(lambda: broker.queue("q").depth == 2)
        assert (s.pending, s.stats().taken) == (2, 2)
        broker.faults.withhold_outcomes = False
        assert face.wait(waiting.result()) == face.wait(second) == Accepted()
    assert stored(broker) == ["x", "x", "y"]


# -- what isn't taken in


@pytest.mark.parametrize("way", ["send", "submit", "submit_nowait"])
def test_what_has_no_encoding_is_not_queued(face: Face, broker: Broker, way: str) -> None:
    with opened(face, broker, "open_sender") as s:
        for body in (2**70, {"key": object()}, "\ud800"):
            with pytest.raises(EncodeError):
                face.go(lambda body=body: getattr(s, way)(body))  # type: ignore[misc]
        with pytest.raises(TypeError, match="body must be"):
            face.go(lambda: getattr(s, way)(object()))
        assert (s.stats().taken, s.pending) == (0, 0)
        face.go(lambda: s.send("x"))
    assert stored(broker) == ["x"]


@pytest.mark.parametrize("way", ["send", "submit", "submit_nowait"])
def test_what_is_too_large_is_not_queued(face: Face, way: str) -> None:
    with Broker(max_message_size=1000) as broker, opened(face, broker, "open_sender", durable=False) as s:
        assert s.max_message_size == 1000
        limit = 1000 - 8  # the sections' own bytes
        with pytest.raises(MessageTooLarge, match="has 1001 bytes, and the peer takes 1000"):
            face.go(lambda: getattr(s, way)(bytes(limit + 1)))
        assert (s.stats().taken, s.pending, s.state) == (0, 0, "open")
        face.go(lambda: s.send(bytes(limit)))
        assert stored(broker) == [bytes(limit)]


@pytest.mark.parametrize("way", ["send", "submit", "submit_nowait", "send_many"])
def test_what_was_received_is_not_sent(face: Face, broker: Broker, way: str) -> None:
    fill(broker, 1)
    with connected(face, broker) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        sender = face.go(lambda: connection.open_sender("q2"))
        message = face.go(receiver.receive)
        given = [message] if way == "send_many" else message
        with pytest.raises(ReadOnlyMessage, match="copy"):
            face.go(lambda: getattr(sender, way)(given))
        assert sender.stats().taken == 0


# -- in order


def test_messages_go_in_the_order_of_submit(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with opened(face, broker, "open_sender") as s:
        big = "x" * 200_000  # in several frames
        deliveries = submitted(face, s, *(number if number % 10 else big for number in range(100)))
        broker.faults.withhold_credit = False
        deliveries += submitted(face, s, *range(100, 200))
        assert face.wait(deliveries[-1]) == Accepted()
    assert stored(broker) == [number if number % 10 or number >= 100 else big for number in range(200)]


# -- what is known of messages when the link ends


def ended_in_every_way(broker: Broker, connection: Any, sender: Any) -> dict[str, Any]:
    return {
        "cut": broker.drop_connections,
        "closed by the peer": broker.close_connections,
        "session ended": lambda: broker.end_sessions("amqp:internal-error"),
        "detached": lambda: broker.detach_links("q", "amqp:resource-deleted"),
        "sender closed": lambda: sender.close(timeout=0),
        "connection closed": lambda: connection.close(timeout=0),
        "aborted": connection.abort,
    }


@pytest.mark.parametrize(
    "way",
    ["cut", "closed by the peer", "session ended", "detached", "sender closed", "connection closed", "aborted"],
)
def test_what_was_not_on_the_wire_was_not_sent(face: Face, way: str) -> None:
    with Broker(link_credit=3, max_queue_messages=3) as broker:
        broker.faults.withhold_outcomes = True
        with connected(face, broker) as connection:
            sender = face.go(lambda: connection.open_sender("q"))
            deliveries = submitted(face, sender, *range(6))
            broker.wait_for(lambda: broker.queue("q").depth == 3)
            assert [delivery.sent for delivery in deliveries] == [True] * 3 + [False] * 3
            face.go(ended_in_every_way(broker, connection, sender)[way])
            assert kinds(face, deliveries) == [OutcomeUnknown] * 3 + [NotSent] * 3
            assert [delivery.sent for delivery in deliveries] == [True] * 3 + [False] * 3
            assert (sender.stats().unknown, sender.stats().not_sent, sender.pending) == (3, 3, 0)


def test_a_message_of_which_a_part_was_sent_was_not_sent(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(max_frame_size=512)
        peer.accept_begin(incoming_window=2)
        peer.accept_attach(SENDER)
        peer.grant(10)
        for _ in range(2):
            peer.expect("transfer", more=True)
        peer.reset_socket()

    with ScriptedServer(script) as server, connected(face, server) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        (delivery,) = submitted(face, sender, bytes(5000))
        assert kinds(face, [delivery]) == [NotSent]


def test_the_only_message_under_way_is_blamed_for_nothing(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender") as s:
        (delivery,) = submitted(face, s, "x")
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        broker.detach_links("q", "amqp:resource-deleted", "gone")
        with pytest.raises(OutcomeUnknown, match="gone") as caught:
            face.wait(delivery)
        assert isinstance(caught.value.__cause__, NodeDeleted)
        with pytest.raises(LinkDetached, match="gone"):
            face.go(lambda: s.send("y"))
        assert s.state == "failed"


# -- once, and in time


def test_a_late_outcome_changes_no_error(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_outcomes = True
    seen: list[Any] = []
    with opened(face, broker, "open_sender") as s:
        (delivery,) = submitted(face, s, "x", timeout=30)
        face.go(lambda: delivery.add_done_callback(seen.append))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        clock.move(31)
        with pytest.raises(OutcomeTimeout) as caught:
            face.wait(delivery)
        assert (delivery.done, delivery.outcome) == (True, None)
        broker.faults.withhold_outcomes = False
        becomes(face, lambda: delivery.outcome == Accepted())
        assert delivery.error is caught.value
        with pytest.raises(OutcomeTimeout):
            face.wait(delivery)
        becomes(face, lambda: seen == [delivery])
        assert (s.stats().unknown, s.stats().accepted) == (1, 0)


def test_time_counts_from_the_call(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", max_pending=1) as s:
        (first,) = submitted(face, s, "x", timeout=20)
        waiting = face.spawn(lambda: s.submit("y", timeout=30))  # 20 of its seconds go by without room
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        clock.move(21)
        with pytest.raises(OutcomeTimeout):
            face.wait(first)
        second = waiting.result()
        broker.wait_for(lambda: broker.queue("q").depth == 2)
        clock.move(10)
        with pytest.raises(OutcomeTimeout):
            face.wait(second)


def test_an_outcome_that_has_arrived_is_not_late(face: Face, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        settle(peer, peer.expect("transfer"))
        sent = peer.expect("transfer")
        peer.wait("busy")
        settle(peer, sent)
        peer.tell("accepted")
        accept_leaving(peer)

    options = {"keeper": False} if face.name == "sync" else {}  # nobody reads while the program is busy
    with ScriptedServer(script) as server, connected(face, server, **options) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        face.go(lambda: sender.send("x"))  # the credit has come by then
        (delivery,) = submitted(face, sender, "y", timeout=30)

        def be_busy() -> None:
            server.tell("busy")
            server.wait("accepted")
            wait_until_readable(server.port)
            clock.move(31)

        face.go(be_busy)
        assert face.wait(delivery) == Accepted()


# -- room


def test_bytes_are_bounded_as_well(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", max_pending_bytes=1000) as s:
        submitted(face, s, bytes(990))  # with its sections it has more than 1000
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        with pytest.raises(BufferFull, match=r"1 messages with 10.. bytes are under way"):
            face.go(lambda: s.submit_nowait("x"))
        waiting = face.spawn(lambda: s.submit("x"))
        broker.faults.withhold_outcomes = False
        assert face.wait(waiting.result()) == Accepted()
        assert (s.stats().pending, s.stats().pending_bytes) == (0, 0)


def test_everybody_who_waits_for_room_gets_it(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", max_pending=1) as s:
        submitted(face, s, 0)
        waiting = [face.spawn(lambda number=number: s.send(number)) for number in range(1, 10)]  # type: ignore[misc]
        broker.faults.withhold_outcomes = False
        for each in waiting:
            each.result()
    assert sorted(stored(broker)) == list(range(10))


# -- failures that nobody looks at


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_failures_that_nobody_looks_at_are_counted_and_logged(
    face: Face, broker: Broker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    broker.faults.outcome = Released()
    with opened(face, broker, "open_sender") as s:
        for _ in range(3):
            submitted(face, s, "x")
            face.go(s.flush)
        assert face.go(s.stats).unretrieved == 3
        assert len(errors_in(caplog)) == 1  # the others follow in a second, or when it is closed
        clock.move(1.5)
        submitted(face, s, "x")
        face.go(s.flush)
        assert face.go(s.stats).unretrieved == 4
        assert len(errors_in(caplog)) == 2
        submitted(face, s, "x")
        face.go(s.flush)
        assert face.go(s.stats).unretrieved == 5
    told = errors_in(caplog)
    assert len(told) == 3
    assert sum(int(text.split()[0]) for text in told) == 5
    assert all("'q'" in text for text in told)


def test_failures_that_somebody_looks_at_are_not_logged(
    face: Face, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.faults.outcome = Released()
    with opened(face, broker, "open_sender") as s:
        deliveries = submitted(face, s, *"abcd")
        face.go(lambda: deliveries[0].add_done_callback(lambda delivery: None))
        face.go(s.flush)
        face.go(lambda: deliveries[1].add_done_callback(lambda delivery: None))
        with pytest.raises(MessageReleased):
            face.wait(deliveries[2])
        assert isinstance(deliveries[3].error, MessageReleased)
        with pytest.raises(MessageReleased):
            face.go(lambda: s.send("e"))
        face.go(lambda: s.send_many(["f"], on_failure="collect"))
        deliveries.clear()
        assert (s.stats().refused, s.stats().unretrieved) == (6, 0)
    assert errors_in(caplog) == []


def test_failures_that_are_dropped_after_the_end_are_logged_as_well(
    face: Face, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    def send() -> list[Any]:
        with opened(face, broker, "open_sender") as s:
            deliveries = submitted(face, s, *range(5))
            face.go(s.flush)
        return deliveries

    broker.faults.outcome = Released()
    deliveries = send()
    assert errors_in(caplog) == []
    del deliveries
    gc.collect()
    assert sum(int(text.split()[0]) for text in errors_in(caplog)) == 5


# -- settled and unsettled over one link


def test_each_message_may_be_settled_or_not(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender", presettled="mixed") as s:
        (settled,) = submitted(face, s, "settled", presettled=True, timeout=2)
        assert face.wait(settled) is None
        (unsettled,) = submitted(face, s, "unsettled")
        another = face.go(lambda: s.submit("another", presettled=True))
        assert face.wait(another) is None
        broker.wait_for(lambda: broker.queue("q").depth == 3)
        assert not unsettled.done
        broker.faults.withhold_outcomes = False
        assert face.wait(unsettled) == Accepted()
        assert (s.stats().accepted, s.remote.presettled) == (3, "mixed")
    assert stored(broker) == ["settled", "unsettled", "another"]


@pytest.mark.parametrize("presettled", [False, True])
def test_one_message_is_settled_over_mixed_links_alone(face: Face, broker: Broker, presettled: bool) -> None:
    with opened(face, broker, "open_sender", presettled=presettled) as s:
        for way in (s.submit, s.submit_nowait):
            with pytest.raises(UsageError, match="needs a sender with presettled='mixed'"):
                face.go(lambda way=way: way("x", presettled=True))  # type: ignore[misc]
        face.go(lambda: s.submit("y", presettled=False))
        assert s.stats().taken == 1


def test_a_peer_that_does_not_grant_mixed_gets_unsettled_messages_alone(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, snd_settle_mode=UNSETTLED)
        settle(peer, peer.expect("transfer", settled=False))
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_sender", presettled="mixed") as s:
        with pytest.raises(UsageError, match="the peer takes no messages of both kinds"):
            face.go(lambda: s.submit_nowait("x", presettled=True))
        face.go(lambda: s.send("y"))


# -- the anonymous relay


def test_a_peer_without_an_anonymous_relay(face: Face, broker: Broker) -> None:
    broker.faults.refuse_attach = lambda address, sends: error("amqp:not-implemented") if address is None else None
    with connected(face, broker) as connection:
        with pytest.raises(AnonymousRelayUnsupported, match="open a sender to an address") as caught:
            face.go(lambda: connection.open_sender(None))
        assert (caught.value.condition, caught.value.is_temporary) == ("amqp:not-implemented", False)
        broker.faults.refuse_attach = error("amqp:unauthorized-access")
        with pytest.raises(AccessDenied):
            face.go(lambda: connection.open_sender(None))


def test_what_the_relay_cannot_route_is_rejected(face: Face) -> None:
    with (
        Broker(make_nodes=False, queues=["q"]) as broker,
        connected(face, broker) as connection,
        face.open(lambda: connection.open_sender(None)) as s,
    ):
        face.go(lambda: s.send(Message("x", to="q")))
        with pytest.raises(MessageRejected) as caught:
            face.go(lambda: s.send(Message("x", to="nowhere")))
        assert caught.value.condition == "amqp:not-found"
        for way in (s.send, s.submit, s.submit_nowait):
            with pytest.raises(UsageError, match="needs `to`"):
                face.go(lambda way=way: way("x"))  # type: ignore[misc]


def test_more_than_go_out_at_a_time(face: Face, broker: Broker) -> None:
    """All are handed to the connection before the loop, or the peer, has a turn."""

    def submit(s: Any) -> list[Any]:
        return [s.submit_nowait(number) for number in range(1500)]

    with opened(face, broker, "open_sender") as s:
        becomes(face, lambda: s.credit > 0)
        deliveries = face.go(lambda: submit(s))
        face.go(s.flush)
        assert all(delivery.done and delivery.error is None for delivery in deliveries)
    assert stored(broker) == list(range(1500))


# -- many


def test_many_are_under_way_as_the_window_allows(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender") as s:
        sending = face.spawn(lambda: s.send_many(range(30), window=10))
        broker.wait_for(lambda: broker.queue("q").depth == 10)
        assert (s.pending, s.stats().taken) == (10, 10)
        broker.faults.withhold_outcomes = False
        report = sending.result()
        assert (report.taken, report.accepted, report.failures) == (30, 30, ())
    assert stored(broker) == list(range(30))


def test_messages_of_which_one_cannot_be_made(face: Face, broker: Broker) -> None:
    def numbers() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more")

    with opened(face, broker, "open_sender") as s:
        with pytest.raises(LookupError, match="no more"):
            face.go(lambda: s.send_many(numbers()))
        assert (s.pending, s.stats().accepted) == (0, 5)
    assert stored(broker) == list(range(5))


def test_messages_of_which_one_has_no_encoding(face: Face, broker: Broker) -> None:
    """What came before it is sent, and nothing after it."""
    given: list[Any] = [*range(100), [object()], 100]
    with opened(face, broker, "open_sender") as s:
        with pytest.raises(EncodeError):
            face.go(lambda: s.send_many(given))
        assert (s.pending, s.stats().accepted) == (0, 100)
    assert stored(broker) == list(range(100))


def test_many_for_which_there_is_no_room_at_once(face: Face, broker: Broker) -> None:
    """They go out in order, as fast as the others leave."""
    with opened(face, broker, "open_sender", max_pending_bytes=500) as s:
        report = face.go(lambda: s.send_many(str(number).zfill(100) for number in range(200)))
        assert (report.taken, report.accepted) == (200, 200)
    assert stored(broker) == [str(number).zfill(100) for number in range(200)]


def test_many_for_which_there_is_no_room_in_time(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_credit = True
    with opened(face, broker, "open_sender", max_pending=5) as s:
        submitted(face, s, *range(5), timeout=None)
        sending = face.spawn(lambda: s.send_many(range(5, 10), timeout=30))
        becomes(face, lambda: len(s._queue.room) == 1)
        clock.move(31)
        with pytest.raises(SendTimeout, match="no room for the message for 30 seconds: 5 wait"):
            sending.result()
        broker.faults.withhold_credit = False
        face.go(s.flush)
    assert stored(broker) == list(range(5))


def test_an_iterator_that_waits_until_its_messages_have_arrived(face: Face, broker: Broker) -> None:
    """What it has given goes out while it is busy: in the loop, as soon as it lets the loop go on."""

    def numbers() -> Iterator[int]:
        for number in range(9):
            if number % 3 == 0:
                broker.wait_for(lambda n=number: broker.queue("q").depth == n)  # type: ignore[misc]
            yield number

    async def later() -> AsyncIterator[int]:
        for number in range(9):
            if number % 3 == 0:
                await asyncio.to_thread(broker.wait_for, lambda n=number: broker.queue("q").depth == n)  # type: ignore[misc]
            yield number

    with opened(face, broker, "open_sender") as s:
        assert face.go(lambda: s.send_many(numbers() if face.name == "sync" else later())).accepted == 9
    assert stored(broker) == list(range(9))


def test_many_over_a_link_that_is_lost(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender") as s:
        sending = face.spawn(lambda: s.send_many(range(10), window=3))
        broker.wait_for(lambda: broker.queue("q").depth == 3)
        broker.detach_links("q", "amqp:resource-deleted")
        with pytest.raises((SendManyFailed, NodeDeleted)):
            sending.result()
        assert (s.pending, s.stats().unknown) == (0, 3)


def test_messages_that_are_made_by_and_by(face: Face, broker: Broker) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    with opened(face, broker, "open_sender") as s:
        if face.name == "sync":
            with pytest.raises(UsageError, match=r"for uamqp\.aio"):
                face.go(lambda: s.send_many(numbers()))
            return
        assert face.go(lambda: s.send_many(numbers(), window=2)).accepted == 5
    assert stored(broker) == list(range(5))


@pytest.mark.parametrize("wrong", [bytearray(b"x"), memoryview(b"x"), {}, "", None, 5])
def test_what_is_no_iterable_of_messages(face: Face, broker: Broker, wrong: Any) -> None:
    with opened(face, broker, "open_sender") as s, pytest.raises(TypeError):
        face.go(lambda: s.send_many(wrong))


def test_messages_and_bodies_of_all_kinds(face: Face, broker: Broker) -> None:
    given = ["text", b"bytes", 5, {"a": 1}, [1, 2], Message("message"), None]
    with opened(face, broker, "open_sender") as s:
        assert face.go(lambda: s.send_many(given)).accepted == len(given)
        assert face.go(lambda: s.send_many([])).taken == 0
    found = [Message.decode(view.payload).body for view in broker.queue("q").messages]
    assert found == ["text", b"bytes", 5, {"a": 1}, [1, 2], "message", None]


# -- flushing


def test_flush_waits_until_nothing_is_pending(face: Face, broker: Broker, clock: Clock) -> None:
    broker.faults.withhold_outcomes = True
    with opened(face, broker, "open_sender") as s:
        face.go(s.flush)
        deliveries = submitted(face, s, *range(3))
        flushing = face.spawn(lambda: s.flush(10))
        broker.wait_for(lambda: broker.queue("q").depth == 3)
        clock.move(11)
        with pytest.raises(OperationTimeout, match="3 messages have no outcome after 10 seconds"):
            flushing.result()
        flushing = face.spawn(s.flush)
        broker.faults.withhold_outcomes = False
        flushing.result()
        assert all(delivery.done for delivery in deliveries)


def test_flush_does_not_raise_for_messages_that_failed(face: Face, broker: Broker) -> None:
    broker.faults.outcome = Released()
    with opened(face, broker, "open_sender") as s:
        deliveries = submitted(face, s, *range(3))
        face.go(s.flush)
        assert kinds(face, deliveries) == [MessageReleased] * 3
        assert (s.stats().refused, s.pending) == (3, 0)
