"""`SendClient`: queueing, sending, outcomes, credit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import decode_sections
from tests.peer.script import ABSENT, ANY, RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    accept_session,
    body_of,
    noting,
    send_once,
    settle,
    url,
)
from tests.support.waiting import bounded, until
from uamqp import BatchMessage, Message, SendClient, Target, c_uamqp, errors, types
from uamqp.authentication import SASLAnonymous
from uamqp.codec import Error, Rejected, Symbol
from uamqp.constants import (
    BATCH_MESSAGE_FORMAT,
    ErrorCodes,
    MessageSendResult,
    MessageState,
    SenderSettleMode,
)
from uamqp.message import MessageProperties
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


def test_send_message_waits_until_the_peer_has_accepted(broker: Broker) -> None:
    message = Message(b"x")
    calls = noting(message)
    with SendClient(broker.url + "/q") as client:
        client.send_message(message)
        assert message.state is MessageState.SendComplete
        assert calls == [(MessageSendResult.Ok, None)]
        assert client.pending_messages == []
        assert not client.messages_pending()
        client.send_message([Message(b"y"), Message(b"z")])
    assert [view.body for view in broker.queue("q").messages] == [b"x", b"y", b"z"]


def test_send_message_opens_and_closes(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    client.send_message(Message(b"x"))
    assert len(broker.connections) == 1
    client.send_message(Message(b"y"), close_on_done=True)
    broker.wait_for(lambda: broker.connections == ())
    assert not client.do_work()


def test_a_sent_message_is_not_sent_again(broker: Broker) -> None:
    message = Message(b"x")
    with SendClient(broker.url + "/q") as client:
        client.send_message(message)
        with pytest.raises(errors.MessageAlreadySettled):
            client.send_message(message)
        with pytest.raises(errors.MessageAlreadySettled):
            client.queue_message(message)
    assert broker.queue("q").depth == 1


def test_queue_and_wait(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    messages = [Message(b"%d" % number) for number in range(5)]
    client.queue_message(messages[0])  # before open
    assert abs(messages[0].idle_time - client._counter.get_current_ms()) < 5000
    messages[1].idle_time = -1
    assert client.pending_messages == messages[:1]
    client.open()
    client.queue_message(*messages[1:])
    assert client.messages_pending()
    assert client.pending_messages == messages
    assert [message.state for message in messages] == [MessageState.WaitingToBeSent] * 5
    assert messages[1].idle_time >= 0
    assert client.wait() is True
    assert not client.messages_pending()
    client.close()
    assert [view.body for view in broker.queue("q").messages] == [b"0", b"1", b"2", b"3", b"4"]


def test_queue_and_poll(broker: Broker) -> None:
    """The loop that programs of 1.6 have."""
    client = SendClient(broker.url + "/q")
    client.queue_message(Message(b"x"))
    client.open()
    until(client.client_ready, lambda: None)
    until(lambda: not client.messages_pending(), client.do_work)
    assert client.do_work(batch=3, whatever=None) is True  # keywords are ignored
    client.close()
    assert client.do_work() is False
    assert broker.queue("q").depth == 1


def test_send_all_messages_says_what_became_of_each(broker: Broker) -> None:
    broker.faults.outcome = lambda address, payload: reject() if b"bad" in payload else None
    client = SendClient(broker.url + "/q")
    good, bad, fine = Message(b"good"), Message(b"bad"), Message(b"fine")
    calls = noting(bad)
    client.queue_message(good, bad, fine)
    assert client.send_all_messages() == [
        MessageState.SendComplete,
        MessageState.SendFailed,
        MessageState.SendComplete,
    ]
    assert [result for result, _ in calls] == [MessageSendResult.Error]
    assert isinstance(calls[0][1], errors.MessageSendFailed)
    broker.wait_for(lambda: broker.connections == ())
    with SendClient(broker.url + "/q") as another:
        assert another.send_all_messages(close_on_done=False) == []
        another.queue_message(Message(b"1"))
        assert another.send_all_messages(close_on_done=False) == [MessageState.SendComplete]
        assert another.do_work()


def reject() -> Rejected:
    return Rejected(Error(Symbol("amqp:not-allowed"), "not this one"))


def test_send_message_raises_for_what_failed(broker: Broker) -> None:
    broker.faults.outcome = lambda address, payload: reject() if b"bad" in payload else None
    good, bad = Message(b"good"), Message(b"bad")
    with SendClient(broker.url + "/q") as client:
        with pytest.raises(errors.ClientMessageError) as caught:
            client.send_message([good, bad])
        error = caught.value
        assert error.condition == ErrorCodes.NotAllowed
        assert error.description == b"not this one"
        assert error.info["total_messages"] == 2
        assert error.info["number_failed"] == 1
        assert list(error.info["failed_messages"]) == [bad]
        assert isinstance(error.info["failed_messages"][bad], errors.MessageSendFailed)
        client.send_message(Message(b"the client can still be used"))


def test_a_batch_goes_out_as_one(broker: Broker) -> None:
    formats: list[int] = []

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = peer.expect("transfer", message_format=BATCH_MESSAGE_FORMAT)
        formats.append(came["message_format"])
        settle(peer, came)
        accept_leaving(peer)

    batch = BatchMessage([b"1", b"2", b"3"])
    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message(batch)
    assert formats == [BATCH_MESSAGE_FORMAT]


def test_a_batch_has_one_callback(broker: Broker) -> None:
    batch = BatchMessage([b"1", b"2"])
    calls = noting(batch)
    with SendClient(broker.url + "/q") as client:
        client.send_message(batch)
        client.send_message([])
        assert client.wait()
    assert calls == [(MessageSendResult.Ok, None)]


def test_a_batch_of_several_messages(broker: Broker) -> None:
    batch = BatchMessage((b"x" * 600_000 for _ in range(3)), multi_messages=True)
    with SendClient(broker.url + "/q") as client:
        client.send_message(batch)
    assert broker.queue("q").depth == 3


def test_an_unsendable_body_fails_alone(broker: Broker) -> None:
    class Unencodable(Message):
        def encode_message(self) -> bytes:
            raise ValueError("this body can't be encoded")

    good, bad = Message(b"good"), Unencodable(b"x")
    with SendClient(broker.url + "/q") as client:
        with pytest.raises(errors.ClientMessageError, match="this body can't be encoded"):
            client.send_message([bad, good])
    assert good.state is MessageState.SendComplete
    assert bad.state is MessageState.SendFailed


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"annotations": {"ü": 1}}, "'ü'"),
        ({"delivery_annotations": {-5: 1}}, "-5"),
        ({"footer": {2.5: 1}}, "2.5"),
        ({"application_properties": {7: 1}}, "7"),
        ({"application_properties": {"deep": nested(64)}}, "'deep' can't be encoded: values are nested deeper than 64"),
        ({"annotations": {"deep": nested(64)}}, "'deep' can't be encoded: values are nested deeper than 64"),
    ],
)
def test_a_section_that_has_no_encoding_fails_its_message(broker: Broker, sections: dict[str, Any], named: str) -> None:
    with SendClient(broker.url + "/q") as client:
        with pytest.raises(errors.ClientMessageError) as raised:
            client.send_message(Message(b"x", **sections))
        assert named in str(raised.value)
        client.send_message(Message(b"y"))
    assert [view.body for view in broker.queue("q").messages] == [b"y"]


def test_what_is_no_message_is_refused() -> None:
    client = SendClient("amqp://localhost/q")
    for wrong in ("text", 5, None):
        with pytest.raises((TypeError, AttributeError), match=type(wrong).__name__):
            client.queue_message(wrong)  # type: ignore[arg-type]
    assert client.pending_messages == []


def test_a_message_over_the_peers_limit_fails_alone() -> None:
    """The peer's max-message-size is kept to."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, max_message_size=1000)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        large, small = Message(b"x" * 1000), Message(b"y" * 500)
        with pytest.raises(errors.ClientMessageError, match="1000") as caught:
            client.send_message([large, small])
        assert caught.value.condition == ErrorCodes.LinkMessageSizeExceeded
        assert client.message_handler is not None
        assert client.message_handler._link.peer_max_message_size == 1000
    assert (large.retries, small.state) == (0, MessageState.SendComplete)


# -- the wire


def test_what_attach_says() -> None:
    def script(peer: SocketPeer) -> None:
        came = accept_sender(peer)
        assert came["target"]["address"] == "q"
        assert came["source"]["address"] == "me"
        assert came["name"].startswith("sender-link-")
        assert came.get("snd_settle_mode") == 0
        assert came.get("rcv_settle_mode") == 0
        assert came["initial_delivery_count"] == 0
        assert came["desired_capabilities"] == ["com.microsoft:georeplication", "b"]
        assert came["properties"] == {codec.sym("com.x:name"): codec.string("v")}
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = SendClient(
            Target(url(server)),
            client_name="me",
            desired_capabilities=[b"com.microsoft:georeplication", "b"],
            link_properties={b"com.x:name": "v"},
        )
        client.open()
        until(client.client_ready, lambda: None)
        client.close()


def test_what_open_says() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        opened = peer.accept_open()
        assert opened["container_id"] == "me"
        assert opened["hostname"] == "127.0.0.1"
        assert opened.get("max_frame_size") == 4096
        assert opened.get("channel_max") == 7
        assert opened["idle_time_out"] == 5000
        assert opened["properties"] == {codec.sym("product"): codec.string("p")}
        begin = peer.accept_begin()
        assert (begin["incoming_window"], begin["outgoing_window"], begin.get("handle_max")) == (11, 12, 13)
        accept_sender(peer, session=False)
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = SendClient(
            url(server),
            client_name=b"me",
            max_frame_size=4096,
            channel_max=7,
            idle_timeout=5000,
            properties={"product": "p"},
            incoming_window=11,
            outgoing_window=12,
            handle_max=13,
        )
        client.open()
        until(client.client_ready, lambda: None)
        client.close()


def test_sending_settled() -> None:
    """SenderSettleMode.Settled: no outcome is waited for."""

    def script(peer: SocketPeer) -> None:
        assert accept_sender(peer).get("snd_settle_mode") == 1
        peer.expect("transfer", settled=True)
        accept_leaving(peer)

    message = Message(b"x")
    calls = noting(message)
    with ScriptedServer(script) as server:
        with SendClient(url(server), send_settle_mode=SenderSettleMode.Settled) as client:
            client.send_message(message)
    assert message.state is MessageState.SendComplete
    assert calls == [(MessageSendResult.Ok, None)]


def test_what_goes_as_which_type() -> None:
    """Rule 8: a symbol as message-id goes as a string, an int as ulong: AMQP allows nothing else, brokers neither.

    Rule 7: a type of the application's own, which overrides `_c_wrapper` alone (azure-servicebus has one).
    """

    class Stamp(types.AMQPType):
        def _c_wrapper(self, value: Any) -> Any:
            return c_uamqp.timestamp_value(int(value))

    sections: list[dict[str, Any]] = []

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        for _ in range(2):
            came = peer.expect("transfer")
            sections.append(dict(decode_sections(came.payload)))
            settle(peer, came)
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message(
            Message(
                b"x",
                properties=MessageProperties(message_id=types.AMQPSymbol("id"), correlation_id=5),
                application_properties={"when": Stamp(1234), "bytes": b"text", "binary": bytearray(b"b")},
                annotations={"x-opt-key": 1},
            )
        )
        client.send_message(Message(b"y", properties=MessageProperties(message_id=7, reply_to="r")))
    first, second = sections
    assert (first["properties"]["message_id"].kind, first["properties"]["correlation_id"].kind) == ("string", "ulong")
    assert second["properties"]["message_id"].kind == "ulong"
    kinds = {key.value: value.kind for key, value in first["application_properties"].items()}
    assert kinds == {"when": "timestamp", "bytes": "string", "binary": "binary"}
    assert [key.kind for key in first["message_annotations"]] == ["symbol"]


def test_nuls_arrive() -> None:
    """Defect 12: text was cut at a NUL, in both directions."""
    payloads: list[bytes] = []

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        came = peer.expect("transfer")
        payloads.append(came.payload)
        settle(peer, came)
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message(
            Message("be\0fore", properties=MessageProperties(subject="s\0t"), application_properties={"k\0k": "v\0v"})
        )
    for text in (b"be\0fore", b"s\0t", b"k\0k", b"v\0v"):
        assert text in payloads[0]


def test_a_large_message_is_split_by_the_peers_frame_size() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(max_frame_size=512)
        peer.accept_begin()
        accept_sender(peer, session=False)
        first = peer.expect("transfer", delivery_id=0, delivery_tag=ANY, more=True)
        payload, came = first.payload, first
        while came.get("more"):
            came = peer.expect("transfer")
            payload += came.payload
            assert len(came.raw) <= 512
        assert body_of(came.__class__(0, 0, came.body, payload, b"")) == b"x" * 10_000
        settle(peer, first)
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message(Message(b"x" * 10_000))
        assert client._connection is not None
        assert client._connection.remote_max_frame_size == 512


# -- credit


def test_no_more_goes_out_than_the_peer_has_given_credit_for() -> None:
    """Defect 3: with a credit of 1, 1.6.11 gave itself 10000 and sent all it had."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=1)
        first = peer.expect("transfer")
        peer.expect_nothing(0.15)
        settle(peer, first)
        peer.expect_nothing(0.15)
        peer.grant(2)
        for came in (peer.expect("transfer"), peer.expect("transfer")):
            settle(peer, came)
        peer.expect_nothing(0.1)
        peer.grant(10)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server), link_credit=500) as client:
        messages = [Message(b"%d" % number) for number in range(4)]
        client.send_message(messages)
    assert [message.state for message in messages] == [MessageState.SendComplete] * 4


def test_credit_may_be_taken_back_and_given_again() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=2)
        peer.grant(0)
        peer.ignore("flow")
        peer.tell("the credit is gone")
        peer.expect_nothing(0.15)
        peer.grant(5)
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        until(client.client_ready, lambda: None)
        server.wait("the credit is gone")
        client._connection.sleep(0.02)  # type: ignore[union-attr]
        client.send_message(Message(b"x"))


def test_a_drain_is_answered() -> None:
    """The peer's drain takes back the credit that isn't used."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=0)
        peer.grant(10, drain=True)
        peer.expect("flow", link_credit=0, delivery_count=10)
        peer.tell("drained")
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        until(client.client_ready, lambda: None)
        client._connection.sleep(0.05)  # type: ignore[union-attr]
        server.wait("drained")


def test_the_session_window_is_kept_to() -> None:
    """Transfer frames beyond the peer's incoming-window wait for its flow."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin(incoming_window=2)
        accept_sender(peer, credit=10, session=False)
        came = [peer.expect("transfer"), peer.expect("transfer")]
        peer.expect_nothing(0.15)
        peer.send("flow", incoming_window=10)
        came.append(peer.expect("transfer"))
        for transfer in came:
            settle(peer, transfer)
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message([Message(b"%d" % number) for number in range(3)])


# -- outcomes


def outcome_script(*dispositions: dict[str, Any]) -> Callable[[SocketPeer], None]:
    """One transfer; the dispositions given; leaving."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        number = peer.expect("transfer")["delivery_id"]
        for fields in dispositions:
            peer.send("disposition", **{"role": RECEIVER, "first": number, **fields})
        accept_leaving(peer)

    return script


def test_settled_without_a_state_is_accepted() -> None:
    """Defect 7: a settled disposition without a state never completed the message."""
    message, calls, raised = send_once(outcome_script({"settled": True, "state": ABSENT}))
    assert raised is None
    assert message.state is MessageState.SendComplete
    assert calls == [(MessageSendResult.Ok, None)]


def test_modified_is_a_failure() -> None:
    """Defect 4: a modified outcome was lost in the callback; send_message never returned."""
    state = codec.modified(delivery_failed=True, undeliverable_here=True)
    message, calls, raised = send_once(outcome_script({"settled": True, "state": state}))
    assert message.state is MessageState.SendFailed
    assert "modified" in str(raised)
    assert raised.condition == ErrorCodes.UnknownError
    assert [result for result, _ in calls] == [MessageSendResult.Error]


def test_released_is_a_failure() -> None:
    message, calls, raised = send_once(outcome_script({"settled": True, "state": codec.released()}))
    assert message.state is MessageState.SendFailed
    assert "released" in str(raised)
    assert len(calls) == 1


def test_rejected_without_an_error_is_a_failure() -> None:
    message, _, raised = send_once(outcome_script({"settled": True, "state": codec.rejected()}))
    assert message.state is MessageState.SendFailed
    assert raised.condition == ErrorCodes.UnknownError


def test_rejected_says_why() -> None:
    error = codec.error("com.vendor:full", "no room", {"queue": codec.string("q"), "depth": codec.uint(7)})
    message, calls, raised = send_once(outcome_script({"settled": True, "state": codec.rejected(error=error)}))
    assert raised.condition == b"com.vendor:full"
    assert raised.description == b"no room"
    failure = calls[0][1]
    assert type(failure) is errors.MessageException
    assert failure.info == {b"queue": b"q", b"depth": 7}
    assert raised.info["failed_messages"] == {message: failure}


def test_an_outcome_that_is_not_settled_is_settled_by_us() -> None:
    """The peer may report the outcome first and wait for us to settle (rcv-settle-mode second)."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, rcv_settle_mode=1)
        number = peer.expect("transfer")["delivery_id"]
        peer.send("disposition", role=RECEIVER, first=number, settled=False, state=codec.accepted())
        peer.expect("disposition", role=SENDER, first=number, settled=True)
        accept_leaving(peer)

    message, calls, raised = send_once(script)
    assert raised is None
    assert message.state is MessageState.SendComplete
    assert len(calls) == 1


def test_received_is_no_outcome() -> None:
    """A disposition of the state received says how much has come; the outcome follows."""
    received = codec.received(section_number=0, section_offset=0)
    message, calls, _ = send_once(
        outcome_script({"settled": False, "state": received}, {"settled": True, "state": codec.accepted()})
    )
    assert message.state is MessageState.SendComplete
    assert len(calls) == 1


def test_a_range_of_outcomes() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        for _ in range(5):
            peer.expect("transfer")
        peer.send("disposition", role=RECEIVER, first=0, last=4, settled=True, state=codec.accepted())
        accept_leaving(peer)

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message([Message(b"%d" % number) for number in range(5)])


def test_an_outcome_for_what_is_not_there_is_ignored() -> None:
    message, _, raised = send_once(
        outcome_script(
            {"first": 77, "last": 99, "settled": True, "state": codec.rejected()},
            {"settled": True, "state": codec.accepted()},
        )
    )
    assert raised is None
    assert message.state is MessageState.SendComplete


# -- the end of the connection


def test_closing_with_messages_in_flight_leaves_them_pending() -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = SendClient(url(server))
        message, unsent = Message(b"x"), Message(b"y")
        calls = noting(message)
        client.queue_message(message)
        client.open()
        until(lambda: message.state is MessageState.WaitingForSendAck, client.do_work)
        client.close()
        client.queue_message(unsent)
        assert client.pending_messages == [message, unsent]
        assert message.state is MessageState.WaitingToBeSent
        assert message.retries == 1
        assert calls == []
        assert client.messages_pending()


def test_a_lost_connection_gives_the_messages_back() -> None:
    """Nothing is lost: what has no outcome can be sent with another client. (More in test_send_client_fates.)"""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, credit=2)
        settle(peer, peer.expect("transfer"))
        peer.expect("transfer")
        peer.expect_nothing(0.1)
        peer.reset_socket()

    messages = [Message(b"%d" % number) for number in range(4)]
    with ScriptedServer(script) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.ConnectionClose) as caught:
            client.send_message(messages)
        assert caught.value.action is not None
        assert caught.value.action.retry
        assert client.pending_messages == []
        assert [message.state for message in messages[1:]] == [MessageState.WaitingToBeSent] * 3
        client.close()
    with Broker() as broker, SendClient(broker.url + "/q") as second:
        second.queue_message(*messages[1:])
        assert second.wait()
        assert [view.body for view in broker.queue("q").messages] == [b"1", b"2", b"3"]


def test_a_broker_that_goes_in_mid_stream_loses_nothing(broker: Broker) -> None:
    """What the client says was sent is on the queue; what isn't is pending. Some may be on the queue twice."""
    messages = [Message(b"%d" % number) for number in range(500)]
    client = SendClient(broker.url + "/q")
    client.queue_message(*messages)
    broker.faults.cut_after_frames_in = 100
    broker.faults.cut_times = 1
    with pytest.raises(errors.ConnectionClose):
        client.wait()
    client.close()
    done = [message for message in messages if message.state is MessageState.SendComplete]
    pending = client.pending_messages
    assert len(done) + len(pending) == 500
    with SendClient(broker.url + "/q") as again:
        again.queue_message(*pending)
        assert again.wait()
    bodies = {view.body for view in broker.queue("q").messages}
    assert bodies == {b"%d" % number for number in range(500)}


@pytest.mark.parametrize("queued", [True, False])
def test_a_detach_in_mid_stream(queued: bool) -> None:
    """What was queued stays pending, what `send_message` raised for doesn't."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        peer.expect("transfer")
        peer.send("detach", handle=0, closed=True, error=codec.error("amqp:link:stolen", "somebody else has it"))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server:
        client = SendClient(url(server))
        message = Message(b"x")
        if queued:
            client.queue_message(message)
        with pytest.raises(errors.LinkDetach, match="somebody else has it") as caught:
            client.wait() if queued else client.send_message(message)
        assert caught.value.condition == ErrorCodes.LinkStolen
        assert client.pending_messages == [message] * queued
        assert (message.state, message.settled, message.fate) == (MessageState.WaitingToBeSent, False, "unknown")
        client.close()


# -- callbacks


def test_a_callback_that_raises_stops_nothing(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    def raising(result: Any, error: Any) -> None:
        raise RuntimeError("the callback's own fault")

    messages = [Message(b"1"), Message(b"2")]
    messages[0].on_send_complete = raising
    with SendClient(broker.url + "/q") as client:
        client.send_message(messages)
    assert [message.state for message in messages] == [MessageState.SendComplete] * 2
    assert "the callback's own fault" in caplog.text


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_opens_the_link_although_another_thread_is_at_it(broker: Broker) -> None:
    """The other can't go on before the callback returns, for that has the lock."""
    client = SendClient(broker.url + "/q")
    sent: list[str] = []

    def close_and_send(result: Any, error: Any) -> None:
        client.close()
        client._preparing.begin("another thread")
        client.send_message(Message(b"from the callback"))
        sent.append("from the callback")

    message = Message(b"x")
    message.on_send_complete = close_and_send
    with bounded(20):
        client.send_message(message)
    client.close()
    assert sent == ["from the callback"]
    assert broker.queue("q").depth == 2


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_queue_the_next(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    sent: list[int] = []

    def send(number: int) -> None:
        message = Message(b"%d" % number)

        def done(result: Any, error: Any) -> None:
            sent.append(number)
            if number < 5:
                send(number + 1)

        message.on_send_complete = done
        client.queue_message(message)

    send(0)
    assert client.wait()
    client.close()
    assert sent == [0, 1, 2, 3, 4, 5]
    assert broker.queue("q").depth == 6


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_send_and_wait(broker: Broker) -> None:
    """No deadlock, and no outcome lost, when a callback drives the client that calls it."""
    first, second = Message(b"1"), Message(b"2")
    with SendClient(broker.url + "/q") as client, bounded(5):
        first.on_send_complete = lambda result, error: client.send_message(second)
        client.send_message(first)
        assert [first.state, second.state] == [MessageState.SendComplete] * 2


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_close_the_client(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    message = Message(b"x")
    message.on_send_complete = lambda result, error: client.close()
    with bounded(5):
        client.send_message(message)
    assert message.state is MessageState.SendComplete
    broker.wait_for(lambda: broker.connections == ())


def test_the_error_argument_of_a_success_is_none(broker: Broker) -> None:
    """Defect 38: it was [], which is no error either but no None."""
    message = Message(b"x")
    calls = noting(message)
    with SendClient(broker.url + "/q") as client:
        client.send_message(message)
    assert calls[0][1] is None


# -- redirects


def redirect_script(info: dict[Any, Any] | None) -> Callable[[SocketPeer], None]:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.refuse_attach(codec.error("amqp:link:redirect", "elsewhere", info))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    return script


def test_a_redirect_says_where_to() -> None:
    info = {
        "hostname": codec.string("h"),
        "network-host": codec.string("10.0.0.1"),
        "port": codec.uint(5671),
        "address": codec.string("amqps://h/other"),
    }
    with ScriptedServer(redirect_script(info)) as server:
        client = SendClient(url(server))
        with pytest.raises(errors.LinkRedirect) as caught:
            client.send_message(Message(b"x"))
        client.close()
    redirect = caught.value
    assert (redirect.hostname, redirect.network_host, redirect.port) == (b"h", b"10.0.0.1", 5671)
    assert redirect.address == b"amqps://h/other"
    assert (redirect.scheme, redirect.path) == (None, None)


def test_a_redirect_without_info_is_one_too() -> None:
    """Defect 29: it crashed in the callback, and no error was raised at all."""
    with ScriptedServer(redirect_script(None)) as server, bounded(5):
        client = SendClient(url(server))
        with pytest.raises(errors.LinkRedirect, match="elsewhere") as caught:
            client.send_message(Message(b"x"))
        assert caught.value.hostname is None
        client.close()


def test_a_redirect_is_followed() -> None:
    def second(peer: SocketPeer) -> None:
        came = accept_sender(peer)
        assert came["target"]["address"] == "moved"
        settle(peer, peer.expect("transfer"))
        accept_leaving(peer)

    with ScriptedServer(second) as target:
        info = {
            "hostname": codec.string("localhost"),
            "network-host": codec.string("localhost"),
            "port": codec.uint(target.port),
            "address": codec.string("amqp://localhost/moved"),
        }
        with ScriptedServer(redirect_script(info)) as server:
            client = SendClient(url(server))
            with pytest.raises(errors.LinkRedirect) as caught:
                client.send_message(Message(b"lost by the redirect"))
            auth = SASLAnonymous("localhost", port=target.port, use_tls=False)
            client.redirect(caught.value, auth)
            assert client.pending_messages == []
            client.send_message(Message(b"x"), close_on_done=True)


class Unencodable:
    """Something that a message holds and that turns out to have no encoding when it is sent."""

    def __amqp_encode__(self) -> bytes:
        raise ValueError("it can't be encoded")


@pytest.mark.usefixtures("patient")
def test_a_message_that_fails_before_it_is_sent_ends_the_wait(broker: Broker) -> None:
    message = Message(b"x")
    message.application_properties = {"a": Unencodable()}
    with SendClient(broker.url + "/q") as client, bounded(20):
        client.send_message(Message(b"first"))  # the link is open, and nothing more is to come from the peer
        with pytest.raises(errors.ClientMessageError, match="can't be encoded"):
            client.send_message(message)
        again = Message(b"x", application_properties={"a": Unencodable()})
        client.queue_message(again)
        assert client.wait()
    assert again.state is MessageState.SendFailed
    assert [view.body for view in broker.queue("q").messages] == [b"first"]
