"""The deadlines of a connection: heartbeats, and the time-outs of what the peer has to send or answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec import Open
from . import conditions
from .config import EngineConfig
from .errors import CauseKind
from .frames import EMPTY_FRAME
from .limits import MIN_HEARTBEAT
from .states import ACTIVE, CLOSED

if TYPE_CHECKING:
    from .connection import Engine
    from .link import Link
    from .session import Session


# Five things can become due. Three end the connection:
#
# close       from our close on, until the peer's. Nothing else matters then.
# handshake   from the start to the peer's open.
# idle        from the last bytes of the peer on, if we have announced an idle time-out: twice what was announced.
#
# The other two leave it as it is:
#
# heartbeat   from our last bytes on, if the peer's open asks for frames: an empty one, unless something is about to be
#             written anyway.
# answers     from each begin, attach, detach and end of ours on, until the peer answers. The time-out is one for all of
#             them, so the dict that holds their deadlines is in order of time, and its first is the next.
#
# None of them has a clock. `Engine.next_deadline` says when the next is due, and `tick` does what is due by then;
# calling it early does no harm.


class Timers:
    """The deadlines of an engine.

    Attributes:
        last_input: when the latest bytes arrived from the peer.
        last_output: when the latest bytes for the peer were returned.
    """

    __slots__ = (
        "_close_deadline",
        "_engine",
        "_handshake_deadline",
        "_idle_timeout",
        "_remote_idle",
        "_waiting",
        "last_input",
        "last_output",
    )

    def __init__(self, engine: Engine, config: EngineConfig, now: float) -> None:
        self._engine = engine
        self.last_input = self.last_output = now
        # Section 2.4.5: we announce half of what we allow, so that a peer that observes it has time enough.
        self._idle_timeout = None if config.idle_timeout is None else 2 * config.idle_timeout
        self._remote_idle: float | None = None  # seconds for which we may be silent; None for any time
        self._handshake_deadline: float | None = now + config.handshake_timeout
        self._close_deadline: float | None = None
        self._waiting: dict[Session | Link, float] = {}

    def next_deadline(self) -> float | None:
        """Return the latest time to call `tick`, or None if it needn't be called before something else happens."""
        if self._close_deadline is not None:
            return self._close_deadline
        deadlines = []
        if self._handshake_deadline is not None:
            deadlines.append(self._handshake_deadline)
        if self._idle_timeout is not None:
            deadlines.append(self.last_input + self._idle_timeout)
        if self._remote_idle is not None and self._engine.local_state is ACTIVE and not self._engine.output:
            deadlines.append(self.last_output + self._remote_idle)
        if self._waiting:
            deadlines.append(next(iter(self._waiting.values())))
        return min(deadlines) if deadlines else None

    def tick(self, now: float) -> None:
        """Do what is due: send a heartbeat, end what has taken too long."""
        engine = self._engine
        if self._connection_expired(now) or engine.local_state is CLOSED:
            return
        while self._waiting:
            endpoint, deadline = next(iter(self._waiting.items()))
            if now < deadline:
                break
            del self._waiting[endpoint]
            endpoint._on_unanswered()
        if (
            self._remote_idle is not None
            and engine.local_state is ACTIVE
            and now >= self.last_output + self._remote_idle
            and not engine.output
        ):
            engine.output += EMPTY_FRAME
            self.last_output = now
            if engine.trace is not None:
                engine.trace("->", 0, None, 0)

    def _connection_expired(self, now: float) -> bool:
        """End the connection if one of its own time-outs has passed; return whether it did."""
        engine = self._engine
        config = engine.config
        if self._close_deadline is not None:
            if now < self._close_deadline:
                return False
            text = f"the peer didn't answer our close within {config.close_timeout:g} seconds"
            engine.abort(now, text, kind=CauseKind.TIMEOUT)
        elif self._handshake_deadline is not None and now >= self._handshake_deadline:
            missing = engine._describe_stage()
            text = f"the connection wasn't opened within {config.handshake_timeout:g} seconds: {missing}"
            engine._fail(CauseKind.TIMEOUT, conditions.INTERNAL_ERROR, text)
        elif self._idle_timeout is not None and now >= self.last_input + self._idle_timeout:
            text = f"nothing arrived from the peer for {self._idle_timeout:g} seconds, twice the idle time-out"
            engine._fail(CauseKind.TIMEOUT, conditions.RESOURCE_LIMIT_EXCEEDED, text)
        else:
            return False
        return True

    # -- what starts and stops them

    def on_open(self, performative: Open) -> None:
        """Note that the peer's open has arrived: the handshake is over, and the peer may have asked for heartbeats."""
        self._handshake_deadline = None
        if performative.idle_time_out:
            ratio = self._engine.config.heartbeat_ratio
            self._remote_idle = max(performative.idle_time_out / 1000 * ratio, MIN_HEARTBEAT)

    def on_close_sent(self) -> None:
        """Start the close time-out. From then on, no other time-out of the connection counts."""
        self._close_deadline = self._engine.now + self._engine.config.close_timeout

    def expect_answer(self, endpoint: Session | Link) -> None:
        """Start the link time-out for a begin, attach, detach or end of ours."""
        self._waiting.pop(endpoint, None)
        self._waiting[endpoint] = self._engine.now + self._engine.config.link_timeout

    def answered(self, endpoint: Session | Link) -> None:
        """Stop the link time-out: the answer came, or no longer matters."""
        self._waiting.pop(endpoint, None)

    def clear(self) -> None:
        """Stop all link time-outs: the connection is over."""
        self._waiting.clear()
