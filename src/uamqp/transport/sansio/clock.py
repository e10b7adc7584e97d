"""The clock of connections, and the length of an unlimited wait."""

from __future__ import annotations

import math
import time

FOREVER = math.inf
"""The timeout of a wait that only an event can end."""


now = time.monotonic
"""Return the time that engines are given, in monotonic seconds."""


def wall() -> float:
    """Return the calendar time: seconds since 1970, UTC."""
    return time.time()
