"""Composite values, and what 1.6's native module made of them: outcomes, termini, annotations. Part of `native`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

from .values import (
    AMQPType,
    AMQPValue,
    DictValue,
    ListValue,
    ULongValue,
    bool_value,
    string_value,
    symbol_value,
    uint_value,
    ulong_value,
)

_AnnotationsT = TypeVar("_AnnotationsT", bound="cAnnotations")

# Descriptors (sections 2.8.14, 3.4 and 3.5).
_ERROR = 0x1D
_RECEIVED, _ACCEPTED, _REJECTED, _RELEASED, _MODIFIED = 0x23, 0x24, 0x25, 0x26, 0x27
_SOURCE, _TARGET = 0x28, 0x29


class CompositeValue(AMQPValue):
    """A list of fields with a descriptor (section 1.4). Indexing returns the fields as AMQP values.

    Attributes:
        value: the fields as Python values.
    """

    __slots__ = ("_descriptor",)
    _type = AMQPType.CompositeType
    _descriptor: int

    def __init__(self, descriptor: int, fields: list[AMQPValue]) -> None:
        self._descriptor = descriptor
        self._value = ListValue(fields)

    @property
    def value(self) -> list[Any]:
        """The fields as Python values."""
        return self._value.value  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of fields."""
        return len(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: int) -> AMQPValue:
        return self._value[index]  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[AMQPValue]:
        return iter(self._value)

    def clone(self) -> CompositeValue:
        """Return a copy that shares nothing with this value."""
        return CompositeValue(self._descriptor, [field.clone() for field in self._value])

    def _same(self, other: Any) -> bool:
        return bool(self._descriptor == other._descriptor and self._value == other._value)

    def __amqp_encode__(self) -> bytes:
        fields: bytes = self._value.__amqp_encode__()
        return b"\x00" + ULongValue(self._descriptor).__amqp_encode__() + fields

    def _shown(self) -> str:
        return f"* {self._value}"


class cAnnotations(AMQPValue):
    """A map of annotations, as part of a message or an error.

    Attributes:
        value: the AMQP value that it was made from.
    """

    __slots__ = ()
    _type = AMQPType.CompositeType

    def __init__(self, value: AMQPValue) -> None:
        if not isinstance(value, AMQPValue):
            raise TypeError(f"An AMQP value is required, not {type(value).__name__}.")
        self._value = value.clone()

    @property
    def map(self) -> dict[Any, Any] | None:
        """A copy of the map as a dict; None if the value isn't a map."""
        return copy.deepcopy(self._value.value) if isinstance(self._value, DictValue) else None

    @property
    def size(self) -> int:
        """Always 1, for the value."""
        return 1

    def __getitem__(self, index: int) -> AMQPValue:
        if index != 0:
            raise IndexError("Index is out of range.")
        value: AMQPValue = self._value
        return value

    def clone(self: _AnnotationsT) -> _AnnotationsT:  # noqa: PYI019 (Self needs Python 3.11)
        """Return a copy that shares nothing with this value."""
        return type(self)(self._value)

    def __amqp_encode__(self) -> bytes:
        encoded: bytes = self._value.__amqp_encode__()
        return encoded

    def _shown(self) -> str:
        return str(self._value)


class cApplicationProperties(cAnnotations):
    """The application properties of a message."""

    __slots__ = ()


class cDeliveryAnnotations(cAnnotations):
    """The delivery annotations of a message."""

    __slots__ = ()


class cMessageAnnotations(cAnnotations):
    """The annotations of a message."""

    __slots__ = ()


class cFooter(cAnnotations):
    """The footer of a message."""

    __slots__ = ()


class cFields(cAnnotations):
    """The fields of an error's info, or a link's properties."""

    __slots__ = ()


def create_annotations(value: AMQPValue) -> cAnnotations:
    """Return annotations made from an AMQP map.

    Raises:
        TypeError: the value isn't an AMQP value; the five functions below raise it, too.
    """
    return cAnnotations(value)


def create_application_properties(value: AMQPValue) -> cApplicationProperties:
    """Return application properties made from an AMQP map."""
    return cApplicationProperties(value)


def create_delivery_annotations(value: AMQPValue) -> cDeliveryAnnotations:
    """Return delivery annotations made from an AMQP map."""
    return cDeliveryAnnotations(value)


def create_message_annotations(value: AMQPValue) -> cMessageAnnotations:
    """Return message annotations made from an AMQP map."""
    return cMessageAnnotations(value)


def create_footer(value: AMQPValue) -> cFooter:
    """Return a footer made from an AMQP map."""
    return cFooter(value)


def create_fields(value: AMQPValue) -> cFields:
    """Return fields made from an AMQP map."""
    return cFields(value)


class Messaging:
    """Makes termini (section 3.5) and delivery states (section 3.4), as composite values."""

    @staticmethod
    def create_source(address: bytes) -> CompositeValue:
        """Return a source with an address."""
        return CompositeValue(_SOURCE, [string_value(address)])

    @staticmethod
    def create_target(address: bytes) -> CompositeValue:
        """Return a target with an address."""
        return CompositeValue(_TARGET, [string_value(address)])

    @staticmethod
    def delivery_received(section_number: int, section_offset: int) -> CompositeValue:
        """Return the state received: how much of a message has arrived."""
        return CompositeValue(_RECEIVED, [uint_value(section_number), ulong_value(section_offset)])

    @staticmethod
    def delivery_accepted() -> CompositeValue:
        """Return the outcome accepted."""
        return CompositeValue(_ACCEPTED, [])

    @staticmethod
    def delivery_rejected(
        error_condition: bytes, error_description: bytes, error_info: cFields | None = None
    ) -> CompositeValue:
        """Return the outcome rejected, with an error."""
        fields: list[AMQPValue] = [symbol_value(error_condition), string_value(error_description)]
        if error_info is not None:
            fields.append(_map_of(error_info))
        return CompositeValue(_REJECTED, [CompositeValue(_ERROR, fields)])

    @staticmethod
    def delivery_released() -> CompositeValue:
        """Return the outcome released."""
        return CompositeValue(_RELEASED, [])

    @staticmethod
    def delivery_modified(
        delivery_failed: bool, undeliverable_here: bool, message_annotations: cFields | None
    ) -> CompositeValue:
        """Return the outcome modified, with annotations for the message."""
        fields: list[AMQPValue] = [bool_value(delivery_failed), bool_value(undeliverable_here)]
        if message_annotations is not None:
            fields.append(_map_of(message_annotations))
        return CompositeValue(_MODIFIED, fields)


def _map_of(fields: cFields) -> AMQPValue:
    if not isinstance(fields, cFields):
        raise TypeError(f"Fields are what create_fields makes, not {type(fields).__name__}.")
    value: AMQPValue = fields.value
    return value.clone()
