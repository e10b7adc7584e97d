"""Checks of arguments: each returns the value, or raises an error that names the argument."""

from __future__ import annotations

import math
import operator
import os
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Any, TypeVar

T = TypeVar("T")

MAX_SECONDS = 9e9
"""The longest time that the operating system accepts."""

_MAX_PATH = 1024

_NUMBERS: tuple[type[Any], ...] = (Real, Decimal)


def given(value: T | None) -> T | None:
    """Return an argument, or None for anything false, which stood for the default in 1.6.

    A member of an enumeration is returned whatever its number.
    """
    return value if value or isinstance(value, Enum) else None


def shown(value: Any) -> str:
    """Return what an error says about a wrong value: a number itself, otherwise the type, as it may be a secret."""
    if isinstance(value, (int, float)) and not abs(value) >= 1e30:
        return repr(value)
    return "empty" if isinstance(value, (str, bytes)) and not value else type(value).__name__


def integer(value: Any, name: str, minimum: int, maximum: int, note: str = "") -> int:
    """Return an integer from `minimum` to `maximum`. As in 1.6, a whole number of another type will do.

    Args:
        value: the argument.
        name: the argument's name, for errors.
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
        note: what the error's text adds to the range.

    Raises:
        TypeError: the value isn't an integer.
        ValueError: it is out of range.
    """
    if isinstance(value, _NUMBERS) and not isinstance(value, int) and float(value).is_integer():
        value = int(value)
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        found = None
    if found is None:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}.")
    if not minimum <= found <= maximum:
        raise ValueError(f"{name} must be from {minimum} to {maximum}{note}, not {shown(found)}.")
    return found


def number(value: Any, name: str, unit: str, *, positive: bool = False) -> float:
    """Return a number in some unit: 0 or more, or above 0 if `positive`.

    Raises:
        TypeError: the value isn't a number.
        ValueError: it is out of range.
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


def finite(value: Any, name: str, unit: str, *, positive: bool = False, maximum: float = MAX_SECONDS) -> float:
    """Return what `number` does, up to `maximum`, by default the largest that the operating system accepts.

    Raises:
        TypeError: the value isn't a number.
        ValueError: it is out of range.
    """
    found = number(value, name, unit, positive=positive)
    if found > maximum:
        raise ValueError(f"{name} must be {maximum:g} {unit} at most, not {shown(value)}.")
    return found


def encoding_of(value: Any) -> str:
    """Return the name of a text encoding; UTF-8 for anything false.

    Raises:
        TypeError: the value isn't text.
        ValueError: there is no such encoding.
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
    """Return text as bytes; bytes are returned unchanged.

    Raises:
        TypeError: the value is neither.
        UnicodeEncodeError: the encoding lacks a character; the error doesn't quote the text, as it may be a password.
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
    """Return bytes as text; text is returned unchanged.

    Raises:
        TypeError: the value is neither.
        UnicodeDecodeError: the bytes aren't text; the error doesn't quote them.
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
    """Return the path of a file as text, or None for anything false.

    Raises:
        TypeError: the value isn't a path.
        ValueError: it is the content of a file, which the error doesn't quote, as it may be a key.
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
    """Return a callable.

    Raises:
        TypeError: the value can't be called.
    """
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}.")
    return value


def checked_callback(value: T | None, name: str) -> T | None:
    """Return a callable, or None for anything false, as in 1.6.

    Raises:
        TypeError: the value can't be called.
    """
    return checked_function(value, name) if value else None


def having(value: T, name: str, what: str, *attributes: str) -> T:
    """Return an object of any class that has certain attributes; a class itself doesn't count.

    Args:
        value: the object.
        name: the argument's name, for errors.
        what: what it should be, for errors.
        attributes: the names of the attributes.

    Raises:
        TypeError: it lacks one of them.
    """
    for attribute in attributes:
        if isinstance(value, type) or not hasattr(value, attribute):
            raise TypeError(f"{name} must be {what}, not {type(value).__name__}.")
    return value
