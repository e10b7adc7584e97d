"""Sending links. A door: the code is in `uamqp.classic.endpoints.sender`."""

from .classic.endpoints.sender import MessageSender

__all__ = ["MessageSender"]
