"""Nodes of the embedded broker that answer requests: `$management`, `$cbs`, or any other. No I/O.

A `Service` is a function of the user's that returns a `ServiceResponse` for a `ServiceRequest`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..codec import (
    ACCEPTED,
    APPLICATION_PROPERTIES,
    VALUE,
    Accepted,
    DecodeError,
    Properties,
    Rejected,
    append_section_header,
    append_value,
)
from ..core import CBS_FIELDS, MANAGEMENT_FIELDS
from ..engine import IncomingDelivery, MessageTooLarge, OutgoingDelivery, Receiver, Sender, Session
from .faults import error
from .hooks import failure
from .views import MessageView

if TYPE_CHECKING:
    from .connection import Connection

REQUEST_CREDIT = 100
"""Number of requests that a client may send ahead on each link."""

MAX_ANSWERS = 1000
"""Number of answers that may wait for credit on each link."""


@dataclass(slots=True)
class ServiceRequest:
    """A request to a service.

    Attributes:
        node: the address that it was sent to.
        operation, type: its application properties with these names; None if missing.
        properties: all its application properties.
        body: the value of an amqp-value section, the bytes of data sections, the lists of sequences; None without any.
        payload: the encoded message.
        message_id, correlation_id, reply_to: its properties with these names.
        container_id: of the client's open.
        user: the name that the client authenticated with; None if anonymous.
    """

    node: str
    operation: str | None
    type: str | None
    properties: dict[Any, Any]
    body: Any
    payload: bytes
    message_id: Any
    correlation_id: Any
    reply_to: str | None
    container_id: str
    user: str | None


@dataclass(slots=True)
class ServiceResponse:
    """The answer of a service.

    Attributes:
        status: a number, as in HTTP; None leaves it out, which no service should.
        description: the status in words; None leaves it out.
        body: becomes an amqp-value section; `bytes` in it are sent as binary.
        properties: further application properties.
        fields: names of the application properties for status and description.
        correlation_id: in place of the request's, to confuse clients.
        delay: seconds by which to delay the answer.
    """

    status: int | None = 200
    description: str | None = "OK"
    body: Any = None
    properties: dict[str, Any] = field(default_factory=dict)
    fields: tuple[str, str] = MANAGEMENT_FIELDS
    correlation_id: Any = None
    delay: float = 0.0

    def encode(self, request: ServiceRequest) -> bytes:
        """Return the encoded answer to a request."""
        correlation_id = self.correlation_id
        if correlation_id is None:
            correlation_id = request.correlation_id if request.correlation_id is not None else request.message_id
        out = bytearray(Properties(correlation_id=correlation_id, to=request.reply_to).encode())
        properties = dict(self.properties)
        if self.status is not None:
            properties[self.fields[0]] = self.status
        if self.description is not None:
            properties[self.fields[1]] = self.description
        append_section_header(out, APPLICATION_PROPERTIES)
        append_value(out, properties)
        append_section_header(out, VALUE)
        append_value(out, self.body)
        return bytes(out)


Service = Callable[[ServiceRequest], "ServiceResponse | None"]
"""Answers a request, or doesn't by returning None. It runs in the broker's thread and must not wait for anything.

If it raises an exception, the answer is status 500 with the exception, which is logged as well.
"""


class Services:
    """The services of a broker, by the pattern of their address: `$management`, `*/$management`."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}

    def serve(self, pattern: str, service: Service | None) -> None:
        """Put a service at an address, or remove it with None."""
        self._services.pop(pattern, None)
        if service is not None:
            self._services[pattern] = service

    def find(self, name: str) -> Service | None:
        """Return the service at an address; the latest one wins."""
        for pattern, service in reversed(self._services.items()):
            if name == pattern or fnmatch.fnmatchcase(name, pattern):
                return service
        return None


class ServiceLink:
    """One link of a client to or from a service.

    Attributes:
        node: None, as it isn't a queue or topic.
        name: the service's address.
    """

    node = None

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name

    def faults_changed(self) -> None:
        """Do nothing, because nothing is withheld here."""

    def gone(self) -> None:
        """Clean up, because the link is gone."""


class ServiceIncoming(ServiceLink):
    """A link over which requests arrive."""

    def __init__(self, connection: Connection, link: Receiver, name: str, service: Service) -> None:
        super().__init__(connection, name)
        self.link = link
        self._service = service
        link.auto_credit(REQUEST_CREDIT)
        connection.wake()

    def receive(self, delivery: IncomingDelivery) -> None:
        """Handle a request."""
        self.link.taken()
        outcome = take_request(self.connection, self.link.session, self.name, self._service, delivery.payload)
        if not delivery.settled and self.link.is_open:
            delivery.settle(outcome)

    def expel(self, condition: str, description: str) -> None:
        """Detach the link."""
        self.connection.detach(self.link, condition, description)


class ServiceOutgoing(ServiceLink):
    """A link over which answers are sent.

    Attributes:
        reply_address: the client's name for its end, which it may use as reply-to.
    """

    def __init__(self, connection: Connection, link: Sender, name: str, reply_address: str | None) -> None:
        super().__init__(connection, name)
        self.link = link
        self.reply_address = reply_address

    def send(self, payload: bytes) -> None:
        """Send an answer; it waits for credit."""
        if self.link.queued >= MAX_ANSWERS:
            self.expel("amqp:resource-limit-exceeded", f"{MAX_ANSWERS} answers wait for credit")
            return
        try:
            self.link.send(payload)
        except MessageTooLarge:
            return  # it exceeds what the client accepts
        self.connection.wake()

    def outcome(self, delivery: OutgoingDelivery) -> None:
        """Ignore news about an answer."""

    def credit_changed(self) -> None:
        """Do nothing, because the engine uses new credit by itself."""

    def drained(self) -> bool:
        """Return True, because nobody drains a service."""
        self.link.drained()
        return True

    def expel(self, condition: str, description: str) -> None:
        """Detach the link."""
        self.connection.detach(self.link, condition, description)


def take_request(
    connection: Connection, session: Session, name: str, service: Service, payload: bytes
) -> Accepted | Rejected:
    """Let a service answer a request.

    Args:
        connection: the connection that it came over.
        session: the session that it came over.
        name: the service's address.
        service: the service.
        payload: the encoded request.
    """
    try:
        request = _read(connection, name, payload)
    except DecodeError as problem:
        return Rejected(error("amqp:decode-error", f"the request can't be read: {problem}"))
    if connection.way_back(session, request) is None:
        text = f"nowhere to answer to: no reply-to of a node, and no link from {name} on this connection"
        return Rejected(error("amqp:precondition-failed", text))
    answer, delay = _ask(service, request)
    if answer is not None:
        connection.answer(session, request, answer, delay)
    return ACCEPTED


def _ask(service: Service, request: ServiceRequest) -> tuple[bytes | None, float]:
    """Return the encoded answer, if there is one, and the seconds by which to delay it."""
    try:
        response = service(request)
        if response is None:
            return None, 0.0
        if not isinstance(response, ServiceResponse):
            raise TypeError(f"a service returns a ServiceResponse or None, not {response!r}")
        return response.encode(request), max(0.0, response.delay)
    except Exception as problem:  # noqa: BLE001 (the test's own, reported to its client)
        text = str(failure(f"the service at {request.node}", problem).description)
        status, description = CBS_FIELDS
        both = {status: 500, description: text}  # for clients that look for either
        return ServiceResponse(500, text, properties=both).encode(request), 0.0


def _read(connection: Connection, name: str, payload: bytes) -> ServiceRequest:
    view = MessageView(payload, 0, 0)
    properties = view.properties or Properties()
    application = view.application_properties
    opened = connection.engine.remote_open
    return ServiceRequest(
        node=name,
        operation=_text(application.get("operation")),
        type=_text(application.get("type")),
        properties=application,
        body=view.body,
        payload=payload,
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        reply_to=_text(properties.reply_to),
        container_id=opened.container_id if opened is not None else "",
        user=connection.user,
    )


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None
