"""Settlement: the unsettled deliveries of a session, and what either side says about them (sections 2.6.12, 2.7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codec import ROLE_RECEIVER, DeliveryState, Disposition, EncodeError, Received, Rejected, encode_value
from . import conditions
from .delivery import IncomingDelivery, OutgoingDelivery
from .errors import LocalProtocolError, SessionError
from .events import IncomingSettled
from .frames import DispositionReader, append_disposition
from .serial import MASK, add, distance
from .terms import MODE_FIRST

if TYPE_CHECKING:
    from .link import Link
    from .session import Session


_DISPOSITION_OVERHEAD = 32
"""The bytes of frame header, descriptor, list of 32 bits, role, first, last and settled."""

_REJECTED = Rejected()

_STEPS = 1000
"""Deliveries that a disposition may make us examine for each one it settles, without being counted."""

_MAX_IDLE_STEPS = 10_000_000
"""Deliveries that may be examined in vain before the session is ended.

A disposition has 30 bytes, and a range of any size. We examine each delivery that is unsettled or in the range,
whichever are fewer; a peer that has left many unsettled could keep us busy with ranges that contain none of them.
"""


class Unsettled:
    """The unsettled deliveries of a session, and the disposition that is being collected for the peer.

    Attributes:
        incoming, outgoing: deliveries by delivery-id.
        limit: number of incoming ones from which no more credit is given.
    """

    __slots__ = (
        "_encoded",
        "_first",
        "_idle_steps",
        "_last",
        "_receiver",
        "_session",
        "_settled",
        "_state",
        "incoming",
        "limit",
        "outgoing",
    )

    def __init__(self, session: Session, limit: int) -> None:
        self._session = session
        self.limit = limit
        self.incoming: dict[int, IncomingDelivery] = {}
        self.outgoing: dict[int, OutgoingDelivery] = {}
        # The disposition: a range of deliveries with one state. `_first` is -1 if there is none.
        self._first = -1
        self._last = -1
        self._receiver = ROLE_RECEIVER
        self._settled = False
        self._state: DeliveryState | None = None
        self._encoded = b""
        self._idle_steps = 0

    # -- what we say

    def add_incoming(self, delivery: IncomingDelivery) -> None:
        """Add an unsettled delivery that has arrived completely."""
        delivery_id = delivery.delivery_id
        if self.incoming.setdefault(delivery_id, delivery) is not delivery:
            raise SessionError(conditions.NOT_ALLOWED, f"delivery-id {delivery_id} is in use by an unsettled delivery")

    def settle_incoming(self, delivery: IncomingDelivery, outcome: DeliveryState | None) -> None:
        """See `IncomingDelivery.settle`."""
        delivery_id = delivery.delivery_id
        if delivery.settled or delivery.state is not None or self.incoming.get(delivery_id) is not delivery:
            raise LocalProtocolError(f"delivery {delivery_id} can't be settled: it is settled, or its link is gone")
        session = self._session
        session.engine._check_open()
        link = delivery.link
        mode = link.rcv_settle_mode
        settled = outcome is None or mode == MODE_FIRST
        self._dispose(ROLE_RECEIVER, delivery_id, settled, outcome)
        delivery.state = outcome
        if settled:
            del self.incoming[delivery_id]
            delivery.settled = True
            link._refill()
            if len(self.incoming) == self.limit - 1:  # it held the credit of all links back
                session._refill_links()

    def settle_outgoing(self, delivery: OutgoingDelivery, state: DeliveryState | None) -> None:
        """See `OutgoingDelivery.settle`."""
        self._session.engine._check_open()
        delivery_id = delivery.delivery_id
        if delivery.settled or delivery_id is None or not delivery.sent:
            raise LocalProtocolError("the delivery can't be settled: it is settled, or hasn't gone out")
        self._dispose(not ROLE_RECEIVER, delivery_id, True, state)
        self.outgoing.pop(delivery_id, None)
        delivery.settled = True
        delivery.state = state

    def confirm(self, delivery: OutgoingDelivery) -> None:
        """Settle with the receiver's outcome (rcv-settle-mode second), which some receivers compare with their own.

        A rejection goes back without its error, which would mean that the rejection itself has failed.
        """
        if delivery.delivery_id is None:
            return
        state = _REJECTED if isinstance(delivery.remote_state, Rejected) else delivery.remote_state
        try:
            self._dispose(not ROLE_RECEIVER, delivery.delivery_id, True, state)  # type: ignore[arg-type]  # it arrived as one
        except LocalProtocolError:  # too long for the peer's frames; what counts is that it is settled
            self._dispose(not ROLE_RECEIVER, delivery.delivery_id, True, None)

    def _dispose(self, receiver: bool, delivery_id: int, settled: bool, state: DeliveryState | None) -> None:
        if (
            self._first >= 0
            and delivery_id == self._last + 1
            and state is self._state
            and settled == self._settled
            and receiver == self._receiver
        ):
            self._last = delivery_id
            return
        try:
            encoded = encode_value(state, depth=1) if state is not None else b""
        except EncodeError as error:
            raise LocalProtocolError(f"the delivery state can't be encoded: {error}") from error
        session = self._session
        maximum = session.engine.remote_max_frame_size - _DISPOSITION_OVERHEAD
        if len(encoded) > maximum:
            raise LocalProtocolError(
                f"a delivery state of {len(encoded)} bytes: the peer's frames have room for {maximum}"
            )
        if self._first >= 0:
            self.flush()
        self._encoded = encoded
        self._first = self._last = delivery_id
        self._receiver = receiver
        self._settled = settled
        self._state = state
        session._mark()

    def flush(self) -> None:
        """Encode the disposition that is being collected."""
        first = self._first
        if first < 0:
            return
        self._first = -1
        state = self._state
        self._state = None
        channel = self._session.channel
        engine = self._session.engine
        append_disposition(engine.output, channel, self._receiver, first, self._last, self._settled, self._encoded)
        if engine.trace is not None:
            engine.trace("->", channel, Disposition(self._receiver, first, self._last, self._settled, state), 0)

    # -- what the peer says

    def on_disposition(self, disposition: DispositionReader) -> None:
        """Apply the peer's settlement of a range of deliveries (section 2.7.6)."""
        first = disposition.first
        count = distance(first, disposition.last) + 1
        if count < 1:
            raise SessionError(conditions.INVALID_FIELD, f"disposition.last {disposition.last} is before first {first}")
        if disposition.receiver:
            self._on_outcomes(first, count, disposition.settled, disposition.state)
        elif disposition.settled or disposition.state is not None:
            self._on_sender_settled(first, count, disposition.settled, disposition.state)

    def _on_outcomes(self, first: int, count: int, settled: bool, state: object | None) -> None:
        if not settled and (state is None or (count > 1 and isinstance(state, Received))):
            return  # it says nothing worth a walk through all deliveries
        outgoing = self.outgoing
        if count > len(outgoing):
            found = _in_range(outgoing, first, count)
            self._charge(len(outgoing), len(found))
            for delivery in found:
                if settled:
                    self.drop_outgoing(delivery)
                delivery.link._on_disposition(delivery, settled, state)
            return
        number = first
        hits = 0
        for _ in range(count):
            delivery = outgoing.pop(number, None) if settled else outgoing.get(number)
            if delivery is not None:
                hits += 1
                delivery.link._on_disposition(delivery, settled, state)
            number = add(number, 1)
        self._charge(count, hits)

    def _charge(self, steps: int, hits: int) -> None:
        """Count deliveries that were examined in vain: `steps` that led to `hits`."""
        self._idle_steps += steps - hits * _STEPS
        if self._idle_steps < 0:
            self._idle_steps = 0
        elif self._idle_steps > _MAX_IDLE_STEPS:
            raise SessionError(
                conditions.RESOURCE_LIMIT_EXCEEDED, "too many dispositions of deliveries that don't exist"
            )

    def _on_sender_settled(self, first: int, count: int, settled: bool, state: object | None) -> None:
        found = _in_range(self.incoming, first, count)
        self._charge(min(count, len(self.incoming)), len(found))
        for delivery in found:
            if state is not None:
                delivery.remote_state = state
            if settled:
                del self.incoming[delivery.delivery_id]
                delivery.settled = True
                self._session.engine._emit(IncomingSettled(delivery))

    # -- what is settled, or lost

    def drop_outgoing(self, delivery: OutgoingDelivery) -> None:
        """Forget one sent delivery."""
        if delivery.delivery_id is not None:
            self.outgoing.pop(delivery.delivery_id, None)

    def drop_incoming(self, link: Link) -> None:
        """Forget the deliveries from a link that is ending."""
        incoming = self.incoming
        for delivery_id in [key for key, delivery in incoming.items() if delivery.link is link]:
            del incoming[delivery_id]

    def take_outgoing(self, link: Link) -> list[OutgoingDelivery]:
        """Remove and return the deliveries sent over a link that is ending."""
        outgoing = self.outgoing
        lost = [delivery for delivery in outgoing.values() if delivery.link is link]
        for delivery in lost:
            del outgoing[delivery.delivery_id or 0]
        return lost

    def lose(self) -> None:
        """Report what was sent as lost, because the session is gone."""
        self._first = -1
        self.incoming.clear()
        lost, self.outgoing = self.outgoing, {}
        for delivery in lost.values():
            delivery.settled = delivery.lost = True
            self._session.engine._emit(delivery)


def _in_range(deliveries: dict[int, Any], first: int, count: int) -> list[Any]:
    """Return the deliveries in a range, in order. The work is limited by what exists, as the peer chooses the range."""
    if count > len(deliveries):
        found = [key for key in deliveries if (key - first & MASK) < count]
        found.sort(key=lambda key: key - first & MASK)
        return [deliveries[key] for key in found]
    return [deliveries[key] for key in (first + index & MASK for index in range(count)) if key in deliveries]
