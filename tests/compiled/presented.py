"""What `inspect`, `help()` and `unittest.mock` make of what is public. A program, run once with each build.

python -m tests.compiled.presented        prints the build's name, and then the lines
"""

from __future__ import annotations

import importlib
import inspect
import pydoc
import re
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

from uamqp import codec

MODULES = ("uamqp", "uamqp.message", "uamqp.codec", "uamqp.engine", "uamqp.core")

# What is there of an extension type, or of a class of Python, alone.
OF_ONE_BUILD = {"__annotations__", "__dict__", "__module__", "__new__", "__slots__", "__weakref__"}
OF_ONE_BUILD |= {"__pyx_vtable__", "__signature__"}
# Of the text of `help()`; what the other parts list, properties and attributes, is described one by one.
SHOWN = ("Help on", "Python Library Documentation", "Methods", "Class methods")


def public(module: Any) -> Iterator[tuple[str, Any]]:
    """The classes and functions of a module."""
    for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]):
        value = getattr(module, name)
        if callable(value):
            yield f"{module.__name__}.{name}", value


def signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError) as error:
        return re.sub("0x[0-9a-f]+", "0x..", f"{type(error).__name__}: {error}")


def described(name: str, value: Any) -> str:
    kind = "function " if inspect.isfunction(value) and not name.endswith("__") else ""
    return f"{name}: {kind}{signature(value) if callable(value) else 'attribute'} {inspect.getdoc(value)!r}"


def helped(kind: type) -> Iterator[str]:
    """The parts of `help()` that say what can be called, and how."""
    text = pydoc.plain(pydoc.render_doc(kind))
    for part in text.split(f" |  {'-' * 70}\n"):
        if part.removeprefix(" |  ").startswith(SHOWN):
            yield from (f"help: {line}" for line in part.rstrip(" |\n").splitlines())


def members(name: str, kind: type) -> Iterator[str]:
    mocked = mock.create_autospec(kind)
    yield f"{name} mocked: {signature(mocked)}"
    for member in dir(kind):
        if member in OF_ONE_BUILD or (member.startswith("_") and not member.endswith("__")):
            continue
        value = getattr(kind, member, None)
        yield described(f"{name}.{member}", value)
        if inspect.isroutine(value) and not member.startswith("_"):
            yield f"{name}.{member} mocked: {signature(getattr(mocked, member))}"
            yield f"{name}().{member} mocked: {signature(getattr(mocked.return_value, member))}"


def lines() -> Iterator[str]:
    for module in MODULES:
        for name, value in public(importlib.import_module(module)):
            yield described(name, value)
            if inspect.isclass(value):
                yield from helped(value)
                if not issubclass(value, BaseException):
                    yield from members(name, value)
            else:
                yield f"{name} mocked: {signature(mock.create_autospec(value))}"


if __name__ == "__main__":
    sys.stdout.write(f"{'compiled' if codec.COMPILED else 'pure'}\n")
    sys.stdout.writelines(line.encode("unicode_escape").decode() + "\n" for line in lines())
