"""Messages, batches and their parts; each is in a module of its own."""

from __future__ import annotations

from . import c_uamqp as c_uamqp  # noqa: PLC0414
from . import constants as constants  # noqa: PLC0414
from . import errors as errors  # noqa: PLC0414
from . import utils as utils  # noqa: PLC0414
from ._batch import BatchMessage
from ._bodies import DataBody, MessageBody, SequenceBody, ValueBody
from ._message import Message
from ._sections import MessageHeader, MessageProperties

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
