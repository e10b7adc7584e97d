"""`SenderBase`: what a sender of either face is; its operations are coroutines over the connection's driver."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..codec import Source
from ..core import LinkSettings, SenderCore, SessionCore
from ..core import LinkState as State
from ..engine.limits import MAX_CREDIT
from ..engine.terms import MODE_MIXED, MODE_SETTLED, MODE_UNSETTLED
from ..transport.guard import is_handlers
from . import checks, stats
from .delivery import Delivery
from .errors import (
    AccessDenied,
    AMQPError,
    AnonymousRelayUnsupported,
    BufferFull,
    ClosedError,
    LinkFailure,
    OperationTimeout,
    SendManyFailed,
    SendTimeout,
    UsageError,
)
from .link import LinkBase, Owner
from .many import Many, OnFailure, SendReport
from .message import Message
from .options import DEFAULT, Default, SenderSettings
from .outbox import SendQueue
from .stats import ReceiverStats, SenderStats
from .termini import target_terminus

if TYPE_CHECKING:
    from .connection import ConnectionBase
    from .fields import Body

_MODES = {True: MODE_SETTLED, False: MODE_UNSETTLED, "mixed": MODE_MIXED}


class SenderBase(LinkBase):
    """A sender, without the operations that differ between the faces in whether they are awaited."""

    _core: SenderCore

    def __init__(self, connection: ConnectionBase, session: SessionCore, settings: SenderSettings) -> None:
        super().__init__(connection, session)
        self._settings = settings
        self._queue = SendQueue(self._driver, settings)
        mine = settings.send_timeout
        self._send_timeout = connection._settings.timeouts.send if mine is DEFAULT else mine
        link = LinkSettings(
            settings.name or f"sender-{uuid.uuid4()}",
            Source(),
            target_terminus(settings.target),
            snd_settle_mode=_MODES[settings.presettled],
            properties=dict(settings.properties) or None,
            desired_capabilities=settings.desired_capabilities,
        )
        self._core = SenderCore(session, link, Owner(self))

    # -- what everybody may see

    @property
    def address(self) -> str | None:
        """Where the messages go; None for the anonymous relay, and for a node of the peer's making until it is open."""
        if not self._settings.target.dynamic:
            return self._settings.target.address
        remote = self.remote
        return None if remote is None or remote.target is None else remote.target.address

    @property
    def credit(self) -> int:
        """How many messages the peer takes now."""
        return self._core.credit

    @property
    def pending(self) -> int:
        """How many messages are under way: those that wait to be sent, and those that wait for an outcome."""
        return self._queue.pending

    @property
    def max_message_size(self) -> int | None:
        """The largest message in bytes that the peer takes; None if it gives no limit."""
        return self._core.remote_max_message_size or None

    @property
    def _what(self) -> str:
        if self.address is None:
            return "the sender to " + (
                "the anonymous relay" if self._queue.is_anonymous else "a node of the peer's making"
            )
        return f"the sender to {self.address!r}"

    def stats(self) -> SenderStats:
        """Return its counters, as they stand."""
        return self._driver.change("counting", lambda now: self._queue.stats())

    # -- opening

    async def _open(self) -> None:
        try:
            await self._attach()
        except (LinkFailure, OperationTimeout) as error:
            if self._queue.is_anonymous and isinstance(error, LinkFailure) and not isinstance(error, AccessDenied):
                raise AnonymousRelayUnsupported(
                    "the peer has no anonymous relay: open a sender to an address",
                    condition=error.condition,
                    description=error.description,
                    info=error.info,
                    is_temporary=False,
                ) from error
            raise

        def begin(now: float) -> None:
            self._queue.product = self._connection._product
            self._queue.unseen.where = self._what
            self._queue.max_size = self._core.remote_max_message_size
            self._queue.begin_link(self._core, now)
            self._queue.drive(self._connection._core.timers, now)

        self._driver.command("beginning to send", begin)

    def _end(self, error: AMQPError, now: float) -> None:
        self._queue.end(error, now)

    def _add_to(self, sent: SenderStats, received: ReceiverStats) -> None:
        stats.add(sent, self._queue.stats())

    # -- sending

    def _seconds(self, timeout: float | Default | None) -> float | None:
        return self._send_timeout if timeout is DEFAULT else checks.optional_seconds("timeout", timeout)

    def _check_presettled(self, presettled: bool) -> None:
        """Check that a message may be sent settled where others aren't (section 2.8.2)."""
        if not checks.flag("presettled", presettled):
            return
        if self._settings.presettled == "mixed":
            attach = None if self._core.endpoint is None else self._core.endpoint.remote_attach
            if attach is None or attach.snd_settle_mode == MODE_MIXED:
                return
            raise UsageError("the peer takes no messages of both kinds: open a sender with presettled=True")
        raise UsageError("presettled=True for one message needs a sender with presettled='mixed'")

    def submit_nowait(
        self, message: Message | Body, *, timeout: float | Default | None = DEFAULT, presettled: bool = False
    ) -> Delivery:
        """Take a message in, and return its delivery; its outcome comes later.

        Args:
            message: the message, or its body.
            timeout: seconds until it must have its outcome; None for no limit. Default: the sender's `send_timeout`.
            presettled: whether this one is sent without asking for an outcome; for senders of `presettled="mixed"`.

        Raises:
            BufferFull: `max_pending` messages or `max_pending_bytes` are under way.
            EncodeError: the message has no encoding.
            MessageTooLarge: the peer doesn't take messages of this size.
            UsageError: the sender isn't one for both kinds of messages, or the peer isn't.
            ClosedError, LinkFailure, ConnectionFailure: the sender is closed, or has failed.
            WrongLoopError: another event loop than this one drives the connection, or this is another thread.
        """
        queue = self._queue
        queue.steps.check_caller()
        self._check_presettled(presettled)
        delivery = queue.submit(queue.checked(message), self._seconds(timeout), presettled)
        if delivery is None:
            raise BufferFull(
                f"{self.pending} messages with {self._queue.bytes} bytes are under way: wait for some of their outcomes"
            )
        queue.send_soon()
        return delivery

    async def _submit(
        self, message: Message | Body, timeout: float | Default | None, presettled: bool = False
    ) -> Delivery:
        if presettled is not False:
            self._check_presettled(presettled)
        seconds = self._seconds(timeout)
        delivery = self._queue.send_one(message, seconds, presettled)
        return delivery or await self._submit_later(message, seconds, presettled)

    async def _submit_later(self, given: Message | Body, seconds: float | None, presettled: bool) -> Delivery:
        driver, queue = self._driver, self._queue
        message = queue.checked(given)
        deadline = driver.deadline(seconds)
        while True:
            is_there = await self._has_room(deadline)
            delivery = queue.send_one(message, driver.remaining(deadline), presettled)
            if delivery is not None:
                return delivery
            if not is_there:
                raise self._in_vain(deadline, self._no_room(seconds))

    async def _send(self, message: Message | Body, timeout: float | Default | None) -> None:
        queue = self._queue
        seconds = self._send_timeout if timeout is DEFAULT else self._seconds(timeout)
        delivery = queue.send_one(message, seconds, False, True) or await self._submit_later(message, seconds, False)
        try:
            if not queue.steps.has_loop:
                await queue.wait_for(delivery, None)
            elif not delivery.done:
                future = delivery._sleep()
                try:
                    await future
                finally:
                    delivery._woken(future)
            delivery._result()
        except BaseException:
            if not delivery.done:
                delivery.cancel()
            raise

    async def _send_many(
        self,
        messages: Iterable[Message | Body] | AsyncIterable[Message | Body],
        window: int,
        timeout: float | Default | None,
        on_failure: OnFailure,
    ) -> SendReport:
        self._driver.steps.check_caller()
        window = min(checks.integer("window", window, 1, MAX_CREDIT), self._settings.max_pending)
        checks.choice("on_failure", on_failure, ("raise", "collect"))
        seconds = self._seconds(timeout)
        if isinstance(messages, (str, bytes, bytearray, memoryview, Message, Mapping)) or not isinstance(
            messages, (Iterable, AsyncIterable)
        ):
            raise checks.wrong_type("messages", messages, "an iterable of messages or bodies")
        many = Many(seconds)
        stops = on_failure == "raise"
        try:
            if isinstance(messages, AsyncIterable):
                await self._send_each(messages, many, window, stops=stops)
            else:
                await self._send_all(iter(messages), many, window, stops=stops)
            await self._wait_for_many(many, 0)
        except Exception as error:
            if is_handlers(error):  # which mustn't wait
                self._driver.command("taking messages back", lambda now: self._queue.take_back(many, now))
                raise
            queue = self._queue
            is_ours = error is queue.ended or error is queue.refusal or isinstance(error, SendTimeout)
            if not is_ours and queue.ended is None and queue.refusal is None:
                await self._send_staged(many)  # what the iterator gave before the error
            await self._wait_for_many(many, 0)  # what was taken in gets its outcome all the same
            if many.taken and (is_ours or not stops):
                raise self._many_failed(many, error) from error
            raise
        except BaseException:
            self._driver.command("taking messages back", lambda now: self._queue.take_back(many, now))
            raise
        if many.failures and stops:
            raise self._many_failed(many)
        return many.report()

    def _many_failed(self, many: Many, error: Exception | None = None) -> SendManyFailed:
        """Return the error for many messages, of which some were sent.

        Args:
            many: what became of them.
            error: why no more were taken in; None for the failure of one.
        """
        report = many.report()
        found = error or report.failures[0].error
        text = f"{report.accepted} of {report.taken} messages were accepted: {found}"
        return SendManyFailed(text, is_temporary=bool(getattr(found, "is_temporary", False)), report=report)

    async def _send_all(self, messages: Iterator[Message | Body], many: Many, window: int, *, stops: bool) -> None:
        """Send messages, and wait for room in the window, until there are no more, or one has failed."""
        while not (stops and many.failures):
            self._queue.submit_all(messages, many, window)
            if many.staged:
                await self._wait_for_room(many.timeout)
            elif many.is_complete:
                return
            else:
                await self._wait_for_many(many, window // 2, stops=stops)

    async def _send_each(
        self, messages: AsyncIterable[Message | Body], many: Many, window: int, *, stops: bool
    ) -> None:
        """Do what `_send_all` does, with messages that have to be waited for."""
        if not self._driver.has_loop:
            raise UsageError("an asynchronous iterable is for uamqp.aio: give an ordinary one")
        async for given in messages:
            self._queue.stage(given, many)
            await self._send_staged(many)
            if many.left >= window:
                await self._wait_for_many(many, window - 1, stops=stops)
            if stops and many.failures:
                return

    async def _send_staged(self, many: Many) -> None:
        """Take in what is staged, however long it takes until there is room for all."""
        self._queue.send_on(many)
        while many.staged:
            await self._wait_for_room(many.timeout)
            self._queue.send_on(many)

    async def _wait_for_room(self, seconds: float | None) -> None:
        deadline = self._driver.deadline(seconds)
        if not await self._has_room(deadline):
            self._queue.check_open()
            raise self._in_vain(deadline, self._no_room(seconds))

    def _no_room(self, seconds: float | None) -> SendTimeout:
        return SendTimeout(f"there was no room for the message for {seconds} seconds: {self.pending} wait")

    async def _has_room(self, deadline: float | None) -> bool:
        """Wait for room, or the end; return whether there is one of them."""
        queue = self._queue
        queue.crowd += 1
        try:
            return await self._driver.wait(
                queue.room, lambda: queue.has_room or queue.ended is not None or queue.refusal is not None, deadline
            )
        finally:
            queue.crowd -= 1

    async def _wait_for_many(self, many: Many, left: int, *, stops: bool = False) -> None:
        """Wait until no more than so many have no outcome, or one has failed if that stops them."""
        many.mark = left
        await self._driver.wait(many.signal, lambda: many.left <= left or (stops and bool(many.failures)))

    # -- closing

    async def _flush(self, timeout: float | Default | None) -> None:
        self._driver.steps.check_caller()
        seconds = self._close_seconds(timeout)
        deadline = self._driver.deadline(seconds)
        if not await self._flush_until(deadline) and self._queue.pending:
            text = f"{self.pending} messages have no outcome after {seconds} seconds"
            raise self._in_vain(deadline, OperationTimeout(text))

    async def _flush_until(self, deadline: float | None) -> bool:
        """Wait until nothing is pending, or for as long as there is time; return whether nothing is."""
        return await self._driver.wait(self._queue.idle, lambda: not self._queue.pending, deadline)

    def _refuse_more(self) -> None:
        """Take no more messages in. The lock is held."""
        self._queue.refusal = ClosedError(f"{self._what} is closed")
        self._queue.room.fire()

    async def _close(self, timeout: float | Default | None) -> None:
        self._driver.steps.check_caller()
        driver = self._driver
        deadline = driver.deadline(self._close_seconds(timeout))
        try:
            if self._core.state is State.OPEN:
                driver.change("closing a sender", lambda now: self._refuse_more())
                await self._flush_until(deadline)
        finally:
            driver.command("detaching", self._detach)
        await self._wait_until_over(driver.remaining(deadline))

    def _detach(self, now: float) -> None:
        self._core.close(now)
        self._queue.end(ClosedError(f"{self._what} was closed"), now)
