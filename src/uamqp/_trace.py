"""The frame trace that `debug=True` turns on: a line a frame, to the logger that 1.6 used. The engine masks secrets."""

from __future__ import annotations

import logging

from .codec import Composite

_logger = logging.getLogger("uamqp.c_uamqp")


def log_frame(direction: str, channel: int, performative: Composite | None, payload_size: int) -> None:
    """Log a frame; the engine's `Trace`."""
    if performative is None:
        _logger.info("%s Empty frame", direction)
        return
    name = performative.NAME.split(":")[1].upper()
    values = [getattr(performative, field.attribute) for field in performative.FIELDS]
    while values and values[-1] in (None, ()):
        values.pop()
    fields = ",".join("NULL" if value in (None, ()) else str(value) for value in values)
    payload = f" + {payload_size} bytes" if payload_size else ""
    _logger.info("%s [%s]* {%s}%s (channel %d)", direction, name, fields, payload, channel)
