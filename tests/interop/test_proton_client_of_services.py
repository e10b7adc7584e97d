"""python-qpid-proton as a client of services on our embedded broker, and of what hooks answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from uamqp.testing import AttachAnswer, Broker, ServiceRequest, ServiceResponse, link_redirect, with_annotations

if TYPE_CHECKING:
    from .protonclient import ProtonClient

pytestmark = pytest.mark.usefixtures("proton")


@pytest.fixture
def embedded() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def connect(broker: Broker, **options: Any) -> ProtonClient:
    from . import protonclient

    return protonclient.connect(broker.host, broker.port, **options)


def answer(request: ServiceRequest) -> ServiceResponse:
    if request.operation == "READ":
        return ServiceResponse(200, "OK", {"name": request.properties["name"], "body": request.body})
    return ServiceResponse(501, f"{request.operation} isn't known")


def test_requests_with_a_dynamic_reply_address(embedded: Broker) -> None:
    """Proton's own request and response: one receiver from a dynamic node for all requests."""
    from proton import Message
    from proton.utils import SyncRequestResponse

    embedded.serve("*$management", answer)
    with connect(embedded) as client:
        for node in ("$management", "q/$management"):
            service = SyncRequestResponse(client, node)
            for number in range(20):
                request = Message(body={"n": number}, properties={"operation": "READ", "type": "queue", "name": "q"})
                response = service.call(request)
                assert response.properties == {"statusCode": 200, "statusDescription": "OK"}
                assert response.body == {"name": "q", "body": {"n": number}}
                assert response.correlation_id == request.correlation_id
            response = service.call(Message(properties={"operation": "DANCE"}))
            assert (response.properties["statusCode"], response.body) == (501, None)


def test_requests_over_the_anonymous_relay(embedded: Broker) -> None:
    """A request that comes by the relay: its `to` names the service."""
    from proton import Message

    embedded.serve("$management", answer)
    with connect(embedded) as client:
        replies = client.receiver(None, credit=10, dynamic=True)
        request = Message(
            address="$management",
            reply_to=replies.link.remote_source.address,
            id="m1",
            properties={"operation": "READ", "name": "q"},
            body="x",
        )
        client.sender(None).send(request)
        response = replies.receive(timeout=10)
        assert (response.correlation_id, response.body["body"]) == ("m1", "x")


def test_requests_with_a_link_from_the_service(embedded: Broker) -> None:
    from proton import Message, ulong

    embedded.serve("$management", answer)
    with connect(embedded) as client:
        replies = client.receiver("$management", credit=10)
        sender = client.sender("$management")
        for number in range(20):
            sender.send(Message(id=ulong(number), properties={"operation": "READ", "name": "q"}, body=number))
        for number in range(20):
            response = replies.receive(timeout=10)
            assert (response.correlation_id, response.body["body"]) == (ulong(number), number)
            replies.accept()


def test_tokens() -> None:
    from proton import Message
    from proton.utils import LinkDetached

    with Broker(cbs=True) as broker, connect(broker) as client:
        with pytest.raises(LinkDetached, match="amqp:unauthorized-access"):
            client.sender("q")
        answers = client.receiver("$cbs", credit=10)
        put = {"operation": "put-token", "type": "jwt", "name": f"amqp://{broker.host}/q"}
        client.sender("$cbs").send(Message(id=1, properties=put, body="a token"))
        assert answers.receive(timeout=10).properties == {"status-code": 202, "status-description": "Accepted"}
        sender = client.sender("q")
        sender.send(Message(body="x"))
        broker.expire_tokens()
        with pytest.raises(LinkDetached, match="the token has expired"):
            client.wait(lambda: False, timeout=10)


def test_what_hooks_answer(embedded: Broker) -> None:
    from proton import Message, symbol
    from proton.reactor import Filter

    embedded.hooks.on_attach = lambda asked: AttachAnswer(
        properties={"granted": 1}, filters={"session": "s1"} if asked.filters else {}
    )
    embedded.hooks.on_store = lambda name, payload: with_annotations(payload, {"x-opt-number": 5})
    embedded.hooks.on_tag = lambda name, payload: b"0123456789abcdef"
    with connect(embedded) as client:
        client.sender("q").send(Message(body="x"))
        receiver = client.receiver("q", credit=1, options=Filter({symbol("session"): None}))
        filters = receiver.link.remote_source.filter
        filters.next()
        assert filters.get_dict() == {symbol("session"): "s1"}
        assert receiver.link.remote_properties == {symbol("granted"): 1}
        message = receiver.receive(timeout=10)
        assert message.annotations == {symbol("x-opt-number"): 5}
        assert receiver.fetcher.unsettled[0].tag == "0123456789abcdef"


def test_redirected_and_stolen_links() -> None:
    from proton.utils import LinkDetached

    with Broker(steal_links=True) as broker, connect(broker, container_id="me") as client:
        broker.faults.refuse_attach = link_redirect("other.example", 5671, "q2")
        with pytest.raises(LinkDetached, match="amqp:link:redirect"):
            client.sender("q")
        broker.faults.clear()
        client.create_receiver("q", 1, name="mine")
        with connect(broker, container_id="me") as other:
            other.create_receiver("q", 1, name="mine")
            with pytest.raises(LinkDetached, match="amqp:link:stolen"):
                client.wait(lambda: False, timeout=10)
