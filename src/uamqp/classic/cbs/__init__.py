"""Authentication by tokens (claims-based security) in the 1.6 API; tokens have a session of their own."""

from __future__ import annotations

from .tokens import CBSAuthMixin, JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from .tokens_async import CBSAsyncAuthMixin, JWTTokenAsync, SASTokenAsync

__all__ = [
    "CBSAsyncAuthMixin",
    "CBSAuthMixin",
    "JWTTokenAsync",
    "JWTTokenAuth",
    "SASTokenAsync",
    "SASTokenAuth",
    "TokenRetryPolicy",
]
