"""Runs the fuzzers, one after another: python -m fuzz [--target NAME]... [--seconds N] [--seed N].

Inputs that fail are written to fuzz/failures; `python -m fuzz.fuzz_NAME FILE` shows what one of them does.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
from collections.abc import Sequence

from . import mutate

TARGETS = ("codec", "engine", "message", "sasl", "websocket")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 where an input broke an invariant."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description="Fuzz the codec, the engine, messages, SASL and WebSockets."
    )
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this one; may be repeated")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (default: another each time)")
    chosen = parser.parse_args(arguments)
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(2**32)
    failed = []
    for name in chosen.target or TARGETS:
        module = importlib.import_module(f".fuzz_{name}", __package__)
        line = ["--seconds", str(chosen.seconds), "--seed", str(seed)]
        if mutate.main(name, module.target, module.TOKENS, line):
            failed.append(name)
    for name in failed:
        print(f"to see a failing input again: python -m fuzz.fuzz_{name} fuzz/failures/{name}-....bin", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
