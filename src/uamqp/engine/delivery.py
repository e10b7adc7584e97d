"""Deliveries: single messages on their way over a link, until both sides have settled them (section 2.6.12).

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
    """A message from the peer. As an event: all of it has arrived.

    Attributes:
        link: the receiver it came over.
        delivery_id: its number in the session (a serial number of 32 bits).
        tag: the sender's delivery-tag.
        message_format: the transfer's message-format, 0 if absent.
        payload: the encoded message, all frames together.
        settled: whether it was sent settled, or has been settled since, so that no outcome can follow.
        state: the delivery state that we gave it, or None.
        remote_state: the delivery state that the sender gave it, or None.
        context: for the engine's user to use freely.
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
        """Tell the sender the outcome. Dispositions are collected and go out with `Engine.data_to_send`.

        With rcv-settle-mode first, this settles the delivery. With second, the outcome goes out unsettled, and the
        delivery is settled when the sender settles it, with an `IncomingSettled` event.

        Args:
            outcome: Accepted, Rejected, Released, Modified or another delivery state; None settles without one.

        Raises:
            LocalProtocolError: it is already settled, it already has an outcome, or its link is gone.
        """
        self.link.session.unsettled.settle_incoming(self, outcome)

    def __repr__(self) -> str:
        return f"<IncomingDelivery {self.delivery_id} on {self.link.name!r:.100}, {len(self.payload)} bytes>"


class OutgoingDelivery:
    """A message to the peer. As an event: something is known about its fate.

    Attributes:
        link: the sender it goes over.
        delivery_id: its number in the session; None until its first frame is encoded.
        message_format: the message-format of the transfer.
        payload: the encoded message; empty once its last frame is encoded.
        sent: whether its last frame is encoded.
        settled: whether its fate is final.
        lost: whether the link ended before the receiver settled it. If it was `sent`, its fate is unknown; if not, some
            of it never went out, and the peer has discarded the rest.
        state: the delivery state that we sent with it, or None.
        remote_state: the receiver's latest delivery state, or None.
        context: for the engine's user to use freely.
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
        """Take the message back if none of it is on the wire yet.

        Returns:
            True if it was taken back, so that none of it goes out; False if it is too late.
        """
        return self.link._withdraw(self)

    def abort(self) -> None:
        """Abort a message of which only some frames have gone out (transfer with aborted=true).

        Raises:
            LocalProtocolError: all of it has gone out, or none.
        """
        self.link._abort(self)

    def settle(self, state: DeliveryState | None = None) -> None:
        """Settle on our side without waiting for the receiver.

        Raises:
            LocalProtocolError: it is already settled, or hasn't gone out.
        """
        self.link.session.unsettled.settle_outgoing(self, state)

    def __repr__(self) -> str:
        return f"<OutgoingDelivery {self.delivery_id} on {self.link.name!r:.100}>"
