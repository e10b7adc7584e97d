"""Receiving links. A door: the code is in `uamqp.classic.endpoints.receiver`."""

from .classic.endpoints.receiver import MessageReceiver

__all__ = ["MessageReceiver"]
