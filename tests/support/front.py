"""As small a front on `Outgoing` as can be, whose link is open, with a scripted peer at its other end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.peer import codec
from tests.peer.frames import data_message
from tests.peer.script import RECEIVER, SENDER
from tests.support.core import Client
from uamqp.core import Entry, LinkState, Outcome, OutcomeKind, Outgoing, SenderCore

TAKEN, REFUSED, LOST, SUSPECTED = OutcomeKind.TAKEN, OutcomeKind.REFUSED, OutcomeKind.LOST, OutcomeKind.SUSPECTED
TIMED_OUT, FAILED, RETURNED = OutcomeKind.TIMED_OUT, OutcomeKind.FAILED, OutcomeKind.RETURNED

ERROR = codec.error("amqp:not-allowed", "no")


class Policy:
    """Gives the answers that a test has written down, and notes what it is asked."""

    def __init__(self, *answers: float | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str | None, int]] = []

    def retry(self, condition: str | None, tries: int) -> float | None:
        self.asked.append((condition, tries))
        return self.answers.pop(0)


class Front(Outgoing):
    """As small as a front can be: its messages are bytes, and it notes what becomes of them."""

    def __init__(self, policy: Policy | None = None, stall_timeout: float = 80.0) -> None:
        super().__init__(policy, stall_timeout)
        self.outcomes: dict[Any, Outcome] = {}
        self.on_finished: Callable[[Entry], None] = lambda entry: None

    def encode(self, entry: Entry) -> bytes:
        return data_message(entry.item)

    def finished(self, entry: Entry, outcome: Outcome) -> None:
        assert entry.done
        assert entry.item not in self.outcomes
        self.outcomes[entry.item] = outcome
        self.on_finished(entry)

    @property
    def ends(self) -> dict[Any, OutcomeKind]:
        return {item: outcome.kind for item, outcome in self.outcomes.items()}


class Line(Client):
    """A front whose link is open, and a scripted peer that has given it credit."""

    def __init__(
        self, front: Front | None = None, credit: int = 10, *, begin: dict[str, Any] | None = None, **attach: Any
    ) -> None:
        super().__init__()
        self.front = Front() if front is None else front
        self.link = self.sender()
        self.front.begin_link(self.link, self.now)
        self.link.open(self.now)
        self.peer.accept_open()
        self.peer.accept_begin(**(begin or {}))
        self.peer.accept_attach(SENDER, **attach)
        if credit:
            self.peer.grant(credit)

    def reopen(self, name: str = "again", credit: int = 10) -> SenderCore:
        """The next link, after the peer has ended the one before."""
        self.peer.expect("detach")
        self.link = self.sender(name=name)
        self.front.begin_link(self.link, self.now)
        self.link.open(self.now)
        attached = self.peer.accept_attach(SENDER)
        self.peer.grant(credit, handle=attached["handle"])
        return self.link

    def add(self, *items: bytes, timeout: float | None = None) -> list[Entry]:
        return [self.front.add(item, self.now, timeout) for item in items]

    def sent(self) -> list[bytes]:
        """What the front hands over now, as it comes to the peer."""
        self.front.hand_over(self.now)
        return self.arrived()

    def arrived(self) -> list[bytes]:
        handed = self.link.sender.queued
        return [self.peer.expect("transfer").payload[5:] for _ in range(handed)]

    def say(self, first: int, state: Any, last: int | None = None) -> None:
        fields = {} if state is None else {"state": state}
        self.peer.send(
            "disposition", role=RECEIVER, first=first, last=first if last is None else last, settled=True, **fields
        )

    def end_link(self, condition: str = "amqp:internal-error") -> None:
        """As the peer does; the front is told, as its owner would."""
        self.peer.send("detach", handle=self.link.sender.remote_handle, closed=True, error=codec.error(condition))
        assert self.link.state is LinkState.LOST
        self.front.on_link_ended(condition)

    def expire(self, at: float) -> dict[Any, OutcomeKind]:
        self.now = at
        self.front.expire(at)
        return self.front.ends
