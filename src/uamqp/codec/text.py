"""Texts chosen by a peer, in a form for people."""

from __future__ import annotations

MAX_TEXT = 500


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """Return a text for an error or a log line: just its start, since a peer may send many kilobytes."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more characters)"
