"""The errors of the modern API.

Whatever goes wrong is an `AMQPError`, except that an argument of the wrong type is a `TypeError`, and that what the
codec can't encode or decode is its `CodecError`, a `ValueError`. `translate` makes those that the peer or the network
cause; each says in one sentence what happened, in the peer's own words, with the AMQP error condition in parentheses.

Errors can be pickled and copied, and keep all their attributes except those that belong to a connection: deliveries.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ..codec.text import shortened
from ..core import Redirect

if TYPE_CHECKING:
    from ..codec import Modified, Rejected, Released
    from .delivery import Delivery
    from .many import SendReport

_public: dict[type[BaseException], type[BaseException]] = {}
"""The public class of each class that `_Timeout` has made."""

if sys.version_info >= (3, 11):
    _Timeout = TimeoutError
else:

    class _Timeout(TimeoutError):
        """The builtin `TimeoutError`, and asyncio's, which is another class before Python 3.11.

        A program can't look for asyncio's without having imported asyncio. So if it is loaded, errors are made of a
        subclass of both; it isn't loaded for them.
        """

        _made: ClassVar[dict[type[BaseException], Any]] = {}

        def __new__(cls, *args: object, **_: object) -> _Timeout:  # noqa: PYI034 (Self needs Python 3.11)
            # Another thread may be importing asyncio at this moment.
            other = getattr(sys.modules.get("asyncio.exceptions"), "TimeoutError", None)
            if other is None or issubclass(cls, other):
                return super().__new__(cls, *args)
            both = _Timeout._made.get(cls)
            if both is None:
                names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
                both = _Timeout._made[cls] = type(cls.__name__, (cls, other), names)
                _public[both] = cls
            error: _Timeout = super().__new__(both, *args)
            return error


def _restored(kind: type[AMQPError], args: tuple[object, ...]) -> AMQPError:
    """Return an error with these arguments, whose attributes follow; its text is complete already."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


def _readable(text: str) -> str:
    """Return a text of the peer's on one line, without characters that a terminal would act on."""
    line = " ".join(shortened(text).split())
    if line.isprintable():
        return line
    return "".join(part if part.isprintable() else ascii(part)[1:-1] for part in line)


def _sentence(text: str, description: str | None, condition: str | None, hint: str) -> str:
    words = _readable(description or "").removesuffix(".")
    sentence = f"{text}: {words}" if words else text
    if condition:
        sentence += f" ({_readable(condition)})"
    return f"{sentence.removesuffix('.')}. {hint}" if hint else sentence


class AMQPError(Exception):
    """The base of all errors of the modern API.

    Args:
        text: what happened. The other arguments that are given follow it in the error's text.
        condition: see the attributes.
        description: see the attributes.
        info: see the attributes.
        is_temporary: see the attributes; None stands for what is usual for the class.
        hint: what to do about it, as a sentence.

    Attributes:
        condition: the AMQP error condition, such as "amqp:not-found" (sections 2.8.15 to 2.8.18); None if there is
            none.
        description: the peer's own words, or this library's if the condition is its own; None if there are none.
        info: what the peer added to its error; None if nothing.
        is_temporary: whether another try may succeed although nothing has been changed.
    """

    is_temporary: bool = False
    _LIVE: ClassVar[tuple[str, ...]] = ()
    """Attributes that belong to a connection, and stay behind when an error is pickled or copied."""

    def __init__(
        self,
        text: str,
        /,
        *,
        condition: str | None = None,
        description: str | None = None,
        info: Mapping[Any, Any] | None = None,
        is_temporary: bool | None = None,
        hint: str = "",
    ) -> None:
        sentence = _sentence(text, description, condition, hint)
        super().__init__(sentence)
        self.args = (sentence,)  # an OSError that has a `__new__` keeps what that was given
        self.condition: str | None = None if condition is None else str(condition)  # a symbol, from the codec
        self.description = description
        self.info: Mapping[str, Any] | None = None if info is None else {str(key): value for key, value in info.items()}
        if is_temporary is not None:
            self.is_temporary = is_temporary

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in self.__dict__.items() if name not in self._LIVE}
        return _restored, (_public.get(type(self), type(self)), self.args), state


# -- mistakes


class UsageError(AMQPError, RuntimeError):
    """A method can't be used in this way or at this time."""


class ClosedError(UsageError):
    """The object was closed, or its connection was, by this side."""


class WrongLoopError(UsageError):
    """An object of `uamqp.aio` is used in another event loop than the one it belongs to."""


class ForkedError(UsageError):
    """A connection that was opened before `os.fork` is used in the child, which has to open its own."""


class AlreadySettled(UsageError):
    """The message has its outcome already, and another can't follow."""


class ReadOnlyMessage(UsageError):
    """A message that was received can't be changed or sent: `Message.copy` makes one that can."""


class ConfigurationError(AMQPError, ValueError):
    """A URL, an option or an address can't be used; the text says why, and what would be right."""


# -- connections and sessions

Attempts: TypeAlias = tuple[tuple[str, AMQPError], ...]
"""For each attempt to connect, in order: the endpoint, as text, and what went wrong there."""


class ConnectionFailure(AMQPError):
    """The connection couldn't be opened, or has ended.

    Args:
        text, condition, description, info, is_temporary, hint: see `AMQPError`.
        attempts: see the attributes.

    Attributes:
        attempts: for each attempt to connect, in order: the endpoint, as "host:port", and the error there. Empty if the
            connection was open.
    """

    def __init__(
        self,
        text: str,
        /,
        *,
        condition: str | None = None,
        description: str | None = None,
        info: Mapping[Any, Any] | None = None,
        is_temporary: bool | None = None,
        hint: str = "",
        attempts: Attempts = (),
    ) -> None:
        super().__init__(
            text, condition=condition, description=description, info=info, is_temporary=is_temporary, hint=hint
        )
        self.attempts = attempts


class ConnectFailed(ConnectionFailure):
    """No connection could be opened: a host is unknown, doesn't answer or refuses, or what answers doesn't speak AMQP.

    Of several hosts, all have failed.
    """

    is_temporary = True


class AuthenticationFailed(ConnectionFailure):
    """The peer refused the credentials, there is no SASL mechanism that both sides know, or there were no credentials.

    A peer that says amqp:unauthorized-access when it closes the connection means the same.
    """


class TLSFailed(ConnectionFailure):
    """TLS couldn't be set up: a certificate isn't trusted, or the two sides have no version in common.

    `is_temporary` is True if the peer just cut the connection meanwhile.
    """


class ConnectionLost(ConnectionFailure):
    """The connection broke, the peer fell silent, or it broke the protocol."""

    is_temporary = True


class ConnectionClosed(ConnectionFailure):
    """The peer closed the connection, or refused to open it."""


class ConnectionForced(ConnectionClosed):
    """The peer's operator closed the connection (amqp:connection:forced), for instance to shut it down."""

    is_temporary = True


class _Redirected(AMQPError):
    """An error that says where to go instead."""

    @property
    def host(self) -> str | None:
        """The host to connect to; None if the peer names none."""
        return Redirect.of(self.info).host

    @property
    def port(self) -> int | None:
        """Its port; None if the peer names none."""
        return Redirect.of(self.info).port

    @property
    def hostname(self) -> str | None:
        """What to pass as `hostname` there; None if the peer names none."""
        return Redirect.of(self.info).hostname


class ConnectionRedirected(_Redirected, ConnectionClosed):
    """The peer says that another container serves this connection (amqp:connection:redirect, section 2.8.16).

    Attributes:
        host: the host to connect to; None if the peer names none.
        port: its port; None if the peer names none.
        hostname: what to pass as `hostname` there; None if the peer names none.
    """


class SessionEnded(AMQPError):
    """The peer ended the session, and with it the session's links."""


# -- links


class LinkFailure(AMQPError):
    """A sender or receiver couldn't be opened, or has ended."""


class NodeNotFound(LinkFailure):
    """There is no node with that address (amqp:not-found)."""


class AccessDenied(LinkFailure):
    """The peer doesn't allow this user to send to that address, or to receive from it (amqp:unauthorized-access)."""


class LinkRefused(LinkFailure):
    """The peer doesn't open the sender or receiver, or not in the way that was asked for."""


class FilterRefused(LinkRefused):
    """The peer doesn't apply a filter that was asked for."""


class AnonymousRelayUnsupported(LinkRefused):
    """The peer has no anonymous relay: a sender needs an address there."""


class LinkDetached(LinkFailure):
    """The peer ended a sender or receiver that was open."""


class DetachForced(LinkDetached):
    """The peer's operator ended the link (amqp:link:detach-forced)."""

    is_temporary = True


class LinkStolen(LinkDetached):
    """Another connection has attached a link of the same name (amqp:link:stolen, section 2.6.1)."""


class NodeDeleted(LinkDetached):
    """The queue, or whatever else the address means, was deleted (amqp:resource-deleted)."""


class ResourceLimitExceeded(LinkDetached):
    """A limit of the peer's keeps the link from going on, or from being opened (amqp:resource-limit-exceeded)."""


class LinkRedirected(_Redirected, LinkDetached):
    """The peer says that the node is somewhere else (amqp:link:redirect, section 2.8.18).

    Attributes:
        host: the host to connect to; None if the peer names none.
        port: its port; None if the peer names none.
        hostname: what to pass as `hostname` there; None if the peer names none.
        address: of the node there; None if the peer names none.
    """

    @property
    def address(self) -> str | None:
        """The address of the node there; None if the peer names none."""
        return Redirect.of(self.info).address


# -- messages that are sent


class SendError(AMQPError):
    """A message wasn't accepted, or nobody knows whether it was: see the subclasses.

    Args:
        text, condition, description, info, is_temporary, hint: see `AMQPError`.
        delivery: see the attributes.

    Attributes:
        delivery: the message's `Delivery`; None if it has none, and in a copy of the error.
    """

    _LIVE = ("delivery",)
    delivery: Delivery | None = None

    def __init__(
        self,
        text: str,
        /,
        *,
        condition: str | None = None,
        description: str | None = None,
        info: Mapping[Any, Any] | None = None,
        is_temporary: bool | None = None,
        hint: str = "",
        delivery: Delivery | None = None,
    ) -> None:
        super().__init__(
            text, condition=condition, description=description, info=info, is_temporary=is_temporary, hint=hint
        )
        self.delivery = delivery


class NotSent(SendError):
    """The message certainly wasn't delivered: the peer never had all of it. It can be sent again."""

    is_temporary = True


class SendTimeout(NotSent, _Timeout):
    """The time was over before the message could go out; it was taken back. Also a `TimeoutError`."""


class MessageTooLarge(NotSent):
    """The message is larger than the peer accepts (max-message-size, section 2.7.3)."""

    is_temporary = False


class SendCancelled(NotSent):
    """The message was taken back before it went out, by `Delivery.cancel`."""

    is_temporary = False


class NotAccepted(SendError):
    """The peer didn't accept the message.

    Args:
        text, condition, description, info, is_temporary, hint: see `AMQPError`.
        delivery: see `SendError`.
        outcome: see the attributes.

    Attributes:
        outcome: the peer's outcome: `Rejected`, `Released` or `Modified`; None if it gave one that this library doesn't
            know.
    """

    def __init__(
        self,
        text: str,
        /,
        *,
        condition: str | None = None,
        description: str | None = None,
        info: Mapping[Any, Any] | None = None,
        is_temporary: bool | None = None,
        hint: str = "",
        delivery: Delivery | None = None,
        outcome: Rejected | Released | Modified | None = None,
    ) -> None:
        super().__init__(
            text,
            condition=condition,
            description=description,
            info=info,
            is_temporary=is_temporary,
            hint=hint,
            delivery=delivery,
        )
        self.outcome = outcome


class MessageRejected(NotAccepted):
    """The peer takes the message for invalid, or refuses it for a reason of its own (section 3.4.3)."""

    @property
    def queue(self) -> str | None:
        """The queue that rejected it, where the peer says so (RabbitMQ 4.3 and later); otherwise None."""
        queue = (self.info or {}).get("queue")
        return str(queue) if isinstance(queue, str) else None

    @property
    def reason(self) -> str | None:
        """Why, in the peer's words: the error's description; None if it gave none."""
        return self.description


class MessageReleased(NotAccepted):
    """The peer gave the message back without looking at it (section 3.4.4). RabbitMQ: no queue is bound for it."""

    is_temporary = True


class MessageModified(NotAccepted):
    """The peer gave the message back, perhaps after a failed delivery (section 3.4.5); see `outcome`."""

    is_temporary = True


class OutcomeUnknown(SendError):
    """The message went out, and nobody knows whether it was delivered. If it is sent again, it may arrive twice."""

    is_temporary = True


class OutcomeTimeout(OutcomeUnknown, _Timeout):
    """The time was over before the outcome came, which may still follow. Also a `TimeoutError`."""


# -- other


class OperationTimeout(AMQPError, _Timeout):
    """What was asked for didn't happen in time. Also a `TimeoutError`."""

    is_temporary = True


class BufferFull(AMQPError):
    """There is no room for another message: too many, or too many bytes, wait or are in flight."""

    is_temporary = True


class SendManyFailed(AMQPError):
    """Some of many messages weren't accepted.

    Args:
        text, condition, description, info, is_temporary, hint: see `AMQPError`.
        report: see the attributes.

    Attributes:
        report: the `SendReport`, with the deliveries that failed; None in a copy of the error.
    """

    _LIVE = ("report",)
    report: SendReport | None = None

    def __init__(
        self,
        text: str,
        /,
        *,
        condition: str | None = None,
        description: str | None = None,
        info: Mapping[Any, Any] | None = None,
        is_temporary: bool | None = None,
        hint: str = "",
        report: SendReport | None = None,
    ) -> None:
        super().__init__(
            text, condition=condition, description=description, info=info, is_temporary=is_temporary, hint=hint
        )
        self.report = report


class SettlementLost(AMQPError):
    """The link ended before the peer knew the message's outcome: the message comes again."""
