"""Tokens (claims-based security). A door: the code is in `uamqp.classic.auth.tokens`."""

from ..classic.auth.tokens import CBSAuthMixin, JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from ..constants import TransportType
from ..session import Session
from .common import AMQPAuth

__all__ = ["AMQPAuth", "CBSAuthMixin", "JWTTokenAuth", "SASTokenAuth", "Session", "TokenRetryPolicy"]
__all__ += ["TransportType"]
