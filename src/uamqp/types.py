"""Values with an AMQP type of their own. A door: the code is in `uamqp.classic.values.types`."""

from .classic.values.types import *
from .classic.values.types import __all__ as __all__
