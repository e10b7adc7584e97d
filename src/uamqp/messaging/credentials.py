"""Credentials: who this side is, and what proves it.

Each class stands for a SASL mechanism (section 5.3). What it is made of, a password for instance, is either a value or
a function that returns one; functions are called anew for each attempt to connect, so that a password or token that
changes is always the current one. No repr and no error shows more than user names.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from ..core import Token, masked
from ..engine import sasl
from . import checks, encoding
from .errors import AuthenticationFailed, ConfigurationError
from .url import ConnectionURL

Text: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A text, or a function that returns one, or a coroutine function."""

AccessToken: TypeAlias = tuple[str, float | datetime]
"""A token, and when it expires: in seconds since 1970, or as a `datetime` with a time zone."""

Provider: TypeAlias = AccessToken | Callable[[], AccessToken | Awaitable[AccessToken]]
"""A token that is always the same, or a function that returns the current one, or a coroutine function."""

Call: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function where it may take its time, such as in a thread, and returns its result, to be awaited."""


@dataclass(slots=True, frozen=True)
class Anonymous:
    """No credentials (ANONYMOUS, RFC 4505)."""

    mechanism: ClassVar[str] = sasl.Anonymous.name

    async def resolve(self, call: Call | None = None) -> tuple[sasl.Mechanism, ...]:
        """Return the SASL mechanism for one attempt to connect; see `Plain.resolve`."""
        return (sasl.Anonymous(),)


@dataclass(slots=True, frozen=True, repr=False)
class Plain:
    """User name and password, in clear text (PLAIN, RFC 4616): for encrypted connections.

    Args:
        user: the user name, or a function that returns it, plain or a coroutine function.
        password: the password, likewise.
        allow_plaintext: whether they may go over an unencrypted connection although stronger credentials are in the
            same list.

    Raises:
        TypeError: an argument has the wrong type.
        ConfigurationError: user or password contains a NUL character, or half of a surrogate pair.
    """

    mechanism: ClassVar[str] = sasl.Plain.name

    user: Text
    password: Text
    allow_plaintext: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_text("user", self.user)
        _check_text("password", self.password)
        checks.flag("allow_plaintext", self.allow_plaintext)

    async def resolve(self, call: Call | None = None) -> tuple[sasl.Mechanism, ...]:
        """Return the SASL mechanism for one attempt to connect, with the values that hold now.

        Args:
            call: calls functions that aren't coroutine functions, which may do I/O. None calls them at once, for the
                blocking front, which has nothing to await a coroutine with.

        Returns:
            The mechanisms, best first: one, except for `Cbs`.

        Raises:
            AuthenticationFailed: a function raised an exception; it is temporary.
            ConfigurationError: a function returned something that can't be used, or is a coroutine function although
                there is no `call`.
        """
        user = await _current("user", self.user, _check_text, call)
        password = await _current("password", self.password, _check_text, call)
        return (sasl.Plain(user, password),)

    def __repr__(self) -> str:
        return f"Plain({_shown(self.user)}, ***)"


@dataclass(slots=True, frozen=True, repr=False)
class External:
    """The identity of the TLS client certificate (EXTERNAL, RFC 4422, appendix A), which `tls=` has to contain.

    Args:
        identity: the identity to act as, or a function that returns it, plain or a coroutine function; None for the
            certificate's own.

    Raises:
        TypeError: `identity` has the wrong type.
        ConfigurationError: it contains a NUL character, or half of a surrogate pair.
    """

    mechanism: ClassVar[str] = sasl.External.name

    identity: Text | None = None

    def __post_init__(self) -> None:
        if self.identity is not None:
            _check_text("identity", self.identity)

    async def resolve(self, call: Call | None = None) -> tuple[sasl.Mechanism, ...]:
        """Return the SASL mechanism for one attempt to connect; see `Plain.resolve`."""
        identity = "" if self.identity is None else await _current("identity", self.identity, _check_text, call)
        return (sasl.External(identity),)

    def __repr__(self) -> str:
        return "External()" if self.identity is None else f"External({_shown(self.identity)})"


@dataclass(slots=True, frozen=True, repr=False)
class Cbs:
    """A token that is put to the node `$cbs` once the connection is open (AMQP CBS draft 0), and renewed.

    The connection itself is opened without credentials (ANONYMOUS), or, where the server doesn't offer that, as its TLS
    client certificate says (EXTERNAL).

    Args:
        provider: returns the token and when it expires, as `AccessToken`: a function, plain or a coroutine function. A
            token itself can stand here as well; it can't be renewed.
        audience: what the token is for, such as "amqps://example.servicebus.windows.net/orders".
        refresh_ahead: seconds before its expiry in which the token is renewed; None for the last tenth of its life.
        token_type: its type, such as "jwt" or "servicebus.windows.net:sastoken".

    Raises:
        TypeError: an argument has the wrong type.
        ConfigurationError: an argument has a value that can't be used.
    """

    mechanism: ClassVar[str] = sasl.Anonymous.name

    provider: Provider
    audience: str
    refresh_ahead: float | None = field(default=None, kw_only=True)
    token_type: str = field(default="jwt", kw_only=True)

    def __post_init__(self) -> None:
        _check_token("provider", self.provider)
        encoding.string("audience", self.audience)
        checks.optional_seconds("refresh_ahead", self.refresh_ahead, positive=True)
        encoding.string("token_type", self.token_type)

    async def resolve(self, call: Call | None = None) -> tuple[sasl.Mechanism, ...]:
        """Return the SASL mechanisms for one attempt to connect, best first; see `Plain.resolve`."""
        below = (sasl.Anonymous(), sasl.External())
        for mechanism in below:
            mechanism.exposes = "token"  # which follows, over the same connection
        return below

    async def token(self, call: Call | None = None) -> Token:
        """Return the current token, as `core.TokenKeeper` takes it.

        Args:
            call: see `Plain.resolve`.

        Raises:
            AuthenticationFailed: see `Plain.resolve`.
            ConfigurationError: see `Plain.resolve`.
        """
        token, expiry = await _current("provider", self.provider, _check_token, call)
        expires_at = expiry.timestamp() if isinstance(expiry, datetime) else float(expiry)
        return Token(token, self.token_type, self.audience, expires_at, self.refresh_ahead or 0)

    def __repr__(self) -> str:
        return f"Cbs(***, {masked(self.audience)!r}, token_type={self.token_type!r})"


Credentials: TypeAlias = Anonymous | Plain | External | Cbs
"""What proves who this side is."""

CredentialsFactory: TypeAlias = Callable[[], Credentials | Awaitable[Credentials]]
"""Returns the credentials for one attempt to connect: a function, plain or a coroutine function."""

_MAX_EXPIRY = 1e12
"""Seconds since 1970: some 30,000 years, more than any calendar here can show."""

_KINDS = (Anonymous, Plain, External, Cbs)
_WANTED = "Anonymous(), Plain(user, password), External() or Cbs(provider, audience)"


def of(
    credentials: Credentials | Sequence[Credentials] | CredentialsFactory | None, url: ConnectionURL
) -> tuple[Credentials | CredentialsFactory, ...]:
    """Return the credentials of a connection, best first.

    Args:
        credentials: as given to `connect`. None stands for what the URL says: its user and password, and its option
            sasl; without either, there are none (ANONYMOUS).
        url: the connection's URL, or the first.

    Raises:
        TypeError: they have the wrong type.
        ConfigurationError: there are none in the sequence, two are for the same mechanism, or the URL has some as well.
    """
    if credentials is None:
        return _of_url(url)
    for is_there, what in ((url.user is not None, "user and password"), (url.sasl is not None, "the option sasl")):
        if is_there:
            raise ConfigurationError(f"credentials= is given, and url has {what} as well: leave one of them out")
    given: Any = credentials
    if isinstance(given, _KINDS):
        return (given,)
    if isinstance(given, Sequence) and not isinstance(given, (str, bytes, bytearray)):
        return _of_sequence(given)
    if not callable(given) or isinstance(given, type):
        raise TypeError(
            f"credentials must be {_WANTED}, a sequence of these, or a function that returns one, not {_kind(given)}"
        )
    return (given,)


async def ask(
    credentials: Sequence[Credentials | CredentialsFactory], call: Call | None = None
) -> tuple[Credentials, ...]:
    """Return the credentials for one attempt to connect: what `of` has returned, without functions.

    Args:
        credentials: from `of`.
        call: see `Plain.resolve`.

    Raises:
        AuthenticationFailed: see `Plain.resolve`.
        ConfigurationError: see `Plain.resolve`.
    """
    return tuple([await _current("credentials", each, _check_credentials, call) for each in credentials])


def offered(given: Sequence[Credentials], *, is_tls: bool) -> tuple[Credentials, ...]:
    """Return those of the credentials for one attempt to connect that may be offered.

    A password goes over an unencrypted connection if the program has nothing better, which it is warned of. Beside
    something better it only does with `allow_plaintext`: whoever is in between could make the server seem to want it.
    """
    if is_tls or len(given) == 1:
        return tuple(given)
    return tuple(each for each in given if not isinstance(each, Plain) or each.allow_plaintext)


def _of_url(url: ConnectionURL) -> tuple[Credentials, ...]:
    mechanisms = url.sasl or (Anonymous.mechanism if url.user is None else Plain.mechanism,)
    known: dict[str, Callable[[], Credentials]] = {
        Anonymous.mechanism: Anonymous,
        External.mechanism: External,
        Plain.mechanism: lambda: Plain(url.user or "", url.password or ""),
    }
    return tuple(known[mechanism]() for mechanism in mechanisms)


def _of_sequence(given: Sequence[Any]) -> tuple[Credentials, ...]:
    if not given:
        raise ConfigurationError("credentials must not be an empty sequence: for none, pass Anonymous()")
    for index, each in enumerate(given):
        if not isinstance(each, _KINDS):
            raise TypeError(f"credentials[{index}] must be {_WANTED}, not {_kind(each)}")
    if len(given) > 1 and any(isinstance(each, Cbs) for each in given):
        raise ConfigurationError(
            "credentials must have nothing beside Cbs: what a server offers doesn't show whether it takes tokens"
        )
    seen: set[str] = set()
    for index, each in enumerate(given):
        if each.mechanism in seen:
            raise ConfigurationError(f"credentials[{index}] is another for {each.mechanism}: it would never be used")
        seen.add(each.mechanism)
    return tuple(given)


# -- values and functions, neither of which may be shown


def _shown(value: Text) -> str:
    return repr(value) if isinstance(value, str) else "<function>"


def _kind(value: object) -> str:
    """Return what a value is, for an error."""
    return f"the class {value.__name__} itself" if isinstance(value, type) else type(value).__name__


def _check_text(name: str, value: Any) -> None:
    """Check a text that SASL has to carry; a function is right, too, but not a class."""
    if callable(value) and not isinstance(value, type):
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, or a function that returns one, not {_kind(value)}")
    if "\0" in value or not encoding.is_unicode(value):
        raise ConfigurationError(f"{name} must have no NUL character, and no half of a surrogate pair")


def _check_token(name: str, value: Any) -> None:
    """Check a token with its expiry; a function is right, too, but not a class."""
    if callable(value) and not isinstance(value, type):
        return
    if not isinstance(value, tuple) or len(value) != 2:
        found = f"a tuple of {len(value)}" if isinstance(value, tuple) else _kind(value)
        raise TypeError(f"{name} must be (token, expires_at), or a function that returns that, not {found}")
    token, expiry = value
    if not isinstance(token, str):
        raise TypeError(f"the token of {name} must be a str, not {_kind(token)}")
    if not token or not encoding.is_unicode(token):
        what = "have no half of a surrogate pair" if token else "not be empty"
        raise ConfigurationError(f"the token of {name} must {what}")
    if isinstance(expiry, datetime):
        if expiry.utcoffset() is None:
            raise ConfigurationError(f"the expiry of {name} must have a time zone, such as datetime.timezone.utc")
    elif isinstance(expiry, bool) or not isinstance(expiry, (int, float)):
        raise TypeError(f"the expiry of {name} must be seconds since 1970 or a datetime, not {_kind(expiry)}")
    elif not 0 <= expiry <= _MAX_EXPIRY:
        raise ConfigurationError(f"the expiry of {name} must be seconds since 1970, from 0 to {_MAX_EXPIRY:g}")


def _check_credentials(name: str, value: Any) -> None:
    if not isinstance(value, _KINDS):
        raise TypeError(f"{name} must be {_WANTED}, or a function that returns one, not {_kind(value)}")


class _WrongFunction(ConfigurationError):
    """Our own error for a function; one that the function raises is never shown, and may be a `ConfigurationError`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigurationError, self.args


async def _current(name: str, given: Any, check: Callable[[str, Any], None], call: Call | None) -> Any:
    """Return a value, or what a function returns for it, once that is checked.

    An exception from the function isn't kept, since its text may quote what must not be shown; the error says where it
    was raised. So no error is raised in an `except` block here, where it would become the context.
    """
    if not callable(given):
        return given
    value: Any = None
    failure = ""
    try:
        value = await _called(name, given, call)
    except _WrongFunction:
        raise
    except Exception as error:  # noqa: BLE001 (from the application)
        failure = _told(error)
    if failure:
        text = f"there are no credentials: the function given as {name} raised {failure}"
        raise AuthenticationFailed(text, is_temporary=True)
    wrong = "it is another function" if callable(value) else ""
    try:
        check(name, value)
    except (TypeError, ConfigurationError) as error:
        wrong = str(error)
    if wrong:
        raise ConfigurationError(f"what the function given as {name} has returned can't be used: {wrong}")
    return value


async def _called(name: str, function: Callable[[], Any], call: Call | None) -> Any:
    """Return what a function returns, or what a coroutine function returns in the end."""
    is_coroutine = inspect.iscoroutinefunction(function)
    value: Any
    if call is None:
        value = None if is_coroutine else function()
        if not is_coroutine and not inspect.isawaitable(value):
            return value
        if inspect.iscoroutine(value):
            value.close()
        raise _WrongFunction(
            f"the function given as {name} is a coroutine function, which only uamqp.aio can wait for: give a plain one"
        )
    value = await (function() if is_coroutine else call(function))
    return await value if inspect.isawaitable(value) else value


def _told(error: Exception) -> str:
    """Return what an exception from the application is and where it was raised, without its text."""
    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__") != __name__:
            code = frame.f_code
            place = f" ({os.path.basename(code.co_filename)}, line {traceback.tb_lineno}, in {code.co_name})"
        traceback = traceback.tb_next
    return type(error).__name__ + place
