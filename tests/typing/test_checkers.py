"""What mypy and pyright make of programs for the modern API, for a user who has installed the library and nothing else.

Both are strict, and have none of this project's settings. The user's environment has no typing_extensions.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import uamqp

HERE = Path(__file__).parent
EXAMPLES = ("fan_out.py", "load_csv.py", "worker.py")
RIGHT = ("user_aio.py", "user_sync.py", "seen.py", *EXAMPLES)
WRONG = "wrong.py"

Faults = dict[str, dict[int, str]]
"""The texts of errors: by file and line."""


@pytest.fixture(scope="session")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user, with the programs, and with an environment `env`."""
    folder = tmp_path_factory.mktemp("user")
    for name in (*RIGHT, WRONG):
        shutil.copy((HERE.parent.parent / "examples" if name in EXAMPLES else HERE) / name, folder)
    venv.create(folder / "env", with_pip=False)
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python_of(folder), "-c", program], text=True).strip())
    shutil.copytree(Path(uamqp.__file__).parent, site / "uamqp", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return folder


def python_of(user: Path) -> str:
    return str(user / "env" / ("Scripts" if os.name == "nt" else "bin") / "python")


def output(user: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=user, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, f"{WRONG} has errors\n{done.stdout}{done.stderr}"
    return done.stdout


def of_mypy(user: Path, version: str) -> Faults:
    options = ["--strict", "--config-file=", "--python-version", version, "--python-executable", python_of(user)]
    options += ["--cache-dir", str(user / "cache"), "--no-error-summary", "--disable-error-code", "unused-coroutine"]
    found: Faults = {}
    for line in output(user, "mypy", *options, *RIGHT, WRONG).splitlines():
        name, number, kind, text = line.split(":", 3)
        if kind.strip() == "error":
            add(found, name, int(number), text)
    return found


def of_pyright(user: Path, version: str) -> Faults:
    settings = {"typeCheckingMode": "strict", "pythonVersion": version, "include": [*RIGHT, WRONG]}
    (user / "pyrightconfig.json").write_text(json.dumps(settings))
    found: Faults = {}
    told = json.loads(output(user, "pyright", "--outputjson", "--pythonpath", python_of(user)))
    for each in told["generalDiagnostics"]:
        add(found, Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"])
    return found


def add(found: Faults, name: str, number: int, text: str) -> None:
    lines = found.setdefault(name, {})
    lines[number] = f"{lines.get(number, '')}{text}\n"


@pytest.fixture(scope="module", params=["mypy 3.10", "pyright 3.14"])
def faults(request: pytest.FixtureRequest, user: Path) -> Faults:
    """What a type checker finds, for a version of Python."""
    checker, version = request.param.split()
    return of_mypy(user, version) if checker == "mypy" else of_pyright(user, version)


def test_programs_are_right(faults: Faults) -> None:
    assert {name: lines for name, lines in faults.items() if name != WRONG} == {}


def test_mistakes_are_errors(faults: Faults) -> None:
    """Each of them, with what is wrong in its text, and nothing else."""
    lines = enumerate((HERE / WRONG).read_text("utf-8").splitlines(), 1)
    expected = {number: line.partition("# E: ")[2] for number, line in lines if "# E: " in line}
    found = faults[WRONG]
    assert {number: found.get(number) for number in found.keys() ^ expected.keys()} == {}
    assert {number: found[number] for number, word in expected.items() if word not in found[number]} == {}
