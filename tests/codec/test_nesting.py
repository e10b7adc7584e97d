"""What is encoded can be read: nothing is nested deeper than the decoder goes, whatever it stands in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from uamqp.codec import (
    Array,
    Attach,
    DecodeError,
    Described,
    EncodeError,
    Error,
    Modified,
    Open,
    Properties,
    Rejected,
    Source,
    Symbol,
    Transfer,
    ULong,
    decode_composite,
    decode_value,
    encode_value,
)
from uamqp.codec.encode import append_keyed_map
from uamqp.codec.errors import NestingError
from uamqp.codec.limits import MAX_DEPTH, MAX_ELEMENTS


class Own:
    """Encodes itself, as the classes of `uamqp.types` do."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __amqp_encode__(self) -> bytes:
        return encode_value(self.value)


class Raw:
    """Encodes itself as what it was given, right or wrong."""

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded

    def __amqp_encode__(self) -> bytes:
        return self.encoded


WRAPS: dict[str, Callable[[Any], Any]] = {
    "list": lambda value: [value],
    "tuple": lambda value: (value,),
    "map": lambda value: {"k": value},
    "described": lambda value: Described(ULong(1), value),
    "described by": lambda value: Described(value, 1),
    "array": lambda value: Array([value if isinstance(value, Array) else Array([1])]),
    "array of lists": lambda value: Array([value if isinstance(value, list) else [value]]),
    "array of maps": lambda value: Array([{"k": value}]),
    "array of described": lambda value: Array([Described(ULong(1), [value])]),
    "array with descriptors": lambda value: Array([[value]], "list", [ULong(1), ULong(2), ULong(3)]),
    "array described by": lambda value: Array([1], "int", [value]),
    "own list": lambda value: Own([value]),
    "own map": lambda value: Own({"k": value}),
    "list of own": lambda value: [Own(value)],
    "array of own": lambda value: Array([Own([value])]),
    "set": lambda value: [value, 1, "x"],
}

Place = tuple[int, Callable[[Any], bytes], Callable[[bytes], Any]]


def rejected(value: Any) -> Rejected:
    return Rejected(Error(Symbol("c"), None, {Symbol("k"): value}))


# What a value may stand in: the levels that this has itself, how it is encoded, and read.
PLACES: dict[str, Place] = {
    "value": (0, encode_value, decode_value),
    "bare value": (0, lambda value: encode_value(value, bare=True), lambda data: decode_value(data, bare=True)),
    "open.properties": (2, lambda value: Open("c", properties={Symbol("k"): value}).encode(), decode_composite),
    "attach.source.filter": (
        4,
        lambda value: Attach("l", 0, True, source=Source("q", filter={Symbol("f"): value})).encode(),
        decode_composite,
    ),
    "attach.source.address": (
        4,
        lambda value: Attach("l", 0, True, source=Source(Described(ULong(1), value))).encode(),
        decode_composite,
    ),
    "transfer.state": (
        4,
        lambda value: Transfer(0, state=Modified(message_annotations={Symbol("k"): value})).encode(),
        decode_composite,
    ),
    "properties.to": (2, lambda value: Properties(to=Described(ULong(1), value)).encode(), decode_composite),
    "error.info in a list": (6, lambda value: encode_value([rejected(value)]), decode_value),
}


def nested(wrap: Callable[[Any], Any], depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("kind", WRAPS)
@pytest.mark.parametrize("place", PLACES)
def test_the_deepest_that_is_encoded_can_be_read(place: str, kind: str) -> None:
    _, encode, decode = PLACES[place]

    def refusal(depth: int) -> str:
        try:
            encoded = encode(nested(WRAPS[kind], depth))
        except NestingError as error:
            return str(error)
        decode(encoded)
        return ""

    # Half of what is left each time: a depth that is encoded, and one that isn't.
    depth, deepest = MAX_DEPTH + 1, 0
    while depth - deepest > 1:
        middle = (depth + deepest) // 2
        depth, deepest = (middle, deepest) if refusal(middle) else (depth, middle)
    assert f"nested deeper than {MAX_DEPTH}" in refusal(depth)
    assert deepest >= 10


@pytest.mark.parametrize("kind", ["list", "map", "described", "own list"])
@pytest.mark.parametrize("place", PLACES)
def test_no_more_is_refused_than_the_decoder_refuses(place: str, kind: str) -> None:
    levels, encode, decode = PLACES[place]
    decode(encode(nested(WRAPS[kind], MAX_DEPTH - levels)))
    with pytest.raises(NestingError, match=f"nested deeper than {MAX_DEPTH}"):
        encode(nested(WRAPS[kind], MAX_DEPTH - levels + 1))


def test_objects_that_encode_themselves_are_refused_where_the_decoder_would() -> None:
    data = b"\x40"
    for depth in range(1, MAX_DEPTH + 2):
        data = b"\xd0" + (len(data) + 4).to_bytes(4, "big") + b"\x00\x00\x00\x01" + data
        if depth <= MAX_DEPTH:
            assert encode_value(Raw(data)) == data
            decode_value(data)
    with pytest.raises(NestingError):
        encode_value(Raw(data))
    with pytest.raises(DecodeError, match=f"nested deeper than {MAX_DEPTH}"):
        decode_value(data)


@pytest.mark.parametrize("symbols", [False, True])
def test_a_section_that_is_a_map(symbols: bool) -> None:
    deepest = {"k": nested(WRAPS["list"], MAX_DEPTH - 1)}
    out = bytearray()
    append_keyed_map(out, deepest, symbols)
    assert decode_value(out) == deepest
    for wrap in ("list", "own list"):
        with pytest.raises(NestingError, match=f"nested deeper than {MAX_DEPTH}"):
            append_keyed_map(out, {"k": nested(WRAPS[wrap], MAX_DEPTH)}, symbols)
    assert decode_value(out) == deepest


NONSENSE = [
    "c0", "c00201", "c0030240", "d000000005", "c1020140", "e00201", "00", "0053", "c1030240ff", "e0030173ff",
]  # fmt: skip


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("encoded", NONSENSE)
def test_objects_that_encode_themselves_as_nonsense(encoded: str, bare: bool) -> None:
    raw = Raw(bytes.fromhex(encoded))
    for value in (raw, [raw], Array([raw])):
        with pytest.raises(EncodeError, match="encode"):
            encode_value(value, bare)


VALUES: list[Any] = [
    [], {}, [[]], [1, "a", None, 2.5], {"a": {"b": [1]}}, Array([], "int"), Array([1, 2]), Array([[1], [2, 3]]),
    Array(["a" * 300]), Array([Array([True])]), Array([{1: 2}]), Array([None] * 5), Array([Described(ULong(1), [1])]),
    Described(Symbol("d"), {"a": 1}), [b"x" * 300], Array([], "list", [ULong(5)]), list(range(300)),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_objects_that_encode_themselves(value: Any) -> None:
    assert encode_value(Own(value)) == encode_value(value)
    assert encode_value([Own(value), Own(value)]) == encode_value([value, value])


@pytest.mark.parametrize(
    "encoded",
    [
        "c10502c1010040",  # a map with a map as its key
        "c00401e00100",  # an array without a constructor, as 1.6 has them
        "c00401a101ff",  # text that isn't UTF-8
        "c0060173ffffffff",  # no character
    ],
)
def test_what_we_could_not_read_passes(encoded: str) -> None:
    """In bytes that are made elsewhere."""
    data = bytes.fromhex(encoded)
    assert encode_value(Raw(data)) == data
    assert encode_value([Raw(data)]) == bytes((0xC0, len(data) + 1, 1)) + data


def test_an_array_of_null() -> None:
    assert len(decode_value(encode_value(Array([None] * MAX_ELEMENTS)))) == MAX_ELEMENTS
    with pytest.raises(EncodeError, match=f"takes {MAX_ELEMENTS} elements"):
        encode_value(Array([None] * (MAX_ELEMENTS + 1)))
