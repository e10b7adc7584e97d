"""The channel numbers of sessions, on either side (section 2.5)."""

from __future__ import annotations

from collections import deque
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
        self._free: deque[int] = deque()  # the number that has been free for longest first
        self._next = 0

    def all(self) -> tuple[Session, ...]:
        """Return every session that at least one side has begun and that the two haven't both ended."""
        return tuple(dict.fromkeys((*self.local.values(), *self.remote.values())))

    def unanswered(self, channel: int) -> Session | None:
        """Return the session of ours that the peer ends, on this channel of its own, without having begun it.

        It has the same channel number on our side, or is the only session that waits for an answer.
        """
        session = self.local.get(channel)
        if session is not None and session._is_unanswered:
            return session
        waiting = [session for session in self.local.values() if session._is_unanswered]
        return waiting[0] if len(waiting) == 1 else None

    def take(self, session: Session, channel_max: int, limit: int, *, fresh: bool = False) -> int:
        """Give a session a free channel number of ours, and return it; of those used before, the one free for longest.

        Args:
            session: the session.
            channel_max: the peer's channel-max.
            limit: maximum number of sessions at a time.
            fresh: whether to take a number that no session has used, if the peer allows one more.

        Raises:
            LocalProtocolError: none is free.
        """
        if len(self.local) >= limit:
            raise LocalProtocolError(f"a connection may have {limit} sessions at most")
        again = bool(self._free) and not (fresh and self._next <= channel_max)
        channel = self._free[0] if again else self._next
        if channel > channel_max:
            raise LocalProtocolError(f"the peer allows only {channel_max + 1} sessions on a connection")
        if again:
            self._free.popleft()
        else:
            self._next += 1
        self.local[channel] = session
        return channel

    def release(self, session: Session) -> None:
        """Release a session's channel numbers."""
        if self.local.get(session.channel) is session:
            del self.local[session.channel]
            self._free.append(session.channel)
        if session.remote_channel is not None and self.remote.get(session.remote_channel) is session:
            del self.remote[session.remote_channel]

    def clear(self) -> None:
        """Forget every session."""
        self.local.clear()
        self.remote.clear()
