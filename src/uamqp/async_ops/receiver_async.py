"""Receiving links for asyncio. A door: the code is in `uamqp.classic.aio.receiver`."""

from ..classic.aio.receiver import MessageReceiverAsync
from .utils import get_dict_with_loop_if_needed

__all__ = ["MessageReceiverAsync", "get_dict_with_loop_if_needed"]
