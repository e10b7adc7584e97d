"""Tokens (claims-based security). A door: the code is in `uamqp.classic.cbs.tokens`."""

from ..classic.auth.common import AMQPAuth
from ..classic.cbs.tokens import CBSAuthMixin, JWTTokenAuth, SASTokenAuth, TokenRetryPolicy
from ..classic.endpoints.session import Session
from ..classic.vocabulary.constants import TransportType

__all__ = ["AMQPAuth", "CBSAuthMixin", "JWTTokenAuth", "SASTokenAuth", "Session", "TokenRetryPolicy"]
__all__ += ["TransportType"]
