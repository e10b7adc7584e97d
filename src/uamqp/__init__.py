"""uamqp: an AMQP 1.0 client for Python, with the API of uamqp 1.6 on an engine of its own.

Everything is imported when it is first used (PEP 562), so that `uamqp.codec` and `uamqp.engine` load nothing but
themselves, and the blocking clients don't load asyncio. (PYTEST_DONT_REWRITE: there are no asserts here. Without this,
pytest warns when a program that has imported uamqp calls it.)
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name; importing `typing` for it would take 6 ms more
if TYPE_CHECKING:  # the same names as in `_HOMES`, for type checkers
    from . import (
        address,
        async_ops,
        authentication,
        c_uamqp,
        client,
        compat,
        connection,
        constants,
        errors,
        message,
        mgmt_operation,
        receiver,
        sender,
        session,
        types,
        utils,
    )
    from . import codec as codec
    from . import engine as engine
    from .classic.aio.client import AMQPClientAsync, AsyncMessageIter, ReceiveClientAsync, SendClientAsync
    from .classic.aio.connection import ConnectionAsync
    from .classic.aio.receiver import MessageReceiverAsync
    from .classic.aio.sender import MessageSenderAsync
    from .classic.aio.session import SessionAsync
    from .classic.client.base import AMQPClient
    from .classic.client.receive import ReceiveClient
    from .classic.client.send import SendClient
    from .classic.endpoints.connection import Connection
    from .classic.endpoints.receiver import MessageReceiver
    from .classic.endpoints.sender import MessageSender
    from .classic.endpoints.session import Session
    from .classic.functions import _Platform as _Platform
    from .classic.functions import get_platform_info, receive_message, receive_messages, send_message
    from .classic.message import BatchMessage, Message
    from .classic.vocabulary.address import Source, Target
    from .classic.vocabulary.constants import MessageBodyType, TransportType

__version__ = "1.7.0"

__all__ = [
    "AMQPClient",
    "AMQPClientAsync",
    "AsyncMessageIter",
    "BatchMessage",
    "Connection",
    "ConnectionAsync",
    "Message",
    "MessageBodyType",
    "MessageReceiver",
    "MessageReceiverAsync",
    "MessageSender",
    "MessageSenderAsync",
    "ReceiveClient",
    "ReceiveClientAsync",
    "SendClient",
    "SendClientAsync",
    "Session",
    "SessionAsync",
    "Source",
    "Target",
    "TransportType",
    "__version__",
    "address",
    "async_ops",
    "authentication",
    "c_uamqp",
    "client",
    "compat",
    "connection",
    "constants",
    "errors",
    "get_platform_info",
    "message",
    "mgmt_operation",
    "receive_message",
    "receive_messages",
    "receiver",
    "send_message",
    "sender",
    "session",
    "types",
    "utils",
]

_MODULES = (
    "address",
    "async_ops",
    "authentication",
    "c_uamqp",
    "client",
    "codec",
    "compat",
    "connection",
    "constants",
    "engine",
    "errors",
    "message",
    "mgmt_operation",
    "receiver",
    "sender",
    "session",
    "types",
    "utils",
)
"""The modules that are attributes of `uamqp`."""

_HOMES = {
    "AMQPClient": "classic.client.base",
    "AMQPClientAsync": "classic.aio.client",
    "AsyncMessageIter": "classic.aio.client",
    "BatchMessage": "classic.message",
    "Connection": "classic.endpoints.connection",
    "ConnectionAsync": "classic.aio.connection",
    "Message": "classic.message",
    "MessageBodyType": "classic.vocabulary.constants",
    "MessageReceiver": "classic.endpoints.receiver",
    "MessageReceiverAsync": "classic.aio.receiver",
    "MessageSender": "classic.endpoints.sender",
    "MessageSenderAsync": "classic.aio.sender",
    "ReceiveClient": "classic.client.receive",
    "ReceiveClientAsync": "classic.aio.client",
    "SendClient": "classic.client.send",
    "SendClientAsync": "classic.aio.client",
    "Session": "classic.endpoints.session",
    "SessionAsync": "classic.aio.session",
    "Source": "classic.vocabulary.address",
    "Target": "classic.vocabulary.address",
    "TransportType": "classic.vocabulary.constants",
    "_Platform": "classic.functions",
    "get_platform_info": "classic.functions",
    "receive_message": "classic.functions",
    "receive_messages": "classic.functions",
    "send_message": "classic.functions",
}
"""Where everything else is: behind the doors, so that a replacement patched into a door isn't kept here."""

_USED_HERE = {"TYPE_CHECKING", "annotations", "import_module", "logging", "os", "sys", "threading"}

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless the application asks for the log


_first_use = threading.RLock()
"""Held while a name is imported. As a package's import ends, Python takes it out of `sys.modules` for a moment; another
thread's import of one of its modules fails with a `KeyError` then.
"""


def _renew_first_use() -> None:
    """Let a forked child import names while another thread of its parent was importing one.

    Only the module that the thread was in the middle of stays locked in the child, by Python itself.
    """
    global _first_use  # noqa: PLW0603 (nobody in the child would release the old one)
    _first_use = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_first_use)


def _imports_ours() -> bool:
    """Return whether the calling thread is importing a module of this package.

    Then another thread may be waiting for that module while it holds `_first_use`, which this one mustn't wait for.
    """
    frame = sys._getframe().f_back
    while frame is not None:
        if frame.f_code.co_name == "<module>" and str(frame.f_globals.get("__name__")).startswith(f"{__name__}."):
            return True
        frame = frame.f_back
    return False


def _imported(name: str) -> object:
    path = __name__
    for part in _HOMES.get(name, name).split("."):
        # A package before its modules: if another thread is importing it, this waits here, and holds no module's lock.
        path = f"{path}.{part}"
        value = import_module(path)
    return getattr(value, name) if name in _HOMES else value


if not TYPE_CHECKING:  # type checkers would think that any name exists

    def __getattr__(name: str) -> object:
        """Import what has this name, and make it an ordinary attribute."""
        if name not in _MODULES and name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if _imports_ours():
            value = _imported(name)
        else:
            with _first_use:
                value = _imported(name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return all names, imported or not, without those that this module uses itself."""
    return sorted({*globals(), *_MODULES, *_HOMES} - _USED_HERE)
