"""AMQP 1.0 without I/O: SASL, connection, session, links, flow control and timers, for clients and servers alike.

Public, for those who need AMQP without our transports: see docs/engine.md. The time is always an argument.
Start with `Engine`.
"""

from __future__ import annotations

from .. import codec  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)

# isort: split
# The connection comes first: the compiled modules refer to each other's types, and need this order.
from .connection import Engine

# isort: split
from ..codec.signatures import present
from . import conditions, events, sasl
from .config import EngineConfig, Role
from .delivery import IncomingDelivery, OutgoingDelivery
from .errors import Cause, CauseKind, LocalProtocolError, MessageTooLarge
from .limits import Limits
from .link import Link
from .receiver import Receiver
from .sender import Sender
from .session import Session
from .states import ConnectionState, EndpointState
from .terms import Trace

__all__ = [
    "Cause",
    "CauseKind",
    "ConnectionState",
    "EndpointState",
    "Engine",
    "EngineConfig",
    "IncomingDelivery",
    "Limits",
    "Link",
    "LocalProtocolError",
    "MessageTooLarge",
    "OutgoingDelivery",
    "Receiver",
    "Role",
    "Sender",
    "Session",
    "Trace",
    "conditions",
    "events",
    "sasl",
]

present(globals())
