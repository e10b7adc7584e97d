"""The examples, as a user runs them, against each broker over TCP and TLS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .brokerfacts import RealBroker

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def host(broker: RealBroker, *, tls: bool) -> str:
    scheme, port = ("amqps", broker.tls_port) if tls else ("amqp", broker.port)
    return f"{scheme}://{broker.user}:{broker.password}@{broker.host}:{port}"


def test_over_tcp(broker: RealBroker, queue: str) -> None:
    output = run("send_and_receive.py", host(broker, tls=False), broker.address(queue), "--count", "300")
    assert "sent      300 of 300 messages accepted" in output
    assert "received  330 deliveries" in output


def test_over_tls(broker: RealBroker, queue: str, ca: Path) -> None:
    arguments = [host(broker, tls=True), broker.address(queue), "--ca", str(ca), "--count", "300"]
    assert "received  330 deliveries" in run("send_and_receive.py", *arguments)


def test_the_classic_api_over_tcp(broker: RealBroker, queue: str) -> None:
    output = run("classic_send_and_receive.py", broker.url(queue), "--count", "300")
    assert "sent      300 messages: 300 SendComplete" in output
    assert "received  330 deliveries" in output


def test_the_classic_api_over_tls(broker: RealBroker, queue: str, ca: Path) -> None:
    url = f"{host(broker, tls=True)}/{broker.address(queue)}"
    assert "received  330 deliveries" in run("classic_send_and_receive.py", url, "--ca", str(ca), "--count", "300")
