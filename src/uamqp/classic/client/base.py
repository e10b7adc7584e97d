"""`AMQPClient`: a connection with one session, the base of `SendClient` and `ReceiveClient`."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
import warnings
import weakref
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, TypeVar

from ...core import LinkState
from ...transport.background import Alarm, started
from ...transport.drive import run
from ...transport.driver import Driver
from ...transport.forks import tell
from ...transport.guard import Guard
from ...transport.shared import Operation, Own, SharedAmongThreads
from ..auth import AMQPAuth, SASLAnonymous, SASLPlain, checked_auth
from ..cbs import CBSAsyncAuthMixin, CBSAuthMixin
from ..endpoints.connection import IDLE_WAIT, Connection, checked_settings, redirected_host
from ..endpoints.link import MessageLink, checked_receive_mode, checked_send_mode, checked_size
from ..endpoints.session import Session, check_request, checked_handle_max, checked_window
from ..message import Message
from ..values import convert
from ..values.arguments import encoding_of, finite, given, having, number, text
from ..values.native import TickCounter
from ..vocabulary import address, compat, constants, errors
from ..vocabulary.callbacks import plain
from ..vocabulary.settings import ClientKeywords, ClientRequestKeywords, Unpack
from .keep_alive import keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")

_logger = logging.getLogger("uamqp.client")  # as in 1.6

_ClientT = TypeVar("_ClientT", bound="AMQPClient")

_DROPPED = "the client was dropped without being closed"

_OPENING = "opening"  # for `Guard`

_CLOSED_MEANWHILE = "The client was closed while it was opened."

_CONNECTION = (
    "max_frame_size",
    "channel_max",
    "idle_timeout",
    "properties",
    "remote_idle_timeout_empty_frame_send_ratio",
)
_TIMEOUTS = ("handshake_timeout", "link_timeout", "close_timeout")


class Survivor:
    """Tells a client that it is in the child of a fork. It stands beside the client, whose names belong to the API."""

    def __init__(self, client: AMQPClient) -> None:
        self._client = weakref.ref(client)
        tell(self)

    def after_fork(self, parent: int) -> None:
        """Adapt to the child of a fork, without using locks or sending anything; see `forks`."""
        client = self._client()
        if client is not None:
            client._forget_threads()


class AMQPClient:
    """A connection with one session, and everything to open them.

    Args:
        remote_address: an `Address`, or the URL: amqps://host/node, or amqp://host/node. Its user name and password
            are used if there is no `auth`.
        auth: credentials and transport settings. None for the URL's credentials, or ANONYMOUS if it has none, over TLS,
            except for an amqp:// URL, which means plain TCP.
        client_name: the container-id; None for a new UUID.
        debug: whether to trace frames to the log.
        error_policy: decides what errors mean; None for `ErrorPolicy()`.
        keep_alive_interval: seconds after which a background thread does the connection's work, in addition to whenever
            a heartbeat or a time-out is due; None for no thread.

    Keyword Args:
        encoding: encoding of text; default UTF-8.
        transport_type, http_proxy: the connection's transport; an `auth` with WebSocket or a proxy takes precedence.
        max_frame_size (65536 bytes), channel_max, idle_timeout (milliseconds), properties,
            remote_idle_timeout_empty_frame_send_ratio: see `Connection`.
        incoming_window, outgoing_window (65536), handle_max, on_attach: see `Session`.
        handshake_timeout, link_timeout (30 seconds), close_timeout (5 seconds): see `Connection`.
        send_settle_mode, receive_settle_mode, desired_capabilities: see `MessageSender` and `MessageReceiver`.
        link_name: name of the client's link; None for a new one each time it is opened. Together with `client_name`, it
            identifies a durable subscription. Only one link at a time can use a name: some brokers end the other one.
        detach_on_close: the default of `close`'s argument `detach`; default False.

    Raises:
        ValueError: an argument is out of range, or a keyword is unknown.
        TypeError: an argument has the wrong type.
    """

    __module__ = "uamqp.client"  # where 1.6 has it

    _shared_type: type[SharedAmongThreads] = SharedAmongThreads

    def __init__(
        self,
        remote_address: str | bytes | address.Address,
        auth: AMQPAuth | None = None,
        client_name: str | bytes | None = None,
        debug: bool = False,
        error_policy: errors.ErrorPolicy | None = None,
        keep_alive_interval: int | None = None,
        **kwargs: Unpack[ClientKeywords],
    ) -> None:
        settings: dict[str, Any] = {**kwargs}
        self._encoding: str = encoding_of(settings.pop("encoding", None))
        self._transport_type = settings.pop("transport_type", None)
        self._http_proxy = settings.pop("http_proxy", None)
        self._remote_address = address.address_of(remote_address, address.Address, "remote_address", self._encoding)
        self._hostname: str = address.host_of(self._remote_address)
        auth = auth or None
        if auth is not None:
            self._check_auth(checked_auth(auth, "auth"))
            auth._use_transport(self._transport_type, self._http_proxy)
        self._own_auth = auth is None
        self._auth = auth if auth is not None else self._default_auth()
        self._check_scheme()
        self._name: str = text(client_name, "client_name", self._encoding) if client_name else str(uuid.uuid4())
        self._debug_trace = debug
        self._counter = TickCounter()
        self._shutdown = False
        self._connection: Connection | None = None
        self._ext_connection = False
        self._session: Session | None = None
        self._own = Own()
        self._state = Guard()
        self._opening = self._shared_type()
        self._backoff: float = 0
        self._seen_progress: int | None = None  # when our latest turn ended: `Driver.mark`
        self._worked_on: MessageLink | None = None  # the link of the latest step of `do_work`
        self._error_policy = errors.policy_of(error_policy)
        self._keep_alive_interval = int(finite(keep_alive_interval or 0, "keep_alive_interval", "seconds"))
        self._keep_alive_thread: threading.Thread | None = None
        self._keep_alive_alarm: Alarm | None = None
        self.message_handler: MessageLink | None = None
        self.connection_type: type[Connection] = Connection
        self.session_type: type[Session] = Session
        self._take_settings(settings)
        if settings:
            raise ValueError(f"Received unrecognized kwargs: {', '.join(settings)}")

    def _take_settings(self, kwargs: dict[str, Any]) -> None:
        """Remove the settings of connection, session and links from the keywords, and store them."""
        settings = checked_settings({name: kwargs.pop(name, None) for name in _CONNECTION}, self._encoding)
        self._max_frame_size = settings.get("max_frame_size", constants.MAX_FRAME_SIZE_BYTES)
        self._channel_max = settings.get("channel_max")
        self._idle_timeout = settings.get("idle_timeout")
        self._properties = settings.get("properties")
        self._remote_idle_timeout_empty_frame_send_ratio = settings.get("remote_idle_timeout_empty_frame_send_ratio")
        self._outgoing_window = checked_window(kwargs.pop("outgoing_window", None), "outgoing_window")
        self._incoming_window = checked_window(kwargs.pop("incoming_window", None), "incoming_window")
        self._handle_max = checked_handle_max(kwargs.pop("handle_max", None))
        self._on_attach = plain(kwargs.pop("on_attach", None), "on_attach")
        self._send_settle_mode = checked_send_mode(kwargs.pop("send_settle_mode", None))
        self._receive_settle_mode = checked_receive_mode(kwargs.pop("receive_settle_mode", None))
        self._desired_capabilities = given(kwargs.pop("desired_capabilities", None))
        link_name = kwargs.pop("link_name", None)
        self._link_name = text(link_name, "link_name", self._encoding) if link_name else None
        self._detach_on_close = bool(kwargs.pop("detach_on_close", False))
        convert.symbols(self._desired_capabilities, self._encoding, "desired_capabilities")
        timeouts = {name: kwargs.pop(name, None) for name in _TIMEOUTS}
        self._timeouts = {
            name: number(value, name, "seconds", positive=True) for name, value in timeouts.items() if value is not None
        }

    def _take_link_settings(self, kwargs: dict[str, Any]) -> None:
        """Remove the settings of a sending or receiving client's link from the keywords, and store them."""
        self._max_message_size = checked_size(kwargs.pop("max_message_size", None))
        self._max_message_size = self._max_message_size or constants.MAX_MESSAGE_LENGTH_BYTES
        self._link_properties = kwargs.pop("link_properties", None)
        convert.properties(self._link_properties, "link_properties", encoding_of(kwargs.get("encoding")))

    def _default_auth(self) -> AMQPAuth:
        remote = self._remote_address
        settings: dict[str, Any] = {
            "port": remote.port,
            "http_proxy": self._http_proxy,
            "transport_type": self._transport_type,
            "encoding": self._encoding,
            "use_tls": remote.scheme != "amqp",
        }
        credentials = remote.credentials
        if credentials is not None and all(credentials):  # as in 1.6, a user name alone doesn't count
            return SASLPlain(self._hostname, *credentials, **settings)
        return SASLAnonymous(self._hostname, **settings)

    def _check_scheme(self) -> None:
        if self._remote_address.scheme == "amqps" and not self._auth.use_tls:
            raise ValueError("An amqps:// address means TLS: it goes with no auth object that has use_tls=False.")

    def __enter__(self: _ClientT) -> _ClientT:  # noqa: PYI019 (Self needs Python 3.11)
        try:
            self.open()
            return self
        except BaseException:
            self.close()  # `__exit__` won't be called
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse copying and pickling.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"A {type(self).__name__} can't be copied or pickled, for its connection can't: make another.")

    def __del__(self) -> None:
        """Release what an abandoned client holds, and warn if it wasn't closed."""
        connection: Connection | None = self.__dict__.get("_connection")
        if connection is None or not connection._driver.is_connected or sys.is_finalizing():
            return
        handler, session = self.message_handler, self._session
        if self._ext_connection:
            connection._driver.part(lambda now: _part(now, connection, handler, session))
        elif not self._owes_outcomes():
            connection._driver.abandon(_DROPPED)
            connection._release_auth()
        # Without `source=self`, because a recorded warning would keep the client alive.
        warnings.warn(f"unclosed client {self!r}, connected to {self._hostname}", ResourceWarning, stacklevel=2)

    def _owes_outcomes(self) -> bool:
        """Return whether the application has unsettled messages, which it may still settle without the client."""
        return False

    # -- opening and closing

    def open(self, connection: Connection | None = None) -> None:
        """Open the client if it isn't open; its link follows with `client_ready` or whatever needs it.

        Args:
            connection: a connection to share with other clients; `close` leaves it open.

        Raises:
            ValueError: the authentication object is in use by another connection.
        """
        run(self._do_open(connection))

    async def _do_open(self, connection: Connection | None = None) -> None:
        current = self._connection
        if current is not None:
            current._refuse_inherited()
        if self._session is None:
            await self._opening.run(lambda: self._open_now(connection))

    @property
    def _driver(self) -> Driver | Own:
        """The connection's driver, or the client's substitute if there is no connection."""
        connection = self._connection
        return self._own if connection is None else connection._driver

    def _change(self, what: str, function: Callable[[float], T], guard: Guard | None = None) -> T:
        """Change the client's state, or what it sends, as `Driver.change` does; also without a connection.

        The client's own connections share a lock, so a change sees one of them at a time.
        """
        connection = self._connection  # not by `_driver`: this is done several times for each message
        return (self._own if connection is None else connection._driver).change(what, function, guard)

    def _look(self, function: Callable[[], T]) -> T:
        """Return the result of a function that runs while nobody changes the client's state."""
        return self._driver.call_out(function)

    async def _open_now(self, shared: Connection | None) -> None:
        if shared:
            having(shared, "connection", "a Connection", "auth", "container_id", "_core", "_driver")

        def begin(now: float) -> bool:
            is_free = self._connection is None
            if is_free:
                self._shutdown = False
            return is_free

        is_free = self._change(_OPENING, begin, self._state)
        if self._session is not None:
            return
        if not is_free:
            raise errors.AMQPConnectionError("The client is being opened, or redirected: it can't be used meanwhile.")
        connection: Connection | None = None
        try:
            connection = self._prepare(shared)
            if connection is not None and self._begin_with(connection, is_shared=bool(shared)):
                await self._make_session(connection)
                if self._keep_alive_interval:
                    self._start_keep_alive()
            elif connection is not None and not shared:
                await connection._do_destroy()
        except BaseException as error:
            if connection is not None:
                await self._give_up(connection, at_once=not isinstance(error, Exception))
            raise

    def _prepare(self, shared: Connection | None) -> Connection | None:
        """Return the connection to use, or None if a signal handler has opened the client meanwhile."""
        if shared:
            self._check_auth(shared.auth)
            _logger.debug("Using the existing connection %r to %s.", shared.container_id, shared._peer)
            return shared
        try:
            return self._build_connection()
        except ValueError:
            if self._session is None:
                raise
            return None  # because that connection uses the authentication object

    def _begin_with(self, connection: Connection, *, is_shared: bool) -> bool:
        """Use a connection for the client; return False if a signal handler has opened the client meanwhile.

        Raises:
            AMQPConnectionError: the client was closed meanwhile.
        """

        def begin(now: float) -> bool:
            is_open = self._session is not None
            if not is_open and not self._shutdown and self._connection is None:
                self._ext_connection = is_shared
                self._connection = connection
                if is_shared:
                    self._auth = connection.auth
            return is_open

        is_open = self._change(_OPENING, begin, self._state)
        if not is_open and self._connection is not connection:
            raise errors.AMQPConnectionError(_CLOSED_MEANWHILE)
        return not is_open

    async def _give_up(self, connection: Connection, at_once: bool) -> None:
        """Close what was opened before an error; `at_once` for doing so without telling the peer."""
        if self._connection is connection:
            self._connection = None
            self._session = None
        if connection._is_clients:
            if at_once:
                connection._driver.abort("opening was interrupted")
            await connection._do_destroy()

    def _build_connection(self) -> Connection:
        if self._own_auth and self._auth.consumed:
            self._auth = self._default_auth()  # for opening the client again
        connection = self.connection_type(
            self._hostname,
            self._auth,
            container_id=self._name,
            max_frame_size=self._max_frame_size,
            channel_max=self._channel_max,
            idle_timeout=self._idle_timeout,
            properties=self._properties,
            remote_idle_timeout_empty_frame_send_ratio=self._remote_idle_timeout_empty_frame_send_ratio,
            error_policy=self._error_policy,
            debug=self._debug_trace,
            encoding=self._encoding,
            **self._timeouts,
        )
        connection._port = self._remote_address.port
        connection._is_clients = True
        connection._driver.share_lock(self._own)
        return connection

    async def _make_session(self, connection: Connection) -> None:
        """Make the session; on a connection that authenticates by a token, clients share the token's session."""
        auth = connection.auth
        settings: dict[str, Any] = {
            "incoming_window": self._incoming_window,
            "outgoing_window": self._outgoing_window,
            "handle_max": self._handle_max,
            "on_attach": self._on_attach,
        }
        if not isinstance(auth, CBSAuthMixin):
            self._take_session(connection, self.session_type(connection, **settings))
            return

        async def authenticate() -> None:
            if connection._cbs is None:
                await auth._do_create_authenticator(
                    connection, debug=self._debug_trace, session_type=self.session_type, **settings
                )

        await connection._authenticating.run(authenticate)
        self._take_session(connection, auth._session)

    def _take_session(self, connection: Connection, session: Session | None) -> None:

        def take(now: float) -> bool:
            is_there = self._connection is connection and session is not None
            if is_there:
                self._session = session
            return is_there

        if not self._change(_OPENING, take, self._state):
            raise errors.AMQPConnectionError(_CLOSED_MEANWHILE)

    @staticmethod
    def _check_auth(auth: AMQPAuth) -> None:
        if isinstance(auth, CBSAsyncAuthMixin):
            raise TypeError(f"{type(auth).__name__} is for asyncio clients; use SASTokenAuth or JWTTokenAuth here.")

    def close(self, *, detach: bool | None = None) -> None:
        """Close link, session and connection, but leave a shared connection open. A closed client stays closed.

        Each step waits up to a few seconds for the peer's answer. Messages that wait to be sent stay in the queue.

        Args:
            detach: whether to just detach the link, so that a durable subscription stays (section 2.6.3); closing the
                link ends it. None for the client's `detach_on_close`.
        """
        connection = self._connection
        if self._defer(lambda: self.close(detach=detach)):
            self._shutdown = True  # called by a signal handler: the interrupted frame closes the client
            return
        try:
            run(self._do_close(detach))
        except BaseException:
            if connection is not None and connection is self._connection and not self._ext_connection:
                connection._driver.abort("closing was interrupted")
            raise

    def _defer(self, function: Callable[[], None]) -> bool:
        """Postpone a function until the end of the step that a signal handler has interrupted, if there is one."""
        if self._look(lambda: bool(self._state.half_done) and self._state.defer(function)):
            return True
        connection = self._connection
        return connection is not None and connection._driver.defer(function)

    async def _do_close(self, detach: bool | None = None) -> None:
        connection: Connection | None = None
        handler: MessageLink | None = None
        session: Session | None = None
        owned = begun = False

        async def close() -> None:
            nonlocal begun
            if connection is None:
                return
            try:
                begun = True
                await self._close_all(connection, handler, session, owned, detach)
            except BaseException as error:
                if owned and not isinstance(error, Exception):  # interrupted, or cancelled
                    connection._driver.abort("closing was interrupted")
                raise

        def begin(now: float) -> None:
            nonlocal connection, handler, session, owned
            self._shutdown = True
            self._on_closing()
            owned = not self._ext_connection
            handler, session, connection = self.message_handler, self._session, self._connection
            self.message_handler = self._session = self._connection = None

        try:
            self._change("closing", begin, self._state)
            self._stop_keep_alive()
            if connection is None:
                await self._share_closing(None)
                return
            if connection._driver.foreign:
                self._forget_inherited()
            self._opening.forget()
            connection._driver.interrupt()
            await self._share_closing(close, waits=connection._core.engine is not None)
        except BaseException:
            if connection is not None and owned and not begun:
                connection._driver.abort("closing was interrupted")
            raise
        _logger.debug("Client %r of %s is closed.", self._name, self._remote_address)

    def _on_closing(self) -> None:
        """Handle the loss of the connection, with the lock held."""

    async def _close_all(
        self,
        connection: Connection,
        handler: MessageLink | None,
        session: Session | None,
        owned: bool,
        detach: bool | None,
    ) -> None:
        """Close what the client had, including the connection if it is `owned`."""
        try:
            if handler is not None:
                await handler._do_destroy(detach=self._detach_on_close if detach is None else detach)
            if session is not None and not isinstance(connection.auth, CBSAuthMixin):
                await session._do_destroy()
        except BaseException as error:
            if not owned and handler is not None:
                handler.close()
            elif owned and not isinstance(error, Exception):  # without telling the peer
                connection._driver.abort("closing was interrupted")
            raise
        finally:
            if owned:
                await connection._do_destroy()

    def _forget_inherited(self) -> None:
        """Forget what belongs to the parent process, which has opened the client before this fork."""

    def _forget_threads(self) -> None:
        """Forget the calls of other threads, which don't exist in the child of a fork. Called by a `Survivor`."""
        self._state = Guard()

    async def _share_closing(self, operation: Operation | None, *, waits: bool = False) -> None:
        """Close the client for all callers of `close`.

        Args:
            operation: what there is to do; None if somebody else is doing it, or the client is closed.
            waits: whether it waits for the peer.
        """
        if operation is not None:
            await operation()

    def _is_shut_down(self) -> bool:
        return self._shutdown

    def _require_open(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise errors.AMQPConnectionError("The client is not open: call open() first.")
        connection._refuse_inherited()
        return connection

    async def _do_redirect(self, redirect: Any, auth: AMQPAuth) -> None:
        """Follow a redirect to another host."""
        having(redirect, "redirect", "a LinkRedirect", "hostname")
        checked_auth(auth, "auth")
        if self._ext_connection:
            raise ValueError("Clients with a shared connection cannot be automatically redirected.")
        connection = self._require_open()
        hostname = text(redirected_host(redirect), "the redirect's hostname", self._encoding)
        self._check_auth(auth)
        self._drop_pending()  # while the old link is there, so that nothing of it is sent again over a new one
        handler, self.message_handler = self.message_handler, None
        if handler is not None:
            await handler._do_destroy()
        session, self._session = self._session, None
        if session is not None and not isinstance(connection.auth, CBSAuthMixin):
            await session._do_destroy()
        self._auth = auth
        self._own_auth = False
        self._hostname = hostname
        try:
            await connection._do_redirect(redirect, auth)
            self._drop_pending()  # what was queued meanwhile may have gone to the old host as well
            await self._make_session(connection)
        except BaseException as error:
            await self._give_up(connection, at_once=not isinstance(error, Exception))
            raise

    def _drop_pending(self) -> None:
        """Drop what was meant for the old host of a client that is redirected."""

    # -- keep-alive

    def _start_keep_alive(self) -> None:
        alarm = Alarm()
        thread = threading.Thread(
            target=keep_alive,
            args=(weakref.ref(self, lambda _: alarm.stop()), alarm, self._keep_alive_interval),
            name=f"uamqp-keep-alive-{self._name}",
            daemon=True,
        )
        if started(thread):
            self._keep_alive_alarm, self._keep_alive_thread = alarm, thread

    def _stop_keep_alive(self) -> None:
        thread, self._keep_alive_thread = self._keep_alive_thread, None
        alarm, self._keep_alive_alarm = self._keep_alive_alarm, None
        if alarm is not None:
            alarm.stop()
        # At the end of the interpreter the thread is frozen, and never ends.
        if thread is not None and thread is not threading.current_thread() and not sys.is_finalizing():
            try:
                thread.join()
            except RuntimeError:
                _logger.debug("The keep-alive thread of %r had not started.", self._name)

    # -- work

    def auth_complete(self) -> bool:
        """Take a step of the authentication by a token, if there is one, waiting up to 50 ms.

        Returns:
            Whether the client may send and receive.

        Raises:
            AMQPConnectionError: the client isn't open, or the connection has failed.
            AuthenticationException: the token was refused, or has expired.
            TimeoutError: the service hasn't answered in time.
        """
        return run(self._do_auth_complete())

    async def _do_auth_complete(self) -> bool:
        if not await self._authorized():
            await self._turn(IDLE_WAIT)
            return False
        return True

    async def _authorized(self) -> bool:
        """Take a step of the authentication, without waiting, and return whether it is done."""
        auth = self._require_open().auth
        if not isinstance(auth, CBSAuthMixin):
            return True
        timed_out, in_progress = await auth._do_handle_token()
        if timed_out:
            raise compat.TimeoutException("Authorization timeout.")
        return not in_progress

    def client_ready(self) -> bool:
        """Take a step towards the open link, waiting up to 50 ms, and return whether it is open.

        Raises:
            AMQPConnectionError, LinkDetach: opening has failed.
        """
        return run(self._do_client_ready())

    async def _do_client_ready(self) -> bool:
        if not await self._do_auth_complete():
            return False
        if not await self._do_link_ready():
            await self._turn(IDLE_WAIT)
            return False
        return True

    def _make_handler(self) -> MessageLink | None:
        """Make the client's link, which the base client doesn't have."""
        return None

    def _new_handler(self) -> MessageLink | None:
        if self._session is None:
            raise errors.AMQPConnectionError("The client is not open: call open() first.")
        return self._make_handler()

    async def _do_link_ready(self) -> bool:
        """Return whether the link is open, after attaching it if necessary."""
        if self.message_handler is not None:
            return self._link_is_open(self.message_handler)
        handler = self._look(self._new_handler)
        if handler is None:
            return True
        await handler._do_connect()
        return self._attach(handler)

    def _attach(self, handler: MessageLink) -> bool:
        """Attach a link, unless another thread or task was faster, and return whether the link is open."""
        connection = self._connection
        if connection is None:
            return False  # closed meanwhile
        handler._attach(lambda: self._take_handler(handler, connection))
        if handler._connection is not connection:
            return False  # closed and opened again meanwhile
        attached = self.message_handler
        return attached is not None and self._link_is_open(attached)

    def _take_handler(self, handler: MessageLink, connection: Connection) -> bool:
        """Use a link, within a step of the connection; return False if the client or connection has another."""
        if self.message_handler is not None or not self._connection is handler._connection is connection:
            return False
        self.message_handler = handler
        return True

    def mgmt_request(
        self,
        message: Message,
        operation: str | bytes,
        op_type: str | bytes | None = None,
        node: str | bytes | None = None,
        callback: Callable[[int, Message, bytes], Any] | None = None,
        **kwargs: Unpack[ClientRequestKeywords],
    ) -> Any:
        """Make a request to a management node, once the client is authenticated, and wait for the answer.

        Arguments, result and errors are those of `Session.mgmt_request`.

        Raises:
            AuthenticationException, TimeoutError: see `auth_complete`.
        """
        plain(callback, "callback")
        return run(self._do_mgmt_request(message, operation, op_type, node, callback, **kwargs))

    async def _do_mgmt_request(
        self,
        message: Message,
        operation: str | bytes,
        op_type: str | bytes | None,
        node: str | bytes | None,
        callback: Callable[[int, Message, bytes], Any] | None,
        **kwargs: Any,
    ) -> Any:
        check_request(message, operation, op_type, node, callback=callback, **kwargs)
        self._require_open()
        while not await self._authorized():
            await self._turn(None)
        session = self._session
        if session is None:
            raise errors.AMQPConnectionError("The client is not open: call open() first.")
        return await session._do_mgmt_request(message, operation, op_type, node, callback=callback, **kwargs)

    async def _do_step(self, timeout: float) -> bool:
        """Do one step of the ready client's work, waiting up to `timeout` seconds."""
        await self._turn(timeout)
        return True

    async def _turn(self, timeout: float | None) -> None:
        """Do the connection's work, waiting up to `timeout` seconds, unless the client is being closed.

        Args:
            timeout: in seconds; None for waiting until something happens.
        """
        connection = self._connection
        if connection is None:
            if not self._shutdown:
                self._require_open()
            return
        auth = connection.auth
        try:
            await connection._turn(timeout, self._seen_progress)
        except errors.AMQPConnectionError:
            if not self._shutdown:
                raise
        finally:
            self._seen_progress = connection._driver.mark
        if isinstance(auth, CBSAuthMixin) and not self._shutdown and self._session is not None:
            await self._authorized()  # messages flow while the token is renewed

    def do_work(self, **kwargs: Any) -> bool:
        """Take a step: open what isn't open, else send or receive; wait up to 50 ms. Keywords are ignored.

        Returns:
            False if the client is shut down.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
        """
        return run(self._do_work())

    async def _do_work(self) -> bool:
        if self._shutdown:
            return False
        if not await self._do_client_ready():
            return True
        # A caller that waits for the open link has to be told at once, without waiting for anything else.
        is_news = self._worked_on is not self.message_handler
        self._worked_on = self.message_handler
        return await self._do_step(0.0 if is_news else IDLE_WAIT)

    async def _wait_ready(self, deadline: float | None = None) -> bool:
        """Wait until the link is open; the engine bounds each step. Return False after shutdown or the deadline."""
        while not self._shutdown:
            try:
                if await self._authorized() and await self._do_link_ready():
                    return True
            except errors.AMQPConnectionError:
                if self._is_shut_down():
                    break  # somebody else is closing the client
                raise
            remaining = self._driver.remaining(deadline)
            if remaining is not None and remaining <= 0:
                return False
            await self._turn(remaining)
        return False

    def _link_is_open(self, handler: MessageLink) -> bool:
        """Return whether the link is open.

        Raises:
            LinkDetach, ConnectionClose, MessageHandlerError: the link has failed.
        """
        state = handler.get_state()
        current = handler._core.state
        if current not in (LinkState.OPEN, LinkState.OPENING):
            raise errors.MessageHandlerError(f"{handler._kind} is not open any more: its state is {state.name}.")
        return current is LinkState.OPEN


def _part(now: float, connection: Connection, handler: MessageLink | None, session: Session | None) -> None:
    """Remove a client's link and session from a connection that it shared."""
    if handler is not None:
        handler._core.close(now)
        handler._retire()
    if session is not None and not isinstance(connection.auth, CBSAuthMixin):
        session._end(now)
