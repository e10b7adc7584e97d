"""The users' programs of tests/typing, which type checkers check, on the embedded broker: what they say is so."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from tests.peer.certs import Certificates, certificates  # noqa: F401 (a fixture)
from tests.typing import user_aio, user_sync
from uamqp.codec import Modified, Rejected, Released
from uamqp.messaging import Message
from uamqp.testing import Broker, error

both = pytest.mark.parametrize("program", [user_aio, user_sync], ids=["aio", "sync"])


async def settled(found: Any) -> Any:
    """What a function of either program returns: what is to be awaited, awaited."""
    return await found if inspect.isawaitable(found) else found


@both
def test_all_of_it(program: Any, broker: Broker) -> None:
    results = asyncio.run(settled(program.main(broker.url)))
    assert results["bodies"] == 22
    assert sorted(results["outcomes"])[:4] == ["Accepted", "Accepted", "Accepted", "done"]
    assert (results["orders"], results["empty"]) == ((200, 2), (0, True))
    assert results["tasks" if program is user_aio else "threads"] == list(range(10))
    assert results["settled"] == [10, 0, 0, 0, 0, 0]
    assert results["taken"] >= 50
    assert results["options"] == ["refused: False", "orders 10", "an answer", "none"]
    assert (results["session"], results["stats"]) == (2, (0, 0, 0))
    assert results["peer"] == "uamqp-testing-broker"
    assert results["events"] == ["connecting -> open", "closing -> closed"]
    bodies = [view.body for view in broker.queue("bodies").messages]
    assert bodies[:3] == ["text", b"bytes", b"bytes"]
    assert len(bodies) in (25, 26)  # the last was taken back, or was on its way
    counters = broker.queue("orders").counters
    assert (counters.rejected, counters.modified) == (1, 1)


@both
@pytest.mark.parametrize(
    ("login", "mechanism"),
    [
        ("anonymous", "ANONYMOUS"),
        ("plain", "PLAIN"),
        ("password", "PLAIN"),
        ("external", "EXTERNAL"),
        ("list", "EXTERNAL"),
        ("factory", "PLAIN"),
    ],
)
def test_logins(program: Any, login: str, mechanism: str, certificates: Certificates) -> None:  # noqa: F811
    tls = certificates.client_context(certificates.client)

    async def look(broker: Broker) -> None:
        connection = await settled(program.log_in(broker.url, login, tls))
        (view,) = broker.connections
        assert (view.mechanism, view.container_id) == (mechanism, f"desk-{login}")
        assert view.properties["program"] == "order desk"
        await settled(connection.close())

    server, authority = certificates.server, certificates.ca
    users = {"desk": "secret"}
    with Broker(users=users, anonymous=True, tls_cert=server.cert, tls_key=server.key, tls_ca=authority) as broker:
        asyncio.run(look(broker))


@both
def test_tokens(program: Any) -> None:
    async def look(broker: Broker) -> None:
        connection = await settled(program.log_in(broker.url, "tokens"))
        sender = await settled(connection.open_sender("orders"))
        assert await settled(program.why(sender, Message("x"))) == "accepted"
        await settled(connection.close())

    with Broker(cbs=True) as broker:
        asyncio.run(look(broker))
        (token,) = broker.tokens.put
        assert (token.token, token.audience) == ("a token", "amqp://localhost/orders")


@both
def test_nobody_is_there(program: Any) -> None:
    assert asyncio.run(settled(program.nobody_there("amqp://127.0.0.1:1"))) == ["127.0.0.1:1: ConnectFailed"]


@both
@pytest.mark.parametrize(
    ("outcome", "text", "many"),
    [
        (None, "accepted", "sent"),
        (Rejected(error("app:bad", "not like this")), "rejected: app:bad not like this None", "failed"),
        (Rejected(), "rejected: None None None", "failed"),
        (Released(), "given back", "failed"),
        (Modified(True), "failed", "failed"),
        (Modified(), "given back", "failed"),
    ],
)
def test_outcomes(program: Any, outcome: Any, text: str, many: str, broker: Broker) -> None:
    broker.faults.outcome = outcome

    async def ask() -> tuple[str, str]:
        connection = await settled(program.connect(broker.url))
        sender = await settled(connection.open_sender("q"))
        told = await settled(program.why(sender, Message("x"))), await settled(program.all_or_nothing(sender))
        await settled(connection.close())
        return told

    one, several = asyncio.run(ask())
    assert one == text
    assert several.endswith(many)
