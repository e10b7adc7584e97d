"""Credentials, and where a connection goes. A door: the code is in `uamqp.classic.auth`."""

from ..classic.auth import *
from ..classic.auth import __all__ as __all__
