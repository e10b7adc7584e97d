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
    """Return an outcome in 1.6's terms."""
    if outcome.kind is OutcomeKind.TAKEN:
        return constants.MessageSendResult.Ok
    if outcome.kind is OutcomeKind.TIMED_OUT:
        return constants.MessageSendResult.Timeout
    return constants.MessageSendResult.Error


class MessageSender(MessageLink):
    """A link over which messages are sent.

    Args:
        session: the session to which it belongs.
        source: the name of our end, text or bytes; or a `Source`, from whose `outcomes` the peer may choose: all four
            if it names none.
        target: where the messages go, a `Target`.
        name: the link's name; None for a new UUID.
        send_settle_mode: `constants.SenderSettleMode`: whether the peer reports each message's outcome.
        receive_settle_mode: `constants.ReceiverSettleMode`; None if the peer settles together with the outcome.
        max_message_size: announced to the peer, in bytes, unless it is the default. It doesn't limit what is sent: the
            peer's announcement does.
        link_credit: ignored, for compatibility: the peer gives the credit.
        properties: link properties, a dict.
        error_policy: decides what errors mean; None for `ErrorPolicy()`.
        debug: ignored, for compatibility: the connection decides about tracing.
        encoding: encoding of the arguments that are text.
        desired_capabilities: requested extensions: a list of str, bytes or `AMQPSymbol`, or an `AMQPArray` of them.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.
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
        self._handler: LinkHandler = self._direct  # or a client's
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
        """Let a handler deal with credit, and with all outcomes except those of messages passed to `send`."""
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
        """Hand a message over, to go out as soon as the peer has given credit for it.

        Args:
            message: the message.
            callback: called as `callback(message, result, delivery_state=state)` when the outcome is known: with a
                `constants.MessageSendResult`, and the fields of the outcome as a list, or None.
            timeout: milliseconds until the result is `Timeout`; 0 for never.

        Returns:
            False if the link isn't open.

        Raises:
            LinkDetach, ConnectionClose: the link or its connection has failed.
            ValueError: the message can't be encoded, is larger than the peer accepts, or is pending in a client.
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
        """Hand a message over without waiting, as `send` does. Its `state` shows what became of it."""
        return self.send(message, callback, timeout)

    def work(self) -> None:
        """Do what is due on the link, including time-outs of messages, without waiting."""
        self._connection._driver.change("giving messages up", self._expire)
        super().work()

    def _expire(self, due: float) -> None:
        """Time out messages past their deadlines. Call it within a step of the connection."""
        self._direct.expire(due)

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Handle news of a message that was passed to `send`, beside a client's messages."""
        self._direct.on_outcome(delivery, now)


class _Sent(NamedTuple):
    """A message passed to `MessageSender.send`, until its outcome is known."""

    message: Message
    callback: Callable[..., Any] | None
    driver: Driver
    link: str


class _Direct(Outgoing):
    """The messages passed to `MessageSender.send`, which wait in the link itself, without retries."""

    def __init__(self) -> None:
        super().__init__(None, math.inf)

    def retry(self, entry: Entry, outcome: Outcome) -> float | None:
        """Return None: nothing is sent again."""
        return None

    def note(self, entry: Entry, outcome: Outcome) -> None:
        """Record the outcome in the message."""
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
    """Return an outcome's fields as in 1.6, or None without an outcome."""
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
