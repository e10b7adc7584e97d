"""A sending client's own link, `message_handler`, over which programs send beside what the client sends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    body_of,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import Message, SendClient, errors
from uamqp.constants import MessageSendResult, MessageState
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

Ok, Error, Timeout = MessageSendResult.Ok, MessageSendResult.Error, MessageSendResult.Timeout


def opened(client: Any) -> Any:
    """Open the client; return its link."""
    client.open()
    until(client.client_ready, lambda: None)
    return client.message_handler


def test_outcomes_go_to_whoever_has_sent_the_message() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        by_hand = [peer.expect("transfer") for _ in range(3)]
        queued = peer.expect("transfer")
        assert [body_of(transfer) for transfer in (*by_hand, queued)] == [b"0", b"1", b"2", b"queued"]
        settle(peer, by_hand[2])
        settle(peer, by_hand[0], codec.released())
        settle(peer, queued)
        settle(peer, by_hand[1], codec.rejected(error=codec.error("amqp:not-allowed", "no")))
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    calls: list[Any] = []
    with ScriptedServer(script) as server, bounded(10), SendClient(url(server)) as client:
        link = opened(client)
        messages = [Message(b"%d" % number) for number in range(3)]
        for message in messages:
            assert link.send(message, lambda m, result, delivery_state: calls.append((m, result, delivery_state)))
        assert client.pending_messages == []
        client.send_message(Message(b"queued"))
        until(lambda: len(calls) == 3, client.do_work)
        client.send_message(Message(b"after them"))
    assert calls == [
        (messages[2], Ok, []),
        (messages[0], Error, []),
        (messages[1], Error, [[b"amqp:not-allowed", b"no", None]]),
    ]
    assert [message.state.name for message in messages] == ["SendFailed", "SendFailed", "SendComplete"]


def test_a_callback_that_sends_another(broker: Broker) -> None:
    calls: list[str] = []
    with bounded(10), SendClient(f"{broker.url}/q") as client:
        link = opened(client)

        def sent(message: Message, result: Any, delivery_state: Any = None) -> None:
            calls.append(f"{message} {result.name}")
            if len(calls) < 3:
                assert link.send(Message(f"{len(calls)}"), sent)

        assert link.send(Message("0"), sent)
        until(lambda: len(calls) == 3, client.do_work)
        assert link.send(Message("nobody asks"), None)
        client.send_message(Message("queued"))
    assert calls == ["0 Ok", "1 Ok", "2 Ok"]
    assert broker.queue("q").depth == 5


def test_the_link_is_lost_with_messages_of_both_on_their_way() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        peer.expect("transfer")
        peer.send("detach", handle=0, closed=True, error=codec.error("amqp:link:detach-forced", "bye"))
        peer.expect("detach")
        peer.ignore("detach")
        peer.accept_end()
        peer.accept_close()

    calls: list[Any] = []
    queued = Message(b"queued")
    with ScriptedServer(script) as server, bounded(10), SendClient(url(server)) as client:
        by_hand = Message(b"by hand")
        opened(client).send(by_hand, lambda m, result, delivery_state: calls.append((m, result, delivery_state)))
        client.queue_message(queued)
        with pytest.raises(errors.LinkDetach, match="bye"):
            client.wait()
        assert calls == [(by_hand, Error, None)]
        assert by_hand.state is MessageState.SendFailed
        assert client.pending_messages == [queued]


def test_the_client_gives_up_what_is_past_its_time(broker: Broker) -> None:
    calls: list[Any] = []
    with bounded(10), SendClient(f"{broker.url}/q") as client:
        link = opened(client)
        broker.faults.withhold_outcomes = True
        message = Message(b"x")
        link.send(message, lambda m, result, delivery_state: calls.append((m, result, delivery_state)), timeout=50)
        until(lambda: bool(calls), client.do_work)
        assert calls == [(message, Timeout, None)]
        assert message.state is MessageState.SendFailed
        broker.faults.withhold_outcomes = False
        client.send_message(Message(b"after it"))
    assert len(calls) == 1
