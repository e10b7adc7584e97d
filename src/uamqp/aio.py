"""The modern API for asyncio: `from uamqp.aio import connect`.

    async with connect("amqp://localhost") as connection, connection.open_sender("orders") as sender:
        await sender.send("hello")

All of a connection belongs to one event loop. `uamqp.sync` has the same for threads.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .core import ConnectionCore
from .messaging import *  # noqa: F403 (all values are here as well)
from .messaging import (
    DEFAULT,
    ConnectionEvent,
    Credentials,
    CredentialsFactory,
    Default,
    Delivery,
    Message,
    Node,
    ReceiverOptions,
    SenderOptions,
    Source,
    Target,
    Timeouts,
    UsageError,
    WrongLoopError,
)
from .messaging import __all__ as _values
from .messaging.connection import ConnectionBase
from .messaging.events import EventsBase
from .messaging.receiver import IterationBase, ReceiverBase
from .messaging.sender import SenderBase
from .messaging.session import SessionBase
from .messaging.settings import ConnectionSettings
from .transport.asyncio.driver import AsyncDriver
from .transport.driver import Driver

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self, Unpack

    from .messaging.fields import Body
    from .messaging.many import OnFailure, SendReport
    from .transport.sansio.endpoint import Proxy

__all__ = ["Connection", "Opening", "Receiver", "Sender", "Session", "connect", *_values]  # noqa: PLE0604 (they are text)


T = TypeVar("T", bound="Connection | Session | Sender | Receiver")


class Opening(Generic[T]):
    """Something on its way to be open: await it, or enter it with `async with`, which closes it at the end."""

    def __init__(self, operation: Coroutine[Any, Any, T]) -> None:
        self._operation: Coroutine[Any, Any, T] | None = operation
        self._opened: T | None = None

    def __del__(self) -> None:
        operation = self.__dict__.get("_operation")
        if operation is not None:
            operation.close()
            text = (
                "nothing was opened: what `connect` and `open_...` return has to be awaited, or entered by `async with`"
            )
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    if not TYPE_CHECKING:  # who would take every attribute as there

        def __getattr__(self, name: str) -> Any:
            text = f"nothing is open yet, so there is no {name!r}: await it first, or enter it by `async with`"
            raise AttributeError(text)

    def _take(self) -> Coroutine[Any, Any, T]:
        operation, self._operation = self._operation, None
        if operation is None:
            raise UsageError("it was awaited or entered already: open another one")
        return operation

    def __await__(self) -> Generator[Any, Any, T]:
        return self._take().__await__()

    async def __aenter__(self) -> T:
        self._opened = await self._take()
        return self._opened

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()


def connect(
    url: str | Sequence[str],
    *,
    credentials: Credentials | Sequence[Credentials] | CredentialsFactory | None = None,
    tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None,
    hostname: str | None = None,
    server_hostname: str | None = None,
    container_id: str | None = None,
    idle_timeout: float | None = 60.0,
    max_frame_size: int = 65536,
    properties: Mapping[str, Any] | None = None,
    desired_capabilities: Sequence[str] = (),
    proxy: Proxy | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 (it is frozen)
    on_event: Callable[[ConnectionEvent], None] | None = None,
) -> Opening[Connection]:
    """Connect: await the result for the connection, or enter it with `async with`.

    Args:
        url: where to: `amqp[s]://[user[:password]@]host[:port][,host2[:port]...]`, or several such URLs. They are tried
            in order.
        credentials: `Anonymous()`, `Plain(user, password)`, `External()` or `Cbs(provider, audience)`, a list of these,
            best first, or a function that returns one and is asked for each attempt. Default: what the URL says, else
            none.
        tls: the context of TLS, or a function that makes one. Default: one that verifies the peer's certificate, if the
            URL is for TLS.
        hostname: the virtual host asked for (section 2.7.1). Default: the host of the URL.
        server_hostname: whom the certificate must be for. Default: the host of the URL.
        container_id: this container's name on the wire, by which brokers find durable subscriptions again. Default: one
            made up.
        idle_timeout: seconds within which the peer has to send something; after twice that time the connection is given
            up (section 2.4.5). None for no limit.
        max_frame_size: the largest frame in bytes that is accepted.
        properties: of the connection, beside product, version and platform.
        desired_capabilities: what the connection is to be able to do, if the peer knows it.
        proxy: an HTTP proxy to connect through.
        timeouts: the limits of waiting.
        on_event: called with each `ConnectionEvent`, in the loop; what it raises is logged.

    Raises:
        TypeError: an argument has the wrong type.
        ConfigurationError: one can't be used, or the URL says the same thing.
        ConnectFailed: no host could be connected to.
        AuthenticationFailed: the login was refused.
        TLSFailed: the certificate wasn't accepted, or there is no TLS.
    """
    return Opening(
        _connected(
            Connection(
                ConnectionSettings.of(
                    url,
                    credentials=credentials,
                    tls=tls,
                    hostname=hostname,
                    server_hostname=server_hostname,
                    container_id=container_id,
                    idle_timeout=idle_timeout,
                    max_frame_size=max_frame_size,
                    properties=properties,
                    desired_capabilities=desired_capabilities,
                    proxy=proxy,
                    timeouts=timeouts,
                    on_event=on_event,
                )
            )
        )
    )


async def _connected(connection: Connection) -> Connection:
    await connection._open()
    return connection


class Connection(ConnectionBase):
    """A connection. `connect` makes it."""

    def _make_driver(self, core: ConnectionCore) -> Driver:
        return AsyncDriver(core, WrongLoopError)

    def open_sender(self, target: str | Target | Node | None, **options: Unpack[SenderOptions]) -> Opening[Sender]:
        """Open a sender, on a session of its own.

        Args:
            target: the address of a node, with more about it if wanted; None for the anonymous relay, which sends each
                message where its `to` says.
            options: see `SenderOptions`.

        Raises:
            ConfigurationError: an option can't be used.
            NodeNotFound, AccessDenied, LinkRefused: the peer refuses the sender.
            OperationTimeout: it doesn't answer in time (`Timeouts.link`).
            ClosedError, ConnectionFailure: the connection is closed, or has failed.
        """
        return Opening(self._open_sender(Sender, target, options))

    def open_receiver(
        self, source: str | Source | Node | None = None, **options: Unpack[ReceiverOptions]
    ) -> Opening[Receiver]:
        """Open a receiver, on a session of its own.

        Args:
            source: the address of a node, with more about it if wanted; None with `dynamic=True`.
            options: see `ReceiverOptions`.

        Raises:
            ConfigurationError: an option can't be used.
            NodeNotFound, AccessDenied, LinkRefused: the peer refuses the receiver.
            OperationTimeout: it doesn't answer in time (`Timeouts.link`).
            ClosedError, ConnectionFailure: the connection is closed, or has failed.
        """
        return Opening(self._open_receiver(Receiver, source, options))

    def open_session(self, *, incoming_window: int = 65536, outgoing_window: int = 65536) -> Opening[Session]:
        """Open a session (section 2.5) for links that belong together. Otherwise each link has one of its own.

        Args:
            incoming_window: frames that the peer may send ahead.
            outgoing_window: frames that this side may send ahead, as far as the peer allows.

        Raises:
            ConfigurationError: a window is out of range.
            SessionEnded: the peer refuses it.
            ClosedError, ConnectionFailure: the connection is closed, or has failed.
        """
        return Opening(self._open_session(Session, incoming_window, outgoing_window))

    async def wait_open(self, timeout: float | Default | None = DEFAULT) -> None:
        """Wait until the connection is open.

        Args:
            timeout: in seconds; None for no limit. Default: `Timeouts.open`.

        Raises:
            OperationTimeout: it isn't open when the time is over.
            ClosedError, ConnectionFailure: it is closed, or has failed.
        """
        await self._wait_open(timeout)

    def events(self) -> Events:
        """Return an iterator over what happens to the connection from now on; it ends with the connection."""
        return Events(self._driver, self._events)

    async def close(self, *, timeout: float | Default | None = DEFAULT) -> None:
        """Close the connection: senders send the rest, receivers give back what wasn't handed out. May be repeated.

        Args:
            timeout: for the senders, in seconds; None for no limit. Default: `Timeouts.close`. What has no outcome by
                then fails.
        """
        await self._close(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Session(SessionBase):
    """A session of the program's own. `Connection.open_session` opens it."""

    def open_sender(self, target: str | Target | Node | None, **options: Unpack[SenderOptions]) -> Opening[Sender]:
        """Open a sender in this session.

        Args:
            target: the address of a node, with more about it if wanted; None for the anonymous relay, which sends each
                message where its `to` says.
            options: see `SenderOptions`.

        Raises:
            ConfigurationError: an option can't be used.
            NodeNotFound, AccessDenied, LinkRefused: the peer refuses the sender.
            OperationTimeout: it doesn't answer in time (`Timeouts.link`).
            ClosedError, ConnectionFailure: the session or its connection is closed, or has failed.
        """
        return Opening(self._open_sender(Sender, target, options))

    def open_receiver(
        self, source: str | Source | Node | None = None, **options: Unpack[ReceiverOptions]
    ) -> Opening[Receiver]:
        """Open a receiver in this session.

        Args:
            source: the address of a node, with more about it if wanted; None with `dynamic=True`.
            options: see `ReceiverOptions`.

        Raises:
            ConfigurationError: an option can't be used.
            NodeNotFound, AccessDenied, LinkRefused: the peer refuses the receiver.
            OperationTimeout: it doesn't answer in time (`Timeouts.link`).
            ClosedError, ConnectionFailure: the session or its connection is closed, or has failed.
        """
        return Opening(self._open_receiver(Receiver, source, options))

    async def close(self) -> None:
        """Close the links of the session, then end it. May be repeated."""
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Events(EventsBase):
    """What happens to a connection, one event after the other. `Connection.events` returns it."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ConnectionEvent:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event


class Sender(SenderBase):
    """Sends messages to a node. `Connection.open_sender` opens it."""

    async def send(self, message: Message | Body, *, timeout: float | Default | None = DEFAULT) -> None:
        """Send a message, and wait until it is accepted.

        Args:
            message: the message, or its body.
            timeout: seconds until it must have its outcome; None for no limit. Default: the sender's `send_timeout`.

        Raises:
            NotSent: it certainly isn't delivered, as for want of time (`SendTimeout`).
            NotAccepted: the peer rejected it (`MessageRejected`), or gave it back (`MessageReleased`,
                `MessageModified`).
            OutcomeUnknown: nobody knows whether it is delivered.
            EncodeError: it has no encoding.
            ClosedError, LinkFailure, ConnectionFailure: the sender is closed, or has failed.
        """
        await self._send(message, timeout)

    async def submit(
        self, message: Message | Body, *, timeout: float | Default | None = DEFAULT, presettled: bool = False
    ) -> Delivery:
        """Wait for room, take a message in, and return its delivery: the outcome comes later.

        Args:
            message: the message, or its body.
            timeout: as for `send`.
            presettled: whether this one is sent without asking for an outcome; for senders of `presettled="mixed"`.

        Raises:
            SendTimeout: there was no room for it in time.
            EncodeError: it has no encoding.
            MessageTooLarge: the peer doesn't take messages of this size.
            UsageError: the sender isn't one for both kinds of messages, or the peer isn't.
            ClosedError, LinkFailure, ConnectionFailure: the sender is closed, or has failed.
        """
        return await self._submit(message, timeout, presettled)

    async def send_many(
        self,
        messages: Iterable[Message | Body] | AsyncIterable[Message | Body],
        *,
        window: int = 1000,
        timeout: float | Default | None = DEFAULT,
        on_failure: OnFailure = "raise",
    ) -> SendReport:
        """Send messages, many of them under way at a time, and wait for all outcomes.

        Args:
            messages: the messages, or their bodies; asynchronous iterables are for `uamqp.aio`.
            window: how many may be under way.
            timeout: for each, as for `send`.
            on_failure: "raise" to stop after one has failed, and raise; "collect" to send all, and report.

        Raises:
            SendManyFailed: one has failed (`on_failure="raise"`), or the sender has; with "collect" also if `messages`
                or one of them is at fault, which is the `__cause__` then. Its `report` says what became of those that
                were taken in; nothing that comes after them was sent.
            Exception: what `messages` or one of them is at fault for, with "raise", or if none was taken in.
            ClosedError, LinkFailure, ConnectionFailure: the sender is closed, or has failed.
        """
        return await self._send_many(messages, window, timeout, on_failure)

    async def flush(self, timeout: float | Default | None = DEFAULT) -> None:
        """Wait until nothing is pending. It doesn't raise for messages that failed.

        Args:
            timeout: in seconds; None for no limit. Default: `Timeouts.close`.

        Raises:
            OperationTimeout: something is still pending when the time is over.
        """
        await self._flush(timeout)

    async def close(self, *, timeout: float | Default | None = DEFAULT) -> None:
        """Flush, then detach. What has no outcome by then fails. May be repeated.

        Args:
            timeout: for flushing, in seconds; None for no limit. Default: `Timeouts.close`.
        """
        await self._close(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Receiver(ReceiverBase):
    """Receives messages from a node. `Connection.open_receiver` opens it."""

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages, until the receiver is closed. Several may iterate at a time."""
        return Messages(self)

    async def receive(self, timeout: float | Default | None = DEFAULT) -> Message:
        """Return the next message.

        Args:
            timeout: seconds to wait for it; None, the default, for no limit.

        Raises:
            OperationTimeout: none came in time.
            ClosedError, LinkFailure, ConnectionFailure: the receiver is closed, or has failed.
        """
        return await self._receive(timeout)

    async def receive_many(
        self, maximum: int, *, minimum: int = 1, timeout: float | Default | None = DEFAULT
    ) -> list[Message]:
        """Return messages, waiting until there are some.

        Args:
            maximum: how many there may be.
            minimum: how many to wait for.
            timeout: seconds to wait for these; None, the default, for no limit. There may be fewer, or none, when they
                are over.

        Raises:
            ClosedError, LinkFailure, ConnectionFailure: the receiver is closed, or has failed.
        """
        return await self._receive_many(maximum, minimum, timeout)

    def batches(self, maximum: int = 1000) -> AsyncIterator[list[Message]]:
        """Iterate over lists of all messages that are there, until the receiver is closed.

        Args:
            maximum: how many there may be in a list.
        """
        return Batches(self, maximum)

    async def drain(self, timeout: float | Default | None = DEFAULT) -> None:
        """Let the peer send what it has, and take back the rest of the credit. `resume` asks for messages again.

        Args:
            timeout: in seconds; None for no limit. Default: `Timeouts.link`.

        Raises:
            OperationTimeout: the peer hasn't answered in time.
            ClosedError, LinkFailure, ConnectionFailure: the receiver is closed, or has failed.
        """
        await self._drain(timeout)

    async def detach(self) -> None:
        """Close the receiver, and let what it receives from live on, such as a subscription (section 2.6.3)."""
        await self._close(closed=False)

    async def unsubscribe(self) -> None:
        """Close the receiver, and end its subscription."""
        await self._close(closed=True)

    async def close(self, *, timeout: float | Default | None = DEFAULT) -> None:
        """Give back what wasn't handed out, then detach. May be repeated.

        With `subscription=` or `durable=`, what it receives from lives on until `unsubscribe`.

        Args:
            timeout: seconds to wait for the peer's answer; None for no limit. Default: `Timeouts.close`.
        """
        await self._close(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Messages(IterationBase):
    """An iteration over the messages of a receiver."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        message = self._take_now() or await self._next_message()
        if message is None:
            raise StopAsyncIteration
        return message


class Batches(IterationBase):
    """An iteration over batches of a receiver's messages."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Message]:
        batch = await self._next_batch()
        if not batch:
            raise StopAsyncIteration
        return batch
