"""The files that `make dist` makes, each installed as a user does: from the file, into a fresh environment."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.installing import PROGRAM, fresh, run, the_one


def install(python: Path, file: Path, folder: Path, *, check: bool = True, **variables: str) -> str:
    return run(
        [python, "-m", "pip", "install", "-v", "--disable-pip-version-check", file], folder, check=check, **variables
    )


@pytest.mark.parametrize(("pattern", "compiled"), [("uamqp-*-cp*.whl", True), ("uamqp-*-py3-none-any.whl", False)])
def test_a_wheel_is_installed_and_works(pattern: str, compiled: bool, tmp_path: Path) -> None:
    python = fresh(tmp_path)
    install(python, the_one(pattern), tmp_path)
    assert run([python, "-c", PROGRAM], tmp_path).split()[0] == str(compiled)


@pytest.mark.parametrize("pattern", ["uamqp-*-cp*.whl", "uamqp-*-py3-none-any.whl"])
def test_pytest_finds_the_fixtures_of_what_is_installed(pattern: str, tmp_path: Path) -> None:
    python = fresh(tmp_path)
    install(python, the_one(pattern), tmp_path)
    run([python, "-m", "pip", "install", "--disable-pip-version-check", "pytest>=9,<10"], tmp_path)
    (tmp_path / "test_it.py").write_text("def test_it(amqp_broker, amqp_url): assert amqp_broker.url == amqp_url\n")
    command: list[str | Path] = [python, "-m", "pytest", "-W", "error", "test_it.py"]
    assert "1 passed" in run(command, tmp_path)
    assert "1 skipped" in run([*command, "--amqp-url=amqp://mq.example"], tmp_path)
    assert "fixture 'amqp_broker' not found" in run([*command, "-p", "no:uamqp"], tmp_path, check=False)


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
