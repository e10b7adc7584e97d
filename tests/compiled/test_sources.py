"""What holds the two builds together, read from the sources: needs no compiler.

An attribute of a compiled class is written three times (`__slots__`, `__init__`, .pxd), and a local that is a `char *`
in one build is bytes in the other. docs/design.md, Compiled mode, says what follows from that; here it is held.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds import compiled_modules

SOURCE = Path(__file__).parent.parent.parent / "src"
MODULES = [name.replace(".", "/") for name in compiled_modules()]

Function = ast.FunctionDef | ast.AsyncFunctionDef

DECLARED = re.compile(r"^    cdef (?:public |readonly )?(?!class\b)[\w ]+?[ *]+(\w+)$", re.MULTILINE)
POINTER = re.compile(r"(\w+)=cython\.p_u?char|\bchar *\*+ *(\w+)")
REMARK = re.compile(r"chars = .*  # char \*: \w*`?.{15,}$")


def declared(pxd: str) -> dict[str, set[str]]:
    """The attributes of each class in a .pxd file."""
    found = {}
    for block in re.split(r"^(?=cdef class )", pxd, flags=re.MULTILINE):
        head = re.match(r"cdef class (\w+)(?:\(\w+\))?:", block)
        if head:
            body = re.split(r"^(?=\S)", block[head.end() :], flags=re.MULTILINE)[0]
            found[head[1]] = set(DECLARED.findall(body))
    return found


def slots(tree: ast.Module) -> dict[str, set[str]]:
    """The `__slots__` of each class of a module; a `__dict__` is made by other means where it is compiled."""
    found: dict[str, set[str]] = {}
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef):
            for statement in kind.body:
                if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
                    named = ast.literal_eval(statement.value)
                    found[kind.name] = {named} if isinstance(named, str) else set(named)
    return found


def attribute_faults(source: str, pxd: str) -> list[str]:
    """Where the attributes of the classes in a .pxd file aren't those of the module's classes."""
    slotted = slots(ast.parse(source))
    faults = []
    for kind, attributes in declared(pxd).items():
        ours = slotted.get(kind)
        if ours is None:
            faults.append(f"{kind} is a class in the .pxd, and has no __slots__")
            continue
        special = {"__dict__", "__weakref__"}
        faults += [f"{kind}.{name} isn't in the .pxd" for name in sorted(ours - attributes - special)]
        faults += [f"{kind}.{name} isn't in __slots__" for name in sorted(attributes - ours - special)]
    return faults


@pytest.mark.parametrize("module", MODULES)
def test_slots_and_declarations_agree(module: str) -> None:
    path = SOURCE / f"{module}.py"
    assert attribute_faults(path.read_text("utf-8"), path.with_suffix(".pxd").read_text("utf-8")) == []


def test_the_attributes_of_the_engine_are_found() -> None:
    pxd = (SOURCE / "uamqp/engine/connection.pxd").read_text("utf-8")
    assert {"_input", "_timers", "output", "transfer_frame_size", "is_closed"} <= declared(pxd)["Engine"]


def test_a_missing_attribute_is_found_on_either_side() -> None:
    source = 'class C:\n    __slots__ = ("a", "b", "__weakref__")\n\nclass D:\n    pass\n'
    pxd = "cdef class C\n\ncdef int X\n\ncdef class C:\n    cdef public long long a\n    cdef char *c\n\n"
    pxd += "    cpdef b(self)\n"
    assert attribute_faults(source, pxd) == ["C.b isn't in the .pxd", "C.c isn't in __slots__"]
    assert attribute_faults(source, "cdef class D(C):\n    cdef int d\n") == [
        "D is a class in the .pxd, and has no __slots__"
    ]


# char *


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def makes_chars(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "chars" and isinstance(node.ctx, ast.Store)


def pointer_faults(source: str) -> list[str]:
    """Where a `chars` is made without a word, or read before anything was compared."""
    lines = source.splitlines()
    faults = []
    for function in functions(ast.parse(source)):
        nodes = list(ast.walk(function))
        made = [node.lineno for node in nodes if makes_chars(node) and isinstance(node, ast.Name)]
        if not made:
            continue
        faults += [
            f"{line}: say that it is a `char *`, and why it isn't read beyond its end: `chars = x  # char *: ...`"
            for line in made
            if not REMARK.search(lines[line - 1])
        ]
        compared = min((node.lineno for node in nodes if isinstance(node, ast.Compare)), default=len(lines) + 1)
        faults += [
            f"{node.lineno}: {function.name} reads memory, and has compared nothing before"
            for node in nodes
            if isinstance(node, ast.Name)
            and node.id == "chars"
            and isinstance(node.ctx, ast.Load)
            and node.lineno < compared
        ]
    return faults


@pytest.mark.parametrize("module", MODULES)
def test_what_is_read_as_memory_was_compared_with_its_bounds(module: str) -> None:
    assert pointer_faults((SOURCE / f"{module}.py").read_text("utf-8")) == []


@pytest.mark.parametrize("module", MODULES)
def test_every_pointer_is_called_chars(module: str) -> None:
    """By its name a reader of the .py file knows it; and nothing else has the name."""
    path = SOURCE / f"{module}.py"
    pxd = path.with_suffix(".pxd").read_text("utf-8")
    pointers = [one or other for one, other in POINTER.findall(pxd)]
    assert set(pointers) <= {"chars"}
    tree = ast.parse(path.read_text("utf-8"))
    users = [
        function.name
        for function in functions(tree)
        if any(makes_chars(node) for node in ast.walk(function))
        or any(argument.arg == "chars" for argument in function.args.args)
    ]
    assert len(users) == len(pointers), f"{users} have a local named chars, the .pxd types {len(pointers)}"


def test_the_checker_finds_a_pointer_without_a_word_or_a_comparison() -> None:
    made = "    chars = data  # char *: `end` is within the data\n    return chars[0:end]\n"
    good = f"def f(data, end):\n    if end > len(data):\n        return\n{made}"
    assert pointer_faults(good) == []
    assert pointer_faults(good.replace("  # char *: `end` is within the data", "")) == [
        "4: say that it is a `char *`, and why it isn't read beyond its end: `chars = x  # char *: ...`"
    ]
    bare = f"def f(data, end):\n{made}"
    assert pointer_faults(bare) == ["3: f reads memory, and has compared nothing before"]
