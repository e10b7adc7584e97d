"""The clock of connections, and how long a wait may be."""

from __future__ import annotations

import math
import time

FOREVER = math.inf
"""Seconds to wait for what only an event can end."""


now = time.monotonic
"""Returns the time that engines are given: monotonic seconds."""


def wall() -> float:
    """Return the time of the calendar: seconds since 1970, UTC."""
    return time.time()
