"""Connections. A door: the code is in `uamqp.classic.endpoints.connection`."""

from .classic.endpoints.connection import Connection

__all__ = ["Connection"]
