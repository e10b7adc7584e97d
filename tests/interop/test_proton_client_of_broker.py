"""python-qpid-proton as a client of our embedded broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from uamqp.testing import Broker

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


def test_send_and_receive(embedded: Broker) -> None:
    from proton import Message

    with connect(embedded) as client:
        sender = client.sender("q")
        for number in range(500):
            sender.send(Message(body=f"m{number}", id=number, properties={"n": number}))
        receiver = client.receiver("q", credit=100)
        got = []
        for _ in range(500):
            message = receiver.receive()
            got.append((message.body, message.properties["n"]))
            receiver.accept()
        assert got == [(f"m{number}", number) for number in range(500)]
        embedded.wait_for(lambda: embedded.queue("q").depth == 0)


def test_without_sasl(embedded: Broker) -> None:
    from proton import Message

    with connect(embedded, sasl_enabled=False) as client:
        client.sender("q").send(Message(body="no SASL"))
        assert client.receiver("q", credit=1).receive().body == "no SASL"


def test_users() -> None:
    from proton import ConnectionException

    with Broker(users={"amqp": "secret"}) as broker:
        with connect(broker, user="amqp", password="secret") as client:
            assert client.conn.transport.user == "amqp"
        with pytest.raises(ConnectionException, match="amqp:unauthorized-access"):
            connect(broker, user="amqp", password="wrong")
        with pytest.raises(ConnectionException):
            connect(broker)


def test_tls_and_a_client_certificate(tmp_path: Path) -> None:
    from proton import SSLDomain

    from .protonclient import ProtonClient

    authority = trustme.CA()
    ca, server, client_file = tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "client.pem"
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(server)
    certificate = authority.issue_cert("client.example", common_name="amqp")
    certificate.private_key_and_cert_chain_pem.write_to_path(client_file)
    with Broker(users={}, tls_cert=server, tls_ca=ca) as broker:
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(str(ca))
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        domain.set_credentials(str(client_file), str(client_file), None)
        with ProtonClient(
            f"amqps://localhost:{broker.port}", timeout=20, ssl_domain=domain, allowed_mechs="EXTERNAL"
        ) as client:
            client.sender("q")
            (connection,) = broker.connections
            assert (connection.mechanism, connection.user) == ("EXTERNAL", "amqp")


def test_settle_modes(embedded: Broker) -> None:
    from proton import Link

    from .protonclient import SettleModes

    with connect(embedded) as client:
        for mode in (Link.SND_UNSETTLED, Link.SND_SETTLED, Link.SND_MIXED):
            link = client.receiver("q", credit=0, options=SettleModes(snd=mode)).link
            assert link.remote_snd_settle_mode == mode
            assert client.sender("q", options=SettleModes(snd=mode)).link.remote_snd_settle_mode == mode
        for mode in (Link.RCV_FIRST, Link.RCV_SECOND):
            assert client.receiver("q", credit=0, options=SettleModes(rcv=mode)).link.remote_rcv_settle_mode == mode


def test_presettled(embedded: Broker) -> None:
    from proton import Message
    from proton.reactor import AtMostOnce

    with connect(embedded) as client:
        sender = client.sender("q", options=AtMostOnce())
        for number in range(50):
            sender.send(Message(body=number))
        receiver = client.receiver("q", credit=50, options=AtMostOnce())
        assert [receiver.receive().body for _ in range(50)] == list(range(50))


def test_outcomes(embedded: Broker) -> None:
    from proton import Delivery, Message

    with connect(embedded) as client:
        sender = client.sender("q")
        receiver = client.receiver("q", credit=10)
        sender.send(Message(body="released"))
        receiver.receive()
        receiver.release(delivered=False)
        assert receiver.receive().delivery_count == 0
        delivery = receiver.fetcher.unsettled[0]
        delivery.local.failed = True
        receiver.settle(Delivery.MODIFIED)
        assert receiver.receive().delivery_count == 1
        receiver.reject()
    embedded.wait_for(lambda: embedded.dead_letters("q").depth == 1)
    assert embedded.queue("q").depth == 0


def test_lost_connections_give_their_messages_back(embedded: Broker) -> None:
    from proton import ConnectionException, Message

    with connect(embedded) as client:
        client.sender("q").send(Message(body="kept"))
        holder = client.receiver("q", credit=1)
        assert holder.receive().body == "kept"
        embedded.drop_connections()
        with pytest.raises(ConnectionException):
            client.wait(lambda: False)
    with connect(embedded) as client:
        receiver = client.receiver("q", credit=1)
        message = receiver.receive()
        assert (message.body, message.delivery_count) == ("kept", 1)
        receiver.accept()


def test_drain(embedded: Broker) -> None:
    from proton import Message

    with connect(embedded) as client:
        sender = client.sender("q")
        for number in range(3):
            sender.send(Message(body=number))
        receiver = client.receiver("q", credit=0)
        receiver.link.drain(10)
        client.wait(lambda: len(receiver.fetcher.incoming) == 3 and not receiver.link.draining(), timeout=10)
        assert receiver.link.drained() == 7


def test_browsing_and_topics(embedded: Broker) -> None:
    from proton import Message
    from proton.reactor import Copy

    with connect(embedded) as client:
        client.sender("q").send(Message(body="here"))
        browser = client.receiver("q", credit=1, options=Copy())
        assert browser.receive().body == "here"
        receiver = client.receiver("q", credit=1)
        assert receiver.receive().body == "here"
        receiver.accept()
        subscribers = [client.receiver("topic://t", credit=5) for _ in range(2)]
        publisher = client.sender("topic://t")
        for number in range(3):
            publisher.send(Message(body=number))
        assert [[each.receive().body for _ in range(3)] for each in subscribers] == [[0, 1, 2]] * 2


def test_a_temporary_topic(embedded: Broker) -> None:
    """As clients of JMS ask for one, with the policy that it goes with its link."""
    from proton import Described, Message, symbol, ulong
    from proton.reactor import DynamicNodeProperties
    from proton.utils import LinkDetached

    class TemporaryTopic(DynamicNodeProperties):  # type: ignore[misc]
        def apply(self, link: Any) -> None:
            super().apply(link)
            link.source.capabilities.put_object(symbol("temporary-topic"))

    policy = {"lifetime-policy": Described(ulong(0x2B), [])}
    with connect(embedded) as client:
        first = client.receiver(None, credit=2, dynamic=True, options=TemporaryTopic(policy))
        address = first.link.remote_source.address
        with connect(embedded) as other:
            second = other.receiver(address, credit=2)
            sender = other.sender(address)
            sender.send(Message(body="x"))
            assert (first.receive().body, second.receive().body) == ("x", "x")
            first.close()
            with pytest.raises(LinkDetached, match="amqp:resource-deleted"):
                other.wait(lambda: False)


def test_a_dynamic_node_and_the_anonymous_relay(embedded: Broker) -> None:
    from proton import Message

    with connect(embedded) as client:
        receiver = client.receiver(None, dynamic=True, credit=2)
        address = receiver.link.remote_source.address
        assert address
        client.sender(address).send(Message(body="direct"))
        client.sender(None).send(Message(address=address, body="relayed"))
        assert [receiver.receive().body, receiver.receive().body] == ["direct", "relayed"]


@pytest.mark.parametrize("frame_size", [512, 4096, None])
def test_a_large_message(embedded: Broker, frame_size: int | None) -> None:
    from proton import Message

    body = bytes(range(256)) * 4096 * (1 if frame_size == 512 else 10)
    options = {"max_frame_size": frame_size} if frame_size else {}
    with connect(embedded, **options) as client:
        client.sender("q").send(Message(body=body))
        assert bytes(client.receiver("q", credit=1).receive().body) == body


def test_heartbeats() -> None:
    """The broker gives up silent clients; one that beats stays."""
    from proton import Message, Timeout

    with Broker(idle_timeout=1.0) as broker, connect(broker, heartbeat=1) as client:
        receiver = client.receiver("q", credit=1)
        with pytest.raises(Timeout):
            client.wait(lambda: False, timeout=3)
        client.sender("q").send(Message(body="alive"))
        assert receiver.receive().body == "alive"


def test_many_sessions_and_links(embedded: Broker) -> None:
    from proton import Endpoint

    with connect(embedded) as client:
        sessions = [client.conn.session() for _ in range(200)]
        for session in sessions:
            session.open()
        client.wait(lambda: all(session.state & Endpoint.REMOTE_ACTIVE for session in sessions), timeout=20)
        links = [client.receiver("q", credit=0) for _ in range(100)]
        embedded.wait_for(lambda: embedded.connections[0].receivers == len(links))


def test_refusals(embedded: Broker) -> None:
    from proton import Message
    from proton.utils import LinkDetached

    from uamqp.testing import error

    with connect(embedded) as client:
        embedded.faults.refuse_attach = lambda address, sending: error("amqp:not-found", "no such thing")
        with pytest.raises(LinkDetached, match="amqp:not-found"):
            client.sender("refused")
        embedded.faults.clear()
        sender = client.sender("q")
        with pytest.raises(LinkDetached, match="amqp:link:message-size-exceeded"):
            sender.send(Message(body=b"x" * (65 * 1024 * 1024)))


def test_properties_and_annotations(embedded: Broker) -> None:
    from proton import Message, symbol, timestamp, ulong

    sent = Message(
        body="body",
        id=uuid.uuid4(),
        user_id=b"someone",
        subject="subject",
        reply_to="reply",
        correlation_id=ulong(7),
        content_type=symbol("text/plain"),
        content_encoding=symbol("gzip"),
        expiry_time=4e9,
        creation_time=1.7e9,
        group_id="group",
        group_sequence=3,
        reply_to_group_id="reply-group",
        ttl=100.0,
        priority=7,
        durable=True,
        properties={"text": "x", "time": timestamp(5), "nothing": None, "number": 1.5},
        annotations={symbol("x-opt-a"): "b"},
    )
    with connect(embedded) as client:
        client.sender("q").send(sent)
        got = client.receiver("q", credit=1).receive()
    assert 90 < got.ttl <= 100  # less what it waited
    for name in (
        *("id", "user_id", "subject", "reply_to", "correlation_id", "content_type", "content_encoding", "expiry_time"),
        *("creation_time", "group_id", "group_sequence", "reply_to_group_id", "priority", "durable"),
        *("properties", "annotations", "body"),
    ):
        assert getattr(got, name) == getattr(sent, name), name
