"""ReceiveAndDelete: what the client holds is nowhere else any more, and is neither lost nor dropped in silence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.queues import bodies, fill
from tests.support.scripts import accept_leaving, data_message, url, with_credit
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, errors
from uamqp.constants import ReceiverSettleMode
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

MODE: dict[str, Any] = {"receive_settle_mode": ReceiverSettleMode.ReceiveAndDelete}


def holding(broker: Broker, count: int, **settings: Any) -> ReceiveClient:
    """A client that holds so many messages, of which the broker knows nothing any more."""
    fill(broker, count)
    client = ReceiveClient(broker.url + "/q", **{**MODE, **settings})
    client.open()
    until(lambda: client._received_messages.qsize() == count, client.do_work)
    broker.wait_for(lambda: broker.queue("q").depth == 0)
    return client


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "arrived settled" in record.getMessage()]


def test_closing_tells_how_many_messages_are_lost(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    client = holding(broker, 10)
    assert bodies(client.receive_message_batch(max_batch_size=3)) == [0, 1, 2]
    client.close()
    (text,) = warnings(caplog)
    assert "with 7 messages that arrived settled (ReceiveAndDelete)" in text
    assert [record.levelname for record in caplog.records if record.getMessage() == text] == ["WARNING"]
    client.close()
    assert len(warnings(caplog)) == 1


def test_nothing_is_said_where_nothing_is_lost(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    client = holding(broker, 3)
    assert len(client.receive_message_batch()) == 3
    client.close()
    fill(broker, 3)
    with ReceiveClient(broker.url + "/q") as other:  # it settles itself: what it holds is released
        until(lambda: other._received_messages.qsize() == 3, other.do_work)
    assert warnings(caplog) == []
    broker.wait_for(lambda: broker.queue("q").depth == 3)


@pytest.mark.parametrize("how", ["batch", "callback", "iteration"])
def test_a_client_that_is_opened_again_hands_out_what_it_holds(broker: Broker, how: str, clock: Clock) -> None:
    client = holding(broker, 5, timeout=200, shutdown_after_timeout=False)
    got: list[Message] = client.receive_message_batch(max_batch_size=1)
    client.close()
    fill(broker, 2, start=5)
    clock.stand_until(lambda: len(got) == 7, then=0.2)
    client.open()
    with bounded(10):
        if how == "batch":
            while batch := client.receive_message_batch():
                got += batch
        elif how == "callback":
            client.receive_messages(got.append)
        else:
            got += client.receive_messages_iter()
    client.close()
    assert bodies(got) == list(range(7))


def test_an_iteration_that_is_left_loses_nothing_that_nobody_has_seen(broker: Broker) -> None:
    client = holding(broker, 5)
    for message in client.receive_messages_iter():
        assert bodies([message]) == [0]
        break  # closes the client
    got: list[Message] = []
    until(lambda: len(got) == 4, lambda: got.extend(client.receive_message_batch(timeout=1000)))
    assert bodies(got) == [1, 2, 3, 4]
    client.close()


def test_a_callback_that_ends_the_link_loses_nothing_that_it_has_not_seen(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    client = holding(broker, 5, timeout=200)
    seen: list[Message] = []

    def take(message: Message) -> None:
        seen.append(message)
        raise RuntimeError("out of order")

    with bounded(5), pytest.raises(errors.LinkDetach, match="out of order"):
        client.receive_messages(take)
    got: list[Message] = []
    until(lambda: len(got) == 5 - len(seen), lambda: got.extend(client.receive_message_batch(timeout=1000)))
    assert bodies(seen + got) == list(range(5))
    client.close()


def test_messages_that_the_sender_settled_are_kept_in_every_mode(caplog: pytest.LogCaptureFixture) -> None:
    """A sender may settle some of its messages (snd-settle-mode mixed)."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        for number in range(4):
            peer.send_delivery(data_message(b"%d" % number), settled=number % 2 == 1)
        peer.expect("disposition", first=0, state="released")
        peer.expect("disposition", first=2, state="released")
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = ReceiveClient(url(server))
        client.open()
        until(lambda: client._received_messages.qsize() == 4, client.do_work)
        client.close()
    assert len(warnings(caplog)) == 1
    assert "with 2 messages" in warnings(caplog)[0]
    assert bodies(client._received_messages.take_all()) == [1, 3]


def by_batch(client: ReceiveClient, got: list[Message]) -> None:
    while True:
        got += client.receive_message_batch(timeout=5000)


def by_iteration(client: ReceiveClient, got: list[Message]) -> None:
    got += client.receive_messages_iter()


def by_callback(client: ReceiveClient, got: list[Message]) -> None:
    client.receive_messages(got.append)


def by_steps(client: ReceiveClient, got: list[Message]) -> None:
    """As azure-eventhub does."""
    client._streaming_receive = True
    client._message_received_callback = got.append
    until(lambda: False, client.do_work)


WAYS = [by_batch, by_iteration, by_callback]


def losing(loss: str) -> Callable[[SocketPeer], None]:
    """A peer that sends three messages, and is gone."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        for number in range(3):
            peer.send_delivery(data_message(b"%d" % number), settled=True)
        peer.wait("the client holds them")
        if loss == "detach":
            peer.send("detach", handle=0, closed=True)
            peer.ignore("detach", "end", "close")
        elif loss == "close":
            peer.send("close")
            peer.ignore("close")
        else:
            peer.reset_socket()
        peer.tell("it is lost")

    return script


@pytest.mark.parametrize("loss", ["detach", "close", "cut"])
@pytest.mark.parametrize("receive", WAYS)
def test_what_is_held_is_handed_out_before_the_loss_is_told(
    receive: Callable[[ReceiveClient, list[Message]], None], loss: str
) -> None:
    got: list[Message] = []
    with ScriptedServer(losing(loss)) as server, bounded(10):
        client = ReceiveClient(url(server), close_timeout=0.2, **MODE)
        client.open()
        until(lambda: client._received_messages.qsize() == 3, client.do_work)
        server.tell("the client holds them")
        server.wait("it is lost")
        with pytest.raises(errors.AMQPConnectionError):
            receive(client, got)
        client.close()
    assert bodies(got) == [0, 1, 2]


@pytest.mark.parametrize("loss", ["detach", "close", "cut"])
@pytest.mark.parametrize("receive", [by_steps, by_batch, by_callback])
def test_what_waits_for_a_callback_is_handed_out_before_the_loss_is_told(
    receive: Callable[[ReceiveClient, list[Message]], None], loss: str
) -> None:
    """Others have driven the connection, and seen its end."""
    got: list[Message] = []
    with ScriptedServer(losing(loss)) as server, bounded(10):
        client = ReceiveClient(url(server), close_timeout=0.2, **MODE)
        client._message_received_callback = got.append
        client.open()
        until(client.client_ready, lambda: None)
        connection: Any = client._connection
        until(lambda: len(client._inbox.arrived) == 3, connection.work)
        assert got == []
        server.tell("the client holds them")
        server.wait("it is lost")
        until(lambda: connection._error is not None or client.message_handler._error is not None, lambda: work(client))  # type: ignore[union-attr]
        with pytest.raises(errors.AMQPConnectionError):
            receive(client, got)
        client.close()
    assert bodies(got) == [0, 1, 2]


def work(client: ReceiveClient) -> None:
    with contextlib.suppress(errors.AMQPConnectionError):
        client._connection.work()  # type: ignore[union-attr]
