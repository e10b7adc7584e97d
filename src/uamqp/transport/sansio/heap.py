"""The settings of the process's heap."""

from __future__ import annotations

import functools

_LARGEST = 8 * 1024 * 1024


@functools.cache
def keep_freed_memory() -> None:
    """Make glibc keep the memory of one turn's buffers for the next turn. Only the first call has an effect.

    glibc returns free memory at the end of its heap to the system once that exceeds twice the largest block that was
    mapped separately and freed so far (M_TRIM_THRESHOLD in mallopt(3)). At first that is less than a turn's buffers:
    they would be mapped anew in every turn, page by page, which takes two thirds of the time of sending messages of
    10 KB to 2 MB. So this frees a large block; as nothing is written to it, it costs nothing.
    """
    bytes(_LARGEST)
