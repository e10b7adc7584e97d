"""Addresses taken apart: where to connect to, as whom, which node is meant; and what is wrong with those that fail."""

from __future__ import annotations

import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.core.address import AddressError, Host, is_url, parse, split


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "is_tls", "is_websocket"),
    [
        ("amqp://h", "amqp", "h", None, False, False),
        ("amqp://h:5673/q", "amqp", "h", 5673, False, False),
        ("amqps://Host.Example/q", "amqps", "host.example", None, True, False),
        ("AMQPS://h", "amqps", "h", None, True, False),
        ("sb://ns.example/q", "sb", "ns.example", None, True, False),
        ("ws://h:80/path", "ws", "h", 80, False, True),
        ("wss://h", "wss", "h", None, True, True),
        ("http://h", "http", "h", None, False, False),
        ("https://h", "https", "h", None, True, False),
        ("amqp://[2001:DB8::1]:1/q", "amqp", "2001:db8::1", 1, False, False),
        ("amqp://[::1]", "amqp", "::1", None, False, False),
        ("amqp://me:pw@h:0", "amqp", "h", 0, False, False),
        ("amqp://h:65535?x=1", "amqp", "h", 65535, False, False),
        ("amqp://h#f", "amqp", "h", None, False, False),
    ],
)
def test_where_to_connect(
    text: str, scheme: str, host: str, port: int | None, is_tls: bool, is_websocket: bool
) -> None:
    address = parse(text)
    assert is_url(text)
    assert address.text == text
    assert address.scheme == scheme
    assert address.hosts == (Host(host, port),)
    assert address.host == Host(host, port)
    assert (address.is_tls, address.is_websocket) == (is_tls, is_websocket)


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("amqp://h", None),
        ("amqp://me@h", ("me", "")),
        ("amqp://me:@h", ("me", "")),
        ("amqp://:pw@h", ("", "pw")),
        ("amqp://u%40x:p%3A%2F@h", ("u@x", "p:/")),
        ("amqp://u+x:p%2B+@h", ("u+x", "p++")),
        ("amqps://u+x:p%2B+@h", ("u x", "p+ ")),
        ("sb://key:a%2Fb%3D@ns", ("key", "a/b=")),
        ("wss://me:%C3%A9@h", ("me", "é")),
        ("queue://me:pw@q", None),
    ],
)
def test_as_whom(text: str, credentials: tuple[str, str] | None) -> None:
    assert parse(text).credentials == credentials


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("amqp://h", None),
        ("amqp://h/", None),
        ("amqp://h/q", "q"),
        ("amqp://h//queues/a%20b", "/queues/a%20b"),
        ("amqp://me:pw@h:1/topic://news?x#y", "topic://news?x#y"),
        ("amqp://h?x", "?x"),
        ("amqps://h", "amqps://h"),
        ("amqps://me:pw@Host:1/Q/r?x=1#f", "amqps://host/Q/r"),
        ("sb://NS.example/q/$management", "sb://ns.example/q/$management"),
        ("wss://[::1]:443/q", "wss://[::1]/q"),
        ("q", "q"),
        ("/queues/q", "/queues/q"),
        ("queue://Q", "queue://Q"),
        ("amqp", "amqp"),
        ("a b\n", "a b\n"),
        ("", None),
    ],
)
def test_which_node(text: str, node: str | None) -> None:
    assert parse(text).node == node


@pytest.mark.parametrize("text", ["q", "/queues/q", "queue://q", "://h", "", "amqp", "amqp:/h", "me:pw@q"])
def test_what_is_no_url_is_a_node(text: str) -> None:
    address = parse(text)
    assert not is_url(text)
    assert (address.scheme, address.hosts, address.credentials) == (None, (), None)
    assert not address.is_tls
    assert not address.is_websocket


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("q", "it is no URL; it must be a URL with a host, as amqps://host/node."),
        ("me:sEcReT@h:5672", "it is no URL"),
        ("queue://q", "its scheme is 'queue', which isn't one of amqp, amqps, http, https, sb, ws, wss; it must be"),
        ("sEcReT@x://h", "its scheme isn't one of amqp, "),
        ("amqp://", "there is no host in it; it must be"),
        ("amqps:///q", "there is no host in it"),
        ("amqp://:5672/q", "there is no host in it"),
        ("amqp://me:sEcReT@/q", "there is no host in it"),
    ],
)
def test_an_address_without_a_host(text: str, why: str) -> None:
    address = parse(text)
    assert address.hosts == ()
    with pytest.raises(AddressError) as caught:
        address.host  # noqa: B018
    assert str(caught.value).startswith(why)
    hides(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("amqp://h:x", "the port isn't a number from 0 to 65535. Characters like '/'"),
        ("amqp://me:pw@h:65536/q", "the port isn't a number"),
        ("amqp://h:-1", "the port isn't a number"),
        ("amqps://me:sEcReT/x@h/q", "the port isn't a number"),
        ("amqps://me:sEcReT@[::1/q", "its host can't be read; an IPv6 address stands in brackets."),
        ("amqps://me:sEcReT@h\n/q", "it has control characters."),
        ("amqps://me:sEcReT@h/\udc80", "it has half of a surrogate pair, which is no character."),
        ("\ud800", "it has half of a surrogate pair"),
    ],
)
def test_an_address_that_makes_no_sense(text: str, why: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert str(caught.value).startswith(why)
    hides(caught.value)


def hides(error: BaseException) -> None:
    """No password stands in an error, in what it came from, or in how it is shown."""
    link: BaseException | None = error
    while link is not None:
        assert "cReT" not in str(link) + repr(link.args)
        link = link.__context__
    assert "cReT" not in "".join(traceback.format_exception_only(type(error), error))


def test_no_password_is_shown() -> None:
    address = parse("amqps://me:sEcReT@h/q")
    assert repr(address) == "ParsedAddress('amqps://me:***@h/q')"
    assert "sEcReT" not in str(address) + f"{address!r:>80}"
    assert "sEcReT" not in repr(parse("me:sEcReT@q"))


def test_addresses_are_values() -> None:
    address = parse("amqps://me:pw@h:1/q")
    assert address == parse("amqps://me:pw@h:1/q") != parse("amqps://me:pw@h:1/r")
    assert hash(address) == hash(parse("amqps://me:pw@h:1/q"))
    assert pickle.loads(pickle.dumps(address)) == address
    with pytest.raises(AttributeError):
        address.node = "r"  # type: ignore[misc]


def test_parts_of_a_url_of_any_scheme() -> None:
    parts = split("https://me:pw@Host/a?b=c")
    assert (parts.scheme, parts.hostname, parts.path, parts.query) == ("https", "host", "/a", "b=c")
    with pytest.raises(AddressError, match="host can't be read"):
        split("any://[h/q")


SCHEMES = ["amqp://", "amqps://", "ws://", "queue://"]
PIECES = [*SCHEMES, "sEcReT", ":", "@", "/", "[", "]", "::1", "?", "#", "%", "%40", "+", "h", "5671"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=10).map("".join)))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    refused: AddressError | None = None
    try:
        address = parse(text)
    except AddressError as error:
        refused = error
    if refused is not None:
        hides(refused)
        return
    assert parse(text) == address
    if address.hosts:
        assert address.host.name
    else:
        with pytest.raises(AddressError):
            address.host  # noqa: B018
