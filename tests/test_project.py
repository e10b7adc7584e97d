"""Holds what the project says of itself: packaging, versions, documents."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import uamqp
from uamqp.testing import Broker

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


GUIDE = sorted(f"docs/guide/{path.name}" for path in (ROOT / "docs" / "guide").glob("*.md"))


def test_the_version_is_in_one_place() -> None:
    assert metadata.version("uamqp") == uamqp.__version__
    assert f'version = "{uamqp.__version__}"' not in text("pyproject.toml")


def test_the_version_satisfies_what_requires_uamqp_1() -> None:
    numbers = tuple(int(part) for part in uamqp.__version__.split(".")[:3])
    assert (1, 6, 3) <= numbers < (2, 0, 0)


def test_the_changelog_has_the_version() -> None:
    assert f"## [{uamqp.__version__}]" in text("CHANGELOG.md")


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(uamqp.__file__).parent / "py.typed").is_file()


def test_the_requirements_are_few() -> None:
    required = [line for line in metadata.requires("uamqp") or [] if "extra ==" not in line]
    assert [re.split(r"[<>=~! ]", line)[0] for line in required] == ["certifi", "websockets"]


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/design.md",
        "docs/broker.md",
        "docs/engine.md",
        "docs/classic.md",
        "docs/migration.md",
        *GUIDE,
        "docs/benchmarks/README.md",
        "benchmarks/README.md",
        "tests/interop/brokers/README.md",
    ],
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", text(document)):
        assert ((ROOT / document).parent / target).exists(), f"{document} links to {target}"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_make_targets_in_documents_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text(document), re.MULTILINE))
    assert named
    assert named <= targets


def modules_of(layer: str) -> set[str]:
    return {path.stem for path in (ROOT / "src" / "uamqp" / layer).rglob("*.py")} - {"__init__"}


@pytest.mark.parametrize("layer", ["codec", "engine", "core", "messaging"])
def test_the_design_names_every_module_in_the_chapter_of_its_layer(layer: str) -> None:
    chapter = text("docs/design.md").split(f"\n## {layer.capitalize()}\n", 1)[1].split("\n## ", 1)[0]
    assert modules_of(layer) - set(re.findall(r"`(\w+)`", chapter)) == set()


def test_the_design_names_every_module_of_the_transport_in_its_tree() -> None:
    tree = text("docs/design.md").split("\n  transport/", 1)[1].split("\n  core/", 1)[0]
    assert modules_of("transport") - set(re.findall(r"\w+", tree)) == set()


CLASSIC = "docs/classic.md"
BLOCKS = re.findall(r"```python\n(.*?)```", text(CLASSIC), re.DOTALL)


def test_the_page_about_the_classic_api_shows_code() -> None:
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_of_the_classic_api_runs(block: str) -> None:
    """As it stands there, except for the broker; and as far as there is one: not what goes to broker.example.com."""
    code = compile(block, CLASSIC, "exec")
    if "broker.example.com" in block:
        code = compile(block[: block.index("login =")], CLASSIC, "exec")
    with Broker() as broker:
        broker.put("greetings", uamqp.Message("hello"))
        shown = block.replace("amqp://guest:guest@localhost:5672", f"amqp://guest:guest@{broker.host}:{broker.port}")
        if shown != block:
            shown = shown.replace("timeout=5000", "timeout=500")
            code = compile(shown, CLASSIC, "exec")
        exec(code, {})


def test_importing_says_nothing() -> None:
    """No warning, no output, and no name of a test tool in what is imported."""
    code = "import sys, uamqp; sys.exit(bool({'pytest', 'hypothesis', 'uamqp.testing'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Modules of core and transport that have no file of tests of their own, and where they are tested.
TESTED_ELSEWHERE = {
    "transport/drive": "transport/test_driver.py",
    "transport/forks": "api/test_forks.py",
    "transport/guard": "api/test_interrupts.py",
    "transport/shared": "api/test_opening.py",
    "transport/asyncio/connect": "api/test_opening.py",
    "transport/asyncio/driver": "transport/test_driver.py",
    "transport/asyncio/pump": "transport/test_driver.py",
    "transport/asyncio/reading": "api/test_async_interrupts.py",
    "transport/asyncio/shared": "api/test_opening.py",
    "transport/asyncio/signals": "transport/test_signals.py",
    "transport/asyncio/steps": "transport/test_steps.py",
    "transport/asyncio/websocket": "transport/test_websocket.py",
    "transport/blocking/driver": "transport/test_driver.py",
    "transport/blocking/keeper": "messaging/test_keeper.py",
    "transport/blocking/websocket": "api/test_websocket.py",
    "transport/sansio/clock": "test_clock.py",
    "transport/sansio/exposed": "api/test_auth.py",
    "transport/sansio/proxy": "api/test_proxy.py",
}


def test_each_module_of_core_and_transport_has_its_tests() -> None:
    """In `tests/core` or `tests/transport`, by its name; sansio's are called by their own, without the folder's."""
    without = set()
    for package in ("core", "transport"):
        for path in (ROOT / "src" / "uamqp" / package).rglob("*.py"):
            *folders, name = path.relative_to(ROOT / "src" / "uamqp").with_suffix("").parts
            file = "_".join(["test", *(folder for folder in folders[1:] if folder != "sansio"), name])
            if name != "__init__" and not (ROOT / "tests" / package / f"{file}.py").exists():
                without.add("/".join([*folders, name]))
    assert without == set(TESTED_ELSEWHERE)
    assert all((ROOT / "tests" / file).exists() for file in TESTED_ELSEWHERE.values())


def test_no_module_of_tests_imports_another() -> None:
    """What they share is in `tests/support`."""
    shared = re.compile(r"^\s*from (?:tests\.|\.+)[\w.]*\btest_\w+ import|^\s*from \.+ import .*\btest_", re.MULTILINE)
    paths = (ROOT / "tests").rglob("*.py")
    assert [path.name for path in paths if shared.search(path.read_text("utf-8"))] == []
