"""What our embedded broker does on purpose, seen by python-qpid-proton: distribution, limits, and its knobs.

test_proton_client_of_broker.py has the plain use of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from uamqp.codec import Header, Rejected, Released
from uamqp.testing import Broker, connection_redirect, error

if TYPE_CHECKING:
    from .protonclient import ProtonClient

pytestmark = pytest.mark.usefixtures("proton")

BODY = b"\x00\x53\x77\xa1\x04body"


@pytest.fixture
def embedded() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def connect(broker: Broker, **options: Any) -> ProtonClient:
    from . import protonclient

    return protonclient.connect(broker.host, broker.port, **options)


def put(broker: Broker, name: str, *bodies: str) -> None:
    for body in bodies:
        text = body.encode()
        broker.put(name, b"\x00\x53\x77\xa1" + bytes([len(text)]) + text)


def test_consumers_compete(embedded: Broker) -> None:
    with connect(embedded) as one, connect(embedded) as two:
        receivers = [client.receiver("q", credit=10) for client in (one, two)]
        put(embedded, "q", *(str(number) for number in range(10)))
        got = [[receiver.receive().body for _ in range(5)] for receiver in receivers]
        assert sorted(got[0] + got[1]) == [str(number) for number in range(10)]
        assert all(bodies == sorted(bodies) for bodies in got)


def test_what_a_lost_consumer_had_goes_to_another(embedded: Broker) -> None:
    from proton import ConnectionException

    put(embedded, "q", "a", "b", "c")
    with connect(embedded) as one:
        receiver = one.receiver("q", credit=3)
        assert receiver.receive().body == "a"
        receiver.accept()
        assert receiver.receive().body == "b"
        one.sender("other")  # proton writes when it waits for something
        embedded.wait_for(lambda: embedded.counters.accepted == 1)
        embedded.drop_connections()
        with pytest.raises(ConnectionException):
            one.wait(lambda: False)
    with connect(embedded) as two:
        receiver = two.receiver("q", credit=3)
        got = [receiver.receive() for _ in range(2)]
        assert [(message.body, message.delivery_count) for message in got] == [("b", 1), ("c", 1)]


def test_dead_letters_say_why(embedded: Broker) -> None:
    from proton import Delivery, Message, symbol

    with connect(embedded) as client:
        client.sender("q").send(Message(body="bad", id="7"))
        receiver = client.receiver("q", credit=1)
        receiver.receive()
        receiver.settle(Delivery.REJECTED)
        letters = client.receiver("q/$dead", credit=1)
        letter = letters.receive()
        assert (letter.body, letter.id) == ("bad", "7")
        assert letter.annotations == {
            symbol("x-opt-dead-letter-reason"): "amqp:rejected",
            symbol("x-opt-dead-letter-description"): "",
            symbol("x-opt-dead-letter-source"): "q",
        }
        letters.accept()


def test_the_last_of_too_many_deliveries() -> None:
    from proton import Delivery

    with Broker(max_deliveries=2) as broker, connect(broker) as client:
        put(broker, "q", "bad")
        receiver = client.receiver("q", credit=5)
        for attempt in range(2):
            assert receiver.receive().delivery_count == attempt
            receiver.fetcher.unsettled[0].local.failed = True
            receiver.settle(Delivery.MODIFIED)
        letters = client.receiver("q/$dead", credit=1)
        assert letters.receive().delivery_count == 2


def test_undeliverable_here(embedded: Broker) -> None:
    from proton import Delivery

    put(embedded, "q", "not for me")
    with connect(embedded) as one, connect(embedded) as two:
        first = one.receiver("q", credit=5)
        first.receive()
        first.fetcher.unsettled[0].local.undeliverable = True
        first.settle(Delivery.MODIFIED)
        put(embedded, "q", "for me")
        assert first.receive().body == "for me"
        assert two.receiver("q", credit=1).receive().body == "not for me"


def test_messages_expire(embedded: Broker) -> None:
    from proton import Message

    with connect(embedded) as client:
        client.sender("q").send(Message(body="late", ttl=0.05))
        letters = client.receiver("q/$dead", credit=1)
        assert letters.receive().body == "late"
    assert embedded.counters.expired == 1


def test_a_dynamic_node_goes_with_its_connection(embedded: Broker) -> None:
    from proton import Message
    from proton.utils import LinkDetached, SendException

    with connect(embedded) as other:
        with connect(embedded) as client:
            address = client.receiver(None, dynamic=True, credit=1).link.remote_source.address
            other.sender(address).send(Message(body="x"))
        with pytest.raises(LinkDetached, match="amqp:resource-deleted"):
            other.wait(lambda: False)
        with pytest.raises(LinkDetached, match="amqp:not-found"):
            other.sender(address)
        with pytest.raises(SendException):
            other.sender(None).send(Message(address=address, body="x"))
    assert embedded.counters.unroutable == 1


def test_a_full_queue_holds_its_senders() -> None:
    from proton import Message, Timeout

    with Broker(max_queue_messages=4) as broker, connect(broker) as client:
        sender = client.sender("q")
        for number in range(4):
            sender.send(Message(body=number))
        with pytest.raises(Timeout):
            sender.send(Message(body=4), timeout=0.2)
        assert broker.queue("q").depth == 4
        receiver = client.receiver("q", credit=10)
        for number in range(5):
            assert receiver.receive().body == number
            receiver.accept()
        sender.send(Message(body=5))


def test_outcomes_that_the_test_chooses(embedded: Broker) -> None:
    from proton import Delivery, Message
    from proton.utils import SendException

    outcomes: dict[Any, Rejected | Released] = {
        Delivery.REJECTED: Rejected(error("a:b", "no")),
        Delivery.RELEASED: Released(),
    }
    with connect(embedded) as client:
        sender = client.sender("q")
        for state, outcome in outcomes.items():
            embedded.faults.outcome = outcome
            with pytest.raises(SendException) as caught:
                sender.send(Message(body="x"))
            assert caught.value.state == state
        embedded.faults.clear()
        sender.send(Message(body="x"))
    assert embedded.queue("q").depth == 1


def test_withheld_outcomes_and_credit(embedded: Broker) -> None:
    from proton import Message, Timeout

    with connect(embedded) as client:
        embedded.faults.withhold_outcomes = True
        sender = client.sender("q")
        with pytest.raises(Timeout):
            sender.send(Message(body="x"), timeout=0.2)
        assert embedded.queue("q").depth == 1
        embedded.faults.clear()
        sender.send(Message(body="y"))
        embedded.faults.withhold_credit = True
        with pytest.raises(Timeout):
            client.sender("other").send(Message(body="x"), timeout=0.2)
        assert embedded.queue("other").depth == 0


def test_refusals_of_all_kinds(embedded: Broker) -> None:
    from proton import ConnectionException
    from proton.utils import ConnectionClosed

    embedded.faults.refuse_sasl = 1
    with pytest.raises(ConnectionException, match="amqp:unauthorized-access"):
        connect(embedded)
    embedded.faults.clear()
    embedded.faults.refuse_open = connection_redirect("there.example", 5671)
    with pytest.raises(ConnectionClosed) as caught:
        connect(embedded)
    assert caught.value.condition == "amqp:connection:redirect"
    embedded.faults.clear()
    embedded.faults.refuse_begin = error("amqp:not-allowed")
    with connect(embedded) as client, pytest.raises(ConnectionException, match="amqp:not-allowed"):
        client.sender("q")


def test_closes_and_detaches_by_the_broker(embedded: Broker) -> None:
    from proton.utils import ConnectionClosed, LinkDetached

    with connect(embedded) as client:
        client.receiver("q", credit=1)
        embedded.detach_links("q", "amqp:resource-deleted", "gone")
        with pytest.raises(LinkDetached, match="amqp:resource-deleted"):
            client.wait(lambda: False)
        embedded.close_connections("amqp:connection:forced", "enough")
        with pytest.raises(ConnectionClosed, match="enough"):
            client.wait(lambda: False)


@pytest.mark.parametrize("size", [1, 7])
def test_writes_in_pieces(embedded: Broker, size: int) -> None:
    embedded.faults.write_size = size
    put(embedded, "q", *(str(number) for number in range(20)))
    with connect(embedded) as client:
        receiver = client.receiver("q", credit=20)
        assert [receiver.receive().body for _ in range(20)] == [str(number) for number in range(20)]


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 6])
def test_cut_after_frames(embedded: Broker, frames: int) -> None:
    from proton import ConnectionException

    embedded.faults.cut_after_frames_out = frames
    embedded.faults.cut_times = 1
    with pytest.raises(ConnectionException):
        use(connect(embedded))
    use(connect(embedded))
    assert embedded.queue("q").depth >= 1


def use(client: ProtonClient) -> None:
    """At least six frames to the client: SASL mechanisms and outcome, open, begin, attach, flow."""
    from proton import Message

    with client:
        client.sender("q").send(Message(body="x"))


def test_a_broker_that_stops_and_comes_back() -> None:
    from proton.utils import ConnectionClosed

    broker = Broker()
    broker.start()
    broker.put("q", Header(durable=True).encode() + BODY)
    with connect(broker) as client:
        client.receiver("q", credit=1).receive()
        broker.stop()
        with pytest.raises(ConnectionClosed, match="amqp:connection:forced"):
            client.wait(lambda: False)
    broker.start()
    with connect(broker) as client:
        message = client.receiver("q", credit=1).receive()
        assert (message.body, message.delivery_count, message.durable) == ("body", 1, True)
    broker.stop()
