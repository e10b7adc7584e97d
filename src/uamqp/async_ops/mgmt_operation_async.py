"""Management requests for asyncio. A door: the code is in `uamqp.classic.aio.management`."""

from ..classic.aio.loop import get_dict_with_loop_if_needed
from ..classic.aio.management import MgmtOperationAsync
from ..classic.endpoints.management import MgmtOperation
from ..classic.message import Message
from ..classic.vocabulary.compat import TimeoutException

__all__ = ["Message", "MgmtOperation", "MgmtOperationAsync", "TimeoutException", "get_dict_with_loop_if_needed"]
