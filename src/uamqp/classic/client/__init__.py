"""Clients: a connection, a session and a link in one, with a queue of messages or an inbox."""

from ... import core  # noqa: F401 (before the compiled modules here: docs/design.md, Layers)
