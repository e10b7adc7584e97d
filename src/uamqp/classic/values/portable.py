"""Pickling and copying of objects with slots, compiled or not."""

from __future__ import annotations

import copyreg
from typing import Any, ClassVar

from ...transport.guard import is_handlers

_BOUND = 60


def state_of(thing: Any) -> dict[str, Any]:
    """Return the values of an object's fields, and the attributes that were set on it."""
    state = {name: getattr(thing, name) for name in thing._stored}
    state.update(vars(thing))
    return state


def restore(thing: Any, state: dict[str, Any]) -> None:
    """Set the fields and attributes of an object to what `state_of` returned."""
    for name, value in state.items():
        setattr(thing, name, value)


def reduced(thing: Any) -> tuple[Any, ...]:
    """Return the result for `__reduce__`."""
    return copyreg.__newobj__, (type(thing),), thing.__getstate__()  # type: ignore[attr-defined]


def unreadable(thing: Any, error: Exception) -> str:
    """Return the `str` and `repr` of a thing whose content is missing or broken, since those mustn't raise.

    Raises:
        Exception: `error` itself, if a signal handler raised it.
    """
    if is_handlers(error):
        raise error
    return f"<{type(thing).__name__} that can't be read: {type(error).__name__}>"


def bounded(value: Any) -> str:
    """Return the `repr` of a value, cut to a length suitable for a log line."""
    text = repr(value)
    return text if len(text) <= _BOUND else f"{text[: _BOUND - 3]}..."


class Portable:
    """Base of classes that applications pickle, copy, extend and set attributes on. `_stored` names the slots."""

    __slots__ = ("__dict__", "__weakref__")

    _stored: ClassVar[tuple[str, ...]] = ()

    __getstate__ = state_of
    __setstate__ = restore
    __reduce__ = reduced
