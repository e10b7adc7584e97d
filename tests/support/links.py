"""Connections, senders and receivers of the modern API, on the embedded broker or a scripted peer."""

from __future__ import annotations

import gc
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.peer.server import ScriptedServer
from tests.support.faces import Face
from tests.support.waiting import until
from uamqp.messaging import Message
from uamqp.testing import Broker


def url_of(place: Broker | ScriptedServer) -> str:
    return f"amqp://127.0.0.1:{place.port}"


@contextmanager
def connected(face: Face, place: Broker | ScriptedServer, **options: Any) -> Iterator[Any]:
    """A connection, which is closed in the end."""
    with face.open(lambda: face.connect(url_of(place), **options)) as connection:
        yield connection


@contextmanager
def opened(face: Face, place: Broker | ScriptedServer, method: str, **options: Any) -> Iterator[Any]:
    """A sender or receiver for the queue q."""
    with (
        connected(face, place) as connection,
        face.open(lambda: getattr(connection, method)("q", **options)) as link,
    ):
        yield link


def fill(broker: Broker, count: int, start: int = 0) -> None:
    """Put numbers into the queue q."""
    for number in range(start, start + count):
        broker.put("q", Message(number).encode())


def stored(broker: Broker, name: str = "q") -> list[Any]:
    """The bodies of the messages that wait in a queue."""
    return [view.body for view in broker.queue(name).messages]


def bodies(messages: list[Any]) -> list[Any]:
    return [message.body for message in messages]


def becomes(face: Face, happened: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until something holds on this side, which nothing announces there."""
    until(happened, lambda: face.go(lambda: None), seconds)


def wait_until_readable(port: int) -> None:
    """Wait until something has come that this side hasn't read, over its connection to a port; nobody reads it here."""
    ours = [each for each in gc.get_objects() if type(each) is socket.socket and _port_of_peer(each) == port]
    ready, _, _ = select.select(ours, [], [], 10.0)
    assert ready


def _port_of_peer(sock: socket.socket) -> int:
    try:
        return int(sock.getpeername()[1])
    except (OSError, IndexError):
        return 0
