"""Constants and enumerations. A door: the code is in `uamqp.classic.vocabulary.constants`."""

from .classic.vocabulary.constants import *
from .classic.vocabulary.constants import __all__ as __all__
