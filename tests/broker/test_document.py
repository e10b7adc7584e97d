"""docs/broker.md names every knob and setting that there is, and none that there isn't; its examples run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from uamqp.testing import (
    AttachAnswer,
    AttachRequest,
    Broker,
    Hooks,
    ServiceRequest,
    ServiceResponse,
    Settlement,
    Tokens,
)
from uamqp.testing.faults import SILENT, Faults

DOCUMENT = (Path(__file__).parents[2] / "docs" / "broker.md").read_text(encoding="utf-8")
START, _, REST = re.split("^(?=## Testing your program|## Starting, stopping)", DOCUMENT, flags=re.MULTILINE)
CODE = re.findall(r"```python\n(.*?)```", START + REST, re.DOTALL)  # test_pytest_plugin.py runs the others


def test_every_knob_is_named() -> None:
    knobs = [name for name in Faults.__slots__ if not name.startswith("_")]
    faults = DOCUMENT[DOCUMENT.index("## Faults") : DOCUMENT.index("## How it is built")]
    table = "".join(line.split("|")[1] for line in faults.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)", table)) - {"sasl"} == set(knobs)
    assert Faults.__doc__ is not None
    for name in knobs:
        assert re.search(rf"\b{name}\b", Faults.__doc__), name
    assert {"sasl", "heartbeat", "header", "detach", "close"} <= SILENT


def test_every_setting_is_in_the_docstring() -> None:
    text = inspect.getdoc(Broker)
    assert text is not None
    for name in inspect.signature(Broker).parameters:
        assert re.search(rf"^    .*\b{name}\b.*: ", text, re.MULTILINE), name


def test_the_settings_that_are_named_exist() -> None:
    settings = DOCUMENT[DOCUMENT.index("| setting |") : DOCUMENT.index("SASL EXTERNAL is offered")]
    named = {
        name
        for line in settings.splitlines()[2:]
        for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }
    assert named <= set(inspect.signature(Broker).parameters)


@pytest.mark.parametrize(
    "kind", [AttachAnswer, AttachRequest, Hooks, ServiceRequest, ServiceResponse, Settlement, Tokens]
)
def test_what_a_double_of_a_service_uses_is_named(kind: Any) -> None:
    chapter = DOCUMENT[DOCUMENT.index("## Standing in") : DOCUMENT.index("## Inspecting and helping")]
    for name in kind.__slots__:
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", chapter), name
        assert re.search(rf"^    .*\b{name}\b.*: ", inspect.getdoc(kind) or "", re.MULTILINE), name


@pytest.mark.parametrize("index", range(len(CODE)))
def test_the_examples_run(index: int) -> None:
    with Broker() as broker:
        data = b"\x00\x53\x75\xa0\x05hello"
        if "wait_for" in CODE[index]:
            for _ in range(2):
                broker.put("q", data)
            code = CODE[index].replace("queue.purge()\n", "")
        else:
            code = CODE[index]
        names: dict[str, Any] = {"broker": broker, "message": data}
        exec(compile(code, "docs/broker.md", "exec"), names)
        if "test_greeting" in names:
            names["greet"] = lambda url: None
            with pytest.raises(ValueError, match="not enough values"):
                names["test_greeting"]()
