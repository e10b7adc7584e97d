"""Decoding: bytes that are no value, the limits at the limit and past it, and the cursor's bounds."""

from __future__ import annotations

import struct
import time
import tracemalloc
import uuid
from typing import Any

import pytest

from uamqp.codec import Array, DecodeError, Decoder, decode_value, encode_value
from uamqp.codec.decode import _CONSTRUCTORS
from uamqp.codec.limits import MAX_DEPTH, MAX_ELEMENTS, MAX_KEY_COLLISIONS


@pytest.mark.parametrize(
    ("hexed", "message"),
    [
        ("", "expected a value at offset 0"),
        ("4041", "1 bytes left over after the value, from offset 1"),
        ("5602", "boolean at offset 1 is 0x02"),
        ("730000d800", "char at offset 1 is 0xd800"),
        ("730000dfff", "char at offset 1 is 0xdfff"),
        ("7300110000", "char at offset 1 is 0x110000"),
        ("a102c328", "string isn't UTF-8 at offset 2"),
        ("a10361e282", "string isn't UTF-8 at offset 3"),
        ("b100000001ff", "string isn't UTF-8 at offset 5"),
        ("a101c0", "string isn't UTF-8"),
        ("a103eda080", "string isn't UTF-8"),
        ("a301ff", "symbol isn't UTF-8"),
        ("a003", r"binary \(0xa0\) reaches offset 5, but the data ends at 2"),
        ("b0ffffffff", r"binary \(0xb0\) reaches offset 4294967300, but the data ends at 5"),
        ("c000", "list"),
        ("c00000", "list at offset 1 is too small"),
        ("d00000000300000000", "list at offset 1 is too small"),
        ("c00101", "list of 1 elements at offset 3 has 0 bytes"),
        ("c0020040", "list should end at offset 4, but its elements end at 3"),
        ("c003025401", "expected a value at offset 5"),
        ("c0030154", "reaches offset"),
        ("c00401a10561", "reaches offset"),
        ("c003014040", "list should end at offset 5, but its elements end at 4"),
        ("c1020140", "odd number of elements"),
        ("c10102", "map of 2 elements at offset 3 has 0 bytes"),
        ("c104024040" + "40", "map should end at offset 6, but its elements end at 5"),
        ("d0ffffffffffffffff", "reaches offset"),
        ("d000000004ffffffff", "list of 4294967295 elements at offset 9 has 0 bytes"),
        ("d100000004fffffffe", "map of 4294967294 elements at offset 9 has 0 bytes"),
        ("f000000005ffffffff71", "array of 4294967295 elements at offset 10 has 0 bytes"),
        ("e00101", "array without an element constructor at offset 3"),
        ("e0020100", "expected a value at offset 4"),
        ("e003010040", "array without an element constructor"),
        ("e0020171", "array of 1 elements at offset 4 has 0 bytes"),
        ("e003015407" + "00", "1 bytes left over"),
        ("e00401540700", "array should end at offset 6, but its elements end at 5"),
        ("e002010f", "unknown constructor 0x0f"),
        ("00", "expected a value at offset 1"),
        ("0040", "expected a value at offset 2"),
        # Keys that Python has no hash for.
        ("c10502c1010040", "can't use as a key"),
        ("c10802c00401c10100" + "40", "can't use as a key"),
        ("c1060200530145" + "40", "can't use as a key"),
    ],
)
def test_malformed(hexed: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode_value(bytes.fromhex(hexed))


def test_unknown_constructors() -> None:
    for code in set(range(1, 256)) - set(_CONSTRUCTORS):
        data = bytes([code]) + bytes(64)
        for bare in (False, True):
            with pytest.raises(DecodeError, match=f"constructor 0x{code:02x}"):
                decode_value(data, bare)
        with pytest.raises(DecodeError, match=f"constructor 0x{code:02x} at offset 0"):
            Decoder(data).skip()


def test_bare_text_is_not_validated() -> None:
    assert decode_value(b"\xa1\x02\xff\xfe", bare=True) == b"\xff\xfe"
    assert decode_value(b"\xa3\x02\xff\xfe", bare=True) == b"\xff\xfe"


def test_unhashable_keys_in_the_bare_mapping() -> None:
    # decimal.Decimal refuses to hash a signaling NaN.
    signaling = bytes.fromhex("747e000000")
    data = b"\xc1\x07\x02" + signaling + b"\x40"
    with pytest.raises(DecodeError, match="can't use as a key"):
        decode_value(data, bare=True)
    assert len(decode_value(data)) == 1


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("e0040254" + "0102", (1, 2)),
        ("e0020040", ()),
        ("e00701c00402540145", ((1, ()),)),
        ("e0020245", ((), ())),
        ("e00501e0020145", (((),),)),
        ("c00701e0040254" + "0102", ((1, 2),)),
    ],
)
def test_arrays_as_keys(key: str, value: Any, bare: bool) -> None:
    content = bytes.fromhex(key + "40")
    assert decode_value(bytes((0xC1, len(content) + 1, 2)) + content, bare) == {value: None}


class TestBounds:
    @pytest.mark.parametrize(("pos", "end"), [(-1, None), (0, 3), (3, None), (2, 1), (0, -1)])
    def test_must_lie_within_the_data(self, pos: int, end: int | None) -> None:
        with pytest.raises(DecodeError, match="aren't within the 2 bytes"):
            Decoder(b"\x40\x41", pos, end)

    def test_nothing_inside_reaches_over_the_end_of_a_compound(self) -> None:
        # Each inner value ends behind the list's end, where more bytes lie.
        for inner in ("a105", "b000000005", "c00502", "d00000000900000001", "54", "71", "81", "98", "e00401", "a1"):
            body = bytes.fromhex(inner)
            data = bytes([0xC0, len(body) + 1, 1]) + body + bytes(64)
            for bare in (False, True):
                with pytest.raises(DecodeError):
                    Decoder(data, 0, None, bare).value()

    def test_skip_does_not_look_into_sized_values(self) -> None:
        decoder = Decoder(bytes.fromhex("c0030fffff" + "a102ffff" + "00a301614041"))
        decoder.skip()
        assert decoder.pos == 5
        decoder.skip()
        assert decoder.pos == 9
        decoder.skip()
        assert decoder.value() is True


class TestLimits:
    @pytest.mark.parametrize("kind", ["list", "map", "array", "described", "constructor", "key"])
    def test_depth(self, kind: str) -> None:
        def data(depth: int) -> bytes:
            value = b"\x40"
            for _ in range(depth):
                if kind == "list":
                    value = b"\xd0" + struct.pack(">II", len(value) + 4, 1) + value
                elif kind == "map":
                    value = b"\xd1" + struct.pack(">II", len(value) + 5, 2) + b"\x40" + value
                elif kind == "key":
                    value = b"\xd0" + struct.pack(">II", len(value) + 4, 1) + value
                elif kind == "array":
                    value = b"\xf0" + struct.pack(">II", len(value) + 4, 1) + value
                elif kind == "described":
                    value = b"\x00\x53\x01" + value
            if kind == "constructor":
                value = b"\x00\x53\x01" * depth + b"\x40"
                value = b"\xf0" + struct.pack(">II", len(value) + 4, 1) + value
            return value

        # The array itself is one level of the depth.
        limit = MAX_DEPTH - (kind == "constructor")
        decode_value(data(limit))
        decode_value(data(limit), bare=True)
        for bare in (False, True):
            with pytest.raises(DecodeError, match=f"nested deeper than {MAX_DEPTH}"):
                decode_value(data(limit + 1), bare)
            with pytest.raises(DecodeError, match=f"nested deeper than {MAX_DEPTH}"):
                decode_value(data(20_000), bare)
        Decoder(data(20_000)).skip()

    @pytest.mark.parametrize("code", [0x40, 0x41, 0x42, 0x43, 0x44, 0x45])
    def test_elements_without_width(self, code: int) -> None:
        def data(count: int) -> bytes:
            return b"\xf0" + struct.pack(">IIB", 5, count, code)

        assert len(decode_value(data(MAX_ELEMENTS))) == MAX_ELEMENTS
        for count in (MAX_ELEMENTS + 1, 2**32 - 1):
            with pytest.raises(DecodeError, match=f"more than {MAX_ELEMENTS} array elements without width"):
                decode_value(data(count))

    def test_elements_without_width_count_over_all_arrays(self) -> None:
        half = b"\xf0" + struct.pack(">IIB", 5, MAX_ELEMENTS // 2, 0x41)
        both = b"\xd0" + struct.pack(">II", 4 + 2 * len(half), 2) + 2 * half
        assert len(decode_value(both)) == 2
        more = b"\xd0" + struct.pack(">II", 8 + 2 * len(half), 3) + 2 * half + b"\xe0\x02\x01\x41"
        with pytest.raises(DecodeError, match="without width"):
            decode_value(more)
        decoder = Decoder(half * 3)
        decoder.value()
        decoder.value()
        with pytest.raises(DecodeError, match="without width"):
            decoder.value()

    def test_arrays_of_arrays_do_not_multiply(self) -> None:
        inner = struct.pack(">IIB", 5, MAX_ELEMENTS, 0x45)
        data = b"\xf0" + struct.pack(">IIB", 5 + 1000 * len(inner), 1000, 0xF0) + 1000 * inner
        with pytest.raises(DecodeError, match="without width"):
            decode_value(data)

    def test_colliding_keys(self) -> None:
        # UUIDs whose numbers differ by multiples of 2^61-1 have the same hash.
        keys = [uuid.UUID(int=index * (2**61 - 1)) for index in range(1, MAX_KEY_COLLISIONS + 2)]
        assert len({hash(key) for key in keys}) == 1
        allowed: dict[Any, Any] = dict.fromkeys(keys[:-1])
        assert decode_value(encode_value(allowed)) == allowed
        with pytest.raises(DecodeError, match=f"more than {MAX_KEY_COLLISIONS} .*collid"):
            decode_value(encode_value(dict.fromkeys(keys)))
        with pytest.raises(DecodeError, match="collid"):
            decode_value(encode_value(dict.fromkeys(keys)), bare=True)

    def test_repeated_keys_are_no_collisions(self) -> None:
        pair = encode_value(uuid.UUID(int=1)) + b"\x40"
        data = b"\xd1" + struct.pack(">II", 4 + 100 * len(pair), 200) + 100 * pair
        assert decode_value(data) == {uuid.UUID(int=1): None}

    def test_many_colliding_keys_take_no_time(self) -> None:
        pairs = b"".join(encode_value(uuid.UUID(int=index * (2**61 - 1))) + b"\x40" for index in range(1, 50_000))
        data = b"\xd1" + struct.pack(">II", 4 + len(pairs), 2 * 49_999) + pairs
        start = time.process_time()
        with pytest.raises(DecodeError, match="collid"):
            decode_value(data)
        assert time.process_time() - start < 1

    def test_many_honest_keys_are_fine(self) -> None:
        value = {uuid.UUID(int=index): index for index in range(2000)}
        assert decode_value(encode_value(value)) == value


def test_array_keeps_its_element_type_when_empty() -> None:
    for element in ("uint", "symbol", "map", "array", "timestamp"):
        assert decode_value(encode_value(Array([], element))) == Array([], element)


def test_fields_are_the_elements_of_a_list() -> None:
    data = bytes.fromhex("c0070340a10161540345d000000005000000014140")
    decoder = Decoder(data, bare=True)
    assert [decoder.fields(), decoder.fields(), decoder.fields()] == [[None, b"a", 3], [], [True]]
    with pytest.raises(DecodeError, match=f"expected a list at offset {len(data) - 1}"):
        decoder.fields()
    assert decoder.value() is None
    with pytest.raises(DecodeError, match=f"expected a list at offset {len(data)}"):
        decoder.fields()


def test_a_map_is_read_as_one_or_refused() -> None:
    decoder = Decoder(bytes.fromhex("c10502a1016143" + "d10000000800000002a1016143" + "c10100" + "40"), bare=True)
    assert [decoder.map(), decoder.map(), decoder.map()] == [{b"a": 0}, {b"a": 0}, {}]
    with pytest.raises(DecodeError, match="expected a map at offset 23"):
        decoder.map()
    assert decoder.value() is None
    with pytest.raises(DecodeError, match="expected a map at offset 24"):
        decoder.map()


@pytest.mark.parametrize("data", ["c10201a0", "c10401a1016140", "c10402404040", "c10502a10161", "c10000", "c1", "c102"])
def test_a_map_that_is_none_is_refused(data: str) -> None:
    for start in (Decoder.map, Decoder.value):
        with pytest.raises(DecodeError):
            start(Decoder(bytes.fromhex(data)))


@pytest.mark.parametrize("count", [255, 256, 257, 513])
def test_lists_of_any_length(count: int) -> None:
    values = [index % 3 if index % 2 else [str(index)] for index in range(count)]
    assert decode_value(encode_value(values)) == values


def test_nested_lists_take_no_memory_for_elements_that_they_only_claim() -> None:
    """Each claims as many elements as it has bytes; 60 deep, room made for all of them would be 60 times 8 MB."""
    size = 1_000_000
    data = b""
    for depth in range(60):
        inner = size - 9 * depth
        data += b"\xd0" + struct.pack(">II", inner - 5, inner - 9)
    data += b"\xff" * (size - len(data))
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="unknown constructor 0xff"):
            decode_value(data)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
