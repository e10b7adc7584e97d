"""What 1.6 needed for Python 2, by the names that it had. A door: the code is in `uamqp.classic.vocabulary.compat`."""

from .classic.vocabulary.compat import *
from .classic.vocabulary.compat import __all__ as __all__
