"""The project's specification: each of its examples, names and values, as far as it concerns the blocking API.

Examples stand here as they stand there, with the broker's address put in.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import uamqp
from tests.support.waiting import until
from uamqp import Message, MessageReceiver, MessageSender, ReceiveClient, SendClient, Session, constants, types
from uamqp.authentication import SASLAnonymous, SASLPlain
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

VALUES: dict[str, dict[str, Any]] = {
    "MessageState": {
        "WaitingToBeSent": 0,
        "WaitingForSendAck": 1,
        "SendComplete": 2,
        "SendFailed": 3,
        "ReceivedUnsettled": 4,
        "ReceivedSettled": 5,
    },
    "MessageSendResult": {"Ok": 0, "Error": 1, "Timeout": 2, "Cancelled": 3},
    "MessageSenderState": {"Idle": 0, "Opening": 1, "Open": 2, "Closing": 3, "Error": 4},
    "MessageReceiverState": {"Idle": 0, "Opening": 1, "Open": 2, "Closing": 3, "Error": 4},
    "TransportType": {"Amqp": 0, "AmqpOverWebsocket": 1},
    "MessageBodyType": {"Data": 0, "Value": 1, "Sequence": 2},
    "SenderSettleMode": {"Unsettled": 0, "Settled": 1, "Mixed": 2},
    "ReceiverSettleMode": {"PeekLock": 0, "ReceiveAndDelete": 1},
    "Role": {"Sender": 0, "Receiver": 1},
    "ErrorCodes": {
        "InternalServerError": "amqp:internal-error",
        "NotFound": "amqp:not-found",
        "UnauthorizedAccess": "amqp:unauthorized-access",
        "DecodeError": "amqp:decode-error",
        "ResourceLimitExceeded": "amqp:resource-limit-exceeded",
        "NotAllowed": "amqp:not-allowed",
        "InvalidField": "amqp:invalid-field",
        "NotImplemented": "amqp:not-implemented",
        "ResourceLocked": "amqp:resource-locked",
        "PreconditionFailed": "amqp:precondition-failed",
        "ResourceDeleted": "amqp:resource-deleted",
        "IllegalState": "amqp:illegal-state",
        "FrameSizeTooSmall": "amqp:frame-size-too-small",
    },
    "CBSOperationResult": {"Ok": 0, "Error": 1, "OperationFailed": 2, "Timeout": 3},
    "CBSOpenState": {"Closed": 0, "Opening": 1, "Open": 2, "Error": 3},
    "CBSAuthStatus": {
        "Idle": 0,
        "InProgress": 1,
        "Complete": 2,
        "Expired": 3,
        "Error": 4,
        "RefreshRequired": 5,
    },
    "MgmtExecuteResult": {"Ok": 0, "Error": 1, "Timeout": 2},
    "MgmtOpenStatus": {"Closed": 0, "Opening": 1, "Open": 2, "Error": 3},
}

CONSTANTS = {
    "DEFAULT_AMQPS_PORT": 5671,
    "DEFAULT_AMQP_WSS_PORT": 443,
    "AUTH_EXPIRATION_SECS": 3600,
    "AUTH_REFRESH_SECS": 600,
    "MAX_FRAME_SIZE_BYTES": 65536,
    "MAX_MESSAGE_LENGTH_BYTES": 1048576,
    "BATCH_MESSAGE_FORMAT": 0x80013700,
}

TYPES = [
    "AMQPSymbol",
    "AMQPChar",
    "AMQPLong",
    "AMQPuLong",
    "AMQPInt",
    "AMQPuInt",
    "AMQPShort",
    "AMQPuShort",
    "AMQPByte",
    "AMQPuByte",
    "AMQPArray",
    "AMQPDescribed",
]


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    enumeration = getattr(constants, name)
    for member, value in VALUES[name].items():
        assert getattr(enumeration, member) == value
        assert getattr(enumeration, member).value == value
        assert getattr(enumeration, member)  # true, whatever its number is


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name: str) -> None:
    assert getattr(constants, name) == CONSTANTS[name]


@pytest.mark.parametrize("name", TYPES)
def test_types(name: str) -> None:
    kind = getattr(types, name)
    assert issubclass(kind, types.AMQPType)
    assert isinstance(inspect.getattr_static(kind, "value"), property)
    assert isinstance(inspect.getattr_static(kind, "c_data"), property)


# -- examples


def test_type_system(broker: Broker) -> None:
    from uamqp.types import AMQPArray, AMQPLong, AMQPSymbol, AMQPuInt

    # Symbol type for identifiers
    symbol = AMQPSymbol("queue-name")

    # Numeric types
    long_val = AMQPLong(9223372036854775807)
    uint_val = AMQPuInt(4294967295)

    # Array type
    numbers = AMQPArray([1, 2, 3, 4, 5])
    assert symbol.value == b"queue-name"
    assert (long_val.value, uint_val.value) == (9223372036854775807, 4294967295)
    assert [int(number) for number in numbers.value] == [1, 2, 3, 4, 5]

    # Use in message properties
    from uamqp import Message
    from uamqp.message import MessageProperties

    properties = MessageProperties(message_id=AMQPSymbol("msg-12345"), group_sequence=AMQPuInt(1))
    message = Message("data", properties=properties)

    uamqp.send_message(broker.url + "/q", message)
    got = uamqp.receive_message(broker.url + "/q", timeout=5000)
    assert got is not None
    assert (got.properties.message_id, got.properties.group_sequence) == (b"msg-12345", 1)


def test_values_of_every_type_come_back(broker: Broker) -> None:
    values = {
        "symbol": (types.AMQPSymbol("s"), b"s"),
        "char": (types.AMQPChar("c"), "c"),
        "long": (types.AMQPLong(-(2**63)), -(2**63)),
        "ulong": (types.AMQPuLong(2**64 - 1), 2**64 - 1),
        "int": (types.AMQPInt(-(2**31)), -(2**31)),
        "uint": (types.AMQPuInt(2**32 - 1), 2**32 - 1),
        "short": (types.AMQPShort(-(2**15)), -(2**15)),
        "ushort": (types.AMQPuShort(2**16 - 1), 2**16 - 1),
        "byte": (types.AMQPByte(-128), -128),
        "ubyte": (types.AMQPuByte(255), 255),
        "array": (types.AMQPArray([1, 2, 3]), [1, 2, 3]),
        "described": (types.AMQPDescribed(types.AMQPSymbol("d"), types.AMQPSymbol("v")), b"v"),
    }
    for name, (value, _) in values.items():
        uamqp.send_message(broker.url + "/" + name, Message(body=value, body_type=constants.MessageBodyType.Value))
    for name, (_, plain) in values.items():
        got = uamqp.receive_message(broker.url + "/" + name, timeout=5000)
        assert got is not None
        assert got.value == plain, name


def test_explicit_body_type(broker: Broker) -> None:
    from uamqp import Message
    from uamqp.constants import MessageBodyType

    # Explicit body type specification
    message = Message(body={"key": "value"}, body_type=MessageBodyType.Value)
    uamqp.send_message(broker.url + "/q", message)
    got = uamqp.receive_message(broker.url + "/q", timeout=5000)
    assert got is not None
    assert got.value == {b"key": b"value"}


def test_settle_modes(broker: Broker) -> None:
    from uamqp import ReceiveClient, SendClient
    from uamqp.constants import ReceiverSettleMode, SenderSettleMode

    target = source = broker.url + "/q"
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    # Fire-and-forget sending
    send_client = SendClient(target, auth=auth, send_settle_mode=SenderSettleMode.Settled)
    message = Message("x")
    send_client.send_message(message, close_on_done=True)
    assert message.state is constants.MessageState.SendComplete

    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    # Manual acknowledgment receiving
    receive_client = ReceiveClient(source, auth=auth, receive_settle_mode=ReceiverSettleMode.PeekLock)
    receive_client.auto_complete = False
    (got,) = receive_client.receive_message_batch(timeout=5000)
    assert not got.settled
    assert got.accept()
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 1)
    receive_client.close()


def test_ports_and_frame_sizes() -> None:
    from uamqp.constants import AUTH_EXPIRATION_SECS, DEFAULT_AMQPS_PORT, MAX_FRAME_SIZE_BYTES

    # Use default port
    auth = SASLPlain("amqp.example.com", "user", "pass", port=DEFAULT_AMQPS_PORT)
    assert auth.port == 5671

    # Configure frame size
    client = SendClient("amqps://amqp.example.com/q", auth=auth, max_frame_size=MAX_FRAME_SIZE_BYTES)
    assert client._max_frame_size == 65536

    # Token expiration
    import datetime

    expires_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=AUTH_EXPIRATION_SECS)
    assert expires_at.timestamp() > 0


def test_type_conversion(broker: Broker) -> None:
    from uamqp.types import AMQPLong, AMQPSymbol

    # Convert Python values to AMQP types
    message_id = AMQPSymbol("msg-12345")  # String to symbol
    sequence_num = AMQPLong(1001)  # Int to long

    # Use in message properties
    properties = {"message-id": message_id, "sequence": sequence_num}
    uamqp.send_message(broker.url + "/q", Message("x", application_properties=properties))
    got = uamqp.receive_message(broker.url + "/q", timeout=5000)
    assert got is not None
    assert got.application_properties == {b"message-id": b"msg-12345", b"sequence": 1001}


def test_check_message_send_results(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    from uamqp.constants import MessageState

    client = SendClient(broker.url + "/q")
    client.queue_message(Message("1"), Message("2"))
    # Check message send results
    results = client.send_all_messages()
    for result in results:
        if result == MessageState.SendComplete:
            print("Message sent successfully")  # noqa: T201 (as it stands there)
        elif result == MessageState.SendFailed:
            print("Message send failed")  # noqa: T201
    assert capsys.readouterr().out == "Message sent successfully\n" * 2


@pytest.mark.blocking("with asyncio send_async is a coroutine")
def test_check_sender_state(broker: Broker) -> None:
    from uamqp.constants import MessageSenderState

    message = Message("x")
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    with uamqp.Connection("127.0.0.1", auth) as connection, Session(connection) as session:
        sender = MessageSender(session, "me", uamqp.Target("q"))
        sender.open()
        until(lambda: sender.get_state() == MessageSenderState.Open, connection.work)
        # Check sender state
        if sender.get_state() == MessageSenderState.Open:
            # Sender is ready for messages
            sender.send_async(message)
        until(lambda: message.state == constants.MessageState.SendComplete, connection.work)
    assert broker.queue("q").depth == 1


def test_mixed_settle_mode(broker: Broker) -> None:
    from uamqp.constants import ReceiverSettleMode, SenderSettleMode

    target = source = broker.url + "/q"
    send_client = SendClient(target, send_settle_mode=SenderSettleMode.Mixed)
    send_client.send_message(Message("x"), close_on_done=True)
    receive_client = ReceiveClient(source, receive_settle_mode=ReceiverSettleMode.PeekLock)
    assert len(receive_client.receive_message_batch(timeout=5000)) == 1
    receive_client.close()


def test_states_compare_as_they_did_in_1_6() -> None:
    """Rule 3: enumerations are integers whose members are true."""
    result = constants.MessageState.WaitingToBeSent
    assert result == 0
    assert result
    assert constants.MessageSendResult.Ok
    assert constants.TransportType.Amqp
    assert constants.ErrorCodes(b"amqp:not-found") is constants.ErrorCodes.NotFound
    assert constants.ErrorCodes("amqp:not-found") is constants.ErrorCodes.NotFound


SIGNATURES: dict[Any, list[str]] = {
    MessageSender: [
        "session",
        "source",
        "target",
        "name",
        "send_settle_mode",
        "receive_settle_mode",
        "max_message_size",
        "link_credit",
        "properties",
        "error_policy",
        "debug",
        "encoding",
        "desired_capabilities",
    ],
    MessageReceiver: [
        "session",
        "source",
        "target",
        "on_message_received",
        "name",
        "receive_settle_mode",
        "send_settle_mode",
        "max_message_size",
        "prefetch",
        "properties",
        "error_policy",
        "debug",
        "encoding",
        "desired_capabilities",
    ],
    Session: ["connection", "incoming_window", "outgoing_window", "handle_max", "on_attach"],
    uamqp.Connection: [
        "hostname",
        "sasl",
        "container_id",
        "max_frame_size",
        "channel_max",
        "idle_timeout",
        "properties",
        "remote_idle_timeout_empty_frame_send_ratio",
        "error_policy",
        "debug",
        "encoding",
    ],
    uamqp.AMQPClient: ["remote_address", "auth", "client_name", "debug", "error_policy", "keep_alive_interval"],
    SendClient: ["target", "auth", "client_name", "debug", "msg_timeout", "error_policy", "keep_alive_interval"],
    ReceiveClient: ["source", "auth", "client_name", "debug", "timeout", "auto_complete", "error_policy"],
    SASLPlain: ["hostname", "username", "password", "port", "verify", "http_proxy", "transport_type", "encoding"],
    SASLAnonymous: ["hostname", "port", "verify", "http_proxy", "transport_type", "encoding"],
    uamqp.send_message: ["target", "data", "auth", "debug"],
    uamqp.receive_message: ["source", "auth", "timeout", "debug"],
    uamqp.receive_messages: ["source", "auth", "max_batch_size", "timeout", "debug"],
    SendClient.send_message: ["self", "messages", "close_on_done"],
    SendClient.send_all_messages: ["self", "close_on_done"],
    ReceiveClient.receive_message_batch: ["self", "max_batch_size", "on_message_received", "timeout"],
    ReceiveClient.receive_messages: ["self", "on_message_received"],
    ReceiveClient.receive_messages_iter: ["self", "on_message_received"],
    uamqp.AMQPClient.open: ["self", "connection"],
    MessageSender.send: ["self", "message", "callback", "timeout"],
}


@pytest.mark.parametrize("what", SIGNATURES, ids=lambda what: what.__qualname__)
@pytest.mark.blocking("about the classes themselves")
def test_signatures(what: Any) -> None:
    """Contract 8 to 16: the parameters that can be given by position, in their order."""
    parameters = inspect.signature(what).parameters.values()
    positional = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == SIGNATURES[what]
