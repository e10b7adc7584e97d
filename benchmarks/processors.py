"""Which processors the programs run on.

The far end has one of its own. Where the system chooses, it may put both ends of a connection on one and leave another
idle, for as long as a short run takes: that was a fifth of the rate, and it came and went.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def allotted() -> tuple[list[str], list[str]]:
    """Return what to put before the far end's command, and before the contenders'; nothing where it can't be chosen."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return [], []
    allowed = os.sched_getaffinity(0)
    last = max(allowed)
    others = allowed - _threads_of_core(last) or allowed - {last}
    return (_only_on({last}), _only_on(others)) if others else ([], [])


def _only_on(processors: set[int]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, sorted(processors)))]


def _threads_of_core(processor: int) -> set[int]:
    """Return what shares a core with a processor, itself included; {itself} if the system doesn't tell."""
    path = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    try:
        parts = path.read_text().strip().split(",")
    except OSError:
        return {processor}
    threads = {processor}
    for part in parts:
        first, _, last = part.partition("-")
        threads.update(range(int(first), int(last or first) + 1))
    return threads
