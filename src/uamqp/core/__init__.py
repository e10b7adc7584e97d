"""Internal: what every front on the engine needs, and no wire format decides.

The order in which a connection, its sessions and their links open, what is tried again, and who hears of what. No I/O,
no locks, no clocks: the time is an argument, as in the engine. Imports `uamqp.engine` and `uamqp.codec`.
"""

from __future__ import annotations

from .. import engine  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
from ..codec.signatures import present
from .address import AddressError, Host, ParsedAddress, is_url, parse, split
from .cbs import CBS_NODE, Refusal, Token, TokenClaim, TokenStatus
from .connection import ConnectionCore, ConnectionOwner
from .failure import NO_MESSAGES_FAULT, NOT_WORTH_RETRYING, Failure, Fault, Redirect
from .link import LinkCore, LinkHandler, LinkOwner, LinkSettings, LinkState, ReceiverCore, SenderCore
from .masking import masked, masked_within
from .outbox import Entry, Group, Outbox
from .requests import DESCRIPTION_FIELDS, STATUS_FIELDS, Request, RequestLinks, RequestState
from .session import SessionCore

__all__ = [
    "CBS_NODE",
    "DESCRIPTION_FIELDS",
    "NOT_WORTH_RETRYING",
    "NO_MESSAGES_FAULT",
    "STATUS_FIELDS",
    "AddressError",
    "ConnectionCore",
    "ConnectionOwner",
    "Entry",
    "Failure",
    "Fault",
    "Group",
    "Host",
    "LinkCore",
    "LinkHandler",
    "LinkOwner",
    "LinkSettings",
    "LinkState",
    "Outbox",
    "ParsedAddress",
    "ReceiverCore",
    "Redirect",
    "Refusal",
    "Request",
    "RequestLinks",
    "RequestState",
    "SenderCore",
    "SessionCore",
    "Token",
    "TokenClaim",
    "TokenStatus",
    "is_url",
    "masked",
    "masked_within",
    "parse",
    "split",
]

present(globals())
