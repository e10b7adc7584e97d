"""Management requests: `mgmt_request`, `MgmtOperation`. With both fronts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import decode_sections, section
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import accept_session, connect, settle
from tests.support.waiting import bounded
from uamqp import AMQPClient, Message, Session, errors
from uamqp.constants import MgmtOpenStatus
from uamqp.message import MessageProperties
from uamqp.mgmt_operation import MgmtOperation
from uamqp.testing import Broker, ServiceRequest, ServiceResponse

pytestmark = pytest.mark.both_fronts


def echo(request: ServiceRequest) -> ServiceResponse:
    """Answer with what came."""
    said = {"operation": request.operation, "type": request.type, "node": request.node, "body": request.body}
    return ServiceResponse(200, "fine", said)


def client_of(broker: Broker, **settings: Any) -> Any:
    return AMQPClient(f"{broker.url}", **settings)


def test_a_request_and_its_answer(broker: Broker) -> None:
    broker.serve("$management", echo)
    with client_of(broker) as client:
        message = Message({"a": 1}, application_properties={"mine": 5}, properties=MessageProperties(message_id="x"))
        answer = client.mgmt_request(message, b"READ", op_type=b"com.example:thing")
        assert answer.get_data() == {
            b"operation": b"READ",
            b"type": b"com.example:thing",
            b"node": b"$management",
            b"body": {b"a": 1},
        }
        assert answer.application_properties == {b"statusCode": 200, b"statusDescription": b"fine"}
        assert answer.settled
        assert message.application_properties == {"mine": 5}
        assert message.properties.message_id == b"x"
        assert client.mgmt_request(message, "READ").get_data()[b"type"] == b"empty"


def test_the_nodes_of_one_client(broker: Broker) -> None:
    """One pair of links for a node, however it is spelt."""
    broker.serve("*$management", echo)
    with client_of(broker) as client:
        for node in (None, b"$management", "$management"):
            assert client.mgmt_request(Message(1), b"READ", node=node).get_data()[b"node"] == b"$management"
        assert client.mgmt_request(Message(1), b"READ", node="q/$management").get_data()[b"node"] == b"q/$management"
        (view,) = broker.connections
        assert (view.senders, view.receivers) == (2, 2)


def test_a_callback_judges_the_status(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(404, "not here", None))
    calls: list[Any] = []

    def judge(status: int, answer: Message, description: bytes) -> str:
        calls.append((status, description, answer.get_data()))
        return "judged"

    with client_of(broker) as client:
        assert client.mgmt_request(Message(1), b"READ", callback=judge) == "judged"
        assert client.mgmt_request(Message(1), b"READ").application_properties[b"statusCode"] == 404
    assert calls == [(404, b"not here", None)]


@pytest.mark.parametrize(
    "given", [{}, {"status_code_field": b"status-code", "description_fields": b"status-description"}]
)
def test_names_of_status_and_description(broker: Broker, given: dict[str, Any]) -> None:
    broker.serve(
        "$management", lambda request: ServiceResponse(201, "made", fields=("status-code", "status-description"))
    )
    with client_of(broker) as client:
        seen = client.mgmt_request(Message(1), b"CREATE", callback=lambda *answer: answer[0::2], **given)
        assert seen == (201, b"made")


def test_own_names_of_status_and_description(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(202, "yes", fields=("code", "words")))
    with client_of(broker) as client:
        fields = {"status_code_field": "code", "description_fields": ["text", "words"]}
        assert client.mgmt_request(Message(1), "DO", callback=lambda *answer: answer[0::2], **fields) == (202, b"yes")
        with pytest.raises(ValueError, match=r"Management Operation error ocurred\. The answer has no status"):
            client.mgmt_request(Message(1), "DO")
        assert client.mgmt_request(Message(1), "DO", **fields) is not None  # the links live on


def test_several_requests_at_a_time(broker: Broker) -> None:
    broker.serve("$management", echo)
    with client_of(broker) as client, ThreadPoolExecutor(8) as pool:
        bodies = pool.map(lambda number: client.mgmt_request(Message(number), b"READ").get_data()[b"body"], range(50))
        assert list(bodies) == list(range(50))


def test_an_answer_that_never_comes(broker: Broker) -> None:
    broker.serve("$management", lambda request: None if request.body == 1 else ServiceResponse(200, "", request.body))
    with client_of(broker) as client, bounded(10):
        with pytest.raises(TimeoutError, match="Failed to receive mgmt response in 100ms"):
            client.mgmt_request(Message(1), b"READ", timeout=100)
        assert client.mgmt_request(Message(2), b"READ", timeout=5000).get_data() == 2


def test_an_answer_to_something_else(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(200, "", correlation_id="another"))
    with client_of(broker) as client, bounded(10):
        with pytest.raises(TimeoutError):
            client.mgmt_request(Message(1), b"READ", timeout=100)
        broker.serve("$management", echo)
        assert client.mgmt_request(Message(2), b"READ", timeout=5000).get_data()[b"body"] == 2


def test_an_answer_without_a_status(broker: Broker) -> None:
    broker.serve("$management", lambda request: ServiceResponse(None, None))
    with client_of(broker) as client, bounded(10):
        with pytest.raises(ValueError, match="has no status that is a number"):
            client.mgmt_request(Message(1), b"READ")


def test_a_node_that_is_not_there(broker: Broker) -> None:
    with client_of(broker) as client, bounded(10):
        with pytest.raises(errors.AMQPConnectionError, match="Unable to open management session"):
            client.mgmt_request(Message(1), b"READ")
        broker.serve("$management", echo)
        assert client.mgmt_request(Message(2), b"READ").get_data()[b"body"] == 2  # it is looked for again


def test_links_that_are_lost_are_opened_again(broker: Broker) -> None:
    broker.serve("$management", echo)
    with client_of(broker) as client, bounded(10):
        client.mgmt_request(Message(1), b"READ")
        broker.detach_links(None, "amqp:link:detach-forced", "idle")
        broker.wait_for(lambda: all(view.senders == 0 for view in broker.connections))
        client.do_work()
        assert client.mgmt_request(Message(2), b"READ").get_data()[b"body"] == 2


def test_the_connection_dies_meanwhile(broker: Broker) -> None:
    def die(request: ServiceRequest) -> None:
        broker.drop_connections()

    broker.serve("$management", die)
    client = client_of(broker)
    with bounded(10):
        client.open()
        with pytest.raises(errors.AMQPConnectionError):
            client.mgmt_request(Message(1), b"READ")
        client.close()
    broker.serve("$management", echo)
    with client:
        assert client.mgmt_request(Message(2), b"READ").get_data()[b"body"] == 2


def test_bad_arguments(broker: Broker) -> None:
    client = client_of(broker)
    with pytest.raises(errors.AMQPConnectionError, match="call open"):
        client.mgmt_request(Message(1), b"READ")
    with client:
        with pytest.raises(TypeError, match=r"message must be a Message, .* not str"):
            client.mgmt_request("hello", b"READ")
        with pytest.raises(TypeError, match="operation must be str or bytes"):
            client.mgmt_request(Message(1), 5)
        with pytest.raises(TypeError, match="unknown keywords: colour"):
            client.mgmt_request(Message(1), b"READ", colour="red")
        with pytest.raises(TypeError, match="callback must be callable"):
            client.mgmt_request(Message(1), b"READ", callback=5)
        with pytest.raises(ValueError, match="timeout must be 0 or more milliseconds"):
            client.mgmt_request(Message(1), b"READ", timeout=-1)


def test_a_session_and_an_operation_of_its_own(broker: Broker) -> None:
    broker.serve("$management", echo)

    with client_of(broker) as client:
        operation = MgmtOperation(client._session)
        assert operation.open is None
        assert operation.target == b"$management"
        status, answer, description = operation.execute(b"READ", None, Message(1), timeout=5000)
        assert (status, description) == (200, b"fine")
        assert answer.get_data()[b"body"] == 1
        assert operation.open is MgmtOpenStatus.Open
        operation.destroy()
        assert operation.execute("READ", "t", Message(2))[1].get_data()[b"type"] == b"t"


# -- the wire, against a codec of its own


def test_a_request_on_the_wire() -> None:
    requests: list[Any] = []

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        answers = 0
        for role in (SENDER, RECEIVER):
            attach = peer.accept_attach(role)
            assert attach["source"].fields["address"] == attach["target"].fields["address"] == "$management"
            assert (attach.get("snd_settle_mode"), attach.get("rcv_settle_mode")) == (0, 0)
            if role is SENDER:
                peer.grant(10, handle=attach["handle"])
            else:
                answers = attach["handle"]
        peer.expect("flow")
        for _ in range(2):
            request = peer.expect("transfer")
            requests.append(request)
            settle(peer, request)
            number = dict(decode_sections(request.payload))["properties"].fields["message_id"]
            answer = (
                section("properties", {"correlation_id": number})
                + section("application_properties", {"statusCode": codec.int_(200)})
                + section("amqp_value", "yes")
            )
            peer.send_delivery(answer, handle=answers)
            peer.expect("disposition")
        peer.ignore("detach", "end", "disposition", "flow")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(10):
        connection = connect(server)
        session = Session(connection)
        for _ in range(2):
            message = Message("what?", application_properties={"mine": "x"})
            assert session.mgmt_request(message, b"READ", op_type="entity").get_data() == b"yes"
        connection.destroy()
    for number, request in enumerate(requests):
        sections = dict(decode_sections(request.payload))
        assert sections["properties"].fields["message_id"] == codec.ulong(number)
        assert sections["application_properties"] == {"mine": "x", "operation": "READ", "type": "entity"}


def test_a_request_that_is_rejected() -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        for role in (SENDER, RECEIVER):
            attach = peer.accept_attach(role)
            if role is SENDER:
                peer.grant(10, handle=attach["handle"])
        peer.expect("flow")
        request = peer.expect("transfer")
        settle(peer, request, codec.rejected(error=codec.error("amqp:not-allowed", "not by you")))
        peer.ignore("detach", "end", "flow")
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(10):
        connection = connect(server)
        with pytest.raises(errors.MessageException, match="not by you"):
            Session(connection).mgmt_request(Message(1), b"READ")
        connection.destroy()
