"""Iteration over a receiving client's messages, for both fronts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .reading import Busy, Call, Kind, Place

if TYPE_CHECKING:
    from ..message import Message
    from .receive import ReceiveClient


class MessageIteration:
    """An iteration over a client's messages: each is accepted when the next one is requested.

    If the iteration is left, the latest message isn't: the client gives it back when it is closed.

    Args:
        client: the client; it is opened if necessary.
        auto_complete: whether to accept messages that weren't settled otherwise.
        callback: called with each message before it is handed out; None if there is none.

    Attributes:
        current: the latest message that was handed out; None before the first, and after the end.
        handed_out: whether the current message is on its way to the caller.
        ended: whether the iteration is over.
    """

    ended = True  # until it begins

    def __init__(
        self, client: ReceiveClient, auto_complete: bool, callback: Callable[[Message], Any] | None = None
    ) -> None:
        self.auto_complete = auto_complete
        self.current: Message | None = None
        self.handed_out = False
        self.ended = False
        self._client = client
        self._callback = callback
        self._turn = Place()

    def __del__(self) -> None:
        self.leave()  # an asynchronous iterator isn't told of a `break`

    async def next(self) -> Message | None:
        """Accept the latest message, and return the next, or None when receiving is over.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            Busy: the client's messages go to a callback, or somebody else waits for this iteration's next message.
            RuntimeError: the latest message couldn't be accepted.
        """
        client = self._client
        if self.ended:
            return None  # closed meanwhile, and the message given back
        if self._turn:
            raise Busy("This iteration's next message is waited for already: give each task an iteration of its own.")
        client._check_pull()
        message, self.current = self.current, None
        self.handed_out = False
        if message is None:
            await client._do_open()
        elif self.auto_complete:
            client._complete_or_raise(message)
        call = Call(Kind.PULL)
        self._turn.take(call)
        try:
            return await self._next()
        finally:
            self._turn.leave()

    async def _next(self) -> Message | None:
        client = self._client
        messages = client._received_messages
        pending: list[Message] = []
        try:
            if not messages.empty():
                await client._look_at_link()
            while not messages.empty() or await client._message_waits():
                if self.ended:
                    break
                if not messages.move_one(pending):
                    continue  # another call was faster
                message = pending[0]
                if self._callback is None or await client._called(self._callback, pending):
                    client._taken(message)
                    self.current = message
                    pending.clear()
                    return message
        except BaseException:
            if pending:
                self.current = None
                messages.put_back(*pending)
            raise
        return None

    async def end(self) -> None:
        """Leave the iteration; close the client if it shuts down at the end and nobody else is iterating."""
        if self.ended:
            return
        self.leave()
        if self._client._shutdown_after_timeout and not self._client._iterations:
            await self._client._do_close()

    def forget_threads(self) -> None:
        """Forget who waited for the next message: this process is a fork, without those threads."""
        self._turn.leave()

    def leave(self) -> None:
        """Let the client give the latest message back, because nobody continues this iteration."""
        if not self.ended:
            self.ended = True
            message, self.current = self.current, None
            if message is not None and not self.handed_out:  # it was interrupted in between
                self._client._received_messages.put_back(message)
                message = None
            self._client._on_left(self, message if self.auto_complete else None)
