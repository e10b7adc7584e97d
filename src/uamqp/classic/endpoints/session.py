"""`Session`: one AMQP session of the blocking 1.6 API."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core import LinkCore, SessionCore
from ...engine import Link
from ...engine.terms import MAX_HANDLE
from ...transport.drive import run
from ..message import Message
from ..values.arguments import encoded, encoding_of, having, integer, number, text
from ..vocabulary import constants, errors
from ..vocabulary.address import Source, Target
from ..vocabulary.callbacks import awaitable, plain, refuse_unfinished
from ..vocabulary.settings import RequestKeywords, Unpack
from .management import MgmtOperation, checked_message, checked_names

__all__ = ["Session"]

if TYPE_CHECKING:
    from types import TracebackType

    from .connection import Connection

_logger = logging.getLogger("uamqp.session")  # as in 1.6

_DEFAULT_WINDOW = 65536
_MAX_WINDOW = 0xFFFFFFFF

OnAttach = Callable[[Any, Any, Any, Any], Any]


class Session:
    """A session (section 2.5) on a connection. It begins when its first link is opened.

    Args:
        connection: the connection.
        incoming_window: transfer frames that the peer may send ahead; 0 or None for 65536.
        outgoing_window: announced to the peer; 0 or None for 65536.
        handle_max: highest link handle; 0 or None for 4294967295.
        on_attach: called for each attach of the peer as `on_attach(source, target, properties, error)`: `Source` and
            `Target` or None, a dict with bytes keys or None, and None or an `AMQPConnectionError`.

    Raises:
        ValueError: a window or `handle_max` is out of range.
    """

    __module__ = "uamqp.session"

    def __init__(
        self,
        connection: Connection,
        incoming_window: int | None = None,
        outgoing_window: int | None = None,
        handle_max: int | None = None,
        on_attach: OnAttach | None = None,
    ) -> None:
        self._connection = having(connection, "connection", "a Connection", "_core")
        self._incoming_window = checked_window(incoming_window, "incoming_window")
        self._outgoing_window = checked_window(outgoing_window, "outgoing_window")
        self._handle_max = checked_handle_max(handle_max)
        self._on_attach = plain(on_attach, "on_attach")
        self._mgmt_links: dict[bytes, MgmtOperation] = {}  # by node
        self._session: SessionCore | None = None

    def __enter__(self) -> Session:  # noqa: PYI034 (Self needs Python 3.11)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.destroy()

    @property
    def _core(self) -> SessionCore:
        """The core's session, made when first needed."""
        if self._session is None:
            self._session = SessionCore(
                self._connection._core,
                incoming_window=self._incoming_window,
                outgoing_window=self._outgoing_window,
                handle_max=self._handle_max,
            )
            self._connection._sessions.append(self)
        return self._session

    @property
    def incoming_window(self) -> int:
        """Transfer frames that the peer may send now."""
        session = self._session.endpoint if self._session is not None else None
        return session.incoming_window if session is not None else self._incoming_window

    @incoming_window.setter
    def incoming_window(self, value: int) -> None:
        self._check_idle("incoming_window")
        self._incoming_window = checked_window(value, "incoming_window")

    @property
    def outgoing_window(self) -> int:
        """The outgoing window that we announce."""
        return self._outgoing_window

    @outgoing_window.setter
    def outgoing_window(self, value: int) -> None:
        self._check_idle("outgoing_window")
        self._outgoing_window = checked_window(value, "outgoing_window")

    @property
    def handle_max(self) -> int:
        """The highest link handle that the peer may use."""
        return self._handle_max

    @handle_max.setter
    def handle_max(self, value: int) -> None:
        self._check_idle("handle_max")
        self._handle_max = checked_handle_max(value)

    def _check_idle(self, name: str) -> None:
        if self._session is not None:
            raise ValueError(f"{name} can't be changed once the session is in use.")

    def destroy(self) -> None:
        """End the session and its links; only the first call counts."""
        run(self._do_destroy())

    async def _do_destroy(self) -> None:
        self._connection._driver.command("ending a session", self._end)

    def _end(self, now: float) -> None:
        """Do what `destroy` does, as a command."""
        self._mgmt_links.clear()
        sessions = self._connection._sessions
        if self in sessions:
            sessions.remove(self)
        if self._session is not None:
            self._session.end(now)

    def mgmt_request(
        self,
        message: Message,
        operation: str | bytes,
        op_type: str | bytes | None = None,
        node: str | bytes | None = constants.MGMT_TARGET,
        **kwargs: Unpack[RequestKeywords],
    ) -> Any:
        """Make a request to a management node and wait for the answer.

        Args:
            message: the request; operation, type and message-id are added to a copy of it.
            operation: the application property `operation`.
            op_type: the application property `type`; None for `empty`.
            node: the node's address; None for `$management`. Its links are opened with the first request, and kept.

        Keyword Args:
            timeout: in milliseconds; 0 or None for no limit.
            callback: called as `callback(status, answer, description)` with an int, a `Message` and bytes; it has to
                check the status, and its result is returned.
            status_code_field, description_fields, debug, encoding: see `MgmtOperation`.

        Returns:
            The answer, a `Message`, if there is no callback.

        Raises:
            Exception: see `MgmtOperation.execute`.
        """
        plain(kwargs.get("callback"), "callback")
        return run(self._do_mgmt_request(message, operation, op_type, node, **kwargs))

    async def _do_mgmt_request(
        self,
        message: Message,
        operation: str | bytes,
        op_type: str | bytes | None,
        node: str | bytes | None,
        timeout: float | None = None,
        callback: Callable[[int, Message, bytes], Any] | None = None,
        debug: bool = False,
        encoding: str = "UTF-8",
        **fields: Any,
    ) -> Any:
        check_request(message, operation, op_type, node, timeout, callback, debug, encoding, **fields)
        key = encoded(node, "node", encoding) if node else constants.MGMT_TARGET
        operations = self._mgmt_links
        if key not in operations:
            operations[key] = MgmtOperation(self, target=key, debug=debug, encoding=encoding)
        answer = await operations[key]._do_execute(operation, op_type, message, timeout, **fields)
        return answer[1] if not callback else await self._finish(callback(*answer))

    async def _finish(self, result: Any) -> Any:
        """Return a callback's result."""
        if inspect.isawaitable(result):
            refuse_unfinished(result, "callback")
        return result

    def _attach_received(self, link: LinkCore) -> None:
        if self._on_attach is None or link.endpoint is None:
            return
        try:
            self._call_on_attach(link.endpoint)
        except Exception:  # an error in a callback must not end the link
            connection = self._connection
            _logger.exception(
                "on_attach raised an exception (connection %r to %s).", connection.container_id, connection._peer
            )

    def _call_on_attach(self, attach: Link) -> None:
        source = Source.from_c_obj(attach.remote_source) if attach.remote_source is not None else None
        target = Target.from_c_obj(attach.remote_target) if attach.remote_target is not None else None
        properties = errors.as_bytes(attach.remote_properties) or None
        error = None
        if source is None or target is None:
            source = target = None
            error = errors.AMQPConnectionError("ATTACH frame Source and/or Target is NULL")
        on_attach = self._on_attach
        if on_attach is not None:
            answer = self._connection._driver.call_out(lambda: on_attach(source, target, properties, error))
            refuse_unfinished(answer, "on_attach")


def check_request(
    message: Message,
    operation: str | bytes,
    op_type: str | bytes | None,
    node: str | bytes | None,
    timeout: float | None = None,
    callback: Callable[..., Any] | None = None,
    debug: bool = False,
    encoding: str = "UTF-8",
    **fields: Any,
) -> None:
    """Check the arguments of `mgmt_request` before doing anything for it.

    Raises:
        TypeError: one has the wrong type, or is unknown.
        ValueError: one is out of range.
    """
    unknown = fields.keys() - {"status_code_field", "description_fields"}
    if unknown:
        raise TypeError(f"mgmt_request got unknown keywords: {', '.join(sorted(unknown))}")
    encoding = encoding_of(encoding)
    checked_message(message)
    encoded(operation, "operation", encoding)
    encoded(op_type or b"", "op_type", encoding)
    text(node or b"", "node", encoding)
    number(timeout or 0, "timeout", "milliseconds")
    awaitable(callback, "callback")
    for name, value in fields.items():
        checked_names(value, name, (), encoding)


def checked_window(value: int | None, name: str) -> int:
    """Return a window; anything false stands for the default.

    Raises:
        TypeError: it isn't an integer.
        ValueError: it is out of range.
    """
    return integer(value, name, 1, _MAX_WINDOW) if value else _DEFAULT_WINDOW


def checked_handle_max(value: int | None) -> int:
    """Return the highest handle; anything false stands for the default, as in 1.6.

    Raises:
        TypeError: it isn't an integer.
        ValueError: it is out of range.
    """
    return integer(value, "handle_max", 1, MAX_HANDLE) if value else MAX_HANDLE
