"""Internal: what every front on the engine needs, and no wire format decides.

The order in which a connection, its sessions and their links open, what is tried again, and who hears of what. No I/O,
no locks, no clocks: the time is an argument, as in the engine. Imports `uamqp.engine` and `uamqp.codec`.
"""

from __future__ import annotations

from .connection import ConnectionCore, ConnectionOwner
from .link import LinkCore, LinkOwner, LinkSettings, LinkState, ReceiverCore, SenderCore
from .outbox import Entry, Outbox
from .session import SessionCore

__all__ = [
    "ConnectionCore",
    "ConnectionOwner",
    "Entry",
    "LinkCore",
    "LinkOwner",
    "LinkSettings",
    "LinkState",
    "Outbox",
    "ReceiverCore",
    "SenderCore",
    "SessionCore",
]
