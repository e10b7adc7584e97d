"""uamqp: the AMQP 1.0 client for Python, with the API of uamqp 1.6 on an engine of its own."""

from __future__ import annotations

import logging
import platform
from typing import Any

from . import (
    address,
    async_ops,
    authentication,
    c_uamqp,
    client,
    compat,
    connection,
    constants,
    errors,
    message,
    mgmt_operation,
    receiver,
    sender,
    session,
    types,
    utils,
)
from .address import Source, Target
from .async_ops import ConnectionAsync, MessageReceiverAsync, MessageSenderAsync, SessionAsync
from .async_ops.client_async import AMQPClientAsync, AsyncMessageIter, ReceiveClientAsync, SendClientAsync
from .classic.values.arguments import integer
from .classic.vocabulary.settings import ReceiveMessagesKeywords, Unpack
from .client import AMQPClient, ReceiveClient, SendClient
from .connection import Connection
from .constants import MessageBodyType, TransportType
from .engine.limits import MAX_CREDIT
from .message import BatchMessage, Message
from .receiver import MessageReceiver
from .sender import MessageSender
from .session import Session

__version__ = "1.7.0"

__all__ = [
    "AMQPClient",
    "AMQPClientAsync",
    "AsyncMessageIter",
    "BatchMessage",
    "Connection",
    "ConnectionAsync",
    "Message",
    "MessageBodyType",
    "MessageReceiver",
    "MessageReceiverAsync",
    "MessageSender",
    "MessageSenderAsync",
    "ReceiveClient",
    "ReceiveClientAsync",
    "SendClient",
    "SendClientAsync",
    "Session",
    "SessionAsync",
    "Source",
    "Target",
    "TransportType",
    "__version__",
    "address",
    "async_ops",
    "authentication",
    "c_uamqp",
    "client",
    "compat",
    "connection",
    "constants",
    "errors",
    "get_platform_info",
    "message",
    "mgmt_operation",
    "receive_message",
    "receive_messages",
    "receiver",
    "send_message",
    "sender",
    "session",
    "types",
    "utils",
]

_logger = logging.getLogger(__name__)
_logger.addHandler(logging.NullHandler())  # whoever wants the log says so


def send_message(
    target: str | bytes | Target, data: Any, auth: authentication.AMQPAuth | None = None, debug: bool = False
) -> list[constants.MessageState]:
    """Send one message and wait for its outcome.

    Args:
        target: a `Target`, or a URL such as amqps://host/node.
        data: a `Message`, or the body of one.
        auth: credentials; see `AMQPClient`.
        debug: trace frames to the log.

    Returns:
        What became of it, in a list of one.

    Raises:
        AMQPConnectionError, LinkDetach: the connection or the link has failed.
    """
    single = data if isinstance(data, Message) else Message(body=data)
    with SendClient(target, auth=auth, debug=debug) as send_client:
        send_client.queue_message(single)
        return send_client.send_all_messages()


def receive_message(
    source: str | bytes | Source,
    auth: authentication.AMQPAuth | None = None,
    timeout: float = 0,
    debug: bool = False,
) -> Message | None:
    """Receive one message, and accept it.

    Args:
        source: a `Source`, or a URL such as amqps://host/node.
        auth: credentials; see `AMQPClient`.
        timeout: milliseconds to wait; 0: for ever.
        debug: trace frames to the log.

    Returns:
        The message; None if none came in time.

    Raises:
        AMQPConnectionError, LinkDetach: the connection or the link has failed.
    """
    received = receive_messages(source, auth=auth, timeout=timeout, max_batch_size=1, debug=debug)
    return received[0] if received else None


def receive_messages(
    source: str | bytes | Source,
    auth: authentication.AMQPAuth | None = None,
    max_batch_size: int | None = None,
    timeout: float = 0,
    debug: bool = False,
    **kwargs: Unpack[ReceiveMessagesKeywords],
) -> list[Message]:
    """Receive the messages that are there, and accept them.

    Args:
        source: a `Source`, or a URL such as amqps://host/node.
        auth: credentials; see `AMQPClient`.
        max_batch_size: how many at most; it becomes the prefetch, too.
        timeout: milliseconds to wait for the first; 0: for ever.
        debug: trace frames to the log.
        kwargs: for `ReceiveClient`.

    Raises:
        AMQPConnectionError, LinkDetach: the connection or the link has failed.
    """
    if max_batch_size:
        kwargs["prefetch"] = integer(max_batch_size, "max_batch_size", 1, MAX_CREDIT)
    with ReceiveClient(source, auth=auth, debug=debug, **kwargs) as receive_client:
        return receive_client.receive_message_batch(max_batch_size=max_batch_size, timeout=timeout)


def get_platform_info() -> str:
    """Return what this runs on: system, release, processor, Python."""
    return f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}"


class _Platform:
    """Kept for programs that initialise 1.6's C library; there is nothing to do."""

    initialized = False

    @classmethod
    def initialize(cls) -> None:
        """Note that it was called."""
        cls.initialized = True

    @classmethod
    def deinitialize(cls) -> None:
        """Note that it was called."""
        _logger.debug("There is no platform to take down.")
