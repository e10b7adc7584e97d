"""What RabbitMQ says of a bad address, in its own words, and what the exception adds to them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import ABSENT, RECEIVER, SENDER
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_leaving,
    accept_sender,
    accept_session,
    settle,
    url,
)
from tests.support.waiting import bounded
from uamqp import Message, ReceiveClient, SendClient, errors
from uamqp.constants import ErrorCodes

pytestmark = pytest.mark.both_fronts

QUEUE_4 = '//queues/NAME behind the host of an amqp:// URL, or node="/queues/NAME"'
QUEUE_3 = '//queue/NAME behind the host of an amqp:// URL, or node="/queue/NAME"'

# (condition, description): as RabbitMQ 4.0 and 4.3 gave them for a bare name, an address of version 3, a missing slash,
# two slashes, a topic, a URL, an empty address, characters that aren't encoded, a missing queue, a missing exchange.
BAD_AT_4 = [
    ("invalid-field", 'Attach refused: {amqp_address_v1_not_permitted,{utf8,<<"bare">>}}'),
    (
        "invalid-field",
        'Attach refused: {amqp_address_v1_not_permitted,\n                    {utf8,<<"/exchange/e/k">>}}',
    ),
    ("invalid-field", 'Attach rejected: {unknown_destination,"queues/x"}'),
    ("invalid-field", 'Attach rejected: {unknown_destination,"//queues/test"}'),
    ("invalid-field", 'Attach rejected: {unknown_destination,"topic://x"}'),
    ("invalid-field", 'Attach rejected: {unknown_destination,"amqp://localhost/queues/test"}'),
    ("invalid-field", "Attach refused: {bad_address,undefined}"),
    ("invalid-field", 'Attach refused: {bad_address_string,<<"/queues/a b">>}'),
    ("invalid-field", 'Attach rejected: {bad_address,{utf8,<<"/queues/caf\xe9"/utf8>>}}'),
    ("internal-error", "function_clause\n[{rabbit_amqp_session,ensure_terminus,\n     [target,\n      {temp_queue"),
    ("not-found", "no queue 'nosuch' in vhost '/'"),
    ("not-found", "no queue '' in vhost 'a\nb'"),
    ("not-found", "no exchange 'nosuch' in vhost '/'"),
]
BAD_AT_3 = [
    ("invalid-field", 'Attach rejected: {unknown_destination,"/queues/x"}'),
    ("invalid-field", 'Attach rejected: {invalid_destination,queue,"/a/b"}'),
    ("invalid-field", "Attach rejected: {address_not_utf8_string,undefined}"),
    ("not-found", "NOT_FOUND - no exchange 'nosuch' in vhost '/'"),
    ("not-found", "NOT_FOUND - no queue 'nosuch' in vhost '/'"),
]
# Of RabbitMQ 4, but of something else; and what other brokers say of an address.
NO_HINT = [
    ("RabbitMQ", "not-implemented", "rcv-settle-mode second not supported"),
    ("RabbitMQ", "invalid-field", "Link property 'paired' is not set to boolean value 'true'"),
    ("RabbitMQ", "unauthorized-access", "write access to queue 'q' in vhost '/' refused for user 'guest'"),
    ("ActiveMQ", "invalid-field", "source address not set"),
    ("Apache Qpid Broker-J Core", "not-found", "Unknown destination 'nowhere/x'"),
    ("apache-activemq-artemis", "not-found", "AMQ219002: target address does not exist"),
    ("a broker of its own", "not-found", "no queue 'nosuch' in vhost '/'"),
    (None, "not-found", "no such queue"),
    (None, "not-found", None),
]


def properties(product: str | None, version: str) -> Any:
    return ABSENT if product is None else {codec.sym("product"): product, codec.sym("version"): version}


def use(client: Any) -> None:
    if hasattr(client, "send_message"):
        client.send_message(Message(b"x"))
    else:
        client.receive_message_batch(timeout=5000)


def refused(client_class: Any, product: str | None, version: str, condition: str, text: str | None, ends: bool) -> Any:
    """The error of a client whose link is refused, or whose session ends for it, as up to 4.0."""
    reason = codec.error(f"amqp:{condition}", text)

    def script(peer: SocketPeer) -> None:
        accept_session(peer, properties=properties(product, version))
        if ends:
            peer.expect("attach")
            peer.send("end", error=reason)
            peer.expect("end")
        else:
            peer.refuse_attach(reason, {"role": RECEIVER if client_class.__name__.startswith("Receive") else SENDER})
            peer.expect("detach")
            peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, bounded(10):
        client = client_class(url(server))
        try:
            with pytest.raises(errors.AMQPConnectionError) as caught:
                use(client)
        finally:
            client.close()
    return caught.value


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "detaches"])
@pytest.mark.parametrize(("condition", "text"), BAD_AT_4)
def test_an_address_of_rabbitmq_4_when_sending(condition: str, text: str, ends: bool) -> None:
    error = refused(SendClient, "RabbitMQ", "4.0.5" if ends else "4.3.6", condition, text, ends)
    assert QUEUE_4 in str(error)
    assert str(error).startswith(f"{ErrorCodes(b'amqp:' + condition.encode())}: {text}. ")
    assert error.description == text.encode()
    assert error.condition == ErrorCodes(b"amqp:" + condition.encode())
    assert str(error).endswith(error.hint)


@pytest.mark.parametrize(("condition", "text"), BAD_AT_4[::4])
def test_an_address_of_rabbitmq_4_when_receiving(condition: str, text: str) -> None:
    error = refused(ReceiveClient, "RabbitMQ", "4.3.6", condition, text, False)
    assert QUEUE_4 in str(error)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(again), again.hint, again.description) == (str(error), error.hint, error.description)


def test_a_peer_that_does_not_say_what_it_is() -> None:
    """The words are RabbitMQ's alone."""
    assert QUEUE_4 in str(refused(SendClient, None, "", *BAD_AT_4[0], False))


@pytest.mark.parametrize(("condition", "text"), BAD_AT_3)
def test_an_address_of_rabbitmq_3(condition: str, text: str) -> None:
    error = refused(SendClient, "RabbitMQ", "3.10.8", condition, text, True)
    assert QUEUE_3 in str(error)
    assert "/queues/" not in error.hint
    assert text in str(error)


@pytest.mark.parametrize(("product", "condition", "text"), NO_HINT)
def test_no_hint(product: str | None, condition: str, text: str | None) -> None:
    error = refused(SendClient, product, "4.3.6", condition, text, False)
    assert error.hint == ""
    assert str(error) == f"{ErrorCodes(b'amqp:' + condition.encode())}" + (f": {text}" if text else "")


@pytest.mark.parametrize(
    ("text", "hinted"),
    [
        ("anonymous terminus requires 'to' address to be set", "There was no address"),
        ("bad 'to' address string: queues/x", "`to`"),
        ("no exchange 'nosuch' in vhost '/'", "Declare it first"),
        ("message size 5 exceeds the limit", ""),
    ],
)
def test_a_message_to_a_bad_address(text: str, hinted: str) -> None:
    """A URL without an address is that of the anonymous relay: each message is refused."""

    def script(peer: SocketPeer) -> None:
        accept_sender(peer, properties=ABSENT)
        reason = codec.error("amqp:precondition-failed", text)
        settle(peer, peer.expect("transfer"), codec.rejected(error=reason))
        accept_leaving(peer)

    message = Message(b"x")
    told: list[Any] = []
    message.on_send_complete = lambda result, error: told.append(error)
    with ScriptedServer(script) as server, SendClient(url(server, "")) as client:
        with pytest.raises(errors.ClientMessageError) as caught:
            client.send_message(message)
    assert caught.value.description == text.encode()
    assert (QUEUE_4 in str(caught.value)) is bool(hinted)
    assert hinted in str(caught.value)
    assert [error.hint for error in told] == [caught.value.hint]
