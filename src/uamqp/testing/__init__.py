"""An AMQP 1.0 broker inside your tests and demos. Not for production: it keeps everything in memory.

    from uamqp.testing import Broker

    with Broker() as broker:
        ...  # connect to broker.url; or broker.host and broker.port

`python -m uamqp.testing` runs one until it is stopped. docs/broker.md describes what it does.
"""

from __future__ import annotations

from .broker import Broker
from .cbs import PutToken, Tokens
from .envelope import with_annotations
from .faults import Faults, connection_redirect, error, link_redirect
from .hooks import AttachAnswer, AttachRequest, HookError, Hooks, Settlement
from .nodes import Counters
from .services import ServiceRequest, ServiceResponse
from .views import ConnectionView, MessageView, QueueView

__all__ = [
    "AttachAnswer",
    "AttachRequest",
    "Broker",
    "ConnectionView",
    "Counters",
    "Faults",
    "HookError",
    "Hooks",
    "MessageView",
    "PutToken",
    "QueueView",
    "ServiceRequest",
    "ServiceResponse",
    "Settlement",
    "Tokens",
    "connection_redirect",
    "error",
    "link_redirect",
    "with_annotations",
]
