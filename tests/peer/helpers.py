"""What the tests of the peer share: frames, and peers that have got so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.frames import (
    AMQP_HEADER,
    frame,
    performative,
)
from tests.peer.script import RECEIVER, SENDER, MemoryPeer, Peer, ScriptFailure

OPEN = frame(performative("open", container_id="me", max_frame_size=65536))
BEGIN = frame(performative("begin", next_outgoing_id=0, incoming_window=10, outgoing_window=10))


def attach_frame(role: bool = SENDER, handle: int = 0, name: str = "link", **fields: Any) -> bytes:
    if role == SENDER:
        fields.setdefault("initial_delivery_count", 0)
    return frame(performative("attach", name=name, handle=handle, role=role, **fields))


def transfer_frame(number: int, payload: bytes = b"x", **fields: Any) -> bytes:
    given: dict[str, Any] = {"handle": 0, "delivery_id": number, "delivery_tag": b"%d" % number, **fields}
    return frame(performative("transfer", **given), payload)


def opened() -> MemoryPeer:
    """A peer that has accepted an open."""
    peer = MemoryPeer()
    peer.feed(AMQP_HEADER + OPEN)
    peer.accept_open()
    peer.take()
    return peer


def with_session() -> MemoryPeer:
    peer = opened()
    peer.feed(BEGIN)
    peer.accept_begin(incoming_window=2)
    peer.take()
    return peer


def with_their_sender(credit: int = 0, **answer: Any) -> MemoryPeer:
    peer = with_session()
    peer.feed(attach_frame(SENDER, source=codec.source(), target=codec.target(address="q")))
    peer.accept_attach(role=SENDER, **answer)
    if credit:
        peer.grant(credit)
    peer.take()
    return peer


def with_their_receiver() -> MemoryPeer:
    peer = with_session()
    peer.feed(attach_frame(RECEIVER, source=codec.source(address="q"), target=codec.target()))
    peer.accept_attach(role=RECEIVER)
    peer.take()
    return peer


def failing(peer: Peer, do: Callable[[], Any], *texts: str) -> None:
    with pytest.raises(ScriptFailure) as caught:
        do()
    for text in texts:
        assert text in str(caught.value)
