"""The engine reads the same from a stream, wherever the transport cuts it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer import codec
from tests.peer.script import RECEIVER, SENDER
from tests.support.peered import Rig, error
from uamqp.codec import ACCEPTED, Source, Target
from uamqp.engine import Engine, EngineConfig, IncomingDelivery, LocalProtocolError, Receiver, Sender
from uamqp.engine.events import ConnectionOpened, LinkOpened, SessionOpened
from uamqp.engine.sasl import Plain


class Conversation:
    """A client that reacts to events by a fixed rule, so that the same input gives the same output."""

    def __init__(self) -> None:
        self.engine = Engine(EngineConfig("me", mechanisms=[Plain("u", "p")]), 0.0)
        self.engine.open(0.0)
        self.events: list[str] = []
        self.output = b""
        self.turn()

    def receive(self, data: bytes) -> None:
        self.engine.receive_data(data, 0.0)
        self.turn()

    def turn(self) -> None:
        busy = True
        while busy:
            busy = False
            for event in self.engine.events():
                busy = True
                self.react(event)
            for piece in self.engine.data_to_send():
                busy = True
                self.output += bytes(piece)

    def react(self, event: Any) -> None:
        self.events.append(type(event).__name__)
        try:
            self.answer(event)
        except LocalProtocolError:
            self.events.append("too late")

    def answer(self, event: Any) -> None:
        if isinstance(event, ConnectionOpened):
            self.engine.begin(0.0)
        elif isinstance(event, SessionOpened):
            event.session.attach_sender(0.0, "out", source=Source(), target=Target("q"))
            event.session.attach_receiver(0.0, "in", source=Source("q"), target=Target())
        elif isinstance(event, LinkOpened) and isinstance(event.link, Receiver):
            event.link.set_credit(10)
        elif isinstance(event, LinkOpened) and isinstance(event.link, Sender):
            event.link.send(b"first" * 200)
            event.link.send(b"second")
        elif isinstance(event, IncomingDelivery):
            self.events.append(repr(event.payload))
            if not event.settled:
                event.settle(ACCEPTED)


def script() -> bytes:
    """All that the peer says, written by a peer of its own."""
    rig = Rig()
    peer = rig.peer
    said = bytearray()
    peer.memory.push = said.extend
    peer.send_header("SASL")
    peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS", "PLAIN"])
    peer.send("sasl_outcome", code=0)
    peer.send_header("AMQP")
    peer.send_empty_frame()
    peer.send("open", container_id="peer", max_frame_size=600, idle_time_out=10_000, properties={"k": "v"})
    peer.send("begin", remote_channel=0)
    peer.send("attach", name="out", handle=0, role=RECEIVER, source=codec.source(), target=codec.target(address="q"))
    peer.send("attach", name="in", handle=1, role=SENDER, source=codec.source(address="q"), initial_delivery_count=0)
    peer.send("flow", next_incoming_id=0, handle=0, delivery_count=0, link_credit=2)
    peer.send_delivery(b"one", handle=1)
    peer.send_delivery(bytes(range(256)), handle=1, frame_payload=100)
    peer.send("transfer", handle=1, delivery_id=2, delivery_tag=b"t", more=True, payload=b"never")
    peer.send("transfer", handle=1, aborted=True)
    peer.send_delivery(b"", handle=1, settled=True, symbolic=True)
    peer.send("disposition", role=RECEIVER, first=0, last=1, settled=True, state=codec.accepted())
    peer.send("flow", next_incoming_id=3, echo=True, padded=True)
    peer.send("detach", handle=0, closed=True, error=error("amqp:resource-deleted", "gone"))
    peer.send("end")
    peer.send("close")
    return bytes(said)


SAID = script()


def test_the_conversation_is_what_it_should_be() -> None:
    conversation = Conversation()
    for at in range(len(SAID)):
        conversation.receive(SAID[at : at + 1])
    expected = (
        "ConnectionOpened SessionOpened LinkOpened LinkOpened CreditChanged IncomingDelivery b'one' "
        f"IncomingDelivery {bytes(range(256))!r} IncomingDelivery b'' OutgoingDelivery OutgoingDelivery "
        "LinkDetached LinkDetached SessionEnded ConnectionClosed"
    )
    assert " ".join(conversation.events) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 13, 64, 100, 1000])
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    """After the opening every frame may be cut anywhere; up to it the client's own turns must not differ."""
    by_one, by_size = Conversation(), Conversation()
    opening = SAID.index(b"\x00\x53\x13") - 8  # up to the first flow
    for conversation, step in ((by_one, 1), (by_size, size)):
        for at in range(opening):
            conversation.receive(SAID[at : at + 1])
        for at in range(opening, len(SAID), step):
            conversation.receive(SAID[at : at + step])
    assert by_size.events[-3:] == by_one.events[-3:]
    assert [e for e in by_size.events if e.startswith("b'")] == [e for e in by_one.events if e.startswith("b'")]


def test_two_pieces_cut_anywhere_give_the_same() -> None:
    """The engine takes up a frame when it is whole: whatever the cut, what it has said and reported is the same."""
    boundaries = frame_boundaries(SAID)
    for cut in range(1, len(SAID)):
        one, two = Conversation(), Conversation()
        upto = max(boundary for boundary in boundaries if boundary <= cut)
        if upto:
            one.receive(SAID[:upto])
        one.receive(SAID[upto:])
        two.receive(SAID[:cut])
        two.receive(SAID[cut:])
        assert two.events == one.events, cut
        assert two.output == one.output, cut


def frame_boundaries(data: bytes) -> list[int]:
    """Where headers and frames begin."""
    boundaries, at = [0], 0
    while at < len(data):
        at += 8 if data[at : at + 4] == b"AMQP" else int.from_bytes(data[at : at + 4], "big")
        boundaries.append(at)
    return boundaries
