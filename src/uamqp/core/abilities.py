"""What brokers can't do, although their answers don't show it: a table by product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..codec import Open

_RABBITMQ = "RabbitMQ"
_ACTIVEMQ = "ActiveMQ"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a peer can do, as far as its attach doesn't tell the truth.

    Attributes:
        drains: whether it gives credit back when it is asked to (section 2.6.7).
        browses: whether it sends copies if the source's distribution-mode is copy (section 3.5.3).
        selects: whether it applies a selector, the filter apache.org:selector-filter:string.
        redelivers: whether a message that was released waits for credit like any other. Otherwise it comes straight
            back over the same link, even without.
    """

    drains: bool = True
    browses: bool = True
    selects: bool = True
    redelivers: bool = True


_ALL = Abilities()


def abilities_of(opened: Open | None) -> Abilities:
    """Return what a peer can do.

    Args:
        opened: the peer's open, which says what it is; None if there is none yet.
    """
    properties: dict[Any, Any] = (None if opened is None else opened.properties) or {}
    product = str(properties.get("product", ""))
    if product == _ACTIVEMQ:
        return Abilities(redelivers=False)
    if product != _RABBITMQ:
        return _ALL
    # It answers with the distribution-mode and, before 4.3, with the selector that it was asked for, and ignores them.
    # The queues of 3.x crash when the credit is to be drained.
    is_old = str(properties.get("version", "")).startswith("3.")
    return Abilities(drains=not is_old, browses=False, selects=False)
