"""Connections for asyncio. A door: the code is in `uamqp.classic.aio.connection`."""

from ..classic.aio.connection import ConnectionAsync
from ..classic.aio.loop import get_dict_with_loop_if_needed

__all__ = ["ConnectionAsync", "get_dict_with_loop_if_needed"]
