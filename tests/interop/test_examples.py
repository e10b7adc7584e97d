"""The examples for the modern API, as users run them, against each broker over plain TCP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from uamqp.brokers import rabbitmq
from uamqp.sync import connect

from .brokerfacts import RealBroker
from .conftest import missing

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def url_of(broker: RealBroker) -> str:
    return f"amqp://{broker.user}:{broker.password}@{broker.host}:{broker.port}"


def command(name: str, broker: RealBroker, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), url_of(broker), *map(str, arguments)]


def run(name: str, broker: RealBroker, *arguments: str | Path) -> str:
    done = subprocess.run(command(name, broker, *arguments), capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def take_all(broker: RealBroker, queue: str) -> list[Any]:
    """What is in a queue, which is empty then."""
    with connect(url_of(broker)) as connection, connection.open_receiver(broker.address(queue)) as receiver:
        found: list[Any] = []
        while batch := receiver.receive_many(100, timeout=1.0):
            found += [message.json() for message in batch]
            receiver.accept(batch)
        return found


def test_a_file_is_loaded_and_worked_off(broker: RealBroker, queue: str, tmp_path: Path) -> None:
    file, pipe = tmp_path / "orders.csv", tmp_path / "handled"
    file.write_text("id,customer\n" + "".join(f"{number},c-{number}\n" for number in range(100)))
    assert run("load_csv", broker, broker.address(queue), file) == "100 rows were accepted, 0 were not\n"

    os.mkfifo(pipe)
    handled = os.open(pipe, os.O_RDWR)
    work = command("worker", broker, broker.address(queue), "--tasks", "5", "--", "sh", "-c", 'cat >>"$0"', pipe)
    with subprocess.Popen(work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        seen = b""
        while seen.count(b"}") < 100:
            seen += os.read(handled, 65536)
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=60)
    os.close(handled)
    assert (process.returncode, output) == (0, "100 messages accepted\n"), log
    assert sorted(map(int, re.findall(rb'"id":"(\d+)"', seen))) == list(range(100))
    assert take_all(broker, queue) == []


def subscribers(output: str) -> list[str]:
    """What each subscriber of fan_out.py has received; it tells the same of what is the same."""
    published, *told = output.splitlines()
    assert published.startswith("50 prices published, ")
    assert len({line.partition(": ")[2] for line in told}) == 1
    return [line.partition(";")[0] for line in told]


@pytest.mark.brokers("topics")
def test_each_subscriber_of_a_topic_gets_all(broker: RealBroker) -> None:
    output = run("fan_out", broker, broker.topic(f"test-{uuid.uuid4().hex[:12]}"), "--count", "50")
    assert subscribers(output) == [f"subscriber {number}: 50 prices" for number in (1, 2, 3)]


@pytest.mark.brokers("not topics")
def test_each_queue_of_an_exchange_gets_all(broker: RealBroker, proton: None) -> None:
    from .protonclient import declare, manage

    names = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(3)]
    key, *queues = names
    for name in queues:
        declare(broker, name)
        binding = {"source": "amq.topic", "destination_queue": name, "binding_key": key, "arguments": {}}
        assert manage(broker, "POST", "/bindings", binding).subject == "204"
    addresses = [rabbitmq.exchange("amq.topic", key), *(broker.address(name) for name in queues)]
    output = run("fan_out", broker, *addresses, "--count", "50")
    assert subscribers(output) == ["subscriber 1: 50 prices", "subscriber 2: 50 prices"]


def test_a_web_application_sends(broker: RealBroker, queue: str, request: pytest.FixtureRequest) -> None:
    try:
        from fastapi.testclient import TestClient

        from examples.web import make_app
    except ModuleNotFoundError as error:
        missing(request.config, f"{error.name} is not installed; pip install -e '.[examples]'")
    orders = [{"customer": f"c-{number}", "amount": number + 0.5} for number in range(5)]
    with TestClient(make_app(url_of(broker), broker.address(queue))) as client:
        assert client.get("/health").status_code == 200
        for order in orders:
            assert client.post("/orders", json=order).status_code == 201
    assert take_all(broker, queue) == orders
