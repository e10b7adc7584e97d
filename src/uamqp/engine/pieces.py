"""Bytes that come in pieces and are wanted in one."""

from __future__ import annotations

SMALL = 4096
"""Pieces of less than so many bytes are gathered: an object each would take more memory than what is in them."""

_GATHERED = 65536


class Pieces:
    """Bytes that are joined at the end. A peer may send them one by one: time and memory are those of the bytes.

    Its length is the number of objects that it holds.
    """

    __slots__ = ("_large", "_small")

    def __init__(self) -> None:
        self._large: list[bytes] = []
        self._small = bytearray()  # what came after the last large one

    def __len__(self) -> int:
        return len(self._large) + bool(self._small)

    def add(self, piece: bytes) -> None:
        """Keep a piece, behind the others."""
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
        """Return all that is held, and forget it."""
        large = self._large
        if self._small:
            large.append(bytes(self._small))
            self._small = bytearray()
        self._large = []
        return large[0] if len(large) == 1 else b"".join(large)
