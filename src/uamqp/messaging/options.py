"""Options: time-outs, the options of `open_sender` and `open_receiver`, and the states that users see."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, TypedDict, get_args

from ..codec import Long, Symbol, ULong
from ..engine.limits import MAX_CREDIT
from . import checks, encoding
from .errors import ConfigurationError
from .fields import Body, MessageId
from .filters import Filter
from .termini import DURABLE, Expiry, Node, Source, Target, source_of, source_with, target_with

__all__ = [
    "DEFAULT",
    "ConnectionState",
    "Default",
    "LinkState",
    "MessageFields",
    "ReceiverOptions",
    "SenderOptions",
    "Timeouts",
]

Presettled: TypeAlias = bool | Literal["mixed"]
Credit: TypeAlias = Literal["auto", "manual"]
Settle: TypeAlias = Literal["manual", "on_next", "on_receive"]

PRIORITY = Symbol("rabbitmq:priority")
"""The property of a receiver's attach by which RabbitMQ orders a queue's consumers; an AMQP int."""

_MIN_INT, _MAX_INT = -(2**31), 2**31 - 1


class Default(enum.Enum):
    """The type of `DEFAULT`, its only member."""

    DEFAULT = "DEFAULT"

    def __repr__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


DEFAULT: Final = Default.DEFAULT
"""A time-out that takes the value of the connection's `Timeouts`. None, on the other hand, means no limit."""


class _State(str, enum.Enum):
    """A state that compares equal to its name, and prints as it."""

    def __str__(self) -> str:
        return str(self.value)


class ConnectionState(_State):
    """The stages of a connection's life."""

    NEW = "new"
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    """Closed because the program asked for it."""
    FAILED = "failed"
    """It couldn't be opened, or was lost for good."""


class LinkState(_State):
    """The stages of a sender's or receiver's life."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    """Closed because the program asked for it."""
    FAILED = "failed"
    """It was refused, or lost for good."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long operations of a connection may take, in seconds, where a call doesn't say it with `timeout=`.

    Attributes:
        connect: for each host: finding its address, the TCP connection, TLS and WebSocket.
        open: for each host: from there on until the connection is open, logging in included.
        link: until a sender, receiver or session is open.
        send: from a message's `send` or `submit` to its outcome; None for no limit.
        request: from a request to its answer; None for no limit.
        close: until all of it is closed. 0 waits for nothing.

    Raises:
        TypeError: a value isn't a number.
        ConfigurationError: a value isn't more than 0, or is out of range.
    """

    connect: float = 10.0
    open: float = 30.0
    link: float = 30.0
    send: float | None = 60.0
    request: float | None = 60.0
    close: float = 5.0

    def __post_init__(self) -> None:
        for name in ("connect", "open", "link"):
            checks.seconds(name, getattr(self, name), positive=True)
        for name in ("send", "request"):
            checks.optional_seconds(name, getattr(self, name), positive=True)
        checks.seconds("close", self.close)


class MessageFields(TypedDict, total=False):
    """The arguments of `Message`, except for its body."""

    message_id: MessageId | None
    user_id: bytes | None
    to: str | None
    subject: str | None
    reply_to: str | None
    correlation_id: MessageId | None
    content_type: str | None
    content_encoding: str | None
    expiry_time: datetime | None
    creation_time: datetime | None
    group_id: str | None
    group_sequence: int | None
    reply_to_group_id: str | None
    durable: bool | None
    priority: int | None
    ttl: timedelta | float | None
    application_properties: Mapping[str, Any] | None
    annotations: Mapping[str, Any] | None
    delivery_annotations: Mapping[str, Any] | None
    footer: Mapping[str, Any] | None
    format: int


class MessageChanges(MessageFields, total=False):
    """The arguments of `Message`."""

    body: Body


class SenderOptions(TypedDict, total=False):
    """The options of `open_sender`.

    Attributes:
        name: of the link; among the links of this container to the peer, no other sender may have it. One is made up by
            default.
        presettled: True to send without asking for outcomes: a delivery is done when it is on its way, and may be lost.
            "mixed" to decide for each message (`submit(..., presettled=True)`). Default: False.
        durable: whether messages that don't say so themselves are durable, so that a broker stores them. Default: True.
        max_pending: messages that wait or are in flight at most; a `submit` beyond waits. Default: 10,000.
        max_pending_bytes: likewise, the encoded messages' bytes. Default: 64 MiB.
        send_timeout: seconds from a message's `submit` to its outcome; None for no limit. Default: that of `Timeouts`.
        capabilities: what the target must be able to do, as brokers define it.
        desired_capabilities: what the link is to be able to do, if the peer knows it (section 2.7.3).
        properties: of the link's attach.
        dynamic: whether the peer shall make a node, whose name is then the sender's `address`. Default: False.
        expiry: when the target that nobody uses starts to expire. Default: "session-end".
    """

    name: str
    presettled: Presettled
    durable: bool
    max_pending: int
    max_pending_bytes: int
    send_timeout: float | Default | None
    capabilities: Sequence[str]
    desired_capabilities: Sequence[str]
    properties: Mapping[str, Any]
    dynamic: bool
    expiry: Expiry


class ReceiverOptions(TypedDict, total=False):
    """The options of `open_receiver`.

    Attributes:
        name: of the link; among the links of this container to the peer, no other receiver may have it. One is made up
            by default.
        prefetch: how many messages the peer may send ahead of what the program has taken. 0 asks for messages only
            while the program waits for one. Default: 100.
        credit: "manual" to ask for messages with `add_credit` alone. Default: "auto".
        settle: when messages are accepted: "manual" when the program says so, "on_next" when it asks for the next one,
            "on_receive" as they are handed out. Default: "manual".
        presettled: True to have the peer forget messages as it sends them: they may be lost. Default: False.
        confirm: whether to have the peer confirm each settlement (rcv-settle-mode second, section 2.8.3), for which
            `await message.accept()` then waits. Default: False.
        max_unsettled: messages in the program's hands that aren't settled, at most: beyond, none is handed out. None
            for no limit, the default.
        filters: which of the node's messages are wanted.
        filters_required: whether to fail where the peer doesn't apply a filter, instead of a warning. Default: True.
        browse: whether to get copies of messages that stay where they are. Default: False.
        dynamic: whether the peer shall make a node, whose name is then the receiver's `address`. Default: False.
        subscription: the name of a durable subscription. It is found again by the connection's `container_id` and this
            name, collects messages while nobody receives, and stays until `unsubscribe`. It stands for `durable=True`,
            `expiry="never"` and the link's name.
        durable: whether the source outlives this receiver, until `unsubscribe`. It needs a `name`, by which it is found
            again. Default: False.
        expiry: when the source that nobody uses starts to expire. Default: "session-end", or "never" with `durable`.
        expiry_timeout: how long it is kept then, in whole seconds. Default: 0.
        max_message_size: the largest message to take, in bytes; None for no limit, the default.
        capabilities: what the source must be able to do, as brokers define it.
        desired_capabilities: what the link is to be able to do, if the peer knows it (section 2.7.3).
        properties: of the link's attach.
        priority: of this consumer among those of its queue, higher first; for RabbitMQ. Default: none, which counts as
            0 there.
        on_flow_properties: called with the properties of the peer's flows for this link, such as `rabbitmq:active`.
    """

    name: str
    prefetch: int
    credit: Credit
    settle: Settle
    presettled: bool
    confirm: bool
    max_unsettled: int | None
    filters: Sequence[Filter | Sequence[Filter]]
    filters_required: bool
    browse: bool
    dynamic: bool
    subscription: str
    durable: bool
    expiry: Expiry
    expiry_timeout: float
    max_message_size: int | None
    capabilities: Sequence[str]
    desired_capabilities: Sequence[str]
    properties: Mapping[str, Any]
    priority: int
    on_flow_properties: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """A sender's options, checked and complete.

    Attributes:
        target: where messages go.
        name, presettled, durable, max_pending, max_pending_bytes, send_timeout: see `SenderOptions`. A name of None
            stands for one to be made up.
        desired_capabilities, properties: see `SenderOptions`; as they go on the wire.
    """

    target: Target
    name: str | None = None
    presettled: Presettled = False
    durable: bool = True
    max_pending: int = 10_000
    max_pending_bytes: int = 64 * 2**20
    send_timeout: float | Default | None = DEFAULT
    desired_capabilities: tuple[Symbol, ...] = ()
    properties: Mapping[Symbol, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_presettled(self.presettled)
        checks.flag("durable", self.durable)
        checks.integer("max_pending", self.max_pending, 1, MAX_CREDIT)
        checks.integer("max_pending_bytes", self.max_pending_bytes, 1, Long.MAX)
        if self.send_timeout is not DEFAULT:
            checks.optional_seconds("send_timeout", self.send_timeout, positive=True)
        _set_link_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """A receiver's options, checked and complete.

    Attributes:
        source: where messages come from.
        name, prefetch, credit, settle, presettled, confirm, max_unsettled, filters_required, max_message_size,
            on_flow_properties: see `ReceiverOptions`. A name of None stands for one to be made up; `prefetch` has no
            meaning with manual credit.
        desired_capabilities, properties: see `ReceiverOptions`; as they go on the wire.
    """

    source: Source
    name: str | None = None
    prefetch: int = 100
    credit: Credit = "auto"
    settle: Settle = "manual"
    presettled: bool = False
    confirm: bool = False
    max_unsettled: int | None = None
    filters_required: bool = True
    max_message_size: int | None = None
    desired_capabilities: tuple[Symbol, ...] = ()
    properties: Mapping[Symbol, Any] = field(default_factory=dict)
    on_flow_properties: Callable[[Mapping[str, Any]], None] | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        checks.integer("prefetch", self.prefetch, 0, MAX_CREDIT)
        for name, choices in (("credit", get_args(Credit)), ("settle", get_args(Settle))):
            checks.choice(name, checks.text(name, getattr(self, name)), choices)
        for name in ("presettled", "confirm", "filters_required"):
            checks.flag(name, getattr(self, name))
        if self.max_unsettled is not None:
            checks.integer("max_unsettled", self.max_unsettled, 1, MAX_CREDIT)
        if self.max_message_size is not None:
            checks.integer("max_message_size", self.max_message_size, 1, ULong.MAX)
        if self.on_flow_properties is not None and not callable(self.on_flow_properties):
            raise checks.wrong_type("on_flow_properties", self.on_flow_properties, "a function")
        _set_link_fields(self)
        _check_settlement(self)
        _check_source(self)

    @property
    def outlives_the_link(self) -> bool:
        """Whether the source stays when the receiver closes, so that its detach mustn't close the link."""
        return self.source.durable > 0


def sender_settings(
    target: str | Target | Node | None, options: Mapping[str, Any], function: str = "open_sender"
) -> SenderSettings:
    """Return the settings of a sender.

    Args:
        target: see `Connection.open_sender`.
        options: those that were given; see `SenderOptions`.
        function: the name of what they were given to, for errors.

    Raises:
        TypeError: there is no such option, or a value has the wrong type.
        ConfigurationError: a value is out of range, or two exclude each other.
    """
    rest = _known(function, options, SenderOptions.__annotations__)
    terminus = _taken(rest, ("capabilities", "dynamic", "expiry"))
    return SenderSettings(target=target_with(target, terminus), **rest)


def receiver_settings(
    source: str | Source | Node | None, options: Mapping[str, Any], function: str = "open_receiver"
) -> ReceiverSettings:
    """Return the settings of a receiver.

    Args:
        source: see `Connection.open_receiver`.
        options: those that were given; see `ReceiverOptions`.
        function: the name of what they were given to, for errors.

    Raises:
        TypeError: there is no such option, or a value has the wrong type.
        ConfigurationError: a value is out of range, or two exclude each other.
    """
    rest = _known(function, options, ReceiverOptions.__annotations__)
    if rest.get("credit") == "manual" and "prefetch" in rest:
        raise ConfigurationError(
            f"prefetch={checks.shown(rest['prefetch'])} has no meaning with credit='manual', where add_credit() alone "
            "asks for messages: leave one of them out"
        )
    names = ("capabilities", "filters", "browse", "dynamic", "durable", "expiry", "expiry_timeout")
    terminus = _taken(rest, names)
    if terminus.get("durable") is True and (terminus.get("dynamic") or source_of(source).dynamic):
        raise ConfigurationError(
            "durable=True and dynamic=True exclude each other: the node that the peer makes is another one each time"
        )
    subscription = rest.pop("subscription", None)
    if subscription is not None:
        _subscribed(source, subscription, terminus, rest)
    _add_priority(rest)
    return ReceiverSettings(source=source_with(source, terminus), **rest)


def _known(function: str, options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a copy of the options, which all must have one of the names: otherwise the error is Python's own."""
    for name in options:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f". Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
    return dict(options)


def _taken(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return what the options have of some names, and take it out."""
    return {name: options.pop(name) for name in names if name in options}


def _subscribed(
    source: str | Source | Node | None, subscription: Any, terminus: dict[str, Any], rest: dict[str, Any]
) -> None:
    """Put what a subscription stands for into the options, unless they or the source say something else."""
    name = encoding.string("subscription", subscription)
    given, plain = source_of(source), Source()
    if rest.get("name") is not None:
        raise _excluded(name, f"name={checks.shown(rest['name'])}", "its name is the link's")
    if terminus.get("dynamic") or given.dynamic:
        raise _excluded(name, "dynamic=True", "the node that the peer makes is another one each time")
    if terminus.get("durable") is False or given.durable not in (plain.durable, DURABLE):
        durable = terminus.get("durable", given.durable)
        raise _excluded(name, f"durable={checks.shown(durable)}", "it outlives crashes of the peer")
    expiry = terminus.get("expiry", "never" if given.expiry == plain.expiry else given.expiry)
    if expiry != "never":
        raise _excluded(name, f"expiry={checks.shown(expiry)}", "it stays until `unsubscribe`")
    rest["name"] = name
    if given.durable == plain.durable:
        terminus["durable"] = True
    if given.expiry == plain.expiry:
        terminus["expiry"] = "never"


def _excluded(subscription: str, what: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"subscription={checks.shown(subscription)} and {what} exclude each other: {why}")


def _add_priority(options: dict[str, Any]) -> None:
    """Make a property of a consumer's priority."""
    priority = options.pop("priority", None)
    if priority is None:
        return
    checks.integer("priority", priority, _MIN_INT, _MAX_INT)
    properties = checks.mapping("properties", options.get("properties", {}))
    if PRIORITY in properties:
        raise ConfigurationError(
            f"priority={priority} and properties={{{str(PRIORITY)!r}: {checks.shown(properties[PRIORITY])}}} say the "
            "same thing: leave one of them out"
        )
    options["properties"] = {**properties, PRIORITY: int(priority)}


def _check_name(name: str | None) -> None:
    if name is not None:
        encoding.string("name", name)


def _check_presettled(value: Presettled) -> None:
    wanted = "True, False or 'mixed'"
    if isinstance(value, str):
        if value != "mixed":
            raise ConfigurationError(f"presettled must be {wanted}, not {checks.shown(value)}")
    elif not isinstance(value, bool):
        raise checks.wrong_type("presettled", value, wanted)


def _set_link_fields(settings: SenderSettings | ReceiverSettings) -> None:
    """Bring the fields of the attach into the form in which they go on the wire."""
    capabilities = encoding.symbols("desired_capabilities", settings.desired_capabilities)
    object.__setattr__(settings, "desired_capabilities", capabilities)
    object.__setattr__(settings, "properties", encoding.symbol_map("properties", settings.properties))


def _check_settlement(settings: ReceiverSettings) -> None:
    """Check what is said of settling: with presettled messages there is nothing to settle."""
    given = {
        "confirm=True": settings.confirm,
        f"settle={settings.settle!r}": settings.settle != "manual",
        f"max_unsettled={settings.max_unsettled}": settings.max_unsettled is not None,
    }
    for option, is_given in given.items():
        if is_given and settings.presettled:
            raise ConfigurationError(
                f"{option} has no meaning with presettled=True, with which messages are settled when they arrive: "
                "leave one of them out"
            )
    if settings.settle == "on_receive" and settings.max_unsettled is not None:
        raise ConfigurationError(
            f"max_unsettled={settings.max_unsettled} has no meaning with settle='on_receive', with which a message is "
            "settled as it is handed out: leave one of them out"
        )


def _check_source(settings: ReceiverSettings) -> None:
    """Check that there is something to receive from, and that what outlives the receiver can be found again."""
    source = settings.source
    if source.address is None and not source.dynamic:
        raise ConfigurationError(
            "a receiver needs the address of a node, or dynamic=True for a node that the peer makes"
        )
    if source.durable and settings.name is None:
        raise ConfigurationError(
            "a durable source needs a name= of the link, or subscription=, by which it is found again: without, the "
            "peer would keep it for nobody"
        )
