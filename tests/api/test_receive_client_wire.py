"""`ReceiveClient` against a scripted peer: credit, settle modes, deliveries of every shape, and the ends of links."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import section
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import (
    RECEIVER,
    SENDER,
    accept_credit,
    accept_leaving,
    accept_receiver,
    accept_session,
    data_message,
    url,
    with_credit,
)
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, Source, errors
from uamqp.constants import ErrorCodes, MessageState, ReceiverSettleMode, SenderSettleMode
from uamqp.testing import Broker
from uamqp.types import AMQPLong, AMQPSymbol

pytestmark = pytest.mark.both_fronts


def content(messages: list[Message]) -> list[bytes]:
    return [b"".join(message.get_data()) for message in messages]


def receive(script: Callable[[SocketPeer], None], count: int, **settings: Any) -> list[Message]:
    """Receive so many messages from a script."""
    got: list[Message] = []
    with ScriptedServer(script) as server, bounded(8), ReceiveClient(url(server), **settings) as client:
        until(lambda: len(got) >= count, lambda: got.extend(client.receive_message_batch(timeout=2000)))
    return got


# -- what goes on the wire


def test_what_attach_says() -> None:
    def script(peer: SocketPeer) -> None:
        came = with_credit(peer)
        assert came["role"] == RECEIVER
        assert came["source"]["address"] == "q"
        assert came["source"]["filter"] == {
            codec.sym("apache.org:selector-filter:string"): codec.Described(
                codec.sym("apache.org:selector-filter:string"), codec.string("a > 1")
            )
        }
        assert came["target"]["address"] == "me"
        assert came["name"].startswith("receiver-link-")
        assert came.get("snd_settle_mode") == 0
        assert came.get("rcv_settle_mode") == 0
        assert came["desired_capabilities"] == ["shared"]
        assert came["properties"] == {codec.sym("com.microsoft:epoch"): codec.long(5)}
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        source = Source(url(server))
        source.set_filter(b"a > 1")
        client = ReceiveClient(
            source,
            client_name="me",
            desired_capabilities=[AMQPSymbol("shared")],
            link_properties={AMQPSymbol("com.microsoft:epoch"): AMQPLong(5)},
        )
        client.open()
        until(client.client_ready, client.do_work)
        client.close()


def test_no_message_comes_before_the_link_is_set_up() -> None:
    """Contract 14.3: credit is given once the link is open, not with the attach."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.expect("attach")
        peer.expect_nothing(0.1)
        peer.send(
            "attach",
            name=came["name"],
            handle=0,
            role=SENDER,
            source=came["source"],
            target=came["target"],
            initial_delivery_count=0,
        )
        accept_credit(peer, 7)
        peer.tell("credit came")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server), prefetch=7) as client:
        until(client.client_ready, lambda: None)
        server.wait("credit came")


def test_no_prefetch_no_credit() -> None:
    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.expect_nothing(0.1)
        peer.tell("checked")
        peer.expect("flow", link_credit=2)
        peer.send_delivery(data_message(b"1"))
        peer.send_delivery(data_message(b"2"))
        peer.expect("disposition", first=0, last=1)
        peer.expect_nothing(0.1)  # no more credit of itself
        peer.tell("checked again")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client:
        client._prefetch = 0  # as argument 0 means the default, as in 1.6
        until(client.client_ready, lambda: None)
        server.wait("checked")
        client.message_handler.reset_link_credit(2)  # type: ignore[union-attr]
        until(lambda: client._received_messages.qsize() == 2, client.do_work)
        first, second = client._received_messages.get(), client._received_messages.get()
        assert content([first, second]) == [b"1", b"2"]
        with client._connection._pump.lock:  # type: ignore[union-attr]  # nothing is written between the two
            first.accept()
            second.accept()
        server.wait("checked again")


def test_credit_is_given_again_as_messages_are_taken() -> None:
    """The credit never lapses, and never goes beyond the prefetch."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, 4)
        peer.ignore("disposition")
        sent, limit = 0, 4
        while sent < 40:
            while sent < min(limit, 40):
                peer.send_delivery(data_message(b"%d" % sent))
                sent += 1
            if sent < 40:
                flow = peer.expect("flow")
                assert 1 <= flow["link_credit"] <= 4
                limit = flow["delivery_count"] + flow["link_credit"]
        peer.ignore("flow")
        accept_leaving(peer)

    got = receive(script, 40, prefetch=4)
    assert content(got) == [b"%d" % number for number in range(40)]


def test_a_slow_consumer_never_has_more_than_the_prefetch_waiting() -> None:
    """Back-pressure: what the client holds and the credit together are the prefetch at most."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, 5)
        for number in range(5):
            peer.send_delivery(data_message(b"%d" % number))
        peer.tell("all the credit is used")
        peer.expect_nothing(0.2)
        peer.tell("no more credit came")
        flow = peer.expect("flow")
        assert flow["link_credit"] <= 5
        peer.ignore("flow", "disposition")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server), prefetch=5, auto_complete=False) as client:
        until(client.client_ready, lambda: None)
        server.wait("all the credit is used")
        until(lambda: client._received_messages.qsize() == 5, client.do_work)
        client._connection.sleep(0.15)  # type: ignore[union-attr]
        server.wait("no more credit came")
        assert len(client.receive_message_batch()) == 5
        client.do_work()


def test_unsettled_messages_do_not_use_up_the_credit() -> None:
    """Settlement plays no role for credit (contract 17.6): messages that were taken make room."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, 2)
        for number in range(6):
            peer.send_delivery(data_message(b"%d" % number))
            if number % 2:
                peer.expect("flow")
        peer.ignore("flow")
        accept_leaving(peer)

    got = receive(script, 6, prefetch=2, auto_complete=False)
    assert [message.settled for message in got] == [False] * 6


def test_dispositions_go_out_as_ranges() -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        for number in range(10):
            peer.send_delivery(data_message(b"%d" % number))
        peer.expect("disposition", role=RECEIVER, first=0, last=9, settled=True, state="accepted")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client:
        until(lambda: client._received_messages.qsize() == 10, client.do_work)
        assert len(client.receive_message_batch()) == 10


def test_what_the_client_holds_at_close_is_released() -> None:
    """Explicitly, before the detach: on some brokers a detach counts as a failed delivery."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        for number in range(3):
            peer.send_delivery(data_message(b"%d" % number))
        peer.expect("disposition", role=RECEIVER, first=0, last=2, settled=True, state="released")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client:
        until(lambda: client._received_messages.qsize() == 3, client.do_work)


def test_what_each_settlement_sends() -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        for number in range(5):
            peer.send_delivery(data_message(b"%d" % number))
        peer.expect("disposition", role=RECEIVER, first=0, settled=True, state="accepted")
        info = {codec.sym("DeadLetterReason"): codec.string("r")}
        error = {"condition": "com.microsoft:dead-letter", "description": "d", "info": info}
        peer.expect("disposition", first=1, settled=True, state={"error": error})
        peer.expect("disposition", first=2, settled=True, state={"error": {"condition": "amqp:internal-error"}})
        peer.expect("disposition", first=3, settled=True, state="released")
        modified = {"delivery_failed": True, "undeliverable_here": lambda here: not here}
        notes = {codec.sym("x-note"): codec.string("n")}
        peer.expect("disposition", first=4, settled=True, state={**modified, "message_annotations": notes})
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server), auto_complete=False) as client:
        got: list[Message] = []
        until(lambda: len(got) == 5, lambda: got.extend(client.receive_message_batch(timeout=2000)))
        got[0].accept()
        got[1].reject(condition=b"com.microsoft:dead-letter", description=b"d", info={"DeadLetterReason": "r"})
        got[2].reject()
        got[3].release()
        got[4].modify(True, False, annotations={"x-note": "n"})


# -- settle modes


def test_a_receiver_asks_for_mode_first_unless_told_otherwise() -> None:
    """Rule 9: every broker knows it. 1.6.11 announced second, and settled on its own all the same."""

    def script(peer: SocketPeer) -> None:
        assert with_credit(peer).get("rcv_settle_mode") == 0
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client:
        until(client.client_ready, lambda: None)


def test_peek_lock_in_so_many_words_is_mode_second() -> None:
    """Defect 35: with second, accept doesn't settle on its own: the sender does."""

    def script(peer: SocketPeer) -> None:
        assert with_credit(peer).get("rcv_settle_mode") == 1
        peer.send_delivery(data_message(b"x"))
        peer.expect("disposition", role=RECEIVER, first=0, settled=False, state="accepted")
        peer.send("disposition", role=SENDER, first=0, settled=True, state=codec.accepted())
        peer.expect_nothing(0.05)
        peer.tell("settled")
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = ReceiveClient(url(server), receive_settle_mode=ReceiverSettleMode.PeekLock)
        assert content(client.receive_message_batch(timeout=2000)) == [b"x"]
        client._connection.sleep(0.02)  # type: ignore[union-attr]
        server.wait("settled")
        client.close()


def test_the_mode_that_the_peer_answers_counts() -> None:
    """Asked for second, answered first: then accept settles at once."""

    def script(peer: SocketPeer) -> None:
        assert with_credit(peer, rcv_settle_mode=0).get("rcv_settle_mode") == 1
        peer.send_delivery(data_message(b"x"))
        peer.expect("disposition", role=RECEIVER, first=0, settled=True, state="accepted")
        accept_leaving(peer)

    receive(script, 1, receive_settle_mode=ReceiverSettleMode.PeekLock)


@pytest.mark.parametrize("ends", [True, False])
def test_a_broker_without_mode_second_gets_mode_first(ends: bool) -> None:
    """Rule 9: RabbitMQ 3 and 4.0 end the session with amqp:not-implemented, 4.3 refuses the link."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        refusal = codec.error("amqp:not-implemented", "rcv-settle-mode second not supported")
        channel = 0
        if ends:
            first = peer.expect("attach", rcv_settle_mode=1)
            peer.send("end", error=refusal)
            peer.expect("end")
            channel = peer.accept_begin().channel
        else:
            first = peer.refuse_attach(refusal, {"rcv_settle_mode": 1})
            peer.expect("detach")
        second = accept_receiver(peer, session=False)
        assert second.get("rcv_settle_mode") == 0
        assert second["name"] == first["name"]
        accept_credit(peer, 300)
        peer.send_delivery(data_message(b"x"), channel=channel)
        peer.expect("disposition", first=0, settled=True, state="accepted")
        accept_leaving(peer)

    attached: list[object] = []
    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(
            url(server),
            receive_settle_mode=ReceiverSettleMode.PeekLock,
            on_attach=lambda source, target, properties, error: attached.append(error),
        )
        assert content(client.receive_message_batch(timeout=2000)) == [b"x"]
        client.close()
    assert attached == [None]


def test_a_session_that_ends_for_another_reason_is_an_error() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach", rcv_settle_mode=1)
        peer.send("end", error=codec.error("amqp:not-allowed", "not you"))
        peer.expect("end")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server), receive_settle_mode=ReceiverSettleMode.PeekLock)
        with pytest.raises(errors.AMQPConnectionError, match="not you"):
            client.receive_message_batch()
        client.close()


def test_not_implemented_with_mode_first_is_an_error() -> None:
    """The session is opened again once, not forever."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        channel = 0
        for mode in (1, 0):
            peer.expect("attach", rcv_settle_mode=mode)
            peer.send("end", channel=channel, error=codec.error("amqp:not-implemented", "nothing is implemented"))
            peer.expect("end")
            if mode:
                channel = peer.accept_begin().channel
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server), receive_settle_mode=ReceiverSettleMode.PeekLock)
        with pytest.raises(errors.AMQPConnectionError, match="nothing is implemented") as caught:
            client.receive_message_batch()
        assert caught.value.condition == ErrorCodes.NotImplemented  # type: ignore[attr-defined]
        client.close()


def test_receive_and_delete_asks_the_sender_to_send_settled() -> None:
    """Defect 35 and rule 9: so that it means the same on every broker."""

    def script(peer: SocketPeer) -> None:
        came = with_credit(peer)
        assert (came.get("snd_settle_mode"), came.get("rcv_settle_mode")) == (1, 0)
        peer.send_delivery(data_message(b"x"), settled=True)
        accept_leaving(peer)

    (message,) = receive(script, 1, receive_settle_mode=ReceiverSettleMode.ReceiveAndDelete)
    assert message.settled
    assert message.state is MessageState.ReceivedSettled
    assert message.accept() is False


def test_receive_and_delete_where_the_sender_does_not_send_settled() -> None:
    """Defect 35: a broker that sends unsettled all the same kept every message, to deliver it again."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, snd_settle_mode=0)
        peer.send_delivery(data_message(b"x"), settled=False)
        peer.expect("disposition", role=RECEIVER, first=0, settled=True, state="accepted")
        accept_leaving(peer)

    (message,) = receive(script, 1, receive_settle_mode=ReceiverSettleMode.ReceiveAndDelete)
    assert message.settled


def test_receive_and_delete_on_the_broker(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", Message(b"%d" % number))
    settings: dict[str, Any] = {
        "receive_settle_mode": ReceiverSettleMode.ReceiveAndDelete,
        "send_settle_mode": SenderSettleMode.Settled,
    }
    with ReceiveClient(broker.url + "/q", **settings) as client:
        got: list[Message] = []
        until(lambda: len(got) == 3, lambda: got.extend(client.receive_message_batch(timeout=2000)))
        assert [message.accept() for message in got] == [False] * 3
    assert (broker.queue("q").depth, broker.queue("q").unsettled) == (0, 0)


def test_what_came_settled_is_settled() -> None:
    """Defect 23: the transfer's settled flag was ignored, and a disposition went out."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, snd_settle_mode=2)
        peer.send_delivery(data_message(b"1"), settled=True)
        peer.send_delivery(data_message(b"2"), settled=False)
        peer.expect("disposition", first=1, last=lambda last: last in (None, 1), settled=True)
        accept_leaving(peer)

    got = receive(script, 2)
    assert [message.settled for message in got] == [True, True]


# -- deliveries of every shape


def test_an_aborted_delivery_is_not_handed_out() -> None:
    """Defect 9: it reached the application, cut short."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        payload = data_message(b"x" * 100)
        peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"a", more=True, payload=payload[:50])
        peer.send("transfer", handle=0, delivery_id=0, aborted=True)
        peer.send_delivery(data_message(b"whole"), tag=b"b")
        peer.expect("disposition", first=1, settled=True)
        accept_leaving(peer)

    assert content(receive(script, 1)) == [b"whole"]


def test_a_delivery_in_many_frames() -> None:
    """Defect 23: the tag was lost where only the first transfer has it."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.send_delivery(data_message(b"x" * 5000), tag=b"the tag", frame_payload=100)
        peer.expect("disposition", first=0, settled=True)
        accept_leaving(peer)

    (message,) = receive(script, 1)
    assert content([message]) == [b"x" * 5000]
    assert message.delivery_tag == b"the tag"


def test_deliveries_split_at_every_byte() -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.split = 1
        peer.send_delivery(data_message(b"one byte at a time"), frame_payload=7)
        peer.split = None
        peer.expect("disposition", first=0, settled=True)
        accept_leaving(peer)

    assert content(receive(script, 1)) == [b"one byte at a time"]


BAD_PAYLOADS = {
    "garbage": b"\xff\xff\xff\xff",
    "cut short": data_message(b"x" * 50)[:20],
    "unknown section": b"\x00\x53\x7f\x45",
    "no section": b"\x45",
}


@pytest.mark.parametrize("payload", BAD_PAYLOADS.values(), ids=BAD_PAYLOADS)
def test_one_bad_message_is_rejected_and_the_link_goes_on(payload: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Defect 10: one undecodable message killed the receiver."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.send_delivery(data_message(b"before"))
        peer.send_delivery(payload)
        peer.send_delivery(data_message(b"after"))
        peer.ignore("flow")
        outcomes: dict[int, Any] = {}
        while len(outcomes) < 3:
            came = peer.expect("disposition", settled=True)
            last = came["first"] if came["last"] is None else came["last"]
            outcomes.update(dict.fromkeys(range(came["first"], last + 1), came["state"]))
        assert [outcomes[number].name for number in range(3)] == ["accepted", "rejected", "accepted"]
        assert outcomes[1]["error"]["condition"] == "amqp:decode-error"
        accept_leaving(peer)

    caplog.set_level(logging.ERROR, "uamqp")
    assert content(receive(script, 2)) == [b"before", b"after"]
    assert "rejected" in caplog.text


def test_types_that_killed_the_link() -> None:
    """Defect 10: char and decimals. Defect 12: NULs."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        for value in (codec.char("x"), codec.decimal(b"\x32\x80\x00\x01"), codec.string("a\0b")):
            peer.send_delivery(section("amqp_value", value))
        peer.ignore("disposition")
        accept_leaving(peer)

    got = receive(script, 3)
    assert got[0].value == "x"
    assert str(got[1].value) == "1"
    assert got[2].value == b"a\0b"


def test_a_message_of_a_value_that_cannot_be_decoded_does_not_end_the_link() -> None:
    """What is wrong inside a section shows when it is looked at, or the message is rejected; the link goes on."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.send_delivery(b"\x00\x53\x77\xa1\x02\xff\xfe")  # a string that is no UTF-8
        peer.send_delivery(data_message(b"fine"))
        peer.ignore("disposition", "flow")
        accept_leaving(peer)

    with ScriptedServer(script) as server, ReceiveClient(url(server)) as client, bounded(5):
        got: list[Message] = []
        until(
            lambda: bool(got) and got[-1].data is not None,
            lambda: got.extend(client.receive_message_batch(timeout=2000)),
        )
    assert content(got[-1:]) == [b"fine"]


def test_a_transfer_that_belongs_to_no_link_ends_the_session() -> None:
    """A violation by the peer: said to it on the wire, and to the caller as an error."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.send("transfer", handle=77, delivery_id=0, delivery_tag=b"t", payload=data_message(b"x"))
        peer.expect("end", error={"condition": "amqp:session:unattached-handle"})
        peer.send("end")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server))
        with pytest.raises(errors.LinkDetach, match="77") as caught:
            client.receive_message_batch()
        assert caught.value.condition == ErrorCodes.SessionUnattachedHandle
        client.close()


# -- ends


def detach_script(error: Any, *, messages: int = 0, closed: bool = True) -> Callable[[SocketPeer], None]:
    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.ignore("disposition")
        for number in range(messages):
            peer.send_delivery(data_message(b"%d" % number))
        peer.tell("ready")
        peer.wait("go")
        peer.send("detach", handle=0, closed=closed, error=error)
        peer.expect("detach", closed=closed)
        peer.ignore("flow")
        peer.accept_end()
        peer.accept_close()

    return script


STEPS: dict[str, Callable[[ReceiveClient], Any]] = {
    "batch": lambda client: client.receive_message_batch(),
    "batch with a timeout": lambda client: client.receive_message_batch(timeout=5000),
    "iterator": lambda client: next(client.receive_messages_iter()),
    "callback": lambda client: client.receive_messages(lambda message: None),
    "do_work": lambda client: until(lambda: False, client.do_work),
}


@pytest.mark.parametrize("how", STEPS)
def test_a_detach_ends_the_wait(how: str) -> None:
    with ScriptedServer(detach_script(codec.error("amqp:link:detach-forced", "maintenance"))) as server, bounded(5):
        client = ReceiveClient(url(server))
        client.open()
        until(client.client_ready, lambda: None)
        server.tell("go")
        with pytest.raises(errors.LinkDetach, match="maintenance") as caught:
            STEPS[how](client)
        assert caught.value.condition == ErrorCodes.LinkDetachForced
        assert caught.value.action is not None
        assert caught.value.action.retry
        client.close()


@pytest.mark.parametrize(
    ("error", "kind", "condition"),
    [
        (None, errors.LinkDetach, ErrorCodes.UnknownError),
        (codec.error("amqp:link:stolen"), errors.LinkDetach, ErrorCodes.LinkStolen),
        (codec.error("com.vendor:own", "theirs"), errors.VendorLinkDetach, b"com.vendor:own"),
        (codec.error("amqp:link:redirect", "elsewhere"), errors.LinkRedirect, ErrorCodes.LinkRedirect),
    ],
    ids=["none", "stolen", "vendor", "redirect"],
)
@pytest.mark.parametrize("closed", [True, False])
def test_what_a_detach_becomes(error: Any, kind: type[Any], condition: Any, closed: bool) -> None:
    """Defect 29 too: a redirect without an info map left the link without any error."""
    with ScriptedServer(detach_script(error, closed=closed)) as server, bounded(5):
        client = ReceiveClient(url(server))
        client.open()
        until(client.client_ready, lambda: None)
        server.tell("go")
        with pytest.raises(kind) as caught:
            until(lambda: False, client.do_work)
        assert type(caught.value) is kind
        assert caught.value.condition == condition
        with pytest.raises(kind):
            client.client_ready()  # goes on raising
        client.close()


def test_messages_that_came_before_a_detach_are_not_lost() -> None:
    """What has arrived is handed out before the error is raised, or at least is not taken for accepted."""
    script = detach_script(codec.error("amqp:link:detach-forced"), messages=3)
    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server), auto_complete=False)
        client.open()
        until(lambda: client._received_messages.qsize() == 3, client.do_work)
        server.tell("go")
        with pytest.raises(errors.LinkDetach):
            until(lambda: False, client.do_work)
        assert client._received_messages.qsize() == 3
        client.close()


def test_a_lost_connection_ends_the_wait() -> None:
    def script(peer: SocketPeer) -> None:
        with_credit(peer)
        peer.reset_socket()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server))
        with pytest.raises(errors.ConnectionClose) as caught:
            client.receive_message_batch()
        assert caught.value.condition == ErrorCodes.UnknownError
        assert caught.value.action is not None
        assert caught.value.action.retry
        client.close()


def test_unsettled_messages_of_a_lost_connection_come_again(broker: Broker) -> None:
    """Nothing is lost when the broker drops the connection in mid-stream; what was accepted doesn't come again."""
    for number in range(20):
        broker.put("q", Message(b"%d" % number))
    first = ReceiveClient(broker.url + "/q", auto_complete=False, prefetch=10)
    got: list[Message] = []
    first.open()
    until(lambda: len(got) >= 5, lambda: got.extend(first.receive_message_batch(timeout=2000)))
    for message in got[:3]:
        message.accept()
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 3)
    broker.drop_connections()
    with pytest.raises(errors.ConnectionClose):
        until(lambda: False, first.receive_message_batch)
    with pytest.raises(RuntimeError):
        got[3].accept()
    first.close()
    with ReceiveClient(broker.url + "/q") as second:
        again: list[Message] = []
        until(lambda: len(again) >= 17, lambda: again.extend(second.receive_message_batch(timeout=2000)))
    assert sorted(int(body) for body in content(again)) == list(range(3, 20))


def test_a_refused_link_says_why() -> None:
    """The attach without a source is only the announcement: the detach that follows has the reason."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.refuse_attach(codec.error("amqp:not-found", "no queue 'q'"))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server))
        with pytest.raises(errors.LinkDetach, match="no queue 'q'") as caught:
            client.receive_message_batch()
        assert caught.value.condition == ErrorCodes.NotFound
        assert caught.value.action is not None
        assert not caught.value.action.retry
        client.close()


def test_a_refusal_that_comes_late_says_why_too() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.accept_attach(RECEIVER, source=None)
        peer.expect_nothing(0.1)
        peer.send("detach", handle=came["handle"], closed=True, error=codec.error("amqp:unauthorized-access", "no"))
        peer.expect("detach")
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server))
        with pytest.raises(errors.LinkDetach) as caught:
            client.receive_message_batch()
        assert caught.value.condition == ErrorCodes.UnauthorizedAccess
        client.close()


@pytest.mark.parametrize("max_message_size", [None, 100])
def test_a_limit_of_our_own_is_announced_and_kept(max_message_size: int | None) -> None:
    def script(peer: SocketPeer) -> None:
        came = with_credit(peer)
        assert came["max_message_size"] == (max_message_size or None)
        peer.send_delivery(data_message(b"x" * 200))
        if max_message_size is None:
            peer.expect("disposition")
            accept_leaving(peer)
        else:
            peer.expect("detach", error={"condition": "amqp:link:message-size-exceeded"})
            peer.send("detach", handle=0, closed=True)
            peer.accept_end()
            peer.accept_close()

    settings: dict[str, Any] = {} if max_message_size is None else {"max_message_size": max_message_size}
    with ScriptedServer(script) as server, bounded(5), ReceiveClient(url(server), **settings) as client:
        if max_message_size is None:
            assert len(client.receive_message_batch(timeout=2000)) == 1
        else:
            with pytest.raises(errors.LinkDetach, match="100"):
                client.receive_message_batch(timeout=2000)


def test_a_sender_without_credit_is_cut_off() -> None:
    """A peer that sends more than it was allowed to. A little more is let pass: brokers are known to."""

    def script(peer: SocketPeer) -> None:
        with_credit(peer, 2)
        for number in range(5):
            peer.send_delivery(data_message(b"%d" % number))
        peer.ignore("flow", "disposition")
        peer.expect("detach", error={"condition": "amqp:link:transfer-limit-exceeded"})
        peer.send("detach", handle=0, closed=True)
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5):
        client = ReceiveClient(url(server), prefetch=2)
        client.open()
        with pytest.raises(errors.LinkDetach) as caught:
            until(lambda: False, client.do_work)
        assert caught.value.condition == ErrorCodes.LinkTransferLimitExceeded
        client.close()


def test_an_attach_without_a_source_and_no_detach_is_bounded(clock: Clock) -> None:
    """A peer that promises a refusal and never says it."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(RECEIVER, source=None)
        peer.wait_out(45)
        peer.ignore("detach")
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script, clock=clock) as server, bounded(5):
        client = ReceiveClient(url(server))
        with pytest.raises(errors.AMQPConnectionError):
            client.receive_message_batch()
        client.close()
