"""Our clients against a server made of python-qpid-proton."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from uamqp import Message, ReceiveClient, SendClient, Source, Target
from uamqp.authentication import SASLAnonymous
from uamqp.constants import MessageState, ReceiverSettleMode, SenderSettleMode
from uamqp.errors import AMQPConnectionError, ErrorPolicy, MessageException

from .clients import PATIENCE, bodies, take

if TYPE_CHECKING:
    from .protonserver import ProtonServer

pytestmark = pytest.mark.usefixtures("proton")


@pytest.fixture
def server(proton: None) -> Iterator[ProtonServer]:
    from .protonserver import ProtonServer

    with ProtonServer() as running:
        yield running


def auth(server: ProtonServer, **options: Any) -> SASLAnonymous:
    return SASLAnonymous("localhost", port=server.port, **({"use_tls": False} | options))


def sender(server: ProtonServer, **options: Any) -> SendClient:
    return SendClient(Target("amqp://localhost", node="q"), auth=auth(server), **options)


def receiver(server: ProtonServer, **options: Any) -> ReceiveClient:
    return ReceiveClient(Source("amqp://localhost", node="q"), auth=auth(server), **options)


def test_send_and_receive(server: ProtonServer) -> None:
    with sender(server) as client:
        client.queue_message(*[Message(f"m{number}") for number in range(500)])
        assert client.send_all_messages() == [MessageState.SendComplete] * 500
    with receiver(server) as client:
        assert bodies(take(client, 500)) == [f"m{number}" for number in range(500)]
    assert {server.seen.get(timeout=10) for _ in range(500)} == {"accepted settled"}


def test_tls(proton: None, tmp_path: Path) -> None:
    from proton import SSLDomain

    from .protonserver import ProtonServer

    authority = trustme.CA()
    ca, certificate = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    domain = SSLDomain(SSLDomain.MODE_SERVER)
    domain.set_credentials(str(certificate), str(certificate), None)
    with ProtonServer(domain) as server:
        login = auth(server, use_tls=True, verify=str(ca))
        with SendClient(Target("amqps://localhost", node="q"), auth=login) as client:
            client.send_message(Message("over TLS"))
        login = auth(server, use_tls=True, verify=str(ca))
        with ReceiveClient(Source("amqps://localhost", node="q"), auth=login) as client:
            assert bodies(take(client, 1)) == ["over TLS"]
        login = auth(server, use_tls=True)
        with SendClient(Target("amqps://localhost", node="q"), auth=login) as client:
            with pytest.raises(AMQPConnectionError, match=r"(?i)certificate"):
                client.send_message(Message("not trusted"))


@pytest.mark.parametrize("outcome", ["RELEASED", "REJECTED", "MODIFIED"])
def test_a_message_that_is_not_accepted(proton: None, outcome: str) -> None:
    from proton import Delivery

    from .protonserver import ProtonServer

    with ProtonServer(answer=int(getattr(Delivery, outcome))) as server:
        with sender(server, error_policy=ErrorPolicy(max_retries=1)) as client:
            message = Message("no")
            with pytest.raises(MessageException):
                client.send_message(message)
            assert message.state == MessageState.SendFailed


@pytest.mark.parametrize(
    ("settle", "name"),
    [
        (lambda message: message.accept(), "accepted"),
        (lambda message: message.reject(condition="example:no", description="no"), "rejected"),
        (lambda message: message.release(), "released"),
        (lambda message: message.modify(True, False), "modified"),
    ],
    ids=["accepted", "rejected", "released", "modified"],
)
@pytest.mark.parametrize("mode", [None, ReceiverSettleMode.PeekLock])
def test_our_outcomes(
    server: ProtonServer, settle: Callable[[Message], bool], name: str, mode: ReceiverSettleMode | None
) -> None:
    """With rcv-settle-mode second the outcome goes out unsettled, and the server settles first."""
    server.put("q", "one")
    options = {} if mode is None else {"receive_settle_mode": mode}
    with receiver(server, auto_complete=False, prefetch=1, **options) as client:
        (message,) = take(client, 1)
        assert settle(message)
        expected = f"{name} settled" if mode is None else f"{name} unsettled"
        while server.seen.empty():
            client.do_work()
        assert server.seen.get(timeout=10) == expected


def test_receive_and_delete(server: ProtonServer) -> None:
    server.put("q", *range(5))
    with receiver(server, receive_settle_mode=ReceiverSettleMode.ReceiveAndDelete) as client:
        got = take(client, 5)
        assert [message.get_data() for message in got] == list(range(5))
        assert {message.state for message in got} == {MessageState.ReceivedSettled}
    assert server.seen.empty()


def test_presettled(server: ProtonServer) -> None:
    with sender(server, send_settle_mode=SenderSettleMode.Settled) as client:
        client.queue_message(*[Message(f"m{number}") for number in range(50)])
        assert client.send_all_messages() == [MessageState.SendComplete] * 50
    with receiver(server) as client:
        assert bodies(take(client, 50)) == [f"m{number}" for number in range(50)]


def test_a_large_message(server: ProtonServer) -> None:
    body = bytes(range(256)) * 4096 * 10
    with sender(server, max_message_size=2 * len(body)) as client:
        client.send_message(Message(body))
    with receiver(server, max_message_size=2 * len(body), prefetch=1) as client:
        (message,) = take(client, 1)
    assert b"".join(message.get_data()) == body


@pytest.mark.parametrize("endpoint", ["connection", "session", "link"])
def test_the_server_closes_with_an_error(server: ProtonServer, endpoint: str) -> None:
    """The error's condition and description reach the caller."""
    from proton import Condition

    def close() -> None:
        link = server.links["q"][0]
        closed = {"connection": link.connection, "session": link.session, "link": link}[endpoint]
        closed.condition = Condition("amqp:resource-deleted", "the queue has been deleted")
        closed.close()

    with receiver(server) as client:
        while not client.client_ready():
            pass
        server.do(close)
        with pytest.raises(AMQPConnectionError, match="the queue has been deleted") as caught:
            client.receive_message_batch(timeout=PATIENCE)
        condition = getattr(caught.value, "condition", None)
        assert "resource-deleted" in str(getattr(condition, "value", condition))
