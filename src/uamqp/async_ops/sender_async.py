"""Sending links for asyncio. A door: the code is in `uamqp.classic.aio.sender`."""

from ..classic.aio.loop import get_dict_with_loop_if_needed
from ..classic.aio.sender import MessageSenderAsync

__all__ = ["MessageSenderAsync", "get_dict_with_loop_if_needed"]
