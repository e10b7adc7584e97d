"""Names that 1.6 kept for Python 2, for programs that import them."""

from __future__ import annotations

import builtins
import queue
from urllib.parse import ParseResult, quote_plus, unquote_plus, urlparse

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
