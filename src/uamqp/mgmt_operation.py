"""Requests to management nodes. A door: the code is in `uamqp.classic.endpoints.management`."""

from .classic.endpoints.management import Answer, MgmtOperation
from .classic.message import Message

__all__ = ["Answer", "Message", "MgmtOperation"]
