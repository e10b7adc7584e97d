"""Sources and targets: the nodes at the peer's end of a link, and what is asked of them (section 3.5 of AMQP 1.0).

An address is the name of a node as its broker writes it, `orders`, `/queues/orders` or `topic://news`, and goes out as
it stands; a URL that names a host belongs to `connect`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from .. import codec
from ..codec import Described, StdDistMode, Symbol, UInt
from ..core import masked
from ..core.address import is_url
from . import checks, encoding
from .errors import ConfigurationError
from .filters import Filter, filter_set, flattened

__all__ = ["Expiry", "Node", "RemoteTerminus", "Source", "Target"]

Expiry: TypeAlias = Literal["link-detach", "session-end", "connection-close", "never"]
"""When a terminus that nobody uses any more starts to expire (section 3.5.6)."""

EXPIRIES: tuple[Expiry, ...] = get_args(Expiry)

DURABLE = 2
"""The peer stores the terminus, and the state of its deliveries (section 3.5.5)."""


_WEBSOCKETS = ("amqpws://", "amqpwss://")

_TerminusT = TypeVar("_TerminusT", "Source", "Target")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a receiver's messages come from (section 3.5.3).

    Attributes:
        address: the node's name; None with `dynamic`, and where an option of `open_receiver` says the rest.
        capabilities: what the node must be able to do, as brokers define it: `("topic",)` for a topic of ActiveMQ and
            Artemis.
        filters: which of the node's messages are wanted. A sequence of filters within it counts as its filters.
        durable: what the peer stores for the time after a crash: 0 nothing, 1 that the source exists, 2 what is
            unsettled as well (section 3.5.5).
        expiry: from when on the peer counts `timeout`: after the link's detach, the session's end or the connection's
            close; or "never", so that the source stays (section 3.5.6).
        timeout: how long the peer keeps the source then, in whole seconds.
        dynamic: whether the peer shall make a node, and name it.
        browse: whether to get copies of messages that stay where they are (distribution mode "copy", section 3.5.7).
        node_properties: what the node that the peer makes is to be like (section 3.5.9); with `dynamic` only.

    Raises:
        TypeError: a value has the wrong type.
        ConfigurationError: a value is out of range, or two exclude each other.
    """

    address: str | None = None
    capabilities: Sequence[str] = ()
    filters: Sequence[Filter] = ()
    durable: int = 0
    expiry: Expiry = "session-end"
    timeout: float = 0
    dynamic: bool = False
    browse: bool = False
    node_properties: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", flattened("filters", self.filters))
        checks.flag("browse", self.browse)
        _check(self)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sender's messages go to (section 3.5.4).

    Attributes:
        address: the node's name. None with `dynamic`; otherwise the anonymous relay, to which each message says where
            it goes (AMQP Anonymous Terminus 1.0).
        capabilities: what the node must be able to do, as brokers define it: `("topic",)` for a topic of ActiveMQ and
            Artemis.
        durable: what the peer stores for the time after a crash: 0 nothing, 1 that the target exists, 2 what is
            unsettled as well (section 3.5.5). It says nothing of messages.
        expiry: from when on the peer counts `timeout`: after the link's detach, the session's end or the connection's
            close; or "never", so that the target stays (section 3.5.6).
        timeout: how long the peer keeps the target then, in whole seconds.
        dynamic: whether the peer shall make a node, and name it.
        node_properties: what the node that the peer makes is to be like (section 3.5.9); with `dynamic` only.

    Raises:
        TypeError: a value has the wrong type.
        ConfigurationError: a value is out of range, or two exclude each other.
    """

    address: str | None = None
    capabilities: Sequence[str] = ()
    durable: int = 0
    expiry: Expiry = "session-end"
    timeout: float = 0
    dynamic: bool = False
    node_properties: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Node:
    """A node to send to as well as to receive from: `open_sender` and `open_receiver` take it alike.

    Attributes:
        address: the node's name.
        capabilities: what the node must be able to do, as brokers define it: `("topic",)` for a topic of ActiveMQ and
            Artemis.

    Raises:
        TypeError: a value has the wrong type.
        ConfigurationError: a value can't be used.
    """

    address: str
    capabilities: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", node_address("address", self.address))
        object.__setattr__(self, "capabilities", _names("capabilities", self.capabilities))


@dataclass(frozen=True, slots=True)
class RemoteTerminus:
    """A source or target as the peer described it in its answer to an attach.

    Attributes:
        address: the node's name, for a dynamic node as well; None if the peer gave none.
        capabilities: what the peer says that the node can do.
        filters: what the peer applies: by a filter's name its value, without its descriptor. Empty for a target.
        durable: see `Source`.
        expiry: see `Source`; possibly a name that isn't in `Expiry`.
        timeout: in seconds.
        dynamic: whether the peer made the node for this link.
        browse: whether the peer sends copies. False for a target.
        node_properties: what the node that the peer made is like.
        modifies: whether a source knows the outcome modified. True for a target.
    """

    address: str | None = None
    capabilities: tuple[str, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    durable: int = 0
    expiry: str = "session-end"
    timeout: int = 0
    dynamic: bool = False
    browse: bool = False
    node_properties: Mapping[str, Any] = field(default_factory=dict, hash=False)
    modifies: bool = True


def node_address(name: str, value: Any) -> str:
    """Return an address: text as it stands, except for a URL that names a host.

    Raises:
        TypeError: it isn't a str.
        ConfigurationError: it is empty, such a URL, or has no encoding.
    """
    # A password may be in what is meant as a URL: neither error may show it.
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if is_url(value) or value.lower().startswith(_WEBSOCKETS):
        raise ConfigurationError(
            f"{name} must be the node's name alone, as 'orders': the host, the user and the password belong to the URL "
            f"that is connected to, not {checks.shown(masked(value))}"
        )
    return encoding.string(name, value)


def whole_seconds(name: str, value: Any) -> float:
    """Return a number of seconds that has no fraction, as AMQP's type `seconds` (section 2.8.11)."""
    seconds = checks.seconds(name, value)
    if seconds != int(seconds) or seconds > UInt.MAX:
        raise ConfigurationError(
            f"{name} must be a whole number of seconds, {UInt.MAX} at most, not {checks.shown(value)}"
        )
    return seconds


def expiry(name: str, value: Any) -> Expiry:
    """Return one of the values of `Expiry`."""
    checks.text(name, value)
    return checks.choice(name, value, EXPIRIES)


def source_of(source: str | Source | Node | None) -> Source:
    """Return what was given as a source as one: an address, a `Node`, or None for one without an address.

    Raises:
        TypeError: it is something else.
        ConfigurationError: the address can't be used.
    """
    return _terminus_of("source", source, Source)


def target_of(target: str | Target | Node | None) -> Target:
    """Return what was given as a target as one: an address, a `Node`, or None for the anonymous relay.

    Raises:
        TypeError: it is something else.
        ConfigurationError: the address can't be used.
    """
    return _terminus_of("target", target, Target)


def source_with(source: str | Source | Node | None, options: Mapping[str, Any]) -> Source:
    """Return a source with the options of `open_receiver` that say something of it.

    Args:
        source: see `source_of`.
        options: any of `capabilities`, `filters`, `browse`, `dynamic`, `durable` (True: the source outlives crashes,
            and stays unless `expiry` says otherwise), `expiry`, `expiry_timeout` and `node_properties`.

    Raises:
        TypeError: a value has the wrong type.
        ConfigurationError: a value is out of range; two exclude each other; or the source has a value for an option's
            field already.
    """
    plain = source_of(source)
    changes = dict(options)
    if "durable" in changes:
        changes["durable"] = DURABLE if checks.flag("durable", changes["durable"]) else 0
    _check_not_twice(source, plain, options)
    if changes.get("durable") and plain.expiry == _default(plain, "expiry"):
        changes.setdefault("expiry", "never")
    return _changed(plain, changes)


def target_with(target: str | Target | Node | None, options: Mapping[str, Any]) -> Target:
    """Return a target with the options of `open_sender` that say something of it.

    Args:
        target: see `target_of`.
        options: any of `capabilities`, `dynamic`, `expiry`, `expiry_timeout` and `node_properties`. `durable` isn't
            one: as an option of `open_sender` it is about messages.

    Raises:
        TypeError: a value has the wrong type.
        ConfigurationError: a value is out of range; two exclude each other; or the target has a value for an option's
            field already.
    """
    plain = target_of(target)
    _check_not_twice(target, plain, options)
    return _changed(plain, options)


def source_terminus(source: Source) -> codec.Source:
    """Return a source as it goes on the wire."""
    return codec.Source(
        **_common_fields(source),
        distribution_mode=StdDistMode.COPY if source.browse else None,
        filter=filter_set(source.filters) or None,
    )


def target_terminus(target: Target) -> codec.Target:
    """Return a target as it goes on the wire."""
    return codec.Target(**_common_fields(target))


def remote_terminus(terminus: object) -> RemoteTerminus | None:
    """Return what the peer says of a source or target in an attach.

    Args:
        terminus: the codec's source, target or coordinator, or a terminus of a type that the codec doesn't know, of
            which nothing is said.

    Returns:
        The description; None if the peer gave no terminus: it refuses the link.
    """
    if terminus is None:
        return None
    if isinstance(terminus, codec.Coordinator):
        return RemoteTerminus(capabilities=tuple(map(str, terminus.capabilities)))
    if not isinstance(terminus, (codec.Source, codec.Target)):
        return RemoteTerminus()
    source = terminus if isinstance(terminus, codec.Source) else None
    return RemoteTerminus(
        address=_address_text(terminus.address),
        capabilities=tuple(map(str, terminus.capabilities)),
        filters=_granted(source.filter) if source is not None else {},
        durable=terminus.durable,
        expiry=str(terminus.expiry_policy),
        timeout=terminus.timeout,
        dynamic=terminus.dynamic,
        browse=source is not None and source.distribution_mode == StdDistMode.COPY,
        node_properties={str(key): value for key, value in (terminus.dynamic_node_properties or {}).items()},
        modifies=source is None or _modifies(source),
    )


def _modifies(source: codec.Source) -> bool:
    """Return whether a source knows the outcome modified: it is one of its outcomes, or the default one."""
    outcomes = source.outcomes or ()
    known = not outcomes or codec.Modified.NAME in map(str, outcomes)
    return known or isinstance(source.default_outcome, codec.Modified)


def missing_filters(asked: Iterable[Filter], granted: RemoteTerminus | None) -> tuple[Filter, ...]:
    """Return the filters that a peer doesn't apply: those whose names aren't in its answer (section 3.5.8)."""
    names = granted.filters if granted is not None else {}
    return tuple(item for item in asked if item.name not in names)


_FIELDS = {"expiry_timeout": "timeout"}
"""The options whose fields have other names."""


def _check(terminus: Source | Target) -> None:
    """Check what sources and targets have in common, and bring it into its form."""
    address = terminus.address
    if address is not None:
        object.__setattr__(terminus, "address", node_address("address", address))
    object.__setattr__(terminus, "capabilities", _names("capabilities", terminus.capabilities))
    checks.integer("durable", terminus.durable, 0, DURABLE)
    expiry("expiry", terminus.expiry)
    whole_seconds("timeout", terminus.timeout)
    if checks.flag("dynamic", terminus.dynamic) and address is not None:
        raise ConfigurationError(
            f"dynamic=True leaves the node's name to the peer, so there can't be an address: {checks.shown(address)}"
        )
    if terminus.timeout and terminus.expiry == "never":
        raise ConfigurationError(
            f"a timeout of {checks.shown(terminus.timeout)} s has no meaning with expiry='never': "
            "what never expires is kept without a limit"
        )
    properties = checks.mapping("node_properties", terminus.node_properties)
    encoding.symbol_map("node_properties", properties)
    object.__setattr__(terminus, "node_properties", properties)
    if properties and not terminus.dynamic:
        raise ConfigurationError(
            "node_properties say what a node is like that the peer makes: they need dynamic=True (section 3.5.9)"
        )


def _names(name: str, value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in encoding.symbols(name, value))


def _check_not_twice(given: object, terminus: Source | Target, options: Mapping[str, Any]) -> None:
    """Check that no option sets a field that the terminus has a value for."""
    for option in options:
        field_name = _FIELDS.get(option, option)
        value = getattr(terminus, field_name)
        if value != _default(terminus, field_name):
            raise ConfigurationError(
                f"{option} is given twice: as an option, {checks.shown(options[option])}, and by "
                f"{type(given).__name__}({field_name}={checks.shown(value)}); leave one of them out"
            )


def _changed(terminus: _TerminusT, options: Mapping[str, Any]) -> _TerminusT:
    if "expiry_timeout" in options:
        whole_seconds("expiry_timeout", options["expiry_timeout"])
    return dataclasses.replace(terminus, **{_FIELDS.get(option, option): value for option, value in options.items()})


def _default(terminus: Source | Target, name: str) -> Any:
    return getattr(type(terminus)(), name)


def _terminus_of(name: str, given: object, kind: type[_TerminusT]) -> _TerminusT:
    if isinstance(given, kind):
        return given
    if isinstance(given, Node):
        return kind(given.address, given.capabilities)
    if given is None or isinstance(given, str):
        return kind(None if given is None else node_address(name, given))
    raise _wrong_class(name, given, kind.__name__)


def _wrong_class(name: str, value: object, wanted: str) -> TypeError:
    """Return the error for what is no terminus, without the value: there may be a URL with a password in it."""
    kind = type(value)
    if kind.__name__ in ("Source", "Target"):  # other modules have classes with these names
        return TypeError(
            f"{name} must be a str, uamqp.messaging.{wanted}, Node or None, not {kind.__module__}.{kind.__name__}"
        )
    return TypeError(f"{name} must be a str, {wanted}, Node or None, not {kind.__name__}")


def _common_fields(terminus: Source | Target) -> dict[str, Any]:
    return {
        "address": terminus.address,
        "durable": int(terminus.durable),
        "expiry_policy": Symbol(terminus.expiry),
        "timeout": int(terminus.timeout),
        "dynamic": terminus.dynamic,
        "dynamic_node_properties": {Symbol(key): value for key, value in terminus.node_properties.items()} or None,
        "capabilities": tuple(map(Symbol, terminus.capabilities)),
    }


def _address_text(address: Any) -> str | None:
    """Return an address of the peer's as text; the codec lets an address of another type through as a described one."""
    if isinstance(address, Described):
        address = address.value
    return None if address is None else str(address)


def _granted(filters: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Return the filters in an answer; null stands for a filter that isn't applied (section 3.5.8)."""
    return {
        str(name): value.value if isinstance(value, Described) else value
        for name, value in (filters or {}).items()
        if value is not None
    }
