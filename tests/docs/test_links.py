"""Links within the documents lead to a heading that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(document: Path) -> set[str]:
    """What links can name after '#': headings in lower case, without punctuation, with dashes for spaces."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_headings(document: Path) -> None:
    wrong = []
    for path, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", document.read_text("utf-8")):
        if anchor not in anchors(document.parent / path if path else document):
            wrong.append(f"{path}#{anchor}")
    assert wrong == []
