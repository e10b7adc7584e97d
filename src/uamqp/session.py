"""Sessions. A door: the code is in `uamqp.classic.endpoints.session`."""

from .address import Source, Target
from .classic.endpoints.session import OnAttach, Session

__all__ = ["OnAttach", "Session", "Source", "Target"]
