"""Messages that are numbered, in the embedded broker's queue `q`."""

from __future__ import annotations

from uamqp import Message
from uamqp.testing import Broker


def fill(broker: Broker, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        broker.put("q", Message(b"%d" % number))


def bodies(messages: list[Message]) -> list[int]:
    return [int(b"".join(message.get_data())) for message in messages]


def waiting(broker: Broker) -> list[int]:
    return [int(view.body) for view in broker.queue("q").messages]
