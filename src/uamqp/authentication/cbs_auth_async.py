"""Tokens for the asyncio clients. A door: the code is in `uamqp.classic.cbs.tokens_async`."""

from ..classic.cbs.tokens import CBSAuthMixin, JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from ..classic.cbs.tokens_async import CBSAsyncAuthMixin, JWTTokenAsync, SASTokenAsync, is_coroutine
from ..classic.vocabulary.constants import TransportType

__all__ = ["CBSAsyncAuthMixin", "CBSAuthMixin", "JWTTokenAsync", "JWTTokenAuth", "SASTokenAsync", "SASTokenAuth"]
__all__ += ["TokenRetryPolicy", "TransportType", "is_coroutine"]
