"""A link that somebody wants: opened when its session is, reported to its owner, closed on request."""

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
    """Where a link is on its way."""

    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    """Closed on request and answered."""
    LOST = "lost"
    """Ended by the peer, a time-out, or with its session or connection; `LinkCore.cause` has the reason."""


@dataclass(slots=True)
class LinkSettings:
    """What a link is attached with; the fields are those of the attach performative (section 2.7.3)."""

    name: str
    source: AnySource
    target: AnyTarget
    snd_settle_mode: int = MODE_MIXED
    rcv_settle_mode: int = MODE_FIRST
    max_message_size: int = 0
    properties: dict[Symbol, Any] | None = None
    desired_capabilities: tuple[Symbol, ...] = ()

    def keywords(self) -> dict[str, Any]:
        """Return all but the name as arguments of `Session.attach_sender` and `attach_receiver`."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "name"}


class LinkOwner(Protocol):
    """Who hears of a link; of its state alone, if it has a `LinkHandler`. Called while events are handled; what it
    raises comes out there.
    """

    def on_link_state(self, previous: LinkState, state: LinkState) -> None:
        """The state has changed."""


class LinkHandler:
    """Deals with the deliveries and the credit of a link in place of its owner, who hears of its state alone.

    For links that have many: compiled, it hears of a delivery by a call in C.
    """

    __slots__ = ()

    def __init__(self) -> None:
        """Make a handler, which says nothing of itself."""

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        """A message arrived."""
        raise NotImplementedError

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Something became known of a message that was sent."""
        raise NotImplementedError

    def on_credit(self, now: float) -> bool:
        """The peer gave or took credit (senders only); return whether there is more to send than was handed over."""
        return False

    def on_settled(self, delivery: IncomingDelivery, now: float) -> None:
        """The sender has settled a delivery that had been given an outcome (rcv-settle-mode second)."""

    def on_drained(self, now: float) -> None:
        """The sender has used up its credit or given it back, as it was asked to (`Receiver.set_credit`)."""

    def on_flow_properties(self, properties: dict[Symbol, Any], now: float) -> None:
        """A flow for the link carries properties."""


class LinkCore:
    """A link of a session.

    Attributes:
        session: the session it belongs to.
        settings: what it is attached with.
        owner: who hears of its state.
        state: see `LinkState`.
        cause: why it was lost; None while it wasn't.
        endpoint: the engine's link; None before the session is open.
        remote_closed: the peer has closed the link. False: it hasn't ended, or the peer has only detached it, or it
            went with its session or connection; then the peer's terminus may live on, and the link may be attached to
            it again (section 2.6.3).
        handler: who hears of deliveries, outcomes and credit; None: nobody does.
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
        """Where the link is on its way."""
        return self._state

    def _set_state(self, state: LinkState) -> None:
        previous = self._state
        if state is not previous:
            self._state = state
            self.owner.on_link_state(previous, state)

    @property
    def remote_max_message_size(self) -> int:
        """The largest message in bytes that the peer takes; 0: it gave no limit, or hasn't answered yet."""
        return self.endpoint.remote_max_message_size if self.endpoint is not None else 0

    def open(self, now: float) -> None:
        """Attach as soon as the session is open. Does nothing when that was asked for already."""
        if self._state is LinkState.IDLE:
            self._set_state(LinkState.OPENING)
            self.session.add_link(self, now)

    def close(self, now: float, *, closed: bool = True) -> None:
        """Detach; does nothing on a link that isn't open or opening.

        Args:
            closed: close the link; False: its terminus outlives it (section 2.6.3), as far as its expiry policy says.
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
        """Both sides have attached. A link that the peer refuses isn't open: its detach follows."""
        link = self.endpoint
        if self._state is LinkState.OPENING and link is not None and link.is_open and not link.is_refused:
            self._set_state(LinkState.OPEN)

    def on_detached(self, cause: Cause | None, *, closed: bool = False) -> None:
        """The link is gone; `closed` by the peer, or not."""
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

    Its source names the outcomes that we can deal with, which are all there are, unless it names any already: where
    none are named a receiver can count on accepted alone (section 3.5.3), and has to end the link over a message that
    it would reject.
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
        if self._state is not LinkState.OPEN or not isinstance(self.endpoint, Sender):
            raise LocalProtocolError(f"link {self.settings.name!r} is not open")
        return self.endpoint

    @property
    def credit(self) -> int:
        """Messages that can go out now; 0 when the link isn't open."""
        return self.endpoint.credit if self._state is LinkState.OPEN and isinstance(self.endpoint, Sender) else 0


class ReceiverCore(LinkCore):
    """A link over which we receive. It attaches without credit: nothing arrives while things are set up.

    Args:
        credit_window: deliveries that the sender may be ahead, from the moment when the link is open; 0: none, until
            its user gives credit.
        at_most_once: ask the sender to send settled, whatever the settings say: only so does every broker forget what
            it has sent.
        reading: give credit anew as deliveries leave; False: that which is given when the link opens, and no more
            until `read`.

    Attributes:
        at_most_once, credit_window, reading: see there.
    """

    __slots__ = ("at_most_once", "credit_window", "reading")

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
        """Both sides have attached: give credit."""
        super().on_opened()
        if self._state is LinkState.OPEN and isinstance(self.endpoint, Receiver) and self.credit_window:
            self.endpoint.auto_credit(self.credit_window)
            if not self.reading:
                self.endpoint.pause_credit()

    def read(self) -> None:
        """Somebody reads from now on: keep up the credit."""
        self.reading = True
        if isinstance(self.endpoint, Receiver):
            self.endpoint.resume_credit()

    def pause(self) -> None:
        """Nobody reads from now on: what was given stays, and no more is given."""
        self.reading = False
        if isinstance(self.endpoint, Receiver):
            self.endpoint.pause_credit()

    def renew(self) -> None:
        """Give credit for what has left, though nobody may be reading: once, if half of the window is used."""
        if isinstance(self.endpoint, Receiver):
            self.endpoint.renew()

    @property
    def receiver(self) -> Receiver:
        """The engine's receiver.

        Raises:
            LocalProtocolError: the link isn't open.
        """
        if self._state is not LinkState.OPEN or not isinstance(self.endpoint, Receiver):
            raise LocalProtocolError(f"link {self.settings.name!r} is not open")
        return self.endpoint
