"""`SendClient`, the sending client of the 1.6 API; public as `uamqp.client.SendClient`."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable
from typing import Any

from . import address, authentication, constants, errors
from ._amqp_client import AMQPClient
from ._arguments import encoding_of, given, integer, number
from ._drive import run
from ._sending import STALL_TIMEOUT, SendQueue, as_messages, gathered
from ._settings import SendKeywords, Unpack
from .engine.limits import MAX_CREDIT
from .message import BatchMessage, Message
from .sender import MessageSender
from .transport.clock import FOREVER, now

_CLOSED = (
    "The client was closed before {} of {} messages had an outcome. They are still queued: "
    "open the client again and call wait() to send them, or look at pending_messages."
)


class SendClient(AMQPClient):
    """A client that sends messages to one node.

    Args:
        target: a `Target`, or the URL.
        auth, client_name, debug, error_policy, keep_alive_interval: see `AMQPClient`.
        msg_timeout: milliseconds from queueing until a message is given up; 0: never, but for
            `stall_timeout`.

    Keyword Args:
        max_message_size, link_properties, link_credit: see `MessageSender`.
        stall_timeout: seconds; default 60. Messages without a time-out of their own fail when the peer has given
            neither credit nor any outcome for so long.
        Others: see `AMQPClient`.
    """

    __module__ = "uamqp.client"  # where 1.6 has it

    def __init__(
        self,
        target: str | bytes | address.Address,
        auth: authentication.AMQPAuth | None = None,
        client_name: str | bytes | None = None,
        debug: bool = False,
        msg_timeout: float = 0,
        error_policy: errors.ErrorPolicy | None = None,
        keep_alive_interval: int | None = None,
        **kwargs: Unpack[SendKeywords],
    ) -> None:
        settings: dict[str, Any] = {**kwargs}
        target = address.address_of(target, address.Target, "target", encoding_of(settings.get("encoding")))
        self._msg_timeout = number(msg_timeout or 0, "msg_timeout", "milliseconds")
        self._link_credit = given(settings.pop("link_credit", None))
        if self._link_credit is not None:
            integer(self._link_credit, "link_credit", 0, MAX_CREDIT)
        self._take_link_settings(settings)
        stall_timeout = number(settings.pop("stall_timeout", None) or STALL_TIMEOUT, "stall_timeout", "seconds")
        self.sender_type: type[MessageSender] = MessageSender
        super().__init__(
            target,
            auth=auth,
            client_name=client_name,
            debug=debug,
            error_policy=error_policy,
            keep_alive_interval=keep_alive_interval,
            **settings,
        )
        self._queue = SendQueue(self._error_policy, stall_timeout)

    # -- the link

    @property
    def _message_sender(self) -> MessageSender | None:
        handler = self.message_handler
        return handler if isinstance(handler, MessageSender) else None

    def _make_handler(self) -> MessageSender:
        sender = self.sender_type(
            self._session,  # type: ignore[arg-type]  # the caller has looked
            self._name,
            self._remote_address,  # type: ignore[arg-type]  # a Target, as the constructor sees to
            name=self._link_name or f"sender-link-{uuid.uuid4()}",
            send_settle_mode=self._send_settle_mode,
            receive_settle_mode=self._receive_settle_mode,
            max_message_size=self._max_message_size,
            link_credit=self._link_credit,
            properties=self._link_properties,
            error_policy=self._error_policy,
            debug=self._debug_trace,
            encoding=self._encoding,
            desired_capabilities=self._desired_capabilities,
        )
        sender._handle_outcomes(self._queue)
        on_credit = weakref.WeakMethod(self._on_credit)  # the connection doesn't keep its clients alive

        def credit_handler() -> bool:
            handler = on_credit()
            return handler is not None and handler()

        sender._credit_handler = credit_handler
        return sender

    def _on_credit(self) -> bool:
        return self._hand_over()

    def _hand_over(self) -> bool:
        """Give messages to the link as far as it takes them; tell whether it would take more at once."""
        sender = self._message_sender
        if sender is None:
            return False
        with sender._connection._pump.lock:
            settled = sender._send_settle_mode is constants.SenderSettleMode.Settled
            core = sender._core
            return self._queue.hand_over(core, settled, now())  # type: ignore[arg-type]  # a SenderCore

    async def _do_step(self, timeout: float) -> bool:
        await self._send_step(timeout)
        return True

    async def _send_step(self, timeout: float) -> None:
        """Send what can be sent, and wait for outcomes up to `timeout` seconds."""
        connection = self._require_open()
        with connection._pump.lock:
            start = now()
            self._queue.resume(start)
            decided = self._queue.decided
            if self._hand_over() and not connection._pump.has_unsent:
                timeout = 0
            if self._queue.decided != decided:
                timeout = 0  # some have failed already: who waits for them has to look
            deadline = self._queue.next_deadline()
        await self._turn(timeout if deadline is None else max(0.0, min(timeout, deadline - start)))
        self._expire()
        self._backoff = self._queue.backoff

    async def _drive(self) -> bool:
        """Take a step towards the outcome of every message; False when the client is shut down."""
        if self._shutdown:
            return False
        if not self._queue:
            return True
        sender = self._message_sender
        if sender is None or not self._link_is_open(sender) or not await self._authorized():
            self._queue.resume(now())
            await self._wait_ready(self._queue.next_deadline())
            self._expire()
        else:
            await self._send_step(FOREVER)
        return not self._shutdown

    def _expire(self) -> None:
        """Give up the messages whose time is over."""
        connection = self._connection
        if connection is not None:
            with connection._pump.lock:
                self._queue.expire(now())

    # -- messages

    @property
    def pending_messages(self) -> list[Message]:
        """The messages that wait to be sent, or for an outcome."""
        return self._queue.pending()

    @property
    def _pending_messages(self) -> list[Message]:
        return self._queue.pending()

    def messages_pending(self) -> bool:
        """Tell whether any message waits to be sent, or for an outcome."""
        return len(self._queue) > 0

    def queue_message(self, *messages: Message | BatchMessage) -> None:
        """Queue messages; `wait`, `do_work` or a send call sends them. Works on a client that isn't open, too.

        Raises:
            NotAMessage: one of them is no message; it is a `TypeError`, and an `AttributeError` as in 1.6.
            TypeError, ValueError: one of them can't be sent: it was received, sent before, or holds too much.
        """
        self._enqueue(gathered(messages))

    def _enqueue(self, messages: list[Message]) -> None:
        tick = self._counter.get_current_ms()
        connection = self._connection
        if connection is None:
            self._queue.add_all(messages, self._msg_timeout, now(), tick)
            return
        with connection._pump.lock:
            self._queue.add_all(messages, self._msg_timeout, now(), tick)

    def wait(self) -> bool:
        """Send until no message is pending. Returns False if the client was shut down before.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed; pending messages stay pending.
        """
        return run(self._do_wait())

    async def _do_wait(self) -> bool:
        await self._do_open()
        while self.messages_pending():
            if not await self._drive():
                return False
        return not self._shutdown

    def send_message(
        self, messages: Message | BatchMessage | Iterable[Message | BatchMessage], close_on_done: bool = False
    ) -> None:
        """Send messages, and wait until the peer has accepted each.

        Args:
            messages: one `Message` or `BatchMessage`, or several.
            close_on_done: close the client afterwards.

        Raises:
            ClientMessageError: messages failed; its `info` says which, and why.
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            TypeError, ValueError: a message can't be sent.
        """
        run(self._do_send_message(messages, close_on_done))

    async def _do_send_message(
        self, messages: Message | BatchMessage | Iterable[Message | BatchMessage], close_on_done: bool
    ) -> None:
        batch = gathered(as_messages(messages))
        self._enqueue(batch)
        await self._do_open()
        running = True
        try:
            undone = list(batch)
            while running and undone:
                if undone[-1].state in constants.DONE_STATES:
                    undone.pop()
                elif self._queue:
                    running = await self._drive()
                else:
                    raise errors.ClientMessageError(RuntimeError("The messages were dropped from the queue."))
            self._raise_failures(batch)
            left = sum(message.state not in constants.DONE_STATES for message in undone)
            if left:
                raise errors.ClientMessageError(RuntimeError(_CLOSED.format(left, len(batch))))
        finally:
            if close_on_done or not running:
                await self._do_close()

    @staticmethod
    def _raise_failures(batch: list[Message]) -> None:
        failed = {m: m._response for m in batch if m.state is constants.MessageState.SendFailed}
        if failed:
            exception = list(failed.values())[-1]
            info = {"total_messages": len(batch), "number_failed": len(failed), "failed_messages": failed}
            raise errors.ClientMessageError(exception, info=info)

    def send_all_messages(self, close_on_done: bool = True) -> list[constants.MessageState]:
        """Send what is queued, and wait for the outcomes.

        Args:
            close_on_done: close the client afterwards.

        Returns:
            What became of each message that was queued before.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
        """
        return run(self._do_send_all_messages(close_on_done))

    async def _do_send_all_messages(self, close_on_done: bool) -> list[constants.MessageState]:
        await self._do_open()
        running = True
        messages = self._queue.pending()
        try:
            running = await self._do_wait()
        finally:
            if close_on_done or not running:
                await self._do_close()
        return [message.state for message in messages]

    def redirect(self, redirect: Any, auth: authentication.AMQPAuth) -> None:
        """Go where a redirect of the peer says. Messages that are pending are dropped from the queue.

        Raises:
            ValueError: the connection is shared.
        """
        run(self._do_redirect(redirect, auth))

    async def _do_redirect(self, redirect: Any, auth: authentication.AMQPAuth) -> None:
        await super()._do_redirect(redirect, auth)
        node = getattr(redirect, "address", None)
        if node:  # a redirect of the connection leaves the node as it is
            self._remote_address = address.Target(node, encoding=self._encoding)
        self._queue.drop_all()
