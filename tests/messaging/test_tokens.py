"""Tokens that are put to `$cbs` when a connection is opened, and renewed while it lasts."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, stored
from uamqp.messaging import AccessDenied, AuthenticationFailed, Cbs, ConnectFailed, OperationTimeout, Timeouts
from uamqp.testing import Broker

pytestmark = both_faces

FAR = 1e10
"""When a token expires that no test sees expire."""


@pytest.fixture
def service() -> Iterator[Broker]:
    """A broker that wants tokens."""
    with Broker(cbs=True) as running:
        yield running


class Provider:
    """Makes tokens that are valid for so many seconds; notes in which threads."""

    def __init__(self, clock: Clock, seconds: float = 100) -> None:
        self.clock = clock
        self.seconds = seconds
        self.count = 0
        self.threads: set[int] = set()
        self.error: Exception | None = None

    def __call__(self) -> tuple[str, float]:
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        self.count += 1
        return f"token {self.count}", self.clock.wall() + self.seconds


def audience(service: Broker) -> str:
    return f"amqp://127.0.0.1:{service.port}/"


def tokens(service: Broker) -> list[str]:
    return [put.token for put in service.tokens.put]


def renewed(face: Face, clock: Clock, connection: Any, seconds: float, happened: Callable[[], Any]) -> None:
    """So much time passes, something happens, and nobody is at it any longer: a token counts from its answer on."""
    keeper = connection._core.keeper
    clock.move(seconds)
    becomes(face, happened)
    becomes(face, lambda: keeper.next_deadline() is not None and keeper.claim._request is None)


def test_a_token_is_put_before_the_connection_is_open(face: Face, service: Broker) -> None:
    credentials = Cbs(("secret", FAR), audience(service), token_type="kind")
    with connected(face, service, credentials=credentials) as connection:
        (put,) = service.tokens.put
        assert (put.audience, put.type, put.token) == (audience(service), "kind", "secret")
        assert [view.mechanism for view in service.connections] == ["ANONYMOUS"]
        with face.open(lambda: connection.open_sender("q")) as sender:
            face.go(lambda: sender.send("x"))
        assert (connection.stats().senders, connection.stats().receivers) == (0, 0)
    assert stored(service) == ["x"]


def test_the_expiry_may_have_a_time_zone(face: Face, service: Broker) -> None:
    expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    with connected(face, service, credentials=Cbs(lambda: ("t", expiry), audience(service))) as connection:
        assert connection.state == "open"


def test_a_token_that_takes_its_time(face: Face, service: Broker) -> None:
    async def provide() -> tuple[str, float]:
        return "later", FAR

    credentials = Cbs(provide, audience(service))
    if face.name == "aio":
        with connected(face, service, credentials=credentials):
            assert tokens(service) == ["later"]
        return
    with pytest.raises(Exception, match=r"only uamqp\.aio can wait for"):
        face.go(lambda: face.connect(service.url, credentials=credentials))


def test_a_token_is_renewed_in_its_last_tenth(face: Face, service: Broker, clock: Clock) -> None:
    provider = Provider(clock, 100)
    with connected(face, service, credentials=Cbs(provider, audience(service))) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        clock.move(50)
        face.go(lambda: sender.send("x"))
        assert tokens(service) == ["token 1"]
        for number, seconds in ((2, 45), (3, 95)):
            renewed(face, clock, connection, seconds, lambda number=number: len(tokens(service)) == number)  # type: ignore[misc]
            face.go(lambda: sender.send("y"))
        assert tokens(service) == ["token 1", "token 2", "token 3"]
        assert (connection.state, sender.state) == ("open", "open")


def test_a_token_is_renewed_so_long_ahead(face: Face, service: Broker, clock: Clock) -> None:
    provider = Provider(clock, 100)
    with connected(face, service, credentials=Cbs(provider, audience(service), refresh_ahead=40)) as connection:
        renewed(face, clock, connection, 61, lambda: len(tokens(service)) == 2)


def test_nobody_has_to_wait_for_a_renewal(face: Face, service: Broker, clock: Clock) -> None:
    # The program does something else: the keeper's thread, or the loop, looks after the token.
    provider = Provider(clock, 100)
    with connected(face, service, credentials=Cbs(provider, audience(service))) as connection:
        clock.move(95)
        service.wait_for(lambda: len(service.tokens.put) == 2)
        assert connection.state == "open"
    here = threading.get_ident()
    assert len(provider.threads - {here}) >= 1  # it may take its time there


def test_a_renewal_that_fails_is_tried_again(
    face: Face, service: Broker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(clock, 100)
    with connected(face, service, credentials=Cbs(provider, audience(service))) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        provider.error = LookupError("of the program's, with a secret")
        clock.move(95)
        becomes(face, lambda: "isn't renewed; it is tried again soon" in caplog.text)
        becomes(face, lambda: connection._core.timers.next_deadline() is not None)
        face.go(lambda: sender.send("x"))  # the old one still counts
        provider.error = None
        renewed(face, clock, connection, 6, lambda: len(tokens(service)) == 2)
        face.go(lambda: sender.send("y"))
        assert connection.state == "open"
    assert "secret" not in caplog.text


def test_a_renewal_that_is_refused_is_tried_again(face: Face, service: Broker, clock: Clock) -> None:
    provider = Provider(clock, 100)
    with connected(face, service, credentials=Cbs(provider, audience(service))) as connection:
        service.tokens.refuse = (500, "busy")
        clock.move(95)
        becomes(face, lambda: connection._core.keeper.refusals == 1)
        service.tokens.refuse = None
        renewed(face, clock, connection, 6, lambda: len(tokens(service)) == 3)
        assert connection.state == "open"


def test_a_token_that_is_refused(face: Face, service: Broker) -> None:
    service.tokens.refuse = (401, "InvalidSignature")
    with pytest.raises(AuthenticationFailed, match=r"the token was refused \(status 401\): InvalidSignature") as caught:
        face.go(lambda: face.connect(service.url, credentials=Cbs(("secret", FAR), audience(service))))
    assert "secret" not in repr(caught.value)
    assert (len(tokens(service)), len(caught.value.attempts), caught.value.is_temporary) == (1, 1, False)
    service.wait_for(lambda: not service.connections)


@pytest.mark.parametrize("fault", ["status_missing", "wrong_correlation", "silent"])
def test_a_node_that_does_not_answer_as_it_should(face: Face, service: Broker, clock: Clock, fault: str) -> None:
    setattr(service.tokens, fault, True)
    timeouts = Timeouts(open=20)
    credentials = Cbs(("t", FAR), audience(service))
    opening = face.spawn(lambda: face.connect(service.url, credentials=credentials, timeouts=timeouts))
    service.wait_for(lambda: len(service.tokens.put) == 1)
    clock.stand_until(lambda: True, 21)
    with pytest.raises((AuthenticationFailed, OperationTimeout, ConnectFailed)) as caught:
        opening.result()
    if fault == "silent":
        assert "hasn't answered within 20 seconds" in str(caught.value)
        assert caught.value.is_temporary
    service.wait_for(lambda: not service.connections)


def test_a_token_that_has_expired_already(face: Face, service: Broker) -> None:
    with pytest.raises(AuthenticationFailed, match="has expired already") as caught:
        face.go(lambda: face.connect(service.url, credentials=Cbs(lambda: ("t", 1), audience(service))))
    assert caught.value.is_temporary
    assert tokens(service) == []


def test_a_peer_without_tokens(face: Face, broker: Broker) -> None:
    with pytest.raises(AuthenticationFailed, match=r"there is no node '\$cbs'"):
        face.go(lambda: face.connect(broker.url, credentials=Cbs(("t", FAR), audience(broker))))
    broker.wait_for(lambda: not broker.connections)


def test_a_token_for_something_else(face: Face, service: Broker) -> None:
    with connected(face, service, credentials=Cbs(("t", FAR), audience(service) + "another")) as connection:
        with pytest.raises(AccessDenied):
            face.go(lambda: connection.open_sender("q"))
        assert connection.state == "open"


def test_links_that_no_token_permits_any_longer(face: Face, service: Broker) -> None:
    with connected(face, service, credentials=Cbs(("t", FAR), audience(service))) as connection:
        receiver = face.go(lambda: connection.open_receiver("q"))
        waiting = face.spawn(receiver.receive)
        service.expire_tokens()
        with pytest.raises(AccessDenied):
            waiting.result()
        assert connection.state == "open"


def test_nothing_is_renewed_for_a_connection_that_is_gone(face: Face, service: Broker, clock: Clock) -> None:
    provider = Provider(clock, 100)
    with connected(face, service, credentials=Cbs(provider, audience(service))):
        pass
    clock.move(95)
    with connected(face, service, credentials=Cbs(("last", FAR), audience(service))):
        assert tokens(service) == ["token 1", "last"]
    assert provider.count == 1
