"""`ConnectionBase`: the operations of a connection, once for both faces."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..core import ConnectionCore, LinkCore, SessionCore
from ..engine import Cause, EngineConfig, LocalProtocolError
from ..engine.config import MAX_UINT
from ..transport.driver import Driver
from ..transport.signals import Signal
from . import checks, credentials, stats, translate
from .credentials import Cbs
from .errors import AMQPError, ClosedError, ForkedError, OperationTimeout, UsageError
from .events import ConnectionEvent, EventKind, Events
from .link import LinkBase
from .options import DEFAULT, ConnectionState, Default, receiver_settings, sender_settings
from .receiver import ReceiverBase
from .remote import RemotePeer
from .sender import SenderBase
from .session import SessionBase
from .sessions import Sessions
from .stats import ConnectionStats, ReceiverStats, SenderStats
from .tokens import ConnectionToken

if TYPE_CHECKING:
    from ..transport.sansio.endpoint import Endpoint
    from .settings import ConnectionSettings
    from .url import ConnectionURL, HostPort

_logger = logging.getLogger("uamqp.connection")

S = TypeVar("S", bound=SenderBase)
R = TypeVar("R", bound=ReceiverBase)
Q = TypeVar("Q", bound=SessionBase)
K = TypeVar("K", bound=LinkBase)

_OVER = (ConnectionState.CLOSED, ConnectionState.FAILED)

_TURN = 1.0
"""Seconds to wait at a time for the end of a connection that another caller closes."""


class Owner:
    """The `ConnectionOwner` of a connection, whose users don't see it so."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ConnectionBase) -> None:
        self._connection = connection

    def on_connection_opened(self) -> None:
        """See `ConnectionOwner`."""
        self._connection._changed.fire()

    def on_connection_closed(self, cause: Cause | None) -> None:
        """See `ConnectionOwner`."""
        self._connection._on_closed(cause)

    def on_attach(self, link: LinkCore) -> None:
        """See `ConnectionOwner`."""


class ConnectionBase:
    """A connection, without the operations that differ between the faces in whether they are awaited."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._state = ConnectionState.NEW
        self._changed = Signal()
        self._error: AMQPError | None = None  # why it can't be used any more
        self._endpoint: Endpoint | None = None
        self._attempts = 0
        self._closer: object = None  # who closes it
        self._links: dict[LinkBase, None] = {}  # in the order in which they were opened
        self._sent, self._received = SenderStats(), ReceiverStats()  # of links that are gone
        self._events = Events(settings.on_event)
        self._core = ConnectionCore(Owner(self))
        self._driver = self._make_driver(self._core)
        self._sessions = Sessions(self._core, self._driver)

    def _make_driver(self, core: ConnectionCore) -> Driver:
        raise NotImplementedError

    def __del__(self) -> None:
        """Warn of a connection that nobody has closed; what drives it ends it."""
        if self.__dict__.get("_state") is ConnectionState.OPEN and not self._driver.foreign:
            warnings.warn(f"{self!r} wasn't closed", ResourceWarning, stacklevel=2, source=self)

    # -- what everybody may see

    @property
    def state(self) -> ConnectionState:
        """Its state."""
        return self._state

    @property
    def endpoint(self) -> str | None:
        """Host and port that it is connected to, or was last; None before the first attempt."""
        return None if self._endpoint is None else str(self._endpoint)

    @property
    def container_id(self) -> str:
        """Its name on the wire (section 2.7.1)."""
        return self._settings.container_id

    @property
    def remote(self) -> RemotePeer | None:
        """What the peer says of itself; None before the connection is open."""
        engine = self._core.engine
        opened = None if engine is None else engine.remote_open
        return None if opened is None else RemotePeer.of(opened)

    @property
    def _product(self) -> str:
        remote = self.remote
        return "" if remote is None else remote.product

    def stats(self) -> ConnectionStats:
        """Return its counters, as they stand."""

        def count(now: float) -> ConnectionStats:
            sent, received = SenderStats(), ReceiverStats()
            stats.add(sent, self._sent)
            stats.add(received, self._received)
            for link in self._links:
                if isinstance(link, SenderBase):
                    stats.add(sent, link._queue.stats())
                elif isinstance(link, ReceiverBase):
                    stats.add(received, link._queue.stats())
            senders = sum(isinstance(link, SenderBase) for link in self._links)
            return ConnectionStats(self._attempts, senders, len(self._links) - senders, sent, received)

        return self._driver.change("counting", count)

    def __repr__(self) -> str:
        try:
            where = f" to {self.endpoint}" if self._endpoint is not None else ""
            return f"<{type(self).__name__}{where}, {self.state}>"
        except AttributeError:  # it is being made
            return f"<{type(self).__name__}>"

    # -- opening

    async def _open(self) -> None:
        if self._state is not ConnectionState.NEW:
            raise UsageError(f"the connection is {self._state}: make another with connect()")
        self._state = ConnectionState.CONNECTING
        attempts: list[tuple[str, AMQPError]] = []
        try:
            for url, host in self._settings.hosts():
                try:
                    await self._attempt(url, host)
                except AMQPError as error:
                    attempts.append((str(host), error))
                    self._driver.abort("it couldn't be opened")
                    if not error.is_temporary:
                        break
                else:
                    return
            raise translate.connect_error(tuple(attempts))
        except BaseException as error:
            self._driver.abort("opening the connection was interrupted")
            reason = error if isinstance(error, AMQPError) else ClosedError("the connection wasn't opened")
            self._driver.command("failing", lambda now: self._fail(reason))
            raise

    async def _attempt(self, url: ConnectionURL, host: HostPort) -> None:
        settings, driver = self._settings, self._driver
        self._attempts += 1
        given = await credentials.ask(settings.credentials, driver.off_loop)
        config = await self._config(given, host, is_tls=url.is_tls)
        if self._core.engine is not None or self._core.closed:
            self._core = ConnectionCore(Owner(self))
            driver.renew(self._core)
            self._sessions = Sessions(self._core, driver)
        is_quick = not url.is_tls and not callable(settings.tls)
        self._endpoint = endpoint = await driver.prepare(lambda: settings.endpoint(url, host), is_quick=is_quick)
        config.tls_port = endpoint.is_tls_port
        core = self._core
        try:
            await driver.start(endpoint, config, None)
        except OSError as error:
            raise translate.connection_error(None, endpoint=str(endpoint), opening=True, failure=error) from error
        await driver.wait(self._changed, lambda: core.is_open or core.ended)
        if core.is_open:
            for each in given:
                if isinstance(each, Cbs):
                    await ConnectionToken(core, driver, each, settings.timeouts.open).put_first()
            driver.change("opening the connection", self._opened)
        if not core.is_open:
            raise translate.connection_error(core.cause, endpoint=str(endpoint), opening=True, failure=driver.failure)
        if settings.keeper:
            driver.keep()

    def _opened(self, now: float) -> None:
        if self._core.is_open:
            previous, self._state = self._state, ConnectionState.OPEN
            self._tell("opened", None, previous=previous)
            self._changed.fire()

    async def _config(self, given: Iterable[credentials.Credentials], host: HostPort, *, is_tls: bool) -> EngineConfig:
        settings = self._settings
        offered = credentials.offered(tuple(given), is_tls=is_tls)
        mechanisms = [mechanism for each in offered for mechanism in await each.resolve(self._driver.off_loop)]
        return EngineConfig(
            settings.container_id,
            hostname=settings.hostname or host.host,
            max_frame_size=settings.max_frame_size,
            idle_timeout=settings.idle_timeout,
            properties=settings.properties,
            desired_capabilities=settings.desired_capabilities,
            mechanisms=mechanisms,
            handshake_timeout=settings.timeouts.open,
            link_timeout=settings.timeouts.link,
            close_timeout=settings.timeouts.close,
        )

    async def _wait_open(self, timeout: float | Default | None) -> None:
        self._driver.steps.check_caller()
        timeouts = self._settings.timeouts
        seconds = timeouts.open if timeout is DEFAULT else checks.optional_seconds("timeout", timeout)
        driver = self._driver
        if driver.foreign:
            driver.change("looking at the connection", lambda now: None)  # which gives it up, and says why
        await driver.wait(
            self._changed, lambda: self._state is ConnectionState.OPEN or self._state in _OVER, driver.deadline(seconds)
        )
        if self._state in _OVER:
            raise self._error or ClosedError("the connection is closed")
        if self._state is not ConnectionState.OPEN:
            raise OperationTimeout(f"the connection is {self._state} after {seconds} seconds")

    # -- the core's owner

    def _on_closed(self, cause: Cause | None) -> None:
        """Handle the end of the connection. The lock is held."""
        if self._state in (ConnectionState.OPEN, ConnectionState.CLOSING):
            if cause is None or (self._state is ConnectionState.CLOSING and not self._driver.foreign):
                self._become(ConnectionState.CLOSED, "closed", None)
            else:
                self._fail(self._error_of_end(cause))
        self._changed.fire()

    def _fail(self, error: AMQPError) -> None:
        if self._state not in _OVER:
            self._error = error
            self._become(ConnectionState.FAILED, "failed", error)

    def _become(self, state: ConnectionState, kind: EventKind, error: AMQPError | None) -> None:
        previous, self._state = self._state, state
        self._tell(kind, error, previous=previous)
        self._events.end()
        self._changed.fire()

    def _tell(
        self, kind: EventKind, error: AMQPError | None, subject: Any = None, previous: ConnectionState | None = None
    ) -> None:
        event = ConnectionEvent(
            kind, self._state, self._state if previous is None else previous, self.endpoint, error, subject
        )
        self._events.tell(self._driver, event)

    # -- errors

    def _require_open(self) -> None:
        if self._driver.foreign:
            raise ForkedError(self._driver.foreign)
        if self._state is not ConnectionState.OPEN:
            raise self._error or ClosedError("the connection is closed")

    def _ended_by(self, cause: Cause | None) -> bool:
        """Return whether it is the connection that has ended, for this reason."""
        engine = self._core.engine
        return bool(self._driver.foreign) or (engine is not None and engine.is_closed and engine.cause is cause)

    def _error_of_end(self, cause: Cause | None) -> AMQPError:
        if self._driver.foreign:
            return ForkedError(self._driver.foreign)
        return translate.connection_error(cause, endpoint=str(self._endpoint), failure=self._driver.failure)

    def _error_of(self, core: LinkCore, is_opening: bool, what: str) -> AMQPError:
        """Return the exception for a link that was lost, by itself, with its session, or with the connection."""
        if self._ended_by(core.cause):
            return self._error_of_end(core.cause)
        return translate.link_error(
            core.cause,
            is_opening,
            link=what,
            product=self._product,
            endpoint=self.endpoint or "",
            failure=self._driver.failure,
        )

    def _error_without_session(self, error: LocalProtocolError) -> AMQPError:
        """Return the exception for a link that has no session to be opened in."""
        engine = self._core.engine
        if self._error is not None:
            return self._error
        if engine is not None and engine.is_closed:  # which isn't told yet
            return self._error_of_end(engine.cause)
        return ClosedError(f"there is no session any more: {error}")

    def _session_error(self, core: SessionCore) -> AMQPError:
        """Return the exception for a session that couldn't be opened."""
        if self._ended_by(core.cause):
            return self._error_of_end(core.cause)
        return translate.session_error(
            core.cause, opening=True, endpoint=self.endpoint or "", failure=self._driver.failure
        )

    # -- links

    async def _open_sender(
        self, kind: type[S], target: Any, options: Mapping[str, Any], session: SessionCore | None = None
    ) -> S:
        settings = sender_settings(target, options)
        return await self._open_link(lambda core: kind(self, core, settings), session)

    async def _open_receiver(
        self, kind: type[R], source: Any, options: Mapping[str, Any], session: SessionCore | None = None
    ) -> R:
        settings = receiver_settings(source, options)
        return await self._open_link(lambda core: kind(self, core, settings), session)

    async def _open_session(self, kind: type[Q], incoming_window: int, outgoing_window: int) -> Q:
        checks.integer("incoming_window", incoming_window, 1, MAX_UINT)
        checks.integer("outgoing_window", outgoing_window, 1, MAX_UINT)
        self._driver.steps.check_caller()
        self._require_open()
        session = kind(self, incoming_window, outgoing_window)
        await session._open()
        return session

    async def _open_link(self, make: Callable[[SessionCore], K], own: SessionCore | None) -> K:
        self._driver.steps.check_caller()
        self._require_open()
        driver, sessions = self._driver, self._sessions
        link: K | None = None
        found: list[SessionCore] = []
        try:
            link = make(await sessions.enter(own, self._settings.timeouts.link, found))
            await link._open()
            driver.change("opening a link", lambda now: sessions.attached(found[0]))
        except BaseException as error:
            if found:
                driver.command("giving a link up", lambda now: self._drop(link, found[0], now))
            if isinstance(error, LocalProtocolError):  # the session has ended, or the connection
                raise self._error_without_session(error) from error
            raise
        return link

    def _drop(self, link: LinkBase | None, session: SessionCore, now: float) -> None:
        """Close a link that couldn't be opened. The lock is held."""
        self._sessions.attached(session)
        if link is not None and link in self._links:
            link._core.close(now)
        else:
            self._sessions.leave(session, now)

    def _forget(self, link: LinkBase) -> None:
        """Forget a link that is gone, with the session if that was there for it alone. The lock is held."""
        if link in self._links:
            del self._links[link]
            link._add_to(self._sent, self._received)
            self._sessions.leave(link._session, self._driver.time())

    # -- closing

    async def _close(self, timeout: float | Default | None) -> None:
        """Flush senders, give back what receivers weren't asked for, detach, close. Once for all callers."""
        self._driver.steps.check_caller()
        timeouts = self._settings.timeouts
        seconds = timeouts.close if timeout is DEFAULT else checks.optional_seconds("timeout", timeout)
        driver = self._driver
        if driver.foreign or self._state in _OVER:
            return
        if self._state is ConnectionState.CLOSING and self._closer is not None:
            # Another caller closes it, unless this is a callback of the same.
            if self._closer == driver.caller():
                return
            deadline = driver.deadline(None if timeout is DEFAULT else seconds)  # the first call has a limit
            while not self._is_over and driver.remaining(deadline) != 0:
                await driver.turn(min(_TURN, driver.remaining(deadline) or _TURN))
            return
        self._closer = driver.caller()
        try:
            if driver.change("closing", lambda now: self._begin_closing()):
                await self._close_links(list(self._links), seconds)
            await driver.close()
        except BaseException:
            driver.abort("closing was interrupted")
            raise
        finally:
            self._become_closed()

    @property
    def _is_over(self) -> bool:
        return self._state in _OVER

    def _begin_closing(self) -> bool:
        """Open nothing more; return whether there is something to close in order."""
        is_open = self._state is ConnectionState.OPEN
        if is_open:
            self._state = ConnectionState.CLOSING
        return is_open

    def _become_closed(self) -> None:
        if self._state not in _OVER:
            self._driver.command("closing", lambda now: self._become(ConnectionState.CLOSED, "closed", None))

    async def _close_links(self, links: list[LinkBase], seconds: float | None) -> None:
        """Close links: senders send the rest, receivers give back what waits, then all are detached."""
        driver = self._driver
        deadline = driver.deadline(seconds)
        senders = [link for link in links if isinstance(link, SenderBase)]
        for sender in senders:
            driver.change("closing a sender", lambda now, sender=sender: sender._refuse_more())  # type: ignore[misc]
        for sender in senders:
            await sender._flush_until(deadline)
        for link in links:
            if isinstance(link, ReceiverBase):
                link._end_credit()

        def detach(now: float) -> None:
            for link in links:
                link._detach(now)

        driver.command("detaching", detach)
        for link in links:
            await link._wait_until_over(driver.remaining(deadline))

    def abort(self) -> None:
        """Give it up at once, without a word to the peer. What has no outcome by then fails."""
        try:
            self._driver.change("closing", lambda now: self._begin_closing())
        finally:
            self._driver.abort("the connection was aborted")
            self._become_closed()
