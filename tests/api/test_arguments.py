"""Wrong arguments are refused at the call: what is wrong is named, and what would be right. With both fronts."""

# ruff: noqa: PLW0108 (the classes are looked up when the front is known)

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import functools
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import uamqp
from tests.peer.certs import Certificates
from uamqp import (
    AMQPClient,
    BatchMessage,
    Connection,
    Message,
    MessageReceiver,
    MessageSender,
    ReceiveClient,
    SendClient,
    Session,
    Source,
    Target,
    c_uamqp,
    errors,
    types,
    utils,
)
from uamqp.authentication import (
    AMQPAuth,
    JWTTokenAuth,
    SASLAnonymous,
    SASLExternal,
    SASLPlain,
    SASTokenAuth,
    TokenRetryPolicy,
)
from uamqp.constants import MessageState, ReceiverSettleMode, SenderSettleMode, TransportType
from uamqp.message import MessageHeader, MessageProperties
from uamqp.mgmt_operation import MgmtOperation
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

URL = "amqp://127.0.0.1:1/q"
HOUR = datetime.timedelta(hours=1)


class Thing:
    """Of no type that anything takes."""


THING = Thing()
TEXT: list[Any] = [5, 1.5, THING, ["x"], {"a": 1}, True]
INTEGER: list[Any] = ["5", b"5", THING, 1.5, math.nan, math.inf, -1, 2**70, [1], True]
COUNT = [value for value in INTEGER if value != 2**70]
NUMBER: list[Any] = ["5", b"5", THING, math.nan, -1, -0.5, [1], {"a": 1}, HOUR, True]
FUNCTION: list[Any] = [5, "x", THING, ["f"], {"a": 1}, True]
MAPPING: list[Any] = [5, "x", THING, ["a"], ("a", "b"), True]
MODE: list[Any] = ["Sometimes", 99, THING, [1], -1, 1.5]
ENCODING: list[Any] = [5, THING, ["utf-8"], b"utf-8", "no-such-encoding", "base64"]
POLICY: list[Any] = [5, "x", THING, ["a"], errors.ErrorPolicy, len]
OBJECT: list[Any] = [5, "x", THING, ["a"], {"a": 1}, Message, len]
NAMES: list[Any] = [5, THING, {"a": 1}, [1], True, 1.5]
FILE: list[Any] = [5, THING, ["x"], True, 1.5, "-----BEGIN PRIVATE KEY-----\nsEcReT\n", "a\0b"]
PORT: list[Any] = ["http", THING, [1], -1, 65536, math.nan, math.inf, "5 6"]

Case = tuple[str, Callable[[Any], Any], list[Any], str]
CASES: list[Case] = []


def case(where: str, call: Callable[..., Any], wrong: dict[str, list[Any]], **base: Any) -> None:
    """A callable and its arguments: the wrong values of each. `base`: the right ones of others."""
    for name, values in wrong.items():
        CASES.append((f"{where}({name})", functools.partial(_call, call, base, name), values, name))


def _call(call: Callable[..., Any], base: dict[str, Any], name: str, value: Any) -> Any:
    return call(**{**base, name: value})


CONNECTION = {
    "max_frame_size": INTEGER, "channel_max": INTEGER, "idle_timeout": NUMBER, "properties": MAPPING,
    "remote_idle_timeout_empty_frame_send_ratio": [*NUMBER, 1, 2], "error_policy": POLICY, "encoding": ENCODING,
    "handshake_timeout": NUMBER, "link_timeout": NUMBER, "close_timeout": NUMBER,
}  # fmt: skip
SESSION = {"incoming_window": INTEGER, "outgoing_window": INTEGER, "handle_max": INTEGER, "on_attach": FUNCTION}
LINK = {
    "name": TEXT, "send_settle_mode": MODE, "receive_settle_mode": MODE, "max_message_size": INTEGER,
    "properties": MAPPING, "error_policy": POLICY, "encoding": ENCODING, "desired_capabilities": NAMES,
}  # fmt: skip
CLIENT = {
    **CONNECTION, **SESSION, "auth": OBJECT, "client_name": TEXT, "keep_alive_interval": NUMBER, "transport_type": MODE,
    "http_proxy": MAPPING, "send_settle_mode": MODE, "receive_settle_mode": MODE, "desired_capabilities": NAMES,
}  # fmt: skip


def giving(get_token: Any, make: Any = JWTTokenAuth) -> Any:
    return make("a", "sb://h/q", get_token)


def bare(**settings: Any) -> Any:
    return Connection("h", SASLAnonymous("h", use_tls=False), **settings)


def session(**settings: Any) -> Any:
    return Session(bare(), **settings)


def sender(**settings: Any) -> Any:
    return MessageSender(**{"session": Session(bare()), "source": "us", "target": Target("q"), **settings})


def receiver(**settings: Any) -> Any:
    given = {"session": Session(bare()), "source": Source("q"), "target": "us", "on_message_received": print}
    return MessageReceiver(**{**given, **settings})


def change(make: Callable[[], Any], name: str) -> Callable[..., Any]:
    return lambda **given: setattr(make(), name, given[name])


case("AMQPClient", lambda **given: AMQPClient(**{"remote_address": URL, **given}), {"remote_address": TEXT, **CLIENT})
case(
    "SendClient",
    lambda **given: SendClient(**{"target": URL, **given}),
    {
        "target": [*TEXT, Source(URL)], **CLIENT, "msg_timeout": NUMBER, "max_message_size": INTEGER,
        "link_properties": MAPPING, "link_credit": INTEGER, "stall_timeout": NUMBER,
    },
)  # fmt: skip
case(
    "ReceiveClient",
    lambda **given: ReceiveClient(**{"source": URL, **given}),
    {
        "source": [*TEXT, Target(URL)], **CLIENT, "timeout": NUMBER, "max_message_size": INTEGER, "prefetch": INTEGER,
        "link_properties": MAPPING,
    },
)  # fmt: skip
case("Connection", bare, {**CONNECTION, "container_id": TEXT[:-1]})
case("Connection", lambda **given: Connection(**{"hostname": "h", "sasl": None, **given}), {"hostname": [*TEXT, None]})
case("Connection", lambda **given: Connection("h", **given), {"sasl": OBJECT})
for setting in ("max_frame_size", "channel_max", "idle_timeout", "properties"):
    case("Connection.set", change(bare, setting), {setting: CONNECTION[setting]})
case("Connection.lock", lambda timeout: bare().lock(timeout), {"timeout": [*NUMBER[:4], math.inf, 2**70]})
case("Connection.sleep", lambda seconds: bare().sleep(seconds), {"seconds": [*NUMBER, math.inf]})
case("Session", session, SESSION)
case("Session", lambda connection: Session(connection), {"connection": OBJECT})
for setting in ("incoming_window", "outgoing_window", "handle_max"):
    case("Session.set", change(session, setting), {setting: INTEGER})
case("MessageSender", sender, {**LINK, "session": OBJECT, "source": TEXT, "target": OBJECT, "link_credit": INTEGER})
case(
    "MessageReceiver",
    receiver,
    {**LINK, "session": OBJECT, "source": OBJECT, "target": TEXT, "prefetch": INTEGER, "on_message_received": FUNCTION},
)
for setting, values in (("send_settle_mode", MODE), ("receive_settle_mode", MODE), ("max_message_size", INTEGER)):
    case("MessageSender.set", change(sender, setting), {setting: values})
    case("MessageReceiver.set", change(receiver, setting), {setting: values})
case("MessageReceiver.set", change(receiver, "on_message_received"), {"on_message_received": FUNCTION})
case(
    "MessageSender.send",
    lambda **given: sender().send(**{"message": Message("x"), "callback": None, **given}),
    {"message": [5, "x", THING, Message, None], "callback": FUNCTION, "timeout": NUMBER},
)
case("MessageReceiver.reset_link_credit", lambda link_credit: receiver().reset_link_credit(link_credit),
     {"link_credit": INTEGER})  # fmt: skip
REQUEST = {
    "message": [5, "x", THING, Message, None], "operation": [*TEXT, None], "op_type": TEXT, "timeout": NUMBER,
}  # fmt: skip
FIELDS = {"node": TEXT, "callback": FUNCTION, "encoding": ENCODING, "status_code_field": TEXT[:3],
          "description_fields": TEXT[:3]}  # fmt: skip
case("Session.mgmt_request", lambda **given: session().mgmt_request(**given), {**REQUEST, **FIELDS},
     message=Message(1), operation=b"READ")  # fmt: skip
case("AMQPClient.mgmt_request", lambda **given: AMQPClient(URL).mgmt_request(**given), {**REQUEST, **FIELDS},
     message=Message(1), operation=b"READ")  # fmt: skip
case("MgmtOperation.execute", lambda **given: MgmtOperation(session()).execute(**given), REQUEST,
     message=Message(1), operation=b"READ", op_type=b"t")  # fmt: skip
case("MgmtOperation", lambda **given: MgmtOperation(**{"session": session(), **given}),
     {"session": OBJECT, "target": TEXT, "encoding": ENCODING, "status_code_field": TEXT[:3]})  # fmt: skip
case("SendClient.queue_message", lambda **given: SendClient(URL).queue_message(*given.values()),
     {"messages[0]": [5, "x", THING, Message, None, [Message("x")], {"a": 1}]})  # fmt: skip
case("SendClient.send_message", lambda messages: SendClient(URL).send_message(messages),
     {"messages": [5, "x", b"x", bytearray(b"x"), memoryview(b"x"), THING, Message, None, {"a": 1}]})  # fmt: skip
case("SendClient.send_message",
     lambda **given: SendClient(URL).send_message([Message("a"), Message("b"), *given.values()]),
     {"messages[2]": [5, "x", THING, Message, None, [Message("x")]]})  # fmt: skip
for opened in (SendClient, ReceiveClient, AMQPClient):

    def open_with(connection: Any, opened: Any = opened) -> Any:
        return opened(URL).open(connection)

    def redirect_with(opened: Any = opened, **given: Any) -> Any:
        redirect = errors.LinkRedirect(b"amqp:link:redirect", info={b"hostname": b"h", b"address": b"amqps://h/q"})
        return opened(URL).redirect(**{"redirect": redirect, "auth": SASLAnonymous("h"), **given})

    case(f"{opened.__name__}.open", open_with, {"connection": OBJECT})
    if opened is not AMQPClient:
        case(f"{opened.__name__}.redirect", redirect_with, {"redirect": OBJECT[:4], "auth": OBJECT})
case("Connection.redirect", lambda auth: bare().redirect(SimpleNamespace(hostname=b"x"), auth), {"auth": OBJECT})
case("Connection.redirect", lambda redirect: bare().redirect(redirect, SASLAnonymous("h")), {"redirect": OBJECT})
BATCH = {"max_batch_size": INTEGER, "on_message_received": FUNCTION, "timeout": NUMBER}
case("ReceiveClient.receive_message_batch", lambda **given: ReceiveClient(URL).receive_message_batch(**given), BATCH)
for method in ("receive_messages", "receive_messages_iter"):

    def receive_with(method: str = method, **given: Any) -> Any:
        received = getattr(ReceiveClient(URL), method)(**given)
        return next(received) if method.endswith("iter") else received

    case(f"ReceiveClient.{method}", receive_with, {"on_message_received": FUNCTION})

case(
    "AMQPAuth",
    lambda **given: AMQPAuth(**{"hostname": "h", **given}),
    {
        "hostname": [*TEXT, None, "", b"", "me:pw@h"], "port": PORT, "verify": FILE, "http_proxy": MAPPING,
        "transport_type": MODE, "encoding": ENCODING, "ssl_context": [5, "x", THING], "certificate": FILE,
        "connect_timeout": [*NUMBER, 0, math.inf, 2**70], "websocket_path": [*TEXT, "/a b", "/a#b"],
    },
)  # fmt: skip
case(
    "http_proxy",
    lambda **given: AMQPAuth("h", http_proxy={"proxy_hostname": "p", "proxy_port": 1, **given}),
    {"proxy_hostname": [*TEXT, "me:pw@p"], "proxy_port": PORT, "username": TEXT, "password": TEXT},
)
case("SASLPlain", lambda **given: SASLPlain(**{"hostname": "h", "username": "me", "password": "pw", **given}),
     {"hostname": TEXT, "username": [*TEXT, None], "password": [*TEXT, None], "port": PORT})  # fmt: skip
case("SASLExternal", lambda certificate: SASLExternal("h", certificate), {"certificate": FILE})
TOKEN = {
    "audience": [*TEXT, None], "uri": [*TEXT, None], "expires_in": [5, "x", THING], "timeout": NUMBER,
    "expires_at": ["soon", *NUMBER[1:4], math.inf], "retry_policy": OBJECT[:4], "token_type": [*TEXT, None],
    "encoding": ENCODING, "port": PORT, "refresh_window": NUMBER, "custom_endpoint_hostname": TEXT,
    "transport_type": MODE,
}  # fmt: skip
case("SASTokenAuth", lambda **given: SASTokenAuth(**given),
     {**TOKEN, "token": [*TEXT, None], "username": TEXT, "password": TEXT},
     audience="a", uri="sb://h/q", token="t", expires_in=HOUR)  # fmt: skip
case("JWTTokenAuth", lambda **given: JWTTokenAuth(**given), TOKEN, audience="a", uri="sb://h/q", get_token=print)
case("from_shared_access_key", lambda **given: SASTokenAuth.from_shared_access_key(**given),
     {"uri": [*TEXT, None], "key_name": [*TEXT, None], "shared_access_key": [*TEXT, None],
      "expiry": [*NUMBER, 1e20, math.inf], "timeout": NUMBER},
     uri="sb://h/q", key_name="n", shared_access_key="k")  # fmt: skip
case("TokenRetryPolicy", TokenRetryPolicy, {"retries": NUMBER, "backoff": NUMBER})

SECTIONS = {
    "properties": [*MAPPING, {"message_id": "1"}, MessageHeader()],
    "application_properties": [*MAPPING, MessageProperties()],
    "annotations": MAPPING, "header": [*MAPPING, {"durable": True}, MessageProperties()],
}  # fmt: skip
OTHERS = {"footer": MAPPING, "delivery_annotations": MAPPING}
case("Message", Message, {**SECTIONS, **OTHERS}, body="x")
case(
    "Message", Message, {"encoding": ENCODING, "settler": FUNCTION, "message": OBJECT[:4], "body": [THING, {1: THING}]}
)
case("BatchMessage", BatchMessage, {**SECTIONS, "encoding": ENCODING, "data": [5, 1.5, THING, True, len]}, data=[])
for section, values in {**SECTIONS, **OTHERS}.items():
    case("Message.set", change(lambda: Message("x"), section), {section: values})
case("Message.message_format", change(lambda: Message("x"), "message_format"), {"message_format": ["x", THING, 1.5]})
case("Message.body_type", lambda body_type: Message("x", body_type=body_type), {"body_type": ["Blob", 99, THING, [1]]})
case("Message.decode_from_bytes", lambda **given: Message.decode_from_bytes(*given.values()),
     {"bytes": ["x", 5, THING, None, [1]]})  # fmt: skip
IDS: list[Any] = [THING, 1.5, [1], -1, 2**64]
case("MessageProperties", MessageProperties, {
    "message_id": IDS, "correlation_id": IDS, "to": [THING, [THING]], "reply_to": [THING], "user_id": TEXT,
    "subject": TEXT, "content_type": TEXT, "content_encoding": TEXT, "group_id": TEXT, "reply_to_group_id": TEXT,
    "absolute_expiry_time": ["1", THING, 1.5], "creation_time": ["1", THING, 1.5], "group_sequence": ["1", THING, 1.5],
    "properties": [5, "x", THING, {"message_id": "1"}], "encoding": ENCODING,
})  # fmt: skip
case("MessageHeader", MessageHeader, {"header": [5, "x", THING]})


def settled(method: str, **given: Any) -> Any:
    message = Message(message=c_uamqp.create_message(), settler=lambda response: None)
    return getattr(message, method)(**given)


case("Message.reject", functools.partial(settled, "reject"),
     {"condition": TEXT, "description": TEXT, "info": [*MAPPING, {"a": THING}]})  # fmt: skip
case("Message.modify", functools.partial(settled, "modify", failed=True, deliverable=True),
     {"annotations": [*MAPPING, {"a": THING}]})  # fmt: skip
case("Source", lambda **given: Source("q", **given), {"node": TEXT, "encoding": ENCODING})
for setting, values in (("durable", ["1", 3, -1, THING]), ("timeout", ["1", -1, 2**32, THING]),
                        ("expiry_policy", TEXT), ("distribution_mode", TEXT)):  # fmt: skip
    case("Source.set", change(lambda: Source("q"), setting), {setting: values})
case(
    "Source.set_filter",
    lambda **given: Source("q").set_filter(**{"value": "x", **given}),
    {"name": TEXT, "value": [THING]},
)
case("Source.get_filter", lambda name: Source("q").get_filter(name), {"name": TEXT})
case("ErrorPolicy", errors.ErrorPolicy, {"max_retries": [*NUMBER[:4], [1], HOUR, True, None], "on_error": FUNCTION})
case("ErrorAction", lambda backoff: errors.ErrorAction(True, backoff), {"backoff": NUMBER})
case("AMQPSymbol", types.AMQPSymbol, {"encoding": ENCODING}, value="x")
for kind in (types.AMQPLong, types.AMQPuInt, types.AMQPByte):
    case(kind.__name__, lambda kind=kind, **given: kind(*given.values()), {kind.__name__: [THING, [1], math.inf]})
case("AMQPArray", lambda **given: types.AMQPArray(*given.values()), {"AMQPArray": [5, THING]})
case("parse_connection_string", utils.parse_connection_string, {"connect_str": [5, THING, b"a=b", None]})
case("create_sas_token", utils.create_sas_token,
     {"key_name": ["x", 5], "shared_access_key": ["x", 5], "scope": ["x", 5], "expiry": [5, "x"]},
     key_name=b"n", shared_access_key=b"k", scope=b"s")  # fmt: skip
case("send_message", lambda **given: uamqp.send_message(**{"target": URL, "data": "x", **given}),
     {"target": TEXT, "auth": OBJECT})  # fmt: skip
case("receive_messages", lambda **given: uamqp.receive_messages(**{"source": URL, **given}),
     {"source": TEXT, "auth": OBJECT, "timeout": NUMBER, "max_batch_size": INTEGER})  # fmt: skip

# What 1.6 calls it in its text, where that isn't the argument's name.
SAYS = {
    "properties": "(?i)properties", "application_properties": "Application properties", "annotations": "annotations",
    "header": "(?i)header", "footer": "Footer", "delivery_annotations": "Delivery annotations",
    "message_format": "message-format", "body_type": "MessageBodyType", "body": "AMQP type", "info": "info",
    "max_batch_size": "(?i)max_batch_size|maximum batch size", "expires_in": "expires_in", "condition": "condition",
    "connection": "connection|ConnectionAsync",
}  # fmt: skip
# Texts of 1.6 that programs may match: they say what would be right, but not what was given.
AS_IN_1_6 = ("must be a dictionary", "must be a MessageProperties.", "must be a MessageHeader.", "must be an integer.",
             "must be bytes or str.", "must be a callable", "Must specify")  # fmt: skip


@pytest.mark.parametrize("where", sorted({where for where, *_ in CASES}))
def test_a_wrong_argument_is_named(where: str) -> None:
    for name, call, values, argument in CASES:
        for value in values if name == where else []:
            with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
                call(value)
            text = str(caught.value)
            problem = f"{where}: {value!r}: {text}"
            assert re.search(SAYS.get(argument, re.escape(argument)), text), problem
            if isinstance(caught.value, TypeError) and not any(known in text for known in AS_IN_1_6):
                assert type(value).__name__ in text or isinstance(value, (list, dict)), problem
            assert "sEcReT" not in text, problem
            assert "object at 0x" not in text, problem


@pytest.mark.parametrize("kind", [AMQPClient, SendClient, ReceiveClient])
def test_an_unknown_keyword_is_refused_as_in_1_6(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"^Received unrecognized kwargs: idle_timout, x$"):
        kind(URL, idle_timout=5, x=None)


# -- messages


@pytest.mark.parametrize("value", ["text", b"text", None, 5, THING, {"a": 1}], ids=lambda value: type(value).__name__)
def test_what_is_no_message_is_both_errors(value: Any) -> None:
    """In 1.6 it was an AttributeError about `gather`."""
    for call in (SendClient(URL).send_message, SendClient(URL).queue_message):
        for expected in (TypeError, AttributeError, errors.NotAMessage):
            with pytest.raises(expected, match=f"must be a Message or BatchMessage.* not {type(value).__name__}"):
                call(value)


def test_the_one_that_is_no_message_is_named() -> None:
    client = SendClient(URL)
    several: list[Any] = [Message("a"), BatchMessage(["b"]), "c", 5]
    with pytest.raises(errors.NotAMessage, match=r"^messages\[2\] must be .* not str"):
        client.send_message(several)
    with pytest.raises(errors.NotAMessage, match=r"^messages\[2\] must be .* not str"):
        client.send_message(iter(several))
    with pytest.raises(errors.NotAMessage, match=r"^messages\[2\] must be .* not str"):
        client.queue_message(*several)
    assert not client.messages_pending()
    assert several[0].state is MessageState.WaitingToBeSent
    copied = pickle.loads(pickle.dumps(errors.NotAMessage("x")))
    assert (type(copied), copied.args) == (errors.NotAMessage, ("x",))


def test_a_callback_that_cannot_be_called() -> None:
    client = SendClient(URL)
    for message in (Message("x"), BatchMessage(["x"])):
        message.on_send_complete = "done"  # type: ignore[assignment]
        for call in (client.send_message, client.queue_message):
            with pytest.raises(TypeError, match="on_send_complete must be callable, not str"):
                call(message)
    message = Message("x")
    message.on_send_complete = False  # type: ignore[assignment]  # false is none, as in 1.6
    client.queue_message(message)


@pytest.mark.blocking("test_async_tokens has what a coroutine gives")
def test_a_token_that_is_none() -> None:
    with pytest.raises(
        TypeError, match="get_token must be an object with the attributes token and expires_on, not str"
    ):
        giving(lambda: "token").update_token()
    with pytest.raises(TypeError, match="token must be str or bytes, not int"):
        giving(lambda: SimpleNamespace(token=5, expires_on=5)).update_token()
    with pytest.raises(TypeError, match="expires_at must be a number of seconds since 1970, or a datetime, not list"):
        giving(lambda: SimpleNamespace(token="t", expires_on=[])).update_token()


# -- what 1.6 took, and is no mistake


class Mode(enum.Enum):
    """A package's own: told by its members' names."""

    Amqp = 17
    AmqpOverWebsocket = 18
    Settled = "s"
    PeekLock = "p"
    ReceiveAndDelete = "r"


class Policy(errors.ErrorPolicy):
    def on_link_error(self, error: Any) -> errors.ErrorAction:
        return errors.ErrorAction(retry=True, backoff=4)


class Lookalike:
    """No ErrorPolicy, but does what one does."""

    max_retries = 2

    def on_unrecognized_error(self, error: Any) -> errors.ErrorAction:
        return errors.ErrorAction(retry=False)

    on_message_error = on_link_error = on_connection_error = on_unrecognized_error


class Text(str):
    """Some package's own."""

    __slots__ = ()


class Callback:
    def __call__(self, *arguments: Any) -> None: ...


@pytest.mark.parametrize("make", [SendClient, ReceiveClient])
def test_arguments_that_look_odd(make: Any) -> None:
    for given in (
        {"error_policy": Policy()},
        {"error_policy": Lookalike()},
        {"transport_type": Mode.AmqpOverWebsocket},
        {"send_settle_mode": Mode.Settled, "receive_settle_mode": Mode.ReceiveAndDelete},
        {"send_settle_mode": "Settled", "receive_settle_mode": None},
        {"client_name": Text("me")},
        {"client_name": b"me"},
        {"on_attach": Callback()},
        {"on_attach": functools.partial(print)},
        {"max_frame_size": 65536.0, "channel_max": fractions.Fraction(5), "handle_max": decimal.Decimal(5)},
        {"idle_timeout": 0.5 + 1000, "incoming_window": enum.IntEnum("N", {"x": 5})["x"]},  # type: ignore[index]
        {"idle_timeout": fractions.Fraction(5, 2), "keep_alive_interval": 1.5},
        {"desired_capabilities": utils.data_factory(types.AMQPArray([types.AMQPSymbol("a")]))},
        {"desired_capabilities": [b"com.microsoft:georeplication"]},
        {"properties": {types.AMQPSymbol("product"): "x", "version": b"1", b"framework": "y"}},
        {"link_properties": {b"com.microsoft:receiver-name": "x", types.AMQPSymbol("y"): types.AMQPLong(5)}},
        {"handshake_timeout": math.inf, "link_timeout": 1, "close_timeout": decimal.Decimal("0.5")},
        {"auth": type("Mine", (SASLAnonymous,), {})("h")},
        {"encoding": "latin-1"},
    ):
        make("amqps://h/q", **given)
    assert make("amqps://h/q", send_settle_mode=Mode.Settled)._send_settle_mode is SenderSettleMode.Settled
    assert make("amqps://h/q", receive_settle_mode=Mode.PeekLock)._receive_settle_mode is ReceiverSettleMode.PeekLock
    assert SASLAnonymous("h", transport_type=Mode.Amqp, use_tls=False)._endpoint().port == 5672
    assert SASLAnonymous("h", transport_type=TransportType.AmqpOverWebsocket, use_tls=False)._endpoint().port == 80
    with pytest.raises(ValueError, match=r"send_settle_mode must be one of SenderSettleMode.Unsettled, .* not Mode"):
        make("amqps://h/q", send_settle_mode=Mode.Amqp)


def test_a_subclass_of_an_address(broker: Broker) -> None:
    class Mine(Target):
        pass

    with SendClient(Mine(f"{broker.url}/q")) as client:
        client.send_message(Message("x"))
    assert broker.queue("q").depth == 1


class Gathers:
    """No message, but gathers some: 1.6 asked for no more."""

    def gather(self) -> list[Message]:
        return [Message("x"), Message("y")]


def test_what_gathers_messages_is_sent(broker: Broker) -> None:
    with SendClient(f"{broker.url}/q") as client:
        client.send_message(Gathers())  # type: ignore[arg-type]
        client.queue_message(Gathers())  # type: ignore[arg-type]
        client.send_all_messages(close_on_done=False)
        client.send_message(message for message in [Message("z")])
    assert broker.queue("q").depth == 5


def test_paths_of_files(certificates: Certificates) -> None:
    for verify in (certificates.ca, Path(certificates.ca), certificates.ca.encode()):
        assert SASLAnonymous("h", verify=verify).cert_file == verify  # type: ignore[arg-type]
    SASLExternal("h", Path(certificates.client.cert), Path(certificates.client.key))  # type: ignore[arg-type]
    for name in ("verify", "certificate", "key"):
        with pytest.raises(ValueError, match=f"{name} must be the path of a file, not what is in it") as caught:
            SASLAnonymous("h", **{name: Path(certificates.client.key).read_text()})  # type: ignore[arg-type]
        assert "PRIVATE" not in str(caught.value)


@pytest.mark.blocking("update_token is a coroutine there")
def test_times_that_services_give() -> None:
    auth = giving(lambda: SimpleNamespace(token="t", expires_on="1893456000"))
    auth.update_token()
    assert auth.expires_at == 1893456000


def test_retries_as_they_were() -> None:
    for count in (0, -1, False, 2, 2.5, math.inf):
        assert errors.ErrorPolicy(max_retries=count).max_retries == count  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: Message(message="text"), "a c_uamqp.cMessage"),
        (lambda: MessageHeader(header="text"), "a c_uamqp.cHeader"),
        (lambda: MessageProperties(properties="text"), "a c_uamqp.cProperties"),
    ],
)
def test_what_the_native_module_gives_is_named_as_programs_know_it(call: Callable[[], Any], named: str) -> None:
    with pytest.raises(TypeError, match=f"must be {re.escape(named)}"):
        call()


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


# How deep a value may be there, and what gives it. A message's own maps are in test_nesting.
DEEP: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "properties": (62, lambda value: SendClient(URL, properties={"a": value})),
    "properties of a connection": (62, lambda value: Connection("h", sasl=None, properties={"a": value})),
    "link_properties": (62, lambda value: SendClient(URL, link_properties={"a": value})),
    "filter": (60, lambda value: Source(URL).set_filter(value)),
}


@pytest.mark.parametrize(("name", "given"), DEEP.items())
def test_what_is_nested_too_deep_is_refused_at_the_call(name: str, given: tuple[int, Callable[[Any], Any]]) -> None:
    deepest, call = given
    call(nested(deepest))
    for depth in (deepest + 1, 100, 5000):
        with pytest.raises(ValueError, match="nested") as caught:
            call(nested(depth))
        assert name.partition(" ")[0] in str(caught.value) or "value" in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda value: MessageProperties(message_id=value),
        lambda value: types.AMQPArray(value),
        lambda value: Source(URL, capabilities=value),
        lambda value: utils.data_factory(value),
    ],
)
def test_what_is_nested_deeper_than_python_goes(call: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        call(nested(5000))
