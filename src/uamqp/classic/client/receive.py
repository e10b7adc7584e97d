"""`ReceiveClient`, the receiving client of the 1.6 API; public as `uamqp.client.ReceiveClient`."""

from __future__ import annotations

import logging
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from ...core.incoming import move_one
from ...engine.limits import MAX_CREDIT
from ...transport.drive import run
from ..auth import AMQPAuth
from ..endpoints.receiver import MessageReceiver
from ..message import Message
from ..values.arguments import encoding_of, integer, number
from ..vocabulary import address, errors
from ..vocabulary.callbacks import plain, plain_function, refuse_unfinished
from ..vocabulary.settings import ReceiveKeywords, Unpack
from .base import AMQPClient, Survivor
from .iteration import MessageIteration
from .reading import Busy, Call, Kind, Place, ReceivingCalls
from .receiving import Arrivals, Batch, MessageQueue, complete

_PREFETCH = 300

_LOOK_INTERVAL = 0.05
"""Seconds during which the client hands out messages that it holds without looking at the link."""

_logger = logging.getLogger("uamqp.client")  # as in 1.6


_CALLBACK = "on_message_received"


def _nothing(message: Message) -> None:
    """Stand in for a missing callback."""


class ReceiveClient(AMQPClient):
    """A client that receives messages from one node.

    Any number of threads may receive batches and iterate at the same time: each message goes to one of them.
    `receive_messages` needs the client to itself, or `RuntimeError` is raised. While no call is receiving, the peer
    isn't asked for more messages than earlier calls have asked for.

    Args:
        source: a `Source`, or the URL.
        auth, client_name, debug, error_policy: see `AMQPClient`.
        timeout: milliseconds without a message after which receiving ends; 0 for never.
        auto_complete: whether to accept messages when they are handed out, or when the callback has returned, unless
            they were settled otherwise.

    Keyword Args:
        shutdown_after_timeout: whether to shut the client down after `timeout`; default True.
        prefetch: number of messages that the peer may send ahead; 0 or None for 300.
        max_message_size, link_properties: see `MessageReceiver`.
        keep_alive_interval and others: see `AMQPClient`.
    """

    __module__ = "uamqp.client"  # where 1.6 has it

    _is_of_tasks = False

    def __init__(
        self,
        source: str | bytes | address.Address,
        auth: AMQPAuth | None = None,
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
        self._auto_complete = auto_complete
        self._shutdown_after_timeout = bool(settings.pop("shutdown_after_timeout", True))
        prefetch = settings.pop("prefetch", None) or _PREFETCH
        self._prefetch = integer(prefetch, "prefetch", 0, MAX_CREDIT, f" (0 means the default, {_PREFETCH})")
        self._take_link_settings(settings)
        self.receiver_type: type[MessageReceiver] = MessageReceiver
        self._last_activity_timestamp: int | None = None
        self._timeout_reached = False
        self._inbox = Arrivals()
        self._on_message: Callable[[Message], Any] = self._inbox.take_in
        self._streaming_by_hand = False
        self._calls = ReceivingCalls(of_tasks=self._is_of_tasks)
        self._callbacks = Place()  # for the call that runs the callbacks, one after the other
        self._iterations: weakref.WeakSet[MessageIteration] = weakref.WeakSet()
        self._look_due = 0.0
        self._unfinished: list[Message] = []  # the latest messages of iterations that were left
        super().__init__(source, auth=auth, client_name=client_name, debug=debug, error_policy=error_policy, **settings)
        self._survivor = Survivor(self)

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
        """The function that takes in a message; an override point, which users of 1.6 also replaced."""
        return self._on_message

    @_message_received.setter
    def _message_received(self, function: Callable[[Message], Any]) -> None:
        self._on_message = plain_function(function, "_message_received")
        receiver = self._message_receiver
        if receiver is not None:
            receiver.on_message_received = function

    @property
    def auto_complete(self) -> bool:
        """Whether messages are accepted when handed out; False during an iteration, as in 1.6. It may be set."""
        return self._auto_complete and not self._iterations

    @auto_complete.setter
    def auto_complete(self, value: bool) -> None:
        self._auto_complete = value

    # Attributes of 1.6, which its users set.

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
        self._inbox.streaming = self._streaming_by_hand = streaming

    @property
    def _message_received_callback(self) -> Callable[[Message], Any] | None:
        return self._inbox.callback

    @_message_received_callback.setter
    def _message_received_callback(self, callback: Callable[[Message], Any] | None) -> None:
        self._inbox.callback = self._checked(callback)

    @staticmethod
    def _checked(callback: Callable[[Message], Any] | None) -> Callable[[Message], Any] | None:
        """Return a callback that was set by hand, if it is suitable."""
        return plain(callback, "_message_received_callback")

    @property
    def _was_message_received(self) -> bool:
        return self._inbox.active

    @_was_message_received.setter
    def _was_message_received(self, received: bool) -> None:
        self._inbox.active = received

    async def _run_callbacks(self) -> None:
        """Pass messages that have arrived to the callback, unless somebody is already doing so."""
        if self._callbacks:
            return
        call = Call(Kind.STEP)
        self._callbacks.take(call)
        pending: list[Message] = []
        try:
            while not self._shutdown and move_one(self._inbox.arrived, pending):
                await self._call_back(pending)
        except BaseException:
            self._inbox.arrived.extendleft(pending)
            raise
        finally:
            self._callbacks.leave()

    async def _call_back(self, pending: list[Message]) -> None:
        """Pass a message to the client's callback.

        Args:
            pending: contains just the message; empty once it was handled, or is somewhere else.
        """
        (message,) = pending
        callback, receiver = self._message_received_callback, self._message_receiver
        if receiver is not None and receiver._error is not None and not message.settled:
            pending.clear()  # it went with the link: the peer delivers it again
        elif callback is None:
            self._received_messages.take_over(pending)
        elif not await self._called(callback, pending):
            return
        elif not self._streaming_receive:
            self._received_messages.take_over(pending)
        else:
            pending.clear()
            if self._auto_complete:
                complete(message)
            if not message.settled:
                _logger.info("Message %r of %s was not settled.", message.delivery_no, self._remote_address)
            self._taken(message)

    async def _called(self, callback: Callable[[Message], Any], pending: list[Message]) -> bool:
        """Call a callback with a message, and return whether the callback returned. If not, the message is finished.

        Args:
            pending: contains just the message; empty once it is finished.
        """
        (message,) = pending
        try:
            result = callback(message)
            if result is not None:
                await self._finish(result)
        except BaseException as error:
            receiver = self._message_receiver
            if receiver is None:
                raise
            receiver._callback_failed(message, error)
            pending.clear()
            self._taken(message)
            return False
        return True

    async def _finish(self, result: object) -> None:
        """Handle the result of a callback."""
        refuse_unfinished(result, _CALLBACK)

    def _taken(self, message: Message) -> None:
        """Record that a message leaves the client, so that the peer may send another in its place."""
        connection = self._connection
        if connection is not None:
            connection._driver.steps.settling(self._received_messages.leave, message)

    @staticmethod
    def _complete_message(message: Message) -> None:
        """Accept a message unless it was settled otherwise."""
        if not message.settled:
            message.accept()

    # -- calls

    def _pull(self) -> Call:
        """Begin a call that takes messages as they arrive.

        Raises:
            Busy: a callback gets all messages.
        """
        call = self._calls.begin(Kind.PULL)
        inbox = self._inbox
        if inbox.streaming and inbox.callback is not None and self._streaming_by_hand:
            self._leave(call)
            raise Busy("The messages of this client go to a callback, and to nobody else: _streaming_receive is set.")
        if inbox.callback is not None or inbox.arrived:
            self._end_stream()
        receiver = self._message_receiver
        if receiver is not None and not receiver._is_reading:
            receiver._read()
        return call

    def _check_pull(self) -> None:
        """Refuse a call that would take messages as they arrive if it may not begin.

        Raises:
            Busy: a callback gets all messages.
        """
        if self._inbox.streaming:
            self._leave(self._pull())

    def _end_stream(self) -> None:
        """Stop passing messages to a callback; those that it hasn't received are for the next call."""
        inbox = self._inbox
        inbox.streaming = self._streaming_by_hand = False
        inbox.callback = None
        self._received_messages.move_back(inbox.arrived)

    def _leave(self, call: Call) -> None:
        """End a call. After the last one, the peer isn't asked for more messages."""
        if self._calls.end(call):
            receiver = self._message_receiver
            if receiver is not None:
                receiver._pause(self._calls)

    async def _do_work(self) -> bool:
        try:
            return await super()._do_work()
        except errors.AMQPConnectionError:
            if not await self._call_with_rest():
                raise
            return True

    async def _call_with_rest(self) -> bool:
        """Pass to the callback, after the link's end, what won't be redelivered; return whether there was any."""
        if not self._inbox.arrived or not self._drop_stale():
            return False
        await self._run_callbacks()
        return True

    async def _do_step(self, timeout: float) -> bool:
        call = self._calls.begin(Kind.STEP)
        try:
            return await self._receive_step(timeout)
        finally:
            self._leave(call)

    async def _receive_step(self, timeout: float | None) -> bool:
        """Wait for messages, up to `timeout` seconds if given; return False if the time without any is over."""
        receiver = self._message_receiver
        if receiver is not None and not receiver._is_reading:
            receiver._read()
        if self._inbox.arrived and not self._callbacks:
            timeout = 0
        remaining = self._inactivity_left()
        if remaining is not None:
            timeout = remaining / 1000 if timeout is None else min(timeout, remaining / 1000)
        try:
            await self._turn(timeout)
        except errors.AMQPConnectionError:
            if not self._drop_stale():
                raise
        if self._inbox.arrived:
            await self._run_callbacks()
        receiver = self._message_receiver
        if receiver is not None and not self._inbox.arrived and self._received_messages.empty():
            receiver.get_state()  # raises the error that has ended the link
        return not self._is_timed_out()

    async def _look_at_link(self) -> None:
        """Check that the link is still there, before the client hands out messages that it holds.

        A client with many messages might not read for a long time. If the link is gone, the peer redelivers them.

        Raises:
            AMQPConnectionError, LinkDetach: the link is gone, and the client holds only messages to be redelivered.
        """
        receiver, connection = self._message_receiver, self._connection
        if receiver is None or connection is None:
            return
        driver = connection._driver
        if connection._error is None and receiver._error is None and driver.remaining(self._look_due) > 0:
            return
        self._look_due = driver.deadline(_LOOK_INTERVAL)
        try:
            await self._turn(0.0)
            receiver.get_state()
        except errors.AMQPConnectionError:
            if not self._drop_stale():
                raise

    def _drop_stale(self) -> bool:
        """Drop what the peer will redeliver after the connection's end, and return whether anything is left.

        The peer no longer has messages that it sent settled: they are handed out first, and the next call raises the
        error.
        """
        self._inbox.arrived = deque(message for message in self._inbox.arrived if message.settled)
        kept = self._received_messages.drop_stale()
        return bool(self._inbox.arrived or kept)

    def _inactivity_left(self) -> float | None:
        """Return the milliseconds until receiving ends without a message; None if it doesn't."""
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
        _logger.info("No message from %s within %s ms: receiving ends.", self._remote_address, self._timeout)
        self._timeout_reached = True
        if len(self._calls) <= 1:  # other calls end at the same time
            self._last_activity_timestamp = None
        if self._shutdown_after_timeout:
            self._shutdown = True
        return True

    async def _do_close(self, detach: bool | None = None) -> None:
        """Close the client.

        Messages that it holds, and that nobody has seen, are released to the peer. The latest message of an iteration
        is given back as a failed delivery unless it was settled.
        """
        connection = self._connection
        for iteration in tuple(self._iterations):
            iteration.leave()
        if connection is not None and connection._driver.foreign:
            self._forget_inherited()
        unfinished, self._unfinished = self._unfinished, []
        messages = self._received_messages
        messages.move_back(self._inbox.arrived)
        if connection is not None and connection._error is None:

            def release() -> list[Any]:
                for message in unfinished:
                    self._give_back(message)
                return messages.release_all()

            kept = connection._driver.call_out(release)
        else:
            kept = messages.drop_stale()
        if kept and connection is not None:
            _logger.warning(
                "Client %r of %s is closed with %d messages that arrived settled (ReceiveAndDelete): the peer has "
                "forgotten them. They are lost, unless the client is opened again: it hands them out first then.",
                self._name,
                self._remote_address,
                len(kept),
            )
        await super()._do_close(detach)

    def _owes_outcomes(self) -> bool:
        receiver = self._message_receiver
        link = receiver._core.endpoint if receiver is not None else None
        if link is None:
            return False
        undecided = sum(delivery.state is None for delivery in link.session.unsettled.incoming.values())
        return undecided > len(self._inbox.arrived) + self._received_messages.qsize()

    def _forget_inherited(self) -> None:
        self._received_messages.take_all()
        self._inbox.arrived.clear()
        self._unfinished.clear()

    def _forget_threads(self) -> None:
        super()._forget_threads()
        self._calls = ReceivingCalls(of_tasks=self._is_of_tasks)
        self._callbacks.leave()
        if self._inbox.streaming and not self._streaming_by_hand:
            self._end_stream()
        for iteration in tuple(self._iterations):
            iteration.forget_threads()

    @staticmethod
    def _give_back(message: Message) -> None:
        """Give a message back as a failed delivery, so that a broker notices if that happens each time."""
        try:
            if not message.settled:
                message.modify(True, False)
        except RuntimeError as error:
            _logger.info("%s", error)  # its link is gone, so the peer still has it

    # -- receiving

    def receive_message_batch(
        self,
        max_batch_size: int | None = None,
        on_message_received: Callable[[Message], Any] | None = None,
        timeout: float = 0,
    ) -> list[Message]:
        """Wait for messages, and return those that are available as soon as there are any.

        With `auto_complete`, the messages are accepted when they are returned: turn it off to accept each when you have
        processed it.

        Args:
            max_batch_size: maximum number of messages; None for the prefetch.
            on_message_received: called with each message before it is returned.
            timeout: milliseconds to wait; 0 for the client's `timeout`.

        Raises:
            ValueError: `max_batch_size` is larger than the client's `prefetch`.
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: `receive_messages` is under way on this client.
            TypeError: `on_message_received` isn't a plain function.
        """
        callback = plain(on_message_received, _CALLBACK)
        batch = Batch()
        try:
            return run(self._do_receive_message_batch(max_batch_size, callback, timeout, batch))
        except BaseException:
            self._put_back(batch)
            raise

    async def _do_receive_message_batch(
        self,
        max_batch_size: int | None,
        on_message_received: Callable[[Message], Any] | None,
        timeout: float,
        batch: Batch,
    ) -> list[Message]:
        """Do what `receive_message_batch` does. `batch` holds the result even if an interrupt prevents its return."""
        size = integer(max_batch_size or self._prefetch, "max_batch_size", 1, MAX_CREDIT)
        if size > self._prefetch:
            raise ValueError(
                f"Maximum batch size cannot be greater than the connection link credit: {self._prefetch}. "
                "The client's prefetch= sets that."
            )
        limit = number(timeout or 0, "timeout", "milliseconds")
        call = self._pull()
        try:
            await self._do_open()
            deadline = self._driver.deadline(limit / 1000 if limit > 0 else None)
            await self._receive_batch(size, on_message_received, deadline, batch)
            return batch
        finally:
            self._leave(call)

    async def _receive_batch(
        self, size: int, callback: Callable[[Message], Any] | None, deadline: float | None, batch: Batch
    ) -> None:
        while True:
            receiving, ended = True, None
            try:
                receiving = (
                    not self._shutdown and await self._wait_ready(deadline) and await self._gather(size, deadline)
                )
            except errors.AMQPConnectionError as error:
                self._drop_stale()
                ended = error
            called = MessageQueue() if callback is not None else None
            try:
                if callback is not None and called is not None:
                    await self._call_with(size, callback, called)
                # This comes last: handing messages out settles them, so an interrupted call must not lose them.
                self._take(size, batch, called)
            except BaseException:
                if called is not None:
                    self._received_messages.put_back(*called.take_all())
                raise
            if batch and ended is not None:
                _logger.info("The link to %s has ended; what had arrived is handed out first.", self._remote_address)
            elif ended is not None:
                raise ended
            if batch or not receiving:
                return  # otherwise, another call was faster

    async def _call_with(self, size: int, callback: Callable[[Message], Any], called: MessageQueue) -> None:
        """Call a callback with messages that have arrived, and add them to `called` when it returns."""
        receiver, messages = self._message_receiver, self._received_messages
        pending: list[Message] = []
        try:
            while called.qsize() < size and messages.move_one(pending):
                message = pending[0]
                if receiver is not None and receiver._error is not None and not message.settled:
                    pending.clear()  # it went with the link: the peer delivers it again
                elif await self._called(callback, pending):
                    called.take_over(pending)
        except BaseException:
            messages.put_back(*pending)
            raise
        if receiver is not None and called.empty():
            receiver.get_state()  # raises the error if the callback has ended the link

    async def _gather(self, size: int, deadline: float | None) -> bool:
        """Receive until there are messages, and then while more arrive at once; return False if the time is over."""
        messages = self._received_messages
        receiving = True
        if not messages.empty():
            await self._look_at_link()
        while receiving and (held := messages.qsize()) < size and not self._shutdown:
            # Take the messages that are there, and wait only if there are none.
            wait = 0.0 if held else self._driver.remaining(deadline)
            if wait is not None and wait <= 0 and not held:
                return False
            receiving = await self._receive_step(wait)
            if held and messages.qsize() <= held:
                break
        return receiving

    def _take(self, count: int, batch: Batch, queue: MessageQueue | None = None) -> None:
        """Hand out messages that have arrived, or those in a call's own queue."""
        queue = self._received_messages if queue is None else queue
        connection = self._connection
        if queue.empty() or connection is None:
            return
        driver = connection._driver

        def hand_out(now: float) -> None:
            batch.sends = driver.sends
            queue.hand_out(count, self._auto_complete, batch)

        driver.change("handing messages out", hand_out)
        if queue.qsize() <= len(batch):
            driver.flush_now()  # lets the peer send more while the application works
        else:
            driver.flush_soon()  # the next call follows soon, and hands out the rest

    def _put_back(self, batch: Batch) -> None:
        """Keep the messages of an interrupted call, which nobody received, for the next call."""
        connection = self._connection
        if not batch or connection is None:
            return
        driver = connection._driver

        def put_back(now: float) -> None:
            if driver.is_given_up and driver.sends == batch.sends:
                batch.forget_accepted()
            self._received_messages.take_back(batch)

        driver.change("putting messages back", put_back)

    def receive_messages(self, on_message_received: Callable[[Message], Any]) -> None:
        """Call `on_message_received` with each message until the timeout, `close` or an error.

        Args:
            on_message_received: a plain function. If it is false, then, as in 1.6, `auto_complete` accepts the messages
                without anybody seeing them.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: another call of this client is receiving.
            TypeError: `on_message_received` is something else.
        """
        run(self._do_receive_messages(plain(on_message_received, _CALLBACK)))

    async def _do_receive_messages(self, on_message_received: Callable[[Message], Any] | None) -> None:
        call = self._calls.begin(Kind.STREAM)
        inbox = self._inbox
        try:
            inbox.streaming = True
            inbox.callback = on_message_received or _nothing
            self._received_messages.move_to(inbox.arrived)  # messages left over from an earlier batch
            await self._do_open()
            try:
                receiving = await self._wait_ready()
            except errors.AMQPConnectionError:
                await self._call_with_rest()
                raise
            while receiving and not self._shutdown:
                receiving = await self._receive_step(None)
        finally:
            self._end_stream()
            self._leave(call)
            if self._shutdown_after_timeout or self._shutdown:
                await self._do_close()

    def receive_messages_iter(
        self, on_message_received: Callable[[Message], Any] | None = None
    ) -> Generator[Message, None, None]:
        """Iterate over messages until the timeout or `close`.

        A message is accepted when the next one is requested, if `auto_complete` is on and it wasn't settled otherwise.
        If the loop's body raises or breaks, its message isn't: accept it before the `break`. When the client is closed,
        that message is given back as a failed delivery; the generator's end closes the client, unless
        `shutdown_after_timeout` is off.

        Args:
            on_message_received: called with each message before it is handed out.

        Raises:
            AMQPConnectionError, LinkDetach: the connection or the link has failed.
            RuntimeError: `receive_messages` is under way on this client.
            TypeError: `on_message_received` isn't a plain function.
        """
        return self._message_generator(plain(on_message_received, _CALLBACK))

    def _message_generator(
        self, on_message_received: Callable[[Message], Any] | None
    ) -> Generator[Message, None, None]:
        iteration = self._start_iteration(on_message_received)
        try:
            while (message := run(iteration.next())) is not None:
                iteration.handed_out = True
                yield message
        except Busy:
            iteration.leave()
            raise
        finally:
            run(iteration.end())

    def _start_iteration(
        self, on_message_received: Callable[[Message], Any] | None, auto_complete: bool | None = None
    ) -> MessageIteration:
        """Begin an iteration."""
        iteration = MessageIteration(
            self, self._auto_complete if auto_complete is None else auto_complete, on_message_received
        )
        self._iterations.add(iteration)
        self._timeout_reached = False
        return iteration

    async def _message_waits(self) -> bool:
        """Wait for a message to hand out; return False when receiving is over."""
        messages = self._received_messages
        call = self._pull()
        try:
            while messages.empty():
                if self._shutdown or not await self._wait_ready():
                    return not messages.empty()
                if messages.empty() and not await self._receive_step(None):
                    return not messages.empty()
            return True  # there is one, unless another call was faster
        finally:
            self._leave(call)

    def _on_left(self, iteration: MessageIteration, message: Message | None) -> None:
        """End an iteration. Its latest message, unless settled, is given back when the client is closed."""
        self._iterations.discard(iteration)
        if message is not None and not message.settled and self._connection is not None:
            self._unfinished = [*(other for other in self._unfinished if not other.settled), message]

    def _complete_or_raise(self, message: Message) -> None:
        try:
            self._complete_message(message)
        except RuntimeError:
            receiver = self._message_receiver
            if receiver is not None:
                receiver.get_state()  # raises the reason for the link's end, which says more
            raise

    def redirect(self, redirect: Any, auth: AMQPAuth) -> None:
        """Follow a redirect from the peer.

        Raises:
            ValueError: the connection is shared.
        """
        run(self._do_redirect(redirect, auth))

    async def _do_redirect(self, redirect: Any, auth: AMQPAuth) -> None:
        await super()._do_redirect(redirect, auth)
        node = getattr(redirect, "address", None)
        if node:  # a redirect of the connection doesn't change the node
            self._remote_address = address.Source(node, encoding=self._encoding)
        self._shutdown = False
        self._last_activity_timestamp = None
        self._was_message_received = False
        self._drop_stale()  # messages that arrived settled are still handed out
