"""The input of a connection: protocol headers, the SASL layer, frames; each performative goes where it belongs.

An error of the peer's ends what it concerns. Nothing that a peer can send leaves this module as an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..codec import (
    Attach,
    Begin,
    Close,
    Composite,
    DecodeError,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Symbol,
    Transfer,
    decode_composite,
)
from ..codec.decode import u32
from . import conditions
from .buffer import InputBuffer
from .config import Role
from .errors import CauseKind, LocalProtocolError, PeerError, SessionError
from .frames import FRAME_AMQP, FRAME_SASL, DispositionReader, TransferReader, frame_size_error
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
from .session import Session
from .states import ACTIVE, CLOSED, IDLE

if TYPE_CHECKING:
    from .connection import Engine

_OPEN = bytes((0x00, 0x53, Open.DESCRIPTOR))
_OPEN_BY_NAME = b"\x00\xa3" + bytes((len(Open.NAME),)) + Open.NAME.encode()


# Held and paused input. Bytes are held, unread, for two reasons.
#
# The first is that a frame is incomplete: `InputBuffer.need` says how many bytes it takes, and until they are there
# nothing is examined again.
#
# The second is that a peer may send ahead: open, begin, attach and transfers all at once, or its AMQP header right
# after its SASL response. Three of our answers decide what such bytes mean: the answer to its SASL (is it admitted at
# all?), to its open and to its begin (which limits and windows apply?). They come from the engine's user, who hears of
# the question by an event, and so after `receive_data` has returned. Reading therefore pauses right after the frame
# that asks: `_answer_is_due` checks whether one of the three is owed, `_paused` remembers it, and whatever gives an
# answer calls `Engine._resume`, which checks again and continues. An attach doesn't pause anything: an unanswered link
# has no credit, so there is at most a flow to remember (`Link._held_flow`). Our close ends every pause, since no answer
# is owed after it.
#
# The bytes held during a pause are limited (`_check_held`): a peer that keeps sending without an answer is closed.


class Input:
    """The reading half of an engine.

    Attributes:
        stage: what the peer's next bytes have to be, see `handshake`.
        header_received: whether the peer's AMQP header has arrived.
        sasl: the SASL exchange under way; None if there is none.
        opening_session: the session whose begin by the peer isn't answered yet.
    """

    __slots__ = (
        "_buffer",
        "_disposition",
        "_engine",
        "_frame_limit",
        "_frame_start",
        "_paused",
        "_sessions",
        "_transfer",
        "header_received",
        "opening_session",
        "sasl",
        "stage",
    )

    def __init__(self, engine: Engine, stage: int, sessions: dict[int, Session]) -> None:
        self._engine = engine
        self.stage = stage
        self._frame_limit = 0  # in the current stage
        self._frame_start = -1  # where in the input the current frame starts; -1 if there is none
        self._sessions = sessions  # by the peer's channels
        self._buffer = InputBuffer(HEADER_SIZE)
        self._transfer = TransferReader()
        self._disposition = DispositionReader()
        self._paused = False  # whether reading waits for an answer to the peer
        self.header_received = False
        self.sasl: SaslClient | SaslServer | None = None
        self.opening_session: Session | None = None

    # -- bytes

    def receive(self, chunk: bytes) -> None:
        """Read input, as far as it can be read now."""
        if type(chunk) is not bytes:
            chunk = bytes(chunk)
        if self._buffer.size or self._paused:
            self._buffer.hold(chunk)
            self._check_held()
        else:
            self._read(chunk, 0)
        self._read_held()

    def resume(self) -> None:
        """Read the input held back until the peer's open, begin or SASL was answered."""
        self._paused = self._answer_is_due()
        self._read_held()

    def clear(self) -> None:
        """Forget what is held, because nothing more is read."""
        self._buffer.clear()

    def describe(self) -> str:
        """Return what is still missing before the connection is open."""
        return describe_stage(self.stage, self._buffer.peek(HEADER_SIZE), tls_port=self._engine.config.tls_port)

    def _read_held(self) -> None:
        buffer = self._buffer
        while buffer.size and not self._paused and not self._engine.is_closed:
            held = buffer.take()
            if held is None:
                return
            data, pos = held
            self._read(data, pos)

    def _read(self, data: bytes, pos: int) -> None:
        """Read `data` from `pos` on, and hold what can't be read yet.

        An exception in here is an error of the peer's, or of our own in reading what it sent; either ends the
        connection.
        """
        engine = self._engine
        self._buffer.need = 1
        self._frame_start = -1
        try:
            pos = self._consume(data, pos)
        except DecodeError as error:
            pos = self._fail(conditions.DECODE_ERROR, error, data)
        except PeerError as error:
            pos = self._fail(error.condition, error, data)
        except LocalProtocolError as error:
            # The answer that the peer asked for exceeds what it allows us.
            pos = self._fail(conditions.RESOURCE_LIMIT_EXCEEDED, error, data)
        except BaseException as error:
            engine._fail_unexpectedly(error)
            if not isinstance(error, Exception):
                raise  # an interrupt: what was being read is lost
        if pos < len(data) and not engine.is_closed:
            self._buffer.put_back(data, pos)
            self._check_held()

    def _fail(self, condition: Symbol, error: Exception, data: bytes) -> int:
        """End the connection for an error of the peer's; return where the rest begins if that still matters."""
        in_open = False
        end = len(data)
        start = self._frame_start
        if start >= 0 and self._engine.remote_state is IDLE and self.stage == AMQP_FRAMES:
            body = start + data[start + 4] * 4
            in_open = data[body : body + 3] == _OPEN or data[body : body + len(_OPEN_BY_NAME)] == _OPEN_BY_NAME
            end = start + u32(data, start)
        self._engine._fail(CauseKind.PROTOCOL, condition, str(error), in_open=in_open)
        return end

    def _check_held(self) -> None:
        size = self._buffer.size
        limits = self._engine.config.limits
        if self._paused and size > limits.frame_size + limits.sasl_frame_size:
            text = f"{size} bytes arrived before the peer's open, begin or SASL was answered"
            self._engine._fail(CauseKind.PROTOCOL, conditions.RESOURCE_LIMIT_EXCEEDED, text)

    def _answer_is_due(self) -> bool:
        """Return whether the meaning of the next bytes depends on an answer of ours; the peer may send ahead."""
        engine = self._engine
        if engine.local_state is CLOSED:
            return False
        if self.stage == AMQP_FRAMES:
            session = self.opening_session
            if session is not None:
                if session.local_state is IDLE:
                    return True
                self.opening_session = None
            return engine.remote_state is ACTIVE and engine.local_state is IDLE
        return self.sasl is not None and self.sasl.is_waiting

    def _consume(self, data: bytes, pos: int) -> int:
        """Read whole headers and frames from `pos` on, and return where the rest begins."""
        size = len(data)
        engine = self._engine
        while not engine.is_closed and not self._paused:
            if self.stage == AMQP_FRAMES or self.stage == SASL_FRAMES:
                if size - pos < 4:
                    self._buffer.need = 4
                    break
                frame_size = u32(data, pos)
                if frame_size < 8 or frame_size > self._frame_limit:
                    self._frame_start = -1
                    raise frame_size_error(frame_size, self._frame_limit)
                if size - pos < frame_size:
                    self._buffer.need = frame_size
                    break
                self._frame_start = pos
                self._on_frame(data, pos, pos + frame_size)
                pos += frame_size
            else:
                if size - pos < HEADER_SIZE:
                    self._buffer.need = HEADER_SIZE
                    break
                self._on_header(data[pos : pos + HEADER_SIZE])
                pos += HEADER_SIZE
        return pos

    # -- headers and SASL

    def _on_header(self, header: bytes) -> None:
        engine = self._engine
        config = engine.config
        if self.stage == SASL_HEADER_DUE and header == SASL_HEADER:
            self.stage = SASL_FRAMES
            self._frame_limit = config.limits.sasl_frame_size
            if config.role is Role.CLIENT:
                self.sasl = SaslClient(engine)
            else:
                engine.output += SASL_HEADER
                self.sasl = SaslServer(engine)
                self.sasl.offer()
        elif header == AMQP_HEADER and (
            self.stage == AMQP_HEADER_DUE or (config.role is Role.SERVER and not config.sasl_required)
        ):
            self.stage = AMQP_FRAMES
            self._frame_limit = engine.max_frame_size
            self.header_received = True
            if config.role is Role.SERVER:
                engine._send_header()
        else:
            raise self._wrong_header(header)

    def _wrong_header(self, header: bytes) -> PeerError:
        wanted = SASL_HEADER if self.stage == SASL_HEADER_DUE else AMQP_HEADER
        if self._engine.config.role is Role.SERVER:  # section 2.2: answer with what we would speak, then close
            self._engine.output += wanted
        return PeerError(
            conditions.NOT_IMPLEMENTED,
            f"expected {describe_header(wanted)}, the peer sent {describe_header(header)}",
        )

    def _on_sasl_frame(self, data: bytes, start: int, end: int) -> None:
        frame = decode_sasl(data, start, end)
        trace = self._engine.trace
        if trace is not None:
            trace("<-", 0, masked(frame), 0)
        if self.sasl is not None:
            self.sasl.on_frame(frame)
        self._paused = self._answer_is_due()

    # -- frames

    def _on_frame(self, data: bytes, pos: int, end: int) -> None:
        start = pos + data[pos + 4] * 4
        if start < pos + 8 or start > end:
            raise PeerError(conditions.FRAMING_ERROR, f"data offset {data[pos + 4]} is outside of the frame")
        expected = FRAME_AMQP if self.stage == AMQP_FRAMES else FRAME_SASL
        if data[pos + 5] != expected:
            raise PeerError(conditions.FRAMING_ERROR, f"a frame of type {data[pos + 5]}, where {expected} is due")
        if expected == FRAME_SASL:
            self._on_sasl_frame(data, start, end)
            return
        channel = (data[pos + 6] << 8) | data[pos + 7]
        if start == end:
            if self._engine.trace is not None:
                self._engine.trace("<-", channel, None, 0)
            return
        code = data[start + 2] if end - start > 4 and data[start] == 0 and data[start + 1] == 0x53 else -1
        if code == 0x14:
            self._on_transfer(channel, data, start, end)
        elif code == 0x15:
            self._on_disposition(channel, data, start, end)
        else:
            performative, body = decode_composite(data, start, end, True)
            if isinstance(performative, Transfer):
                self._on_transfer(channel, data, start, end)
            elif isinstance(performative, Disposition):
                self._on_disposition(channel, data, start, end)
            else:
                self._on_performative(channel, performative, end - body)

    def _on_transfer(self, channel: int, data: bytes, pos: int, end: int) -> None:
        engine = self._engine
        transfer = self._transfer
        payload = transfer.read(data, pos, end)
        if engine.trace is not None:
            engine.trace("<-", channel, decode_composite(data, pos, end, True)[0], end - payload)
        session = self._sessions.get(channel)
        if session is None or session.local_state is not ACTIVE or engine.local_state is not ACTIVE:
            session = self._session(channel, Transfer.NAME)
            if session is None:
                return
        try:
            session._on_transfer(transfer, data, payload, end)
        except SessionError as error:
            session._fail(error)

    def _on_disposition(self, channel: int, data: bytes, pos: int, end: int) -> None:
        trace = self._engine.trace
        disposition = self._disposition
        disposition.read(data, pos, end)
        if trace is not None:
            trace("<-", channel, decode_composite(data, pos, end, True)[0], 0)
        session = self._session(channel, Disposition.NAME)
        if session is not None:
            try:
                session.unsettled.on_disposition(disposition)
            except SessionError as error:
                session._fail(error)

    def _on_performative(self, channel: int, performative: Composite, payload_size: int) -> None:
        engine = self._engine
        if engine.trace is not None:
            engine.trace("<-", channel, performative, payload_size)
        if isinstance(performative, Open):
            engine._on_open(performative)
            self._paused = self._answer_is_due()
        elif isinstance(performative, Close):
            engine._on_close(performative)
        elif isinstance(performative, Begin):
            engine._on_begin(channel, performative)
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
                session._fail(error)

    def _session(self, channel: int, what: str) -> Session | None:
        """Return the session of an incoming channel, or None if we have ended it and drop what arrives for it."""
        engine = self._engine
        if engine.local_state is CLOSED:
            return None
        session = self._sessions.get(channel)
        if session is None:
            engine._require_remote_open(what)
            session = engine._refused_session(channel) if what == End.NAME else None
            if session is None:
                raise PeerError(conditions.NOT_ALLOWED, f"{what} on channel {channel}, where no session has begun")
        if session.local_state is CLOSED and what != End.NAME:
            return None
        return session


_SESSION_HANDLERS: dict[type[Composite], Callable[[Session, Any], None]] = {
    Attach: Session._on_attach,
    Flow: Session._on_flow,
    Detach: Session._on_detach,
    End: Session._on_end,
}
"""The methods of a session by performative. Transfers and dispositions are handled apart; a begin creates one."""
