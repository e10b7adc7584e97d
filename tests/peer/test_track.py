"""Tests of the tracker: what breaks the specification fails, what keeps it passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.peer.frames import (
    frame,
    performative,
)
from tests.peer.script import RECEIVER, MemoryPeer

from .helpers import (
    BEGIN,
    OPEN,
    attach_frame,
    failing,
    opened,
    transfer_frame,
    with_session,
    with_their_receiver,
    with_their_sender,
)

FLOW = {"next_incoming_id": 0, "incoming_window": 5, "next_outgoing_id": 0, "outgoing_window": 5}


def flow_frame(**fields: Any) -> bytes:
    return frame(performative("flow", **{**FLOW, **fields}))


def broken(make: Callable[[], MemoryPeer], data: bytes, text: str) -> tuple[Any, ...]:
    return make, data, text


BROKEN = [
    broken(opened, OPEN, "a second open"),
    broken(MemoryPeer, BEGIN, "begin before open"),
    broken(MemoryPeer, frame(performative("open", container_id="x"), channel=1), "another channel than 0"),
    broken(opened, frame(performative("close")) * 2, "a frame after close"),
    broken(opened, frame(performative("end")), "where they have no session"),
    broken(opened, frame(performative("end")), "end on channel 0"),
    broken(with_session, BEGIN, "in use"),
    broken(
        opened,
        frame(performative("begin", remote_channel=4, next_outgoing_id=0, incoming_window=1, outgoing_window=1)),
        "no begin to be answered",
    ),
    broken(with_session, frame(performative("end")) + BEGIN, "in use"),
    broken(with_session, frame(performative("end")) * 2, "where they have no session"),
    broken(with_session, attach_frame(name="a") + attach_frame(name="b"), "handle 0, which is in use"),
    broken(with_session, attach_frame() + attach_frame(handle=1), "attached already"),
    broken(with_session, attach_frame(initial_delivery_count=None), "without initial-delivery-count"),
    broken(with_session, frame(performative("detach", handle=0)), "handle 0, which is not attached"),
    broken(with_their_sender, frame(performative("detach", handle=0)) * 2, "not attached"),
    broken(with_session, flow_frame(next_outgoing_id=1), "next-outgoing-id must be 0"),
    broken(with_session, flow_frame(next_incoming_id=1), "ahead of what we sent"),
    broken(with_session, flow_frame(link_credit=1), "link_credit without a handle"),
    broken(with_session, flow_frame(handle=1), "handle 1 is not attached"),
    broken(with_their_sender, flow_frame(handle=0), "without delivery-count"),
    broken(with_their_sender, flow_frame(handle=0, delivery_count=1), "but 0 deliveries began"),
    broken(with_their_receiver, flow_frame(handle=0, delivery_count=1, link_credit=1), "is ahead of ours"),
    broken(with_their_sender, transfer_frame(0), "a delivery without credit"),
    broken(lambda: with_their_sender(1), transfer_frame(0) + transfer_frame(1), "a delivery without credit"),
    broken(lambda: with_their_sender(9), b"".join(map(transfer_frame, range(3))), "outside our incoming-window"),
    broken(lambda: with_their_sender(9), transfer_frame(0) + transfer_frame(2), "delivery-id 2 after 0"),
    broken(lambda: with_their_sender(9), transfer_frame(0, delivery_tag=None), "needs delivery-id"),
    broken(lambda: with_their_sender(9), transfer_frame(0, delivery_id=None), "needs delivery-id"),
    broken(lambda: with_their_sender(9), transfer_frame(0, delivery_tag=b"x" * 33), "too long"),
    broken(
        lambda: with_their_sender(9), transfer_frame(0) + transfer_frame(1, delivery_tag=b"0"), "in use or too long"
    ),
    broken(lambda: with_their_sender(9), transfer_frame(0, more=True) + transfer_frame(1), "amid the transfers"),
    broken(
        lambda: with_their_sender(9),
        transfer_frame(0, more=True) + transfer_frame(0, delivery_tag=b"x"),
        "delivery-tag b'x' amid",
    ),
    broken(lambda: with_their_sender(9), transfer_frame(0, handle=1), "handle 1, which is no sender's"),
    broken(with_their_receiver, transfer_frame(0), "handle 0, which is no sender's"),
    broken(lambda: with_their_sender(9, max_message_size=3), transfer_frame(0, b"four"), "our max-message-size is 3"),
    broken(
        lambda: with_their_sender(9, max_message_size=3),
        transfer_frame(0, b"fo", more=True) + transfer_frame(0, b"ur"),
        "4 bytes; our max-message-size is 3",
    ),
    broken(with_their_receiver, frame(performative("disposition", role=True, first=0)), "delivery 0; we have sent"),
    broken(with_their_sender, frame(performative("disposition", role=False, first=0)), "delivery 0; they have sent"),
    broken(
        lambda: with_their_sender(9),
        transfer_frame(0) + transfer_frame(1) + frame(performative("disposition", role=False, first=1, last=0)),
        "last 0 is behind first 1",
    ),
]


@pytest.mark.parametrize(("make", "data", "text"), BROKEN, ids=[text for _, _, text in BROKEN])
def test_the_tracker_fails_what_breaks_the_specification(make: Any, data: bytes, text: str) -> None:
    def read() -> None:
        while peer._next(0.0, "anything") is not None:
            pass

    peer = make()
    peer.feed(data)
    failing(peer, read, text, "what the specification allows")
    peer = make()
    peer.strict = False
    peer.feed(data)
    read()


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (with_session, flow_frame(echo=True)),
        (with_session, frame(performative("end"))),
        (with_session, attach_frame() + attach_frame(RECEIVER, 1) + frame(performative("detach", handle=0))),
        (with_session, attach_frame() + frame(performative("detach", handle=0)) + attach_frame()),
        (lambda: with_their_sender(2), transfer_frame(0) + transfer_frame(1)),
        (lambda: with_their_sender(1), transfer_frame(0, more=True) + transfer_frame(0, delivery_id=None)),
        (lambda: with_their_sender(1), transfer_frame(0, more=True) + transfer_frame(0, aborted=True)),
        (lambda: with_their_sender(2), flow_frame(handle=0, delivery_count=2, link_credit=0, drain=True)),
        (lambda: with_their_sender(2), transfer_frame(2**32 - 1) + transfer_frame(0)),
        (
            lambda: with_their_sender(2),
            transfer_frame(0)
            + frame(performative("disposition", role=False, first=0, settled=True))
            + transfer_frame(1, delivery_tag=b"0"),
        ),
        (with_their_receiver, flow_frame(handle=0, delivery_count=0, link_credit=5)),
    ],
)
def test_the_tracker_passes_what_the_specification_allows(make: Any, data: bytes) -> None:
    peer = make()
    peer.feed(data)
    while peer._next(0.0, "anything") is not None:
        pass


def test_settle_modes_are_held() -> None:
    for mode, settled in ((1, False), (0, True)):
        peer = with_session()
        peer.feed(attach_frame(snd_settle_mode=mode))
        peer.accept_attach()
        peer.grant(5)
        peer.feed(transfer_frame(0, settled=settled))
        failing(peer, lambda peer=peer: peer.expect("transfer"), "of snd-settle-mode")  # type: ignore[misc]
        peer = with_session()
        peer.feed(attach_frame(snd_settle_mode=mode))
        peer.accept_attach()
        peer.grant(5)
        peer.feed(transfer_frame(0, settled=not settled))
        peer.expect("transfer")
