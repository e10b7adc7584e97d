"""Receiving with the modern API, in both faces: credit, outcomes and redelivery, on each broker."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.support.faces import Face, both_faces
from uamqp import aio, sync
from uamqp.messaging import AlreadySettled, ClosedError, LinkRefused, OperationTimeout, UsageError

from .brokerfacts import RealBroker
from .modern import PATIENCE, SILENCE, bodies, connected, left, numbers, send, take

pytestmark = both_faces


# -- waiting


def test_waiting_with_a_bound(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection, face.open(lambda: connection.open_receiver(address)) as receiver:
        with pytest.raises(OperationTimeout):
            face.go(lambda: receiver.receive(timeout=0.05))
        assert face.go(receiver.receive_nowait) is None
        assert face.go(lambda: receiver.receive_many(10, timeout=0.05)) == []
        waiting = face.spawn(lambda: receiver.receive(PATIENCE))
        send(face, connection, address, ["late"])
        message = waiting.result()
        assert message.text() == "late"
        face.wait(face.go(message.accept))


def test_batches(face: Face, broker: RealBroker, queue: str) -> None:
    """More messages than the window, as many at a time as are there."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(100))
        with face.open(lambda: connection.open_receiver(address, prefetch=8)) as receiver:
            found: list[Any] = []
            while len(found) < 100:
                (batch,) = face.take(receiver.batches(20), 1)
                assert 1 <= len(batch) <= 20
                face.go(lambda: receiver.accept(batch))  # noqa: B023 (at once)
                found += bodies(batch)
        assert found == numbers(100)
        assert left(face, broker, connection, address) == []


def test_pulling_locks_nothing_that_nobody_asked_for(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(10))
        with (
            face.open(lambda: connection.open_receiver(address, prefetch=0)) as one,
            face.open(lambda: connection.open_receiver(address, prefetch=0)) as two,
        ):
            first = take(face, one, 3)
            rest = face.go(lambda: two.receive_many(100, minimum=7, timeout=PATIENCE))
            assert bodies(first) + bodies(rest) == numbers(10)
            assert (one.buffered, two.buffered) == (0, 0)
            face.go(lambda: one.accept(first))
            face.go(lambda: two.accept(rest))
            assert face.go(lambda: two.receive_many(5, timeout=0.1)) == []
        assert left(face, broker, connection, address) == []


def test_credit_by_hand_and_draining(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(5))
        with face.open(lambda: connection.open_receiver(address, credit="manual")) as receiver:
            assert face.go(lambda: receiver.receive_many(5, timeout=SILENCE)) == []
            face.go(lambda: receiver.add_credit(2))
            first = take(face, receiver, 2)
            face.go(lambda: receiver.add_credit(100))
            face.go(receiver.drain)
            if broker.answers_drain:
                assert (receiver.credit, receiver.buffered) == (0, 3)
            rest = take(face, receiver, 3)
            assert bodies(first) + bodies(rest) == numbers(5)
            send(face, connection, address, ["too late"])
            assert face.go(lambda: receiver.receive_many(5, timeout=SILENCE)) == []
            face.go(lambda: receiver.accept([*first, *rest]))
        assert left(face, broker, connection, address, 1) == ["too late"]


def test_draining_where_nothing_is_left_to_drain(face: Face, broker: RealBroker, queue: str) -> None:
    """Not every broker answers a drain without credit."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(3))
        with face.open(lambda: connection.open_receiver(address, prefetch=1)) as receiver:
            found: list[str] = []
            while len(found) < 3:
                face.go(receiver.pause)
                message = face.go(lambda: receiver.receive(PATIENCE))
                assert receiver.credit == 0
                face.go(receiver.drain)
                found.append(message.text())
                face.wait(face.go(message.accept))
                face.go(receiver.resume)
        assert found == numbers(3)


def test_pausing(face: Face, broker: RealBroker, queue: str) -> None:
    """What was asked for still comes, and no more until it goes on."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        with face.open(lambda: connection.open_receiver(address, prefetch=4)) as receiver:
            face.go(receiver.pause)
            send(face, connection, address, numbers(10))
            first = take(face, receiver, 4)
            assert face.go(lambda: receiver.receive_many(10, timeout=SILENCE)) == []
            face.go(receiver.resume)
            rest = take(face, receiver, 6)
            assert bodies(first) + bodies(rest) == numbers(10)
            face.go(lambda: receiver.accept([*first, *rest]))
        assert left(face, broker, connection, address) == []


def test_no_more_are_out_than_may_be(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(10))
        with face.open(lambda: connection.open_receiver(address, max_unsettled=3)) as receiver:
            out = take(face, receiver, 3)
            with pytest.raises(OperationTimeout):
                face.go(lambda: receiver.receive(timeout=0.1))
            found = bodies(out)
            while len(found) < 10:
                message = out.pop(0)
                face.wait(face.go(message.accept))
                out.append(face.go(lambda: receiver.receive(PATIENCE)))
                found.append(out[-1].body)
            face.go(lambda: receiver.accept(out))
        assert found == numbers(10)
        assert left(face, broker, connection, address) == []


# -- ten workers


def test_ten_receive_at_once(face: Face, broker: RealBroker, queue: str) -> None:
    """Over one receiver: each message goes to one of them."""
    address = broker.address(queue)
    found: list[str] = []
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(300))
        with face.open(lambda: connection.open_receiver(address, prefetch=20)) as receiver:
            if face.name == "aio":
                face.go(lambda: receive_in_tasks(receiver, found, 300))
            else:
                receive_in_threads(receiver, found, 300)
        assert sorted(found) == sorted(numbers(300))
        assert left(face, broker, connection, address) == []


async def receive_in_tasks(receiver: aio.Receiver, found: list[str], count: int) -> None:
    async def work() -> None:
        async for message in receiver:
            await message.accept()
            found.append(message.text())
            if len(found) == count:
                receiver.stop()

    await asyncio.gather(*(work() for _ in range(10)))


def receive_in_threads(receiver: sync.Receiver, found: list[str], count: int) -> None:
    def work() -> None:
        for message in receiver:
            message.accept().wait()
            found.append(message.text())
            if len(found) == count:
                receiver.stop()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


# -- outcomes


def test_rejected_messages_are_gone(face: Face, broker: RealBroker, queue: str) -> None:
    """Or they come again with a higher count, where the broker has it so."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, ["rejected", "rejected for a reason"])
        with face.open(lambda: connection.open_receiver(address)) as receiver:
            first, second = take(face, receiver, 2)
            face.go(first.reject)
            face.go(lambda: second.reject("example:no", "we don't want it", {"why": 5}))
            with pytest.raises(AlreadySettled):
                face.go(first.accept)
            if broker.rejects_to_itself:
                again = take(face, receiver, 2)
                assert sorted((m.body, m.delivery_count, m.redelivered) for m in again) == [
                    ("rejected", 1, True),
                    ("rejected for a reason", 1, True),
                ]
                face.go(lambda: receiver.accept(again))
        assert left(face, broker, connection, address) == []


@pytest.mark.brokers("refuses_unknown")
def test_rejected_messages_become_dead_letters(face: Face, broker: RealBroker, queue: str, proton: None) -> None:
    """Where the queue is set up so."""
    from .protonclient import declare

    name = f"strict-{queue}"
    declare(broker, name, dead_letter_exchange="", dead_letter_routing_key=queue)
    with connected(face, broker) as connection:
        send(face, connection, broker.address(name), ["good", "bad"])
        with face.open(lambda: connection.open_receiver(broker.address(name))) as receiver:
            good, bad = take(face, receiver, 2)
            face.go(good.accept)
            face.go(lambda: bad.reject("app:invalid", "we don't want it"))
        with face.open(lambda: connection.open_receiver(broker.address(queue))) as receiver:
            (letter,) = take(face, receiver, 1)
            assert letter.text() == "bad"
            assert letter.annotations["x-first-death-reason"] == "rejected", letter.annotations
            face.go(letter.accept)


def test_released_messages_come_again(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(3))
        with face.open(lambda: connection.open_receiver(address)) as receiver:
            for message in take(face, receiver, 3):
                face.wait(face.go(message.release))
            again = take(face, receiver, 3)
            assert sorted(bodies(again)) == numbers(3)
            assert {message.delivery_count for message in again} == {0}
            face.go(lambda: receiver.accept(again))
        assert left(face, broker, connection, address) == []


def test_modified_messages_come_again(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, ["again"])
        with face.open(lambda: connection.open_receiver(address)) as receiver:
            (message,) = take(face, receiver, 1)
            if broker.refuses_modified:
                with pytest.raises(UsageError, match="release"):
                    face.go(lambda: message.modify(delivery_failed=True))
                face.go(message.release)
            else:
                face.wait(face.go(lambda: message.modify(delivery_failed=True)))
            (again,) = take(face, receiver, 1)
            count = 1 if broker.counts_failures else 0
            assert (again.text(), again.delivery_count, again.redelivered) == ("again", count, count > 0)
            face.wait(face.go(again.accept))
        assert left(face, broker, connection, address) == []


def test_a_block_settles_by_how_it_ends(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, ["done", "failed", "stopped"])
        with face.open(lambda: connection.open_receiver(address)) as receiver:
            done, failed, stopped = take(face, receiver, 3)
            face.block(lambda: receiver.process(done), None)
            face.block(lambda: receiver.process(failed), ValueError("no"))
            face.block(lambda: receiver.process(stopped), asyncio.CancelledError())
            counts = {message.body: message.delivery_count for message in take(face, receiver, 2)}
            assert counts == {"failed": 1 if broker.counts_failures else 0, "stopped": 0}
        assert sorted(left(face, broker, connection, address, 2)) == ["failed", "stopped"]


def test_each_message_settled_out_of_order(face: Face, broker: RealBroker, queue: str) -> None:
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(30))
        with face.open(lambda: connection.open_receiver(address)) as receiver:
            got = take(face, receiver, 30)
            assert receiver.unsettled == 30
            for message in [*got[1::2], *reversed(got[2::4])]:
                face.wait(face.go(message.accept))
            assert receiver.unsettled == 8
        assert sorted(left(face, broker, connection, address, 8)) == sorted(bodies(got[::4]))


def test_presettled(face: Face, broker: RealBroker, queue: str) -> None:
    """The broker forgets messages as it sends them; there is nothing to settle, and that is no mistake."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(20))
        with face.open(lambda: connection.open_receiver(address, presettled=True)) as receiver:
            messages = take(face, receiver, 20)
            assert bodies(messages) == numbers(20)
            assert all(message.settled for message in messages)
            assert receiver.unsettled == 0
            face.wait(face.go(messages[0].accept))
        assert left(face, broker, connection, address) == []


@pytest.mark.parametrize("settle", ["on_receive", "on_next"])
def test_settling_by_itself(face: Face, broker: RealBroker, queue: str, settle: str) -> None:
    """With `on_next`, the message at which the program stops isn't accepted."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(5))
        with face.open(lambda: connection.open_receiver(address, settle=settle)) as receiver:
            assert bodies(face.take(receiver, 3)) == numbers(3)
        expected = ["m3", "m4"] if settle == "on_receive" else ["m2", "m3", "m4"]
        assert sorted(left(face, broker, connection, address, len(expected))) == expected


# -- confirmed settlements


def test_confirmed_settlements(face: Face, broker: RealBroker, queue: str) -> None:
    """Where the broker settles after the receiver has said what becomes of a message."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        if not broker.confirms:
            with pytest.raises(LinkRefused, match="confirm"):
                face.go(lambda: connection.open_receiver(address, confirm=True))
            with face.open(lambda: connection.open_receiver(address)) as receiver:
                assert receiver.state == "open"
            return
        send(face, connection, address, numbers(10))
        with face.open(lambda: connection.open_receiver(address, confirm=True)) as receiver:
            messages = take(face, receiver, 10)
            for message in messages[:5]:
                settlement = face.go(message.accept)
                assert face.wait(settlement) is None
                assert settlement.done
            many = face.go(lambda: receiver.accept(messages[5:]))
            face.wait(many)
        assert left(face, broker, connection, address) == []


# -- the end


def test_a_receiver_that_is_stopped(face: Face, broker: RealBroker, queue: str) -> None:
    """What was handed out can be settled; the rest is given back, and in order where the broker keeps it."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(30))
        with face.open(lambda: connection.open_receiver(address, prefetch=20)) as receiver:
            out = take(face, receiver, 3)
            face.go(receiver.stop)
            for operation in (receiver.receive, receiver.receive_nowait, lambda: receiver.receive_many(5)):
                with pytest.raises(ClosedError, match="was stopped"):
                    face.go(operation)
            for message in out:
                face.wait(face.go(message.accept))
        assert sorted(left(face, broker, connection, address, 27)) == sorted(numbers(30)[3:])


def test_what_was_not_handed_out_is_given_back(face: Face, broker: RealBroker, queue: str) -> None:
    """Closing the receiver is enough, and so is closing the connection."""
    address = broker.address(queue)
    with connected(face, broker) as connection:
        send(face, connection, address, numbers(30))
        with face.open(lambda: connection.open_receiver(address, prefetch=20)) as receiver:
            (message,) = take(face, receiver, 1)
            face.wait(face.go(message.accept))
        with connected(face, broker) as other:
            receiver = face.go(lambda: other.open_receiver(address, prefetch=20))
            take(face, receiver, 1)
        assert sorted(left(face, broker, connection, address, 29)) == sorted(numbers(30)[1:])
