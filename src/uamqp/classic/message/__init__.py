"""Messages, batches and their parts, each in its own module."""

from __future__ import annotations

from ... import codec  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
from ...codec.signatures import present
from .batch import BatchMessage
from .bodies import DataBody, MessageBody, SequenceBody, ValueBody
from .message import Message
from .sections import MessageHeader, MessageProperties

__all__ = [
    "BatchMessage",
    "DataBody",
    "Message",
    "MessageBody",
    "MessageHeader",
    "MessageProperties",
    "SequenceBody",
    "ValueBody",
]

present(globals())
