"""Finding the sections of a message: every form of them, any order, and what is refused."""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.codec import (
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    SECTION_NAMES,
    SEQUENCE,
    VALUE,
    DecodeError,
    Decoder,
    EncodeError,
    Header,
    Properties,
    append_section_header,
    binary_bounds,
    decode_composite,
    decode_value,
    scan_sections,
)
from uamqp.codec.sections import binary_at, data_head, read_sections, single_data

LISTS = ["45", "c00100", "c003015401", "d00000000400000000", "d000000006000000015401"]
MAPS = ["c10100", "c1050254015402", "d10000000400000000", "d1000000080000000254015402"]
BINARIES = ["a000", "a00161", "b000000000", "b00000000161"]
VALUES = [
    "40",
    "41",
    "5401",
    "7100000001",
    "98" + "00" * 16,
    "a10161",
    "b10000000161",
    "e00200b3",
    "f00000000500000000b3",
]
VALUES += ["0053245401", "0000a301615401" + "5402"]
FORMS = {
    HEADER: LISTS,
    DELIVERY_ANNOTATIONS: MAPS,
    MESSAGE_ANNOTATIONS: MAPS,
    PROPERTIES: LISTS,
    APPLICATION_PROPERTIES: MAPS,
    DATA: BINARIES,
    SEQUENCE: LISTS,
    VALUE: VALUES + LISTS + MAPS + BINARIES,
    FOOTER: MAPS,
}
ONE_OF_EACH = {HEADER: "45", PROPERTIES: "45", DATA: "a00161", SEQUENCE: "c003015401", VALUE: "5401"}
BODIES = (DATA, SEQUENCE, VALUE)


def descriptors(code: int) -> list[bytes]:
    name = SECTION_NAMES[code].encode()
    return [
        bytes((0x00, 0x53, code)),
        b"\x00\x80" + struct.pack(">Q", code),
        b"\x00\xa3" + bytes([len(name)]) + name,
        b"\x00\xb3" + struct.pack(">I", len(name)) + name,
    ]


def section(code: int) -> bytes:
    return bytes((0x00, 0x53, code)) + bytes.fromhex(ONE_OF_EACH.get(code, "c10100"))


def codes(payload: bytes) -> list[int]:
    return [code for code, _, _ in scan_sections(payload)]


@pytest.mark.parametrize("code", FORMS)
def test_every_form_of_every_section(code: int) -> None:
    for form in FORMS[code]:
        value = bytes.fromhex(form)
        decode_value(value)
        for descriptor in descriptors(code):
            start = len(descriptor)
            payload = descriptor + value
            assert scan_sections(payload) == [(code, start, len(payload))]
            # Between others, which shows that bounds and positions are kept.
            other = FOOTER if code != FOOTER else HEADER
            front = section(other)
            expected = [(other, 3, len(front)), (code, len(front) + start, len(front) + len(payload))]
            assert scan_sections(front + payload) == expected
            for end in range(1, len(payload)):
                with pytest.raises(DecodeError):
                    scan_sections(payload[:end])
                if end < len(payload):
                    with pytest.raises(DecodeError):
                        scan_sections(front + payload[:end])


def test_empty_payload_has_no_sections() -> None:
    assert scan_sections(b"") == []


def test_a_whole_message_by_hand() -> None:
    payload = bytes.fromhex(
        "005370c0020141"  # header: durable
        "005371c1050254015402"
        "005372c10602a301785401"
        "005373c0050240a00175"  # properties: user-id
        "005374c10602a101615401"
        "005375a00161"
        "005375b00000000162"
        "005378c10100"
    )
    sections = scan_sections(payload)
    assert [code for code, _, _ in sections] == [0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x75, 0x78]
    values = [decode_value(payload[start:end]) for _, start, end in sections]
    assert values == [[True], {1: 2}, {"x": 1}, [None, b"u"], {"a": 1}, b"a", b"b", {}]
    assert [Decoder(payload, start, end).value() for _, start, end in sections] == values
    contents = [payload[slice(*binary_bounds(payload, *where[1:]))] for where in sections if where[0] == DATA]
    assert contents == [b"a", b"b"]


def test_any_order_of_sections() -> None:
    every = [HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, DATA, FOOTER]
    # uamqp 1.6 sends the footer and the delivery annotations before the body.
    old = [HEADER, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, FOOTER, DELIVERY_ANNOTATIONS, DATA]
    for order in (every, every[::-1], old):
        assert codes(b"".join(map(section, order))) == order


@pytest.mark.parametrize("first", SECTION_NAMES)
@pytest.mark.parametrize("second", SECTION_NAMES)
def test_what_may_stand_together(first: int, second: int) -> None:
    fine = first != second if first not in BODIES or second not in BODIES else first == second and first != VALUE
    middle = section(HEADER) if HEADER not in (first, second) else b""
    for front in descriptors(first):
        for back in descriptors(second):
            payload = front + section(first)[3:] + middle + back + section(second)[3:]
            if fine:
                assert codes(payload)[0] == first
                assert codes(payload)[-1] == second
            else:
                message = "a second time" if first == second else "after a body of another kind"
                with pytest.raises(DecodeError, match=message):
                    scan_sections(payload)


@pytest.mark.parametrize("code", FORMS)
def test_wrong_type_of_value(code: int) -> None:
    allowed = {bytes.fromhex(form)[0] for form in FORMS[code]}
    for form in LISTS + MAPS + BINARIES + VALUES:
        value = bytes.fromhex(form)
        for descriptor in descriptors(code):
            if value[0] in allowed:
                assert codes(descriptor + value) == [code]
            else:
                with pytest.raises(DecodeError, match=f"wrong type .0x{value[0]:02x}"):
                    scan_sections(descriptor + value)


@pytest.mark.parametrize(
    ("hexed", "message"),
    [
        ("40", "expected a section at offset 0, got constructor 0x40"),
        ("c00100", "expected a section at offset 0, got constructor 0xc0"),
        ("00537045" + "a00161", "expected a section at offset 4"),
        ("00", "expected a value at offset 1"),
        ("005370", "amqp:header:list at offset 0 has no value"),
        ("00536f45", "no section has the descriptor ULong"),
        ("00537945", "no section has the descriptor ULong"),
        ("00532445", "no section has the descriptor ULong"),
        ("00527045", "no section has the descriptor UInt"),
        ("00547045", "no section has the descriptor 112"),
        ("00a1106" + "16d71703a6865616465723a6c69737445", "no section has the descriptor 'amqp:header:list'"),
        ("00a3016145", "no section has the descriptor Symbol"),
        ("00c0010045", r"no section has the descriptor \[\]"),
        ("00800000000100000070" + "45", "no section has the descriptor ULong"),
        ("005377" + "0f", "unknown constructor 0x0f"),
        ("005375b0ffffffff", "reaches offset"),
        ("005375a00261", "reaches offset"),
    ],
)
def test_refused(hexed: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        scan_sections(bytes.fromhex(hexed))


def test_huge_descriptor_is_not_shown_whole() -> None:
    with pytest.raises(DecodeError) as caught:
        scan_sections(b"\x00\xb3" + struct.pack(">I", 100_000) + b"x" * 100_000 + b"\x45")
    assert len(str(caught.value)) < 200


def test_time_depends_on_the_number_of_sections_alone() -> None:
    # A list of a million nulls, and one that isn't even a list inside: neither is looked into.
    for inside in (b"\x40" * 1_000_000, b"\xff" * 1_000_000):
        payload = bytes((0, 0x53, VALUE, 0xD0)) + struct.pack(">II", len(inside) + 4, len(inside)) + inside
        start = time.process_time()
        for _ in range(1000):
            assert scan_sections(payload) == [(VALUE, 3, len(payload))]
        assert time.process_time() - start < 1


def test_many_data_sections() -> None:
    payload = section(DATA) * 10_000
    assert len(scan_sections(payload)) == 10_000


def test_described_chain_in_a_value() -> None:
    # Longer than the decoder nests, but scanning doesn't recurse.
    payload = bytes((0, 0x53, VALUE)) + b"\x00\x40" * 100_000 + b"\x40"
    assert scan_sections(payload) == [(VALUE, 3, len(payload))]
    deep = bytes((0,)) * 100_000 + b"\x40" * 100_001
    assert scan_sections(bytes((0, 0x53, VALUE)) + deep) == [(VALUE, 3, len(deep) + 3)]


@pytest.mark.parametrize("value", ["40", "", "a0", "b0000000", "c00100", "a10161"])
def test_binary_bounds_are_of_binaries(value: str) -> None:
    data = bytes.fromhex(value)
    with pytest.raises(DecodeError, match="expected binary at offset 0"):
        binary_bounds(data, 0, len(data))


@pytest.mark.parametrize("value", ["a000", "a00161", "b000000000", "b0000000026162"])
def test_binary_bounds(value: str) -> None:
    data = bytes.fromhex(value)
    start, end = binary_bounds(b"xx" + data, 2, 2 + len(data))
    assert (b"xx" + data)[start:end] == decode_value(data)


def test_append_section_header() -> None:
    for code in SECTION_NAMES:
        out = bytearray(b"x")
        append_section_header(out, code)
        assert bytes(out) == b"x\x00\x53" + bytes([code])


def test_header_and_properties_are_composites() -> None:
    header: Any = Header(durable=True, delivery_count=3)
    properties: Any = Properties("id", reply_to="q")
    payload = header.encode() + properties.encode()
    (_, start, _), (_, second, end) = scan_sections(payload)
    assert decode_composite(payload) == (header, second - 3)
    assert decode_composite(payload, second - 3) == (properties, end)
    assert Header.from_fields(decode_value(payload[start : second - 3])) == header


PARTS = [
    bytes.fromhex(text)
    for text in (
        "005375a000", "005375a003616263", "005375b000000003616263", "0080" + "75".zfill(16) + "a00162", "00537045",
        "005373c00100", "005377a10161", "005376c00100",
    )
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=4), st.integers(-3, 3))
def test_a_body_of_one_data_section_is_told_from_all_others(parts: list[bytes], change: int) -> None:
    payload = b"".join(parts)
    payload = payload[:change] if change < 0 else payload + b"x" * change
    try:
        sections = scan_sections(payload)
    except DecodeError:
        with pytest.raises(DecodeError):
            single_data(payload)
        return
    bodies = [where for where in sections if where[0] in BODIES]
    start = single_data(payload)
    if [code for code, _, _ in bodies] == [DATA]:
        assert start == bodies[0][1]
        assert binary_at(payload, start) == payload[slice(*binary_bounds(payload, *bodies[0][1:]))]
    else:
        assert start == 0


@pytest.mark.parametrize("start", [-1, 0, 2, 4, 7, 8, 2**31])
def test_binary_is_read_only_where_there_is_some(start: int) -> None:
    payload = bytes.fromhex("005375a003616263")
    assert binary_at(payload, 3) == b"abc"
    with pytest.raises(DecodeError, match=f"expected binary at offset {start}"):
        binary_at(payload, start)


@pytest.mark.parametrize("value", ["", "a0", "a001", "a00261", "b0", "b0000000", "b000000001", "b0ffffffff00"])
def test_binary_that_is_cut_off_is_refused(value: str) -> None:
    with pytest.raises(DecodeError, match="expected binary at offset 0"):
        binary_at(bytes.fromhex(value), 0)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_the_head_of_a_data_section(size: int) -> None:
    payload = data_head(size) + bytes(size)
    assert scan_sections(payload) == [(DATA, 3, len(payload))]
    assert binary_at(payload, 3) == bytes(size)


def test_a_data_section_has_a_size_of_four_bytes() -> None:
    assert data_head(2**32 - 1) == bytes.fromhex("005375b0ffffffff")
    with pytest.raises(EncodeError, match="4294967296 bytes are more than"):
        data_head(2**32)


def test_a_reader_reads_the_value_of_a_section_or_leaves_it() -> None:
    payload = bytes.fromhex("005372c10602a3016b5405005373c0020143005375a00161")
    reader = read_sections(payload, bare=True)
    assert reader.next() == MESSAGE_ANNOTATIONS
    assert reader.value() == {b"k": 5}
    assert reader.next() == PROPERTIES
    assert reader.next() == DATA
    assert payload[reader.pos : reader.end] == bytes.fromhex("a00161")
    assert reader.next() == reader.next() == 0
