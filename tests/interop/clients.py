"""The library's clients, made for a broker of tests/interop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uamqp import Message, ReceiveClient, SendClient, Source, Target
from uamqp.authentication import SASLPlain

from .brokerfacts import RealBroker

PATIENCE = 30_000
"""Milliseconds in which a broker on this machine sends any answer that it will send."""


def login(broker: RealBroker, ca: Path | None = None, *, password: str | None = None) -> SASLPlain:
    """PLAIN over plain TCP, or over TLS with a CA file."""
    password = broker.password if password is None else password
    if ca is None:
        return SASLPlain(broker.host, broker.user, password, port=broker.port, use_tls=False)
    return SASLPlain(broker.host, broker.user, password, port=broker.tls_port, verify=str(ca))


def sender(broker: RealBroker, address: str, ca: Path | None = None, **options: Any) -> SendClient:
    """A client that sends to an address."""
    auth = options.pop("auth", None) or login(broker, ca)
    return SendClient(Target(f"amqp://{broker.host}", node=address), auth=auth, **options)


def receiver(broker: RealBroker, address: str | Source, ca: Path | None = None, **options: Any) -> ReceiveClient:
    """A client that receives from an address, or a source whose URL is of no matter."""
    source = address if isinstance(address, Source) else Source(f"amqp://{broker.host}", node=address)
    return ReceiveClient(source, auth=login(broker, ca), **options)


def source(broker: RealBroker, address: str) -> Source:
    """A source to set filters and the like on."""
    return Source(f"amqp://{broker.host}", node=address)


def take(client: ReceiveClient, count: int, timeout: int = PATIENCE) -> list[Message]:
    """Receives exactly so many messages; fewer if the broker has no more for `timeout` milliseconds."""
    got: list[Message] = []
    while len(got) < count:
        batch = client.receive_message_batch(max_batch_size=min(count - len(got), 100), timeout=timeout)
        if not batch:
            break
        got += batch
    return got


def bodies(messages: list[Message]) -> list[str]:
    return [str(message) for message in messages]


def none_left(broker: RealBroker, address: str) -> bool:
    """Whether a queue has no message that is free."""
    with receiver(broker, address, prefetch=1, auto_complete=False) as client:
        left = client.receive_message_batch(max_batch_size=1, timeout=1000)
        for message in left:
            message.release()
    return not left
