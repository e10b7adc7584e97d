"""Credentials, and where a connection goes. A door: the code is in `uamqp.classic.auth`."""

from ..classic.auth import *
from ..classic.auth import __all__ as __all__
from . import cbs_auth as cbs_auth
from . import cbs_auth_async as cbs_auth_async
from . import common as common
