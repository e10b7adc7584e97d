"""The messages of a sending client, in 1.6's terms: states, results, exceptions, callbacks, waiting calls. No I/O.

`core.outgoing` sends them, and handles their outcomes. This module is separate from `SendClient`, so that it can be
compiled.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ...core import Entry, Outcome, OutcomeKind, SenderCore
from ...core.outbox import Group
from ...core.outgoing import Outgoing
from ...core.timers import Timers
from ...engine import MessageTooLarge, OutgoingDelivery
from ...transport.guard import is_handlers
from ...transport.signals import SoleSignal, this_thread
from ..endpoints.sender import SEND_AGAIN, result_of
from ..message.batch import BatchMessage
from ..message.message import Message
from ..vocabulary import constants, errors, translate
from ..vocabulary.callbacks import plain, refuse_unfinished
from ..vocabulary.compat import TimeoutException

_logger = logging.getLogger("uamqp.client")  # as in 1.6

STALL_TIMEOUT = 60.0
"""Default of `SendQueue`'s `stall_timeout`, in seconds."""

_WAITS = (
    "on_send_complete can't wait for other messages: their outcomes may have come, and are dealt with when it has "
    "returned. It may queue messages, send one and wait for that (send_message), and close the client."
)

_SENT = constants.MessageState.SendComplete
_FAILED = constants.MessageState.SendFailed
_IN_FLIGHT = constants.MessageState.WaitingForSendAck
_WAITING = constants.MessageState.WaitingToBeSent
_ALREADY_SETTLED = errors.MessageAlreadySettled()
_OK = constants.MessageSendResult.Ok
_TAKEN = OutcomeKind.TAKEN
_TIMED_OUT = OutcomeKind.TIMED_OUT
_RETURNED = OutcomeKind.RETURNED

_UNDECIDED = (_WAITING, _IN_FLIGHT)

# A named constant for `isinstance`: Cython turns a literal tuple into single tests, and takes an exception that an
# abstract class's test raises, such as a signal handler's, for True.
_NOT_SEVERAL = (str, bytes, bytearray, memoryview, Mapping)

_HERE = "this client"

_UNAUTHORIZED = constants.ErrorCodes.UnauthorizedAccess  # about a message, or an expired token


class Owner(Protocol):
    """The client to which the messages of a `SendQueue` belong."""

    _name: str

    def _is_sending(self) -> bool:
        """Return whether it sends what waits in its queue, automatically or when driven."""

    def _sending_link(self) -> SenderCore | None:
        """Return the link over which it sends, or None."""


def gathered(given: Sequence[Any], wholes: list[tuple[Message, list[Message]]] | None = None) -> list[Message]:
    """Return the single messages to send, without those that were accepted before.

    Args:
        wholes: receives each object that goes out as other messages, with these messages.

    Raises:
        NotAMessage: one of them isn't a message.
        MessageAlreadySettled: all of them were accepted before.
        TypeError, MessageResponse: see `Message.gather`.
    """
    messages: list[Message] = []
    skipped = False
    item: Any
    for item in given:
        if type(item) is Message:
            message = item
            if message.on_send_complete is not None:
                message.on_send_complete = plain(message.on_send_complete, "on_send_complete")
            if message.state is _WAITING and message._response is None:
                messages.append(message)
                continue
        elif not _is_message(item):
            raise _no_message(item, given)
        else:
            plain(getattr(item, "on_send_complete", None), "on_send_complete")
        parts = [item] if isinstance(item, Message) and item.state is _SENT else list(item.gather())
        if wholes is not None and (len(parts) != 1 or parts[0] is not item):
            wholes.append((item, parts))
        for part in parts:
            if part.state is _SENT:
                skipped = True
            elif part is item or part._response is None:
                messages.append(part)
            else:
                part.gather()  # raises the error with which it failed
    if skipped and not messages:
        raise errors.MessageAlreadySettled
    return messages


def as_messages(given: Any) -> list[Any]:
    """Return the argument of `send_message`, which is one message or several, as a list.

    Raises:
        NotAMessage: it is neither.
    """
    if _is_message(given):
        return [given]
    if isinstance(given, _NOT_SEVERAL) or not isinstance(given, Iterable):
        raise _no_message(given, None)
    return list(given)


def _is_message(item: Any) -> bool:
    # 1.6 accepted everything with a method `gather`.
    return isinstance(item, Message) or (callable(getattr(item, "gather", None)) and not isinstance(item, type))


def _no_message(item: Any, given: Sequence[Any] | None) -> errors.NotAMessage:
    name = "messages"
    if given is not None:
        name = f"messages[{next(index for index, other in enumerate(given) if other is item)}]"
    kind = type(item).__name__
    hint = " Make one of it: Message(...)." if isinstance(item, (str, bytes, bytearray, dict, list)) else ""
    if type(item).__module__.startswith("uamqp.messaging"):
        kind, hint = "one of uamqp.messaging", " Make one of uamqp.Message, or send it with uamqp.aio or uamqp.sync."
    several = ", or several of them" if given is None else ""
    return errors.NotAMessage(f"{name} must be a Message or BatchMessage{several}, not {kind}.{hint}")


class SendCall(Group):
    """The messages that one call sends, and waits for.

    Attributes:
        caller: the thread or task that waits for it; see `Driver.caller`.
        messages: the single messages that go out.
        fates: the messages without an outcome that were given back to the caller when the call ended.
        reason: if the call ended before its messages had left, raises the reason; None if the client was closed.
        is_nested: whether it waits in a callback; see `Driver.is_nested`.
        is_over: whether the call ended for a reason other than its messages' outcomes.
        signal: wakes those who wait for the call.
    """

    __slots__ = ("_wholes", "caller", "fates", "is_nested", "is_over", "messages", "reason", "signal")

    def __init__(self) -> None:
        self.left = 0
        self._wholes: list[tuple[Message, list[Message]]] = []
        self.messages: list[Message] = []
        self.caller: object | None = None
        self.is_nested = False
        self.fates: dict[Message, errors.Fate] = {}
        self.is_over = False
        self.reason: Callable[[], object] | None = None
        self.signal = SoleSignal()

    def gather(self, given: Sequence[Any]) -> None:
        """Store the messages and batches to send.

        Raises:
            TypeError, MessageResponse: see `gathered`.
        """
        self.messages = gathered(given, self._wholes)

    def has_left(self) -> bool:
        """Return whether all its messages have left."""
        return self.left <= 0

    def on_left(self) -> None:
        """Wake those who wait, because the call's last message has left."""
        self.wake()

    def wake(self) -> None:
        """Wake those who wait for the call."""
        self.signal.fire()

    def take_note(self, message: Message) -> None:
        """Record the fate of a message that was given back to the caller."""
        fate = message.fate
        if fate is not None:
            try:
                self.fates[message] = fate
            except TypeError:  # an application's class, whose objects can't be keys; they have a `fate`, too
                _logger.info("A message of class %s has no hash.", type(message).__name__)

    def take_notes(self) -> None:
        """Record the fates of messages that have timed out, too: their outcome isn't the peer's."""
        for message in self.messages:
            if message.state is constants.MessageState.SendFailed:
                self.take_note(message)

    def sum_up(self) -> None:
        """Record the fates of objects that were sent as other messages."""
        for whole, parts in self._wholes:
            fates = [part.fate for part in parts if part.state is _WAITING and part.fate is not None]
            if fates and isinstance(whole, Message):
                untouched = len(fates) == len(parts) and all(fate == "not sent" for fate in fates)
                whole.fate = "not sent" if untouched else "unknown"
                self.take_note(whole)
                if isinstance(whole, BatchMessage):
                    whole._keep(parts)


def _checked_bytes(payload: object) -> bytes:
    if not isinstance(payload, bytes):
        raise TypeError(f"encode_message must return bytes, not {type(payload).__name__}.")
    return payload


class SendQueue(Outgoing):
    """The messages of one sending client.

    Args:
        policy: decides about retries.
        stall_timeout: seconds after which messages without their own time-out time out, if the peer gives neither
            credit nor an outcome for any message. Once a message was sent, only outcomes of it and of earlier ones
            count.
        owner: the client, which has a name, and says whether it sends what waits here (`_is_sending`).

    Attributes:
        backoff: seconds of the latest back-off.
        calls: the calls that wait for their messages here.
        idlers: the calls that wait until nothing is pending.
        waiting: the calls that wait for something now, while the connection is driven for them.
    """

    __slots__ = ("_error_policy", "_reporting", "backoff", "call_out", "calls", "idlers", "waiting")

    def __init__(self, policy: errors.ErrorPolicy, stall_timeout: float, owner: Owner | None = None) -> None:
        super().__init__(None, stall_timeout, None if owner is None else weakref.ref(owner))
        self._error_policy = policy
        self._reporting = 0  # the thread that runs a message's callback; 0 if none does
        self.backoff = 0.0
        self.calls: dict[SendCall, None] = {}
        self.idlers: dict[SendCall, None] = {}
        self.waiting: dict[SendCall, None] = {}
        self.call_out: Callable[[Callable[[], object]], object] | None = None

    def pending(self) -> list[Message]:
        """Return the messages that wait to be sent, or for an outcome."""
        return [message for message in self.outbox.items() if message.state in _UNDECIDED]

    def add_all(
        self, messages: list[Message], timeout: float, now: float, tick: int, call: SendCall | None = None
    ) -> None:
        """Add messages: either all of them or, if one can't be added, none.

        Args:
            timeout: milliseconds from now until they time out; 0 for never, except by the stall time-out.
            tick: the new `idle_time` of the messages.
            call: the call that waits for them; None if they stay until they have an outcome, without a call.

        Raises:
            ValueError: one of them is already pending.
        """
        outbox = self.outbox
        self.begin_to_add(now)
        deadline = now + timeout / 1000 if timeout > 0 else None
        if call is not None:
            self.calls[call] = None
        index = 0
        entry: Entry | None = None
        try:
            for message in messages:
                entry = outbox.new_entry(message, deadline, call)
                # If two threads queue a message in two clients, one of them has to find it taken. So nothing may stand
                # between this look and its consequences at which Python would switch threads.
                pending = message._entry
                if pending is not None and not pending.done:
                    self._take_over(messages, index)
                message._entry = entry
                message.idle_time = tick
                message.state = _WAITING
                message.fate = None
                outbox.add_entry(entry)
                index += 1
        except BaseException:
            if entry is not None and entry.item._entry is entry:
                self._let_go(entry)
            for taken in messages[:index]:
                self._let_go(taken._entry)
            raise
        if call is None and self.timers is not None:
            self.drive(self.timers, now)

    def _take_over(self, messages: list[Message], start: int) -> None:
        """Remove messages, from `start` on, from the queues of clients that don't send them any more.

        Raises:
            ValueError: one is pending in a client that still sends it, or occurs twice; none was removed.
        """
        for index, message in enumerate(messages):
            entry = message._entry
            if entry is None or entry.done or index < start:
                continue
            where = self._place_of(entry)
            if where:
                raise ValueError(
                    f"Message {index} of these is pending in {where} already, and is sent once. {SEND_AGAIN}"
                )
        for message in messages[start:]:
            self._let_go(message._entry)

    def _place_of(self, entry: Entry) -> str:
        """Return a name for the client that sends a pending message; empty if none does any more."""
        outbox = entry.outbox
        if outbox is self.outbox:
            return _HERE
        owner = outbox.owner() if outbox is not None and outbox.owner is not None else None
        if owner is None or (entry.group is None and not owner._is_sending()):
            return ""
        return f"the client {owner._name!r}"

    @staticmethod
    def _let_go(entry: Entry | None) -> None:
        """Remove a message without an outcome from its queue."""
        if entry is not None and entry.outbox is not None:
            if entry.delivery is not None:
                entry.delivery.withdraw()
            entry.outbox.finish(entry)
            entry.item._entry = None

    def take_back(self, call: SendCall, now: float) -> None:
        """End a call, and give messages without an outcome back to the caller.

        Whatever becomes of their deliveries doesn't affect these messages any more.
        """
        self.calls.pop(call, None)
        for message in call.messages:
            entry = message._entry
            if entry is not None and entry.group is call:
                self._give_back(entry, now)
                call.take_note(message)
            elif entry is None and message.state is _WAITING and message.fate is None:
                message.fate = "not sent"  # it was the next to be added
                call.take_note(message)
        call.sum_up()

    def _give_back(self, entry: Entry, now: float) -> None:
        self.give_back(entry, now)
        entry.item._entry = None

    def end_calls(self, reason: Callable[[], object] | None, now: float) -> None:
        """End all calls for a reason other than their messages' outcomes, and wake all who wait to look again."""
        for call in tuple(self.calls):
            if call.left > 0:
                call.is_over = True
                call.reason = reason
                self.take_back(call, now)
        for waiting in self.waiting:
            waiting.wake()

    # -- waiting calls

    def wait(self, call: SendCall, timers: Timers, now: float) -> None:
        """Send what can be sent, from now until `leave`, because a call waits."""
        self.waiting[call] = None
        self.drive(timers, now)

    def leave(self, call: SendCall, now: float) -> None:
        """Record that a call doesn't wait any more."""
        if call in self.waiting:
            del self.waiting[call]
            if not self.waiting:
                self.rest(now)

    # -- hooks of `Outgoing`

    def hand_over(self, now: float) -> bool:
        """Give messages to the link over which the client sends."""
        owner: Owner | None = self.outbox.owner() if self.outbox.owner is not None else None
        if owner is None:
            return False  # the client is gone
        self.link = owner._sending_link()
        return Outgoing.hand_over(self, now)  # compiled code has no `super()` here

    def encode(self, entry: Entry) -> bytes:
        """Return the encoded message."""
        message = entry.item
        if type(message) is Message:
            payload = message._encoded()
            entry.message_format = message._message_format
        else:  # an application's class, which may encode itself in its own way
            encoded = message.encode_message()
            entry.message_format = message.message_format
            payload = _checked_bytes(encoded)
        entry.tag = message._delivery_tag
        if entry.waits and not entry.done:
            message.state = _IN_FLIGHT
        return payload

    def unsendable(self, entry: Entry, error: Exception) -> Outcome:
        """Return a failure, since a user's body may raise anything; propagate what a signal handler raises."""
        if is_handlers(error):
            raise error
        return Outcome(OutcomeKind.FAILED, error=error)

    def waits(self, entry: Entry) -> None:
        """Set the message's state: it isn't in flight any more."""
        entry.item.state = _WAITING

    def retry(self, entry: Entry, outcome: Outcome) -> float | None:
        """Ask the error policy. Lost messages wait until the client is opened again."""
        message = entry.item
        policy = self._error_policy
        if outcome.kind is OutcomeKind.LOST:
            if entry.may_have_arrived:
                message.fate = "unknown"
            message.retries += 1
            return 0.0
        if outcome.kind is OutcomeKind.SUSPECTED:
            ended: Any = outcome.error
            action = ended.action
            hopeless = action is not None and not action.retry and ended.condition is not _UNAUTHORIZED
            return None if hopeless or entry.ends > policy.max_retries else 0.0
        delivery: Any = entry.delivery
        error = outcome.error = translate.refusal(delivery, policy)
        action = error.action
        if action is None or not action.retry or message.retries >= policy.max_retries:
            return None
        self.backoff = action.backoff
        if action.increment_retries:
            message.retries += 1
        return action.backoff

    def note(self, entry: Entry, outcome: Outcome) -> None:
        """Record the outcome in 1.6's terms, and the state last, so that whoever sees it sees the rest."""
        message = entry.item
        kind = outcome.kind
        if kind is _TAKEN:
            message.fate = None
            message._response = _ALREADY_SETTLED
            message.state = _SENT
        elif kind is _RETURNED:
            if message.state not in constants.DONE_STATES:  # otherwise an interrupt came before it left
                _note_fate(message, outcome)
                message.state = _WAITING
                message._response = None
                message.retries = 0
        else:
            if kind is _TIMED_OUT:
                _note_fate(message, outcome)
                message._response = TimeoutException(outcome.text)  # as in 1.6
            elif kind is OutcomeKind.FAILED:
                message._response = self._exception(outcome.error)
            else:
                message._response = outcome.error  # stored there by `retry`
            message.state = _FAILED

    def _exception(self, error: BaseException | None) -> errors.AMQPError:
        """Return the exception for a message that can't be sent."""
        if isinstance(error, MessageTooLarge):
            return translate.too_large(error, self._error_policy)
        return errors.ClientMessageError(error)

    def finished(self, entry: Entry, outcome: Outcome) -> None:
        """Report the outcome to those who wait for it, and to the message's callback."""
        message = entry.item
        message._entry = None
        if self.idlers and not self.outbox.is_awaiting():
            self._tell_idlers()
        if message.on_send_complete is not None and outcome.kind is not _RETURNED:
            self._report(message, outcome)

    def not_ours(self, delivery: OutgoingDelivery, now: float) -> None:
        """Hand the outcome on to the link: `MessageSender.send` was called beside the client."""
        delivery.link.context.owner.on_outcome(delivery, now)

    def end_link(self, error: errors.LinkDetach | errors.ConnectionClose) -> None:
        """Handle the link's end by an error of the peer, for which one of the messages may be the reason."""
        condition = error.condition
        text = condition.decode("ascii", "replace") if isinstance(condition, bytes) else condition.value
        self.on_link_ended(text, error)

    def _tell_idlers(self) -> None:
        """Wake those who wait until nothing is pending."""
        if self.idlers and not self.outbox:
            for waiting in self.idlers:
                waiting.wake()

    def _report(self, message: Message, outcome: Outcome) -> None:
        callback: Any = message.on_send_complete
        result = result_of(outcome)
        error = None if result is _OK else message._response
        before, self._reporting = self._reporting, this_thread()
        try:
            if self.call_out is None:
                answer = callback(result, error)
            else:
                answer = self.call_out(lambda: callback(result, error))
            refuse_unfinished(answer, "on_send_complete")
        except Exception:  # a callback's fault must not stop the other messages
            _logger.exception("on_send_complete of %r raised an exception.", message)
        finally:
            self._reporting = before

    def refuse_waiting(self) -> None:
        """Refuse to wait for all pending messages within a callback.

        Raises:
            RuntimeError: the caller is an `on_send_complete`, whose own caller still has other outcomes to handle.
        """
        if self.outbox and self._reporting == this_thread():
            raise RuntimeError(_WAITS)

    def forget_threads(self, now: float, ends_calls: bool) -> None:
        """Forget the calls under way in threads that don't exist any more.

        Args:
            ends_calls: whether to end these calls, too, whose messages haven't left this process.
        """
        self.idlers.clear()
        self.waiting.clear()
        self.rest(now)
        if self._reporting != this_thread():
            self._reporting = 0
        if ends_calls:
            self.end_calls(None, now)

    def drop_all(self, now: float) -> None:
        """Drop all messages, which can be queued again, and end the calls that wait for them."""
        self.end_calls(_raise_dropped, now)
        self.clear(now)


def _note_fate(message: Message, outcome: Outcome) -> None:
    if outcome.may_have_arrived:
        message.fate = "unknown"
    elif message.fate is None:
        message.fate = "not sent"


def _raise_dropped() -> None:
    raise errors.ClientMessageError(RuntimeError("The messages were dropped from the queue."))
