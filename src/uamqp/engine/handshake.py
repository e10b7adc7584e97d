"""The protocol headers and the SASL layer, client and server side (sections 2.2 and 5.3).

These use only a handful of the engine's methods, and know nothing of sessions or links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..codec import (
    Composite,
    DecodeError,
    SaslChallenge,
    SaslCode,
    SaslMechanisms,
    SaslOutcome,
    Symbol,
    decode_composite,
)
from ..codec import (
    SaslInit as SaslInitFrame,
)
from ..codec import (
    SaslResponse as SaslResponseFrame,
)
from . import conditions
from .errors import CauseKind, LocalProtocolError, PeerError
from .events import SaslInit, SaslResponse

if TYPE_CHECKING:
    from .connection import Engine
    from .sasl import Mechanism

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
HEADER_SIZE = 8

# How a connection starts (sections 2.2 and 5.3). Each side sends a header of eight bytes that names the protocol to
# follow. With a SASL layer this happens twice: both send the SASL header, SASL frames go to and fro until the server's
# outcome, and then the connection starts over with the AMQP header. `Input.stage` says what the peer's next bytes have
# to be; what we have sent ourselves is `Engine._header_sent` and `Engine.local_state`.
#
#     SASL_HEADER_DUE --SASL header--> SASL_FRAMES --outcome 0--> AMQP_HEADER_DUE --AMQP header--> AMQP_FRAMES
#
# A connection without a SASL layer starts at AMQP_HEADER_DUE. AMQP_FRAMES is never left again.
#
# The client speaks first, and sends as much as it can without an answer: a SASL header alone, since the server chooses
# what comes next, but the AMQP header together with its open. The server answers each header with its own. Where it
# doesn't insist on SASL (`EngineConfig.sasl_required`), a client may skip that: an AMQP header in place of the SASL
# header leads from the first stage to the last. A header that the server can't accept is answered with the one that it
# would accept, and the connection is over (section 2.2).
SASL_HEADER_DUE, SASL_FRAMES, AMQP_HEADER_DUE, AMQP_FRAMES = range(4)

_SECRET = b"***"

_PROTOCOLS = {0: "AMQP without SASL", 2: "AMQP with TLS inside", 3: "AMQP with SASL"}
_REFUSALS: dict[int, str] = {
    SaslCode.AUTH: "the server refused the credentials",
    SaslCode.SYS: "the server's authentication failed",
    SaslCode.SYS_PERM: "the server's authentication failed for good",
    SaslCode.SYS_TEMP: "the server's authentication failed for now",
}

_REFUSAL_CONDITIONS: dict[int, Symbol] = {
    SaslCode.AUTH: conditions.UNAUTHORIZED_ACCESS,
    SaslCode.SYS_PERM: conditions.NOT_ALLOWED,
}
"""The conditions of refusals that another try wouldn't change; others may pass."""


def describe_header(header: bytes) -> str:
    """Return what a peer's first bytes seem to be, for an error message."""
    if header[:4] == b"AMQP" and len(header) == HEADER_SIZE:
        protocol, major, minor, revision = header[4], header[5], header[6], header[7]
        if (major, minor, revision) == (1, 0, 0) and protocol in _PROTOCOLS:
            return f"the header of {_PROTOCOLS[protocol]}"
        return f"the header of another AMQP version ({protocol}-{major}-{minor}-{revision})"
    if header[:2] in (b"\x15\x03", b"\x16\x03"):
        return "a TLS record: this port expects TLS"
    if header[:5] == b"HTTP/":
        return "an HTTP answer: this port doesn't speak AMQP"
    return f"{header!r}, which is not an AMQP header"


def describe_stage(stage: int, held: bytes, *, tls_port: bool) -> str:
    """Return what is still missing before a connection is open.

    Args:
        stage: what comes next.
        held: what has arrived of it.
        tls_port: see `EngineConfig`.
    """
    if stage == SASL_FRAMES:
        return "the SASL exchange wasn't finished"
    if stage == AMQP_FRAMES:
        return "no open came"
    protocol, header = ("SASL", SASL_HEADER) if stage == SASL_HEADER_DUE else ("AMQP", AMQP_HEADER)
    if held and held != header[: len(held)]:
        return f"it sent {describe_header(held)}"
    hint = " (this is a port for TLS, which has nothing to say to a client without it)" if tls_port and not held else ""
    return f"no {protocol} header came{hint}"


def decode_sasl(data: bytes, start: int, end: int) -> Composite:
    """Return the SASL frame from `start` to `end`.

    Raises:
        PeerError: it can't be decoded. The codec's own message could quote a secret.
    """
    try:
        return decode_composite(data, start, end)[0]
    except DecodeError:
        raise PeerError(conditions.DECODE_ERROR, "a SASL frame can't be decoded") from None


def masked(frame: Composite) -> Composite:
    """Return a SASL frame in a form that may be shown."""
    if isinstance(frame, SaslInitFrame) and frame.initial_response is not None:
        return SaslInitFrame(frame.mechanism, _SECRET, frame.hostname)
    if isinstance(frame, SaslResponseFrame):
        return SaslResponseFrame(_SECRET)
    return frame


class SaslClient:
    """The client's half: choose a mechanism, answer challenges, wait for the outcome."""

    __slots__ = ("_chosen", "_engine", "_rounds")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._chosen: Mechanism | None = None
        self._rounds = 0

    @property
    def is_waiting(self) -> bool:
        """Always False: the client answers at once."""
        return False

    def on_frame(self, frame: Composite) -> None:
        """Handle one SASL frame of the server."""
        if isinstance(frame, SaslMechanisms) and self._chosen is None:
            self._choose(frame.sasl_server_mechanisms)
        elif isinstance(frame, SaslChallenge) and self._chosen is not None:
            self._answer(self._chosen, frame.challenge)
        elif isinstance(frame, SaslOutcome) and self._chosen is not None:
            self._finish(self._chosen, frame)
        else:
            raise PeerError(conditions.NOT_ALLOWED, f"{frame.NAME} is out of place in the SASL exchange")

    def _choose(self, offered: tuple[Symbol, ...]) -> None:
        engine = self._engine
        for mechanism in engine.config.mechanisms:
            if mechanism.name in offered:
                self._chosen = mechanism
                response = mechanism.initial_response()
                engine._send_sasl(SaslInitFrame(Symbol(mechanism.name), response, engine.config.hostname))
                return
        wanted = ", ".join(mechanism.name for mechanism in engine.config.mechanisms)
        engine._fail(
            CauseKind.SASL,
            conditions.UNAUTHORIZED_ACCESS,
            f"no common SASL mechanism: the server offers {', '.join(offered) or 'none'}, we can do {wanted}",
        )

    def _answer(self, mechanism: Mechanism, challenge: bytes) -> None:
        engine = self._engine
        self._rounds += 1
        if self._rounds > engine.config.limits.sasl_rounds:
            raise PeerError(conditions.RESOURCE_LIMIT_EXCEEDED, f"more than {self._rounds - 1} SASL challenges")
        try:
            response = mechanism.step(challenge)
        except ValueError as error:
            engine._fail(CauseKind.SASL, conditions.UNAUTHORIZED_ACCESS, f"SASL {mechanism.name}: {error}")
            return
        except Exception as error:  # noqa: BLE001 (from a mechanism that isn't ours; its text may quote a secret)
            text = f"SASL {mechanism.name}: {type(error).__name__} over a challenge of the server"
            engine._fail(CauseKind.SASL, conditions.UNAUTHORIZED_ACCESS, text)
            return
        engine._send_sasl(SaslResponseFrame(response))

    def _finish(self, mechanism: Mechanism, outcome: SaslOutcome) -> None:
        if outcome.code == SaslCode.OK:
            self._engine._on_sasl_done()
            return
        text = _REFUSALS.get(outcome.code, "the server refused")
        condition = _REFUSAL_CONDITIONS.get(outcome.code, conditions.INTERNAL_ERROR)
        self._engine._fail(CauseKind.SASL, condition, f"SASL {mechanism.name}: {text} (outcome {int(outcome.code)})")


class SaslServer:
    """The server's half: offer mechanisms, and pass what the client says to the engine's user."""

    __slots__ = ("_engine", "_pending", "_rounds", "_started")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started = False
        self._pending = False  # whether the client waits for our answer
        self._rounds = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the engine's user owes the client an answer."""
        return self._pending

    def offer(self) -> None:
        """Send the list of mechanisms."""
        names = tuple(Symbol(name) for name in self._engine.config.server_mechanisms)
        self._engine._send_sasl(SaslMechanisms(names))

    def on_frame(self, frame: Composite) -> None:
        """Handle one SASL frame of the client."""
        engine = self._engine
        if isinstance(frame, SaslInitFrame) and not self._started:
            self._started = True
            self._pending = True
            if frame.mechanism not in engine.config.server_mechanisms:
                self.outcome(int(SaslCode.AUTH))
                return
            engine._emit(SaslInit(str(frame.mechanism), frame.initial_response, frame.hostname))
        elif isinstance(frame, SaslResponseFrame) and self._started and not self._pending:
            self._pending = True
            engine._emit(SaslResponse(frame.response))
        else:
            raise PeerError(conditions.NOT_ALLOWED, f"{frame.NAME} is out of place in the SASL exchange")

    def challenge(self, data: bytes) -> None:
        """Send a challenge."""
        self._require_pending()
        self._rounds += 1
        if self._rounds > self._engine.config.limits.sasl_rounds:
            raise LocalProtocolError(f"more than {self._rounds - 1} SASL challenges")
        self._pending = False
        self._engine._send_sasl(SaslChallenge(data))

    def outcome(self, code: int, additional_data: bytes | None = None) -> None:
        """Send the outcome; a refusal ends the connection."""
        self._require_pending()
        try:
            outcome = SaslOutcome(SaslCode(code), additional_data)
        except ValueError:
            raise LocalProtocolError(f"a SASL outcome is from 0 to 4, not {code!r}") from None
        self._engine._send_sasl(outcome)
        self._pending = False
        if code == SaslCode.OK:
            self._engine._on_sasl_done()
        else:
            text = f"the client's authentication was refused (outcome {code})"
            self._engine._fail(CauseKind.SASL, conditions.UNAUTHORIZED_ACCESS, text)

    def _require_pending(self) -> None:
        if not self._pending:
            raise LocalProtocolError("the client hasn't asked for SASL, or was answered already")
