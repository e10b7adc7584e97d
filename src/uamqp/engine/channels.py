"""Which channel belongs to which session, on either side (section 2.5)."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from .errors import LocalProtocolError

if TYPE_CHECKING:
    from .session import Session


class Channels:
    """The sessions of a connection, by our channel numbers and by the peer's.

    Attributes:
        local: sessions by our outgoing channel.
        remote: sessions by the peer's outgoing channel.
    """

    __slots__ = ("_free", "_next", "local", "remote")

    def __init__(self) -> None:
        self.local: dict[int, Session] = {}
        self.remote: dict[int, Session] = {}
        self._free: list[int] = []
        self._next = 0

    def all(self) -> tuple[Session, ...]:
        """Return every session that either side has begun and not both have ended."""
        return tuple(dict.fromkeys((*self.local.values(), *self.remote.values())))

    def unanswered(self, channel: int) -> Session | None:
        """Return the session of ours that an end is for which the peer has never begun, on this channel of its own.

        It is our channel, too; or there is one session only that waits for an answer.
        """
        session = self.local.get(channel)
        if session is not None and session._is_unanswered:
            return session
        waiting = [session for session in self.local.values() if session._is_unanswered]
        return waiting[0] if len(waiting) == 1 else None

    def take(self, session: Session, channel_max: int, limit: int, *, fresh: bool = False) -> int:
        """Return a free channel number of ours, now the session's.

        Args:
            channel_max: the peer's.
            limit: sessions at a time, at most.
            fresh: one that no session has had, if the peer allows one more.

        Raises:
            LocalProtocolError: there is none.
        """
        if len(self.local) >= limit:
            raise LocalProtocolError(f"a connection may have {limit} sessions at most")
        again = bool(self._free) and not (fresh and self._next <= channel_max)
        channel = self._free[0] if again else self._next
        if channel > channel_max:
            raise LocalProtocolError(f"the peer allows only {channel_max + 1} sessions on a connection")
        if again:
            heapq.heappop(self._free)
        else:
            self._next += 1
        self.local[channel] = session
        return channel

    def release(self, session: Session) -> None:
        """Make the session's numbers free again."""
        if self.local.get(session.channel) is session:
            del self.local[session.channel]
            heapq.heappush(self._free, session.channel)
        if session.remote_channel is not None and self.remote.get(session.remote_channel) is session:
            del self.remote[session.remote_channel]

    def clear(self) -> None:
        """Forget every session."""
        self.local.clear()
        self.remote.clear()
