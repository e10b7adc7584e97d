"""Threads that open one client: one of them does it, and when it is interrupted, another."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.waiting import until
from uamqp import Connection, Message, SendClient, errors
from uamqp.authentication import JWTTokenAuth, SASLAnonymous
from uamqp.testing import Broker

WAIT = 20.0


class Interrupt(BaseException):
    """As `KeyboardInterrupt`, for a thread that isn't the main one."""


class Sending(threading.Thread):
    """A thread that opens a client, on a connection of its own or a shared one, and sends a message."""

    def __init__(self, client: SendClient, connection: Connection | None = None) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._client = client
        self._connection = connection
        self.start()

    def run(self) -> None:
        try:
            if self._connection is not None:
                self._client.open(connection=self._connection)
            self._client.send_message(Message(b"x"))
        except BaseException as error:  # noqa: BLE001 (the test looks at it)
            self.error = error

    def result(self) -> BaseException | None:
        self.join(WAIT)
        assert not self.is_alive()
        return self.error


class Giver:
    """Gives tokens; the first that asks for one waits until the others wait, and is interrupted then."""

    def __init__(self, others_wait: Callable[[], bool]) -> None:
        self.asked = 0
        self._others_wait = others_wait
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        with self._lock:
            self.asked += 1
            first = self.asked == 1
        if first:
            until(self._others_wait, lambda: time.sleep(0.001))
            raise Interrupt
        return SimpleNamespace(token="token", expires_on=time.time() + 3600)


def token_auth(broker: Broker, get_token: Callable[[], Any]) -> JWTTokenAuth:
    url = broker.url + "/q"
    return JWTTokenAuth(url, url, get_token, port=broker.port, use_tls=False)


@pytest.mark.parametrize("count", [2, 8])
def test_another_thread_gets_the_token(count: int) -> None:
    with Broker(cbs=True) as broker:
        clients: list[SendClient] = []
        giver = Giver(lambda: len(clients[0].pending_messages) >= count)
        clients.append(SendClient(broker.url + "/q", auth=token_auth(broker, giver)))
        threads = [Sending(clients[0]) for _ in range(count)]
        results = [thread.result() for thread in threads]
        assert sorted(type(result).__name__ for result in results) == ["Interrupt"] + ["NoneType"] * (count - 1)
        assert giver.asked == 2
        clients[0].close()
        broker.wait_for(lambda: not broker.connections)


def test_another_client_of_the_connection_gets_the_token() -> None:
    with Broker(cbs=True) as broker:
        clients = [SendClient(broker.url + "/q") for _ in range(3)]
        giver = Giver(lambda: all(client._connection is not None for client in clients))
        connection = Connection("127.0.0.1", token_auth(broker, giver))
        threads = [Sending(client, connection) for client in clients]
        results = [thread.result() for thread in threads]
        assert sorted(type(result).__name__ for result in results) == ["Interrupt", "NoneType", "NoneType"]
        for client in clients:
            client.open(connection=connection)  # the one that was interrupted, too
            client.send_message(Message(b"x"))
            client.close()
        connection.destroy()
        broker.wait_for(lambda: not broker.connections)


def test_another_thread_connects(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    client = SendClient(broker.url + "/q")
    look_up = socket.getaddrinfo
    asked: list[Any] = []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        if len(asked) == 1:
            until(lambda: len(client.pending_messages) == 2, lambda: time.sleep(0.001))
            raise Interrupt
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", interrupted)
    results = [thread.result() for thread in [Sending(client), Sending(client)]]
    assert sorted(type(result).__name__ for result in results) == ["Interrupt", "NoneType"]
    client.close()
    broker.wait_for(lambda: not broker.connections)


def test_many_threads_open_one_client() -> None:
    """With credentials that serve one connection at a time: there is one."""
    for _ in range(20):
        with Broker(cbs=True) as broker:
            asked: list[int] = []

            def give(asked: list[int] = asked) -> Any:
                asked.append(1)
                return SimpleNamespace(token="token", expires_on=time.time() + 3600)

            client = SendClient(broker.url + "/q", auth=token_auth(broker, give))
            assert [thread.result() for thread in [Sending(client) for _ in range(8)]] == [None] * 8
            assert len(asked) == 1
            assert len(broker.connections) == 1
            client.close()


def test_a_client_that_is_opened_within_its_opening() -> None:
    """By what gives the token, or a signal handler: that can't be, and says so."""
    with Broker(cbs=True) as broker:
        clients: list[SendClient] = []
        problems: list[BaseException] = []

        def give() -> Any:
            with pytest.raises(errors.AMQPConnectionError, match="is being opened") as caught:
                clients[0].open()
            problems.append(caught.value)
            return SimpleNamespace(token="token", expires_on=time.time() + 3600)

        clients.append(SendClient(broker.url + "/q", auth=token_auth(broker, give)))
        clients[0].send_message(Message(b"x"))
        assert len(problems) == 1
        clients[0].close()


def test_who_opens_a_client_that_another_thread_closes_is_told() -> None:
    with Broker(cbs=True) as broker:
        clients: list[SendClient] = []
        asked = threading.Event()
        closed = threading.Event()

        def give() -> Any:
            asked.set()
            assert closed.wait(WAIT)
            return SimpleNamespace(token="token", expires_on=time.time() + 3600)

        clients.append(SendClient(broker.url + "/q", auth=token_auth(broker, give)))
        thread = Sending(clients[0])
        assert asked.wait(WAIT)
        clients[0].close()
        closed.set()
        assert isinstance(thread.result(), errors.AMQPConnectionError)
        broker.wait_for(lambda: not broker.connections)
        clients[0].send_message(Message(b"y"))
        clients[0].close()


def test_plain_credentials_are_no_exception(broker: Broker) -> None:
    """Two threads that open one client don't make two connections of one authentication object."""
    for _ in range(50):
        auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
        client = SendClient(broker.url + "/q", auth=auth)
        assert [thread.result() for thread in [Sending(client) for _ in range(4)]] == [None] * 4
        client.close()
