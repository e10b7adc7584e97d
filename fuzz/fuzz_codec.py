"""Fuzzes the codec: any bytes decode or raise DecodeError, and what was decoded survives another round.

python -m fuzz.fuzz_codec --seconds 600
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable
from typing import Any

from uamqp.codec import (
    COMPOSITES_BY_CODE,
    DecodeError,
    Decoder,
    EncodeError,
    decode_composite,
    decode_value,
    encode_value,
    scan_sections,
)

from . import mutate

_CONSTRUCTORS = bytes.fromhex("4041424344455051525354555660617071727374808182838494" + "98a0a1a3b0b1b3c0c1d0d1e0f000")
TOKENS: list[bytes] = [
    *[bytes([code]) for code in _CONSTRUCTORS],
    *[bytes((0x00, 0x53, code)) for code in sorted({*COMPOSITES_BY_CODE, *range(0x70, 0x79)})],
    *[b"\x00\xa3" + bytes([len(cls.NAME)]) + cls.NAME.encode() for cls in COMPOSITES_BY_CODE.values()],
    bytes.fromhex("c00100"), bytes.fromhex("c10100"), bytes.fromhex("d00000000400000000"), bytes.fromhex("a10161"),
    bytes.fromhex("f00000000500010000" + "40"), bytes.fromhex("747e000000"), bytes.fromhex("7300110000"),
]  # fmt: skip


class Broken(Exception):
    """An invariant doesn't hold."""


def attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """The result and "", or None and the kind of the DecodeError."""
    try:
        return function(*arguments), ""
    except DecodeError as error:
        return None, re.sub(r"0x[0-9a-f]+|\d+|'.*'", "#", str(error))


def encoded(value: Any) -> bytes | None:
    """The encoding of what was decoded. None where arrays, whose elements have no list0, nest a level deeper."""
    try:
        return encode_value(value)
    except EncodeError as error:
        if "nested deeper" in str(error):
            return None
        raise Broken(f"what was decoded can't be encoded: {error}") from error


def check_values(data: bytes) -> list[str]:
    outcomes = []
    for bare in (False, True):
        decoder = Decoder(data, 0, None, bare)
        value, problem = attempt(decoder.value)
        outcomes.append(problem or type(value).__name__)
        if problem:
            continue
        skipper = Decoder(data)
        skipper.skip()
        checker = Decoder(data)
        checker.check()
        if not skipper.pos == checker.pos == decoder.pos:
            raise Broken(f"value() stops at {decoder.pos}, skip() at {skipper.pos}, check() at {checker.pos}")
        if isinstance(value, (list, dict)) and data[0] in (0x45, 0xC0, 0xD0, 0xC1, 0xD1):
            check_spans(data, decoder.pos, value)
        if not bare:
            again = encoded(value)
            # repr tells types and signs apart in all depths, and NaN equals itself.
            if again is not None and repr(decode_value(again)) != repr(value):
                raise Broken("encoding and decoding gives another value")
    return outcomes


def check_spans(data: bytes, end: int, value: Any) -> None:
    """The elements of a list or map lie where they are said to."""
    stops = Decoder(data, 0, end).element_stops()
    if stops != sorted(stops) or stops[-1] != end or (type(value) is list and len(stops) != len(value) + 1):
        raise Broken(f"elements at {stops} of {end}")


def check_composite(data: bytes) -> str:
    result, problem = attempt(decode_composite, data)
    if problem:
        return problem
    composite, end = result
    if not 0 < end <= len(data):
        raise Broken(f"the composite ends at {end} of {len(data)}")
    again = encoded(composite)
    if again is not None and repr(decode_composite(again)[0]) != repr(composite):
        raise Broken("encoding and decoding gives another composite")
    return type(composite).__name__


def check_sections(data: bytes) -> list[Hashable]:
    sections, problem = attempt(scan_sections, data)
    if problem:
        return [problem]
    outcomes: list[Hashable] = []
    last = 0
    for code, start, end in sections:
        if not last < start < end <= len(data):
            raise Broken(f"section {code:#x} from {start} to {end} after {last}, of {len(data)}")
        last = end
        decoder = Decoder(data, start, end)
        _, problem = attempt(decoder.value)
        if not problem and decoder.pos != end:
            raise Broken(f"section {code:#x} ends at {end}, its value at {decoder.pos}")
        outcomes.append((code, problem))
    if last != len(data):
        raise Broken(f"sections end at {last} of {len(data)}")
    return outcomes[-2:]


def target(data: bytes) -> Hashable:
    """What happens to `data` in all of the codec's entrances; raises Broken where an invariant doesn't hold."""
    return (*check_values(data), check_composite(data), *check_sections(data))


if __name__ == "__main__":
    sys.exit(mutate.main("codec", target, TOKENS))
