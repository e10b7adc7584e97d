"""Sessions for asyncio. A door: the code is in `uamqp.classic.aio.session`."""

from ..classic.aio.loop import get_dict_with_loop_if_needed
from ..classic.aio.management import MgmtOperationAsync
from ..classic.aio.session import SessionAsync

__all__ = ["MgmtOperationAsync", "SessionAsync", "get_dict_with_loop_if_needed"]
