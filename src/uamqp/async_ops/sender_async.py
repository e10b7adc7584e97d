"""Sending links for asyncio. A door: the code is in `uamqp.classic.aio.sender`."""

from ..classic.aio.sender import MessageSenderAsync
from .utils import get_dict_with_loop_if_needed

__all__ = ["MessageSenderAsync", "get_dict_with_loop_if_needed"]
