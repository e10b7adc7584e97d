"""Every body type and every AMQP type through each broker, and between our clients and python-qpid-proton."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from uamqp import Message, codec, types
from uamqp.constants import MessageBodyType

from .brokerfacts import RealBroker
from .clients import receiver, sender, take

UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
TEXT = "t\u00e9xt \U0001f600 \x00 end"


class Case(NamedTuple):
    """A value as we send it, as our 1.6 API reads it, and proton's class and value for it."""

    ours: Any
    read: Any
    proton_type: str
    proton: Any


CASES: dict[str, Case] = {
    "null": Case(None, None, "NoneType", None),
    "true": Case(True, True, "bool", True),
    "false": Case(False, False, "bool", False),
    "ubyte": Case(types.AMQPuByte(255), 255, "ubyte", 255),
    "ushort": Case(types.AMQPuShort(65535), 65535, "ushort", 65535),
    "uint": Case(types.AMQPuInt(2**32 - 1), 2**32 - 1, "uint", 2**32 - 1),
    "uint 0": Case(types.AMQPuInt(0), 0, "uint", 0),
    "ulong": Case(types.AMQPuLong(2**64 - 1), 2**64 - 1, "ulong", 2**64 - 1),
    "ulong 7": Case(types.AMQPuLong(7), 7, "ulong", 7),
    "byte": Case(types.AMQPByte(-128), -128, "byte", -128),
    "short": Case(types.AMQPShort(-32768), -32768, "short", -32768),
    "int": Case(types.AMQPInt(-(2**31)), -(2**31), "int32", -(2**31)),
    "long": Case(types.AMQPLong(-(2**63)), -(2**63), "int", -(2**63)),
    "float": Case(codec.Float(0.25), 0.25, "float32", 0.25),
    "double": Case(1.5, 1.5, "float", 1.5),
    "char": Case(types.AMQPChar("\U0001f600"), "\U0001f600", "char", "\U0001f600"),
    "timestamp": Case(codec.Timestamp(1_700_000_000_123), 1_700_000_000_123, "timestamp", 1_700_000_000_123),
    "uuid": Case(UUID, UUID, "UUID", UUID),
    "binary": Case(bytearray(b"\x00\xff"), b"\x00\xff", "bytes", b"\x00\xff"),
    "string": Case(TEXT, TEXT.encode(), "str", TEXT),
    "empty string": Case("", b"", "str", ""),
    "long string": Case("x" * 300, b"x" * 300, "str", "x" * 300),
    "symbol": Case(types.AMQPSymbol("sym"), b"sym", "symbol", "sym"),
    "list": Case([1, "a", None, [True]], [1, b"a", None, [True]], "list", [1, "a", None, [True]]),
    "list of one": Case(["a"], [b"a"], "list", ["a"]),
    "empty list": Case([], [], "list", []),
    "map": Case({"k": 1, "n": {"m": [2]}}, {b"k": 1, b"n": {b"m": [2]}}, "dict", {"k": 1, "n": {"m": [2]}}),
    "empty map": Case({}, {}, "dict", {}),
    "array": Case(types.AMQPArray([1, 2, 3]), [1, 2, 3], "Array", [1, 2, 3]),
    "array of symbols": Case(
        types.AMQPArray([types.AMQPSymbol("a"), types.AMQPSymbol("b")]), [b"a", b"b"], "Array", ["a", "b"]
    ),
    "described": Case(
        types.AMQPDescribed(types.AMQPSymbol("example:type"), "v"), b"v", "Described", ("example:type", "v")
    ),
    "decimal32": Case(codec.Decimal32.from_decimal(Decimal("1.5")), Decimal("1.5"), "decimal32", None),
    "decimal64": Case(codec.Decimal64.from_decimal(Decimal("-2.25")), Decimal("-2.25"), "decimal64", None),
    "decimal128": Case(Decimal("12345678901234567890.5"), Decimal("12345678901234567890.5"), "decimal128", None),
}


def cases(broker: RealBroker) -> dict[str, Case]:
    """The values that the broker lets through."""
    if broker.takes_list_value:
        return CASES
    return {name: case for name, case in CASES.items() if not (isinstance(case.ours, list) and len(case.ours) > 1)}


def value_message(name: str, value: Any) -> Message:
    return Message(value, body_type=MessageBodyType.Value, application_properties={"case": name})


def test_values_between_our_clients(broker: RealBroker, queue: str) -> None:
    chosen = cases(broker)
    with sender(broker, broker.address(queue)) as client:
        client.queue_message(*[value_message(name, case.ours) for name, case in chosen.items()])
        client.send_all_messages()
    with receiver(broker, broker.address(queue)) as client:
        got = take(client, len(chosen))
    read = {message.application_properties[b"case"].decode(): message.get_data() for message in got}
    assert read == {name: case.read for name, case in chosen.items()}
    assert {name: type(value) for name, value in read.items()} == {
        name: type(case.read) for name, case in chosen.items()
    }


def described_by_proton(value: Any) -> tuple[str, Any]:
    """A value that proton received: its type's name, and what to compare."""
    kind = type(value).__name__
    if kind in {"decimal32", "decimal64", "decimal128"}:
        return kind, None
    if kind == "Described":
        return kind, (str(value.descriptor), value.value)
    if kind == "Array":
        return kind, [str(item) if isinstance(item, str) else item for item in value.elements]
    if isinstance(value, memoryview):
        return "bytes", bytes(value)
    return kind, value


def test_values_to_proton(broker: RealBroker, queue: str, proton: None) -> None:
    """What we send keeps its AMQP type."""
    from .protonclient import connect_to

    chosen = cases(broker)
    with sender(broker, broker.address(queue)) as client:
        client.queue_message(*[value_message(name, case.ours) for name, case in chosen.items()])
        client.send_all_messages()
    got: dict[str, Any] = {}
    with connect_to(broker) as other:
        link = other.receiver(broker.address(queue), credit=len(chosen))
        for _ in chosen:
            message = link.receive()
            got[message.properties["case"]] = described_by_proton(message.body)
            link.accept()
    assert got == {name: (case.proton_type, case.proton) for name, case in chosen.items()}


def proton_values() -> dict[str, Any]:
    import proton

    return {
        "null": None,
        "true": True,
        "false": False,
        "ubyte": proton.ubyte(255),
        "ushort": proton.ushort(65535),
        "uint": proton.uint(2**32 - 1),
        "uint 0": proton.uint(0),
        "ulong": proton.ulong(2**64 - 1),
        "ulong 7": proton.ulong(7),
        "byte": proton.byte(-128),
        "short": proton.short(-32768),
        "int": proton.int32(-(2**31)),
        "long": -(2**63),
        "float": proton.float32(0.25),
        "double": 1.5,
        "char": proton.char("\U0001f600"),
        "timestamp": proton.timestamp(1_700_000_000_123),
        "uuid": UUID,
        "string": TEXT,
        "empty string": "",
        "long string": "x" * 300,
        "symbol": proton.symbol("sym"),
        "list": [1, "a", None, [True]],
        "list of one": ["a"],
        "empty list": [],
        "map": {"k": 1, "n": {"m": [2]}},
        "empty map": {},
        "array": proton.Array(proton.UNDESCRIBED, proton.Data.INT, 1, 2, 3),
        "array of symbols": proton.Array(
            proton.UNDESCRIBED, proton.Data.SYMBOL, proton.symbol("a"), proton.symbol("b")
        ),
        "described": proton.Described(proton.symbol("example:type"), "v"),
    }


def test_values_from_proton(broker: RealBroker, queue: str, proton: None) -> None:
    import proton as qpid

    from .protonclient import connect_to

    values = {name: value for name, value in proton_values().items() if name in cases(broker)}
    if not broker.takes_no_body:
        del values["null"]  # proton sends no body for it
    with connect_to(broker) as other:
        link = other.sender(broker.address(queue))
        for name, value in values.items():
            link.send(qpid.Message(body=value, properties={"case": name}))
    with receiver(broker, broker.address(queue)) as client:
        got = take(client, len(values))
    read = {}
    for message in got:
        name = message.application_properties[b"case"].decode()
        data = message.get_data()
        if name == "null" and not broker.keeps_no_body:
            data = None if list(data) == [b""] else data
        read[name] = data
    assert read == {name: CASES[name].read for name in values}


def send_and_take(broker: RealBroker, queue: str, message: Message) -> Any:
    with sender(broker, broker.address(queue)) as client:
        client.send_message(message)
    with receiver(broker, broker.address(queue)) as client:
        (got,) = take(client, 1)
    return got.get_data()


@pytest.mark.parametrize(
    ("body", "body_type", "expected"),
    [
        (b"data", MessageBodyType.Data, [b"data"]),
        ("text", MessageBodyType.Data, [b"text"]),
        (b"", MessageBodyType.Data, [b""]),
        ([1, "a", None], MessageBodyType.Sequence, [[1, b"a", None]]),
        ({"k": "v"}, MessageBodyType.Value, {b"k": b"v"}),
        (b"data", None, [b"data"]),
        ({"k": "v"}, None, {b"k": b"v"}),
    ],
    ids=["data", "text", "empty data", "sequence", "value", "no type: data", "no type: value"],
)
def test_bodies(broker: RealBroker, queue: str, body: Any, body_type: MessageBodyType | None, expected: Any) -> None:
    data = send_and_take(broker, queue, Message(body, body_type=body_type))
    assert (data if isinstance(expected, dict) else list(data)) == expected


@pytest.mark.brokers("keeps_sections")
@pytest.mark.parametrize(
    ("body", "body_type", "expected"),
    [
        ([b"one", b"two", "three"], MessageBodyType.Data, [b"one", b"two", b"three"]),
        ([[1, "a"], [2]], MessageBodyType.Sequence, [[1, b"a"], [2]]),
    ],
    ids=["data", "sequences"],
)
def test_bodies_of_several_sections(
    broker: RealBroker, queue: str, body: Any, body_type: MessageBodyType, expected: Any
) -> None:
    assert list(send_and_take(broker, queue, Message(body, body_type=body_type))) == expected
