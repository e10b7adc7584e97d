"""`Session`: settings, on_attach, its end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import accept_session, connect, url
from tests.support.waiting import bounded, until
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
from uamqp.constants import ErrorCodes, MessageSenderState
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

Attached = list[tuple[Any, Any, Any, Any]]


def noting(calls: Attached) -> Any:
    return lambda source, target, properties, error: calls.append((source, target, properties, error))


def bare() -> Connection:
    return Connection("h", SASLAnonymous("h"))


def test_settings() -> None:
    session = Session(bare(), incoming_window=5, outgoing_window=6, handle_max=7)
    assert (session.incoming_window, session.outgoing_window, session.handle_max) == (5, 6, 7)
    session.incoming_window, session.outgoing_window, session.handle_max = 8, 9, 10
    assert (session.incoming_window, session.outgoing_window, session.handle_max) == (8, 9, 10)
    plain = Session(bare())
    assert plain.handle_max == 4294967295
    assert plain.incoming_window > 1  # it was 1: a message at a time
    assert session._mgmt_links == {}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"incoming_window": -1}, ValueError),
        ({"incoming_window": 2**32}, ValueError),
        ({"incoming_window": "many"}, TypeError),
        ({"outgoing_window": -1}, ValueError),
        ({"outgoing_window": 1.5}, TypeError),
        ({"handle_max": -1}, ValueError),
        ({"handle_max": 2**32}, ValueError),
        ({"handle_max": "7"}, TypeError),
        ({"on_attach": "a function"}, TypeError),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind, match=next(iter(settings))):
        Session(bare(), **settings)


def test_what_is_no_connection_is_refused() -> None:
    with pytest.raises(TypeError, match=r"(?i)connection"):
        Session("amqp://h")  # type: ignore[arg-type]


def test_the_window_goes_down_with_what_comes(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", Message(b"%d" % number))
    with Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)) as connection:
        with Session(connection, incoming_window=1000) as session:
            got: list[Message] = []
            with MessageReceiver(session, Source("q"), "me", got.append):
                until(lambda: len(got) == 3, connection.work)
                assert 1 <= session.incoming_window <= 1000
                with pytest.raises(ValueError, match="incoming_window"):
                    session.incoming_window = 5


def test_a_small_incoming_window_is_renewed(broker: Broker) -> None:
    """Windows count transfer frames: a message of many of them needs the window several times over."""
    broker.put("q", Message(b"x" * 100_000))
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    with Connection("127.0.0.1", auth, max_frame_size=512) as connection:
        with Session(connection, incoming_window=3) as session:
            got: list[Message] = []
            with MessageReceiver(session, Source("q"), "me", got.append):
                until(lambda: bool(got), connection.work)
                assert b"".join(got[0].get_data()) == b"x" * 100_000


# -- on_attach


def test_on_attach_is_called_with_what_the_peer_answered() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(
            RECEIVER,
            source=codec.source(address=codec.string("amqps://h/q/real"), filter=None),
            properties={"com.x:entity": codec.uint(7), "text": codec.string("t")},
        )
        peer.ignore("flow")
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    calls: Attached = []
    with ScriptedServer(script) as server:
        client = ReceiveClient(url(server), on_attach=noting(calls))
        client.open()
        until(client.client_ready, lambda: None)
        client.close()
    ((source, target, properties, error),) = calls
    assert isinstance(source, Source)
    assert isinstance(target, Target)
    assert str(source) == "amqps://h/q/real"
    assert source.get_filter() is None
    assert properties == {b"com.x:entity": 7, b"text": b"t"}
    assert error is None


def test_on_attach_hears_of_a_refusal() -> None:
    """Contract 10: (None, None, properties, error); the reason comes with the detach."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.refuse_attach(codec.error("amqp:not-found", "no such queue"))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    calls: Attached = []
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server), on_attach=noting(calls))
        with pytest.raises(errors.LinkDetach, match="no such queue"):
            client.send_message(Message(b"x"))
        client.close()
    ((source, target, properties, error),) = calls
    assert (source, target, properties) == (None, None, None)
    assert isinstance(error, errors.AMQPConnectionError)
    assert str(error) == "ATTACH frame Source and/or Target is NULL"


def test_a_link_error_is_the_links_own() -> None:
    """Defect 41: it stuck to the session."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.refuse_attach(codec.error("amqp:not-found", "no such queue"))
        peer.expect("detach")
        peer.accept_attach(SENDER)
        peer.ignore("detach", "end")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5), connect(server) as connection:
        session = Session(connection)
        refused, fine = MessageSender(session, "me", Target("none")), MessageSender(session, "me", Target("q"))
        refused.open()
        with pytest.raises(errors.LinkDetach, match="no such queue"):
            until(lambda: refused.get_state() is MessageSenderState.Open, lambda: connection.sleep(0.01))
        fine.open()
        until(lambda: fine.get_state() is MessageSenderState.Open, lambda: connection.sleep(0.01))
        with pytest.raises(errors.LinkDetach):
            refused.get_state()
        session.destroy()


def test_a_callback_that_raises_harms_nothing(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    def on_attach(*_: Any) -> None:
        raise ValueError("the callback's own fault")

    with SendClient(broker.url + "/q", on_attach=on_attach) as client:
        client.send_message(Message(b"x"))
    assert "the callback's own fault" in caplog.text


# -- ends


def test_destroying_a_session_ends_it_and_its_links() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.ignore("detach")
        peer.accept_end()
        peer.tell("ended")
        peer.accept_close()

    with ScriptedServer(script) as server, connect(server) as connection:
        session = Session(connection)
        sender = MessageSender(session, "me", Target("q"))
        sender.open()
        until(lambda: sender.get_state() is MessageSenderState.Open, lambda: connection.sleep(0.01))
        session.destroy()
        session.destroy()
        server.wait("ended")
        connection.work()
        with pytest.raises(errors.AMQPConnectionError, match="session"):
            MessageSender(session, "me", Target("q")).open()


def test_several_sessions_and_links(broker: Broker) -> None:
    with Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)) as connection:
        sessions = [Session(connection) for _ in range(3)]
        senders = [MessageSender(session, "me", Target(f"q{n}")) for session in sessions for n in range(3)]
        for sender in senders:
            sender.open()
        until(lambda: all(s.get_state() is MessageSenderState.Open for s in senders), connection.work)
        results: list[Any] = []
        for sender in senders:
            assert sender.send(Message(b"x"), lambda message, result, delivery_state: results.append(result.name))
        until(lambda: len(results) == 9, connection.work)
        assert results == ["Ok"] * 9
        sessions[0].destroy()
        assert senders[3].get_state() is MessageSenderState.Open
    assert [broker.queue(f"q{n}").depth for n in range(3)] == [3, 3, 3]


@pytest.mark.parametrize(
    "error", [codec.error("amqp:session:window-violation", "too much"), None], ids=["error", "none"]
)
def test_the_peers_end_is_heard_by_the_link(error: Any) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.send("end", error=error)
        peer.expect("end")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        client.open()
        with pytest.raises(errors.LinkDetach, match="too much" if error else None) as caught:
            until(lambda: False, client.do_work)
        expected = ErrorCodes.SessionWindowViolation if error else ErrorCodes.UnknownError
        assert caught.value.condition == expected
        client.close()


def test_a_refused_session_says_why() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin()
        peer.send("end", error=codec.error("amqp:resource-limit-exceeded", "too many sessions"))
        peer.ignore("attach")
        peer.expect("end")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.LinkDetach, match="too many sessions"):
            client.send_message(Message(b"x"))
        client.close()


def test_more_sessions_than_the_peer_has_channels_for() -> None:
    """channel-max 0: one session."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(channel_max=0)
        peer.accept_begin()
        peer.accept_attach(SENDER)
        peer.ignore("detach", "end")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5), connect(server) as connection:
        first, second = SendClient(url(server)), SendClient(url(server))
        first.open(connection=connection)
        until(first.client_ready, lambda: None)
        second.open(connection=connection)
        with pytest.raises(errors.AMQPConnectionError, match="only 1 sessions"):
            until(second.client_ready, lambda: None)
        assert first.do_work()
