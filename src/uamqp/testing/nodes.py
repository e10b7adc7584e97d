"""The embedded broker's nodes: queues and topics. No I/O; time is an argument.

A queue hands out its messages in the order in which they arrived. A message that comes back takes its old place.
Nothing is handed out at once: putting or settling a message marks the queue, and `Queue.dispatch` acts once per turn.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

NOBODY: frozenset[int] = frozenset()

Deadletter = Callable[["StoredMessage", str, str], bool]
"""Takes a message out of service, with condition and description; returns False if it had to be dropped."""


@dataclass(slots=True, frozen=True)
class NodeLimits:
    """Bounds on what a node holds, and the fate of what it can't deliver.

    Attributes:
        max_messages: messages in one queue, waiting and unsettled, at which no sender gets credit.
        max_bytes: likewise, of encoded messages.
        max_deliveries: failed deliveries after which a message becomes a dead letter; None for any number.
        dead_letter_expired: whether expired messages become dead letters or are dropped.
    """

    max_messages: int = 100_000
    max_bytes: int = 256 * 1024 * 1024
    max_deliveries: int | None = None
    dead_letter_expired: bool = True


@dataclass(slots=True)
class Counters:
    """Counts of what has happened. `sent` counts every delivery, so one that is delivered again counts twice."""

    received: int = 0
    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    released: int = 0
    modified: int = 0
    expired: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    """Messages neither delivered nor dead letters: no subscriber, or nowhere to keep them."""
    unroutable: int = 0
    """Messages refused by the anonymous relay."""

    def add(self, other: Counters) -> None:
        """Add another's counts to these."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class StoredMessage:
    """A message on a queue.

    Attributes:
        payload: the encoded message as it arrived.
        message_format: the transfer's message-format.
        expires: when its time to live ends (monotonic seconds), or None.
        arrival_count: delivery-count in its header on arrival.
        delivery_count: failed deliveries since it was made.
        sequence: its place in its queue.
        excluded: numbers of the consumers that it isn't offered to again.
        acquired: whether a consumer has it.
        gone: whether it is no longer on the queue.
    """

    __slots__ = (
        "acquired",
        "arrival_count",
        "delivery_count",
        "excluded",
        "expires",
        "gone",
        "message_format",
        "payload",
        "sequence",
    )

    def __init__(
        self, payload: bytes, message_format: int = 0, expires: float | None = None, delivery_count: int = 0
    ) -> None:
        self.payload = payload
        self.message_format = message_format
        self.expires = expires
        self.arrival_count = delivery_count
        self.delivery_count = delivery_count
        self.sequence = 0
        self.excluded = NOBODY
        self.acquired = False
        self.gone = False

    def copy(self) -> StoredMessage:
        """Return the same message for another queue, with a shared payload."""
        copy = StoredMessage(self.payload, self.message_format, self.expires, self.arrival_count)
        copy.delivery_count = self.delivery_count
        return copy


@dataclass(slots=True, frozen=True)
class Subscription:
    """Whose durable subscription to a topic a queue is, and with which filter.

    Attributes:
        container_id: the client's.
        name: the name of its links, one at a time.
        filters: the filter of their source.
    """

    container_id: str
    name: str
    filters: dict[Any, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return self.container_id, self.name


class Attachment:
    """A link, as its node sees it."""

    __slots__ = ()

    def expel(self, condition: str, description: str) -> None:
        """Detach the link, because the node has no place for it any longer."""
        raise NotImplementedError


class Producer(Attachment):
    """A link by which messages arrive."""

    __slots__ = ()

    def top_up(self) -> None:
        """Give the sender credit, because there is room again."""
        raise NotImplementedError


class Consumer(Attachment):
    """A link by which messages leave.

    Attributes:
        number: unique among consumers.
        browsing: whether it looks at messages without taking them.
        pending: the messages that a browser hasn't seen yet.
    """

    __slots__ = ("browsing", "number", "pending")

    def __init__(self, number: int, browsing: bool = False) -> None:
        self.number = number
        self.browsing = browsing
        self.pending: deque[StoredMessage] = deque()

    def room(self) -> int:
        """Return how many messages it takes now."""
        raise NotImplementedError

    def deliver(self, message: StoredMessage, now: float) -> None:
        """Take a message, one of up to `room()` in this turn."""
        raise NotImplementedError

    def delivered(self) -> None:
        """Send the messages delivered in this turn, after the last."""


class Node:
    """Something that an address names."""

    def __init__(self, name: str, limits: NodeLimits, mark: Callable[[Node], None]) -> None:
        self.name = name
        self.limits = limits
        self.counters = Counters()
        self.producers: set[Producer] = set()
        self._starved: dict[Producer, None] = {}
        self._mark = mark
        self._marked = False

    def mark(self) -> None:
        """Ask for `dispatch` at the end of this turn."""
        if not self._marked:
            self._marked = True
            self._mark(self)

    def put(self, message: StoredMessage) -> None:
        """Add a message."""
        raise NotImplementedError

    def room(self) -> int:
        """Return how many more messages there is room for."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Return whether enough is free for senders that wait for room to continue."""
        raise NotImplementedError

    def dispatch(self, now: float) -> None:
        """Hand out what can be handed out, and let senders continue if there is room again."""
        raise NotImplementedError

    def next_expiry(self) -> float | None:
        """Return when the next message expires, at the earliest."""
        return None

    def attachments(self) -> list[Attachment]:
        """Return every link of this node."""
        raise NotImplementedError

    def add_producer(self, producer: Producer) -> None:
        """Add a sender that has attached."""
        self.producers.add(producer)

    def remove_producer(self, producer: Producer) -> None:
        """Remove a sender that is gone."""
        self.producers.discard(producer)
        self._starved.pop(producer, None)

    def starve(self, producer: Producer) -> None:
        """Note that a sender got less credit than it could use."""
        self._starved[producer] = None

    def refill(self) -> None:
        """Give credit to senders that wait for room, if enough of the node is free."""
        if self._starved and self.has_room():
            starved = self._starved
            self._starved = {}
            for producer in starved:
                producer.top_up()


class Queue(Node):
    """Messages in order, each for one of the consumers, which take turns as their credit allows.

    Args:
        name: its address.
        limits: how much it holds.
        mark: called when `dispatch` is needed.
        dead_letter: takes rejected and undeliverable messages; None drops them.
        topic: the topic if this is the queue of one of its subscribers.
        subscription: the subscription if that is durable, so that the queue outlives its links.
    """

    def __init__(
        self,
        name: str,
        limits: NodeLimits,
        mark: Callable[[Node], None],
        dead_letter: Deadletter | None = None,
        topic: Topic | None = None,
        subscription: Subscription | None = None,
    ) -> None:
        super().__init__(name, limits, mark)
        self.topic = topic
        self.subscription = subscription
        self.consumers: deque[Consumer] = deque()
        self.browsers: list[Consumer] = []
        self.byte_count = 0
        self._dead_letter = dead_letter
        self._sequence = 0
        self._largest = 1
        self._messages: dict[int, StoredMessage] = {}  # everything that it holds, by sequence
        self._acquired = 0
        self._fresh: deque[StoredMessage] = deque()  # never handed out; in order
        # Handed out and returned: heaps by sequence, one for each set of consumers that must not have them.
        self._returned: dict[frozenset[int], list[tuple[int, StoredMessage]]] = {}
        self._stale = 0  # messages in _fresh and _returned that are gone
        self._expiring: list[tuple[float, int]] = []

    # -- looking

    @property
    def depth(self) -> int:
        """The number of messages that wait to be handed out."""
        return len(self._messages) - self._acquired

    @property
    def unsettled(self) -> int:
        """The number of messages that a consumer has and hasn't settled."""
        return self._acquired

    def waiting(self) -> list[StoredMessage]:
        """Return the messages that wait, in the order in which they would be handed out."""
        found = [message for message in self._fresh if not message.gone]
        for heap in self._returned.values():
            found += [message for _, message in heap if not message.gone]
        found.sort(key=_sequence)
        return found

    def room(self) -> int:
        """Return how many more messages there is room for, if they are as large as the largest so far."""
        by_count = self.limits.max_messages - len(self._messages)
        by_size = self.limits.max_bytes - self.byte_count
        if by_count <= 0 or by_size <= 0:
            return 0
        return min(by_count, max(1, by_size // self._largest))

    def has_room(self) -> bool:
        """Return whether a quarter of it is free, or there is room for a few hundred messages."""
        limits = self.limits
        enough = max(1, min(limits.max_messages // 4, 250))
        return limits.max_messages - len(self._messages) >= enough and limits.max_bytes - self.byte_count >= max(
            1, limits.max_bytes // 4
        )

    def next_expiry(self) -> float | None:
        """Return when the next message expires, at the earliest."""
        return self._expiring[0][0] if self._expiring else None

    def attachments(self) -> list[Attachment]:
        """Return every link of this queue."""
        return [*self.producers, *self.consumers, *self.browsers]

    # -- messages in

    def put(self, message: StoredMessage) -> None:
        """Add a message."""
        self.counters.received += 1
        self._sequence += 1
        message.sequence = self._sequence
        self._messages[message.sequence] = message
        self._fresh.append(message)
        size = len(message.payload)
        self.byte_count += size
        if size > self._largest:
            self._largest = size
        if message.expires is not None:
            self._watch(message.expires, message.sequence)
        for browser in self.browsers:
            browser.pending.append(message)
        self.mark()

    # -- links

    def add_consumer(self, consumer: Consumer) -> None:
        """Add a receiver that has attached. A browser sees everything on the queue, even if handed out to others."""
        if consumer.browsing:
            consumer.pending.extend(self._messages.values())
            self.browsers.append(consumer)
        else:
            self.consumers.append(consumer)
        self.mark()

    def remove_consumer(self, consumer: Consumer) -> None:
        """Remove a receiver that is gone. Its unsettled messages must have been released, or will be."""
        if consumer.browsing:
            if consumer in self.browsers:
                self.browsers.remove(consumer)
            consumer.pending.clear()
            return
        if consumer not in self.consumers:
            return
        self.consumers.remove(consumer)
        for excluded in [group for group in self._returned if consumer.number in group]:
            for item in self._returned.pop(excluded):
                self._give_back(item[1], excluded - {consumer.number})
        self.mark()

    # -- messages out

    def dispatch(self, now: float) -> None:
        """Hand out what consumers have room for; then let senders continue if there is room again."""
        self._marked = False
        self.expire(now)
        for browser in self.browsers:
            self._show(browser, now)
        if self.consumers and len(self._messages) > self._acquired:
            self._hand_out(now)
        if self.topic is not None:
            self.topic.refill()
        self.refill()

    def _hand_out(self, now: float) -> None:
        hungry = list(self.consumers)
        rooms = [consumer.room() for consumer in hungry]
        served = [False] * len(hungry)
        last: Consumer | None = None
        progress = True
        while progress:
            progress = False
            for index, consumer in enumerate(hungry):
                if rooms[index] <= 0:
                    continue
                message = self._take(consumer)
                if message is None:
                    rooms[index] = 0
                    continue
                rooms[index] -= 1
                message.acquired = progress = served[index] = True
                self._acquired += 1
                self.counters.sent += 1
                consumer.deliver(message, now)
                last = consumer
        for index, consumer in enumerate(hungry):
            if served[index]:
                consumer.delivered()
        if last is not None and last in self.consumers:  # the last one served comes last in the next turn
            self.consumers.rotate(-1 - self.consumers.index(last))

    def _take(self, consumer: Consumer) -> StoredMessage | None:
        """Remove and return the first message for this consumer, or return None if there is none."""
        fresh = self._fresh
        while fresh and fresh[0].gone:
            fresh.popleft()
            self._stale -= 1
        if not self._returned:
            return fresh.popleft() if fresh else None
        sequence = fresh[0].sequence if fresh else self._sequence + 1
        chosen: list[tuple[int, StoredMessage]] | None = None
        for excluded, heap in list(self._returned.items()):
            while heap and heap[0][1].gone:
                heapq.heappop(heap)
                self._stale -= 1
            if not heap:
                del self._returned[excluded]
            elif consumer.number not in excluded and heap[0][0] < sequence:
                sequence, chosen = heap[0][0], heap
        if chosen is not None:
            return heapq.heappop(chosen)[1]
        return fresh.popleft() if fresh else None

    def _show(self, browser: Consumer, now: float) -> None:
        pending = browser.pending
        if len(pending) > 64 + 2 * len(self._messages):
            browser.pending = pending = deque(message for message in pending if not message.gone)
        room = browser.room() if pending else 0
        if room <= 0:
            return
        while room > 0 and pending:
            message = pending.popleft()
            if not message.gone:
                self.counters.sent += 1
                browser.deliver(message, now)
                room -= 1
        browser.delivered()

    # -- outcomes

    def accept(self, message: StoredMessage) -> None:
        """Remove a message that its consumer has accepted."""
        if not message.gone:
            self.counters.accepted += 1
            self._forget(message)
            if self._starved or self.topic is not None:  # there may be room now
                self.mark()

    def release(self, message: StoredMessage, now: float, failed: bool = False) -> None:
        """Put a message back in its old place.

        Args:
            message: a message that was handed out.
            now: the time, monotonic seconds.
            failed: whether it may have reached its receiver, which counts in delivery-count.
        """
        if not message.gone:
            self.counters.released += 1
            self._come_back(message, now, failed, None)

    def modify(self, message: StoredMessage, now: float, failed: bool, not_to: Consumer | None) -> None:
        """Put a message back in its old place, modified.

        Args:
            message: a message that was handed out.
            now: the time, monotonic seconds.
            failed: whether this counts in delivery-count.
            not_to: a consumer that it isn't offered to again.
        """
        if not message.gone:
            self.counters.modified += 1
            self._come_back(message, now, failed, not_to)

    def reject(self, message: StoredMessage, condition: str, description: str) -> None:
        """Make a dead letter of a message that its consumer can never use."""
        if not message.gone:
            self.counters.rejected += 1
            self._bury(message, condition, description)
            self.mark()

    def replace_payload(self, message: StoredMessage, payload: bytes) -> None:
        """Replace the encoded message (for annotations of a modified outcome)."""
        if not message.gone:
            self.byte_count += len(payload) - len(message.payload)
            message.payload = payload

    def expire(self, now: float) -> None:
        """Remove messages that waited for longer than their time to live."""
        while self._expiring and self._expiring[0][0] <= now:
            _, sequence = heapq.heappop(self._expiring)
            message = self._messages.get(sequence)
            if message is not None and not message.acquired:
                self._stale += 1
                self._expire(message)
        if self._stale > 64 and self._stale * 2 > self.depth:
            self._sweep()

    def drop_oldest(self) -> bool:
        """Make room by dropping the message that has waited longest; return False if none waits."""
        for message in self._fresh:
            if not message.gone:
                self._stale += 1
                self.counters.dropped += 1
                self._forget(message)
                return True
        return False

    def purge(self) -> int:
        """Drop every message that waits, and return how many there were."""
        waiting = self.waiting()
        for message in waiting:
            self._forget(message)
        self._fresh.clear()
        self._returned.clear()
        self._stale = 0
        self.counters.dropped += len(waiting)
        self.mark()
        return len(waiting)

    def _come_back(self, message: StoredMessage, now: float, failed: bool, not_to: Consumer | None) -> None:
        message.delivery_count += failed
        limit = self.limits.max_deliveries
        if message.expires is not None and message.expires <= now:
            self._expire(message)
        elif failed and limit is not None and message.delivery_count >= limit:
            self._bury(message, "uamqp:max-deliveries-exceeded", f"{message.delivery_count} deliveries failed")
        elif not_to is not None and self.topic is not None and self.subscription is None:
            self._bury(message, "uamqp:undeliverable", "its only subscriber doesn't want it")
        else:
            excluded = message.excluded
            if not_to is not None:
                excluded |= {not_to.number}
            if excluded:
                excluded &= {consumer.number for consumer in self.consumers}
            message.acquired = False
            self._acquired -= 1
            self._give_back(message, excluded)
            if message.expires is not None:
                self._watch(message.expires, message.sequence)
        self.mark()

    def _give_back(self, message: StoredMessage, excluded: frozenset[int]) -> None:
        message.excluded = excluded
        heapq.heappush(self._returned.setdefault(excluded, []), (message.sequence, message))

    def _watch(self, expires: float, sequence: int) -> None:
        if len(self._expiring) > 64 + 2 * len(self._messages):
            self._expiring = sorted({item for item in self._expiring if item[1] in self._messages})
        heapq.heappush(self._expiring, (expires, sequence))

    def _expire(self, message: StoredMessage) -> None:
        self.counters.expired += 1
        if self.limits.dead_letter_expired:
            self._bury(message, "uamqp:expired", "its time to live has ended")
        else:
            self.counters.dropped += 1
            self._forget(message)

    def _bury(self, message: StoredMessage, condition: str, description: str) -> None:
        if self._dead_letter is not None and self._dead_letter(message, condition, description):
            self.counters.dead_lettered += 1
        else:
            self.counters.dropped += 1
        self._forget(message)

    def _forget(self, message: StoredMessage) -> None:
        del self._messages[message.sequence]
        self._acquired -= message.acquired
        self.byte_count -= len(message.payload)
        message.payload = b""
        message.gone = True

    def _sweep(self) -> None:
        self._fresh = deque(message for message in self._fresh if not message.gone)
        for excluded, heap in list(self._returned.items()):
            kept = [item for item in heap if not item[1].gone]
            heapq.heapify(kept)
            if kept:
                self._returned[excluded] = kept
            else:
                del self._returned[excluded]
        self._stale = 0


class Topic(Node):
    """A node that gives every subscriber a copy of each message, in a queue of its own.

    The queue lasts as long as the subscriber's link, or if the subscription is durable, until that is ended. The topic
    itself keeps nothing itself: without a subscriber, a message is dropped. The slowest subscriber holds senders back.

    Args:
        name: its address.
        limits: how much each subscriber's queue holds.
        mark: called when `dispatch` is needed.
        dead_letter: takes what a subscriber rejects; None drops it.
    """

    def __init__(
        self,
        name: str,
        limits: NodeLimits,
        mark: Callable[[Node], None],
        dead_letter: Deadletter | None = None,
    ) -> None:
        super().__init__(name, limits, mark)
        self.subscriptions: list[Queue] = []
        self._dead_letter = dead_letter
        self._gone = Counters()

    def subscribe(self, consumer: Consumer) -> Queue:
        """Return the queue from which a newly attached receiver gets its copies."""
        queue = self.add_queue()
        queue.add_consumer(consumer)
        return queue

    def add_queue(self, subscription: Subscription | None = None) -> Queue:
        """Return a new subscriber's queue, without a link."""
        queue = Queue(self.name, self.limits, self._mark, self._dead_letter, self, subscription)
        self.subscriptions.append(queue)
        return queue

    def unsubscribe(self, queue: Queue) -> None:
        """Drop the queue of a subscriber that is gone."""
        if queue in self.subscriptions:
            self.subscriptions.remove(queue)
            queue.purge()
            self._gone.add(queue.counters)
            self.mark()

    def put(self, message: StoredMessage) -> None:
        """Give each subscriber a copy."""
        self.counters.received += 1
        if not self.subscriptions:
            self.counters.dropped += 1
        for queue in self.subscriptions:
            queue.put(message.copy())

    def room(self) -> int:
        """Return how many more messages the fullest subscriber's queue has room for."""
        return min((queue.room() for queue in self.subscriptions), default=self.limits.max_messages)

    def has_room(self) -> bool:
        """Return whether enough of each subscriber's queue is free."""
        return all(queue.has_room() for queue in self.subscriptions)

    def dispatch(self, now: float) -> None:
        """Let senders continue if there is room again."""
        self._marked = False
        self.refill()

    def attachments(self) -> list[Attachment]:
        """Return every link of this topic."""
        return [*self.producers, *(link for queue in self.subscriptions for link in queue.attachments())]

    def totals(self) -> Counters:
        """Return its counters with those of all its subscribers so far; `received` counts each message once."""
        totals = Counters()
        totals.add(self._gone)
        for queue in self.subscriptions:
            totals.add(queue.counters)
        totals.received = 0
        totals.add(self.counters)
        return totals


def _sequence(message: StoredMessage) -> int:
    return message.sequence
