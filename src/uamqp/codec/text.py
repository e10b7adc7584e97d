"""Texts that a peer chose, for people."""

from __future__ import annotations

MAX_TEXT = 500


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """A text as it may stand in an error or a log line: its start, where a peer has sent many kilobytes."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more characters)"
