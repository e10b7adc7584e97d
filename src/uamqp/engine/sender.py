"""The sending end of a link: the queue, the credit, the frames of a delivery (sections 2.6.7, 2.6.12, 2.6.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codec import Attach, DeliveryState, EncodeError, Flow, Received, Transfer
from . import conditions
from .delivery import OutgoingDelivery
from .errors import LocalProtocolError, MessageTooLarge, SessionError
from .events import CreditChanged
from .fifo import Fifo
from .frames import (
    TransferHead,
    append_continuation,
    append_frame,
    append_transfer,
    continuation_size,
    transfer_size,
    uint_bytes,
)
from .limits import MAX_DELIVERY_TAG
from .link import Link
from .serial import MASK, add, distance
from .states import ACTIVE
from .terms import ENCODED_ALL, MODE_SETTLED, MODE_UNSETTLED, NO_WINDOW, OUTPUT_FULL

if TYPE_CHECKING:
    from .frames import TransferReader
    from .session import Session

_FORMAT_0 = uint_bytes(0)
_FEW = 64
"""Withdrawn deliveries that may stay in the queue before it checks whether they are the majority."""


# Drain, from the sender's side (section 2.6.7). A receiver that sets `drain` in a flow asks us to use up its credit at
# once, or to give back what we have no messages for. It can't tell by itself that nothing more will come, so an answer
# is due in any case, and only the engine's user knows when: it hears of `drain` by a `CreditChanged` event, sends what
# it has, and calls `drained`.
#
# 1. Deliveries may still be queued at that moment. They have a right to the credit, so `drained` only records that it
#    was called (`_drain_answered`), and `_encode_queued` calls it again at the end of the queue.
# 2. With the queue empty, or no credit left, the rest is given back: `delivery_count` advances by it, as if that many
#    deliveries had been sent, and the credit is 0. This tells the receiver that the drain is over.
# 3. The flow that says so repeats the receiver's `drain`, although ours is False by then: `_drain_reply`.
#
# A flow without `drain` cancels the request, and the record of step 1 with it.


class Sender(Link):
    """The sending end of a link. Deliveries wait in a queue for credit, session window and room in the output.

    Attributes:
        drain: whether the receiver asks to use up its credit: send what there is, then call `drained`.
        delivery_count: the serial number of section 2.6.7.
    """

    __slots__ = (
        "_drain_answered",
        "_drain_reply",
        "_link_credit",
        "_next_tag",
        "_queue",
        "_ready",
        "_remote_max_message_size",
        "_room_below",
        "_usual_head",
        "_withdrawn",
        "delivery_count",
        "drain",
    )

    is_sender = True

    def __init__(self, session: Session, name: str, handle: int) -> None:
        super().__init__(session, name, handle)
        self.drain = False
        self.delivery_count = 0
        self._link_credit = 0
        self._queue = Fifo()  # of OutgoingDelivery
        self._withdrawn = 0  # how many of those in the queue were withdrawn
        self._room_below = 0  # with fewer queued, `CreditChanged` is reported; 0 if nobody asked for room
        self._remote_max_message_size = 0  # 0 if the peer gave none
        self._next_tag = 1
        self._ready = False
        self._usual_head: TransferHead | None = None
        self._drain_answered = False  # whether nothing is to be sent beyond what is queued
        self._drain_reply = False  # whether the next flow answers a drain

    @property
    def credit(self) -> int:
        """Number of deliveries that can go out beyond those queued; 0 or more."""
        free = self._link_credit - self.queued_whole
        return max(0, free)

    @property
    def queued(self) -> int:
        """Number of deliveries passed to `send` that aren't completely encoded yet."""
        return len(self._queue) - self._withdrawn

    @property
    def queued_whole(self) -> int:
        """Number of deliveries passed to `send` of which no frame is encoded yet; these can be withdrawn."""
        first: OutgoingDelivery | None = self._queue.first()
        return self.queued - 1 if first is not None and first.delivery_id is not None else self.queued

    def send(
        self,
        payload: bytes,
        *,
        tag: bytes | None = None,
        message_format: int = 0,
        settled: bool = False,
        state: DeliveryState | None = None,
        context: Any = None,
    ) -> OutgoingDelivery:
        """Queue a message. It goes out with `Engine.data_to_send` as far as credit and windows allow.

        Args:
            payload: the encoded message.
            tag: up to 32 bytes; None for a counter. The caller has to make it unique among the link's unsettled
                deliveries.
            message_format: 0 for the message format of the specification.
            settled: whether to send it settled, without an outcome to follow; the link's mode may decide instead.
            state: a delivery state to go with it (a transaction, for instance).
            context: becomes the delivery's `context`.

        Raises:
            LocalProtocolError: the link isn't attached, the tag is too long, the message-format over 32 bits, or the
                state can't be encoded.
            MessageTooLarge: the payload exceeds the peer's max-message-size.
        """
        return self.enqueue(payload, tag, message_format, settled, state, context)

    def enqueue(
        self,
        payload: bytes,
        tag: bytes | None,
        message_format: int,
        settled: bool,
        state: DeliveryState | None,
        context: Any,
    ) -> OutgoingDelivery:
        """Do what `send` does, with positional arguments."""
        if self.local_state is not ACTIVE or self.remote_state is not ACTIVE:
            raise LocalProtocolError(f"link {self.name!r:.100} is not open")
        self.session.engine._check_open()
        maximum = self._remote_max_message_size
        if maximum and len(payload) > maximum:
            raise MessageTooLarge(
                f"a message of {len(payload)} bytes is over the peer's max-message-size of {maximum} bytes"
            )
        if tag is not None and not 0 < len(tag) <= MAX_DELIVERY_TAG:
            raise LocalProtocolError(f"a delivery-tag has 1 to {MAX_DELIVERY_TAG} bytes, not {len(tag)}")
        if message_format != 0 and not 0 <= message_format <= MASK:
            raise LocalProtocolError(f"a message-format is from 0 to {MASK}, not {message_format}")
        mode = self.snd_settle_mode
        if mode == MODE_SETTLED:
            settled = True
        elif mode == MODE_UNSETTLED:
            settled = False
        delivery = OutgoingDelivery.__new__(OutgoingDelivery)  # without the calls that a constructor takes
        delivery.link = self
        delivery.delivery_id = None
        delivery._tag = tag
        delivery._tag_number = self._next_tag
        if tag is None:
            self._next_tag = add(self._next_tag, 1)
        delivery.message_format = message_format
        delivery.payload = payload
        delivery.sent = delivery.settled = delivery.lost = False
        delivery.state = state
        delivery.remote_state = None
        delivery.context = context
        delivery._aborted = False
        delivery._offset = 0
        delivery._pre_settled = settled
        if state is not None:
            self._check_state(delivery)
        self._queue.append(delivery)
        if not self._ready and self._link_credit > 0:
            self.session._sender_is_ready(self)
            self._ready = True
        return delivery

    def _check_state(self, delivery: OutgoingDelivery) -> None:
        try:
            size = self._transfer_size(delivery)
        except EncodeError as error:
            raise LocalProtocolError(f"the delivery's state can't be encoded: {error}") from error
        maximum = self.session.engine.remote_max_frame_size
        if size > maximum:
            raise LocalProtocolError(f"the delivery's state needs a frame of {size} bytes, the peer takes {maximum}")

    def drained(self) -> None:
        """Give back the credit that is left: the answer to `drain` when there is nothing more to send.

        Queued deliveries go out first. Without a request to drain, nothing happens.
        """
        if not self.drain:
            return
        if self._link_credit > 0 and self.queued:
            self._drain_answered = True
            return
        self._drain_answered = False
        self.delivery_count = add(self.delivery_count, self._link_credit)
        self._link_credit = 0
        self.drain = False
        self._drain_reply = True
        self._ask_for_flow()

    def _withdraw(self, delivery: OutgoingDelivery) -> bool:
        """See `OutgoingDelivery.withdraw`."""
        if delivery.delivery_id is not None or delivery.settled:
            return False
        # It stays in the queue until its turn comes: finding it would mean walking through the queue.
        delivery.settled = True
        delivery.payload = b""
        self._withdrawn += 1
        if self._withdrawn > _FEW and self._withdrawn > self.queued:
            queue, self._queue = self._queue, Fifo()
            self._withdrawn = 0
            for waiting in queue:
                if not _is_withdrawn(waiting):
                    self._queue.append(waiting)
        return True

    def withdraw_last(self, context: Any) -> bool:
        """Withdraw the last queued delivery if it has this context: for a caller interrupted while sending it."""
        queued = list(self._queue)
        return bool(queued) and queued[-1].context is context and self._withdraw(queued[-1])

    def ask_for_room(self) -> None:
        """Report a `CreditChanged` once fewer deliveries are queued than now, for users that keep the queue short."""
        self._room_below = len(self._queue)

    def _report_room(self) -> None:
        """Report that there is room, if there is and somebody asked for it."""
        if len(self._queue) < self._room_below:
            self._room_below = 0
            self.session.engine._emit(CreditChanged(self))

    def _abort(self, delivery: OutgoingDelivery) -> None:
        """See `OutgoingDelivery.abort`."""
        if self._queue.first() is not delivery or delivery.delivery_id is None:
            raise LocalProtocolError("only a delivery that is partly on the wire can be aborted")
        self.session.unsettled.drop_outgoing(delivery)
        self._give_up(delivery)

    def _give_up(self, delivery: OutgoingDelivery) -> None:
        """Replace the rest of a delivery with a transfer that aborts it as soon as the window allows one."""
        delivery.settled = delivery._aborted = True
        delivery.payload = b""
        if not self._ready:
            self._ready = True
            self.session._sender_is_ready(self)

    # -- for the session

    def _encode_queued(self, out: bytearray, limit: int) -> int:
        """Encode queued deliveries into `out` until the queue, the credit, the window or the room is used up."""
        session = self.session
        queue = self._queue
        delivery: OutgoingDelivery | None = queue.first()
        while delivery is not None:
            if delivery.delivery_id is None:
                if delivery.settled:  # withdrawn
                    self._withdrawn -= 1
                    queue.pop()
                    delivery = queue.first()
                    continue
                if self._link_credit <= 0:
                    break
            if session.remote_incoming_window <= 0:
                return NO_WINDOW
            if len(out) >= limit:
                return OUTPUT_FULL
            if delivery.delivery_id is None:
                self._start(delivery, out)
            elif delivery._aborted:
                self._send_abort(delivery)
            else:
                self._continue(delivery, out)
            if delivery.sent or delivery._aborted:
                queue.pop()
            delivery = queue.first()
        if self._drain_answered:
            self.drained()
        return ENCODED_ALL

    def _start(self, delivery: OutgoingDelivery, out: bytearray) -> None:
        session = self.session
        number = session.next_delivery_id
        session.next_delivery_id = add(number, 1)
        self.delivery_count = add(self.delivery_count, 1)
        self._link_credit -= 1
        delivery.delivery_id = number
        size = len(delivery.payload)
        if not delivery._pre_settled:
            session.unsettled.outgoing[delivery.delivery_id] = delivery
        head = self._usual_head
        if head is None:
            head = self._usual_head = TransferHead(session._transfer_prefix, self._handle_bytes)
        if delivery.state is not None:
            self._start_with_state(delivery, out)
        elif (
            delivery._tag is None
            and delivery.message_format == 0
            and head.size + size <= session.engine.transfer_frame_size
        ):
            head.append(out, number, delivery._tag_number, delivery._pre_settled, delivery.payload)
            self._finish(delivery)
        else:
            self._start_plain(delivery, out)
        session._count_transfer()
        if session.engine.trace is not None:
            transfer = self._transfer_with_state(delivery)
            transfer.more = not delivery.sent
            session.engine.trace("->", session.channel, transfer, delivery._offset if transfer.more else size)

    def _start_plain(self, delivery: OutgoingDelivery, out: bytearray) -> None:
        session = self.session
        handle = self._handle_bytes
        tag = delivery.tag
        message_format = _FORMAT_0 if delivery.message_format == 0 else uint_bytes(delivery.message_format)
        payload = delivery.payload
        room = session.engine.transfer_frame_size - transfer_size(handle, tag, message_format)
        more = len(payload) > room
        if more:
            room -= 1  # for the flag that says so
            delivery._offset = room
            payload = payload[:room]
        append_transfer(
            out,
            session._transfer_prefix,
            handle,
            delivery.delivery_id or 0,
            tag,
            message_format,
            delivery._pre_settled,
            more,
            payload,
        )
        if not more:
            self._finish(delivery)

    def _transfer_with_state(self, delivery: OutgoingDelivery) -> Transfer:
        return Transfer(
            self.handle,
            MASK if delivery.delivery_id is None else delivery.delivery_id,
            delivery.tag,
            delivery.message_format,
            delivery._pre_settled,
            True,
            state=delivery.state,
        )

    def _transfer_size(self, delivery: OutgoingDelivery) -> int:
        """Return the bytes of a first frame with a state but no payload."""
        return 8 + len(self._transfer_with_state(delivery).encode())

    def _start_with_state(self, delivery: OutgoingDelivery, out: bytearray) -> None:
        session = self.session
        transfer = self._transfer_with_state(delivery)
        room = max(0, session.engine.transfer_frame_size - self._transfer_size(delivery))
        payload = delivery.payload
        if len(payload) <= room:
            transfer.more = False
            append_frame(out, session.channel, transfer, payload)
            self._finish(delivery)
        else:
            delivery._offset = room
            append_frame(out, session.channel, transfer, payload[:room])

    def _continue(self, delivery: OutgoingDelivery, out: bytearray) -> None:
        session = self.session
        start = delivery._offset
        payload = delivery.payload
        frame_size = session.engine.transfer_frame_size
        more = len(payload) - start > frame_size - continuation_size(self._handle_bytes, False)
        stop = start + frame_size - continuation_size(self._handle_bytes, True) if more else len(payload)
        append_continuation(out, session._transfer_prefix, self._handle_bytes, more, memoryview(payload)[start:stop])
        delivery._offset = stop
        if not more:
            self._finish(delivery)
        session._count_transfer()
        if session.engine.trace is not None:
            session.engine.trace("->", session.channel, Transfer(self.handle, more=more), stop - start)

    def _send_abort(self, delivery: OutgoingDelivery) -> None:
        session = self.session
        session._count_transfer()
        session.engine._send(session.channel, Transfer(self.handle, delivery.delivery_id, aborted=True))

    def _finish(self, delivery: OutgoingDelivery) -> None:
        delivery.sent = True
        delivery.payload = b""
        if delivery._pre_settled:
            delivery.settled = True
            self.session.engine._emit(delivery)
        elif delivery.remote_state is not None:
            self._confirm(delivery)  # the receiver decided before the last frame

    def _on_transfer(self, transfer: TransferReader, data: bytes, pos: int, end: int) -> None:
        """Fail, because the peer must not send on a link over which we send."""
        raise SessionError(conditions.NOT_ALLOWED, f"a transfer came over link {self.name!r:.100}, whose sender we are")

    def _refill(self) -> None:
        """Do nothing, because the receiver gives the credit."""

    def _on_disposition(self, delivery: OutgoingDelivery, settled: bool, state: object | None) -> None:
        """Handle what the receiver says about a delivery; if settled, the session has forgotten it."""
        if state is not None:
            delivery.remote_state = state
        session = self.session
        if settled:
            delivery.settled = True
            if not delivery.sent:  # it doesn't want the rest
                self._give_up(delivery)
            session.engine._emit(delivery)
        elif delivery.sent and state is not None:
            self._confirm(delivery)

    def _confirm(self, delivery: OutgoingDelivery) -> None:
        """Settle the receiver's outcome, as the receiver waits for that (rcv-settle-mode second)."""
        if isinstance(delivery.remote_state, Received):
            return
        session = self.session
        session.unsettled.drop_outgoing(delivery)
        delivery.settled = True
        session.unsettled.confirm(delivery)
        session.engine._emit(delivery)

    def _on_flow(self, flow: Flow) -> None:
        """Apply credit from the receiver (section 2.6.7)."""
        if flow.link_credit is not None:
            start = flow.delivery_count if flow.delivery_count is not None else self._initial_count
            # Deliveries that the receiver hadn't seen when it sent this have already used up some of the credit.
            self._link_credit = max(0, flow.link_credit - max(0, distance(start, self.delivery_count)))
        self.drain = bool(flow.drain)
        self._drain_answered = self._drain_answered and self.drain
        if self._queue and self._link_credit > 0 and not self._ready:
            self._ready = True
            self.session._sender_is_ready(self)
        if flow.echo:
            self._ask_for_flow()
        self.session.engine._emit(CreditChanged(self))

    @property
    def _initial_count(self) -> int:
        request = self._request
        return (request.initial_delivery_count or 0) if request is not None else 0

    def _append_flow(self, flow: Flow) -> None:
        """Fill in our view of the link's flow state."""
        flow.delivery_count = self.delivery_count
        flow.link_credit = self._link_credit
        flow.available = self.queued
        flow.drain = self.drain or self._drain_reply  # the receiver's last known value (section 2.6.7)
        self._drain_reply = False

    def _prepare(self, max_message_size: int, initial_delivery_count: int) -> None:
        self.delivery_count = initial_delivery_count

    def _negotiate(self, attach: Attach) -> None:
        self._remote_max_message_size = attach.max_message_size or 0

    def _lose_deliveries(self) -> None:
        queue, self._queue = self._queue, Fifo()
        self._withdrawn = self._room_below = 0
        self._link_credit = 0
        self.drain = False
        session = self.session
        lost = session.unsettled.take_outgoing(self) if self._usual_head is not None else []  # nothing has gone out
        # A delivery that has partly gone out is in both.
        lost.extend(
            delivery
            for delivery in queue
            if not delivery._aborted
            and (delivery._pre_settled or delivery.delivery_id is None)
            and not _is_withdrawn(delivery)
        )
        for delivery in lost:
            delivery.settled = delivery.lost = True
            delivery.payload = b""
            session.engine._emit(delivery)


def _is_withdrawn(delivery: OutgoingDelivery) -> bool:
    return delivery.settled and delivery.delivery_id is None
