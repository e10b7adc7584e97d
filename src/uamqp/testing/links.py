"""The embedded broker's side of a link: messages in (`Incoming`) and messages out (`Outgoing`)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..codec import ACCEPTED, RELEASED, Accepted, DecodeError, Modified, Rejected, Released, TransactionalState
from ..engine import CauseKind, IncomingDelivery, MessageTooLarge, OutgoingDelivery, Receiver, Sender
from ..engine.terms import MODE_SETTLED
from .directory import NoNode, local_name, node_name, subscribe, unsubscribe
from .envelope import NO_HEADER, read_header, read_to, with_annotations, with_header
from .faults import Outcome, error
from .hooks import HookError, Settlement
from .nodes import Consumer, Node, Producer, StoredMessage
from .services import take_request

if TYPE_CHECKING:
    from .connection import Connection

BATCH = 500
"""Maximum number of messages that wait in the engine for one link; the others wait in their queue."""


class Incoming(Producer):
    """A link that the client sends over.

    Args:
        connection: whose link it is.
        link: the engine's.
        node: where its messages go; None if each message's `to` says it (anonymous relay).
        address: as the client gave it; None for the relay.

    Attributes:
        epoch: set by a hook; see `AttachAnswer`.
    """

    __slots__ = ("_faults", "_header", "_low", "_withheld", "address", "connection", "epoch", "link", "node")

    def __init__(self, connection: Connection, link: Receiver, node: Node | None, address: str | None) -> None:
        self.connection = connection
        self.link = link
        self.node = node
        self.address = address
        self.epoch: int | None = None
        self._faults = connection.server.faults
        self._header = NO_HEADER
        self._low = 0
        self._withheld: deque[tuple[IncomingDelivery, Outcome]] = deque()
        if node is not None:
            node.add_producer(self)
        self.top_up()

    def receive(self, delivery: IncomingDelivery) -> None:
        """Handle a message that arrived."""
        faults = self._faults
        node = self.node
        outcome: Outcome | None = None
        if faults.outcome is not None:
            outcome = self._overridden(delivery)
        if outcome is None:
            outcome = self._store(delivery, node) if node is not None else self._relay(delivery)
        if not delivery.settled:
            if faults.withhold_outcomes:
                self._withheld.append((delivery, outcome))
            else:
                self._answer(delivery, outcome)
        link = self.link
        link.taken()
        if link.credit <= self._low:
            self.top_up()

    def top_up(self) -> None:
        """Give the sender as much credit as there is room."""
        server = self.connection.server
        link = self.link
        if self._faults.withhold_credit or not link.is_open:
            return
        window = server.options.link_credit
        node = self.node
        if node is not None:
            room = max(0, node.room() - link.buffered)  # messages that aren't stored yet need room, too
            if room < window:
                window = room
                node.starve(self)
        self._low = window >> 1
        if window > link.credit:
            link.set_credit(window)
            self.connection.wake()

    def faults_changed(self) -> None:
        """Make up for what is no longer withheld, after a knob was turned."""
        if not self._faults.withhold_outcomes:
            while self._withheld:
                self._answer(*self._withheld.popleft())
            self.connection.wake()
        self.top_up()

    def expel(self, condition: str, description: str) -> None:
        """Detach the link."""
        self.gone()
        self.connection.detach(self.link, condition, description)

    def gone(self) -> None:
        """Clean up, because the link is gone."""
        self._withheld.clear()
        if self.node is not None:
            self.node.remove_producer(self)

    def _answer(self, delivery: IncomingDelivery, outcome: Outcome) -> None:
        if self.link.is_open and not delivery.settled:
            delivery.settle(outcome)

    def _store(self, delivery: IncomingDelivery, node: Node) -> Outcome:
        if delivery.remote_state is not None and isinstance(delivery.remote_state, TransactionalState):
            return Rejected(error("amqp:not-implemented", "this broker has no transactions"))
        payload = delivery.payload
        info = self._header
        if not info.encoded or not payload.startswith(info.encoded):  # usually it equals that of the previous message
            try:
                self._header = info = read_header(payload)
            except DecodeError as problem:
                return Rejected(error("amqp:decode-error", f"the message's header can't be read: {problem}"))
        now = delivery.link.session.engine.now  # when it arrived
        ttl = info.header.ttl
        expires = None if ttl is None else now + ttl / 1000
        message = StoredMessage(payload, delivery.message_format, expires, info.header.delivery_count or 0)
        try:
            self.connection.server.store(node, message, now)
        except HookError as problem:
            return Rejected(problem.error)
        except NoNode as problem:
            return Rejected(error(problem.condition, problem.description))
        except DecodeError as problem:
            return Rejected(error("amqp:decode-error", f"a message out of this one can't be read: {problem}"))
        return ACCEPTED

    def _relay(self, delivery: IncomingDelivery) -> Outcome:
        try:
            address = read_to(delivery.payload)
            if address is None:
                raise NoNode("amqp:precondition-failed", "a message for the anonymous relay needs an address in `to`")
            name = local_name(address, self.connection.hosts)
            service = self.connection.service(name)
            if service is not None:
                return take_request(self.connection, self.link.session, name, service, delivery.payload)
            node = self.connection.server.directory.node(node_name(address, self.connection.hosts))
            if node.room() <= 0:
                raise NoNode("amqp:resource-limit-exceeded", f"{node.name} is full")
        except DecodeError as problem:
            return self._unroutable(delivery, "amqp:decode-error", f"the message can't be read: {problem}")
        except NoNode as problem:
            return self._unroutable(delivery, problem.condition, problem.description)
        return self._store(delivery, node)

    def _unroutable(self, delivery: IncomingDelivery, condition: str, description: str) -> Outcome:
        self.connection.server.directory.unroutable += 1
        source = self.link.remote_source
        outcomes = getattr(source, "outcomes", ())
        if outcomes and Rejected.NAME not in outcomes and Released.NAME in outcomes:
            return RELEASED
        return Rejected(error(condition, description, {"delivery-tag": delivery.tag}))

    def _overridden(self, delivery: IncomingDelivery) -> Outcome | None:
        rule = self._faults.outcome
        if not callable(rule):
            return rule
        address = self.address if self.node is not None else read_to(delivery.payload)
        return rule(address or "", delivery.payload)


class Outgoing(Consumer):
    """A link that the client receives over.

    Args:
        connection: whose link it is.
        link: the engine's.
        node: where its messages come from: a queue, a topic, or the queue of a durable subscription.
        number: unique among consumers.
        browsing: whether it leaves messages on the queue.

    Attributes:
        epoch: set by a hook; see `AttachAnswer`.
    """

    __slots__ = ("_expelled", "_stalled", "connection", "epoch", "link", "node", "queue")

    def __init__(self, connection: Connection, link: Sender, node: Node, number: int, browsing: bool) -> None:
        super().__init__(number, browsing)
        self.connection = connection
        self.link = link
        self.node = node
        self.epoch: int | None = None
        self._expelled = False
        self._stalled = False
        self.queue = subscribe(node, self)

    def room(self) -> int:
        """Return how many messages it takes now: as many as it has credit for and the output accepts."""
        link = self.link
        credit = link.credit
        if credit <= 0:
            return 0
        room = BATCH - link.queued
        if room < credit or not self.connection.writable:
            self._stall()
            return max(0, room) if self.connection.writable else 0
        return credit

    def deliver(self, message: StoredMessage, now: float) -> None:
        """Send the message with its current header."""
        payload = message.payload
        if message.expires is not None or message.delivery_count != message.arrival_count:
            left = None if message.expires is None else max(1, int((message.expires - now) * 1000))
            payload = with_header(payload, message.delivery_count, left)
        link = self.link
        settled = link.snd_settle_mode == MODE_SETTLED or (self.browsing and link.snd_settle_mode > MODE_SETTLED)
        context = None if self.browsing else message
        tag = self.connection.server.hooks.tag(self.node.name, payload)
        try:
            link.enqueue(payload, tag, message.message_format, settled, None, context)
        except MessageTooLarge:
            if not self.browsing:
                self.queue.modify(message, now, failed=False, not_to=self)

    def delivered(self) -> None:
        """Write what was sent."""
        self.connection.wake()

    def outcome(self, delivery: OutgoingDelivery) -> None:
        """Handle news about a message that was sent."""
        message = delivery.context
        if message is None or not delivery.settled:
            return
        delivery.context = None
        state: object = delivery.remote_state
        hooks = self.connection.server.hooks
        if hooks.on_settle is not None and isinstance(state, Outcome):
            state = hooks.settled(Settlement(self.node.name, message.payload, delivery.tag, state))
        if type(state) is Accepted:
            self.queue.accept(message)
        elif state is None:
            self._without_outcome(delivery, message)
        else:
            self._apply(state, message)

    def credit_changed(self) -> None:
        """Handle that the receiver gave credit, took it back, or asks to drain."""
        self.queue.mark()
        if self.link.drain:
            self.connection.server.draining[self] = None

    def drained(self) -> bool:
        """Answer a drain if there is nothing more to send; return True if no answer is owed any longer."""
        link = self.link
        if not link.drain or not link.is_open:
            return True
        if link.queued == 0 and (link.credit == 0 or self.room() > 0):  # credit is used up, or nothing is left to send
            link.drained()
            self.connection.wake()
        return not link.drain

    def resume(self) -> bool:
        """Continue if there is room in the output again; return whether there is."""
        if not self.connection.writable or self.link.queued > BATCH >> 1:
            return False
        self._stalled = False
        self.connection.stalled.pop(self, None)
        self.queue.mark()
        return True

    def faults_changed(self) -> None:
        """Do nothing, because nothing is withheld here."""

    def expel(self, condition: str, description: str) -> None:
        """Detach the link."""
        self._expelled = True
        self.connection.detach(self.link, condition, description)
        self.gone()

    def gone(self) -> None:
        """Clean up, because the link is gone."""
        self.connection.stalled.pop(self, None)
        self.connection.server.draining.pop(self, None)
        unsubscribe(self.queue, self)

    def _stall(self) -> None:
        if not self._stalled:
            self._stalled = True
            self.connection.stalled[self] = None

    def _without_outcome(self, delivery: OutgoingDelivery, message: StoredMessage) -> None:
        """Handle a settlement without an outcome: sent settled, none from the receiver, or the link is gone."""
        link = self.link
        source = link.remote_source
        default = getattr(source, "default_outcome", None)
        if not delivery.sent:
            self.queue.release(message, self.connection.now())
        elif link.snd_settle_mode == MODE_SETTLED:
            self.queue.accept(message)
        elif default is not None:
            self._apply(default, message)
        else:
            self.queue.release(message, self.connection.now(), failed=self._was_lost())

    def _was_lost(self) -> bool:
        """Return whether the link ended without the client's doing, which may have seen the message."""
        if self._expelled or self.connection.forced:
            return True
        cause = self.connection.engine.cause
        return cause is not None and cause.kind is not CauseKind.PEER

    def _apply(self, state: object, message: StoredMessage) -> None:
        queue = self.queue
        now = self.connection.now()
        if isinstance(state, Accepted):
            queue.accept(message)
        elif isinstance(state, Rejected):
            problem = state.error
            condition = str(problem.condition) if problem is not None else "amqp:rejected"
            queue.reject(message, condition, (problem.description if problem is not None else None) or "")
        elif isinstance(state, Modified):
            if state.message_annotations and not message.gone:
                queue.replace_payload(message, with_annotations(message.payload, state.message_annotations))
            not_to = self if state.undeliverable_here else None
            queue.modify(message, now, failed=bool(state.delivery_failed), not_to=not_to)
        else:  # released, or something unknown to this broker
            queue.release(message, now)


Attached = Incoming | Outgoing
