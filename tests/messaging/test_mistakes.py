"""What a program gets wrong, or a peer does, in ways that would otherwise go unnoticed."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.server import ScriptedServer, SocketPeer
from tests.support.faces import Face, both_faces
from tests.support.links import becomes, connected, fill, opened, stored
from tests.support.scripts import accept_leaving, accept_sender, data_message, settle, with_credit
from uamqp.codec import EncodeError
from uamqp.messaging import (
    AlreadySettled,
    ConfigurationError,
    Message,
    OutcomeUnknown,
    Rejected,
    SendManyFailed,
    SettlementLost,
    UsageError,
    WrongLoopError,
)
from uamqp.testing import Broker, error

pytestmark = both_faces


# -- settling


@pytest.mark.parametrize("description", [ValueError("no"), b"no", 5, "\ud800"], ids=repr)
def test_a_rejection_with_a_description_that_is_no_text(face: Face, broker: Broker, description: Any) -> None:
    fill(broker, 1)
    with opened(face, broker, "open_receiver") as r:
        message = face.go(r.receive)
        for reject in (message.reject, lambda *given: r.reject([message], *given)):
            with pytest.raises((TypeError, ConfigurationError), match="description"):
                face.go(lambda reject=reject: reject("app:x", description))  # type: ignore[misc]
        assert (message.settled, r.unsettled) == (False, 1)
        face.go(lambda: message.reject("app:x", "no"))
        assert r.unsettled == 0
    broker.wait_for(lambda: broker.queue("q").counters.rejected == 1)


def test_a_rejection_that_does_not_fit_into_a_frame_of_the_peer(face: Face, broker: Broker) -> None:
    fill(broker, 1)
    with opened(face, broker, "open_receiver") as r:
        message = face.go(r.receive)
        for reject in (message.reject, lambda *given: r.reject([message], *given)):
            with pytest.raises(ConfigurationError, match=r"can't be sent, and the message isn't settled: .*bytes"):
                face.go(lambda reject=reject: reject("app:x", "x" * 100_000))  # type: ignore[misc]
        assert (message.settled, r.unsettled, r.stats().settlements_lost) == (False, 1, 0)
        face.go(message.accept)
    broker.wait_for(lambda: broker.queue("q").counters.accepted == 1)


def test_a_block_for_something_else_than_a_message_of_the_receiver(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_receiver") as r:
        with pytest.raises(TypeError, match="a message must be a received Message, not str: 'x'"):
            face.go(lambda: r.process("x"))
        with pytest.raises(UsageError, match="wasn't received by this receiver"):
            face.go(lambda: r.process(Message("x")))
        with pytest.raises(TypeError, match=r"write \[message\], or message\.accept\(\)"):
            face.go(lambda: r.accept(Message("x")))


def test_a_message_that_its_sender_settles_is_out_of_the_program_s_hands(face: Face) -> None:
    """As a broker does whose lock has expired; the next one may come then."""
    is_out = threading.Event()

    def script(peer: SocketPeer) -> None:
        with_credit(peer, 2)
        for body in (b"1", b"2"):
            peer.send_delivery(data_message(body))
        assert is_out.wait(20)
        peer.send("disposition", role=False, first=0, settled=True)
        peer.expect("flow")
        peer.expect("disposition", first=1, settled=True)
        peer.expect("flow")
        peer.expect("flow", link_credit=0)
        accept_leaving(peer)

    with ScriptedServer(script) as server, opened(face, server, "open_receiver", prefetch=2, max_unsettled=1) as r:
        first = face.go(lambda: r.receive(20))
        is_out.set()
        second = face.go(lambda: r.receive(20))
        assert (first.settled, first.body, second.body, r.unsettled) == (True, b"1", b"2", 1)
        face.go(first.accept)  # does nothing
        assert r.unsettled == 1
        face.go(second.accept)
        assert r.unsettled == 0


@pytest.mark.parametrize("how", ["stop", "drain"])
def test_settling_asks_for_nothing_once_the_credit_was_taken_back(face: Face, broker: Broker, how: str) -> None:
    fill(broker, 6)
    with opened(face, broker, "open_receiver", prefetch=2, max_unsettled=2) as r:
        messages = face.go(lambda: r.receive_many(2, minimum=2))
        face.go(getattr(r, how))
        sent = broker.queue("q").counters.sent
        for message in messages:
            face.go(message.accept)
        broker.wait_for(lambda: broker.queue("q").counters.accepted == 2)
        assert r.credit == 0
        assert broker.queue("q").counters.sent == sent


def test_settling_a_message_of_a_lost_link_counts_once(face: Face, broker: Broker) -> None:
    fill(broker, 2)
    with opened(face, broker, "open_receiver") as r:
        first, second = face.go(lambda: r.receive_many(2, minimum=2))
        broker.detach_links("q", "amqp:resource-deleted")
        becomes(face, lambda: r.state != "open")
        with pytest.raises(SettlementLost):
            face.wait(face.go(first.accept))
        with pytest.raises(AlreadySettled):
            face.go(first.accept)
        assert (r.unsettled, r.stats().settlements_lost, second.settled) == (1, 1, False)


# -- sending


@pytest.mark.parametrize("state", [None, codec.received(section_number=0, section_offset=0)], ids=["none", "received"])
def test_a_message_that_is_settled_without_an_outcome_is_not_accepted(face: Face, state: Any) -> None:
    def script(peer: SocketPeer) -> None:
        accept_sender(peer)
        transfer = peer.expect("transfer")
        settle(peer, transfer, **({} if state is None else {"state": state}))
        accept_leaving(peer)

    def settled_in_silence(peer: SocketPeer) -> None:
        accept_sender(peer)
        transfer = peer.expect("transfer")
        peer.send("disposition", role=True, first=transfer["delivery_id"], settled=True)
        accept_leaving(peer)

    with (
        ScriptedServer(settled_in_silence if state is None else script) as server,
        opened(face, server, "open_sender") as s,
    ):
        with pytest.raises(OutcomeUnknown, match="no outcome"):
            face.go(lambda: s.send("x"))
        assert (s.stats().accepted, s.stats().unknown) == (0, 1)


def test_collecting_says_what_was_sent_before_something_was_wrong(face: Face, broker: Broker) -> None:
    """Of the messages, or of what gives them."""

    def numbers() -> Any:
        yield from range(70)
        raise LookupError("no more")

    wrong: list[tuple[Any, type[Exception]]] = [
        ([*range(70), object(), 70], TypeError),
        ([*range(70), [object()], 70], EncodeError),
        (numbers(), LookupError),
    ]
    with opened(face, broker, "open_sender") as s:
        for given, kind in wrong:
            with pytest.raises(SendManyFailed, match=r"^70 of 70 messages were accepted: ") as caught:
                face.go(lambda given=given: s.send_many(given, on_failure="collect"))  # type: ignore[misc]
            assert isinstance(caught.value.__cause__, kind)
            assert caught.value.report is not None
            assert (caught.value.report.taken, caught.value.report.accepted) == (70, 70)
        with pytest.raises(TypeError, match="messages must be"):
            face.go(lambda: s.send_many(5, on_failure="collect"))
    assert stored(broker) == [*range(70)] * 3


@pytest.mark.parametrize("is_temporary", [True, False])
def test_many_failed_for_a_reason_that_passes_or_not(face: Face, broker: Broker, is_temporary: bool) -> None:
    broker.faults.outcome = Rejected() if is_temporary else Rejected(error("amqp:not-allowed"))
    with opened(face, broker, "open_sender") as s, pytest.raises(SendManyFailed, match=r"^0 of 1 message") as caught:
        face.go(lambda: s.send_many(["x"]))
    assert caught.value.report is not None
    first = caught.value.report.failures[0].error
    assert first is not None
    assert caught.value.is_temporary is first.is_temporary is is_temporary
    assert repr(caught.value.report) == "SendReport(taken=1, accepted=0, failures=<1 deliveries>)"


def test_what_was_taken_back_is_no_failure_that_nobody_looked_at(face: Face, broker: Broker) -> None:
    broker.faults.withhold_credit = True
    with opened(face, broker, "open_sender") as s:
        assert face.go(lambda: s.submit_nowait("x")).cancel()
        assert (s.stats().not_sent, s.stats().unretrieved) == (1, 0)


class Bytes(bytes):
    """A subclass, as libraries have them."""


@pytest.mark.parametrize("body", [b"", b"x"])
def test_bytes_of_a_subclass_go_out_as_bytes(face: Face, broker: Broker, body: bytes) -> None:
    assert Message(Bytes(body)).encode() == Message(body).encode()
    with opened(face, broker, "open_sender") as s:
        face.go(lambda: s.send(Bytes(body)))
    assert stored(broker) == [body]
    message = Message("x")
    message.body = Bytes(body)
    assert type(message.body) is bytes


def test_a_point_in_time_without_a_zone(face: Face, broker: Broker) -> None:
    naive, zoned = datetime(2026, 1, 2), datetime(2026, 1, 2, tzinfo=timezone.utc)  # noqa: DTZ001 (which is what is tested)
    with opened(face, broker, "open_sender") as s:
        with pytest.raises(EncodeError, match=r"application_properties\['at'\] must have a time zone"):
            face.go(lambda: s.send(Message("x", application_properties={"at": naive})))
        face.go(lambda: s.send(Message("x", application_properties={"at": zoned})))


# -- waiting and calling back


def test_waiting_and_calling_back_with_wrong_arguments(face: Face, broker: Broker) -> None:
    if face.name == "aio":
        return  # its `await` has none
    fill(broker, 1)
    with opened(face, broker, "open_receiver", confirm=True) as r, opened(face, broker, "open_sender") as s:
        delivery, settlement = s.submit("x"), r.receive().accept()
        for thing in (delivery, settlement):
            for wrong, kind in (
                ("5", TypeError),
                (True, TypeError),
                (-1, ConfigurationError),
                (10**400, ConfigurationError),
            ):
                with pytest.raises(kind, match="timeout"):
                    thing.wait(wrong)
            thing.wait(20)
        assert repr(settlement) == "<Settlement done>"
        with pytest.raises(TypeError, match="callback must be a function, not NoneType"):
            delivery.add_done_callback(None)


def test_a_callback_that_exits_does_not_end_what_calls_it(face: Face, broker: Broker) -> None:
    """With threads, that is the keeper, which is to go on."""
    if face.name == "aio":
        return  # a loop ends for it
    called: list[str] = []

    def leave(delivery: Any) -> None:
        raise SystemExit(3)

    with opened(face, broker, "open_sender") as s:
        broker.faults.withhold_outcomes = True
        first, second = s.submit("a"), s.submit("b")
        first.add_done_callback(leave)
        second.add_done_callback(lambda delivery: called.append("second"))
        broker.wait_for(lambda: broker.queue("q").depth == 2)
        broker.faults.withhold_outcomes = False
        becomes(face, lambda: called == ["second"])
        third = s.submit("c")
        third.add_done_callback(lambda delivery: called.append("third"))
        becomes(face, lambda: called == ["second", "third"])


def test_a_message_is_submitted_in_the_loop_that_drives(face: Face, broker: Broker) -> None:
    with opened(face, broker, "open_sender") as s:
        found: list[BaseException | None] = []

        def submit() -> None:
            try:
                s.submit_nowait("x")
                found.append(None)
            except WrongLoopError as wrong:
                found.append(wrong)

        thread = threading.Thread(target=submit)
        thread.start()
        thread.join()
        assert found == [None] if face.name == "sync" else isinstance(found[0], WrongLoopError)


# -- connecting


def test_a_proxy_given_as_a_url_shows_no_password(face: Face) -> None:
    with pytest.raises(TypeError, match=r"proxy must be a Proxy, as Proxy\(host, port") as caught:
        face.go(lambda: face.connect("amqp://localhost:1", proxy="http://user:geheim@host:3128"))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("tls", [True, "ca.pem", 5], ids=repr)
def test_tls_that_is_no_context(face: Face, tls: Any) -> None:
    with pytest.raises(TypeError, match=r"tls must be an ssl\.SSLContext, as ssl\.create_default_context"):
        face.go(lambda: face.connect("amqps://localhost:1", tls=tls))


def test_a_name_of_the_host_for_tls_where_there_is_none(face: Face) -> None:
    with pytest.raises(ConfigurationError, match="server_hostname= is given, and no URL is for TLS"):
        face.go(lambda: face.connect("amqp://localhost:1", server_hostname="other"))


@pytest.mark.parametrize("idle_timeout", [1e-9, 1e9])
def test_idle_times_that_have_no_encoding(face: Face, idle_timeout: float) -> None:
    with pytest.raises(ConfigurationError, match=r"idle_timeout must be from 0\.001 to"):
        face.go(lambda: face.connect("amqp://localhost:1", idle_timeout=idle_timeout))


@pytest.mark.parametrize("name", ["container_id", "hostname"])
def test_names_that_are_no_text(face: Face, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} has half of a surrogate pair"):
        face.go(lambda: face.connect("amqp://localhost:1", **{name: "a\ud800"}))


def test_using_what_was_not_awaited(face: Face, broker: Broker) -> None:
    if face.name == "sync":
        return  # there is nothing to await
    with connected(face, broker) as connection:
        opening = connection.open_sender("q")
        with pytest.raises(AttributeError, match="no 'send': await it first, or enter it by `async with`"):
            opening.send("x")
        face.wait(opening)
