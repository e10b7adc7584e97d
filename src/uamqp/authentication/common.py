"""Credentials of SASL. A door: the code is in `uamqp.classic.auth.common`."""

from ..classic.auth.common import AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain
from ..constants import TransportType

__all__ = ["AMQPAuth", "SASLAnonymous", "SASLExternal", "SASLPlain", "TransportType"]
