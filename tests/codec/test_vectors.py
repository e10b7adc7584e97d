"""Every encoding of the specification, from bytes written by hand, in both directions and both mappings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.vectors import CANONICAL, OTHERS
from uamqp.codec import DecodeError, Decoder, append_bare, append_value, decode_value, encode_value
from uamqp.codec.decode import _CONSTRUCTORS

ALL = CANONICAL + OTHERS


def names(vectors: list[Any]) -> list[str]:
    return [f"{vector[0][:24]}-{index}" for index, vector in enumerate(vectors)]


@pytest.mark.parametrize(("hexed", "typed", "bare"), ALL, ids=names(ALL))
def test_decode(hexed: str, typed: Any, bare: Any) -> None:
    data = bytes.fromhex(hexed)
    # repr tells types as well as values, in all depths, and zeros by their sign.
    assert repr(decode_value(data)) == repr(typed)
    assert repr(decode_value(data, bare=True)) == repr(bare)
    assert decode_value(bytearray(data)) == typed
    assert decode_value(memoryview(data)) == typed


@pytest.mark.parametrize(("hexed", "typed", "bare"), CANONICAL, ids=names(CANONICAL))
def test_encode(hexed: str, typed: Any, bare: Any) -> None:
    assert encode_value(typed).hex() == hexed
    out = bytearray(b"before")
    append_value(out, typed)
    assert out.hex() == b"before".hex() + hexed


@pytest.mark.parametrize(("hexed", "typed", "bare"), ALL, ids=names(ALL))
def test_cursor_stops_after_the_value(hexed: str, typed: Any, bare: Any) -> None:
    data = b"\xff\xff" + bytes.fromhex(hexed) + b"\x41"
    for is_bare, expected in ((False, typed), (True, bare)):
        decoder = Decoder(data, 2, None, is_bare)
        assert decoder.value() == expected
        assert decoder.pos == len(data) - 1
        assert decoder.value() is True
    decoder = Decoder(data, 2)
    decoder.skip()
    assert decoder.pos == len(data) - 1
    decoder.skip()
    assert decoder.pos == len(data)


@pytest.mark.parametrize(("hexed", "typed", "bare"), ALL, ids=names(ALL))
def test_every_prefix_is_an_error(hexed: str, typed: Any, bare: Any) -> None:
    data = bytes.fromhex(hexed)
    for end in range(len(data)):
        for is_bare in (False, True):
            with pytest.raises(DecodeError):
                decode_value(data[:end], bare=is_bare)
            # The bytes are there, but beyond the bounds.
            with pytest.raises(DecodeError):
                Decoder(data, 0, end, is_bare).value()
        with pytest.raises(DecodeError):
            Decoder(data, 0, end).skip()


def test_vectors_have_every_constructor() -> None:
    firsts = {bytes.fromhex(vector[0])[0] for vector in ALL}
    assert firsts >= set(_CONSTRUCTORS) | {0x00}


def test_bare_encoding_differs_in_text_alone() -> None:
    for value, hexed in (
        (b"a\0b", "a103610062"),
        (bytearray(b"a\0b"), "a003610062"),
        (memoryview(b"a\0b"), "a003610062"),
        ("a\0b", "a103610062"),
        ({1}, "c003015401"),
        (frozenset((1,)), "c003015401"),
        ((1, b"x"), "c006025401a10178"),
        ({b"k": b"v"}, "c10702a1016ba10176"),
        (b"a" * 256, "b100000100" + "61" * 256),
    ):
        out = bytearray()
        append_bare(out, value)
        assert out.hex() == hexed
        assert encode_value(value, bare=True).hex() == hexed


def holds_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(holds_bytes(item) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(holds_bytes(item) for item in value)
    return isinstance(value, bytes)


@pytest.mark.parametrize(("hexed", "typed", "bare"), CANONICAL, ids=names(CANONICAL))
def test_bare_encoding_is_typed_encoding_for_the_rest(hexed: str, typed: Any, bare: Any) -> None:
    if not holds_bytes(typed):
        assert encode_value(typed, bare=True).hex() == hexed
