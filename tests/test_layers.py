"""Holds the layers of docs/design.md, and the size of files and functions, by reading the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"

# From the bottom up: a module imports its own layer and those before it. The 1.6 API is every module of uamqp
# that is in no folder of this list.
API = "api"
LAYERS = ("codec", "engine", "core", "transport", API, "testing")

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
    API: IO | THREADS | CLOCKS,
    "testing": frozenset(),  # a server of its own, with listeners and threads
}

# What the contract of 1.6 asks of the API although its layer has no I/O, threads or clocks.
ALLOWED: dict[tuple[str, str], str] = {
    ("uamqp._amqp_client", "threading"): "the keep-alive thread, an attribute of 1.6's clients",
    ("uamqp.authentication.common", "ssl"): "the type of an argument",
    ("uamqp._settings", "ssl"): "the type of an argument",
    ("uamqp.c_uamqp", "time"): "TickCounter, and the expiry of a SAS token",
    ("uamqp.compat", "queue"): "1.6 re-exported it",
    ("uamqp.compat", "urllib"): "urllib.parse alone, which does no I/O",
    ("uamqp.utils", "asyncio"): "get_running_loop",
}

# The packages from outside that the library may use, and the layers that may.
THIRD_PARTY: dict[str, frozenset[str]] = {
    "certifi": frozenset({"transport", API}),
    "typing_extensions": frozenset({API}),  # for type checkers alone: they bring it
    "websockets": frozenset({"transport"}),
}

FILE_LINES = 800
FUNCTION_LINES = 60
# (file or file:function): why it is longer than the rule.
LONG: dict[str, str] = {}


def modules(src: Path = SRC) -> list[Path]:
    return sorted(src.rglob("*.py"))


def name_of(path: Path, src: Path = SRC) -> str:
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else API


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
    tree = ast.parse(source)
    layer = layer_of(module)
    faults = []
    for line, target in imports(tree, module, is_package):
        top = target.split(".")[0]
        if top == "uamqp":
            there = layer_of(target)
            if LAYERS.index(there) > LAYERS.index(layer):
                faults.append(f"{module}:{line}: {layer} imports {target}, which is above it ({there})")
        elif top in FORBIDDEN[layer]:
            if (module, top) not in ALLOWED:
                faults.append(f"{module}:{line}: {layer} may not import {top}")
        elif top not in sys.stdlib_module_names and layer not in THIRD_PARTY.get(top, ()):
            faults.append(f"{module}:{line}: {layer} may not import the package {top}")
    return faults


def statement_faults(source: str, module: str) -> list[str]:
    """Asserts anywhere, and imports that come after a class or function."""
    tree = ast.parse(source)
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
    stack: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
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


def test_every_exception_is_still_needed() -> None:
    used: set[tuple[str, str]] = set()
    long: set[str] = set()
    for path in modules():
        source, module = path.read_text("utf-8"), name_of(path)
        for _, target in imports(ast.parse(source), module, path.name == "__init__.py"):
            used.add((module, target.split(".")[0]))
        long.update(name for name, size, limit in lengths(source, module) if size > limit)
    assert set(ALLOWED) - used == set()
    assert set(LONG) - long == set()
    assert all(ALLOWED.values()), "each exception has its reason"
    assert all(LONG.values()), "each exception has its reason"


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
        ("uamqp.engine.engine", "from asyncio import Protocol"),
        ("uamqp.engine.engine", "import concurrent.futures"),
        ("uamqp.engine.engine", "from ..core.retry import Retry"),
        ("uamqp.engine.engine", "import random"),
        ("uamqp.core.retry", "import threading"),
        ("uamqp.core.retry", "import ssl"),
        ("uamqp.core.retry", "from ..transport import tcp"),
        ("uamqp.transport.tcp", "from ..client import SendClient"),
        ("uamqp.transport.tcp", "import requests"),
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
        ("uamqp.engine.engine", "from ..codec import Symbol\nfrom .. import codec"),
        ("uamqp.core.retry", "import random\nfrom ..engine import Engine"),
        ("uamqp.transport.tcp", "import socket, ssl, time\nimport certifi\nfrom ..core import retry"),
        (
            "uamqp.client",
            "from .transport import tcp\nfrom .errors import x\nfrom uamqp import constants",
        ),
        ("uamqp.testing.broker", "import threading\nfrom ..engine import Engine\nfrom .. import Message"),
    ],
)
def test_the_checker_lets_a_right_import_be(module: str, source: str) -> None:
    assert import_faults(source, module) == []


def test_relative_imports_of_a_package_start_in_it() -> None:
    assert import_faults("from . import engine", "uamqp.codec", is_package=True) == []
    assert len(import_faults("from ..engine import Engine", "uamqp.codec", is_package=True)) == 1


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
