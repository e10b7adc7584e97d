"""Connections, sessions and links, what is sent and received over them, and management requests."""

from ... import core  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
from .. import message  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
