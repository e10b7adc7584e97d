"""The `loop` argument of 1.6's asyncio classes."""

from __future__ import annotations

from typing import Any

from ..values.convert import get_running_loop

__all__ = ["get_dict_with_loop_if_needed", "get_running_loop"]


def get_dict_with_loop_if_needed(loop: Any) -> dict[str, Any]:
    """Refuse a loop, as asyncio has since Python 3.10; without one, return the empty keywords for asyncio's calls.

    Raises:
        ValueError: a loop was given.
    """
    if loop:
        raise ValueError("Starting Python 3.10, asyncio no longer supports loop as a parameter.")
    return {}


class LoopArgument:
    """What 1.6's asyncio classes kept of the `loop` argument. A mixin."""

    __module__ = "uamqp.async_ops.utils"

    _internal_kwargs: dict[str, Any]

    @property
    def loop(self) -> Any:
        """Always None: the object uses the loop in which its coroutines are awaited."""
        return self._internal_kwargs.get("loop")
