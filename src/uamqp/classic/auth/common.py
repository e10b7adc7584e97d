"""SASL credentials together with the TCP and TLS settings of a connection.

TLS is on unless it is turned off explicitly, with `use_tls=False`. Certificates and host names are always verified.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...engine import sasl
from ...transport.sansio.endpoint import Endpoint, Proxy, TLSSettings, default_port
from ..values.arguments import encoded, encoding_of, finite, given, having, path, shown, text
from ..vocabulary import constants
from ..vocabulary.constants import TransportType
from ..vocabulary.settings import TransportKeywords, Unpack

__all__ = ["AMQPAuth", "SASLAnonymous", "SASLExternal", "SASLPlain"]

if TYPE_CHECKING:
    import ssl

    from ...transport.sansio import tls

DEFAULT_WEBSOCKET_PATH = "/$servicebus/websocket/"


class Authentication(Protocol):
    """Authenticates an open connection by a token, over links of its own."""

    async def close(self) -> None:
        """Detach the links, and end their session; only the first call counts."""


class AMQPAuth:
    """Where a connection goes, and how it authenticates; this base class holds no credentials.

    Its SASL mechanism is MSSBCBS, as services expect if a token follows, or ANONYMOUS if the server lacks that.

    Args:
        hostname: host of the TCP connection, which its TLS certificate must name; text or bytes. Just a name or an IP
            address, IPv6 with or without brackets: neither a URL nor a port.
        port: TCP port; 0 or None for 5671, or 5672 without TLS; for WebSocket, 443, or 80 without TLS.
        verify: path of a file with the CA certificates to trust (PEM), instead of the operating system's. Certificates
            are always verified: False is a `TypeError`.
        http_proxy: a proxy to connect through: a dict with `proxy_hostname`, `proxy_port` and, if it requires them,
            `username` and `password`. As in 1.6, a proxy implies WebSocket, and so does an empty dict, which isn't a
            proxy; `use_websocket=False` prevents that.
        transport_type: `TransportType.Amqp` or `TransportType.AmqpOverWebsocket`; None for Amqp.
        encoding: encoding of the arguments that are text.
        use_tls: False for plain TCP; None for TLS.
        ssl_context: a TLS context to use unchanged, instead of `verify` and `certificate`.
        certificate: path of a client certificate chain (PEM), for servers that ask for one.
        key: path of its private key; None if it is in the same file.
        key_password: password of the private key: text, bytes, or a function that returns it, which is called once, and
            only if the key is encrypted. There is no prompt on the terminal.
        connect_timeout: seconds for the TCP connection, and for the proxy.
        use_websocket: whether to use a WebSocket, whatever the other arguments imply; None for what they imply.
        websocket_path: the path of the server's WebSocket.

    Raises:
        FileNotFoundError: a file doesn't exist.
        KeyError: `http_proxy` has no host or port.
        TypeError: an argument has the wrong type, or an unknown name.
        ValueError: an argument is out of range, a file can't be used, or arguments contradict each other.

    Attributes:
        hostname: as bytes.
        port: as given, as an int; None if none was given.
        cert_file: `verify`.
        consumed: whether a connection uses this object; no other can until that one is closed.
    """

    __module__ = "uamqp.authentication.common"

    def __init__(
        self,
        hostname: str | bytes,
        port: int | str | None = None,
        verify: str | None = None,
        http_proxy: dict[str, Any] | None = None,
        transport_type: Any = TransportType.Amqp,
        encoding: str = "UTF-8",
        *,
        use_tls: bool | None = True,
        ssl_context: ssl.SSLContext | None = None,
        certificate: str | None = None,
        key: str | None = None,
        key_password: tls.Password | Callable[[], tls.Password] | None = None,
        connect_timeout: float = 10.0,
        use_websocket: bool | None = None,
        websocket_path: str = DEFAULT_WEBSOCKET_PATH,
    ) -> None:
        self._encoding = encoding = encoding_of(encoding)
        self.hostname = _host(hostname, "hostname", encoding)
        self.cert_file = verify
        self.consumed = False
        self.sasl: Any = None
        self.sasl_client: Any = None
        self._use_tls = use_tls is None or bool(use_tls)
        self._connect_timeout = finite(connect_timeout, "connect_timeout", "seconds", positive=True)
        self._use_websocket = use_websocket
        self._websocket_path = _path(text(websocket_path, "websocket_path", encoding))
        self._files = {
            "verify": _authorities(verify),
            "certificate": path(certificate, "certificate"),
            "key": path(key, "key"),
        }
        self._key_password = _password(key_password)
        self._tls = self._checked_tls(ssl_context)
        self._mssbcbs = sasl.Mssbcbs(exposes="")
        self.port: int | None = None
        self._proxy: Proxy | None = None
        self._is_websocket = False
        self.set_io(hostname, port, http_proxy, transport_type)

    def _checked_tls(self, context: ssl.SSLContext | None) -> TLSSettings | None:
        files = {name: file for name, file in self._files.items() if file is not None}
        named = [*files, *(["key_password"] if self._key_password is not None else [])]
        if not self._use_tls:
            named += ["ssl_context"] if context is not None else []
            if named:
                raise ValueError(f"use_tls=False goes without {', '.join(named)}: there is no TLS to apply it to.")
            return None
        if context is not None:
            having(context, "ssl_context", "an ssl.SSLContext", "wrap_socket")
            if named:
                raise ValueError(f"ssl_context takes the place of {', '.join(named)}: give one or the other.")
        for name in ("key", "key_password"):
            if name in named and "certificate" not in files:
                raise ValueError(f"{name} goes with certificate: there is no certificate that it belongs to.")
        for name, file in files.items():
            if not Path(file).exists():
                raise FileNotFoundError(f"{name}: there is no file {file!r}")
        settings = TLSSettings(
            context,
            ca_file=self._files["verify"],
            certificate=self._files["certificate"],
            key=self._files["key"],
            password=self._key_password,
        )
        settings.check()
        return settings

    def set_io(
        self, hostname: str | bytes, port: int | str | None, http_proxy: dict[str, Any] | None, transport_type: Any
    ) -> None:
        """Choose the transport: WebSocket, or TCP with or without TLS."""
        transport_type = given(transport_type)
        if transport_type is not None:
            transport_type = constants.member_of(TransportType, transport_type, "transport_type")
        websocket = self._use_websocket
        if websocket is None:
            websocket = http_proxy is not None or transport_type is TransportType.AmqpOverWebsocket
        if websocket:
            self.set_wsio(hostname, port, http_proxy)
        else:
            self.set_tlsio(hostname, port)
            self._proxy = _proxy(http_proxy, self._encoding)

    def set_tlsio(self, hostname: str | bytes, port: int | str | None) -> None:
        """Use TCP, with TLS unless it is turned off."""
        self.hostname = _host(hostname, "hostname", self._encoding)
        self.port = _port(port)
        self._is_websocket = False

    def set_wsio(self, hostname: str | bytes, port: int | str | None, http_proxy: dict[str, Any] | None) -> None:
        """Use WebSocket, over TLS unless it is turned off."""
        self.set_tlsio(hostname, port)
        self._is_websocket = True
        self._proxy = _proxy(http_proxy, self._encoding)

    def _use_transport(self, transport_type: Any, http_proxy: dict[str, Any] | None) -> None:
        """Apply the settings that a client was given beside this object."""
        _proxy(http_proxy, self._encoding)
        if given(transport_type) is not None:
            constants.member_of(TransportType, transport_type, "transport_type")
        if (not transport_type and http_proxy is None) or self.consumed:
            return
        if self._is_websocket or self._proxy is not None:
            return
        self.set_io(self.hostname, self.port, http_proxy, transport_type)

    @property
    def use_tls(self) -> bool:
        """Whether TLS is on."""
        return self._use_tls

    def close(self) -> None:
        """Release the object, so that another connection can use it."""
        self.sasl_client = None
        self.consumed = False

    def _endpoint(self, port: int | None = None) -> Endpoint:
        """Return where the connection goes; `port` is the default if none was given."""
        return Endpoint.of(
            *self._address(port),
            self._tls,
            connect_timeout=self._connect_timeout,
            proxy=self._proxy,
            websocket_path=self._websocket_path if self._is_websocket else None,
        )

    def _address(self, port: int | None = None) -> tuple[str, int]:
        """Return the host and port to connect to; `port` is the default if none was given."""
        host = self.hostname.decode(self._encoding).strip("[]")
        return host, self.port or port or default_port(is_tls=self._use_tls, is_websocket=self._is_websocket)

    @property
    def _is_prepared(self) -> bool:
        """Whether all certificates that the connection needs have been read."""
        return self._tls is None or self._tls.is_read

    def _announce_token(self) -> None:
        """Record that a token will be put over the connection, so that transport warns if the network can read it."""
        self._mssbcbs.exposes = "token"

    def _mechanisms(self) -> Sequence[sasl.Mechanism]:
        """Return the SASL mechanisms to use, best first."""
        return (self._mssbcbs, sasl.Anonymous())


class SASLPlain(AMQPAuth):
    """User name and password (SASL PLAIN). Without TLS, they go over the network in clear text.

    Args:
        username, password: text or bytes.
        hostname, port, ...: see `AMQPAuth`.
    """

    __module__ = "uamqp.authentication.common"

    def __init__(
        self,
        hostname: str | bytes,
        username: str | bytes,
        password: str | bytes,
        port: int | str | None = None,
        verify: str | None = None,
        http_proxy: dict[str, Any] | None = None,
        transport_type: Any = TransportType.Amqp,
        encoding: str = "UTF-8",
        **tls_settings: Unpack[TransportKeywords],
    ) -> None:
        refuse_unknown(self, tls_settings)
        super().__init__(hostname, port, verify, http_proxy, transport_type, encoding, **tls_settings)
        self.username = encoded(username, "username", encoding)
        self.password = encoded(password, "password", encoding)
        self.sasl = sasl.Plain(self.username, self.password)

    def _mechanisms(self) -> Sequence[sasl.Mechanism]:
        return (self.sasl,)


class SASLAnonymous(AMQPAuth):
    """No credentials (SASL ANONYMOUS). Arguments as for `AMQPAuth`."""

    __module__ = "uamqp.authentication.common"

    def __init__(
        self,
        hostname: str | bytes,
        port: int | str | None = None,
        verify: str | None = None,
        http_proxy: dict[str, Any] | None = None,
        transport_type: Any = TransportType.Amqp,
        encoding: str = "UTF-8",
        **tls_settings: Unpack[TransportKeywords],
    ) -> None:
        refuse_unknown(self, tls_settings)
        super().__init__(hostname, port, verify, http_proxy, transport_type, encoding, **tls_settings)
        self.sasl = sasl.Anonymous()

    def _mechanisms(self) -> Sequence[sasl.Mechanism]:
        return (self.sasl,)


class SASLExternal(AMQPAuth):
    """A TLS client certificate as credentials (SASL EXTERNAL).

    Args:
        certificate: path of our certificate chain (PEM); optional if `ssl_context` has one.
        key: path of its private key; None if it is in the same file.
        key_password: password of the private key; see `AMQPAuth`.
        hostname, port, ...: see `AMQPAuth`.

    Raises:
        ValueError: there is no certificate, or TLS is off.
    """

    __module__ = "uamqp.authentication.common"

    def __init__(
        self,
        hostname: str | bytes,
        certificate: str | None = None,
        key: str | None = None,
        port: int | str | None = None,
        verify: str | None = None,
        encoding: str = "UTF-8",
        *,
        ssl_context: ssl.SSLContext | None = None,
        key_password: tls.Password | Callable[[], tls.Password] | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        if certificate is None and ssl_context is None:
            raise ValueError("SASLExternal needs certificate=, or an ssl_context= that has one.")
        super().__init__(
            hostname,
            port,
            verify,
            encoding=encoding,
            ssl_context=ssl_context,
            certificate=certificate,
            key=key,
            key_password=key_password,
            connect_timeout=connect_timeout,
        )
        self.sasl = sasl.External()

    def _mechanisms(self) -> Sequence[sasl.Mechanism]:
        return (self.sasl,)


def checked_auth(value: AMQPAuth, argument: str) -> AMQPAuth:
    """Return an authentication object.

    Raises:
        TypeError: it isn't one.
    """
    if not isinstance(value, AMQPAuth):
        raise TypeError(f"{argument} must be an authentication object such as SASLPlain, not {type(value).__name__}.")
    return value


def checked_host(value: str | bytes, argument: str, encoding: str) -> str:
    """Return a host's name or address.

    Raises:
        ValueError: it contains more than that. The text doesn't quote it, because it may contain a password.
    """
    host = text(value, argument, encoding)
    if not host:
        raise ValueError(f"{argument} must not be empty.")
    if "@" in host:
        raise ValueError(
            f"{argument} must be the name of a host alone: a user name and a password are arguments of their own."
        )
    if "/" in host:
        raise ValueError(f"{argument} must be the name of a host alone, not a URL: no scheme, no path.")
    if ":" in host and not _is_ipv6(host):
        raise ValueError(f"{argument} must be the name of a host alone: its port is an argument of its own.")
    return host


def _host(value: str | bytes, argument: str, encoding: str) -> bytes:
    checked_host(value, argument, encoding)
    return encoded(value, argument, encoding)


def _is_ipv6(host: str) -> bool:
    """Return whether it is an IPv6 address, with or without brackets."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def refuse_unknown(auth: AMQPAuth, settings: Mapping[str, Any]) -> None:
    """Refuse unknown keywords, in the name of the class that was called.

    Raises:
        TypeError: there is one.
    """
    for name in settings:
        if name not in TransportKeywords.__optional_keys__:
            raise TypeError(f"{type(auth).__qualname__}() got an unexpected keyword argument {name!r}")


def _authorities(verify: str | None) -> str | None:
    """Return the path of the CA certificates; None for the system's."""
    if not (verify is None or verify or isinstance(verify, (str, bytes))):
        raise TypeError(
            f"verify must be the path of a file with the CA certificates to trust, not {verify!r}: certificates and "
            "host names are always verified, that can't be switched off."
        )
    return path(verify, "verify")


def _password(
    value: tls.Password | Callable[[], tls.Password] | None,
) -> tls.Password | Callable[[], tls.Password] | None:
    """Return the password of a private key. A function is called once, however often the key is read."""
    if not value:
        return None
    if isinstance(value, (str, bytes, bytearray)):
        return value
    return functools.cache(having(value, "key_password", "str, bytes or a function that returns them", "__call__"))


def _proxy(settings: dict[str, Any] | None, encoding: str) -> Proxy | None:
    """Return the proxy that 1.6's dict describes."""
    if not settings:
        return None
    if not isinstance(settings, dict):
        raise TypeError(f"http_proxy must be a dict, not {type(settings).__name__}.")
    for name in ("proxy_hostname", "proxy_port"):
        if not settings.get(name):
            raise KeyError(f"http_proxy needs {name!r}")
    port = _port(settings["proxy_port"], "proxy_port")
    username, password = settings.get("username"), settings.get("password")
    return Proxy(
        checked_host(settings["proxy_hostname"], "proxy_hostname", encoding),
        port or 0,
        text(username, "username", encoding) if username else None,
        text(password, "password", encoding) if password else None,
    )


def _path(path: str) -> str:
    if "#" in path or any(character.isspace() or not character.isprintable() for character in path):
        raise ValueError("websocket_path must have no '#', no spaces and no control characters.")
    return path


def _port(port: int | str | None, argument: str = "port") -> int | None:
    if not port:
        return None
    try:
        number = int(port)
    except (TypeError, ValueError, OverflowError):
        number = -1  # its text quotes what may be a password
    if not 1 <= number <= 65535:
        raise ValueError(f"{argument} must be a number from 1 to 65535, not {shown(port)}.")
    return number
