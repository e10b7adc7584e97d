"""The public surface of uamqp 1.6.11: every name, and every parameter.

tests/data/api_surface.json has the facts: for each module its names; for a function its signature, for a class those of
its constructor and its members, for an enumeration the names of its members. What is needed of `c_uamqp` isn't in it:
test_c_values holds that. Nor are modules that other modules happened to import.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FACTS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "api_surface.json").read_text("utf-8")
)

# What isn't as it was, and why.
DIFFERENT: dict[str, str] = {
    "uamqp.authentication.cbs_auth_async.SessionAsync is missing": "the credentials know no front's classes any more",
    "uamqp.authentication.cbs_auth_async.get_dict_with_loop_if_needed is missing": "a helper of async_ops.utils",
    "uamqp.utils.timedelta is missing": "the standard library's",
}


def parameters(signature: str) -> list[tuple[str, bool, Any]]:
    """The parameters of a signature as text: name, whether there is a default, and the default if it is a literal."""
    (function,) = ast.parse(f"def function{re.sub('<[^>]+>', '...', signature)}: ...").body
    assert isinstance(function, ast.FunctionDef)
    names = [argument.arg for argument in function.args.args]
    defaults = [..., *[_literal(node) for node in function.args.defaults]]
    without = len(names) - len(function.args.defaults)
    return [
        (name, index >= without, defaults[max(0, index - without + 1)])
        for index, name in enumerate(names)
        if name not in ("self", "cls")
    ]


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def signature_faults(where: str, function: Any, signature: str) -> Iterator[str]:
    """What of 1.6's signature a function doesn't take."""
    try:
        ours = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return
    names = [name for name in ours if name != "self"]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in ours.values())
    for index, (name, has_default, default) in enumerate(parameters(signature)):
        if name not in ours:
            if not takes_any:
                yield f"{where} has no parameter {name}"
            continue
        if names[index : index + 1] != [name] and ours[name].kind is not inspect.Parameter.KEYWORD_ONLY:
            yield f"{where}: parameter {name} isn't number {index}"
        if has_default and ours[name].default is inspect.Parameter.empty:
            yield f"{where}: parameter {name} has no default"
        elif has_default and isinstance(default, (int, str, bytes, bool)) and ours[name].default != default:
            yield f"{where}: parameter {name} is {ours[name].default!r} by default, not {default!r}"


def class_faults(where: str, ours: Any, facts: dict[str, Any]) -> Iterator[str]:
    if facts["()"]:
        yield from signature_faults(where, ours, facts["()"])
    for name, fact in facts["members"].items():
        if not hasattr(ours, name) and not _is_set_on_instances(ours, name):
            yield f"{where}.{name} is missing"
        elif fact.startswith("(") and callable(getattr(ours, name, None)):
            yield from signature_faults(f"{where}.{name}", getattr(ours, name), fact)


def _is_set_on_instances(kind: Any, name: str) -> bool:
    return any(name in inspect.getsource(base) for base in kind.__mro__[:-1] if base.__module__.startswith("uamqp"))


def faults(module: str) -> Iterator[str]:
    ours = importlib.import_module(module)
    for name, fact in FACTS[module].items():
        where = f"{module}.{name}"
        if not hasattr(ours, name):
            yield f"{where} is missing"
        elif isinstance(fact, list):
            members = getattr(ours, name).__members__
            yield from (f"{where}.{member} is missing" for member in fact if member not in members)
        elif isinstance(fact, dict):
            yield from class_faults(where, getattr(ours, name), fact)
        elif fact.startswith("("):
            yield from signature_faults(where, getattr(ours, name), fact)


@pytest.mark.parametrize("module", sorted(FACTS))
def test_nothing_of_the_surface_is_missing(module: str) -> None:
    found = [fault for fault in faults(module) if fault not in DIFFERENT]
    assert found == []


def test_every_difference_is_still_one() -> None:
    found = {fault for module in FACTS for fault in faults(module)}
    assert set(DIFFERENT) - found == set()
    assert all(DIFFERENT.values()), "each has its reason"


def test_the_facts_are_whole() -> None:
    assert len(FACTS) >= 20
    assert sum(len(names) for names in FACTS.values()) > 200
