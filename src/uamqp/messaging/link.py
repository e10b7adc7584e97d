"""`LinkBase`: what senders and receivers have in common, from being opened to being closed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..core import LinkCore, SessionCore
from ..core import LinkState as State
from ..engine import LocalProtocolError
from ..transport.signals import Signal
from . import checks
from .errors import AMQPError, ClosedError
from .options import DEFAULT, Default, LinkState
from .remote import RemoteLink

T = TypeVar("T")

if TYPE_CHECKING:
    from .connection import ConnectionBase
    from .stats import ReceiverStats, SenderStats

_logger = logging.getLogger("uamqp.link")

_STATES = {
    State.IDLE: LinkState.OPENING,
    State.OPENING: LinkState.OPENING,
    State.OPEN: LinkState.OPEN,
    State.CLOSING: LinkState.CLOSING,
    State.CLOSED: LinkState.CLOSED,
    State.LOST: LinkState.FAILED,
}
_OVER = (State.CLOSED, State.LOST)


class Owner:
    """The `LinkOwner` of a sender or receiver, whose users don't see it so."""

    __slots__ = ("on_link_state",)

    def __init__(self, link: LinkBase) -> None:
        self.on_link_state = link._on_state


class LinkBase:
    """A sender or receiver.

    Args:
        connection: the connection.
        session: the session that it is attached in.
    """

    _core: LinkCore

    def __init__(self, connection: ConnectionBase, session: SessionCore) -> None:
        self._connection = connection
        self._driver = connection._driver
        self._session = session
        self._changed = Signal()
        self._error: AMQPError | None = None  # why it can't be used any more

    # -- what everybody may see

    @property
    def name(self) -> str:
        """The link's name (section 2.6.1)."""
        return self._core.settings.name

    @property
    def state(self) -> LinkState:
        """Its state."""
        return _STATES[self._core.state]

    @property
    def remote(self) -> RemoteLink | None:
        """What the peer says of its end of the link; None as long as it hasn't answered."""
        link = self._core.endpoint
        return None if link is None else RemoteLink.of(link)

    @property
    def _what(self) -> str:
        """Name it, for errors."""
        return f"the link {self.name!r}"

    # -- opening

    async def _attach(self) -> None:
        """Attach, and wait for the peer's answer.

        Raises:
            LinkFailure, OperationTimeout, ConnectionFailure: the peer refuses it, or doesn't answer.
        """
        core, driver = self._core, self._driver

        def attach(now: float) -> None:
            self._connection._links[self] = None
            core.open(now)

        self._connection._require_open()
        driver.command("attaching a link", attach)
        await driver.wait(self._changed, lambda: core.state is not State.OPENING)
        if core.state is not State.OPEN:
            raise self._error or ClosedError(f"{self._what} was closed while it was being opened")

    def _on_state(self, previous: State, state: State) -> None:
        """See `LinkOwner`."""
        if state is State.LOST:
            self._error = self._connection._error_of(self._core, previous is State.OPENING, self._what)
            if previous is not State.OPENING and not self._connection._core.is_over:
                self._connection._tell("link_lost", self._error, self)
        if state in _OVER:
            self._end(self._error or ClosedError(f"{self._what} was closed"), self._driver.time())
            self._connection._forget(self)
        self._changed.fire()

    def _end(self, error: AMQPError, now: float) -> None:
        """Handle that the link has gone. The lock is held."""
        raise NotImplementedError

    def _add_to(self, sent: SenderStats, received: ReceiverStats) -> None:
        """Add its counters to those of the connection. The lock is held."""
        raise NotImplementedError

    async def _open(self) -> None:
        """Attach, and check what the peer has granted."""
        raise NotImplementedError

    def _detach(self, now: float) -> None:
        """Begin to close it. The lock is held."""
        raise NotImplementedError

    def _use(self, what: str, function: Callable[[float], T]) -> T:
        """Run a command that needs the link to be open.

        Raises:
            ClosedError, LinkFailure, ConnectionFailure: it isn't. What is raised in a command would end the connection.
        """
        try:
            return self._driver.command(what, function)
        except LocalProtocolError as error:
            raise self._error or ClosedError(f"{self._what} is closed") from error

    # -- closing

    def _close_seconds(self, timeout: float | Default | None) -> float | None:
        if timeout is DEFAULT:
            return self._connection._settings.timeouts.close
        return checks.optional_seconds("timeout", timeout)

    def _in_vain(self, deadline: float | None, error: AMQPError) -> AMQPError:
        """Return why a wait has come to nothing.

        Args:
            deadline: of the wait.
            error: the error if the time is over; otherwise the connection has ended, and may not have said so yet.
        """
        if deadline is not None and self._driver.remaining(deadline) == 0:
            return error
        return self._error or ClosedError(f"{self._what} has ended, with its connection")

    async def _wait_until_over(self, seconds: float | None) -> None:
        """Wait until the peer has answered our detach, and the end of the session if that went with it."""
        driver, core, session = self._driver, self._core, self._session
        deadline = driver.deadline(seconds)
        is_over = await driver.wait(self._changed, lambda: core.state in _OVER, deadline)
        if is_over and session.ended and not session.is_gone:
            is_over = await driver.wait_for(lambda: session.is_gone, deadline)
        if not is_over:
            _logger.debug("The peer hasn't answered the detach of %s in time.", self._what)

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__}: {self._what}, {self.state}>"
        except AttributeError:  # it is being made
            return f"<{type(self).__name__}>"
