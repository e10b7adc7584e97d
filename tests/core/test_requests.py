"""Requests to a node, their answers and the links they go over; against a scripted peer, with the test's own clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.support.core import Client
from tests.support.requests import Called, answer
from uamqp.codec import Properties, ULong
from uamqp.core import RequestLinks
from uamqp.core.requests import RequestState
from uamqp.engine import LocalProtocolError


def encoded(number: int) -> bytes:
    """A request: its message-id, and a body."""
    return Properties(message_id=ULong(number)).encode() + b"\x00\x53\x77\xa1\x01x"


class Node:
    """A pair of links, and the node at the other end."""

    def __init__(self, credit: int = 10) -> None:
        self.client = Client()
        self.peer = self.client.peer
        self.links = RequestLinks(self.client.session, "$node", "out", "in")
        self.links.open(self.client.now)
        self.peer.accept_open()
        self.peer.accept_begin()
        self.peer.accept_attach(SENDER, {"name": "out"})
        if credit:
            self.peer.grant(credit)

    def finish_opening(self) -> None:
        """The other link, over which answers come."""
        self.peer.accept_attach(RECEIVER, {"name": "in"})
        self.peer.expect("flow")
        self.peer.ignore("disposition")

    def answer(self, payload: bytes) -> None:
        self.peer.send_delivery(payload, handle=1)
        self.client.core.handle_events(self.client.now)


@pytest.fixture
def node() -> Node:
    made = Node()
    made.finish_opening()
    return made


def test_requests_wait_until_both_links_are_open() -> None:
    node = Node()
    first, second = node.links.request(encoded), node.links.request(encoded)
    assert not node.links.is_open
    node.finish_opening()
    assert node.links.is_open
    for request in (first, second):
        assert node.peer.expect("transfer").payload == encoded(request.number)


def test_answers_find_their_requests_in_any_order(node: Node) -> None:
    first, second, third = (node.links.request(encoded) for _ in range(3))
    for _ in range(3):
        node.peer.expect("transfer")
    node.answer(answer(ULong(third.number), {"statusCode": 200, "statusDescription": "fine"}))
    node.answer(answer(str(first.number), {"status-code": 404, "status-description": "no such thing"}))
    node.answer(answer(ULong(second.number)))
    assert [request.state for request in (first, second, third)] == [RequestState.ANSWERED] * 3
    assert (third.status, third.description) == (200, "fine")
    assert (first.status, first.description) == (404, "no such thing")
    assert (second.status, second.description) == (None, "")
    assert node.links.unmatched == 0


@pytest.mark.parametrize("status", [True, "200", 2.0, None])
def test_a_status_is_a_number(node: Node, status: Any) -> None:
    request = node.links.request(encoded)
    node.answer(answer(ULong(request.number), {"statusCode": status, "statusDescription": 5}))
    assert (request.state, request.status, request.description) == (RequestState.ANSWERED, None, "")


def test_what_answers_nothing_is_dropped(node: Node) -> None:
    request = node.links.request(encoded)
    node.answer(answer(ULong(request.number + 1)))
    node.answer(answer("no number"))
    node.answer(answer(None))
    node.answer(b"\x00\x53\x99")
    assert node.links.unmatched == 4
    assert not request.done
    node.answer(answer(ULong(request.number)))
    assert request.done
    node.answer(answer(ULong(request.number)))  # once more
    assert node.links.unmatched == 5


def test_a_request_past_its_time_is_given_up_and_its_answer_dropped(node: Node) -> None:
    request, patient = node.links.request(encoded, deadline=5.0), node.links.request(encoded)
    node.links.expire(4.9)
    assert not request.done
    node.links.expire(5.0)
    assert (request.state, patient.state) == (RequestState.TIMED_OUT, RequestState.WAITING)
    node.answer(answer(ULong(request.number)))
    assert request.answer is None
    assert node.links.unmatched == 1


def test_a_request_that_timed_out_before_the_links_were_open_never_goes_out() -> None:
    node = Node()
    request = node.links.request(encoded, deadline=1.0)
    node.links.expire(1.0)
    later = node.links.request(encoded)
    node.finish_opening()
    assert node.peer.expect("transfer").payload == encoded(later.number)
    assert request.state is RequestState.TIMED_OUT


def test_a_request_that_the_node_rejects_fails(node: Node) -> None:
    request = node.links.request(encoded)
    number = node.peer.expect("transfer")["delivery_id"]
    node.peer.send(
        "disposition",
        role=RECEIVER,
        first=number,
        settled=True,
        state=codec.rejected(error=codec.error("amqp:not-allowed", "not you")),
    )
    assert request.state is RequestState.FAILED
    assert request.cause is not None
    assert request.cause.message == "not you"


def test_when_a_link_is_lost_all_that_wait_fail_with_its_cause(node: Node) -> None:
    requests = [node.links.request(encoded) for _ in range(2)]
    for _ in requests:
        node.peer.expect("transfer")
    node.peer.send("detach", handle=1, closed=True, error=codec.error("amqp:resource-deleted", "gone"))
    assert node.links.is_over
    for request in [*requests, node.links.request(encoded)]:
        assert request.state is RequestState.FAILED
        assert request.cause is not None
        assert request.cause.condition == "amqp:resource-deleted"


def test_closing_fails_what_waits(node: Node) -> None:
    request = node.links.request(encoded)
    node.links.close(node.client.now)
    assert request.state is RequestState.FAILED
    assert request.cause is not None
    assert "closed" in request.cause.message
    node.client.session.end(node.client.now)
    with pytest.raises(LocalProtocolError):
        RequestLinks(node.client.session, "$node", "a", "b").open(node.client.now)


def test_requests_fail_when_their_session_is_ended(node: Node) -> None:
    request = node.links.request(encoded)
    node.client.session.end(node.client.now)
    assert request.state is RequestState.FAILED
    assert request.cause is not None
    assert "closed" in request.cause.message


def test_which_names_count_first(node: Node) -> None:
    both = {"statusCode": 1, "status-code": 2, "statusDescription": "one", "status-description": "two"}
    request = node.links.request(encoded)
    turned = node.links.request(encoded, None, ("status-code", "statusCode"), ("status-description",))
    for number in request.number, turned.number:
        node.answer(answer(ULong(number), both))
    assert (request.status, request.description) == (1, "one")
    assert (turned.status, turned.description) == (2, "two")


# -- a node, and the links that lead to it now


def test_a_node_has_one_pair_of_links() -> None:
    client = Called()
    assert client.node.links is None
    links = client.open()
    assert client.open() is links  # while they are being opened
    client.accept(first=True)
    assert links.is_open
    assert client.open() is client.node.links is links
    request = links.request(encoded)
    assert client.peer.expect("transfer").payload == encoded(request.number)


def test_links_that_were_lost_are_opened_anew() -> None:
    client = Called()
    links = client.open()
    names = client.accept(first=True)
    client.lose_links()
    assert links.is_over
    assert client.node.links is links  # until they are needed
    others = client.open()
    assert others is client.node.links is not links
    client.peer.expect("detach", handle=0)
    client.peer.expect("detach", handle=1)  # what is left of the old ones
    client.peer.send("detach", handle=1, closed=True)
    assert not set(names) & set(client.accept())
    assert others.is_open
    assert (others.cause, others.request(encoded).done) == (None, False)


def test_what_is_closed_is_opened_again() -> None:
    client = Called()
    client.node.close(client.now)  # there is nothing to close
    links = client.open()
    client.accept(first=True)
    request = links.request(encoded)
    client.node.close(client.now)
    assert request.state is RequestState.FAILED
    assert links.is_over
    assert client.open() is not links


def test_links_know_that_they_were_open() -> None:
    client = Called()
    links = client.open()
    assert not links.was_open
    client.accept(first=True)
    client.lose_links()
    assert (links.is_open, links.is_over, links.was_open) == (False, True, True)
    assert not client.open().was_open  # each pair for itself


def test_links_that_are_refused_were_never_open() -> None:
    client = Called()
    links = client.open()
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(SENDER, source=None, target=None)
    client.lose_links()
    assert (links.is_over, links.was_open) == (True, False)


def test_links_are_named_after_the_node_but_for_its_credentials() -> None:
    client = Called("amqp://me:secret@host/node")
    client.open()
    sender, receiver = client.accept(first=True)
    assert sender.startswith("amqp://me:***@host/node-sender-")
    assert receiver.startswith("amqp://me:***@host/node-receiver-")


def test_a_node_of_a_session_that_has_ended() -> None:
    client = Called()
    client.open()
    client.session.end(client.now)
    assert client.node.links is not None
    assert client.node.links.is_over
    with pytest.raises(LocalProtocolError):
        client.open()
    with pytest.raises(LocalProtocolError):
        client.open()  # it isn't taken for one that is being opened
