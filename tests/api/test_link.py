"""`MessageSender` and `MessageReceiver`: the links themselves, as programs use them without a client."""

from __future__ import annotations

import copy
import enum
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_session, connect, data_message, settle
from tests.support.waiting import bounded, until
from uamqp import (
    Connection,
    Message,
    MessageReceiver,
    MessageSender,
    SendClient,
    Session,
    Source,
    Target,
    errors,
    types,
    utils,
)
from uamqp.authentication import SASLAnonymous
from uamqp.constants import (
    ErrorCodes,
    MessageReceiverState,
    MessageSenderState,
    MessageSendResult,
    MessageState,
    ReceiverSettleMode,
    SenderSettleMode,
)
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts


@contextmanager
def session_of(broker: Broker) -> Iterator[Session]:
    with Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)) as connection:
        with Session(connection) as session:
            yield session


@contextmanager
def scripted(script: Any) -> Iterator[Session]:
    with ScriptedServer(script) as server, connect(server) as connection:
        with Session(connection) as session:
            yield session


def bare() -> Session:
    return Session(Connection("h", SASLAnonymous("h")))


def opened(link: Any) -> Any:
    link.open()
    wait_for_state(link, "Open")
    return link


def wait_for_state(link: Any, name: str) -> None:
    until(lambda: link.get_state().name == name, lambda: link._connection.sleep(0.01))


def accept_goodbye(peer: SocketPeer) -> None:
    peer.ignore("detach")
    peer.accept_end()
    peer.accept_close()


# -- arguments

Both = [
    pytest.param(lambda session, **given: MessageSender(session, "me", Target("q"), **given), id="sender"),
    pytest.param(lambda session, **given: MessageReceiver(session, Source("q"), "me", print, **given), id="receiver"),
]


@pytest.mark.parametrize("make", Both)
def test_what_is_unset(make: Any) -> None:
    link = make(bare())
    assert isinstance(link.name, bytes)
    assert link.name != make(bare()).name
    assert link.send_settle_mode is SenderSettleMode.Unsettled  # defect 42: it was an int
    assert link.receive_settle_mode is ReceiverSettleMode.PeekLock
    assert link.max_message_size == 1048576
    assert link.get_state().name == "Idle"
    with pytest.raises(ValueError, match="not attached"):
        link._link.peer_max_message_size  # noqa: B018


@pytest.mark.parametrize("make", Both)
def test_settings_can_be_changed_before_it_is_open(make: Any, broker: Broker) -> None:
    with session_of(broker) as session:
        link = make(session, name="n")
        assert link.name == b"n"
        link.send_settle_mode = SenderSettleMode.Mixed
        link.receive_settle_mode = ReceiverSettleMode.ReceiveAndDelete
        link.max_message_size = 5000
        assert link.send_settle_mode is SenderSettleMode.Mixed
        assert link.receive_settle_mode is ReceiverSettleMode.ReceiveAndDelete
        assert link.max_message_size == 5000
        opened(link)
        for name in ("send_settle_mode", "receive_settle_mode", "max_message_size"):
            with pytest.raises(ValueError, match=name):
                setattr(link, name, 0)


@pytest.mark.parametrize("make", Both)
@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"name": 5}, TypeError),
        ({"send_settle_mode": "often"}, (TypeError, ValueError)),
        ({"send_settle_mode": 7}, ValueError),
        ({"receive_settle_mode": [1]}, (TypeError, ValueError)),
        ({"max_message_size": -1}, ValueError),
        ({"max_message_size": "big"}, TypeError),
        ({"properties": ["a"]}, TypeError),
        ({"desired_capabilities": 5}, TypeError),
        ({"desired_capabilities": [5]}, TypeError),
    ],
    ids=str,
)
def test_bad_arguments_are_named(make: Any, given: dict[str, Any], kind: Any) -> None:
    name = next(iter(given))
    text = {"name": "name", "properties": "(?i)properties", "desired_capabilities": "(?i)capabilit|symbol"}.get(
        name, name
    )
    with pytest.raises(kind, match=text):
        make(bare(), **given)


@pytest.mark.parametrize("prefetch", [-1, 2**31, "many", 1.5, True])
def test_a_bad_prefetch_is_refused(prefetch: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="prefetch"):
        MessageReceiver(bare(), Source("q"), "me", print, prefetch=prefetch)


def test_bad_ends_are_refused() -> None:
    with pytest.raises(TypeError, match=r"source|target"):
        MessageSender(bare(), 5, Target("q"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"source|target"):
        MessageReceiver(bare(), Source("q"), None, print)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "capabilities",
    [
        [b"a", "b"],
        ("a", types.AMQPSymbol("b")),
        types.AMQPArray([types.AMQPSymbol("a"), types.AMQPSymbol("b")]),
        utils.data_factory(types.AMQPArray([types.AMQPSymbol("a"), types.AMQPSymbol("b")])),
    ],
    ids=["list", "tuple", "AMQPArray", "native"],
)
def test_desired_capabilities_in_every_form(capabilities: Any) -> None:
    """Defect 15: a list raised TypeError, and azure-eventhub's producers could not send."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER, {"desired_capabilities": ["a", "b"]})
        accept_goodbye(peer)

    with scripted(script) as session:
        opened(MessageSender(session, "me", Target("q"), desired_capabilities=capabilities))


class Theirs(enum.Enum):
    """Settle modes as somebody else numbers them; 1.6.11 had these."""

    ReceiveAndDelete = 0
    PeekLock = 1


@pytest.mark.parametrize("mode", [ReceiverSettleMode.PeekLock, ReceiverSettleMode.ReceiveAndDelete, *Theirs], ids=str)
def test_the_wire_has_the_modes_meaning_not_its_number(mode: Any) -> None:
    """Rules 4 and 5: PeekLock is 0 and means rcv-settle-mode second, 1 on the wire; whosever it is."""
    wanted = (0, 1) if mode.name == "PeekLock" else (1, 0)

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.accept_attach(RECEIVER)
        assert (came.get("snd_settle_mode"), came.get("rcv_settle_mode")) == wanted
        peer.ignore("flow")
        accept_goodbye(peer)

    with scripted(script) as session:
        receiver = opened(MessageReceiver(session, Source("q"), "me", print, receive_settle_mode=mode))
        assert receiver.receive_settle_mode.name == mode.name


# -- opening and closing


def is_open(link: Any) -> bool:
    """A loop may be faster than the test that looks."""
    return bool(link.get_state().name == "Open")


def test_the_states_of_a_sender(broker: Broker, front: str) -> None:
    changes: list[tuple[Any, Any]] = []

    class Watched(MessageSender):
        def on_state_changed(self, previous_state: Any, new_state: Any) -> None:
            changes.append((previous_state, new_state))

    with session_of(broker) as session:
        sender = Watched(session, "me", Target("q"))
        sender.open()
        sender.open()  # does nothing
        assert sender.get_state() is MessageSenderState.Opening or (front == "asyncio" and is_open(sender))
        wait_for_state(sender, "Open")
        assert sender._link.peer_max_message_size == 64 * 1024 * 1024
        sender.close()
        sender.close()
        wait_for_state(sender, "Idle")
        sender.destroy()
    state = MessageSenderState
    assert changes == [
        (state.Idle, state.Opening),
        (state.Opening, state.Open),
        (state.Open, state.Closing),
        (state.Closing, state.Idle),
    ]


def test_the_states_of_a_receiver(broker: Broker, front: str) -> None:
    with session_of(broker) as session, MessageReceiver(session, Source("q"), "me", print) as receiver:
        assert receiver.get_state() is MessageReceiverState.Opening or (front == "asyncio" and is_open(receiver))
        wait_for_state(receiver, "Open")
        assert broker.queue("q").consumers == 1
    broker.wait_for(lambda: broker.queue("q").consumers == 0)


def test_a_refused_port_says_so() -> None:
    """Contract 11 and 12: the text that programs of 1.6 know."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    kinds: dict[str, Any] = {
        "Sender": lambda session: MessageSender(session, "me", Target("q")),
        "Receiver": lambda session: MessageReceiver(session, Source("q"), "me", print),
    }
    for kind, make in kinds.items():
        connection = Connection("127.0.0.1", SASLAnonymous("127.0.0.1", port=port, use_tls=False))
        text = f"Failed to open Message {kind}. Please confirm credentials and target URI."
        with pytest.raises(errors.AMQPConnectionError, match=text.replace(".", r"\.")) as caught:
            make(Session(connection)).open()
        assert str(port) in str(caught.value)


def test_the_name_is_used_again_after_closing(broker: Broker) -> None:
    with session_of(broker) as session:
        for _ in range(3):
            sender = opened(MessageSender(session, "me", Target("q"), name="the same"))
            sender.close()
            wait_for_state(sender, "Idle")


def test_a_name_that_is_in_use_is_refused(broker: Broker) -> None:
    with session_of(broker) as session:
        opened(MessageSender(session, "me", Target("q"), name="n"))
        with pytest.raises(errors.AMQPConnectionError, match="n"):
            opened(MessageSender(session, "me", Target("q"), name="n"))
        opened(MessageReceiver(session, Source("q"), "me", print, name="n"))  # the other direction is another link


@pytest.mark.blocking("the loop reads though nobody works")
def test_a_close_that_crosses_the_peers_detach() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.wait("open")
        peer.send("detach", handle=0, closed=True, error=codec.error("amqp:link:detach-forced"))
        peer.tell("detached")
        peer.expect("detach", closed=True)
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(5), connect(server) as connection:
        session = Session(connection)
        sender = opened(MessageSender(session, "me", Target("q")))
        server.tell("open")
        server.wait("detached")
        sender.close()
        wait_for_state(sender, "Idle")
        session.destroy()


# -- sending


def test_send_calls_back_with_the_outcome(front: str) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.grant(10)
        settle(peer, peer.expect("transfer"))
        error = codec.error("amqp:not-allowed", "no", {"k": codec.uint(1)})
        settle(peer, peer.expect("transfer"), codec.rejected(error=error))
        settle(peer, peer.expect("transfer"), codec.released())
        settle(peer, peer.expect("transfer"), codec.modified(delivery_failed=True))
        peer.send("disposition", role=RECEIVER, first=peer.expect("transfer")["delivery_id"], settled=True)
        accept_goodbye(peer)

    calls: list[tuple[Message, Any, Any]] = []
    with bounded(5), scripted(script) as session:
        sender = opened(MessageSender(session, "me", Target("q")))
        messages = [Message(b"%d" % number) for number in range(5)]
        for message in messages:
            assert sender.send(message, lambda m, result, delivery_state: calls.append((m, result, delivery_state)))
            assert front == "asyncio" or message.state is MessageState.WaitingForSendAck  # a loop may be faster
        until(lambda: len(calls) == 5, lambda: session._connection.sleep(0.01))
    assert [message for message, _, _ in calls] == messages
    result = MessageSendResult
    assert [outcome for _, outcome, _ in calls] == [result.Ok, result.Error, result.Error, result.Error, result.Ok]
    states = [state for _, _, state in calls]
    assert states[:3] == [[], [[b"amqp:not-allowed", b"no", {b"k": 1}]], []]
    assert states[3][0] is True
    assert not states[4]
    assert [message.state.name for message in messages] == ["SendComplete", *["SendFailed"] * 3, "SendComplete"]


@pytest.mark.blocking("with asyncio it is a coroutine")
def test_send_async_is_send(broker: Broker) -> None:
    """seed.md: `sender.send_async(message)` hands a message over without waiting."""
    with session_of(broker) as session:
        sender = opened(MessageSender(session, "me", Target("q")))
        message = Message(b"x")
        assert sender.send_async(message) is True
        assert message.state is MessageState.WaitingForSendAck
        until(lambda: message.state is not MessageState.WaitingForSendAck, lambda: session._connection.sleep(0.01))
        assert message.state.name == "SendComplete"


def test_a_message_that_is_pending_in_a_client_is_refused(broker: Broker) -> None:
    client = SendClient(broker.url + "/q")
    client.queue_message(message := Message(b"x"))
    with session_of(broker) as session:
        sender = opened(MessageSender(session, "me", Target("q")))
        with pytest.raises(ValueError, match="To send the same again, make a new Message or"):
            sender.send(message, None)
        duplicate = copy.copy(message)
        assert sender.send(duplicate, None) is True
        until(lambda: duplicate.state is MessageState.SendComplete, lambda: session._connection.sleep(0.01))
    client.close()


def test_a_message_that_is_sent_before_the_link_is_open_is_refused() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.wait("both were refused")  # a loop would open the link before the test goes on
        peer.accept_attach(SENDER)
        peer.grant(1)
        settle(peer, peer.expect("transfer"))
        accept_goodbye(peer)

    with ScriptedServer(script) as server, connect(server) as connection, Session(connection) as session:
        sender = MessageSender(session, "me", Target("q"))
        message = Message(b"x")
        assert sender.send(message, None) is False
        sender.open()
        assert sender.send(message, None) is False
        server.tell("both were refused")
        wait_for_state(sender, "Open")
        assert sender.send(message, None) is True
        until(lambda: message.state is MessageState.SendComplete, lambda: connection.sleep(0.01))


def test_a_timeout_of_a_message(clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.grant(1)
        late = peer.expect("transfer")
        peer.wait("both are on their way")
        peer.stay_silent(51)
        peer.wait("timed out")
        settle(peer, late)
        accept_goodbye(peer)

    calls: list[Any] = []
    with ScriptedServer(script, clock=clock) as server, bounded(5), connect(server) as connection:
        session = Session(connection)
        sender = opened(MessageSender(session, "me", Target("q")))
        sent, unsent = Message(b"1"), Message(b"2")
        for message in (sent, unsent):
            sender.send(message, lambda m, result, delivery_state: calls.append(result), timeout=50_000)
        server.tell("both are on their way")

        def work() -> None:
            sender.work()
            connection.sleep(0.01)

        until(lambda: len(calls) == 2, work)
        server.tell("timed out")
        connection.sleep(0.1)
        assert calls == [MessageSendResult.Timeout] * 2
        assert sent.state is MessageState.SendFailed
        session.destroy()


def test_a_link_that_is_lost_reports_what_was_in_flight() -> None:
    """Contract 11: each message in flight is reported as Error, with no details."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.grant(10)
        peer.expect("transfer")
        peer.send("detach", handle=0, closed=True, error=codec.error("amqp:link:detach-forced", "bye"))
        peer.expect("detach")
        accept_goodbye(peer)

    calls: list[Any] = []
    with bounded(5), scripted(script) as session:
        sender = opened(MessageSender(session, "me", Target("q")))
        sender.send(Message(b"1"), lambda m, result, delivery_state: calls.append((result, delivery_state)))
        until(lambda: bool(calls), lambda: session._connection.sleep(0.01))
        assert calls == [(MessageSendResult.Error, None)]
        with pytest.raises(errors.LinkDetach, match="bye"):
            sender.get_state()
        with pytest.raises(errors.LinkDetach, match="bye"):
            sender.send(Message(b"2"), None)


def test_closing_with_messages_in_flight_reports_them() -> None:
    """Contract 11: as Error, with no details."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER)
        peer.grant(10)
        peer.expect("transfer")
        peer.accept_detach()
        accept_goodbye(peer)

    calls: list[Any] = []
    with bounded(5), scripted(script) as session:
        sender = opened(MessageSender(session, "me", Target("q")))
        until(lambda: sender._core.credit > 0, lambda: session._connection.sleep(0.01))
        sender.send(Message(b"1"), lambda m, result, delivery_state: calls.append((result, delivery_state)))
        sender.destroy()
        wait_for_state(sender, "Idle")
        assert calls == [(MessageSendResult.Error, None)]


def test_a_send_callback_that_raises_does_not_end_the_connection(broker: Broker) -> None:
    def raising(message: Message, result: Any, delivery_state: Any = None) -> None:
        raise ValueError("the callback's own fault")

    with session_of(broker) as session:
        sender = opened(MessageSender(session, "me", Target("q")))
        first, second = Message(b"1"), Message(b"2")
        sender.send(first, raising)
        sender.send(second, None)
        until(lambda: second.state is MessageState.SendComplete, lambda: session._connection.sleep(0.01))
        assert first.state is MessageState.SendComplete
        assert sender.get_state() is MessageSenderState.Open


# -- receiving


def test_messages_are_handed_to_the_callback(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", Message(b"%d" % number))
    got: list[Message] = []
    with session_of(broker) as session:
        receiver = opened(MessageReceiver(session, Source("q"), b"me", got.append))
        until(lambda: len(got) == 3, session._connection.work)
        assert receiver.get_state() is MessageReceiverState.Open
        assert [message.accept() for message in got] == [True] * 3
        broker.wait_for(lambda: broker.queue("q").unsettled == 0)


def test_credit_by_hand() -> None:
    """`reset_link_credit` sends a flow at once; azure-servicebus works so, with a prefetch of 0."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(RECEIVER)
        peer.expect("flow", link_credit=1, delivery_count=0, drain=False)
        peer.send_delivery(data_message(b"1"))
        peer.expect("flow", link_credit=5, delivery_count=1)
        peer.expect("flow", link_credit=5, drain=True)
        peer.send("flow", handle=0, delivery_count=6, link_credit=0, drain=True)
        peer.expect("flow", link_credit=3, delivery_count=6)
        accept_goodbye(peer)

    got: list[Message] = []
    with bounded(5), scripted(script) as session:
        receiver = opened(MessageReceiver(session, Source("q"), "me", got.append, prefetch=0))
        receiver.reset_link_credit(1)
        until(lambda: len(got) == 1, lambda: session._connection.sleep(0.01))
        receiver.reset_link_credit(5)
        receiver.reset_link_credit(5, drain=True)
        until(lambda: not receiver._core.receiver.drain, lambda: session._connection.sleep(0.01))
        receiver.reset_link_credit(3)


def test_bad_credit_is_refused(broker: Broker) -> None:
    with session_of(broker) as session:
        receiver = MessageReceiver(session, Source("q"), "me", print)
        with pytest.raises(ValueError, match="not open"):
            receiver.reset_link_credit(1)
        opened(receiver)
        for wrong in (-1, 2**31):
            with pytest.raises(ValueError, match="credit"):
                receiver.reset_link_credit(wrong)
        with pytest.raises(TypeError, match="credit"):
            receiver.reset_link_credit("many")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="draim"):
            receiver.reset_link_credit(1, draim=True)  # type: ignore[call-arg]


def test_what_a_callback_raises_gives_the_message_back(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.put("q", Message(b"1"))
    broker.put("q", Message(b"2"))
    seen: list[Message] = []

    def take(message: Message) -> None:
        seen.append(message)
        raise KeyError("not for me")

    with session_of(broker) as session:
        receiver = opened(MessageReceiver(session, Source("q"), "me", take))
        until(lambda: len(seen) == 2, session._connection.work)
        broker.wait_for(lambda: broker.queue("q").counters.modified == 2)
        assert receiver.get_state() is MessageReceiverState.Open
    assert "not for me" in caplog.text


def test_a_runtime_error_in_a_callback_is_the_links_error(broker: Broker) -> None:
    broker.put("q", Message(b"1"))

    def take(message: Message) -> None:
        raise RuntimeError("out of order")

    with session_of(broker) as session:
        receiver = MessageReceiver(session, Source("q"), "me", take)
        receiver.open()
        with bounded(5), pytest.raises(errors.LinkDetach, match="out of order") as caught:
            until(lambda: receiver.get_state() is None, lambda: session._connection.sleep(0.01))
        assert caught.value.condition == ErrorCodes.UnknownError


def test_an_outcome_that_is_none_of_the_outcomes_is_refused(broker: Broker) -> None:
    broker.put("q", Message(b"1"))
    got: list[Message] = []
    with session_of(broker) as session:
        opened(MessageReceiver(session, Source("q"), "me", got.append))
        until(lambda: bool(got), session._connection.work)
        with pytest.raises(ValueError, match="Invalid message response type"):
            got[0]._settle("accepted")  # type: ignore[arg-type]
        assert not got[0].settled
        assert got[0].accept()


@pytest.mark.blocking("a callback in an event loop can call nothing that blocks")
def test_a_callback_may_send_and_settle(broker: Broker) -> None:
    """No deadlock when a callback uses the connection that calls it."""
    for number in range(5):
        broker.put("in", Message(b"%d" % number))
    forwarded: list[Message] = []
    with session_of(broker) as session:
        sender = opened(MessageSender(session, "me", Target("out")))

        def forward(message: Message) -> None:
            copy = Message(b"".join(message.get_data()))
            assert sender.send(copy, lambda m, result, delivery_state: forwarded.append(m))
            message.accept()

        opened(MessageReceiver(session, Source("in"), "me", forward))
        with bounded(5):
            until(lambda: len(forwarded) == 5, lambda: session._connection.sleep(0.01))
        broker.wait_for(lambda: broker.queue("in").unsettled == 0)
    assert [view.body for view in broker.queue("out").messages] == [b"0", b"1", b"2", b"3", b"4"]
