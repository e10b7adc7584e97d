"""What a client asks of the node at the broker's end of a link: its kind, and how long a dynamic one lives.

No I/O. Imports the codec, `directory` and `nodes`.
"""

from __future__ import annotations

from typing import Any

from ..codec import (
    DeleteOnClose,
    DeleteOnNoLinks,
    DeleteOnNoLinksOrMessages,
    DeleteOnNoMessages,
    Source,
    Symbol,
    Target,
)
from .directory import DEAD, DYNAMIC, QUEUE, TOPIC, Directory, Lifetime, NoNode
from .nodes import Attachment, Node, Topic

_POLICY = Symbol("lifetime-policy")
# Capabilities of a terminus, as clients of JMS have them; what isn't here isn't granted.
_QUEUES = (Symbol("queue"), Symbol("temporary-queue"))
_TOPICS = (Symbol("topic"), Symbol("temporary-topic"))
_TEMPORARY = (_QUEUES[1], _TOPICS[1])
_SHARED = (Symbol("shared"), Symbol("global"))


def wants_topic(terminus: Source | Target, name: str = "") -> bool:
    """Whether a terminus is to be a topic: by the name of its node, or by its capabilities.

    Raises:
        NoNode: it asks for what there can't be.
    """
    asked = terminus.capabilities
    queue, topic = _any(_QUEUES, asked), _any(_TOPICS, asked)
    if queue and topic:
        raise NoNode("amqp:invalid-field", f"the capabilities {queue} and {topic} exclude each other")
    is_topic = bool(topic) or (name.startswith(TOPIC) and not name.endswith(DEAD))
    if is_topic and (shared := _any(_SHARED, asked)):
        raise NoNode("amqp:not-implemented", f"this broker has no shared subscriptions (capability {shared})")
    return is_topic


def check_kind(terminus: Source | Target, address: str, name: str) -> None:
    """Compare what the capabilities ask for with what an address, and the name of its node, say.

    Raises:
        NoNode: it is something else.
    """
    asked = terminus.capabilities
    is_queue = address.startswith(QUEUE) or name.endswith(DEAD)
    others = _TOPICS if is_queue else _QUEUES if name.startswith(TOPIC) else ()
    if other := _any(others, asked):
        raise NoNode("amqp:invalid-field", f"{address!r} can't have the capability {other}")
    temporary = _any(_TEMPORARY, asked)
    if temporary and not is_dynamic(name):
        raise NoNode("amqp:not-found", f"there is no {temporary} {address!r}; for a new one, ask for a dynamic node")


def granted(terminus: Source | Target, node: Node | None) -> tuple[Symbol, ...]:
    """The capabilities that the terminus has, of those that were asked for."""
    if node is None:
        return ()
    has = _TOPICS if isinstance(node, Topic) else _QUEUES
    return tuple(name for name in has if name in terminus.capabilities)


def is_dynamic(name: str) -> bool:
    """Whether it is the name of a node that the broker has named."""
    return name.removeprefix(TOPIC).startswith(DYNAMIC)


class DynamicNodes:
    """Those that one connection has made; they go when it goes, if not before."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._nodes: dict[Node, None] = {}
        self._policies: dict[Attachment, tuple[Node, Lifetime]] = {}  # by the link that has made it

    def make(self, terminus: Source | Target) -> Node:
        """Make the node that a terminus asks for.

        Raises:
            NoNode: it asks for what this broker hasn't.
        """
        lifetime_of(terminus)
        node = self._directory.make_dynamic(topic=wants_topic(terminus))
        self._nodes[node] = None
        return node

    def made(self, maker: Attachment, terminus: Source | Target, node: Node) -> None:
        """The link that has made the node is attached."""
        lifetime = lifetime_of(terminus)
        if lifetime is not None:
            self._policies[maker] = (node, lifetime)

    def link_gone(self, link: Attachment) -> None:
        """A link of this connection is gone: if it has made a node, that goes now, or when its policy says."""
        if link in self._policies:
            node, lifetime = self._policies.pop(link)
            self._directory.abandon(node, lifetime)
            if lifetime is DeleteOnClose:
                del self._nodes[node]

    def clear(self) -> None:
        """The connection is gone."""
        nodes, self._nodes = self._nodes, {}
        self._policies.clear()
        for node in nodes:
            self._directory.delete(node)


def lifetime_of(terminus: Source | Target) -> Lifetime | None:
    """The lifetime policy that a terminus asks for (section 3.5.9), None for none.

    Raises:
        NoNode: there is no such policy.
    """
    policy = dict(terminus.dynamic_node_properties or {}).get(_POLICY)
    if policy is None:
        return None
    if isinstance(policy, DeleteOnClose | DeleteOnNoLinks | DeleteOnNoMessages | DeleteOnNoLinksOrMessages):
        return type(policy)
    raise NoNode("amqp:not-implemented", f"this broker doesn't know the lifetime-policy {policy!r}")


def properties_of(terminus: Source | Target) -> dict[Any, Any] | None:
    """What is true of a dynamic node, of the properties that were asked for."""
    asked = dict(terminus.dynamic_node_properties or {})
    return {_POLICY: asked[_POLICY]} if _POLICY in asked else None


def _any(names: tuple[Symbol, ...], asked: tuple[Symbol, ...]) -> str:
    return next((str(name) for name in names if name in asked), "")
