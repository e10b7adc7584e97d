"""Passwords and tokens stay secret, however malformed a URL is. With both fronts."""

from __future__ import annotations

import datetime
import logging
import time
import traceback
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    accept_session,
    settle,
    url,
)
from tests.support.waiting import until
from uamqp import AMQPClient, Connection, Message, ReceiveClient, SendClient, Session, errors
from uamqp.address import Address, Source, Target
from uamqp.authentication import AMQPAuth, JWTTokenAuth, SASLAnonymous, SASLPlain, SASTokenAuth
from uamqp.constants import ConnectionState
from uamqp.mgmt_operation import MgmtOperation
from uamqp.receiver import MessageReceiver
from uamqp.sender import MessageSender
from uamqp.testing import Broker, ServiceRequest, ServiceResponse

pytestmark = pytest.mark.both_fronts

# Each half is looked for, since a parser may take the password apart at the character between them.
HALVES = ("sEc", "ReT")
SECRETS = [
    "sEcReT", "sEc@ReT", "sEc/ReT", "sEc:ReT", "sEc#ReT", "sEc?ReT", "sEc[ReT", "sEc]ReT", "sEc ReT", "sEc%40ReT",
    "sEc%ZZReT", "sEcéReT", "sEc\uff20ReT", "sEc\u2100ReT", "sEc\udc80ReT", "sEc\nReT", "1/sEcReT", "12#sEcReT",
    "34?sEc@ReT", "sEc//ReT", "a://sEcReT", ":sEcReT", "sEcReT:", "@sEcReT", "sEcReT@",
]  # fmt: skip
SHAPES = [
    "amqps://me:{}@host/q",
    "amqp://me:{}@host:5672/q",
    "AMQPS://me:{}@Host/q",
    "sb://me:{}@host/q",
    "me:{}@host/q",
    "me:{}@host",
    ":{}@host/q",
    "//me:{}@host/q",
    "amqp//me:{}@host/q",
    "amqp:/me:{}@host/q",
    "amqp:me:{}@host/q",
    "amqps:///me:{}@host/q",
    "://me:{}@host/q",
    "amqps ://me:{}@host/q",
    "rabbit://me:{}@host/q",
    "queue://me:{}@host/q",
    "amqps://me:{}@/q",
    "amqps://me:{}@",
    "amqps://me:{}@:5671/q",
    "amqps://me:{}@host:port/q",
    "amqps://me:{}@host:99999/q",
    "amqps://me:{}@host:-1/q",
    "amqps://me:{}@[::1/q",
    "amqps://me:{}@::1]/q",
    "amqps://me:{}@[::1]x/q",
    "amqps://me:{}@[no]/q",
    "amqps://me:{}@h\u00f6st/q",
    "amqps://me:{}@h\uff0fst/q",
    "amqps://dom/me:{}@host/q",
    "amqps://me@example.com:{}@host/q",
    "amqps://me:{}@host/q?x=1#y",
    "amqps://me:{}@host/you@example.com",
]


def everything(error: BaseException | None) -> str:
    """All that may be shown of an exception, and of those that it came from."""
    parts = []
    seen: set[int] = set()
    pending = [error]
    while pending:
        error = pending.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        parts += [str(error), repr(error), repr(error.args), *traceback.format_exception_only(error)]
        parts += [str(getattr(error, "object", "")), repr(getattr(error, "object", ""))]
        pending += [error.__cause__, error.__context__]
    return "\n".join(parts)


def hides(text: str) -> None:
    for half in HALVES:
        assert half not in text, text


def made(make: Callable[[], Any]) -> Any:
    """What is made, None where that fails; nothing that it says or looks like has the secret in it."""
    try:
        thing = make()
    except (ValueError, TypeError) as error:
        hides(everything(error))
        return None
    hides(repr(thing) + str(thing))
    return thing


def token() -> Any:
    return SimpleNamespace(token="t", expires_on=time.time() + 60)


HOUR = datetime.timedelta(hours=1)

# By what they are called with: a URL in whatever argument takes one, or may be taken to do so.
MAKERS: dict[str, Callable[[Any], Any]] = {
    "Address": Address,
    "Source": Source,
    "Target": Target,
    "Target(node)": lambda text: Target("amqps://host", node=text),
    "AMQPClient": AMQPClient,
    "SendClient": SendClient,
    "ReceiveClient": ReceiveClient,
    "AMQPAuth": AMQPAuth,
    "AMQPAuth(port)": lambda text: AMQPAuth("host", port=text),
    "AMQPAuth(transport_type)": lambda text: AMQPAuth("host", transport_type=text),
    "AMQPAuth(verify)": lambda text: AMQPAuth("host", connect_timeout=text),
    "SASLAnonymous": SASLAnonymous,
    "SASLPlain": lambda text: SASLPlain(text, "me", "pw"),
    "SASLPlain(password)": lambda text: SASLPlain("host", "me", text, encoding="ascii"),
    "SASTokenAuth": lambda text: SASTokenAuth("audience", text, "token", expires_in=HOUR),
    "SASTokenAuth(audience)": lambda text: SASTokenAuth(text, "sb://host/q", "token", expires_in=HOUR),
    "SASTokenAuth(token)": lambda text: SASTokenAuth("x", "sb://host/q", text, expires_in=HOUR, encoding="ascii"),
    "SASTokenAuth(endpoint)": lambda text: SASTokenAuth(
        "audience", "sb://host/q", "token", expires_in=HOUR, custom_endpoint_hostname=text
    ),
    "from_shared_access_key": lambda text: SASTokenAuth.from_shared_access_key(text, "name", "key"),
    "from_shared_access_key(key)": lambda text: SASTokenAuth.from_shared_access_key(
        "sb://host/q", "name", text, encoding="ascii"
    ),
    "JWTTokenAuth": lambda text: JWTTokenAuth("audience", text, token),
    "http_proxy": lambda text: AMQPAuth("host", http_proxy={"proxy_hostname": text, "proxy_port": 8080}),
    "http_proxy(port)": lambda text: AMQPAuth("host", http_proxy={"proxy_hostname": "proxy", "proxy_port": text}),
    "http_proxy(all)": lambda text: AMQPAuth("host", http_proxy=text),
    "websocket_path": lambda text: AMQPAuth("host", use_websocket=True, websocket_path=text),
    "Connection": lambda text: Connection(text, SASLAnonymous("host")),
    "Connection(container_id)": lambda text: Connection("host", SASLAnonymous("host"), container_id=text),
    "Session(management)": lambda text: MgmtOperation(Session(Connection("h", SASLAnonymous("h"))), target=text),
    "redirect": lambda text: errors.LinkRedirect(b"amqp:link:redirect", f"gone to {text}", {b"address": text}),
    "auth": lambda text: SendClient("amqps://host/q", auth=text),
}

# What these are given is no URL, and the whole of it is shown in some.
UNMASKED = {"Connection(container_id)"}


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in UNMASKED])
def test_a_url_in_any_argument(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    make = MAKERS[name]
    count = 0
    for shape in SHAPES:
        for secret in SECRETS:
            text = shape.format(secret)
            if name == "redirect" and (any(map(str.isspace, secret)) or not shape[0].isalpha() or "://" not in shape):
                continue  # within a sentence only what is a URL can be found
            if name == "redirect" and (" " in shape or shape.startswith(("amqps:///", "amqps://dom"))):
                continue
            made(lambda text=text: make(text))  # type: ignore[misc]
            if "\udc80" not in text:
                made(lambda text=text: make(text.encode()))  # type: ignore[misc]
            count += 1
    made(lambda: make(b"amqps://me:sEc\xffReT@host/q"))
    assert count > 100
    hides(caplog.text)


@pytest.mark.parametrize("kind", [Address, Source, Target])
def test_what_is_shown_of_an_address(kind: type[Address]) -> None:
    for given, shown in [
        ("amqps://me:pw@h:1/q", "amqps://me:***@h:1/q"),
        ("amqps://me:p@w:/#?x@h/q", None),
        ("me:pw@h/q", "me:***@h/q"),
        ("queue", "queue"),
        ("amqps://me@h/q", "amqps://me@h/q"),
        ("amqp://h:5672//queues/q", "amqp://h:5672//queues/q"),
        ("topic://News/x", "topic://News/x"),
        ("urn:a:b", "urn:a:b"),
    ]:
        if shown is not None:
            assert str(kind(given)) == shown
            assert repr(kind(given)) == f"{kind.__name__}({shown!r})"
    assert kind("amqps://me:p%40w@h/q").credentials == ("me", "p@w")
    assert kind("amqps://me:pw@h/q").parsed_address.geturl() == b"amqps://me:pw@h/q"


def test_a_peers_name_of_a_node_is_shown_as_it_came() -> None:
    assert str(Source.from_c_obj(SimpleNamespace(**FIELDS, address="a:b@c"))) == "a:b@c"
    assert str(Source.from_c_obj(SimpleNamespace(**FIELDS, address="amqp://a:b@c/q"))) == "amqp://a:***@c/q"


FIELDS: dict[str, Any] = {"durable": 0, "expiry_policy": "session-end", "timeout": 0, "dynamic": False}


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("q", "it is no URL"),
        ("host:5672/q", "it is no URL"),
        ("rabbit://host/q", "its scheme is 'rabbit', which isn't one of amqp, amqps"),
        ("amqp:///q", "there is no host in it"),
        ("amqps://me:pw@/q", "there is no host in it"),
    ],
)
@pytest.mark.parametrize("kind", ["SendClient", "ReceiveClient", "AMQPClient"])
def test_a_client_says_why_it_has_nowhere_to_go(kind: str, address: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^Invalid remote address: {why}.*as amqps://host/node"):
        MAKERS[kind](address)


@pytest.mark.parametrize("argument", ["hostname", "proxy_hostname"])
def test_a_host_with_credentials_is_refused(argument: str) -> None:
    """They would go to the name server, in clear."""
    given: dict[str, Any] = {"hostname": "me:pw@host"}
    if argument == "proxy_hostname":
        given = {"hostname": "host", "http_proxy": {"proxy_hostname": "me:pw@proxy", "proxy_port": 1}}
    with pytest.raises(ValueError, match=f"{argument} must be the name of a host alone"):
        SASLAnonymous(**given)
    with pytest.raises(ValueError, match="hostname must be the name of a host alone"):
        SASLAnonymous("host").set_tlsio("me:pw@host", None)


# -- while a connection works: errors, log, trace


def test_a_node_that_management_asks(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    def refuse(request: ServiceRequest) -> ServiceResponse:
        return ServiceResponse(404, "there is no such thing")

    broker.serve("*$management", refuse)
    with AMQPClient(broker.url, debug=True) as client:
        answer = client.mgmt_request(Message(1), b"READ", node=f"amqp://me:sEcReT@127.0.0.1:{broker.port}/$management")
        assert answer.application_properties[b"statusCode"] == 404
    assert "status 404" in caplog.text
    hides(caplog.text)


def test_a_node_that_management_cannot_ask(caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    caplog.set_level(1)
    node = "amqp://me:sEcReT@host/$management"

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach")
        peer.expect("attach")
        peer.stay_silent(45)
        peer.ignore("detach", "end")
        peer.accept_close()

    with ScriptedServer(script, clock=clock) as server:
        client = AMQPClient(url(server), debug=True)
        client.open()
        with pytest.raises(errors.AMQPConnectionError, match="didn't answer the attach") as caught:
            client.mgmt_request(Message(1), b"READ", node=node)
        hides(everything(caught.value))
        client.close()
    hides(caplog.text)


def failed(link: MessageSender | MessageReceiver) -> bool:
    """Raises when it has; it doesn't return that it did."""
    link.get_state()
    return False


@pytest.mark.parametrize("node", ["amqp://me:sEcReT@host/q", "me:sEc/ReT@host/q"])
def test_a_link_whose_node_is_not_there(node: str, caplog: pytest.LogCaptureFixture) -> None:
    """A node's name goes over the wire as it is; neither our trace nor our log says it."""
    caplog.set_level(1)

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        for _ in range(2):
            peer.refuse_attach(codec.error("amqp:not-found", "there is no amqp://me:sEcReT@host/q"))
            peer.expect("detach")
        peer.ignore("end")
        peer.accept_close()

    with ScriptedServer(script) as server:
        auth = SASLAnonymous("127.0.0.1", port=server.port, use_tls=False)
        connection = Connection("me:sEcReT@virtual", auth, debug=True)
        session = Session(connection)
        sender = MessageSender(session, "us", Target("q", node=node))
        receiver = MessageReceiver(session, Source("q", node=node), "us", lambda message: None)
        for link in (sender, receiver):
            link.open()
            with pytest.raises(errors.LinkDetach, match="NotFound") as caught:
                until(partial(failed, link), connection.work)
            hides(everything(caught.value))
        connection.destroy()
    assert "[ATTACH]" in caplog.text
    hides(caplog.text)


def test_a_redirect(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        info = {
            "hostname": codec.string("me:sEcReT@elsewhere"),
            "address": codec.string("amqps://me:sEc/ReT@elsewhere/q"),
        }
        peer.refuse_attach(codec.error("amqp:link:redirect", "it is at amqps://me:sEcReT@elsewhere/q", info))
        peer.expect("detach")
        peer.ignore("end")
        peer.accept_close()

    with ScriptedServer(script) as server:
        client = ReceiveClient(url(server), debug=True)
        with pytest.raises(errors.LinkRedirect) as caught:
            client.receive_message_batch()
        hides(everything(caught.value))
        assert caught.value.address == b"amqps://me:sEc/ReT@elsewhere/q"
        with pytest.raises(ValueError, match="port") as refused:
            client.redirect(caught.value, SASLAnonymous("127.0.0.1", port=server.port, use_tls=False))
        hides(str(refused.value) + everything(refused.value.__cause__))
        client.close()
    hides(caplog.text)


def test_credentials_that_the_encoding_does_not_have() -> None:
    for make in (
        lambda: SASLPlain("h", "me", "sEcéReT", encoding="ascii"),
        lambda: SASTokenAuth("a", "sb://h/q", "sEcéReT", expires_in=HOUR, encoding="ascii"),
        lambda: SASTokenAuth.from_shared_access_key("sb://h/q", "n", "sEcéReT", encoding="ascii"),
        lambda: SASLAnonymous("h", encoding="ascii", http_proxy=PROXY | {"password": b"sEc\xe9ReT"}),
    ):
        with pytest.raises(UnicodeError) as caught:
            make()
        hides(everything(caught.value))


PROXY: dict[str, Any] = {"proxy_hostname": "p", "proxy_port": 1, "username": "me"}


def test_a_token_that_is_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    with Broker(cbs=True) as broker:
        broken = SimpleNamespace(token=b"sEc\xffReT", expires_on=time.time() + 60)
        auth = JWTTokenAuth("a", f"{broker.url}/q", lambda: broken, port=broker.port, use_tls=False)
        client = SendClient(f"{broker.url}/q", auth=auth, debug=True)
        with pytest.raises(errors.AuthenticationException, match="token") as caught:
            client.send_message(Message(b"x"))
        hides(everything(caught.value))
        client.close()
    hides(caplog.text)


@pytest.mark.parametrize("kind", ["SASTokenAuth", "JWTTokenAuth"])
def test_a_token_over_an_open_line_is_warned_of_once(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "uamqp")
    for host, use_tls, count in (("broker.invalid", False, 1), ("broker.invalid", True, 0), ("127.0.0.1", False, 0)):
        caplog.clear()
        settings: dict[str, Any] = {"port": 1, "use_tls": use_tls}
        auth: Any = (
            SASTokenAuth("a", f"amqp://{host}/q", "sEcReT", expires_in=HOUR, **settings)
            if kind == "SASTokenAuth"
            else JWTTokenAuth("a", f"amqp://{host}/q", token, **settings)
        )
        for _ in range(2):
            client = SendClient(f"amqp://{host}/q", auth=auth)
            with pytest.raises((errors.AMQPConnectionError, ValueError)):
                client.open()
            client.close()
        found = [record.getMessage() for record in caplog.records if "unencrypted" in record.getMessage()]
        assert len(found) == count
        assert all(host in text and "token" in text for text in found)
        hides(caplog.text)


def test_a_login_over_websocket(caplog: pytest.LogCaptureFixture) -> None:
    """The library that frames it has a log of its own, with a frame's first bytes and its last: the password's."""
    caplog.set_level(1)
    with Broker(websocket=True, users={"me": "sEcReT"}) as broker:
        auth = SASLPlain("127.0.0.1", "me", "sEcReT", port=broker.port, use_tls=False, use_websocket=True)
        with Connection("", auth, debug=True) as connection:
            connection.start()
            until(lambda: connection._state is ConnectionState.OPENED, connection.work)
    assert "SASL-INIT" in caplog.text
    for written in (b"sEcReT", b"sEc", b"ReT"):
        assert written.hex() not in caplog.text.replace(" ", "").lower()
    hides(caplog.text)


def test_a_message_goes_though_its_target_has_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)

    def script(peer: SocketPeer) -> None:
        attach = accept_sender(peer)
        assert attach["target"]["address"] == "me:sEcReT@q"
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        target = Target(url(server), node="me:sEcReT@q")
        client = SendClient(target, debug=True)
        client.send_message(Message(b"x"))
        client.close()
    assert "me:***@q" in caplog.text
    hides(caplog.text)
