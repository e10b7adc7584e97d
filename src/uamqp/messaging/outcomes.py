"""The outcomes that a receiver gives messages, out of the arguments of `Message.reject` and `Message.modify`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codec import AmqpError, Error, Modified, Rejected
from . import checks, encoding


def rejected(condition: str | None, description: str | None, info: Mapping[str, Any] | None) -> Rejected:
    """Return the outcome of an invalid message; with no argument, one without an error."""
    if condition is None and description is None and info is None:
        return Rejected()
    return Rejected(
        Error(
            AmqpError.INTERNAL_ERROR if condition is None else encoding.symbol("condition", condition),
            None if description is None else encoding.string("description", description),
            None if info is None else dict(encoding.symbol_map("info", info)),
        )
    )


def modified(delivery_failed: bool, undeliverable_here: bool, annotations: Mapping[str, Any] | None) -> Modified:
    """Return the outcome of a message that is given back with changes."""
    return Modified(
        checks.flag("delivery_failed", delivery_failed) or None,
        checks.flag("undeliverable_here", undeliverable_here) or None,
        None if annotations is None else dict(encoding.symbol_map("annotations", annotations)),
    )
