"""Pairs of engines in the situations that need two: frames that cross, ends in the middle of things, links that return.

Imports pytest, the pair, and the public names of uamqp.codec and uamqp.engine.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pair import Pair, Side, each_byte
from uamqp.codec import ACCEPTED, RELEASED, Error, Rejected, Source, Symbol, Target
from uamqp.engine import (
    CauseKind,
    IncomingDelivery,
    Limits,
    LocalProtocolError,
    OutgoingDelivery,
    Receiver,
    Sender,
    sasl,
)
from uamqp.engine.events import (
    ConnectionClosed,
    CreditChanged,
    IncomingSettled,
    LinkDetached,
    LinkOpened,
    LinkOpening,
    ReceiverDrained,
    SessionEnded,
    SessionOpened,
    SessionOpening,
)

TERMINI: dict[str, Any] = {"source": Source("here"), "target": Target("there")}
ERROR = Error(Symbol("test:error"), "because", {Symbol("why"): "not"})


def exchange(pair: Pair) -> None:
    """Both sides write before either reads: what they have to say crosses."""
    for side in pair.sides:
        pair.write(side)
    for side in pair.sides:
        pair.read(side)


def kinds(side: Side) -> list[type]:
    return [type(event) for event in side.drop()]


# -- the whole way


@pytest.mark.parametrize("pieces", [None, each_byte])
def test_from_open_to_close(pieces: Any) -> None:
    pair = Pair(
        {"mechanisms": [sasl.Plain("user", "password")], "hostname": "example"},
        {"server_mechanisms": ("PLAIN",), "properties": {Symbol("product"): "test"}},
        pieces=pieces,
    ).open()
    assert pair.server.engine.remote_open is not None
    assert pair.server.engine.remote_open.hostname == "example"
    assert pair.client.engine.remote_open is not None
    assert pair.client.engine.remote_open.properties == {"product": "test"}
    session, _ = pair.begin()
    sender, receiver = pair.link(session)
    receiver.auto_credit(10)
    context = object()
    delivery = sender.send(b"message", context=context)
    pair.pump()
    (arrived,) = [event for event in pair.server.drop() if type(event) is IncomingDelivery]
    assert (arrived.payload, arrived.settled, arrived.link) == (b"message", False, receiver)
    arrived.settle(ACCEPTED)
    pair.pump()
    final = pair.client.drop()[-1]
    assert final is delivery
    assert (delivery.settled, delivery.lost, delivery.remote_state) == (True, False, ACCEPTED)
    assert delivery.context is context
    sender.detach(pair.now)
    pair.pump()
    session.end(pair.now)
    pair.pump()
    assert kinds(pair.client) == [LinkDetached, SessionEnded]
    assert kinds(pair.server) == [LinkDetached, SessionEnded]
    pair.close()
    assert pair.ended(pair.client).cause is None


def test_endpoints_have_a_context_of_their_users() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    for endpoint in (pair.client.engine, sender, sender.session, receiver, receiver.session):
        assert endpoint.context is None
        endpoint.context = "mine"
        assert endpoint.context == "mine"


def test_many_sessions_and_links_at_once() -> None:
    pair = Pair().open()
    links = []
    for number in range(5):
        session, _ = pair.begin(pair.sides[number % 2])
        links += [pair.link(session, f"{number}.{index}", receive=bool(index % 2)) for index in range(4)]
    for sender, receiver in links:
        receiver.auto_credit(10)
        for _ in range(3):
            sender.send(f"{id(sender)}".encode())
    pair.pump()
    arrived = [event for side in pair.sides for event in side.all(IncomingDelivery)]
    for sender, receiver in links:
        own = [one.payload for one in arrived if one.link is receiver]
        assert own == [f"{id(sender)}".encode()] * 3
    pair.close()


# -- what crosses


def test_closes_that_cross() -> None:
    pair = Pair()
    pair.both()
    pair.client.engine.close(pair.now)
    pair.server.engine.close(pair.now, ERROR)
    exchange(pair)
    for side, cause in ((pair.client, None), (pair.server, CauseKind.LOCAL)):
        closed = pair.ended(side).cause
        assert (closed.kind if closed is not None else None) is cause
        assert len(side.sent("close")) == 1
    pair.check()


@pytest.mark.parametrize("error", [None, ERROR])
@pytest.mark.parametrize("behind", [False, True])
def test_a_close_instead_of_an_answer(error: Error | None, behind: bool) -> None:
    """What waits for our answer to a begin is read after all when we close, the peer's close with it."""
    pair = Pair().open()
    pair.client.answers = False
    session = pair.server.engine.begin(pair.now)
    session.attach_sender(pair.now, "link", **TERMINI)
    if behind:
        pair.server.engine.close(pair.now)
    pair.pump()
    assert kinds(pair.client) == [SessionOpening]
    pair.client.eof = True  # the peer leaves its end of the stream open
    pair.client.engine.close(pair.now, error)
    pair.pump()
    for side in pair.sides:
        pair.ended(side)
    pair.check()


def test_ends_that_cross() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    sender.session.end(pair.now)
    receiver.session.end(pair.now, ERROR)
    exchange(pair)
    for side in pair.sides:
        assert kinds(side) == [LinkDetached, SessionEnded]
        assert side.engine.sessions == ()
        assert len(side.sent("end")) == 1
    again, _ = pair.begin()
    assert again.channel == 0
    pair.close()


@pytest.mark.parametrize("closed", [(True, True), (True, False), (False, False)])
def test_detaches_that_cross(closed: tuple[bool, bool]) -> None:
    pair = Pair()
    sender, receiver = pair.both()
    sender.detach(pair.now, closed=closed[0])
    receiver.detach(pair.now, ERROR, closed=closed[1])
    exchange(pair)
    for side, theirs in zip(pair.sides, reversed(closed), strict=True):
        (event,) = side.drop()
        assert type(event) is LinkDetached
        assert event.closed is theirs
        assert len(side.sent("detach")) == 1
    assert sender.session.links == receiver.session.links == ()
    pair.close()


def test_begins_that_cross_are_two_sessions() -> None:
    pair = Pair().open()
    ours = pair.client.engine.begin(pair.now)
    theirs = pair.server.engine.begin(pair.now)
    exchange(pair)
    pair.pump()
    assert [event.session for event in pair.client.all(SessionOpening)] == [
        session for session in pair.client.engine.sessions if session is not ours
    ]
    assert len(pair.client.engine.sessions) == len(pair.server.engine.sessions) == 2
    assert theirs in pair.server.engine.sessions
    pair.close()


def test_attaches_of_one_link_that_cross_are_one_link() -> None:
    """A link's name and direction identify it: each attach answers the other (section 2.6.1)."""
    pair = Pair().open()
    session, theirs = pair.begin()
    sender = session.attach_sender(pair.now, "link", **TERMINI)
    receiver = theirs.attach_receiver(pair.now, "link", **TERMINI)
    receiver.set_credit(1)
    exchange(pair)
    assert kinds(pair.client)[0] is LinkOpened
    assert kinds(pair.server) == [LinkOpened]
    sender.send(b"x")
    pair.pump()
    assert pair.server.last(IncomingDelivery).link is receiver
    pair.close()


def test_the_same_name_in_both_directions_is_two_links() -> None:
    pair = Pair().open()
    session, _ = pair.begin()
    sender, _ = pair.link(session, "name")
    _, receiver = pair.link(session, "name", receive=True)
    assert sender.handle != receiver.handle
    assert len(tuple(session.links)) == 2
    with pytest.raises(LocalProtocolError, match="'name'"):
        session.attach_sender(pair.now, "name", **TERMINI)
    pair.close()


def test_settlements_that_cross() -> None:
    """The sender doesn't wait for the receiver, who settles at the same time: both are done, once."""
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(1)
    delivery = sender.send(b"x")
    pair.pump()
    arrived = pair.server.last(IncomingDelivery)
    pair.server.drop()
    pair.client.drop()
    delivery.settle()
    arrived.settle(ACCEPTED)
    exchange(pair)
    assert delivery.settled
    assert arrived.settled
    assert kinds(pair.client) == kinds(pair.server) == []
    pair.close()


def test_a_sender_that_settles_first() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(1)
    delivery = sender.send(b"x")
    pair.pump()
    pair.server.drop()
    arrived = pair.server.last(IncomingDelivery)
    delivery.settle(RELEASED)
    pair.pump()
    (event,) = pair.server.drop()
    assert type(event) is IncomingSettled
    assert event.delivery is arrived
    assert arrived.settled
    assert arrived.remote_state == RELEASED
    for command in (lambda: arrived.settle(ACCEPTED), delivery.settle):
        with pytest.raises(LocalProtocolError, match="settled"):
            command()
    pair.close()


def test_a_detach_that_crosses_deliveries_and_outcomes() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(10)
    known = sender.send(b"known")
    pair.pump()
    pair.server.last(IncomingDelivery).settle(ACCEPTED)
    receiver.detach(pair.now, ERROR)
    late = sender.send(b"late")
    pair.client.drop()
    pair.server.drop()
    exchange(pair)
    assert (known.settled, known.lost, known.remote_state) == (True, False, ACCEPTED)
    assert (late.settled, late.lost, late.sent) == (True, True, True)  # nobody knows what became of it
    assert kinds(pair.client) == [OutgoingDelivery, OutgoingDelivery, LinkDetached]
    pair.pump()
    assert kinds(pair.server) == [LinkDetached]
    pair.close()


def test_a_session_that_ends_while_deliveries_cross() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    back, mine = pair.link(sender.session, "back", receive=True)
    receiver.set_credit(10)
    mine.set_credit(10)
    pair.pump()
    sent = sender.send(b"out"), back.send(b"back")
    receiver.session.end(pair.now, ERROR)
    pair.client.drop()
    exchange(pair)
    assert all(one.settled and one.lost and one.sent for one in sent)
    pair.pump()
    cause = pair.client.last(SessionEnded).cause
    assert cause is not None
    assert cause.error == ERROR
    assert [type(event) for event in pair.client.drop()].count(LinkDetached) == 2
    pair.close()


def test_credit_lowered_while_deliveries_cross() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(5)
    pair.pump()
    for _ in range(8):
        sender.send(b"x")
    receiver.set_credit(2)
    exchange(pair)
    pair.pump()
    assert len(pair.server.all(IncomingDelivery)) == 5
    assert (receiver.credit, sender.credit, sender.queued) == (0, 0, 3)
    receiver.set_credit(3)
    pair.pump()
    assert sender.queued == 0
    pair.close()


def test_a_drain_that_crosses_deliveries() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(5)
    pair.pump()
    for _ in range(3):
        sender.send(b"x")
    pair.server.drop()
    receiver.set_credit(5, drain=True)
    exchange(pair)
    sender.drained()
    pair.pump()
    assert kinds(pair.server) == [IncomingDelivery] * 3 + [ReceiverDrained]
    answer = pair.client.sent("flow")[-1]  # with the receiver's own flag, as section 2.6.7 has it
    assert (answer["delivery_count"], answer["link_credit"], answer["drain"]) == (5, 0, True)
    assert receiver.credit == sender.credit == 0
    assert not sender.drain
    assert not receiver.drain
    receiver.set_credit(1)
    sender.send(b"x")
    pair.pump()
    assert kinds(pair.server) == [IncomingDelivery]
    pair.close()


def test_a_drain_that_is_taken_back() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(5, drain=True)
    pair.pump()
    assert sender.drain
    receiver.set_credit(5)
    pair.pump()
    assert not sender.drain
    sender.drained()  # nothing to answer any more
    pair.pump()
    assert sender.credit == receiver.credit == 5
    assert ReceiverDrained not in kinds(pair.server)
    pair.close()


def test_credit_given_back_and_given_anew_in_one_flow() -> None:
    """The answer to a drain and newer credit meet before the sender writes: what is left is counted from both."""
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(1, drain=True)
    pair.pump()
    sender.drained()
    receiver.set_credit(5, drain=True, echo=True)
    pair.write(pair.server)
    pair.read(pair.client)
    assert (sender.delivery_count, sender.credit) == (1, 4)
    pair.pump()
    assert (receiver.delivery_count, receiver.credit) == (1, 4)
    sender.drained()
    pair.pump()
    assert (receiver.delivery_count, receiver.credit) == (5, 0)
    assert kinds(pair.server) == [ReceiverDrained]
    pair.close()


def test_a_sender_whose_count_runs_ahead_gets_no_credit_by_it() -> None:
    """A delivery-count beyond what the credit allowed is not believed, however often it is told (section 2.6.7)."""
    pair = Pair({}, {"limits": Limits(overrun=0)})
    sender, receiver = pair.both()
    receiver.set_credit(1)
    pair.pump()
    for _ in range(4):
        sender.delivery_count = (sender.delivery_count + 2**31 - 1) % 2**32
        sender._ask_for_flow()
        pair.pump()
        assert receiver.delivery_count == 0
    sender._link_credit = 100
    for _ in range(50):
        sender.send(b"", settled=True)
    pair.pump()
    assert len(pair.server.all(IncomingDelivery)) == 1
    assert pair.server.sent("detach")[0]["error"]["condition"] == "amqp:link:transfer-limit-exceeded"


def test_echoes_are_answered_once() -> None:
    """A flow that asks for an answer gets one that doesn't: two engines don't play ball."""
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(3, echo=True)
    pair.pump()
    assert len(pair.client.sent("flow")) == 1
    assert len(pair.server.sent("flow")) == 1
    assert not pair.client.sent("flow")[0]["echo"]
    assert kinds(pair.client) == [CreditChanged]
    assert sender.credit == 3
    pair.close()


# -- ends in the middle


@pytest.mark.parametrize("what", ["detach", "end", "close", "abort", "break"])
def test_an_end_in_the_middle_of_a_message(what: str) -> None:
    """Half a message is none: the receiver never sees it, the sender learns that it didn't go out whole."""
    pair = Pair({}, {"max_frame_size": 512})
    pair.server.session_options = {"incoming_window": 2}
    sender, receiver = pair.both()
    receiver.set_credit(5)
    pair.pump()
    whole = sender.send(b"whole")
    half = sender.send(b"x" * 2000)
    pair.write(pair.client)
    pair.read(pair.server)
    assert not half.sent
    assert half.delivery_id is not None
    assert not half.withdraw()
    if what == "detach":
        sender.detach(pair.now)
    elif what == "end":
        sender.session.end(pair.now)
    elif what == "close":
        pair.client.engine.close(pair.now)
    elif what == "abort":
        half.abort()
    else:
        for side in pair.sides:
            side.engine.receive_data(b"", pair.now)
    pair.pump()
    assert [one.payload for one in pair.server.all(IncomingDelivery)] == [b"whole"]
    assert half.settled
    assert half.lost is (what != "abort")
    assert pair.client.all(OutgoingDelivery).count(half) == (what != "abort")
    assert whole.sent
    if what == "abort":
        sender.send(b"next")
        pair.pump()
        assert [one.payload for one in pair.server.all(IncomingDelivery)] == [b"whole", b"next"]
        assert receiver.credit == sender.credit == 2  # the one given up has used up its credit
        pair.close()
    pair.check()


@pytest.mark.parametrize("server_ends", [False, True])
@pytest.mark.parametrize("what", ["detach", "end", "close"])
def test_what_is_still_in_the_queue_is_reported_as_not_sent(what: str, server_ends: bool) -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(1)
    sent, *queued = [sender.send(b"%d" % number) for number in range(4)]
    pair.pump()
    pair.client.drop()
    link: Any = receiver if server_ends else sender
    if what == "detach":
        link.detach(pair.now)
    elif what == "end":
        link.session.end(pair.now)
    else:
        link.session.engine.close(pair.now)
    pair.pump()
    events = pair.client.drop()
    assert events[:4] == [sent, *queued]
    assert all(one.settled and one.lost for one in events[:4])
    assert (sent.sent, sent.remote_state) == (True, None)
    assert not any(one.sent for one in queued)
    assert not any(one.withdraw() for one in queued)
    pair.check()


def test_a_connection_that_breaks_ends_everything_in_order() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(1)
    delivery = sender.send(b"x")
    pair.pump()
    for side in pair.sides:
        side.drop()
        side.engine.receive_data(b"", pair.now)
    events = pair.client.drop()
    assert events[0] is delivery
    assert [type(event) for event in events[1:]] == [LinkDetached, SessionEnded, ConnectionClosed]
    assert len({event.cause for event in events[1:]}) == 1
    assert events[1].cause.kind is CauseKind.TRANSPORT
    arrived = pair.server.last(IncomingDelivery)
    with pytest.raises(LocalProtocolError):
        arrived.settle(ACCEPTED)
    assert (arrived.settled, arrived.state) == (False, None)


def test_every_command_on_what_is_over_is_misuse() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(2)
    delivery = sender.send(b"x")
    pair.pump()
    arrived = pair.server.last(IncomingDelivery)
    pair.close()
    client, server, now = pair.client.engine, pair.server.engine, pair.now
    commands: list[Any] = [
        lambda: client.open(now),
        lambda: server.open(now),
        lambda: client.begin(now),
        lambda: client.sasl_outcome(now, 0),
        lambda: sender.session.end(now),
        lambda: sender.session.accept(now),
        lambda: sender.session.refuse(now, ERROR),
        lambda: sender.session.attach_sender(now, "new", **TERMINI),
        lambda: sender.session.attach_receiver(now, "new", **TERMINI),
        lambda: sender.accept(now),
        lambda: sender.refuse(now, ERROR),
        lambda: sender.detach(now),
        lambda: sender.send(b"x"),
        lambda: receiver.set_credit(1),
        lambda: receiver.auto_credit(1),
        lambda: arrived.settle(ACCEPTED),
        delivery.settle,
        delivery.abort,
    ]
    for command in commands:
        with pytest.raises(LocalProtocolError):
            command()
    sender.drained()
    receiver.taken()
    client.close(now)
    assert not delivery.withdraw()
    for side in pair.sides:
        side.drop()
        assert side.engine.data_to_send() == []
        assert side.drop() == []


# -- refusing, and coming back


def test_a_refused_session() -> None:
    pair = Pair().open()
    pair.server.answers = False
    session = pair.client.engine.begin(pair.now)
    pair.pump()
    pair.server.last(SessionOpening).session.refuse(pair.now, ERROR)
    pair.pump()
    events = pair.client.drop()
    assert [type(event) for event in events] == [SessionOpened, SessionEnded]
    assert events[1].session is session
    assert events[1].cause.error == ERROR
    assert pair.client.engine.sessions == pair.server.engine.sessions == ()
    pair.close()


@pytest.mark.parametrize("receive", [False, True])
def test_a_refused_link(receive: bool) -> None:
    """The answer has no terminus of the refusing side, and a detach follows that says why (section 2.6.3)."""
    pair = Pair().open()
    session, _ = pair.begin()
    pair.server.answers = False
    attach = session.attach_receiver if receive else session.attach_sender
    link: Sender | Receiver = attach(pair.now, "link", **TERMINI)
    pair.pump()
    pair.server.last(LinkOpening).link.refuse(pair.now, ERROR)
    pair.pump()
    opened, detached = pair.client.drop()
    assert type(opened) is LinkOpened
    assert type(detached) is LinkDetached
    assert opened.link is detached.link is link
    assert (link.remote_source if receive else link.remote_target) is None
    assert detached.cause is not None
    assert (detached.cause.error, detached.closed) == (ERROR, True)
    assert session.links == ()
    pair.close()


def test_a_redirect_is_carried_whole() -> None:
    info = {Symbol("hostname"): "elsewhere", Symbol("network-host"): "10.0.0.1", Symbol("port"): 5671}
    redirect = Error(Symbol("amqp:link:redirect"), "go there", dict(info))
    pair = Pair()
    _, receiver = pair.both()
    receiver.detach(pair.now, redirect)
    pair.pump()
    cause = pair.client.last(LinkDetached).cause
    assert cause is not None
    assert cause.error is not None
    assert cause.condition == "amqp:link:redirect"
    assert cause.error.info == info
    moved = Error(Symbol("amqp:connection:redirect"), "go there", dict(info))
    pair.server.engine.close(pair.now, moved)
    pair.pump()
    closed = pair.ended(pair.client).cause
    assert closed is not None
    assert closed.error == moved


@pytest.mark.parametrize("closed", [True, False])
def test_a_link_that_comes_back(closed: bool) -> None:
    pair = Pair().open()
    session, _ = pair.begin()
    for number in range(5):
        sender, receiver = pair.link(session, "again")
        assert sender.handle == 0
        receiver.set_credit(2)
        sender.send(b"%d" % number)
        pair.pump()
        assert pair.server.last(IncomingDelivery).payload == b"%d" % number
        (sender if number % 2 else receiver).detach(pair.now, closed=closed)
        pair.pump()
        assert pair.client.last(LinkDetached).link is sender
        assert pair.server.last(LinkDetached).link is receiver
        assert not receiver.session.unsettled.incoming
        assert not sender.session.unsettled.outgoing
    pair.close()


def test_a_session_and_a_link_with_everything_sent_ahead() -> None:
    """begin, attach and detach, end leave before any answer is there; the answers are all expected."""
    pair = Pair().open()
    session = pair.client.engine.begin(pair.now)
    link = session.attach_sender(pair.now, "link", **TERMINI)
    link.detach(pair.now)
    session.end(pair.now)
    pair.pump()
    assert pair.client.engine.sessions == pair.server.engine.sessions == ()
    assert kinds(pair.client) == [LinkDetached, SessionEnded]
    assert not pair.client.engine.is_closed
    pair.close()


def test_a_rejection_says_why() -> None:
    pair = Pair()
    sender, receiver = pair.both()
    receiver.set_credit(1)
    delivery = sender.send(b"x")
    pair.pump()
    pair.server.last(IncomingDelivery).settle(Rejected(ERROR))
    pair.pump()
    assert delivery.remote_state == Rejected(ERROR)
    pair.close()
