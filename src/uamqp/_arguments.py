"""Checks of arguments: each returns the value, or raises an error that names the argument. Imports nothing of ours."""

from __future__ import annotations

from typing import Any


def integer(value: Any, name: str, least: int, most: int) -> int:
    """Return an integer from `least` to `most`.

    Raises:
        TypeError: it is none. ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}.")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value!r}.")
    return value


def number(value: Any, name: str, unit: str, *, positive: bool = False) -> float:
    """Return a number of some unit: 0 or more, or above 0 if `positive`.

    Raises:
        TypeError: it is none. ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of {unit}, not {type(value).__name__}.")
    if not (value > 0 if positive else value >= 0):
        raise ValueError(f"{name} must be {'above 0' if positive else '0 or more'} {unit}, not {value!r}.")
    return value


def encoded(value: Any, name: str, encoding: str) -> bytes:
    """Return text, or bytes as they are, as bytes.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, str):
        return value.encode(encoding)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    raise TypeError(f"{name} must be str or bytes, not {type(value).__name__}.")


def text(value: Any, name: str, encoding: str) -> str:
    """Return text, or what bytes hold of it.

    Raises:
        TypeError: it is neither.
    """
    return value if isinstance(value, str) else encoded(value, name, encoding).decode(encoding)
