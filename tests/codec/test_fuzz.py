"""The codec's fuzzer on its corpus and a few mutations of it, and what it does about a failure."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz import fuzz_codec, mutate

CORPUS = mutate.load_corpus(mutate.HERE / "corpus" / "codec")


def test_corpus() -> None:
    assert len(CORPUS) > 200
    for data in CORPUS:
        fuzz_codec.target(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutations(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(1000):
        data = mutate.mutate(rng.choice(CORPUS), rng, CORPUS, fuzz_codec.TOKENS)
        assert len(data) <= mutate.MAX_LENGTH
        fuzz_codec.target(data)


def test_failures_are_written_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def target(data: bytes) -> int:
        if len(data) != 1:
            raise RuntimeError("not one byte")
        return data[0]

    arguments = {"seconds": 0, "seed": 7, "failures": tmp_path}
    assert mutate.run("name", target, [b"a", b"bb", b"ccc"], [b"x"], **arguments) == 1  # type: ignore[arg-type]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"bb"]
    captured = capsys.readouterr()
    assert "RuntimeError at test_fuzz.py" in captured.err
    assert "not one byte" in captured.err
    assert "3 inputs, 1 kinds of failure (seed 7)" in captured.out


def test_inputs_that_take_too_long_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "TIME_LIMIT", 0.05)

    def target(data: bytes) -> int:
        while True:
            pass

    assert mutate.run("name", target, [b"slow"], [b"x"], seconds=0, seed=1, failures=tmp_path) == 1
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"slow"]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.hex").write_text("# a comment\n40  # null\n\n5401\n")
    (tmp_path / "two.bin").write_bytes(b"\x41")
    assert mutate.load_corpus(tmp_path) == [b"\x41", b"\x40", b"\x54\x01"]
    line = ["--seconds", "0.1", "--seed", "3", "--corpus", str(tmp_path), "--failures", str(tmp_path / "failures")]
    assert mutate.main("codec", fuzz_codec.target, fuzz_codec.TOKENS, line) == 0
    assert "0 kinds of failure (seed 3)" in capsys.readouterr().out
    assert mutate.main("codec", fuzz_codec.target, fuzz_codec.TOKENS, [str(tmp_path / "two.bin")]) == 0
    assert "bool" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        mutate.main("codec", fuzz_codec.target, fuzz_codec.TOKENS, ["--corpus", str(tmp_path / "none")])
