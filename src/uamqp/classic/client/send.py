"""`SendClient`, the sending client of the 1.6 API; public as `uamqp.client.SendClient`."""

from __future__ import annotations

import logging
import sys
import uuid
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ...core import LinkState, SenderCore
from ...engine.limits import MAX_CREDIT
from ...transport.drive import run
from ...transport.guard import is_handlers
from ...transport.signals import Chore
from ..auth import AMQPAuth
from ..cbs import CBSAuthMixin
from ..endpoints.connection import Connection
from ..endpoints.sender import MessageSender
from ..message import BatchMessage, Message
from ..values.arguments import encoding_of, given, integer, number
from ..vocabulary import address, constants, errors
from ..vocabulary.compat import TimeoutException
from ..vocabulary.settings import SendKeywords, Unpack
from .base import AMQPClient, Survivor
from .sending import STALL_TIMEOUT, SendCall, SendQueue, as_messages, gathered

_logger = logging.getLogger("uamqp.client")  # as in 1.6

_CLOSED = (
    "The client was closed before {} of {} messages had an outcome. They aren't queued any more, and any client can "
    "send them: `message_fates` of this error says which of them may have arrived all the same."
)

_OURS = (errors.AMQPError, TimeoutException)


class SendClient(AMQPClient):
    """A client that sends messages to one node.

    Args:
        target: a `Target`, or the URL.
        auth, client_name, debug, error_policy, keep_alive_interval: see `AMQPClient`.
        msg_timeout: milliseconds from queueing until a message times out; 0 for never, except by `stall_timeout`.
            Connecting, the TLS handshake in asyncio, and `get_token` of the credentials aren't interrupted by it:
            they have their own time-outs, or none.

    Keyword Args:
        max_message_size, link_properties, link_credit: see `MessageSender`.
        stall_timeout: seconds after which messages without their own time-out fail, if the peer gives neither credit
            nor an outcome; default 60. Once a message was sent, only outcomes of it and of earlier ones count.
        Others: see `AMQPClient`.
    """

    __module__ = "uamqp.client"  # where 1.6 has it

    def __init__(
        self,
        target: str | bytes | address.Address,
        auth: AMQPAuth | None = None,
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
        self._queue = SendQueue(self._error_policy, stall_timeout, self)
        self._preparing = Chore()
        self._has_given_up = False  # whether the latest call that waited for outcomes raised an error
        self._survivor = Survivor(self)

    # -- the link

    @property
    def _message_sender(self) -> MessageSender | None:
        handler = self.message_handler
        return handler if isinstance(handler, MessageSender) else None

    def __del__(self) -> None:
        """Warn of queued messages that nobody will send any more. See `AMQPClient.__del__` for the rest."""
        queue = self.__dict__.get("_queue")
        if queue and not sys.is_finalizing():
            _logger.warning(
                "Client %r of %s is gone with %d messages that were queued with it: they have no outcome.",
                self._name,
                self._remote_address,
                len(queue),
            )
        super().__del__()

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
        self._queue.call_out = sender._connection._driver.call_out
        core: Any = sender._core  # a SenderCore
        self._change("beginning a link", lambda now: self._queue.begin_link(core, now))
        sender._hand_to(self._queue)
        reference = weakref.ref(self)  # the connection doesn't keep its clients alive

        def on_end(link: MessageSender, error: BaseException, by_peer: bool) -> None:
            client = reference()
            if client is not None:
                client._on_link_ended(link, error, by_peer)

        sender._end_handler = on_end
        return sender

    def _on_link_ended(self, sender: MessageSender, error: BaseException, by_peer: bool) -> None:
        """Give the calls' messages back, because the link is lost. Messages queued otherwise stay queued."""

        def ended(now: float) -> None:
            self._queue.catch_up(now)
            self._queue.end_calls(sender.get_state, now)
            if by_peer and isinstance(error, (errors.LinkDetach, errors.ConnectionClose)):
                self._queue.end_link(error)

        if self.message_handler is sender or self.message_handler is None:
            self._look(lambda: self._change("giving messages back", ended))

    def _is_sending(self) -> bool:
        """Return whether this client is responsible for its queue: it wasn't closed, and hasn't failed."""
        connection, handler = self._connection, self.message_handler
        return not (
            self._shutdown
            or self._has_given_up
            or (connection is not None and (connection._error is not None or connection._destroyed))
            or (handler is not None and handler._error is not None)
        )

    def _sending_link(self) -> SenderCore | None:
        sender, connection = self._message_sender, self._connection
        if sender is None or connection is None or sender._connection is not connection:
            return None
        auth = connection.auth
        if isinstance(auth, CBSAuthMixin) and not auth._is_in_force():
            return None
        return sender._core  # type: ignore[return-value]  # a SenderCore

    async def _do_step(self, timeout: float) -> bool:
        """Send what can be sent, and wait for outcomes up to `timeout` seconds."""
        connection = self._require_open()

        def hand_over(now: float) -> float:
            step = self._queue.step(now)
            if step.decided or (step.more and not connection._driver.has_unsent):
                return 0.0
            return timeout if step.deadline is None else max(0.0, min(timeout, step.deadline - now))

        await self._turn(self._change("handing messages over", hand_over))
        self._expire()
        self._backoff = self._queue.backoff
        return True

    def _expire(self) -> None:
        """Time out messages past their deadlines."""

        def expire(now: float) -> None:
            self._queue.expire(now)
            sender = self._message_sender
            if sender is not None and len(sender._direct):
                sender._expire(now)  # messages that the application has sent over the link itself

        self._change("giving messages up", expire)

    # -- waiting

    async def _wait_for(self, call: SendCall, is_done: Callable[[], bool]) -> bool:
        """Wait until `is_done()`, or until the call is over; return False if the client is shut down.

        The connection is driven for the queue as long as anybody waits, so the caller must call `_leave` in the end.
        """
        self._has_given_up = False
        try:
            while not is_done() and not call.is_over:
                if self._shutdown:
                    return False
                if not self._queue:
                    break
                await self._wait_on(call, is_done)
        except _OURS:
            self._has_given_up = True
            raise
        return True

    async def _wait_on(self, call: SendCall, is_done: Callable[[], bool]) -> None:
        """Send what can be sent, and wait as `_wait_for` does, or until the connection ends.

        One of the waiting callers opens the link, and takes care of the token, for all.
        """
        connection = self._connection
        if connection is None:
            connection = self._require_open()  # which raises
        driver = connection._driver
        call.is_nested = driver.is_nested
        if self._change("handing messages over", partial(self._begin_waiting, call, connection)):
            await self._make_ready(connection)
            self._change("preparing no more", partial(self._end_preparing, call))
            return
        # No closure, which would keep its variables in cells: thousands of calls may wait here.
        is_over = partial(self._is_over, call, is_done, connection)
        chores = [self._preparing.signal]
        if isinstance(connection.auth, CBSAuthMixin):
            chores.append(connection._token_due)
        if not await driver.wait(call.signal, is_over, None, *chores):
            await self._turn(None)  # the connection is ending: this raises its error
        self._backoff = self._queue.backoff

    def _begin_waiting(self, call: SendCall, connection: Connection, now: float) -> bool:
        """Send what can be sent; return whether the caller has to make the client ready first, for all who wait."""
        self._queue.wait(call, connection._core.timers, now)
        if not self._is_unprepared(connection):
            return False
        call.caller = connection._driver.caller()
        return self._preparing.begin(call.caller) or call.is_nested

    def _end_preparing(self, call: SendCall, now: float) -> None:
        self._preparing.end(call.caller)

    def _is_over(self, call: SendCall, is_done: Callable[[], bool], connection: Connection) -> bool:
        """Return whether a waiting caller has to look again: it is done, or the first to make the client ready."""
        if is_done() or call.is_over or self._shutdown:
            return True
        if not self._is_unprepared(connection):
            return False
        # Nobody else can make the client ready while a callback waits, which has the lock.
        return call.is_nested or self._preparing.is_free(connection._driver.caller())

    def _is_unprepared(self, connection: Connection) -> bool:
        """Return whether the link isn't open, or there is something to do about the token."""
        handler, auth = self.message_handler, connection.auth
        if handler is None or handler._core.state is not LinkState.OPEN:
            return True
        return isinstance(auth, CBSAuthMixin) and auth._is_unfinished()

    async def _make_ready(self, connection: Connection) -> None:
        """Open the link, and take care of the token; queued messages may time out meanwhile."""
        sender = self._message_sender
        if sender is None or not self._link_is_open(sender) or not await self._authorized():
            await self._wait_ready(self._queue.next_deadline())
            self._expire()

    def _leave(self, call: SendCall) -> None:
        """Record that a call doesn't wait any more. If it was opening the link, another call continues."""

        def leave(now: float) -> None:
            self._queue.leave(call, now)
            self._preparing.end(call.caller)

        self._change("waiting no more", leave)

    # -- messages

    @property
    def pending_messages(self) -> list[Message]:
        """The messages that wait to be sent, or for an outcome."""
        return self._queue.pending()

    @property
    def _pending_messages(self) -> list[Message]:
        return self._queue.pending()

    def messages_pending(self) -> bool:
        """Return whether any message waits to be sent, or for an outcome."""
        return len(self._queue) > 0

    def queue_message(self, *messages: Message | BatchMessage) -> None:
        """Queue messages, even on a client that isn't open; `wait`, `do_work` or a send call sends them.

        Messages that were accepted before are skipped, or refused if there are no others.

        Raises:
            NotAMessage: one of them isn't a message. This is a `TypeError`, and an `AttributeError` as in 1.6.
            MessageAlreadySettled: all of them were accepted before.
            TypeError, ValueError: one of them can't be sent: it was received, is too large, or is already pending,
                here or in another client that wasn't closed and hasn't failed. Then none of them is queued.
            Exception: one of them has failed before, with this error.
        """
        self._enqueue(gathered(messages))

    def _enqueue(self, messages: list[Message], call: SendCall | None = None) -> None:
        tick = self._counter.get_current_ms()
        if self._connection is not None:
            self._connection._refuse_inherited()

        def add(now: float) -> ValueError | None:
            try:
                self._queue.add_all(messages, self._msg_timeout, now, tick, call)
            except ValueError as error:
                return error  # nothing was changed
            return None

        refusal = self._change("queueing messages", add)
        if refusal is not None:
            raise refusal
        if call is None and self._queue.waiting and self._connection is not None:
            self._connection._driver.flush()  # so that they go out while others wait

    def _forget_inherited(self) -> None:
        self._own.forget()
        self._own.change("dropping messages", self._queue.drop_all)

    def _forget_threads(self) -> None:
        super()._forget_threads()
        self._own.forget()
        self._preparing = Chore()
        connection = self._connection
        ends_calls = connection is not None and connection._core.engine is None
        self._own.change("forgetting calls", lambda now: self._queue.forget_threads(now, ends_calls))

    def wait(self) -> bool:
        """Send until no message is pending; return False if the client was shut down before.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed; pending messages stay pending. After
                `close`, the next use of the client connects again, and sends them.
            RuntimeError: the caller is an `on_send_complete` of the client's messages, which can't wait for others.
        """
        return run(self._do_wait())

    async def _do_wait(self) -> bool:
        self._queue.refuse_waiting()
        await self._do_open()
        waiting = SendCall()
        try:
            self._queue.idlers[waiting] = None
            if not await self._wait_for(waiting, lambda: not self._queue):
                return False
        except _OURS:
            if self._queue:
                raise
            # All messages have an outcome: the next call reports the failure.
        finally:
            self._queue.idlers.pop(waiting, None)
            self._leave(waiting)
        return not self._shutdown

    def send_message(
        self, messages: Message | BatchMessage | Iterable[Message | BatchMessage], close_on_done: bool = False
    ) -> None:
        """Send messages, and wait until the peer has accepted each.

        After any error, messages without an outcome belong to the caller again, as if they were new, to be sent by this
        or another client. `message_fates` of `ClientMessageError`, `AMQPConnectionError` and `LinkDetach` names these
        messages, and says whether each may have arrived nevertheless (`errors.Fate`); so does each message's `fate`.
        `on_send_complete` isn't called for them. A message that was refused, or timed out, isn't sent again: make a new
        `Message` of it. Once the client's connection has failed, calls raise the same error until `close`; the next use
        connects again.

        Args:
            messages: one `Message` or `BatchMessage`, or a list of them.
            close_on_done: whether to close the client afterwards.

        Raises:
            ClientMessageError: messages failed, and `info` says which, and why; or the client was closed meanwhile.
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            TypeError, ValueError, MessageAlreadySettled: a message can't be sent, so none is; see `queue_message`.
        """
        run(self._do_send_message(messages, close_on_done))

    async def _do_send_message(
        self, messages: Message | BatchMessage | Iterable[Message | BatchMessage], close_on_done: bool
    ) -> None:
        call = SendCall()
        running, queued = True, False
        try:
            try:
                call.gather(as_messages(messages))
                self._enqueue(call.messages, call)
                queued = True
                await self._do_open()
                running = await self._wait_for(call, call.has_left)
                if call.is_over and call.reason is not None:
                    call.reason()
            except _OURS as error:
                if not call.messages or not queued or call.left > 0 or call.is_over or is_handlers(error):
                    raise
                # All outcomes had arrived before: the next call reports the failure.
            finally:
                self._end_call(call)
            self._raise_failures(call, running and not call.is_over)
        except BaseException as error:
            self._end_call(call)  # once more, in case an interrupt stopped it halfway
            if not isinstance(error, _OURS):
                raise
            call.take_notes()
            if not call.fates:
                raise
            raise errors._with_fates(error, call.fates)  # noqa: B904 (its cause is the error)
        finally:
            if close_on_done or not running:
                await self._do_close()

    def _end_call(self, call: SendCall) -> None:
        """End a call, and give messages without an outcome back to the caller."""
        self._change("giving messages back", lambda now: self._queue.take_back(call, now))
        self._leave(call)

    @staticmethod
    def _raise_failures(call: SendCall, is_complete: bool) -> None:
        batch = call.messages
        failed = {m: m._response for m in batch if m.state is constants.MessageState.SendFailed}
        if failed:
            exception = list(failed.values())[-1]
            info = {"total_messages": len(batch), "number_failed": len(failed), "failed_messages": failed}
            raise errors.ClientMessageError(exception, info=info)
        left = 0 if is_complete else sum(message.state not in constants.DONE_STATES for message in batch)
        if left:
            raise errors.ClientMessageError(RuntimeError(_CLOSED.format(left, len(batch))))

    def send_all_messages(self, close_on_done: bool = True) -> list[constants.MessageState]:
        """Send all queued messages, and wait for their outcomes.

        Args:
            close_on_done: whether to close the client afterwards.

        Returns:
            The state of each message that was queued before.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: see `wait`.
        """
        return run(self._do_send_all_messages(close_on_done))

    async def _do_send_all_messages(self, close_on_done: bool) -> list[constants.MessageState]:
        self._queue.refuse_waiting()
        await self._do_open()
        running = True
        messages = self._queue.pending()
        try:
            running = await self._do_wait()
        finally:
            if close_on_done or not running:
                await self._do_close()
        return [message.state for message in messages]

    def redirect(self, redirect: Any, auth: AMQPAuth) -> None:
        """Follow a redirect from the peer. Pending messages are dropped from the queue.

        Raises:
            ValueError: the connection is shared.
        """
        run(self._do_redirect(redirect, auth))

    async def _do_redirect(self, redirect: Any, auth: AMQPAuth) -> None:
        await super()._do_redirect(redirect, auth)
        node = getattr(redirect, "address", None)
        if node:  # a redirect of the connection doesn't change the node
            self._remote_address = address.Target(node, encoding=self._encoding)

    def _drop_pending(self) -> None:
        self._change("dropping messages", self._queue.drop_all)

    def _on_closing(self) -> None:
        def end(now: float) -> None:
            self._queue.end_calls(None, now)
            self._queue.retire()
            self._preparing = Chore()  # whoever opens the link now does so for nobody

        self._change("giving messages back", end)
