"""Serial number arithmetic (RFC 1982, 32 bits) for delivery-ids, transfer-ids and delivery-counts.

Python's integers don't wrap, so every sum or difference of serial numbers goes through this module.
"""

from __future__ import annotations

MASK = 0xFFFFFFFF
_MASK = MASK  # with a C type where this is compiled
_HALF = 0x80000000
_WRAP = 0x100000000


def add(serial: int, count: int) -> int:
    """Return `serial + count`, wrapped to 32 bits."""
    return (serial + count) & _MASK


def distance(start: int, end: int) -> int:
    """Return how far `end` is ahead of `start`, from -2**31 to 2**31 - 1."""
    difference = (end - start) & _MASK
    return difference - _WRAP if difference >= _HALF else difference
