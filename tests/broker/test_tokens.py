"""The broker's `$cbs`: tokens that are put, refused, and end, over TCP."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from tests.support.client import Client, connect, message, request, story, until
from tests.support.clock import Clock
from uamqp.codec import ACCEPTED, Source, Target
from uamqp.engine import IncomingDelivery, Receiver, Sender, events, sasl
from uamqp.testing import Broker, MessageView, PutToken, ServiceResponse
from uamqp.testing.cbs import MAX_IN_FORCE, MAX_RECORDS, covers, end_of


def web_token(**claims: Any) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{encoded}.c2ln"


class Putter:
    """A client's pair of links with `$cbs`."""

    def __init__(self, client: Client, sender: Sender, receiver: Receiver) -> None:
        self.client, self.sender, self.receiver = client, sender, receiver

    @classmethod
    async def on(cls, client: Client, node: str = "$cbs") -> Putter:
        session = await client.session()
        receiver = await client.attach_receiver(node, session, credit=2000, target=Target(address="$cbs"))
        return cls(client, await client.attach_sender(node, session), receiver)

    def ask(self, audience: Any, token: Any = "secret", **more: Any) -> None:
        """Puts a token without waiting."""
        application = {"name": audience, "operation": "put-token", "type": "jwt", **more}
        self.client.submit(self.sender, request(token, application, message_id="m"))

    async def answer(self) -> MessageView:
        delivery = await self.client.receive(self.receiver)
        self.client.settle(delivery)
        return MessageView(delivery.payload, 0, 0)

    async def put(self, audience: Any, token: Any = "secret", **more: Any) -> tuple[Any, Any]:
        """Status and description."""
        self.ask(audience, token, **more)
        properties = (await self.answer()).application_properties
        return properties.get("status-code"), properties.get("status-description")


@story
async def test_no_link_without_a_token() -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            for link in (
                await client.attach_sender("q"),
                await client.attach_receiver("q"),
                await client.attach_sender(None),
                await client.attach_receiver(Source(dynamic=True)),
            ):
                assert await client.refusal(link) == "amqp:unauthorized-access"
            cbs = await Putter.on(client)
            assert await cbs.put("amqp://host/q") == (202, "Accepted")
            sender = await client.attach_sender("q/under")
            assert await client.send(sender, message(b"x")) == ACCEPTED
            for address in ("other", "qq", None):
                assert await client.refusal(await client.attach_sender(address)) == "amqp:unauthorized-access"
            assert await cbs.put("amqp://host/") == (202, "Accepted")  # all of it
            assert await client.send(await client.attach_sender("other"), message(b"x")) == ACCEPTED
            assert (await client.attach_sender(None)).is_open
            assert (await client.attach_receiver(Source(dynamic=True))).is_open
        async with await connect(broker) as client:  # tokens are a connection's own
            assert await client.refusal(await client.attach_sender("q")) == "amqp:unauthorized-access"
        broker.tokens.required = False
        async with await connect(broker) as client:
            assert (await client.attach_sender("q")).is_open


@story
async def test_services_need_tokens_too() -> None:
    with Broker(cbs=True) as broker:
        broker.serve("*/$management", lambda given: ServiceResponse())
        async with await connect(broker) as client:
            assert await client.refusal(await client.attach_sender("q/$management")) == "amqp:unauthorized-access"
            await (await Putter.on(client, "amqps://localhost/$cbs")).put("sb://host/q")
            assert (await client.attach_sender("q/$management")).is_open


@story
async def test_the_mechanism_mssbcbs() -> None:
    with Broker(cbs=True, users={"me": "secret"}) as broker:
        async with await connect(broker, mechanisms=(sasl.Mssbcbs(),)) as client:
            await Putter.on(client)
            assert [view.mechanism for view in broker.connections] == ["MSSBCBS"]
    with Broker() as broker:
        client = await connect(broker, mechanisms=(sasl.Mssbcbs(),))
        await client.next(events.ConnectionClosed)
        await client.lost.wait()


@story
async def test_what_is_remembered() -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker, container_id="me") as client:
            cbs = await Putter.on(client)
            await cbs.put("amqp://host/q", "very secret", type="a:type")
            broker.tokens.refuse = (401, "not you")
            await cbs.put("amqp://host/r", "more secret")
        assert broker.tokens.put == [
            PutToken("amqp://host/q", "a:type", "very secret", None, "me"),
            PutToken("amqp://host/r", "jwt", "more secret", None, "me"),
        ]
        assert "secret" not in repr(broker.tokens.put)


@story
async def test_refusals() -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            broker.tokens.refuse = (404, "no such thing")
            assert await cbs.put("amqp://host/q") == (404, "no such thing")
            broker.tokens.refuse = lambda token: (401, f"not {token.token}") if token.token == "bad" else None
            assert await cbs.put("amqp://host/q", "bad") == (401, "not bad")
            assert await client.refusal(await client.attach_sender("q")) == "amqp:unauthorized-access"
            assert await cbs.put("amqp://host/q", "good") == (202, "Accepted")
            assert (await client.attach_sender("q")).is_open
            assert await cbs.put("amqp://host/q", "bad") == (401, "not bad")
            assert (await client.attach_sender("q")).is_open  # the token before it holds


@story
async def test_requests_that_make_no_sense() -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            assert await cbs.put("amqp://host/q", operation="delete-token") == (
                400,
                "there is no operation 'delete-token'",
            )
            for audience, token, word in (
                (None, "x", "`name`"),
                (7, "x", "`name`"),
                ("", "x", "`name`"),
                ("a", b"x", "bytes"),
            ):
                status, description = await cbs.put(audience, token)
                assert status == 400
                assert word in description
            status, description = await cbs.put("amqp://host/q", web_token(exp=time.time() - 1))
            assert (status, "expired" in description) == (401, True)
            broker.tokens.refuse = lambda token: 1 / 0  # type: ignore[assignment, return-value]
            status, description = await cbs.put("amqp://host/q")
            assert (status, "ZeroDivisionError" in description) == (500, True)
            broker.tokens.refuse = None
            assert await cbs.put("http://[", "x") == (202, "Accepted")  # good for nothing
            assert await client.refusal(await client.attach_sender("q")) == "amqp:unauthorized-access"
    with pytest.raises(AttributeError):
        broker.tokens.requierd = True  # type: ignore[attr-defined]


@story
async def test_faulty_answers() -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            tokens = broker.tokens
            tokens.silent = True
            cbs.ask("amqp://host/q")
            await until(broker, lambda: len(tokens.put) == 1)
            tokens.silent, tokens.status_missing, tokens.wrong_correlation = False, True, True
            cbs.ask("amqp://host/q")
            view = await cbs.answer()
            assert view.application_properties == {"status-description": "Accepted"}
            assert view.properties is not None
            assert view.properties.correlation_id == "another"
            tokens.status_missing = tokens.wrong_correlation = False
            tokens.delay = 0.1
            before = time.monotonic()
            assert await cbs.put("amqp://host/q") == (202, "Accepted")
            assert time.monotonic() - before >= 0.1
            assert not client.seen(IncomingDelivery)


@story
async def test_tokens_end(clock: Clock) -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            await cbs.put("amqp://host/q", web_token(exp=time.time() + 3600))
            await cbs.put("amqp://host/r", web_token(exp=time.time() + 3600))
            ending, staying = await client.attach_sender("q"), await client.attach_receiver("r")
            await cbs.put("amqp://host/q", web_token(exp=time.time() + 60))
            clock.move(61)
            event = await client.next(events.LinkDetached)
            assert event.link is ending
            assert event.cause is not None
            assert event.cause.condition == "amqp:unauthorized-access"
            assert "expired" in event.cause.message
            assert await client.refusal(await client.attach_sender("q")) == "amqp:unauthorized-access"
            assert staying.is_open
            assert await cbs.put("amqp://host/q") == (202, "Accepted")  # its own links stay
            assert (await client.attach_sender("q")).is_open


@story
async def test_a_newer_token_counts(clock: Clock) -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            await cbs.put("amqp://host/other")
            other = await client.attach_sender("other")
            broker.tokens.lifetime = 20
            await cbs.put("amqp://host/q")
            broker.tokens.lifetime = None
            await cbs.put("amqp://host/q")
            link = await client.attach_sender("q")
            broker.tokens.lifetime = 30
            await cbs.put("amqp://host/other")  # ends later than the first would have
            clock.move(31)
            assert await client.refusal(other) == "amqp:unauthorized-access"
            assert link.is_open


@story
async def test_end_all_tokens_at_once() -> None:
    with Broker(cbs=True) as broker:
        broker.serve("$management", lambda given: ServiceResponse())
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            await cbs.put("amqp://host/")
            links: list[Sender | Receiver] = [
                await client.attach_sender("q"),
                await client.attach_receiver("q"),
                await client.attach_sender(None),
                await client.attach_receiver("$management"),
            ]
            await cbs.put("amqp://host/q")
            assert broker.expire_tokens() == 2
            for link in links:
                assert await client.refusal(link) == "amqp:unauthorized-access"
            assert broker.expire_tokens() == 0
            assert await cbs.put("amqp://host/q") == (202, "Accepted")


@story
async def test_bounds() -> None:
    with Broker(cbs=True) as broker:
        async with await connect(broker) as client:
            cbs = await Putter.on(client)
            broker.tokens.put += [PutToken("a", "b", "c", None, "d")] * MAX_RECORDS
            for number in range(MAX_IN_FORCE):
                cbs.ask(f"amqp://host/{number}")
            for _ in range(MAX_IN_FORCE):
                assert (await cbs.answer()).application_properties["status-code"] == 202
            assert (await cbs.put("amqp://host/more"))[0] == 403
            assert await cbs.put("amqp://host/0") == (202, "Accepted")
            assert len(broker.tokens.put) == MAX_RECORDS
            assert broker.tokens.put[-1].audience == "amqp://host/0"


@pytest.mark.parametrize(
    ("token", "end"),
    [
        ("SharedAccessSignature sr=x&sig=y%3d&se=1700000000&skn=z", 1.7e9),
        ("SharedAccessSignature sr=x&sig=y", None),
        ("SharedAccessSignature se=soon", None),
        ("SharedAccessSignature se=\u00b2", None),
        (web_token(exp=1.7e9), 1.7e9),
        (web_token(exp="1700000000"), 1.7e9),
        (web_token(), None),
        (web_token(exp=[]), None),
        (web_token(exp=10**400), None),
        ("a.b", None),
        ("a.\u20ac.c", None),
        (f"e30.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.x", None),
        ("", None),
    ],
)
def test_when_a_token_ends(token: str, end: float | None) -> None:
    assert end_of(token) == end


@pytest.mark.parametrize(
    ("audience", "name", "good"),
    [
        ("sb://host/q", "q", True),
        ("sb://host/q/", "Q/sub", True),
        ("http://host/a%2Fb", "a/b", True),
        ("amqps://host:5671/q", "queue", False),
        ("amqps://host", "anything", True),
        ("amqps://host", "", True),
        ("amqps://host/q", "", False),
        ("q", "q/$management", True),
        ("sb://host/t", "topic://t", True),
        ("http://[", "q", False),
    ],
)
def test_what_a_token_is_good_for(audience: str, name: str, good: bool) -> None:
    assert covers(audience, name) is good
