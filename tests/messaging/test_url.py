"""URLs taken apart, what is wrong with those that fail, and that no password is ever shown."""

from __future__ import annotations

import pickle
import string
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.messaging.errors import ConfigurationError
from uamqp.messaging.url import OPTIONS, SASL_MECHANISMS, ConnectionURL, HostPort, parse, parse_all


@pytest.mark.parametrize(
    ("url", "scheme", "port", "is_tls", "is_websocket"),
    [
        ("amqp://h", "amqp", 5672, False, False),
        ("amqps://h", "amqps", 5671, True, False),
        ("AMQPS://h", "amqps", 5671, True, False),
        ("amqpws://h", "amqpws", 80, False, True),
        ("amqpwss://h", "amqpwss", 443, True, True),
        ("ws://h", "amqpws", 80, False, True),
        ("WSS://h", "amqpwss", 443, True, True),
    ],
)
def test_schemes(url: str, scheme: str, port: int, is_tls: bool, is_websocket: bool) -> None:
    parsed = parse(url)
    assert (parsed.scheme, parsed.is_tls, parsed.is_websocket) == (scheme, is_tls, is_websocket)
    assert parsed.hosts == (HostPort("h", port),)
    assert parsed.path == ("/" if is_websocket else None)
    assert (parsed.user, parsed.password) == (None, None)
    assert all(getattr(parsed, option) is None for option in OPTIONS if option != "path")


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        ("mq1.Example.com", [("mq1.example.com", 5671)]),
        ("mq1:5673", [("mq1", 5673)]),
        ("mq1,mq2:1,mq3", [("mq1", 5671), ("mq2", 1), ("mq3", 5671)]),
        ("10.0.0.1:65535", [("10.0.0.1", 65535)]),
        ("[::1]", [("::1", 5671)]),
        ("[2001:DB8::1]:5673,[::ffff:10.0.0.1],h:2", [("2001:db8::1", 5673), ("::ffff:10.0.0.1", 5671), ("h", 2)]),
        ("[fe80::1%25eth0]:1", [("fe80::1%eth0", 1)]),
        ("my_host-1", [("my_host-1", 5671)]),
        ("müller.example", [("müller.example", 5671)]),
    ],
)
@pytest.mark.parametrize("before", ["", "me:p,w:1@"])
@pytest.mark.parametrize("after", ["", "/", "?", "/?", "/?sasl=PLAIN"])
def test_hosts(hosts: str, found: list[tuple[str, int]], before: str, after: str) -> None:
    if "sasl" in after and not before:
        after = after.replace("PLAIN", "ANONYMOUS")
    assert parse(f"amqps://{before}{hosts}{after}").hosts == tuple(found)


def test_a_host_and_its_port_are_shown_as_in_a_url() -> None:
    assert [str(host) for host in parse("amqp://h,[::1]:1").hosts] == ["h:5672", "[::1]:1"]


@pytest.mark.parametrize(
    ("user_info", "user", "password"),
    [
        ("me:pw", "me", "pw"),
        ("me", "me", ""),
        ("me:", "me", ""),
        (":pw", "", "pw"),
        ("", "", ""),
        ("me:a:b", "me", "a:b"),
        ("u+x:p+%2B%20", "u+x", "p++ "),
        ("u%40x:%2F%3F%23%25%3a", "u@x", "/?#%:"),
        ("m%C3%BCller:%E2%82%AC", "müller", "€"),
        ("müller:€!$&'()*,;=[]", "müller", "€!$&'()*,;=[]"),
    ],
)
@pytest.mark.parametrize("scheme", ["amqp", "amqps", "wss"])
def test_user_and_password(scheme: str, user_info: str, user: str, password: str) -> None:
    parsed = parse(f"{scheme}://{user_info}@h")
    assert (parsed.user, parsed.password) == (user, password)


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("hostname=vhost:prod", "hostname", "vhost:prod"),
        ("hostname=vhost%3Aa%26b", "hostname", "vhost:a&b"),
        ("container_id=a+b%40c=d", "container_id", "a+b@c=d"),
        ("idle_timeout=30", "idle_timeout", 30.0),
        ("idle_timeout=0.001", "idle_timeout", 0.001),
        ("idle_timeout=4294967.295", "idle_timeout", 4294967.295),
        ("max_frame_size=512", "max_frame_size", 512),
        ("max_frame_size=4294967295", "max_frame_size", 4294967295),
        ("connect_timeout=2.5", "connect_timeout", 2.5),
        ("sasl=EXTERNAL", "sasl", ("EXTERNAL",)),
        ("sasl=external,Anonymous", "sasl", ("EXTERNAL", "ANONYMOUS")),
        ("path=/ws", "path", "/ws"),
        ("path=a/b%3Fc", "path", "/a/b?c"),
    ],
)
def test_options(query: str, name: str, value: object) -> None:
    parsed = parse(f"wss://h?{query}")
    found = getattr(parsed, name)
    assert found == value
    assert type(found) is type(value)
    others = {option: getattr(parsed, option) for option in OPTIONS if option not in (name, "path")}
    assert set(others.values()) == {None}


def test_all_options_together() -> None:
    query = "hostname=a&container_id=b&idle_timeout=1&max_frame_size=1024&connect_timeout=2&sasl=PLAIN&path=/p"
    assert parse(f"wss://me:pw@h/?{query}") == ConnectionURL(
        "amqpwss", (HostPort("h", 443),), "me", "pw", "a", "b", 1.0, 1024, 2.0, ("PLAIN",), "/p"
    )


WRONG = [
    ("", "url must begin with amqp://, amqps://, amqpws://, amqpwss://, ws://, wss://"),
    ("mq1:5672", "url must begin with"),
    ("me:sEcReT@h", "url must begin with"),
    ("amqp:h", "url must begin with"),
    ("mqtt://me:sEcReT@h", "url must begin with"),
    ("http://me:sEcReT@h", "write amqpws://"),
    ("https://h", "write amqpwss://"),
    ("sb://ns.example", "write amqps://"),
    ("failover:(amqp://h)", "url must begin with"),
    ("failover://h", "write all hosts into one URL"),
    ("sEcReT://me@h", "url must begin with"),
    ("amqp://", "url's host is missing"),
    ("amqp:///", "url's host is missing"),
    ("amqp://me:sEcReT@", "url's host is missing"),
    ("amqp://h1,,h2", "host 2 of url is missing"),
    ("amqp://h1,h2,", "host 3 of url is missing"),
    ("amqp://:5672", "url's host is neither a name nor an address"),
    ("amqp://h:", "url's host has a port that isn't a number from 1 to 65535"),
    ("amqp://h:0", "has a port that isn't a number"),
    ("amqp://h1:1,h2:65536", "host 2 of url has a port that isn't a number"),
    ("amqp://h:-1", "has a port"),
    ("amqp://h:+1", "has a port"),
    ("amqp://h:5 672", "has spaces"),
    ("amqp://h:\u0661", "has a port"),
    ("amqp://me:sEcReT", "has a port that isn't a number from 1 to 65535"),
    ("amqp://::1", "an IPv6 address stands in brackets"),
    ("amqp://[::1", "an IPv6 address stands in brackets"),
    ("amqp://::1]", "an IPv6 address stands in brackets"),
    ("amqp://[::1]x", "can't be read"),
    ("amqp://[h]", "has something in brackets that is no IPv6 address"),
    ("amqp://[]", "no IPv6 address"),
    ("amqp://[fe80::1%eth0]", "no IPv6 address"),
    ("amqp://[fe80::1%25]", "no IPv6 address"),
    ("amqp://a;b", "neither a name nor an address"),
    ("amqp://%41", "neither a name nor an address"),
    (" amqp://h", "url has spaces, control characters"),
    ("amqp://h\n", "url has spaces, control characters"),
    ("amqp://me:sEcReT \ud800@h", "url has spaces, control characters or halves of surrogate pairs"),
    (
        "amqp://h/q1",
        "url has a path, which has no meaning here: the address of a queue is an argument of open_sender()",
    ),
    ("amqp://h/%2F", "hostname=rabbitmq.vhost(NAME)"),
    ("wss://h/ws", "?path=/NAME"),
    ("amqp://h//", "has a path"),
    ("amqp://me:sEcReT/x@h", "has an '@' after the host"),
    ("amqp://me:sE?cReT@h", "has an '@' after the host"),
    ("amqp://me:sE#cReT@h", "has an '@' after the host"),
    ("amqp://me:12/sEcReT@h", "must be percent-encoded"),
    ("amqp://me:sEc@ReT@h", "has several '@'"),
    ("amqp://me:sEcReT@h1,me:sEcReT@h2", "user and password stand once, before all hosts"),
    ("amqp://h?container_id=a@b", "in an option, too, it is written %40"),
    ("amqp://h#x", "has a fragment"),
    ("amqp://h?hostname=x#y", "has a fragment"),
    ("amqp://me:sEcReT%@h", "a '%' itself is written %25"),
    ("amqp://me:sEcReT%4@h", "a '%' itself is written %25"),
    ("amqp://me:sEcReT%zz@h", "a '%' itself is written %25"),
    ("amqp://me%ff:sEcReT@h", "begins no percent-encoded UTF-8"),
    ("amqp://me:sEcReT%00@h", "has a user name or password with a NUL character"),
    ("amqp://h?hartbeat=1", "option 1 of url is unknown; there are hostname, container_id, idle_timeout"),
    ("amqp://h?hostname=a&idletimeout=1", "option 2 of url is unknown (did you mean idle_timeout?)"),
    ("amqp://h?Hostname=a", "option 1 of url is unknown (did you mean hostname?)"),
    ("amqp://h?hostname=a&&sasl=PLAIN", "option 2 of url is unknown"),
    ("amqp://me:12?sEcReT", "option 1 of url is unknown"),
    ("amqp://h?hostname", "the option hostname of url has no value"),
    ("amqp://h?hostname=", "the option hostname of url has no value"),
    ("amqp://h?hostname=a&hostname=a", "the option hostname of url is given twice"),
    ("amqp://h?hostname=%zz", "the option hostname of url has a '%' that begins no percent-encoded UTF-8"),
    ("amqp://h?hostname=%0a", r"must have no control characters, not '\n'"),
    (
        "amqp://h?idle_timeout=x",
        "the option idle_timeout of url must be a number of seconds, such as 60 or 0.5, not 'x'",
    ),
    ("amqp://h?idle_timeout=0", "the option idle_timeout of url must be more than 0 seconds"),
    ("amqp://h?idle_timeout=0.0001", "must be from 0.001 to 4294967 seconds, not 0.0001"),
    ("amqp://h?idle_timeout=4294968", "must be from 0.001 to 4294967 seconds, not 4294968.0"),
    ("amqp://h?idle_timeout=-1", "must be a number of seconds"),
    ("amqp://h?idle_timeout=nan", "must be a number of seconds"),
    ("amqp://h?idle_timeout=1e3", "must be a number of seconds"),
    ("amqp://h?connect_timeout=inf", "the option connect_timeout of url must be a number of seconds"),
    ("amqp://h?connect_timeout=0", "the option connect_timeout of url must be more than 0 seconds"),
    ("amqp://h?connect_timeout=99999999999", "the option connect_timeout of url must be more than 0 seconds, and"),
    ("amqp://h?max_frame_size=511", "the option max_frame_size of url must be from 512 to 4294967295, not 511"),
    ("amqp://h?max_frame_size=4294967296", "must be from 512 to 4294967295"),
    ("amqp://h?max_frame_size=1024.0", "must be a whole number of bytes, not '1024.0'"),
    ("amqp://h?max_frame_size=1_024", "must be a whole number of bytes"),
    ("amqp://h?sasl=MAGIC", "each mechanism of the option sasl of url must be one of 'ANONYMOUS', 'EXTERNAL', 'PLAIN'"),
    ("amqp://h?sasl=EXTERNAL,,ANONYMOUS", "each mechanism of the option sasl"),
    ("amqp://h?sasl=EXTERNAL,external", "the option sasl of url must name each mechanism once"),
    ("amqp://h?sasl=PLAIN", "the option sasl of url names PLAIN, which needs user:password@"),
    ("amqp://me:sEcReT@h?sasl=EXTERNAL", "the option sasl of url names none that uses the user and password"),
    ("amqp://h?path=/ws", "the option path of url is for amqpws:// and amqpwss://"),
    ("wss://h?path=a%20b", "must have no '#', no spaces and no control characters, not 'a b'"),
    ("wss://h?path=%23", "must have no '#'"),
]


def hides(error: BaseException, *secrets: str) -> None:
    """No password stands in an error, in what it came from, or in how it is shown."""
    link: BaseException | None = error
    while link is not None:
        for secret in secrets:
            assert secret not in str(link) + repr(link.args)
        link = link.__context__
    shown = "".join(traceback.format_exception_only(type(error), error))
    assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize(("url", "why"), WRONG)
def test_what_is_wrong_with_a_url(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    hides(caught.value, "sE", "cReT")


@pytest.mark.parametrize("url", [None, b"amqp://me:sEcReT@h", 5672, ["amqp://me:sEcReT@h"]])
def test_a_url_is_text(url: Any) -> None:
    with pytest.raises(TypeError) as caught:
        parse(url)
    assert str(caught.value) == f"url must be a str, not {type(url).__name__}"


def test_a_url_is_a_value_that_shows_neither_user_nor_password() -> None:
    parsed = parse("amqps://Admin:sEcReT@mq1,[::1]:1/?sasl=PLAIN&idle_timeout=30&hostname=vhost:x")
    assert (
        repr(parsed)
        == str(parsed)
        == ("ConnectionURL('amqps://***@mq1:5671,[::1]:1?hostname=vhost:x&idle_timeout=30.0&sasl=PLAIN')")
    )
    assert repr(parse("amqp://h")) == "ConnectionURL('amqp://h:5672')"
    assert parsed == parse("amqps://Admin:sEcReT@mq1,[::1]:1?hostname=vhost:x&sasl=plain&idle_timeout=30")
    assert hash(parsed) == hash(pickle.loads(pickle.dumps(parsed)))
    assert parsed != parse("amqps://Admin:other@mq1,[::1]:1/?sasl=PLAIN&idle_timeout=30&hostname=vhost:x")
    with pytest.raises(AttributeError):
        parsed.user = "x"  # type: ignore[misc]


# -- several URLs


def test_several_urls() -> None:
    urls = ("amqps://me:pw@a,b?connect_timeout=1", "amqp://me:pw@c", "wss://me:pw@d?path=/ws")
    for given_as in (urls, list(urls)):
        parsed = parse_all(given_as)
        assert parsed == tuple(map(parse, urls))
    assert parse_all("amqp://h") == (parse("amqp://h"),)


@pytest.mark.parametrize(
    ("urls", "error", "why"),
    [
        ((), ConfigurationError, "url must not be empty"),
        (("amqp://h", "amqp://h/sEcReT"), ConfigurationError, "url[1] has a path"),
        (("amqp://h", "sEcReT:x@h"), ConfigurationError, "url[1] must begin with"),
        (("amqp://h:1", b"sEcReT"), TypeError, "url[1] must be a str, not bytes"),
        (b"amqp://me:sEcReT@h", TypeError, "url must be a str or a sequence of str, not bytes"),
        (None, TypeError, "url must be a str or a sequence of str, not NoneType"),
        ({"amqp://h"}, TypeError, "url must be a str or a sequence of str, not set"),
        (
            ("amqp://me:sEcReT@a", "amqp://b"),
            ConfigurationError,
            "url[0] and url[1] differ in the user name or password",
        ),
        (
            ("amqp://me:a@a", "amqp://me:sEcReT@b"),
            ConfigurationError,
            "url[0] and url[1] differ in the user name or pass",
        ),
        (("amqp://a", "amqp://b", "amqp://c?hostname=x"), ConfigurationError, "url[0] and url[2] differ in the option"),
        (("amqp://a?container_id=x", "amqp://b"), ConfigurationError, "the option container_id"),
        (("amqp://a?idle_timeout=1", "amqp://b?idle_timeout=2"), ConfigurationError, "the option idle_timeout"),
        (("amqp://a?max_frame_size=512", "amqp://b"), ConfigurationError, "the option max_frame_size"),
        (("amqp://a?sasl=EXTERNAL", "amqp://b"), ConfigurationError, "the option sasl"),
    ],
)
def test_what_is_wrong_with_several(urls: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error) as caught:
        parse_all(urls)
    assert why in str(caught.value)
    hides(caught.value, "sEcReT")


# -- whatever the text

PIECES = ["amqp://", "amqps://", "wss://", ":", "@", "/", "[", "]", "::1", "?", "#", "%", "%40", "%00", "+", ",", "h"]
PIECES += ["5671", "&", "=", "hostname=", "idle_timeout=", "sasl=PLAIN", "path=", " ", "\n", "é"]
MARKS = "/?#@:%[],&= \n\0+é\ud800"
SECRET = "xQz7"
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def tried(url: str) -> tuple[ConnectionURL | None, ConfigurationError | None]:
    try:
        return parse(url), None
    except ConfigurationError as error:
        return None, error


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
def test_any_text_parses_or_is_a_configuration_error(text: str) -> None:
    for url in (text, f"amqp://{text}", f"wss://me:{text}"):
        parsed, refused = tried(url)
        assert str(refused).isprintable()
        if parsed is None:
            continue
        assert parse(url) == parsed
        assert parsed.hosts
        assert all(host and 1 <= port <= 65535 for host, port in parsed.hosts)
        assert (parsed.user is None) is (parsed.password is None) is ("@" not in url)
        assert set(parsed.sasl or ()) <= set(SASL_MECHANISMS)
        repr(parsed)


@given(
    st.sampled_from(["amqp://", "amqps://", "wss://", "http://", "", "amqp:/", "AMQPWS://"]),
    st.text(alphabet=MARKS + string.ascii_letters, max_size=4),
    st.text(alphabet=MARKS + string.ascii_letters + string.digits, max_size=8),
    st.text(alphabet=MARKS + string.ascii_letters + string.digits, max_size=8),
    st.sampled_from(["@h", "@h1,h2:1", "", "@", "@h/", "@h/q", "@h?hostname=x", "@h?sasl=EXTERNAL", "@h?x=1", "@[::1"]),
)
def test_no_password_is_shown_however_it_is_written(scheme: str, user: str, one: str, two: str, rest: str) -> None:
    """A password that isn't encoded as it should be can end up anywhere in a URL."""
    password = f"{one}{SECRET}{two}"
    for url in (f"{scheme}{user}:{password}{rest}", f"{scheme}{password}{rest}"):
        parsed, refused = tried(url)
        if refused is not None:
            hides(refused, SECRET)
        elif "@" in url:  # else nothing tells that it was meant as one
            assert SECRET.lower() not in repr(parsed).lower()


@given(CHARACTERS, CHARACTERS)
def test_user_and_password_are_what_was_encoded(user: str, password: str) -> None:
    parsed = parse(f"amqps://{quote(user, safe='')}:{quote(password, safe='')}@h")
    assert (parsed.user, parsed.password) == (user, password)


@given(st.sampled_from(sorted(OPTIONS)), CHARACTERS.filter(bool))
def test_an_option_is_what_was_encoded_or_its_error_names_it(option: str, value: str) -> None:
    parsed, refused = tried(f"wss://h?{option}={quote(value, safe='')}")
    if parsed is None:
        assert f"option {option} of url" in str(refused)
    else:
        assert getattr(parsed, option) == value or option not in ("hostname", "container_id")
