"""What is behind a door says that it is of the door: in its repr, in pickles, in documentation."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import subprocess
import sys
from types import ModuleType
from typing import is_typeddict

import pytest

import uamqp

NAMES = [
    "uamqp",
    *(
        found.name
        for found in pkgutil.walk_packages(uamqp.__path__, "uamqp.")
        if found.name.split(".")[1]
        not in ("aio", "brokers", "classic", "codec", "core", "engine", "messaging", "sync", "testing", "transport")
    ),
]


def classes(door: ModuleType) -> list[type]:
    """Our classes that a module has by a public name."""
    return [
        value
        for name, value in vars(door).items()
        if isinstance(value, type)
        and not name.startswith("_")
        and value.__module__.startswith("uamqp")
        and not is_typeddict(value)  # of keywords: for type checkers
    ]


def test_there_are_doors() -> None:
    assert {"uamqp.client", "uamqp.message", "uamqp.authentication.common", "uamqp.async_ops.client_async"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_classes_name_a_door(name: str) -> None:
    hidden = [kind for kind in classes(importlib.import_module(name)) if kind.__module__.startswith("uamqp.classic")]
    assert hidden == []


@pytest.mark.parametrize("name", NAMES)
def test_classes_are_where_they_say(name: str) -> None:
    for kind in classes(importlib.import_module(name)):
        assert getattr(importlib.import_module(kind.__module__), kind.__name__) is kind
        assert pickle.loads(pickle.dumps(kind)) is kind
        assert repr(kind) in (f"<class '{kind.__module__}.{kind.__name__}'>", f"<enum '{kind.__name__}'>")


def test_every_door_is_there_without_an_import_of_its_own() -> None:
    lines = ["import uamqp", *(name for name in NAMES if "__main__" not in name)]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)
