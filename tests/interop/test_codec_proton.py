"""The codec against python-qpid-proton's: what one encodes, the other decodes to the same, for all types."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.values import SCALARS, SYMBOLS, arrays
from tests.support.vectors import CANONICAL, OTHERS
from uamqp.codec import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Header,
    Long,
    Properties,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    decode_composite,
    decode_value,
    encode_value,
    scan_sections,
    sections,
)

from .conftest import HAS_PROTON

if HAS_PROTON:
    import proton
    from proton import Data


@pytest.fixture(autouse=True)
def has_proton(request: pytest.FixtureRequest) -> None:
    if not HAS_PROTON:
        message = "python-qpid-proton is not installed; `make interop` installs it"
        if request.config.getoption("--require-brokers"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


def to_proton(value: Any) -> Any:
    """Our typed value as proton's."""
    if type(value) is list:
        return [to_proton(item) for item in value]
    if type(value) is dict:
        return {to_proton(key): to_proton(item) for key, item in value.items()}
    if type(value) is Described:
        return proton.Described(to_proton(value.descriptor), to_proton(value.value))
    if type(value) is Array:
        descriptor = to_proton(value.descriptor) if value.descriptors else proton.UNDESCRIBED
        code = getattr(Data, {"boolean": "BOOL"}.get(value.element or "", str(value.element).upper()))
        return proton.Array(descriptor, code, *[to_proton(item) for item in value])
    if type(value) in (Decimal32, Decimal64):
        kind = proton.decimal32 if type(value) is Decimal32 else proton.decimal64
        return kind(int.from_bytes(value.raw, "big"))
    if type(value) is Decimal128:
        return proton.decimal128(value.raw)
    scalars = {
        UByte: proton.ubyte,
        UShort: proton.ushort,
        UInt: proton.uint,
        ULong: proton.ulong,
        Byte: proton.byte,
        Short: proton.short,
        int: proton.int32,
        Long: int,
        Float: proton.float32,
        Char: proton.char,
        Timestamp: proton.timestamp,
        Symbol: proton.symbol,
    }
    convert = scalars.get(type(value))
    return convert(value) if convert else value


def from_proton(data: Any) -> Any:
    """The value that proton's cursor stands on, as ours."""
    kind = data.type()
    if kind == Data.LIST:
        return [from_proton(data) for _ in entered(data)]
    if kind == Data.MAP:
        flat = [from_proton(data) for _ in entered(data)]
        return dict(zip(flat[::2], flat[1::2], strict=True))
    if kind == Data.DESCRIBED:
        return Described(*[from_proton(data) for _ in entered(data)])
    if kind == Data.ARRAY:
        _, described, element = data.get_array()
        items = [from_proton(data) for _ in entered(data)]
        name = {"bool": "boolean"}.get(Data.type_names[element], Data.type_names[element])
        return Array(items[1:], name, items[:1]) if described else Array(items, name)
    simple: dict[int, Any] = {
        Data.NULL: lambda: None,
        Data.BOOL: data.get_bool,
        Data.UBYTE: lambda: UByte(data.get_ubyte()),
        Data.USHORT: lambda: UShort(data.get_ushort()),
        Data.UINT: lambda: UInt(data.get_uint()),
        Data.ULONG: lambda: ULong(data.get_ulong()),
        Data.BYTE: lambda: Byte(data.get_byte()),
        Data.SHORT: lambda: Short(data.get_short()),
        Data.INT: lambda: int(data.get_int()),
        Data.LONG: lambda: Long(data.get_long()),
        Data.FLOAT: lambda: Float(data.get_float()),
        Data.DOUBLE: data.get_double,
        Data.DECIMAL32: lambda: Decimal32(data.get_decimal32().to_bytes(4, "big")),
        Data.DECIMAL64: lambda: Decimal64(data.get_decimal64().to_bytes(8, "big")),
        Data.DECIMAL128: lambda: Decimal128(bytes(data.get_decimal128())),
        Data.CHAR: lambda: Char(data.get_char()),
        Data.TIMESTAMP: lambda: Timestamp(data.get_timestamp()),
        Data.UUID: data.get_uuid,
        Data.BINARY: lambda: bytes(data.get_binary()),
        Data.STRING: data.get_string,
        Data.SYMBOL: lambda: Symbol(data.get_symbol()),
    }
    return simple[kind]()


def entered(data: Any) -> Any:
    data.enter()
    while data.next():
        yield
    data.exit()


def proton_encode(value: Any) -> bytes:
    data = Data()
    data.put_object(to_proton(value))
    return bytes(data.encode())


def proton_decode(encoded: bytes) -> Any:
    data = Data()
    assert data.decode(encoded) == len(encoded)
    data.rewind()
    assert data.next()
    return from_proton(data)


def check(value: Any) -> None:
    assert repr(proton_decode(encode_value(value))) == repr(value)
    assert repr(decode_value(proton_encode(value))) == repr(value)


def within_proton(value: Any) -> bool:
    """Whether proton copes with it.

    It has one descriptor for an array's elements, no lists as keys, and mistakes what follows a described value
    whose value is described again for a part of that.
    """
    if isinstance(value, Array) and len(value.descriptors) > 1:
        return False
    if isinstance(value, list):
        return all(map(within_proton, value))
    if isinstance(value, dict):
        return all(within_proton(item) and type(key) is not tuple for key, item in value.items())
    if isinstance(value, Described):
        return type(value.value) is not Described and within_proton(value.value)
    return True


# The short forms without an element constructor are 1.6's, and no valid AMQP.
INVALID = ("e00100", "f00000000400000000")

VECTORS = [vector for vector in CANONICAL + OTHERS if within_proton(vector[1]) and vector[0] not in INVALID]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector[0][:24] for vector in VECTORS])
def test_vectors(vector: Any) -> None:
    check(vector[1])
    assert repr(proton_decode(bytes.fromhex(vector[0]))) == repr(vector[1])


@pytest.mark.parametrize("element", SCALARS)
@given(st.data())
def test_scalars(element: str, data: st.DataObject) -> None:
    check(data.draw(SCALARS[element]))


SCALAR = st.one_of(*SCALARS.values())
VALUES = st.recursive(
    SCALAR,
    lambda values: st.one_of(
        st.lists(values, max_size=5),
        st.dictionaries(SCALAR, values, max_size=5),
        st.builds(Described, SYMBOLS | SCALARS["ulong"], values),
        arrays(values),
    ),
    max_leaves=20,
).filter(within_proton)


@given(VALUES)
def test_compounds(value: Any) -> None:
    check(value)


def test_our_message_read_by_proton() -> None:
    identity = uuid.uuid4()
    out = bytearray(Header(True, 7, 1000, True, 2).encode())
    sections.append_section_header(out, sections.MESSAGE_ANNOTATIONS)
    out += encode_value({Symbol("x-opt-a"): UInt(300)})
    out += Properties(
        identity, b"me", "to", "subject", "reply", 5, Symbol("text/plain"), Symbol("gzip"),
        Timestamp(1), Timestamp(2), "group", 3, "reply-group",
    ).encode()  # fmt: skip
    sections.append_section_header(out, sections.APPLICATION_PROPERTIES)
    out += encode_value({"k": "v\0w", "n": ULong(2**63)})
    sections.append_section_header(out, sections.VALUE)
    out += encode_value(["body", b"\0", Array([Symbol("a")], "symbol")])
    message = proton.Message()
    message.decode(bytes(out))
    assert (message.durable, message.priority, message.ttl, message.first_acquirer) == (True, 7, 1.0, True)
    assert message.delivery_count == 2
    assert (message.id, message.user_id, message.address, message.subject) == (identity, b"me", "to", "subject")
    assert (message.reply_to, message.correlation_id) == ("reply", 5)
    assert (message.content_type, message.content_encoding) == ("text/plain", "gzip")
    assert (message.expiry_time, message.creation_time) == (0.001, 0.002)
    assert (message.group_id, message.group_sequence, message.reply_to_group_id) == ("group", 3, "reply-group")
    assert message.annotations == {"x-opt-a": 300}
    assert message.properties == {"k": "v\0w", "n": 2**63}
    assert message.body[:2] == ["body", b"\0"]


def test_protons_message_read_by_us() -> None:
    message = proton.Message(
        body=b"data", inferred=True, id="id-1", address="queue", subject="s", durable=True, priority=9, ttl=1.5,
        correlation_id=proton.ulong(7), properties={"k": "v"}, annotations={proton.symbol("x-opt-a"): 1},
        creation_time=1700000000.5, delivery_count=3,
    )  # fmt: skip
    payload = bytes(message.encode())
    found = {code: (start, end) for code, start, end in scan_sections(payload)}
    assert list(found) == [0x70, 0x72, 0x73, 0x74, 0x75]
    header = decode_composite(payload)[0]
    assert header == Header(True, 9, 1500, None, 3)
    properties = Properties.from_fields(decode_value(payload[slice(*found[0x73])]))
    assert properties == Properties(
        "id-1", None, "queue", "s", correlation_id=ULong(7), creation_time=Timestamp(1700000000500)
    )
    assert decode_value(payload[slice(*found[0x72])]) == {Symbol("x-opt-a"): 1}
    assert decode_value(payload[slice(*found[0x74])]) == {"k": "v"}
    assert payload[slice(*sections.binary_bounds(payload, *found[0x75]))] == b"data"
