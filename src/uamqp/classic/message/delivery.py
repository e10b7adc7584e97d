"""The delivery by which a message arrived, as the message sees it."""

from __future__ import annotations

from typing import Protocol


class Delivery(Protocol):
    """What a received message needs to know of its delivery. The engine's `IncomingDelivery` implements this."""

    delivery_id: int
    tag: bytes
    message_format: int
    payload: bytes
    settled: bool
