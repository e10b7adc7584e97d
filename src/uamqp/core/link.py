"""A link in use: opened once its session is, reported to its owner, closed on request."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..codec import Accepted, Modified, Rejected, Released, Source, Symbol
from ..engine import (
    Cause,
    EndpointState,
    IncomingDelivery,
    Link,
    LocalProtocolError,
    OutgoingDelivery,
    Receiver,
    Sender,
)
from ..engine.terms import MODE_FIRST, MODE_MIXED, MODE_SETTLED, AnySource, AnyTarget

if TYPE_CHECKING:
    from .session import SessionCore


_OUTCOMES = tuple(Symbol(outcome.NAME) for outcome in (Accepted, Rejected, Released, Modified))


class LinkState(enum.Enum):
    """The stages of a link's life."""

    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    """Closed on request and answered."""
    LOST = "lost"
    """Ended by the peer, a time-out, or with its session or connection; `LinkCore.cause` has the reason."""


_OPEN = LinkState.OPEN  # looking it up in its class takes long in Python 3.10 and 3.11


@dataclass(slots=True)
class LinkSettings:
    """The settings a link is attached with: fields of the attach performative (section 2.7.3)."""

    name: str
    source: AnySource
    target: AnyTarget
    snd_settle_mode: int = MODE_MIXED
    rcv_settle_mode: int = MODE_FIRST
    max_message_size: int = 0
    properties: dict[Symbol, Any] | None = None
    desired_capabilities: tuple[Symbol, ...] = ()

    def keywords(self) -> dict[str, Any]:
        """Return everything except the name as arguments for `Session.attach_sender` and `attach_receiver`."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "name"}


class LinkOwner(Protocol):
    """The object that is told of a link's state while events are handled. Its exceptions propagate from there."""

    def on_link_state(self, previous: LinkState, state: LinkState) -> None:
        """Handle a change of state."""


class LinkHandler:
    """Handles the deliveries and the credit of a link, whose owner is told only of its state.

    In the compiled build, each delivery is reported by a call in C.
    """

    __slots__ = ()

    def __init__(self) -> None:
        """Make a handler; its class describes it."""

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        """Handle a message that arrived."""
        raise NotImplementedError

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Handle news about a message that was sent."""
        raise NotImplementedError

    def on_credit(self, now: float) -> bool:
        """Handle a change of credit (senders only); return whether there is more to send than was handed over."""
        return False

    def on_settled(self, delivery: IncomingDelivery, now: float) -> None:
        """Handle the sender's settlement of a delivery that has an outcome (rcv-settle-mode second)."""

    def on_drained(self, now: float) -> None:
        """Handle that the sender has used up or given back its credit, as `Receiver.set_credit` asked it to."""

    def on_flow_properties(self, properties: dict[Symbol, Any], now: float) -> None:
        """Handle the properties of a flow for the link."""


class LinkCore:
    """A link of a session.

    Attributes:
        session: the session it belongs to.
        settings: what it is attached with.
        owner: the object that is told of its state.
        state: see `LinkState`.
        cause: why it was lost; None while it isn't.
        endpoint: the engine's link; None before the session is open.
        remote_closed: whether the peer has closed the link. If it ended without that, because the peer only detached
            it or it went with its session or connection, the peer's terminus may live on, and the link may be attached
            to it again (section 2.6.3).
        handler: the object that is told of deliveries, outcomes and credit; None if there is none.
    """

    __slots__ = ("_state", "cause", "endpoint", "handler", "owner", "remote_closed", "session", "settings")

    def __init__(self, session: SessionCore, settings: LinkSettings, owner: LinkOwner) -> None:
        self.session = session
        self.settings = settings
        self.owner = owner
        self._state = LinkState.IDLE
        self.cause: Cause | None = None
        self.remote_closed = False
        self.endpoint: Link | None = None
        self.handler: LinkHandler | None = None

    @property
    def state(self) -> LinkState:
        """The link's state."""
        return self._state

    def _set_state(self, state: LinkState) -> None:
        previous = self._state
        if state is not previous:
            self._state = state
            self.owner.on_link_state(previous, state)

    @property
    def remote_max_message_size(self) -> int:
        """The largest message in bytes that the peer accepts; 0 if it gave no limit or hasn't answered yet."""
        return self.endpoint.remote_max_message_size if self.endpoint is not None else 0

    def open(self, now: float) -> None:
        """Attach as soon as the session is open; only the first call counts."""
        if self._state is LinkState.IDLE:
            self._set_state(LinkState.OPENING)
            self.session.add_link(self, now)

    def close(self, now: float, *, closed: bool = True) -> None:
        """Detach a link that is open or opening.

        Args:
            now: the time.
            closed: True closes the link; with False its terminus outlives it (section 2.6.3) if its expiry policy
                allows that.
        """
        if self._state not in (LinkState.OPENING, LinkState.OPEN):
            return
        self.session.remove_link(self)
        link = self.endpoint
        if link is None or link.local_state is not EndpointState.ACTIVE or not self.session.connection.is_open:
            self._set_state(LinkState.CLOSED)
            return
        self._set_state(LinkState.CLOSING)
        link.detach(now, closed=closed)

    # -- for the session

    def attach(self, now: float) -> None:
        """Send the attach."""
        raise NotImplementedError

    def on_opened(self) -> None:
        """Note that both sides have attached. A link that the peer refuses isn't open: its detach follows."""
        link = self.endpoint
        if self._state is LinkState.OPENING and link is not None and link.is_open and not link.is_refused:
            self._set_state(LinkState.OPEN)

    def on_detached(self, cause: Cause | None, *, closed: bool = False) -> None:
        """Note that the link is gone; `closed` tells whether the peer closed it."""
        if self._state in (LinkState.CLOSED, LinkState.LOST):
            return
        self.remote_closed = closed
        self.session.remove_link(self)
        if self._state is LinkState.CLOSING:
            self._set_state(LinkState.CLOSED)
        else:
            self.cause = cause
            self._set_state(LinkState.LOST)


class SenderCore(LinkCore):
    """A link over which we send.

    Unless its source names outcomes already, it names all that exist, since we can deal with all of them: without them
    a receiver may only rely on accepted (section 3.5.3), and has to end the link over a message it would reject.
    """

    __slots__ = ()

    def attach(self, now: float) -> None:
        """Send the attach."""
        session = self.session.require_open()
        settings = self.settings.keywords()
        source = settings["source"]
        if isinstance(source, Source) and not source.outcomes:
            settings["source"] = replace(source, outcomes=_OUTCOMES)
        self.endpoint = session.attach_sender(now, self.settings.name, **settings)
        self.endpoint.context = self

    @property
    def sender(self) -> Sender:
        """The engine's sender.

        Raises:
            LocalProtocolError: the link isn't open.
        """
        if self._state is not _OPEN or not isinstance(self.endpoint, Sender):
            raise LocalProtocolError(f"link {self.settings.name!r} is not open")
        return self.endpoint

    @property
    def credit(self) -> int:
        """Number of messages that can go out now; 0 if the link isn't open."""
        return self.endpoint.credit if self._state is _OPEN and isinstance(self.endpoint, Sender) else 0


class ReceiverCore(LinkCore):
    """A link over which we receive. It attaches without credit, so that nothing arrives during the setup.

    Args:
        session: see `LinkCore`.
        settings: see `LinkCore`.
        owner: see `LinkCore`.
        credit_window: deliveries that the sender may be ahead once the link is open; 0 for none until the user gives
            credit.
        at_most_once: whether to ask the sender to send settled, whatever the settings say: only then does every broker
            forget what it has sent.
        reading: whether to renew credit as deliveries leave; if False, no more is given after the link has opened until
            `read` is called.

    Attributes:
        answers_drain: whether the peer gives credit back when it is asked to; False once it didn't.
        at_most_once, credit_window, reading: see above.
    """

    __slots__ = ("answers_drain", "at_most_once", "credit_window", "reading")

    def __init__(
        self,
        session: SessionCore,
        settings: LinkSettings,
        owner: LinkOwner,
        *,
        credit_window: int = 0,
        at_most_once: bool = False,
        reading: bool = True,
    ) -> None:
        super().__init__(session, settings, owner)
        self.answers_drain = True
        self.credit_window = credit_window
        self.at_most_once = at_most_once
        self.reading = reading
        if at_most_once:
            self.settings = replace(settings, snd_settle_mode=MODE_SETTLED)

    def attach(self, now: float) -> None:
        """Send the attach."""
        session = self.session.require_open()
        self.endpoint = session.attach_receiver(now, self.settings.name, **self.settings.keywords())
        self.endpoint.context = self

    def on_opened(self) -> None:
        """Give credit, because both sides have attached."""
        super().on_opened()
        if self._state is _OPEN and isinstance(self.endpoint, Receiver) and self.credit_window:
            self.endpoint.auto_credit(self.credit_window)
            if not self.reading:
                self.endpoint.pause_credit()

    def begin(self, window: int) -> None:
        """Give the first credit, and keep it up from now on, for a link that was opened without."""
        self.credit_window = window
        self.receiver.auto_credit(window)

    def read(self) -> None:
        """Keep up the credit from now on, because somebody is reading."""
        self.reading = True
        if isinstance(self.endpoint, Receiver):
            self.endpoint.resume_credit()

    def pause(self) -> None:
        """Give no more credit from now on, because nobody is reading; what was given stays."""
        self.reading = False
        if isinstance(self.endpoint, Receiver):
            self.endpoint.pause_credit()

    def take_credit_back(self) -> bool:
        """Ask for the credit that the peer hasn't used, and give no more.

        Returns:
            Whether `LinkHandler.on_drained` will tell when it has come back, with all that was sent before. Otherwise
            something may still be under way, and nobody tells when it has come.
        """
        self.pause()
        link = self.receiver
        if self.answers_drain and self.session.connection.abilities.drains:
            link.set_credit(link.credit, drain=True)
            return True
        link.set_credit(0)
        return False

    def end_credit(self) -> None:
        """Give no more credit from now on, and take back what was given, if the link is still there."""
        self.pause()
        if self._state is LinkState.OPEN:
            try:
                self.receiver.set_credit(0)
            except LocalProtocolError:
                pass  # the peer has ended it, which is reported as an event

    def renew(self) -> None:
        """Give credit once for what has left, even if nobody is reading: if half of the window is used."""
        if isinstance(self.endpoint, Receiver):
            self.endpoint.renew()

    @property
    def receiver(self) -> Receiver:
        """The engine's receiver.

        Raises:
            LocalProtocolError: the link isn't open.
        """
        if self._state is not _OPEN or not isinstance(self.endpoint, Receiver):
            raise LocalProtocolError(f"link {self.settings.name!r} is not open")
        return self.endpoint
