"""The files that `make dist` makes, each installed as a user does: from the file, into a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DIST = ROOT / "dist"
LIMIT = 600.0

# A message there and back over the embedded broker, from outside of the sources.
PROGRAM = """
import sys, uamqp
from uamqp import Message, ReceiveClient, SendClient
from uamqp.testing import Broker

with Broker() as broker:
    with SendClient(broker.url + "/q") as sender:
        sender.send_message([Message(str(number)) for number in range(100)])
    with ReceiveClient(broker.url + "/q", timeout=500) as receiver:
        assert [str(message) for message in receiver.receive_messages_iter()] == [str(number) for number in range(100)]
print(uamqp.codec.COMPILED, uamqp.__version__)
"""


def the_one(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"`make dist` makes one {pattern}, there are {[path.name for path in found]}"
    return found[0]


def run(command: list[str | Path], folder: Path, *, check: bool = True, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CYTHON")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert not check or done.returncode == 0, done.stdout
    return f"{done.stdout}\nexit status {done.returncode}"


def fresh(folder: Path) -> Path:
    run([sys.executable, "-m", "venv", folder / "venv"], folder)
    return folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"


def install(python: Path, file: Path, folder: Path, *, check: bool = True, **variables: str) -> str:
    return run(
        [python, "-m", "pip", "install", "-v", "--disable-pip-version-check", file], folder, check=check, **variables
    )


@pytest.mark.parametrize(("pattern", "compiled"), [("uamqp-*-cp*.whl", True), ("uamqp-*-py3-none-any.whl", False)])
def test_a_wheel_is_installed_and_works(pattern: str, compiled: bool, tmp_path: Path) -> None:
    python = fresh(tmp_path)
    install(python, the_one(pattern), tmp_path)
    assert run([python, "-c", PROGRAM], tmp_path).split()[0] == str(compiled)


def test_the_source_distribution_is_compiled_where_that_is_possible(tmp_path: Path) -> None:
    python = fresh(tmp_path)
    install(python, the_one("uamqp-*.tar.gz"), tmp_path, REQUIRE_CYTHON="1", CFLAGS="-O0")  # in a third of the time
    assert run([python, "-c", PROGRAM], tmp_path).split()[0] == "True"


def test_without_a_compiler_it_is_said_and_the_pure_package_is_installed(tmp_path: Path) -> None:
    python = fresh(tmp_path)
    output = install(python, the_one("uamqp-*.tar.gz"), tmp_path, CC="no-such-compiler")
    assert "uamqp can't be compiled here and is installed as plain Python" in output
    assert run([python, "-c", PROGRAM], tmp_path).split()[0] == "False"


def test_without_a_compiler_a_required_build_fails(tmp_path: Path) -> None:
    python = fresh(tmp_path)
    output = install(
        python, the_one("uamqp-*.tar.gz"), tmp_path, check=False, CC="no-such-compiler", REQUIRE_CYTHON="1"
    )
    assert "exit status 0" not in output
    assert "no-such-compiler" in output


def test_skip_and_require_contradict_each_other(tmp_path: Path) -> None:
    python = fresh(tmp_path)
    output = install(python, the_one("uamqp-*.tar.gz"), tmp_path, check=False, SKIP_CYTHON="1", REQUIRE_CYTHON="1")
    assert "which is it to be?" in output


def test_what_is_in_the_files() -> None:
    def suffixes(names: list[str]) -> set[str]:
        return {Path(name).suffix for name in names if "/uamqp/" in f"/{name}" and not name.endswith("/")}

    with zipfile.ZipFile(the_one("uamqp-*-py3-none-any.whl")) as wheel:
        assert suffixes(wheel.namelist()) == {".py", ".pxd", ".typed"}
    with zipfile.ZipFile(the_one("uamqp-*-cp*.whl")) as wheel:
        assert suffixes(wheel.namelist()) == {".py", ".pxd", ".typed", ".pyd" if os.name == "nt" else ".so"}
    with tarfile.open(the_one("uamqp-*.tar.gz")) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile() and "/src/uamqp/" in member.name]
        assert suffixes(names) == {".py", ".pxd", ".typed"}
