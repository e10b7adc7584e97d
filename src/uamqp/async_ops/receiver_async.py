"""Receiving links for asyncio. A door: the code is in `uamqp.classic.aio.receiver`."""

from ..classic.aio.loop import get_dict_with_loop_if_needed
from ..classic.aio.receiver import MessageReceiverAsync

__all__ = ["MessageReceiverAsync", "get_dict_with_loop_if_needed"]
