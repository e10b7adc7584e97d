"""Instructions that a program takes: valgrind counts them, or the processor where perf may ask it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .builds import GuardError

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LIMIT = 1800.0
"""Seconds for one program."""

BATCH = 200
"""Messages in a round: with their frames they are written at once, and read at once."""

ROUNDS = {"encode": 50, "decode": 50, "send": 50, "receive": 50, "broker": 20, "broker-async": 20}
"""The workloads, and rounds that outweigh what differs between two starts of Python."""

FAR_END_FOR = ("send", "receive")

NO_COUNTER = (
    "neither valgrind nor perf can count instructions here. Install valgrind (Debian and Ubuntu: apt-get install "
    "valgrind; Fedora: dnf install valgrind), or use a machine on which `perf stat -e instructions` counts"
)


@dataclass(frozen=True)
class Counter:
    """What counts: "valgrind" or "perf"."""

    name: str

    def command(self, output: Path) -> list[str]:
        """What to put before a program so that the count is written to a file."""
        if self.name == "valgrind":
            return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={output}"]
        return ["perf", "stat", "--field-separator=,", "--event=instructions:u", f"--output={output}"]

    def read(self, output: Path) -> int:
        """The count in such a file.

        Raises:
            GuardError: there is none.
        """
        text = output.read_text() if output.exists() else ""
        pattern = r"^(?:totals|summary): (\d+)" if self.name == "valgrind" else r"^(\d+),.*instructions"
        found = re.search(pattern, text, re.MULTILINE)
        if found is None:
            raise GuardError(f"{self.name} counted nothing: {text[-500:]!r}")
        return int(found[1])


def find_counter(path: str | None = None) -> Counter:
    """What can count here; valgrind first, since its counts are the same each time.

    Args:
        path: where to look for programs; None: $PATH.

    Raises:
        GuardError: nothing can.
    """
    if shutil.which("valgrind", path=path) is not None:
        return Counter("valgrind")
    perf = shutil.which("perf", path=path)
    if perf is not None:
        with tempfile.TemporaryDirectory() as folder:
            counter, output = Counter("perf"), Path(folder) / "count"
            _, *options = counter.command(output)
            subprocess.run([perf, *options, sys.executable, "-c", ""], capture_output=True, check=False)
            try:
                counter.read(output)
            except GuardError:
                pass
            else:
                return counter
    raise GuardError(NO_COUNTER)


@contextmanager
def far_end(workload: str) -> Iterator[str]:
    """The port of a far end in a process of its own, for the workloads that need one."""
    if workload not in FAR_END_FOR:
        yield "0"
        return
    command = [sys.executable, "-m", "benchmarks.guard.far_end", str(BATCH)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip() if process.stdout is not None else ""
    finally:
        process.kill()
        process.communicate()


def run(python: Path, workload: str, rounds: int, before: Sequence[str] = ()) -> None:
    """Run a workload.

    Args:
        python: of the environment that has the package.
        before: what to put before the program.

    Raises:
        GuardError: it failed, or took too long.
    """
    # Nothing of the environment changes what the program does, and strings have the same hashes each time.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    with far_end(workload) as port:
        program = [str(python), str(HERE / "workloads.py"), workload, str(rounds), str(BATCH), port]
        try:
            done = subprocess.run(
                [*before, *program], env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            raise GuardError(f"{workload}: not done in {LIMIT:g} s: {' '.join(program)}") from None
    if done.returncode:
        raise GuardError(f"{workload}: exit status {done.returncode}: {' '.join(program)}\n{done.stderr[-3000:]}")


def count(counter: Counter, python: Path, workload: str, folder: Path) -> float:
    """Instructions per message.

    What a program takes with so many rounds is subtracted from what it takes with twice as many: that leaves out the
    start of the interpreter, the imports, and the opening and closing of connections.

    Args:
        folder: where the counter's files are left; those of valgrind are profiles.

    Raises:
        GuardError: the workload fails, or nothing was counted.
    """
    rounds = ROUNDS[workload]
    run(python, workload, 1)  # not counted: what Python compiles once is compiled
    counts = []
    for times in (rounds, 2 * rounds):
        output = folder / f"{workload}-{times}.out"
        run(python, workload, times, counter.command(output))
        counts.append(counter.read(output))
    return (counts[1] - counts[0]) / (rounds * BATCH)
