"""What 1.6 had in its native module. A door: the code is in `uamqp.classic.values.native`."""

from .classic.values.native import *
from .classic.vocabulary.constants import ConnectionState as ConnectionState
