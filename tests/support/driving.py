"""What tests of drivers share: a connection to a scripted server, in either world, and something to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from uamqp.core import ConnectionCore, LinkCore
from uamqp.engine import Cause, EngineConfig
from uamqp.transport.asyncio.driver import AsyncDriver
from uamqp.transport.blocking.driver import BlockingDriver
from uamqp.transport.drive import run
from uamqp.transport.driver import Driver
from uamqp.transport.sansio.endpoint import Endpoint
from uamqp.transport.signals import Signal

T = TypeVar("T")

Run = Callable[[Coroutine[Any, Any, T]], T]
BOTH = pytest.mark.parametrize("kind", [BlockingDriver, AsyncDriver])


class Connection:
    """A connection to a scripted server, and who hears of it."""

    def __init__(self, kind: type[BlockingDriver | AsyncDriver]) -> None:
        self.causes: list[Cause | None] = []
        self.opened = Signal()
        self.is_open = False
        self.core = ConnectionCore(self)
        self.driver: Driver = kind(self.core)
        self.run: Run[Any] = run if kind is BlockingDriver else asyncio.run

    def on_connection_opened(self) -> None:
        self.is_open = True
        self.opened.fire()

    def on_connection_closed(self, cause: Cause | None) -> None:
        self.causes.append(cause)

    def on_attach(self, link: LinkCore) -> None:
        pass

    async def open(self, server: ScriptedServer) -> None:
        endpoint = await self.driver.prepare(lambda: Endpoint("127.0.0.1", server.port), is_quick=True)
        await self.driver.start(endpoint, EngineConfig("me"), None)
        assert await self.driver.wait(self.opened, lambda: self.is_open, self.driver.deadline(20))


def accept_and_leave(peer: SocketPeer) -> None:
    peer.accept_open()
    peer.accept_close()


class Counted:
    """Something that a waiter waits for, and how often it has looked."""

    def __init__(self) -> None:
        self.signal = Signal()
        self.is_there = False
        self.looks = 0

    def look(self) -> bool:
        self.looks += 1
        return self.is_there

    def come(self, now: float) -> None:
        self.is_there = True
        self.signal.fire()
