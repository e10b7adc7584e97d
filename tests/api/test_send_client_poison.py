"""`SendClient`: the outcomes that it names, and messages over which a peer ends the link. With both fronts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    accept_session,
    body_of,
    connect,
    noting,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import Message, MessageSender, SendClient, Session, Source, Target, errors
from uamqp.constants import ErrorCodes, MessageSendResult, MessageState

pytestmark = pytest.mark.both_fronts

ALL = ["amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"]

Script = Callable[[SocketPeer], None]


# -- the outcomes


def test_the_source_names_all_outcomes() -> None:
    """Where none are named a receiver can count on accepted alone, and Broker-J ends the link over what it refuses."""
    named: list[Any] = []

    def script(peer: SocketPeer) -> None:
        named.append(accept_sender(peer)["source"]["outcomes"])
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        until(client.client_ready, lambda: None)
    assert list(named[0]) == ALL


@pytest.mark.parametrize(
    ("source", "names"),
    [("here", ALL), (Source("here"), ALL), (Source("here", outcomes=["accepted", "rejected"]), ALL[:2])],
)
def test_those_that_the_application_names_win(source: Any, names: list[str]) -> None:
    came: list[Any] = []

    def script(peer: SocketPeer) -> None:
        came.append(accept_sender(peer)["source"])
        peer.ignore("detach", "end")
        peer.accept_close()

    with ScriptedServer(script) as server:
        connection = connect(server)
        sender = MessageSender(Session(connection), source, Target("q"))
        sender.open()
        until(lambda: sender.get_state().name == "Open", connection.work)
        connection.destroy()
    assert came[0]["address"] == "here"
    assert list(came[0]["outcomes"]) == names


def test_so_do_the_links_of_requests() -> None:
    sources: list[Any] = []

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        for _ in range(2):
            came = peer.expect("attach")
            if not came["role"]:
                sources.append(came["source"])
        peer.reset_socket()

    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        client.open()
        with pytest.raises(errors.AMQPError):
            client.mgmt_request(Message(b""), b"READ", op_type=b"x", node=b"$management")
        client.close()
    assert list(sources[0]["outcomes"]) == ALL


# -- ends of the link


def end(how: str, condition: str) -> Script:
    """End the link, its session or the connection with an error, and see it through."""
    problem = codec.error(condition, "the peer's reason")

    def finish(peer: SocketPeer) -> None:
        if how == "detach":
            peer.send("detach", handle=0, closed=True, error=problem)
            peer.expect("detach")
            peer.accept_end()
            peer.accept_close()
        elif how == "end":
            peer.send("end", error=problem)
            peer.expect("end")
            peer.accept_close()
        else:
            peer.send("close", error=problem)
            peer.expect("close")
            peer.close_socket()

    return finish


def poisoned(finish: Script, poison: bytes = b"poison", at_once: int = 10) -> Script:
    """Accept what comes, so many at a time, and end the link over the poisonous one."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=at_once)
        while True:
            came = peer.expect("transfer")
            if body_of(came) == poison:
                peer.ignore("transfer")
                return finish(peer)
            settle(peer, came)

    return script


def drain(*expected: bytes) -> Script:
    """Accept these messages, and nothing else."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        for body in expected:
            came = peer.expect("transfer")
            assert body_of(came) == body
            settle(peer, came)
        accept_leaving(peer)

    return script


def wait_again_and_again(client: Any) -> list[BaseException]:
    """As programs do: open the client anew after each failure, until all is sent."""
    raised: list[BaseException] = []
    while True:
        try:
            client.wait()
        except errors.AMQPConnectionError as error:
            raised.append(error)
            client.close()
        else:
            client.close()
            return raised


@pytest.mark.parametrize("how", ["detach", "end", "close"])
def test_a_message_that_ends_the_link_fails(how: str) -> None:
    """It was alone on its way, and the policy says that the error isn't worth another try."""
    message, other = Message(b"poison"), Message(b"other")
    calls = noting(message)
    with ScriptedServer([poisoned(end(how, "amqp:not-allowed")), drain(b"other")]) as server, bounded(10):
        client = SendClient(url(server))
        client.queue_message(message)
        assert client.send_all_messages(close_on_done=False) == [MessageState.SendFailed]
        assert client.pending_messages == []
        with pytest.raises(errors.ConnectionClose if how == "close" else errors.LinkDetach, match="the peer's reason"):
            client.send_message(other)
        client.close()
        client.queue_message(other)
        assert client.wait()
        client.close()
    assert [result for result, _ in calls] == [MessageSendResult.Error]
    assert calls[0][1].condition == ErrorCodes.NotAllowed
    with pytest.raises(errors.AMQPConnectionError, match="the peer's reason"):
        client.queue_message(message)


def test_one_of_several_is_found() -> None:
    """Nobody knows which it was: each goes alone the next time, and none but the one fails."""
    messages = [Message(body) for body in (b"1", b"2", b"poison", b"3", b"4")]

    def hold(peer: SocketPeer) -> None:
        """Ends the link before it has settled any."""
        accept_sender(peer)
        for _ in range(5):
            peer.expect("transfer")
        end("detach", "amqp:not-allowed")(peer)

    alone: list[int] = []

    def one_by_one(peer: SocketPeer) -> None:
        accept_sender(peer)
        while True:
            came = peer.expect("transfer")
            peer.expect_nothing(0.1)  # the next waits for the outcome of this
            alone.append(came["delivery_id"])
            if body_of(came) == b"poison":
                return end("detach", "amqp:not-allowed")(peer)
            settle(peer, came)

    def at_once(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = [peer.expect("transfer"), peer.expect("transfer")]
        assert [body_of(each) for each in came] == [b"3", b"4"]
        for each in came:
            settle(peer, each)
        accept_leaving(peer)

    with ScriptedServer([hold, one_by_one, at_once]) as server, bounded(10):
        client = SendClient(url(server))
        client.queue_message(*messages)
        raised = wait_again_and_again(client)
    assert len(raised) == 2
    assert len(alone) == 3
    states = [message.state.name for message in messages]
    assert states == ["SendComplete", "SendComplete", "SendFailed", "SendComplete", "SendComplete"]


def test_what_may_pass_is_tried_as_often_as_the_policy_says() -> None:
    message, other = Message(b"poison"), Message(b"other")
    with ScriptedServer([poisoned(end("detach", "amqp:internal-error"))] * 3) as server, bounded(10):
        client = SendClient(url(server), error_policy=errors.ErrorPolicy(max_retries=2))
        client.queue_message(message, other)
        raised = wait_again_and_again(client)
    assert len(raised) == 2  # the third time all is known
    assert (message.state, other.state) == (MessageState.SendFailed, MessageState.SendComplete)


@pytest.mark.parametrize(
    "condition",
    [
        "amqp:connection:forced",
        "amqp:link:detach-forced",
        "amqp:link:stolen",
        "amqp:resource-deleted",
        "amqp:link:redirect",
    ],
)
def test_what_is_no_messages_fault_is_held_against_none(condition: str) -> None:
    messages = [Message(b"1"), Message(b"2")]

    def ends(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        peer.expect("transfer")
        end("detach", condition)(peer)

    with ScriptedServer([*[ends] * 5, drain(b"1", b"2")]) as server, bounded(10):
        client = SendClient(url(server), error_policy=errors.ErrorPolicy(max_retries=1))
        client.queue_message(*messages)
        assert len(wait_again_and_again(client)) == 5
    assert [message.state for message in messages] == [MessageState.SendComplete] * 2


def test_nor_is_a_connection_that_breaks() -> None:
    def breaks(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        peer.reset_socket()

    message = Message(b"1")
    with ScriptedServer([*[breaks] * 5, drain(b"1")]) as server, bounded(10):
        client = SendClient(url(server), error_policy=errors.ErrorPolicy(max_retries=1))
        client.queue_message(message)
        assert len(wait_again_and_again(client)) == 5
    assert message.state is MessageState.SendComplete


def test_a_refusal_of_the_link_is_no_messages_fault() -> None:
    def refuses(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.refuse_attach(codec.error("amqp:not-allowed", "not now"))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    message = Message(b"1")
    with ScriptedServer([*[refuses] * 3, drain(b"1")]) as server, bounded(10):
        client = SendClient(url(server), error_policy=errors.ErrorPolicy(max_retries=1))
        client.queue_message(message)
        assert len(wait_again_and_again(client)) == 3
    assert message.state is MessageState.SendComplete


def test_what_is_sent_and_waited_for_is_the_callers_again() -> None:
    """`send_message` has raised the peer's reason: whether to try again is for the caller to say."""
    message = Message(b"poison")
    with ScriptedServer(poisoned(end("detach", "amqp:not-allowed"))) as server, bounded(10):
        client = SendClient(url(server))
        with pytest.raises(errors.LinkDetach, match="the peer's reason") as caught:
            client.send_message(message)
        assert caught.value.message_fates == {message: "unknown"}
        assert message.state is MessageState.WaitingToBeSent
        client.close()


def test_what_was_sent_beside_it_may_be_the_reason_too() -> None:
    """One message was queued, and another sent and waited for: neither was alone on its way."""

    def ends(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        peer.expect("transfer")
        end("detach", "amqp:not-allowed")(peer)

    queued, sent = Message(b"queued"), Message(b"sent")
    with ScriptedServer([ends, drain(b"queued")]) as server, bounded(10):
        client = SendClient(url(server))
        client.queue_message(queued)
        with pytest.raises(errors.LinkDetach) as caught:
            client.send_message(sent)
        assert caught.value.message_fates == {sent: "unknown"}
        assert client.pending_messages == [queued]
        client.close()
        assert client.wait()
        client.close()
    assert queued.state is MessageState.SendComplete
