"""Fresh environments, and a program that runs in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DIST = ROOT / "dist"
LIMIT = 600.0

# A message there and back over the embedded broker, from outside of the sources.
PROGRAM = """
import sys, uamqp
from uamqp import Message, ReceiveClient, SendClient
from uamqp.testing import Broker

with Broker() as broker:
    with SendClient(broker.url + "/q") as sender:
        sender.send_message([Message(str(number)) for number in range(100)])
    with ReceiveClient(broker.url + "/q", timeout=60_000) as receiver:
        messages = receiver.receive_messages_iter()
        assert [str(next(messages)) for _ in range(100)] == [str(number) for number in range(100)]
print(uamqp.codec.COMPILED, uamqp.__version__)
"""


def the_one(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"`make dist` makes one {pattern}, there are {[path.name for path in found]}"
    return found[0]


def run(command: list[str | Path], folder: Path, *, check: bool = True, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_CYTHON")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert not check or done.returncode == 0, done.stdout
    return f"{done.stdout}\nexit status {done.returncode}"


def fresh(folder: Path) -> Path:
    run([sys.executable, "-m", "venv", folder / "venv"], folder)
    return folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
