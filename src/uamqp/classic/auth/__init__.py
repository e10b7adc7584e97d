"""Credentials, and where a connection goes: the authentication classes of the 1.6 API."""

from __future__ import annotations

from .common import AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain
from .tokens import CBSAuthMixin, JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from .tokens_async import CBSAsyncAuthMixin, JWTTokenAsync, SASTokenAsync

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
