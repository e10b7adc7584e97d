"""What becomes of the messages of a sending client: hand-over, outcomes, retries, time-outs. No I/O.

It stands apart from `SendClient`, so that an asyncio front can use it as well.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ... import codec
from ...core import Entry, Outbox, SenderCore
from ...core.link import LinkHandler
from ...core.outbox import Group
from ...engine import LocalProtocolError, MessageTooLarge, OutgoingDelivery
from ...transport.guard import Guard, is_handlers
from ...transport.signals import Signal, this_thread
from ..message.batch import BatchMessage
from ..message.message import Message
from ..vocabulary import constants, errors, translate
from ..vocabulary.callbacks import plain, refuse_unfinished
from ..vocabulary.compat import TimeoutException

_logger = logging.getLogger("uamqp.client")  # as in 1.6

STALL_TIMEOUT = 60.0
"""Default of `SendQueue`'s `stall_timeout`, in seconds."""

SEND_AGAIN = "To send the same again, make a new Message or, while this one is pending, a copy of it (copy.copy)."
"""What to do instead of sending a pending message a second time."""

_TIMED_OUT = "Message send timed out."

_WAITS = (
    "on_send_complete can't wait for other messages: their outcomes may have come, and are dealt with when it has "
    "returned. It may queue messages, send one and wait for that (send_message), and close the client."
)

# As much is encoded before it is written: the peer deals with it while the rest is encoded.
_HAND_OVER_BYTES = 1024 * 1024
_HAND_OVER_MESSAGES = 256
_LOOKS = 8
"""How often in a stall time-out it is looked for outcomes that are lost while others come."""

_SENT = constants.MessageState.SendComplete
_IN_FLIGHT = constants.MessageState.WaitingForSendAck
_WAITING = constants.MessageState.WaitingToBeSent
_ALREADY_SETTLED = errors.MessageAlreadySettled()
_OK = constants.MessageSendResult.Ok
_ACCEPTED = codec.ACCEPTED

_UNDECIDED = (_WAITING, _IN_FLIGHT)

# `isinstance` is given it by its name. Of a tuple that stands in the call Cython makes one test after the other, and
# takes what an abstract class's raises, such as a signal handler's exception, for a yes.
_NOT_SEVERAL = (str, bytes, bytearray, memoryview, Mapping)

_HERE = "this client"

_UNAUTHORIZED = constants.ErrorCodes.UnauthorizedAccess  # a message's, or the token's that has ended

# Why a peer ends a link, a session or a connection, whatever is sent over it.
_NO_MESSAGES_FAULT = frozenset(
    (
        constants.ErrorCodes.ConnectionCloseForced,
        constants.ErrorCodes.ConnectionRedirect,
        constants.ErrorCodes.LinkDetachForced,
        constants.ErrorCodes.LinkRedirect,
        constants.ErrorCodes.LinkStolen,
        constants.ErrorCodes.ResourceDeleted,
    )
)


class Owner(Protocol):
    """Whose messages a `SendQueue` has."""

    _name: str

    def _is_sending(self) -> bool:
        """It sends what waits in its queue, by itself or when it is driven."""


def result_of(delivery: OutgoingDelivery) -> constants.MessageSendResult | None:
    """Return what a delivery's outcome means; None: it isn't decided yet."""
    if not delivery.settled:
        return None
    if delivery.lost:
        return constants.MessageSendResult.Error
    state = delivery.remote_state
    if state is _ACCEPTED:
        return _OK
    # Settled without a state, or before it was sent: the receiver has taken it over (section 3.4).
    if state is None or isinstance(state, (codec.Accepted, codec.Received)):
        return _OK
    return constants.MessageSendResult.Error


def gathered(given: Sequence[Any], wholes: list[tuple[Message, list[Message]]] | None = None) -> list[Message]:
    """Return the single messages to send. Those that were accepted before are left out, beside others.

    Args:
        wholes: gets what goes out as other messages than it was given as, with these.

    Raises:
        NotAMessage: one of them is none.
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
                part.gather()  # raises what it failed with
    if skipped and not messages:
        raise errors.MessageAlreadySettled
    return messages


def as_messages(given: Any) -> list[Any]:
    """Return what `send_message` was given as a list: of one message, or of several.

    Raises:
        NotAMessage: it is neither.
    """
    if _is_message(given):
        return [given]
    if isinstance(given, _NOT_SEVERAL) or not isinstance(given, Iterable):
        raise _no_message(given, None)
    return list(given)


def _is_message(item: Any) -> bool:
    # 1.6 took whatever gathers messages.
    return isinstance(item, Message) or (callable(getattr(item, "gather", None)) and not isinstance(item, type))


def _no_message(item: Any, given: Sequence[Any] | None) -> errors.NotAMessage:
    name = "messages"
    if given is not None:
        name = f"messages[{next(index for index, other in enumerate(given) if other is item)}]"
    kind = type(item).__name__
    hint = " Make one of it: Message(...)." if isinstance(item, (str, bytes, bytearray, dict, list)) else ""
    several = ", or several of them" if given is None else ""
    return errors.NotAMessage(f"{name} must be a Message or BatchMessage{several}, not {kind}.{hint}")


class SendCall(Group):
    """What is sent, and waited for, by one call.

    Attributes:
        deadline: when its messages are given up, in monotonic seconds; None: never.
        messages: the single messages that go out.
        fates: what has no outcome and is the caller's again, since the call is over.
        reason: once the call is over before its messages have left: raises why; None: the client was closed.
        is_over: the call is over for a reason that isn't its messages'.
        signal: wakes who waits for the call; None: nobody does.
    """

    __slots__ = ("_wholes", "deadline", "fates", "is_over", "messages", "reason", "signal")

    def __init__(self) -> None:
        self.left = 0
        self._wholes: list[tuple[Message, list[Message]]] = []
        self.messages: list[Message] = []
        self.deadline: float | None = None
        self.fates: dict[Message, errors.Fate] = {}
        self.is_over = False
        self.reason: Callable[[], object] | None = None
        self.signal: Signal | None = None

    def gather(self, given: Sequence[Any]) -> None:
        """Note the messages and batches to send.

        Raises:
            TypeError, MessageResponse: see `gathered`.
        """
        self.messages = gathered(given, self._wholes)

    def on_left(self) -> None:
        """Its last message has left."""
        self.wake()

    def wake(self) -> None:
        """Have who waits for the call look at it."""
        if self.signal is not None:
            self.signal.set()

    def take_note(self, message: Message) -> None:
        """Note the fate of a message that is the caller's again."""
        fate = message.fate
        if fate is not None:
            try:
                self.fates[message] = fate
            except TypeError:  # a class of the application's, whose objects can't be keys; `fate` says it, too
                _logger.info("A message of class %s has no hash.", type(message).__name__)

    def take_notes(self) -> None:
        """Note the fates of those, too, that have timed out: that is an outcome, but none of the peer's."""
        for message in self.messages:
            if message.state is constants.MessageState.SendFailed:
                self.take_note(message)

    def sum_up(self) -> None:
        """Note the fates of what was given to be sent as other messages."""
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


class SendQueue(LinkHandler):
    """The messages of one sending client.

    Args:
        policy: decides what is tried again.
        stall_timeout: seconds after which messages without a time-out of their own are given up, if the peer gives
            neither credit nor an outcome for any message meanwhile. A message that was sent isn't saved by outcomes of
            those that were sent after it.
        owner: the client; it tells whether it is to send what waits here (`_is_sending`), and its name.

    Attributes:
        backoff: seconds of the last back-off that was asked for.
        calls: those that wait for their messages here.
        idlers: those that wait for nothing to be pending any more.
        decided: how many messages have left, sent or failed.
        guard: of the connection in use.
        handed: how many times a message was given to a link.
    """

    __slots__ = (
        "_last_look",
        "_last_progress",
        "_look_due",
        "_lost",
        "_outbox",
        "_paused",
        "_policy",
        "_reporting",
        "_stall_timeout",
        "backoff",
        "calls",
        "decided",
        "guard",
        "handed",
        "idlers",
    )

    def __init__(self, policy: errors.ErrorPolicy, stall_timeout: float, owner: Owner | None = None) -> None:
        self._policy = policy
        self._stall_timeout = stall_timeout
        self._outbox = Outbox(None if owner is None else weakref.ref(owner))
        self._lost: list[Entry] = []  # that were on their way over a link which is going
        self._last_progress = 0.0
        self._last_look = 0.0
        self._paused = 0.0  # seconds in which nobody drove the client
        self._reporting = 0  # the thread that is in a callback of a message's; 0: none is
        self._look_due = 0.0  # when to look for outcomes that are lost, pauses left out
        self.backoff = 0.0
        self.calls: dict[SendCall, None] = {}
        self.idlers: dict[SendCall, None] = {}
        self.decided = 0
        self.guard: Guard | None = None
        self.handed = 0

    def __len__(self) -> int:
        return len(self._outbox)

    def pending(self) -> list[Message]:
        """Return the messages that wait to be sent, or for an outcome."""
        return [message for message in self._outbox.items() if message.state in _UNDECIDED]

    def add_all(
        self, messages: list[Message], timeout: float, now: float, tick: int, call: SendCall | None = None
    ) -> None:
        """Take in messages: all of them or, if one can't be, none.

        Args:
            timeout: milliseconds from now until they are given up; 0: never, but for the stall time-out.
            tick: what `idle_time` of the messages becomes.
            call: what waits for them; None: nobody does, and they stay until they have an outcome.

        Raises:
            ValueError: one of them is pending already.
        """
        outbox = self._outbox
        if not outbox:
            self._last_progress = self._last_look = now
            self._look_due = now - self._paused + self._stall_timeout / _LOOKS
        deadline = now + timeout / 1000 if timeout > 0 else None
        if call is not None:
            self.calls[call] = None
            call.deadline = deadline
        index = 0
        entry: Entry | None = None
        try:
            for message in messages:
                entry = outbox.new_entry(message, deadline, call)
                # Of two threads that queue a message with two clients, one has to find it taken: nothing stands between
                # the look and what follows from it at which Python would turn to the other.
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

    def _take_over(self, messages: list[Message], start: int) -> None:
        """Take messages from `start` on out of the queues of clients that don't send them any more.

        Raises:
            ValueError: one is pending in a client that does, or is there twice; none was taken.
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
        """Return what to call the client that sends a pending message; empty: none does any more."""
        outbox = entry.outbox
        if outbox is self._outbox:
            return _HERE
        owner = outbox.owner() if outbox is not None and outbox.owner is not None else None
        if owner is None or (entry.group is None and not owner._is_sending()):
            return ""
        return f"the client {owner._name!r}"

    @staticmethod
    def _let_go(entry: Entry | None) -> None:
        """Take a message that has no outcome out of its queue."""
        if entry is not None and entry.outbox is not None:
            if entry.delivery is not None:
                entry.delivery.withdraw()
            entry.outbox.finish(entry)
            entry.item._entry = None

    def take_back(self, call: SendCall, now: float) -> None:
        """The call is over: what has no outcome yet leaves, and is the caller's again. Whatever happens to it on its
        way from now on doesn't concern the message any more.
        """
        self.calls.pop(call, None)
        for message in call.messages:
            entry = message._entry
            if entry is not None and entry.group is call:
                self._give_back(entry, now)
                call.take_note(message)
            elif entry is None and message.state is _WAITING and message.fate is None:
                message.fate = "not sent"  # it was to be taken in next
                call.take_note(message)
        call.sum_up()

    def _give_back(self, entry: Entry, now: float) -> None:
        delivery = entry.delivery
        message = entry.item
        if delivery is not None and delivery.settled and not delivery.lost:
            self.on_outcome(delivery, now)  # it has come, and nobody has looked yet
            delivery = entry.delivery
        if message.state not in constants.DONE_STATES:
            if delivery is not None and not delivery.withdraw() and delivery.delivery_id is not None:
                message.fate = "unknown"
            elif message.fate is None:
                message.fate = "not sent"
            message.state = _WAITING
            message._response = None
            message.retries = 0
        self._outbox.finish(entry)
        message._entry = None
        self._tell_idlers()

    def end_calls(self, reason: Callable[[], object] | None, now: float) -> None:
        """Every call is over, for a reason that isn't its messages'; whoever waits for one is woken to raise it."""
        for call in tuple(self.calls):
            if call.left > 0:
                call.is_over = True
                call.reason = reason
                self.take_back(call, now)
                call.wake()

    def hand_over(self, link: SenderCore, settled: bool, now: float) -> bool:
        """Give messages to the link as far as its credit goes, and its queue isn't long; tell whether there are more
        that it has credit for.
        """
        credit = link.credit
        if credit <= 0 or not self._outbox.waiting:
            return False
        sender = link.sender
        handed = self.handed
        room = _HAND_OVER_BYTES
        places = _HAND_OVER_MESSAGES - sender.queued
        entry: Entry | None = None
        try:
            while credit > 0:
                if room <= 0 or places <= 0:
                    if handed == self.handed:
                        sender.ask_for_room()  # what it has can't go out now: it tells when some did
                    return self._outbox.waiting > 0
                entry = self._outbox.next_ready(now)
                if entry is None:
                    break
                if entry.deadline is not None and entry.deadline <= now:
                    self._time_out(entry, _TIMED_OUT)
                    continue
                message = entry.item
                payload: bytes | None = None
                try:
                    if type(message) is Message:
                        payload = message._encoded()
                        message_format = message._message_format
                    else:  # a class of the application's, which may do it in its own way
                        encoded = message.encode_message()
                        message_format = message.message_format
                        payload = _checked_bytes(encoded)
                    if not entry.waits:
                        continue  # what encodes it has used this client
                    delivery = sender.enqueue(payload, message._delivery_tag, message_format, settled, None, entry)
                except MessageTooLarge as error:
                    self._fail(entry, translate.too_large(error, self._policy))
                except Exception as error:
                    if is_handlers(error) or (payload is not None and not isinstance(error, LocalProtocolError)):
                        raise
                    self._fail(entry, errors.ClientMessageError(error))  # a body of the user's may raise anything
                else:
                    self._last_progress = now
                    room -= len(payload)
                    credit -= 1
                    places -= 1
                    self.handed += 1
                    message.state = _IN_FLIGHT
                    self._outbox.handed_over(entry, delivery)
        except BaseException:
            # Nothing of what was given to the link has gone out yet, so the last of it can be taken back as a whole.
            if entry is not None and (sender.withdraw_last(entry) or entry.delivery is None):
                self._outbox.not_handed_over(entry)
                if not entry.done:
                    entry.item.state = _WAITING
            raise
        sender.drained()  # if the peer asked for what there is: that was it
        return False

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Something became known of a message."""
        context = delivery.context
        if type(context) is not Entry:
            delivery.link.context.owner.on_outcome(delivery)  # `MessageSender.send` was called, beside the client
            return
        entry: Entry = context
        if entry.delivery is not delivery:
            return  # it has timed out, or is the caller's again
        result = result_of(delivery)
        if result is None:
            return
        self._last_progress = now
        if result is _OK:
            message = entry.item
            message.state = _SENT
            message._response = _ALREADY_SETTLED
            self.decided += 1
            self._outbox.finish(entry)
            message._entry = message.fate = None
            if self.idlers and not self._outbox.is_awaiting():
                self._tell_idlers()
            if message.on_send_complete is not None:
                self._report(message, result, None)
        elif delivery.lost:
            # It waits for whoever opens the client anew, or looks at the pending messages.
            if delivery.delivery_id is not None:
                entry.item.fate = "unknown"
                self._lost.append(entry)
            self._again(entry, None)
        else:
            self._on_refused(entry, translate.refusal(delivery, self._policy), now)

    def catch_up(self, now: float) -> None:
        """The link is gone. An interrupt may have kept the queue from hearing of an outcome."""
        for entry in self._outbox.entries():
            delivery = entry.delivery
            if delivery is None:
                break  # those in flight come first
            if delivery.settled:
                self.on_outcome(delivery, now)

    def begin_link(self, now: float) -> None:
        """A link is made. What was lost with the last one was so for no reason of a message's, or that is known."""
        self.catch_up(now)
        self._lost.clear()

    def on_link_ended(self, error: errors.LinkDetach | errors.ConnectionClose, now: float) -> None:
        """The peer has ended the link with an error, for which one of the messages may be the reason.

        A message that was alone on its way counts as refused by it. Of several nobody knows which it was: each goes
        alone when the link is open again, so that it is found, and no other is held to be it.
        """
        lost, self._lost = self._lost, []
        if error.condition in _NO_MESSAGES_FAULT:
            return
        for entry in lost:
            entry.ends += 1
        if len(lost) == 1 and not lost[0].done:  # what a call has sent is the caller's again
            entry = lost[0]
            action = error.action
            hopeless = action is not None and not action.retry and error.condition is not _UNAUTHORIZED
            if hopeless or entry.ends > self._policy.max_retries:
                self._fail(entry, error)
                self._outbox.trust()

    def _tell_idlers(self) -> None:
        """Wake who waits for nothing to be pending."""
        if self.idlers and not self._outbox:
            for waiting in self.idlers:
                waiting.wake()

    def _on_refused(self, entry: Entry, error: errors.MessageException, now: float) -> None:
        action = error.action
        message = entry.item
        if action is None or not action.retry or message.retries >= self._policy.max_retries:
            self._fail(entry, error)
            return
        self.backoff = action.backoff
        self._again(entry, now + action.backoff if action.backoff else None, count=action.increment_retries)

    def _again(self, entry: Entry, hold_until: float | None, *, count: bool = True) -> None:
        message = entry.item
        if count:
            message.retries += 1
        message.state = _WAITING
        self._outbox.put_back(entry, hold_until)

    def resume(self, now: float) -> None:
        """The client is driven again. The peer isn't to blame for the pause: it doesn't count as a stall."""
        pause = now - self._last_look
        self._last_progress += pause
        self._paused += pause
        self._last_look = now

    def expire(self, now: float) -> None:
        """Give up what is past its time. Call it after what has arrived was read: an outcome wins over a time-out."""
        self._last_look = now
        for entry in self._outbox.expired(now):
            self._time_out(entry, _TIMED_OUT)
        if self._outbox and now - self._last_progress >= self._stall_timeout:
            text = f"Message send timed out: neither credit nor an outcome for {self._stall_timeout:g} seconds."
            for entry in self._outbox.entries():
                if entry.deadline is None:
                    self._time_out(entry, text)
            self._last_progress = now
        elif self._outbox.is_awaiting() and now - self._paused >= self._look_due:
            self._look_due = now - self._paused + self._stall_timeout / _LOOKS
            text = f"Message send timed out: no outcome for {self._stall_timeout:g} seconds, while others had theirs."
            for entry in self._outbox.overtaken(now - self._paused, self._stall_timeout):
                self._time_out(entry, text)

    def next_deadline(self) -> float | None:
        """Return when `expire` or `hand_over` has something to do of itself; None: there are no messages."""
        if not self._outbox:
            return None
        stalled = self._last_progress + self._stall_timeout
        if self._outbox.is_awaiting():
            stalled = min(stalled, max(self._look_due + self._paused, self._last_look))
        deadline = self._outbox.next_deadline()
        return stalled if deadline is None else min(stalled, deadline)

    def _time_out(self, entry: Entry, text: str) -> None:
        delivery = entry.delivery
        if delivery is not None and not delivery.withdraw() and delivery.delivery_id is not None:
            entry.item.fate = "unknown"
        elif entry.item.fate is None:
            entry.item.fate = "not sent"
        self._fail(entry, TimeoutException(text), constants.MessageSendResult.Timeout)

    def _fail(
        self,
        entry: Entry,
        error: BaseException,
        result: constants.MessageSendResult = constants.MessageSendResult.Error,
    ) -> None:
        message = entry.item
        message.state = constants.MessageState.SendFailed
        message._response = error  # 1.6 keeps time-outs there too
        self.decided += 1
        self._outbox.finish(entry)
        message._entry = None
        if self.idlers:
            self._tell_idlers()
        self._report(message, result, error)

    def _report(self, message: Message, result: constants.MessageSendResult, error: BaseException | None) -> None:
        callback = message.on_send_complete
        if callback is None:
            return
        before, self._reporting = self._reporting, this_thread()
        try:
            if self.guard is None:
                refuse_unfinished(callback(result, error), "on_send_complete")
            else:
                with self.guard.pause():
                    refuse_unfinished(callback(result, error), "on_send_complete")
        except Exception:  # a callback's fault must not stop the other messages
            _logger.exception("on_send_complete of %r raised an exception.", message)
        finally:
            self._reporting = before

    def refuse_waiting(self) -> None:
        """Refuse to wait for all that is pending in a callback.

        Raises:
            RuntimeError: `on_send_complete` has called: the outcomes of others are with the frame that called it.
        """
        if self._outbox and self._reporting == this_thread():
            raise RuntimeError(_WAITS)

    def forget_threads(self, now: float, ends_calls: bool) -> None:
        """Nobody waits any more for the calls that are under way.

        Args:
            ends_calls: their messages, of which none has left this process, are nobody's either.
        """
        self.idlers.clear()
        if self._reporting != this_thread():
            self._reporting = 0
        for call in self.calls:
            call.signal = None
        if ends_calls:
            self.end_calls(None, now)

    def drop_all(self, now: float) -> None:
        """Drop everything. The messages can be queued again; calls that wait for some are over."""
        self.end_calls(_raise_dropped, now)
        for entry in self._outbox.entries():
            self._give_back(entry, now)
        self._outbox.clear()


def _raise_dropped() -> None:
    raise errors.ClientMessageError(RuntimeError("The messages were dropped from the queue."))
