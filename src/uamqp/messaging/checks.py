"""Checks of arguments: each returns the value, or raises an error that names the argument, its value and what is right.

A wrong type is a `TypeError`, anything else a `ConfigurationError`, or the class that some are given as `error`. Don't
use them for secrets: they show the value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from ..codec import Timestamp
from .errors import ConfigurationError

T = TypeVar("T")

_MAX_SHOWN = 80

MAX_SECONDS = 9e9
"""The longest time that operating systems accept."""


def shown(value: object) -> str:
    """Return a value for an error: the start of its repr."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def wrong_type(name: str, value: object, wanted: str) -> TypeError:
    """Return the error for a value of the wrong type."""
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}: {shown(value)}")


def text(name: str, value: Any) -> str:
    """Return text that isn't empty."""
    if not isinstance(value, str):
        raise wrong_type(name, value, "a str")
    if not value:
        raise ConfigurationError(f"{name} must not be empty")
    return value


def optional_text(name: str, value: Any) -> str | None:
    """Return text that isn't empty, or None."""
    return None if value is None else text(name, value)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Return the items of a sequence of texts, which a single text isn't."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise wrong_type(name, value, "a sequence of str")
    return tuple(text(f"{name}[{index}]", item) for index, item in enumerate(value))


def flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise wrong_type(name, value, "True or False")
    return value


def integer(name: str, value: Any, minimum: int, maximum: int, error: type[ValueError] = ConfigurationError) -> int:
    """Return an integer from `minimum` to `maximum`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, value, "an int")
    if not minimum <= value <= maximum:
        raise error(f"{name} must be from {minimum} to {maximum}, not {shown(value)}")
    return value


def moment(name: str, value: Any, error: type[ValueError] = ConfigurationError) -> Timestamp:
    """Return a point in time as AMQP's milliseconds, rounded down."""
    if isinstance(value, Timestamp):
        return value
    if not isinstance(value, datetime):
        raise wrong_type(name, value, "a datetime")
    with_zone(name, value, error)
    return Timestamp.from_datetime(value)


def with_zone(name: str, value: datetime, error: type[ValueError] = ConfigurationError) -> datetime:
    """Return a datetime that has a time zone."""
    if value.utcoffset() is None:
        raise error(f"{name} must have a time zone, as datetime.now(timezone.utc) has, unlike {shown(value)}")
    return value


def seconds(name: str, value: Any, *, positive: bool = False) -> float:
    """Return a number of seconds: 0 or more, or above 0 if `positive`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(name, value, "a number of seconds")
    if not (value > 0 if positive else value >= 0) or value > MAX_SECONDS:
        raise ConfigurationError(
            f"{name} must be {'more than 0' if positive else '0 or more'} seconds, and {MAX_SECONDS:g} at most, "
            f"not {shown(value)}"
        )
    return value


def optional_seconds(name: str, value: Any, *, positive: bool = False) -> float | None:
    """Return a number of seconds, or None for no limit."""
    if value == math.inf:
        raise ConfigurationError(f"{name} must be None for no limit, not {shown(value)}")
    return None if value is None else seconds(name, value, positive=positive)


def choice(name: str, value: T, choices: Sequence[T]) -> T:
    """Return one of the choices."""
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, choices))}, not {shown(value)}")
    return value


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of a mapping whose keys are text."""
    if not isinstance(value, Mapping):
        raise wrong_type(name, value, "a mapping")
    for key in value:
        if not isinstance(key, str):
            raise wrong_type(f"a key of {name}", key, "a str")
    return dict(value)
