"""A queue for the data path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SPENT = 256


class Fifo:
    """First in, first out; None can't be in it.

    It does what a `collections.deque` would, whose methods compiled code has to look up by name for every message. Not
    thread-safe: it is for what the connection's lock guards.
    """

    __slots__ = ("_items", "_start")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._start = 0  # what stands before it is spent

    def __len__(self) -> int:
        return len(self._items) - self._start

    def __iter__(self) -> Iterator[Any]:
        return iter([item for item in self._items if item is not None])  # right in the midst of `pop` as well

    def append(self, item: Any) -> None:
        """Put an item at the end."""
        self._items.append(item)

    def first(self) -> Any:
        """Return the item that goes first, None if there is none."""
        items = self._items
        start = self._start
        return items[start] if start < len(items) else None

    def pop(self) -> Any:
        """Take out the item that goes first and return it, None if there is none."""
        items = self._items
        start = self._start
        if start >= len(items):
            return None
        item = items[start]
        items[start] = None
        start += 1
        if start >= _SPENT and start * 2 >= len(items):
            del items[:start]
            start = 0
        self._start = start
        return item

    def drop(self, item: Any) -> bool:
        """Take out the item that goes first, if it is this one; return whether it is."""
        items = self._items
        start = self._start
        if start >= len(items) or items[start] is not item:
            return False
        self.pop()
        return True

    def remove(self, item: Any) -> None:
        """Take out an item, wherever it is.

        Raises:
            ValueError: it isn't in the queue.
        """
        del self._items[self._items.index(item, self._start)]

    def clear(self) -> None:
        """Take everything out."""
        self._items.clear()
        self._start = 0
