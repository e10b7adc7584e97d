"""Bounds on what a peer's bytes may make the codec do, each with its reason.

Lengths and counts need no bound of their own: they are checked against the bytes that are there before
anything is built, so what is decoded stays within a constant factor of what was received.
"""

from __future__ import annotations

MAX_DEPTH = 64
"""Compounds, arrays and descriptors within each other, in both directions.

Real messages stay below ten; each level costs Python two or three stack frames of a thousand, and a list that contains
itself must be an error.
"""

MAX_ELEMENTS = 65_536
"""Array elements of width zero (null, true, false, uint0, ulong0, list0) that one Decoder builds, all arrays together.

They take no bytes, so nothing else bounds their count: ten bytes could ask for 2^32 of them.
"""

MAX_KEY_COLLISIONS = 16
"""Keys of one map that share a hash value.

UUIDs, decimals, tuples and the like hash without a secret, so a peer can choose keys that all collide, and a map of n
such keys costs n^2 comparisons. Honest keys never come near.
"""

MAX_SIZE = 0xFFFFFFFF
"""Size and count of variable, compound and array encodings are at most 32 bits wide (section 1.2 of AMQP 1.0)."""
