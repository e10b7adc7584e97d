"""What is compared: trees of the repository, and the compiled wheel of each in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

BUILT_OF = ("src", "setup.py", "pyproject.toml")
"""What the wheel is made of: trees that have these in common have the same build."""


class GuardError(Exception):
    """The comparison can't be made; the text says why, and what to do."""


@dataclass(frozen=True)
class Tree:
    """What is to be built: the files of a commit, or those of the working tree.

    Attributes:
        label: for people.
        tree: git's name of it.
        key: of its build.
    """

    label: str
    tree: str
    key: str


@dataclass(frozen=True)
class Repository:
    """A git repository, by its folder."""

    folder: Path

    def git(self, *arguments: str, **variables: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise GuardError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def commit(self, name: str) -> Tree:
        """The tree of a commit, by any name that git knows."""
        number = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        shown = self.git("log", "-1", "--format=%h %s", number)
        return self._tree(shown[:70], self.git("rev-parse", f"{number}^{{tree}}"))

    def working_tree(self) -> Tree:
        """The files as they are now, those that git doesn't know yet included. The index is left alone."""
        with tempfile.TemporaryDirectory() as folder:
            index = str(Path(folder) / "index")
            self.git("read-tree", "HEAD", GIT_INDEX_FILE=index)
            self.git("add", "--all", GIT_INDEX_FILE=index)
            tree = self.git("write-tree", GIT_INDEX_FILE=index)
        committed = tree == self.git("rev-parse", "HEAD^{tree}")
        return self.commit("HEAD") if committed else self._tree("the working tree", tree)

    def base(self) -> str:
        """What is compared with by default: where the branch left main."""
        for name in ("origin/main", "main"):
            try:
                return self.git("merge-base", "HEAD", name)
            except GuardError:
                continue
        raise GuardError("there is neither origin/main nor main to compare with: say BASE=<commit>")

    def _tree(self, label: str, tree: str) -> Tree:
        parts = self.git("rev-parse", *(f"{tree}:{name}" for name in BUILT_OF))
        return Tree(label, tree, digest(parts, sys.version, sys.base_prefix))

    def unpack(self, tree: Tree, folder: Path) -> None:
        """Write the files of a tree to a folder."""
        archive = folder.with_suffix(".zip")
        self.git("archive", "--output", str(archive), tree.tree)
        with zipfile.ZipFile(archive) as files:
            files.extractall(folder)


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def build(repository: Repository, tree: Tree, cache: Path) -> Path:
    """Return the environment that has the compiled wheel of a tree installed; it is made unless it is there.

    Raises:
        GuardError: it can't be built.
    """
    place = cache / tree.key
    if place.exists():
        return place
    print(f"building {tree.label}; that takes minutes, once", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        made, sources = Path(name) / "environment", Path(name) / "sources"
        repository.unpack(tree, sources)
        log = cache / f"{tree.key}.log"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(made / "bin" / "python")]
        compiled = "import sys, uamqp; sys.exit(not uamqp.codec.COMPILED)"
        for command in (
            [sys.executable, "-m", "venv", "--without-pip", str(made)],
            [*pip, "install", str(sources)],
            [str(made / "bin" / "python"), "-c", compiled],
        ):
            with log.open("a") as output:
                done = subprocess.run(command, cwd=name, env=_environment(), stdout=output, stderr=output, check=False)
            if done.returncode:
                raise GuardError(f"{tree.label} can't be built, see {log}: {' '.join(command)}")
        log.unlink()
        try:
            made.rename(place)  # all of it, or nothing
        except OSError:
            if not place.exists():  # somebody else was quicker
                raise
    return place


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SKIP_CYTHON", "CFLAGS")}
    # The names of functions stay, for profiles. Python's own flags, among them those that optimize, may not be added.
    kept["CFLAGS"] = f"{sysconfig.get_config_var('CFLAGS') or ''} -g0".strip()
    return {**kept, "REQUIRE_CYTHON": "1"}
