"""Where a connection goes: ports, TLS, proxies; and the warning of secrets that the network can read."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peer.certs import Certificates, certificates  # noqa: F401 (a fixture)
from uamqp.core import ConnectionCore, LinkCore
from uamqp.engine import Cause, EngineConfig, sasl
from uamqp.transport.asyncio.driver import AsyncDriver
from uamqp.transport.blocking.driver import BlockingDriver
from uamqp.transport.drive import run
from uamqp.transport.sansio.endpoint import Endpoint, Proxy, TLSSettings, default_port, is_loopback


@pytest.mark.parametrize(
    ("is_tls", "is_websocket", "port"),
    [(False, False, 5672), (True, False, 5671), (False, True, 80), (True, True, 443)],
)
def test_ports(is_tls: bool, is_websocket: bool, port: int) -> None:
    assert default_port(is_tls=is_tls, is_websocket=is_websocket) == port
    tls = TLSSettings(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) if is_tls else None
    path = "/path" if is_websocket else None
    for given in (None, 0):
        assert Endpoint.of("h", given, tls, websocket_path=path).port == port
    assert Endpoint.of("h", 7, tls, websocket_path=path).port == 7


def test_an_endpoint_of_everything() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = Proxy("p", 3128, "me", "sEcReT")
    endpoint = Endpoint.of(
        "[::1]", 5, TLSSettings(context), connect_timeout=3.0, proxy=proxy, websocket_path="/amqp"
    )  # fmt: skip
    assert (endpoint.host, endpoint.port, endpoint.tls, endpoint.tls_hostname) == ("::1", 5, context, "::1")
    assert (endpoint.connect_timeout, endpoint.proxy, endpoint.websocket_path) == (3.0, proxy, "/amqp")
    assert endpoint.tcp == ("p", 3128)
    assert str(endpoint) == "[::1]:5 through the proxy p:3128"
    assert "sEcReT" not in repr(endpoint)


@pytest.mark.parametrize(
    ("port", "tls", "path", "expected"),
    [(5671, False, None, True), (443, False, None, True), (5672, False, None, False), (443, False, "/", False)],
)
def test_a_port_for_tls_without_it(port: int, tls: bool, path: str | None, expected: bool) -> None:
    assert Endpoint.of("h", port, None, websocket_path=path).is_tls_port is expected
    with_tls = TLSSettings(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert not Endpoint.of("h", port, with_tls, websocket_path=path).is_tls_port


def test_no_tls_takes_no_context() -> None:
    endpoint = Endpoint.of("h", None, None)
    assert endpoint.tls is None
    assert endpoint.tls_hostname is None


# TLS


def test_a_context_is_used_as_it_is() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings = TLSSettings(context)
    settings.check()
    assert settings.is_read
    assert settings.context() is context


def test_certificates_are_read_when_they_are_needed_and_once(certificates: Certificates) -> None:  # noqa: F811
    settings = TLSSettings(
        ca_file=certificates.ca, certificate=certificates.client.cert, key=certificates.client.key
    )  # fmt: skip
    settings.check()
    assert not settings.is_read
    context = settings.context()
    assert settings.is_read
    assert settings.context() is context
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    assert Endpoint.of("h", None, settings).tls is context


def test_the_systems_certificates() -> None:
    settings = TLSSettings()
    settings.check()
    assert not settings.is_read
    assert settings.context().verify_mode is ssl.CERT_REQUIRED


def test_files_that_cannot_be_used_are_found_before_they_are_needed(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"\x00\x01 no certificate")
    kinds: list[Callable[[str], TLSSettings]] = [
        lambda path: TLSSettings(ca_file=path),
        lambda path: TLSSettings(certificate=path),
    ]
    for make in kinds:
        with pytest.raises(ValueError, match=r"garbage\.pem"):
            make(str(garbage)).check()
        with pytest.raises(ValueError, match=r"garbage\.pem"):
            Endpoint.of("h", None, make(str(garbage)))
        with pytest.raises(FileNotFoundError):
            make(str(tmp_path / "missing.pem")).check()


@pytest.mark.parametrize("kind", [BlockingDriver, AsyncDriver])
def test_a_loop_goes_on_while_certificates_are_read(kind: Any, certificates: Certificates) -> None:  # noqa: F811
    """Where a loop runs `prepare` reads them in a thread, unless there is nothing to read."""
    settings = TLSSettings(ca_file=certificates.ca)
    in_loop: list[bool] = []

    def make() -> Endpoint:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            in_loop.append(False)
        else:
            in_loop.append(True)
        return Endpoint.of("h", None, settings)

    driver = kind(ConnectionCore(Owner()))
    if kind is BlockingDriver:
        endpoint = run(driver.prepare(make, is_quick=settings.is_read))
        assert in_loop == [False]
    else:
        endpoint = asyncio.run(driver.prepare(make, is_quick=settings.is_read))
        assert in_loop == [False]
        asyncio.run(driver.prepare(make, is_quick=settings.is_read))
        assert in_loop == [False, True]
    assert endpoint.tls is settings.context()


# Secrets that the network can read


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
        ("::2", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


class Owner:
    """Hears of a connection, and does nothing about it."""

    def on_connection_opened(self) -> None:
        pass

    def on_connection_closed(self, cause: Cause | None) -> None:
        pass

    def on_attach(self, link: LinkCore) -> None:
        pass


Connect = Callable[..., None]


@pytest.fixture(params=["threads", "a loop", "a loop's, without one"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Tries to connect by a driver of either kind; a proxy here refuses, so that no name is looked up."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        proxy = Proxy("127.0.0.1", bound.getsockname()[1])

        def start(host: str, *mechanisms: Any, **settings: Any) -> None:
            endpoint = Endpoint.of(host, None, settings.pop("tls", None), proxy=proxy, **settings)
            config = EngineConfig("me", mechanisms=mechanisms)
            core = ConnectionCore(Owner())
            driver: Any = BlockingDriver(core) if request.param == "threads" else AsyncDriver(core)
            drive: Any = asyncio.run if request.param == "a loop" else run
            with pytest.raises(OSError, match="refused"):
                drive(driver.start(endpoint, config, None))

        yield start


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


PASSWORD = (
    "An unencrypted connection to 'broker.example' carries the user name and password, for anybody on the way to read."
)
TOKEN = "An unencrypted connection to 'broker.example' carries the token, for anybody on the way to read."


def test_a_password_over_an_open_line_is_warned_of_once(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    plain = sasl.Plain("me", "sEcReT")
    for _ in range(3):
        connect("broker.example", plain)
    assert said(caplog) == [PASSWORD]
    connect("broker.example", sasl.Plain("me", "sEcReT"))
    assert said(caplog) == [PASSWORD, PASSWORD]
    connect("[2001:db8::1]", sasl.Plain("me", "sEcReT"), websocket_path="/")
    assert said(caplog)[2:] == [PASSWORD.replace("broker.example", "2001:db8::1")]
    assert "sEcReT" not in caplog.text


def test_a_token_over_an_open_line_is_warned_of_once(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    mechanism = sasl.Mssbcbs()
    for _ in range(2):
        connect("broker.example", mechanism, sasl.Anonymous())
    assert said(caplog) == [TOKEN]


def test_all_that_may_be_used_is_warned_of(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    connect("broker.example", sasl.External(), sasl.Plain("me", "sEcReT"), sasl.Mssbcbs())
    assert said(caplog) == [PASSWORD, TOKEN]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3", "LOCALHOST"])
def test_this_machine_is_no_network(connect: Connect, host: str, caplog: pytest.LogCaptureFixture) -> None:
    connect(host, sasl.Plain("me", "sEcReT"), sasl.Mssbcbs())
    assert said(caplog) == []


def test_there_is_no_warning_with_tls_or_without_a_secret(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    connect("broker.example", sasl.Plain("me", "sEcReT"), tls=TLSSettings(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
    connect("broker.example", sasl.Anonymous(), sasl.External(), sasl.Mssbcbs(exposes=""))
    connect("broker.example")
    assert said(caplog) == []


class Mechanism:
    """A mechanism of the application's, of which there are no weak references."""

    __slots__ = ()
    name = "X-OWN"
    exposes = "one-time password"

    def initial_response(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        return challenge


def test_a_mechanism_of_the_applications(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    mechanism = Mechanism()
    connect("broker.example", mechanism)
    connect("broker.example", mechanism)
    assert said(caplog) == [TOKEN.replace("token", "one-time password")] * 2
