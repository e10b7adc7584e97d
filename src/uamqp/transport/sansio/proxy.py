"""The tunnel through an HTTP proxy (CONNECT, RFC 9110, section 9.3.6), without I/O."""

from __future__ import annotations

import base64

from .endpoint import Proxy, address_text

MAX_HEAD = 64 * 1024
"""Maximum size in bytes of the head of the proxy's answer."""


class ProxyError(OSError):
    """The proxy didn't make the connection."""


class Tunnel:
    """Asks a proxy for a connection: write `request`, then pass input to `receive` until it returns True.

    Args:
        proxy: the proxy.
        host: where the tunnel should lead.
        port: where the tunnel should lead.

    Raises:
        ProxyError: the host's name is invalid.
    """

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._proxy = proxy
        self._target = address_text(_name(host), port)
        self._head = bytearray()

    @property
    def request(self) -> bytes:
        """The bytes to write."""
        lines = [f"CONNECT {self._target} HTTP/1.1", f"Host: {self._target}"]
        proxy = self._proxy
        if proxy.username is not None:
            credentials = f"{proxy.username}:{proxy.password or ''}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}")
        return "\r\n".join([*lines, "", ""]).encode()

    def receive(self, data: bytes) -> bool:
        """Accept input from the proxy, b"" for its end; return whether the tunnel is there.

        Raises:
            ProxyError: the proxy refused, or its answer makes no sense.
        """
        if not data:
            raise ProxyError(f"the proxy {self._proxy} ended the connection instead of answering")
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if not b"HTTP/1.".startswith(bytes(self._head[:7])):
            raise ProxyError(f"the proxy {self._proxy} doesn't speak HTTP: it sent {bytes(self._head[:20])!r}")
        if end < 0 and len(self._head) > MAX_HEAD:
            raise ProxyError(f"the proxy {self._proxy} sent over {MAX_HEAD} bytes without the end of its answer's head")
        if end < 0:
            return False
        self._check(bytes(self._head[: self._head.find(b"\r\n")]))
        if len(self._head) > end + 4:
            raise ProxyError(f"the proxy {self._proxy} sent data before there was anything to answer")
        return True

    def _check(self, line: bytes) -> None:
        text = line.decode("latin-1")
        status = text[9:12]
        if len(text) < 12 or not status.isdigit():
            raise ProxyError(f"the proxy {self._proxy} sent no status: {text[:80]!r}")
        if status == "407":
            why = "it wants a username and password" if self._proxy.username is None else "it refuses the credentials"
            raise ProxyError(f"the proxy {self._proxy} refused to connect to {self._target}: {why} ({text[9:80]})")
        if not status.startswith("2"):
            raise ProxyError(f"the proxy {self._proxy} refused to connect to {self._target}: {text[9:80]}")


def _name(host: str) -> str:
    """Return a host's name in the form for a request; a line break in it would begin another header field."""
    if any(character.isspace() or not character.isprintable() or character in "/?#@" for character in host):
        raise ProxyError(f"{host!r} is no name of a host: it has characters that no name has")
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise ProxyError(f"{host!r} is no name of a host: {error}") from error
