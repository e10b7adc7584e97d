"""Internal: what every front on the engine needs and the wire format doesn't decide.

The order in which a connection, its sessions and their links open, what is retried, and who is told of what. No I/O,
no locks, no clocks: the time is an argument, as in the engine.
"""

from __future__ import annotations

from .. import engine  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
from ..codec.signatures import present
from . import address
from .connection import ConnectionCore, ConnectionOwner
from .failure import NO_MESSAGES_FAULT, NOT_WORTH_RETRYING, Failure, Fault, Redirect
from .incoming import Custody, Inbox, Incoming, is_settled_by_sender, settle
from .link import LinkCore, LinkHandler, LinkOwner, LinkSettings, LinkState, ReceiverCore, SenderCore
from .masking import masked, masked_within
from .outbox import Entry, Group, Outbox
from .outgoing import Outcome, OutcomeKind, Outgoing, RetryPolicy, Step, outcome_of
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
from .tokens import (
    CBS_NODE,
    Refusal,
    Token,
    TokenClaim,
    TokenKeeper,
    TokenPolicy,
    TokenStatus,
    TokenStep,
    shared_access_signature,
)

__all__ = [
    "CBS_FIELDS",
    "CBS_NODE",
    "DESCRIPTION_FIELDS",
    "MANAGEMENT_FIELDS",
    "NOT_WORTH_RETRYING",
    "NO_MESSAGES_FAULT",
    "STATUS_FIELDS",
    "ConnectionCore",
    "ConnectionOwner",
    "Custody",
    "Entry",
    "Failure",
    "Fault",
    "Group",
    "Inbox",
    "Incoming",
    "LinkCore",
    "LinkHandler",
    "LinkOwner",
    "LinkSettings",
    "LinkState",
    "Outbox",
    "Outcome",
    "OutcomeKind",
    "Outgoing",
    "ReceiverCore",
    "Redirect",
    "Refusal",
    "Request",
    "RequestLinks",
    "RequestNode",
    "RequestState",
    "RetryPolicy",
    "SenderCore",
    "SessionCore",
    "Step",
    "Token",
    "TokenClaim",
    "TokenKeeper",
    "TokenPolicy",
    "TokenStatus",
    "TokenStep",
    "address",
    "is_settled_by_sender",
    "masked",
    "masked_within",
    "outcome_of",
    "settle",
    "shared_access_signature",
]

present(globals())
