"""The trace: every frame of the wire once, in its direction, as it is there; and that secrets show up nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer.codec import Composite as WireComposite
from tests.peer.codec import Reader
from tests.peer.frames import SASL_HEADER, Frame, frame, performative
from tests.support.pair import START, Pair, Side, each_byte
from uamqp.codec import ACCEPTED, Composite, Error, Rejected, Symbol
from uamqp.engine import Engine, EngineConfig, IncomingDelivery, Role, sasl
from uamqp.engine import events as event_classes

SECRET = "hunter2-zyxwvu"
USER = "nobody-knows"


class Challenged:
    """A mechanism whose responses are secrets."""

    name = "TEST"

    def initial_response(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        return challenge + SECRET.encode()


class Tracing:
    """A pair, both of whose engines are traced."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.calls: dict[Side, list[tuple[str, int, Composite | None, int]]] = {}
        for side in pair.sides:
            calls = self.calls[side] = []
            side.engine.trace = lambda *call, calls=calls: calls.append(call)

    def of(self, side: Side, direction: str) -> list[tuple[int, Composite | None, int]]:
        return [call[1:] for call in self.calls[side] if call[0] == direction]

    def check(self) -> None:
        for side in self.pair.sides:
            assert {call[0] for call in self.calls[side]} <= {"->", "<-"}
            frames = [one for one in side.frames if isinstance(one, Frame)]
            same(frames, self.of(side, "->"))
            same(frames, self.of(self.pair.other(side), "<-"))


def same(frames: list[Frame], traced: list[tuple[int, Composite | None, int]]) -> None:
    assert len(frames) == len(traced)
    for wire, (channel, shown, size) in zip(frames, traced, strict=True):
        assert channel == wire.channel
        assert size == len(wire.payload), wire
        if shown is None:
            assert wire.body is None
            continue
        assert wire.body is not None
        again = Reader(shown.encode()).value()
        assert isinstance(again, WireComposite)
        assert again.name == wire.body.name
        for name in {**again.fields, **wire.fields}:
            if name in ("initial_response", "response") and wire.body[name] is not None:
                assert again[name] == b"***"
            else:
                assert again.get(name) == wire.body.get(name), (name, shown, wire)


@pytest.mark.parametrize("pieces", [None, each_byte])
def test_a_whole_conversation(pieces: Any) -> None:
    pair = Pair(
        {"mechanisms": [sasl.Plain(USER, SECRET)]},
        {"server_mechanisms": ("PLAIN",), "max_frame_size": 512, "idle_timeout": 30.0},
        pieces=pieces,
    )
    tracing = Tracing(pair)
    pair.open()
    session, _ = pair.begin()
    sender, receiver = pair.link(session, rcv_settle_mode=1)
    back, mine = pair.link(session, "back", receive=True)
    receiver.set_credit(10)
    mine.auto_credit(4)
    pair.pump()
    sender.send(b"small", message_format=7, tag=b"tag")
    sender.send(b"x" * 2000)
    sender.send(b"")
    sender.send(b"settled", settled=True)
    sender.send(b"with a state", state=Rejected(Error(Symbol("a"), "b" * 300)))
    for _ in range(10):
        back.send(b"y" * 600)
    pair.pump()
    for event in pair.server.drop() + pair.client.drop():
        if type(event) is IncomingDelivery and not event.settled:
            event.settle(ACCEPTED)
    receiver.set_credit(5, drain=True)
    pair.pump()
    sender.drained()
    pair.wait(20.0)
    assert pair.client.sent("empty")
    assert pair.client.sent("disposition")
    sender.detach(pair.now, Error(Symbol("a"), "b"))
    pair.pump()
    session.end(pair.now)
    pair.pump()
    pair.close()
    tracing.check()


def test_an_aborted_delivery() -> None:
    pair = Pair({}, {"max_frame_size": 512})
    pair.server.session_options = {"incoming_window": 2}
    tracing = Tracing(pair)
    sender, receiver = pair.both()
    receiver.set_credit(1)
    pair.pump()
    delivery = sender.send(b"x" * 3000)
    pair.write(pair.client)
    delivery.abort()
    pair.pump()
    (aborted,) = [one for one in pair.client.sent("transfer") if one["aborted"]]
    assert aborted.payload == b""
    pair.close()
    tracing.check()


def test_frames_that_end_the_connection_are_traced() -> None:
    pair = Pair().open()
    tracing = Tracing(pair)
    pair.client.put(frame(performative("end"), channel=3), pair.server)
    pair.read(pair.server)
    pair.pump()
    assert [type(call[1]).__name__ for call in tracing.of(pair.server, "<-")] == ["End"]
    assert [type(call[1]).__name__ for call in tracing.of(pair.server, "->")] == ["Close"]


def test_no_trace_no_difference() -> None:
    """Tracing changes nothing of what goes over the wire."""
    wires = []
    for traced in (False, True):
        pair = Pair({"mechanisms": [sasl.Anonymous("me")]}, {"server_mechanisms": ("ANONYMOUS",)})
        if traced:
            Tracing(pair)
        sender, receiver = pair.both()
        receiver.auto_credit(3)
        for number in range(10):
            sender.send(b"%d" % number)
        pair.pump()
        pair.close()
        wires.append((bytes(pair.client.received), bytes(pair.server.received)))
    assert wires[0] == wires[1]


# -- secrets


def shown(*things: Any) -> str:
    """Everything that a log could show of these."""
    return " ".join(f"{thing!r} {thing!s}" for thing in things)


def conversation(client: Any, server: Any, challenges: list[bytes], code: int) -> tuple[Pair, str]:
    """A SASL exchange; all that can be seen of it."""
    pair = Pair({"mechanisms": [client]}, {"server_mechanisms": server})
    tracing = Tracing(pair)
    pair.server.answers = False
    pair.client.engine.open(pair.now)
    pair.pump()
    for challenge in challenges:
        pair.server.engine.sasl_challenge(pair.now, challenge)
        pair.pump()
    pair.server.engine.sasl_outcome(pair.now, code)
    pair.pump()
    things: list[Any] = [client]
    for side in pair.sides:
        engine = side.engine
        things += [engine, engine.config, engine.cause, engine.state, *side.events, *tracing.calls[side]]
    return pair, shown(*things)


@pytest.mark.parametrize("code", range(5))
def test_secrets_of_sasl_are_shown_nowhere(code: int) -> None:
    pair, text = conversation(sasl.Plain(USER, SECRET), ("PLAIN",), [], code)
    (init,) = pair.server.all(event_classes.SaslInit)
    assert init.response == b"\0" + USER.encode() + b"\0" + SECRET.encode()
    assert SECRET not in text
    pair, text = conversation(Challenged(), ("TEST",), [b"one", b"two"], code)
    assert [event.response for event in pair.server.all(event_classes.SaslResponse)] == [
        challenge + SECRET.encode() for challenge in (b"one", b"two")
    ]
    assert SECRET not in text


def test_an_absent_response_is_shown_as_absent() -> None:
    pair = Pair({"mechanisms": [Challenged()]}, {"server_mechanisms": ("TEST",)})
    tracing = Tracing(pair)
    pair.client.engine.open(pair.now)
    pair.pump()
    (init,) = [call[1] for call in tracing.of(pair.client, "->") if type(call[1]).__name__ == "SaslInit"]
    assert getattr(init, "initial_response", "") is None


INIT = performative(
    "sasl_init", mechanism="PLAIN", initial_response=b"\0" + USER.encode() + b"\0" + SECRET.encode(), hostname="here"
)


@given(st.data())
def test_a_damaged_init_does_not_give_the_secret_away(data: st.DataObject) -> None:
    """Whatever is wrong with the frame: no error text quotes what may be a password."""
    body = bytearray(INIT)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        if data.draw(st.booleans()):
            body[at] = data.draw(st.integers(0, 255))
        else:
            body[at:at] = data.draw(st.binary(max_size=3))
    calls: list[Any] = []
    config = EngineConfig("me", role=Role.SERVER, server_mechanisms=("PLAIN",))
    engine = Engine(config, START, trace=lambda *call: calls.append(call))
    engine.receive_data(SASL_HEADER + frame(bytes(body), type_=1), START)
    engine.receive_data(b"", START)
    text = shown(engine.cause, *engine.events(), *calls)
    # Half a secret is one as well. The mechanism's and the virtual host's name are none: damage can put it there.
    if not any(word in text for word in ("mechanism='", "hostname='")):
        assert not any(SECRET[at : at + 6] in text for at in range(len(SECRET) - 5)), text
