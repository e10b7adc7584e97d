"""Checks of callbacks: which can simply be called, and which have to be awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..values.arguments import checked_callback, checked_function

T = TypeVar("T")


def is_coroutine_function(callback: Any) -> bool:
    """Return whether calling it gives a coroutine: `async def`, a partial of one, an object with such a `__call__`."""
    return _any(inspect.iscoroutinefunction, callback)


def plain(callback: T | None, name: str) -> T | None:
    """Return a callback to be called without awaiting it, or None for anything false.

    Raises:
        TypeError: it can't be called, or is a coroutine or generator function, whose body nobody would run.
    """
    return plain_function(callback, name) if callback else None


def plain_function(callback: T, name: str) -> T:
    """Return a required callback to be called without awaiting it.

    Raises:
        TypeError: see `plain`.
    """
    checked_function(callback, name)
    awaitable(callback, name)
    if is_coroutine_function(callback):
        raise TypeError(f"{name} must be a plain function: a coroutine function ({callback!r}) isn't awaited here.")
    return callback


def awaitable(callback: T | None, name: str) -> T | None:
    """Return a callback whose result is awaited if possible, or None for anything false.

    Raises:
        TypeError: it can't be called, or is a generator function, whose body nobody would run.
    """
    found = checked_callback(callback, name)
    if found is not None and (_any(inspect.isgeneratorfunction, found) or _any(inspect.isasyncgenfunction, found)):
        raise TypeError(f"{name} must be a function without `yield`: nobody would run {found!r}.")
    return found


def is_overridden(method: Any, original: Any) -> bool:
    """Return whether the application has replaced a method with a callback of its own."""
    return getattr(method, "__func__", None) is not original


def refuse_unfinished(result: object, name: str) -> None:
    """Refuse a callback's result that has yet to be awaited or run, and close or cancel it.

    Raises:
        TypeError: the result is of that kind.
    """
    if inspect.isgenerator(result) or inspect.iscoroutine(result):
        result.close()
    elif inspect.isawaitable(result):
        for end in ("cancel", "close"):  # a task or future; anything else
            if callable(getattr(result, end, None)):
                getattr(result, end)()
                break
    elif not inspect.isasyncgen(result):
        return
    raise TypeError(
        f"{name} returned {type(result).__name__!r}, which isn't awaited here: it must be a plain function, "
        "and what it does has to be done when it returns."
    )


async def finish(result: object, name: str) -> None:
    """Await a callback's result if it can be awaited.

    Raises:
        TypeError: it is a generator, which nobody runs.
        Exception: whatever awaiting it raises.
    """
    if inspect.isawaitable(result):
        await result
    else:
        refuse_unfinished(result, name)


def _any(test: Callable[[Any], bool], callback: Any) -> bool:
    """Return whether a test holds for a callable, or for what it calls in turn."""
    while isinstance(callback, (functools.partial, functools.partialmethod)):
        callback = callback.func
    return test(callback) or test(getattr(type(callback), "__call__", None))  # noqa: B004 (the method itself)
