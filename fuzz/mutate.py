"""What the fuzzers share: a corpus, a mutator, and the loop that runs a target until its time is over.

A target is a function of bytes. It returns something hashable that says roughly what happened (inputs with new outcomes
join the corpus in memory), and raises where an invariant is broken: that input is written to a file.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from types import FrameType

HERE = Path(__file__).parent
MAX_LENGTH = 4096
# One input may take so many seconds. Targets are far quicker; this is for slow machines, and to find what hangs.
TIME_LIMIT = 5.0
# Inputs kept in memory; more of them push others out. Outcomes are forgotten when there are ten times as many.
MAX_INPUTS = 5_000
INTERESTING = (0, 1, 2, 4, 5, 8, 16, 0x40, 0x45, 0x7F, 0x80, 0xFE, 0xFF)

Target = Callable[[bytes], Hashable]


class TooSlow(Exception):
    """An input took longer than TIME_LIMIT."""


def load_corpus(folder: Path) -> list[bytes]:
    """The inputs of a corpus folder: each *.bin whole, and of each *.hex every line (after # is a comment)."""
    inputs = [path.read_bytes() for path in sorted(folder.glob("*.bin"))]
    for path in sorted(folder.glob("*.hex")):
        lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
        inputs += [bytes.fromhex(line) for line in lines if line]
    return inputs


def mutate(data: bytes, rng: random.Random, corpus: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """The input with one to six random changes; `tokens` are pieces that mean something to the target."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        change(out, rng, corpus, tokens)
    return bytes(out[:MAX_LENGTH])


def change(out: bytearray, rng: random.Random, corpus: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    """One random change in place."""
    at = rng.randrange(len(out) + 1)
    stop = min(len(out), at + rng.choice((1, 1, 2, 4, 8, 64)))
    kind = rng.randrange(9)
    if kind == 0 and at < len(out):
        out[at] ^= 1 << rng.randrange(8)
    elif kind == 1 and at < len(out):
        out[at] = rng.choice(INTERESTING)
    elif kind == 2 and at < len(out):
        out[at] = (out[at] + rng.choice((-2, -1, 1, 2))) & 0xFF
    elif kind == 3:
        del out[at:stop]
    elif kind == 4:
        out[at:at] = rng.choice(tokens)
    elif kind == 5:
        token = rng.choice(tokens)
        out[at : at + len(token)] = token
    elif kind == 6:
        out[at:at] = out[at:stop] * rng.choice((1, 2, 20))
    elif kind == 7:
        other = rng.choice(corpus)
        out[at:] = other[rng.randrange(len(other) + 1) :]
    else:
        number = rng.choice((rng.randrange(256), rng.randrange(2**16), 2**31, 2**32 - 1, len(out)))
        out[at : at + 4] = number.to_bytes(4, "big")


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"took more than {TIME_LIMIT} seconds of the processor")


def run(
    name: str,
    target: Target,
    corpus: list[bytes],
    tokens: Sequence[bytes],
    *,
    seconds: float,
    seed: int,
    failures: Path,
) -> int:
    """Runs the corpus and then mutations of it until the time is over. Returns how many kinds of failure there were."""
    rng = random.Random(seed)
    seen: set[Hashable] = set()
    kinds: set[str] = set()
    inputs = list(corpus)
    count = 0
    previous = signal.signal(signal.SIGPROF, _too_slow)
    end = time.monotonic() + seconds
    try:
        while count < len(corpus) or time.monotonic() < end:
            data = corpus[count] if count < len(corpus) else mutate(rng.choice(inputs), rng, inputs, tokens)
            count += 1
            signal.setitimer(signal.ITIMER_PROF, TIME_LIMIT)
            try:
                outcome = target(data)
            except Exception as error:  # noqa: BLE001 (whatever it is, it is what we look for)
                signal.setitimer(signal.ITIMER_PROF, 0)
                report(name, data, error, kinds, failures)
                continue
            signal.setitimer(signal.ITIMER_PROF, 0)
            if outcome not in seen:
                if len(seen) >= 10 * MAX_INPUTS:
                    seen.clear()
                seen.add(outcome)
                keep(inputs, data, rng)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    print(f"{name}: {count} inputs, {len(kinds)} kinds of failure (seed {seed})")
    return len(kinds)


def keep(inputs: list[bytes], data: bytes, rng: random.Random) -> None:
    """Adds an input, in the place of another when there are enough."""
    if len(inputs) < MAX_INPUTS:
        inputs.append(data)
    else:
        inputs[rng.randrange(len(inputs))] = data


def report(name: str, data: bytes, error: Exception, kinds: set[str], failures: Path) -> None:
    """Writes a failing input to a file and shows it, the first of each kind (type of error and place)."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    if kind in kinds:
        return
    kinds.add(kind)
    failures.mkdir(parents=True, exist_ok=True)
    path = failures / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    print(f"{name}: {kind}: {str(error)[:300]}\n  input in {path}: {data[:64].hex()}", file=sys.stderr)


def main(name: str, target: Target, tokens: Sequence[bytes], arguments: Sequence[str] | None = None) -> int:
    """The command line of a fuzzer, its corpus being fuzz/corpus/NAME. Returns the exit status."""
    parser = argparse.ArgumentParser(description=f"Fuzz the {name}. Exits with 1 where an input breaks an invariant.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (default: another each time)")
    parser.add_argument("--corpus", type=Path, default=HERE / "corpus" / name, help="folder (default: %(default)s)")
    parser.add_argument("--failures", type=Path, default=HERE / "failures", help="folder (default: %(default)s)")
    parser.add_argument("inputs", nargs="*", type=Path, help="only run these files, and show what is raised")
    chosen = parser.parse_args(arguments)
    if chosen.inputs:
        for path in chosen.inputs:
            print(path, target(path.read_bytes()))
        return 0
    corpus = load_corpus(chosen.corpus)
    if not corpus:
        parser.error(f"no inputs (*.bin, *.hex) in {chosen.corpus}")
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(2**32)
    failed = run(name, target, corpus, tokens, seconds=chosen.seconds, seed=seed, failures=chosen.failures)
    return 1 if failed else 0
