"""Iterating over a receiving client's messages, for both fronts. Imports the client for its type alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._receive_client import ReceiveClient
    from .message import Message

_logger = logging.getLogger("uamqp.client")  # as in 1.6


class MessageIteration:
    """One iteration over a client's messages: a message is accepted when the next is asked for, or with the end.

    While it lasts, the client's own `auto_complete` is off.

    Args:
        client: the client; it is opened if need be.
        auto_complete: accept messages that weren't settled otherwise.

    Attributes:
        current: the message that was handed out last; None before the first, and after the end.
        ended: it is over.
    """

    def __init__(self, client: ReceiveClient, auto_complete: bool) -> None:
        self.auto_complete = auto_complete
        self.current: Message | None = None
        self.ended = False
        self._client = client
        self._restored = client.auto_complete
        client.auto_complete = False
        client._timeout_reached = False

    async def next(self) -> Message | None:
        """Settle the message that was handed out last, and return the next; None when receiving is over.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: the last message couldn't be accepted.
        """
        client = self._client
        message, self.current = self.current, None
        if self.ended:
            return None  # closed meanwhile: the message has gone back with the link
        if message is None:
            await client._do_open()
        elif self.auto_complete:
            client._complete_or_raise(message)
        if client._received_messages.empty() and not await client._message_waits():
            return None
        message = self.current = client._received_messages.get()
        client._taken(message)
        return message

    def settle(self) -> None:
        """Settle the message that was handed out last; nothing if its link is gone."""
        message, self.current = self.current, None
        if message is None or not self.auto_complete or self._client._connection is None:
            return
        try:
            self._client._complete_message(message)
        except RuntimeError as error:
            _logger.info("%s", error)  # its link is gone: the peer delivers it again

    async def end(self) -> None:
        """Settle the message that was handed out last; close the client if it is one that shuts down at the end."""
        if self.ended:
            return
        self.settle()
        self.abandon()
        if self._client._shutdown_after_timeout:
            await self._client._do_close()

    def abandon(self) -> None:
        """Nobody goes on with this iteration. The last message stays as it is: it goes back with its link."""
        if not self.ended:
            self.ended = True
            self.current = None
            self._client.auto_complete = self._restored
