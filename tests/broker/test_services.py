"""Services of the broker: requests and their answers, over TCP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Client, big_message, connect, message, request, story
from uamqp.codec import ACCEPTED, Rejected, Source, Target, ULong
from uamqp.engine import Receiver, Sender, events
from uamqp.testing import Broker, MessageView, ServiceRequest, ServiceResponse


def echo(asked: ServiceRequest) -> ServiceResponse:
    return ServiceResponse(200, "OK", asked.body)


async def pair(
    client: Client, node: str = "$management", here: str = "here", **options: Any
) -> tuple[Sender, Receiver]:
    """Links to and from a service, on one session."""
    session = options.pop("session", None) or await client.session()
    receiver = await client.attach_receiver(
        node, session, credit=options.pop("credit", 10), target=Target(address=here), **options
    )
    return await client.attach_sender(node, session), receiver


async def answer(client: Client, receiver: Receiver) -> MessageView:
    delivery = await client.receive(receiver)
    client.settle(delivery)
    return MessageView(delivery.payload, 0, 0)


@story
async def test_what_a_service_is_told_and_what_it_says(broker: Broker) -> None:
    asked: list[ServiceRequest] = []

    def serve(given: ServiceRequest) -> ServiceResponse:
        asked.append(given)
        return ServiceResponse(201, "made", {"n": 1}, properties={"more": "yes"})

    broker.serve("$management", serve)
    async with await connect(broker, container_id="me") as client:
        sender, receiver = await pair(client)
        payload = request({"a": b"b"}, {"operation": "CREATE", "type": "queue", "name": "q"}, message_id="m1")
        assert await client.send(sender, payload) == ACCEPTED
        view = await answer(client, receiver)
    (given,) = asked
    assert (given.node, given.operation, given.type) == ("$management", "CREATE", "queue")
    assert given.properties["name"] == "q"
    assert given.body == {"a": b"b"}
    assert (given.payload, given.message_id, given.correlation_id, given.reply_to) == (payload, "m1", None, None)
    assert (given.container_id, given.user) == ("me", None)
    assert view.application_properties == {"statusCode": 201, "statusDescription": "made", "more": "yes"}
    assert view.body == {"n": 1}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"message_id": ULong(7)}, ULong(7)),
        ({"message_id": uuid.UUID(int=5)}, uuid.UUID(int=5)),
        ({"message_id": b"m"}, b"m"),
        ({"message_id": "m", "correlation_id": ULong(0)}, ULong(0)),
        ({}, None),
    ],
)
@story
async def test_the_correlation_id_is_typed_as_it_came(broker: Broker, given: dict[str, Any], expected: Any) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        await client.send(sender, request(1, **given))
        properties = (await answer(client, receiver)).properties
        found = properties.correlation_id if properties is not None else None
        assert (found, type(found)) == (expected, type(expected))


@story
async def test_bodies(broker: Broker) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        for payload, body in (
            (message(b"data", message_id="m"), b"data"),
            (b"\x00\x53\x76\x45" + b"\x00\x53\x76\x45", [[], []]),
            (b"\x00\x53\x76\x45", [[]]),
            (request(None), None),
        ):
            await client.send(sender, payload)
            assert (await answer(client, receiver)).body == body


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff", "section"),
        (b"\x00\x53\x74\x45\x00\x53\x77\x40", "application-properties"),
        (b"\x00\x53\x73\xc0\x04\x01\xa1\x09x\x00\x53\x77\x40", ""),
        (b"\x00\x53\x75\x40", "data"),
    ],
)
@story
async def test_a_request_that_cannot_be_read_is_rejected(broker: Broker, payload: bytes, reason: str) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        outcome = await client.send(sender, payload)
        assert isinstance(outcome, Rejected)
        assert outcome.error is not None
        assert outcome.error.condition == "amqp:decode-error"
        assert reason in str(outcome.error.description)
        await client.send(sender, request(2))  # the link lives on
        assert (await answer(client, receiver)).body == 2


@story
async def test_the_way_back(broker: Broker) -> None:
    """Reply-to names a client's link, or a node; without it the answer goes to the session of the request."""
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        first, second = await client.session(), await client.session()
        sender, to_a = await pair(client, session=first, here="a")
        to_b = await client.attach_receiver("$management", second, credit=10, target=Target(address="b"))
        other_sender = await client.attach_sender("$management", second)
        replies = await client.attach_receiver("replies", first, credit=10)
        for number, (link, reply_to, receiver) in enumerate(
            (
                (sender, None, to_a),
                (other_sender, None, to_b),
                (sender, "b", to_b),
                (other_sender, "a", to_a),
                (sender, "replies", replies),
                (sender, "never heard of", to_a),
            )
        ):
            await client.send(link, request(number, reply_to=reply_to))
            assert (await answer(client, receiver)).body == number
        assert len(broker.queue("never heard of").messages) == 0


@story
async def test_a_dynamic_reply_address(broker: Broker) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        session = await client.session()
        replies = await client.attach_receiver(Source(dynamic=True), session, credit=10)
        address = replies.remote_source.address  # type: ignore[union-attr]
        sender = await client.attach_sender("$management", session)
        await client.send(sender, request("x", reply_to=address, message_id="m"))
        view = await answer(client, replies)
        assert view.body == "x"
        assert view.properties is not None
        assert (view.properties.correlation_id, view.properties.to) == ("m", address)


@story
async def test_a_request_over_the_anonymous_relay(broker: Broker) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        session = await client.session()
        relay = await client.attach_sender(None, session)
        replies = await client.attach_receiver("replies", session, credit=1)
        assert await client.send(relay, request(1, to="$management", reply_to="replies")) == ACCEPTED
        assert (await answer(client, replies)).body == 1
        outcome = await client.send(relay, request(1, to="$other", reply_to="replies"))
        assert outcome.error.condition == "amqp:not-found"


@story
async def test_a_request_that_nobody_could_be_answered_is_rejected(broker: Broker) -> None:
    asked: list[ServiceRequest] = []
    broker.serve("$management", asked.append)
    async with await connect(broker) as client:
        sender = await client.attach_sender("$management")
        for reply_to in (None, "amqp://elsewhere.example/x", "$other"):
            outcome = await client.send(sender, request(1, reply_to=reply_to))
            assert outcome.error.condition == "amqp:precondition-failed"
            assert "no link from $management" in outcome.error.description
        assert asked == []
        assert await client.send(sender, request(1, reply_to="made")) == ACCEPTED  # a queue is made for it
        assert len(asked) == 1


@story
async def test_services_by_pattern(broker: Broker) -> None:
    broker.serve("*/$management", lambda given: ServiceResponse(body=f"all: {given.node}"))
    broker.serve("q/$management", lambda given: ServiceResponse(body="mine"))
    async with await connect(broker) as client:
        for node, body in (("q/$management", "mine"), ("r/$management", "all: r/$management")):
            sender, receiver = await pair(client, node)
            await client.send(sender, request(1))
            assert (await answer(client, receiver)).body == body
        url = "amqps://localhost/q/$management"
        sender, receiver = await pair(client, url)
        await client.send(sender, request(1))
        assert (await answer(client, receiver)).body == "mine"
        assert await client.refusal(await client.attach_sender("$management")) == "amqp:not-found"
        broker.serve("q/$management", None)
        await client.send(sender, request(1))
        assert (await answer(client, receiver)).body == "all: q/$management"
        broker.serve("*/$management", None)
        await client.send(sender, request(1))
        assert (await answer(client, receiver)).application_properties["statusCode"] == 404


def raises(given: ServiceRequest) -> ServiceResponse:
    raise LookupError("no such thing")


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (raises, "LookupError: no such thing"),
        (lambda given: {"status": 200}, "returns a ServiceResponse or None"),
        (lambda given: ServiceResponse(body=object()), "Error"),
        (lambda given: ServiceResponse(properties={"x": object()}), "Error"),
    ],
)
@story
async def test_a_service_that_fails(
    broker: Broker, caplog: pytest.LogCaptureFixture, service: Callable[[ServiceRequest], Any], reason: str
) -> None:
    broker.serve("$management", service)
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        await client.send(sender, request(1, message_id="m"))
        view = await answer(client, receiver)
        assert view.application_properties["statusCode"] == view.application_properties["status-code"] == 500
        assert reason in view.application_properties["statusDescription"]
        assert "the service at $management raised" in caplog.text
        broker.serve("$management", echo)
        await client.send(sender, request(2))
        assert (await answer(client, receiver)).body == 2


@story
async def test_faulty_answers(broker: Broker) -> None:
    broker.serve(
        "$management",
        lambda given: {
            "silent": None,
            "no status": ServiceResponse(None, None, 1),
            "wrong": ServiceResponse(correlation_id="another", fields=("status-code", "status-description")),
        }[given.body],
    )
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        for body in ("silent", "no status", "wrong"):
            await client.send(sender, request(body, message_id=body))
        view = await answer(client, receiver)
        assert view.application_properties == {}
        assert view.properties is not None
        assert view.properties.correlation_id == "no status"
        view = await answer(client, receiver)
        assert view.application_properties == {"status-code": 200, "status-description": "OK"}
        assert view.properties is not None
        assert view.properties.correlation_id == "another"
        assert not client.seen(events.LinkDetached)


@story
async def test_late_answers(broker: Broker) -> None:
    """They come in the order of their times, and not at all to a client that has gone."""
    broker.serve("$management", lambda given: ServiceResponse(body=given.body, delay=given.body))
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        replies = await client.attach_receiver("replies", credit=1)
        await client.send(sender, request(600.0))
        await client.send(sender, request(0.2))
        await client.send(sender, request(0.01, reply_to="replies"))
        assert (await answer(client, replies)).body == 0.01
        assert (await answer(client, receiver)).body == 0.2


@story
async def test_answers_wait_for_credit_within_bounds(broker: Broker) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        sender, receiver = await pair(client, credit=0)
        await client.send(sender, request(0))
        client.give_credit(receiver, 1)
        assert (await answer(client, receiver)).body == 0
        for number in range(1001):
            client.submit(sender, request(number))
        assert await client.refusal(receiver) == "amqp:resource-limit-exceeded"


@story
async def test_an_answer_too_large_for_the_client(broker: Broker) -> None:
    broker.serve("$management", lambda given: ServiceResponse(body=b"x" * given.body))
    async with await connect(broker) as client:
        sender, receiver = await pair(client, max_message_size=1000)
        await client.send(sender, request(2000))
        await client.send(sender, request(20))
        assert (await answer(client, receiver)).body == b"x" * 20


@story
async def test_a_request_in_many_frames(broker: Broker) -> None:
    broker.serve("$management", lambda given: ServiceResponse(body=len(given.body)))
    async with await connect(broker, max_frame_size=512) as client:
        sender, receiver = await pair(client)
        await client.send(sender, big_message(100_000))
        assert (await answer(client, receiver)).body == 100_000


@story
async def test_links_of_a_service_can_be_detached(broker: Broker) -> None:
    broker.serve("$management", echo)
    async with await connect(broker) as client:
        sender, receiver = await pair(client)
        (view,) = broker.connections
        assert (view.senders, view.receivers) == (1, 1)
        assert broker.detach_links("$management", "amqp:internal-error", "gone") == 2
        assert await client.refusal(sender) == await client.refusal(receiver) == "amqp:internal-error"
        sender, receiver = await pair(client)
        await client.send(sender, request(1))
        assert (await answer(client, receiver)).body == 1
