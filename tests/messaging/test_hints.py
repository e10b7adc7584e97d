"""RabbitMQ's errors for bad addresses, word for word, and what the error of the modern API says about them."""

from __future__ import annotations

import pytest

from uamqp.codec import Error, Symbol
from uamqp.engine import Cause
from uamqp.messaging.hints import address_hint
from uamqp.messaging.translate import link_error

OWN = "has addresses of its own"
HINTS = [
    ("RabbitMQ", "4.1.0", '{amqp_address_v1_not_permitted,{utf8,<<"q1">>}}', OWN),
    ("RabbitMQ", "4.1.0", '{bad_address,<<"/q/q1">>}', OWN),
    ("RabbitMQ", "4.0.5", "no queue 'q1' in vhost '/'", "Declare it first: RabbitMQ 4"),
    ("RabbitMQ", "4.0.5", "no exchange 'e1' in vhost '/'", "Declare it first"),
    ("RabbitMQ", "4.0.5", "anonymous terminus requires 'to' address to be set", "each message needs its `to`"),
    ("RabbitMQ", "4.0.5", "bad 'to' address string: q1", "It is the `to` of a message"),
    ("RabbitMQ", "3.13.7", '{unknown_destination,<<"q1">>}', "a queue is /queue/NAME"),
    ("RabbitMQ", "3.13.7", "NOT_FOUND - no queue 'q1' in vhost '/'", "made with its first use"),
    ("RabbitMQ", "3.13.7", "NOT_FOUND - no exchange 'e1' in vhost '/'", "Declare it first."),
    ("", "", "no queue 'q1' in vhost '/'", "Declare it first"),  # who doesn't say what it is may be RabbitMQ
    ("apache-activemq-artemis", "2.31.0", "no queue 'q1' in vhost '/'", ""),
    ("RabbitMQ", "4.1.0", "something else", ""),
    ("RabbitMQ", "4.1.0", None, ""),
]


@pytest.mark.parametrize(("product", "version", "description", "hint"), HINTS)
def test_what_to_write_instead(product: str, version: str, description: str | None, hint: str) -> None:
    assert hint in address_hint(description, product, version)
    assert bool(address_hint(description, product, version)) is bool(hint)
    cause = Cause.from_peer(Error(Symbol("amqp:not-found"), description), "end")
    error = link_error(cause, True, link="the sender to 'q1'", product=product, version=version)
    assert str(error).endswith("(amqp:not-found)") is not bool(hint)
    assert hint in str(error)
    assert error.description == description  # the peer's words alone
