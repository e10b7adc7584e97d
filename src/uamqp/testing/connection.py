"""One connection of the embedded broker: answers the events of its engine. Imports the engine and the codec."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..codec import (
    Accepted,
    Coordinator,
    Error,
    Modified,
    Rejected,
    Released,
    Source,
    StdDistMode,
    Symbol,
    Target,
)
from ..engine import (
    EndpointState,
    Engine,
    EngineConfig,
    IncomingDelivery,
    Limits,
    Link,
    OutgoingDelivery,
    Receiver,
    Role,
    Sender,
    Session,
    events,
)
from .directory import NoNode, node_name
from .faults import error
from .links import Incoming, Outgoing
from .nodes import Node, Queue, Topic
from .wire import BrokerProtocol

if TYPE_CHECKING:
    from ..engine.events import Event
    from .server import Server

ANONYMOUS_RELAY = Symbol("ANONYMOUS-RELAY")
OUTCOMES = (
    Symbol(Accepted.NAME),
    Symbol(Rejected.NAME),
    Symbol(Released.NAME),
    Symbol(Modified.NAME),
)
_QUEUE, _TOPIC = Symbol("queue"), Symbol("topic")
_SASL_OK, _SASL_AUTH = 0, 1
_FIRST = 0


class Connection:
    """A client's connection.

    Attributes:
        server: the broker.
        protocol: its bytes.
        engine: its engine, once the socket is connected.
        hosts: the host names that stand for this broker in its addresses.
        user: the name that it authenticated with; None for ANONYMOUS, or without SASL.
        mechanism: its SASL mechanism; None without SASL.
        forced: the broker closes it.
        stalled: links that wait for the output to take more.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.protocol = BrokerProtocol(
            self._make_engine,
            self._handle,
            server.faults,
            on_turn=server.end_turn,
            on_written=self.resume,
            on_lost=self._lost,
        )
        self.hosts = server.hosts
        self.user: str | None = None
        self.mechanism: str | None = None
        self.forced = False
        self.stalled: dict[Outgoing, None] = {}
        self._dynamic: list[Queue] = []
        self._certificate_name: str | None = None
        self._challenged = False
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            IncomingDelivery: self._on_incoming,
            OutgoingDelivery: self._on_outgoing,
            events.SaslInit: self._on_sasl_init,
            events.SaslResponse: self._on_sasl_response,
            events.ConnectionOpening: self._on_opening,
            events.SessionOpening: self._on_session,
            events.LinkOpening: self._on_link,
            events.LinkDetached: self._on_detached,
            events.CreditChanged: self._on_credit,
            events.ConnectionClosed: self._on_closed,
        }

    @property
    def engine(self) -> Engine:
        """The engine; there is one once the socket is connected."""
        return self.protocol.engine

    @property
    def writable(self) -> bool:
        """The socket takes more."""
        return self.protocol.writable

    def now(self) -> float:
        """The time, monotonic seconds."""
        return self.protocol.loop.time()

    def wake(self) -> None:
        """Something is to be sent."""
        self.protocol.wake()

    def resume(self) -> None:
        """At the end of a turn: the output may take more messages, and drains may be answered."""
        resumed = [link for link in list(self.stalled) if link.resume()]
        if resumed or self.server.draining:
            self.server.turn_soon()

    def links(self) -> list[Incoming | Outgoing]:
        """Every attached link."""
        return [
            link.context
            for session in self.engine.sessions
            for link in session.links
            if link.context is not None and link.is_open
        ]

    def close(self, problem: Error) -> None:
        """Close the connection for a reason of the broker's."""
        self.forced = True
        if self.engine.remote_open is None:
            self.protocol.abort()
        else:
            self.engine.close(self.now(), problem)
            self.wake()

    def end_sessions(self, problem: Error) -> int:
        """End every session for a reason of the broker's; returns how many."""
        sessions = [each for each in self.engine.sessions if each.local_state is EndpointState.ACTIVE]
        for session in sessions:
            session.end(self.now(), problem)
        self.wake()
        return len(sessions)

    def detach(self, link: Link, condition: str, description: str) -> None:
        """Detach a link for a reason of the broker's."""
        if link.local_state is EndpointState.ACTIVE:
            link.detach(self.now(), error(condition, description))
            self.wake()

    # -- the engine --

    def _make_engine(self, transport: asyncio.Transport) -> Engine:
        options = self.server.options
        self.server.connections[self] = None
        self._certificate_name = _common_name(self.protocol.peer_certificate())
        mechanisms = list(options.mechanisms)
        if self._certificate_name is None and "EXTERNAL" in mechanisms:
            mechanisms.remove("EXTERNAL")  # nobody could use it, and some clients would try
        config = EngineConfig(
            container_id=options.container_id,
            role=Role.SERVER,
            max_frame_size=options.max_frame_size,
            channel_max=options.channel_max,
            idle_timeout=options.idle_timeout,
            offered_capabilities=(ANONYMOUS_RELAY,),
            server_mechanisms=tuple(mechanisms),
            sasl_required=not options.anonymous,
            close_timeout=options.close_timeout,
            limits=Limits(message_size=options.max_message_size),
        )
        return Engine(config, self.protocol.loop.time())

    def _handle(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _lost(self) -> None:
        self._clean_up()
        self.server.forget(self)

    def _on_closed(self, event: events.ConnectionClosed) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        dynamic, self._dynamic = self._dynamic, []
        for queue in dynamic:
            self.server.directory.delete(queue)

    # -- SASL and open --

    def _on_sasl_init(self, event: events.SaslInit) -> None:
        self.mechanism = event.mechanism
        if event.mechanism == "PLAIN" and event.response is None:
            self._challenged = True
            self.engine.sasl_challenge(self.now(), b"")
        else:
            self._authenticate(event.mechanism, event.response or b"")

    def _on_sasl_response(self, event: events.SaslResponse) -> None:
        self._authenticate(self.mechanism or "", event.response)

    def _authenticate(self, mechanism: str, response: bytes) -> None:
        refusal = self.server.faults.refuse_sasl
        user: str | None = None
        if refusal is not None:
            code = refusal
        elif mechanism == "ANONYMOUS":
            code = _SASL_OK
        elif mechanism == "PLAIN":
            user = _plain_user(response, self.server.options.users)
            code = _SASL_AUTH if user is None else _SASL_OK
        else:
            user = self._certificate_name
            identity = response.decode(errors="replace")
            code = _SASL_OK if user is not None and identity in {"", user} else _SASL_AUTH
        if code == _SASL_OK:
            self.user = user
        self.engine.sasl_outcome(self.now(), code)

    def _on_opening(self, event: events.ConnectionOpening) -> None:
        engine = self.engine
        faults = self.server.faults
        if engine.is_closed:
            return
        if faults.refuse_open is not None:
            self.forced = True
            engine.close(self.now(), faults.refuse_open)
            return
        if event.open.hostname:
            self.hosts = self.hosts | {event.open.hostname.partition(":")[0].lower()}
        engine.open(self.now())

    # -- sessions and links --

    def _on_session(self, event: events.SessionOpening) -> None:
        session: Session = event.session
        faults = self.server.faults
        if session.remote_state is not EndpointState.ACTIVE:
            return
        if self.engine.local_state is not EndpointState.ACTIVE:
            return
        if faults.refuse_begin is not None:
            session.refuse(self.now(), faults.refuse_begin)
        else:
            session.accept(self.now(), incoming_window=self.server.options.incoming_window)
        session.context = "begin" in faults.silent  # nobody hears of it

    def _on_link(self, event: events.LinkOpening) -> None:
        link: Link = event.link
        if link.remote_state is not EndpointState.ACTIVE or link.local_state is not EndpointState.IDLE:
            return
        if link.session.local_state is not EndpointState.ACTIVE:
            return
        if link.session.context or "attach" in self.server.faults.silent:
            link.accept(self.now())  # nobody hears of it
            return
        try:
            self._check_refusal(link)
            if isinstance(link, Receiver):
                self._attach_incoming(link)
            elif isinstance(link, Sender):
                self._attach_outgoing(link)
        except _Refused as refused:
            link.refuse(self.now(), refused.error)
        except NoNode as problem:
            link.refuse(self.now(), error(problem.condition, problem.description))

    def _check_refusal(self, link: Link) -> None:
        rule = self.server.faults.refuse_attach
        if callable(rule):
            terminus = link.remote_source if link.is_sender else link.remote_target
            address = getattr(terminus, "address", None)
            rule = rule(address if isinstance(address, str) else None, not link.is_sender)
        if rule is not None:
            raise _Refused(rule)

    def _attach_incoming(self, link: Receiver) -> None:
        target = link.remote_target
        if isinstance(target, Coordinator):
            raise NoNode("amqp:not-implemented", "this broker has no transactions")
        if target is None:
            target = Target()
        if not isinstance(target, Target):
            raise NoNode("amqp:not-implemented", "this broker doesn't know that kind of target")
        node: Node | None = None
        address = _address(target.address)
        if target.dynamic:
            node = self._make_dynamic()
            address = node.name
        elif address is not None:
            node = self._node(address, target.capabilities)
        answer = Target(address=address, dynamic=target.dynamic)
        answer.capabilities = _granted(target.capabilities, node)
        options = self.server.options
        mode = None if options.allow_second else _FIRST
        link.accept(self.now(), target=answer, rcv_settle_mode=mode, max_message_size=options.max_message_size)
        link.context = Incoming(self, link, node, address)

    def _attach_outgoing(self, link: Sender) -> None:
        source = link.remote_source
        if not isinstance(source, Source):
            raise NoNode("amqp:invalid-field", "an attach as receiver needs a source")
        address = _address(source.address)
        if source.dynamic:
            node: Node = self._make_dynamic()
            address = node.name
        elif address is None:
            raise NoNode("amqp:invalid-field", "an attach as receiver needs an address in its source")
        else:
            node = self._node(address, source.capabilities)
        browsing = source.distribution_mode == StdDistMode.COPY and not isinstance(node, Topic)
        answer = Source(
            address=address,
            dynamic=source.dynamic,
            distribution_mode=source.distribution_mode and (StdDistMode.COPY if browsing else StdDistMode.MOVE),
            default_outcome=source.default_outcome,
            outcomes=OUTCOMES,
            capabilities=_granted(source.capabilities, node),
        )
        link.accept(self.now(), source=answer, max_message_size=self.server.options.max_message_size)
        link.context = Outgoing(self, link, node, self.server.number(), browsing)

    def _node(self, address: str, capabilities: tuple[Symbol, ...]) -> Node:
        name = node_name(address, self.hosts)
        return self.server.directory.node(name, topic=_TOPIC in capabilities)

    def _make_dynamic(self) -> Queue:
        queue = self.server.directory.make_dynamic()
        self._dynamic.append(queue)
        return queue

    def _on_detached(self, event: events.LinkDetached) -> None:
        context = event.link.context
        if context is not None:
            event.link.context = None
            context.gone()

    def _on_credit(self, event: events.CreditChanged) -> None:
        context = event.sender.context
        if context is not None:
            context.credit_changed()

    # -- messages --

    def _on_incoming(self, delivery: IncomingDelivery) -> None:
        context = delivery.link.context
        if context is not None:
            context.receive(delivery)

    def _on_outgoing(self, delivery: OutgoingDelivery) -> None:
        context = delivery.link.context
        if context is not None:
            context.outcome(delivery)


class _Refused(Exception):
    """A knob refuses a link."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error.condition))
        self.error = error


def _address(address: object) -> str | None:
    if address is None or address == "":
        return None
    if not isinstance(address, str):
        raise NoNode("amqp:invalid-field", f"an address is a string, not {address!r}")
    return str(address)


def _granted(capabilities: tuple[Symbol, ...], node: Node | None) -> tuple[Symbol, ...]:
    kind = _TOPIC if isinstance(node, Topic) else _QUEUE
    return (kind,) if kind in capabilities else ()


def _plain_user(response: bytes, users: dict[str, str] | None) -> str | None:
    """The user of a PLAIN response (RFC 4616); None if it is refused."""
    parts = response.split(b"\0")
    if len(parts) != 3:
        return None
    try:
        name, password = parts[1].decode(), parts[2].decode()
    except UnicodeDecodeError:
        return None
    if users is None:
        return name
    expected = users.get(name)
    if expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
        return None
    return name


def _common_name(certificate: dict[str, Any] | None) -> str | None:
    """The CN of a certificate's subject."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
