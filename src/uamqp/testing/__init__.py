"""An AMQP 1.0 broker inside your tests and demos. Not for production: it keeps everything in memory.

    from uamqp.testing import Broker

    with Broker() as broker:
        ...  # connect to broker.url; or broker.host and broker.port

`python -m uamqp.testing` runs one until it is stopped. docs/broker.md tells what it does.
"""

from __future__ import annotations

from .broker import Broker
from .faults import Faults, connection_redirect, error, link_redirect
from .nodes import Counters
from .views import ConnectionView, MessageView, QueueView

__all__ = [
    "Broker",
    "ConnectionView",
    "Counters",
    "Faults",
    "MessageView",
    "QueueView",
    "connection_redirect",
    "error",
    "link_redirect",
]
