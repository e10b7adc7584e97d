"""Outgoing messages: hand-over, outcomes, retries, time-outs."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Protocol

from ..codec import ACCEPTED, Accepted, Received, Rejected
from ..engine import LocalProtocolError, OutgoingDelivery
from .failure import NO_MESSAGES_FAULT
from .link import LinkHandler, SenderCore
from .outbox import Entry, Group, Outbox
from .timers import Timers

# This much is encoded before it is written, so that the peer can process it while the rest is encoded.
_HAND_OVER_BYTES = 1024 * 1024
_HAND_OVER_MESSAGES = 256
_LOOKS = 8
"""Number of looks per stall time-out for lost outcomes, while others arrive."""


class OutcomeKind(enum.Enum):
    """What became of a message."""

    TAKEN = "taken"
    """The receiver has accepted it or, equivalently, settled it without an outcome (section 3.4)."""
    REFUSED = "refused"
    """The receiver has rejected, released or modified it."""
    LOST = "lost"
    """The link ended before the receiver had settled it."""
    SUSPECTED = "suspected"
    """It was the only one in flight when the peer ended the link with an error, and counts as refused for that."""
    TIMED_OUT = "timed out"
    """Its deadline has passed, or there was no progress for too long."""
    FAILED = "failed"
    """It can't be sent: it couldn't be encoded, or is larger than the peer accepts."""
    RETURNED = "returned"
    """Its sender took it back without an outcome."""


_TAKEN = OutcomeKind.TAKEN
_LOST = OutcomeKind.LOST


class Outcome:
    """What became of one message.

    Attributes:
        kind: the kind of outcome.
        state: the receiver's last delivery state; None if it gave none.
        condition: the condition of the receiver's error, or of the link's end for `SUSPECTED`; None without one.
        error: the exception, for `FAILED`. `retry` may store the front's own exception here; outcomes of other kinds
            may be shared by many messages.
        text: an explanation for people; empty if the other attributes are enough.
        may_have_arrived: whether the receiver may have the message, or a part of it, although it hasn't confirmed it.
        is_part: whether that is certainly no more than a part, with which nobody can do anything, for `LOST`.
    """

    __slots__ = ("condition", "error", "is_part", "kind", "may_have_arrived", "state", "text")

    def __init__(
        self,
        kind: OutcomeKind,
        state: object | None = None,
        *,
        condition: str | None = None,
        error: BaseException | None = None,
        text: str = "",
        may_have_arrived: bool = False,
        is_part: bool = False,
    ) -> None:
        self.is_part = is_part
        self.kind = kind
        self.state = state
        self.condition = condition
        self.error = error
        self.text = text
        self.may_have_arrived = may_have_arrived

    def __repr__(self) -> str:
        return f"<Outcome {self.kind.value}: {self.condition or self.text or self.state}>"


_ACCEPTED_STATE = ACCEPTED

# Shared by all messages with these outcomes.
_ACCEPTED = Outcome(_TAKEN, ACCEPTED)
_SETTLED = Outcome(_TAKEN)
_BACK = Outcome(OutcomeKind.RETURNED)
_BACK_UNCERTAIN = Outcome(OutcomeKind.RETURNED, may_have_arrived=True)
_TIME_IS_OVER = "Message send timed out."


def outcome_of(delivery: OutgoingDelivery) -> Outcome | None:
    """Return what a delivery's outcome means (section 3.4); None while it is undecided.

    If a delivery is settled without a state, or with one that isn't an outcome, or before it was sent completely, the
    receiver has taken it.
    """
    if not delivery.settled:
        return None
    state = delivery.remote_state
    if delivery.lost:
        may_have_arrived = delivery.delivery_id is not None
        return Outcome(_LOST, state, may_have_arrived=may_have_arrived, is_part=may_have_arrived and not delivery.sent)
    if state is _ACCEPTED_STATE:
        return _ACCEPTED
    if state is None:
        # A delivery that never went out was withdrawn by a call that was interrupted before recording that.
        return _SETTLED if delivery.delivery_id is not None else None
    if isinstance(state, (Accepted, Received)):
        return Outcome(_TAKEN, state)
    error = state.error if isinstance(state, Rejected) else None
    return Outcome(OutcomeKind.REFUSED, state, condition=None if error is None else error.condition)


class RetryPolicy(Protocol):
    """Decides about retries."""

    def retry(self, condition: str | None, tries: int) -> float | None:
        """Decide whether to send a refused message again.

        Args:
            condition: the peer's error condition; None if it gave none, or released or modified the message.
            tries: number of retries so far.

        Returns:
            Seconds to wait before anything is sent again, or None if the message has failed.
        """


class Step(NamedTuple):
    """The result of `Outgoing.step`.

    Attributes:
        more: whether there is room for more once the messages handed over are written: take the next step then.
        decided: whether messages have left meanwhile, so that those who wait for them have to look.
        deadline: when the next step is due if nothing else happens, in monotonic seconds; None if there is none.
    """

    more: bool
    decided: bool
    deadline: float | None


class Outgoing(LinkHandler):
    """The messages that go out over a link, and over its successors.

    It is the handler of its links, one after the other, since `begin_link`. A front overrides `encode` and `finished`,
    and the other hooks (`unsendable`, `retry`, `note`, `waits`, `not_ours`) if necessary. All are called with the
    connection's lock held, and must not change the connection; only `finished` may call the application.

    While the connection is driven for it, from `drive` to `rest`, everything is automatic: messages go out as soon as
    credit, room and back-offs allow, and time out at their deadlines. A front that takes its own steps instead calls
    `step`, waits for the connection until the step's deadline, and calls `expire`.

    Args:
        policy: decides about retries; None for none after a refusal.
        stall_timeout: seconds after which messages without a deadline time out if the peer gives neither credit nor an
            outcome for any message. Once a message was sent, only outcomes of it and of earlier ones count. `math.inf`
            for no limit.
        owner: becomes the `owner` of the outbox.

    Attributes:
        decided: number of messages that have left with an outcome.
        handed: number of times a message was given to a link.
        link: the link over which they are sent; None before the first.
        outbox: contains the messages.
        timers: the timers of the connection while it is driven for this object, else None.
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
        self._is_blocked = False  # whether only a back-off, or messages that have to leave first, keep others waiting
        self._lost: list[Entry] = []  # in flight on a link that is ending
        self._last_progress = 0.0
        self._last_look = 0.0
        self._paused = 0.0  # seconds during which nobody called `step`
        self._look_due = 0.0  # when to look for lost outcomes, without pauses
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
        """Return the payload of the message to hand over; may set the entry's `tag` and `message_format`.

        Raises:
            Exception: the message can't be encoded; see `unsendable`.
        """
        raise NotImplementedError

    def unsendable(self, entry: Entry, error: Exception) -> Outcome:
        """Return the outcome of a message for which `encode` or the link has raised an exception.

        Raises:
            Exception: it isn't the message's fault. The exception propagates to the caller of `step` or another method;
                the message keeps waiting.
        """
        return Outcome(OutcomeKind.FAILED, error=error, text=str(error))

    def retry(self, entry: Entry, outcome: Outcome) -> float | None:
        """Decide whether to send a message again that was refused, lost or suspected.

        By default, the policy decides, except about lost messages: those are sent again over the next link.

        Returns:
            Seconds during which nothing is handed over, or None if the message leaves with this outcome.
        """
        policy = self._policy
        if outcome.kind is _LOST:
            return 0.0
        if policy is None:
            return None
        return policy.retry(outcome.condition, entry.ends - 1 if outcome.kind is OutcomeKind.SUSPECTED else entry.tries)

    def note(self, entry: Entry, outcome: Outcome) -> None:
        """Record a message's outcome in the message before it leaves; repeated if an interrupt comes between."""

    def finished(self, entry: Entry, outcome: Outcome) -> None:
        """Report that a message has left with this outcome."""

    def waits(self, entry: Entry) -> None:
        """Record that a message waits again, although it was encoded."""

    def not_ours(self, delivery: OutgoingDelivery, now: float) -> None:
        """Handle the outcome of a delivery that somebody else has sent over the link."""

    def late(self, entry: Entry, delivery: OutgoingDelivery) -> None:
        """Handle news of the delivery of a message that has left without an outcome."""

    # -- adding and removing messages

    def add(self, item: Any, now: float, timeout: float | None = None, group: Group | None = None) -> Entry:
        """Add a message.

        Args:
            item: the message; `encode` makes bytes of it.
            timeout: seconds from now until it times out; None for never, except by the stall time-out.
            group: the group that waits for it.
        """
        self.begin_to_add(now)
        entry = self.outbox.add(item, None if timeout is None else now + timeout, group)
        self._watch()
        return entry

    def begin_to_add(self, now: float) -> None:
        """Start the stall clock if there have been no messages so far."""
        if not self.outbox:
            self._last_progress = self._last_look = now
            self._look_due = now - self._paused + self._stall_timeout / _LOOKS

    def send_at_once(self, link: SenderCore, entry: Entry, payload: bytes, now: float) -> None:
        """Give a message to a link without waiting for credit; it goes out as soon as the peer gives some.

        Args:
            entry: a new one from `Outbox.new_entry`, not in the outbox yet.

        Raises:
            LocalProtocolError: the link isn't open, or can't take the message; nothing has changed.
        """
        delivery = link.sender.enqueue(payload, entry.tag, entry.message_format, False, None, entry)
        self.begin_to_add(now)
        self.outbox.add_in_flight(entry, delivery)
        self._last_progress = now
        self.handed += 1

    def give_back(self, entry: Entry, now: float) -> None:
        """Return a message without an outcome to the caller, `finished` as `RETURNED`.

        Whatever becomes of its delivery doesn't affect it any more. If an outcome has arrived that nobody has looked
        at, it is finished with that.
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
        """Withdraw a message if that is still possible; otherwise record that it may arrive."""
        delivery = entry.delivery
        if delivery is not None and not delivery.withdraw() and delivery.delivery_id is not None:
            entry.may_have_arrived = True

    def _leave(self, entry: Entry, outcome: Outcome) -> None:
        """Let a message leave with its outcome."""
        self.note(entry, outcome)
        self.decided += 1
        self.outbox.finish(entry)
        self.finished(entry, outcome)

    # -- hand-over and outcomes

    def on_credit(self, now: float) -> bool:
        """Send what there is, after a change of credit or room, and the rest when there is room."""
        more = self.hand_over(now)
        link = self.link
        if more and link is not None:
            link.sender.ask_for_room()
        return more

    def hand_over(self, now: float) -> bool:
        """Give messages to the link while it has credit and its queue is short.

        Returns:
            Whether there are more messages for which it has credit.
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
                        sender.ask_for_room()  # its queue is stuck: it reports when there is room again
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
                        continue  # encoding it has used this queue
                    delivery = sender.enqueue(payload, entry.tag, entry.message_format, entry.settled, None, entry)
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
            # Nothing of the latest message has gone out yet, so it can be withdrawn as a whole.
            if entry is not None and (sender.withdraw_last(entry) or entry.delivery is None):
                self.outbox.not_handed_over(entry)
                if not entry.done:
                    self.waits(entry)
            raise
        sender.drained()  # a no-op unless the peer asked for a drain
        return False

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Handle news of a delivery."""
        if type(delivery.context) is not Entry:
            self.not_ours(delivery, now)
            return
        entry: Entry = delivery.context
        if entry.outbox is not self.outbox:
            self.not_ours(delivery, now)
            return
        if entry.delivery is not delivery:
            self.late(entry, delivery)  # it has timed out, or was given back
            return
        if delivery.remote_state is _ACCEPTED_STATE and delivery.settled and not delivery.lost:
            # The usual outcome, which the code below would handle in the same way, but more slowly.
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

    # -- the beginning and end of links

    def begin_link(self, link: SenderCore, now: float) -> None:
        """Send over this link from now on, as its handler.

        The messages lost with the last link weren't the reason for its end, or have been dealt with.
        """
        link.handler = self
        self.link = link
        self.catch_up(now)
        self._lost.clear()

    def catch_up(self, now: float) -> None:
        """Handle outcomes that an interrupt kept from the queue, now that the link is gone."""
        for entry in self.outbox.entries():
            delivery = entry.delivery
            if delivery is None:
                break  # messages in flight come first
            if delivery.settled:
                self.on_outcome(delivery, now)

    def on_link_ended(self, condition: str | None, error: BaseException | None = None) -> None:
        """Handle the link's end by an error of the peer, for which one of the messages may be the reason.

        If just one message was in flight, it counts as refused. Among several, the reason is unknown: each is sent
        alone when the link is open again, so that the guilty one is found, and only that one is blamed.

        Args:
            condition: the condition of the peer's error.
            error: the front's exception for it; it becomes the outcome's.
        """
        lost, self._lost = self._lost, []
        if condition in NO_MESSAGES_FAULT:
            return
        for entry in lost:
            entry.ends += 1
        if len(lost) == 1 and not lost[0].done:  # it may have been given back
            outcome = Outcome(OutcomeKind.SUSPECTED, condition=condition, error=error, may_have_arrived=True)
            if self.retry(lost[0], outcome) is None:
                self._leave(lost[0], outcome)
                self.outbox.trust()

    # -- time

    def drive(self, timers: Timers, now: float) -> None:
        """Send what can be sent, from now until `rest`, while the connection is driven. May be repeated.

        Args:
            timers: the connection's.
        """
        if self.timers is None:
            self.resume(now)
        self.timers = timers
        self.on_credit(now)
        # Once watched, a stall only moves away: a time-out of a message's own may be earlier.
        if self._timed not in timers or self.outbox.next_deadline() is not None:
            self._watch()

    def rest(self, now: float) -> None:
        """Stop sending, because nobody drives the connection: what is due waits until somebody does."""
        self.timers = None
        self._last_look = now

    def retire(self) -> None:
        """Make the connection release it, because it will never be driven for it again."""
        timers, self.timers = self._seen_by, None
        if timers is not None:
            timers.forget(self._timed)
            self._seen_by = None

    def _watch(self) -> None:
        """Update the timer: the next deadline may be earlier than before."""
        if self.timers is not None:
            self._seen_by = self.timers
            self.timers.watch(self._timed)

    def _unblock(self, now: float) -> None:
        """Let messages go, after one waits again or has left, once all input has been handled."""
        self._is_blocked = False
        if self.timers is not None:
            self.outbox.hold(now)
            self._watch()

    def step(self, now: float) -> Step:
        """Hand over as much as the link takes; the pause since the last `expire` doesn't count as a stall."""
        if self.timers is None:
            self.resume(now)
        decided, handed = self.decided, self.handed
        more = self.hand_over(now) and self.handed != handed
        return Step(more, self.decided != decided, self.next_deadline())

    def resume(self, now: float) -> None:
        """Continue after a pause, which doesn't count as a stall: the peer isn't to blame for it."""
        pause = now - self._last_look
        self._last_progress += pause
        self._paused += pause
        self._last_look = now

    def expire(self, now: float) -> None:
        """Time out what is past its deadline. Call it after reading all input: an outcome wins over a time-out."""
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
        """Return when `expire` or `hand_over` next has something to do; None if there are no messages."""
        if not self.outbox:
            return None
        stalled = self._last_progress + self._stall_timeout
        if self.outbox.is_awaiting():
            stalled = min(stalled, max(self._look_due + self._paused, self._last_look))
        deadline = self.outbox.next_deadline()
        return stalled if deadline is None else min(stalled, deadline)

    def _time_out(self, entries: list[Entry], text: str) -> None:
        """Time out messages. There may be many, which the application is told of one by one."""
        unsent: Outcome | None = None
        uncertain: Outcome | None = None
        for entry in entries:
            if entry.done:
                continue  # the `finished` of another message has removed it
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
    """An `Outgoing` as the connection's timers see it: without a deadline unless the connection is driven for it."""

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
