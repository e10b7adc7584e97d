"""How much is tried: in each run of the tests, and in `make nightly`, which has the time for all of it."""

from __future__ import annotations

import os

ALL = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
"""This is `make nightly`."""


def examples(count: int) -> int:
    """So many examples of hypothesis in `make nightly`, a third of them in each run."""
    return count if ALL else count // 3


def stride(lines: int) -> int:
    """How many lines apart interrupts are raised: 1 in `make nightly`, otherwise `lines`."""
    return 1 if ALL else lines
