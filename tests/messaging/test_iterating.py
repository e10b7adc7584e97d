"""Iterations over messages and batches, and when they accept: by hand, on the next one, or as they are handed out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.faces import Face, both_faces
from tests.support.links import becomes, bodies, fill, opened, stored
from uamqp.messaging import ConfigurationError, NodeDeleted, UsageError
from uamqp.testing import Broker

pytestmark = both_faces


def loop_over(face: Face, iterable: Any, do: Callable[[Any], bool], *, waits: bool = False) -> list[Any]:
    """Run the body of a loop for each item until it returns True, which is a `break`; return the items.

    Args:
        waits: whether the body blocks, so that an event loop has to run meanwhile.
    """
    seen: list[Any] = []

    async def asynchronously() -> None:
        async for item in iterable:
            seen.append(item)
            if await asyncio.to_thread(do, item) if waits else do(item):
                break

    def in_a_thread() -> None:
        for item in iterable:
            seen.append(item)
            if do(item):
                break

    face.go(in_a_thread if face.name == "sync" else asynchronously)
    return seen


def accepted(broker: Broker) -> int:
    return broker.queue("q").counters.accepted


def wait_for_accepted(broker: Broker, count: int) -> None:
    broker.wait_for(lambda: accepted(broker) == count)


# -- on_next


def test_a_message_is_accepted_when_the_next_is_asked_for(face: Face, broker: Broker) -> None:
    fill(broker, 4)

    def check(message: Any) -> bool:
        wait_for_accepted(broker, message.body)
        assert not message.settled
        return bool(message.body == 2)

    with opened(face, broker, "open_receiver", settle="on_next") as r:
        # The last one isn't accepted: the loop was left before the next was asked for.
        found = loop_over(face, r, check, waits=True)
        assert bodies(found) == [0, 1, 2]
        assert [message.settled for message in found] == [True, True, False]
        assert r.unsettled == 1
        face.go(found[-1].accept)
        wait_for_accepted(broker, 3)
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    assert accepted(broker) == 3


def test_the_message_before_a_break_comes_again(face: Face, broker: Broker) -> None:
    fill(broker, 2)
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        loop_over(face, r, lambda message: True)
    broker.wait_for(lambda: broker.queue("q").depth == 2)
    assert accepted(broker) == 0


def test_the_message_at_which_a_loop_fails_is_not_accepted(face: Face, broker: Broker) -> None:
    def fail(message: Any) -> bool:
        if message.body == 1:
            raise ValueError("no")
        return False

    fill(broker, 3)
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        with pytest.raises(ValueError, match="no"):
            loop_over(face, r, fail)
        assert r.unsettled == 1
    broker.wait_for(lambda: broker.queue("q").depth == 2)
    assert accepted(broker) == 1


def test_what_the_loop_has_settled_stays_so(face: Face, broker: Broker) -> None:
    def settle(message: Any) -> bool:
        if message.body == 0:
            message.reject("app:bad", "no")
        elif message.body == 1:
            message.modify(undeliverable_here=True)
        return bool(message.body == 2)

    fill(broker, 3)
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        loop_over(face, r, settle)
        broker.wait_for(lambda: broker.queue("q").counters.modified == 1)
    assert (broker.queue("q").counters.rejected, accepted(broker)) == (1, 0)


def test_a_batch_is_accepted_when_the_next_is_asked_for(face: Face, broker: Broker) -> None:
    fill(broker, 4)
    before: list[int] = []

    def check(batch: list[Any]) -> bool:
        wait_for_accepted(broker, sum(before))
        before.append(len(batch))
        return sum(before) == 4

    with opened(face, broker, "open_receiver", settle="on_next") as r:
        broker.wait_for(lambda: broker.queue("q").unsettled == 4)
        batches = loop_over(face, r.batches(2), check, waits=True)
        assert bodies([message for batch in batches for message in batch]) == [0, 1, 2, 3]
        assert r.unsettled == before[-1]
    broker.wait_for(lambda: broker.queue("q").depth == before[-1])
    assert accepted(broker) == 4 - before[-1]


def test_the_last_message_before_a_stop_is_accepted(face: Face, broker: Broker) -> None:
    fill(broker, 1)
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        looping = face.spawn(lambda: all_of(face, r))
        wait_for_accepted(broker, 1)  # the next is asked for, and waits
        face.go(r.stop)
        assert bodies(looping.result()) == [0]
        assert r.unsettled == 0


def test_two_iterations_accept_their_own_messages(face: Face, broker: Broker) -> None:
    fill(broker, 4)
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        first, second = loop_over(face, r, lambda message: True), loop_over(face, r, lambda message: True)
        assert bodies(first + second) == [0, 1]
        assert r.unsettled == 2
        assert bodies(loop_over(face, r, lambda message: bool(message.body == 3))) == [2, 3]
        wait_for_accepted(broker, 1)
        assert r.unsettled == 3


def test_only_iterations_know_when_the_next_is_asked_for(face: Face, broker: Broker) -> None:
    fill(broker, 1)
    with opened(face, broker, "open_receiver", settle="on_next") as r:
        for way in (r.receive, r.receive_nowait, lambda: r.receive_many(2)):
            with pytest.raises(UsageError, match="settle='on_next' is for iterations"):
                face.go(way)


# -- on_receive


@pytest.mark.parametrize("way", ["receive", "receive_nowait", "receive_many", "iteration", "batches"])
def test_a_message_is_accepted_as_it_is_handed_out(face: Face, broker: Broker, way: str) -> None:
    fill(broker, 3)
    with opened(face, broker, "open_receiver", settle="on_receive") as r:
        becomes(face, lambda: r.buffered == 3)
        assert accepted(broker) == 0  # they have come, and nobody has them
        found = {
            "receive": lambda: [face.go(r.receive)],
            "receive_nowait": lambda: [face.go(r.receive_nowait)],
            "receive_many": lambda: face.go(lambda: r.receive_many(1)),
            "iteration": lambda: face.take(r, 1),
            "batches": lambda: face.take(r.batches(1), 1)[0],
        }[way]()
        assert bodies(found) == [0]
        assert found[0].settled
        wait_for_accepted(broker, 1)
        assert (r.unsettled, r.stats().settled) == (0, 1)
    broker.wait_for(lambda: broker.queue("q").depth == 2)
    assert stored(broker) == [1, 2]


# -- batches


def test_batches_end_with_the_receiver(face: Face, broker: Broker) -> None:
    fill(broker, 5)
    with opened(face, broker, "open_receiver") as r:
        becomes(face, lambda: r.buffered == 5)
        looping = face.spawn(lambda: all_of(face, r.batches(3)))
        becomes(face, lambda: r.buffered == 0)
        face.go(r.stop)
        assert [bodies(batch) for batch in looping.result()] == [[0, 1, 2], [3, 4]]
        with pytest.raises(ConfigurationError, match="maximum"):
            face.go(lambda: r.batches(0))


def test_an_iteration_fails_with_the_link(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver") as r:
        looping = [face.spawn(lambda: all_of(face, r)), face.spawn(lambda: all_of(face, r.batches()))]
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        broker.detach_links("q", "amqp:resource-deleted", "gone")
        for each in looping:
            with pytest.raises(NodeDeleted, match="gone"):
                each.result()


def all_of(face: Face, iterable: Any) -> Any:
    """All that an iteration has."""

    async def asynchronously() -> list[Any]:
        return [each async for each in iterable]

    return list(iterable) if face.name == "sync" else asynchronously()
