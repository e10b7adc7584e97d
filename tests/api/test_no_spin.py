"""A client that can't go on waits, and doesn't ask the system again and again. With both fronts.

Each script brings the client to a place where only the peer can help, and falls silent. Counted is how often the client
looks at its sockets meanwhile, not what that takes, which depends on the machine.
"""

from __future__ import annotations

import select
import selectors
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.scripts import (
    accept_receiver,
    accept_sender,
    accept_session,
    settle,
    url,
)
from uamqp import Message, ReceiveClient, SendClient, Source, Target, errors
from uamqp.authentication import JWTTokenAuth
from uamqp.constants import SenderSettleMode

pytestmark = pytest.mark.both_fronts

MOST = 4
"""Looks in `QUIET` seconds; a client that spins has thousands."""

QUIET = 0.1

Script = Callable[[SocketPeer], None]
Use = Callable[[ScriptedServer], Any]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often anybody has asked for what sockets are ready."""
    count = 0
    poll = select.poll
    ask = selectors.DefaultSelector.select

    class Counting:
        def __init__(self) -> None:
            self._poll = poll()
            self.register = self._poll.register

        def poll(self, timeout: float) -> Any:
            nonlocal count
            count += 1
            return self._poll.poll(timeout)

    def counted(self: Any, timeout: float | None = None) -> Any:
        nonlocal count
        count += 1
        return ask(self, timeout)

    monkeypatch.setattr(select, "poll", Counting)
    monkeypatch.setattr(selectors.DefaultSelector, "select", counted)
    return lambda: count


def looks_while_silent(script: Script, use: Use, looks: Callable[[], int]) -> int:
    """Use a client in a thread, and return how often it looks while the peer is silent after the script."""

    def whole(peer: SocketPeer) -> None:
        script(peer)
        peer.tell("silent")
        peer.wait("seen enough")
        peer.ignore("transfer", "flow", "detach", "end", "close")
        peer.reset_socket()

    raised: list[BaseException] = []

    def run() -> None:
        try:
            use(server)
        except (errors.AMQPError, TimeoutError) as error:  # the peer ends it in the end
            raised.append(error)

    with ScriptedServer(whole) as server:
        thread = threading.Thread(target=run, name="client")
        thread.start()
        server.wait("silent")
        pause = threading.Event()
        for _ in range(10):  # what was under way has to be done first; what spins is never done
            before = looks()
            pause.wait(QUIET)
            count = looks() - before
            if count <= MOST:
                break
        server.tell("seen enough")
        thread.join(20)
        assert not thread.is_alive()
    return count


# -- sending


def send(count: int, body: bytes = b"x", **settings: Any) -> Use:
    def use(server: ScriptedServer) -> None:
        client = SendClient(url(server), **settings)
        client.queue_message(*[Message(body) for _ in range(count)])
        try:
            client.send_all_messages()
        finally:
            client.close()

    return use


def window(frames: int, credit: int = 10_000, **opening: Any) -> Script:
    """The session takes so many frames, and the link has more credit than that."""

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open(**opening)
        peer.accept_begin(incoming_window=frames)
        accept_sender(peer, credit=credit, session=False)
        for _ in range(frames):
            peer.expect("transfer")

    return script


def no_credit(peer: SocketPeer) -> None:
    accept_sender(peer, credit=0)


def little_credit(peer: SocketPeer) -> None:
    accept_sender(peer, credit=2)
    peer.expect("transfer")
    peer.expect("transfer")


def drain_behind_a_closed_window(peer: SocketPeer) -> None:
    window(5)(peer)
    peer.grant(100, drain=True)


def released_without_credit(peer: SocketPeer) -> None:
    """The back-off passes, and there is no credit to go on with."""
    accept_sender(peer, credit=1)
    settle(peer, peer.expect("transfer"), codec.released())


def detached_in_a_back_off(peer: SocketPeer) -> None:
    accept_sender(peer, credit=2)
    settle(peer, peer.expect("transfer"), codec.released())
    peer.expect("transfer")


def partly_read(peer: SocketPeer) -> None:
    """The socket takes no more."""
    accept_sender(peer, credit=10)


class Patient(errors.ErrorPolicy):
    def on_message_error(self, error: Any) -> errors.ErrorAction:
        return errors.ErrorAction(retry=True, backoff=0.05)


SENDING: dict[str, tuple[Script, Use]] = {
    "no window": (window(0), send(3000)),
    "little window": (window(10), send(3000)),
    "little window, few messages": (window(10), send(11)),
    "little window, sent settled": (window(10), send(3000, send_settle_mode=SenderSettleMode.Settled)),
    "little window, time-outs": (window(10), send(3000, msg_timeout=60_000)),
    "a large message in part": (window(3), send(2, b"x" * 5_000_000)),
    "a large message in part, small frames": (window(40, max_frame_size=512), send(300, b"x" * 100_000)),
    "no credit": (no_credit, send(3000)),
    "little credit": (little_credit, send(3000)),
    "a drain behind a closed window": (drain_behind_a_closed_window, send(3000)),
    "a back-off that is over": (released_without_credit, send(2, error_policy=Patient())),
    "a back-off, and a message on its way": (detached_in_a_back_off, send(2, error_policy=Patient())),
    "a socket that takes no more": (partly_read, send(10, b"x" * 4_000_000)),
}


@pytest.mark.parametrize("case", SENDING)
def test_sending(case: str, looks: Callable[[], int]) -> None:
    script, use = SENDING[case]
    assert looks_while_silent(script, use, looks) <= MOST


def test_send_message_behind_a_closed_window(looks: Callable[[], int]) -> None:
    def use(server: ScriptedServer) -> None:
        client = SendClient(url(server))
        try:
            client.send_message([Message(b"x") for _ in range(3000)])
        finally:
            client.close()

    assert looks_while_silent(window(10), use, looks) <= MOST


def test_several_threads_behind_a_closed_window(looks: Callable[[], int]) -> None:
    def use(server: ScriptedServer) -> None:
        client = SendClient(url(server))
        client.open()

        def send_some() -> None:
            with pytest.raises(errors.AMQPError):
                client.send_message([Message(b"x") for _ in range(300)])

        threads = [threading.Thread(target=send_some) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()

    assert looks_while_silent(window(10), use, looks) <= 2 * MOST


# -- what opens it again


@pytest.mark.parametrize("step", [1, 7, 300])
def test_a_window_that_opens_again_lets_all_go_on(step: int) -> None:
    """The peer opens the session's window, without a word of the link: there is nothing new about its credit."""
    count = 600

    def script(peer: SocketPeer) -> None:
        peer.accept_sasl()
        peer.accept_open()
        peer.accept_begin(incoming_window=10)
        accept_sender(peer, credit=10_000, session=False)
        came = [peer.expect("transfer") for _ in range(10)]
        while len(came) < count:
            more = min(step, count - len(came))
            peer.send("flow", next_incoming_id=len(came), incoming_window=more, handle=None)
            came += [peer.expect("transfer") for _ in range(more)]
        peer.send("disposition", role=True, first=0, last=count - 1, settled=True, state=codec.accepted())
        peer.accept_detach()
        peer.accept_end()
        peer.accept_close()

    with ScriptedServer(script) as server, SendClient(url(server)) as client:
        client.send_message([Message(b"%d" % number) for number in range(count)])


# -- opening


def nothing_at_all(peer: SocketPeer) -> None:
    peer.expect_header("SASL")


def no_outcome(peer: SocketPeer) -> None:
    peer.expect_header("SASL")
    peer.send_header("SASL")
    peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
    peer.expect("sasl_init")


def no_open(peer: SocketPeer) -> None:
    peer.accept_sasl()
    peer.expect_header("AMQP")
    peer.send_header("AMQP")
    peer.expect("open")


def no_begin(peer: SocketPeer) -> None:
    peer.accept_sasl()
    peer.accept_open()
    peer.expect("begin")


def no_attach(peer: SocketPeer) -> None:
    accept_session(peer)
    peer.expect("attach")


def half_a_refusal(peer: SocketPeer) -> None:
    """The attach has no terminus, and the detach that has to follow doesn't come."""
    accept_session(peer)
    peer.accept_attach(source=None, target=None)


def receive(server: ScriptedServer) -> None:
    client = ReceiveClient(url(server))
    try:
        client.receive_message_batch()
    finally:
        client.close()


OPENING = [nothing_at_all, no_outcome, no_open, no_begin, no_attach, half_a_refusal]


@pytest.mark.parametrize("script", OPENING, ids=lambda script: script.__name__)
@pytest.mark.parametrize("use", [send(5), send(5, msg_timeout=60_000), receive], ids=["send", "time-outs", "receive"])
def test_opening(script: Script, use: Use, looks: Callable[[], int]) -> None:
    assert looks_while_silent(script, use, looks) <= MOST


def token_without_an_answer(peer: SocketPeer) -> None:
    accept_session(peer)
    for _ in range(2):
        came = peer.expect("attach")
        role = came["role"]
        answer: dict[str, Any] = {"initial_delivery_count": 0} if role else {}
        peer.send(
            "attach",
            name=came["name"],
            handle=came["handle"],
            role=not role,
            source=came["source"],
            target=came["target"],
            **answer,
        )
        if not role:
            peer.send("flow", handle=came["handle"], delivery_count=0, link_credit=10)
    peer.ignore("flow")
    settle(peer, peer.expect("transfer"))


def test_a_token_without_an_answer(looks: Callable[[], int]) -> None:
    def use(server: ScriptedServer) -> None:
        def token() -> Any:
            return SimpleNamespace(token="t", expires_on=2**32)

        auth = JWTTokenAuth(url(server), url(server), token, port=server.port, use_tls=False)
        client = SendClient(Target(url(server)), auth=auth)
        try:
            client.send_message(Message(b"x"))
        finally:
            client.close()

    assert looks_while_silent(token_without_an_answer, use, looks) <= MOST


# -- receiving


def no_messages(peer: SocketPeer) -> None:
    accept_receiver(peer)
    peer.expect("flow")


def half_a_message(peer: SocketPeer) -> None:
    accept_receiver(peer)
    peer.expect("flow")
    peer.send("transfer", handle=0, delivery_id=0, delivery_tag=b"t", more=True, payload=b"\0Su\xa0")


@pytest.mark.parametrize("script", [no_messages, half_a_message], ids=lambda script: script.__name__)
@pytest.mark.parametrize("how", ["batch", "callback", "loop"])
def test_receiving(script: Script, how: str, looks: Callable[[], int]) -> None:
    def use(server: ScriptedServer) -> None:
        client = ReceiveClient(Source(url(server)), timeout=60_000)
        try:
            if how == "batch":
                client.receive_message_batch()
            elif how == "callback":
                client.receive_messages(lambda message: None)
            else:
                list(client.receive_messages_iter())
        finally:
            client.close()

    assert looks_while_silent(script, use, looks) <= MOST


def test_managing(looks: Callable[[], int]) -> None:
    def script(peer: SocketPeer) -> None:
        accept_session(peer)
        peer.expect("attach")
        peer.expect("attach")

    def use(server: ScriptedServer) -> None:
        client = SendClient(url(server))
        client.open()
        try:
            client.mgmt_request(Message(b""), b"READ", op_type=b"x", node=b"$management")
        finally:
            client.close()

    assert looks_while_silent(script, use, looks) <= MOST


# -- closing


@pytest.mark.parametrize("answered", ["nothing", "detach", "end"])
def test_closing(answered: str, looks: Callable[[], int]) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        if answered == "nothing":
            peer.expect("detach")
            return
        peer.accept_detach()
        if answered == "detach":
            peer.expect("end")
            return
        peer.accept_end()
        peer.expect("close")

    def use(server: ScriptedServer) -> None:
        client = SendClient(url(server))
        client.open()
        while not client.client_ready():
            pass
        client.close()

    assert looks_while_silent(script, use, looks) <= MOST
