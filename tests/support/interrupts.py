"""Signal handlers at a given line of the library: what a signal does at a moment that nobody can choose, at each.

A tracing function counts the lines that the calling thread runs through, and calls something before a certain one, as
the interpreter calls a signal handler there. Lines of compiled modules aren't traced, and no handler can run there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import uamqp
from tests.support.effort import ALL

posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

_FOLDER = str(Path(uamqp.__file__).parent) + os.sep
_BROKER = _FOLDER + "testing" + os.sep


class Interrupted(BaseException):
    """Raised by a signal handler."""


@dataclass
class Run:
    """What became of a function that was interrupted.

    Attributes:
        lines: how many the function ran through.
        where: the line before which the handler was called; None: there were fewer.
        raised: what the function raised, without its traceback, whose frames would keep things alive.
        answered: what the handler raised, where that is not what the function raised.
    """

    lines: int = 0
    where: str | None = None
    raised: BaseException | None = None
    answered: BaseException | None = None

    def __str__(self) -> str:
        return f"interrupted at {self.where}"


def run_to(
    number: int,
    function: Callable[[], Any],
    handler: Callable[[], Any],
    *,
    passes_on: bool = True,
    within: Collection[str] = (),
    of: str = "",
) -> Run:
    """Call a function, and a handler before the line `number` of the library.

    Args:
        passes_on: what the handler raises comes out in the function; False: it is kept.
        within: names of the functions of the library whose lines count; empty: all do.
        of: the folder or module of the library whose lines count; empty: all do.
    """
    run = Run()
    finalizers = 0  # what is raised within one comes out nowhere

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal finalizers
        name = frame.f_code.co_filename
        if frame.f_code.co_name == "__del__":
            finalizers += 1
            return finalizer
        if within and frame.f_code.co_name not in within:
            return None
        return line if name.startswith(_FOLDER + of) and not name.startswith(_BROKER) else None

    def finalizer(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal finalizers
        finalizers -= event == "return"
        return finalizer

    def line(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and not finalizers:
            run.lines += 1
            if run.lines == number:
                run.where = f"{frame.f_code.co_filename[len(_FOLDER) :]}:{frame.f_lineno} {frame.f_code.co_name}"
                try:
                    handler()
                except BaseException as error:
                    if passes_on:
                        raise
                    run.answered = error.with_traceback(None)
        return line

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except BaseException as error:  # noqa: BLE001 (whatever it is)
        run.raised = error.with_traceback(None)
    finally:
        sys.settrace(before)
    return run


def raising() -> None:
    raise Interrupted


PARTS = 16 if ALL else 1
"""Tests of all lines come in so many parts: `pytest.mark.parametrize("part", range(PARTS))`."""


def everywhere(stride: int, attempt: Callable[[int], Run], part: int = 0) -> Iterator[Run]:
    """Make an attempt for every `stride`-th line until there are no more; for each of the part, if all are wanted."""
    number = 1 + part
    while (run := attempt(number)).where is not None:
        yield run
        number += PARTS if ALL else stride


@contextmanager
def handling(function: Callable[[], Any]) -> Iterator[Callable[[], None]]:
    """Give a function that has a signal handler call `function` in the main thread, wherever that is."""

    def handler(number: int, frame: object) -> None:
        function()

    before = signal.signal(signal.SIGUSR1, handler)
    main = threading.main_thread().ident or 0
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
