"""Constants and types that the engine's endpoints share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..codec import Composite, Coordinator, Described, ReceiverSettleMode, SenderSettleMode, Source, Target

Trace = Callable[[str, int, Composite | None, int], None]
"""Called for each frame: "->" or "<-", channel, performative (None for an empty frame), size of the payload."""

AnySource: TypeAlias = Source | Described | None
AnyTarget: TypeAlias = Target | Coordinator | Described | None

# Settle modes of a link (sections 2.8.2, 2.8.3), as numbers that compiled code compares without an object.
MODE_UNSETTLED = int(SenderSettleMode.UNSETTLED)
MODE_SETTLED = int(SenderSettleMode.SETTLED)
MODE_MIXED = int(SenderSettleMode.MIXED)
MODE_FIRST = int(ReceiverSettleMode.FIRST)
MODE_SECOND = int(ReceiverSettleMode.SECOND)

DEFAULT_WINDOW = 2048
OUTGOING_WINDOW = 0x7FFFFFFF
MAX_HANDLE = 0xFFFFFFFF

ENCODED_ALL, NO_WINDOW, OUTPUT_FULL = 0, 1, 2
"""Why `Sender._encode_queued` stopped."""
