"""Hooks for tests, with which the embedded broker can stand in for a special service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codec import Error, append_value
from ..engine.limits import MAX_DELIVERY_TAG
from .faults import Outcome, error

_logger = logging.getLogger("uamqp.testing")


@dataclass(slots=True)
class AttachRequest:
    """A client's attach, before it is answered.

    Attributes:
        name: of the link.
        address: of the node, as the client gave it; None if it gave none.
        sends: whether the client wants to send.
        properties: of the link, by name.
        filters: of the source, by name: the values, without their descriptors.
        desired_capabilities: extensions that the client asks for.
        container_id: of the client's open.
    """

    name: str
    address: str | None
    sends: bool
    properties: dict[str, Any]
    filters: dict[str, Any]
    desired_capabilities: tuple[str, ...]
    container_id: str


@dataclass(slots=True)
class AttachAnswer:
    """How a client's attach is answered.

    Attributes:
        node: the queue or topic that the link is for; None for the one that the client's address means.
        properties: of the answer.
        filters: the granted ones, by name, for the answer's source.
        offered_capabilities: extensions that are granted.
        max_message_size: bytes; None for the broker's.
        steals: whether to detach other links to this node with the same direction first (amqp:link:stolen).
        epoch: the link replaces others to this node with the same direction and a lower, equal or no epoch
            (amqp:link:stolen). While it is attached, links with a lower epoch or none are refused.
    """

    node: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, Any] = field(default_factory=dict)
    offered_capabilities: tuple[str, ...] = ()
    max_message_size: int | None = None
    steals: bool = False
    epoch: int | None = None

    def check(self) -> None:
        """Check that the answer can be sent.

        Raises:
            TypeError: a value has the wrong type.
            ValueError: a value is out of range.
        """
        append_value(bytearray(), self.properties)
        append_value(bytearray(), self.filters)
        if self.epoch is not None and not isinstance(self.epoch, int):
            raise TypeError(f"an epoch is an integer, not {self.epoch!r}")


@dataclass(slots=True)
class Settlement:
    """The outcome that a client gave a message it received.

    Attributes:
        node: the queue or topic.
        payload: the encoded message, as it was stored.
        tag: the delivery-tag that it was sent with.
        outcome: accepted, rejected, released or modified.
    """

    node: str
    payload: bytes
    tag: bytes
    outcome: Outcome


Kept = bytes | tuple[str, bytes]
"""An encoded message for the node that it was sent to, or the name of another node and a message for that."""


@dataclass(slots=True)
class Hooks:
    """Functions of a test's. They run in the broker's thread and must not wait for anything.

    Their exceptions are logged, and the client gets amqp:internal-error; a message whose `on_tag` raises is sent with
    the usual tag, and one whose `on_settle` raises gets the client's outcome.

    Attributes:
        on_attach: called with each attach to a queue or topic. It returns an error to refuse it, an `AttachAnswer`, or
            None for the usual answer.
        on_store: called with the name of the node and each encoded message that comes in, also by `Broker.put`; it
            returns the message to keep, or a list of messages, or None for the message as it is. A pair of a node's
            name and a message puts that message there, without calling the hook again.
        on_tag: called with the name of the node and each encoded message that goes out; it returns the delivery-tag, 1
            to 32 bytes, or None for the usual one.
        on_settle: called with a `Settlement` for each message that a client gives an outcome; it returns the outcome to
            apply instead (after accepted the message is gone), or None for the client's.
    """

    on_attach: Callable[[AttachRequest], AttachAnswer | Error | None] | None = None
    on_store: Callable[[str, bytes], Kept | Sequence[Kept] | None] | None = None
    on_tag: Callable[[str, bytes], bytes | None] | None = None
    on_settle: Callable[[Settlement], Outcome | None] | None = None

    def stored(self, name: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Return what to keep for a message that came in, each with the name of its node.

        Raises:
            HookError: the hook failed.
        """
        if self.on_store is None:
            return [(name, payload)]
        try:
            made: Any = self.on_store(name, payload)
            if made is None:
                made = payload
            found = [_kept(name, each) for each in (made if isinstance(made, list) else [made])]
        except Exception as problem:
            raise HookError(failure("hooks.on_store", problem)) from problem
        return found

    def tag(self, name: str, payload: bytes) -> bytes | None:
        """Return the delivery-tag for a message that goes out, or None for the usual one, also if the hook fails."""
        if self.on_tag is None:
            return None
        try:
            made: Any = self.on_tag(name, payload)
            if made is not None and not (isinstance(made, bytes) and 0 < len(made) <= MAX_DELIVERY_TAG):
                raise ValueError(f"a delivery-tag has 1 to {MAX_DELIVERY_TAG} bytes, not {made!r}")
        except Exception as problem:  # noqa: BLE001 (the test's own, which is logged)
            failure("hooks.on_tag", problem)
            return None
        return bytes(made) if made is not None else None

    def settled(self, settlement: Settlement) -> Outcome:
        """Return the outcome to apply to a message, which is the client's if the hook fails."""
        if self.on_settle is None:
            return settlement.outcome
        try:
            made: Any = self.on_settle(settlement)
            if made is not None and not isinstance(made, Outcome):
                raise TypeError(f"it returns an outcome or None, not {made!r}")
        except Exception as problem:  # noqa: BLE001 (as above)
            failure("hooks.on_settle", problem)
            return settlement.outcome
        return settlement.outcome if made is None else made


def _kept(name: str, made: Any) -> tuple[str, bytes]:
    if isinstance(made, tuple) and len(made) == 2:
        name, made = made
    if not isinstance(made, bytes) or not isinstance(name, str):
        raise TypeError(f"it returns encoded messages as bytes, or pairs of node and message, not {made!r}")
    return name, made


class HookError(RuntimeError):
    """A hook raised an exception, or returned something invalid.

    Args:
        error: for the client.
    """

    def __init__(self, error: Error) -> None:
        super().__init__(error.description)
        self.error = error


def failure(what: str, problem: Exception) -> Error:
    """Return the error to send for a test's function that raised an exception, which is logged."""
    _logger.error("%s raised", what, exc_info=problem)
    return error("amqp:internal-error", f"{what} raised {type(problem).__name__}: {problem}")
