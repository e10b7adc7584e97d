"""Decimals in binary integer decimal encoding, from known bit patterns.

The patterns of 32 and 64 bits are those that other implementations print for the same numbers, or follow from
section 3.5.2 of IEEE 754-2008 by hand.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uamqp.codec import Decimal32, Decimal64, Decimal128, EncodeError, decode_value, encode_value

KINDS: dict[int, Any] = {8: Decimal32, 16: Decimal64, 32: Decimal128}

# (bits, number): from the bits to the number, and from the number to the same bits.
EXACT: list[tuple[str, str]] = [
    ("32800000", "0"),
    ("b2800000", "-0"),
    ("32800001", "1"),
    ("b2800001", "-1"),
    ("3200007d", "12.5"),
    ("00000001", "1E-101"),
    ("00000000", "0E-101"),
    ("5f800000", "0E+90"),
    ("6cb8967f", "9999999"),
    ("ecb8967f", "-9999999"),
    ("77f8967f", "9.999999E+96"),
    ("32ffffff", "8388607"),
    ("6ca00000", "8388608"),
    ("78000000", "Infinity"),
    ("f8000000", "-Infinity"),
    ("7c000000", "NaN"),
    ("fc000000", "-NaN"),
    ("7e000000", "sNaN"),
    ("7c00007b", "NaN123"),
    ("7e0f423f", "sNaN999999"),
    ("31c0000000000001", "1"),
    ("31a000000000000f", "1.5"),
    ("6c7386f26fc0ffff", "9999999999999999"),
    ("77fb86f26fc0ffff", "9.999999999999999E+384"),
    ("0000000000000001", "1E-398"),
    ("7800000000000000", "Infinity"),
    ("7c00000000000000", "NaN"),
    ("30400000000000000000000000000001", "1"),
    ("303c000000000000000000000000007d", "1.25"),
    ("b0400000000000000000000000000000", "-0"),
    ("5fffed09bead87c0378d8e63ffffffff", "9.999999999999999999999999999999999E+6144"),
    ("3041ed09bead87c0378d8e63ffffffff", "9999999999999999999999999999999999"),
    ("00000000000000000000000000000001", "1E-6176"),
    ("78000000000000000000000000000000", "Infinity"),
    ("fc000000000000000000000000000000", "-NaN"),
    ("7c00314dc6448d9338c15b09ffffffff", "NaN" + "9" * 33),
]

# Not what an encoder makes: read as IEEE 754 says.
NON_CANONICAL: list[tuple[str, str]] = [
    ("6cb89680", "0"),  # 10000000, a digit too many
    ("ecb89680", "-0"),
    ("77ffffff", "0E+90"),
    ("6c7386f26fc10000", "0"),
    ("3041ed09bead87c0378d8e6400000000", "0"),
    ("6c100000000000000000000000000000", "0"),  # the large-coefficient form never fits decimal128
    ("7fffffff", "sNaN"),  # a payload of more than six digits
    ("7dffffff", "NaN"),
    ("7bffffff", "Infinity"),
]


@pytest.mark.parametrize(("bits", "number"), EXACT)
def test_exact(bits: str, number: str) -> None:
    kind = KINDS[len(bits)]
    value = kind(bytes.fromhex(bits))
    assert value.value.as_tuple() == Decimal(number).as_tuple()
    assert kind.from_decimal(Decimal(number)) == value
    assert kind.from_decimal(number).raw.hex() == bits


@pytest.mark.parametrize(("bits", "number"), NON_CANONICAL)
def test_non_canonical(bits: str, number: str) -> None:
    value = KINDS[len(bits)](bytes.fromhex(bits))
    assert value.value.as_tuple() == Decimal(number).as_tuple()
    assert decode_value(encode_value(value)).raw.hex() == bits


@pytest.mark.parametrize(
    ("number", "bits"),
    [
        ("1.0000000", "2f8f4240"),  # eight digits, seven of which are needed
        ("10E90", "5f80000a"),  # one digit of the exponent moves to the coefficient
        ("1E96", "5f8f4240"),
        ("10E-102", "00000001"),
        ("0E999", "5f800000"),
        ("-0E-999", "80000000"),
        ("NaN000", "7c000000"),
    ],
)
def test_what_fits_another_way(number: str, bits: str) -> None:
    assert Decimal32.from_decimal(Decimal(number)).raw.hex() == bits


@pytest.mark.parametrize(
    "number", ["12345678", "1.0000001", "1E97", "99E96", "1E-102", "123E-103", "NaN1000000", "-sNaN1000000"]
)
def test_what_does_not_fit(number: str) -> None:
    with pytest.raises(EncodeError, match="decimal32"):
        Decimal32.from_decimal(Decimal(number))


def test_plain_decimals_go_out_as_decimal128() -> None:
    assert encode_value(Decimal("1.25")).hex() == "94303c000000000000000000000000007d"
    assert encode_value(Decimal("NaN"), bare=True).hex() == "947c" + "00" * 15
    with pytest.raises(EncodeError, match="34 digits"):
        encode_value(Decimal(10**34 + 1))


def test_the_decimal_context_does_not_matter() -> None:
    with localcontext() as context:
        context.prec = 3
        assert Decimal128.from_decimal(Decimal("1.2345678")).value == Decimal("1.2345678")
        assert Decimal32.from_decimal("-9999999E90").value.as_tuple() == Decimal("-9999999E90").as_tuple()


def test_int_and_str_are_taken() -> None:
    assert Decimal64.from_decimal(12).raw.hex() == "31c000000000000c"
    assert Decimal64.from_decimal("1.5").raw.hex() == "31a000000000000f"
    with pytest.raises(EncodeError, match="'abc' is no number"):
        Decimal64.from_decimal("abc")


@given(st.sampled_from([Decimal32, Decimal64, Decimal128]), st.binary(min_size=16, max_size=16))
def test_any_bytes_are_a_number(kind: Any, data: bytes) -> None:
    value = kind(data[: kind.SIZE])
    number = value.value
    again = kind.from_decimal(number)
    # The same number in canonical form; bit patterns differ only where they weren't canonical.
    assert again.value.as_tuple() == number.as_tuple()
    assert decode_value(encode_value(value)) == value
