"""What a client asks of the node at the broker's end of a link: its kind, and for how long it lives. No I/O."""

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
    TerminusExpiryPolicy,
)
from .directory import DEAD, DYNAMIC, QUEUE, TOPIC, Directory, Lifetime, NoNode
from .nodes import Attachment, Node, Topic

_POLICY = Symbol("lifetime-policy")
# Capabilities of a terminus, as used by JMS clients; others aren't granted.
_QUEUES = (Symbol("queue"), Symbol("temporary-queue"))
_TOPICS = (Symbol("topic"), Symbol("temporary-topic"))
_TEMPORARY = (_QUEUES[1], _TOPICS[1])
_SHARED = (Symbol("shared"), Symbol("global"))


def wants_topic(terminus: Source | Target, name: str = "") -> bool:
    """Return whether a terminus should be a topic, by the name of its node or by its capabilities.

    Raises:
        NoNode: it asks for something impossible.
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
    """Check that the capabilities agree with an address and the name of its node.

    Raises:
        NoNode: they don't.
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
    """Return those of the requested capabilities that the terminus has."""
    if node is None:
        return ()
    has = _TOPICS if isinstance(node, Topic) else _QUEUES
    return tuple(name for name in has if name in terminus.capabilities)


def is_dynamic(name: str) -> bool:
    """Return whether a name was made up by the broker."""
    return name.removeprefix(TOPIC).startswith(DYNAMIC)


def outlives_link(source: Source, node: Node) -> bool:
    """Return whether a source is durable: a queue is if that is asked for, a topic as a durable subscription."""
    if not source.durable or is_dynamic(node.name):
        return False
    return not isinstance(node, Topic) or source.expiry_policy == TerminusExpiryPolicy.NEVER


class DynamicNodes:
    """The dynamic nodes that one connection has made, which end with it, if not before."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._nodes: dict[Node, None] = {}
        self._policies: dict[Attachment, tuple[Node, Lifetime]] = {}  # by the link that made the node

    def make(self, terminus: Source | Target) -> Node:
        """Make the node that a terminus asks for.

        Raises:
            NoNode: it asks for something that this broker doesn't have.
        """
        lifetime_of(terminus)
        node = self._directory.make_dynamic(topic=wants_topic(terminus))
        self._nodes[node] = None
        return node

    def made(self, maker: Attachment, terminus: Source | Target, node: Node) -> None:
        """Record the link that has made a node."""
        lifetime = lifetime_of(terminus)
        if lifetime is not None:
            self._policies[maker] = (node, lifetime)

    def link_gone(self, link: Attachment) -> None:
        """Delete the node that a link has made, now or when its policy says, because the link is gone."""
        if link in self._policies:
            node, lifetime = self._policies.pop(link)
            self._directory.abandon(node, lifetime)
            if lifetime is DeleteOnClose:
                del self._nodes[node]

    def clear(self) -> None:
        """Delete all nodes, because the connection is gone."""
        nodes, self._nodes = self._nodes, {}
        self._policies.clear()
        for node in nodes:
            self._directory.delete(node)


def lifetime_of(terminus: Source | Target) -> Lifetime | None:
    """Return the lifetime policy that a terminus asks for (section 3.5.9), if any.

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
    """Return those of the requested properties that a dynamic node has."""
    asked = dict(terminus.dynamic_node_properties or {})
    return {_POLICY: asked[_POLICY]} if _POLICY in asked else None


def _any(names: tuple[Symbol, ...], asked: tuple[Symbol, ...]) -> str:
    return next((str(name) for name in names if name in asked), "")
