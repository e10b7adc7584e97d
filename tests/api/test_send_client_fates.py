"""`SendClient`: what an exception leaves of the messages that it is about. With both fronts."""

from __future__ import annotations

import copy
import pickle
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import frame
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    body_of,
    noting,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import BatchMessage, Message, SendClient, errors
from uamqp.authentication import JWTTokenAuth, SASLAnonymous
from uamqp.codec import Error, Rejected, Symbol
from uamqp.constants import MessageState, SenderSettleMode
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


def nobody() -> str:
    """A URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"amqp://127.0.0.1:{port}/q"


def is_as_new(message: Message) -> bool:
    return (message.state, message.settled, message.retries) == (MessageState.WaitingToBeSent, False, 0)


def bodies(broker: Broker, queue: str = "q") -> list[Any]:
    return [view.body for view in broker.queue(queue).messages]


# -- no connection


@pytest.mark.parametrize("close", [True, False])
def test_refused_connections_and_a_retry_give_one_message(close: bool) -> None:
    message = Message(b"x")
    client = SendClient(nobody())
    calls = noting(message)
    for _ in range(2):
        with pytest.raises(errors.AMQPConnectionError) as caught:
            client.send_message(message)
        assert caught.value.message_fates == {message: "not sent"}
        assert message.fate == "not sent"
        assert is_as_new(message)
        assert client.pending_messages == []
        if close:
            client.close()
    with Broker() as broker, SendClient(broker.url + "/q") as another:
        another.send_message(message)
        assert bodies(broker) == [b"x"]
        assert message.fate is None
        assert message.state is MessageState.SendComplete
    assert len(calls) == 1  # for the outcome, and for no exception


def test_the_client_can_go_on_when_the_broker_is_there() -> None:
    with Broker() as broker:
        address = f"{broker.url}/q"
    client = SendClient(address)
    message = Message(b"x")
    with pytest.raises(errors.AMQPConnectionError):
        client.send_message(message)
    port = int(address.rpartition(":")[2].partition("/")[0])
    with Broker(port=port) as broker:
        client.send_message(message)
        client.close()
        assert bodies(broker) == [b"x"]


def test_what_was_queued_stays() -> None:
    client = SendClient(nobody())
    queued, sent = Message(b"queued"), Message(b"sent")
    client.queue_message(queued)
    for _ in range(2):
        with pytest.raises(errors.AMQPConnectionError) as caught:
            client.send_message(sent)
        assert list(caught.value.message_fates) == [sent]
        assert client.pending_messages == [queued]
        with pytest.raises(errors.AMQPConnectionError) as caught:
            client.wait()
        assert caught.value.message_fates == {}
        assert client.pending_messages == [queued]
    assert queued.fate is None


# -- a connection that goes


def test_a_lost_connection_is_the_same_error_until_close(broker: Broker) -> None:
    """As the guide says: for every call; then the next use connects anew, and what was queued goes out."""
    client = SendClient(broker.url + "/q")
    client.send_message(Message(b"0"))
    broker.drop_connections()
    broker.wait_for(lambda: not broker.connections)
    queued, message = Message(b"1"), Message(b"2")
    client.queue_message(queued)
    texts = set()
    for call in (client.wait, lambda: client.send_message(message), client.wait, client.do_work):
        with pytest.raises(errors.AMQPConnectionError) as caught:
            call()
        texts.add(str(caught.value))
    assert len(texts) == 1
    assert client.pending_messages == [queued]
    client.close()
    client.send_message(message)
    assert client.wait()
    client.close()
    assert sorted(bodies(broker)) == [b"0", b"1", b"2"]


def lose(how: str) -> Callable[[SocketPeer], None]:
    """Of five messages accept one, reject one, and take one without a word; then end it."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=3)
        came = [peer.expect("transfer") for _ in range(3)]
        settle(peer, came[0])
        settle(peer, came[1], codec.rejected(error=codec.error("amqp:not-allowed", "no")))
        if how == "reset":
            peer.expect_nothing(0.1)
            peer.reset_socket()
            return
        problem = codec.error("amqp:internal-error", "the peer's reason")
        if how == "close":
            peer.send("close", error=problem)
            peer.expect("close")
            peer.close_socket()
            return
        if how == "end":
            peer.send("end", error=problem)
            peer.expect("end")
            peer.accept_close()
            return
        peer.send("detach", handle=0, closed=True, error=problem)
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    return script


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("reset", errors.ConnectionClose),
        ("close", errors.ConnectionClose),
        ("end", errors.LinkDetach),
        ("detach", errors.LinkDetach),
    ],
)
def test_the_fates_of_a_batch(how: str, kind: type[errors.AMQPError]) -> None:
    messages = [Message(b"%d" % number) for number in range(5)]
    accepted, refused, unknown, *unsent = messages
    callbacks = [noting(message) for message in messages]
    with ScriptedServer(lose(how)) as server, bounded(5):
        client = SendClient(url(server))
        queued = Message(b"queued")
        with pytest.raises(kind) as caught:
            client.send_message(messages)
        client.queue_message(queued)
        assert caught.value.message_fates == {unknown: "unknown", unsent[0]: "not sent", unsent[1]: "not sent"}
        assert [message.fate for message in messages] == [None, None, "unknown", "not sent", "not sent"]
        assert (accepted.state, refused.state) == (MessageState.SendComplete, MessageState.SendFailed)
        assert all(map(is_as_new, (unknown, *unsent)))
        assert client.pending_messages == [queued]
        client.close()
    assert [len(calls) for calls in callbacks] == [1, 1, 0, 0, 0]
    with Broker() as broker, SendClient(broker.url + "/q") as again:
        again.send_message([accepted, unknown, *unsent])  # what was accepted is left out, beside others
        assert bodies(broker) == [b"2", b"3", b"4"]
        with pytest.raises(errors.MessageAlreadySettled):
            again.send_message(messages[2:])
        with pytest.raises(errors.MessageSendFailed, match="no"):
            again.send_message(refused)


def test_the_error_is_a_copy() -> None:
    """What the connection keeps, to raise it with every call, gathers nothing of any of them."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        peer.send("close", error=codec.error("amqp:connection:forced", "for a reason"))
        peer.expect("close")
        peer.close_socket()

    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        first, second = Message(b"1"), Message(b"2")
        raised = []
        for message in (first, second):
            with pytest.raises(errors.ConnectionClose, match="for a reason") as caught:
                client.send_message(message)
            raised.append(caught.value)
        client.close()
    stored = raised[0].__cause__
    assert type(stored) is type(raised[0])
    assert raised[1].__cause__ is stored
    assert (stored.condition, stored.args) == (raised[0].condition, raised[0].args)
    assert [list(error.message_fates.items()) for error in raised] == [[(first, "unknown")], [(second, "not sent")]]
    assert not stored.message_fates
    assert stored.__traceback__ is None
    assert raised[0].__traceback__ is not None
    duplicate = pickle.loads(pickle.dumps(raised[1]))
    assert list(duplicate.message_fates.values()) == ["not sent"]


def test_outcomes_that_came_with_the_end_are_outcomes() -> None:
    """All is accepted, and the connection closed in the same moment: there is nothing to raise, yet."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        number = peer.expect("transfer")["delivery_id"]
        outcome = {"role": True, "first": number, "settled": True, "state": codec.accepted()}
        end = {"error": codec.error("amqp:connection:forced", "for a reason")}
        both = [codec.Composite("disposition", outcome), codec.Composite("close", end)]
        peer.send_raw(b"".join(frame(codec.encode_composite(each)) for each in both))
        peer.expect("close")
        peer.close_socket()

    message = Message(b"x")
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        client.send_message(message)
        assert message.state is MessageState.SendComplete
        with pytest.raises(errors.ConnectionClose, match="for a reason"):
            client.send_message(Message(b"y"))
        client.close()


def test_a_message_that_was_refused_before_is_not_unknown() -> None:
    """The peer has refused it, and it was to be tried again, when the connection is lost."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        settle(peer, peer.expect("transfer"), codec.released())
        peer.expect_nothing(0.1)
        peer.reset_socket()

    message = Message(b"x")
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message(message)
        client.close()
    assert caught.value.message_fates == {message: "not sent"}
    assert is_as_new(message)


def test_a_large_message_of_which_a_part_is_out() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(max_frame_size=512)
        peer.accept_begin(incoming_window=2)
        accept_sender(peer, session=False)
        peer.expect("transfer", more=True)
        peer.expect("transfer", more=True)
        peer.reset_socket()

    large, next_one = Message(b"x" * 5000), Message(b"y")
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message([large, next_one])
        client.close()
    assert caught.value.message_fates == {large: "unknown", next_one: "not sent"}


def test_what_is_sent_settled() -> None:
    """No outcome is waited for: a message is complete when the connection has taken it whole."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(max_frame_size=512)
        peer.accept_begin(incoming_window=3)
        accept_sender(peer, session=False)
        peer.expect("transfer", settled=True)
        peer.expect("transfer", more=True)
        peer.expect("transfer", more=True)
        peer.reset_socket()

    whole, part, unsent = Message(b"x"), Message(b"x" * 5000), Message(b"y")
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server), send_settle_mode=SenderSettleMode.Settled)
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message([whole, part, unsent])
        client.close()
    assert whole.state is MessageState.SendComplete
    assert caught.value.message_fates == {part: "unknown", unsent: "not sent"}


# -- other errors


def test_what_get_token_raises_comes_out_as_it_is(broker: Broker) -> None:
    reason = LookupError("no token here")

    def get_token() -> Any:
        raise reason

    address = f"amqp://127.0.0.1:{broker.port}/q"
    auth = JWTTokenAuth(address, address, get_token, port=broker.port, use_tls=False)
    client = SendClient(address, auth=auth)
    message = Message(b"x")
    with pytest.raises(LookupError) as caught:
        client.send_message(message)
    assert caught.value is reason
    assert message.fate == "not sent"
    assert is_as_new(message)
    assert client.pending_messages == []
    client.close()


def test_a_time_out_says_whether_the_message_may_have_arrived(clock: Clock) -> None:
    """It is an outcome of this side: the message has failed, as in 1.6, and its callback was called."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        peer.expect("transfer")
        peer.stay_silent(31)
        accept_leaving(peer)

    sent, unsent = Message(b"1"), Message(b"2")
    calls = noting(sent)
    server = ScriptedServer(script, clock=clock)
    with server, SendClient(url(server), msg_timeout=30_000) as client, bounded(20):
        with pytest.raises(errors.ClientMessageError, match="timed out") as caught:
            client.send_message([sent, unsent])
        assert caught.value.message_fates == {sent: "unknown", unsent: "not sent"}
        assert (sent.state, unsent.state) == (MessageState.SendFailed, MessageState.SendFailed)
        assert len(calls) == 1
        with pytest.raises(TimeoutError):
            client.send_message(unsent)


def test_a_time_out_and_then_the_end_of_the_connection(clock: Clock) -> None:
    """The time-out is told with the end."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        peer.expect("transfer")
        peer.stay_silent(31)
        peer.wait("it has timed out")
        peer.reset_socket()

    timed_out, patient = Message(b"1"), Message(b"2")

    with ScriptedServer(script, clock=clock) as server, bounded(20):
        client = SendClient(url(server))
        client._msg_timeout = 30_000
        timed_out.on_send_complete = lambda result, error: server.tell("it has timed out")
        client.queue_message(timed_out)
        client._msg_timeout = 0
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message(patient)
        assert caught.value.message_fates == {patient: "not sent"}
        assert (timed_out.state, timed_out.fate) == (MessageState.SendFailed, "unknown")
        client.close()


def test_closing_meanwhile_gives_the_messages_back() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=2)
        settle(peer, peer.expect("transfer"))
        peer.expect("transfer")
        peer.tell("two are here")
        accept_leaving(peer)

    messages = [Message(b"%d" % number) for number in range(3)]
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        queued = Message(b"queued")

        def close_then() -> None:
            server.wait("two are here")
            until(lambda: messages[0].state is MessageState.SendComplete, lambda: None)
            client.close()

        thread = threading.Thread(target=close_then)
        thread.start()
        with pytest.raises(errors.ClientMessageError, match="closed before 2 of 3") as caught:
            client.send_message(messages)
        thread.join()
        client.queue_message(queued)
        assert caught.value.message_fates == {messages[1]: "unknown", messages[2]: "not sent"}
        assert client.pending_messages == [queued]
        assert is_as_new(messages[1])


def test_a_redirect_gives_back_what_others_wait_for() -> None:
    """A redirect drops what is pending: it can be queued again."""
    message = Message(b"x")
    with Broker() as broker:
        first = SendClient(broker.url + "/q")
        first.queue_message(message)
        first.open()
        redirect = errors.LinkRedirect(
            b"amqp:link:redirect", None, {b"hostname": b"127.0.0.1", b"address": f"{broker.url}/other".encode()}
        )
        first.redirect(redirect, SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False))
        assert first.pending_messages == []
        assert is_as_new(message)
        first.send_message(message)
        first.close()
        assert bodies(broker, "other") == [b"x"]


# -- batches


def test_the_fate_of_what_was_given() -> None:
    """A batch goes out as another message: there is a fate for it, and for that."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=2)
        settle(peer, peer.expect("transfer"))
        peer.expect("transfer")
        peer.reset_socket()

    accepted, unknown, unsent = (BatchMessage([b"%d" % number]) for number in range(3))
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message([accepted, unknown, unsent])
        client.close()
    fates = caught.value.message_fates
    assert (fates[unknown], fates[unsent]) == ("unknown", "not sent")
    assert accepted not in fates
    assert sorted(fates.values()) == ["not sent"] * 2 + ["unknown"] * 2
    assert (unknown.fate, unsent.fate) == ("unknown", "not sent")


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("used_up", [True, False])
def test_a_batch_can_be_sent_again(several: bool, used_up: bool, broker: Broker) -> None:
    """Also one whose data was an iterator, which is used up."""
    size = 400_000 if several else 10
    parts = [bytes([65 + number]) * size for number in range(5)]
    batch = BatchMessage(iter(parts) if used_up else parts, multi_messages=several)
    client = SendClient(nobody())
    for _ in range(2):
        with pytest.raises(errors.AMQPConnectionError) as caught:
            client.send_message(batch)
        assert caught.value.message_fates[batch] == "not sent"
    with SendClient(broker.url + "/q") as again:
        again.send_message(batch)
    with SendClient(broker.url + "/expected") as another:
        another.send_message(BatchMessage(parts, multi_messages=several))
    assert bodies(broker) == bodies(broker, "expected")


def test_a_batch_of_several_messages_of_which_some_were_accepted() -> None:
    """To send all of it again would send these twice, so its fate is unknown; of what is used up the rest goes out."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        settle(peer, peer.expect("transfer"))
        peer.expect_nothing(0.1)
        peer.reset_socket()

    parts = [bytes([65 + number]) * 600_000 for number in range(3)]
    batch = BatchMessage(iter(parts), multi_messages=True)
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message(batch)
        client.close()
    assert caught.value.message_fates[batch] == "unknown"
    assert sorted(caught.value.message_fates.values()) == ["not sent", "not sent", "unknown"]
    with Broker() as broker, SendClient(broker.url + "/q") as again:
        again.send_message(batch)
        assert broker.queue("q").depth == 2


# -- pending once


@pytest.fixture
def silent(broker: Broker) -> Broker:
    """A broker that gives no credit."""
    broker.faults.withhold_credit = True
    return broker


@pytest.mark.parametrize("how", ["queue_message", "send_message"])
def test_a_pending_message_is_not_queued_twice(how: str, broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    message, other = Message(b"x"), Message(b"y")
    client.queue_message(message)
    give = {"queue_message": client.queue_message, "send_message": lambda *given: client.send_message(given)}[how]
    with pytest.raises(
        ValueError, match=r"^Message 1 of these is pending in this client already, and is sent once. To send the same"
    ):
        give(other, message)
    assert client.pending_messages == [message]
    with pytest.raises(ValueError, match="pending in this client"):
        give(other, other)
    assert client.pending_messages == [message]
    assert client.wait()
    client.send_message(other)
    client.close()
    assert bodies(broker) == [b"x", b"y"]


@pytest.mark.parametrize("how", ["queue_message", "send_message"])
def test_nor_in_two_clients(how: str, silent: Broker) -> None:
    message = Message(b"x")
    first = SendClient(silent.url + "/q", client_name="the first")
    second = SendClient(silent.url + "/q")
    first.open()
    first.queue_message(message)
    with pytest.raises(ValueError, match="pending in the client 'the first' already"):
        getattr(second, how)(message)
    assert (first.pending_messages, second.pending_messages) == ([message], [])
    duplicate = copy.copy(message)
    second.queue_message(duplicate)
    silent.faults.withhold_credit = False
    for client in (first, second):
        assert client.wait()
        client.close()
    assert bodies(silent) == [b"x", b"x"]


@pytest.mark.parametrize("how", ["queue_message", "send_message"])
def test_a_client_that_is_closed_gives_them_up(how: str, broker: Broker) -> None:
    """As programs of 1.6 do: they queue what a client that has failed has left with another. Then it has left it."""
    messages = [Message(b"%d" % number) for number in range(3)]
    first = SendClient(nobody())
    first.queue_message(*messages)
    with pytest.raises(errors.AMQPConnectionError):
        first.wait()
    with SendClient(broker.url + "/q") as second:
        if how == "queue_message":
            second.queue_message(*first.pending_messages)
            assert second.wait()
        else:
            second.send_message(first.pending_messages)
    assert first.pending_messages == []
    assert bodies(broker) == [b"0", b"1", b"2"]
    assert all(message.state is MessageState.SendComplete for message in messages)


def test_a_client_whose_connection_is_lost_gives_them_up(broker: Broker) -> None:
    first = SendClient(broker.url + "/q")
    first.open()
    until(first.client_ready, lambda: None)
    first.queue_message(message := Message(b"x"))
    broker.faults.withhold_outcomes = True
    until(lambda: message.state is MessageState.WaitingForSendAck, first.do_work)
    broker.wait_for(lambda: broker.queue("q").depth == 1)
    broker.drop_connections()
    with pytest.raises(errors.AMQPConnectionError):
        first.wait()
    broker.faults.clear()
    assert message.fate == "unknown"
    with SendClient(broker.url + "/q") as second:
        second.send_message(message)
    assert first.pending_messages == []
    first.close()


def test_copies_are_pending_nowhere(silent: Broker) -> None:
    client = SendClient(silent.url + "/q")
    client.open()
    client.queue_message(message := Message(b"x"))
    others = [copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))]
    client.queue_message(*others)
    assert client.pending_messages == [message, *others]
    silent.faults.withhold_credit = False
    assert client.wait()
    client.close()
    assert silent.queue("q").depth == 4


# -- what has an outcome


def test_failed_messages_raise_their_error_again(broker: Broker) -> None:
    broker.faults.outcome = lambda address, payload: (
        Rejected(Error(Symbol("amqp:not-allowed"), "not this one")) if b"bad" in payload else None
    )
    good, bad, new = Message(b"good"), Message(b"bad"), Message(b"new")
    with SendClient(broker.url + "/q") as client:
        with pytest.raises(errors.ClientMessageError) as caught:
            client.send_message([good, bad])
        failure = caught.value.info["failed_messages"][bad]
        assert caught.value.message_fates == {}
        for given in (bad, [new, bad], [bad, good]):
            for give in (client.send_message, lambda given: client.queue_message(*listed(given))):
                with pytest.raises(errors.MessageSendFailed, match="not this one") as again:
                    give(given)
                assert again.value is failure
        assert client.pending_messages == []
        assert is_as_new(new)


def listed(given: Any) -> list[Message]:
    return given if isinstance(given, list) else [given]


def test_to_send_the_same_again_takes_a_new_message(silent: Broker) -> None:
    """As the error of a pending message says: a copy of it works, one that is made later has the outcome."""
    client = SendClient(silent.url + "/q", msg_timeout=50)
    message = Message(b"x")
    client.queue_message(message)
    with pytest.raises(ValueError, match=r"make a new Message or, while this one is pending, a copy of it") as caught:
        client.queue_message(message)
    assert "wait for its outcome" not in str(caught.value)
    early = copy.copy(message)
    client.wait()
    assert message.state is MessageState.SendFailed
    for late in (message, copy.copy(message)):
        with pytest.raises(TimeoutError):
            client.send_message(late)
    silent.faults.withhold_credit = False
    client.close()
    with SendClient(silent.url + "/q") as client:
        client.send_message([early, Message(list(message.get_data()))])
    assert bodies(silent) == [b"x", b"x"]


def test_accepted_messages_are_left_out_beside_others(broker: Broker) -> None:
    done, more, new, newer = (Message(b"%d" % number) for number in range(4))
    with SendClient(broker.url + "/q") as client:
        client.send_message([done, more])
        for given in (done, [done], [done, more]):
            for _ in range(2):
                with pytest.raises(errors.MessageAlreadySettled) as caught:
                    client.send_message(given)
                assert caught.value.__traceback__ is not None
            with pytest.raises(errors.MessageAlreadySettled):
                client.queue_message(*listed(given))
        client.send_message([done, new, more])
        client.queue_message(done, newer)
        assert client.pending_messages == [newer]
        assert client.wait()
    assert bodies(broker) == [b"0", b"1", b"2", b"3"]


def test_messages_are_told_by_identity() -> None:
    first, second = Message(b"x"), Message(b"x")
    assert len({first: 1, second: 2}) == 2
    assert first != second

    class Odd(Message):
        """It can be no key of a dict."""

        __hash__ = None  # type: ignore[assignment]

    client = SendClient(nobody())
    odd = Odd(b"x")
    with pytest.raises(errors.AMQPConnectionError) as caught:
        client.send_message([odd, first])
    assert caught.value.message_fates == {first: "not sent"}
    assert odd.fate == "not sent"
    assert client.pending_messages == []


# -- the retry of the documentation


def test_a_retry_by_the_fates(broker: Broker) -> None:
    """Those that aren't in `message_fates` have an outcome, and aren't sent again."""
    messages = [Message(b"%d" % number) for number in range(500)]
    broker.faults.cut_after_frames_in = 100
    broker.faults.cut_times = 3
    left: list[Message] = list(messages)
    unknown: set[Message] = set()
    client = SendClient(broker.url + "/q")
    for _ in range(4):
        try:
            client.send_message(left)
            break
        except errors.AMQPConnectionError as error:
            left = list(error.message_fates)
            unknown |= {message for message, fate in error.message_fates.items() if fate == "unknown"}
            client.close()
    client.close()
    assert all(message.state is MessageState.SendComplete for message in messages)
    there = bodies(broker)
    assert set(there) == {b"%d" % number for number in range(500)}
    twice = {body for body in there if there.count(body) > 1}
    assert twice <= {b"".join(message.get_data()) for message in unknown}


@pytest.mark.blocking("the document's code is for the blocking front")
@pytest.mark.parametrize("document", ["docs/classic.md", "docs/migration.md"])
def test_the_retry_that_the_documents_show(document: str, broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / document).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import time\n.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code[: code.index("\nwith")] if "\nwith" in code else code, document, "exec"), names)
    messages = [Message(b"%d" % number) for number in range(300)]
    broker.faults.cut_after_frames_in = 60
    broker.faults.cut_times = 3
    with SendClient(broker.url + "/q") as client:
        names["send"](client, messages)
        assert all(message.state is MessageState.SendComplete for message in messages)
        with pytest.raises(errors.MessageAlreadySettled):
            names["send"](client, messages)
    assert set(bodies(broker)) == {b"%d" % number for number in range(300)}
    broker.stop()
    new = Message(b"new")
    with SendClient(nobody()) as client, pytest.raises(errors.AMQPConnectionError):
        names["send"](client, [new], 2)
    assert new.fate == "not sent"
    capsys.readouterr()


def test_a_withdrawn_message_is_not_sent_later() -> None:
    """It waits for the session's window, already with the link, when the client is closed."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin(incoming_window=1)
        accept_sender(peer, session=False)
        assert body_of(peer.expect("transfer")) == b"0"
        peer.tell("one is here")
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    messages = [Message(b"%d" % number) for number in range(3)]
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        raised: list[errors.ClientMessageError] = []

        def send() -> None:
            with pytest.raises(errors.ClientMessageError) as caught:
                client.send_message(messages)
            raised.append(caught.value)

        thread = threading.Thread(target=send)
        thread.start()
        server.wait("one is here")
        client.close()
        thread.join()
    assert list(raised[0].message_fates.values()) == ["unknown", "not sent", "not sent"]
