"""RabbitMQ's addresses: percent-encoding that gives back each name, and that nothing takes apart."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from uamqp.brokers import rabbitmq
from uamqp.messaging.errors import ConfigurationError
from uamqp.messaging.options import sender_settings
from uamqp.messaging.termini import source_of

UNRESERVED = string.ascii_letters + string.digits + "-._~"

LATIN_1 = [chr(code) for code in range(0x100) if chr(code) not in "\r\n"]
BEYOND = ["\u0100", "\u20ac", "\ud7ff", "\ue000", "\ufeff", "\uffff", "\U00010000", "\U0001f407", "\U0010ffff"]
TEXTS = ["/", "//", "a/b", "%", "%2F", "%%", " ", "a b", "+", "a+b", "?", "#", "a?b#c", ".", "..", "ä/ö %", *BEYOND]


@pytest.mark.parametrize("character", [*LATIN_1, *BEYOND])
def test_each_character_is_encoded_as_its_bytes_or_stands_for_itself(character: str) -> None:
    expected = character if character in UNRESERVED else "".join(f"%{byte:02X}" for byte in character.encode())
    assert rabbitmq.queue(character) == f"/queues/{expected}"
    assert rabbitmq.exchange(character) == f"/exchanges/{expected}"
    assert rabbitmq.exchange("x", character) == f"/exchanges/x/{expected}"


@pytest.mark.parametrize("text", [*TEXTS, "".join(LATIN_1), "".join(TEXTS), "x" * 5000])
def test_a_name_comes_back_whole(text: str) -> None:
    _, kind, name = rabbitmq.queue(text).split("/")
    assert (kind, unquote_to_bytes(name).decode()) == ("queues", text)
    _, kind, name, key = rabbitmq.exchange(text, text[::-1]).split("/")
    assert kind == "exchanges"
    assert (unquote_to_bytes(name).decode(), unquote_to_bytes(key).decode()) == (text, text[::-1])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (rabbitmq.queue("orders"), "/queues/orders"),
        (rabbitmq.exchange("shop", "order.new"), "/exchanges/shop/order.new"),
        (rabbitmq.exchange("amq.direct", "my-routing_key/123"), "/exchanges/amq.direct/my-routing_key%2F123"),
        (rabbitmq.exchange("amq.fanout"), "/exchanges/amq.fanout"),
        (rabbitmq.exchange("amq.fanout", ""), "/exchanges/amq.fanout"),
        (rabbitmq.exchange("x", "\n"), "/exchanges/x/%0A"),
    ],
)
def test_addresses_as_the_documentation_has_them(address: str, expected: str) -> None:
    assert address == expected


@pytest.mark.parametrize("name", ["/", "prod", "tenant-1", "a/b %", "é"])
def test_a_virtual_host_is_not_encoded(name: str) -> None:
    assert rabbitmq.vhost(name) == f"vhost:{name}"


@pytest.mark.parametrize("build", [rabbitmq.vhost, rabbitmq.queue, rabbitmq.exchange])
@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("", ConfigurationError, "name must"),
        (None, TypeError, "name must be a str, not NoneType"),
        (b"q", TypeError, "name must be a str, not bytes: b'q'"),
        (1, TypeError, "name must be a str, not int: 1"),
        ("\ud800", ConfigurationError, "name has half of a surrogate pair"),
    ],
)
def test_a_name_is_text(build: Callable[[Any], str], name: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        build(name)
    assert says in str(caught.value)


@pytest.mark.parametrize("build", [rabbitmq.queue, rabbitmq.exchange])
@pytest.mark.parametrize("name", ["\n", "a\r", "a\nb"])
def test_no_name_has_a_line_break(build: Callable[[str], str], name: str) -> None:
    with pytest.raises(ConfigurationError, match="name must have no line break"):
        build(name)


@pytest.mark.parametrize("name", ["", "amq.default"])
@pytest.mark.parametrize("key", [None, "", "orders"])
def test_the_default_exchange_has_no_address(name: str, key: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        rabbitmq.exchange(name, key)
    assert f"not {name!r}: the default exchange has no address; use queue(key)" in str(caught.value)


@pytest.mark.parametrize(("key", "error"), [(b"k", TypeError), (1, TypeError), ("\udc00", ConfigurationError)])
def test_a_routing_key_is_text(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        rabbitmq.exchange("shop", key)
    assert str(caught.value).startswith("key ")


@pytest.mark.parametrize("text", TEXTS)
def test_an_address_can_be_opened(text: str) -> None:
    """It isn't taken for a URL, whatever is in it."""
    address = rabbitmq.queue(f"amqp://{text}")
    assert source_of(address).address == address
    assert sender_settings(rabbitmq.exchange("amqp://h", text), {}).target.address is not None
