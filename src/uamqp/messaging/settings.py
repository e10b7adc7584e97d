"""What a connection is made with: the arguments of `connect`, checked and complete."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from ..codec import Symbol
from ..engine.config import MAX_UINT
from ..engine.limits import MIN_MAX_FRAME_SIZE
from ..transport.sansio.endpoint import Endpoint, Proxy, TLSSettings
from . import checks, encoding
from . import credentials as credentials_
from .credentials import Credentials, CredentialsFactory
from .errors import ConfigurationError
from .options import Timeouts
from .url import MAX_IDLE_TIMEOUT, ConnectionURL, HostPort, parse_all

if TYPE_CHECKING:
    import ssl

    from .events import ConnectionEvent

T = TypeVar("T")

IDLE_TIMEOUT = 60.0
MIN_IDLE_TIMEOUT = 0.001
MAX_FRAME_SIZE = 65536

_PRODUCT = "uamqp"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """The settings of a connection.

    Attributes:
        urls: where to connect to, in order.
        credentials: best first; functions are asked for each attempt.
        tls, hostname, server_hostname, proxy, timeouts, container_id, idle_timeout, max_frame_size: see `connect`.
        properties, desired_capabilities: see `connect`; as they go on the wire.
        on_event: see `connect`.
        keeper: whether a thread drives the connection while nobody else does; event loops need none.
    """

    urls: tuple[ConnectionURL, ...]
    credentials: tuple[Credentials | CredentialsFactory, ...]
    tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None
    hostname: str | None = None
    server_hostname: str | None = None
    container_id: str = ""
    idle_timeout: float | None = IDLE_TIMEOUT
    max_frame_size: int = MAX_FRAME_SIZE
    properties: Mapping[Symbol, Any] = field(default_factory=dict)
    desired_capabilities: tuple[Symbol, ...] = ()
    proxy: Proxy | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    on_event: Callable[[ConnectionEvent], None] | None = None
    keeper: bool = True

    @classmethod
    def of(
        cls,
        url: str | Sequence[str],
        *,
        credentials: Credentials | Sequence[Credentials] | CredentialsFactory | None = None,
        tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None,
        hostname: str | None = None,
        server_hostname: str | None = None,
        container_id: str | None = None,
        idle_timeout: float | None = IDLE_TIMEOUT,
        max_frame_size: int = MAX_FRAME_SIZE,
        properties: Mapping[str, Any] | None = None,
        desired_capabilities: Sequence[str] = (),
        proxy: Proxy | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (it is frozen)
        on_event: Callable[[ConnectionEvent], None] | None = None,
        keeper: bool = True,
    ) -> ConnectionSettings:
        """Return the settings for the arguments of `connect`.

        Raises:
            TypeError: an argument has the wrong type.
            ConfigurationError: a value can't be used, or the URL and an argument say two things.
        """
        urls = parse_all(url)
        first = urls[0]
        given = {
            "hostname": (hostname, None),
            "container_id": (container_id, None),
            "idle_timeout": (idle_timeout, IDLE_TIMEOUT),
            "max_frame_size": (max_frame_size, MAX_FRAME_SIZE),
        }
        known = {name: _one_of(name, value, default, getattr(first, name)) for name, (value, default) in given.items()}
        if tls is not None and not any(each.is_tls for each in urls):
            raise ConfigurationError("tls= is given, and no URL is for TLS: write amqps:// or amqpwss://")
        if tls is not None and not callable(tls):
            _check_context("tls", tls)
        if server_hostname is not None and not any(each.is_tls for each in urls):
            raise ConfigurationError("server_hostname= is given, and no URL is for TLS: write amqps:// or amqpwss://")
        return cls(
            urls=urls,
            credentials=credentials_.of(credentials, first),
            tls=tls,
            hostname=encoding.optional_string("hostname", known["hostname"]),
            server_hostname=checks.optional_text("server_hostname", server_hostname),
            container_id=encoding.optional_string("container_id", known["container_id"]) or str(uuid.uuid4()),
            idle_timeout=_idle_timeout(known["idle_timeout"]),
            max_frame_size=checks.integer("max_frame_size", known["max_frame_size"], MIN_MAX_FRAME_SIZE, MAX_UINT),
            properties={**_own_properties(), **encoding.symbol_map("properties", properties or {})},
            desired_capabilities=encoding.symbols("desired_capabilities", desired_capabilities),
            proxy=_proxy(proxy),
            timeouts=_of_type("timeouts", timeouts, Timeouts),
            on_event=_function("on_event", on_event),
            keeper=checks.flag("keeper", keeper),
        )

    def hosts(self) -> list[tuple[ConnectionURL, HostPort]]:
        """Return where to connect to, in order."""
        return [(url, host) for url in self.urls for host in url.hosts]

    def endpoint(self, url: ConnectionURL, host: HostPort) -> Endpoint:
        """Return one of these places for the transport. This may read certificates."""
        context = self.tls
        if callable(context):
            context = context()
            _check_context("what the function given as tls returns", context)
        made = Endpoint.of(
            host.host,
            host.port,
            TLSSettings(context) if url.is_tls else None,
            connect_timeout=url.connect_timeout or self.timeouts.connect,
            proxy=self.proxy,
            websocket_path=url.path,
        )
        return made if self.server_hostname is None else replace(made, server_hostname=self.server_hostname)


def _one_of(name: str, value: Any, default: Any, of_url: Any) -> Any:
    if of_url is None:
        return value
    if value != default:
        raise ConfigurationError(f"{name}={checks.shown(value)} is given, and url has {name} as well: leave one out")
    return of_url


def _of_type(name: str, value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise checks.wrong_type(name, value, f"a {kind.__name__}")
    return value


def _check_context(name: str, value: Any) -> None:
    """Check that a value is a context of TLS, without loading `ssl`, which may not be needed."""
    if not (hasattr(value, "wrap_socket") and hasattr(value, "wrap_bio")):
        wanted = "an ssl.SSLContext, as ssl.create_default_context(cafile='ca.pem') makes, or a function that makes one"
        raise checks.wrong_type(name, value, wanted)


def _proxy(value: Any) -> Proxy | None:
    if value is None or isinstance(value, Proxy):
        return value
    wanted = "a Proxy, as Proxy(host, port, username, password)"
    raise TypeError(f"proxy must be {wanted}, not {type(value).__name__}")  # which may have a password


def _function(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise checks.wrong_type(name, value, "a function")
    return value


def _idle_timeout(value: Any) -> float | None:
    if value is not None:
        checks.seconds("idle_timeout", value, positive=True)
        if not MIN_IDLE_TIMEOUT <= value <= MAX_IDLE_TIMEOUT:
            raise ConfigurationError(
                f"idle_timeout must be from {MIN_IDLE_TIMEOUT:g} to {MAX_IDLE_TIMEOUT:g} seconds, not {value!r}"
            )
    found: float | None = value
    return found


def _own_properties() -> dict[Symbol, Any]:
    found = {Symbol("product"): _PRODUCT, Symbol("platform"): f"Python {platform.python_version()}"}
    try:
        found[Symbol("version")] = metadata.version("uamqp")
    except metadata.PackageNotFoundError:
        pass  # it runs from its sources
    return found
