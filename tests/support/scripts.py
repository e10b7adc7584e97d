"""What the tests of the API share: scripts for the scripted peer, and connections to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.peer import codec
from tests.peer.frames import data_message, decode_sections
from tests.peer.script import RECEIVER, SENDER
from tests.peer.server import MovingClock, ScriptedServer, SocketPeer
from tests.support.waiting import bounded
from uamqp import Connection, Message, SendClient, errors
from uamqp.authentication import SASLAnonymous

__all__ = ["RECEIVER", "SENDER", "data_message"]


def url(server: ScriptedServer, node: str = "q") -> str:
    return f"amqp://127.0.0.1:{server.port}/{node}"


def connect(server: ScriptedServer, **settings: Any) -> Connection:
    """A bare connection to the server, over plain TCP."""
    auth = SASLAnonymous("127.0.0.1", port=server.port, use_tls=False)
    return Connection("127.0.0.1", auth, **settings)


# -- scripts


def accept_session(peer: SocketPeer, **open_answer: Any) -> None:
    """As the server: SASL, open and begin."""
    peer.accept_sasl()
    peer.accept_open(**open_answer)
    peer.accept_begin()


def accept_sender(peer: SocketPeer, credit: int = 10, *, session: bool = True, **answer: Any) -> Any:
    """As the server: everything up to a link that the client sends over, with credit. Returns its attach."""
    if session:
        accept_session(peer)
    attach = peer.accept_attach(SENDER, **answer)
    if credit:
        peer.grant(credit)
    return attach


def accept_receiver(peer: SocketPeer, *, session: bool = True, **answer: Any) -> Any:
    """As the server: everything up to a link that the client receives over. Returns its attach."""
    if session:
        accept_session(peer)
    return peer.accept_attach(RECEIVER, **answer)


def accept_credit(peer: SocketPeer, credit: int) -> None:
    """As the server: the flow in which the client gives its credit."""
    peer.expect("flow", link_credit=credit, handle=0)


def with_credit(peer: SocketPeer, credit: int = 300, **answer: Any) -> Any:
    """As the server: everything up to a link that the client receives over, and its credit. Returns its attach."""
    attach = accept_receiver(peer, **answer)
    accept_credit(peer, credit)
    return attach


def accept_leaving(peer: SocketPeer) -> None:
    """As the server: the client closes its link, session and connection."""
    peer.accept_detach(closed=True)
    peer.accept_end()
    peer.accept_close()


def settle(peer: SocketPeer, transfer: Any, state: Any = None, **fields: Any) -> None:
    """As a receiver: a settled disposition for a transfer that came; accepted, unless said otherwise."""
    given = {"first": transfer["delivery_id"], "settled": True, "state": state or codec.accepted(), **fields}
    peer.send("disposition", role=RECEIVER, **given)


def body_of(transfer: Any) -> bytes:
    """The data section of a transfer's whole message."""
    for name, value in decode_sections(transfer.payload):
        if name == "data":
            return bytes(value.value)
    raise AssertionError(f"no data section in {transfer!r}")


# -- sending

Calls = list[tuple[Any, Any]]


def noting(message: Message) -> Calls:
    """The calls of the message's on_send_complete."""
    calls: Calls = []
    message.on_send_complete = lambda result, error: calls.append((result, error))
    return calls


def send_once(
    script: Callable[[SocketPeer], None], *, clock: MovingClock | None = None, **settings: Any
) -> tuple[Message, Calls, Any]:
    """Send one message to a script; return it, the calls of its callback, and the error. No retries by default."""
    message = Message(b"x")
    calls = noting(message)
    raised = None
    settings.setdefault("error_policy", errors.ErrorPolicy(max_retries=0))
    with ScriptedServer(script, clock=clock) as server, bounded(5), SendClient(url(server), **settings) as client:
        try:
            client.send_message(message)
        except errors.ClientMessageError as error:
            raised = error
    return message, calls, raised
