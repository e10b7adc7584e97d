"""The functions of `uamqp` itself, which send or receive with one call. They name `uamqp` as their module."""

from __future__ import annotations

import logging
import platform
from typing import Any

from ..engine import limits
from .auth import AMQPAuth
from .client.receive import ReceiveClient
from .client.send import SendClient
from .message import Message
from .values.arguments import integer
from .vocabulary.address import Source, Target
from .vocabulary.constants import MessageState
from .vocabulary.settings import ReceiveMessagesKeywords, Unpack

_logger = logging.getLogger("uamqp")


def send_message(
    target: str | bytes | Target, data: Any, auth: AMQPAuth | None = None, debug: bool = False
) -> list[MessageState]:
    """Send one message and wait for its outcome.

    Args:
        target: a `Target`, or a URL such as amqps://host/node.
        data: a `Message`, or the body of one.
        auth: credentials; see `AMQPClient`.
        debug: trace frames to the log.

    Returns:
        The state of the message, in a list of one.

    Raises:
        AMQPConnectionError, LinkDetach: the connection or the link has failed.
    """
    single = data if isinstance(data, Message) else Message(body=data)
    with SendClient(target, auth=auth, debug=debug) as send_client:
        send_client.queue_message(single)
        return send_client.send_all_messages()


def receive_message(
    source: str | bytes | Source,
    auth: AMQPAuth | None = None,
    timeout: float = 0,
    debug: bool = False,
) -> Message | None:
    """Receive one message, and accept it.

    Args:
        source: a `Source`, or a URL such as amqps://host/node.
        auth: credentials; see `AMQPClient`.
        timeout: milliseconds to wait; 0 for no limit.
        debug: trace frames to the log.

    Returns:
        The message, or None if none arrived in time.

    Raises:
        AMQPConnectionError, LinkDetach: the connection or the link has failed.
    """
    received = receive_messages(source, auth=auth, timeout=timeout, max_batch_size=1, debug=debug)
    return received[0] if received else None


def receive_messages(
    source: str | bytes | Source,
    auth: AMQPAuth | None = None,
    max_batch_size: int | None = None,
    timeout: float = 0,
    debug: bool = False,
    **kwargs: Unpack[ReceiveMessagesKeywords],
) -> list[Message]:
    """Receive the messages that are available, and accept them.

    Args:
        source: a `Source`, or a URL such as amqps://host/node.
        auth: credentials; see `AMQPClient`.
        max_batch_size: maximum number of messages; it becomes the prefetch, too.
        timeout: milliseconds to wait for the first; 0 for no limit.
        debug: trace frames to the log.
        kwargs: for `ReceiveClient`.

    Raises:
        AMQPConnectionError, LinkDetach: the connection or the link has failed.
    """
    if max_batch_size:
        kwargs["prefetch"] = integer(max_batch_size, "max_batch_size", 1, limits.MAX_CREDIT)
    with ReceiveClient(source, auth=auth, debug=debug, **kwargs) as receive_client:
        return receive_client.receive_message_batch(max_batch_size=max_batch_size, timeout=timeout)


def get_platform_info() -> str:
    """Return a description of the platform: system, release, processor, Python."""
    return f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}"


class _Platform:
    """Kept for programs that initialize 1.6's C library; there is nothing to do."""

    initialized = False

    @classmethod
    def initialize(cls) -> None:
        """Note that it was called."""
        cls.initialized = True

    @classmethod
    def deinitialize(cls) -> None:
        """Note that it was called."""
        _logger.debug("There is no platform to take down.")


for _public in (send_message, receive_message, receive_messages, get_platform_info, _Platform):
    _public.__module__ = "uamqp"
