"""The blocking clients. A door: the code is in `uamqp.classic.client`."""

from . import address, authentication, constants, errors
from .classic.client.base import AMQPClient
from .classic.client.receive import ReceiveClient
from .classic.client.send import SendClient
from .classic.endpoints.connection import Connection
from .classic.endpoints.receiver import MessageReceiver
from .classic.endpoints.sender import MessageSender
from .classic.endpoints.session import Session
from .classic.message import BatchMessage, Message
from .classic.vocabulary.constants import TransportType

__all__ = ["AMQPClient", "BatchMessage", "Connection", "Message", "MessageReceiver", "MessageSender", "ReceiveClient"]
__all__ += ["SendClient", "Session", "TransportType", "address", "authentication", "constants", "errors"]
