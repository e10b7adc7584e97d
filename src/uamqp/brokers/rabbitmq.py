"""RabbitMQ 4: its virtual hosts, and the addresses of its queues and exchanges.

RabbitMQ's addresses (version 2 of its format, https://www.rabbitmq.com/docs/amqp#address-v2) name queues, exchanges and
routing keys, percent-encoded (RFC 3986, section 2.1): of their characters, only ASCII letters and digits, "-", ".", "_"
and "~" stand for themselves.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ..messaging import checks, encoding
from ..messaging.errors import ConfigurationError

__all__ = ["exchange", "queue", "vhost"]

_DEFAULT_EXCHANGES = ("", "amq.default")


def vhost(name: str) -> str:
    """Return the host name that stands for a virtual host: ``connect(url, hostname=rabbitmq.vhost("prod"))``.

    Without it, a connection is to the broker's default virtual host, as a rule "/".

    Args:
        name: of the virtual host.

    Raises:
        TypeError: the name isn't a str.
        ConfigurationError: it is empty, or has control characters.
    """
    if not encoding.string("name", name).isprintable():
        raise ConfigurationError(f"name must have no control characters: {checks.shown(name)}")
    return f"vhost:{name}"


def queue(name: str) -> str:
    """Return the address of a queue, or a stream, to send to and to receive from. It must exist.

    Messages that are sent to it come over the default exchange, for which a user needs the right to write.

    Args:
        name: of the queue, as it was declared.

    Raises:
        TypeError: the name isn't a str.
        ConfigurationError: it is empty, or has a line break, which no name has in RabbitMQ.
    """
    return f"/queues/{_name(name)}"


def exchange(name: str, key: str | None = None) -> str:
    """Return the address of an exchange, to send to.

    A message that no binding takes to a queue is released: `MessageReleased`.

    Args:
        name: of the exchange. It can't be the default exchange: `queue` has the addresses of queues.
        key: the routing key of all messages. None for an empty one, as for exchanges of the types fanout and headers.

    Raises:
        TypeError: the name or the key isn't a str.
        ConfigurationError: the name is empty, has a line break, or is that of the default exchange.
    """
    if name in _DEFAULT_EXCHANGES:
        raise ConfigurationError(
            f"name must be that of an exchange, not {name!r}: the default exchange has no address; use queue(key)"
        )
    address = f"/exchanges/{_name(name)}"
    if key is None or key == "":
        return address
    return f"{address}/{quote(encoding.string('key', key), safe='')}"


def _name(value: Any) -> str:
    """Return the encoded name of a queue or exchange."""
    name = encoding.string("name", value)
    if "\n" in name or "\r" in name:
        raise ConfigurationError(f"name must have no line break: {checks.shown(name)}")
    return quote(name, safe="")
