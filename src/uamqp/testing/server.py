"""The embedded broker inside its event loop: listener, connections, nodes. Users see it as `Broker`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..codec import BATCH_FORMAT
from ..transport.asyncio.websocket import WebSocketProtocol
from ..transport.sansio.endpoint import address_text
from ..transport.sansio.websocket import WebSocket
from .cbs import Tokens
from .connection import Connection
from .directory import Directory, DirectoryLimits, arrived, node_name
from .envelope import batch_parts
from .faults import Faults, error
from .hooks import Hooks
from .links import Outgoing
from .nodes import Node, NodeLimits, StoredMessage
from .services import Services

UPGRADE_TIMEOUT = 10.0
"""Seconds that a client may take for TLS, and for the upgrade to WebSocket."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Predicate = Callable[[], object]


@dataclass(slots=True)
class Options:
    """The settings of a broker, which `Broker` describes."""

    host: str = "127.0.0.1"
    port: int = 0
    users: dict[str, str] | None = None
    anonymous: bool = True
    hostnames: tuple[str, ...] = ()
    container_id: str = "uamqp-testing-broker"
    max_frame_size: int = 65536
    channel_max: int = 1023
    idle_timeout: float | None = None
    max_message_size: int = 64 * 1024 * 1024
    link_credit: int = 1000
    incoming_window: int = 8192
    allow_second: bool = False
    close_timeout: float = 0.5
    nodes: NodeLimits = field(default_factory=NodeLimits)
    directory: DirectoryLimits = field(default_factory=DirectoryLimits)

    cbs: bool = False
    steal_links: bool = False
    websocket: bool | str = False
    unpack_batches: bool = False

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms on offer. EXTERNAL is left out on connections without a client certificate."""
        names = ["EXTERNAL"]
        if self.cbs:
            names.append("MSSBCBS")
        names.append("PLAIN")
        if self.anonymous:
            names.append("ANONYMOUS")
        return tuple(names)

    def check(self) -> None:
        """Check the settings.

        Raises:
            ValueError: one is out of range.
        """
        for name, value, minimum, maximum in (
            ("port", self.port, 0, 65535),
            ("max_frame_size", self.max_frame_size, 512, 0xFFFFFFFF),
            ("channel_max", self.channel_max, 0, 65535),
            ("max_message_size", self.max_message_size, 1, 2**63),
            ("link_credit", self.link_credit, 1, 2**31 - 1),
            ("close_timeout", self.close_timeout, 0, 60),
            ("max_queue_messages", self.nodes.max_messages, 1, 2**31 - 1),
            ("max_queue_bytes", self.nodes.max_bytes, 1, 2**63),
            ("max_nodes", self.directory.max_nodes, 1, 2**31 - 1),
        ):
            if not minimum <= value <= maximum:
                raise ValueError(f"{name} must be from {minimum} to {maximum}, not {value!r}")
        if self.idle_timeout is not None and not 0.01 <= self.idle_timeout <= 86400:
            raise ValueError(f"idle_timeout must be None or 0.01 to 86400 seconds, not {self.idle_timeout!r}")
        if self.nodes.max_deliveries is not None and self.nodes.max_deliveries < 1:
            raise ValueError(f"max_deliveries must be None or at least 1, not {self.nodes.max_deliveries!r}")


class _Listening(socket.socket):
    """A listening socket that can be told to accept no more.

    asyncio loses a connection, without closing it, that was accepted right before its server is closed.
    """

    deaf = False

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, unless told not to."""
        if self.deaf:
            raise BlockingIOError
        return super().accept()


class Server:
    """The broker. Use it only in its event loop's thread, except for `faults`.

    Args:
        options: its settings.
        tls: the context for TLS; None for plain TCP.

    Attributes:
        address: host and port that it listens on, once started.
        directory: its nodes. They outlive `stop`.
        services: nodes that answer requests.
        tokens: the service `$cbs`.
        hooks: functions of a test's that take part in attaches and messages.
        connections: the open ones.
        hosts: host names that are its own.
        draining: links whose client waits for an answer to its drain.
    """

    def __init__(self, options: Options, tls: ssl.SSLContext | None) -> None:
        self.options = options
        self.faults = Faults(self._faults_changed)
        self.directory = Directory(options.directory, options.nodes)
        self.services = Services()
        self.tokens = Tokens(required=options.cbs)
        self.hooks = Hooks()
        self.connections: dict[Connection, None] = {}
        self.draining: dict[Outgoing, None] = {}
        self.address = (options.host, options.port)
        self.hosts = LOOPBACK | {options.host.lower(), *(name.lower() for name in options.hostnames)}
        self.loop: asyncio.AbstractEventLoop | None = None
        self._tls = tls
        self._socket: _Listening | None = None
        self._listener: asyncio.Server | None = None
        self._accepting: set[asyncio.Task[Any]] = set()  # connections whose TLS isn't up
        self._numbers = itertools.count(1)
        self._turn_due = False
        self._expiry: asyncio.TimerHandle | None = None
        self._waiters: list[tuple[Predicate, asyncio.Future[bool]]] = []
        self._empty: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: it can't listen on the address.
        """
        loop = asyncio.get_running_loop()
        self._socket = listening = await self._bind()
        self.address = listening.getsockname()[:2]
        try:
            self._listener = await loop.create_server(
                self._accept,
                sock=listening,
                ssl=self._tls,
                ssl_handshake_timeout=UPGRADE_TIMEOUT if self._tls is not None else None,
                backlog=512,
            )
        except BaseException:
            listening.close()
            raise
        self.loop = loop

    async def stop(self) -> None:
        """Stop listening, close every connection (amqp:connection:forced), and wait briefly for that."""
        if self._listener is not None and self._socket is not None:
            self._socket.deaf = True
            await _let_the_loop_run()  # so that what was just accepted becomes a connection
            self._listener.close()
            self._listener = self._socket = None
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        for task in self._accepting:
            task.cancel()
        if "close" not in self.faults.silent:
            for connection in list(self.connections):
                connection.close(error("amqp:connection:forced", "the broker is stopping"))
            await self._wait_until_empty(self.options.close_timeout)
        for connection in list(self.connections):
            connection.forced = True
            connection.protocol.abort()
        await self._wait_until_empty(self.options.close_timeout)
        await _let_the_loop_run()  # the transports close their sockets in later turns
        for _, future in self._waiters:
            if not future.done():
                future.set_exception(RuntimeError("the broker was stopped"))
        self._waiters.clear()
        self.loop = None

    def _accept(self) -> asyncio.BaseProtocol:
        """Return the protocol for a client's socket that was accepted, in the task that sets up its transport."""
        task = asyncio.current_task()
        if task is not None:
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)
        protocol = Connection(self).protocol
        websocket = self.options.websocket
        if not websocket:
            return protocol
        path = websocket if isinstance(websocket, str) else None
        return WebSocketProtocol(WebSocket.server(path), protocol, UPGRADE_TIMEOUT)

    async def _bind(self) -> _Listening:
        options = self.options
        loop = asyncio.get_running_loop()
        port = self.address[1]
        where = f"can't listen on {address_text(options.host, port)}"
        try:
            found = await loop.getaddrinfo(options.host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as failure:
            raise socket.gaierror(failure.errno, f"{where}: {failure.strerror}") from failure
        found.sort(key=lambda info: info[0] != socket.AF_INET)  # just one socket, as port 0 gives each its own port
        family, kind, protocol, _, address = found[0]
        listening = _Listening(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.setblocking(False)
        except BaseException as failure:
            listening.close()
            if isinstance(failure, OSError):
                raise OSError(failure.errno, f"{where}: {failure.strerror}") from failure
            raise
        return listening

    async def _wait_until_empty(self, timeout: float) -> None:
        if self.connections:
            self._empty = asyncio.get_running_loop().create_future()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._empty, timeout)
            self._empty = None

    def name(self, address: str) -> str:
        """Return the name of the node that an address means, for the broker itself."""
        return node_name(address, self.hosts)

    # -- for connections

    def number(self) -> int:
        """Return a number for a consumer."""
        return next(self._numbers)

    def forget(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self.connections.pop(connection, None)
        if not self.connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)
        self.turn_soon()

    def turn_soon(self) -> None:
        """End a turn soon, because something has changed outside a connection's turn."""
        if not self._turn_due and self.loop is not None:
            self._turn_due = True
            self.loop.call_soon(self._turn)

    def end_turn(self) -> None:
        """Act on changes: hand out messages, give credit, answer drains, check what tests wait for."""
        loop = self.loop
        if loop is None:
            return
        directory = self.directory
        if directory.busy:
            directory.run(loop.time())
        if self.draining:
            for link in [link for link in self.draining if link.drained()]:
                self.draining.pop(link, None)
        expiry = directory.next_expiry()
        if expiry is not None and (self._expiry is None or self._expiry.when() > expiry):
            if self._expiry is not None:
                self._expiry.cancel()
            self._expiry = loop.call_at(expiry, self._expire)
        if self._waiters:
            self._check_waiters()

    def _turn(self) -> None:
        self._turn_due = False
        self.end_turn()

    def _expire(self) -> None:
        self._expiry = None
        if self.loop is not None:
            self.directory.tick(self.loop.time())
            self.end_turn()

    def store(self, node: Node, message: StoredMessage, now: float) -> None:
        """Put a message that arrived on its node, or what a batch or a hook makes of it.

        Raises:
            HookError: the hook failed.
            DecodeError: a message from the hook or the batch has a malformed header.
            NoNode: the hook names a node that can't exist.
        """
        unpack = self.options.unpack_batches and message.message_format == BATCH_FORMAT
        if not unpack and self.hooks.on_store is None:
            node.put(message)
            return
        payload = message.payload
        found: list[tuple[Node, StoredMessage]] = []
        for part in batch_parts(payload) if unpack else [payload]:
            for name, kept in self.hooks.stored(node.name, part):
                there = node if name == node.name else self.directory.ensure(self.name(name))
                found.append((there, message.copy() if kept == payload else arrived(kept, 0, now)))
        for there, each in found:
            there.put(each)

    # -- knobs

    def _faults_changed(self) -> None:
        loop = self.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._apply_faults)

    def _apply_faults(self) -> None:
        for connection in list(self.connections):
            for link in connection.links():
                link.faults_changed()
        self.turn_soon()

    # -- for tests

    async def wait_for(self, predicate: Predicate, timeout: float) -> bool:
        """Wait until the predicate is true, checking it whenever something has changed; return False if too late."""
        if predicate():
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        waiter = (predicate, future)
        self._waiters.append(waiter)
        timer = loop.call_later(timeout, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _check_waiters(self) -> None:
        for predicate, future in list(self._waiters):
            if future.done():
                continue
            try:
                if predicate():
                    future.set_result(True)
            except Exception as problem:  # noqa: BLE001 (whoever waits gets it)
                future.set_exception(problem)


def _give_up(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


async def _let_the_loop_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
