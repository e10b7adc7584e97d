"""What the layers below say, as the exceptions of the modern API.

`core.failure` decides what an end or a refusal means for any front. This is the only place where it becomes an
exception. Each function is for the outermost thing that has ended: `connection_error` if the connection is over,
`session_error` if only the session is, `link_error` if a link has ended alone or was being opened. A cause is passed
down from connection to session to link, so the inner functions know those of the outer ones.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ..codec import CodecError, Modified, Rejected, Released, Symbol
from ..core import NOT_WORTH_RETRYING, Failure, Fault, Outcome, OutcomeKind
from ..engine import Cause, CauseKind, conditions
from ..engine import MessageTooLarge as EngineMessageTooLarge
from . import hints
from .errors import (
    AccessDenied,
    AMQPError,
    Attempts,
    AuthenticationFailed,
    ClosedError,
    ConnectFailed,
    ConnectionClosed,
    ConnectionFailure,
    ConnectionForced,
    ConnectionLost,
    ConnectionRedirected,
    DetachForced,
    LinkDetached,
    LinkFailure,
    LinkRedirected,
    LinkRefused,
    LinkStolen,
    MessageModified,
    MessageRejected,
    MessageReleased,
    MessageTooLarge,
    NodeDeleted,
    NodeNotFound,
    NotAccepted,
    NotSent,
    OperationTimeout,
    OutcomeTimeout,
    OutcomeUnknown,
    ResourceLimitExceeded,
    SendCancelled,
    SendError,
    SendTimeout,
    SessionEnded,
    TLSFailed,
)

if TYPE_CHECKING:
    from .delivery import Delivery

E = TypeVar("E", bound=AMQPError)
S = TypeVar("S", bound=SendError)

_CONNECTION_ERRORS: dict[Symbol, type[ConnectionFailure]] = {
    conditions.CONNECTION_FORCED: ConnectionForced,
    conditions.CONNECTION_REDIRECT: ConnectionRedirected,
    conditions.UNAUTHORIZED_ACCESS: AuthenticationFailed,
}
"""The classes for conditions in the peer's close; any other condition, or none, is `ConnectionClosed`."""

_LINK_ERRORS: dict[Symbol, type[LinkFailure]] = {
    conditions.NOT_FOUND: NodeNotFound,
    conditions.UNAUTHORIZED_ACCESS: AccessDenied,
    conditions.RESOURCE_DELETED: NodeDeleted,
    conditions.STOLEN: LinkStolen,
    conditions.DETACH_FORCED: DetachForced,
    conditions.RESOURCE_LIMIT_EXCEEDED: ResourceLimitExceeded,
    conditions.LINK_REDIRECT: LinkRedirected,
}
"""Likewise for links; any other is `LinkRefused` while the link is opened, and `LinkDetached` afterwards."""

_OF_CONNECTIONS = frozenset((conditions.CONNECTION_FORCED, conditions.CONNECTION_REDIRECT))
"""Conditions that are about the connection, whatever they end."""

_WORTH_RECONNECTING = frozenset((conditions.RESOURCE_LIMIT_EXCEEDED, conditions.FRAMING_ERROR))
"""Conditions that a new connection may not meet, although in general another try would have the same result."""

_MAX_CHAIN = 8
"""How many causes of an exception are looked at."""


# -- connections


def connection_error(
    cause: Cause | None, *, endpoint: str = "", opening: bool = False, failure: BaseException | None = None
) -> AMQPError:
    """Return the exception for the end of a connection, or for an attempt to open one.

    Args:
        cause: why it ended; None if this side closed it, or if it failed before AMQP began.
        endpoint: where it leads, such as "mq1:5671".
        opening: whether it was still being opened.
        failure: the exception that broke the transport, which becomes the cause of the one returned; None if none did.
    """
    where = f"the connection to {endpoint}" if endpoint else "the connection"
    if cause is None and failure is None:
        return ClosedError(f"{where} was closed")
    if cause is None or cause.kind is CauseKind.TRANSPORT:
        return _transport_error(cause, where, opening, failure)
    found = Failure.of(cause)
    kind: type[ConnectionFailure]
    if cause.kind is CauseKind.LOCAL and found.condition is None:
        return ClosedError(f"{where} was closed by this side: {cause.message}")
    hint = ""
    if cause.kind is CauseKind.SASL:
        kind, text = AuthenticationFailed, f"the login at {endpoint} failed" if endpoint else "the login failed"
        hint = hints.CREDENTIALS if "no common SASL mechanism" in cause.message else ""
    elif cause.kind is CauseKind.PEER:
        kind = _of_condition(_CONNECTION_ERRORS, found.condition, ConnectionClosed)
        text = f"the peer refused {where}" if opening else f"the peer closed {where}"
        hint = _redirect_hint(found)
    else:
        kind = ConnectFailed if opening else ConnectionLost
        text = f"{where} couldn't be opened" if opening else f"{where} was lost"
        hint = "" if opening else hints.LOST
    error = _made(kind, text, found, not found.is_permanent or found.condition in _WORTH_RECONNECTING, hint)
    error.__cause__ = cause.exception
    return error


def _transport_error(cause: Cause | None, where: str, opening: bool, failure: BaseException | None) -> AMQPError:
    """Return the exception for a transport that broke, or was never there."""
    words = cause.message if cause is not None else str(failure) or type(failure).__name__
    found = Failure(None, words, None, Fault.NETWORK)
    tls = _tls_failure(failure) if opening else None
    if tls is not None:
        hint = hints.CERTIFICATE if _is(tls, "SSLCertVerificationError") else ""
        # A peer that cuts the connection may just be restarting.
        is_cut = _is(tls, "SSLEOFError", "SSLZeroReturnError", "SSLSyscallError")
        error: AMQPError = _made(TLSFailed, f"TLS failed for {where}", found, is_cut, hint)
    elif opening:
        error = _made(ConnectFailed, f"{where} couldn't be opened", found, True)
    else:
        error = _made(ConnectionLost, f"{where} was lost", found, True, hints.LOST)
    error.__cause__ = failure
    return error


def _tls_failure(failure: BaseException | None) -> BaseException | None:
    """Return the `ssl.SSLError` that an exception is, or comes from; None if there is none."""
    for _ in range(_MAX_CHAIN):
        if failure is None or _is(failure, "SSLError"):
            return failure
        failure = failure.__cause__
    return None


def _is(error: BaseException, *names: str) -> bool:
    """Return whether an exception is one of ssl's, which isn't loaded to find out: without it there are none."""
    ssl: Any = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, tuple(getattr(ssl, name, ()) for name in names))


def connect_error(attempts: Attempts) -> AMQPError:
    """Return the exception for a connection that can't be opened: what to raise after the last attempt.

    A failure that another try would meet again is returned as it is, and so is the only one. Of several that are
    temporary, all are told.

    Args:
        attempts: for each attempt, in order: the endpoint, and the exception. The result has them as `attempts`.
    """
    errors = [error for _, error in attempts]
    error = next((error for error in errors if not error.is_temporary), errors[-1])
    if error.is_temporary and len(attempts) > 1:
        told = dict.fromkeys(str(error) for error in errors)  # in order, without repetitions
        return ConnectFailed(f"no host could be connected to: {'; '.join(told)}", attempts=attempts)
    if isinstance(error, ConnectionFailure):
        error.attempts = attempts
    return error


# -- sessions and links


def session_error(
    cause: Cause | None, *, opening: bool = False, endpoint: str = "", failure: BaseException | None = None
) -> AMQPError:
    """Return the exception for the end of a session.

    Args:
        cause: why it ended; None if this side ended it.
        opening: whether it was still being opened.
        endpoint: see `connection_error`.
        failure: see `connection_error`.
    """
    if cause is None:
        return ClosedError("the session was closed")
    outer = _outer_error(cause, "the session", opening, endpoint, failure)
    if outer is not None:
        return outer
    found = Failure.of(cause)
    return _made(SessionEnded, "the session has ended", found, _is_temporary(found, opening))


def link_error(
    cause: Cause | None,
    opening: bool,
    *,
    link: str = "the link",
    product: str = "",
    version: str = "",
    endpoint: str = "",
    failure: BaseException | None = None,
) -> AMQPError:
    """Return the exception for the end of a link, or for one that couldn't be opened.

    Args:
        cause: why it ended; None if this side closed it. While it is being opened, the end of its session counts as
            its refusal: some brokers have no other way.
        opening: whether it was still being opened.
        link: the link for people, such as "the receiver from '/queues/q1'".
        product: what the peer says that it is, from its open; empty if it doesn't say.
        version: the peer's version, likewise.
        endpoint: see `connection_error`.
        failure: see `connection_error`.
    """
    if cause is None:
        return ClosedError(f"{link} was closed")
    outer = _outer_error(cause, link, opening, endpoint, failure)
    if outer is not None:
        return outer
    found = Failure.of(cause)
    kind: type[LinkFailure] = LinkRefused if opening else LinkDetached
    if cause.kind is CauseKind.PEER or found.condition == conditions.STOLEN:
        kind = _of_condition(_LINK_ERRORS, found.condition, kind)
    hint = _redirect_hint(found) or hints.address_hint(found.description, product, version)
    text = f"{link} couldn't be opened" if opening else f"{link} was detached"
    return _made(kind, text, found, _is_temporary(found, opening), hint)


def _outer_error(
    cause: Cause, what: str, opening: bool, endpoint: str, failure: BaseException | None
) -> AMQPError | None:
    """Return the exception for a link or session if its connection is the reason, or time; otherwise None."""
    if opening and cause.kind is CauseKind.TIMEOUT:
        return _made(OperationTimeout, f"{what} couldn't be opened in time", Failure.of(cause), True)
    if opening and cause.kind is CauseKind.LOCAL and cause.condition is None:
        return None  # the peer's limits don't allow it
    if cause.kind in (CauseKind.PEER, CauseKind.PROTOCOL) and cause.condition not in _OF_CONNECTIONS:
        return None
    return connection_error(cause, endpoint=endpoint, failure=failure)


def _is_temporary(found: Failure, opening: bool) -> bool:
    """Return whether another try may succeed. A refusal without a reason isn't worth one: it is about the request."""
    return not found.is_permanent and not (opening and found.condition is None)


def _of_condition(table: dict[Symbol, type[E]], condition: Symbol | None, otherwise: type[E]) -> type[E]:
    return otherwise if condition is None else table.get(condition, otherwise)


def _made(kind: type[E], text: str, found: Failure, is_temporary: bool, hint: str = "") -> E:
    return kind(
        text,
        condition=found.condition,
        description=found.description,
        info=found.info,
        is_temporary=is_temporary,
        hint=hint,
    )


def _redirect_hint(found: Failure) -> str:
    redirect = found.redirect
    if redirect is None or redirect.host is None:
        return ""
    port = "" if redirect.port is None else f", port {redirect.port}"
    return f"It is at {redirect.host!r:.100}{port}: connect there."


# -- messages that are sent


def send_error(
    outcome: Outcome, *, delivery: Delivery | None = None, ended: AMQPError | None = None, product: str = ""
) -> SendError | None:
    """Return the exception for what became of a message; None if the peer has taken it.

    Args:
        outcome: what became of it.
        delivery: becomes the exception's `delivery`.
        ended: the exception for the end of the link, or of the sender, if that is the reason. It becomes the cause of
            the one returned.
        product: see `link_error`.
    """
    error = _send_error(outcome, ended, product)
    if error is not None:
        error.delivery = delivery
    return error


def _send_error(outcome: Outcome, ended: AMQPError | None, product: str) -> SendError | None:
    kind = outcome.kind
    if kind is OutcomeKind.TAKEN:
        return None
    if kind is OutcomeKind.REFUSED:
        return _refused(outcome.state, product)
    if kind is OutcomeKind.FAILED:
        return _failed(outcome)
    if kind is OutcomeKind.TIMED_OUT:
        if outcome.may_have_arrived:
            return OutcomeTimeout("the outcome of the message didn't come in time: it may have arrived, or not")
        return SendTimeout("the message couldn't be sent in time, and was taken back")
    if kind is OutcomeKind.SUSPECTED:
        return _suspected(outcome, ended)
    if ended is None and kind is OutcomeKind.RETURNED and not outcome.may_have_arrived:
        return SendCancelled("the message was taken back before it was sent")
    if outcome.may_have_arrived and not outcome.is_part:
        return _ended(OutcomeUnknown, "there is no outcome of the message: it may have arrived, or not", ended)
    return _ended(NotSent, "the message wasn't sent", ended)


def _refused(state: object, product: str) -> NotAccepted:
    """Return the exception for an outcome other than accepted."""
    if isinstance(state, Rejected):
        text = "the peer rejected the message"
        if state.error is None:
            return MessageRejected(text, outcome=state, is_temporary=True)
        found = Failure.of_error(state.error, "")
        return MessageRejected(
            text,
            condition=found.condition,
            description=found.description,
            info=found.info,
            is_temporary=not found.is_permanent,
            hint=hints.address_hint(found.description, product),
            outcome=state,
        )
    if isinstance(state, Released):
        hint = hints.UNROUTABLE if "RabbitMQ" in product else ""
        return MessageReleased("the peer released the message", hint=hint, outcome=state)
    if isinstance(state, Modified):
        notes = [
            note
            for note, is_set in (
                ("the delivery failed", state.delivery_failed),
                ("it can't be delivered there", state.undeliverable_here),
            )
            if is_set
        ]
        text = ": ".join(("the peer gave the message back modified", *([" and ".join(notes)] if notes else [])))
        return MessageModified(text, is_temporary=not state.undeliverable_here, outcome=state)
    return NotAccepted(f"the peer's outcome for the message is unknown: {type(state).__name__}")


def _failed(outcome: Outcome) -> NotSent:
    """Return the exception for a message that can't be sent."""
    reason = outcome.error
    if isinstance(reason, NotSent):
        return reason
    words = outcome.text or str(reason)
    error: NotSent
    if isinstance(reason, EngineMessageTooLarge):
        error = MessageTooLarge(f"the message can't be sent: {words}")
    elif isinstance(reason, CodecError):
        error = NotSent(f"the message can't be encoded: {words}", is_temporary=False)
    else:
        error = NotSent(f"the message can't be sent: {words}", is_temporary=False)
    error.__cause__ = reason
    return error


def _suspected(outcome: Outcome, ended: AMQPError | None) -> SendError:
    """Return the exception for the only message that was under way when the peer ended the link with an error."""
    if ended is None and isinstance(outcome.error, AMQPError):
        ended = outcome.error
    if outcome.condition == conditions.MESSAGE_SIZE_EXCEEDED:
        return _ended(MessageTooLarge, "the message is larger than the peer accepts", ended, outcome.condition, False)
    text = "the peer ended the link, perhaps because of the message, which may have arrived, or not"
    is_temporary = None if outcome.condition is None else outcome.condition not in NOT_WORTH_RETRYING
    return _ended(OutcomeUnknown, text, ended, outcome.condition, is_temporary)


def _ended(
    kind: type[S],
    text: str,
    ended: AMQPError | None,
    condition: str | None = None,
    is_temporary: bool | None = None,
) -> S:
    """Return the exception for a message whose link or sender has ended, with the reason, if it is known."""
    if ended is None:
        return kind(text, condition=condition, is_temporary=is_temporary)
    if ended.condition is None and ended.description is None:
        text = f"{text}: {ended}"
    error = kind(
        text,
        condition=ended.condition or condition,
        description=ended.description,
        info=ended.info,
        is_temporary=ended.is_temporary if is_temporary is None else is_temporary,
    )
    error.__cause__ = ended
    return error
