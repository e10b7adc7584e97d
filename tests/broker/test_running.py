"""Starting and stopping the broker, logging in, TLS, and the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from tests.peer.certs import Certificates
from tests.support.client import Client, closed, connect, message, story, until
from uamqp import Message, SendClient
from uamqp.authentication import SASTokenAuth
from uamqp.codec import ACCEPTED
from uamqp.engine import CauseKind, events, sasl
from uamqp.errors import LinkDetach
from uamqp.testing import Broker
from uamqp.testing.__main__ import main


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "broker" in thread.name]


def test_it_is_somewhere() -> None:
    broker = Broker()
    assert (broker.host, broker.port, broker.url) == ("127.0.0.1", 0, "amqp://127.0.0.1:0")
    with broker as same:
        assert same is broker
        assert broker.port > 0
        assert broker.url == f"amqp://127.0.0.1:{broker.port}"
        assert threads() == ["uamqp-testing-broker"]
        socket.create_connection((broker.host, broker.port), timeout=5).close()
    assert threads() == []
    broker.stop()
    with pytest.raises(OSError, match=r"refused|Connection"):
        socket.create_connection((broker.host, broker.port), timeout=5)


@pytest.mark.parametrize(
    ("host", "url"),
    [("localhost", "amqp://localhost:"), ("0.0.0.0", "amqp://0.0.0.0:"), ("::1", "amqp://[::1]:")],
)
def test_other_hosts(host: str, url: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with Broker(host) as broker:
        assert broker.url.startswith(url)
        socket.create_connection((broker.host, broker.port), timeout=5).close()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_it_starts_once_only() -> None:
    with Broker() as broker:
        with pytest.raises(RuntimeError, match="runs already"):
            broker.start()
        with pytest.raises(OSError, match=r"in use|Address"):
            Broker(port=broker.port).start()
    assert threads() == []


def test_a_host_that_is_not_here() -> None:
    with pytest.raises(OSError, match=r"assign|not"):
        Broker("192.0.2.1").start()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"port": 70000}, "port must be from 0 to 65535, not 70000"),
        ({"max_frame_size": 100}, "max_frame_size must be from 512"),
        ({"link_credit": 0}, "link_credit must be from 1"),
        ({"max_queue_messages": 0}, "max_queue_messages must be from 1"),
        ({"max_queue_bytes": 0}, "max_queue_bytes must be from 1"),
        ({"max_message_size": 0}, "max_message_size must be from 1"),
        ({"max_deliveries": 0}, "max_deliveries must be None or at least 1"),
        ({"idle_timeout": 0}, "idle_timeout must be None or 0.01 to 86400"),
        ({"tls_key": "k"}, "need tls_cert"),
        ({"tls_ca": "k"}, "need tls_cert"),
        ({"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "tls_cert": "c"}, "go without tls"),
        ({"queues": ["$x"]}, "begins with"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Broker(**settings)  # type: ignore[arg-type]


@story
async def test_it_stops_with_a_word_to_its_clients() -> None:
    broker = Broker()
    await asyncio.to_thread(broker.start)
    client = await connect(broker)
    await client.session()
    silent = await asyncio.open_connection(broker.host, broker.port)  # never says anything
    await asyncio.to_thread(broker.stop)
    cause = await closed(client)
    assert cause.condition == "amqp:connection:forced"
    assert await silent[0].read() == b""
    silent[1].close()


@story
async def test_it_does_not_wait_for_ever_for_them() -> None:
    broker = Broker(close_timeout=0.1)
    await asyncio.to_thread(broker.start)
    client = await connect(broker)
    await client.session()
    assert client.protocol.transport is not None
    client.protocol.transport.pause_reading()
    start = time.monotonic()
    await asyncio.to_thread(broker.stop)
    assert time.monotonic() - start < 5
    client.protocol.transport.resume_reading()
    await closed(client)


@story
async def test_it_goes_on_where_it_was() -> None:
    broker = Broker()
    broker.put("q", message(b"before"))
    await asyncio.to_thread(broker.start)
    port = broker.port
    client = await connect(broker)
    receiver = await client.attach_receiver("q", credit=1)
    await client.receive(receiver)
    await asyncio.to_thread(broker.stop)
    await closed(client)
    assert broker.queue("q").depth == 1  # it can be looked at while it is stopped
    await asyncio.to_thread(broker.start)
    assert broker.port == port
    async with await connect(broker) as client:
        receiver = await client.attach_receiver("q", credit=1)
        assert (await client.receive(receiver)).payload.endswith(b"before")
    await asyncio.to_thread(broker.stop)


@story
async def test_in_the_loop_of_the_test() -> None:
    async with Broker() as broker:
        async with await connect(broker) as client:
            sender = await client.attach_sender("q")
            assert await client.send(sender, message(b"x")) == ACCEPTED
            await broker.wait_for_async(lambda: broker.queue("q").depth == 1)
            delivery = client.submit(sender, message(b"y"))
            await broker.wait_for_async(lambda: broker.queue("q").depth == 2)
            await client.outcome(delivery)
            with pytest.raises(RuntimeError, match="wait_for_async"):
                broker.wait_for(lambda: True)
            with pytest.raises(RuntimeError, match="stop_async"):
                broker.stop()
            with pytest.raises(TimeoutError, match=r"within 0.01 seconds"):
                await broker.wait_for_async(lambda: False, 0.01)
            await asyncio.to_thread(broker.wait_for, lambda: broker.queue("q").depth == 2)
        await broker.stop_async()
        await broker.stop_async()


def test_waiting() -> None:
    with Broker() as broker:
        broker.wait_for(lambda: True)
        with pytest.raises(TimeoutError, match=r"within 0.01 seconds; Counters\(received=0"):
            broker.wait_for(lambda: False, 0.01)
        with pytest.raises(ZeroDivisionError):
            broker.wait_for(lambda: 1 / 0)

        def fails_later() -> bool:
            return 1 / (1 - broker.queue("q").depth) < 0

        threading.Timer(0.01, broker.put, ("q", message(b"x"))).start()
        with pytest.raises(ZeroDivisionError):
            broker.wait_for(fails_later)
    with pytest.raises(RuntimeError, match="does not run"):
        broker.wait_for(lambda: True)


def test_who_waits_when_it_stops() -> None:
    broker = Broker()
    broker.start()
    stopper = threading.Timer(0.05, broker.stop)
    stopper.start()
    with pytest.raises(RuntimeError, match="was stopped"):
        broker.wait_for(lambda: False)
    stopper.join()


# -- logging in


@story
async def test_any_user_will_do_unless_there_are_some(broker: Broker) -> None:
    async with await connect(broker, mechanisms=(sasl.Plain("who", "ever"),)) as client:
        await client.session()
        (view,) = broker.connections
        assert (view.mechanism, view.user) == ("PLAIN", "who")


@story
async def test_no_sasl_at_all(broker: Broker) -> None:
    async with await connect(broker, mechanisms=()) as client:
        await client.session()
        (view,) = broker.connections
        assert (view.mechanism, view.user) == (None, None)


@story
async def test_users_and_passwords() -> None:
    with Broker(users={"me": "secret", "you": ""}) as broker:
        for name, password in (("me", "secret"), ("you", "")):
            async with await connect(broker, mechanisms=(sasl.Plain(name, password),)) as client:
                await client.session()
        for name, password in (("me", "wrong"), ("me", ""), ("nobody", "secret"), ("", "")):
            client = await connect(broker, mechanisms=(sasl.Plain(name, password),))
            assert (await closed(client)).condition == "amqp:unauthorized-access"
        for mechanisms in ((sasl.Anonymous(),), ()):
            client = await connect(broker, mechanisms=mechanisms)
            assert (await closed(client)) is not None
    with Broker(users={"me": "secret"}, anonymous=True) as broker:
        async with await connect(broker) as client:
            await client.session()
    with Broker(anonymous=False) as broker:
        client = await connect(broker)
        assert (await closed(client)).kind is CauseKind.SASL


class OddPlain:
    """PLAIN in two steps, or with a response that is none."""

    name = "PLAIN"

    def __init__(self, first: bytes | None, second: bytes = b"") -> None:
        self.first, self.second = first, second

    def initial_response(self) -> bytes | None:
        return self.first

    def step(self, challenge: bytes) -> bytes:
        assert challenge == b""
        return self.second


@story
async def test_plain_without_an_initial_response(broker: Broker) -> None:
    async with await connect(broker, mechanisms=(OddPlain(None, b"\0me\0secret"),)) as client:
        await client.session()
        assert broker.connections[0].user == "me"
    for response in (b"", b"me", b"\0\xff\0x", b"a\0b\0c\0d"):
        client = await connect(broker, mechanisms=(OddPlain(response),))
        assert (await closed(client)).kind is CauseKind.SASL


@story
async def test_tls(certificates: Certificates) -> None:
    with Broker("localhost", tls_cert=certificates.server.cert, tls_key=certificates.server.key) as broker:
        assert broker.url == f"amqps://localhost:{broker.port}"
        async with await connect(broker, certificates.client_context()) as client:
            sender = await client.attach_sender("q")
            assert await client.send(sender, message(b"x" * 200) * 1000) == ACCEPTED
            assert "EXTERNAL" not in broker.connections[0].__repr__()
        with pytest.raises(ssl.SSLError):
            await connect(broker, ssl.create_default_context())
        plain = Client()
        await plain.connect(broker)
        assert (await closed(plain)).kind is CauseKind.TRANSPORT
    assert threads() == []


@story
async def test_a_tls_handshake_that_never_comes(certificates: Certificates) -> None:
    with Broker("localhost", tls_cert=certificates.server.both) as broker:
        _, writer = await asyncio.open_connection(broker.host, broker.port)
        await asyncio.to_thread(broker.stop)
        writer.close()


@story
async def test_external(certificates: Certificates) -> None:
    context = certificates.client_context(certificates.client)
    with Broker("localhost", tls_cert=certificates.server.both, tls_ca=certificates.ca, users={"other": "x"}) as broker:
        for identity in ("", "amqp"):
            async with await connect(broker, context, mechanisms=(sasl.External(identity),)) as client:
                await client.session()
                (view,) = broker.connections
                assert (view.mechanism, view.user) == ("EXTERNAL", "amqp")
            await until(broker, lambda: not broker.connections)
        client = await connect(broker, context, mechanisms=(sasl.External("somebody"),))
        assert (await closed(client)).condition == "amqp:unauthorized-access"
        # without a certificate it is not even offered
        client = await connect(broker, certificates.client_context(), mechanisms=(sasl.External(),))
        assert (await closed(client)).kind is CauseKind.SASL


@story
async def test_a_context_of_ones_own(certificates: Certificates) -> None:
    with Broker("localhost", tls=certificates.server_context(ask_client=True)) as broker:
        context = certificates.client_context(certificates.client)
        async with await connect(broker, context, mechanisms=(sasl.External(),)) as client:
            await client.next(events.ConnectionOpened)


# -- the command line


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "uamqp.testing", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@story
async def test_the_command(number: signal.Signals) -> None:
    process = await asyncio.to_thread(run, "--port", "0", "--user", "me:se:cret", "--queue", "q")
    assert process.stdout is not None
    url = (await asyncio.to_thread(process.stdout.readline)).strip()
    assert url.startswith("amqp://127.0.0.1:")
    address = Broker(port=int(url.rpartition(":")[2]))
    client = await connect(address, mechanisms=(sasl.Plain("me", "se:cret"),))
    sender = await client.attach_sender("q")
    assert await client.send(sender, message(b"x")) == ACCEPTED
    os.kill(process.pid, number)
    assert (await closed(client)).condition == "amqp:connection:forced"
    out, err = await asyncio.to_thread(process.communicate, None, 20)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_command_can_stand_in_for_a_service() -> None:
    with run("--port", "0", "--cbs", "--steal-links", "--unpack-batches") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with SendClient(f"{url}/q") as client, pytest.raises(LinkDetach, match="no token for 'q'"):
            client.send_message(Message("x"))
        port = int(url.rpartition(":")[2])
        auth = SASTokenAuth.from_shared_access_key(f"{url}/q", "name", "key", port=port, use_tls=False)
        with SendClient(f"{url}/q", auth=auth) as client:
            client.send_message(Message("x"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_command_over_tls(certificates: Certificates) -> None:
    with run("--port", "0", "--host", "localhost", "--tls-cert", certificates.server.both) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("amqps://localhost:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--user", "me"], "--user takes NAME:PASSWORD"),
        (["--port", "70000"], "port must be from 0 to 65535"),
        (["--tls-key", "x"], "need tls_cert"),
        (["--tls-cert", "/nowhere/cert.pem"], "tls_cert: No such file or directory: '/nowhere/cert.pem'"),
        (
            ["--tls-cert", __file__, "--tls-key", "/nowhere/key.pem"],
            "tls_key: No such file or directory: '/nowhere/key",
        ),
        (
            ["--tls-cert", __file__, "--tls-ca", "/nowhere/ca.pem"],
            "tls_ca: No such file or directory: '/nowhere/ca.pem'",
        ),
        (["--host", "192.0.2.1", "--port", "0"], "can't listen on 192.0.2.1:0: Cannot assign"),
        (["--host", "no-such-host.invalid", "--port", "0"], "can't listen on no-such-host.invalid:0: "),
        (["--max-deliveries", "many"], "invalid int value"),
    ],
)
def test_commands_that_make_no_sense(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker() as broker:
        with pytest.raises(SystemExit) as caught:
            main(["--port", str(broker.port)])
    assert caught.value.code == 2
    assert f"can't listen on 127.0.0.1:{broker.port}: Address already in use" in capsys.readouterr().err
