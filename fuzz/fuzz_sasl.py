"""Fuzzes the SASL layer: any bytes of the peer end in an orderly way or go on, nobody gets in without an outcome of ok,
and no secret shows up.

python -m fuzz.fuzz_sasl --seconds 600
python -m fuzz.fuzz_sasl --record    writes the usual exchanges to fuzz/corpus/sasl/exchanges.hex

An input's first byte chooses one of `SETUPS`, the second how the bytes are cut (`SIZES` of fuzz_engine) and whether
frames' sizes are put right first (REPAIR).
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import Any

from tests.peer.codec import WireError
from tests.peer.frames import AMQP_HEADER, SASL_HEADER, TLS_HEADER, decode_frame, frame, performative
from tests.support.talk import START, say
from uamqp.codec import Composite
from uamqp.engine import Engine, EngineConfig, Limits, LocalProtocolError, Role, sasl
from uamqp.engine.events import ConnectionClosed, ConnectionOpened, ConnectionOpening, SaslInit, SaslResponse

from . import mutate
from .fuzz_engine import REPAIR, SIZES, Broken, cut, repaired

SECRET = "hunter2-zyxwvu"
LIMITS = Limits(frame_size=2048, sasl_frame_size=1024, sasl_rounds=2)


class Steps:
    """A mechanism of several steps, whose responses are secrets, and which doesn't like some challenges."""

    name = "STEPS"

    def initial_response(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        if challenge.startswith(b"!"):
            raise ValueError("the challenge makes no sense")
        return challenge + SECRET.encode()


MECHANISMS: dict[str, Any] = {
    "plain": [sasl.Plain("user", SECRET)],
    "anonymous": [sasl.Anonymous()],
    "all": [sasl.External(), Steps(), sasl.Plain("user", SECRET), sasl.Mssbcbs(), sasl.Anonymous("me")],
}
# The role, the client's mechanisms or the server's answers one after another: an outcome, or a challenge.
SETUPS: list[tuple[Role, Any]] = [
    *[(Role.CLIENT, name) for name in MECHANISMS],
    (Role.SERVER, (0,)),
    (Role.SERVER, (1,)),
    (Role.SERVER, (b"challenge", 0)),
    (Role.SERVER, (b"", b"again", b"and again", 0)),
    (Role.SERVER, ()),
]

HELLO = frame(performative("open", container_id="peer"))
FRAMES: dict[str, bytes] = {
    "mechanisms": performative("sasl_mechanisms", sasl_server_mechanisms=["PLAIN", "ANONYMOUS"]),
    "steps": performative("sasl_mechanisms", sasl_server_mechanisms=["STEPS"]),
    "none": performative("sasl_mechanisms", sasl_server_mechanisms=["GSSAPI"]),
    "init": performative("sasl_init", mechanism="PLAIN", initial_response=b"\0user\0" + SECRET.encode(), hostname="h"),
    "other": performative("sasl_init", mechanism="GSSAPI"),
    "challenge": performative("sasl_challenge", challenge=b"one"),
    "empty": performative("sasl_challenge", challenge=b""),
    "nonsense": performative("sasl_challenge", challenge=b"!"),
    "response": performative("sasl_response", response=SECRET.encode()),
    **{f"outcome {code}": performative("sasl_outcome", code=code) for code in range(5)},
}
EXCHANGES: list[tuple[str, list[str]]] = [
    ("client", ["mechanisms", "outcome 0"]),
    ("client", ["mechanisms", "empty", "outcome 0"]),
    ("client", ["steps", "challenge", "challenge", "outcome 0"]),
    ("client", ["steps", "nonsense"]),
    ("client", ["steps", "challenge", "challenge", "challenge"]),
    ("client", ["none"]),
    *[("client", ["mechanisms", f"outcome {code}"]) for code in range(1, 5)],
    ("client", ["outcome 0"]),
    ("server", ["init"]),
    ("server", ["other"]),
    ("server", ["init", "response"]),
    ("server", ["init", "response", "response", "response"]),
    ("server", ["response"]),
    ("server", ["init", "init"]),
]
TOKENS: list[bytes] = [
    AMQP_HEADER,
    SASL_HEADER,
    TLS_HEADER,
    HELLO,
    *[frame(body, type_=1) for body in FRAMES.values()],
    *[bytes((0x00, 0x53, code)) for code in (*range(0x40, 0x45), 0x10)],
    *[bytes((0x50, code)) for code in range(6)],
    b"\xa3\x05PLAIN",
    b"\xa3\x05STEPS",
    b"\xe0\x01\x00\xa3",
    b"\xa0\x00",
    b"\x40",
    b"\x45",
]


class Run:
    """One engine in its SASL exchange."""

    def __init__(self, role: Role, setup: Any) -> None:
        self.role = role
        self.answers = list(setup) if role is Role.SERVER else []
        self.let_in = False
        config = EngineConfig(
            "me",
            role=role,
            mechanisms=MECHANISMS[setup] if role is Role.CLIENT else (),
            server_mechanisms=() if role is Role.CLIENT else ("PLAIN", "STEPS"),
            limits=LIMITS,
        )
        self.traced: list[tuple[str, int, Composite | None, int]] = []
        self.engine = Engine(config, START, trace=lambda *call: self.traced.append(call))
        self.events: list[Any] = []
        self.output = bytearray()
        if role is Role.CLIENT:
            self.engine.open(START)
        self.react()

    def feed(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.engine.receive_data(piece, START)
            self.react()

    def react(self) -> None:
        """Answer as the setup says, and have all written."""
        while True:
            new = self.engine.events()
            self.events += new
            for event in new:
                if type(event) in (SaslInit, SaslResponse) and self.answers:
                    self.answer(self.answers.pop(0))
                elif type(event) is ConnectionOpening:
                    self.engine.open(START)
            said = say(self.engine)
            self.output += said
            if not new and not said:
                return

    def answer(self, answer: int | bytes) -> None:
        try:
            if isinstance(answer, bytes):
                self.engine.sasl_challenge(START, answer)
            else:
                self.engine.sasl_outcome(START, answer)
                self.let_in = answer == 0
        except LocalProtocolError:
            pass

    def check(self) -> None:
        """What must hold when it is over."""
        kinds = [type(event) for event in self.events]
        if kinds.count(ConnectionClosed) != 1 or kinds[-1] is not ConnectionClosed:
            raise Broken(f"ConnectionClosed isn't the last and only one: {kinds}")
        names, after = self.frames()
        if self.role is Role.SERVER and not self.let_in and {ConnectionOpening, ConnectionOpened} & set(kinds):
            raise Broken("a client got in that nobody has let in")
        if self.role is Role.CLIENT:
            came = [type(call[2]).__name__ for call in self.traced if call[0] == "<-"]
            if (ConnectionOpened in kinds or after) and "SaslOutcome" not in came:
                raise Broken("the client went on without an outcome")
        if names and names[0] not in ("sasl_init", "sasl_mechanisms", "open"):
            raise Broken(f"the first frame is {names[0]}")
        cause = self.engine.cause
        shown = f"{self.events!r} {self.traced!r} {cause!r} {self.engine!r} {self.engine.config!r}"
        if SECRET in shown:
            raise Broken(f"the secret is shown: {shown}")

    def frames(self) -> tuple[list[str], bool]:
        """The names of the frames that went out; whether the AMQP header did."""
        data, pos = bytes(self.output), 0
        names = []
        header = False
        while pos < len(data):
            if data[pos : pos + 8] in (AMQP_HEADER, SASL_HEADER):
                header = header or data[pos : pos + 8] == AMQP_HEADER
                pos += 8
                continue
            size = int.from_bytes(data[pos : pos + 4], "big")
            try:
                names.append(decode_frame(data[pos : pos + size]).name)
            except (WireError, IndexError, ValueError) as error:
                raise Broken(f"the engine sent {data[pos : pos + size].hex()}: {error}") from error
            pos += size
        return names, header


def target(data: bytes) -> Hashable:
    """What happens when these bytes come in; raises Broken where an invariant doesn't hold."""
    if len(data) < 2:
        return len(data)
    number = data[0] % len(SETUPS)
    run = Run(*SETUPS[number])
    rest = repaired(data[2:]) if data[1] & REPAIR else data[2:]
    run.feed(cut(rest, SIZES[data[1] % len(SIZES)]))
    if not run.engine.is_closed:
        run.engine.tick(START + 1000)
        run.react()
        run.engine.receive_data(b"", START + 1000)
        run.react()
    run.check()
    cause = run.engine.cause
    text = "".join(letter for letter in cause.message if not letter.isdigit())[:60] if cause is not None else ""
    return number, text, tuple(sorted({type(event).__name__ for event in run.events})), min(len(run.traced), 8)


def recording() -> str:
    """The corpus of the usual exchanges."""
    lines = ["# Written by `python -m fuzz.fuzz_sasl --record`."]
    for number, (role, _) in enumerate(SETUPS):
        for whose, names in EXCHANGES:
            if whose != role.value:
                continue
            said = SASL_HEADER + b"".join(frame(FRAMES[name], type_=1) for name in names) + AMQP_HEADER + HELLO
            lines.append(f"{(bytes((number, 0)) + said).hex()}  # {whose}: {', '.join(names)}")
    lines.append(f"{(bytes((3, 0)) + AMQP_HEADER + HELLO).hex()}  # server: without SASL")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        folder = mutate.HERE / "corpus" / "sasl"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "exchanges.hex").write_text(recording(), encoding="utf-8")
        sys.exit(0)
    sys.exit(mutate.main("sasl", target, TOKENS))
