"""Credentials, and where a connection goes: the authentication classes of the 1.6 API."""

from __future__ import annotations

from .cbs_auth import CBSAuthMixin, JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from .cbs_auth_async import CBSAsyncAuthMixin, JWTTokenAsync, SASTokenAsync
from .common import AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain

__all__ = [
    "AMQPAuth",
    "CBSAsyncAuthMixin",
    "CBSAuthMixin",
    "JWTTokenAsync",
    "JWTTokenAuth",
    "SASLAnonymous",
    "SASLExternal",
    "SASLPlain",
    "SASTokenAsync",
    "SASTokenAuth",
    "TokenRetryPolicy",
]
