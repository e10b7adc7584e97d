"""`MessageSender`: a link over which messages are sent."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import codec
from ...core import Entry, LinkHandler, LinkSettings, Outcome, OutcomeKind, Outgoing, SenderCore
from ...engine import Cause, CauseKind, LocalProtocolError, MessageTooLarge, OutgoingDelivery
from ...engine.limits import MAX_CREDIT
from ...transport.driver import Driver
from ..values.arguments import encoding_of, given, having, integer, number, text
from ..vocabulary import constants, errors
from ..vocabulary.address import Source
from ..vocabulary.callbacks import plain, refuse_unfinished
from .link import MessageLink

__all__ = ["MessageSender"]

if TYPE_CHECKING:
    from ..message import Message
    from ..vocabulary.address import Target
    from .session import Session

_logger = logging.getLogger("uamqp.sender")  # as in 1.6

SEND_AGAIN = "To send the same again, make a new Message or, while this one is pending, a copy of it (copy.copy)."
"""What to do instead of sending a pending message a second time."""


def result_of(outcome: Outcome) -> constants.MessageSendResult:
    """Return what 1.6 calls an outcome."""
    if outcome.kind is OutcomeKind.TAKEN:
        return constants.MessageSendResult.Ok
    if outcome.kind is OutcomeKind.TIMED_OUT:
        return constants.MessageSendResult.Timeout
    return constants.MessageSendResult.Error


class MessageSender(MessageLink):
    """A link over which messages are sent.

    Args:
        session: the session it belongs to.
        source: the name of our end, text or bytes; or a `Source`, whose `outcomes` the peer may choose from. All four
            where it names none.
        target: where the messages go, a `Target`.
        name: the link's name; None: a new UUID.
        send_settle_mode: `constants.SenderSettleMode`: whether the peer reports each message's outcome.
        receive_settle_mode: `constants.ReceiverSettleMode`; None: the peer settles together with the outcome.
        max_message_size: announced to the peer, in bytes, unless it is the default. No limit for what is sent: that is
            what the peer announces.
        link_credit: taken for compatibility: the peer gives the credit.
        properties: link properties, a dict.
        error_policy: decides what errors mean; None: `ErrorPolicy()`.
        debug: taken for compatibility: tracing is the connection's.
        encoding: of the text among the arguments.
        desired_capabilities: extensions asked for: a list of str, bytes or `AMQPSymbol`, or an `AMQPArray` of them.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.
    """

    __module__ = "uamqp.sender"

    _states = constants.MessageSenderState
    _kind = "Message Sender"
    _logger = _logger

    def __init__(
        self,
        session: Session,
        source: str | bytes | Source,
        target: Target,
        name: str | bytes | None = None,
        send_settle_mode: Any = constants.SenderSettleMode.Unsettled,
        receive_settle_mode: Any = None,
        max_message_size: int = constants.MAX_MESSAGE_LENGTH_BYTES,
        link_credit: int | None = None,
        properties: dict[Any, Any] | None = None,
        error_policy: errors.ErrorPolicy | None = None,
        debug: bool = False,
        encoding: str = "UTF-8",
        desired_capabilities: Any = None,
    ) -> None:
        encoding = encoding_of(encoding)
        self.source = (
            source.terminus() if isinstance(source, Source) else codec.Source(text(source, "source", encoding))
        )
        self.target = having(target, "target", "a Target", "terminus")
        if given(link_credit) is not None:
            integer(link_credit, "link_credit", 0, MAX_CREDIT)
        self._direct = _Direct()
        self._handler: LinkHandler = self._direct  # or that of a client
        self._end_handler: Callable[[MessageSender, BaseException, bool], None] | None = None
        super().__init__(
            session,
            name,
            send_settle_mode,
            receive_settle_mode,
            max_message_size,
            properties,
            error_policy,
            encoding,
            desired_capabilities,
        )

    @property
    def _node(self) -> Target:
        return self.target

    def _make_core(self) -> SenderCore:
        settings = LinkSettings(
            self.name.decode(self._encoding),
            self.source,
            self.target.terminus(),
            self._wire_send_mode,
            self._wire_receive_mode,
            self._wire_max_message_size,
            self._properties,
            self._capabilities,
        )
        core = SenderCore(self._session._core, settings, self)
        core.handler = self._handler
        return core

    def _hand_to(self, handler: LinkHandler) -> None:
        """Let somebody else deal with credit, and with outcomes except those of what `send` was given."""
        self._handler = self._core.handler = handler

    def _retire(self) -> None:
        if isinstance(self._handler, Outgoing):
            self._handler.retire()

    def _detach_received(self, cause: Cause | None) -> None:
        super()._detach_received(cause)
        if self._end_handler is not None and self._error is not None:
            by_peer = cause is not None and cause.kind is CauseKind.PEER and cause.error is not None
            self._end_handler(self, self._error, by_peer)

    def send(self, message: Message, callback: Callable[..., Any] | None, timeout: float = 0) -> bool:
        """Hand a message over; it goes out as soon as the peer has given credit for it.

        Args:
            message: the message.
            callback: called as `callback(message, result, delivery_state=state)` when its fate is known: a
                `constants.MessageSendResult`, and the fields of the outcome as a list, or None.
            timeout: milliseconds until the result is `Timeout`; 0: never.

        Returns:
            False if the link isn't open.

        Raises:
            LinkDetach, ConnectionClose: the link or its connection has failed.
            ValueError: the message can't be encoded, is larger than the peer takes, or is pending in a client.
        """
        having(message, "message", "a Message", "encode_message", "message_format")
        callback = plain(callback, "callback")
        number(timeout, "timeout", "milliseconds")
        if message._entry is not None and not message._entry.done:
            raise ValueError(f"The message is pending in a client, which sends it once. {SEND_AGAIN}")
        self.get_state()
        driver = self._connection._driver
        message._on_message_sent = callback
        payload = message.encode_message()
        sent = _Sent(message, callback, driver, self._core.settings.name)
        core: Any = self._core  # a SenderCore

        def hand_over(now: float) -> None:
            entry = self._direct.outbox.new_entry(sent, now + timeout / 1000 if timeout > 0 else None, None)
            entry.tag = message.delivery_tag
            entry.message_format = message.message_format
            self._direct.send_at_once(core, entry, payload, now)
            message.state = constants.MessageState.WaitingForSendAck
            message.fate = None

        try:
            driver.command("handing a message over", hand_over)
        except MessageTooLarge as error:
            raise ValueError(str(error)) from error
        except LocalProtocolError as error:
            _logger.info("A message isn't sent: %s (%s)", error, self._whereabouts)
            return False
        return True

    def send_async(self, message: Message, callback: Callable[..., Any] | None = None, timeout: float = 0) -> bool:
        """Hand a message over without waiting; as `send`. Its `state` tells what became of it."""
        return self.send(message, callback, timeout)

    def work(self) -> None:
        """Do what is due on the link, without waiting: time-outs of messages too."""
        self._connection._driver.change("giving messages up", self._expire)
        super().work()

    def _expire(self, due: float) -> None:
        """Give up the messages whose time is over. Call it within a step of the connection."""
        self._direct.expire(due)

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Something became known of a message that `send` was given, beside what a client sends."""
        self._direct.on_outcome(delivery, now)


class _Sent(NamedTuple):
    """A message handed to `MessageSender.send`, until its fate is known."""

    message: Message
    callback: Callable[..., Any] | None
    driver: Driver
    link: str


class _Direct(Outgoing):
    """What `MessageSender.send` was given. It waits with the link itself; nothing is tried again."""

    def __init__(self) -> None:
        super().__init__(None, math.inf)

    def retry(self, entry: Entry, outcome: Outcome) -> float | None:
        """Tell that nothing is sent again."""
        return None

    def note(self, entry: Entry, outcome: Outcome) -> None:
        """Note the outcome with the message."""
        done = outcome.kind is OutcomeKind.TAKEN
        entry.item.message.state = constants.MessageState.SendComplete if done else constants.MessageState.SendFailed

    def finished(self, entry: Entry, outcome: Outcome) -> None:
        """Report the outcome to the callback."""
        message, callback, driver, link = entry.item
        if callback is None:
            return
        state = None if outcome.kind is OutcomeKind.TIMED_OUT else outcome_fields(outcome)
        try:
            answer = driver.call_out(lambda: callback(message, result_of(outcome), delivery_state=state))
            refuse_unfinished(answer, "callback")
        except Exception:  # a callback's fault must not stop the connection
            _logger.exception("The callback of a message that was sent over link %r raised an exception.", link)


def outcome_fields(outcome: Outcome) -> list[Any] | None:
    """Return an outcome's fields as 1.6 gave them; None: there is no outcome."""
    state = outcome.state
    if isinstance(state, codec.Rejected):
        if state.error is None:
            return []
        error = state.error
        return [[error.condition.encode(), errors.as_bytes(error.description), errors.as_bytes(error.info)]]
    if isinstance(state, codec.Modified):
        return [
            state.delivery_failed,
            state.undeliverable_here,
            errors.as_bytes(state.message_annotations),
        ]
    return [] if state is not None else None
