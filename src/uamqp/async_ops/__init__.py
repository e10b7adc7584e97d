"""The asyncio front. A door: the code is in `uamqp.classic.aio`."""

from ..classic.aio import *
from ..classic.aio import __all__ as __all__
from . import client_async as client_async
from . import link_async as link_async
