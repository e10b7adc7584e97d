"""Helpers for connection strings, tokens and values. A door: the code is in `uamqp.classic.values.convert`."""

from .classic.values.convert import *
from .classic.values.convert import __all__ as __all__
