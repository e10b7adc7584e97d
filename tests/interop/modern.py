"""The modern API on a broker of tests/interop: what its tests share."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.faces import Face
from tests.support.tasks import Place

from .brokerfacts import RealBroker

PATIENCE = 30.0
"""Seconds in which a broker on this machine sends any answer that it will send."""

SILENCE = 0.2
"""Seconds after which a broker is taken to send nothing more."""


def url(broker: RealBroker, *, tls: bool = False) -> str:
    """The broker's URL, with user and password."""
    host = f"{broker.user}:{broker.password}@{broker.host}"
    return f"amqps://{host}:{broker.tls_port}" if tls else f"amqp://{host}:{broker.port}"


def trusting(ca: Path) -> ssl.SSLContext:
    """A context for TLS that trusts the brokers' certificates."""
    return ssl.create_default_context(cafile=str(ca))


def place(broker: RealBroker, queue: str) -> Place:
    """Where a task works."""
    return Place(url(broker), broker.address(queue))


@contextmanager
def connected(face: Face, broker: RealBroker, **options: Any) -> Iterator[Any]:
    """A connection to a broker."""
    with face.open(lambda: face.connect(url(broker), **options)) as connection:
        yield connection


def send(face: Face, connection: Any, address: str, messages: Iterable[Any]) -> None:
    """Send messages, all of which are accepted; not durable ones, for disks take their time."""
    with face.open(lambda: connection.open_sender(address, durable=False)) as sender:
        report = face.go(lambda: sender.send_many(messages))
    assert report.failures == ()


def numbers(count: int) -> list[str]:
    """Bodies that differ."""
    return [f"m{number}" for number in range(count)]


def take(face: Face, receiver: Any, count: int) -> list[Any]:
    """Return this number of messages, or fewer if the broker has no more."""
    messages: list[Any] = face.go(lambda: receiver.receive_many(count, minimum=count, timeout=PATIENCE))
    return messages


def bodies(messages: Iterable[Any]) -> list[Any]:
    return [message.body for message in messages]


def left(face: Face, broker: RealBroker, connection: Any, address: str, count: int = 0) -> list[Any]:
    """Return the bodies of the messages that are free in a queue, which are gone then; wait for `count` of them.

    A broker that answers a drain says then that there are no more. Of another one, silence does.
    """
    options, patience = ({"prefetch": 0}, 0.0) if broker.answers_drain else ({}, SILENCE)
    found: list[Any] = []
    with face.open(lambda: connection.open_receiver(address, **options)) as receiver:
        while True:
            timeout = PATIENCE if len(found) < count else patience
            messages = face.go(lambda: receiver.receive_many(100, timeout=timeout))  # noqa: B023 (at once)
            if not messages:
                return found
            face.go(lambda: receiver.accept(messages))  # noqa: B023
            found += bodies(messages)
