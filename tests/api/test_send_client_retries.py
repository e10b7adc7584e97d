"""`SendClient`: what is tried again, and what is given up in time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    accept_session,
    body_of,
    data_message,
    noting,
    send_once,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import Message, SendClient, errors
from uamqp.constants import ErrorCodes, MessageSendResult, MessageState

pytestmark = pytest.mark.both_fronts

# -- retries


def count_transfers(peer: SocketPeer, outcomes: list[Any]) -> None:
    accept_sender(peer, credit=50)
    for outcome in outcomes:
        settle(peer, peer.expect("transfer"), outcome)


def test_a_released_message_is_sent_four_times_at_most() -> None:
    """Contract 14.2: max_retries 3 makes 4 transfers."""

    def script(peer: SocketPeer) -> None:
        count_transfers(peer, [codec.released()] * 4)
        accept_leaving(peer)

    message, calls, raised = send_once(script, error_policy=None)
    assert message.state is MessageState.SendFailed
    assert message.retries == 3
    assert len(calls) == 1
    assert raised is not None


def test_a_retry_may_succeed() -> None:
    def script(peer: SocketPeer) -> None:
        count_transfers(peer, [codec.released(), codec.modified(), codec.rejected(), codec.accepted()])
        accept_leaving(peer)

    message, calls, raised = send_once(script, error_policy=None)
    assert raised is None
    assert message.state is MessageState.SendComplete
    assert message.retries == 3
    assert [result for result, _ in calls] == [MessageSendResult.Ok]


@pytest.mark.parametrize("condition", ["amqp:not-found", "amqp:unauthorized-access", "amqp:link:message-size-exceeded"])
def test_what_is_hopeless_is_not_tried_again(condition: str) -> None:
    def script(peer: SocketPeer) -> None:
        count_transfers(peer, [codec.rejected(error=codec.error(condition))])
        accept_leaving(peer)

    message, _, raised = send_once(script, error_policy=None)
    assert raised.condition == ErrorCodes(condition)
    assert message.retries == 0


@pytest.mark.parametrize("condition", ["amqp:internal-error", "amqp:resource-locked", "com.vendor:busy"])
def test_what_may_pass_is_tried_again(condition: str) -> None:
    def script(peer: SocketPeer) -> None:
        count_transfers(peer, [codec.rejected(error=codec.error(condition)), codec.accepted()])
        accept_leaving(peer)

    message, _, raised = send_once(script, error_policy=None)
    assert raised is None
    assert message.retries == 1


def test_the_policy_decides() -> None:
    asked: list[Any] = []

    class Stubborn(errors.ErrorPolicy):
        def on_message_error(self, error: Any) -> errors.ErrorAction:
            asked.append(error.condition)
            return errors.ErrorAction(retry=True, increment_retries=False)

    refusal = codec.rejected(error=codec.error("amqp:not-found"))

    def script(peer: SocketPeer) -> None:
        count_transfers(peer, [refusal] * 6 + [codec.accepted()])
        accept_leaving(peer)

    message, _, raised = send_once(script, error_policy=Stubborn(max_retries=1))
    assert raised is None
    assert message.retries == 0  # these don't count
    assert asked == [ErrorCodes.NotFound] * 6


def test_vendor_errors_are_the_callbacks_business() -> None:
    def on_error(error: Any) -> errors.ErrorAction:
        return errors.ErrorAction(retry=error.condition != b"com.vendor:never")

    def script(peer: SocketPeer) -> None:
        never = codec.rejected(error=codec.error("com.vendor:never"))
        count_transfers(peer, [codec.rejected(error=codec.error("com.vendor:later")), never])
        accept_leaving(peer)

    message, _, raised = send_once(script, error_policy=errors.ErrorPolicy(on_error=on_error))
    assert raised.condition == b"com.vendor:never"
    assert message.retries == 1


def test_a_backoff_is_waited_for(clock: Clock) -> None:
    class Patient(errors.ErrorPolicy):
        def on_message_error(self, error: Any) -> errors.ErrorAction:
            return errors.ErrorAction(retry=True, backoff=20)

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=50)
        settle(peer, peer.expect("transfer"), codec.released())
        peer.expect_nothing(0.15)
        peer.wait_out(21)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    message = Message(b"x")
    with ScriptedServer(script, clock=clock) as server, SendClient(url(server), error_policy=Patient()) as client:
        assert client._backoff == 0
        client.send_message(message)
        assert client._backoff == 20
    assert message.retries == 1


def test_a_retry_keeps_the_messages_timeout(clock: Clock) -> None:
    class Patient(errors.ErrorPolicy):
        def on_message_error(self, error: Any) -> errors.ErrorAction:
            return errors.ErrorAction(retry=True, backoff=100_000)

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=50)
        settle(peer, peer.expect("transfer"), codec.released())
        peer.wait_out(11)
        accept_leaving(peer)

    _, calls, raised = send_once(script, clock=clock, error_policy=Patient(), msg_timeout=10_000)
    assert "timed out" in str(raised)
    assert [result for result, _ in calls] == [MessageSendResult.Timeout]


# -- time-outs


@pytest.mark.usefixtures("patient")
def test_a_timeout_is_noticed_in_time() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=0)
        accept_leaving(peer)

    with ScriptedServer(script) as server, bounded(20), SendClient(url(server), msg_timeout=100) as client:
        until(client.client_ready, lambda: None)
        with pytest.raises(errors.ClientMessageError, match="timed out"):
            client.send_message(Message(b"x"))


@pytest.mark.parametrize("how", ["send_message", "wait", "send_all_messages"])
def test_a_timeout_while_the_link_opens(how: str, clock: Clock) -> None:
    """The message's time-out holds before there is a link."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach")
        peer.stay_silent(11)
        peer.expect("detach")
        peer.wait_out(45)
        peer.ignore("end")
        peer.accept_close()

    message = Message(b"x")
    calls = noting(message)
    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = SendClient(url(server), msg_timeout=10_000)
        if how == "send_message":
            with pytest.raises(errors.ClientMessageError, match="timed out"):
                client.send_message(message)
        else:
            client.queue_message(message)
            assert getattr(client, how)() in (True, [MessageState.SendFailed])
        assert message.state is MessageState.SendFailed
        assert [result for result, _ in calls] == [MessageSendResult.Timeout]
        client.close()


def test_a_timeout_may_be_set_later_and_be_a_fraction() -> None:
    """`_msg_timeout` is set by azure-eventhub and azure-servicebus, in milliseconds, as a float."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=0)
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client, bounded(5):
        client._msg_timeout = 50.5
        client.queue_message(Message(b"x"))
        client._msg_timeout = 0
        client.queue_message(patient := Message(b"y"))
        until(lambda: len(client.pending_messages) == 1, client.do_work)
        assert client.pending_messages == [patient]


def test_timeouts_of_several_messages_are_their_own(clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        first = peer.expect("transfer")
        peer.stay_silent(11)
        peer.wait("the second has timed out")
        settle(peer, first)
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, SendClient(url(server), msg_timeout=50_000) as client:
        slow, fast = Message(b"slow"), Message(b"fast")
        client.queue_message(slow)
        client._msg_timeout = 10_000
        client.queue_message(fast)
        until(lambda: fast.state is MessageState.SendFailed, client.do_work)
        assert slow.state.name == "WaitingForSendAck"
        server.tell("the second has timed out")
        assert client.wait()
        assert slow.state.name == "SendComplete"


def test_what_has_timed_out_is_not_sent_any_more() -> None:
    """A message that waits for the session's window when its time is over is withdrawn."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin(incoming_window=1)
        accept_sender(peer, session=False)
        first = peer.expect("transfer")
        peer.wait("the second has timed out")
        settle(peer, first)
        peer.send("flow", incoming_window=10)
        settle(peer, peer.expect("transfer", payload=data_message(b"third")))
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server), msg_timeout=5000) as client, bounded(5):
        client.queue_message(Message(b"first"))
        client._msg_timeout = 100
        client.queue_message(second := Message(b"second"))
        until(lambda: second.state is MessageState.SendFailed, client.do_work)
        server.tell("the second has timed out")
        client._msg_timeout = 5000
        client.send_message(Message(b"third"))


def test_a_peer_that_stalls_is_given_up(clock: Clock) -> None:
    """A message without a time-out fails when the peer gives neither credit nor an outcome for `stall_timeout`."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        peer.expect("transfer")
        peer.wait_out(25)
        accept_leaving(peer)

    with (
        ScriptedServer(script, clock=clock) as server,
        SendClient(url(server), stall_timeout=20.5) as client,
        bounded(5),
    ):
        messages = [Message(b"sent"), Message(b"unsent")]
        with pytest.raises(errors.ClientMessageError, match=r"timed out.*20\.5 seconds"):
            client.send_message(messages)
        assert [message.state for message in messages] == [MessageState.SendFailed] * 2


def test_a_peer_that_is_slow_is_not_given_up(clock: Clock) -> None:
    """Every outcome is a sign of life."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=5)
        came = [peer.expect("transfer") for _ in range(5)]
        for number, transfer in enumerate(came):
            peer.stay_silent(20)
            settle(peer, transfer)
            peer.server.wait(f"outcome {number}")
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, SendClient(url(server), stall_timeout=30) as client, bounded(5):
        messages = [Message(b"%d" % number) for number in range(5)]
        for number, message in enumerate(messages):
            message.on_send_complete = lambda result, error, number=number: server.tell(f"outcome {number}")
        client.send_message(messages)


def test_outcomes_of_others_do_not_save_a_message_whose_own_is_lost(clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=100_000)
        body = b""
        while body != b"last":
            transfer = peer.expect("transfer")
            body = body_of(transfer)
            if body != b"lost":
                peer.stay_silent(1)
                settle(peer, transfer)
        accept_leaving(peer)

    server = ScriptedServer(script, clock=clock)
    with server, SendClient(url(server), stall_timeout=30) as client, bounded(10):
        client.send_message(Message(b"first"))
        calls = noting(lost := Message(b"lost"))
        client.queue_message(lost)
        until(lambda: calls, lambda: client.send_message(Message(b"other")))
        assert lost.state is MessageState.SendFailed
        assert "while others had theirs" in str(calls[0][1])
        client.send_message(Message(b"last"))


def test_a_pause_of_ours_is_no_stall_of_the_peers(clock: Clock) -> None:
    """Programs of 1.6 call in when they like; the time in between isn't held against the peer."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        transfer = peer.expect("transfer")
        peer.tell("sent")
        peer.wait("the program has paused")
        peer.expect_nothing(0.05)
        settle(peer, transfer)
        accept_leaving(peer)

    with ScriptedServer(script, clock=clock) as server, SendClient(url(server), stall_timeout=20) as client, bounded(5):
        client.queue_message(message := Message(b"x"))
        until(lambda: message.state is MessageState.WaitingForSendAck, client.do_work)
        server.wait("sent")
        clock.move(30)
        server.tell("the program has paused")
        assert client.wait()
        assert message.state.name == "SendComplete"


def test_an_outcome_that_came_in_time_wins_over_the_time_out(clock: Clock) -> None:
    """It was there before the time was over, though nobody looked."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        settle(peer, peer.expect("transfer"))
        peer.tell("settled")
        accept_leaving(peer)

    with (
        ScriptedServer(script, clock=clock) as server,
        SendClient(url(server), msg_timeout=15_000) as client,
        bounded(5),
    ):
        until(client.client_ready, lambda: None)
        until(lambda: client.message_handler._core.credit, client.do_work)  # type: ignore[union-attr]
        client.queue_message(message := Message(b"x"))
        client._change("handing messages over", client._queue.hand_over)
        client._connection._pump.flush()  # type: ignore[union-attr]
        server.wait("settled")
        clock.move(20)
        assert client.wait()
        assert message.state is MessageState.SendComplete
