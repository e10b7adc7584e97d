"""AMQP 1.0 without I/O: SASL, connection, session, links, flow control and timers, for clients and servers alike.

Public, for people who need AMQP without our transports: docs/engine.md. The time is an argument.
Start with `Engine`.
"""

from __future__ import annotations

from .. import codec  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)

# isort: split
# The connection comes first: the compiled modules know each other's types, and this is the order that suits them.
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
