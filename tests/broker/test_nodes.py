"""Queues and topics by themselves, with time that stands still."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.nodes import Eater
from uamqp.testing.nodes import Node, NodeLimits, Producer, Queue, StoredMessage, Topic


class Feeder(Producer):
    """A producer that counts how often it may go on."""

    def __init__(self) -> None:
        self.refills = 0

    def top_up(self) -> None:
        self.refills += 1


class Rig:
    """A queue, its dead letters, and whether it wants to be dispatched."""

    def __init__(self, *, topic: bool = False, dead_letters: bool = True, **limits: int | bool | None) -> None:
        self.marked: list[Node] = []
        self.dead: list[tuple[bytes, str, str]] = []
        self.limits = NodeLimits(**limits)  # type: ignore[arg-type]
        self.queue = Queue("q", self.limits, self.marked.append, self.bury if dead_letters else None)
        self.topic = Topic("topic://t", self.limits, self.marked.append, self.bury)

    def bury(self, message: StoredMessage, condition: str, description: str) -> bool:
        self.dead.append((message.payload, condition, description))
        return True

    def put(self, *bodies: bytes, expires: float | None = None) -> None:
        for body in bodies:
            self.queue.put(StoredMessage(body, expires=expires))

    def eater(self, credit: int = 0, browsing: bool = False) -> Eater:
        eater = Eater(len(self.queue.consumers) + len(self.queue.browsers) + 1, credit, browsing)
        self.queue.add_consumer(eater)
        return eater

    def waiting(self) -> list[bytes]:
        return [message.payload for message in self.queue.waiting()]


def test_messages_go_out_in_order_and_as_credit_allows() -> None:
    rig = Rig()
    eater = rig.eater(credit=2)
    rig.put(b"1", b"2", b"3")
    assert eater.bodies() == []  # not before the end of the turn
    rig.queue.dispatch(0)
    assert eater.bodies() == [b"1", b"2"]
    assert (rig.queue.depth, rig.queue.unsettled) == (1, 2)
    eater.credit = 5
    rig.queue.dispatch(0)
    assert eater.bodies() == [b"3"]


def test_a_queue_asks_for_one_dispatch_however_much_happens() -> None:
    rig = Rig()
    rig.put(b"1", b"2")
    rig.eater()
    assert rig.marked == [rig.queue]
    rig.queue.dispatch(0)
    rig.put(b"3")
    assert rig.marked == [rig.queue, rig.queue]


def test_consumers_take_turns() -> None:
    rig = Rig()
    first, second, third = rig.eater(10), rig.eater(10), rig.eater(1)
    rig.put(*(b"%d" % number for number in range(8)))
    rig.queue.dispatch(0)
    assert first.bodies() == [b"0", b"3", b"5", b"7"]
    assert second.bodies() == [b"1", b"4", b"6"]
    assert third.bodies() == [b"2"]


def test_turns_go_on_over_single_messages() -> None:
    rig = Rig()
    eaters = [rig.eater(10) for _ in range(3)]
    for number in range(6):
        rig.put(b"%d" % number)
        rig.queue.dispatch(0)
    assert [eater.bodies() for eater in eaters] == [[b"0", b"3"], [b"1", b"4"], [b"2", b"5"]]


def test_an_accepted_message_is_gone() -> None:
    rig = Rig()
    eater = rig.eater(1)
    rig.put(b"1")
    rig.queue.dispatch(0)
    message = eater.got[0]
    rig.queue.accept(message)
    rig.queue.accept(message)  # a second time it is no message any more
    assert (rig.queue.depth, rig.queue.unsettled, rig.queue.byte_count) == (0, 0, 0)
    assert rig.queue.counters.accepted == 1


def test_a_released_message_takes_its_old_place_and_counts_no_delivery() -> None:
    rig = Rig()
    eater = rig.eater(3)
    rig.put(b"1", b"2", b"3", b"4")
    rig.queue.dispatch(0)
    one, two, three = eater.got
    rig.queue.release(two, 0)
    rig.queue.release(one, 0)
    assert rig.waiting() == [b"1", b"2", b"4"]
    eater.credit = 9
    eater.got.clear()
    rig.queue.dispatch(0)
    assert eater.bodies() == [b"1", b"2", b"4"]
    assert one.delivery_count == 0
    rig.queue.release(three, 0, failed=True)
    assert three.delivery_count == 1


def test_a_modified_message_counts_its_failure() -> None:
    rig = Rig()
    eater = rig.eater(1)
    rig.put(b"1")
    rig.queue.dispatch(0)
    message = eater.got.pop()
    rig.queue.modify(message, 0, failed=True, not_to=None)
    eater.credit = 1
    rig.queue.dispatch(0)
    assert eater.got == [message]
    assert (message.delivery_count, rig.queue.counters.modified) == (1, 1)


def test_undeliverable_here_goes_to_others_only() -> None:
    rig = Rig()
    first, second = rig.eater(3), rig.eater()
    rig.put(b"1", b"2")
    rig.queue.dispatch(0)
    one, two = first.got
    rig.queue.modify(one, 0, failed=False, not_to=first)
    rig.queue.modify(two, 0, failed=False, not_to=first)
    rig.put(b"3")
    first.got.clear()
    first.credit = 5
    rig.queue.dispatch(0)
    assert first.bodies() == [b"3"]
    assert rig.waiting() == [b"1", b"2"]
    second.credit = 1
    rig.queue.dispatch(0)
    assert second.bodies() == [b"1"]
    rig.queue.modify(one, 0, failed=False, not_to=second)  # now nobody may have it
    second.credit = 5
    rig.queue.dispatch(0)
    assert second.bodies() == [b"2"]
    assert rig.waiting() == [b"1"]
    third = rig.eater(5)
    rig.queue.dispatch(0)
    assert third.bodies() == [b"1"]


def test_who_is_gone_is_excluded_no_more() -> None:
    rig = Rig()
    first, second = rig.eater(5), rig.eater()
    rig.put(b"1", b"2")
    rig.queue.dispatch(0)
    one, two = first.got
    rig.queue.modify(one, 0, failed=False, not_to=first)
    rig.queue.remove_consumer(first)
    rig.queue.modify(two, 0, failed=False, not_to=first)  # its answer came with its end
    assert one.excluded == two.excluded == frozenset()
    second.credit = 5
    rig.queue.dispatch(0)
    assert second.bodies() == [b"1", b"2"]


def test_a_rejected_message_becomes_a_dead_letter() -> None:
    rig = Rig()
    eater = rig.eater(1)
    rig.put(b"1")
    rig.queue.dispatch(0)
    rig.queue.reject(eater.got[0], "amqp:decode-error", "no good")
    assert rig.dead == [(b"1", "amqp:decode-error", "no good")]
    assert (rig.queue.depth, rig.queue.unsettled) == (0, 0)
    counters = rig.queue.counters
    assert (counters.rejected, counters.dead_lettered, counters.dropped) == (1, 1, 0)


def test_without_a_place_for_dead_letters_they_are_dropped() -> None:
    rig = Rig(dead_letters=False)
    eater = rig.eater(1)
    rig.put(b"1")
    rig.queue.dispatch(0)
    rig.queue.reject(eater.got[0], "x", "")
    assert (rig.queue.counters.dead_lettered, rig.queue.counters.dropped) == (0, 1)


def test_too_many_failed_deliveries_make_a_dead_letter() -> None:
    rig = Rig(max_deliveries=3)
    eater = rig.eater(1)
    rig.put(b"1")
    for attempt in range(3):
        rig.queue.dispatch(0)
        assert len(eater.got) == attempt + 1
        rig.queue.release(eater.got[-1], 0)  # that counts for nothing
        eater.credit = 1
        rig.queue.dispatch(0)
        eater.got.pop()
        rig.queue.modify(eater.got[-1], 0, failed=True, not_to=None)
        eater.credit = 1
    assert [(body, condition) for body, condition, _ in rig.dead] == [(b"1", "uamqp:max-deliveries-exceeded")]
    assert rig.queue.depth == 0


def test_messages_expire_while_they_wait() -> None:
    rig = Rig()
    rig.put(b"keep")
    rig.put(b"late", expires=20.0)
    rig.put(b"soon", expires=10.0)
    assert rig.queue.next_expiry() == 10.0
    rig.queue.dispatch(9.9)
    assert rig.waiting() == [b"keep", b"late", b"soon"]
    rig.queue.dispatch(10.0)
    assert rig.waiting() == [b"keep", b"late"]
    assert rig.dead == [(b"soon", "uamqp:expired", "its time to live has ended")]
    assert rig.queue.next_expiry() == 20.0
    eater = rig.eater(5)
    rig.queue.dispatch(30.0)
    assert eater.bodies() == [b"keep"]
    assert rig.queue.next_expiry() is None


def test_expired_messages_are_dropped_if_so_set() -> None:
    rig = Rig(dead_letter_expired=False)
    rig.put(b"1", expires=1.0)
    rig.queue.dispatch(2.0)
    assert rig.dead == []
    assert rig.queue.counters.expired == 1


def test_what_a_consumer_has_expires_when_it_comes_back() -> None:
    rig = Rig()
    eater = rig.eater(2)
    rig.put(b"1", b"2", expires=10.0)
    rig.queue.dispatch(0.0)
    rig.queue.dispatch(11.0)
    assert rig.dead == []
    rig.queue.accept(eater.got[0])
    rig.queue.release(eater.got[1], 11.0)
    assert [body for body, _, _ in rig.dead] == [b"2"]


def test_what_comes_back_in_time_still_expires() -> None:
    rig = Rig()
    eater = rig.eater(1)
    rig.put(b"1", expires=10.0)
    rig.queue.dispatch(0.0)
    rig.queue.release(eater.got[0], 5.0)
    rig.queue.dispatch(10.0)
    assert rig.queue.counters.expired == 1
    assert (rig.queue.depth, rig.queue.byte_count) == (0, 0)


def test_expired_messages_leave_nothing_behind() -> None:
    rig = Rig(dead_letter_expired=False)
    for number in range(10_000):
        rig.put(b"x", expires=number + 0.5)
        rig.queue.dispatch(number + 1.0)
    assert len(rig.queue._fresh) < 200
    assert len(rig.queue._expiring) < 200


def test_released_messages_that_expire_leave_nothing_behind() -> None:
    rig = Rig(dead_letter_expired=False)
    eater, other = rig.eater(500), rig.eater()
    for number in range(300):
        rig.put(b"%d" % number, expires=number + 0.5)
    rig.put(*[b"kept"] * 3)
    rig.queue.dispatch(0.0)
    eater.credit = 0
    for number, message in enumerate(eater.got):
        rig.queue.modify(message, 0.0, failed=False, not_to=eater if number % 2 else None)
    rig.queue.dispatch(290.0)
    assert sum(len(heap) for heap in rig.queue._returned.values()) < 100
    rig.queue.dispatch(300.0)
    other.credit = 9
    rig.queue.dispatch(300.0)
    assert other.bodies() == [b"kept"] * 3


def test_the_watch_on_accepted_messages_is_bounded() -> None:
    rig = Rig()
    eater = rig.eater()
    for _ in range(10_000):
        rig.put(b"x", expires=1e9)
        eater.credit = 1
        rig.queue.dispatch(0)
        rig.queue.accept(eater.got.pop())
    assert len(rig.queue._expiring) < 200


def test_a_browser_sees_all_and_takes_nothing() -> None:
    rig = Rig()
    eater = rig.eater(1)
    rig.put(b"1", b"2")
    rig.queue.dispatch(0)
    browser = rig.eater(2, browsing=True)
    rig.queue.dispatch(0)
    assert browser.bodies() == [b"1", b"2"]  # what another has, too
    rig.put(b"3")
    rig.queue.dispatch(0)
    assert browser.bodies() == []
    browser.credit = 9
    rig.queue.dispatch(0)
    assert browser.bodies() == [b"3"]
    assert rig.queue.depth == 2
    assert eater.bodies() == [b"1"]


def test_a_browser_misses_what_went_before_it_had_credit() -> None:
    rig = Rig()
    browser = rig.eater(browsing=True)
    eater = rig.eater()
    for number in range(10_000):
        rig.put(b"%d" % number)
        eater.credit = 1
        rig.queue.dispatch(0)
        rig.queue.accept(eater.got.pop())
    assert len(browser.pending) < 200  # nor does it hold on to them
    rig.put(b"last")
    browser.credit = 9
    rig.queue.dispatch(0)
    assert browser.bodies() == [b"last"]
    rig.queue.remove_consumer(browser)
    assert rig.queue.browsers == []


def test_room_is_what_is_free_by_count() -> None:
    rig = Rig(max_messages=4)
    assert rig.queue.room() == 4
    eater = rig.eater(1)
    rig.put(b"1", b"2", b"3")
    rig.queue.dispatch(0)
    assert rig.queue.room() == 1  # what is unsettled takes room as well
    rig.put(b"4", b"5")
    assert rig.queue.room() == 0
    rig.queue.accept(eater.got[0])
    assert rig.queue.room() == 0
    rig.queue.purge()
    assert rig.queue.room() == 4


def test_room_is_what_is_free_by_size() -> None:
    rig = Rig(max_bytes=100)
    rig.put(b"x" * 30)
    assert rig.queue.room() == 2
    rig.put(b"x" * 30, b"x" * 30)
    assert rig.queue.room() == 1  # for one more, small or large
    rig.put(b"x" * 30)
    assert rig.queue.room() == 0


def test_senders_go_on_when_there_is_room_again() -> None:
    rig = Rig(max_messages=8)
    feeder = Feeder()
    rig.queue.add_producer(feeder)
    eater = rig.eater(8)
    rig.put(*[b"x"] * 8)
    rig.queue.starve(feeder)
    rig.queue.dispatch(0)
    assert feeder.refills == 0
    rig.queue.accept(eater.got.pop())
    rig.queue.dispatch(0)
    assert feeder.refills == 0  # not for a single place
    rig.queue.accept(eater.got.pop())
    rig.queue.dispatch(0)
    assert feeder.refills == 1
    rig.queue.remove_producer(feeder)
    assert rig.queue.producers == set()


def test_the_oldest_can_make_room() -> None:
    rig = Rig()
    assert not rig.queue.drop_oldest()
    rig.put(b"1", b"2")
    assert rig.queue.drop_oldest()
    assert rig.waiting() == [b"2"]
    eater = rig.eater(1)
    rig.queue.dispatch(0)
    assert eater.bodies() == [b"2"]


def test_annotations_change_what_is_held() -> None:
    rig = Rig()
    rig.put(b"12345")
    (message,) = rig.queue.waiting()
    rig.queue.replace_payload(message, b"123")
    assert (rig.queue.byte_count, rig.waiting()) == (3, [b"123"])


class TestTopic:
    def test_each_subscriber_gets_a_copy(self) -> None:
        rig = Rig()
        first, second = Eater(1, 5), Eater(2, 1)
        queues = [rig.topic.subscribe(first), rig.topic.subscribe(second)]
        rig.topic.put(StoredMessage(b"1"))
        rig.topic.put(StoredMessage(b"2"))
        for queue in queues:
            queue.dispatch(0)
        assert first.bodies() == [b"1", b"2"]
        assert second.bodies() == [b"1"]
        assert rig.topic.totals().received == 2
        assert rig.topic.totals().sent == 3

    def test_without_a_subscriber_it_is_dropped(self) -> None:
        rig = Rig()
        rig.topic.put(StoredMessage(b"1"))
        assert rig.topic.counters.dropped == 1

    def test_who_leaves_takes_his_copies_along(self) -> None:
        rig = Rig()
        eater = Eater(1)
        queue = rig.topic.subscribe(eater)
        rig.topic.put(StoredMessage(b"1"))
        queue.remove_consumer(eater)
        rig.topic.unsubscribe(queue)
        assert rig.topic.subscriptions == []
        assert rig.topic.totals().dropped == 1

    def test_the_slowest_subscriber_holds_the_senders(self) -> None:
        rig = Rig(max_messages=2)
        feeder = Feeder()
        rig.topic.add_producer(feeder)
        assert rig.topic.room() == 2
        slow, fast = Eater(1), Eater(2, 9)
        queues = [rig.topic.subscribe(slow), rig.topic.subscribe(fast)]
        rig.topic.put(StoredMessage(b"1"))
        rig.topic.put(StoredMessage(b"2"))
        rig.topic.starve(feeder)
        for queue in queues:
            queue.dispatch(0)
        assert rig.topic.room() == 0
        slow.credit = 1
        queues[0].dispatch(0)
        for message in fast.got:
            queues[1].accept(message)
        queues[1].dispatch(0)
        assert feeder.refills == 0
        queues[0].accept(slow.got[0])
        queues[0].dispatch(0)
        assert feeder.refills == 1

    def test_what_the_only_subscriber_cannot_take_is_a_dead_letter(self) -> None:
        rig = Rig()
        eater = Eater(1, 5)
        queue = rig.topic.subscribe(eater)
        rig.topic.put(StoredMessage(b"1"))
        queue.dispatch(0)
        queue.modify(eater.got[0], 0, failed=False, not_to=eater)
        assert [body for body, _, _ in rig.dead] == [b"1"]


def test_a_node_that_is_nothing_yet() -> None:
    node = Node("n", NodeLimits(), lambda _: None)
    for call in (node.room, node.has_room, node.attachments):
        with pytest.raises(NotImplementedError):
            call()
    assert node.next_expiry() is None


class QueueMachine(RuleBasedStateMachine):
    """Whatever happens, each message is in one place, and each consumer gets messages in order."""

    @initialize()
    def start(self) -> None:
        self.rig = Rig(max_deliveries=4)
        self.now = 0.0
        self.eaters = [self.rig.eater() for _ in range(3)]
        self.held: list[tuple[Eater, StoredMessage]] = []
        self.put_in = 0
        self.done = 0

    def _dispatch(self) -> None:
        self.rig.queue.dispatch(self.now)
        for eater in self.eaters:
            sequences = [message.sequence for message in eater.got]
            assert sequences == sorted(sequences)
            assert not any(eater.number in message.excluded for message in eater.got)
            self.held += [(eater, message) for message in eater.got]
            eater.got.clear()

    def _one(self, index: int) -> tuple[Eater, StoredMessage] | None:
        return self.held.pop(index % len(self.held)) if self.held else None

    @rule(ttl=st.one_of(st.none(), st.integers(1, 5)))
    def put(self, ttl: int | None) -> None:
        self.put_in += 1
        self.rig.put(b"%d" % self.put_in, expires=None if ttl is None else self.now + ttl)

    @rule(which=st.integers(0, 2), credit=st.integers(1, 4))
    def give_credit(self, which: int, credit: int) -> None:
        self.eaters[which].credit = credit
        self._dispatch()

    @rule(index=st.integers(0, 50))
    def accept(self, index: int) -> None:
        if one := self._one(index):
            self.rig.queue.accept(one[1])

    @rule(index=st.integers(0, 50), failed=st.booleans())
    def release(self, index: int, failed: bool) -> None:
        if one := self._one(index):
            self.rig.queue.release(one[1], self.now, failed)

    @rule(index=st.integers(0, 50), failed=st.booleans(), here=st.booleans())
    def modify(self, index: int, failed: bool, here: bool) -> None:
        if one := self._one(index):
            self.rig.queue.modify(one[1], self.now, failed, one[0] if here else None)

    @rule(index=st.integers(0, 50))
    def reject(self, index: int) -> None:
        if one := self._one(index):
            self.rig.queue.reject(one[1], "x", "y")

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self._dispatch()

    @rule(which=st.integers(0, 2))
    def replace_consumer(self, which: int) -> None:
        gone = self.eaters[which]
        self.rig.queue.remove_consumer(gone)
        for one in [one for one in self.held if one[0] is gone]:
            self.held.remove(one)
            self.rig.queue.release(one[1], self.now, failed=True)
        self.eaters[which] = Eater(gone.number + 10)
        self.rig.queue.add_consumer(self.eaters[which])

    @invariant()
    def each_message_is_in_one_place(self) -> None:
        queue = self.rig.queue
        waiting = queue.waiting()
        assert queue.unsettled == len(self.held)
        assert queue.depth == len(waiting)
        counters = queue.counters
        gone = counters.accepted + counters.dead_lettered + counters.dropped
        assert self.put_in == len(waiting) + len(self.held) + gone
        everything = [*waiting, *(message for _, message in self.held)]
        assert len({message.sequence for message in everything}) == len(everything)
        assert queue.byte_count == sum(len(message.payload) for message in everything)


TestQueueMachine = QueueMachine.TestCase
