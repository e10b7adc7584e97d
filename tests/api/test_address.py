"""Addresses: what goes on the wire, where to connect to, filters and other fields of a terminus."""

from __future__ import annotations

import copy
import pickle
import weakref
from typing import Any

import pytest

from tests.peer import codec as peer
from uamqp import codec, types
from uamqp.address import Address, Source, Target

KINDS = [Address, Source, Target]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("given", "wire"),
    [
        # As in 1.6: scheme, host and path of a full URL.
        ("amqps://host/q", "amqps://host/q"),
        ("amqps://host/", "amqps://host/"),
        ("sb://ns/eh/$management", "sb://ns/eh/$management"),
        ("amqps://user:pw@Host:5671/Q/r;p?x=1#f", "amqps://host/Q/r;p"),
        (b"amqps://host/q", "amqps://host/q"),
        # 1.6 refused these, or sent them broken.
        ("amqps://host", "amqps://host"),
        ("amqps://[::1]:5671/q", "amqps://[::1]/q"),
        ("amqps://host/qué", "amqps://host/qué"),
        # New: everything behind the slash of an amqp:// URL, as it is written.
        ("amqp://host/q1", "q1"),
        ("AMQP://user:pw@host:5672/q1", "q1"),
        ("amqp://host//queues/q%201", "/queues/q%201"),
        ("amqp://host/queue/q1", "queue/q1"),
        ("amqp://host/queue://q1", "queue://q1"),
        ("amqp://host//topic/a.#?x=1;y", "/topic/a.#?x=1;y"),
        ("amqp://[::1]/q", "q"),
        ("amqp://host/qué", "qué"),
        ("amqp://host", None),
        ("amqp://host/", None),
        # What is no URL is a node's name.
        ("queue", "queue"),
        ("$management", "$management"),
        ("/queues/q1", "/queues/q1"),
        ("queue://q1", "queue://q1"),
        ("topic://News/x", "topic://News/x"),
        ("a b:c", "a b:c"),
        ("amqp", "amqp"),
    ],
)
def test_node_on_the_wire(kind: type[Address], given: Any, wire: str | None) -> None:
    address = kind(given)
    assert address.address == wire
    assert str(address) == (given.decode() if isinstance(given, bytes) else given).replace(":pw@", ":***@")
    if isinstance(address, (Source, Target)):
        assert address.terminus().address == wire


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("url", ["amqps://host:5671", "amqps://host/ignored", "amqp://host/ignored", "ignored"])
def test_node_that_is_given_rules(kind: type[Address], url: str) -> None:
    address = kind(url, node="/queues/q1")
    assert address.address == "/queues/q1"
    assert str(address) == url
    assert address.hostname == (None if url == "ignored" else "host")
    assert kind(url, node=b"n").address == "n"
    assert kind(url, node="").address is None


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "username", "password", "credentials"),
    [
        ("amqps://Host/q", "amqps", "host", None, None, None, None),
        ("amqps://u%40x:p%2B+@h:1/q", "amqps", "h", 1, "u%40x", "p%2B+", ("u@x", "p+ ")),
        ("amqp://u+x:p%2B+@h:5672", "amqp", "h", 5672, "u+x", "p%2B+", ("u+x", "p++")),
        ("amqp://u@h", "amqp", "h", None, "u", None, ("u", "")),
        ("amqp://[2001:db8::1]:5672/q", "amqp", "2001:db8::1", 5672, None, None, None),
        ("sb://ns.example/q", "sb", "ns.example", None, None, None, None),
        ("queue", None, None, None, None, None, None),
        ("queue://user:pw@q1:5", None, None, None, None, None, None),
    ],
)
def test_where_to_connect(
    url: str, scheme: Any, host: Any, port: Any, username: Any, password: Any, credentials: Any
) -> None:
    address = Address(url)
    assert address.scheme == scheme
    assert address.hostname == host
    assert address.port == port
    assert (address.username, address.password) == (username, password)
    assert address.credentials == credentials


def test_parsed_address_is_in_bytes() -> None:
    parsed = Source("amqps://host/qué").parsed_address
    assert (parsed.scheme, parsed.netloc, parsed.path) == (b"amqps", b"host", "/qué".encode())


@pytest.mark.parametrize("kind", KINDS)
class TestBadInput:
    def test_empty(self, kind: type[Address]) -> None:
        with pytest.raises(ValueError, match=f"^Invalid {kind.__name__} address: it is empty"):
            kind("")

    @pytest.mark.parametrize("given", [None, 5, ["q"]])
    def test_type(self, kind: type[Address], given: Any) -> None:
        with pytest.raises(TypeError, match=f"{kind.__name__} must be str or bytes"):
            kind(given)

    @pytest.mark.parametrize("url", ["amqps://u:se/cret@h/q", "amqps://u:secret@h:99999/q", "amqp://h:x/q"])
    def test_port(self, kind: type[Address], url: str) -> None:
        with pytest.raises(ValueError, match="the port isn't a number from 0 to 65535") as caught:
            kind(url)
        # What stands where the port should may be a password.
        for secret in ("cret", ":se", "99999"):
            assert secret not in str(caught.value)

    def test_host(self, kind: type[Address]) -> None:
        with pytest.raises(ValueError, match="host can't be read") as caught:
            kind("amqps://u:secret@[::1/q")
        assert "secret" not in str(caught.value)

    def test_control_characters(self, kind: type[Address]) -> None:
        with pytest.raises(ValueError, match="control characters"):
            kind("amqps://host/q\n")

    def test_bytes_that_are_no_text(self, kind: type[Address]) -> None:
        with pytest.raises(UnicodeDecodeError):
            kind(b"amqps://host/\xff")
        assert kind(b"q\xe9", encoding="latin-1").address == "qé"


@pytest.mark.parametrize("kind", KINDS)
def test_repr_has_no_secret(kind: type[Address]) -> None:
    assert repr(kind("queue")) == f"{kind.__name__}('queue')"
    assert repr(kind("amqps://me:s3cret@h:1/q")) == f"{kind.__name__}('amqps://me:***@h:1/q')"
    assert repr(kind("amqps://me@h/q")) == f"{kind.__name__}('amqps://me@h/q')"


@pytest.mark.parametrize("kind", KINDS)
class TestTerminusFields:
    def test_defaults(self, kind: type[Address]) -> None:
        address = kind("q")
        assert address.durable is address.timeout is address.dynamic is None
        assert address.expiry_policy == b"session-end"
        assert bool(address) is True

    @pytest.mark.parametrize("value", [0, 1, 2, True, None])
    def test_durable(self, kind: type[Address], value: Any) -> None:
        address = kind("q")
        address.durable = value
        assert address.durable == (value or None)

    def test_wrong(self, kind: type[Address]) -> None:
        address = kind("q")
        for name, value in (("durable", 3), ("durable", -1), ("timeout", -1), ("timeout", 2**32)):
            with pytest.raises(ValueError, match=f"{name} is 0 to"):
                setattr(address, name, value)
        for name in ("durable", "timeout"):
            with pytest.raises(TypeError, match=f"{name} is an integer, not str"):
                setattr(address, name, "1")
        with pytest.raises(TypeError, match="expiry_policy must be str or bytes"):
            address.expiry_policy = 5  # type: ignore[assignment]

    def test_set(self, kind: type[Address]) -> None:
        address = kind("q")
        address.timeout = 5
        address.expiry_policy = b"never"
        assert (address.timeout, address.expiry_policy) == (5, b"never")
        address.dynamic = True
        assert address.dynamic is True
        address.dynamic = False
        assert address.dynamic is None


def test_dynamic_terminus_has_no_address() -> None:
    for address in (Source("q"), Target("q")):
        address.dynamic = True
        assert address.terminus().address is None
        assert address.terminus().dynamic is True


def test_distribution_mode() -> None:
    source = Source("q")
    # 1.6 raised ValueError.
    assert source.distribution_mode is None
    source.distribution_mode = b"copy"
    assert source.distribution_mode == "copy"
    assert source.terminus().distribution_mode == "copy"
    target = Target("q")
    assert target.distribution_mode is None
    with pytest.raises(AttributeError, match="A target has no distribution mode"):
        target.distribution_mode = "copy"


def test_wire_form() -> None:
    assert Source("q").terminus() == codec.Source(address="q")
    assert Target("q").terminus() == codec.Target(address="q")
    source = Source("amqps://host/q")
    source.durable = 2
    source.expiry_policy = b"never"
    source.timeout = 60
    source.distribution_mode = "copy"
    source.set_filter("x > 1")
    text = b"apache.org:selector-filter:string"
    # A fields of the source as 1.6 sent it: index 7 is the filter set, described by symbol.
    decoded = codec.decode_value(source.terminus().encode())
    assert decoded.descriptor == 0x28
    assert decoded.value == [
        "amqps://host/q", 2, "never", 60, None, None, "copy",
        {codec.Symbol(text, "ascii"): codec.Described(codec.Symbol(text, "ascii"), "x > 1")},
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Source, Target])
@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        ((), None),
        ("queue", ("queue",)),
        (b"topic", ("topic",)),
        (["queue", b"shared", types.AMQPSymbol("global")], ("queue", "shared", "global")),
        (("topic",), ("topic",)),
        ({"topic"}, ("topic",)),
        (types.AMQPArray([types.AMQPSymbol("queue")]), ("queue",)),
    ],
)
def test_capabilities(kind: Any, given: Any, read: Any) -> None:
    address = kind("q", capabilities=given)
    assert address.capabilities == read
    other = kind("q")
    other.capabilities = given
    assert other.terminus() == address.terminus()
    wire = peer.decode(address.terminus().encode())
    assert wire["capabilities"] == (None if read is None else peer.symbols(*read))
    assert kind.from_c_obj(codec.decode_composite(address.terminus().encode())[0]).capabilities == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        (["accepted", "rejected", "released", "modified"], tuple(
            f"amqp:{name}:list" for name in ("accepted", "rejected", "released", "modified")
        )),
        ("amqp:accepted:list", ("amqp:accepted:list",)),
        ([b"com.example:own"], ("com.example:own",)),
    ],
)  # fmt: skip
def test_outcomes(given: Any, read: Any) -> None:
    source = Source("q", outcomes=given)
    assert source.outcomes == read
    other = Source("q")
    other.outcomes = given
    assert other.terminus() == source.terminus()
    assert Source.from_c_obj(codec.decode_composite(source.terminus().encode())[0]).outcomes == read


@pytest.mark.parametrize(("names", "kind"), [(5, TypeError), ([1], TypeError), ("", ValueError), (["é"], ValueError)])
def test_names_that_are_no_symbols(names: Any, kind: type[Exception]) -> None:
    for name, make in (("capabilities", Source), ("capabilities", Target), ("outcomes", Source)):
        with pytest.raises(kind, match=name):
            make("q", **{name: names})
        address: Any = make("q")
        with pytest.raises(kind, match=name):
            setattr(address, name, names)


class TestFilters:
    @pytest.mark.parametrize(
        ("value", "read"),
        [
            ("x > 1", b"x > 1"), (b"b", b"b"), (None, None), ({"a": 1}, {b"a": 1}), (5, 5), ([], []),
            (types.AMQPuLong(5), 5),
        ],
    )  # fmt: skip
    def test_value(self, value: Any, read: Any) -> None:
        source = Source("q")
        source.set_filter(value)
        assert source.get_filter() == read
        encoded = codec.decode_composite(source.terminus().encode())[0]
        assert Source.from_c_obj(encoded).get_filter() == read

    def test_unset(self) -> None:
        # 1.6 raised ValueError for a source without filters.
        assert Source("q").get_filter() is None
        assert Source("q").get_filter(b"other") is None
        assert Source("q").filter_key == b"apache.org:selector-filter:string"

    def test_undescribed_and_null(self) -> None:
        source = Source("q")
        source.set_filter("session", name=b"com.microsoft:session-filter", descriptor=None)
        assert source.get_filter(b"com.microsoft:session-filter") == b"session"
        filters = source.terminus().filter
        assert filters is not None
        assert codec.decode_value(codec.encode_value(filters)) == {"com.microsoft:session-filter": "session"}
        source.set_filter(None, name=b"com.microsoft:session-filter", descriptor=None)
        decoded = codec.decode_value(source.terminus().encode())
        assert decoded.value[7] == {"com.microsoft:session-filter": None}

    def test_several(self) -> None:
        # In 1.6 each call replaced all the others.
        source = Source("q")
        source.set_filter("a", name=b"one")
        source.set_filter("b", name=b"two")
        source.set_filter("c", name=b"one")
        assert (source.get_filter(b"one"), source.get_filter(b"two")) == (b"c", b"b")
        filters = source.terminus().filter
        assert filters is not None
        assert list(filters) == ["one", "two"]

    @pytest.mark.parametrize(
        ("descriptor", "on_the_wire"),
        [
            ("apache.org:selector-filter:string", codec.Symbol("apache.org:selector-filter:string")),
            (b"apache.org:selector-filter:string", codec.Symbol("apache.org:selector-filter:string")),
            (0x0000468C00000004, codec.ULong(0x0000468C00000004)),
            (2**64 - 1, codec.ULong(2**64 - 1)),
            (0, codec.ULong(0)),
        ],
    )
    def test_descriptors(self, descriptor: Any, on_the_wire: Any) -> None:
        source = Source("q")
        source.set_filter("x > 1", name="selector", descriptor=descriptor)
        assert source.get_filter("selector") == source.get_filter(b"selector") == b"x > 1"
        (value,) = codec.decode_value(source.terminus().encode()).value[7].values()
        assert value == codec.Described(on_the_wire, "x > 1")
        assert type(value.descriptor) is type(on_the_wire)

    @pytest.mark.parametrize(
        ("names", "kind", "text"),
        [
            ({"name": None}, TypeError, "name of a filter is str or bytes, not NoneType"),
            ({"name": 5}, TypeError, "name of a filter is str or bytes, not int"),
            ({"name": ""}, ValueError, "name of a filter is ASCII and not empty"),
            ({"name": "é"}, ValueError, "name of a filter is ASCII and not empty, not 'é'"),
            ({"descriptor": 1.5}, TypeError, "descriptor of a filter is str, bytes or int, not float"),
            ({"descriptor": True}, TypeError, "descriptor of a filter is str, bytes or int, not bool"),
            ({"descriptor": -1}, ValueError, r"from 0 to 2\*\*64 - 1, not -1"),
            ({"descriptor": 2**64}, ValueError, r"from 0 to 2\*\*64 - 1"),
            ({"descriptor": b""}, ValueError, "descriptor of a filter is ASCII and not empty"),
        ],
    )
    def test_names_that_are_none(self, names: dict[str, Any], kind: type[Exception], text: str) -> None:
        source = Source("q")
        with pytest.raises(kind, match=text):
            source.set_filter("a", **names)
        assert source.terminus() == codec.Source("q")

    def test_encoding(self) -> None:
        source = Source("q", encoding="latin-1")
        source.set_filter("é")
        assert source.get_filter() == b"\xe9"


class TestReceived:
    def test_source(self) -> None:
        source = Source("amqps://host/q")
        source.set_filter("x", name=b"n")
        source.durable = 1
        source.distribution_mode = "move"
        terminus, _ = codec.decode_composite(source.terminus().encode())
        received = Source.from_c_obj(terminus)
        assert str(received) == received.address == "amqps://host/q"
        assert (received.hostname, received.scheme) == ("host", "amqps")
        assert received.get_filter(b"n") == b"x"
        assert (received.durable, received.distribution_mode) == (1, "move")
        assert received.terminus() == terminus

    def test_address_is_taken_as_it_is(self) -> None:
        # The peer's name of a node is no URL to take apart, though it may look like one.
        received = Target.from_c_obj(codec.Target(address="amqp://host/q?x"))
        assert str(received) == received.address == "amqp://host/q?x"
        assert received.terminus() == codec.Target(address="amqp://host/q?x")

    def test_none(self) -> None:
        received = Source.from_c_obj(codec.Source())
        assert str(received) == ""
        assert received.address is None
        assert received.terminus() == codec.Source()

    def test_described(self) -> None:
        received = Target.from_c_obj(codec.Target(address=codec.Described(codec.Symbol("d"), "q")))
        assert received.address == "q"

    def test_dynamic(self) -> None:
        received = Source.from_c_obj(codec.Source(address="temp-1", dynamic=True))
        assert str(received) == received.address == "temp-1"
        assert received.dynamic is True
        assert received.terminus() == codec.Source(address="temp-1", dynamic=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_attribute_is_an_error(kind: type[Address]) -> None:
    address: Any = kind("q")
    for name in ("dynmaic", "durabel", "time_out", "expiry", "filter", "node", "adress", "capabilites", "x"):
        with pytest.raises(AttributeError, match=name):
            setattr(address, name, True)
    with pytest.raises(AttributeError):
        address.hostname = "h"
    assert not hasattr(address, "__dict__")


def test_a_subclass_has_attributes_of_its_own() -> None:
    class Mine(Source):
        kind = "mine"

        def __init__(self, address: str, note: str) -> None:
            self.note = note
            super().__init__(address)
            self.later = 1

    source = Mine("q", "why")
    source.more = source.later + 1  # type: ignore[attr-defined]
    source.kind = "yours"
    source.dynamic = True
    for duplicate in (source, copy.copy(source), copy.deepcopy(source)):
        assert (duplicate.note, duplicate.later, duplicate.more, duplicate.kind) == ("why", 1, 2, "yours")  # type: ignore[attr-defined]
        assert duplicate.terminus().dynamic is True
    source.filter_key = b"mine"  # an attribute of the object, as in 1.6
    assert Source("q").filter_key == b"apache.org:selector-filter:string"
    assert weakref.ref(source)() is source


def test_copies() -> None:
    source = Source("amqps://u:p@host/q", node="n")
    source.set_filter("x")
    for duplicate in (copy.copy(source), copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert duplicate.terminus().encode() == source.terminus().encode()
        assert duplicate.credentials == ("u", "p")
        assert str(duplicate) == str(source)
