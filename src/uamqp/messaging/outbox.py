"""`SendQueue`: the deliveries of a sender, from when they are taken in until it is decided what became of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ..codec import Accepted
from ..core import Entry, Outcome, OutcomeKind, outcome_of
from ..core.outgoing import Outgoing
from ..engine import OutgoingDelivery
from ..transport.driver import Driver
from ..transport.signals import Signal, SoleSignal
from . import translate
from .delivery import Delivery, new_delivery
from .errors import AMQPError, MessageTooLarge, NotAccepted, NotSent, ReadOnlyMessage, SendCancelled, UsageError
from .message import Message
from .stats import SenderStats
from .unseen import Unseen, UnseenFailures

if TYPE_CHECKING:
    from .fields import Body
    from .many import Many
    from .options import SenderSettings

_logger = logging.getLogger("uamqp.sender")

_TAKEN = OutcomeKind.TAKEN
_REFUSED = OutcomeKind.REFUSED
_LOST_KIND = OutcomeKind.LOST

_LOST = Outcome(_LOST_KIND, may_have_arrived=True)

_END: Any = object()
_TOGETHER = 64
"""So many messages of a `send_many` are taken in together."""

_HELD = 0.05
"""Seconds after which the messages of a `send_many` are taken in although its iterator hasn't given the next one."""


class SendQueue(Outgoing):
    """The deliveries of a sender: encoded when they are taken in, decided once, and never sent twice.

    All methods but those for a delivery are called with the connection's lock held.

    Args:
        driver: of the connection.
        settings: of the sender.

    Attributes:
        bytes: encoded bytes under way.
        driver: see above.
        crowd: how many wait for room.
        durable: whether messages are durable unless they say otherwise.
        ended: why nothing can be sent any more; None as long as something can.
        idle: fires when nothing is under way any more.
        is_anonymous: whether each message says where it goes.
        max_bytes: how many bytes may be under way.
        max_count: how many deliveries may be under way, waiting ones included.
        max_size: the size of the largest message that the peer takes, in bytes; 0 for no limit.
        pending: how many deliveries are under way.
        presettled: whether all messages go out settled, without an outcome.
        product: what the peer says that it is.
        refusal: why no more is taken in although nothing has ended; None as long as something is.
        room: fires for one who waits for room.
        steps: of the driver.
        taken, accepted, refused, not_sent, unknown: see `SenderStats`.
        unseen: counts failures that nobody looks at.
    """

    __slots__ = (
        "_deciding",
        "_is_due",
        "_producing",
        "_undecided",
        "_watched",
        "accepted",
        "bytes",
        "crowd",
        "driver",
        "durable",
        "ended",
        "idle",
        "is_anonymous",
        "max_bytes",
        "max_count",
        "max_size",
        "not_sent",
        "pending",
        "presettled",
        "product",
        "refusal",
        "refused",
        "room",
        "steps",
        "taken",
        "unknown",
        "unseen",
    )

    def __init__(self, driver: Driver, settings: SenderSettings) -> None:
        super().__init__(None, math.inf)
        self.driver = driver
        self.steps = driver.steps
        self._deciding: Delivery | None = None  # the one that is leaving, in case that is interrupted
        self._is_due = False  # whether `_send_now` will be called
        self._producing: list[Many] = []  # those that are being staged
        self._undecided: list[tuple[Delivery, Outcome]] = []  # lost with a link whose end hasn't been told yet
        self._watched = math.inf  # the deadline that the timers were last told of
        self.max_count = settings.max_pending
        self.max_bytes = settings.max_pending_bytes
        self.max_size = 0
        self.durable = settings.durable
        self.is_anonymous = settings.target.address is None and not settings.target.dynamic
        self.pending = self.bytes = self.crowd = 0
        self.presettled = settings.presettled is True
        self.ended: AMQPError | None = None
        self.refusal: AMQPError | None = None
        self.idle = Signal()
        self.product = ""
        self.taken = self.accepted = self.refused = self.not_sent = self.unknown = 0
        self.unseen = UnseenFailures(driver.time)
        self.room = Signal()

    # -- taking in

    @property
    def has_room(self) -> bool:
        """Whether another delivery may be taken in."""
        return self.pending < self.max_count and self.bytes < self.max_bytes

    def submit(self, message: Message, timeout: float | None, presettled: bool) -> Delivery | None:
        """Return the delivery of a message, which goes out once `send_soon` was called. The lock isn't held.

        Args:
            message: the message.
            timeout: seconds until it times out; None for never.
            presettled: whether to send it settled, over a link for both kinds.

        Returns:
            The delivery; None if there is no room for it.

        Raises:
            EncodeError, MessageTooLarge: it can't be sent.
            AMQPError: what is `ended` or `refusal`.
        """
        payload = self._payload_of(message)
        found: Delivery | None = self.steps.sending(self.take_in, message, payload, timeout, presettled)
        if found is None:
            self.check_open()  # here, since an exception in the middle of the step would end the connection
        return found

    def send_one(
        self, given: Message | Body, timeout: float | None, presettled: bool, waits: bool = False
    ) -> Delivery | None:
        """Do what `submit` does with a message, or its body, for a caller that may wait; it is written soon.

        Args:
            waits: whether the caller waits for the outcome at once; in a thread, that writes it.
        """
        steps = self.steps
        steps.check_caller()
        delivery: Delivery | None = self.submit(self.checked(given), timeout, presettled)
        if delivery is not None and (steps.has_loop or not waits):
            self.send_soon()
        return delivery

    def send_soon(self) -> None:
        """Send and write what was submitted soon. The lock isn't held."""
        if not self.steps.has_loop:
            self.steps.write(False)
        elif not self._is_due:
            self._is_due = True
            self.driver.later(self._send_now)

    def _send_now(self) -> None:
        """Send what tasks have submitted since the loop's last turn: together, which takes less than each by itself."""
        self._is_due = False
        self.steps.sending(self._hand_over_now)
        self.driver.flush_now()

    def _hand_over_now(self) -> None:
        if self.timers is not None:
            self.on_credit(self.driver.time())

    def _payload_of(self, message: Message) -> bytes:
        payload = message._encoded(self.durable)
        if self.max_size and len(payload) > self.max_size:
            raise MessageTooLarge(f"the message has {len(payload)} bytes, and the peer takes {self.max_size} at most")
        return payload

    def check_open(self) -> None:
        """Raise why nothing is taken in any more, if that is so."""
        refusal = self.ended or self.refusal
        if refusal is not None:
            raise refusal

    def submit_all(self, messages: Iterator[Message | Body], many: Many, window: int) -> None:
        """Take in messages as long as fewer than `window` of them are under way, and there are some, and room for them.

        Args:
            messages: the messages, or their bodies.
            many: stages and counts them.
            window: how many may be under way.

        Raises:
            Exception: what `messages` raises, and what `submit` does. What came before is staged, or taken in.
        """
        while (places := self.send_on(many, window)) > 0:
            self._stage(messages, many, places)

    def _stage(self, messages: Iterator[Message | Body], many: Many, count: int) -> None:
        """Stage up to so many of the messages that there are; fewer if they are slow to come."""
        soon = None if self.steps.has_loop else self.driver.time() + _HELD / 10
        for _ in range(count):
            given = next(messages, _END)
            if given is _END:
                many.is_complete = True
                return
            self.stage(given, many)
            if soon is not None and self.driver.time() >= soon:
                return

    def stage(self, given: Message | Body, many: Many) -> None:
        """Stage a single message, or its body. The lock isn't held.

        Raises:
            Exception: what `submit` raises.
        """
        message = self.checked(given)
        many.stage(message, self._payload_of(message))

    def send_on(self, many: Many, window: int = 0) -> int:
        """Take in what is staged, as far as there is room, and send it. The lock isn't held.

        Args:
            many: has staged it.
            window: how many may be under way; 0 if nothing more is staged for now.

        Returns:
            How many are to be staged next.

        Raises:
            AMQPError: what is `ended` or `refusal`, if something is staged.
        """
        places: int = self.steps.sending(self._send_on, many, window)
        if many.done < len(many.staged):
            self.check_open()
        self.steps.write(False)
        return places

    def _send_on(self, many: Many, window: int) -> int:
        now = self.driver.time()
        self._take_staged(many, now)
        places = 0
        if many.done == len(many.staged):
            many.clear()
            if not many.is_complete:
                places = max(0, min(window - many.left, _TOGETHER))
        if places > 0:
            if many.due == math.inf:
                self._producing.append(many)
            many.due = now + _HELD
            if many.due < self._watched:
                self._watch()
        elif many.due != math.inf:
            many.due = math.inf
            self._producing.remove(many)
        return places

    def _take_staged(self, many: Many, now: float) -> None:
        """Take in what is staged, as far as there is room."""
        done, staged, payloads = many.done, many.staged, many.payloads
        there = len(staged)
        deadline = None if many.timeout is None else now + many.timeout
        while done < there and self.ended is None and self.refusal is None:
            if self.pending >= self.max_count or self.bytes >= self.max_bytes:
                break
            delivery = self._take(staged[done], payloads[done], deadline, now)
            done += 1
            many.done = done
            many.taken += 1
            many.left += 1
            delivery._many = many
            delivery._number = many.taken
        if self.timers is not None:
            if deadline is not None and deadline < self._watched:
                self._watch()
            self.on_credit(now)

    def checked(self, message: Message | Body) -> Message:
        """Return a message to send, or one with this body.

        Raises:
            ReadOnlyMessage: it was received.
            UsageError: it has to say where it goes, and doesn't.
            TypeError: it is something else.
        """
        if not isinstance(message, Message):
            message = Message(message)
        elif message._delivery is not None:
            raise ReadOnlyMessage("a received message can't be sent: send message.copy()")
        if self.is_anonymous and message.to is None:
            raise UsageError("over the anonymous relay a message needs `to`, the address that it is for")
        return message

    def take_in(self, message: Message, payload: bytes, timeout: float | None, presettled: bool) -> Delivery | None:
        """Return the delivery of an encoded message; None if it isn't taken in. See `submit`."""
        if self.ended is not None or self.refusal is not None:
            return None
        if self.pending >= self.max_count or self.bytes >= self.max_bytes:
            return None
        now = self.driver.time()
        deadline = None if timeout is None else now + timeout
        delivery = self._take(message, payload, deadline, now)
        if presettled:
            entry = delivery._entry
            if entry is not None:
                entry.settled = True
        if self.timers is not None:
            if deadline is not None and deadline < self._watched:
                self._watch()
            if not self.steps.has_loop:
                self.on_credit(now)
        return delivery

    def _take(self, message: Message, payload: bytes, deadline: float | None, now: float) -> Delivery:
        if not self.pending:
            self.begin_to_add(now)
        delivery = new_delivery(self, message, payload)
        entry = self.outbox.add(delivery, deadline, None)
        entry.message_format = message._format
        delivery._entry = entry
        self.pending += 1
        self.bytes += len(payload)
        self.taken += 1
        return delivery

    # -- what becomes of them: see `Outgoing`

    def next_deadline(self) -> float | None:
        """See `Outgoing`."""
        deadline = super().next_deadline()
        for many in self._producing:
            if deadline is None or many.due < deadline:
                deadline = many.due
        self._watched = math.inf if deadline is None else deadline
        return deadline

    def expire(self, now: float) -> None:
        """See `Outgoing`. What is staged while its producer is busy is taken in as well."""
        super().expire(now)
        for many in self._producing:
            if many.due <= now:
                self._take_staged(many, now)
                many.due = now + _HELD

    def encode(self, entry: Entry) -> bytes:
        """See `Outgoing`."""
        payload: bytes = entry.item._payload
        return payload

    def retry(self, entry: Entry, outcome: Outcome) -> float | None:
        """See `Outgoing`: nothing is sent twice."""
        return None

    def note(self, entry: Entry, outcome: Outcome) -> None:
        """See `Outgoing`."""
        delivery: Delivery = entry.item
        self._deciding = delivery

    def finished(self, entry: Entry, outcome: Outcome) -> None:
        """See `Outgoing`."""
        delivery: Delivery = entry.item
        if outcome.kind is _TAKEN and type(outcome.state) is not Accepted and not (self.presettled or entry.settled):
            outcome = _LOST  # settled without a word of what became of it, which isn't accepting it
        if outcome.kind is _LOST_KIND and self.ended is None and outcome is not _LOST:
            self._undecided.append((delivery, outcome))  # why the link has ended is told after its deliveries
        else:
            self._decide(delivery, outcome)

    def late(self, entry: Entry, delivery: OutgoingDelivery) -> None:
        """See `Outgoing`."""
        outcome = outcome_of(delivery)
        if outcome is not None and not delivery.lost:
            state: Any = outcome.state
            entry.item.outcome = state

    def take_back(self, many: Many, now: float) -> None:
        """Take back those of many messages that aren't on the wire."""
        many.done = len(many.staged)
        many.clear()
        if many.due != math.inf:
            many.due = math.inf
            self._producing.remove(many)
        for entry in self.outbox.entries():
            if entry.item._many is many and (entry.delivery is None or entry.delivery.withdraw()):
                self.give_back(entry, now)

    def _decide(self, delivery: Delivery, outcome: Outcome) -> None:
        payload, delivery._payload = delivery._payload, None
        if payload is not None:  # else an interrupt came between
            self.bytes -= len(payload)
            self.pending -= 1
        kind = outcome.kind
        if kind is _TAKEN or kind is _REFUSED:
            state: Any = outcome.state
            delivery.outcome = state
        delivery._entry = None
        if kind is _TAKEN:
            self.accepted += 1
        else:
            self._fail(delivery, outcome)
        delivery.done = True
        if delivery._waiters is not None:
            for waiter in delivery._waiters:
                self.steps.wake(waiter)
        if delivery._callbacks is not None:
            callbacks, delivery._callbacks = delivery._callbacks, None
            for callback in callbacks:
                self.driver.later(partial(_call, callback, delivery))
        if delivery._many is not None:
            many, delivery._many = delivery._many, None
            many.left -= 1
            if delivery._error is not None:
                many.failures.append((delivery._number, delivery))
                many.signal.fire()
            elif many.left <= many.mark:
                many.signal.fire()
        if self.crowd and self.has_room:
            self.room.fire_one()
        if not self.pending:
            self.idle.fire()
        self._deciding = None

    def _fail(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note that a message wasn't accepted, and that somebody should look at that."""
        error = translate.send_error(outcome, ended=self.ended, product=self.product)
        delivery._error = error
        if isinstance(error, NotSent):
            self.not_sent += 1
        elif isinstance(error, NotAccepted):
            self.refused += 1
        else:
            self.unknown += 1
        if isinstance(error, SendCancelled):
            return  # whoever took it back knows
        if not delivery._waiters and not delivery._callbacks and delivery._many is None:
            delivery._unseen = Unseen(self.unseen)

    def stats(self) -> SenderStats:
        """Return the counters."""
        return SenderStats(
            self.taken,
            self.accepted,
            self.refused,
            self.not_sent,
            self.unknown,
            self.unseen.count,
            self.pending,
            self.bytes,
        )

    def end(self, error: AMQPError, now: float) -> None:
        """Decide all that is under way, because the link has ended, or the sender is closed."""
        if self.ended is None:
            self.ended = error
        undecided, self._undecided = self._undecided, []
        for delivery, outcome in undecided:
            self._decide(delivery, outcome)
        interrupted = self._deciding
        if interrupted is not None and not interrupted.done:
            self._decide(interrupted, _LOST)
        self.clear(now)
        self.pending = self.bytes = 0  # an interrupt may have come between an entry and its count
        self.retire()
        self.unseen.tell()
        self.room.fire()
        self.idle.fire()

    # -- for a delivery

    async def wait_for(self, delivery: Delivery, timeout: float | None) -> bool:
        """Wait until a delivery is done; return whether it is."""
        signal = SoleSignal()
        delivery._add_waiter(signal)
        try:
            return await self.driver.wait(signal, lambda: delivery.done, self.driver.deadline(timeout))
        finally:
            delivery._drop_waiter(signal)

    def call_when_done(self, delivery: Delivery, callback: Callable[[Delivery], None]) -> None:
        """Call a function once a delivery is done; at once if it is."""

        def add(now: float) -> bool:
            if not delivery.done:
                delivery._callbacks = [*(delivery._callbacks or ()), callback]
            return delivery.done

        if self.driver.change("adding a callback", add):
            _call(callback, delivery)

    def cancel(self, delivery: Delivery) -> bool:
        """Take a delivery back if nothing of it is on the wire; return whether that was possible."""

        def take_back(now: float) -> bool:
            entry = delivery._entry
            if entry is None or (entry.delivery is not None and not entry.delivery.withdraw()):
                return False
            self.give_back(entry, now)
            return delivery.done

        return self.driver.command("taking a message back", take_back)


def _call(callback: Callable[[Delivery], None], delivery: Delivery) -> None:
    try:
        callback(delivery)
    except Exception:
        _logger.exception("A callback of %r raised an exception.", delivery)
