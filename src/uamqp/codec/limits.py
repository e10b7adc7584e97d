"""Bounds on what a peer's bytes may make the codec do, each with its reason.

Lengths and counts need no bounds: they are checked against the available bytes before anything is built, so the size of
decoded values is within a constant factor of the received bytes.
"""

from __future__ import annotations

MAX_DEPTH = 64
"""Nesting depth of compounds, arrays and descriptors, in both directions.

Real messages stay below ten. Each level costs two or three of Python's thousand stack frames, and a list that contains
itself must be an error.
"""

MAX_ELEMENTS = 65_536
"""Number of zero-width array elements (null, true, false, uint0, ulong0, list0) that a Decoder builds in total.

They occupy no bytes, so nothing else bounds their number: ten bytes could request 2^32 of them.
"""

MAX_KEY_COLLISIONS = 16
"""Number of keys in a map that may share a hash value.

UUIDs, decimals, tuples and the like are hashed without a secret, so a peer can choose keys that all collide, and a map
of n such keys costs n^2 comparisons. Honest keys never come close to the limit.
"""

MAX_SIZE = 0xFFFFFFFF
"""Size and count of variable, compound and array encodings are at most 32 bits wide (section 1.2 of AMQP 1.0)."""
