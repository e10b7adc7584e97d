"""What of the engine is public: docs/engine.md names all of it, and nothing else; its example and its code run."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from uamqp import codec, engine
from uamqp.testing import Broker

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "engine.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "engine_over_sockets.py"
LISTED = (
    engine.Engine,
    engine.Session,
    engine.Link,
    engine.Sender,
    engine.Receiver,
    engine.IncomingDelivery,
    engine.OutgoingDelivery,
)


def documented(kind: type[object]) -> list[str]:
    """The names in the first column of the table below the heading of a class."""
    section = PAGE.split(f"\n### {kind.__name__}\n", 1)[1].split("\n### ", 1)[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def public(kind: type[object]) -> set[str]:
    """The names of a class that don't begin with an underscore, without those of its base."""
    inherited = set(dir(kind.__base__))
    return {name for name in dir(kind) if not name.startswith("_") and (name == "context" or name not in inherited)}


@pytest.mark.parametrize("kind", LISTED)
def test_the_page_lists_every_public_name_once(kind: type[object]) -> None:
    listed = documented(kind)
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == public(kind) - (
        {"context"} if issubclass(kind, engine.Link) and kind is not engine.Link else set()
    )


@pytest.mark.parametrize("kind", LISTED)
def test_every_command_says_what_it_does(kind: type[object]) -> None:
    undocumented = [
        name for name in public(kind) if callable(getattr(kind, name)) and not inspect.getdoc(getattr(kind, name))
    ]
    assert undocumented == []


def test_the_names_of_the_text_exist() -> None:
    for owner, name in re.findall(
        r"`(Engine|Session|Link|Sender|Receiver|IncomingDelivery|OutgoingDelivery)\.(\w+)`", PAGE
    ):
        assert hasattr(getattr(engine, owner), name), f"{owner}.{name}"
    for name in re.findall(r"`([A-Z]\w*(?:Opened|Opening|Closed|Ended|Detached|Changed|Init|Response))`", PAGE):
        assert hasattr(engine.events, name), name


def test_the_page_lists_every_event_with_what_it_carries() -> None:
    section = PAGE.split("\n### Events\n", 1)[1].split("\n### ", 1)[0]
    listed: dict[str, list[str]] = {}
    for row in re.findall(r"^\| (`.*?) \| (.*) \|$", section, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", row[0]):
            listed[name] = re.findall(r"`(\w+)`", row[1])
    kinds = [kind for kind in vars(engine.events).values() if dataclasses.is_dataclass(kind)]
    assert listed == {
        kind.__name__: [field.name for field in dataclasses.fields(kind)]
        for kind in kinds
        if isinstance(kind, type) and kind.__module__ == engine.events.__name__
    }


def names_of_the_page() -> dict[str, Any]:
    """What its code defines, one block after the other."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/engine.md", "exec"), names)
    return names


def test_the_client_and_the_server_of_the_page_talk_to_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    names = names_of_the_page()
    client, server = names["engine"], names["server"]
    both = ((client, names["handle"], server), (server, names["answer"], client))
    seen = [set[str](), set[str]()]
    busy = True
    while busy:
        busy = False
        for (subject, handler, other), kinds in zip(both, seen, strict=True):
            for event in subject.events():
                busy = True
                kinds.add(type(event).__name__)
                handler(event)
            while buffers := subject.data_to_send():
                busy = True
                other.receive_data(b"".join(buffers), time.monotonic())
    assert capsys.readouterr().out.splitlines() == ["sent Accepted()", "received b'hello, client'"]
    assert (client.cause, client.is_closed, server.is_closed) == (None, True, True)
    assert {"SaslInit", "IncomingDelivery", "OutgoingDelivery", "ConnectionClosed"} <= seen[1]


def test_the_code_of_the_page_drives_a_connection_to_its_end() -> None:
    """Its blocks, one after the other, against the embedded broker."""
    names = names_of_the_page()
    opened: list[str] = []

    def handle(event: object) -> None:
        opened.append(type(event).__name__)
        subject = names["engine"]
        assert isinstance(subject, engine.Engine)
        if isinstance(event, engine.events.ConnectionOpened):
            subject.begin(time.monotonic())
        elif isinstance(event, engine.events.SessionOpened | engine.events.SessionEnded):
            subject.close(time.monotonic())

    program = compile("drive(engine, sock, handle)", "test", "exec")
    with Broker() as broker:
        with socket.create_connection((broker.host, broker.port), timeout=10) as sock:
            exec(program, {**names, "sock": sock, "handle": handle})
    assert opened == ["ConnectionOpened", "SessionOpened", "SessionEnded", "ConnectionClosed"]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_example_sends_a_message_and_receives_it() -> None:
    assert run() == "sent      Accepted()\nreceived  b'hello'\n"


def test_the_example_on_a_broker_that_runs() -> None:
    with Broker() as broker:
        assert run(broker.host, str(broker.port), "queue") == "sent      Accepted()\nreceived  b'hello'\n"
        assert broker.queue("queue").depth == 0


def test_the_example_says_what_goes_wrong() -> None:
    with Broker() as broker, socket.create_server(("127.0.0.1", 0)) as listener:
        broker.hooks.on_attach = lambda _: codec.Error(codec.Symbol("amqp:unauthorized-access"), "not you")
        port = listener.getsockname()[1]
        listener.close()
        for where, text in ((broker.port, "not you"), (port, "refused")):
            done = subprocess.run(
                [sys.executable, "-W", "error", EXAMPLE, "127.0.0.1", str(where), "queue"],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith(f"127.0.0.1:{where}: ")
            assert text in done.stderr


@pytest.mark.parametrize("arguments", [["localhost", "5999"], ["localhost", "port", "queue"], ["--help"]])
def test_the_example_says_how_it_is_called(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "HOST PORT ADDRESS" in done.stderr


def test_the_example_is_short() -> None:
    assert len([line for line in EXAMPLE.read_text("utf-8").splitlines() if line.strip()]) <= 60


def test_the_example_takes_nothing_of_ours_but_the_engine_and_the_codec() -> None:
    """And the embedded broker, to talk to."""
    tree = ast.parse(EXAMPLE.read_text("utf-8"))
    taken = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "uamqp" in str(node.module)}
    assert taken == {"uamqp.codec", "uamqp.engine", "uamqp.engine.events", "uamqp.testing"}
