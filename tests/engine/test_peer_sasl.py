"""The engine's SASL layer against a peer with a codec of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peer.codec import Composite, encode_composite, sym, symbols
from tests.peer.frames import frame, performative
from tests.peer.script import ABSENT, ANY
from tests.support.peered import Rig
from uamqp.codec import Error, Symbol
from uamqp.engine import CauseKind, Limits
from uamqp.engine.events import ConnectionClosed, ConnectionOpened, ConnectionOpening, SaslInit, SaslResponse
from uamqp.engine.sasl import Anonymous, External, Mssbcbs, Plain


class Dialog:
    """A mechanism with challenges."""

    name = "X-DIALOG"

    def __init__(self) -> None:
        self.challenges: list[bytes] = []

    def initial_response(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        self.challenges.append(challenge)
        if challenge == b"bad":
            raise ValueError("the challenge makes no sense")
        return b"answer to " + challenge


@pytest.mark.parametrize(
    ("mechanisms", "offered", "chosen", "response"),
    [
        ([Anonymous()], ["ANONYMOUS"], "ANONYMOUS", None),
        ([Anonymous("me@here")], ["PLAIN", "ANONYMOUS"], "ANONYMOUS", b"me@here"),
        ([Plain("user", "p\u00e4ss")], ["ANONYMOUS", "PLAIN"], "PLAIN", b"\0user\0p\xc3\xa4ss"),
        ([Plain(b"user", b"pass")], ["PLAIN"], "PLAIN", b"\0user\0pass"),
        ([Plain("", "")], ["PLAIN"], "PLAIN", b"\0\0"),
        ([External()], ["EXTERNAL", "PLAIN"], "EXTERNAL", b""),
        ([External("other")], ["EXTERNAL"], "EXTERNAL", b"other"),
        ([Mssbcbs(), Anonymous()], ["ANONYMOUS", "MSSBCBS"], "MSSBCBS", None),
        ([Mssbcbs(), Anonymous()], ["PLAIN", "ANONYMOUS"], "ANONYMOUS", None),
        ([External(), Plain("u", "p"), Anonymous()], ["ANONYMOUS", "PLAIN"], "PLAIN", b"\0u\0p"),
    ],
)
def test_the_best_mechanism_that_the_server_offers_is_chosen(
    rig: Rig,
    mechanisms: list[Any],
    offered: list[str],
    chosen: str,
    response: bytes | None,
) -> None:
    rig.start(mechanisms=mechanisms, hostname="vhost")
    expected = ABSENT if response is None else response
    init = rig.peer.accept_sasl(offered, expect_mechanism=chosen, expect_response=expected)
    assert init["hostname"] == "vhost"
    rig.peer.accept_open({"hostname": "vhost"})
    rig.event(ConnectionOpened)
    rig.done()


def test_one_mechanism_may_come_as_a_single_symbol(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=sym("ANONYMOUS"))
    rig.peer.expect("sasl_init", mechanism="ANONYMOUS")
    rig.done()


def test_descriptors_and_encodings_may_be_others(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    offer = Composite("sasl_mechanisms", {"sasl_server_mechanisms": ["ANONYMOUS"]}, symbolic=True, wide=True)
    rig.peer.send_raw(frame(encode_composite(offer), type_=1, doff=3, extended_header=b"1234", channel=7))
    rig.peer.expect("sasl_init", mechanism="ANONYMOUS")
    rig.peer.send("sasl_outcome", code=0, padded=True)
    rig.peer.accept_open()
    rig.event(ConnectionOpened)
    rig.done()


def test_the_whole_opening_may_arrive_at_once(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
    rig.peer.send("sasl_outcome", code=0)
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="peer")
    rig.event(ConnectionOpened)
    rig.peer.expect_header("SASL")
    rig.peer.expect("sasl_init")
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open", container_id="me")
    rig.done()


@pytest.mark.parametrize("offered", [["PLAIN"], ["plain"], ["SCRAM-SHA-256", "EXTERNAL"]])
def test_no_common_mechanism_says_what_there_is(rig: Rig, offered: list[str]) -> None:
    rig.start(mechanisms=[Mssbcbs(), Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=offered)
    cause = rig.ends_with("amqp:unauthorized-access", CauseKind.SASL)
    for name in ["MSSBCBS", "ANONYMOUS", *offered]:
        assert name in cause.message


def test_no_mechanisms_at_all(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=symbols())
    rig.ends_with("amqp:unauthorized-access", CauseKind.SASL)


@pytest.mark.parametrize(
    ("code", "condition"),
    [
        (1, "amqp:unauthorized-access"),
        (2, "amqp:internal-error"),
        (3, "amqp:not-allowed"),
        (4, "amqp:internal-error"),
    ],
)
def test_a_failing_outcome_ends_the_connection(rig: Rig, code: int, condition: str) -> None:
    rig.start(mechanisms=[Plain("user", "secret")])
    rig.peer.accept_sasl(["PLAIN"], code=code)
    cause = rig.ends_with(condition, CauseKind.SASL)
    assert f"outcome {code}" in cause.message
    assert "secret" not in cause.message


def test_an_unknown_outcome_is_no_success(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.accept_sasl(code=9)
    events = rig.drop_events()
    assert [type(event) for event in events] == [ConnectionClosed]
    assert events[0].cause is not None
    rig.peer.finish()


def test_challenges_and_responses(rig: Rig) -> None:
    dialog = Dialog()
    rig.start(mechanisms=[dialog, Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS", "X-DIALOG"])
    rig.peer.expect("sasl_init", mechanism="X-DIALOG", initial_response=ABSENT)
    for challenge in (b"one", b"", b"\xff" * 100):
        rig.peer.send("sasl_challenge", challenge=challenge)
        rig.peer.expect("sasl_response", response=b"answer to " + challenge)
    rig.peer.send("sasl_outcome", code=0, additional_data=b"more")
    rig.peer.accept_open()
    rig.event(ConnectionOpened)
    rig.done()


@pytest.mark.parametrize("mechanism", [Anonymous(), Mssbcbs()])
def test_an_empty_challenge_asks_for_the_initial_response_that_was_left_out(
    rig: Rig,
    mechanism: Any,
) -> None:
    """RFC 4422, section 3: a server that got no initial response asks for it with an empty challenge."""
    rig.start(mechanisms=[mechanism])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=[mechanism.name])
    rig.peer.expect("sasl_init", initial_response=ABSENT)
    rig.peer.send("sasl_challenge", challenge=b"")
    rig.peer.expect("sasl_response", response=b"")
    rig.peer.send("sasl_outcome", code=0)
    rig.peer.accept_open()
    rig.event(ConnectionOpened)
    rig.done()


def test_a_challenge_that_makes_no_sense(rig: Rig) -> None:
    rig.start(mechanisms=[Dialog()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["X-DIALOG"])
    rig.peer.expect("sasl_init")
    rig.peer.send("sasl_challenge", challenge=b"bad")
    cause = rig.ends_with("amqp:unauthorized-access", CauseKind.SASL)
    assert "makes no sense" in cause.message


def test_plain_is_not_led_into_a_dialog(rig: Rig) -> None:
    rig.start(mechanisms=[Plain("user", "secret")])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["PLAIN"])
    rig.peer.expect("sasl_init")
    rig.peer.send("sasl_challenge", challenge=b"tell me more")
    cause = rig.ends_with("amqp:unauthorized-access", CauseKind.SASL)
    assert "secret" not in cause.message


@pytest.mark.parametrize("rounds", [1, 3])
def test_challenges_are_bounded(rig: Rig, rounds: int) -> None:
    rig.start(mechanisms=[Dialog()], limits=Limits(sasl_rounds=rounds))
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["X-DIALOG"])
    rig.peer.expect("sasl_init")
    for _ in range(rounds):
        rig.peer.send("sasl_challenge", challenge=b"again")
        rig.peer.expect("sasl_response")
    rig.peer.send("sasl_challenge", challenge=b"again")
    rig.ends_with("amqp:resource-limit-exceeded", CauseKind.PROTOCOL)


def test_sasl_frames_are_bounded(rig: Rig) -> None:
    def offer(size: int) -> bytes:
        bare = len(frame(performative("sasl_challenge", challenge=b"x" * 300), type_=1)) - 300
        return frame(performative("sasl_challenge", challenge=b"x" * (size - bare)), type_=1)

    for size, passes in ((600, True), (601, False)):
        rig = Rig(rig.split)
        rig.start(mechanisms=[Dialog()], limits=Limits(sasl_frame_size=600))
        rig.peer.max_frame_size = 1000
        rig.peer.expect_header("SASL")
        rig.peer.send_header("SASL")
        rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["X-DIALOG"])
        rig.peer.expect("sasl_init")
        assert len(offer(size)) == size
        rig.peer.send_raw(offer(size))
        if passes:
            rig.peer.expect("sasl_response")
            rig.done()
        else:
            rig.ends_with("amqp:connection:framing-error", CauseKind.PROTOCOL)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("sasl_outcome", {"code": 0}),
        ("sasl_challenge", {"challenge": b""}),
        ("sasl_response", {"response": b""}),
        ("sasl_init", {"mechanism": "ANONYMOUS"}),
    ],
)
def test_sasl_frames_out_of_place(rig: Rig, name: str, fields: dict[str, Any]) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send(name, **fields)
    rig.ends_with("amqp:not-allowed", CauseKind.PROTOCOL)


def test_mechanisms_twice(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
    rig.peer.expect("sasl_init")
    rig.peer.send("sasl_mechanisms", sasl_server_mechanisms=["ANONYMOUS"])
    rig.ends_with("amqp:not-allowed", CauseKind.PROTOCOL)


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (frame(performative("open", container_id="x")), "amqp:connection:framing-error"),
        (frame(performative("open", container_id="x"), type_=1), "amqp:not-allowed"),
        (frame(b"\x00\x53\x40\x45", type_=1), "amqp:decode-error"),
        (frame(b"\x40", type_=1), "amqp:decode-error"),
        (frame(b"", type_=1), "amqp:decode-error"),
        (frame(b"", type_=1, doff=1), "amqp:connection:framing-error"),
        (frame(b"", type_=1, size=7), "amqp:connection:framing-error"),
    ],
)
def test_malformed_sasl_frames_end_the_connection(rig: Rig, data: bytes, condition: str) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.send_raw(data)
    rig.ends_with(condition, CauseKind.PROTOCOL)


def test_a_server_without_sasl(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("AMQP")
    cause = rig.ends_with("amqp:not-implemented", CauseKind.PROTOCOL)
    assert "without SASL" in cause.message


def test_the_stream_ends_during_sasl(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()])
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.peer.close_socket()
    cause = rig.ends_with(None, CauseKind.TRANSPORT)
    assert "SASL" in cause.message


def test_sasl_that_never_ends_times_out(rig: Rig) -> None:
    rig.start(mechanisms=[Anonymous()], handshake_timeout=7.0)
    rig.peer.expect_header("SASL")
    rig.peer.send_header("SASL")
    rig.wait(6.9)
    rig.no_event()
    rig.wait(0.2)
    cause = rig.ends_with("amqp:internal-error", CauseKind.TIMEOUT)
    assert "SASL" in cause.message


# ---------------------------------------------------------------- as the server


def serving(rig: Rig, **config: Any) -> None:
    rig.serve(**{"server_mechanisms": ("PLAIN", "ANONYMOUS"), **config})
    rig.peer.send_header("SASL")
    rig.peer.expect_header("SASL")
    rig.peer.expect("sasl_mechanisms", sasl_server_mechanisms=["PLAIN", "ANONYMOUS"])


def test_a_server_lets_a_client_in(rig: Rig) -> None:
    serving(rig)
    rig.peer.send("sasl_init", mechanism="PLAIN", initial_response=b"\0u\0secret", hostname="h")
    asked = rig.event(SaslInit)
    assert (asked.mechanism, asked.response, asked.hostname) == ("PLAIN", b"\0u\0secret", "h")
    assert "secret" not in repr(asked)
    rig.peer.expect_nothing()
    rig.engine.sasl_outcome(rig.now, 0)
    rig.peer.expect("sasl_outcome", code=0)
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="peer")
    rig.event(ConnectionOpening)
    rig.engine.open(rig.now)
    rig.event(ConnectionOpened)
    rig.peer.expect_header("AMQP")
    rig.peer.expect("open")
    rig.done()


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_a_server_refuses(rig: Rig, code: int) -> None:
    serving(rig)
    rig.peer.send("sasl_init", mechanism="PLAIN", initial_response=b"\0u\0secret")
    rig.event(SaslInit)
    rig.engine.sasl_outcome(rig.now, code)
    rig.peer.expect("sasl_outcome", code=code)
    rig.ends_with("amqp:unauthorized-access", CauseKind.SASL)


def test_a_server_refuses_a_mechanism_that_it_did_not_offer(rig: Rig) -> None:
    serving(rig)
    rig.peer.send("sasl_init", mechanism="EXTERNAL")
    rig.peer.expect("sasl_outcome", code=1)
    rig.ends_with("amqp:unauthorized-access", CauseKind.SASL)


def test_a_servers_challenges(rig: Rig) -> None:
    serving(rig)
    rig.peer.send("sasl_init", mechanism="PLAIN")
    assert rig.event(SaslInit).response is None
    rig.engine.sasl_challenge(rig.now, b"who?")
    rig.peer.expect("sasl_challenge", challenge=b"who?")
    with rig.misuse("asked for SASL"):
        rig.engine.sasl_outcome(rig.now, 0)
    rig.peer.send("sasl_response", response=b"me")
    assert rig.event(SaslResponse).response == b"me"
    rig.engine.sasl_outcome(rig.now, 0, b"data")
    rig.peer.expect("sasl_outcome", code=0, additional_data=b"data")
    rig.done()


@pytest.mark.parametrize(
    ("name", "fields"),
    [("sasl_response", {"response": b""}), ("sasl_outcome", {"code": 0}), ("sasl_challenge", {"challenge": b""})],
)
def test_a_client_out_of_place(rig: Rig, name: str, fields: dict[str, Any]) -> None:
    serving(rig)
    rig.peer.send(name, **fields)
    rig.ends_with("amqp:not-allowed", CauseKind.PROTOCOL)


def test_a_client_that_asks_twice(rig: Rig) -> None:
    serving(rig)
    rig.peer.send("sasl_init", mechanism="ANONYMOUS")
    rig.event(SaslInit)
    rig.peer.send("sasl_init", mechanism="ANONYMOUS")
    rig.no_event()
    rig.engine.sasl_challenge(rig.now, b"who?")
    rig.peer.expect("sasl_challenge")
    rig.ends_with("amqp:not-allowed", CauseKind.PROTOCOL)


def test_a_client_that_does_not_wait_for_its_outcome(rig: Rig) -> None:
    serving(rig)
    rig.peer.send("sasl_init", mechanism="ANONYMOUS")
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="peer")
    rig.event(SaslInit)
    rig.no_event()
    rig.engine.sasl_outcome(rig.now, 0)
    rig.peer.expect("sasl_outcome", code=0)
    rig.event(ConnectionOpening)
    rig.peer.expect_header("AMQP")
    rig.done()


def test_a_client_may_send_its_whole_opening_at_once_after_the_outcome(rig: Rig) -> None:
    rig.serve(server_mechanisms=("ANONYMOUS",))
    rig.peer.send_header("SASL")
    rig.peer.send("sasl_init", mechanism="ANONYMOUS")
    rig.event(SaslInit)
    rig.engine.sasl_outcome(rig.now, 0)
    rig.peer.send_header("AMQP")
    rig.peer.send("open", container_id="peer")
    rig.event(ConnectionOpening)
    rig.peer.expect_header("SASL")
    rig.peer.expect("sasl_mechanisms")
    rig.peer.expect("sasl_outcome", code=0)
    rig.peer.expect_header("AMQP")
    rig.done()


def test_a_server_that_requires_sasl_answers_a_bare_client_with_its_header(rig: Rig) -> None:
    rig.serve(server_mechanisms=("ANONYMOUS",))
    rig.peer.send_header("AMQP")
    rig.peer.expect_header("SASL")
    rig.ends_with("amqp:not-implemented", CauseKind.PROTOCOL)


def test_a_server_may_take_a_bare_client(rig: Rig) -> None:
    rig.serve(server_mechanisms=("ANONYMOUS",), sasl_required=False)
    rig.peer.send_header("AMQP")
    rig.peer.expect_header("AMQP")
    rig.peer.send("open", container_id="peer")
    rig.event(ConnectionOpening)
    rig.engine.close(rig.now, Error(Symbol("amqp:unauthorized-access"), "log in first"))
    rig.peer.expect("open")
    rig.peer.expect("close", error={"condition": "amqp:unauthorized-access", "description": ANY})
    rig.done()


def test_misuse_of_the_servers_sasl_changes_nothing(rig: Rig) -> None:
    rig.serve(server_mechanisms=("ANONYMOUS",))
    with rig.misuse("no SASL exchange"):
        rig.engine.sasl_outcome(rig.now, 0)
    with rig.misuse("no SASL exchange"):
        rig.engine.sasl_challenge(rig.now, b"")
    rig.done()
    rig.peer.send_header("SASL")
    rig.peer.expect_header("SASL")
