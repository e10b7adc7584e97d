"""`MessageReceiver`: a link over which messages are received."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ... import codec
from ...core import LinkSettings, LinkState, ReceiverCore
from ...engine import LocalProtocolError, Receiver
from ...engine.limits import MAX_CREDIT
from ..message import Message
from ..values.arguments import encoding_of, having, integer, text
from ..vocabulary import constants, errors, translate
from ..vocabulary.callbacks import plain_function, refuse_unfinished
from ..vocabulary.settings import CreditKeywords, Unpack
from .link import MessageLink
from .receiving import Intake, Taker

__all__ = ["MessageReceiver"]

if TYPE_CHECKING:
    from ..vocabulary.address import Source
    from .session import Session

_logger = logging.getLogger("uamqp.receiver")  # as in 1.6

_DEFAULT_PREFETCH = 10000
_CALLBACK = "on_message_received"


class MessageReceiver(MessageLink):
    """A link over which messages are received.

    Args:
        session: the session it belongs to.
        source: where the messages come from, a `Source`.
        target: the name of our end, text or bytes.
        on_message_received: called with each `Message`, while the connection works.
        name: the link's name; None for a new UUID.
        receive_settle_mode: a `constants.ReceiverSettleMode`. With None, the application settles messages, in the mode
            that every broker knows. An explicit `PeekLock` is rcv-settle-mode second, in which the peer confirms each
            settlement, if it supports that. With `ReceiveAndDelete`, messages arrive settled.
        send_settle_mode: the `constants.SenderSettleMode` that the peer is asked for.
        max_message_size: in bytes. The default is neither announced nor enforced; any other is announced, and larger
            messages end the link. 0 means no limit.
        prefetch: messages that the peer may send ahead; 0 for none until `reset_link_credit`; None for 10000.
        properties: link properties, a dict.
        error_policy: decides what errors mean; None for `ErrorPolicy()`.
        debug: ignored; accepted for compatibility, since the connection does the tracing.
        encoding: of the text among the arguments.
        desired_capabilities: extensions to ask for: a list of str, bytes or `AMQPSymbol`, or an `AMQPArray` of them.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.
    """

    __module__ = "uamqp.receiver"

    _states = constants.MessageReceiverState
    _kind = "Message Receiver"
    _core: ReceiverCore
    _logger = _logger

    def __init__(
        self,
        session: Session,
        source: Source,
        target: str | bytes,
        on_message_received: Callable[[Message], Any],
        name: str | bytes | None = None,
        receive_settle_mode: Any = None,
        send_settle_mode: Any = constants.SenderSettleMode.Unsettled,
        max_message_size: int = constants.MAX_MESSAGE_LENGTH_BYTES,
        prefetch: int | None = 300,
        properties: dict[Any, Any] | None = None,
        error_policy: errors.ErrorPolicy | None = None,
        debug: bool = False,
        encoding: str = "UTF-8",
        desired_capabilities: Any = None,
    ) -> None:
        encoding = encoding_of(encoding)
        self.source = having(source, "source", "a Source", "terminus")
        self.target = codec.Target(text(target, "target", encoding))
        self.encoding = encoding
        self._on_message = plain_function(on_message_received, _CALLBACK)
        self._intake = Intake(self, self._direct(on_message_received), encoding)
        self._prefetch = _DEFAULT_PREFETCH if prefetch is None else integer(prefetch or 0, "prefetch", 0, MAX_CREDIT)
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
    def _node(self) -> Source:
        return self.source

    def _make_core(self) -> ReceiverCore:
        settled = self._receive_settle_mode is constants.ReceiverSettleMode.ReceiveAndDelete
        settings = LinkSettings(
            self.name.decode(self._encoding),
            self.source.terminus(),
            self.target,
            self._wire_send_mode,
            self._wire_receive_mode,
            self._wire_max_message_size,
            self._properties,
            self._capabilities,
        )
        core = ReceiverCore(
            self._session._core, settings, self, credit_window=self._prefetch, at_most_once=settled, reading=False
        )
        self._intake.serve(core)
        return core

    @property
    def on_message_received(self) -> Callable[[Message], Any]:
        """The function that is called with each message. It may be set."""
        return self._on_message

    @on_message_received.setter
    def on_message_received(self, callback: Callable[[Message], Any]) -> None:
        self._on_message = plain_function(callback, _CALLBACK)
        self._intake.callback = self._direct(callback)

    def _direct(self, callback: Callable[[Message], Any]) -> Callable[[Message], Any]:
        """Return the function to call with each message; a client that takes messages in is called directly.

        A callback of the application's may use the connection in the meantime, and may raise.
        """
        if isinstance(getattr(callback, "__self__", None), Taker):
            return callback

        def call(message: Message) -> None:
            try:
                refuse_unfinished(callback(message), _CALLBACK)
            except BaseException as error:  # noqa: BLE001 (it raises what it doesn't handle)
                self._callback_failed(message, error)

        return lambda message: self._connection._driver.call_out(lambda: call(message))

    @property
    def _receiver(self) -> Receiver | None:
        link = self._core.endpoint
        return link if isinstance(link, Receiver) and self._core.state is LinkState.OPEN else None

    def reset_link_credit(self, link_credit: int, **kwargs: Unpack[CreditKeywords]) -> None:
        """Ask at once for `link_credit` messages from now on.

        Args:
            link_credit: number of messages.

        Keyword Args:
            drain: whether the peer should send what it has and return the rest of the credit.

        Raises:
            ValueError: the number is out of range, or the link isn't open.
            TypeError: an unknown keyword.
        """
        unknown = kwargs.keys() - {"drain"}
        if unknown:
            raise TypeError(f"reset_link_credit got unknown keywords: {', '.join(sorted(unknown))}")
        drain = bool(kwargs.get("drain", False))
        integer(link_credit, "link_credit", 0, MAX_CREDIT)

        def set_credit(now: float) -> None:
            receiver = self._receiver
            if receiver is None:
                raise LocalProtocolError("The link is not open: there is no credit to set.")
            receiver.set_credit(link_credit, drain=drain)

        try:
            self._connection._driver.command("setting credit", set_credit)
        except LocalProtocolError as error:
            raise ValueError(str(error)) from error

    # -- credit: the prefetch when the link opens, more while somebody reads

    @property
    def _is_reading(self) -> bool:
        """Whether credit is kept up."""
        return self._core.reading

    def _read(self) -> None:
        """Keep up the credit from now on, because somebody is reading."""
        self._connection._driver.change("asking for messages", lambda now: self._core.read())

    def _pause(self, calls: object) -> None:
        """Give no more credit, unless other calls are reading."""

        def pause(now: float) -> None:
            self._core.reading = False  # first: a call that begins now is either seen here, or sees this
            if calls:
                self._core.reading = True
            else:
                self._core.pause()

        self._connection._driver.change("asking for no more messages", pause)

    def _renew(self) -> None:
        """Give the peer credit for what was received, because somebody works the link."""
        self._connection._driver.change("asking for messages", lambda now: self._core.renew())

    def work(self) -> None:
        """Do what is due on the link, without waiting, and give the peer credit for what was received."""
        self._renew()
        super().work()

    async def _do_open(self) -> None:
        self._connection._readers.add(self)
        await super()._do_open()

    def _callback_failed(self, message: Message, error: BaseException) -> None:
        """Handle an exception that a callback raised.

        It doesn't end the connection, and the message isn't lost: it is given back, at once or together with the link
        that the error ends.
        """
        if isinstance(error, KeyboardInterrupt):
            self._give_back(message)
            self._error = errors.AMQPClientShutdown()
        elif isinstance(error, RuntimeError):
            _logger.info("on_message_received raised an exception (%s).", self._whereabouts, exc_info=error)
            self._error = translate.callback_error(error, self.error_policy)
        elif isinstance(error, Exception):
            _logger.error(
                "on_message_received raised an exception; the message is given back (%s).",
                self._whereabouts,
                exc_info=error,
            )
            self._give_back(message)
        else:
            raise error

    def _give_back(self, message: Message) -> None:
        """Give a message back for somebody else, unless it was settled."""
        try:
            if not message.settled:
                message.modify(True, True)
        except RuntimeError as error:
            _logger.info("%s (%s)", error, self._whereabouts)  # its link is gone, so the peer delivers it again
