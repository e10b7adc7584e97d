"""`ReceiverBase`: what a receiver of either face is; its operations are coroutines over the connection's driver."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..codec import ACCEPTED, RELEASED, Target
from ..core import LinkSettings, ReceiverCore, SessionCore
from ..core import LinkState as State
from ..engine import Receiver
from ..engine.limits import MAX_CREDIT
from ..engine.terms import MODE_FIRST, MODE_SECOND, MODE_UNSETTLED
from . import checks, filters, stats
from .errors import AMQPError, ClosedError, FilterRefused, LinkRefused, OperationTimeout, UsageError
from .inbox import ReceiveQueue
from .link import LinkBase, Owner
from .message import Message
from .options import DEFAULT, Default, ReceiverSettings
from .outcomes import modified, rejected
from .process import ProcessScope
from .settlement import Settlement
from .stats import ReceiverStats, SenderStats
from .termini import RemoteTerminus, missing_filters, source_terminus

if TYPE_CHECKING:
    from .connection import ConnectionBase

_logger = logging.getLogger("uamqp.receiver")

UNANSWERED = 0.5
"""Seconds to wait for what is under way when credit is taken back, where the peer doesn't tell, or not in time."""


class ReceiverBase(LinkBase):
    """A receiver, without the operations that differ between the faces in whether they are awaited."""

    _core: ReceiverCore

    def __init__(self, connection: ConnectionBase, session: SessionCore, settings: ReceiverSettings) -> None:
        super().__init__(connection, session)
        self._settings = settings
        self._queue = ReceiveQueue(self._driver, settings, self)
        link = LinkSettings(
            settings.name or f"receiver-{uuid.uuid4()}",
            source_terminus(settings.source),
            Target(),
            snd_settle_mode=MODE_UNSETTLED,
            rcv_settle_mode=MODE_SECOND if settings.confirm else MODE_FIRST,
            max_message_size=settings.max_message_size or 0,
            properties=dict(settings.properties) or None,
            desired_capabilities=settings.desired_capabilities,
        )
        self._core = ReceiverCore(session, link, Owner(self), at_most_once=settings.presettled)
        self._queue.serve(self._core)

    # -- what everybody may see

    @property
    def address(self) -> str | None:
        """Where the messages come from; None for a node of the peer's making until it is open."""
        if not self._settings.source.dynamic:
            return self._settings.source.address
        remote = self.remote
        return None if remote is None or remote.source is None else remote.source.address

    @property
    def credit(self) -> int:
        """How many more messages the peer may send now."""
        link = self._core.endpoint
        return link.credit if isinstance(link, Receiver) and self._core.state is State.OPEN else 0

    @property
    def buffered(self) -> int:
        """How many messages have come and weren't handed out."""
        return len(self._queue)

    @property
    def unsettled(self) -> int:
        """How many messages were handed out and aren't settled."""
        return self._queue.out

    @property
    def _what(self) -> str:
        if self.address is None:
            return "the receiver from a node of the peer's making"
        return f"the receiver from {self.address!r}"

    def stats(self) -> ReceiverStats:
        """Return its counters, as they stand."""
        return self._driver.change("counting", lambda now: self._queue.stats())

    # -- opening

    async def _open(self) -> None:
        await self._attach()
        remote = self.remote
        source = None if remote is None else remote.source
        self._check_granted(source)
        self._check_filters(source)
        self._queue.modifies = source is None or source.modifies
        if self._settings.credit == "auto" and self._settings.prefetch:  # not before all is as it was asked for
            self._driver.command("giving credit", lambda now: self._core.begin(self._settings.prefetch))

    def _check_granted(self, source: RemoteTerminus | None) -> None:
        """Fail if the peer doesn't grant what would otherwise silently be something else."""
        if self._settings.confirm and self._core.endpoint is not None:
            if self._core.endpoint.rcv_settle_mode != MODE_SECOND:
                raise LinkRefused(f"the peer confirms no settlements of {self._what}: leave confirm=True out")
        if self._settings.source.browse:
            is_granted = source is not None and source.browse and self._connection._core.abilities.browses
            if not is_granted:
                raise LinkRefused(f"the peer doesn't browse: {self._what} would take messages, not get copies")
        if self._settings.source.durable and (source is None or not (source.durable or source.expiry == "never")):
            raise LinkRefused(f"the peer keeps nothing for {self._what} while it isn't there: it has no durable source")

    def _check_filters(self, source: RemoteTerminus | None) -> None:
        """Fail if the peer doesn't apply a filter that it was asked for (section 3.5.8)."""
        asked = self._settings.source.filters
        missing = missing_filters(asked, source)
        if not self._connection._core.abilities.selects:
            missing = tuple(each for each in asked if each in missing or each.descriptor == filters.SELECTOR)
        if not missing:
            return
        names = ", ".join(repr(each.name) for each in missing)
        text = f"the peer doesn't apply the filter {names} of {self._what}"
        if self._settings.filters_required:
            raise FilterRefused(text, is_temporary=False, hint="With filters_required=False that is only a warning.")
        _logger.warning("%s.", text.capitalize())

    def _end(self, error: AMQPError, now: float) -> None:
        self._queue.end(error)

    def _add_to(self, sent: SenderStats, received: ReceiverStats) -> None:
        stats.add(received, self._queue.stats())

    # -- receiving

    def _take(self, count: int, found: list[Message], *, was_asked: bool) -> None:
        """Add up to `count` messages to a list; an exception leaves there what was taken."""
        self._driver.command("handing messages out", lambda now: self._queue.hand_out(count, found, was_asked))

    def _put_back(self, messages: list[Message]) -> None:
        if messages:
            self._driver.command("taking messages back", lambda now: self._queue.put_back(messages))

    def receive_nowait(self) -> Message | None:
        """Return a message that is here already, or None.

        Raises:
            UsageError: with `settle="on_next"`, only iterations receive.
            ClosedError, LinkFailure, ConnectionFailure: the receiver is closed, or has failed.
        """
        self._refuse_on_next()
        queue = self._queue
        accept = self._settings.settle == "on_receive"
        message = queue.take_now(accept)
        if message is None and queue.ended is None:
            self._driver.read_now()
            message = queue.take_now(accept)
        if message is None and queue.ended is not None:
            raise queue.ended
        return message

    def _refuse_on_next(self) -> None:
        if self._settings.settle == "on_next":
            raise UsageError(
                "settle='on_next' is for iterations, which tell when the next message is asked for: iterate over the "
                "receiver or its batches(), or accept messages yourself"
            )

    async def _receive(self, timeout: float | Default | None) -> Message:
        self._refuse_on_next()
        return await self._receive_one(timeout)

    async def _receive_one(self, timeout: float | Default | None) -> Message:
        self._driver.steps.check_caller()
        seconds = None if timeout is DEFAULT else checks.optional_seconds("timeout", timeout)
        deadline = self._driver.deadline(seconds)
        message = self._queue.take_now(self._settings.settle == "on_receive")
        if message is not None:
            return message
        found = await self._wait_for_messages(1, 1, seconds)
        if not found and self._queue.ended is not None:  # what had come comes again
            raise self._queue.ended
        if not found:
            raise self._in_vain(deadline, OperationTimeout(f"no message came within {seconds} seconds"))
        return found[0]

    async def _receive_many(self, maximum: int, minimum: int, timeout: float | Default | None) -> list[Message]:
        self._refuse_on_next()
        return await self._receive_batch(maximum, minimum, timeout)

    async def _receive_batch(self, maximum: int, minimum: int, timeout: float | Default | None) -> list[Message]:
        self._driver.steps.check_caller()
        checks.integer("maximum", maximum, 1, MAX_CREDIT)
        checks.integer("minimum", minimum, 1, maximum)
        limit = self._settings.max_unsettled
        if limit is not None and minimum > limit:
            raise UsageError(f"minimum={minimum} messages never come with max_unsettled={limit}")
        seconds = None if timeout is DEFAULT else checks.optional_seconds("timeout", timeout)
        return await self._wait_for_messages(maximum, minimum, seconds)

    async def _wait_for_messages(self, maximum: int, minimum: int, seconds: float | None) -> list[Message]:
        found: list[Message] = []
        try:
            if self._pulls:
                await self._pull(maximum, minimum, seconds, found)
            else:
                await self._wait_for(maximum, minimum, seconds, found)
            if self._settings.settle == "on_receive" and found:
                self._driver.command("accepting messages", lambda now: self._queue.accept_all(found))
        except BaseException:
            self._put_back(found)
            raise
        return found

    async def _pull(self, maximum: int, minimum: int, seconds: float | None, found: list[Message]) -> None:
        """Ask for messages, and wait for them."""
        driver, queue = self._driver, self._queue
        driver.command("asking for messages", lambda now: queue.want(maximum))
        try:
            await self._wait_for(maximum, minimum, seconds, found)
        finally:
            driver.command("asking for no more", lambda now: queue.want(len(found) - maximum))
        if len(found) < maximum and queue.ended is None:
            await self._wait_for_drain()
            self._take(maximum - len(found), found, was_asked=False)  # what came before the peer knew

    @property
    def _pulls(self) -> bool:
        """Whether messages are asked for only while somebody waits for them."""
        return self._queue.pulls

    async def _wait_for_drain(self) -> None:
        """Wait for what is still under way, if anything, but not for long: the next call gets what comes later."""
        queue = self._queue
        is_over = await self._driver.wait(
            queue.drained, lambda: not queue.draining or queue.ended is not None, self._driver.deadline(UNANSWERED)
        )
        if not is_over:
            self._driver.command("draining no more", lambda now: queue.give_up_drain())

    async def _wait_for(self, maximum: int, minimum: int, seconds: float | None, found: list[Message]) -> None:
        """Wait for messages, and add them to a list."""
        driver, queue = self._driver, self._queue
        deadline = driver.deadline(seconds)
        while True:
            self._take(maximum - len(found), found, was_asked=self._pulls)
            if len(found) >= minimum:
                return
            if queue.ended is not None:
                if found:
                    return
                raise queue.ended
            is_there = await driver.wait(queue.arrived, lambda: queue.has_some or queue.ended is not None, deadline)
            if not is_there and queue.ended is None:
                if driver.remaining(deadline) != 0:  # the connection has ended, and the link isn't told yet
                    raise self._connection._error or ClosedError("the connection is closed")
                minimum = 0  # what has come meanwhile is taken all the same

    # -- credit

    def add_credit(self, count: int) -> None:
        """Ask for so many more messages (`credit="manual"`).

        Args:
            count: how many more the peer may send.

        Raises:
            ConfigurationError: the number is out of range.
            UsageError: credit is given automatically.
            ClosedError, LinkFailure, ConnectionFailure: the receiver is closed, or has failed.
        """
        checks.integer("count", count, 1, MAX_CREDIT)
        if self._settings.credit != "manual":
            raise UsageError("credit is given automatically: open the receiver with credit='manual'")

        def give(now: float) -> None:
            link = self._core.receiver
            link.set_credit(min(link.credit + count, MAX_CREDIT))

        self._use("giving credit", give)

    def pause(self) -> None:
        """Ask for no more messages; what is under way still comes."""
        self._driver.command("pausing", lambda now: self._queue.pause(self._core))

    def resume(self) -> None:
        """Ask for messages again."""
        self._driver.command("resuming", lambda now: self._queue.resume(self._core))

    async def _drain(self, timeout: float | Default | None) -> None:
        self._driver.steps.check_caller()
        timeouts = self._connection._settings.timeouts
        seconds = timeouts.link if timeout is DEFAULT else checks.optional_seconds("timeout", timeout)
        driver, queue = self._driver, self._queue
        before = queue.drains

        def take_back(now: float) -> bool | None:
            if self._core.receiver.credit:
                return self._queue.take_credit_back(self._core)
            self._queue.pause(self._core)
            return None  # there is nothing to take back, and some brokers don't answer that

        is_answered = self._use("draining", take_back)
        if is_answered is None:
            return
        if not is_answered:
            await driver.wait(queue.drained, lambda: queue.ended is not None, driver.deadline(UNANSWERED))
            if queue.ended is not None:
                raise queue.ended
            return
        deadline = driver.deadline(seconds)
        is_over = await driver.wait(queue.drained, lambda: queue.drains > before or queue.ended is not None, deadline)
        if queue.ended is not None:
            raise queue.ended
        if not is_over:
            text = f"the peer hasn't given its credit back within {seconds} seconds"
            raise self._in_vain(deadline, OperationTimeout(text))

    # -- settling

    def process(self, message: Message, *, requeue: bool = True) -> ProcessScope:
        """Return a block that accepts a message at its end, or gives it back if it raises an exception.

        Args:
            message: a message of this receiver's.
            requeue: whether the message is given back after an error, counted as failed; otherwise it is rejected.

        Raises:
            TypeError: it is no message.
            UsageError: it wasn't received by this receiver.
        """
        self._queue.check_own(message)
        return ProcessScope(
            self._driver, message, requeue=checks.flag("requeue", requeue), modifies=self._queue.modifies
        )

    def accept(self, messages: Iterable[Message]) -> Settlement:
        """Settle many messages as processed, in ranges where they follow one another (section 3.4.2).

        Args:
            messages: messages of this receiver's. Those that are settled already stay as they are.

        Raises:
            UsageError: a message wasn't received by this receiver; none is settled then.
        """
        return self._queue.settle_all(messages, ACCEPTED)

    def release(self, messages: Iterable[Message]) -> Settlement:
        """Give many messages back as not processed (section 3.4.4); see `accept`."""
        return self._queue.settle_all(messages, RELEASED)

    def reject(
        self,
        messages: Iterable[Message],
        condition: str | None = None,
        description: str | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> Settlement:
        """Settle many messages as invalid (section 3.4.3); see `accept` and `Message.reject`."""
        return self._queue.settle_all(messages, rejected(condition, description, info))

    def modify(
        self,
        messages: Iterable[Message],
        *,
        delivery_failed: bool = False,
        undeliverable_here: bool = False,
        annotations: Mapping[str, Any] | None = None,
    ) -> Settlement:
        """Give many messages back with changes (section 3.4.5); see `accept` and `Message.modify`."""
        return self._queue.settle_all(messages, modified(delivery_failed, undeliverable_here, annotations))

    # -- closing

    def stop(self) -> None:
        """Receive no more: iterations end, and what wasn't handed out is given back.

        What was handed out can be settled until `close`. A signal handler may call it.
        """
        if not self._driver.defer(self._stop):  # a signal handler may call in the middle of another step
            self._stop()

    def _stop(self) -> None:
        self._end_credit()
        self._driver.command("stopping a receiver", lambda now: self._give_back("was stopped"))

    def _end_credit(self) -> None:
        """Take the credit back, and write that: what is given back afterwards mustn't come straight back."""
        self._driver.change("taking credit back", lambda now: self._queue.end_credit(self._core))
        self._driver.flush_now()

    def _give_back(self, what: str) -> None:
        self._queue.stop(ClosedError(f"{self._what} {what}"), self._connection._core.abilities.redelivers)

    async def _close(self, timeout: float | Default | None = DEFAULT, closed: bool | None = None) -> None:
        self._driver.steps.check_caller()
        seconds = self._close_seconds(timeout)
        self._end_credit()
        self._driver.command("detaching", lambda now: self._detach(now, closed))
        await self._wait_until_over(seconds)

    def _detach(self, now: float, closed: bool | None = None) -> None:
        is_closing = not self._settings.outlives_the_link if closed is None else closed
        self._give_back("was closed")
        self._core.close(now, closed=is_closing)


class IterationBase:
    """One iteration over a receiver's messages, or over batches of them.

    With `settle="on_next"`, what it has handed out is accepted when it is asked for more; so a message at which the
    loop ends by `break` or an exception isn't.

    Args:
        receiver: the receiver.
        maximum: how many messages a batch may have.
    """

    def __init__(self, receiver: ReceiverBase, maximum: int = 1) -> None:
        self._receiver = receiver
        self._maximum = checks.integer("maximum", maximum, 1, MAX_CREDIT)
        self._queue = receiver._queue
        self._is_on_next = receiver._settings.settle == "on_next"
        self._accepts = receiver._settings.settle == "on_receive"
        self._last: list[Message] = []

    def _accept_last(self) -> None:
        last, self._last = self._last, []
        if last:
            self._receiver.accept(last)

    async def _next_batch(self) -> list[Message]:
        """Wait for messages; none if the receiver was closed."""
        if self._is_on_next:
            self._accept_last()
        try:
            found = await self._receiver._receive_batch(self._maximum, 1, None)
        except ClosedError:
            return []
        if self._is_on_next:
            self._last = found
        return found

    def _take_now(self) -> Message | None:
        """Return a message that is here already, or None."""
        if not self._is_on_next:
            return self._queue.take_now(self._accepts)
        self._accept_last()
        message = self._queue.take_now(False)
        if message is not None:
            self._last = [message]
        return message

    async def _next_message(self) -> Message | None:
        """Wait for a message; None if the receiver was closed."""
        try:
            message = await self._receiver._receive_one(None)
        except ClosedError:
            return None
        if self._is_on_next:
            self._last = [message]
        return message
