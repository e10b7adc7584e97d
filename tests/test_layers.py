"""Holds the layers of docs/design.md, and the size of files and functions, by reading the sources."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"

# From the bottom up: a module imports its own layer and those before it. The doors are every module of uamqp that is in
# no folder of this list: the names that 1.6 had, behind which is the code in `classic`.
CLASSIC = "classic"
MODERN = "messaging"
FACES = "faces"  # of the modern API: uamqp.aio and uamqp.sync
DOORS = "doors"
LAYERS = ("codec", "engine", "core", "transport", MODERN, FACES, "brokers", CLASSIC, DOORS, "testing")

# The two APIs know nothing of each other.
STRANGERS = {(one, other) for one in (CLASSIC, DOORS) for other in (MODERN, FACES, "brokers")}

IO = frozenset({"asyncio", "http", "multiprocessing", "select", "selectors", "socket", "socketserver", "ssl"})
IO |= {"subprocess", "urllib"}
THREADS = frozenset({"_thread", "concurrent", "queue", "threading"})
CLOCKS = frozenset({"sched", "signal", "time"})
CHANCE = frozenset({"random", "secrets"})
TRACING = frozenset({"logging", "warnings"})

FORBIDDEN: dict[str, frozenset[str]] = {
    "codec": IO | THREADS | CLOCKS | CHANCE | TRACING,
    "engine": IO | THREADS | CLOCKS | CHANCE | TRACING,
    "core": IO | THREADS | CLOCKS,
    "transport": frozenset(),
    MODERN: IO | THREADS | CLOCKS,
    FACES: IO | THREADS | CLOCKS,
    "brokers": IO | THREADS | CLOCKS,
    CLASSIC: IO | THREADS | CLOCKS,
    DOORS: IO | THREADS | CLOCKS,
    "testing": frozenset(),  # a server of its own, with listeners and threads
}

# What a layer without I/O, threads or clocks imports all the same: the API's, because the contract of 1.6 asks for it.
ALLOWED: dict[tuple[str, str], str] = {
    ("uamqp.classic.client.base", "threading"): "the keep-alive thread, an attribute of 1.6's clients",
    ("uamqp.classic.auth.common", "ssl"): "the type of an argument",
    ("uamqp.classic.vocabulary.settings", "ssl"): "the type of an argument",
    ("uamqp.messaging.settings", "ssl"): "the type of an argument",
    ("uamqp.aio", "ssl"): "the type of an argument",
    ("uamqp.sync", "ssl"): "the type of an argument",
    ("uamqp", "threading"): "one name is imported at a time",
    ("uamqp.core.address", "urllib"): "urllib.parse alone, which does no I/O",
    ("uamqp.brokers.rabbitmq", "urllib"): "urllib.parse alone, which does no I/O",
    ("uamqp.classic.vocabulary.compat", "queue"): "1.6 re-exported it",
    ("uamqp.classic.vocabulary.compat", "urllib"): "urllib.parse alone, which does no I/O",
    ("uamqp.classic.values.convert", "asyncio"): "get_running_loop",
}

# The packages from outside that the library may use, and the layers that may.
THIRD_PARTY: dict[str, frozenset[str]] = {
    "certifi": frozenset({"transport", CLASSIC}),
    "pytest": frozenset({"testing"}),  # the plugin alone, which pytest loads
    "typing_extensions": frozenset({CLASSIC, MODERN, FACES}),  # for type checkers alone: they bring it
    "websockets": frozenset({"transport"}),
}

# Packages that import each other, at whatever distance, still: which, and what for.
CIRCLES: dict[tuple[str, str], str] = {
    ("uamqp.classic.vocabulary", "uamqp.classic.message"): "an outcome is an error, which names messages (types)",
}

# Where the front may name a pump or a lock, and why. Everywhere else it gives commands to its driver, and waits there.
PUMPS: dict[str, str] = {
    "uamqp.classic.endpoints.connection": "lock and release of the 1.6 API",
}

# Where the front may have a clock of its own, and why; any of it may have the calendar's time, by which tokens end.
OWN_CLOCKS: dict[str, str] = {
    "uamqp.classic.values.native": "TickCounter, a clock of the 1.6 API",
}
CALENDAR = "uamqp.transport.sansio.clock.wall"

DOOR_LINES = 15
FILE_LINES = 800
FUNCTION_LINES = 60
# (file or file:function): why it is longer than the rule.
LONG: dict[str, str] = {
    "uamqp.messaging.message": "a property for each of a message's sixteen fields",
}


def modules(src: Path = SRC) -> list[Path]:
    return sorted(src.rglob("*.py"))


def name_of(path: Path, src: Path = SRC) -> str:
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    parts = module.split(".")
    if parts[1:] in (["aio"], ["sync"]):
        return FACES
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else DOORS


@functools.cache
def tree_of(source: str) -> ast.Module:
    return ast.parse(source)


def imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every import, wherever it stands: line and absolute name of the module."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                start = package.split(".")
                start = start[: len(start) - (node.level - 1)]
                base = ".".join([*start, base] if base else start)
            for alias in node.names:  # `from . import x`: x may be a module
                yield node.lineno, f"{base}.{alias.name}" if base.split(".")[0] == "uamqp" else base


def import_faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """What is wrong with a module's imports."""
    tree = tree_of(source)
    layer = layer_of(module)
    faults = []
    for line, target in imports(tree, module, is_package):
        top = target.split(".")[0]
        if top == "uamqp":
            there = layer_of(target)
            if LAYERS.index(there) > LAYERS.index(layer):
                faults.append(f"{module}:{line}: {layer} imports {target}, which is above it ({there})")
            elif (layer, there) in STRANGERS:
                faults.append(f"{module}:{line}: {layer} imports {target}, which belongs to the other API")
        elif top in FORBIDDEN[layer]:
            if (module, top) not in ALLOWED:
                faults.append(f"{module}:{line}: {layer} may not import {top}")
        elif top not in sys.stdlib_module_names and layer not in THIRD_PARTY.get(top, ()):
            faults.append(f"{module}:{line}: {layer} may not import the package {top}")
    return faults


def statement_faults(source: str, module: str) -> list[str]:
    """Asserts anywhere, and imports that come after a class or function."""
    tree = tree_of(source)
    faults = [
        f"{module}:{node.lineno}: assert: `python -O` removes it; raise an error that says what is wrong"
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    defined = False
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined = True
        elif defined:
            faults += [
                f"{module}:{node.lineno}: an import below a definition"
                for node in ast.walk(statement)
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    return faults


def lengths(source: str, module: str) -> Iterator[tuple[str, int, int]]:
    """Of the module, and of each function without its docstring: name, lines, the most there may be."""
    yield module, len(source.splitlines()), FILE_LINES
    stack: list[tuple[str, ast.AST]] = [("", tree_of(source))]
    while stack:
        prefix, parent = stack.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                first = node.body[0]
                if ast.get_docstring(node, clean=False) is not None:
                    size -= (first.end_lineno or first.lineno) - first.lineno + 1
                yield f"{module}:{prefix}{node.name}", size, FUNCTION_LINES
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                stack.append((f"{prefix}{node.name}.", node))
            else:
                stack.append((prefix, node))


def length_faults(source: str, module: str) -> list[str]:
    return [
        f"{name}: {size} lines, {limit} are the most"
        for name, size, limit in lengths(source, module)
        if size > limit and name not in LONG
    ]


def door_faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """What of a door is more than a docstring, imports and `__all__`, or comes from somewhere else than behind it.

    As 1.6's modules had others as attributes, a door may have another as one: as a whole.
    """
    tree = tree_of(source)
    faults = []
    if ast.get_docstring(tree) is None:
        faults.append(f"{module}: no docstring")
    if len(source.splitlines()) > DOOR_LINES:
        faults.append(f"{module}: {len(source.splitlines())} lines, {DOOR_LINES} are the most")
    for statement in tree.body[1:]:
        if isinstance(statement, ast.ImportFrom):
            if statement.level and statement.module and statement.module.split(".")[0] not in LAYERS:
                faults.append(f"{module}:{statement.lineno}: a door takes names from another one")
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if not isinstance(target, ast.Name) or target.id != "__all__":
            faults.append(f"{module}:{statement.lineno}: a door hands on, and does nothing")
    for line, target in imports(tree, module, is_package):
        if target.split(".")[0] == "uamqp" and layer_of(target) not in (CLASSIC, DOORS):
            faults.append(f"{module}:{line}: a door imports {target}")
    return faults


def package_of(module: str) -> str:
    """The package that a module counts to; in `classic` and `transport` one of those in there, or itself."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] in (["classic"], ["transport"]) else 2])


def package_imports() -> dict[str, set[str]]:
    """Which package imports which, except for the doors."""
    found: dict[str, set[str]] = {}
    names = {name_of(path) for path in modules()}
    for path in modules():
        module = name_of(path)
        if layer_of(module) == DOORS:
            continue
        targets = found.setdefault(package_of(module), set())
        for _, target in imports(tree_of(path.read_text("utf-8")), module, path.name == "__init__.py"):
            known = target if target in names else target.rpartition(".")[0]
            if known in names and layer_of(known) != DOORS:
                targets.add(package_of(known))
        targets.discard(package_of(module))
    return found


def reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    """What a package imports, at whatever distance."""
    seen: set[str] = set()
    rest = [start]
    while rest:
        for following in graph.get(rest.pop(), set()) - seen:
            seen.add(following)
            rest.append(following)
    return seen


# The project's own sources


def test_there_are_sources() -> None:
    assert SRC / "uamqp" / "__init__.py" in modules()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_downward(path: Path) -> None:
    assert import_faults(path.read_text("utf-8"), name_of(path), path.name == "__init__.py") == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_assert_and_no_import_at_the_bottom(path: Path) -> None:
    assert statement_faults(path.read_text("utf-8"), name_of(path)) == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    assert length_faults(path.read_text("utf-8"), name_of(path)) == []


@pytest.mark.parametrize(
    "path", [path for path in modules() if layer_of(name_of(path)) == DOORS and name_of(path) != "uamqp"], ids=name_of
)
def test_doors_hand_on(path: Path) -> None:
    assert door_faults(path.read_text("utf-8"), name_of(path), path.name == "__init__.py") == []


def fronts() -> list[Path]:
    return [path for path in modules() if layer_of(name_of(path)) in (CLASSIC, MODERN, FACES)]


def pump_faults(source: str, module: str) -> list[str]:
    """Where a module of a front names what belongs to the driver."""
    names = {"_pump", "pump", "loop_pump", "lock", "guard", "progress"}
    return [
        f"{module}:{node.lineno}: {node.attr}"
        for node in ast.walk(tree_of(source))
        if isinstance(node, ast.Attribute) and node.attr in names
    ]


@pytest.mark.parametrize("path", fronts(), ids=name_of)
def test_the_front_leaves_pumps_and_locks_to_the_driver(path: Path) -> None:
    faults = pump_faults(path.read_text("utf-8"), name_of(path))
    assert bool(faults) is (name_of(path) in PUMPS), faults


def clock_faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """Where a module of a front has a clock: commands are given the time, and deadlines are the driver's."""
    return [
        f"{module}:{line}: {target}"
        for line, target in imports(ast.parse(source), module, is_package)
        if target.startswith(CALENDAR.rpartition(".")[0]) and target != CALENDAR
    ]


@pytest.mark.parametrize("path", fronts(), ids=name_of)
def test_the_front_leaves_the_clock_to_the_driver(path: Path) -> None:
    faults = clock_faults(path.read_text("utf-8"), name_of(path), path.name == "__init__.py")
    assert bool(faults) is (name_of(path) in OWN_CLOCKS), faults


def test_no_circle_spans_two_packages() -> None:
    graph = package_imports()
    for start, target in CIRCLES:
        assert target in graph[start], "the exception isn't needed any more"
        graph[start].discard(target)
    assert [package for package in sorted(graph) if package in reached(package, graph)] == []


def test_every_exception_is_still_needed() -> None:
    used: set[tuple[str, str]] = set()
    long: set[str] = set()
    for path in modules():
        source, module = path.read_text("utf-8"), name_of(path)
        for _, target in imports(tree_of(source), module, path.name == "__init__.py"):
            used.add((module, target.split(".")[0]))
        long.update(name for name, size, limit in lengths(source, module) if size > limit)
    assert set(ALLOWED) - used == set()
    assert set(LONG) - long == set()
    assert all(ALLOWED.values()), "each exception has its reason"
    assert all(LONG.values()), "each exception has its reason"
    assert all(PUMPS.values()), "each exception has its reason"
    assert all(OWN_CLOCKS.values()), "each exception has its reason"


# The checker itself: it finds what it is there to find


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("uamqp.codec.decode", "from uamqp.engine import Engine"),
        ("uamqp.codec.decode", "from ..engine.config import EngineConfig"),
        ("uamqp.codec.decode", "from .. import engine"),
        ("uamqp.codec.decode", "from .. import errors"),
        ("uamqp.codec.decode", "from .. import __version__"),
        ("uamqp.codec.decode", "import uamqp"),
        ("uamqp.codec.decode", "import socket"),
        ("uamqp.codec.decode", "def f():\n    import logging"),
        ("uamqp.codec.decode", "if 1:\n    from time import monotonic"),
        ("uamqp.codec.decode", "import certifi"),
        ("uamqp.engine.connection", "from asyncio import Protocol"),
        ("uamqp.engine.connection", "import concurrent.futures"),
        ("uamqp.engine.connection", "from ..core.retry import Retry"),
        ("uamqp.engine.connection", "import random"),
        ("uamqp.core.retry", "import threading"),
        ("uamqp.core.retry", "import ssl"),
        ("uamqp.core.retry", "from ..transport import tcp"),
        ("uamqp.transport.blocking.stream", "from ...client import SendClient"),
        ("uamqp.transport.blocking.stream", "import requests"),
        ("uamqp.classic.client.send", "from ...messaging import errors"),
        ("uamqp.messaging.message", "from ..classic.message import Message"),
        ("uamqp.messaging.message", "from .. import Message"),
        ("uamqp.client", "import socket"),
        ("uamqp.client", "from .testing import Broker"),
        ("uamqp.client", "from . import testing"),
    ],
)
def test_the_checker_finds_a_wrong_import(module: str, source: str) -> None:
    assert len(import_faults(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "uamqp.codec.decode",
            "from __future__ import annotations\nimport struct\nfrom .errors import x",
        ),
        ("uamqp.engine.connection", "from ..codec import Symbol\nfrom .. import codec"),
        ("uamqp.core.retry", "import random\nfrom ..engine import Engine"),
        ("uamqp.transport.blocking.stream", "import socket, ssl, time\nimport certifi\nfrom ...core import retry"),
        (
            "uamqp.client",
            "from .transport import tcp\nfrom .errors import x\nfrom uamqp import constants",
        ),
        ("uamqp.testing.broker", "import threading\nfrom ..engine import Engine\nfrom .. import Message"),
    ],
)
def test_the_checker_lets_a_right_import_be(module: str, source: str) -> None:
    assert import_faults(source, module) == []


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from ...transport.sansio.clock import now", 1),
        ("from ...transport.sansio.clock import FOREVER, wall", 1),
        ("from ...transport.sansio import clock", 1),
        ("from ...transport.sansio.clock import wall", 0),
        ("from ...transport.sansio.endpoint import Endpoint", 0),
    ],
)
def test_the_checker_finds_a_clock(source: str, faults: int) -> None:
    assert len(clock_faults(source, "uamqp.classic.client.send")) == faults


def test_relative_imports_of_a_package_start_in_it() -> None:
    assert import_faults("from . import engine", "uamqp.codec", is_package=True) == []
    assert len(import_faults("from ..engine import Engine", "uamqp.codec", is_package=True)) == 1


def test_the_checker_finds_what_a_door_must_not_do() -> None:
    assert (
        door_faults('"""A door."""\n\nfrom .classic.client.send import SendClient\n\n__all__ = []\n', "uamqp.client")
        == []
    )
    assert len(door_faults('"""A door."""\n\nx = 1\n', "uamqp.client")) == 1
    assert len(door_faults('"""A door."""\n\nfrom .core import x\n', "uamqp.client")) == 1
    assert len(door_faults('"""A door."""\n\nfrom .session import Session\n', "uamqp.client")) == 1
    assert door_faults('"""A door."""\n\nfrom . import session\n', "uamqp.client") == []
    assert len(door_faults("from .classic import x\n", "uamqp.client")) == 1
    assert len(door_faults('"""A door."""\n' + "\n" * 15, "uamqp.client")) == 1


def test_the_checker_finds_circles() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}}
    assert reached("a", graph) == {"b", "c"}
    assert "b" in reached("b", graph)


def test_the_checker_finds_asserts_and_late_imports() -> None:
    faults = statement_faults("def f(x):\n    assert x\n\nif f:\n    import struct\n", "m")
    assert [fault.split(":")[1] for fault in faults] == ["2", "5"]
    assert statement_faults("import struct\nif 1:\n    import sys\n\ndef f(): pass\n", "m") == []


def test_the_checker_finds_long_files_and_functions() -> None:
    body = "    x = 1\n"
    assert length_faults("def f():\n" + body * 59, "m") == []
    assert length_faults("def f():\n" + body * 60, "m") == ["m:f: 61 lines, 60 are the most"]
    long_docstring = '    """\n' + "    text\n" * 50 + '    """\n'
    assert length_faults("def f():\n" + long_docstring + body * 59, "m") == []
    inner = "class C:\n    def f(self):\n" + "        x = 1\n" * 60
    assert length_faults(inner, "m") == ["m:C.f: 61 lines, 60 are the most"]
    assert length_faults("x = 1\n" * 801, "m") == ["m: 801 lines, 800 are the most"]
