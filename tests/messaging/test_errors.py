"""The tree of errors, what each says, and that each survives a pickle and a copy."""

from __future__ import annotations

import asyncio
import builtins
import copy
import inspect
import pickle
import subprocess
import sys
from typing import Any

import pytest

from uamqp import messaging
from uamqp.codec import Error, Modified, Rejected, Released, Symbol
from uamqp.messaging import errors
from uamqp.messaging.errors import (
    AMQPError,
    ConnectFailed,
    ConnectionRedirected,
    LinkRedirected,
    MessageRejected,
    NodeNotFound,
    NotAccepted,
    OperationTimeout,
    OutcomeTimeout,
    SendError,
    SendManyFailed,
    SendTimeout,
)

TREE = """
AMQPError: Exception
    UsageError: RuntimeError
        ClosedError
        WrongLoopError
        ForkedError
        AlreadySettled
        ReadOnlyMessage
    ConfigurationError: ValueError
    ConnectionFailure
        ConnectFailed
        AuthenticationFailed
        TLSFailed
        ConnectionLost
        ConnectionClosed
            ConnectionForced
            ConnectionRedirected
    SessionEnded
    LinkFailure
        NodeNotFound
        AccessDenied
        LinkRefused
            FilterRefused
            AnonymousRelayUnsupported
        LinkDetached
            DetachForced
            LinkStolen
            NodeDeleted
            ResourceLimitExceeded
            LinkRedirected
    SendError
        NotSent
            SendTimeout: TimeoutError
            MessageTooLarge
            SendCancelled
        NotAccepted
            MessageRejected
            MessageReleased
            MessageModified
        OutcomeUnknown
            OutcomeTimeout: TimeoutError
    OperationTimeout: TimeoutError
    BufferFull
    SendManyFailed
    SettlementLost
"""

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, AMQPError) and not name.startswith("_")
}
TIMEOUTS = (OperationTimeout, SendTimeout, OutcomeTimeout)


class OfTheApplication(SendTimeout):
    """As programs may derive from an error, with a constructor of their own."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}", condition="app:late")
        self.number = number


def rows() -> list[tuple[str, tuple[str, ...], str]]:
    """For each class: its name, the names of all classes of the tree above it, and a builtin class."""
    found = []
    above: list[str] = []
    for line in TREE.split("\n")[1:-1]:
        depth = (len(line) - len(line.lstrip())) // 4
        name, _, builtin = line.strip().partition(": ")
        above[depth:] = [name]
        found.append((name, tuple(above[:-1]), builtin))
    return found


@pytest.mark.parametrize(("name", "above", "builtin"), rows())
def test_the_tree(name: str, above: tuple[str, ...], builtin: str) -> None:
    kind = CLASSES[name]
    public = {other for other in CLASSES if issubclass(kind, CLASSES[other])}
    assert public == {name, *above}
    if builtin:
        assert issubclass(kind, getattr(builtins, builtin))


def test_the_tree_has_every_class_and_each_is_exported() -> None:
    assert {name for name, _, _ in rows()} == set(CLASSES)
    assert set(CLASSES) <= set(messaging.__all__)
    assert all(getattr(messaging, name) is kind for name, kind in CLASSES.items())


def test_the_names_of_the_package_are_there() -> None:
    assert len(set(messaging.__all__)) == len(messaging.__all__)
    assert all(hasattr(messaging, name) for name in messaging.__all__)


def filled(kind: type[AMQPError]) -> AMQPError:
    """An error with all that its class can have."""
    known: dict[str, Any] = {
        "condition": Symbol("amqp:internal-error"),
        "description": "as they say",
        "info": {Symbol("queue"): "q1", Symbol("network-host"): "b", Symbol("port"): 5671},
        "is_temporary": not kind.is_temporary,
        "hint": "Do this.",
        "attempts": (("mq1:5671", NodeNotFound("not there", condition="amqp:not-found")), ("mq2:5671", AMQPError("x"))),
        "delivery": object(),
        "outcome": Rejected(Error(Symbol("amqp:not-allowed"), "no", {Symbol("a"): [1]})),
        "report": object(),
    }
    names = inspect.signature(kind.__init__).parameters
    return kind("it happened", **{name: value for name, value in known.items() if name in names})


def seen(error: AMQPError) -> dict[str, Any]:
    """All that an error has: what is stored, and what its class makes of that."""
    names = {name for name in (*vars(error), *dir(type(error))) if not name.startswith("_")}
    names -= {*dir(OSError)}
    return {name: getattr(error, name) for name in names} | {"text": str(error), "args": error.args}


def comparable(value: Any) -> Any:
    """Errors are the same only if they are one: by class, and by all that they have."""
    if isinstance(value, AMQPError):
        return type(value), comparable(seen(value))
    if isinstance(value, dict):
        return {name: comparable(part) for name, part in value.items()}
    return tuple(comparable(part) for part in value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("how", ["copy", "deepcopy", *range(2, pickle.HIGHEST_PROTOCOL + 1)])
@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_pickle_and_a_copy_have_all_but_what_is_live(kind: type[AMQPError], how: str | int) -> None:
    error = filled(kind)
    expected = comparable(seen(error))
    expected |= {name: None for name in ("delivery", "report") if name in expected}
    again = pickle.loads(pickle.dumps(error, how)) if isinstance(how, int) else getattr(copy, how)(error)
    assert type(again) is type(error)
    assert comparable(seen(again)) == expected
    assert str(again) == "it happened: as they say (amqp:internal-error). Do this."
    if issubclass(kind, (SendError, SendManyFailed)):
        assert "object" in repr(error.__dict__)  # it was there


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_an_error_of_its_text_alone(kind: type[AMQPError]) -> None:
    error = kind("it happened")
    assert str(error) == "it happened"
    assert (error.condition, error.description, error.info) == (None, None, None)
    assert error.is_temporary is kind.is_temporary
    assert pickle.loads(pickle.dumps(error)).args == ("it happened",)


def test_what_an_application_derives_or_adds_survives_as_well() -> None:
    error = OfTheApplication(7)
    error.note = ["more"]  # type: ignore[attr-defined]
    error.delivery = lambda: None  # type: ignore[assignment]  # can't be pickled
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert isinstance(again, OfTheApplication)
    assert (again.number, again.note, again.delivery) == (7, ["more"], None)  # type: ignore[attr-defined]
    assert str(again) == str(error) == "number 7 (app:late)"


def test_an_error_that_is_one_of_its_own_attempts() -> None:
    error = ConnectFailed("it failed")
    error.attempts = (("mq1:5671", error),)
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert again.attempts == (("mq1:5671", again),)


@pytest.mark.parametrize("kind", TIMEOUTS)
def test_time_outs_are_those_of_python_and_of_asyncio(kind: type[AMQPError]) -> None:
    error = kind("too late")
    again = pickle.loads(pickle.dumps(error))
    for each in (error, again, copy.copy(error)):
        assert isinstance(each, kind)
        assert isinstance(each, TimeoutError)
        assert isinstance(each, asyncio.TimeoutError)
        assert type(each).__name__ == kind.__name__
    with pytest.raises(asyncio.TimeoutError):
        raise error
    assert type(again) is type(error)


WITHOUT_ASYNCIO = """
import pickle, sys
from uamqp.messaging.errors import OperationTimeout, SendTimeout
early = SendTimeout("early", condition="c", delivery=1)
assert isinstance(early, TimeoutError)
assert pickle.loads(pickle.dumps(early)).condition == "c"
assert "asyncio" not in sys.modules, "loaded"
import asyncio
late = SendTimeout("late", condition="c", delivery=1)
assert isinstance(late, SendTimeout) and isinstance(late, asyncio.TimeoutError)
assert (str(late), late.condition, late.delivery) == ("late (c)", "c", 1)
assert type(late) is type(SendTimeout("again")) is type(pickle.loads(pickle.dumps(early)))
assert not isinstance(OperationTimeout("other"), SendTimeout)
print(f"{type(late).__module__}.{type(late).__qualname__}")
"""


def test_asyncio_is_not_loaded_for_time_outs() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_ASYNCIO], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("uamqp.messaging.errors.SendTimeout\n", "")


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({}, "it happened"),
        ({"description": "no queue"}, "it happened: no queue"),
        ({"condition": "amqp:not-found"}, "it happened (amqp:not-found)"),
        ({"condition": "c", "description": "no queue."}, "it happened: no queue (c)"),
        (
            {"condition": "c", "description": "no queue", "hint": "Declare it."},
            "it happened: no queue (c). Declare it.",
        ),
        ({"description": "no queue.", "hint": "Declare it."}, "it happened: no queue. Declare it."),
        ({"hint": "Declare it."}, "it happened. Declare it."),
        ({"description": ""}, "it happened"),
        ({"description": "two\r\n  lines\tand\x1b[31m red\ud800"}, r"it happened: two lines and\x1b[31m red\ud800"),
        ({"condition": "a\nb"}, "it happened (a b)"),
        ({"description": "x" * 600}, f"it happened: {'x' * 500}... (100 more characters)"),
    ],
)
def test_the_text_is_one_sentence(details: dict[str, str], text: str) -> None:
    error = AMQPError("it happened", **details)  # type: ignore[arg-type]
    assert str(error) == text
    assert error.description == details.get("description")  # as the peer said it


def test_symbols_become_text() -> None:
    error = AMQPError("it happened", condition=Symbol("amqp:not-found"), info={Symbol("a"): Symbol("b"), 1: 2})
    assert type(error.condition) is str
    assert error.info == {"a": "b", "1": 2}
    assert {type(key) for key in error.info} == {str}


@pytest.mark.parametrize("kind", [ConnectionRedirected, LinkRedirected])
def test_where_to_go_instead(kind: type[ConnectionRedirected | LinkRedirected]) -> None:
    info = {Symbol("network-host"): "10.0.0.1", Symbol("port"): 5671, Symbol("hostname"): "b", Symbol("address"): "q2"}
    error = kind("not here", info=info)
    assert (error.host, error.port, error.hostname) == ("10.0.0.1", 5671, "b")
    assert getattr(error, "address", None) == ("q2" if kind is LinkRedirected else None)
    nowhere = kind("not here", info={"port": "x"})
    assert (nowhere.host, nowhere.port, nowhere.hostname) == (None, None, None)
    assert kind("not here").host is None


def test_who_rejected_a_message_and_why() -> None:
    error = MessageRejected("rejected", description="maximum length reached", info={Symbol("queue"): Symbol("q1")})
    assert (error.queue, error.reason) == ("q1", "maximum length reached")
    assert type(error.queue) is str
    assert MessageRejected("rejected", info={"queue": b"q1"}).queue is None
    assert (MessageRejected("rejected").queue, MessageRejected("rejected").reason) == (None, None)


@pytest.mark.parametrize("outcome", [Rejected(), Released(), Modified(True, False, {Symbol("x-a"): 1}), None])
def test_outcomes_travel(outcome: Rejected | Released | Modified | None) -> None:
    error = NotAccepted("not accepted", outcome=outcome)
    assert error.outcome is outcome
    assert pickle.loads(pickle.dumps(error)).outcome == outcome
