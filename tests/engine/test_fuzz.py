"""Any bytes, at any point of a conversation, to both roles; and the fuzzers of the engine and the SASL layer.

What must hold of every run is `check` of fuzz.fuzz_engine and fuzz.fuzz_sasl: no exception but a command's, one
terminal event, the last, every endpoint and delivery ended once, well-formed output, and an error close where the
connection stood.
"""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz.__main__ as fuzz_main
from fuzz import fuzz_engine, fuzz_sasl, grammar, mutate
from tests.peer.frames import AMQP_HEADER, SASL_HEADER, frame
from tests.support.effort import examples
from tests.support.talk import START
from uamqp.engine import CauseKind

FUZZERS: dict[str, ModuleType] = {"engine": fuzz_engine, "sasl": fuzz_sasl}
STAGES = st.integers(0, len(fuzz_engine.stages()) - 1)
HOW = st.sampled_from([0, 1, 4, fuzz_engine.EAGER, fuzz_engine.EAGER | 1, fuzz_engine.EAGER | 6])


def corpus(name: str) -> list[bytes]:
    return mutate.load_corpus(mutate.HERE / "corpus" / name)


# -- any bytes


@settings(max_examples=examples(300))
@given(stage=STAGES, how=HOW, data=st.binary(max_size=200))
def test_any_bytes(stage: int, how: int, data: bytes) -> None:
    fuzz_engine.target(bytes((stage, how)) + data)


@settings(max_examples=examples(300))
@given(stage=STAGES, how=HOW, data=st.binary(max_size=120))
def test_any_bytes_in_a_frame(stage: int, how: int, data: bytes) -> None:
    """A frame's header that fits, and anything in it."""
    for kind in (0, 1):
        fuzz_engine.target(bytes((stage, how)) + frame(data, type_=kind) * 2)


@settings(max_examples=examples(300))
@given(stage=STAGES, how=HOW, data=st.data())
def test_a_damaged_conversation(stage: int, how: int, data: st.DataObject) -> None:
    """What the peer really says next, with some bytes changed, left out, or put in."""
    said = bytearray(fuzz_engine.stages()[stage][2] or AMQP_HEADER)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(said) - 1)))
        kind = data.draw(st.integers(0, 2))
        if kind == 0 and said:
            said[at] = data.draw(st.integers(0, 255))
        elif kind == 1:
            del said[at : at + data.draw(st.integers(1, 8))]
        else:
            said[at:at] = data.draw(st.sampled_from(fuzz_engine.TOKENS))
    fuzz_engine.target(bytes((stage, how | fuzz_engine.REPAIR * data.draw(st.booleans()))) + said)


@settings(max_examples=examples(300))
@given(stage=STAGES, how=HOW, choices=st.binary(min_size=1, max_size=120))
def test_well_formed_frames_with_odd_contents(stage: int, how: int, choices: bytes) -> None:
    fuzz_engine.target(bytes((stage, how | fuzz_engine.GRAMMAR)) + choices)


@settings(max_examples=examples(300))
@given(setup=st.integers(0, len(fuzz_sasl.SETUPS) - 1), how=HOW, data=st.binary(max_size=100), header=st.booleans())
def test_any_bytes_instead_of_sasl(setup: int, how: int, data: bytes, header: bool) -> None:
    said = SASL_HEADER + frame(data, type_=1) if header else data
    fuzz_sasl.target(bytes((setup, how)) + said)


@pytest.mark.parametrize("stage", range(len(fuzz_engine.stages())))
def test_every_header_in_every_stage(stage: int) -> None:
    for protocol in range(5):
        for version in (b"\x01\x00\x00", b"\x00\x09\x01", b"\x01\x00\x01"):
            fuzz_engine.target(bytes((stage, 0)) + b"AMQP" + bytes([protocol]) + version)
    for said in (b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03\x01\x00\x02\x02F", b"\x16\x03\x01\x02\x00", b"\0" * 64):
        fuzz_engine.target(bytes((stage, 0)) + said)


@pytest.mark.parametrize("stage", range(len(fuzz_engine.stages())))
def test_a_fault_is_told_to_the_peer_wherever_the_connection_stands(stage: int) -> None:
    role, before, _ = fuzz_engine.stages()[stage]
    run = fuzz_engine.Run(role, before)
    over = run.engine.is_closed
    run.feed([b"\x00\x00\x00\x07\x02\x00\x00\x00"])
    assert run.engine.is_closed
    if not over and run.stands and run.engine._timers._close_deadline is None:
        assert run.engine.cause is not None
        assert run.engine.cause.kind is CauseKind.PROTOCOL
        assert run.frames()[-1]["error"]["condition"] == "amqp:connection:framing-error"
    run.finish()
    run.check()


# -- the fuzzers


@pytest.mark.parametrize("name", FUZZERS)
def test_the_corpus(name: str) -> None:
    inputs = corpus(name)
    assert len(inputs) > 50
    outcomes = {FUZZERS[name].target(data) for data in inputs}
    assert len(outcomes) > 20


@pytest.mark.parametrize("name", FUZZERS)
def test_mutations_of_the_corpus(name: str) -> None:
    inputs = corpus(name)
    rng = random.Random(name)
    for _ in range(1000):
        FUZZERS[name].target(mutate.mutate(rng.choice(inputs), rng, inputs, FUZZERS[name].TOKENS))


@pytest.mark.parametrize("name", FUZZERS)
def test_a_corpus_can_be_recorded(name: str, tmp_path: Path) -> None:
    (tmp_path / "recorded.hex").write_text(FUZZERS[name].recording(), encoding="utf-8")
    inputs = mutate.load_corpus(tmp_path)
    assert len(inputs) > 50
    for data in inputs:
        FUZZERS[name].target(data)


def test_the_grammar_makes_every_performative() -> None:
    rng = random.Random(1)
    made = b"".join(b"".join(grammar.frames(rng.randbytes(60))) for _ in range(300))
    for code in range(0x10, 0x19):
        assert bytes((0x00, 0x53, code)) in made


@pytest.mark.parametrize("what", ["event twice", "output after close", "secret"])
def test_broken_invariants_are_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks do look."""
    role, before, _ = fuzz_engine.stages()[-1]
    run = fuzz_engine.Run(role, before)
    run.finish()
    run.check()
    if what == "event twice":
        run.events.append(run.events[-1])
    elif what == "output after close":
        run.output += frame()
    else:
        sasl = fuzz_sasl.Run(*fuzz_sasl.SETUPS[3])
        sasl.engine.receive_data(b"", START)
        sasl.react()
        sasl.events.insert(0, fuzz_sasl.SECRET)
        with pytest.raises(fuzz_engine.Broken, match="the secret is shown"):
            sasl.check()
        return
    with pytest.raises(fuzz_engine.Broken):
        run.check()


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_main.main(["--target", "sasl", "--target", "engine", "--seconds", "0", "--seed", "5"]) == 0
    shown = capsys.readouterr().out
    assert "sasl:" in shown
    assert "engine:" in shown
    assert "(seed 5)" in shown
    with pytest.raises(SystemExit):
        fuzz_main.main(["--target", "nothing"])


def test_a_failing_input_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: bytes) -> int:
        raise fuzz_engine.Broken("always")

    monkeypatch.setattr(fuzz_sasl, "target", broken)
    monkeypatch.setattr(mutate, "HERE", tmp_path)
    (tmp_path / "corpus" / "sasl").mkdir(parents=True)
    (tmp_path / "corpus" / "sasl" / "one.hex").write_text("00 00 01\n")
    assert fuzz_main.main(["--target", "sasl", "--seconds", "0", "--seed", "5"]) == 1
    (path,) = (tmp_path / "failures").iterdir()
    assert path.read_bytes() == b"\0\0\1"
    assert "python -m fuzz.fuzz_sasl" in capsys.readouterr().err
