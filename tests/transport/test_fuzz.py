"""The WebSocket's fuzzer on its corpus, and a few mutations of it."""

from __future__ import annotations

import random

import pytest

from fuzz import fuzz_websocket, mutate

CORPUS = mutate.load_corpus(mutate.HERE / "corpus" / "websocket")


def test_corpus() -> None:
    assert len(CORPUS) > 50
    for data in CORPUS:
        fuzz_websocket.target(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutations(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(1000):
        fuzz_websocket.target(mutate.mutate(rng.choice(CORPUS), rng, CORPUS, fuzz_websocket.TOKENS))
