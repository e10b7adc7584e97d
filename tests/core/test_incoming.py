"""What arrives: held, handed out, accepted, given back, and the credit for it; against a scripted peer, no I/O."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import pytest

from tests.peer.frames import data_message
from tests.peer.script import RECEIVER
from tests.support.core import Client
from uamqp.codec import ACCEPTED, RELEASED, Source, Target
from uamqp.core import Custody, Inbox, Incoming, LinkSettings, LinkState, ReceiverCore, is_settled_by_sender, settle
from uamqp.engine import IncomingDelivery, LocalProtocolError

UNSETTLED, SETTLED, MIXED = 0, 1, 2
NO_MESSAGE = b"\x00\x53\x99"


class Receiving:
    """A link that is open, with an inbox, and the peer that sends over it."""

    def __init__(self, incoming: Incoming | None = None, *, window: int = 10, **settings: Any) -> None:
        self.client = Client()
        self.peer = self.client.peer
        self.inbox = Inbox()
        self.incoming = Incoming(self.inbox) if incoming is None else incoming
        self.core = self.link("r", window=window, **settings)
        self.peer.accept_open()
        self.peer.accept_begin()
        self.attach = self.peer.accept_attach(RECEIVER)

    def link(self, name: str, *, window: int = 10, snd_settle_mode: int = MIXED, **settings: Any) -> ReceiverCore:
        session, owner = self.client.session, self.client.owner
        terms = LinkSettings(name, Source("q"), Target("me"), snd_settle_mode)
        core = ReceiverCore(session, terms, owner, credit_window=window, **settings)
        self.incoming.serve(core)
        core.open(self.client.now)
        return core

    def granted(self, credit: int, **fields: Any) -> Receiving:
        """The next that comes is a flow with this credit."""
        self.peer.expect("flow", link_credit=credit, **fields)
        return self

    def send(self, *bodies: bytes, **fields: Any) -> None:
        for body in bodies:
            self.peer.send_delivery(data_message(body), **fields)

    def detach(self) -> None:
        self.peer.send("detach", handle=0, closed=True)
        self.peer.expect("detach")

    @property
    def buffered(self) -> int:
        return self.core.receiver.buffered


def bodies(items: list[Any]) -> list[bytes]:
    return [item.payload[5:] for item in items]


# -- the inbox


def test_what_arrives_waits_until_somebody_takes_it() -> None:
    link = Receiving().granted(10)
    link.send(b"a", b"b", b"c")
    assert len(link.inbox) == 3
    assert bodies(link.inbox.hand_out(2, False, [])) == [b"a", b"b"]
    assert bodies(link.inbox.hand_out(2, False, [])) == [b"c"]
    assert link.inbox.hand_out(2, False, []) == []
    link.peer.expect_nothing()


def test_what_is_handed_out_is_accepted_in_one_go() -> None:
    link = Receiving().granted(10)
    link.send(b"a", b"b", b"c")
    batch = link.inbox.hand_out(3, True, [])
    link.peer.expect("disposition", first=0, last=2, settled=True, state="accepted")
    assert all(delivery.settled and delivery.state is ACCEPTED for delivery in batch)


def test_what_was_settled_otherwise_is_not_accepted() -> None:
    link = Receiving().granted(10)
    link.send(b"a")
    link.send(b"b", settled=True)
    link.send(b"c")
    deliveries = link.inbox.take_all()
    link.inbox.put_back(*deliveries)
    deliveries[0].settle(RELEASED)
    link.peer.expect("disposition", first=0, last=0, state="released")
    assert link.inbox.hand_out(9, True, []) == deliveries
    link.peer.expect("disposition", first=2, last=2, state="accepted")


def test_the_batch_is_the_callers_list() -> None:
    """So that it has what was taken out, should an exception come in between."""
    link = Receiving().granted(10)
    link.send(b"a")
    batch: list[Any] = []
    assert link.inbox.hand_out(1, True, batch) is batch
    assert bodies(batch) == [b"a"]


def test_what_came_over_a_link_that_has_gone_is_left_out() -> None:
    """The sender delivers it again; what it has settled, it doesn't."""
    link = Receiving().granted(10)
    link.send(b"a", b"b")
    link.send(b"c", settled=True)
    link.detach()
    assert bodies(link.inbox.hand_out(9, True, [])) == [b"c"]


def test_without_accepting_nothing_is_left_out_and_nothing_said() -> None:
    link = Receiving().granted(10)
    link.send(b"a")
    assert bodies(link.inbox.hand_out(9, False, [])) == [b"a"]
    link.peer.expect_nothing()


def test_what_stays_when_the_link_has_gone() -> None:
    link = Receiving().granted(10)
    link.send(b"a")
    link.send(b"b", settled=True)
    link.send(b"c")
    link.send(b"d", settled=True)
    link.detach()
    assert bodies(link.inbox.drop_stale()) == [b"b", b"d"]
    assert bodies(link.inbox.take_all()) == [b"b", b"d"]


def test_what_nobody_took_is_released() -> None:
    link = Receiving().granted(10)
    link.send(b"a", b"b")
    link.send(b"c", settled=True)
    link.send(b"d")
    assert bodies(link.inbox.release_all()) == [b"c"]
    link.peer.expect("disposition", first=0, last=1, settled=True, state="released")
    link.peer.expect("disposition", first=3, settled=True, state="released")
    assert bodies(link.inbox.take_all()) == [b"c"]


def test_what_cannot_be_released_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    link = Receiving().granted(10)
    link.send(b"a")
    link.detach()
    with caplog.at_level(logging.INFO, "uamqp.core.incoming"):
        assert link.inbox.release_all() == []
    assert "Message 0 of link 'r' isn't released" in caplog.text


def test_moving() -> None:
    inbox = Inbox()
    for letter in "abc":
        inbox.put(letter)
    inbox.put_back("y", "z")
    assert inbox.take_all() == ["y", "z", "a", "b", "c"]
    assert len(inbox) == 0
    inbox.put("c")
    queue = deque("ab")
    inbox.move_back(queue)
    assert not queue
    taken: list[Any] = []
    assert inbox.move_one(taken)
    assert taken == ["a"]
    inbox.take_over(taken)
    assert taken == []
    inbox.move_to(queue)
    assert list(queue) == ["b", "c", "a"]
    assert not inbox.move_one(taken)
    assert taken == []


# -- credit


def test_credit_is_given_when_the_link_opens() -> None:
    link = Receiving(window=7).granted(7, delivery_count=0)
    link.peer.expect_nothing()
    assert link.core.state is LinkState.OPEN


def test_without_a_window_there_is_no_credit() -> None:
    link = Receiving(window=0)
    link.peer.expect_nothing()
    link.core.receiver.set_credit(1)
    link.granted(1)


def test_no_credit_for_a_link_that_is_closed_as_it_opens() -> None:
    client = Client()
    core = ReceiverCore(client.session, LinkSettings("r", Source("q"), Target("me")), client.owner, credit_window=5)
    core.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()

    def close(previous: LinkState, state: LinkState) -> None:
        if state is LinkState.OPEN:
            core.close(client.now)

    client.owner.on_link_state = close  # type: ignore[method-assign]
    client.peer.accept_attach(RECEIVER)
    client.peer.accept_detach()


def test_what_is_held_holds_the_sender_back() -> None:
    link = Receiving(window=4).granted(4)
    link.send(b"a", b"b", b"c", b"d")
    link.peer.expect_nothing()
    assert link.buffered == 4
    link.inbox.hand_out(3, False, [])
    link.granted(3, delivery_count=4)
    assert link.buffered == 1


def test_what_is_handed_out_in_vain_is_held_again() -> None:
    link = Receiving().granted(10)
    link.send(b"a", b"b", b"c")
    batch = link.inbox.hand_out(2, False, [])
    assert link.buffered == 1
    link.inbox.take_back(batch)
    assert link.buffered == 3
    assert bodies(link.inbox.hand_out(9, False, [])) == [b"a", b"b", b"c"]
    assert link.buffered == 0


def test_what_leaves_by_itself_is_counted_once() -> None:
    link = Receiving().granted(10)
    link.send(b"a", b"b")
    first: list[Any] = []
    link.inbox.move_one(first)
    link.inbox.leave(first[0])
    link.inbox.leave(first[0])
    assert link.buffered == 1
    assert first[0].context is Custody.LEFT
    link.inbox.put_back(*first)
    link.inbox.hand_out(1, False, [])
    assert link.buffered == 1


def test_nobody_reads() -> None:
    """Credit is given when the link opens, and then only for deliveries that leave because somebody has taken them."""
    link = Receiving(window=2, reading=False).granted(2)
    link.send(b"a", b"b")
    link.inbox.hand_out(1, False, [])
    link.peer.expect_nothing()
    last: list[Any] = []
    link.inbox.move_one(last)
    link.inbox.leave(last[0])
    link.granted(2, delivery_count=2)


def test_reading_and_pausing() -> None:
    link = Receiving(window=2, reading=False).granted(2)
    link.send(b"a", b"b")
    link.inbox.hand_out(2, False, [])
    link.peer.expect_nothing()
    link.core.read()
    link.granted(2, delivery_count=2)
    link.core.pause()
    link.send(b"c", b"d")
    link.inbox.hand_out(2, False, [])
    link.peer.expect_nothing()
    link.core.renew()
    link.granted(2, delivery_count=4)
    assert not link.core.reading


def test_somebody_reads_before_the_link_is_open() -> None:
    client = Client()
    terms = LinkSettings("r", Source("q"), Target("me"))
    core = ReceiverCore(client.session, terms, client.owner, credit_window=2, reading=False)
    incoming = Incoming(Inbox())
    incoming.serve(core)
    core.renew()
    core.pause()
    core.read()
    core.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(RECEIVER)
    client.peer.expect("flow", link_credit=2)
    client.peer.send_delivery(data_message(b"a"), settled=True)
    assert incoming.inbox is not None
    incoming.inbox.hand_out(1, False, [])
    client.peer.expect("flow", link_credit=2, delivery_count=1)


def test_deliveries_of_several_links_are_counted_for_their_own() -> None:
    link = Receiving().granted(10)
    other = link.link("s")
    link.peer.accept_attach(RECEIVER, {"name": "s"})
    link.granted(10, handle=1)
    link.send(b"a")
    link.send(b"b", b"c", handle=1)
    link.send(b"d")
    assert (link.buffered, other.receiver.buffered) == (2, 2)
    link.inbox.hand_out(2, True, [])
    assert (link.buffered, other.receiver.buffered) == (1, 1)
    link.inbox.hand_out(2, True, [])
    assert (link.buffered, other.receiver.buffered) == (0, 0)


# -- what a front makes of deliveries


class Note:
    """A message of a front's own."""

    def __init__(self, delivery: IncomingDelivery | None) -> None:
        self.delivery = delivery
        self.said = "nothing"


class Notes(Inbox):
    def delivery_of(self, item: Any) -> IncomingDelivery | None:
        note: Note = item
        return note.delivery

    def is_settled(self, item: Any) -> bool:
        note: Note = item
        return note.said != "nothing"

    def accept(self, item: Any) -> bool:
        if item.delivery is not None and not Inbox.accept(self, item):
            return False
        item.said = "accepted"
        return True

    def release(self, item: Any) -> bool:
        item.said = "released"
        return Inbox.release(self, item)


class Taking(Incoming):
    """Gives what it makes to a function; keeps nothing by itself."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.starts: list[int] = []

    def take_in(self, delivery: IncomingDelivery, data_start: int) -> None:
        self.starts.append(data_start)
        self.function(Note(delivery))


def test_the_items_are_the_fronts() -> None:
    notes = Notes()
    link = Receiving(Taking(notes.take_in)).granted(10)
    link.send(b"a", b"b", b"c")
    assert link.buffered == 3
    own = Note(None)
    notes.put(own)
    first = notes.hand_out(1, False, [])[0]
    assert first.delivery.payload == data_message(b"a")
    batch = notes.hand_out(1, True, [])
    link.peer.expect("disposition", first=1, state="accepted")
    assert [note.said for note in batch] == ["accepted"]
    assert notes.hand_out(9, True, [])[-1] is own
    link.peer.expect("disposition", first=2, state="accepted")
    assert link.buffered == 0
    notes.take_back([own])
    notes.leave(own)
    link.send(b"d")
    assert notes.release_all() == [own]
    link.peer.expect("disposition", first=3, state="released")


def test_what_nobody_holds_has_left_when_it_was_taken_in() -> None:
    seen: list[int] = []
    link = Receiving(Taking(lambda note: seen.append(note.delivery.link.buffered)), window=2).granted(2)
    link.send(b"a")
    assert seen == [1]  # until then it counts
    assert link.buffered == 0
    link.granted(2, delivery_count=1)


def test_whoever_holds_what_has_left_says_so() -> None:
    notes = Notes()
    seen: list[Note] = []
    link = Receiving(Taking(seen.append)).granted(10)
    link.send(b"a")
    assert link.buffered == 0
    notes.take_in(seen[0])
    notes.hold(seen[0])
    assert link.buffered == 1
    notes.hand_out(1, False, [])
    assert link.buffered == 0


def test_a_front_may_count_it_out_itself() -> None:
    notes = Notes()
    link = Receiving(Taking(notes.leave)).granted(10)
    link.send(b"a", b"b")
    assert link.buffered == 0


def test_incoming_without_an_inbox_has_to_be_told_where_things_go() -> None:
    link = Receiving(Incoming()).granted(10)
    with pytest.raises(NotImplementedError):
        link.send(b"a")


def test_where_the_data_stands() -> None:
    """What was found while the message was looked at is handed on; 0: the body isn't one data section."""
    taking = Taking(lambda note: None)
    link = Receiving(taking).granted(10)
    link.send(b"a")
    link.peer.send_delivery(data_message(b"a") + data_message(b"b"))
    assert taking.starts == [3, 0]


# -- what is no message, and at most once


def test_what_is_no_message_is_rejected_and_the_link_lives_on(caplog: pytest.LogCaptureFixture) -> None:
    link = Receiving(window=2).granted(2)
    with caplog.at_level(logging.ERROR, "uamqp.core.incoming"):
        link.peer.send_delivery(NO_MESSAGE)
    state = {"error": {"condition": "amqp:decode-error", "description": lambda text: 0 < len(text) <= 200}}
    rejected = link.peer.expect("disposition", first=0, settled=True)
    assert rejected["state"].name == "rejected"
    assert rejected["state"].fields["error"].fields["condition"] == state["error"]["condition"]
    assert "Message 0 of link 'r' can't be decoded and is rejected: " in caplog.text
    link.granted(2, delivery_count=1)
    link.send(b"a")
    assert bodies(link.inbox.take_all()) == [b"a"]


def test_what_is_no_message_and_came_settled_is_dropped() -> None:
    link = Receiving().granted(10)
    link.peer.send_delivery(NO_MESSAGE, settled=True)
    link.peer.expect_nothing()
    assert len(link.inbox) == 0
    assert link.buffered == 0


def together(link: Receiving, *payloads: bytes) -> None:
    """Messages and the end of the link in one read."""
    collected = bytearray()
    receive, link.peer.memory.push = link.peer.memory.push, collected.extend
    for payload in payloads:
        link.peer.send_delivery(payload)
    link.peer.send("detach", handle=0, closed=True)
    link.peer.memory.push = receive
    link.client.receive(bytes(collected))


def test_what_is_no_message_and_comes_with_the_end_of_the_link(caplog: pytest.LogCaptureFixture) -> None:
    link = Receiving().granted(10)
    with caplog.at_level(logging.INFO, "uamqp.core.incoming"):
        together(link, NO_MESSAGE)
    link.peer.expect("detach")
    assert "Message 0 of link 'r' isn't settled: " in caplog.text


def test_at_most_once_asks_the_sender_to_send_settled() -> None:
    assert Receiving(at_most_once=True, snd_settle_mode=UNSETTLED).attach["snd_settle_mode"] == SETTLED
    assert Receiving(snd_settle_mode=UNSETTLED).attach["snd_settle_mode"] == UNSETTLED


def test_at_most_once_accepts_what_comes_unsettled_all_the_same() -> None:
    link = Receiving(at_most_once=True).granted(10)
    link.send(b"a")
    link.peer.expect("disposition", first=0, settled=True, state="accepted")
    link.send(b"b", settled=True)
    link.peer.expect_nothing()
    assert bodies(link.inbox.drop_stale()) == [b"a", b"b"]


def test_at_most_once_and_the_link_has_gone_in_the_same_read() -> None:
    """It can't be accepted, so the sender delivers it again: nobody may see it twice."""
    link = Receiving(at_most_once=True).granted(10)
    together(link, data_message(b"a"))
    assert len(link.inbox) == 0
    again = Receiving().granted(10)
    together(again, data_message(b"a"))
    assert len(again.inbox) == 1


def test_each_says_it_where_it_is_told_to(caplog: pytest.LogCaptureFixture) -> None:
    own = logging.getLogger("a.front")
    link = Receiving(Incoming(Inbox(own), own)).granted(10)
    link.peer.send_delivery(NO_MESSAGE)
    assert [record.name for record in caplog.records] == ["a.front"]


def test_settling() -> None:
    link = Receiving().granted(10)
    link.send(b"a", settled=True)
    link.send(b"b")
    first, second = link.inbox.take_all()
    assert is_settled_by_sender(first)
    assert not is_settled_by_sender(second)
    settle(first, RELEASED)  # nothing is left to say
    link.peer.expect_nothing()
    settle(second, RELEASED)
    link.peer.expect("disposition", first=1, state="released")
    assert not is_settled_by_sender(second)
    with pytest.raises(LocalProtocolError, match="can't be settled"):
        settle(second, ACCEPTED)


def test_an_outcome_that_the_sender_has_still_to_confirm_counts() -> None:
    """With rcv-settle-mode second: nothing is accepted or released that was decided otherwise."""
    client = Client()
    core = ReceiverCore(
        client.session,
        LinkSettings("r", Source("q"), Target("me"), rcv_settle_mode=1),
        client.owner,
        credit_window=10,
    )
    inbox = Inbox()
    Incoming(inbox).serve(core)
    core.open(client.now)
    client.peer.accept_open()
    client.peer.accept_begin()
    client.peer.accept_attach(RECEIVER)
    client.peer.expect("flow")
    client.peer.send_delivery(data_message(b"a"))
    (delivery,) = inbox.take_all()
    delivery.settle(RELEASED)
    client.peer.expect("disposition", settled=False, state="released")
    inbox.put_back(delivery)
    assert inbox.release_all() == [delivery]
    assert inbox.hand_out(1, True, []) == [delivery]
    client.peer.expect_nothing()
