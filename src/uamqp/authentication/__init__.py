"""Credentials, and where a connection goes: the authentication classes of the 1.6 API."""

from __future__ import annotations

from .common import AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain

__all__ = ["AMQPAuth", "SASLAnonymous", "SASLExternal", "SASLPlain"]
