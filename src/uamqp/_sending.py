"""What becomes of the messages of a sending client: hand-over, outcomes, retries, time-outs. No I/O.

It stands apart from `SendClient`, so that an asyncio front can use it as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import codec, constants, errors
from ._callbacks import plain, refuse_unfinished
from ._hints import address_hint
from ._message import Message
from .compat import TimeoutException
from .core import Entry, Outbox, SenderCore
from .core.link import LinkHandler
from .engine import MessageTooLarge, OutgoingDelivery

_logger = logging.getLogger("uamqp.client")  # as in 1.6

STALL_TIMEOUT = 60.0
"""Default of `SendQueue`'s `stall_timeout`, in seconds."""

_TIMED_OUT = "Message send timed out."

# As much is encoded before it is written: the peer deals with it while the rest is encoded.
_HAND_OVER_BYTES = 1024 * 1024
_HAND_OVER_MESSAGES = 256

_SENT = constants.MessageState.SendComplete
_IN_FLIGHT = constants.MessageState.WaitingForSendAck
_WAITING = constants.MessageState.WaitingToBeSent
_ALREADY_SETTLED = errors.MessageAlreadySettled()
_OK = constants.MessageSendResult.Ok
_ACCEPTED = codec.ACCEPTED

_UNDECIDED = (_WAITING, _IN_FLIGHT)


def result_of(delivery: OutgoingDelivery) -> constants.MessageSendResult | None:
    """Return what a delivery's outcome means; None: it isn't decided yet."""
    if not delivery.settled:
        return None
    if delivery.lost:
        return constants.MessageSendResult.Error
    if delivery.remote_state is _ACCEPTED:
        return _OK
    # Settled without a state, or before it was sent: the receiver has taken it over (section 3.4).
    if delivery.remote_state is None or isinstance(delivery.remote_state, (codec.Accepted, codec.Received)):
        return _OK
    return constants.MessageSendResult.Error


def gathered(given: Sequence[Any]) -> list[Message]:
    """Return the single messages to send.

    Raises:
        NotAMessage: one of them is none.
        TypeError, MessageResponse: see `Message.gather`.
    """
    messages: list[Message] = []
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
        messages.extend(item.gather())
    return messages


def as_messages(given: Any) -> list[Any]:
    """Return what `send_message` was given as a list: of one message, or of several.

    Raises:
        NotAMessage: it is neither.
    """
    if _is_message(given):
        return [given]
    if isinstance(given, (str, bytes, bytearray, memoryview, Mapping)) or not isinstance(given, Iterable):
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


class SendQueue(LinkHandler):
    """The messages of one sending client.

    Args:
        policy: decides what is tried again.
        stall_timeout: seconds after which messages without a time-out of their own are given up, if the peer gives
            neither credit nor an outcome for any message meanwhile.

    Attributes:
        backoff: seconds of the last back-off that was asked for.
        decided: how many messages have left, sent or failed.
    """

    __slots__ = ("_last_look", "_last_progress", "_outbox", "_policy", "_stall_timeout", "backoff", "decided")

    def __init__(self, policy: errors.ErrorPolicy, stall_timeout: float) -> None:
        self._policy = policy
        self._stall_timeout = stall_timeout
        self._outbox = Outbox()
        self._last_progress = 0.0
        self._last_look = 0.0
        self.backoff = 0.0
        self.decided = 0

    def __len__(self) -> int:
        return len(self._outbox)

    def pending(self) -> list[Message]:
        """Return the messages that wait to be sent, or for an outcome."""
        return [message for message in self._outbox.items() if message.state in _UNDECIDED]

    def add_all(self, messages: list[Message], timeout: float, now: float, tick: int) -> None:
        """Take in messages.

        Args:
            timeout: milliseconds from now until they are given up; 0: never, but for the stall time-out.
            tick: what `idle_time` of the messages becomes.
        """
        if not self._outbox:
            self._last_progress = self._last_look = now
        deadline = now + timeout / 1000 if timeout > 0 else None
        for message in messages:
            message.idle_time = tick
            message.state = _WAITING
            self._outbox.add(message, deadline)

    def hand_over(self, link: SenderCore, settled: bool, now: float) -> bool:
        """Give messages to the link as far as its credit goes; tell whether there are more that it could take now."""
        credit = link.credit
        if credit <= 0 or not self._outbox.waiting:
            return False
        sender = link.sender
        room = _HAND_OVER_BYTES
        places = _HAND_OVER_MESSAGES - sender.queued
        while credit > 0:
            if room <= 0 or places <= 0:
                return self._outbox.waiting > 0
            entry = self._outbox.next_ready(now)
            if entry is None:
                break
            if entry.deadline is not None and entry.deadline <= now:
                self._time_out(entry, _TIMED_OUT)
                continue
            message = entry.item
            try:
                if type(message) is Message:
                    payload = message._encoded()
                    message_format = message._message_format
                else:  # a class of the application's, which may do it in its own way
                    payload = message.encode_message()
                    message_format = message.message_format
                delivery = sender.enqueue(payload, message._delivery_tag, message_format, settled, None, entry)
            except MessageTooLarge as error:
                self._fail(
                    entry,
                    errors._process_send_error(self._policy, constants.ErrorCodes.LinkMessageSizeExceeded, str(error)),
                )
            except Exception as error:  # noqa: BLE001 (a body of the user's may raise anything)
                self._fail(entry, errors.ClientMessageError(error))
            else:
                self._last_progress = now
                room -= len(payload)
                credit -= 1
                places -= 1
                message.state = _IN_FLIGHT
                self._outbox.handed_over(entry, delivery)
        sender.drained()  # if the peer asked for what there is: that was it
        return False

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Something became known of a message."""
        entry: Entry | None = delivery.context
        if entry is None or entry.delivery is not delivery:
            return  # it has timed out
        result = result_of(delivery)
        if result is None:
            return
        self._last_progress = now
        if result is _OK:
            self._outbox.finish(entry)
            self.decided += 1
            message = entry.item
            message.state = _SENT
            message._response = _ALREADY_SETTLED
            if message.on_send_complete is not None:
                self._report(message, result, None)
        elif delivery.lost:
            # Its fate is unknown. It waits for whoever opens the client anew, or looks at the pending messages.
            self._again(entry, None)
        else:
            self._on_refused(entry, self._exception(delivery), now)

    def _exception(self, delivery: OutgoingDelivery) -> errors.MessageException:
        state = delivery.remote_state
        if isinstance(state, codec.Rejected) and state.error is not None:
            error = state.error
            refused = errors._process_send_error(self._policy, error.condition, error.description, error.info)
            return errors._hinted(refused, address_hint(delivery.link.session.engine, error.description))
        name = type(state).__name__.lower()
        text = f"the peer's outcome for the message is {name}"
        return errors._process_send_error(self._policy, constants.ErrorCodes.UnknownError, text)

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
        self._last_progress += now - self._last_look
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

    def next_deadline(self) -> float | None:
        """Return when `expire` or `hand_over` has something to do of itself; None: there are no messages."""
        if not self._outbox:
            return None
        stalled = self._last_progress + self._stall_timeout
        deadline = self._outbox.next_deadline()
        return stalled if deadline is None else min(stalled, deadline)

    def _time_out(self, entry: Entry, text: str) -> None:
        if entry.delivery is not None:
            entry.delivery.withdraw()
        self._fail(entry, TimeoutException(text), constants.MessageSendResult.Timeout)

    def _fail(
        self,
        entry: Entry,
        error: BaseException,
        result: constants.MessageSendResult = constants.MessageSendResult.Error,
    ) -> None:
        self._outbox.finish(entry)
        self.decided += 1
        message = entry.item
        message.state = constants.MessageState.SendFailed
        message._response = error  # 1.6 keeps time-outs there too
        self._report(message, result, error)

    @staticmethod
    def _report(message: Message, result: constants.MessageSendResult, error: BaseException | None) -> None:
        callback = message.on_send_complete
        if callback is None:
            return
        try:
            refuse_unfinished(callback(result, error), "on_send_complete")
        except Exception:  # a callback's fault must not stop the other messages
            _logger.exception("on_send_complete raised an exception.")

    def drop_all(self) -> None:
        """Drop everything. The messages can be queued again."""
        self._outbox.clear()
