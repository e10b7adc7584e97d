"""Clients for asyncio. A door: the code is in `uamqp.classic.aio.client`."""

from .. import address
from ..classic.aio.client import AMQPClientAsync, AsyncMessageIter, ReceiveClientAsync, SendClientAsync
from ..compat import TimeoutException
from .connection_async import ConnectionAsync
from .receiver_async import MessageReceiverAsync
from .sender_async import MessageSenderAsync
from .session_async import SessionAsync
from .utils import get_dict_with_loop_if_needed

__all__ = ["AMQPClientAsync", "AsyncMessageIter", "ConnectionAsync", "MessageReceiverAsync"]
__all__ += ["MessageSenderAsync", "ReceiveClientAsync", "SendClientAsync", "SessionAsync", "TimeoutException"]
__all__ += ["address", "get_dict_with_loop_if_needed"]
