"""Sessions. A door: the code is in `uamqp.classic.endpoints.session`."""

from .classic.endpoints.session import OnAttach, Session
from .classic.vocabulary.address import Source, Target

__all__ = ["OnAttach", "Session", "Source", "Target"]
