"""A session in use, with its links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..codec import Symbol
from ..engine import Cause, CauseKind, EndpointState, Link, LocalProtocolError, Session, conditions
from ..engine.terms import MAX_HANDLE, MODE_FIRST, OUTGOING_WINDOW
from .link import LinkCore, LinkState

if TYPE_CHECKING:
    from .connection import ConnectionCore


class SessionCore:
    """A session of a connection: begun when the connection is open, its links attached when it is.

    A broker that doesn't know rcv-settle-mode second refuses the link, or ends the whole session over it
    (amqp:not-implemented). The link is then attached anew with mode first, together with the other links that were
    opening, and in a new session if the old one is gone; their owners don't notice.

    Args:
        connection: the connection it belongs to.
        incoming_window: see `Engine.begin`.
        outgoing_window: see `Engine.begin`.
        handle_max: see `Engine.begin`.
        fresh_channel: whether to take a channel that no session has used, if there is one: for connections on which
            sessions come and go. RabbitMQ 4 loses some begins on a channel whose session has just ended.

    Attributes:
        cause: why the session ended; None while it hasn't, or if its end was requested.
        ended: whether it is over.
        endpoint: the engine's session; None before the connection is open.
        flow_properties: those of the peer's latest flow for the session that had any.
    """

    __slots__ = (
        "_fresh_channel",
        "_handle_max",
        "_incoming_window",
        "_links",
        "_outgoing_window",
        "_undecided",
        "cause",
        "connection",
        "ended",
        "endpoint",
        "flow_properties",
        "wanted",
    )

    def __init__(
        self,
        connection: ConnectionCore,
        *,
        incoming_window: int,
        outgoing_window: int = OUTGOING_WINDOW,
        handle_max: int = MAX_HANDLE,
        fresh_channel: bool = False,
    ) -> None:
        self.connection = connection
        self._fresh_channel = fresh_channel
        self._incoming_window = incoming_window
        self._outgoing_window = outgoing_window
        self._handle_max = handle_max
        self.endpoint: Session | None = None
        self.cause: Cause | None = None
        self.ended = False
        self.flow_properties: dict[Symbol, Any] = {}
        self.wanted = False
        self._links: list[LinkCore] = []
        self._undecided: list[LinkCore] = []  # links that ended with the session, and may be attached anew

    @property
    def is_open(self) -> bool:
        """Whether both sides have begun it."""
        session = self.endpoint
        return (
            session is not None
            and session.local_state is EndpointState.ACTIVE
            and session.remote_state is EndpointState.ACTIVE
        )

    @property
    def is_gone(self) -> bool:
        """Whether it is over for the peer as well, so that another may be begun in its place."""
        session = self.endpoint
        return session is None or session.remote_state is EndpointState.CLOSED or not self.connection.is_open

    def require_open(self) -> Session:
        """Return the engine's session.

        Raises:
            LocalProtocolError: the session isn't open.
        """
        if self.endpoint is None or not self.is_open:
            raise LocalProtocolError("the session is not open")
        return self.endpoint

    def open(self, now: float) -> None:
        """Begin as soon as the connection is open; only the first call counts."""
        if not self.wanted and not self.ended:
            self.wanted = True
            self.connection.add_session(self, now)

    def end(self, now: float) -> None:
        """End the session and its links."""
        if self.ended:
            return
        self.ended = True
        self.connection.remove_session(self)
        session = self.endpoint
        if session is not None and session.local_state is EndpointState.ACTIVE and self.connection.is_open:
            session.end(now)
        for link in tuple(self._links):
            link.close(now)

    def add_link(self, link: LinkCore, now: float) -> None:
        """Attach the link as soon as the session is open."""
        if self.ended:
            raise LocalProtocolError("the session has ended")
        self._links.append(link)
        self.open(now)
        if self.is_open:
            self._attach(link, now)

    def _attach(self, link: LinkCore, now: float) -> None:
        try:
            link.attach(now)
        except LocalProtocolError as error:  # the peer's limits don't allow it
            link.on_detached(Cause(CauseKind.LOCAL, None, str(error)))

    def remove_link(self, link: LinkCore) -> None:
        """Forget a link that is ending or gone."""
        if link in self._links:
            self._links.remove(link)

    # -- for the connection

    def begin(self, now: float, *, again: bool = False) -> None:
        """Send the begin; a session that the peer's limits don't allow ends at once.

        Args:
            now: the time.
            again: whether this follows directly on a session's end. RabbitMQ 4 loses some begins on that channel.
        """
        engine = self.connection.require_engine()
        try:
            self.endpoint = engine.begin(
                now,
                incoming_window=self._incoming_window,
                outgoing_window=self._outgoing_window,
                handle_max=self._handle_max,
                fresh_channel=again or self._fresh_channel,
            )
        except LocalProtocolError as error:
            self.on_ended(Cause(CauseKind.LOCAL, None, str(error)), now)
        else:
            self.endpoint.context = self

    def on_opened(self, now: float) -> None:
        """Attach the links, because both sides have begun."""
        for link in tuple(self._links):
            if link.state is LinkState.OPENING:
                self._attach(link, now)

    def on_link_attached(self, core: LinkCore) -> None:
        """Handle the peer's answer to a link's attach."""
        if not _waits_for_reason(core):
            self.connection.owner.on_attach(core)
        core.on_opened()

    def on_link_detached(self, link: Link, cause: Cause | None, now: float, *, closed: bool) -> None:
        """Handle the end of a link, alone or with the session; `closed` tells whether the peer closed it."""
        core: LinkCore = link.context
        opening = core.state is LinkState.OPENING and core.endpoint is link
        if opening and _is_not_implemented(cause):
            if link.session.remote_state is EndpointState.CLOSED:
                if link.remote_attach is None:
                    self._undecided.append(core)  # `on_ended` follows
                    return
            elif self.is_open and core.settings.rcv_settle_mode != MODE_FIRST:
                core.settings.rcv_settle_mode = MODE_FIRST
                self._attach(core, now)
                return
        if opening and _waits_for_reason(core):
            self.connection.owner.on_attach(core)
        core.on_detached(cause, closed=closed)

    def _attach_with_first(self, now: float) -> bool:
        """Begin anew for the links that were opening, if one of them may have been refused for its mode."""
        undecided, self._undecided = self._undecided, []
        if (
            self.ended
            or not self.connection.is_open
            or all(core.settings.rcv_settle_mode == MODE_FIRST for core in undecided)
        ):
            return False
        for core in undecided:
            core.settings.rcv_settle_mode = MODE_FIRST
            core.endpoint = None
        self.begin(now, again=True)
        return True

    def on_ended(self, cause: Cause | None, now: float) -> None:
        """Handle the session's end, which its links have already been told of."""
        if self._attach_with_first(now) or self.ended:
            return
        self.ended = True
        self.cause = cause
        self.connection.remove_session(self)
        for link in tuple(self._links):
            link.on_detached(cause)


def _is_not_implemented(cause: Cause | None) -> bool:
    return cause is not None and cause.kind is CauseKind.PEER and cause.condition == conditions.NOT_IMPLEMENTED


def _waits_for_reason(core: LinkCore) -> bool:
    """Return whether a link was refused, perhaps for its settle mode; its owner is told once the reason is known."""
    link = core.endpoint
    return link is not None and link.is_refused and core.settings.rcv_settle_mode != MODE_FIRST
