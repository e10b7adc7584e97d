"""Bounds on everything whose size a peer determines.

The codec's own bounds (nesting depth, element counts) are in `uamqp.codec.limits`.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_MAX_FRAME_SIZE = 512
"""The smallest max-frame-size an AMQP container may announce (section 2.7.1, MIN-MAX-FRAME-SIZE)."""

MIN_HEARTBEAT = 0.01
"""Minimum seconds between two heartbeats, however short an idle-time-out the peer asks for."""

MAX_DELIVERY_TAG = 32
"""Maximum length of a delivery-tag in bytes (section 2.8.7)."""

MAX_CREDIT = 2**31 - 1
"""Largest credit that differs from a negative one in serial number arithmetic (RFC 1982, 32 bits)."""


@dataclass(slots=True, frozen=True)
class Limits:
    """The bounds of one engine. Each may be lowered or raised when the engine is made.

    Attributes:
        frame_size: largest frame in bytes that is ever accepted, whatever max-frame-size was asked for.
        message_size: largest message in bytes that a receiver assembles if its link sets no limit of its own.
        buffered_bytes: bytes of unfinished multi-frame deliveries held at a time, over all links of the connection.
        sessions: sessions open at a time, whoever began them.
        links: links attached at a time in one session, whoever attached them.
        unsettled: incoming deliveries unsettled at a time in one session, beyond which automatic credit gives no more;
            deliveries covered by earlier credit may still arrive.
        overrun: deliveries by which a sender may exceed its credit before the link is ended, though never more than the
            largest credit it was given at once: some brokers are known to miscount when credit is renewed.
        output_bytes: transfers are encoded only while less than this is waiting to be written, so that with a slow
            peer deliveries wait in their queue, where they can still be withdrawn. No transfer takes a larger frame,
            whatever the peer accepts, so that a large message isn't copied all at once.
        sasl_rounds: challenges that a server may send before its outcome.
        sasl_frame_size: largest SASL frame in bytes. The specification allows 512; brokers are known to send more.
    """

    frame_size: int = 16 * 1024 * 1024
    message_size: int = 256 * 1024 * 1024
    buffered_bytes: int = 512 * 1024 * 1024
    sessions: int = 1024
    links: int = 16384
    unsettled: int = 1_000_000
    overrun: int = 1000
    output_bytes: int = 1024 * 1024
    sasl_rounds: int = 16
    sasl_frame_size: int = 65536

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            minimum = 0 if name == "overrun" else MIN_MAX_FRAME_SIZE if name.endswith("frame_size") else 1
            if not isinstance(value, int) or value < minimum:
                raise ValueError(f"Limits.{name} must be an integer of at least {minimum}, not {value!r}")
