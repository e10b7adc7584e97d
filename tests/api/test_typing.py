"""What type checkers see of the API: misspelt keywords, attributes that there are not, wrong types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import uamqp
from uamqp import authentication

PROGRAM = """
import datetime
from typing import Any

import uamqp
from uamqp import (
    AMQPClient, AMQPClientAsync, Connection, ConnectionAsync, Message, MessageReceiver, ReceiveClient,
    ReceiveClientAsync, SendClient, SendClientAsync, Session, SessionAsync, Source, Target,
)
from uamqp.authentication import JWTTokenAsync, JWTTokenAuth, SASLAnonymous, SASLPlain, SASTokenAsync, SASTokenAuth

URL = "amqps://h/q"
HOUR = datetime.timedelta(hours=1)


class Mine(SendClient):
    def __init__(self, target: str, **kwargs: Any) -> None:
        super().__init__(target, **kwargs)


def right(session: Session, receiver: MessageReceiver, settings: dict[str, Any]) -> None:
    Mine(URL, idle_timeout=5)
    for client in (AMQPClient, SendClient, ReceiveClient, AMQPClientAsync, SendClientAsync, ReceiveClientAsync):
        client(URL, None, None, max_frame_size=512, properties={"a": "b"}, send_settle_mode=None, link_timeout=1.5)
        client(URL, **settings)
    SendClient(URL, max_message_size=1, link_properties={b"a": 1}, link_credit=1, stall_timeout=5, msg_timeout=0.5)
    ReceiveClient(URL, prefetch=0, shutdown_after_timeout=False, keep_alive_interval=30, desired_capabilities=[b"x"])
    ReceiveClientAsync(URL, prefetch=None, shutdown_after_timeout=True, keep_alive_interval=30)
    SASLPlain("h", "me", "pw", use_tls=False, connect_timeout=5)
    SASTokenAuth("a", "u", "t", expires_in=HOUR, refresh_window=300, custom_endpoint_hostname="h", use_tls=True)
    SASTokenAuth.from_shared_access_key("u", "n", "k", refresh_window=300)
    uamqp.receive_messages(URL, prefetch=5, client_name="me", auto_complete=False)
    session.mgmt_request(Message(), b"READ", timeout=5, status_code_field=b"status", callback=print)
    receiver.reset_link_credit(5, drain=True)
    ConnectionAsync("h", None, handshake_timeout=5)
    uamqp.SendClient(URL, max_frame_size=512).queue_message(uamqp.Message(uamqp.types.AMQPuLong(5)))
    uamqp.async_ops.client_async.SendClientAsync(URL, max_frame_size=512)
    print(uamqp.codec.encode_value(5), uamqp.engine.EngineConfig, uamqp.errors.LinkDetach, uamqp.__version__)


def wrong(session: Session, sessions: SessionAsync, receiver: MessageReceiver, client: AMQPClient) -> None:
    AMQPClient(URL, idle_timout=5)  # E: idle_timout
    SendClient(URL, max_mesage_size=5)  # E: max_mesage_size
    ReceiveClient(URL, prefech=5)  # E: prefech
    AMQPClientAsync(URL, handel_max=5)  # E: handel_max
    SendClientAsync(URL, link_propertys={})  # E: link_propertys
    ReceiveClientAsync(URL, shutdown_after_time_out=True)  # E: shutdown_after_time_out
    SendClient(URL, prefetch=5)  # E: prefetch
    SendClient(URL, max_frame_size="big")  # E: max_frame_size
    ReceiveClient(URL, on_attach=5)  # E: on_attach
    SASLAnonymous("h", verifi="x")  # E: verifi
    SASLPlain("h", "me", "pw", use_tsl=False)  # E: use_tsl
    SASTokenAuth("a", "u", "t", expires_in=HOUR, refresh_windows=5)  # E: refresh_windows
    SASTokenAsync("a", "u", "t", expires_in=HOUR, refresh_windows=5)  # E: refresh_windows
    JWTTokenAuth("a", "u", print, refresh_windows=5)  # E: refresh_windows
    JWTTokenAsync("a", "u", print, refresh_windows=5)  # E: refresh_windows
    SASTokenAuth.from_shared_access_key("u", "n", "k", expires=5)  # E: expires
    uamqp.receive_messages(URL, prefetsch=5)  # E: prefetsch
    Connection("h", None, idle_timout=5)  # E: idle_timout
    ConnectionAsync("h", None, handshake_time=5)  # E: handshake_time
    client.mgmt_request(Message(), b"READ", time_out=5)  # E: time_out
    session.mgmt_request(Message(), b"READ", time_out=5)  # E: time_out
    sessions.mgmt_request_async(Message(), b"READ", time_out=5)  # E: time_out
    receiver.reset_link_credit(5, drian=True)  # E: drian
    Source("q").dynmaic = True  # E: dynmaic
    Target("q").durabel = 1  # E: durabel
    client.auto_complet = True  # E: auto_complet
    SendClient(URL).send_message("text")  # E: send_message
    uamqp.SendClient(URL, max_mesage_size=5)  # E: max_mesage_size
    uamqp.SendKlient(URL)  # E: SendKlient
    uamqp.import_module("os")  # E: import_module
"""


def test_a_misspelt_keyword_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    # Without the project's configuration, as a user has it.
    arguments = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file=",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
    ]
    arguments += ["--disable-error-code=unused-coroutine", "--disable-error-code=unused-awaitable", program.name]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr == ""
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        _, number, kind, text = line.split(":", 3)
        if kind.strip() == "error":
            found[int(number)] = found.get(int(number), "") + text
    expected = {
        place: line.partition("# E: ")[2] for place, line in enumerate(PROGRAM.splitlines(), 1) if "# E: " in line
    }
    assert found.keys() == expected.keys(), done.stdout
    for place, name in expected.items():
        assert f'"{name}"' in found[place], found[place]


CLASSES = [value for value in (getattr(uamqp, name) for name in uamqp.__all__) if isinstance(value, type)]
CLASSES += [getattr(authentication, name) for name in authentication.__all__]
CONSTRUCTORS = {kind.__name__: vars(kind)["__init__"] for kind in CLASSES if "__init__" in vars(kind)}


@pytest.mark.parametrize(
    "name", [name for name, function in CONSTRUCTORS.items() if "kwargs" in getattr(function, "__annotations__", {})]
)
def test_annotations_can_be_read(name: str) -> None:
    """On every Python, and without typing_extensions."""
    function = CONSTRUCTORS[name]
    assert eval(function.__annotations__["kwargs"], vars(sys.modules[function.__module__])) is not None
