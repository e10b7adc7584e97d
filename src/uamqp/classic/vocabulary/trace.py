"""The frame trace that `debug=True` turns on: a line per frame, to the logger that 1.6 used.

The engine masks what SASL exchanges; passwords of URLs are masked here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

from ...codec import Composite, Described
from ...codec.text import MAX_TEXT, shortened
from ...core import masked

_logger = logging.getLogger("uamqp.c_uamqp")

_MAX_LINE = 4000
"""Maximum number of characters for a frame's fields, whose number the peer chooses; long ones are cut one by one."""


def log_frame(
    extra: Mapping[str, object], direction: str, channel: int, performative: Composite | None, payload_size: int
) -> None:
    """Log a frame. With `extra`, which identifies the connection in the record, this is the engine's `Trace`."""
    if performative is None:
        _logger.info("%s Empty frame", direction, extra=extra)
        return
    name = performative.NAME.split(":")[1].upper()
    payload = f" + {payload_size} bytes" if payload_size else ""
    fields = shortened(shown(performative), _MAX_LINE)
    _logger.info("%s [%s]%s%s (channel %d)", direction, name, fields, payload, channel, extra=extra)


def shown(value: Any) -> str:
    """Return a value in the form of 1.6's trace: `* {..}` for described, `<00 ff>` for binary, NULL for null."""
    if _is_absent(value):
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray)):
        return "***" if value == b"***" else f"<{shortened(bytes(value[:MAX_TEXT]).hex(' '))}>"
    if isinstance(value, Composite):
        fields = [getattr(value, field.attribute) for field in value.FIELDS]
        while fields and _is_absent(fields[-1]):
            fields.pop()
        return f"* {{{','.join(map(shown, fields))}}}"
    if isinstance(value, Described):
        return f"* {shown(value.value)}"
    if isinstance(value, dict):
        return f"{{{','.join(f'[{shown(key)}:{shown(item)}]' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"{{{','.join(map(shown, value))}}}"
    return shortened(masked(str(value.value if isinstance(value, Enum) else value)))


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, tuple) and not value)
