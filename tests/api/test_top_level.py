"""`uamqp` itself: what it exports, and send_message, receive_message(s), get_platform_info."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import uamqp
from tests.support.waiting import bounded
from uamqp import Message, Source, Target, errors
from uamqp.authentication import SASLAnonymous
from uamqp.codec import Rejected
from uamqp.constants import MessageState, ReceiverSettleMode
from uamqp.testing import Broker

NAMES = [
    "Message",
    "BatchMessage",
    "Source",
    "Target",
    "Connection",
    "Session",
    "AMQPClient",
    "SendClient",
    "ReceiveClient",
    "MessageSender",
    "MessageReceiver",
    "TransportType",
    "MessageBodyType",
    "send_message",
    "receive_message",
    "receive_messages",
    "get_platform_info",
    "__version__",
    "_Platform",
]

SUBMODULES = [
    "c_uamqp",
    "constants",
    "utils",
    "errors",
    "message",
    "compat",
    "address",
    "connection",
    "session",
    "sender",
    "receiver",
    "authentication",
    "client",
    "types",
]


def test_the_names_are_there() -> None:
    """Contract 1.2, except for the asynchronous ones and management."""
    for name in NAMES:
        assert hasattr(uamqp, name), name
    assert set(uamqp.__all__) <= set(dir(uamqp))


def test_submodules_are_attributes_at_once() -> None:
    """azure-iot-hub only does `import uamqp`; `types` became one of them."""
    code = f"import uamqp; [getattr(uamqp, name) for name in {SUBMODULES!r}]"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_importing_costs_no_threads_and_no_output() -> None:
    code = "import threading, uamqp; assert threading.active_count() == 1"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_names_through_other_modules() -> None:
    """Programs of 1.6 import them so."""
    from uamqp.client import AMQPClient, ReceiveClient, SendClient  # noqa: F401
    from uamqp.message import c_uamqp, constants, errors  # noqa: F401


def test_the_version_satisfies_who_depends_on_it() -> None:
    """Contract 1.1: uamqp>=1.6.3,<2.0.0."""
    major, minor, *_ = (int(part) for part in uamqp.__version__.split("."))
    assert major == 1
    assert minor >= 7


def test_the_platform_is_a_text() -> None:
    """Defect 42: it raised TypeError."""
    text = uamqp.get_platform_info()
    assert isinstance(text, str)
    assert "Python" in text


def test_the_platform_can_be_initialised() -> None:
    uamqp._Platform.initialize()
    assert uamqp._Platform.initialized
    uamqp._Platform.deinitialize()


def test_send_and_receive(broker: Broker) -> None:
    assert uamqp.send_message(broker.url + "/q", "text") == [MessageState.SendComplete]
    assert uamqp.send_message(Target(broker.url + "/q"), Message(b"bytes")) == [MessageState.SendComplete]
    message = uamqp.receive_message(broker.url + "/q", timeout=5000)
    assert message is not None
    assert list(message.get_data()) == [b"text"]
    assert message.settled
    (second,) = uamqp.receive_messages(Source(broker.url + "/q"), timeout=5000)
    assert list(second.get_data()) == [b"bytes"]
    broker.wait_for(lambda: broker.connections == ())
    assert broker.queue("q").counters.accepted == 2


def test_bodies_of_every_kind(broker: Broker) -> None:
    for body in ({"k": [1, True]}, 5, [b"a", b"b"]):
        uamqp.send_message(broker.url + "/q", body)
    (first, second, third) = (uamqp.receive_message(broker.url + "/q", timeout=5000) for _ in range(3))
    assert first is not None
    assert first.get_data() == {b"k": [1, True]}
    assert second is not None
    assert second.get_data() == 5
    assert third is not None
    assert list(third.get_data()) == [b"a", b"b"]


def test_nothing_there(broker: Broker) -> None:
    with bounded(3):
        assert uamqp.receive_message(broker.url + "/q", timeout=50) is None
        assert uamqp.receive_messages(broker.url + "/q", timeout=50) == []


def test_one_message_takes_one(broker: Broker) -> None:
    for number in range(3):
        broker.put("q", Message(b"%d" % number))
    message = uamqp.receive_message(broker.url + "/q", timeout=5000)
    assert message is not None
    broker.wait_for(lambda: broker.queue("q").depth == 2)
    got = uamqp.receive_messages(broker.url + "/q", max_batch_size=5, timeout=5000)
    broker.wait_for(lambda: broker.queue("q").depth == 2 - len(got))


def test_settings_go_to_the_client(broker: Broker) -> None:
    broker.put("q", Message(b"x"))
    auth = SASLAnonymous("127.0.0.1", port=broker.port, use_tls=False)
    mode: dict[str, Any] = {"receive_settle_mode": ReceiverSettleMode.ReceiveAndDelete}
    (message,) = uamqp.receive_messages(broker.url + "/q", auth=auth, timeout=5000, debug=True, **mode)
    assert message.settled
    with pytest.raises(ValueError, match="prefetsch"):
        uamqp.receive_messages(broker.url + "/q", prefetsch=1)  # type: ignore[call-arg]


def test_what_goes_wrong_is_raised(broker: Broker) -> None:
    broker.faults.refuse_attach = "amqp:not-found"  # type: ignore[assignment]
    with pytest.raises(errors.LinkDetach):
        uamqp.send_message(broker.url + "/q", "x")
    with pytest.raises(errors.LinkDetach):
        uamqp.receive_message(broker.url + "/q")
    broker.wait_for(lambda: broker.connections == ())


def test_a_failed_message_is_told_by_its_state(broker: Broker) -> None:
    broker.faults.outcome = lambda address, payload: Rejected()
    policy_takes_four = Message(b"x")
    assert uamqp.send_message(broker.url + "/q", policy_takes_four) == [MessageState.SendFailed]
    assert policy_takes_four.retries == 3
