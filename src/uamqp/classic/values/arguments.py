"""Checks of arguments: each returns the value, or raises an error that names the argument. Imports nothing of ours."""

from __future__ import annotations

import math
import operator
import os
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any, TypeVar

T = TypeVar("T")

MOST_SECONDS = 9e9

_MAX_PATH = 1024

_NUMBERS: tuple[type[Any], ...] = (Real, Decimal)


def given(value: T | None) -> T | None:
    """Return an argument; None in place of anything that is false, for in 1.6 that stood for the default.

    A member of an enumeration is given, whatever its number.
    """
    return value if value or isinstance(value, Enum) else None


def shown(value: Any) -> str:
    """Return what an error says of a wrong value: a number, and of anything else its type, for it may be a secret."""
    if isinstance(value, (int, float)) and not abs(value) >= 1e30:
        return repr(value)
    return "empty" if isinstance(value, (str, bytes)) and not value else type(value).__name__


def integer(value: Any, name: str, least: int, most: int, note: str = "") -> int:
    """Return an integer from `least` to `most`. A number of another type that is one will do, as in 1.6.

    Args:
        note: what the error's text adds to the range.

    Raises:
        TypeError: it is none. ValueError: it is out of range.
    """
    if isinstance(value, _NUMBERS) and not isinstance(value, int) and float(value).is_integer():
        value = int(value)
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}.")
    if not least <= found <= most:
        raise ValueError(f"{name} must be from {least} to {most}{note}, not {shown(found)}.")
    return found


def number(value: Any, name: str, unit: str, *, positive: bool = False) -> float:
    """Return a number of some unit: 0 or more, or above 0 if `positive`.

    Raises:
        TypeError: it is none. ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise TypeError(f"{name} must be a number of {unit}, not {type(value).__name__}.")
    try:
        found = float(value)
    except OverflowError:
        found = math.nan
    if not (found > 0 if positive else found >= 0):
        raise ValueError(f"{name} must be {'above 0' if positive else '0 or more'} {unit}, not {shown(value)}.")
    return value if isinstance(value, (int, float)) else found


def finite(value: Any, name: str, unit: str, *, positive: bool = False, most: float = MOST_SECONDS) -> float:
    """Return what `number` does, if it is `most` at most: what the operating system takes for seconds.

    Raises:
        TypeError: it is no number. ValueError: it is out of range.
    """
    found = number(value, name, unit, positive=positive)
    if found > most:
        raise ValueError(f"{name} must be {most:g} {unit} at most, not {shown(value)}.")
    return found


def encoding_of(value: Any) -> str:
    """Return the name of an encoding of text; UTF-8 in place of what is false.

    Raises:
        TypeError: it is no text. ValueError: there is no such encoding.
    """
    if value == "UTF-8" or not value:
        return "UTF-8"
    if not isinstance(value, str):
        raise TypeError(f"encoding must be the name of an encoding, such as 'UTF-8', not {type(value).__name__}.")
    try:
        "".encode(value)
    except (LookupError, ValueError) as error:
        raise ValueError(f"encoding must be the name of an encoding of text, such as 'UTF-8': {error}.") from error
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


def path(value: Any, name: str) -> str | None:
    """Return the path of a file as text; None in place of what is false.

    Raises:
        TypeError: it is no path. ValueError: it is the content of a file; it isn't in the text, for it may be a key.
    """
    if not value:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{name} must be the path of a file, not {type(value).__name__}.")
    found = os.fsdecode(value)
    if "\n" in found or "\0" in found or len(found) > _MAX_PATH:
        raise ValueError(f"{name} must be the path of a file, not what is in it.")
    return found


def checked_function(value: T, name: str) -> T:
    """Return what is to be called.

    Raises:
        TypeError: it can't be.
    """
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}.")
    return value


def checked_callback(value: T | None, name: str) -> T | None:
    """Return what is to be called; None in place of what is false, as in 1.6.

    Raises:
        TypeError: it can't be called.
    """
    return checked_function(value, name) if value else None


def having(value: T, name: str, what: str, *attributes: str) -> T:
    """Return an object that has attributes, of whatever class it is; a class is none.

    Args:
        what: what it should be, for the error's text.

    Raises:
        TypeError: it lacks one of them.
    """
    for attribute in attributes:
        if isinstance(value, type) or not hasattr(value, attribute):
            raise TypeError(f"{name} must be {what}, not {type(value).__name__}.")
    return value
