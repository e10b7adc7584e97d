"""Waiting for something, with a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """What is inside ends within so many seconds; a generous bound, for a slow machine."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took < seconds, f"it took {took:.2f} s"


def until(happened: Callable[[], Any], step: Callable[[], Any], seconds: float = 10.0) -> None:
    """Take steps until something has happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail(f"it didn't happen within {seconds} s")
        step()


async def eventually(happened: Callable[[], bool]) -> None:
    """Look again and again, since nothing announces what is waited for; `run` has the bound."""
    while not happened():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def cancel_the_others() -> None:
    """Cancel all tasks of the running loop except this one, and wait for them."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
