"""Where a connection goes, and how: ports, TLS, proxies."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from . import tls as tls_files

AMQP_PORT, AMQPS_PORT = 5672, 5671
_HTTP_PORT, _HTTPS_PORT = 80, 443

_NO_RECORDS = frozenset(("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"))
"""OpenSSL's errors for input that isn't a TLS record; which one depends on its version and on the bytes."""

_NO_TLS = "; the peer may not speak TLS on this port (an amqp:// URL goes without)"


@dataclass(slots=True, frozen=True)
class Proxy:
    """An HTTP proxy that is asked for a tunnel (CONNECT, RFC 9110, section 9.3.6).

    Attributes:
        host: of the proxy.
        port: of the proxy.
        username: for Basic authentication; None if the proxy asks for none.
        password: for Basic authentication.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return address_text(self.host, self.port)


class TLSSettings:
    """The settings of TLS with a peer: a context, or the files from which one is made when it is first needed.

    Args:
        context: a context to use as it is, in place of all the rest.
        ca_file: see `tls.client_context`.
        certificate: see `tls.client_context`.
        key: see `tls.client_context`.
        password: see `tls.client_context`.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        ca_file: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        password: tls_files.Password | Callable[[], tls_files.Password] | None = None,
    ) -> None:
        self._context = context
        self._ca_file = ca_file
        self._certificate = certificate
        self._key = key
        self._password = password

    @property
    def is_read(self) -> bool:
        """Whether there is a context, so that no certificates have to be read before connecting."""
        return self._context is not None

    def check(self) -> None:
        """Check that the files can be used, without reading the system's certificates.

        Raises:
            FileNotFoundError: one of them doesn't exist.
            ValueError: one can't be used; the text says which, and why.
        """
        if self._ca_file is not None or self._certificate is not None:
            from . import tls  # noqa: PLC0415 (loads ssl only when needed)

            tls.check_files(self._ca_file, self._certificate, self._key, self._password)

    def context(self) -> ssl.SSLContext:
        """Return the context. The first call reads certificates, so don't make it in an event loop (`Driver.prepare`).

        Raises:
            FileNotFoundError: see `check`.
            ValueError: see `check`.
        """
        if self._context is None:
            from . import tls  # noqa: PLC0415 (as above)

            self._context = tls.client_context(self._ca_file, self._certificate, self._key, self._password)
        return self._context


@dataclass(slots=True, frozen=True)
class Endpoint:
    """Where a connection goes.

    Attributes:
        host: the host to connect to.
        port: the TCP port.
        tls: the TLS context; None for plain TCP.
        server_hostname: the name that the certificate must contain; None stands for `host`.
        connect_timeout: seconds for the TCP connection, and for the proxy's tunnel.
        proxy: the proxy that makes the TCP connection; None for a direct connection.
        websocket_path: the path of the WebSocket that carries AMQP; None for AMQP without WebSocket.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_hostname: str | None = None
    connect_timeout: float = 10.0
    proxy: Proxy | None = None
    websocket_path: str | None = None

    @classmethod
    def of(
        cls,
        host: str,
        port: int | None,
        tls: TLSSettings | None,
        *,
        connect_timeout: float = 10.0,
        proxy: Proxy | None = None,
        websocket_path: str | None = None,
    ) -> Endpoint:
        """Return the endpoint for these settings. This may read certificates: see `TLSSettings.context`.

        Args:
            host: a name or an address; IPv6 with or without brackets.
            port: None and 0 stand for `default_port`.
            tls: the settings of TLS; None for plain TCP.
            connect_timeout: see the class.
            proxy: see the class.
            websocket_path: see the class.

        Raises:
            FileNotFoundError: see `TLSSettings.check`.
            ValueError: see `TLSSettings.check`.
        """
        port = port or default_port(is_tls=tls is not None, is_websocket=websocket_path is not None)
        return cls(
            host.strip("[]"),
            port,
            None if tls is None else tls.context(),
            connect_timeout=connect_timeout,
            proxy=proxy,
            websocket_path=websocket_path,
        )

    def __str__(self) -> str:
        through = f" through the proxy {self.proxy}" if self.proxy is not None else ""
        return address_text(self.host, self.port) + through

    @property
    def tcp(self) -> tuple[str, int]:
        """The host and port that the socket connects to."""
        return (self.host, self.port) if self.proxy is None else (self.proxy.host, self.proxy.port)

    @property
    def is_tls_port(self) -> bool:
        """Whether the port is assigned to TLS (amqps, https) although we speak AMQP without it."""
        return self.tls is None and self.websocket_path is None and self.port in (AMQPS_PORT, _HTTPS_PORT)

    @property
    def tls_hostname(self) -> str | None:
        """The name that the certificate must contain; None without TLS."""
        return None if self.tls is None else self.server_hostname or self.host

    def describe(self, error: Exception, stage: str) -> str:
        """Return a description of a connection's failure.

        Args:
            error: the reason.
            stage: what was under way: "TLS handshake", "WebSocket upgrade", or empty if the connection was open.
        """
        hint = ""
        if self.tls is not None:
            import ssl  # noqa: PLC0415 (loads ssl only when needed)

            if isinstance(error, ssl.SSLCertVerificationError):
                return f"the TLS certificate of {self} was not accepted: {error.verify_message}"
            if isinstance(error, ssl.SSLError) and error.reason in _NO_RECORDS:
                hint = _NO_TLS
        if stage:
            return f"the {stage} with {self} failed: {error}{hint}"
        return f"the connection to {self} broke: {error}"


def default_port(*, is_tls: bool, is_websocket: bool) -> int:
    """Return the port assigned to the protocol."""
    if is_websocket:
        return _HTTPS_PORT if is_tls else _HTTP_PORT
    return AMQPS_PORT if is_tls else AMQP_PORT


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, judging by its name."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def address_text(host: str, port: int) -> str:
    """Return host and port as one string."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
