"""The queue of the data path against `collections.deque`, over random uses of both."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest

from uamqp.engine.fifo import Fifo


@pytest.mark.parametrize("seed", range(8))
def test_it_does_what_a_deque_does(seed: int) -> None:
    dice = random.Random(seed)
    fifo, model = Fifo(), deque[object]()
    for _ in range(5000):
        use = dice.random()
        if use < 0.52:
            item = object()
            fifo.append(item)
            model.append(item)
        elif use < 0.97:
            assert fifo.first() is (model[0] if model else None)
            assert fifo.pop() is (model.popleft() if model else None)
        elif use < 0.999 and model:
            item = model[dice.randrange(len(model))]
            is_first = item is model[0]
            assert fifo.drop(item) is is_first
            if is_first:
                model.popleft()
        elif use >= 0.999:
            fifo.clear()
            model.clear()
        assert len(fifo) == len(model)
        assert list(fifo) == list(model)


def test_what_was_taken_out_is_let_go() -> None:
    fifo = Fifo()
    alive: set[int] = set()

    class Item:
        def __init__(self, number: int) -> None:
            self.number = number
            alive.add(number)

        def __del__(self) -> None:
            alive.discard(self.number)

    for number in range(10):
        fifo.append(Item(number))
    for _ in range(4):
        fifo.pop()
    assert alive == set(range(4, 10))
    fifo.clear()
    assert not alive


def test_only_what_waits_can_be_taken_out() -> None:
    fifo = Fifo()
    spent: Any = object()
    fifo.append(spent)
    fifo.append(object())
    fifo.pop()
    assert not fifo.drop(spent)
    assert len(fifo) == 1
