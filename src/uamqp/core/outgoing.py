"""What becomes of messages on their way out: hand-over, outcomes, retries, time-outs."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Protocol

from ..codec import ACCEPTED, Accepted, Received, Rejected
from ..engine import LocalProtocolError, OutgoingDelivery
from .failure import NO_MESSAGES_FAULT
from .link import LinkHandler, SenderCore
from .outbox import Entry, Group, Outbox
from .timers import Timers

# As much is encoded before it is written: the peer deals with it while the rest is encoded.
_HAND_OVER_BYTES = 1024 * 1024
_HAND_OVER_MESSAGES = 256
_LOOKS = 8
"""How often in a stall time-out outcomes are looked for that are lost while others come."""


class OutcomeKind(enum.Enum):
    """What became of a message."""

    TAKEN = "taken"
    """The receiver has accepted it or, which means the same, settled it without saying what it did (section 3.4)."""
    REFUSED = "refused"
    """The receiver has rejected, released or modified it."""
    LOST = "lost"
    """The link went before the receiver had settled it."""
    SUSPECTED = "suspected"
    """It was alone on its way when the peer ended the link with an error, and counts as refused for that."""
    TIMED_OUT = "timed out"
    """Its deadline has passed, or nothing moved for too long."""
    FAILED = "failed"
    """It can't be sent: it couldn't be encoded, or is larger than the peer takes."""
    RETURNED = "returned"
    """Who has sent it took it back, and it has no outcome."""


_TAKEN = OutcomeKind.TAKEN
_LOST = OutcomeKind.LOST


class Outcome:
    """What became of one message.

    Attributes:
        kind: which of the possibilities it is.
        state: the receiver's last delivery state; None: it gave none.
        condition: of the receiver's error, or of the link's end for `SUSPECTED`; None: there is none.
        error: what was raised, for `FAILED`. `retry` may keep the front's own exception here; many messages may have
            the other outcomes in common.
        text: why, for people; empty where the other attributes say it.
        may_have_arrived: the receiver may have the message although it hasn't said so.
    """

    __slots__ = ("condition", "error", "kind", "may_have_arrived", "state", "text")

    def __init__(
        self,
        kind: OutcomeKind,
        state: object | None = None,
        *,
        condition: str | None = None,
        error: BaseException | None = None,
        text: str = "",
        may_have_arrived: bool = False,
    ) -> None:
        self.kind = kind
        self.state = state
        self.condition = condition
        self.error = error
        self.text = text
        self.may_have_arrived = may_have_arrived

    def __repr__(self) -> str:
        return f"<Outcome {self.kind.value}: {self.condition or self.text or self.state}>"


_ACCEPTED_STATE = ACCEPTED

# One object for all messages that have these.
_ACCEPTED = Outcome(_TAKEN, ACCEPTED)
_SETTLED = Outcome(_TAKEN)
_BACK = Outcome(OutcomeKind.RETURNED)
_BACK_UNCERTAIN = Outcome(OutcomeKind.RETURNED, may_have_arrived=True)
_TIME_IS_OVER = "Message send timed out."


def outcome_of(delivery: OutgoingDelivery) -> Outcome | None:
    """Return what a delivery's outcome means (section 3.4); None: it isn't decided yet.

    Settled without a state, or with one that is no outcome, or before all of it was sent: the receiver has taken it
    over.
    """
    if not delivery.settled:
        return None
    state = delivery.remote_state
    if delivery.lost:
        return Outcome(_LOST, state, may_have_arrived=delivery.delivery_id is not None)
    if state is _ACCEPTED_STATE:
        return _ACCEPTED
    if state is None:
        # One that never went out was withdrawn, and whoever did that was interrupted before it was noted.
        return _SETTLED if delivery.delivery_id is not None else None
    if isinstance(state, (Accepted, Received)):
        return Outcome(_TAKEN, state)
    error = state.error if isinstance(state, Rejected) else None
    return Outcome(OutcomeKind.REFUSED, state, condition=None if error is None else error.condition)


class RetryPolicy(Protocol):
    """Decides what is tried again."""

    def retry(self, condition: str | None, tries: int) -> float | None:
        """Tell whether a message that was refused is sent again.

        Args:
            condition: the peer's error condition; None: it gave none, or released or modified the message.
            tries: how often it was tried again before.

        Returns:
            Seconds to wait before anything is sent again, or None: the message has failed.
        """


class Step(NamedTuple):
    """What `Outgoing.step` has found.

    Attributes:
        more: once what was handed over is written there is room for more: take the next step then.
        decided: messages have left meanwhile: who waits for them has to look.
        deadline: when the next step is due if nothing else happens, in monotonic seconds; None: not at all.
    """

    more: bool
    decided: bool
    deadline: float | None


class Outgoing(LinkHandler):
    """The messages that go out over a link, and over those that come after it.

    It is the handler of its links, one after the other: `begin_link` makes it that. A front overrides `encode` and
    `finished`, and further hooks (`unsendable`, `retry`, `note`, `waits`, `not_ours`) where it has more to say. All are
    called with the connection's lock held, and change nothing of the connection; `finished` alone may call the
    application.

    While the connection is driven for it, from `drive` to `rest`, all goes by itself: messages go out as there is
    credit and room, or as their back-off ends, and are given up at their time. A front that takes steps of its own
    instead takes a `step`, waits for the connection until the step's deadline, and calls `expire`.

    Args:
        policy: decides what is tried again; None: nothing that was refused is.
        stall_timeout: seconds after which messages without a deadline are given up, if the peer gives neither credit
            nor an outcome for any message meanwhile. A message that was sent isn't saved by outcomes of those that were
            sent after it. `math.inf`: never.
        owner: becomes the `owner` of the outbox.

    Attributes:
        decided: how many messages have left with an outcome.
        handed: how many times a message was given to a link.
        link: over which they are sent; None: there is none yet.
        outbox: where they are.
        timers: those of the connection that is driven for it; None: it isn't.
    """

    __slots__ = (
        "_is_blocked",
        "_last_look",
        "_last_progress",
        "_look_due",
        "_lost",
        "_paused",
        "_policy",
        "_seen_by",
        "_stall_timeout",
        "_timed",
        "decided",
        "handed",
        "link",
        "outbox",
        "timers",
    )

    def __init__(self, policy: RetryPolicy | None, stall_timeout: float, owner: Any = None) -> None:
        self._policy = policy
        self._stall_timeout = stall_timeout
        self.outbox = Outbox(owner)
        self._is_blocked = False  # what waits could have been sent but for a back-off, or for what has to leave first
        self._lost: list[Entry] = []  # that were on their way over a link which is going
        self._last_progress = 0.0
        self._last_look = 0.0
        self._paused = 0.0  # seconds in which nobody called `step`
        self._look_due = 0.0  # when to look for outcomes that are lost, pauses left out
        self.decided = 0
        self.handed = 0
        self.link: SenderCore | None = None
        self.timers: Timers | None = None
        self._seen_by: Timers | None = None  # the timers that have its deadline
        self._timed = _Timed(self)

    def __len__(self) -> int:
        return len(self.outbox)

    # -- for the front

    def encode(self, entry: Entry) -> bytes:
        """Return the payload of a message that is handed over next; may set the entry's `tag` and `message_format`.

        Raises:
            Exception: the message has none: see `unsendable`.
        """
        raise NotImplementedError

    def unsendable(self, entry: Entry, error: Exception) -> Outcome:
        """Return the outcome of a message that `encode`, or the link, has raised an exception for.

        Raises:
            Exception: it is no fault of the message. It comes out of `step`, or what else has called; the message waits
                as before.
        """
        return Outcome(OutcomeKind.FAILED, error=error, text=str(error))

    def retry(self, entry: Entry, outcome: Outcome) -> float | None:
        """Tell whether a message that was refused, lost or suspected is sent again; None: it leaves with this outcome.

        By default the policy is asked, except for what was lost: that is sent again over the next link.

        Returns:
            Seconds in which nothing is handed over, or None.
        """
        policy = self._policy
        if outcome.kind is _LOST:
            return 0.0
        if policy is None:
            return None
        return policy.retry(outcome.condition, entry.ends - 1 if outcome.kind is OutcomeKind.SUSPECTED else entry.tries)

    def note(self, entry: Entry, outcome: Outcome) -> None:
        """Note a message's outcome with the message, which leaves next; called again if an interrupt comes between."""

    def finished(self, entry: Entry, outcome: Outcome) -> None:
        """Tell who wants to know that a message has left with this outcome."""

    def waits(self, entry: Entry) -> None:
        """Note that a message waits again, although it was encoded."""

    def not_ours(self, delivery: OutgoingDelivery, now: float) -> None:
        """Deal with the outcome of what somebody else has sent over the link."""

    # -- messages come and go

    def add(self, item: Any, now: float, timeout: float | None = None, group: Group | None = None) -> Entry:
        """Take a message in.

        Args:
            item: the message; `encode` makes bytes of it.
            timeout: seconds from now until it is given up; None: never, except by the stall time-out.
            group: who waits for it.
        """
        self.begin_to_add(now)
        entry = self.outbox.add(item, None if timeout is None else now + timeout, group)
        self._watch()
        return entry

    def begin_to_add(self, now: float) -> None:
        """Start the stall clock, if there were no messages so far: some come now."""
        if not self.outbox:
            self._last_progress = self._last_look = now
            self._look_due = now - self._paused + self._stall_timeout / _LOOKS

    def send_at_once(self, link: SenderCore, entry: Entry, payload: bytes, now: float) -> None:
        """Give a message to a link without waiting for credit: it goes out as soon as the peer gives some.

        Args:
            entry: a new one, that isn't in the outbox: `Outbox.new_entry`.

        Raises:
            LocalProtocolError: the link isn't open, or can't take the message. Nothing has changed.
        """
        delivery = link.sender.enqueue(payload, entry.tag, entry.message_format, False, None, entry)
        self.begin_to_add(now)
        self.outbox.add_in_flight(entry, delivery)
        self._last_progress = now
        self.handed += 1

    def give_back(self, entry: Entry, now: float) -> None:
        """Take out a message that has no outcome: it is the caller's again, and `finished` as `RETURNED`.

        Whatever happens to it on its way from now on doesn't concern it any more. Where its outcome has come, and
        nobody has looked yet, it is finished with that.
        """
        delivery = entry.delivery
        if delivery is not None and delivery.settled and not delivery.lost:
            self.on_outcome(delivery, now)
        if not entry.done:
            self._withdraw(entry)
            outcome = _BACK_UNCERTAIN if entry.may_have_arrived else _BACK
            self.note(entry, outcome)
            self.outbox.finish(entry)
            self.finished(entry, outcome)
        if self._is_blocked:
            self._unblock(now)

    def clear(self, now: float) -> None:
        """Give all messages back."""
        for entry in self.outbox.entries():
            self.give_back(entry, now)
        self.outbox.clear()

    def _withdraw(self, entry: Entry) -> None:
        """Send nothing more of a message, if that can be; else note that it may arrive."""
        delivery = entry.delivery
        if delivery is not None and not delivery.withdraw() and delivery.delivery_id is not None:
            entry.may_have_arrived = True

    def _leave(self, entry: Entry, outcome: Outcome) -> None:
        """A message has an outcome."""
        self.note(entry, outcome)
        self.decided += 1
        self.outbox.finish(entry)
        self.finished(entry, outcome)

    # -- hand-over and outcomes

    def on_credit(self, now: float) -> bool:
        """The peer gave or took credit, or there is room again: send what there is, and the rest when there is room."""
        more = self.hand_over(now)
        link = self.link
        if more and link is not None:
            link.sender.ask_for_room()
        return more

    def hand_over(self, now: float) -> bool:
        """Give messages to the link as far as its credit goes, and its queue isn't long; tell whether there are more
        that it has credit for.
        """
        link = self.link
        credit = 0 if link is None else link.credit
        if link is None or credit <= 0 or not self.outbox.waiting:
            return False
        sender = link.sender
        handed = self.handed
        room = _HAND_OVER_BYTES
        places = _HAND_OVER_MESSAGES - sender.queued
        entry: Entry | None = None
        try:
            while credit > 0:
                if room <= 0 or places <= 0:
                    if handed == self.handed:
                        sender.ask_for_room()  # what it has can't go out now: it tells when some did
                    return self.outbox.waiting > 0
                entry = self.outbox.next_ready(now)
                if entry is None:
                    self._is_blocked = self.outbox.waiting > 0
                    break
                if entry.deadline is not None and entry.deadline <= now:
                    self._time_out([entry], _TIME_IS_OVER)
                    continue
                payload: bytes | None = None
                try:
                    payload = self.encode(entry)
                    if entry.done or not entry.waits:
                        continue  # what encodes it has used this queue
                    delivery = sender.enqueue(payload, entry.tag, entry.message_format, False, None, entry)
                except Exception as error:
                    if payload is not None and not isinstance(error, LocalProtocolError):
                        raise
                    self._leave(entry, self.unsendable(entry, error))
                else:
                    self._last_progress = now
                    room -= len(payload)
                    credit -= 1
                    places -= 1
                    self.handed += 1
                    self.outbox.handed_over(entry, delivery)
        except BaseException:
            # Nothing of what was given to the link has gone out yet, so the last of it can be taken back as a whole.
            if entry is not None and (sender.withdraw_last(entry) or entry.delivery is None):
                self.outbox.not_handed_over(entry)
                if not entry.done:
                    self.waits(entry)
            raise
        sender.drained()  # if the peer asked for what there is: that was it
        return False

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Something became known of a message."""
        if type(delivery.context) is not Entry:
            self.not_ours(delivery, now)
            return
        entry: Entry = delivery.context
        if entry.outbox is not self.outbox:
            self.not_ours(delivery, now)
            return
        if entry.delivery is not delivery:
            return  # it has timed out, or is the caller's again
        if delivery.remote_state is _ACCEPTED_STATE and delivery.settled and not delivery.lost:
            # What becomes of most: what follows would do the same, and take longer.
            self._last_progress = now
            self.note(entry, _ACCEPTED)
            self.decided += 1
            self.outbox.finish(entry)
            self.finished(entry, _ACCEPTED)
            if self._is_blocked:
                self._unblock(now)
            return
        outcome = outcome_of(delivery)
        if outcome is None:
            return
        self._last_progress = now
        if outcome.kind is _LOST and outcome.may_have_arrived:
            entry.may_have_arrived = True
            self._lost.append(entry)
        delay = None if outcome.kind is _TAKEN else self.retry(entry, outcome)
        if delay is None:
            self._leave(entry, outcome)
        else:
            entry.tries += 1
            self.waits(entry)
            self.outbox.put_back(entry, now + delay if delay else None)
        self._unblock(now)

    # -- links come and go

    def begin_link(self, link: SenderCore, now: float) -> None:
        """Send over this link from now on, and be its handler.

        What was lost with the last one was so for no reason of a message's, or the reason is known.
        """
        link.handler = self
        self.link = link
        self.catch_up(now)
        self._lost.clear()

    def catch_up(self, now: float) -> None:
        """The link is gone. An interrupt may have kept the queue from hearing of an outcome."""
        for entry in self.outbox.entries():
            delivery = entry.delivery
            if delivery is None:
                break  # those in flight come first
            if delivery.settled:
                self.on_outcome(delivery, now)

    def on_link_ended(self, condition: str | None, error: BaseException | None = None) -> None:
        """The peer has ended the link with an error, for which one of the messages may be the reason.

        A message that was alone on its way counts as refused by it. Of several nobody knows which it was: each goes
        alone when the link is open again, so that it is found, and no other is held to be it.

        Args:
            condition: of the peer's error.
            error: the front's exception for it; it becomes the outcome's.
        """
        lost, self._lost = self._lost, []
        if condition in NO_MESSAGES_FAULT:
            return
        for entry in lost:
            entry.ends += 1
        if len(lost) == 1 and not lost[0].done:  # it may be the caller's again
            outcome = Outcome(OutcomeKind.SUSPECTED, condition=condition, error=error, may_have_arrived=True)
            if self.retry(lost[0], outcome) is None:
                self._leave(lost[0], outcome)
                self.outbox.trust()

    # -- time

    def drive(self, timers: Timers, now: float) -> None:
        """The connection is driven from now on, until `rest`: send what can be sent. Once more is no mistake.

        Args:
            timers: the connection's.
        """
        if self.timers is None:
            self.resume(now)
        self.timers = timers
        self.on_credit(now)
        self._watch()

    def rest(self, now: float) -> None:
        """Nobody drives the connection any more. What is due waits until somebody does."""
        self.timers = None
        self._last_look = now

    def retire(self) -> None:
        """Nobody will have the connection driven for it any more, which lets go of it."""
        timers, self.timers = self._seen_by, None
        if timers is not None:
            timers.forget(self._timed)
            self._seen_by = None

    def _watch(self) -> None:
        """The next deadline may be earlier than it was."""
        if self.timers is not None:
            self._seen_by = self.timers
            self.timers.watch(self._timed)

    def _unblock(self, now: float) -> None:
        """Something waits again, or has left: what may go now does so once all that has arrived is dealt with."""
        self._is_blocked = False
        if self.timers is not None:
            self.outbox.hold(now)
            self.timers.watch(self._timed)

    def step(self, now: float) -> Step:
        """Hand over what the link takes; the pause since the last `expire` is no stall."""
        if self.timers is None:
            self.resume(now)
        decided, handed = self.decided, self.handed
        more = self.hand_over(now) and self.handed != handed
        return Step(more, self.decided != decided, self.next_deadline())

    def resume(self, now: float) -> None:
        """The queue is driven again. The peer isn't to blame for the pause: it doesn't count as a stall."""
        pause = now - self._last_look
        self._last_progress += pause
        self._paused += pause
        self._last_look = now

    def expire(self, now: float) -> None:
        """Give up what is past its time. Call it after what has arrived was read: an outcome wins over a time-out."""
        self._last_look = now
        self._time_out(self.outbox.expired(now), _TIME_IS_OVER)
        if self.outbox and now - self._last_progress >= self._stall_timeout:
            text = f"Message send timed out: neither credit nor an outcome for {self._stall_timeout:g} seconds."
            self._time_out([entry for entry in self.outbox.entries() if entry.deadline is None], text)
            self._last_progress = now
        elif self.outbox.is_awaiting() and now - self._paused >= self._look_due:
            self._look_due = now - self._paused + self._stall_timeout / _LOOKS
            text = f"Message send timed out: no outcome for {self._stall_timeout:g} seconds, while others had theirs."
            self._time_out(self.outbox.overtaken(now - self._paused, self._stall_timeout), text)

    def next_deadline(self) -> float | None:
        """Return when `expire` or `hand_over` has something to do of itself; None: there are no messages."""
        if not self.outbox:
            return None
        stalled = self._last_progress + self._stall_timeout
        if self.outbox.is_awaiting():
            stalled = min(stalled, max(self._look_due + self._paused, self._last_look))
        deadline = self.outbox.next_deadline()
        return stalled if deadline is None else min(stalled, deadline)

    def _time_out(self, entries: list[Entry], text: str) -> None:
        """Give these up. There may be many, of which the application hears one by one."""
        unsent: Outcome | None = None
        uncertain: Outcome | None = None
        for entry in entries:
            if entry.done:
                continue  # `finished` of another one has taken it out
            if entry.delivery is not None:
                self._withdraw(entry)
            if entry.may_have_arrived:
                if uncertain is None:
                    uncertain = Outcome(OutcomeKind.TIMED_OUT, text=text, may_have_arrived=True)
                self._leave(entry, uncertain)
            else:
                if unsent is None:
                    unsent = Outcome(OutcomeKind.TIMED_OUT, text=text)
                self._leave(entry, unsent)


class _Timed:
    """What of an `Outgoing` the connection's timers see: nothing while the connection isn't driven for it."""

    __slots__ = ("_outgoing",)

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        outgoing = self._outgoing
        return None if outgoing.timers is None else outgoing.next_deadline()

    def expire(self, now: float) -> None:
        """See `Timed`."""
        self._outgoing.expire(now)
        self._outgoing.on_credit(now)  # a back-off may be over
