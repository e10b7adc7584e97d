"""HTTP proxies: AMQP, AMQPS and WebSocket through a tunnel. With both fronts."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.certs import Certificates
from tests.peer.raw import RawServer, field, read_head, relay
from tests.support.waiting import bounded
from uamqp import Message, SendClient, errors
from uamqp.authentication import SASLAnonymous
from uamqp.constants import TransportType
from uamqp.testing import Broker
from uamqp.transport.sansio.endpoint import Proxy
from uamqp.transport.sansio.proxy import Tunnel

pytestmark = pytest.mark.both_fronts

SECRET = "pass:word"


class TunnelServer(RawServer):
    """A proxy that makes connections, and wants a name and password if it has any."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        super().__init__(self.serve)
        self.login = login
        self.heads: list[str] = []

    def serve(self, sock: socket.socket) -> None:
        head = read_head(sock)
        self.heads.append(head)
        if self.login is not None:
            wanted = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            if field(head, "Proxy-Authorization") != wanted:
                sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
                return
        host, _, port = head.split()[1].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as there:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: mine\r\n\r\n")
            relay(sock, there)


def proxied(port: int, proxy: RawServer, **settings: Any) -> SASLAnonymous:
    http_proxy = {"proxy_hostname": "127.0.0.1", "proxy_port": proxy.port, **settings.pop("login", {})}
    given = dict(http_proxy)
    made = SASLAnonymous("127.0.0.1", port=port, http_proxy=http_proxy, **{"use_tls": False, **settings})
    assert http_proxy == given  # 1.6 changed it
    return made


def test_a_proxy_means_websocket_as_in_1_6() -> None:
    with Broker(websocket=True) as broker, TunnelServer() as proxy:
        with SendClient("amqp://127.0.0.1/q", auth=proxied(broker.port, proxy)) as client:
            client.send_message(Message(b"x" * 100_000))
        assert broker.queue("q").depth == 1
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT 127.0.0.1:{broker.port} HTTP/1.1\r\nHost: 127.0.0.1:{broker.port}\r\n")
        assert field(head, "Proxy-Authorization") is None


def test_amqp_through_a_proxy(broker: Broker) -> None:
    with TunnelServer() as proxy:
        auth = proxied(broker.port, proxy, use_websocket=False)
        with SendClient("amqp://127.0.0.1/q", auth=auth) as client:
            client.send_message(Message(b"x"))
        assert len(proxy.heads) == 1
    assert broker.queue("q").depth == 1


@pytest.mark.parametrize("websocket", [False, True])
def test_tls_in_the_tunnel(certificates: Certificates, websocket: bool) -> None:
    certificate = certificates.server
    with (
        Broker(tls_cert=certificate.cert, tls_key=certificate.key, websocket=websocket) as broker,
        TunnelServer(("me", SECRET)) as proxy,
    ):
        settings = {"use_tls": True, "use_websocket": websocket, "login": {"username": "me", "password": SECRET}}
        auth = proxied(broker.port, proxy, verify=certificates.ca, **settings)
        with SendClient(f"amqps://127.0.0.1:{broker.port}/q", auth=auth) as client:
            client.send_message(Message(b"x"))
        assert broker.queue("q").depth == 1
        another = proxied(broker.port, proxy, verify=certificates.other_ca, **settings)
        with pytest.raises(errors.AMQPConnectionError, match="certificate"):
            SendClient("amqps://127.0.0.1/q", auth=another).send_message(Message(b"x"))


def test_a_client_may_say_it(broker: Broker) -> None:
    with TunnelServer() as proxy, Broker(websocket=True) as other:
        http_proxy = {"proxy_hostname": "127.0.0.1", "proxy_port": str(proxy.port)}
        with SendClient(other.url + "/q", http_proxy=http_proxy) as client:
            client.send_message(Message(b"x"))
        auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False, use_websocket=False)
        with SendClient(broker.url + "/q", auth=auth, http_proxy=http_proxy) as client:
            client.send_message(Message(b"x"))
        assert len(proxy.heads) == 2


def answer(text: bytes) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(text)
        sock.recv(1)

    return serve


def closes(sock: socket.socket) -> None:
    read_head(sock)


def says_nothing(sock: socket.socket) -> None:
    read_head(sock)
    sock.recv(1)


def goes_on_for_ever(sock: socket.socket) -> None:
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        sock.sendall(b"X: " + b"y" * 5000 + b"\r\n")


@pytest.mark.parametrize(
    ("serve", "text"),
    [
        (answer(b"HTTP/1.1 403 Forbidden\r\n\r\n"), "refused to connect to 127.0.0.1:1: 403 Forbidden"),
        (answer(b"HTTP/1.1 407 Login\r\n\r\n"), "it wants a username and password"),
        (answer(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "502 Bad Gateway"),
        (answer(b"HTTP/1.1 200 OK\r\n\r\nAMQP"), "sent data before"),
        (answer(b"HTTP/1.1 abc\r\n\r\n"), "sent no status"),
        (answer(b"SSH-2.0-OpenSSH\r\n"), "doesn't speak HTTP"),
        (closes, "ended the connection instead of answering"),
        (says_nothing, "didn't answer in time|no answer within"),
        (goes_on_for_ever, "bytes without the end"),
    ],
)
def test_a_proxy_that_does_not(serve: Callable[[socket.socket], None], text: str) -> None:
    patience = 0.5 if serve is says_nothing else 300.0
    with RawServer(serve) as proxy, bounded(20):
        client = SendClient("amqp://127.0.0.1/q", auth=proxied(1, proxy, connect_timeout=patience))
        with pytest.raises(errors.AMQPConnectionError, match=text) as caught:
            client.send_message(Message(b"x"))
        assert "Unable to connect to 127.0.0.1:1 through the proxy 127.0.0.1:" in str(caught.value)
        client.close()


def test_wrong_credentials(broker: Broker) -> None:
    with TunnelServer(("me", SECRET)) as proxy:
        auth = proxied(broker.port, proxy, login={"username": "me", "password": "wrong-word"})
        with pytest.raises(errors.AMQPConnectionError, match="it refuses the credentials") as caught:
            SendClient("amqp://127.0.0.1/q", auth=auth).send_message(Message(b"x"))
        assert "wrong-word" not in str(caught.value)


def test_a_proxy_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    auth = SASLAnonymous("host.invalid", use_tls=False, http_proxy={"proxy_hostname": "127.0.0.1", "proxy_port": port})
    with pytest.raises(errors.AMQPConnectionError, match=r"Unable to connect to host\.invalid:80 through the proxy"):
        SendClient("amqp://host.invalid/q", auth=auth).send_message(Message(b"x"))


@pytest.mark.parametrize("kind", list(TransportType))
def test_the_proxy_of_an_auth_stays_whatever_the_client_says(broker: Broker, kind: TransportType) -> None:
    with TunnelServer() as proxy:
        auth = proxied(broker.port, proxy, use_websocket=False)
        with SendClient("amqp://127.0.0.1/q", auth=auth, transport_type=kind) as client:
            client.send_message(Message(b"x"))
        assert len(proxy.heads) == 1
    assert broker.queue("q").depth == 1


@pytest.mark.parametrize("host", ["h\r\nX-Injected", "a b", "x" * 70 + ".example", "a..b"])
def test_a_name_that_no_proxy_can_be_asked_for(host: str) -> None:
    with TunnelServer() as proxy, bounded(5):
        http_proxy = {"proxy_hostname": "127.0.0.1", "proxy_port": proxy.port}
        client = SendClient("amqps://127.0.0.1/q", auth=SASLAnonymous(host, http_proxy=http_proxy))
        with pytest.raises(errors.AMQPConnectionError, match="is no name of a host"):
            client.send_message(Message(b"x"))
        client.close()
        assert proxy.heads == []


def test_names_beyond_ascii_and_ipv6_in_a_request() -> None:
    assert Tunnel(Proxy("p", 1), "b\u00fccher.example", 5671).request.startswith(b"CONNECT xn--bcher-kva.example:5671 ")
    assert Tunnel(Proxy("p", 1), "::1", 5671).request.startswith(b"CONNECT [::1]:5671 ")


def test_arguments() -> None:
    with pytest.raises(KeyError, match="http_proxy needs 'proxy_port'"):
        SASLAnonymous("h", http_proxy={"proxy_hostname": "p"})
    with pytest.raises(KeyError, match="http_proxy needs 'proxy_hostname'"):
        SASLAnonymous("h", http_proxy={"proxy_port": 1})
    with pytest.raises(TypeError, match="http_proxy must be a dict"):
        SASLAnonymous("h", http_proxy="http://proxy:3128")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="port must be a number"):
        SASLAnonymous("h", http_proxy={"proxy_hostname": "p", "proxy_port": "web"})
    assert SECRET not in repr(Proxy("p", 1, "me", SECRET))
    ports = [
        SASLAnonymous("h", transport_type=kind, use_tls=tls)._endpoint().port
        for kind in (TransportType.Amqp, TransportType.AmqpOverWebsocket)
        for tls in (True, False)
    ]
    assert ports == [5671, 5672, 443, 80]
