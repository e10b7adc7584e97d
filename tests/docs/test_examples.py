"""The examples run, as a user runs them, on the embedded broker, and say what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["send_and_receive.py", "classic_send_and_receive.py"])
def test_the_demo_runs(name: str) -> None:
    done = run(name, "--count", "100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "received  110 deliveries" in done.stdout
    assert "left      0 messages" in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("send_and_receive.py", ["amqp://user:secret@127.0.0.1:1", "q"], "refused"),
        ("send_and_receive.py", ["amqp://user:secret@127.0.0.1:x", "q"], "port"),
        ("send_and_receive.py", ["amqp://user:secret@127.0.0.1/q"], "path"),
        ("send_and_receive.py", ["amqps://user:secret@127.0.0.1", "q", "--ca", "missing"], "missing"),
        ("classic_send_and_receive.py", ["amqp://user:secret@127.0.0.1:1/q"], "refused"),
        ("classic_send_and_receive.py", ["amqp://user:secret@127.0.0.1:x/q"], "port"),
        ("classic_send_and_receive.py", ["amqps://user:secret@127.0.0.1/q", "--ca", "missing"], "missing"),
    ],
)
def test_an_example_says_in_one_line_what_goes_wrong(name: str, arguments: list[str], reason: str) -> None:
    done = run(name, *arguments)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert reason in done.stderr
    assert "secret" not in done.stderr
