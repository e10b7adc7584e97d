"""The blocking clients. A door: the code is in `uamqp.classic.client`."""

from . import address, authentication, constants, errors
from .classic.client.base import AMQPClient
from .classic.client.receive import ReceiveClient
from .classic.client.send import SendClient
from .connection import Connection
from .constants import TransportType
from .message import BatchMessage, Message
from .receiver import MessageReceiver
from .sender import MessageSender
from .session import Session

__all__ = ["AMQPClient", "BatchMessage", "Connection", "Message", "MessageReceiver", "MessageSender", "ReceiveClient"]
__all__ += ["SendClient", "Session", "TransportType", "address", "authentication", "constants", "errors"]
