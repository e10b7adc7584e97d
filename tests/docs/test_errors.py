"""The page about errors has all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from uamqp import messaging

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "errors.md").read_text("utf-8")
TREE = PAGE.split("### The tree")[1].split("```")[1]
ERRORS = {
    name: kind
    for name, kind in vars(messaging).items()
    if isinstance(kind, type) and issubclass(kind, messaging.AMQPError)
}
GROUPS = {"AMQPError", "ConnectionFailure", "LinkFailure", "NotAccepted", "SendError"}
"""Classes that stand for their subclasses alone."""


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_in_the_tree_and_in_a_table(name: str) -> None:
    assert re.search(rf"\b{name}\b", TREE)
    tables = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert name in GROUPS or any(f"`{name}`" in line for line in tables)


def test_the_tree_has_no_other_errors() -> None:
    assert set(re.findall(r"\w{4,}", TREE)) - set(ERRORS) == {"RuntimeError", "ValueError", "TimeoutError"}


def test_the_tree_is_that_of_the_classes() -> None:
    """Below each other as far as the lines are indented; and the first of a line above the others."""
    above: list[type[messaging.AMQPError]] = []
    for line in TREE.strip().splitlines():
        branch = re.match(r"[│├└─ ]*", line)
        assert branch is not None
        depth = len(branch[0]) // 3
        first, *others = [ERRORS[name] for name in re.findall(r"\w{4,}", re.sub(r"\([^)]*\)", "", line))]
        assert not depth or above[depth - 1] in first.__bases__
        assert [kind.__name__ for kind in others if first not in kind.__bases__] == []
        above[depth:] = [first]
