"""`Sessions`: which session a link is attached in."""

from __future__ import annotations

from ..core import ConnectionCore, SessionCore
from ..engine import LocalProtocolError
from ..engine.limits import Limits
from ..transport.driver import Driver
from ..transport.signals import Signal
from .errors import OperationTimeout

WINDOW = 65536
"""Frames that the peer may send ahead in a session."""


class Sessions:
    """The sessions of a connection's links.

    A link that is opened on the connection has a session of its own, since some brokers end the session to refuse a
    link. From half of the peer's number of sessions on, links share. In a session, one link is attached at a time, so
    that its end while one is being attached is about that one.

    Args:
        core: the connection.
        driver: drives it.
    """

    def __init__(self, core: ConnectionCore, driver: Driver) -> None:
        self._core = core
        self._driver = driver
        self._links: dict[SessionCore, int] = {}  # how many each of ours has
        self._attaching: set[SessionCore] = set()
        self._free = Signal()

    @property
    def _maximum(self) -> int:
        engine = self._core.engine
        opened = None if engine is None else engine.remote_open
        limit = Limits().sessions if engine is None else engine.config.limits.sessions
        return max(1, min(65536 if opened is None else opened.channel_max + 1, limit) // 2)

    async def enter(self, own: SessionCore | None, seconds: float, found: list[SessionCore]) -> SessionCore:
        """Return the session to attach a link in; `attached` has to follow, and in the end `leave`.

        Args:
            own: the session that the program wants; None for one of ours.
            seconds: how long to wait while another link is being attached in it.
            found: an empty list, to which the session is added; so it is known if an exception comes in between.

        Raises:
            LocalProtocolError: the connection has ended.
            OperationTimeout: another link is still being attached when the time is over.
        """

        def choose() -> bool:
            session = self._choose() if own is None else own
            if session is None or session in self._attaching:
                return False
            found.append(session)
            self._attaching.add(session)
            if own is None:
                self._links[session] = self._links.get(session, 0) + 1
            return True

        driver = self._driver
        deadline = driver.deadline(seconds)
        await driver.wait(self._free, choose, deadline)
        if not found and driver.remaining(deadline) != 0:
            raise LocalProtocolError("the connection has ended")
        if not found:
            raise OperationTimeout(f"another link is still being opened in the session after {seconds:g} seconds")
        return found[0]

    def _choose(self) -> SessionCore | None:
        for session in [each for each in self._links if each.ended]:
            del self._links[session]
        if len(self._links) < self._maximum:
            return SessionCore(self._core, incoming_window=WINDOW, fresh_channel=True)
        idle = [each for each in self._links if each not in self._attaching]
        return min(idle, key=self._links.__getitem__, default=None)

    def attached(self, session: SessionCore) -> None:
        """Note that the link's attach is over, whatever came of it. The lock is held."""
        self._attaching.discard(session)
        self._free.fire_one()

    def leave(self, session: SessionCore, now: float) -> None:
        """Note that a link has gone from a session, which ends if it was the last of one of ours. The lock is held."""
        left = self._links.get(session)
        if left is None:
            return
        if left > 1:
            self._links[session] = left - 1
            return
        del self._links[session]
        session.end(now)
