"""One connection of the embedded broker, which answers the events of its engine."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..codec import (
    Accepted,
    Coordinator,
    Described,
    Error,
    Modified,
    Rejected,
    Released,
    SaslCode,
    Source,
    StdDistMode,
    Symbol,
    Target,
)
from ..core import CBS_NODE
from ..engine import (
    CauseKind,
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
    conditions,
    events,
)
from ..engine.terms import MODE_FIRST
from . import dynamic
from .cbs import MAX_IN_FORCE, UNAUTHORIZED, PutToken, covers
from .directory import NoNode, local_name, node_name
from .dynamic import DynamicNodes
from .faults import error
from .hooks import AttachAnswer, AttachRequest, failure
from .links import Attached, Incoming, Outgoing
from .nodes import Node, Queue, StoredMessage, Subscription, Topic
from .services import Service, ServiceIncoming, ServiceOutgoing, ServiceRequest, ServiceResponse
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
_SASL_OK, _SASL_AUTH = int(SaslCode.OK), int(SaslCode.AUTH)


class Connection:
    """A client's connection.

    Attributes:
        server: the broker.
        protocol: its bytes.
        engine: its engine, once the socket is connected.
        hosts: the host names that stand for this broker in its addresses.
        user: the name that it authenticated with; None for ANONYMOUS, or without SASL.
        mechanism: its SASL mechanism; None without SASL.
        forced: whether the broker is closing it.
        stalled: links that wait for room in the output.
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
        self._dynamic = DynamicNodes(server.directory)
        self._tokens: dict[str, PutToken] = {}  # valid ones, by audience
        self._token_timers: dict[str, asyncio.TimerHandle] = {}
        self._late: set[asyncio.TimerHandle] = set()  # delayed answers
        self._certificate_name: str | None = None
        self._challenged = False
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
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
        """The engine, which exists once the socket is connected."""
        return self.protocol.engine

    @property
    def writable(self) -> bool:
        """Whether the socket accepts more data."""
        return self.protocol.writable

    def now(self) -> float:
        """Return the time, in monotonic seconds."""
        return self.protocol.loop.time()

    def wake(self) -> None:
        """Take a turn soon, because something is to be sent."""
        self.protocol.wake()

    def resume(self) -> None:
        """Send more messages and answer drains if possible, at the end of a turn."""
        resumed = [link for link in list(self.stalled) if link.resume()]
        if resumed or self.server.draining:
            self.server.turn_soon()

    def links(self) -> list[Attached | ServiceIncoming | ServiceOutgoing]:
        """Return every attached link."""
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
        """End every session for a reason of the broker's, and return how many there were."""
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

    # -- the engine

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

    def _handle(self, happened: list[Event]) -> None:
        for event in happened:
            if isinstance(event, IncomingDelivery):
                receiving = event.link.context
                if receiving is not None:
                    receiving.receive(event)
            elif isinstance(event, OutgoingDelivery):
                sending = event.link.context
                if sending is not None:
                    sending.outcome(event)
            else:
                handler = self._handlers.get(type(event))
                if handler is not None:
                    handler(event)

    def _lost(self) -> None:
        self._clean_up()
        self.server.forget(self)

    def _on_closed(self, event: events.ConnectionClosed) -> None:
        self._clean_up()
        if event.cause is not None and isinstance(event.cause.exception, Exception):
            failure("reading what a client sent", event.cause.exception)

    def _clean_up(self) -> None:
        for timer in (*self._token_timers.values(), *self._late):
            timer.cancel()
        self._token_timers.clear()
        self._late.clear()
        self._dynamic.clear()

    # -- SASL and open

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
        elif mechanism in {"ANONYMOUS", "MSSBCBS"}:
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

    # -- sessions and links

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
        session.context = "begin" in faults.silent  # without an event for anybody

    def _on_link(self, event: events.LinkOpening) -> None:
        link: Link = event.link
        if link.remote_state is not EndpointState.ACTIVE or link.local_state is not EndpointState.IDLE:
            return
        if link.session.local_state is not EndpointState.ACTIVE:
            return
        if link.session.context or "attach" in self.server.faults.silent:
            link.accept(self.now())  # without an event for anybody
            return
        try:
            self._check_refusal(link)
            if not self._attach_to_service(link):
                self._attach_to_node(link)
        except _Refused as refused:
            link.refuse(self.now(), refused.error)
        except NoNode as problem:
            link.refuse(self.now(), error(problem.condition, problem.description))

    def _attach_to_node(self, link: Link) -> None:
        answer = self._hooked(link)
        if isinstance(link, Receiver):
            self._attach_incoming(link, answer)
        elif isinstance(link, Sender):
            self._attach_outgoing(link, answer)

    def _hooked(self, link: Link) -> AttachAnswer:
        """Ask the test's hook, and check whether a token allows the link."""
        address = _wanted(link)
        self._check_token(address)
        hook = self.server.hooks.on_attach
        if hook is None:
            return AttachAnswer()
        attach = link.remote_attach
        opened = self.engine.remote_open
        request = AttachRequest(
            name=link.name,
            address=address,
            sends=not link.is_sender,
            properties=_plain(link.remote_properties),
            filters=_plain(getattr(link.remote_source, "filter", None)),
            desired_capabilities=tuple(map(str, attach.desired_capabilities if attach is not None else ())),
            container_id=opened.container_id if opened is not None else "",
        )
        try:
            answer = hook(request)
            if answer is None:
                answer = AttachAnswer()
            if isinstance(answer, AttachAnswer):
                answer.check()
            elif not isinstance(answer, Error):
                raise TypeError(f"it returns an AttachAnswer, an error or None, not {answer!r}")
        except Exception as problem:
            raise _Refused(failure("hooks.on_attach", problem)) from problem
        if isinstance(answer, Error):
            raise _Refused(answer)
        return answer

    # -- services and tokens

    def _attach_to_service(self, link: Link) -> bool:
        """Attach a link to the service at its address, if there is one."""
        address = _wanted(link)
        if address is None:
            return False
        name = local_name(address, self.hosts)
        service = self.service(name)
        if service is None:
            return False
        if name != CBS_NODE:
            self._check_token(address)
        size = self.server.options.max_message_size
        if isinstance(link, Receiver):
            link.accept(self.now(), rcv_settle_mode=MODE_FIRST, max_message_size=size)
            link.context = ServiceIncoming(self, link, name, service)
        elif isinstance(link, Sender):
            reply_address = getattr(link.remote_target, "address", None)
            link.accept(self.now(), max_message_size=size)
            link.context = ServiceOutgoing(self, link, name, reply_address)
        return True

    def service(self, name: str) -> Service | None:
        """Return the service of this name."""
        if name == CBS_NODE and self.server.options.cbs:
            return self._answer_token
        return self._answer_request if self.server.services.find(name) is not None else None

    def answer(self, session: Session, request: ServiceRequest, payload: bytes, delay: float = 0.0) -> None:
        """Send the answer to a request after `delay` seconds."""
        if delay > 0:
            self._late = {timer for timer in self._late if timer.when() > self.now()}
            self._late.add(self.protocol.loop.call_later(delay, self.answer, session, request, payload))
            return
        way = self.way_back(session, request)
        if isinstance(way, ServiceOutgoing):
            way.send(payload)
        elif way is not None:
            way.put(StoredMessage(payload))
            self.server.turn_soon()

    def way_back(self, session: Session, request: ServiceRequest) -> ServiceOutgoing | Node | None:
        """Return where to send the answer to a request: its reply-to, or else the client's link from the service."""
        links = [
            (link.session is session, each)
            for each_session in self.engine.sessions
            for link in each_session.links
            if isinstance(each := link.context, ServiceOutgoing) and each.name == request.node and link.is_open
        ]
        links.sort(key=lambda found: not found[0])  # those of the same session first
        for _, link in links:
            if request.reply_to is not None and request.reply_to == link.reply_address:
                return link
        return self._reply_node(request, bool(links)) or (links[0][1] if links else None)

    def _reply_node(self, request: ServiceRequest, must_exist: bool) -> Node | None:
        """Return the queue or topic of a reply-to."""
        try:
            name = node_name(request.reply_to, self.hosts) if request.reply_to else None
            if name is None:
                return None
            directory = self.server.directory
            return directory.nodes.get(name) if must_exist else directory.node(name)
        except NoNode:
            return None

    def _answer_request(self, request: ServiceRequest) -> ServiceResponse | None:
        service = self.server.services.find(request.node)  # it may have been replaced
        return ServiceResponse(404, "there is no service any more") if service is None else service(request)

    def _answer_token(self, request: ServiceRequest) -> ServiceResponse | None:
        return self.server.tokens.answer(request, self)

    def authorize(self, token: PutToken) -> bool:
        """Accept a token until it expires; return False if there are too many."""
        if len(self._tokens) >= MAX_IN_FORCE and token.audience not in self._tokens:
            return False
        previous = self._token_timers.pop(token.audience, None)
        if previous is not None:
            previous.cancel()
        self._tokens[token.audience] = token
        if token.expires_at is not None:
            left = max(0.0, token.expires_at - time.time())
            self._token_timers[token.audience] = self.protocol.loop.call_later(left, self.expire_token, token.audience)
        return True

    def expire_tokens(self) -> int:
        """End all tokens now, and return how many were valid."""
        audiences = list(self._tokens)
        for audience in audiences:
            self.expire_token(audience)
        return len(audiences)

    def expire_token(self, audience: str) -> None:
        """End a token, and detach its links if tokens are required."""
        timer = self._token_timers.pop(audience, None)
        if timer is not None:
            timer.cancel()
        self._tokens.pop(audience, None)
        if not self.server.tokens.required:
            return
        for link in self.links():
            name = self._token_name(_wanted(link.link))
            if name != CBS_NODE and not self._is_covered(name):
                link.expel(UNAUTHORIZED, "the token has expired")
        self.server.turn_soon()

    def _is_covered(self, name: str) -> bool:
        """Return whether a token allows the node; any token allows one outside of entities, such as $management."""
        if name.startswith("$"):
            return bool(self._tokens)
        return any(covers(audience, name) for audience in self._tokens)

    def _check_token(self, address: str | None) -> None:
        if not self.server.tokens.required:
            return
        name = self._token_name(address)
        if not self._is_covered(name):
            raise _Refused(error(UNAUTHORIZED, f"no token for {name!r} was put on this connection"))

    def _token_name(self, address: str | None) -> str:
        """Return what a token must cover for a link: without an address, all of the broker."""
        return "" if address is None else local_name(address, self.hosts)

    # -- links to queues and topics

    def _check_refusal(self, link: Link) -> None:
        rule = self.server.faults.refuse_attach
        if callable(rule):
            rule = rule(_wanted(link), not link.is_sender)
        if rule is not None:
            raise _Refused(rule)

    def _attach_incoming(self, link: Receiver, hooked: AttachAnswer) -> None:
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
            node = self._dynamic.make(target)
            address = node.name
        elif hooked.node is not None or address is not None:
            node = self._node(hooked.node or address or "", target, hooked.node is not None)
        answer = Target(address=address, dynamic=target.dynamic)
        answer.capabilities = dynamic.granted(target, node)
        if target.dynamic:
            answer.dynamic_node_properties = dynamic.properties_of(target)
        options = self.server.options
        mode = None if options.allow_second else MODE_FIRST
        self._steal(link, node, hooked)
        link.accept(self.now(), target=answer, rcv_settle_mode=mode, **self._granted_to(hooked))
        link.context = incoming = Incoming(self, link, node, address)
        incoming.epoch = hooked.epoch
        if target.dynamic and node is not None:
            self._dynamic.made(incoming, target, node)

    def _attach_outgoing(self, link: Sender, hooked: AttachAnswer) -> None:
        source = link.remote_source
        if not isinstance(source, Source):
            raise NoNode("amqp:invalid-field", "an attach as receiver needs a source")
        address = _address(source.address)
        if source.dynamic:
            node: Node = self._dynamic.make(source)
            address = node.name
        elif address is None:
            raise NoNode("amqp:invalid-field", "an attach as receiver needs an address in its source")
        else:
            node = self._node(hooked.node or address, source, hooked.node is not None)
        browsing = source.distribution_mode == StdDistMode.COPY and not isinstance(node, Topic)
        answer = Source(
            address=address,
            dynamic=source.dynamic,
            distribution_mode=source.distribution_mode and (StdDistMode.COPY if browsing else StdDistMode.MOVE),
            default_outcome=source.default_outcome,
            outcomes=OUTCOMES,
            capabilities=dynamic.granted(source, node),
        )
        if source.dynamic:
            answer.dynamic_node_properties = dynamic.properties_of(source)
        if hooked.filters:
            answer.filter = _granted_filters(source.filter, hooked.filters)
        self._steal(link, node, hooked)
        if dynamic.outlives_link(source, node):
            answer.durable, answer.expiry_policy, answer.timeout = source.durable, source.expiry_policy, source.timeout
            if isinstance(node, Topic):
                node = self._subscription(link, source, node)
        link.accept(self.now(), source=answer, **self._granted_to(hooked))
        link.context = outgoing = Outgoing(self, link, node, self.server.number(), browsing)
        outgoing.epoch = hooked.epoch
        if source.dynamic:
            self._dynamic.made(outgoing, source, node)

    def _subscription(self, link: Sender, source: Source, topic: Topic) -> Queue:
        """Return the queue of a durable subscription, after detaching the link that has it."""
        opened = self.engine.remote_open
        container_id = opened.container_id if opened is not None else ""
        wanted = Subscription(container_id, link.name, dict(source.filter or {}))
        directory = self.server.directory
        queue = directory.subscriptions.get(wanted.key)
        for each in queue.attachments() if queue is not None else ():
            each.expel(conditions.STOLEN, "another link has taken its place")
        return directory.subscribe(topic, wanted)

    def _node(self, address: str, terminus: Source | Target, by_hook: bool) -> Node:
        name = node_name(address, self.hosts)
        topic = dynamic.wants_topic(terminus, name)
        if not by_hook:
            dynamic.check_kind(terminus, address, name)
        return self.server.directory.node(name, topic=topic)

    def _granted_to(self, hooked: AttachAnswer) -> dict[str, Any]:
        """Return the contents of the answer to an attach, except its terminus."""
        size = hooked.max_message_size
        return {
            "max_message_size": self.server.options.max_message_size if size is None else size,
            "properties": {Symbol(name): value for name, value in hooked.properties.items()} or None,
            "offered_capabilities": tuple(map(Symbol, hooked.offered_capabilities)),
        }

    def _steal(self, link: Link, node: Node | None, hooked: AttachAnswer) -> None:
        """Detach the links that this one replaces, unless one of them has a higher epoch."""
        rivals: list[Attached] = []
        if node is not None:
            rivals = [
                each
                for each in node.attachments()
                if isinstance(each, Incoming | Outgoing) and each.link.is_sender == link.is_sender
            ]
        epoch = hooked.epoch
        for rival in rivals:
            if rival.epoch is not None and not hooked.steals and (epoch is None or epoch < rival.epoch):
                text = f"a link with epoch {rival.epoch} is attached; this one has {'none' if epoch is None else epoch}"
                raise _Refused(error(conditions.STOLEN, text))
        stolen: list[Attached | ServiceIncoming | ServiceOutgoing] = []
        if hooked.steals or epoch is not None:
            stolen += rivals
        if self.server.options.steal_links:
            stolen += [each for each in self._namesakes(link) if each not in stolen]
        for each in stolen:
            each.expel(conditions.STOLEN, "another link has taken its place")

    def _namesakes(self, link: Link) -> list[Attached | ServiceIncoming | ServiceOutgoing]:
        """Return the links of the same client, by its container-id, that have the same name and direction."""
        opened = self.engine.remote_open
        return [
            other
            for connection in self.server.connections
            if (theirs := connection.engine.remote_open) is not None
            and opened is not None
            and opened.container_id == theirs.container_id
            for other in connection.links()
            if other.link is not link and other.link.name == link.name and other.link.is_sender == link.is_sender
        ]

    def _on_detached(self, event: events.LinkDetached) -> None:
        context = event.link.context
        if context is not None:
            event.link.context = None
            by_client = event.cause is not None and event.cause.kind is CauseKind.PEER
            if event.closed and by_client and isinstance(context, Outgoing) and context in context.queue.consumers:
                self.server.directory.unsubscribe(context.queue)  # unless another link has taken it over
            context.gone()
            self._dynamic.link_gone(context)

    def _on_credit(self, event: events.CreditChanged) -> None:
        context = event.sender.context
        if context is not None:
            context.credit_changed()


class _Refused(Exception):
    """A knob refuses a link."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error.condition))
        self.error = error


def _wanted(link: Link) -> str | None:
    """Return the address of a client's link, or None for the anonymous relay or a dynamic node."""
    terminus = link.remote_source if link.is_sender else link.remote_target
    address = getattr(terminus, "address", None)
    return address if isinstance(address, str) and address else None


def _address(address: object) -> str | None:
    if address is None or address == "":
        return None
    if not isinstance(address, str):
        raise NoNode("amqp:invalid-field", f"an address is a string, not {address!r}")
    return str(address)


def _plain(fields: Any) -> dict[str, Any]:
    """Return a map by name, without the descriptors of its values."""
    return {
        str(name): value.value if isinstance(value, Described) else value for name, value in dict(fields or {}).items()
    }


def _granted_filters(wanted: Any, granted: dict[str, Any]) -> dict[Symbol, Any]:
    """Return the filters of an answer, each with the descriptor of the client's, if it had one."""
    found: dict[Symbol, Any] = {}
    for name, value in granted.items():
        described = dict(wanted or {}).get(Symbol(name))
        found[Symbol(name)] = Described(described.descriptor, value) if isinstance(described, Described) else value
    return found


def _plain_user(response: bytes, users: dict[str, str] | None) -> str | None:
    """Return the user of a PLAIN response (RFC 4616), or None if it is refused."""
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
    """Return the CN of a certificate's subject."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
