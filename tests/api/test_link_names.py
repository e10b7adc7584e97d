"""Links by name, that are detached and not closed, with tags of one's own; redirects of the connection. Both fronts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    SENDER,
    accept_receiver,
    accept_sender,
    accept_session,
    settle,
    url,
)
from tests.support.waiting import until
from uamqp import (
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
from uamqp.constants import MessageReceiverState, MessageSenderState
from uamqp.testing import Broker
from uamqp.testing.faults import connection_redirect

pytestmark = pytest.mark.both_fronts


def leaves(peer: SocketPeer, closed: bool) -> None:
    peer.ignore("flow")
    came = peer.accept_detach()
    assert bool(came.get("closed")) is closed
    peer.accept_end()
    peer.accept_close()


@pytest.mark.parametrize("name", ["sub", b"sub"])
def test_a_link_is_found_again_by_its_name(name: Any) -> None:
    def script(peer: SocketPeer) -> None:
        came = accept_receiver(peer)
        assert came["name"] == "sub"
        assert came["source"]["durable"] == codec.uint(2)
        leaves(peer, closed=False)

    with ScriptedServer([script, script]) as server:
        source = Source(url(server))
        source.durable = 2
        source.expiry_policy = "never"
        client = ReceiveClient(source, client_name="me", link_name=name)
        for _ in range(2):
            client.open()
            until(client.client_ready, lambda: None)
            client.close(detach=True)


def test_without_a_name_each_opening_has_one_of_its_own() -> None:
    names: list[str] = []

    def script(peer: SocketPeer) -> None:
        names.append(accept_receiver(peer)["name"])
        leaves(peer, closed=True)

    with ScriptedServer([script, script]) as server:
        client = ReceiveClient(url(server))
        for _ in range(2):
            client.open()
            until(client.client_ready, lambda: None)
            client.close()
    assert len(set(names)) == 2


@pytest.mark.parametrize("detach", [None, True, False])
@pytest.mark.parametrize("on_close", [False, True])
def test_what_closing_does_to_the_link(detach: bool | None, on_close: bool) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        settle(peer, peer.expect("transfer"))
        leaves(peer, closed=not (on_close if detach is None else detach))

    with ScriptedServer(script) as server:
        client = SendClient(url(server), detach_on_close=on_close)
        client.send_message(Message(b"x"))
        client.close(detach=detach)


def test_the_end_of_a_block_and_of_receiving_keep_a_subscription() -> None:
    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        leaves(peer, closed=False)

    with ScriptedServer([script, script]) as server:
        with ReceiveClient(url(server), link_name="sub", detach_on_close=True) as client:
            until(client.client_ready, lambda: None)
        client = ReceiveClient(url(server), link_name="sub", detach_on_close=True, timeout=1)
        client.receive_messages(lambda message: None)


@pytest.mark.parametrize("way", ["close", "destroy"])
def test_a_bare_link_is_detached(way: str) -> None:
    def script(peer: SocketPeer) -> None:
        assert accept_receiver(peer)["name"] == "sub"
        leaves(peer, closed=False)

    with ScriptedServer(script) as server:
        connection = Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=server.port, use_tls=False))
        session = Session(connection)
        link = MessageReceiver(session, Source(url(server)), "me", lambda message: None, name="sub")
        link.open()
        until(lambda: link.get_state() is MessageReceiverState.Open, connection.work)
        getattr(link, way)(detach=True)
        session.destroy()
        connection.destroy()


@pytest.mark.parametrize(
    ("value", "kind"), [("text", TypeError), (b"", ValueError), (b"x" * 33, ValueError), (5, TypeError)]
)
def test_what_is_no_tag(value: Any, kind: type[Exception]) -> None:
    message = Message(b"x")
    with pytest.raises(kind, match="delivery-tag"):
        message.delivery_tag = value
    assert message.delivery_tag is None


def test_tags_of_ones_own() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        for tag in (b"mine", b"y" * 32):
            settle(peer, peer.expect("transfer", delivery_tag=tag))
        counted = peer.expect("transfer")
        assert 0 < len(counted["delivery_tag"]) <= 32
        settle(peer, counted)
        leaves(peer, closed=True)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        for tag in (b"mine", b"y" * 32, None):
            message = Message(b"x")
            message.delivery_tag = tag
            client.send_message(message)
            assert message.delivery_tag == tag


def test_a_bare_sender_takes_tags() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.grant(1)
        settle(peer, peer.expect("transfer", delivery_tag=b"mine"))
        leaves(peer, closed=True)

    with ScriptedServer(script) as server:
        connection = Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=server.port, use_tls=False))
        link = MessageSender(Session(connection), "me", Target(url(server)))
        link.open()
        until(lambda: link.get_state() is MessageSenderState.Open, connection.work)
        message = Message(b"x")
        message.delivery_tag = b"mine"
        sent: list[Any] = []
        link.send(message, lambda *given, **state: sent.append(given))
        until(lambda: bool(sent), connection.work)
        link.destroy()
        link._session.destroy()
        connection.destroy()


# -- redirects of the connection


def test_a_connection_is_redirected_to_host_and_port() -> None:
    with Broker() as first, Broker() as second:
        first.faults.refuse_open = connection_redirect("127.0.0.1", second.port, "elsewhere.example")
        client = SendClient(f"{first.url}/q")
        with pytest.raises(errors.ConnectionRedirect, match="go to 127") as caught:
            client.send_message(Message(b"1"))
        redirect = caught.value
        assert (redirect.hostname, redirect.network_host) == (b"elsewhere.example", b"127.0.0.1")
        assert redirect.port == second.port
        client.redirect(redirect, SASLAnonymous(b"127.0.0.1", port=redirect.port, use_tls=False))
        client.send_message(Message(b"2"))
        assert [view.hostname for view in second.connections] == ["elsewhere.example"]
        client.close()
        assert [message.body for message in second.queue("q").messages] == [b"2"]


def test_the_port_of_a_redirect_stands_in_for_that_of_the_credentials() -> None:
    with Broker() as first, Broker() as second:
        first.faults.refuse_open = connection_redirect("127.0.0.1", second.port)
        second.put("q", Message(b"x"))
        client = ReceiveClient(f"{first.url}/q", timeout=5000)
        with pytest.raises(errors.ConnectionRedirect) as caught:
            client.receive_message_batch()
        client.redirect(caught.value, SASLAnonymous("127.0.0.1", use_tls=False))
        assert len(client.receive_message_batch()) == 1
        client.close()


def test_a_redirect_of_the_connection_that_names_no_host(broker: Broker) -> None:
    client = SendClient(f"{broker.url}/q")
    client.send_message(Message(b"1"))
    with pytest.raises(ValueError, match="names no host"):
        client.redirect(errors.ConnectionRedirect("amqp:connection:redirect"), SASLAnonymous("127.0.0.1"))
    client.send_message(Message(b"2"))  # nothing has changed
    client.close()
