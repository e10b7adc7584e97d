"""Input that can't be read yet: the beginning of a frame, or whole frames while the peer awaits our answer."""

from __future__ import annotations

from collections import deque

from .pieces import SMALL, Pieces


class InputBuffer:
    """The peer's bytes between two reads. However they are split up, each is copied only a few times.

    Attributes:
        size: number of bytes held.
        need: number of bytes, from the first one, that complete the next header or frame.
    """

    __slots__ = ("_chunks", "_small", "need", "size")

    def __init__(self, need: int) -> None:
        self._chunks: deque[tuple[bytes, int]] = deque()  # each with the position of the first byte held
        self._small = Pieces()  # the end of the input, if it came in small chunks
        self.size = 0
        self.need = need

    def hold(self, chunk: bytes) -> None:
        """Add a chunk after what is held."""
        self.size += len(chunk)
        if len(chunk) < SMALL:
            self._small.add(chunk)
        else:
            self._gather()
            self._chunks.append((chunk, 0))

    def put_back(self, data: bytes, pos: int) -> None:
        """Put what `take` returned, from `pos` on, back in front of what is held."""
        rest = len(data) - pos
        self.size += rest
        if rest <= pos:  # otherwise a few bytes would keep many in memory
            data, pos = data[pos:], 0
        self._chunks.appendleft((data, pos))

    def take(self) -> tuple[bytes, int] | None:
        """Remove bytes and return them with the position to read from; return None while there are fewer than `need`.

        They may be fewer than all that is held, though never fewer than `need`: call again.
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
        """Return the first bytes together with `missing` more."""
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
        """Join the small chunks into one."""
        if self._small:
            self._chunks.append((self._small.take(), 0))

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._small.take()
        self.size = 0

    def peek(self, count: int) -> bytes:
        """Return up to `count` of the first bytes held."""
        self._gather()
        found = b""
        for data, pos in self._chunks:
            found += data[pos : pos + count - len(found)]
            if len(found) >= count:
                break
        return found
