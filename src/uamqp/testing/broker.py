"""The embedded broker for tests and demos: `Broker`. Thread-safe; its event loop has a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from .cbs import Tokens
from .directory import DirectoryLimits, arrived, local_name, node_name
from .envelope import encoded, read_header
from .faults import Faults, error
from .hooks import Hooks
from .nodes import Counters, NodeLimits
from .server import Options, Predicate, Server
from .services import Service, ServiceLink
from .views import ConnectionView, QueueView

T = TypeVar("T")
Path = str | os.PathLike[str]

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


class Broker:
    """An AMQP 1.0 broker inside this process, for tests and demos: it keeps everything in memory only.

    `with Broker() as broker:` runs it in a thread of its own, `async with Broker() as broker:` in the running loop.
    Any address is a queue, made when it is first used; `topic://NAME` is a topic. See docs/broker.md.

    Args:
        host: where to listen: one address, the IPv4 one if a name has both.
        port: where to listen; 0 for any free port.
        users: names and passwords for SASL PLAIN; None accepts any name and password.
        anonymous: whether to admit clients without credentials, by SASL ANONYMOUS or without SASL; None does so if
            `users` is None.
        tls: a server's TLS context. With client certificates, SASL EXTERNAL works as well.
        tls_cert, tls_key: PEM files instead of a context; the key may be in the certificate's file.
        tls_ca: PEM file of the authority for client certificates: with SASL EXTERNAL, the user is the certificate's CN.
        hostnames: names of the broker in addresses such as amqps://HOST/NAME, in addition to its host, the loopback
            names and the hostname in a client's open.
        container_id: its name on the wire.
        max_frame_size: bytes; announced, at least 512.
        channel_max: highest channel number; announced.
        idle_timeout: seconds within which a client must send something; announced. After twice that time without
            anything, its connection is ended. None means never.
        max_message_size: bytes; announced in each attach, and enforced.
        link_credit: messages that a sender may have on their way.
        max_queue_messages, max_queue_bytes: what a queue holds before its senders get no more credit.
        max_deliveries: failed deliveries after which a message becomes a dead letter; None for any number.
        dead_letter_expired: whether expired messages become dead letters or are dropped.
        make_nodes: whether to make a queue or topic when it is first used; if False, there are only those in `queues`
            and those that `put` makes.
        max_nodes: maximum number of queues, topics and durable subscriptions.
        queues: addresses that exist from the start.
        allow_second: whether to grant rcv-settle-mode second to clients that ask for it on links that they send over.
            Otherwise they get first, as from most brokers: uamqp 1.6 asks for second, and then waits forever for a
            settlement.
        close_timeout: seconds that clients have to answer the close when the broker stops.
        cbs: whether there is a node `$cbs`, and links need a token that was put there; see `tokens`.
        steal_links: whether a new link replaces one with the same name and container (amqp:link:stolen).
        unpack_batches: whether to keep the messages of a batch (message-format 0x80013700) one by one.
        websocket: speak AMQP over WebSocket (wss with TLS), at any path or a given one; `url` stays the same.

    Raises:
        ValueError: a setting is out of range, or contradicts another.
    """

    _thread: threading.Thread | None = None
    _loop_thread: int | None = None
    _process = 0
    _stopping: asyncio.Event | None = None

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        users: Mapping[str, str] | None = None,
        anonymous: bool | None = None,
        tls: ssl.SSLContext | None = None,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
        tls_ca: Path | None = None,
        hostnames: Iterable[str] = (),
        container_id: str = "uamqp-testing-broker",
        max_frame_size: int = 65536,
        channel_max: int = 1023,
        idle_timeout: float | None = None,
        max_message_size: int = 64 * 1024 * 1024,
        link_credit: int = 1000,
        max_queue_messages: int = 100_000,
        max_queue_bytes: int = 256 * 1024 * 1024,
        max_deliveries: int | None = None,
        dead_letter_expired: bool = True,
        make_nodes: bool = True,
        max_nodes: int = 10_000,
        queues: Iterable[str] = (),
        allow_second: bool = False,
        close_timeout: float = 0.5,
        cbs: bool = False,
        steal_links: bool = False,
        unpack_batches: bool = False,
        websocket: bool | str = False,
    ) -> None:
        options = Options(
            host=host,
            port=port,
            users=dict(users) if users is not None else None,
            anonymous=users is None if anonymous is None else anonymous,
            hostnames=tuple(hostnames),
            container_id=container_id,
            max_frame_size=max_frame_size,
            channel_max=channel_max,
            idle_timeout=idle_timeout,
            max_message_size=max_message_size,
            link_credit=link_credit,
            allow_second=allow_second,
            close_timeout=close_timeout,
            cbs=cbs,
            steal_links=steal_links,
            unpack_batches=unpack_batches,
            websocket=websocket,
            nodes=NodeLimits(max_queue_messages, max_queue_bytes, max_deliveries, dead_letter_expired),
            directory=DirectoryLimits(max_nodes, make_nodes),
        )
        options.check()
        self._tls = _tls_context(tls, tls_cert, tls_key, tls_ca)
        self._server = Server(options, self._tls)
        for name in queues:
            self._server.directory.ensure(node_name(name, self._server.hosts))

    # -- running

    def start(self) -> None:
        """Run the broker in a thread of its own. After a `stop`, it continues with the same port and messages.

        Raises:
            OSError: it can't listen on the address.
            RuntimeError: it is already running.
        """
        self._check_stopped()
        self._process = os.getpid()
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(started)), name="uamqp-testing-broker", daemon=True
        )
        self._thread.start()
        try:
            started.result(START_TIMEOUT)
        except BaseException:
            self._thread.join(STOP_TIMEOUT)
            self._thread = None
            raise

    def stop(self) -> None:
        """Close all connections (amqp:connection:forced) and stop, if it is running.

        Raises:
            RuntimeError: it runs in an event loop (`async with`), or its thread doesn't end.
        """
        thread = self._thread
        if self._is_inherited():
            return  # it is the parent's
        if thread is None:
            if self._loop_thread is not None:
                raise RuntimeError("this broker runs in an event loop: await broker.stop_async()")
            return
        loop, stopping = self._server.loop, self._stopping
        if loop is not None and stopping is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stopping.set)
        thread.join(STOP_TIMEOUT)
        if thread.is_alive():
            raise RuntimeError(f"the broker's thread did not end within {STOP_TIMEOUT:g} seconds")
        self._thread = None

    async def start_async(self) -> None:
        """Run the broker in the running event loop; otherwise like `start`."""
        self._check_stopped()
        self._process = os.getpid()
        await self._server.start()
        self._loop_thread = threading.get_ident()

    async def stop_async(self) -> None:
        """Do what `stop` does, for a broker that runs in this event loop."""
        if self._loop_thread is not None and self._thread is None:
            await self._server.stop()
            self._loop_thread = None

    def __enter__(self) -> Broker:  # noqa: PYI034 (Self came with Python 3.11)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Broker:  # noqa: PYI034
        await self.start_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop_async()

    async def _run(self, started: concurrent.futures.Future[None]) -> None:
        self._stopping = asyncio.Event()
        try:
            await self._server.start()
        except BaseException as problem:  # noqa: BLE001 (it is raised in the thread that waits)
            started.set_exception(problem)
            return
        self._loop_thread = threading.get_ident()
        started.set_result(None)
        await self._stopping.wait()
        await self._server.stop()
        self._loop_thread = None

    def _is_inherited(self) -> bool:
        """Return whether the broker runs in another process, of which this one is a fork."""
        return self._process not in (0, os.getpid())

    def _refuse_inherited(self) -> None:
        if self._is_inherited():
            raise RuntimeError(f"the broker runs in process {self._process}, of which this one is a fork")

    def _check_stopped(self) -> None:
        if self._thread is not None or self._loop_thread is not None:
            raise RuntimeError("the broker runs already")

    # -- where it is

    @property
    def host(self) -> str:
        """The host to connect to."""
        host = self._server.options.host
        return self._server.address[0] if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 (not bound here)

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before the first start unless one was chosen."""
        return self._server.address[1]

    @property
    def url(self) -> str:
        """The scheme, host and port: "amqp://127.0.0.1:5672", or "amqps://..." with TLS."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'amqps' if self._tls is not None else 'amqp'}://{host}:{self.port}"

    # -- looking at it, and using it

    @property
    def faults(self) -> Faults:
        """The knobs for faults."""
        return self._server.faults

    @property
    def tokens(self) -> Tokens:
        """The service `$cbs`: its knobs, and what was put there."""
        return self._server.tokens

    @property
    def hooks(self) -> Hooks:
        """Functions of a test's that take part in attaches and messages."""
        return self._server.hooks

    def serve(self, address: str, service: Service | None) -> None:
        """Answer requests at an address, such as `$management`, with a function, or no longer with None.

        Args:
            address: may contain `*`: `*/$management` stands for that of every queue. The latest match is used.
            service: returns a `ServiceResponse` for a `ServiceRequest`, or None for no answer. It runs in the broker's
                thread and must not wait for anything.
        """
        self.call(lambda server: server.services.serve(address, service))

    def expire_tokens(self) -> int:
        """End all tokens, as if they had expired, and return how many were valid."""
        return self.call(lambda server: sum(each.expire_tokens() for each in list(server.connections)))

    @property
    def counters(self) -> Counters:
        """Counts of what has happened on all nodes."""
        return self.call(lambda server: server.directory.totals())

    @property
    def connections(self) -> tuple[ConnectionView, ...]:
        """The connections that are open."""
        return self.call(lambda server: tuple(view for view in map(_view, server.connections) if view))

    def queue(self, name: str) -> QueueView:
        """Return a queue or topic by its address."""
        return QueueView(self, name)

    def dead_letters(self, name: str) -> QueueView:
        """Return the dead letters of a queue or topic: the queue `NAME/$dead`."""
        return QueueView(self, f"{name}/$dead")

    def put(self, name: str, message: Any, *, message_format: int | None = None) -> None:
        """Put a message on a queue or topic, which is made if necessary. Limits don't apply.

        Args:
            name: its address.
            message: a `uamqp.messaging.Message` or `uamqp.Message`; bytes, which are an encoded message; or any other
                value with an AMQP encoding, such as text, a number or a dict, as the body of a message.
            message_format: of the transfer. Default: the modern message's own, and otherwise 0.

        Raises:
            ValueError: the message's header can't be read, the body can't be encoded, or there can be no such node.
            HookError: `hooks.on_store` failed.
        """
        payload, own_format = encoded(message)
        message_format = own_format if message_format is None else message_format
        read_header(payload)

        def put(server: Server) -> None:
            node = server.directory.ensure(server.name(name))
            now = time.monotonic() if server.loop is None else server.loop.time()
            server.store(node, arrived(payload, message_format, now), now)
            server.turn_soon()  # not now: this may be called by a hook, in the middle of a turn

        self.call(put)

    def wait_for(self, predicate: Predicate, timeout: float = 10.0) -> None:
        """Wait until a condition on the broker holds; it is checked whenever something has changed.

        Args:
            predicate: a function without arguments, such as `lambda: broker.queue("q").depth == 3`. It runs in the
                broker's thread and must not wait for anything.
            timeout: in seconds.

        Raises:
            TimeoutError: the condition doesn't hold in time.
            RuntimeError: the broker isn't running, or runs in the loop of this thread: use `wait_for_async`.
        """
        loop = self._server.loop
        if loop is None:
            raise RuntimeError("the broker does not run")
        self._refuse_inherited()
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("this thread runs the broker's loop: await broker.wait_for_async(...)")
        future = asyncio.run_coroutine_threadsafe(self._server.wait_for(predicate, timeout), loop)
        try:
            met = future.result(timeout + STOP_TIMEOUT)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError("the broker's thread is stuck, in a predicate perhaps") from None
        if not met:
            raise TimeoutError(self._unmet(timeout))

    async def wait_for_async(self, predicate: Predicate, timeout: float = 10.0) -> None:
        """Do what `wait_for` does, in the event loop that runs the broker."""
        if not await self._server.wait_for(predicate, timeout):
            raise TimeoutError(self._unmet(timeout))

    def _unmet(self, timeout: float) -> str:
        return f"the condition didn't hold within {timeout:g} seconds; {self.counters}"

    # -- making trouble

    def drop_connections(self) -> int:
        """Cut every connection without a close, and return how many there were."""

        def drop(server: Server) -> int:
            for connection in server.connections:
                connection.protocol.abort()
            return len(server.connections)

        return self.call(drop)

    def close_connections(
        self,
        condition: str = "amqp:connection:forced",
        description: str | None = None,
        info: dict[str, Any] | None = None,
    ) -> int:
        """Close every connection with an error, and return how many there were."""
        problem = error(condition, description, info)

        def close(server: Server) -> int:
            for connection in list(server.connections):
                connection.close(problem)
            return len(server.connections)

        return self.call(close)

    def end_sessions(self, condition: str, description: str | None = None) -> int:
        """End every session with an error, and return how many there were."""
        problem = error(condition, description)
        return self.call(lambda server: sum(each.end_sessions(problem) for each in list(server.connections)))

    def detach_links(
        self,
        address: str | None = None,
        condition: str = "amqp:link:detach-forced",
        description: str | None = None,
    ) -> int:
        """Detach the links of a queue, topic or service, or all links, with an error; return how many there were."""

        def detach(server: Server) -> int:
            name = local_name(address, server.hosts) if address is not None else None
            links = [
                link
                for connection in server.connections
                for link in connection.links()
                if name is None
                or name == (link.name if isinstance(link, ServiceLink) else link.node and link.node.name)
            ]
            for link in links:
                link.expel(condition, description or "")
            server.turn_soon()
            return len(links)

        return self.call(detach)

    def call(self, function: Callable[[Server], T]) -> T:
        """Run a function in the broker's thread and return its result. Not part of the public interface."""
        loop = self._server.loop
        if loop is not None:
            self._refuse_inherited()
        if loop is None or threading.get_ident() == self._loop_thread:
            return function(self._server)
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                future.set_result(function(self._server))
            except BaseException as problem:  # noqa: BLE001 (it is raised in the thread that waits)
                future.set_exception(problem)

        loop.call_soon_threadsafe(run)
        return future.result(STOP_TIMEOUT)


def _view(connection: Any) -> ConnectionView | None:
    opened = connection.engine.remote_open
    if opened is None:
        return None
    links = connection.links()
    senders = sum(hasattr(link, "receive") for link in links)
    return ConnectionView(
        opened.container_id,
        opened.hostname,
        dict(opened.properties or {}),
        connection.mechanism,
        connection.user,
        senders,
        len(links) - senders,
    )


def _tls_context(
    context: ssl.SSLContext | None, cert: Path | None, key: Path | None, authority: Path | None
) -> ssl.SSLContext | None:
    if context is not None:
        if cert is not None or key is not None or authority is not None:
            raise ValueError("tls_cert, tls_key and tls_ca go without tls, or tls without them")
        return context
    if cert is None:
        if key is not None or authority is not None:
            raise ValueError("tls_key and tls_ca need tls_cert")
        return None
    for name, file in (("tls_cert", cert), ("tls_key", key), ("tls_ca", authority)):
        if file is not None and not os.path.exists(file):  # the ssl module doesn't say which
            raise FileNotFoundError(errno.ENOENT, f"{name}: {os.strerror(errno.ENOENT)}", str(file))
    # The default context would be strict about certificates made for a test.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
