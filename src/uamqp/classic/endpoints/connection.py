"""`Connection`: one AMQP connection of the blocking 1.6 API."""

from __future__ import annotations

import logging
import sys
import uuid
import warnings
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

from ...core import ConnectionCore, LinkCore
from ...engine import Cause, EngineConfig, LocalProtocolError, Trace
from ...engine.limits import MIN_MAX_FRAME_SIZE
from ...transport.blocking.driver import BlockingDriver
from ...transport.blocking.stream import is_from_outside
from ...transport.drive import run
from ...transport.driver import Driver, Pump
from ...transport.sansio.endpoint import address_text
from ...transport.shared import SharedAmongThreads
from ...transport.signals import Signal
from ..auth import AMQPAuth, Authentication, SASLAnonymous, checked_auth
from ..values import convert
from ..values.arguments import encoded, encoding_of, finite, given, having, integer, number, shown, text
from ..vocabulary import compat, constants, errors, translate
from ..vocabulary.callbacks import is_overridden, plain
from ..vocabulary.trace import log_frame

__all__ = ["Connection"]

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from .receiver import MessageReceiver
    from .session import Session

_logger = logging.getLogger("uamqp.connection")  # as in 1.6

_MAX_UINT = 4294967295
_UNSET_CHANNEL_MAX = 65535
IDLE_WAIT = 0.05
"""Seconds that a polled step waits for input when there is nothing to do, so that polling loops don't burn the CPU."""


class Connection:
    """An AMQP connection (section 2.4). It connects when its first link or session is opened.

    Args:
        hostname: the host name in the open performative, text or bytes: the virtual host, for brokers with virtual
            hosts. The TCP connection goes to the host of `sasl`.
        sasl: credentials and transport settings; None for ANONYMOUS over TLS to `hostname`.
        container_id: our name; None for a new UUID.
        max_frame_size: largest frame in bytes that we accept, at least 512.
        channel_max: highest channel number that we accept; 0 or None for 65535.
        idle_timeout: milliseconds within which the peer has to send something, as it is told; after twice that time
            without input, the connection fails (section 2.4.5). None for no limit.
        properties: connection properties, a dict.
        remote_idle_timeout_empty_frame_send_ratio: an empty frame is sent after this fraction (above 0, below 1) of the
            peer's idle time-out; None for 0.5.
        error_policy: decides what errors mean; None for `ErrorPolicy()`.
        debug: whether to trace frames to the log.
        encoding: encoding of the arguments that are text.
        handshake_timeout: seconds from the TCP connection to the peer's open.
        link_timeout: seconds that the peer may take to begin a session, or to attach or detach a link.
        close_timeout: seconds that the peer may take to answer our close.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range, or `sasl` is in use by another connection.
    """

    __module__ = "uamqp.connection"

    _shared_type: type[SharedAmongThreads] = SharedAmongThreads

    def __init__(
        self,
        hostname: str | bytes,
        sasl: AMQPAuth | None,
        container_id: str | bytes | bool | None = False,
        max_frame_size: int | None = None,
        channel_max: int | None = None,
        idle_timeout: float | None = None,
        properties: dict[Any, Any] | None = None,
        remote_idle_timeout_empty_frame_send_ratio: float | None = None,
        error_policy: errors.ErrorPolicy | None = None,
        debug: bool = False,
        encoding: str = "UTF-8",
        *,
        handshake_timeout: float = 30.0,
        link_timeout: float = 30.0,
        close_timeout: float = 5.0,
    ) -> None:
        self._encoding = encoding = encoding_of(encoding)
        self._debug = debug
        self._timeouts = {
            "handshake_timeout": number(handshake_timeout, "handshake_timeout", "seconds", positive=True),
            "link_timeout": number(link_timeout, "link_timeout", "seconds", positive=True),
            "close_timeout": number(close_timeout, "close_timeout", "seconds", positive=True),
        }
        self.hostname = encoded(hostname, "hostname", encoding)
        self.container_id = (
            encoded(container_id, "container_id", encoding) if container_id else str(uuid.uuid4()).encode()
        )
        self.error_policy = errors.policy_of(error_policy)
        self.auth = checked_auth(sasl, "sasl") if sasl is not None else SASLAnonymous(self.hostname)
        self._error: BaseException | None = None
        self._closing = False
        self._destroyed = False
        self._is_clients = False  # whether a client has made it, and will close it
        self._cbs: Authentication | None = None  # keeps the connection's token valid
        self._token_due = Signal()  # one of those who wait has to take care of the token
        self._authenticating = self._shared_type()  # shared by its clients
        self._has_auth = False
        self._port: int | None = None
        self._sessions: list[Session] = []
        self._readers: weakref.WeakSet[MessageReceiver] = weakref.WeakSet()  # receivers without a client
        self._reported_state = constants.ConnectionState.UNKNOWN
        self._settings: dict[str, Any] = {}
        for override_point in ("_state_changed", "_close_received"):
            plain(getattr(self, override_point), override_point)
        self._core = ConnectionCore(self)
        self._driver = self._make_driver()
        settings = {
            "max_frame_size": max_frame_size,
            "channel_max": channel_max,
            "idle_timeout": idle_timeout,
            "properties": properties,
            "remote_idle_timeout_empty_frame_send_ratio": remote_idle_timeout_empty_frame_send_ratio,
        }
        self._settings = checked_settings(settings, encoding)
        self._config()
        self._consume_auth(self.auth)

    def _consume_auth(self, auth: AMQPAuth) -> None:
        if auth.consumed:
            raise ValueError(
                "The supplied authentication has already been consumed by another connection. "
                "Please create a fresh instance, or close that connection first."
            )
        auth.consumed = self._has_auth = True

    async def _close_authenticator(self) -> None:
        if self._has_auth and self._cbs is not None:
            await self._cbs.close()

    def _release_auth(self) -> None:
        """Release the authentication object, so that another connection can use it."""
        self._cbs = None
        has_it, self._has_auth = self._has_auth, False
        if has_it:
            self.auth.close()

    def __enter__(self) -> Connection:  # noqa: PYI034 (Self needs Python 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.destroy()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse copying and pickling.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"A {type(self).__name__} can't be copied or pickled: make another.")

    def __del__(self) -> None:
        """Release the credentials, and warn that it wasn't closed; its pump closes the socket."""
        driver: Driver | None = self.__dict__.get("_driver")
        if driver is None or sys.is_finalizing():
            return
        self._release_auth()
        if driver.is_connected and not self._is_clients:
            warnings.warn(f"unclosed connection {self!r} to {self.hostname!r}", ResourceWarning, stacklevel=2)

    # -- settings

    def _config(self) -> EngineConfig:
        settings = self._settings
        properties = settings.get("properties")
        try:
            return EngineConfig(
                text(self.container_id, "container_id", self._encoding),
                hostname=text(self.hostname, "hostname", self._encoding) or None,
                max_frame_size=settings.get("max_frame_size", constants.MAX_FRAME_SIZE_BYTES),
                channel_max=settings.get("channel_max", _UNSET_CHANNEL_MAX),
                idle_timeout=settings["idle_timeout"] / 1000 if settings.get("idle_timeout") else None,
                heartbeat_ratio=settings.get("remote_idle_timeout_empty_frame_send_ratio", 0.5),
                properties=convert.properties(properties, "properties", self._encoding),
                handshake_timeout=self._timeouts["handshake_timeout"],
                link_timeout=self._timeouts["link_timeout"],
                close_timeout=self._timeouts["close_timeout"],
            )
        except LocalProtocolError as error:
            raise ValueError(f"Invalid connection setting: {error}") from error

    def _set(self, name: str, value: Any) -> None:
        self._check_idle(name)
        self._settings[name] = _checked(name, value, self._encoding)

    def _check_idle(self, name: str) -> None:
        if self._core.engine is not None:
            raise ValueError(f"{name} can't be changed once the connection has started.")

    @property
    def max_frame_size(self) -> int:
        """Largest frame in bytes that we accept; 4294967295 if it wasn't set."""
        return int(self._settings.get("max_frame_size", _MAX_UINT))

    @max_frame_size.setter
    def max_frame_size(self, value: int) -> None:
        self._set("max_frame_size", value)

    @property
    def channel_max(self) -> int:
        """Highest channel number that we accept."""
        return int(self._settings.get("channel_max", _UNSET_CHANNEL_MAX))

    @channel_max.setter
    def channel_max(self, value: int) -> None:
        self._set("channel_max", value)

    @property
    def idle_timeout(self) -> float | None:
        """Milliseconds within which the peer has to send something; it fails after twice that. None for no limit."""
        return self._settings.get("idle_timeout")

    @idle_timeout.setter
    def idle_timeout(self, value: float) -> None:
        self._set("idle_timeout", value)

    @property
    def properties(self) -> dict[Any, Any] | None:
        """Connection properties, as given."""
        return self._settings.get("properties")

    @properties.setter
    def properties(self, value: dict[Any, Any]) -> None:
        self._set("properties", value)

    @property
    def remote_max_frame_size(self) -> int:
        """Largest frame in bytes that the peer accepts; 512 until it has announced one."""
        engine = self._core.engine
        return engine.remote_max_frame_size if engine is not None else MIN_MAX_FRAME_SIZE

    @property
    def _state(self) -> constants.ConnectionState:
        """The connection's state in the table of section 2.4.6; UNKNOWN before it starts."""
        engine = self._core.engine
        return constants.ConnectionState[engine.state.name] if engine is not None else constants.ConnectionState.UNKNOWN

    @property
    def _peer(self) -> str:
        """Host and port to which it goes, for log lines."""
        return address_text(*self.auth._address(self._port))

    def _trace(self) -> Trace:
        return partial(log_frame, {"connection": f"{self.container_id!r} to {self._peer}"})

    @property
    def _lock(self) -> Any:
        return self._pump.lock

    @property
    def _conn(self) -> ConnectionCore:
        return self._core

    # -- driving it

    def start(self) -> None:
        """Connect, unless that was done. Whatever needs the connection first calls this.

        Raises:
            AMQPConnectionError: the host is unknown or doesn't answer.
        """
        run(self._do_start())

    async def _do_start(self) -> None:
        self._raise_error()
        if self._core.engine is not None:
            return
        config = self._config()
        config.mechanisms = self.auth._mechanisms()
        endpoint = await self._driver.prepare(lambda: self.auth._endpoint(self._port), is_quick=self.auth._is_prepared)
        config.tls_port = endpoint.is_tls_port
        try:
            await self._driver.start(endpoint, config, self._trace() if self._debug else None)
        except OSError as error:
            if is_from_outside(error):
                raise
            raise errors.AMQPConnectionError(f"Unable to connect to {endpoint}: {error}") from error
        self._note_state()

    def work(self) -> None:
        """Do what is due, without waiting: read, write, timers, credit of receivers without a client.

        Raises:
            AMQPConnectionError, ConnectionClose: the connection has failed or was closed by the peer.
        """
        run(self._do_work())

    async def _do_work(self) -> None:
        self._renew_credit()
        await self._turn(0.0)

    def _renew_credit(self) -> None:
        """Let receivers without a client ask for more messages, because this call reads them."""
        if self._readers:
            self._driver.call_out(self._renew_readers)

    def _renew_readers(self) -> None:
        for receiver in tuple(self._readers):
            receiver._renew()

    async def _turn(self, timeout: float | None, seen: int | None = None) -> bool:
        """Do what `work` does, wait if there is nothing to do, and return whether anything happened.

        Args:
            timeout: maximum seconds to wait; None for waiting until something happens.
            seen: the driver's `mark` at the caller's latest look; if anything happened since, this doesn't wait.
        """
        self._raise_error()
        try:
            happened = await self._driver.turn(timeout, seen)
        finally:
            self._note_state()
        self._raise_error()
        return happened

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._destroyed:
            raise errors.AMQPConnectionError("The connection was closed: it can't be used any more.")

    def _refuse_inherited(self) -> None:
        """Raise an error if the connection belongs to the parent process of this fork."""
        if self._driver.foreign:
            self._driver.change("looking whose it is", lambda now: None)  # reports its end to everything on it
            self._raise_error()

    def lock(self, timeout: float = 3.0) -> None:
        """Take the connection's lock: no other thread works on it until `release`.

        Args:
            timeout: in seconds; -1 for no limit.

        Raises:
            TimeoutError: it wasn't free within `timeout` seconds.
        """
        limit = -1 if timeout == -1 else finite(timeout, "timeout", "seconds")
        if not self._pump.lock.acquire(timeout=limit):
            raise compat.TimeoutException("Failed to acquire connection lock.")

    def release(self) -> None:
        """Release the lock if the calling thread holds it."""
        try:
            self._pump.lock.release()
        except RuntimeError:
            _logger.debug("The lock of connection %r to %s isn't held by this thread.", self.container_id, self._peer)

    def sleep(self, seconds: float) -> None:
        """Do the connection's work for a number of seconds."""
        run(self._do_sleep(seconds))

    async def _do_sleep(self, seconds: float) -> None:
        deadline = self._driver.deadline(finite(seconds, "seconds", "seconds"))
        while (remaining := self._driver.remaining(deadline)) > 0:
            self._renew_credit()
            await self._turn(remaining)

    def destroy(self) -> None:
        """Close the connection and everything on it; it can't be used again. Only the first call counts.

        This waits up to 5 seconds for the peer's answer.
        """
        if not self._driver.defer(self.destroy):
            run(self._do_destroy())

    async def _do_destroy(self) -> None:
        try:
            self._closing = True
            await self._close_authenticator()
            await self._driver.close()
        except BaseException:
            self._driver.stop_closing()
            raise
        finally:
            self._destroyed = True
            self._release_auth()
            self._note_state()

    def redirect(self, redirect_error: Any, auth: AMQPAuth) -> None:
        """Follow a redirect from the peer to another host, unless the connection already goes there.

        Args:
            redirect_error: the `LinkRedirect` or `ConnectionRedirect`, with the new host's name as bytes.
            auth: new credentials, which say where to connect; their default port is the redirect's.

        Raises:
            ValueError: the redirect doesn't name a host, or `auth` is in use.
        """
        run(self._do_redirect(redirect_error, auth))

    async def _do_redirect(self, redirect_error: Any, auth: AMQPAuth) -> None:
        checked_auth(auth, "auth")
        hostname = encoded(redirected_host(redirect_error), "hostname", self._encoding)
        if self.hostname == hostname and self._error is None:
            return
        self._consume_auth(auth)
        self._closing = True
        try:
            await self._close_authenticator()
            await self._driver.close()
        except BaseException:
            auth.close()
            raise
        self._cbs = None
        self.auth.close()
        self.auth = auth
        self.hostname = hostname
        self._port = getattr(redirect_error, "port", None) or self._port
        self._core = ConnectionCore(self)
        self._driver.renew(self._core)
        self._error = None
        self._closing = False

    # -- the driver, which differs between the fronts

    def _make_driver(self) -> Driver:
        return BlockingDriver(self._core)

    @property
    def _pump(self) -> Pump:
        return self._driver.pump

    # -- events from the core

    def on_connection_opened(self) -> None:
        """Handle that both sides have opened the connection."""
        self._note_state()

    def on_connection_closed(self, cause: Cause | None) -> None:
        """Handle the connection's end."""
        if cause is not None and not self._closing and self._error is None:
            self._close_received(cause)
        elif cause is not None and cause.exception is not None:  # otherwise nobody is told of this fault of our own
            _logger.error(
                "Connection %r to %s: %s", self.container_id, self._peer, cause.message, exc_info=cause.exception
            )
        self._note_state()

    def on_attach(self, link: LinkCore) -> None:
        """Handle the peer's answer to an attach."""
        for session in self._sessions:
            if session._core is link.session:
                session._attach_received(link)

    def _close_received(self, cause: Cause) -> None:
        """Store the exception for the next call to raise."""
        self._error = translate.connection_error(cause, self.error_policy)
        failure = cause.exception or self._driver.failure
        if failure is not None:
            self._error.__cause__ = failure
        _logger.info(
            "Connection %r to %s has ended: %r", self.container_id, self._peer, self._error, exc_info=cause.exception
        )

    def _state_changed(self, previous_state: Any, new_state: Any) -> None:
        """Handle a change of state; an override point."""
        _logger.info(
            "Connection %r state changed from %r to %r (%s)",
            self.container_id,
            previous_state,
            new_state,
            self._peer,
        )

    def _note_state(self) -> None:
        state = self._state
        previous = self._reported_state
        if state is not previous:
            self._reported_state = state
            if not is_overridden(self._state_changed, Connection._state_changed):
                self._state_changed(previous, state)
                return
            self._driver.call_out(lambda: self._state_changed(previous, state))


def redirected_host(redirect: Any) -> str | bytes:
    """Return the host that a redirect names, for the new connection's open.

    Raises:
        TypeError: it isn't a redirect.
        ValueError: it doesn't name a host.
    """
    having(redirect, "redirect", "a LinkRedirect", "hostname")
    host: str | bytes | None = redirect.hostname or getattr(redirect, "network_host", None)
    if not host:
        raise ValueError("The redirect names no host to go to.")
    return host


def checked_settings(settings: Mapping[str, Any], encoding: str) -> dict[str, Any]:
    """Return the settings of a connection that were given, which excludes false values.

    Raises:
        TypeError: one has the wrong type.
        ValueError: one is out of range.
    """
    return {name: _checked(name, value, encoding) for name, value in settings.items() if given(value) is not None}


def _checked(name: str, value: Any, encoding: str) -> Any:
    if name == "properties":
        if not isinstance(value, dict):
            raise TypeError("Connection properties must be a dictionary.")
        convert.properties(value, name, encoding)
        return value
    if name == "idle_timeout":
        found = number(value, name, "milliseconds", positive=True)
        if not 1 <= found <= _MAX_UINT:
            raise ValueError(f"{name} must be from 1 to {_MAX_UINT} milliseconds, not {shown(value)}.")
        return found
    if name == "remote_idle_timeout_empty_frame_send_ratio":
        found = number(value, name, "parts of the peer's time-out")
        if not 0 < found < 1:
            raise ValueError(f"{name} must be above 0 and below 1, not {shown(value)}.")
        return found
    if name == "channel_max":
        return integer(value, name, 0, _UNSET_CHANNEL_MAX)
    return integer(value, name, MIN_MAX_FRAME_SIZE, _MAX_UINT)
