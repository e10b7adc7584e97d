"""A connection that somebody wants: the open sequence, and who hears of which event."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from ..codec import Error
from ..engine import (
    Cause,
    CauseKind,
    EndpointState,
    Engine,
    EngineConfig,
    IncomingDelivery,
    Link,
    LocalProtocolError,
    OutgoingDelivery,
    Session,
    Trace,
    conditions,
)
from ..engine.events import (
    ConnectionClosed,
    ConnectionOpened,
    CreditChanged,
    Event,
    FlowProperties,
    IncomingSettled,
    LinkDetached,
    LinkOpened,
    LinkOpening,
    ReceiverDrained,
    SessionEnded,
    SessionOpened,
    SessionOpening,
)
from .link import LinkCore
from .session import SessionCore
from .timers import Timers

if TYPE_CHECKING:
    from .tokens import TokenKeeper

_logger = logging.getLogger(__name__)


class ConnectionOwner(Protocol):
    """Who hears of a connection. Called while events are handled; what it raises comes out there."""

    def on_connection_opened(self) -> None:
        """Both sides have opened it."""

    def on_connection_closed(self, cause: Cause | None) -> None:
        """It is over; nothing more will come. `cause` is None when that was asked for."""

    def on_attach(self, link: LinkCore) -> None:
        """The peer has answered the attach of a link; it may be a refusal."""


class ConnectionCore:
    """One connection, from the wish to the end.

    Attributes:
        engine: the engine, None before `start`.
        owner: who hears of it.
        closed: somebody wants it closed, or has given it up; it may not be over yet, or never have been started.
        cause: why it ended; None while it hasn't, or when that was asked for.
        ended: all have heard that it has.
        keeper: keeps the token in force that it needs; None: it needs none.
        timers: what else has deadlines on the connection, such as messages that wait to be sent.
    """

    __slots__ = ("_backlog", "_sessions", "cause", "closed", "ended", "engine", "keeper", "owner", "timers")

    def __init__(self, owner: ConnectionOwner) -> None:
        self.owner = owner
        self.engine: Engine | None = None
        self.cause: Cause | None = None
        self.closed = False
        self.ended = False
        self.keeper: TokenKeeper | None = None
        self._sessions: list[SessionCore] = []
        self._backlog: list[Event] = []  # events that a raising handler has left behind
        self.timers = Timers()

    @property
    def is_open(self) -> bool:
        """Both sides have opened it, and none has closed it."""
        engine = self.engine
        return (
            engine is not None
            and engine.local_state is EndpointState.ACTIVE
            and engine.remote_state is EndpointState.ACTIVE
        )

    @property
    def is_over(self) -> bool:
        """It was closed, or is being closed: nothing that anybody waits for will come any more."""
        engine = self.engine
        if engine is None:
            return self.closed
        return engine.local_state is EndpointState.CLOSED or engine.is_closed

    def is_ready(self, wall: float) -> bool:
        """Return whether a front may attach its links and send: no token is needed, or one is in force.

        Args:
            wall: seconds since 1970.
        """
        return self.keeper is None or self.keeper.is_in_force(wall)

    def require_engine(self) -> Engine:
        """Return the engine.

        Raises:
            LocalProtocolError: the connection wasn't started.
        """
        if self.engine is None:
            raise LocalProtocolError("the connection wasn't started")
        return self.engine

    def start(self, config: EngineConfig, now: float, trace: Trace | None = None) -> Engine:
        """Make the engine and have it open the connection.

        Raises:
            LocalProtocolError: it was started already.
        """
        if self.engine is not None:
            raise LocalProtocolError("the connection was started already")
        self.engine = Engine(config, now, trace=trace)
        self.engine.context = self
        self.engine.open(now)
        return self.engine

    def close(self, now: float) -> None:
        """Close the connection; `on_connection_closed` tells when it is done."""
        self.closed = True
        if self.engine is not None:
            self.engine.close(now)

    def next_deadline(self) -> float | None:
        """Return when `tick` and `expire` are to be called, in monotonic seconds; None: not at all, as things are."""
        engine = self.engine
        if engine is None or self.ended:
            return None
        first, second = engine.next_deadline(), self.timers.next_deadline()
        return second if first is None or (second is not None and second < first) else first

    def tick(self, now: float) -> None:
        """Do what is due on the wire: see `Engine.tick`."""
        if self.engine is not None:
            self.engine.tick(now)

    def expire(self, now: float) -> bool:
        """Do what else is due, once what has arrived was handled; return whether anything was."""
        return not self.ended and self.timers.expire(now)

    def add_session(self, session: SessionCore, now: float) -> None:
        """Begin the session as soon as the connection is open."""
        self._sessions.append(session)
        if self.is_open:
            session.begin(now)

    def remove_session(self, session: SessionCore) -> None:
        """The session is going, or gone."""
        if session in self._sessions:
            self._sessions.remove(session)

    def handle_events(self, now: float) -> bool:
        """Hand the engine's events to whom they concern; return whether there were any.

        When a handler raises, the events after it are kept for the next call.
        """
        engine = self.engine
        if engine is None:
            return False
        handled = False
        events = engine.events()
        while events or self._backlog:
            handled = True
            self.handle_all(events, now)
            events = engine.events()
        return handled

    @property
    def has_backlog(self) -> bool:
        """A handler has raised, and the events after it are still to be handled."""
        return bool(self._backlog)

    def handle_all(self, events: list[Event], now: float) -> None:
        """Hand events of the engine to whom they concern; what is kept of earlier ones comes first.

        When a handler raises, the events after it are kept for the next call.
        """
        done = 0
        try:
            if self._backlog:
                events, self._backlog = self._backlog + events, []
            for event in events:
                done += 1
                self._handle(event, now)
        except BaseException:
            self._backlog = events[done:]
            raise

    def _handle(self, event: Event, now: float) -> None:
        """Hand one event of the engine to whom it concerns."""
        kind = type(event)
        core: LinkCore | None
        if kind is IncomingDelivery:
            arrived: Any = event
            core = arrived.link.context
            if core is not None:
                handler = core.handler
                if handler is not None:
                    handler.on_delivery(arrived, now)
        elif kind is OutgoingDelivery:
            sent: Any = event
            core = sent.link.context
            if core is not None:
                handler = core.handler
                if handler is not None:
                    handler.on_outcome(sent, now)
        elif kind is IncomingSettled:
            settled: Any = event
            arrived = settled.delivery
            core = arrived.link.context
            if core is not None:
                handler = core.handler
                if handler is not None:
                    handler.on_settled(arrived, now)
        else:
            self._on_event(event, now)

    def _on_event(self, event: Event, now: float) -> None:
        if isinstance(event, CreditChanged):
            changed: LinkCore | None = event.sender.context
            if changed is not None:
                listener = changed.handler
                if listener is None or not listener.on_credit(now):
                    event.sender.drained()
        elif isinstance(event, ConnectionOpened):
            self.owner.on_connection_opened()
            if self.is_open:  # it may have been closed at the same moment: that event follows
                for session in tuple(self._sessions):
                    session.begin(now)
        elif isinstance(event, SessionOpened):
            if self.is_open and event.session.context.is_open:
                event.session.context.on_opened(now)
        elif isinstance(event, LinkOpened):
            core: LinkCore = event.link.context
            core.session.on_link_attached(core)
        elif isinstance(event, LinkDetached):
            if event.link.context is not None:
                event.link.context.session.on_link_detached(event.link, event.cause, now, closed=event.closed)
        elif isinstance(event, SessionEnded):
            if event.session.context is not None:
                event.session.context.on_ended(event.cause, now)
        elif isinstance(event, SessionOpening) and _is_unanswered(event.session):
            event.session.refuse(now, Error(conditions.NOT_ALLOWED, "this container begins its sessions itself"))
        elif isinstance(event, LinkOpening) and _is_unanswered(event.link):
            if not event.link.take_as_answer():
                event.link.refuse(now, Error(conditions.NOT_ALLOWED, "this container attaches its links itself"))
        elif isinstance(event, ReceiverDrained):
            drained: LinkCore | None = event.receiver.context
            if drained is not None and drained.handler is not None:
                drained.handler.on_drained(now)
        elif isinstance(event, FlowProperties):
            self._on_flow_properties(event, now)
        elif isinstance(event, ConnectionClosed):
            self.end(event.cause, now)

    def _on_flow_properties(self, event: FlowProperties, now: float) -> None:
        if event.link is None:
            session: SessionCore | None = event.session.context
            if session is not None:
                session.flow_properties = event.properties
            return
        core: LinkCore | None = event.link.context
        if core is not None and core.handler is not None:
            core.handler.on_flow_properties(event.properties, now)

    def give_up(self, why: str, now: float) -> None:
        """Something is half done, and nobody knows what of it took place: the connection is over, whatever it was."""
        engine = self.engine
        if engine is None:
            return
        try:
            engine.abort(now, why, kind=CauseKind.LOCAL)
            self.handle_events(now)
        except Exception:
            _logger.debug("The engine was interrupted in a state that it can't be ended in.", exc_info=True)
        self.end(engine.cause or Cause(CauseKind.LOCAL, None, why), now)

    def end(self, cause: Cause | None, now: float) -> None:
        """The connection is over: tell all whom it concerns, unless they have heard of it."""
        if not self.ended:
            self.cause = cause
            for session in tuple(self._sessions):
                session.on_ended(cause, now)
            self.owner.on_connection_closed(cause)
            self.ended = True  # when all know it: an exception may come in between


def _is_unanswered(endpoint: Session | Link) -> bool:
    """Whether what the peer has opened still waits for our answer: it may have gone at the same moment."""
    return endpoint.local_state is EndpointState.IDLE and endpoint.remote_state is EndpointState.ACTIVE
