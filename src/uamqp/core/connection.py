"""A connection in use: the sequence of opening it, and who is told of which event."""

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
from .abilities import Abilities, abilities_of
from .link import LinkCore
from .session import SessionCore
from .timers import Timers

if TYPE_CHECKING:
    from .tokens import TokenKeeper

_logger = logging.getLogger(__name__)


class ConnectionOwner(Protocol):
    """The object that is told of a connection's state while events are handled. Its exceptions propagate from there."""

    def on_connection_opened(self) -> None:
        """Handle that both sides have opened it."""

    def on_connection_closed(self, cause: Cause | None) -> None:
        """Handle its end, the last event. `cause` is None if its end was requested."""

    def on_attach(self, link: LinkCore) -> None:
        """Handle the peer's answer to the attach of a link, which may be a refusal."""


class ConnectionCore:
    """One connection, from the request for it to its end.

    Attributes:
        engine: the engine, None before `start`.
        owner: the object that is told of its state.
        closed: whether somebody wants it closed, or has aborted it; it may not be over yet, or never have been started.
        cause: why it ended; None while it hasn't, or if its end was requested.
        ended: whether everybody has been told that it has ended.
        keeper: keeps its token valid; None if it needs no token.
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
        self._backlog: list[Event] = []  # events left over after a handler raised
        self.timers = Timers()

    @property
    def is_open(self) -> bool:
        """Whether both sides have opened it, and neither has closed it."""
        engine = self.engine
        return (
            engine is not None
            and engine.local_state is EndpointState.ACTIVE
            and engine.remote_state is EndpointState.ACTIVE
        )

    @property
    def is_over(self) -> bool:
        """Whether it was closed, or is being closed, so that nothing anybody waits for will still come."""
        engine = self.engine
        if engine is None:
            return self.closed
        return engine.local_state is EndpointState.CLOSED or engine.is_closed

    @property
    def abilities(self) -> Abilities:
        """What the peer can do, although it may say something else."""
        return abilities_of(None if self.engine is None else self.engine.remote_open)

    def is_ready(self, wall: float) -> bool:
        """Return whether a front may attach its links and send: no token is needed, or a valid one was put.

        Args:
            wall: seconds since 1970.
        """
        return self.keeper is None or self.keeper.is_in_force(wall)

    def require_engine(self) -> Engine:
        """Return the engine.

        Raises:
            LocalProtocolError: the connection hasn't been started.
        """
        if self.engine is None:
            raise LocalProtocolError("the connection wasn't started")
        return self.engine

    def start(self, config: EngineConfig, now: float, trace: Trace | None = None) -> Engine:
        """Make the engine and have it open the connection.

        Raises:
            LocalProtocolError: the connection has already been started.
        """
        if self.engine is not None:
            raise LocalProtocolError("the connection was started already")
        self.engine = Engine(config, now, trace=trace)
        self.engine.context = self
        self.engine.open(now)
        return self.engine

    def close(self, now: float) -> None:
        """Close the connection; `on_connection_closed` follows when that is done."""
        self.closed = True
        if self.engine is not None:
            self.engine.close(now)

    def next_deadline(self) -> float | None:
        """Return when to call `tick` and `expire`, in monotonic seconds, or None if nothing will become due."""
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
        """Do what else is due, after input was handled; return whether anything was."""
        return not self.ended and self.timers.expire(now)

    def add_session(self, session: SessionCore, now: float) -> None:
        """Begin the session as soon as the connection is open."""
        self._sessions.append(session)
        if self.is_open:
            session.begin(now)

    def remove_session(self, session: SessionCore) -> None:
        """Forget a session that is ending or gone."""
        if session in self._sessions:
            self._sessions.remove(session)

    def handle_events(self, now: float) -> bool:
        """Pass the engine's events to whoever they concern; return whether there were any.

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
        """Whether a handler raised, and the events after that are still to be handled."""
        return bool(self._backlog)

    def handle_all(self, events: list[Event], now: float) -> None:
        """Pass events of the engine to whoever they concern, after those that were kept earlier.

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
        """Pass one event of the engine to whoever it concerns."""
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
            if self.is_open:  # it may have been closed in the same read: that event follows
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
        """End the connection, because something is half done and nobody knows how far it got."""
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
        """Tell everybody concerned, once, that the connection is over."""
        if not self.ended:
            self.cause = cause
            for session in tuple(self._sessions):
                session.on_ended(cause, now)
            self.owner.on_connection_closed(cause)
            self.ended = True  # once everybody knows: an exception may interrupt that


def _is_unanswered(endpoint: Session | Link) -> bool:
    """Return whether something the peer opened still awaits our answer: it may have gone in the same read."""
    return endpoint.local_state is EndpointState.IDLE and endpoint.remote_state is EndpointState.ACTIVE
