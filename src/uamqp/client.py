"""The blocking clients of the 1.6 API: `AMQPClient`, `SendClient`, `ReceiveClient`."""

from __future__ import annotations

from . import address as address  # noqa: PLC0414
from . import authentication as authentication  # noqa: PLC0414
from . import constants as constants  # noqa: PLC0414
from . import errors as errors  # noqa: PLC0414
from ._amqp_client import AMQPClient
from ._receive_client import ReceiveClient
from ._send_client import SendClient
from .connection import Connection as Connection  # noqa: PLC0414
from .constants import TransportType as TransportType  # noqa: PLC0414
from .message import BatchMessage as BatchMessage  # noqa: PLC0414
from .message import Message as Message  # noqa: PLC0414
from .receiver import MessageReceiver as MessageReceiver  # noqa: PLC0414
from .sender import MessageSender as MessageSender  # noqa: PLC0414
from .session import Session as Session  # noqa: PLC0414

__all__ = ["AMQPClient", "ReceiveClient", "SendClient"]
