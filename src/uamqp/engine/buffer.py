"""What has arrived and can't be read yet: the beginning of a frame, or whole ones while an answer of ours is due."""

from __future__ import annotations

from collections import deque

from .pieces import SMALL, Pieces


class InputBuffer:
    """Bytes of the peer between two reads. However they are cut, each of them is copied a few times at most.

    Attributes:
        size: bytes that are held.
        need: bytes from the first one on that make the next header or frame whole.
    """

    __slots__ = ("_chunks", "_small", "need", "size")

    def __init__(self, need: int) -> None:
        self._chunks: deque[tuple[bytes, int]] = deque()  # each with the position of its first byte that is held
        self._small = Pieces()  # what came last, in small chunks
        self.size = 0
        self.need = need

    def hold(self, chunk: bytes) -> None:
        """Keep a chunk, behind what is held."""
        self.size += len(chunk)
        if len(chunk) < SMALL:
            self._small.add(chunk)
        else:
            self._gather()
            self._chunks.append((chunk, 0))

    def put_back(self, data: bytes, pos: int) -> None:
        """Keep what `take` gave, from `pos` on, in front of what is held."""
        rest = len(data) - pos
        self.size += rest
        if rest <= pos:  # or little would keep much in memory
            data, pos = data[pos:], 0
        self._chunks.appendleft((data, pos))

    def take(self) -> tuple[bytes, int] | None:
        """Return bytes to read and where to begin in them, and forget them; None while there are less than `need`.

        It may be less than all that is held, though never less than `need`: call again.
        """
        if self.size < self.need or not self.size:
            return None
        data, pos = self._next()
        missing = self.need - (len(data) - pos)
        if missing > 0:
            data, pos = self._joined(data[pos:], missing), 0
        self.size -= len(data) - pos
        return data, pos

    def _next(self) -> tuple[bytes, int]:
        if not self._chunks:
            self._gather()
        return self._chunks.popleft()

    def _joined(self, first: bytes, missing: int) -> bytes:
        """Return the first bytes and so many more of those that follow."""
        parts = [first]
        while missing > 0:
            data, pos = self._next()
            part = data[pos : pos + missing]
            parts.append(part)
            pos += len(part)
            missing -= len(part)
            if pos < len(data):
                self._chunks.appendleft((data, pos))
        return b"".join(parts)

    def _gather(self) -> None:
        """Make one chunk of what came in small ones."""
        if self._small:
            self._chunks.append((self._small.take(), 0))

    def clear(self) -> None:
        """Forget what is held."""
        self._chunks.clear()
        self._small.take()
        self.size = 0

    def peek(self, count: int) -> bytes:
        """Return the first `count` bytes that are held, or fewer."""
        self._gather()
        found = b""
        for data, pos in self._chunks:
            found += data[pos : pos + count - len(found)]
            if len(found) >= count:
                break
        return found
