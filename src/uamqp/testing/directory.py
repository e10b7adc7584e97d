"""The embedded broker's nodes by address: what a name means, and which nodes exist. No I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..codec import DeleteOnClose, DeleteOnNoLinks, DeleteOnNoLinksOrMessages, DeleteOnNoMessages
from .envelope import read_header, with_annotations
from .nodes import Consumer, Counters, Node, NodeLimits, Queue, StoredMessage, Subscription, Topic

DEAD = "/$dead"
TOPIC = "topic://"
QUEUE = "queue://"
_SCHEMES = ("amqp://", "amqps://", "sb://")
DYNAMIC = "dynamic/"


Lifetime = type[DeleteOnClose | DeleteOnNoLinks | DeleteOnNoMessages | DeleteOnNoLinksOrMessages]
"""The lifetime policies of dynamic nodes (sections 3.5.10 to 3.5.13)."""


class NoNode(ValueError):
    """There is no such node, and none may be made.

    Args:
        condition: an AMQP error condition.
        description: why.
    """

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


@dataclass(slots=True, frozen=True)
class DirectoryLimits:
    """Which nodes may exist.

    Attributes:
        max_nodes: maximum number of queues, topics and durable subscriptions.
        make_nodes: whether using an address without a node makes one.
        max_address: maximum number of characters in an address, or in what names a durable subscription.
    """

    max_nodes: int = 10_000
    make_nodes: bool = True
    max_address: int = 2048


def node_name(address: str, own_hosts: Collection[str]) -> str:
    """Return the name of the node that an address means.

    `queue://NAME` is `NAME`. `amqp://HOST/NAME` and `amqps://HOST/NAME`, as old clients send them, are `NAME`, decoded
    if percent-encoded, if HOST is one of the broker's own.

    Raises:
        NoNode: the address is empty, another host's, or reserved for the broker's own use.
    """
    name = local_name(address, own_hosts)
    if name.startswith("$"):
        raise NoNode("amqp:not-found", f"there is no node {name!r}: this broker has none whose name begins with $")
    return name


def local_name(address: str, own_hosts: Collection[str]) -> str:
    """Return what `node_name` does, but also for names that begin with $.

    Raises:
        NoNode: the address is empty, or another host's.
    """
    name = address
    if name.lower().startswith(_SCHEMES):
        try:
            parts = urlsplit(name)
            host = parts.hostname or ""
        except ValueError as error:
            raise NoNode("amqp:invalid-field", f"the address {address!r} is no URL: {error}") from None
        if host not in own_hosts:
            raise NoNode("amqp:not-found", f"the address {address!r} names the host {host!r}, which isn't this broker")
        name = unquote(name.split("/", 3)[3]) if name.count("/") > 2 else ""
    name = name.removeprefix(QUEUE)
    if not name or name == TOPIC:
        raise NoNode("amqp:invalid-field", f"the address {address!r} has no name in it")
    return name


class Directory:
    """All nodes of a broker.

    Args:
        limits: which nodes may exist.
        node_limits: how much each of them holds.
    """

    def __init__(self, limits: DirectoryLimits, node_limits: NodeLimits) -> None:
        self.limits = limits
        self.node_limits = node_limits
        self.nodes: dict[str, Node] = {}
        self.subscriptions: dict[tuple[str, str], Queue] = {}  # the durable ones
        self._marked: dict[Node, None] = {}
        self._timed: dict[Node, None] = {}
        self._dynamic_count = 0
        self._abandoned: dict[Node, Lifetime] = {}  # dynamic nodes whose maker's link is gone
        self._gone = Counters()
        self.unroutable = 0

    def node(self, name: str, *, topic: bool = False) -> Node:
        """Return the node of this name, making it if necessary.

        Args:
            name: as returned by `node_name`.
            topic: whether it should be a topic even without `topic://` before its name.

        Raises:
            NoNode: there is none, and none may be made.
        """
        is_topic = (topic or name.startswith(TOPIC)) and not name.endswith(DEAD)
        if topic and not name.startswith(TOPIC) and is_topic:
            name = TOPIC + name
        found = self.nodes.get(name)
        if found is not None:
            return found
        if not self.limits.make_nodes:
            raise NoNode("amqp:not-found", f"there is no node {name!r}")
        if name.removeprefix(TOPIC).startswith(DYNAMIC):
            raise NoNode("amqp:not-found", f"there is no node {name!r}: its connection is gone")
        return self.make(name, is_topic)

    def ensure(self, name: str) -> Node:
        """Return the node of this name, making it if necessary, even if clients may not make any.

        Raises:
            NoNode: the name is too long, or there are too many nodes.
        """
        topic = name.startswith(TOPIC) and not name.endswith(DEAD)
        return self.nodes.get(name) or self.make(name, topic)

    def queues(self, name: str) -> list[Queue]:
        """Return the queue of this name, or those of the topic's subscribers; none if there is no such node."""
        node = self.nodes.get(name)
        if isinstance(node, Topic):
            return list(node.subscriptions)
        return [node] if isinstance(node, Queue) else []

    def producers(self, name: str) -> int:
        """Return the number of links that send to the node."""
        node = self.nodes.get(name)
        return len(node.producers) if node is not None else 0

    def counters(self, name: str) -> Counters:
        """Return a copy of the node's counters."""
        counters = Counters()
        node = self.nodes.get(name)
        if node is not None:
            counters.add(_totals(node))
        return counters

    def make(self, name: str, topic: bool = False) -> Node:
        """Make a node.

        Raises:
            NoNode: the name is too long, or there are too many nodes.
        """
        self._check_room(name, "an address has")
        lasting = not name.endswith(DEAD) and not name.removeprefix(TOPIC).startswith(DYNAMIC)
        burial = _Burial(self, name) if lasting else None
        node: Node = (Topic if topic else Queue)(name, self.node_limits, self._mark, burial)
        self.nodes[name] = node
        return node

    def _check_room(self, name: str, what: str) -> None:
        if len(name) > self.limits.max_address:
            raise NoNode("amqp:invalid-field", f"{what} at most {self.limits.max_address} characters")
        if len(self.nodes) + len(self.subscriptions) >= self.limits.max_nodes:
            raise NoNode("amqp:resource-limit-exceeded", f"there are {self.limits.max_nodes} nodes already")

    def subscribe(self, topic: Topic, wanted: Subscription) -> Queue:
        """Return the queue of a durable subscription, making it if necessary.

        One of the same name to another topic, or with another filter, ends, as JMS has it: the client changed it.

        Raises:
            NoNode: the name is too long, or there are too many nodes.
        """
        found = self.subscriptions.get(wanted.key)
        if found is not None:
            if found.topic is topic and found.subscription == wanted:
                return found
            self.unsubscribe(found)
        self._check_room("".join(wanted.key), "a subscription's container-id and name have")
        queue = self.subscriptions[wanted.key] = topic.add_queue(wanted)
        return queue

    def unsubscribe(self, queue: Queue) -> None:
        """End a durable subscription with its messages; do nothing for another queue."""
        if queue.subscription is not None and queue.topic is not None:
            del self.subscriptions[queue.subscription.key]
            queue.topic.unsubscribe(queue)

    def make_dynamic(self, *, topic: bool = False) -> Node:
        """Make a node with a new name, for a dynamic terminus. `delete` it when its connection ends."""
        self._dynamic_count += 1
        return self.make(f"{TOPIC if topic else ''}{DYNAMIC}{self._dynamic_count}", topic)

    def abandon(self, node: Node, lifetime: Lifetime) -> None:
        """Delete a dynamic node as its policy says, because the link that made it is gone."""
        if lifetime is DeleteOnClose:
            self.delete(node)
        elif self.nodes.get(node.name) is node:
            self._abandoned[node] = lifetime

    def delete(self, node: Node) -> None:
        """Delete a node with its messages, and detach its links with amqp:resource-deleted."""
        if self.nodes.get(node.name) is not node:
            return
        del self.nodes[node.name]
        self._abandoned.pop(node, None)
        self._timed.pop(node, None)
        for link in node.attachments():
            link.expel("amqp:resource-deleted", f"{node.name} was deleted")
        if isinstance(node, Queue):
            node.purge()
        self._marked.pop(node, None)
        self._gone.add(_totals(node))

    def run(self, now: float) -> None:
        """Do the work at the end of a turn: hand out messages, give credit."""
        self._dispatch(now)
        while over := [node for node, lifetime in self._abandoned.items() if self._is_over(node, lifetime)]:
            for node in over:
                self.delete(node)
            self._dispatch(now)

    def _dispatch(self, now: float) -> None:
        while self._marked:
            marked, self._marked = self._marked, {}
            for node in marked:
                node.dispatch(now)
                if node.next_expiry() is not None:
                    self._timed[node] = None

    def _is_over(self, node: Node, lifetime: Lifetime) -> bool:
        """Return whether it is time to delete an abandoned node."""
        if lifetime is not DeleteOnNoMessages and node.attachments():
            return False
        return lifetime is DeleteOnNoLinks or not any(q.depth or q.unsettled for q in self.queues(node.name))

    @property
    def busy(self) -> bool:
        """Whether `run` has something to do."""
        return bool(self._marked or self._abandoned)

    def next_expiry(self) -> float | None:
        """Return when to call `tick` (monotonic seconds), or None."""
        if not self._timed:
            return None
        times = []
        for node in list(self._timed):
            expiry = node.next_expiry()
            if expiry is None:
                del self._timed[node]
            else:
                times.append(expiry)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Remove expired messages."""
        for node in list(self._timed):
            expiry = node.next_expiry()
            if expiry is not None and expiry <= now:
                node.mark()

    def totals(self) -> Counters:
        """Return the counters of all nodes, including deleted ones."""
        totals = Counters()
        totals.add(self._gone)
        for node in self.nodes.values():
            totals.add(_totals(node))
        totals.unroutable = self.unroutable
        totals.received -= totals.dead_lettered  # they entered the broker only once
        return totals

    def _mark(self, node: Node) -> None:
        self._marked[node] = None


class _Burial:
    """Puts the dead letters of one node into the queue for them, with annotations of the broker's."""

    __slots__ = ("directory", "name")

    def __init__(self, directory: Directory, name: str) -> None:
        self.directory = directory
        self.name = name

    def __call__(self, message: StoredMessage, condition: str, description: str) -> bool:
        directory = self.directory
        name = self.name + DEAD
        try:
            queue = directory.nodes.get(name) or directory.make(name)
        except NoNode:
            return False
        while isinstance(queue, Queue) and queue.room() <= 0:
            if not queue.drop_oldest():
                return False
        notes = {
            "x-opt-dead-letter-reason": condition,
            "x-opt-dead-letter-description": description,
            "x-opt-dead-letter-source": self.name,
        }
        payload = with_annotations(message.payload, notes)
        letter = StoredMessage(payload, message.message_format, None, message.arrival_count)
        letter.delivery_count = message.delivery_count
        queue.put(letter)
        return True


def _totals(node: Node) -> Counters:
    return node.totals() if isinstance(node, Topic) else node.counters


def arrived(payload: bytes, message_format: int, now: float) -> StoredMessage:
    """Return a message to be stored, with the time to live and delivery-count from its header.

    Raises:
        DecodeError: the header is malformed.
    """
    header = read_header(payload).header
    expires = None if header.ttl is None else now + header.ttl / 1000
    return StoredMessage(payload, message_format, expires, header.delivery_count or 0)


def subscribe(node: Node, consumer: Consumer) -> Queue:
    """Return the queue from which a new consumer takes its messages."""
    if isinstance(node, Topic):
        return node.subscribe(consumer)
    if not isinstance(node, Queue):
        raise TypeError(f"{node.name} is no queue")
    node.add_consumer(consumer)
    return node


def unsubscribe(queue: Queue, consumer: Consumer) -> None:
    """Undo `subscribe`; a durable subscription stays."""
    queue.remove_consumer(consumer)
    if queue.topic is not None and queue.subscription is None:
        queue.topic.unsubscribe(queue)
