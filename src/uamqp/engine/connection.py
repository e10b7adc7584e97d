"""One AMQP connection without I/O (sections 2.3, 2.4): `Engine`, the contract with the code that does the I/O.

Bytes and the time go in; bytes and events come out. `Engine` opens and closes the connection; its `Input` reads frames
and passes each performative to the connection, a session or the SASL layer, and its `Timers` know what is due when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codec import Begin, Close, Composite, Error, Open, Symbol
from . import conditions
from .channels import Channels
from .config import EngineConfig, Role
from .errors import Cause, CauseKind, LinkError, LocalProtocolError, PeerError
from .events import ConnectionClosed, ConnectionOpened, ConnectionOpening, Event
from .frames import FRAME_SASL, append_frame
from .handshake import AMQP_FRAMES, AMQP_HEADER, AMQP_HEADER_DUE, SASL_HEADER, SASL_HEADER_DUE, SaslServer, masked
from .input import Input
from .limits import MIN_MAX_FRAME_SIZE
from .link import Link
from .session import Session
from .states import ACTIVE, CLOSED, IDLE, ConnectionState, connection_state
from .terms import DEFAULT_WINDOW, MAX_HANDLE, OUTGOING_WINDOW, Trace
from .timers import Timers


class Engine:
    """One connection, client or server.

    To drive it, pass it input (`receive_data`) and the time (`tick`, no later than `next_deadline`). After each of
    these, and after any command, write what `data_to_send` returns, then handle `events`, and repeat until both are
    empty. An engine isn't thread-safe: sharing it between threads takes a lock.

    Args:
        config: see `EngineConfig`.
        now: the time in seconds, by any clock that never goes back; use the same clock for every call.
        trace: called for each frame, see `Trace`; None costs nothing. It may be set later, as attribute `trace`.

    Attributes:
        context: for the engine's user to use freely.
        local_state, remote_state: whether each side has sent open and close.
        max_frame_size: largest frame that we accept.
        remote_open: the peer's open, None until it arrives.
        remote_max_frame_size: largest frame that the peer accepts; 512, the minimum, until its open arrives.
        transfer_frame_size: largest frame that we use for a transfer: that, or `Limits.output_bytes` if smaller.
        is_closed: whether the connection is over; `ConnectionClosed` is, or was, the last event.
        cause: why it is over; None while it isn't, and after a close of ours that was answered.
        unforeseen: an unexpected exception from reading, until the caller that passed in the bytes has looked at it.
    """

    __slots__ = (
        "_cause",
        "_channels",
        "_dirty",
        "_events",
        "_header_sent",
        "_held_bytes",
        "_input",
        "_started",
        "_timers",
        "cause",
        "config",
        "context",
        "is_closed",
        "local_state",
        "max_frame_size",
        "now",
        "output",
        "remote_max_frame_size",
        "remote_open",
        "remote_state",
        "trace",
        "transfer_frame_size",
        "unforeseen",
    )

    def __init__(self, config: EngineConfig, now: float, *, trace: Trace | None = None) -> None:
        self.config = config
        self.trace = trace
        self.now = now
        self.context: Any = None
        self.local_state = IDLE
        self.remote_state = IDLE
        self.remote_open: Open | None = None
        self.remote_max_frame_size = self.transfer_frame_size = MIN_MAX_FRAME_SIZE
        self.is_closed = False
        self.cause: Cause | None = None
        self.unforeseen: Exception | None = None
        self.output = bytearray()
        self._cause: Cause | None = None  # of a close of ours that isn't answered yet
        self._events: list[Event] = []
        self.max_frame_size = min(config.max_frame_size, config.limits.frame_size)
        self._header_sent = False
        self._started = config.role is Role.SERVER
        self._channels = Channels()
        offered = config.mechanisms if config.role is Role.CLIENT else config.server_mechanisms
        self._input = Input(self, SASL_HEADER_DUE if offered else AMQP_HEADER_DUE, self._channels.remote)
        self._held_bytes = 0
        self._dirty: list[Session] = []
        self._timers = Timers(self, config, now)

    # -- the contract with the transport

    def receive_data(self, chunk: bytes, now: float) -> None:
        """Accept input from the peer; b"" means that it has ended. Call `data_to_send` and `events` next.

        This never raises for what the peer sent.
        """
        self.now = now
        if self.is_closed:
            return
        if not chunk:
            self._on_end_of_stream()
            return
        self._timers.last_input = now
        self._input.receive(chunk)

    def _resume(self) -> None:
        """Read the input held back until the peer's open, begin or SASL was answered."""
        self._input.resume()

    def events(self) -> list[Event]:
        """Return the events since the last call, in order, and forget them."""
        events = self._events
        self._events = []
        return events

    def data_to_send(self) -> list[bytes | bytearray]:
        """Return output for the peer, and forget it. Repeat until it is empty; then call `events`.

        Only `Limits.output_bytes` are encoded at a time, so call again when that is written. The output counts as sent
        at the latest time that was passed to any method, so call `tick` now and then before it.
        """
        if self._dirty:
            sessions, self._dirty = self._dirty, []
            for session in sessions:
                session._dirty = False
                if session.local_state is not ACTIVE or self.local_state is not ACTIVE:
                    continue
                if not session._flush(self.config.limits.output_bytes):
                    session._dirty = True
                    self._dirty.append(session)
        output = self.output
        if not output:
            return []
        self.output = bytearray()
        self._timers.last_output = self.now
        return [output]

    def next_deadline(self) -> float | None:
        """Return the latest time to call `tick`, or None if it needn't be called before something else happens."""
        return None if self.is_closed else self._timers.next_deadline()

    def tick(self, now: float) -> None:
        """Do what is due, heartbeats and time-outs. Call `data_to_send` and `events` next."""
        self.now = now
        if not self.is_closed:
            self._timers.tick(now)

    # -- commands

    def open(self, now: float) -> None:
        """Start the connection (client), or answer the client's open after `ConnectionOpening` (server).

        Raises:
            LocalProtocolError: the connection was opened already, or (server) the client's open hasn't arrived.
        """
        self._check_open()
        self.now = now
        if self.config.role is Role.CLIENT:
            if self._started:
                raise LocalProtocolError("the connection was opened already")
            self._started = True
            if self._input.stage == SASL_HEADER_DUE:
                self.output += SASL_HEADER
            else:
                self._send_header()
                self._send_open()
        elif self.remote_state is not ACTIVE or self.local_state is not IDLE:
            raise LocalProtocolError("there is no open of the client to answer")
        else:
            self._send_open()
            self._on_both_open()
            self._resume()

    def close(self, now: float, error: Error | None = None) -> None:
        """Close the connection; `ConnectionClosed` follows when the peer has answered, or after `close_timeout`.

        A connection that is closing or closed stays as it is. One whose AMQP layer isn't up yet is over at once.
        """
        self.now = now
        if self.is_closed or self.local_state is CLOSED:
            return
        if not self._header_sent or (self.local_state is IDLE and self.remote_state is IDLE):
            self._terminate(None if error is None else Cause(CauseKind.LOCAL, error, str(error.description)))
            return
        self._send_close(error)
        if error is not None:
            self._cause = Cause(CauseKind.LOCAL, error, error.description or str(error.condition))
        self._timers.on_close_sent()
        self._resume()

    def abort(self, now: float, message: str, *, kind: CauseKind = CauseKind.TRANSPORT) -> None:
        """End the connection without telling the peer, for instance because the transport failed."""
        self.now = now
        if not self.is_closed:
            self._terminate(self._cause or Cause(kind, None, message))

    def begin(
        self,
        now: float,
        *,
        incoming_window: int = DEFAULT_WINDOW,
        outgoing_window: int = OUTGOING_WINDOW,
        handle_max: int = MAX_HANDLE,
        initial_id: int = 0,
        properties: Mapping[Symbol, Any] | None = None,
        fresh_channel: bool = False,
    ) -> Session:
        """Begin a session; `SessionOpened` or `SessionEnded` follows.

        Args:
            now: the time.
            incoming_window: transfer frames that the peer may send before our next flow, which we send at half.
            outgoing_window: announced to the peer; nothing depends on it.
            handle_max: highest link handle that the peer may use.
            initial_id: where transfer-ids and delivery-ids start.
            properties: session properties.
            fresh_channel: whether to take a channel that no session has used, if the peer allows one more.

        Raises:
            LocalProtocolError: the connection isn't open on both sides, or has no channel left.
        """
        self._check_open()
        if self.local_state is not ACTIVE or self.remote_state is not ACTIVE:
            raise LocalProtocolError("the connection is not open")
        session = Session(self)
        session._begin(
            now,
            incoming_window=incoming_window,
            outgoing_window=outgoing_window,
            handle_max=handle_max,
            initial_id=initial_id,
            properties=properties,
            fresh_channel=fresh_channel,
        )
        return session

    def sasl_outcome(self, now: float, code: int, additional_data: bytes | None = None) -> None:
        """Answer the client's SASL (server). 0 admits it; 1 (auth), 2 (sys), 3 (sys-perm), 4 (sys-temp) refuse.

        Raises:
            LocalProtocolError: the client isn't waiting for an answer.
        """
        self.now = now
        self._require_sasl_server().outcome(code, additional_data)
        self._resume()

    def sasl_challenge(self, now: float, challenge: bytes) -> None:
        """Send a challenge (server); a `SaslResponse` event follows.

        Raises:
            LocalProtocolError: the client isn't waiting for an answer, or there were too many challenges.
        """
        self.now = now
        self._require_sasl_server().challenge(challenge)
        self._resume()

    @property
    def state(self) -> ConnectionState:
        """The specification's name for the connection's state (section 2.4.6)."""
        return connection_state(
            self._header_sent,
            self._input.header_received,
            self.local_state,
            self.remote_state,
            failed=self._cause is not None,
            ended=self.is_closed,
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that at least one side has begun and that the two haven't both ended."""
        return self._channels.all()

    # -- for sessions and links

    def _emit(self, event: Event) -> None:
        """Report an event."""
        self._events.append(event)

    def _send(self, channel: int, performative: Composite) -> None:
        """Append one frame to the output.

        Raises:
            LocalProtocolError: the frame would be larger than the peer's max-frame-size.
        """
        if self.local_state is CLOSED:
            raise LocalProtocolError("the connection is closing")
        start = len(self.output)
        append_frame(self.output, channel, performative)
        size = len(self.output) - start
        if self.remote_open is not None and size > self.remote_max_frame_size:
            del self.output[start:]
            raise LocalProtocolError(
                f"{performative.NAME} would need a frame of {size} bytes, the peer takes {self.remote_max_frame_size}"
            )
        if self.trace is not None:
            self.trace("->", channel, performative, 0)

    def _send_sasl(self, frame: Composite) -> None:
        """Append one SASL frame to the output."""
        append_frame(self.output, 0, frame, frame_type=FRAME_SASL)
        if self.trace is not None:
            self.trace("->", 0, masked(frame), 0)

    def _session_is_dirty(self, session: Session) -> None:
        """Note that a session has something to encode in the next `data_to_send`."""
        self._dirty.append(session)

    def _hold_bytes(self, link: Link, count: int) -> None:
        """Count bytes of unfinished deliveries.

        Raises:
            LinkError: they exceed the limit.
        """
        self._held_bytes += count
        if count > 0 and self._held_bytes > self.config.limits.buffered_bytes:
            text = f"over {self.config.limits.buffered_bytes} bytes of unfinished deliveries"
            raise LinkError(link, conditions.RESOURCE_LIMIT_EXCEEDED, text)

    def _take_channel(self, session: Session, *, fresh: bool = False) -> int:
        """Return a free channel number for a session that begins; see `Channels.take`."""
        channel_max = self.remote_open.channel_max if self.remote_open is not None else 65535
        return self._channels.take(session, channel_max, self.config.limits.sessions, fresh=fresh)

    def _refused_session(self, channel: int) -> Session | None:
        """Return the session of ours that the peer ends, on this channel of its own, without having begun it."""
        return self._channels.unanswered(channel)

    def _forget_session(self, session: Session) -> None:
        """Release the channels of a session that both sides have ended."""
        self._timers.answered(session)
        self._channels.release(session)

    # -- for what reads

    def _require_remote_open(self, what: str) -> None:
        """Check that the peer has opened the connection and hasn't closed it.

        Raises:
            PeerError: it hasn't, or it has.
        """
        if self.remote_state is not ACTIVE:
            raise PeerError(conditions.NOT_ALLOWED, f"{what} before open")

    def _on_open(self, performative: Open) -> None:
        """Handle the peer's open."""
        if self.remote_state is not IDLE:
            raise PeerError(conditions.NOT_ALLOWED, "a second open")
        self.remote_state = ACTIVE
        self.remote_open = performative
        # Smaller values aren't allowed, but occur: Broker-J sends 0 before a close.
        self.remote_max_frame_size = max(performative.max_frame_size, MIN_MAX_FRAME_SIZE)
        bound = max(self.config.limits.output_bytes, MIN_MAX_FRAME_SIZE)
        self.transfer_frame_size = min(self.remote_max_frame_size, bound)
        self._timers.on_open(performative)
        if self.local_state is IDLE:
            self._emit(ConnectionOpening(performative))
        elif self.local_state is ACTIVE:
            self._on_both_open()

    def _on_both_open(self) -> None:
        if self.remote_open is not None:
            self._emit(ConnectionOpened(self.remote_open))

    def _on_begin(self, channel: int, begin: Begin) -> None:
        """Handle the peer's begin: the answer to ours, or a session of its own."""
        self._require_remote_open("begin")
        if self.local_state is CLOSED:
            return
        if channel > self.config.channel_max:
            # section 2.7.1
            raise PeerError(
                conditions.FRAMING_ERROR, f"channel {channel} is over channel-max {self.config.channel_max}"
            )
        if channel in self._channels.remote:
            raise PeerError(conditions.NOT_ALLOWED, f"begin on channel {channel}, where a session has begun already")
        if begin.remote_channel is None:
            if len(self._channels.remote) >= self.config.limits.sessions:
                text = f"more than {self.config.limits.sessions} sessions on a connection"
                raise PeerError(conditions.RESOURCE_LIMIT_EXCEEDED, text)
            session = self._input.opening_session = Session(self)
        else:
            answered = self._channels.local.get(begin.remote_channel)
            if answered is None or answered.remote_state is not IDLE:
                raise PeerError(
                    conditions.NOT_ALLOWED, f"begin for channel {begin.remote_channel}, which asked for none"
                )
            session = answered
        self._channels.remote[channel] = session
        session._on_begin(begin, channel)

    def _on_close(self, close: Close) -> None:
        """Handle the peer's close, an answer to ours or not. One with an error may come without an open."""
        if close.error is None and self.local_state is not CLOSED:
            self._require_remote_open("close")
        self.remote_state = CLOSED
        cause = self._cause
        if self.local_state is not CLOSED:
            cause = Cause.from_peer(close.error, "close")
            self._send_close(None)
        elif cause is not None and cause.kind is CauseKind.PROTOCOL and close.error is not None:
            cause = Cause.from_peer(close.error, "close")  # its open was wrong; this says why
        self._terminate(cause)

    def _on_sasl_done(self) -> None:
        """Start over with the AMQP header, because the SASL exchange succeeded."""
        self._input.sasl = None
        self._input.stage = AMQP_HEADER_DUE
        if self.config.role is Role.CLIENT:
            self._send_header()
            self._send_open()

    def _describe_stage(self) -> str:
        """Return what is still missing before the connection is open."""
        return self._input.describe()

    def _on_end_of_stream(self) -> None:
        if self.local_state is CLOSED:
            self._terminate(self._cause)
            return
        text = "the peer ended the connection without a close"
        if self.remote_state is IDLE:
            text = f"the peer ended the connection before it was open: {self._describe_stage()}"
        self._terminate(Cause(CauseKind.TRANSPORT, None, text))

    # -- the ends

    def _fail(
        self,
        kind: CauseKind,
        condition: Symbol,
        text: str,
        exception: BaseException | None = None,
        *,
        in_open: bool = False,
    ) -> None:
        """End the connection because of an error of the peer's: tell it why, as far as possible, and report it.

        Args:
            kind: see `Cause`.
            condition: see `Cause`.
            text: see `Cause`.
            exception: see `Cause`.
            in_open: whether the error is in the peer's open. A peer that refuses us may follow that up with a close
                that says why, so we wait for it.
        """
        if self.is_closed:
            return
        cause = self._cause or Cause.make(kind, condition, text, exception)
        if self._header_sent and self.local_state is not CLOSED and self._input.stage == AMQP_FRAMES:
            self._cause = cause
            if self._could_close(cause.error) and in_open:
                self._timers.on_close_sent()
                return
        self._terminate(cause)

    def _fail_unexpectedly(self, exception: BaseException) -> None:
        """End the connection because of an unexpected exception or an interrupt during reading."""
        name = type(exception).__name__
        if not isinstance(exception, Exception):
            text = f"the connection was interrupted by {name} while reading"
            self._fail(CauseKind.LOCAL, conditions.INTERNAL_ERROR, text)
            return
        self.unforeseen = exception
        if self._input.sasl is not None:  # its text may quote a secret
            text = f"{name} while a SASL frame of the peer was dealt with"
            self._fail(CauseKind.PROTOCOL, conditions.INTERNAL_ERROR, text)
        else:
            text = f"what the peer sent made our side fail with {name}: {exception}"
            self._fail(CauseKind.PROTOCOL, conditions.INTERNAL_ERROR, text, exception)

    def _terminate(self, cause: Cause | None) -> None:
        self.is_closed = True
        self.cause = cause
        self._input.clear()
        self._timers.clear()
        for session in self.sessions:
            session._lost(cause)
        self._channels.clear()
        self._dirty = []
        self._emit(ConnectionClosed(cause))

    def _send_header(self) -> None:
        """Append our AMQP header to the output."""
        self.output += AMQP_HEADER
        self._header_sent = True

    def _send_open(self) -> None:
        self._send(0, self.config.open(self.max_frame_size))
        self.local_state = ACTIVE

    def _send_close(self, error: Error | None) -> None:
        if self.local_state is IDLE:
            self._send_open()  # section 2.4.3: there is no close without an open
        if self.remote_state is not CLOSED:
            for session in self.sessions:
                if session.local_state is ACTIVE:
                    session._flush(self.config.limits.output_bytes)
        self._send(0, Close(error))
        self.local_state = CLOSED

    def _could_close(self, error: Error | None) -> bool:
        try:
            self._send_close(error)
        except Exception:  # noqa: BLE001 (our open doesn't fit into the peer's frames, or our own code is broken)
            return False
        return True

    def _check_open(self) -> None:
        """Check that the connection is neither closed nor closing.

        Raises:
            LocalProtocolError: it is.
        """
        if self.is_closed or self.local_state is CLOSED:
            raise LocalProtocolError("the connection is closed")

    def _require_sasl_server(self) -> SaslServer:
        sasl = self._input.sasl
        if self.is_closed or not isinstance(sasl, SaslServer):
            raise LocalProtocolError("there is no SASL exchange to answer")
        return sasl
