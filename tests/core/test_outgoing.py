"""`Outgoing`: hand-over, what an outcome means, retries; against a scripted peer, without I/O."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import SENDER
from tests.support.front import (
    ERROR,
    FAILED,
    LOST,
    REFUSED,
    RETURNED,
    SUSPECTED,
    TAKEN,
    TIMED_OUT,
    Front,
    Line,
    Policy,
)
from tests.support.lines import interrupted, plain
from uamqp.codec import Accepted, Modified, Received, Rejected, Released
from uamqp.core import Entry, Group, Outcome, OutcomeKind, Outgoing, outcome_of
from uamqp.engine import LocalProtocolError, MessageTooLarge, OutgoingDelivery

FILES = ("core/outgoing.py", "core/outbox.py", "engine/fifo.py")


# -- what an outcome means


@pytest.mark.parametrize(
    ("state", "kind", "expected", "condition"),
    [
        (codec.accepted(), TAKEN, Accepted, None),
        (None, TAKEN, type(None), None),
        (codec.received(section_number=1, section_offset=2), TAKEN, Received, None),
        (codec.rejected(error=ERROR), REFUSED, Rejected, "amqp:not-allowed"),
        (codec.rejected(), REFUSED, Rejected, None),
        (codec.released(), REFUSED, Released, None),
        (codec.modified(delivery_failed=True), REFUSED, Modified, None),
    ],
)
def test_what_an_outcome_means(state: Any, kind: OutcomeKind, expected: type[Any], condition: str | None) -> None:
    line = Line()
    line.add(b"it")
    assert line.sent() == [b"it"]
    line.say(0, state)
    outcome = line.front.outcomes[b"it"]
    assert (outcome.kind, type(outcome.state), outcome.condition) == (kind, expected, condition)
    assert (outcome.error, outcome.may_have_arrived) == (None, False)
    assert len(line.front) == 0
    assert line.front.decided == 1


def test_a_delivery_that_is_not_settled_has_no_outcome() -> None:
    line = Line()
    (entry,) = line.add(b"it")
    line.sent()
    assert entry.delivery is not None
    assert outcome_of(entry.delivery) is None
    assert line.front.ends == {}
    assert len(line.front) == 1


def test_a_message_that_is_sent_settled_is_taken_over() -> None:
    line = Line()
    line.link = line.sender(name="2", snd_settle_mode=1)
    line.front.begin_link(line.link, line.now)
    line.link.open(line.now)
    line.peer.accept_attach(SENDER)
    line.peer.grant(1, handle=1)
    line.add(b"it")
    line.front.hand_over(line.now)
    line.peer.expect("transfer", settled=True)
    line.core.handle_events(line.now)
    assert line.front.ends == {b"it": TAKEN}


def test_an_outcome_says_what_it_is() -> None:
    assert repr(Outcome(REFUSED, condition="amqp:not-found")) == "<Outcome refused: amqp:not-found>"
    assert repr(Outcome(TIMED_OUT, text="late")) == "<Outcome timed out: late>"
    assert repr(Outcome(TAKEN, Accepted())) == "<Outcome taken: Accepted()>"


# -- who hears of what


def test_the_owner_of_the_link_hears_of_its_state_alone() -> None:
    line = Line()
    line.add(b"it")
    line.sent()
    line.say(0, codec.accepted())
    line.end_link()
    states = ["idle to opening", "connection open", "attach", "opening to open", "open to lost"]
    assert line.owner.heard == states


def test_what_somebody_else_has_sent_over_the_link() -> None:
    """Whatever its context is; another `Outgoing` may have sent it."""
    heard: list[OutgoingDelivery] = []

    class Sharing(Front):
        def not_ours(self, delivery: OutgoingDelivery, now: float) -> None:
            heard.append(delivery)

    line = Line(Sharing())
    other = Front()
    entry = other.outbox.new_entry(b"other", None, None)
    other.send_at_once(line.link, entry, data_message(b"other"), line.now)
    mine = line.link.sender.send(data_message(b"mine"), context="mine")
    assert line.arrived() == [b"other", b"mine"]
    theirs = entry.delivery
    line.say(0, codec.accepted(), 1)
    assert heard == [theirs, mine]
    other.on_outcome(heard[0], line.now)
    assert (other.ends, line.front.ends) == ({b"other": TAKEN}, {})


def test_the_message_knows_its_outcome_before_it_leaves() -> None:
    seen: list[tuple[str, bool, int]] = []

    class Noting(Front):
        def note(self, entry: Entry, outcome: Outcome) -> None:
            seen.append(("note", entry.done, len(self)))

        def finished(self, entry: Entry, outcome: Outcome) -> None:
            seen.append(("finished", entry.done, len(self)))

    line = Line(Noting())
    group = Group()
    line.front.add(b"it", line.now, None, group)
    line.sent()
    line.say(0, codec.accepted())
    assert seen == [("note", False, 1), ("finished", True, 0)]
    assert group.left == 0


def test_a_front_has_to_say_how_a_message_is_encoded() -> None:
    class Mute(Outgoing):
        def finished(self, entry: Entry, outcome: Outcome) -> None:
            ends.append((outcome.kind, type(outcome.error)))

    ends: list[Any] = []
    line = Line()
    mute = Mute(None, 60.0)
    mute.begin_link(line.link, line.now)
    mute.add(b"it", line.now)
    mute.hand_over(line.now)
    assert ends == [(FAILED, NotImplementedError)]


def test_a_mistake_in_what_is_given_to_the_link_is_no_fault_of_the_message() -> None:
    class Wrong(Front):
        def encode(self, entry: Entry) -> bytes:
            entry.message_format = "none"  # type: ignore[assignment]
            return super().encode(entry)

    line = Line(Wrong())
    line.add(b"it")
    with pytest.raises(TypeError):
        line.front.hand_over(line.now)
    assert (line.front.ends, len(line.front)) == ({}, 1)


# -- hand-over


def test_messages_go_out_as_far_as_the_credit_goes() -> None:
    line = Line(credit=0)
    line.add(b"a", b"b", b"c")
    assert line.sent() == []
    line.peer.grant(2)  # nobody has to ask
    assert line.arrived() == [b"a", b"b"]
    assert line.front.handed == 2
    assert line.sent() == []
    line.peer.grant(1)
    assert line.arrived() == [b"c"]


def test_without_a_link_nothing_goes_out() -> None:
    front = Front()
    front.add(b"it", 0.0)
    assert front.hand_over(0.0) is False
    assert front.step(0.0).more is False
    assert len(front) == 1


def test_a_drain_is_answered_when_all_is_sent() -> None:
    line = Line(credit=0)
    line.add(b"a", b"b")
    line.peer.grant(5, drain=True)
    assert line.arrived() == [b"a", b"b"]
    line.peer.expect("flow", delivery_count=5, link_credit=0)


def test_a_drain_is_answered_by_the_step_that_sends_the_last() -> None:
    line = Line(credit=0)
    line.add(*(b"%d" % number for number in range(300)))
    line.peer.grant(400, drain=True)
    for _ in range(256):
        line.peer.expect("transfer")
    assert line.front.step(line.now).more is False
    for _ in range(44):
        line.peer.expect("transfer")
    line.peer.expect("flow", delivery_count=400, link_credit=0)


def test_some_hundred_are_handed_over_at_a_time() -> None:
    line = Line(credit=2000)
    line.add(*(b"%d" % number for number in range(600)))
    assert line.front.hand_over(line.now)
    assert line.link.sender.queued == line.front.handed == 256
    assert line.front.hand_over(line.now)  # none of them has gone out
    assert line.front.handed == 256
    assert len(line.arrived()) == 256
    line.front.hand_over(line.now)
    line.arrived()
    assert not line.front.hand_over(line.now)
    assert line.arrived()[-1] == b"599"


def test_one_mebibyte_is_handed_over_at_a_time() -> None:
    class Large(Front):
        def encode(self, entry: Entry) -> bytes:
            return b"\x00\x53\x75\xb0" + (400_000).to_bytes(4, "big") + b"x" * 400_000

    line = Line(Large())
    line.add(b"a", b"b", b"c", b"d")
    assert line.front.hand_over(line.now)
    assert line.front.handed == 3


def test_whoever_has_more_hears_when_there_is_room() -> None:
    """The peer's session window lets ten out, and opens without a word of the link."""
    line = Line(credit=2000, begin={"incoming_window": 10})
    line.add(*(b"%d" % number for number in range(300)))
    while line.front.handed < 266:
        assert line.front.hand_over(line.now)
        for _ in range(10 if line.front.handed == 256 else 0):
            line.peer.expect("transfer")
    assert line.front.hand_over(line.now)
    assert line.front.handed == 266
    line.peer.send("flow", next_incoming_id=10, incoming_window=10, next_outgoing_id=0, outgoing_window=10)
    for _ in range(10):
        line.peer.expect("transfer")
    line.core.handle_events(line.now)
    assert line.front.handed == 276


def test_credit_alone_has_everything_sent() -> None:
    """Nobody takes steps: what there is no room for follows what has gone out."""
    line = Line(credit=2000)
    line.add(*(b"%d" % number for number in range(1000)))
    assert line.front.on_credit(line.now)
    for number in range(1000):
        line.peer.expect("transfer", delivery_id=number)
        line.core.handle_events(line.now)
    assert line.front.handed == 1000


def test_tag_and_format_are_the_entrys() -> None:
    class Tagging(Front):
        def encode(self, entry: Entry) -> bytes:
            if entry.item == b"tagged":
                entry.tag = b"mine"
                entry.message_format = 7
            return super().encode(entry)

    line = Line(Tagging())
    line.add(b"tagged", b"plain")
    line.front.hand_over(line.now)
    line.peer.expect("transfer", delivery_tag=b"mine", message_format=7)
    line.peer.expect(
        "transfer", delivery_tag=lambda tag: tag != b"mine", message_format=lambda number: number in (0, None)
    )


def test_what_is_past_its_time_is_not_sent() -> None:
    line = Line(credit=0)
    line.add(b"late", timeout=5.0)
    line.add(b"in time", timeout=50.0)
    line.now = 5.0
    line.peer.grant(2)
    assert line.arrived() == [b"in time"]
    assert line.front.ends == {b"late": TIMED_OUT}
    assert not line.front.outcomes[b"late"].may_have_arrived
    assert line.front.decided == 1


class Failing(Front):
    """What a test has in `answers` is what `encode` raises, or does."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[bytes, Any] = {}

    def encode(self, entry: Entry) -> bytes:
        answer = self.answers.get(entry.item)
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            answer(entry)
        return super().encode(entry)

    def unsendable(self, entry: Entry, error: Exception) -> Outcome:
        if isinstance(error, TimeoutError):  # a signal handler's
            raise error
        return super().unsendable(entry, error)


def test_a_message_that_has_no_encoding_leaves_and_the_others_go() -> None:
    front = Failing()
    line = Line(front)
    error = ValueError("no encoding")
    front.answers[b"bad"] = error
    line.add(b"a", b"bad", b"b")
    assert line.sent() == [b"a", b"b"]
    assert front.ends == {b"bad": FAILED}
    assert (front.outcomes[b"bad"].error, front.outcomes[b"bad"].text) == (error, "no encoding")


@pytest.mark.parametrize("error", [TimeoutError(), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_message_comes_out_and_it_waits_as_before(error: BaseException) -> None:
    front = Failing()
    line = Line(front)
    front.answers[b"b"] = error
    waited: list[Any] = []
    front.waits = lambda entry: waited.append(entry.item)  # type: ignore[method-assign]
    line.add(b"a", b"b", b"c")
    with pytest.raises(type(error)):
        front.hand_over(line.now)
    assert waited == [b"b"]
    assert line.arrived() == [b"a"]
    assert front.outbox.items() == [b"a", b"b", b"c"]
    front.answers.clear()
    assert line.sent() == [b"b", b"c"]


def test_what_encodes_a_message_may_take_it_out() -> None:
    front = Failing()
    line = Line(front)
    front.answers[b"a"] = lambda entry: front.give_back(entry, line.now)
    line.add(b"a", b"b")
    assert line.sent() == [b"b"]
    assert front.ends == {b"a": RETURNED}


def test_a_message_that_the_link_refuses() -> None:
    line = Line(max_message_size=20)
    line.add(b"a", b"x" * 30, b"b")
    assert line.sent() == [b"a", b"b"]
    outcome = line.front.outcomes[b"x" * 30]
    assert (outcome.kind, type(outcome.error)) == (FAILED, MessageTooLarge)
    assert "20 bytes" in outcome.text


@plain
def test_an_interrupt_at_any_line_of_the_hand_over() -> None:
    """What the link wasn't given waits; what it was given has gone out once."""
    at, came = 0, True
    while came:
        line = Line()
        line.add(b"a", b"b", b"c")
        came = interrupted(lambda line=line: line.front.hand_over(line.now), at, *FILES)  # type: ignore[misc]
        arrived = line.arrived()
        arrived += line.sent()
        assert arrived == [b"a", b"b", b"c"], at
        line.say(0, codec.accepted(), 2)
        assert line.front.ends == dict.fromkeys([b"a", b"b", b"c"], TAKEN), at
        at += 1
    assert at > 30


@plain
def test_an_interrupt_while_an_outcome_is_dealt_with() -> None:
    """Whoever catches up finds the message: it has left with its outcome, or does now."""
    at, came = 0, True
    noted: list[OutcomeKind] = []

    class Noting(Front):
        def note(self, entry: Entry, outcome: Outcome) -> None:
            noted.append(outcome.kind)

    while came:
        line = Line(Noting())
        noted.clear()
        (entry,) = line.add(b"a")
        line.sent()
        came = interrupted(lambda line=line: line.say(0, codec.accepted()), at, *FILES)  # type: ignore[misc]
        line.front.catch_up(line.now)
        assert entry.done, at
        assert set(noted) == {TAKEN}, at
        assert len(line.front) == 0, at
        at += 1
    assert at > 10


# -- without waiting for credit


def test_a_message_that_is_sent_at_once_needs_no_credit_now() -> None:
    line = Line(credit=0)
    entry = line.front.outbox.new_entry(b"it", 9.0, Group())
    line.front.send_at_once(line.link, entry, data_message(b"it"), line.now)
    assert (len(line.front), entry.group.left if entry.group else 0, line.front.next_deadline()) == (1, 1, 9.0)
    line.peer.expect_nothing()
    line.peer.grant(1)
    assert line.arrived() == [b"it"]
    line.say(0, codec.accepted())
    assert line.front.ends == {b"it": TAKEN}
    assert len(line.front) == 0


def test_a_message_that_is_sent_at_once_may_time_out() -> None:
    line = Line(credit=0)
    entry = line.front.outbox.new_entry(b"it", 9.0, None)
    line.front.send_at_once(line.link, entry, data_message(b"it"), line.now)
    assert line.expire(8.9) == {}
    assert line.expire(9.0) == {b"it": TIMED_OUT}
    line.peer.grant(1)
    line.peer.expect_nothing()


def test_a_link_that_can_not_take_a_message_changes_nothing() -> None:
    line = Line(max_message_size=20)
    entry = line.front.outbox.new_entry(b"it", 9.0, None)
    with pytest.raises(MessageTooLarge):
        line.front.send_at_once(line.link, entry, b"x" * 21, line.now)
    line.link.close(line.now)
    with pytest.raises(LocalProtocolError, match="not open"):
        line.front.send_at_once(line.link, entry, b"x", line.now)
    assert (len(line.front), line.front.ends, line.front.next_deadline()) == (0, {}, None)


# -- what is tried again


def test_the_policy_is_asked_what_is_tried_again() -> None:
    policy = Policy(0.0, 0.0, None)
    line = Line(Front(policy))
    waits: list[tuple[Any, int]] = []
    line.front.waits = lambda entry: waits.append((entry.item, entry.tries))  # type: ignore[method-assign]
    line.add(b"it")
    for number, state in enumerate([codec.rejected(error=ERROR), codec.released(), codec.rejected(error=ERROR)]):
        assert line.sent() == [b"it"]
        line.say(number, state)
    assert policy.asked == [("amqp:not-allowed", 0), (None, 1), ("amqp:not-allowed", 2)]
    assert line.front.ends == {b"it": REFUSED}
    assert line.front.decided == 1
    assert waits == [(b"it", 1), (b"it", 2)]


def test_a_back_off_holds_all_that_waits() -> None:
    line = Line(Front(Policy(5.0)))
    line.add(b"a")
    line.sent()
    line.now = 2.0
    line.say(0, codec.released())
    line.add(b"b")
    assert line.sent() == []
    assert line.front.next_deadline() == 7.0
    line.now = 6.9
    assert line.sent() == []
    line.now = 7.0
    assert line.sent() == [b"a", b"b"]


def test_without_a_policy_nothing_that_was_refused_is_tried_again() -> None:
    line = Line(Front(None))
    line.add(b"it")
    line.sent()
    line.say(0, codec.released())
    assert line.front.ends == {b"it": REFUSED}


def test_what_was_lost_goes_over_the_next_link() -> None:
    """In front of what was never sent."""
    policy = Policy()
    line = Line(Front(policy), credit=2)
    _, b, c = line.add(b"a", b"b", b"c")
    assert line.sent() == [b"a", b"b"]
    line.say(0, codec.accepted())
    line.end_link("amqp:link:detach-forced")
    assert line.front.ends == {b"a": TAKEN}
    assert (b.may_have_arrived, b.tries, c.may_have_arrived, c.tries) == (True, 1, False, 0)
    line.reopen()
    assert line.arrived() == [b"b", b"c"]
    line.say(2, codec.accepted(), 3)
    assert line.front.ends == {b"a": TAKEN, b"b": TAKEN, b"c": TAKEN}
    assert policy.asked == []


def test_what_the_wire_never_saw_has_not_arrived() -> None:
    line = Line(credit=2)
    (entry,) = line.add(b"it")
    line.front.hand_over(line.now)
    line.receive(b"")  # the peer has gone, and no transfer was encoded
    assert (entry.may_have_arrived, entry.tries, entry.waits) == (False, 1, True)


def test_a_front_may_have_nothing_sent_again() -> None:
    class Careful(Front):
        def retry(self, entry: Entry, outcome: Outcome) -> float | None:
            return None

    line = Line(Careful())
    line.add(b"it")
    line.sent()
    line.end_link()
    outcome = line.front.outcomes[b"it"]
    assert (outcome.kind, outcome.may_have_arrived) == (LOST, True)
    assert len(line.front) == 0


# -- messages that end the link


def test_a_message_that_was_alone_when_the_link_was_ended_is_held_to_be_the_reason() -> None:
    policy = Policy(0.0, None)
    line = Line(Front(policy))
    (entry,) = line.add(b"poison")
    for name in ("2", "3"):
        assert line.arrived() or line.sent()
        line.end_link()
        if not entry.done:
            line.reopen(name)
    assert policy.asked == [("amqp:internal-error", 0), ("amqp:internal-error", 1)]
    outcome = line.front.outcomes[b"poison"]
    assert (outcome.kind, outcome.condition) == (SUSPECTED, "amqp:internal-error")


def test_of_several_each_goes_alone() -> None:
    line = Line(Front(Policy(None)))
    line.add(b"a", b"poison", b"b")
    line.sent()
    line.end_link()
    assert line.front.ends == {}
    line.reopen("2")
    assert line.arrived() == [b"a"]
    line.say(3, codec.accepted())
    assert line.sent() == [b"poison"]
    line.end_link()
    assert line.front.ends == {b"a": TAKEN, b"poison": SUSPECTED}
    line.add(b"c")
    line.reopen("3")
    assert line.arrived() == [b"b", b"c"]  # the reason is found


@pytest.mark.parametrize(
    "condition",
    [
        "amqp:connection:forced",
        "amqp:connection:redirect",
        "amqp:link:detach-forced",
        "amqp:link:redirect",
        "amqp:link:stolen",
        "amqp:resource-deleted",
    ],
)
def test_some_ends_are_no_messages_fault(condition: str) -> None:
    line = Line(Front(Policy()))
    (entry,) = line.add(b"it")
    line.sent()
    line.end_link(condition)
    assert (line.front.ends, entry.ends) == ({}, 0)


def test_an_end_without_a_reason_suspects_nobody() -> None:
    line = Line(Front(Policy()))
    (entry,) = line.add(b"it")
    line.sent()
    line.peer.send("detach", handle=0, closed=True)
    line.reopen()
    assert line.arrived() == [b"it"]
    line.front.on_link_ended("amqp:internal-error")  # it wasn't on its way over a link that is gone
    assert (line.front.ends, entry.ends) == ({}, 0)


def test_a_message_that_is_the_callers_again_is_not_held_to_be_the_reason() -> None:
    line = Line(Front(Policy()))
    (entry,) = line.add(b"it")
    line.sent()
    line.peer.send("detach", handle=0, closed=True, error=codec.error("amqp:internal-error"))
    line.front.give_back(entry, line.now)
    line.front.on_link_ended("amqp:internal-error")
    assert line.front.ends == {b"it": RETURNED}


def test_one_that_was_withdrawn_is_not_taken() -> None:
    """An interrupt has come between that and its leaving: it never went out."""
    line = Line(begin={"incoming_window": 0})
    (entry,) = line.add(b"it")
    line.front.hand_over(line.now)
    assert entry.delivery is not None
    assert entry.delivery.withdraw()
    line.front.give_back(entry, line.now)
    assert line.front.ends == {b"it": RETURNED}


def test_an_outcome_that_nobody_heard_of_counts() -> None:
    """An interrupt has kept the queue from hearing of it."""
    line = Line()
    line.add(b"it")
    line.sent()
    line.link.handler = None
    line.say(0, codec.accepted())
    assert line.front.ends == {}
    line.front.catch_up(line.now)
    assert line.front.ends == {b"it": TAKEN}


def test_who_begins_a_link_catches_up_with_the_last() -> None:
    line = Line()
    (entry,) = line.add(b"it")
    line.sent()
    line.link.handler = None
    line.peer.send("detach", handle=0, closed=True)
    assert not entry.waits
    line.reopen()
    assert line.arrived() == [b"it"]
