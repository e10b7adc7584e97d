"""Management requests for asyncio. A door: the code is in `uamqp.classic.aio.management`."""

from ..classic.aio.management import MgmtOperationAsync
from ..compat import TimeoutException
from ..message import Message
from ..mgmt_operation import MgmtOperation
from .utils import get_dict_with_loop_if_needed

__all__ = ["Message", "MgmtOperation", "MgmtOperationAsync", "TimeoutException", "get_dict_with_loop_if_needed"]
