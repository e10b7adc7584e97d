"""Messages, batches and their parts. A door: the code is in `uamqp.classic.message`."""

from . import c_uamqp as c_uamqp
from . import constants as constants
from . import errors as errors
from . import utils as utils
from .classic.message import *
from .classic.message import __all__ as __all__
from .classic.message.message import UNREAD as UNREAD
