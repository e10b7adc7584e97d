"""Credentials, and where a connection goes. A door: the code is in `uamqp.classic.auth` and `uamqp.classic.cbs`."""

from ..classic.auth import AMQPAuth, SASLAnonymous, SASLExternal, SASLPlain
from ..classic.cbs import CBSAsyncAuthMixin, CBSAuthMixin, JWTTokenAsync, JWTTokenAuth, SASTokenAsync, SASTokenAuth
from ..classic.cbs.tokens import TokenRetryPolicy
from . import cbs_auth as cbs_auth
from . import cbs_auth_async as cbs_auth_async
from . import common as common

__all__ = ["AMQPAuth", "CBSAsyncAuthMixin", "CBSAuthMixin", "JWTTokenAsync", "JWTTokenAuth", "SASLAnonymous"]
__all__ += ["SASLExternal", "SASLPlain", "SASTokenAsync", "SASTokenAuth", "TokenRetryPolicy"]
