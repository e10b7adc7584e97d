"""The clock of connections, and the length of an unlimited wait."""

from __future__ import annotations

import math
import time
from typing import overload

FOREVER = math.inf
"""The timeout of a wait that only an event can end."""


now = time.monotonic
"""Return the time that engines are given, in monotonic seconds."""


def wall() -> float:
    """Return the calendar time: seconds since 1970, UTC."""
    return time.time()


class Deadlines:
    """Turns time-outs into deadlines and back, for classes without access to a clock."""

    time = staticmethod(now)
    """Return the time, in monotonic seconds."""

    @overload
    def deadline(self, timeout: float) -> float: ...

    @overload
    def deadline(self, timeout: float | None) -> float | None: ...

    def deadline(self, timeout: float | None) -> float | None:
        """Return the deadline `timeout` seconds from now, in monotonic seconds; None if there is no time-out."""
        return None if timeout is None else now() + timeout

    @overload
    def remaining(self, deadline: float) -> float: ...

    @overload
    def remaining(self, deadline: float | None) -> float | None: ...

    def remaining(self, deadline: float | None) -> float | None:
        """Return the seconds until a deadline; 0 if it has passed, None if there is no deadline."""
        return None if deadline is None else max(0.0, deadline - now())
