"""A consumer of the embedded broker's nodes, without a connection."""

from __future__ import annotations

from uamqp.testing.nodes import Consumer, StoredMessage


class Eater(Consumer):
    """A consumer with as much credit as the test gives it."""

    def __init__(self, number: int, credit: int = 0, browsing: bool = False) -> None:
        super().__init__(number, browsing)
        self.credit = credit
        self.got: list[StoredMessage] = []

    def room(self) -> int:
        return self.credit

    def deliver(self, message: StoredMessage, now: float) -> None:
        assert self.credit > 0
        self.credit -= 1
        self.got.append(message)

    def bodies(self) -> list[bytes]:
        """What it got since the last look."""
        got, self.got = self.got, []
        return [message.payload for message in got]
