"""A queue for the data path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SPENT = 256


class Fifo:
    """A first-in, first-out queue, which can't contain None.

    It replaces a `collections.deque`, whose methods compiled code has to look up by name for every message. It isn't
    thread-safe: the connection's lock has to guard it.
    """

    __slots__ = ("_items", "_start")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._start = 0  # items before it are gone

    def __len__(self) -> int:
        return len(self._items) - self._start

    def __iter__(self) -> Iterator[Any]:
        return iter([item for item in self._items if item is not None])  # correct even in the middle of `pop`

    def append(self, item: Any) -> None:
        """Add an item at the end."""
        self._items.append(item)

    def first(self) -> Any:
        """Return the first item, or None if there is none."""
        items = self._items
        start = self._start
        return items[start] if start < len(items) else None

    def pop(self) -> Any:
        """Remove and return the first item, or return None if there is none."""
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
        """Remove the first item if it is this one; return whether it is."""
        items = self._items
        start = self._start
        if start >= len(items) or items[start] is not item:
            return False
        self.pop()
        return True

    def clear(self) -> None:
        """Remove everything."""
        self._items.clear()
        self._start = 0
