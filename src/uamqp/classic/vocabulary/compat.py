"""Names that 1.6 kept for Python 2; programs written for it import them. May import the standard library only."""

from __future__ import annotations

import builtins
import queue as queue  # noqa: PLC0414
from urllib.parse import (
    ParseResult as ParseResult,  # noqa: PLC0414
)
from urllib.parse import (
    quote_plus as quote_plus,  # noqa: PLC0414
)
from urllib.parse import (
    unquote_plus as unquote_plus,  # noqa: PLC0414
)
from urllib.parse import (
    urlparse as urlparse,  # noqa: PLC0414
)

__all__ = [
    "PY2",
    "PY3",
    "ParseResult",
    "TimeoutException",
    "basestring",
    "builtin_str",
    "bytes",
    "integer_types",
    "long",
    "numeric_types",
    "queue",
    "quote_plus",
    "str",
    "unquote_plus",
    "urlparse",
]

PY2 = False
PY3 = True

TimeoutException = TimeoutError

builtin_str = builtins.str
str = builtins.str
bytes = builtins.bytes
basestring = (builtins.str, builtins.bytes)
numeric_types = (int, float)
integer_types = (int,)
long = int
