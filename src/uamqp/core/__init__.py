"""Internal: what every front on the engine needs, and no wire format decides.

The order in which a connection, its sessions and their links open, what is tried again, and who hears of what. No I/O,
no locks, no clocks: the time is an argument, as in the engine. Imports `uamqp.engine` and `uamqp.codec`.
"""

from __future__ import annotations

from .. import engine  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
from ..codec.signatures import present
from .connection import ConnectionCore, ConnectionOwner
from .link import LinkCore, LinkHandler, LinkOwner, LinkSettings, LinkState, ReceiverCore, SenderCore
from .masking import masked, masked_within
from .outbox import Entry, Group, Outbox
from .requests import (
    CBS_FIELDS,
    DESCRIPTION_FIELDS,
    MANAGEMENT_FIELDS,
    STATUS_FIELDS,
    Request,
    RequestLinks,
    RequestNode,
    RequestState,
)
from .session import SessionCore
from .tokens import CBS_NODE, Refusal, Token, TokenClaim, TokenKeeper, TokenPolicy, TokenStatus, TokenStep

__all__ = [
    "CBS_FIELDS",
    "CBS_NODE",
    "DESCRIPTION_FIELDS",
    "MANAGEMENT_FIELDS",
    "STATUS_FIELDS",
    "ConnectionCore",
    "ConnectionOwner",
    "Entry",
    "Group",
    "LinkCore",
    "LinkHandler",
    "LinkOwner",
    "LinkSettings",
    "LinkState",
    "Outbox",
    "ReceiverCore",
    "Refusal",
    "Request",
    "RequestLinks",
    "RequestNode",
    "RequestState",
    "SenderCore",
    "SessionCore",
    "Token",
    "TokenClaim",
    "TokenKeeper",
    "TokenPolicy",
    "TokenStatus",
    "TokenStep",
    "masked",
    "masked_within",
]

present(globals())
