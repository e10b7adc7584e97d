"""The language of docstrings, comments and documents, as far as ruff's rules don't hold it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "uamqp"
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{name}.md" for name in ("broker", "classic", "design", "engine")),
    *sorted(f"docs/guide/{path.name}" for path in (ROOT / "docs" / "guide").glob("*.md")),
)

UNIDIOMATIC = {
    r"\bfor ever\b": "forever",
    r"\bin so many words\b": "explicitly",
    r"\bin the same breath\b": "at the same moment",
    r"\bso many (seconds|bytes|messages|frames)\b": "a number of",
    r"\ban ulong\b": "a ulong",
    r"\bbut for\b": "except for",
    r"\btime and again\b": "again and again",
    r"[:;(] ?None: ": "None for",
}
"""Phrases that a native speaker wouldn't use, and what they mean."""

FORMS = {
    r"^\s*Fields:$": "Attributes:",
    r"^Who [a-z]+s ": "whoever",
    r"^Have (the|a|an|it|what|its|this)\b": "the verb itself",
    r"^Tell whether\b": "Return whether",
    r"\bImports? (nothing|no|only|the|`|of)": "tests/test_layers.py, which reads the imports",
}
"""What docstrings don't have, and what they have instead."""

COMMENTS = {
    r"^#: ": "a string below the constant",
    r"^# -- .* --$": "no rule at the end",
    r"^# noqa: [A-Z0-9, ]+ - ": "(why)",
}
"""What comments don't have, and what they have instead."""


def docstrings(source: str) -> Iterator[str]:
    """Yield the docstrings of a module, and the strings below its constants."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def comments(source: str) -> Iterator[str]:
    """Yield the comments of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def faults(text: str, *tables: dict[str, str]) -> list[str]:
    """Return what is found in a text, each with what to write instead."""
    return [
        f"{found.group()!r}: {instead}"
        for table in tables
        for pattern, instead in table.items()
        for found in re.finditer(pattern, text, re.MULTILINE)
    ]


def faults_of(source: str) -> list[str]:
    return [
        *(fault for text in docstrings(source) for fault in faults(text, UNIDIOMATIC, FORMS)),
        *(fault for text in comments(source) for fault in faults(text, UNIDIOMATIC, COMMENTS)),
    ]


@pytest.mark.parametrize(
    "path",
    sorted(SOURCES.rglob("*.py")),
    ids=lambda path: path.relative_to(SOURCES).as_posix(),
)
def test_docstrings_and_comments_are_in_plain_english(path: Path) -> None:
    assert faults_of(path.read_text("utf-8")) == []


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/migration.md"])
def test_documents_are_in_plain_english(document: str) -> None:
    assert faults((ROOT / document).read_text("utf-8"), UNIDIOMATIC) == []


def test_what_jars_is_found() -> None:
    source = '''
        #: Seconds.
        A = 1  # noqa: E501 - long
        # -- work --
        def f():
            """Have the engine wait for ever.

            Fields:
                b: how long; None: any time.
            """
    '''
    assert len(faults_of(re.sub("^        ", "", source, flags=re.MULTILINE))) == 7
