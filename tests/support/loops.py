"""Event loops that tests run in: asyncio's and uvloop's, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

Main = Callable[[], Coroutine[Any, Any, Any]]
LIMIT = 30.0


def run_uvloop(main: Main) -> Any:
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(asyncio.wait_for(main(), LIMIT))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
