"""The example, as a user runs it, against each broker over TCP and TLS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .brokerfacts import RealBroker

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "send_and_receive.py"


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_over_tcp(broker: RealBroker, queue: str) -> None:
    output = run(broker.url(queue), "--count", "300")
    assert "sent      300 messages: 300 SendComplete" in output
    assert "received  330 deliveries" in output


def test_over_tls(broker: RealBroker, queue: str, ca: Path) -> None:
    url = f"amqps://{broker.user}:{broker.password}@{broker.host}:{broker.tls_port}/{broker.address(queue)}"
    assert "received  330 deliveries" in run(url, "--ca", str(ca), "--count", "300")
