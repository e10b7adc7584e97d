"""`Outgoing`: time-outs, the stall clock, what is taken back; against a scripted peer, without I/O."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.peer import codec
from tests.support.front import (
    ERROR,
    RETURNED,
    TAKEN,
    TIMED_OUT,
    Front,
    Line,
    Policy,
)
from tests.support.lines import growth
from uamqp.core import Entry, Group, Outgoing

# -- time


def test_messages_time_out_wherever_they_are() -> None:
    line = Line(credit=1)
    line.add(b"on its way", b"waits", timeout=5.0)
    line.add(b"other")
    line.sent()
    assert line.front.next_deadline() == 5.0
    assert line.expire(4.9) == {}
    assert line.expire(5.0) == {b"on its way": TIMED_OUT, b"waits": TIMED_OUT}
    arrived = {item: outcome.may_have_arrived for item, outcome in line.front.outcomes.items()}
    assert arrived == {b"on its way": True, b"waits": False}
    assert line.front.decided == 2
    line.say(0, codec.accepted())  # too late
    assert line.front.outcomes[b"on its way"].kind is TIMED_OUT
    assert line.front.outbox.items() == [b"other"]


def test_a_message_that_was_lost_before_may_have_arrived() -> None:
    line = Line()
    line.add(b"it", timeout=5.0)
    line.sent()
    line.end_link("amqp:link:detach-forced")
    line.expire(5.0)
    outcome = line.front.outcomes[b"it"]
    assert (outcome.kind, outcome.may_have_arrived) == (TIMED_OUT, True)


def test_one_that_times_out_while_it_is_with_the_link_is_withdrawn() -> None:
    line = Line()
    line.add(b"it", timeout=5.0)
    line.front.hand_over(line.now)
    assert line.expire(5.0) == {b"it": TIMED_OUT}
    assert not line.front.outcomes[b"it"].may_have_arrived
    line.peer.expect_nothing()


def test_who_hears_of_one_may_take_the_others_out() -> None:
    """They were to time out next, and are the caller's again instead."""
    line = Line()
    entries = line.add(b"a", b"b", timeout=5.0)

    def give_back(entry: Entry) -> None:
        if entry is entries[0]:
            line.front.give_back(entries[1], line.now)

    line.front.on_finished = give_back
    assert line.expire(5.0) == {b"a": TIMED_OUT, b"b": RETURNED}
    assert line.front.decided == 1


def test_without_credit_messages_stall() -> None:
    line = Line(credit=0)
    line.now = 100.0
    line.front.step(line.now)
    line.add(b"a")
    line.add(b"own deadline", timeout=500.0)
    assert line.front.next_deadline() == 180.0
    assert line.expire(179.9) == {}
    assert line.expire(180.0) == {b"a": TIMED_OUT}
    assert "neither credit nor an outcome for 80 seconds" in line.front.outcomes[b"a"].text
    assert line.front.next_deadline() == 260.0


def test_a_hand_over_or_an_outcome_is_a_sign_of_life() -> None:
    line = Line(credit=0)
    line.add(b"a", b"b", b"c")
    line.expire(70.0)
    line.peer.grant(2)
    assert line.arrived() == [b"a", b"b"]
    assert line.front.next_deadline() == 70.0
    line.expire(140.0)
    line.say(1, codec.accepted())
    assert line.expire(219.9) == {b"b": TAKEN}
    assert line.expire(220.0) == {b"b": TAKEN, b"a": TIMED_OUT, b"c": TIMED_OUT}


def test_a_pause_of_the_program_is_no_stall() -> None:
    line = Line(credit=0)
    line.add(b"it")
    line.expire(10.0)
    line.now = 500.0
    assert line.front.step(line.now).deadline == 570.0
    assert line.expire(569.9) == {}
    assert line.expire(570.0) == {b"it": TIMED_OUT}


def test_a_message_whose_outcome_is_lost_is_given_up_while_others_have_theirs() -> None:
    line = Line(credit=1000)
    line.add(b"lost")
    line.sent()
    number = 0
    while not line.front.outcomes.get(b"lost"):
        number += 1
        line.now += 5.0
        line.add(b"%d" % number)
        assert line.sent() == [b"%d" % number]
        line.say(number, codec.accepted())
        line.expire(line.now)
    assert 80.0 <= line.now <= 100.0
    outcome = line.front.outcomes[b"lost"]
    assert (outcome.kind, outcome.may_have_arrived) == (TIMED_OUT, True)
    assert "while others had theirs" in outcome.text


def test_it_is_looked_for_lost_outcomes_from_time_to_time() -> None:
    line = Line()
    line.add(b"it")
    assert line.front.next_deadline() == 80.0
    line.sent()
    assert line.front.next_deadline() == 10.0
    line.expire(10.0)
    assert line.front.next_deadline() == 20.0


def test_a_pause_is_no_time_without_an_outcome() -> None:
    line = Line(credit=1000)
    line.add(b"lost")
    line.sent()
    for number in range(1, 12):
        if number == 6:
            line.now += 1000.0
            line.front.step(line.now)
        line.now += 5.0
        line.add(b"%d" % number)
        assert line.sent() == [b"%d" % number]
        line.say(number, codec.accepted())
        line.expire(line.now)
    assert b"lost" not in line.front.outcomes


def test_there_may_be_no_stall_time_out() -> None:
    line = Line(Front(stall_timeout=math.inf))
    line.add(b"a", b"b")
    line.sent()
    assert line.front.next_deadline() == math.inf
    assert line.expire(1e9) == {}


def test_an_empty_queue_has_no_deadline() -> None:
    line = Line()
    assert line.front.next_deadline() is None
    assert line.front.step(line.now).deadline is None
    line.add(b"it", timeout=3.0)
    assert line.front.step(line.now).deadline == 3.0
    line.arrived()
    line.say(0, codec.accepted())
    assert line.front.next_deadline() is None


def test_a_step_says_what_there_is_to_do() -> None:
    line = Line(credit=2000)
    line.add(*(b"%d" % number for number in range(300)))
    assert line.front.step(line.now)[:2] == (True, False)
    assert line.front.step(line.now)[:2] == (False, False)  # nothing can move before that is written
    line.arrived()
    line.add(b"late", timeout=0.0)
    assert line.front.step(line.now)[:2] == (False, True)
    assert line.front.ends == {b"late": TIMED_OUT}


# -- what is taken back


def test_what_is_taken_back_from_the_queue_or_the_link_does_not_go_out() -> None:
    line = Line(credit=1)
    with_link, waits = line.add(b"with the link", b"waits")
    line.front.hand_over(line.now)
    for entry in (with_link, waits):
        line.front.give_back(entry, line.now)
        line.front.give_back(entry, line.now)  # does nothing
    assert line.front.ends == {b"with the link": RETURNED, b"waits": RETURNED}
    assert not any(outcome.may_have_arrived for outcome in line.front.outcomes.values())
    line.peer.grant(5)
    line.peer.expect_nothing()
    assert line.front.decided == 0


def test_what_is_taken_back_from_the_wire_may_arrive_and_nobody_hears_of_it() -> None:
    line = Line()
    (entry,) = line.add(b"it")
    line.sent()
    line.front.give_back(entry, line.now)
    assert line.front.outcomes[b"it"].may_have_arrived
    line.say(0, codec.rejected(error=ERROR))
    assert line.front.ends == {b"it": RETURNED}


def test_what_is_taken_back_while_its_outcome_is_there_is_finished_with_that() -> None:
    line = Line()
    (entry,) = line.add(b"it")
    line.sent()
    line.link.handler = None
    line.say(0, codec.accepted())
    line.front.give_back(entry, line.now)
    assert line.front.ends == {b"it": TAKEN}


def test_what_is_taken_back_after_a_refusal_is_not_tried_again() -> None:
    line = Line(Front(Policy(0.0)))
    (entry,) = line.add(b"it")
    line.sent()
    line.link.handler = None
    line.say(0, codec.released())
    line.front.give_back(entry, line.now)
    assert line.front.ends == {b"it": RETURNED}
    assert line.sent() == []


def test_what_is_taken_back_after_its_link_went_may_have_arrived_if_it_was_on_the_wire() -> None:
    line = Line()
    (on_wire,) = line.add(b"on the wire")
    line.sent()
    (with_link,) = line.add(b"with the link")
    line.front.hand_over(line.now)
    line.link.handler = None
    line.receive(b"")
    line.front.give_back(on_wire, line.now)
    line.front.give_back(with_link, line.now)
    arrived = {item: outcome.may_have_arrived for item, outcome in line.front.outcomes.items()}
    assert arrived == {b"on the wire": True, b"with the link": False}


def test_all_can_be_taken_back() -> None:
    line = Line(Front(Policy(50.0)), credit=2)
    line.add(b"a", b"b", b"c", timeout=30.0)
    line.sent()
    line.say(0, codec.released())
    line.front.clear(line.now)
    assert line.front.ends == {b"a": RETURNED, b"b": RETURNED, b"c": RETURNED}
    assert (len(line.front), line.front.next_deadline()) == (0, None)


def test_groups_are_told_however_their_messages_leave() -> None:
    class Waiting(Group):
        told = 0

        def on_left(self) -> None:
            self.told += 1

    line = Line(credit=2)
    group = Waiting()
    line.front.add(b"accepted", line.now, None, group)
    line.front.add(b"late", line.now, 5.0, group)
    waits = line.front.add(b"returned", line.now, None, group)
    line.sent()
    line.say(0, codec.accepted())
    line.expire(5.0)
    assert (group.left, group.told) == (1, 0)
    line.front.give_back(waits, line.now)
    assert (group.left, group.told) == (0, 1)


# -- many


@pytest.mark.parametrize("where", ["waiting", "with the link", "on the wire"])
@pytest.mark.parametrize("why", ["deadline", "stall", "taken back"])
def test_many_that_leave_at_once_cost_what_each_would_alone(where: str, why: str) -> None:
    class Quiet(Outgoing):
        def encode(self, entry: Entry) -> bytes:
            return b"\x00\x53\x75\xa0\x00"

    def work(count: int) -> Callable[[], None]:
        line = Line(credit=count, begin={"incoming_window": 100_000})
        front = Quiet(None, 60.0)
        front.begin_link(line.link, line.now)
        for number in range(count):
            front.add(number, line.now, 1.0 if why == "deadline" else None)
        while where != "waiting" and front.outbox.waiting:
            if front.hand_over(line.now) or where == "on the wire":
                b"".join(map(bytes, line.engine.data_to_send()))

        def leave() -> None:
            if why == "taken back":
                front.clear(61.0)
            else:
                front.expire(61.0)
            assert front.decided == (0 if why == "taken back" else count)
            assert len(front) == 0

        return leave

    assert growth(work, 1000, 8) < 24
