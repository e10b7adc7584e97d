"""`Delivery`: a message on its way out, whose outcome can be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

from ..codec import Accepted, Modified, Rejected, Released
from ..transport.drive import run
from . import checks
from .errors import NotSent, OperationTimeout, OutcomeUnknown, UsageError

if TYPE_CHECKING:
    from ..core import Entry
    from .errors import SendError
    from .many import Many
    from .message import Message
    from .outbox import SendQueue
    from .unseen import Unseen

Outcome: TypeAlias = "Accepted | Rejected | Released | Modified"


class Delivery:
    """A message that a sender has taken in. Await it, or call `wait`, for its outcome.

    It is done once: accepted, or for an error. It stays so if an outcome comes after it has timed out; that is in
    `outcome` then.

    Attributes:
        message: the message.
        done: whether it is decided what became of it.
        outcome: the receiver's last word: `Accepted`, `Rejected`, `Released` or `Modified`; None as long as there is
            none, and for a presettled message.
    """

    __slots__ = (
        "_callbacks",
        "_entry",
        "_error",
        "_many",
        "_number",
        "_payload",
        "_queue",
        "_unseen",
        "_waiters",
        "done",
        "message",
        "outcome",
    )

    message: Message
    done: bool
    outcome: Outcome | None
    _error: SendError | None
    _unseen: Unseen | None  # once it has failed, until somebody looks at that
    _queue: SendQueue
    _payload: bytes | None
    _entry: Entry | None
    _many: Many | None  # the messages that it was sent with
    _number: int  # among these
    _waiters: list[Any] | None  # to be woken when it is done
    _callbacks: list[Callable[[Delivery], None]] | None

    def __init__(self) -> None:
        """Leave everything unset: a sender makes deliveries, by `new_delivery`."""

    @property
    def error(self) -> SendError | None:
        """Why it isn't accepted; None if it is, or isn't done."""
        self._see()
        error = self._error
        if error is not None and error.delivery is None:
            error.delivery = self  # not before: a delivery that nobody looks at goes without the garbage collector
        return error

    def _see(self) -> None:
        """Note that somebody looks at what became of it."""
        unseen = self._unseen
        if unseen is not None:
            unseen.failures = self._unseen = None

    @property
    def tag(self) -> bytes | None:
        """The delivery-tag (section 2.6.12); None as long as the link doesn't have the message, and once it is done."""
        entry = self._entry
        return None if entry is None or entry.delivery is None else entry.delivery.tag

    @property
    def sent(self) -> bool:
        """Whether all of it has been handed to the connection, so that it may arrive."""
        entry = self._entry
        if self.done:
            return not isinstance(self._error, NotSent)
        return entry is not None and entry.delivery is not None and entry.delivery.sent

    def __await__(self) -> Generator[Any, None, Accepted | None]:
        """Wait for the outcome.

        Returns:
            `Accepted`; None for a presettled message.

        Raises:
            SendError: it wasn't accepted, or nobody knows.
            UsageError: the sender is a blocking one: call `wait`.
        """
        if not self.done:
            if not self._queue.steps.has_loop:
                raise UsageError("no event loop drives the connection: call wait() instead of awaiting the delivery")
            future = self._sleep()
            try:
                if not self.done:
                    yield from future.__await__()
            finally:
                self._woken(future)
        return self._result()

    def _sleep(self) -> Awaitable[None]:
        """Return a future that is set once it is done; `_woken` follows."""
        future = self._queue.steps.begin_sleep()
        self._add_waiter(future)
        return future

    def _woken(self, future: Awaitable[None]) -> None:
        self._queue.steps.end_sleep()
        if not self.done:
            self._drop_waiter(future)

    def _add_waiter(self, waiter: Any) -> None:
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)

    def _drop_waiter(self, waiter: Any) -> None:
        waiters = self._waiters
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)

    def wait(self, timeout: float | None = None) -> Accepted | None:
        """Wait for the outcome, as awaiting it does with asyncio.

        Args:
            timeout: seconds to wait; None for as long as it takes. The message isn't affected when they are over.

        Returns:
            `Accepted`; None for a presettled message.

        Raises:
            SendError: it wasn't accepted, or nobody knows.
            OperationTimeout: it isn't known within `timeout` seconds.
            UsageError: an event loop drives the connection: await it.
        """
        seconds = checks.optional_seconds("timeout", timeout)
        if not self.done:
            if self._queue.driver.has_loop:
                raise UsageError("an event loop drives the connection: await the delivery instead of calling wait()")
            is_done = run(self._queue.wait_for(self, seconds))
            if not is_done and seconds is not None and self._queue.ended is None:
                raise OperationTimeout(f"the outcome of the message isn't known after {seconds:g} seconds")
        return self._result()

    def _result(self) -> Accepted | None:
        if self._error is not None:
            raise self.error or self._error
        if not self.done:
            raise OutcomeUnknown("the connection has ended, and nobody said what became of the message")
        found: Any = self.outcome
        accepted: Accepted | None = found
        return accepted

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """Call a function with the delivery once it is done; at once if it is.

        It is called in the event loop, or in the thread that drives the connection; what it raises is logged.
        """
        if not callable(callback):
            raise checks.wrong_type("callback", callback, "a function")
        self._see()
        self._queue.call_when_done(self, callback)

    def cancel(self) -> bool:
        """Take the message back if nothing of it is on the wire; it is done for `SendCancelled` then.

        Returns:
            Whether it was taken back. False as well if it is done.
        """
        return self._queue.cancel(self)

    def __repr__(self) -> str:
        try:
            if not self.done:
                state = "sent" if self.sent else "waiting"
            else:
                state = repr(self.outcome) if self._error is None else type(self._error).__name__
            return f"<Delivery {state}: {self.message!r}>"
        except AttributeError:  # it is being made
            return "<Delivery>"


def new_delivery(queue: SendQueue, message: Message, payload: bytes) -> Delivery:
    """Return the delivery of a message that a queue takes in."""
    delivery = Delivery.__new__(Delivery)  # without a constructor's calls
    delivery.message = message
    delivery.done = False
    delivery.outcome = delivery._error = delivery._unseen = delivery._entry = delivery._many = None
    delivery._queue = queue
    delivery._payload = payload
    delivery._number = 0
    delivery._waiters = delivery._callbacks = None
    return delivery
