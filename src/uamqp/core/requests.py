"""Requests to a node, and their answers, over the pair of links that CBS and management use, reopened when lost.

As in the AMQP Management draft, a request has a message-id, and its answer has the same value as correlation-id, and a
status among its application properties.
"""

from __future__ import annotations

import enum
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from .. import codec
from ..engine import Cause, CauseKind, IncomingDelivery, LocalProtocolError, MessageTooLarge, OutgoingDelivery
from ..engine.terms import MODE_FIRST, MODE_UNSETTLED
from .link import LinkCore, LinkHandler, LinkSettings, LinkState, ReceiverCore, SenderCore
from .masking import masked
from .session import SessionCore

_logger = logging.getLogger(__name__)

ANSWER_CREDIT = 100
"""The number of answers that the peer may send ahead."""

MANAGEMENT_FIELDS = ("statusCode", "statusDescription")
"""The application properties of an answer in the management draft: its status and the description of that."""

CBS_FIELDS = ("status-code", "status-description")
"""Likewise in the CBS draft."""

# Services answer with the names of either draft, whichever they claim to follow; those of management take precedence.
STATUS_FIELDS = (MANAGEMENT_FIELDS[0], CBS_FIELDS[0])
DESCRIPTION_FIELDS = (MANAGEMENT_FIELDS[1], CBS_FIELDS[1])


class RequestState(enum.Enum):
    """The states of a request."""

    WAITING = "waiting"
    ANSWERED = "answered"
    FAILED = "failed"
    """There will be no answer: `Request.cause` says why."""
    TIMED_OUT = "timed out"


class Request:
    """A request that was made.

    Attributes:
        number: its message-id.
        deadline: when it expires, in monotonic seconds; None for never.
        state: its state.
        status: the answer's status; None if it has none that is a number.
        description: the answer's description; empty if it has none.
        answer: the delivery of the answer; None before it arrives.
        cause: why there will be no answer; otherwise None.
        on_done: called when it is answered or has failed; None if nobody wants to know.
    """

    __slots__ = (
        "_description_fields",
        "_encode",
        "_status_fields",
        "answer",
        "cause",
        "deadline",
        "description",
        "number",
        "on_done",
        "state",
        "status",
    )

    def __init__(
        self,
        number: int,
        encode: Callable[[int], bytes],
        deadline: float | None,
        status_fields: Sequence[str],
        description_fields: Sequence[str],
    ) -> None:
        self.number = number
        self.deadline = deadline
        self.state = RequestState.WAITING
        self.status: int | None = None
        self.description = ""
        self.answer: IncomingDelivery | None = None
        self.cause: Cause | None = None
        self.on_done: Callable[[], None] | None = None
        self._encode = encode
        self._status_fields = status_fields
        self._description_fields = description_fields

    @property
    def done(self) -> bool:
        """Whether it was answered or has failed."""
        return self.state is not RequestState.WAITING

    def _encoded(self) -> bytes:
        return self._encode(self.number)

    def _answered(self, delivery: IncomingDelivery, properties: dict[Any, Any]) -> None:
        self.state = RequestState.ANSWERED
        self.answer = delivery
        status = _first(properties, self._status_fields)
        self.status = int(status) if isinstance(status, int) and not isinstance(status, bool) else None
        description = _first(properties, self._description_fields)
        self.description = description if isinstance(description, str) else ""
        self._is_done()

    def _failed(self, cause: Cause | None) -> None:
        self.state = RequestState.FAILED
        self.cause = cause or Cause(CauseKind.LOCAL, None, "the links to the node were closed")
        self._is_done()

    def _is_done(self) -> None:
        if self.on_done is not None:
            self.on_done()


class RequestLinks(LinkHandler):
    """A pair of links to a node: requests out, answers in. Any number of requests may be under way.

    Args:
        session: the session it belongs to.
        node: the node's address, which is source and target of both links.
        sender_name: the sender's name, unique in this container.
        receiver_name: the receiver's name, unique in this container.

    Attributes:
        cause: why the links were lost; None while they aren't.
        was_open: whether both links were open, however briefly, so that they weren't refused.
        unmatched: number of dropped answers that nobody waited for, mostly late ones.
    """

    def __init__(self, session: SessionCore, node: str, sender_name: str, receiver_name: str) -> None:
        self.session = session
        self.node = node
        self.cause: Cause | None = None
        self.was_open = False
        self.unmatched = 0
        source, target = codec.Source(node), codec.Target(node)
        self._sender = SenderCore(session, LinkSettings(sender_name, source, target, MODE_UNSETTLED, MODE_FIRST), self)
        self._receiver = ReceiverCore(
            session, LinkSettings(receiver_name, source, target, MODE_UNSETTLED, MODE_FIRST), self
        )
        self._sender.handler = self._receiver.handler = self
        self._numbers = 0
        self._unsent: list[Request] = []
        self._waiting: dict[int, Request] = {}

    @property
    def _whereabouts(self) -> str:
        """The node and its host, for log lines."""
        engine = self.session.connection.engine
        return (
            f"{masked(self.node)} at {masked(str(engine.config.hostname))}" if engine is not None else masked(self.node)
        )

    @property
    def is_open(self) -> bool:
        """Whether both links are open."""
        return self._sender.state is LinkState.OPEN and self._receiver.state is LinkState.OPEN

    @property
    def is_over(self) -> bool:
        """Whether the links were lost or closed, so that this pair is of no further use."""
        return any(link.state not in (LinkState.IDLE, LinkState.OPENING, LinkState.OPEN) for link in self._links)

    @property
    def _links(self) -> tuple[LinkCore, LinkCore]:
        return self._sender, self._receiver

    def open(self, now: float) -> None:
        """Attach both links as soon as the session is open; only the first call counts.

        Raises:
            LocalProtocolError: the session has ended.
        """
        for link in self._links:
            link.open(now)

    def close(self, now: float) -> None:
        """Detach both links; waiting requests fail."""
        for link in self._links:
            link.close(now)
        self._fail_all(None)

    def request(
        self,
        encode: Callable[[int], bytes],
        deadline: float | None = None,
        status_fields: Sequence[str] = STATUS_FIELDS,
        description_fields: Sequence[str] = DESCRIPTION_FIELDS,
    ) -> Request:
        """Make a request, which goes out when the links are open.

        Args:
            now: the time.
            encode: called with the message-id (a ulong); returns the encoded message.
            deadline: when it expires, in monotonic seconds; None for never.
            status_fields: names of application properties of the answer; the first one present counts.
            description_fields: likewise.
        """
        request = Request(self._numbers, encode, deadline, status_fields, description_fields)
        self._numbers += 1
        if self.is_over:
            request._failed(self.cause)
            return request
        self._waiting[request.number] = request
        self._unsent.append(request)
        self._send()
        return request

    def forget(self, request: Request) -> None:
        """Forget a request that nobody waits for any longer; its answer is dropped when it arrives."""
        self._waiting.pop(request.number, None)
        if request in self._unsent:
            self._unsent.remove(request)

    def expire(self, now: float) -> None:
        """Fail the requests whose deadline has passed."""
        for request in tuple(self._waiting.values()):
            if request.deadline is not None and request.deadline <= now:
                request.state = RequestState.TIMED_OUT
                self.forget(request)

    def _send(self) -> None:
        if not self.is_open:
            return
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            try:
                self._sender.sender.send(request._encoded(), context=request)
            except (MessageTooLarge, LocalProtocolError) as error:
                self._fail(request, Cause(CauseKind.LOCAL, None, str(error)))

    def _fail(self, request: Request, cause: Cause | None) -> None:
        self.forget(request)
        request._failed(cause)

    def _fail_all(self, cause: Cause | None) -> None:
        for request in tuple(self._waiting.values()):
            self._fail(request, cause)

    # -- what the core reports

    def on_link_state(self, previous: LinkState, state: LinkState) -> None:
        """Handle a change of state of one of the links."""
        if state is LinkState.LOST:
            lost = self._sender if self._sender.state is LinkState.LOST else self._receiver
            if self.cause is None:
                self.cause = lost.cause
            self._fail_all(self.cause)
        elif self.is_over:  # closed by `close`, or with the session
            self._fail_all(None)
        elif self.is_open:
            self.was_open = True
            self._receiver.receiver.auto_credit(ANSWER_CREDIT)
            self._send()

    def on_outcome(self, delivery: OutgoingDelivery, now: float) -> None:
        """Handle the outcome of a request's message, which the node may have refused."""
        request: Request = delivery.context
        if not delivery.settled or delivery.lost or request.done:
            return
        state = delivery.remote_state
        if isinstance(state, codec.Rejected):
            error = state.error
            text = (error.description if error is not None else None) or "the peer rejected the request"
            self._fail(request, Cause(CauseKind.PEER, error, text))
        elif isinstance(state, (codec.Released, codec.Modified)):
            name = type(state).__name__.lower()
            self._fail(request, Cause(CauseKind.PEER, None, f"the peer's outcome for the request is {name}"))

    def on_delivery(self, delivery: IncomingDelivery, now: float) -> None:
        """Handle an answer."""
        if not delivery.settled:
            try:
                delivery.settle(codec.ACCEPTED)
            except LocalProtocolError as error:  # the link has gone in the same read
                _logger.info("An answer of %s isn't settled: %s", self._whereabouts, error)
        delivery.link.taken()
        try:
            number, properties = _read(delivery.payload)
        except codec.DecodeError as error:
            self.unmatched += 1
            _logger.warning("A message from %s can't be read and is dropped: %s", self._whereabouts, error)
            return
        request = self._waiting.get(number) if number is not None else None
        if request is None:
            self.unmatched += 1
            _logger.info("A message from %s answers no request that is waited for; it is dropped.", self._whereabouts)
            return
        self.forget(request)
        request._answered(delivery, properties)


class RequestNode:
    """A node to which a session sends requests, over one pair of links, which is reopened when lost.

    Args:
        session: the session that the links belong to.
        node: the node's address. The links' names contain it, without any password.

    Attributes:
        session: as given.
        node: as given.
        links: the latest pair of links, which may be over; None before the first.
    """

    def __init__(self, session: SessionCore, node: str) -> None:
        self.session = session
        self.node = node
        self.links: RequestLinks | None = None

    def open(self, now: float) -> RequestLinks:
        """Return the links for requests; if none are usable, open new ones.

        Raises:
            LocalProtocolError: the session has ended.
        """
        links = self.links
        if links is None or links.is_over:
            if links is not None:
                links.close(now)  # one of the two may still be there
            name, number = masked(self.node), uuid.uuid4()  # names of links appear in errors and logs
            links = RequestLinks(self.session, self.node, f"{name}-sender-{number}", f"{name}-receiver-{number}")
            links.open(now)
            self.links = links
        return links

    def close(self, now: float) -> None:
        """Detach the links; waiting requests fail. `open` opens new ones."""
        if self.links is not None:
            self.links.close(now)


def _first(properties: dict[Any, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in properties:
            return properties[name]
    return None


def _read(payload: bytes) -> tuple[int | None, dict[Any, Any]]:
    """Return an answer's correlation-id, if it is a number, and its application properties."""
    number: int | None = None
    properties: dict[Any, Any] = {}
    for code, start, end in codec.scan_sections(payload):
        if code == codec.PROPERTIES:
            fields = codec.Decoder(payload, start, end).value()
            number = _number(codec.Properties.from_fields(fields).correlation_id)
        elif code == codec.APPLICATION_PROPERTIES:
            properties = codec.Decoder(payload, start, end).value()
    return number, properties


def _number(value: Any) -> int | None:
    """Return a correlation-id as a number; some services return it as a different type."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return None
