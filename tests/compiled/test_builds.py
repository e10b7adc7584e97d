"""The two builds against each other: same files, same behaviour.

Where the compiled package is installed, its .py files are what the pure one would be; so one environment can run both.
"""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

import uamqp
from tests.support.builds import LIMIT, ROOT, compiled_modules
from uamqp import Message, codec
from uamqp.core import Entry
from uamqp.engine import IncomingDelivery, OutgoingDelivery
from uamqp.message import MessageProperties


def test_this_is_the_build_that_was_asked_for() -> None:
    """Nothing else would show that the compiled build is tested, and not the pure one once more."""
    wanted = os.environ.get("UAMQP_BUILD")
    assert wanted in {None, "pure", "compiled"}
    assert wanted is None or (wanted == "compiled") == codec.COMPILED


def test_every_module_of_the_list_has_its_types_and_every_pxd_its_module() -> None:
    source = ROOT / "src"
    listed = {name.replace(".", "/") for name in compiled_modules()}
    found = {path.relative_to(source).with_suffix("").as_posix() for path in source.rglob("*.pxd")}
    assert found == listed
    assert all((source / f"{name}.py").is_file() for name in listed)


def test_all_or_none_of_the_modules_are_compiled() -> None:
    for name in compiled_modules():
        file = str(getattr(__import__(name, fromlist=["x"]), "__file__", ""))
        assert file.endswith(".py") != codec.COMPILED, f"{name} is {file}"


def outcomes(build: str) -> list[str]:
    environment = dict(os.environ)
    if build == "pure":
        environment["PYTHONPATH"] = str(ROOT / "src")  # there are no compiled modules beside these files
    done = subprocess.run(
        [sys.executable, "-m", "tests.compiled.cases"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == build, f"asked for the {build} build, got the {first} one"
    return lines


@pytest.mark.skipif(not codec.COMPILED, reason="needs the compiled package: `make unit-compiled`")
def test_both_builds_do_the_same() -> None:
    pure, compiled = outcomes("pure"), outcomes("compiled")
    assert len(pure) > 10_000
    different = [pair for pair in itertools.zip_longest(pure, compiled) if pair[0] != pair[1]]
    shown = "\n".join(f"pure:     {one}\ncompiled: {other}" for one, other in different[:10])
    assert not different, f"{len(different)} of {len(pure)} cases differ:\n{shown}"


def collected(make: Callable[[], object]) -> int:
    """How many objects the garbage collector counts for 500 new ones, after as many have gone."""
    things = [make() for _ in range(500)]
    del things
    before = gc.get_count()[0]
    things = [make() for _ in range(500)]
    counted = gc.get_count()[0] - before
    del things
    return counted


@pytest.mark.skipif(
    not codec.COMPILED or bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="needs the compiled package (`make unit-compiled`); Cython has no freelists without a GIL",
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: IncomingDelivery.__new__(IncomingDelivery),
        lambda: OutgoingDelivery.__new__(OutgoingDelivery),
        lambda: Entry(None, None),
        lambda: Message(b"x"),
        lambda: MessageProperties.__new__(MessageProperties),
    ],
    ids=["incoming delivery", "outgoing delivery", "entry", "message", "properties"],
)
def test_what_comes_with_every_message_is_used_again(make: Callable[[], object]) -> None:
    """Nothing else would show that these objects set off the garbage collector again: a third of the time, once.

    A message's `__dict__` would count as well, if it had one from the start.
    """
    gc.collect()
    gc.disable()
    try:
        assert collected(make) <= 50  # lists and the like
    finally:
        gc.enable()


def test_the_package_that_is_tested_is_the_installed_one() -> None:
    """With `UAMQP_BUILD=compiled` it comes out of a wheel, not out of the sources."""
    if os.environ.get("UAMQP_BUILD") == "compiled":
        assert ROOT / "src" not in Path(uamqp.__file__).parents
