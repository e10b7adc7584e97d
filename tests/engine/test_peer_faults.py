"""Whatever reading the peer's bytes raises: it ends the connection, with an error, and comes out nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer.codec import Raw
from tests.peer.frames import frame, performative
from tests.peer.script import ANY
from tests.support.peered import ConnectionClosed, ConnectionOpened, Rig
from uamqp.codec import Composite
from uamqp.engine import CauseKind, EngineConfig

INTERNAL = "amqp:internal-error"
KEYS = {
    "an array": "e00402540102",
    "an array of a list": "e00701c00402540145",
    "an array of arrays": "e00501e0020145",
    "a list of arrays": "c00701e00402540102",
    "a map": "c10100",
    "an array of maps": "e00401c10100",
    "a described list": "00530145",
    "a described array": "005301e0020040",
    "a signalling NaN": "847e00000000000001",
    "a uuid": "98" + "07" * 16,
}


def map_of(key: str) -> Raw:
    content = bytes.fromhex(key) + b"\x40"
    return Raw(bytes((0xC1, len(content) + 1, 2)) + content)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("begin", "properties"),
        ("attach", "properties"),
        ("attach", "unsettled"),
        ("flow", "properties"),
        ("transfer", "state"),
        ("disposition", "state"),
        ("close", "error"),
    ],
)
def test_maps_with_keys_that_are_odd(rig: Rig, name: str, field: str, key: str) -> None:
    """They are refused, or of no consequence."""
    rig.open()
    rig.peer.strict = False  # it doesn't see what is sent raw
    rig.receiver(credit=1)
    usual: dict[str, dict[str, Any]] = {
        "begin": {"next_outgoing_id": 0, "incoming_window": 1, "outgoing_window": 1},
        "attach": {"name": "x", "handle": 9, "role": True},
        "flow": {"next_incoming_id": 0, "incoming_window": 1, "next_outgoing_id": 0, "outgoing_window": 1},
        "transfer": {"handle": 0, "delivery_id": 0, "delivery_tag": b"t"},
        "disposition": {"role": False, "first": 0, "settled": True},
        "close": {},
    }
    value = map_of(key)
    if field == "state":  # modified, with annotations
        value = Raw(b"\x00\x53\x27\xc0" + bytes((len(value.data) + 3, 3)) + b"\x40\x40" + value.data)
    elif field == "error":
        text = b"\xa3\x01e\x40" + value.data
        value = Raw(b"\x00\x53\x1d\xc0" + bytes((len(text) + 1, 3)) + text)
    rig.peer.send_raw(frame(performative(name, **usual[name], **{field: value}), channel=int(name == "begin")))
    events = rig.drop_events()
    if rig.engine.is_closed:
        assert type(events[-1]) is ConnectionClosed
        cause = rig.engine.cause
        assert cause is not None
        assert (cause.condition, cause.exception) == ("amqp:decode-error", None)
        rig.peer.expect("close", error={"condition": "amqp:decode-error", "description": ANY})
    else:
        assert field == "unsettled"


class Falling:
    """A trace that raises for the frames of the peer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, direction: str, channel: int, performative: Composite | None, size: int) -> None:
        if direction == "<-":
            raise self.error


@pytest.mark.parametrize("kind", [ValueError, TypeError, KeyError, RecursionError, MemoryError, SystemError, OSError])
@pytest.mark.parametrize("name", ["transfer", "disposition", "flow", "empty"])
def test_what_nobody_foresaw(rig: Rig, name: str, kind: type[Exception]) -> None:
    rig.open()
    rig.receiver(credit=1)
    error = kind("who would have thought")
    rig.engine.trace = Falling(error)
    bodies = {
        "transfer": performative("transfer", handle=0, delivery_id=0, delivery_tag=b"t"),
        "disposition": performative("disposition", role=False, first=0),
        "flow": performative("flow", next_incoming_id=0, incoming_window=1, next_outgoing_id=0, outgoing_window=1),
        "empty": b"",
    }
    rig.peer.send_raw(frame(bodies[name]) + frame(performative("close")))
    cause = rig.connection_fails(INTERNAL)
    assert cause.exception is error
    assert f"{kind.__name__}: " in cause.message
    assert "who would have thought" in cause.message


def test_an_interrupt_is_no_fault_of_the_peer(rig: Rig) -> None:
    """What was being read is lost, so the connection is over; the interrupt goes on its way."""
    rig.open()
    rig.receiver(credit=1)
    rig.engine.trace = Falling(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rig.peer.send_raw(frame(performative("transfer", handle=0, delivery_id=0, delivery_tag=b"t")))
    cause = rig.connection_fails(INTERNAL, kind=CauseKind.LOCAL)
    assert "interrupted by KeyboardInterrupt" in cause.message


SECRET = "hunter2"


class Broken:
    """A mechanism that fails as only somebody else's code can."""

    name = "BROKEN"

    def __init__(self, at: str) -> None:
        self.at = at

    def initial_response(self) -> bytes:
        if self.at == "initial response":
            raise LookupError(SECRET)
        return b""

    def step(self, challenge: bytes) -> bytes:
        raise LookupError(SECRET)


@pytest.mark.parametrize("at", ["initial response", "challenge", "frame"])
def test_a_mechanism_that_fails(rig: Rig, at: str) -> None:
    rig.start(mechanisms=[Broken(at)])
    assert isinstance(rig.engine.config, EngineConfig)
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    if at == "frame":
        rig.engine.trace = Falling(LookupError(SECRET))
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["BROKEN"])
    if at == "challenge":
        rig.peer.expect("sasl_init")
        rig.peer.send("sasl_challenge", challenge=b"")
    closed = rig.event(ConnectionClosed)
    assert closed.cause is not None
    assert closed.cause.exception is None
    assert "LookupError" in closed.cause.message
    assert SECRET not in repr(closed)
    assert SECRET not in closed.cause.message
    rig.done()


@pytest.mark.parametrize("kind", [bytearray, memoryview, type("Mine", (bytes,), {})])
def test_bytes_of_another_kind(rig: Rig, kind: Any) -> None:
    rig.start()
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    data = b"AMQP\x00\x01\x00\x00" + frame(performative("open", container_id="peer"))
    for piece in (data[:3], data[3:20], data[20:]):
        rig.engine.receive_data(kind(piece), rig.now)
    rig.event(ConnectionOpened)
    rig.done()
