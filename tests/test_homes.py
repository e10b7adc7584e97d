"""Each constant of the protocol has one home; what the 1.6 API repeats, by names of its own, is the same."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from uamqp import codec, constants
from uamqp.codec import definitions
from uamqp.constants import ErrorCodes, ReceiverSettleMode, SenderSettleMode
from uamqp.engine import conditions, limits, terms
from uamqp.transport.sansio.endpoint import AMQP_PORT, AMQPS_PORT, default_port

SRC = Path(__file__).parent.parent / "src" / "uamqp"
OF_1_6 = "classic/vocabulary/constants.py"

MODES = {"UNSETTLED", "SETTLED", "MIXED", "FIRST", "SECOND"}


@functools.cache
def nodes() -> list[tuple[str, ast.Assign | ast.Constant]]:
    """Every constant and every assignment, with its file."""
    return [
        (path.relative_to(SRC).as_posix(), node)
        for path in sorted(SRC.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.Assign, ast.Constant))
    ]


def literals(value: Any) -> set[str]:
    """The files in which a number or text stands by itself."""
    return {
        name
        for name, node in nodes()
        if isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value
    }


def numbers() -> Iterator[tuple[str, str]]:
    """The names that are given a number, or several, in modules and classes; and the file of each."""
    for name, node in nodes():
        if isinstance(node, ast.Assign) and all(
            isinstance(part, ast.Constant) and type(part.value) is int for part in parts(node.value)
        ):
            for target in node.targets:
                yield from ((part.id, name) for part in parts(target) if isinstance(part, ast.Name))


def parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def named(words: set[str]) -> set[str]:
    """The files with a constant number whose name ends with one of these words."""
    return {file for name, file in numbers() if name.upper().split("_")[-1] in words and not name.islower()}


def test_the_format_of_a_batch() -> None:
    assert literals(0x80013700) == {"codec/sections.py", OF_1_6}
    assert constants.BATCH_MESSAGE_FORMAT == codec.BATCH_FORMAT


def test_settle_modes() -> None:
    assert named(MODES) == {"codec/definitions.py", OF_1_6}
    assert {
        SenderSettleMode.Unsettled: terms.MODE_UNSETTLED,
        SenderSettleMode.Settled: terms.MODE_SETTLED,
        SenderSettleMode.Mixed: terms.MODE_MIXED,
    } == constants.SENDER_SETTLE_MODE_WIRE
    assert {
        ReceiverSettleMode.PeekLock: terms.MODE_SECOND,
        ReceiverSettleMode.ReceiveAndDelete: terms.MODE_FIRST,
    } == constants.RECEIVER_SETTLE_MODE_WIRE
    assert [*codec.SenderSettleMode] == [terms.MODE_UNSETTLED, terms.MODE_SETTLED, terms.MODE_MIXED] == [0, 1, 2]
    assert [*codec.ReceiverSettleMode] == [terms.MODE_FIRST, terms.MODE_SECOND] == [0, 1]
    assert {type(mode) for name, mode in vars(terms).items() if name.startswith("MODE_")} == {int}


def test_the_size_of_a_delivery_tag() -> None:
    assert named({"TAG"}) == {"engine/limits.py"}
    assert limits.MAX_DELIVERY_TAG == 32


def test_ports() -> None:
    assert named({"PORT"}) == {"transport/sansio/endpoint.py", OF_1_6}
    assert (constants.DEFAULT_AMQP_PORT, constants.DEFAULT_AMQPS_PORT) == (AMQP_PORT, AMQPS_PORT)
    assert default_port(is_tls=True, is_websocket=True) == constants.DEFAULT_AMQP_WSS_PORT


@pytest.mark.parametrize(
    "condition",
    [
        value
        for group in (
            definitions.AmqpError,
            definitions.ConnectionError,
            definitions.SessionError,
            definitions.LinkError,
            definitions.TransactionError,
        )
        for name, value in vars(group).items()
        if name.isupper()
    ],
)
def test_conditions(condition: str) -> None:
    found = {name for name in literals(str(condition)) if not name.startswith("testing/")}  # written as its users do
    assert found - {OF_1_6} == {"codec/definitions.py"}
    if not condition.startswith("amqp:transaction:"):
        assert ErrorCodes(condition).value == condition
        assert condition in vars(conditions).values()


def test_the_bytes_of_a_message_are_the_codecs() -> None:
    """The classic message says what it wants written, and reads what the codec has found: it knows no encodings."""
    home = SRC / "classic" / "message"
    written = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for path in home.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, bytes)
            and not node.value.decode("latin-1").isprintable()
        )
        or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append") and is_number(node.args[0]))
        or (isinstance(node, ast.Compare) and "payload[" in ast.unparse(node))
    ]
    assert written == []


def is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int
