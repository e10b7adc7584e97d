"""A recorded conversation, fed to an engine in other pieces: the events are the same, wherever it is cut."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pair import START, cut_at, each_byte
from tests.support.talk import Turn, describe, record, replay, talk_config
from uamqp.engine import Engine, IncomingDelivery, OutgoingDelivery
from uamqp.engine.events import ConnectionClosed, LinkDetached, ReceiverDrained

ROLES = ["client", "server"]


@functools.cache
def recorded(role: str) -> tuple[list[Turn], list[str]]:
    """What the role hears in the conversation, and the events it has of it when nothing is cut."""
    turns = record()[role]
    return turns, replay(role, [[turn] for turn in turns])


def test_the_conversation_has_everything_in_it() -> None:
    for role in ROLES:
        _, events = recorded(role)
        kinds = {event.split()[0] for event in events}
        assert {IncomingDelivery.__name__, OutgoingDelivery.__name__, LinkDetached.__name__} <= kinds
        assert events[-1].startswith(ConnectionClosed.__name__)
    assert any(event.startswith(ReceiverDrained.__name__) for event in recorded("client")[1])
    assert any("SaslInit" in event for event in recorded("server")[1])


@pytest.mark.parametrize("role", ROLES)
def test_byte_by_byte(role: str) -> None:
    turns, expected = recorded(role)
    assert replay(role, [list(each_byte(turn)) for turn in turns]) == expected


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [1, 2, 8])
def test_the_application_has_its_say_after_each_piece(role: str, size: int) -> None:
    """Then other frames cross, so events come in another order, and flows may come too late; the rest is the same."""
    turns, expected = recorded(role)
    pieces = [cut_at(turn, range(size, len(turn), size)) for turn in turns]
    events = replay(role, pieces, eager=True)
    lists = [sorted(one for one in found if not one.startswith("CreditChanged")) for found in (events, expected)]
    assert lists[0] == lists[1]


@pytest.mark.parametrize("role", ROLES)
def test_cut_at_every_position(role: str) -> None:
    """Each turn of the conversation cut in two at each of its positions: one replay for the same position of all."""
    turns, expected = recorded(role)
    for position in range(1, max(map(len, turns))):
        pieces = [cut_at(turn, [position]) if position < len(turn) else [turn] for turn in turns]
        assert replay(role, pieces) == expected, position


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [2, 3, 5, 7, 8, 9, 64])
def test_pieces_of_one_size(role: str, size: int) -> None:
    turns, expected = recorded(role)
    pieces = [cut_at(turn, range(size, len(turn), size)) for turn in turns]
    assert replay(role, pieces) == expected


@given(role=st.sampled_from(ROLES), data=st.data())
def test_pieces_of_any_size(role: str, data: st.DataObject) -> None:
    turns, expected = recorded(role)
    pieces = []
    for turn in turns:
        cuts = data.draw(st.lists(st.integers(1, max(1, len(turn) - 1)), max_size=6))
        pieces.append(cut_at(turn, sorted(set(cuts))))
    assert replay(role, pieces) == expected


@pytest.mark.parametrize("role", ROLES)
def test_the_stream_ends_at_every_position(role: str) -> None:
    """Wherever it breaks off: one terminal event, the last; every link and session has had its end before."""
    turns, _ = recorded(role)
    stream = list(itertools.accumulate(map(len, turns)))
    for stop in range(0, stream[-1], 3):
        engine = Engine(talk_config(role), START)
        events: list[Any] = []
        whole = [turn for turn, end in zip(turns, stream, strict=True) if end <= stop]
        start = sum(map(len, whole))
        rest = b"".join(turns)[start:stop]
        replay(role, [[turn] for turn in whole] + [[rest]] * bool(rest), engine=engine, events=events)
        if not engine.is_closed:
            engine.receive_data(b"", START)
        events += engine.events()
        assert [type(event) for event in events].count(ConnectionClosed) == 1
        assert type(events[-1]) is ConnectionClosed
        assert describe(events[-1])
        assert engine.next_deadline() is None
