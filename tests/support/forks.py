"""Forked processes, and what a function comes to in one."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def in_child(function: Callable[[], Any], seconds: int = 30) -> str:
    """Call a function in a forked child, which ends after a while; return how what it returned or raised looks.

    The child ends without the interpreter's end, as the children of `multiprocessing` do.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(seconds)
            try:
                answer = repr(function())
            except BaseException as error:  # noqa: BLE001 (the parent looks at it)
                answer = f"{type(error).__name__}: {error}"
            os.write(writer, pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the child hung"
    return str(pickle.loads(data))


@contextmanager
def living_child() -> Iterator[None]:
    """A forked child lives meanwhile, and uses nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(writer)
            os.read(reader, 1)  # until the parent closes it
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)
