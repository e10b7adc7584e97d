"""The embedded broker's nodes by address: what a name means, and which nodes there are. No I/O.

Imports `nodes` and the encoding of `envelope`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..codec import DeleteOnClose, DeleteOnNoLinks, DeleteOnNoLinksOrMessages, DeleteOnNoMessages
from .envelope import read_header, with_annotations
from .nodes import Consumer, Counters, Node, NodeLimits, Queue, StoredMessage, Topic

DEAD = "/$dead"
TOPIC = "topic://"
QUEUE = "queue://"
_SCHEMES = ("amqp://", "amqps://", "sb://")
DYNAMIC = "dynamic/"


#: The lifetime policies of dynamic nodes (sections 3.5.10 to 3.5.13).
Lifetime = type[DeleteOnClose | DeleteOnNoLinks | DeleteOnNoMessages | DeleteOnNoLinksOrMessages]


class NoNode(ValueError):
    """There is no such node, and none is made.

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
    """Which nodes there may be.

    Attributes:
        max_nodes: queues and topics altogether.
        make_nodes: a node is made when an address is used that there is none for.
        max_address: characters in an address.
    """

    max_nodes: int = 10_000
    make_nodes: bool = True
    max_address: int = 2048


def node_name(address: str, own_hosts: Collection[str]) -> str:
    """The name of the node that an address means.

    `queue://NAME` is `NAME`. `amqp://HOST/NAME` and `amqps://HOST/NAME`, as old clients send them, are `NAME`
    if HOST is one of the broker's own; a percent-encoded name is decoded then.

    Raises:
        NoNode: the address is empty, another host's, or kept for the broker's own use.
    """
    name = local_name(address, own_hosts)
    if name.startswith("$"):
        raise NoNode("amqp:not-found", f"there is no node {name!r}: this broker has none whose name begins with $")
    return name


def local_name(address: str, own_hosts: Collection[str]) -> str:
    """As `node_name`, also for names that begin with $.

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
        limits: which nodes there may be.
        node_limits: what each of them holds.
    """

    def __init__(self, limits: DirectoryLimits, node_limits: NodeLimits) -> None:
        self.limits = limits
        self.node_limits = node_limits
        self.nodes: dict[str, Node] = {}
        self._marked: dict[Node, None] = {}
        self._timed: dict[Node, None] = {}
        self._dynamic_count = 0
        self._abandoned: dict[Node, Lifetime] = {}  # dynamic ones that the link that made them has left
        self._gone = Counters()
        self.unroutable = 0

    def node(self, name: str, *, topic: bool = False) -> Node:
        """The node of this name, made now if need be.

        Args:
            name: as `node_name` gives it.
            topic: it is to be a topic even without `topic://` before its name.

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
        """The node of this name, made now if need be, even where clients can't make any.

        Raises:
            NoNode: the name is too long, or there are too many nodes.
        """
        topic = name.startswith(TOPIC) and not name.endswith(DEAD)
        return self.nodes.get(name) or self.make(name, topic)

    def queues(self, name: str) -> list[Queue]:
        """The queue of this name, or those of the topic's subscribers; none if there is no such node."""
        node = self.nodes.get(name)
        if isinstance(node, Topic):
            return list(node.subscriptions)
        return [node] if isinstance(node, Queue) else []

    def producers(self, name: str) -> int:
        """How many links send to the node."""
        node = self.nodes.get(name)
        return len(node.producers) if node is not None else 0

    def counters(self, name: str) -> Counters:
        """A copy of the node's counters."""
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
        if len(name) > self.limits.max_address:
            raise NoNode("amqp:invalid-field", f"an address has at most {self.limits.max_address} characters")
        if len(self.nodes) >= self.limits.max_nodes:
            raise NoNode("amqp:resource-limit-exceeded", f"there are {self.limits.max_nodes} nodes already")
        lasting = not name.endswith(DEAD) and not name.removeprefix(TOPIC).startswith(DYNAMIC)
        burial = _Burial(self, name) if lasting else None
        node: Node = (Topic if topic else Queue)(name, self.node_limits, self._mark, burial)
        self.nodes[name] = node
        return node

    def make_dynamic(self, *, topic: bool = False) -> Node:
        """Make a node with a new name, for a dynamic terminus. `delete` it when its connection ends."""
        self._dynamic_count += 1
        return self.make(f"{TOPIC if topic else ''}{DYNAMIC}{self._dynamic_count}", topic)

    def abandon(self, node: Node, lifetime: Lifetime) -> None:
        """The link that has made a dynamic node is gone: delete the node as its policy says."""
        if lifetime is DeleteOnClose:
            self.delete(node)
        elif self.nodes.get(node.name) is node:
            self._abandoned[node] = lifetime

    def delete(self, node: Node) -> None:
        """Take a node away, with its messages; its links are detached with amqp:resource-deleted."""
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
        """Do what is to be done at the end of a turn: hand messages out, give credit."""
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
        """Whether an abandoned node is to go."""
        if lifetime is not DeleteOnNoMessages and node.attachments():
            return False
        return lifetime is DeleteOnNoLinks or not any(q.depth or q.unsettled for q in self.queues(node.name))

    @property
    def busy(self) -> bool:
        """`run` has something to do."""
        return bool(self._marked or self._abandoned)

    def next_expiry(self) -> float | None:
        """When `tick` is wanted (monotonic seconds), or None."""
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
        """Take out what has expired."""
        for node in list(self._timed):
            expiry = node.next_expiry()
            if expiry is not None and expiry <= now:
                node.mark()

    def totals(self) -> Counters:
        """The counters of all nodes, past ones too."""
        totals = Counters()
        totals.add(self._gone)
        for node in self.nodes.values():
            totals.add(_totals(node))
        totals.unroutable = self.unroutable
        totals.received -= totals.dead_lettered  # they came into the broker once
        return totals

    def _mark(self, node: Node) -> None:
        self._marked[node] = None


class _Burial:
    """Puts the dead letters of one node into the queue for them, under the broker's annotations."""

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
    """A message to be stored, with the time to live and delivery-count of its header.

    Raises:
        DecodeError: the header is malformed.
    """
    header = read_header(payload).header
    expires = None if header.ttl is None else now + header.ttl / 1000
    return StoredMessage(payload, message_format, expires, header.delivery_count or 0)


def subscribe(node: Node, consumer: Consumer) -> Queue:
    """Give a consumer the queue that it takes its messages from."""
    if isinstance(node, Topic):
        return node.subscribe(consumer)
    if not isinstance(node, Queue):
        raise TypeError(f"{node.name} is no queue")
    node.add_consumer(consumer)
    return node


def unsubscribe(queue: Queue, consumer: Consumer) -> None:
    """The opposite of `subscribe`."""
    queue.remove_consumer(consumer)
    if queue.topic is not None:
        queue.topic.unsubscribe(queue)
