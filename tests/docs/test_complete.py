"""The guide names all that there is to use."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from uamqp import aio, sync
from uamqp.messaging import Delivery, Message, ReceiverOptions, SenderOptions, Settlement, Timeouts

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PAGES = {path.stem: path.read_text("utf-8") for path in GUIDE.glob("*.md")}
ALL = "\n".join(PAGES.values())


def code(text: str) -> str:
    """What is set as code, in lines and in blocks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def missing(names: set[str], text: str) -> set[str]:
    found = set(re.findall(r"\w+", code(text)))
    return names - found


def test_connect_has_its_arguments_in_its_page() -> None:
    names = set(inspect.signature(aio.connect).parameters) | set(inspect.signature(sync.connect).parameters)
    assert missing(names, PAGES["connect"] + PAGES["threads-and-tasks"]) == set()


@pytest.mark.parametrize(("options", "pages"), [(SenderOptions, ["send"]), (ReceiverOptions, ["receive", "settle"])])
def test_every_option_of_a_link_is_in_its_page(options: type, pages: list[str]) -> None:
    assert missing(set(options.__annotations__), "\n".join(PAGES[name] for name in pages)) == set()


def test_every_time_out_is_in_the_page_about_them() -> None:
    assert missing({field.name for field in dataclasses.fields(Timeouts)}, PAGES["timeouts"]) == set()


@pytest.mark.parametrize(
    "kind",
    [aio.Connection, aio.Session, aio.Sender, aio.Receiver, Delivery, Settlement, Message],
    ids=lambda kind: kind.__name__,
)
def test_every_public_name_of_a_class_is_in_the_guide(kind: type) -> None:
    names = {name for name in dir(kind) if not name.startswith("_")}
    names -= {"on_connection_opened", "on_connection_closed", "on_attach", "on_link_state"}  # the core calls them
    names -= {"confirm", "lose", "lost", "is_lost"}  # the receiver's queue does
    assert missing(names, ALL) == set()
