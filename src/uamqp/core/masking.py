"""Keeps passwords out of what is shown: errors, logs, traces. Imports nothing of ours."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_IN_TEXT = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:]*:)\S*@")


def masked(text: str) -> str:
    """Return a URL, or what may have been meant as one, without its password.

    The password is all between the first colon behind the scheme and the last `@`, not only what a parser takes for it:
    in a URL without a scheme, or whose password isn't percent-encoded, the parser finds it in the host, path or query.
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
