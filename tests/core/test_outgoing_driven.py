"""`Outgoing` while its connection is driven for it: everything goes by itself, at the connection's deadlines."""

from __future__ import annotations

from tests.peer import codec
from tests.support.front import REFUSED, TIMED_OUT, Front, Line, Policy

HOUR = 3600.0


def driven(front: Front | None = None, credit: int = 10) -> Line:
    line = Line(front, credit)
    line.front.drive(line.core.timers, line.now)
    return line


def pass_by(line: Line, seconds: float) -> None:
    """What is due is done, as it is when the connection is driven."""
    line.now += seconds
    line.core.expire(line.now)


def test_what_was_added_before_goes_out() -> None:
    line = Line()
    line.add(b"1", b"2")
    line.front.drive(line.core.timers, line.now)
    assert line.arrived() == [b"1", b"2"]


def test_what_has_credit_goes_out_however_much_it_is() -> None:
    """More than are handed over at a time: the rest follows as soon as there is room."""
    line = Line(credit=1000)
    line.add(*(b"%d" % number for number in range(600)))
    line.front.drive(line.core.timers, line.now)
    arrived: list[bytes] = []
    while sent := line.arrived():
        arrived += sent
        line.core.handle_events(line.now)  # there is room again
    assert arrived == [b"%d" % number for number in range(600)]


def test_a_message_that_is_refused_goes_out_again_after_its_back_off() -> None:
    line = driven(Front(Policy(5.0, None)))
    line.add(b"it")
    assert line.sent() == [b"it"]
    line.say(0, codec.released())
    assert line.core.timers.next_deadline() == line.now + 5
    pass_by(line, 4.9)
    assert line.arrived() == []
    pass_by(line, 0.1)
    assert line.arrived() == [b"it"]
    line.say(1, codec.released())
    assert line.front.ends == {b"it": REFUSED}


def test_a_message_that_is_refused_goes_out_again_at_once() -> None:
    line = driven(Front(Policy(0.0, None)))
    line.add(b"it")
    assert line.sent() == [b"it"]
    line.say(0, codec.released())
    assert line.core.next_deadline() == line.now
    pass_by(line, 0)
    assert line.arrived() == [b"it"]


def test_a_message_is_given_up_at_its_time() -> None:
    line = driven(credit=0)
    line.add(b"late", timeout=60)
    line.add(b"early", timeout=10)
    assert line.core.timers.next_deadline() == line.now + 10
    pass_by(line, 10)
    assert line.front.ends == {b"early": TIMED_OUT}
    pass_by(line, 50)
    assert line.front.ends == {b"early": TIMED_OUT, b"late": TIMED_OUT}


def test_a_stall_is_noticed() -> None:
    line = driven(Front(stall_timeout=80), credit=0)
    line.add(b"it")
    pass_by(line, 79)
    assert line.front.ends == {}
    pass_by(line, 1)
    assert line.front.ends == {b"it": TIMED_OUT}


def test_nothing_is_given_up_while_nobody_drives_the_connection() -> None:
    """Nor does the peer have to answer for that time."""
    line = driven(Front(stall_timeout=80), credit=0)
    line.add(b"it", timeout=10)
    line.add(b"patient")
    line.front.rest(line.now)
    pass_by(line, HOUR)
    assert line.front.ends == {}
    line.front.drive(line.core.timers, line.now)
    pass_by(line, 0)
    assert line.front.ends == {b"it": TIMED_OUT}
    pass_by(line, 79)
    assert line.front.ends == {b"it": TIMED_OUT}
    pass_by(line, 1)
    assert line.front.ends == {b"it": TIMED_OUT, b"patient": TIMED_OUT}


def test_steps_between_are_no_pause() -> None:
    """Somebody may take steps of their own while others have the connection driven."""
    line = driven(Front(stall_timeout=80), credit=0)
    line.add(b"it")
    for _ in range(8):
        line.now += 10
        line.front.step(line.now)
    pass_by(line, 0)
    assert line.front.ends == {b"it": TIMED_OUT}


def test_timers_do_not_pile_up() -> None:
    """As they would with a caller that sends one message after the other."""
    line = driven()
    line.add(b"it")
    for _ in range(1000):
        line.front.rest(line.now)
        line.now += 0.01
        line.front.drive(line.core.timers, line.now)
    assert len(line.core.timers) < 10
