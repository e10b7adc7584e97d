"""What a call costs, and an interrupt at any of its lines.

Compiled code has no lines that could be seen; tests skip what needs them there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from uamqp.codec import COMPILED

plain = pytest.mark.skipif(COMPILED, reason="the lines of compiled code can't be seen")


class Interrupt(KeyboardInterrupt):
    """What `interrupted` raises."""


def _traced(function: Callable[[], Any], files: tuple[str, ...], on_line: Callable[[], None]) -> Any:
    def local(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            on_line()
        return local

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename.endswith(files) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return function()
    finally:
        sys.settrace(before)


def interrupted(function: Callable[[], Any], at: int, *files: str) -> bool:
    """Call a function, and raise `Interrupt` at a line of these files, counted from 0; tell whether it came to that."""
    left = at

    def on_line() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            sys.settrace(None)
            raise Interrupt

    try:
        _traced(function, files, on_line)
    except Interrupt:
        return True
    return False


def growth(work: Callable[[int], Callable[[], Any]], count: int, factor: int) -> float:
    """How many times as long so many times as much takes: `factor`, or its square if each looks at all others.

    It is this thread's processor time, and the least of some attempts, so that what else the machine does is left out;
    there are as many as it takes until it is nearer to the factor than to what is much more, and five at most.

    Args:
        work: makes the work for so many, and returns what is to be measured.
    """

    def cost(size: int) -> float:
        measured = work(size)
        before = time.thread_time()
        measured()
        return time.thread_time() - before

    few = many = float("inf")
    for _ in range(5):
        few, many = min(few, cost(count)), min(many, cost(count * factor))
        if many < 1.5 * factor * few:
            break
    return many / max(few, 1e-6)
