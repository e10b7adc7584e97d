"""Time-outs: those of `Timeouts` by default, a call's own otherwise, and None for no limit."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, fill
from uamqp.messaging import (
    DEFAULT,
    ConfigurationError,
    OperationTimeout,
    OutcomeTimeout,
    OutcomeUnknown,
    SendManyFailed,
    SendTimeout,
    Timeouts,
)
from uamqp.testing import Broker

pytestmark = both_faces

LONG = 100_000.0
"""Seconds; longer than any time-out by default."""


@pytest.mark.parametrize(
    ("default", "of_sender", "of_call", "seconds"),
    [
        (20.0, {}, {}, 20.0),
        (20.0, {}, {"timeout": DEFAULT}, 20.0),
        (20.0, {"send_timeout": 30.0}, {}, 30.0),
        (20.0, {"send_timeout": DEFAULT}, {}, 20.0),
        (20.0, {"send_timeout": None}, {}, None),
        (20.0, {"send_timeout": 30.0}, {"timeout": 40.0}, 40.0),
        (20.0, {"send_timeout": 30.0}, {"timeout": None}, None),
        (None, {}, {}, None),
        (None, {}, {"timeout": 5.0}, 5.0),
    ],
)
def test_how_long_an_outcome_may_take(
    face: Face,
    broker: Broker,
    clock: Clock,
    default: float | None,
    of_sender: dict[str, Any],
    of_call: dict[str, Any],
    seconds: float | None,
) -> None:
    broker.faults.withhold_outcomes = True
    timeouts = Timeouts(send=default, close=0)
    with (
        connected(face, broker, timeouts=timeouts, idle_timeout=None) as connection,
        face.open(lambda: connection.open_sender("q", **of_sender)) as sender,
    ):
        delivery = face.go(lambda: sender.submit_nowait("x", **of_call))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        clock.move(LONG if seconds is None else seconds - 1)
        face.go(lambda: sender.submit_nowait("y", timeout=None))
        broker.wait_for(lambda: broker.queue("q").depth == 2)
        assert not delivery.done
        if seconds is not None:
            clock.move(2)
            with pytest.raises(OutcomeTimeout):
                face.wait(delivery)
    assert isinstance(delivery.error, OutcomeUnknown)


@pytest.mark.parametrize("way", ["send", "submit"])
def test_how_long_there_may_be_no_room(face: Face, broker: Broker, clock: Clock, way: str) -> None:
    broker.faults.withhold_outcomes = True
    timeouts = Timeouts(send=20, close=0)
    with (
        connected(face, broker, timeouts=timeouts, idle_timeout=None) as connection,
        face.open(lambda: connection.open_sender("q", max_pending=1)) as sender,
    ):
        face.go(lambda: sender.submit_nowait("x", timeout=None))
        broker.wait_for(lambda: broker.queue("q").depth == 1)
        sending = face.spawn(lambda: getattr(sender, way)("y"))
        clock.stand_until(lambda: True, 21)
        with pytest.raises(SendTimeout, match="no room for the message for 20 seconds"):
            sending.result()
        for_ever = face.spawn(lambda: getattr(sender, way)("z", timeout=None))
        clock.move(LONG)
        assert not for_ever.done
        broker.faults.withhold_outcomes = False
        for_ever.result()


@pytest.mark.parametrize("options", [{}, {"timeout": DEFAULT}, {"timeout": None}])
def test_receiving_has_no_limit_by_default(face: Face, broker: Broker, clock: Clock, options: dict[str, Any]) -> None:
    with (
        connected(face, broker, idle_timeout=None) as connection,
        face.open(lambda: connection.open_receiver("q")) as receiver,
    ):
        waiting = [
            face.spawn(lambda: receiver.receive(**options)),
            face.spawn(lambda: receiver.receive_many(1, **options)),
        ]
        broker.wait_for(lambda: broker.queue("q").consumers == 1)
        clock.move(LONG)
        becomes(face, lambda: receiver.credit > 0)
        assert not any(each.done for each in waiting)
        fill(broker, 2)
        for each in waiting:
            each.result()


def test_a_receive_has_the_time_it_was_given(face: Face, broker: Broker, clock: Clock) -> None:
    with (
        connected(face, broker, idle_timeout=None) as connection,
        face.open(lambda: connection.open_receiver("q")) as receiver,
    ):
        receiving = face.spawn(lambda: receiver.receive(1000))
        clock.move(900)
        fill(broker, 1)
        assert receiving.result().body == 0
        receiving = face.spawn(lambda: receiver.receive(1000))
        clock.stand_until(lambda: True, 1001)
        with pytest.raises(OperationTimeout, match="no message came within 1000 seconds") as caught:
            receiving.result()
        assert isinstance(caught.value, TimeoutError)


WAYS = {
    "send": lambda face, c, s, r, timeout: face.go(lambda: s.send("x", timeout=timeout)),
    "submit": lambda face, c, s, r, timeout: face.go(lambda: s.submit("x", timeout=timeout)),
    "submit_nowait": lambda face, c, s, r, timeout: face.go(lambda: s.submit_nowait("x", timeout=timeout)),
    "send_many": lambda face, c, s, r, timeout: face.go(lambda: s.send_many(["x"], timeout=timeout)),
    "flush": lambda face, c, s, r, timeout: face.go(lambda: s.flush(timeout)),
    "receive": lambda face, c, s, r, timeout: face.go(lambda: r.receive(timeout)),
    "receive_many": lambda face, c, s, r, timeout: face.go(lambda: r.receive_many(5, timeout=timeout)),
    "drain": lambda face, c, s, r, timeout: face.go(lambda: r.drain(timeout)),
    "wait_open": lambda face, c, s, r, timeout: face.go(lambda: c.wait_open(timeout)),
    "close a receiver": lambda face, c, s, r, timeout: face.go(lambda: r.close(timeout=timeout)),
    "close a sender": lambda face, c, s, r, timeout: face.go(lambda: s.close(timeout=timeout)),
    "close": lambda face, c, s, r, timeout: face.go(lambda: c.close(timeout=timeout)),
}


@pytest.mark.parametrize("way", WAYS)
def test_times_that_make_no_sense(face: Face, broker: Broker, way: str) -> None:
    with connected(face, broker) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        receiver = face.go(lambda: connection.open_receiver("q2"))
        for wrong in (-1, -0.5, math.nan):
            with pytest.raises(ConfigurationError, match="timeout"):
                WAYS[way](face, connection, sender, receiver, wrong)
        others: tuple[Any, ...] = ("5", True, [5])
        for other in others:
            with pytest.raises(TypeError, match="timeout"):
                WAYS[way](face, connection, sender, receiver, other)
        assert [each.state for each in (connection, sender, receiver)] == ["open"] * 3
        assert sender.stats().taken == 0


@pytest.mark.parametrize("way", WAYS)
def test_no_time_at_all(face: Face, broker: Broker, way: str) -> None:
    """Nobody waits, whatever comes of it."""
    broker.faults.withhold_outcomes = True
    broker.faults.silent = {"flow"}
    with connected(face, broker, timeouts=Timeouts(close=0)) as connection:
        sender = face.go(lambda: connection.open_sender("q"))
        receiver = face.go(lambda: connection.open_receiver("q2"))
        with contextlib.suppress(OperationTimeout, OutcomeTimeout, SendTimeout, SendManyFailed):
            WAYS[way](face, connection, sender, receiver, 0)
