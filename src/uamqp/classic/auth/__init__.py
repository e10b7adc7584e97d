"""Credentials, and where a connection goes: the authentication classes of the 1.6 API. Tokens are in `cbs`."""

from __future__ import annotations

from .common import (
    AMQPAuth,
    Authentication,
    SASLAnonymous,
    SASLExternal,
    SASLPlain,
    checked_auth,
    checked_host,
    refuse_unknown,
)

__all__ = [
    "AMQPAuth",
    "Authentication",
    "SASLAnonymous",
    "SASLExternal",
    "SASLPlain",
    "checked_auth",
    "checked_host",
    "refuse_unknown",
]
