"""The peer's codec against python-qpid-proton's. Needs the extra `interop`, without which it is skipped by name."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest

from tests.peer import codec
from tests.peer.codec import Array, Described, decode, encode, sym, symbols, uint

proton = pytest.importorskip("proton", reason="python-qpid-proton is not installed (pip install '.[interop]')")

THE_UUID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")

_BY_PROTON: list[tuple[str, Any]] = [
    ("put_bool", True),
    ("put_ubyte", 200),
    ("put_byte", -3),
    ("put_ushort", 60000),
    ("put_short", -3),
    ("put_uint", 3_000_000_000),
    ("put_int", -3),
    ("put_char", "\u20ac"),
    ("put_ulong", 2**63),
    ("put_long", -3),
    ("put_timestamp", 1234567890123),
    ("put_float", 0.5),
    ("put_double", math.pi),
    ("put_uuid", THE_UUID),
    ("put_binary", b"\x00\x01"),
    ("put_string", "\u20ac\x00"),
    ("put_symbol", "amqp:x"),
]


def _proton_data() -> Any:
    return proton.Data()


@pytest.mark.parametrize(("method", "value"), _BY_PROTON)
def test_proton_writes_what_this_reads_and_reads_what_this_writes(method: str, value: Any) -> None:
    data = _proton_data()
    getattr(data, method)(value)
    written = data.encode()
    ours = decode(written)
    kind = method.removeprefix("put_")
    assert isinstance(ours, bool) or ours.kind == kind
    assert ours == value or ours is value
    back = _proton_data()
    back.decode(encode(ours))
    back.rewind()
    back.next()
    assert type(back.type()) is int
    assert back.type_name(back.type()) == kind
    assert getattr(back, f"get_{kind}")() == value


def test_proton_and_compound_values() -> None:
    data = _proton_data()
    data.put_described()
    data.enter()
    data.put_ulong(0x28)
    data.put_list()
    data.enter()
    data.put_string("queue")
    data.put_uint(2)
    data.exit()
    data.exit()
    assert decode(data.encode()) == codec.source(address="queue", durable=2)

    data = _proton_data()
    data.put_array(False, data.SYMBOL)
    data.enter()
    data.put_symbol("a")
    data.put_symbol("bc")
    data.exit()
    assert decode(data.encode()) == symbols("a", "bc")

    data = _proton_data()
    data.put_array(True, data.INT)
    data.enter()
    data.put_symbol("d")
    data.put_int(1)
    data.put_int(-1000)
    data.exit()
    assert decode(data.encode()) == Array(0x71, [codec.int_(1), codec.int_(-1000)], sym("d"))

    for value in (symbols("a", "bc"), [uint(1), {"k": [None, b"x"]}], Described(sym("d"), ["v"])):
        back = _proton_data()
        encoded = encode(value)
        assert back.decode(encoded) == len(encoded)
        assert decode(back.encode()) == value
