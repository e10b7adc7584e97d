"""AMQP over WebSocket: our clients and the brokers that have it, rhea's client and our broker."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from uamqp import Message, ReceiveClient, ReceiveClientAsync, SendClient, SendClientAsync
from uamqp.authentication import SASLPlain
from uamqp.constants import TransportType
from uamqp.testing import Broker

from .brokerfacts import STATE, RealBroker
from .conftest import missing

CLIENT = Path(__file__).parent / "rhea_websocket_client.js"


def login(broker: RealBroker) -> SASLPlain:
    return SASLPlain(
        broker.host,
        broker.user,
        broker.password,
        port=broker.websocket,
        use_tls=False,
        transport_type=TransportType.AmqpOverWebsocket,
    )


@pytest.mark.brokers("websocket")
@pytest.mark.parametrize("size", [10, 100_000])
def test_our_blocking_clients_and_a_broker(broker: RealBroker, queue: str, size: int) -> None:
    """The larger ones are more than some brokers take in one WebSocket message."""
    url = f"amqp://{broker.host}/{broker.address(queue)}"
    with SendClient(url, auth=login(broker)) as sender:
        sender.send_message([Message(f"{number}" * size) for number in range(10)])
    with ReceiveClient(url, auth=login(broker), timeout=2000) as receiver:
        got = [str(message) for message in receiver.receive_messages_iter()]
    assert got == [f"{number}" * size for number in range(10)]


@pytest.mark.brokers("websocket")
def test_our_asyncio_clients_and_a_broker(broker: RealBroker, queue: str) -> None:
    url = f"amqp://{broker.host}/{broker.address(queue)}"

    async def main() -> list[str]:
        async with SendClientAsync(url, auth=login(broker)) as sender:
            await asyncio.gather(*(sender.send_message_async(Message(f"{number}")) for number in range(10)))
        async with ReceiveClientAsync(url, auth=login(broker), timeout=2000) as receiver:
            return [str(message) async for message in receiver.receive_messages_iter_async()]

    got = asyncio.run(asyncio.wait_for(main(), 30))
    assert sorted(got) == [f"{number}" for number in range(10)]


@pytest.fixture
def rhea(request: pytest.FixtureRequest) -> Any:
    """Runs the rhea client."""
    node, folder = shutil.which("node"), STATE / "rhea"
    if node is None or not (folder / "node_modules" / "ws").is_dir():
        missing(request.config, "rhea isn't installed; tests/interop/brokers/start.sh rhea does it")

    def run(port: int, mode: str, address: str, count: int) -> list[str]:
        command = [str(node), str(CLIENT), f"ws://127.0.0.1:{port}/", mode, address, str(count)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return run


def test_its_client_and_our_broker(rhea: Any) -> None:
    name = f"q-{uuid.uuid4().hex[:8]}"
    with Broker(websocket=True, users={"me": "secret"}) as broker:
        rhea(broker.port, "send", name, 20)
        assert broker.queue(name).depth == 20
        assert rhea(broker.port, "receive", name, 20) == [str(number) for number in range(20)]
        broker.wait_for(lambda: broker.queue(name).counters.accepted == 20)
