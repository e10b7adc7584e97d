"""What all clients have in common: arguments, opening, closing, and what they say when they aren't open."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    RECEIVER,
    accept_leaving,
    accept_receiver,
    accept_session,
    data_message,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import (
    AMQPClient,
    AMQPClientAsync,
    Connection,
    Message,
    MessageReceiver,
    MessageSender,
    ReceiveClient,
    SendClient,
    Session,
    Source,
    Target,
    errors,
)
from uamqp.authentication import SASLAnonymous
from uamqp.testing import Broker
from uamqp.testing.faults import error

pytestmark = pytest.mark.both_fronts

KINDS = pytest.mark.parametrize("kind", [AMQPClient, SendClient, ReceiveClient])
LINKED = pytest.mark.parametrize("kind", [SendClient, ReceiveClient])


# -- arguments

BAD: list[tuple[dict[str, Any], Any, str]] = [
    ({"client_name": 5}, TypeError, "client_name"),
    ({"handshake_timeout": "soon"}, TypeError, "handshake_timeout"),
    ({"link_timeout": 0}, ValueError, "link_timeout"),
    ({"close_timeout": -1}, ValueError, "close_timeout"),
    ({"keep_alive_interval": "often"}, TypeError, "keep_alive_interval"),
    ({"keep_alive_interval": -1}, ValueError, "keep_alive_interval"),
    ({"error_policy": "retry"}, TypeError, "error_policy"),
    ({"max_frame_size": 100}, ValueError, "max_frame_size"),
    ({"channel_max": 70000}, ValueError, "channel_max"),
    ({"idle_timeout": -5}, ValueError, "idle_timeout"),
    ({"properties": [1]}, TypeError, "(?i)properties"),
    ({"incoming_window": -1}, ValueError, "incoming_window"),
    ({"outgoing_window": "x"}, TypeError, "outgoing_window"),
    ({"handle_max": -1}, ValueError, "handle_max"),
    ({"on_attach": 5}, TypeError, "on_attach"),
    ({"send_settle_mode": "x"}, (TypeError, ValueError), "send_settle_mode"),
    ({"receive_settle_mode": 9}, (TypeError, ValueError), "receive_settle_mode"),
    ({"remote_idle_timeout_empty_frame_send_ratio": 2}, ValueError, "remote_idle_timeout_empty_frame_send_ratio"),
    ({"desired_capabilities": 5}, TypeError, "(?i)capabilit|symbol"),
    ({"encoding": "no-such-codec"}, (LookupError, ValueError), "no-such-codec"),
    ({"transport_type": "pigeon"}, (TypeError, ValueError), "transport_type"),
]


def start(kind: Any, broker: Broker, given: dict[str, Any]) -> None:
    client = kind(broker.url + "/q", **given)
    try:
        client.open()
        until(client.client_ready, lambda: None)
    finally:
        client.close()


@LINKED
@pytest.mark.parametrize(("given", "error", "text"), BAD, ids=[str(given) for given, _, _ in BAD])
def test_bad_arguments_are_named(kind: Any, broker: Broker, given: dict[str, Any], error: Any, text: str) -> None:
    """At construction, or at the latest when the link opens; nothing of it goes to the peer."""
    with pytest.raises(error, match=text):
        start(kind, broker, given)
    broker.wait_for(lambda: broker.connections == ())


@pytest.mark.parametrize(
    ("kind", "given", "error", "text"),
    [
        (SendClient, {"msg_timeout": "soon"}, TypeError, "msg_timeout"),
        (SendClient, {"msg_timeout": -1}, ValueError, "msg_timeout"),
        (SendClient, {"stall_timeout": -1}, ValueError, "stall_timeout"),
        (SendClient, {"stall_timeout": "soon"}, TypeError, "stall_timeout"),
        (SendClient, {"max_message_size": "big"}, TypeError, "max_message_size"),
        (SendClient, {"link_properties": ["a"]}, TypeError, "(?i)properties"),
        (ReceiveClient, {"timeout": "soon"}, TypeError, "timeout"),
        (ReceiveClient, {"timeout": -1}, ValueError, "timeout"),
        (ReceiveClient, {"prefetch": -1}, ValueError, "prefetch"),
        (ReceiveClient, {"prefetch": "many"}, TypeError, "prefetch"),
        (ReceiveClient, {"max_message_size": -1}, ValueError, "max_message_size"),
        (ReceiveClient, {"link_properties": ["a"]}, TypeError, "(?i)properties"),
    ],
    ids=str,
)
def test_bad_arguments_of_one_kind(kind: Any, broker: Broker, given: dict[str, Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        start(kind, broker, given)


@KINDS
def test_unknown_keywords_are_named(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"Received unrecognized kwargs: .*pre_fetch"):
        kind("amqps://h/q", pre_fetch=3)


@KINDS
@pytest.mark.parametrize("wrong", [None, 5, ["amqps://h/q"]], ids=str)
def test_an_address_of_the_wrong_type_is_refused(kind: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match=type(wrong).__name__):
        kind(wrong)


@KINDS
def test_a_bad_port_in_the_url(kind: Any) -> None:
    for port in ("99999", "http"):
        with pytest.raises(ValueError, match="port"):
            kind(f"amqps://me:s3cret@h:{port}/q")


def test_falsy_arguments_stand_for_the_default() -> None:
    """Contract 14.1: callers pass None, 0 and empty texts for what they don't set."""
    client = ReceiveClient(
        "amqps://h/q",
        auth=None,
        client_name=None,
        error_policy=None,
        send_settle_mode=None,
        receive_settle_mode=None,
        idle_timeout=None,
        properties=None,
        link_properties=None,
        keep_alive_interval=0,
        max_frame_size=None,
        channel_max=None,
        prefetch=None,
        encoding=None,
        desired_capabilities=None,
        on_attach=None,
        shutdown_after_timeout=None,
        max_message_size=None,
        transport_type=None,
        http_proxy=None,
    )
    assert client._prefetch == 300
    assert client._encoding == "UTF-8"
    assert client._build_connection()._settings["max_frame_size"] == 65536


# -- what Azure's packages reach into


@pytest.mark.blocking("the asyncio clients have types of their own")
def test_attributes_that_others_use() -> None:
    sender, receiver = SendClient("amqps://h/q", msg_timeout=5), ReceiveClient("amqps://h/q", timeout=7, prefetch=9)
    for client in (sender, receiver):
        assert client.message_handler is None
        assert client.connection_type is Connection
        assert client.session_type is Session
        assert client._connection is None
        assert client._session is None
        assert client._shutdown is False
        assert client._ext_connection is False
        assert client._keep_alive_thread is None
        assert client._hostname == "h"
        assert isinstance(client._name, str)
        assert client._counter.get_current_ms() >= 0
        assert client._auth.hostname == b"h"
    assert sender.sender_type is MessageSender
    assert receiver.receiver_type is MessageReceiver
    assert sender._msg_timeout == 5
    assert (receiver._timeout, receiver._prefetch, receiver.auto_complete) == (7, 9, True)
    assert receiver._received_messages.empty()


@pytest.mark.blocking("the asyncio client takes no bridged class")
def test_classes_can_be_replaced(broker: Broker) -> None:
    made: list[str] = []

    class MySession(Session):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            made.append("session")
            super().__init__(*arguments, **settings)

    class MySender(MessageSender):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            made.append("sender")
            super().__init__(*arguments, **settings)

    client = SendClient(broker.url + "/q")
    client.session_type = MySession
    client.sender_type = MySender
    client.send_message(Message(b"x"), close_on_done=True)
    assert made == ["session", "sender"]


# -- the front


@LINKED
def test_the_front_is_the_one_that_the_test_says(kind: Any, front: str) -> None:
    """These tests would all pass as well if the asyncio front never came into play."""
    for name in (kind, SendClient):
        made = getattr(name("amqps://h/q"), "_inner", None)
        assert isinstance(made, AMQPClientAsync) is (front == "asyncio")


# -- opening and closing


@KINDS
def test_before_open_and_after_close(kind: Any, broker: Broker) -> None:
    """Defect 44: AttributeError on None."""
    client = kind(broker.url + "/q")
    for _ in range(2):
        with pytest.raises(errors.AMQPConnectionError, match=r"not open.*open\(\)"):
            client.auth_complete()
        with pytest.raises(errors.AMQPConnectionError, match=r"not open.*open\(\)"):
            client.client_ready()
        client.close()
    assert client.do_work() is False


@KINDS
def test_open_is_idempotent_and_connects_nothing_yet(kind: Any, broker: Broker) -> None:
    client = kind(broker.url + "/q")
    client.open()
    connection = client._connection
    client.open()
    assert client._connection is connection
    assert client.auth_complete() is True
    assert broker.connections == ()
    client.close()
    client.close()
    assert client._connection is None


@KINDS
def test_close_in_every_state(kind: Any, broker: Broker) -> None:
    for steps in range(7):
        client = kind(broker.url + "/q", close_timeout=300)
        client.open()
        for _ in range(steps):
            client.do_work()
        with bounded(20):
            client.close()
            client.close()
    broker.wait_for(lambda: broker.connections == ())


@LINKED
@pytest.mark.parametrize("steps", range(4))
@pytest.mark.usefixtures("patient")
def test_working_until_the_client_is_ready_waits_for_nothing_else(kind: Any, steps: int) -> None:
    """Whatever call it is in which the link opens: nothing follows that would end a wait."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER if kind is SendClient else RECEIVER)
        peer.ignore("flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, bounded(20):
        client = kind(url(server))
        client.open()
        for _ in range(steps):
            if not client.client_ready():
                break
        while not client.client_ready():
            client.do_work()
        client.close()


FAILURES: dict[str, Callable[[Broker], Any]] = {
    "connection lost": lambda broker: broker.drop_connections(),
    "closed": lambda broker: broker.close_connections(),
    "session ended": lambda broker: broker.end_sessions("amqp:internal-error"),
    "detached": lambda broker: broker.detach_links(),
}


@LINKED
@pytest.mark.parametrize("failure", FAILURES)
def test_close_after_an_error(kind: Any, broker: Broker, failure: str) -> None:
    client = kind(broker.url + "/q", close_timeout=300)
    client.open()
    until(client.client_ready, lambda: None)
    FAILURES[failure](broker)
    with pytest.raises(errors.AMQPConnectionError):
        until(lambda: False, client.do_work)
    with bounded(20):
        client.close()
    broker.wait_for(lambda: broker.connections == ())


@LINKED
def test_close_after_an_error_that_nobody_has_seen(kind: Any, broker: Broker) -> None:
    client = kind(broker.url + "/q", close_timeout=300)
    client.open()
    until(client.client_ready, lambda: None)
    broker.drop_connections()
    broker.wait_for(lambda: broker.connections == ())
    with bounded(20):
        client.close()


def test_a_client_whose_broker_comes_later(broker: Broker) -> None:
    """A refused connection uses nothing up: the same client may try again."""
    target = broker.url + "/q"
    broker.stop()
    client, message = SendClient(target), Message(b"x")
    with pytest.raises(errors.AMQPConnectionError):
        client.send_message(message)
    assert client.pending_messages == []
    broker.start()
    client.send_message(message)
    client.close()
    assert broker.queue("q").depth == 1


def test_reopening(broker: Broker) -> None:
    """Contract 8.1 lets no client be opened again that was given an auth object; here it can be."""
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    for given in (None, auth):
        client = SendClient(broker.url + "/q", auth=given)
        for _ in range(2):
            client.send_message(Message(b"x"), close_on_done=True)
    assert broker.queue("q").depth == 4


def test_credentials_are_free_again_when_a_client_could_not_connect(broker: Broker) -> None:
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    broker.stop()
    client = SendClient(broker.url + "/q", auth=auth)
    with pytest.raises(errors.AMQPConnectionError):
        client.send_message(Message(b"x"))
    client.close()
    broker.start()
    with SendClient(broker.url + "/q", auth=auth) as another:
        another.send_message(Message(b"x"))
    assert broker.queue("q").depth == 1


def test_a_connection_that_was_closed_lets_go_of_its_credentials_once(broker: Broker) -> None:
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    first = Connection("127.0.0.1", auth)
    first.destroy()
    second = Connection("127.0.0.1", auth)
    first.destroy()
    assert auth.consumed
    second.destroy()
    assert not auth.consumed


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_destroy_the_connection(broker: Broker) -> None:
    broker.put("q", Message(b"x"))
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    connection = Connection("127.0.0.1", auth)
    receiver = MessageReceiver(Session(connection), Source("q"), "me", lambda message: connection.destroy())
    receiver.open()
    with bounded(5), pytest.raises(errors.AMQPConnectionError, match="closed"):
        until(lambda: False, lambda: connection.sleep(0.01))
    broker.wait_for(lambda: broker.queue("q").depth == 1)


def test_a_block_closes_whatever_happens(broker: Broker) -> None:
    def run() -> None:
        with SendClient(broker.url + "/q") as client:
            client.send_message(Message(b"x"))
            raise KeyError("the program's own")

    with pytest.raises(KeyError):
        run()
    broker.wait_for(lambda: broker.connections == ())


def test_an_unclosed_client_is_no_noise(broker: Broker) -> None:
    """Defect 45: noise at the interpreter's end."""
    code = (
        "import uamqp\n"
        f"client = uamqp.ReceiveClient({broker.url + '/q'!r}, keep_alive_interval=1)\n"
        "client.open()\n"
        "while not client.client_ready(): pass\n"
        f"sender = uamqp.SendClient({broker.url + '/q'!r})\n"
        "sender.send_message(uamqp.Message('x'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_base_client_is_a_connection_that_works(broker: Broker) -> None:
    with AMQPClient(broker.url) as client:
        assert client.message_handler is None
        for _ in range(3):
            assert client.do_work() is True


def test_a_shared_connection_is_left_open(broker: Broker) -> None:
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    with Connection("127.0.0.1", auth) as connection:
        for _ in range(3):
            client = SendClient(broker.url + "/q")
            client.open(connection=connection)
            assert client._ext_connection
            assert client._connection is connection
            client.send_message(Message(b"x"))
            client.close()
            assert client._connection is None
        assert len(broker.connections) == 1
    broker.wait_for(lambda: broker.connections == ())


def test_closed_clients_leave_nothing_on_a_shared_connection(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that lives long holds neither links, sessions nor messages of the clients that are gone."""
    caplog.set_level("CRITICAL", "uamqp")  # pytest keeps log records, these the errors, and these the clients
    broker.faults.refuse_attach = lambda address, sending: error("amqp:not-found") if address == "none" else None
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    references: list[weakref.ref[Any]] = []

    def use(connection: Connection) -> None:
        sender, receiver = SendClient(broker.url + "/q"), ReceiveClient(broker.url + "/q")
        refused = SendClient(broker.url + "/none")
        for client in (sender, receiver, refused):
            client.open(connection=connection)
        message = Message(b"x")
        sender.send_message(message)
        (received,) = receiver.receive_message_batch(timeout=5000)
        with pytest.raises(errors.LinkDetach):
            refused.send_message(Message(b"y"))
        references.extend(
            weakref.ref(thing)
            for client in (sender, receiver, refused)
            for thing in (client, client.message_handler, client._session)
        )
        references.extend([weakref.ref(message), weakref.ref(received)])
        for client in (sender, receiver, refused):
            client.close()

    with Connection("127.0.0.1", auth) as connection:
        for _ in range(5):
            use(connection)
        connection.sleep(0.05)
        gc.collect()
        assert [reference() for reference in references if reference() is not None] == []


# -- other clients' habits


def test_a_receiver_is_redirected() -> None:
    def first(peer: SocketPeer) -> None:
        accept_session(peer)
        info = {"hostname": codec.string("localhost"), "address": codec.string("amqp://localhost/moved")}
        peer.refuse_attach(codec.error("amqp:link:redirect", "elsewhere", info))
        peer.expect("detach")
        peer.ignore("end")
        peer.accept_close()

    def second(peer: SocketPeer) -> None:
        came = accept_receiver(peer)
        assert came["source"]["address"] == "moved"
        peer.expect("flow")
        peer.send_delivery(data_message(b"x"))
        peer.expect("disposition")
        accept_leaving(peer)

    with ScriptedServer(first) as one, ScriptedServer(second) as two:
        client = ReceiveClient(url(one))
        with pytest.raises(errors.LinkRedirect) as caught:
            client.receive_message_batch()
        client.redirect(caught.value, SASLAnonymous("localhost", port=two.port, use_tls=False))
        (message,) = client.receive_message_batch(timeout=5000)
        assert b"".join(message.get_data()) == b"x"
        client.close()


def test_a_dynamic_node() -> None:
    """Defect 40: `Source.dynamic` asks the peer for a node; its answer says which."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.accept_attach(
            RECEIVER,
            {"source": {"dynamic": True, "address": None}},
            source=codec.source(address=codec.string("made-1")),
        )
        assert came["source"]["dynamic"] is True
        peer.ignore("flow")
        accept_leaving(peer)

    names: list[str] = []
    with ScriptedServer(script) as server:
        source = Source(url(server, ""))
        source.dynamic = True
        client = ReceiveClient(source, on_attach=lambda source, target, properties, error: names.append(str(source)))
        client.open()
        until(client.client_ready, lambda: None)
        client.close()
    assert names == ["made-1"]


def test_a_target_by_its_node_alone() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.accept_attach(SENDER)
        assert came["target"]["address"] == "/queues/a b"
        peer.grant(1)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        target = Target(url(server, ""), node="/queues/a b")
        SendClient(target).send_message(Message(b"x"), close_on_done=True)
