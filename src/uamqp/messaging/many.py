"""`SendReport`: what became of many messages; and those of them that are under way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..transport.signals import SoleSignal

if TYPE_CHECKING:
    from .delivery import Delivery
    from .message import Message

OnFailure: TypeAlias = Literal["raise", "collect"]


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of the messages of a `send_many`.

    Attributes:
        taken: how many were taken in.
        accepted: how many of them were accepted.
        failures: the deliveries of the others, in their order.
    """

    taken: int
    accepted: int
    failures: tuple[Delivery, ...]

    def __repr__(self) -> str:
        return f"SendReport(taken={self.taken}, accepted={self.accepted}, failures=<{len(self.failures)} deliveries>)"


class Many:
    """The messages of a `send_many`.

    They are staged, then taken in together: to take each in by a step of its own would take longer than all the rest.

    Args:
        timeout: seconds from when it is taken in until each times out; None for never.

    Attributes:
        done: how many of the staged ones were taken in.
        due: when to take in what is staged although its producer hasn't said so, in monotonic seconds; `math.inf` as
            long as nothing is.
        failures: deliveries that have failed, by their number.
        is_complete: whether all were staged.
        left: how many that were taken in have no outcome yet.
        mark: the signal fires when so few are left.
        payloads: the encoded messages of `staged`.
        signal: wakes the caller.
        staged: messages that are ready to be taken in. Only the producer appends to it, without the lock.
        taken: how many were taken in.
        timeout: see above.
    """

    __slots__ = (
        "done", "due", "failures", "is_complete", "left", "mark", "payloads", "signal", "staged", "taken", "timeout",
    )  # fmt: skip

    def __init__(self, timeout: float | None) -> None:
        self.done = 0
        self.due = math.inf
        self.failures: list[tuple[int, Delivery]] = []
        self.is_complete = False
        self.left = 0
        self.mark = 0
        self.payloads: list[bytes] = []
        self.signal = SoleSignal()
        self.staged: list[Message] = []
        self.taken = 0
        self.timeout = timeout

    def stage(self, message: Message, payload: bytes) -> None:
        """Stage a message. The lock isn't held."""
        self.payloads.append(payload)  # first: whoever takes it in goes by the other
        self.staged.append(message)

    def clear(self) -> None:
        """Forget what was staged, all of which was taken in. Only the producer calls it, with the lock held."""
        if self.done:
            self.staged.clear()
            self.payloads.clear()
            self.done = 0

    def report(self) -> SendReport:
        """Return what became of them, once none is left."""
        failures = [delivery for _, delivery in sorted(self.failures, key=lambda each: each[0])]
        return SendReport(self.taken, self.taken - len(failures), tuple(failures))
