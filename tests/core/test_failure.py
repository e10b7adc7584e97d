"""What a cause means: every condition of the specification and those that brokers make up, and each kind of cause."""

from __future__ import annotations

import pickle
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.peer import codec
from tests.support.core import Client
from uamqp.codec import Error, Symbol
from uamqp.core import NO_MESSAGES_FAULT, NOT_WORTH_RETRYING, Failure, Fault, Redirect
from uamqp.engine import Cause, CauseKind, EngineConfig, sasl

SPEC = Path(__file__).parent.parent / "data" / "spec"
NS = "{http://www.amqp.org/schema/amqp.xsd}"


class Meant(NamedTuple):
    permanent: bool
    fault: Fault
    may_be_a_messages: bool = True
    unauthorized: bool = False
    gone: bool = False
    redirected: bool = False


OURS, PEER, NETWORK = Fault.OURS, Fault.PEER, Fault.NETWORK

CONDITIONS: dict[str, Meant] = {
    # Section 2.8.15
    "amqp:internal-error": Meant(False, PEER),
    "amqp:not-found": Meant(True, OURS, gone=True),
    "amqp:unauthorized-access": Meant(True, OURS, unauthorized=True),
    "amqp:decode-error": Meant(True, OURS),
    "amqp:resource-limit-exceeded": Meant(True, OURS),
    "amqp:not-allowed": Meant(True, OURS),
    "amqp:invalid-field": Meant(True, OURS),
    "amqp:not-implemented": Meant(True, OURS),
    "amqp:resource-locked": Meant(False, PEER),
    "amqp:precondition-failed": Meant(True, OURS),
    "amqp:resource-deleted": Meant(True, PEER, may_be_a_messages=False, gone=True),
    "amqp:illegal-state": Meant(True, OURS),
    "amqp:frame-size-too-small": Meant(True, OURS),
    # Section 2.8.16
    "amqp:connection:forced": Meant(False, PEER, may_be_a_messages=False),
    "amqp:connection:framing-error": Meant(True, OURS),
    "amqp:connection:redirect": Meant(True, PEER, may_be_a_messages=False, redirected=True),
    # Section 2.8.17
    "amqp:session:window-violation": Meant(True, OURS),
    "amqp:session:errant-link": Meant(True, OURS),
    "amqp:session:handle-in-use": Meant(True, OURS),
    "amqp:session:unattached-handle": Meant(True, OURS),
    # Section 2.8.18
    "amqp:link:detach-forced": Meant(False, PEER, may_be_a_messages=False),
    "amqp:link:transfer-limit-exceeded": Meant(False, OURS),
    "amqp:link:message-size-exceeded": Meant(True, OURS),
    "amqp:link:redirect": Meant(True, PEER, may_be_a_messages=False, redirected=True),
    "amqp:link:stolen": Meant(True, PEER, may_be_a_messages=False),
    # Section 4.5.8
    "amqp:transaction:unknown-id": Meant(True, OURS),
    "amqp:transaction:rollback": Meant(False, OURS),
    "amqp:transaction:timeout": Meant(False, OURS),
    # Not of the specification: nobody knows, so another try may go well.
    "com.microsoft:server-busy": Meant(False, PEER),
    "com.microsoft:timeout": Meant(False, PEER),
    "com.microsoft:message-lock-lost": Meant(False, PEER),
    "com.microsoft:entity-disabled": Meant(False, PEER),
    "amqp:not-accepted": Meant(False, PEER),
    "failed": Meant(False, PEER),
    "AMQP:NOT-FOUND": Meant(False, PEER),
    "": Meant(False, PEER),
}


def meant(failure: Failure) -> Meant:
    return Meant(
        failure.is_permanent,
        failure.fault,
        failure.may_be_a_messages,
        failure.is_unauthorized,
        failure.is_gone,
        failure.redirect is not None,
    )


def error(condition: str, description: str | None = None, info: dict[Any, Any] | None = None) -> Error:
    return Error(Symbol(condition), description, info)


def choices() -> set[str]:
    """The error conditions in the files of the specification."""
    return {
        choice.attrib["value"]
        for file in SPEC.glob("*.xml")
        for kind in ElementTree.parse(file).getroot().iter(f"{NS}type")
        if "error-condition" in kind.attrib.get("provides", "")
        for choice in kind.iter(f"{NS}choice")
    }


def test_the_table_has_every_condition_of_the_specification() -> None:
    assert len(choices()) == 28
    assert choices() <= set(CONDITIONS)
    assert set(NOT_WORTH_RETRYING) | set(NO_MESSAGES_FAULT) <= choices()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_an_error_of_the_peer(condition: str) -> None:
    said = error(condition, "so it is", {Symbol("x"): 1})
    for failure in (Failure.of_error(said, "not used"), Failure.of(Cause.from_peer(said, "detach"))):
        assert meant(failure) == CONDITIONS[condition]
        assert (failure.condition, failure.description, failure.info) == (condition, "so it is", {"x": 1})
    assert (condition in NOT_WORTH_RETRYING) is CONDITIONS[condition].permanent


def test_an_end_without_an_error() -> None:
    failure = Failure.of(Cause.from_peer(None, "close"))
    assert meant(failure) == Meant(False, PEER, may_be_a_messages=False)
    assert (failure.condition, failure.description) == (None, "the peer sent close without an error")
    assert Failure.of_error(None, "released").description == "released"
    assert Failure.of_error(error("amqp:not-found"), "unused").description is None


@pytest.mark.parametrize("condition", [None, "amqp:internal-error", "amqp:resource-limit-exceeded"])
def test_a_transport_that_broke_and_silence_are_temporary(condition: str | None) -> None:
    """Whatever went out to the peer over it."""
    said = None if condition is None else error(condition)
    for kind, found in ((CauseKind.TRANSPORT, None), (CauseKind.TIMEOUT, "amqp:internal-error")):
        failure = Failure.of(Cause(kind, said, "it is over"))
        assert meant(failure) == Meant(False, NETWORK, may_be_a_messages=False)
        assert (failure.condition, failure.description, failure.info) == (found, "it is over", None)


@pytest.mark.parametrize(
    ("kind", "condition", "expected"),
    [
        (CauseKind.SASL, "amqp:unauthorized-access", Meant(True, OURS, False, unauthorized=True)),
        (CauseKind.SASL, "amqp:not-allowed", Meant(True, PEER, False)),  # its authentication has failed for good
        (CauseKind.SASL, "amqp:internal-error", Meant(False, PEER, False)),  # for now
        (CauseKind.PROTOCOL, "amqp:connection:framing-error", Meant(True, PEER, False)),
        (CauseKind.PROTOCOL, "amqp:decode-error", Meant(True, PEER, False)),
        (CauseKind.PROTOCOL, "amqp:internal-error", Meant(False, PEER, False)),
        (CauseKind.LOCAL, None, Meant(False, OURS, False)),
        (CauseKind.LOCAL, "amqp:internal-error", Meant(False, OURS, False)),
        (CauseKind.LOCAL, "amqp:not-allowed", Meant(True, OURS, False)),
    ],
)
def test_what_ended_on_this_side(kind: CauseKind, condition: str | None, expected: Meant) -> None:
    said = None if condition is None else error(condition, "as the peer reads it", {Symbol("x"): 1})
    failure = Failure.of(Cause(kind, said, "as we say it"))
    assert meant(failure) == expected
    assert (failure.condition, failure.description, failure.info) == (condition, "as we say it", None)


@pytest.mark.parametrize("kind", CauseKind)
def test_a_cause_of_whatever_kind(kind: CauseKind) -> None:
    for said in (None, error("amqp:not-found"), error("com.example:x", "d", {})):
        failure = Failure.of(Cause(kind, said, "text"))
        assert isinstance(failure.fault, Fault)
        assert pickle.loads(pickle.dumps(failure)) == failure


@pytest.mark.parametrize(
    ("info", "redirect"),
    [
        (None, Redirect()),
        ({}, Redirect()),
        (
            {"network-host": "10.0.0.1", "port": 5671, "hostname": "b.example", "address": "q2"},
            Redirect("10.0.0.1", 5671, "b.example", "q2"),
        ),
        ({"port": 65535}, Redirect(port=65535)),
        ({"port": 0}, Redirect()),
        ({"port": 65536}, Redirect()),
        ({"port": "5671"}, Redirect()),
        ({"port": True}, Redirect()),
        ({"network-host": b"10.0.0.1", "hostname": "", "address": 7}, Redirect()),
        ({"path": "/elsewhere"}, Redirect()),
    ],
)
@pytest.mark.parametrize("condition", ["amqp:connection:redirect", "amqp:link:redirect"])
def test_where_to_go_instead(condition: str, info: dict[str, Any] | None, redirect: Redirect) -> None:
    fields = None if info is None else {Symbol(key): value for key, value in info.items()}
    assert Failure.of_error(error(condition, None, fields), "").redirect == redirect
    assert Failure.of_error(error("amqp:connection:forced", None, fields), "").redirect is None


def failure_of(client: Client) -> Failure:
    cause = client.owner.causes[0]
    assert cause is not None
    return Failure.of(cause)


def test_a_redirect_as_it_comes_over_the_wire() -> None:
    client = Client(EngineConfig("me"))
    client.peer.accept_open()
    info = {"network-host": "b", "hostname": "c", "port": codec.ushort(5671)}
    client.peer.send("close", error=codec.error("amqp:connection:redirect", "not here", info))
    failure = failure_of(client)
    assert meant(failure) == CONDITIONS["amqp:connection:redirect"]
    assert failure.redirect == Redirect("b", 5671, "c")
    assert failure.redirect is not None
    assert type(failure.redirect.port) is int
    assert type(failure.redirect.host) is str


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, Meant(True, OURS, False, unauthorized=True)),
        (2, Meant(False, PEER, False)),
        (3, Meant(True, PEER, False)),
        (4, Meant(False, PEER, False)),
    ],
)
def test_a_login_that_is_refused(code: int, expected: Meant) -> None:
    client = Client(EngineConfig("me", mechanisms=(sasl.Plain("me", "pw"),)))
    client.peer.accept_sasl(["PLAIN"], code=code)
    assert meant(failure_of(client)) == expected


def test_a_connection_that_is_cut_and_one_that_falls_silent() -> None:
    cut = Client(EngineConfig("me"))
    cut.peer.accept_open()
    cut.receive(b"")
    assert meant(failure_of(cut)) == Meant(False, NETWORK, False)
    silent = Client(EngineConfig("me", idle_timeout=5.0))
    silent.peer.accept_open()
    deadline = silent.engine.next_deadline()
    while deadline is not None and not silent.owner.causes:
        silent.tick(deadline)
        deadline = silent.engine.next_deadline()
    assert meant(failure_of(silent)) == Meant(False, NETWORK, False)
