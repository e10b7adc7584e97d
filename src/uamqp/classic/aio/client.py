"""The asyncio clients of the 1.6 API: `AMQPClientAsync`, `SendClientAsync`, `ReceiveClientAsync`.

They are the blocking clients, whose operations they await: see `transport.drive`. Without a running event loop, their
blocking methods work like those of the blocking clients.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ...transport.asyncio.pump import is_in_loop
from ...transport.asyncio.shared import SharedAmongTasks
from ...transport.shared import Operation
from ..auth import AMQPAuth
from ..cbs import CBSAsyncAuthMixin, CBSAuthMixin
from ..client.base import AMQPClient
from ..client.reading import Busy
from ..client.receive import ReceiveClient
from ..client.receiving import Batch
from ..client.send import SendClient
from ..endpoints.connection import Connection
from ..message import BatchMessage, Message
from ..values.arguments import having
from ..vocabulary import address, constants, errors
from ..vocabulary.callbacks import awaitable, finish
from ..vocabulary.settings import ClientKeywords, ClientRequestKeywords, ReceiveKeywordsAsync, SendKeywords, Unpack
from .connection import ConnectionAsync
from .loop import LoopArgument, get_dict_with_loop_if_needed
from .receiver import MessageReceiverAsync
from .sender import MessageSenderAsync
from .session import SessionAsync

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["AMQPClientAsync", "AsyncMessageIter", "ReceiveClientAsync", "SendClientAsync"]

_ClientT = TypeVar("_ClientT", bound="AMQPClientAsync")

_CALLBACK = "on_message_received"


class AMQPClientAsync(LoopArgument, AMQPClient):
    """A connection with one session, driven by an event loop. Many tasks may use it.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        keep_alive_interval: ignored; accepted for compatibility, since the loop keeps the connection alive.
        Others: see `AMQPClient`.

    Raises:
        ValueError: a loop was given; otherwise see `AMQPClient`.
    """

    __module__ = "uamqp.async_ops.client_async"

    _shared_type = SharedAmongTasks
    _closing: SharedAmongTasks | None = None

    def __init__(
        self,
        remote_address: str | bytes | address.Address,
        auth: AMQPAuth | None = None,
        client_name: str | bytes | None = None,
        loop: Any = None,
        debug: bool = False,
        error_policy: errors.ErrorPolicy | None = None,
        keep_alive_interval: int | None = None,
        **kwargs: Unpack[ClientKeywords],
    ) -> None:
        self._internal_kwargs = get_dict_with_loop_if_needed(loop)
        super().__init__(
            remote_address,
            auth=auth,
            client_name=client_name,
            debug=debug,
            error_policy=error_policy,
            keep_alive_interval=keep_alive_interval,
            **kwargs,
        )
        self.connection_type = ConnectionAsync
        self.session_type = SessionAsync

    async def __aenter__(self: _ClientT) -> _ClientT:  # noqa: PYI019 (Self needs Python 3.11)
        await self.open_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close_async()

    async def _do_open(self, connection: Connection | None = None) -> None:
        if connection and not isinstance(connection, ConnectionAsync):
            raise TypeError(
                f"An asyncio client shares a ConnectionAsync, not a {type(connection).__name__}, which would block."
            )
        if self._session is not None:
            return
        if self._closing is not None:
            await self._closing.join()  # the credentials may still be in use
        auth = connection.auth if connection else self._auth
        if isinstance(auth, CBSAuthMixin):
            await super()._do_open(connection)
        else:
            await self._open_now(connection)  # nothing to wait for

    @staticmethod
    def _check_auth(auth: AMQPAuth) -> None:
        if isinstance(auth, CBSAsyncAuthMixin):
            return
        if isinstance(auth, CBSAuthMixin):
            raise TypeError(f"{type(auth).__name__} is for blocking clients; use SASTokenAsync or JWTTokenAsync here.")

    async def _share_closing(self, operation: Operation | None, *, waits: bool = False) -> None:
        if operation is not None and not waits:
            await operation()
        elif operation is not None:
            self._closing = SharedAmongTasks()
            await self._closing.run(operation)
        elif self._closing is not None:
            await self._closing.join()

    def _start_keep_alive(self) -> None:
        if not is_in_loop():
            super()._start_keep_alive()

    async def open_async(self, connection: ConnectionAsync | None = None) -> None:
        """Open the client; its link follows with `client_ready_async` or the first use. See `AMQPClient.open`.

        Args:
            connection: a connection to share with other clients; `close_async` leaves it open.

        Raises:
            TypeError: the connection belongs to the blocking front.
            ValueError: the authentication object is in use by another connection.
        """
        await self._do_open(connection)

    async def close_async(self, *, detach: bool | None = None) -> None:
        """Close link, session and connection, except a shared connection, unless the client is closed.

        Each step waits a few seconds for the peer's answer. Several tasks that close the client all wait for that; when
        the last of them is cancelled, the connection ends at once, without telling the peer. Messages that wait to be
        sent stay in the queue.

        Args:
            detach: see `AMQPClient.close`.
        """
        await self._do_close(detach)

    async def auth_complete_async(self) -> bool:
        """Take a step of the authentication; return whether it is done. See `AMQPClient.auth_complete`."""
        return await self._do_auth_complete()

    async def client_ready_async(self) -> bool:
        """Take a step towards the open link; return whether it is open. See `AMQPClient.client_ready`."""
        return await self._do_client_ready()

    async def mgmt_request_async(
        self,
        message: Message,
        operation: str | bytes,
        op_type: str | bytes | None = None,
        node: str | bytes | None = None,
        callback: Callable[[int, Message, bytes], Any] | None = None,
        **kwargs: Unpack[ClientRequestKeywords],
    ) -> Any:
        """Make a request to a management node and wait for the answer; see `AMQPClient.mgmt_request`.

        A `callback` that is a coroutine function is awaited.
        """
        return await self._do_mgmt_request(message, operation, op_type, node, callback, **kwargs)

    async def do_work_async(self, **kwargs: Any) -> bool:
        """Take a step: open what isn't open, otherwise send or receive. Wait up to 50 ms. Keywords are ignored.

        Returns:
            False if the client is shut down.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
        """
        return await self._do_work()


class SendClientAsync(SendClient, AMQPClientAsync):
    """A client that sends messages to one node, driven by an event loop.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        keep_alive_interval: see `AMQPClientAsync`.
        Others: see `SendClient`.
    """

    __module__ = "uamqp.async_ops.client_async"

    def __init__(
        self,
        target: str | bytes | address.Address,
        auth: AMQPAuth | None = None,
        client_name: str | bytes | None = None,
        loop: Any = None,
        debug: bool = False,
        msg_timeout: float = 0,
        error_policy: errors.ErrorPolicy | None = None,
        keep_alive_interval: int | None = None,
        **kwargs: Unpack[SendKeywords],
    ) -> None:
        get_dict_with_loop_if_needed(loop)
        super().__init__(
            target,
            auth=auth,
            client_name=client_name,
            debug=debug,
            msg_timeout=msg_timeout,
            error_policy=error_policy,
            keep_alive_interval=keep_alive_interval,
            **kwargs,
        )
        self.sender_type = MessageSenderAsync

    async def send_message_async(
        self, messages: Message | BatchMessage | Iterable[Message | BatchMessage], close_on_done: bool = False
    ) -> None:
        """Send messages, and wait until the peer has accepted each. Other tasks may send meanwhile.

        See `SendClient.send_message` for what happens to messages without an outcome, and to the client.

        Args:
            messages: one `Message` or `BatchMessage`, or several.
            close_on_done: whether to close the client afterwards.

        Raises:
            ClientMessageError: messages failed; its `info` says which, and why.
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            TypeError, ValueError: a message can't be sent.
        """
        await self._do_send_message(messages, close_on_done)

    async def send_all_messages_async(self, close_on_done: bool = True) -> list[constants.MessageState]:
        """Send the queued messages, and wait for the outcomes. See `SendClient.send_all_messages`."""
        return await self._do_send_all_messages(close_on_done)

    async def wait_async(self) -> bool:
        """Send until no message is pending.

        Returns:
            False if the client was shut down before that.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed; pending messages stay pending.
        """
        return await self._do_wait()

    async def redirect_async(self, redirect: Any, auth: AMQPAuth) -> None:
        """Follow a redirect from the peer. Pending messages are dropped from the queue.

        Raises:
            ValueError: the connection is shared.
        """
        await self._do_redirect(redirect, auth)


class ReceiveClientAsync(ReceiveClient, AMQPClientAsync):
    """A client that receives messages from one node, driven by an event loop.

    Any number of tasks may receive batches and iterate at the same time: each message goes to one of them.
    `receive_messages_async` needs the client to itself, or `RuntimeError` is raised. While no call is receiving, the
    peer isn't asked for more messages than earlier calls have asked for.

    Args:
        loop: must be None, as in asyncio since Python 3.10.
        keep_alive_interval: see `AMQPClientAsync`.
        Others: see `ReceiveClient`.
    """

    __module__ = "uamqp.async_ops.client_async"

    _is_of_tasks = True

    def __init__(
        self,
        source: str | bytes | address.Address,
        auth: AMQPAuth | None = None,
        client_name: str | bytes | None = None,
        loop: Any = None,
        debug: bool = False,
        timeout: float = 0,
        auto_complete: bool = True,
        error_policy: errors.ErrorPolicy | None = None,
        keep_alive_interval: int | None = None,
        **kwargs: Unpack[ReceiveKeywordsAsync],
    ) -> None:
        get_dict_with_loop_if_needed(loop)
        super().__init__(
            source,
            auth=auth,
            client_name=client_name,
            debug=debug,
            timeout=timeout,
            auto_complete=auto_complete,
            error_policy=error_policy,
            keep_alive_interval=keep_alive_interval,
            **kwargs,
        )
        self.receiver_type = MessageReceiverAsync

    async def receive_message_batch_async(
        self,
        max_batch_size: int | None = None,
        on_message_received: Callable[[Message], Any] | None = None,
        timeout: float = 0,
    ) -> list[Message]:
        """Wait for messages, and return those that are available as soon as there are any.

        With `auto_complete`, the messages are accepted when they are returned: turn it off to accept each when you have
        processed it.

        Args:
            max_batch_size: maximum number of messages; None for the prefetch.
            on_message_received: called with each message before it is returned; a coroutine function is awaited.
            timeout: milliseconds to wait; 0 for the client's `timeout`.

        Raises:
            ValueError: `max_batch_size` is larger than the prefetch.
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: `receive_messages_async` is under way on this client.
            TypeError: `on_message_received` can't be called.
        """
        callback = awaitable(on_message_received, _CALLBACK)
        batch = Batch()
        try:
            return await self._do_receive_message_batch(max_batch_size, callback, timeout, batch)
        except BaseException:
            self._put_back(batch)
            raise

    async def receive_messages_async(self, on_message_received: Callable[[Message], Any]) -> None:
        """Call `on_message_received` with each message until the timeout, closing or an error.

        Args:
            on_message_received: a function, or a coroutine function, which is awaited before the next message. With
                `auto_complete`, the message is accepted after that.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: another call of this client is receiving.
            TypeError: `on_message_received` can't be called.
        """
        await self._do_receive_messages(awaitable(on_message_received, _CALLBACK))

    def receive_messages_iter_async(
        self, on_message_received: Callable[[Message], Any] | None = None
    ) -> AsyncMessageIter:
        """Iterate over messages with `async for`, until the timeout or `close_async`.

        A message is accepted when the next one is requested, if `auto_complete` is on and it wasn't settled otherwise.
        If the loop's body raises or breaks, its message isn't: accept it before the `break`. When the client is closed,
        that message is given back as a failed delivery; leaving an `async for` doesn't close the client.

        Args:
            on_message_received: called with each message before it is handed out; a coroutine function is awaited.

        Raises:
            TypeError: `on_message_received` can't be called.
        """
        return AsyncMessageIter(self, self._auto_complete, on_message_received)

    @staticmethod
    def _checked(callback: Callable[[Message], Any] | None) -> Callable[[Message], Any] | None:
        return awaitable(callback, "_message_received_callback")

    async def _finish(self, result: object) -> None:
        if is_in_loop():
            await finish(result, _CALLBACK)
        else:
            await super()._finish(result)

    async def redirect_async(self, redirect: Any, auth: AMQPAuth) -> None:
        """Follow a redirect from the peer.

        Raises:
            ValueError: the connection is shared.
        """
        await self._do_redirect(redirect, auth)


class AsyncMessageIter(AsyncIterator[Message]):
    """An asynchronous iterator over a client's messages; `ReceiveClientAsync.receive_messages_iter_async` makes one.

    Args:
        rcv_client: the client; it is opened if necessary, and closed at the end if it shuts down after a timeout.
        auto_complete: whether to accept a message when the next is requested, unless it was settled otherwise.
        on_message_received: called with each message first; a coroutine function is awaited.

    Attributes:
        receiving: whether the iteration isn't over.
        current_message: the latest message that was handed out.
    """

    __module__ = "uamqp.async_ops.client_async"

    def __init__(
        self,
        rcv_client: ReceiveClientAsync,
        auto_complete: bool = True,
        on_message_received: Callable[[Message], Any] | None = None,
    ) -> None:
        self._client = having(rcv_client, "rcv_client", "a ReceiveClientAsync", "_start_iteration")
        function = awaitable(on_message_received, _CALLBACK)
        self._iteration = rcv_client._start_iteration(function, bool(auto_complete))

    @property
    def receiving(self) -> bool:
        """Whether the iteration isn't over."""
        return not self._iteration.ended

    @property
    def auto_complete(self) -> bool:
        """Whether a message is accepted when the next is requested. It may be set."""
        return self._iteration.auto_complete

    @auto_complete.setter
    def auto_complete(self, value: bool) -> None:
        self._iteration.auto_complete = value

    @property
    def current_message(self) -> Message | None:
        """The latest message that was handed out."""
        return self._iteration.current

    async def __anext__(self) -> Message:
        iteration = self._iteration
        if iteration.ended:
            raise StopAsyncIteration
        try:
            message = await iteration.next()
        except Busy:
            raise
        except Exception:  # cancelling excepted, after which it can continue
            await iteration.end()
            raise
        if message is None:
            await iteration.end()
            raise StopAsyncIteration
        iteration.handed_out = True
        return message
