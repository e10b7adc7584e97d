"""What the peer has said before its connection broke isn't lost, though a write of ours finds the break first."""

from __future__ import annotations

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import accept_sender, accept_session, connect, settle
from tests.support.waiting import bounded, until
from uamqp import Message, MessageSender, Session, Target, errors
from uamqp.constants import ErrorCodes, MessageSendResult, SenderSettleMode

pytestmark = pytest.mark.both_fronts


def has_credit(sender: MessageSender) -> bool:
    return sender.get_state().name == "Open" and sender._core.credit > 0  # type: ignore[attr-defined]


@pytest.mark.blocking("the loop reads though nobody works")
def test_outcomes_and_the_reason_survive_a_write_that_fails() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        accept_sender(peer, session=False)
        transfer = peer.expect("transfer")
        settle(peer, transfer)
        peer.send("close", error=codec.error("amqp:connection:forced", "maintenance"))
        peer.close_socket()
        peer.tell("gone")

    results: list[MessageSendResult] = []
    with ScriptedServer(script) as server, bounded(10), connect(server) as connection, Session(connection) as session:
        sender = MessageSender(session, "me", Target("q"))
        sender.open()
        until(lambda: has_credit(sender), lambda: connection.sleep(0.01))
        sender.send(Message(b"1"), lambda message, result, delivery_state=None: results.append(result))
        server.wait("gone")
        for _ in range(20):  # written, not read: the second write at the latest finds that nobody is there
            sender.send(Message(b"x"), None)
        with pytest.raises(errors.ConnectionClose, match="maintenance") as caught:
            until(lambda: False, connection.work)
        assert caught.value.condition == ErrorCodes.ConnectionCloseForced
        assert results == [MessageSendResult.Ok]


@pytest.mark.blocking("the loop reads though nobody works")
def test_what_is_sent_settled_after_a_failed_write_is_not_reported_as_sent() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        accept_sender(peer, session=False, credit=1000)
        peer.wait("open")
        peer.reset_socket()
        peer.tell("gone")

    sent: list[MessageSendResult] = []
    with ScriptedServer(script) as server, bounded(10), connect(server) as connection, Session(connection) as session:
        sender = MessageSender(session, "me", Target("q"), send_settle_mode=SenderSettleMode.Settled)
        sender.open()
        until(lambda: has_credit(sender), lambda: connection.sleep(0.01))
        server.tell("open")
        server.wait("gone")
        for _ in range(100):
            sender.send(Message(b"x"), lambda message, result, delivery_state=None: sent.append(result))
        with pytest.raises(errors.ConnectionClose):
            until(lambda: False, connection.work)
        assert sent.count(MessageSendResult.Ok) < 10  # those that the socket took before it was known to be broken
        assert len(sent) == 100
