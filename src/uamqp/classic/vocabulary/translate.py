"""Failures as the exceptions of the 1.6 API, each with the error policy's action.

`core.failure` decides what a failure means for any front. This is the only place where it becomes an exception.
"""

from __future__ import annotations

from typing import Any

from ... import codec
from ...core import Failure
from ...engine import Cause, CauseKind, Engine, MessageTooLarge, OutgoingDelivery
from .constants import ErrorCodes
from .errors import (
    AMQPConnectionError,
    ConnectionClose,
    ConnectionRedirect,
    ErrorPolicy,
    LinkDetach,
    LinkRedirect,
    MessageException,
    MessageHandlerError,
    MessageSendFailed,
    VendorConnectionClose,
    VendorLinkDetach,
    as_bytes,
    condition_of,
    hinted,
)
from .hints import address_hint

# -- what the peer said


def _process_send_error(
    policy: ErrorPolicy, condition: Any, description: Any = None, info: Any = None
) -> MessageException:
    """Return the exception for an outcome other than accepted, with the policy's action.

    Args:
        policy: the error policy.
        condition: str or bytes, as decoded; None for an outcome that carries no error.
        description: as decoded.
        info: as decoded.
    """
    known = condition_of(condition)
    error: MessageException
    if isinstance(known, ErrorCodes):
        error = MessageSendFailed(known, as_bytes(description), as_bytes(info))
        error.action = policy.on_message_error(error)
    else:
        error = MessageException(known, as_bytes(description), as_bytes(info))
        error.action = policy.on_unrecognized_error(error)
    return error


def _process_link_error(policy: ErrorPolicy, condition: Any, description: Any = None, info: Any = None) -> LinkDetach:
    """Return the exception for the peer's detach, with the policy's action; arguments as for `_process_send_error`."""
    known = condition_of(condition)
    if not isinstance(known, ErrorCodes):
        vendor = VendorLinkDetach(known, as_bytes(description), as_bytes(info))
        vendor.action = policy.on_unrecognized_error(vendor)
        return vendor
    kind = LinkRedirect if known is ErrorCodes.LinkRedirect else LinkDetach
    error = kind(known, as_bytes(description), as_bytes(info))
    error.action = policy.on_link_error(error)
    return error


def _process_connection_error(
    policy: ErrorPolicy, condition: Any, description: Any = None, info: Any = None
) -> ConnectionClose:
    """Return the exception for the peer's close, with the policy's action; arguments as for `_process_send_error`."""
    known = condition_of(condition)
    error: ConnectionClose
    if isinstance(known, ErrorCodes):
        kind = ConnectionRedirect if known is ErrorCodes.ConnectionRedirect else ConnectionClose
        error = kind(known, as_bytes(description), as_bytes(info))
        error.action = policy.on_connection_error(error)
    else:
        error = VendorConnectionClose(known, as_bytes(description), as_bytes(info))
        error.action = policy.on_unrecognized_error(error)
    return error


# -- what has ended, or failed


def connection_error(cause: Cause, policy: ErrorPolicy) -> AMQPConnectionError:
    """Return the exception for the end of a connection.

    The peer's close has its own condition. A refused login is `UnauthorizedAccess`, which isn't worth a retry; silence
    is `InternalServerError` and a broken transport `UnknownError`, which are.
    """
    failure = Failure.of(cause)
    return _process_connection_error(policy, failure.condition, failure.description, failure.info)


def link_error(cause: Cause | None, policy: ErrorPolicy, engine: Engine | None = None) -> AMQPConnectionError:
    """Return the exception for the end of a link of this engine's connection."""
    if cause is None:
        return MessageHandlerError("The link was closed.")
    if cause.kind is CauseKind.TRANSPORT or cause.kind is CauseKind.SASL:
        return connection_error(cause, policy)
    if cause.kind is not CauseKind.PEER:
        return _process_link_error(policy, cause.condition, cause.message)
    failure = Failure.of(cause)
    error = _process_link_error(policy, failure.condition, failure.description, failure.info)
    return hinted(error, address_hint(engine, failure.description))


def refusal(delivery: OutgoingDelivery, policy: ErrorPolicy) -> MessageException:
    """Return the exception for a message with an outcome other than accepted."""
    state = delivery.remote_state
    if isinstance(state, codec.Rejected) and state.error is not None:
        error = state.error
        refused = _process_send_error(policy, error.condition, error.description, error.info)
        return hinted(refused, address_hint(delivery.link.session.engine, error.description))
    name = type(state).__name__.lower()
    return _process_send_error(policy, ErrorCodes.UnknownError, f"the peer's outcome for the message is {name}")


def too_large(error: MessageTooLarge, policy: ErrorPolicy) -> MessageException:
    """Return the exception for a message that is larger than the peer accepts."""
    return _process_send_error(policy, ErrorCodes.LinkMessageSizeExceeded, str(error))


def callback_error(error: Exception, policy: ErrorPolicy) -> LinkDetach:
    """Return the exception for a link on which a callback has raised one, which becomes its cause."""
    failed = _process_link_error(policy, ErrorCodes.UnknownError, str(error))
    failed.__cause__ = error
    return failed


def request_error(cause: Cause | None, policy: ErrorPolicy, *, lost: bool) -> LinkDetach | MessageException:
    """Return the exception for a request that won't be answered.

    Args:
        cause: why; None if nobody knows.
        policy: the error policy.
        lost: whether the node's links are gone as well.
    """
    error = cause.error if cause is not None else None
    condition, info = (None, None) if error is None else (error.condition, error.info)
    text = cause.message if cause is not None else ""
    process = _process_link_error if lost else _process_send_error
    return process(policy, condition, text, info)
