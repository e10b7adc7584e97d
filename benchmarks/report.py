"""The results as text, as a page, and as pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .groups import COMPILED, GROUPS, Group

# group -> work -> x as text ("" where there is none) -> contender -> median
Results = dict[str, dict[str, dict[str, dict[str, float]]]]


def shown(value: float) -> str:
    """A figure with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rows(group: Group, works: dict[str, dict[str, dict[str, float]]]) -> Iterable[list[str]]:
    """The table of a group: a head, then a row for each work and place."""
    contenders = list(dict.fromkeys(name for places in works.values() for by in places.values() for name in by))
    yield ["work", *([group.axis] if group.axis else []), *contenders]
    for work, places in works.items():
        for x, by_contender in places.items():
            place = [shown(float(x))] if group.axis else []
            yield [work, *place, *(shown(by_contender[name]) if name in by_contender else "-" for name in contenders)]


def table(group: Group, works: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows(group, works)]
    lines.insert(1, "|" + "---|" * (lines[0].count("|") - 1))
    return "\n".join(lines)


def ratios(works: dict[str, dict[str, dict[str, float]]]) -> str:
    """How many times the others the compiled build is, for each work."""
    lines = []
    for work, places in works.items():
        for by_contender in places.values():
            mine = by_contender.get(COMPILED)
            if mine is not None and len(by_contender) > 1:
                parts = [f"{mine / value:.2f} x {name}" for name, value in by_contender.items() if name != COMPILED]
                lines.append(f"* {work}: the compiled build is {', '.join(parts)}")
    return "\n".join(lines)


def page(facts: dict[str, Any], settings: dict[str, str], results: Results) -> str:
    """The page of docs/benchmarks."""
    text = [
        "# Benchmarks",
        "",
        "Measured by `make bench`, all contenders in turn in one run; the figures are medians. Machines are noisy:"
        " what counts are the ratios within this page.",
        "",
        *(f"* {name}: {value}" for name, value in facts.items()),
        "",
    ]
    for group in GROUPS:
        works = results.get(group.name)
        if not works:
            continue
        unit = f" ({group.unit})" if group.unit else ""
        text += [f"## {group.title}{unit}", "", f"`--groups {group.name} {settings[group.name]}`", ""]
        text += [table(group, works), ""]
        if group.name in ("codec", "messages"):
            text += [ratios(works), ""]
        text += [f"![{group.title}]({group.name}.svg)", ""]
    return "\n".join(text)


def draw(group: Group, works: dict[str, dict[str, dict[str, float]]], file: Path) -> None:
    """A picture of a group: bars, or lines where there is an axis."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "uamqp"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    if group.axis:
        for work, places in works.items():
            for name in dict.fromkeys(name for by in places.values() for name in by):
                points = [(float(x), by[name]) for x, by in places.items() if name in by]
                axes.plot(*zip(*points, strict=True), marker="o", label=f"{work}: {name}")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(group.axis)
        axes.set_ylabel(group.unit)
    else:
        contenders = list(dict.fromkeys(name for places in works.values() for by in places.values() for name in by))
        height = 0.8 / len(contenders)
        for index, name in enumerate(contenders):
            values = [next(iter(places.values())).get(name, 0.0) for places in works.values()]
            at = [number + index * height for number in range(len(works))]
            bars = axes.barh(at, values, height, label=name)
            axes.bar_label(bars, [shown(value) if value else "" for value in values], padding=2, fontsize=7)
        axes.set_yticks([number + 0.4 - height / 2 for number in range(len(works))], list(works))
        axes.invert_yaxis()
        axes.set_xlabel(group.unit)
        axes.margins(x=0.12)
    axes.set_title(group.title)
    axes.legend(fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def write(folder: Path, facts: dict[str, Any], settings: dict[str, str], results: Results) -> None:
    """Write page, figures and pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"facts": facts, "settings": settings, "results": results}
    (folder / "results.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "README.md").write_text(page(facts, settings, results))
    for group in GROUPS:
        if results.get(group.name):
            draw(group, results[group.name], folder / f"{group.name}.svg")
