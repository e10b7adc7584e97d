"""The asyncio front. A door: the code is in `uamqp.classic.aio`."""

from ..classic.aio import *
from ..classic.aio import __all__ as __all__
from . import client_async as client_async
from . import connection_async as connection_async
from . import link_async as link_async
from . import mgmt_operation_async as mgmt_operation_async
from . import receiver_async as receiver_async
from . import sender_async as sender_async
from . import session_async as session_async
from . import utils as utils
