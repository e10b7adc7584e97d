"""The connection's states by the specification's names: the table, and real conversations.

The transitions are section 2.4.7's diagram, written down here a second time.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.pair import Pair
from uamqp.codec import Error, Symbol
from uamqp.engine import ConnectionState, EndpointState, sasl
from uamqp.engine.events import ConnectionClosed
from uamqp.engine.states import CONNECTION_STATES, connection_state

IDLE, ACTIVE, CLOSED = EndpointState.IDLE, EndpointState.ACTIVE, EndpointState.CLOSED
ERROR = Error(Symbol("test:error"), "because")

# state: {sent or received: next state}. The error is that of our close: DISCARDING is "a variant on the CLOSE_SENT
# state where the close is triggered by an error" (section 2.4.6).
DIAGRAM: dict[str, dict[str, str]] = {
    "START": {"R:HDR": "HDR_RCVD", "S:HDR": "HDR_SENT"},
    "HDR_RCVD": {"S:HDR": "HDR_EXCH"},
    "HDR_SENT": {"R:HDR": "HDR_EXCH", "S:OPEN": "OPEN_PIPE"},
    "HDR_EXCH": {"R:OPEN": "OPEN_RCVD", "S:OPEN": "OPEN_SENT"},
    "OPEN_PIPE": {"R:HDR": "OPEN_SENT", "S:CLOSE": "OC_PIPE"},
    "OC_PIPE": {"R:HDR": "CLOSE_PIPE"},
    "OPEN_RCVD": {"S:OPEN": "OPENED"},
    "OPEN_SENT": {"R:OPEN": "OPENED", "S:CLOSE": "CLOSE_PIPE"},
    "CLOSE_PIPE": {"R:OPEN": "CLOSE_SENT"},
    "OPENED": {"R:CLOSE": "CLOSE_RCVD", "S:CLOSE": "CLOSE_SENT", "S:CLOSE+ERROR": "DISCARDING"},
    "CLOSE_RCVD": {"S:CLOSE": "END"},
    "CLOSE_SENT": {"R:CLOSE": "END"},
    "DISCARDING": {"R:CLOSE": "END"},
    "END": {},
}


def after(steps: tuple[str, ...]) -> str:
    """The name that the table gives after these steps."""
    local = remote = IDLE
    sent = received = failed = False
    for step in steps:
        way, what = step.split(":")
        if what == "HDR":
            sent, received = sent or way == "S", received or way == "R"
        elif way == "S":
            local = ACTIVE if what == "OPEN" else CLOSED
            failed = failed or what.endswith("ERROR")
        else:
            remote = ACTIVE if what == "OPEN" else CLOSED
    return connection_state(sent, received, local, remote, failed=failed).name


def walks(state: str = "START", steps: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Every way through the diagram, with the state at its end."""
    found = [(steps, state)]
    for step, following in DIAGRAM[state].items():
        found += walks(following, (*steps, step))
    return found


def test_every_state_of_the_specification_is_in_the_diagram() -> None:
    assert set(DIAGRAM) == {state.name for state in ConnectionState}
    assert {state for _, state in walks()} == set(DIAGRAM)


@pytest.mark.parametrize(("steps", "state"), walks(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_way_through_the_diagram(steps: tuple[str, ...], state: str) -> None:
    assert after(steps) == state


def test_the_table_has_nothing_else() -> None:
    """What no walk reaches is there only where the engine passes through on its way to the end."""
    reached = set()
    for steps, _ in walks():
        local = remote = IDLE
        for step in steps:
            if step.endswith(("OPEN", "CLOSE", "ERROR")):
                side = ACTIVE if step.endswith("OPEN") else CLOSED
                local, remote = (side, remote) if step[0] == "S" else (local, side)
        if "S:HDR" in steps:
            reached.add(("R:HDR" in steps, local, remote))
    assert set(CONNECTION_STATES) - reached == {(True, IDLE, CLOSED)}
    assert reached - set(CONNECTION_STATES) == set()


@pytest.mark.parametrize(
    "combination", list(itertools.product((False, True), (False, True), EndpointState, EndpointState))
)
def test_an_ended_connection_is_at_its_end_whatever_came_before(combination: tuple[Any, ...]) -> None:
    for failed in (False, True):
        assert connection_state(*combination, failed=failed, ended=True) is ConnectionState.END


# -- along real conversations


def states(pair: Pair) -> tuple[str, str]:
    return pair.client.engine.state.name, pair.server.engine.state.name


def test_open_and_close() -> None:
    pair = Pair()
    pair.server.answers = False
    client, server = pair.client, pair.server
    assert states(pair) == ("START", "START")
    client.engine.open(pair.now)
    assert states(pair) == ("OPEN_PIPE", "START")
    pair.write(client)
    pair.read(server, 8)
    assert states(pair) == ("OPEN_PIPE", "HDR_EXCH")
    pair.read(server)
    assert states(pair) == ("OPEN_PIPE", "OPEN_RCVD")
    pair.write(server)
    pair.read(client)
    assert states(pair) == ("OPEN_SENT", "OPEN_RCVD")
    server.engine.open(pair.now)
    assert states(pair) == ("OPEN_SENT", "OPENED")
    pair.write(server)
    pair.read(client)
    assert states(pair) == ("OPENED", "OPENED")
    client.engine.close(pair.now)
    assert states(pair) == ("CLOSE_SENT", "OPENED")
    pair.write(client)
    pair.read(server)
    assert states(pair) == ("CLOSE_SENT", "END")
    pair.write(server)
    pair.read(client)
    assert states(pair) == ("END", "END")


def test_open_and_close_sent_ahead() -> None:
    pair = Pair()
    client, server = pair.client, pair.server
    client.engine.open(pair.now)
    client.engine.close(pair.now)
    assert states(pair) == ("OC_PIPE", "START")
    pair.write(client)
    pair.read(server, 8)
    pair.write(server)
    pair.read(client)
    assert states(pair) == ("CLOSE_PIPE", "HDR_EXCH")
    pair.read(server)
    pair.handle(server)
    assert states(pair) == ("CLOSE_PIPE", "END")
    pair.write(server)
    opened = len(server.frames[1].raw)  # type: ignore[union-attr]
    pair.read(client, opened)
    assert states(pair) == ("CLOSE_SENT", "END")
    pair.read(client)
    assert states(pair) == ("END", "END")
    assert client.all(ConnectionClosed)[0].cause is None


def test_close_sent_after_the_header_came() -> None:
    pair = Pair()
    pair.server.answers = False
    pair.client.engine.open(pair.now)
    pair.pump()
    assert states(pair) == ("OPEN_SENT", "OPEN_RCVD")
    pair.client.engine.close(pair.now)
    assert states(pair) == ("CLOSE_PIPE", "OPEN_RCVD")


def test_a_close_with_an_error_discards() -> None:
    pair = Pair().open()
    pair.server.engine.close(pair.now, ERROR)
    assert states(pair) == ("OPENED", "DISCARDING")
    pair.pump()
    assert states(pair) == ("END", "END")


def test_a_server_that_refuses_the_open_discards() -> None:
    pair = Pair()
    pair.server.answers = False
    pair.client.engine.open(pair.now)
    pair.pump()
    pair.server.engine.close(pair.now, ERROR)
    assert states(pair) == ("OPEN_SENT", "DISCARDING")
    pair.pump()
    assert states(pair) == ("END", "END")


def test_the_sasl_layer_is_before_the_start() -> None:
    pair = Pair({"mechanisms": [sasl.Anonymous()]}, {"server_mechanisms": ("ANONYMOUS",)})
    pair.server.answers = False
    pair.client.engine.open(pair.now)
    assert states(pair) == ("START", "START")
    pair.pump()
    assert states(pair) == ("START", "START")
    pair.server.engine.sasl_outcome(pair.now, 0)
    pair.write(pair.server)
    pair.read(pair.client)
    assert states(pair) == ("OPEN_PIPE", "START")


@pytest.mark.parametrize("stop", range(4))
def test_the_end_of_the_stream_ends_it_anywhere(stop: int) -> None:
    pair = Pair()
    if stop:
        pair.client.engine.open(pair.now)
    if stop > 1:
        pair.pump()
    if stop > 2:
        pair.client.engine.close(pair.now)
    for side in pair.sides:
        side.engine.receive_data(b"", pair.now)
        pair.ended(side)
    assert states(pair) == ("END", "END")
