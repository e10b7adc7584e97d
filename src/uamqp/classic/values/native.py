"""What programs written for 1.6 use of its native module: value objects, enumerations, messages, a tick counter.

Nothing here is native any longer; the name stays because programs import it by ``from uamqp import c_uamqp``. The value
objects are in `values` and `composites`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar, TypeVar

from ... import codec
from ...core import shared_access_signature
from ...transport.sansio import clock
from .composites import (
    CompositeValue,
    Messaging,
    cAnnotations,
    cApplicationProperties,
    cDeliveryAnnotations,
    cFields,
    cFooter,
    cMessageAnnotations,
    create_annotations,
    create_application_properties,
    create_delivery_annotations,
    create_fields,
    create_footer,
    create_message_annotations,
)
from .values import (
    AMQPType,
    AMQPValue,
    ArrayValue,
    BinaryValue,
    BoolValue,
    ByteValue,
    CharValue,
    DecimalValue,
    DescribedValue,
    DictValue,
    DoubleValue,
    FloatValue,
    IntValue,
    ListValue,
    LongValue,
    ShortValue,
    StringValue,
    SymbolValue,
    TimestampValue,
    UByteValue,
    UIntValue,
    ULongValue,
    UShortValue,
    UUIDValue,
    array_value,
    binary_value,
    bool_value,
    byte_value,
    char_value,
    described_value,
    dict_value,
    double_value,
    float_value,
    int_value,
    list_value,
    long_value,
    null_value,
    short_value,
    string_value,
    symbol_value,
    timestamp_value,
    ubyte_value,
    uint_value,
    ulong_value,
    ushort_value,
    uuid_value,
    value_of,
)

__all__ = [
    "AMQPType", "AMQPValue", "ArrayValue", "BinaryValue", "BoolValue", "ByteValue", "CharValue", "CompositeValue",
    "DecimalValue", "DescribedValue", "DictValue", "DoubleValue", "FloatValue", "IntValue",
    "ListValue", "LongValue", "MessageBodyType", "Messaging", "ShortValue", "StringValue", "SymbolValue",
    "TickCounter", "TimestampValue", "UByteValue", "UIntValue", "ULongValue", "UShortValue", "UUIDValue",
    "array_value", "binary_value", "bool_value", "byte_value", "cAnnotations", "cApplicationProperties",
    "cDeliveryAnnotations", "cFields", "cFooter", "cHeader", "cMessage", "cMessageAnnotations", "cProperties",
    "char_value", "create_annotations", "create_application_properties", "create_delivery_annotations",
    "create_fields", "create_footer", "create_header", "create_message", "create_message_annotations",
    "create_properties", "create_sas_token", "decode_message", "described_value", "dict_value", "double_value",
    "float_value", "int_value", "list_value", "long_value", "null_value", "short_value", "string_value",
    "symbol_value", "timestamp_value", "ubyte_value", "uint_value", "ulong_value", "ushort_value", "uuid_value",
    "value_of",
]  # fmt: skip

_CompositeT = TypeVar("_CompositeT", bound="_Composite")

# Pickles name the module in which they are public; the one that defines them may change.
for _kind in [
    AMQPType,
    Messaging,
    *(kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, AMQPValue)),
]:
    _kind.__module__ = "uamqp.c_uamqp"


class MessageBodyType(Enum):
    """Kinds of message bodies, as in ``body.type``."""

    __module__ = "uamqp.c_uamqp"

    NoneType = 1
    DataType = 2
    SequenceType = 3
    ValueType = 4


class TickCounter:
    """Counts milliseconds from its first use."""

    __module__ = "uamqp.c_uamqp"

    def __init__(self) -> None:
        self._start: float | None = None

    def get_current_ms(self) -> int:
        """Return the milliseconds since the first call, which returns 0; they never go back."""
        now = clock.now()
        if self._start is None:
            self._start = now
        return int((now - self._start) * 1000)

    def destroy(self) -> None:
        """Do nothing; there is no native object to free."""


def create_sas_token(key: bytes, scope: bytes, keyname: bytes, expiry: int) -> bytes:
    """Return a shared access signature made with a key in base64, valid until `expiry` (seconds since 1970-01-01 UTC).

    Raises:
        ValueError: the key isn't base64, or the time has passed.
    """
    try:
        secret = base64.b64decode(key, validate=True)
    except binascii.Error:
        raise ValueError("The key of a SAS token must be base64.") from None
    return shared_access_signature(secret, scope, keyname, expiry, clock.wall())


class _Slot:
    """A field of `cProperties` or `cHeader`: set from a Python or AMQP value, read as a Python value.

    Without a `factory`, the field may have any type, so it takes and returns AMQP values only.
    """

    def __init__(self, index: int, factory: Callable[[Any], AMQPValue] | None = None) -> None:
        self._index = index
        self._factory = factory

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        value: AMQPValue | None = owner._values[self._index]
        return value if self._factory is None or value is None else value.value

    def __set__(self, owner: Any, value: Any) -> None:
        if self._factory is not None and value is not None:
            value = self._factory(value.value if isinstance(value, AMQPValue) else value)
        elif value is not None and not isinstance(value, AMQPValue):
            raise TypeError(f"An AMQP value is required, not {type(value).__name__}.")
        owner._values[self._index] = value


class _Composite:
    _size: ClassVar[int]

    def __init__(self) -> None:
        self._values: list[AMQPValue | None] = [None] * self._size

    @classmethod
    def _decoded(  # noqa: PYI019 (Self needs Python 3.11)
        cls: type[_CompositeT], fields: list[Any]
    ) -> _CompositeT:
        composite = cls()
        for index, value in enumerate(fields[: cls._size]):
            composite._values[index] = None if value is None else value_of(value)
        return composite

    def clone(self: _CompositeT) -> _CompositeT:  # noqa: PYI019 (Self needs Python 3.11)
        """Return a copy."""
        copy = type(self)()
        copy._values = [None if value is None else value.clone() for value in self._values]
        return copy

    def destroy(self) -> None:
        """Do nothing; there is no native object to free."""

    def __amqp_encode__(self) -> bytes:
        values = [AMQPValue() if value is None else value for value in self._values]
        while values and values[-1].type is AMQPType.NullValue:
            values.pop()
        return ListValue(values).__amqp_encode__()


class cHeader(_Composite):
    """The header of a message, in AMQP's own terms."""

    __module__ = "uamqp.c_uamqp"

    _size = 5
    durable = _Slot(0, bool_value)
    priority = _Slot(1, ubyte_value)
    time_to_live = _Slot(2, uint_value)
    first_acquirer = _Slot(3, bool_value)
    delivery_count = _Slot(4, uint_value)


class cProperties(_Composite):
    """The properties of a message, in AMQP's own terms."""

    __module__ = "uamqp.c_uamqp"

    _size = 13
    message_id = _Slot(0)
    user_id = _Slot(1, binary_value)
    to = _Slot(2)
    subject = _Slot(3, string_value)
    reply_to = _Slot(4)
    correlation_id = _Slot(5)
    content_type = _Slot(6, symbol_value)
    content_encoding = _Slot(7, symbol_value)
    absolute_expiry_time = _Slot(8, timestamp_value)
    creation_time = _Slot(9, timestamp_value)
    group_id = _Slot(10, string_value)
    group_sequence = _Slot(11, uint_value)
    reply_to_group_id = _Slot(12, string_value)


class cMessage:
    """A message as its sections. `Message(message=...)` takes one, `Message.get_message()` returns one.

    `header` and `properties` are a `cHeader` and a `cProperties`, the other sections AMQP maps; None if missing.
    """

    __module__ = "uamqp.c_uamqp"

    def __init__(self) -> None:
        self.message_format = 0
        self.delivery_tag: bytes | None = None
        self.header: cHeader | None = None
        self.delivery_annotations: AMQPValue | None = None
        self.message_annotations: AMQPValue | None = None
        self.properties: cProperties | None = None
        self.application_properties: AMQPValue | None = None
        self.footer: AMQPValue | None = None
        self._body_type = MessageBodyType.NoneType
        self._body: list[AMQPValue] = []

    @property
    def body_type(self) -> MessageBodyType:
        """The kind of sections that the body consists of."""
        return self._body_type

    def _begin(self, kind: MessageBodyType) -> None:
        if self._body_type not in (MessageBodyType.NoneType, kind):
            raise ValueError(f"The message has a body of another kind ({self._body_type.name}) already.")
        self._body_type = kind

    def _part(self, index: int, kind: MessageBodyType) -> AMQPValue:
        if self._body_type is not kind or not 0 <= index < len(self._body):
            raise IndexError("Index is out of range.")
        return self._body[index]

    def add_body_data(self, value: bytes) -> None:
        """Add a data section."""
        part = binary_value(value)
        self._begin(MessageBodyType.DataType)
        self._body.append(part)

    def count_body_data(self) -> int:
        """Return the number of data sections."""
        return len(self._body) if self._body_type is MessageBodyType.DataType else 0

    def get_body_data(self, index: int) -> bytes:
        """Return the content of a data section by its index, from 0."""
        data: bytes = self._part(index, MessageBodyType.DataType).value
        return data

    def set_body_value(self, value: AMQPValue) -> None:
        """Make a value the body, in place of any earlier value."""
        self._begin(MessageBodyType.ValueType)
        self._body = [value.clone()]

    def get_body_value(self) -> AMQPValue | None:
        """Return the value that is the body, or None if the body isn't a value."""
        return self._body[0] if self._body_type is MessageBodyType.ValueType else None

    def add_body_sequence(self, sequence: AMQPValue) -> None:
        """Add a sequence section: an AMQP list."""
        if not isinstance(sequence, ListValue):
            raise TypeError("A sequence section holds a ListValue.")
        self._begin(MessageBodyType.SequenceType)
        self._body.append(sequence.clone())

    def count_body_sequence(self) -> int:
        """Return the number of sequence sections."""
        return len(self._body) if self._body_type is MessageBodyType.SequenceType else 0

    def get_body_sequence(self, index: int) -> AMQPValue:
        """Return the list in a sequence section by its index, from 0."""
        return self._part(index, MessageBodyType.SequenceType)

    def clone(self) -> cMessage:
        """Return a copy."""
        copy = cMessage()
        for name, value in self.__dict__.items():
            copy.__dict__[name] = value.clone() if hasattr(value, "clone") else value
        copy._body = [part.clone() for part in self._body]
        return copy

    def destroy(self) -> None:
        """Do nothing; there is no native object to free."""

    def _encode_payload(self) -> bytes:
        """Return the encoded sections, in the order of section 3.2."""
        sections: list[tuple[int, Any]] = [
            (codec.HEADER, self.header),
            (codec.DELIVERY_ANNOTATIONS, self.delivery_annotations),
            (codec.MESSAGE_ANNOTATIONS, self.message_annotations),
            (codec.PROPERTIES, self.properties),
            (codec.APPLICATION_PROPERTIES, self.application_properties),
        ]
        if self._body_type in _BODY_CODES:
            sections += [(_BODY_CODES[self._body_type], part) for part in self._body]
        sections.append((codec.FOOTER, self.footer))
        out = bytearray()
        for code, value in sections:
            if value is not None:
                codec.append_section_header(out, code)
                out += value.__amqp_encode__()
        return bytes(out)


_BODY_CODES = {
    MessageBodyType.DataType: codec.DATA,
    MessageBodyType.SequenceType: codec.SEQUENCE,
    MessageBodyType.ValueType: codec.VALUE,
}
_BODY_TYPES = {code: kind for kind, code in _BODY_CODES.items()}
_MAP_SECTIONS = {
    codec.DELIVERY_ANNOTATIONS: "delivery_annotations",
    codec.MESSAGE_ANNOTATIONS: "message_annotations",
    codec.APPLICATION_PROPERTIES: "application_properties",
    codec.FOOTER: "footer",
}


def create_message() -> cMessage:
    """Return an empty message."""
    return cMessage()


def create_properties() -> cProperties:
    """Return empty properties."""
    return cProperties()


def create_header() -> cHeader:
    """Return an empty header."""
    return cHeader()


def decode_message(payload: bytes) -> cMessage:
    """Return the message that encoded sections contain.

    Raises:
        ValueError: they aren't a message.
    """
    message = cMessage()
    for code, start, end in codec.scan_sections(payload):
        value = codec.Decoder(payload, start, end).value()
        if code == codec.HEADER:
            message.header = cHeader._decoded(value)
        elif code == codec.PROPERTIES:
            message.properties = cProperties._decoded(value)
        elif code in _MAP_SECTIONS:
            setattr(message, _MAP_SECTIONS[code], value_of(value))
        else:
            message._body_type = _BODY_TYPES[code]
            message._body.append(value_of(value))
    return message
