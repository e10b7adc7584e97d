"""Links for asyncio. A door: the code is in `uamqp.classic.aio.link`."""

from ..classic.aio.link import MessageLinkAsync

__all__ = ["MessageLinkAsync"]
