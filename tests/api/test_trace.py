"""The frame trace of `debug=True`: readable, and without secrets. With both fronts."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from uamqp import Message, SendClient
from uamqp.authentication import SASLPlain, SASTokenAuth
from uamqp.testing import Broker

pytestmark = pytest.mark.both_fronts

SECRET = "hush-hush"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "uamqp.c_uamqp"]


def test_each_frame_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="uamqp")
    with Broker(users={"me": SECRET}) as broker:
        auth = SASLPlain("127.0.0.1", "me", SECRET, port=broker.port, use_tls=False)
        settings: dict[str, Any] = {
            "client_name": "me",
            "link_properties": {"key": "value", "n": 5},
            "desired_capabilities": ["c1"],
        }
        with SendClient(broker.url + "/q", auth=auth, debug=True, **settings) as client:
            client.send_message(Message(b"x"))
    seen = lines(caplog)
    assert seen[0].startswith("<- [SASL-MECHANISMS]* {{")
    assert "-> [SASL-INIT]* {PLAIN,***,127.0.0.1} (channel 0)" in seen
    assert "-> [OPEN]* {me,127.0.0.1,65536,65535} (channel 0)" in seen
    (attach,) = [line for line in seen if line.startswith("-> [ATTACH]")]
    outcomes = "{amqp:accepted:list,amqp:rejected:list,amqp:released:list,amqp:modified:list}"
    assert f",* {{me,0,session-end,0,false,NULL,NULL,NULL,NULL,{outcomes}}},* {{q,0,session-end,0,false}}," in attach
    assert attach.endswith(",{c1},{[key:value],[n:5]}} (channel 0)")
    assert any(line.startswith("-> [TRANSFER]* {0,0,<00 00 00 01>,") and " + 6 bytes" in line for line in seen)
    assert any(line.startswith("<- [DISPOSITION]* {true,0,0,true,* {}") for line in seen)
    assert seen[-1] == "<- [CLOSE]* {} (channel 0)"
    assert SECRET not in caplog.text


def test_tokens_are_not_in_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="uamqp")
    with Broker(cbs=True) as broker:
        url = broker.url + "/q"
        auth = SASTokenAuth.from_shared_access_key(url, "name", SECRET, port=broker.port, use_tls=False)
        with SendClient(url, auth=auth, debug=True) as client:
            client.send_message(Message(b"x"))
    assert len(lines(caplog)) > 20
    assert SECRET not in caplog.text
    assert "sig=" not in caplog.text


def test_nothing_without_debug(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="uamqp")
    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"x"))
    assert lines(caplog) == []


def test_links_and_clients_log_where_1_6_did(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="uamqp")
    with SendClient(broker.url + "/q") as client:
        client.send_message(Message(b"x"))
    states = [record for record in caplog.records if "state changed" in record.getMessage()]
    assert {record.name.removesuffix("_async") for record in states} == {"uamqp.connection", "uamqp.sender"}
    assert {record.name for record in caplog.records if record.getMessage().startswith("Client")} == {"uamqp.client"}
