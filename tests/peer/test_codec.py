"""Tests of the peer's codec: hand-written bytes, malformed ones, and python-qpid-proton."""

from __future__ import annotations

import struct
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import codec
from tests.peer.codec import (
    Array,
    Composite,
    Described,
    Raw,
    Value,
    WireError,
    decode,
    encode,
    sym,
    symbols,
    uint,
    ulong,
    wide,
)
from tests.peer.definitions import COMPOSITES
from tests.peer.frames import (
    EMPTY_FRAME,
    data_message,
    decode_frame,
    decode_sections,
    frame,
    performative,
    section,
)
from tests.peer.script import matches

THE_UUID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")

# Written by hand from part 1 of the specification: value, bytes.
VECTORS: list[tuple[Any, str]] = [
    (None, "40"),
    (True, "41"),
    (False, "42"),
    (wide(True), "5601"),
    (wide(False), "5600"),
    (codec.ubyte(255), "50ff"),
    (codec.ushort(0x1234), "601234"),
    (uint(0), "43"),
    (uint(255), "52ff"),
    (uint(256), "7000000100"),
    (wide(uint(0)), "7000000000"),
    (Value("uint", 7, 0x52), "5207"),
    (ulong(0), "44"),
    (ulong(255), "53ff"),
    (ulong(256), "800000000000000100"),
    (codec.byte(-1), "51ff"),
    (codec.short(-2), "61fffe"),
    (codec.int_(-128), "5480"),
    (codec.int_(128), "7100000080"),
    (codec.long(127), "557f"),
    (codec.long(-129), "81ffffffffffffff7f"),
    (codec.float_(1.0), "723f800000"),
    (codec.double(-2.0), "82c000000000000000"),
    (1.5, "823ff8000000000000"),
    (codec.decimal(bytes(4)), "7400000000"),
    (codec.decimal(bytes(7) + b"\x01"), "840000000000000001"),
    (codec.decimal(bytes(16)), "94" + "00" * 16),
    (codec.char("a"), "7300000061"),
    (codec.char("\U0001f600"), "730001f600"),
    (codec.timestamp(-1), "83ffffffffffffffff"),
    (THE_UUID, "980123456789abcdef0123456789abcdef"),
    (b"\x00\xff", "a00200ff"),
    (wide(b"\x00"), "b00000000100"),
    ("a\x00b", "a103610062"),
    ("\u00e4", "a102c3a4"),
    (wide("x"), "b10000000178"),
    (sym("x"), "a30178"),
    (wide(sym("x")), "b30000000178"),
    ([], "45"),
    (Value("list", [], 0xC0), "c00100"),
    (wide([]), "d00000000400000000"),
    ([None, True], "c003024041"),
    ({}, "c10100"),
    ({"a": True}, "c10502a1016141"),
    (wide({}), "d10000000400000000"),
    (symbols("a", "bc"), "f0" + "00000010" + "00000002" + "b3" + "0000000161" + "000000026263"),
    (Array(0x70, [uint(1)], own_code=0xE0), "e006017000000001"),
    (Array(0x43, [uint(0), uint(0)], own_code=0xE0), "e0020243"),
    (Array(0xC0, [[uint(1)], []], own_code=0xE0), "e0" + "08" + "02" + "c0" + "03015201" + "0100"),
    (Array(0xA1, ["x"], sym("d"), own_code=0xE0), "e00801" + "00a30164" + "a1" + "0178"),
    (Described(sym("x"), True), "00a3017841"),
    (Described(ulong(0xFFFF), Described(ulong(1), None)), "0080000000000000ffff" + "0053014 0".replace(" ", "")),
    (Composite("accepted"), "00532445"),
    (Composite("accepted", symbolic=True), "00a312" + b"amqp:accepted:list".hex() + "45"),
    (Composite("rejected", {"error": codec.error("c")}), "005325c00a01" + "00531dc00401a30163"),
    (Composite("end", padded=True), "005317c0020140"),
    (Composite("end", wide=True), "005317d00000000400000000"),
]


@pytest.mark.parametrize(("value", "expected"), VECTORS, ids=lambda item: str(item)[:40])
def test_values_encode_to_hand_written_bytes(value: Any, expected: str) -> None:
    assert encode(value).hex() == expected


@pytest.mark.parametrize(("value", "data"), VECTORS, ids=lambda item: str(item)[:40])
def test_hand_written_bytes_decode(value: Any, data: str) -> None:
    decoded = decode(bytes.fromhex(data))
    if isinstance(value, Value) and value.kind in ("list", "map", "boolean"):
        value = value.value
    assert decoded == value
    assert matches(value, decoded)


def test_long_values_take_the_wide_constructor() -> None:
    assert encode(b"x" * 256)[:5].hex() == "b000000100"
    assert encode("x" * 255)[:2].hex() == "a1ff"
    assert encode([None] * 300)[:9].hex() == "d0" + "00000130" + "0000012c"
    assert encode(["x" * 251])[0] == 0xC0
    assert encode(["x" * 252])[0] == 0xC0
    assert encode(["x" * 253])[0] == 0xD0
    for length in (250, 251, 252, 253, 254, 255, 256):
        assert decode(encode(["x" * length])) == ["x" * length]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "ff",
        "46",
        "5602",
        "70000000",
        "a10278",
        "a101ff",
        "a301ff",
        "7300110000",
        "730000d800",
        "c000",
        "c10201 41".replace(" ", ""),
        "c1050241404140",
        "c10502414041",
        "c00200",
        "c00300 4141".replace(" ", ""),
        "d0ffffffff00000000",
        "f000000005ffffffff40",
        "e0020170",
        "0040",
        "4040",
        "00532440",
        "005324c0020140",
        "005314c00100",
        "005314c0030180 00".replace(" ", ""),
        "00" * 100,
        "c0" + "02" + "01" + "c0",
    ],
)
def test_malformed_bytes_are_refused(data: str) -> None:
    with pytest.raises(WireError):
        decode(bytes.fromhex(data))


def test_deep_nesting_is_refused_before_python_gives_up() -> None:
    data = b"\x45"
    for _ in range(60):
        data = b"\xd0" + struct.pack(">II", len(data) + 4, 1) + data
    with pytest.raises(WireError, match="nested"):
        decode(data)


@pytest.mark.parametrize(
    "value", [5, object(), uint(-1), uint(1 << 32), codec.ubyte(256), [5], {"a": 1}, Value("uint", 300, 0x52)]
)
def test_values_without_a_type_or_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(WireError):
        encode(value)


def test_a_value_equals_its_own_kind_and_plain_python_only() -> None:
    assert uint(5) == 5
    assert uint(5) == uint(5)
    assert uint(5) != ulong(5)
    assert sym("x") == "x"
    assert sym("x") != codec.string("x")
    assert uint(1) != True  # noqa: E712 (the point)
    assert codec.binary(b"x") != "x"
    assert {sym("k"): uint(1)} == {"k": 1}
    assert len({uint(1): 0, ulong(1): 0}) == 2


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        decode(data)
    except WireError:
        pass


_PRIMITIVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 2**32 - 1).map(uint),
    st.integers(0, 2**64 - 1).map(ulong),
    st.integers(-(2**63), 2**63 - 1).map(codec.long),
    st.integers(-(2**31), 2**31 - 1).map(codec.int_),
    st.floats(allow_nan=False).map(codec.double),
    st.text(max_size=300).map(codec.string),
    st.binary(max_size=300).map(codec.binary),
    st.uuids().map(codec.uuid),
)
_VALUES = st.recursive(
    _PRIMITIVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=5).map(codec.string), inner, max_size=4),
        st.builds(Described, st.integers(1000, 2000).map(ulong), inner),
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_values_come_back(value: Any) -> None:
    assert decode(encode(value)) == value


# ---------------------------------------------------------------- composites and frames


def test_a_bare_int_takes_the_type_of_its_field_and_a_typed_one_keeps_its_own() -> None:
    assert performative("end").hex() == "00531745"
    assert performative("detach", handle=5).hex() == "005316c003015205"
    assert performative("detach", handle=ulong(5)).hex() == "005316c003015305"
    assert performative("detach", handle=Raw(b"\x70\0\0\0\5")).hex() == "005316c006017000000005"
    assert performative("sasl_mechanisms", sasl_server_mechanisms=["A"])[-6:].hex() == "b30000000141"
    assert performative("sasl_mechanisms", sasl_server_mechanisms="A")[-3:].hex() == "a30141"


def test_extra_fields_and_unknown_fields() -> None:
    body = codec.encode_composite(Composite("end", extra=[None, True]))
    assert body.hex() == "005317c00403404041"
    with pytest.raises(WireError, match="1 fields, not 3"):
        decode(body)
    with pytest.raises(WireError, match="no field colour"):
        Composite("end", {"colour": 1})


@pytest.mark.parametrize(
    ("name", "fields", "match"),
    [
        ("open", {}, "open.container_id is mandatory"),
        ("open", {"container_id": sym("x")}, "open.container_id must be string"),
        ("open", {"container_id": "x", "max_frame_size": ulong(512)}, "open.max_frame_size must be uint"),
        ("open", {"container_id": "x", "properties": {codec.string("k"): 1.0}}, "must be fields"),
        ("open", {"container_id": "x", "offered_capabilities": Array(0xB1, ["x"])}, "must hold symbols"),
        ("attach", {"name": "x", "handle": 0, "role": uint(1)}, "attach.role must be boolean"),
        ("attach", {"name": "x", "handle": 0, "role": True, "source": codec.target()}, "must be source"),
        ("disposition", {"role": True, "first": 0, "state": codec.error("x")}, "must be state"),
        ("close", {"error": codec.accepted()}, "close.error must be error"),
        ("flow", {"incoming_window": 1, "next_outgoing_id": 1}, "outgoing_window is mandatory"),
    ],
)
def test_a_composite_of_the_wrong_shape_is_refused(name: str, fields: dict[str, Any], match: str) -> None:
    with pytest.raises(WireError, match=match):
        decode(performative(name, **fields))


def test_the_table_has_what_the_specification_counts() -> None:
    counts = {name: len(definition.fields) for name, definition in COMPOSITES.items()}
    expected = {"open": 10, "begin": 8, "attach": 14, "flow": 11, "transfer": 11, "disposition": 6}
    expected |= {"detach": 3, "end": 1, "close": 1, "source": 11, "target": 7, "properties": 13, "header": 5}
    assert {name: counts[name] for name in expected} == expected
    assert len(COMPOSITES) == 40


def test_a_frame_is_what_the_specification_draws() -> None:
    assert frame().hex() == "0000000802000000" == EMPTY_FRAME.hex()
    assert frame(b"ab", b"c", channel=0x102, type_=1).hex() == "0000000b02010102616263"
    assert frame(doff=9, size=3, extended_header=b"1234").hex() == "000000030900000031323334"
    raw = frame(performative("transfer", handle=0), b"payload", channel=3, extended_header=b"\0" * 4, doff=3)
    came = decode_frame(raw)
    assert (came.name, came.channel, came.payload, came["handle"]) == ("transfer", 3, b"payload", 0)
    assert came.get("more") is False
    assert came["more"] is None
    assert came.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        frame(size=9),
        frame(doff=1),
        frame(doff=3),
        frame(type_=2),
        frame(type_=1),
        frame(performative("end"), b"rest"),
        frame(performative("end"), type_=1),
        frame(performative("sasl_outcome", code=0)),
        frame(encode(codec.accepted())),
        frame(encode("text")),
    ],
    ids=lambda raw: raw.hex(),
)
def test_malformed_frames_are_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        decode_frame(raw)


def test_sections() -> None:
    message = (
        section("header", {"durable": True})
        + section("message_annotations", {sym("x"): uint(1)})
        + section("properties", {"message_id": "id", "to": "q"})
        + section("application_properties", {"k": "v"})
        + data_message(b"one")
        + data_message(b"two")
    )
    sections = decode_sections(message)
    assert [name for name, _ in sections] == [
        "header",
        "message_annotations",
        "properties",
        "application_properties",
        "data",
        "data",
    ]
    assert sections[2][1]["message_id"] == "id"
    assert sections[5][1] == b"two"
    assert data_message(b"x").hex() == "005375a00178"
    for bad in (data_message(b"x") + section("header", {}), section("data", "text"), b"\x40"):
        with pytest.raises(WireError):
            decode_sections(bad)
