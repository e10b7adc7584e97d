"""The engine: one AMQP connection without I/O (sections 2.3, 2.4).

Bytes and the time go in, bytes and events come out. `Engine` reads frames, keeps the timers, and hands each
performative to the connection, a session or the SASL layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..codec import (
    Attach,
    Begin,
    Close,
    Composite,
    DecodeError,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Open,
    Symbol,
    Transfer,
    decode_composite,
)
from ..codec.decode import u32
from . import conditions
from .buffer import InputBuffer
from .channels import Channels
from .config import EngineConfig, Role
from .errors import Cause, CauseKind, LinkError, LocalProtocolError, PeerError, SessionError, wire_error
from .events import ConnectionClosed, ConnectionOpened, ConnectionOpening, Event
from .frames import (
    EMPTY_FRAME,
    FRAME_AMQP,
    FRAME_SASL,
    DispositionReader,
    TransferReader,
    append_frame,
    frame_size_error,
)
from .handshake import (
    AMQP_FRAMES,
    AMQP_HEADER,
    AMQP_HEADER_DUE,
    HEADER_SIZE,
    SASL_FRAMES,
    SASL_HEADER,
    SASL_HEADER_DUE,
    SaslClient,
    SaslServer,
    decode_sasl,
    describe_header,
    describe_stage,
    masked,
)
from .limits import LEAST_HEARTBEAT, MIN_MAX_FRAME_SIZE
from .link import Link
from .session import Session
from .states import ACTIVE, CLOSED, IDLE, ConnectionState, connection_state
from .terms import DEFAULT_WINDOW, MAX_HANDLE, OUTGOING_WINDOW, Trace


class Engine:
    """One connection, client or server.

    Drive it so: give it what arrives (`receive_data`) and the time (`tick`, at `next_deadline` at the latest); after
    each of these, and after any command, write what `data_to_send` returns, then handle `events`, and again until both
    are empty. Not thread-safe: whoever shares an engine between threads needs a lock of his own.

    Args:
        config: see `EngineConfig`.
        now: the time, in seconds of any clock that never goes back; the same clock for every call.
        trace: called for each frame, see `Trace`; None costs nothing. May be set later, as attribute `trace`.

    Attributes:
        context: free for the engine's user.
        local_state, remote_state: whether each side has sent open and close.
        remote_open: the peer's open, None until it arrives.
        remote_max_frame_size: largest frame that the peer accepts; the specification's least until its open arrives.
        transfer_frame_size: largest frame that a transfer of ours takes: that, or `Limits.output_bytes` if it is less.
        is_closed: the connection is over; `ConnectionClosed` is, or was, the last event.
        cause: why it is over; None while it isn't, and after a close of ours that was answered.
    """

    __slots__ = (
        "_cause",
        "_channels",
        "_close_deadline",
        "_dirty",
        "_disposition",
        "_events",
        "_frame_limit",
        "_handshake_deadline",
        "_header_received",
        "_header_sent",
        "_held_bytes",
        "_idle_timeout",
        "_input",
        "_last_input",
        "_last_output",
        "_max_frame_size",
        "_opening_session",
        "_paused",
        "_remote_idle",
        "_remote_sessions",
        "_sasl",
        "_stage",
        "_started",
        "_transfer",
        "_waiting",
        "cause",
        "config",
        "context",
        "is_closed",
        "local_state",
        "now",
        "output",
        "remote_max_frame_size",
        "remote_open",
        "remote_state",
        "trace",
        "transfer_frame_size",
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
        self.output = bytearray()
        self._cause: Cause | None = None  # of a close of ours that isn't answered yet
        self._events: list[Event] = []
        self._input = InputBuffer(HEADER_SIZE)
        self._max_frame_size = min(config.max_frame_size, config.limits.frame_size)
        self._frame_limit = self._max_frame_size  # in the stage that we are in
        self._header_sent = self._header_received = False
        self._sasl: SaslClient | SaslServer | None = None
        self._started = config.role is Role.SERVER
        self._channels = Channels()
        self._remote_sessions = self._channels.remote
        self._transfer = TransferReader()
        self._disposition = DispositionReader()
        self._held_bytes = 0
        self._dirty: list[Session] = []
        self._opening_session: Session | None = None  # the peer's begin that isn't answered yet
        self._paused = False  # nothing is read until the peer is answered
        self._last_input = self._last_output = now
        self._idle_timeout = config.idle_timeout
        self._remote_idle: float | None = None
        self._handshake_deadline: float | None = now + config.handshake_timeout
        self._close_deadline: float | None = None
        # Endpoints that wait for an answer. The time-out is one for all, so the oldest comes first.
        self._waiting: dict[Session | Link, float] = {}
        if config.role is Role.CLIENT:
            self._stage = SASL_HEADER_DUE if config.mechanisms else AMQP_HEADER_DUE
        else:
            self._stage = SASL_HEADER_DUE if config.server_mechanisms else AMQP_HEADER_DUE

    # -- the contract with the transport

    def receive_data(self, chunk: bytes, now: float) -> None:
        """Take what arrived from the peer; b"" says that nothing more will. Call `data_to_send` and `events` next.

        Never raises for what the peer sent.
        """
        self.now = now
        if self.is_closed:
            return
        if not chunk:
            self._on_end_of_stream()
            return
        self._last_input = now
        if self._paused:
            self._hold(chunk)
            return
        data = self._input.add(chunk)
        if data is not None:
            self._read(data)

    def resume(self) -> None:
        """Read what was held back until the peer's open, begin or SASL was answered."""
        self._paused = self._answer_is_due()
        if self._input.size and not self.is_closed and not self._paused:
            self._read(self._input.take())

    def _read(self, data: bytes) -> None:
        try:
            pos = self._consume(data)
        except DecodeError as error:
            self.fail(CauseKind.PROTOCOL, conditions.DECODE_ERROR, str(error))
        except PeerError as error:
            self.fail(CauseKind.PROTOCOL, error.condition, str(error))
        except LocalProtocolError as error:
            # What the peer asked for can't be answered within what it allows us.
            self.fail(CauseKind.PROTOCOL, conditions.RESOURCE_LIMIT_EXCEEDED, str(error))
        else:
            if pos < len(data) and not self.is_closed:
                self._hold(data[pos:] if pos else data)

    def _hold(self, chunk: bytes) -> None:
        self._input.hold(chunk)
        if self._input.size > self.config.limits.frame_size + self.config.limits.sasl_frame_size:
            text = f"{self._input.size} bytes arrived before the peer's open, begin or SASL was answered"
            self.fail(CauseKind.PROTOCOL, conditions.RESOURCE_LIMIT_EXCEEDED, text)

    def _answer_is_due(self) -> bool:
        """Whether what comes next depends on an answer of ours: the peer may send ahead of it."""
        if self.local_state is CLOSED:
            return False
        if self._stage == AMQP_FRAMES:
            if self._opening_session is not None:
                if self._opening_session.local_state is IDLE:
                    return True
                self._opening_session = None
            return self.remote_state is ACTIVE and self.local_state is IDLE
        return self._sasl is not None and self._sasl.is_waiting

    def events(self) -> list[Event]:
        """Return what has happened since the last call, in order, and forget it."""
        events = self._events
        self._events = []
        return events

    def data_to_send(self) -> list[bytes | bytearray]:
        """Return what is to be written to the peer, and forget it. Call again until it is empty; then call `events`.

        Only as much is encoded at a time as `Limits.output_bytes` says, so call it when the last has been written. It
        counts as sent at the time of the last call that gave one, so call `tick` before, now and then.
        """
        if self._dirty:
            sessions, self._dirty = self._dirty, []
            for session in sessions:
                session.dirty = False
                if session.local_state is not ACTIVE or self.local_state is not ACTIVE:
                    continue
                if not session.flush(self.config.limits.output_bytes):
                    session.dirty = True
                    self._dirty.append(session)
        output = self.output
        if not output:
            return []
        self.output = bytearray()
        self._last_output = self.now
        return [output]

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest; None: not before something else happens."""
        if self.is_closed:
            return None
        if self._close_deadline is not None:
            return self._close_deadline
        deadlines = []
        if self._handshake_deadline is not None:
            deadlines.append(self._handshake_deadline)
        if self._idle_timeout is not None:
            deadlines.append(self._last_input + self._idle_timeout)
        if self._remote_idle is not None and self.local_state is ACTIVE and not self.output:
            deadlines.append(self._last_output + self._remote_idle)
        if self._waiting:
            deadlines.append(next(iter(self._waiting.values())))
        return min(deadlines) if deadlines else None

    def tick(self, now: float) -> None:
        """Do what is due: heartbeats and time-outs. Call `data_to_send` and `events` next."""
        self.now = now
        if self.is_closed or self._connection_expired(now) or self.local_state is CLOSED:
            return
        while self._waiting:
            endpoint, deadline = next(iter(self._waiting.items()))
            if now < deadline:
                break
            del self._waiting[endpoint]
            endpoint.on_unanswered()
        if (
            self._remote_idle is not None
            and self.local_state is ACTIVE
            and now >= self._last_output + self._remote_idle
            and not self.output
        ):
            self.output += EMPTY_FRAME
            self._last_output = now
            if self.trace is not None:
                self.trace("->", 0, None, 0)

    def _connection_expired(self, now: float) -> bool:
        """End the connection if one of its own time-outs has passed; tell whether it did."""
        config = self.config
        if self._close_deadline is not None:
            if now < self._close_deadline:
                return False
            text = f"the peer didn't answer our close within {config.close_timeout:g} seconds"
            self._terminate(self._cause or Cause(CauseKind.TIMEOUT, None, text))
        elif self._handshake_deadline is not None and now >= self._handshake_deadline:
            missing = describe_stage(self._stage, self._input.peek(HEADER_SIZE))
            text = f"the connection wasn't opened within {config.handshake_timeout:g} seconds: {missing}"
            self.fail(CauseKind.TIMEOUT, conditions.INTERNAL_ERROR, text)
        elif self._idle_timeout is not None and now >= self._last_input + self._idle_timeout:
            text = f"nothing arrived from the peer for {self._idle_timeout:g} seconds (idle time-out)"
            self.fail(CauseKind.TIMEOUT, conditions.RESOURCE_LIMIT_EXCEEDED, text)
        else:
            return False
        return True

    # -- commands

    def open(self, now: float) -> None:
        """Client: start the connection. Server: answer the client's open (after `ConnectionOpening`).

        Raises:
            LocalProtocolError: it was opened already, or (server) the client's open hasn't arrived.
        """
        self.check_open()
        self.now = now
        if self.config.role is Role.CLIENT:
            if self._started:
                raise LocalProtocolError("the connection was opened already")
            self._started = True
            if self._stage == SASL_HEADER_DUE:
                self.output += SASL_HEADER
            else:
                self._send_header()
                self._send_open()
        elif self.remote_state is not ACTIVE or self.local_state is not IDLE:
            raise LocalProtocolError("there is no open of the client to answer")
        else:
            self._send_open()
            self._on_both_open()
            self.resume()

    def close(self, now: float, error: Error | None = None) -> None:
        """Close the connection; `ConnectionClosed` follows when the peer has answered, or after `close_timeout`.

        Does nothing when it is closing or closed. Where no AMQP connection stands yet, it is over at once.
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
        self._handshake_deadline = None
        self._close_deadline = now + self.config.close_timeout
        self.resume()

    def abort(self, now: float, message: str, *, kind: CauseKind = CauseKind.TRANSPORT) -> None:
        """Give the connection up without a word to the peer, for instance because the transport failed."""
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
    ) -> Session:
        """Begin a session; `SessionOpened` or `SessionEnded` follows.

        Args:
            incoming_window: transfer frames that the peer may send before a flow of ours; it is renewed at half.
            outgoing_window: announced to the peer; nothing depends on it.
            handle_max: highest link handle that the peer may use.
            initial_id: where transfer-ids and delivery-ids start.
            properties: session properties.

        Raises:
            LocalProtocolError: the connection isn't open on both sides, or has no channel left.
        """
        self.check_open()
        if self.local_state is not ACTIVE or self.remote_state is not ACTIVE:
            raise LocalProtocolError("the connection is not open")
        session = Session(self)
        session.begin(
            now,
            incoming_window=incoming_window,
            outgoing_window=outgoing_window,
            handle_max=handle_max,
            initial_id=initial_id,
            properties=properties,
        )
        return session

    def sasl_outcome(self, now: float, code: int, additional_data: bytes | None = None) -> None:
        """Server: answer the client's SASL. 0 lets it in; 1 (auth), 2 (sys), 3 (sys-perm), 4 (sys-temp) refuse.

        Raises:
            LocalProtocolError: nothing was asked.
        """
        self.now = now
        self._require_sasl_server().outcome(code, additional_data)
        self.resume()

    def sasl_challenge(self, now: float, challenge: bytes) -> None:
        """Server: send a challenge; a `SaslResponse` event follows.

        Raises:
            LocalProtocolError: nothing was asked, or there were too many challenges.
        """
        self.now = now
        self._require_sasl_server().challenge(challenge)
        self.resume()

    @property
    def state(self) -> ConnectionState:
        """The specification's name for the connection's state (section 2.4.6)."""
        return connection_state(
            self._header_sent,
            self._header_received,
            self.local_state,
            self.remote_state,
            failed=self._cause is not None,
            ended=self.is_closed,
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that either side has begun and not both have ended."""
        return self._channels.all()

    # -- for sessions and links

    def emit(self, event: Event) -> None:
        """Report an event."""
        self._events.append(event)

    def send(self, channel: int, performative: Composite) -> None:
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

    def send_sasl(self, frame: Composite) -> None:
        """Append one SASL frame to the output."""
        append_frame(self.output, 0, frame, frame_type=FRAME_SASL)
        if self.trace is not None:
            self.trace("->", 0, masked(frame), 0)

    def session_is_dirty(self, session: Session) -> None:
        """The session has something to encode with the next `data_to_send`."""
        self._dirty.append(session)

    def expect_answer(self, endpoint: Session | Link) -> None:
        """Start the link time-out for a begin, attach, detach or end of ours."""
        self._waiting.pop(endpoint, None)
        self._waiting[endpoint] = self.now + self.config.link_timeout

    def answered(self, endpoint: Session | Link) -> None:
        """The answer came, or no longer matters."""
        self._waiting.pop(endpoint, None)

    def hold_bytes(self, link: Link, count: int) -> None:
        """Count bytes of unfinished deliveries; raises LinkError past the limit."""
        self._held_bytes += count
        if count > 0 and self._held_bytes > self.config.limits.buffered_bytes:
            text = f"over {self.config.limits.buffered_bytes} bytes of unfinished deliveries"
            raise LinkError(link, conditions.RESOURCE_LIMIT_EXCEEDED, text)

    def take_channel(self, session: Session) -> int:
        """Return a free channel number for a session that begins."""
        most = self.remote_open.channel_max if self.remote_open is not None else 65535
        return self._channels.take(session, most, self.config.limits.sessions)

    def forget_session(self, session: Session) -> None:
        """Both sides have ended the session: its channels are free again."""
        self.answered(session)
        self._channels.release(session)

    # -- input

    def _consume(self, data: bytes) -> int:
        """Read whole headers and frames from `data`; return where the rest begins."""
        pos = 0
        size = len(data)
        while not self.is_closed and not self._paused:
            if self._stage == AMQP_FRAMES or self._stage == SASL_FRAMES:
                if size - pos < 4:
                    self._input.need = 4
                    break
                frame_size = u32(data, pos)
                if frame_size < 8 or frame_size > self._frame_limit:
                    raise frame_size_error(frame_size, self._frame_limit)
                if size - pos < frame_size:
                    self._input.need = frame_size
                    break
                self._on_frame(data, pos, pos + frame_size)
                pos += frame_size
            else:
                if size - pos < HEADER_SIZE:
                    self._input.need = HEADER_SIZE
                    break
                self._on_header(data[pos : pos + HEADER_SIZE])
                pos += HEADER_SIZE
        return pos

    def _on_header(self, header: bytes) -> None:
        if self._stage == SASL_HEADER_DUE and header == SASL_HEADER:
            self._stage = SASL_FRAMES
            self._frame_limit = self.config.limits.sasl_frame_size
            if self.config.role is Role.CLIENT:
                self._sasl = SaslClient(self)
            else:
                self.output += SASL_HEADER
                self._sasl = SaslServer(self)
                self._sasl.offer()
        elif header == AMQP_HEADER and (
            self._stage == AMQP_HEADER_DUE or (self.config.role is Role.SERVER and not self.config.sasl_required)
        ):
            self._stage = AMQP_FRAMES
            self._frame_limit = self._max_frame_size
            self._header_received = True
            if self.config.role is Role.SERVER:
                self._send_header()
        else:
            raise self._wrong_header(header)

    def _wrong_header(self, header: bytes) -> PeerError:
        wanted = SASL_HEADER if self._stage == SASL_HEADER_DUE else AMQP_HEADER
        if self.config.role is Role.SERVER:  # section 2.2: answer with what we would speak, then close
            self.output += wanted
        return PeerError(
            conditions.NOT_IMPLEMENTED,
            f"expected {describe_header(wanted)}, the peer sent {describe_header(header)}",
        )

    def _on_frame(self, data: bytes, pos: int, end: int) -> None:
        start = pos + data[pos + 4] * 4
        if start < pos + 8 or start > end:
            raise PeerError(conditions.FRAMING_ERROR, f"data offset {data[pos + 4]} is outside of the frame")
        expected = FRAME_AMQP if self._stage == AMQP_FRAMES else FRAME_SASL
        if data[pos + 5] != expected:
            raise PeerError(conditions.FRAMING_ERROR, f"a frame of type {data[pos + 5]}, where {expected} is due")
        if expected == FRAME_SASL:
            self._on_sasl_frame(data, start, end)
            return
        channel = (data[pos + 6] << 8) | data[pos + 7]
        if start == end:
            if self.trace is not None:
                self.trace("<-", channel, None, 0)
            return
        code = data[start + 2] if end - start > 4 and data[start] == 0 and data[start + 1] == 0x53 else -1
        if code == 0x14:
            self._on_transfer(channel, data, start, end)
        elif code == 0x15:
            self._on_disposition(channel, data, start, end)
        else:
            performative, body = decode_composite(data, start, end)
            if isinstance(performative, Transfer):
                self._on_transfer(channel, data, start, end)
            elif isinstance(performative, Disposition):
                self._on_disposition(channel, data, start, end)
            else:
                self._on_performative(channel, performative, end - body)

    def _on_transfer(self, channel: int, data: bytes, pos: int, end: int) -> None:
        transfer = self._transfer
        payload = transfer.read(data, pos, end)
        if self.trace is not None:
            self.trace("<-", channel, decode_composite(data, pos, end)[0], end - payload)
        session = self._remote_sessions.get(channel)
        if session is None or session.local_state is not ACTIVE or self.local_state is not ACTIVE:
            session = self._session(channel, Transfer.NAME)
            if session is None:
                return
        try:
            session.on_transfer(transfer, data, payload, end)
        except SessionError as error:
            session.fail(error)

    def _on_disposition(self, channel: int, data: bytes, pos: int, end: int) -> None:
        disposition = self._disposition
        disposition.read(data, pos, end)
        if self.trace is not None:
            self.trace("<-", channel, decode_composite(data, pos, end)[0], 0)
        session = self._session(channel, Disposition.NAME)
        if session is not None:
            try:
                session.unsettled.on_disposition(disposition)
            except SessionError as error:
                session.fail(error)

    def _on_performative(self, channel: int, performative: Composite, payload_size: int) -> None:
        if self.trace is not None:
            self.trace("<-", channel, performative, payload_size)
        if isinstance(performative, Open):
            self._on_open(performative)
            self._paused = self._answer_is_due()
        elif isinstance(performative, Close):
            self._on_close(performative)
        elif isinstance(performative, Begin):
            self._on_begin(channel, performative)
            self._paused = self._answer_is_due()
        else:
            handler = _SESSION_HANDLERS.get(type(performative))
            if handler is None:
                raise PeerError(conditions.NOT_ALLOWED, f"{performative.NAME} doesn't belong on a connection")
            session = self._session(channel, performative.NAME)
            if session is None:
                return
            try:
                handler(session, performative)
            except SessionError as error:
                session.fail(error)

    def _session(self, channel: int, what: str) -> Session | None:
        """Return the session of an incoming channel; None: we have ended it, and what arrives is dropped."""
        if self.local_state is CLOSED:
            return None
        session = self._remote_sessions.get(channel)
        if session is None:
            self._check_open(what)
            raise PeerError(conditions.NOT_ALLOWED, f"{what} on channel {channel}, where no session has begun")
        if session.local_state is CLOSED and what != End.NAME:
            return None
        return session

    def _check_open(self, what: str) -> None:
        if self.remote_state is not ACTIVE:
            raise PeerError(conditions.NOT_ALLOWED, f"{what} before open")

    def _on_open(self, performative: Open) -> None:
        if self.remote_state is not IDLE:
            raise PeerError(conditions.NOT_ALLOWED, "a second open")
        if performative.max_frame_size < MIN_MAX_FRAME_SIZE:
            raise PeerError(
                conditions.INVALID_FIELD,
                f"open.max-frame-size must be at least {MIN_MAX_FRAME_SIZE}, not {performative.max_frame_size}",
            )
        self.remote_state = ACTIVE
        self.remote_open = performative
        self.remote_max_frame_size = performative.max_frame_size
        most = max(self.config.limits.output_bytes, MIN_MAX_FRAME_SIZE)
        self.transfer_frame_size = min(performative.max_frame_size, most)
        self._handshake_deadline = None
        if performative.idle_time_out:
            self._remote_idle = max(performative.idle_time_out / 1000 * self.config.heartbeat_ratio, LEAST_HEARTBEAT)
        if self.local_state is IDLE:
            self.emit(ConnectionOpening(performative))
        elif self.local_state is ACTIVE:
            self._on_both_open()

    def _on_both_open(self) -> None:
        if self.remote_open is not None:
            self.emit(ConnectionOpened(self.remote_open))

    def _on_begin(self, channel: int, begin: Begin) -> None:
        self._check_open("begin")
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
            session = self._opening_session = Session(self)
        else:
            answered = self._channels.local.get(begin.remote_channel)
            if answered is None or answered.remote_state is not IDLE:
                raise PeerError(
                    conditions.NOT_ALLOWED, f"begin for channel {begin.remote_channel}, which asked for none"
                )
            session = answered
        self._channels.remote[channel] = session
        session.on_begin(begin, channel)

    def _on_close(self, close: Close) -> None:
        self._check_open("close")
        self.remote_state = CLOSED
        if self.local_state is CLOSED:
            self._terminate(self._cause)
            return
        cause = Cause.from_peer(close.error, "close")
        self._send_close(None)
        self._terminate(cause)

    def _on_sasl_frame(self, data: bytes, start: int, end: int) -> None:
        frame = decode_sasl(data, start, end)
        if self.trace is not None:
            self.trace("<-", 0, masked(frame), 0)
        if self._sasl is not None:
            self._sasl.on_frame(frame)
        self._paused = self._answer_is_due()

    def on_sasl_done(self) -> None:
        """The SASL exchange succeeded: AMQP starts over with its own header."""
        self._sasl = None
        self._stage = AMQP_HEADER_DUE
        if self.config.role is Role.CLIENT:
            self._send_header()
            self._send_open()

    def _on_end_of_stream(self) -> None:
        if self.local_state is CLOSED:
            self._terminate(self._cause)
            return
        text = "the peer ended the connection without a close"
        if self.remote_state is IDLE:
            missing = describe_stage(self._stage, self._input.peek(HEADER_SIZE))
            text = f"the peer ended the connection before it was open: {missing}"
        self._terminate(Cause(CauseKind.TRANSPORT, None, text))

    # -- the ends

    def fail(self, kind: CauseKind, condition: Symbol, text: str) -> None:
        """End the connection for a fault of the peer: say why, as far as it can be said, and report it."""
        if self.is_closed:
            return
        cause = self._cause or Cause.make(kind, condition, text)
        if self._header_sent and self.local_state is not CLOSED and self._stage == AMQP_FRAMES:
            self._cause = cause
            try:
                self._send_close(wire_error(condition, text))
            except LocalProtocolError:
                pass  # our open doesn't fit into the peer's frames: there is no way to say anything
        self._terminate(cause)

    def _terminate(self, cause: Cause | None) -> None:
        self.is_closed = True
        self.cause = cause
        self._input.clear()
        self._waiting.clear()
        for session in self.sessions:
            session.lost(cause)
        self._channels.clear()
        self._dirty = []
        self.emit(ConnectionClosed(cause))

    def _send_header(self) -> None:
        self.output += AMQP_HEADER
        self._header_sent = True

    def _send_open(self) -> None:
        self.send(0, self.config.open(self._max_frame_size))
        self.local_state = ACTIVE

    def _send_close(self, error: Error | None) -> None:
        if self.local_state is IDLE:
            self._send_open()  # section 2.4.3: there is no close without an open
        if self.remote_state is not CLOSED:
            for session in self.sessions:
                if session.local_state is ACTIVE:
                    session.flush(self.config.limits.output_bytes)
        self.send(0, Close(error))
        self.local_state = CLOSED

    def check_open(self) -> None:
        """Raise LocalProtocolError if the connection is closed, or closing."""
        if self.is_closed or self.local_state is CLOSED:
            raise LocalProtocolError("the connection is closed")

    def _require_sasl_server(self) -> SaslServer:
        if self.is_closed or not isinstance(self._sasl, SaslServer):
            raise LocalProtocolError("there is no SASL exchange to answer")
        return self._sasl


_SESSION_HANDLERS: dict[type[Composite], Callable[[Session, Any], None]] = {
    Attach: Session.on_attach,
    Flow: Session.on_flow,
    Detach: Session.on_detach,
    End: Session.on_end,
}
"""Which performatives belong to a session. Transfers and dispositions have a way of their own; begin makes it."""
