"""The asyncio front of the 1.6 API: connection, session, links; its clients are in `client_async`."""

from .connection_async import ConnectionAsync
from .mgmt_operation_async import MgmtOperationAsync
from .receiver_async import MessageReceiverAsync
from .sender_async import MessageSenderAsync
from .session_async import SessionAsync

__all__ = ["ConnectionAsync", "MessageReceiverAsync", "MessageSenderAsync", "MgmtOperationAsync", "SessionAsync"]
