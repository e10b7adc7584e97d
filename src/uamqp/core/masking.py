"""Keeps passwords out of errors, logs and traces."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_IN_TEXT = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:]*:)\S*@")


def masked(text: str) -> str:
    """Return a URL, or what may have been meant as one, without its password.

    The password is everything between the first colon after the scheme and the last `@`, not just what a parser takes
    for it: without a scheme or percent-encoding, the parser would put some of it into the host, path or query.
    """
    at = text.rfind("@")
    if at < 0:
        return text
    scheme = _SCHEME.match(text)
    colon = text.find(":", scheme.end() if scheme is not None else 0, at)
    return text if colon < 0 else f"{text[: colon + 1]}***{text[at:]}"


def masked_within(text: str) -> str:
    """Return a text without the passwords of the URLs in it."""
    return _IN_TEXT.sub(r"\1***@", text) if "@" in text else text
