"""Values of AMQP's types, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from uamqp.codec import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Long,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=300)
SYMBOLS = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=300).map(Symbol)
# Scalars by element type. Numbers beyond int32 without a type come back as Long, so plain ints stay within.
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "ubyte": st.integers(0, 2**8 - 1).map(UByte),
    "ushort": st.integers(0, 2**16 - 1).map(UShort),
    "uint": st.integers(0, 2**32 - 1).map(UInt),
    "ulong": st.integers(0, 2**64 - 1).map(ULong),
    "byte": st.integers(-(2**7), 2**7 - 1).map(Byte),
    "short": st.integers(-(2**15), 2**15 - 1).map(Short),
    "int": INT32,
    "long": INT64.map(Long),
    "float": st.floats(width=32, allow_nan=False).map(Float),
    "double": st.floats(allow_nan=False),
    "decimal32": st.binary(min_size=4, max_size=4).map(Decimal32),
    "decimal64": st.binary(min_size=8, max_size=8).map(Decimal64),
    "decimal128": st.binary(min_size=16, max_size=16).map(Decimal128),
    "char": st.characters(exclude_categories=["Cs"]).map(Char),
    "timestamp": INT64.map(Timestamp),
    "uuid": st.uuids(),
    "binary": st.binary(max_size=300),
    "string": TEXT,
    "symbol": SYMBOLS,
}
SCALAR = st.one_of(*SCALARS.values())
DESCRIPTORS = st.one_of(SCALARS["ulong"], SYMBOLS)


def arrays(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Array]:
    compounds = {
        "list": st.lists(values, max_size=3),
        "map": st.dictionaries(SYMBOLS, values, max_size=3),
        "array": st.lists(INT32, max_size=3).map(lambda items: Array(items, "int")),
    }
    return st.sampled_from([*SCALARS, *compounds]).flatmap(
        lambda element: st.builds(
            Array,
            st.lists({**SCALARS, **compounds}[element], max_size=5),
            st.just(element),
            st.lists(DESCRIPTORS, max_size=2),
        )
    )


def compounds(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(values, max_size=5),
        st.dictionaries(SCALAR, values, max_size=5),
        arrays(values),
        st.builds(Described, DESCRIPTORS, values),
    )


VALUES = st.recursive(SCALAR, compounds, max_leaves=20)
