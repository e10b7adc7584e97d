"""Clients for asyncio. A door: the code is in `uamqp.classic.aio.client`."""

from .. import address
from ..classic.aio.client import AMQPClientAsync, AsyncMessageIter, ReceiveClientAsync, SendClientAsync
from ..classic.aio.connection import ConnectionAsync
from ..classic.aio.loop import get_dict_with_loop_if_needed
from ..classic.aio.receiver import MessageReceiverAsync
from ..classic.aio.sender import MessageSenderAsync
from ..classic.aio.session import SessionAsync
from ..classic.vocabulary.compat import TimeoutException

__all__ = ["AMQPClientAsync", "AsyncMessageIter", "ConnectionAsync", "MessageReceiverAsync"]
__all__ += ["MessageSenderAsync", "ReceiveClientAsync", "SendClientAsync", "SessionAsync", "TimeoutException"]
__all__ += ["address", "get_dict_with_loop_if_needed"]
