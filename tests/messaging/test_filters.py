"""Filters: what goes on the wire for each kind, and what is refused."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.peer import codec as peer
from uamqp.codec import Described, Source, Symbol, Timestamp, UInt, ULong, encode_value
from uamqp.messaging import filters
from uamqp.messaging.errors import ConfigurationError
from uamqp.messaging.filters import Filter, filter_set, flattened

ID = uuid.UUID(int=7)
NOON = datetime(2026, 5, 4, 12, tzinfo=timezone(timedelta(hours=2)))
NOON_MS = 1777888800000


@pytest.mark.parametrize(
    ("built", "name", "descriptor", "value"),
    [
        (filters.selector("a > 1"), "jms-selector", 0x0000468C00000004, "a > 1"),
        (filters.no_local(), "no-local", 0x0000468C00000003, []),
        (filters.sql("p.subject LIKE 'x%'"), "sql-filter", 0x120, "p.subject LIKE 'x%'"),
        (filters.properties(to="&p:a"), "properties-filter", 0x173, {"to": "&p:a"}),
        (filters.application_properties(a=1), "application-properties-filter", 0x174, {"a": 1}),
    ],
)
def test_name_descriptor_and_value_of_each_kind(built: Filter, name: str, descriptor: int, value: object) -> None:
    assert built == Filter(name, descriptor, value)
    assert filter_set([built]) == {Symbol(name): Described(ULong(descriptor), value)}


def test_properties_have_the_names_and_types_of_the_specification() -> None:
    built = filters.properties(
        message_id=5,
        user_id=b"me",
        to="t",
        subject="&s:.new",
        reply_to="r",
        correlation_id=ID,
        content_type="text/plain",
        content_encoding="gzip",
        expiry_time=NOON,
        creation_time=NOON,
        group_id="g",
        group_sequence=6,
        reply_to_group_id="rg",
    )
    expected = {
        "message-id": ULong(5),
        "user-id": b"me",
        "to": "t",
        "subject": "&s:.new",
        "reply-to": "r",
        "correlation-id": ID,
        "content-type": Symbol("text/plain"),
        "content-encoding": Symbol("gzip"),
        "absolute-expiry-time": Timestamp(NOON_MS),
        "creation-time": Timestamp(NOON_MS),
        "group-id": "g",
        "group-sequence": UInt(6),
        "reply-to-group-id": "rg",
    }
    assert list(built.value) == list(expected)
    assert all(type(key) is Symbol for key in built.value)
    assert [(type(value), value) for value in built.value.values()] == [
        (type(value), value) for value in expected.values()
    ]


@pytest.mark.parametrize("value", ["id", "", 0, 2**64 - 1, ID, b"id"])
def test_an_id_has_one_of_four_types(value: Any) -> None:
    expected = ULong(value) if isinstance(value, int) else value
    for built in (filters.properties(message_id=value), filters.properties(correlation_id=value)):
        (found,) = built.value.values()
        assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("text", ["&p:x", "&s:x", "&&x", "&", "&q:x", "$p:x", "é\U0001f600", ""])
def test_a_pattern_goes_through_untouched(text: str) -> None:
    assert filters.properties(subject=text).value == {"subject": text}
    assert filters.application_properties(a=text).value == {"a": text}


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"message_id": True}, TypeError, "message_id must be a str, int, UUID or bytes, not bool: True"),
        ({"message_id": 1.0}, TypeError, "message_id"),
        ({"message_id": -1}, ConfigurationError, "message_id must be from 0 to 18446744073709551615, not -1"),
        ({"correlation_id": 2**64}, ConfigurationError, "correlation_id"),
        ({"user_id": "me"}, TypeError, "user_id must be bytes, not str: 'me'"),
        ({"to": b"t"}, TypeError, "to must be a str, not bytes: b't'"),
        ({"subject": "\ud800"}, ConfigurationError, "subject can't be encoded"),
        ({"content_type": "é"}, ConfigurationError, "content_type must be ASCII, not 'é'"),
        ({"content_encoding": 1}, TypeError, "content_encoding must be a str"),
        ({"expiry_time": 5}, TypeError, "expiry_time must be a datetime, not int: 5"),
        ({"creation_time": datetime(2026, 1, 1)}, ConfigurationError, "creation_time must have a time zone"),  # noqa: DTZ001
        ({"group_sequence": 2**32}, ConfigurationError, "group_sequence must be from 0 to 4294967295"),
        ({"group_sequence": True}, TypeError, "group_sequence must be an int, not bool"),
        ({}, ConfigurationError, "needs a property"),
        ({"subject": None}, ConfigurationError, "needs a property"),
        ({"message-id": 1}, TypeError, "unexpected keyword argument 'message-id'"),
    ],
)
def test_properties_refuse(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        filters.properties(**arguments)
    assert says in str(caught.value)


def test_application_properties_come_from_a_mapping_and_by_name() -> None:
    built = filters.application_properties({"x-opt": True, "n": None}, mapping="m", f=1.5, b=b"b")
    assert built.value == {"x-opt": True, "n": None, "mapping": "m", "f": 1.5, "b": b"b"}
    assert list(built.value) == ["x-opt", "n", "mapping", "f", "b"]
    assert not any(isinstance(key, Symbol) for key in built.value)


@pytest.mark.parametrize("value", [None, True, 1, 2**63 - 1, 1.5, "s", b"b", ID, Decimal("1.5"), Symbol("s"), UInt(1)])
def test_a_simple_value_is_taken_as_it_is(value: Any) -> None:
    (found,) = filters.application_properties(a=value).value.values()
    assert found is value


def test_a_time_is_taken_as_a_timestamp() -> None:
    (found,) = filters.application_properties(a=NOON).value.values()
    assert (type(found), found) == (Timestamp, NOON_MS)


@pytest.mark.parametrize(
    ("arguments", "named", "error", "says"),
    [
        ((), {}, ConfigurationError, "needs a property"),
        (({},), {}, ConfigurationError, "needs a property"),
        (({"a": 1},), {"a": 1}, ConfigurationError, "the application property 'a' is given twice"),
        (([("a", 1)],), {}, TypeError, "mapping must be a mapping, not list"),
        (({1: 1},), {}, TypeError, "a key of mapping must be a str, not int: 1"),
        ((), {"a": [1]}, TypeError, "the application property 'a' must be a single value, not list: [1]"),
        ((), {"a": (1,)}, TypeError, "'a' must be a single value, not tuple"),
        ((), {"a": {"b": 1}}, TypeError, "'a' must be a single value, not dict"),
        ((), {"a": {1}}, TypeError, "'a' must be a single value, not set"),
        ((), {"a": Described(ULong(1), 1)}, TypeError, "'a' must be a single value, not Described"),
        ((), {"a": object}, ConfigurationError, "the application property 'a' can't be encoded"),
        ((), {"a": 2**63}, ConfigurationError, "the application property 'a' can't be encoded"),
        ((), {"a": datetime(2026, 1, 1)}, ConfigurationError, "'a' must have a time zone"),  # noqa: DTZ001
    ],
)
def test_application_properties_refuse(
    arguments: tuple[Any, ...], named: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        filters.application_properties(*arguments, **named)
    assert says in str(caught.value)


@pytest.mark.parametrize("build", [filters.selector, filters.sql])
@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", ConfigurationError, "text must not be empty"),
        (b"a", TypeError, "text must be a str, not bytes"),
        (None, TypeError, "text must be a str, not NoneType"),
        ("'\udfff'", ConfigurationError, "half of a surrogate pair"),
    ],
)
def test_an_expression_is_text(build: Callable[[Any], Filter], text: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        build(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "descriptor", "value", "error", "says"),
    [
        ("", 1, 1, ConfigurationError, "name must not be empty"),
        ("é", 1, 1, ConfigurationError, "name must be ASCII"),
        (None, 1, 1, TypeError, "name must be a str"),
        ("n", -1, 1, ConfigurationError, "descriptor must be from 0 to 18446744073709551615, not -1"),
        ("n", 2**64, 1, ConfigurationError, "descriptor must be from 0"),
        ("n", "", 1, ConfigurationError, "descriptor must not be empty"),
        ("n", "é", 1, ConfigurationError, "descriptor must be ASCII"),
        ("n", True, 1, TypeError, "descriptor must be an int, a str or None, not bool: True"),
        ("n", 1.5, 1, TypeError, "descriptor must be an int, a str or None, not float"),
        ("n", None, None, ConfigurationError, "the filter 'n' has neither a descriptor nor a value"),
        ("n", 1, object(), ConfigurationError, "value can't be encoded"),
    ],
)
def test_a_filter_of_ones_own_is_checked(
    name: Any, descriptor: Any, value: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        Filter(name, descriptor, value)
    assert says in str(caught.value)


def test_each_kind_of_descriptor_goes_out_as_its_type() -> None:
    encoded = filter_set([Filter("a", 5, 1), Filter("b", "x:y", [2]), Filter("c", None, "3"), Filter("d", 0, None)])
    assert list(encoded) == ["a", "b", "c", "d"]
    assert all(type(name) is Symbol for name in encoded)
    assert encoded[Symbol("a")] == Described(ULong(5), 1)
    assert encoded[Symbol("b")] == Described(Symbol("x:y"), [2])
    assert encoded[Symbol("c")] == "3"
    assert encoded[Symbol("d")] == Described(ULong(0), None)


def test_a_filter_set_is_what_another_codec_reads() -> None:
    """Name, descriptor and value, as the bytes of a source have them."""
    chosen = [filters.selector("a = 'b'"), filters.properties(subject="&p:x", group_sequence=3)]
    source = peer.decode(encode_value(Source(address="q", filter=filter_set(chosen))))
    read = {name.value: (kind.descriptor, kind.value) for name, kind in source.fields["filter"].items()}
    assert read["jms-selector"] == (0x0000468C00000004, "a = 'b'")
    assert read["properties-filter"] == (0x173, {"subject": "&p:x", "group-sequence": 3})


def test_filters_are_flattened_in_their_order() -> None:
    a, b, c, d = (Filter(name, 1, 1) for name in "abcd")
    assert flattened("filters", [a, [b, c], (), (d,)]) == (a, b, c, d)
    assert flattened("filters", ()) == ()


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (filters.sql("x"), TypeError, "filters must be a sequence of Filter, as [filters.sql('...')], not Filter"),
        ("a > 1", TypeError, "filters must be a sequence of Filter, as [filters.sql('...')], not str: 'a > 1'"),
        (b"a", TypeError, "filters must be a sequence of Filter"),
        (None, TypeError, "not NoneType"),
        ({"a": 1}, TypeError, "not dict"),
        (["a > 1"], TypeError, "filters[0] must be a Filter, not str: 'a > 1'"),
        ([filters.no_local], TypeError, "filters[0] must be a Filter, not function"),
        ([[filters.sql("x"), None]], TypeError, "filters[0][1] must be a Filter, not NoneType"),
        ([[[filters.sql("x")]]], TypeError, "filters[0][0] must be a Filter, not list"),
        ([filters.sql("x"), [filters.sql("y")]], ConfigurationError, "two filters with the name 'sql-filter'"),
        ([filters.no_local()] * 2, ConfigurationError, "two filters with the name 'no-local'"),
    ],
)
def test_what_is_no_sequence_of_filters_is_refused(value: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        flattened("filters", value)
    assert says in str(caught.value)


def test_an_error_shows_only_the_start_of_a_long_filter() -> None:
    long = filters.sql("x" * 5000)
    with pytest.raises(ConfigurationError) as caught:
        flattened("filters", [long, long])
    assert len(str(caught.value)) < 400


def test_filters_are_values() -> None:
    one, other = filters.application_properties(a=1), filters.application_properties(a=1)
    assert one == other
    assert hash(one) == hash(other)
    assert one != filters.application_properties(a=2)
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(filters.sql("x")) == "Filter(name='sql-filter', descriptor=288, value='x')"
    with pytest.raises(AttributeError):
        one.name = "other"  # type: ignore[misc]
