"""TLS: it is on, it verifies, and whatever goes wrong in the handshake is said within a bound."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.certs import Certificates, Pair
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_leaving, accept_sender, settle
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, SendClient, authentication, errors
from uamqp.constants import MessageState
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


def take_one(peer: SocketPeer) -> None:
    accept_sender(peer)
    settle(peer, peer.expect("transfer"))
    accept_leaving(peer)


def send_one(port: int, host: str = "localhost", scheme: str = "amqps", **settings: Any) -> Message:
    auth = authentication.SASLAnonymous(host, port=port, **settings)
    message = Message(b"x")
    client = SendClient(f"{scheme}://{host}/q", auth=auth)
    try:
        client.send_message(message)
    finally:
        client.close()
    return message


def test_messages_go_over_tls(certificates: Certificates) -> None:
    with ScriptedServer(take_one, tls=certificates.server_context()) as server:
        message = send_one(server.port, verify=certificates.ca)
    assert message.state is MessageState.SendComplete


def test_a_context_is_used_as_it_is(certificates: Certificates) -> None:
    with ScriptedServer(take_one, tls=certificates.server_context()) as server:
        send_one(server.port, ssl_context=certificates.client_context())


def causes(error: BaseException) -> list[BaseException]:
    """What an exception comes from, and what that comes from."""
    found = []
    cause = error.__cause__
    while cause is not None:
        found.append(cause)
        cause = cause.__cause__
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_are_verified_and_sent_as_no_server_name(certificates: Certificates, host: str) -> None:
    """Defect 47: SNI was sent for IP addresses, which RFC 6066 forbids."""
    names: list[str | None] = []
    context = certificates.server_context()
    context.sni_callback = lambda sock, name, _: names.append(name)
    with ScriptedServer(take_one, tls=context, host=host) as server:
        auth = authentication.SASLAnonymous(host, port=server.port, verify=certificates.ca)
        client = SendClient("amqps://[::1]/q" if ":" in host else f"amqps://{host}/q", auth=auth)
        client.send_message(Message(b"x"), close_on_done=True)
    assert names in ([], [None])


def test_the_server_name_is_sent(certificates: Certificates) -> None:
    names: list[str | None] = []
    context = certificates.server_context()
    context.sni_callback = lambda sock, name, _: names.append(name)
    with ScriptedServer(take_one, tls=context) as server:
        send_one(server.port, verify=certificates.ca)
    assert names == ["localhost"]


# -- certificates that aren't good


@pytest.mark.parametrize(
    ("which", "text"),
    [
        (lambda certificates: certificates.other_ca_server, "certificate"),
        (lambda certificates: certificates.other_host, "(?i)hostname mismatch"),
        (lambda certificates: certificates.common_name, "(?i)hostname mismatch"),
        (lambda certificates: certificates.expired, "expired"),
    ],
    ids=["untrusted CA", "other host", "common name alone", "expired"],
)
def test_a_bad_certificate_is_refused(
    certificates: Certificates, which: Callable[[Certificates], Pair], text: str
) -> None:
    """Defect 1: an untrusted CA or a wrong host name made every do_work loop hang."""
    server = ScriptedServer(
        lambda peer: None, tls=certificates.server_context(which(certificates)), handshake_fails=True
    )
    with server, bounded(5), pytest.raises(errors.AMQPConnectionError, match=text) as caught:
        send_one(server.port, verify=certificates.ca)
    assert f"localhost:{server.port}" in str(caught.value)
    assert isinstance(causes(caught.value)[-1], ssl.SSLCertVerificationError)


def test_the_systems_certificates_are_the_default(certificates: Certificates) -> None:
    tls = certificates.server_context()
    server = ScriptedServer(lambda peer: None, tls=tls, handshake_fails=True)
    with server, bounded(5), pytest.raises(errors.AMQPConnectionError, match="certificate"):
        send_one(server.port)


@pytest.mark.blocking("with asyncio TLS is a part of connecting, which the next call tries again")
def test_a_polled_client_raises_too(certificates: Certificates) -> None:
    """Defect 1, in the loop that programs have."""
    tls = certificates.server_context(certificates.other_host)
    server = ScriptedServer(lambda peer: None, tls=tls, handshake_fails=True)
    with server, bounded(5):
        auth = authentication.SASLAnonymous("localhost", port=server.port, verify=certificates.ca)
        client = ReceiveClient("amqps://localhost/q", auth=auth)
        client.open()
        with pytest.raises(errors.AMQPConnectionError, match=r"(?i)hostname mismatch"):
            until(client.client_ready, lambda: None)
        with pytest.raises(errors.AMQPConnectionError):  # and goes on raising
            client.do_work()
        client.close()


# -- peers that don't speak TLS


def closes_at_once(peer: SocketPeer) -> None:
    peer.socket_source.read(5.0)  # the client's hello
    peer.close_socket()


def resets(peer: SocketPeer) -> None:
    peer.socket_source.read(5.0)
    peer.reset_socket()


def plain_text(peer: SocketPeer) -> None:
    peer.socket_source.read(5.0)
    peer.send_raw(b"220 mail.example ESMTP\r\n" * 4)
    peer.socket_source.read(5.0)
    peer.close_socket()


def plain_amqp(peer: SocketPeer) -> None:
    peer.socket_source.read(5.0)
    peer.send_header("AMQP")
    peer.socket_source.read(5.0)
    peer.close_socket()


def silence(peer: SocketPeer) -> None:
    peer.socket_source.read(5.0)
    peer.stay_silent(45)
    peer.socket_source.read(5.0)
    peer.close_socket()


def half_a_handshake(peer: SocketPeer) -> None:
    peer.socket_source.read(5.0)
    peer.send_raw(b"\x16\x03\x03\x00\x7a\x02\x00")  # the head of a server hello
    peer.stay_silent(45)
    peer.socket_source.read(5.0)
    peer.close_socket()


@pytest.mark.parametrize(
    "script",
    [closes_at_once, resets, plain_text, plain_amqp, silence, half_a_handshake],
    ids=lambda script: script.__name__,
)
def test_a_handshake_that_goes_wrong_is_an_error(certificates: Certificates, clock: Clock, script: Any) -> None:
    """Defect 1: the peer closing, garbage and silence made every do_work loop hang."""
    with ScriptedServer(script, clock=clock) as server, bounded(5):
        with pytest.raises(errors.AMQPConnectionError, match=r"(?i)TLS|within|time|seconds") as caught:
            send_one(server.port, verify=certificates.ca)
    assert str(server.port) in str(caught.value) or "second" in str(caught.value)


@pytest.mark.parametrize("script", [plain_text, plain_amqp], ids=lambda script: script.__name__)
def test_a_peer_without_tls_is_named_as_that(certificates: Certificates, script: Any) -> None:
    with ScriptedServer(script) as server, bounded(5), pytest.raises(errors.AMQPConnectionError) as caught:
        send_one(server.port, verify=certificates.ca)
    text = str(caught.value)
    assert f"the TLS handshake with localhost:{server.port} failed: " in text
    assert "; the peer may not speak TLS on this port (an amqp:// URL goes without)" in text


def test_other_failures_of_tls_have_no_such_hint(certificates: Certificates) -> None:
    tls = certificates.server_context()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    context = certificates.client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    server = ScriptedServer(lambda peer: None, tls=tls, handshake_fails=True)
    with server, bounded(5), pytest.raises(errors.AMQPConnectionError, match="TLS handshake with") as caught:
        send_one(server.port, ssl_context=context)
    assert "may not speak TLS" not in str(caught.value)


def test_a_plain_client_of_a_tls_server_is_told(certificates: Certificates) -> None:
    server = ScriptedServer(lambda peer: None, tls=certificates.server_context(), handshake_fails=True)
    with server, bounded(5), pytest.raises(errors.AMQPConnectionError, match=r"TLS|reset|ended"):
        send_one(server.port, scheme="amqp", use_tls=False)


def test_the_peer_may_end_tls_without_a_goodbye(certificates: Certificates) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        peer.close_socket()

    with ScriptedServer(script, tls=certificates.server_context()) as server, bounded(5):
        with pytest.raises(errors.ConnectionClose, match=r"(?i)clos|broke|end"):
            send_one(server.port, verify=certificates.ca)


# -- large things, both ways


def test_large_messages_over_tls(certificates: Certificates) -> None:
    """Many TLS records at a time, and more than the socket takes at once."""
    tls = certificates.server_context()
    body = bytes(range(256)) * 20_000
    with Broker("localhost", tls=tls) as broker:
        settings: dict[str, Any] = {"port": broker.port, "verify": certificates.ca}
        with SendClient("amqps://localhost/q", auth=authentication.SASLAnonymous("localhost", **settings)) as sender:
            sender.send_message([Message(body) for _ in range(3)])
        source = ReceiveClient("amqps://localhost/q", auth=authentication.SASLAnonymous("localhost", **settings))
        with source:
            got: list[Message] = []
            until(lambda: len(got) == 3, lambda: got.extend(source.receive_message_batch(timeout=5000)))
        assert [b"".join(message.get_data()) == body for message in got] == [True] * 3


# -- client certificates


@pytest.mark.parametrize("files", ["two", "one"])
def test_a_client_certificate_is_shown(certificates: Certificates, files: str) -> None:
    """SASL EXTERNAL: the certificate says who we are. Defect 40: there were none."""
    pair = certificates.client
    given = (pair.cert, pair.key) if files == "two" else (pair.both, None)
    settings: dict[str, Any] = {"verify": certificates.ca}
    with Broker("localhost", tls=certificates.server_context(ask_client=True), users={}) as broker:
        auth = authentication.SASLExternal("localhost", given[0], given[1], broker.port, **settings)
        with SendClient("amqps://localhost/q", auth=auth) as client:
            client.send_message(Message(b"x"))
            assert [(view.mechanism, view.user) for view in broker.connections] == [("EXTERNAL", "amqp")]


def test_a_missing_client_certificate_is_an_error(certificates: Certificates) -> None:
    server = ScriptedServer(lambda peer: None, tls=certificates.server_context(ask_client=True), handshake_fails=True)
    with server, bounded(5), pytest.raises(errors.AMQPConnectionError):
        send_one(server.port, verify=certificates.ca)
