"""What a message knows of how it arrived."""

from __future__ import annotations

from typing import Protocol


class Delivery(Protocol):
    """What a received message needs to know of its delivery; the engine's `IncomingDelivery` has it."""

    delivery_id: int
    tag: bytes
    message_format: int
    payload: bytes
    settled: bool
