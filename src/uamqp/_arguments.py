"""Checks of arguments: each returns the value, or raises an error that names the argument. Imports nothing of ours."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """Return what an error says of a wrong value: a number, and of anything else its type, for it may be a secret."""
    if isinstance(value, (int, float)) and abs(value) < 1e30:
        return repr(value)
    return "an empty text" if value in ("", b"") else type(value).__name__


def integer(value: Any, name: str, least: int, most: int) -> int:
    """Return an integer from `least` to `most`.

    Raises:
        TypeError: it is none. ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}.")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {shown(value)}.")
    return value


def number(value: Any, name: str, unit: str, *, positive: bool = False) -> float:
    """Return a number of some unit: 0 or more, or above 0 if `positive`.

    Raises:
        TypeError: it is none. ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of {unit}, not {type(value).__name__}.")
    if not (value > 0 if positive else value >= 0):
        raise ValueError(f"{name} must be {'above 0' if positive else '0 or more'} {unit}, not {shown(value)}.")
    return value


def encoded(value: Any, name: str, encoding: str) -> bytes:
    """Return text, or bytes as they are, as bytes.

    Raises:
        TypeError: it is neither. UnicodeEncodeError: the encoding has no such character; the text isn't in it, for it
            may be a password.
    """
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str or bytes, not {type(value).__name__}.")
    try:
        return value.encode(encoding)
    except UnicodeEncodeError as error:
        start, reason = error.start, error.reason
    raise UnicodeEncodeError(encoding, value[start : start + 1], 0, 1, f"{reason} (character {start} of {name})")


def text(value: Any, name: str, encoding: str) -> str:
    """Return text, or what bytes hold of it.

    Raises:
        TypeError: it is neither. UnicodeDecodeError: the bytes are no text; they aren't in it either.
    """
    if isinstance(value, str):
        return value
    data = encoded(value, name, encoding)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        start, reason = error.start, error.reason
    raise UnicodeDecodeError(encoding, data[start : start + 1], 0, 1, f"{reason} (byte {start} of {name})")
