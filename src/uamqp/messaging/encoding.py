"""Checks of arguments that go out as AMQP's own types: text, symbols, maps with symbols as keys, values of any type.

They are as those of `checks`, whose errors they raise: the argument's name, its value, and what is right.
"""

from __future__ import annotations

from typing import Any

from ..codec import EncodeError, Symbol, encode_value
from . import checks
from .errors import ConfigurationError


def string(name: str, value: Any) -> str:
    """Return text that isn't empty, and that UTF-8 can encode (section 1.6.20)."""
    if not is_unicode(checks.text(name, value)):
        raise ConfigurationError(f"{name} has half of a surrogate pair, which is no character: {checks.shown(value)}")
    return str(value)


def optional_string(name: str, value: Any) -> str | None:
    """Return what `string` does, or None."""
    return None if value is None else string(name, value)


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can encode a text: it has no half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def symbol(name: str, value: Any) -> Symbol:
    """Return text that isn't empty, and is ASCII, as a symbol (section 1.6.21)."""
    if not checks.text(name, value).isascii():
        raise ConfigurationError(f"{name} must be ASCII, not {checks.shown(value)}")
    return Symbol(value)


def symbols(name: str, value: Any) -> tuple[Symbol, ...]:
    """Return the items of a sequence of texts as symbols."""
    return tuple(symbol(f"{name}[{index}]", item) for index, item in enumerate(checks.texts(name, value)))


def symbol_map(name: str, value: Any) -> dict[Symbol, Any]:
    """Return a copy of a mapping with symbols as keys, as AMQP's fields maps have them (section 2.8.13)."""
    return {
        symbol(f"a key of {name}", key): encodable(f"{name}[{key!r}]", item)
        for key, item in checks.mapping(name, value).items()
    }


def encodable(name: str, value: Any) -> Any:
    """Return a value that has an AMQP encoding."""
    try:
        encode_value(value)
    except EncodeError as error:
        raise ConfigurationError(f"{name} can't be encoded: {error}") from None
    return value
