"""Sources and targets: what each field goes out as, what is refused, and what the peer's answer says."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from tests.peer import codec as peer
from uamqp import codec
from uamqp.address import Source as ClassicSource
from uamqp.address import Target as ClassicTarget
from uamqp.codec import Coordinator, Described, Symbol, ULong, encode_value
from uamqp.messaging import filters
from uamqp.messaging.errors import ConfigurationError
from uamqp.messaging.termini import (
    Node,
    RemoteTerminus,
    Source,
    Target,
    missing_filters,
    remote_terminus,
    source_of,
    source_terminus,
    source_with,
    target_of,
    target_terminus,
    target_with,
)

SQL = filters.sql("a = 1")
NO_LOCAL = filters.no_local()

ADDRESSES = [
    "q",
    "/queues/a%20b",
    "topic://news",
    "queue://q",
    "a b",
    "é",
    "$management",
    "amqp",
    "amqp:x",
    "://",
    "x@y",
]


def test_the_fields_are_those_of_the_contract() -> None:
    source = ["address", "capabilities", "filters", "durable", "expiry", "timeout", "dynamic", "browse"]
    assert [field.name for field in fields(Source)] == [*source, "node_properties"]
    target = [name for name in source if name not in ("filters", "browse")]
    assert [field.name for field in fields(Target)] == [*target, "node_properties"]
    assert [field.name for field in fields(Node)] == ["address", "capabilities"]


# -- on the wire


def test_a_source_on_the_wire() -> None:
    source = Source("q", ("queue", "shared"), [SQL], 2, "link-detach", 60.0, browse=True)
    assert source_terminus(source) == codec.Source(
        address="q",
        durable=2,
        expiry_policy=Symbol("link-detach"),
        timeout=60,
        distribution_mode=Symbol("copy"),
        filter={Symbol("sql-filter"): Described(ULong(0x120), "a = 1")},
        capabilities=(Symbol("queue"), Symbol("shared")),
    )


def test_a_target_on_the_wire() -> None:
    target = Target("q", ["queue"], 1, "connection-close", 5)
    assert target_terminus(target) == codec.Target(
        address="q",
        durable=1,
        expiry_policy=Symbol("connection-close"),
        timeout=5,
        capabilities=(Symbol("queue"),),
    )


def test_a_dynamic_node_on_the_wire() -> None:
    wanted: dict[str, Any] = {"lifetime-policy": codec.DeleteOnClose(), "supported-dist-modes": "move"}
    expected = {Symbol(name): value for name, value in wanted.items()}
    for terminus in (
        source_terminus(Source(dynamic=True, node_properties=wanted)),
        target_terminus(Target(dynamic=True, node_properties=wanted)),
    ):
        assert terminus.address is None
        assert terminus.dynamic is True
        assert terminus.dynamic_node_properties == expected
        assert all(type(name) is Symbol for name in terminus.dynamic_node_properties or ())


def test_what_is_not_asked_for_is_not_on_the_wire() -> None:
    assert source_terminus(Source("q")) == codec.Source(address="q")
    assert target_terminus(Target("q")) == codec.Target(address="q")
    assert target_terminus(target_of(None)) == codec.Target(), "the anonymous relay"


def test_another_codec_reads_the_types_of_the_specification() -> None:
    """In a composite that is encoded, a field of the wrong type is a failure of the tests' own codec."""
    source = Source("q", ("a", "b"), [SQL, NO_LOCAL], 2, "never", browse=True)
    read = peer.decode(encode_value(source_terminus(source))).fields
    assert (read["address"], read["durable"], read["expiry_policy"]) == ("q", 2, "never")
    assert (read["distribution_mode"], list(read["capabilities"])) == ("copy", ["a", "b"])
    assert [name.value for name in read["filter"]] == ["sql-filter", "no-local"]
    dynamic = peer.decode(encode_value(target_terminus(Target(dynamic=True, timeout=4.0, node_properties={"x": 1}))))
    assert (dynamic.fields["address"], dynamic.fields["dynamic"], dynamic.fields["timeout"]) == (None, True, 4)
    assert list(dynamic.fields["dynamic_node_properties"]) == [peer.sym("x")]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_goes_out_as_it_stands(address: str) -> None:
    assert source_terminus(source_of(address)).address == address
    assert target_terminus(target_of(address)).address == address
    assert source_terminus(source_of(Node(address))).address == address
    assert target_terminus(target_of(Node(address))).address == address


def test_an_address_goes_out_as_a_string_whatever_text_it_is() -> None:
    for address in (source_of(Symbol("q")).address, Node(Symbol("q")).address):
        assert type(address) is str


# -- what is refused

REFUSED_IN_BOTH: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"address": ""}, ConfigurationError, "address must not be empty"),
    ({"address": b"q"}, TypeError, "address must be a str, not bytes"),
    ({"address": "\ud800"}, ConfigurationError, "address has half of a surrogate pair"),
    ({"capabilities": "queue"}, TypeError, "capabilities must be a sequence of str, not str: 'queue'"),
    ({"capabilities": 1}, TypeError, "capabilities must be a sequence of str, not int"),
    ({"capabilities": ["a", ""]}, ConfigurationError, "capabilities[1] must not be empty"),
    ({"capabilities": [b"a"]}, TypeError, "capabilities[0] must be a str, not bytes"),
    ({"capabilities": ["é"]}, ConfigurationError, "capabilities[0] must be ASCII, not 'é'"),
    ({"durable": 3}, ConfigurationError, "durable must be from 0 to 2, not 3"),
    ({"durable": -1}, ConfigurationError, "durable must be from 0 to 2, not -1"),
    ({"durable": True}, TypeError, "durable must be an int, not bool: True"),
    ({"expiry": "Never"}, ConfigurationError, "expiry must be one of 'link-detach', 'session-end', 'connection-close'"),
    ({"expiry": None}, TypeError, "expiry must be a str, not NoneType"),
    ({"timeout": -1}, ConfigurationError, "timeout must be 0 or more seconds"),
    ({"timeout": 0.5}, ConfigurationError, "timeout must be a whole number of seconds, 4294967295 at most, not 0.5"),
    ({"timeout": 2**32}, ConfigurationError, "timeout must be a whole number of seconds"),
    ({"timeout": float("nan")}, ConfigurationError, "timeout must be 0 or more seconds"),
    ({"timeout": float("inf")}, ConfigurationError, "timeout must be 0 or more seconds"),
    ({"timeout": "5"}, TypeError, "timeout must be a number of seconds, not str"),
    ({"timeout": 5, "expiry": "never"}, ConfigurationError, "timeout of 5 s has no meaning with expiry='never'"),
    ({"dynamic": 1}, TypeError, "dynamic must be True or False, not int: 1"),
    ({"dynamic": True, "address": "q"}, ConfigurationError, "there can't be an address: 'q'"),
    ({"node_properties": {"a": 1}}, ConfigurationError, "they need dynamic=True"),
    ({"node_properties": [1], "dynamic": True}, TypeError, "node_properties must be a mapping, not list"),
    ({"node_properties": {1: 1}, "dynamic": True}, TypeError, "a key of node_properties must be a str, not int"),
    ({"node_properties": {"é": 1}, "dynamic": True}, ConfigurationError, "a key of node_properties must be ASCII"),
    (
        {"node_properties": {"a": object()}, "dynamic": True},
        ConfigurationError,
        "node_properties['a'] can't be encoded: object has no AMQP encoding",
    ),
]


@pytest.mark.parametrize("kind", [Source, Target])
@pytest.mark.parametrize(("arguments", "error", "says"), REFUSED_IN_BOTH)
def test_a_wrong_value_is_refused(
    kind: type[Source | Target], arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        kind(**arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"filters": SQL}, TypeError, "filters must be a sequence of Filter"),
        ({"filters": [SQL, SQL]}, ConfigurationError, "filters has two filters with the name 'sql-filter'"),
        ({"browse": "copy"}, TypeError, "browse must be True or False, not str: 'copy'"),
    ],
)
def test_a_wrong_value_of_a_source_is_refused(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        Source("q", **arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((None,), TypeError, "address must be a str, not NoneType"),
        (("",), ConfigurationError, "address must not be empty"),
        (("amqp://h/q",), ConfigurationError, "address must be the node's name alone"),
        (("q", "queue"), TypeError, "capabilities must be a sequence of str"),
    ],
)
def test_a_wrong_value_of_a_node_is_refused(arguments: tuple[Any, ...], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        Node(*arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize("scheme", ["amqp", "amqps", "AMQPS", "sb", "ws", "wss", "http", "https", "amqpws", "amqpwss"])
@pytest.mark.parametrize("make", [Source, Target, Node, source_of, target_of])
def test_a_url_is_refused_without_a_word_of_its_password(make: Any, scheme: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(f"{scheme}://me:secret@host/queue")
    assert "must be the node's name alone" in str(caught.value)
    assert f"'{scheme}://me:***@host/queue'" in str(caught.value)
    assert "secret" not in repr(caught.value)


@pytest.mark.parametrize("make", [Source, Target, Node, source_of, target_of])
@pytest.mark.parametrize("given", [b"amqp://me:secret@h", "amqp://me:se\ud800cret@h/secret", ["amqp://me:secret@h"]])
def test_no_error_shows_a_password(make: Any, given: Any) -> None:
    with pytest.raises((TypeError, ConfigurationError)) as caught:
        make(given)
    assert "me:secret" not in str(caught.value)
    assert "cret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"q", "source must be a str, Source, Node or None, not bytes"),
        (1, "source must be a str, Source, Node or None, not int"),
        (["q"], "not list"),
        (Target("q"), "source must be a str, uamqp.messaging.Source, Node or None, not uamqp.messaging.termini.Target"),
        (ClassicSource("q"), "uamqp.messaging.Source, Node or None, not uamqp.address.Source"),
        (codec.Source("q"), "uamqp.messaging.Source, Node or None, not uamqp.codec.terminus.Source"),
    ],
)
def test_what_is_no_source_is_refused(given: Any, says: str) -> None:
    with pytest.raises(TypeError) as caught:
        source_of(given)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"q", "target must be a str, Target, Node or None, not bytes"),
        (Source("q"), "uamqp.messaging.Target, Node or None, not uamqp.messaging.termini.Source"),
        (ClassicTarget("q"), "uamqp.messaging.Target, Node or None, not uamqp.address.Target"),
    ],
)
def test_what_is_no_target_is_refused(given: Any, says: str) -> None:
    with pytest.raises(TypeError) as caught:
        target_of(given)
    assert says in str(caught.value)


# -- what is given as a source or target


def test_what_is_a_source_already_stays_the_same() -> None:
    source, target = Source("q"), Target("q")
    assert source_of(source) is source
    assert target_of(target) is target


def test_a_node_is_taken_by_both_sides() -> None:
    node = Node("in", ["queue"])
    assert source_of(node) == Source("in", ("queue",))
    assert target_of(node) == Target("in", ("queue",))


def test_nothing_is_a_source_without_an_address() -> None:
    assert source_of(None) == Source()
    assert target_of(None) == Target()


# -- options beside it


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Source("q")),
        ({"capabilities": ["topic"]}, Source("q", ("topic",))),
        ({"filters": [[SQL], NO_LOCAL]}, Source("q", filters=(SQL, NO_LOCAL))),
        ({"browse": True}, Source("q", browse=True)),
        ({"durable": True}, Source("q", durable=2, expiry="never")),
        ({"durable": True, "expiry": "link-detach"}, Source("q", durable=2, expiry="link-detach")),
        (
            {"durable": True, "expiry": "link-detach", "expiry_timeout": 60},
            Source("q", durable=2, expiry="link-detach", timeout=60),
        ),
        ({"durable": False}, Source("q")),
        ({"expiry": "never"}, Source("q", expiry="never")),
        ({"expiry_timeout": 9}, Source("q", timeout=9)),
    ],
)
@pytest.mark.parametrize("given", ["q", Source("q"), Node("q")])
def test_options_make_a_source(given: str | Source | Node, options: dict[str, Any], expected: Source) -> None:
    assert source_with(given, options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Target("q")),
        ({"capabilities": ["topic"]}, Target("q", ("topic",))),
        ({"expiry": "never"}, Target("q", expiry="never")),
        ({"expiry_timeout": 9}, Target("q", timeout=9)),
    ],
)
@pytest.mark.parametrize("given", ["q", Target("q"), Node("q")])
def test_options_make_a_target(given: str | Target | Node, options: dict[str, Any], expected: Target) -> None:
    assert target_with(given, options) == expected


def test_a_dynamic_node_is_made_by_options() -> None:
    options = {"dynamic": True, "node_properties": {"a": 1}}
    assert source_with(None, options) == Source(dynamic=True, node_properties={"a": 1})
    assert target_with(None, options) == Target(dynamic=True, node_properties={"a": 1})
    assert source_with(Source(filters=[SQL]), {"dynamic": True}) == Source(filters=[SQL], dynamic=True)


def test_options_beside_a_source_leave_its_other_fields() -> None:
    given = Source("q", ("queue",), [SQL], timeout=5)
    assert source_with(given, {"browse": True}) == Source("q", ("queue",), [SQL], timeout=5, browse=True)
    kept = Source("q", expiry="link-detach", timeout=5)
    assert source_with(kept, {"durable": True}) == Source("q", durable=2, expiry="link-detach", timeout=5)


@pytest.mark.parametrize(
    ("given", "options", "says"),
    [
        (
            Source("q", ("queue",)),
            {"capabilities": ["topic"]},
            "capabilities is given twice: as an option, ['topic'], and by Source(capabilities=('queue',))",
        ),
        (
            Node("q", ("queue",)),
            {"capabilities": ["queue"]},
            "capabilities is given twice: as an option, ['queue'], and by Node(capabilities=('queue',))",
        ),
        (Source("q", filters=[SQL]), {"filters": [NO_LOCAL]}, "and by Source(filters=(Filter(name='sql-filter'"),
        (Source("q", browse=True), {"browse": False}, "option, False, and by Source(browse=True)"),
        (
            Source("q", durable=1),
            {"durable": True},
            "durable is given twice: as an option, True, and by Source(du",
        ),
        (Source("q", expiry="never"), {"expiry": "never"}, "and by Source(expiry='never')"),
        (
            Source("q", timeout=5),
            {"expiry_timeout": 6},
            "expiry_timeout is given twice: as an option, 6, and by Source(timeout=5)",
        ),
        (Source(dynamic=True), {"dynamic": True}, "and by Source(dynamic=True)"),
        (
            Source(dynamic=True, node_properties={"a": 1}),
            {"node_properties": {}},
            "node_properties is given twice: as an option, {}, and by Source(node_properties={'a': 1})",
        ),
    ],
)
def test_an_option_for_what_the_source_says_already_is_refused(
    given: Source | Node, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        source_with(given, options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "options", "says"),
    [
        (Target("q", ("a",)), {"capabilities": ["b"]}, "as an option, ['b'], and by Target(capabilities=('a',))"),
        (Node("q", ("a",)), {"capabilities": ["b"]}, "as an option, ['b'], and by Node(capabilities=('a',))"),
        (Target(dynamic=True), {"dynamic": True}, "dynamic is given twice"),
        (Target("q", expiry="never"), {"expiry": "session-end"}, "expiry is given twice"),
    ],
)
def test_an_option_for_what_the_target_says_already_is_refused(
    given: Target | Node, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        target_with(given, options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "options", "error", "says"),
    [
        ("q", {"dynamic": True}, ConfigurationError, "there can't be an address: 'q'"),
        ("q", {"expiry_timeout": 0.5}, ConfigurationError, "expiry_timeout must be a whole number of seconds"),
        ("q", {"expiry": "never", "expiry_timeout": 5}, ConfigurationError, "has no meaning with expiry='never'"),
        ("q", {"durable": True, "expiry_timeout": 5}, ConfigurationError, "has no meaning with expiry='never'"),
        ("q", {"durable": 2}, TypeError, "durable must be True or False, not int: 2"),
        ("q", {"node_properties": {"a": 1}}, ConfigurationError, "they need dynamic=True"),
    ],
)
def test_a_wrong_option_is_refused(given: str, options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        source_with(given, options)
    assert says in str(caught.value)


# -- the peer's answer


def test_what_a_peer_says_of_a_source() -> None:
    answer = codec.Source(
        address="temp-7",
        durable=1,
        expiry_policy=Symbol("never"),
        timeout=7,
        dynamic=True,
        dynamic_node_properties={Symbol("a"): 1},
        distribution_mode=Symbol("copy"),
        filter={Symbol("sql-filter"): Described(ULong(0x120), "a = 1"), Symbol("odd"): 5, Symbol("none"): None},
        capabilities=(Symbol("queue"),),
    )
    said = remote_terminus(answer)
    assert said == RemoteTerminus(
        address="temp-7",
        capabilities=("queue",),
        filters={"sql-filter": "a = 1", "odd": 5},
        durable=1,
        expiry="never",
        timeout=7,
        dynamic=True,
        browse=True,
        node_properties={"a": 1},
    )
    assert [type(name) for name in (*said.capabilities, *said.filters, *said.node_properties)] == [str] * 4
    assert type(said.expiry) is str


def test_what_a_peer_says_of_a_target() -> None:
    answer = codec.Target(address="q", timeout=3, capabilities=(Symbol("a"), Symbol("b")))
    assert remote_terminus(answer) == RemoteTerminus(address="q", timeout=3, capabilities=("a", "b"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, None),
        (codec.Source(), RemoteTerminus()),
        (codec.Source(address=Described(Symbol("x"), 5)), RemoteTerminus(address="5")),
        (codec.Source(expiry_policy=Symbol("odd")), RemoteTerminus(expiry="odd")),
        (codec.Source(distribution_mode=Symbol("move")), RemoteTerminus(browse=False)),
        (codec.Source(filter={5: Described(5, 5)}), RemoteTerminus(filters={"5": 5})),
        (
            Coordinator(capabilities=(Symbol("amqp:local-transactions"),)),
            RemoteTerminus(capabilities=("amqp:local-transactions",)),
        ),
        (Described(ULong(1), ["x"]), RemoteTerminus()),
    ],
)
def test_an_odd_answer_is_read_as_far_as_it_goes(answer: Any, expected: RemoteTerminus | None) -> None:
    assert remote_terminus(answer) == expected


def test_what_was_asked_for_comes_back_from_an_echo() -> None:
    source = Source("q", ("queue",), [SQL, NO_LOCAL], 2, "link-detach", 9, browse=True)
    assert remote_terminus(source_terminus(source)) == RemoteTerminus(
        address="q",
        capabilities=("queue",),
        filters={"sql-filter": "a = 1", "no-local": []},
        durable=2,
        expiry="link-detach",
        timeout=9,
        browse=True,
    )


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (None, (SQL, NO_LOCAL)),
        (codec.Source(), (SQL, NO_LOCAL)),
        (codec.Source(filter={Symbol("no-local"): Described(ULong(1), [])}), (SQL,)),
        (codec.Source(filter={Symbol("sql-filter"): Described(Symbol("amqp:sql-filter"), "x")}), (NO_LOCAL,)),
        (codec.Source(filter={Symbol("sql-filter"): None, Symbol("no-local"): 1}), (SQL,)),
        (codec.Source(filter={Symbol("sql-filter"): 1, Symbol("no-local"): 1}), ()),
    ],
)
def test_filters_that_a_peer_does_not_apply(granted: codec.Source | None, missing: tuple[filters.Filter, ...]) -> None:
    assert missing_filters([SQL, NO_LOCAL], remote_terminus(granted)) == missing


# -- values


@pytest.mark.parametrize(
    "value",
    [
        Source("q", ["a"], [SQL], 2, "never", browse=True),
        Source(dynamic=True, node_properties={"a": [1]}),
        Target("q", ["a"], timeout=1),
        Node("q", ["a"]),
        RemoteTerminus("q", ("a",), {"x": {}}),
    ],
)
def test_they_are_values(value: Any) -> None:
    copy = pickle.loads(pickle.dumps(value))
    assert copy == value
    assert hash(copy) == hash(value)
    assert eval(repr(value), {**globals(), "Filter": filters.Filter}) == value
    with pytest.raises(FrozenInstanceError):
        value.address = "other"
    assert not hasattr(value, "__dict__")


def test_what_was_given_may_be_changed_afterwards() -> None:
    capabilities, chosen, properties = ["a"], [SQL], {"x": 1}
    source = Source(capabilities=capabilities, filters=chosen, dynamic=True, node_properties=properties)
    for given in (capabilities, chosen, properties):
        given.clear()
    assert (source.capabilities, source.filters, source.node_properties) == (("a",), (SQL,), {"x": 1})
