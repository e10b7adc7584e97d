"""Peers that refuse oddly: their reason comes out at once, with both fronts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import uint
from tests.peer.frames import EMPTY_FRAME, frame, performative
from tests.peer.script import ANY
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.clock import Clock
from tests.support.scripts import accept_session, connect, url
from tests.support.waiting import bounded, until
from uamqp import Message, ReceiveClient, SendClient, errors
from uamqp.c_uamqp import ConnectionState
from uamqp.constants import ErrorCodes

pytestmark = pytest.mark.both_fronts

REDIRECT = codec.error(
    "amqp:link:redirect",
    "go there",
    {"hostname": "there.example", "network-host": "10.0.0.1", "port": uint(5671), "address": "amqps://there.example/x"},
)
REFUSAL = codec.error("amqp:unauthorized-access", "no entry")
WINDOWS = {"next_outgoing_id": 0, "incoming_window": 100, "outgoing_window": 100}


def send_raw(peer: SocketPeer, *frames: tuple[str, dict[str, Any]]) -> None:
    """Frames in one write, unseen by the tracker."""
    peer.send_raw(b"".join(frame(performative(name, **fields)) for name, fields in frames))


def odd_redirect(odd: dict[str, Any]) -> Callable[[SocketPeer], None]:
    """A script that answers an attach with a redirect; `odd` is what differs from the usual answer."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        came = peer.expect("attach")
        usual = {"name": came["name"], "handle": 0, "role": not came["role"], "source": None, "target": None}
        fields = {**usual, **odd}
        if fields["role"] == "ours":
            fields["role"] = came["role"]
        detach = {"handle": fields["handle"], "closed": True, "error": REDIRECT}
        send_raw(peer, *([] if odd.get("role") == "none" else [("attach", fields)]), ("detach", detach))
        peer.expect("detach", handle=came["handle"])
        peer.accept_end()
        peer.accept_close()

    return script


def odd_open(*frames: tuple[str, dict[str, Any]]) -> Callable[[SocketPeer], None]:
    """A script that answers an open with these frames, of which the last is a close, and takes what comes then."""

    def script(peer: SocketPeer) -> None:
        peer.strict = False  # it hasn't seen what was sent raw
        peer.accept_sasl()
        peer.expect_header("AMQP")
        peer.send_header("AMQP")
        peer.expect("open")
        send_raw(peer, *frames)
        peer.max_frame_size = 512
        peer.ignore("begin", "attach", "end", "detach")
        peer.expect("close")
        peer.expect_eof()

    return script


def use_sender(address: str) -> None:
    with SendClient(address, error_policy=errors.ErrorPolicy(max_retries=0)) as client:
        client.send_message(Message(b"x"))


def use_receiver(address: str) -> None:
    with ReceiveClient(address) as client:
        client.receive_message_batch(timeout=20_000)


USES = pytest.mark.parametrize("use", [use_sender, use_receiver])

ANSWERS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "own role": {"role": "ours"},
    "own role and termini": {"role": "ours", "source": codec.source(address="q"), "target": codec.target(address="q")},
    "no attach": {"role": "none"},
    "no attach, another handle": {"role": "none", "handle": 3},
    "handle": {"handle": 70_000},
    "modes": {"snd_settle_mode": 9, "rcv_settle_mode": 9},
    "durable": {"source": codec.source(address="q", durable=9), "target": codec.target(address="q", durable=9)},
}


@USES
@pytest.mark.parametrize("odd", ANSWERS.values(), ids=ANSWERS)
def test_a_redirect_is_raised_at_once(use: Callable[[str], None], odd: dict[str, Any]) -> None:
    with ScriptedServer(odd_redirect(odd)) as server, bounded(15), pytest.raises(errors.LinkRedirect) as raised:
        use(url(server))
    redirect = raised.value
    assert (redirect.hostname, redirect.network_host, redirect.port) == (b"there.example", b"10.0.0.1", 5671)
    assert redirect.address == b"amqps://there.example/x"
    assert redirect.description == b"go there"


OPENS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "frames of 0": [("open", {"container_id": "peer", "max_frame_size": 0})],
    "frames of 511": [("open", {"container_id": "peer", "max_frame_size": 511})],
    "no container-id": [("open", {})],
    "properties": [("open", {"container_id": "peer", "properties": codec.Raw(b"\x45")})],
    "no open": [],
    "a session of the peer's": [("open", {"container_id": "peer"}), ("begin", WINDOWS)],
}


@USES
@pytest.mark.parametrize("frames", OPENS.values(), ids=OPENS)
def test_the_reason_for_a_refused_connection(
    use: Callable[[str], None], frames: list[tuple[str, dict[str, Any]]]
) -> None:
    script = odd_open(*frames, ("close", {"error": REFUSAL}))
    with ScriptedServer(script) as server, bounded(15), pytest.raises(errors.ConnectionClose) as raised:
        use(url(server))
    assert raised.value.condition == ErrorCodes.UnauthorizedAccess
    assert raised.value.description == b"no entry"


def test_what_nobody_foresaw_ends_the_connection_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """Here it is a filter of the application that raises in the frame trace. It comes out with its traceback."""

    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach(properties={"odd": "yes"})
        peer.expect("close", error={"condition": "amqp:internal-error", "description": ANY})
        peer.expect_eof()

    def fall(record: logging.LogRecord) -> bool:
        if "odd" in record.getMessage():
            raise LookupError("who would have thought")
        return True

    logger = logging.getLogger("uamqp.c_uamqp")
    caplog.set_level(logging.INFO, "uamqp")
    logger.addFilter(fall)
    try:
        with ScriptedServer(script) as server, bounded(15), pytest.raises(errors.ConnectionClose) as raised:
            with ReceiveClient(url(server), debug=True) as client:
                client.receive_message_batch(timeout=20_000)
    finally:
        logger.removeFilter(fall)
    assert raised.value.condition == ErrorCodes.InternalServerError
    assert "LookupError: who would have thought" in str(raised.value)
    assert isinstance(raised.value.__cause__, LookupError)  # with its traceback
    assert raised.value.__cause__.__traceback__ is not None
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelno == logging.INFO  # as it is raised
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


def test_what_nobody_foresaw_is_logged_where_nobody_raises_it(caplog: pytest.LogCaptureFixture) -> None:
    """Here the connection is being closed."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.expect("close")
        peer.send("close", error=codec.error("amqp:internal-error", "odd"))

    def fall(record: logging.LogRecord) -> bool:
        if "odd" in record.getMessage():
            raise LookupError("who would have thought")
        return True

    logger = logging.getLogger("uamqp.c_uamqp")
    caplog.set_level(logging.INFO, "uamqp")
    with ScriptedServer(script) as server, bounded(15):
        connection = connect(server, debug=True, close_timeout=10.0)
        connection.start()
        until(lambda: connection._state is ConnectionState.OPENED, lambda: connection.sleep(0.01))
        logger.addFilter(fall)
        try:
            connection.destroy()
        finally:
            logger.removeFilter(fall)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelno == logging.ERROR
    assert f"127.0.0.1:{server.port}" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


LONG = "0123456789" * 6000


def long_end(name: str) -> Callable[[SocketPeer], None]:
    """A script that ends a link, its session, the connection or a message for a reason of 60 KB."""

    def script(peer: SocketPeer) -> None:
        reason = codec.error("amqp:internal-error", LONG, {"more": "x" * 4000})
        if name == "close":
            peer.accept_sasl()
            peer.accept_open()
        else:
            accept_session(peer)
        if name in ("detach", "rejected"):
            peer.accept_attach()
        if name == "detach":
            peer.send("detach", handle=0, closed=True, error=reason)
        elif name == "rejected":
            peer.grant(10)
            peer.expect("transfer")
            peer.send("disposition", role=True, first=0, settled=True, state=codec.rejected(error=reason))
        else:
            peer.send(name, error=reason)
        if name == "rejected":
            peer.accept_detach(closed=True)
            peer.accept_end()
        peer.ignore("begin", "attach", "detach", "end")
        if name in ("detach", "rejected", "end"):
            peer.accept_close()
        else:
            peer.expect("close")
        peer.expect_eof()

    return script


@pytest.mark.parametrize("name", ["close", "end", "detach", "rejected"])
def test_a_reason_of_60_kb_is_no_line_of_60_kb(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    policy = errors.ErrorPolicy(max_retries=0)
    with ScriptedServer(long_end(name)) as server, bounded(15), pytest.raises(errors.AMQPError) as raised:
        with SendClient(url(server), error_policy=policy, debug=True) as client:
            client.send_message(Message(b"x"))
    description: Any = getattr(raised.value, "description", None)
    assert description == LONG.encode()
    assert len(str(raised.value)) < 1000
    assert len(repr(raised.value)) < 1000
    assert len(caplog.records) > 5
    assert max(len(record.getMessage()) for record in caplog.records) < 5000


FLOW = performative("flow", next_incoming_id=0, incoming_window=9, next_outgoing_id=0, outgoing_window=9, handle=0)


@pytest.mark.parametrize("flood", [EMPTY_FRAME, frame(FLOW)], ids=["empty frames", "flows"])
def test_a_flood_of_frames_puts_off_no_deadline(flood: bytes, clock: Clock) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.accept_attach()
        peer.strict = False  # it doesn't see what is sent raw
        peer.ignore("flow", "detach", "end", "close")
        try:
            while True:
                peer.send_raw(flood * 1000)
        except OSError:
            pass  # the client has gone

    over = threading.Event()

    def pass_by() -> None:
        while not over.wait(0.02):
            clock.move(4)

    mover = threading.Thread(target=pass_by)
    with ScriptedServer(script) as server, bounded(30):
        client = ReceiveClient(url(server), close_timeout=3)
        client.open()
        until(client.client_ready, lambda: None)
        mover.start()
        try:
            assert client.receive_message_batch(timeout=3000) == []
            assert client.receive_message_batch(timeout=3000) == []
        finally:
            client.close()
            over.set()
            mover.join()
