"""The messages' fuzzer on its corpus, and a few mutations of it."""

from __future__ import annotations

import random

import pytest

from fuzz import fuzz_message, mutate

CORPUS = mutate.load_corpus(mutate.HERE / "corpus" / "message")


def test_corpus() -> None:
    assert len(CORPUS) > 300
    for data in CORPUS:
        fuzz_message.target(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutations(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(1000):
        fuzz_message.target(mutate.mutate(rng.choice(CORPUS), rng, CORPUS, fuzz_message.TOKENS))
