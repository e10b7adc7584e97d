"""URLs that say where to connect to, for instance `amqps://user:password@mq1.example.com,mq2.example.com:5673`.

    amqp[s]://[user[:password]@]host[:port][,host2[:port]...][/][?option=value[&option=value...]]

`amqpws://` and `amqpwss://`, or `ws://` and `wss://`, mean AMQP over WebSocket. An IPv6 address stands in brackets. In
user, password and options, percent-encoding is decoded; a plus sign is a plus sign. The options are `OPTIONS`.

No error quotes what may be a password. One with a character that must be percent-encoded and isn't can reach to any
part of a URL, so errors quote nothing but the values of options, and not before it is clear where the password ends.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..engine import sasl
from ..engine.config import MAX_UINT
from ..engine.limits import MIN_MAX_FRAME_SIZE
from ..transport.sansio.endpoint import address_text, default_port
from . import checks
from .errors import ConfigurationError

_SCHEMES = {name: name for name in ("amqp", "amqps", "amqpws", "amqpwss")} | {"ws": "amqpws", "wss": "amqpwss"}
_TLS = frozenset(("amqps", "amqpwss"))
_WEBSOCKETS = frozenset(("amqpws", "amqpwss"))

_OTHER_SCHEMES = {
    "http": "for AMQP over WebSocket write amqpws://",
    "https": "for AMQP over WebSocket write amqpwss://",
    "sb": "write amqps://",
    "failover": "write all hosts into one URL, separated by commas",
}
"""Schemes that others use, and what to write instead."""

_HOST = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?", re.DOTALL)
_NAME = re.compile(r"[^\s!\"#$%&'()*+,/:;<=>?@\[\\\]^`{|}]+")
_PORT = re.compile(r"[0-9]{1,5}")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_ENCODE = "In a user name or password, characters such as '/', '?', '#', '@', '%' and spaces must be percent-encoded."

SASL_MECHANISMS = (sasl.Anonymous.name, sasl.External.name, sasl.Plain.name)
"""What the option sasl may name."""

MAX_IDLE_TIMEOUT = MAX_UINT / 1000
"""The longest idle time-out in seconds that fits into an open (section 2.7.1)."""


class HostPort(NamedTuple):
    """A host to connect to.

    Attributes:
        host: its name, in lower case, or its address; IPv6 without brackets.
        port: the TCP port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return address_text(self.host, self.port)


@dataclass(slots=True, frozen=True, repr=False)
class ConnectionURL:
    """The parts of a URL; `parse` makes it. Its repr shows neither user name nor password.

    Attributes:
        scheme: "amqp", "amqps", "amqpws" or "amqpwss".
        hosts: the hosts, in the order in which to try them.
        user: the user name; None if the URL has none.
        password: the password; None if the URL has no user name, empty if it has no password.
        hostname: the option hostname, for the open; None if it isn't given, like all that follow.
        container_id: the option container_id.
        idle_timeout: the option idle_timeout, in seconds.
        max_frame_size: the option max_frame_size, in bytes.
        connect_timeout: the option connect_timeout, in seconds.
        sasl: the option sasl: names of SASL mechanisms, best first.
        path: the option path: of the WebSocket, "/" if it isn't given; None without WebSocket.
    """

    scheme: str
    hosts: tuple[HostPort, ...]
    user: str | None = None
    password: str | None = None
    hostname: str | None = None
    container_id: str | None = None
    idle_timeout: float | None = None
    max_frame_size: int | None = None
    connect_timeout: float | None = None
    sasl: tuple[str, ...] | None = None
    path: str | None = None

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in _TLS

    @property
    def is_websocket(self) -> bool:
        """Whether a WebSocket carries the connection."""
        return self.scheme in _WEBSOCKETS

    def __repr__(self) -> str:
        user = "" if self.user is None else "***@"
        hosts = ",".join(map(str, self.hosts))
        shown = []
        for name in OPTIONS:
            value = getattr(self, name)
            if value is not None:
                shown.append(f"{name}={','.join(value) if isinstance(value, tuple) else value}")
        query = f"?{'&'.join(shown)}" if shown else ""
        return f"ConnectionURL({f'{self.scheme}://{user}{hosts}{query}'!r})"


def parse(url: str, name: str = "url") -> ConnectionURL:
    """Return the parts of a URL.

    Args:
        url: the URL.
        name: the argument's, for errors.

    Raises:
        TypeError: it isn't text.
        ConfigurationError: it can't be used; the text says why, without quoting it.
    """
    if not isinstance(url, str):
        raise TypeError(f"{name} must be a str, not {type(url).__name__}")
    if not url.isprintable() or " " in url:
        raise ConfigurationError(f"{name} has spaces, control characters or halves of surrogate pairs. {_ENCODE}")
    scheme, rest = _scheme(name, url)
    authority, tail = _split(rest, "/?#")
    if "@" in tail:
        raise ConfigurationError(f"{name} has an '@' after the host; in an option, too, it is written %40. {_ENCODE}")
    if "#" in tail:
        raise ConfigurationError(f"{name} has a fragment, after '#', which has no meaning here. {_ENCODE}")
    if authority.count("@") > 1:
        raise ConfigurationError(f"{name} has several '@': user and password stand once, before all hosts. {_ENCODE}")
    user_info, _, hosts = authority.rpartition("@")
    user, password = _user(name, user_info) if "@" in authority else (None, None)
    path, query = _split(tail, "?")
    if path not in ("", "/"):
        raise ConfigurationError(
            f"{name} has a path, which has no meaning here: the address of a queue is an argument of open_sender() and "
            "open_receiver(), a virtual host of RabbitMQ is connect()'s hostname=rabbitmq.vhost(NAME), and the path of "
            f"a WebSocket is an option of the URL, ?path=/NAME. {_ENCODE}"
        )
    is_websocket = scheme in _WEBSOCKETS
    port = default_port(is_tls=scheme in _TLS, is_websocket=is_websocket)
    options = _options(name, query.removeprefix("?"))
    if is_websocket:
        options.setdefault("path", "/")
    elif "path" in options:
        raise ConfigurationError(f"the option path of {name} is for amqpws:// and amqpwss://")
    _check_sasl(name, options.get("sasl"), user is not None)
    return ConnectionURL(scheme, _hosts(name, hosts, port), user, password, **options)


def parse_all(url: str | Sequence[str]) -> tuple[ConnectionURL, ...]:
    """Return the parts of one URL or several, in order: the hosts of one connection.

    They may differ in scheme, hosts, connect_timeout and path. All else is the connection's, and must be the same.

    Raises:
        TypeError: it is neither text nor a sequence of texts.
        ConfigurationError: there is none, one can't be used, or they contradict each other.
    """
    if isinstance(url, str):
        return (parse(url),)
    given: object = url
    if isinstance(given, (bytes, bytearray)) or not isinstance(given, Sequence):
        raise TypeError(f"url must be a str or a sequence of str, not {type(url).__name__}")
    if not url:
        raise ConfigurationError("url must not be empty: it needs one URL at least")
    parsed = tuple(parse(item, f"url[{index}]") for index, item in enumerate(url))
    for index, other in enumerate(parsed):
        for names, called in _COMMON.items():
            if any(getattr(other, name) != getattr(parsed[0], name) for name in names):
                raise ConfigurationError(
                    f"url[0] and url[{index}] differ in the {called}, of which a connection has one: write the same "
                    "into all, or pass it to connect()"
                )
    return parsed


def _split(text: str, marks: str) -> tuple[str, str]:
    """Return what stands before the first of some characters, and the rest with it."""
    end = min((at for mark in marks if (at := text.find(mark)) >= 0), default=len(text))
    return text[:end], text[end:]


def _scheme(name: str, url: str) -> tuple[str, str]:
    """Return the scheme and what follows it."""
    scheme, separator, rest = url.partition("://")
    known = _SCHEMES.get(scheme.lower())
    if separator and known is not None:
        return known, rest
    other = _OTHER_SCHEMES.get(scheme.lower()) if separator else None
    hint = "" if other is None else f"; {other}"
    raise ConfigurationError(f"{name} must begin with {', '.join(f'{text}://' for text in _SCHEMES)}{hint}")


def _user(name: str, user_info: str) -> tuple[str, str]:
    user, _, password = user_info.partition(":")
    decoded = _decoded(user), _decoded(password)
    if decoded[0] is None or decoded[1] is None:
        raise ConfigurationError(
            f"{name} has a user name or password with a '%' that begins no percent-encoded UTF-8: a '%' itself is "
            f"written %25. {_ENCODE}"
        )
    if "\0" in decoded[0] or "\0" in decoded[1]:
        raise ConfigurationError(f"{name} has a user name or password with a NUL character, which SASL doesn't allow")
    return decoded[0], decoded[1]


def _decoded(text: str) -> str | None:
    """Return a text without percent-encoding; None if that makes no sense."""
    if _BAD_ESCAPE.search(text):
        return None
    data = _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text.encode())
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _hosts(name: str, text: str, port: int) -> tuple[HostPort, ...]:
    hosts = text.split(",")
    return tuple(
        _host(f"{name}'s host" if len(hosts) == 1 else f"host {number} of {name}", host, port)
        for number, host in enumerate(hosts, 1)
    )


def _host(which: str, text: str, port: int) -> HostPort:
    if not text:
        raise ConfigurationError(f"{which} is missing: a URL is for instance amqps://HOST or amqps://HOST1,HOST2:PORT")
    found = _HOST.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"{which} can't be read: an IPv6 address stands in brackets, as in [::1]:5672")
    if found["port"] is not None:
        number = int(found["port"]) if _PORT.fullmatch(found["port"]) else 0
        if not 1 <= number <= 65535:
            raise ConfigurationError(
                f"{which} has a port that isn't a number from 1 to 65535; an IPv6 address stands in brackets. {_ENCODE}"
            )
        port = number
    if found["ipv6"] is not None:
        address = _ipv6(found["ipv6"])
        if address is None:
            raise ConfigurationError(f"{which} has something in brackets that is no IPv6 address")
        return HostPort(address, port)
    if not _NAME.fullmatch(found["name"]):
        raise ConfigurationError(f"{which} is neither a name nor an address. {_ENCODE}")
    return HostPort(found["name"].lower(), port)


def _ipv6(text: str) -> str | None:
    """Return an IPv6 address, perhaps with a zone (RFC 6874); None if it is none."""
    address, percent, zone = text.partition("%25")
    if "%" in address or (percent and not _ZONE.fullmatch(zone)):
        return None
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return f"{address.lower()}%{zone}" if zone else address.lower()


# -- options


def _options(name: str, query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for number, part in enumerate(query.split("&") if query else (), 1):
        option, equals, text = part.partition("=")
        check = OPTIONS.get(option)
        if check is None:
            near = difflib.get_close_matches(option, OPTIONS, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            known = ", ".join(OPTIONS)
            raise ConfigurationError(f"option {number} of {name} is unknown{hint}; there are {known}. {_ENCODE}")
        called = f"the option {option} of {name}"
        if not equals or not text:
            raise ConfigurationError(f"{called} has no value: an option is written {option}=VALUE")
        if option in options:
            raise ConfigurationError(f"{called} is given twice")
        value = _decoded(text)
        if value is None:
            raise ConfigurationError(f"{called} has a '%' that begins no percent-encoded UTF-8")
        options[option] = check(called, value)
    return options


def _text(called: str, value: str) -> str:
    if not value.isprintable():
        raise ConfigurationError(f"{called} must have no control characters, not {checks.shown(value)}")
    return checks.text(called, value)


def _idle_timeout(called: str, value: str) -> float:
    seconds = _seconds(called, value)
    if not 0.001 <= seconds <= MAX_IDLE_TIMEOUT:
        raise ConfigurationError(f"{called} must be from 0.001 to {MAX_IDLE_TIMEOUT:.0f} seconds, not {seconds!r}")
    return seconds


def _seconds(called: str, value: str) -> float:
    if not _NUMBER.fullmatch(value):
        raise ConfigurationError(f"{called} must be a number of seconds, such as 60 or 0.5, not {checks.shown(value)}")
    return checks.seconds(called, float(value), positive=True)


def _max_frame_size(called: str, value: str) -> int:
    if not _NUMBER.fullmatch(value) or "." in value:
        raise ConfigurationError(f"{called} must be a whole number of bytes, not {checks.shown(value)}")
    return checks.integer(called, int(value), MIN_MAX_FRAME_SIZE, MAX_UINT)


def _sasl(called: str, value: str) -> tuple[str, ...]:
    names = tuple(value.upper().split(","))
    for each in names:
        checks.choice(f"each mechanism of {called}", each, SASL_MECHANISMS)
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{called} must name each mechanism once, not {checks.shown(value)}")
    return names


def _path(called: str, value: str) -> str:
    if "#" in value or " " in value or not value.isprintable():
        raise ConfigurationError(
            f"{called} must have no '#', no spaces and no control characters, not {checks.shown(value)}"
        )
    return value if value.startswith("/") else f"/{value}"


OPTIONS: dict[str, Callable[[str, str], object]] = {
    "hostname": _text,
    "container_id": _text,
    "idle_timeout": _idle_timeout,
    "max_frame_size": _max_frame_size,
    "connect_timeout": _seconds,
    "sasl": _sasl,
    "path": _path,
}
"""The options of a URL, and what checks and converts the value of each."""

_COMMON = {
    ("user", "password"): "user name or password",
    ("hostname",): "option hostname",
    ("container_id",): "option container_id",
    ("idle_timeout",): "option idle_timeout",
    ("max_frame_size",): "option max_frame_size",
    ("sasl",): "option sasl",
}
"""The parts of a URL that are the connection's, and how errors call them."""


def _check_sasl(name: str, mechanisms: tuple[str, ...] | None, has_user: bool) -> None:
    """Check that there are user and password if they are needed, and that they are used if there are any."""
    if mechanisms is None or (sasl.Plain.name in mechanisms) is has_user:
        return
    why = "names none that uses the user and password in it" if has_user else "names PLAIN, which needs user:password@"
    raise ConfigurationError(f"the option sasl of {name} {why}")
