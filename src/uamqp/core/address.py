"""Addresses as programs write them: a URL that names a host and a node, or just a node's name.

The node of a URL, in the form in which a link's source or target has it on the wire, is

* for an ``amqp://`` URL, everything after the slash that follows the host, unchanged: ``amqp://host/q1`` gives
  ``q1``, ``amqp://host//queues/q%201`` gives ``/queues/q%201``, ``amqp://host/topic://news`` gives ``topic://news``;
* for any other URL, the URL without credentials, port and query, ``amqps://host/q1``, as Azure's services expect it.

Anything that isn't a URL, such as ``q1``, ``/queues/q1`` or ``queue://q1``, is the name of a node as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import ParseResult, unquote_plus, urlparse

from .masking import masked

URL_SCHEMES = frozenset(("amqp", "amqps", "sb", "ws", "wss", "http", "https"))
"""The schemes of URLs that name a host; "queue://q1" is a node's name."""

_IN_CLEAR = frozenset(("amqp", "ws", "http"))
_WEBSOCKETS = frozenset(("ws", "wss"))


class AddressError(ValueError):
    """An address can't be used. The text says why, without quoting anything that may be a password."""


@dataclass(slots=True, frozen=True)
class Host:
    """A host to connect to.

    Attributes:
        name: in lower case; an IPv6 address without its brackets.
        port: its port; None for the protocol's usual one.
    """

    name: str
    port: int | None


@dataclass(slots=True, frozen=True, repr=False)
class ParsedAddress:
    """The parts of an address. Its repr doesn't show the password.

    Attributes:
        text: the address as it was given.
        scheme: the URL's, in lower case; None for the name of a node.
        hosts: the hosts to connect to, in the order in which to try them; empty if the address names none.
        credentials: user name and password, decoded; None without a user name. A plus sign stands for a space, except
            in an amqp:// URL.
        node: the node's name as it goes on the wire; None if the address names none.
    """

    text: str
    scheme: str | None
    hosts: tuple[Host, ...]
    credentials: tuple[str, str] | None
    node: str | None

    @property
    def host(self) -> Host:
        """The first host.

        Raises:
            AddressError: the address names none.
        """
        if self.hosts:
            return self.hosts[0]
        scheme, separator, _ = masked(self.text).partition("://")
        if not separator:
            why = "it is no URL"
        elif self.scheme is None:
            is_one = re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme)
            named = f"its scheme is {scheme!r}, which" if is_one else "its scheme"
            why = f"{named} isn't one of {', '.join(sorted(URL_SCHEMES))}"
        else:
            why = "there is no host in it"
        raise AddressError(f"{why}; it must be a URL with a host, as amqps://host/node.")

    @property
    def is_tls(self) -> bool:
        """Whether the URL asks for TLS."""
        return self.scheme is not None and self.scheme not in _IN_CLEAR

    @property
    def is_websocket(self) -> bool:
        """Whether the URL asks for a WebSocket."""
        return self.scheme in _WEBSOCKETS

    def __repr__(self) -> str:
        return f"{type(self).__name__}({masked(self.text)!r})"


def is_url(text: str) -> bool:
    """Return whether a text is a URL that names a host instead of the name of a node."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.lower() in URL_SCHEMES


def parse(text: str) -> ParsedAddress:
    """Return the parts of an address.

    Raises:
        AddressError: the URL makes no sense.
    """
    parts = split(text)
    if not is_url(text):
        return ParsedAddress(text, None, (), None, text or None)
    if not text.isprintable():
        raise AddressError("it has control characters.")
    port = _port(parts)
    hosts = (Host(parts.hostname, port),) if parts.hostname else ()
    return ParsedAddress(text, parts.scheme, hosts, _credentials(parts), _node(parts, text))


def split(url: str) -> ParseResult:
    """Return the parts of a URL with any scheme.

    Raises:
        AddressError: the host can't be read, or the URL contains something that isn't a character.
    """
    why = "its host can't be read; an IPv6 address stands in brackets."
    try:
        parts = urlparse(url)
        parts.encode("utf-8")
    except UnicodeEncodeError:
        why = "it has half of a surrogate pair, which is no character."
    except ValueError:
        pass  # its text quotes what may be a password
    else:
        return parts
    raise AddressError(why)


def _port(parts: ParseResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        pass  # its text quotes what may be part of a password
    raise AddressError(
        "the port isn't a number from 0 to 65535. "
        "Characters like '/', '#', '?' and '@' in a user name or password must be percent-encoded."
    )


def _credentials(parts: ParseResult) -> tuple[str, str] | None:
    name, password = parts.username, parts.password or ""
    if name is None:
        return None
    if parts.scheme == "amqp":
        name, password = name.replace("+", "%2B"), password.replace("+", "%2B")
    return unquote_plus(name), unquote_plus(password)


def _node(parts: ParseResult, text: str) -> str | None:
    rest = text.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if parts.scheme == "amqp":
        return rest[len(authority) :].removeprefix("/") or None
    host = authority.rpartition("@")[2]
    host = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return f"{parts.scheme}://{host.lower()}{parts.path}"
