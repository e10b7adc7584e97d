"""`ReceiveQueue`: what has come over a receiver's link, until it is taken, settled, or lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..codec import ACCEPTED, RELEASED, DeliveryState, Modified, Symbol
from ..core import LinkState, ReceiverCore
from ..core.incoming import Inbox, Incoming, has_left, is_lost, is_settled_by_sender, leave, settle
from ..engine import IncomingDelivery, LocalProtocolError
from ..transport.driver import Driver
from ..transport.signals import Signal
from . import checks
from .errors import AlreadySettled, AMQPError, ConfigurationError, UsageError
from .message import Message, received_message
from .settlement import SETTLED, Settlement
from .stats import ReceiverStats

if TYPE_CHECKING:
    from .options import ReceiverSettings

_logger = logging.getLogger("uamqp.receiver")


class MessageInbox(Inbox):
    """An `Inbox` of messages."""

    __slots__ = ()

    def delivery_of(self, item: Any) -> IncomingDelivery | None:
        """See `Inbox`."""
        message: Any = item
        found: IncomingDelivery | None = message._delivery
        return found

    def is_settled(self, item: Any) -> bool:
        """See `Inbox`."""
        message: Any = item
        delivery: Any = message._delivery
        return bool(delivery.settled or delivery.state is not None)


class ReceiveQueue(Incoming):
    """The handler of a receiver's link. Its methods are called with the connection's lock held, except for `settle`.

    Attributes:
        arrived: fires for one who waits for a message.
        core: the link.
        drained: fires when the sender has given its credit back.
        drains: how often it has.
        draining: whether it was asked to, and hasn't yet.
        releases: whether what comes after the end is released at once.
        wanted: how many messages are waited for, where they are asked for only then.
        writes: whether there is something to write after one was taken.
        ended: why nothing comes any more; None as long as something may come.
        gone: why the link has gone; None as long as it hasn't.
        lost: settlements that didn't reach the peer.
        modifies: whether the peer knows the outcome modified.
        pulls: whether messages are asked for only while somebody waits for them.
        out: messages that were handed out and aren't settled.
        received, settled: see `ReceiverStats`.
    """

    __slots__ = (
        "_holds_back",
        "_on_flow_properties",
        "_unconfirmed",
        "arrived",
        "confirm",
        "core",
        "drained",
        "draining",
        "drains",
        "driver",
        "ended",
        "gone",
        "lost",
        "max_unsettled",
        "messages",
        "modifies",
        "out",
        "pulls",
        "received",
        "receiver",
        "releases",
        "settled",
        "steps",
        "wanted",
        "writes",
    )

    def __init__(self, driver: Driver, settings: ReceiverSettings, receiver: Any) -> None:
        self.messages = MessageInbox(_logger)
        super().__init__(self.messages, _logger)
        self.driver = driver
        self.steps = driver.steps
        self._on_flow_properties = settings.on_flow_properties
        self.confirm = settings.confirm
        self.core: ReceiverCore | None = None
        self.pulls = not settings.prefetch and settings.credit == "auto"
        self._holds_back = False
        self.modifies = True
        self.max_unsettled = settings.max_unsettled
        self.receiver = receiver
        self.releases = True
        self.arrived = Signal()
        self.ended: AMQPError | None = None
        self.gone: AMQPError | None = None
        self.drained = Signal()
        self.drains = 0
        self.draining = False
        self.wanted = 0
        self.writes = False
        self.lost = self.received = self.settled = 0
        self.out = 0
        self._unconfirmed: dict[IncomingDelivery, Settlement] = {}

    def __len__(self) -> int:
        return len(self.messages)

    def serve(self, core: ReceiverCore) -> None:
        """See `Incoming`."""
        super().serve(core)
        self.core = core

    # -- what comes: see `Incoming` and `LinkHandler`

    def take_in(self, delivery: IncomingDelivery, data_start: int) -> None:
        """See `Incoming`."""
        self.received += 1
        is_decided = delivery.settled or delivery.state is not None
        if self.ended is not None and not is_decided:  # it was under way before
            if self.releases:
                self._settle(delivery, RELEASED)
            return
        self.messages.take_in(received_message(delivery, data_start))
        self.arrived.fire_one()

    def on_flow_properties(self, properties: dict[Symbol, Any], now: float) -> None:
        """See `LinkHandler`."""
        if self._on_flow_properties is not None:
            told = {str(key): value for key, value in properties.items()}
            self.driver.later(partial(_call, self._on_flow_properties, told))

    def on_drained(self, now: float) -> None:
        """See `LinkHandler`."""
        self.drains += 1
        self.draining = False
        self.ask(self.wanted)
        self.drained.fire()

    def on_settled(self, delivery: IncomingDelivery, now: float) -> None:
        """See `LinkHandler`."""
        settlement = self._unconfirmed.pop(delivery, None)
        if settlement is not None:
            settlement._confirm()
        elif has_left(delivery) and delivery.state is None and not self.at_most_once:
            self.out = max(0, self.out - 1)  # it was in the program's hands, and its sender has settled it
            if self.max_unsettled is not None:
                self._go_on()
                self.arrived.fire_one()

    # -- asking, where messages come only while somebody waits for them

    def want(self, count: int) -> None:
        """Note that so many more messages are waited for than before, and ask for them, or for no more."""
        self.wanted += count
        self.ask(count)

    def ask(self, more: int) -> None:
        """Bring the credit in line with what is wanted.

        Args:
            more: how many more are wanted than before. Credit is drained only if none are wanted any longer; then what
                is wanted meanwhile is asked for when that is done.
        """
        core = self.core
        if not self.pulls or core is None or core.state is not LinkState.OPEN or self.draining:
            return
        credit = max(self.wanted - len(self), 0)
        try:
            link = core.receiver
            if credit or not link.credit:
                if more or credit > link.credit:
                    link.set_credit(credit)
            elif self.wanted <= 0:
                self.draining = core.take_credit_back()
        except LocalProtocolError:
            pass  # the link's end is reported as an event

    def pause(self, core: ReceiverCore) -> None:
        """Ask for no more, because the program says so."""
        self._holds_back = False
        core.pause()

    def resume(self, core: ReceiverCore) -> None:
        """Ask for messages again, as soon as there is room."""
        self._holds_back = self._is_full()
        if not self._holds_back:
            core.read()

    def take_credit_back(self, core: ReceiverCore) -> bool:
        """See `ReceiverCore`; settling gives none again."""
        self._holds_back = False
        return core.take_credit_back()

    def end_credit(self, core: ReceiverCore) -> None:
        """See `ReceiverCore`; settling gives none again."""
        self._holds_back = False
        core.end_credit()

    def give_up_drain(self) -> None:
        """Drain no more, now and later: the peer doesn't answer that."""
        core = self.core
        if self.draining and core is not None:
            self.draining = False
            core.answers_drain = False
            core.end_credit()
            self.ask(self.wanted)

    # -- handing out

    def _hold_back(self, count: int) -> None:
        """Give no credit while as many messages are out and unsettled as may be; so many are about to leave."""
        core = self.core
        if core is not None and core.reading and self.max_unsettled is not None:
            if self.out + count >= self.max_unsettled:
                core.pause()
                self._holds_back = True

    def _go_on(self) -> None:
        """Give credit again, because messages were settled."""
        core = self.core
        if self._holds_back and self.ended is None and core is not None and not self._is_full():
            self._holds_back = False
            core.read()

    def _is_full(self) -> bool:
        """Return whether as many messages are out and unsettled as may be."""
        return self.max_unsettled is not None and self.out >= self.max_unsettled

    @property
    def has_some(self) -> bool:
        """Whether a message may be handed out."""
        return len(self.messages) > 0 and not self._is_full()

    def take_now(self, accept: bool) -> Message | None:
        """Hand out one message if there is one. The lock isn't held.

        Args:
            accept: whether to accept it.
        """
        if not self.messages._items:
            return None
        self.writes = accept
        taken: list[Message] = []
        try:
            message: Message | None = self.steps.settling(self._take_one, accept, taken)
            if self.writes:
                self.steps.write(False)
        except BaseException:
            if taken:  # nobody has it yet
                self.steps.settling(self.put_back, taken)
            raise
        return message

    def _take_one(self, accept: bool, taken: list[Message]) -> Message | None:
        """Remove and return one message; if that gives the peer credit, something is to be written.

        Args:
            accept: whether to accept it.
            taken: gets the message, for a caller that is interrupted.
        """
        messages = self.messages
        while messages._items and not self._is_full():
            message: Message = messages._popleft()
            delivery: Any = message._delivery
            is_settled = delivery.settled or delivery.state is not None
            if accept and not is_settled and not messages.accept(message):
                continue  # its link has gone, so the sender delivers it again
            taken.append(message)
            if accept:
                self.settled += 1
            elif not is_settled:
                self.out += 1
            if self.max_unsettled is not None:
                self._hold_back(0)
            link = delivery.link
            credit = link.credit
            leave(delivery)
            if link.credit > credit:
                self.writes = True
            return message
        return None

    def hand_out(self, count: int, batch: list[Message], was_asked: bool) -> list[Message]:
        """Return messages that have come.

        Args:
            count: maximum number of messages.
            batch: a list that gets them, and is returned; see `Inbox.hand_out`.
            was_asked: whether they are of those `wanted`.
        """
        if self.max_unsettled is not None:
            count = max(0, min(count, self.max_unsettled - self.out))
            self._hold_back(min(count, len(self.messages)))
        start = len(batch)
        self.messages.hand_out(count, False, batch)
        self.out += self._unsettled(batch[start:])
        if was_asked:
            self.wanted -= len(batch) - start
        return batch

    def accept_all(self, messages: list[Message]) -> None:
        """Accept messages that were handed out, and remove those whose link has gone, since they come again."""
        together = Settlement(self.driver)
        for message in tuple(messages):
            delivery: Any = message._delivery
            lost = self.lost
            self._given(delivery, ACCEPTED, together)
            if self.lost > lost:
                messages.remove(message)

    def _unsettled(self, messages: list[Message]) -> int:
        """Return how many of them have no outcome."""
        count = 0
        for message in messages:
            delivery: Any = message._delivery
            if not delivery.settled and delivery.state is None:
                count += 1
        return count

    def put_back(self, messages: list[Message]) -> None:
        """Take messages back in front that were handed out in vain, unless their link has gone, and they come again."""
        self.out = max(0, self.out - self._unsettled(messages))
        self.messages.take_back(messages)
        if self.gone is not None:
            self.messages.drop_stale()
        for _ in messages:
            self.arrived.fire_one()

    def stop(self, error: AMQPError, releases: bool) -> None:
        """Hand nothing more out but what was sent settled, and give the rest back.

        Args:
            error: why; for those who want more.
            releases: whether it is given back at once, otherwise by the end of the link.
        """
        if self.ended is None:
            self.ended = error
            self.releases = releases
        if self.releases:
            self.messages.release_all()
        else:
            self.messages.drop_stale()
        self.arrived.fire()
        self.drained.fire()

    def end(self, error: AMQPError) -> None:
        """Handle that nothing comes any more: what was sent settled is still handed out, the rest comes again."""
        self.gone = error
        if self.ended is None:
            self.ended = error
        self.messages.drop_stale()
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        self.lost += len(unconfirmed)
        for settlement in unconfirmed.values():
            settlement._lose(error, was_sent=True)
        self.arrived.fire()
        self.drained.fire()

    def stats(self) -> ReceiverStats:
        """Return the counters."""
        return ReceiverStats(self.received, self.settled, self.lost, len(self), self.out)

    # -- settling

    def settle(self, message: Message, outcome: DeliveryState) -> Settlement:
        """Give a message an outcome. The lock isn't held.

        Raises:
            AlreadySettled: it has one.
            UsageError: the peer doesn't know this outcome.
            ConfigurationError: what is said with it is too long.
        """
        if not self.modifies:
            self._check(outcome)
        delivery: Any = message._delivery
        try:
            settlement = self.steps.settling(self._given, delivery, outcome, None)
        except LocalProtocolError as error:
            raise _unsendable(error) from error
        if settlement is None:
            raise AlreadySettled(f"the message is settled already: {delivery.state!r}")
        self.steps.write(not self.out and not self.messages._items)
        return settlement

    def _check(self, outcome: DeliveryState) -> None:
        """Check that the peer knows an outcome: it has said which ones it does (section 3.5.3)."""
        if not self.modifies and isinstance(outcome, Modified):
            raise UsageError("the peer doesn't know the outcome modified: release the message instead")

    def _given(
        self, delivery: IncomingDelivery, outcome: DeliveryState, together: Settlement | None
    ) -> Settlement | None:
        """Give a delivery an outcome, unless it has one: then there is no settlement.

        Args:
            delivery: the delivery.
            outcome: its outcome.
            together: the settlement of many, which this one is a part of; None to return one of its own.
        """
        if is_settled_by_sender(delivery) or self.at_most_once:
            return SETTLED
        if delivery.settled or delivery.state is not None:
            return None
        self.out -= 1
        try:
            settle(delivery, outcome)
        except LocalProtocolError as error:
            if not is_lost(delivery):
                self.out += 1
                raise
            delivery.state = outcome  # so that it is counted once
            self.lost += 1
            lost = together or Settlement(self.driver)
            lost._lose(self.gone or error)
            return lost
        self.settled += 1
        if self.max_unsettled is not None:
            self._go_on()
            self.arrived.fire_one()
        if not self.confirm or delivery.settled:
            return SETTLED
        settlement = self._unconfirmed[delivery] = together or Settlement(self.driver)
        settlement._left += 1
        return settlement

    def settle_all(self, messages: Iterable[Message], outcome: DeliveryState) -> Settlement:
        """Give messages an outcome, as ranges where they follow one another. Those that have one keep it.

        Raises:
            UsageError: one of them didn't come over this link, or the peer doesn't know the outcome; none is settled.
        """
        self._check(outcome)
        given = self._own(messages)
        together = Settlement(self.driver)
        try:
            self.driver.command("settling messages", lambda now: self._settle_each(given, outcome, together))
        except LocalProtocolError as error:
            raise _unsendable(error) from error
        return together if together._left or together._is_lost else SETTLED

    def check_own(self, item: Any) -> None:
        """Check that something is a message that came over this link.

        Raises:
            TypeError: it is no message.
            UsageError: it didn't.
        """
        if not isinstance(item, Message):
            raise checks.wrong_type("a message", item, "a received Message")
        delivery: Any = item._delivery
        if delivery is None or delivery.link.context.handler is not self:
            raise UsageError("a message wasn't received by this receiver: settle it by itself")

    def _own(self, messages: Iterable[Message]) -> list[Message]:
        """Return messages as a list, if all of them came over this link."""
        if isinstance(messages, Message):
            raise TypeError("messages must be an iterable of Messages: write [message], or message.accept()")
        given = list(messages)
        for item in given:
            self.check_own(item)
        return given

    def _settle_each(self, messages: list[Message], outcome: DeliveryState, together: Settlement) -> None:
        for message in messages:
            delivery: Any = message._delivery
            self._given(delivery, outcome, together)


def _unsendable(error: LocalProtocolError) -> ConfigurationError:
    return ConfigurationError(f"the outcome can't be sent, and the message isn't settled: {error}")


def _call(function: Callable[[Mapping[str, Any]], None], properties: Mapping[str, Any]) -> None:
    try:
        function(properties)
    except Exception:
        _logger.exception("on_flow_properties raised an exception.")
