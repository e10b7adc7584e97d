"""What the engine's classes say to one another begins with an underscore, and nobody outside of the package says it.

The classes of `uamqp.engine` are friends: a session speaks to its links, and links to the connection, by methods that
an engine's user has no business with. ruff's SLF001 knows no friends, so this is held here, by reading the sources.
Tests and fuzzers may look inside.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ENGINE = ROOT / "src" / "uamqp" / "engine"

OWN = {"self", "cls"}
# What an object of the engine is called where another package has one in hand: there any underscored name is the
# engine's. Elsewhere a name counts that only the engine has.
ENGINES = {"engine", "_engine", "delivery", "outgoing", "incoming", "unsettled"}


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def defined(tree: ast.Module) -> Iterator[str]:
    """The underscored names of a module's classes: methods, slots, attributes; and those of its top level."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value  # in `__slots__`


def names(paths: list[Path]) -> set[str]:
    return {name for path in paths for name in defined(ast.parse(path.read_text("utf-8"))) if private(name)}


@functools.cache
def outside() -> list[Path]:
    """Every source that isn't the engine's own, except for what tests it."""
    found = [path for folder in ("src", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if ENGINE not in path.parents)


@functools.cache
def of_the_engine_alone() -> set[str]:
    return names(sorted(ENGINE.glob("*.py"))) - names(outside())


@functools.cache
def of_another_delivery(path: Path) -> frozenset[str]:
    """What the modern API's queue and its own `Delivery`, which isn't the engine's, say to each other."""
    own = ROOT / "src" / "uamqp" / "messaging" / "delivery.py"
    return frozenset(names([own])) if path.parent == own.parent else frozenset()


def faults(source: str, alone: set[str], others: frozenset[str] = frozenset()) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and "engine" in (node.module or "").split("."):
            found += [f"{node.lineno}: imports {alias.name}" for alias in node.names if private(alias.name)]
        elif isinstance(node, ast.Attribute) and private(node.attr):
            base = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (base in ENGINES and node.attr not in others) or (node.attr in alone and base not in OWN):
                found.append(f"{node.lineno}: uses {base}.{node.attr}")
    return found


@pytest.mark.parametrize("path", outside(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nobody_else_uses_what_the_engines_classes_say_to_one_another(path: Path) -> None:
    assert faults(path.read_text("utf-8"), of_the_engine_alone(), of_another_delivery(path)) == []


def test_there_are_such_names() -> None:
    alone = of_the_engine_alone()
    assert {"_emit", "_send_header", "_session_is_dirty", "_forget_link", "_flow_is_due", "_give_way"} <= alone


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("self.core.engine._fail(x)", 1),
        ("self._engine._input", 1),
        ("delivery._offset", 1),
        ("link._give_way()", 1),
        ("from ..engine.sender import _FEW", 1),
        ("from uamqp.engine import connection\nconnection.x", 0),
        ("self._fail()\nself.engine.abort(1.0, 'x')\nself._give_way", 0),
    ],
)
def test_the_checker_finds_what_it_is_there_to_find(source: str, count: int) -> None:
    assert len(faults(source, {"_give_way"})) == count
