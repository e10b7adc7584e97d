"""A message as bytes: sections passed on untouched, header and properties, maps, bodies; and what is refused.

What is encoded is read by the codec of `tests/peer`, which isn't ours, and what that encodes is read here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import codec as peer
from tests.peer import frames
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
    NestingError,
    ULong,
    append_changed_map,
    append_data,
    append_header,
    append_map,
    append_properties,
    append_section,
    append_section_header,
    append_sections,
    append_value,
    body_code,
    body_parts,
    body_size,
    decode_value,
    encode_data,
    encode_value,
    encoded_since,
    read_header,
    read_properties,
    scan_sections,
    section_decoder,
    unchanged,
)
from uamqp.codec.limits import MAX_DEPTH

THE_UUID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
NAMES = {
    HEADER: "header",
    DELIVERY_ANNOTATIONS: "delivery_annotations",
    MESSAGE_ANNOTATIONS: "message_annotations",
    PROPERTIES: "properties",
    APPLICATION_PROPERTIES: "application_properties",
    DATA: "data",
    SEQUENCE: "amqp_sequence",
    VALUE: "amqp_value",
    FOOTER: "footer",
}
ANNOTATIONS = (DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, FOOTER)
MAPS = (*ANNOTATIONS, APPLICATION_PROPERTIES)

# By the codec of tests/peer: every section, and values in encodings that ours would not choose.
WHOLE = b"".join(
    (
        frames.section("header", {"durable": True, "ttl": 5000, "delivery_count": peer.wide(peer.uint(2))}),
        frames.section("delivery_annotations", {peer.sym("d"): peer.wide(peer.long(1))}),
        frames.section("message_annotations", {peer.sym("m"): peer.wide("text"), peer.ulong(7): peer.short(-1)}),
        frames.section("properties", {"message_id": peer.wide(peer.ulong(1)), "to": "queue", "content_type": "a/b"}),
        frames.section("application_properties", {"a": peer.wide(peer.uint(3)), "b": None}),
        frames.section("data", b"x" * 300),
        frames.section("data", b""),
        frames.section("footer", {peer.sym("f"): True}),
    )
)


def told(function: Callable[..., Any], *arguments: Any) -> str:
    """The text of the codec's error."""
    with pytest.raises((DecodeError, EncodeError)) as caught:
        function(*arguments)
    return str(caught.value)


def section(code: int, value: bytes) -> bytes:
    out = bytearray()
    append_section(out, code, value)
    return bytes(out)


def read_by_the_peer(payload: bytes) -> dict[str, Any]:
    return dict(frames.decode_sections(payload))


def header(*fields: Any, **given: Any) -> bytes:
    out = bytearray()
    append_header(out, list(fields), **given)
    return bytes(out)


def properties(*fields: Any, **given: Any) -> bytes:
    out = bytearray()
    append_properties(out, list(fields), **given)
    return bytes(out)


def everything(payload: bytes) -> list[Any]:
    """All that is in a message."""
    bounds = scan_sections(payload)
    return [(code, Decoder(payload, start, end).value()) for code, start, end in bounds]


# Sections that nobody looked at


def test_sections_go_out_as_they_came() -> None:
    out = bytearray()
    append_sections(out, WHOLE, scan_sections(WHOLE), HEADER, FOOTER)
    assert bytes(out) == WHOLE


@pytest.mark.parametrize("code", SECTION_NAMES)
def test_one_section_goes_out_as_it_came(code: int) -> None:
    out = bytearray(b"before")
    bounds = scan_sections(WHOLE)
    append_sections(out, WHOLE, bounds, code, code)
    assert bytes(out[6:]) == b"".join(section(code, WHOLE[start:end]) for found, start, end in bounds if found == code)


def test_a_long_descriptor_goes_out_in_the_usual_form() -> None:
    value = bytes.fromhex("c1050254015402")
    for descriptor in (b"\x00\x80" + FOOTER.to_bytes(8, "big"), b"\x00\xa3\x0famqp:footer:map"):
        out = bytearray()
        payload = descriptor + value
        append_sections(out, payload, scan_sections(payload), HEADER, FOOTER)
        assert bytes(out) == section(FOOTER, value)


def test_a_section_is_read_alone() -> None:
    bounds = scan_sections(WHOLE)
    decoder = section_decoder(WHOLE, bounds, APPLICATION_PROPERTIES)
    assert decoder is not None
    assert decoder.map() == {"a": 3, "b": None}
    assert "expected a value" in told(decoder.value)
    bare = section_decoder(WHOLE, bounds, MESSAGE_ANNOTATIONS, True)
    assert bare is not None
    assert bare.map() == {b"m": b"text", 7: -1}
    assert section_decoder(WHOLE, bounds, VALUE) is None
    assert section_decoder(b"", [], HEADER) is None
    assert "aren't within the 3 bytes" in told(section_decoder, b"abc", [(HEADER, 1, 4)], HEADER)


# Bodies


@pytest.mark.parametrize(
    ("sections", "code", "parts"),
    [
        ([], 0, []),
        ([("header", {})], 0, []),
        ([("data", b"x")], DATA, [b"x"]),
        ([("header", {}), ("data", b""), ("data", b"y" * 300), ("footer", {})], DATA, [b"", b"y" * 300]),
        ([("amqp_sequence", [1.5]), ("amqp_sequence", [])], SEQUENCE, [encode_value([1.5]), b"\x45"]),
        ([("amqp_value", "text")], VALUE, [b"\xa1\x04text"]),
    ],
)
def test_the_body_of_what_the_peer_sends(sections: list[tuple[str, Any]], code: int, parts: list[bytes]) -> None:
    payload = b"".join(frames.section(name, value) for name, value in sections)
    bounds = scan_sections(payload)
    assert body_code(bounds) == code
    assert body_parts(payload, bounds) == parts
    assert body_size(payload, bounds) == sum(map(len, parts))


def test_bounds_that_are_not_of_the_payload_are_refused() -> None:
    payload = section(DATA, b"\xa0\x03abc")
    for start, end in ((3, 9), (-1, 8), (5, 3), (8, 8)):
        assert "isn't within the 8 bytes" in told(body_parts, payload, [(DATA, start, end)])
    assert "no room for its size" in told(body_parts, payload, [(DATA, 4, 8)])
    assert "expected binary" in told(body_size, payload, [(DATA, 4, 8)])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_a_message_of_one_data_section(size: int) -> None:
    payload = encode_data(b"x" * size)
    assert read_by_the_peer(payload) == {"data": b"x" * size}
    out = bytearray()
    append_data(out, b"x" * size)
    assert bytes(out) == payload


def test_a_message_of_one_data_section_among_others() -> None:
    before, after = bytearray(section(HEADER, b"\x45")), section(FOOTER, b"\xc1\x01\x00")
    assert encode_data(b"x", before, after) == bytes(before) + encode_data(b"x") + after
    assert encode_data(b"x", b"", after) == encode_data(b"x") + after
    assert encode_data(b"x", before) == bytes(before) + encode_data(b"x")


# Header and properties


def test_the_peer_reads_a_header() -> None:
    payload = section(HEADER, header(True, 7, 5000, False, 2**32 - 1))
    fields = {"durable": True, "priority": 7, "ttl": 5000, "first_acquirer": False, "delivery_count": 2**32 - 1}
    assert read_by_the_peer(payload) == {"header": peer.Composite("header", fields)}
    bounds = scan_sections(payload)
    decoder = section_decoder(payload, bounds, HEADER)
    assert decoder is not None
    assert read_header(decoder) == list(fields.values())


def test_the_peer_reads_properties() -> None:
    given = ["id", b"user", "to", "subject", "reply", 5, "text/plain", "gzip", 1000, -1, "group", 9, "back"]
    names = ["message_id", "user_id", "to", "subject", "reply_to", "correlation_id", "content_type", "content_encoding"]
    names += ["absolute_expiry_time", "creation_time", "group_id", "group_sequence", "reply_to_group_id"]
    payload = section(PROPERTIES, properties(*given))
    (found,) = read_by_the_peer(payload).values()
    assert found == peer.Composite("properties", dict(zip(names, given, strict=True)))
    decoder = section_decoder(payload, scan_sections(payload), PROPERTIES)
    assert decoder is not None
    assert read_properties(decoder) == given
    text = [value.encode() if isinstance(value, str) else value for value in given]
    assert properties(*text, bare=True) == payload[3:]


@pytest.mark.parametrize(
    ("value", "typed", "bare"),
    [
        ("t", "a10174", "a10174"),
        (b"t", "a00174", "a10174"),
        (bytearray(b"t"), "a00174", "a00174"),
        (5, "5305", "5305"),
        (ULong(2**64 - 1), "80" + "ff" * 8, "80" + "ff" * 8),
        (THE_UUID, "98" + THE_UUID.hex, "98" + THE_UUID.hex),
    ],
)
def test_ids(value: Any, typed: str, bare: str) -> None:
    for fields in ([value], [None] * 5 + [value]):
        nulls = "40" * (len(fields) - 1)
        for found, expected in ((properties(*fields), typed), (properties(*fields, bare=True), bare)):
            assert found[3:].hex() == nulls + expected


def test_addresses_that_are_no_text() -> None:
    described = decode_value(b"\x00\x53\x01\x54\x05")
    assert properties(None, None, described) == bytes.fromhex("c00803" + "4040" + "0053015405")
    assert properties(None, None, described, bare=True) == properties(None, None, described)
    assert decode_value(properties(None, None, [b"x"], bare=True), True) == [None, None, [b"x"]]
    assert "properties.to: expected address, got list" in told(properties, None, None, [b"x"])


def test_nulls_at_the_end_are_left_out() -> None:
    assert header() == header(None, None) == properties(*[None] * 13) == b"\x45"
    assert header(True, None, None) == b"\xc0\x02\x01\x41"


def test_what_has_not_changed_goes_out_as_it_came() -> None:
    came = bytes.fromhex("c0090356014070" + "00000005")
    assert read_header(Decoder(came)) == [True, None, 5, None, None]
    assert header(False, 4, 9, original=came, changed=0) == came
    assert header(True, None, 5, None, 1, original=came, changed=1 << 4) == bytes.fromhex(
        "c00c05" + "5601" + "40" + "7000000005" + "40" + "5201"
    )
    assert header(None, 4, 9, original=came, changed=0b111) == header(None, 4, 9)
    came = bytes.fromhex("c00f02" + "800000000000000001" + "b000000000")
    assert properties(1, b"", original=came, changed=0) == came
    assert properties(2, b"", "to", original=came, changed=0b101) == bytes.fromhex(
        "c00c03" + "5302" + "b000000000" + "a102746f"
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([1], "header.durable: expected boolean, got int"),
        ([None, 256], "header.priority: ubyte takes 0 to 255, got 256"),
        ([None, -1], "header.priority: ubyte takes 0 to 255, got -1"),
        ([None, True], "header.priority: expected ubyte, got boolean"),
        ([None, None, 2**32], "header.ttl: uint takes 0 to 4294967295, got 4294967296"),
        ([None, None, 1.5], "header.ttl: expected milliseconds, got double"),
        ([None, None, None, "x"], "header.first-acquirer: expected boolean, got string"),
        ([True] * 6, "header: there are 5 fields, not 6"),
    ],
)
def test_headers_that_are_refused(fields: list[Any], text: str) -> None:
    out = bytearray(b"kept")
    assert told(append_header, out, fields) == text
    assert out == b"kept"


@pytest.mark.parametrize(
    ("index", "value", "text"),
    [
        (0, -1, "message-id: ulong takes 0 to"),
        (0, 1.5, "message-id: expected ulong, uuid, binary or string, got double"),
        (1, "user", "user-id: expected binary, got string"),
        (2, 5, "to: expected address, got int"),
        (3, 5, "subject: expected string, got int"),
        (3, b"bytes", "subject: expected string, got binary"),
        (3, "\ud800", "subject: text has no UTF-8 encoding"),
        (6, b"bytes", "content-type: expected symbol, got binary"),
        (8, 2**63, "absolute-expiry-time: timestamp takes"),
        (9, "now", "creation-time: expected timestamp, got string"),
        (11, 2**32, "group-sequence: uint takes 0 to 4294967295"),
        (11, b"1", "group-sequence: expected sequence-no, got binary"),
    ],
)
def test_properties_that_are_refused(index: int, value: Any, text: str) -> None:
    out = bytearray(b"kept")
    assert told(append_properties, out, [None] * index + [value]).startswith(f"properties.{text}")
    assert out == b"kept"


def test_too_many_properties_are_refused() -> None:
    assert told(properties, *["x"] * 14) == "properties: there are 13 fields, not 14"
    assert told(read_properties, Decoder(encode_value([1] * 14))) == "Message properties have 13 fields, these have 14."
    assert told(read_header, Decoder(encode_value([1] * 6))) == "A message header has 5 fields, this one has 6."
    for read in (read_header, read_properties):
        assert "expected a list at offset 0" in told(read, Decoder(b"\xc1\x01\x00"))


def test_the_bytes_that_a_cursor_has_read() -> None:
    decoder = Decoder(b"\x40\xa1\x01x\x40")
    decoder.value()
    start = decoder.pos
    decoder.value()
    assert encoded_since(decoder, start) == b"\xa1\x01x"
    for wrong in (-1, 5, 2**31):
        assert told(encoded_since, decoder, wrong) == f"nothing was read from offset {wrong} up to 4"


# Maps


@pytest.mark.parametrize("code", MAPS)
def test_the_peer_reads_maps(code: int) -> None:
    out = bytearray()
    append_section_header(out, code)
    items: dict[Any, Any] = {"a": b"binary", b"b": "text"}
    if code in ANNOTATIONS:
        items[5] = None
    append_map(out, code, items)
    key = peer.sym if code in ANNOTATIONS else str
    expected: dict[Any, Any] = {key("a"): b"binary", key("b"): "text"}
    if code in ANNOTATIONS:
        expected[peer.ulong(5)] = None
    (found,) = read_by_the_peer(bytes(out)).values()
    assert found == expected


def test_bytes_in_a_map_are_text_in_the_bare_mapping() -> None:
    out = bytearray()
    append_map(out, APPLICATION_PROPERTIES, {"a": b"x"}, bare=True)
    assert bytes(out) == bytes.fromhex("c10702a10161a10178")


@pytest.mark.parametrize(
    ("code", "key", "text"),
    [
        (APPLICATION_PROPERTIES, 5, "keys must be text of UTF-8, not 5"),
        (APPLICATION_PROPERTIES, b"\xff", "keys must be text of UTF-8"),
        (FOOTER, "\xe9", "keys must be text of ASCII, or integers from 0 to 2**64-1"),
        (MESSAGE_ANNOTATIONS, -1, "keys must be text of ASCII"),
        (DELIVERY_ANNOTATIONS, None, "keys must be text of ASCII"),
    ],
)
def test_keys_that_are_refused(code: int, key: Any, text: str) -> None:
    out = bytearray(b"kept")
    assert text in told(append_map, out, code, {"fine": 1, key: 1})
    assert out == b"kept"


def keyed(out: bytearray, key: Any) -> None:
    append_value(out, key)


def valued(out: bytearray, key: Any, value: Any) -> None:
    append_value(out, value)


def changed(items: dict[Any, Any], original: bytes | None) -> bytes:
    out = bytearray()
    append_changed_map(out, items, keyed, valued, (b"x" + original, 1, 1 + len(original)) if original else None)
    return bytes(out)


def test_a_map_that_is_the_same_goes_out_as_it_came() -> None:
    came = peer.encode(peer.wide({peer.sym("k"): peer.wide(peer.long(5)), "l": [peer.wide(True)]}))
    assert changed({b"k": 5, b"l": [True]}, came) == came
    one_more = changed({b"k": 5, b"l": [True], "new": 1}, came)
    assert b"\xa3\x01k\x81" + bytes(7) + b"\x05" in one_more
    assert peer.decode(one_more) == {peer.sym("k"): 5, "l": [True], "new": 1}
    # 1 isn't True, down to the types.
    assert b"\x81" not in changed({b"k": True, b"l": [True]}, came)
    assert decode_value(changed({b"l": [1]}, came), True) == {b"l": [1]}


def test_a_map_of_which_nothing_was_received() -> None:
    assert peer.decode(changed({"a": 1}, None)) == {"a": 1}


def test_keys_that_fall_together() -> None:
    came = peer.encode({peer.sym("k"): 1.5, "k": 2.5})
    assert decode_value(came, True) == {b"k": 2.5}
    assert decode_value(changed({b"k": 2.5, b"n": 1}, came)) == {"k": 2.5, b"n": 1}


def test_what_is_no_map_is_refused() -> None:
    assert "expected a map at offset 1" in told(changed, {}, b"\x45")


@pytest.mark.parametrize(
    ("value", "came", "expected"),
    [
        (1, 1, True),
        (1, True, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1, (2,)], [1, [2]], False),
        (None, 0, False),
    ],
)
def test_what_counts_as_unchanged(value: Any, came: Any, expected: bool) -> None:
    assert unchanged(value, came) is expected


# What is no message


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_a_message_that_is_cut_off(end: int) -> None:
    whole = {0, *(stop for _, _, stop in scan_sections(WHOLE))}
    if end in whole:
        assert everything(WHOLE)[: len(everything(WHOLE[:end]))] == everything(WHOLE[:end])
    else:
        assert "offset" in told(scan_sections, WHOLE[:end])


def test_sections_that_come_twice_or_out_of_order() -> None:
    parts = {code: section(code, WHOLE[start:end]) for code, start, end in scan_sections(WHOLE)}
    for code, part in parts.items():
        if code != DATA:
            assert "comes a second time" in told(scan_sections, WHOLE + part)
    backwards = b"".join(reversed(parts.values()))
    bounds = scan_sections(backwards)
    assert [code for code, _, _ in bounds] == [*reversed(parts)]
    out = bytearray()
    for code in parts:  # in order again
        append_sections(out, backwards, bounds, code, code)
    assert bytes(out) == b"".join(parts.values())


def test_an_unknown_section() -> None:
    assert "no section has the descriptor" in told(scan_sections, WHOLE + b"\x00\x53\x79\x45")


@pytest.mark.parametrize("code", [PROPERTIES, *MAPS])
def test_what_is_nested_too_deep(code: int) -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    out = bytearray()
    append = append_properties if code == PROPERTIES else append_map
    with pytest.raises(NestingError, match="nested deeper than 64"):
        append(out, *([None, None, deep], True) if code == PROPERTIES else (code, {"k": deep}))
    assert out == b""
    # Of what comes it is found when somebody looks, not before.
    depth = MAX_DEPTH if code == PROPERTIES else MAX_DEPTH - 1
    inner = b"\xd0" + (4).to_bytes(4, "big") + bytes(4)
    for _ in range(depth + 1):
        inner = b"\xd0" + (len(inner) + 4).to_bytes(4, "big") + (1).to_bytes(4, "big") + inner
    if code != PROPERTIES:
        inner = b"\xd1" + (len(inner) + 7).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"\xa1\x01k" + inner
    payload = section(code, inner)
    decoder = section_decoder(payload, scan_sections(payload), code)
    assert decoder is not None
    assert "nested deeper than 64" in told(decoder.value)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.binary(max_size=5)
)
ITEMS = st.dictionaries(st.text(st.characters(codec="ascii"), max_size=5), SCALARS, max_size=4)


@given(ITEMS, ITEMS, st.lists(st.binary(max_size=300), min_size=1, max_size=3), ITEMS)
def test_any_message_is_read_by_the_peer(
    annotations: dict[str, Any], application: dict[str, Any], parts: list[bytes], footer: dict[str, Any]
) -> None:
    out = bytearray()
    for code, items in ((MESSAGE_ANNOTATIONS, annotations), (APPLICATION_PROPERTIES, application)):
        append_section_header(out, code)
        append_map(out, code, items)
    for part in parts:
        append_data(out, part)
    append_section_header(out, FOOTER)
    append_map(out, FOOTER, footer)
    payload = bytes(out)
    found = frames.decode_sections(payload)
    names = ["message_annotations", "application_properties", *["data"] * len(parts), "footer"]
    assert [name for name, _ in found] == names
    assert [value for name, value in found if name == "data"] == parts
    assert found[0][1] == {peer.sym(key): value for key, value in annotations.items()}
    assert found[1][1] == application
    assert body_parts(payload, scan_sections(payload)) == parts
    for _ in range(2):  # passed on, and on
        out = bytearray()
        append_sections(out, payload, scan_sections(payload), HEADER, FOOTER)
        assert bytes(out) == payload


@given(st.binary(max_size=60), st.lists(st.sampled_from([*range(0x70, 0x79), 0x45, 0xA0, 0xC1]), max_size=8))
def test_any_bytes_are_a_message_or_an_error(data: bytes, codes: list[int]) -> None:
    for payload in (data, b"".join(section(code, data) for code in codes)):
        try:
            bounds = scan_sections(payload)
        except DecodeError:
            continue
        parts = body_parts(payload, bounds)
        assert body_size(payload, bounds) == sum(map(len, parts))
        assert bool(body_code(bounds)) is bool(parts)
        out = bytearray()
        append_sections(out, payload, bounds, HEADER, FOOTER)
        assert everything_or_error(bytes(out)) == everything_or_error(payload)


def everything_or_error(payload: bytes) -> str:
    try:
        return repr(everything(payload))
    except DecodeError as error:
        return type(error).__name__


def append_all(payload: bytes, bounds: list[tuple[int, int, int]]) -> None:
    append_sections(bytearray(), payload, bounds, HEADER, FOOTER)


@pytest.mark.parametrize("bounds", [(10, 20), (0, 4), (-1, 2), (2, 1)])
@pytest.mark.parametrize("use", [body_size, body_parts, append_all])
def test_bounds_of_another_message_are_refused(use: Callable[..., object], bounds: tuple[int, int]) -> None:
    with pytest.raises(DecodeError):
        use(b"\xa0\x01x", [(DATA, *bounds)])
