"""`ReceiveClient`, the receiving client of the 1.6 API; public as `uamqp.client.ReceiveClient`."""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from . import address, authentication, errors
from ._amqp_client import AMQPClient
from ._arguments import checked_callback, encoding_of, integer, number
from ._drive import run
from ._iteration import MessageIteration
from ._receiving import Inbox, MessageQueue, complete, take
from ._settings import ReceiveKeywords, Unpack
from .engine.limits import MAX_CREDIT
from .message import Message
from .receiver import MessageReceiver
from .transport.clock import FOREVER, now

_PREFETCH = 300

_logger = logging.getLogger("uamqp.client")  # as in 1.6


class ReceiveClient(AMQPClient):
    """A client that receives messages from one node.

    Args:
        source: a `Source`, or the URL.
        auth, client_name, debug, error_policy: see `AMQPClient`.
        timeout: milliseconds without a message after which receiving ends; 0: never.
        auto_complete: messages are accepted when they are handed out, or when the callback has returned, unless they
            were settled otherwise.

    Keyword Args:
        shutdown_after_timeout: shut the client down after `timeout`; default True.
        prefetch: messages that the peer may send ahead; 0 or None: 300.
        max_message_size, link_properties: see `MessageReceiver`.
        keep_alive_interval and others: see `AMQPClient`.
    """

    __module__ = "uamqp.client"  # where 1.6 has it

    def __init__(
        self,
        source: str | bytes | address.Address,
        auth: authentication.AMQPAuth | None = None,
        client_name: str | bytes | None = None,
        debug: bool = False,
        timeout: float = 0,
        auto_complete: bool = True,
        error_policy: errors.ErrorPolicy | None = None,
        **kwargs: Unpack[ReceiveKeywords],
    ) -> None:
        settings: dict[str, Any] = {**kwargs}
        source = address.address_of(source, address.Source, "source", encoding_of(settings.get("encoding")))
        self._timeout = number(timeout or 0, "timeout", "milliseconds")
        self.auto_complete = auto_complete
        self._shutdown_after_timeout = bool(settings.pop("shutdown_after_timeout", True))
        self._prefetch = integer(settings.pop("prefetch", None) or _PREFETCH, "prefetch", 1, MAX_CREDIT)
        self._take_link_settings(settings)
        self.receiver_type: type[MessageReceiver] = MessageReceiver
        self._last_activity_timestamp: int | None = None
        self._timeout_reached = False
        self._inbox = Inbox()
        self._on_message: Callable[[Message], Any] = self._inbox.take_in
        self._iteration: MessageIteration | None = None
        super().__init__(source, auth=auth, client_name=client_name, debug=debug, error_policy=error_policy, **settings)

    # -- the link

    @property
    def _message_receiver(self) -> MessageReceiver | None:
        handler = self.message_handler
        return handler if isinstance(handler, MessageReceiver) else None

    def _make_handler(self) -> MessageReceiver:
        return self.receiver_type(
            self._session,  # type: ignore[arg-type]  # the caller has looked
            self._remote_address,  # type: ignore[arg-type]  # a Source, as the constructor sees to
            self._name,
            on_message_received=self._message_received,
            name=self._link_name or f"receiver-link-{uuid.uuid4()}",
            receive_settle_mode=self._receive_settle_mode,
            send_settle_mode=self._send_settle_mode,
            max_message_size=self._max_message_size,
            prefetch=self._prefetch,
            properties=self._link_properties,
            error_policy=self._error_policy,
            debug=self._debug_trace,
            encoding=self._encoding,
            desired_capabilities=self._desired_capabilities,
        )

    @property
    def _message_received(self) -> Callable[[Message], Any]:
        """What takes a message in; an override point. Callers of 1.6 put something else in its place, too."""
        return self._on_message

    @_message_received.setter
    def _message_received(self, function: Callable[[Message], Any]) -> None:
        self._on_message = function
        receiver = self._message_receiver
        if receiver is not None:
            receiver.on_message_received = function

    # What 1.6 had as attributes, and its users set.

    @property
    def _received_messages(self) -> MessageQueue:
        return self._inbox.messages

    @_received_messages.setter
    def _received_messages(self, messages: MessageQueue) -> None:
        self._inbox.messages = messages

    @property
    def _streaming_receive(self) -> bool:
        return self._inbox.streaming

    @_streaming_receive.setter
    def _streaming_receive(self, streaming: bool) -> None:
        self._inbox.streaming = streaming

    @property
    def _message_received_callback(self) -> Callable[[Message], Any] | None:
        return self._inbox.callback

    @_message_received_callback.setter
    def _message_received_callback(self, function: Callable[[Message], Any] | None) -> None:
        self._inbox.callback = function or None

    @property
    def _was_message_received(self) -> bool:
        return self._inbox.active

    @_was_message_received.setter
    def _was_message_received(self, received: bool) -> None:
        self._inbox.active = received

    def _run_callbacks(self) -> None:
        """Deal with the messages that have arrived for a callback."""
        while self._inbox.arrived and not self._shutdown:
            callback, receiver = self._message_received_callback, self._message_receiver
            try:
                message = self._inbox.arrived.popleft()
            except IndexError:
                break  # another thread closes the client
            if receiver is None:
                self._release(message)
                break
            if receiver._error is not None and not message.settled:
                continue  # it went with the link: the peer delivers it again
            if callback is not None and not self._called(receiver, callback, message):
                self._taken(message)
            elif not self._streaming_receive:
                self._received_messages.put(message)
            else:
                if self.auto_complete:
                    complete(message)
                if not message.settled:
                    _logger.info("Message %r was not settled.", message.delivery_no)
                self._taken(message)

    @staticmethod
    def _called(receiver: MessageReceiver, callback: Callable[[Message], Any], message: Message) -> bool:
        """Call a callback with a message; tell whether it returned."""
        try:
            callback(message)
        except BaseException as error:  # noqa: BLE001 (it raises what it doesn't deal with)
            receiver._callback_failed(message, error)
            return False
        return True

    def _taken(self, message: Message) -> None:
        """The message leaves the client: the peer may send another in its place."""
        if self._connection is not None:
            with self._connection._pump.lock:
                take(message)

    @staticmethod
    def _complete_message(message: Message) -> None:
        """Accept a message that was not settled otherwise."""
        if not message.settled:
            message.accept()

    async def _do_step(self, timeout: float) -> bool:
        return await self._receive_step(timeout)

    async def _receive_step(self, timeout: float) -> bool:
        """Wait for messages up to `timeout` seconds; False when the time without any is over."""
        if self._inbox.arrived:
            timeout = 0
        remaining = self._inactivity_left()
        if remaining is not None:
            timeout = min(timeout, remaining / 1000)
        try:
            await self._turn(timeout)
        except errors.AMQPConnectionError:
            if not self._drop_stale():
                raise
        self._run_callbacks()
        receiver = self._message_receiver
        if receiver is not None and not self._inbox.arrived and self._received_messages.empty():
            receiver.get_state()  # raises what has ended the link
        return not self._is_timed_out()

    def _drop_stale(self) -> bool:
        """After the end of the connection: drop what the peer will deliver again; tell whether anything is left.

        What arrived settled is nowhere else any more: it is handed out first, and the next call raises the error.
        """
        self._inbox.arrived = deque(message for message in self._inbox.arrived if message.settled)
        kept = [message for message in self._unseen() if message.settled]
        for message in kept:
            self._received_messages.put(message)
        return bool(kept or self._inbox.arrived)

    def _inactivity_left(self) -> float | None:
        """Return the milliseconds until receiving ends for want of messages; None: it doesn't."""
        if self._timeout <= 0:
            return None
        now = self._counter.get_current_ms()
        if self._was_message_received or self._last_activity_timestamp is None:
            self._was_message_received = False
            self._last_activity_timestamp = now
        return max(0.0, self._timeout - (now - self._last_activity_timestamp))

    def _is_timed_out(self) -> bool:
        if self._was_message_received or self._inactivity_left() != 0:
            return False
        _logger.info("No message within %s ms: receiving ends.", self._timeout)
        self._timeout_reached = True
        self._last_activity_timestamp = None
        if self._shutdown_after_timeout:
            self._shutdown = True
        return True

    async def _do_close(self, detach: bool | None = None) -> None:
        """Messages that the client holds, and that nobody has seen, are released to the peer."""
        iteration, self._iteration = self._iteration, None
        if iteration is not None:
            iteration.abandon()
        connection = self._connection
        if connection is not None and connection._error is None:
            with connection._pump.lock:
                for message in (*self._inbox.arrived, *self._unseen()):
                    self._release(message)
        self._inbox.arrived.clear()
        await super()._do_close(detach)

    def _unseen(self) -> list[Message]:
        unseen = []
        while not self._received_messages.empty():
            unseen.append(self._received_messages.get())
        return unseen

    @staticmethod
    def _release(message: Message) -> None:
        try:
            if not message.settled:
                message.release()
        except RuntimeError as error:
            _logger.info("%s", error)  # its link is gone: the peer has it

    # -- receiving

    def receive_message_batch(
        self,
        max_batch_size: int | None = None,
        on_message_received: Callable[[Message], Any] | None = None,
        timeout: float = 0,
    ) -> list[Message]:
        """Wait for messages; return those that are there as soon as there are any.

        Args:
            max_batch_size: how many at most; None: the prefetch.
            on_message_received: called with each message before it is returned.
            timeout: milliseconds to wait; 0: as the client's `timeout` says.

        Raises:
            ValueError: `max_batch_size` is larger than the prefetch.
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
        """
        return run(self._do_receive_message_batch(max_batch_size, on_message_received, timeout))

    async def _do_receive_message_batch(
        self, max_batch_size: int | None, on_message_received: Callable[[Message], Any] | None, timeout: float
    ) -> list[Message]:
        most = integer(max_batch_size or self._prefetch, "max_batch_size", 1, MAX_CREDIT)
        if most > self._prefetch:
            raise ValueError(f"Maximum batch size cannot be greater than the connection link credit: {self._prefetch}")
        limit = number(timeout or 0, "timeout", "milliseconds")
        self._message_received_callback = checked_callback(on_message_received, "on_message_received")
        await self._do_open()
        deadline = now() + limit / 1000 if limit > 0 else None
        try:
            if not self._shutdown and await self._wait_ready(deadline):
                await self._gather(most, deadline)
        except errors.AMQPConnectionError:
            batch = self._take(most)
            if not batch:
                raise
            _logger.info("The link has ended; what had arrived is handed out first.")
            return batch
        # Last of all: a message that is handed out is settled, and must not be lost with an interrupted call.
        return self._take(most)

    async def _gather(self, most: int, deadline: float | None) -> None:
        """Receive until there is something, and then as long as there is more at once."""
        messages = self._received_messages
        receiving = True
        while receiving and (held := messages.qsize()) < most and not self._shutdown:
            wait = FOREVER
            if held:
                wait = 0.0  # take what is there, don't wait for more
            elif deadline is not None:
                wait = deadline - now()
                if wait <= 0:
                    break
            receiving = await self._receive_step(wait)
            if held and messages.qsize() <= held:
                break

    def _take(self, count: int) -> list[Message]:
        """Hand out messages that have arrived."""
        queue = self._received_messages
        if queue.empty() or self._connection is None:
            return []
        pump = self._connection._pump
        with pump.lock:
            batch = queue.hand_out(count, self.auto_complete)
        if queue.qsize() <= len(batch):
            pump.flush_now()  # the peer sends on while the application works on what it has got
        else:
            pump.flush_soon()  # the rest is handed out just as quickly
        return batch

    def receive_messages(self, on_message_received: Callable[[Message], Any]) -> None:
        """Call `on_message_received` with each message until the timeout, `close` or an error.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
        """
        run(self._do_receive_messages(on_message_received))

    async def _do_receive_messages(self, on_message_received: Callable[[Message], Any] | None) -> None:
        on_message_received = checked_callback(on_message_received, "on_message_received")
        self._streaming_receive = True
        self._message_received_callback = on_message_received
        self._inbox.arrived.extend(self._unseen())  # what an earlier batch left over
        receiving = True
        try:
            await self._do_open()
            receiving = await self._wait_ready()
            while receiving and not self._shutdown:
                receiving = await self._receive_step(FOREVER)
        finally:
            self._streaming_receive = False
            if self._shutdown_after_timeout or self._shutdown:
                await self._do_close()

    def receive_messages_iter(
        self, on_message_received: Callable[[Message], Any] | None = None
    ) -> Generator[Message, None, None]:
        """Iterate over messages until the timeout or `close`.

        A message is accepted when the next is asked for, if `auto_complete` is on and it wasn't settled otherwise.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
        """
        return self._message_generator(checked_callback(on_message_received, "on_message_received"))

    def _message_generator(
        self, on_message_received: Callable[[Message], Any] | None
    ) -> Generator[Message, None, None]:
        iteration = self._start_iteration(on_message_received)
        try:
            while (message := run(iteration.next())) is not None:
                yield message
        finally:
            run(iteration.end())

    def _start_iteration(
        self, on_message_received: Callable[[Message], Any] | None, auto_complete: bool | None = None
    ) -> MessageIteration:
        """Begin to iterate. One that was broken off before is over then, and its last message is done with."""
        if self._iteration is not None:
            self._iteration.settle()
            self._iteration.abandon()
        self._message_received_callback = on_message_received
        self._iteration = MessageIteration(self, self.auto_complete if auto_complete is None else auto_complete)
        return self._iteration

    async def _message_waits(self) -> bool:
        """Wait for a message to hand out; False when receiving is over."""
        messages = self._received_messages
        while messages.empty():
            if self._shutdown or not await self._wait_ready():
                break
            if messages.empty() and not await self._receive_step(FOREVER):
                break
        return not messages.empty()

    def _complete_or_raise(self, message: Message) -> None:
        try:
            self._complete_message(message)
        except RuntimeError:
            receiver = self._message_receiver
            if receiver is not None:
                receiver.get_state()  # why the link has gone says more
            raise

    def redirect(self, redirect: Any, auth: authentication.AMQPAuth) -> None:
        """Go where a redirect of the peer says.

        Raises:
            ValueError: the connection is shared.
        """
        run(self._do_redirect(redirect, auth))

    async def _do_redirect(self, redirect: Any, auth: authentication.AMQPAuth) -> None:
        await super()._do_redirect(redirect, auth)
        node = getattr(redirect, "address", None)
        if node:  # a redirect of the connection leaves the node as it is
            self._remote_address = address.Source(node, encoding=self._encoding)
        self._shutdown = False
        self._last_activity_timestamp = None
        self._was_message_received = False
        self._inbox.arrived.clear()
        self._received_messages = MessageQueue()
