"""`SendReport`: what became of many messages; and those of them that are under way."""

from __future__ import annotations

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


class Many:
    """The messages of a `send_many`.

    Attributes:
        is_complete: whether all were taken in.
        failures: deliveries that have failed, by their number.
        left: how many have no outcome yet.
        mark: the signal fires when so few are left.
        signal: wakes the caller.
        stuck: one for which there was no room in the sender's queue.
        taken: how many were taken in.
    """

    __slots__ = ("failures", "is_complete", "left", "mark", "signal", "stuck", "taken")

    def __init__(self) -> None:
        self.failures: list[tuple[int, Delivery]] = []
        self.is_complete = False
        self.stuck: Message | None = None
        self.left = 0
        self.mark = 0
        self.signal = SoleSignal()
        self.taken = 0

    def decided(self, delivery: Delivery, number: int) -> None:
        """Note that one has its outcome. The lock is held."""
        self.left -= 1
        if delivery._error is not None:
            self.failures.append((number, delivery))
            self.signal.fire()
        elif self.left <= self.mark:
            self.signal.fire()

    def report(self) -> SendReport:
        """Return what became of them, once none is left."""
        failures = [delivery for _, delivery in sorted(self.failures, key=lambda each: each[0])]
        return SendReport(self.taken, self.taken - len(failures), tuple(failures))
