"""The common part of `MessageSender` and `MessageReceiver`."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from ...core import LinkCore, LinkState, masked
from ...engine import Cause, LocalProtocolError
from ...engine.terms import MODE_FIRST
from ...transport.drive import run
from ..values import convert
from ..values.arguments import encoded, given, having, integer, text
from ..vocabulary import constants, errors, translate
from ..vocabulary.callbacks import is_overridden, plain, refuse_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .session import Session

_LinkT = TypeVar("_LinkT", bound="MessageLink")


class NativeLink:
    """The part of 1.6's native link object that programs read."""

    def __init__(self, core: LinkCore) -> None:
        self._core = core

    @property
    def peer_max_message_size(self) -> int:
        """The largest message in bytes that the peer accepts; 0 if it gave no limit.

        Raises:
            ValueError: the link isn't attached yet.
        """
        link = self._core.endpoint
        if link is None or link.remote_attach is None:
            raise ValueError("The link is not attached yet.")
        return link.remote_max_message_size


class MessageLink:
    """Base of `MessageSender` and `MessageReceiver`: opening, closing, states, errors."""

    _states: Any = None  # the subclass's enumeration
    _kind = "link"
    _logger = logging.getLogger(__name__)  # a subclass has its module's, as in 1.6

    def __init__(
        self,
        session: Session,
        name: str | bytes | None,
        send_settle_mode: Any,
        receive_settle_mode: Any,
        max_message_size: int,
        properties: dict[Any, Any] | None,
        error_policy: errors.ErrorPolicy | None,
        encoding: str,
        desired_capabilities: Any,
    ) -> None:
        self._session = having(session, "session", "a Session", "_core", "_connection")
        self._connection = session._connection
        self._encoding = encoding
        self.name = encoded(name, "name", encoding) if name else str(uuid.uuid4()).encode()
        text(self.name, "name", encoding)
        self.error_policy = errors.policy_of(error_policy)
        for override_point in ("on_state_changed", "_detach_received"):
            plain(getattr(self, override_point), override_point)
        self._error: BaseException | None = None
        self._send_settle_mode = checked_send_mode(send_settle_mode)
        # None is PeekLock with whatever mode the peer knows; explicit PeekLock is mode second.
        mode = checked_receive_mode(receive_settle_mode)
        self._explicit_mode = mode is not None
        self._receive_settle_mode = mode if mode is not None else constants.ReceiverSettleMode.PeekLock
        self._max_message_size = checked_size(max_message_size)
        self._properties = convert.properties(properties, "properties", encoding)
        self._capabilities = convert.symbols(given(desired_capabilities), encoding, "desired_capabilities")
        self._core: LinkCore = self._make_core()

    def _make_core(self) -> Any:
        raise NotImplementedError

    def __enter__(self: _LinkT) -> _LinkT:  # noqa: PYI019 (Self needs Python 3.11)
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.destroy()

    # -- settings

    @property
    def _wire_receive_mode(self) -> int:
        if not self._explicit_mode:
            return MODE_FIRST  # every broker knows it
        return constants.RECEIVER_SETTLE_MODE_WIRE[self._receive_settle_mode]

    @property
    def _wire_send_mode(self) -> int:
        return constants.SENDER_SETTLE_MODE_WIRE[self._send_settle_mode]

    @property
    def _wire_max_message_size(self) -> int:
        # The default isn't announced: brokers that observe it would silently hold back or drop larger messages.
        default = self._max_message_size == constants.MAX_MESSAGE_LENGTH_BYTES
        return 0 if default else self._max_message_size

    @property
    def send_settle_mode(self) -> constants.SenderSettleMode:
        """Whether messages are sent settled."""
        return self._send_settle_mode

    @send_settle_mode.setter
    def send_settle_mode(self, value: Any) -> None:
        self._check_idle("send_settle_mode")
        self._send_settle_mode = constants.member_of(constants.SenderSettleMode, value, "send_settle_mode")
        self._core = self._make_core()

    @property
    def receive_settle_mode(self) -> constants.ReceiverSettleMode:
        """When received messages are settled, and by whom."""
        return self._receive_settle_mode

    @receive_settle_mode.setter
    def receive_settle_mode(self, value: Any) -> None:
        self._check_idle("receive_settle_mode")
        self._receive_settle_mode = constants.member_of(constants.ReceiverSettleMode, value, "receive_settle_mode")
        self._explicit_mode = True
        self._core = self._make_core()

    @property
    def max_message_size(self) -> int:
        """The link's largest message in bytes, announced to the peer unless it is the default; 0 for no limit."""
        return self._max_message_size

    @max_message_size.setter
    def max_message_size(self, value: int) -> None:
        self._check_idle("max_message_size")
        self._max_message_size = checked_size(value)
        self._core = self._make_core()

    def _check_idle(self, name: str) -> None:
        if self._core.state is not LinkState.IDLE:
            raise ValueError(f"{name} can't be changed once the link was opened.")

    @property
    def _whereabouts(self) -> str:
        """The node and the connection, for log lines."""
        node = masked(str(getattr(self._node, "address", None)))
        return f"node {node!r}, connection {self._connection.container_id!r} to {self._connection._peer}"

    @property
    def _node(self) -> Any:
        """The source or target at the peer's end."""
        return None

    @property
    def _link(self) -> NativeLink:
        return NativeLink(self._core)

    # -- opening and closing

    def open(self) -> None:
        """Attach the link, after connecting and beginning the session if necessary. `get_state` tells when it is open.

        Raises:
            AMQPConnectionError: the host is unknown or doesn't answer, or the connection has failed.
        """
        run(self._do_open())

    async def _do_open(self) -> None:
        await self._do_connect()
        self._attach()

    async def _do_connect(self) -> None:
        """Connect, unless that has been done."""
        try:
            await self._connection._do_start()
        except errors.ConnectionClose:
            raise
        except errors.AMQPConnectionError as error:
            raise errors.AMQPConnectionError(
                f"Failed to open {self._kind}. Please confirm credentials and target URI. {error}"
            ) from error

    def _attach(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Request the attach if `is_wanted`, once the connection has started."""

        def attach(now: float) -> None:
            core = self._session._core
            if core.ended and core.cause is None:
                raise LocalProtocolError("its session has ended.")
            if is_wanted():
                self._core.open(now)

        try:
            self._connection._driver.command("attaching a link", attach)
        except LocalProtocolError as error:
            self._error = errors.AMQPConnectionError(f"Failed to open {self._kind}: {error}")
            raise self._error from error

    def close(self, *, detach: bool = False) -> None:
        """Close the link if it is open.

        Args:
            detach: whether only to detach it, so that a durable subscription or terminus outlives it (section 2.6.3).
        """
        self._connection._driver.command("closing a link", lambda now: self._core.close(now, closed=not detach))

    def destroy(self, *, detach: bool = False) -> None:
        """Close the link and wait up to the connection's `close_timeout` for the peer's answer.

        The peer then has what was sent before: some brokers drop what they haven't handled if the connection is closed
        right after it.

        Args:
            detach: see `close`.
        """
        run(self._do_destroy(detach=detach))

    async def _do_destroy(self, *, detach: bool = False) -> None:
        if detach:
            self.close(detach=True)
        else:
            self.close()  # programs for 1.6 override it without arguments
        driver = self._connection._driver
        deadline = driver.deadline(self._connection._timeouts["close_timeout"])
        await driver.wait_for(lambda: self._core.state is not LinkState.CLOSING, deadline)

    def _retire(self) -> None:
        """Nobody has the link any more."""

    def work(self) -> None:
        """Do what is due on the link, without waiting."""
        self._connection._driver.flush()

    def get_state(self) -> Any:
        """Return the link's state.

        Raises:
            LinkDetach, ConnectionClose, MessageHandlerError: the link or its connection has failed.
        """
        if self._connection._error is not None:
            raise self._connection._error.with_traceback(None)
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._state

    @property
    def _state(self) -> Any:
        return self._state_of(self._core.state)

    def _state_of(self, state: LinkState) -> Any:
        return getattr(self._states, _STATE_NAMES[state])

    def on_state_changed(self, previous_state: Any, new_state: Any) -> Any:
        """Handle a change of state; may be overridden by a plain method."""

    # -- what the core reports

    def on_link_state(self, previous: LinkState, state: LinkState) -> None:
        """See `LinkOwner`."""
        if state is LinkState.LOST:
            self._detach_received(self._core.cause)
        old, new = self._state_of(previous), self._state_of(state)
        if old is not new:
            self._logger.info(
                "%s %r state changed from %r to %r (%s)", self._kind, self.name, old, new, self._whereabouts
            )
            if not is_overridden(self.on_state_changed, MessageLink.on_state_changed):
                return
            try:
                answer = self._connection._driver.call_out(lambda: self.on_state_changed(old, new))
                refuse_unfinished(answer, "on_state_changed")
            except Exception:  # an error in a callback must not stop the connection
                self._logger.exception("on_state_changed of %s raised an exception.", self._whereabouts)

    def _detach_received(self, cause: Cause | None) -> None:
        """Keep the exception that the next call raises."""
        if self._error is None:
            self._error = translate.link_error(cause, self.error_policy, self._connection._core.engine)
            self._logger.info("%s %r has ended: %r (%s)", self._kind, self.name, self._error, self._whereabouts)


_STATE_NAMES = {
    LinkState.IDLE: "Idle",
    LinkState.OPENING: "Opening",
    LinkState.OPEN: "Open",
    LinkState.CLOSING: "Closing",
    LinkState.CLOSED: "Idle",
    LinkState.LOST: "Error",
}


def checked_size(value: int | None) -> int:
    """Return the maximum size of messages; anything false means no limit.

    Raises:
        TypeError: it isn't an integer.
        ValueError: it is out of range.
    """
    return integer(value, "max_message_size", 0, 0xFFFFFFFFFFFFFFFF) if value else 0


def checked_send_mode(value: Any) -> constants.SenderSettleMode:
    """Return a mode; anything false stands for the default, as in 1.6.

    Raises:
        ValueError: there is no such mode.
    """
    mode = given(value)
    if mode is None:
        return constants.SenderSettleMode.Unsettled
    return constants.member_of(constants.SenderSettleMode, mode, "send_settle_mode")


def checked_receive_mode(value: Any) -> constants.ReceiverSettleMode | None:
    """Return a mode, or None for anything false, which stands for the default, as in 1.6.

    Raises:
        ValueError: there is no such mode.
    """
    mode = given(value)
    return None if mode is None else constants.member_of(constants.ReceiverSettleMode, mode, "receive_settle_mode")
