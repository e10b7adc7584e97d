"""uamqp: the AMQP 1.0 client for Python, with the API of uamqp 1.6 on an engine of its own."""

from __future__ import annotations

__version__ = "1.7.0"
