"""What `str` and `repr` show, and what is logged: always something, never a secret, and which connection is meant."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import logging
import pydoc
import re
import signal
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_receiver, accept_session, connect, url
from tests.support.waiting import until
from uamqp import (
    AMQPClient,
    BatchMessage,
    Message,
    MessageBodyType,
    MessageReceiver,
    ReceiveClient,
    SendClient,
    Session,
    Source,
    c_uamqp,
    errors,
    types,
)
from uamqp.message import DataBody, MessageHeader, MessageProperties, SequenceBody, ValueBody
from uamqp.testing import Broker, ServiceResponse

pytestmark = pytest.mark.both_fronts

BELOW = ("uamqp.codec", "uamqp.engine", "uamqp.core", "uamqp.transport", "uamqp.testing")


def classes() -> Iterator[type[Any]]:
    """All of both APIs."""
    for face in ("uamqp.aio", "uamqp.sync"):
        importlib.import_module(face)
    seen = set()
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] != "uamqp" or name.startswith(BELOW):
            continue
        for value in vars(module).values():
            if not inspect.isclass(value) or value in seen or issubclass(value, enum.Enum):
                continue
            if value.__module__.startswith("uamqp.messaging") and dataclasses.is_dataclass(value):
                continue  # values, whose repr is Python's own
            if value.__module__.startswith("uamqp") and not value.__module__.startswith(BELOW):
                seen.add(value)
                yield value


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_nothing_raises_before_it_is_made(kind: type[Any]) -> None:
    """As a debugger or a log line in a constructor sees it."""
    make: Any = kind.__new__
    try:
        thing = make(kind)
    except TypeError:
        pytest.skip("it isn't made in this way")
    for text in (str(thing), repr(thing), f"{thing}"):
        assert isinstance(text, str)


class Rude:
    """Doesn't like to be looked at."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


def received(**sections: Any) -> Message:
    return Message.decode_from_bytes(Message(**sections).encode_message())


LONG = MessageProperties(message_id="i" * 1000, user_id="sEcReT", subject="sEcReT")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (Message("hello"), "data of 5 bytes, WaitingToBeSent"),
        (Message(b"x"), "data of 1 byte, WaitingToBeSent"),
        (Message(["sEc", "ReT!"]), "2 data sections of 7 bytes, WaitingToBeSent"),
        (Message([]), "0 data sections of 0 bytes, WaitingToBeSent"),
        (Message({"pw": "sEcReT"}), "value of 15 bytes, WaitingToBeSent"),
        (Message(None), "value of 1 byte, WaitingToBeSent"),
        (Message([[1], [2]], body_type=MessageBodyType.Sequence),
         "2 sequence sections of 10 bytes, WaitingToBeSent"),
        (Message("x", properties=MessageProperties(message_id="m1")),
         "data of 1 byte, WaitingToBeSent, message_id=b'm1'"),
        (Message("x", properties=MessageProperties(message_id=5)), "data of 1 byte, WaitingToBeSent, message_id=5"),
        (received(body="hello"), "data of 5 bytes, ReceivedSettled"),
        (received(body="x" * 300), "data of 300 bytes, ReceivedSettled"),
        (received(body=["a", "bc"]), "2 data sections of 3 bytes, ReceivedSettled"),
        (received(body=5), "value of 2 bytes, ReceivedSettled"),
        (received(body="x", properties=MessageProperties(message_id=uuid.UUID(int=7))),
         "data of 1 byte, ReceivedSettled, message_id=UUID('00000000-0000-0000-0000-000000000007')"),
        (Message(message=c_uamqp.create_message(), settler=print, delivery_no=7),
         "no body, ReceivedUnsettled, delivery_no=7"),
        (BatchMessage(["a", "b"]), "2 items, WaitingToBeSent"),
        (BatchMessage(iter(["a"])), "items of a list_iterator, WaitingToBeSent"),
        (BatchMessage(), "no data, WaitingToBeSent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_a_message_is(message: Message, shown: str) -> None:
    assert repr(message) == f"<{type(message).__name__} {shown}>"


def test_a_messages_repr_is_short_and_has_no_content() -> None:
    secret: dict[str, Any] = {
        "application_properties": {"pw": "sEcReT"},
        "annotations": {"pw": "sEcReT"},
        "properties": LONG,
    }
    for message in (Message("sEcReT" * 1000, **secret), received(body="sEcReT", **secret)):
        assert len(repr(message)) < 200
        assert "sEc" not in repr(message)
        assert repr([message]) == f"[{message!r}]"


def test_looking_at_a_received_message_decodes_nothing_for_good() -> None:
    """What nobody has changed goes on as it came, with every AMQP type."""
    payload = b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x75\xb0\x00\x00\x00\x01x"  # not as we encode it
    message = Message.decode_from_bytes(payload)
    assert repr(message) == "<Message data of 1 byte, ReceivedSettled>"
    assert message.encode_message() == payload


def test_odd_messages() -> None:
    for change in (
        {"state": Rude()}, {"state": None}, {"_properties": Rude()}, {"_properties": 5}, {"_content": Rude()},
        {"delivery_no": Rude()}, {"_payload": b"\xff"}, {"_delivery": Rude()}, {"_encoding": "no-such-encoding"},
    ):  # fmt: skip
        message = Message.decode_from_bytes(Message("x").encode_message())
        for name, value in change.items():
            setattr(message, name, value)
        assert repr(message).startswith("<Message ")
        assert isinstance(str(message), str)
    batch = BatchMessage(["x"])
    batch._body_gen = Rude()
    assert repr(batch).startswith("<BatchMessage ")
    assert str(batch).startswith("<BatchMessage ")


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        (b"\xff\x00a", None, "\\xff\x00a"),
        ([b"\xfe", "b"], None, "\\xfeb"),
        ("é".encode("latin-1"), None, "\\xe9"),
        (b"\xff", MessageBodyType.Value, "\\xff"),
        (bytearray(b"\xff"), None, "\\xff"),
        ([b"\xff", 1], MessageBodyType.Sequence, "\\xff1"),
        ({b"\xff": 1}, None, "{b'\\xff': 1}"),
        ("text", None, "text"),
        ("ünï", None, "ünï"),
        (0, None, ""),
        (5, None, "5"),
    ],
)
def test_a_body_that_is_no_text(body: Any, kind: Any, shown: str) -> None:
    """1.6 raised UnicodeDecodeError."""
    message = Message(body, body_type=kind)
    for each in (message, Message.decode_from_bytes(message.encode_message())):
        assert str(each) == shown
        assert str(each._body) == shown
    assert str(Message("é", encoding="latin-1")) == "é"


def test_bodies() -> None:
    data = DataBody()
    data.append("abc")
    assert repr(data) == "<DataBody, data of 3 bytes>"
    value = ValueBody()
    value._parts = [b"\xff"]
    assert str(value) == "<ValueBody that can't be read: DecodeError>"
    with pytest.raises(ValueError, match="0xff"):
        bytes(value)
    sequence = SequenceBody()
    sequence._parts = [b"\xff"]
    assert str(sequence).startswith("<SequenceBody that can't be read")
    with pytest.raises(ValueError, match="0xff"):
        bytes(sequence)


def test_sections_and_values() -> None:
    assert "message_id" in str(MessageProperties())
    assert "priority" in str(MessageHeader())
    header = MessageHeader()
    header.priority = Rude()  # type: ignore[assignment]
    assert str(header) == "<MessageHeader that can't be read: RuntimeError>"
    assert repr(types.AMQPSymbol("a")) == "AMQPSymbol(b'a')"
    deep: Any = c_uamqp.ListValue([])
    for _ in range(100_000):
        deep = c_uamqp.ListValue([deep])
    assert str(deep) == "<ListValue that can't be read: RecursionError>" or str(deep).startswith("{")
    while deep._value:  # or taking it apart overflows the stack
        deep = deep._value.pop()


# -- the log


def test_nothing_is_printed_where_nobody_asked_for_a_log() -> None:
    handlers = logging.getLogger("uamqp").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


def loud(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def lines(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


def test_the_end_of_a_connection_is_raised_and_not_logged_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1, "uamqp")

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach")
        peer.send("close", error=codec.error("amqp:connection:forced", "maintenance"))
        peer.expect("close")

    with ScriptedServer(script) as server:
        client = SendClient(url(server), client_name="me")
        for _ in range(3):
            with pytest.raises(errors.ConnectionClose, match="maintenance"):
                client.send_message(Message("x"))
        client.close()
    assert loud(caplog) == []
    (line,) = lines(caplog, "has ended: ConnectionClose")
    assert line.startswith(f"Connection b'me' to 127.0.0.1:{server.port} has ended")


@pytest.mark.parametrize("kind", ["sender", "receiver"])
def test_the_end_of_a_link_is_raised_and_not_logged_as_well(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1, "uamqp")

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(SENDER if kind == "sender" else RECEIVER)
        peer.ignore("flow")
        peer.send("detach", handle=0, closed=True, error=codec.error("amqp:link:stolen", "somebody else has it"))
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server:
        client: Any = SendClient(url(server, "n")) if kind == "sender" else ReceiveClient(url(server, "n"))
        client.open()
        for _ in range(2):
            with pytest.raises(errors.LinkDetach, match="somebody else has it"):
                until(lambda: False, client.do_work)
        client.close()
    assert loud(caplog) == []
    (line,) = lines(caplog, "has ended: LinkDetach")
    assert "node 'n'" in line
    assert f"to 127.0.0.1:{server.port}" in line


def test_which_connection_and_link_a_line_is_about(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1, "uamqp")
    host = f"127.0.0.1:{broker.port}"
    with SendClient(f"{broker.url}/q", client_name="me", debug=True) as client:
        client.send_message(Message("x"))
    with ReceiveClient(f"{broker.url}/r", client_name="you", timeout=10) as client:
        until(client.client_ready, lambda: None)
        assert client.receive_message_batch() == []
    for line in lines(caplog, "Connection b'"):
        assert host in line
    sent = lines(caplog, "Message Sender")
    assert sent
    assert all("node 'q', connection b'me'" in line and host in line for line in sent)
    received_lines = lines(caplog, "Message Receiver")
    assert received_lines
    assert all("node 'r', connection b'you'" in line and host in line for line in received_lines)
    assert all(f"/{node}" in line for node, line in (("r", *lines(caplog, "No message from")),))
    frames = [record for record in caplog.records if record.name == "uamqp.c_uamqp"]
    assert frames
    assert {record.connection for record in frames} == {f"b'me' to {host}"}  # type: ignore[attr-defined]


def test_a_callback_that_ends_the_link_is_raised_and_not_logged_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1, "uamqp")

    def script(peer: SocketPeer) -> None:
        accept_receiver(peer)
        peer.expect("flow")
        peer.send_delivery(data_message(b"x"))
        peer.ignore("disposition", "flow")
        peer.accept_close()

    def fail(message: Message) -> None:
        raise RuntimeError("the callback's own fault")

    with ScriptedServer(script) as server:
        connection = connect(server)
        receiver = MessageReceiver(Session(connection), Source("q"), "us", fail)
        receiver.open()
        with pytest.raises(errors.LinkDetach, match="the callback's own fault"):
            until(lambda: receiver.get_state() is None, connection.work)
        connection.destroy()
    assert loud(caplog) == []


def test_what_nobody_raises_is_logged_with_its_link(
    broker: Broker, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    caplog.set_level(logging.WARNING, "uamqp")

    def fail(*arguments: Any) -> None:
        raise ValueError("the callback's own fault")

    broker.put("q", Message("x"))
    clock.stand_until(lambda: broker.queue("q").counters.modified == 1, then=0.2)
    with ReceiveClient(f"{broker.url}/q", timeout=200, on_attach=fail) as client:
        client.receive_messages(fail)
    texts = loud(caplog)
    assert any("on_attach raised" in text for text in texts)
    assert any("on_message_received raised" in text and "node 'q'" in text for text in texts)
    assert all(f"127.0.0.1:{broker.port}" in text for text in texts)


def test_a_management_status_is_not_an_error_in_the_log(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """It is for the caller, or its callback, to judge."""
    caplog.set_level(1, "uamqp")
    broker.serve("$management", lambda request: ServiceResponse(404, "no such thing"))

    def judge(status: int, answer: Message, description: bytes) -> None:
        raise LookupError(description.decode())

    with AMQPClient(broker.url) as client, pytest.raises(LookupError, match="no such thing"):
        client.mgmt_request(Message(1), b"READ", callback=judge)
    assert loud(caplog) == []
    (line,) = lines(caplog, "status 404")
    assert f"$management at 127.0.0.1:{broker.port}" in line


class Late(Exception):
    """What a signal handler raises."""


class Slow:
    """A signal comes while it is shown."""

    def __repr__(self) -> str:
        signal.raise_signal(signal.SIGINT)
        return "slow"


def test_what_a_signal_handler_raises_comes_out() -> None:
    def handler(*_: object) -> None:
        raise Late

    header = MessageHeader()
    header.priority = Slow()  # type: ignore[assignment]
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(Late):
            str(header)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", [Message, MessageProperties, MessageHeader])
def test_help_lists_no_private_names(kind: type) -> None:
    """It does where a class has a name that a named tuple has: `_fields`."""
    assert re.findall(r"^ \|  (_[a-z]\w*)", pydoc.plain(pydoc.render_doc(kind)), re.MULTILINE) == []
