"""Filters: which of a node's messages a receiver gets.

A filter is evaluated by the peer, where the messages are. A receiver asks for its filters when it attaches, and the
peer says in its answer which of them it applies (section 3.5.8 of the AMQP 1.0 specification). What brokers know:

* `selector` and `no_local`: ActiveMQ, Artemis and Qpid. They were registered for AMQP 1.0 by Apache Qpid
  (apache-filters.xml, https://www.amqp.org/specification/1.0/filters).
* `sql`, `properties` and `application_properties`: streams of RabbitMQ, from 4.1 on the last two, from 4.2 on all. They
  are in AMQP Filter Expressions Version 1.0 (https://docs.oasis-open.org/amqp/filtex/v1.0/filtex-v1.0.html), a draft.
  RabbitMQ takes either `sql` or the other two.

A broker may have more of its own: see `uamqp.brokers`, or make a `Filter`.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..codec import Described, Symbol, UInt, ULong
from . import checks, encoding
from .errors import ConfigurationError

__all__ = ["Filter", "application_properties", "no_local", "properties", "selector", "sql"]

_NO_LOCAL = 0x0000468C00000003
SELECTOR = 0x0000468C00000004
_SQL = 0x120
_PROPERTIES = 0x173
_APPLICATION_PROPERTIES = 0x174


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter for a receiver's source (section 3.5.8).

    Attributes:
        name: by which the peer says that it applies the filter; ASCII. Within one source, each filter has another.
            Some brokers know a filter by its name alone.
        descriptor: what kind of filter it is, as brokers define it: the number or the name of a described type. None
            for a value without one, which the specification doesn't allow, but some brokers ask for.
        value: what to filter by, of the type that the kind of filter has.

    Raises:
        TypeError: a name or descriptor has the wrong type.
        ConfigurationError: a name or descriptor can't be used, or the value has no AMQP encoding.
    """

    name: str
    descriptor: int | str | None
    value: Any = field(hash=False)

    def __post_init__(self) -> None:
        encoding.symbol("name", self.name)
        if isinstance(self.descriptor, str):
            encoding.symbol("descriptor", self.descriptor)
        elif isinstance(self.descriptor, int) and not isinstance(self.descriptor, bool):
            checks.integer("descriptor", self.descriptor, 0, ULong.MAX)
        elif self.descriptor is not None:
            raise checks.wrong_type("descriptor", self.descriptor, "an int, a str or None")
        elif self.value is None:
            raise ConfigurationError(f"the filter {self.name!r} has neither a descriptor nor a value")
        encoding.encodable("value", self.value)


def selector(text: str) -> Filter:
    """Return a filter by an SQL-like condition, as JMS has them: ``amount > 100 AND color = 'red'``.

    Names stand for application properties. Other parts of a message have names of their broker's, such as
    ``amqp.correlation_id`` (Qpid) or ``JMSCorrelationID`` (ActiveMQ, Artemis).

    Known by ActiveMQ, Artemis, Qpid and others. Queues of RabbitMQ don't apply it; for its streams there is `sql`.
    Type ``apache.org:selector-filter:string`` (apache-filters.xml, section 2.2).

    Args:
        text: the condition. A receiver is refused if its broker can't read it.

    Raises:
        TypeError: it isn't a str.
        ConfigurationError: it is empty.
    """
    return Filter("jms-selector", SELECTOR, encoding.string("text", text))


def no_local() -> Filter:
    """Return a filter that keeps out messages which were sent over the receiver's own connection.

    Known by ActiveMQ, Artemis and Qpid, for topics. Type ``apache.org:no-local-filter:list`` (apache-filters.xml,
    section 2.1).
    """
    return Filter("no-local", _NO_LOCAL, [])


def sql(text: str) -> Filter:
    """Return a filter by an SQL expression: ``properties.subject LIKE 'order.%' AND region IN ('emea', 'apj')``.

    It may name fields of a message's header (`header.priority`) and properties (`properties.subject`); other names
    stand for application properties. RabbitMQ applies it to streams, from 4.2 on; its documentation says which part of
    the language it knows (https://www.rabbitmq.com/docs/stream-filtering). Type ``amqp:sql-filter`` (AMQP Filter
    Expressions, section 6).

    Args:
        text: the expression. A receiver is refused if its broker can't read it.

    Raises:
        TypeError: it isn't a str.
        ConfigurationError: it is empty.
    """
    return Filter("sql-filter", _SQL, encoding.string("text", text))


def properties(
    *,
    message_id: str | int | uuid.UUID | bytes | None = None,
    user_id: bytes | None = None,
    to: str | None = None,
    subject: str | None = None,
    reply_to: str | None = None,
    correlation_id: str | int | uuid.UUID | bytes | None = None,
    content_type: str | None = None,
    content_encoding: str | None = None,
    expiry_time: datetime.datetime | None = None,
    creation_time: datetime.datetime | None = None,
    group_id: str | None = None,
    group_sequence: int | None = None,
    reply_to_group_id: str | None = None,
) -> Filter:
    """Return a filter by a message's properties: those whose properties all have the given values.

    The arguments are those of `Message`. A str other than a content type or content encoding may be a pattern:
    ``"&p:order."`` is met by what starts with ``order.``, ``"&s:.new"`` by what ends with ``.new``, and ``"&&x"`` by
    ``"&x"`` itself. RabbitMQ applies it to streams, from 4.1 on. Type ``amqp:properties-filter`` (AMQP Filter
    Expressions, sections 4.1.1 and 4.2.4).

    Args:
        message_id: a str, int, UUID or bytes: an id of another type is another id.
        expiry_time: with a time zone; rounded down to milliseconds.
        creation_time: likewise.

    Raises:
        TypeError: a value has the wrong type.
        ConfigurationError: a value is out of range, or there is none.
    """
    given = {
        "message_id": message_id,
        "user_id": user_id,
        "to": to,
        "subject": subject,
        "reply_to": reply_to,
        "correlation_id": correlation_id,
        "content_type": content_type,
        "content_encoding": content_encoding,
        "expiry_time": expiry_time,
        "creation_time": creation_time,
        "group_id": group_id,
        "group_sequence": group_sequence,
        "reply_to_group_id": reply_to_group_id,
    }
    fields = {
        Symbol(_AMQP_NAMES.get(name, name.replace("_", "-"))): _PROPERTY_VALUES[name](name, value)
        for name, value in given.items()
        if value is not None
    }
    if not fields:
        raise ConfigurationError("filters.properties() needs a property to filter by, as subject='&p:order.'")
    return Filter("properties-filter", _PROPERTIES, fields)


def application_properties(mapping: Mapping[str, Any] | None = None, /, **values: Any) -> Filter:
    """Return a filter by a message's application properties: those which have them all, with the given values.

    A str may be a pattern, as for `properties`; numbers of different types may be equal; None is met by any value.
    RabbitMQ applies it to streams, from 4.1 on. Type ``amqp:application-properties-filter`` (AMQP Filter Expressions,
    sections 4.1.1 and 4.2.5).

    Args:
        mapping: names and values: None, bool, int, float, Decimal, str, bytes, UUID, a datetime with a time zone, or a
            number or symbol of `uamqp.codec`.
        values: more of them, for names that Python can write.

    Raises:
        TypeError: a name isn't a str, or a value has a type that application properties can't have (section 3.2.5).
        ConfigurationError: a value can't be encoded, a name is there twice, or there is none.
    """
    fields = {} if mapping is None else checks.mapping("mapping", mapping)
    for name, value in values.items():
        if name in fields:
            raise ConfigurationError(f"the application property {name!r} is given twice: in the mapping, and by name")
        fields[name] = value
    if not fields:
        raise ConfigurationError("filters.application_properties() needs a property to filter by, as region='emea'")
    return Filter(
        "application-properties-filter",
        _APPLICATION_PROPERTIES,
        {name: _simple(f"the application property {name!r}", value) for name, value in fields.items()},
    )


def flattened(name: str, value: Any) -> tuple[Filter, ...]:
    """Return the filters of a sequence of filters and of sequences of filters, in their order.

    Args:
        name: of the argument.
        value: the sequence.

    Raises:
        TypeError: it is none, or there is something else in it.
        ConfigurationError: two filters have one name.
    """
    by_name: dict[str, Filter] = {}
    for item in _each(name, value):
        if item.name in by_name:
            raise ConfigurationError(
                f"{name} has two filters with the name {item.name!r}, of which a peer would see one: "
                f"{checks.shown(by_name[item.name])} and {checks.shown(item)}"
            )
        by_name[item.name] = item
    return tuple(by_name.values())


def filter_set(filters: Iterable[Filter]) -> dict[Symbol, Any]:
    """Return filters as they go on the wire: a filter set (section 3.5.8)."""
    return {Symbol(item.name): _encoded(item) for item in filters}


def _each(name: str, value: Any, depth: int = 0) -> Iterator[Filter]:
    if isinstance(value, Filter) or not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise checks.wrong_type(name, value, "a sequence of Filter" + ("" if depth else ", as [filters.sql('...')]"))
    for index, item in enumerate(value):
        if isinstance(item, Filter):
            yield item
        elif depth == 0 and isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
            yield from _each(f"{name}[{index}]", item, depth + 1)
        else:
            raise checks.wrong_type(f"{name}[{index}]", item, "a Filter")


def _encoded(item: Filter) -> Any:
    if item.descriptor is None:
        return item.value
    kind = Symbol(item.descriptor) if isinstance(item.descriptor, str) else ULong(item.descriptor)
    return Described(kind, item.value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise checks.wrong_type(name, value, "a str")
    return str(encoding.encodable(name, value))


def _message_id(name: str, value: Any) -> Any:
    """Return an id as one of the four types that an id may have (section 3.2.11 and following)."""
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return ULong(checks.integer(name, value, 0, ULong.MAX))
    if isinstance(value, (bytes, uuid.UUID)):
        return value
    raise checks.wrong_type(name, value, "a str, int, UUID or bytes")


def _binary(name: str, value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise checks.wrong_type(name, value, "bytes")
    return value


def _sequence(name: str, value: Any) -> UInt:
    return UInt(checks.integer(name, value, 0, UInt.MAX))


def _simple(name: str, value: Any) -> Any:
    """Return a value that may be in application properties: of any type except list, map and array (section 3.2.5)."""
    if isinstance(value, datetime.datetime):
        return checks.moment(name, value)
    if isinstance(value, (Described, Mapping)) or (
        isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, memoryview))
    ):
        raise checks.wrong_type(name, value, "a single value")
    return encoding.encodable(name, value)


_AMQP_NAMES = {"expiry_time": "absolute-expiry-time"}
"""The properties whose names in AMQP aren't those of `Message`'s arguments with dashes (section 3.2.4)."""

_PROPERTY_VALUES: dict[str, Callable[[str, Any], Any]] = {
    "message_id": _message_id,
    "user_id": _binary,
    "to": _text,
    "subject": _text,
    "reply_to": _text,
    "correlation_id": _message_id,
    "content_type": encoding.symbol,
    "content_encoding": encoding.symbol,
    "expiry_time": checks.moment,
    "creation_time": checks.moment,
    "group_id": _text,
    "group_sequence": _sequence,
    "reply_to_group_id": _text,
}
