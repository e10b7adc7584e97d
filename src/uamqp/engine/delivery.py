"""Deliveries: one message on its way over a link, until both sides have settled it (section 2.6.12).

A delivery is also the event that reports it; see `uamqp.engine.events`.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from ..codec import DeliveryState

if TYPE_CHECKING:
    from .receiver import Receiver
    from .sender import Sender


_pack_tag = Struct(">I").pack


class IncomingDelivery:
    """A message from the peer. As an event: the whole of it has arrived.

    Attributes:
        link: the receiver it came over.
        delivery_id: the session's number for it (a serial number of 32 bits).
        tag: the sender's delivery-tag.
        message_format: the transfer's message-format, 0 when it gave none.
        payload: the encoded message, all frames together.
        settled: nothing more can be said of it: the sender sent it settled, or it was settled since.
        state: the delivery state that we gave it, or None.
        remote_state: the delivery state that the sender gave it, or None.
        context: free for the engine's user.
    """

    __slots__ = (
        "context",
        "delivery_id",
        "link",
        "message_format",
        "payload",
        "remote_state",
        "settled",
        "state",
        "tag",
    )

    link: Receiver
    delivery_id: int
    tag: bytes
    message_format: int
    payload: bytes
    settled: bool
    state: DeliveryState | None
    remote_state: object | None
    context: Any

    def __init__(self) -> None:
        """Leave everything unset: the engine makes deliveries."""

    def settle(self, outcome: DeliveryState | None) -> None:
        """Say what becomes of the message. Dispositions are collected and leave with `Engine.data_to_send`.

        With rcv-settle-mode first it is settled by that. With second the outcome goes out unsettled, and the
        delivery is settled, with an `IncomingSettled` event, when the sender has settled it.

        Args:
            outcome: Accepted, Rejected, Released, Modified or another delivery state; None settles without one.

        Raises:
            LocalProtocolError: it is settled already, an outcome was given before, or its link is gone.
        """
        self.link.session.unsettled.settle_incoming(self, outcome)

    def __repr__(self) -> str:
        return f"<IncomingDelivery {self.delivery_id} on {self.link.name!r:.100}, {len(self.payload)} bytes>"


class OutgoingDelivery:
    """A message to the peer. As an event: something became known about its fate.

    Attributes:
        link: the sender it goes over.
        delivery_id: the session's number for it; None until its first frame is encoded.
        message_format: the message-format of the transfer.
        payload: the encoded message; empty once its last frame is encoded.
        sent: its last frame is encoded.
        settled: nothing more will be said of it.
        lost: the link went before the receiver settled it. If it was `sent`, its fate is unknown; if not, not all of it
            went out, and the peer has discarded what did.
        state: the delivery state that we sent along, or None.
        remote_state: the last delivery state of the receiver, or None.
        context: free for the engine's user.
    """

    __slots__ = (
        "_aborted",
        "_offset",
        "_pre_settled",
        "_tag",
        "_tag_number",
        "context",
        "delivery_id",
        "link",
        "lost",
        "message_format",
        "payload",
        "remote_state",
        "sent",
        "settled",
        "state",
    )

    link: Sender
    delivery_id: int | None
    message_format: int
    payload: bytes
    sent: bool
    settled: bool
    lost: bool
    state: DeliveryState | None
    remote_state: object | None
    context: Any
    _aborted: bool
    _offset: int
    _pre_settled: bool
    _tag: bytes | None  # None: `_tag_number` in four bytes
    _tag_number: int

    def __init__(self) -> None:
        """Leave everything unset: the engine makes deliveries."""

    @property
    def tag(self) -> bytes:
        """The delivery-tag."""
        return self._tag if self._tag is not None else _pack_tag(self._tag_number)

    def withdraw(self) -> bool:
        """Take the message back, if nothing of it is on the wire yet.

        Returns:
            True if it was taken back: nothing of it went out, and nothing will. False if it is too late.
        """
        return self.link._withdraw(self)

    def abort(self) -> None:
        """Give up a message of which some frames are out and some are not (transfer with aborted=true).

        Raises:
            LocalProtocolError: it has gone out whole, or not at all.
        """
        self.link._abort(self)

    def settle(self, state: DeliveryState | None = None) -> None:
        """Settle on our side without waiting for the receiver.

        Raises:
            LocalProtocolError: it is settled already, or hasn't gone out.
        """
        self.link.session.unsettled.settle_outgoing(self, state)

    def __repr__(self) -> str:
        return f"<OutgoingDelivery {self.delivery_id} on {self.link.name!r:.100}>"
