"""Properties that hold for all values and all bytes (hypothesis)."""

from __future__ import annotations

import copy
import datetime
import math
import pickle
import struct
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.values import INT64, SCALAR, SCALARS, SYMBOLS, TEXT, VALUES
from uamqp.codec import (
    ACCEPTED,
    COMPOSITES_BY_CODE,
    Array,
    Composite,
    Coordinator,
    Declared,
    DecodeError,
    Decoder,
    DeleteOnClose,
    Error,
    Float,
    Modified,
    Received,
    Rejected,
    Released,
    Source,
    Symbol,
    Target,
    TransactionalState,
    decode_composite,
    decode_value,
    encode_value,
    scan_sections,
)


def shape(value: Any) -> Any:
    """The value with its types and signs, in all depths."""
    return repr(value)


@given(VALUES)
@example([])
@example({})
@example(Array([]))
@example("\0")
@example(Symbol("a\0b"))
def test_what_is_encoded_decodes_to_the_same(value: Any) -> None:
    encoded = encode_value(value)
    decoded = decode_value(encoded)
    if not (isinstance(value, Array) and value.element is None):
        assert shape(decoded) == shape(value)
        assert decoded == value
    assert encode_value(decoded) == encoded
    decoder = Decoder(encoded)
    decoder.skip()
    assert decoder.pos == len(encoded)
    for again in (copy.deepcopy(decoded), pickle.loads(pickle.dumps(decoded))):
        assert shape(again) == shape(decoded)


@given(VALUES)
def test_bare_decodes_to_plain_python(value: Any) -> None:
    plain = decode_value(encode_value(value), bare=True)

    def check(item: Any) -> None:
        kinds = (type(None), bool, int, float, str, bytes, list, dict, tuple)
        assert type(item) in kinds or type(item).__name__ in ("Decimal", "UUID")
        if isinstance(item, dict):
            for pair in item.items():
                check(pair[0])
                check(pair[1])
        elif isinstance(item, (list, tuple)):
            for each in item:
                check(each)

    check(plain)


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), INT64, st.floats(allow_nan=False), st.binary(max_size=300), st.uuids()),
    lambda values: st.one_of(
        st.lists(values, max_size=5),
        st.dictionaries(st.one_of(st.binary(max_size=10), INT64), values, max_size=5),
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_bare_round_trip(value: Any) -> None:
    assert repr(decode_value(encode_value(value, bare=True), bare=True)) == repr(value)


@given(VALUES, st.data())
def test_every_prefix_is_an_error(value: Any, data: st.DataObject) -> None:
    encoded = encode_value(value)
    end = data.draw(st.integers(0, len(encoded) - 1))
    for bare in (False, True):
        try:
            decode_value(encoded[:end], bare)
        except DecodeError:
            continue
        raise AssertionError(f"{encoded[:end].hex()} is the prefix of a value, but decodes")


def decode_all(data: bytes) -> None:
    """Everything that takes bytes: a result, or DecodeError."""
    for bare in (False, True):
        try:
            value = decode_value(data, bare)
        except DecodeError:
            continue
        if not bare:
            # What was decoded can be encoded, and is the same again.
            again = decode_value(encode_value(value))
            assert shape(again) == shape(value)
    for function in (decode_composite, scan_sections):
        try:
            function(data)
        except DecodeError:
            pass
    try:
        Decoder(data).skip()
    except DecodeError:
        pass


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise(data: bytes) -> None:
    decode_all(data)


# Bytes that get further: constructors, sizes that are about right, and the descriptors that exist.
PIECES = st.one_of(
    st.sampled_from(
        [bytes([code]) for code in (0x40, 0x41, 0x43, 0x44, 0x45, 0x00, 0xC0, 0xD0, 0xC1, 0xE0, 0xF0, 0xA1)]
    ),
    st.sampled_from([bytes((0, 0x53, code)) for code in COMPOSITES_BY_CODE]),
    st.sampled_from([bytes((0, 0x53, code)) for code in range(0x70, 0x79)]),
    st.integers(0, 20).map(lambda size: bytes([size])),
    st.integers(0, 20).map(lambda size: struct.pack(">I", size)),
    SCALAR.map(encode_value),
)


@given(st.lists(PIECES, max_size=20).map(b"".join))
def test_bytes_that_look_like_amqp_decode_or_raise(data: bytes) -> None:
    decode_all(data)


@given(VALUES, st.data())
def test_damaged_encodings_decode_or_raise(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode_value(value))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    decode_all(bytes(encoded))


FIELDS = st.dictionaries(SYMBOLS, SCALAR, max_size=3)
ERRORS = st.builds(Error, SYMBOLS, st.none() | TEXT, st.none() | FIELDS)
OUTCOMES = st.one_of(
    st.just(ACCEPTED), st.just(Released()), st.builds(Rejected, st.none() | ERRORS), st.just(Modified(True))
)
STATES = st.one_of(
    OUTCOMES,
    st.builds(Received, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)),
    st.builds(Declared, st.binary(max_size=10)),
    st.builds(TransactionalState, st.binary(max_size=10), st.none() | OUTCOMES),
)
NODE_PROPERTIES = st.none() | st.just({Symbol("lifetime-policy"): DeleteOnClose()})
REQUIRED_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "source": st.builds(Source, TEXT, filter=st.none() | FIELDS, dynamic_node_properties=NODE_PROPERTIES),
    "target": st.one_of(st.builds(Target, TEXT), st.builds(Coordinator, st.lists(SYMBOLS).map(tuple))),
    "delivery-state": STATES,
    "outcome": OUTCOMES,
    "address": TEXT,
    "message-id": st.one_of(SCALARS["ulong"], st.uuids(), st.binary(max_size=10), TEXT),
    "txn-id": st.binary(max_size=32),
    "global-tx-id": SCALAR,
}


def field_values(field: Any) -> st.SearchStrategy[Any]:
    if field.type == "*":
        values = REQUIRED_TYPES[field.requires]
    elif field.type == "error":
        values = ERRORS
    elif field.name == "unsettled":
        values = st.dictionaries(st.binary(max_size=32), st.none() | STATES, max_size=3)
    elif field.base == "map":
        values = FIELDS
    elif field.highest is not None:
        values = st.integers(0, field.highest)
    else:
        values = SCALARS[field.base]
    if field.multiple:
        values = st.lists(values, max_size=4).map(tuple)
    return values if field.mandatory or field.multiple else st.just(field.default) | values


@st.composite
def composites(draw: st.DrawFn) -> Composite:
    cls = draw(st.sampled_from(list(COMPOSITES_BY_CODE.values())))
    return cls(*[draw(field_values(field)) for field in cls.FIELDS])


@given(composites())
def test_composites_round_trip(composite: Composite) -> None:
    encoded = composite.encode()
    decoded, end = decode_composite(encoded)
    assert end == len(encoded)
    assert decoded == composite
    assert shape(decoded) == shape(composite)
    assert decoded.encode() == encoded


@given(composites(), st.data())
def test_damaged_composites_decode_or_raise(composite: Composite, data: st.DataObject) -> None:
    encoded = bytearray(composite.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    decode_all(bytes(encoded))
    for end in range(len(encoded)):
        decode_all(bytes(encoded[:end]))


@given(st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc)))
def test_datetimes(value: datetime.datetime) -> None:
    decoded = decode_value(encode_value(value))
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    difference = aware - decoded.to_datetime()
    assert datetime.timedelta(0) <= difference < datetime.timedelta(milliseconds=1)


@given(st.floats(width=32))
def test_floats_keep_their_bits(value: float) -> None:
    assert encode_value(Float(value))[1:] == struct.pack(">f", value)
    decoded = decode_value(encode_value(Float(value)))
    assert decoded == value or (math.isnan(decoded) and math.isnan(value))
