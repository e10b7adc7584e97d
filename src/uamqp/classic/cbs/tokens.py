"""Claims-based security: authentication by a token that the connection puts to the node `$cbs`.

`tokens_async` has the classes for asyncio clients.
"""

from __future__ import annotations

import datetime
import logging
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...core import CBS_NODE, RequestNode, Token, TokenKeeper, TokenStatus, TokenStep, masked
from ...engine import LocalProtocolError
from ...transport.drive import run
from ...transport.sansio.clock import wall
from ..auth import AMQPAuth, checked_host, refuse_unknown
from ..endpoints.session import Session
from ..values import convert
from ..values.arguments import encoded, encoding_of, finite, having, number, text
from ..vocabulary import compat, constants, errors
from ..vocabulary.address import split_url
from ..vocabulary.callbacks import plain, refuse_unfinished
from ..vocabulary.constants import TransportType
from ..vocabulary.settings import SessionKeywords, TokenKeywords, Unpack

__all__ = ["CBSAuthMixin", "JWTTokenAuth", "SASTokenAuth", "TokenRetryPolicy"]

if TYPE_CHECKING:
    from ...transport.driver import Driver
    from ..endpoints.connection import Connection

_logger = logging.getLogger("uamqp.authentication.cbs_auth")  # as in 1.6

T = TypeVar("T")

_LOOKING = "looking at the token"

_STATUS = {
    TokenStatus.IDLE: constants.CBSAuthStatus.Idle,
    TokenStatus.IN_PROGRESS: constants.CBSAuthStatus.InProgress,
    TokenStatus.OK: constants.CBSAuthStatus.Complete,
    TokenStatus.REFRESH_REQUIRED: constants.CBSAuthStatus.RefreshRequired,
    TokenStatus.EXPIRED: constants.CBSAuthStatus.Expired,
    TokenStatus.TIMEOUT: constants.CBSAuthStatus.Timeout,
    TokenStatus.ERROR: constants.CBSAuthStatus.Error,
    TokenStatus.FAILURE: constants.CBSAuthStatus.Failure,
}


class TokenRetryPolicy:
    """How often a refused token is put again.

    Args:
        retries: number of tries after the first.
        backoff: milliseconds between two tries.

    Attributes:
        retries: as given.
        backoff: in seconds.
    """

    __module__ = "uamqp.authentication.cbs_auth"

    def __init__(self, retries: int = 3, backoff: float = 0) -> None:
        self.retries = number(retries or 0, "retries", "tries")
        self.backoff = number(backoff or 0, "backoff", "milliseconds") / 1000.0


class Authenticator:
    """The token of one connection, shared by its clients; 1.6's native CBS object.

    Attributes:
        keeper: keeps it valid.
        close: detaches the token's links, and ends their session; a coroutine function.
    """

    __module__ = "uamqp.authentication.cbs_auth"

    def __init__(self, keeper: TokenKeeper, driver: Driver, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.keeper = keeper
        self._driver = driver
        self.close = close

    def get_status(self) -> constants.CBSAuthStatus:
        """Return the state of the token."""
        return _STATUS[self._driver.change(_LOOKING, lambda now: self.keeper.claim.status(now, wall()))]

    def get_failure_info(self) -> tuple[int, bytes]:
        """Return the node's status and description if it refused the latest token, otherwise 0 and nothing."""
        refusal = self.keeper.refusal
        return (0, b"") if refusal is None else (refusal.status, refusal.description.encode())


class _Weak(Generic[T]):
    """An attribute that doesn't keep its object alive; None if the object is gone, or if there never was one."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = f"{name}_reference"

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> T | None:
        reference: weakref.ref[Any] | None = getattr(instance, self._name, None)
        return None if reference is None else reference()

    def __set__(self, instance: Any, value: T | None) -> None:
        setattr(instance, self._name, None if value is None else weakref.ref(value))


class CBSAuthMixin:
    """The authentication of a connection by a token, and its renewal.

    Attributes:
        audience, token_type, token: as bytes; `token` is None before the first `update_token` of a JWT.
        expires_at: when the token expires, in seconds since 1970.
        timeout: seconds that the node may take to answer; 0 for no limit.
        retries: number of refusals since the latest success.
    """

    __module__ = "uamqp.authentication.cbs_auth"

    audience: bytes
    token_type: bytes
    token: bytes | None
    expires_at: float | None
    expires_in: datetime.timedelta | None
    timeout: float
    retries: int
    _encoding: str
    _retry_policy: TokenRetryPolicy
    _refresh_window: float
    _prev_token: bytes | None

    def _init_cbs(self, timeout: float, retry_policy: TokenRetryPolicy | None, refresh_window: float) -> None:
        self.timeout = number(timeout or 0, "timeout", "seconds")
        self.retries = 0
        policy = retry_policy or TokenRetryPolicy()
        self._retry_policy = having(policy, "retry_policy", "a TokenRetryPolicy", "retries", "backoff")
        self._refresh_window = number(refresh_window or 0, "refresh_window", "seconds")
        self._prev_token = None
        self._connection = None
        self._session = None
        self._cbs_auth = None

    # Credentials may outlive the connection that uses them, so they don't keep it alive.
    _connection: _Weak[Connection] = _Weak()
    _session: _Weak[Session] = _Weak()
    _cbs_auth: _Weak[Authenticator] = _Weak()

    def update_token(self) -> Any:
        """Renew `token` and `expires_at`.

        Raises:
            TokenExpired: this class can't renew a token.
        """
        raise errors.TokenExpired("Unable to refresh token - no refresh logic implemented.")

    def create_authenticator(
        self, connection: Connection, debug: bool = False, **kwargs: Unpack[SessionKeywords]
    ) -> Authenticator:
        """Begin the session of the token's links, and connect. `handle_token` does the rest.

        Args:
            connection: the connection to authenticate.
            debug: ignored, for compatibility: the connection decides about tracing.
            kwargs: settings of the `Session`, which the clients share.

        Raises:
            AMQPConnectionError: the host is unknown or doesn't answer.
            AuthenticationException: the token can't be used.
        """
        return run(self._do_create_authenticator(connection, debug=debug, **kwargs))

    async def _do_create_authenticator(
        self, connection: Connection, debug: bool = False, session_type: type[Session] = Session, **kwargs: Any
    ) -> Authenticator:
        self._connection = connection
        self.retries = 0
        self._session = session = session_type(connection, **kwargs)
        keeper = TokenKeeper(RequestNode(session._core, CBS_NODE), self._retry_policy, self.timeout)
        self._cbs_auth = connection._cbs = authenticator = Authenticator(
            keeper, connection._driver, self._do_close_authenticator
        )
        caller = connection._driver.caller()
        try:
            keeper.occupy(caller)
            keeper.on_due = connection._token_due.fire_one
            connection._core.keeper = keeper
            await self._first_token()
            await self._connect(connection)
            try:
                connection._driver.change("attaching the token's links", keeper.open)
            except LocalProtocolError as error:
                raise errors.AMQPConnectionError(f"The connection was closed meanwhile: {error}.") from error
        except BaseException:
            connection._cbs = connection._core.keeper = None
            if self._cbs_auth is authenticator:
                self._cbs_auth = None
            connection._driver.interrupt()  # others may wait for the authenticator
            await session._do_destroy()
            raise
        finally:
            if connection._driver.call_out(lambda: keeper.leave(caller)):
                connection._driver.interrupt()
        return authenticator

    async def _first_token(self) -> None:
        """Get the first token to put: the current one unless it has expired, otherwise a new one."""
        if self._has_ended():
            await self._update()

    async def _update(self) -> None:
        """Call `update_token`, and wait until it is done."""
        refuse_unfinished(self.update_token(), "update_token")

    def _has_ended(self) -> bool:
        return self.expires_at is not None and self.expires_at <= wall()

    async def _connect(self, connection: Connection) -> None:
        if isinstance(self, AMQPAuth):
            self._announce_token()
        try:
            await connection._do_start()
        except errors.ConnectionClose:
            raise
        except errors.AMQPConnectionError as error:
            raise errors.AMQPConnectionError(
                f"Unable to open authentication session on connection {connection.container_id!r}.\n"
                f"Please confirm target hostname exists: {masked(repr(connection.hostname))}. {error}"
            ) from error

    def close_authenticator(self) -> None:
        """Detach the token's links and end their session; only the first call counts."""
        run(self._do_close_authenticator())

    async def _do_close_authenticator(self) -> None:
        authenticator, self._cbs_auth = self._cbs_auth, None
        session, self._session = self._session, None
        connection = self._connection
        if authenticator is not None and connection is not None:

            def close(now: float) -> None:
                authenticator.keeper.close(now)
                if connection._core.keeper is authenticator.keeper:
                    connection._core.keeper = None

            connection._driver.change("closing the token's links", close)
        if session is not None:
            await session._do_destroy()

    def handle_token(self) -> tuple[bool, bool]:
        """Take a step towards a valid token: put it, look for the answer, or renew it.

        Returns:
            Whether the node hasn't answered in time, and whether no token is valid yet.

        Raises:
            TokenAuthFailure: the node refused the token repeatedly; with the node's status and description.
            TokenExpired: the token has expired, and there is no new one.
            AuthenticationException: the node's links are gone, or there is no token to put.
        """
        return run(self._do_handle_token())

    async def _do_handle_token(self) -> tuple[bool, bool]:
        connection, authenticator = self._connection, self._cbs_auth
        if connection is None or authenticator is None:
            raise errors.AuthenticationException("There is no authenticator: call create_authenticator() first.")
        if connection._closing or connection._error is not None:
            return False, False
        keeper = authenticator.keeper
        if connection._driver.change(_LOOKING, keeper.is_overdue):
            await connection._turn(0.0)  # an answer that arrived while nobody called isn't late
        caller = connection._driver.caller()
        others_look = True  # others may wait for what this call leaves undone
        try:
            step, is_ready = self._look(connection, keeper)
            result = False, not is_ready
            if step is not TokenStep.NOTHING:
                result = await self._take(step, connection, keeper)
            others_look = False
        except ValueError as error:
            raise errors.AuthenticationException(f"Token authentication failed: {error}") from error
        finally:
            if connection._driver.call_out(lambda: keeper.leave(caller, self._renewing())) or others_look:
                connection._driver.interrupt()
        return result

    def _is_in_force(self) -> bool:
        """Return whether the node has accepted a token that hasn't expired."""
        authenticator = self._cbs_auth
        return authenticator is not None and authenticator.keeper.is_in_force(wall())

    def _is_unfinished(self) -> bool:
        """Return whether there is something to do: no token is valid, or it is time for a new one."""
        authenticator, connection = self._cbs_auth, self._connection
        if authenticator is None or connection is None or connection._closing or connection._error is not None:
            return False
        return not self._is_in_force() or authenticator.keeper.is_due(wall())

    def _look(self, connection: Connection, keeper: TokenKeeper) -> tuple[TokenStep, bool]:
        """Return what to do next, and whether a token is valid."""
        driver = connection._driver
        caller, is_nested = driver.caller(), driver.is_nested

        def look(now: float) -> tuple[TokenStep, bool]:
            if is_nested and not keeper.is_in_force(wall()):
                keeper.occupy(caller)  # whoever is at it can't go on before this caller is done
            step = keeper.step(caller, now, wall())
            self.retries = keeper.refusals
            return step, connection._core.is_ready(wall())

        return driver.change(_LOOKING, look)

    async def _take(self, step: TokenStep, connection: Connection, keeper: TokenKeeper) -> tuple[bool, bool]:
        """Take a step; return the result of `handle_token`."""
        while step is TokenStep.WAIT:  # as in 1.6, the caller waits
            await connection._do_sleep(connection._driver.change(_LOOKING, keeper.back_off))
            step, _ = self._look(connection, keeper)
        if step is TokenStep.TIMED_OUT:
            return True, False
        if step is TokenStep.LOST:
            why = f" {keeper.cause.message}" if keeper.cause is not None else ""
            raise errors.AuthenticationException(f"Failed to open CBS authentication link.{why}")
        if step is TokenStep.REFUSED and keeper.refusal is not None:
            raise errors.TokenAuthFailure(keeper.refusal.status, keeper.refusal.description, encoding=self._encoding)
        if step is TokenStep.PUT:
            self._put(connection, keeper)
        elif step in (TokenStep.RENEW, TokenStep.REPLACE) and await self._renewed():
            if step is TokenStep.REPLACE and self._has_ended():
                raise errors.TokenExpired(
                    "CBS Authentication Expired. The token that was to replace it has ended, too."
                )
            self._put(connection, keeper, is_new=self.token != self._prev_token)
        return False, not connection._core.is_ready(wall())

    def _put(self, connection: Connection, keeper: TokenKeeper, *, is_new: bool = True) -> None:
        token = self._current_token()

        def put(now: float) -> ValueError | None:
            try:
                keeper.put(token, now, wall(), is_new=is_new)
            except ValueError as error:
                return error  # nothing was changed
            return None

        try:
            refusal = connection._driver.command("putting a token", put)
        except LocalProtocolError as error:
            text = f"A new token can't be put: {error}. Close the client, and open it again."
            raise errors.AuthenticationException(text) from error
        if refusal is not None:
            raise refusal

    def _current_token(self) -> Token:
        if not self.token:
            raise ValueError("There is no token: call update_token() first.")
        if self.expires_at is None:
            raise ValueError("There is no time at which the token expires.")
        return Token(
            text(self.token, "token", self._encoding),
            text(self.token_type, "token_type", self._encoding),
            text(self.audience, "audience", self._encoding),
            self.expires_at,
            self._refresh_window,
        )

    async def _renewed(self) -> bool:
        """Renew the token; return False if that takes a while, so that the next step has to look again."""
        refuse_unfinished(self.update_token(), "update_token")
        return True

    def _renewing(self) -> object | None:
        """Return what is getting a new token in the background, or None."""
        return None

    def _take_token(self, token: str | bytes, expires_at: float | str | datetime.datetime) -> None:
        """Store a new token."""
        self._prev_token = self.token
        self.token = encoded(token, "token", self._encoding)
        self.expires_at = epoch_seconds(expires_at)

    def _set_expiry(self, expires_at: float | datetime.datetime | None, expires_in: datetime.timedelta | None) -> None:
        if not expires_at:
            if not expires_in:
                raise ValueError("Must specify either 'expires_at' or 'expires_in'.")
            if not isinstance(expires_in, datetime.timedelta):
                raise TypeError(f"expires_in must be a datetime.timedelta, not {type(expires_in).__name__}.")
            self.expires_in = expires_in
            self.expires_at = wall() + expires_in.total_seconds()
            return
        self.expires_at = epoch_seconds(expires_at)
        left = self.expires_at - wall()
        if left < 1:
            raise ValueError("Token has already expired.")
        self.expires_in = datetime.timedelta(seconds=left)


def epoch_seconds(value: float | str | datetime.datetime) -> float:
    """Return a time as seconds since 1970; a `datetime` without a time zone is taken as UTC.

    Raises:
        TypeError: it is neither a number nor a `datetime`.
        ValueError: it isn't a valid time.
    """
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=datetime.timezone.utc)
        return aware.timestamp()
    if isinstance(value, str) and value.isdecimal():
        return int(value)  # 1.6 accepted it from get_token, and services return it in this form
    return finite(value, "expires_at", "seconds since 1970, or a datetime", maximum=1e12)


class SASTokenAuth(AMQPAuth, CBSAuthMixin):
    """A shared access signature as token.

    Args:
        audience: what the token is for, usually `uri`.
        uri: the resource's URI, such as sb://host/name; its user and password serve as `username` and `password`.
        token: the signature.
        expires_in: a `timedelta` from now until it expires.
        expires_at: when it expires: seconds since 1970, or a `datetime`, in UTC if it has no time zone.
        username, password: name and value of the key for new signatures; None if there are to be none.
        port, verify, http_proxy, transport_type: see `AMQPAuth`.
        timeout: seconds that the service may take to answer; 0 for no limit.
        retry_policy: what to do when the service refuses the token.
        token_type: the token's type.
        encoding: encoding of the arguments that are text.

    Keyword Args:
        refresh_window: seconds before its expiry in which the token is renewed; 0 for the last tenth of its lifetime.
        custom_endpoint_hostname: the host to connect to, instead of the URI's.
        Others: see `AMQPAuth`.

    Raises:
        ValueError: the token has expired or has no time of expiry, or the URI has no host.
    """

    __module__ = "uamqp.authentication.cbs_auth"

    def __init__(
        self,
        audience: str | bytes,
        uri: str,
        token: str | bytes,
        expires_in: datetime.timedelta | None = None,
        expires_at: float | datetime.datetime | None = None,
        username: str | None = None,
        password: str | None = None,
        port: int | str | None = None,
        timeout: float = 10,
        retry_policy: TokenRetryPolicy | None = TokenRetryPolicy(),  # noqa: B008 (shared, as 1.6's; it holds no state)
        verify: str | None = None,
        token_type: str | bytes = b"servicebus.windows.net:sastoken",
        http_proxy: dict[str, Any] | None = None,
        transport_type: Any = TransportType.Amqp,
        encoding: str = "UTF-8",
        **kwargs: Unpack[TokenKeywords],
    ) -> None:
        settings: dict[str, Any] = {**kwargs}
        refresh_window = settings.pop("refresh_window", 0)
        hostname, user, secret = _parse(uri, settings.pop("custom_endpoint_hostname", None))
        refuse_unknown(self, settings)
        self._set_expiry(expires_at, expires_in)
        super().__init__(
            hostname,
            port=port,
            verify=verify,
            http_proxy=http_proxy,
            transport_type=transport_type,
            encoding=encoding,
            **settings,
        )
        self.uri = uri
        encoding = self._encoding
        self.username = text(username, "username", encoding) if username else user
        self.password = text(password, "password", encoding) if password else secret
        self.audience = encoded(audience, "audience", encoding)
        self.token_type = encoded(token_type, "token_type", encoding)
        self.token = encoded(token, "token", encoding)
        self._init_cbs(timeout, retry_policy, refresh_window)

    def update_token(self) -> Any:
        """Make a new signature with the lifetime of the previous one.

        Raises:
            TokenExpired: there is no key for it.
        """
        self._sign()

    def _sign(self) -> None:
        if not self.username or not self.password:
            raise errors.TokenExpired("Unable to refresh token - no username or password.")
        if self.expires_in is None:
            raise errors.TokenExpired("Unable to refresh token - it isn't known for how long.")
        token = convert.create_sas_token(
            _quoted(self.username, "username"),
            encoded(self.password, "password", self._encoding),
            _quoted(self.uri, "uri"),
            self.expires_in,
        )
        self._take_token(token, int(wall() + self.expires_in.total_seconds()))

    @classmethod
    def from_shared_access_key(
        cls,
        uri: str,
        key_name: str,
        shared_access_key: str,
        expiry: float | None = None,
        port: int | str | None = None,
        timeout: float = 10,
        retry_policy: TokenRetryPolicy | None = TokenRetryPolicy(),  # noqa: B008 (see above)
        verify: str | None = None,
        http_proxy: dict[str, Any] | None = None,
        transport_type: Any = TransportType.Amqp,
        encoding: str = "UTF-8",
        **kwargs: Unpack[TokenKeywords],
    ) -> Any:
        """Return an object with a signature made from a key, which it renews automatically.

        Args:
            uri: the URI of the resource, which is also the audience.
            key_name, shared_access_key: the key.
            expiry: seconds for which each signature is valid; None for 3600.
            Others: see `SASTokenAuth`.
        """
        try:
            seconds = number(expiry or constants.AUTH_EXPIRATION_SECS, "expiry", "seconds")
            expires_in = datetime.timedelta(seconds=seconds)
        except OverflowError as error:
            raise ValueError(f"expiry is beyond what time there is: {error}.") from error
        encoding = encoding_of(encoding)
        key_name = text(key_name, "key_name", encoding)
        shared_access_key = text(shared_access_key, "shared_access_key", encoding)
        token = convert.create_sas_token(
            _quoted(key_name, "key_name"),
            encoded(shared_access_key, "shared_access_key", encoding),
            _quoted(uri, "uri"),
            expires_in,
        )
        return cls(
            uri,
            uri,
            token,
            expires_in=expires_in,
            username=key_name,
            password=shared_access_key,
            port=port,
            timeout=timeout,
            retry_policy=retry_policy,
            verify=verify,
            http_proxy=http_proxy,
            transport_type=transport_type,
            encoding=encoding,
            **kwargs,
        )


class JWTTokenAuth(AMQPAuth, CBSAuthMixin):
    """A token returned by a function of your own, such as a JSON web token.

    Args:
        audience: what the token is for.
        uri: the URI of the resource, such as sb://host/name.
        get_token: returns a token, as an object with `token` (text or bytes) and `expires_on` (seconds since 1970, or a
            `datetime`). It is called before the first token is put, and whenever the token has to be renewed.
        expires_in, expires_at: when a token that was set in another way expires.
        Others: see `SASTokenAuth`.

    Raises:
        ValueError: `get_token` can't be called, or the URI has no host.
    """

    __module__ = "uamqp.authentication.cbs_auth"

    def __init__(
        self,
        audience: str | bytes,
        uri: str,
        get_token: Callable[[], Any],
        expires_in: datetime.timedelta | None = datetime.timedelta(seconds=constants.AUTH_EXPIRATION_SECS),
        expires_at: float | datetime.datetime | None = None,
        port: int | str | None = None,
        timeout: float = 10,
        retry_policy: TokenRetryPolicy | None = TokenRetryPolicy(),  # noqa: B008 (see above)
        verify: str | None = None,
        token_type: str | bytes = b"jwt",
        http_proxy: dict[str, Any] | None = None,
        transport_type: Any = TransportType.Amqp,
        encoding: str = "UTF-8",
        **kwargs: Unpack[TokenKeywords],
    ) -> None:
        settings: dict[str, Any] = {**kwargs}
        refresh_window = settings.pop("refresh_window", 0)
        self.get_token = self._checked(get_token)
        hostname, _, _ = _parse(uri, settings.pop("custom_endpoint_hostname", None))
        refuse_unknown(self, settings)
        self._set_expiry(expires_at, expires_in)
        super().__init__(
            hostname,
            port=port,
            verify=verify,
            http_proxy=http_proxy,
            transport_type=transport_type,
            encoding=encoding,
            **settings,
        )
        self.uri = uri
        self.audience = encoded(audience, "audience", self._encoding)
        self.token_type = encoded(token_type, "token_type", self._encoding)
        self.token = None
        self._init_cbs(timeout, retry_policy, refresh_window)

    @staticmethod
    def _checked(get_token: Any) -> Any:
        if not callable(get_token):
            raise ValueError("get_token must be a callable object.")
        return plain(get_token, "get_token")

    def update_token(self) -> Any:
        """Call `get_token`, whose exceptions propagate."""
        self._take_result(self.get_token())

    def _take_result(self, access_token: Any) -> None:
        refuse_unfinished(access_token, "get_token")
        what = "an object with the attributes token and expires_on"
        having(access_token, "The result of get_token", what, "token", "expires_on")
        self._take_token(access_token.token, access_token.expires_on)

    async def _first_token(self) -> None:
        await self._update()


def _quoted(value: str, argument: str) -> bytes:
    return compat.quote_plus(encoded(value, argument, "utf-8")).encode()


def _parse(uri: str, endpoint: str | None) -> tuple[str, str | None, str | None]:
    """Return the host of a URI, or `endpoint` in its place, and the URI's user name and password."""
    parsed = split_url(text(uri, "uri", "utf-8"), "Invalid URI")
    hostname = checked_host(endpoint, "custom_endpoint_hostname", "utf-8") if endpoint else parsed.hostname
    if not hostname:
        # Don't quote the URI: in a malformed one, it isn't known which part is the password.
        raise ValueError("Invalid URI: it must have a host, as sb://host/name.")
    user = compat.unquote_plus(parsed.username) if parsed.username else None
    secret = compat.unquote_plus(parsed.password) if parsed.password else None
    return hostname, user, secret
