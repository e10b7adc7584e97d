"""What is false stands for the default wherever it did in 1.6.11, argument by argument. With both fronts."""

from __future__ import annotations

import datetime
import enum
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.frames import data_message
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_leaving, accept_session, url
from uamqp import (
    AMQPClient,
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
)
from uamqp.authentication import AMQPAuth, SASLAnonymous, SASLPlain, SASTokenAuth, TokenRetryPolicy
from uamqp.constants import MessageState, ReceiverSettleMode, SenderSettleMode
from uamqp.message import MessageHeader, MessageProperties
from uamqp.testing import Broker, ServiceResponse

pytestmark = pytest.mark.both_fronts

FALSY: list[Any] = [0, "", None, b"", False, [], {}, (), 0.0]
HOUR = datetime.timedelta(hours=1)


def connection(**settings: Any) -> Any:
    return Connection("h", SASLAnonymous("h"), **settings)


def sender(**settings: Any) -> Any:
    return MessageSender(Session(connection()), "us", Target("q"), **settings)


def receiver(**settings: Any) -> Any:
    return MessageReceiver(Session(connection()), Source("q"), "us", lambda message: None, **settings)


def sas(**settings: Any) -> Any:
    return SASTokenAuth("a", "sb://me:pw@h/q", "t", **{"expires_in": HOUR, "use_tls": False, **settings})


def received(settler: Any) -> Message:
    return Message(message=c_uamqp.create_message(), settler=settler)


# By class and argument: how it is made with the argument, and what then shows whether it is the default.
ARGUMENTS: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {}


def argument(names: str, make: Callable[..., Any], look: Callable[[Any], Any]) -> None:
    for name in names.split():
        label, _, keyword = name.rpartition(".")
        ARGUMENTS[f"{label}.{keyword}"] = (lambda keyword=keyword, **given: make(**_named(keyword, given))), look


def _named(keyword: str, given: dict[str, Any]) -> dict[str, Any]:
    return {keyword: given["value"]} if given else {}


def opened(client: Any) -> Any:
    config = client._build_connection()._config()
    return config.max_frame_size, config.channel_max, config.idle_timeout, config.properties, config.heartbeat_ratio


for kind in (AMQPClient, SendClient, ReceiveClient):
    client: Any = kind

    def make(client: Any = client, **given: Any) -> Any:
        return client("amqp://h/q", **given)

    argument(
        f"{kind.__name__}.max_frame_size {kind.__name__}.channel_max {kind.__name__}.idle_timeout "
        f"{kind.__name__}.properties {kind.__name__}.remote_idle_timeout_empty_frame_send_ratio",
        make,
        opened,
    )
    argument(f"{kind.__name__}.incoming_window", make, lambda client: client._incoming_window)
    argument(f"{kind.__name__}.outgoing_window", make, lambda client: client._outgoing_window)
    argument(f"{kind.__name__}.handle_max", make, lambda client: client._handle_max)
    argument(f"{kind.__name__}.on_attach", make, lambda client: client._on_attach)
    argument(f"{kind.__name__}.encoding", make, lambda client: client._encoding)
    argument(f"{kind.__name__}.client_name", make, lambda client: len(client._name))
    argument(f"{kind.__name__}.auth", make, lambda client: type(client._auth).__name__)
    argument(f"{kind.__name__}.transport_type", make, lambda client: client._auth._endpoint().port)
    argument(f"{kind.__name__}.error_policy", make, lambda client: type(client._error_policy))
    argument(f"{kind.__name__}.keep_alive_interval", make, lambda client: client._keep_alive_interval)
    argument(f"{kind.__name__}.send_settle_mode", make, lambda client: client._send_settle_mode)
    argument(f"{kind.__name__}.receive_settle_mode", make, lambda client: client._receive_settle_mode)


def send_client(**given: Any) -> Any:
    return SendClient("amqps://h/q", **given)


def receive_client(**given: Any) -> Any:
    return ReceiveClient("amqps://h/q", **given)


argument("SendClient.max_message_size", send_client, lambda client: client._max_message_size)
argument("SendClient.msg_timeout", send_client, lambda client: client._msg_timeout)
argument("ReceiveClient.max_message_size", receive_client, lambda client: client._max_message_size)
argument("ReceiveClient.timeout", receive_client, lambda client: client._timeout)
argument("ReceiveClient.prefetch", receive_client, lambda client: client._prefetch)
argument("Connection.max_frame_size Connection.channel_max Connection.idle_timeout Connection.properties "
         "Connection.remote_idle_timeout_empty_frame_send_ratio", connection,
         lambda made: (made.max_frame_size, made.channel_max, made.idle_timeout, made.properties))  # fmt: skip
argument("Connection.container_id", connection, lambda made: len(made.container_id))
argument("Connection.error_policy", connection, lambda made: type(made.error_policy))
argument(
    "Session.incoming_window Session.outgoing_window Session.handle_max",
    lambda **given: Session(connection(), **given),
    lambda made: (made.incoming_window, made.outgoing_window, made.handle_max),
)
argument("Session.on_attach", lambda **given: Session(connection(), **given), lambda made: made._on_attach)
for name, link in (("MessageSender", sender), ("MessageReceiver", receiver)):
    argument(f"{name}.name", link, lambda made: len(made.name))
    argument(f"{name}.send_settle_mode", link, lambda made: made.send_settle_mode)
    argument(f"{name}.receive_settle_mode", link, lambda made: (made.receive_settle_mode, made._wire_receive_mode))
    argument(f"{name}.properties", link, lambda made: made._properties)
    argument(f"{name}.error_policy", link, lambda made: type(made.error_policy))
    argument(f"{name}.desired_capabilities", link, lambda made: made._capabilities)
argument("MessageSender.link_credit", sender, lambda made: None)
argument("AMQPAuth.port AMQPAuth.transport_type", lambda **given: AMQPAuth("h", use_tls=False, **given),
         lambda made: (made._endpoint().port, made._endpoint().websocket_path))  # fmt: skip
argument(
    "SASLPlain.port",
    lambda **given: SASLPlain("h", "me", "pw", use_tls=False, **given),
    lambda made: made._endpoint().port,
)
argument("SASTokenAuth.port", sas, lambda made: made._endpoint().port)
argument("SASTokenAuth.expires_at", sas, lambda made: made.expires_in)
argument("SASTokenAuth.username SASTokenAuth.password", sas, lambda made: (made.username, made.password))
argument("SASTokenAuth.custom_endpoint_hostname", sas, lambda made: made.hostname)
argument("SASTokenAuth.refresh_window", sas, lambda made: made._refresh_window)
argument(
    "from_shared_access_key.expiry",
    lambda **given: SASTokenAuth.from_shared_access_key("sb://h/q", "n", "k", **given),
    lambda made: made.expires_in,
)
argument(
    "Message.properties Message.application_properties Message.annotations Message.header Message.msg_format "
    "Message.message Message.body_type Message.footer Message.delivery_annotations",
    lambda **given: Message("x", **given),
    lambda made: (made.encode_message(), made.message_format, made.state),
)
argument("MessageProperties.properties", MessageProperties, str)
argument("MessageHeader.header", MessageHeader, str)
argument("ErrorPolicy.on_error", errors.ErrorPolicy, lambda policy: policy.on_unrecognized_error(None).retry)
argument("ErrorAction.backoff", lambda **given: errors.ErrorAction(True, **given), lambda action: bool(action.backoff))
argument("MessageRejected.condition", errors.MessageRejected, lambda made: made.error_condition)
argument("MessageRejected.description", errors.MessageRejected, lambda made: made.error_description)
argument("MessageRejected.info", errors.MessageRejected, lambda made: made.error_info)
argument("MessageModified.annotations", lambda **given: errors.MessageModified(True, True, **given),
         lambda made: made.annotations)  # fmt: skip
argument("ErrorResponse.error_info", errors.ErrorResponse, lambda made: made.condition)
argument(
    "TokenAuthFailure.description", lambda **given: errors.TokenAuthFailure(1, **{"description": None, **given}), str
)
argument("MessageResponse.message", errors.MessageResponse, str)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_is_false_is_the_default(name: str) -> None:
    make, look = ARGUMENTS[name]
    for value in FALSY:
        assert look(make(value=value)) == look(make()), f"{name}={value!r}"


def test_what_is_false_and_no_default() -> None:
    for value in FALSY:
        assert ReceiveClient("amqps://h/q", shutdown_after_timeout=value)._shutdown_after_timeout is False
        assert received(value).state is MessageState.ReceivedSettled
        with pytest.raises(ValueError, match="Must specify either 'expires_at' or 'expires_in'"):
            sas(expires_in=value, expires_at=value)
    assert TokenRetryPolicy(0, 0).backoff == 0
    assert receiver(prefetch=0)._prefetch == 0
    assert receiver(prefetch=None)._prefetch == 10000


def false_member(name: str) -> Any:
    members = {name: 0}
    return enum.IntEnum("Foreign", members)[name]  # type: ignore[index]


def test_a_member_of_an_enumeration_is_given_though_it_is_false() -> None:
    client = receive_client(receive_settle_mode=false_member("ReceiveAndDelete"))
    assert client._receive_settle_mode is ReceiverSettleMode.ReceiveAndDelete
    client = send_client(send_settle_mode=false_member("Settled"))
    assert client._send_settle_mode is SenderSettleMode.Settled
    auth = SASLAnonymous("h", transport_type=false_member("AmqpOverWebsocket"), use_tls=False)
    assert auth._endpoint().port == 80


def test_an_empty_proxy_means_websocket() -> None:
    """Contract 8.1: `http_proxy is not None`, even {}."""
    empty: list[Any] = [{}, "", 0, False]
    for value in empty:
        endpoint = SASLAnonymous("h", http_proxy=value, use_tls=False)._endpoint()
        assert (endpoint.port, endpoint.proxy) == (80, None)
        client = SendClient("amqp://h/q", http_proxy=value)
        assert client._auth._endpoint().websocket_path is not None
    assert SASLAnonymous("h", http_proxy=None, use_tls=False)._endpoint().websocket_path is None


def test_tls_is_off_only_if_that_is_said() -> None:
    assert SASLAnonymous("h", use_tls=None).use_tls


@pytest.mark.parametrize("address", ["amqps://me@h/q", "amqps://me:@h/q", "amqps://:pw@h/q", "amqp://me@h/q"])
def test_a_user_name_alone_is_no_login(address: str) -> None:
    assert isinstance(SendClient(address)._auth, SASLAnonymous)


def test_arguments_of_methods(broker: Broker) -> None:
    for value in FALSY:
        broker.put("q", Message("x"))
        with ReceiveClient(f"{broker.url}/q", timeout=5000) as client:
            client.open(connection=value)
            (message,) = client.receive_message_batch(max_batch_size=value, on_message_received=value, timeout=value)
            assert str(message) == "x"
        broker.put("q", Message("y"))
        with ReceiveClient(f"{broker.url}/q", timeout=5000, auto_complete=False) as client:
            messages = client.receive_messages_iter(on_message_received=value)
            message = next(messages)
            assert str(message) == "y"
            assert message.reject(condition=value, description=value, info=value)


def test_receiving_without_a_callback(broker: Broker, clock: Clock) -> None:
    for value in FALSY:
        broker.put("q", Message("x"))
        clock.stand_until(lambda: broker.queue("q").depth == 0, then=0.05)
        with ReceiveClient(f"{broker.url}/q", timeout=50) as client:
            client.receive_messages(value)
        broker.wait_for(lambda: broker.queue("q").depth == 0)


def test_management_without_a_callback(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(200, "fine", request.type))
    with AMQPClient(broker.url) as client:
        for value in FALSY:
            answer = client.mgmt_request(
                Message(1), b"READ", op_type=value, node=value, callback=value, timeout=value, status_code_field=value
            )
            assert answer.get_data() == b"empty"


@pytest.mark.parametrize("value", [0, "", b"", False], ids=repr)
def test_on_the_wire(value: Any) -> None:
    """What a client says in open, begin, attach and flow is what it says when nothing is given."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        attach = peer.accept_attach(RECEIVER)
        assert attach["snd_settle_mode"] == 0
        assert attach["rcv_settle_mode"] is None
        assert attach["max_message_size"] is None
        assert attach["desired_capabilities"] is None
        assert attach["properties"] is None
        peer.expect("flow", link_credit=300, handle=0)
        peer.send_delivery(data_message(b"x"))
        peer.expect("disposition")
        accept_leaving(peer)

    names = ("prefetch", "send_settle_mode", "receive_settle_mode", "max_message_size", "desired_capabilities",
             "link_properties", "channel_max", "handle_max", "idle_timeout", "incoming_window")  # fmt: skip
    with ScriptedServer(script) as server:
        client = ReceiveClient(url(server), **dict.fromkeys(names, value))
        (message,) = client.receive_message_batch(timeout=5000)
        assert b"".join(message.get_data()) == b"x"
        client.close()


def test_the_largest_numbers_are_announced() -> None:
    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        came = peer.accept_open()
        assert (came["channel_max"], came["idle_time_out"]) == (None, None)  # which is 65535, by default
        came = peer.accept_begin({"incoming_window": 65536, "outgoing_window": 65536})
        assert came["handle_max"] is None
        peer.accept_attach(SENDER)
        accept_leaving(peer)

    with ScriptedServer(script) as server:
        client = SendClient(url(server), channel_max=0, handle_max=0, idle_timeout=0, incoming_window=0)
        client.open()
        deadline = time.monotonic() + 10
        while not client.client_ready():
            assert time.monotonic() < deadline
        client.close()
