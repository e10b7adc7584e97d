"""Credentials of SASL. A door: the code is in `uamqp.classic.auth.common`."""

from ..classic.auth.common import DEFAULT_WEBSOCKET_PATH, AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain
from ..classic.vocabulary.constants import TransportType

__all__ = ["DEFAULT_WEBSOCKET_PATH", "AMQPAuth", "SASLAnonymous", "SASLExternal", "SASLPlain", "TransportType"]
