"""Where a connection goes, and by which way. Imports the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

# OpenSSL's reasons for what starts with no TLS record; which of them depends on its version, and on the bytes.
_NO_RECORDS = frozenset(("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"))
_NO_TLS = "; the peer may not speak TLS on this port (use_tls=False, or an amqp:// URL)"


@dataclass(slots=True, frozen=True)
class Proxy:
    """An HTTP proxy that is asked for a tunnel (CONNECT, RFC 9110, section 9.3.6).

    Fields:
        host, port: of the proxy.
        username, password: for Basic authentication; None: the proxy wants none.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return address_text(self.host, self.port)


@dataclass(slots=True, frozen=True)
class Endpoint:
    """Where a connection goes.

    Fields:
        host, port: the TCP endpoint.
        tls: the TLS context, None for plain TCP.
        server_hostname: whom the certificate must name; None: `host`.
        connect_timeout: seconds for the TCP connection, and for the proxy's tunnel.
        proxy: the proxy that makes the TCP connection; None: we do.
        websocket_path: the path of the WebSocket that AMQP goes over; None: it goes without.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_hostname: str | None = None
    connect_timeout: float = 10.0
    proxy: Proxy | None = None
    websocket_path: str | None = None

    def __str__(self) -> str:
        through = f" through the proxy {self.proxy}" if self.proxy is not None else ""
        return address_text(self.host, self.port) + through

    @property
    def tcp(self) -> tuple[str, int]:
        """Host and port that the socket connects to."""
        return (self.host, self.port) if self.proxy is None else (self.proxy.host, self.proxy.port)

    @property
    def is_tls_port(self) -> bool:
        """The port is assigned to TLS (amqps, https), and we speak AMQP without it."""
        return self.tls is None and self.websocket_path is None and self.port in (5671, 443)

    @property
    def tls_hostname(self) -> str | None:
        """Whom the certificate must name; None without TLS."""
        return None if self.tls is None else self.server_hostname or self.host

    def describe(self, error: Exception, stage: str) -> str:
        """Return what to say about a connection that failed.

        Args:
            error: why.
            stage: what was under way: "TLS handshake", "WebSocket upgrade", or empty when it was open.
        """
        hint = ""
        if self.tls is not None:
            import ssl  # noqa: PLC0415 (who speaks no TLS does without)

            if isinstance(error, ssl.SSLCertVerificationError):
                return f"the TLS certificate of {self} was not accepted: {error.verify_message}"
            if isinstance(error, ssl.SSLError) and error.reason in _NO_RECORDS:
                hint = _NO_TLS
        if stage:
            return f"the {stage} with {self} failed: {error}{hint}"
        return f"the connection to {self} broke: {error}"


def address_text(host: str, port: int) -> str:
    """Return host and port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
