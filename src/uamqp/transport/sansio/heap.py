"""The process's heap. Imports the standard library."""

from __future__ import annotations

import functools

_LARGEST = 8 * 1024 * 1024


@functools.cache
def keep_freed_memory() -> None:
    """Make glibc keep the memory of a turn's buffers for those of the next turn; the first call does it.

    What is free at the end of its heap glibc gives back to the system once that is more than twice the largest block
    that was mapped apart and freed so far (M_TRIM_THRESHOLD in mallopt(3)). At first that is less than a turn's
    buffers: they would be mapped anew in every turn, page by page, which takes two thirds of the time that sending
    messages of 10 KB to 2 MB takes. So a large block is freed here; as nothing is written to it, it costs nothing.
    """
    bytes(_LARGEST)
