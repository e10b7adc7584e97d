"""What README.md and docs/guide show runs, in both worlds, on the embedded broker."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peer.certs import Certificates
from tests.support.snippets import Brokers, World, run, snippets

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *sorted(f"docs/guide/{path.name}" for path in (ROOT / "docs" / "guide").glob("*.md"))]
OTHERS = {f"docs/guide/coming-from-{name}.md" for name in ("rabbitmq", "proton", "azure")}
"""The chapters about other clients, whose code can't be run here."""


@pytest.mark.parametrize("world", ["aio", "sync"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_snippets_run(
    document: str, world: World, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)
    for name, path in {"ca.pem": certificates.ca, "client.pem": certificates.client.both}.items():
        (tmp_path / name).write_bytes(Path(path).read_bytes())
    with ExitStack() as stack:
        run(snippets(ROOT, document), world, Brokers(certificates, stack))


def test_only_the_code_of_other_clients_is_not_run() -> None:
    blocks = [block for document in DOCUMENTS for block in snippets(ROOT, document)]
    assert {block.document for block in blocks if "no-run" in block.words} == OTHERS


def test_every_mark_of_a_snippet_means_something() -> None:
    known = {"aio", "sync", "no-run", "later"}
    for document in DOCUMENTS:
        for block in snippets(ROOT, document):
            assert set(block.words) <= known, f"{document}:{block.line}"


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "guide" / "README.md").read_text("utf-8")
    pages = [path.name for path in (ROOT / "docs" / "guide").glob("*.md") if path.name != "README.md"]
    assert [name for name in pages if f"]({name})" not in index] == []
