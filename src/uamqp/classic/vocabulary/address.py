"""Addresses: where a client connects to, and the node that a link's source or target names.

An address is a URL (scheme amqp, amqps, sb, ws, wss, http or https) or the name of a node. A link's source or target on
the wire (`Address.address`) is

* `node`, unchanged, if it is given;
* for an ``amqp://`` URL, everything after the slash that follows the host, unchanged: ``amqp://host/q1`` gives
  ``q1``, ``amqp://host//queues/q%201`` gives ``/queues/q%201``, ``amqp://host/topic://news`` gives ``topic://news``;
* for any other URL, the URL without credentials, port and query, ``amqps://host/q1``, as Azure's services expect it
  and uamqp 1.6 sent it. For other brokers over TLS pass the node: ``Source("amqps://host", node="q1")``;
* anything that isn't a URL, as it stands: ``q1``, ``/queues/q1``, ``queue://q1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from ... import codec
from ...core import address as addresses
from ...core import masked, masked_within
from ..values import convert
from ..values.arguments import encoding_of
from ..values.arguments import text as _text
from . import compat, constants

__all__ = ["Address", "Names", "Source", "Target", "address_of", "host_of", "split_url"]

_AddressT = TypeVar("_AddressT", bound="Address")

_DEFAULT_EXPIRY_POLICY = b"session-end"

_OUTCOMES = {
    "accepted": codec.Accepted.NAME,
    "rejected": codec.Rejected.NAME,
    "released": codec.Released.NAME,
    "modified": codec.Modified.NAME,
}

Names = str | bytes | Iterable[str | bytes]
"""One or several names that go out as symbols."""


class Address:
    """An AMQP address, and the other fields of a terminus (section 3.5).

    Setting an attribute that doesn't exist, such as a misspelled one, is an `AttributeError`; a subclass may add its
    own.

    Args:
        address: a URL or a node's name, as text or UTF-8 bytes.
        encoding: of bytes, and of text that is set later.
        node: the node's name as it goes on the wire, if it differs from that in `address`.
        capabilities: what the node must be able to do, as brokers define it: `("queue",)` or `("topic",)` for
            ActiveMQ and Artemis.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the address is empty, or a URL with an invalid port.
    """

    __module__ = "uamqp.address"

    __slots__ = (
        "__weakref__",
        "_capabilities", "_durable", "_dynamic", "_encoding", "_expiry_policy", "_is_received", "_is_url", "_node",
        "_port", "_text", "_timeout", "parsed_address",
    )  # fmt: skip

    def __init__(
        self,
        address: str | bytes,
        encoding: str = "UTF-8",
        *,
        node: str | bytes | None = None,
        capabilities: Names | None = None,
    ) -> None:
        encoding = encoding_of(encoding)
        text = _text(address, type(self).__name__, encoding)
        if not text and node is None:
            raise ValueError(f"Invalid {type(self).__name__} address: it is empty.")
        self._encoding = encoding
        self._text = text
        try:
            parsed = addresses.parse(text)
        except addresses.AddressError as error:
            raise ValueError(f"Invalid {type(self).__name__} address: {error}") from None
        parts = addresses.split(text)
        self.parsed_address: Any = parts.encode("utf-8")
        self._is_url = parsed.scheme is not None
        self._port = parts.port if self._is_url else None
        self._node: str | None = parsed.node if node is None else _text(node, "node", encoding) or None
        self._durable: int | None = None
        self._expiry_policy: bytes | None = None
        self._timeout: int | None = None
        self._dynamic: bool | None = None
        self._capabilities: tuple[codec.Symbol, ...] = ()
        self._is_received = False
        self.capabilities = capabilities

    @classmethod
    def from_c_obj(  # noqa: PYI019 (Self needs Python 3.11)
        cls: type[_AddressT], c_value: Any, encoding: str = "UTF-8"
    ) -> _AddressT:
        """Return the address of a received terminus (a `codec.Source` or `codec.Target`), unchanged.

        Its ``str()`` is the address that the peer gave; empty if it gave none.
        """
        name = c_value.address
        if isinstance(name, codec.Described):
            name = name.value
        text = "" if name is None else str(name)
        address = cls(text or "/", encoding, node=text)
        address._text = text
        address._is_received = True
        address._load(c_value)
        return address

    def _load(self, terminus: Any) -> None:
        """Adopt the other fields of a received terminus."""
        self._durable = terminus.durable or None
        self._expiry_policy = str(terminus.expiry_policy).encode("utf-8")
        self._timeout = terminus.timeout or None
        self._dynamic = True if terminus.dynamic else None
        self._capabilities = tuple(getattr(terminus, "capabilities", None) or ())

    @property
    def address(self) -> str | None:
        """The name of the node as it goes on the wire, or None; a dynamic source or target sends none."""
        return self._node

    @property
    def hostname(self) -> str | None:
        """The host of a URL in lower case, an IPv6 address without its brackets; None if there is none."""
        return self._part(self.parsed_address.hostname)

    @property
    def port(self) -> int | None:
        """The port of a URL; None if it has none."""
        return self._port

    @property
    def scheme(self) -> str | None:
        """The scheme of a URL; None for a node's name."""
        return self._part(self.parsed_address.scheme)

    @property
    def username(self) -> str | None:
        """The user name in a URL as written there, percent-encoded; None if there is none."""
        return self._part(self.parsed_address.username)

    @property
    def password(self) -> str | None:
        """The password in a URL as written there, percent-encoded; None if there is none."""
        return self._part(self.parsed_address.password)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """The user name and password of a URL, decoded; None if it has no user name.

        A plus sign stands for a space in an amqps:// or sb:// URL, as in 1.6, and for itself in an amqp:// URL.
        """
        return addresses.parse(self._text).credentials

    def _part(self, part: bytes | None) -> str | None:
        return part.decode("utf-8") if part is not None and self._is_url else None

    @property
    def durable(self) -> int | None:
        """What is kept of the terminus: 0 nothing, 1 its configuration, 2 the unsettled state as well."""
        return self._durable or None

    @durable.setter
    def durable(self, value: int | None) -> None:
        self._durable = _integer(value, 2, "durable")

    @property
    def expiry_policy(self) -> bytes:
        """When the terminus starts to expire: link-detach, session-end (the default), connection-close or never."""
        return self._expiry_policy or _DEFAULT_EXPIRY_POLICY

    @expiry_policy.setter
    def expiry_policy(self, value: str | bytes | None) -> None:
        self._expiry_policy = None if value is None else _text(value, "expiry_policy", "ascii").encode("utf-8")

    @property
    def timeout(self) -> int | None:
        """How long an expiring terminus is kept, in seconds."""
        return self._timeout or None

    @timeout.setter
    def timeout(self, value: int | None) -> None:
        self._timeout = _integer(value, 2**32 - 1, "timeout")

    @property
    def dynamic(self) -> bool | None:
        """Whether the peer should create and name a node; no address is sent then."""
        return self._dynamic or None

    @dynamic.setter
    def dynamic(self, value: bool | None) -> None:
        self._dynamic = None if value is None else bool(value)

    @property
    def capabilities(self) -> tuple[str, ...] | None:
        """What the node must be able to do, or can do if the peer gave the address; None if nothing is said.

        It may be set to one or several names, each text, bytes or an `AMQPSymbol`.
        """
        return tuple(str(name) for name in self._capabilities) or None

    @capabilities.setter
    def capabilities(self, value: Names | None) -> None:
        self._capabilities = _symbols(value, self._encoding, "capabilities")

    @property
    def distribution_mode(self) -> str | None:
        """How messages are distributed to several receivers: "move" or "copy" (sources only); None if unset."""
        return None

    @distribution_mode.setter
    def distribution_mode(self, value: str | bytes | None) -> None:
        raise AttributeError(f"A {type(self).__name__.lower()} has no distribution mode.")

    def _common_fields(self) -> dict[str, Any]:
        # Section 3.5.3: the request for a dynamic node has no address; the answer has.
        asks = self._dynamic and not self._is_received
        fields: dict[str, Any] = {"address": None if asks else self._node}
        if self._durable:
            fields["durable"] = self._durable
        if self._expiry_policy:
            fields["expiry_policy"] = codec.Symbol(self._expiry_policy, "utf-8")
        if self._timeout:
            fields["timeout"] = self._timeout
        if self._dynamic:
            fields["dynamic"] = True
        if self._capabilities:
            fields["capabilities"] = self._capabilities
        return fields

    def __str__(self) -> str:
        # A name that the peer gave is shown unchanged, unless it is a URL with a password.
        text: str = getattr(self, "_text", "")
        return masked_within(text) if getattr(self, "_is_received", False) else masked(text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class Source(Address):
    """Where a link's messages come from (section 3.5.3): an address, with filters.

    Args:
        outcomes: the outcomes that deliveries may have.
        Others: see `Address`.
    """

    __module__ = "uamqp.address"

    __slots__ = ("_distribution_mode", "_filters", "_outcomes", "filter_key")

    def __init__(
        self,
        address: str | bytes,
        encoding: str = "UTF-8",
        *,
        node: str | bytes | None = None,
        capabilities: Names | None = None,
        outcomes: Names | None = None,
    ) -> None:
        super().__init__(address, encoding, node=node, capabilities=capabilities)
        self.filter_key: bytes = constants.STRING_FILTER
        self._distribution_mode: str | None = None
        self._outcomes: tuple[codec.Symbol, ...] = ()
        self.outcomes = outcomes
        # By name: the filter as the codec takes it, and as get_filter returns it.
        self._filters: dict[str, tuple[Any, Any]] = {}

    def _load(self, terminus: Any) -> None:
        super()._load(terminus)
        mode = getattr(terminus, "distribution_mode", None)
        self._distribution_mode = None if mode is None else str(mode)
        self._outcomes = tuple(getattr(terminus, "outcomes", None) or ())
        for name, value in (getattr(terminus, "filter", None) or {}).items():
            plain = codec.decode_value(codec.encode_value(value), bare=True)
            self._filters[str(name)] = value, plain

    @property
    def distribution_mode(self) -> str | None:
        """How messages are distributed to several receivers: "move" or "copy"; None if unset."""
        return self._distribution_mode

    @distribution_mode.setter
    def distribution_mode(self, value: str | bytes | None) -> None:
        self._distribution_mode = None if value is None else _text(value, "distribution_mode", self._encoding)

    @property
    def outcomes(self) -> tuple[str, ...] | None:
        """The outcomes that deliveries may have, such as "amqp:accepted:list"; None if nothing is said.

        It may be set to one or several names; "accepted", "rejected", "released" and "modified" will do.
        """
        return tuple(str(name) for name in self._outcomes) or None

    @outcomes.setter
    def outcomes(self, value: Names | None) -> None:
        names = _symbols(value, self._encoding, "outcomes")
        self._outcomes = tuple(codec.Symbol(_OUTCOMES.get(name, name)) for name in names)

    def get_filter(self, name: str | bytes = constants.STRING_FILTER) -> Any:
        """Return the value of a filter, text as bytes, or None if there is none with this name."""
        return self._filters.get(_text(name, "name", "utf-8"), (None, None))[1]

    def set_filter(
        self,
        value: Any,
        name: str | bytes = constants.STRING_FILTER,
        descriptor: str | bytes | int | None = constants.STRING_FILTER,
    ) -> None:
        """Set a filter, replacing one with the same name; others stay.

        Args:
            value: text, or anything that `utils.data_factory` takes; None is sent as null.
            name: the filter's name.
            descriptor: describes the value: a name, or the number that stands for it, such as `0x0000468C00000004` for
                apache.org:selector-filter:string. None sends the value without one.

        Raises:
            TypeError: the name or descriptor has the wrong type.
            ValueError: it is empty, isn't ASCII or is out of range.
        """
        key = _filter_name(name, "name")
        wrapped = convert.wrapped(value, "value", self._encoding)
        encoded: Any = wrapped
        if descriptor is not None:
            described_by = _descriptor(descriptor)
            if value is not None:
                encoded = codec.Described(described_by, wrapped)
        try:
            codec.encode_value([[{codec.Symbol(key): encoded}]])  # as in an attach
        except codec.EncodeError as error:
            raise ValueError(f"The value of the filter {key!r} can't be encoded: {error}.") from None
        self._filters[key] = encoded, wrapped.value

    def terminus(self) -> codec.Source:
        """Return the source in the form for an attach."""
        fields = self._common_fields()
        if self._distribution_mode is not None:
            fields["distribution_mode"] = codec.Symbol(self._distribution_mode)
        if self._filters:
            fields["filter"] = {codec.Symbol(name): value for name, (value, _) in self._filters.items()}
        if self._outcomes:
            fields["outcomes"] = self._outcomes
        return codec.Source(**fields)


class Target(Address):
    """Where a link's messages go to (section 3.5.4). It has the arguments of `Address`, and no distribution mode."""

    __module__ = "uamqp.address"

    __slots__ = ()

    def terminus(self) -> codec.Target:
        """Return the target in the form for an attach."""
        return codec.Target(**self._common_fields())


def address_of(value: str | bytes | Address, kind: type[_AddressT], argument: str, encoding: str) -> _AddressT:
    """Return an address of class `kind`: the value itself, or one made from a URL.

    Raises:
        TypeError: the value is neither.
        ValueError: the URL can't be used.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, (str, bytes, bytearray)):
        return kind(value, encoding=encoding)
    raise TypeError(f"{argument} must be a {kind.__name__}, or a URL as str or bytes, not {type(value).__name__}.")


def host_of(address: Address) -> str:
    """Return the host that an address names.

    Raises:
        ValueError: it names none; the text says why, without quoting anything that may be a password.
    """
    if address.hostname:
        return address.hostname
    try:
        return addresses.parse(address._text).host.name
    except addresses.AddressError as error:
        raise ValueError(f"Invalid remote address: {error}") from None


def _symbols(value: Names | None, encoding: str, name: str) -> tuple[codec.Symbol, ...]:
    try:
        names = convert.symbols(list(value) if isinstance(value, (set, frozenset)) else value, encoding)
    except TypeError:
        raise TypeError(f"{name} is a name or a list of names (str, bytes), not {type(value).__name__}.") from None
    for each in names:
        if not each or not each.isascii():
            raise ValueError(f"{name} has {str(each)!r}: names of AMQP are ASCII, and not empty.")
    return names


def _filter_name(value: Any, name: str) -> str:
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"The {name} of a filter is str or bytes, not {type(value).__name__}.")
    text = _text(value, name, "utf-8")
    if not text or not text.isascii():
        raise ValueError(f"The {name} of a filter is ASCII and not empty, not {text!r}.")
    return text


def _descriptor(value: Any) -> codec.Symbol | codec.ULong:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 2**64:
            raise ValueError(f"The descriptor of a filter is from 0 to 2**64 - 1, not {value}.")
        return codec.ULong(value)
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"The descriptor of a filter is str, bytes or int, not {type(value).__name__}.")
    return codec.Symbol(_filter_name(value, "descriptor"))


def split_url(url: str, what: str) -> compat.ParseResult:
    """Return the parts of a URL.

    Args:
        url: the URL.
        what: what an error's text begins with.

    Raises:
        ValueError: the host can't be read, or something isn't a character; the error doesn't quote the URL.
    """
    try:
        return addresses.split(url)
    except addresses.AddressError as error:
        raise ValueError(f"{what}: {error}") from None


def _integer(value: Any, maximum: int, name: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int):
        raise TypeError(f"{name} is an integer, not {type(value).__name__}.")
    if not 0 <= value <= maximum:
        raise ValueError(f"{name} is 0 to {maximum}, not {int(value)}.")
    return int(value)
