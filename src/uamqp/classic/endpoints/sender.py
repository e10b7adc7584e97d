"""`MessageSender`: a link over which messages are sent."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import codec
from ...core import LinkHandler, LinkSettings, SenderCore
from ...engine import Cause, CauseKind, LocalProtocolError, MessageTooLarge, OutgoingDelivery
from ...engine.limits import MAX_CREDIT
from ...transport.guard import Guard
from ...transport.sansio.clock import now
from ..values.arguments import encoding_of, given, having, integer, number, text
from ..vocabulary import constants, errors
from ..vocabulary.address import Source
from ..vocabulary.callbacks import plain, refuse_unfinished
from .link import MessageLink
from .sending import SEND_AGAIN, result_of

__all__ = ["MessageSender"]

if TYPE_CHECKING:
    from ..message import Message
    from ..vocabulary.address import Target
    from .session import Session

_logger = logging.getLogger("uamqp.sender")  # as in 1.6


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
        self._outcome_handler: LinkHandler | None = None  # in place of the callbacks given to `send`
        self._credit_handler: Callable[[], bool] | None = None
        self._end_handler: Callable[[MessageSender, BaseException, bool], None] | None = None
        self._deadlines: list[tuple[float, int, _Sent]] = []
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
        core.handler = self._outcome_handler
        return core

    def _handle_outcomes(self, handler: LinkHandler) -> None:
        self._outcome_handler = self._core.handler = handler

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
        pump = self._connection._pump
        message._on_message_sent = callback
        payload = message.encode_message()
        sent = _Sent(message, callback, pump.guard)
        try:
            with pump.lock, pump.guard.step("handing a message over"):
                sent.delivery = self._core.sender.send(  # type: ignore[attr-defined]  # _make_core has made a SenderCore
                    payload,
                    tag=message.delivery_tag,
                    message_format=message.message_format,
                    settled=self._send_settle_mode is constants.SenderSettleMode.Settled,
                    context=sent,
                )
                message.state = constants.MessageState.WaitingForSendAck
                message.fate = None
                if timeout > 0:
                    heapq.heappush(self._deadlines, (now() + timeout / 1000, id(sent), sent))
        except MessageTooLarge as error:
            raise ValueError(str(error)) from error
        except LocalProtocolError as error:
            _logger.info("A message isn't sent: %s (%s)", error, self._whereabouts)
            return False
        pump.flush()
        return True

    def send_async(self, message: Message, callback: Callable[..., Any] | None = None, timeout: float = 0) -> bool:
        """Hand a message over without waiting; as `send`. Its `state` tells what became of it."""
        return self.send(message, callback, timeout)

    def work(self) -> None:
        """Do what is due on the link, without waiting: time-outs of messages too."""
        connection = self._connection
        with connection._pump.lock, connection._pump.guard.step("giving messages up"):
            self._expire(now())
        super().work()

    def _expire(self, due: float) -> None:
        """Give up the messages whose time is over. Call it within a step of the connection."""
        while self._deadlines and self._deadlines[0][0] <= due:
            heapq.heappop(self._deadlines)[2].expire()

    def on_outcome(self, delivery: OutgoingDelivery) -> None:
        """Something became known of a message that was sent."""
        if delivery.context is not None:
            delivery.context.on_outcome(delivery)

    def on_credit(self) -> bool:
        """The peer gave or took credit; tell whether there is more to send than was handed over."""
        return self._credit_handler is not None and self._credit_handler()


class _Sent:
    """A message handed to `MessageSender.send`, until its fate is known."""

    __slots__ = ("_callback", "_guard", "_message", "delivery")

    def __init__(self, message: Message, callback: Callable[..., Any] | None, guard: Guard) -> None:
        self._guard = guard
        self._message: Message | None = message
        self._callback = callback
        self.delivery: OutgoingDelivery | None = None

    def on_outcome(self, delivery: OutgoingDelivery) -> None:
        """The delivery's fate changed."""
        result = result_of(delivery)
        if result is not None:
            self._finish(result, outcome_fields(delivery))

    def expire(self) -> None:
        """Its time is over."""
        if self._message is not None:
            if self.delivery is not None:
                self.delivery.withdraw()
            self._finish(constants.MessageSendResult.Timeout, None)

    def _finish(self, result: constants.MessageSendResult, state: list[Any] | None) -> None:
        message, self._message = self._message, None
        if message is None:
            return  # it had timed out
        done = result is constants.MessageSendResult.Ok
        message.state = constants.MessageState.SendComplete if done else constants.MessageState.SendFailed
        if self._callback is not None:
            try:
                with self._guard.pause():
                    refuse_unfinished(self._callback(message, result, delivery_state=state), "callback")
            except Exception:  # a callback's fault must not stop the connection
                link = self.delivery.link.name if self.delivery is not None else None
                _logger.exception("The callback of a message that was sent over link %r raised an exception.", link)


def outcome_fields(delivery: OutgoingDelivery) -> list[Any] | None:
    """Return an outcome's fields as 1.6 gave them; None: there is no outcome."""
    state = delivery.remote_state
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
