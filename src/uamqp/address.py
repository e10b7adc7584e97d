"""Addresses, sources and targets. A door: the code is in `uamqp.classic.vocabulary.address`."""

from .classic.vocabulary.address import *
from .classic.vocabulary.address import __all__ as __all__
