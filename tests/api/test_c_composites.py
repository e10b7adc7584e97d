"""Composite values of `c_uamqp`, and what 1.6's `Messaging` made of them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tests.peer import codec as peer
from uamqp import Message, c_uamqp, codec
from uamqp.c_uamqp import AMQPType, Messaging

ANY: Any = c_uamqp  # to call with what a type checker refuses

MAP = c_uamqp.dict_value()
MAP[c_uamqp.symbol_value(b"key")] = c_uamqp.string_value(b"value")


@pytest.mark.parametrize(
    ("value", "fields", "text"),
    [
        (Messaging.create_source(b"q"), [b"q"], "* {q}"),
        (Messaging.create_target(b"q"), [b"q"], "* {q}"),
        (Messaging.delivery_received(1, 2**40), [1, 2**40], "* {1,1099511627776}"),
        (Messaging.delivery_accepted(), [], "* {}"),
        (Messaging.delivery_released(), [], "* {}"),
        (Messaging.delivery_rejected(b"amqp:x", b"why"), [[b"amqp:x", b"why"]], "* {* {amqp:x,why}}"),
        (
            Messaging.delivery_rejected(b"amqp:x", b"why", c_uamqp.create_fields(MAP)),
            [[b"amqp:x", b"why", {b"key": b"value"}]],
            "* {* {amqp:x,why,{[key:value]}}}",
        ),
        (Messaging.delivery_modified(True, False, None), [True, False], "* {true,false}"),
        (
            Messaging.delivery_modified(False, True, c_uamqp.create_fields(MAP)),
            [False, True, {b"key": b"value"}],
            "* {false,true,{[key:value]}}",
        ),
    ],
)
def test_composites(value: Any, fields: list[Any], text: str) -> None:
    assert issubclass(type(value), c_uamqp.AMQPValue)
    assert value.type is AMQPType.CompositeType
    assert value.size == len(value) == len(fields)
    assert [value[index].value for index in range(value.size)] == [item.value for item in value] == fields
    assert value.value == fields
    assert value
    assert str(value) == text
    for bad in (-1, value.size):
        with pytest.raises(IndexError):
            value[bad]
    for duplicate in (value.clone(), copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert duplicate == value
        assert duplicate is not value
    assert value != c_uamqp.list_value()
    assert value.get_encoded_size() == len(value.__amqp_encode__())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Messaging.create_source(b"q"), peer.Composite("source", {"address": "q"})),
        (Messaging.create_target(b"q"), peer.Composite("target", {"address": "q"})),
        (
            Messaging.delivery_received(1, 2),
            peer.Composite("received", {"section_number": peer.uint(1), "section_offset": peer.ulong(2)}),
        ),
        (Messaging.delivery_accepted(), peer.Composite("accepted")),
        (Messaging.delivery_released(), peer.Composite("released")),
        (
            Messaging.delivery_modified(True, False, None),
            peer.Composite("modified", {"delivery_failed": True, "undeliverable_here": False}),
        ),
    ],
)
def test_the_wire_says_which_composite_it_is(value: Any, expected: peer.Composite) -> None:
    assert peer.decode(value.__amqp_encode__()) == expected


def test_composites_of_different_kinds_differ() -> None:
    assert Messaging.delivery_accepted() != Messaging.delivery_released()
    assert Messaging.create_source(b"q") != Messaging.create_source(b"r")


def test_an_error_is_a_composite_in_the_outcome() -> None:
    rejected = codec.decode_value(Messaging.delivery_rejected(b"amqp:x", b"why").__amqp_encode__())
    assert rejected.descriptor == 0x25
    (error,) = rejected.value
    assert error.descriptor == 0x1D
    assert error.value == ["amqp:x", "why"]
    assert isinstance(error.value[0], codec.Symbol)


ANNOTATIONS = [
    (c_uamqp.create_annotations, c_uamqp.cAnnotations),
    (c_uamqp.create_application_properties, c_uamqp.cApplicationProperties),
    (c_uamqp.create_delivery_annotations, c_uamqp.cDeliveryAnnotations),
    (c_uamqp.create_message_annotations, c_uamqp.cMessageAnnotations),
    (c_uamqp.create_footer, c_uamqp.cFooter),
    (c_uamqp.create_fields, c_uamqp.cFields),
]


@pytest.mark.parametrize(("create", "kind"), ANNOTATIONS)
def test_annotations(create: Any, kind: type[Any]) -> None:
    made = create(MAP)
    assert type(made) is kind
    assert issubclass(kind, c_uamqp.AMQPValue)
    assert made.type is AMQPType.CompositeType
    assert made.value == MAP
    assert made.map == {b"key": b"value"}
    assert made.size == 1
    assert made[0] == MAP
    with pytest.raises(IndexError):
        made[1]
    for duplicate in (made.clone(), copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(duplicate) is kind
        assert duplicate == made
        assert duplicate is not made
    assert made.__amqp_encode__() == MAP.__amqp_encode__()
    assert str(made) == str(MAP)
    made.destroy()


def test_annotations_are_a_copy() -> None:
    given = c_uamqp.dict_value()
    made = c_uamqp.create_annotations(given)
    given[c_uamqp.symbol_value(b"late")] = c_uamqp.null_value()
    assert made.map == {}
    made.map[b"own"] = 1
    assert made.map == {}


def test_annotations_of_what_is_no_map() -> None:
    made = c_uamqp.create_annotations(c_uamqp.bool_value(True))
    assert made.map is None
    assert made.value == c_uamqp.bool_value(True)
    assert made.clone() is not made


@pytest.mark.parametrize(
    "call",
    [
        lambda: ANY.create_annotations({}),
        lambda: ANY.create_annotations(None),
        lambda: ANY.Messaging.create_source("text"),
        lambda: ANY.Messaging.create_target(None),
        lambda: ANY.Messaging.delivery_rejected("amqp:x", b"why"),
        lambda: ANY.Messaging.delivery_rejected(b"amqp:x", b"why", MAP),
        lambda: ANY.Messaging.delivery_modified(True, True, {}),
        lambda: ANY.Messaging.delivery_received("1", 2),
    ],
)
def test_wrong_types(call: Any) -> None:
    with pytest.raises(TypeError):
        call()


def test_annotations_are_sections_of_a_message() -> None:
    native = c_uamqp.create_message()
    native.add_body_data(b"x")
    native.message_annotations = c_uamqp.create_message_annotations(MAP)
    native.footer = c_uamqp.create_footer(MAP)
    message = Message(message=native)
    assert message.annotations == {b"key": b"value"}
    assert message.footer == {b"key": b"value"}
