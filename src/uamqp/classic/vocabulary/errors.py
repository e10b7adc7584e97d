"""The exceptions of the 1.6 API, the policy that decides on retries, and the responses that settle a message.

Conditions are `ErrorCodes` members if known, otherwise raw ``bytes``. Every exception can be pickled and copied.
`translate` turns what the peer said into one of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

from ... import codec
from ...codec.text import shortened
from ...core import NOT_WORTH_RETRYING, masked_within
from ..values import convert
from ..values.arguments import encoded, encoding_of, having, number
from .callbacks import plain, refuse_unfinished
from .constants import ErrorCodes

__all__ = [
    "AMQPClientShutdown",
    "AMQPConnectionError",
    "AMQPError",
    "AuthenticationException",
    "ClientMessageError",
    "ClientTimeout",
    "Condition",
    "ConnectionClose",
    "ConnectionRedirect",
    "ErrorAction",
    "ErrorPolicy",
    "ErrorResponse",
    "Fate",
    "LinkDetach",
    "LinkRedirect",
    "MessageAccepted",
    "MessageAlreadySettled",
    "MessageContentTooLarge",
    "MessageException",
    "MessageHandlerError",
    "MessageModified",
    "MessageRejected",
    "MessageReleased",
    "MessageResponse",
    "MessageSendFailed",
    "NotAMessage",
    "Outcome",
    "TokenAuthFailure",
    "TokenExpired",
    "VendorConnectionClose",
    "VendorLinkDetach",
    "condition_of",
    "policy_of",
]

if TYPE_CHECKING:
    from ..message.message import Message
    from ..values.native import AMQPValue

Fate: TypeAlias = Literal["not sent", "unknown"]
"""Whether the peer may have a message that has no outcome.

"not sent": it doesn't; no byte of the message can have reached it, or it has refused what did. "unknown": some of the
message may have been written, and nothing was heard of it.
"""

Condition: TypeAlias = ErrorCodes | bytes
"""A condition in the form that exceptions have."""

Outcome: TypeAlias = codec.Accepted | codec.Rejected | codec.Released | codec.Modified
"""The outcomes that settle a received delivery (section 3.4)."""

_ExceptionT = TypeVar("_ExceptionT", bound=BaseException)
_HintedT = TypeVar("_HintedT", bound="AMQPError")


def _rebuild(cls: type[_ExceptionT], args: tuple[Any, ...]) -> _ExceptionT:
    """Return an exception without calling its constructor, whose arguments aren't the exception's `args`."""
    return cls.__new__(cls, *args)


_rebuild.__module__ = "uamqp.errors"  # where pickles look it up


_ONLY_NEW = (
    "Only new messages can be gathered. To send on what was received make a new Message of its parts, such as "
    "get_data() and application_properties."
)


class _Portable:
    """Makes exceptions picklable whose constructor takes something other than their text. A mixin.

    `hint` says what to do instead, if the library knows that; it follows what the peer said at the end of the text.
    """

    hint: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), getattr(self, "args", ())), dict(self.__dict__)


def condition_of(condition: object) -> Condition:
    """Return a condition in 1.6's form: an `ErrorCodes` member if known, otherwise `bytes`. None is `UnknownError`."""
    if condition is None:
        return ErrorCodes.UnknownError
    if isinstance(condition, ErrorCodes):
        return condition
    if isinstance(condition, str):
        condition = condition.encode("utf-8")
    if not isinstance(condition, bytes):
        raise TypeError(f"An error condition must be ErrorCodes, bytes or str, not {type(condition).__name__}.")
    try:
        return ErrorCodes(condition)
    except ValueError:
        return condition


def _known(condition: object) -> Condition:
    """Return a condition as the constructors take it: bytes stay as they are, even if `ErrorCodes` knows them."""
    return condition if isinstance(condition, bytes) else condition_of(condition)


def _text(condition: Condition, description: str | bytes | None, encoding: str) -> str:
    """Return an exception's text, no longer than a log line; its attributes have everything the peer has sent."""
    text = str(condition) if isinstance(condition, ErrorCodes) else condition.decode(encoding, "replace")
    text = shortened(text, 100)
    if description:
        if isinstance(description, bytes):
            description = description.decode(encoding, "replace")
        text += f": {shortened(description)}"
    return text


def as_bytes(value: Any) -> Any:
    """Return a decoded value in 1.6's form: text and symbols as bytes, at every depth."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, codec.Described):
        return as_bytes(value.value)
    if isinstance(value, Mapping):
        return {as_bytes(key): as_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_bytes(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value


def hinted(error: _HintedT, hint: str) -> _HintedT:
    """Return the exception, with a hint after its text."""
    if hint:
        error.hint = hint
        error.args = (f"{error}. {hint}",)
    return error


class ErrorAction:
    """What to do about an error: try again (after `backoff` seconds) or give up.

    `increment_retries` tells whether this try counts towards `ErrorPolicy.max_retries`.
    """

    __module__ = "uamqp.errors"

    retry: bool = True
    fail: ClassVar[bool] = False

    def __init__(self, retry: bool, backoff: float = 0, increment_retries: bool = True) -> None:
        self.retry = bool(retry)
        self.backoff = number(backoff or 0, "backoff", "seconds")
        self.increment_retries = increment_retries


class ErrorPolicy:
    """Decides what happens after an error. Override the `on_*` methods for your own rules.

    Only failures to send a message are acted on; for links and connections the action is just attached to the
    exception.

    Args:
        max_retries: how often a message is sent again.
        on_error: called with the exception for conditions that `ErrorCodes` doesn't know; returns an `ErrorAction`.
    """

    __module__ = "uamqp.errors"

    no_retry: tuple[ErrorCodes, ...] = tuple(code for code in ErrorCodes if code.value in NOT_WORTH_RETRYING)

    def __init__(self, max_retries: int = 3, on_error: Callable[[Any], Any] | None = None) -> None:
        self.max_retries = max_retries
        given: Any = max_retries
        if given is not False and not (isinstance(given, (int, float)) and given < 0):  # both mean none, as in 1.6
            number(given, "max_retries", "tries")
        self._on_error = plain(on_error, "on_error")

    def on_unrecognized_error(self, error: Any) -> ErrorAction:
        """Return the action for a condition that isn't in `ErrorCodes`: `on_error`'s, or else to try again."""
        if self._on_error is not None:
            action: ErrorAction = self._on_error(error)
            refuse_unfinished(action, "on_error")
            return action
        return ErrorAction(retry=True)

    def on_message_error(self, error: Any) -> ErrorAction:
        """Return the action for a message that wasn't accepted."""
        return self._default(error)

    def on_link_error(self, error: Any) -> ErrorAction:
        """Return the action for a link that the peer detached."""
        return self._default(error)

    def on_connection_error(self, error: Any) -> ErrorAction:
        """Return the action for a connection that the peer closed."""
        return self._default(error)

    def _default(self, error: Any) -> ErrorAction:
        return ErrorAction(retry=error.condition not in self.no_retry)


def policy_of(policy: ErrorPolicy | None) -> ErrorPolicy:
    """Return an error policy of any class; anything false stands for the default.

    Raises:
        TypeError: it isn't a policy, or its methods are coroutine functions, which nobody awaits.
    """
    if not policy:
        return ErrorPolicy()
    methods = ("on_unrecognized_error", "on_message_error", "on_link_error", "on_connection_error")
    having(policy, "error_policy", "an ErrorPolicy", *methods, "max_retries")
    for method in methods:
        plain(getattr(policy, method), f"error_policy.{method}")
    return policy


class ErrorResponse:
    """An error of the peer's, in whatever form it came.

    The attributes `condition`, `description` and `info` have text as bytes; an outcome without an error (a modified
    one) leaves them None.

    Args:
        error_info: an error (a codec `Error`, or anything with `condition`, `description` and `info`), or the content
            of a decoded outcome, ``[[condition, description, info]]``.
        condition: used without `error_info`.
        description: used without `error_info`.
    """

    __module__ = "uamqp.errors"

    def __init__(
        self,
        error_info: Any = None,
        condition: Any = None,
        description: Any = None,
        info: Any = None,
    ) -> None:
        self.condition = condition
        self.description = description
        self.info: Any = None
        self.error = error_info
        if isinstance(error_info, (list, tuple)):
            fields = error_info[0] if error_info else None
            if isinstance(fields, (list, tuple)) and fields:
                padded = [*fields, None, None]
                self.condition, self.description, self.info = padded[:3]
        elif hasattr(error_info, "condition"):
            self.condition = as_bytes(error_info.condition)
            self.description = as_bytes(getattr(error_info, "description", None))
            self.info = as_bytes(getattr(error_info, "info", None))


class AMQPError(_Portable, Exception):
    """Base of the errors that have to do with AMQP. Passwords of URLs in their texts are masked.

    Attributes:
        message_fates: if `send_message` raised it, the `Fate` of each message without an outcome, which is the caller's
            again; by message, as it was given and as it is sent if that differs (`BatchMessage`). Otherwise empty.
    """

    __module__ = "uamqp.errors"

    message_fates: Mapping[Message, Fate] = MappingProxyType({})

    def __init__(self, *args: Any) -> None:
        super().__init__(*[masked_within(part) if isinstance(part, str) else part for part in args])


def _with_fates(error: BaseException, fates: dict[Message, Fate]) -> BaseException:
    """Return a copy of an error, with the fates of messages and the error's traceback; the error becomes its cause.

    The error itself may be kept to be raised again, so it is left without a traceback.
    """
    duplicate = copy.copy(error)
    duplicate.message_fates = fates  # type: ignore[attr-defined]  # a TimeoutError isn't one of ours
    duplicate.__cause__ = error
    duplicate.__traceback__ = error.__traceback__
    error.__traceback__ = None
    return duplicate


class AMQPConnectionError(AMQPError):
    """Something is wrong with a connection, a session or a link."""

    __module__ = "uamqp.errors"


class MessageHandlerError(AMQPConnectionError):
    """A link went into an error state without the peer giving a reason."""

    __module__ = "uamqp.errors"


class _PeerError(AMQPConnectionError):
    """The peer ended something and gave a condition. `action` is the error policy's answer, once it was asked."""

    def __init__(
        self,
        condition: Condition | str | None,
        description: str | bytes | None = None,
        info: dict[Any, Any] | None = None,
        encoding: str = "UTF-8",
    ) -> None:
        self._encoding = encoding
        self.condition: Condition = _known(condition)
        self.description = description
        self.info = info
        self.action: ErrorAction | None = None
        super().__init__(_text(self.condition, description, encoding))


class ConnectionClose(_PeerError):
    """The peer closed the connection (section 2.4.3)."""

    __module__ = "uamqp.errors"


class ConnectionRedirect(ConnectionClose):
    """The peer says that the connection belongs elsewhere: amqp:connection:redirect (section 2.8.16).

    `hostname` (for the open), `network_host` and `port` (where to connect to) are taken from the error's info map, text
    as bytes; None if missing.
    """

    __module__ = "uamqp.errors"

    def __init__(
        self,
        condition: Condition | str | None,
        description: str | bytes | None = None,
        info: dict[Any, Any] | None = None,
        encoding: str = "UTF-8",
    ) -> None:
        fields = info if isinstance(info, dict) else {}
        self.hostname = fields.get(b"hostname")
        self.network_host = fields.get(b"network-host")
        self.port = fields.get(b"port")
        super().__init__(condition, description, info, encoding)


class VendorConnectionClose(ConnectionClose):
    """The peer closed the connection with a condition of its own."""

    __module__ = "uamqp.errors"


class LinkDetach(_PeerError):
    """The peer detached the link (section 2.6.4)."""

    __module__ = "uamqp.errors"


class VendorLinkDetach(LinkDetach):
    """The peer detached the link with a condition of its own."""

    __module__ = "uamqp.errors"


class LinkRedirect(LinkDetach):
    """The peer says that the node is elsewhere: amqp:link:redirect (section 2.8.18).

    `hostname`, `network_host`, `port`, `address`, `scheme` and `path` are taken from the error's info map, text as
    bytes; None if missing.
    """

    __module__ = "uamqp.errors"

    def __init__(
        self,
        condition: Condition | str | None,
        description: str | bytes | None = None,
        info: dict[Any, Any] | None = None,
        encoding: str = "UTF-8",
    ) -> None:
        fields = info if isinstance(info, dict) else {}
        self.hostname = fields.get(b"hostname")
        self.network_host = fields.get(b"network-host")
        self.port = fields.get(b"port")
        self.address = fields.get(b"address")
        self.scheme = fields.get(b"scheme")
        self.path = fields.get(b"path")
        super().__init__(condition, description, info, encoding)


class ClientTimeout(AMQPError):
    """Kept for programs that use the name; time-outs raise the built-in `TimeoutError`."""

    __module__ = "uamqp.errors"


class AuthenticationException(AMQPError):
    """Authentication failed."""

    __module__ = "uamqp.errors"


class TokenExpired(AuthenticationException):
    """The token has expired."""

    __module__ = "uamqp.errors"


class TokenAuthFailure(AuthenticationException):
    """The token was refused. `status_code` and `description` are the peer's."""

    __module__ = "uamqp.errors"

    def __init__(self, status_code: int, description: str | bytes | None, encoding: str = "UTF-8") -> None:
        self._encoding = encoding
        self.status_code = status_code
        self.description = description
        text = f"CBS Token authentication failed.\nStatus code: {status_code}"
        if description:
            if isinstance(description, bytes):
                description = description.decode(encoding, "replace")
            text += f"\nDescription: {shortened(description)}"
        super().__init__(text)


class MessageResponse(AMQPError):
    """Base of what can happen to a message; a settler gets one of its four settling subclasses."""

    __module__ = "uamqp.errors"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or f"Sending {type(self).__name__} disposition.")

    def _outcome(self) -> Outcome | None:
        """Return the delivery state to send, if any."""
        return None


class MessageException(MessageResponse):
    """A message wasn't accepted, for the reason that the peer gave in `condition`, `description` and `info`."""

    __module__ = "uamqp.errors"

    def __init__(
        self,
        condition: Condition | str | None,
        description: str | bytes | None = None,
        info: Any = None,
        encoding: str = "UTF-8",
    ) -> None:
        self._encoding = encoding
        self.condition: Condition = _known(condition)
        self.description = description
        self.info = info
        self.action: ErrorAction | None = None
        super().__init__(_text(self.condition, description, encoding))


class MessageSendFailed(MessageException):
    """A message wasn't accepted, for a reason that AMQP defines."""

    __module__ = "uamqp.errors"


class ClientMessageError(MessageException):
    """What `send_message` raises if a message was refused, timed out or couldn't be sent, or the client was closed.

    Condition and description are those of `exception` if it has them, such as the peer's for a message that it
    rejected; otherwise `ErrorCodes.ClientError` and its text. Raised by `send_message`, `info` has `failed_messages`,
    each failed message with its own error, `number_failed` and `total_messages`; it is None if the client was closed.
    """

    __module__ = "uamqp.errors"

    def __init__(self, exception: Any, info: Any = None) -> None:
        condition = getattr(exception, "condition", None)
        if condition is None:
            super().__init__(ErrorCodes.ClientError, description=str(exception), info=info)
        else:
            super().__init__(condition, description=getattr(exception, "description", None), info=info)
            hinted(self, getattr(exception, "hint", ""))


class MessageAlreadySettled(MessageResponse):
    """The message is already settled, and can't be settled again."""

    __module__ = "uamqp.errors"

    def __init__(self) -> None:
        super().__init__("Invalid operation: this message is already settled.")


class MessageAccepted(MessageResponse):
    """The message was processed (section 3.4.2)."""

    __module__ = "uamqp.errors"

    def _outcome(self) -> Outcome:
        return codec.ACCEPTED


class MessageRejected(MessageResponse):
    """The message is invalid and can't be processed (section 3.4.3).

    `condition` (default amqp:internal-error), `description` and `info` (a dict) say why.

    Raises:
        TypeError: `info` isn't a dict.
    """

    __module__ = "uamqp.errors"

    def __init__(
        self,
        condition: Condition | str | None = None,
        description: str | bytes | None = None,
        encoding: str = "UTF-8",
        info: dict[Any, Any] | None = None,
    ) -> None:
        if info and not isinstance(info, dict):
            raise TypeError("Disposition error info must be a dictionary.")
        self._encoding = encoding = encoding_of(encoding)
        self._info = info
        self.error_condition: bytes | ErrorCodes = b"amqp:internal-error"
        if condition:
            self.error_condition = (
                condition if isinstance(condition, ErrorCodes) else encoded(condition, "A condition", encoding)
            )
        self.error_description = encoded(description or b"", "description", encoding)
        self.error_info: AMQPValue | None = convert.wrapped(info, "info", encoding) if info else None
        super().__init__()

    def _outcome(self) -> Outcome:
        condition = self.error_condition
        # The str() of an ErrorCodes member would be its name.
        text = condition.value if isinstance(condition, ErrorCodes) else condition.decode(self._encoding, "replace")
        return codec.Rejected(
            error=codec.Error(
                condition=codec.Symbol(text),
                description=self.error_description.decode(self._encoding, "replace"),
                info=convert.fields(self._info, self._encoding) if self._info else None,
            )
        )


class MessageReleased(MessageResponse):
    """The message wasn't and won't be processed here (section 3.4.4)."""

    __module__ = "uamqp.errors"

    def _outcome(self) -> Outcome:
        return codec.RELEASED


class MessageModified(MessageResponse):
    """The message goes back, modified (section 3.4.5).

    Args:
        failed: whether this counts as an unsuccessful delivery attempt.
        undeliverable: whether it must not be delivered to this link again.
        annotations: a dict to be merged into the message's annotations.
        encoding: of the text in it.

    Raises:
        TypeError: `annotations` isn't a dict.
    """

    __module__ = "uamqp.errors"

    def __init__(
        self,
        failed: bool,
        undeliverable: bool,
        annotations: dict[Any, Any] | None = None,
        encoding: str = "UTF-8",
    ) -> None:
        if annotations and not isinstance(annotations, dict):
            raise TypeError("Disposition annotations must be a dictionary.")
        self.failed = failed
        self.undeliverable = undeliverable
        self._encoding = encoding = encoding_of(encoding)
        self._annotations = annotations
        self.annotations: AMQPValue | None = (
            convert.wrapped(annotations, "annotations", encoding) if annotations else None
        )
        super().__init__()

    def _outcome(self) -> Outcome:
        return codec.Modified(
            delivery_failed=bool(self.failed),
            undeliverable_here=bool(self.undeliverable),
            message_annotations=convert.fields(self._annotations, self._encoding) if self._annotations else None,
        )


class NotAMessage(TypeError, AttributeError):
    """Something to be sent isn't a message. In 1.6 that was an `AttributeError`."""

    __module__ = "uamqp.errors"


class MessageContentTooLarge(_Portable, ValueError):
    """The content of a batch doesn't fit into one message."""

    __module__ = "uamqp.errors"

    def __init__(self) -> None:
        super().__init__("Data set too large for a single message.")


class AMQPClientShutdown(_Portable, KeyboardInterrupt):
    """A keyboard interrupt occurred while the client was at work."""

    __module__ = "uamqp.errors"

    def __init__(self) -> None:
        super().__init__("Client shutdown with keyboard interrupt.")
