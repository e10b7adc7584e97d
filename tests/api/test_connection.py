"""`Connection`: settings, states, the peer's close, SASL, the lock, sharing, redirects."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import ABSENT
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    RECEIVER,
    SENDER,
    accept_leaving,
    accept_sender,
    accept_session,
    connect,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import AMQPClient, Connection, Message, ReceiveClient, SendClient, authentication, errors
from uamqp.c_uamqp import ConnectionState
from uamqp.constants import ErrorCodes
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


def plain(server: ScriptedServer | Broker, host: str = "127.0.0.1", **settings: Any) -> authentication.SASLAnonymous:
    return authentication.SASLAnonymous(host, port=server.port, use_tls=False, **settings)


# -- settings


def test_what_is_unset_reads_as_in_1_6() -> None:
    connection = Connection("h", authentication.SASLAnonymous("h"))
    assert connection.max_frame_size == 4294967295
    assert connection.channel_max == 65535
    assert connection.idle_timeout is None
    assert connection.properties is None
    assert connection.remote_max_frame_size == 512
    assert connection._state is ConnectionState.UNKNOWN
    assert connection._error is None
    assert connection._cbs is None
    assert isinstance(connection.container_id, bytes)
    assert connection.hostname == b"h"
    assert Connection("h", None).container_id != connection.container_id


def test_settings_can_be_read_and_changed() -> None:
    connection = Connection(
        b"host",
        authentication.SASLAnonymous("h"),
        container_id="me",
        max_frame_size=1024,
        channel_max=3,
        idle_timeout=5000,
        properties={"a": "b"},
    )
    assert connection.container_id == b"me"
    assert (connection.max_frame_size, connection.channel_max, connection.idle_timeout) == (1024, 3, 5000)
    assert connection.properties == {"a": "b"}  # defect 42: it was a native object
    connection.max_frame_size = 2048
    connection.channel_max = 9
    connection.idle_timeout = 100
    connection.properties = {"c": 1}
    assert (connection.max_frame_size, connection.channel_max, connection.idle_timeout) == (2048, 9, 100)
    assert connection.properties == {"c": 1}


@pytest.mark.parametrize(
    ("settings", "kind", "text"),
    [
        ({"max_frame_size": 511}, ValueError, "max_frame_size"),
        ({"max_frame_size": 2**32}, ValueError, "max_frame_size"),
        ({"max_frame_size": "big"}, TypeError, "max_frame_size"),
        ({"channel_max": -1}, ValueError, "channel_max"),
        ({"channel_max": 65536}, ValueError, "channel_max"),
        ({"channel_max": "1"}, TypeError, "channel_max"),
        ({"idle_timeout": -1}, ValueError, "idle_timeout"),
        ({"idle_timeout": "soon"}, TypeError, "idle_timeout"),
        ({"properties": ["a"]}, TypeError, "Connection properties must be a dictionary"),
        ({"properties": {1: "a"}}, (TypeError, ValueError), "key"),
        ({"remote_idle_timeout_empty_frame_send_ratio": 1.5}, ValueError, "remote_idle_timeout_empty_frame_send_ratio"),
        ({"remote_idle_timeout_empty_frame_send_ratio": -1}, ValueError, "remote_idle_timeout_empty_frame_send_ratio"),
        (
            {"remote_idle_timeout_empty_frame_send_ratio": "x"},
            TypeError,
            "remote_idle_timeout_empty_frame_send_ratio",
        ),
        ({"container_id": 5}, TypeError, "container_id"),
        ({"handshake_timeout": 0}, ValueError, "handshake_timeout"),
        ({"link_timeout": -1}, ValueError, "link_timeout"),
        ({"close_timeout": "soon"}, TypeError, "close_timeout"),
        ({"hostname": 5}, TypeError, "hostname"),
        ({"hostname": None}, TypeError, "hostname"),
        ({"sasl": "me:secret"}, TypeError, "(?i)sasl|auth"),
        ({"encoding": "no-such-codec"}, (LookupError, ValueError), "no-such-codec"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_settings_are_refused_at_once(settings: dict[str, Any], kind: Any, text: str) -> None:
    auth = authentication.SASLAnonymous("h")
    with pytest.raises(kind, match=text):
        Connection(**{"hostname": "h", "sasl": auth, "container_id": "text", **settings})
    assert not auth.consumed
    assert "secret" not in text


def test_settings_are_fixed_once_it_has_started(broker: Broker) -> None:
    with Connection("127.0.0.1", plain(broker)) as connection:
        connection.start()
        for name in ("max_frame_size", "channel_max", "idle_timeout", "properties"):
            with pytest.raises(ValueError, match=name):
                setattr(connection, name, {} if name == "properties" else 1024)


def test_without_credentials_it_is_anonymous_over_tls() -> None:
    """Contract 9: sasl=None raised AttributeError."""
    connection = Connection("host.example", None)
    assert isinstance(connection.auth, authentication.SASLAnonymous)
    assert connection.auth.use_tls
    assert connection.auth.hostname == b"host.example"


def test_credentials_serve_one_connection() -> None:
    auth = authentication.SASLAnonymous("h")
    first = Connection("h", auth)
    with pytest.raises(ValueError, match="already been consumed by another connection"):
        Connection("h", auth)
    first.destroy()  # one that was dropped needs them no more, either


def test_nothing_connects_before_it_is_needed() -> None:
    """Creating a connection, and leaving its block, does no I/O."""
    with Connection("no-such-host.invalid", authentication.SASLAnonymous("no-such-host.invalid")) as connection:
        assert connection._state is ConnectionState.UNKNOWN
    connection.destroy()


# -- states


def test_the_states_of_a_connection(broker: Broker) -> None:
    states: list[tuple[Any, Any]] = []

    class Watched(Connection):
        def _state_changed(self, previous_state: Any, new_state: Any) -> None:
            states.append((previous_state, new_state))

    connection = Watched("127.0.0.1", plain(broker))
    connection.start()
    until(lambda: connection._state is ConnectionState.OPENED, connection.work)
    connection.destroy()
    assert connection._state is ConnectionState.END
    assert states[0][0] is ConnectionState.UNKNOWN
    assert states[-1][1] is ConnectionState.END
    assert [new for _, new in states[:-1]] == [previous for previous, _ in states[1:]]
    assert ConnectionState.OPENED in [new for _, new in states]


def test_destroy_can_be_called_in_every_state(broker: Broker) -> None:
    for steps in range(8):
        connection = Connection("127.0.0.1", plain(broker), close_timeout=300)
        if steps:
            connection.start()
        for _ in range(steps):
            connection.work()
        with bounded(20):
            connection.destroy()
            connection.destroy()
    broker.wait_for(lambda: broker.connections == ())


def test_a_destroyed_connection_says_so(broker: Broker) -> None:
    connection = Connection("127.0.0.1", plain(broker))
    connection.start()
    connection.destroy()
    client = SendClient(broker.url + "/q")
    client.open(connection=connection)
    with bounded(20), pytest.raises(errors.AMQPConnectionError):
        client.send_message(Message(b"x"))
    client.close()


# -- the peer's close


def close_script(error: Any, at: str) -> Callable[[SocketPeer], None]:
    def script(peer: SocketPeer) -> None:
        peer.ignore("flow", "disposition", "detach", "end")
        peer.accept_sasl()
        peer.accept_open()
        if at == "begin":
            peer.expect("begin")
        elif at != "open":
            peer.accept_begin()
        if at == "attach":
            peer.expect("attach")
        elif at in ("transfer", "idle"):
            came = peer.accept_attach()
            if came["role"] == SENDER:
                peer.grant(10)
                peer.expect("transfer")
        peer.ignore("begin", "attach", "transfer")
        peer.send("close", error=error)
        peer.expect("close")

    return script


@pytest.mark.parametrize("at", ["open", "begin", "attach", "transfer"])
def test_the_reason_of_the_peers_close_surfaces_when_sending(at: str) -> None:
    """Defect 27: a close during attach came out as MessageHandlerError, without the reason."""
    error = codec.error("amqp:connection:forced", "the broker goes down", {"at": codec.string("noon")})
    with ScriptedServer(close_script(error, at)) as server, bounded(5):
        client = SendClient(url(server))
        message = Message(b"x")
        with pytest.raises(errors.ConnectionClose, match="the broker goes down") as caught:
            client.send_message(message)
        assert type(caught.value) is errors.ConnectionClose
        assert caught.value.condition == ErrorCodes.ConnectionCloseForced
        assert caught.value.info == {b"at": b"noon"}
        assert caught.value.action is not None
        assert caught.value.action.retry
        assert caught.value.message_fates == {message: "unknown" if at == "transfer" else "not sent"}
        for _ in range(2):  # and again, for whatever is called next
            with pytest.raises(errors.ConnectionClose, match="the broker goes down"):
                client.do_work()
        client.close()


@pytest.mark.parametrize("at", ["open", "begin", "attach", "idle"])
def test_the_reason_of_the_peers_close_surfaces_when_receiving(at: str) -> None:
    """Defect 27."""
    with ScriptedServer(close_script(codec.error("amqp:not-allowed", "not from there"), at)) as server, bounded(5):
        client = ReceiveClient(url(server))
        with pytest.raises(errors.ConnectionClose, match="not from there") as caught:
            client.receive_message_batch()
        assert caught.value.condition == ErrorCodes.NotAllowed
        assert caught.value.action is not None
        assert not caught.value.action.retry
        client.close()


@pytest.mark.parametrize(
    ("error", "kind", "condition"),
    [
        (None, errors.ConnectionClose, ErrorCodes.UnknownError),
        (codec.error("com.vendor:own"), errors.VendorConnectionClose, b"com.vendor:own"),
        (
            codec.error("amqp:connection:redirect", "elsewhere"),
            errors.ConnectionRedirect,
            ErrorCodes.ConnectionRedirect,
        ),
    ],
    ids=["none", "vendor", "redirect"],
)
def test_what_a_close_becomes(error: Any, kind: type[Any], condition: Any) -> None:
    """Defect 29 too: a redirect without info."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.send("close", error=error)
        peer.expect("close")

    with ScriptedServer(script) as server, bounded(5):
        connection = connect(server)
        connection.start()
        with pytest.raises(kind) as caught:
            until(lambda: False, lambda: connection.sleep(0.05))
        assert type(caught.value) is kind
        assert caught.value.condition == condition
        with pytest.raises(kind):
            connection.work()
        connection.destroy()


def test_a_close_in_the_middle_of_the_open_is_a_close() -> None:
    """A broker refuses a virtual host by an open and a close."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.expect_header("AMQP")
        peer.send_header("AMQP")
        peer.expect("open", hostname="127.0.0.1")
        peer.send("open", container_id="peer", properties={"amqp:connection-establishment-failed": True})
        peer.send(
            "close", error=codec.error("amqp:invalid-field", "no such host", {"invalid-field": codec.sym("hostname")})
        )
        peer.ignore("begin")
        peer.expect("close")

    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.ConnectionClose, match="no such host"):
            client.send_message(Message(b"x"))
        client.close()


def test_a_broker_that_ends_is_heard_by_all_clients_of_a_connection(broker: Broker) -> None:
    with Connection("127.0.0.1", plain(broker)) as connection:
        sender, receiver = SendClient(broker.url + "/a"), ReceiveClient(broker.url + "/b")
        for client in (sender, receiver):
            client.open(connection=connection)
            until(client.client_ready, lambda: None)
        broker.close_connections("amqp:connection:forced", "bye")
        for step in (sender.do_work, receiver.receive_message_batch):
            with pytest.raises(errors.ConnectionClose, match="bye"):
                until(lambda: False, step)
        sender.close()
        receiver.close()


# -- SASL


@pytest.mark.parametrize(
    ("code", "condition", "retry"),
    [
        (1, ErrorCodes.UnauthorizedAccess, False),
        (2, ErrorCodes.InternalServerError, True),
        (3, ErrorCodes.NotAllowed, False),
        (4, ErrorCodes.InternalServerError, True),
    ],
    ids=["auth", "sys", "sys-perm", "sys-temp"],
)
def test_a_refused_login_is_clear(code: int, condition: ErrorCodes, retry: bool) -> None:
    """Defect 27: it looked like any broken connection ("unexpected error state"), and always retryable."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(["PLAIN"], code=code)

    with ScriptedServer(script) as server, bounded(5):
        auth = authentication.SASLPlain("127.0.0.1", "me", "the secret", port=server.port, use_tls=False)
        client = SendClient(url(server), auth=auth)
        with pytest.raises(errors.ConnectionClose, match="SASL PLAIN") as caught:
            client.send_message(Message(b"x"))
        assert caught.value.condition == condition
        assert caught.value.action is not None
        assert caught.value.action.retry is retry
        assert "the secret" not in str(caught.value) + repr(caught.value)
        client.close()


def test_a_mechanism_that_the_server_lacks_is_named() -> None:
    def script(peer: SocketPeer) -> None:
        peer.expect_header("SASL")
        peer.send_header("SASL")
        peer.send("sasl_mechanisms", sasl_server_mechanisms=["GSSAPI", "SCRAM-SHA-256"])
        peer.expect_eof()

    with ScriptedServer(script) as server, bounded(5):
        auth = authentication.SASLPlain("127.0.0.1", "me", "pw", port=server.port, use_tls=False)
        client = ReceiveClient(url(server), auth=auth)
        with pytest.raises(errors.ConnectionClose, match="SCRAM-SHA-256") as caught:
            client.receive_message_batch()
        assert "PLAIN" in str(caught.value)
        assert caught.value.condition == ErrorCodes.UnauthorizedAccess
        client.close()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["PLAIN", "MSSBCBS", "ANONYMOUS"], "MSSBCBS"), (["ANONYMOUS", "PLAIN"], "ANONYMOUS")],
)
def test_plain_auth_falls_back_to_anonymous(offered: list[str], chosen: str) -> None:
    """Contract 8.4: MSSBCBS, or ANONYMOUS where a generic broker lacks that."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(offered, expect_mechanism=chosen)
        peer.accept_open()
        peer.accept_close()

    with ScriptedServer(script) as server:
        auth = authentication.AMQPAuth("127.0.0.1", port=server.port, use_tls=False)
        connection = Connection("127.0.0.1", auth)
        connection.start()
        until(lambda: connection._state is ConnectionState.OPENED, connection.work)
        connection.destroy()


def test_what_plain_sends() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(["PLAIN"], expect_mechanism="PLAIN", expect_response="\0usér\0pä:ß".encode())
        peer.accept_open()
        peer.accept_close()

    with ScriptedServer(script) as server:
        auth = authentication.SASLPlain("127.0.0.1", "usér", "pä:ß".encode(), port=server.port, use_tls=False)
        connection = Connection("127.0.0.1", auth)
        connection.start()
        until(lambda: connection._state is ConnectionState.OPENED, connection.work)
        connection.destroy()


# -- the lock


@pytest.mark.blocking("the lock is for threads; with asyncio it is for tasks")
def test_a_lock_that_is_held_elsewhere_times_out() -> None:
    """Defect 13: after the time-out the lock was released, though another thread held it."""
    connection = Connection("h", authentication.SASLAnonymous("h"))
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        connection.lock()
        holds.set()
        done.wait(10)
        connection.release()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holds.wait(10)
    with bounded(2), pytest.raises(TimeoutError, match="Failed to acquire connection lock"):
        connection.lock(timeout=0.05)
    connection.release()  # not ours: nothing happens
    with pytest.raises(TimeoutError):
        connection.lock(timeout=0.01)
    done.set()
    holder.join()
    connection.lock(timeout=1)
    connection.release()
    connection.release()  # not locked: nothing happens


@pytest.mark.blocking("the lock is for threads; with asyncio it is for tasks")
def test_the_lock_keeps_other_threads_out(broker: Broker) -> None:
    """Defect 13: who holds the lock has the connection to himself."""
    connection = Connection("127.0.0.1", plain(broker))
    connection.start()
    until(lambda: connection._state is ConnectionState.OPENED, connection.work)
    worked = threading.Event()

    def work() -> None:
        connection.work()
        worked.set()

    connection.lock()
    worker = threading.Thread(target=work)
    worker.start()
    assert not worked.wait(0.1)
    connection.release()
    assert worked.wait(5)
    worker.join()
    connection.destroy()


def test_sleeping_does_the_connections_work(broker: Broker) -> None:
    connection = Connection("127.0.0.1", plain(broker))
    connection.start()
    until(lambda: connection._state is ConnectionState.OPENED, lambda: connection.sleep(0.1))
    connection.destroy()


# -- sharing


def test_clients_share_a_connection() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        settle(peer, peer.expect("transfer"))
        peer.accept_begin(channel=1)
        came = peer.accept_attach(RECEIVER)
        assert came.channel == 1
        peer.expect("flow", channel=1)
        peer.accept_detach(channel=0)
        peer.accept_end(channel=0)
        peer.accept_detach(channel=1)
        peer.accept_end(channel=1)
        peer.expect_nothing(0.1)
        peer.tell("still open")
        peer.accept_close()

    with ScriptedServer(script) as server, connect(server) as connection:
        sender, receiver = SendClient(url(server)), ReceiveClient(url(server))
        sender.open(connection=connection)
        assert sender._auth is connection.auth
        sender.send_message(Message(b"x"))
        receiver.open(connection=connection)
        until(receiver.client_ready, lambda: None)
        sender.close()
        receiver.close()
        server.wait("still open")
        connection.work()


def test_a_link_error_does_not_stick_to_the_session_or_connection() -> None:
    """Defect 41: what befell one link was raised by all later ones."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.refuse_attach(codec.error("amqp:not-found", "no such queue"))
        peer.expect("detach")
        peer.ignore("end")
        peer.accept_begin(channel=1)
        came = peer.accept_attach(SENDER)
        assert came.channel == 1
        peer.grant(5, channel=1)
        settle(peer, peer.expect("transfer"), channel=1)
        peer.accept_detach(channel=1)
        peer.accept_close()

    with ScriptedServer(script) as server, connect(server) as connection:
        refused, fine = SendClient(url(server, "none")), SendClient(url(server))
        refused.open(connection=connection)
        with pytest.raises(errors.LinkDetach, match="no such queue"):
            refused.send_message(Message(b"x"))
        fine.open(connection=connection)
        fine.send_message(Message(b"y"))
        refused.close()
        fine.close()


# -- where to


def test_the_urls_port_is_used(broker: Broker) -> None:
    """Defect 34: the port of a URL was ignored."""
    client = SendClient(f"amqp://127.0.0.1:{broker.port}/q")
    client.send_message(Message(b"x"), close_on_done=True)
    assert broker.queue("q").depth == 1


def test_the_auths_port_comes_before_the_urls(broker: Broker) -> None:
    client = SendClient("amqp://127.0.0.1:1/q", auth=plain(broker))
    client.send_message(Message(b"x"), close_on_done=True)
    assert broker.queue("q").depth == 1


def test_the_auths_host_is_where_it_goes_and_the_address_what_it_says() -> None:
    """Contract 8.1: a custom endpoint."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open({"hostname": "namespace.example"})
        peer.accept_begin()
        accept_sender(peer, session=False)
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = SendClient("amqp://namespace.example/q", auth=plain(server))
        client.open()
        until(client.client_ready, lambda: None)
        client.close()


def test_ipv6_addresses() -> None:
    """Defect 34: an IPv6 address lost its brackets."""
    with Broker("::1") as broker:
        assert broker.url.startswith("amqp://[::1]:")
        with SendClient(broker.url + "/q") as client:
            client.send_message(Message(b"x"))
        with ReceiveClient(f"amqp://[::1]:{broker.port}/q") as receiver:
            assert len(receiver.receive_message_batch(timeout=5000)) == 1
            assert receiver._hostname == "::1"


def test_non_ascii_addresses() -> None:
    """Defect 34: a path that isn't ASCII crashed."""

    def script(peer: SocketPeer) -> None:
        came = accept_sender(peer)
        assert came["target"]["address"] == "größe/列"
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        SendClient(url(server, "größe/列")).send_message(Message(b"x"), close_on_done=True)


def test_a_url_of_a_host_alone_will_do_for_a_client() -> None:
    """Defect 34: azure-servicebus's session browser passes amqps://host."""
    assert AMQPClient("amqps://host.example")._hostname == "host.example"


@pytest.mark.parametrize("address", ["q", "/q", "amqps:///q", "queue://q"])
def test_an_address_without_a_host_is_refused(address: str) -> None:
    for kind in (SendClient, ReceiveClient):
        with pytest.raises(ValueError, match="host"):
            kind(address)


def test_amqps_means_tls() -> None:
    with pytest.raises(ValueError, match="amqps"):
        SendClient("amqps://h/q", auth=authentication.SASLAnonymous("h", use_tls=False))
    assert SendClient("amqps://h/q")._auth.use_tls
    assert SendClient("sb://h/q")._auth.use_tls
    assert not SendClient("amqp://h/q")._auth.use_tls
    assert SendClient("amqp://h/q", auth=authentication.SASLAnonymous("h"))._auth.use_tls


# -- redirects


def test_a_redirected_connection_goes_elsewhere() -> None:
    def first(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open({"properties": ABSENT, "container_id": "me", "idle_time_out": 9000})
        peer.accept_close()

    def second(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open({"hostname": "other", "container_id": "me", "idle_time_out": 9000})
        peer.accept_close()

    with ScriptedServer(first) as one, ScriptedServer(second) as two:
        connection = connect(one, container_id="me", idle_timeout=9000)
        connection.start()
        until(lambda: connection._state is ConnectionState.OPENED, connection.work)
        redirect = errors.LinkRedirect(ErrorCodes.LinkRedirect, info={b"hostname": b"127.0.0.1"})
        fresh = plain(two)
        connection.redirect(redirect, fresh)  # we are there already
        assert not fresh.consumed
        redirect = errors.LinkRedirect(ErrorCodes.LinkRedirect, info={b"hostname": b"other"})
        with pytest.raises(ValueError, match="consumed"):
            connection.redirect(redirect, connection.auth)
        connection.redirect(redirect, fresh)
        assert connection.hostname == b"other"
        connection.start()
        until(lambda: connection._state is ConnectionState.OPENED, connection.work)
        connection.destroy()


def test_a_redirect_that_names_no_host_is_refused() -> None:
    connection = Connection("h", authentication.SASLAnonymous("h"))
    with pytest.raises(ValueError, match="host"):
        connection.redirect(errors.LinkRedirect(ErrorCodes.LinkRedirect), authentication.SASLAnonymous("h"))


def test_a_client_on_a_shared_connection_is_not_redirected(broker: Broker) -> None:
    redirect = errors.LinkRedirect(ErrorCodes.LinkRedirect, info={b"hostname": b"other", b"address": b"amqp://other/q"})
    with Connection("127.0.0.1", plain(broker)) as connection:
        for kind in (SendClient, ReceiveClient):
            client = kind(broker.url + "/q")
            client.open(connection=connection)
            with pytest.raises(ValueError, match="shared connection cannot be automatically redirected"):
                client.redirect(redirect, plain(broker))
            client.close()


# -- the log


def test_frames_are_traced_where_debug_says_so(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "uamqp")
    for debug in (False, True):
        caplog.clear()
        with SendClient(broker.url + "/q", debug=debug) as client:
            client.send_message(Message(b"x"))
        assert ("ATTACH" in caplog.text.upper().replace("ON_ATTACH", "")) is debug
