"""Exceptions, and what is done about errors. A door: the code is in `uamqp.classic.vocabulary.errors`."""

from . import c_uamqp as c_uamqp
from . import constants as constants
from .classic.vocabulary.errors import *
from .classic.vocabulary.errors import _rebuild as _rebuild
from .classic.vocabulary.translate import _process_connection_error as _process_connection_error
from .classic.vocabulary.translate import _process_link_error as _process_link_error
from .classic.vocabulary.translate import _process_send_error as _process_send_error
