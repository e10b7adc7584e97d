"""Sessions for asyncio. A door: the code is in `uamqp.classic.aio.session`."""

from ..classic.aio.session import SessionAsync
from .mgmt_operation_async import MgmtOperationAsync
from .utils import get_dict_with_loop_if_needed

__all__ = ["MgmtOperationAsync", "SessionAsync", "get_dict_with_loop_if_needed"]
