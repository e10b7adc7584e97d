"""Bytes that arrive in pieces and are needed in one."""

from __future__ import annotations

SMALL = 4096
"""Pieces smaller than this many bytes are joined: an object for each would take more memory than its content."""

_GATHERED = 65536


class Pieces:
    """Bytes that are joined at the end. Time and memory depend on their number, even if a peer sends them one by one.

    The length is the number of objects held.
    """

    __slots__ = ("_large", "_small")

    def __init__(self) -> None:
        self._large: list[bytes] = []
        self._small = bytearray()  # what followed the last large piece

    def __len__(self) -> int:
        return len(self._large) + bool(self._small)

    def add(self, piece: bytes) -> None:
        """Add a piece after the others."""
        if len(piece) < SMALL:
            self._small += piece
            if len(self._small) < _GATHERED:
                return
            piece = bytes(self._small)
            self._small = bytearray()
        elif self._small:
            self._large.append(bytes(self._small))
            self._small = bytearray()
        self._large.append(piece)

    def take(self) -> bytes:
        """Return everything, and forget it."""
        large = self._large
        if self._small:
            large.append(bytes(self._small))
            self._small = bytearray()
        self._large = []
        return large[0] if len(large) == 1 else b"".join(large)
