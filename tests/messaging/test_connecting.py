"""The rules of connecting: what is raised when it fails, who is told what, sessions, and what goes over the wire."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import warnings
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.certs import Certificates
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, fill, stored, url_of
from tests.support.scripts import accept_session
from uamqp.messaging import (
    Accepted,
    Anonymous,
    AuthenticationFailed,
    ClosedError,
    ConfigurationError,
    ConnectFailed,
    ConnectionClosed,
    ConnectionForced,
    ConnectionLost,
    ConnectionRedirected,
    External,
    LinkRedirected,
    LinkRefused,
    LinkStolen,
    NodeNotFound,
    OperationTimeout,
    OutcomeUnknown,
    Plain,
    SessionEnded,
    Timeouts,
    UsageError,
    WrongLoopError,
)
from uamqp.testing import Broker, connection_redirect, error, link_redirect

pytestmark = both_faces


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# -- attempts


def test_what_each_host_said_first(face: Face) -> None:
    with Broker() as refusing, Broker() as closing:
        refusing.faults.refuse_open = error("amqp:resource-limit-exceeded", "full")
        closing.faults.refuse_connections = True
        ports = [closed_port(), refusing.port, closing.port]
        url = "amqp://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        with pytest.raises(ConnectFailed, match=r"no host could be connected to: .*full") as caught:
            face.go(lambda: face.connect(url))
        attempts = caught.value.attempts
        assert [endpoint for endpoint, _ in attempts] == [f"127.0.0.1:{port}" for port in ports]
        assert [type(each) for _, each in attempts] == [ConnectFailed, ConnectionClosed, ConnectFailed]
        assert all(each.is_temporary for _, each in attempts)
        assert caught.value.is_temporary


def test_a_permanent_failure_is_raised_as_itself_and_no_other_host_is_tried(face: Face) -> None:
    with Broker(users={"me": "right"}) as first, Broker() as second:
        url = f"amqp://me:wrong@127.0.0.1:{closed_port()},127.0.0.1:{first.port},127.0.0.1:{second.port}"
        with pytest.raises(AuthenticationFailed) as caught:
            face.go(lambda: face.connect(url))
        assert [type(each) for _, each in caught.value.attempts] == [ConnectFailed, AuthenticationFailed]
        assert caught.value.attempts[-1][0] == f"127.0.0.1:{first.port}"
        assert not caught.value.is_temporary
        assert not second.connections


@pytest.mark.parametrize(
    ("condition", "kind", "is_temporary"),
    [
        ("amqp:connection:forced", ConnectionForced, True),
        ("amqp:not-allowed", ConnectionClosed, False),
        ("amqp:unauthorized-access", AuthenticationFailed, False),
    ],
)
def test_a_connection_that_the_peer_does_not_want(
    face: Face, broker: Broker, condition: str, kind: type[Exception], is_temporary: bool
) -> None:
    broker.faults.refuse_open = error(condition, "no")
    with pytest.raises(kind, match=r"refused the connection to .*: no") as caught:
        face.go(lambda: face.connect(broker.url))
    found: Any = caught.value
    assert (found.condition, found.is_temporary, len(found.attempts)) == (condition, is_temporary, 1)


def test_a_redirect_is_an_error_that_says_where_to(face: Face, broker: Broker) -> None:
    broker.faults.refuse_open = connection_redirect("other.example", 5671, "virtual.example")
    with pytest.raises(ConnectionRedirected, match=r"It is at 'other\.example', port 5671") as caught:
        face.go(lambda: face.connect(broker.url))
    found = caught.value
    assert (found.host, found.port, found.hostname) == ("other.example", 5671, "virtual.example")


def test_an_open_connection_may_be_redirected_and_so_may_a_link(face: Face, broker: Broker) -> None:
    broker.faults.refuse_attach = lambda address, sends: link_redirect("other.example", 5671, "q2", "virtual.example")
    with connected(face, broker) as connection:
        with pytest.raises(LinkRedirected, match=r"It is at 'other\.example', port 5671") as caught:
            face.go(lambda: connection.open_sender("q"))
        found = caught.value
        assert (found.host, found.port, found.hostname, found.address) == (
            "other.example",
            5671,
            "virtual.example",
            "q2",
        )
        broker.close_connections("amqp:connection:redirect", info={"network-host": "third.example", "port": 5672})
        becomes(face, lambda: connection.state == "failed")
        with pytest.raises(ConnectionRedirected) as moved:
            face.go(connection.wait_open)
        assert (moved.value.host, moved.value.port) == ("third.example", 5672)


@pytest.mark.parametrize("silent", ["header", "sasl", "open"])
def test_a_peer_that_says_nothing(face: Face, broker: Broker, clock: Clock, silent: str) -> None:
    broker.faults.silent = {silent}
    opening = face.spawn(lambda: face.connect(broker.url, timeouts=Timeouts(open=20)))
    becomes(face, lambda: connecting(broker))
    clock.stand_until(lambda: True, 21)
    with pytest.raises(ConnectFailed) as caught:
        opening.result()
    assert caught.value.is_temporary


def connecting(broker: Broker) -> bool:
    """Whether the broker has a socket."""
    return broker.call(lambda server: bool(server.connections))


@pytest.mark.xfail(strict=True, reason="it has the time to open, in uamqp.sync, or both together")
def test_tls_has_the_time_to_connect(face: Face, clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # which accepts nobody, so that nobody answers
        url = f"amqps://127.0.0.1:{listener.getsockname()[1]}"
        opening = face.spawn(lambda: face.connect(url, timeouts=Timeouts(connect=20, open=1000)))
        clock.stand_until(lambda: True, 21)
        becomes(face, lambda: opening.done, 1.0)
        with pytest.raises(ConnectFailed):
            opening.result()


# -- credentials


def test_a_password_goes_in_the_clear_only_if_it_may(face: Face) -> None:
    with Broker(users={"me": "pw"}) as broker:
        better_and_worse = [External(), Plain("me", "pw")]
        with pytest.raises(AuthenticationFailed, match="no common SASL mechanism"):
            face.go(lambda: face.connect(broker.url, credentials=better_and_worse))
        allowed = [External(), Plain("me", "pw", allow_plaintext=True)]
        with connected(face, broker, credentials=allowed):
            assert [(view.user, view.mechanism) for view in broker.connections] == [("me", "PLAIN")]
        with connected(face, broker, credentials=Plain("me", "pw")):  # there is nothing better
            assert [view.mechanism for view in broker.connections] == ["PLAIN"]


def test_a_password_goes_over_tls_beside_something_better(face: Face, certificates: Certificates) -> None:
    with Broker(users={"me": "pw"}, tls=certificates.server_context()) as broker:
        credentials = [External(), Plain("me", "pw")]
        url = f"amqps://127.0.0.1:{broker.port}"
        with face.open(lambda: face.connect(url, tls=certificates.client_context(), credentials=credentials)):
            assert [view.mechanism for view in broker.connections] == ["PLAIN"]


def test_a_password_is_never_sent_after_something_better_was_refused(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(("EXTERNAL", "PLAIN"), expect_mechanism="EXTERNAL", code=1)
        peer.expect_eof()

    with ScriptedServer(script) as server:
        credentials = [External(), Plain("me", "pw", allow_plaintext=True)]
        with pytest.raises(AuthenticationFailed):
            face.go(lambda: face.connect(url_of(server), credentials=credentials))


def test_the_best_that_both_know_is_taken(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl(("ANONYMOUS", "PLAIN"), expect_mechanism="PLAIN", expect_response=b"\0me\0pw")
        peer.accept_open()
        peer.accept_close()

    with ScriptedServer(script) as server:
        credentials = [Plain("me", "pw", allow_plaintext=True), Anonymous()]
        with connected(face, server, credentials=credentials):
            pass


def test_a_password_over_the_network_in_the_clear_is_told(
    face: Face, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: look_up("127.0.0.1", *rest, **more))
    with Broker(users={"me": "pw"}) as broker:
        for host in ("mq.example", "localhost"):
            url = f"amqp://{host}:{broker.port}"
            with face.open(lambda url=url: face.connect(url, credentials=Plain("me", "pw"))):  # type: ignore[misc]
                pass
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert "'mq.example' carries the user name and password" in told[0]


def test_functions_are_asked_for_each_attempt(face: Face) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("password")
        return "pw"

    with Broker(users={"me": "pw"}) as broker:
        url = f"amqp://127.0.0.1:{closed_port()},127.0.0.1:{broker.port}"
        with face.open(lambda: face.connect(url, credentials=Plain("me", password))) as connection:
            assert connection.stats().attempts == 2
    assert asked == ["password"] * 2


# -- names and time-outs on the wire


def test_idle_timeout_goes_out_as_it_is(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open({"idle_time_out": 30000, "container_id": "me", "hostname": "virtual", "max_frame_size": 1024})
        peer.accept_close()

    options = {"idle_timeout": 30, "container_id": "me", "hostname": "virtual", "max_frame_size": 1024}
    with ScriptedServer(script) as server, connected(face, server, **options):
        pass


def test_a_peer_that_falls_silent_is_given_up_after_twice_the_time(face: Face, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open({"idle_time_out": 10000})
        peer.ignore("empty")
        peer.tell("open")
        peer.wait("long enough")
        peer.stay_silent(6)
        peer.expect("close")
        peer.close_socket()

    with (
        ScriptedServer(script, clock=clock) as server,
        face.open(lambda: face.connect(url_of(server), idle_timeout=10)) as connection,
    ):
        clock.move(15)
        face.go(lambda: connection.wait_open(0))
        assert connection.state == "open"
        server.tell("long enough")
        becomes(face, lambda: connection.state == "failed")
        with pytest.raises(ConnectionLost, match="was lost"):
            face.go(connection.wait_open)


def test_what_the_peer_says_of_itself(face: Face, broker: Broker) -> None:
    with connected(face, broker) as connection:
        remote = connection.remote
        assert remote.container_id == "uamqp-testing-broker"
        assert (remote.max_frame_size, remote.channel_max) == (65536, 1023)
        (view,) = broker.connections
        assert str(view.properties["product"]) == "uamqp"


# -- events


def test_what_happens_to_a_connection(face: Face, broker: Broker) -> None:
    told: list[Any] = []
    with connected(face, broker, on_event=told.append) as connection:
        first, second = (face.go(connection.events) for _ in range(2))
        sender = face.go(lambda: connection.open_sender("q"))
        broker.detach_links("q", "amqp:resource-deleted", "gone")
        becomes(face, lambda: sender.state == "failed")
    events = face.go(lambda: rest_of(face, first))
    assert [event.kind for event in events] == ["link_lost", "closed"]
    lost, closed = events
    assert (lost.subject, lost.error.condition, lost.state) == (sender, "amqp:resource-deleted", "open")
    assert (closed.previous, closed.state, closed.error, closed.subject) == ("closing", "closed", None, None)
    assert closed.endpoint == f"127.0.0.1:{broker.port}"
    assert face.go(lambda: rest_of(face, second)) == events
    assert face.go(lambda: rest_of(face, connection.events())) == []
    becomes(face, lambda: len(told) == 3)
    assert [event.kind for event in told] == ["opened", "link_lost", "closed"]
    assert (told[0].previous, told[0].state) == ("connecting", "open")


def rest_of(face: Face, events: Any) -> Any:
    async def asynchronously() -> list[Any]:
        return [event async for event in events]

    return list(events) if face.name == "sync" else asynchronously()


def test_events_come_to_whoever_waits_for_them(face: Face, broker: Broker) -> None:
    with connected(face, broker) as connection:
        events = face.go(connection.events)
        waiting = face.spawn(lambda: rest_of(face, events))
        broker.close_connections("amqp:connection:forced", "bye")
        (failed,) = waiting.result()
        assert (failed.kind, failed.previous, failed.state) == ("failed", "open", "failed")
        assert isinstance(failed.error, ConnectionForced)


def test_a_connection_that_could_not_be_opened_says_so(face: Face) -> None:
    told: list[Any] = []
    with pytest.raises(ConnectFailed):
        face.go(lambda: face.connect(f"amqp://127.0.0.1:{closed_port()}", on_event=told.append))
    becomes(face, lambda: len(told) == 1)
    assert (told[0].kind, told[0].previous, type(told[0].error)) == ("failed", "connecting", ConnectFailed)


def test_exceptions_of_the_programs_are_logged(face: Face, broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Any) -> None:
        raise LookupError(f"of the program's: {getattr(event, 'kind', 'delivery')}")

    with connected(face, broker, on_event=fail) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        delivery = face.go(lambda: sender.submit_nowait("x"))
        face.go(lambda: delivery.add_done_callback(fail))
        face.wait(delivery)
        face.go(lambda: delivery.add_done_callback(fail))
        face.go(lambda: sender.send("y"))
    becomes(face, lambda: len(logged(caplog)) == 4)
    assert sorted(logged(caplog)) == [
        f"of the program's: {each}" for each in ("closed", "delivery", "delivery", "opened")
    ]
    assert stored(broker) == ["x", "y"]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.exc_info[1]) for record in caplog.records if record.exc_info]


# -- links and sessions


def test_a_link_that_fails_fails_alone(face: Face, broker: Broker) -> None:
    fill(broker, 2)
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q2"))
        receiver = face.go(lambda: connection.open_receiver("q"))
        broker.faults.refuse_attach = lambda address, sends: error("amqp:not-found") if address == "none" else None
        for _ in range(3):
            with pytest.raises(NodeNotFound):
                face.go(lambda: connection.open_receiver("none"))
        broker.detach_links("q2", "amqp:resource-deleted")
        becomes(face, lambda: sender.state == "failed")
        assert (connection.state, receiver.state) == ("open", "open")
        assert face.go(receiver.receive).body == 0
        with face.open(lambda: connection.open_sender("q2")) as another:
            face.go(lambda: another.send("x"))


def test_the_end_of_a_session_while_a_link_is_opened_is_its_refusal(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin()
        peer.accept_attach()
        channel = peer.accept_begin().channel
        peer.expect("attach")
        peer.send("end", channel=channel, error=codec.error("amqp:not-found", "no queue 'none'"))
        peer.expect("end", channel=channel)
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, connected(face, server) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        with pytest.raises(NodeNotFound, match="no queue 'none'"):
            face.go(lambda: connection.open_sender("none"))
        assert (sender.state, connection.stats().senders) == ("open", 1)


def sessions_of(broker: Broker) -> int:
    """How many sessions the connections have."""
    return broker.call(lambda server: sum(len(each.engine.sessions) for each in server.connections))


def test_links_share_sessions_beyond_half_of_what_the_peer_allows(face: Face) -> None:
    with Broker(channel_max=7) as broker, connected(face, broker) as connection:
        opening = [face.spawn(lambda number=number: connection.open_receiver(f"q{number}")) for number in range(20)]  # type: ignore[misc]
        receivers = [each.result() for each in opening]
        assert sessions_of(broker) == 4
        assert all(receiver.state == "open" for receiver in receivers)
        own = face.go(connection.open_session)  # there is room for the program's own
        assert sessions_of(broker) == 5
        face.go(own.close)
        for receiver in receivers:
            face.go(receiver.close)
        broker.wait_for(lambda: not any(each.engine.sessions for each in broker._server.connections))


def test_links_one_after_the_other_use_sessions_again(face: Face) -> None:
    with Broker(channel_max=3) as broker, connected(face, broker) as connection:
        for number in range(20):
            with face.open(lambda: connection.open_sender("q")) as sender:
                face.go(lambda sender=sender, number=number: sender.send(number))  # type: ignore[misc]
            with pytest.raises(ConfigurationError):
                face.go(lambda: connection.open_sender("q", max_pending=0))
        assert stored(broker) == list(range(20))
        assert connection.stats().sent.accepted == 20


def test_sessions_that_were_closed_count_no_more(face: Face) -> None:
    with Broker(channel_max=0) as broker, connected(face, broker) as connection:
        for number in range(10):
            with face.open(lambda: connection.open_sender("q")) as sender:
                face.go(lambda sender=sender, number=number: sender.send(number))  # type: ignore[misc]
            with face.open(connection.open_session) as session:
                assert session.is_open
        assert stored(broker) == list(range(10))


def test_more_sessions_than_the_peer_allows(face: Face) -> None:
    with Broker(channel_max=1) as broker, connected(face, broker) as connection:
        sessions = [face.go(connection.open_session) for _ in range(2)]
        with pytest.raises(SessionEnded, match="allows only 2 sessions"):
            face.go(connection.open_session)
        with pytest.raises(LinkRefused, match="allows only 2 sessions"):
            face.go(lambda: connection.open_sender("q"))
        with face.open(lambda: sessions[0].open_sender("q")) as sender:
            face.go(lambda: sender.send("x"))
        assert all(session.is_open for session in sessions)
        for wrong in ({"incoming_window": 0}, {"outgoing_window": 2**32}):
            with pytest.raises(ConfigurationError, match="window"):
                face.go(lambda wrong=wrong: connection.open_session(**wrong))  # type: ignore[misc]


def test_a_session_that_the_peer_ends(face: Face, broker: Broker) -> None:
    with connected(face, broker) as connection:
        session = face.go(connection.open_session)
        sender = face.go(lambda: session.open_sender("q"))
        broker.end_sessions("amqp:internal-error", "oops")
        becomes(face, lambda: sender.state == "failed")
        assert not session.is_open
        with pytest.raises(Exception, match="oops"):
            face.go(lambda: sender.send("x"))
        with pytest.raises((ClosedError, SessionEnded)):
            face.go(lambda: session.open_sender("q"))
        assert connection.state == "open"
        face.go(session.close)
    broker.faults.refuse_begin = error("amqp:not-allowed", "none")
    with connected(face, broker) as connection:
        with pytest.raises(SessionEnded, match="none"):
            face.go(connection.open_session)
        assert connection.state == "open"


def test_a_link_that_is_not_opened_in_time(face: Face, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach")
        peer.tell("attaching")
        peer.expect("detach")
        peer.tell("detached")
        peer.expect("end")
        peer.accept_close()

    with ScriptedServer(script) as server, connected(face, server, timeouts=Timeouts(link=20)) as connection:
        opening = face.spawn(lambda: connection.open_sender("q"))
        server.wait("attaching")
        clock.stand_until(lambda: True, 21)
        with pytest.raises(OperationTimeout, match="sender to 'q' couldn't be opened in time"):
            opening.result()
        server.wait("detached")
        assert connection.state == "open"


def test_containers_of_one_name_may_steal_links(face: Face) -> None:
    with (
        Broker(steal_links=True) as broker,
        connected(face, broker, container_id="me") as first,
        connected(face, broker, container_id="me") as second,
    ):
        mine = face.go(lambda: first.open_receiver("q", name="n"))
        waiting = face.spawn(mine.receive)
        face.go(lambda: second.open_receiver("q", name="n"))
        with pytest.raises(LinkStolen) as caught:
            waiting.result()
        assert not caught.value.is_temporary
        assert (first.state, second.state) == ("open", "open")


def test_counters(face: Face, broker: Broker) -> None:
    fill(broker, 3)
    with connected(face, broker) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        sender = face.go(lambda: connection.open_sender("q2"))
        face.go(lambda: sender.send("x"))
        messages = face.go(lambda: receiver.receive_many(3, minimum=3))
        face.go(lambda: receiver.accept(messages[:2]))
        face.go(sender.close)
        found = connection.stats()
        assert (found.attempts, found.senders, found.receivers) == (1, 0, 1)
        assert (found.sent.taken, found.sent.accepted) == (1, 1)  # of a sender that is gone
        received = found.received
        assert (received.received, received.settled, received.unsettled, received.buffered) == (3, 2, 1, 0)
        assert receiver.stats() == received


def test_counters_of_what_was_lost(face: Face, broker: Broker) -> None:
    broker.faults.withhold_outcomes = True
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        delivery = face.go(lambda: sender.submit_nowait("x"))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        assert (connection.stats().sent.pending, connection.stats().senders) == (1, 1)
        broker.detach_links("q")
        becomes(face, lambda: delivery.done)
        found = connection.stats()
        assert (found.senders, found.sent.unknown, found.sent.pending, found.sent.pending_bytes) == (0, 1, 0, 0)
        assert isinstance(delivery.error, OutcomeUnknown)


def test_sessions_that_come_and_go_take_channels_that_none_has_used(face: Face, broker: Broker) -> None:
    """RabbitMQ 4 loses some begins on a channel whose session has just ended."""
    channels: list[int] = []
    with connected(face, broker) as connection:
        for _ in range(3):
            with face.open(lambda: connection.open_sender("q")) as sender:
                channels.append(sender._session.endpoint.channel)
        session = face.go(connection.open_session)
        channels.append(session._core.endpoint.channel)
    assert channels == [0, 1, 2, 3]


def test_links_that_wait_for_one_another_fail_with_the_connection(face: Face) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach")
        peer.tell("attaching")
        peer.wait("others wait")
        peer.reset_socket()

    with ScriptedServer(script) as server, connected(face, server) as connection:
        session = face.go(connection.open_session)
        first = face.spawn(lambda: session.open_sender("q"))
        server.wait("attaching")
        others = [face.spawn(lambda: session.open_receiver("q")) for _ in range(8)]
        server.tell("others wait")
        for each in (first, *others):
            with pytest.raises(ConnectionLost):
                each.result()


def test_a_callback_may_use_the_connection(face: Face, broker: Broker) -> None:
    def go_on(delivery: Any) -> None:
        outcomes.append(delivery.outcome)
        if len(outcomes) < 5:
            sender.submit_nowait("next").add_done_callback(go_on)
        elif face.name == "sync":
            sender.send("last")  # waits, in the thread that drives
            connection.close()

    outcomes: list[Any] = []
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        face.go(lambda: sender.submit_nowait("first").add_done_callback(go_on))
        becomes(face, lambda: len(outcomes) == 5)
        if face.name == "sync":
            becomes(face, lambda: connection.state == "closed")
    assert outcomes == [Accepted()] * 5
    assert broker.queue("q").depth == (6 if face.name == "sync" else 5)


# -- what nobody waits for or closes


def test_an_opening_is_used_once(face: Face, broker: Broker) -> None:
    async def use_twice() -> None:
        opening = face.connect(broker.url)
        async with opening as connection:
            assert connection.state == "open"
            with pytest.raises(UsageError, match="awaited or entered already"):
                await opening
            with pytest.raises(UsageError, match="awaited or entered already"):
                await opening.__aenter__()
        assert connection.state == "closed"
        async with await face.connect(broker.url) as connection:  # what is open is a context manager as well
            async with await connection.open_sender("q") as sender:
                await sender.send("x")
        assert sender.state == "closed"

    if face.name == "aio":  # there are none in the other
        face.go(use_twice)
        broker.wait_for(lambda: not broker.connections)


def test_an_opening_that_nobody_awaits(face: Face, broker: Broker) -> None:
    if face.name == "sync":
        return  # there are none
    with connected(face, broker) as connection:
        for begin in (lambda: face.connect(broker.url), lambda: connection.open_sender("q"), connection.open_session):
            with pytest.warns(RuntimeWarning, match="nothing was opened: .* has to be awaited"):
                face.go(lambda begin=begin: forget(begin))  # type: ignore[misc]
        assert connection.stats().senders == 0


def forget(begin: Any) -> None:
    begin()
    gc.collect()


def test_a_connection_that_nobody_closes(face: Face, broker: Broker) -> None:
    async def lose() -> None:
        connection = await face.connect(broker.url)
        await connection.open_sender("q")

    def lose_in_a_thread() -> None:
        face.connect(broker.url).open_sender("q")

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        face.go(lose if face.name == "aio" else lose_in_a_thread)
        becomes_gone(face, broker)
    told = [str(each.message) for each in caught if each.category is ResourceWarning]
    assert len(told) == 1
    assert "wasn't closed" in told[0]
    assert f"127.0.0.1:{broker.port}" in told[0]


def becomes_gone(face: Face, broker: Broker) -> None:
    becomes(face, lambda: gc.collect() >= 0 and not broker.connections)


def test_a_connection_belongs_to_its_loop(face: Face, broker: Broker) -> None:
    if face.name == "sync":
        return
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        receiver = face.go(lambda: connection.open_receiver("q"))
        delivery = face.go(lambda: sender.submit_nowait("x"))
        for way in (
            lambda: sender.send("x"),
            receiver.receive,
            connection.close,
            sender.close,
            connection.wait_open,
            lambda: opened_by(connection),
        ):
            with pytest.raises(WrongLoopError):
                asyncio.run(way())
        face.wait(delivery)
        assert (connection.state, sender.state) == ("open", "open")


async def opened_by(connection: Any) -> Any:
    return await connection.open_sender("q")
