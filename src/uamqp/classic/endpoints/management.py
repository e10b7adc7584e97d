"""`MgmtOperation`: requests to a management node, and their answers."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...codec.text import shortened
from ...core import DESCRIPTION_FIELDS, STATUS_FIELDS, Request, RequestLinks, RequestNode, RequestState, masked
from ...engine import LocalProtocolError
from ...transport.drive import run
from ..message import MessageProperties
from ..message.message import Message, received_message
from ..values import types
from ..values.arguments import encoded, encoding_of, having, number, text
from ..vocabulary import compat, constants, errors, translate

__all__ = ["MgmtOperation"]

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("uamqp.mgmt_operation")  # as in 1.6

_FAULT = "Management Operation error ocurred."  # 1.6's text, its spelling included
_NOT_OPEN = "Unable to open management session. Please confirm URI namespace exists."

Answer = tuple[int, Message, bytes]


class MgmtOperation:
    """Requests to one node of a session. Any number of them may be under way.

    Args:
        session: the session.
        target: the node's address, text or bytes; None for `$management`.
        debug: ignored, for compatibility: the connection decides about tracing.
        status_code_field: the answer's application property with the status. If it is missing, the usual names are
            tried.
        description_fields: likewise for the description; one name or several.
        encoding: encoding of the arguments that are text.

    Attributes:
        target: as bytes.
        mgmt_error: why the latest pair of links was lost; None if none was.
    """

    __module__ = "uamqp.mgmt_operation"

    def __init__(
        self,
        session: Session,
        target: str | bytes | None = None,
        debug: bool = False,
        status_code_field: str | bytes = b"statusCode",
        description_fields: Any = b"statusDescription",
        encoding: str = "UTF-8",
    ) -> None:
        encoding = encoding_of(encoding)
        self.connection = having(session, "session", "a Session", "_core", "_connection")._connection
        self.target = encoded(target, "target", encoding) if target else constants.MGMT_TARGET
        self._node = text(self.target, "target", encoding)
        self.mgmt_error: BaseException | None = None
        self._session = session
        self._encoding = encoding
        self._status_fields = checked_names(status_code_field, "status_code_field", STATUS_FIELDS, encoding)
        self._description_fields = checked_names(description_fields, "description_fields", DESCRIPTION_FIELDS, encoding)
        self._requests: RequestNode | None = None  # made with the first request, which needs the session

    @property
    def open(self) -> constants.MgmtOpenStatus | None:
        """The state of the links; None before the first request."""
        links = self._requests.links if self._requests is not None else None
        if links is None:
            return None
        if links.is_open:
            return constants.MgmtOpenStatus.Open
        if links.cause is not None:
            return constants.MgmtOpenStatus.Error
        return constants.MgmtOpenStatus.Closed if links.is_over else constants.MgmtOpenStatus.Opening

    def execute(
        self, operation: str | bytes, op_type: str | bytes | None, message: Message, timeout: float | None = 0
    ) -> Answer:
        """Make a request and wait for its answer.

        Args:
            operation: the application property `operation`.
            op_type: the application property `type`; None for `empty`.
            message: the rest of the request; it isn't changed.
            timeout: in milliseconds; 0 or None for no limit.

        Returns:
            Status, answer and description. Judging the status is up to the caller.

        Raises:
            TimeoutError: there was no answer in time.
            AMQPConnectionError: the node's links couldn't be opened, or were lost, or the connection was.
            MessageException: the node refused the request's message.
            ValueError: the answer has no status.
        """
        return run(self._do_execute(operation, op_type, message, timeout))

    async def _do_execute(
        self,
        operation: str | bytes,
        op_type: str | bytes | None,
        message: Message,
        timeout: float | None = 0,
        **fields: Any,
    ) -> Answer:
        limit = number(timeout or 0, "timeout", "milliseconds")
        encode = self._encoder(operation, op_type, message)
        status_fields = checked_names(
            fields.get("status_code_field"), "status_code_field", self._status_fields, self._encoding
        )
        description_fields = checked_names(
            fields.get("description_fields"), "description_fields", self._description_fields, self._encoding
        )
        connection = self.connection
        driver = connection._driver
        deadline = driver.deadline(limit / 1000 if limit else None)
        await connection._do_start()

        def make(now: float) -> tuple[RequestLinks, Request]:
            links = self._open_links(now)
            return links, links.request(encode, deadline, status_fields, description_fields)

        try:
            links, request = driver.command("making a request", make)
        except LocalProtocolError as error:
            raise errors.AMQPConnectionError(f"{_NOT_OPEN} {error}") from error
        try:
            await self._wait(request, links)
        finally:
            driver.change("forgetting a request", lambda now: links.forget(request))
        return self._result(request, links, limit)

    async def _wait(self, request: Request, links: RequestLinks) -> None:
        connection = self.connection
        while True:
            seen = connection._driver.mark
            connection._driver.change("giving requests up", links.expire)
            if request.done:
                return
            await connection._turn(connection._driver.remaining(request.deadline), seen)

    def _open_links(self, now: float) -> RequestLinks:
        if self._requests is None:
            self._requests = RequestNode(self._session._core, self._node)
        return self._requests.open(now)

    def _encoder(self, operation: str | bytes, op_type: str | bytes | None, message: Message) -> Callable[[int], bytes]:
        request = copy.copy(checked_message(message))
        request.application_properties = {
            **(message.application_properties or {}),
            "operation": encoded(operation, "operation", self._encoding),
            "type": encoded(op_type or b"empty", "op_type", self._encoding),
        }
        request.properties = copy.copy(message.properties) if message.properties else MessageProperties()

        def encode(message_id: int) -> bytes:
            request.properties.message_id = types.AMQPuLong(message_id)
            return request.encode_message()

        encode(0)  # raises at once if it can't be encoded
        return encode

    def _result(self, request: Request, links: RequestLinks, limit: float) -> Answer:
        if request.state is RequestState.TIMED_OUT:
            raise compat.TimeoutException(f"Failed to receive mgmt response in {limit:g}ms")
        if request.state is RequestState.FAILED or request.answer is None:
            self.mgmt_error = self._failure(request, links)
            raise self.mgmt_error
        if request.status is None:
            raise ValueError(f"{_FAULT} The answer has no status that is a number ({', '.join(self._status_fields)}).")
        answer = received_message(request.answer, None, self._encoding)
        if not 200 <= request.status < 300:
            description = shortened(request.description)
            node, peer = masked(self._node), self.connection._peer
            _logger.info("Management request to %s at %s: status %d, %s", node, peer, request.status, description)
        return request.status, answer, request.description.encode(self._encoding)

    def _failure(self, request: Request, links: RequestLinks) -> BaseException:
        cause = request.cause
        if links.is_over and not links.was_open:
            return errors.AMQPConnectionError(f"{_NOT_OPEN} {cause.message if cause is not None else ''}")
        return translate.request_error(cause, self.connection.error_policy, lost=links.is_over)

    def destroy(self) -> None:
        """Detach the links; the next request opens new ones."""
        requests, self._requests = self._requests, None
        if requests is not None:
            self.connection._driver.command("closing links", requests.close)


def checked_message(message: Message) -> Message:
    """Return the message of a request.

    Raises:
        TypeError: it isn't a message.
    """
    if not isinstance(message, Message):
        raise TypeError(f"message must be a Message, which is the management request, not {type(message).__name__}.")
    return message


def checked_names(value: Any, argument: str, usual: tuple[str, ...], encoding: str) -> tuple[str, ...]:
    """Return names of application properties: first those given, then the usual ones.

    Raises:
        TypeError: one is neither text nor bytes.
    """
    if not value:
        return usual
    given = value if isinstance(value, (list, tuple)) else [value]
    names = [text(name, argument, encoding) for name in given]
    return (*names, *(name for name in usual if name not in names))
