"""`make bench-guard`: what it builds, runs, counts and says. The counting itself takes minutes, and isn't a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.guard.__main__ import verdict
from benchmarks.guard.builds import GuardError, Repository
from benchmarks.guard.counting import ROOT, ROUNDS, Counter, find_counter, run


@pytest.mark.parametrize("workload", ROUNDS)
def test_a_workload_runs(workload: str) -> None:
    run(Path(sys.executable), workload, 2)


def test_a_workload_that_fails_says_why() -> None:
    with pytest.raises(GuardError, match=r"(?s)no-such-work: exit status 1.*KeyError"):
        run(Path(sys.executable), "no-such-work", 1)


def test_ratios_over_the_limit_are_told() -> None:
    before = {"encode": 1000.0, "decode": 1000.0, "send": 2000.0}
    table, over = verdict(before, {"encode": 1029.0, "decode": 1031.0, "send": 500.0}, 1.03)
    assert over == ["decode"]
    assert [line.split()[:4] for line in table.splitlines()[1:]] == [
        ["encode", "1000", "1029", "1.0290"],
        ["decode", "1000", "1031", "1.0310"],
        ["send", "2000", "500", "0.2500"],
    ]


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


PERF = """for argument; do case $argument in --output=*) file=${argument#--output=};; esac; done
echo '%s,,instructions:u,1000,100.00,,' >"$file" """


def test_perf_counts_where_there_is_no_valgrind_and_the_processor_tells(tmp_path: Path) -> None:
    program(tmp_path, "perf", PERF % 12345)
    assert find_counter(str(tmp_path)).name == "perf"
    program(tmp_path, "valgrind", "")
    assert find_counter(str(tmp_path)).name == "valgrind"


@pytest.mark.parametrize("perf", [None, PERF % "<not supported>", "exit 255"])
def test_without_anything_that_counts_it_says_what_to_install(perf: str | None, tmp_path: Path) -> None:
    if perf is not None:
        program(tmp_path, "perf", perf)
    with pytest.raises(GuardError, match=r"apt-get install valgrind"):
        find_counter(str(tmp_path))


def test_an_error_is_a_line_and_exit_status_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("bench-guard: neither valgrind nor perf")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("valgrind", "# callgrind format\nevents: Ir\nsummary: 716826965\n\ntotals: 716826965\n"),
        ("perf", "# started on Sat\n\n716826965,,instructions:u,2000,100.00,,\n"),
    ],
)
def test_the_count_is_read_from_the_counters_file(name: str, text: str, tmp_path: Path) -> None:
    output = tmp_path / "count"
    output.write_text(text)
    assert Counter(name).read(output) == 716826965
    output.write_text("nothing")
    with pytest.raises(GuardError, match=f"{name} counted nothing"):
        Counter(name).read(output)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With one commit on main, and a branch that is checked out."""
    folder = tmp_path / "repository"
    (folder / "src" / "package").mkdir(parents=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "src/package/module.py"):
        (folder / name).write_text(name)
    made = Repository(folder)
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", ".")
    made.git("commit", "--quiet", "--message=First", **identity)
    made.git("switch", "--quiet", "--create", "branch")
    return made


def test_without_changes_the_working_tree_is_the_commit(repository: Repository) -> None:
    assert repository.working_tree() == repository.commit("HEAD") == repository.commit(repository.base())
    assert repository.commit("HEAD").label.endswith(" First")


def test_the_working_tree_has_what_isnt_committed_and_the_index_stays(repository: Repository, tmp_path: Path) -> None:
    base = repository.commit("main")
    (repository.folder / "src" / "package" / "more.py").write_text("more")
    (repository.folder / "src" / "package" / "module.py").write_text("other")
    changed = repository.working_tree()
    assert changed.key != base.key
    assert changed.label == "the working tree"
    assert repository.git("diff", "--cached", "--name-only") == ""
    repository.unpack(changed, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "src" / "package" / "more.py").read_text() == "more"
    assert (tmp_path / "unpacked" / "src" / "package" / "module.py").read_text() == "other"


def test_what_isnt_built_makes_no_other_build(repository: Repository) -> None:
    (repository.folder / "README.md").write_text("other")
    changed, base = repository.working_tree(), repository.commit("main")
    assert changed.tree != base.tree
    assert changed.key == base.key


def test_a_commit_that_isnt_there_is_told(repository: Repository) -> None:
    with pytest.raises(GuardError, match="no-such-commit"):
        repository.commit("no-such-commit")


def test_without_a_main_there_is_nothing_to_compare_with_by_default(repository: Repository) -> None:
    repository.git("branch", "--quiet", "--delete", "--force", "main")
    with pytest.raises(GuardError, match="BASE=<commit>"):
        repository.base()
