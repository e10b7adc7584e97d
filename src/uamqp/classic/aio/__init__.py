"""The asyncio front of the 1.6 API: connection, session, links; its clients are in `client`."""

from .connection import ConnectionAsync
from .management import MgmtOperationAsync
from .receiver import MessageReceiverAsync
from .sender import MessageSenderAsync
from .session import SessionAsync

__all__ = ["ConnectionAsync", "MessageReceiverAsync", "MessageSenderAsync", "MgmtOperationAsync", "SessionAsync"]
