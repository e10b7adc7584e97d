"""Received deliveries: taken in, held until somebody takes them, accepted, given back; and the credit for them.

Credit is counted in one place, where a delivery leaves. The engine counts every delivery it reports
(`Receiver.buffered`), and gives the sender no credit to replace it. Whoever holds a delivery says so (`Inbox.hold`). A
delivery that nobody holds has left when `Incoming.take_in` returns; one that is held leaves by `Inbox.hand_out` or
`Inbox.leave`. The delivery's `context` records that, so nothing is counted twice, whichever way it takes.
"""

from __future__ import annotations

import enum
import logging
from collections import deque
from collections.abc import Iterable
from itertools import islice, repeat, starmap
from typing import TYPE_CHECKING, Any

from ..codec import ACCEPTED, RELEASED, AmqpError, DecodeError, DeliveryState, Error, Rejected
from ..codec.sections import single_data
from ..engine import EndpointState, IncomingDelivery, LocalProtocolError
from .link import LinkHandler

if TYPE_CHECKING:
    from .link import ReceiverCore

_module_logger = logging.getLogger(__name__)

_MAX_REASON = 200
"""Maximum number of characters in the reason given for a rejection."""


class Custody(enum.Enum):
    """Where a delivery is after the engine reported it: its `context`, which is None until then."""

    HELD = "held"
    """Somebody holds it; it counts as buffered."""
    LEFT = "left"
    """It no longer counts: the sender may have been given credit for another."""


_HELD = Custody.HELD
_LEFT = Custody.LEFT


def is_settled_by_sender(delivery: IncomingDelivery) -> bool:
    """Return whether the sender settled a delivery by itself: it has forgotten it, so no outcome can reach it."""
    return delivery.settled and delivery.state is None


def settle(delivery: IncomingDelivery, outcome: DeliveryState) -> None:
    """Give a delivery an outcome, unless the sender has settled it.

    Raises:
        LocalProtocolError: it already has an outcome, or its link is gone.
    """
    if not is_settled_by_sender(delivery):
        unsettled = delivery.link.session.unsettled
        unsettled.settle_incoming(delivery, outcome)


def has_left(delivery: IncomingDelivery) -> bool:
    """Return whether it was counted out: see `leave`."""
    return delivery.context is _LEFT


def is_lost(delivery: IncomingDelivery) -> bool:
    """Return whether its link has gone, so that it can't be settled any more."""
    session = delivery.link.session
    engine = session.engine
    is_ours = session.unsettled.incoming.get(delivery.delivery_id) is delivery
    return not is_ours or engine.is_closed or engine.local_state is EndpointState.CLOSED


def leave(delivery: IncomingDelivery) -> None:
    """Count a delivery out, once, so that automatic credit may ask for another in its place."""
    if delivery.context is not _LEFT:
        delivery.context = _LEFT
        link = delivery.link
        link.taken()


def move_one(queue: deque[Any], to: list[Any]) -> bool:
    """Move the first item of a queue to the end of a list; return whether there was one.

    Taking and adding are one call in C, which no other thread and no exception from a signal handler can interrupt.
    """
    before = len(to)
    try:
        to.extend(islice(iter(queue.popleft, None), 1))
    except IndexError:
        pass  # there is none, or another call was faster
    return len(to) > before


class Inbox:
    """What has arrived over any number of links and waits to be taken, in order.

    Its items are deliveries, or what a front makes of them. Such a front overrides `delivery_of` and, if it records the
    outcomes itself, `is_settled`, `accept` and `release`.

    The items may be put, moved and taken from anywhere; every move is one call in C, so that no exception in between
    can lose anything. `take_in`, `hold`, `hand_out`, `take_back`, `leave` and `release_all` use the engine as well.

    Args:
        logger: logs what couldn't be accepted or released.
    """

    __slots__ = ("_append", "_items", "_logger", "_popleft")

    def __init__(self, logger: logging.Logger = _module_logger) -> None:
        self._items: deque[Any] = deque()
        self._append = self._items.append  # looked up once, for all items
        self._popleft = self._items.popleft
        self._logger = logger

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    # -- what an item is

    def delivery_of(self, item: Any) -> IncomingDelivery | None:
        """Return an item's delivery, or None if it has none and so counts for no link."""
        found: IncomingDelivery = item
        return found

    def is_settled(self, item: Any) -> bool:
        """Return whether an item's fate is decided: it arrived settled, or was given an outcome."""
        delivery: Any = self.delivery_of(item)
        return bool(delivery.settled or delivery.state is not None)

    def accept(self, item: Any) -> bool:
        """Accept an unsettled item; return False if its link has gone, so that the sender delivers it again."""
        return self._settle(self.delivery_of(item), ACCEPTED, "accepted")

    def release(self, item: Any) -> bool:
        """Release an unsettled item that nobody has seen; return False if its link has gone."""
        return self._settle(self.delivery_of(item), RELEASED, "released")

    def _settle(self, delivery: Any, outcome: DeliveryState, verb: str) -> bool:
        try:
            settle(delivery, outcome)
        except LocalProtocolError as error:
            name = delivery.link.name
            self._logger.info("Message %d of link %r isn't %s: %s", delivery.delivery_id, name, verb, error)
            return False
        return True

    # -- what arrives

    def take_in(self, item: Any) -> None:
        """Hold a new item until somebody takes it."""
        self.hold(item)
        self.put(item)

    def hold(self, item: Any) -> None:
        """Record that an item is held, here or elsewhere: the sender gets no credit for another until it leaves."""
        delivery: Any = self.delivery_of(item)
        if delivery is not None:
            if delivery.context is _LEFT:
                link = delivery.link
                link.untaken()
            delivery.context = _HELD

    def put(self, item: Any) -> None:
        """Append an item, without changing whether it counts as held."""
        self._append(item)

    def put_back(self, *items: Any) -> None:
        """Put items that had been taken back in front of all others, in this order."""
        self._items.extendleft(reversed(items))

    # -- moving

    def take_all(self) -> list[Any]:
        """Remove and return all items."""
        items: deque[Any] = deque()
        self.move_to(items)
        return list(items)

    def move_to(self, end: deque[Any]) -> None:
        """Move all items to the end of a queue."""
        try:
            end.extend(iter(self._popleft, None))
        except IndexError:
            pass  # that was the last one

    def move_back(self, end: deque[Any]) -> None:
        """Put all items of a queue in front of those in here."""
        try:
            self._items.extendleft(iter(end.pop, None))
        except IndexError:
            pass

    def move_one(self, to: list[Any]) -> bool:
        """Move the oldest item to the end of a list; return whether there was one."""
        return move_one(self._items, to)

    def take_over(self, items: list[Any]) -> None:
        """Append items, and empty the list."""
        self._items.extend(items)
        items.clear()

    # -- what leaves

    def hand_out(self, count: int, accept: bool, batch: list[Any]) -> list[Any]:
        """Remove up to `count` items for the caller; the sender may send others in their place.

        Args:
            count: maximum number of items.
            accept: whether to accept those that aren't settled yet, all at once. An item whose link has gone is left
                out, because the sender delivers it again.
            batch: a list that gets them, and is returned; also if an exception interrupts the call.
        """
        start = len(batch)
        try:
            batch.extend(starmap(self._popleft, repeat((), count)))  # in C, so that no exception comes in between
        except IndexError:
            pass  # that was the last one
        left_out = []
        link: Any = None
        left = 0  # number of its deliveries that leave
        for item in batch[start:]:
            if accept and not self.is_settled(item) and not self.accept(item):
                left_out.append(item)
            delivery: Any = self.delivery_of(item)
            if delivery is None:
                continue
            if delivery.link is not link:
                if link is not None:
                    link.taken(left)
                link = delivery.link
                left = 0
            if delivery.context is not _LEFT:
                delivery.context = _LEFT
                left += 1
        if link is not None:
            link.taken(left)
        for item in left_out:
            batch.remove(item)
        return batch

    def take_back(self, batch: Iterable[Any]) -> None:
        """Hold items again that `hand_out` returned in vain."""
        items = list(batch)
        for item in items:
            self.hold(item)
        self.put_back(*items)

    def leave(self, item: Any) -> None:
        """Count out an item that was taken by itself: ask for another, even while automatic credit is paused."""
        delivery: Any = self.delivery_of(item)
        if delivery is not None:
            leave(delivery)
            link = delivery.link
            link.renew()

    # -- the end of a link

    def drop_stale(self) -> list[Any]:
        """Drop unsettled items whose link has gone, since the sender delivers them again. Return what stays.

        Items that arrived settled stay, because they exist nowhere else.
        """
        self._take_unsettled()
        return list(self._items)

    def release_all(self) -> list[Any]:
        """Release what nobody took, before its link is closed. Return what stays: the settled items."""
        unsettled = self._take_unsettled()
        settled = list(self._items)
        for item in unsettled:
            self.release(item)
        return settled

    def _take_unsettled(self) -> list[Any]:
        unsettled: list[Any] = []
        items: deque[Any] = deque()  # where nobody else can take one meanwhile
        try:
            self.move_to(items)
            for _ in range(len(items)):
                if self.is_settled(items[0]):
                    items.rotate(-1)
                else:
                    move_one(items, unsettled)
        finally:
            self.move_back(items)
        return unsettled


class Incoming(LinkHandler):
    """Takes in what arrives over a receiver.

    Payloads that aren't messages are rejected, and the link lives on. If the sender was asked to send settled and
    doesn't, its messages are accepted as they arrive.

    Args:
        inbox: where deliveries are held; None if `take_in` is overridden.
        logger: logs what was rejected, and what couldn't be settled.

    Attributes:
        at_most_once: whether deliveries count as settled even if they weren't sent so; see `ReceiverCore`.
        inbox: see above.
    """

    __slots__ = ("_logger", "at_most_once", "inbox")

    def __init__(self, inbox: Inbox | None = None, logger: logging.Logger = _module_logger) -> None:
        self.inbox = inbox
        self.at_most_once = False
        self._logger = logger

    def serve(self, core: ReceiverCore) -> None:
        """Handle the deliveries of a link from now on."""
        self.at_most_once = core.at_most_once
        core.handler = self

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        """See `LinkHandler`."""
        try:
            data_start = single_data(delivery.payload)
        except DecodeError as error:
            self._refuse(delivery, error)
            return
        if self.at_most_once and not delivery.settled and not self._settle(delivery, ACCEPTED):
            return  # the link has gone, so the sender delivers it again
        self.take_in(delivery, data_start)
        if delivery.context is None:
            leave(delivery)

    def take_in(self, delivery: IncomingDelivery, data_start: int) -> None:
        """Take in a message that can be decoded; may be overridden.

        It has left when this returns, unless somebody holds it (`Inbox.take_in`, `Inbox.hold`) or has counted it out.

        Args:
            delivery: the delivery.
            data_start: the result of `codec.sections.single_data` for its payload.
        """
        if self.inbox is None:
            raise NotImplementedError
        self.inbox.take_in(delivery)

    def _refuse(self, delivery: IncomingDelivery, error: DecodeError) -> None:
        """Reject a delivery that isn't a message."""
        name = delivery.link.name
        self._logger.error(
            "Message %d of link %r can't be decoded and is rejected: %s", delivery.delivery_id, name, error
        )
        self._settle(delivery, Rejected(Error(AmqpError.DECODE_ERROR, str(error)[:_MAX_REASON])))
        leave(delivery)

    def _settle(self, delivery: IncomingDelivery, outcome: DeliveryState) -> bool:
        """Settle while events are handled; return False if the link has gone in the same read."""
        try:
            settle(delivery, outcome)
        except LocalProtocolError as error:
            name = delivery.link.name
            self._logger.info("Message %d of link %r isn't settled: %s", delivery.delivery_id, name, error)
            return False
        return True
