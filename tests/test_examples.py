"""The examples for the modern API, as users run them, on the embedded broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from uamqp.codec import Modified, Rejected
from uamqp.messaging import Message
from uamqp.testing import Broker, error

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ROOT = Path(__file__).parent.parent
EXAMPLES = ("fan_out", "load_csv", "web", "worker")

needs_posix = pytest.mark.skipif(os.name == "nt", reason="it has signals, a shell, pipes with names and terminals")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


def command(name: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *map(str, arguments)]


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(name, *arguments), capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_is_the_documentation(name: str) -> None:
    source = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
    assert len(source.splitlines()) < 120
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert source.split('"""')[1].strip() in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [("fan_out", ["topic://t"], 1), ("load_csv", ["q", __file__], 2), ("worker", ["q", "--", "true"], 1)],
)
def test_a_broker_that_is_not_there(name: str, arguments: list[str], status: int) -> None:
    done = run(name, "amqp://user:secret@127.0.0.1:1", *arguments)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr
    assert "secret" not in done.stderr + done.stdout


# -- worker.py


@needs_posix
def test_a_worker_that_is_terminated_ends_what_it_has_begun(broker: Broker, tmp_path: Path) -> None:
    started, gate = tmp_path / "started", tmp_path / "gate"
    for pipe in (started, gate):
        os.mkfifo(pipe)
    starts, opener = os.open(started, os.O_RDWR), os.open(gate, os.O_RDWR)
    queue = broker.queue("q")
    for number in range(30):
        broker.put("q", Message(f"{number}").encode())
    script = 'cat >/dev/null; echo >"$0"; read line <"$1"'
    work = command("worker", broker.url, "q", "--", "sh", "-c", script, started, gate)
    with subprocess.Popen(work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(10):
            assert os.read(starts, 1) == b"\n"
        process.send_signal(signal.SIGTERM)
        broker.wait_for(lambda: queue.depth == 20)  # what the worker had fetched and not begun is back
        assert (queue.unsettled, queue.counters.accepted) == (10, 0)
        os.write(opener, b"\n" * 10)
        output, log = process.communicate(timeout=100)
    for descriptor in (starts, opener):
        os.close(descriptor)
    assert (process.returncode, output) == (0, "10 messages accepted\n"), log
    assert "stopping: 10 messages are in work" in log
    assert (queue.depth, queue.counters.accepted, queue.counters.modified) == (20, 10, 0)
    assert {view.delivery_count for view in queue.messages} == {0}


@needs_posix
def test_a_worker_settles_by_exit_status(tmp_path: Path) -> None:
    with Broker(max_deliveries=2) as broker:
        for body in ("0", b"0", "75", "1", {"not": "text"}):
            broker.put("q", Message(body, message_id=f"with {body!r}").encode())
        work = command("worker", broker.url, "q", "--tasks", "2", "--", "sh", "-c", 'read status; exit "$status"')
        with subprocess.Popen(work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            broker.wait_for(lambda: broker.dead_letters("q").depth == 3)
            broker.wait_for(lambda: broker.queue("q").counters.accepted == 2)
            process.send_signal(signal.SIGTERM)
            output, log = process.communicate(timeout=100)
    counters = broker.queue("q").counters
    assert (counters.rejected, counters.modified) == (2, 2)
    assert (process.returncode, output) == (0, "2 messages accepted\n")
    assert "given back: with '75', which has failed 1 times before" in log
    assert "rejected: with '1': exit status 1" in log
    assert "rejected: with {'not': 'text'}: the body isn't text" in log


# -- load_csv.py


def test_a_file_is_loaded(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("id,name\n" + "".join(f'{number},"a ""name"", ü"\n' for number in range(500)), "utf-8")
    done = run("load_csv", broker.url, "q", file, "--window", "50", "--id", "id")
    assert (done.returncode, done.stdout, done.stderr) == (0, "500 rows were accepted, 0 were not\n", "")
    messages = [Message.decode(view.payload) for view in broker.queue("q").messages]
    assert [message.json() for message in messages] == [{"id": str(n), "name": 'a "name", ü'} for n in range(500)]
    last = messages[-1]
    assert (last.message_id, last.application_properties) == ("499", {"row": 500})
    assert (last.content_type, last.durable) == ("application/json", True)


def test_rows_that_fail_are_named(broker: Broker, tmp_path: Path) -> None:
    bad = Rejected(error("app:bad", "not like this"))
    broker.faults.outcome = lambda address, payload: bad if b'"bad"' in payload else None
    file = tmp_path / "orders.csv"
    file.write_text('id,name\n1,good\n2,bad\n3\n4,good,or not\n5,good\n6,"good"x\n7,never read\n')
    done = run("load_csv", broker.url, "q", file)
    assert (done.returncode, done.stdout) == (1, "2 rows were accepted, 4 were not\n")
    short, long, rest, refused = done.stderr.splitlines()
    assert (short[:7], long[:7]) == ("row 3: ", "row 4: ")
    assert rest.startswith("line 7, and all that follows: ")
    assert refused == "row 2: the peer rejected the message: not like this (app:bad)"
    assert [json.loads(view.body)["id"] for view in broker.queue("q").messages] == ["1", "5"]


def test_a_column_that_is_not_there(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("id,name\n1,good\n")
    done = run("load_csv", broker.url, "q", file, "--id", "number")
    assert (done.returncode, broker.queue("q").depth) == (1, 0)
    assert done.stderr == "there is no column 'number': the columns are ['id', 'name']\n"
    missing = run("load_csv", broker.url, "q", tmp_path / "none.csv")
    assert (missing.returncode, len(missing.stderr.splitlines())) == (2, 1)


@needs_posix
def test_progress_is_shown_on_a_terminal(broker: Broker, tmp_path: Path) -> None:
    import pty

    file = tmp_path / "orders.csv"
    file.write_text("id\n1\n2\n3\n")
    ours, terminal = pty.openpty()
    done = subprocess.run(command("load_csv", broker.url, "q", file), stderr=terminal, timeout=100, check=True)
    shown = os.read(ours, 10_000).decode()
    for descriptor in (ours, terminal):
        os.close(descriptor)
    assert done.returncode == 0
    assert f"\r[{'#' * 40}] 100% 3 rows, " in shown


# -- fan_out.py


def test_each_subscriber_gets_all(broker: Broker) -> None:
    done = run("fan_out", broker.url, "topic://prices", "--count", "200")
    assert (done.returncode, done.stderr) == (0, "")
    published, *told = done.stdout.splitlines()
    assert published.startswith("200 prices published, ")
    assert [line.partition(";")[0] for line in told] == [f"subscriber {number}: 200 prices" for number in (1, 2, 3)]
    assert len({line.partition(";")[2] for line in told}) == 1  # the same ones


def test_subscribers_with_queues_of_their_own(broker: Broker) -> None:
    copies = ("a", "b")
    broker.hooks.on_store = lambda name, message: [(copy, message) for copy in copies] if name == "prices" else None
    done = run("fan_out", broker.url, "prices", *copies, "--count", "20")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(";")[0] for line in done.stdout.splitlines()[1:]] == [
        f"subscriber {number}: 20 prices" for number in (1, 2)
    ]
    assert [broker.queue(name).depth for name in copies] == [0, 0]


def test_a_subscriber_that_gets_nothing(broker: Broker) -> None:
    done = run("fan_out", broker.url, "prices", "other", "--timeout", "0.1")
    assert done.returncode == 1
    assert done.stderr == "a subscriber has missed something: no message came within 0.1 seconds\n"


# -- web.py


@pytest.fixture
def client(broker: Broker, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """The test client of the application, which runs."""
    try:
        from fastapi.testclient import TestClient

        from examples.web import make_app
    except ModuleNotFoundError as missing:
        said = f"{missing.name} is not installed; pip install -e '.[examples]'"
        if request.config.getoption("--require-brokers"):
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    with TestClient(make_app(broker.url, "orders")) as running:
        yield running


ORDER = {"customer": "c-7", "amount": 12.5}


def test_an_order_goes_to_the_queue(client: TestClient, broker: Broker) -> None:
    (connection,) = broker.connections
    ids = []
    for _ in range(3):
        answer = client.post("/orders", json=ORDER)
        assert answer.status_code == 201
        ids.append(answer.json()["id"])
    messages = [Message.decode(view.payload) for view in broker.queue("orders").messages]
    assert [(message.message_id, message.json()) for message in messages] == [(each, ORDER) for each in ids]
    assert [view.container_id for view in broker.connections] == [connection.container_id]
    assert client.get("/health").json() == {"pending": 0}
    assert client.post("/orders", json={"customer": "c-7", "amount": -1}).status_code == 422
    assert broker.queue("orders").depth == 3


@pytest.mark.parametrize(
    ("outcome", "status", "text"),
    [
        (Rejected(error("amqp:not-allowed", "not like this")), 422, "not like this (amqp:not-allowed)"),
        (Rejected(error("amqp:resource-locked", "not now")), 503, "not now (amqp:resource-locked)"),
        (Modified(True), 503, "modified"),
    ],
)
def test_an_order_that_the_broker_does_not_take(
    client: TestClient, broker: Broker, outcome: Any, status: int, text: str
) -> None:
    broker.faults.outcome = outcome
    answer = client.post("/orders", json=ORDER)
    assert answer.status_code == status
    assert text in answer.json()["detail"]


def test_an_order_whose_outcome_nobody_knows(client: TestClient, broker: Broker) -> None:
    def drop(name: str, message: bytes) -> None:
        broker.drop_connections()

    broker.hooks.on_store = drop
    answer = client.post("/orders", json=ORDER)
    assert answer.status_code == 504
    assert set(answer.json()["detail"]) == {"id", "message"}
    assert client.post("/orders", json=ORDER).status_code == 503
    assert (client.get("/health").status_code, client.get("/health").json()["detail"]) == (503, "the sender is failed")


def test_the_application_closes_its_connection(client: TestClient, broker: Broker) -> None:
    assert len(broker.connections) == 1
    client.__exit__(None, None, None)
    broker.wait_for(lambda: not broker.connections)
    client.__enter__()
    assert client.post("/orders", json=ORDER).status_code == 201
