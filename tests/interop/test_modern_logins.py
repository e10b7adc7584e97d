"""Connecting with the modern API, in both faces: logins, TLS and virtual hosts of each broker."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.faces import Asyncio, Blocking, Face, both_faces
from uamqp import aio, sync
from uamqp.messaging import (
    Anonymous,
    AuthenticationFailed,
    ConnectionClosed,
    External,
    Plain,
    TLSFailed,
)

from .brokerfacts import BROKERS, STATE, RealBroker
from .conftest import missing
from .modern import PATIENCE, bodies, connected, left, send, take, trusting, url


def test_a_wrong_password(broker: RealBroker) -> None:
    """Both faces at once, since RabbitMQ thinks about it for three seconds."""
    where = f"amqp://{broker.host}:{broker.port}"

    def log_in(face: Face) -> None:
        with pytest.raises(AuthenticationFailed, match=f"the login at localhost:{broker.port} failed") as caught:
            face.go(lambda: face.connect(where, credentials=Plain(broker.user, "a wrong one")))
        assert not caught.value.is_temporary
        assert [endpoint for endpoint, _ in caught.value.attempts] == [f"localhost:{broker.port}"]
        assert "a wrong one" not in str(caught.value)

    asynchronous = Asyncio()
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(log_in, [Blocking(), asynchronous]))
    finally:
        asynchronous.end()


@both_faces
def test_anonymous(face: Face, broker: RealBroker, queue: str) -> None:
    where = f"amqp://{broker.host}:{broker.anonymous_port or broker.port}"
    with face.open(lambda: face.connect(where, credentials=Anonymous())) as connection:
        send(face, connection, broker.address(queue), ["from nobody"])
    with connected(face, broker) as connection:
        assert left(face, broker, connection, broker.address(queue), 1) == ["from nobody"]


@both_faces
def test_a_client_certificate(face: Face, broker: RealBroker, queue: str, ca: Path) -> None:
    context = trusting(ca)
    context.load_cert_chain(STATE / "certs" / "client.pem", STATE / "certs" / "client.key")
    where = f"amqps://{broker.host}:{broker.tls_port}"
    if not broker.external:
        with pytest.raises(AuthenticationFailed, match="no common SASL mechanism"):
            face.go(lambda: face.connect(where, tls=context, credentials=External()))
        return
    with face.open(lambda: face.connect(where, tls=context, credentials=External())) as connection:
        send(face, connection, broker.address(queue), ["by certificate"])
        assert left(face, broker, connection, broker.address(queue), 1) == ["by certificate"]


@both_faces
def test_the_best_of_several_credentials(face: Face, broker: RealBroker, ca: Path) -> None:
    """EXTERNAL where it is offered, else the password."""
    context = trusting(ca)
    context.load_cert_chain(STATE / "certs" / "client.pem", STATE / "certs" / "client.key")
    several = [External(), Plain(broker.user, broker.password)]
    where = f"amqps://{broker.host}:{broker.tls_port}"
    with face.open(lambda: face.connect(where, tls=context, credentials=several)) as connection:
        assert connection.state == "open"


@both_faces
@pytest.mark.brokers("strict_port")
def test_a_virtual_host_that_is_not_there(face: Face, broker: RealBroker) -> None:
    where = f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.strict_port}"
    with pytest.raises(ConnectionClosed, match=r"nosuch\.example") as caught:
        face.go(lambda: face.connect(where, hostname="nosuch.example"))
    assert caught.value.condition == "amqp:not-found"
    with face.open(lambda: face.connect(where, hostname="default")) as connection:
        assert connection.state == "open"


@both_faces
def test_a_certificate_that_is_not_trusted(face: Face, broker: RealBroker, ca: Path) -> None:
    with pytest.raises(TLSFailed, match="certificate"):
        face.go(lambda: face.connect(url(broker, tls=True)))
    with face.open(lambda: face.connect(url(broker, tls=True), tls=lambda: trusting(ca))) as connection:
        assert connection.state == "open"


@both_faces
def test_three_mebibytes_over_tls(face: Face, broker: RealBroker, queue: str, ca: Path) -> None:
    body = bytes(range(256)) * (3 * 1024 * 4)
    address = broker.address(queue)
    with face.open(lambda: face.connect(url(broker, tls=True), tls=trusting(ca))) as connection:
        send(face, connection, address, [body])
        with face.open(lambda: connection.open_receiver(address, prefetch=1)) as receiver:
            (message,) = take(face, receiver, 1)
            face.wait(face.go(message.accept))
    assert bodies([message]) == [body]


@both_faces
@pytest.mark.brokers("websocket")
def test_over_websocket(face: Face, broker: RealBroker, queue: str) -> None:
    where = f"amqpws://{broker.user}:{broker.password}@{broker.host}:{broker.websocket}"
    with face.open(lambda: face.connect(where)) as connection:
        send(face, connection, broker.address(queue), ["over WebSocket"])
        with face.open(lambda: connection.open_receiver(broker.address(queue))) as receiver:
            message = face.go(lambda: receiver.receive(PATIENCE))
            face.wait(face.go(message.accept))
    assert message.text() == "over WebSocket"


def test_quiet_connections_stay(request: pytest.FixtureRequest) -> None:
    """Both sides' heartbeats: the idle time-out is short, and passes twice while the program does something else.

    All brokers, and both faces, at once.
    """
    names = request.config.getoption("--broker")
    brokers = [broker for broker in BROKERS if (names is None or broker.name in names) and broker.answers()]
    if not brokers:
        missing(request.config, "no broker runs")

    def blocking(broker: RealBroker) -> None:
        with sync.connect(url(broker), idle_timeout=2.0) as connection:
            time.sleep(5.0)
            assert connection.state == "open"
            with connection.open_session():
                pass

    async def asynchronous(broker: RealBroker) -> None:
        async with aio.connect(url(broker), idle_timeout=2.0) as connection:
            await asyncio.sleep(5.0)
            assert connection.state == "open"
            async with connection.open_session():
                pass

    with ThreadPoolExecutor(2 * len(brokers)) as pool:
        done = [pool.submit(blocking, broker) for broker in brokers]
        done += [pool.submit(lambda broker: asyncio.run(asynchronous(broker)), broker) for broker in brokers]
        for each in done:
            each.result()
