"""Runs the benchmarks, prints tables, and writes docs/benchmarks: `make bench`, or

    python -m benchmarks --compiled PYTHON --pure PYTHON [--peers PYTHON] [--groups codec,messages] [--rounds 5]

Each PYTHON is an interpreter with the package installed. Every round runs each contender once, so that a change of the
machine's speed hits all alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import report
from .contenders import FOR_FAR_END, Field, Missing, build_binaries, describe
from .groups import GROUPS

ROOT = Path(__file__).parent.parent


def interpreter(text: str) -> Path:
    path = Path(text).absolute()  # not resolved: a virtual environment's interpreter is a link
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {path}")
    return path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [group.name for group in GROUPS]
    parser.add_argument("--compiled", type=interpreter, required=True, help="with the compiled build of this project")
    parser.add_argument("--pure", type=interpreter, required=True, help="with the pure build")
    parser.add_argument("--peers", type=interpreter, help="with uamqp 1.6.11, python-qpid-proton, azure-servicebus")
    parser.add_argument("--groups", default=",".join(names), help=f"some of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="fewer or more messages")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks")
    options = parser.parse_args()
    unknown = set(options.groups.split(",")) - set(names)
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return options


def build_of(python: Path) -> str:
    code = "import sys, uamqp; print(uamqp.__version__, uamqp.codec.COMPILED, sys.version.split()[0])"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def facts_of(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    version, compiled, python = build_of(field.compiled).split()
    if compiled != "True" or build_of(field.pure).split()[1] != "False":
        raise SystemExit("--compiled needs the compiled build, and --pure the pure one")
    peers = {name: field.version(name) for name in ("uamqp", "python-qpid-proton", "azure-servicebus")}
    machine = describe()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "uamqp": f"{version}, Python {python}",
        "peers": ", ".join(f"{name} {number}" for name, number in peers.items() if number) or "none here",
        "far end": "Qpid Proton C" if field.binaries else "not here: what needs the far end in C is left out",
        "processors": "the far end has one of its own" if FOR_FAR_END else "as the system chooses",
        "command": "make bench BENCH_ARGS='--groups ... --rounds ... --scale ...', as below",
    }


def measure(field: Field, options: argparse.Namespace, folder: Path) -> report.Results:
    results: report.Results = {}
    for group in GROUPS:
        if group.name not in options.groups.split(","):
            continue
        figures: dict[tuple[str, str, str], list[float]] = {}
        try:
            for number in range(options.rounds):
                print(f"{group.name}: round {number + 1} of {options.rounds}", file=sys.stderr)
                for work, x, contender, value in group.rounds(field, folder, options.scale):
                    figures.setdefault((work, "" if x is None else f"{x:g}", contender), []).append(value)
        except Missing as missing:
            print(f"{group.name}: left out, for want of {missing}", file=sys.stderr)
            continue
        works: dict[str, dict[str, dict[str, float]]] = {}
        for (work, place, contender), values in figures.items():
            works.setdefault(work, {}).setdefault(place, {})[contender] = statistics.median(values)
        results[group.name] = works
        print(f"\n{group.title} ({group.unit})\n\n{report.table(group, works)}\n", flush=True)
    return results


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        field = Field(options.compiled, options.pure, options.peers, build_binaries(folder / "bin"))
        facts = facts_of(field, options)
        results = measure(field, options, folder)
    settings = dict.fromkeys(results, f"--rounds {options.rounds} --scale {options.scale:g}")
    earlier = options.out / "results.json"
    if earlier.exists():  # groups that weren't run now keep their figures
        before = json.loads(earlier.read_text())
        results = {**before["results"], **results}
        settings = {**before["settings"], **settings}
    report.write(options.out, facts, settings, results)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
