"""Compares two commits in instructions per message: `make bench-guard`, or

    python -m benchmarks.guard [--base COMMIT] [--head COMMIT] [--limit 1.03]

Exit status: 0; 1: a workload takes more than the limit allows; 2: the comparison can't be made.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .builds import GuardError, Repository, Tree, build, digest
from .counting import HERE, ROOT, ROUNDS, Counter, count, find_counter

Counts = dict[str, float]
"""Instructions per message, by workload."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="the commit before; by default where the branch left main")
    parser.add_argument("--head", help="the commit after; by default the working tree")
    parser.add_argument("--limit", type=float, default=1.03, help="the ratio after/before that is allowed")
    parser.add_argument("--workloads", default=",".join(ROUNDS), help=f"some of {', '.join(ROUNDS)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="programs at a time")
    parser.add_argument("--repository", type=Path, default=ROOT, help="a clone to compare commits of, this by default")
    parser.add_argument("--cache", type=Path, default=ROOT / ".bench-guard", help="where builds and counts are kept")
    options = parser.parse_args()
    options.workloads = options.workloads.split(",")
    unknown = set(options.workloads) - set(ROUNDS)
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; there are {', '.join(ROUNDS)}")
    return options


class Guard:
    """Builds and counts, and remembers both.

    Args:
        counter: what counts.
        workloads: which.
        cache: where to remember.
        jobs: programs that run at a time.
    """

    def __init__(self, counter: Counter, workloads: list[str], cache: Path, jobs: int) -> None:
        self.counter = counter
        self.workloads = workloads
        self.cache = cache
        self.jobs = jobs
        programs = (HERE.joinpath(name).read_text() for name in ("workloads.py", "far_end.py", "counting.py"))
        self.measure = digest(counter.name, *programs)  # counts of another measure aren't comparable

    def counts(self, repository: Repository, tree: Tree, *, anew: bool = False) -> Counts:
        """Instructions per message for each workload of this tree's build."""
        place = build(repository, tree, self.cache)
        folder = place / "counts" / self.measure
        folder.mkdir(parents=True, exist_ok=True)
        known = {} if anew else {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
        missing = [workload for workload in self.workloads if workload not in known]
        if missing:
            print(f"counting {', '.join(missing)} of {tree.label}", file=sys.stderr)

        def one(workload: str) -> float:
            return count(self.counter, place / "bin" / "python", workload, folder)

        with ThreadPoolExecutor(self.jobs) as pool:
            for workload, counted in zip(missing, pool.map(one, missing), strict=True):
                known[workload] = counted
                self._remember(folder / f"{workload}.json", counted)
        return {workload: known[workload] for workload in self.workloads}

    @staticmethod
    def _remember(path: Path, counted: float) -> None:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump(counted, file)
        os.replace(file.name, path)


def verdict(before: Counts, after: Counts, limit: float) -> tuple[str, list[str]]:
    """The table, and the workloads over the limit."""
    lines = [f"{'instructions per message':26}{'before':>10}{'after':>10}{'ratio':>9}"]
    over = []
    for workload, count_before in before.items():
        ratio = after[workload] / count_before
        lines.append(f"{workload:26}{count_before:10.0f}{after[workload]:10.0f}{ratio:9.4f}")
        if ratio > limit:
            over.append(workload)
            lines[-1] += f"  over {limit:g}"
    return "\n".join(lines), over


def main() -> int:
    options = arguments()
    repository = Repository(options.repository.absolute())
    guard = Guard(find_counter(), options.workloads, options.cache.absolute(), options.jobs)
    base = repository.commit(options.base or repository.base())
    head = repository.commit(options.head) if options.head else repository.working_tree()
    before = guard.counts(repository, base)
    after = guard.counts(repository, head, anew=base.key == head.key)
    table, over = verdict(before, after, options.limit)
    print(f"before: {base.label}\nafter:  {head.label}\n\n{table}\n")
    if base.key == head.key:
        print("Both have the same build: the ratios show how far two counts of one build differ.")
    if over:
        folder = options.cache / head.key / "counts" / guard.measure
        print(f"Over the limit: {', '.join(over)}. Profiles: callgrind_annotate {folder}/WORKLOAD-*.out")
    return 1 if over else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GuardError as error:
        print(f"bench-guard: {error}", file=sys.stderr)
        sys.exit(2)
