"""The keywords of constructors and methods, by name and type, for type checkers.

Nothing is checked here at run time; the functions that take the keywords refuse unknown ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

if sys.version_info >= (3, 11):
    from typing import Unpack as Unpack  # noqa: PLC0414
elif TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack  # noqa: PLC0414
else:

    class Unpack:
        """Stands in for an unknown name, so that annotations can still be evaluated."""

        def __class_getitem__(cls, keywords):
            return Any


if TYPE_CHECKING:
    import ssl

    from .errors import ErrorPolicy


class TimeoutKeywords(TypedDict, total=False):
    """See `Connection`."""

    handshake_timeout: float
    link_timeout: float
    close_timeout: float


class SessionKeywords(TypedDict, total=False):
    """See `Session`."""

    incoming_window: int | None
    outgoing_window: int | None
    handle_max: int | None
    on_attach: Callable[[Any, Any, Any, Any], Any] | None


class ClientKeywords(TimeoutKeywords, SessionKeywords, total=False):
    """See `AMQPClient`."""

    encoding: str | None
    transport_type: Any
    http_proxy: dict[str, Any] | None
    max_frame_size: int | None
    channel_max: int | None
    idle_timeout: float | None
    properties: dict[Any, Any] | None
    remote_idle_timeout_empty_frame_send_ratio: float | None
    send_settle_mode: Any
    receive_settle_mode: Any
    desired_capabilities: Any
    link_name: str | bytes | None
    detach_on_close: bool


class SendKeywords(ClientKeywords, total=False):
    """See `SendClient`."""

    max_message_size: int | None
    link_properties: dict[Any, Any] | None
    link_credit: int | None
    stall_timeout: float | None


class ReceiveKeywordsAsync(ClientKeywords, total=False):
    """See `ReceiveClientAsync`."""

    max_message_size: int | None
    link_properties: dict[Any, Any] | None
    prefetch: int | None
    shutdown_after_timeout: bool | None


class ReceiveKeywords(ReceiveKeywordsAsync, total=False):
    """See `ReceiveClient`."""

    keep_alive_interval: float | None


class ReceiveMessagesKeywords(ReceiveKeywords, total=False):
    """See `uamqp.receive_messages`."""

    client_name: str | bytes | None
    auto_complete: bool
    error_policy: ErrorPolicy | None


class ClientRequestKeywords(TypedDict, total=False):
    """See `AMQPClient.mgmt_request`."""

    timeout: float | None
    debug: bool
    encoding: str
    status_code_field: str | bytes | None
    description_fields: Any


class RequestKeywords(ClientRequestKeywords, total=False):
    """See `Session.mgmt_request`."""

    callback: Callable[[int, Any, bytes], Any] | None


class CreditKeywords(TypedDict, total=False):
    """See `MessageReceiver.reset_link_credit`."""

    drain: bool


class TransportKeywords(TypedDict, total=False):
    """See `AMQPAuth`."""

    use_tls: bool | None
    ssl_context: ssl.SSLContext | None
    certificate: Any
    key: Any
    key_password: Any
    connect_timeout: float
    use_websocket: bool | None
    websocket_path: str


class TokenKeywords(TransportKeywords, total=False):
    """See `SASTokenAuth`."""

    refresh_window: float | None
    custom_endpoint_hostname: str | bytes | None
