"""Frames from bytes: each byte decides something, so that mutated bytes make well-formed frames with odd contents.

Uses the codec of tests.peer, which encodes what the library's own would refuse.
"""

from __future__ import annotations

from typing import Any

from tests.peer import codec
from tests.peer.codec import Composite, WireError
from tests.peer.frames import EMPTY_FRAME, frame, performative

HANDLES = (0, 1, 0, 1, 2, 3, 5, 255, 256, 2**32 - 1)
CHANNELS = (0, 0, 0, 0, 0, 1, 1, 2, 7, 8, 65535)
NUMBERS = (0, 1, 2, 3, 4, 5, 10, 255, 256, 2**31 - 1, 2**31, 2**32 - 3, 2**32 - 2, 2**32 - 1)
NAMES = ("out", "in", "out", "in", "new", "other", "", "n" * 300, "\0", "é")
ERRORS: tuple[Any, ...] = (
    None,
    None,
    {"condition": codec.sym("test:error")},
    {"condition": codec.sym("amqp:link:redirect"), "info": {codec.sym("port"): codec.uint(5)}},
    {"condition": codec.sym("x" * 200), "description": "y" * 250},
)
STATES: tuple[Any, ...] = (
    None,
    Composite("accepted", {}),
    Composite("released", {}),
    Composite("rejected", {}),
    Composite("modified", {"delivery_failed": True}),
    Composite("received", {"section_number": 1, "section_offset": 2}),
    Composite("transactional_state", {"txn_id": b"txn", "outcome": Composite("accepted", {})}),
    codec.Described(codec.sym("unknown:state"), [1.5]),
)
PAYLOADS = (b"", b"x", b"\x00Su\xa0\x01x", b"y" * 100, b"z" * 400)
FLAGS = (None, None, True, False)


class Choices:
    """Decisions, one for each byte; when there are no bytes left, the first choice is taken."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._data)

    def of(self, choices: Any) -> Any:
        number = 0 if self.done else self._data[self._at]
        self._at += 1
        return choices[number % len(choices)]


def terminus(choose: Choices, name: str) -> Any:
    address = choose.of(("there", "here", None, "dynamic"))
    if address is None:
        return None
    fields: dict[str, Any] = {"dynamic": True} if address == "dynamic" else {"address": address}
    return Composite(name, fields)


def fields_of(name: str, choose: Choices) -> dict[str, Any]:
    """The fields of a performative; a field that isn't given keeps its default."""
    number, flag = NUMBERS, FLAGS
    maybe = (None, *NUMBERS)
    if name == "open":
        return {
            "container_id": choose.of(("peer", "")),
            "max_frame_size": choose.of((None, 512, 511, 0, 513, 2**32 - 1)),
            "channel_max": choose.of((None, 0, 1, 65535)),
            "idle_time_out": choose.of((None, 0, 1, 1000, 2**32 - 1)),
        }
    if name == "begin":
        return {
            "remote_channel": choose.of((None, 0, 1, 2, 65535)),
            "next_outgoing_id": choose.of(number),
            "incoming_window": choose.of(number),
            "outgoing_window": choose.of(number),
            "handle_max": choose.of(maybe),
        }
    if name == "attach":
        role = choose.of((True, False))
        return {
            "name": choose.of(NAMES),
            "handle": choose.of(HANDLES),
            "role": role,
            "snd_settle_mode": choose.of((None, 0, 1, 2)),
            "rcv_settle_mode": choose.of((None, 0, 1)),
            "source": terminus(choose, "source"),
            "target": terminus(choose, "target"),
            "initial_delivery_count": choose.of(maybe) if not role else None,
            "max_message_size": choose.of((None, 0, 1, 100, 2**64 - 1)),
        }
    if name == "flow":
        given = {
            "next_incoming_id": choose.of(maybe),
            "incoming_window": choose.of(number),
            "next_outgoing_id": choose.of(number),
            "outgoing_window": choose.of(number),
            "handle": choose.of((*HANDLES, None)),
            "echo": choose.of(flag),
        }
        if given["handle"] is not None:
            given |= {"delivery_count": choose.of(maybe), "link_credit": choose.of(maybe), "drain": choose.of(flag)}
        return given
    if name == "transfer":
        tag = choose.of((b"tag 0", b"tag 1", b"", b"t" * 33, None))
        return {
            "handle": choose.of(HANDLES),
            "delivery_id": choose.of(maybe),
            "delivery_tag": tag,
            "message_format": choose.of((0, None, 5, 2**32 - 1)),
            "settled": choose.of(flag),
            "more": choose.of(flag),
            "state": choose.of(STATES),
            "aborted": choose.of((None, None, None, True)),
        }
    if name == "disposition":
        return {
            "role": choose.of((True, False)),
            "first": choose.of(number),
            "last": choose.of(maybe),
            "settled": choose.of(flag),
            "state": choose.of(STATES),
        }
    given = {"error": error(choose)}
    if name == "detach":
        given |= {"handle": choose.of(HANDLES), "closed": choose.of(flag)}
    return given


def error(choose: Choices) -> Any:
    given = choose.of(ERRORS)
    return None if given is None else Composite("error", given)


PERFORMATIVES = (
    *("flow", "transfer", "disposition", "attach", "flow", "transfer", "disposition", "detach"),
    *("begin", "end", "attach", "transfer", "open", "close", "empty"),
)


def frames(data: bytes) -> list[bytes]:
    """The frames that these bytes decide on."""
    choose = Choices(data)
    made: list[bytes] = []
    while not choose.done:
        name = choose.of(PERFORMATIVES)
        if name == "empty":
            made.append(EMPTY_FRAME)
            continue
        channel = choose.of(CHANNELS)
        given = {field: value for field, value in fields_of(name, choose).items() if value is not None}
        payload = choose.of(PAYLOADS) if name == "transfer" else b""
        try:
            made.append(frame(performative(name, **given), payload, channel=channel))
        except WireError:
            continue
    return made
