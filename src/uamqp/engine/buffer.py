"""What has arrived and can't be read yet: the beginning of a frame, or whole ones while an answer of ours is due."""

from __future__ import annotations


class InputBuffer:
    """Bytes of the peer between two reads. Chunks are joined once enough is there, so that large frames cost no more.

    Attributes:
        size: bytes that are held.
        need: bytes from the first one on that make the next header or frame whole.
    """

    __slots__ = ("_parts", "need", "size")

    def __init__(self, need: int) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self.need = need

    def add(self, chunk: bytes) -> bytes | None:
        """Return all that is there, including `chunk`; None while it is less than `need`, and is held."""
        if not self._parts:
            return chunk
        self.hold(chunk)
        return self.take() if self.size >= self.need else None

    def hold(self, chunk: bytes) -> None:
        """Keep a chunk."""
        self._parts.append(chunk)
        self.size += len(chunk)

    def take(self) -> bytes:
        """Return all that is held, and forget it."""
        data = b"".join(self._parts)
        self.clear()
        return data

    def clear(self) -> None:
        """Forget what is held."""
        self._parts = []
        self.size = 0

    def peek(self, count: int) -> bytes:
        """Return the first `count` bytes that are held, or fewer."""
        return b"".join(self._parts)[:count]
