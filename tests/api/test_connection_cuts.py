"""The connection is cut, or its data split, anywhere: the client raises what it should, and loses nothing."""

from __future__ import annotations

import pytest

from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, SendClient, errors
from uamqp.constants import MessageState
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

KNOBS = ["cut_after_bytes_in", "cut_after_bytes_out", "cut_after_frames_in", "cut_after_frames_out"]


def places(knob: str) -> list[int]:
    """Every frame of a short conversation, and a sample of its bytes."""
    return list(range(1, 14)) if "frames" in knob else [*range(1, 40, 3), *range(40, 900, 37)]


@pytest.mark.parametrize("knob", KNOBS)
def test_sending_over_a_connection_that_is_cut(knob: str) -> None:
    failed = 0
    with Broker() as broker:
        for place in places(knob):
            setattr(broker.faults, knob, place)
            messages = [Message(b"%d %d" % (place, number)) for number in range(4)]
            client = SendClient(broker.url + "/q")
            client.queue_message(*messages)
            try:
                with bounded(5):
                    client.wait()
            except errors.AMQPConnectionError:
                failed += 1
            client.close()
            broker.faults.clear()
            sent = {message for message in messages if message.state is MessageState.SendComplete}
            pending = set(client.pending_messages)
            assert sent | pending == set(messages), place
            assert not sent & pending, place
            there = {view.body for view in broker.queue("q").messages}
            assert {b"".join(message.get_data()) for message in sent} <= there, place
        broker.wait_for(lambda: broker.connections == ())
    assert failed >= 3


@pytest.mark.parametrize("knob", KNOBS)
def test_receiving_over_a_connection_that_is_cut(knob: str) -> None:
    failed = 0
    with Broker() as broker:
        for place in places(knob):
            for number in range(4):
                broker.put("q", Message(b"%d" % number))
            setattr(broker.faults, knob, place)
            client = ReceiveClient(broker.url + "/q", auto_complete=False)
            got: list[Message] = []
            try:
                with bounded(5):
                    client.open()
                    until(lambda: len(got) >= 4, lambda: got.extend(client.receive_message_batch(timeout=3000)))  # noqa: B023
                    for message in got:
                        message.accept()
            except (errors.AMQPConnectionError, RuntimeError):
                failed += 1  # RuntimeError is that of a message whose link is gone
            client.close()
            broker.faults.clear()
            broker.wait_for(lambda: broker.connections == ())
            # What was accepted is gone; whatever else there was is there still.
            settled = [message for message in got if message.settled]
            assert broker.queue("q").depth >= 4 - len(settled), place
            broker.queue("q").purge()
    assert failed >= 3


@pytest.mark.parametrize("size", [1, 3, 7])
def test_data_in_small_pieces(size: int) -> None:
    with Broker() as broker:
        broker.faults.write_size = size
        with SendClient(broker.url + "/q") as sender:
            sender.send_message([Message(b"%d" % number) for number in range(10)])
        with ReceiveClient(broker.url + "/q") as receiver:
            got: list[Message] = []
            until(lambda: len(got) == 10, lambda: got.extend(receiver.receive_message_batch(timeout=5000)))
    assert [b"".join(message.get_data()) for message in got] == [b"%d" % number for number in range(10)]


def test_a_slow_broker() -> None:
    with Broker() as broker:
        broker.faults.delay = 0.02
        with SendClient(broker.url + "/q") as sender:
            sender.send_message([Message(b"%d" % number) for number in range(10)])
        broker.put("q", Message(b"x" * 1_000_000))
        with ReceiveClient(broker.url + "/q") as receiver:
            got: list[Message] = []
            until(lambda: len(got) == 11, lambda: got.extend(receiver.receive_message_batch(timeout=5000)))
    assert b"".join(got[-1].get_data()) == b"x" * 1_000_000
