"""Failures that nobody looks at: they are counted, and logged once a second at most."""

from __future__ import annotations

import logging
from collections.abc import Callable

_logger = logging.getLogger("uamqp.sender")

PAUSE = 1.0
"""Seconds between two log lines of a sender."""


class UnseenFailures:
    """Counts the failed deliveries of a sender that are gone without anybody having looked at them.

    Args:
        time: returns the time, in monotonic seconds.

    Attributes:
        count: how many there were.
        where: names the sender.
    """

    __slots__ = ("_logged", "_next", "_time", "count", "where")

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self.count = 0
        self.where = "a sender"
        self._logged = 0
        self._next = 0.0

    def add(self) -> None:
        """Count another."""
        self.count += 1
        if self._time() >= self._next:
            self.tell()

    def __del__(self) -> None:
        if hasattr(self, "_next"):
            self.tell()  # none comes any more

    def tell(self) -> None:
        """Log how many there are that weren't logged yet."""
        new = self.count - self._logged
        if new:
            self._logged = self.count
            self._next = self._time() + PAUSE
            _logger.error("%d messages of %s failed, and nobody looked at their deliveries.", new, self.where)


class Unseen:
    """Belongs to one failed delivery, and counts it when it goes unless somebody has looked at that."""

    __slots__ = ("failures",)

    def __init__(self, failures: UnseenFailures) -> None:
        self.failures: UnseenFailures | None = failures

    def __del__(self) -> None:
        failures = getattr(self, "failures", None)
        if failures is not None:
            failures.add()
