"""RabbitMQ 4 takes the addresses of `uamqp.brokers.rabbitmq` for the queues and exchanges with those names."""

from __future__ import annotations

import uuid
from urllib.parse import quote

import pytest

from uamqp import Message
from uamqp.brokers import rabbitmq

from .brokerfacts import RealBroker
from .clients import bodies, receiver, sender, take

pytestmark = pytest.mark.brokers("refuses_unknown")

LATIN_1 = "".join(chr(code) for code in range(0x100) if chr(code) not in "\r\n")
NAMES = ["/", "a/b", "%", "%2F", " ", "a b", "+", "?#&=;:@", "..", "\u20ac\uffff", "\U0001f407\U0010ffff", LATIN_1]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: quote(name, safe="")[:20])
def test_a_queue_and_an_exchange_are_reached_by_their_names(broker: RealBroker, proton: None, name: str) -> None:
    """The broker itself says in annotations to which exchange and with which key a message went."""
    from .protonclient import declare, manage

    queue, exchange = (f"test-{kind}-{uuid.uuid4().hex[:12]}{name}" for kind in "qx")
    declare(broker, quote(queue, safe=""))
    fields = {"type": "direct", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    assert manage(broker, "PUT", f"/exchanges/{quote(exchange, safe='')}", fields).subject == "204"
    binding = {"source": exchange, "destination_queue": queue, "binding_key": name, "arguments": {}}
    assert manage(broker, "POST", "/bindings", binding).subject == "204"

    sent = {"to the queue": ("", queue), "to the exchange": (exchange, name)}
    for body, address in (
        ("to the queue", rabbitmq.queue(queue)),
        ("to the exchange", rabbitmq.exchange(exchange, name)),
    ):
        with sender(broker, address) as client:
            client.queue_message(Message(body))
            client.send_all_messages()
    with receiver(broker, rabbitmq.queue(queue)) as client:
        messages = take(client, len(sent))
        assert bodies(messages) == list(sent)
        for message, (expected_exchange, key) in zip(messages, sent.values(), strict=True):
            annotations = {bytes(k).decode(): v for k, v in message.annotations.items()}
            assert annotations["x-exchange"].decode() == expected_exchange
            assert annotations["x-routing-key"].decode() == key
