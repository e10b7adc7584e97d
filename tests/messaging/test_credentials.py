"""Credentials: what SASL gets of them, which functions are called when, and that no secret is ever shown."""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.core import Token
from uamqp.engine import sasl
from uamqp.messaging.credentials import Anonymous, Cbs, Credentials, External, Plain, ask, of
from uamqp.messaging.errors import AuthenticationFailed, ConfigurationError
from uamqp.messaging.url import SASL_MECHANISMS, parse
from uamqp.transport.drive import run

SECRET = "sEcReT"
URL = parse("amqps://h")


class AccessToken(NamedTuple):
    """As Azure's packages return it."""

    token: str
    expires_on: int


class Asked:
    """A function, or a coroutine function, whose result changes; as an object with `__call__`."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)

    def __call__(self) -> Any:
        return self.results.pop(0)

    async def later(self) -> Any:
        await asyncio.sleep(0)
        return self()


class Later:
    """A function that returns something to be awaited, although it is no coroutine function."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def __call__(self) -> Awaitable[Any]:
        return self.asked.later()


async def in_thread(function: Callable[[], Any]) -> Any:
    """As the asyncio front calls what may take its time."""
    return await asyncio.to_thread(function)


def blocking(credentials: Credentials) -> tuple[str, bytes | None]:
    """What goes to the server, by the blocking front."""
    (mechanism,) = run(credentials.resolve())
    return mechanism.name, mechanism.initial_response()


def awaited(credentials: Credentials) -> tuple[str, bytes | None]:
    """The same, by the asyncio front."""
    (mechanism,) = asyncio.run(credentials.resolve(in_thread))
    return mechanism.name, mechanism.initial_response()


@pytest.mark.parametrize("resolve", [blocking, awaited])
@pytest.mark.parametrize(
    ("credentials", "mechanism", "response"),
    [
        (Anonymous(), "ANONYMOUS", None),
        (Plain("me", "pw"), "PLAIN", b"\0me\0pw"),
        (Plain("", ""), "PLAIN", b"\0\0"),
        (Plain("müller", "€"), "PLAIN", "\0müller\0€".encode()),
        (Plain(lambda: "me", lambda: "pw", allow_plaintext=True), "PLAIN", b"\0me\0pw"),
        (Plain("me", functools.partial(str, "pw")), "PLAIN", b"\0me\0pw"),
        (External(), "EXTERNAL", b""),
        (External("me"), "EXTERNAL", b"me"),
        (External(lambda: "me"), "EXTERNAL", b"me"),
    ],
)
def test_what_goes_to_the_server(
    resolve: Callable[[Credentials], tuple[str, bytes | None]],
    credentials: Credentials,
    mechanism: str,
    response: bytes | None,
) -> None:
    assert credentials.mechanism == mechanism
    assert resolve(credentials) == (mechanism, response)


def test_functions_are_called_for_each_attempt() -> None:
    credentials = Plain(Asked("u1", "u2", "u3"), Asked("p1", "p2", "p3"))
    assert [blocking(credentials)[1], awaited(credentials)[1]] == [b"\0u1\0p1", b"\0u2\0p2"]
    assert blocking(credentials)[1] == b"\0u3\0p3"


def test_coroutine_functions_are_awaited_on_the_loop_and_others_called_elsewhere() -> None:
    where: list[str] = []

    async def user() -> str:
        where.append(threading.current_thread().name)
        await asyncio.sleep(0)
        return "me"

    def password() -> str:
        where.append(threading.current_thread().name)
        return "pw"

    assert awaited(Plain(user, password))[1] == b"\0me\0pw"
    assert where[0] == threading.current_thread().name != where[1]


def test_what_a_function_returns_to_be_awaited_is_awaited() -> None:
    asked = Asked("pw")
    assert awaited(Plain("me", Later(asked)))[1] == b"\0me\0pw"


@pytest.mark.parametrize("name", ["later", "returned"])
def test_the_blocking_front_has_no_use_for_coroutine_functions(name: str) -> None:
    asked = Asked("pw")
    with pytest.raises(ConfigurationError, match="the function given as password is a coroutine function, which only"):
        blocking(Plain("me", asked.later if name == "later" else Later(asked)))
    assert asked.results == ["pw"]


def fails() -> str:
    raise KeyError(SECRET)


async def fails_later() -> str:
    await asyncio.sleep(0)
    raise OSError(SECRET)


def hides(error: BaseException) -> None:
    """No secret stands in an error, in what it came from, or in how it is shown."""
    link: BaseException | None = error
    while link is not None:
        assert SECRET not in str(link) + repr(link.args)
        link = link.__cause__ or link.__context__
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda function: Plain(function, SECRET), "user"),
        (lambda function: Plain(SECRET, function), "password"),
        (External, "identity"),
    ],
)
@pytest.mark.parametrize(
    ("function", "raised"),
    [
        (fails, r"KeyError \(test_credentials\.py, line \d+, in fails\)"),
        (fails_later, r"OSError \(test_credentials\.py, line \d+, in fails_later\)"),
        (functools.partial(int, SECRET), r"ValueError"),
    ],
)
def test_a_function_that_fails(make: Callable[[Any], Credentials], name: str, function: Any, raised: str) -> None:
    with pytest.raises(AuthenticationFailed, match=f"the function given as {name} raised {raised}") as caught:
        awaited(make(function))
    assert caught.value.is_temporary
    hides(caught.value)


def test_a_function_is_interrupted_like_anything_else() -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blocking(Plain("me", interrupted))


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (None, "password must be a str, or a function that returns one, not NoneType"),
        (SECRET.encode(), "not bytes"),
        (7, "not int"),
        (lambda: SECRET, "it is another function"),
        (f"{SECRET}\0", "password must have no NUL character"),
        (f"{SECRET}\ud800", "no half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("resolve", [blocking, awaited])
def test_a_function_that_returns_something_else(resolve: Callable[[Credentials], Any], result: Any, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(Plain("me", lambda: result))
    assert str(caught.value).startswith("what the function given as password has returned can't be used: ")
    assert why in str(caught.value)
    hides(caught.value)


TOKEN = (SECRET, 1893456000)
NO_TEXT = "or a function that returns one, not "
NO_TOKEN = "provider must be (token, expires_at), or a function that returns that, not "
NO_EXPIRY = "the expiry of provider must be seconds since 1970"
NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 (that is what is wrong)


@pytest.mark.parametrize(
    ("kind", "arguments", "options", "error", "text"),
    [
        (Plain, (None, SECRET), {}, TypeError, f"user must be a str, {NO_TEXT}NoneType"),
        (Plain, (SECRET.encode(), SECRET), {}, TypeError, f"user must be a str, {NO_TEXT}bytes"),
        (Plain, ("me", bytearray(SECRET, "ascii")), {}, TypeError, f"password must be a str, {NO_TEXT}bytearray"),
        (Plain, ("me", f"{SECRET}\0"), {}, ConfigurationError, "password must have no NUL character"),
        (Plain, (f"{SECRET}\ud800", "pw"), {}, ConfigurationError, "user must have no NUL character, and no half of"),
        (Plain, ("me", SECRET), {"allow_plaintext": 1}, TypeError, "allow_plaintext must be True or False, not int"),
        (External, (1,), {}, TypeError, f"identity must be a str, {NO_TEXT}int"),
        (External, ("\0",), {}, ConfigurationError, "identity must have no NUL character"),
        (Cbs, (None, "a"), {}, TypeError, f"{NO_TOKEN}NoneType"),
        (Cbs, (SECRET, "a"), {}, TypeError, f"{NO_TOKEN}str"),
        (Cbs, ((SECRET,), "a"), {}, TypeError, f"{NO_TOKEN}a tuple of 1"),
        (Cbs, ((1, 2), "a"), {}, TypeError, "the token of provider must be a str, not int"),
        (Cbs, (("", 2), "a"), {}, ConfigurationError, "the token of provider must not be empty"),
        (Cbs, ((SECRET, "x"), "a"), {}, TypeError, f"{NO_EXPIRY} or a datetime, not str"),
        (Cbs, ((SECRET, True), "a"), {}, TypeError, f"{NO_EXPIRY} or a datetime, not bool"),
        (Cbs, ((SECRET, -1), "a"), {}, ConfigurationError, f"{NO_EXPIRY}, from 0 to"),
        (Cbs, ((SECRET, float("nan")), "a"), {}, ConfigurationError, f"{NO_EXPIRY}, from 0 to"),
        (Cbs, ((SECRET, float("inf")), "a"), {}, ConfigurationError, f"{NO_EXPIRY}, from 0 to"),
        (Cbs, ((SECRET, NAIVE), "a"), {}, ConfigurationError, "must have a time zone, such as datetime.timezone.utc"),
        (Cbs, (TOKEN, ""), {}, ConfigurationError, "audience must not be empty"),
        (Cbs, (TOKEN, None), {}, TypeError, "audience must be a str, not NoneType"),
        (Cbs, (TOKEN, "a"), {"refresh_ahead": 0}, ConfigurationError, "refresh_ahead must be more than 0 seconds"),
        (Cbs, (TOKEN, "a"), {"refresh_ahead": "x"}, TypeError, "refresh_ahead must be a number of seconds, not str"),
        (Cbs, (TOKEN, "a"), {"token_type": ""}, ConfigurationError, "token_type must not be empty"),
    ],
)
def test_arguments_that_cannot_be_used(
    kind: Callable[..., Credentials],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error) as caught:
        kind(*arguments, **options)
    assert text in str(caught.value)
    hides(caught.value)


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        (Anonymous(), "Anonymous()"),
        (Plain("me", SECRET), "Plain('me', ***)"),
        (Plain(functools.partial(str, SECRET), functools.partial(str, SECRET)), "Plain(<function>, ***)"),
        (External(), "External()"),
        (External("me"), "External('me')"),
        (External(functools.partial(str, SECRET)), "External(<function>)"),
        (Cbs((SECRET, 1), "amqps://h/q"), "Cbs(***, 'amqps://h/q', token_type='jwt')"),
        (Cbs(Asked(SECRET), f"amqps://me:{SECRET}@h"), "Cbs(***, 'amqps://me:***@h', token_type='jwt')"),
    ],
)
def test_what_is_shown(credentials: Credentials, text: str) -> None:
    assert repr(credentials) == str(credentials) == text


def test_credentials_are_values() -> None:
    assert Plain("me", "pw") == Plain("me", "pw") != Plain("me", "other")
    assert len({Anonymous(), Anonymous(), External(), External("x")}) == 3
    assert pickle.loads(pickle.dumps(Plain("me", "pw", allow_plaintext=True))) == Plain(
        "me", "pw", allow_plaintext=True
    )
    with pytest.raises(AttributeError):
        Plain("me", "pw").password = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Plain("me", "pw", True)  # type: ignore[call-arg]


def test_a_pickle_that_fails_shows_no_secret() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)) as caught:
        pickle.dumps(Plain(SECRET, lambda: SECRET))
    hides(caught.value)


@given(st.text(), st.text())
def test_any_user_and_password_go_to_the_server_or_are_refused_unseen(user: str, password: str) -> None:
    password = f"{password}{SECRET}"
    refused: ConfigurationError | None = None
    try:
        credentials = Plain(user, password)
    except ConfigurationError as error:
        refused = error
    if refused is not None:
        hides(refused)
        assert any(mark == "\0" or "\ud800" <= mark <= "\udfff" for mark in user + password)
    else:
        assert blocking(credentials)[1] == f"\0{user}\0{password}".encode()
        assert SECRET not in repr(credentials)


# -- tokens

SOON = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("given_as", "expires_at"),
    [
        (("t", 1893456000), 1893456000.0),
        (("t", 1893456000.5), 1893456000.5),
        (("t", SOON), 1893492000.0),
        (AccessToken("t", 1893456000), 1893456000.0),
    ],
)
def test_a_token_as_the_keeper_takes_it(given_as: Any, expires_at: float) -> None:
    async def later() -> Any:
        await asyncio.sleep(0)
        return given_as

    expected = Token("t", "jwt", "amqps://h/q", expires_at, 0)
    for provider in (given_as, lambda: given_as):
        assert run(Cbs(provider, "amqps://h/q").token()) == expected
    for provider in (given_as, lambda: given_as, later):
        assert asyncio.run(Cbs(provider, "amqps://h/q").token(in_thread)) == expected
    kind = "servicebus.windows.net:sastoken"
    assert run(Cbs(given_as, "a", refresh_ahead=30, token_type=kind).token()) == Token("t", kind, "a", expires_at, 30)


def test_a_provider_is_called_for_each_token() -> None:
    cbs = Cbs(Asked(("t1", 1), ("t2", 2)), "a")
    assert [run(cbs.token()).token, run(cbs.token()).token] == ["t1", "t2"]


@pytest.mark.parametrize("result", [SECRET, (SECRET,), (SECRET.encode(), 1), (SECRET, None), None, [SECRET, 1]])
def test_a_provider_that_returns_something_else(result: Any) -> None:
    with pytest.raises(ConfigurationError, match="what the function given as provider has returned") as caught:
        run(Cbs(lambda: result, "a").token())
    hides(caught.value)


def test_a_provider_that_fails() -> None:
    with pytest.raises(AuthenticationFailed, match="the function given as provider raised KeyError") as caught:
        run(Cbs(fails, "a").token())  # type: ignore[arg-type]
    hides(caught.value)


def test_a_connection_with_a_token_begins_without_credentials() -> None:
    """By ANONYMOUS, or as the certificate says; and transport is told that a token follows."""
    mechanisms = run(Cbs(("t", 1), "a").resolve())
    assert [mechanism.name for mechanism in mechanisms] == ["ANONYMOUS", "EXTERNAL"]
    assert [mechanism.initial_response() for mechanism in mechanisms] == [None, b""]
    assert {getattr(mechanism, "exposes", "") for mechanism in mechanisms} == {"token"}
    assert sasl.Anonymous().exposes == sasl.External().exposes == ""
    assert getattr(run(Plain("me", "pw").resolve())[0], "exposes", "") == "user name and password"


# -- what `connect` is given


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqps://h", (Anonymous(),)),
        ("amqps://me:pw@h", (Plain("me", "pw"),)),
        ("amqps://me@h", (Plain("me", ""),)),
        ("amqps://:pw@h", (Plain("", "pw"),)),
        ("amqps://h?sasl=EXTERNAL", (External(),)),
        ("amqps://h?sasl=external,anonymous", (External(), Anonymous())),
        ("amqps://me:p%40@h?sasl=EXTERNAL,PLAIN", (External(), Plain("me", "p@"))),
    ],
)
def test_what_a_url_says(url: str, expected: tuple[Credentials, ...]) -> None:
    assert of(None, parse(url)) == expected


def test_each_mechanism_that_a_url_may_name_has_its_credentials() -> None:
    for name in SASL_MECHANISMS:
        user = "me:pw@" if name == "PLAIN" else ""
        (credentials,) = of(None, parse(f"amqps://{user}h?sasl={name}"))
        assert not callable(credentials)
        assert credentials.mechanism == name


def test_one_or_several_or_a_function() -> None:
    plain, external = Plain("me", "pw"), External()
    assert of(plain, URL) == of([plain], URL) == of((plain,), URL) == (plain,)
    assert of([external, plain], URL) == (external, plain)
    factory = Asked(plain)
    assert of(factory, URL) == (factory,)


@pytest.mark.parametrize(
    ("credentials", "url", "error", "text"),
    [
        (Plain("me", SECRET), f"amqp://me:{SECRET}@h", ConfigurationError, "url has user and password as well"),
        (Anonymous(), "amqp://h?sasl=ANONYMOUS", ConfigurationError, "url has the option sasl as well"),
        (Asked(Anonymous()), f"amqp://me:{SECRET}@h", ConfigurationError, "leave one of them out"),
        ((), "amqp://h", ConfigurationError, "credentials must not be an empty sequence: for none, pass Anonymous()"),
        (
            (Plain("a", SECRET), Plain("b", SECRET)),
            "amqp://h",
            ConfigurationError,
            "credentials[1] is another for PLAIN",
        ),
        ((Cbs((SECRET, 1), "a"), External()), "amqp://h", ConfigurationError, "must have nothing beside Cbs"),
        ((Anonymous(), Cbs((SECRET, 1), "a")), "amqp://h", ConfigurationError, "must have nothing beside Cbs"),
        (
            ("me", SECRET),
            "amqp://h",
            TypeError,
            "credentials[0] must be Anonymous(), Plain(user, password), External()",
        ),
        (
            (Plain("me", SECRET), lambda: 1),
            "amqp://h",
            TypeError,
            "credentials[1] must be Anonymous(), Plain(user, pass",
        ),
        (SECRET, "amqp://h", TypeError, "or a function that returns one, not str"),
        (SECRET.encode(), "amqp://h", TypeError, "or a function that returns one, not bytes"),
        ({"password": SECRET}, "amqp://h", TypeError, "or a function that returns one, not dict"),
        (Plain, "amqp://h", TypeError, "or a function that returns one, not the class Plain itself"),
        ((External,), "amqp://h", TypeError, "not the class External itself"),
        (sasl.Plain("me", SECRET), "amqp://h", TypeError, "not Plain"),
    ],
)
def test_credentials_that_cannot_be_used(credentials: Any, url: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        of(credentials, parse(url))
    assert text in str(caught.value)
    hides(caught.value)


def test_a_factory_is_asked_for_each_attempt() -> None:
    first, second = Plain("me", "pw1"), External()
    found = of(Asked(first, second), URL)
    assert [run(ask(found)), run(ask(found))] == [(first,), (second,)]
    assert asyncio.run(ask(of(Asked(first).later, URL), in_thread)) == (first,)
    assert run(ask(of([first, second], URL))) == (first, second)


@pytest.mark.parametrize(
    ("factory", "error", "text"),
    [
        (fails, AuthenticationFailed, "the function given as credentials raised KeyError (test_credentials.py, line"),
        (lambda: SECRET, ConfigurationError, "credentials must be Anonymous(), Plain(user, password), External() or"),
        (lambda: None, ConfigurationError, "not NoneType"),
        (lambda: Plain, ConfigurationError, "not the class Plain itself"),
        (lambda: (Anonymous(),), ConfigurationError, "not tuple"),
        (lambda: Plain("me", f"{SECRET}\0"), AuthenticationFailed, "credentials raised ConfigurationError (test_cred"),
        (Asked(SECRET).later, ConfigurationError, "is a coroutine function, which only uamqp.aio can wait for"),
    ],
)
def test_a_factory_that_does_not_work(factory: Callable[[], Awaitable[Any]], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        run(ask(of(factory, URL)))
    assert text in str(caught.value)
    hides(caught.value)


def raises_ours() -> str:
    raise ConfigurationError(SECRET)


def test_an_error_of_ours_that_a_function_raises_is_not_shown_either() -> None:
    with pytest.raises(AuthenticationFailed, match="password raised ConfigurationError") as caught:
        run(Plain("me", raises_ours).resolve())
    hides(caught.value)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Plain("me", str), TypeError),
        (lambda: Cbs(str, "a"), TypeError),  # type: ignore[arg-type]
        (lambda: Cbs(("t", 10**400), "a"), ConfigurationError),
        (lambda: Cbs(("\ud800", 1), "a"), ConfigurationError),
        (lambda: Cbs(("t", 1), "\ud800"), ConfigurationError),
        (lambda: Cbs(("t", 1), "a", token_type="\ud800"), ConfigurationError),
    ],
)
def test_what_could_not_be_used_later(make: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()
