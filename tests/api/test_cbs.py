"""Claims-based security: tokens that are put, refused, renewed, and end. With both fronts."""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import decode_sections, section
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_session, settle
from tests.support.waiting import bounded, until
from uamqp import AMQPClient, Connection, Message, ReceiveClient, SendClient, errors
from uamqp.authentication import JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from uamqp.constants import CBSAuthStatus
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

KEY = "key name/1"


@pytest.fixture
def service() -> Iterator[Broker]:
    """A broker that wants tokens."""
    with Broker(cbs=True) as running:
        yield running


def uri(broker: Broker, node: str = "q") -> str:
    return f"amqp://127.0.0.1:{broker.port}/{node}"


def signed(broker: Broker, **settings: Any) -> Any:
    return SASTokenAuth.from_shared_access_key(uri(broker), KEY, "secret", port=broker.port, use_tls=False, **settings)


class Giver:
    """Gives tokens, and counts them."""

    def __init__(self, lifetime: float = 3600, same: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.lifetime = lifetime
        self.same = same
        self.clock = clock
        self.calls = 0
        self.error: BaseException | None = None

    def __call__(self) -> Any:
        self.calls += 1
        if self.error is not None:
            raise self.error
        number = 1 if self.same else self.calls
        return SimpleNamespace(token=f"token {number}", expires_on=self.clock() + self.lifetime)


def given(broker: Broker, giver: Any, **settings: Any) -> Any:
    return JWTTokenAuth(uri(broker), uri(broker), giver, port=broker.port, use_tls=False, **settings)


def keep_sending(client: Any) -> None:
    """Send until something is raised."""
    while True:
        client.send_message(Message(b"x"))


# -- the usual course


def test_a_signature_is_put_before_the_link_is_attached(service: Broker) -> None:
    with SendClient(uri(service), auth=signed(service)) as client:
        client.send_message(Message(b"x"))
        connection: Any = client._connection
        assert connection._cbs.get_status() is CBSAuthStatus.Complete
    (put,) = service.tokens.put
    assert put.audience == uri(service)
    assert put.type == "servicebus.windows.net:sastoken"
    assert put.token.startswith("SharedAccessSignature sr=amqp%3A%2F%2F127.0.0.1")
    assert "skn=key+name%2F1" in put.token
    assert put.expires_at == pytest.approx(time.time() + 3600, abs=10)
    assert service.queue("q").depth == 1
    with ReceiveClient(uri(service), auth=signed(service), timeout=5000) as receiver:
        assert [str(message) for message in receiver.receive_message_batch()] == ["x"]


def test_without_a_token_the_service_refuses(service: Broker) -> None:
    with SendClient(uri(service)) as client, pytest.raises(errors.LinkDetach, match="no token for 'q'"):
        client.send_message(Message(b"x"))


def test_a_given_token_is_asked_for_when_the_client_opens(service: Broker) -> None:
    giver = Giver()
    with SendClient(uri(service), auth=given(service, giver)) as client:
        assert giver.calls == 1
        client.send_message(Message(b"x"))
    assert [(put.type, put.token) for put in service.tokens.put] == [("jwt", "token 1")]
    assert "token 1" not in repr(service.tokens.put)


def test_polling_as_programs_of_1_6_do(service: Broker) -> None:
    client = SendClient(uri(service), auth=signed(service))
    client.queue_message(Message(b"x"))
    client.open()
    until(client.auth_complete, lambda: None)
    until(client.client_ready, lambda: None)
    until(lambda: not client.messages_pending(), client.do_work)
    client.close()
    assert service.queue("q").depth == 1


def test_clients_share_the_session_and_the_token_of_a_connection(service: Broker) -> None:
    auth = signed(service)
    connection = Connection("127.0.0.1", auth)
    sender, receiver = SendClient(uri(service)), ReceiveClient(uri(service), timeout=5000)
    sender.open(connection=connection)
    receiver.open(connection=connection)
    sender.send_message(Message(b"x"))
    assert [str(message) for message in receiver.receive_message_batch()] == ["x"]
    assert len(service.tokens.put) == 1
    sender.close()
    with pytest.raises(errors.AMQPConnectionError):
        sender.auth_complete()
    service.put("q", Message(b"y"))
    assert [str(message) for message in receiver.receive_message_batch()] == ["y"]
    receiver.close()
    assert len(service.connections) == 1
    connection.destroy()
    service.wait_for(lambda: service.connections == ())


def test_closing_before_the_answer(service: Broker) -> None:
    service.tokens.silent = True
    with bounded(5):
        client = SendClient(uri(service), auth=signed(service))
        client.open()
        assert client.auth_complete() is False
        client.close()
        client.close()
    service.wait_for(lambda: service.connections == ())


# -- renewal


def test_a_token_is_renewed_while_messages_flow(service: Broker, clock: Clock) -> None:
    giver = Giver(lifetime=400, clock=clock.wall)
    sent = 0
    with SendClient(uri(service), auth=given(service, giver, refresh_window=370)) as client, bounded(20):
        while len(service.tokens.put) < 3:
            client.send_message(Message(b"%d" % sent))
            clock.move(5)
            sent += 1
    assert sent > 3
    assert service.queue("q").depth == sent
    assert [put.token for put in service.tokens.put][:3] == ["token 1", "token 2", "token 3"]


def test_a_token_is_renewed_while_a_receiver_waits(service: Broker, clock: Clock) -> None:
    giver = Giver(lifetime=400, clock=clock.wall)
    arrived: list[str] = []
    auth = given(service, giver, refresh_window=350, timeout=0)
    client = ReceiveClient(uri(service), auth=auth, timeout=0)

    def take(message: Message) -> None:
        arrived.append(str(message))
        client._shutdown = True  # the loop ends

    pause = threading.Event()

    def send_later() -> None:
        service.wait_for(lambda: service.queue("q").consumers == 1)
        while len(service.tokens.put) < 3:
            clock.move(10)
            pause.wait(0.005)
        service.put("q", Message(b"late"))

    thread = threading.Thread(target=send_later)
    thread.start()
    with bounded(20):
        client.receive_messages(take)
    thread.join()
    assert arrived == ["late"]
    client.close()


def test_a_token_that_is_no_new_one_is_asked_for_again_later(service: Broker) -> None:
    giver = Giver(lifetime=3600, same=True)
    service.tokens.lifetime = 3600
    auth = given(service, giver, refresh_window=1800)
    with SendClient(uri(service), auth=auth) as client:
        client.send_message(Message(b"x"))
        auth._cbs_auth.keeper.claim._window = 3600  # as if its time had come
        for _ in range(20):
            client.send_message(Message(b"y"))
    assert 2 <= giver.calls <= 3
    assert len(service.tokens.put) == 1


def test_a_signature_is_made_anew(service: Broker, clock: Clock) -> None:
    with SendClient(uri(service), auth=signed(service, expiry=600, refresh_window=500)) as client, bounded(20):
        while len(service.tokens.put) < 2:
            client.send_message(Message(b"x"))
            clock.move(11)
    first, second = service.tokens.put[:2]
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert first.expires_at <= second.expires_at


def test_a_renewed_token_that_is_refused(service: Broker, clock: Clock) -> None:
    giver = Giver(lifetime=300, clock=clock.wall)
    service.tokens.refuse = lambda put: (403, "no more") if put.token != "token 1" else None
    auth = given(service, giver, refresh_window=250, retry_policy=TokenRetryPolicy(retries=1))
    with SendClient(uri(service), auth=auth) as client, bounded(20):
        client.send_message(Message(b"x"))
        clock.move(151)
        with pytest.raises(errors.TokenAuthFailure) as caught:
            keep_sending(client)
        assert (caught.value.status_code, caught.value.description) == (403, "no more")


def test_a_token_that_has_ended(service: Broker) -> None:
    auth = given(service, Giver())
    with SendClient(uri(service), auth=auth) as client:
        client.send_message(Message(b"x"))
        service.expire_tokens()
        with pytest.raises(errors.LinkDetach, match="the token has expired"), bounded(10):
            keep_sending(client)


# -- tokens that end while nobody calls


class Calendar:
    """The time of the calendar for tokens, which a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        monkeypatch.setattr("uamqp.classic.cbs.tokens.wall", self.time)

    def time(self) -> float:
        return time.time() + self._ahead

    def pass_by(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    return Calendar(monkeypatch)


def test_a_token_that_ended_while_nobody_called_is_replaced(service: Broker, calendar: Calendar) -> None:
    giver = Giver(lifetime=60, clock=calendar.time)
    before: list[int] = []  # the queue's depth when a token is put
    service.tokens.refuse = lambda put: before.append(service.queue("q").depth)
    with SendClient(uri(service), auth=given(service, giver)) as client:
        client.send_message(Message(b"1"))
        calendar.pass_by(61)
        client.send_message(Message(b"2"))
        client.send_message(Message(b"3"))
    assert [put.token for put in service.tokens.put] == ["token 1", "token 2"]
    assert before == [0, 1]  # nothing is sent while no token is in force
    assert service.queue("q").depth == 3


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_replaces_a_token_although_another_thread_is_at_it(service: Broker, calendar: Calendar) -> None:
    """The other can't put what it gets before the callback returns, for that has the lock."""
    giver = Giver(lifetime=60, clock=calendar.time)
    with SendClient(uri(service), auth=given(service, giver)) as client:
        connection: Any = None

        def send(result: Any, error: Any) -> None:
            calendar.pass_by(61)
            connection._core.keeper.occupy("another thread")
            client.send_message(Message(b"2"))

        message = Message(b"1")
        message.on_send_complete = send
        while not client.client_ready():
            pass
        connection = client._connection
        with bounded(20):
            client.send_message(message)
    assert [put.token for put in service.tokens.put] == ["token 1", "token 2"]
    assert service.queue("q").depth == 2


def test_a_token_that_ended_before_a_receiver_was_called_again(service: Broker, calendar: Calendar) -> None:
    giver = Giver(lifetime=60, clock=calendar.time)
    with ReceiveClient(uri(service), auth=given(service, giver), timeout=5000) as client:
        for number in range(2):
            service.put("q", Message(b"%d" % number))
            assert [str(message) for message in client.receive_message_batch()] == [str(number)]
            calendar.pass_by(61)
    assert [put.token for put in service.tokens.put] == ["token 1", "token 2"]


def test_a_signature_that_ended_while_nobody_called_is_replaced(service: Broker, calendar: Calendar) -> None:
    with SendClient(uri(service), auth=signed(service, expiry=60)) as client:
        client.send_message(Message(b"1"))
        calendar.pass_by(61)
        client.send_message(Message(b"2"))
    assert len(service.tokens.put) == 2
    assert service.queue("q").depth == 2


def test_a_token_that_is_replaced_by_one_that_has_ended(service: Broker, calendar: Calendar) -> None:
    giver = Giver(lifetime=60, clock=calendar.time)
    with SendClient(uri(service), auth=given(service, giver)) as client:
        client.send_message(Message(b"1"))
        calendar.pass_by(61)
        giver.lifetime = -1
        with pytest.raises(errors.TokenExpired, match="has ended, too"), bounded(10):
            client.send_message(Message(b"lost"))
        giver.error = LookupError("gone")
        with pytest.raises(LookupError, match="gone"), bounded(10):
            client.send_message(Message(b"lost"))
        giver.error, giver.lifetime = None, 60
        with bounded(10):
            client.send_message(Message(b"2"))
    assert len(service.tokens.put) == 2


def test_a_token_that_ended_when_it_was_refused_is_not_put_again(service: Broker, calendar: Calendar) -> None:
    def refuse(put: Any) -> tuple[int, str] | None:
        if put.token != "token 1":
            return None
        calendar.pass_by(61)
        return 500, "busy"

    service.tokens.refuse = refuse
    with SendClient(uri(service), auth=given(service, Giver(lifetime=60, clock=calendar.time))) as client:
        client.send_message(Message(b"x"))
    assert [put.token for put in service.tokens.put] == ["token 1", "token 2"]


def test_an_answer_that_came_while_nobody_called_is_not_late(
    service: Broker, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    giver = Giver(lifetime=60, clock=calendar.time)
    auth = given(service, giver, timeout=5)
    with SendClient(uri(service), auth=auth) as client:
        client.send_message(Message(b"1"))
        calendar.pass_by(58)
        service.tokens.delay = 0.05
        until(lambda: len(service.tokens.put) == 2, lambda: client.send_message(Message(b"2")))
        answered = threading.Event()  # the broker's loop sets it after it has sent the answer
        loop = asyncio.get_running_loop
        service.call(lambda server: loop().call_later(0.3, loop().call_later, 0.01, answered.set))
        assert answered.wait(10)
        monkeypatch.setattr("uamqp.transport.sansio.clock.now", lambda: time.monotonic() + 6)
        client.send_message(Message(b"3"))


@pytest.mark.parametrize("kind", ["signature", "jwt"])
def test_a_client_is_opened_again_with_the_tokens_object(service: Broker, calendar: Calendar, kind: str) -> None:
    auth = signed(service, expiry=60) if kind == "signature" else given(service, Giver(clock=calendar.time))
    client = SendClient(uri(service), auth=auth)
    for _ in range(3):
        client.send_message(Message(b"x"), close_on_done=True)
        assert not auth.consumed
        calendar.pass_by(61)  # a signature has ended by then
    assert service.queue("q").depth == 3
    with ReceiveClient(uri(service), auth=auth, timeout=5000) as receiver:
        assert len(receiver.receive_message_batch()) == 3


def test_a_client_whose_link_ended_with_the_token_is_opened_again(service: Broker) -> None:
    client = SendClient(uri(service), auth=given(service, Giver()))
    client.send_message(Message(b"1"))
    service.expire_tokens()
    with pytest.raises(errors.LinkDetach, match="the token has expired"), bounded(10):
        keep_sending(client)
    client.close()
    client.send_message(Message(b"2"))
    client.close()
    assert len(service.tokens.put) == 2


# -- what goes wrong


def test_a_token_that_is_refused(service: Broker) -> None:
    service.tokens.refuse = (401, "InvalidSignature: not yours")
    client = SendClient(uri(service), auth=signed(service, retry_policy=TokenRetryPolicy(retries=2, backoff=10)))
    client.queue_message(Message(b"x"))
    with pytest.raises(errors.TokenAuthFailure) as caught, bounded(10):
        client.send_all_messages()
    assert caught.value.status_code == 401
    assert caught.value.description == "InvalidSignature: not yours"
    assert "401" in str(caught.value)
    assert len(service.tokens.put) == 3
    service.wait_for(lambda: service.connections == ())
    service.tokens.refuse = None
    with SendClient(uri(service), auth=signed(service)) as another:
        another.send_message(Message(b"x"))


def test_a_token_that_is_refused_at_first(service: Broker) -> None:
    answers = iter([(500, "busy"), (500, "busy"), None])
    service.tokens.refuse = lambda put: next(answers)
    auth = signed(service)
    with SendClient(uri(service), auth=auth) as client, bounded(10):
        client.send_message(Message(b"x"))
        assert auth.retries <= 2
        client.send_message(Message(b"y"))
        assert auth.retries == 0  # counted from the last success


def test_a_service_that_does_not_answer(service: Broker) -> None:
    service.tokens.silent = True
    with SendClient(uri(service), auth=signed(service, timeout=0.05)) as client, bounded(10):
        with pytest.raises(TimeoutError, match=r"Authorization timeout\."):
            client.send_message(Message(b"x"))


@pytest.mark.parametrize("fault", ["status_missing", "wrong_correlation"])
def test_an_answer_that_is_none(service: Broker, fault: str) -> None:
    setattr(service.tokens, fault, True)
    timeout = 0.05 if fault == "wrong_correlation" else 30.0  # what has no status is an answer
    auth = signed(service, timeout=timeout, retry_policy=TokenRetryPolicy(retries=0))
    with SendClient(uri(service), auth=auth) as client, bounded(10):
        if fault == "status_missing":
            with pytest.raises(errors.TokenAuthFailure, match="has no status"):
                client.send_message(Message(b"x"))
        else:
            with pytest.raises(TimeoutError, match="Authorization timeout"):
                client.send_message(Message(b"x"))


def test_a_broker_without_cbs(broker: Broker) -> None:
    with SendClient(uri(broker), auth=signed(broker)) as client, bounded(10):
        with pytest.raises(errors.AuthenticationException, match="Failed to open CBS authentication link"):
            client.send_message(Message(b"x"))


def test_a_callback_that_raises(service: Broker) -> None:
    giver = Giver()
    giver.error = LookupError("no credentials here")
    client = SendClient(uri(service), auth=given(service, giver))
    with pytest.raises(LookupError, match="no credentials here"):
        client.open()
    client.close()
    assert service.connections == ()
    with SendClient(uri(service), auth=given(service, Giver())) as another:
        another.send_message(Message(b"x"))


def test_a_callback_that_raises_at_renewal(service: Broker, clock: Clock) -> None:
    giver = Giver(lifetime=300, clock=clock.wall)
    with SendClient(uri(service), auth=given(service, giver, refresh_window=250)) as client, bounded(20):
        client.send_message(Message(b"x"))
        clock.move(151)
        giver.error = LookupError("gone")
        with pytest.raises(LookupError, match="gone"):
            keep_sending(client)


def test_a_token_that_ends_before_it_is_put_leaves_the_one_in_force(service: Broker, clock: Clock) -> None:
    """It is refused here. The connection, and the others that use it, go on with the token that they have."""
    giver = Giver(lifetime=300, clock=clock.wall)
    with SendClient(uri(service), auth=given(service, giver, refresh_window=250)) as client, bounded(20):
        client.send_message(Message(b"x"))
        (connection,) = service.connections
        clock.move(151)
        giver.lifetime = -5
        with pytest.raises(errors.AuthenticationException, match="Token has expired"):
            keep_sending(client)
        giver.lifetime = 300
        client.send_message(Message(b"y"))
        assert service.connections == (connection,)


def test_a_token_that_has_expired_already(service: Broker) -> None:
    client = SendClient(uri(service), auth=given(service, Giver(lifetime=-5)))
    with pytest.raises(errors.AuthenticationException, match="Token has expired"), bounded(10):
        client.send_message(Message(b"x"))
    client.close()


def test_a_host_that_does_not_answer() -> None:
    auth = SASTokenAuth.from_shared_access_key(
        "amqp://127.0.0.1:1/q", "name", "key", port=1, use_tls=False, connect_timeout=1
    )
    client = SendClient("amqp://127.0.0.1:1/q", auth=auth)
    with pytest.raises(errors.AMQPConnectionError, match="Unable to open authentication session on connection"):
        client.open()
    client.close()


def test_a_keep_alive_thread_that_never_started() -> None:
    """What 1.6's own test_keep_alive_thread_fail_to_start held."""
    auth = SASTokenAuth.from_shared_access_key("sb://fake/fake", "fake", "fake")
    client = AMQPClient("sb://fake/fake", auth=auth, keep_alive_interval=10)
    client._keep_alive_thread = threading.Thread(target=print)
    client.close()
    assert client._keep_alive_thread is None
    assert client.do_work(fake_kwarg=5) is False


# -- the wire, against a codec of its own


def cbs_answer(number: Any) -> bytes:
    """The answer to a put-token request."""
    return (
        section("properties", {"correlation_id": number})
        + section("application_properties", {"status-code": codec.int_(202), "status-description": "Accepted"})
        + section("amqp_value", None)
    )


def test_put_token_on_the_wire() -> None:
    requests: list[Any] = []

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        for role in (SENDER, RECEIVER):
            attach = peer.accept_attach(role)
            assert attach["source"].fields["address"] == attach["target"].fields["address"] == "$cbs"
            if role is SENDER:
                peer.grant(10, handle=attach["handle"])
            else:
                answers = attach["handle"]
        peer.expect("flow")
        request = peer.expect("transfer")
        requests.append(request)
        settle(peer, request)
        number = dict(decode_sections(request.payload))["properties"].fields["message_id"]
        peer.send_delivery(cbs_answer(number), handle=answers)
        peer.expect("disposition")
        peer.ignore("detach", "end", "disposition", "flow")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(10):
        auth = SASTokenAuth(
            "the audience",
            f"amqp://127.0.0.1:{server.port}/q",
            "the token",
            expires_at=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
            port=server.port,
            use_tls=False,
        )
        client = AMQPClient(f"amqp://127.0.0.1:{server.port}/q", auth=auth)
        client.open()
        until(client.auth_complete, lambda: None)
        client.close()
    sections = dict(decode_sections(requests[0].payload))
    assert sections["application_properties"] == {
        "name": "the audience",
        "operation": "put-token",
        "type": "servicebus.windows.net:sastoken",
    }
    assert sections["amqp_value"] == "the token"
