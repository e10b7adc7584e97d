"""Settle modes and outcomes against each broker."""

from __future__ import annotations

from typing import Any

import pytest

from uamqp import Message
from uamqp.constants import MessageState, ReceiverSettleMode, SenderSettleMode
from uamqp.errors import AMQPConnectionError

from .brokerfacts import RealBroker
from .clients import PATIENCE, bodies, none_left, receiver, sender, take


def fill(broker: RealBroker, queue: str, *texts: str) -> None:
    with sender(broker, broker.address(queue)) as client:
        client.queue_message(*[Message(text) for text in texts])
        assert client.send_all_messages() == [MessageState.SendComplete] * len(texts)


@pytest.mark.parametrize("mode", list(SenderSettleMode))
def test_how_we_send(broker: RealBroker, queue: str, mode: SenderSettleMode) -> None:
    with sender(broker, broker.address(queue), send_settle_mode=mode) as client:
        client.queue_message(*[Message(f"m{number}") for number in range(20)])
        assert client.send_all_messages() == [MessageState.SendComplete] * 20
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 20)) == [f"m{number}" for number in range(20)]


@pytest.mark.parametrize("mode", [None, *ReceiverSettleMode])
def test_how_we_receive(broker: RealBroker, queue: str, mode: ReceiverSettleMode | None) -> None:
    """PeekLock asks for rcv-settle-mode second, and makes do with first where the broker refuses it."""
    fill(broker, queue, *[f"m{number}" for number in range(20)])
    options: dict[str, Any] = {} if mode is None else {"receive_settle_mode": mode}
    with receiver(broker, broker.address(queue), auto_complete=False, **options) as client:
        got = take(client, 20)
        assert bodies(got) == [f"m{number}" for number in range(20)]
        if mode is ReceiverSettleMode.ReceiveAndDelete:
            assert all(message.state == MessageState.ReceivedSettled for message in got)
            assert not any(message.accept() for message in got)
        else:
            assert all(message.state == MessageState.ReceivedUnsettled for message in got)
            assert all(message.accept() for message in got)
            assert not any(message.accept() for message in got)
    assert none_left(broker, broker.address(queue))


def test_a_sender_asks_for_second(broker: RealBroker, queue: str) -> None:
    with sender(broker, broker.address(queue), receive_settle_mode=ReceiverSettleMode.PeekLock) as client:
        client.send_message(Message("anyway"))
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["anyway"]


def test_unsettled_messages_come_again(broker: RealBroker, queue: str) -> None:
    fill(broker, queue, "one", "two")
    with receiver(broker, broker.address(queue), auto_complete=False) as client:
        first, second = take(client, 2)
        assert second.accept()
        assert not first.settled
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["one"]
    assert none_left(broker, broker.address(queue))


def test_accepted_and_rejected_are_gone(broker: RealBroker, queue: str) -> None:
    """Or, what is rejected comes again, where the broker keeps it in the queue."""
    fill(broker, queue, "accepted", "rejected", "rejected with a reason")
    with receiver(broker, broker.address(queue), auto_complete=False) as client:
        accepted, rejected, reasoned = take(client, 3)
        assert accepted.accept()
        assert rejected.reject()
        assert reasoned.reject(condition="example:no", description="we don't want it", info={"why": 5})
        if broker.rejects_to_itself:
            again = take(client, 2)
            assert sorted(bodies(again)) == ["rejected", "rejected with a reason"]
            assert [message.header.delivery_count for message in again] == [1, 1]
            assert all(message.accept() for message in again)
    assert none_left(broker, broker.address(queue))


def test_released_comes_again(broker: RealBroker, queue: str) -> None:
    fill(broker, queue, "again")
    with receiver(broker, broker.address(queue), auto_complete=False) as client:
        (message,) = take(client, 1)
        assert message.release()
        (message,) = take(client, 1)
        assert str(message) == "again"
        assert message.accept()
    assert none_left(broker, broker.address(queue))


def test_modified_comes_again(broker: RealBroker, queue: str) -> None:
    fill(broker, queue, "again")
    with receiver(broker, broker.address(queue), auto_complete=False) as client:
        (message,) = take(client, 1)
        assert message.modify(True, False)
        if not broker.refuses_modified:
            (message,) = take(client, 1)
            assert str(message) == "again"
            assert message.header is None or message.header.delivery_count in {0, 1}
            if broker.counts_failures:
                assert message.header.delivery_count == 1
            assert message.accept()
            assert none_left(broker, broker.address(queue))
            return
        with pytest.raises(AMQPConnectionError, match=r"(?i)invalid.?field"):
            client.receive_message_batch(timeout=PATIENCE)
    with receiver(broker, broker.address(queue)) as client:
        assert bodies(take(client, 1)) == ["again"]


def test_each_message_settled_out_of_order(broker: RealBroker, queue: str) -> None:
    fill(broker, queue, *[f"m{number}" for number in range(30)])
    with receiver(broker, broker.address(queue), auto_complete=False) as client:
        got = take(client, 30)
        for message in [*got[1::2], *reversed(got[2::4])]:
            assert message.accept()
    with receiver(broker, broker.address(queue)) as client:
        left = bodies(take(client, 8))
    assert sorted(left) == sorted(f"m{number}" for number in range(0, 30, 4))
    assert none_left(broker, broker.address(queue))
