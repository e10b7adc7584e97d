"""An AMQP 1.0 broker inside your tests and demos. Not for production: it keeps everything in memory.

    from uamqp.testing import Broker

    with Broker() as broker:
        ...  # connect to broker.url; or broker.host and broker.port

With pytest, a test that has an argument `amqp_broker` gets one. `python -m uamqp.testing` runs one until it is stopped.
docs/broker.md describes what it does.

Everything is imported when it is first used (PEP 562), for pytest imports this package in every run, wanted or not.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name
if TYPE_CHECKING:  # the same names as in `_HOMES`
    from .broker import Broker
    from .cbs import PutToken, Tokens
    from .envelope import with_annotations
    from .faults import Faults, connection_redirect, error, link_redirect
    from .hooks import AttachAnswer, AttachRequest, HookError, Hooks, Settlement
    from .nodes import Counters
    from .services import ServiceRequest, ServiceResponse
    from .views import ConnectionView, MessageView, QueueView, SubscriptionView

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
    "SubscriptionView",
    "Tokens",
    "connection_redirect",
    "error",
    "link_redirect",
    "with_annotations",
]

_HOMES = {
    "AttachAnswer": "hooks",
    "AttachRequest": "hooks",
    "Broker": "broker",
    "ConnectionView": "views",
    "Counters": "nodes",
    "Faults": "faults",
    "HookError": "hooks",
    "Hooks": "hooks",
    "MessageView": "views",
    "PutToken": "cbs",
    "QueueView": "views",
    "ServiceRequest": "services",
    "ServiceResponse": "services",
    "Settlement": "hooks",
    "SubscriptionView": "views",
    "Tokens": "cbs",
    "connection_redirect": "faults",
    "error": "faults",
    "link_redirect": "faults",
    "with_annotations": "envelope",
}

if not TYPE_CHECKING:  # type checkers would think that any name exists

    def __getattr__(name: str) -> object:
        """Import what has this name, and make it an ordinary attribute."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # It imports all the others: threads that come first at the same time wait for each other here.
        import_module(f"{__name__}.broker")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return all names, imported or not."""
    return sorted({*globals(), *_HOMES})
