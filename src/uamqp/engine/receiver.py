"""The receiving end of a link: credit, assembly of deliveries (sections 2.6.7, 2.6.14, 2.7.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec import Attach, Flow
from . import conditions
from .delivery import IncomingDelivery
from .errors import LinkError, LocalProtocolError, SessionError
from .events import ReceiverDrained
from .frames import TransferReader
from .limits import MAX_CREDIT
from .link import Link
from .pieces import Pieces
from .serial import add, distance
from .states import ACTIVE, CLOSED

if TYPE_CHECKING:
    from .session import Session


# Credit, from the receiver's side (section 2.6.7). A flow carries a pair: the sender's `delivery_count` as far as we
# know it, and `credit`; their sum is how far the sender may count. Three numbers follow from that:
#
# credit      what is left of the last flow. It goes down with each delivery, and back up when more is given.
# _granted    the highest sum ever given. Credit can be lowered, but the sender learns of that too late for deliveries
#             under way, so this number decides whether a delivery was allowed.
# _slack      how far the sender may exceed `_granted` before the link is ended. Some brokers miscount when credit is
#             renewed (see `Limits.overrun`). It is never more than the largest credit given at once, so that a sender
#             with a credit of 1 doesn't get away with a thousand.
#
# Automatic credit keeps `credit + buffered` at `_window`. It asks for more when `credit` is down to `_low_water`, half
# of the window, and half of the window, or all that waited, was dealt with; if it is off or paused, the low water is
# -1, which no credit reaches, so one comparison for each message covers all cases. How much to ask for is known only
# when the flow is written, since the user may take deliveries until then: `_refilling` marks a flow that is due as one
# whose number is still open. The number given to `set_credit` goes out as it is.
#
# While `drain` is set, no credit is given. It ends when the credit is 0, whether deliveries have used it up or a flow
# of the sender's with an advanced delivery-count has given it back; then `ReceiverDrained` is reported and automatic
# credit resumes.


class Receiver(Link):
    """The receiving end of a link.

    Attributes:
        delivery_count: the sender's, as far as we know it (section 2.6.7).
        credit: deliveries that we have asked for and that haven't arrived.
        drain: whether we have asked the sender to use up or give back the credit.
        buffered: whole deliveries reported as events that the engine's user hasn't `taken` yet.
        message_limit: largest message in bytes that is assembled.
    """

    __slots__ = (
        "_granted",
        "_low_water",
        "_partial",
        "_parts",
        "_parts_size",
        "_refilling",
        "_slack",
        "_used",
        "_window",
        "buffered",
        "credit",
        "delivery_count",
        "drain",
        "message_limit",
    )

    def __init__(self, session: Session, name: str, handle: int) -> None:
        super().__init__(session, name, handle)
        self.delivery_count = 0
        self.credit = 0
        self.drain = False
        self.buffered = 0
        self.message_limit = session.engine.config.limits.message_size
        self._granted = 0  # the delivery-count up to which we have ever given credit
        self._slack = 0  # deliveries over the credit that are tolerated
        self._refilling = False  # whether the flow that is due is automatic credit's
        self._window = 0
        self._low_water = -1
        self._partial: IncomingDelivery | None = None
        self._parts = Pieces()  # of the unfinished delivery's payload
        self._parts_size = 0
        self._used = False  # whether a delivery has arrived

    # -- commands

    def set_credit(self, credit: int, *, drain: bool = False, echo: bool = False) -> None:
        """Ask for `credit` deliveries from now on, in place of what is left of earlier credit.

        Deliveries under way when credit is lowered still arrive. Automatic credit continues from there.

        Args:
            credit: number of deliveries.
            drain: whether the sender should send what it has at once and give back the rest; `ReceiverDrained` follows.
            echo: whether the sender should answer with a flow.

        Raises:
            LocalProtocolError: the link isn't attached, or the number is out of range.
        """
        if not 0 <= credit <= MAX_CREDIT:
            raise LocalProtocolError(f"credit must be from 0 to {MAX_CREDIT}, not {credit}")
        self._grant(credit, drain)
        if echo:
            self.session._echo_due = True

    def auto_credit(self, window: int) -> None:
        """Keep `credit` plus `buffered` at `window` with a flow whenever half of it is used; 0 turns this off.

        Raises:
            LocalProtocolError: the link isn't attached, or the number is out of range.
        """
        if not 0 <= window <= MAX_CREDIT:
            raise LocalProtocolError(f"the credit window must be from 0 to {MAX_CREDIT}, not {window}")
        self._check_attached()
        self._window = window
        self._low_water = window >> 1 if window else -1
        if window:
            self._ask_for_more()

    def pause_credit(self) -> None:
        """Stop automatic credit from giving more until `renew` or `resume_credit`; what was given stays."""
        self._low_water = -1

    def resume_credit(self) -> None:
        """Let automatic credit, if turned on, give more by itself again."""
        if self._window:
            self._low_water = self._window >> 1
            self.renew()

    def renew(self) -> None:
        """Ask once for more, as automatic credit would, even while it is paused: if half of the window is used.

        A link that is ending or gone asks for nothing.
        """
        if self._window and self.credit <= self._window >> 1:
            try:
                self._ask_for_more()
            except LocalProtocolError:
                pass  # its end is reported as an event

    def taken(self, count: int = 1) -> None:
        """Record that `count` deliveries have been dealt with, so that automatic credit may ask for more.

        A connection that is closing asks for nothing.
        """
        self.buffered -= count
        if self.buffered < 0:
            self.buffered = 0
        if self.credit <= self._low_water:
            try:
                self._ask_for_half()
            except LocalProtocolError:
                pass  # the link's end is reported as an event

    def untaken(self, count: int = 1) -> None:
        """Undo `taken` for `count` deliveries, which wait to be dealt with after all."""
        self.buffered += count

    def _refill(self) -> None:
        """Ask for more if automatic credit is on and half of the window is used."""
        if self.credit <= self._low_water:
            self._ask_for_half()

    # -- for the session

    def _on_transfer(self, transfer: TransferReader, data: bytes, pos: int, end: int) -> None:
        """Handle one frame of a delivery; its payload is in `data` from `pos` to `end`."""
        if self._partial is not None:
            self._on_continuation(transfer, data, pos, end)
            return
        if distance(self.delivery_count, self._granted) <= -self._slack:
            raise LinkError(self, conditions.TRANSFER_LIMIT_EXCEEDED, f"link {self.name!r:.100} has no credit left")
        delivery_id = transfer.delivery_id
        tag = transfer.delivery_tag
        if delivery_id is None or tag is None:
            raise SessionError(conditions.INVALID_FIELD, "the first transfer of a delivery needs delivery-id and -tag")
        size = end - pos
        if size > self.message_limit:
            raise self._too_large()
        self.delivery_count = add(self.delivery_count, 1)
        if self.credit > 0:
            self.credit -= 1
        chars = data  # char *: `Input` has checked that the whole frame is in `data`
        delivery = IncomingDelivery.__new__(IncomingDelivery)  # without a constructor's calls
        delivery.link = self
        delivery.delivery_id = delivery_id
        delivery.tag = tag
        delivery.message_format = transfer.message_format or 0
        delivery.payload = chars[pos:end]
        delivery.settled = transfer.settled
        delivery.state = delivery.context = None
        delivery.remote_state = transfer.state
        if transfer.more or transfer.aborted:
            self._begin_partial(delivery, transfer)
        else:
            self._complete(delivery)

    def _complete(self, delivery: IncomingDelivery) -> None:
        session = self.session
        self._used = True
        if not delivery.settled:
            session.unsettled.add_incoming(delivery)
        self.buffered += 1
        if self.credit <= self._low_water:
            self._ask_for_half()
        session.engine._emit(delivery)
        if self.drain and self.credit == 0:
            self._end_drain()

    def _begin_partial(self, delivery: IncomingDelivery, transfer: TransferReader) -> None:
        if transfer.aborted:
            self._after_abort()
            return
        self._partial = delivery
        self._parts.add(delivery.payload)
        self._parts_size = len(delivery.payload)
        self.session.engine._hold_bytes(self, self._parts_size)

    def _on_continuation(self, transfer: TransferReader, data: bytes, pos: int, end: int) -> None:
        delivery = self._partial
        if delivery is None:
            return
        if transfer.delivery_id is not None and transfer.delivery_id != delivery.delivery_id:
            text = f"delivery {transfer.delivery_id} starts on link {self.name!r:.100}"
            raise SessionError(conditions.NOT_ALLOWED, f"{text}, {delivery.delivery_id} is unfinished")
        if transfer.aborted:
            self._end_partial()
            self._after_abort()
            return
        size = end - pos
        if self._parts_size + size > self.message_limit:
            raise self._too_large()
        if size:
            chars = data  # char *: `Input` has checked that the whole frame is in `data`
            self._parts.add(chars[pos:end])
            self._parts_size += size
            self.session.engine._hold_bytes(self, size)
        if transfer.settled:
            delivery.settled = True
        if transfer.state is not None:
            delivery.remote_state = transfer.state
        if not transfer.more:
            delivery.payload = self._end_partial()
            self._complete(delivery)

    def _after_abort(self) -> None:
        # An aborted delivery counts as never sent, but it has used up its credit (section 2.7.5).
        self._refill()
        if self.drain and self.credit == 0:
            self._end_drain()

    def _too_large(self) -> LinkError:
        text = f"a message on link {self.name!r:.100} is over the limit of {self.message_limit} bytes"
        return LinkError(self, conditions.MESSAGE_SIZE_EXCEEDED, text)

    def _end_partial(self) -> bytes:
        """Return the part of the delivery that has arrived, and forget it."""
        self.session.engine._hold_bytes(self, -self._parts_size)
        self._partial = None
        self._parts_size = 0
        return self._parts.take()

    def _on_flow(self, flow: Flow) -> None:
        """Apply the sender's flow: its delivery-count advances when it gives credit back (section 2.6.7)."""
        if flow.delivery_count is not None:
            ahead = distance(self.delivery_count, flow.delivery_count)
            # A sender's count can't exceed its credit.
            if 0 < ahead <= distance(self.delivery_count, self._granted):
                self.delivery_count = flow.delivery_count
                self.credit = max(0, self.credit - ahead)
        if self.drain and self.credit == 0:
            self._end_drain()
        if flow.echo:
            self._ask_for_flow()

    def _end_drain(self) -> None:
        # No flow has to follow if deliveries have used up the credit.
        self.drain = False
        self.session.engine._emit(ReceiverDrained(self))
        self._refill()

    def _append_flow(self, flow: Flow) -> None:
        """Fill in the credit that we give: for a refill, as much as there is room for by now."""
        if self._refilling:
            self._refilling = False
            self._give(max(self.credit, self._room()))
        flow.delivery_count = self.delivery_count
        flow.link_credit = self.credit
        flow.drain = self.drain

    def _grant(self, credit: int, drain: bool) -> None:
        self._check_attached()
        self.drain = drain
        self._refilling = False
        self._give(credit)
        if self.remote_state is ACTIVE:
            self._ask_for_flow()

    def _give(self, credit: int) -> None:
        self.credit = credit
        self._slack = max(self._slack, min(credit, self.session.engine.config.limits.overrun))
        limit = add(self.delivery_count, credit)
        if distance(self._granted, limit) > 0:
            self._granted = limit

    def _ask_for_more(self) -> None:
        if self.local_state is not ACTIVE or self.drain:
            return
        credit = self._room()
        if credit > self.credit:
            self._grant(credit, False)
            self._refilling = True

    def _ask_for_half(self) -> None:
        """Ask for more once that is half of the window, which there is time for while deliveries wait, or for any."""
        if not self.buffered or self._room() - self.credit >= self._window - (self._window >> 1):
            self._ask_for_more()

    def _room(self) -> int:
        """Return how many deliveries automatic credit may ask for."""
        credit = self._window - self.buffered
        unsettled = self.session.unsettled
        room = unsettled.limit - len(unsettled.incoming)
        return min(credit, room)

    def _check_attached(self) -> None:
        self.session.engine._check_open()
        if self.local_state is not ACTIVE or self.remote_state is CLOSED:
            raise LocalProtocolError(f"link {self.name!r:.100} is not attached")

    def _prepare(self, max_message_size: int, initial_delivery_count: int) -> None:
        if max_message_size and max_message_size < self.message_limit:
            self.message_limit = max_message_size

    def _negotiate(self, attach: Attach) -> None:
        credit = self.credit
        self.delivery_count = attach.initial_delivery_count or 0
        self._granted = add(self.delivery_count, credit)
        if credit:
            self._ask_for_flow()

    def _lose_deliveries(self) -> None:
        if self._partial is not None:
            self._end_partial()
        self.credit = 0
        self._window = 0
        self._low_water = -1
        if self._used:
            self.session.unsettled.drop_incoming(self)
